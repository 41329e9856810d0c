//! A discovery for kukuri: nodes find each other in a folder that they share, such as one on a file
//! server. It is an example of a part that comes from a crate outside; `docs/SWAPPING.md` of kukuri walks
//! through it.
//!
//! Each topic has a subfolder, whose name only members can derive and which changes every ten minutes.
//! There, each member keeps one file with its address, under a code that only members can make. All read
//! those of all. A member can write a file for another one; whom it leads to has to prove who it is all
//! the same, to the transport.

pub mod core;

mod actor;
mod config;
mod error;
mod folder;

pub use actor::Folder;
pub use config::Config;
pub use error::FolderError;
