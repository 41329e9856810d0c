//! Settings of discovery. The plan's numbers are the defaults.

use std::net::{Ipv4Addr, SocketAddrV4};

use kukuri_contract::{EndpointAddr, EndpointAddrError};
use serde::{Deserialize, Serialize};

use crate::core::given::MAX_GIVEN;
use crate::error::DiscoveryError;

/// Settings of the implementation `mainline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// DHT nodes to start from, as `HOST:PORT`. Empty: the well-known public ones.
    pub bootstrap: Vec<String>,
    /// Where the DHT socket is bound (IPv4 only, as Mainline is). Port 0 takes a free one.
    pub dht_bind: SocketAddrV4,
    /// Where the hello socket is bound. Port 0 takes a free one.
    pub hello_bind: SocketAddrV4,
    /// Ask the router (PCP, NAT-PMP, UPnP) to forward a port to the hello socket, so that members
    /// behind other routers can say hello. Never where `hello_bind` is a loopback address. On: most
    /// homes have such a router, and without one it costs a few packets every few minutes.
    pub port_mapping: bool,
    /// Whether this node answers queries of other DHT nodes.
    pub serve: Serve,
    /// Publish, accept and ask private (RFC 1918) and link-local addresses. Off: they mean
    /// nothing outside of their network. `sources.lan` turns it on too: a local network has hardly
    /// any other addresses. (Which of its own addresses the transport tells is a setting of gossip:
    /// `gossip.advertise_private`.)
    pub allow_private: bool,
    /// Which sources of peers are in use.
    pub sources: Sources,
    /// Most topics at once. 64: a hello tries the tags of every topic in five epochs.
    pub max_topics: usize,
    /// Gives each topic a DHT node and a hello socket of its own, so that nobody can tell by them that
    /// two topics are one node's; the IP address stays the same. Off: each costs a thread and as much
    /// DHT traffic as a node.
    pub separate_topics: bool,

    /// Wait for one reply of a DHT node, in milliseconds. 250: silent nodes are common, and every
    /// look-up that finds nothing waits for them; live nodes answer in 100 to 200 (measured).
    pub request_timeout_ms: u64,
    /// The same where hardly any DHT node answers within `request_timeout_ms`. 2 s: mainline's own
    /// default.
    pub patient_timeout_ms: u64,
    /// Longest look-up in milliseconds (from the plan: 5 s); what it brought until then is kept.
    pub lookup_timeout_ms: u64,
    /// First pause between look-ups of a lonely node, in milliseconds; it doubles each time.
    pub lookup_pause_min_ms: u64,
    /// Longest pause between look-ups of a lonely node, in milliseconds.
    pub lookup_pause_max_ms: u64,

    /// Most announcements per topic and minute (from the plan: 10), retries not counted.
    pub announces_per_minute: u32,
    /// Retries of a failed announcement (from the plan: 3).
    pub announce_retries: u32,
    /// Most random delay before a retry, in milliseconds (from the plan: 500).
    pub announce_jitter_ms: u64,
    /// Longest try of an announcement in milliseconds (from the plan: 5 s).
    pub announce_timeout_ms: u64,
    /// Shortest time between announcements of one node in seconds (from the plan: 5 min).
    pub reannounce_s: u64,
    /// A topic of N members is announced every N times so many seconds by each. 6: ten writes a
    /// minute in all, the plan's limit.
    pub reannounce_per_member_s: u64,

    /// Slots of the board that are read at once. 4: each brings some twenty replies of up to 1.8 kB
    /// within a few milliseconds, and the DHT socket's buffer holds not many more.
    pub board_reads_in_flight: usize,
    /// Longest pause between two readings of the board by a lonely node, in milliseconds; the first is
    /// `lookup_pause_min_ms`, and each is four times the one before. 300 s, the usual interval of
    /// announcements: each reading is 24 queries.
    pub board_pause_max_ms: u64,

    /// Hellos at once that wait for the reply to their first try. 16: enough to ask a whole small
    /// topic in one round trip.
    pub hello_in_flight: usize,
    /// Hellos for the entries of one look-up. 64: an attacker's entries can't make a node scan.
    pub hellos_per_lookup: usize,
    /// Hellos for the entries of one look-up of a node that has neighbors: it only looks for a part
    /// of the swarm that it has never met.
    pub hellos_with_neighbors: usize,
    /// Hellos to one IP address in one look-up, and under way at once for one topic; after as many
    /// in a row that were not answered the host rests. Loopback excepted.
    pub hellos_per_ip: usize,
    /// Hellos to one /24 in one look-up, loopback excepted.
    pub hellos_per_subnet: usize,
    /// Tries of one hello; UDP loses packets.
    pub hello_tries: u32,
    /// Wait for the reply to the first try in milliseconds; it doubles each time. A guess that
    /// covers a round trip around the world.
    pub hello_timeout_ms: u64,
    /// How long an address rests that did not answer, in milliseconds; it doubles up to
    /// 5 min.
    pub hello_rest_ms: u64,
    /// How long an address that answered is not asked again for the same topic, in milliseconds.
    pub hello_answered_rest_ms: u64,

    /// When a node without a neighbor says why, in milliseconds after the join (from the plan:
    /// first contact within 10 s).
    pub first_contact_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        Self {
            bootstrap: Vec::new(),
            dht_bind: any,
            hello_bind: any,
            port_mapping: true,
            serve: Serve::Auto,
            allow_private: false,
            sources: Sources::default(),
            max_topics: 64,
            separate_topics: false,
            request_timeout_ms: 250,
            patient_timeout_ms: 2_000,
            lookup_timeout_ms: 5_000,
            lookup_pause_min_ms: 500,
            lookup_pause_max_ms: 30_000,
            announces_per_minute: 10,
            announce_retries: 3,
            announce_jitter_ms: 500,
            announce_timeout_ms: 5_000,
            reannounce_s: 300,
            reannounce_per_member_s: 6,
            board_reads_in_flight: 4,
            board_pause_max_ms: 300_000,
            hello_in_flight: 16,
            hellos_per_lookup: 64,
            hellos_with_neighbors: 8,
            hellos_per_ip: 4,
            hellos_per_subnet: 8,
            hello_tries: 3,
            hello_timeout_ms: 300,
            hello_rest_ms: 60_000,
            hello_answered_rest_ms: 30_000,
            first_contact_ms: 10_000,
        }
    }
}

/// Whether this node answers queries of other DHT nodes. A reachable node should; a firewalled one
/// that sits silent in routing tables costs everybody a time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serve {
    /// On loopback at once; elsewhere when the node has been seen to be reachable.
    Auto,
    /// From the start.
    Always,
    /// Until the DHT node finds by itself that it is reachable.
    Never,
}

/// Which sources of peers are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sources {
    /// Peers that were neighbors in an earlier run.
    pub cache: bool,
    /// Peers that the user names.
    #[serde(rename = "static")]
    pub statics: bool,
    /// Members on the same local network, found by mDNS and verified by a hello. Off unless asked
    /// for: whoever is on that network sees that kukuri runs here and for how many topics, though
    /// not for which. Turns `allow_private` on.
    pub lan: bool,
    /// BEP5 rendezvous on the Mainline DHT, with the hello exchange.
    pub rendezvous: bool,
    /// BEP44 board on the Mainline DHT: records for nodes that no hello reaches. Without the
    /// rendezvous it is read and written by all.
    pub board: bool,
}

impl Sources {
    /// Whether a DHT node is needed.
    pub fn need_dht(&self) -> bool {
        self.rendezvous || self.board
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            cache: true,
            statics: true,
            lan: false,
            rendezvous: true,
            board: true,
        }
    }
}

/// Settings of the implementation `static`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaticConfig {
    /// Peers of every topic, as `ENDPOINT@ADDRESS:PORT`, besides those that are named with a topic. At
    /// most 64: as many as gossip keeps to be dialed. One that is not in a topic does not let us in.
    pub peers: Vec<String>,
    /// Most topics at once; the same bound as gossip's.
    pub max_topics: usize,
    /// First pause until a lonely node's peers are told again, in milliseconds; it doubles each time.
    pub pause_min_ms: u64,
    /// Longest pause until a lonely node's peers are told again, in milliseconds.
    pub pause_max_ms: u64,
    /// When a node without a neighbor says that it is alone, in milliseconds after the join. As with
    /// `mainline`.
    pub first_contact_ms: u64,
}

impl Default for StaticConfig {
    fn default() -> Self {
        let like = Config::default();
        Self {
            peers: Vec::new(),
            max_topics: like.max_topics,
            pause_min_ms: like.lookup_pause_min_ms,
            pause_max_ms: like.lookup_pause_max_ms,
            first_contact_ms: like.first_contact_ms,
        }
    }
}

impl StaticConfig {
    /// The peers that it names.
    pub(crate) fn named(&self) -> Result<Vec<EndpointAddr>, DiscoveryError> {
        let wrong = |problem| DiscoveryError::Config {
            field: "peers",
            problem,
        };
        if self.peers.len() > MAX_GIVEN {
            let many = self.peers.len();
            return Err(wrong(format!("{many} are too many; at most {MAX_GIVEN}")));
        }
        let parse = |text: &String| {
            let peer = text.parse();
            peer.map_err(|error: EndpointAddrError| wrong(format!("{text:?}: {error}")))
        };
        self.peers.iter().map(parse).collect()
    }

    pub(crate) fn as_mainline(&self) -> Config {
        Config {
            max_topics: self.max_topics,
            lookup_pause_min_ms: self.pause_min_ms,
            lookup_pause_max_ms: self.pause_max_ms,
            first_contact_ms: self.first_contact_ms,
            ..Config::without_dht(false)
        }
    }
}

/// Settings of the implementation `lan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanConfig {
    /// Where the hello socket is bound. Port 0 takes a free one; an address other than 0.0.0.0 keeps to
    /// the network of that address.
    pub hello_bind: SocketAddrV4,
    /// Most topics at once: as many as fit a beacon.
    pub max_topics: usize,
    /// When a node without a neighbor says why, in milliseconds after the join. As with `mainline`.
    pub first_contact_ms: u64,
}

impl Default for LanConfig {
    fn default() -> Self {
        let like = Config::default();
        Self {
            hello_bind: like.hello_bind,
            max_topics: like.max_topics,
            first_contact_ms: like.first_contact_ms,
        }
    }
}

impl LanConfig {
    pub(crate) fn as_mainline(&self) -> Config {
        Config {
            hello_bind: self.hello_bind,
            max_topics: self.max_topics,
            first_contact_ms: self.first_contact_ms,
            ..Config::without_dht(true)
        }
    }
}

/// Settings of the implementation `memory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Most topics at once: as many as fit a beacon.
    pub max_topics: usize,
    /// When a node without a neighbor says why, in milliseconds after the join. As with `mainline`; a
    /// test that waits for it takes less.
    pub first_contact_ms: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        let like = Config::default();
        Self {
            max_topics: like.max_topics,
            first_contact_ms: like.first_contact_ms,
        }
    }
}

impl MemoryConfig {
    pub(crate) fn as_mainline(&self) -> Config {
        Config {
            max_topics: self.max_topics,
            first_contact_ms: self.first_contact_ms,
            ..Config::without_dht(true)
        }
    }
}

impl Config {
    /// What is needed without DHT and internet; `beacons`: others are seen by their beacons.
    fn without_dht(beacons: bool) -> Self {
        Self {
            sources: Sources {
                lan: beacons,
                rendezvous: false,
                board: false,
                ..Sources::default()
            },
            port_mapping: false,
            ..Self::default()
        }
    }
}
