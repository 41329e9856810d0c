//! The actor of the implementation `iroh`: translates messages and swarm events into the core's
//! decisions, and carries them out.

mod asks;
mod dials;
mod swarms;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Response,
    ResponseActFuture, SpawnHandle, WrapFuture,
};
use asks::Asks;
use futures_util::stream;
use kukuri_contract::{
    Broadcast, BroadcastError, Counters, Dial, DialError, EndpointAddr, Factory, GossipDeps,
    GossipEvent, GossipPort, GossipRunning, Join, JoinError, Joined, Leave, Limits, LocalAddress,
    LocalAddresses, Never, Outlet, Probe, SetBanned, Stop, TopicId,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::ask::Answerer;
use crate::config::{Config, wrong};
use crate::core::asks::Roster;
use crate::core::banned::Banned;
use crate::core::hosts::Hosts;
use crate::core::membership::Membership;
use crate::endpoint::{relay_url, transport};
use crate::error::GossipError;
use crate::swarm::{MAX_PAYLOAD_BYTES, Room, Subscription, Swarm};
use crate::swarms::Swarms;

/// Neighbors' questions on their way to the actor. Those that wait keep their places, which are
/// few; this is only how far their tasks run ahead.
const QUESTIONS: usize = 16;

/// The implementation `iroh` of gossip: iroh-gossip over iroh.
#[derive(Debug, Clone, Copy)]
pub struct IrohGossip;

impl Factory for IrohGossip {
    const SERVICE: &'static str = GossipPort::SERVICE;
    const NAME: &'static str = "iroh";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = GossipDeps;
    type Running = GossipRunning;
    type Error = GossipError;

    fn check(config: &Config) -> Result<(), GossipError> {
        relay_url(config)?;
        transport(config)?;
        config.check()?;
        if config.keep_alive_ms == 0 || config.keep_alive_ms * 2 > config.idle_timeout_ms {
            let problem = "it must be at least 1, and at most half of idle_timeout_ms: a lost \
                           keep-alive is no death";
            return Err(wrong("keep_alive_ms", problem));
        }
        // Twice as often as that, connections are looked at.
        if config.stray_ms < 100 {
            return Err(wrong("stray_ms", "it must be at least 100"));
        }
        // iroh ignores longer ones.
        if config.keep_alive_ms > 5_000 || config.idle_timeout_ms > 15_000 {
            let problem = "at most 15000, with keep_alive_ms at most 5000: iroh's limits";
            return Err(wrong("idle_timeout_ms", problem));
        }
        Ok(())
    }

    async fn spawn(config: Config, deps: GossipDeps) -> Result<GossipRunning, GossipError> {
        Self::check(&config)?;
        let GossipDeps {
            key, events, lease, ..
        } = deps;
        let (roster, known) = watch::channel(Roster::default());
        let (questions, mut asked) = mpsc::channel(QUESTIONS);
        let (banned, barred) = watch::channel(Banned::default());
        let answerer = Answerer::new(&config, known, barred.clone(), questions, events.clone());
        let (swarms, mut received) =
            Swarms::start(&config, &key, answerer, events.clone(), barred).await?;
        tokio::spawn(swarms.clone().close_with(lease));
        let addresses = swarms.addresses();
        let advertised = addresses.advertised.clone();
        let actor = GossipActor::create(|ctx| {
            ctx.add_stream(stream::poll_fn(move |cx| received.poll_recv(cx)));
            ctx.add_stream(stream::poll_fn(move |cx| asked.poll_recv(cx)));
            GossipActor {
                asks: Asks::new(&config, roster),
                banned,
                config,
                swarms,
                events,
                advertised,
                topics: BTreeMap::new(),
                subscriptions: 0,
                dialing: 0,
                hosts: Hosts::default(),
                start: Instant::now(),
                timer: None,
                closed: false,
            }
        });
        Ok(GossipRunning {
            port: GossipPort::new(&actor, Limits::default()),
            addresses,
        })
    }
}

/// The actor behind [`IrohGossip`].
struct GossipActor {
    config: Config,
    swarms: Swarms,
    events: Outlet<GossipEvent>,
    advertised: EndpointAddr,
    topics: BTreeMap<TopicId, Topic>,
    asks: Asks,
    /// Whom door, dialer and those who answer have nothing to do with.
    banned: watch::Sender<Banned>,
    /// Subscriptions until now.
    subscriptions: u64,
    /// Dials under way, over all topics.
    dialing: usize,
    /// Those that were dialed in vain, over all topics.
    hosts: Hosts,
    start: Instant,
    timer: Option<SpawnHandle>,
    /// The endpoint was closed in good order.
    closed: bool,
}

struct Topic {
    room: Arc<Room>,
    swarm: Swarm,
    /// What others say of neighbors is old.
    subscription: Subscription,
    /// The next subscription is planned.
    renewing: bool,
    membership: Membership,
}

impl Actor for GossipActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let poll = Duration::from_millis(self.config.stray_ms / 2);
        ctx.run_interval(poll, |actor, _| actor.hang_up_strays());
    }
}

impl Drop for GossipActor {
    /// After a panic nobody else closes the endpoint, and a fresh actor needs its port.
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let swarms = self.swarms.clone();
            runtime.spawn(async move { swarms.close().await });
        }
    }
}

impl GossipActor {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn emit(&self, event: GossipEvent) {
        self.events.emit(event);
    }
}

impl Handler<Join> for GossipActor {
    type Result = ResponseActFuture<Self, Result<Joined, JoinError>>;

    fn handle(&mut self, Join { topic, keys }: Join, _: &mut Self::Context) -> Self::Result {
        let limit = self.config.max_topics;
        if let Some(open) = self.topics.get(&topic) {
            open.room.set_keys(keys);
            let neighbors = open.membership.neighbors().iter().copied().collect();
            return Box::pin(async { Ok(Joined { neighbors }) }.into_actor(self));
        }
        if self.topics.len() >= limit {
            let full = JoinError::TooManyTopics { limit };
            return Box::pin(async { Err(full) }.into_actor(self));
        }
        let swarms = self.swarms.clone();
        let opened = async move { swarms.open(topic, keys).await };
        let then = opened.into_actor(self).map(move |opened, actor, _| {
            // It may have been left meanwhile.
            let opened = opened.filter(|(room, _)| actor.swarms.is_open(room));
            let (room, entered) = opened.ok_or(JoinError::Closed)?;
            let subscription = actor.next_subscription();
            let membership = Membership::new(actor.swarms.id(), actor.config.wants(), actor.now());
            // Joined twice at once: the first one stays, so that its neighbors stay known.
            let open = actor.topics.entry(topic).or_insert_with(|| Topic {
                room,
                swarm: entered.listen(subscription),
                subscription,
                renewing: false,
                membership,
            });
            let neighbors = open.membership.neighbors().iter().copied().collect();
            Ok(Joined { neighbors })
        });
        Box::pin(then)
    }
}

impl Handler<Leave> for GossipActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, Leave { topic }: Leave, _: &mut Self::Context) -> Self::Result {
        let left = self.topics.remove(&topic);
        self.swarms.leave(topic);
        self.publish(topic);
        for peer in left.iter().flat_map(|left| left.membership.neighbors()) {
            self.forget(*peer);
        }
        Ok(())
    }
}

impl Handler<Dial> for GossipActor {
    type Result = Result<(), DialError>;

    fn handle(&mut self, dial: Dial, ctx: &mut Self::Context) -> Self::Result {
        let open = self.topics.get_mut(&dial.topic);
        let open = open.ok_or(DialError::UnknownTopic(dial.topic))?;
        let told = open.membership.take(dial, &self.banned.borrow());
        told.into_iter().for_each(|event| self.emit(event));
        self.pump(ctx);
        Ok(())
    }
}

impl Handler<SetBanned> for GossipActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, SetBanned { peers }: SetBanned, _: &mut Self::Context) -> Self::Result {
        let banned = Banned::new(peers);
        let fresh = banned.fresh(&self.banned.borrow());
        // First of all: who is hung up on comes back at once.
        self.banned.send_replace(banned);
        for peer in fresh {
            for (topic, open) in &mut self.topics {
                open.membership.forget(peer);
                self.swarms.hang_up(*topic, peer);
            }
            self.asks.hang_up(peer);
        }
        Ok(())
    }
}

impl Handler<Broadcast> for GossipActor {
    type Result = Response<Result<(), BroadcastError>>;

    fn handle(&mut self, request: Broadcast, _: &mut Self::Context) -> Self::Result {
        let Broadcast { topic, payload } = request;
        let (got, limit) = (payload.len(), MAX_PAYLOAD_BYTES);
        if got > limit {
            return Response::reply(Err(BroadcastError::TooLarge { got, limit }));
        }
        let Some(open) = self.topics.get(&topic) else {
            return Response::reply(Err(BroadcastError::UnknownTopic(topic)));
        };
        let outgoing = open.swarm.outgoing();
        match outgoing.try_send(payload) {
            Ok(()) => Response::reply(Ok(())),
            Err(TrySendError::Closed(_)) => Response::reply(Err(BroadcastError::Closed)),
            // The reply waits for room: back-pressure.
            Err(TrySendError::Full(payload)) => {
                let outgoing = outgoing.clone();
                Response::fut(async move {
                    let sent = outgoing.send(payload).await;
                    sent.map_err(|_| BroadcastError::Closed)
                })
            }
        }
    }
}

impl Handler<LocalAddress> for GossipActor {
    type Result = Result<LocalAddresses, Never>;

    fn handle(&mut self, _: LocalAddress, _: &mut Self::Context) -> Self::Result {
        Ok(self.swarms.addresses())
    }
}

impl Handler<Counters> for GossipActor {
    type Result = Result<String, Never>;

    fn handle(&mut self, _: Counters, _: &mut Self::Context) -> Self::Result {
        Ok(self.swarms.counters())
    }
}

impl Handler<Probe> for GossipActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(GossipActor);

impl Handler<Stop> for GossipActor {
    type Result = ResponseActFuture<Self, Result<(), Never>>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.topics.clear();
        self.asks.end();
        let swarms = self.swarms.clone();
        let closed = async move { swarms.close().await };
        let then = closed.into_actor(self).map(|(), actor, ctx| {
            actor.closed = true;
            ctx.stop();
            Ok(())
        });
        Box::pin(then)
    }
}
