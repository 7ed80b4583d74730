//! Reports: what was used, by whom, where and when; how that compares with the time before.

mod calendar;

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sluicegate_core::{ChannelId, Error, ErrorKind, Result, Timestamp};

pub(super) use self::calendar::Calendar;
pub use self::calendar::Granularity;
use super::{Actor, Admin};
use crate::store::{Dimension, Reach, ReportFilter, ReportQuery, ReportRows, Split, Sums};

/// Rows of a report that tells time apart: each has a number for every bucket.
pub const REPORT_ROWS_MAX: usize = 100;
/// Rows of a report that doesn't.
pub const REPORT_TOTALS_MAX: usize = 10_000;
/// Up to so many numbers are read at once and sorted here; beyond, only what is shown is read by time.
const READ_AT_ONCE: usize = 6_000;
/// So many rows are read of the time before by their names.
// BOUND: arguments of a statement.
const READ_BY_NAME: usize = 1_000;
/// About so many sums are in memory at a time: longer reports are read piece by piece.
// BOUND: memory of one report, whatever it tells apart and however long it is.
const HELD_AT_ONCE: usize = 200_000;

/// What a report can tell apart besides the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The organization.
    Organization,
    /// The group.
    Group,
    /// The user.
    User,
    /// The key.
    Key,
    /// The model, as requested.
    Model,
    /// The channel.
    Channel,
    /// The provider whose the channel is; empty for channels that are gone.
    Provider,
    /// The end customer. Calls without one aren't in such a report.
    Customer,
    /// The tag. A call with two is in both rows, one without is in none.
    Tag,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Organization,
        Self::Group,
        Self::User,
        Self::Key,
        Self::Model,
        Self::Channel,
        Self::Provider,
        Self::Customer,
        Self::Tag,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Group => "group",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Channel => "channel",
            Self::Provider => "provider",
            Self::Customer => "customer",
            Self::Tag => "tag",
        }
    }

    /// What is told apart in the sums.
    fn dimension(self) -> Dimension {
        match self {
            Self::Organization => Dimension::Organization,
            Self::Group => Dimension::Group,
            Self::User => Dimension::User,
            Self::Key => Dimension::Key,
            Self::Model => Dimension::Model,
            Self::Channel | Self::Provider => Dimension::Channel,
            Self::Customer => Dimension::Customer,
            Self::Tag => Dimension::Tag,
        }
    }
}

/// What rows are ordered by, the most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// What was spent.
    #[default]
    Spend,
    /// Calls.
    Requests,
    /// Input and output tokens.
    TotalTokens,
    /// Calls that failed.
    Failed,
    /// Calls that were refused.
    Denied,
    /// How long calls took.
    DurationMs,
    /// How long streams waited for their first content.
    FirstTokenMs,
}

impl Order {
    /// The sums that it is made of.
    const fn sums(self) -> &'static [&'static str] {
        match self {
            Self::Spend => &["spend"],
            Self::Requests => &["calls", "requests"],
            Self::TotalTokens => &["input_tokens", "output_tokens"],
            Self::Failed => &["failures", "denials"],
            Self::Denied => &["denials"],
            Self::DurationMs => &["duration_ms", "calls", "requests", "failures"],
            Self::FirstTokenMs => &["first_ms", "firsts"],
        }
    }

    fn of(self, sums: &Sums) -> i64 {
        let metrics = Metrics::from(sums);
        match self {
            Order::Spend => metrics.spend,
            Order::Requests => metrics.requests,
            Order::TotalTokens => metrics.total_tokens,
            Order::Failed => metrics.failed,
            Order::Denied => metrics.denied,
            Order::DurationMs => metrics.duration_ms.unwrap_or_default(),
            Order::FirstTokenMs => metrics.first_token_ms.unwrap_or_default(),
        }
    }
}

/// What a report says of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Calls, refused ones included.
    pub requests: i64,
    /// Those that ended well.
    pub successful: i64,
    /// Those that failed.
    pub failed: i64,
    /// Those that we refused.
    pub denied: i64,
    /// Attempts.
    pub attempts: i64,
    /// Input tokens, cached ones included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// Input and output tokens.
    pub total_tokens: i64,
    /// Input tokens read from prompt caches.
    pub cache_read_tokens: i64,
    /// Input tokens written to prompt caches.
    pub cache_write_tokens: i64,
    /// Output tokens of reasoning.
    pub reasoning_tokens: i64,
    /// What it cost the callers, in nano-USD.
    pub spend: i64,
    /// What it costs at list prices, in nano-USD.
    pub cost: i64,
    /// How long the calls that ended well took, on average, in milliseconds; `None` without any.
    pub duration_ms: Option<i64>,
    /// How long streams waited for their first content, on average; `None` without any.
    pub first_token_ms: Option<i64>,
}

impl From<&Sums> for Metrics {
    fn from(sums: &Sums) -> Self {
        // What days of an earlier version knew of calls were those admitted.
        let requests = sums.calls.max(sums.requests);
        let successful = requests.saturating_sub(sums.failures).max(0);
        let average = |sum: i64, count: i64| (count > 0).then(|| sum / count);
        Self {
            requests,
            successful,
            failed: sums.failures.saturating_sub(sums.denials).max(0),
            denied: sums.denials,
            attempts: sums.attempts,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            total_tokens: sums.total_tokens(),
            cache_read_tokens: sums.cache_read_tokens,
            cache_write_tokens: sums.cache_write_tokens,
            reasoning_tokens: sums.reasoning_tokens,
            spend: sums.spend,
            cost: sums.cost,
            duration_ms: average(sums.duration_ms, successful),
            first_token_ms: average(sums.first_ms, sums.firsts),
        }
    }
}

/// What to report.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageQuestion {
    /// From the bucket that this is in; by default as long before `to` as the granularity makes sensible.
    pub from: Option<Timestamp>,
    /// To the end of the bucket before this, or that this is in; now by default.
    pub to: Option<Timestamp>,
    /// How time is told apart.
    pub granularity: Granularity,
    /// Whose days they are; the gateway's by default.
    pub zone: Option<TimeZone>,
    /// Which calls.
    pub filter: ReportFilter,
    /// At channels of this provider.
    pub provider: Option<String>,
    /// What to tell apart; two at most.
    pub by: Vec<By>,
    /// What comes first.
    pub order: Order,
    /// How many rows; the rest is summed up as others.
    pub top: usize,
    /// What it is compared with, if it is.
    pub compare: Option<Compare>,
}

/// What a report is compared with: a time as long as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The one right before.
    Previous,
    /// The one that begins then.
    From(Timestamp),
}

impl Default for UsageQuestion {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            granularity: Granularity::Day,
            zone: None,
            filter: ReportFilter::default(),
            provider: None,
            by: Vec::new(),
            order: Order::Spend,
            top: 10,
            compare: None,
        }
    }
}

impl UsageQuestion {
    fn is_by_label(&self) -> bool {
        self.by.iter().any(|it| matches!(it, By::Customer | By::Tag))
    }

    /// What asks for all that a query finds whose rows, by label, aren't all of it, or more.
    fn whole_of(&self, query: &ReportQuery) -> Option<ReportQuery> {
        self.is_by_label().then(|| ReportQuery { by: Vec::new(), only: None, ..query.clone() })
    }

    /// Whether rows are ranked first, and only those that are shown are read whole: pairs are many.
    fn is_ranked(&self) -> bool {
        self.by.len() > 1 && self.top <= READ_BY_NAME
    }
}

/// A span of time and what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its start.
    pub from: Timestamp,
    /// Its end, which is no longer in it.
    pub to: Timestamp,
    /// All that was in it.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// A row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// What it is of; empty for none: no group, no user.
    pub by: BTreeMap<&'static str, String>,
    /// In all.
    pub total: Metrics,
    /// In the time that it is compared with, if it is.
    pub previous: Option<Metrics>,
    /// In each of the buckets.
    pub series: Vec<Metrics>,
}

/// What the rows leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Others {
    /// So many more rows there would be.
    pub rows: usize,
    /// In all.
    pub total: Metrics,
    /// In each of the buckets.
    pub series: Vec<Metrics>,
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageReport {
    /// The start.
    pub from: Timestamp,
    /// The end, which is no longer in it.
    pub to: Timestamp,
    /// How time is told apart.
    pub granularity: Granularity,
    /// Whose days they are.
    pub time_zone: String,
    /// What is told apart.
    pub by: Vec<By>,
    /// In all: every call once, also those without an end customer or tag where these are told apart.
    pub total: Metrics,
    /// What all rows and others add up to, where end customers or tags are told apart: without calls that have none, and calls with
    /// two tags twice. `None` where it is the total.
    pub told_apart: Option<Metrics>,
    /// The time that it is compared with, as long as this one, if it is.
    pub previous: Option<Bucket>,
    /// Over time, as the total; empty with granularity `total`.
    pub buckets: Vec<Bucket>,
    /// What is told apart, the most first.
    pub rows: Vec<UsageRow>,
    /// What those leave out, if they do.
    pub others: Option<Others>,
}

impl Admin {
    /// What was used, as far as an actor may see. Calls that have ended before are in it.
    ///
    /// # Errors
    /// `InvalidRequest` when the question makes no sense. `Store`.
    pub async fn usage_report(&self, actor: &Actor, question: &UsageQuestion) -> Result<UsageReport> {
        self.0.host.flush_records().await?;
        let zone = question.zone.clone().unwrap_or_else(|| self.store().time_zone().clone());
        let calendar = Calendar::new(zone, question.granularity, self.store().time_zone())?;
        let (from, to) = calendar.range(question.from, question.to, self.now())?;
        let buckets = calendar.buckets(from, to)?;
        let providers = self.providers();
        let reading =
            Reading { admin: self, reach: actor.reach(), calendar: &calendar, providers: &providers };
        reading.check(question)?;
        let base = reading.query(question, from, to)?;
        let ranking = question.is_ranked().then(|| question.order.sums());
        let totals = reading.rows(&ReportQuery { sums: ranking, ..base.clone() }, &question.by).await?;
        let mut ranked: Vec<(&Vec<String>, &Sums)> =
            totals.iter().map(|((_, by), sums)| (by, sums)).collect();
        ranked.sort_by_key(|(by, sums)| (std::cmp::Reverse(question.order.of(sums)), *by));
        let left_out = ranked.split_off(question.top.max(1).min(ranked.len()));
        let mut shown: Vec<Vec<String>> = ranked.iter().map(|(by, _)| (*by).clone()).collect();
        if question.by.is_empty() {
            shown.clear();
        }
        let series = reading.series(&base, question, &shown, totals.len(), &buckets).await?;
        let previous = match question.compare {
            None => None,
            Some(compare) => {
                // Of many it is as quick to read all.
                let is_few = !shown.is_empty() && shown.len() < totals.len() && shown.len() <= READ_BY_NAME;
                let shown = is_few.then_some(shown.as_slice());
                Some(reading.previous(question, calendar.compared(compare, from, to), shown).await?)
            }
        };
        let metrics = |all: &[Sums]| all.iter().map(Metrics::from).collect::<Vec<_>>();
        let whole = match ranking {
            Some(_) => Some(reading.whole(&base, question, &shown, &series).await?),
            None => None,
        };
        let whole = whole.as_ref().unwrap_or(&totals);
        // After those that are shown: calls end meanwhile, and the others aren't less than nothing.
        let told = match ranking {
            None => sum(totals.values()),
            Some(_) => sum(reading.rows(&together(&base), &[]).await?.values()),
        };
        // What labels tell apart isn't all, and some of it is in several rows.
        let total = match question.whole_of(&base) {
            Some(whole) => sum(reading.rows(&whole, &[]).await?.values()),
            None => told,
        };
        let total_of = |by: &Vec<String>| whole.get(&(from, by.clone())).copied().unwrap_or_default();
        let mut rest = told;
        shown.iter().for_each(|by| rest.subtract(&total_of(by)));
        let rows = shown.iter().map(|by| UsageRow {
            by: question.by.iter().map(|it| it.as_str()).zip(by.iter().cloned()).collect(),
            total: Metrics::from(&total_of(by)),
            previous: previous.as_ref().map(|(_, rows)| rows.get(by).map(Metrics::from).unwrap_or_default()),
            series: series.rows.get(by).map(|all| metrics(all)).unwrap_or_default(),
        });
        let others = (!left_out.is_empty()).then(|| Others {
            rows: left_out.len(),
            total: Metrics::from(&rest),
            series: metrics(&series.others),
        });
        Ok(UsageReport {
            from,
            to,
            granularity: question.granularity,
            time_zone: calendar.zone_name(),
            by: question.by.clone(),
            total: Metrics::from(&total),
            told_apart: question.is_by_label().then(|| Metrics::from(&told)),
            rows: rows.collect(),
            others,
            previous: previous.map(|(bucket, _)| bucket),
            buckets: buckets
                .iter()
                .zip(&series.all)
                .map(|((from, to), sums)| Bucket { from: *from, to: *to, metrics: Metrics::from(sums) })
                .collect(),
        })
    }

    /// What some of those that a question tells apart by one thing used in all, by what they are called there.
    pub(super) async fn used_by(
        &self,
        actor: &Actor,
        question: &UsageQuestion,
        which: Vec<String>,
    ) -> Result<HashMap<String, Metrics>> {
        let zone = question.zone.clone().unwrap_or_else(|| self.time_zone());
        let calendar = Calendar::new(zone, question.granularity, self.store().time_zone())?;
        let (from, to) = calendar.range(question.from, question.to, self.now())?;
        let providers = self.providers();
        let reading =
            Reading { admin: self, reach: actor.reach(), calendar: &calendar, providers: &providers };
        reading.check(question)?;
        let which: Vec<Vec<String>> = which.into_iter().map(|name| vec![name]).collect();
        let only = reading.places(question, &which);
        let query = ReportQuery { only, ..reading.query(question, from, to)? };
        let rows = reading.rows(&query, &question.by).await?;
        let name = |by: Vec<String>| by.into_iter().next().unwrap_or_default();
        Ok(rows.into_iter().map(|((_, by), sums)| (name(by), Metrics::from(&sums))).collect())
    }

    /// The time zone whose days sums are by.
    pub fn time_zone(&self) -> TimeZone {
        self.store().time_zone().clone()
    }

    /// Whose each channel is.
    pub(super) fn providers(&self) -> HashMap<ChannelId, String> {
        let snapshot = self.0.engine.snapshot();
        snapshot.channels().iter().map(|it| (it.id.clone(), it.provider.to_string())).collect()
    }
}

/// What is read for one report.
struct Reading<'a> {
    admin: &'a Admin,
    reach: Reach,
    calendar: &'a Calendar,
    providers: &'a HashMap<ChannelId, String>,
}

/// Sums over time.
struct Series {
    all: Vec<Sums>,
    rows: HashMap<Vec<String>, Vec<Sums>>,
    others: Vec<Sums>,
}

impl Reading<'_> {
    fn check(&self, question: &UsageQuestion) -> Result<()> {
        let wrong = |param, message: &str| {
            Err(Error::new(ErrorKind::InvalidRequest, message.to_owned()).with("param", param))
        };
        if question.by.len() > 2 || (question.by.len() == 2 && question.by.first() == question.by.last()) {
            return wrong("by", "a report tells two different things apart at most; name one or two in `by`");
        }
        let customer = question.filter.customer.is_some() || question.by.contains(&By::Customer);
        if customer && (question.filter.tag.is_some() || question.by.contains(&By::Tag)) {
            return wrong("by", "sums are by end customer or by tag, not by both; ask for one of them");
        }
        if question.by.contains(&By::Channel) && question.by.contains(&By::Provider) {
            return wrong("by", "a channel has one provider; ask by `channel` or by `provider`");
        }
        let max =
            if question.granularity == Granularity::Total { REPORT_TOTALS_MAX } else { REPORT_ROWS_MAX };
        if question.top == 0 || question.top > max {
            return wrong(
                "top",
                &format!(
                    "`top` must be 1 to {max}; with granularity `total` a report has up to {REPORT_TOTALS_MAX} rows"
                ),
            );
        }
        Ok(())
    }

    /// The sums in all, of what is told apart.
    fn query(&self, question: &UsageQuestion, from: Timestamp, to: Timestamp) -> Result<ReportQuery> {
        let mut filter = question.filter.clone();
        if let Some(provider) = &question.provider {
            let theirs = self.providers.iter().filter(|(_, it)| *it == provider).map(|(id, _)| id);
            let asked = filter.channels.take();
            let both = theirs.filter(|id| asked.as_ref().is_none_or(|asked| asked.contains(id)));
            filter.channels = Some(both.cloned().collect());
        }
        Ok(ReportQuery {
            from,
            to,
            zone: self.calendar.zone().clone(),
            filter,
            by: question.by.iter().map(|it| it.dimension()).collect(),
            labelled: None,
            split: Split::None,
            only: None,
            sums: None,
        })
    }

    /// All sums of the rows that are shown: what they have over time, where that is made of the same days; else they are asked for by
    /// name.
    async fn whole(
        &self,
        base: &ReportQuery,
        question: &UsageQuestion,
        shown: &[Vec<String>],
        series: &Series,
    ) -> Result<ReportRows> {
        let is_by_day = !matches!(question.granularity, Granularity::Hour | Granularity::Total);
        if is_by_day && self.calendar.has_days_of(self.admin.store().time_zone()) {
            let of = |by: &Vec<String>| sum(series.rows.get(by).into_iter().flatten());
            return Ok(shown.iter().map(|by| ((base.from, by.clone()), of(by))).collect());
        }
        let only = self.places(question, shown);
        self.rows(&ReportQuery { only, ..base.clone() }, &question.by).await
    }

    /// Rows as the report tells them apart: channels of one provider are one row.
    async fn rows(&self, query: &ReportQuery, by: &[By]) -> Result<ReportRows> {
        let rows = self.admin.store().report(query, &self.reach).await?;
        let Some(at) = by.iter().position(|it| *it == By::Provider) else { return Ok(rows) };
        let mut merged = ReportRows::new();
        for ((slot, mut by), sums) in rows {
            if let Some(channel) = by.get_mut(at) {
                *channel = self.provider_of(channel);
            }
            merged.entry((slot, by)).or_default().add(&sums);
        }
        Ok(merged)
    }

    fn provider_of(&self, channel: &str) -> String {
        self.providers.get(&ChannelId::from(channel)).cloned().unwrap_or_default()
    }

    /// Rows as sums have them: a provider's is one for each of its channels. `None` with the provider of channels that are gone.
    fn places(&self, question: &UsageQuestion, rows: &[Vec<String>]) -> Option<Vec<Vec<String>>> {
        let Some(at) = question.by.iter().position(|it| *it == By::Provider) else {
            return Some(rows.to_vec());
        };
        let mut places = Vec::new();
        for row in rows {
            let provider = row.get(at).filter(|provider| !provider.is_empty())?;
            for (channel, _) in self.providers.iter().filter(|(_, it)| *it == provider) {
                let mut place = row.clone();
                if let Some(name) = place.get_mut(at) {
                    *name = channel.to_string();
                }
                places.push(place);
            }
        }
        Some(places)
    }

    /// What was used over time: of all, of each row that is shown, and of the others.
    async fn series(
        &self,
        base: &ReportQuery,
        question: &UsageQuestion,
        shown: &[Vec<String>],
        rows: usize,
        buckets: &[(Timestamp, Timestamp)],
    ) -> Result<Series> {
        let empty = || vec![Sums::default(); buckets.len()];
        let mut series = Series {
            all: empty(),
            rows: shown.iter().map(|by| (by.clone(), empty())).collect(),
            others: empty(),
        };
        let split = match question.granularity {
            Granularity::Total => return Ok(series),
            Granularity::Hour => Split::Hour,
            Granularity::Month => Split::Month,
            _ => Split::Day,
        };
        let bucket_of = |at: Timestamp| buckets.partition_point(|(_, to)| *to <= at);
        let by_time = ReportQuery { split, ..base.clone() };
        let at_once = rows.saturating_mul(buckets.len()) <= READ_AT_ONCE;
        let mut parts = vec![by_time.clone()];
        if let Some(only) = self.places(question, shown).filter(|_| !at_once && !question.by.is_empty()) {
            // All of it by time alone, then what is shown.
            parts = vec![together(&by_time), ReportQuery { only: Some(only), ..by_time.clone() }];
        }
        let last = parts.len() - 1;
        for (n, query) in parts.iter().enumerate() {
            let by: &[By] = if query.by.is_empty() { &[] } else { &question.by };
            let told = if query.by.is_empty() { 1 } else { rows };
            let combinations = query.only.as_ref().map_or(told, Vec::len).max(1);
            let sums = combinations.saturating_mul(self.slots(question, split));
            for (from, to) in calendar::pieces(buckets, HELD_AT_ONCE / sums) {
                let query = ReportQuery { from, to, ..query.clone() };
                for ((at, by), sums) in self.rows(&query, by).await? {
                    let bucket = bucket_of(at);
                    if n == 0
                        && let Some(all) = series.all.get_mut(bucket)
                    {
                        all.add(&sums);
                    }
                    if n == last
                        && let Some(row) = series.rows.get_mut(&by).and_then(|row| row.get_mut(bucket))
                    {
                        row.add(&sums);
                    }
                }
            }
        }
        for (bucket, others) in series.others.iter_mut().enumerate() {
            *others = series.all.get(bucket).copied().unwrap_or_default();
            for row in series.rows.values() {
                others.subtract(&row.get(bucket).copied().unwrap_or_default());
            }
        }
        if let Some(whole) = question.whole_of(&by_time) {
            series.all = empty();
            for (from, to) in calendar::pieces(buckets, HELD_AT_ONCE / self.slots(question, split)) {
                let query = ReportQuery { from, to, ..whole.clone() };
                for ((at, _), sums) in self.rows(&query, &[]).await? {
                    if let Some(all) = series.all.get_mut(bucket_of(at)) {
                        all.add(&sums);
                    }
                }
            }
        }
        Ok(series)
    }

    /// So many sums of one combination may be read for one bucket: a day of a zone other than the store's is one of the store's and the
    /// hours between.
    fn slots(&self, question: &UsageQuestion, split: Split) -> usize {
        let is_kept = self.calendar.has_days_of(self.admin.store().time_zone());
        let days = match question.granularity {
            Granularity::Week => 7,
            Granularity::Month if !is_kept || question.is_by_label() => 31,
            _ => 1,
        };
        if split != Split::Hour && !is_kept { days * 2 } else { days }
    }

    /// The time that is compared: in all, and by what is told apart; of what is shown alone where that isn't all.
    async fn previous(
        &self,
        question: &UsageQuestion,
        (from, to): (Timestamp, Timestamp),
        shown: Option<&[Vec<String>]>,
    ) -> Result<(Bucket, HashMap<Vec<String>, Sums>)> {
        let only = shown.and_then(|shown| self.places(question, shown));
        let query = ReportQuery { only, ..self.query(question, from, to)? };
        let rows = self.rows(&query, &question.by).await?;
        let whole = || ReportQuery { by: Vec::new(), only: None, ..query.clone() };
        let whole = question.whole_of(&query).or_else(|| query.only.is_some().then(whole));
        let total = match whole {
            Some(whole) => sum(self.rows(&whole, &[]).await?.values()),
            None => sum(rows.values()),
        };
        let bucket = Bucket { from, to, metrics: Metrics::from(&total) };
        Ok((bucket, rows.into_iter().map(|((_, by), sums)| (by, sums)).collect()))
    }
}

/// What asks for all rows of a query together.
fn together(query: &ReportQuery) -> ReportQuery {
    let label = |it: &Dimension| matches!(it, Dimension::Customer | Dimension::Tag);
    let labelled = query.by.iter().copied().find(label);
    ReportQuery { by: Vec::new(), labelled, only: None, ..query.clone() }
}

fn sum<'a>(all: impl Iterator<Item = &'a Sums>) -> Sums {
    let mut sum = Sums::default();
    all.for_each(|it| sum.add(it));
    sum
}
