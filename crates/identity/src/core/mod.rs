//! Keys and secrets as pure logic: no store, no clock, no randomness in here.

pub mod book;
pub mod derive;
pub mod invite;
pub mod keys;
mod line;
pub mod link;
pub mod links;
pub mod sealed;
pub mod secret;
pub mod topics;
