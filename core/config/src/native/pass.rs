//! What a channel passes through: its provider's own operations, below an address and within paths.

use sluicegate_core::call::{Format, PASS_THROUGH, PASS_THROUGH_PREFIX};
use sluicegate_core::channel::{Channel, ChannelModel, Endpoint};
use sluicegate_core::price::Price;

use super::section;
use crate::diagnostic::Severity;
use crate::draft;
use crate::endpoint::{GENERATE, check_url, host_of, is_version};
use crate::quantity::parse_usd;
use crate::reader::{Fields, Item, Load};
use crate::yaml::Value;

/// What the addresses of operations end with, behind the base that all of them share.
const ENDINGS: [&str; 7] = [
    "/chat/completions",
    "/v1/messages",
    "/embeddings",
    "/completions",
    "/responses",
    "/v2/chat",
    "/api/chat",
];

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
    let first = channel.endpoints.first().map_or("", |endpoint| endpoint.url.as_str());
    let Some(base) = base.or_else(|| base_of(first).map(str::to_owned)) else {
        let message =
            format!("it isn't known below which address the channel `{}` passes calls through", channel.name);
        let host = host_of(first).unwrap_or("…");
        let remedy = format!(
            "write `pass_through: {{url: https://{host}}}`, with what else stands before all paths that are asked for"
        );
        item.say(load, Severity::Error, "missing_key", message, remedy);
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

/// The base below which everything of a provider's stands, by the address of one of its operations.
fn base_of(address: &str) -> Option<&str> {
    let path = address.split('?').next().unwrap_or_default();
    // Google's paths name their version themselves, and files are sent to one outside of it.
    if let Some(root) = path.strip_suffix(GENERATE) {
        let version = root.rsplit_once('/').filter(|(_, last)| is_version(last));
        return Some(version.map_or(root, |(base, _)| base));
    }
    ENDINGS.iter().find_map(|ending| path.strip_suffix(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::{Source, load};

    #[test]
    fn a_channel_passes_below_its_providers_base() {
        for (own, want) in [
            ("provider: openai", Some("https://api.openai.com/v1")),
            ("provider: anthropic", Some("https://api.anthropic.com")),
            ("provider: gemini", Some("https://generativelanguage.googleapis.com")),
            ("provider: gemini, url: 'https://relay.test/google/v1'", Some("https://relay.test/google")),
            ("provider: cohere", Some("https://api.cohere.com")),
            (
                "provider: cohere, url: 'https://api.cohere.com/compatibility/v1'",
                Some("https://api.cohere.com/compatibility/v1"),
            ),
            ("provider: ollama, url: 'http://gpu-box:11434'", Some("http://gpu-box:11434")),
            ("provider: ollama, url: 'http://gpu-box:11434/v1'", Some("http://gpu-box:11434/v1")),
            (
                "provider: openai, endpoints: [{format: openai_responses, url: 'https://relay.test/v1/responses'}]",
                Some("https://relay.test/v1"),
            ),
            ("provider: openai, endpoints: [{format: rerank, url: 'https://relay.test/v2/rerank'}]", None),
        ] {
            let text = format!(
                "version: 1\nchannels:\n- {{name: c, credential: sk-upstream-0123456789, pass_through: true, models: [m], {own}}}\n"
            );
            let loaded = load(Source { path: "test.yaml", text: &text }, &Environment::new(&|_| None));
            let endpoints = loaded.declared.channels.first().map_or(&[][..], |channel| &channel.endpoints);
            let passed = endpoints.iter().find(|endpoint| endpoint.format == Format::PassThrough);
            assert_eq!(passed.map(|endpoint| endpoint.url.as_str()), want, "{own}: {:?}", loaded.diagnostics);
            let told = loaded.diagnostics.iter().find(|it| it.code == "missing_key");
            let remedy = told.map(|it| it.remedy.contains("pass_through: {url: https://relay.test}"));
            assert_eq!(remedy, want.is_none().then_some(true), "{own}: {:?}", loaded.diagnostics);
        }
    }
}
