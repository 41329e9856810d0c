//! A whole identity service in memory.
//!
//! Its keys are derived in the simplest way that keeps topics, secrets and epochs apart, which is
//! not the way of `docs/PROTOCOL.md`: it meets only its own kind.

use std::collections::BTreeMap;

use actix::{Actor, ActorContext, Context, Handler};
use ed25519_dalek::{Signer, SigningKey};
use kukuri_contract::{
    AddTopic, AddTopicError, AuthorId, AuthorLinks, EndpointId, EpochKeys, IdentityInfo,
    IdentityPort, InfoHash, KeyBytes, Limits, Links, LinksError, Never, Probe, RemoveTopic,
    SecretStoreKind, Sign, SignError, SignRequest, Signature, Stop, TopicId, TopicKeys,
    TopicKeysError, Whoami,
};
use sha2::{Digest, Sha256};

/// An identity made from a number: the same number gives the same keys.
#[derive(Debug)]
pub struct MemoryIdentity {
    endpoint: SigningKey,
    author: SigningKey,
    topics: BTreeMap<TopicId, ([u8; 32], bool)>,
}

impl MemoryIdentity {
    /// Starts the service of identity number `n` in the current actix `System`.
    pub fn spawn(n: u64) -> (EndpointId, IdentityPort) {
        let key =
            |label: &str| SigningKey::from_bytes(&hash(&[label.as_bytes(), &n.to_be_bytes()]));
        let identity = Self {
            endpoint: key("endpoint"),
            author: key("author"),
            topics: BTreeMap::new(),
        };
        let id = EndpointId::from_bytes(identity.endpoint.verifying_key().to_bytes());
        (id, IdentityPort::new(&identity.start(), Limits::default()))
    }

    fn ids(&self) -> (EndpointId, AuthorId) {
        (
            EndpointId::from_bytes(self.endpoint.verifying_key().to_bytes()),
            AuthorId::from_bytes(self.author.verifying_key().to_bytes()),
        )
    }
}

impl Actor for MemoryIdentity {
    type Context = Context<Self>;
}

impl Handler<Whoami> for MemoryIdentity {
    type Result = Result<IdentityInfo, Never>;

    fn handle(&mut self, _: Whoami, _: &mut Self::Context) -> Self::Result {
        let (endpoint, author) = self.ids();
        Ok(IdentityInfo {
            endpoint,
            author,
            links: AuthorLinks::default(),
            store: SecretStoreKind::Memory,
        })
    }
}

impl Handler<Links> for MemoryIdentity {
    type Result = Result<AuthorLinks, LinksError>;

    fn handle(&mut self, _: Links, _: &mut Self::Context) -> Self::Result {
        Ok(AuthorLinks::default())
    }
}

impl Handler<AddTopic> for MemoryIdentity {
    type Result = Result<TopicId, AddTopicError>;

    fn handle(&mut self, request: AddTopic, _: &mut Self::Context) -> Self::Result {
        let secret = request.secret.as_ref().map(|s| s.expose().as_slice());
        let sealed = secret.is_some();
        let key = hash(&[
            b"topic",
            request.name.as_str().as_bytes(),
            secret.unwrap_or(b""),
        ]);
        let topic = TopicId::from_bytes(hash(&[b"id", &key]));
        self.topics.insert(topic, (key, sealed));
        Ok(topic)
    }
}

impl Handler<RemoveTopic> for MemoryIdentity {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: RemoveTopic, _: &mut Self::Context) -> Self::Result {
        self.topics.remove(&request.topic);
        Ok(())
    }
}

impl Handler<TopicKeys> for MemoryIdentity {
    type Result = Result<EpochKeys, TopicKeysError>;

    fn handle(&mut self, request: TopicKeys, _: &mut Self::Context) -> Self::Result {
        let unknown = TopicKeysError::UnknownTopic(request.topic);
        let (key, sealed) = self.topics.get(&request.topic).ok_or(unknown)?;
        let epoch = request.epoch.0.to_be_bytes();
        let derive = |label: &str| hash(&[label.as_bytes(), key, &epoch]);
        let mut infohash = [0; 20];
        infohash.copy_from_slice(&derive("infohash")[..20]);
        Ok(EpochKeys {
            infohash: InfoHash::from_bytes(infohash),
            hello_tag: KeyBytes::new(derive("tag")),
            hello_request: KeyBytes::new(derive("request")),
            hello_reply: KeyBytes::new(derive("reply")),
            beacon: KeyBytes::new(derive("beacon")),
            board_key: KeyBytes::new(derive("board key")),
            board_seal: KeyBytes::new(derive("board seal")),
            board_salt: KeyBytes::new(derive("board salt")),
            member: KeyBytes::new(derive("member")),
            repair: KeyBytes::new(derive("repair")),
            post_seal: sealed.then(|| KeyBytes::new(derive("post"))),
        })
    }
}

impl Handler<Sign> for MemoryIdentity {
    type Result = Result<Signature, SignError>;

    fn handle(&mut self, Sign(request): Sign, _: &mut Self::Context) -> Self::Result {
        let (_, author) = self.ids();
        match &request {
            SignRequest::Record { .. } | SignRequest::Heartbeat { .. } => {
                Ok(sign(&self.endpoint, &request))
            }
            SignRequest::Link { author: a, .. } if *a != author => Err(SignError::NotOurs),
            _ => Ok(sign(&self.author, &request)),
        }
    }
}

impl Handler<Probe> for MemoryIdentity {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<Stop> for MemoryIdentity {
    type Result = Result<(), Never>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(())
    }
}

kukuri_contract::supervised!(MemoryIdentity);

fn sign(key: &SigningKey, request: &SignRequest) -> Signature {
    Signature::from_bytes(key.sign(&request.preimage()).to_bytes())
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
