//! Sums for reports: each is read from the smallest table that tells apart what is asked for, whole days from those by the
//! day, and what is left at the ends from those by the hour.

use jiff::tz::TimeZone;
use sluicegate_core::{
    Error, ErrorKind, GroupId, KeyId, ModelName, OrganizationId, Result, Timestamp, UserId,
};

use super::directory::reach_of;
use super::rollup::Table;
use super::row::Value;
use super::usage::{DAILY_SUMS, sums};
use super::{SqlStore, Where};
use crate::store::{Dimension, Latencies, Reach, ReportQuery, ReportRows, Split};

/// A part of the time that is asked for.
struct Part {
    is_daily: bool,
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

    /// The parts of a time: its whole days, and the hours before and after those. Without days that are the store's, it is
    /// all hours.
    fn parts(&self, query: &ReportQuery) -> Vec<Part> {
        let hours = |from, to| Part { is_daily: false, from, to };
        let mut parts = Vec::new();
        let (first, last) = (day_after(query.from, &self.time_zone), day_before(query.to, &self.time_zone));
        let days_do = query.split == Split::None
            || (query.split == Split::Day && same_days(&query.zone, &self.time_zone));
        if days_do && first < last {
            parts.push(hours(query.from, first));
            parts.push(Part { is_daily: true, from: first, to: last });
            parts.push(hours(last, query.to));
        } else {
            parts.push(hours(query.from, query.to));
        }
        parts.retain(|part| part.from < part.to);
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
        if part.is_daily {
            let day = |at: Timestamp| super::record::day_of(at, &self.time_zone);
            find.and("day >= ? AND day < ?", [day(part.from).into(), day(part.to).into()]);
        } else {
            find.and("hour >= ? AND hour < ?", [part.from.as_ms().into(), part.to.as_ms().into()]);
        }
        let label = filter(&mut find, query);
        only(&mut find, &columns, query.only.as_deref());
        reach_of(&mut find, reach, "group_id", "user_id", "key_id");
        let table = match (label, part.is_daily) {
            (true, true) => "sg_daily_label",
            (true, false) => "sg_hour_label",
            (false, is_daily) => smallest(is_daily, &find, &columns).name(),
        };
        let slot = (query.split != Split::None).then_some(if part.is_daily { "day" } else { "hour" });
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
                Some("day") => self.start_of(&row.text()?),
                Some(_) => Timestamp::from_ms(row.int()?),
            };
            let at = if query.split == Split::Day { day_before(at, &query.zone) } else { at };
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
        let span = if by_day { "day" } else { "hour" };
        let mut find = Where::default();
        find.and(
            "span = ? AND slot >= ? AND slot < ?",
            [span.into(), from.as_ms().into(), to.as_ms().into()],
        );
        reach_of(&mut find, reach, "group_id", "", "");
        let (sql, args) = find.wrap(
            "SELECT slot, bucket, CAST(SUM(calls) AS BIGINT), CAST(SUM(firsts) AS BIGINT) FROM sg_latency",
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

/// The conditions of a filter; whether sums by label are asked for.
fn filter(find: &mut Where, query: &ReportQuery) -> bool {
    let filter = &query.filter;
    find.maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
        .maybe("group_id = ?", filter.group.as_ref().map(GroupId::as_str))
        .maybe("user_id = ?", filter.user.as_ref().map(UserId::as_str))
        .maybe("key_id = ?", filter.key.as_ref().map(KeyId::as_str))
        .maybe("model = ?", filter.model.as_ref().map(ModelName::as_str));
    if let Some(channels) = &filter.channels {
        find.one_of("channel_id", channels.iter().map(|id| id.as_str()));
    }
    let is_customer = filter.customer.is_some() || query.by.contains(&Dimension::Customer);
    let is_tag = filter.tag.is_some() || query.by.contains(&Dimension::Tag);
    if !is_customer && !is_tag {
        return false;
    }
    find.and("kind = ?", [if is_customer { "customer" } else { "tag" }.into()]);
    find.maybe("label = ?", filter.customer.as_deref().or(filter.tag.as_deref()));
    true
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
            let marks = format!("({})", vec!["?"; columns.len()].join(", "));
            let rows = vec![marks; combinations.len()].join(", ");
            let args: Vec<Value> = combinations.iter().flatten().map(|text| text.as_str().into()).collect();
            find.and(&format!("({}) IN (VALUES {rows})", columns.join(", ")), args);
        }
    }
}

/// The smallest table that has the columns that are told apart and those that conditions name.
fn smallest(is_daily: bool, find: &Where, columns: &[&str]) -> Table {
    const ALL: [&str; 6] = ["organization_id", "group_id", "user_id", "key_id", "model", "channel_id"];
    let needs = |column: &str| columns.contains(&column) || find.mentions(column);
    Table::ALL
        .into_iter()
        .filter(|table| table.is_hourly() != is_daily)
        .find(|table| ALL.iter().all(|column| table.key().contains(column) || !needs(column)))
        .unwrap_or(if is_daily { Table::Daily } else { Table::Hour })
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
