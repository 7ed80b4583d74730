//! `/spend/…` and `/global/spend…`.

use std::collections::{BTreeMap, HashMap};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::store::{Dimension, KeyName, LogCursor, LogFilter, LogPage, Page, RecordFilter, Sums};
use sluicegate::{
    Channel, ChannelId, Error, ErrorKind, GroupId, KeyId, Metric, ModelName, Result, Role, Timestamp,
    UsageRecord, Window,
};

use super::budget::usd_json;
use super::fields::{self, Query};
use super::{pages, query, rows};
use crate::ask::{self, Ask, Done};
use crate::routes::{Entry, native};

/// Calls are counted up to here.
const COUNTED: u64 = 10_000;
/// So often 5,000 calls are looked at, for what no index knows.
// BOUND: time of an answer.
const TURNS_MAX: usize = 50;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::GET, "/spend/logs", || ask::route(Method::GET, logs)),
        Entry::plain(Method::GET, "/spend/logs/v2", || ask::route(Method::GET, log_pages)),
        Entry::plain(Method::GET, "/spend/logs/ui", || ask::route(Method::GET, log_pages)),
        Entry::plain(Method::GET, "/spend/logs/ui/{request_id}", || ask::route(Method::GET, log_row)),
        Entry::plain(Method::GET, "/spend/keys", || ask::route(Method::GET, by_key)),
        Entry::plain(Method::GET, "/spend/users", || ask::route(Method::GET, by_user)),
        Entry::plain(Method::GET, "/global/spend", || ask::route(Method::GET, global)),
        Entry::plain(Method::GET, "/global/spend/keys", || ask::route(Method::GET, by_key)),
        Entry::plain(Method::GET, "/global/spend/models", || ask::route(Method::GET, by_model)),
        Entry::plain(Method::GET, "/global/spend/teams", || ask::route(Method::GET, by_team)),
        Entry::plain(Method::GET, "/global/spend/logs", || ask::route(Method::GET, by_day)),
    ]
}

/// `request_id` and what [`sums_filter`] takes.
async fn filter(ask: &Ask, query: &Query) -> Result<RecordFilter> {
    let call = match query.text("request_id") {
        Some(name) => Some(ask.admin().call_named(&ask.actor, name).await?),
        None => None,
    };
    Ok(RecordFilter { call, ..sums_filter(ask, query).await? })
}

/// What [`filter`] takes, and `end_user`, `model_id`, `status_filter` and `min_spend`.
async fn log_filter(ask: &Ask, query: &Query) -> Result<LogFilter> {
    let base = RecordFilter {
        customer: query.text("end_user").map(str::to_owned),
        channel: query.text("model_id").map(ChannelId::from),
        ..filter(ask, query).await?
    };
    let failed = match query.text("status_filter") {
        None => None,
        Some("success") => Some(false),
        Some("failure") => Some(true),
        Some(other) => {
            let message = format!("`status_filter` must be success or failure, not `{other}`");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "status_filter"));
        }
    };
    let least = query.text("min_spend").map(|usd| fields::usd("min_spend", &usd.into()));
    Ok(LogFilter { base, failed, cost_over: least.transpose()?, ..LogFilter::default() })
}

/// `api_key`, `user_id`, `team_id`, `model`, `start_date` and `end_date`; the last day counts whole.
pub(super) async fn sums_filter(ask: &Ask, query: &Query) -> Result<RecordFilter> {
    let key = match query.text("api_key") {
        Some(name) => Some(ask.admin().key_of_report(&ask.actor, name).await?),
        None => None,
    };
    let group = match query.text("team_id") {
        Some(name) => Some(ask.admin().group_of_report(&ask.actor, name).await?),
        None => None,
    };
    let user = match query.text("user_id") {
        Some(id) => Some(ask.admin().user_of_report(&ask.actor, id).await?),
        None => None,
    };
    Ok(RecordFilter {
        from: at(ask, query, "start_date", false)?,
        to: at(ask, query, "end_date", true)?,
        key,
        group,
        user,
        model: query.text("model").map(ModelName::from),
        ..RecordFilter::default()
    })
}

/// A time; of a date its beginning or its end, where the gateway's days are.
pub(super) fn at(ask: &Ask, query: &Query, name: &'static str, is_end: bool) -> Result<Option<Timestamp>> {
    let Some(text) = query.text(name) else { return Ok(None) };
    time_of(ask, name, text, is_end).map(Some)
}

/// As [`at`], of a text.
pub(super) fn time_of(ask: &Ask, name: &'static str, text: &str, is_end: bool) -> Result<Timestamp> {
    let date =
        Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse::<jiff::civil::Date>().ok());
    let Some(date) = date else {
        return native::time(name, text).map_err(|error| error.with("param", name));
    };
    let day = if is_end { date.saturating_add(jiff::Span::new().days(1)) } else { date };
    let start = day.to_zoned(ask.admin().time_zone()).and_then(|day| day.start_of_day());
    start.map(|start| Timestamp::from_ms(start.timestamp().as_millisecond())).map_err(|_| {
        let message = format!("`{name}` is no day that a calendar has");
        Error::new(ErrorKind::InvalidRequest, message).with("param", name)
    })
}

/// Both ends of the time that is asked about must be said.
pub(super) fn must_be_dated(query: &Query) -> Result<()> {
    for name in ["start_date", "end_date"] {
        if query.text(name).is_none() {
            let message = format!("`{name}` is missing; give the first and the last day, such as 2026-11-23");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name));
        }
    }
    Ok(())
}

/// Calls, refused ones included. What days of an earlier version knew of were those admitted.
pub(super) fn calls(sums: &Sums) -> i64 {
    sums.calls.max(sums.requests)
}

/// Calls that ended well.
pub(super) fn successes(sums: &Sums) -> i64 {
    calls(sums).saturating_sub(sums.failures).max(0)
}

/// Whose a channel is; what nothing was sent to, or is gone, is nobody's.
pub(super) fn provider_of(ask: &Ask, channel: &str) -> String {
    let snapshot = ask.gateway().engine().snapshot();
    let found = snapshot.channels().iter().find(|it| it.id.as_str() == channel);
    found.map(|it| it.provider.to_string()).unwrap_or_default()
}

/// What LiteLLM knows keys by.
pub(super) struct KeyNames(HashMap<String, KeyName>);

impl KeyNames {
    /// The names of these keys, all asked for together.
    pub(super) async fn of<'a>(ask: &Ask, ids: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        ask.admin().key_names(&ask.actor, ids).await.map(Self)
    }

    /// A key's name; `None` of one that is gone, or isn't the asker's to see.
    pub(super) fn get(&self, id: &str) -> Option<&KeyName> {
        self.0.get(id)
    }

    /// A key's hash, or its id where that is all that is known of it.
    pub(super) fn token(&self, id: &str) -> String {
        self.get(id).map_or_else(|| id.to_owned(), |name| name.hash.to_string())
    }
}

async fn logs(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = filter(&ask, &query).await?;
    let dated = filter.from.is_some() || filter.to.is_some();
    if query.text("summarize") != Some("false") && dated {
        return summary(&ask, filter).await.and_then(|done| Ok(done.warning(query.finish()?)));
    }
    let (found, more) = newest(&ask, filter.clone()).await?;
    let mut warnings = query.finish()?;
    if more {
        let filter = LogFilter { base: filter, ..LogFilter::default() };
        let of = match ask.admin().log_count(&ask.actor, &filter).await? {
            Some(total) if total <= COUNTED => format!("of {total} calls"),
            Some(_) => format!("of more than {COUNTED} calls"),
            None => "calls".to_owned(),
        };
        warnings.push(format!("these are the newest {} {of}; /spend/logs/v2 has pages", found.len()));
    }
    Ok(Done::ok(&log_rows(&ask, &found).await?)?.warning(warnings))
}

/// The newest calls, as many as one answer has, and whether there are more: found by where the last ones ended, so that it takes no
/// longer the more there are.
async fn newest(ask: &Ask, base: RecordFilter) -> Result<(Vec<UsageRecord>, bool)> {
    let filter = LogFilter { base, ..LogFilter::default() };
    let (mut found, mut after): (Vec<UsageRecord>, Option<LogCursor>) = (Vec::new(), None);
    for _ in 0..TURNS_MAX {
        let left = Page::MAX.saturating_sub(u32::try_from(found.len()).unwrap_or(Page::MAX));
        if left == 0 {
            return Ok((found, true));
        }
        let page = ask.admin().log(&ask.actor, &filter, after.as_ref(), left).await?;
        found.extend(page.items);
        match page.next {
            None => return Ok((found, false)),
            next => after = next,
        }
    }
    Ok((found, true))
}

/// A page of the log. Its pages are found by where the ones before end, so that they reach only so far back.
async fn log_pages(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (number, size) = pages(&query, "page_size", 50)?;
    let filter = log_filter(&ask, &query).await?;
    let skip = number.saturating_sub(1).saturating_mul(u64::from(size));
    let admin = ask.admin();
    let fetch = async |after: Option<&LogCursor>, limit| admin.log(&ask.actor, &filter, after, limit).await;
    let part = log_part(skip, size, fetch).await?;
    let mut warnings = query.finish()?;
    if part.is_cut {
        warnings.push(format!("{CUT}, so that this page is what was found so far; {REMEDY}"));
    }
    let total = match part.more {
        false => part.seen,
        true => {
            let counted = ask.admin().log_count(&ask.actor, &filter).await?;
            if counted.is_none_or(|total| total > COUNTED) {
                let message = format!(
                    "`total` isn't all: calls are counted up to {COUNTED}, and only where that is quick"
                );
                warnings.push(message);
            }
            // There is another page, whatever is counted; the one that reaches too far back says how to go on.
            counted.unwrap_or_default().clamp(part.seen + 1, COUNTED + 1)
        }
    };
    Done::ok(&json!({
        "data": log_rows(&ask, &part.records).await?,
        "total": total,
        "page": number,
        "page_size": size,
        "total_pages": total.div_ceil(u64::from(size)),
    }))
    .map(|done| done.warning(warnings))
}

/// A part of the log.
struct LogPart {
    records: Vec<UsageRecord>,
    /// So many there are up to its end.
    seen: u64,
    /// Whether there are more behind it.
    more: bool,
    /// Whether it wasn't looked for any longer, so that it may be shorter than was asked.
    is_cut: bool,
}

/// So many calls after so many, read on from where the ones before ended.
async fn log_part(
    skip: u64,
    size: u32,
    fetch: impl AsyncFn(Option<&LogCursor>, u32) -> Result<LogPage>,
) -> Result<LogPart> {
    let end = skip.saturating_add(u64::from(size));
    if end > COUNTED {
        return Err(too_deep(format!("pages reach {COUNTED} calls back, and this one ends at {end}")));
    }
    let (mut records, mut seen, mut after): (Vec<UsageRecord>, u64, Option<LogCursor>) =
        (Vec::new(), 0, None);
    let part = |mut records: Vec<UsageRecord>, seen: u64| {
        records.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        LogPart { records, seen: seen.min(end), more: seen > end, is_cut: false }
    };
    // BOUND: as `TURNS_MAX`.
    for _ in 0..TURNS_MAX {
        // One more tells whether there are more.
        let left = end.saturating_add(1).saturating_sub(seen);
        if left == 0 {
            return Ok(part(records, seen));
        }
        let left = u32::try_from(left).unwrap_or(Page::MAX).min(Page::MAX);
        let page = fetch(after.as_ref(), left).await?;
        let unwanted = usize::try_from(skip.saturating_sub(seen)).unwrap_or(usize::MAX);
        seen = seen.saturating_add(u64::try_from(page.items.len()).unwrap_or_default());
        records.extend(page.items.into_iter().skip(unwanted));
        match page.next {
            None => return Ok(part(records, seen)),
            next => after = next,
        }
    }
    match records.is_empty() {
        true => Err(too_deep(CUT.to_owned())),
        false => Ok(LogPart { more: true, is_cut: true, ..part(records, seen) }),
    }
}

/// Why there isn't more.
const CUT: &str = "this page would take long to find: what is asked for has no index";
/// What to ask instead.
const REMEDY: &str = "ask for a shorter time (`start_date`, `end_date`), or go on through all calls at /api/v1/records by its `cursor`";

fn too_deep(why: String) -> Error {
    let message = format!("{why}; {REMEDY}");
    Error::new(ErrorKind::InvalidRequest, message).with("param", "page")
}

/// One call. What was asked and answered isn't kept, and so `messages` and `response` are empty.
async fn log_row(ask: Ask) -> Result<Done> {
    // A date is LiteLLM's hint where to look, and there is nothing to look for here.
    let query = query(&ask)?;
    query.text("start_date");
    let named = ask.admin().call_named(&ask.actor, &ask.param("request_id")).await?;
    let call = ask.admin().call(&ask.actor, &named).await?;
    let rows = log_rows(&ask, std::slice::from_ref(&call.record)).await?;
    Done::ok(&rows.first()).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// Rows of the log, each with its key's hash as far as the asker may see the key.
async fn log_rows(ask: &Ask, records: &[UsageRecord]) -> Result<Vec<Value>> {
    let ids = records.iter().filter_map(|record| record.key.as_ref()).map(KeyId::as_str);
    let names = KeyNames::of(ask, ids).await?;
    let groups = records.iter().filter_map(|record| record.group.as_ref()).map(GroupId::as_str);
    let groups = ask.admin().group_names(&ask.actor, groups).await?;
    let snapshot = ask.gateway().engine().snapshot();
    let channels: HashMap<&str, &Channel> =
        snapshot.channels().iter().map(|channel| (channel.id.as_str(), channel)).collect();
    let row = |record: &UsageRecord| {
        let name = record.key.as_ref().and_then(|id| names.get(id.as_str()));
        let channel = record.attempts.last().and_then(|it| channels.get(it.channel.as_str()));
        let address = channel.filter(|_| ask.actor.is_super()).and_then(|it| it.endpoints.first());
        let told = rows::Names {
            token: name.map(|name| name.hash.to_string()),
            key_alias: name.and_then(|name| name.alias.clone()),
            team_alias: record.group.as_ref().and_then(|id| groups.get(id.as_str()).cloned()),
            provider: channel.map(|it| it.provider.to_string()),
            address: address.map(|endpoint| endpoint.url.clone()),
        };
        rows::spend_log(record, &told)
    };
    Ok(records.iter().map(row).collect())
}

/// What one day cost.
#[derive(Default)]
struct Day {
    spend: i64,
    users: Map<String, Value>,
    models: Map<String, Value>,
}

/// One row for each day, with what each user and model cost.
async fn summary(ask: &Ask, filter: RecordFilter) -> Result<Done> {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for by in [Dimension::User, Dimension::Model] {
        for (labels, spend) in sums(ask, filter.clone(), vec![Dimension::Day, by]).await? {
            let [date, name] = labels.as_slice() else { continue };
            let day = days.entry(date.clone()).or_default();
            if by == Dimension::User {
                day.spend = day.spend.saturating_add(spend);
                day.users.insert(name.clone(), usd_json(spend));
            } else {
                day.models.insert(name.clone(), usd_json(spend));
            }
        }
    }
    let row = |(date, day): (String, Day)| json!({"startTime": date, "spend": usd_json(day.spend), "users": day.users, "models": day.models});
    Done::ok(&days.into_iter().map(row).collect::<Vec<_>>())
}

/// What was spent, told apart by these dimensions, in nano-USD.
async fn sums(ask: &Ask, filter: RecordFilter, by: Vec<Dimension>) -> Result<Vec<(Vec<String>, i64)>> {
    let rows = ask.admin().spend_rows(&ask.actor, &filter, &by).await?;
    Ok(rows.into_iter().map(|row| (row.by, row.sums.spend)).collect())
}

/// What was spent by each value of one dimension, most first; the first `limit`, if one is said.
async fn ranked(ask: &Ask, query: &Query, by: Dimension) -> Result<Vec<(String, i64)>> {
    let limit = query.text("limit").map(|text| fields::count("limit", &text.into())).transpose()?;
    let found = sums(ask, sums_filter(ask, query).await?, vec![by]).await?;
    let mut all: Vec<(String, i64)> = found
        .into_iter()
        .map(|(labels, spend)| (labels.into_iter().next().unwrap_or_default(), spend))
        .collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if let Some(limit) = limit {
        all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(all)
}

async fn by_key(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let ranked = ranked(&ask, &query, Dimension::Key).await?;
    let names = KeyNames::of(&ask, ranked.iter().map(|(id, _)| id.as_str())).await?;
    let row = |(id, spend): &(String, i64)| {
        let (token, alias) = (names.token(id), names.get(id).and_then(|name| name.alias.as_deref()));
        json!({"api_key": token, "token": token, "key_alias": alias, "spend": usd_json(*spend)})
    };
    let rows: Vec<_> = ranked.iter().map(row).collect();
    Ok(Done::ok(&rows)?.warning(query.finish()?))
}

async fn by_user(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let row = |(id, spend): &(String, i64)| json!({"user_id": id, "spend": usd_json(*spend)});
    let rows: Vec<_> = ranked(&ask, &query, Dimension::User).await?.iter().map(row).collect();
    Ok(Done::ok(&rows)?.warning(query.finish()?))
}

async fn by_model(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let row = |(model, spend): &(String, i64)| json!({"model": model, "total_spend": usd_json(*spend)});
    let rows: Vec<_> = ranked(&ask, &query, Dimension::Model).await?.iter().map(row).collect();
    Ok(Done::ok(&rows)?.warning(query.finish()?))
}

async fn by_team(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (mut totals, mut names) = (Vec::new(), Vec::new());
    let ranked = ranked(&ask, &query, Dimension::Group).await?;
    let aliases = ask.admin().group_names(&ask.actor, ranked.iter().map(|(id, _)| id.as_str())).await?;
    let is_in = |team: &String| ranked.iter().any(|(id, _)| id == team);
    let mut daily = Vec::new();
    let by = vec![Dimension::Day, Dimension::Group];
    for (labels, spend) in sums(&ask, sums_filter(&ask, &query).await?, by).await? {
        if let [day, team] = labels.as_slice()
            && is_in(team)
        {
            daily.push(json!({"date": day, "team_id": team, "spend": usd_json(spend)}));
        }
    }
    for (id, spend) in ranked.iter().filter(|(id, _)| !id.is_empty()) {
        let alias = aliases.get(id).unwrap_or(id).clone();
        names.push(alias.clone());
        totals.push(json!({"team_id": id, "team_alias": alias, "total_spend": usd_json(*spend)}));
    }
    let answer = json!({"daily_spend": daily, "teams": names, "total_spend_per_team": totals});
    Ok(Done::ok(&answer)?.warning(query.finish()?))
}

async fn by_day(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let mut days = sums(&ask, sums_filter(&ask, &query).await?, vec![Dimension::Day]).await?;
    days.sort();
    let row =
        |(labels, spend): &(Vec<String>, i64)| json!({"date": labels.first(), "spend": usd_json(*spend)});
    Ok(Done::ok(&days.iter().map(row).collect::<Vec<_>>())?.warning(query.finish()?))
}

async fn global(ask: Ask) -> Result<Done> {
    if !matches!(ask.actor.role(), Role::SuperAdmin | Role::OrganizationAdmin | Role::Auditor) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "only administrators and auditors may read what everybody spent",
        ));
    }
    let sent = query(&ask)?.finish()?;
    let spend: i64 =
        sums(&ask, RecordFilter::default(), Vec::new()).await?.iter().map(|(_, spend)| *spend).sum();
    let snapshot = ask.gateway().engine().snapshot();
    let limits = &snapshot.declared.quota.global;
    let max = limits
        .iter()
        .find(|l| l.metric == Metric::Spend && l.model.is_none() && l.window == Window::Lifetime);
    let answer = json!({"spend": usd_json(spend), "max_budget": max.map(|limit| usd_json(limit.max))});
    Ok(Done::ok(&answer)?.warning(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> UsageRecord {
        serde_json::from_value(json!({
            "call": format!("c{n}"), "started_at": n, "ended_at": n, "organization": "o", "format": "openai_chat", "model": "m",
            "stream": false, "outcome": "ok", "attempts": [], "spend": 0, "usage": {}, "replay": {},
        }))
        .unwrap()
    }

    /// A log of which each turn finds one call as long as there are any, and that has no end.
    async fn found(calls: u64, skip: u64, size: u32) -> Result<LogPart> {
        log_part(skip, size, async |after, _| {
            let turn = after.map_or(0, |it| it.at.as_ms().unsigned_abs());
            let next =
                LogCursor { at: Timestamp::from_ms(i64::try_from(turn + 1).unwrap()), call: "".into() };
            Ok(LogPage {
                items: (turn < calls).then(|| record(turn)).into_iter().collect(),
                next: Some(next),
            })
        })
        .await
    }

    #[actix_web::test]
    async fn what_was_found_is_answered_though_there_may_be_more() {
        for (calls, skip, size, (rows, is_cut)) in
            [(7, 0, 50, (7, true)), (7, 5, 50, (2, true)), (40, 0, 10, (10, false)), (3, 0, 1, (1, false))]
        {
            let part = found(calls, skip, size).await.unwrap();
            assert_eq!((part.records.len(), part.is_cut, part.more), (rows, is_cut, true), "{calls} {skip}");
        }
        for (calls, skip) in [(0, 0), (7, 7)] {
            let error = found(calls, skip, 50).await.err().unwrap();
            assert!(error.message().contains("has no index"), "{error}");
        }
    }
}
