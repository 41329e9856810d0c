//! All series, with meaning, unit and labels.
//!
//! Names are `kukuri_<service>_<noun>_<unit>[_total]`, in base units. A series whose labels are
//! known starts at 0, so that a rate over it is right from the first event on.

use kukuri_contract::{
    AnnounceResult, AskDrop, BeaconDrop, BoardResult, DialResult, DiscoveryPort, GossipPort,
    HelloDrop, IdentityPort, MetricsPort, Offense, PageDrop, PostDrop, ProofDrop, ProofSide,
    Reachability, RepairResult, RestartReason, SecretStoreKind, SkipReason, Source, StorePort,
    Verdict,
};

/// One series, or one for each combination of its labels' values.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What one of it means.
    pub help: &'static str,
    /// Its labels with all their values, at most [`MAX_LABELS`].
    pub labels: &'static [Label],
}

/// Most labels of one series.
pub const MAX_LABELS: usize = 2;

/// Counter, gauge or histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Seconds, sorted into buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// A label with all its values.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All values that it can have.
    pub values: fn() -> Vec<&'static str>,
}

/// From a round trip on one machine to the time after which the plan calls a first contact late.
const CONTACT: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.2, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// From a dial to a member of the other part, to the longest that one is asked for.
const HEALING: &[f64] = &[
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
];
/// From a write to memory to a disk that is in trouble.
const DISK: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

const SOURCE: Label = Label {
    name: "source",
    values: || Source::ALL.map(Source::as_str).to_vec(),
};
const OUTCOME: Label = Label {
    name: "outcome",
    values: || Verdict::OUTCOMES.to_vec(),
};
const RESULT_OF_JOIN: Label = Label {
    name: "result",
    values: || Verdict::OUTCOMES.to_vec(),
};
const RESULT_OF_ANNOUNCE: Label = Label {
    name: "result",
    values: || AnnounceResult::ALL.map(AnnounceResult::as_str).to_vec(),
};
const RESULT_OF_BOARD_WRITE: Label = Label {
    name: "result",
    values: || BoardResult::ALL.map(BoardResult::as_str).to_vec(),
};
const REASON_OF_PAGE_DROP: Label = Label {
    name: "reason",
    values: || PageDrop::ALL.map(PageDrop::as_str).to_vec(),
};
const RESULT_OF_DIAL: Label = Label {
    name: "result",
    values: || DialResult::ALL.map(DialResult::as_str).to_vec(),
};
const STATE: Label = Label {
    name: "state",
    values: || Reachability::ALL.map(Reachability::as_str).to_vec(),
};
const REASON_OF_SKIP: Label = Label {
    name: "reason",
    values: || SkipReason::ALL.map(SkipReason::as_str).to_vec(),
};
const REASON_OF_HELLO_DROP: Label = Label {
    name: "reason",
    values: || HelloDrop::ALL.map(HelloDrop::as_str).to_vec(),
};
const REASON_OF_BEACON_DROP: Label = Label {
    name: "reason",
    values: || BeaconDrop::ALL.map(BeaconDrop::as_str).to_vec(),
};
const REASON_OF_POST_DROP: Label = Label {
    name: "reason",
    values: || PostDrop::ALL.map(PostDrop::as_str).to_vec(),
};
const OFFENSE: Label = Label {
    name: "reason",
    values: || Offense::ALL.map(Offense::as_str).to_vec(),
};
const REASON_OF_STORE_FAILURE: Label = Label {
    name: "reason",
    values: || vec!["disk_full", "read_only", "corrupt", "failed"],
};
const REASON_OF_ASK_DROP: Label = Label {
    name: "reason",
    values: || AskDrop::ALL.map(AskDrop::as_str).to_vec(),
};
const SIDE_OF_PROOF: Label = Label {
    name: "side",
    values: || ProofSide::ALL.map(ProofSide::as_str).to_vec(),
};
const REASON_OF_PROOF_DROP: Label = Label {
    name: "reason",
    values: || ProofDrop::ALL.map(ProofDrop::as_str).to_vec(),
};
const REASON_OF_RESTART: Label = Label {
    name: "reason",
    values: || RestartReason::ALL.map(RestartReason::as_str).to_vec(),
};
const RESULT_OF_REPAIR: Label = Label {
    name: "result",
    values: || RepairResult::ALL.map(RepairResult::as_str).to_vec(),
};
const SERVICE: Label = Label {
    name: "service",
    values: || {
        vec![
            IdentityPort::SERVICE,
            DiscoveryPort::SERVICE,
            GossipPort::SERVICE,
            StorePort::SERVICE,
            MetricsPort::SERVICE,
            NODE,
        ]
    },
};
/// Its one value is known when the node says it.
const VERSION: Label = Label {
    name: "version",
    values: Vec::new,
};
const SECRET_STORE: Label = Label {
    name: "store",
    values: || SecretStoreKind::ALL.map(SecretStoreKind::as_str).to_vec(),
};

/// The actor that ties the services together, where it is counted among them.
pub const NODE: &str = "node";

macro_rules! all_series {
    ($(#[$doc:meta])* $all:ident: $($id:ident = $name:literal, $kind:expr, $labels:expr, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $id: Series = Series {
                name: $name,
                kind: $kind,
                help: $help,
                labels: $labels,
            };
        )+
        $(#[$doc])*
        pub const $all: &[Series] = &[$($id),+];
    };
}

use Kind::{Counter, Gauge, Histogram};

all_series! {
    /// Every series that events change.
    ALL:
    FIRST_NEIGHBOR = "kukuri_discovery_first_neighbor_seconds", Histogram(CONTACT), &[SOURCE],
        "From the join, or from the loss of the last neighbor, to the first neighbor.";
    JOINS = "kukuri_discovery_joins_total", Counter, &[RESULT_OF_JOIN],
        "Searches for a first neighbor by their first outcome; the success indicator.";
    VERDICT = "kukuri_discovery_verdict_topics", Gauge, &[OUTCOME],
        "Topics by what has come of looking for their peers.";
    PEERS_FOUND = "kukuri_discovery_peers_found_total", Counter, &[SOURCE],
        "Peers told to the dialer: verified endpoints, once per source, again when still needed.";
    LOOKUPS = "kukuri_discovery_lookups_total", Counter, &[],
        "DHT lookups that have ended.";
    LOOKUP = "kukuri_discovery_lookup_seconds", Histogram(CONTACT), &[],
        "From the start of a DHT lookup to its end.";
    FIRST_RECORD = "kukuri_discovery_first_record_seconds", Histogram(CONTACT), &[],
        "From the start of a DHT lookup to its first entry.";
    LOOKUP_ENTRIES = "kukuri_discovery_lookup_entries_total", Counter, &[],
        "Distinct entries that DHT lookups brought; anybody can announce anything.";
    ANNOUNCES = "kukuri_discovery_announces_total", Counter, &[RESULT_OF_ANNOUNCE],
        "Announcements on the DHT that have ended, retries not counted.";
    DHT_PUT = "kukuri_dht_put_seconds", Histogram(CONTACT), &[],
        "From the start of an announcement on the DHT to its end, retries included.";
    SKIPS = "kukuri_discovery_announces_skipped_total", Counter, &[REASON_OF_SKIP],
        "Announcements that were due and not made.";
    HELLOS_SENT = "kukuri_discovery_hellos_sent_total", Counter, &[],
        "Hello packets sent to entries of the rendezvous, retries included.";
    HELLOS_ANSWERED = "kukuri_discovery_hellos_answered_total", Counter, &[],
        "Hellos that a member answered.";
    HELLO = "kukuri_discovery_hello_seconds", Histogram(CONTACT), &[],
        "From the first try of a hello to its answer.";
    HELLOS_SERVED = "kukuri_discovery_hellos_served_total", Counter, &[],
        "Hellos of members that this node answered.";
    DISCOVERY_DROPS = "kukuri_discovery_drops_total", Counter, &[REASON_OF_HELLO_DROP],
        "Datagrams, records and entries that were not used.";
    BOARD_READ = "kukuri_discovery_board_read_seconds", Histogram(CONTACT), &[],
        "From the first to the last slot of the board that were read together.";
    BOARD_PAGES = "kukuri_discovery_board_pages_total", Counter, &[],
        "Different pages of the board that were read.";
    BOARD_RECORDS = "kukuri_discovery_board_records_total", Counter, &[],
        "Verified records on these pages, each endpoint once per read.";
    BOARD_WRITES = "kukuri_discovery_board_writes_total", Counter, &[RESULT_OF_BOARD_WRITE],
        "Writes of the board that have ended, retries and reading back not counted.";
    BOARD_WRITE = "kukuri_discovery_board_write_seconds", Histogram(CONTACT), &[],
        "From the start of a write of the board to its end, retries and reading back included.";
    PAGE_DROPS = "kukuri_discovery_page_drops_total", Counter, &[REASON_OF_PAGE_DROP],
        "Pages of the board, and records on them, that were not used.";
    MEMBERS = "kukuri_swarm_members", Gauge, &[],
        "Members of the largest swarm that this node is in, itself included; from 64 on an estimate.";
    ROOT_CHANGES = "kukuri_swarm_root_changes_total", Counter, &[],
        "Times that another member became the root of a swarm.";
    BEACONS_SENT = "kukuri_swarm_beacons_sent_total", Counter, &[],
        "Beacons broadcast, heartbeats of a root among them.";
    BEACON_DROPS = "kukuri_swarm_beacon_drops_total", Counter, &[REASON_OF_BEACON_DROP],
        "Beacons that were not used.";
    PARTS_FOUND = "kukuri_swarm_parts_found_total", Counter, &[],
        "Members of another part of a swarm that were found, to be dialed.";
    HEAL = "kukuri_gossip_heal_seconds", Histogram(HEALING), &[],
        "From the first sight of another part of a swarm until the two are one again.";
    ROOT_MARK = "kukuri_swarm_root_mark", Gauge, &[],
        "A number for the root of the largest swarm that this node is in: each part of a split swarm has \
         another one. 0: none is known.";
    ROUTING_TABLE = "kukuri_dht_routing_table_nodes", Gauge, &[],
        "DHT nodes in the routing table.";
    DHT_SERVING = "kukuri_dht_serving", Gauge, &[],
        "1 where this node answers queries of other DHT nodes, else 0.";
    HELLO_PORT = "kukuri_discovery_hello_port", Gauge, &[STATE],
        "1 for what is known of the hello port's reachability, else 0; all 0 at the start.";
    PORT_MAPPED = "kukuri_discovery_port_mapped", Gauge, &[],
        "1 while the router forwards a port to the hello port, else 0.";
    PORT_MAPPINGS_FAILED = "kukuri_discovery_port_mappings_failed_total", Counter, &[],
        "Times that no router was found that forwards a port.";

    NEIGHBORS = "kukuri_gossip_neighbors", Gauge, &[],
        "Neighbors in the swarms of all topics.";
    NEIGHBOR_UPS = "kukuri_gossip_neighbor_ups_total", Counter, &[],
        "Peers that became neighbors.";
    NEIGHBOR_DOWNS = "kukuri_gossip_neighbor_downs_total", Counter, &[],
        "Neighbors that were lost.";
    RECEIVED = "kukuri_gossip_received_total", Counter, &[],
        "Broadcasts that came in, before anything is verified.";
    RECEIVED_BYTES = "kukuri_gossip_received_bytes_total", Counter, &[],
        "Bytes of broadcasts that came in.";
    TOPIC_LAGS = "kukuri_gossip_topic_lags_total", Counter, &[],
        "Times that a swarm was faster than this node, so that broadcasts were lost.";
    DIALS = "kukuri_gossip_dials_total", Counter, &[RESULT_OF_DIAL],
        "Dials that have ended.";
    DIAL = "kukuri_gossip_dial_seconds", Histogram(CONTACT), &[],
        "From the start of a dial to its end.";
    DIALS_DROPPED = "kukuri_gossip_dials_dropped_total", Counter, &[],
        "Peers that were not dialed, because others waited already.";
    ASKS_DROPPED = "kukuri_gossip_asks_dropped_total", Counter, &[REASON_OF_ASK_DROP],
        "Questions of peers that were not passed on.";
    PROOFS_DROPPED = "kukuri_gossip_proofs_dropped_total", Counter,
        &[SIDE_OF_PROOF, REASON_OF_PROOF_DROP],
        "Connections that were not let into a topic, because one side did not prove to be a member.";
    DELIVERY = "kukuri_gossip_delivery_seconds", Histogram(CONTACT), &[],
        "From the author's clock to the delivery of a post; clocks that disagree add to it.";

    COMMITS = "kukuri_store_commits_total", Counter, &[],
        "Transactions that are on disk.";
    WRITES = "kukuri_store_writes_total", Counter, &[],
        "Writes that are on disk; several share a transaction.";
    COMMIT = "kukuri_store_commit_seconds", Histogram(DISK), &[],
        "From the start of a transaction to its end on disk.";
    PRUNED_POSTS = "kukuri_store_posts_pruned_total", Counter, &[],
        "Posts that the retention dropped.";
    PRUNED_PEERS = "kukuri_store_peers_pruned_total", Counter, &[],
        "Known peers that the retention dropped.";
    STORE_FAILURES = "kukuri_store_failures_total", Counter, &[REASON_OF_STORE_FAILURE],
        "Requests that the store failed.";

    INFO = "kukuri_node_info", Gauge, &[VERSION],
        "1, with the version of the program.";
    SECRETS = "kukuri_identity_secret_store", Gauge, &[SECRET_STORE],
        "1 for the store that keeps this node's secrets, else 0.";
    TOPICS = "kukuri_node_topics", Gauge, &[],
        "Topics that this node has joined.";
    POSTS_SENT = "kukuri_node_posts_sent_total", Counter, &[],
        "Posts of this node that are stored and on their way.";
    POSTS_RECEIVED = "kukuri_node_posts_received_total", Counter, &[],
        "Posts of others that were verified, stored and delivered.";
    POSTS_DROPPED = "kukuri_node_posts_dropped_total", Counter, &[REASON_OF_POST_DROP],
        "Posts that were not delivered; duplicates are a part of gossip.";
    OFFENSES = "kukuri_node_offenses_total", Counter, &[OFFENSE],
        "What peers did that no honest one does, counted once a second and peer.";
    BANS = "kukuri_node_bans_total", Counter, &[OFFENSE],
        "Peers that were banned for a time, by what they did last.";
    BANNED = "kukuri_node_banned_peers", Gauge, &[],
        "Peers that are banned.";
    EVENTS_MISSED = "kukuri_node_events_missed_total", Counter, &[SERVICE],
        "Events of a service that the node was too slow for.";
    CALLS_FAILED = "kukuri_node_calls_failed_total", Counter, &[SERVICE],
        "Requests to a service that failed.";
    RESTARTS = "kukuri_node_restarts_total", Counter, &[SERVICE, REASON_OF_RESTART],
        "Times that a service was started again.";
    IN_FLIGHT = "kukuri_node_requests_in_flight", Gauge, &[SERVICE],
        "Requests under way to a service; at its bound further ones are refused as busy.";
    REPAIRS = "kukuri_node_repairs_total", Counter, &[RESULT_OF_REPAIR],
        "Gap repairs with a neighbor that have ended.";
    REPAIRED = "kukuri_node_posts_repaired_total", Counter, &[],
        "Posts that gap repair brought.";
    REPAIRS_SERVED = "kukuri_node_repairs_served_total", Counter, &[],
        "Gap repairs of neighbors that were answered.";
    POSTS_SERVED = "kukuri_node_posts_served_total", Counter, &[],
        "Posts that were given to neighbors by gap repair.";
    METRICS_MISSED = "kukuri_metrics_events_missed_total", Counter, &[SERVICE],
        "Events of a service that the metrics were too slow for: the other series lack them.";
}

all_series! {
    /// Every series about exports, where there are any.
    EXPORT:
    EXPORTS_FAILED = "kukuri_metrics_exports_failed_total", Counter, &[],
        "Exports that the collector did not take, or not all of; told by the next one that it takes.";
}

all_series! {
    /// Every series about the process, under the names that Prometheus gives them everywhere. Their
    /// values are those of the moment, as far as the operating system tells them.
    PROCESS:
    CPU = "process_cpu_seconds_total", Counter, &[],
        "Time of processors that the process has used, in seconds.";
    MEMORY = "process_resident_memory_bytes", Gauge, &[],
        "Memory of the process that is in RAM.";
    OPEN_FDS = "process_open_fds", Gauge, &[],
        "Files and sockets that the process has open.";
    MAX_FDS = "process_max_fds", Gauge, &[],
        "Files and sockets that the process may have open; 0: any number.";
    THREADS = "process_threads", Gauge, &[],
        "Threads of the process.";
    START_TIME = "process_start_time_seconds", Gauge, &[],
        "When the process was started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let mut names = BTreeSet::new();
        let of = |prefix, all: &'static [Series]| all.iter().map(move |series| (prefix, series));
        let ours = of("kukuri_", ALL).chain(of("kukuri_", EXPORT));
        for (prefix, series) in ours.chain(of("process_", PROCESS)) {
            let name = series.name;
            assert!(names.insert(name), "{name} twice");
            assert!(name.starts_with(prefix), "{name}");
            let total = name.ends_with("_total");
            assert_eq!(total, series.kind == Counter, "{name}");
            if let Histogram(buckets) = series.kind {
                assert!(name.ends_with("_seconds"), "{name}");
                assert!(buckets.is_sorted(), "{name}");
            }
            assert!(series.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn labels_are_bounded_and_distinct() {
        for series in ALL {
            assert!(series.labels.len() <= MAX_LABELS, "{}", series.name);
        }
        for label in ALL.iter().flat_map(|series| series.labels) {
            let values = (label.values)();
            let distinct: BTreeSet<_> = values.iter().collect();
            assert_eq!(values.len(), distinct.len(), "{}", label.name);
            assert!(values.len() <= 20, "{}", label.name);
        }
    }
}
