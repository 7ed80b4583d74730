//! Spend told apart: `/…/spend/report`, by provider, tag and end customer; and setting every budget back.

use std::collections::{BTreeMap, HashMap};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{GroupView, KeyView};
use sluicegate::store::{DailyRow, Dimension, GroupFilter, KeyFilter, Page, RecordFilter, Sums};
use sluicegate::{Error, ErrorKind, Result};

use super::budget::usd_json;
use super::fields::{self, Query};
use super::set_back::counted;
use super::spend::{self, KeyNames, provider_of, sums_filter};
use super::{body, query, so_far, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let get = |path, make| Entry::plain(Method::GET, path, make);
    vec![
        get("/global/spend/report", || ask::route(Method::GET, report)),
        get("/key/spend/report", || ask::route(Method::GET, of_key)),
        get("/user/spend/report", || ask::route(Method::GET, of_user)),
        get("/team/spend/report", || ask::route(Method::GET, of_team)),
        get("/organization/spend/report", || ask::route(Method::GET, of_organization)),
        get("/global/spend/provider", || ask::route(Method::GET, by_provider)),
        get("/global/spend/tags", || ask::route(Method::GET, per_tag)),
        get("/global/spend/all_tag_names", || ask::route(Method::GET, tag_names)),
        get("/spend/tags", || ask::route(Method::GET, by_tag)),
        Entry::plain(Method::POST, "/global/spend/end_users", || ask::route(Method::POST, by_customer)),
        Entry::plain(Method::POST, "/global/spend/reset", || ask::route(Method::POST, reset)),
        Entry::plain(Method::POST, "/global/spend/refresh", || ask::route(Method::POST, refresh)),
    ]
}

/// `group_by` team or customer: each day, what each of them spent, at which models, by which keys. `api_key`: what each key spent.
async fn report(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let mut filter = sums_filter(&ask, &query).await?;
    if let Some(user) = query.text("internal_user_id") {
        filter.user = Some(ask.admin().user_of_report(&ask.actor, user).await?);
    }
    filter.customer = query.text("customer_id").map(str::to_owned);
    let is_of_one = filter.key.is_some() || query.text("internal_user_id").is_some();
    let (of, list, name) = match query.text("group_by") {
        None if is_of_one => return key_rows(&ask, &query, &filter).await,
        Some("api_key") => return key_rows(&ask, &query, &filter).await,
        None if filter.customer.is_some() => (Dimension::Customer, "customers", "customer"),
        None | Some("team") => (Dimension::Group, "teams", "team_name"),
        Some("customer") => (Dimension::Customer, "customers", "customer"),
        Some(other) => {
            let message = format!("there is no report by `{other}`; there are team, customer and api_key");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "group_by"));
        }
    };
    let by = [Dimension::Day, of, Dimension::Model, Dimension::Key];
    let found = ask.admin().spend_rows(&ask.actor, &filter, &by).await?;
    let told = |at: usize| found.iter().filter_map(move |row| row.by.get(at)).map(String::as_str);
    let keys = KeyNames::of(&ask, told(3)).await?;
    let teams = match of {
        Dimension::Group => ask.admin().group_names(&ask.actor, told(1)).await?,
        _ => HashMap::new(),
    };
    let mut days: BTreeMap<String, BTreeMap<String, Part>> = BTreeMap::new();
    for row in found {
        let Ok([day, label, model, key]) = <[String; 4]>::try_from(row.by) else { continue };
        let part = days.entry(day).or_default().entry(label).or_default();
        part.spend = part.spend.saturating_add(row.sums.spend);
        part.metadata.push(json!({
            "model": model,
            "spend": usd_json(row.sums.spend),
            "total_tokens": row.sums.total_tokens(),
            "api_key": keys.token(&key),
        }));
    }
    let one = |(label, part): (String, Part)| {
        // A team is told by its alias, where it has one and the asker may see it. Calls of no team have no name.
        let label = teams.get(&label).cloned().unwrap_or(label);
        json!({name: label, "total_spend": usd_json(part.spend), "metadata": part.metadata})
    };
    let row = |(day, parts): (String, BTreeMap<String, Part>)| json!({"group_by_day": day, list: parts.into_iter().map(one).collect::<Vec<_>>()});
    let shown: Vec<Value> = days.into_iter().map(row).collect();
    Done::ok(&shown).and_then(|done| Ok(done.warning(query.finish()?)))
}

#[derive(Default)]
struct Part {
    spend: i64,
    metadata: Vec<Value>,
}

/// What each key spent, and at which models.
async fn key_rows(ask: &Ask, query: &Query, filter: &RecordFilter) -> Result<Done> {
    let by = [Dimension::Key, Dimension::Model, Dimension::Group];
    let mut all: BTreeMap<String, (Sums, Vec<Value>)> = BTreeMap::new();
    for DailyRow { by, sums } in ask.admin().spend_rows(&ask.actor, filter, &by).await? {
        let Ok([key, model, team]) = <[String; 3]>::try_from(by) else { continue };
        let (total, details) = all.entry(key).or_default();
        total.add(&sums);
        let mut detail = totals(&sums);
        detail.insert("model".to_owned(), model.into());
        detail.insert("team_id".to_owned(), json!(Some(team).filter(|team| !team.is_empty())));
        details.push(detail.into());
    }
    let keys = KeyNames::of(ask, all.keys().map(String::as_str)).await?;
    let mut rows = Vec::new();
    for (id, (sums, details)) in all {
        let mut row = totals(&sums);
        row.insert("api_key".to_owned(), keys.token(&id).into());
        row.insert("model_details".to_owned(), details.into());
        rows.push((sums.spend, row));
    }
    rows.sort_by_key(|(spend, _)| std::cmp::Reverse(*spend));
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    Done::ok(&rows).and_then(|done| Ok(done.warning(query.finish()?)))
}

fn totals(sums: &Sums) -> Map<String, Value> {
    Map::from_iter([
        ("total_cost".to_owned(), usd_json(sums.spend)),
        ("total_input_tokens".to_owned(), sums.input_tokens.into()),
        ("total_output_tokens".to_owned(), sums.output_tokens.into()),
    ])
}

/// A report of one scope: the one that is named, else the asker's own. What they may not see is as unknown as what there isn't.
async fn scoped(
    ask: &Ask,
    narrow: impl AsyncFnOnce(&Ask, &Query, &mut RecordFilter) -> Result<bool>,
    name: &'static str,
) -> Result<Done> {
    let query = query(ask)?;
    spend::must_be_dated(&query)?;
    let mut filter = sums_filter(ask, &query).await?;
    if !narrow(ask, &query, &mut filter).await? {
        return Err(fields::missing(name));
    }
    key_rows(ask, &query, &filter).await
}

async fn of_key(ask: Ask) -> Result<Done> {
    let narrow = async |ask: &Ask, query: &Query, filter: &mut RecordFilter| {
        // One that is named stands in the filter already.
        if query.text("api_key").is_none() {
            filter.key = ask.actor.key().cloned();
        }
        Ok(filter.key.is_some())
    };
    scoped(&ask, narrow, "api_key").await
}

async fn of_user(ask: Ask) -> Result<Done> {
    let narrow = async |ask: &Ask, query: &Query, filter: &mut RecordFilter| {
        filter.user = match query.text("internal_user_id") {
            Some(id) => Some(ask.admin().user_of_report(&ask.actor, id).await?),
            None => filter.user.take().or_else(|| ask.actor.user().cloned()),
        };
        Ok(filter.user.is_some())
    };
    scoped(&ask, narrow, "internal_user_id").await
}

async fn of_team(ask: Ask) -> Result<Done> {
    let narrow = async |ask: &Ask, query: &Query, filter: &mut RecordFilter| {
        if query.text("team_id").is_none() {
            filter.group = ask.caller.as_ref().and_then(|caller| caller.caller.group.clone());
        }
        Ok(filter.group.is_some())
    };
    scoped(&ask, narrow, "team_id").await
}

async fn of_organization(ask: Ask) -> Result<Done> {
    let narrow = async |ask: &Ask, query: &Query, filter: &mut RecordFilter| {
        filter.organization = match query.text("organization_id") {
            Some(id) => Some(ask.admin().organization_of_report(&ask.actor, id).await?),
            None => ask.actor.organization().cloned(),
        };
        Ok(filter.organization.is_some())
    };
    scoped(&ask, narrow, "organization_id").await
}

async fn by_provider(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = sums_filter(&ask, &query).await?;
    let mut all: BTreeMap<String, i64> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &filter, &[Dimension::Channel]).await? {
        let channel = row.by.into_iter().next().unwrap_or_default();
        let spend = all.entry(provider_of(&ask, &channel)).or_default();
        *spend = spend.saturating_add(row.sums.spend);
    }
    // What was refused before anything was sent is nobody's, and cost nothing.
    all.retain(|provider, spend| !provider.is_empty() || *spend != 0);
    let mut rows: Vec<_> = all.into_iter().collect();
    rows.sort_by_key(|(_, spend)| std::cmp::Reverse(*spend));
    let row = |(provider, spend): &(String, i64)| json!({"provider": provider, "spend": usd_json(*spend)});
    Done::ok(&rows.iter().map(row).collect::<Vec<_>>()).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// What was used by each value of a label, the dearest first.
async fn labelled(ask: &Ask, filter: &RecordFilter, by: Dimension) -> Result<Vec<(String, Sums)>> {
    let found = ask.admin().spend_rows(&ask.actor, filter, &[by]).await?;
    let pair = |row: DailyRow| Some((row.by.into_iter().next()?, row.sums));
    let mut rows: Vec<_> = found.into_iter().filter_map(pair).collect();
    rows.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.spend));
    Ok(rows)
}

async fn by_tag(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let rows = labelled(&ask, &sums_filter(&ask, &query).await?, Dimension::Tag).await?;
    let row = |(tag, sums): &(String, Sums)| {
        json!({
            "individual_request_tag": tag,
            "log_count": spend::calls(sums),
            "total_spend": usd_json(sums.spend),
        })
    };
    Done::ok(&rows.iter().map(row).collect::<Vec<_>>()).and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn per_tag(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let mut rows = labelled(&ask, &sums_filter(&ask, &query).await?, Dimension::Tag).await?;
    if let Some(tags) = query.text("tags").filter(|tags| *tags != "all-tags") {
        let wanted: Vec<&str> = tags.split(',').map(str::trim).collect();
        rows.retain(|(tag, _)| wanted.contains(&tag.as_str()));
    }
    let row = |(tag, sums): &(String, Sums)| json!({"name": tag, "spend": usd_json(sums.spend), "log_count": spend::calls(sums)});
    let rows: Vec<_> = rows.iter().map(row).collect();
    Done::ok(&json!({"spend_per_tag": rows})).and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn tag_names(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let mut names: Vec<String> = labelled(&ask, &RecordFilter::default(), Dimension::Tag)
        .await?
        .into_iter()
        .map(|(tag, _)| tag)
        .collect();
    names.sort();
    Done::ok(&json!({"tag_names": names})).map(|done| done.warning(sent))
}

/// `api_key`, `startTime` and `endTime` in the body.
async fn by_customer(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let mut filter = RecordFilter::default();
    if let Some(name) = fields.text("api_key")?.value().filter(|name| !name.is_empty()) {
        filter.key = Some(ask.admin().key_of_report(&ask.actor, &name).await?);
    }
    for (name, is_end) in [("startTime", false), ("endTime", true)] {
        if let Some(text) = fields.text(name)?.value().filter(|text| !text.is_empty()) {
            let at = Some(spend::time_of(&ask, name, &text, is_end)?);
            if is_end { filter.to = at } else { filter.from = at }
        }
    }
    let warnings = fields.finish()?;
    let rows = labelled(&ask, &filter, Dimension::Customer).await?;
    let row = |(customer, sums): &(String, Sums)| {
        json!({
            "end_user": customer,
            "total_count": spend::calls(sums),
            "total_spend": usd_json(sums.spend),
        })
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    Done::ok(&rows).map(|done| done.warning(warnings))
}

/// Sets the budgets of all keys and teams back to nothing used, one after the other. Records and reports stay.
async fn reset(ask: Ask) -> Result<Done> {
    let warnings = body(&ask)?.finish()?;
    if !ask.actor.is_super() {
        return Err(Error::new(ErrorKind::Forbidden, "only super administrators may set all budgets back"));
    }
    let (mut done, mut offset) = (Vec::new(), 0);
    // BOUND: as many pages as there are keys.
    loop {
        let page = ask.admin().keys(&ask.actor, &KeyFilter::default(), Page::new(Page::MAX, offset)).await?;
        offset += u64::from(Page::MAX);
        let is_used = |view: &&KeyView| counted(&view.limit_states).is_some_and(|spend| spend > 0);
        for view in page.items.iter().filter(is_used) {
            let key = sluicegate::store::KeyRef::Id(view.key.id.clone());
            ask.admin().set_key_back(&ask.actor, &key, 0).await.map_err(|why| so_far(why, &done))?;
            done.push(format!("key {}", view.key.id));
        }
        if offset >= page.total {
            break;
        }
    }
    let (keys, mut offset) = (done.len(), 0);
    // BOUND: as many pages as there are teams.
    loop {
        let page =
            ask.admin().groups(&ask.actor, &GroupFilter::default(), Page::new(Page::MAX, offset)).await?;
        offset += u64::from(Page::MAX);
        let is_used = |view: &&GroupView| counted(&view.limit_states).is_some_and(|spend| spend > 0);
        for view in page.items.iter().filter(is_used) {
            let id = view.group.id.as_str();
            ask.admin().set_group_back(&ask.actor, id, 0).await.map_err(|why| so_far(why, &done))?;
            done.push(format!("team {id}"));
        }
        if offset >= page.total {
            break;
        }
    }
    let message = format!(
        "the budgets of {keys} keys and {} teams are set back; what was used stays in the records",
        done.len() - keys
    );
    warned(
        Map::from_iter([("message".to_owned(), message.into()), ("status".to_owned(), "success".into())]),
        warnings,
    )
}

/// Sums are kept as calls end: there is nothing to refresh, and so it is done.
async fn refresh(ask: Ask) -> Result<Done> {
    let warnings = body(&ask)?.finish()?;
    let message = "sums are kept as calls end: they are as fresh as can be";
    warned(
        Map::from_iter([("message".to_owned(), message.into()), ("status".to_owned(), "success".into())]),
        warnings,
    )
}
