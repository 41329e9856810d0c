//! The node's own logic, without clock, rng, sockets or actors: posts, and what is known of a topic.

pub mod post;
pub mod topic;
