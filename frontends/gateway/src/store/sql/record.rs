//! Appending records and balances, and deriving daily sums from them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use sluicegate_core::hash;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::Balance;
use sluicegate_core::ports::Checkpoint;
use sluicegate_core::{
    Metric, ModelName, RecordEntry, RecordRow, Result, Scope, ScopeKind, Timestamp, Window,
};

use super::label::label;
use super::rollup::{self, Table, derive, duration_ms};
use super::row::{Value, to_json};
use super::{Dialect, Session, Sql, SqlStore};
use crate::record::BATCH;
use crate::store::Sums;

/// Rows of one statement: few sizes, so that few statements are prepared.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

impl SqlStore {
    pub(super) async fn append_batch(
        &self,
        records: &[RecordEntry],
        balances: &[Balance],
        checkpoint: Option<Checkpoint>,
    ) -> Result<()> {
        let dialect = self.database.dialect();
        let mut session = self.database.begin().await?;
        let hasty = self.is_behind(records.len());
        self.database.in_haste(hasty);
        let most = rows_at_once(dialect, hasty);
        let fresh: Vec<&RecordRow> = if insert_records(dialect, &mut *session, records, most).await? {
            records.iter().map(|entry| &**entry).collect()
        } else {
            // Some were there already: begins anew, and finds out which. Rare: a batch whose commit wasn't confirmed.
            drop(session);
            session = self.database.begin().await?;
            let mut new = HashSet::new();
            insert_new_records(dialect, &mut *session, records, &mut new).await?;
            // A record that was there already has been counted; so has one that comes twice in a batch.
            records.iter().map(|entry| &**entry).filter(|record| new.remove(record.call.as_str())).collect()
        };
        let sums = derive(fresh.iter().copied(), &self.time_zone);
        for table in Table::ALL {
            rollup::insert(dialect, &mut *session, table, &sums).await?;
        }
        rollup::insert_latency(dialect, &mut *session, fresh.iter().copied(), &self.time_zone).await?;
        self.take_labels(&mut *session, &fresh).await?;
        insert_balances(dialect, &mut *session, balances).await?;
        if let Some(checkpoint) = checkpoint {
            set_position(&mut *session, checkpoint).await?;
        }
        session.commit().await?;
        self.database.in_haste(false);
        Ok(())
    }

    /// Whether more comes than is written: behind two full batches there is mostly a third.
    fn is_behind(&self, records: usize) -> bool {
        if records < BATCH {
            self.full_batches.store(0, Ordering::Relaxed);
            return false;
        }
        self.full_batches.fetch_add(1, Ordering::Relaxed) > 0
    }

    pub(super) async fn stored_position(&self, journal: JournalId) -> Result<u64> {
        let sql = "SELECT position FROM sg_journal WHERE id = $1";
        let rows = self.fetch(sql, vec![journal.to_string().into()]).await?;
        let position = rows.into_iter().next().map_or(Ok(0), |mut row| row.int())?;
        Ok(u64::try_from(position).unwrap_or_default())
    }

    pub(super) async fn list_journals(&self) -> Result<Vec<JournalId>> {
        let rows = self.fetch("SELECT id FROM sg_journal", Vec::new()).await?;
        let mut journals = Vec::with_capacity(rows.len());
        for mut row in rows {
            // What isn't one was written by nobody we know.
            journals.extend(u128::from_str_radix(&row.text()?, 16).map(JournalId));
        }
        Ok(journals)
    }

    pub(super) async fn list_balances(&self) -> Result<Vec<Balance>> {
        let sql = "SELECT scope_kind, scope_id, metric, span, model, window_start, settled, held, carried FROM sg_balance";
        let mut balances = Vec::new();
        for mut row in self.fetch(sql, Vec::new()).await? {
            let (kind, id, metric, span, model) =
                (row.text()?, row.text()?, row.text()?, row.text()?, row.text()?);
            let (Some(kind), Some(metric), Some(window)) =
                (scope_kind(&kind), parse_metric(&metric), parse_window(&span))
            else {
                tracing::warn!(%kind, %id, %metric, %span, "a stored balance isn't understood and is left alone");
                continue;
            };
            balances.push(Balance {
                scope: Scope::new(kind, id),
                metric,
                window,
                model: Some(model).filter(|model| !model.is_empty()).map(ModelName::from),
                window_start: Timestamp::from_ms(row.int()?),
                settled: row.int()?,
                held: row.int()?,
                carried: row.int()?,
            });
        }
        Ok(balances)
    }
}

/// Texts of statements, by what they do, in whose SQL, and for how many rows.
type Made = HashMap<(Append, Dialect, usize), &'static str>;

async fn set_position(session: &mut dyn Session, checkpoint: Checkpoint) -> Result<()> {
    const SQL: &str = "INSERT INTO sg_journal (id, position) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET position = excluded.position";
    // INVARIANT: a journal of 2⁶³ events would take thousands of years.
    let position = i64::try_from(checkpoint.position).unwrap_or(i64::MAX);
    let args = vec![checkpoint.journal.to_string().into(), position.into()];
    session.execute(SQL.into(), args).await.map(drop)
}

/// A statement that appends, for as many rows as a chunk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Append {
    /// Records, those that are there already left alone.
    Records,
    /// The same, telling which were new.
    NewRecords,
    /// Sums, added to those that are there.
    Sums(Table),
    /// Balances, in place of those that are there.
    Balances,
    /// Daily sums of labels, added to those that are there.
    Labels,
    /// Hourly ones.
    HourLabels,
    /// Daily ones by group alone.
    LabelDays,
    /// Monthly ones.
    LabelMonths,
    /// Daily ones by model and channel.
    LabelModelDays,
    /// Monthly ones.
    LabelModelMonths,
    /// Daily ones by key.
    LabelOwnerDays,
    /// Those of thirds of months.
    LabelOwnerThirds,
    /// Monthly ones.
    LabelOwnerMonths,
    /// Daily ones of all labels.
    LabelAllDays,
    /// Hourly ones of all labels.
    LabelAllHours,
    /// Hourly ones that tell nothing else apart.
    LabelHours,
    /// How long calls took, added to what is there.
    Latency,
    /// Tags, those that are there already left alone.
    Tags,
    /// Earlier attempts, those that are there already left alone.
    Attempts,
}

impl Append {
    pub(super) fn sql(self, dialect: Dialect, rows: usize) -> Sql {
        static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
        // BOUND: some twenty statements in the sizes of `CHUNKS` for two dialects. They are made once, as long as they are.
        let made = *MADE
            .lock()
            .entry((self, dialect, rows))
            .or_insert_with(|| Box::leak(self.make(dialect, rows).into_boxed_str()));
        made.into()
    }

    fn make(self, dialect: Dialect, rows: usize) -> String {
        let (table, key, others) = self.target();
        let columns = [key, others].concat();
        let insert = match dialect {
            // A batch is written whole or not at all: SQLite needn't keep what a statement changes to undo it alone.
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "INSERT OR ROLLBACK",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "INSERT",
        };
        let mut sql = format!("{insert} INTO {table} ({}) VALUES ", columns.join(", "));
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..columns.len() {
                sql.push_str(if column == 0 { "" } else { ", " });
                match dialect {
                    // QUIRK(sqlite, 3.50, https://sqlite.org/c3ref/bind_parameter_name.html): sqlx asks the name of each
                    // argument before it binds it, and SQLite finds a name by walking all of them; an argument
                    // without a name is found at once.
                    #[cfg(feature = "sqlite")]
                    Dialect::Sqlite => sql.push('?'),
                    #[cfg(feature = "postgres")]
                    Dialect::Postgres => sql.push_str(&format!("${}", row * columns.len() + column + 1)),
                }
            }
            sql.push(')');
        }
        sql.push_str(&self.conflict());
        sql
    }

    /// The table, the columns that tell its rows apart, and the others.
    fn target(self) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
        match self {
            Append::Records | Append::NewRecords => ("sg_record", RECORD, &[]),
            Append::Sums(table) => (table.name(), table.key(), SUMS),
            Append::Balances => ("sg_balance", BALANCE, AMOUNTS),
            Append::Labels => ("sg_daily_label", LABEL, SUMS),
            Append::HourLabels => ("sg_hour_label", HOUR_LABEL, SUMS),
            Append::LabelDays => ("sg_label_day", LABEL_DAY, SUMS),
            Append::LabelMonths => ("sg_label_month", LABEL_MONTH, SUMS),
            Append::LabelModelDays => ("sg_label_model_day", LABEL_MODEL_DAY, SUMS),
            Append::LabelModelMonths => ("sg_label_model_month", LABEL_MODEL_MONTH, SUMS),
            Append::LabelOwnerDays => ("sg_label_owner_day", LABEL_OWNER_DAY, SUMS),
            Append::LabelOwnerThirds => ("sg_label_owner_third", LABEL_OWNER_DAY, SUMS),
            Append::LabelOwnerMonths => ("sg_label_owner_month", LABEL_OWNER_MONTH, SUMS),
            Append::LabelAllDays => ("sg_label_all_day", &["kind", "day", "organization_id"], SUMS),
            Append::LabelAllHours => ("sg_label_all_hour", &["kind", "hour", "organization_id"], SUMS),
            Append::LabelHours => ("sg_label_hour", LABEL_HOUR, SUMS),
            Append::Latency => ("sg_took", TOOK, &["calls", "firsts"]),
            Append::Tags => ("sg_record_tag", &["tag", "started_at", "call_id"], &[]),
            Append::Attempts => ("sg_attempt", &["started_at", "channel_id", "call_id"], &[]),
        }
    }

    fn conflict(self) -> String {
        let (table, key, others) = self.target();
        match self {
            // Without a target: a partitioned table's key has the time besides the call.
            Append::Records | Append::Attempts | Append::Tags => " ON CONFLICT DO NOTHING".to_owned(),
            Append::NewRecords => " ON CONFLICT DO NOTHING RETURNING call_id".to_owned(),
            Append::Sums(_)
            | Append::Labels
            | Append::HourLabels
            | Append::LabelDays
            | Append::LabelMonths
            | Append::LabelModelDays
            | Append::LabelModelMonths
            | Append::LabelOwnerDays
            | Append::LabelOwnerThirds
            | Append::LabelOwnerMonths
            | Append::LabelAllDays
            | Append::LabelAllHours
            | Append::LabelHours
            | Append::Latency => added(table, key, others),
            Append::Balances => {
                let replaced: Vec<_> = others.iter().map(|c| format!("{c} = excluded.{c}")).collect();
                format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), replaced.join(", "))
            }
        }
    }
}

/// Adds to the sums of the row that is there.
pub(super) fn added(table: &str, key: &[&str], sums: &[&str]) -> String {
    let added: Vec<_> = sums.iter().map(|c| format!("{c} = {table}.{c} + excluded.{c}")).collect();
    format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), added.join(", "))
}

const RECORD: &[&str] = &[
    "call_id",
    "started_at",
    "organization_id",
    "group_id",
    "user_id",
    "key_id",
    "model",
    "channel_id",
    "outcome",
    "input_tokens",
    "output_tokens",
    "spend",
    "body",
    "error",
    "customer",
    "duration_ms",
    "answer",
];

const LABEL: &[&str] =
    &["day", "organization_id", "kind", "label", "group_id", "user_id", "key_id", "model", "channel_id"];

const HOUR_LABEL: &[&str] =
    &["hour", "organization_id", "kind", "label", "group_id", "user_id", "key_id", "model", "channel_id"];

const TOOK: &[&str] = &["span", "slot", "organization_id", "group_id", "bucket"];

const LABEL_DAY: &[&str] = &["kind", "day", "organization_id", "label", "group_id"];

const LABEL_MONTH: &[&str] = &["kind", "month", "organization_id", "label", "group_id"];

const LABEL_MODEL_DAY: &[&str] = &["kind", "day", "organization_id", "label", "model", "channel_id"];

const LABEL_MODEL_MONTH: &[&str] = &["kind", "month", "organization_id", "label", "model", "channel_id"];

const LABEL_OWNER_DAY: &[&str] =
    &["kind", "day", "organization_id", "label", "group_id", "user_id", "key_id"];

const LABEL_OWNER_MONTH: &[&str] =
    &["kind", "month", "organization_id", "label", "group_id", "user_id", "key_id"];

const LABEL_HOUR: &[&str] = &["kind", "hour", "organization_id", "label"];

/// The columns of [`Sums`], in the order in which [`sums_args`] gives them.
pub(super) const SUMS: &[&str] = &[
    "requests",
    "failures",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "spend",
    "cost",
    "calls",
    "denials",
    "reasoning_tokens",
    "duration_ms",
    "firsts",
    "first_ms",
];

/// Sums as arguments.
pub(super) fn sums_args(s: &Sums) -> [Value; Sums::COUNT] {
    [
        s.requests,
        s.failures,
        s.attempts,
        s.input_tokens,
        s.output_tokens,
        s.cache_read_tokens,
        s.cache_write_tokens,
        s.spend,
        s.cost,
        s.calls,
        s.denials,
        s.reasoning_tokens,
        s.duration_ms,
        s.firsts,
        s.first_ms,
    ]
    .map(Value::from)
}

const BALANCE: &[&str] = &["scope_kind", "scope_id", "metric", "span", "model", "window_start"];
const AMOUNTS: &[&str] = &["settled", "held", "carried"];

/// Inserts the records; false when some were there already, and then not all of the others are.
async fn insert_records(
    dialect: Dialect,
    session: &mut dyn Session,
    records: &[RecordEntry],
    most: usize,
) -> Result<bool> {
    let mut rest = records;
    while let Some((chunk, after)) = chunk_of(rest, most) {
        let sql = Append::Records.sql(dialect, chunk.len());
        if session.execute(sql, record_args(chunk)?).await? < chunk.len() as u64 {
            return Ok(false);
        }
        rest = after;
    }
    Ok(true)
}

/// Inserts those records that aren't there yet, and says which.
async fn insert_new_records(
    dialect: Dialect,
    session: &mut dyn Session,
    records: &[RecordEntry],
    new: &mut HashSet<String>,
) -> Result<()> {
    let mut rest = records;
    while let Some((chunk, after)) = chunk(rest) {
        let sql = Append::NewRecords.sql(dialect, chunk.len());
        for mut row in session.query(sql, record_args(chunk)?).await? {
            new.insert(row.text()?);
        }
        rest = after;
    }
    Ok(())
}

fn record_args(records: &[RecordEntry]) -> Result<Vec<Value>> {
    let mut args = Vec::with_capacity(records.len() * RECORD.len());
    for record in records {
        args.extend::<[Value; 17]>([
            shared(&record.call),
            record.started_at.as_ms().into(),
            shared(&record.organization),
            record.group.as_ref().map(<Arc<str>>::from).into(),
            record.user.as_ref().map(<Arc<str>>::from).into(),
            record.key.as_ref().map(<Arc<str>>::from).into(),
            shared(&record.model),
            record.attempts.last().map(|attempt| <Arc<str>>::from(&attempt.channel)).into(),
            to_json(&record.outcome)?.trim_matches('"').into(),
            count(record.usage.input_tokens()).into(),
            count(record.usage.output_tokens()).into(),
            record.spend.into(),
            Arc::clone(record.json()).into(),
            record.error.as_deref().into(),
            record.customer.as_deref().and_then(label).as_deref().into(),
            duration_ms(record).into(),
            record.answer.as_deref().map(answer_hash).into(),
        ]);
    }
    Ok(args)
}

/// What a call is found by of its answer's id: eight bytes, however long that is.
pub(super) fn answer_hash(id: &str) -> i64 {
    hash::stable(id.as_bytes()).cast_signed()
}

/// A name as an argument, without copying it.
fn shared<'a, T>(name: &'a T) -> Value
where
    Arc<str>: From<&'a T>,
{
    Value::Shared(name.into())
}

async fn insert_balances(dialect: Dialect, session: &mut dyn Session, balances: &[Balance]) -> Result<()> {
    // The last of several balances of one counter is the one that holds; a statement can't touch a row twice.
    let mut last = BTreeMap::new();
    for b in balances {
        let model = b.model.as_ref().map_or("", |model| model.as_str());
        let key = (
            b.scope.kind.as_str(),
            &*b.scope.id,
            b.metric.as_str(),
            b.window.to_string(),
            model,
            b.window_start.as_ms(),
        );
        last.insert(key, (b.settled, b.held, b.carried));
    }
    let rows: Vec<_> = last.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((chunk, after)) = chunk(rest) {
        let mut args = Vec::with_capacity(chunk.len() * (BALANCE.len() + AMOUNTS.len()));
        for ((kind, id, metric, span, model, start), (settled, held, carried)) in chunk {
            args.extend::<[Value; 9]>([
                (*kind).into(),
                (*id).into(),
                (*metric).into(),
                span.as_str().into(),
                (*model).into(),
                (*start).into(),
                (*settled).into(),
                (*held).into(),
                (*carried).into(),
            ]);
        }
        session.execute(Append::Balances.sql(dialect, chunk.len()), args).await?;
        rest = after;
    }
    Ok(())
}

pub(super) fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The day of an instant in a zone, as `YYYY-MM-DD`.
pub(super) fn day_of(at: Timestamp, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
    zone.to_datetime(instant).date().to_string()
}

/// The next rows that one statement takes, and those after them.
pub(super) fn chunk<T>(rows: &[T]) -> Option<(&[T], &[T])> {
    chunk_of(rows, CHUNKS[0])
}

/// Likewise, at most so many.
fn chunk_of<T>(rows: &[T], most: usize) -> Option<(&[T], &[T])> {
    CHUNKS.iter().filter(|size| **size <= most).find_map(|size| rows.split_at_checked(*size))
}

/// How many records one statement takes. SQLite binds a statement's arguments in one go, during which nobody else has the
/// core: a quarter of a millisecond for 64 records.
fn rows_at_once(dialect: Dialect, hasty: bool) -> usize {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite if !hasty => CHUNKS[1],
        _ => CHUNKS[0],
    }
}

fn scope_kind(word: &str) -> Option<ScopeKind> {
    serde_json::from_value(word.into()).ok()
}

fn parse_metric(word: &str) -> Option<Metric> {
    Metric::ALL.into_iter().find(|metric| metric.as_str() == word)
}

/// Reads what [`Window`]'s `Display` wrote.
pub(super) fn parse_window(word: &str) -> Option<Window> {
    if let Some(ms) = word.strip_prefix("rolling:") {
        return ms.strip_suffix("ms")?.parse().ok().map(Window::RollingMs);
    }
    [Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month, Window::Lifetime]
        .into_iter()
        .find(|window| window.to_string() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_survives_being_written() {
        use Window::{Day, Hour, Lifetime, Minute, Month, RollingMs, Week};
        for window in [Minute, Hour, Day, Week, Month, Lifetime, RollingMs(18_000_000)] {
            assert_eq!(parse_window(&window.to_string()), Some(window));
        }
        assert_eq!(parse_window("fortnight"), None);
    }

    #[test]
    fn statements_number_their_arguments_as_the_dialect_wants() {
        let sql = Append::Balances.sql(Dialect::Postgres, 4);
        assert!(
            sql.contains("VALUES ($1, $2, ") && sql.contains(", $36) ON CONFLICT (scope_kind, "),
            "{sql}"
        );
        let sql = Append::Balances.sql(Dialect::Sqlite, 1);
        assert!(sql.contains("VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"), "{sql}");
        assert!(Append::Sums(Table::Daily).sql(Dialect::Sqlite, 1).contains("(day, organization_id, group_id, user_id, key_id, model, channel_id) DO UPDATE SET requests = sg_daily.requests + excluded.requests"));
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let at = Timestamp::from_ms(1_767_200_400_000); // 2025-12-31T17:00:00Z
        assert_eq!(day_of(at, &TimeZone::UTC), "2025-12-31");
        assert_eq!(day_of(at, &TimeZone::get("Asia/Shanghai").unwrap()), "2026-01-01");
    }

    #[test]
    fn few_sizes_of_statement_take_any_number_of_rows() {
        let rows: Vec<u32> = (0..150).collect();
        let (mut rest, mut sizes) = (rows.as_slice(), Vec::new());
        while let Some((now, after)) = chunk(rest) {
            sizes.push(now.len());
            rest = after;
        }
        assert_eq!(sizes, [64, 64, 16, 4, 1, 1]);
    }
}
