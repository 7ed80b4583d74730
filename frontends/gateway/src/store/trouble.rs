//! Calls that failed, or took long.

use sluicegate_core::Timestamp;

use super::RecordFilter;

/// A call that takes so long, in milliseconds, is slow: an index knows those.
pub const SLOW_MS: i64 = 300_000;

/// Which calls to count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TroubleQuery {
    /// Whose, when, for which model.
    pub filter: RecordFilter,
    /// Those that took long instead of those that failed.
    pub slow: bool,
}

/// Calls that had the same trouble at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The quarter of an hour in which they began.
    pub at: Timestamp,
    /// Where they were tried last; empty when nothing was sent.
    pub channel: String,
    /// How they ended.
    pub outcome: String,
    /// Their error's code; empty without one.
    pub error: String,
    /// How many.
    pub calls: i64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Troubles {
    /// The calls, oldest first.
    pub rows: Vec<Trouble>,
    /// Whether that is all of the time that was asked about: there is an end to how many are looked at.
    pub is_all: bool,
}
