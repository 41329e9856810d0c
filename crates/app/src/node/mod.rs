//! A whole node: the public handle, the actor behind it, its HTTP server.

pub mod actor;
mod handle;
mod http;
mod lock;
mod posts;
mod topics;

pub use handle::{
    JoinOptions, Node, NodeBuilder, NodeInfo, PostEvent, Topic, TopicEvent, TopicEvents, identity,
};
