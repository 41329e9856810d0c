//! What needs no database: how values look in a row, ranges of numbers, when the retention works.

pub mod ranges;
pub mod row;
pub mod schedule;
