//! Reading the log of calls, newest first, a page at a time, in a time that doesn't grow with the log.
//!
//! What has an index finds its rows by it. Anything else is looked for among a bounded number of rows; a page may then hold
//! fewer calls than asked for, and says where the next one goes on.

use std::collections::BTreeMap;

use sluicegate_core::{
    CallId, ChannelId, GroupId, KeyId, ModelName, OrganizationId, OutcomeClass, Result, Timestamp,
    UsageRecord, UserId,
};

use super::row::{Value, to_json};
use super::{SqlStore, Where};
use crate::store::{LogCursor, LogFilter, LogPage, Reach, RecordFilter};

/// So many rows are looked at for what has no index: some tens of milliseconds.
const WINDOW: i64 = 20_000;
/// Counting ends here.
const COUNT_MAX: i64 = 10_001;

/// One of the ways in which an asker may see a call: by a column, and what must be in it.
type Term<'a> = Option<(&'static str, &'a str)>;

impl SqlStore {
    pub(super) async fn log_page(
        &self,
        filter: &LogFilter,
        reach: &Reach,
        after: Option<&LogCursor>,
        limit: u32,
    ) -> Result<LogPage> {
        let terms = terms(reach);
        let mut end: Option<LogCursor> = None;
        if is_loose(filter) {
            for term in &terms {
                // All ways are searched as far as the one that gets the least far.
                end = end.max(self.window_end(filter, reach, *term, after).await?);
            }
        }
        let mut found: BTreeMap<LogCursor, UsageRecord> = BTreeMap::new();
        for term in &terms {
            let mut find = tight(filter, reach, *term, after);
            if let Some(end) = &end {
                find.and(
                    &format!(
                        "{T}.started_at >= ? AND ({T}.started_at > ? OR {T}.call_id >= ?)",
                        T = told(filter)
                    ),
                    [end.at.as_ms().into(), end.at.as_ms().into(), end.call.as_str().into()],
                );
            }
            loose(&mut find, filter);
            let (sql, args) = ordered(find, filter, "r.body", i64::from(limit));
            for mut row in self.fetch(sql, args).await? {
                let record: UsageRecord = row.json()?;
                found.insert(cursor(&record), record);
            }
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_full = found.len() >= wanted;
        let items: Vec<UsageRecord> = found.into_values().rev().take(wanted).collect();
        let next = if is_full { items.last().map(cursor) } else { end };
        Ok(LogPage { items, next })
    }

    /// How many calls there are, up to a bound; `None` where that would take long.
    pub(super) async fn count_log(&self, filter: &LogFilter, reach: &Reach) -> Result<Option<u64>> {
        let terms = terms(reach);
        let [term] = terms.as_slice() else { return Ok(None) };
        if is_loose(filter) {
            return Ok(None);
        }
        let find = tight(filter, reach, *term, None);
        let (sql, args) = find.wrap(
            &format!("SELECT COUNT(*) FROM (SELECT 1 FROM {}", from(filter)),
            &format!(" LIMIT {COUNT_MAX}) counted"),
        );
        let counted = self.fetch(sql, args).await?.into_iter().next().map(|mut row| row.int()).transpose()?;
        Ok(Some(u64::try_from(counted.unwrap_or_default()).unwrap_or_default()))
    }

    /// The last row of those that are looked at; `None` when all are.
    async fn window_end(
        &self,
        filter: &LogFilter,
        reach: &Reach,
        term: Term<'_>,
        after: Option<&LogCursor>,
    ) -> Result<Option<LogCursor>> {
        let table = told(filter);
        let (sql, args) = tight(filter, reach, term, after).wrap(
            &format!("SELECT {table}.started_at, {table}.call_id FROM {}", from(filter)),
            &format!(" ORDER BY {table}.started_at DESC, {table}.call_id DESC LIMIT 1 OFFSET {}", WINDOW - 1),
        );
        let Some(mut row) = self.fetch(sql, args).await?.into_iter().next() else { return Ok(None) };
        Ok(Some(LogCursor { at: Timestamp::from_ms(row.int()?), call: CallId::from(row.text()?) }))
    }
}

fn cursor(record: &UsageRecord) -> LogCursor {
    LogCursor { at: record.started_at, call: record.call.clone() }
}

/// The ways in which an asker may see a call, each of which has an index; one for who sees everything.
fn terms(reach: &Reach) -> Vec<Term<'_>> {
    let Some(narrow) = &reach.narrow else { return vec![None] };
    let groups = narrow.groups.iter().map(|id| ("r.group_id", id.as_str()));
    let user = narrow.user.iter().map(|id| ("r.user_id", id.as_str()));
    let key = narrow.key.iter().map(|id| ("r.key_id", id.as_str()));
    groups.chain(user).chain(key).map(Some).collect()
}

/// By tag the order is that of the tags' own rows.
fn told(filter: &LogFilter) -> &'static str {
    if filter.base.tag.is_some() { "t" } else { "r" }
}

fn from(filter: &LogFilter) -> &'static str {
    match filter.base.tag {
        Some(_) => {
            "sg_record_tag t JOIN sg_record r ON r.call_id = t.call_id AND r.started_at = t.started_at"
        }
        None => "sg_record r",
    }
}

fn ordered(mut find: Where, filter: &LogFilter, columns: &str, limit: i64) -> (super::Sql, Vec<Value>) {
    find.args.push(limit.into());
    let (table, n) = (told(filter), find.args.len());
    find.wrap(
        &format!("SELECT {columns} FROM {}", from(filter)),
        &format!(" ORDER BY {table}.started_at DESC, {table}.call_id DESC LIMIT ${n}"),
    )
}

/// Whether anything is asked for that no index knows.
fn is_loose(filter: &LogFilter) -> bool {
    let RecordFilter { model, channel, outcome, .. } = &filter.base;
    model.is_some()
        || channel.is_some()
        || outcome.is_some()
        || filter.failed == Some(false)
        || filter.cost_over.is_some()
        || filter.duration_over_ms.is_some()
        || filter.search.is_some()
}

/// The conditions that indexes serve, and those of the asker's reach.
fn tight(filter: &LogFilter, reach: &Reach, term: Term<'_>, after: Option<&LogCursor>) -> Where {
    let (base, table) = (&filter.base, told(filter));
    let mut find = Where::default();
    find.maybe("t.tag = ?", base.tag.as_deref())
        .maybe(&format!("{table}.started_at >= ?"), base.from.map(Timestamp::as_ms))
        .maybe(&format!("{table}.started_at < ?"), base.to.map(Timestamp::as_ms));
    if let Some(after) = after {
        find.and(
            &format!("{table}.started_at <= ? AND ({table}.started_at < ? OR {table}.call_id < ?)"),
            [after.at.as_ms().into(), after.at.as_ms().into(), after.call.as_str().into()],
        );
    }
    find.maybe("r.organization_id = ?", base.organization.as_ref().map(OrganizationId::as_str))
        .maybe("r.group_id = ?", base.group.as_ref().map(GroupId::as_str))
        .maybe("r.user_id = ?", base.user.as_ref().map(UserId::as_str))
        .maybe("r.key_id = ?", base.key.as_ref().map(KeyId::as_str))
        .maybe("r.call_id = ?", base.call.as_ref().map(CallId::as_str))
        .maybe("r.customer = ?", base.customer.as_deref())
        .maybe("r.error = ?", filter.error.as_deref())
        .maybe("r.organization_id = ?", reach.organization.as_ref().map(OrganizationId::as_str));
    if filter.failed == Some(true) || base.outcome.is_some_and(|it| it != OutcomeClass::Ok) {
        // As its index says it.
        find.and("r.outcome <> 'ok'", []);
    }
    if let Some((column, id)) = term {
        find.and(&format!("{column} = ?"), [id.into()]);
    }
    find
}

/// The other conditions.
fn loose(find: &mut Where, filter: &LogFilter) {
    let base = &filter.base;
    find.maybe("r.model = ?", base.model.as_ref().map(ModelName::as_str))
        .maybe("r.spend >= ?", filter.cost_over)
        .maybe("r.duration_ms >= ?", filter.duration_over_ms);
    if filter.failed == Some(false) {
        find.and("r.outcome = 'ok'", []);
    }
    if let Some(outcome) = base.outcome.and_then(|outcome| to_json(&outcome).ok()) {
        find.and("r.outcome = ?", [outcome.trim_matches('"').into()]);
    }
    if let Some(channel) = base.channel.as_ref().map(ChannelId::as_str) {
        find.and(
            "(r.channel_id = ? OR EXISTS (SELECT 1 FROM sg_attempt a WHERE a.started_at = r.started_at \
             AND a.channel_id = ? AND a.call_id = r.call_id))",
            [channel.into(), channel.into()],
        );
    }
    if let Some(text) = &filter.search {
        let mut pattern = String::from("%");
        for c in text.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        // SQLite's LIKE doesn't mind case, PostgreSQL's does.
        find.and("LOWER(r.call_id) LIKE LOWER(?) ESCAPE '\\'", [pattern.into()]);
    }
}
