//! Peers that this node has nothing to do with.

use std::collections::BTreeSet;

use kukuri_contract::EndpointId;

/// Peers that are banned, in every topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Banned(BTreeSet<EndpointId>);

impl Banned {
    /// These and no others.
    pub fn new(peers: BTreeSet<EndpointId>) -> Self {
        Self(peers)
    }

    /// Whether a peer is.
    pub fn has(&self, peer: EndpointId) -> bool {
        self.0.contains(&peer)
    }

    /// Those that were not before.
    pub fn fresh(&self, before: &Self) -> Vec<EndpointId> {
        self.0.difference(&before.0).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_named_are_banned_and_each_is_fresh_once() {
        let [a, b] = [1, 2].map(|n| EndpointId::from_bytes([n; 32]));
        let none = Banned::default();
        let one = Banned::new([a].into());
        let both = Banned::new([a, b].into());
        assert!(one.has(a) && !one.has(b) && !none.has(a));
        assert_eq!(both.fresh(&one), [b]);
        assert_eq!(one.fresh(&none), [a]);
        assert_eq!(none.fresh(&both), []);
    }
}
