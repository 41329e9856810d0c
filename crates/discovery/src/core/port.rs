//! Whether the own hello port takes packets that nobody here asked for.
//!
//! A firewall lets in what answers a packet that went out. So only a hello from an address that this
//! node has sent nothing to lately shows that others can reach the port.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How long an address counts as one that a packet went to, and how long a proof counts. 30 min:
/// longer than firewalls remember a UDP flow, shorter than a host stays in one network.
const LATELY: Duration = Duration::from_secs(30 * 60);
/// Addresses that are remembered: beyond, all are forgotten, and nothing proves anything for
/// [`LATELY`]. 4096: two a second.
const MAX_SENT: usize = 4096;

/// What is known of the own hello port.
#[derive(Debug, Default)]
pub struct Port {
    sent: HashMap<SocketAddrV4, Duration>,
    forgot: Option<Duration>,
    proven: Option<Duration>,
}

impl Port {
    /// A packet goes out.
    pub fn sent(&mut self, to: SocketAddrV4, now: Duration) {
        if self.sent.len() >= MAX_SENT {
            self.sent.retain(|_, at| lately(*at, now));
        }
        if self.sent.len() >= MAX_SENT {
            self.sent.clear();
            self.forgot = Some(now);
        }
        self.sent.insert(to, now);
    }

    /// A valid hello request has come in.
    pub fn heard(&mut self, from: SocketAddrV4, now: Duration) {
        let asked_for = self.sent.get(&from).is_some_and(|at| lately(*at, now));
        let unsure = self.forgot.is_some_and(|at| lately(at, now));
        if !asked_for && !unsure {
            self.proven = Some(now);
        }
    }

    /// Whether an unasked hello came in lately.
    pub fn is_proven(&self, now: Duration) -> bool {
        self.proven.is_some_and(|at| lately(at, now))
    }
}

fn lately(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < LATELY
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn address(n: u32) -> SocketAddrV4 {
        SocketAddrV4::new(n.into(), 4000)
    }

    #[test]
    fn only_an_unasked_hello_proves_it_and_for_a_while() {
        let mut port = Port::default();
        assert!(!port.is_proven(S));
        port.sent(address(1), S);
        port.heard(address(1), 2 * S);
        assert!(!port.is_proven(2 * S), "it may be an answer");
        port.heard(address(2), 3 * S);
        assert!(port.is_proven(3 * S) && port.is_proven(1802 * S));
        assert!(!port.is_proven(1803 * S));
        port.heard(address(1), 1803 * S);
        assert!(port.is_proven(1803 * S), "nothing was sent there lately");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_proves_nothing() {
        let mut port = Port::default();
        for n in 0..10_000 {
            port.sent(address(n), S);
        }
        assert!(port.sent.len() <= MAX_SENT);
        port.heard(address(1), S);
        assert!(!port.is_proven(S));
    }
}
