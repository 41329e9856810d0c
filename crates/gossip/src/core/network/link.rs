//! What goes through the network, and the links that it goes over.

use std::time::Duration;

use bytes::Bytes;
use kukuri_contract::{AskError, AskId, EndpointId, TopicId};

use super::Pass;
use crate::core::member::{ANSWER_BYTES, CLAIM_BYTES, Claimed};

/// Names a link, a message or a question; none is used twice in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u64);

/// One link between two endpoints in one topic. It is one thing that both of its sides have, so they
/// can't disagree on whether there is one; each only hears of it when the news has come.
#[derive(Debug)]
pub struct Link {
    pub topic: TopicId,
    pub dialer: Pass,
    pub acceptor: Pass,
    /// The acceptor has taken the dialer for a member.
    pub accepted: bool,
    /// Something was lost too often: it ends, and nothing more goes over it.
    pub broken: bool,
    /// The dialer's claim, until it is answered.
    pub claimed: Option<Claimed>,
    /// When the last packet arrives, to the dialer and to the acceptor: none overtakes another.
    pub last: [Duration; 2],
    /// Its sides can't reach each other.
    pub cut: Option<Cut>,
}

/// Since when a link is cut, and what waits for the end of that.
#[derive(Debug)]
pub struct Cut {
    pub since: Duration,
    /// To whom, what.
    pub held: Vec<(EndpointId, Packet)>,
}

impl Link {
    /// One of its sides, and the other one.
    pub fn sides(&self, one: EndpointId) -> (Pass, Pass) {
        match one == self.dialer.id {
            true => (self.dialer, self.acceptor),
            false => (self.acceptor, self.dialer),
        }
    }

    /// Whether an endpoint is one of its sides.
    pub fn has(&self, id: EndpointId) -> bool {
        [self.dialer.id, self.acceptor.id].contains(&id)
    }

    /// Its topic and its sides, whoever has dialed.
    pub fn pair(&self) -> Pair {
        pair(self.topic, self.dialer.id, self.acceptor.id)
    }
}

/// Two endpoints in a topic, in the order of their ids.
pub type Pair = (TopicId, EndpointId, EndpointId);

pub fn pair(topic: TopicId, one: EndpointId, other: EndpointId) -> Pair {
    (topic, one.min(other), one.max(other))
}

/// What goes over a link. A handshake has the two round trips that QUIC and the proof take.
#[derive(Debug, Clone)]
pub enum Packet {
    /// The dialer: is anybody there?
    Hello,
    /// The acceptor: yes.
    HelloBack,
    /// The dialer proves to be a member.
    Claim([u8; CLAIM_BYTES]),
    /// The acceptor does too.
    Proof([u8; ANSWER_BYTES]),
    /// A broadcast; from its author if it is first hand.
    Message {
        id: Number,
        payload: Bytes,
        first_hand: bool,
    },
    Question {
        id: Number,
        payload: Bytes,
    },
    Reply {
        to: Number,
        answer: Result<Bytes, AskError>,
    },
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A side went away, or has let go of it.
    Lost,
    /// A side has banned the other.
    Banned,
    /// The dialer is no member, as far as the acceptor sees.
    Refused,
    /// The two have another one.
    Merged,
    /// The acceptor is no member, as far as the dialer sees.
    NotMember,
    /// The dialer has waited long enough.
    Late,
}

/// What comes to an endpoint at its time.
#[derive(Debug)]
pub enum Item {
    Packet(Number, Packet),
    /// A link has ended. What it was, because there is none any more.
    Ended {
        link: Number,
        topic: TopicId,
        peer: EndpointId,
        end: End,
        /// This side has ended it.
        mine: bool,
    },
    /// A dial has taken as long as it may.
    DialDue(Number),
    /// A question of this endpoint has.
    QuestionDue(Number),
    /// A neighbor's question has.
    AnswerDue(AskId),
    /// A link on which something was lost too often.
    Broken(Number),
    /// A link that was cut then, if it still is.
    Silent(Number, Duration),
}

impl Item {
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Packet(_, Packet::Message { .. }))
    }
}
