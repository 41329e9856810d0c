//! The text form of an invite: all that somebody needs to take part in a topic, in one line.
//!
//! ```text
//! kukuri-invite-1:<base32, lower case, no padding, of content | check 4>
//! content = flags 1 | secret 32, if flags has 1 | until, ms 8, if flags has 2 | length 1 | name
//!           | n 1 | n x (endpoint 32 | k 1 | k x (family 1 (4 or 6) | IP 4 or 16 | port 2)
//!                        | length 1 | relay URL)
//! check   = the first 4 bytes of SHA-256("kukuri/1 invite text\0" || content)
//! ```
//!
//! Integers are big endian. Whoever has the invite of a secret topic has its secret. The peers are a
//! help for the first contact; each still has to prove itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kukuri_contract::{
    EndpointAddr, EndpointId, MAX_DIRECT_ADDRESSES, SECRET_BYTES, TopicName, TopicSecret,
    UnixMillis,
};
use zeroize::Zeroizing;

use super::line::{Form, LineError};

/// Version of the text form.
pub const VERSION: u8 = 1;
/// Most peers in an invite: enough to meet one that is up, and short enough to be pasted.
pub const MAX_PEERS: usize = 4;
/// Longest relay URL of a peer in bytes.
pub const MAX_RELAY_BYTES: usize = 128;
/// Longest text that is read, in bytes: above the longest that can be written.
pub const MAX_TEXT_BYTES: usize = 4096;

const PREFIX: &str = "kukuri-invite-";
/// What it is one of.
const FORM: Form = Form {
    prefix: PREFIX,
    version: VERSION,
    label: b"kukuri/1 invite text\0",
};
/// Flags of a content.
const WITH_SECRET: u8 = 1;
const WITH_UNTIL: u8 = 2;

/// What an invite says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Name of the topic.
    pub topic: TopicName,
    /// Its secret; a topic without one is public.
    pub secret: Option<TopicSecret>,
    /// It replaces another secret, which is used beside it until then.
    pub overlap_until: Option<UnixMillis>,
    /// Members to dial at once, at most [`MAX_PEERS`]; the DHT may know others.
    pub peers: Vec<EndpointAddr>,
}

/// Why a text is no invite. Says nothing of the secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Nothing is there.
    #[error("it is empty; a member makes an invite with `kukuri topic invite`")]
    Empty,
    /// It does not start like an invite.
    #[error(
        "it does not start with `{PREFIX}{VERSION}:`; a member makes an invite with `kukuri topic invite`"
    )]
    NoInvite,
    /// A version that this program does not know.
    #[error("its version {0:?} is unknown, this program knows {VERSION}; update kukuri")]
    Version(String),
    /// Longer than any invite.
    #[error("it has {0} bytes, and no invite has more than {MAX_TEXT_BYTES}")]
    TooLong(usize),
    /// A letter that does not occur in invites.
    #[error("letter {at} after the `:` does not occur in invites (they have a-z and 2-7)")]
    Letter {
        /// Which letter, from 1 on.
        at: usize,
    },
    /// The check bytes don't fit: a typing error, or only a part of it.
    #[error("it is damaged: the check at its end does not fit; copy all of it again")]
    Check,
    /// The check fits, the content can't be read: whoever made it is at fault.
    #[error("its content can't be read; ask for a new one")]
    Malformed,
}

impl From<LineError> for InviteError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Empty => Self::Empty,
            LineError::Prefix => Self::NoInvite,
            LineError::Version(version) => Self::Version(version),
            LineError::Letter(at) => Self::Letter { at },
            LineError::Check => Self::Check,
        }
    }
}

/// The text form of an invite: of the peers, the first [`MAX_PEERS`] with their first
/// [`MAX_DIRECT_ADDRESSES`] addresses, and no relay URL that is too long.
pub fn format_invite(invite: &Invite) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT_BYTES));
    let secret = if invite.secret.is_some() {
        WITH_SECRET
    } else {
        0
    };
    let until = if invite.overlap_until.is_some() {
        WITH_UNTIL
    } else {
        0
    };
    bytes.push(secret | until);
    if let Some(secret) = &invite.secret {
        bytes.extend(secret.expose());
    }
    if let Some(until) = invite.overlap_until {
        bytes.extend(until.0.to_be_bytes());
    }
    put(&mut bytes, invite.topic.as_str().as_bytes());
    let peers = &invite.peers[..invite.peers.len().min(MAX_PEERS)];
    bytes.push(peers.len() as u8);
    for peer in peers {
        bytes.extend(peer.id.as_bytes());
        let direct = &peer.direct[..peer.direct.len().min(MAX_DIRECT_ADDRESSES)];
        bytes.push(direct.len() as u8);
        for address in direct {
            match address.ip() {
                IpAddr::V4(ip) => bytes.extend([&[4][..], &ip.octets()].concat()),
                IpAddr::V6(ip) => bytes.extend([&[6][..], &ip.octets()].concat()),
            }
            bytes.extend(address.port().to_be_bytes());
        }
        let relay = peer.relay.as_deref().unwrap_or("");
        let fits = relay.len() <= MAX_RELAY_BYTES;
        put(&mut bytes, if fits { relay.as_bytes() } else { &[] });
    }
    FORM.format(&bytes)
}

/// Reads the text form of an invite. White space around it is fine, and so are capital letters.
///
/// # Errors
/// See [`InviteError`].
pub fn parse_invite(text: &str) -> Result<Invite, InviteError> {
    let got = text.trim().len();
    if got > MAX_TEXT_BYTES {
        return Err(InviteError::TooLong(got));
    }
    let content = FORM.content(FORM.letters(text)?)?;
    read(&content).ok_or(InviteError::Malformed)
}

fn read(content: &[u8]) -> Option<Invite> {
    let mut read = Reader(content);
    let [flags] = read.array()?;
    if flags & !(WITH_SECRET | WITH_UNTIL) != 0 {
        return None;
    }
    let secret = match flags & WITH_SECRET {
        0 => None,
        _ => Some(TopicSecret::from_bytes(read.array::<SECRET_BYTES>()?)),
    };
    let overlap_until = match flags & WITH_UNTIL {
        0 => None,
        _ => Some(UnixMillis(u64::from_be_bytes(read.array()?))),
    };
    let topic = read.text(u8::MAX.into())?.parse().ok()?;
    let [count] = read.array()?;
    let peers = (0..count)
        .map(|_| read.peer())
        .collect::<Option<Vec<_>>>()?;
    let whole = read.0.is_empty() && peers.len() <= MAX_PEERS;
    whole.then_some(Invite {
        topic,
        secret,
        overlap_until,
        peers,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self, most: usize) -> Option<&'a str> {
        let [len] = self.array()?;
        let text = self.take(len.into()).filter(|text| text.len() <= most)?;
        std::str::from_utf8(text).ok()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.array()? {
            [4] => Ipv4Addr::from(self.array::<4>()?).into(),
            [6] => Ipv6Addr::from(self.array::<16>()?).into(),
            _ => return None,
        };
        Some((ip, u16::from_be_bytes(self.array()?)).into())
    }

    fn peer(&mut self) -> Option<EndpointAddr> {
        let id = EndpointId::from_bytes(self.array()?);
        let [count] = self.array()?;
        if usize::from(count) > MAX_DIRECT_ADDRESSES {
            return None;
        }
        let direct = (0..count).map(|_| self.address()).collect::<Option<_>>()?;
        let relay = self.text(MAX_RELAY_BYTES)?;
        let relay = (!relay.is_empty()).then(|| relay.to_owned());
        Some(EndpointAddr { id, direct, relay })
    }
}

/// A length and the bytes. Names and relay URLs are shorter than 256 bytes.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= u8::MAX.into());
    to.push(bytes.len() as u8);
    to.extend(bytes);
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE32_NOPAD;
    use proptest::prelude::*;

    use super::*;

    fn invite() -> Invite {
        Invite {
            topic: "tea time".parse().unwrap(),
            secret: Some(TopicSecret::from_bytes([7; 32])),
            overlap_until: None,
            peers: vec![
                EndpointAddr {
                    id: EndpointId::from_bytes([1; 32]),
                    direct: vec![
                        "192.0.2.1:4433".parse().unwrap(),
                        "[2001:db8::1]:4433".parse().unwrap(),
                    ],
                    relay: Some("https://relay.example/".to_owned()),
                },
                EndpointAddr {
                    id: EndpointId::from_bytes([2; 32]),
                    direct: Vec::new(),
                    relay: None,
                },
            ],
        }
    }

    #[test]
    fn what_was_written_is_read_also_in_capitals_and_between_white_space() {
        let public = Invite {
            secret: None,
            peers: Vec::new(),
            ..invite()
        };
        let rotated = Invite {
            overlap_until: Some(UnixMillis(1_780_000_000_000)),
            ..invite()
        };
        for invite in [invite(), public, rotated] {
            let text = format_invite(&invite);
            assert_eq!(parse_invite(&text), Ok(invite.clone()));
            let (prefix, letters) = text.split_once(':').unwrap();
            let shouted = format!(" {prefix}:{}\n", letters.to_uppercase());
            assert_eq!(parse_invite(&shouted), Ok(invite));
        }
    }

    #[test]
    fn the_largest_one_can_be_read() {
        let peer = EndpointAddr {
            direct: vec!["[2001:db8::1]:4433".parse().unwrap(); MAX_DIRECT_ADDRESSES],
            relay: Some("r".repeat(MAX_RELAY_BYTES)),
            ..invite().peers[0].clone()
        };
        let largest = Invite {
            topic: "n"
                .repeat(kukuri_contract::MAX_TOPIC_NAME_BYTES)
                .parse()
                .unwrap(),
            peers: vec![peer.clone(); MAX_PEERS],
            ..invite()
        };
        assert_eq!(parse_invite(&format_invite(&largest)), Ok(largest.clone()));
        let beyond = Invite {
            peers: vec![peer; MAX_PEERS + 1],
            ..largest.clone()
        };
        assert_eq!(parse_invite(&format_invite(&beyond)), Ok(largest));
    }

    #[test]
    fn each_damage_has_its_error_and_none_tells_the_secret() {
        let text = format_invite(&invite());
        let errors = [
            ("", InviteError::Empty),
            ("hello", InviteError::NoInvite),
            ("kukuri-invite-2:aa", InviteError::Version("2".to_owned())),
            ("kukuri-invite-1:a1", InviteError::Letter { at: 2 }),
            ("kukuri-invite-1:", InviteError::Check),
            (&text[..text.len() - 8], InviteError::Check),
            (&"a".repeat(5000), InviteError::TooLong(5000)),
        ];
        for (text, error) in errors {
            assert_eq!(parse_invite(text), Err(error));
        }
        assert!(!format!("{:?}", invite()).contains('7'));
    }

    #[test]
    fn a_right_check_over_a_wrong_content_is_malformed() {
        for content in [
            &[4][..],
            &[2, 0][..],
            &[0],
            &[0, 1, b'\n', 0],
            &[0, 1, b'a', 5],
            &[0, 1, b'a', 0, 0],
        ] {
            let bytes = [content, &FORM.check(content)].concat();
            let text = format!("{PREFIX}1:{}", BASE32_NOPAD.encode(&bytes));
            assert_eq!(
                parse_invite(&text),
                Err(InviteError::Malformed),
                "{content:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbage_is_a_typed_error(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&content[..], &FORM.check(&content)].concat();
            let text = format!("{PREFIX}1:{}", BASE32_NOPAD.encode(&bytes).to_lowercase());
            if let Ok(read) = parse_invite(&text) {
                let again = format_invite(&read);
                prop_assert_eq!(again.as_str(), text);
            }
        }

        #[test]
        fn any_other_letter_is_noticed(at in 16usize..200, letter in "[a-z2-7]") {
            let text = format_invite(&invite());
            let mut other = text.to_string();
            prop_assume!(at < other.len() && other[at..=at] != letter);
            other.replace_range(at..=at, &letter);
            prop_assert!(parse_invite(&other).is_err());
        }
    }
}
