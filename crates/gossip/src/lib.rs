//! kukuri's gossip actor: iroh endpoint and iroh-gossip membership.
