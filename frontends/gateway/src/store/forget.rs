//! What need not be kept.

use sluicegate_core::Timestamp;

/// What to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forget {
    /// Records of days that were over by then; `None` keeps them. Days are those of the store's time zone.
    pub records_before: Option<Timestamp>,
    /// Daily sums of months that were over by then become one sum for the month, on its first day; those by end
    /// customer and tag are forgotten. `None` keeps them.
    pub sums_before: Option<Timestamp>,
    /// Balances of windows, replaced credentials, sessions and kept responses that were over by then.
    pub ended_before: Timestamp,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// So many rows, as far as they were counted: a month that is dropped whole is one.
    pub rows: u64,
    /// Whether there is more to forget.
    pub more: bool,
}
