//! Forgetting what need not be kept, piece by piece.

use jiff::ToSpan as _;
use jiff::civil::Date;
use sluicegate_core::{Result, Timestamp, Window};

use super::record::{SUMS, added, day_of, parse_window};
use super::rollup::{Period, Table};
use super::row::Value;
use super::{Dialect, Session, SqlStore};
use crate::store::{Forget, Forgotten};

/// So many rows of a kind go at once: a few milliseconds, for which who appends waits.
const PIECE: u64 = 500;
/// A number that no other program locks on: `sluiceg9` in ASCII. Whoever holds it clears away and makes partitions.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x736c_7569_6365_6739;

/// What has been begun to be forgotten of sums: `sums` says what has been all.
const BEGUN: &str = "sums begun";

/// Months of which there are no days any more, for whoever asks: those before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WholeMonths {
    /// When it begins.
    pub(super) at: Timestamp,
    /// Its first day.
    pub(super) first: Date,
}

impl WholeMonths {
    /// Where a time that is told in days begins, or ends: a month is in it with its first day, or not at all.
    pub(super) fn bound(self, date: Date) -> Date {
        let is_inside = date < self.first && date.day() != 1;
        if is_inside { date.first_of_month().saturating_add(1.month()) } else { date }
    }

    /// The day that a table's name for one stands for; `None` for what is no day.
    pub(super) fn day_of(self, name: &str) -> Option<Date> {
        let day: Date = name.parse().ok()?;
        Some(if day < self.first { day.first_of_month() } else { day })
    }
}

impl SqlStore {
    pub(super) async fn forget(&self, what: &Forget) -> Result<Forgotten> {
        let mut session = self.database.begin().await?;
        if !is_alone(self.database.dialect(), &mut *session).await? {
            return Ok(Forgotten::default());
        }
        let mut done = Forgotten::default();
        if let Some(before) = what.records_before {
            // Whole days go, so that of each day there are either all records or, for its sums, none needed.
            self.forget_records(&mut *session, self.day_start(before), &mut done).await?;
        }
        if let Some(before) = what.sums_before {
            let month = self.date_of(before).first_of_month();
            self.sum_up_months(&mut *session, month, &mut done).await?;
        }
        // Last, and once: it looks at every balance.
        if !done.more {
            self.forget_ended(&mut *session, what.ended_before, &mut done).await?;
        }
        session.commit().await?;
        done.more |= self.database.shrink().await?;
        Ok(done)
    }

    pub(super) async fn forgotten_before(&self, what: &'static str) -> Result<Timestamp> {
        let sql = "SELECT before FROM sg_forgotten WHERE what = $1";
        let rows = self.fetch(sql, vec![what.into()]).await?;
        let before = rows.into_iter().next().map_or(Ok(i64::MIN), |mut row| row.int())?;
        Ok(Timestamp::from_ms(before))
    }

    /// The month before which days are of no account any more: some of them, or all, have become one sum on the first of their
    /// month, and hours and labels are forgotten or are about to be.
    pub(super) async fn whole_months(&self) -> Result<WholeMonths> {
        let sql = "SELECT before FROM sg_forgotten WHERE what IN ('sums', $1)";
        let mut whole = WholeMonths { at: Timestamp::from_ms(i64::MIN), first: Date::MIN };
        for mut row in self.fetch(sql, vec![BEGUN.into()]).await? {
            let at = Timestamp::from_ms(row.int()?);
            if at > whole.at {
                whole = WholeMonths { at, first: self.date_of(at).first_of_month() };
            }
        }
        Ok(whole)
    }

    async fn forget_records(
        &self,
        session: &mut dyn Session,
        before: Timestamp,
        done: &mut Forgotten,
    ) -> Result<()> {
        let at = before.as_ms();
        mark(session, "records", at).await?;
        match self.database.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                self.piece(session, "sg_record", "started_at < $1", vec![at.into()], done).await?;
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                if super::partition::drop_oldest(session, before).await? {
                    (done.rows, done.more) = (done.rows + 1, true);
                }
                for table in super::partition::odd(session).await? {
                    self.piece(session, &table, "started_at < $1", vec![at.into()], done).await?;
                }
            }
        }
        self.forget_tags(session, at, done).await?;
        self.piece(session, "sg_attempt", "started_at < $1", vec![at.into()], done).await
    }

    /// Rows of this table have no number of their own in SQLite.
    async fn forget_tags(&self, session: &mut dyn Session, before: i64, done: &mut Forgotten) -> Result<()> {
        let sql = format!(
            "DELETE FROM sg_record_tag WHERE (tag, started_at, call_id) IN \
             (SELECT tag, started_at, call_id FROM sg_record_tag WHERE started_at < $1 LIMIT {PIECE})"
        );
        let gone = session.execute(sql.into(), vec![before.into()]).await?;
        done.more |= gone >= PIECE;
        Ok(())
    }

    /// Sums up the days of months before this one, and forgets labels.
    async fn sum_up_months(
        &self,
        session: &mut dyn Session,
        month: Date,
        done: &mut Forgotten,
    ) -> Result<()> {
        let start = month.to_zoned(self.time_zone.clone()).map(|it| it.timestamp().as_millisecond());
        let start = start.unwrap_or(i64::MIN);
        // With the first piece, so that reports read these months whole from then on.
        mark(session, BEGUN, start).await?;
        // Months before were summed up already.
        let sql = "SELECT before FROM sg_forgotten WHERE what = 'sums'";
        let from = match session.query(sql.into(), Vec::new()).await?.into_iter().next() {
            Some(mut row) => day_of(Timestamp::from_ms(row.int()?), &self.time_zone),
            None => String::new(),
        };
        for table in
            Table::ALL.into_iter().filter(|table| matches!(table.period(), Period::Day | Period::Third))
        {
            let sql = format!(
                "SELECT MIN(day) FROM {} WHERE day >= $1 AND day < $2 AND substr(day, 9, 2) <> '01'",
                table.name()
            );
            let args = vec![Value::from(from.as_str()), month.to_string().into()];
            let oldest = session.query(sql.into(), args).await?.into_iter().next();
            if let Some(day) = oldest.map_or(Ok(None), |mut row| row.maybe_text())? {
                return sum_up(session, table, &day, done).await;
            }
        }
        mark(session, "sums", start).await?;
        for table in ["sg_daily_label", "sg_label_count"] {
            self.piece(session, table, "day < $1", vec![month.to_string().into()], done).await?;
        }
        for (table, column, which) in [
            ("sg_label_day", "day", "kind = 'customer'"),
            ("sg_label_day", "day", "kind = 'tag'"),
            ("sg_label_model_day", "day", "kind = 'customer'"),
            ("sg_label_model_day", "day", "kind = 'tag'"),
            ("sg_label_month", "month", "kind = 'customer'"),
            ("sg_label_month", "month", "kind = 'tag'"),
            ("sg_label_model_month", "month", "kind = 'customer'"),
            ("sg_label_model_month", "month", "kind = 'tag'"),
            ("sg_label_owner_day", "day", "kind = 'customer'"),
            ("sg_label_owner_day", "day", "kind = 'tag'"),
            ("sg_label_owner_third", "day", "kind = 'customer'"),
            ("sg_label_owner_third", "day", "kind = 'tag'"),
            ("sg_label_owner_month", "month", "kind = 'customer'"),
            ("sg_label_owner_month", "month", "kind = 'tag'"),
            ("sg_label_all_day", "day", "kind = 'customer'"),
            ("sg_label_all_day", "day", "kind = 'tag'"),
            ("sg_label_all_hour", "hour", "kind = 'customer'"),
            ("sg_label_all_hour", "hour", "kind = 'tag'"),
            ("sg_label_hour", "hour", "kind = 'customer'"),
            ("sg_label_hour", "hour", "kind = 'tag'"),
            ("sg_hour", "hour", "1 = 1"),
            ("sg_organization_hour", "hour", "1 = 1"),
            ("sg_hour_by_model", "hour", "1 = 1"),
            ("sg_hour_by_channel", "hour", "1 = 1"),
            ("sg_hour_by_user", "hour", "1 = 1"),
            ("sg_group_hour", "hour", "1 = 1"),
            ("sg_model_hour", "hour", "1 = 1"),
            ("sg_hour_label", "hour", "1 = 1"),
            ("sg_took", "slot", "span = 'hour'"),
            ("sg_took", "slot", "span = 'hour_all'"),
            ("sg_took", "slot", "span = 'day'"),
            ("sg_took", "slot", "span = 'day_all'"),
        ] {
            // An hour, or a day or a month of labels, goes at once: its rows lie together.
            let before =
                if matches!(column, "day" | "month") { Value::from(month.to_string()) } else { start.into() };
            let sql = format!(
                "DELETE FROM {table} WHERE {which} AND {column} = (SELECT MIN({column}) FROM {table} WHERE {which} AND {column} < $1)"
            );
            let gone = session.execute(sql.into(), vec![before]).await?;
            done.rows += gone;
            done.more |= gone > 0;
        }
        Ok(())
    }

    async fn forget_ended(
        &self,
        session: &mut dyn Session,
        before: Timestamp,
        done: &mut Forgotten,
    ) -> Result<()> {
        let args = vec![before.as_ms().into()];
        self.piece(session, "sg_retired_hash", "retires_at < $1", args.clone(), done).await?;
        self.piece(session, "sg_response", "expires_at < $1", args.clone(), done).await?;
        self.piece(session, "sg_response_item", "expires_at < $1", args.clone(), done).await?;
        // Items live as long as their conversation, which goes when none of them is left.
        let items =
            "(owner, conversation_id) IN (SELECT owner, id FROM sg_conversation WHERE expires_at < $1)";
        self.piece(session, "sg_conversation_item", items, args.clone(), done).await?;
        let empty = "expires_at < $1 AND NOT EXISTS (SELECT 1 FROM sg_conversation_item i \
                     WHERE i.owner = sg_conversation.owner AND i.conversation_id = sg_conversation.id)";
        self.piece(session, "sg_conversation", empty, args.clone(), done).await?;
        self.piece(session, "sg_response_work", "seen_at < $1", args.clone(), done).await?;
        self.piece(session, "sg_once", "expires_at < $1", args.clone(), done).await?;
        self.piece(session, "sg_used_sign_in", "expires_at < $1", args.clone(), done).await?;
        self.piece(session, "sg_session", "expires_at < $1", args, done).await?;
        for mut row in session.query("SELECT DISTINCT span FROM sg_balance".into(), Vec::new()).await? {
            let span = row.text()?;
            let Some(length) = parse_window(&span).and_then(longest_ms) else { continue };
            let began_before = before.plus_ms(length.saturating_neg()).as_ms();
            let args = vec![began_before.into(), span.into()];
            self.piece(session, "sg_balance", "window_start < $1 AND span = $2", args, done).await?;
        }
        Ok(())
    }

    /// Deletes some rows of a table for which a condition holds.
    async fn piece(
        &self,
        session: &mut dyn Session,
        table: &str,
        condition: &str,
        args: Vec<Value>,
        done: &mut Forgotten,
    ) -> Result<()> {
        let sql = match self.database.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {condition} LIMIT {PIECE})"
            ),
            #[cfg(feature = "postgres")]
            Dialect::Postgres => format!(
                "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT {PIECE}))"
            ),
        };
        let gone = session.execute(sql.into(), args).await?;
        done.rows += gone;
        done.more |= gone >= PIECE;
        Ok(())
    }

    pub(super) fn date_of(&self, at: Timestamp) -> Date {
        let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
        self.time_zone.to_datetime(instant).date()
    }

    /// The start of the day that an instant is in.
    fn day_start(&self, at: Timestamp) -> Timestamp {
        let start = self.date_of(at).to_zoned(self.time_zone.clone());
        start.map_or(at, |start| Timestamp::from_ms(start.timestamp().as_millisecond()))
    }
}

/// Adds some of a day's sums to those of the first day of its month.
async fn sum_up(session: &mut dyn Session, table: Table, day: &str, done: &mut Forgotten) -> Result<()> {
    let (name, parts) = (table.name(), table.key().get(1..).unwrap_or_default());
    let columns = parts.join(", ");
    let last = format!(
        "SELECT {columns} FROM {name} WHERE day = $1 ORDER BY {columns} LIMIT 1 OFFSET {}",
        PIECE - 1
    );
    let (mut some, mut args) = ("day = $1".to_owned(), vec![Value::from(day)]);
    if let Some(mut row) = session.query(last.into(), args.clone()).await?.into_iter().next() {
        let marks: Vec<String> = (2..parts.len() + 2).map(|n| format!("${n}")).collect();
        some.push_str(&format!(" AND ({columns}) <= ({})", marks.join(", ")));
        for _ in parts {
            args.push(row.text()?.into());
        }
    }
    let sums = SUMS.join(", ");
    let added = added(name, table.key(), SUMS);
    let add = format!(
        "INSERT INTO {name} (day, {columns}, {sums}) \
         SELECT substr(day, 1, 8) || '01', {columns}, {sums} FROM {name} WHERE {some}{added}"
    );
    session.execute(add.into(), args.clone()).await?;
    done.rows += session.execute(format!("DELETE FROM {name} WHERE {some}").into(), args).await?;
    // At least to learn that no day is left.
    done.more = true;
    Ok(())
}

/// Whether no other node does the same; until the transaction ends, none begins to. One writer at a time has SQLite anyway.
pub(super) async fn is_alone(dialect: Dialect, session: &mut dyn Session) -> Result<bool> {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let _ = session;
            Ok(true)
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => {
            // Several installations may have schemas of their own in one database.
            let sql = format!(
                "SELECT CASE WHEN pg_try_advisory_xact_lock({LOCK} + hashtext(current_schema())) THEN 1 ELSE 0 END"
            );
            let rows = session.query(sql.into(), Vec::new()).await?;
            Ok(rows.into_iter().next().map_or(Ok(0), |mut row| row.int())? == 1)
        }
    }
}

/// Notes up to when something may be gone: in the transaction that forgets it, and never back.
async fn mark(session: &mut dyn Session, what: &'static str, before: i64) -> Result<()> {
    let sql = "INSERT INTO sg_forgotten (what, before) VALUES ($1, $2) \
         ON CONFLICT (what) DO UPDATE SET before = excluded.before WHERE sg_forgotten.before < excluded.before";
    session.execute(sql.into(), vec![what.into(), before.into()]).await.map(drop)
}

/// No window of this kind is longer, in milliseconds; `None` for one without an end.
fn longest_ms(window: Window) -> Option<i64> {
    const HOUR: i64 = 3_600_000;
    Some(match window {
        Window::Minute => 60_000,
        Window::Hour => HOUR,
        // Clocks that are set back make the longest day, week and month: by two hours at the most.
        Window::Day => 26 * HOUR,
        Window::Week => (7 * 24 + 2) * HOUR,
        Window::Month => (31 * 24 + 2) * HOUR,
        Window::RollingMs(ms) => i64::try_from(ms).unwrap_or(i64::MAX),
        Window::Lifetime => return None,
    })
}
