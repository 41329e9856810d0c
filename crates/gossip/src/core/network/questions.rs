//! Questions over links, and their answers.

use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{
    AnswerError, AskDrop, AskError, AskId, EndpointId, GossipEvent, MAX_ANSWER_BYTES, TopicId,
};

use super::endpoint::{Asked, Waiting};
use super::link::{End, Item, Number, Packet};
use super::{Network, News, Pass};
use crate::core::ask_wire::NoAnswer;
use crate::core::asks::Kind;

impl Network {
    /// Asks a neighbor; the answer is told under this number.
    ///
    /// # Errors
    /// See [`AskError`]; never `Busy`, which the asker finds out by itself.
    pub fn ask(
        &mut self,
        pass: Pass,
        topic: TopicId,
        peer: EndpointId,
        payload: Bytes,
        now: Duration,
    ) -> Result<Number, AskError> {
        self.at(now);
        let lost = || AskError::Failed("the connection was lost".to_owned());
        let own = self.endpoint(pass).ok_or_else(lost)?;
        let member = own.topics.get(&topic);
        let member = member.ok_or(AskError::UnknownTopic(topic))?;
        let link = *member
            .neighbors
            .get(&peer)
            .ok_or(AskError::NoNeighbor(peer))?;
        if !self.links.contains_key(&link) {
            return Err(lost());
        }
        let ends = self.now + own.limits.question;
        let id = self.number();
        let due = self.plan(pass, ends, Item::QuestionDue(id), None);
        let own = self.own(pass).ok_or_else(lost)?;
        own.asked.insert(id, Asked { link, due });
        self.send(link, peer, Packet::Question { id, payload });
        Ok(id)
    }

    /// Answers a neighbor's question; `None` refuses.
    ///
    /// # Errors
    /// See [`AnswerError`].
    pub fn answer(
        &mut self,
        pass: Pass,
        id: AskId,
        payload: Option<Bytes>,
        now: Duration,
    ) -> Result<(), AnswerError> {
        self.at(now);
        let bytes = payload.as_ref().map_or(0, Bytes::len);
        if bytes > MAX_ANSWER_BYTES {
            // The neighbor still waits: for a smaller one, or a refusal.
            return Err(AnswerError::TooLarge(bytes));
        }
        let asks = self.waits_no_more(pass, id).ok_or(AnswerError::Gone)?;
        if !self.links.contains_key(&asks.link) {
            return Err(AnswerError::Gone);
        }
        let refused = || AskError::Refused(NoAnswer::Refused.to_string());
        self.reply(asks, payload.ok_or_else(refused));
        Ok(())
    }

    /// A neighbor asks.
    pub(super) fn asked(
        &mut self,
        pass: Pass,
        (topic, peer, link): (TopicId, EndpointId, Number),
        question: Number,
        payload: Bytes,
    ) {
        let now = self.now;
        let Some(own) = self.own(pass) else {
            return;
        };
        if own.is_full() {
            // No news of it must be lost, so there must not be more than are asked for.
            return self.end(link, End::Lost, Some(pass.id));
        }
        let ends = now + own.limits.answer;
        let free = own.places.take(Kind::Neighbor, peer);
        let Number(id) = self.number();
        let id = AskId(id);
        let mut asks = Waiting {
            link,
            question,
            peer,
            due: (ends, question),
        };
        if !free {
            self.drop_question(pass, peer, AskDrop::Busy);
            return self.reply(asks, Err(AskError::Refused(NoAnswer::Busy.to_string())));
        }
        asks.due = self.plan(pass, ends, Item::AnswerDue(id), None);
        if let Some(own) = self.own(pass) {
            own.waiting.insert(id, asks);
        }
        let event = GossipEvent::Asked {
            topic,
            from: peer,
            id,
            payload,
        };
        self.tell(pass, News::Event(event));
    }

    /// A question of this endpoint has ended, if it has not before.
    pub(super) fn answered(
        &mut self,
        pass: Pass,
        question: Number,
        answer: Result<Bytes, AskError>,
    ) {
        let Some(own) = self.own(pass) else {
            return;
        };
        if let Some(asked) = own.asked.remove(&question) {
            own.cancel(asked.due);
            self.tell(pass, News::Answered { question, answer });
        }
    }

    pub(super) fn question_is_late(&mut self, pass: Pass, question: Number) {
        let Some(own) = self.endpoint(pass) else {
            return;
        };
        let limit = own.limits.question;
        let late = AskError::Failed(format!("nothing came within {limit:?}"));
        self.answered(pass, question, Err(late));
    }

    pub(super) fn answer_is_late(&mut self, pass: Pass, id: AskId) {
        if let Some(asks) = self.waits_no_more(pass, id) {
            self.drop_question(pass, asks.peer, AskDrop::TimedOut);
            let gave_up = AskError::Failed("the neighbor gave up on it".to_owned());
            self.reply(asks, Err(gave_up));
        }
    }

    /// Takes a neighbor's question off those that wait for an answer.
    pub(super) fn waits_no_more(&mut self, pass: Pass, id: AskId) -> Option<Waiting> {
        let own = self.own(pass)?;
        let asks = own.waiting.remove(&id)?;
        own.places.free(Kind::Neighbor, asks.peer);
        own.cancel(asks.due);
        Some(asks)
    }

    fn reply(&mut self, to: Waiting, answer: Result<Bytes, AskError>) {
        let reply = Packet::Reply {
            to: to.question,
            answer,
        };
        self.send(to.link, to.peer, reply);
    }

    fn drop_question(&mut self, pass: Pass, peer: EndpointId, reason: AskDrop) {
        let event = GossipEvent::AskDropped { peer, reason };
        self.tell(pass, News::Event(event));
    }
}
