//! `/spend/…` and `/global/spend…`.

use std::collections::{BTreeMap, HashMap};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::store::{Dimension, LogCursor, LogFilter, Page, RecordFilter};
use sluicegate::{
    CallId, Error, ErrorKind, KeyId, Metric, ModelName, Result, Role, UsageRecord, UserId, Window,
};

use super::budget::usd_json;
use super::fields::Query;
use super::{find_key, pages, query, rows};
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
        Entry::plain(Method::GET, "/spend/keys", || ask::route(Method::GET, |ask| bare(ask, by_key))),
        Entry::plain(Method::GET, "/spend/users", || ask::route(Method::GET, |ask| bare(ask, by_user))),
        Entry::plain(Method::GET, "/global/spend", || ask::route(Method::GET, |ask| bare(ask, global))),
        Entry::plain(Method::GET, "/global/spend/keys", || ask::route(Method::GET, |ask| bare(ask, by_key))),
        Entry::plain(Method::GET, "/global/spend/models", || {
            ask::route(Method::GET, |ask| bare(ask, by_model))
        }),
        Entry::plain(Method::GET, "/global/spend/teams", || {
            ask::route(Method::GET, |ask| bare(ask, by_team))
        }),
        Entry::plain(Method::GET, "/global/spend/logs", || ask::route(Method::GET, |ask| bare(ask, by_day))),
    ]
}

/// `request_id`, `api_key`, `user_id`, `team_id`, `model`, `start_date` and `end_date`; the last day counts whole.
async fn filter(ask: &Ask, query: &Query) -> Result<RecordFilter> {
    let key = match query.text("api_key") {
        Some(name) => Some(ask.admin().key(&ask.actor, &find_key(ask, name).await?).await?.key.id),
        None => None,
    };
    let group = match query.text("team_id") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, name).await?.value.id),
        None => None,
    };
    let at = |name| query.text(name).map(|date| native::time(name, date)).transpose();
    let whole_day = query.text("end_date").is_some_and(|date| date.len() == 10);
    let to = at("end_date")?.map(|day| if whole_day { day.plus_ms(86_400_000) } else { day });
    Ok(RecordFilter {
        from: at("start_date")?,
        to,
        key,
        group,
        user: query.text("user_id").map(UserId::from),
        model: query.text("model").map(ModelName::from),
        call: query.text("request_id").map(CallId::from),
        ..RecordFilter::default()
    })
}

async fn logs(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = filter(&ask, &query).await?;
    let dated = filter.from.is_some() || filter.to.is_some();
    if query.text("summarize") != Some("false") && dated {
        return summary(&ask, filter).await.map(|done| done.warning(query.finish()));
    }
    let (found, more) = newest(&ask, filter.clone()).await?;
    let mut warnings = query.finish();
    if more {
        let filter = LogFilter { base: filter, ..LogFilter::default() };
        let of = match ask.admin().log_count(&ask.actor, &filter).await? {
            Some(total) if total <= COUNTED => format!("of {total} calls"),
            Some(_) => format!("of more than {COUNTED} calls"),
            None => "calls".to_owned(),
        };
        warnings.push(format!("these are the newest {} {of}; /spend/logs/v2 has pages", found.len()));
    }
    Ok(Done::ok(&log_rows(&ask, &found).await)?.warning(warnings))
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

async fn log_pages(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (number, size) = pages(&query, "page_size", 50)?;
    let found =
        ask.admin().records(&ask.actor, &filter(&ask, &query).await?, Page::numbered(number, size)).await?;
    Done::ok(&json!({
        "data": log_rows(&ask, &found.items).await,
        "total": found.total,
        "page": number,
        "page_size": size,
        "total_pages": found.total.div_ceil(u64::from(size)),
    }))
    .map(|done| done.warning(query.finish()))
}

/// Rows of the log, each with its key's hash as far as the asker may see the key.
async fn log_rows(ask: &Ask, records: &[UsageRecord]) -> Vec<Value> {
    let mut tokens: HashMap<KeyId, Option<String>> = HashMap::new();
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let token = match &record.key {
            None => None,
            Some(id) => match tokens.get(id) {
                Some(token) => token.clone(),
                None => {
                    let token = token_of(ask, id).await;
                    tokens.insert(id.clone(), token.clone());
                    token
                }
            },
        };
        rows.push(rows::spend_log(record, token.as_deref()));
    }
    rows
}

/// A key's hash; `None` for one that is gone.
async fn token_of(ask: &Ask, id: &KeyId) -> Option<String> {
    let view = ask.admin().key(&ask.actor, &sluicegate::store::KeyRef::Id(id.clone())).await.ok()?;
    view.hash.map(|hash| hash.to_string())
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

/// What was spent by each value of one dimension, most first.
async fn ranked(ask: &Ask, by: Dimension) -> Result<Vec<(String, i64)>> {
    let found = sums(ask, RecordFilter::default(), vec![by]).await?;
    let mut all: Vec<(String, i64)> = found
        .into_iter()
        .map(|(labels, spend)| (labels.into_iter().next().unwrap_or_default(), spend))
        .collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(all)
}

/// A route without parameters: whatever is sent as one is named.
async fn bare<F: Future<Output = Result<Done>>>(ask: Ask, handler: impl FnOnce(Ask) -> F) -> Result<Done> {
    let sent = query(&ask)?.finish();
    handler(ask).await.map(|done| done.warning(sent))
}

async fn by_key(ask: Ask) -> Result<Done> {
    let mut rows = Vec::new();
    for (id, spend) in ranked(&ask, Dimension::Key).await? {
        let view =
            ask.admin().key(&ask.actor, &sluicegate::store::KeyRef::Id(KeyId::from(id.as_str()))).await.ok();
        let alias = view.as_ref().and_then(|view| view.key.alias.clone());
        let token = view.and_then(|view| view.hash).map_or(id, |hash| hash.to_string());
        rows.push(json!({"api_key": token, "token": token, "key_alias": alias, "spend": usd_json(spend)}));
    }
    Done::ok(&rows)
}

async fn by_user(ask: Ask) -> Result<Done> {
    let ranked = ranked(&ask, Dimension::User).await?;
    Done::ok(
        &ranked
            .iter()
            .map(|(id, spend)| json!({"user_id": id, "spend": usd_json(*spend)}))
            .collect::<Vec<_>>(),
    )
}

async fn by_model(ask: Ask) -> Result<Done> {
    let ranked = ranked(&ask, Dimension::Model).await?;
    Done::ok(
        &ranked
            .iter()
            .map(|(model, spend)| json!({"model": model, "total_spend": usd_json(*spend)}))
            .collect::<Vec<_>>(),
    )
}

async fn by_team(ask: Ask) -> Result<Done> {
    let (mut totals, mut names) = (Vec::new(), Vec::new());
    for (id, spend) in ranked(&ask, Dimension::Group).await?.into_iter().filter(|(id, _)| !id.is_empty()) {
        let group = ask.admin().resolve_group(&ask.actor, &id).await.ok();
        let alias = group.and_then(|group| group.value.alias).unwrap_or_else(|| id.clone());
        names.push(alias.clone());
        totals.push(json!({"team_id": id, "team_alias": alias, "total_spend": usd_json(spend)}));
    }
    let mut daily = Vec::new();
    for (labels, spend) in sums(&ask, RecordFilter::default(), vec![Dimension::Day, Dimension::Group]).await?
    {
        if let [day, team] = labels.as_slice() {
            daily.push(json!({"date": day, "team_id": team, "spend": usd_json(spend)}));
        }
    }
    Done::ok(&json!({"daily_spend": daily, "teams": names, "total_spend_per_team": totals}))
}

async fn by_day(ask: Ask) -> Result<Done> {
    let mut days = sums(&ask, RecordFilter::default(), vec![Dimension::Day]).await?;
    days.sort();
    let row =
        |(labels, spend): &(Vec<String>, i64)| json!({"date": labels.first(), "spend": usd_json(*spend)});
    Done::ok(&days.iter().map(row).collect::<Vec<_>>())
}

async fn global(ask: Ask) -> Result<Done> {
    if !matches!(ask.actor.role(), Role::SuperAdmin | Role::OrganizationAdmin | Role::Auditor) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "only administrators and auditors may read what everybody spent",
        ));
    }
    let spend: i64 =
        sums(&ask, RecordFilter::default(), Vec::new()).await?.iter().map(|(_, spend)| *spend).sum();
    let snapshot = ask.gateway().engine().snapshot();
    let limits = &snapshot.declared.quota.global;
    let max = limits
        .iter()
        .find(|l| l.metric == Metric::Spend && l.model.is_none() && l.window == Window::Lifetime);
    Done::ok(&json!({"spend": usd_json(spend), "max_budget": max.map(|limit| usd_json(limit.max))}))
}
