//! What needs no database: how values look in a row, ranges of numbers, when the retention works, and
//! on whom.

pub mod ranges;
pub mod row;
pub mod schedule;
pub mod shares;
