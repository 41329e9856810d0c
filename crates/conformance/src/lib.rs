//! Test kit for implementations of kukuri's contract, with in-memory reference actors.
