//! Whom to dial, what to advertise, who is a member, who is asked and answered, and a network in memory:
//! pure logic, given the time and the randomness.

pub mod addresses;
pub mod ask_wire;
pub mod asks;
pub mod banned;
pub mod hosts;
pub mod member;
pub mod membership;
pub mod network;
pub mod waiting;
