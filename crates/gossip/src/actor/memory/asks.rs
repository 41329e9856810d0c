//! Questions of this node to its neighbors, and its answers to theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use bytes::Bytes;
use kukuri_contract::{Answer, AnswerError, Ask, AskError};
use tokio::sync::oneshot;

use super::MemoryActor;
use crate::config::Config;
use crate::core::asks::Questions;
use crate::core::network::Number;

/// What the actor knows of its questions.
pub(super) struct Asks {
    questions: Questions,
    /// Who waits for the answer; as many as there are questions under way.
    waiting: BTreeMap<Number, oneshot::Sender<Result<Bytes, AskError>>>,
}

impl Asks {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            // Links need no connection beside them that could idle.
            questions: Questions::new(config.max_questions, Duration::ZERO),
            waiting: BTreeMap::new(),
        }
    }

    /// Hands an answer to who waits for it.
    pub(super) fn answered(&mut self, question: Number, answer: Result<Bytes, AskError>) {
        if let Some(waits) = self.waiting.remove(&question) {
            // An error means that the asker does not want it any more.
            let _gone = waits.send(answer);
        }
    }

    /// Lets nobody wait any more.
    pub(super) fn end(&mut self) {
        self.waiting.clear();
    }
}

impl Handler<Ask> for MemoryActor {
    type Result = ResponseActFuture<Self, Result<Bytes, AskError>>;

    fn handle(&mut self, ask: Ask, _: &mut Self::Context) -> Self::Result {
        let Ask {
            topic,
            peer,
            payload,
        } = ask;
        let joined = self.topics.get(&topic);
        let neighbors = joined.map(|joined| joined.neighbors());
        let questions = &mut self.asks.questions;
        if let Err(error) = questions.begin(topic, peer, payload.len(), neighbors) {
            return Box::pin(async { Err(error) }.into_actor(self));
        }
        let begun = self
            .seat
            .with(|network, me, now| network.ask(me, topic, peer, payload, now));
        let (waits, answer) = oneshot::channel();
        let begun = begun.map(|question| _ = self.asks.waiting.insert(question, waits));
        let asked = async move {
            begun?;
            let gone = |_| AskError::Failed("this node's endpoint has ended".to_owned());
            answer.await.map_err(gone)?
        };
        let then = asked.into_actor(self).map(move |answer, actor, _| {
            let now = actor.now();
            let questions = &mut actor.asks.questions;
            questions.end(topic, peer, now);
            questions.forget(peer);
            answer
        });
        Box::pin(then)
    }
}

impl Handler<Answer> for MemoryActor {
    type Result = Result<(), AnswerError>;

    fn handle(&mut self, Answer { id, payload }: Answer, _: &mut Self::Context) -> Self::Result {
        self.seat
            .with(|network, me, now| network.answer(me, id, payload, now))
    }
}
