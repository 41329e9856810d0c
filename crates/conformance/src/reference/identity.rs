//! A whole identity service in memory. The keys of its topics are those of `docs/PROTOCOL.md`, section 3.

mod actor;

use std::cell::Cell;
use std::time::Duration;

use actix::Actor;
use kukuri_contract::{
    EndpointId, EndpointKey, IdentityDeps, IdentityPort, IdentityRunning, KeyBytes,
};

use super::flaw::{Conduct, Flaw};
use crate::identity::Identity;
use crate::kit::{Local, Subject};
use actor::MemoryActor;

/// What can be wrong with this identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What can be wrong with every service.
    Any(Flaw),
    /// Says when asked that its author is another.
    SaysAnother,
    /// Each start is another identity.
    StartsAnew,
    /// Each node has an id of its own for some topics.
    NamesForItself,
    /// One key is for two uses, in every other epoch.
    SharesAKey,
    /// Derives the key of gap repair in a way of its own.
    DerivesItsWay,
    /// The key of a topic's members is the same in two epochs.
    NeverChanges,
    /// The key for beacons is the same in every topic, in every other epoch.
    MixesTopics,
    /// Has a key for posts in public topics, too.
    SealsAll,
    /// Has keys of a topic that was removed.
    Remembers,
    /// Takes any number of topics.
    Boundless,
    /// Signs heartbeats by the key of the author.
    MixesKeys,
    /// Signs a link of any author.
    LinksAnybody,
    /// Revokes somebody that nobody has revoked.
    MakesUpLinks,
}

/// Each fault with the clause that it breaks.
pub const FAULTS: [(Fault, &str); 13] = [
    (Fault::SaysAnother, "it_is_who_it_says"),
    (Fault::StartsAnew, "a_restart_is_the_same_identity"),
    (Fault::NamesForItself, "a_topic_is_its_name_and_secret"),
    (Fault::SharesAKey, "members_derive_the_same_keys"),
    (Fault::DerivesItsWay, "keys_are_those_of_the_protocol"),
    (Fault::NeverChanges, "keys_change_with_the_epoch"),
    (Fault::MixesTopics, "topics_are_kept_apart"),
    (Fault::SealsAll, "only_a_secret_topic_seals_its_posts"),
    (Fault::Remembers, "an_unknown_topic_is_refused"),
    (Fault::Boundless, "no_more_topics_than_the_bound"),
    (
        Fault::MixesKeys,
        "a_statement_is_signed_by_the_key_that_it_is_of",
    ),
    (Fault::LinksAnybody, "no_link_in_anothers_name"),
    (Fault::MakesUpLinks, "links_are_told_as_they_are"),
];

/// Most topics of a reference identity.
const MAX_TOPICS: usize = 8;

/// Identities made from numbers: the same number gives the same keys.
#[derive(Debug, Default)]
pub struct MemoryIdentity {
    fault: Option<Fault>,
    starts: Cell<u64>,
}

impl MemoryIdentity {
    /// With a fault.
    pub fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Starts the service of identity number `n` in the current actix `System`, for the tests of other
    /// services: it takes any number of topics.
    pub fn spawn(n: u64) -> (EndpointId, IdentityPort) {
        let actor = MemoryActor::new(n, Conduct::new(None), Some(Fault::Boundless));
        let endpoint = actor.info().endpoint;
        let limits = kukuri_contract::Limits::default();
        (endpoint, IdentityPort::new(&actor.start(), limits))
    }
}

impl Subject<Identity> for MemoryIdentity {
    fn name(&self) -> String {
        format!("identity in memory, {:?}", self.fault)
    }

    fn patience(&self) -> Duration {
        super::PATIENCE
    }

    fn start(&self, n: u64, _: IdentityDeps) -> Local<'_, IdentityRunning> {
        Box::pin(async move {
            let flaw = match self.fault {
                Some(Fault::Any(flaw)) => Some(flaw),
                _ => None,
            };
            self.starts.set(self.starts.get() + 1);
            let number = match self.fault {
                Some(Fault::StartsAnew) => self.starts.get(),
                _ => n,
            };
            let conduct = Conduct::new(flaw);
            let limits = conduct.limits();
            let actor = MemoryActor::new(number, conduct, self.fault);
            IdentityRunning {
                info: actor.info(),
                store_note: "memory".to_owned(),
                endpoint_key: EndpointKey::new(actor.endpoint_key()),
                book_key: KeyBytes::new(actor.book_key()),
                port: IdentityPort::new(&actor.start(), limits),
            }
        })
    }
}
