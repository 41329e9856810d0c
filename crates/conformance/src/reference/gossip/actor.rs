//! The requests of the reference gossip, each with what can be wrong with it.

use std::cell::RefCell;
use std::rc::Rc;

use actix::{Actor, Context, Handler, ResponseFuture};
use bytes::Bytes;
use kukuri_contract::{
    Answer, AnswerError, Ask, AskError, Broadcast, BroadcastError, Counters, Dial, DialError,
    EndpointAddr, EndpointId, Join, JoinError, Joined, Leave, LocalAddress, LocalAddresses,
    MAX_ANSWER_BYTES, MAX_ASK_BYTES, Never, SetBanned,
};

use super::Fault;
use super::network::Network;
use crate::reference::flaw::{Conduct, Flaw, Later, conduct};

/// Most topics of a node.
const MAX_TOPICS: usize = 8;
/// Largest broadcast in bytes.
const MAX_BROADCAST_BYTES: usize = 4000;

/// The actor behind the reference gossip.
pub(super) struct MemoryActor {
    pub conduct: Conduct,
    pub fault: Option<Fault>,
    pub network: Rc<RefCell<Network>>,
    pub address: EndpointAddr,
    pub stay: u64,
}

impl MemoryActor {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

impl Drop for MemoryActor {
    /// Nobody is a neighbor of what is gone, be it by a panic.
    fn drop(&mut self) {
        self.network.borrow_mut().exit(self.address.id, self.stay);
    }
}

conduct!(MemoryActor);

impl Handler<LocalAddress> for MemoryActor {
    type Result = Later<Result<LocalAddresses, Never>>;

    fn handle(&mut self, _: LocalAddress, _: &mut Self::Context) -> Self::Result {
        let mut advertised = self.address.clone();
        if self.has(Fault::NamesAnother) {
            advertised.id = EndpointId::from_bytes([0; 32]);
        }
        self.conduct.later(Ok(LocalAddresses {
            bound: Vec::new(),
            advertised,
        }))
    }
}

impl Handler<Counters> for MemoryActor {
    type Result = Result<String, Never>;

    fn handle(&mut self, _: Counters, _: &mut Self::Context) -> Self::Result {
        let end = match self.has(Fault::EndsCounters) {
            true => "# EOF\n",
            false => "",
        };
        let handled = self.conduct.handled;
        Ok(format!(
            "# TYPE handled counter\nhandled_total {handled}\n{end}"
        ))
    }
}

impl Handler<Join> for MemoryActor {
    type Result = Result<Joined, JoinError>;

    fn handle(&mut self, Join { topic, keys }: Join, _: &mut Self::Context) -> Self::Result {
        let mut network = self.network.borrow_mut();
        let topics = network.topics(self.address.id);
        let full = topics.len() >= MAX_TOPICS && !topics.contains(&topic);
        if full && !self.has(Fault::Boundless) {
            return Err(JoinError::TooManyTopics { limit: MAX_TOPICS });
        }
        network.join(self.address.id, topic, keys);
        let neighbors = network.neighbors(self.address.id, topic);
        let told = neighbors.filter(|_| !self.has(Fault::ForgetsNeighbors));
        Ok(Joined {
            neighbors: told.unwrap_or_default().into_iter().collect(),
        })
    }
}

impl Handler<Leave> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, Leave { topic }: Leave, _: &mut Self::Context) -> Self::Result {
        self.network.borrow_mut().leave(self.address.id, topic);
        Ok(())
    }
}

impl Handler<Dial> for MemoryActor {
    type Result = Result<(), DialError>;

    fn handle(&mut self, request: Dial, _: &mut Self::Context) -> Self::Result {
        let topic = request.topic;
        let mut network = self.network.borrow_mut();
        let joined = network.neighbors(self.address.id, topic).is_some();
        if !joined && !self.has(Fault::DialsAnywhere) {
            return Err(DialError::UnknownTopic(topic));
        }
        for peer in request.peers {
            network.dial(self.address.id, peer.id, topic);
        }
        Ok(())
    }
}

impl Handler<SetBanned> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, SetBanned { peers }: SetBanned, _: &mut Self::Context) -> Self::Result {
        self.network.borrow_mut().ban(self.address.id, peers);
        Ok(())
    }
}

impl Handler<Broadcast> for MemoryActor {
    type Result = Result<(), BroadcastError>;

    fn handle(&mut self, request: Broadcast, _: &mut Self::Context) -> Self::Result {
        let Broadcast { topic, payload } = request;
        let mut network = self.network.borrow_mut();
        if network.neighbors(self.address.id, topic).is_none() {
            return Err(BroadcastError::UnknownTopic(topic));
        }
        let (got, limit) = (payload.len(), MAX_BROADCAST_BYTES);
        if got > limit && !self.has(Fault::TakesAnySize) {
            return Err(BroadcastError::TooLarge { got, limit });
        }
        network.broadcast(self.address.id, topic, &payload);
        Ok(())
    }
}

impl Handler<Ask> for MemoryActor {
    type Result = ResponseFuture<Result<Bytes, AskError>>;

    fn handle(&mut self, request: Ask, _: &mut Self::Context) -> Self::Result {
        let Ask {
            topic,
            peer,
            payload,
        } = request;
        let bytes = payload.len();
        if bytes > MAX_ASK_BYTES {
            return Box::pin(async move { Err(AskError::TooLarge(bytes)) });
        }
        let echo = self.has(Fault::Echoes).then(|| payload.clone());
        let mut network = self.network.borrow_mut();
        let asked = network.ask(self.address.id, topic, peer, payload);
        Box::pin(async move {
            let gone = |_| AskError::Failed("the neighbor is gone".to_owned());
            let answer = asked?.await.map_err(gone)?;
            let refused = || AskError::Refused("it does not want to".to_owned());
            answer
                .map(|answer| echo.unwrap_or(answer))
                .ok_or_else(refused)
        })
    }
}

impl Handler<Answer> for MemoryActor {
    type Result = Result<(), AnswerError>;

    fn handle(&mut self, Answer { id, payload }: Answer, _: &mut Self::Context) -> Self::Result {
        let bytes = payload.as_ref().map_or(0, Bytes::len);
        if bytes > MAX_ANSWER_BYTES {
            return Err(AnswerError::TooLarge(bytes));
        }
        match self.network.borrow_mut().waits(self.address.id, id) {
            Some(waits) => waits.send(payload).map_err(|_| AnswerError::Gone),
            None if self.has(Fault::AnswersNobody) => Ok(()),
            None => Err(AnswerError::Gone),
        }
    }
}
