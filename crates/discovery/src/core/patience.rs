//! How long to wait for a DHT node's reply.
//!
//! A look-up that finds nothing ends when the last silent node has been waited for, so a short wait
//! makes a fast join; but where replies take long, a short wait hears nobody. So the node begins
//! quick, becomes patient where hardly anybody answers, and quick again where patience did not help.

use std::time::Duration;

/// A quick node whose routing table stays empty for so long becomes patient: eight waits of 250 ms.
const QUICK_SILENCE: Duration = Duration::from_secs(2);
/// A patient node whose routing table stays empty for so long becomes quick again: two and a half
/// waits of 2 s.
const PATIENT_SILENCE: Duration = Duration::from_secs(5);
/// How long it then stays quick: nobody answers at all, and a change means another DHT node.
const REST: Duration = Duration::from_secs(10 * 60);
/// A change takes effect so long before replies are counted again: the routing table must fill.
pub const SETTLE: Duration = Duration::from_secs(2);

/// Which of the two waits is in use, and what it has brought.
#[derive(Debug, Default)]
pub struct Patience {
    patient: bool,
    /// Since when the routing table has been empty.
    silent_since: Option<Duration>,
    rests_until: Duration,
}

impl Patience {
    /// The routing table has so many nodes; `None` if there is no DHT node.
    pub fn table(&mut self, nodes: Option<usize>, now: Duration) {
        self.silent_since = match nodes {
            Some(0) => self.silent_since.or(Some(now)),
            _ => None,
        };
    }

    /// When to change for want of any reply.
    pub fn due(&self) -> Option<Duration> {
        let silence = match self.patient {
            true => PATIENT_SILENCE,
            false => QUICK_SILENCE,
        };
        Some((self.silent_since? + silence).max(self.rests_until))
    }

    /// Whether a change may help a node that hears few.
    pub fn may_change(&self, now: Duration) -> bool {
        self.rests_until <= now
    }

    /// Changes; true if it is patient now.
    pub fn change(&mut self, now: Duration) -> bool {
        if self.patient {
            self.rests_until = now + REST;
        }
        self.patient = !self.patient;
        self.silent_since = self.silent_since.map(|_| now);
        self.patient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn silence_makes_patient_once_and_then_quick_for_long() {
        let mut patience = Patience::default();
        assert_eq!(patience.due(), None, "no DHT node yet");
        patience.table(Some(0), START);
        patience.table(Some(0), START + Duration::from_secs(1));
        let first = patience.due().unwrap();
        assert_eq!(first, START + QUICK_SILENCE);
        assert!(patience.change(first));
        let second = patience.due().unwrap();
        assert_eq!(second, first + PATIENT_SILENCE);
        assert!(!patience.change(second));
        assert_eq!(patience.due(), Some(second + REST));
        assert!(!patience.may_change(second + REST / 2));
    }

    #[test]
    fn who_is_answered_stays_as_it_is() {
        let mut patience = Patience::default();
        patience.table(Some(0), START);
        assert!(patience.change(patience.due().unwrap()));
        patience.table(Some(1), START + Duration::from_secs(3));
        assert_eq!(patience.due(), None);
    }
}
