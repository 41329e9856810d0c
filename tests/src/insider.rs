//! A member with bad intent: it has the topic's secret, an iroh endpoint, and its own ideas.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test panics where it fails"
)]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::StreamExt;
use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, RelayMode, SecretKey, TransportAddr};
use iroh_gossip::api::{Event, GossipReceiver, GossipSender};
use iroh_gossip::net::Gossip;
use kukuri::contract::{
    AuthorId, EndpointId, Epoch, MemberKeys, SignRequest, Signature, TopicId, UnixMillis, WallClock,
};
use kukuri::core::post;
use kukuri::{EndpointAddr, TopicName, TopicSecret};
use kukuri_discovery::core::hello::HelloRequest;
use kukuri_discovery::core::record::{NO_MARK, body, finish};
use kukuri_gossip::core::member::{BINDING_BYTES, BINDING_LABEL, Channel, claim};
use kukuri_gossip::{ASK_ALPN, GOSSIP_ALPN};
use kukuri_identity::core::derive::TopicKey;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);

/// The member.
pub struct Insider {
    /// How it reaches others.
    pub endpoint: Endpoint,
    /// The topic's key.
    pub key: TopicKey,
    author: SigningKey,
    gossip: Gossip,
}

/// Its place in the swarm.
pub struct Place {
    /// Broadcasts whatever it is given.
    pub sender: GossipSender,
    /// What comes to it, which it never reads.
    _events: GossipReceiver,
    /// To the neighbor.
    pub connection: Connection,
}

impl Insider {
    /// Insider number n of a topic.
    pub async fn new(n: u8, name: &TopicName, secret: [u8; 32]) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&[n; 32]))
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .bind()
            .await
            .unwrap();
        Self {
            gossip: Gossip::builder().spawn(endpoint.clone()),
            endpoint,
            key: TopicKey::new(name, Some(&TopicSecret::from_bytes(secret))),
            author: SigningKey::from_bytes(&[n; 32]),
        }
    }

    /// Its endpoint id.
    pub fn id(&self) -> EndpointId {
        EndpointId::from_bytes(*self.endpoint.id().as_bytes())
    }

    /// The topic that it is a member of.
    pub fn topic(&self) -> TopicId {
        self.key.topic_id()
    }

    /// Connects, if the other side lets it.
    pub async fn reach(&self, to: &EndpointAddr, alpn: &[u8]) -> Option<Connection> {
        let id = iroh::EndpointId::from_bytes(to.id.as_bytes()).unwrap();
        let direct = to.direct.iter().copied().map(TransportAddr::Ip);
        let address = iroh::EndpointAddr::from_parts(id, direct);
        self.endpoint.connect(address, alpn).await.ok()
    }

    /// Says what belongs where a claim does. Gives the answer.
    pub async fn claim_with(connection: &Connection, bytes: &[u8]) -> Option<Vec<u8>> {
        let (mut send, mut recv) = connection.open_bi().await.ok()?;
        send.write_all(bytes).await.ok()?;
        send.finish().ok()?;
        recv.read_to_end(1000).await.ok()
    }

    /// Connects and proves to be a member. `None` if it is not let in.
    pub async fn enter(&self, to: &EndpointAddr) -> Option<Connection> {
        let connection = self.reach(to, GOSSIP_ALPN).await?;
        let mut binding = [0; BINDING_BYTES];
        connection
            .export_keying_material(&mut binding, BINDING_LABEL, b"")
            .unwrap();
        let channel = Channel {
            binding,
            initiator: self.id(),
            responder: to.id,
        };
        let epoch = Epoch::at(WallClock::system().now());
        let keys = MemberKeys {
            epoch,
            own: self.key.epoch_keys(epoch).member,
            others: Vec::new(),
        };
        let (claimed, bytes) = claim(channel, &keys);
        let answer = Self::claim_with(&connection, &bytes).await?;
        claimed.check(&answer).ok()?;
        Some(connection)
    }

    /// Becomes a neighbor of a node. `None` if it is not let in.
    pub async fn join(&self, to: &EndpointAddr) -> Option<Place> {
        let connection = self.enter(to).await?;
        let handed = self.gossip.handle_connection(connection.clone());
        handed.await.unwrap();
        let topic = iroh_gossip::proto::TopicId::from_bytes(*self.topic().as_bytes());
        let peer = iroh::EndpointId::from_bytes(to.id.as_bytes()).unwrap();
        let joined = self.gossip.subscribe(topic, vec![peer]).await.unwrap();
        let (sender, mut events) = joined.split();
        let up = async {
            while let Some(Ok(event)) = events.next().await {
                if matches!(event, Event::NeighborUp(id) if id == peer) {
                    return true;
                }
            }
            false
        };
        let up = timeout(DEADLINE, up).await;
        (up == Ok(true)).then_some(Place {
            sender,
            _events: events,
            connection,
        })
    }

    /// An own post, sealed as any.
    pub fn post(&self, seq: u64, time: UnixMillis, nonce: u64, body: &[u8]) -> Bytes {
        let author = AuthorId::from_bytes(self.author.verifying_key().to_bytes());
        let unsigned = post::unsigned(author, seq, time, body);
        let topic = self.topic();
        let request = SignRequest::Post {
            topic,
            envelope: unsigned.clone(),
        };
        let signature = self.author.sign(&request.preimage()).to_bytes();
        let envelope = post::finish(unsigned, &Signature::from_bytes(signature));
        let epoch = Epoch::at(WallClock::system().now());
        let key = self.key.epoch_keys(epoch).post_seal.unwrap();
        let mut full = [0; 24];
        full[..8].copy_from_slice(&nonce.to_be_bytes());
        post::seal(&envelope, topic, epoch, &key, full)
    }

    /// The hello of a member that does not exist, whose record names an address where nobody is.
    pub fn false_record(&self, n: u8, to: SocketAddrV4) -> Vec<u8> {
        let signer = SigningKey::from_bytes(&[n; 32]);
        let peer = EndpointAddr {
            id: EndpointId::from_bytes(signer.verifying_key().to_bytes()),
            direct: vec![(Ipv4Addr::LOCALHOST, 20_000 + u16::from(n)).into()],
            relay: None,
        };
        let now = WallClock::system().now();
        let epoch = Epoch::at(now);
        let body = body(&peer, now, NO_MARK);
        let signed = SignRequest::Record {
            topic: self.topic(),
            epoch,
            body: body.clone(),
        };
        let signature = signer.sign(&signed.preimage()).to_bytes();
        let request = HelloRequest {
            id: [n; 16],
            time: now,
            recipient: to,
            record: finish(body, &Signature::from_bytes(signature)),
            dial_back: None,
        };
        let mut nonce = [n; 24];
        nonce[..8].copy_from_slice(&now.0.to_be_bytes());
        request.seal(&self.key.epoch_keys(epoch), nonce).to_vec()
    }

    /// Asks as a neighbor does, whatever the question. Gives the status, and what comes with it.
    pub async fn ask(connection: &Connection, topic: TopicId, question: &[u8]) -> Option<Vec<u8>> {
        let (mut send, mut recv) = connection.open_bi().await.ok()?;
        let head = [&[1], topic.as_bytes().as_slice()].concat();
        send.write_all(&head).await.ok()?;
        send.write_all(question).await.ok()?;
        send.finish().ok()?;
        recv.read_to_end(2 << 20).await.ok()
    }

    /// A connection for questions.
    pub async fn line(&self, to: &EndpointAddr) -> Option<Connection> {
        self.reach(to, ASK_ALPN).await
    }
}
