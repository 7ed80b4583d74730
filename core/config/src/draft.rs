//! What the dialects share in making a channel.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sluicegate_core::call::Format;
use sluicegate_core::channel::{
    Auth, Channel, ChannelModel, RegionRatio, SecretRef, UNKNOWN_REASONING, reasons_beside,
};
use sluicegate_core::header;
use sluicegate_core::ids::ChannelId;
use sluicegate_core::pattern::Pattern;
use sluicegate_core::tenant::Source;

use crate::catalogue::{ModelFacts, Provider, model_facts, model_facts_by_name, provider_of_host};
use crate::counting::{counting_of, unknown_reasoning};
use crate::diagnostic::Severity;
use crate::endpoint::{AZURE, BaseStyle, check_url, dated, endpoints, host_of, is_home};
use crate::reader::{Item, Load};

/// A channel that serves nothing yet.
pub(crate) fn blank(name: &str, provider: &Provider) -> Channel {
    Channel { auth: Auth::Bearer, source: Source::File, ..Channel::new("", name, provider.id) }
}

/// Fills in where a channel is and how it authenticates. `base` is the file's setting, `whole` the channel's own, for
/// findings. A channel that can't be called is disabled, and a warning says why.
pub(crate) fn connect(
    load: &mut Load<'_>,
    channel: &mut Channel,
    provider: &Provider,
    base: Option<&Item<'_>>,
    whole: &Item<'_>,
    style: BaseStyle,
) {
    if !provider.is_served() {
        channel.enabled = false;
        not_served(load, channel, provider, whole);
        return;
    }
    channel.auth = provider.auth().unwrap_or(Auth::Bearer);
    if provider.id == Provider::MOCK.id {
        channel.endpoints = endpoints(provider, None, style);
        return;
    }
    let written = match base {
        Some(item) => match item.filled(load) {
            Some(url) => Some((url, item.clone())),
            None if item.quiet_text(load).is_some() => None,
            None => {
                channel.enabled = false;
                return;
            }
        },
        None => None,
    };
    let (url, at) = match written {
        Some((url, item)) => {
            note_unused_base(load, provider, &url, &item);
            (Some(url), item)
        }
        None => (base_from_environment(load, provider).map(|(_, url)| url), whole.clone()),
    };
    match &url {
        Some(url) => {
            if let Err(why) = check_url(url) {
                at.say(
                    load,
                    Severity::Error,
                    "invalid_url",
                    format!("{} is no address of an upstream: {why}", shown_url(url)),
                    "write an address such as https://api.example.com/v1",
                );
                channel.enabled = false;
                return;
            }
        }
        None if check_url(provider.base_url).is_err() => {
            let example =
                if provider.base_url.is_empty() { "https://api.example.com/v1" } else { provider.base_url };
            whole.say(
                load,
                Severity::Error,
                "missing_key",
                format!("a channel of `{}` needs the address of its upstream", provider.id),
                format!("write it: {example}"),
            );
            channel.enabled = false;
            return;
        }
        None => {}
    }
    channel.endpoints = endpoints(provider, url.as_deref(), style);
}

/// Takes the version of Azure's API that a file names: addresses by deployments are called with it.
pub(crate) fn api_version(load: &mut Load<'_>, channel: &mut Channel, provider: &Provider, item: &Item<'_>) {
    let Some(version) = item.filled(load).filter(|version| !version.is_empty()) else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if provider.wire != AZURE {
        let message = format!("`{}` is called without a version: it has no effect", provider.id);
        item.say(load, Severity::Warning, "no_effect", message, "remove it");
    } else if version.chars().all(plain) {
        dated(&mut channel.endpoints, &version);
    } else {
        item.wrong(load, "a version such as 2024-10-21");
    }
}

/// An address for a message: without what may be a password.
pub(crate) fn shown_url(url: &str) -> String {
    if url.contains('@') {
        "this".to_owned()
    } else {
        format!("`{}`", url.chars().take(120).collect::<String>())
    }
}

fn not_served(load: &mut Load<'_>, channel: &Channel, provider: &Provider, whole: &Item<'_>) {
    // The same company's newer service, or another front of it.
    let other = match provider.id {
        "aiproxy-library" => Some("aiproxy"),
        "baidu-v1" => Some("qianfan"),
        "bedrock" => Some("bedrock_mantle"),
        "hunyuan-native" => Some("hunyuan"),
        "zhipu-v3" => Some("bigmodel"),
        _ => None,
    };
    let remedy = match other {
        Some(other) => {
            format!("use the provider `{other}` in its place, with a credential of that service")
        }
        None => "use an endpoint of it that speaks OpenAI's or Anthropic's format, or remove the channel"
            .to_owned(),
    };
    let message = format!(
        "the provider `{}` is not served yet by this version: the channel `{}` is disabled",
        provider.id, channel.name
    );
    whole.say(load, Severity::Warning, "unsupported_provider", message, remedy);
}

/// `ANTHROPIC_API_BASE`, `ANTHROPIC_BASE_URL` and their like.
fn base_from_environment(load: &Load<'_>, provider: &Provider) -> Option<(String, String)> {
    let stem = ["_API_KEY", "_API_TOKEN", "_TOKEN", "_KEY"]
        .iter()
        .find_map(|end| provider.key_variable.strip_suffix(end))
        .filter(|stem| !stem.is_empty())?;
    ["_API_BASE", "_BASE_URL"].iter().find_map(|end| {
        let name = format!("{stem}{end}");
        load.variable(&name).map(|url| (name, url.trim().to_owned()))
    })
}

/// An address in the file counts before the variable. Where the file only repeats the provider's own, the variable was
/// perhaps meant to change just that: then it isn't passed over in silence.
fn note_unused_base(load: &mut Load<'_>, provider: &Provider, written: &str, item: &Item<'_>) {
    let Some((name, url)) = base_from_environment(load, provider) else { return };
    if is_home(provider, Some(written)) && !is_home(provider, Some(&url)) {
        let message = format!(
            "the environment variable `{name}` is set, and has no effect on this channel: it names its address itself"
        );
        item.say(load, Severity::Note, "no_effect", message, "remove the address here to use the variable's");
    }
}

/// Fills in a channel's credential: the file's, else the variable that is usual for the provider, if `usual` says that it may
/// be sent there. `key` is the file's setting. A channel without the credential that it needs is disabled, and a warning says
/// so.
pub(crate) fn credential(
    load: &mut Load<'_>,
    channel: &mut Channel,
    provider: &Provider,
    key: Option<&Item<'_>>,
    whole: &Item<'_>,
    usual: bool,
) {
    let read = match key {
        Some(item) => item.secret(load),
        None => Ok(None),
    };
    let disabled = format!("the channel `{}` is disabled until it is", channel.name);
    match read {
        Ok(Some(secret)) => {
            channel.secret = secret;
            if channel.auth == Auth::None && provider.id != Provider::MOCK.id {
                channel.auth = Auth::Bearer;
            }
        }
        Err(name) => {
            channel.secret = SecretRef::Env(name.clone());
            channel.enabled = false;
            key.unwrap_or(whole).missing_variable(load, Severity::Warning, &name, &disabled);
        }
        Ok(None) if provider.key_is_optional() => {
            if !provider.key_variable.is_empty() && load.variable(provider.key_variable).is_some() {
                channel.secret = SecretRef::Env(provider.key_variable.to_owned());
            } else {
                channel.auth = Auth::None;
            }
        }
        Ok(None) if !usual => {
            channel.enabled = false;
            let message = format!("the channel `{}` has no credential: it is disabled", channel.name);
            let remedy =
                "give it one, by a variable; one provider's usual variable is not sent to another's address";
            whole.say(load, Severity::Warning, "missing_key", message, remedy);
        }
        Ok(None) => {
            let name = provider.key_variable;
            channel.secret = SecretRef::Env(name.to_owned());
            if load.variable(name).is_some() {
                return;
            }
            // A self-hosted server behind a foreign address often wants no credential.
            let foreign = channel.endpoints.first().and_then(|endpoint| host_of(&endpoint.url));
            if foreign.is_some_and(crate::catalogue::is_local) && key.is_none() {
                channel.auth = Auth::None;
                channel.secret = SecretRef::None;
                return;
            }
            channel.enabled = false;
            if name.is_empty() {
                let message = format!("the channel `{}` has no credential: it is disabled", channel.name);
                whole.say(load, Severity::Warning, "missing_key", message, "give it one");
            } else {
                let message = format!("the file names no credential, and {disabled}");
                whole.missing_variable(load, Severity::Warning, name, &message);
            }
        }
    }
}

/// Gives a channel several keys.
pub(crate) fn keys(
    load: &mut Load<'_>,
    list: &Item<'_>,
    channel: &mut Channel,
    provider: &Provider,
    found: Vec<SecretRef>,
) {
    let mut found = found.into_iter();
    let Some(first) = found.next() else {
        channel.enabled = false;
        let message = format!("the channel `{}` has no key: it is disabled", channel.name);
        return list.say(load, Severity::Warning, "missing_key", message, "give it one");
    };
    if channel.auth == Auth::None && provider.id != Provider::MOCK.id {
        channel.auth = Auth::Bearer;
    }
    channel.secret = first;
    channel.more_keys = found.collect();
}

/// Headers that the transport or the authentication own.
const OWN_HEADERS: [&str; 10] = [
    "authorization",
    "x-api-key",
    "api-key",
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    "te",
];

/// A pattern of a channel's tags is no longer, in bytes: it is part of records.
const TAG_PATTERN_MAX: usize = 200;

/// Patterns for the clients that a channel is chosen for.
pub(crate) fn tag_patterns(load: &mut Load<'_>, list: &Item<'_>, channel: &mut Channel, severity: Severity) {
    for text in list.texts(load) {
        let too_long = || format!("it is longer than {TAG_PATTERN_MAX} bytes");
        let length = if text.len() > TAG_PATTERN_MAX { Err(too_long()) } else { Ok(()) };
        match length.and_then(|()| Pattern::try_from(text.clone())) {
            Ok(pattern) => channel.tag_patterns.push(pattern),
            Err(why) => {
                let shown: String = text.chars().take(60).collect();
                let message = format!("the pattern `{shown}` can't be used, and chooses nobody: {why}");
                list.say(load, severity, "invalid_value", message, "see the syntax of Rust's regex crate");
            }
        }
    }
}

/// Adds a header to what is sent with each request.
pub(crate) fn header(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel, name: &str, value: String) {
    let lower = name.trim().to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if lower.is_empty() || !lower.chars().all(token) || value.chars().any(|c| c.is_control() && c != '\t') {
        let message =
            "this is no header: names are letters, digits and dashes, and values have no line breaks";
        item.say(load, Severity::Error, "invalid_value", message, "correct or remove it");
    } else if let Some(private) = header::named(&value).find(|name| !header::may_pass(name)) {
        let message = format!("a caller's header `{private}` is never passed on: `{lower}` is not sent");
        item.say(load, Severity::Warning, "unsupported_value", message, "name another, or remove the header");
    } else if OWN_HEADERS.contains(&lower.as_str()) {
        let message = format!("the header `{lower}` belongs to the gateway: it is not sent from here");
        item.say(
            load,
            Severity::Warning,
            "unsupported_value",
            message,
            "set the credential, or remove the header",
        );
    } else {
        channel.headers.insert(lower, value);
    }
}

/// Makes a model of a channel, whose endpoints are known by now, with what the catalogue knows of it.
pub(crate) fn model(
    channel: &Channel,
    group: &str,
    upstream: &str,
    facts: Option<&ModelFacts>,
) -> ChannelModel {
    let facts = facts.cloned();
    let (counting, tokenizer) = counting_of(channel, upstream);
    ChannelModel {
        group: group.into(),
        upstream: upstream.into(),
        price: facts.as_ref().map(|facts| facts.price.clone()).unwrap_or_default(),
        context_window: facts.as_ref().and_then(|facts| facts.context_window),
        max_output: facts.as_ref().and_then(|facts| facts.max_output),
        extra_input: 0,
        reads_more: false,
        extra_reasoning: match &facts {
            // A relay's price list doesn't say it of other makers' models.
            Some(facts) if reasons_beside(upstream) => {
                let longest = facts.max_output.or(facts.context_window).unwrap_or(UNKNOWN_REASONING);
                facts.extra_reasoning.or(Some(longest))
            }
            Some(facts) => facts.extra_reasoning,
            None => unknown_reasoning(channel, upstream),
        },
        beside: Vec::new(),
        is_deployment: false,
        lacks: facts.as_ref().map(|facts| facts.lacks).unwrap_or_default(),
        counting,
        tokenizer,
        regions: facts.map_or_else(Vec::new, |facts| facts.regions.into_iter().map(region).collect()),
    }
}

fn region((name, ratio_ppm): (&str, u32)) -> RegionRatio {
    RegionRatio { region: name.into(), ratio_ppm }
}

/// What the catalogue knows of an upstream's model: at the channel's provider; at the provider whose host it is; else,
/// when the host is nobody's, at the model's maker.
pub(crate) fn facts_of(channel: &Channel, provider: &Provider, upstream: &str) -> Option<ModelFacts> {
    if provider.id == Provider::MOCK.id {
        return None;
    }
    let host = channel.endpoints.first().and_then(|endpoint| host_of(&endpoint.url));
    let at_host = host.and_then(provider_of_host);
    let own = at_host.unwrap_or(*provider);
    model_facts(&own, upstream)
        .or_else(|| if at_host.is_none() { model_facts_by_name(upstream) } else { None })
}

/// Whether the catalogue knows what a channel's model is, by the upstream's name.
pub fn lists_model(channel: &Channel, upstream: &str) -> bool {
    let provider = crate::catalogue::provider(channel.provider.as_str());
    provider.is_some_and(|provider| facts_of(channel, &provider, upstream).is_some())
}

/// Says so when a model has no price.
pub(crate) fn warn_unpriced(load: &mut Load<'_>, channel: &Channel, item: &Item<'_>, how: &str) {
    let unpriced: Vec<_> = channel
        .models
        .iter()
        .filter(|model| !model.price.is_known() && !model.group.as_str().ends_with('*'))
        .map(|model| format!("`{}`", model.group))
        .collect();
    if unpriced.is_empty() || !channel.enabled || channel.provider.as_str() == Provider::MOCK.id {
        return;
    }
    let names = if unpriced.len() > 8 {
        format!("{} and {} more", unpriced[..8].join(", "), unpriced.len() - 8)
    } else {
        unpriced.join(", ")
    };
    let message = format!(
        "no price is known for {names} at the channel `{}`: tokens are counted, money isn't, and spend limits don't bind",
        channel.name
    );
    item.say(load, Severity::Note, "unpriced", message, how.to_owned());
}

/// Gives each channel without an id one that doesn't depend on its place in the file: a readable part of its name and a
/// short hash of what it is. Those that are alike are numbered.
pub(crate) fn name_channels(channels: &mut [Channel]) {
    let mut taken: HashMap<String, u32> = channels
        .iter()
        .filter(|c| !c.id.as_str().is_empty())
        .map(|c| (c.id.as_str().to_owned(), 1))
        .collect();
    for channel in channels.iter_mut().filter(|channel| channel.id.as_str().is_empty()) {
        let id = format!("{}-{}", slug(&channel.name), fingerprint(channel));
        let mut count = 1;
        let mut unique = id.clone();
        // BOUND: as many rounds as there are channels.
        while taken.contains_key(&unique) {
            count += 1;
            unique = format!("{id}-{count}");
        }
        taken.insert(unique.clone(), count);
        channel.id = ChannelId::from(unique);
    }
}

fn fingerprint(channel: &Channel) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    add(&channel.name);
    add(channel.provider.as_str());
    // A channel stays who it is, with its balances, when a version finds an operation more at its provider: what is served
    // besides its main formats follows from the same address.
    let is_later =
        |format: Format| format.is_single() || matches!(format, Format::OpenaiResponses | Format::OllamaChat);
    let has_main = channel.endpoints.iter().any(|endpoint| !is_later(endpoint.format));
    for endpoint in channel.endpoints.iter().filter(|it| !has_main || !is_later(it.format)) {
        add(&endpoint.url);
    }
    // The variable's name tells two accounts at one upstream apart; a credential itself must not leave a trace.
    if let SecretRef::Env(name) = &channel.secret {
        add(name);
    }
    if let [only] = channel.models.as_slice() {
        add(only.upstream.as_str());
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Letters and digits of any script, the rest as single dashes.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.chars().count() >= 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "channel".to_owned() } else { slug.to_owned() }
}

/// Keeps only embeddings for a model that makes nothing else.
pub(crate) fn only_embeddings(channel: &mut Channel) {
    if channel.endpoints.iter().any(|endpoint| endpoint.format == Format::OpenaiEmbeddings) {
        channel.endpoints.retain(|endpoint| endpoint.format == Format::OpenaiEmbeddings);
    }
}

/// Takes a proxy's address.
pub(crate) fn proxy(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel, url: String) {
    let lower = url.to_ascii_lowercase();
    let known =
        ["http://", "https://", "socks5://", "socks5h://"].iter().any(|scheme| lower.starts_with(scheme));
    if known && host_of(&url).is_some() {
        channel.transport.proxy = Some(url);
    } else {
        let message = "this is no address of a proxy";
        item.say(
            load,
            Severity::Error,
            "invalid_url",
            message,
            "write http://HOST:PORT or socks5://HOST:PORT",
        );
    }
}
