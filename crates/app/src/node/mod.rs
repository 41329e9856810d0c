//! A whole node: the public handles, the actor behind them, its HTTP server.

pub mod actor;
mod handle;
mod http;
mod identity;
mod lock;
mod neighbors;
mod posts;
mod repair;
mod restarts;
mod run;
pub mod service;
mod swarm;
mod topic;
mod topics;
pub mod wanted;

pub use handle::{JoinOptions, Node, NodeBuilder, NodeInfo};
pub use identity::identity;
pub use topic::{PostEvent, Topic, TopicEvent, TopicEvents};
