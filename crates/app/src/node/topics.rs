//! Opening and leaving topics.

use std::time::Duration;

use actix::{
    ActorFutureExt, Context, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture,
};
use kukuri_contract::{
    AddTopic, Discover, EndpointAddr, Forget, Join, LastSeq, Leave, NodeEvent, RemoveTopic,
    TopicId, TopicName, TopicSecret,
};
use tokio::sync::broadcast;

use crate::compose::Ports;
use crate::core::topic::TopicState;
use crate::error::TopicError;
use crate::node::actor::{NodeActor, OpenTopic};
use crate::node::handle::TopicEvent;

/// Joins a topic.
#[derive(Message)]
#[rtype(result = "Result<TopicId, TopicError>")]
pub struct Open {
    pub name: TopicName,
    pub secret: Option<TopicSecret>,
    pub peers: Vec<EndpointAddr>,
    pub events: broadcast::Sender<TopicEvent>,
}

impl Handler<Open> for NodeActor {
    type Result = ResponseActFuture<Self, Result<TopicId, TopicError>>;

    fn handle(&mut self, open: Open, _: &mut Self::Context) -> Self::Result {
        let joined_at = self.now();
        let wired = self.wired.as_ref();
        let prepared =
            wired.map(|wired| prepare(wired.ports.clone(), &open, wired.identity.author));
        let Some(prepared) = prepared else {
            return Box::pin(async { Err(TopicError::Stopping) }.into_actor(self));
        };
        let peers = open.peers.clone();
        let entered = prepared.into_actor(self).map(move |prepared, actor, _| {
            let (topic, last_seq) = prepared?;
            actor.enter(topic, open, last_seq, joined_at)?;
            Ok(topic)
        });
        let started = entered.then(move |entered: Result<_, TopicError>, actor, _| {
            let ports = actor.ports();
            async move {
                let topic = entered?;
                let ports = ports.ok_or(TopicError::Stopping)?;
                // The swarm first: a peer that discovery finds must have where to go.
                ports.gossip.join(Join { topic }).await?;
                let cached = Vec::new();
                let discover = Discover {
                    topic,
                    peers,
                    cached,
                };
                ports.discovery.discover(discover).await?;
                Ok(topic)
            }
            .into_actor(actor)
        });
        Box::pin(started)
    }
}

/// Asks identity and store for what a topic needs.
fn prepare(
    ports: Ports,
    open: &Open,
    author: kukuri_contract::AuthorId,
) -> impl Future<Output = Result<(TopicId, Option<u64>), TopicError>> + use<> {
    let add = AddTopic {
        name: open.name.clone(),
        secret: open.secret.clone(),
    };
    async move {
        let topic = ports.identity.add_topic(add).await?;
        let last_seq = ports.store.last_seq(LastSeq { topic, author }).await?;
        Ok((topic, last_seq))
    }
}

impl NodeActor {
    fn enter(
        &mut self,
        topic: TopicId,
        open: Open,
        last_seq: Option<u64>,
        joined_at: Duration,
    ) -> Result<(), TopicError> {
        if self.topics.contains_key(&topic) {
            return Err(TopicError::AlreadyJoined);
        }
        let opened = OpenTopic {
            name: open.name,
            secret: open.secret.is_some(),
            state: TopicState::new(last_seq, joined_at),
            events: open.events,
        };
        tracing::info!(?topic, name = %opened.name, "topic joined");
        self.topics.insert(topic, opened);
        self.emit(NodeEvent::TopicOpened);
        Ok(())
    }
}

/// Leaves a topic.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LeaveTopic(pub TopicId);

impl Handler<LeaveTopic> for NodeActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, LeaveTopic(topic): LeaveTopic, _: &mut Context<Self>) -> Self::Result {
        let ports = self.ports().filter(|_| self.topics.contains_key(&topic));
        if let Some(open) = self.topics.remove(&topic) {
            tracing::info!(?topic, name = %open.name, "topic left");
            let verdict = open.state.verdict();
            self.emit(NodeEvent::TopicClosed { topic, verdict });
        }
        Box::pin(async move {
            let Some(ports) = ports else {
                return;
            };
            let discovery = ports.discovery.forget(Forget { topic }).await.err();
            let gossip = ports.gossip.leave(Leave { topic }).await.err();
            let identity = ports
                .identity
                .remove_topic(RemoveTopic { topic })
                .await
                .err();
            for error in [discovery, gossip, identity].into_iter().flatten() {
                tracing::debug!(%error, "while leaving a topic");
            }
        })
    }
}
