//! The clauses of discovery.

mod found;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use kukuri_contract::{
    AddTopic, Announce, AnnounceError, CallError, DhtHealthQuery, Discover, DiscoverError,
    DiscoveryDeps, DiscoveryEvent, DiscoveryPort, DiscoveryRunning, EndpointAddr, EndpointId,
    Forget, HearBeacon, IdentityPort, Lookup, LookupError, Outlet, SetAddress, SetAddressError,
    SetNeighbors, TopicId, WallClock,
};

use crate::events::{EventLog, FastAndSlow};
use crate::every::end;
use crate::kit::{Broken, Clause, Held, Service, Stage, clauses, ensure, ensure_eq, service_port};
use crate::reference::MemoryIdentity;
use found::*;

/// The discovery service.
#[derive(Debug)]
pub struct Discovery;

service_port!(DiscoveryPort, health, DhtHealthQuery);

impl Service for Discovery {
    type Port = DiscoveryPort;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    const CLAUSES: &'static [Clause<Self>] = &clauses![
        peers_that_are_given_are_found:
            "Peers that the user names, and those of an earlier run, are told with their source.",
        a_repeated_discover_adds_its_peers:
            "Discovery of a topic that runs already takes more peers.",
        the_events_of_a_topic_keep_their_order:
            "What was found later in a topic is told later, with a later time.",
        it_does_not_find_itself:
            "This node is nobody to be found, whoever names it.",
        topics_are_kept_apart:
            "A peer of one topic is not told in another.",
        an_unknown_topic_is_refused:
            "What can't be done without Discover says so; what there is nothing to do for is fine.",
        a_forgotten_topic_is_unknown:
            "After Forget a topic is as if it had never been discovered.",
        no_more_topics_than_the_bound:
            "Discover beyond the bound is refused, which frees nothing, until a topic is forgotten.",
        others_are_found [Finds]:
            "A member that nobody has named is found, without another request than Discover.",
        announce_then_lookup_finds_it [Announces]:
            "Who has announced itself is found by a look-up of another, where it said it is.",
        an_older_address_never_wins [Announces]:
            "Who has moved is found at its new address.",
        the_search_goes_on_without_neighbors [Announces]:
            "When the last neighbor is gone, it looks again.",
        a_lookup_that_is_answered_is_told [Announces]:
            "What a look-up has answered is told as an event too.",
        an_address_that_fits_no_record_is_refused [Announces]:
            "A relay URL that fits no record is refused, with both lengths.",
        a_bad_beacon_is_ignored_and_counted [Beacons]:
            "A beacon that is none is not used and told as dropped.",
        a_verdict_tells_that_nobody_is_there:
            "After 10 s without a neighbor, what came of looking is told.",
        garbage_is_ignored_and_counted:
            "What comes to the hello address and is no hello is not used and told as dropped.",
        health_does_not_contradict_itself:
            "A routing table needs a DHT node, and a DHT node an address.",
        events_are_told_and_slow_listeners_what_they_missed:
            "Each event is told; a listener that is too slow is told how many it missed.",
    ];

    fn deps(n: u64, _: PathBuf) -> DiscoveryDeps {
        let (endpoint, identity) = MemoryIdentity::spawn(n);
        DiscoveryDeps {
            endpoint,
            identity,
            events: Outlet::new([]),
            clock: WallClock::system(),
            contacts: Vec::new(),
        }
    }

    fn port(running: &DiscoveryRunning) -> &DiscoveryPort {
        &running.port
    }
}

/// More topics than any node takes.
const MANY: u64 = 4096;

/// A discovery with an identity of its own.
struct Node {
    endpoint: EndpointId,
    identity: IdentityPort,
    port: DiscoveryPort,
    /// Where others ask it over UDP, if they do.
    hello: Option<SocketAddr>,
    log: EventLog<DiscoveryEvent>,
    clause: u64,
}

async fn node(on: &Stage<'_, Discovery>, n: u64) -> Node {
    let (log, listener) = EventLog::new();
    let deps = DiscoveryDeps {
        events: Outlet::new([listener]),
        ..Discovery::deps(on.number(n), on.dir(n))
    };
    node_with(on, n, deps, log).await
}

async fn node_with(
    on: &Stage<'_, Discovery>,
    n: u64,
    deps: DiscoveryDeps,
    log: EventLog<DiscoveryEvent>,
) -> Node {
    let (endpoint, identity) = (deps.endpoint, deps.identity.clone());
    let running = on.start(n, deps).await;
    Node {
        endpoint,
        identity,
        port: running.port,
        hello: running.hello_address,
        log,
        clause: on.number(0),
    }
}

impl Node {
    /// A topic of this clause alone: all clauses share a network.
    async fn topic(&self, name: &str) -> Result<TopicId, Broken> {
        let name = format!("{name} of {}", self.clause).parse()?;
        let add = AddTopic { name, secret: None };
        Ok(self.identity.add_topic(add).await?)
    }

    async fn discover(&self, topic: TopicId, peers: &[EndpointAddr]) -> Held {
        let discover = Discover {
            topic,
            peers: peers.to_vec(),
            cached: vec![],
        };
        Ok(self.port.discover(discover).await?)
    }

    /// Says that its endpoint is at this port.
    async fn is_at(&self, port: u16) -> Result<EndpointAddr, Broken> {
        let address = at(self.endpoint, port);
        let set = SetAddress {
            address: address.clone(),
            port: None,
        };
        self.port.set_address(set).await?;
        Ok(address)
    }
}

fn at(id: EndpointId, port: u16) -> EndpointAddr {
    EndpointAddr {
        id,
        direct: vec![([127, 0, 0, 1], port).into()],
        relay: None,
    }
}

/// A peer that nobody is.
fn peer(n: u8) -> EndpointAddr {
    at(EndpointId::from_bytes([n; 32]), 20_000 + u16::from(n))
}

async fn an_unknown_topic_is_refused(on: &Stage<'_, Discovery>) -> Held {
    let node = node(on, 1).await;
    let topic = node.topic("nothing").await?;
    let announced = node.port.announce(Announce { topic }).await;
    let unknown = CallError::Refused(AnnounceError::UnknownTopic(topic));
    ensure_eq!(announced, Err(unknown), "an announcement");
    let looked = node.port.lookup(Lookup { topic }).await;
    let unknown = CallError::Refused(LookupError::UnknownTopic(topic));
    ensure_eq!(looked, Err(unknown), "a look-up");
    node.port.forget(Forget { topic }).await?;
    let neighbors = vec![peer(1).id];
    let set = SetNeighbors { topic, neighbors };
    node.port.set_neighbors(set).await?;
    let payload = vec![2; 40].into();
    node.port.hear_beacon(HearBeacon { topic, payload }).await?;
    end(on, &node.port).await
}

async fn a_forgotten_topic_is_unknown(on: &Stage<'_, Discovery>) -> Held {
    let node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.discover(topic, &[]).await?;
    node.port.forget(Forget { topic }).await?;
    let looked = node.port.lookup(Lookup { topic }).await;
    let unknown = CallError::Refused(LookupError::UnknownTopic(topic));
    ensure_eq!(looked, Err(unknown), "a look-up");
    end(on, &node.port).await
}

async fn no_more_topics_than_the_bound(on: &Stage<'_, Discovery>) -> Held {
    let node = node(on, 1).await;
    let mut topics = Vec::new();
    let discover = async |n: u64| {
        let topic = node.topic(&format!("topic {n}")).await?;
        let discover = Discover {
            topic,
            peers: vec![],
            cached: vec![],
        };
        Ok::<_, Broken>((topic, node.port.discover(discover).await))
    };
    let refused = loop {
        let n = topics.len() as u64;
        ensure!(n < MANY, "{MANY} topics, and no bound");
        match discover(n).await? {
            (topic, Ok(())) => topics.push(topic),
            (_, Err(refused)) => break refused,
        }
    };
    let limit = topics.len();
    let full = CallError::Refused(DiscoverError::TooManyTopics { limit });
    ensure_eq!(refused, full, "a topic too many");
    node.discover(topics[0], &[]).await?;
    node.port.forget(Forget { topic: topics[0] }).await?;
    let (_, room) = discover(MANY).await?;
    ensure_eq!(room, Ok(()), "a topic in the place of another");
    end(on, &node.port).await
}

async fn an_address_that_fits_no_record_is_refused(on: &Stage<'_, Discovery>) -> Held {
    let node = node(on, 1).await;
    let relay = format!("https://{}.example/", "a".repeat(1 << 16));
    let length = relay.len();
    let address = EndpointAddr {
        relay: Some(relay),
        ..at(node.endpoint, 1)
    };
    let set = SetAddress {
        address,
        port: None,
    };
    let refused = node.port.set_address(set).await;
    ensure!(
        matches!(
            refused,
            Err(CallError::Refused(SetAddressError::RelayTooLong { got, limit }))
                if got == length && limit < got
        ),
        "a relay URL of {length} bytes brought {refused:?}"
    );
    end(on, &node.port).await
}

async fn a_bad_beacon_is_ignored_and_counted(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.discover(topic, &[]).await?;
    for length in [0, 40, 5000] {
        let payload = vec![2; length].into();
        node.port.hear_beacon(HearBeacon { topic, payload }).await?;
        let dropped = |event| match event {
            DiscoveryEvent::BeaconDropped { reason } => Some(reason),
            _ => None,
        };
        let what = "a bad beacon being told as dropped";
        node.log.find(on.patience(), what, dropped).await?;
    }
    end(on, &node.port).await
}

/// One without such an address has nobody who could send garbage there; one with an address for each topic
/// tells none.
async fn garbage_is_ignored_and_counted(on: &Stage<'_, Discovery>) -> Held {
    let mut node = node(on, 1).await;
    let topic = node.topic("tea").await?;
    node.discover(topic, &[]).await?;
    if let Some(hello) = node.hello.filter(|hello| hello.port() != 0) {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, hello.port()));
        let to = if hello.ip().is_unspecified() {
            here
        } else {
            hello
        };
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        for length in [1, 40, 1400] {
            node.log.drain();
            socket.send_to(&vec![2; length], to).await?;
            let dropped = |event| match event {
                DiscoveryEvent::Dropped { reason } => Some(reason),
                _ => None,
            };
            let what = "garbage being told as dropped";
            node.log.find(on.patience(), what, dropped).await?;
        }
        ensure_eq!(node.port.probe().await, Ok(()), "a probe after garbage");
    }
    end(on, &node.port).await
}

async fn health_does_not_contradict_itself(on: &Stage<'_, Discovery>) -> Held {
    let node = node(on, 1).await;
    let health = node.port.health(DhtHealthQuery).await?;
    ensure!(
        health.routing_table.is_none() || health.dht_address.is_some(),
        "a routing table without a DHT node: {health:?}"
    );
    ensure!(
        !health.serves || health.dht_address.is_some(),
        "it serves without a DHT node: {health:?}"
    );
    end(on, &node.port).await
}

async fn events_are_told_and_slow_listeners_what_they_missed(on: &Stage<'_, Discovery>) -> Held {
    const PEERS: u8 = 32;
    let (mut both, listeners) = FastAndSlow::new();
    let deps = DiscoveryDeps {
        events: Outlet::new(listeners),
        ..Discovery::deps(on.number(1), on.dir(1))
    };
    let node = node_with(on, 1, deps, EventLog::new().0).await;
    let topic = node.topic("tea").await?;
    for n in 1..=PEERS {
        node.discover(topic, &[peer(n)]).await?;
    }
    let (mut found, mut events) = (std::collections::BTreeSet::new(), 0);
    let all_told = async || {
        for event in both.drain() {
            events += 1;
            if let DiscoveryEvent::PeerFound { peer, .. } = event {
                found.insert(peer.id);
            }
        }
        Ok((found.len() == usize::from(PEERS)).then_some(()))
    };
    crate::kit::until(on.patience(), "each peer that was given", all_told).await?;
    let missed = |event: &DiscoveryEvent| match event {
        DiscoveryEvent::Lagged(missed) => Some(*missed),
        _ => None,
    };
    let mut n = PEERS;
    let one_more = async || {
        n = n.wrapping_add(1);
        node.discover(topic, &[peer(n)]).await
    };
    both.account(on.patience(), events, missed, one_more)
        .await?;
    end(on, &node.port).await
}
