//! Channels: those of the file, read-only, and those of the database.

use actix_web::http::Method;
use serde_json::{Value, json};
use sluicegate::admin::{ChannelPatch, ChannelView, NewChannel};
use sluicegate::{ChannelId, Error, ErrorKind, Result};

use super::listing;
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "channels", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/channels", "/api/v1/channels/{channel}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listChannels", "Every channel, and how it is doing.").answers(200, "ChannelList"),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createChannel", "Makes a channel and takes it into use.")
                .body("NewChannel")
                .answers(201, "Channel"),
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
            op("replaceChannel", "Changes a channel. A new address needs the credential again.")
                .body("ChannelPatch")
                .answers(200, "Channel"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteChannel", "Removes a channel and takes it out of use.").answers_nothing(204),
        ),
        entry(
            Method::POST,
            "/api/v1/channels/{channel}/mend",
            || ask::route(Method::POST, mend),
            op("mendChannel", "Forgets what went wrong with a channel: somebody mended it.")
                .answers(200, "Channel"),
        ),
    ]
}

fn shown(ask: &Ask, view: &ChannelView) -> Result<Value> {
    let mut value = serde_json::to_value(view).map_err(|error| {
        Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error)
    })?;
    let gateway = ask.gateway();
    let health = gateway.engine().health(&view.channel.id, gateway.clock().now());
    value["health"] = json!(health);
    // Of a channel with several keys: how each is doing, never what it is.
    value["keys"] = json!(gateway.engine().keys(&view.channel.id, gateway.clock().now()));
    Ok(value)
}

async fn list(ask: Ask) -> Result<Done> {
    let all = ask.admin().channels(&ask.actor).await?;
    let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
    Done::ok(&listing(all.iter().map(|view| shown(&ask, view)).collect::<Result<_>>()?, total))
}

async fn create(ask: Ask) -> Result<Done> {
    let new: NewChannel = ask.json()?;
    Done::created(&shown(&ask, &ask.admin().create_channel(&ask.actor, new).await?)?)
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&shown(&ask, &ask.admin().channel(&ask.actor, &channel(&ask)).await?)?)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: ChannelPatch = ask.json()?;
    Done::ok(&shown(&ask, &ask.admin().update_channel(&ask.actor, &channel(&ask), patch).await?)?)
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_channel(&ask.actor, &channel(&ask)).await?;
    Done::nothing()
}

async fn mend(ask: Ask) -> Result<Done> {
    // Who may see a channel may mend it: both are for super administrators.
    let view = ask.admin().channel(&ask.actor, &channel(&ask)).await?;
    ask.gateway().engine().mend(&view.channel.id);
    Done::ok(&shown(&ask, &view)?)
}

fn channel(ask: &Ask) -> ChannelId {
    ChannelId::from(ask.param("channel"))
}
