//! The requests of the reference identity, each with what can be wrong with it.

use std::collections::BTreeMap;

use actix::{Actor, Context, Handler};
use ed25519_dalek::{Signer, SigningKey};
use kukuri_contract::{
    AddTopic, AddTopicError, AuthorId, AuthorLinks, EndpointId, EpochKeys, IdentityInfo, InfoHash,
    KeyBytes, Links, LinksError, Never, RemoveTopic, SecretStoreKind, Sign, SignError, SignRequest,
    Signature, TopicId, TopicKeys, TopicKeysError, Whoami,
};
use sha2::{Digest, Sha256};

use super::{Fault, MAX_TOPICS};
use crate::reference::flaw::{Conduct, Flaw, Later, conduct};

/// The actor behind the reference identity.
pub(super) struct MemoryActor {
    conduct: Conduct,
    fault: Option<Fault>,
    endpoint: SigningKey,
    author: SigningKey,
    book: [u8; 32],
    topics: BTreeMap<TopicId, ([u8; 32], bool)>,
    removed: BTreeMap<TopicId, ([u8; 32], bool)>,
}

impl MemoryActor {
    pub fn new(n: u64, conduct: Conduct, fault: Option<Fault>) -> Self {
        let key = |label: &str| hash(&[label.as_bytes(), &n.to_be_bytes()]);
        Self {
            conduct,
            fault,
            endpoint: SigningKey::from_bytes(&key("endpoint")),
            author: SigningKey::from_bytes(&key("author")),
            book: key("book"),
            topics: BTreeMap::new(),
            removed: BTreeMap::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub fn info(&self) -> IdentityInfo {
        IdentityInfo {
            endpoint: EndpointId::from_bytes(self.endpoint.verifying_key().to_bytes()),
            author: AuthorId::from_bytes(self.author.verifying_key().to_bytes()),
            links: AuthorLinks::default(),
            store: SecretStoreKind::Memory,
        }
    }

    pub fn endpoint_key(&self) -> [u8; 32] {
        self.endpoint.to_bytes()
    }

    pub fn book_key(&self) -> [u8; 32] {
        self.book
    }
}

impl Actor for MemoryActor {
    type Context = Context<Self>;
}

conduct!(MemoryActor);

impl Handler<Whoami> for MemoryActor {
    type Result = Later<Result<IdentityInfo, Never>>;

    fn handle(&mut self, _: Whoami, _: &mut Self::Context) -> Self::Result {
        let mut info = self.info();
        if self.has(Fault::SaysAnother) {
            info.author = AuthorId::from_bytes(*info.endpoint.as_bytes());
        }
        self.conduct.later(Ok(info))
    }
}

impl Handler<Links> for MemoryActor {
    type Result = Result<AuthorLinks, LinksError>;

    fn handle(&mut self, _: Links, _: &mut Self::Context) -> Self::Result {
        let nobody = AuthorId::from_bytes([0; 32]);
        let made_up = self.has(Fault::MakesUpLinks).then_some(nobody);
        Ok(AuthorLinks {
            used: None,
            revoked: made_up.into_iter().collect(),
        })
    }
}

impl Handler<AddTopic> for MemoryActor {
    type Result = Result<TopicId, AddTopicError>;

    fn handle(&mut self, request: AddTopic, _: &mut Self::Context) -> Self::Result {
        let secret = request.secret.as_ref().map(|s| s.expose().as_slice());
        let sealed = secret.is_some();
        let key = hash(&[
            b"topic",
            request.name.as_str().as_bytes(),
            secret.unwrap_or(b""),
        ]);
        let own: &[u8] = match self.has(Fault::NamesForItself) {
            true => self.author.as_bytes(),
            false => b"",
        };
        let topic = TopicId::from_bytes(hash(&[b"id", &key, own]));
        let full = self.topics.len() >= MAX_TOPICS && !self.topics.contains_key(&topic);
        if full && !self.has(Fault::Boundless) {
            return Err(AddTopicError::TooManyTopics { limit: MAX_TOPICS });
        }
        self.topics.insert(topic, (key, sealed));
        Ok(topic)
    }
}

impl Handler<RemoveTopic> for MemoryActor {
    type Result = Result<(), Never>;

    fn handle(&mut self, request: RemoveTopic, _: &mut Self::Context) -> Self::Result {
        if let Some(keys) = self.topics.remove(&request.topic) {
            self.removed.insert(request.topic, keys);
        }
        Ok(())
    }
}

impl Handler<TopicKeys> for MemoryActor {
    type Result = Result<EpochKeys, TopicKeysError>;

    fn handle(&mut self, request: TopicKeys, _: &mut Self::Context) -> Self::Result {
        let unknown = TopicKeysError::UnknownTopic(request.topic);
        let removed = self.removed.get(&request.topic);
        let removed = removed.filter(|_| self.has(Fault::Remembers));
        let known = self.topics.get(&request.topic).or(removed);
        let (key, sealed) = known.ok_or(unknown)?;
        let epoch = request.epoch.0.to_be_bytes();
        let derive = |label: &str| hash(&[label.as_bytes(), key, &epoch]);
        let beacon = match self.has(Fault::MixesTopics) {
            true => hash(&[b"beacon", &epoch]),
            false => derive("beacon"),
        };
        let member = match self.has(Fault::NeverChanges) {
            true => hash(&[b"member", key]),
            false => derive("member"),
        };
        let reply = match self.has(Fault::SharesAKey) {
            true => derive("request"),
            false => derive("reply"),
        };
        let sealed = *sealed || self.has(Fault::SealsAll);
        let mut infohash = [0; 20];
        infohash.copy_from_slice(&derive("infohash")[..20]);
        Ok(EpochKeys {
            infohash: InfoHash::from_bytes(infohash),
            hello_tag: KeyBytes::new(derive("tag")),
            hello_request: KeyBytes::new(derive("request")),
            hello_reply: KeyBytes::new(reply),
            beacon: KeyBytes::new(beacon),
            board_key: KeyBytes::new(derive("board key")),
            board_seal: KeyBytes::new(derive("board seal")),
            board_salt: KeyBytes::new(derive("board salt")),
            member: KeyBytes::new(member),
            repair: KeyBytes::new(derive("repair")),
            post_seal: sealed.then(|| KeyBytes::new(derive("post"))),
        })
    }
}

impl Handler<Sign> for MemoryActor {
    type Result = Result<Signature, SignError>;

    fn handle(&mut self, Sign(request): Sign, _: &mut Self::Context) -> Self::Result {
        let author = self.info().author;
        match &request {
            SignRequest::Heartbeat { .. } if self.has(Fault::MixesKeys) => {
                Ok(sign(&self.author, &request))
            }
            SignRequest::Record { .. } | SignRequest::Heartbeat { .. } => {
                Ok(sign(&self.endpoint, &request))
            }
            SignRequest::Link { author: a, .. }
                if *a != author && !self.has(Fault::LinksAnybody) =>
            {
                Err(SignError::NotOurs)
            }
            _ => Ok(sign(&self.author, &request)),
        }
    }
}

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
