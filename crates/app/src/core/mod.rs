//! The node's own logic, without clock, rng, sockets or actors: posts, what is known of a topic, gap
//! repair, who misbehaves, and when a service is started again.

pub mod bucket;
pub mod copies;
pub mod inbox;
pub mod plan;
pub mod post;
pub mod repair;
pub mod restart;
pub mod score;
pub mod topic;
