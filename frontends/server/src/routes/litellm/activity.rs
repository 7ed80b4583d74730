//! `/…/daily/activity` and `/global/activity…`: what was used day by day, told apart in LiteLLM's shapes.

use std::collections::{BTreeMap, HashMap, HashSet};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::store::{Dimension, LabelQuery, RecordFilter, Sums};
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
// BOUND: of the work of one request: they are looked up one by one.
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
        Entry::plain(Method::GET, "/global/activity/cache_hits", || ask::route(Method::GET, cache_hits)),
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

    /// Whether all that the filter finds is asked for. Of end customers only calls are that have one.
    fn is_whole(&self, kind: Kind) -> bool {
        self.without.is_empty()
            && (self.only.len() == 1 || (self.only.is_empty() && kind.of != Dimension::Customer))
    }

    /// Several tags that are named: a call may have more than one of them.
    fn tags(&self, kind: Kind) -> Vec<String> {
        match kind.of {
            Dimension::Tag => self.only.difference(&self.without).cloned().collect(),
            _ => Vec::new(),
        }
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

/// The names of a list that is separated by commas; teams by their ids. Whose use the asker can't see is unknown.
async fn named(ask: &Ask, query: &Query, kind: Kind, list: &'static str) -> Result<HashSet<String>> {
    let text = query.text(list).unwrap_or_default();
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > NAMED_MAX {
        let message = format!("`{list}` names {}, and {NAMED_MAX} at most can be named", names.len());
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", list));
    }
    let mut all = HashSet::new();
    for name in names {
        let admin = ask.admin();
        all.insert(match kind.of {
            Dimension::Group => admin.group_of_report(&ask.actor, name).await?.to_string(),
            Dimension::User => admin.user_of_report(&ask.actor, name).await?.to_string(),
            Dimension::Organization => admin.organization_of_report(&ask.actor, name).await?.to_string(),
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

impl Day {
    fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.get("api_keys").into_iter().flatten().map(|(id, _)| id.as_str())
    }
}

async fn daily(ask: Ask, kind: Kind, in_pages: bool) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let wanted = wanted(&ask, &query, kind).await?;
    let (days, warning) = days_of(&ask, &wanted, kind).await?;
    let mut total = Sums::default();
    days.values().for_each(|day| total.add(&day.total));
    let (number, size) = if in_pages { pages(&query, "page_size", DAYS)? } else { (1, u32::MAX) };
    let (count, size) = (days.len(), usize::try_from(size).unwrap_or(usize::MAX));
    let skip = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size);
    // Newest first, as LiteLLM lists them.
    let shown: Vec<(&String, &Day)> = days.iter().rev().skip(skip).take(size).collect();
    let keys = KeyNames::of(&ask, shown.iter().flat_map(|(_, day)| day.keys())).await?;
    let results: Vec<Value> = shown.iter().map(|(date, day)| day_row(date, day, &keys)).collect();
    let mut metadata: Map<String, Value> = metrics(&total)
        .into_iter()
        .map(|(name, value)| (format!("total_{}", name.trim_start_matches("total_")), value))
        .collect();
    metadata.insert("page".to_owned(), number.into());
    metadata.insert("total_pages".to_owned(), count.div_ceil(size).into());
    metadata.insert("has_more".to_owned(), (skip.saturating_add(size) < count).into());
    Done::ok(&json!({"results": results, "metadata": metadata}))
        .and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(warning).collect())))
}

/// The days, and what there is to say of totals that can't tell a call with two tags from two calls.
async fn days_of(ask: &Ask, wanted: &Wanted, kind: Kind) -> Result<(BTreeMap<String, Day>, Option<String>)> {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &wanted.filter, &[Dimension::Day, kind.of]).await? {
        let Ok([day, entity]) = <[String; 2]>::try_from(row.by) else { continue };
        if wanted.has(&entity) {
            let day = days.entry(day).or_default();
            day.total.add(&row.sums);
            day.entities.entry(entity).or_default().add(&row.sums);
        }
    }
    let is_whole = wanted.is_whole(kind);
    if is_whole && kind.of == Dimension::Tag {
        // A call with two tags is in both their sums, and in the day's once.
        days.values_mut().for_each(|day| day.total = Sums::default());
        for row in ask.admin().spend_rows(&ask.actor, &wanted.filter, &[Dimension::Day]).await? {
            let Ok([day]) = <[String; 1]>::try_from(row.by) else { continue };
            days.entry(day).or_default().total.add(&row.sums);
        }
    }
    let mut providers: HashMap<String, String> = HashMap::new();
    let parts =
        [("models", Dimension::Model), ("providers", Dimension::Channel), ("api_keys", Dimension::Key)];
    for (part, by) in parts {
        let by = if is_whole { vec![Dimension::Day, by] } else { vec![Dimension::Day, by, kind.of] };
        for row in ask.admin().spend_rows(&ask.actor, &wanted.filter, &by).await? {
            let mut told = row.by.into_iter();
            let (Some(day), Some(mut label)) = (told.next(), told.next()) else { continue };
            if told.next().is_some_and(|entity| !wanted.has(&entity)) {
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
    let warning = match kind.of == Dimension::Tag && !is_whole {
        true => count_once(ask, wanted, wanted.tags(kind), &mut days).await?,
        false => None,
    };
    Ok((days, warning))
}

/// Up to so many calls of the tags that are named are looked through for those that have several of them.
// BOUND: time of an answer.
const TAGGED_MAX: i64 = 200_000;

/// Takes calls that have several of these tags out of the totals, but for once: as far as they are still recorded, and not too many.
async fn count_once(
    ask: &Ask,
    wanted: &Wanted,
    tags: Vec<String>,
    days: &mut BTreeMap<String, Day>,
) -> Result<Option<String>> {
    if tags.len() == 1 {
        return Ok(None);
    }
    let warning =
        "a call with several of these tags is in the totals once for each of them; name one tag, or none";
    let all: i64 = days.values().map(|day| spend::calls(&day.total)).sum();
    if tags.is_empty() || all > TAGGED_MAX {
        return Ok(Some(warning.to_owned()));
    }
    let query = LabelQuery {
        of: Dimension::Tag,
        filter: wanted.filter.clone(),
        labels: tags,
        users: false,
        limit: 0,
    };
    let Some(shared) = ask.admin().shared_use(&ask.actor, &query).await? else {
        return Ok(Some(warning.to_owned()));
    };
    for it in shared {
        let Some(day) = days.get_mut(&it.day) else { continue };
        day.total.subtract(&it.sums);
        let provider = provider_of(ask, &it.channel);
        for (part, label) in [("models", it.model), ("providers", provider), ("api_keys", it.key)] {
            if let Some(sums) = day.parts.get_mut(part).and_then(|part| part.get_mut(&label)) {
                sums.subtract(&it.sums);
            }
        }
    }
    Ok(None)
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

fn day_row(date: &str, day: &Day, keys: &KeyNames) -> Value {
    let plain = |rows: &BTreeMap<String, Sums>| -> Map<String, Value> {
        let row = |(label, sums): (&String, &Sums)| {
            (label.clone(), json!({"metrics": metrics(sums), "metadata": {}}))
        };
        rows.iter().map(row).collect()
    };
    let part = |name: &str| day.parts.get(name).map(&plain).unwrap_or_default();
    let mut api_keys = Map::new();
    for (id, sums) in day.parts.get("api_keys").into_iter().flatten() {
        let name = keys.get(id);
        let (alias, team) = (name.and_then(|it| it.alias.as_ref()), name.and_then(|it| it.group.as_ref()));
        let metadata = json!({"key_alias": alias, "team_id": team});
        api_keys.insert(keys.token(id), json!({"metrics": metrics(sums), "metadata": metadata}));
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
    Done::ok(&activity(&days)).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// Answers aren't cached, so that no call is a hit; how many there were of each key and model is told.
async fn cache_hits(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let filter = sums_filter(&ask, &query).await?;
    let picked = |name| -> Option<HashSet<String>> {
        let names = query.text(name)?.split(',').map(str::trim);
        Some(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    let (models, tokens) = (picked("models"), picked("api_keys"));
    let rows = ask.admin().spend_rows(&ask.actor, &filter, &[Dimension::Key, Dimension::Model]).await?;
    let ids = rows.iter().filter_map(|row| row.by.first()).map(String::as_str);
    let names = KeyNames::of(&ask, ids).await?;
    let mut hits = Vec::new();
    for row in &rows {
        let [id, model] = row.by.as_slice() else { continue };
        let token = names.token(id);
        let is_in =
            |set: &Option<HashSet<String>>, name: &str| set.as_ref().is_none_or(|set| set.contains(name));
        if is_in(&models, model) && is_in(&tokens, &token) {
            hits.push(json!({
                "api_key": token,
                "call_type": null,
                "model": model,
                "total_rows": spend::calls(&row.sums),
                "cache_hit_true_rows": 0,
                "cached_completion_tokens": 0,
                "generated_completion_tokens": row.sums.output_tokens,
            }));
        }
    }
    Done::ok(&hits).and_then(|done| Ok(done.warning(query.finish()?)))
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
    Done::ok(&rows).and_then(|done| Ok(done.warning(query.finish()?)))
}
