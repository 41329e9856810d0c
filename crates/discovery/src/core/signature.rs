//! Signatures of endpoints: the one place where discovery verifies them.
//!
//! A thread that plays many nodes verifies the same bytes once for each of them. It may keep the
//! outcomes instead; a real node never does.

use std::cell::RefCell;
use std::collections::HashMap;

use ed25519_dalek::VerifyingKey;
use kukuri_contract::{EndpointId, Signature};
use sha2::{Digest, Sha256};

/// Most outcomes that a thread keeps; then it begins anew.
const MAX_OUTCOMES: usize = 65_536;

thread_local! {
    static OUTCOMES: RefCell<Option<Outcomes>> = const { RefCell::new(None) };
}

/// Outcomes by the hash of all that was looked at.
type Outcomes = HashMap<[u8; 32], bool>;

/// Has this thread keep the outcomes of [`is_signed`], or no longer. It changes no outcome. For
/// simulations: it costs a real node memory and saves it nothing.
pub fn keep_outcomes(keep: bool) {
    OUTCOMES.set(keep.then(HashMap::new));
}

/// Whether an endpoint has signed this preimage.
pub fn is_signed(by: EndpointId, preimage: &[u8], signature: &Signature) -> bool {
    let verify = || verify(by, preimage, signature);
    OUTCOMES.with_borrow_mut(|outcomes| match outcomes {
        None => verify(),
        Some(outcomes) => {
            // Fixed lengths first, so no two of these read the same.
            let all = Sha256::new()
                .chain_update(by.as_bytes())
                .chain_update(signature.as_bytes())
                .chain_update(preimage)
                .finalize();
            if outcomes.len() >= MAX_OUTCOMES {
                outcomes.clear();
            }
            *outcomes.entry(all.into()).or_insert_with(verify)
        }
    })
}

fn verify(by: EndpointId, preimage: &[u8], signature: &Signature) -> bool {
    VerifyingKey::from_bytes(by.as_bytes())
        .and_then(|key| key.verify_strict(preimage, &signature.as_bytes().into()))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer;

    use super::*;
    use crate::core::testing::{peer, signing_key};

    #[test]
    fn a_kept_outcome_is_of_the_same_key_preimage_and_signature() {
        let [one, two] = [1, 2].map(|n| peer(n).id);
        let of = |n, text: &[u8]| Signature::from_bytes(signing_key(n).sign(text).to_bytes());
        let look = || {
            // Twice, so that what was kept is looked at.
            [(); 2].map(|()| {
                [
                    is_signed(one, b"text", &of(1, b"text")),
                    is_signed(two, b"text", &of(1, b"text")),
                    is_signed(one, b"tex", &of(1, b"text")),
                    is_signed(one, b"text", &of(1, b"tex")),
                    is_signed(EndpointId::from_bytes([2; 32]), b"text", &of(1, b"text")),
                ]
            })
        };
        let plain = look();
        assert_eq!(plain, [[true, false, false, false, false]; 2]);
        keep_outcomes(true);
        assert_eq!(look(), plain);
        keep_outcomes(false);
        assert_eq!(look(), plain);
    }

    #[test]
    fn memory_is_bounded() {
        let kept = || OUTCOMES.with_borrow(|outcomes| outcomes.as_ref().map(HashMap::len));
        // A key that is no point costs no curve arithmetic.
        let key = EndpointId::from_bytes([2; 32]);
        let none = Signature::from_bytes([0; 64]);
        assert!(!is_signed(key, b"", &none));
        assert_eq!(kept(), None, "a real node keeps none");
        keep_outcomes(true);
        for n in 0..MAX_OUTCOMES + 5 {
            assert!(!is_signed(key, &n.to_be_bytes(), &none));
        }
        assert_eq!(kept(), Some(5));
    }
}
