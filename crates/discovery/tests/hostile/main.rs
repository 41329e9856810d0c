//! Attacks on discovery and odd surroundings, with real DHT nodes and sockets. Each test says what
//! was tried and what got through; `docs/HOSTILE.md` has the results as a table.
//!
//! [`flood`]: false entries. [`observer`]: one of the storing DHT nodes. [`hellos`]: garbage and
//! replays. [`records`]: what a member with bad intent can say. [`surroundings`]: lost replies and
//! wrong clocks. [`apart`]: who is in two topics. Pages of the board belong into a file of their own beside these.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "../support/mod.rs"]
mod support;

mod apart;
mod bencode;
mod flood;
mod hellos;
mod krpc;
mod liar;
mod observer;
mod records;
mod surroundings;
mod tools;
