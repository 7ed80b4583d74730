//! `/…/daily/activity` and `/global/activity…`: what was used day by day, told apart in LiteLLM's shapes.

use std::collections::{BTreeMap, HashMap, HashSet};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::store::{Dimension, RecordFilter, Sums};
use sluicegate::{Error, ErrorKind, OrganizationId, Result, UserId};

use super::budget::usd_json;
use super::fields::Query;
use super::spend::{self, KeyNames, provider_of, sums_filter};
use super::{pages, query};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// What an activity report is by: the parameters that pick and leave out.
#[derive(Clone, Copy)]
struct Kind {
    of: Dimension,
    ids: &'static str,
    without: &'static str,
}

const USER: Kind = Kind { of: Dimension::User, ids: "user_ids", without: "exclude_user_ids" };
const TEAM: Kind = Kind { of: Dimension::Group, ids: "team_ids", without: "exclude_team_ids" };
const ORGANIZATION: Kind =
    Kind { of: Dimension::Organization, ids: "organization_ids", without: "exclude_organization_ids" };
const CUSTOMER: Kind = Kind { of: Dimension::Customer, ids: "end_user_ids", without: "exclude_end_user_ids" };
const TAG: Kind = Kind { of: Dimension::Tag, ids: "tags", without: "exclude_tags" };

/// So many may be named at once.
// BOUND: of the work of one request: teams are looked up one by one.
const NAMED_MAX: usize = 100;
/// Days of a page by default.
const DAYS: u32 = 50;

/// A route with its days in pages, and the one that has all of them.
macro_rules! both {
    ($kind:ident, $paged:literal) => {
        [
            Entry::plain(Method::GET, $paged, || ask::route(Method::GET, |ask| daily(ask, $kind, true))),
            Entry::plain(Method::GET, concat!($paged, "/aggregated"), || {
                ask::route(Method::GET, |ask| daily(ask, $kind, false))
            }),
        ]
    };
}

pub(super) fn table() -> Vec<Entry> {
    let mut entries = vec![
        Entry::plain(Method::GET, "/global/activity", || ask::route(Method::GET, global)),
        Entry::plain(Method::GET, "/global/activity/model", || ask::route(Method::GET, global_by_model)),
    ];
    entries.extend(both!(USER, "/user/daily/activity"));
    entries.extend(both!(TEAM, "/team/daily/activity"));
    entries.extend(both!(ORGANIZATION, "/organization/daily/activity"));
    entries.extend(both!(CUSTOMER, "/customer/daily/activity"));
    entries.extend(both!(CUSTOMER, "/end_user/daily/activity"));
    entries.extend(both!(TAG, "/tag/daily/activity"));
    entries
}

/// What of all there is is asked for.
struct Wanted {
    filter: RecordFilter,
    only: HashSet<String>,
    without: HashSet<String>,
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.contains(name)) && !self.without.contains(name)
    }
}

async fn wanted(ask: &Ask, query: &Query, kind: Kind) -> Result<Wanted> {
    let mut filter = sums_filter(ask, query).await?;
    let only = named(ask, query, kind, kind.ids).await?;
    if let [one] = only.iter().collect::<Vec<_>>().as_slice() {
        let one = (*one).clone();
        match kind.of {
            Dimension::User => filter.user = Some(UserId::from(one)),
            Dimension::Group => filter.group = Some(one.into()),
            Dimension::Organization => filter.organization = Some(OrganizationId::from(one)),
            Dimension::Customer => filter.customer = Some(one),
            Dimension::Tag => filter.tag = Some(one),
            _ => {}
        }
    }
    Ok(Wanted { filter, only, without: named(ask, query, kind, kind.without).await? })
}

/// The names of a list that is separated by commas; teams by their ids.
async fn named(ask: &Ask, query: &Query, kind: Kind, list: &'static str) -> Result<HashSet<String>> {
    let text = query.text(list).unwrap_or_default();
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > NAMED_MAX {
        let message = format!("`{list}` names {}, and {NAMED_MAX} at most can be named", names.len());
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", list));
    }
    let mut all = HashSet::new();
    for name in names {
        all.insert(match kind.of {
            Dimension::Group => ask.admin().resolve_group(&ask.actor, name).await?.value.id.to_string(),
            _ => name.to_owned(),
        });
    }
    Ok(all)
}

/// What was used on one day.
#[derive(Default)]
struct Day {
    total: Sums,
    entities: BTreeMap<String, Sums>,
    parts: BTreeMap<&'static str, BTreeMap<String, Sums>>,
}

async fn daily(ask: Ask, kind: Kind, in_pages: bool) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let wanted = wanted(&ask, &query, kind).await?;
    let mut days = days_of(&ask, &wanted, kind).await?;
    let mut total = Sums::default();
    days.values().for_each(|day| total.add(&day.total));
    let (number, size) = if in_pages { pages(&query, "page_size", DAYS)? } else { (1, u32::MAX) };
    let (count, size) = (days.len(), usize::try_from(size).unwrap_or(usize::MAX));
    let skip = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let mut results = Vec::new();
    let mut keys = KeyNames::default();
    // Newest first, as LiteLLM lists them.
    for (date, day) in std::mem::take(&mut days).iter().rev().skip(skip).take(size) {
        results.push(day_row(&ask, date, day, &mut keys).await);
    }
    let mut metadata: Map<String, Value> = metrics(&total)
        .into_iter()
        .map(|(name, value)| (format!("total_{}", name.trim_start_matches("total_")), value))
        .collect();
    metadata.insert("page".to_owned(), number.into());
    metadata.insert("total_pages".to_owned(), count.div_ceil(size).into());
    metadata.insert("has_more".to_owned(), (skip.saturating_add(size) < count).into());
    Done::ok(&json!({"results": results, "metadata": metadata})).map(|done| done.warning(query.finish()))
}

async fn days_of(ask: &Ask, wanted: &Wanted, kind: Kind) -> Result<BTreeMap<String, Day>> {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &wanted.filter, &[Dimension::Day, kind.of]).await? {
        let Ok([day, entity]) = <[String; 2]>::try_from(row.by) else { continue };
        if wanted.has(&entity) {
            let day = days.entry(day).or_default();
            day.total.add(&row.sums);
            day.entities.entry(entity).or_default().add(&row.sums);
        }
    }
    let mut providers: HashMap<String, String> = HashMap::new();
    let parts =
        [("models", Dimension::Model), ("providers", Dimension::Channel), ("api_keys", Dimension::Key)];
    for (part, by) in parts {
        let by = [Dimension::Day, kind.of, by];
        for row in ask.admin().spend_rows(&ask.actor, &wanted.filter, &by).await? {
            let Ok([day, entity, mut label]) = <[String; 3]>::try_from(row.by) else { continue };
            if !wanted.has(&entity) {
                continue;
            }
            if part == "providers" {
                let provider = providers.entry(label).or_insert_with_key(|channel| provider_of(ask, channel));
                label = provider.clone();
            }
            let parts = &mut days.entry(day).or_default().parts;
            parts.entry(part).or_default().entry(label).or_default().add(&row.sums);
        }
    }
    Ok(days)
}

fn metrics(sums: &Sums) -> Map<String, Value> {
    Map::from_iter([
        ("spend".to_owned(), usd_json(sums.spend)),
        ("prompt_tokens".to_owned(), sums.input_tokens.into()),
        ("completion_tokens".to_owned(), sums.output_tokens.into()),
        ("cache_read_input_tokens".to_owned(), sums.cache_read_tokens.into()),
        ("cache_creation_input_tokens".to_owned(), sums.cache_write_tokens.into()),
        ("total_tokens".to_owned(), sums.total_tokens().into()),
        ("successful_requests".to_owned(), spend::successes(sums).into()),
        ("failed_requests".to_owned(), sums.failures.into()),
        ("api_requests".to_owned(), spend::calls(sums).into()),
    ])
}

async fn day_row(ask: &Ask, date: &str, day: &Day, keys: &mut KeyNames) -> Value {
    let plain = |rows: &BTreeMap<String, Sums>| -> Map<String, Value> {
        let row = |(label, sums): (&String, &Sums)| {
            (label.clone(), json!({"metrics": metrics(sums), "metadata": {}}))
        };
        rows.iter().map(row).collect()
    };
    let part = |name: &str| day.parts.get(name).map(&plain).unwrap_or_default();
    let mut api_keys = Map::new();
    for (id, sums) in day.parts.get("api_keys").into_iter().flatten() {
        let name = keys.of(ask, id).await;
        let metadata = json!({"key_alias": name.alias, "team_id": name.team});
        api_keys.insert(name.token, json!({"metrics": metrics(sums), "metadata": metadata}));
    }
    json!({
        "date": date,
        "metrics": metrics(&day.total),
        "breakdown": {
            "models": part("models"),
            "model_groups": part("models"),
            "providers": part("providers"),
            "api_keys": api_keys,
            "entities": plain(&day.entities),
            "mcp_servers": {},
            "endpoints": {},
        },
    })
}

/// Days with their calls and tokens, and the sums of both.
fn activity(days: &BTreeMap<String, Sums>) -> Map<String, Value> {
    let mut all = Sums::default();
    days.values().for_each(|sums| all.add(sums));
    let row = |(date, sums): (&String, &Sums)| json!({"date": date, "api_requests": spend::calls(sums), "total_tokens": sums.total_tokens()});
    Map::from_iter([
        ("daily_data".to_owned(), days.iter().map(row).collect::<Vec<_>>().into()),
        ("sum_api_requests".to_owned(), spend::calls(&all).into()),
        ("sum_total_tokens".to_owned(), all.total_tokens().into()),
    ])
}

async fn global(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let filter = sums_filter(&ask, &query).await?;
    let rows = ask.admin().spend_rows(&ask.actor, &filter, &[Dimension::Day]).await?;
    let days = rows.into_iter().filter_map(|row| Some((row.by.into_iter().next()?, row.sums))).collect();
    Done::ok(&activity(&days)).map(|done| done.warning(query.finish()))
}

async fn global_by_model(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let filter = sums_filter(&ask, &query).await?;
    let mut models: BTreeMap<String, BTreeMap<String, Sums>> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &filter, &[Dimension::Day, Dimension::Model]).await? {
        if let Ok([day, model]) = <[String; 2]>::try_from(row.by) {
            models.entry(model).or_default().insert(day, row.sums);
        }
    }
    let row = |(model, days): (&String, &BTreeMap<String, Sums>)| {
        let mut row = activity(days);
        row.insert("model".to_owned(), model.as_str().into());
        row
    };
    let mut rows: Vec<_> = models.iter().map(row).collect();
    // The most used first; models of equal use by name, as they stand.
    rows.sort_by_key(|row| std::cmp::Reverse(row["sum_api_requests"].as_i64()));
    Done::ok(&rows).map(|done| done.warning(query.finish()))
}
