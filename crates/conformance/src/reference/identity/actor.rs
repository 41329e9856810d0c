//! The requests of the reference identity, each with what can be wrong with it.

use std::collections::BTreeMap;

use actix::{Actor, Context, Handler};
use ed25519_dalek::{Signer, SigningKey};
use hkdf::Hkdf;
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
        let name = request.name.as_str().as_bytes();
        let of_topic = Hkdf::<Sha256>::new(Some(b"kukuri/1"), secret.unwrap_or(b""));
        let key: [u8; 32] = expand(&of_topic, &[b"topic", name]);
        let odd = secret.is_some_and(|secret| secret[0] % 2 == 1);
        let id = match odd && self.has(Fault::NamesForItself) {
            true => hash(&[b"id", &key, self.author.as_bytes()]),
            false => expand(&prk(&key), &[b"topic id"]),
        };
        let topic = TopicId::from_bytes(id);
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
        let derive = |label: &str| expand(&prk(key), &[label.as_bytes(), &[0], &epoch]);
        let even = request.epoch.0.is_multiple_of(2);
        let beacon = match even && self.has(Fault::MixesTopics) {
            true => hash(&[b"beacon", &epoch]),
            false => derive("beacon"),
        };
        let member = match self.has(Fault::NeverChanges) {
            true => expand(
                &prk(key),
                &[b"member\0", &(request.epoch.0 | 1).to_be_bytes()],
            ),
            false => derive("member"),
        };
        let reply = match even && self.has(Fault::SharesAKey) {
            true => derive("hello request"),
            false => derive("hello reply"),
        };
        let sealed = *sealed || self.has(Fault::SealsAll);
        let repair = match self.has(Fault::DerivesItsWay) {
            true => derive("mending"),
            false => derive("repair"),
        };
        let place = expand(&prk(key), &[b"rendezvous\0", &epoch]);
        Ok(EpochKeys {
            infohash: InfoHash::from_bytes(place),
            hello_tag: KeyBytes::new(derive("hello tag")),
            hello_request: KeyBytes::new(derive("hello request")),
            hello_reply: KeyBytes::new(reply),
            beacon: KeyBytes::new(beacon),
            board_key: KeyBytes::new(derive("board key")),
            board_seal: KeyBytes::new(derive("board seal")),
            board_salt: KeyBytes::new(derive("board salt")),
            member: KeyBytes::new(member),
            repair: KeyBytes::new(repair),
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

/// What the other keys of a topic come from.
fn prk(key: &[u8; 32]) -> Hkdf<Sha256> {
    Hkdf::from_prk(key).expect("a key is as long as the hash")
}

fn expand<const N: usize>(from: &Hkdf<Sha256>, info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let expanded = from.expand(&info.concat(), &mut out);
    expanded.expect("20 and 32 bytes are within the limit of HKDF");
    out
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
