//! Sums for reports: each is read from the smallest table that tells apart what is asked for, whole months from those by the month,
//! whole days from those by the day, and what is left at the ends from those by the hour.

use std::collections::{BTreeSet, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sluicegate_core::{
    Error, ErrorKind, GroupId, KeyId, ModelName, OrganizationId, Result, Timestamp, UserId,
};

use super::directory::reach_of;
use super::forget::WholeMonths;
use super::record::SUMS;
use super::rollup::{HOUR_MS, Period, Slots, Table};
use super::row::Value;
use super::span::{Kept, Span};
use super::usage::{some_sums, sums_of};
use super::{SqlStore, Where};
use crate::store::{Dimension, Latencies, Reach, ReportQuery, ReportRows, Split, Sums};

/// So many statements of one report are asked at once: the database has few connections, and others want them, too.
pub(super) const AT_ONCE: usize = 2;

/// A longer part of a time that is told apart is read at two goes.
const TOGETHER_MS: i64 = 7 * 86_400_000;

/// So many days at most are named one by one to a table in which their labels lie together.
// BOUND: arguments of a statement.
const DAYS_BY_NAME: i32 = 400;

/// So many users' hours are looked up one by one; those of more are read with everybody's.
const USERS_BY_NAME: usize = 100;
/// And so long a time.
// BOUND: arguments of a statement.
const HOURS_BY_NAME_MS: i64 = 1_000 * HOUR_MS;

/// All sums of a row together: they are never negative.
const ANY: &str = "any_used";

/// A part of the time that is asked for, and what it is read by.
struct Part {
    period: Period,
    from: Timestamp,
    to: Timestamp,
}

impl Part {
    /// Whether it is read at two goes, on two connections.
    fn is_long(&self) -> bool {
        self.to.since_ms(self.from) > TOGETHER_MS
    }
}

/// A time in two, if there is a middle within it.
fn halves<T: Copy + Ord>([from, to]: [T; 2], middle: Option<T>) -> Vec<[T; 2]> {
    match middle.filter(|it| from < *it && *it < to) {
        Some(middle) => vec![[from, middle], [middle, to]],
        None => vec![[from, to]],
    }
}

/// A table's rows of a time.
struct Read {
    table: &'static str,
    /// The column of its time.
    time: &'static str,
    bounds: [Value; 2],
    /// The days, where it is read by those.
    days: Option<[Date; 2]>,
    /// The hours one by one, where what is looked for is found behind each.
    hours: Vec<Value>,
    /// Whether they are taken away from those of the others that are read with them.
    is_less: bool,
}

impl Read {
    fn of_hours(table: Option<&'static str>, times: [Timestamp; 2]) -> Option<Self> {
        let bounds = times.map(|at| Value::from(at.as_ms()));
        Some(Self { table: table?, time: "hour", bounds, days: None, hours: Vec::new(), is_less: false })
    }

    fn of_days(table: Option<&'static str>, period: Period, dates: [Date; 2], is_less: bool) -> Option<Self> {
        let time = if period == Period::Month { "month" } else { "day" };
        let bounds = dates.map(|date| Value::from(date.to_string()));
        let days = (period == Period::Day).then_some(dates);
        Some(Self { table: table?, time, bounds, days, hours: Vec::new(), is_less })
    }

    /// Its days, where labels stand behind them in the table's key: some are found on each without all others being read.
    fn days_by_name(&self) -> Vec<Value> {
        let Some([from, to]) = self.days.filter(|_| self.table == LABEL_OWNER_DAY) else { return Vec::new() };
        let count = from.until(to).map_or(0, |time| time.get_days());
        if count > DAYS_BY_NAME {
            return Vec::new();
        }
        (0..count).map(|n| Value::from(from.saturating_add(n.days()).to_string())).collect()
    }
}

impl SqlStore {
    pub(super) async fn sum_report(&self, query: &ReportQuery, reach: &Reach) -> Result<ReportRows> {
        let mut whole = self.whole_months().await?;
        // BOUND: begins anew where months began to be summed up meanwhile, which they do one after the other.
        loop {
            let rows = self.sum_with(query, reach, whole).await?;
            let now = self.whole_months().await?;
            if now == whole {
                return Ok(rows);
            }
            whole = now;
        }
    }

    async fn sum_with(&self, query: &ReportQuery, reach: &Reach, whole: WholeMonths) -> Result<ReportRows> {
        let columns: Vec<&str> = query.by.iter().map(|it| column(*it)).collect::<Result<_>>()?;
        if matches!(query.split, Split::Day | Split::Month) && !same_days(&query.zone, &self.time_zone) {
            return self.sum_shifted(query, reach, &columns, whole).await;
        }
        let mut pieces = self.pieces(query, reach, &columns, whole).await?;
        if query.split == Split::None && query.sums.is_some() {
            // Of many combinations each is read once.
            let all: Vec<Read> = pieces.into_iter().flatten().collect();
            pieces = if all.is_empty() { Vec::new() } else { vec![all] };
        }
        let read: Vec<_> =
            pieces.into_iter().map(|reads| self.sum_piece(query, reach, &columns, reads, whole)).collect();
        let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
        let mut rows = ReportRows::new();
        while let Some(piece) = read.try_next().await? {
            for (at, by, sums) in piece {
                rows.entry((at, by)).or_default().add(&sums);
            }
        }
        Ok(rows)
    }

    /// What a report is read from: whole months, the days before and after those, the hours before and after the days. What isn't
    /// the store's own day, or is told apart by less, is read by that.
    async fn pieces(
        &self,
        query: &ReportQuery,
        reach: &Reach,
        columns: &[&str],
        whole: WholeMonths,
    ) -> Result<Vec<Vec<Read>>> {
        let mut asked = Where::default();
        conditions(&mut asked, query, reach, columns);
        let is_of_few = is_of_few(query, reach);
        let is_by_label = is_by_label(query);
        let table = |period| table_of(period, query, reach, &asked, columns);
        let is_of_few_users = is_of_few_users(query, reach, &asked, columns);
        let [has_months, has_thirds] = [Period::Month, Period::Third].map(|it| table(it).is_some());
        let mut pieces = Vec::new();
        for mut part in self.parts(query, has_months) {
            if part.period == Period::Hour || is_by_label {
                // Of whole months there is none.
                part.from = part.from.max(whole.at);
            }
            let dates = [part.from, part.to].map(|at| whole.bound(self.date_of(at)));
            let is_none =
                if part.period == Period::Hour { part.from >= part.to } else { dates[0] >= dates[1] };
            if is_none {
                continue;
            }
            if part.period == Period::Day && query.split == Split::None {
                let reads = |it: Table| table(Period::Day) == Some(it.name()) && !is_of_few;
                let (is_of_all, is_of_owners) = (reads(Table::Daily), reads(Table::DayOwner));
                let (first, until) = self.sums_within(dates).await?;
                if first >= dates[1] {
                    continue;
                }
                // Where days are few or found by an index, months of everybody aren't worth their reading.
                let months = has_months && (is_by_label || is_of_all);
                let thirds = if is_by_label { has_thirds } else { is_of_all || is_of_owners };
                let kept = Kept { thirds, months, whole: whole.first, until };
                pieces.extend(kept.make(first, dates[1]).into_iter().map(|spans| {
                    let read =
                        |it: Span| Read::of_days(table(it.period), it.period, [it.from, it.to], it.is_less);
                    spans.into_iter().filter_map(read).collect()
                }));
                continue;
            }
            let table = table(part.period);
            match part.period {
                Period::Hour => {
                    let middle = part.from.plus_ms(part.to.since_ms(part.from) / 2);
                    for times in halves([part.from, part.to], part.is_long().then_some(middle)) {
                        let read = match is_of_few_users && times[1].since_ms(times[0]) <= HOURS_BY_NAME_MS {
                            true => Read::of_hours(Some(Table::HourUser.name()), times)
                                .map(|read| Read { hours: hours_within(times, &self.time_zone), ..read }),
                            false => Read::of_hours(table, times),
                        };
                        pieces.push(Vec::from_iter(read));
                    }
                }
                Period::Day => {
                    // Days of a whole month are read at once.
                    let middle = self.date_of(part.from.plus_ms(part.to.since_ms(part.from) / 2));
                    let middle = part.is_long().then_some(middle).filter(|it| *it >= whole.first);
                    for dates in halves(dates, middle) {
                        pieces.push(Vec::from_iter(Read::of_days(table, part.period, dates, false)));
                    }
                }
                period => pieces.push(Vec::from_iter(Read::of_days(table, period, dates, false))),
            }
        }
        Ok(pieces)
    }

    /// The parts of a time.
    fn parts(&self, query: &ReportQuery, has_months: bool) -> Vec<Part> {
        let zone = &self.time_zone;
        let days_do = query.split != Split::Hour;
        let months_do = days_do && has_months && query.split == Split::Month;
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

    /// The first of these days that may have sums, so that a time without a beginning is no longer than what there is; and the
    /// day after the last one that has any.
    async fn sums_within(&self, [from, to]: [Date; 2]) -> Result<(Date, Date)> {
        let Some((first, last)) = self.days_kept().await? else { return Ok((to, to)) };
        // By whole months, for days may become one sum on the first of theirs.
        Ok((from.max(first.first_of_month()), last.saturating_add(1.day())))
    }

    /// The first day and the last one that have sums.
    pub(super) async fn days_kept(&self) -> Result<Option<(Date, Date)>> {
        let sql = "SELECT (SELECT MIN(day) FROM sg_group_day), (SELECT MAX(day) FROM sg_group_day)";
        let Some(mut row) = self.fetch(sql, Vec::new()).await?.into_iter().next() else { return Ok(None) };
        let (first, last) = (row.maybe_text()?, row.maybe_text()?);
        let date = |day: Option<String>| day.and_then(|day| day.parse::<Date>().ok());
        Ok(date(first).zip(date(last)))
    }

    /// Reads with one statement what belongs together.
    async fn sum_piece(
        &self,
        query: &ReportQuery,
        reach: &Reach,
        columns: &[&str],
        reads: Vec<Read>,
        whole: WholeMonths,
    ) -> Result<Vec<(Timestamp, Vec<String>, Sums)>> {
        let slot = reads.first().map(|it| it.time).filter(|_| query.split != Split::None);
        let has_less = reads.iter().any(|read| read.is_less);
        let told: Vec<&str> = slot.into_iter().chain(columns.iter().copied()).collect();
        let mut asked = Where::default();
        conditions(&mut asked, query, reach, columns);
        let is_of_labels = asked.mentions("label");
        let Where { sql: clause, mut args } = asked;
        let added = query.sums.unwrap_or(SUMS);
        let mut sources = Vec::with_capacity(reads.len());
        for read in reads {
            let named = if is_of_labels { read.days_by_name() } else { read.hours };
            let Read { table, time, bounds, is_less, .. } = read;
            // What is asked for is told once, each time is numbered on.
            let mut find = Where { sql: clause.clone(), args };
            match named.is_empty() {
                true => find.and(&format!("{time} >= ? AND {time} < ?"), bounds),
                false => find.one_of(time, named),
            };
            sources.push((table, find.sql, is_less));
            args = find.args;
        }
        // What comes to nothing isn't there, whichever sums of it are asked for.
        let is_any = has_less && query.sums.is_some();
        let source = match sources.as_slice() {
            [(table, clause, false)] => format!("{table}{clause}"),
            all => {
                let one = |(table, clause, is_less): &(&str, String, bool)| {
                    let sign = if *is_less { "-" } else { "" };
                    let sums = added.iter().map(|column| format!("{sign}{column} AS {column}"));
                    let is_any = is_any.then(|| format!("{sign}({}) AS {ANY}", SUMS.join(" + ")));
                    let told = told.iter().map(|it| (*it).to_owned());
                    let names: Vec<String> = told.chain(sums).chain(is_any).collect();
                    format!("SELECT {} FROM {table}{clause}", names.join(", "))
                };
                format!("({}) parts", all.iter().map(one).collect::<Vec<_>>().join(" UNION ALL "))
            }
        };
        let (names, mut by) = match told.is_empty() {
            true => (String::new(), String::new()),
            false => (format!("{}, ", told.join(", ")), format!(" GROUP BY {}", told.join(", "))),
        };
        if is_any {
            by.push_str(&format!(" HAVING SUM({ANY}) <> 0"));
        }
        let wanted = unnamed(columns, query.only.as_deref());
        let mut rows = Vec::new();
        for mut row in self.fetch(format!("SELECT {names}{} FROM {source}{by}", sums_of(added)), args).await?
        {
            let at = match slot {
                None => query.from,
                Some("hour") => Timestamp::from_ms(row.int()?),
                Some(_) => self.start_of(whole.day_of(&row.text()?)),
            };
            let days = matches!(query.split, Split::Day | Split::Month);
            let at = if days { day_before(at, &query.zone) } else { at };
            let by = columns.iter().map(|_| row.text()).collect::<Result<Vec<_>>>()?;
            let sums = some_sums(&mut row, added)?;
            let is_left = !has_less || is_any || sums != Sums::default();
            if is_left && wanted.as_ref().is_none_or(|wanted| wanted.contains(by.as_slice())) {
                rows.push((at, by, sums));
            }
        }
        Ok(rows)
    }

    /// The start of a day that a table names.
    pub(super) fn start_of(&self, day: Option<Date>) -> Timestamp {
        let start = day.and_then(|day| day.to_zoned(self.time_zone.clone()).ok());
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

/// The hours of a zone that begin within a time.
fn hours_within([from, to]: [Timestamp; 2], zone: &TimeZone) -> Vec<Value> {
    let (mut slots, mut hours, mut at) = (Slots::new(zone), BTreeSet::new(), from);
    // BOUND: `HOURS_BY_NAME_MS`.
    while at < to {
        let hour = slots.of(at).hour;
        hours.insert(hour);
        at = Timestamp::from_ms(hour).plus_ms(HOUR_MS);
    }
    hours.retain(|hour| (from.as_ms()..to.as_ms()).contains(hour));
    hours.into_iter().map(Value::from).collect()
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
pub(super) fn day_before(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
    let start = instant.to_zoned(zone.clone()).start_of_day();
    start.map_or(at, |start| Timestamp::from_ms(start.timestamp().as_millisecond()))
}

/// The first start of a day that isn't before an instant.
pub(super) fn day_after(at: Timestamp, zone: &TimeZone) -> Timestamp {
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

/// The conditions of a question besides its time.
pub(super) fn conditions(find: &mut Where, query: &ReportQuery, reach: &Reach, columns: &[&str]) {
    filter(find, query);
    only(find, columns, query.only.as_deref());
    reach_of(find, reach, "group_id", "user_id", "key_id");
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

/// Whether it is about some users alone, with nothing told apart or asked that their hours leave out.
fn is_of_few_users(query: &ReportQuery, reach: &Reach, asked: &Where, columns: &[&str]) -> bool {
    let left_out = ALL.iter().filter(|column| !Table::HourUser.key().contains(column));
    let mut needed = left_out.filter(|column| columns.contains(column) || asked.mentions(column));
    !is_by_label(query)
        && is_of_few(query, reach)
        && query.only.as_ref().is_none_or(|only| only.len() <= USERS_BY_NAME)
        && asked.mentions("user_id")
        && needed.next().is_none()
}

/// So many combinations are told to the database: it takes a bounded number of arguments, and looks each row up among them.
/// Of more it is told what each column may be, and the rest is left out here.
// BOUND: arguments of a statement.
const NAMED_AT_ONCE: usize = 1_000;

/// The combinations that rows still have to be looked up in.
pub(super) fn unnamed<'a>(
    columns: &[&str],
    combinations: Option<&'a [Vec<String>]>,
) -> Option<HashSet<&'a [String]>> {
    let all = combinations.filter(|all| columns.len() > 1 && all.len() > NAMED_AT_ONCE)?;
    Some(all.iter().map(Vec::as_slice).collect())
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
            if combinations.len() > NAMED_AT_ONCE {
                return;
            }
            let marks = format!("({})", vec!["?"; columns.len()].join(", "));
            let rows = vec![marks; combinations.len()].join(", ");
            let args: Vec<Value> = combinations.iter().flatten().map(|text| text.as_str().into()).collect();
            // As a condition on each row: PostgreSQL would search for each combination by itself.
            find.and(&format!("(({}) IN (VALUES {rows})) IS TRUE", columns.join(", ")), args);
        }
    }
}

/// The table that a question is read from; `None` where there is none of such a length.
pub(super) fn table_of(
    period: Period,
    query: &ReportQuery,
    reach: &Reach,
    asked: &Where,
    columns: &[&str],
) -> Option<&'static str> {
    match is_by_label(query) {
        true => label_table(period, asked, columns),
        false => Some(smallest(period, asked, columns, is_of_few(query, reach)).name()),
    }
}

const ALL: [&str; 6] = ["organization_id", "group_id", "user_id", "key_id", "model", "channel_id"];

/// The smallest table that has the columns that are told apart and those that conditions name; where few of its rows are looked for,
/// the smallest of those that have indexes for keys and users.
pub(super) fn smallest(period: Period, find: &Where, columns: &[&str], is_of_few: bool) -> Table {
    let whole = match period {
        Period::Hour => Table::Hour,
        Period::Day => Table::Daily,
        Period::Third => Table::Third,
        Period::Month => Table::Month,
    };
    let needs = |column: &str| columns.contains(&column) || find.mentions(column);
    let mut suits = Table::ALL
        .into_iter()
        .filter(|table| table.period() == period && (!is_of_few || *table == Table::DayOwner))
        // Whose rows of a time are many, and are found one by one.
        .filter(|table| *table != Table::HourUser)
        .filter(|table| ALL.iter().all(|column| table.key().contains(column) || !needs(column)));
    suits.next().unwrap_or(whole)
}

const LABEL_OWNER_DAY: &str = "sg_label_owner_day";

/// Likewise, of sums by label; `None` where there are none of such a length.
pub(super) fn label_table(period: Period, find: &Where, columns: &[&str]) -> Option<&'static str> {
    let needs = |column: &&str| columns.contains(column) || find.mentions(column);
    let beyond = |kept: &[&str]| ALL.iter().any(|column| needs(column) && !kept.contains(column));
    let (by_group, by_model, by_key) = (
        !beyond(&["organization_id", "group_id"]),
        !beyond(&["organization_id", "model", "channel_id"]),
        !beyond(&["organization_id", "group_id", "user_id", "key_id"]),
    );
    let is_of_all = !columns.contains(&"label") && !find.mentions("label") && !beyond(&["organization_id"]);
    Some(match period {
        Period::Hour if is_of_all => "sg_label_all_hour",
        Period::Day if is_of_all => "sg_label_all_day",
        Period::Hour if !beyond(&["organization_id"]) => "sg_label_hour",
        Period::Hour => "sg_hour_label",
        Period::Day if by_group => "sg_label_day",
        Period::Day if by_model => "sg_label_model_day",
        Period::Day if by_key => LABEL_OWNER_DAY,
        Period::Day => "sg_daily_label",
        Period::Month if by_group => "sg_label_month",
        Period::Month if by_model => "sg_label_model_month",
        Period::Third if by_key && !by_group => "sg_label_owner_third",
        Period::Month if by_key => "sg_label_owner_month",
        Period::Third | Period::Month => return None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_that_calls_count_in() {
        let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        // Where hours begin at half past, and where clocks go by half an hour.
        for (zone, from, to) in [
            ("UTC", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"),
            ("Asia/Kolkata", "2025-12-31T18:30:00Z", "2026-01-01T18:30:00Z"),
            ("America/New_York", "2026-03-07T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-03T13:00:00Z", "2026-04-06T13:30:00Z"),
            ("Australia/Lord_Howe", "2026-10-02T13:30:00Z", "2026-10-05T13:00:00Z"),
        ] {
            let tz = TimeZone::get(zone).unwrap();
            let (from, to) = (ms(from), ms(to));
            let mut slots = Slots::new(&tz);
            let every: BTreeSet<i64> = (from..to)
                .step_by(60_000)
                .map(|at| slots.of(Timestamp::from_ms(at)).hour)
                .filter(|hour| *hour >= from)
                .collect();
            let found = hours_within([from, to].map(Timestamp::from_ms), &tz);
            assert_eq!(found, every.into_iter().map(Value::from).collect::<Vec<_>>(), "{zone} {from}");
        }
        assert!(hours_within([Timestamp::from_ms(5), Timestamp::from_ms(5)], &TimeZone::UTC).is_empty());
    }
}
