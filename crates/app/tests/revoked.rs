//! A writer that was revoked and writes on, against whole nodes.
//!
//! The thief is played by the test: it has the key of a writer, a link that was good, and the
//! transport of a real node. What it sends, no honest node would.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use kukuri::core::post;
use kukuri::core::repair::{Between, Delivery, FIRST_AUTHOR, LAST_AUTHOR, Summary};
use kukuri::{
    Config, JoinOptions, Node, PostEvent, StoreChoice, Topic, TopicEvent, TopicEvents,
    give_author_link, revoke_author_link,
};
use kukuri_contract::{
    Answer, Ask, AuthorId, AuthorLink, Broadcast, Dial, DialReason, EndpointAddr, EndpointId,
    EndpointKey, Epoch, Factory, GossipDeps, GossipEvent, GossipPort, Holding, Join, Lease,
    MemberKeys, Outlet, SignRequest, Signature, TopicId, TopicName, UnixMillis, WallClock,
};
use kukuri_gossip::IrohGossip;
use kukuri_identity::core::derive::TopicKey;
use kukuri_identity::parse_link;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(120);

fn name() -> TopicName {
    "tea".parse().unwrap()
}

fn config(dir: &Path) -> Config {
    let key = dir.join("key");
    if !key.exists() {
        std::fs::write(&key, [7; 32]).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }
    let mut config = Config::default();
    config.node.data_dir = Some(dir.to_owned());
    config.identity.keyring.store = StoreChoice::File;
    config.identity.keyring.key_file = Some(key);
    config.discovery.mainline.sources.rendezvous = false;
    config.discovery.mainline.sources.board = false;
    config
}

/// A node in the topic.
struct Member {
    node: Node,
    topic: Topic,
    events: TopicEvents,
}

impl Member {
    async fn start(dir: &Path, peers: &[&Self]) -> Self {
        let node = Node::builder()
            .config(config(dir))
            .bind_ip(Ipv4Addr::LOCALHOST)
            .spawn()
            .await
            .unwrap();
        let options = JoinOptions {
            peers: peers.iter().map(|peer| peer.address()).collect(),
            ..JoinOptions::default()
        };
        let topic = node.join(name(), options).await.unwrap();
        let events = topic.events();
        Self {
            node,
            topic,
            events,
        }
    }

    fn address(&self) -> EndpointAddr {
        self.node.info().advertised.clone()
    }

    async fn wait_for<T>(&mut self, what: &str, fits: impl Fn(TopicEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.next().await.unwrap();
                if let Some(found) = fits(event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, wait)
            .await
            .unwrap_or_else(|_| panic!("no {what} in time"))
    }

    async fn post(&mut self, body: &'static str) -> PostEvent {
        let fits = |event| match event {
            TopicEvent::Post(post) if post.body == body => Some(post),
            _ => None,
        };
        self.wait_for(body, fits).await
    }

    async fn hears_of_revocation(&mut self, by: AuthorId) {
        let fits = |event| match event {
            TopicEvent::Revoked { author, writer } if author == by => Some(writer),
            _ => None,
        };
        assert_eq!(self.wait_for("revocation", fits).await, thief());
    }

    /// Waits until so many posts were dropped because their writer was revoked.
    async fn has_dropped(&self, posts: usize) {
        let wait = async {
            let line = format!("kukuri_node_posts_dropped_total{{reason=\"revoked\"}} {posts}");
            while !self.node.metrics().await.lines().any(|text| text == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let dropped = timeout(DEADLINE, wait).await;
        assert!(dropped.is_ok(), "not {posts} dropped in time");
    }

    /// What it has of the thief's, by number.
    async fn stored(&self) -> Vec<u64> {
        let posts = self.topic.posts(UnixMillis(0), 1000).await.unwrap();
        let of_thief = posts.into_iter().filter(|post| post.writer == thief());
        let mut seqs: Vec<_> = of_thief.map(|post| post.seq).collect();
        seqs.sort_unstable();
        seqs
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

/// The writer whose key was stolen.
fn thief() -> AuthorId {
    AuthorId::from_bytes(key().verifying_key().to_bytes())
}

/// Hears what the transport says.
struct Ears(mpsc::UnboundedSender<GossipEvent>);

impl Actor for Ears {
    type Context = Context<Self>;
}

impl Handler<GossipEvent> for Ears {
    type Result = ();

    fn handle(&mut self, event: GossipEvent, _: &mut Self::Context) {
        _ = self.0.send(event);
    }
}

/// A member without a node.
struct Thief {
    port: GossipPort,
    me: EndpointAddr,
    heard: mpsc::UnboundedReceiver<GossipEvent>,
    topic: TopicId,
    keys: TopicKey,
    link: AuthorLink,
}

impl Thief {
    async fn start(link: AuthorLink) -> Self {
        let (tx, heard) = mpsc::unbounded_channel();
        let secret = SigningKey::from_bytes(&[9; 32]);
        let deps = GossipDeps {
            endpoint: EndpointId::from_bytes(secret.verifying_key().to_bytes()),
            key: EndpointKey::new(secret.to_bytes()),
            events: Outlet::new([Ears(tx).start().recipient()]),
            lease: Lease::endless(),
        };
        let mut config = Config::default().gossip.iroh;
        config.bind = (Ipv4Addr::LOCALHOST, 0).into();
        let running = IrohGossip::spawn(config, deps).await.unwrap();
        let keys = TopicKey::new(&name(), None);
        let (topic, epoch) = (keys.topic_id(), now_epoch());
        let others = MemberKeys::others_around(epoch);
        let member = MemberKeys {
            epoch,
            own: keys.epoch_keys(epoch).member,
            others: others
                .map(|other| (other, keys.epoch_keys(other).member))
                .collect(),
        };
        let join = Join {
            topic,
            keys: member,
        };
        running.port.join(join).await.unwrap();
        Self {
            port: running.port,
            me: running.addresses.advertised,
            heard,
            topic,
            keys,
            link,
        }
    }

    async fn meet(&mut self, member: &Member) {
        let peer = member.address();
        let dial = Dial {
            topic: self.topic,
            peers: vec![peer.clone()],
            reason: DialReason::Heal,
        };
        self.port.dial(dial).await.unwrap();
        let up = async {
            loop {
                match self.heard.recv().await.unwrap() {
                    GossipEvent::NeighborUp { peer: up, .. } if up == peer.id => return,
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, up).await.expect("a neighbor in time");
    }

    fn envelope(&self, seq: u64, body: &str) -> Bytes {
        let now = WallClock::system().now();
        let unsigned = post::unsigned_linked(&self.link, seq, now, body.as_bytes());
        let request = SignRequest::Post {
            topic: self.topic,
            envelope: unsigned.clone(),
        };
        let signature = key().sign(&request.preimage()).to_bytes();
        post::finish(unsigned, &Signature::from_bytes(signature))
    }

    async fn say(&self, seq: u64, body: &str) {
        let broadcast = Broadcast {
            topic: self.topic,
            payload: post::clear(&self.envelope(seq, body)),
        };
        self.port.broadcast(broadcast).await.unwrap();
    }

    /// Tells a neighbor that there is more to be had, and gives it posts when it asks.
    async fn hand_over(&mut self, to: &Member, seqs: std::ops::RangeInclusive<u64>) {
        let (epoch, topic) = (now_epoch(), self.topic);
        let (me, peer) = (self.me.id, to.address().id);
        let key = self.keys.epoch_keys(epoch).repair;
        let there = Between {
            topic,
            asker: me,
            answerer: peer,
        };
        let back = Between {
            topic,
            asker: peer,
            answerer: me,
        };
        let summary = Summary {
            from: FIRST_AUTHOR,
            to: LAST_AUTHOR,
            have: vec![Holding {
                author: thief(),
                ranges: vec![(1, *seqs.end())],
            }],
        };
        let payload = summary.seal(there, epoch, &key, [1; 24]);
        let ask = Ask {
            topic,
            peer,
            payload,
        };
        self.port.ask(ask).await.unwrap();
        let delivery = Delivery {
            envelopes: seqs.map(|seq| self.envelope(seq, "handed over")).collect(),
            more: false,
        };
        let answered = async {
            loop {
                let GossipEvent::Asked {
                    from, id, payload, ..
                } = self.heard.recv().await.unwrap()
                else {
                    continue;
                };
                let asked = Summary::peek(&payload, epoch).unwrap();
                let key = self.keys.epoch_keys(asked.0).repair;
                let payload = Some(delivery.seal(back, asked, &key, [2; 24]));
                // Nobody waits for the answer to an old question.
                let answered = self.port.answer(Answer { id, payload }).await;
                if from == peer && answered.is_ok() {
                    return;
                }
            }
        };
        timeout(DEADLINE, answered).await.expect("asked in time");
    }
}

fn now_epoch() -> Epoch {
    Epoch::at(WallClock::system().now())
}

#[actix::test]
async fn what_a_revoked_writer_sends_gets_nowhere_and_what_it_sent_before_stays() {
    let dirs = [(); 4].map(|()| TempDir::with_prefix("kukuri-test-").unwrap());
    let a = Member::start(dirs[0].path(), &[]).await;
    let mut c = Member::start(dirs[2].path(), &[&a]).await;
    let author = a.node.info().author;
    let text = give_author_link(config(dirs[0].path()), None, thief()).await;
    let mut thief_node = Thief::start(parse_link(&text.unwrap()).unwrap()).await;
    thief_node.meet(&a).await;
    thief_node.meet(&c).await;
    thief_node.say(1, "under the link").await;
    let heard = c.post("under the link").await;
    assert_eq!((heard.author, heard.writer), (author, thief()));

    // Somebody else revokes it: that is nothing to this author's name.
    let b = Member::start(dirs[1].path(), &[&a]).await;
    let stranger = b.node.info().author;
    let known = revoke_author_link(config(dirs[1].path()), None, thief()).await;
    assert!(!known.unwrap(), "it never let it write");
    c.hears_of_revocation(stranger).await;
    thief_node.say(2, "after a stranger").await;
    assert_eq!(c.post("after a stranger").await.author, author);
    let mut a = a;
    a.post("after a stranger").await;

    // The author revokes it.
    let known = revoke_author_link(config(dirs[0].path()), None, thief()).await;
    assert!(known.unwrap());
    c.hears_of_revocation(author).await;
    for seq in 3..=5 {
        thief_node.say(seq, "too late").await;
    }
    c.has_dropped(3).await;
    thief_node.hand_over(&c, 6..=9).await;
    c.has_dropped(7).await;
    assert_eq!(c.stored().await, [1, 2]);

    // Also after a restart, which the author's node has not seen.
    a.node.shutdown().await;
    c.node.shutdown().await;
    let c = Member::start(dirs[2].path(), &[&b]).await;
    thief_node.meet(&c).await;
    thief_node.say(20, "too late").await;
    thief_node.hand_over(&c, 21..=22).await;
    c.has_dropped(3).await;
    assert_eq!(c.stored().await, [1, 2]);

    // Who joins only now gets the old posts and the revocation from the others.
    let mut d = Member::start(dirs[3].path(), &[&c]).await;
    let mut left = vec!["under the link", "after a stranger"];
    let mut revoked = false;
    while !left.is_empty() || !revoked {
        match d.wait_for("old posts and a revocation", Some).await {
            TopicEvent::Post(post) => {
                assert_eq!((post.author, post.writer), (author, thief()));
                left.retain(|body| post.body != *body);
            }
            TopicEvent::Revoked { author: by, .. } => revoked |= by == author,
            _ => {}
        }
    }
    thief_node.meet(&d).await;
    thief_node.say(30, "too late").await;
    d.has_dropped(1).await;
    assert_eq!(d.stored().await, [1, 2]);
    for member in [b, c, d] {
        member.node.shutdown().await;
    }
}
