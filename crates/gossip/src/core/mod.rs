//! Whom to dial, and what to advertise: pure logic, given the time and the randomness.

pub mod addresses;
pub mod membership;
