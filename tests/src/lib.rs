//! Whole-node tests: real processes against a real DHT.
