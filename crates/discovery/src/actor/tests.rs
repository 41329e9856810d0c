//! The actor with a source that is no network: a hall where beacons hang.

use std::net::SocketAddrV4;
use std::sync::Mutex;

use kukuri_conformance::{EventLog, MemoryIdentity};
use kukuri_contract::{
    AddTopic, Discover, EndpointAddr, EndpointId, Forget, Outlet, SetAddress, Source, TopicId,
    TopicSecret, WallClock,
};

use super::*;
use crate::config::Sources;
use crate::core::nearby::{Beacon, Instance, Sighting};

/// Who is in the hall: what each shows, and where it hears of others.
static HALL: Mutex<Vec<(Instance, SocketAddrV4, Finder)>> = Mutex::new(Vec::new());

/// A place in the hall.
struct Place {
    hello: SocketAddrV4,
    finder: Finder,
    beacon: Option<Instance>,
}

fn enter(hello: SocketAddrV4, finder: Finder) -> Result<Box<dyn PeerSource>, DiscoveryError> {
    Ok(Box::new(Place {
        hello,
        finder,
        beacon: None,
    }))
}

impl PeerSource for Place {
    fn show(&mut self, beacon: &Beacon) {
        let mut hall = HALL.lock().unwrap();
        if self.beacon.replace(beacon.instance).is_none() {
            hall.push((beacon.instance, self.hello, self.finder.clone()));
        }
        for (_, _, finder) in &mut *hall {
            if beacon.tags.is_empty() {
                finder.tell(Found::Gone(beacon.instance));
                continue;
            }
            let seen = Sighting {
                instance: beacon.instance,
                tags: beacon.tags.clone(),
                addresses: vec![self.hello],
            };
            finder.tell(Found::Sighted(Source::Lan, seen));
        }
    }
}

struct Member {
    id: EndpointId,
    topic: TopicId,
    port: DiscoveryPort,
    log: EventLog<DiscoveryEvent>,
}

async fn member(n: u64, secret: u8) -> Member {
    let (endpoint, identity) = MemoryIdentity::spawn(n);
    let add = AddTopic {
        name: "test".parse().unwrap(),
        secret: Some(TopicSecret::from_bytes([secret; 32])),
    };
    let topic = identity.add_topic(add).await.unwrap();
    let (log, listener) = EventLog::new();
    let config = Config {
        hello_bind: "127.0.0.1:0".parse().unwrap(),
        sources: Sources {
            rendezvous: false,
            board: false,
            lan: true,
            ..Sources::default()
        },
        ..Config::default()
    };
    let deps = DiscoveryDeps {
        endpoint,
        identity,
        events: Outlet::new([listener]),
        clock: WallClock::system(),
        contacts: Vec::new(),
    };
    let port = spawn(config, deps, Way::Socket(vec![enter]))
        .await
        .unwrap()
        .port;
    let address = EndpointAddr {
        id: endpoint,
        direct: vec![([127, 0, 0, 1], 20_000 + n as u16).into()],
        relay: None,
    };
    port.set_address(SetAddress {
        address,
        port: None,
    })
    .await
    .unwrap();
    let (peers, cached) = (Vec::new(), Vec::new());
    let discover = Discover {
        topic,
        peers,
        cached,
    };
    port.discover(discover).await.unwrap();
    Member {
        id: endpoint,
        topic,
        port,
        log,
    }
}

impl Member {
    async fn finds(&mut self, who: EndpointId) -> Source {
        let found = |event| match event {
            DiscoveryEvent::PeerFound { peer, source, .. } if peer.id == who => Some(source),
            _ => None,
        };
        self.log.wait_for("a member", found).await
    }
}

#[actix::test]
async fn any_source_leads_to_a_verified_member_and_to_nobody_else() {
    let mut stranger = member(1, 8).await;
    let mut a = member(2, 7).await;
    let mut b = member(3, 7).await;
    let sources = [a.finds(b.id).await, b.finds(a.id).await];
    if sources == [Source::Inbound; 2] {
        // Both said hello at once; the reply is still on its way.
        assert_eq!(a.finds(b.id).await, Source::Lan);
    }
    let forged = Sighting {
        instance: [9; 8],
        tags: vec![[9; 8]; 100],
        addresses: Vec::new(),
    };
    // More than a beacon can hold is cut and counted.
    for (_, _, finder) in &mut *HALL.lock().unwrap() {
        finder.tell(Found::Sighted(Source::Lan, forged.clone()));
    }
    let bound = |event| match event {
        DiscoveryEvent::Dropped { reason } => (reason == HelloDrop::Bound).then_some(()),
        DiscoveryEvent::PeerFound { .. } => panic!("a stranger found a member"),
        _ => None,
    };
    stranger.log.wait_for("what was cut", bound).await;
    // Who has left is met by nobody.
    let topic = a.topic;
    a.port.forget(Forget { topic }).await.unwrap();
    let mut late = member(4, 7).await;
    late.finds(b.id).await;
}
