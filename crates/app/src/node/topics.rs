//! Opening and leaving topics, and telling the services again what they should know of them.

use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, ResponseFuture, WrapFuture,
};
use kukuri_contract::{
    AddTopic, AuthorId, CallError, Discover, DiscoveryPort, Epoch, Forget, IdentityPort, Join,
    Joined, KeyBytes, KnownPeers, LastSeq, Leave, MemberKeys, Never, NodeEvent, RemoveTopic,
    SetAddress, SetNeighbors, Source, TopicId, TopicKeys, TopicKeysError,
};

use super::actor::{NodeActor, OpenTopic};
use super::service::{LeaveTopic, Open};
use super::wanted::WantedTopic;
use crate::compose::Ports;
use crate::core::topic::TopicState;
use crate::error::TopicError;

/// Peers of an earlier run that are tried at the start.
const CACHED_PEERS: usize = 32;
/// A topic that could not be joined again after a restart is tried again after so long.
const RESUME_PAUSE: Duration = Duration::from_secs(1);

impl Handler<Open> for NodeActor {
    type Result = ResponseActFuture<Self, Result<TopicId, TopicError>>;

    fn handle(&mut self, open: Open, _: &mut Self::Context) -> Self::Result {
        let Some(wires) = &self.wires else {
            return Box::pin(async { Err(TopicError::Stopping) }.into_actor(self));
        };
        let (ports, author) = (wires.ports.clone(), wires.identity.author);
        let joined_at = self.now();
        let wanted = WantedTopic {
            name: open.name,
            secret: open.secret,
            peers: open.peers,
            events: open.events,
            joined: false,
        };
        let prepared = prepare(ports.clone(), wanted.clone(), author);
        let told = prepared.into_actor(self).then(move |prepared, actor, _| {
            let entered = prepared.and_then(|prepared| {
                let entered = actor.enter(prepared, wanted, joined_at)?;
                Ok((actor.keys(entered.topic), entered))
            });
            let told = async move {
                match entered {
                    Ok((keys, Entered { topic, discover })) => (
                        Some(topic),
                        tell_services(&ports, keys, topic, discover).await,
                    ),
                    Err(error) => (None, Err(error)),
                }
            };
            told.into_actor(actor)
        });
        let done = told.map(|(entered, told), actor, ctx| {
            match (&told, entered) {
                (Ok(told), _) => actor.told(told, 0, ctx),
                // What can't be joined is not half joined.
                (Err(_), Some(topic)) => _ = ctx.spawn(actor.leave(topic).into_actor(actor)),
                (Err(_), None) => {}
            }
            told.map(|told| told.topic)
        });
        Box::pin(done)
    }
}

/// What a topic needs before it can be entered.
struct Prepared {
    topic: TopicId,
    last_seq: Option<u64>,
    discover: Discover,
}

/// A topic that the node has entered; the services are not told yet.
struct Entered {
    topic: TopicId,
    discover: Discover,
}

/// Asks identity and store for what a topic needs.
async fn prepare(
    ports: Ports,
    wanted: WantedTopic,
    author: AuthorId,
) -> Result<Prepared, TopicError> {
    let WantedTopic {
        name,
        secret,
        peers,
        ..
    } = wanted;
    let topic = ports.identity.add_topic(AddTopic { name, secret }).await?;
    let last_seq = ports.store.last_seq(LastSeq { topic, author }).await?;
    let limit = CACHED_PEERS;
    let known = ports.store.known_peers(KnownPeers { topic, limit }).await?;
    let cached = known.into_iter().map(|known| known.peer).collect();
    Ok(Prepared {
        topic,
        last_seq,
        discover: Discover {
            topic,
            peers,
            cached,
        },
    })
}

/// What the services were told of a topic.
struct Told {
    topic: TopicId,
    joined: Joined,
    keys: MemberKeys,
}

/// Tells gossip and discovery of a topic; telling them again changes nothing, but that gossip gets
/// the keys of this epoch.
async fn tell_services(
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

    fn told(&mut self, told: &Told, generation: u64, ctx: &mut Context<Self>) {
        if let Some(open) = self.topics.get_mut(&told.topic) {
            open.keys = Some(told.keys.clone());
        }
        self.compare_neighbors(told.topic, generation, &told.joined, ctx);
    }

    fn enter(
        &mut self,
        prepared: Prepared,
        wanted: WantedTopic,
        joined_at: Duration,
    ) -> Result<Entered, TopicError> {
        let Prepared {
            topic,
            last_seq,
            discover,
        } = prepared;
        if let Some(open) = self.topics.get_mut(&topic) {
            // Nobody holds it, for example because the first join was given up waiting for.
            if open.events.receiver_count() > 0 {
                return Err(TopicError::AlreadyJoined);
            }
            open.events = wanted.events.clone();
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
        };
        tracing::info!(?topic, name = %opened.name, "topic joined");
        self.topics.insert(topic, opened);
        self.wanted.insert(topic, wanted);
        self.emit(NodeEvent::TopicOpened { topic });
        Ok(Entered { topic, discover })
    }

    /// Leaves a topic here, and gives what tells the services.
    fn leave(&mut self, topic: TopicId) -> impl Future<Output = ()> + 'static + use<> {
        self.wanted.remove(topic);
        if let Some(open) = self.topics.remove(&topic) {
            tracing::info!(?topic, name = %open.name, "topic left");
            self.emit(NodeEvent::TopicClosed { topic });
        }
        let (ports, wanted) = (self.ports(), self.wanted.clone());
        async move {
            let Some(ports) = ports else {
                return;
            };
            let discovery = ports.discovery.forget(Forget { topic }).await.err();
            let gossip = ports.gossip.leave(Leave { topic }).await.err();
            let removed = ports.identity.remove_topic(RemoveTopic { topic }).await;
            let failures = [discovery, gossip, removed.err()];
            for error in failures.iter().flatten() {
                tracing::debug!(%error, "while leaving a topic");
            }
            // What was not heard is told again with the next reconciling.
            if failures.iter().all(Option::is_none) && !wanted.contains(topic) {
                wanted.told(topic);
            }
        }
    }

    /// Tells the services of a topic that nobody wants, be it for the second time.
    fn leave_again(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let left = self.leave(topic);
        ctx.spawn(left.into_actor(self));
    }

    // --- telling again ---

    /// Tells the services again what they should know of all topics, and asks gossip for the
    /// neighbors. What they know already changes nothing.
    pub(super) fn reconcile_all(&mut self, ctx: &mut Context<Self>) {
        self.publish_address(ctx);
        for (topic, wanted) in self.wanted.all() {
            match self.topics.contains_key(&topic) {
                true => self.reconcile(topic, wanted, ctx),
                false => self.resume(topic, wanted, ctx),
            }
        }
        for topic in self.wanted.left() {
            self.leave_again(topic, ctx);
        }
    }

    fn reconcile(&mut self, topic: TopicId, wanted: WantedTopic, ctx: &mut Context<Self>) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
            return;
        };
        let generation = open.state.generation();
        let keys = self.keys(topic);
        let discover = Discover {
            topic,
            peers: wanted.peers,
            cached: Vec::new(),
        };
        let add = AddTopic {
            name: wanted.name,
            secret: wanted.secret,
        };
        let told = async move {
            ports.identity.add_topic(add).await?;
            tell_services(&ports, keys, topic, discover).await
        };
        let then = told
            .into_actor(self)
            .map(move |told, actor, ctx| match told {
                Ok(told) => actor.told(&told, generation, ctx),
                Err(error) => actor.call_failed(error.service(), &error),
            });
        ctx.spawn(then);
    }

    /// Joins a wanted topic again, after this actor was started again.
    fn resume(&mut self, topic: TopicId, wanted: WantedTopic, ctx: &mut Context<Self>) {
        let Some(wires) = &self.wires else {
            return;
        };
        let prepared = prepare(wires.ports.clone(), wanted.clone(), wires.identity.author);
        let then = prepared.into_actor(self).map(move |prepared, actor, ctx| {
            let now = actor.now();
            match prepared {
                // Left in the meantime, or joined again.
                _ if !actor.wanted.contains(topic) => actor.leave_again(topic, ctx),
                Ok(_) if actor.topics.contains_key(&topic) => {}
                Ok(prepared) => {
                    if actor.enter(prepared, wanted.clone(), now).is_ok() {
                        actor.reconcile(topic, wanted, ctx);
                    }
                }
                Err(error) => {
                    actor.call_failed(error.service(), &error);
                    actor.resume_later(ctx);
                }
            }
        });
        ctx.spawn(then);
    }

    /// One more try for all topics together: one each would be a storm.
    fn resume_later(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.resuming, true) {
            ctx.run_later(RESUME_PAUSE, |actor, ctx| {
                actor.resuming = false;
                actor.reconcile_all(ctx);
            });
        }
    }

    /// Compares the neighbors with gossip's list, unless they have changed since it was asked for.
    fn compare_neighbors(
        &mut self,
        topic: TopicId,
        generation: u64,
        joined: &Joined,
        ctx: &mut Context<Self>,
    ) {
        let Some(open) = self.topics.get(&topic) else {
            return;
        };
        if open.state.generation() == generation {
            let difference = open.state.differs_from(&joined.neighbors);
            for peer in difference.down {
                self.neighbor_down(topic, peer, ctx);
            }
            for peer in difference.up {
                self.neighbor_up(topic, peer, ctx);
            }
        }
        self.neighbors_changed(topic, ctx);
    }

    /// Tells discovery which neighbors a topic has.
    pub(super) fn neighbors_changed(&self, topic: TopicId, ctx: &mut Context<Self>) {
        let (Some(ports), Some(open)) = (self.ports(), self.topics.get(&topic)) else {
            return;
        };
        let neighbors = open.state.neighbors().iter().copied().collect();
        let set = SetNeighbors { topic, neighbors };
        let told = async move { ports.discovery.set_neighbors(set).await };
        self.call(DiscoveryPort::SERVICE, told, ctx);
    }

    /// Tells discovery where others may dial this node.
    pub(super) fn publish_address(&self, ctx: &mut Context<Self>) {
        let (Some(ports), Some(address)) = (self.ports(), self.address.clone()) else {
            return;
        };
        let set = SetAddress {
            port: address.ipv4_port(),
            address: address.advertised,
        };
        let told = async move { ports.discovery.set_address(set).await };
        self.call(DiscoveryPort::SERVICE, told, ctx);
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
