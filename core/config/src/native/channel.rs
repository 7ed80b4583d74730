//! Channels and prices of our own dialect.

use std::sync::Arc;

use sluicegate_core::call::{Format, Needs};
use sluicegate_core::channel::{
    Auth, Channel, ChannelModel, Endpoint, KeyMode, ModelTerms, PriceTerms, UnknownFields,
};
use sluicegate_core::count::Tokenizer;
use sluicegate_core::ids::ChannelId;
use sluicegate_core::quirk::ThinkTags;
use sluicegate_core::snapshot::Declared;

use super::price::{self, Currencies};
use super::routing::{by_class, timeouts};
use super::{check, pass, required, section};
use crate::catalogue::{Provider, provider, providers};
use crate::diagnostic::Severity;
use crate::draft;
use crate::endpoint::{BaseStyle, check_url, count_url, generate_url, is_home, without_model};
use crate::limits::read_limits;
use crate::overlay;
use crate::price_file::ListedPrice;
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::terms;
use crate::yaml::Value;

const THINK_TAGS: [(&str, ThinkTags); 3] =
    [("none", ThinkTags::None), ("tagged", ThinkTags::Tagged), ("opened", ThinkTags::Opened)];

/// What a file says about a model wherever it is served.
pub(super) struct PriceOverride {
    provider: Option<String>,
    terms: ModelTerms,
}

impl PriceOverride {
    fn is_at(&self, channel: &Channel) -> bool {
        self.provider.as_ref().is_none_or(|provider| *provider == channel.provider.as_str())
    }
}

pub(super) fn prices(load: &mut Load<'_>, list: &Item<'_>, currencies: &Currencies) -> Vec<PriceOverride> {
    let mut overrides = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::PRICE) else { continue };
        let Some(model) = required(load, &fields, "model") else { continue };
        let named = fields.get("provider").and_then(|item| {
            let name = item.filled(load)?;
            known_provider(load, &item, &name)
        });
        overrides.push(PriceOverride {
            provider: named.map(|provider| provider.id.to_owned()),
            terms: ModelTerms {
                model,
                price: fields.get("price").map(|item| price::price(load, &item, currencies)),
                ratio_ppm: fields.get("price_ratio").and_then(|item| price::ratio(load, &item)),
                context_window: fields.unsigned(load, "context_window"),
                max_output: fields.unsigned(load, "max_output"),
            },
        });
    }
    overrides
}

/// The prices that a file lists; ratios to others are none.
pub(super) fn listed_prices(
    load: &mut Load<'_>,
    list: &Item<'_>,
    currencies: &Currencies,
) -> Vec<ListedPrice> {
    let listed = |own: PriceOverride| {
        let PriceOverride { provider, terms } = own;
        let price = terms.price?;
        let price = terms.ratio_ppm.map_or_else(|| price.clone(), |ratio| price.times(ratio));
        Some(ListedPrice { provider, model: terms.model, price })
    };
    prices(load, list, currencies).into_iter().filter_map(listed).collect()
}

/// What prices there are.
#[derive(Clone, Copy)]
pub(super) struct Prices<'a> {
    pub(super) overrides: &'a [PriceOverride],
    pub(super) currencies: &'a Currencies,
}

pub(super) fn lower(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared, prices: Prices<'_>) {
    for item in list.list(load) {
        let Some(mut channel) = channel(load, &item, declared, prices) else { continue };
        if declared.channels.iter().any(|other| other.name == channel.name) {
            let message = format!("there is another channel of the name `{}`", channel.name);
            item.say(load, Severity::Error, "duplicate_name", message, "give each channel a name of its own");
        }
        let id_taken =
            !channel.id.as_str().is_empty() && declared.channels.iter().any(|other| other.id == channel.id);
        if id_taken {
            let message = format!("there is another channel of the id `{}`", channel.id);
            item.say(load, Severity::Error, "duplicate_name", message, "give each channel an id of its own");
            channel.id = ChannelId::from("");
        }
        declared.channels.push(channel);
    }
}

fn channel(load: &mut Load<'_>, item: &Item<'_>, declared: &Declared, prices: Prices<'_>) -> Option<Channel> {
    let fields = Fields::open_section(load, item, &section::CHANNEL)?;
    let name = required(load, &fields, "name")?;
    let named = required(load, &fields, "provider")?;
    let provider = known_provider(load, &fields.get("provider")?, &named)?;
    let mut channel = draft::blank(&name, &provider);
    if let Some(id) = fields.text(load, "id") {
        channel.id = ChannelId::from(id);
    }
    match fields.get("endpoints") {
        Some(list) => {
            channel.auth = provider.auth().unwrap_or(Auth::Bearer);
            channel.endpoints = endpoints(load, &list);
        }
        None => {
            draft::connect(load, &mut channel, &provider, fields.get("url").as_ref(), item, BaseStyle::Host)
        }
    }
    if let (Some(url), Some(_)) = (fields.get("url"), fields.get("endpoints")) {
        let message = "`endpoints` says where the channel is: `url` has no effect";
        url.say(load, Severity::Error, "contradiction", message, "remove one of the two");
    }
    if channel.endpoints.is_empty() {
        channel.enabled = false;
    } else {
        authentication(load, &fields, &mut channel, &provider, item);
    }
    behaviour(load, &fields, &mut channel);
    let mode = declared.quota.rate_token_mode;
    if let Some(limits) = fields.get("limits") {
        channel.limits = read_limits(load, &limits, mode);
    }
    let mut terms = price::terms(load, &fields);
    models(load, &fields, item, &mut channel, &provider, (&terms, prices));
    if let Some(item) = fields.get("pass_through") {
        pass::read(load, &item, &mut channel);
        let of_models = prices.overrides.iter().filter(|own| own.is_at(&channel));
        terms.models = of_models.map(|own| own.terms.clone()).collect();
        channel.price_terms = (terms != PriceTerms::default()).then(|| Box::new(terms));
    }
    if let Some(list) = fields.get("body_edits") {
        overlay::operations(load, &list, &mut channel, overlay::Dialect::Native);
    }
    if fields.boolean(load, "enabled") == Some(false) {
        channel.enabled = false;
    }
    draft::warn_unpriced(load, &channel, item, "add the model to `prices`, or a `price` to the model");
    Some(channel)
}

fn known_provider(load: &mut Load<'_>, item: &Item<'_>, name: &str) -> Option<Provider> {
    let found = provider(name);
    if found.is_none() {
        let shown: String = name.chars().take(60).collect();
        let remedy = match nearest(name, providers().map(|provider| provider.id)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write `openai` with a `url` for whatever speaks OpenAI's format".to_owned(),
        };
        let message = format!("there is no provider `{shown}` in the catalogue");
        item.say(load, Severity::Error, "unknown_provider", message, remedy);
    }
    found
}

fn endpoints(load: &mut Load<'_>, list: &Item<'_>) -> Vec<Endpoint> {
    // Passing through has a key of its own.
    let single = Format::SINGLE.into_iter().filter(|format| *format != Format::PassThrough);
    let formats: Vec<_> = [
        Format::OpenaiChat,
        Format::OpenaiEmbeddings,
        Format::AnthropicMessages,
        Format::OpenaiResponses,
        Format::GeminiGenerate,
        Format::CohereChat,
        Format::OllamaChat,
    ]
    .into_iter()
    .chain(single)
    .map(|format| (format.as_str(), format))
    .collect();
    let mut endpoints = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::ENDPOINT) else { continue };
        let format = match fields.get("format") {
            Some(format) => format.word(load, &formats),
            None => required(load, &fields, "format").and(None),
        };
        let Some(mut url) = required(load, &fields, "url") else { continue };
        let is_gemini = matches!(format, Some(Format::GeminiGenerate | Format::GeminiCountTokens));
        if is_gemini {
            url = without_model(&url);
        }
        if let (Err(why), Some(at)) = (check_url(&url), fields.get("url")) {
            let message = format!("{} is no address of an upstream: {why}", draft::shown_url(&url));
            at.say(load, Severity::Error, "invalid_url", message, "write a whole address");
            continue;
        }
        if is_gemini {
            let counts = format.is_some_and(Format::counts_tokens);
            url = if counts { count_url(&url) } else { generate_url(&url) };
        }
        endpoints.extend(format.map(|format| Endpoint { format, url }));
    }
    endpoints
}

fn authentication(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    provider: &Provider,
    item: &Item<'_>,
) {
    let own = fields.get("auth").and_then(|auth| read_auth(load, &auth));
    if own == Some(Auth::None) {
        channel.auth = Auth::None;
        return;
    }
    let url = fields.get("url").and_then(|url| url.quiet_text(load));
    let usual = fields.get("endpoints").is_none() && is_home(provider, url.as_deref());
    if let Some(list) = fields.get("keys") {
        keys(load, &list, fields, channel, provider);
    } else {
        draft::credential(load, channel, provider, fields.get("credential").as_ref(), item, usual);
    }
    if let Some(mode) = fields.get("key_mode")
        && let Some(mode) = mode.word(load, &[("random", KeyMode::Random), ("polling", KeyMode::Polling)])
    {
        channel.key_mode = mode;
    }
    if let Some(auth) = own {
        channel.auth = auth;
    }
}

/// Several credentials. One whose variable isn't set is left out; without any the channel is disabled.
fn keys(
    load: &mut Load<'_>,
    list: &Item<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    provider: &Provider,
) {
    if let Some(item) = fields.get("credential") {
        let message = "`keys` holds the credentials: `credential` has no effect";
        item.say(load, Severity::Error, "contradiction", message, "remove one of the two");
    }
    let mut found = Vec::new();
    for item in list.list(load) {
        match item.secret(load) {
            Ok(Some(secret)) => found.push(secret),
            Ok(None) => {}
            Err(name) => {
                let without = format!("the channel `{}` does without this key until it is", channel.name);
                item.missing_variable(load, Severity::Warning, &name, &without);
            }
        }
    }
    draft::keys(load, list, channel, provider, found);
}

fn read_auth(load: &mut Load<'_>, item: &Item<'_>) -> Option<Auth> {
    if let Value::Map(_) = &item.node.value {
        let header = item.node.get("header").filter(|_| item.node.entries().len() == 1);
        let header = header.map(|node| Item { node, at: format!("{}.header", item.at), place: node.place });
        return match header {
            Some(header) => header.filled(load).map(|name| Auth::Header(name.to_ascii_lowercase())),
            None => {
                item.wrong(load, "bearer, none or {header: NAME}");
                None
            }
        };
    }
    item.word(load, &[("bearer", true), ("none", false)])
        .map(|bearer| if bearer { Auth::Bearer } else { Auth::None })
}

fn behaviour(load: &mut Load<'_>, fields: &Fields<'_>, channel: &mut Channel) {
    if let Some(groups) = fields.get("groups") {
        channel.groups = groups.texts(load).into_iter().map(Arc::from).collect();
    }
    if let Some(priority) = fields.get("priority").and_then(|item| item.signed(load)) {
        channel.priority = priority;
    }
    if let Some(weight) = fields.unsigned_32(load, "weight") {
        channel.weight = weight;
    }
    if let Some(tags) = fields.get("tags") {
        channel.tags = tags.texts(load);
    }
    if let Some(headers) = fields.get("headers")
        && headers.is_map(load)
    {
        for (name, child) in headers.children() {
            if let Some(value) = child.text(load) {
                draft::header(load, &child, channel, name, value);
            }
        }
    }
    if let Some(item) = fields.get("timeouts") {
        channel.timeouts = timeouts(load, &item);
    }
    if let Some(proxy) = fields.get("proxy")
        && let Some(url) = proxy.filled(load)
    {
        draft::proxy(load, &proxy, channel, url);
    }
    channel.transport.extra_ca_file = fields.text(load, "extra_ca_file");
    channel.allowed_fails = fields.unsigned_32(load, "allowed_fails");
    if let Some(item) = fields.get("allowed_fails_by") {
        channel.allowed_fails_by = by_class(load, &item, &section::ALLOWED_FAILS_BY);
    }
    if let Some(patterns) = fields.get("tag_patterns") {
        draft::tag_patterns(load, &patterns, channel, Severity::Error);
    }
    channel.cooldown_ms = fields.get("cooldown").and_then(|item| item.duration_ms(load));
    if let Some(item) = fields.get("health_check") {
        check::own(load, &item, channel);
    }
    if let Some(item) = fields.get("unknown_fields")
        && let Some(value) = item.word(
            load,
            &[
                ("pass", UnknownFields::Pass),
                ("drop", UnknownFields::Drop),
                ("refuse", UnknownFields::Refuse),
            ],
        )
    {
        channel.unknown_fields = value;
    }
    channel.translation = fields.get("translation").and_then(|item| item.word(load, &super::TRANSLATIONS));
    if let Some(names) = fields.get("client_overrides") {
        channel.client_overrides = names.texts(load);
    }
    channel.web_search = fields.boolean(load, "web_search");
    channel.think_tags = fields.get("think_tags").and_then(|item| item.word(load, &THINK_TAGS));
}

fn models(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    item: &Item<'_>,
    channel: &mut Channel,
    provider: &Provider,
    (of_channel, prices): (&PriceTerms, Prices<'_>),
) {
    let list = fields.get("models");
    let items = list.as_ref().map(|list| list.list(load)).unwrap_or_default();
    if items.is_empty() {
        let message = format!("the channel `{}` lists no models: it serves nothing", channel.name);
        item.say(load, Severity::Warning, "no_models", message, "add `models: [MODEL]`");
    }
    let mut embeddings = 0;
    for item in items {
        let plain = matches!(item.node.value, Value::Scalar { .. });
        let inner = if plain { None } else { Fields::open_section(load, &item, &section::MODEL) };
        let name = match &inner {
            Some(inner) => required(load, inner, "name"),
            None if plain => item.filled(load),
            None => None,
        };
        let Some(name) = name else { continue };
        if channel.models.iter().any(|model| model.group.as_str() == name) {
            let message = format!("the channel lists `{name}` twice");
            item.say(load, Severity::Error, "duplicate_name", message, "remove one of the two");
            continue;
        }
        let upstream =
            inner.as_ref().and_then(|inner| inner.text(load, "upstream")).unwrap_or_else(|| name.clone());
        let facts = draft::facts_of(channel, provider, &upstream);
        embeddings += usize::from(facts.as_ref().is_some_and(|facts| facts.embedding));
        let mut own = prices.overrides.iter().filter(|own| own.is_at(channel)).map(|own| &own.terms);
        let own = own.find(|own| terms::is_of(own, &upstream));
        let mut model = terms::model(channel, (&name, &upstream), facts.as_ref(), of_channel, own);
        if let Some(inner) = &inner {
            details(load, inner, &mut model, prices.currencies);
        }
        terms::finish(of_channel, &mut model.price);
        channel.models.push(model);
    }
    if embeddings > 0 && embeddings == channel.models.len() && fields.get("endpoints").is_none() {
        draft::only_embeddings(channel);
    }
}

fn details(load: &mut Load<'_>, fields: &Fields<'_>, model: &mut ChannelModel, currencies: &Currencies) {
    if let Some(item) = fields.get("price") {
        model.price = price::price(load, &item, currencies);
        model.regions.clear();
    }
    model.context_window = fields.unsigned(load, "context_window").or(model.context_window);
    model.max_output = fields.unsigned(load, "max_output").or(model.max_output);
    model.extra_reasoning = fields.unsigned(load, "extra_reasoning").or(model.extra_reasoning);
    if let Some(item) = fields.get("tokenizer") {
        let all = [Tokenizer::O200kBase, Tokenizer::Cl100kBase].map(|it| (it.as_str(), Some(it)));
        let named = item.word(load, &[all[0], all[1], ("none", None)]);
        model.tokenizer = named.unwrap_or(model.tokenizer);
    }
    if let Some(item) = fields.get("lacks") {
        model.lacks = Needs::default();
        for lack in item.texts(load) {
            match lack.as_str() {
                "tools" => model.lacks.tools = true,
                "images" => model.lacks.images = true,
                "audio" => model.lacks.audio = true,
                "json_schema" => model.lacks.json_schema = true,
                _ => item.wrong(load, "a list of tools, images, audio and json_schema"),
            }
        }
    }
}
