//! Questions to neighbors and answers to theirs, over a QUIC protocol of their own: one stream
//! each way per question, on one connection per peer that asks.

mod line;
mod outgoing;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use iroh::endpoint::{ReadError, ReadExactError, ReadToEndError};
use iroh::protocol::{AcceptError, ProtocolHandler};
use kukuri_contract::{AskDrop, EndpointId, GossipEvent, MAX_ASK_BYTES, Outlet, TopicId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

pub use self::line::Line;
use self::outgoing::Outgoing;
use crate::config::Config;
use crate::core::ask_wire::read_header;
use crate::core::ask_wire::{HEADER_BYTES, HeaderError, Status};
use crate::core::asks::{Kind, Places, Roster};
use crate::core::banned::Banned;
use crate::endpoint::from_iroh;

/// The name of the protocol in the TLS handshake.
pub const ASK_ALPN: &[u8] = b"kukuri/ask/1";
/// A connection that was not used for so long is closed by the side that asks. 3 s: a repair that
/// has more to ask goes on within two, while the next one in any case comes after half a minute.
/// Kept until then, it would cost more packets to keep alive than a new one does.
pub const IDLE: Duration = Duration::from_secs(3);
/// The side that answers waits longer, so that no question meets a connection that just closes.
const IDLE_ANSWERING: Duration = Duration::from_secs(30);
/// A neighbor may know that it is one a little earlier than this node does: a question waits for so
/// long. Nobody learns from the time of a refusal whether the topic is joined here.
const GRACE: Duration = Duration::from_secs(1);
/// A refusal has one byte; who does not take even that in this time does not get it.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// Questions of peers that are no neighbors (yet) that are looked at, at once.
const STRANGERS: usize = 8;
/// Connections of neighbors, of others, and of one peer. 320: five neighbors in each of 64 topics.
const CONNECTIONS: (usize, usize, usize) = (320, 16, 2);
/// Questions that a connection may have refused in a row before it is closed: it costs a handshake
/// to go on, and events about refusals can't crowd out others.
const MAX_REFUSED: usize = 64;

/// Codes that streams and connections are ended with.
const DONE: VarInt = VarInt::from_u32(0);
const TOO_MANY: VarInt = VarInt::from_u32(1);

/// A neighbor's question, on its way to the actor.
#[derive(Debug)]
pub struct Question {
    /// The topic.
    pub topic: TopicId,
    /// Who asks: a neighbor in the topic.
    pub from: EndpointId,
    /// What.
    pub payload: Bytes,
    /// Takes the answer; `None` refuses one.
    pub answer: oneshot::Sender<Option<Bytes>>,
}

/// Takes the questions of neighbors and sends the answers.
#[derive(Debug, Clone)]
pub struct Answerer {
    roster: watch::Receiver<Roster>,
    banned: watch::Receiver<Banned>,
    questions: mpsc::Sender<Question>,
    events: Outlet<GossipEvent>,
    connections: Arc<Mutex<Places>>,
    answers: Arc<Mutex<Places>>,
    limit: Duration,
}

/// A place that is freed when it is dropped.
struct Place(Arc<Mutex<Places>>, Kind, EndpointId);

impl Place {
    fn take(of: &Arc<Mutex<Places>>, kind: Kind, peer: EndpointId) -> Option<Self> {
        let taken = lock(of).take(kind, peer);
        taken.then(|| Self(of.clone(), kind, peer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.0).free(self.1, self.2);
    }
}

fn lock(places: &Mutex<Places>) -> std::sync::MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProtocolHandler for Answerer {
    /// Never an error, and never a panic: the router would log the one, and end with the other.
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let peer = from_iroh(connection.remote_id());
        let mut banned = self.banned.clone();
        // An error means that the actor has ended: then nobody is banned by it.
        let is_banned = async { banned.wait_for(|banned| banned.has(peer)).await.is_ok() };
        let serve = async {
            match Place::take(&self.connections, self.kind(peer), peer) {
                Some(_place) => self.serve(&connection, peer).await,
                None => {
                    self.dropped(peer, AskDrop::Busy);
                    connection.close(TOO_MANY, b"too many connections");
                }
            }
        };
        tokio::select! {
            biased;
            true = is_banned => {
                self.dropped(peer, AskDrop::Banned);
                connection.close(TOO_MANY, b"");
            }
            () = serve => {}
        }
        Ok(())
    }
}

impl Answerer {
    /// Answers neighbors of the roster that are not `banned`, by way of `questions`; tells `events`
    /// whom it does not.
    pub fn new(
        config: &Config,
        roster: watch::Receiver<Roster>,
        banned: watch::Receiver<Banned>,
        questions: mpsc::Sender<Question>,
        events: Outlet<GossipEvent>,
    ) -> Self {
        let (neighbors, strangers, per_peer) = CONNECTIONS;
        let connections = Places::new(neighbors, strangers, per_peer);
        let answers = Places::new(config.max_answers, STRANGERS, config.max_answers_per_peer);
        Self {
            roster,
            banned,
            questions,
            events,
            connections: Arc::new(Mutex::new(connections)),
            answers: Arc::new(Mutex::new(answers)),
            limit: Duration::from_millis(config.answer_timeout_ms),
        }
    }

    fn kind(&self, peer: EndpointId) -> Kind {
        match self.roster.borrow().knows(peer) {
            true => Kind::Neighbor,
            false => Kind::Stranger,
        }
    }

    fn dropped(&self, peer: EndpointId, reason: AskDrop) {
        self.events.emit(GossipEvent::AskDropped { peer, reason });
    }

    /// All questions of one connection, until it ends or idles. How many there are at once is
    /// bounded by the endpoint's limit of streams.
    async fn serve(&self, connection: &Connection, peer: EndpointId) {
        let mut tasks = JoinSet::new();
        let mut refused = 0;
        while refused < MAX_REFUSED {
            tokio::select! {
                stream = connection.accept_bi() => {
                    let Ok((send, recv)) = stream else { break };
                    let answerer = self.clone();
                    tasks.spawn(async move { answerer.one(peer, send, recv).await });
                }
                Some(end) = tasks.join_next() => match self.count(peer, end) {
                    true => refused = 0,
                    false => refused += 1,
                },
                () = tokio::time::sleep(IDLE_ANSWERING), if tasks.is_empty() => {
                    connection.close(DONE, b"idle");
                    break;
                }
            }
        }
        // A second close changes nothing. What is under way finds out, and is counted.
        connection.close(TOO_MANY, b"too many refused");
        while let Some(end) = tasks.join_next().await {
            self.count(peer, end);
        }
    }

    /// Counts the end of a question; says whether it was answered.
    fn count(&self, peer: EndpointId, end: Result<Result<(), AskDrop>, JoinError>) -> bool {
        match end {
            Ok(Ok(())) => return true,
            Ok(Err(reason)) => self.dropped(peer, reason),
            Err(error) => tracing::warn!(%error, "an answer ended badly"),
        }
        false
    }

    async fn one(
        &self,
        peer: EndpointId,
        send: SendStream,
        mut recv: RecvStream,
    ) -> Result<(), AskDrop> {
        let mut send = Outgoing::new(send);
        let answered = match Place::take(&self.answers, self.kind(peer), peer) {
            None => Err(AskDrop::Busy),
            Some(_place) => {
                let mut late = AskDrop::Unfinished;
                let answer = self.answer(peer, &mut send, &mut recv, &mut late);
                let answered = timeout(self.limit, answer).await;
                answered.unwrap_or(Err(late))
            }
        };
        let status = match answered {
            Ok(()) => return Ok(()),
            Err(AskDrop::NotMember) => Status::Stranger,
            Err(AskDrop::Busy) => Status::Busy,
            Err(AskDrop::Malformed | AskDrop::Version) => Status::Malformed,
            // The stream is cut short: part of an answer may have been sent.
            Err(AskDrop::Unfinished | AskDrop::TimedOut | AskDrop::Banned) => return answered,
        };
        // An error means that it is read to its end, or that nobody is there any more.
        let _ended = recv.stop(DONE);
        let status = [status as u8];
        let refusal = send.write(&status, Bytes::new());
        if timeout(REFUSAL_LIMIT, refusal).await.is_err() {
            tracing::debug!(?peer, "a refusal was not taken");
        }
        answered
    }

    /// Reads one question and answers it; `late` is what it means if that takes too long.
    async fn answer(
        &self,
        peer: EndpointId,
        send: &mut Outgoing,
        recv: &mut RecvStream,
        late: &mut AskDrop,
    ) -> Result<(), AskDrop> {
        let mut header = [0; HEADER_BYTES];
        let read = recv.read_exact(&mut header).await;
        read.map_err(|error| match error {
            ReadExactError::ReadError(ReadError::ConnectionLost(_)) => AskDrop::TimedOut,
            _ => AskDrop::Malformed,
        })?;
        let topic = read_header(&header).map_err(|error| match error {
            HeaderError::Version(_) => AskDrop::Version,
            HeaderError::Length(_) => AskDrop::Malformed,
        })?;
        let mut roster = self.roster.clone();
        let member = roster.wait_for(|roster| roster.may_ask(topic, peer));
        // Two errors: it is no neighbor in time, or the actor is gone.
        let member = timeout(GRACE, member)
            .await
            .is_ok_and(|known| known.is_ok());
        member.then_some(()).ok_or(AskDrop::NotMember)?;
        let payload = recv.read_to_end(MAX_ASK_BYTES).await;
        let payload = payload.map_err(|error| match error {
            ReadToEndError::Read(ReadError::ConnectionLost(_)) => AskDrop::TimedOut,
            _ => AskDrop::Malformed,
        })?;
        *late = AskDrop::TimedOut;
        let (answer, answered) = oneshot::channel();
        let question = Question {
            topic,
            from: peer,
            payload: payload.into(),
            answer,
        };
        let handed_on = self.questions.send(question).await;
        // The actor is gone, here and below: no refusal, so that the neighbor asks somebody else.
        handed_on.map_err(|_| AskDrop::TimedOut)?;
        let gone = send.stream.stopped();
        let answer = tokio::select! {
            answer = answered => answer.map_err(|_| AskDrop::TimedOut)?,
            _ = gone => return Err(AskDrop::TimedOut),
        };
        let (status, payload) = match answer {
            Some(payload) => (Status::Answer, payload),
            None => (Status::Refused, Bytes::new()),
        };
        let written = send.write(&[status as u8], payload).await;
        written.map_err(|_| AskDrop::TimedOut)?;
        // The place is taken until all has arrived: what waits to be sent is bounded too.
        let _arrived = send.stream.stopped().await;
        Ok(())
    }
}
