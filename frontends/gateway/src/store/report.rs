//! What reports ask of a store.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use sluicegate_core::{ChannelId, GroupId, KeyId, ModelName, OrganizationId, Timestamp, UserId};

use super::{Dimension, RecordFilter, Sums};

/// Which calls a report is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// Of this group; the empty one for calls without any.
    pub group: Option<GroupId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Of this key.
    pub key: Option<KeyId>,
    /// For this model, as requested.
    pub model: Option<ModelName>,
    /// What was used at one of these channels.
    pub channels: Option<Vec<ChannelId>>,
    /// Of this end customer; not together with a tag.
    pub customer: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
}

/// What is told apart in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Nothing.
    None,
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Months, where `zone` is the store's and whole months are asked for; else days.
    Month,
}

/// What to sum up.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportQuery {
    /// From the hour that begins here.
    pub from: Timestamp,
    /// Up to the hour that begins here.
    pub to: Timestamp,
    /// Whose days they are.
    pub zone: TimeZone,
    /// Which calls.
    pub filter: ReportFilter,
    /// What to tell apart, besides the time; not [`Dimension::Day`].
    pub by: Vec<Dimension>,
    /// Only calls that have such a label, also where it isn't told apart: [`Dimension::Customer`] or [`Dimension::Tag`]. A call with
    /// two tags counts twice.
    pub labelled: Option<Dimension>,
    /// What to tell apart in time.
    pub split: Split,
    /// Only these combinations of what is told apart.
    pub only: Option<Vec<Vec<String>>>,
    /// Only these sums, by the names of their fields, and the others as 0: of many combinations that are only ranked. All without.
    pub sums: Option<&'static [&'static str]>,
}

/// Sums by the start of their hour or day and by what is told apart.
pub type ReportRows = BTreeMap<(Timestamp, Vec<String>), Sums>;

/// Which tags or end customers to sum up.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelQuery {
    /// [`Dimension::Tag`] or [`Dimension::Customer`].
    pub of: Dimension,
    /// Whose calls, at which models, when: times are widened to whole days.
    pub filter: RecordFilter,
    /// Only these; empty for all.
    pub labels: Vec<String>,
    /// Whether users are counted.
    pub users: bool,
    /// So many at most.
    pub limit: u32,
}

/// What was used by one.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelUse {
    /// The tag, or the end customer.
    pub label: String,
    /// How many users' calls have it; 0 where that isn't asked.
    pub users: u64,
    /// What was used.
    pub sums: Sums,
}

/// What calls used that have several of the tags that are asked about, once for each beyond the first.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedUse {
    /// The day, as `YYYY-MM-DD`.
    pub day: String,
    /// The key; empty without one.
    pub key: String,
    /// The model, as requested.
    pub model: String,
    /// The channel; empty when nothing was sent.
    pub channel: String,
    /// What was used.
    pub sums: Sums,
}

/// How long calls took: so many in each quarter of an octave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Of calls that ended well, from beginning to end.
    pub calls: BTreeMap<i64, i64>,
    /// Of streams, until they had content.
    pub firsts: BTreeMap<i64, i64>,
}

impl Latencies {
    /// The quarter of an octave that so many milliseconds are in.
    pub fn bucket(ms: i64) -> i64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a logarithm, below 256"
        )]
        let bucket = ((ms.max(1) as f64).log2() * 4.0).floor() as i64;
        bucket
    }

    /// Adds others.
    pub fn add(&mut self, other: &Latencies) {
        for (mine, theirs) in [(&mut self.calls, &other.calls), (&mut self.firsts, &other.firsts)] {
            for (bucket, count) in theirs {
                let sum = mine.entry(*bucket).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }

    /// What so many of a hundred stay below, in milliseconds, off by a tenth at most; `None` of nothing.
    pub fn percentile(counts: &BTreeMap<i64, i64>, percent: i64) -> Option<i64> {
        let all: i64 = counts.values().sum();
        let wanted = all.saturating_mul(percent).saturating_add(99) / 100;
        let mut seen = 0_i64;
        let (bucket, _) = counts.iter().find(|(_, count)| {
            seen = seen.saturating_add(**count);
            seen >= wanted.max(1)
        })?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "shown to people; below 2⁶³"
        )]
        let middle = 2_f64.powf((*bucket as f64 + 0.5) / 4.0).round() as i64;
        Some(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_quarters_of_octaves() {
        let buckets = [(-5, 0), (0, 0), (1, 0), (2, 4), (3, 6), (1_000, 39), (1_024, 40), (i64::MAX, 252)];
        for (ms, bucket) in buckets {
            assert_eq!(Latencies::bucket(ms), bucket, "{ms}");
        }
    }

    #[test]
    fn percentiles_are_off_by_a_tenth_at_most() {
        let mut counts = BTreeMap::new();
        assert_eq!(Latencies::percentile(&counts, 50), None);
        for ms in 1..=10_000 {
            *counts.entry(Latencies::bucket(ms)).or_default() += 1;
        }
        for percent in [50, 90, 95, 99, 100] {
            let told = Latencies::percentile(&counts, percent).unwrap();
            let exact = percent * 100;
            assert!((told - exact).abs() * 10 <= exact, "p{percent}: {told} is not about {exact}");
        }
        assert_eq!(Latencies::percentile(&[(40, 1)].into(), 1), Some(1_117));
    }
}
