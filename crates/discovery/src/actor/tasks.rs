//! What the actor starts and does not wait for: requests to identity, queries of the DHT, and the
//! DHT node itself. Each brings its end back as an input of the core.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use futures_util::StreamExt;
use kukuri_contract::{
    AnnounceResult, DiscoveryEvent, Epoch, InfoHash, Sign, SignRequest, TopicId, TopicKeys,
    UnixMillis,
};

use super::DiscoveryActor;
use crate::core::board::write::PutResult;
use crate::core::{DhtState, Entropy, FILLED, Input, PageAt, QueryId};
use crate::dht::{DhtError, DhtNode, Replies};
use tokio::time::timeout;

/// Pause before identity is asked again for something that it did not answer.
const IDENTITY_PAUSE: Duration = Duration::from_secs(1);
/// First and longest pause before the DHT node is started again.
pub(super) const DHT_RESTART: (Duration, Duration) =
    (Duration::from_secs(2), Duration::from_secs(30));
/// How often the routing table is counted: often while it fills, then rarely.
const TABLE_POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How often a port that is about to be let go of is looked at.
const PORT_POLL: Duration = Duration::from_millis(20);

/// A DHT node that started from contacts of an earlier run, of which none answers for so long, is
/// started anew from the bootstrap names. First and longest; it doubles each time.
const STALE_CONTACTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Shortest time between two [`DiscoveryEvent::DhtContacts`].
const TELL_CONTACTS: Duration = Duration::from_secs(5 * 60);

/// What the DHT node starts from.
#[derive(Debug, Clone, Copy)]
pub(super) enum StartBy {
    /// DHT nodes of an earlier run, if there are some.
    Contacts,
    /// The bootstrap names.
    Names,
}

/// DHT nodes to start from, and those that are told to be kept for the next run.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// Of an earlier run.
    kept: Vec<SocketAddr>,
    /// When the DHT node started from them; `None` if it did from the bootstrap names.
    started: Option<Instant>,
    /// How often none of them has answered.
    stale: u32,
    told: Vec<SocketAddr>,
    told_at: Option<Instant>,
}

impl Contacts {
    /// Those of an earlier run.
    pub(super) fn new(kept: Vec<SocketAddr>) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    /// Whether none has answered, for long enough.
    fn are_stale(&self) -> bool {
        let patience = STALE_CONTACTS.0 * 2u32.saturating_pow(self.stale.min(16));
        let limit = patience.min(STALE_CONTACTS.1);
        self.started.is_some_and(|at| at.elapsed() >= limit)
    }

    /// Whether these are to be told now: the table has filled (one bucket of BEP5, or as far as it
    /// gets), they are others than last time, and that was long enough ago.
    fn news(&mut self, mut nodes: Vec<SocketAddr>, settled: bool) -> Option<Vec<SocketAddr>> {
        nodes.sort_unstable();
        let filled = nodes.len() >= FILLED || (settled && !nodes.is_empty());
        let soon = self.told_at.is_some_and(|at| at.elapsed() < TELL_CONTACTS);
        if !filled || soon || nodes == self.told {
            return None;
        }
        self.told_at = Some(Instant::now());
        self.told.clone_from(&nodes);
        Some(nodes)
    }
}

/// An input for the core that a task of the actor brings.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Fed(Input);

impl Handler<Fed> for DiscoveryActor {
    type Result = ();

    fn handle(&mut self, Fed(input): Fed, ctx: &mut Self::Context) {
        self.drive(input, ctx);
    }
}

impl DiscoveryActor {
    pub(super) fn fetch_keys(&mut self, topic: TopicId, epoch: Epoch, ctx: &mut Context<Self>) {
        let identity = self.deps.identity.clone();
        let keys = async move { identity.topic_keys(TopicKeys { topic, epoch }).await };
        let then = keys
            .into_actor(self)
            .map(move |keys, actor, ctx| match keys {
                Ok(keys) => actor.drive(Input::Keys(topic, epoch, keys), ctx),
                Err(error) => {
                    tracing::debug!(?topic, %error, "no keys from identity");
                    actor.drive_later(Input::NoKeys(topic, epoch), ctx);
                }
            });
        ctx.spawn(then);
    }

    pub(super) fn sign(
        &mut self,
        topic: TopicId,
        epoch: Epoch,
        body: Vec<u8>,
        ctx: &mut Context<Self>,
    ) {
        let identity = self.deps.identity.clone();
        let request = SignRequest::Record {
            topic,
            epoch,
            body: body.clone(),
        };
        let signed = async move { identity.sign(Sign(request)).await };
        let then = signed
            .into_actor(self)
            .map(move |signed, actor, ctx| match signed {
                Ok(signature) => {
                    let signed = Input::Signed {
                        topic,
                        body,
                        signature,
                    };
                    actor.drive(signed, ctx);
                }
                Err(error) => {
                    tracing::debug!(?topic, %error, "no signature from identity");
                    actor.drive_later(Input::NotSigned(topic), ctx);
                }
            });
        ctx.spawn(then);
    }

    pub(super) fn sign_heartbeat(
        &mut self,
        topic: TopicId,
        beat: UnixMillis,
        ctx: &mut Context<Self>,
    ) {
        let identity = self.deps.identity.clone();
        let signed = async move {
            let request = SignRequest::Heartbeat { topic, beat };
            identity.sign(Sign(request)).await
        };
        let then = signed
            .into_actor(self)
            .map(move |signed, actor, ctx| match signed {
                Ok(signature) => actor.drive(Input::Beat(topic, beat, signature), ctx),
                Err(error) => {
                    tracing::debug!(?topic, %error, "no signature from identity");
                    actor.drive(Input::NoBeat(topic), ctx);
                }
            });
        ctx.spawn(then);
    }

    fn drive_later(&mut self, input: Input, ctx: &mut Context<Self>) {
        let mut input = Some(input);
        ctx.run_later(IDENTITY_PAUSE, move |actor, ctx| {
            if let Some(input) = input.take() {
                actor.drive(input, ctx);
            }
        });
    }

    pub(super) fn look(&mut self, query: QueryId, infohash: InfoHash, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let Some(dht) = &self.dht else {
            me.do_send(Fed(Input::LookupEnded(query)));
            return;
        };
        let replies = dht.lookup(infohash);
        self.tasks.spawn(async move {
            let mut replies = std::pin::pin!(replies);
            while let Some(entries) = replies.next().await {
                if me.send(Fed(Input::Entries(query, entries))).await.is_err() {
                    return;
                }
            }
            me.do_send(Fed(Input::LookupEnded(query)));
        });
    }

    pub(super) fn announce(&mut self, query: QueryId, infohash: InfoHash, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let Some(dht) = self.dht.clone() else {
            let failed = AnnounceResult::Failed;
            me.do_send(Fed(Input::AnnounceTryEnded(query, failed)));
            return;
        };
        let port = self.core.announced_port();
        self.tasks.spawn(async move {
            let result = dht.announce(infohash, port).await;
            me.do_send(Fed(Input::AnnounceTryEnded(query, result)));
        });
    }

    pub(super) fn read_page(&mut self, query: QueryId, at: &PageAt, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let Some(dht) = &self.dht else {
            me.do_send(Fed(Input::PageReadEnded(query)));
            return;
        };
        let values = dht.read_page(at);
        self.tasks.spawn(async move {
            let mut values = std::pin::pin!(values);
            while let Some((value, seq)) = values.next().await {
                let seen = Fed(Input::PageSeen(query, value, seq));
                if me.send(seen).await.is_err() {
                    return;
                }
            }
            me.do_send(Fed(Input::PageReadEnded(query)));
        });
    }

    pub(super) fn write_page(
        &mut self,
        query: QueryId,
        at: PageAt,
        page: Vec<u8>,
        (seq, cas): (i64, i64),
        ctx: &mut Context<Self>,
    ) {
        let me = ctx.address();
        let Some(dht) = self.dht.clone() else {
            let failed = PutResult::Failed;
            me.do_send(Fed(Input::PageWritten(query, failed)));
            return;
        };
        self.tasks.spawn(async move {
            let result = dht.write_page(&at, &page, seq, cas).await;
            me.do_send(Fed(Input::PageWritten(query, result)));
        });
    }

    // --- the DHT node ---

    pub(super) fn probe(&mut self, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let Some(dht) = self.dht.clone() else {
            return;
        };
        let mut key = [0; 32];
        self.rng.fill(&mut key);
        self.tasks.spawn(async move {
            if let Some(Replies { asked, answered }) = dht.count_replies(key).await {
                me.do_send(Fed(Input::DhtReplies { asked, answered }));
            }
        });
    }

    /// Starts the DHT node, from the contacts or from the bootstrap names, and tries again for as
    /// long as it takes: there may be no network yet.
    pub(super) fn start_dht(&mut self, pause: Duration, by: StartBy, ctx: &mut Context<Self>) {
        tracing::debug!(step = "dht_starting");
        let config = self.config.clone();
        let contacts = match by {
            StartBy::Contacts => self.contacts.kept.clone(),
            StartBy::Names => Vec::new(),
        };
        let since = self.contacts.started.unwrap_or_else(Instant::now);
        self.contacts.started = (!contacts.is_empty()).then_some(since);
        let started = async move { DhtNode::start(&config, &contacts).await };
        let then = started.into_actor(self).map(move |started, actor, ctx| {
            let state = match started {
                Ok(dht) => {
                    tracing::debug!(step = "dht_started");
                    actor.health.dht_address = Some(dht.address().into());
                    actor.dht = Some(dht);
                    actor.poll_table(ctx);
                    let routing_table = actor.health.routing_table.unwrap_or(0);
                    DhtState::Up { routing_table }
                }
                Err(error) => {
                    tracing::info!(%error, retry_in = ?pause, "no DHT node yet");
                    let again = (pause * 2).min(DHT_RESTART.1);
                    let (state, by) = match error {
                        DhtError::NoIpv4(_) => (DhtState::NoIpv4, by),
                        // The contacts may answer by now.
                        DhtError::NoBootstrap { .. } => (DhtState::NoBootstrap, StartBy::Contacts),
                        _ => (DhtState::NoBootstrap, by),
                    };
                    ctx.run_later(pause, move |actor, ctx| actor.start_dht(again, by, ctx));
                    state
                }
            };
            actor.drive(Input::Dht(state), ctx);
        });
        ctx.spawn(then);
    }

    /// Puts a DHT node that waits so long in the place of this one: mainline has no other way. It
    /// starts from what this one knows.
    pub(super) fn wait_for_replies(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.config.request_timeout_ms = wait.as_millis() as u64;
        let Some(old) = self.dht.take() else {
            return;
        };
        tracing::info!(?wait, "another wait for the replies of DHT nodes");
        self.polling
            .take()
            .map(|polling| ctx.cancel_future(polling));
        let (address, limit) = (self.config.dht_bind, self.config.announce_timeout_ms);
        let known = async move {
            let known = {
                // Ends here.
                let old = old;
                old.routing_table().await.1
            };
            // Announcements under way hold the old one, and it its port.
            let free = async {
                while UdpSocket::bind(address).is_err() {
                    tokio::time::sleep(PORT_POLL).await;
                }
            };
            // If it is still taken then, the start says so and tries again.
            let _still_taken = timeout(Duration::from_millis(limit), free).await;
            known
        };
        let then = known.into_actor(self).map(|known, actor, ctx| {
            let by = match (&known[..], actor.contacts.started) {
                ([], None) => StartBy::Names,
                ([], Some(_)) => StartBy::Contacts,
                _ => {
                    actor.contacts.kept = known;
                    StartBy::Contacts
                }
            };
            actor.start_dht(DHT_RESTART.0, by, ctx);
        });
        ctx.spawn(then);
    }

    fn poll_table(&mut self, ctx: &mut Context<Self>) {
        let Some(dht) = self.dht.clone() else {
            return;
        };
        let counted = async move {
            let table = dht.routing_table().await;
            (table, dht.serves().await, dht.public_ip().await)
        };
        let then = counted.into_actor(self).map(|counted, actor, ctx| {
            let ((nodes, contacts), serves, public_ip) = counted;
            if nodes == 0 && actor.contacts.are_stale() {
                actor.contacts.stale += 1;
                actor.dht = None;
                actor.drive(Input::Dht(DhtState::Starting), ctx);
                actor.start_dht(DHT_RESTART.0, StartBy::Names, ctx);
                return;
            }
            let known = actor.health.routing_table;
            let changed = known != Some(nodes) || actor.health.serves != serves;
            actor.health.routing_table = Some(nodes);
            actor.health.serves = serves;
            if changed {
                let routing_table = nodes;
                actor.drive(Input::Dht(DhtState::Up { routing_table }), ctx);
                let health = DiscoveryEvent::DhtHealthChanged(actor.health);
                actor.deps.events.emit(health);
            }
            if actor.public_ip != public_ip {
                actor.public_ip = public_ip;
                actor.drive(Input::PublicIp(public_ip), ctx);
            }
            if let Some(nodes) = actor.contacts.news(contacts, !changed) {
                actor.deps.events.emit(DiscoveryEvent::DhtContacts(nodes));
            }
            // It still fills, or it does not grow any more.
            let pause = if changed { TABLE_POLL.0 } else { TABLE_POLL.1 };
            actor.polling = Some(ctx.run_later(pause, |actor, ctx| actor.poll_table(ctx)));
        });
        self.polling = Some(ctx.spawn(then));
    }
}
