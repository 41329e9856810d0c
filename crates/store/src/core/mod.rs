//! What needs no database: bounds, ranges of numbers, when the retention works, and on whom, how values
//! look in a row; and a whole store in memory.

pub mod limits;
pub mod memory;
pub mod parcel;
pub mod ranges;
pub mod row;
pub mod schedule;
pub mod shares;
