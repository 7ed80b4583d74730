//! PostgreSQL's records, a partition for each month (UTC).

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sluicegate_core::{Result, Timestamp};

use super::forget::is_alone;
use super::{Database, Dialect, Session, SqlStore};

/// Months that are made ahead of the present one.
const AHEAD: i32 = 2;
/// What changes the set of partitions waits no longer for those who read or write records, for whoever comes after waits
/// behind it.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1s'";

/// A part of the records.
struct Partition {
    table: String,
    /// Its first time, and the first that is no longer in it; `None` for the one that takes what no other does.
    range: Option<(i64, i64)>,
}

impl SqlStore {
    /// Makes the partitions of this month and of those to come.
    pub(super) async fn make_partitions(&self, now: Timestamp) -> Result<()> {
        if self.database.dialect() != Dialect::Postgres {
            return Ok(());
        }
        let instant = jiff::Timestamp::from_millisecond(now.as_ms()).unwrap_or_default();
        let this = TimeZone::UTC.to_datetime(instant).date().first_of_month();
        for months in 0..=AHEAD {
            make(&*self.database, this.saturating_add(months.months())).await?;
        }
        Ok(())
    }
}

/// Makes a month's partition if there is none yet, and moves into it what lies elsewhere for want of it.
async fn make(database: &dyn Database, month: Date) -> Result<()> {
    let (start, end) = (start_ms(month), start_ms(month.saturating_add(1.months())));
    let mut session = database.begin().await?;
    // Before anything else: what another node makes at this moment is seen afterwards.
    if !is_alone(Dialect::Postgres, &mut *session).await? {
        return Ok(());
    }
    let covers = |(from, to): (i64, i64)| from <= start && to >= end;
    if list(&mut *session).await?.iter().filter_map(|it| it.range).any(covers) {
        // Ended here and now: what is only dropped keeps its lock until its connection is used again.
        return session.commit().await;
    }
    let name = format!("sg_record_{}", month.strftime("%Y_%m"));
    for sql in [
        PATIENCE.to_owned(),
        format!("CREATE TABLE {name} (LIKE sg_record INCLUDING ALL)"),
        format!(
            "WITH moved AS (DELETE FROM sg_record_other WHERE started_at >= {start} AND started_at < {end} RETURNING *) \
             INSERT INTO {name} SELECT * FROM moved"
        ),
        format!("ALTER TABLE sg_record ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"),
    ] {
        session.execute(sql.into(), Vec::new()).await?;
    }
    session.commit().await
}

/// Drops the oldest month of which every record began before this; whether there was one.
pub(super) async fn drop_oldest(session: &mut dyn Session, before: Timestamp) -> Result<bool> {
    let gone = |it: &Partition| it.range.is_some_and(|(_, end)| end <= before.as_ms());
    let Some(oldest) = list(session).await?.into_iter().filter(gone).min_by_key(|it| it.range) else {
        return Ok(false);
    };
    session.execute(PATIENCE.into(), Vec::new()).await?;
    session.execute(format!("DROP TABLE {}", oldest.table).into(), Vec::new()).await?;
    Ok(true)
}

/// The partitions that aren't a month's: they are emptied row by row.
pub(super) async fn odd(session: &mut dyn Session) -> Result<Vec<String>> {
    let all = list(session).await?.into_iter().map(|it| it.table);
    Ok(all.filter(|table| ["sg_record_other", "sg_record_before"].contains(&table.as_str())).collect())
}

async fn list(session: &mut dyn Session) -> Result<Vec<Partition>> {
    let sql = "SELECT CAST(c.relname AS TEXT), pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = CAST('sg_record' AS regclass)";
    let mut all = Vec::new();
    for mut row in session.query(sql.into(), Vec::new()).await? {
        let (table, bound) = (row.text()?, row.text()?);
        all.push(Partition { table, range: range_of(&bound) });
    }
    Ok(all)
}

/// What is in `FOR VALUES FROM ('1761955200000') TO ('1764547200000')`; `None` for `DEFAULT`.
fn range_of(bound: &str) -> Option<(i64, i64)> {
    let (from, to) = bound.strip_prefix("FOR VALUES FROM ")?.split_once(" TO ")?;
    let number = |text: &str| text.trim_matches(['(', ')', '\'']).parse::<i64>().ok();
    Some((if from == "(MINVALUE)" { i64::MIN } else { number(from)? }, number(to)?))
}

fn start_ms(month: Date) -> i64 {
    month.to_zoned(TimeZone::UTC).map_or(i64::MAX, |start| start.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_the_server_writes_them() {
        for (bound, range) in [
            ("DEFAULT", None),
            ("FOR VALUES FROM (MINVALUE) TO ('1764547200000')", Some((i64::MIN, 1_764_547_200_000))),
            (
                "FOR VALUES FROM ('1761955200000') TO ('1764547200000')",
                Some((1_761_955_200_000, 1_764_547_200_000)),
            ),
        ] {
            assert_eq!(range_of(bound), range, "{bound}");
        }
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let december = Date::constant(2026, 12, 1);
        assert_eq!(start_ms(december), 1_796_083_200_000);
        assert_eq!(start_ms(december.saturating_add(1.months())), 1_798_761_600_000);
    }
}
