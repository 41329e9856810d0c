//! Which series there are, and which event changes which.

pub mod record;
pub mod series;
