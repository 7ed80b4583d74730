//! What was used by each tag or end customer, and by how many users: counted where the sums are, so that an answer is as long as
//! what it tells of.

use std::collections::BTreeMap;

use sluicegate_core::{RecordRow, Result, Timestamp};

use super::directory::reach_of;
use super::record::day_of;
use super::report::label_table;
use super::rollup::{Period, derive};
use super::usage::{DAILY_SUMS, owners, sums};
use super::{SqlStore, Where};
use crate::store::{Dimension, LabelQuery, LabelUse, Reach, SharedUse, Sums};

impl SqlStore {
    pub(super) async fn sum_labels(&self, query: &LabelQuery, reach: &Reach) -> Result<Vec<LabelUse>> {
        let mut find = Where::default();
        let kind = if query.of == Dimension::Customer { "customer" } else { "tag" };
        find.and("kind = ?", [kind.into()]);
        owners(&mut find, &query.filter);
        if !query.labels.is_empty() {
            find.one_of("label", query.labels.iter().map(String::as_str));
        }
        reach_of(&mut find, reach, "group_id", "user_id", "key_id");
        let is_of_all_time = query.filter.from.is_none() && query.filter.to.is_none();
        let told: &[&str] = if query.users { &["label", "user_id"] } else { &["label"] };
        let (whole, day) = (label_table(Period::Month, &find, told), label_table(Period::Day, &find, told));
        let table = whole.filter(|_| is_of_all_time).or(day).unwrap_or("sg_daily_label");
        let at = |at| day_of(at, &self.time_zone);
        // The last day is the one that `to`, which is excluded, ends in.
        find.maybe("day >= ?", query.filter.from.map(at))
            .maybe("day <= ?", query.filter.to.map(|to| at(to.plus_ms(-1))));
        let users = match query.users {
            // Calls of nobody's are nobody's.
            true => "COUNT(DISTINCT CASE WHEN user_id <> '' THEN user_id END)",
            false => "CAST(0 AS BIGINT)",
        };
        find.args.push(i64::from(query.limit).into());
        let limit = find.args.len();
        // The most users first, then the most calls.
        let (sql, args) = find.wrap(
            &format!(
                "SELECT label, {users}, CAST(COALESCE(SUM(calls), 0) AS BIGINT), {} FROM {table}",
                *DAILY_SUMS
            ),
            &format!(" GROUP BY label ORDER BY 2 DESC, 3 DESC, 1 LIMIT ${limit}"),
        );
        let mut rows = Vec::new();
        for mut row in self.fetch(sql, args).await? {
            let (label, users, _) = (row.text()?, row.int()?, row.int()?);
            let users = u64::try_from(users).unwrap_or_default();
            rows.push(LabelUse { label, users, sums: sums(&mut row)? });
        }
        Ok(rows)
    }
}

/// So many calls are read that have several of the tags that are asked about.
// BOUND: memory and time of an answer.
const SHARED_MAX: usize = 10_000;

impl SqlStore {
    /// What calls used that have several of these tags: once for each tag beyond the first.
    pub(super) async fn sum_shared(
        &self,
        query: &LabelQuery,
        reach: &Reach,
    ) -> Result<Option<Vec<SharedUse>>> {
        let filter = &query.filter;
        let mut tagged = Where::default();
        tagged
            .one_of("tag", query.labels.iter().map(String::as_str))
            .maybe("started_at >= ?", filter.from.map(Timestamp::as_ms))
            .maybe("started_at < ?", filter.to.map(Timestamp::as_ms));
        // Its arguments are numbered on from those.
        let mut find = Where { args: std::mem::take(&mut tagged.args), ..Where::default() };
        owners(&mut find, filter);
        reach_of(&mut find, reach, "group_id", "user_id", "key_id");
        let (inner, _) = tagged.wrap(
            "SELECT started_at AS at, call_id AS call, COUNT(*) AS tags FROM sg_record_tag",
            " GROUP BY started_at, call_id HAVING COUNT(*) > 1",
        );
        let (sql, args) = find.wrap(
            &format!(
                "SELECT shared.tags, body FROM ({inner}) shared JOIN sg_record \
                 ON sg_record.started_at = shared.at AND sg_record.call_id = shared.call"
            ),
            &format!(" LIMIT {}", SHARED_MAX + 1),
        );
        let rows = self.fetch(sql, args).await?;
        if rows.len() > SHARED_MAX {
            return Ok(None);
        }
        let mut all: BTreeMap<[String; 4], Sums> = BTreeMap::new();
        for mut row in rows {
            let (tags, record): (i64, RecordRow) = (row.int()?, row.json()?);
            for ((slot, [_, _, _, key, model, channel]), sums) in
                derive(std::iter::once(&record), &self.time_zone)
            {
                let shared = all.entry([&*slot.day, key, model, channel].map(str::to_owned)).or_default();
                // BOUND: the tags that are asked about.
                (1..tags).for_each(|_| shared.add(&sums));
            }
        }
        let one = |([day, key, model, channel], sums): ([String; 4], Sums)| SharedUse {
            day,
            key,
            model,
            channel,
            sums,
        };
        Ok(Some(all.into_iter().map(one).collect()))
    }
}
