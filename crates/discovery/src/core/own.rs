//! The own record of a topic: signed by identity, and made anew when it is old or wrong.

use kukuri_contract::{EndpointAddr, UnixMillis};

use super::record::body;

/// An own record is made anew at this age, long before others take it for stale.
const MAX_AGE_MS: u64 = 5 * 60 * 1000;
/// ... and when the heartbeat in its mark is so much older than the newest one: two heartbeats.
const MARK_AGE_MS: u64 = 10_000;

/// The own record of a topic.
#[derive(Debug, Default)]
pub struct OwnRecord {
    bytes: Option<Vec<u8>>,
    issued_at: UnixMillis,
    mark: [u8; 16],
    /// What identity was asked to sign; the answer must be for this.
    asked: Option<Vec<u8>>,
    /// The addresses have changed since.
    outdated: bool,
}

impl OwnRecord {
    /// What identity must sign now, if the record is missing, old or wrong.
    pub fn to_sign(
        &mut self,
        address: &EndpointAddr,
        mark: [u8; 16],
        now: UnixMillis,
    ) -> Option<Vec<u8>> {
        let old = self.issued_at.distance(now) > MAX_AGE_MS;
        let wanted = self.bytes.is_none() || self.outdated || old || self.mark_is_old(mark);
        if !wanted || self.asked.is_some() {
            return None;
        }
        let body = body(address, now, mark);
        self.outdated = false;
        self.issued_at = now;
        self.mark = mark;
        self.asked = Some(body.clone());
        Some(body)
    }

    /// The addresses have changed.
    pub fn outdate(&mut self) {
        self.outdated = true;
    }

    /// Takes in a signed record, if it is the one that was asked for.
    pub fn put(&mut self, body: &[u8], bytes: Vec<u8>) {
        if self.asked.as_deref() == Some(body) {
            self.asked = None;
            self.bytes = Some(bytes);
        }
    }

    /// There was no answer.
    pub fn sign_again(&mut self) {
        self.asked = None;
        self.outdated = true;
    }

    /// The record, once there is one.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// Another root, or a heartbeat that is much newer.
    fn mark_is_old(&self, mark: [u8; 16]) -> bool {
        let beat = |mark: &[u8; 16]| {
            let mut beat = [0; 8];
            beat.copy_from_slice(&mark[8..]);
            u64::from_be_bytes(beat)
        };
        self.mark[..8] != mark[..8] || beat(&self.mark).abs_diff(beat(&mark)) >= MARK_AGE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::NO_MARK;
    use crate::core::testing::{NOW, peer};

    fn mark(root: u8, beat: u64) -> [u8; 16] {
        let mut mark = [root; 16];
        mark[8..].copy_from_slice(&beat.to_be_bytes());
        mark
    }

    #[test]
    fn it_is_made_anew_when_it_is_old_or_wrong() {
        let mut own = OwnRecord::default();
        let mut wanted = |mark, ms| {
            let body = own.to_sign(&peer(1), mark, UnixMillis(NOW.0 + ms));
            if let Some(body) = &body {
                own.put(body, body.clone());
            }
            body.is_some()
        };
        assert!(wanted(NO_MARK, 0));
        assert!(!wanted(NO_MARK, MAX_AGE_MS));
        assert!(wanted(NO_MARK, MAX_AGE_MS + 1));
        assert!(wanted(mark(1, 1000), MAX_AGE_MS + 2), "another root");
        assert!(!wanted(mark(1, 10_999), MAX_AGE_MS + 3));
        assert!(wanted(mark(1, 11_000), MAX_AGE_MS + 4), "a new heartbeat");
    }

    #[test]
    fn only_what_was_asked_for_is_taken_and_asked_for_once() {
        let mut own = OwnRecord::default();
        let body = own.to_sign(&peer(1), NO_MARK, NOW).unwrap();
        assert_eq!(own.to_sign(&peer(1), NO_MARK, NOW), None);
        own.put(b"another", b"another".to_vec());
        assert_eq!(own.bytes(), None);
        own.sign_again();
        assert_eq!(own.to_sign(&peer(1), NO_MARK, NOW), Some(body.clone()));
        own.put(&body, body.clone());
        assert_eq!(own.bytes(), Some(&body[..]));
    }
}
