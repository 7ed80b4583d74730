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
use crate::store::{LogCursor, LogFilter, LogPage, Reach};

/// So many rows are looked at for what has no index: some tens of milliseconds.
const WINDOW: i64 = 5_000;
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
        let terms = terms(filter, reach);
        let mut end: Option<Timestamp> = None;
        if terms.iter().any(|term| is_loose(filter, reach, *term)) {
            for term in &terms {
                // All ways are searched as far as the one that gets the least far.
                end = end.max(self.window_end(filter, reach, *term, after).await?);
            }
        }
        let mut found: BTreeMap<LogCursor, UsageRecord> = BTreeMap::new();
        for term in &terms {
            let by = by(filter, reach, *term);
            let mut find = tight(filter, reach, *term, after);
            find.maybe(&format!("{}.started_at >= ?", told(by)), end.map(Timestamp::as_ms));
            let (sql, args) = match by {
                By::Tag => tagged(find, filter, reach, *term, i64::from(limit)),
                _ => {
                    loose(&mut find, filter, reach, *term);
                    ordered(find, "r.body", i64::from(limit))
                }
            };
            for mut row in self.fetch(sql, args).await? {
                let record: UsageRecord = row.json()?;
                found.insert(cursor(&record), record);
            }
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_full = found.len() >= wanted;
        let items: Vec<UsageRecord> = found.into_values().rev().take(wanted).collect();
        // What began with the last one that was looked at was looked at, too.
        let looked_at = end.map(|at| LogCursor { at, call: CallId::from("") });
        let next = if is_full { items.last().map(cursor) } else { looked_at };
        Ok(LogPage { items, next })
    }

    /// How many calls there are, up to a bound; `None` where that would take long.
    pub(super) async fn count_log(&self, filter: &LogFilter, reach: &Reach) -> Result<Option<u64>> {
        let terms = terms(filter, reach);
        let [term] = terms.as_slice() else { return Ok(None) };
        let by = by(filter, reach, *term);
        let mut rest = Where::default();
        unowned(&mut rest, filter, reach, *term);
        if by == By::Tag {
            // Whose its calls are doesn't stand there.
            owned(&mut rest, filter, reach, *term);
        }
        if asks(&rest) {
            return Ok(None);
        }
        // A tag's rows are as many as its calls; nobody's reach narrows them.
        let source = if by == By::Tag { "sg_record_tag t" } else { "sg_record r" };
        // Of what is found so many are looked at, whosever they are within the reach.
        let columns =
            if by == By::Tag { "t.tag" } else { "r.organization_id, r.group_id, r.user_id, r.key_id" };
        let mut find = Where::default();
        found_by(&mut find, filter, reach, *term);
        // Its arguments are numbered on from those.
        let mut mine = Where { args: std::mem::take(&mut find.args), ..Where::default() };
        reached(&mut mine, filter, reach, *term);
        owned(&mut mine, filter, reach, *term);
        let is_mine = mine.sql.strip_prefix(" WHERE ").unwrap_or("1 = 1").to_owned();
        let args = mine.args;
        let (inner, _) =
            find.wrap(&format!("SELECT {columns} FROM {source}"), &format!(" LIMIT {COUNT_MAX}"));
        let sql = format!(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN {is_mine} THEN 1 ELSE 0 END), 0) AS BIGINT) FROM ({inner}) r"
        );
        let Some(mut row) = self.fetch(sql, args).await?.into_iter().next() else { return Ok(None) };
        let (found, mine) = (row.int()?, row.int()?);
        let is_known = found < COUNT_MAX || mine == found;
        Ok(is_known.then(|| u64::try_from(mine).unwrap_or_default()))
    }

    /// When the last of the rows began that are looked at; `None` when all are. Read from what rows are found by alone, which an
    /// index has.
    async fn window_end(
        &self,
        filter: &LogFilter,
        reach: &Reach,
        term: Term<'_>,
        after: Option<&LogCursor>,
    ) -> Result<Option<Timestamp>> {
        let by = by(filter, reach, term);
        let table = told(by);
        let source = if by == By::Tag { "sg_record_tag t" } else { "sg_record r" };
        let mut find = Where::default();
        found_by(&mut find, filter, reach, term);
        if let Some(after) = after {
            // Of what began with a place that names no call everything was looked at, however much that was.
            let is_over = after.call.as_str().is_empty();
            let condition = if is_over { "started_at < ?" } else { "started_at <= ?" };
            find.and(&format!("{table}.{condition}"), [after.at.as_ms().into()]);
        }
        let (sql, args) = find.wrap(
            &format!("SELECT {table}.started_at FROM {source}"),
            &format!(" ORDER BY {table}.started_at DESC LIMIT 1 OFFSET {}", WINDOW - 1),
        );
        let last = self.fetch(sql, args).await?.into_iter().next();
        last.map(|mut row| row.int().map(Timestamp::from_ms)).transpose()
    }
}

fn cursor(record: &UsageRecord) -> LogCursor {
    LogCursor { at: record.started_at, call: record.call.clone() }
}

/// The ways in which an asker may see a call, each of which has an index; one for who sees everything.
fn terms<'a>(filter: &LogFilter, reach: &'a Reach) -> Vec<Term<'a>> {
    let Some(narrow) = &reach.narrow else { return vec![None] };
    let groups = narrow.groups.iter().map(|id| ("r.group_id", id.as_str()));
    let user = narrow.user.iter().map(|id| ("r.user_id", id.as_str()));
    let key = narrow.key.iter().map(|id| ("r.key_id", id.as_str()));
    let ways: Vec<(&'static str, &'a str)> = groups.chain(user).chain(key).collect();
    // Who asks for what is theirs sees all calls of it in that way.
    let is_asked = |way: &&(&'static str, &str)| {
        conditions(filter).iter().any(|it| (it.1, it.2) == (way.0, Some(way.1)))
    };
    match ways.iter().find(is_asked) {
        Some(way) => vec![Some(*way)],
        None => ways.into_iter().map(Some).collect(),
    }
}

/// By tag the order is that of the tags' own rows.
fn told(by: By) -> &'static str {
    if by == By::Tag { "t" } else { "r" }
}

fn ordered(mut find: Where, columns: &str, limit: i64) -> (super::Sql, Vec<Value>) {
    find.args.push(limit.into());
    let n = find.args.len();
    find.wrap(
        &format!("SELECT {columns} FROM sg_record r"),
        &format!(" ORDER BY r.started_at DESC, r.call_id DESC LIMIT ${n}"),
    )
}

/// Calls with a tag. Its rows are cut in their own order before any call is looked up: PostgreSQL takes what it joins for a single
/// row, and would look up all of them.
fn tagged(
    mut find: Where,
    filter: &LogFilter,
    reach: &Reach,
    term: Term<'_>,
    limit: i64,
) -> (super::Sql, Vec<Value>) {
    // Numbered on from what rows are found by.
    let mut rest = Where { args: std::mem::take(&mut find.args), ..Where::default() };
    loose(&mut rest, filter, reach, term);
    rest.args.push(limit.into());
    let n = rest.args.len();
    // What else is asked for leaves some out, of a bounded number.
    let cut = if rest.sql.is_empty() { format!(" LIMIT ${n}") } else { String::new() };
    let order = "ORDER BY t.started_at DESC, t.call_id DESC";
    rest.wrap(
        &format!(
            "SELECT r.body FROM (SELECT t.started_at, t.call_id FROM sg_record_tag t{} {order}{cut}) t \
             JOIN sg_record r ON r.call_id = t.call_id AND r.started_at = t.started_at",
            find.sql
        ),
        &format!(" {order} LIMIT ${n}"),
    )
}

/// What rows are found by: of several conditions that indexes know, the one that mostly leaves the fewest rows. The others are as
/// good as those that no index knows: of a group's calls few may have failed, and finding none of them takes as long as there are
/// calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Call,
    Key,
    User,
    Group,
    Reach,
    Tag,
    Customer,
    Organization,
    Error,
    Failed,
    Time,
}

fn by(filter: &LogFilter, reach: &Reach, term: Term<'_>) -> By {
    let base = &filter.base;
    let has_failed = filter.failed == Some(true) || base.outcome.is_some_and(|it| it != OutcomeClass::Ok);
    // Nothing may be found by what isn't known to be the asker's: a page ends where 5,000 have been looked at.
    let is_own = *reach == Reach::ALL || (filter.is_own && term.is_none());
    [
        (base.call.is_some(), By::Call),
        // The rows of a tag are in a table of their own, which knows nobody's reach.
        (base.tag.is_some() && *reach == Reach::ALL, By::Tag),
        (base.key.is_some() && is_own, By::Key),
        (base.user.is_some() && is_own, By::User),
        (base.group.is_some() && is_own, By::Group),
        (term.is_some(), By::Reach),
        (base.customer.is_some() && reach.organization.is_none(), By::Customer),
        (base.organization.is_some() || reach.organization.is_some(), By::Organization),
        (filter.error.is_some(), By::Error),
        (has_failed, By::Failed),
    ]
    .into_iter()
    .find_map(|(is_asked, by)| is_asked.then_some(by))
    .unwrap_or(By::Time)
}

/// Whether rows are found that aren't wanted: then the next ones that are may be far away.
fn is_loose(filter: &LogFilter, reach: &Reach, term: Term<'_>) -> bool {
    let mut rest = Where::default();
    reached(&mut rest, filter, reach, term);
    !rest.args.is_empty() || asks_more(filter, reach, term)
}

/// Whether anything is asked for besides what rows are found by.
fn asks_more(filter: &LogFilter, reach: &Reach, term: Term<'_>) -> bool {
    let mut rest = Where::default();
    loose(&mut rest, filter, reach, term);
    asks(&rest)
}

/// Whether any condition is there.
fn asks(rest: &Where) -> bool {
    !rest.args.is_empty() || rest.mentions("outcome")
}

/// The conditions that rows are found by, and those of the asker's reach.
fn tight(filter: &LogFilter, reach: &Reach, term: Term<'_>, after: Option<&LogCursor>) -> Where {
    let by = by(filter, reach, term);
    let table = told(by);
    let mut find = Where::default();
    found_by(&mut find, filter, reach, term);
    if let Some(after) = after {
        find.and(
            &format!("{table}.started_at <= ? AND ({table}.started_at < ? OR {table}.call_id < ?)"),
            [after.at.as_ms().into(), after.at.as_ms().into(), after.call.as_str().into()],
        );
    }
    reached(&mut find, filter, reach, term);
    find
}

/// The conditions of the asker's reach that rows aren't found by: of somebody's calls in many groups, or in another
/// organization, few may be theirs to see.
fn reached(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>) {
    let by = by(filter, reach, term);
    let mine = reach.organization.as_ref().map(OrganizationId::as_str);
    find.maybe("r.organization_id || '' = ?", mine.filter(|_| by != By::Organization));
    if let Some((column, id)) = term.filter(|_| by != By::Reach) {
        find.and(&format!("{column} || '' = ?"), [id.into()]);
    }
}

/// The condition that rows are found by, and the time.
fn found_by(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>) {
    let (base, by) = (&filter.base, by(filter, reach, term));
    let table = told(by);
    find.maybe("t.tag = ?", base.tag.as_deref().filter(|_| by == By::Tag))
        .maybe(&format!("{table}.started_at >= ?"), base.from.map(Timestamp::as_ms))
        .maybe(&format!("{table}.started_at < ?"), base.to.map(Timestamp::as_ms));
    for (which, column, value) in conditions(filter) {
        if which == by {
            find.maybe(&format!("{column} = ?"), value);
        }
    }
    match (by, term) {
        // As its index says it.
        (By::Failed, _) => find.and("r.outcome <> 'ok'", []),
        (By::Reach, Some((column, id))) => find.and(&format!("{column} = ?"), [id.into()]),
        (By::Organization, _) => {
            find.maybe("r.organization_id = ?", reach.organization.as_ref().map(OrganizationId::as_str))
        }
        _ => find,
    };
}

/// What is asked for of what indexes know.
fn conditions(filter: &LogFilter) -> [(By, &'static str, Option<&str>); 7] {
    let base = &filter.base;
    [
        (By::Call, "r.call_id", base.call.as_ref().map(CallId::as_str)),
        (By::Key, "r.key_id", base.key.as_ref().map(KeyId::as_str)),
        (By::User, "r.user_id", base.user.as_ref().map(UserId::as_str)),
        (By::Group, "r.group_id", base.group.as_ref().map(GroupId::as_str)),
        (By::Customer, "r.customer", base.customer.as_deref()),
        (By::Organization, "r.organization_id", base.organization.as_ref().map(OrganizationId::as_str)),
        (By::Error, "r.error", filter.error.as_deref()),
    ]
}

/// The other conditions, written so that no index is taken for them.
fn loose(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>) {
    owned(find, filter, reach, term);
    unowned(find, filter, reach, term);
}

/// Of the other conditions those that say whose calls are asked for.
fn owned(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>) {
    named(find, filter, reach, term, |which| matches!(which, By::Key | By::User | By::Group));
}

/// Of what indexes know what is asked for besides, as far as it is taken.
fn named(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>, takes: impl Fn(By) -> bool) {
    let by = by(filter, reach, term);
    for (which, column, value) in conditions(filter) {
        let is_found_by = which == by || (by == By::Reach && value.map(|value| (column, value)) == term);
        if takes(which) && !is_found_by {
            find.maybe(&format!("{column} || '' = ?"), value);
        }
    }
}

/// The rest of them.
fn unowned(find: &mut Where, filter: &LogFilter, reach: &Reach, term: Term<'_>) {
    let (base, by) = (&filter.base, by(filter, reach, term));
    named(find, filter, reach, term, |which| !matches!(which, By::Key | By::User | By::Group));
    find.maybe(
        "EXISTS (SELECT 1 FROM sg_record_tag t WHERE t.tag = ? AND t.started_at = r.started_at AND t.call_id = r.call_id)",
        base.tag.as_deref().filter(|_| by != By::Tag),
    );
    find.maybe("r.model = ?", base.model.as_ref().map(ModelName::as_str))
        .maybe("r.spend >= ?", filter.cost_over)
        .maybe("r.duration_ms >= ?", filter.duration_over_ms);
    match filter.failed {
        Some(true) if by != By::Failed => find.and("r.outcome || '' <> 'ok'", []),
        Some(false) => find.and("r.outcome = 'ok'", []),
        _ => find,
    };
    if let Some(outcome) = base.outcome.and_then(|outcome| to_json(&outcome).ok()) {
        find.and("r.outcome || '' = ?", [outcome.trim_matches('"').into()]);
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
