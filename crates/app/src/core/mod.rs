//! The node's own logic, without clock, rng, sockets or actors: posts, what is known of a topic, gap
//! repair, and when a service is started again.

pub mod copies;
pub mod inbox;
pub mod plan;
pub mod post;
pub mod repair;
pub mod restart;
pub mod topic;
