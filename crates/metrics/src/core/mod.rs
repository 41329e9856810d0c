//! Which series there are, and which event changes which.

pub mod labels;
pub mod record;
pub mod series;
pub mod tally;
