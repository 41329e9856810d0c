//! kukuri's store actor: known peers and posts in SQLite.
