//! Calls that failed, or took long, counted where they are: by an index that knows them, and no further back than a bounded number
//! of them.

use sluicegate_core::{KeyId, ModelName, OrganizationId, Result, Timestamp};

use super::{SqlStore, Where};
use crate::store::{Reach, SLOW_MS, Trouble, TroubleQuery, Troubles};

/// So many calls are looked at, the newest: some hundreds of milliseconds.
// BOUND: time of an answer.
const LOOKED_AT: i64 = 200_000;
/// Time is told apart by this: every time zone's days begin at one.
const QUARTER_MS: i64 = 900_000;

impl SqlStore {
    pub(super) async fn count_troubles(&self, query: &TroubleQuery, reach: &Reach) -> Result<Troubles> {
        let trouble = match query.slow {
            true => format!("duration_ms >= {SLOW_MS}"),
            // As its index says it.
            false => "outcome <> 'ok'".to_owned(),
        };
        let mut find = Where::default();
        match &reach.organization {
            // How far back it goes tells of its own calls alone.
            Some(id) => find.and("organization_id = ?", [id.as_str().into()]),
            None => find.and(&trouble, []),
        };
        let filter = &query.filter;
        find.maybe("started_at >= ?", filter.from.map(Timestamp::as_ms))
            .maybe("started_at < ?", filter.to.map(Timestamp::as_ms));
        // Its arguments are numbered on from those.
        let mut wanted = Where { args: std::mem::take(&mut find.args), ..Where::default() };
        wanted.and(&trouble, []).and("call_id NOT LIKE '%~%'", []);
        wanted
            .maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
            .maybe("key_id = ?", filter.key.as_ref().map(KeyId::as_str))
            .maybe("model = ?", filter.model.as_ref().map(ModelName::as_str))
            .maybe("customer = ?", filter.customer.as_deref());
        super::directory::reach_of(&mut wanted, reach, "group_id", "user_id", "key_id");
        let Where { sql: clause, args } = wanted;
        let is_wanted = clause.strip_prefix(" WHERE ").unwrap_or("1 = 1");
        let (inner, _) = find.wrap(
            "SELECT started_at, call_id, organization_id, group_id, user_id, key_id, model, channel_id, outcome, error, customer, \
             duration_ms FROM sg_record",
            &format!(" ORDER BY started_at DESC LIMIT {}", LOOKED_AT + 1),
        );
        let sql = format!(
            "SELECT started_at / {QUARTER_MS}, COALESCE(channel_id, ''), outcome, COALESCE(error, ''), COUNT(*), \
             CAST(SUM(CASE WHEN {is_wanted} THEN 1 ELSE 0 END) AS BIGINT) FROM ({inner}) r GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        );
        let (mut rows, mut looked_at) = (Vec::new(), 0_i64);
        for mut row in self.fetch(sql, args).await? {
            let at = Timestamp::from_ms(row.int()?.saturating_mul(QUARTER_MS));
            let (channel, outcome, error) = (row.text()?, row.text()?, row.text()?);
            let (all, calls) = (row.int()?, row.int()?);
            looked_at = looked_at.saturating_add(all);
            if calls > 0 {
                rows.push(Trouble { at, channel, outcome, error, calls });
            }
        }
        Ok(Troubles { rows, is_all: looked_at <= LOOKED_AT })
    }
}
