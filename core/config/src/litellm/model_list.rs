//! `model_list`: each entry is a channel with one model.

use std::collections::{HashMap, HashSet};

use sluicegate_core::call::Format;
use sluicegate_core::channel::{Channel, Endpoint};
use sluicegate_core::check::{ChannelCheck, CheckSettings};
use sluicegate_core::ids::ChannelId;
use sluicegate_core::limit::{Limit, Metric, Mode, Window};
use sluicegate_core::price::Price;
use sluicegate_core::snapshot::Declared;

use super::{by_class, costs, known};
use crate::catalogue::{
    ModelFacts, Provider, maker_of, model_facts, model_facts_by_name, provider, providers,
};
use crate::diagnostic::Severity;
use crate::draft;
use crate::endpoint::BaseStyle;
use crate::quantity::{parse_budget_window, parse_usd};
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::yaml::Value;

/// The priority of an entry without an `order` beside entries that have one.
const LAST: i32 = -1_000_000_000;

/// An entry's part in sharing its group's calls, as it was written.
struct Share {
    channel: usize,
    group: String,
    weight_milli: Option<u64>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    order: Option<i32>,
}

pub(super) fn lower(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared) {
    let mut shares = Vec::new();
    let mut ids = HashSet::new();
    for item in list.list(load) {
        let Some((channel, mut share)) = entry(load, &item, declared, &mut ids) else { continue };
        share.channel = declared.channels.len();
        declared.channels.push(channel);
        shares.push(share);
    }
    share_out(&mut declared.channels, &shares);
}

fn entry(
    load: &mut Load<'_>,
    item: &Item<'_>,
    declared: &mut Declared,
    ids: &mut HashSet<String>,
) -> Option<(Channel, Share)> {
    let fields = Fields::open(load, item, &known::ENTRY)?;
    let Some(params_item) = fields.get("litellm_params") else {
        let message = "the entry has no `litellm_params`: it is no model";
        item.say(
            load,
            Severity::Error,
            "missing_key",
            message,
            "add `litellm_params: {model: PROVIDER/MODEL}`",
        );
        return None;
    };
    let params = Fields::open_with(load, &params_item, &known::PARAMS, costs::is_cost)?;
    let info = fields
        .get("model_info")
        .and_then(|info| Fields::open_with(load, &info, &known::INFO, costs::is_cost));
    let info = info.as_ref();
    let Some(model_item) = params.get("model") else {
        let message = "the entry names no upstream model";
        params_item.say(load, Severity::Error, "missing_key", message, "add `model: PROVIDER/MODEL`");
        return None;
    };
    let model = model_item.filled(load)?;
    let name = fields.text(load, "model_name").or_else(|| {
        let message = "the entry has no `model_name`: the upstream's name is used";
        item.say(load, Severity::Warning, "missing_key", message, "add `model_name`");
        Some(model.clone())
    })?;
    let base = params.any(&["api_base", "base_url"]);
    let (provider, upstream) = resolve(load, &params, &model_item, &model, base.is_some())?;
    let by_responses =
        upstream.strip_prefix("responses/").filter(|_| matches!(provider.id, "openai" | "azure"));

    let mut channel = draft::blank(&name, &provider);
    draft::connect(load, &mut channel, &provider, base.as_ref(), item, BaseStyle::Exact);
    if by_responses.is_some() {
        chat_by_responses(&mut channel.endpoints);
    }
    let upstream = by_responses.unwrap_or(&upstream).to_owned();
    if let Some(version) = params.get("api_version") {
        draft::api_version(load, &mut channel, &provider, &version);
    }
    if channel.endpoints.is_empty() {
        // What can't be reached needs no credential either; one finding is enough.
        channel.enabled = false;
    } else {
        draft::credential(load, &mut channel, &provider, params.get("api_key").as_ref(), item, true);
    }
    if let Some(id) = info.and_then(|info| info.text(load, "id")) {
        if ids.insert(id.clone()) {
            channel.id = ChannelId::from(id);
        } else {
            let message = format!("the id `{id}` is another entry's already: this one gets an id of its own");
            item.say(load, Severity::Warning, "duplicate_name", message, "give each entry an id of its own");
        }
    }
    if let Some(groups) = info.and_then(|info| info.get("access_groups")) {
        for group in groups.texts(load) {
            let models = declared.access_groups.entry(group).or_default();
            if !models.iter().any(|model| model.as_str() == name) {
                models.push(name.as_str().into());
            }
        }
    }
    behaviour(load, &params, info, &mut channel);
    limits(load, &params, &mut channel);
    models(load, &params, info, &mut channel, &provider, &name, &upstream);
    let how = "set `input_cost_per_token` and `output_cost_per_token`, or `model_info.base_model`";
    draft::warn_unpriced(load, &channel, &params_item, how);
    if let Some(retries) = params.any(&["num_retries", "max_retries"]).and_then(|item| item.unsigned_32(load))
    {
        declared.model_groups.entry(name.as_str().into()).or_default().retries = Some(retries);
    }
    let share = Share {
        channel: 0,
        group: name,
        weight_milli: params.get("weight").and_then(|item| item.decimal(load, 3)),
        rpm: params.unsigned(load, "rpm"),
        tpm: params.unsigned(load, "tpm"),
        order: params.get("order").and_then(|item| item.signed(load)),
    };
    Some((channel, share))
}

/// The provider and the name that it knows the model by.
fn resolve(
    load: &mut Load<'_>,
    params: &Fields<'_>,
    item: &Item<'_>,
    model: &str,
    has_base: bool,
) -> Option<(Provider, String)> {
    // The prefix means the international site, unless an address says otherwise.
    let known = |name: &str| provider(if name == "dashscope" && !has_base { "qwencloud" } else { name });
    if let Some(named) = params.get("custom_llm_provider") {
        let name = named.filled(load)?;
        let Some(provider) = known(&name) else {
            return unknown_provider(load, &named, &name, model);
        };
        let upstream = model.strip_prefix(&format!("{name}/")).unwrap_or(model);
        return Some((provider, upstream.to_owned()));
    }
    match model.split_once('/') {
        Some((prefix, upstream)) if !upstream.is_empty() => match known(prefix) {
            Some(provider) => Some((provider, upstream.to_owned())),
            None => unknown_provider(load, item, prefix, model),
        },
        _ => match maker_of(model) {
            Some(provider) => Some((provider, model.to_owned())),
            None => {
                load.report_with(
                    (Severity::Error, "unknown_provider"),
                    (item.place, &item.at),
                    format!("`{model}` doesn't say whose model it is, and the price list doesn't know it"),
                    "write the provider before it, such as `openai/` for whatever speaks OpenAI's format",
                    format!("model: openai/{model}"),
                );
                None
            }
        },
    }
}

/// What `openai/responses/MODEL` asks for: chat goes to the Responses endpoint, translated.
fn chat_by_responses(endpoints: &mut Vec<Endpoint>) {
    let home = endpoints.iter().position(|endpoint| endpoint.format == Format::OpenaiResponses);
    let home = home.map(|at| endpoints.remove(at).url);
    // QUIRK(azure): Responses have no address by deployment.
    let is_lost = |url: &str| home.is_none() && url.contains("/deployments/");
    endpoints.retain(|endpoint| endpoint.format != Format::OpenaiChat || !is_lost(&endpoint.url));
    for endpoint in endpoints.iter_mut().filter(|endpoint| endpoint.format == Format::OpenaiChat) {
        let url = home.clone().unwrap_or_else(|| endpoint.url.replacen("/chat/completions", "/responses", 1));
        *endpoint = Endpoint { format: Format::OpenaiResponses, url };
    }
}

fn unknown_provider<T>(load: &mut Load<'_>, item: &Item<'_>, name: &str, model: &str) -> Option<T> {
    let remedy = match nearest(name, providers().map(|provider| provider.id)) {
        Some(near) => {
            format!("did you mean `{near}`? or write `openai/` before it and its address into `api_base`")
        }
        None => "write `openai/` before it, and its address into `api_base`, if it speaks OpenAI's format"
            .to_owned(),
    };
    let shown: String = name.chars().take(80).collect();
    if known::UNSERVED.contains(&name) {
        let message =
            format!("the provider `{shown}` is not served yet by this version: the entry is left out");
        item.say(load, Severity::Warning, "unsupported_provider", message, remedy);
        return None;
    }
    load.report_with(
        (Severity::Error, "unknown_provider"),
        (item.place, &item.at),
        format!("there is no provider `{shown}` in the catalogue"),
        remedy,
        format!("model: openai/{model}"),
    );
    None
}

/// How the entry is checked, if checks are made at all.
fn health_check(load: &mut Load<'_>, info: &Fields<'_>) -> Option<ChannelCheck> {
    if info.boolean(load, "disable_background_health_check") == Some(true) {
        return Some(ChannelCheck::Switch(false));
    }
    let model = info.text(load, "health_check_model").map(|model| match model.split_once('/') {
        Some((_, upstream)) => upstream.to_owned(),
        None => model,
    });
    let timeout_ms = info.seconds_ms(load, "health_check_timeout");
    let own = CheckSettings { model, timeout_ms, ..CheckSettings::default() };
    (own != CheckSettings::default()).then_some(ChannelCheck::Own(own))
}

fn behaviour(load: &mut Load<'_>, params: &Fields<'_>, info: Option<&Fields<'_>>, channel: &mut Channel) {
    channel.timeouts.total_ms = params.seconds_ms(load, "timeout");
    channel.timeouts.first_byte_ms = params.seconds_ms(load, "stream_timeout");
    channel.cooldown_ms = params.seconds_ms(load, "cooldown_time");
    channel.allowed_fails = info.and_then(|info| info.unsigned_32(load, "allowed_fails"));
    if let Some(policy) = info.and_then(|info| info.get("allowed_fails_policy")) {
        channel.allowed_fails_by = by_class::allowed_fails(load, &policy);
    }
    channel.health_check = info.and_then(|info| health_check(load, info));
    if info.and_then(|info| info.boolean(load, "blocked")) == Some(true) {
        channel.enabled = false;
    }
    if let Some(tags) = params.get("tags") {
        channel.tags = tags.texts(load);
    }
    if let Some(patterns) = params.get("tag_regex") {
        draft::tag_patterns(load, &patterns, channel, Severity::Warning);
    }
    for key in ["headers", "extra_headers"] {
        if let Some(headers) = params.get(key) {
            draft_headers(load, &headers, channel);
        }
    }
    if let Some(organization) = params.text(load, "organization") {
        channel.headers.insert("openai-organization".to_owned(), organization);
    }
}

/// Takes headers; authentication has its own setting.
fn draft_headers(load: &mut Load<'_>, headers: &Item<'_>, channel: &mut Channel) {
    if !headers.is_map(load) {
        return;
    }
    for (name, item) in headers.children() {
        if let Some(value) = item.text(load) {
            draft::header(load, &item, channel, name, value);
        }
    }
}

fn limits(load: &mut Load<'_>, params: &Fields<'_>, channel: &mut Channel) {
    let rates = [
        ("rpm", Metric::Requests, Window::Minute, Mode::Strict),
        ("tpm", Metric::TotalTokens, Window::Minute, Mode::Corrected),
        ("itpm", Metric::InputTokens, Window::Minute, Mode::Corrected),
        ("otpm", Metric::OutputTokens, Window::Minute, Mode::Corrected),
        ("max_parallel_requests", Metric::Concurrency, Window::Lifetime, Mode::Strict),
    ];
    for (key, metric, window, mode) in rates {
        if let Some(max) = params.unsigned(load, key).and_then(|max| i64::try_from(max).ok()) {
            channel.limits.push(Limit { mode, ..Limit::strict(metric, window, max) });
        }
    }
    channel.limits.extend(budget(load, params));
}

/// `max_budget` and `budget_duration`.
pub(super) fn budget(load: &mut Load<'_>, fields: &Fields<'_>) -> Option<Limit> {
    let max_item = fields.get("max_budget");
    let Some(item) = max_item else {
        if let Some(duration) = fields.get("budget_duration") {
            let message = "`budget_duration` says for how long, and nothing says how much: it has no effect";
            duration.say(load, Severity::Warning, "no_effect", message, "add `max_budget`");
        }
        return None;
    };
    let max = item.parsed(load, "an amount of USD", |text| parse_usd(text).ok())?;
    let window = match fields.get("budget_duration") {
        Some(item) => {
            let text = item.filled(load)?;
            match parse_budget_window(&text) {
                Ok(window) => window,
                Err(message) => {
                    item.say(load, Severity::Error, "invalid_value", message, "write a length such as 30d");
                    return None;
                }
            }
        }
        None => Window::Lifetime,
    };
    Some(Limit::strict(Metric::Spend, window, max))
}

fn models(
    load: &mut Load<'_>,
    params: &Fields<'_>,
    info: Option<&Fields<'_>>,
    channel: &mut Channel,
    provider: &Provider,
    group: &str,
    upstream: &str,
) {
    let base_model = info.and_then(|info| info.text(load, "base_model"));
    let facts = match &base_model {
        Some(name) => facts_of_base(name),
        None => draft::facts_of(channel, provider, upstream),
    };
    if let (Some(name), None) = (&base_model, &facts)
        && let Some(item) = info.and_then(|info| info.get("base_model"))
    {
        let message = format!("the price list doesn't know `{name}`");
        item.say(
            load,
            Severity::Warning,
            "unknown_model",
            message,
            "set the costs and limits of the model itself",
        );
    }
    let mut model = draft::model(channel, group, upstream, facts.as_ref());
    let listed = model.price.clone();
    prices(load, params, info, &mut model.price);
    if model.price != listed {
        model.regions.clear();
    }
    let mut embedding = facts.as_ref().is_some_and(|facts| facts.embedding);
    if let Some(info) = info {
        model.context_window = info.unsigned(load, "max_input_tokens").or(model.context_window);
        let output = info.any(&["max_output_tokens", "max_tokens"]).and_then(|item| item.unsigned(load));
        model.max_output = output.or(model.max_output);
        for (key, lack) in [
            ("supports_vision", &mut model.lacks.images),
            ("supports_function_calling", &mut model.lacks.tools),
            ("supports_audio_input", &mut model.lacks.audio),
            ("supports_response_schema", &mut model.lacks.json_schema),
        ] {
            if let Some(supported) = info.boolean(load, key) {
                *lack = !supported;
            }
        }
        channel.web_search = info.boolean(load, "supports_web_search").or(channel.web_search);
        embedding = mode(load, info, channel).unwrap_or(embedding);
    }
    if embedding {
        draft::only_embeddings(channel);
    }
    channel.models.push(model);
}

/// Whether the model makes embeddings, as `mode` says; a mode that isn't served disables the channel.
fn mode(load: &mut Load<'_>, info: &Fields<'_>, channel: &mut Channel) -> Option<bool> {
    let item = info.get("mode")?;
    let mode = item.filled(load)?;
    match mode.as_str() {
        "chat" => Some(false),
        "embedding" => Some(true),
        other if crate::operation::formats_of_mode(other).is_some() => {
            crate::operation::keep(channel, crate::operation::formats_of_mode(other).unwrap_or_default());
            Some(false)
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            let message = format!(
                "models of mode `{shown}` are not served yet by this version: the channel is disabled"
            );
            item.say(
                load,
                Severity::Warning,
                "unsupported_mode",
                message,
                "remove the entry, or correct its mode",
            );
            channel.enabled = false;
            None
        }
    }
}

fn facts_of_base(name: &str) -> Option<ModelFacts> {
    match name.split_once('/') {
        Some((prefix, model)) => {
            let provider = provider(prefix);
            provider.and_then(|provider| model_facts(&provider, model)).or_else(|| model_facts_by_name(model))
        }
        None => model_facts_by_name(name),
    }
}

/// Costs that the file names, in USD per token. They replace the price list's together: what the file leaves out beside
/// them has no price of its own.
fn prices(load: &mut Load<'_>, params: &Fields<'_>, info: Option<&Fields<'_>>, price: &mut Price) {
    let settings = params.item.children().chain(info.iter().flat_map(|info| info.item.children()));
    let settings: Vec<_> = settings.filter(|(_, item)| !matches!(item.node.value, Value::Null)).collect();
    let Some(mut own) = costs::read(load, settings.into_iter()) else { return };
    own.rates.input = own.rates.input.or(price.input);
    own.rates.output = own.rates.output.or(price.output);
    own.per_request = own.per_request.or(Some(price.per_request_nano_usd));
    *price = own.price();
}

/// Weights and priorities as LiteLLM's default strategy has them: by `weight`, else by `rpm`, else by `tpm`, among those
/// of the lowest `order`.
fn share_out(channels: &mut [Channel], shares: &[Share]) {
    let mut groups: HashMap<&str, Vec<&Share>> = HashMap::new();
    for share in shares {
        groups.entry(share.group.as_str()).or_default().push(share);
    }
    for members in groups.values() {
        let metric: Option<fn(&Share) -> Option<u64>> =
            if members.iter().any(|share| share.weight_milli.is_some()) {
                Some(|share| share.weight_milli)
            } else if members.len() > 1 && members.iter().any(|share| share.rpm.is_some_and(|rpm| rpm > 0)) {
                Some(|share| share.rpm)
            } else if members.len() > 1 && members.iter().any(|share| share.tpm.is_some_and(|tpm| tpm > 0)) {
                Some(|share| share.tpm)
            } else {
                None
            };
        let ordered = members.iter().any(|share| share.order.is_some());
        let divisor =
            metric.map_or(1, |metric| divisor(members.iter().map(|share| metric(share).unwrap_or(0))));
        for share in members {
            let Some(channel) = channels.get_mut(share.channel) else { continue };
            if let Some(metric) = metric {
                channel.weight = u32::try_from(metric(share).unwrap_or(0) / divisor).unwrap_or(u32::MAX);
            }
            if ordered {
                // A lower order goes first; who has none goes last.
                channel.priority = share.order.map_or(LAST, |order| order.saturating_neg());
            }
        }
    }
}

/// The greatest common divisor: weights of 0.7 and 0.3 become 7 and 3.
fn divisor(weights: impl Iterator<Item = u64>) -> u64 {
    fn gcd(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    weights.fold(0, gcd).max(1)
}
