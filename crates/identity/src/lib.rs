//! kukuri's identity: the keys of a node, the secrets of its topics, and where they are kept.
//!
//! A node has two Ed25519 keys. The *endpoint key* is who it is on the network; the *author key*
//! signs its posts, so that moving to another endpoint does not change the author. Both are made
//! on the first start, and kept in one store: the keyring of the operating system, an encrypted file
//! ([`core::sealed`]), or memory; for each there is an implementation, over one actor. Several nodes of one person write in one name by author links
//! ([`core::link`]), which are public and in a file of their own. Secrets of topics live in
//! memory only; what leaves is keys derived for one epoch ([`core::derive`]).

pub mod core;

mod actor;
mod book;
mod config;
mod error;
mod file;
mod file_store;
mod keyring;
mod links;
mod manage;
mod random;
mod store;
mod unlock;

pub use actor::{FileIdentity, KeyringIdentity, MemoryIdentity, Setup};
pub use book::{TopicBook, TopicBookError};
pub use config::{Config, FileConfig, MemoryConfig, StoreChoice};
pub use core::book::{Former, SavedTopic};
pub use core::invite::{Invite, InviteError, format_invite, parse_invite};
pub use core::link::{LinkError, format_link, parse_link};
pub use core::links::{LinkRefused, Links, LinksError};
pub use core::secret::{SecretError, format_secret, parse_secret};
pub use error::{IdentityError, KeyStoreError};
pub use links::{LinksFileError, read_links, write_links};
pub use manage::{BackupLock, Rotated, export, import, rotate};
pub use random::{generate_key_file, generate_secret};
pub use store::MemoryStore;
pub use unlock::{CREDENTIAL, Prompt, Question};
