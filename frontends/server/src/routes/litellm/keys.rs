//! `/key/…`.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{IssuedKey, KeyBulk, KeyPatch, KeyView, NewKey, Patch, Regenerate, refuse_retired};
use sluicegate::credential::{KeyHash, PREFIX};
use sluicegate::store::{KeyFilter, KeyRef, Page};
use sluicegate::tenant::IpNetwork;
use sluicegate::{Error, ErrorKind, GroupId, KeyId, OrganizationId, Result, Secret, UserId};

use super::budget::BudgetChange;
use super::fields::{self, Fields, Sent};
use super::known::KNOWN;
use super::rows::{self, Trace};
use super::set_back::{counted, must_reset_to, resets_at, set_back};
use super::{at_once, body, find_key, once, pages, query, route, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/key/generate", || ask::route(Method::POST, generate)),
        Entry::plain(Method::POST, "/key/service-account/generate", || {
            ask::route(Method::POST, generate_for_team)
        }),
        Entry::plain(Method::POST, "/key/update", || ask::route(Method::POST, update)),
        Entry::plain(Method::POST, "/key/delete", || ask::route(Method::POST, delete)),
        Entry::plain(Method::GET, "/key/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/key/list", || ask::route(Method::GET, list)),
        Entry::plain(Method::POST, "/key/block", || ask::route(Method::POST, block)),
        Entry::plain(Method::POST, "/key/unblock", || ask::route(Method::POST, unblock)),
        Entry::plain(Method::POST, "/key/regenerate", || ask::route(Method::POST, regenerate)),
        Entry::plain(Method::POST, "/key/{key}/regenerate", || ask::route(Method::POST, regenerate)),
        Entry::plain(Method::POST, "/key/{key}/reset_spend", || ask::route(Method::POST, reset_spend)),
        Entry::plain(Method::POST, "/key/bulk_update", || ask::route(Method::POST, bulk_update)),
        Entry::plain(Method::POST, "/team/key/bulk_update", || ask::route(Method::POST, bulk_update_in_team)),
        Entry::plain(Method::POST, "/v2/key/info", || ask::route(Method::POST, infos)),
        Entry::plain(Method::GET, "/key/aliases", || ask::route(Method::GET, aliases_of_keys)),
        Entry::plain(Method::POST, "/key/health", || ask::route(Method::POST, health)),
    ]
}

/// A key's row, with the hash that LiteLLM names keys by.
pub(super) fn row(view: &KeyView) -> Map<String, Value> {
    let trace = Trace {
        spend: counted(&view.limit_states).unwrap_or(view.used.spend),
        created_by: view.created_by.clone(),
        created_at: view.key.created_at,
        updated_by: view.updated_by.clone(),
        updated_at: view.updated_at,
    };
    let mut row = rows::key(&view.key, &token(view), &trace);
    row.insert("budget_reset_at".to_owned(), resets_at(&view.limit_states));
    row
}

fn token(view: &KeyView) -> String {
    view.hash.map_or_else(|| view.key.id.to_string(), |hash| hash.to_string())
}

fn issued(issued: &IssuedKey) -> Map<String, Value> {
    let mut row = row(&issued.view);
    row.insert("key".to_owned(), issued.secret.expose().into());
    row
}

/// What `/key/generate` and `/user/new` take about a key.
pub(super) fn new_key(fields: &mut Fields) -> Result<NewKey> {
    let limits = BudgetChange::take(fields)?.limits();
    let ips = fields.texts("allowed_ips")?.value().unwrap_or_default();
    Ok(NewKey {
        key: fields.text("key")?.value().map(Secret::new),
        alias: fields.text("key_alias")?.value(),
        organization: fields.text("organization_id")?.value().map(OrganizationId::from),
        group: fields.text("team_id")?.value(),
        user: fields.text("user_id")?.value().map(UserId::from),
        models: fields.access()?,
        aliases: fields.aliases("aliases")?.value().unwrap_or_default(),
        limits: limits.into(),
        expires_at: None,
        ttl: fields.text("duration")?.value(),
        blocked: fields.flag("blocked")?.value().unwrap_or_default(),
        allowed_ips: networks(ips)?,
        routes: route::take(fields)?.value().unwrap_or_default(),
        tags: fields.texts("tags")?.value().unwrap_or_default(),
        metadata: fields.metadata_with(&["guardrails"])?,
        // LiteLLM's keys may name users whom nobody has made.
        create_user: true,
        budget: fields.text("budget_id")?.value().filter(|id| !id.is_empty()),
    })
}

fn networks(texts: Vec<String>) -> Result<Vec<IpNetwork>> {
    let network = |text| IpNetwork::try_from(text).map_err(|why| Error::new(ErrorKind::InvalidRequest, why));
    texts.into_iter().map(network).collect()
}

async fn generate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let new = new_key(&mut fields)?;
    let warnings = fields.finish()?;
    let made = ask.admin().create_key(&ask.actor, new).await?;
    warned(issued(&made), warnings)
}

async fn generate_for_team(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let new = new_key(&mut fields)?;
    if new.group.is_none() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`team_id` is missing").with("param", "team_id"));
    }
    let warnings = fields.finish()?;
    let made = ask.admin().create_key(&ask.actor, NewKey { user: None, ..new }).await?;
    warned(issued(&made), warnings)
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (row, warnings) = change(&ask, &mut fields, None).await?;
    warned(row, warnings)
}

/// Changes one key by the fields of a request: its row, and what has no effect. With a team, it must be one of its keys.
async fn change(
    ask: &Ask,
    fields: &mut Fields,
    team: Option<&GroupId>,
) -> Result<(Map<String, Value>, Vec<String>)> {
    let named = fields.required("key")?;
    let patch = patch(fields)?;
    let warnings = fields.finish()?;
    Ok((changed(ask, named, patch, team).await?, warnings))
}

/// The row of a key that is changed. With a team, it must be one of its keys.
async fn changed(
    ask: &Ask,
    named: String,
    patch: KeyPatch,
    team: Option<&GroupId>,
) -> Result<Map<String, Value>> {
    let key = find_key(ask, &named).await?;
    if let Some(team) = team
        && ask.admin().key(&ask.actor, &key).await?.key.group.as_ref() != Some(team)
    {
        let message = format!("the key doesn't belong to team `{team}`");
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "key"));
    }
    let view = ask.admin().update_key(&ask.actor, &key, patch).await?;
    let mut row = row(&view);
    row.insert("key".to_owned(), named.into());
    Ok(row)
}

/// What a request says shall be different of a key.
fn patch(fields: &mut Fields) -> Result<KeyPatch> {
    let ips = fields.texts("allowed_ips")?.map(networks)?.patch();
    let (models, edit_models) = fields.access_change()?;
    Ok(KeyPatch {
        alias: fields.text("key_alias")?.patch(),
        group: fields.text("team_id")?.patch(),
        user: fields.text("user_id")?.map(|id| Ok(UserId::from(id)))?.patch(),
        models,
        edit_models,
        aliases: fields.aliases("aliases")?.patch(),
        limits: Patch::Keep,
        edit_limits: BudgetChange::take(fields)?.editor(),
        blocked: fields.flag("blocked")?.value(),
        allowed_ips: ips,
        routes: route::take(fields)?.patch(),
        tags: fields.texts("tags")?.patch(),
        metadata: fields.object("metadata")?.patch(),
        edit_metadata: fields.kept_in_metadata(&["guardrails"])?,
        ..expiry(fields.text("duration")?)
    })
}

/// So many items one request may change.
const BULK_MAX: usize = 500;

async fn bulk_update(ask: Ask) -> Result<Done> {
    let fields = body(&ask)?;
    update_each(&ask, fields).await
}

/// One change of many keys of a team; or `keys`, as of any.
async fn bulk_update_in_team(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    if !["key_ids", "all_keys_in_team", "update_fields"].iter().any(|name| fields.has(name)) {
        return update_each(&ask, fields).await;
    }
    let team = ask.admin().resolve_group(&ask.actor, &fields.required("team_id")?).await?.value.id;
    update_alike(&ask, fields, &team).await
}

/// `keys`: changes of single keys, each of which is made or not by itself.
async fn update_each(ask: &Ask, mut fields: Fields) -> Result<Done> {
    let team = match fields.text("team_id")?.value() {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let (mut done, mut failed, items) = (Vec::new(), Vec::new(), fields.items("keys", BULK_MAX)?);
    let (total, warnings) = (items.len(), fields.finish()?);
    for item in items {
        let (key, mut item) = (item.get("key").cloned(), Fields::new(item));
        match change(ask, &mut item, team.as_ref()).await {
            Ok((row, warnings)) => {
                done.push(json!({"key": key, "key_info": row, "warnings": warnings}));
            }
            Err(error) => {
                failed.push(json!({"key": key, "key_info": null, "failed_reason": error.message()}))
            }
        }
    }
    let answer = json!({"total_requested": total, "successful_updates": done, "failed_updates": failed});
    Ok(Done::ok(&answer)?.warning(warnings))
}

/// What `update_fields` may hold: what a key may use and until when, and what is said of it; not whose it is, nor what it is for.
const ALIKE: &[&str] = &[
    "budget_duration",
    "budget_limits",
    "daily_token_limit",
    "duration",
    "max_budget",
    "max_parallel_requests",
    "metadata",
    "model_itpm_limit",
    "model_max_budget",
    "model_otpm_limit",
    "model_rpm_limit",
    "model_tpm_limit",
    "monthly_token_limit",
    "rpm_limit",
    "rpm_limit_type",
    "tags",
    "temp_budget_expiry",
    "temp_budget_increase",
    "token_quota",
    "tpd_limit",
    "tpm_limit",
    "tpm_limit_type",
];

/// `update_fields` for each of `key_ids`, or for `all_keys_in_team`: each is changed or not by itself.
async fn update_alike(ask: &Ask, mut fields: Fields, team: &GroupId) -> Result<Done> {
    let ids = fields.texts("key_ids")?.value().filter(|ids| !ids.is_empty());
    let all = fields.flag("all_keys_in_team")?.value().unwrap_or_default();
    let update = fields.object("update_fields")?.value().filter(|map| !map.is_empty());
    let update = update.ok_or_else(|| fields::missing("update_fields"))?;
    let mut warnings = fields.finish()?;
    if let Some(name) =
        update.keys().find(|name| KNOWN.contains(&name.as_str()) && !ALIKE.contains(&name.as_str()))
    {
        let message = format!("`update_fields` can't hold `{name}`; it may hold {}", ALIKE.join(", "));
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "update_fields"));
    }
    let mut update = Fields::new(update);
    let patch = patch(&mut update)?;
    warnings.extend(update.finish()?);
    let ids = match (ids, all) {
        (Some(ids), false) => at_once("key_ids", once(ids))?,
        (None, true) => every_key(ask, team).await?,
        _ => {
            let message = "name keys in `key_ids`, or say `all_keys_in_team`: one of the two";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "key_ids"));
        }
    };
    let (mut done, mut failed, total) = (Vec::new(), Vec::new(), ids.len());
    for id in ids {
        match changed(ask, id.clone(), patch.clone(), Some(team)).await {
            Ok(row) => done.push(json!({"key": id, "key_info": row})),
            Err(error) => {
                failed.push(json!({"key": id, "key_info": null, "failed_reason": error.message()}));
            }
        }
    }
    let answer = json!({"total_requested": total, "successful_updates": done, "failed_updates": failed});
    Ok(Done::ok(&answer)?.warning(warnings))
}

/// What each of a team's keys is named by, of those that the asker sees.
async fn every_key(ask: &Ask, team: &GroupId) -> Result<Vec<String>> {
    let filter = KeyFilter { group: Some(team.clone()), ..KeyFilter::default() };
    let found = ask.admin().keys(&ask.actor, &filter, Page::new(Page::MAX, 0)).await?;
    if found.total > BULK_MAX as u64 {
        let message = format!("the team has {} keys; name at most {BULK_MAX} in `key_ids`", found.total);
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "all_keys_in_team"));
    }
    Ok(found.items.iter().map(token).collect())
}

/// `duration`: from now on for so long; null is for ever.
fn expiry(duration: Sent<String>) -> KeyPatch {
    match duration {
        Sent::Absent => KeyPatch::default(),
        // LiteLLM's forms send this for "as it is".
        Sent::Value(ttl) if ttl.is_empty() => KeyPatch::default(),
        Sent::Null => KeyPatch { expires_at: Patch::Clear, ..KeyPatch::default() },
        Sent::Value(ttl) => KeyPatch { ttl: Some(ttl), ..KeyPatch::default() },
    }
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = at_once("keys", once(fields.texts("keys")?.value().unwrap_or_default()))?;
    let aliases = at_once("key_aliases", once(fields.texts("key_aliases")?.value().unwrap_or_default()))?;
    if named.is_empty() && aliases.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "`keys` or `key_aliases` must name at least one key",
        ));
    }
    let warnings = fields.finish()?;
    let mut keys = Vec::new();
    for name in named {
        keys.push((find_key(&ask, &name).await?, name));
    }
    keys.extend(aliases.into_iter().map(|alias| (KeyRef::Alias(alias.clone()), alias)));
    // All are there before the first one goes, and each goes once, whatever it is called by.
    let mut found: Vec<(KeyId, String)> = Vec::new();
    for (key, name) in keys {
        let view = ask.admin().key(&ask.actor, &key).await?;
        refuse_retired(&key, view.hash).map_err(|error| saying_which(error, &name))?;
        let id = view.key.id;
        if !found.iter().any(|(known, _)| *known == id) {
            found.push((id, name));
        }
    }
    let (ids, gone): (Vec<String>, Vec<String>) =
        at_once("keys", found)?.into_iter().map(|(id, name)| (id.to_string(), name)).unzip();
    let all = KeyBulk { keys: ids, delete: true, ..KeyBulk::default() };
    let done = ask.admin().change_keys(&ask.actor, all).await?;
    let refused = done.items.into_iter().zip(&gone).find_map(|(item, name)| Some((item.error?, name)));
    if let Some((error, name)) = refused {
        return Err(saying_which(error, name));
    }
    warned(Map::from_iter([("deleted_keys".to_owned(), json!(gone))]), warnings)
}

/// Of several keys, which one couldn't be done. A credential isn't repeated: its hash names it as well.
fn saying_which(error: Error, name: &str) -> Error {
    let shown = if name.starts_with(PREFIX) { KeyHash::of(name).to_string() } else { name.to_owned() };
    let message = format!("key `{shown}`: {}", error.message());
    Error::new(error.kind(), message).with_source(error)
}

/// `reset_to`: what counts against the key's budget becomes that.
async fn reset_spend(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let to = must_reset_to(&mut fields)?;
    let mut warnings = fields.finish()?;
    let key = find_key(&ask, &ask.param("key")).await?;
    let done = ask.admin().set_key_back(&ask.actor, &key, to).await?;
    let view = ask.admin().key(&ask.actor, &key).await?;
    let mut answer = set_back(&done, row(&view), &mut warnings);
    answer.insert("key_hash".to_owned(), token(&view).into());
    warned(answer, warnings)
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let asked = query.text("key");
    let (reference, shown) = match asked {
        // A credential isn't repeated: its hash names it as well.
        Some(name) if name.starts_with(PREFIX) => {
            (find_key(&ask, name).await?, KeyHash::of(name).to_string())
        }
        Some(name) => (find_key(&ask, name).await?, name.to_owned()),
        None => match ask.actor.key() {
            Some(id) => (KeyRef::Id(id.clone()), String::new()),
            None => {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    "`key` is missing: the master key has no row",
                )
                .with("param", "key"));
            }
        },
    };
    let view = ask.admin().key(&ask.actor, &reference).await?;
    let shown = if shown.is_empty() { token(&view) } else { shown };
    let mut row = row(&view);
    row.remove("token");
    Done::ok(&json!({"key": shown, "info": row})).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// Several keys' rows; those that the asker doesn't see are left out.
async fn infos(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (mut shown, mut rows) = (Vec::new(), Vec::new());
    let named = at_once("keys", once(fields.texts("keys")?.value().unwrap_or_default()))?;
    let warnings = fields.finish()?;
    for name in named {
        let view = match find_key(&ask, &name).await {
            Ok(key) => ask.admin().key(&ask.actor, &key).await,
            Err(error) => Err(error),
        };
        match view {
            Ok(view) => {
                shown.push(token(&view));
                rows.push(row(&view));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Done::ok(&json!({"key": shown, "info": rows})).map(|done| done.warning(warnings))
}

/// The aliases of the keys that the asker sees, by name.
async fn aliases_of_keys(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let group = match query.text("team_id") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, name).await?.value.id),
        None => None,
    };
    let filter = KeyFilter { group, search: query.text("search").map(str::to_owned), ..KeyFilter::default() };
    let (number, size) = pages(&query, "size", 50)?;
    let found = ask.admin().key_aliases(&ask.actor, &filter, Page::numbered(number, size)).await?;
    Done::ok(&json!({
        "aliases": found.items,
        "total_count": found.total,
        "current_page": number,
        "total_pages": found.total.div_ceil(u64::from(size)),
        "size": size,
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

/// The key that asks is fine: else it wouldn't have got here.
async fn health(ask: Ask) -> Result<Done> {
    if ask.actor.key().is_none() {
        let message = "ask with the key that it is about: the master key, sessions and tokens are no keys";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    Done::ok(&json!({"key": "healthy", "logging_callbacks": null}))
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let text = |name| query.text(name).map(str::to_owned);
    let group = match text("team_id") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let filter = KeyFilter {
        organization: text("organization_id").map(OrganizationId::from),
        group,
        user: text("user_id").map(UserId::from),
        search: text("search"),
        alias: text("key_alias"),
        // A key itself is as good as its hash; whatever else is nobody's, and names no keys rather than all.
        hash: text("key_hash").map(|text| KeyHash::from_hex(&text).unwrap_or_else(|| KeyHash::of(&text))),
        ..KeyFilter::default()
    };
    let (number, size) = pages(&query, "size", 10)?;
    let found = ask.admin().keys(&ask.actor, &filter, Page::numbered(number, size)).await?;
    let whole = text("return_full_object").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let keys: Vec<Value> =
        found.items.iter().map(|view| if whole { row(view).into() } else { token(view).into() }).collect();
    Done::ok(&json!({
        "keys": keys,
        "total_count": found.total,
        "current_page": number,
        "total_pages": found.total.div_ceil(u64::from(size)),
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn block(ask: Ask) -> Result<Done> {
    set_blocked(ask, true).await
}

async fn unblock(ask: Ask) -> Result<Done> {
    set_blocked(ask, false).await
}

async fn set_blocked(ask: Ask, blocked: bool) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("key")?;
    let warnings = fields.finish()?;
    let key = find_key(&ask, &named).await?;
    let view = ask.admin().block_key(&ask.actor, &key, blocked).await?;
    warned(row(&view), warnings)
}

/// The key that the body names, or else the address.
fn key_of(ask: &Ask, fields: &mut Fields) -> Result<String> {
    let query = query(ask)?;
    match (fields.text("key")?.value().filter(|name| !name.is_empty()), query.text("key")) {
        (Some(in_body), Some(in_address)) if in_body != in_address => {
            let message = "the body and the address name different keys; name one of them";
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "key"))
        }
        (Some(name), _) => Ok(name),
        (None, _) => query.required("key").map(str::to_owned),
    }
}

async fn regenerate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = match ask.param("key") {
        name if name.is_empty() => key_of(&ask, &mut fields)?,
        name => {
            fields.take("key");
            name
        }
    };
    let said = |text: Sent<String>| text.value().filter(|text| !text.is_empty());
    let how = Regenerate {
        key: said(fields.text("new_key")?).map(Secret::new),
        grace: said(fields.text("grace_period")?),
        patch: patch(&mut fields)?,
    };
    let warnings = fields.finish()?;
    let key = find_key(&ask, &named).await?;
    let made = ask.admin().regenerate_key(&ask.actor, &key, how).await?;
    warned(issued(&made), warnings)
}
