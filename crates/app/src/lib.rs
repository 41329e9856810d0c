//! Serverless peer discovery: find the other peers of a topic on the BitTorrent Mainline DHT, and
//! gossip with them over iroh. No server, no account, no fixed place.
//!
//! A [`Node`] joins [`Topic`]s. Whoever joins the same topic (the same name and, for a secret
//! topic, the same secret) becomes a neighbor; posts reach everybody.
//!
//! ```no_run
//! use kukuri::{JoinOptions, Node, TopicEvent};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Keeps its posts in ./alice, and its keys in the keyring of the operating system; where there is
//! // none, set `identity.key_file` or `identity.passphrase_file`. Finds others through the public DHT.
//! let node = Node::builder().data_dir("./alice").spawn().await?;
//! println!("I am {}", node.info().endpoint);
//!
//! // A public topic: everybody who knows its name can take part. For a secret one, give
//! // `secret: Some(..)`, made by `generate_secret` and read by `parse_secret`.
//! let topic = node.join("tea".parse()?, JoinOptions::default()).await?;
//!
//! // Acknowledged once it is on disk; sent as soon as there is a neighbor.
//! topic.post("Anybody here?").await?;
//!
//! let mut events = topic.events();
//! while let Some(event) = events.next().await {
//!     match event {
//!         TopicEvent::Joined { source, after } => println!("first neighbor by {source}, {after:?}"),
//!         TopicEvent::Post(post) => println!("{}: {:?}", post.author.short(), post.body),
//!         TopicEvent::Verdict(verdict) => println!("{}", verdict.hint()),
//!         _ => {}
//!     }
//! }
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The node is made of actors that talk through [`kukuri_contract`] only; [`kinds`] is the one list of
//! the implementations in use, and [`compose`] starts and wires them.

#![cfg_attr(
    not(feature = "default"),
    allow(unused, reason = "some of it serves implementations that are left out")
)]

mod arbiter;
pub mod compose;
mod config;
pub mod core;
mod error;
mod history;
pub mod kinds;
mod node;
mod parts;
mod sockets;
pub mod supervise;

pub use config::{CONFIG_FILE, Config, ENV_PREFIX, NodeConfig};
pub use core::post::MAX_BODY_BYTES;
pub use error::{
    Cause, ConfigError, GaveUp, HistoryError, LinkingError, PostError, ReadError, StartError,
    TopicError,
};
pub use history::stored_posts;
pub use kukuri_contract as contract;
pub use kukuri_contract::{
    AuthorId, Drill, EndpointAddr, EndpointId, RestartReason, Source, TopicId, TopicName,
    TopicSecret, Verdict,
};
#[cfg(feature = "discovery-mainline")]
pub use kukuri_discovery::LocalDht;
pub use kukuri_identity::core::invite::MAX_PEERS as MAX_INVITE_PEERS;
pub use kukuri_identity::{
    BackupLock, Former, Invite, InviteError, Prompt, Question, Rotated, SavedTopic, StoreChoice,
    TopicBook, TopicBookError, format_invite, format_secret, generate_key_file, generate_secret,
    parse_invite, parse_secret,
};
pub use node::{
    JoinOptions, Node, NodeBuilder, NodeInfo, PostEvent, Topic, TopicEvent, TopicEvents, WhoIs,
    export_identity, give_author_link, import_identity, is_running, revoke_author_link,
    rotate_identity, use_author_link, who_is,
};
pub use sockets::{Bind, UdpSetting, udp_settings};
pub use supervise::Service;
