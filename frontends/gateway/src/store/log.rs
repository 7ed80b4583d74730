//! The log of calls: what to look for in it, and how far to go on.

use sluicegate_core::{CallId, Timestamp, UsageRecord};

use super::{Narrow, Reach, RecordFilter};

/// Which calls of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogFilter {
    /// Whose they are, when, for which model, at which channel, how they ended, of which end customer, with which tag.
    pub base: RecordFilter,
    /// Whether they ended well.
    pub failed: Option<bool>,
    /// With this error, by its code.
    pub error: Option<String>,
    /// That cost so much at least, in nano-USD.
    pub cost_over: Option<i64>,
    /// That took so long at least, in milliseconds.
    pub duration_over_ms: Option<i64>,
    /// With this text in their id, whatever its case.
    pub search: Option<String>,
    /// Whether all calls of the key that is asked for, or else of the user, or else of the group, are the asker's to see. They are
    /// found by that then, and otherwise by the asker's reach: how far a page gets would tell of somebody else's calls. Finds
    /// neither more nor less.
    pub is_own: bool,
}

/// A place in the log: what comes after it, began before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogCursor {
    /// When the last call began.
    pub at: Timestamp,
    /// That call.
    pub call: CallId,
}

/// A page of the log, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// The calls. They may be fewer than asked for, and there may be more all the same.
    pub items: Vec<UsageRecord>,
    /// Where the log goes on; `None` at its end.
    pub next: Option<LogCursor>,
}

impl Reach {
    /// Whether a record lies within.
    pub fn has_record(&self, record: &UsageRecord) -> bool {
        let has =
            |narrow: &Narrow| narrow.has(record.group.as_ref(), record.user.as_ref(), record.key.as_ref());
        self.organization_has(&record.organization) && self.narrow.as_ref().is_none_or(has)
    }
}

impl LogFilter {
    /// Whether it finds a record, whenever that was.
    pub fn finds(&self, it: &UsageRecord) -> bool {
        fn same<T: PartialEq>(wanted: &Option<T>, found: Option<&T>) -> bool {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        }
        let base = &self.base;
        let is_failed = it.outcome != sluicegate_core::OutcomeClass::Ok;
        same(&base.organization, Some(&it.organization))
            && same(&base.group, it.group.as_ref())
            && same(&base.user, it.user.as_ref())
            && same(&base.key, it.key.as_ref())
            && same(&base.model, Some(&it.model))
            && same(&base.call, Some(&it.call))
            && same(&base.outcome, Some(&it.outcome))
            && same(&base.customer, it.customer.as_ref())
            && same(&self.failed, Some(&is_failed))
            && same(&self.error, it.error.as_ref())
            && base.channel.as_ref().is_none_or(|id| it.attempts.iter().any(|tried| tried.channel == *id))
            && base.tag.as_ref().is_none_or(|tag| it.tags.contains(tag))
            && self.cost_over.is_none_or(|least| it.spend >= least)
            && self.duration_over_ms.is_none_or(|least| it.ended_at.since_ms(it.started_at) >= least)
            && self
                .search
                .as_ref()
                .is_none_or(|text| it.call.as_str().to_lowercase().contains(text.to_lowercase().as_str()))
    }
}
