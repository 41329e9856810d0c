//! What is known of the own hello port: does it take datagrams of whoever was not asked?
//!
//! Two things prove it: a valid hello request from an IP address that this node has sent nothing to
//! lately, and a *dial-back*: a member that was asked to sends one packet from a socket that this
//! node has never written to. A router that lets only replies through stops both.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kukuri_contract::{EndpointId, Epoch, Reachability, TopicId};

use super::guard::RateLimit;
use super::hello::RequestId;

/// A proof holds for so long: routers forget what they forward, laptops move.
pub const PROOF: Duration = Duration::from_secs(30 * 60);
/// From this age on members are asked to prove it again.
const RENEW: Duration = Duration::from_secs(20 * 60);
/// An older proof that is tried anew counts for so long: an announcement with its retries, until the
/// dial-backs of the look-up after it.
const TRIAL: Duration = Duration::from_secs(30);
/// A router may let packets in from whoever was sent something for so long. RFC 4787 (REQ-5) asks
/// for at least 2 min and recommends 5.
const SENT_LATELY: Duration = Duration::from_secs(10 * 60);
/// Addresses that something was sent to. Far more than a node asks within [`SENT_LATELY`].
const MAX_SENT: usize = 4096;
/// Requests whose dial-back may still come: as many as one look-up sends hellos.
const MAX_ASKS: usize = 64;
/// A dial-back is sent with the reply, so it comes within a round trip or never.
const ASK_FOR: Duration = Duration::from_secs(60);
/// A dial-back that a reply has promised has arrived after so long, or was lost.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// So many members must have dialed back in vain before the port counts as closed.
const IN_VAIN: usize = 2;
/// Members whose dial-backs are missed that are remembered: more than [`IN_VAIN`] say nothing new.
const MAX_MISSED: usize = 16;

/// Dial-backs to one IP address per [`BACK_WINDOW`]: all that a forged source costs its owner.
pub const BACKS_PER_IP: u32 = 1;
/// Dial-backs in all per [`BACK_WINDOW`]: a newcomer asks many members and needs one.
pub const BACKS: u32 = 6;
/// The window of both.
pub const BACK_WINDOW: Duration = Duration::from_secs(60);
/// IP addresses whose dial-backs are counted. [`BACKS`] bounds them.
const BACK_KEYS: usize = 64;

/// What has proved that the port is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A hello that nothing was asked for.
    Unsolicited,
    /// A member that was asked to.
    DialBack,
}

/// What is known of the own hello port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Unknown,
    /// It is open.
    Proven {
        /// What has shown it.
        how: How,
        /// When it was last shown.
        at: Duration,
    },
    /// Members dialed back and did not reach it.
    Unproven,
}

impl From<State> for Reachability {
    fn from(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Proven { .. } => Self::Proven,
            State::Unproven => Self::Unproven,
        }
    }
}

/// A request that has asked for a dial-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Of the request.
    pub id: RequestId,
    /// The topic.
    pub topic: TopicId,
    /// The epoch whose keys the request used.
    pub epoch: Epoch,
    /// The port that was to be reached.
    pub port: u16,
    until: Duration,
}

/// What is known of the own hello port.
#[derive(Debug)]
pub struct Reach {
    /// The port that is announced.
    port: u16,
    proof: Option<(How, Duration)>,
    /// When it was first tried again since.
    tried: Option<Duration>,
    asks: VecDeque<Ask>,
    /// Members that said that they dialed back, and when.
    missed: Vec<(EndpointId, RequestId, Duration)>,
    sent: HashMap<SocketAddrV4, Duration>,
    /// Not everybody that something was sent to is known since then.
    forgot: Option<Duration>,
    backs_per_ip: RateLimit<Ipv4Addr>,
    backs: RateLimit<()>,
}

impl Reach {
    /// Nothing known of this port.
    pub fn new(port: u16) -> Self {
        Self {
            port,
            proof: None,
            tried: None,
            asks: VecDeque::new(),
            missed: Vec::new(),
            sent: HashMap::new(),
            forgot: None,
            backs_per_ip: RateLimit::new(BACKS_PER_IP, BACK_WINDOW, BACK_KEYS),
            backs: RateLimit::new(BACKS, BACK_WINDOW, 1),
        }
    }

    /// What is known now.
    pub fn state(&self, now: Duration) -> State {
        if let Some((how, at)) = self.proof.filter(|(_, at)| now < *at + PROOF) {
            return State::Proven { how, at };
        }
        let in_vain = |at: &Duration| (*at + BACK_WITHIN..*at + PROOF).contains(&now);
        let missed = self.missed.iter().filter(|(.., at)| in_vain(at));
        match missed.count() >= IN_VAIN {
            true => State::Unproven,
            false => State::Unknown,
        }
    }

    /// Whether others reach the hello port, by all that is known.
    pub fn proven(&self, now: Duration) -> bool {
        matches!(self.state(now), State::Proven { .. })
    }

    /// Whether to count on it: it is proven, or it was, and nobody has tried since. Between two turns
    /// in a large topic nothing does.
    pub fn holds(&self, now: Duration) -> bool {
        let untried = self.tried.is_none_or(|at| now < at + TRIAL);
        self.proven(now) || self.proof.is_some() && untried
    }

    /// A turn begins, which brings the next dial-backs, if any.
    pub fn try_again(&mut self, now: Duration) {
        if self.proof.is_some_and(|(_, at)| now >= at + RENEW) {
            self.tried.get_or_insert(now);
        }
    }

    /// The port that others are told to use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Others are told another port: what is known of the old one says nothing about it.
    pub fn set_port(&mut self, port: u16) {
        if port != self.port {
            self.port = port;
            (self.proof, self.tried) = (None, None);
            self.asks.clear();
            self.missed.clear();
        }
    }

    // --- proofs ---

    /// Something is sent: the router lets replies in for a while.
    pub fn sent(&mut self, to: SocketAddrV4, now: Duration) {
        if self.sent.len() >= MAX_SENT && !self.sent.contains_key(&to) {
            self.sent.retain(|_, at| *at + SENT_LATELY > now);
            if self.sent.len() >= MAX_SENT {
                self.sent.clear();
                self.forgot = Some(now);
            }
        }
        self.sent.insert(to, now);
    }

    /// A valid request came in, for this port. Some routers let in whatever comes from an IP address
    /// that was sent something, so all of its ports count; on loopback all nodes share one.
    pub fn heard_request(&mut self, from: SocketAddrV4, port: u16, now: Duration) {
        let same = |to: &SocketAddrV4| to.ip() == from.ip() && !from.ip().is_loopback();
        let lately = |at: Duration| at + SENT_LATELY > now;
        let mut sent = self.sent.iter();
        let asked = sent.any(|(to, at)| lately(*at) && (same(to) || *to == from));
        if port == self.port && !asked && !self.forgot.is_some_and(lately) {
            self.prove(How::Unsolicited, now);
        }
    }

    /// A request is about to be sent: the port that a member is asked to reach, if there is need.
    pub fn ask(
        &mut self,
        id: RequestId,
        topic: TopicId,
        epoch: Epoch,
        now: Duration,
    ) -> Option<u16> {
        let fresh = |(_, at): (How, Duration)| now < at + RENEW;
        if self.proof.is_some_and(fresh) {
            return None;
        }
        self.try_again(now);
        let until = now + ASK_FOR;
        self.asks.retain(|ask| ask.until > now && ask.id != id);
        if self.asks.len() >= MAX_ASKS {
            self.asks.pop_front();
        }
        self.asks.push_back(Ask {
            id,
            topic,
            epoch,
            port: self.port,
            until,
        });
        Some(self.port)
    }

    /// The requests whose dial-back may still come.
    pub fn asks(&self, now: Duration) -> impl Iterator<Item = &Ask> {
        self.asks.iter().filter(move |ask| ask.until > now)
    }

    /// A member says in its reply that it has dialed back.
    pub fn promised(&mut self, by: EndpointId, id: &RequestId, now: Duration) {
        // The dial-back may have overtaken the reply.
        if !self.asks(now).any(|ask| ask.id == *id) {
            return;
        }
        self.missed
            .retain(|(member, _, at)| *member != by && now < *at + PROOF);
        if self.missed.len() < MAX_MISSED {
            self.missed.push((by, *id, now));
        }
    }

    /// The dial-back of a request has come in; false if it proves nothing, because its sender was
    /// written to.
    pub fn dialed_back(&mut self, ask: &Ask, from: SocketAddrV4, now: Duration) -> bool {
        let lately = |at: Duration| at + SENT_LATELY > now;
        let written_to = self.sent.get(&from).copied().is_some_and(lately);
        if written_to || self.forgot.is_some_and(lately) || ask.port != self.port {
            return false;
        }
        self.asks.retain(|known| known.id != ask.id);
        self.prove(How::DialBack, now);
        true
    }

    fn prove(&mut self, how: How, now: Duration) {
        (self.proof, self.tried) = (Some((how, now)), None);
        self.missed.clear();
    }

    // --- for others ---

    /// Whether one more dial-back may be sent there; counts it.
    pub fn may_dial_back(&mut self, to: Ipv4Addr, now: Duration) -> bool {
        !self.backs.exhausted(&(), now)
            && self.backs_per_ip.allow(to, now)
            && self.backs.allow((), now)
    }
}
