//! Opening and leaving topics: what the services are told of them.

use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, ResponseFuture, WrapFuture,
};
use kukuri_contract::{
    AddTopic, AuthorId, CallError, Discover, Epoch, Forget, IdentityPort, Join, Joined, KeyBytes,
    KnownPeers, LastSeq, Leave, MemberKeys, Never, NodeEvent, Post, RemoveTopic, Source, TopicId,
    TopicKeys, TopicKeysError, UnixMillis,
};

use super::actor::{NodeActor, OpenTopic};
use super::rotation::told_before;
use super::service::{LeaveTopic, Open};
use super::wanted::{Replaced, Wanted, WantedTopic};
use crate::Former;
use crate::compose::Ports;
use crate::core::topic::TopicState;
use crate::error::TopicError;

/// Peers of an earlier run that are tried at the start.
const CACHED_PEERS: usize = 32;

impl Handler<Open> for NodeActor {
    type Result = ResponseActFuture<Self, Result<TopicId, TopicError>>;

    fn handle(&mut self, open: Open, _: &mut Self::Context) -> Self::Result {
        let Some(wires) = &self.wires else {
            return Box::pin(async { Err(TopicError::Stopping) }.into_actor(self));
        };
        let (ports, author) = (wires.ports.clone(), wires.identity.author);
        let joined_at = self.now();
        let (wanted, former) = wanted_by(open, self.clock.now());
        let prepared = prepare_both(ports.clone(), wanted, former, author);
        let told = prepared.into_actor(self).then(move |prepared, actor, ctx| {
            let entered = prepared.and_then(|prepared| actor.enter_all(prepared, joined_at, ctx));
            let entered = entered.map(|entered| {
                let with_keys = |entered: Entered| (actor.keys(entered.topic), entered);
                entered.into_iter().map(with_keys).collect::<Vec<_>>()
            });
            async move { tell_of_all(&ports, entered).await }.into_actor(actor)
        });
        let done = told.map(|(entered, told), actor, ctx| match (told, entered) {
            (Ok(told), _) => {
                told.iter().for_each(|told| actor.told(told, 0, ctx));
                Ok(told[0].topic)
            }
            (Err(error), entered) => {
                // What can't be joined is not half joined.
                if let Some(topic) = entered {
                    ctx.spawn(actor.leave(topic).into_actor(actor));
                }
                Err(error)
            }
        });
        Box::pin(done)
    }
}

/// The topic that is wanted and, where both are used, the secret that its own replaces.
fn wanted_by(open: Open, now: UnixMillis) -> (WantedTopic, Option<Former>) {
    let wanted = WantedTopic {
        name: open.name,
        secret: open.secret,
        peers: open.peers,
        events: open.events,
        joined: false,
        former: None,
        replaced: None,
    };
    let overlaps = |former: &Former| former.until > now && former.secret != wanted.secret;
    let former = open.former.filter(overlaps);
    (wanted, former)
}

/// Tells the services of all topics, the first of which is the one that was asked for.
async fn tell_of_all(
    ports: &Ports,
    entered: Result<Vec<(Keys, Entered)>, TopicError>,
) -> (Option<TopicId>, Result<Vec<Told>, TopicError>) {
    let entered = match entered {
        Ok(entered) => entered,
        Err(error) => return (None, Err(error)),
    };
    let first = entered.first().map(|(_, entered)| entered.topic);
    let mut told = Vec::new();
    for (keys, Entered { topic, discover }) in entered {
        match tell_services(ports, keys, topic, discover).await {
            Ok(one) => told.push(one),
            Err(error) => return (first, Err(error)),
        }
    }
    (first, Ok(told))
}

/// What a topic needs before it can be entered.
pub(super) struct Prepared {
    pub(super) topic: TopicId,
    pub(super) wanted: WantedTopic,
    last_seq: Option<u64>,
    discover: Discover,
    /// The newest posts, where copies of them may come.
    posts: Vec<Post>,
}

/// A topic that the node has entered; the services are not told yet.
pub(super) struct Entered {
    pub(super) topic: TopicId,
    discover: Discover,
}

/// The same for both topics of one whose secret replaces another, the present one first.
async fn prepare_both(
    ports: Ports,
    mut wanted: WantedTopic,
    former: Option<Former>,
    author: AuthorId,
) -> Result<Vec<Prepared>, TopicError> {
    let Some(Former { secret, until }) = former else {
        return Ok(vec![prepare(ports, wanted, author).await?]);
    };
    let add = AddTopic {
        name: wanted.name.clone(),
        secret: wanted.secret.clone(),
    };
    let by = ports.identity.add_topic(add).await?;
    let former = WantedTopic {
        secret,
        replaced: Some(Replaced { by, until }),
        ..wanted.clone()
    };
    let former = prepare(ports.clone(), former, author).await?;
    wanted.former = Some(former.topic);
    Ok(vec![prepare(ports, wanted, author).await?, former])
}

/// Asks identity and store for what a topic needs.
pub(super) async fn prepare(
    ports: Ports,
    wanted: WantedTopic,
    author: AuthorId,
) -> Result<Prepared, TopicError> {
    let WantedTopic {
        name,
        secret,
        peers,
        ..
    } = wanted.clone();
    let topic = ports.identity.add_topic(AddTopic { name, secret }).await?;
    let last_seq = ports.store.last_seq(LastSeq { topic, author }).await?;
    let limit = CACHED_PEERS;
    let known = ports.store.known_peers(KnownPeers { topic, limit }).await?;
    let cached = known.into_iter().map(|known| known.peer).collect();
    let posts = match wanted.former.is_some() || wanted.replaced.is_some() {
        true => told_before(&ports, topic).await?,
        false => Vec::new(),
    };
    Ok(Prepared {
        topic,
        wanted,
        last_seq,
        discover: Discover {
            topic,
            peers,
            cached,
        },
        posts,
    })
}

/// What the services were told of a topic.
pub(super) struct Told {
    topic: TopicId,
    joined: Joined,
    keys: MemberKeys,
}

/// Tells gossip and discovery of a topic; telling them again changes nothing, but that gossip gets
/// the keys of this epoch.
pub(super) async fn tell_services(
    ports: &Ports,
    keys: Keys,
    topic: TopicId,
    discover: Discover,
) -> Result<Told, TopicError> {
    let keys = keys.of(&ports.identity, topic).await?;
    // The swarm first: a peer that discovery finds must have where to go.
    let join = Join {
        topic,
        keys: keys.clone(),
    };
    let joined = ports.gossip.join(join).await?;
    ports.discovery.discover(discover).await?;
    Ok(Told {
        topic,
        joined,
        keys,
    })
}

/// What proves in this epoch that this node is a member of a topic, and others are.
pub(super) struct Keys {
    epoch: Epoch,
    /// Those that there are, perhaps of an earlier epoch.
    known: Option<MemberKeys>,
}

impl Keys {
    pub(super) async fn of(
        self,
        identity: &IdentityPort,
        topic: TopicId,
    ) -> Result<MemberKeys, CallError<TopicKeysError>> {
        let epoch = self.epoch;
        if let Some(known) = self.known.filter(|known| known.epoch == epoch) {
            return Ok(known);
        }
        let key = async |epoch| -> Result<KeyBytes, CallError<TopicKeysError>> {
            Ok(identity
                .topic_keys(TopicKeys { topic, epoch })
                .await?
                .member)
        };
        let own = key(epoch).await?;
        let mut others = Vec::new();
        for other in MemberKeys::others_around(epoch) {
            others.push((other, key(other).await?));
        }
        Ok(MemberKeys { epoch, own, others })
    }
}

impl NodeActor {
    /// The keys of a topic, or what it takes to ask for them.
    pub(super) fn keys(&self, topic: TopicId) -> Keys {
        Keys {
            epoch: Epoch::at(self.clock.now()),
            known: self.topics.get(&topic).and_then(|open| open.keys.clone()),
        }
    }

    pub(super) fn told(&mut self, told: &Told, generation: u64, ctx: &mut Context<Self>) {
        if let Some(open) = self.topics.get_mut(&told.topic) {
            open.keys = Some(told.keys.clone());
        }
        self.compare_neighbors(told.topic, generation, &told.joined, ctx);
    }

    pub(super) fn enter(
        &mut self,
        prepared: Prepared,
        joined_at: Duration,
    ) -> Result<Entered, TopicError> {
        let Prepared {
            topic,
            wanted,
            last_seq,
            discover,
            posts,
        } = prepared;
        self.note_told(topic, &wanted, &posts);
        if let Some(open) = self.topics.get_mut(&topic) {
            // Nobody holds it, for example because the first join was given up waiting for; or its
            // handle has made way for that of the topic in its place.
            if open.events.receiver_count() > 0 && wanted.replaced.is_none() {
                return Err(TopicError::AlreadyJoined);
            }
            open.events = wanted.events.clone();
            (open.former, open.replaced) = (wanted.former, wanted.replaced);
            self.wanted.insert(topic, wanted);
            return Ok(Entered { topic, discover });
        }
        let mut state = TopicState::new(last_seq, wanted.joined, joined_at);
        for peer in &discover.cached {
            state.found(peer, Source::Cache);
        }
        let opened = OpenTopic {
            name: wanted.name.clone(),
            secret: wanted.secret.is_some(),
            state,
            keys: None,
            events: wanted.events.clone(),
            former: wanted.former,
            replaced: wanted.replaced,
        };
        tracing::info!(?topic, name = %opened.name, "topic joined");
        self.topics.insert(topic, opened);
        self.wanted.insert(topic, wanted);
        self.emit(NodeEvent::TopicOpened { topic });
        Ok(Entered { topic, discover })
    }

    /// Leaves a topic here, with the one that it has replaced, and gives what tells the services.
    pub(super) fn leave(&mut self, topic: TopicId) -> impl Future<Output = ()> + 'static + use<> {
        self.wanted.remove(topic);
        let open = self.topics.remove(&topic);
        let former = open.as_ref().and_then(|open| open.former);
        let former = former.filter(|former| self.topics.remove(former).is_some());
        let left: Vec<_> = open
            .is_some()
            .then_some(topic)
            .into_iter()
            .chain(former)
            .collect();
        for topic in &left {
            tracing::info!(?topic, "topic left");
            self.emit(NodeEvent::TopicClosed { topic: *topic });
        }
        if let Some(replaced) = open.and_then(|open| open.replaced) {
            self.copies.remove(&replaced.by);
            if let Some(current) = self.topics.get_mut(&replaced.by) {
                current.former = None;
            }
        }
        self.copies.remove(&topic);
        let (ports, wanted) = (self.ports(), self.wanted.clone());
        async move {
            let Some(ports) = ports else {
                return;
            };
            for topic in [Some(topic), former].into_iter().flatten() {
                tell_left(&ports, &wanted, topic).await;
            }
        }
    }
}

/// Tells the services that a topic was left. What was not heard is told again with the next reconciling.
async fn tell_left(ports: &Ports, wanted: &Wanted, topic: TopicId) {
    let discovery = ports.discovery.forget(Forget { topic }).await.err();
    let gossip = ports.gossip.leave(Leave { topic }).await.err();
    let removed = ports.identity.remove_topic(RemoveTopic { topic }).await;
    let failures = [discovery, gossip, removed.err()];
    for error in failures.iter().flatten() {
        tracing::debug!(%error, "while leaving a topic");
    }
    if failures.iter().all(Option::is_none) && !wanted.contains(topic) {
        wanted.told(topic);
    }
}

impl Handler<LeaveTopic> for NodeActor {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, LeaveTopic(topic): LeaveTopic, _: &mut Context<Self>) -> Self::Result {
        let left = self.leave(topic);
        Box::pin(async move {
            left.await;
            Ok(())
        })
    }
}
