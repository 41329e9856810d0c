//! A discovery in memory: who has announced itself is in a list that all share.

mod actor;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use actix::Actor;
use kukuri_contract::{
    DiscoveryDeps, DiscoveryPort, DiscoveryRunning, EndpointAddr, EndpointId, TopicId,
};

use super::flaw::{Conduct, Flaw};
use crate::discovery::Discovery;
use crate::kit::{Local, Subject};
use actor::MemoryActor;

/// What can be wrong with this discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// Peers of an earlier run are not told.
    ForgetsCached,
    /// A topic that was begun without peers gets none later.
    TakesPeersOnce,
    /// The first peer of a topic is told late.
    TellsFirstLast,
    /// Tells of itself.
    FindsItself,
    /// What is found in a topic is told in all of them.
    MixesTopics,
    /// Announces topics that it does not know.
    AnnouncesAnything,
    /// Goes on to look for topics that were forgotten.
    ForgetsNothing,
    /// Takes any number of topics.
    Boundless,
    /// Tells nobody of this node and looks for nobody by itself.
    WaitsToBeAsked,
    /// An announcement counts from the next change of the address on.
    AnnouncesLate,
    /// The first address stays.
    NeverMoves,
    /// Does not look again.
    GivesUp,
    /// A look-up that was asked for is not told.
    TellsNoEnd,
    /// Takes any relay URL.
    TakesAnyRelay,
    /// A bad beacon is not told.
    SwallowsBeacons,
    /// Does not say that nobody is there.
    TellsNoVerdict,
    /// Garbage at its hello address is not told.
    SwallowsGarbage,
    /// Tells of a routing table that there is not.
    MakesUpATable,
    /// Events beyond some are not told.
    SwallowsEvents,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 19] = [
    (Fault::ForgetsCached, "peers_that_are_given_are_found"),
    (Fault::TakesPeersOnce, "a_repeated_discover_adds_its_peers"),
    (
        Fault::TellsFirstLast,
        "the_events_of_a_topic_keep_their_order",
    ),
    (Fault::FindsItself, "it_does_not_find_itself"),
    (Fault::MixesTopics, "topics_are_kept_apart"),
    (Fault::AnnouncesAnything, "an_unknown_topic_is_refused"),
    (Fault::ForgetsNothing, "a_forgotten_topic_is_unknown"),
    (Fault::Boundless, "no_more_topics_than_the_bound"),
    (Fault::WaitsToBeAsked, "others_are_found"),
    (Fault::AnnouncesLate, "announce_then_lookup_finds_it"),
    (Fault::NeverMoves, "an_older_address_never_wins"),
    (Fault::GivesUp, "the_search_goes_on_without_neighbors"),
    (Fault::TellsNoEnd, "a_lookup_that_is_answered_is_told"),
    (
        Fault::TakesAnyRelay,
        "an_address_that_fits_no_record_is_refused",
    ),
    (
        Fault::SwallowsBeacons,
        "a_bad_beacon_is_ignored_and_counted",
    ),
    (
        Fault::TellsNoVerdict,
        "a_verdict_tells_that_nobody_is_there",
    ),
    (Fault::SwallowsGarbage, "garbage_is_ignored_and_counted"),
    (Fault::MakesUpATable, "health_does_not_contradict_itself"),
    (
        Fault::SwallowsEvents,
        "events_are_told_and_slow_listeners_what_they_missed",
    ),
];

/// Who is in which topic, and where.
type Shared = Rc<RefCell<BTreeMap<(TopicId, EndpointId), EndpointAddr>>>;

/// The reference discovery. Its instances find each other.
#[derive(Debug, Default)]
pub struct MemoryDiscovery {
    fault: Option<Fault>,
    shared: Shared,
}

impl MemoryDiscovery {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }
}

impl Subject<Discovery> for MemoryDiscovery {
    fn name(&self) -> String {
        format!("discovery in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn start(&self, _: u64, deps: DiscoveryDeps) -> Local<'_, DiscoveryRunning> {
        Box::pin(async move {
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            let conduct = Conduct::new(flaw);
            let limits = conduct.limits();
            let hello = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let hello = hello.expect("loopback has a free port");
            let hello_address = hello.local_addr().ok();
            let actor = MemoryActor::new(conduct, self.fault, self.shared.clone(), deps);
            DiscoveryRunning {
                port: DiscoveryPort::new(&actor.listening(hello).start(), limits),
                hello_address,
            }
        })
    }
}
