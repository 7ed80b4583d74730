//! `/model/…` and `/model_group/info`: channels, as LiteLLM's entries of a `model_list`. An entry is read by the same code as
//! one of a file; it is kept beside its channel without its secrets, so that part of it can be changed.

use std::sync::Arc;

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{ChannelPatch, ChannelView, NamedKind, NewChannel, Seen, Sight};
use sluicegate::channel::Auth;
use sluicegate::config::{Environment, Severity, Source, load};
use sluicegate::core::{Caller, Needs};
use sluicegate::tenant::Role;
use sluicegate::{
    Channel, ChannelId, ChannelModel, Error, ErrorKind, Limit, Metric, ModelName, Result, Secret, SecretRef,
    Snapshot, Timestamp, Tokenizer, Window,
};

use super::fields::{self, Fields, Query, Sent};
use super::utility::Kinds;
use super::{body, pages, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/model/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::POST, "/model/update", || ask::route(Method::POST, update)),
        Entry::plain(Method::PATCH, "/model/{model_id}/update", || ask::route(Method::PATCH, update)),
        Entry::plain(Method::POST, "/model/delete", || ask::route(Method::POST, delete)),
        Entry::plain(Method::POST, "/model/block", || ask::route(Method::POST, block)),
        Entry::plain(Method::POST, "/model/unblock", || ask::route(Method::POST, unblock)),
        Entry::plain(Method::GET, "/model/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/v1/model/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/v2/model/info", || ask::route(Method::GET, info_pages)),
        Entry::plain(Method::GET, "/model_group/info", || ask::route(Method::GET, groups)),
        Entry::plain(Method::GET, "/public/model_hub", || ask::route(Method::GET, hub)),
    ]
}

/// An entry as a channel, and its credential apart.
struct Lowered {
    channel: Channel,
    secret: Option<Secret>,
    warnings: Vec<String>,
}

/// Reads an entry as a file's would be. Environment variables aren't read for it, but for a credential that names one.
fn lower(entry: &Value) -> Result<Lowered> {
    let text = json!({"model_list": [entry]}).to_string();
    let nothing = |_: &str| None;
    let loaded = load(Source { path: "the request", text: &text }, &Environment::new(&nothing));
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for found in &loaded.diagnostics {
        let at = found.at.strip_prefix("model_list[0].").unwrap_or(&found.at);
        // What concerns a whole file, or a variable that the gateway reads by itself, is nothing to say here.
        match found.severity {
            _ if !found.at.starts_with("model_list") => {}
            Severity::Error => errors.push(format!("`{at}`: {}", found.message)),
            Severity::Warning if found.code != "missing_variable" => {
                warnings.push(format!("`{at}`: {}", found.message));
            }
            _ => {}
        }
    }
    let channel = loaded.declared.channels.into_iter().next().filter(|it| !it.endpoints.is_empty());
    let Some(mut channel) = channel.filter(|_| errors.is_empty()) else {
        errors.append(&mut warnings);
        let message = format!("this is no model that can be called: {}", errors.join("; "));
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "litellm_params"));
    };
    let secret = match std::mem::take(&mut channel.secret) {
        SecretRef::Inline(secret) => Some(secret),
        other => {
            channel.secret = other;
            None
        }
    };
    Ok(Lowered { channel, secret, warnings })
}

/// Parameters that say where a credential is sent.
pub(super) const ADDRESSES: [&str; 4] = ["api_base", "base_url", "api_version", "custom_llm_provider"];

/// An entry with what the credential that it names says. Where that is sent is the credential's affair: else whoever may make
/// models could have it sent to themselves.
async fn filled(ask: &Ask, entry: &Value, values: Option<&Map<String, Value>>) -> Result<Value> {
    let Some(name) = credential_of(entry) else { return Ok(entry.clone()) };
    let opened;
    let values = match values {
        Some(values) => values,
        None => {
            opened = ask.admin().opened_credential(&ask.actor, name).await?;
            &opened
        }
    };
    let mut entry = entry.clone();
    let Some(params) = entry["litellm_params"].as_object_mut() else { return Ok(entry) };
    params.remove("litellm_credential_name");
    params.retain(|_, value| !value.is_null());
    let is_own = |name: &&String| is_secret(name) && !name.contains("headers") && *name != "extra_body";
    if let Some(secret) = params.keys().find(is_own) {
        let message = format!(
            "`{secret}` and `litellm_credential_name` are two credentials; give one of them, and null for the other"
        );
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "litellm_params"));
    }
    let own = |address: &&&str| params.get(**address).is_some_and(|it| values.get(**address) != Some(it));
    if let Some(address) = ADDRESSES.iter().find(own) {
        let message = format!(
            "`{address}` belongs into the credential, which is sent nowhere else: PATCH /credentials/{name}, or give `api_key` instead"
        );
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "litellm_params"));
    }
    for (name, value) in values {
        params.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    Ok(entry)
}

/// The credential that an entry names.
fn credential_of(entry: &Value) -> Option<&str> {
    let named = entry["litellm_params"].get("litellm_credential_name").and_then(Value::as_str);
    named.filter(|name| !name.is_empty())
}

/// Parameters that hold, or may hold, what nobody is shown again.
pub(super) fn is_secret(name: &str) -> bool {
    let words = ["key", "secret", "token", "password", "credential", "headers", "extra_body"];
    let known = ["litellm_credential_name", "max_tokens"];
    !name.contains("tokens")
        && !name.contains("cost")
        && !known.contains(&name)
        && words.iter().any(|word| name.contains(word))
}

/// An entry without its secrets.
pub(super) fn shown(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(params) = entry.get_mut("litellm_params").and_then(Value::as_object_mut) {
        params.retain(|name, _| !is_secret(name));
    }
    entry
}

fn kept(entry: &Value) -> Option<Map<String, Value>> {
    shown(entry).as_object().cloned()
}

/// A channel's name must be its own, and several may serve one model.
async fn own_name(ask: &Ask, name: &str, id: &str) -> Result<String> {
    let taken = ask.admin().channels(&ask.actor).await?;
    let is_taken = taken.iter().any(|it| it.channel.name == name && it.channel.id.as_str() != id);
    Ok(if is_taken { format!("{name} {id}") } else { name.to_owned() })
}

/// What `/model/new` and its like answer.
fn row(view: &ChannelView, entry: &Value) -> Map<String, Value> {
    let mut info = entry["model_info"].as_object().cloned().unwrap_or_default();
    info.insert("id".to_owned(), json!(view.channel.id));
    info.insert("db_model".to_owned(), true.into());
    Map::from_iter([
        ("model_id".to_owned(), json!(view.channel.id)),
        ("model_name".to_owned(), entry["model_name"].clone()),
        ("litellm_params".to_owned(), shown(entry)["litellm_params"].clone()),
        ("model_info".to_owned(), info.into()),
        ("blocked".to_owned(), json!(!view.channel.enabled)),
        ("created_by".to_owned(), json!(view.created_by)),
        ("updated_by".to_owned(), json!(view.updated_by)),
        ("updated_at".to_owned(), json!(view.updated_at.to_string())),
    ])
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("model_name")?;
    let params = fields.object("litellm_params")?.value().ok_or_else(|| fields::missing("litellm_params"))?;
    let mut info = fields.object("model_info")?.value().unwrap_or_default();
    let id = match info.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => ask.gateway().call_id().as_str().replace("call-", "model-"),
    };
    info.insert("id".to_owned(), id.as_str().into());
    let entry = json!({"model_name": name, "litellm_params": params, "model_info": info});
    let mut warnings = fields.finish()?;
    let mut it = lower(&filled(&ask, &entry, None).await?)?;
    it.channel.name = own_name(&ask, &name, &id).await?;
    let made = NewChannel { channel: it.channel, secret: it.secret, entry: kept(&entry) };
    let view = ask.admin().create_channel(&ask.actor, made).await?;
    warnings.extend(it.warnings);
    warned(row(&view, &entry), warnings)
}

/// `model_info.id`, or the path's.
fn id_of(ask: &Ask, fields: &mut Fields) -> Result<(ChannelId, Map<String, Value>)> {
    let mut info = fields.object("model_info")?.value().unwrap_or_default();
    let within = info.remove("id").and_then(|id| id.as_str().map(str::to_owned));
    match (ask.param("model_id"), within) {
        (id, _) if !id.is_empty() => Ok((ChannelId::from(id), info)),
        (_, Some(id)) => Ok((ChannelId::from(id), info)),
        _ => Err(fields::missing("model_info.id")),
    }
}

/// Changes what is named; the rest stays as the entry said it. So does the credential; with another address it must be given again,
/// or be given as none.
async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (id, info) = id_of(&ask, &mut fields)?;
    let name = fields.text("model_name")?.value();
    let mut params = fields.object("litellm_params")?.value().unwrap_or_default();
    let mut told = fields.finish()?;
    let before = ask.admin().channel(&ask.actor, &id).await?;
    let mut entry = entry_of(&ask, &id).await?;
    if let Some(name) = &name {
        entry["model_name"] = name.as_str().into();
    }
    let named = credential_of(&entry).map(str::to_owned);
    let is_none = params.get("api_key").is_some_and(|key| key.is_null() || key == "");
    if is_none {
        // An empty one would be read as "take the provider's variable".
        params.insert("api_key".to_owned(), Value::Null);
    }
    merge(&mut entry["litellm_params"], params);
    merge(&mut entry["model_info"], info);
    // What it had of a credential that it doesn't name any more isn't its own.
    let revoke = named.is_some() && named.as_deref() != credential_of(&entry);
    let (mut patch, warnings) = patch_for(&ask, before.channel.clone(), &entry, None, revoke).await?;
    // An empty key means nothing to LiteLLM by itself: only with another address it says that there shall be none.
    let moves =
        (&patch.channel.endpoints, &patch.channel.auth) != (&before.channel.endpoints, &before.channel.auth);
    let gives = patch.secret.as_ref().is_some_and(|key| !key.expose().is_empty())
        || matches!(patch.channel.secret, SecretRef::Env(_));
    if !gives {
        patch.secret = (is_none && moves).then(|| Secret::new(""));
        if moves && before.has_secret && !is_none && !patch.revoke {
            let message = "another address, provider or authentication needs `api_key` again, which isn't sent elsewhere by itself: give it in `litellm_params`, name its variable as `os.environ/NAME`, or give null to have none";
            return Err(
                Error::new(ErrorKind::InvalidRequest, message).with("param", "litellm_params.api_key")
            );
        }
    }
    let actor = ask.actor.clone().having_seen(Some(Seen::Tags(vec![before.etag.clone()])));
    let view = ask.admin().update_channel(&actor, &id, patch).await?;
    if before.has_secret && !view.has_secret {
        let gone = "it has no credential any more: give `api_key`, or another `litellm_credential_name`";
        told.push(gone.to_owned());
    }
    told.extend(warnings);
    warned(row(&view, &entry), told)
}

/// What a channel becomes by an entry, whose credential says `values` or what is kept of it. `revoke` says that the key that it has
/// goes, unless another one is given.
pub(super) async fn patch_for(
    ask: &Ask,
    before: Channel,
    entry: &Value,
    values: Option<&Map<String, Value>>,
    revoke: bool,
) -> Result<(ChannelPatch, Vec<String>)> {
    let whole = filled(ask, entry, values).await?;
    let mut it = lower(&whole)?;
    let name = entry["model_name"].as_str().unwrap_or_default();
    it.channel.name = own_name(ask, name, before.id.as_str()).await?;
    let key = whole["litellm_params"].get("api_key");
    if key.is_none_or(|key| key.is_null() || key == "") {
        // The one that it has stays, rather than the variable that a new one would take it from.
        it.channel.secret = SecretRef::None;
        // Where none is needed an entry without one says nothing of how the one that there is is sent.
        let stays = !revoke && before.secret != SecretRef::None && it.channel.endpoints == before.endpoints;
        if stays && it.channel.auth == Auth::None {
            it.channel.auth = before.auth.clone();
        }
    }
    // What an entry says nothing of, whom it is kept to above all, stays as it is; and so does what somebody changes meanwhile.
    let said = it.channel;
    let channel = Channel {
        name: said.name,
        provider: said.provider,
        endpoints: said.endpoints,
        auth: said.auth,
        secret: said.secret,
        models: said.models,
        limits: said.limits,
        tags: said.tags,
        tag_patterns: said.tag_patterns,
        timeouts: said.timeouts,
        cooldown_ms: said.cooldown_ms,
        allowed_fails: said.allowed_fails,
        allowed_fails_by: said.allowed_fails_by,
        health_check: said.health_check,
        headers: if said.headers.is_empty() { before.headers.clone() } else { said.headers },
        ..before
    };
    Ok((ChannelPatch { channel, secret: it.secret, entry: kept(entry), revoke }, it.warnings))
}

/// The entry that a channel was made of.
pub(super) async fn entry_of(ask: &Ask, id: &ChannelId) -> Result<Value> {
    match ask.admin().named(&ask.actor, NamedKind::Model, id.as_str()).await {
        Ok(kept) => Ok(Value::Object(kept.value.metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!(
                "model `{id}` wasn't made by /model/new; change it in the configuration file, or at /api/v1/channels/{id}"
            );
            Err(Error::new(ErrorKind::Conflict, message))
        }
        Err(error) => Err(error),
    }
}

/// Members of one object into another; null takes one out.
fn merge(into: &mut Value, change: Map<String, Value>) {
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(into) = into.as_object_mut() else { return };
    for (name, value) in change {
        match value {
            Value::Null => drop(into.remove(&name)),
            value => drop(into.insert(name, value)),
        }
    }
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = ChannelId::from(fields.required("id")?);
    let warnings = fields.finish()?;
    ask.admin().delete_channel(&ask.actor, &id).await?;
    warned(Map::from_iter([("message".to_owned(), format!("model `{id}` is deleted").into())]), warnings)
}

async fn block(ask: Ask) -> Result<Done> {
    set_blocked(ask, true).await
}

async fn unblock(ask: Ask) -> Result<Done> {
    set_blocked(ask, false).await
}

async fn set_blocked(ask: Ask, blocked: bool) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = match fields.text("model_id")? {
        Sent::Value(id) => ChannelId::from(id),
        _ => ChannelId::from(fields.required("id")?),
    };
    let warnings = fields.finish()?;
    let before = ask.admin().channel(&ask.actor, &id).await?;
    let channel = Channel { enabled: !blocked, ..before.channel };
    let actor = ask.actor.clone().having_seen(Some(Seen::Tags(vec![before.etag.clone()])));
    let view = ask
        .admin()
        .update_channel(&actor, &id, ChannelPatch { channel, secret: None, entry: None, revoke: false })
        .await?;
    let entry = match entry_of(&ask, &id).await {
        Ok(entry) => entry,
        Err(error) if error.kind() == ErrorKind::Conflict => json!({"model_name": view.channel.name}),
        Err(error) => return Err(error),
    };
    warned(row(&view, &entry), warnings)
}

/// A model, by one of its channels.
type Offered<'a> = (&'a Channel, &'a ChannelModel);

/// The models that the asker may call, and what serves them.
fn offered<'a>(ask: &Ask, sight: &Sight, snapshot: &'a Snapshot) -> Vec<Offered<'a>> {
    let channels = snapshot.channels().iter().filter(|channel| channel.enabled);
    let all = channels.flat_map(|channel| channel.models.iter().map(move |model| (channel, model)));
    all.filter(|(channel, model)| may_call(ask, &model.group) && sight.sees(channel, model)).collect()
}

/// As they are shown. Where a channel sends is for super administrators.
async fn shown_rows(ask: &Ask, offered: &[Offered<'_>]) -> Vec<Value> {
    let (mut data, mut kinds) = (Vec::with_capacity(offered.len()), Kinds::default());
    let now = ask.gateway().clock().now();
    for &(channel, model) in offered {
        let mut row = described(channel, model, ask.actor.is_super(), now);
        can(&mut row["model_info"], &[(channel, model)], &mut kinds).await;
        data.push(row);
    }
    data
}

/// What serves a model: the first channel of it that the asker reaches.
pub(super) struct Served {
    /// The model, as it was asked for.
    pub name: String,
    /// The model group that it is.
    pub group: ModelName,
    /// The upstream's name of it.
    pub upstream: String,
    pub provider: String,
    pub model: ChannelModel,
    pub tokenizer: Option<Tokenizer>,
    /// The output ceiling when the caller names none.
    pub ceiling: u64,
    /// The channel, without its models.
    pub channel: Channel,
}

impl Served {
    /// By one of its channels; with what calls are sent through it, and nothing else.
    pub(super) fn by(channel: &Channel, model: &ChannelModel) -> Self {
        let sent_by = Channel {
            endpoints: channel.endpoints.clone(),
            unknown_fields: channel.unknown_fields,
            client_overrides: channel.client_overrides.clone(),
            web_search: channel.web_search,
            quirks: Arc::clone(&channel.quirks),
            ..Channel::new("", "", channel.provider.clone())
        };
        Self::of(model.group.as_str(), model.group.clone(), sent_by, model, 1)
    }

    fn of(name: &str, group: ModelName, channel: Channel, model: &ChannelModel, ceiling: u64) -> Self {
        Self {
            name: name.to_owned(),
            group,
            upstream: model.upstream.to_string(),
            provider: channel.provider.to_string(),
            model: model.clone(),
            tokenizer: model.tokenizer,
            ceiling: model.max_output.map_or(ceiling, |most| most.min(ceiling)),
            channel,
        }
    }

    #[cfg(test)]
    pub(super) fn nothing(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: ModelName::from(name),
            upstream: name.to_owned(),
            provider: String::new(),
            model: serde_json::from_value(json!({"group": name, "upstream": name})).unwrap(),
            tokenizer: None,
            ceiling: 1,
            channel: Channel::new(name, name, name),
        }
    }
}

/// What serves a model; `None` where nothing does, and of a model that the asker may not call.
pub(super) async fn served(ask: &Ask, name: &str) -> Result<Option<Served>> {
    let (sight, snapshot) = (ask.admin().sight(&ask.actor).await?, ask.gateway().engine().snapshot());
    let asked = ModelName::from(name);
    let named = snapshot.unalias(&asked);
    if !may_call(ask, &asked) {
        return Ok(None);
    }
    let Some(group) = snapshot.model_group(named.as_str()) else { return Ok(None) };
    let own = group.settings.default_output;
    let ceiling = own.unwrap_or(snapshot.declared.quota.default_output);
    let all = group.candidates.iter().filter_map(|it| snapshot.resolve(*it));
    let mut seen = all.filter(|(channel, model)| channel.enabled && sight.sees(channel, model));
    Ok(seen.next().map(|(channel, model)| {
        let channel = Channel { models: Vec::new(), ..channel.clone() };
        Served::of(name, named.clone(), channel, model, ceiling)
    }))
}

/// As [`served`].
///
/// # Errors
/// `NotFound` where nothing serves it.
pub(super) async fn must_be_served(ask: &Ask, name: &str) -> Result<Served> {
    served(ask, name).await?.ok_or_else(|| {
        let message = format!("model `{name}` doesn't exist; GET /v1/models lists those that do");
        Error::new(ErrorKind::NotFound, message).with("param", "model")
    })
}

/// Whether the key that asks, if it is one, allows a model, and any channel that serves it is open to its groups. Who looks after an
/// organization sees what its groups may call, whatever groups they are in themselves.
fn may_call(ask: &Ask, model: &ModelName) -> bool {
    let is_open = |caller: &Caller| {
        ask.actor.role() != Role::User || ask.gateway().engine().snapshot().is_open(model, caller)
    };
    ask.caller.as_ref().is_none_or(|caller| caller.caller.may_call(model.as_str()) && is_open(&caller.caller))
}

/// A channel of one model is called by its own id.
fn id_in(channel: &Channel, model: &ChannelModel) -> String {
    match channel.models.len() {
        1 => channel.id.to_string(),
        _ => format!("{}/{}", channel.id, model.group),
    }
}

fn described(channel: &Channel, model: &ChannelModel, whole: bool, now: Timestamp) -> Value {
    let price = model.price.on(now);
    let mut parameters = json!({"model": format!("{}/{}", channel.provider, model.upstream)});
    if whole {
        parameters["api_base"] = json!(channel.endpoints.first().map(|endpoint| endpoint.url.as_str()));
    }
    json!({
        "model_name": model.group,
        "litellm_params": parameters,
        "model_info": {
            "id": id_in(channel, model),
            "db_model": channel.source == sluicegate::tenant::Source::Database,
            "key": format!("{}/{}", channel.provider, model.upstream),
            "litellm_provider": channel.provider,
            "max_input_tokens": model.context_window,
            "max_output_tokens": model.max_output,
            "max_tokens": model.max_output,
            "input_cost_per_token": per_token(price.input()),
            "output_cost_per_token": per_token(price.output()),
            "cache_read_input_token_cost": per_token(price.cache_read()),
            "mode": mode(channel),
        },
    })
}

/// Whether something is among what is lacked.
type Lacks = fn(&Needs) -> bool;

/// What a model is known to take, of whichever channel. What the catalogue doesn't know of is null.
async fn can(row: &mut Value, served: &[Offered<'_>], kinds: &mut Kinds) {
    let chats = served.iter().any(|(channel, _)| mode(channel) == "chat");
    let mut all = Vec::with_capacity(served.len());
    for (channel, model) in served {
        all.push((kinds.of(channel, model).await, &model.lacks));
    }
    let lacks: [(&str, Lacks); 4] = [
        ("supports_function_calling", |lacks| lacks.tools),
        ("supports_vision", |lacks| lacks.images),
        ("supports_audio_input", |lacks| lacks.audio),
        ("supports_response_schema", |lacks| lacks.json_schema),
    ];
    for (name, lacks) in lacks {
        let known = all.iter().filter(|(known, own)| known.is_listed || lacks(own));
        row[name] = json!(known.map(|(_, own)| chats && !lacks(own)).reduce(|a, b| a || b));
    }
    let mut names: Vec<&str> = Vec::new();
    for name in all.iter().flat_map(|(known, _)| &known.parameters) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    row["supported_openai_params"] = if chats { json!(names) } else { Value::Null };
}

/// Of what the asker may call, what the query picks: `litellm_model_id`, `search`.
fn picked<'a>(ask: &Ask, query: &Query, sight: &Sight, snapshot: &'a Snapshot) -> Result<Vec<Offered<'a>>> {
    let mut all = offered(ask, sight, snapshot);
    if let Some(id) = query.text("litellm_model_id") {
        all.retain(|(channel, model)| id_in(channel, model) == id);
        if all.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no model with the id `{id}`")));
        }
    }
    if let Some(text) = query.text("search").map(str::to_lowercase) {
        all.retain(|(_, model)| model.group.as_str().to_lowercase().contains(&text));
    }
    Ok(all)
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (sight, snapshot) = (ask.admin().sight(&ask.actor).await?, ask.gateway().engine().snapshot());
    let data = shown_rows(&ask, &picked(&ask, &query, &sight, &snapshot)?).await;
    Done::ok(&json!({ "data": data })).and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn info_pages(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (sight, snapshot) = (ask.admin().sight(&ask.actor).await?, ask.gateway().engine().snapshot());
    let (all, (number, size)) = (picked(&ask, &query, &sight, &snapshot)?, pages(&query, "size", 50)?);
    let (total, size) = (all.len(), size as usize);
    let skip = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let page: Vec<Offered<'_>> = all.into_iter().skip(skip).take(size).collect();
    let data = shown_rows(&ask, &page).await;
    Done::ok(&json!({
        "data": data, "total_count": total, "current_page": number, "total_pages": total.div_ceil(size), "size": size,
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn groups(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let data = group_rows(&ask, query.text("model_group")).await?;
    Done::ok(&json!({ "data": data })).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// The models that the asker may call, as a bare list: nobody else is shown any.
async fn hub(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    Done::ok(&group_rows(&ask, None).await?).map(|done| done.warning(sent))
}

async fn group_rows(ask: &Ask, wanted: Option<&str>) -> Result<Vec<Value>> {
    let sight = ask.admin().sight(&ask.actor).await?;
    let (snapshot, now) = (ask.gateway().engine().snapshot(), ask.gateway().clock().now());
    let (mut data, mut kinds) = (Vec::new(), Kinds::default());
    for name in snapshot.model_names().into_iter().filter(|name| may_call(ask, name)) {
        if wanted.is_some_and(|wanted| wanted != name.as_str()) {
            continue;
        }
        let Some(group) = snapshot.model_group(name.as_str()) else { continue };
        let all = group.candidates.iter().filter_map(|it| snapshot.resolve(*it));
        let served: Vec<_> = all.filter(|(channel, model)| sight.sees(channel, model)).collect();
        if !served.is_empty() {
            let mut row = group_row(name, &served, now);
            can(&mut row, &served, &mut kinds).await;
            data.push(row);
        }
    }
    Ok(data)
}

/// What all channels of a model come to: the largest windows, the dearest prices, the sum of their rates.
fn group_row(name: &ModelName, served: &[(&Channel, &ChannelModel)], now: Timestamp) -> Value {
    let mut providers: Vec<&str> = served.iter().map(|(channel, _)| channel.provider.as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    let most = |of: fn(&ChannelModel) -> Option<u64>| served.iter().filter_map(|(_, model)| of(model)).max();
    let dearest = |of: fn(&ChannelModel, Timestamp) -> Option<u64>| {
        per_token(served.iter().filter_map(|(_, model)| of(model, now)).max())
    };
    // Without a limit on one of them there is none on all.
    let rate = |metric: Metric| -> Option<i64> {
        let of = |limits: &[Limit]| {
            limits.iter().find(|it| it.metric == metric && it.window == Window::Minute).map(|it| it.max)
        };
        served.iter().map(|(channel, _)| of(&channel.limits)).sum()
    };
    json!({
        "model_group": name,
        "providers": providers,
        "max_input_tokens": most(|it| it.context_window),
        "max_output_tokens": most(|it| it.max_output),
        "input_cost_per_token": dearest(|it, now| it.price.on(now).input()),
        "output_cost_per_token": dearest(|it, now| it.price.on(now).output()),
        "mode": served.first().map(|(channel, _)| mode(channel)),
        "rpm": rate(Metric::Requests),
        "tpm": rate(Metric::TotalTokens),
        "configurable_clientside_auth_params": null,
        "is_public_model_group": false,
    })
}

pub(super) fn per_token(price: Option<u64>) -> Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "shown to people as a JSON number, as LiteLLM does; never computed with"
    )]
    let usd = |pico: u64| pico as f64 / 1e12;
    json!(price.map(usd))
}

fn mode(channel: &Channel) -> &'static str {
    let only_embeddings =
        channel.endpoints.iter().all(|endpoint| endpoint.format == sluicegate::Format::OpenaiEmbeddings);
    if only_embeddings { "embedding" } else { "chat" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_becomes_a_channel_and_its_credential_stands_apart() {
        let entry = json!({
            "model_name": "fast",
            "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "sk-upstream", "rpm": 60},
            "model_info": {"id": "m-1"},
        });
        let it = lower(&entry).unwrap();
        assert_eq!(it.channel.id.as_str(), "m-1");
        assert_eq!(it.channel.models[0].group.as_str(), "fast");
        assert_eq!(it.channel.models[0].upstream.as_str(), "gpt-4o-mini");
        assert_eq!(it.secret.as_ref().map(Secret::expose), Some("sk-upstream"));
        assert_eq!(it.channel.secret, SecretRef::None);
        assert!(!shown(&entry).to_string().contains("sk-upstream"));
    }

    #[test]
    fn a_credential_may_stand_in_a_variable_and_nothing_else_is_read_from_one() {
        let entry = |params: Value| json!({"model_name": "fast", "litellm_params": params});
        let it = lower(&entry(json!({"model": "openai/gpt-4o", "api_key": "os.environ/MY_KEY"}))).unwrap();
        assert_eq!(it.channel.secret, SecretRef::Env("MY_KEY".to_owned()));
        let wrong = lower(&entry(json!({"model": "openai/gpt-4o", "api_base": "os.environ/SOMETHING"})));
        assert!(wrong.is_err() || wrong.is_ok_and(|it| !it.channel.endpoints[0].url.contains("SOMETHING")));
    }

    #[test]
    fn what_cant_be_called_is_refused_by_name() {
        for params in
            [json!({"model": "nobody/gpt"}), json!({}), json!({"model": "openai/gpt-4o", "rpm": "x"})]
        {
            let entry = json!({"model_name": "fast", "litellm_params": params});
            if let Err(error) = lower(&entry) {
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{entry}");
            } else {
                assert!(!lower(&entry).unwrap().warnings.is_empty(), "{entry}");
            }
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, want) in [
            ("api_key", true),
            ("aws_secret_access_key", true),
            ("azure_ad_token", true),
            ("vertex_credentials", true),
            ("extra_headers", true),
            ("max_tokens", false),
            ("input_cost_per_token", false),
            ("api_base", false),
            ("rpm", false),
            ("litellm_credential_name", false),
        ] {
            assert_eq!(is_secret(name), want, "{name}");
        }
    }
}
