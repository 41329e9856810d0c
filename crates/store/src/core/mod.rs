//! What needs no database: how values look in a row.

pub mod row;
