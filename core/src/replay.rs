//! What would have happened: recorded calls under another configuration or other scripts, and how that differs from what did.
//!
//! [`Estimates`] come from a first look at the records, a [`Replay`] runs them, and a [`Report`] sums up both sides. All of it
//! is pure: hosts read the records and bind the callers.

mod estimate;
mod histogram;
mod report;

pub use crate::engine::{Replay, Replayed};
pub use estimate::Estimates;
pub use histogram::Histogram;
pub use report::{Counts, Dimension, Report, Row, Side};
