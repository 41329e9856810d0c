//! A whole node: the public handles, the actor behind them, its HTTP server.

pub mod actor;
mod bans;
mod draft;
mod handle;
mod http;
mod identity;
mod linking;
mod links;
mod lock;
mod neighbors;
mod posts;
mod reconcile;
mod repair;
mod restarts;
mod rotation;
mod run;
pub mod service;
mod swarm;
mod topic;
mod topics;
pub mod wanted;

pub use handle::{JoinOptions, Node, NodeBuilder, NodeInfo};
pub use identity::{WhoIs, export_identity, import_identity, rotate_identity, who_is};
pub use linking::{give_author_link, revoke_author_link, use_author_link};
pub use lock::is_running;
pub use topic::{PostEvent, Topic, TopicEvent, TopicEvents};
