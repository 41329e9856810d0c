//! Pages of the board: some records of one topic, sealed, as the value of a BEP44 item.
//!
//! ```text
//! page   version 1 | nonce 24 | sealed                               (256, 512 or 996 bytes)
//! plain  n 1 | n x (length 2 | record) | zeros
//! AAD    "kukuri/1 board page" | 0 | topic 32 | epoch 8 | slot 1 | level 1 | version 1
//! ```
//!
//! The seal is XChaCha20-Poly1305 under the epoch's board key. All members write the items with the
//! same Ed25519 key, so the page says nothing of who wrote it; each record on it is signed by its
//! endpoint.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use kukuri_contract::{EndpointId, Epoch, EpochKeys, PageDrop, TopicId};
use sha2::{Digest, Sha256};

use super::record::{MAX_RECORD_BYTES, RecordError};

/// Version of the page format.
pub const VERSION: u8 = 1;
/// Slots of a topic in an epoch. 8: of 20 endpoints that write at once, few share one, and all
/// slots together hold some 50 records.
pub const SLOTS: u8 = 8;
/// Salts that a slot has beyond its first, for when somebody has made that one unwritable. 2: each
/// costs readers another query, and whoever spoils three spoils any number.
pub const MAX_LEVEL: u8 = 2;
/// Lengths of pages in bytes: for one record, three, or seven of the usual length. A BEP44 value
/// has at most 1000 bytes; some DHT nodes count it with its bencoded length, "996:".
pub const PAGE_BYTES: [usize; 3] = [256, 512, 996];

const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + NONCE_BYTES;
const SEAL_OVERHEAD: usize = 16;
const LENGTH_BYTES: usize = 2;
/// Most plain bytes of a page.
const MAX_PLAIN: usize = PAGE_BYTES[2] - HEADER_BYTES - SEAL_OVERHEAD;

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: TopicId,
    /// The epoch.
    pub epoch: Epoch,
    /// Below [`SLOTS`].
    pub slot: u8,
    /// 0, and up to [`MAX_LEVEL`] where the lower ones are unwritable.
    pub level: u8,
}

impl Place {
    /// The page on the next level, if there is one.
    pub fn next_level(self) -> Option<Self> {
        let level = self.level + 1;
        (level <= MAX_LEVEL).then_some(Self { level, ..self })
    }

    /// The salt of its BEP44 item.
    pub fn salt(&self, keys: &EpochKeys) -> [u8; 16] {
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.board_salt.expose())
            .expect("HMAC takes keys of any length");
        mac.update(b"slot");
        mac.update(&[self.slot, self.level]);
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        salt
    }

    fn aad(&self) -> Vec<u8> {
        let mut aad = b"kukuri/1 board page\0".to_vec();
        aad.extend(self.topic.as_bytes());
        aad.extend(self.epoch.0.to_be_bytes());
        aad.extend([self.slot, self.level, VERSION]);
        aad
    }
}

/// The slots that an endpoint may write in an epoch: the first one, and if that is full the second.
/// With a choice of two, 20 records at 8 slots hardly ever meet more than seven at one (Azar et al.,
/// "Balanced Allocations", 1994).
pub fn slots_of(endpoint: EndpointId, epoch: Epoch) -> [u8; 2] {
    let hash = Sha256::new()
        .chain_update(b"kukuri/1 slot\0")
        .chain_update(endpoint.as_bytes())
        .chain_update(epoch.0.to_be_bytes())
        .finalize();
    let first = hash[0] % SLOTS;
    [first, (first + 1 + hash[1] % (SLOTS - 1)) % SLOTS]
}

/// How many of these records, in their order, fit on one page.
pub fn fitting<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let mut room = MAX_PLAIN - 1;
    let fits = |record: &&[u8]| {
        let wanted = LENGTH_BYTES + record.len();
        let fits = wanted <= room;
        room = room.saturating_sub(wanted);
        fits
    };
    records.into_iter().take_while(fits).count()
}

/// A sealed page with as many of these records, in their order, as fit. The nonce must be random
/// and fresh.
pub fn seal(at: &Place, keys: &EpochKeys, records: &[&[u8]], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let records = &records[..fitting(records.iter().copied())];
    let mut plain = vec![records.len() as u8];
    for record in records {
        plain.extend((record.len() as u16).to_be_bytes());
        plain.extend(*record);
    }
    seal_plain(at, keys, plain, nonce)
}

fn seal_plain(at: &Place, keys: &EpochKeys, mut plain: Vec<u8>, nonce: [u8; 24]) -> Vec<u8> {
    let plain_bytes = PAGE_BYTES.map(|page| page - HEADER_BYTES - SEAL_OVERHEAD);
    let mut lengths = plain_bytes.into_iter();
    let length = lengths.find(|length| plain.len() <= *length);
    plain.resize(length.unwrap_or(MAX_PLAIN), 0);
    let payload = Payload {
        msg: &plain,
        aad: &at.aad(),
    };
    let sealed = cipher(keys)
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a page is far below the cipher's limit of 256 GiB");
    let mut page = vec![VERSION];
    page.extend(nonce);
    page.extend(sealed);
    page
}

/// The records of a page, not verified yet.
///
/// # Errors
/// [`PageDrop::Length`], [`PageDrop::Version`], [`PageDrop::Seal`] or [`PageDrop::Malformed`].
pub fn open(at: &Place, keys: &EpochKeys, page: &[u8]) -> Result<Vec<Vec<u8>>, PageDrop> {
    if !PAGE_BYTES.contains(&page.len()) {
        return Err(PageDrop::Length);
    }
    let (header, sealed) = page.split_at(HEADER_BYTES);
    if header[0] != VERSION {
        return Err(PageDrop::Version);
    }
    let nonce: [u8; NONCE_BYTES] = header[1..].try_into().map_err(|_| PageDrop::Length)?;
    let payload = Payload {
        msg: sealed,
        aad: &at.aad(),
    };
    let plain = cipher(keys)
        .decrypt(&XNonce::from(nonce), payload)
        .map_err(|_| PageDrop::Seal)?;
    let mut read = &plain[..];
    let count = take(&mut read, 1)?[0];
    let record = |_| {
        let length = take(&mut read, LENGTH_BYTES)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length > MAX_RECORD_BYTES {
            return Err(PageDrop::Malformed);
        }
        Ok(take(&mut read, length)?.to_vec())
    };
    (0..count).map(record).collect()
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> Result<&'a [u8], PageDrop> {
    let (head, tail) = from.split_at_checked(len).ok_or(PageDrop::Malformed)?;
    *from = tail;
    Ok(head)
}

fn cipher(keys: &EpochKeys) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(keys.board_seal.expose().into())
}

impl From<RecordError> for PageDrop {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::BadSignature => Self::BadSignature,
            RecordError::Stale(_) => Self::StaleRecord,
            RecordError::Version(_) => Self::Version,
            _ => Self::BadRecord,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::core::testing::{TOPIC, keys};

    const AT: Place = Place {
        topic: TOPIC,
        epoch: Epoch(7),
        slot: 3,
        level: 0,
    };

    fn page(records: usize, length: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let records = vec![vec![8; length]; records];
        let refs: Vec<_> = records.iter().map(|r| &r[..]).collect();
        (seal(&AT, &keys(1), &refs, [9; 24]), records)
    }

    #[test]
    fn round_trips_at_few_lengths() {
        for (count, length, bytes) in [
            (0, 0, 256),
            (1, 130, 256),
            (1, 256, 512),
            (2, 130, 512),
            (3, 130, 512),
            (4, 130, 996),
            (7, 130, 996),
            (3, 256, 996),
        ] {
            let (page, records) = page(count, length);
            assert_eq!(page.len(), bytes, "{count} x {length}");
            assert_eq!(open(&AT, &keys(1), &page), Ok(records));
        }
        // Bencoded as a BEP44 value.
        let largest = PAGE_BYTES[2];
        assert_eq!(format!("{largest}:").len() + largest, 1000);
    }

    #[test]
    fn as_many_as_fit() {
        let (page, records) = page(50, 130);
        let opened = open(&AT, &keys(1), &page).unwrap();
        assert_eq!(opened, records[..7]);
        assert_eq!(fitting(records.iter().map(|r| &r[..])), 7);
    }

    #[test]
    fn a_page_fits_its_place_only() {
        let (page, _) = page(1, 130);
        let other = |at: Place, n| open(&at, &keys(n), &page);
        assert_eq!(other(AT, 2), Err(PageDrop::Seal));
        let places = [
            Place {
                topic: TopicId::from_bytes([9; 32]),
                ..AT
            },
            Place {
                epoch: Epoch(8),
                ..AT
            },
            Place { slot: 4, ..AT },
            Place { level: 1, ..AT },
        ];
        for at in places {
            assert_eq!(other(at, 1), Err(PageDrop::Seal), "{at:?}");
        }
    }

    #[test]
    fn each_place_has_a_salt_of_its_own() {
        let places = (0..SLOTS).flat_map(|slot| (0..=MAX_LEVEL).map(move |level| (slot, level)));
        let salt = |(slot, level)| Place { slot, level, ..AT }.salt(&keys(1));
        let salts: BTreeSet<_> = places.map(salt).collect();
        assert_eq!(salts.len(), 24);
        assert_ne!(AT.salt(&keys(1)), AT.salt(&keys(2)));
        assert_eq!(AT.next_level().unwrap().level, 1);
        assert_eq!(Place { level: 2, ..AT }.next_level(), None);
    }

    #[test]
    fn endpoints_spread_over_the_slots() {
        let mut counts = [0; SLOTS as usize];
        for n in 0..200 {
            let slots = slots_of(EndpointId::from_bytes([n; 32]), Epoch(1));
            assert_ne!(slots[0], slots[1]);
            for slot in slots {
                counts[usize::from(slot)] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (30..75).contains(count)),
            "{counts:?}"
        );
        let of = |epoch| slots_of(EndpointId::from_bytes([1; 32]), Epoch(epoch));
        assert!(
            (1..20).any(|epoch| of(epoch) != of(0)),
            "others in another epoch"
        );
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
            prop_assert!(open(&AT, &keys(1), &bytes).is_err());
            for length in PAGE_BYTES {
                let mut bytes = bytes.clone();
                bytes.resize(length, 1);
                prop_assert!(open(&AT, &keys(1), &bytes).is_err());
            }
        }

        #[test]
        fn sealed_garbage_is_a_typed_error(plain in proptest::collection::vec(any::<u8>(), 0..MAX_PLAIN)) {
            // What a member with bad intent could write: the seal is right, the content is not.
            let page = seal_plain(&AT, &keys(1), plain, [9; 24]);
            prop_assert!(matches!(open(&AT, &keys(1), &page), Ok(_) | Err(PageDrop::Malformed)));
        }

        #[test]
        fn any_change_is_noticed(at in 0usize..256, bit in 0u8..8) {
            let (mut page, _) = page(1, 130);
            page[at] ^= 1 << bit;
            prop_assert!(open(&AT, &keys(1), &page).is_err());
        }
    }
}
