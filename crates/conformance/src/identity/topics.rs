//! Clauses of topics and their keys.

use std::collections::BTreeSet;

use kukuri_contract::{
    AddTopic, AddTopicError, CallError, Epoch, EpochKeys, IdentityPort, RemoveTopic, TopicId,
    TopicKeys, TopicKeysError, TopicSecret,
};

use super::Identity;
use crate::every::end;
use crate::kit::{Broken, Held, Stage, ensure, ensure_eq};

/// More topics than any node takes.
const MANY: usize = 4096;
const EPOCH: Epoch = Epoch(1000);

fn topic(name: &str, secret: Option<u8>) -> Result<AddTopic, Broken> {
    Ok(AddTopic {
        name: name.parse()?,
        secret: secret.map(|byte| TopicSecret::from_bytes([byte; 32])),
    })
}

async fn add(port: &IdentityPort, name: &str, secret: Option<u8>) -> Result<TopicId, Broken> {
    Ok(port.add_topic(topic(name, secret)?).await?)
}

async fn keys(port: &IdentityPort, topic: TopicId, epoch: Epoch) -> Result<EpochKeys, Broken> {
    Ok(port.topic_keys(TopicKeys { topic, epoch }).await?)
}

/// All that are there, each as bytes.
fn all(keys: &EpochKeys) -> Vec<[u8; 32]> {
    let mut place = [0; 32];
    place[..20].copy_from_slice(keys.infohash.as_bytes());
    let keys = [
        &keys.hello_tag,
        &keys.hello_request,
        &keys.hello_reply,
        &keys.beacon,
        &keys.board_key,
        &keys.board_seal,
        &keys.board_salt,
        &keys.member,
        &keys.repair,
    ]
    .into_iter()
    .chain(&keys.post_seal);
    keys.map(|key| *key.expose()).chain([place]).collect()
}

fn share_nothing(one: &EpochKeys, other: &EpochKeys) -> bool {
    let (one, other) = (all(one), all(other));
    !one.iter().any(|key| other.contains(key))
}

pub async fn a_topic_is_its_name_and_secret(on: &Stage<'_, Identity>) -> Held {
    let (one, two) = (on.begin(1).await.port, on.begin(2).await.port);
    let tea = add(&one, "tea", Some(7)).await?;
    ensure_eq!(
        add(&one, "tea", Some(7)).await?,
        tea,
        "a topic that is added again"
    );
    ensure_eq!(
        add(&two, "tea", Some(7)).await?,
        tea,
        "a topic on another node"
    );
    let others = [("tea", Some(8)), ("tea", None), ("soup", Some(7))];
    for (name, secret) in others {
        ensure!(add(&one, name, secret).await? != tea, "two topics are one");
    }
    end(on, &one).await?;
    end(on, &two).await
}

pub async fn members_derive_the_same_keys(on: &Stage<'_, Identity>) -> Held {
    let (one, two) = (on.begin(1).await.port, on.begin(2).await.port);
    let mut derived = Vec::new();
    for port in [&one, &two] {
        let topic = add(port, "tea", Some(7)).await?;
        derived.push(keys(port, topic, EPOCH).await?);
    }
    ensure!(derived[0] == derived[1], "two members have different keys");
    let all = all(&derived[0]);
    let different: BTreeSet<_> = all.iter().collect();
    ensure_eq!(different.len(), all.len(), "different keys");
    end(on, &one).await?;
    end(on, &two).await
}

/// The topic "tea" with the secret 000102..1f, as `docs/vectors/v1.json` has it.
const PROTOCOL_ID: &str = "4bb976f32c1c4842a9845306b965903856eec2f7a76abcb579b9898e305b9ca7";
/// The same without a secret.
const PROTOCOL_ID_PUBLIC: &str = "3ccec7d3b9830296cd420451e997c63cc0a1888b267faccb7af6628cf2a86d81";
const PROTOCOL_EPOCH: Epoch = Epoch(2966667);
const PROTOCOL_PLACE: &str = "8b027cdb7aa80309f8430e091750276b4f868e8e";
/// The keys of that epoch, in the order of [`all`].
const PROTOCOL_KEYS: [&str; 10] = [
    "fcea9692bb97356690fb94bf4bc17d2d0edde491257f5a6dc5edcefd77414008",
    "d56d600a8799ea4d2076fdf0c58a2268277cd5a54b8656d544561d5fec91a9f9",
    "471bbe4c2efe5bc1175bfce4306fa10aa33e20826b3f34b8396af6f41ef0e907",
    "0b11fedd0d36d0981011cb7ac304ddcbc53d13d2877ed5757311a5e908973f63",
    "a619fbfd79b0faef1b2e86a1fa1b8fd67849e21164679863fd120d9a00d9f656",
    "e20f3f3dab0d484f5dad52a63e448eff212dd929311d1581fc1aee04e5d61c0b",
    "baaaa62d300f6f3c990bb23aa4b0023a8f57e0ebd47c80574710a55a0f2a37e2",
    "b59e428703d767ee333a24fe8364cdebc2673016aff0c1c2c04ce17d32068e93",
    "2b540f1b59614d30074acf338b0f32fe99a4f36d1c46e112c68ce6409d256a7b",
    "9c4d74397eab00bb963e46cd18756450f133366361ef9b9e1202c874b043f8a0",
];

pub async fn keys_are_those_of_the_protocol(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    let id = add(&port, "tea", None).await?;
    ensure_eq!(id, PROTOCOL_ID_PUBLIC.parse()?, "the id of a public topic");
    let secret = std::array::from_fn(|at| at as u8);
    let add = AddTopic {
        name: "tea".parse()?,
        secret: Some(TopicSecret::from_bytes(secret)),
    };
    let id = port.add_topic(add).await?;
    ensure_eq!(id, PROTOCOL_ID.parse()?, "the id of a secret topic");
    let keys = keys(&port, id, PROTOCOL_EPOCH).await?;
    ensure_eq!(keys.infohash, PROTOCOL_PLACE.parse()?, "the place");
    for (key, expected) in all(&keys).iter().zip(PROTOCOL_KEYS) {
        // Any type of 32 bytes reads them.
        let expected: TopicId = expected.parse()?;
        ensure!(key == expected.as_bytes(), "a key is not {expected:?}");
    }
    end(on, &port).await
}

pub async fn keys_change_with_the_epoch(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    let tea = add(&port, "tea", Some(7)).await?;
    let now = keys(&port, tea, EPOCH).await?;
    let then = keys(&port, tea, EPOCH.offset(1)).await?;
    ensure!(share_nothing(&now, &then), "two epochs share a key");
    end(on, &port).await
}

pub async fn topics_are_kept_apart(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    let tea = add(&port, "tea", Some(7)).await?;
    let soup = add(&port, "soup", Some(7)).await?;
    let (tea, soup) = (
        keys(&port, tea, EPOCH).await?,
        keys(&port, soup, EPOCH).await?,
    );
    ensure!(share_nothing(&tea, &soup), "two topics share a key");
    end(on, &port).await
}

pub async fn only_a_secret_topic_seals_its_posts(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    for secret in [Some(7), None] {
        let topic = add(&port, "tea", secret).await?;
        let seals = keys(&port, topic, EPOCH).await?.post_seal.is_some();
        ensure_eq!(seals, secret.is_some(), "whether posts are sealed");
    }
    end(on, &port).await
}

pub async fn an_unknown_topic_is_refused(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    let topic = TopicId::from_bytes([9; 32]);
    port.remove_topic(RemoveTopic { topic }).await?;
    let tea = add(&port, "tea", None).await?;
    port.remove_topic(RemoveTopic { topic: tea }).await?;
    for topic in [topic, tea] {
        let refused = port.topic_keys(TopicKeys {
            topic,
            epoch: EPOCH,
        });
        let unknown = CallError::Refused(TopicKeysError::UnknownTopic(topic));
        let refused = refused.await;
        ensure!(
            refused == Err(unknown),
            "a topic that is not there has keys"
        );
    }
    end(on, &port).await
}

pub async fn no_more_topics_than_the_bound(on: &Stage<'_, Identity>) -> Held {
    let port = on.begin(1).await.port;
    let mut topics = Vec::new();
    let refused = loop {
        let n = topics.len();
        ensure!(n < MANY, "{MANY} topics, and no bound");
        match port.add_topic(topic(&format!("topic {n}"), None)?).await {
            Ok(topic) => topics.push(topic),
            Err(refused) => break refused,
        }
    };
    let limit = topics.len();
    let full = CallError::Refused(AddTopicError::TooManyTopics { limit });
    ensure_eq!(refused, full, "a topic too many");
    ensure_eq!(
        add(&port, "topic 0", None).await?,
        topics[0],
        "a topic that is there"
    );
    port.remove_topic(RemoveTopic { topic: topics[0] }).await?;
    add(&port, "another", None).await?;
    end(on, &port).await
}
