use proptest::prelude::*;

use super::*;

const CHEAP: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 2,
};

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.as_bytes().to_vec()))
}

fn key(byte: u8) -> Unlock {
    Unlock::Key(Zeroizing::new([byte; KEY_BYTES]))
}

fn sealed(unlock: &Unlock) -> Vec<u8> {
    seal(b"the keys", unlock, CHEAP, &[7; 16], &[8; 24]).unwrap()
}

/// With the check made good again, as somebody would who knows the format.
fn changed(bytes: &[u8], at: usize, to: &[u8]) -> Vec<u8> {
    let mut body = bytes[..bytes.len() - CHECK_BYTES].to_vec();
    body[at..at + to.len()].copy_from_slice(to);
    let check = check(&body);
    body.extend(check);
    body
}

#[test]
fn what_was_sealed_is_opened_by_the_same_and_by_nothing_else() {
    for (right, wrong, lock_of) in [
        (
            passphrase("tea"),
            passphrase("Tea"),
            Lock::Passphrase(CHEAP),
        ),
        (key(1), key(2), Lock::Key),
    ] {
        let file = sealed(&right);
        assert!(is_sealed(&file));
        assert!(!file.windows(8).any(|part| part == b"the keys"));
        assert_eq!(lock(&file), Ok(lock_of));
        assert_eq!(open(&file, &right).unwrap().as_slice(), b"the keys");
        assert_eq!(open(&file, &wrong), Err(SealedError::Wrong));
    }
    let other = open(&sealed(&key(1)), &passphrase("tea"));
    assert_eq!(other, Err(SealedError::OtherLock));
}

#[test]
fn a_cost_that_nobody_can_bear_is_refused_before_it_is_paid() {
    let file = sealed(&passphrase("tea"));
    let at = MAGIC.len() + 2;
    for (offset, value) in [
        (0, u32::MAX),
        (0, 8 * CHEAP.lanes - 1),
        (4, 0),
        (4, 17),
        (8, 0),
        (8, u32::MAX),
    ] {
        let file = changed(&file, at + offset, &value.to_be_bytes());
        assert!(matches!(lock(&file), Err(SealedError::Cost(_))), "{value}");
        let opened = open(&file, &passphrase("tea"));
        assert!(matches!(opened, Err(SealedError::Cost(_))), "{value}");
    }
    let of_a_key = changed(&sealed(&key(1)), at, &[0, 0, 0, 1]);
    assert!(matches!(lock(&of_a_key), Err(SealedError::Cost(_))));
}

#[test]
fn each_damage_has_its_error() {
    let file = sealed(&key(1));
    assert_eq!(lock(b"junk"), Err(SealedError::NotKeys));
    assert_eq!(lock(&file[..50]), Err(SealedError::Length(50)));
    assert_eq!(lock(&file[..file.len() - 1]), Err(SealedError::Check));
    let newer = changed(&file, MAGIC.len(), &[3]);
    assert_eq!(lock(&newer), Err(SealedError::Version(3)));
    assert!(
        is_sealed(&newer),
        "a newer file is not taken for a plain one"
    );
    let other = changed(&file, MAGIC.len() + 1, &[3]);
    assert_eq!(lock(&other), Err(SealedError::Lock(3)));
}

proptest! {
    #[test]
    fn any_change_is_noticed(at in 10usize..90, bit in 0u8..8) {
        let file = sealed(&key(1));
        prop_assume!(at < file.len());
        let mut bytes = file.clone();
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(open(&bytes, &key(1)), Err(SealedError::Check));
        if at < file.len() - CHECK_BYTES {
            let careful = changed(&file, at, &[file[at] ^ (1 << bit)]);
            prop_assert!(open(&careful, &key(1)).is_err());
        }
    }

    #[test]
    fn garbage_is_a_typed_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(lock(&bytes).is_err());
        let prefixed = [MAGIC, &[VERSION], &bytes].concat();
        prop_assert!(lock(&prefixed).is_err());
    }
}

#[test]
fn debug_prints_no_secret() {
    assert_eq!(
        format!("{:?} {:?}", passphrase("tea"), key(1)),
        "Passphrase(..) Key(..)"
    );
}
