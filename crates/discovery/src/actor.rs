//! The actor: translates messages into the core's inputs and carries out its effects.
//!
//! This file has its start, its inputs from sockets and sources, and the effects; `requests.rs` what
//! others ask, `reach.rs` the port that the router forwards, `tasks.rs` what it starts and does not
//! wait for, `separate.rs` one of it for each topic, `kinds.rs` the
//! implementations that have no DHT.

mod kinds;
mod reach;
mod requests;
mod separate;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, SpawnHandle, StreamHandler};
use futures_util::stream;
use kukuri_contract::{
    AnnounceError, Announced, DhtHealth, DiscoveryDeps, DiscoveryEvent, DiscoveryPort,
    DiscoveryRunning, EndpointAddr, Factory, HelloDrop, Limits, LookupStats,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::core::{Core, Effect, Entropy, Input, Me, Now, Ticket};
use crate::dht::DhtNode;
use crate::directory::{Beacons, Directory};
use crate::error::DiscoveryError;
use crate::hellos::Hellos;
use crate::lan::Lan;
use crate::portmap::PortMap;
use crate::socket::{HelloSocket, Incoming, bind_soon};
use crate::source::{Finder, Found, PeerSource, left_out};
pub use kinds::{DirectorySetup, LocalNetwork, SharedDirectory, StaticPeers};
use tasks::{Contacts, DHT_RESTART, StartBy};

/// The implementation `mainline` of discovery: rendezvous on the BitTorrent Mainline DHT.
#[derive(Debug, Clone, Copy)]
pub struct Mainline;

impl Factory for Mainline {
    const SERVICE: &'static str = DiscoveryPort::SERVICE;
    const NAME: &'static str = "mainline";
    const CONTRACT: u32 = 1;
    type Config = Config;
    type Deps = DiscoveryDeps;
    type Running = DiscoveryRunning;
    type Error = DiscoveryError;

    fn check(config: &Config) -> Result<(), DiscoveryError> {
        let positive = [
            ("request_timeout_ms", config.request_timeout_ms),
            ("patient_timeout_ms", config.patient_timeout_ms),
            ("lookup_timeout_ms", config.lookup_timeout_ms),
            ("lookup_pause_min_ms", config.lookup_pause_min_ms),
            ("announce_timeout_ms", config.announce_timeout_ms),
            ("announces_per_minute", config.announces_per_minute.into()),
            ("reannounce_s", config.reannounce_s),
            ("hello_timeout_ms", config.hello_timeout_ms),
            ("hello_tries", config.hello_tries.into()),
            ("board_reads_in_flight", config.board_reads_in_flight as u64),
            ("hello_in_flight", config.hello_in_flight as u64),
            ("max_topics", config.max_topics as u64),
        ];
        if let Some((field, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            let problem = "it must be at least 1".to_owned();
            return Err(DiscoveryError::Config { field, problem });
        }
        for name in &config.bootstrap {
            let port = name.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                return Err(DiscoveryError::Config {
                    field: "bootstrap",
                    problem: format!("{name:?} is not of the form HOST:PORT"),
                });
            }
        }
        if let Some((field, feature)) = left_out(&config.sources) {
            return Err(DiscoveryError::LeftOut { field, feature });
        }
        if let Some((field, address)) = separate::fixed_port(config) {
            return Err(DiscoveryError::Config {
                field,
                problem: format!(
                    "with separate_topics each topic has a port of its own; give {}:0",
                    address.ip()
                ),
            });
        }
        Ok(())
    }

    async fn spawn(
        config: Config,
        deps: DiscoveryDeps,
    ) -> Result<DiscoveryRunning, DiscoveryError> {
        if config.separate_topics {
            Self::check(&config)?;
            return Ok(separate::start(config, deps));
        }
        let sources = sources(&config);
        spawn(config, deps, Way::Socket(sources)).await
    }
}

/// Starts a source of peers: the address of the hello socket to show, and where to put what it
/// finds.
type StartSource = fn(SocketAddrV4, Finder) -> Result<Box<dyn PeerSource>, DiscoveryError>;

/// The sources other than the DHT that are turned on.
fn sources(config: &Config) -> Vec<StartSource> {
    let lan: StartSource = |hello, finder| Ok(Box::new(Lan::start(hello, finder)?));
    [lan].into_iter().filter(|_| config.sources.lan).collect()
}

/// How peers are found besides the DHT.
enum Way {
    /// By hellos over UDP, to whom the DHT and these sources bring.
    Socket(Vec<StartSource>),
    /// By hellos within the process, to whoever is in the directory.
    Directory(Directory),
    /// They are named: these, and those that come with a topic.
    Named(Vec<EndpointAddr>),
}

async fn spawn(
    config: Config,
    deps: DiscoveryDeps,
    way: Way,
) -> Result<DiscoveryRunning, DiscoveryError> {
    Mainline::check(&config)?;
    // The DHT node starts later, when names are resolved; a port that is taken shows now.
    let address = config.dht_bind;
    if config.sources.need_dht() {
        let bound = bind_soon(address.port(), async || UdpSocket::bind(address)).await;
        bound.map_err(|source| DiscoveryError::DhtBind { address, source })?;
    }
    let (finder, found) = Finder::new();
    let mut named = Vec::new();
    let (hellos, incoming, sources) = match way {
        Way::Socket(start_all) => {
            let address = config.hello_bind;
            let bound = bind_soon(address.port(), async || HelloSocket::bind(address).await).await;
            let (socket, incoming) =
                bound.map_err(|source| DiscoveryError::HelloBind { address, source })?;
            let start = |start: StartSource| start(socket.address(), finder.clone());
            let sources = start_all.into_iter().map(start).collect::<Result<_, _>>()?;
            (Hellos::Socket(socket), Some(incoming), sources)
        }
        Way::Directory(directory) => {
            let (place, incoming) = directory.enter(finder)?;
            let beacons: Box<dyn PeerSource> = Box::new(Beacons(place.clone()));
            (Hellos::Directory(place), Some(incoming), vec![beacons])
        }
        Way::Named(peers) => {
            named = peers;
            (Hellos::None, None, Vec::new())
        }
    };
    let hello_address = hellos.address().map(SocketAddr::V4);
    let me = Me {
        endpoint: deps.endpoint,
        hello: hellos.own(),
    };
    let mapping = config.port_mapping && !me.hello.ip().is_loopback();
    let actor = DiscoveryActor::create(|ctx| {
        let mut found = found;
        if mapping {
            let mut mapped = PortMap::keep(me.hello.port());
            ctx.add_stream(stream::poll_fn(move |cx| mapped.poll_recv(cx)));
        }
        if let Some(mut incoming) = incoming {
            ctx.add_stream(stream::poll_fn(move |cx| incoming.poll_recv(cx)));
        }
        ctx.add_stream(stream::poll_fn(move |cx| found.poll_recv(cx)));
        DiscoveryActor {
            core: Core::new(config.clone(), me),
            rng: SystemEntropy,
            config,
            deps,
            hellos,
            named,
            sources,
            dht: None,
            contacts: Contacts::default(),
            public_ip: None,
            mapping_failed: false,
            health: DhtHealth::default(),
            start: Instant::now(),
            timer: None,
            polling: None,
            tasks: JoinSet::new(),
            last_ticket: 0,
            announces: HashMap::new(),
            lookups: HashMap::new(),
        }
    });
    Ok(DiscoveryRunning {
        port: DiscoveryPort::new(&actor, Limits::default()),
        hello_address,
    })
}

/// The actor behind [`Mainline`].
struct DiscoveryActor {
    core: Core,
    rng: SystemEntropy,
    config: Config,
    deps: DiscoveryDeps,
    hellos: Hellos,
    /// Peers of every topic, from the config.
    named: Vec<EndpointAddr>,
    sources: Vec<Box<dyn PeerSource>>,
    dht: Option<DhtNode>,
    contacts: Contacts,
    /// What DHT nodes said last.
    public_ip: Option<Ipv4Addr>,
    /// It was said that no router forwards a port.
    mapping_failed: bool,
    health: DhtHealth,
    start: Instant,
    timer: Option<SpawnHandle>,
    /// The next count of the routing table.
    polling: Option<SpawnHandle>,
    tasks: JoinSet<()>,
    last_ticket: u64,
    announces: HashMap<Ticket, oneshot::Sender<Result<Announced, AnnounceError>>>,
    lookups: HashMap<Ticket, oneshot::Sender<LookupStats>>,
}

impl Actor for DiscoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.health.hello_address = self.hellos.address().map(SocketAddr::V4);
        if self.config.sources.need_dht() {
            // Started from without waiting for the resolver, and also where no name resolves.
            self.contacts = Contacts::new(std::mem::take(&mut self.deps.contacts));
            self.start_dht(DHT_RESTART.0, StartBy::Contacts, ctx);
        }
        self.drive(Input::Tick, ctx);
    }
}

impl DiscoveryActor {
    /// One step of the core.
    fn drive(&mut self, input: Input, ctx: &mut Context<Self>) {
        let now = self.now();
        for effect in self.core.handle(input, now, &mut self.rng) {
            self.run(effect, ctx);
        }
        while self.tasks.try_join_next().is_some() {}
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = self.core.next_wake(now).saturating_sub(now.mono);
        self.timer = Some(ctx.run_later(wait, |actor, ctx| actor.drive(Input::Tick, ctx)));
    }

    fn now(&self) -> Now {
        Now {
            mono: self.start.elapsed(),
            unix: self.deps.clock.now(),
        }
    }

    fn run(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        trace(&effect);
        match effect {
            Effect::FetchKeys(topic, epoch) => self.fetch_keys(topic, epoch, ctx),
            Effect::SignRecord { topic, epoch, body } => self.sign(topic, epoch, body, ctx),
            Effect::SignHeartbeat(topic, beat) => self.sign_heartbeat(topic, beat, ctx),
            Effect::StartLookup(query, infohash) => self.look(query, infohash, ctx),
            Effect::StartAnnounce(query, infohash) => self.announce(query, infohash, ctx),
            Effect::ReadPage(query, at) => self.read_page(query, &at, ctx),
            Effect::WritePage {
                query,
                at,
                page,
                seq,
                cas,
            } => self.write_page(query, at, page, (seq, cas), ctx),
            Effect::ProbeDht => self.probe(ctx),
            Effect::WaitForReplies(wait) => self.wait_for_replies(wait, ctx),
            Effect::Show(beacon) => self.sources.iter_mut().for_each(|s| s.show(&beacon)),
            Effect::Send(to, packet) => {
                // UDP may lose it anyway: the core tries again.
                if let Err(error) = self.hellos.send(to, &packet) {
                    tracing::debug!(%to, %error, "hello not sent");
                }
            }
            Effect::DialBack(to, packet) => {
                if let Err(error) = self.hellos.dial_back(to, &packet) {
                    tracing::debug!(%to, %error, "dial-back not sent");
                }
            }
            Effect::Emit(event) => {
                self.note(&event);
                self.deps.events.emit(event);
            }
            Effect::AnswerAnnounce(ticket, answer) => {
                let waiting = self.announces.remove(&ticket);
                // A caller that went away wants no answer.
                let _gone = waiting.map(|caller| caller.send(answer));
            }
            Effect::AnswerLookup(ticket, stats) => {
                let waiting = self.lookups.remove(&ticket);
                let _gone = waiting.map(|caller| caller.send(stats));
            }
        }
    }

    fn overload(&self, count: u64) {
        for _ in 0..count {
            let reason = HelloDrop::Overload;
            self.deps.events.emit(DiscoveryEvent::Dropped { reason });
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }
}

/// The steps of a join as log events, for whoever wants to know where its time goes. Their names
/// stand in `docs/BENCHMARKS.md`.
fn trace(effect: &Effect) {
    match effect {
        Effect::StartLookup(query, _) => {
            tracing::debug!(step = "lookup_started", query = query.0);
        }
        Effect::StartAnnounce(query, _) => {
            tracing::debug!(step = "announce_started", query = query.0);
        }
        Effect::Send(to, _) => tracing::debug!(step = "hello_sent", %to),
        Effect::Emit(DiscoveryEvent::FirstEntry { .. }) => tracing::debug!(step = "first_entry"),
        Effect::Emit(DiscoveryEvent::LookupEnded { stats, .. }) => {
            tracing::debug!(
                step = "lookup_ended",
                entries = stats.entries,
                answers = stats.answers
            );
        }
        Effect::Emit(DiscoveryEvent::AnnounceEnded { result, .. }) => {
            tracing::debug!(step = "announce_ended", result = result.as_str());
        }
        Effect::Emit(DiscoveryEvent::PeerFound { source, .. }) => {
            tracing::debug!(step = "member_found", source = source.as_str());
        }
        _ => {}
    }
}

impl StreamHandler<Incoming> for DiscoveryActor {
    fn handle(&mut self, incoming: Incoming, ctx: &mut Self::Context) {
        match incoming {
            Incoming::Datagram(from, packet) => self.drive(Input::Datagram(from, packet), ctx),
            Incoming::Dropped(count) => self.overload(count),
        }
    }
}

impl StreamHandler<Found> for DiscoveryActor {
    fn handle(&mut self, found: Found, ctx: &mut Self::Context) {
        match found {
            Found::Sighted(source, seen) => self.drive(Input::Sighted(source, seen), ctx),
            Found::Gone(instance) => self.drive(Input::Gone(instance), ctx),
            Found::Dropped(count) => self.overload(count),
        }
    }

    // Without any source there is nobody who could find something.
    fn finished(&mut self, _: &mut Self::Context) {}
}

/// Randomness of the operating system.
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives randomness");
    }
}
