//! Days of a zone that isn't the store's: each is made of the store's day that begins closest to it, and of the hours between the
//! two beginnings, added or taken away. By the hour alone they would be twice to twenty times as many rows.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::tz::TimeZone;
use sluicegate_core::{Result, Timestamp};

use super::forget::WholeMonths;
use super::report::{AT_ONCE, conditions, day_after, day_before, table_of, unnamed};
use super::rollup::Period;
use super::row::Value;
use super::usage::{DAILY_SUMS, sums};
use super::{SqlStore, Where};
use crate::store::{Reach, ReportQuery, ReportRows, Sums};

/// More days are read at two goes, on two connections.
const TOGETHER_DAYS: usize = 8;
/// So many days are read at a time.
// BOUND: parts of a statement, of which SQLite takes 500.
const DAYS_AT_A_TIME: usize = 100;
/// Conditions stand in each part: so long they may be together.
// BOUND: the text of a statement, of which SQLite takes a million bytes.
const CONDITIONS_MAX: usize = 500_000;

/// Where a day of the zone begins, and the store's day that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seam {
    zone: Timestamp,
    store: Timestamp,
}

impl Seam {
    fn new(at: Timestamp, store: &TimeZone) -> Self {
        let (before, after) = (day_before(at, store), day_after(at, store));
        let is_closer = at.since_ms(before) <= after.since_ms(at);
        Self { zone: at, store: if is_closer { before } else { after } }
    }

    /// The hours between the two beginnings.
    fn hours(self) -> (Timestamp, Timestamp) {
        (self.zone.min(self.store), self.zone.max(self.store))
    }
}

/// The beginnings of a zone's days, and the end of the last one.
fn seams(from: Timestamp, to: Timestamp, zone: &TimeZone, store: &TimeZone) -> Vec<Seam> {
    let (mut all, mut at) = (Vec::new(), from);
    // BOUND: days between two instants that have sums.
    while at < to {
        all.push(Seam::new(at, store));
        let next = day_after(at.plus_ms(1), zone);
        if next <= at {
            break;
        }
        at = next;
    }
    all.push(Seam::new(to, store));
    all
}

/// Those that are read at once, each part with the beginning of the next one as its end; the conditions of each are so long.
fn parts(seams: &[Seam], conditions: usize) -> Vec<&[Seam]> {
    let days = seams.len().saturating_sub(1);
    let most = (CONDITIONS_MAX / conditions.max(1)).clamp(1, DAYS_AT_A_TIME);
    let each = if days > TOGETHER_DAYS { days.div_ceil(2) } else { days }.clamp(1, most);
    (0..days).step_by(each).filter_map(|at| seams.get(at..=(at + each).min(days))).collect()
}

impl SqlStore {
    /// Sums by the day of the question's zone.
    pub(super) async fn sum_shifted(
        &self,
        query: &ReportQuery,
        reach: &Reach,
        columns: &[&str],
        whole: WholeMonths,
    ) -> Result<ReportRows> {
        let Some((first, last)) = self.days_kept().await? else { return Ok(ReportRows::new()) };
        // Of months that are one sum each there are no days.
        let from = query.from.max(whole.at).max(self.start_of(Some(first)));
        let to = query.to.min(self.start_of(last.tomorrow().ok()));
        let seams = seams(from, to, &query.zone, &self.time_zone);
        let mut asked = Where::default();
        conditions(&mut asked, query, reach, columns);
        let parts = parts(&seams, asked.sql.len());
        let read: Vec<_> =
            parts.into_iter().map(|part| self.sum_seams(query, reach, columns, part)).collect();
        let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
        let mut rows = ReportRows::new();
        while let Some(part) = read.try_next().await? {
            rows.extend(part);
        }
        Ok(rows)
    }

    /// Days and hours with one statement, for hours that are taken away must be in their day.
    async fn sum_seams(
        &self,
        query: &ReportQuery,
        reach: &Reach,
        columns: &[&str],
        seams: &[Seam],
    ) -> Result<ReportRows> {
        let (Some(first), Some(last)) = (seams.first(), seams.last()) else { return Ok(ReportRows::new()) };
        let mut asked = Where::default();
        conditions(&mut asked, query, reach, columns);
        let table = |period| table_of(period, query, reach, &asked, columns);
        let (Some(day_table), Some(hour_table)) = (table(Period::Day), table(Period::Hour)) else {
            return Ok(ReportRows::new());
        };
        let told: String = columns.iter().map(|column| format!(", {column}")).collect();
        let Where { sql: clause, args } = asked;
        let mut days = Where { sql: clause.clone(), args };
        let bounds = [first.store, last.store].map(|at| Value::from(self.date_of(at).to_string()));
        days.and("day >= ? AND day < ?", bounds);
        let mut selects = vec![format!(
            "SELECT day AS slot{told}, {} FROM {day_table}{} GROUP BY day{told}",
            *DAILY_SUMS, days.sql
        )];
        // One by one, for PostgreSQL would look at all hours for each of a list of times.
        let mut args = days.args;
        for (n, (lo, hi)) in seams.iter().map(|seam| seam.hours()).enumerate().filter(|(_, (lo, hi))| lo < hi)
        {
            let mut hours = Where { sql: clause.clone(), args };
            hours.and("hour >= ? AND hour < ?", [lo, hi].map(|at| Value::from(at.as_ms())));
            args = hours.args;
            let group = told.strip_prefix(", ").map(|by| format!(" GROUP BY {by}")).unwrap_or_default();
            selects
                .push(format!("SELECT '{n}'{told}, {} FROM {hour_table}{}{group}", *DAILY_SUMS, hours.sql));
        }
        let sql = selects.join(" UNION ALL ");
        let wanted = unnamed(columns, query.only.as_deref());
        let mut rows = ReportRows::new();
        for mut row in self.fetch(sql, args).await? {
            let slot = row.text()?;
            let by = columns.iter().map(|_| row.text()).collect::<Result<Vec<_>>>()?;
            let sums = sums(&mut row)?;
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(by.as_slice())) {
                continue;
            }
            for (at, is_less) in self.places_of(&slot, seams).into_iter().flatten() {
                let entry = rows.entry((day_before(at, &query.zone), by.clone())).or_default();
                if is_less { entry.subtract(&sums) } else { entry.add(&sums) }
            }
        }
        // Who was there only in hours that are taken away isn't there.
        rows.retain(|_, sums| *sums != Sums::default());
        Ok(rows)
    }

    /// The days that a day of the store, or the hours at a beginning by its number, are in, by when those begin; and whether they are taken away
    /// from it.
    fn places_of(&self, slot: &str, seams: &[Seam]) -> [Option<(Timestamp, bool)>; 2] {
        let days = seams.len().saturating_sub(1);
        let day =
            |at: Option<usize>| at.filter(|at| *at < days).and_then(|at| seams.get(at)).map(|it| it.zone);
        let Ok(n) = slot.parse::<usize>() else {
            let start = self.start_of(slot.parse().ok());
            let at = seams.partition_point(|seam| seam.store <= start).checked_sub(1);
            return [day(at).map(|at| (at, false)), None];
        };
        // Before the store's day begins they are missing in this day and too much in the one before, after it the other way.
        let is_after = seams.get(n).is_some_and(|seam| seam.zone > seam.store);
        [day(Some(n)).map(|at| (at, is_after)), day(n.checked_sub(1)).map(|at| (at, !is_after))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_whose_conditions_are_long_are_read_a_few_at_a_time() {
        let (from, to) = (Timestamp::from_ms(0), Timestamp::from_ms(90 * 86_400_000));
        let seams = seams(from, to, &TimeZone::UTC, &TimeZone::get("Asia/Shanghai").unwrap());
        for (conditions, want) in [(0, 2), (100, 2), (20_000, 4), (1_000_000, 90)] {
            let parts = parts(&seams, conditions);
            assert_eq!(parts.len(), want, "{conditions}");
            assert_eq!(parts.iter().map(|part| part.len() - 1).sum::<usize>(), 90, "{conditions}");
        }
    }
}
