//! Counts the records of earlier versions in the sums that those didn't have, once, before a store is taken into use.

use std::collections::HashSet;

use sluicegate_core::{RecordRow, Result, Timestamp};

use super::label::{Family, gather, insert as insert_label, insert_hourly, insert_tags, overflow, unknown};
use super::mend::SOURCES;
use super::record::day_of;
use super::rollup::{self, Derived, Period, Table, derive, duration_ms};
use super::row::{Value, from_json};
use super::{Dialect, Session, SqlStore};
use crate::store::{LABEL_OVERFLOW, Sums};

/// Records that are counted in one transaction.
const PIECE: i64 = 1_000;
/// A number that no other program locks on: `sluicg10` in ASCII.
#[cfg(feature = "postgres")]
const LOCK: i64 = 0x736c_7569_6367_3130;

impl SqlStore {
    /// Counts what isn't counted yet. Of several nodes that start, one does it, and the others wait.
    pub(super) async fn fill_rollups(&self) -> Result<()> {
        let mut counted = 0_u64;
        // BOUND: ends with the records that were there before.
        while let Some(more) = self.fill_piece().await? {
            counted += more;
            if counted.is_multiple_of(100_000) {
                tracing::info!(counted, "counting the records of an earlier version for reports");
            }
        }
        if counted > 0 {
            tracing::info!(counted, "the records of an earlier version are counted for reports");
        }
        Ok(())
    }

    /// How many records were counted; `None` when all are.
    async fn fill_piece(&self) -> Result<Option<u64>> {
        let dialect = self.database.dialect();
        let mut session = self.database.begin().await?;
        match dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {}
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT CAST(pg_advisory_xact_lock({LOCK} + hashtext(current_schema())) AS TEXT)"
                );
                session.query(sql.into(), Vec::new()).await?;
            }
        }
        let sql = "SELECT started_at, call_id FROM sg_rollup WHERE id = 1 AND done = 0";
        let Some(mut at) = session.query(sql.into(), Vec::new()).await?.into_iter().next() else {
            session.commit().await?;
            return Ok(None);
        };
        let (at, call) = (at.int()?, at.text()?);
        let sql = "SELECT started_at, call_id, body FROM sg_record WHERE started_at >= $1 AND \
             (started_at > $1 OR call_id > $2) ORDER BY started_at, call_id LIMIT $3";
        let rows = session.query(sql.into(), vec![at.into(), call.into(), PIECE.into()]).await?;
        let (mut records, mut last, read) = (Vec::with_capacity(rows.len()), None, rows.len() as u64);
        for mut row in rows {
            let (at, call) = (row.int()?, row.text()?);
            match from_json::<RecordRow>(&row.text()?) {
                Ok(record) => records.push(record),
                // It is in no report by the hour, and every other thing goes on.
                Err(error) => tracing::warn!(%call, %error, "an old record can't be read and isn't counted"),
            }
            last = Some((at, call));
        }
        let Some((at, call)) = last else {
            self.finish_filling(&mut *session).await?;
            session.commit().await?;
            return Ok(None);
        };
        self.count_old(&mut *session, &records).await?;
        let sql = "UPDATE sg_rollup SET started_at = $1, call_id = $2 WHERE id = 1";
        session.execute(sql.into(), vec![at.into(), call.into()]).await?;
        session.commit().await?;
        Ok(Some(read))
    }

    async fn count_old(&self, session: &mut dyn Session, records: &[RecordRow]) -> Result<()> {
        let (dialect, zone) = (self.database.dialect(), &self.time_zone);
        let sums = derive(records.iter(), zone);
        // Days have been counted as far as earlier versions did.
        let uncounted: Derived<'_> = sums.iter().map(|(at, sums)| (at.clone(), rest(sums))).collect();
        for table in Table::ALL {
            let sums = if table.period() == Period::Hour { &sums } else { &uncounted };
            rollup::insert(dialect, session, table, sums).await?;
        }
        rollup::insert_latency(dialect, session, records.iter(), zone).await?;
        let all: Vec<&RecordRow> = records.iter().collect();
        for (family, sums) in gather(&all, zone) {
            // Days whose labels have been forgotten stay without.
            if !has_labels(session, &family).await? {
                continue;
            }
            let labels = sums.keys().map(|((label, _), _)| label.to_string()).collect();
            let mut beyond: HashSet<String> = unknown(session, &family, labels).await?.into_iter().collect();
            beyond.remove(LABEL_OVERFLOW);
            let sums = overflow(sums, &beyond);
            insert_hourly(dialect, session, &family, &sums).await?;
            let uncounted = sums.iter().map(|(at, sums)| (at.clone(), rest(sums))).collect();
            insert_label(dialect, session, &family, &uncounted).await?;
        }
        insert_tags(dialect, session, &all).await?;
        for chunk in records.chunks(100) {
            mark_old(session, chunk).await?;
        }
        Ok(())
    }

    /// Days whose records are gone count the calls that they know of.
    async fn finish_filling(&self, session: &mut dyn Session) -> Result<()> {
        let sql = "SELECT COALESCE(MIN(started_at), 9000000000000000000) FROM sg_record";
        let first = session.query(sql.into(), Vec::new()).await?.into_iter().next();
        let first = Timestamp::from_ms(first.map_or(Ok(0), |mut row| row.int())?);
        let day = if first.as_ms() == 9_000_000_000_000_000_000 {
            "9999-12-31".to_owned()
        } else {
            day_of(first, &self.time_zone)
        };
        for table in [
            "sg_daily",
            "sg_day_owner",
            "sg_group_day",
            "sg_model_day",
            "sg_daily_label",
            "sg_label_day",
            "sg_label_model_day",
            "sg_label_owner_day",
            "sg_label_all_day",
        ] {
            let sql = format!("UPDATE {table} SET calls = requests WHERE day < $1 AND calls < requests");
            session.execute(sql.into(), vec![day.as_str().into()]).await?;
        }
        // A month may have days of both kinds.
        for (source, coarse) in SOURCES.iter().flat_map(|it| it.made.iter().map(move |coarse| (it, coarse))) {
            if coarse.is_longer(source) {
                session.execute(coarse.emptying("").into(), Vec::new()).await?;
                session.execute(coarse.filling(source, "").into(), Vec::new()).await?;
            }
        }
        session.execute("UPDATE sg_rollup SET done = 1 WHERE id = 1".into(), Vec::new()).await.map(drop)
    }
}

/// Whether labels of a day were counted, and haven't been forgotten since.
async fn has_labels(session: &mut dyn Session, (day, organization, kind): &Family<'_>) -> Result<bool> {
    let sql = "SELECT labels FROM sg_label_count WHERE day = $1 AND organization_id = $2 AND kind = $3";
    let args = vec![Value::from(&**day), Value::from(*organization), Value::from(*kind)];
    Ok(!session.query(sql.into(), args).await?.is_empty())
}

/// What earlier versions didn't count.
fn rest(sums: &Sums) -> Sums {
    Sums {
        calls: sums.calls,
        denials: sums.denials,
        reasoning_tokens: sums.reasoning_tokens,
        duration_ms: sums.duration_ms,
        firsts: sums.firsts,
        first_ms: sums.first_ms,
        ..Sums::default()
    }
}

/// Columns of the log that earlier versions didn't have.
async fn mark_old(session: &mut dyn Session, records: &[RecordRow]) -> Result<()> {
    let mut args: Vec<Value> = Vec::with_capacity(records.len() * 5);
    let mut marks = Vec::with_capacity(records.len());
    for record in records {
        let n = args.len();
        marks.push(format!(
            "SELECT CAST(${} AS TEXT) AS call, CAST(${} AS BIGINT) AS at, CAST(${} AS TEXT) AS error, \
             CAST(${} AS TEXT) AS customer, CAST(${} AS BIGINT) AS took",
            n + 1,
            n + 2,
            n + 3,
            n + 4,
            n + 5
        ));
        args.extend([
            record.call.as_str().into(),
            record.started_at.as_ms().into(),
            record.error.as_deref().into(),
            record.customer.as_deref().and_then(super::label::label).as_deref().into(),
            duration_ms(record).into(),
        ]);
    }
    let sql = format!(
        "UPDATE sg_record SET error = old.error, customer = old.customer, duration_ms = old.took \
         FROM ({}) old WHERE sg_record.call_id = old.call AND sg_record.started_at = old.at",
        marks.join(" UNION ALL ")
    );
    session.execute(sql.into(), args).await.map(drop)
}
