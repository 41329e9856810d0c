//! kukuri's identity actor: keys, topic secrets, key stores.
