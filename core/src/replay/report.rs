//! How what would have happened differs from what did.

use std::collections::BTreeMap;

use super::{Histogram, Replayed};
use crate::decision::OutcomeClass;
use crate::money::NanoUsd;
use crate::record::UsageRecord;

/// No more values of one dimension are told apart; the others are summed up as [`Report::OTHERS`].
const MAX_ROWS: usize = 10_000;

/// By what calls are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// By the channel of each attempt: calls are attempts there.
    Channel,
    /// By the model group of each attempt: calls are attempts for it.
    Model,
    /// By organization.
    Organization,
    /// By group.
    Group,
    /// By key.
    Key,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 5] =
        [Dimension::Channel, Dimension::Model, Dimension::Organization, Dimension::Group, Dimension::Key];

    /// It as a word, such as `channel`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dimension::Channel => "channel",
            Dimension::Model => "model",
            Dimension::Organization => "organization",
            Dimension::Group => "group",
            Dimension::Key => "key",
        }
    }
}

/// Sums of one side: of what happened, or of what would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Calls; of channels and models attempts.
    pub calls: u64,
    /// Calls that were refused before anything was sent.
    pub denied: u64,
    /// Calls that were sent and got no answer; of channels and models attempts that failed.
    pub errors: u64,
    /// Attempts.
    pub attempts: u64,
    /// Tokens of input.
    pub input_tokens: u64,
    /// Tokens of output.
    pub output_tokens: u64,
    /// What callers were charged.
    pub spend: NanoUsd,
    /// The list price of it.
    pub cost: NanoUsd,
    /// How long what was sent took, in milliseconds.
    pub latency_ms: Histogram,
}

impl Side {
    fn add_call(&mut self, record: &UsageRecord) {
        self.calls += 1;
        self.denied += u64::from(record.outcome == OutcomeClass::Denied);
        let failed = !matches!(record.outcome, OutcomeClass::Ok | OutcomeClass::Denied);
        self.errors += u64::from(failed);
        self.attempts += record.attempts.len() as u64;
        self.input_tokens += record.usage.input_tokens();
        self.output_tokens += record.usage.output_tokens();
        self.spend = self.spend.saturating_add(record.spend);
        let cost = record.attempts.iter().fold(0, |sum: NanoUsd, it| sum.saturating_add(it.cost));
        self.cost = self.cost.saturating_add(cost);
        if !record.attempts.is_empty() {
            let took = record.ended_at.since_ms(record.started_at);
            self.latency_ms.add(u64::try_from(took).unwrap_or(0));
        }
    }

    fn add_attempt(&mut self, attempt: &crate::AttemptRecord) {
        self.calls += 1;
        self.attempts += 1;
        self.errors += u64::from(attempt.outcome != OutcomeClass::Ok);
        self.input_tokens += attempt.usage.input_tokens();
        self.output_tokens += attempt.usage.output_tokens();
        self.spend = self.spend.saturating_add(attempt.spend);
        self.cost = self.cost.saturating_add(attempt.cost);
        self.latency_ms.add(u64::from(attempt.duration_ms));
    }
}

/// Both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What happened.
    pub recorded: Side,
    /// What would have.
    pub replayed: Side,
}

/// How many records there were, and how far they could be taken at their word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were replayed.
    pub calls: u64,
    /// Of these, calls that would have been decided otherwise: refused or not, other attempts, or another end.
    pub changed: u64,
    /// Attempts that were never made, so that how they end is an estimate.
    pub estimated: u64,
    /// Calls that were decided under another configuration than the one loaded, or by a caller who is another today.
    pub other_configuration: u64,
    /// Calls that were decided by other scripts than those loaded: all of them, when new ones are tried.
    pub other_policy: u64,
    /// Calls whose explanation was cut or is missing: what it doesn't say is simulated.
    pub cut: u64,
    /// Calls whose prompt scripts asked about what the record doesn't know: they were told that it isn't there.
    pub unheard: u64,
    /// Calls that weren't replayed, since their key is gone.
    pub unknown_callers: u64,
    /// Records that only say what held attempts came to.
    pub amendments: u64,
}

/// The sums of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many records, of what kind.
    pub counts: Counts,
    /// Everything together.
    pub total: Row,
    // BOUND: `MAX_ROWS` and one more of each dimension.
    rows: BTreeMap<Dimension, BTreeMap<String, Row>>,
}

impl Report {
    /// What values beyond the first ten thousand of a dimension are summed up as.
    pub const OTHERS: &str = "(others)";

    /// Adds a replayed call.
    pub fn add(&mut self, call: &Replayed) {
        self.counts.calls += 1;
        self.counts.changed += u64::from(!call.is_same());
        self.counts.estimated += u64::from(call.estimated);
        self.counts.unheard += u64::from(call.unheard);
        self.total.recorded.add_call(&call.recorded);
        self.total.replayed.add_call(&call.replayed);
        self.add_side(&call.recorded, |row| &mut row.recorded);
        self.add_side(&call.replayed, |row| &mut row.replayed);
    }

    /// The rows of a dimension, by value; a call without any is under the empty one.
    pub fn rows(&self, by: Dimension) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.get(&by).into_iter().flatten().map(|(value, row)| (value.as_str(), row))
    }

    fn add_side(&mut self, record: &UsageRecord, side: fn(&mut Row) -> &mut Side) {
        for attempt in &record.attempts {
            side(self.row(Dimension::Channel, attempt.channel.as_str())).add_attempt(attempt);
            side(self.row(Dimension::Model, attempt.model.as_str())).add_attempt(attempt);
        }
        let scopes = [
            (Dimension::Organization, record.organization.as_str()),
            (Dimension::Group, record.group.as_ref().map_or("", |id| id.as_str())),
            (Dimension::Key, record.key.as_ref().map_or("", |id| id.as_str())),
        ];
        for (by, id) in scopes {
            side(self.row(by, id)).add_call(record);
        }
    }

    fn row(&mut self, by: Dimension, value: &str) -> &mut Row {
        let rows = self.rows.entry(by).or_default();
        let value = if rows.contains_key(value) || rows.len() < MAX_ROWS { value } else { Self::OTHERS };
        if !rows.contains_key(value) {
            rows.insert(value.to_owned(), Row::default());
        }
        match rows.get_mut(value) {
            Some(row) => row,
            // INVARIANT: it is there, or was just put there.
            None => &mut self.total,
        }
    }
}
