//! Discovery with sockets for each topic: a whole [`Mainline`](super::Mainline) of its own, so that
//! no DHT node and no one on the way can tell from a port or a DHT node's id that two topics are
//! one node's. What stays the same is the IP address.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::rc::Rc;

use actix::{Actor, ActorContext, Context, Handler, ResponseFuture};
use kukuri_contract::{
    Announce, AnnounceError, Announced, CallError, DhtHealth, DhtHealthQuery, Discover,
    DiscoverError, DiscoveryDeps, DiscoveryPort, DiscoveryRunning, Forget, HearBeacon, Limits,
    Lookup, LookupError, LookupStats, Never, Probe, SetAddress, SetAddressError, SetNeighbors,
    Stop, TopicId,
};
use tokio::sync::Mutex;

use super::requests::check_address;
use super::{Way, sources, spawn};
use crate::config::Config;

/// Starts it: no socket is bound before there is a topic.
pub(super) fn start(config: Config, deps: DiscoveryDeps) -> DiscoveryRunning {
    let hello_address = config.hello_bind;
    let actor = SeparateTopics(Rc::new(Topics {
        config: Config {
            max_topics: 1,
            ..config.clone()
        },
        max_topics: config.max_topics,
        deps,
        state: Mutex::default(),
    }));
    DiscoveryRunning {
        port: DiscoveryPort::new(&actor.start(), Limits::default()),
        hello_address: Some(hello_address.into()),
    }
}

/// The actor: hands each request on to the topic that it is about.
struct SeparateTopics(Rc<Topics>);

struct Topics {
    /// Of each topic's own discovery.
    config: Config,
    /// Most topics; each has sockets, and a thread for its DHT node.
    max_topics: usize,
    deps: DiscoveryDeps,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Never asks this actor, so there is no circle.
    running: HashMap<TopicId, DiscoveryRunning>,
    address: Option<SetAddress>,
}

impl Topics {
    /// The discovery of a topic, started if need be.
    async fn start(&self, topic: TopicId) -> Result<DiscoveryRunning, DiscoverError> {
        // Held meanwhile: a topic that is asked for twice is started once.
        let mut state = self.state.lock().await;
        if let Some(own) = state.running.get(&topic) {
            return Ok(own.clone());
        }
        if state.running.len() >= self.max_topics {
            let limit = self.max_topics;
            return Err(DiscoverError::TooManyTopics { limit });
        }
        let own = spawn(
            self.config.clone(),
            self.deps.clone(),
            Way::Socket(sources(&self.config)),
        )
        .await;
        let own = own.map_err(|error| DiscoverError::NoSocket(error.to_string()))?;
        if let Some(address) = &state.address {
            let told = own.port.set_address(address.clone()).await;
            told.map_err(|error| DiscoverError::NoSocket(error.to_string()))?;
        }
        state.running.insert(topic, own.clone());
        Ok(own)
    }

    async fn of(&self, topic: TopicId) -> Option<DiscoveryRunning> {
        self.state.lock().await.running.get(&topic).cloned()
    }

    /// One that has ended by itself is started again by the next [`Discover`].
    async fn note<T, E>(&self, topic: TopicId, reply: &Result<T, CallError<E>>)
    where
        E: std::error::Error,
    {
        if let Err(CallError::Unavailable { .. }) = reply {
            self.state.lock().await.running.remove(&topic);
        }
    }
}

impl Actor for SeparateTopics {
    type Context = Context<Self>;
}

impl Handler<Discover> for SeparateTopics {
    type Result = ResponseFuture<Result<(), DiscoverError>>;

    fn handle(&mut self, request: Discover, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let topic = request.topic;
            let own = topics.start(topic).await?;
            let reply = own.port.discover(request).await;
            topics.note(topic, &reply).await;
            reply.map_err(|error| match error {
                CallError::Refused(refused) => refused,
                other => DiscoverError::NoSocket(other.to_string()),
            })
        })
    }
}

impl Handler<Forget> for SeparateTopics {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, request: Forget, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let own = topics.state.lock().await.running.remove(&request.topic);
            if let Some(own) = own {
                let stopped = own.port.stop().await;
                tracing::debug!(?stopped, "discovery of a topic ended");
            }
            Ok(())
        })
    }
}

impl Handler<SetNeighbors> for SeparateTopics {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, request: SetNeighbors, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let topic = request.topic;
            if let Some(own) = topics.of(topic).await {
                let reply = own.port.set_neighbors(request).await;
                topics.note(topic, &reply).await;
            }
            Ok(())
        })
    }
}

impl Handler<HearBeacon> for SeparateTopics {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, request: HearBeacon, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let topic = request.topic;
            if let Some(own) = topics.of(topic).await {
                let reply = own.port.hear_beacon(request).await;
                topics.note(topic, &reply).await;
            }
            Ok(())
        })
    }
}

impl Handler<SetAddress> for SeparateTopics {
    type Result = ResponseFuture<Result<(), SetAddressError>>;

    fn handle(&mut self, request: SetAddress, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            check_address(&request.address)?;
            let running: Vec<_> = {
                let mut state = topics.state.lock().await;
                state.address = Some(request.clone());
                let running = state.running.iter();
                running.map(|(topic, own)| (*topic, own.clone())).collect()
            };
            for (topic, own) in running {
                let reply = own.port.set_address(request.clone()).await;
                topics.note(topic, &reply).await;
            }
            Ok(())
        })
    }
}

impl Handler<Announce> for SeparateTopics {
    type Result = ResponseFuture<Result<Announced, AnnounceError>>;

    fn handle(&mut self, request: Announce, _: &mut Self::Context) -> Self::Result {
        let (topics, topic) = (self.0.clone(), request.topic);
        Box::pin(async move {
            let own = topics.of(topic).await;
            let own = own.ok_or(AnnounceError::UnknownTopic(topic))?;
            own.port
                .announce(request)
                .await
                .map_err(|error| match error {
                    CallError::Refused(refused) => refused,
                    other => AnnounceError::NotStored(other.to_string()),
                })
        })
    }
}

impl Handler<Lookup> for SeparateTopics {
    type Result = ResponseFuture<Result<LookupStats, LookupError>>;

    fn handle(&mut self, request: Lookup, _: &mut Self::Context) -> Self::Result {
        let (topics, topic) = (self.0.clone(), request.topic);
        Box::pin(async move {
            let unknown = || LookupError::UnknownTopic(topic);
            let own = topics.of(topic).await.ok_or_else(unknown)?;
            own.port.lookup(request).await.map_err(|_| unknown())
        })
    }
}

impl Handler<DhtHealthQuery> for SeparateTopics {
    type Result = ResponseFuture<Result<DhtHealth, Never>>;

    /// Of the topic that gets along worst with the DHT.
    fn handle(&mut self, query: DhtHealthQuery, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let running: Vec<_> = topics
                .state
                .lock()
                .await
                .running
                .values()
                .cloned()
                .collect();
            let mut worst = None::<DhtHealth>;
            for own in running {
                let health = own.port.health(query).await.unwrap_or_default();
                if worst.is_none_or(|worst| health.routing_table < worst.routing_table) {
                    worst = Some(health);
                }
            }
            Ok(worst.unwrap_or_default())
        })
    }
}

impl Handler<Probe> for SeparateTopics {
    type Result = ResponseFuture<Result<(), Never>>;

    /// A topic that hangs makes all of it hang: it is started again as one.
    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        Box::pin(async move {
            let running: Vec<_> = topics
                .state
                .lock()
                .await
                .running
                .values()
                .cloned()
                .collect();
            for own in running {
                let _ended = own.port.probe().await;
            }
            Ok(())
        })
    }
}

kukuri_contract::supervised!(SeparateTopics);

impl Handler<Stop> for SeparateTopics {
    type Result = ResponseFuture<Result<(), Never>>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let topics = self.0.clone();
        ctx.stop();
        Box::pin(async move {
            let running = std::mem::take(&mut topics.state.lock().await.running);
            for own in running.into_values() {
                let _ended = own.port.stop().await;
            }
            Ok(())
        })
    }
}

/// What is wrong with fixed ports, where each topic has its own.
pub(super) fn fixed_port(config: &Config) -> Option<(&'static str, SocketAddrV4)> {
    let ports = [
        ("hello_bind", config.hello_bind),
        ("dht_bind", config.dht_bind),
    ];
    let fixed = |(_, address): &(_, SocketAddrV4)| config.separate_topics && address.port() != 0;
    ports.into_iter().find(fixed)
}
