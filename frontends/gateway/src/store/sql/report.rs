//! Sums for reports: each is read from the smallest table that tells apart what is asked for, whole months from those by the month,
//! whole days from those by the day, and what is left at the ends from those by the hour.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use sluicegate_core::{
    Error, ErrorKind, GroupId, KeyId, ModelName, OrganizationId, Result, Timestamp, UserId,
};

use super::directory::reach_of;
use super::rollup::{Period, Table};
use super::row::Value;
use super::usage::{DAILY_SUMS, sums};
use super::{SqlStore, Where};
use crate::store::{Dimension, Latencies, Reach, ReportQuery, ReportRows, Split};

/// A part of the time that is asked for, and what it is read by.
struct Part {
    period: Period,
    from: Timestamp,
    to: Timestamp,
}

impl SqlStore {
    pub(super) async fn sum_report(&self, query: &ReportQuery, reach: &Reach) -> Result<ReportRows> {
        let mut rows = ReportRows::new();
        for part in self.parts(query) {
            self.sum_part(query, reach, &part, &mut rows).await?;
        }
        Ok(rows)
    }

    /// The parts of a time: whole months, the days before and after those, the hours before and after the days. What isn't
    /// the store's own day, or is told apart by less, is read by that.
    fn parts(&self, query: &ReportQuery) -> Vec<Part> {
        let zone = &self.time_zone;
        let days_do =
            query.split != Split::Hour && (query.split == Split::None || same_days(&query.zone, zone));
        let months_do = days_do && query.split != Split::Day && !is_by_label(query);
        let whole = Part { period: Period::Hour, from: query.from, to: query.to };
        let mut parts = vec![whole];
        if days_do {
            parts = within(parts, Period::Day, |at| day_after(at, zone), |at| day_before(at, zone));
        }
        if months_do {
            parts = within(parts, Period::Month, |at| month_after(at, zone), |at| month_before(at, zone));
        }
        parts
    }

    async fn sum_part(
        &self,
        query: &ReportQuery,
        reach: &Reach,
        part: &Part,
        rows: &mut ReportRows,
    ) -> Result<()> {
        let columns: Vec<&str> = query.by.iter().map(|it| column(*it)).collect::<Result<_>>()?;
        let mut find = Where::default();
        let time = match part.period {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Month => "month",
        };
        let bounds = match part.period {
            Period::Hour => [part.from, part.to].map(|at| Value::from(at.as_ms())),
            _ => [part.from, part.to].map(|at| Value::from(super::record::day_of(at, &self.time_zone))),
        };
        find.and(&format!("{time} >= ? AND {time} < ?"), bounds);
        filter(&mut find, query);
        only(&mut find, &columns, query.only.as_deref());
        reach_of(&mut find, reach, "group_id", "user_id", "key_id");
        let table = match is_by_label(query) {
            true => label_table(part.period, &find, &columns),
            false => smallest(part.period, &find, &columns, is_of_few(query, reach)).name(),
        };
        let slot = (query.split != Split::None).then_some(time);
        let told: Vec<&str> = slot.into_iter().chain(columns.iter().copied()).collect();
        let (before, after) = match told.is_empty() {
            true => (format!("SELECT {} FROM {table}", *DAILY_SUMS), String::new()),
            false => {
                let told = told.join(", ");
                (format!("SELECT {told}, {} FROM {table}", *DAILY_SUMS), format!(" GROUP BY {told}"))
            }
        };
        let (sql, args) = find.wrap(&before, &after);
        for mut row in self.fetch(sql, args).await? {
            let at = match slot {
                None => query.from,
                Some("hour") => Timestamp::from_ms(row.int()?),
                Some(_) => self.start_of(&row.text()?),
            };
            let days = matches!(query.split, Split::Day | Split::Month);
            let at = if days { day_before(at, &query.zone) } else { at };
            let by = columns.iter().map(|_| row.text()).collect::<Result<Vec<_>>>()?;
            rows.entry((at, by)).or_default().add(&sums(&mut row)?);
        }
        Ok(())
    }

    /// The start of a day that a table names.
    fn start_of(&self, day: &str) -> Timestamp {
        let start = day.parse::<jiff::civil::Date>().and_then(|day| day.to_zoned(self.time_zone.clone()));
        start.map_or(Timestamp::from_ms(0), |it| Timestamp::from_ms(it.timestamp().as_millisecond()))
    }

    pub(super) async fn count_latencies(
        &self,
        spans: &[(Timestamp, Timestamp)],
        by_day: bool,
        reach: &Reach,
    ) -> Result<Vec<Latencies>> {
        let (Some((from, _)), Some((_, to))) = (spans.first(), spans.last()) else { return Ok(Vec::new()) };
        // Of everybody in an organization there is one sum.
        let span = match (by_day, reach.narrow.is_none()) {
            (true, true) => "day_all",
            (true, false) => "day",
            (false, true) => "hour_all",
            (false, false) => "hour",
        };
        let mut find = Where::default();
        find.and(
            "span = ? AND slot >= ? AND slot < ?",
            [span.into(), from.as_ms().into(), to.as_ms().into()],
        );
        reach_of(&mut find, reach, "group_id", "", "");
        let (sql, args) = find.wrap(
            "SELECT slot, bucket, CAST(SUM(calls) AS BIGINT), CAST(SUM(firsts) AS BIGINT) FROM sg_took",
            " GROUP BY slot, bucket",
        );
        let mut all = vec![Latencies::default(); spans.len()];
        for mut row in self.fetch(sql, args).await? {
            let (slot, bucket, calls, firsts) = (row.int()?, row.int()?, row.int()?, row.int()?);
            let at = spans.partition_point(|(_, to)| to.as_ms() <= slot);
            let Some(counts) = all.get_mut(at) else { continue };
            for (counts, more) in [(&mut counts.calls, calls), (&mut counts.firsts, firsts)] {
                if more > 0 {
                    *counts.entry(bucket).or_default() += more;
                }
            }
        }
        Ok(all)
    }
}

/// Whether the days of two zones are the same ones.
fn same_days(one: &TimeZone, other: &TimeZone) -> bool {
    one == other || (one.iana_name().is_some() && one.iana_name() == other.iana_name())
}

/// Takes whole spans of a longer period out of the parts of the shorter ones.
fn within(
    parts: Vec<Part>,
    period: Period,
    first: impl Fn(Timestamp) -> Timestamp,
    last: impl Fn(Timestamp) -> Timestamp,
) -> Vec<Part> {
    let mut all = Vec::new();
    for part in parts {
        let (from, to) = (first(part.from), last(part.to));
        // Months are made of days, and of nothing shorter.
        if from < to && (period == Period::Day || part.period == Period::Day) {
            all.push(Part { to: from, ..part });
            all.push(Part { period, from, to });
            all.push(Part { from: to, ..part });
        } else {
            all.push(part);
        }
    }
    all.retain(|part| part.from < part.to);
    all
}

/// The start of the month that an instant is in.
fn month_before(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
    let start = instant.to_zoned(zone.clone()).first_of_month().and_then(|it| it.start_of_day());
    start.map_or(at, |start| Timestamp::from_ms(start.timestamp().as_millisecond()))
}

/// The first start of a month that isn't before an instant.
fn month_after(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let start = month_before(at, zone);
    if start == at {
        return at;
    }
    let instant = jiff::Timestamp::from_millisecond(start.as_ms()).unwrap_or_default();
    let next = instant.to_zoned(zone.clone()).checked_add(1.month()).and_then(|it| it.start_of_day());
    next.map_or(at, |next| Timestamp::from_ms(next.timestamp().as_millisecond()))
}

/// The start of the day that an instant is in.
fn day_before(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
    let start = instant.to_zoned(zone.clone()).start_of_day();
    start.map_or(at, |start| Timestamp::from_ms(start.timestamp().as_millisecond()))
}

/// The first start of a day that isn't before an instant.
fn day_after(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let start = day_before(at, zone);
    if start == at {
        return at;
    }
    let instant = jiff::Timestamp::from_millisecond(start.as_ms()).unwrap_or_default();
    let next = instant.to_zoned(zone.clone()).tomorrow().and_then(|it| it.start_of_day());
    next.map_or(at, |next| Timestamp::from_ms(next.timestamp().as_millisecond()))
}

/// Whether sums of end customers or tags are asked for.
fn is_by_label(query: &ReportQuery) -> bool {
    let filter = &query.filter;
    let by = |it: &Dimension| matches!(it, Dimension::Customer | Dimension::Tag);
    query.labelled.is_some() || filter.customer.is_some() || filter.tag.is_some() || query.by.iter().any(by)
}

/// The conditions of a filter.
fn filter(find: &mut Where, query: &ReportQuery) {
    let filter = &query.filter;
    find.maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
        .maybe("group_id = ?", filter.group.as_ref().map(GroupId::as_str))
        .maybe("user_id = ?", filter.user.as_ref().map(UserId::as_str))
        .maybe("key_id = ?", filter.key.as_ref().map(KeyId::as_str))
        .maybe("model = ?", filter.model.as_ref().map(ModelName::as_str));
    if let Some(channels) = &filter.channels {
        find.one_of("channel_id", channels.iter().map(|id| id.as_str()));
    }
    if is_by_label(query) {
        let is_customer = filter.customer.is_some()
            || query.labelled == Some(Dimension::Customer)
            || query.by.contains(&Dimension::Customer);
        find.and("kind = ?", [if is_customer { "customer" } else { "tag" }.into()]);
        find.maybe("label = ?", filter.customer.as_deref().or(filter.tag.as_deref()));
    }
}

/// Whether it is about some keys or users alone, which indexes find.
fn is_of_few(query: &ReportQuery, reach: &Reach) -> bool {
    let told = query.by.iter().any(|it| matches!(it, Dimension::Key | Dimension::User));
    let narrow = reach.narrow.as_ref().is_some_and(|it| it.groups.is_empty());
    query.filter.key.is_some() || query.filter.user.is_some() || narrow || (told && query.only.is_some())
}

fn only(find: &mut Where, columns: &[&str], combinations: Option<&[Vec<String>]>) {
    let Some(combinations) = combinations else { return };
    match columns {
        [] => {}
        [column] => {
            find.one_of(column, combinations.iter().filter_map(|it| it.first()).map(|text| text.as_str()));
        }
        _ if combinations.is_empty() => {
            find.and("1 = 0", []);
        }
        _ => {
            // Each alone, too: an index has one of them.
            for (at, column) in columns.iter().enumerate() {
                let values: BTreeSet<&str> =
                    combinations.iter().filter_map(|it| it.get(at)).map(|text| text.as_str()).collect();
                find.one_of(column, values);
            }
            let marks = format!("({})", vec!["?"; columns.len()].join(", "));
            let rows = vec![marks; combinations.len()].join(", ");
            let args: Vec<Value> = combinations.iter().flatten().map(|text| text.as_str().into()).collect();
            find.and(&format!("({}) IN (VALUES {rows})", columns.join(", ")), args);
        }
    }
}

const ALL: [&str; 6] = ["organization_id", "group_id", "user_id", "key_id", "model", "channel_id"];

/// The smallest table that has the columns that are told apart and those that conditions name; that of all columns, which alone
/// has indexes, where few of its rows are looked for.
pub(super) fn smallest(period: Period, find: &Where, columns: &[&str], is_of_few: bool) -> Table {
    let whole = match period {
        Period::Hour => Table::Hour,
        Period::Day => Table::Daily,
        Period::Month => Table::Month,
    };
    let needs = |column: &str| columns.contains(&column) || find.mentions(column);
    let of_period = Table::ALL.into_iter().filter(|table| table.period() == period);
    let mut suits =
        of_period.filter(|table| ALL.iter().all(|column| table.key().contains(column) || !needs(column)));
    if is_of_few { whole } else { suits.next().unwrap_or(whole) }
}

/// Likewise, of sums by label.
pub(super) fn label_table(period: Period, find: &Where, columns: &[&str]) -> &'static str {
    let needs = |column: &&str| columns.contains(column) || find.mentions(column);
    let beyond = |kept: &[&str]| ALL.iter().any(|column| needs(column) && !kept.contains(column));
    match period {
        Period::Hour if !beyond(&["organization_id"]) => "sg_label_hour",
        Period::Hour => "sg_hour_label",
        _ if !beyond(&["organization_id", "group_id"]) => "sg_label_day",
        _ => "sg_daily_label",
    }
}

fn column(dimension: Dimension) -> Result<&'static str> {
    Ok(match dimension {
        Dimension::Organization => "organization_id",
        Dimension::Group => "group_id",
        Dimension::User => "user_id",
        Dimension::Key => "key_id",
        Dimension::Model => "model",
        Dimension::Channel => "channel_id",
        Dimension::Customer | Dimension::Tag => "label",
        Dimension::Day => {
            let message = "a report tells days apart by its granularity";
            return Err(Error::new(ErrorKind::Internal, message));
        }
    })
}
