//! What the attacks share: repeatable randomness, a clock that stands at a chosen place of its
//! epoch, members that the tests themselves play, and counts of all that a node tells.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::{Duration, Instant};

use kukuri_conformance::{MemoryIdentity, in_namespace};
use kukuri_contract::{
    AddTopic, DiscoveryEvent, EndpointAddr, EndpointId, Epoch, EpochKeys, HelloDrop, IdentityPort,
    InfoHash, Sign, SignRequest, Source, TopicId, TopicKeys, TopicSecret, UnixMillis, Verdict,
    WallClock,
};
use kukuri_discovery::Config;
use kukuri_discovery::core::record::{NO_MARK, body, finish};

use crate::support::{Node, Start, config};

/// The secret of the tests' topic.
pub const SECRET: u8 = 7;
/// Packets that one member may send to one host that never answers, in the three minutes that a
/// test takes at most: 4 entries of 3 tries, and again after rests of 60 and 120 s.
pub const PER_HOST: u64 = 3 * 4 * 3;
/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(400);
/// Some time at the start of an epoch.
const EPOCH_START: u64 = 1_780_000_200_000;

/// Repeatable randomness (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// A clock that is so many seconds into its epoch when the test starts, so that no epoch turns
/// unless the test means it to.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    at: u64,
}

impl Clock {
    pub fn seconds_into_epoch(seconds: u64) -> Self {
        assert_eq!(EPOCH_START % 600_000, 0);
        let at = EPOCH_START + seconds * 1000;
        let started = Instant::now();
        Self { started, at }
    }

    /// What it says to somebody whose clock is off by so much.
    pub fn off_by(self, seconds: i64) -> WallClock {
        WallClock::new(move || {
            let passed = self.started.elapsed().as_millis() as u64;
            UnixMillis((self.at + passed).saturating_add_signed(seconds * 1000))
        })
    }

    pub fn now(self) -> UnixMillis {
        self.off_by(0).now()
    }

    pub fn epoch(self) -> Epoch {
        Epoch::at(self.now())
    }
}

/// Runs the test in a network of its own where all of 11.0.0.0/8 is this machine, so that nodes
/// use public addresses and all bounds hold; on loopback some do not. There, `ip kukuri` of nft has
/// the counters and rules of the test.
pub fn at_large(test: &str, rules: &[&str]) -> bool {
    let mut setup = "ip link set lo up && ip route add local 11.0.0.0/8 dev lo \
         && nft add table ip kukuri \
         && nft add chain ip kukuri in '{ type filter hook input priority 0; }'"
        .to_owned();
    for rule in rules {
        setup += &format!(" && nft add rule ip kukuri in {rule}");
    }
    in_namespace(test, &setup)
}

/// The packets and bytes that each `counter` of the rules has counted, in their order.
pub fn counted() -> Vec<(u64, u64)> {
    let mut nft = Command::new("nft");
    let listed = nft
        .args(["list", "table", "ip", "kukuri"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("counter packets ")?;
        let mut words = rest.split_whitespace();
        let packets = words.next()?.parse().unwrap();
        Some((packets, words.nth(1)?.parse().unwrap()))
    });
    lines.collect()
}

/// The host of member number n at large: each is in a network of its own.
pub fn home(n: u64) -> Ipv4Addr {
    Ipv4Addr::new(11, 1, n as u8, 1)
}

/// Settings of member number n at large.
pub fn public(n: u64, bootstrap: &[SocketAddrV4]) -> Config {
    let bind = SocketAddrV4::new(home(n), 0);
    Config {
        dht_bind: bind,
        hello_bind: bind,
        ..config(bootstrap)
    }
}

/// Starts member number n at large, and has it look for the others.
pub async fn member(n: u64, bootstrap: &[SocketAddrV4], clock: Clock) -> Node {
    let node = start(n, public(n, bootstrap), clock).await;
    node.discover().await;
    node
}

/// Starts member number n with these settings.
pub async fn start(n: u64, config: Config, clock: Clock) -> Node {
    let mut start = Start::new(config);
    start.ip = *start.config.hello_bind.ip();
    start.secret = Some(SECRET);
    start.clock = clock.off_by(0);
    start.node(n).await
}

/// A member whose part the test plays: it has the secret, and no good intent.
pub struct Insider {
    pub id: EndpointId,
    pub topic: TopicId,
    identity: IdentityPort,
}

impl Insider {
    pub async fn new(n: u64, secret: u8) -> Self {
        let (id, identity) = MemoryIdentity::spawn(n);
        let add = AddTopic {
            name: "test".parse().unwrap(),
            secret: Some(TopicSecret::from_bytes([secret; 32])),
        };
        let topic = identity.add_topic(add).await.unwrap();
        Self {
            id,
            topic,
            identity,
        }
    }

    pub async fn keys(&self, epoch: Epoch) -> EpochKeys {
        let topic = self.topic;
        self.identity
            .topic_keys(TopicKeys { topic, epoch })
            .await
            .unwrap()
    }

    pub async fn infohash(&self, epoch: Epoch) -> InfoHash {
        self.keys(epoch).await.infohash
    }

    /// A record of this member: at this address, issued then.
    pub async fn record(&self, at: &[SocketAddr], issued: UnixMillis) -> Vec<u8> {
        let peer = EndpointAddr {
            id: self.id,
            direct: at.to_vec(),
            relay: None,
        };
        let body = body(&peer, issued, NO_MARK);
        let request = SignRequest::Record {
            topic: self.topic,
            epoch: Epoch::at(issued),
            body: body.clone(),
        };
        finish(body, &self.identity.sign(Sign(request)).await.unwrap())
    }
}

/// All that a node has told, counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub found: BTreeMap<EndpointId, (EndpointAddr, Source, Duration)>,
    pub drops: HashMap<HelloDrop, usize>,
    pub sent: usize,
    pub served: usize,
    pub answered: usize,
    pub announced: usize,
    pub stayed_away: usize,
    pub lookups: usize,
    pub entries: usize,
    pub verdict: Option<Verdict>,
}

impl Tally {
    pub fn note(&mut self, event: DiscoveryEvent) {
        match event {
            DiscoveryEvent::PeerFound {
                peer,
                source,
                after,
                ..
            } => {
                self.found.entry(peer.id).or_insert((peer, source, after));
            }
            DiscoveryEvent::Dropped { reason } => *self.drops.entry(reason).or_default() += 1,
            DiscoveryEvent::HelloSent => self.sent += 1,
            DiscoveryEvent::HelloServed => self.served += 1,
            DiscoveryEvent::HelloAnswered { .. } => self.answered += 1,
            DiscoveryEvent::AnnounceEnded { .. } => self.announced += 1,
            DiscoveryEvent::AnnounceSkipped { .. } => self.stayed_away += 1,
            DiscoveryEvent::LookupEnded { stats, .. } => {
                self.lookups += 1;
                self.entries = self.entries.max(stats.entries);
            }
            DiscoveryEvent::VerdictChanged { verdict, .. } => self.verdict = Some(verdict),
            DiscoveryEvent::Lagged(missed) => panic!("the log missed {missed} events"),
            _ => {}
        }
    }

    pub fn dropped(&self, reason: HelloDrop) -> usize {
        self.drops.get(&reason).copied().unwrap_or(0)
    }

    /// Takes in what has come until now.
    pub fn catch_up(&mut self, node: &mut Node) {
        node.log.drain().into_iter().for_each(|e| self.note(e));
    }

    /// Takes in events until it is so.
    pub async fn until(&mut self, node: &mut Node, what: &str, so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        self.catch_up(node);
        while !so(self) {
            assert!(start.elapsed() < DEADLINE, "in vain for {what}: {self:?}");
            let event = node.log.wait_for(what, Some).await;
            self.note(event);
        }
    }
}
