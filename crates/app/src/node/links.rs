//! Author links: in whose name this node writes, and telling each topic whom its author has revoked.
//!
//! Level-triggered like the rest: with each reconciling, identity is asked for the links, which a user
//! may have changed meanwhile, and the store for the revocations that a topic has not heard, or not
//! for long. So what a user revokes is said within seconds, and again before others forget it.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use kukuri_contract::{
    AuthorId, AuthorLinks, CallError, IdentityPort, Links, LinksError, Revocation, RevocationsDue,
    StorePort, TopicId,
};

use super::actor::NodeActor;
use super::draft::Content;
use crate::compose::Ports;

/// Revocations that are written at once: fewer than the ports admit, so that own posts always find
/// room. The rest follows with the next reconciling.
const REVOKING: usize = 64;

impl NodeActor {
    /// Asks for the links, and says in all topics what is due. At most one look is under way.
    pub(super) fn look_at_links(&mut self, ctx: &mut Context<Self>) {
        let Some(wires) = &self.wires else {
            return;
        };
        if self.revoking > 0 {
            return;
        }
        self.revoking = 1;
        let (ports, author) = (wires.ports.clone(), wires.identity.author);
        let now = self.now();
        let topics = self.topics.iter();
        let ready = topics.filter(|(_, open)| open.state.may_revoke(now));
        let topics: Vec<_> = ready.map(|(topic, _)| *topic).collect();
        let looked = look(ports, author, topics);
        let then = looked.into_actor(self).map(|(links, due), actor, ctx| {
            actor.revoking -= 1;
            match links {
                Ok(links) => actor.links = links,
                Err(error) => actor.call_failed(IdentityPort::SERVICE, &error),
            }
            for (topic, revocation) in due {
                actor.revoke(topic, revocation, ctx);
            }
        });
        ctx.spawn(then);
    }

    fn revoke(&mut self, topic: TopicId, revocation: Revocation, ctx: &mut Context<Self>) {
        self.revoking += 1;
        tracing::info!(?topic, writer = ?revocation.writer, "telling of a revocation");
        let sent = self.send(topic, Content::Revokes(revocation));
        let then = sent.map(|sent, actor, _| {
            actor.revoking -= 1;
            // It stays due, so that the next look tries again.
            if let Err(error) = sent {
                actor.call_failed(StorePort::SERVICE, &error);
            }
        });
        ctx.spawn(then);
    }
}

type Looked = Result<AuthorLinks, CallError<LinksError>>;

/// The links, and what is due in these topics.
async fn look(
    ports: Ports,
    author: AuthorId,
    topics: Vec<TopicId>,
) -> (Looked, Vec<(TopicId, Revocation)>) {
    let links = ports.identity.links(Links).await;
    let writers = links.as_ref().map(|links| links.revoked.clone());
    let writers = writers.unwrap_or_default();
    let mut due = Vec::new();
    for topic in topics {
        if writers.is_empty() || due.len() >= REVOKING {
            break;
        }
        let ask = RevocationsDue {
            topic,
            author,
            writers: writers.clone(),
        };
        match ports.store.revocations_due(ask).await {
            Ok(revocations) => due.extend(revocations.into_iter().map(|one| (topic, one))),
            Err(error) => tracing::debug!(?topic, %error, "revocations not looked up"),
        }
    }
    due.truncate(REVOKING);
    (links, due)
}
