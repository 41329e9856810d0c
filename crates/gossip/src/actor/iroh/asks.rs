//! Questions of this node to its neighbors, and theirs to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, SpawnHandle, StreamHandler,
    WrapFuture,
};
use bytes::Bytes;
use kukuri_contract::{
    Answer, AnswerError, Ask, AskError, AskId, EndpointId, GossipEvent, MAX_ANSWER_BYTES, TopicId,
};
use tokio::sync::{oneshot, watch};

use super::GossipActor;
use crate::ask::{IDLE, Line, Question};
use crate::config::Config;
use crate::core::asks::{Questions, Roster};

/// What the actor knows of questions.
pub(super) struct Asks {
    questions: Questions,
    /// To those that are asked, or were lately.
    lines: BTreeMap<EndpointId, Line>,
    /// Neighbors that wait for an answer; as many as there are places for questions.
    waiting: BTreeMap<AskId, oneshot::Sender<Option<Bytes>>>,
    next: u64,
    roster: watch::Sender<Roster>,
    /// Neighbors that have said, to their last question, that this node is none of theirs.
    one_sided: BTreeSet<EndpointId>,
    timer: Option<SpawnHandle>,
}

impl Asks {
    pub(super) fn new(config: &Config, roster: watch::Sender<Roster>) -> Self {
        Self {
            questions: Questions::new(config.max_questions, IDLE),
            lines: BTreeMap::new(),
            waiting: BTreeMap::new(),
            // At random, so that an answer meant for an actor before this one finds no question.
            next: getrandom::u64().expect("the operating system gives randomness"),
            roster,
            one_sided: BTreeSet::new(),
            timer: None,
        }
    }

    /// Keeps no connection to this peer. A question that is under way goes on.
    pub(super) fn hang_up(&mut self, peer: EndpointId) {
        self.questions.forget(peer);
        self.one_sided.remove(&peer);
        self.lines.remove(&peer);
    }

    /// Lets nobody wait any more, and closes all connections.
    pub(super) fn end(&mut self) {
        self.waiting.clear();
        self.lines.clear();
    }
}

impl GossipActor {
    /// Tells those who answer questions of a topic's neighbors.
    pub(super) fn publish(&self, topic: TopicId) {
        let open = self.topics.get(&topic);
        let neighbors = open.map(|open| open.membership.neighbors().clone());
        let change = |roster: &mut Roster| roster.set(topic, neighbors.unwrap_or_default());
        self.asks.roster.send_modify(change);
    }

    /// A peer that has let go of this node, and whose word of it was lost, would stay a neighbor that
    /// nothing comes from. (iroh-gossip sends that word on one of two connections and closes it; the
    /// other one lives.) The first time it may only be slow to notice its new neighbor.
    fn check_both_sides(
        &mut self,
        topic: TopicId,
        peer: EndpointId,
        answer: &Result<Bytes, AskError>,
    ) {
        match answer {
            Err(AskError::OneSided) if !self.asks.one_sided.insert(peer) => {
                tracing::debug!(?peer, "a neighbor on one side only; hanging up");
                self.asks.one_sided.remove(&peer);
                self.swarms.hang_up(topic, peer);
            }
            Ok(_) => _ = self.asks.one_sided.remove(&peer),
            Err(_) => {}
        }
    }

    /// Closes connections that are not used any more, now and later.
    fn hang_up_idle(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        for peer in self.asks.questions.idle(now) {
            self.asks.lines.remove(&peer);
        }
        if let Some(timer) = self.asks.timer.take() {
            ctx.cancel_future(timer);
        }
        self.asks.timer = self.asks.questions.next_idle().map(|at| {
            let wait = at.saturating_sub(now).max(Duration::from_millis(1));
            ctx.run_later(wait, |actor, ctx| actor.hang_up_idle(ctx))
        });
    }
}

impl Handler<Ask> for GossipActor {
    type Result = ResponseActFuture<Self, Result<Bytes, AskError>>;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        let Ask {
            topic,
            peer,
            payload,
        } = ask;
        let open = self.topics.get(&topic);
        let neighbors = open.map(|open| open.membership.neighbors());
        let begun = self
            .asks
            .questions
            .begin(topic, peer, payload.len(), neighbors);
        if let Err(error) = begun {
            return Box::pin(async { Err(error) }.into_actor(self));
        }
        let line = self.asks.lines.get(&peer).cloned();
        let line = line.or_else(|| self.swarms.line(peer));
        if let Some(line) = &line {
            self.asks.lines.insert(peer, line.clone());
        }
        let asked = async move {
            match line {
                Some(line) => line.ask(topic, payload).await,
                None => Err(AskError::NoNeighbor(peer)),
            }
        };
        let then = asked.into_actor(self).map(move |answer, actor, ctx| {
            let now = actor.now();
            actor.asks.questions.end(topic, peer, now);
            actor.check_both_sides(topic, peer, &answer);
            actor.forget(peer);
            actor.hang_up_idle(ctx);
            answer
        });
        Box::pin(then)
    }
}

impl StreamHandler<Question> for GossipActor {
    fn handle(&mut self, question: Question, _: &mut Self::Context) {
        let Question {
            topic,
            from,
            payload,
            answer,
        } = question;
        let waiting = &mut self.asks.waiting;
        waiting.retain(|_, answer| !answer.is_closed());
        let id = AskId(self.asks.next);
        self.asks.next = self.asks.next.wrapping_add(1);
        waiting.insert(id, answer);
        self.emit(GossipEvent::Asked {
            topic,
            from,
            id,
            payload,
        });
    }

    /// The stream ends with the endpoint; the actor ends when it is told to.
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<Answer> for GossipActor {
    type Result = Result<(), AnswerError>;

    fn handle(&mut self, Answer { id, payload }: Answer, _: &mut Self::Context) -> Self::Result {
        let bytes = payload.as_ref().map_or(0, Bytes::len);
        if bytes > MAX_ANSWER_BYTES {
            // The neighbor still waits: for a smaller one, or a refusal.
            return Err(AnswerError::TooLarge(bytes));
        }
        let waits = self.asks.waiting.remove(&id).ok_or(AnswerError::Gone)?;
        waits.send(payload).map_err(|_| AnswerError::Gone)
    }
}
