//! What a channel passes through: its provider's own operations, below an address and within paths.

use sluicegate_core::call::{Format, PASS_THROUGH, PASS_THROUGH_PREFIX};
use sluicegate_core::channel::{Channel, ChannelModel, Endpoint};
use sluicegate_core::price::Price;

use super::section;
use crate::diagnostic::Severity;
use crate::draft;
use crate::endpoint::check_url;
use crate::quantity::parse_usd;
use crate::reader::{Fields, Item, Load};
use crate::yaml::Value;

/// What the addresses of operations end with, behind the base that all of them share.
const ENDINGS: [&str; 4] = ["/chat/completions", "/v1/messages", "/embeddings", "/completions"];

/// Reads `pass_through`, and lets the channel serve what it says.
pub(super) fn read(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    let fields = match &item.node.value {
        Value::Map(_) => Fields::open_section(load, item, &section::PASS_THROUGH),
        _ if item.boolean(load) == Some(true) => None,
        _ => return,
    };
    let mut price = Price::default();
    let mut base = None;
    if let Some(fields) = &fields {
        if let Some(list) = fields.get("paths") {
            for path in list.texts(load) {
                if path.starts_with('/') && !path.contains(['?', '#', '%', '\\']) && !path.contains("/.") {
                    channel.pass_through.push(path.trim_end_matches('/').to_owned());
                } else {
                    list.wrong(load, "paths such as /files, each with a slash first");
                }
            }
        }
        if let Some(fee) = fields.get("fee") {
            let fee = fee.parsed(load, "an amount of USD", |text| parse_usd(text).ok());
            price = Price {
                input: Some(0),
                output: Some(0),
                per_request_nano_usd: fee.unwrap_or(0),
                ..Price::default()
            };
        }
        if let Some(url) = fields.get("url") {
            let Some(text) = url.filled(load) else { return };
            if let Err(why) = check_url(&text) {
                let message = format!("{} is no address of an upstream: {why}", draft::shown_url(&text));
                url.say(load, Severity::Error, "invalid_url", message, "write a whole address");
                return;
            }
            base = Some(text);
        }
    }
    let own = || {
        let first = channel.endpoints.first()?;
        let path = first.url.split('?').next().unwrap_or_default();
        ENDINGS.iter().find_map(|ending| path.strip_suffix(ending)).map(str::to_owned)
    };
    let Some(base) = base.or_else(own) else {
        let message =
            format!("it isn't known below which address the channel `{}` passes calls through", channel.name);
        item.say(load, Severity::Error, "missing_key", message, "write `pass_through: {url: https://…}`");
        return;
    };
    channel.endpoints.push(Endpoint { format: Format::PassThrough, url: base });
    let mut names = vec![channel.name.as_str().to_owned(), channel.provider.as_str().to_owned()];
    names.dedup();
    for name in names {
        let group = format!("{PASS_THROUGH_PREFIX}{name}");
        if channel.models.iter().any(|model| model.group.as_str() == group) {
            continue;
        }
        let model =
            ChannelModel { price: price.clone(), ..draft::model(channel, &group, PASS_THROUGH, None) };
        channel.models.push(model);
    }
}
