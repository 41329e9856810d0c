//! A gossip in memory: one list of all endpoints stands for the network, and nothing takes time.

mod actor;
mod network;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::Actor;
use kukuri_contract::{EndpointAddr, GossipDeps, GossipPort, GossipRunning, LocalAddresses};

use super::flaw::{Conduct, Flaw};
use crate::gossip::Gossip;
use crate::kit::{Local, Subject};
use actor::MemoryActor;
use network::Network;

/// What can be wrong with this gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// Asked for its address, it names another endpoint.
    NamesAnother,
    /// Its counters end with an end.
    EndsCounters,
    /// A repeated Join tells of no neighbors.
    ForgetsNeighbors,
    /// What a neighbor sends itself comes as if it was handed on.
    DeniesFirstHand,
    /// Does not tell how dials in vain end.
    DialsSilently,
    /// Hears itself.
    HearsItself,
    /// Goes on without its lease.
    OutlivesItsLease,
    /// Hands on nothing.
    HandsOnNothing,
    /// Takes broadcasts of any size.
    TakesAnySize,
    /// Dials in a topic that it is not in.
    DialsAnywhere,
    /// What is sent in one topic is heard in the others.
    MixesTopics,
    /// Lets anybody in.
    LetsAnybodyIn,
    /// Dials who is banned.
    ForgivesBans,
    /// Does not tell its neighbors when it leaves.
    LeavesSilently,
    /// Joins any number of topics.
    Boundless,
    /// Hands a question back in place of its answer.
    Echoes,
    /// Says of a peer that is no neighbor that the topic is unknown.
    BlamesTheTopic,
    /// Takes answers to no question.
    AnswersNobody,
    /// Tells the number of neighbors from before.
    Miscounts,
    /// Events beyond some are not told.
    SwallowsEvents,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 20] = [
    (Fault::NamesAnother, "it_speaks_as_its_endpoint"),
    (
        Fault::EndsCounters,
        "counters_are_open_metrics_without_an_end",
    ),
    (Fault::ForgetsNeighbors, "a_dial_makes_neighbors_of_both"),
    (Fault::DeniesFirstHand, "a_broadcast_reaches_the_neighbor"),
    (Fault::DialsSilently, "a_dial_of_nobody_ends"),
    (Fault::HearsItself, "its_own_word_does_not_come_back"),
    (
        Fault::OutlivesItsLease,
        "it_falls_silent_when_its_lease_ends",
    ),
    (Fault::HandsOnNothing, "a_broadcast_reaches_all_members"),
    (Fault::TakesAnySize, "no_larger_broadcast_than_the_bound"),
    (Fault::DialsAnywhere, "an_unknown_topic_is_refused"),
    (Fault::MixesTopics, "topics_are_kept_apart"),
    (Fault::LetsAnybodyIn, "only_members_are_let_in"),
    (
        Fault::ForgivesBans,
        "a_banned_peer_is_kept_out_until_it_is_free",
    ),
    (Fault::LeavesSilently, "who_leaves_is_no_neighbor"),
    (Fault::Boundless, "no_more_topics_than_the_bound"),
    (Fault::Echoes, "a_question_gets_its_answer"),
    (
        Fault::BlamesTheTopic,
        "a_question_that_can_not_be_asked_is_refused",
    ),
    (
        Fault::AnswersNobody,
        "an_answer_that_nobody_waits_for_is_gone",
    ),
    (Fault::Miscounts, "the_events_of_a_topic_keep_their_order"),
    (
        Fault::SwallowsEvents,
        "events_are_told_and_slow_listeners_what_they_missed",
    ),
];

/// The reference gossip. Its instances reach each other.
#[derive(Debug, Default)]
pub struct MemoryGossip {
    fault: Option<Fault>,
    network: Rc<RefCell<Network>>,
}

impl MemoryGossip {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        let network = Network::with(fault);
        Self {
            fault: Some(fault),
            network: Rc::new(RefCell::new(network)),
        }
    }
}

impl Subject<Gossip> for MemoryGossip {
    fn name(&self) -> String {
        format!("gossip in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn start(&self, _: u64, deps: GossipDeps) -> Local<'_, GossipRunning> {
        Box::pin(async move {
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            let conduct = Conduct::new(flaw);
            let limits = conduct.limits();
            let address = EndpointAddr {
                id: deps.endpoint,
                direct: Vec::new(),
                relay: None,
            };
            let network = self.network.clone();
            let stay = network.borrow_mut().enter(deps.endpoint, deps.events);
            let (left, lease) = (network.clone(), deps.lease);
            if self.fault != Some(Fault::OutlivesItsLease) {
                actix::spawn(async move {
                    lease.ended().await;
                    left.borrow_mut().exit(deps.endpoint, stay);
                });
            }
            let actor = MemoryActor {
                conduct,
                fault: self.fault,
                network,
                address: address.clone(),
                stay,
            };
            GossipRunning {
                port: GossipPort::new(&actor.start(), limits),
                addresses: LocalAddresses {
                    bound: Vec::new(),
                    advertised: address,
                },
            }
        })
    }
}
