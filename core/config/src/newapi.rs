//! A list of New API channels.

pub(crate) mod ratio;

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_core::channel::{Channel, KeyMode, Secret, SecretRef};
use sluicegate_core::ids::{GroupId, ModelName, OrganizationId};
use sluicegate_core::limit::Mode;
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::{Group, ModelAccess, Source};

use crate::catalogue::{Provider, provider, provider_of_host, provider_of_type, providers};
use crate::diagnostic::Severity;
use crate::draft;
use crate::endpoint::{AZURE, BaseStyle, host_of, is_home};
use crate::host::HostSettings;
use crate::native::DEFAULT_ORGANIZATION;
use crate::overlay;
use crate::reader::{Fields, Item, Known, Load};
use crate::suggest::nearest;
use crate::yaml::Value;

use self::ratio::Ratios;

/// The group whose keys use the channels of several others.
const AUTO: &str = "auto";

/// Top-level keys of the dialect.
pub(crate) const TOP_KEYS: [&str; 2] = ["channels", "options"];

const TOP: Known = Known {
    read: &["channels", "options"],
    moot: &[],
    unsupported: &["tokens", "users"],
    unknown: Severity::Warning,
};

const CHANNEL: Known = Known {
    read: &[
        "name",
        "type",
        "base_url",
        "key",
        "keys",
        "models",
        "group",
        "groups",
        "priority",
        "weight",
        "model_mapping",
        "status",
        "tag",
        "setting",
        "settings",
        "header_override",
        "param_override",
        "channel_info",
        "openai_organization",
        "auto_ban",
        "other",
    ],
    moot: &[
        ("id", "a channel's id is made of what it is"),
        ("created_time", "it is only shown"),
        ("test_time", "it is only shown"),
        ("response_time", "it is only shown"),
        ("balance", "it is only shown"),
        ("balance_updated_time", "it is only shown"),
        ("used_quota", "use is counted anew"),
        ("remark", "it is only shown"),
        ("other_info", "it is only shown"),
        ("test_model", "channels are not tested with calls of their own"),
    ],
    unsupported: &["status_code_mapping"],
    unknown: Severity::Warning,
};

const INFO: Known = Known {
    read: &["multi_key_mode"],
    moot: &[
        ("is_multi_key", "several keys in `key` say so"),
        ("multi_key_size", "the keys are counted"),
        ("multi_key_status_list", "which keys are out is found out anew"),
        ("multi_key_disabled_reason", "which keys are out is found out anew"),
        ("multi_key_disabled_time", "which keys are out is found out anew"),
        ("multi_key_polling_index", "turns begin anew"),
    ],
    unsupported: &[],
    unknown: Severity::Warning,
};

const OPTIONS: Known = Known {
    read: &["AutoGroups", "GroupRatio"],
    moot: &[("TopupGroupRatio", "it is of top-ups only")],
    unsupported: &["GroupGroupRatio"],
    unknown: Severity::Note,
};

const SETTING: Known = Known {
    read: &["proxy"],
    moot: &[
        ("pass_through_body_enabled", "same-format calls are always passed through as they are"),
        ("http_protocol", "the protocol is negotiated"),
        ("http2_connection_shards", "connections are kept by the pool"),
        ("allow_service_tier", "fields that bear on cost are checked, then passed"),
    ],
    unsupported: &[
        "force_format",
        "thinking_to_content",
        "system_prompt",
        "system_prompt_override",
        "azure_responses_version",
        "vertex_key_type",
        "openrouter_enterprise",
        "claude_beta_query",
        "allow_inference_geo",
        "allow_speed",
        "allow_safety_identifier",
        "disable_store",
        "allow_include_obfuscation",
        "disable_task_polling_sleep",
        "aws_key_type",
        "advanced_custom",
    ],
    unknown: Severity::Warning,
};

/// Lowers a file.
pub(crate) fn lower(load: &mut Load<'_>, root: &Item<'_>, declared: &mut Declared, host: &mut HostSettings) {
    host.port = 3000;
    host.present_as_requested = true;
    declared.quota.rate_token_mode = Mode::Corrected;
    let Some(fields) = Fields::open(load, root, &TOP) else { return };
    let Some(list) = fields.get("channels") else { return };
    let options = fields
        .get("options")
        .and_then(|options| Fields::open_with(load, &options, &OPTIONS, ratio::is_ratio));
    let ratios = options.as_ref().map(|options| ratio::read(load, &options.item)).unwrap_or_default();
    let mut names: HashMap<String, u32> = HashMap::new();
    for item in list.list(load) {
        channel(load, &item, declared, &mut names, &ratios);
    }
    groups_of(declared);
    if let Some(options) = &options {
        group_ratios(load, options, declared);
        auto_list(load, options, declared);
    }
}

/// `GroupRatio`, or its JSON text: what a group's calls cost relative to the prices. A group that no channel names exists by it.
fn group_ratios(load: &mut Load<'_>, options: &Fields<'_>, declared: &mut Declared) {
    let Some(item) = options.get("GroupRatio") else { return };
    embedded(load, &item, |load, map| {
        if !map.is_map(load) {
            return;
        }
        for (label, child) in map.children() {
            let Some(ratio_ppm) = child.decimal(load, 6).and_then(|ppm| u32::try_from(ppm).ok()) else {
                continue;
            };
            match declared.groups.iter_mut().find(|group| group.id.as_str() == label) {
                Some(group) => group.price_ratio_ppm = ratio_ppm,
                None => {
                    let group = Group { price_ratio_ppm: ratio_ppm, ..implicit_group(label) };
                    declared.groups.push(group);
                }
            }
        }
    });
}

/// `AutoGroups`, a list or its JSON text: the group `auto` may use the channels of those groups, in their order.
fn auto_list(load: &mut Load<'_>, options: &Fields<'_>, declared: &mut Declared) {
    let Some(item) = options.get("AutoGroups") else { return };
    let mut labels = Vec::new();
    embedded(load, &item, |load, list| labels = list.texts(load));
    for label in &labels {
        if !declared.groups.iter().any(|group| group.id.as_str() == label) {
            let message =
                format!("no channel of this file is for the group `{label}`: `auto` gets none from it");
            item.say(load, Severity::Warning, "unknown_group", message, "name a group that a channel names");
        }
    }
    if labels.is_empty() {
        return;
    }
    let channels_of = labels.into_iter().map(Arc::from).collect();
    // Channels may be for `auto` itself: it has those, and the others'.
    match declared.groups.iter_mut().find(|group| group.id.as_str() == AUTO) {
        Some(group) => group.channels_of = channels_of,
        None => declared.groups.push(Group { channels_of, ..implicit_group(AUTO) }),
    }
}

fn channel(
    load: &mut Load<'_>,
    item: &Item<'_>,
    declared: &mut Declared,
    names: &mut HashMap<String, u32>,
    ratios: &Ratios,
) {
    let Some(fields) = Fields::open(load, item, &CHANNEL) else { return };
    let name =
        fields.text(load, "name").unwrap_or_else(|| format!("channel {}", declared.channels.len() + 1));
    let Some(provider) = provider_of(load, &fields, item) else { return };
    let mut channel = draft::blank(&name, &provider);
    let count = names.entry(name.clone()).or_insert(0);
    *count += 1;
    if *count == 2 {
        let message = format!("there is another channel of the name `{name}`");
        item.say(
            load,
            Severity::Note,
            "duplicate_name",
            message,
            "give it a name of its own to tell them apart",
        );
    }
    draft::connect(load, &mut channel, &provider, fields.get("base_url").as_ref(), item, BaseStyle::Host);
    if let Some(other) = fields.get("other") {
        other_of(load, &mut channel, &provider, &other);
    }
    behaviour(load, &fields, &mut channel);
    models(load, &fields, item, &mut channel, &provider, ratios);
    if let Some(item) = fields.get("param_override") {
        embedded(load, &item, |load, item| overlay::param_override(load, item, &mut channel));
    }
    draft::warn_unpriced(
        load,
        &channel,
        item,
        "declare prices over the API, or use a native file with `prices`",
    );
    credentials(load, &fields, item, &mut channel, &provider);
    if let Some(item) = fields.get("channel_info") {
        embedded(load, &item, |load, item| info(load, item, &mut channel));
    }
    declared.channels.push(channel);
}

/// The provider of a channel's type: a number, a name, or the host when several providers share a type.
fn provider_of(load: &mut Load<'_>, fields: &Fields<'_>, item: &Item<'_>) -> Option<Provider> {
    let Some(kind) = fields.get("type") else {
        let message = "the channel has no type: it is taken to speak OpenAI's format";
        item.say(load, Severity::Warning, "missing_key", message, "add `type: openai`");
        return provider("openai");
    };
    let text = kind.filled(load)?;
    let found = match text.parse::<u32>() {
        Ok(number) => provider_of_type(number),
        Err(_) => provider(home_site(&text.to_lowercase().replace(' ', ""))),
    };
    let Some(found) = found else {
        let shown: String = text.chars().take(60).collect();
        let remedy = match nearest(&text, providers().map(|provider| provider.id)) {
            _ if text.parse::<u32>().is_ok() => {
                "no provider has this number: write `openai` for whatever speaks OpenAI's format".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => "write `openai` for whatever speaks OpenAI's format".to_owned(),
        };
        kind.say(
            load,
            Severity::Error,
            "unknown_provider",
            format!("there is no channel type `{shown}`"),
            remedy,
        );
        return None;
    };
    // Sites of one company share a type: the address tells which it is.
    let base = fields.get("base_url").and_then(|base| base.quiet_text(load));
    let at_host = base.as_deref().and_then(host_of).and_then(provider_of_host);
    Some(match at_host {
        Some(site) if found.is_served() && site.wire == found.wire => site,
        _ => found,
    })
}

/// What `other` says depends on the type: at Azure it is the version of the API.
fn other_of(load: &mut Load<'_>, channel: &mut Channel, provider: &Provider, item: &Item<'_>) {
    if provider.wire == AZURE {
        return draft::api_version(load, channel, provider, item);
    }
    if item.quiet_text(load).is_some_and(|text| !text.is_empty()) {
        let message = "what `other` says is only known for Azure: it has no effect";
        item.say(load, Severity::Warning, "unsupported_key", message, "remove it");
    }
}

/// Where a type's name means another site than the same name elsewhere.
fn home_site(name: &str) -> &str {
    match name {
        "moonshot" => "moonshot-cn",
        "minimax" => "minimax-cn",
        "siliconflow" => "siliconflow-cn",
        "tencent" => "hunyuan-native",
        other => other,
    }
}

fn behaviour(load: &mut Load<'_>, fields: &Fields<'_>, channel: &mut Channel) {
    if let Some(priority) = fields.get("priority").and_then(|item| item.signed(load)) {
        channel.priority = priority;
    }
    if let Some(weight) = fields.unsigned_32(load, "weight") {
        channel.weight = weight;
    }
    if let Some(item) = fields.get("status")
        && let Some(status) = item.filled(load)
    {
        match status.as_str() {
            "1" | "enabled" => {}
            "2" | "3" | "disabled" => channel.enabled = false,
            _ => item.wrong(load, "1 (enabled), 2 or 3 (disabled)"),
        }
    }
    if fields.boolean(load, "auto_ban") == Some(false) {
        channel.allowed_fails = Some(u32::MAX);
    }
    channel.tags.extend(fields.text(load, "tag"));
    for key in ["groups", "group"] {
        if let Some(item) = fields.get(key) {
            for label in item.comma_texts(load) {
                if !channel.groups.iter().any(|known| **known == *label) {
                    channel.groups.push(Arc::from(label));
                }
            }
        }
    }
    for key in ["setting", "settings"] {
        if let Some(item) = fields.get(key) {
            embedded(load, &item, |load, item| setting(load, item, channel));
        }
    }
    if let Some(item) = fields.get("header_override") {
        embedded(load, &item, |load, headers| headers_of(load, headers, channel));
    }
    if let Some(organization) = fields.text(load, "openai_organization") {
        channel.headers.insert("openai-organization".to_owned(), organization);
    }
}

/// How one of several keys is picked; which of them are out is found out anew.
fn info(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    let Some(fields) = Fields::open(load, item, &INFO) else { return };
    if let Some(mode) = fields.get("multi_key_mode")
        && let Some(mode) = mode
            .word(load, &[("random", KeyMode::Random), ("polling", KeyMode::Polling), ("", KeyMode::Random)])
    {
        channel.key_mode = mode;
    }
}

fn setting(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    let Some(fields) = Fields::open(load, item, &SETTING) else { return };
    if let Some(proxy) = fields.get("proxy")
        && let Some(url) = proxy.filled(load)
    {
        draft::proxy(load, &proxy, channel, url);
    }
}

fn headers_of(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    if !item.is_map(load) {
        return;
    }
    for (name, child) in item.children() {
        if name == "*" || name.starts_with("re:") || name.starts_with("regex:") {
            overlay::passed_by_pattern(load, &child, channel, name);
            continue;
        }
        let Some(value) = child.text(load) else { continue };
        draft::header(load, &child, channel, name, value);
    }
}

/// Settings that may be a mapping, or a JSON text as the database has it.
fn embedded(load: &mut Load<'_>, item: &Item<'_>, read: impl FnOnce(&mut Load<'_>, &Item<'_>)) {
    let Value::Scalar { text, .. } = &item.node.value else { return read(load, item) };
    if text.trim().is_empty() {
        return;
    }
    match crate::yaml::parse(text, item.place.file, &mut |_| {}) {
        Ok(mut node) => {
            replace(&mut node, item.place);
            read(load, &Item { node: &node, at: item.at.clone(), place: item.place });
        }
        Err(_) => item.wrong(load, "a mapping, or a mapping as JSON text"),
    }
}

/// Places inside an embedded text mean nothing in the file: the setting's own place does.
fn replace(node: &mut crate::yaml::Node, place: crate::yaml::Place) {
    node.place = place;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| replace(item, place)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.place = place;
            replace(&mut entry.value, place);
        }),
        Value::Null | Value::Scalar { .. } => {}
    }
}

fn models(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    item: &Item<'_>,
    channel: &mut Channel,
    provider: &Provider,
    ratios: &Ratios,
) {
    let mut mapping: HashMap<String, String> = HashMap::new();
    if let Some(item) = fields.get("model_mapping") {
        embedded(load, &item, |load, item| {
            if item.is_map(load) {
                for (from, to) in item.children() {
                    if let Some(to) = to.filled(load) {
                        mapping.insert(from.to_owned(), to);
                    }
                }
            }
        });
    }
    let listed = fields.get("models").map(|item| item.comma_texts(load)).unwrap_or_default();
    if listed.is_empty() {
        let message = format!("the channel `{}` lists no models: it serves nothing", channel.name);
        item.say(load, Severity::Warning, "no_models", message, "add `models: [MODEL]`");
    }
    for group in listed {
        if channel.models.iter().any(|model| model.group.as_str() == group) {
            continue;
        }
        let upstream = mapped(load, fields, &mapping, &group);
        let facts = draft::facts_of(channel, provider, &upstream);
        let mut model = draft::model(channel, &group, &upstream, facts.as_ref());
        // Ratios are by the name that is asked for.
        if let Some(price) = ratios.of(&group).or_else(|| ratios.of(&upstream)) {
            model.price = price.clone();
            model.regions.clear();
        }
        channel.models.push(model);
    }
}

/// Follows the mapping, which may be a chain.
fn mapped(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    mapping: &HashMap<String, String>,
    model: &str,
) -> String {
    let mut upstream = model;
    // BOUND: a chain can't be longer than the mapping.
    for _ in 0..=mapping.len() {
        match mapping.get(upstream) {
            Some(next) if next != upstream => upstream = next,
            _ => return upstream.to_owned(),
        }
    }
    if let Some(item) = fields.get("model_mapping") {
        let message = format!("the mapping of `{model}` leads back to itself");
        item.say(
            load,
            Severity::Error,
            "alias_cycle",
            message,
            "let it end at a name that the upstream knows",
        );
    }
    model.to_owned()
}

/// The channel's credentials: one, or several in one text, a line each.
fn credentials(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    item: &Item<'_>,
    channel: &mut Channel,
    provider: &Provider,
) {
    if channel.endpoints.is_empty() {
        channel.enabled = false;
        return;
    }
    let usual = is_home(provider, fields.get("base_url").and_then(|base| base.quiet_text(load)).as_deref());
    let key = fields.any(&["key", "keys"]);
    let several: Vec<String> = match &key {
        Some(key) => match &key.node.value {
            Value::List(_) => {
                let items = key.list(load);
                if let [only] = items.as_slice() {
                    return draft::credential(load, channel, provider, Some(only), item, usual);
                }
                items.iter().filter_map(|item| item.filled(load)).collect()
            }
            _ => key
                .quiet_text(load)
                .map(|text| {
                    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
                })
                .unwrap_or_default(),
        },
        None => Vec::new(),
    };
    if several.len() < 2 {
        return draft::credential(load, channel, provider, key.as_ref(), item, usual);
    }
    let found = several.into_iter().map(|key| SecretRef::Inline(Secret::new(key))).collect();
    draft::keys(load, key.as_ref().unwrap_or(item), channel, provider, found);
}

/// Groups that channels name exist: implicitly, in the default organization.
fn groups_of(declared: &mut Declared) {
    let mut labels: Vec<Arc<str>> = Vec::new();
    for label in declared.channels.iter().flat_map(|channel| &channel.groups) {
        if !labels.contains(label) {
            labels.push(Arc::clone(label));
        }
    }
    declared.groups.extend(labels.into_iter().map(|label| implicit_group(&label)));
}

/// A group that is only named.
pub(crate) fn implicit_group(label: &str) -> Group {
    Group {
        id: GroupId::from(label),
        alias: Some(label.to_owned()),
        organization: OrganizationId::from(DEFAULT_ORGANIZATION),
        access: ModelAccess::only(Vec::<ModelName>::new()),
        aliases: Default::default(),
        limits: Vec::new(),
        price_ratio_ppm: sluicegate_core::price::RATIO_ONE_PPM,
        prices: Arc::default(),
        preferences: Vec::new(),
        channels_of: Vec::new(),
        blocked: false,
        metadata: serde_json::Map::new(),
        source: Source::File,
        created_at: sluicegate_core::time::Timestamp::default(),
    }
}
