//! Our own dialect.

mod auth;
mod channel;
mod check;
mod guardrail;
mod manual;
mod pass;
mod price;
mod schema;
mod section;
mod tenant;

pub(crate) use auth::is_secure_url;
pub use manual::tables as manual_tables;
pub use schema::json_schema;
pub(crate) use section::{BODY_EDIT, EDIT_CONDITION, Section};
pub(crate) use tenant::to_json;

use indexmap::IndexMap;
use sluicegate_core::by_class::ByClass;
use sluicegate_core::channel::{Timeouts, Translation};
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::ids::{GroupId, KeyId, ModelName, OrganizationId};
use sluicegate_core::limit::Mode;
use sluicegate_core::snapshot::{
    Attachment, Declared, ModuleSource, OnPolicyError, OnUnknown, PolicySource, Strategy, TagFilter, Unpriced,
};

use crate::diagnostic::Severity;
use crate::host::{
    Durability, HostSettings, LitellmVersion, MetricsAccess, PolicyRollback, ResponseBounds, Retention,
    TlsFiles,
};
use crate::limits::read_limits;
use crate::price_file::ListedPrice;
use crate::quantity::{parse_bytes, parse_duration_ms};
use crate::reader::{Fields, Item, Load};
use crate::routes::{self, Reference};
use crate::yaml::Value;

/// The organization of whatever names none.
pub(crate) const DEFAULT_ORGANIZATION: &str = "default";

/// Said where a file asks for New API's statuses.
const STATUSES_ARE_OURS: &str = "this version answers New API's routes with its own statuses and texts yet";

const TRANSLATIONS: [(&str, Translation); 2] = [("drop", Translation::Drop), ("strict", Translation::Strict)];

const STRATEGIES: [(&str, Strategy); 6] = [
    ("weighted", Strategy::Weighted),
    ("least_busy", Strategy::LeastBusy),
    ("lowest_latency", Strategy::LowestLatency),
    ("lowest_cost", Strategy::LowestCost),
    ("usage", Strategy::Usage),
    ("affinity", Strategy::Affinity),
];

/// The prices of a file, whatever else is in it.
pub(crate) fn listed_prices(load: &mut Load<'_>, root: &Item<'_>) -> Vec<ListedPrice> {
    if !root.is_map(load) {
        return Vec::new();
    }
    let fields = Fields { item: root.clone() };
    let currencies = fields.get("currencies").map(|item| price::currencies(load, &item)).unwrap_or_default();
    match fields.get("prices") {
        Some(list) => channel::listed_prices(load, &list, &currencies),
        None => Vec::new(),
    }
}

/// Lowers a file.
pub(crate) fn lower(load: &mut Load<'_>, root: &Item<'_>, declared: &mut Declared, host: &mut HostSettings) {
    if matches!(root.node.value, Value::Null) {
        let message = "the file is empty: calls have nowhere to go until channels are created over the API";
        load.report(
            Severity::Warning,
            "no_models",
            root.place,
            "",
            message,
            "add `version: 1` and `channels`",
        );
        return;
    }
    let Some(fields) = Fields::open_section(load, root, &section::ROOT) else { return };
    version(load, &fields, root);
    if let Some(item) = fields.get("server") {
        server(load, &item, host);
    }
    if let Some(item) = fields.get("compat") {
        compat(load, &item, host);
    }
    // Limits read below take their default mode from here.
    if let Some(item) = fields.get("quotas") {
        quotas(load, &item, declared);
    }
    if let Some(item) = fields.get("health_checks") {
        check::everybodys(load, &item, host);
    }
    if let Some(item) = fields.get("routing") {
        routing(load, &item, declared);
    }
    let mut references = Vec::new();
    if let Some(item) = fields.get("model_groups") {
        model_groups(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("auth") {
        auth::lower(load, &item, &mut host.auth);
    }
    let currencies = fields.get("currencies").map(|item| price::currencies(load, &item)).unwrap_or_default();
    let overrides =
        fields.get("prices").map(|item| channel::prices(load, &item, &currencies)).unwrap_or_default();
    if let Some(list) = fields.get("channels") {
        let prices = channel::Prices { overrides: &overrides, currencies: &currencies };
        channel::lower(load, &list, declared, prices);
    }
    tenant::lower(load, &fields, declared, &currencies);
    if let Some(item) = fields.get("aliases") {
        aliases(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("fallbacks") {
        fallbacks(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("policies") {
        policies(load, &item, declared);
    }
    if let Some(item) = fields.get("guardrails") {
        guardrail::lower(load, &item, declared);
    }
    guardrail::check_asked(load, &fields, declared);
    if let Some(item) = fields.get("policy_modules") {
        policy_modules(load, &item, declared);
    }
    routes::check(load, declared, &references, entry);
}

fn version(load: &mut Load<'_>, fields: &Fields<'_>, root: &Item<'_>) {
    match fields.get("version") {
        Some(item) => {
            item.word(load, &[("1", ())]);
        }
        None => load.report_with(
            (Severity::Error, "missing_key"),
            (root.place, ""),
            "the file doesn't say which format it is in",
            "begin it with the version; LiteLLM and New API files are told by `model_list` and by channels with a `type`",
            "version: 1".to_owned(),
        ),
    }
}

/// A `channels` entry for a model, ready to paste.
fn entry(model: &str) -> String {
    let (provider, variable, base) = routes::guess(model);
    let base = base.map(|base| format!("\n    url: {base}")).unwrap_or_default();
    format!(
        "  - name: {model}\n    provider: {provider}{base}\n    credential: ${{{variable}}}\n    models: [{model}]"
    )
}

fn server(load: &mut Load<'_>, item: &Item<'_>, host: &mut HostSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::SERVER) else { return };
    if let Some(address) = fields.text(load, "host") {
        host.host = address;
    }
    if let Some(port) =
        fields.get("port").and_then(|item| item.parsed(load, "a port from 0 to 65535", |t| t.parse().ok()))
    {
        host.port = port;
    }
    host.data_dir = fields.text(load, "data_dir");
    if let Some(item) = fields.get("database") {
        host.take_database(load, &item);
    }
    if let Some(item) = fields.get("redis") {
        host.redis = optional_secret(load, &item);
    }
    if let Some(item) = fields.get("master_key") {
        host.take_master_key(load, &item);
    }
    if let Some(item) = fields.get("session_secret")
        && let Some(secret) = optional_secret(load, &item)
    {
        host.session_secret = secret;
    }
    if let Some(item) = fields.get("body_limit")
        && let Some(bytes) =
            item.parsed(load, "a number of bytes such as 32MiB", |text| parse_bytes(text).ok())
    {
        host.body_limit_bytes = bytes;
    }
    if let Some(item) = fields.get("upload_limit")
        && let Some(bytes) =
            item.parsed(load, "a number of bytes such as 512MiB", |text| parse_bytes(text).ok())
    {
        host.upload_limit_bytes = bytes;
    }
    if let Some(item) = fields.get("present_as")
        && let Some(requested) = item.word(load, &[("upstream", false), ("requested", true)])
    {
        host.present_as_requested = requested;
    }
    if let Some(item) = fields.get("translation")
        && let Some(translation) = item.word(load, &TRANSLATIONS)
    {
        host.translation = translation;
    }
    if let Some(item) = fields.get("metrics")
        && let Some(access) = item.word(
            load,
            &[
                ("authorized", MetricsAccess::Authorized),
                ("open", MetricsAccess::Open),
                ("off", MetricsAccess::Off),
            ],
        )
    {
        host.metrics = access;
    }
    if let Some(item) = fields.get("metrics_token")
        && let Some(secret) = optional_secret(load, &item)
    {
        host.metrics_token = secret;
    }
    if let Some(item) = fields.get("trusted_proxies") {
        host.take_trusted_proxies(load, &item);
    }
    if let Some(item) = fields.get("tls") {
        host.tls = tls(load, &item);
    }
    if let Some(item) = fields.get("durability")
        && let Some(durability) =
            item.word(load, &[("process", Durability::Process), ("power", Durability::Power)])
    {
        host.durability = durability;
    }
    if let Some(item) = fields.get("retention") {
        retention(load, &item, &mut host.retention);
    }
    if let Some(item) = fields.get("responses") {
        responses(load, &item, &mut host.responses);
    }
    if let Some(item) = fields.get("policy_rollback") {
        policy_rollback(load, &item, &mut host.policy_rollback);
    }
    for (key, setting) in [
        ("store_models", &mut host.store_model_in_db),
        ("demo_channel", &mut host.demo_channel),
        ("console", &mut host.console),
        (
            "dangerously_permit_weak_or_unset_master_key",
            &mut host.dangerously_permit_weak_or_unset_master_key,
        ),
    ] {
        if let Some(value) = fields.boolean(load, key) {
            *setting = value;
        }
    }
}

fn tls(load: &mut Load<'_>, item: &Item<'_>) -> Option<TlsFiles> {
    let fields = Fields::open_section(load, item, &section::TLS)?;
    let (certificate, key) = (fields.text(load, "certificate"), fields.text(load, "key"));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        // Never plainly where TLS is meant.
        let message = "TLS needs a certificate and its key, each in a file";
        item.say(
            load,
            Severity::Error,
            "missing_key",
            message,
            "write `tls: {certificate: chain.pem, key: key.pem}`",
        );
        return None;
    };
    Some(TlsFiles { certificate, key })
}

fn retention(load: &mut Load<'_>, item: &Item<'_>, retention: &mut Retention) {
    let Some(fields) = Fields::open_section(load, item, &section::RETENTION) else { return };
    let mut take = |key: &str, least: u64, want: &str| {
        fields.get(key)?.parsed(load, want, |text| parse_duration_ms(text).ok().filter(|ms| *ms >= least))
    };
    retention.records_ms =
        take("records", Retention::RECORDS_MIN_MS, "a length of time of a day or more, such as 90d");
    retention.daily_sums_ms =
        take("daily_sums", Retention::DAILY_SUMS_MIN_MS, "a length of time of 62 days or more, such as 36mo");
    if let Some(ms) = take("responses", 0, "a length of time, such as 30d, or 0") {
        retention.responses_ms = ms;
    }
    if let Some(sums) = retention.daily_sums_ms
        && retention.records_ms.is_none_or(|records| records > sums)
    {
        let message = "daily sums are kept no shorter than the records that they are made of";
        item.say(
            load,
            Severity::Error,
            "invalid_value",
            message,
            "give `records` a time, no longer than that of `daily_sums`",
        );
    }
}

fn responses(load: &mut Load<'_>, item: &Item<'_>, bounds: &mut ResponseBounds) {
    let Some(fields) = Fields::open_section(load, item, &section::RESPONSES) else { return };
    for (key, setting) in [
        ("background", &mut bounds.background),
        ("background_per_owner", &mut bounds.background_per_owner),
        ("conversations_per_owner", &mut bounds.conversations_per_owner),
    ] {
        if let Some(item) = fields.get(key)
            && let Some(most) =
                item.parsed(load, "a number, 1 or more", |text| text.parse().ok().filter(|most| *most > 0))
        {
            *setting = most;
        }
    }
    for (key, setting) in [
        ("background_bytes", &mut bounds.background_bytes),
        ("background_bytes_per_owner", &mut bounds.background_bytes_per_owner),
        ("conversation_bytes_per_owner", &mut bounds.conversation_bytes_per_owner),
    ] {
        if let Some(item) = fields.get(key)
            && let Some(bytes) =
                item.parsed(load, "a number of bytes such as 64MiB", |text| parse_bytes(text).ok())
        {
            *setting = bytes;
        }
    }
}

fn policy_rollback(load: &mut Load<'_>, item: &Item<'_>, rollback: &mut PolicyRollback) {
    let Some(fields) = Fields::open_section(load, item, &section::POLICY_ROLLBACK) else { return };
    if let Some(item) = fields.get("window")
        && let Some(ms) =
            item.parsed(load, "a length of time, such as 10m", |text| parse_duration_ms(text).ok())
    {
        rollback.window_ms = ms;
    }
    for (key, setting) in [("max_calls", &mut rollback.max_calls), ("min_calls", &mut rollback.min_calls)] {
        if let Some(item) = fields.get(key)
            && let Some(calls) = item.parsed(load, "a number of calls, 1 or more", |text| {
                text.parse().ok().filter(|calls| *calls > 0)
            })
        {
            *setting = calls;
        }
    }
    for (key, setting) in [
        ("max_error_percent", &mut rollback.max_error_percent),
        ("max_denied_percent", &mut rollback.max_denied_percent),
    ] {
        if let Some(item) = fields.get(key)
            && let Some(percent) =
                item.parsed(load, "a number from 0 to 100", |text| text.parse().ok().filter(|n| *n <= 100))
        {
            *setting = percent;
        }
    }
    if rollback.min_calls > rollback.max_calls {
        item.say(
            load,
            Severity::Error,
            "invalid_value",
            "a version is watched no longer before anything is said of it",
            "give `min_calls` a number no larger than `max_calls`",
        );
    }
}

/// A secret that the gateway can do without.
fn optional_secret(load: &mut Load<'_>, item: &Item<'_>) -> Option<sluicegate_core::SecretRef> {
    match item.secret(load) {
        Ok(secret) => secret,
        Err(name) => {
            item.missing_variable(load, Severity::Warning, &name, "the setting has no effect until it is");
            None
        }
    }
}

fn compat(load: &mut Load<'_>, item: &Item<'_>, host: &mut HostSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::COMPAT) else { return };
    if fields.get("newapi").is_some_and(|item| item.quiet_text(load).as_deref() != Some("false")) {
        item.say(load, Severity::Note, "not_used_yet", STATUSES_ARE_OURS, "");
    }
    if let Some(item) = fields.get("litellm") {
        host.compat.litellm =
            item.word(load, &[("1.80", LitellmVersion::V1_80), ("1.106", LitellmVersion::V1_106)]);
    }
    if let Some(value) = fields.boolean(load, "newapi") {
        host.compat.newapi = value;
    }
    if let Some(item) = fields.get("budget_exceeded_status") {
        host.compat.budget_exceeded_status = item.parsed(load, "a status from 400 to 499", |text| {
            text.parse().ok().filter(|code| (400..500).contains(code))
        });
    }
}

fn quotas(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(fields) = Fields::open_section(load, item, &section::QUOTAS) else { return };
    if let Some(item) = fields.get("rate_token_mode")
        && let Some(mode) =
            item.word(load, &[("strict", Mode::Strict), ("corrected", Mode::Corrected), ("soft", Mode::Soft)])
    {
        declared.quota.rate_token_mode = mode;
    }
    if let Some(item) = fields.get("limits") {
        declared.quota.global = read_limits(load, &item, declared.quota.rate_token_mode);
    }
    if let Some(item) = fields.get("time_zone")
        && let Some(name) = item.filled(load)
    {
        crate::litellm::take_time_zone(load, &item, &name, declared);
    }
    if let Some(tokens) = fields.unsigned(load, "default_output") {
        declared.quota.default_output = tokens;
    }
    if let Some(tokens) = fields.unsigned(load, "min_output") {
        declared.quota.min_output = tokens;
    }
    if let Some(item) = fields.get("on_unknown")
        && let Some(value) = item
            .word(load, &[("free", OnUnknown::Free), ("input", OnUnknown::Input), ("hold", OnUnknown::Hold)])
    {
        declared.quota.on_unknown = value;
    }
    if let Some(item) = fields.get("unpriced")
        && let Some(value) = item.word(load, &[("allow", Unpriced::Allow), ("deny", Unpriced::Deny)])
    {
        declared.quota.unpriced = value;
    }
    if let Some(wait) = fields.get("reserve_wait").and_then(|item| item.duration_ms(load)) {
        declared.quota.reserve_wait_ms = wait;
    }
    if let Some(value) = fields.boolean(load, "apply_user_limits_to_group_keys") {
        declared.quota.apply_user_limits_to_group_keys = value;
    }
}

fn routing(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(fields) = Fields::open_section(load, item, &section::ROUTING) else { return };
    let routing = &mut declared.routing;
    if let Some(item) = fields.get("strategy")
        && let Some(strategy) = item.word(load, &STRATEGIES)
    {
        routing.strategy = strategy;
    }
    for (key, setting) in [
        ("retries", &mut routing.retries),
        ("max_attempts", &mut routing.max_attempts),
        ("max_fallbacks", &mut routing.max_fallbacks),
        ("allowed_fails", &mut routing.allowed_fails),
        ("failure_min_calls", &mut routing.failure_min_calls),
    ] {
        if let Some(value) = fields.unsigned_32(load, key) {
            *setting = value;
        }
    }
    if let Some(item) = fields.get("retries_by") {
        routing.retries_by = by_class(load, &item, &section::RETRIES_BY);
    }
    if let Some(item) = fields.get("allowed_fails_by") {
        routing.allowed_fails_by = by_class(load, &item, &section::ALLOWED_FAILS_BY);
    }
    if let Some(item) = fields.get("affinity_load_percent")
        && let Some(percent) = item.unsigned_32(load)
    {
        routing.affinity_load_percent = percent;
        if (1..100).contains(&percent) {
            let message = "a channel can't take less than its fair part of the calls";
            item.say(load, Severity::Error, "invalid_value", message, "write 0, or 100 or more");
        }
    }
    if let Some(item) = fields.get("tag_filter") {
        routing.tag_filter = item.word(load, &[("any", TagFilter::Any), ("all", TagFilter::All)]);
    }
    declared.tag_prefix = fields.text(load, "tag_prefix").unwrap_or_default();
    if let Some(allowed) = fields.boolean(load, "allow_mock_parameters") {
        routing.allow_mock_parameters = allowed;
    }
    if let Some(item) = fields.get("allowed_failure_percent") {
        routing.allowed_failure_percent = item.unsigned_32(load);
        if routing.allowed_failure_percent.is_some_and(|percent| percent > 100) {
            let message = "must be from 0 to 100";
            item.say(load, Severity::Error, "invalid_value", message, "write a number from 0 to 100");
        }
        if fields.get("allowed_fails").is_none() {
            // Whoever goes by the share doesn't go by a number that a busy channel always reaches.
            routing.allowed_fails = u32::MAX;
        }
    }
    if fields.get("allowed_fails").is_some() {
        routing.failure_min_percent = 0;
    }
    if let Some(item) = fields.get("failure_min_percent")
        && let Some(percent) =
            item.parsed(load, "a number from 0 to 100", |text| text.parse().ok().filter(|n| *n <= 100))
    {
        routing.failure_min_percent = percent;
    }
    if !(1..=64).contains(&routing.max_attempts)
        && let Some(item) = fields.get("max_attempts")
    {
        item.say(
            load,
            Severity::Error,
            "invalid_value",
            "must be from 1 to 64",
            "write a number from 1 to 64",
        );
    }
    for (key, setting) in [
        ("backoff", &mut routing.backoff_ms),
        ("backoff_max", &mut routing.backoff_max_ms),
        ("cooldown", &mut routing.cooldown_ms),
        ("deadline", &mut routing.deadline_ms),
    ] {
        if let Some(value) = fields.get(key).and_then(|item| item.duration_ms(load)) {
            *setting = value;
        }
    }
    if let Some(item) = fields.get("timeouts") {
        routing.timeouts = timeouts(load, &item).or(routing.timeouts);
    }
}

/// Counts by class of failure: the section's keys are classes.
fn by_class(load: &mut Load<'_>, item: &Item<'_>, section: &Section) -> ByClass {
    let mut counts = ByClass::NONE;
    let Some(fields) = Fields::open_section(load, item, section) else { return counts };
    for class in OutcomeClass::ALL {
        if let Some(count) = fields.unsigned_32(load, class.as_str()) {
            counts.set(class, count);
        }
    }
    counts
}

pub(super) fn timeouts(load: &mut Load<'_>, item: &Item<'_>) -> Timeouts {
    let Some(fields) = Fields::open_section(load, item, &section::TIMEOUTS) else {
        return Timeouts::default();
    };
    let mut read = |key: &str| fields.get(key).and_then(|item| item.duration_ms(load));
    Timeouts {
        connect_ms: read("connect"),
        first_byte_ms: read("first_byte"),
        between_bytes_ms: read("between_bytes"),
        total_ms: read("total"),
    }
}

fn model_groups<'n>(
    load: &mut Load<'_>,
    item: &Item<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    if !item.is_map(load) {
        return;
    }
    for (name, child) in item.children() {
        let Some(fields) = Fields::open_section(load, &child, &section::MODEL_GROUP) else { continue };
        let strategy = fields.get("strategy").and_then(|item| item.word(load, &STRATEGIES));
        let settings = declared.model_groups.entry(name.into()).or_default();
        settings.strategy = strategy;
        settings.default_output = fields.unsigned(load, "default_output");
        settings.retries = fields.unsigned_32(load, "retries");
        if let Some(item) = fields.get("retries_by") {
            settings.retries_by = by_class(load, &item, &section::RETRIES_BY);
        }
        if let Some(item) = fields.get("downgrade_to") {
            settings.downgrade_to = routes::read_targets(load, &item, name, references);
        }
    }
}

fn aliases<'n>(
    load: &mut Load<'_>,
    item: &Item<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    if !item.is_map(load) {
        return;
    }
    for (alias, child) in item.children() {
        let Some(target) = child.filled(load) else { continue };
        let meaning = format!("calls for `{alias}` can't be served");
        references.push(Reference { model: target.clone(), item: child, meaning });
        declared.aliases.insert(alias.into(), target.as_str().into());
    }
    routes::flatten_aliases(load, declared, item);
}

fn fallbacks<'n>(
    load: &mut Load<'_>,
    item: &Item<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    let Some(fields) = Fields::open_section(load, item, &section::FALLBACKS) else { return };
    let into = &mut declared.fallbacks;
    if let Some(item) = fields.get("general") {
        routes::read_fallbacks(load, &item, &mut into.general, Some(&mut into.default), references);
    }
    if let Some(item) = fields.get("context_window") {
        routes::read_fallbacks(load, &item, &mut into.context_window, None, references);
    }
    if let Some(item) = fields.get("content_policy") {
        routes::read_fallbacks(load, &item, &mut into.content_policy, None, references);
    }
    if let Some(item) = fields.get("default") {
        into.default.extend(routes::read_targets(load, &item, "", references));
    }
}

fn policies(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared) {
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::POLICY) else { continue };
        let Some(name) = required(load, &fields, "name") else { continue };
        let on_error = fields.get("on_error").and_then(|item| {
            item.word(
                load,
                &[("fail_open", OnPolicyError::FailOpen), ("fail_closed", OnPolicyError::FailClosed)],
            )
        });
        let text = script_text(load, &item, &fields, &format!("the policy `{name}`"));
        let attached = attachment(load, &item, &fields, declared, &name);
        if let (Some(text), Some(attached)) = (text, attached) {
            let on_error = on_error.unwrap_or_default();
            declared.policies.push(PolicySource { name, text, attached, on_error });
        }
    }
}

/// The text of a script, or what is wrong with how it is named.
fn script_text(load: &mut Load<'_>, item: &Item<'_>, fields: &Fields<'_>, what: &str) -> Option<String> {
    match (fields.get("script"), fields.get("file")) {
        // A script may hold `${…}` of its own: it is taken as it is written.
        (Some(script), None) => match &script.node.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            _ => {
                script.wrong(load, "a text");
                None
            }
        },
        (None, Some(file)) => script_file(load, &file),
        _ => {
            let message = format!("{what} needs either a `script` or a `file`");
            item.say(load, Severity::Error, "missing_key", message, "write one of the two");
            None
        }
    }
}

fn policy_modules(load: &mut Load<'_>, map: &Item<'_>, declared: &mut Declared) {
    if !map.is_map(load) {
        return;
    }
    for (name, item) in map.children() {
        let Some(fields) = Fields::open_section(load, &item, &section::POLICY_MODULE) else { continue };
        if let Some(text) = script_text(load, &item, &fields, &format!("the module `{name}`")) {
            declared.policy_modules.push(ModuleSource { name: name.to_owned(), text });
        }
    }
}

/// Whose calls a policy steers.
fn attachment(
    load: &mut Load<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    declared: &Declared,
    name: &str,
) -> Option<Attachment> {
    let named: Vec<&str> =
        ["organization", "group", "key"].into_iter().filter(|key| fields.get(key).is_some()).collect();
    let kind = match named.as_slice() {
        [] => return Some(Attachment::Everybody),
        [kind] => *kind,
        _ => {
            let message = format!("the policy `{name}` is attached to several at once");
            let remedy = "name an organization, a group or a key: who is meant is then one of them";
            item.say(load, Severity::Error, "conflicting_keys", message, remedy);
            return None;
        }
    };
    let whose = fields.text(load, kind)?;
    let (attached, is_known, code) = match kind {
        "organization" => {
            let mut all = declared.organizations.iter();
            let found = all.clone().find(|it| it.id.as_str() == whose);
            let found = found.or_else(|| all.find(|it| it.alias.as_deref() == Some(whose.as_str())));
            let is_known = found.is_some() || whose == OrganizationId::DEFAULT;
            let id = found.map_or_else(|| OrganizationId::from(whose.as_str()), |it| it.id.clone());
            (Attachment::Organization(id), is_known, "unknown_organization")
        }
        "key" => {
            let mut keys = declared.keys.iter().map(|(key, _)| key);
            let found = keys.clone().find(|key| key.id.as_str() == whose);
            let found = found.or_else(|| keys.find(|key| key.alias.as_deref() == Some(whose.as_str())));
            let id = found.map_or_else(|| KeyId::from(whose.as_str()), |key| key.id.clone());
            (Attachment::Key(id), found.is_some(), "unknown_key")
        }
        _ => {
            let is_known = tenant::has_group(declared, &whose);
            let id = tenant::group_id(declared, GroupId::from(whose.as_str()));
            (Attachment::Group(id), is_known, "unknown_group")
        }
    };
    if let (false, Some(at)) = (is_known, fields.get(kind)) {
        let message = format!("there is no {kind} `{whose}` in this file: the policy steers nobody");
        let remedy = match kind {
            "key" => "declare the key, or create it over the API and name it by its id".to_owned(),
            _ => format!("declare the {kind}, or create it over the API"),
        };
        at.say(load, Severity::Warning, code, message, remedy);
    }
    Some(attached)
}

fn script_file(load: &mut Load<'_>, item: &Item<'_>) -> Option<String> {
    let name = item.filled(load)?;
    let base = load.files.get(usize::from(item.node.place.file)).cloned().unwrap_or_default();
    let path = crate::include::beside(&base, &name);
    match (load.environment.file)(&path) {
        Ok(text) => Some(text),
        Err(why) => {
            let message = format!("the script `{path}` can't be read: {why}");
            item.say(load, Severity::Error, "unreadable_file", message, "correct the path");
            None
        }
    }
}

/// A text that must be there.
pub(super) fn required(load: &mut Load<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = fields.text(load, key);
    if text.is_none() && fields.get(key).is_none_or(|item| item.quiet_text(load).is_some()) {
        let message = format!("the setting `{key}` is missing");
        fields.item.say(load, Severity::Error, "missing_key", message, format!("add `{key}`"));
    }
    text
}

/// A mapping of models to models.
pub(super) fn model_map(load: &mut Load<'_>, item: &Item<'_>) -> IndexMap<ModelName, ModelName> {
    let mut map = IndexMap::new();
    if item.is_map(load) {
        for (from, to) in item.children() {
            if let Some(to) = to.filled(load) {
                map.insert(from.into(), to.into());
            }
        }
    }
    map
}

#[cfg(test)]
mod tests;
