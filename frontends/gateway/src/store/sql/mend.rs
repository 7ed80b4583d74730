//! Compares coarser sums with the finer ones that they are made of, month by month, and makes anew those that don't agree: a node
//! of an earlier version that is still up knows nothing of tables that came later, and goes on writing what they are made of.

use jiff::ToSpan as _;
use jiff::civil::Date;
use sluicegate_core::{Result, Timestamp};

use super::forget::is_alone;
use super::record::SUMS;
use super::rollup::Period;
use super::row::Value;
use super::usage::{DAILY_SUMS, sums};
use super::{Dialect, Row, Session, SqlStore};

/// Sums that everything is told apart in, and those that are made of them.
pub(super) struct Source {
    table: &'static str,
    period: Period,
    /// Whether months that have become one sum are in it still.
    is_for_ever: bool,
    pub(super) made: &'static [Coarse],
}

/// Sums of longer times, or that tell less apart.
pub(super) struct Coarse {
    table: &'static str,
    period: Period,
    /// What tells them apart besides the time.
    key: &'static str,
}

const fn coarse(table: &'static str, period: Period, key: &'static str) -> Coarse {
    Coarse { table, period, key }
}

const PLACE: &str = "organization_id, group_id, user_id, key_id, model, channel_id";
const OWNER: &str = "organization_id, group_id, user_id, key_id";
const GROUP: &str = "organization_id, group_id";
const MODEL: &str = "organization_id, model, channel_id";
const LABEL: &str = "kind, organization_id, label";
const LABEL_GROUP: &str = "kind, organization_id, label, group_id";
const LABEL_MODEL: &str = "kind, organization_id, label, model, channel_id";
const LABEL_OWNER: &str = "kind, organization_id, label, group_id, user_id, key_id";

/// All there is.
pub(super) const SOURCES: [Source; 4] = [
    Source {
        table: "sg_daily",
        period: Period::Day,
        is_for_ever: true,
        made: &[
            coarse("sg_day_owner", Period::Day, OWNER),
            coarse("sg_group_day", Period::Day, GROUP),
            coarse("sg_model_day", Period::Day, MODEL),
            coarse("sg_third", Period::Third, PLACE),
            coarse("sg_owner_third", Period::Third, OWNER),
            coarse("sg_month", Period::Month, PLACE),
        ],
    },
    Source {
        table: "sg_daily_label",
        period: Period::Day,
        is_for_ever: false,
        made: &[
            coarse("sg_label_day", Period::Day, LABEL_GROUP),
            coarse("sg_label_model_day", Period::Day, LABEL_MODEL),
            coarse("sg_label_month", Period::Month, LABEL_GROUP),
            coarse("sg_label_model_month", Period::Month, LABEL_MODEL),
            coarse("sg_label_all_day", Period::Day, "kind, organization_id"),
            coarse("sg_label_owner_day", Period::Day, LABEL_OWNER),
            coarse("sg_label_owner_third", Period::Third, LABEL_OWNER),
            coarse("sg_label_owner_month", Period::Month, LABEL_OWNER),
        ],
    },
    Source {
        table: "sg_hour",
        period: Period::Hour,
        is_for_ever: false,
        made: &[
            coarse("sg_organization_hour", Period::Hour, "organization_id"),
            coarse("sg_hour_by_model", Period::Hour, "organization_id, model"),
            coarse("sg_hour_by_channel", Period::Hour, "organization_id, channel_id"),
            coarse("sg_hour_by_user", Period::Hour, "organization_id, group_id, user_id"),
            coarse("sg_group_hour", Period::Hour, GROUP),
            coarse("sg_model_hour", Period::Hour, MODEL),
        ],
    },
    Source {
        table: "sg_hour_label",
        period: Period::Hour,
        is_for_ever: false,
        made: &[
            coarse("sg_label_all_hour", Period::Hour, "kind, organization_id"),
            coarse("sg_label_hour", Period::Hour, LABEL),
        ],
    },
];

/// What `sg_rollup` calls how far sums have been compared. A step of the schema that makes further sums deletes it.
const COMPARED: i64 = 2;

/// Nobody who writes records waits longer than this for it.
#[cfg(feature = "postgres")]
const PATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

impl Coarse {
    /// Whether its times are longer than those that it is made of.
    pub(super) fn is_longer(&self, source: &Source) -> bool {
        self.period != source.period
    }

    /// Adds all that it is made of, of a time or of all times, to an empty table.
    pub(super) fn filling(&self, source: &Source, condition: &str) -> String {
        let (table, key, from) = (self.table, self.key, source.table);
        let slot = match self.period {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Third => {
                "substr(day, 1, 8) || CASE WHEN substr(day, 9, 2) < '11' THEN '01' \
                 WHEN substr(day, 9, 2) < '21' THEN '11' ELSE '21' END"
            }
            Period::Month => "substr(day, 1, 8) || '01'",
        };
        let columns = SUMS.join(", ");
        let added: Vec<String> = SUMS.iter().map(|column| format!("SUM({column})")).collect();
        format!(
            "INSERT INTO {table} ({}, {key}, {columns}) SELECT {slot}, {key}, {} FROM {from}{condition} GROUP BY {slot}, {key}",
            time(self.period),
            added.join(", ")
        )
    }

    pub(super) fn emptying(&self, condition: &str) -> String {
        format!("DELETE FROM {}{condition}", self.table)
    }
}

/// The column of a table's time.
fn time(period: Period) -> &'static str {
    match period {
        Period::Hour => "hour",
        Period::Day | Period::Third => "day",
        Period::Month => "month",
    }
}

impl SqlStore {
    /// Makes anew what doesn't agree with what it is made of; how many months of how many tables. All months the first time, and
    /// then those that are still written to: the one of `now`, and the one before.
    pub(super) async fn mend_sums(&self, now: Timestamp) -> Result<u64> {
        let Some((first, last)) = self.days_kept().await? else { return Ok(0) };
        let whole = self.whole_months().await?.first;
        let (mut mended, mut is_all) = (0, true);
        let mut month = first.first_of_month().max(self.compared_before().await?);
        // BOUND: months between the first day that was written and the last.
        while month <= last {
            for source in SOURCES.iter().filter(|it| it.is_for_ever || month >= whole) {
                // Given back before anything is written: a database in memory has one connection.
                let unequal = self.unequal(&mut *self.database.read().await?, source, month).await?;
                for coarse in unequal {
                    match self.make_anew(source, coarse, month).await? {
                        Some(made) => mended += u64::from(made),
                        None => is_all = false,
                    }
                }
            }
            let next = month.saturating_add(1.month());
            if next <= month {
                break;
            }
            month = next;
        }
        if is_all {
            let before = self.date_of(now).first_of_month().saturating_sub(1.month());
            self.set_compared(before).await?;
        }
        Ok(mended)
    }

    /// Which sums of a month don't agree with what they are made of.
    async fn unequal(
        &self,
        session: &mut dyn Session,
        source: &'static Source,
        month: Date,
    ) -> Result<Vec<&'static Coarse>> {
        // At once, for more is written all the time.
        let (mut selects, mut args) = (Vec::new(), Vec::new());
        let tables = source.made.iter().map(|it| (it.table, it.period));
        for (n, (table, period)) in [(source.table, source.period)].into_iter().chain(tables).enumerate() {
            let condition = self.of_month(period, month, &mut args);
            selects.push(format!("SELECT {n}, {} FROM {table}{condition}", *DAILY_SUMS));
        }
        let sql = format!("{} ORDER BY 1", selects.join(" UNION ALL "));
        let read = |mut row: Row| {
            row.int()?;
            sums(&mut row)
        };
        let all = session.query(sql.into(), args).await?.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        let Some((want, found)) = all.split_first() else { return Ok(Vec::new()) };
        Ok(source.made.iter().zip(found).filter(|(_, found)| *found != want).map(|(it, _)| it).collect())
    }

    /// Whether it was still to do; `None` where another node is at work.
    async fn make_anew(&self, source: &'static Source, coarse: &Coarse, month: Date) -> Result<Option<bool>> {
        let dialect = self.database.dialect();
        let mut session = self.database.begin().await?;
        if !is_alone(dialect, &mut *session).await? {
            return Ok(None);
        }
        match dialect {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {}
            // Nobody may add to what it is made of meanwhile: whoever does writes records first.
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                session.execute(PATIENCE.into(), Vec::new()).await?;
                session.execute("LOCK TABLE sg_record IN SHARE MODE".into(), Vec::new()).await?;
            }
        }
        let unequal = self.unequal(&mut *session, source, month).await?;
        if !unequal.iter().any(|it| it.table == coarse.table) {
            return Ok(Some(false));
        }
        let mut args = Vec::new();
        let condition = self.of_month(coarse.period, month, &mut args);
        session.execute(coarse.emptying(&condition).into(), args).await?;
        let mut args = Vec::new();
        let condition = self.of_month(source.period, month, &mut args);
        session.execute(coarse.filling(source, &condition).into(), args).await?;
        session.commit().await?;
        tracing::info!(sums = coarse.table, %month, "sums that another version didn't write are made anew");
        Ok(Some(true))
    }

    /// A condition for what is of a month.
    fn of_month(&self, period: Period, month: Date, args: &mut Vec<Value>) -> String {
        for date in [month, month.saturating_add(1.month())] {
            args.push(match period {
                Period::Hour => self.start_of(Some(date)).as_ms().into(),
                _ => date.to_string().into(),
            });
        }
        let (time, n) = (time(period), args.len());
        format!(" WHERE {time} >= ${} AND {time} < ${n}", n - 1)
    }

    async fn compared_before(&self) -> Result<Date> {
        let sql = "SELECT started_at FROM sg_rollup WHERE id = $1";
        let rows = self.fetch(sql, vec![COMPARED.into()]).await?;
        let at = rows.into_iter().next().map(|mut row| row.int()).transpose()?;
        Ok(at.map_or(Date::MIN, |at| self.date_of(Timestamp::from_ms(at)).first_of_month()))
    }

    async fn set_compared(&self, before: Date) -> Result<()> {
        let sql = "INSERT INTO sg_rollup (id, started_at, call_id, done) VALUES ($1, $2, '', 1) \
             ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at";
        let mut session = self.database.begin().await?;
        let args = vec![COMPARED.into(), self.start_of(Some(before)).as_ms().into()];
        session.execute(sql.into(), args).await?;
        session.commit().await
    }
}
