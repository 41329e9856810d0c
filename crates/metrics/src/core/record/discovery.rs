//! Which event of discovery changes which series.

use kukuri_contract::{DiscoveryEvent, DiscoveryPort, EndpointId, Reachability, TopicId};

use super::super::series;
use super::{Change, Recorder, count, lagged, observe, set};

impl Recorder {
    /// Changes that an event of discovery means.
    pub fn discovery(&mut self, event: &DiscoveryEvent) -> Vec<Change> {
        match event {
            DiscoveryEvent::PeerFound { source, .. } => {
                vec![count(&series::PEERS_FOUND, source.as_str(), 1)]
            }
            DiscoveryEvent::FirstEntry { after, .. } => {
                vec![observe(&series::FIRST_RECORD, *after)]
            }
            DiscoveryEvent::LookupEnded { stats, .. } => vec![
                count(&series::LOOKUPS, "", 1),
                count(&series::LOOKUP_ENTRIES, "", stats.entries as u64),
                observe(&series::LOOKUP, stats.took),
            ],
            DiscoveryEvent::AnnounceEnded { result, took, .. } => vec![
                count(&series::ANNOUNCES, result.as_str(), 1),
                observe(&series::DHT_PUT, *took),
            ],
            DiscoveryEvent::AnnounceSkipped { reason, .. } => {
                vec![count(&series::SKIPS, reason.as_str(), 1)]
            }
            DiscoveryEvent::HelloSent => vec![count(&series::HELLOS_SENT, "", 1)],
            DiscoveryEvent::HelloAnswered { after } => vec![
                count(&series::HELLOS_ANSWERED, "", 1),
                observe(&series::HELLO, *after),
            ],
            DiscoveryEvent::HelloServed => vec![count(&series::HELLOS_SERVED, "", 1)],
            DiscoveryEvent::Dropped { reason } => {
                vec![count(&series::DISCOVERY_DROPS, reason.as_str(), 1)]
            }
            DiscoveryEvent::BoardRead {
                pages,
                records,
                took,
                ..
            } => vec![
                observe(&series::BOARD_READ, *took),
                count(&series::BOARD_PAGES, "", (*pages).into()),
                count(&series::BOARD_RECORDS, "", (*records).into()),
            ],
            DiscoveryEvent::BoardWritten { result, took, .. } => vec![
                count(&series::BOARD_WRITES, result.as_str(), 1),
                observe(&series::BOARD_WRITE, *took),
            ],
            DiscoveryEvent::PageDropped { reason } => {
                vec![count(&series::PAGE_DROPS, reason.as_str(), 1)]
            }
            DiscoveryEvent::DhtHealthChanged(health) => vec![
                set(
                    &series::ROUTING_TABLE,
                    "",
                    health.routing_table.unwrap_or(0) as f64,
                ),
                set(&series::DHT_SERVING, "", f64::from(u8::from(health.serves))),
            ],
            DiscoveryEvent::BeaconDue { .. } => vec![count(&series::BEACONS_SENT, "", 1)],
            DiscoveryEvent::BeaconDropped { reason } => {
                vec![count(&series::BEACON_DROPS, reason.as_str(), 1)]
            }
            DiscoveryEvent::PartFound { .. } => vec![count(&series::PARTS_FOUND, "", 1)],
            DiscoveryEvent::PartsJoined { after, .. } => vec![observe(&series::HEAL, *after)],
            DiscoveryEvent::SwarmChanged {
                topic,
                root,
                members,
            } => self.swarm_changed(*topic, *root, *members),
            DiscoveryEvent::ReachabilityChanged(now) => {
                let one = |state: Reachability| {
                    let is = f64::from(u8::from(state == *now));
                    set(&series::HELLO_PORT, state.as_str(), is)
                };
                Reachability::ALL.map(one).to_vec()
            }
            DiscoveryEvent::PortMapped(address) => {
                let mapped = f64::from(u8::from(address.is_some()));
                vec![set(&series::PORT_MAPPED, "", mapped)]
            }
            DiscoveryEvent::PortMappingFailed => {
                vec![count(&series::PORT_MAPPINGS_FAILED, "", 1)]
            }
            // The node says it with what was before.
            DiscoveryEvent::VerdictChanged { .. } => Vec::new(),
            DiscoveryEvent::Lagged(missed) => lagged(DiscoveryPort::SERVICE, *missed),
            _ => Vec::new(),
        }
    }

    fn swarm_changed(
        &mut self,
        topic: TopicId,
        root: Option<EndpointId>,
        members: u64,
    ) -> Vec<Change> {
        let before = self.swarms.insert(topic, (root, members));
        let before = before.and_then(|(root, _)| root);
        let mut changes = self.say_swarm();
        if before.is_some() && root.is_some() && before != root {
            changes.push(count(&series::ROOT_CHANGES, "", 1));
        }
        changes
    }

    /// What is known of the largest swarm.
    pub(super) fn say_swarm(&self) -> Vec<Change> {
        let largest = self.swarms.values().max_by_key(|(_, members)| *members);
        let (root, members) = largest.copied().unwrap_or_default();
        vec![
            set(&series::MEMBERS, "", members as f64),
            set(&series::ROOT_MARK, "", root.map_or(0.0, mark)),
        ]
    }
}

/// A number for an endpoint that does not tell which it is: its hash (FNV-1a), cut to what a float
/// holds exactly, and never 0.
fn mark(root: EndpointId) -> f64 {
    let (basis, prime) = (0xcbf2_9ce4_8422_2325_u64, 0x0100_0000_01b3);
    let bytes = root.as_bytes().iter();
    let hash = bytes.fold(basis, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(prime)
    });
    ((hash >> 16) | 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_swarm_have_different_marks_and_all_of_one_part_the_same() {
        let topic = TopicId::from_bytes([1; 32]);
        let endpoint = |n| EndpointId::from_bytes([n; 32]);
        let says = |recorder: &mut Recorder, topic, root, members| {
            let event = DiscoveryEvent::SwarmChanged {
                topic,
                root,
                members,
            };
            let changes = recorder.discovery(&event);
            let of = |change: &Change| match change {
                Change::Set(name, _, to) if *name == series::ROOT_MARK.name => Some(*to),
                _ => None,
            };
            changes.iter().find_map(of)
        };
        let (mut a, mut b) = (Recorder::default(), Recorder::default());
        let one = says(&mut a, topic, Some(endpoint(1)), 9);
        assert_eq!(one, says(&mut b, topic, Some(endpoint(1)), 8));
        assert_ne!(one, says(&mut b, topic, Some(endpoint(2)), 8));
        // A smaller swarm that this node is in too has no say.
        let other = TopicId::from_bytes([2; 32]);
        assert_eq!(one, says(&mut a, other, Some(endpoint(3)), 2));
        assert_eq!(Some(0.0), says(&mut a, topic, None, 9));
    }
}
