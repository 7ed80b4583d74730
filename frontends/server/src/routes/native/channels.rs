//! Channels: those of the file, read-only, and those of the database.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluicegate::admin::{
    ChannelBulk, ChannelDraft, ChannelPatch, ChannelTrial, ChannelView, NewChannel, NewChannelKeys,
    channel_state,
};
use sluicegate::{ChannelId, Error, ErrorKind, Result};

use super::{list as lists, parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &[
    ("search", "With this text in id, name or provider."),
    ("tag", "With this tag."),
    ("provider", "Of this provider."),
    ("model", "That serve this model, by the name that is asked for."),
    ("enabled", "`true` or `false`: switched on or off."),
    ("state", "In this state: `well`, `benched`, `broken`, or `off`."),
    lists::PARAMETERS[0],
    lists::PARAMETERS[1],
    lists::PARAMETERS[2],
    lists::PARAMETERS[3],
    lists::PARAMETERS[4],
];

const BALANCE: &[(&str, &str)] = &[("key", "Which of several keys' account, from 0. Default 0.")];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "channels", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/channels", "/api/v1/channels/{channel}");
    let mut entries = vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listChannels", "Channels, and how they are doing.")
                .query(QUERY)
                .answers(200, "ChannelList")
                .or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createChannel", "Makes a channel and takes it into use.")
                .body("NewChannel")
                .answers(201, "Channel"),
        ),
        // Before what names a channel.
        entry(
            Method::POST,
            "/api/v1/channels/bulk",
            || ask::route(Method::POST, bulk),
            op(
                "editChannels",
                "Changes or removes many channels in one step: those named, those with a tag. All, or none.",
            )
            .body("ChannelBulk")
            .answers(200, "Bulk"),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/test",
            || ask::route(Method::POST, try_draft),
            op("testChannelDraft", "Makes a small real call through a channel that isn't saved.")
                .body("ChannelDraftTrial")
                .answers(200, "ChannelTest"),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/models/fetch",
            || ask::route(Method::POST, draft_models),
            op("fetchDraftModels", "The models that the upstream of a channel that isn't saved lists.")
                .body("ChannelDraft")
                .answers(200, "OfferedModelList"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getChannel", "A channel, and how it is doing.").answers(200, "Channel"),
        ),
        entry(
            Method::PUT,
            one,
            || ask::route(Method::PUT, update),
            op(
                "replaceChannel",
                "Changes a channel. A new address needs the credential again, or an empty one.",
            )
            .body("ChannelPatch")
            .answers(200, "Channel"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, edit),
            op(
                "editChannel",
                "Changes some fields of a channel. Null gives one its default; one left out stays.",
            )
            .body("ChannelEdit")
            .answers(200, "Channel"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteChannel", "Removes a channel and takes it out of use.").answers_nothing(204),
        ),
    ];
    entries.extend(around_one());
    entries
}

fn around_one() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "channels", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    vec![
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/mend",
            || ask::route(Method::POST, mend),
            op("mendChannel", "Forgets what went wrong with a channel: somebody mended it.")
                .answers(200, "Channel"),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/test",
            || ask::route(Method::POST, try_one),
            op("testChannel", "Makes a small real call through a channel: its answer, timings, tokens, or what the upstream said against it.")
                .body("ChannelTrial")
                .answers(200, "ChannelTest"),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/models/fetch",
            || ask::route(Method::POST, models),
            op("fetchModels", "The models that a channel's upstream lists.").answers(200, "OfferedModelList"),
        ),
        entry(
            Method::GET,
            "/api/v1/channels/{channel}/balance",
            || ask::route(Method::GET, balance),
            op("getChannelBalance", "What is left of a channel's account, where its provider says so: deepseek, moonshot, openrouter, siliconflow.")
                .query(BALANCE)
                .answers(200, "ChannelBalance"),
        ),
        entry(
            Method::GET,
            "/api/v1/channels/{channel}/keys",
            || ask::route(Method::GET, keys),
            op("listChannelKeys", "A channel's keys by their fingerprints, and how each is doing.")
                .answers(200, "ChannelKeyList"),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/keys",
            || ask::route(Method::POST, add_keys),
            op("addChannelKeys", "Adds keys to a channel, a line each.")
                .body("NewChannelKeys")
                .answers(201, "ChannelKeyList"),
        ),
        entry(
            Method::DELETE,
            "/api/v1/channels/{channel}/keys/{fingerprint}",
            || ask::route(Method::DELETE, remove_key),
            op("removeChannelKey", "Takes a key from a channel, for good.").answers_nothing(204),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/keys/{fingerprint}/enable",
            || ask::route(Method::POST, enable_key),
            op("enableChannelKey", "Takes a key that is out into use again.").answers(200, "ChannelKey"),
        ),
    ]
}

fn shown(ask: &Ask, view: &ChannelView) -> Result<Value> {
    let mut value = serde_json::to_value(view).map_err(|error| {
        Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error)
    })?;
    let (gateway, id) = (ask.gateway(), &view.channel.id);
    let now = gateway.clock().now();
    let health = gateway.engine().health(id, now);
    let state = channel_state(view.channel.enabled, health.as_ref(), now);
    value["state"] = state.into();
    value["health"] = json!(health);
    value["latency"] = json!(gateway.engine().latency(id));
    value["recent"] = json!(gateway.engine().recent(id, now));
    // Of a channel with several keys: how each is doing, never what it is.
    value["keys"] = json!(gateway.engine().keys(id, now));
    Ok(value)
}

async fn list(ask: Ask) -> Result<Done> {
    let names = ["search", "tag", "provider", "model", "enabled", "state", "cursor", "sort", "format"];
    let query = parameters(&ask, &names)?;
    let search = parameter(&query, "search").map(|text| text.to_lowercase());
    let [tag, provider, model] = ["tag", "provider", "model"].map(|name| parameter(&query, name));
    let [enabled, state] = ["enabled", "state"].map(|name| parameter(&query, name));
    let fits = |view: &ChannelView| {
        let it = &view.channel;
        let has = |text: &String| {
            let names = [it.id.as_str(), it.name.as_str(), it.provider.as_str()];
            names.iter().any(|name| name.to_lowercase().contains(text))
        };
        search.as_ref().is_none_or(has)
            && tag.as_ref().is_none_or(|tag| it.tags.contains(tag))
            && provider.as_ref().is_none_or(|name| it.provider.as_str() == name)
            && model.as_ref().is_none_or(|name| it.models.iter().any(|model| model.group.as_str() == name))
            && enabled.as_ref().is_none_or(|text| it.enabled.to_string() == *text)
    };
    let mut all = Vec::new();
    for view in ask.admin().channels(&ask.actor).await?.iter().filter(|view| fits(view)) {
        let value = shown(&ask, view)?;
        if state.as_ref().is_none_or(|state| value["state"] == **state) {
            all.push(value);
        }
    }
    let fetch = async |spot: &lists::Spot| spot.of_whole(&all, &["id"]);
    lists::answer(&ask, &query, "Channel", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    let draft: ChannelDraft = ask.json()?;
    let new = match draft {
        ChannelDraft { channel: Some(channel), declared: None, secret } => {
            NewChannel { channel, secret, entry: None }
        }
        draft => {
            let (channel, secret) = ask.admin().drafted(&ask.actor, draft).await?;
            NewChannel { channel, secret, entry: None }
        }
    };
    Done::created(&shown(&ask, &ask.admin().create_channel(&ask.actor, new).await?)?).map(Done::tagged)
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&shown(&ask, &ask.admin().channel(&ask.actor, &channel(&ask)).await?)?).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: ChannelPatch = ask.json()?;
    let view = ask.admin().update_channel(&ask.actor, &channel(&ask), patch).await?;
    Done::ok(&shown(&ask, &view)?).map(Done::tagged)
}

async fn edit(ask: Ask) -> Result<Done> {
    let edit: Map<String, Value> = ask.json()?;
    let view = ask.admin().edit_channel(&ask.actor, &channel(&ask), edit).await?;
    Done::ok(&shown(&ask, &view)?).map(Done::tagged)
}

async fn bulk(ask: Ask) -> Result<Done> {
    let bulk: ChannelBulk = ask.json()?;
    let all = ask.admin().edit_channels(&ask.actor, &bulk).await?;
    Done::ok(&all).map(|done| done.undone(!all.done))
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_channel(&ask.actor, &channel(&ask)).await?;
    Done::nothing()
}

async fn mend(ask: Ask) -> Result<Done> {
    // Who may see a channel may mend it: both are for super administrators.
    let view = ask.admin().channel(&ask.actor, &channel(&ask)).await?;
    ask.gateway().engine().mend(&view.channel.id);
    Done::ok(&shown(&ask, &view)?).map(Done::tagged)
}

async fn try_one(ask: Ask) -> Result<Done> {
    let how: ChannelTrial = ask.json()?;
    Done::ok(&ask.admin().try_channel(&ask.actor, &channel(&ask), how).await?)
}

/// A channel that isn't saved, and how it is tried.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DraftTrial {
    channel: Option<sluicegate::Channel>,
    declared: Option<Map<String, Value>>,
    secret: Option<sluicegate::Secret>,
    test: ChannelTrial,
}

async fn try_draft(ask: Ask) -> Result<Done> {
    let DraftTrial { channel, declared, secret, test } = ask.json()?;
    let draft = ChannelDraft { channel, declared, secret };
    Done::ok(&ask.admin().try_draft(&ask.actor, draft, test).await?)
}

async fn models(ask: Ask) -> Result<Done> {
    let items = ask.admin().offered_models(&ask.actor, &channel(&ask)).await?;
    Done::ok(&json!({"total": items.len(), "items": items}))
}

async fn draft_models(ask: Ask) -> Result<Done> {
    let draft: ChannelDraft = ask.json()?;
    let items = ask.admin().offered_to_draft(&ask.actor, draft).await?;
    Done::ok(&json!({"total": items.len(), "items": items}))
}

async fn balance(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["key"])?;
    let key = parameter(&query, "key").map_or(Ok(0), |text| text.parse::<u32>()).map_err(|_| {
        Error::new(ErrorKind::InvalidRequest, "`key` must be the place of a key, from 0").with("param", "key")
    })?;
    Done::ok(&ask.admin().channel_balance(&ask.actor, &channel(&ask), key).await?)
}

async fn keys(ask: Ask) -> Result<Done> {
    let items = ask.admin().channel_keys(&ask.actor, &channel(&ask)).await?;
    Done::ok(&json!({"total": items.len(), "items": items}))
}

async fn add_keys(ask: Ask) -> Result<Done> {
    let new: NewChannelKeys = ask.json()?;
    let items = ask.admin().add_channel_keys(&ask.actor, &channel(&ask), &new).await?;
    Done::created(&json!({"total": items.len(), "items": items}))
}

async fn remove_key(ask: Ask) -> Result<Done> {
    ask.admin().remove_channel_key(&ask.actor, &channel(&ask), &ask.param("fingerprint")).await?;
    Done::nothing()
}

async fn enable_key(ask: Ask) -> Result<Done> {
    let print = ask.param("fingerprint");
    Done::ok(&ask.admin().enable_channel_key(&ask.actor, &channel(&ask), &print).await?)
}

fn channel(ask: &Ask) -> ChannelId {
    ChannelId::from(ask.param("channel"))
}
