//! Gap repair: asking neighbors for posts that are missing here, and giving them those that they
//! lack. `core/repair.rs` has the protocol, `core/plan.rs` says when.

mod answer;

use std::cell::Cell;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use bytes::Bytes;
use kukuri_contract::{
    Answer, Ask, AskError, AskId, AuthorId, CallError, EndpointId, Epoch, Holding, Holdings,
    KeyBytes, NodeEvent, Offense, Post, PostDrop, RepairResult, TopicId, TopicKeys, WallClock,
};

use self::answer::{AnswerFailure, Served, answer};
use super::actor::NodeActor;
use super::posts::incoming::store;
use crate::compose::Ports;
use crate::core::post;
use crate::core::repair::{
    Between, Delivery, FIRST_AUTHOR, LAST_AUTHOR, MAX_AUTHORS, MAX_RANGES, RepairError, Summary,
    next_author,
};
use crate::core::score::is_garbage;

/// Questions in one repair: as many as bring some ten thousand posts. The rest comes with the next.
const MAX_QUESTIONS: usize = 64;
/// Neighbors' questions that are answered at once: those of four neighbors, two of each. Each holds
/// up to a megabyte.
const ANSWERING: usize = 8;

impl NodeActor {
    // --- asking ---

    /// Starts a repair of a topic if it is time for one.
    pub(super) fn repair_if_due(&mut self, topic: TopicId, ctx: &mut Context<Self>) {
        let now = self.now();
        let Some(wires) = &self.wires else {
            return;
        };
        let Some(open) = self.topics.get_mut(&topic) else {
            return;
        };
        let neighbors = open.state.neighbors().clone();
        let Some(peer) = open.state.repairs.next(now, &neighbors, random_below) else {
            return;
        };
        let asker = Asker {
            ports: wires.ports.clone(),
            clock: self.clock.clone(),
            between: Between {
                topic,
                asker: wires.identity.endpoint,
                answerer: peer,
            },
            deliver: ctx.address(),
            bad: Cell::new(false),
        };
        let then = asker
            .repair()
            .into_actor(self)
            .map(move |outcome, actor, ctx| {
                let Outcome { result, posts, bad } = outcome;
                if bad {
                    actor.offended(peer, Offense::BadAnswer, ctx);
                }
                tracing::debug!(?topic, ?peer, ?result, posts, "repair ended");
                actor.emit(NodeEvent::RepairEnded { result, posts });
                let now = actor.now();
                if let Some(open) = actor.topics.get_mut(&topic) {
                    open.state.repair_ended(result, posts, now);
                }
                actor.look_at_links(ctx);
                actor.repair_if_due(topic, ctx);
            });
        ctx.spawn(then);
    }

    // --- answering ---

    pub(super) fn asked(
        &mut self,
        topic: TopicId,
        from: EndpointId,
        id: AskId,
        question: Bytes,
        ctx: &mut Context<Self>,
    ) {
        let Some(wires) = &self.wires else {
            return;
        };
        let (ports, me) = (wires.ports.clone(), wires.identity.endpoint);
        let between = Between {
            topic,
            asker: from,
            answerer: me,
        };
        let (epoch, now) = (Epoch::at(self.clock.now()), self.now());
        let within_rate = self.scores.asks(from, now);
        if !within_rate {
            self.offended(from, Offense::Questions, ctx);
        }
        // Refused, the neighbor asks again, or another one.
        let room = within_rate && self.answering < ANSWERING && self.topics.contains_key(&topic);
        self.answering += usize::from(room);
        let answered = async move {
            let answer = match room {
                true => answer(&ports, between, &question, epoch).await,
                false => Err(AnswerFailure::Busy),
            };
            let (payload, served) = match answer {
                Ok((payload, served)) => (Some(payload), Ok(served)),
                Err(failure) => {
                    tracing::debug!(?topic, ?from, %failure, "neighbor's repair refused");
                    (None, Err(failure))
                }
            };
            // Nobody waits any more: fine.
            let sent = ports.gossip.answer(Answer { id, payload }).await;
            (served, sent.is_ok())
        };
        let then = answered.into_actor(self).map(move |answered, actor, ctx| {
            actor.answering -= usize::from(room);
            let Served { posts, lacking } = match answered {
                (Ok(served), true) => served,
                (Err(AnswerFailure::Invalid(error)), _) if is_offense(error) => {
                    return actor.offended(from, Offense::BadQuestion, ctx);
                }
                _ => return,
            };
            actor.emit(NodeEvent::RepairServed { posts });
            let now = actor.now();
            if let (true, Some(open)) = (lacking, actor.topics.get_mut(&topic)) {
                open.state.repairs.knows_more(from, now);
                actor.repair_if_due(topic, ctx);
            }
        });
        ctx.spawn(then);
    }
}

/// Posts that a repair brought: verified and stored.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Repaired {
    topic: TopicId,
    posts: Vec<Post>,
}

impl Handler<Repaired> for NodeActor {
    type Result = ();

    fn handle(&mut self, Repaired { topic, posts }: Repaired, _: &mut Self::Context) {
        // The topic may have been left meanwhile; the posts are in the store all the same.
        if self.topics.contains_key(&topic) {
            posts.into_iter().for_each(|post| self.deliver_post(post));
        }
    }
}

/// Counts posts that a repair brought and that were not used.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Unusable(PostDrop);

impl Handler<Unusable> for NodeActor {
    type Result = ();

    fn handle(&mut self, Unusable(reason): Unusable, _: &mut Self::Context) {
        self.drop_post(reason);
    }
}

/// How a repair ended.
struct Outcome {
    result: RepairResult,
    posts: u64,
    /// The neighbor has sent what no honest one sends.
    bad: bool,
}

/// The asking side of one repair.
struct Asker {
    ports: Ports,
    clock: WallClock,
    between: Between,
    deliver: actix::Addr<NodeActor>,
    /// A post among those that came is none.
    bad: Cell<bool>,
}

/// Why a repair ended early.
enum Early {
    /// The neighbor, or a service here, did not answer.
    Failed(String),
    /// What came back can't be used.
    Invalid(RepairError),
}

impl Asker {
    /// Asks range by range of authors, until nothing is missing that the neighbor has.
    async fn repair(self) -> Outcome {
        let mut posts = 0;
        let mut from = FIRST_AUTHOR;
        for _ in 0..MAX_QUESTIONS {
            let asked = self.ask(from).await;
            let (to, more, settled, brought) = match asked {
                Ok(asked) => asked,
                Err(early) => return self.ended(self.explain(early), posts),
            };
            posts += brought;
            // A neighbor that says "more" and brings nothing new would be asked forever.
            let stuck = more && settled == 0;
            if to == LAST_AUTHOR && (!more || stuck) {
                return self.ended(RepairResult::Complete, posts);
            }
            if !more || stuck {
                from = next_author(to);
            }
        }
        self.ended(RepairResult::Partial, posts)
    }

    fn ended(&self, result: RepairResult, posts: u64) -> Outcome {
        let bad = self.bad.get();
        Outcome { result, posts, bad }
    }

    /// One question and what comes of it: the last author of its range, whether the neighbor has
    /// more of the range, how many numbers it settled, and how many posts it brought.
    async fn ask(&self, from: AuthorId) -> Result<(AuthorId, bool, u64, u64), Early> {
        let topic = self.between.topic;
        let limit = MAX_AUTHORS;
        let holdings = Holdings { topic, from, limit };
        let have = self.ports.store.holdings(holdings).await.map_err(failed)?;
        let to = match have.last() {
            Some(last) if have.len() >= limit => last.author,
            _ => LAST_AUTHOR,
        };
        let have = have.into_iter().map(bounded).collect();
        let epoch = Epoch::at(self.clock.now());
        let key = repair_key(&self.ports, topic, epoch)
            .await
            .map_err(failed)?;
        let nonce = random_nonce().map_err(failed)?;
        let summary = Summary { from, to, have };
        let ask = Ask {
            topic,
            peer: self.between.answerer,
            payload: summary.seal(self.between, epoch, &key, nonce),
        };
        let answer = self
            .ports
            .gossip
            .ask(ask)
            .await
            .map_err(failed::<CallError<AskError>>)?;
        let delivery = Delivery::open(&answer, self.between, (epoch, nonce), &key);
        let delivery = delivery.map_err(Early::Invalid)?;
        let (settled, brought) = self.take_in(&delivery.envelopes).await;
        Ok((to, delivery.more, settled, brought))
    }

    /// Verifies, stores and delivers posts; says how many numbers are settled that were not, and how
    /// many posts were new.
    async fn take_in(&self, envelopes: &[Bytes]) -> (u64, u64) {
        let (topic, now) = (self.between.topic, self.clock.now());
        // Revocations first: the posts that they are about may come with them.
        let mut ordered: Vec<_> = envelopes.iter().collect();
        ordered.sort_by_key(|envelope| envelope.first() != Some(&post::REVOCATION));
        let saves = ordered.into_iter().map(|envelope| async move {
            let post = post::verify(topic, envelope, now)?;
            store(&self.ports.store, &post).await?;
            Ok(post)
        });
        // In chunks: the store's port admits a bounded number of requests at once.
        let (mut new, mut revoked) = (Vec::new(), 0);
        let mut saves = saves.collect::<Vec<_>>();
        while !saves.is_empty() {
            let rest = saves.split_off(saves.len().min(SAVES));
            for saved in futures_util::future::join_all(saves).await {
                match saved {
                    Ok(post) => new.push(post),
                    Err(reason) => {
                        revoked += u64::from(reason == PostDrop::Revoked);
                        self.bad.set(self.bad.get() || is_garbage(reason));
                        // An error means that the actor is gone, and with it who counts.
                        let _gone = self.deliver.send(Unusable(reason)).await;
                    }
                }
            }
            saves = rest;
        }
        let brought = new.len() as u64;
        let _gone = self.deliver.send(Repaired { topic, posts: new }).await;
        (brought + revoked, brought)
    }

    fn explain(&self, early: Early) -> RepairResult {
        let peer = self.between.answerer;
        match early {
            Early::Failed(error) => {
                tracing::debug!(?peer, %error, "repair failed");
                RepairResult::Failed
            }
            Early::Invalid(error) => {
                tracing::debug!(?peer, %error, "a neighbor's answer can't be used");
                self.bad.set(self.bad.get() || is_offense(error));
                RepairResult::Invalid
            }
        }
    }
}

/// Posts of a repair that are stored at once: one transaction, and room for others at the port.
const SAVES: usize = 64;

/// A newer version and another clock are no offenses.
fn is_offense(error: RepairError) -> bool {
    matches!(error, RepairError::Seal | RepairError::Malformed)
}

fn failed<E: std::fmt::Display>(error: E) -> Early {
    Early::Failed(error.to_string())
}

/// The neighbor takes no more ranges than this; those that are left out it sends again, and they
/// are dropped as duplicates.
fn bounded(mut holding: Holding) -> Holding {
    holding.ranges.truncate(MAX_RANGES);
    holding
}

async fn repair_key(
    ports: &Ports,
    topic: TopicId,
    epoch: Epoch,
) -> Result<KeyBytes, CallError<kukuri_contract::TopicKeysError>> {
    let keys = ports
        .identity
        .topic_keys(TopicKeys { topic, epoch })
        .await?;
    Ok(keys.repair)
}

fn random_nonce() -> Result<[u8; 24], getrandom::Error> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

/// Without randomness the first one is as good as any.
fn random_below(bound: usize) -> usize {
    let random = getrandom::u64().unwrap_or(0);
    (random % bound.max(1) as u64) as usize
}
