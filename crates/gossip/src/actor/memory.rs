//! The actor of the implementation `memory`: carries out in the network what it is asked, dials whom the
//! core says, and tells what the network tells it.

mod asks;
mod dials;
mod news;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle};
use kukuri_contract::{
    Broadcast, BroadcastError, Counters, Dial, DialError, Factory, GossipDeps, GossipEvent,
    GossipPort, GossipRunning, Join, JoinError, Joined, Leave, Limits, LocalAddress,
    LocalAddresses, Never, Outlet, Probe, SetBanned, Stop, TopicId,
};

use self::asks::Asks;
use crate::config::{Config, MemoryConfig};
use crate::core::banned::Banned;
use crate::core::hosts::Hosts;
use crate::core::membership::Membership;
use crate::error::GossipError;
use crate::network::{MemoryNetwork, Seat};

/// The implementation `memory` of gossip: nodes of one process meet in a [`MemoryNetwork`], for tests,
/// simulations and demos of what is built on kukuri. It opens no socket.
///
/// The network has latency, and loss where it is asked for; members prove to be members as they do over
/// iroh; broadcasts reach all members over neighbors. In records an endpoint stands under a loopback
/// address that is made up from its id ([`LocalAddresses::advertised`]): discovery needs one, and nothing
/// is bound there. So discovery has to take loopback addresses, as it does where it is bound to loopback
/// itself, or runs in memory too.
#[derive(Debug, Clone, Copy)]
pub struct MemoryGossip;

/// What a [`MemoryGossip`] is made from.
#[derive(Debug, Clone, Default)]
pub struct NetworkSetup {
    /// The settings.
    pub config: MemoryConfig,
    /// Where it meets others: the same handle for all that are to meet.
    pub network: MemoryNetwork,
}

impl Factory for MemoryGossip {
    const SERVICE: &'static str = GossipPort::SERVICE;
    const NAME: &'static str = "memory";
    const CONTRACT: u32 = 1;
    type Config = NetworkSetup;
    type Deps = GossipDeps;
    type Running = GossipRunning;
    type Error = GossipError;

    fn check(setup: &NetworkSetup) -> Result<(), GossipError> {
        setup.config.as_iroh().check()
    }

    async fn spawn(setup: NetworkSetup, deps: GossipDeps) -> Result<GossipRunning, GossipError> {
        Self::check(&setup)?;
        let NetworkSetup { config, network } = setup;
        let seat = network.enter(deps.endpoint, config.limits())?;
        tokio::spawn(seat.clone().run(deps.lease));
        let (addresses, news) = (seat.addresses(), seat.clone().news());
        let actor = MemoryActor::create(|ctx| {
            ctx.add_stream(news);
            MemoryActor {
                config: config.as_iroh(),
                asks: Asks::new(&config.as_iroh()),
                seat,
                events: deps.events,
                topics: BTreeMap::new(),
                banned: Banned::default(),
                dialing: 0,
                hosts: Hosts::default(),
                start: Instant::now(),
                timer: None,
            }
        });
        Ok(GossipRunning {
            port: GossipPort::new(&actor, Limits::default()),
            addresses,
        })
    }
}

/// The actor behind [`MemoryGossip`].
struct MemoryActor {
    config: Config,
    seat: Seat,
    events: Outlet<GossipEvent>,
    /// Whom each topic dials, and its neighbors as far as they were told.
    topics: BTreeMap<TopicId, Membership>,
    banned: Banned,
    asks: Asks,
    /// Dials under way, over all topics.
    dialing: usize,
    /// None of them rests: all addresses are loopback.
    hosts: Hosts,
    start: Instant,
    timer: Option<SpawnHandle>,
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

impl Drop for MemoryActor {
    /// Also after a panic: nothing speaks as this endpoint any more.
    fn drop(&mut self) {
        self.seat.exit();
    }
}

impl MemoryActor {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn emit(&self, event: GossipEvent) {
        self.events.emit(event);
    }
}

impl Handler<Join> for MemoryActor {
    type Result = Result<Joined, JoinError>;

    fn handle(&mut self, Join { topic, keys }: Join, _: &mut Self::Context) -> Self::Result {
        let limit = self.config.max_topics;
        if self.topics.len() >= limit && !self.topics.contains_key(&topic) {
            return Err(JoinError::TooManyTopics { limit });
        }
        if !self
            .seat
            .with(|network, me, _| network.join(me, topic, keys))
        {
            return Err(JoinError::Closed);
        }
        let (me, now) = (self.seat.id(), self.now());
        let joined = self.topics.entry(topic);
        let joined = joined.or_insert_with(|| Membership::new(me, self.config.wants(), now));
        let neighbors = joined.neighbors().iter().copied().collect();
        Ok(Joined { neighbors })
    }
}

impl Handler<Leave> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, Leave { topic }: Leave, _: &mut Self::Context) -> Self::Result {
        self.topics.remove(&topic);
        self.seat
            .with(|network, me, now| network.leave(me, topic, now));
        Ok(())
    }
}

impl Handler<Dial> for MemoryActor {
    type Result = Result<(), DialError>;

    fn handle(&mut self, dial: Dial, ctx: &mut Self::Context) -> Self::Result {
        let joined = self.topics.get_mut(&dial.topic);
        let joined = joined.ok_or(DialError::UnknownTopic(dial.topic))?;
        let told = joined.take(dial, &self.banned);
        told.into_iter().for_each(|event| self.emit(event));
        self.pump(ctx);
        Ok(())
    }
}

impl Handler<SetBanned> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, SetBanned { peers }: SetBanned, _: &mut Self::Context) -> Self::Result {
        let banned = Banned::new(peers);
        for peer in banned.fresh(&self.banned) {
            self.topics
                .values_mut()
                .for_each(|topic| topic.forget(peer));
        }
        self.banned = banned.clone();
        self.seat
            .with(|network, me, now| network.ban(me, banned, now));
        Ok(())
    }
}

impl Handler<Broadcast> for MemoryActor {
    type Result = Result<(), BroadcastError>;

    fn handle(&mut self, request: Broadcast, _: &mut Self::Context) -> Self::Result {
        let Broadcast { topic, payload } = request;
        self.seat
            .with(|network, me, now| network.broadcast(me, topic, payload, now))
    }
}

impl Handler<LocalAddress> for MemoryActor {
    type Result = Result<LocalAddresses, Never>;

    fn handle(&mut self, _: LocalAddress, _: &mut Self::Context) -> Self::Result {
        Ok(self.seat.addresses())
    }
}

impl Handler<Counters> for MemoryActor {
    type Result = Result<String, Never>;

    fn handle(&mut self, _: Counters, _: &mut Self::Context) -> Self::Result {
        Ok(self.seat.with(|network, me, _| network.counters(me)))
    }
}

impl Handler<Probe> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

kukuri_contract::supervised!(MemoryActor);

impl Handler<Stop> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        self.topics.clear();
        self.asks.end();
        self.seat.exit();
        ctx.stop();
        Ok(())
    }
}
