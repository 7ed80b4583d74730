//! Our own dialect.

mod auth;
mod channel;
mod check;
mod guardrail;
mod manual;
mod pass;
mod policy;
mod price;
mod routing;
mod schema;
mod section;
mod tenant;

pub(crate) use auth::is_secure_url;
pub use manual::tables as manual_tables;
pub use schema::json_schema;
pub(crate) use section::{BODY_EDIT, EDIT_CONDITION, Section};
pub(crate) use tenant::to_json;

use indexmap::IndexMap;
use sluicegate_core::channel::Translation;
use sluicegate_core::ids::ModelName;
use sluicegate_core::limit::Mode;
use sluicegate_core::snapshot::{Declared, OnUnknown, Unpriced};

use crate::diagnostic::{Severity, Unless};
use crate::host::{
    Durability, HostSettings, LitellmVersion, MetricsAccess, PolicyRollback, ResponseBounds, Retention,
    TlsFiles,
};
use crate::limits::read_limits;
use crate::price_file::ListedPrice;
use crate::quantity::{parse_bytes, parse_duration_ms};
use crate::reader::{Fields, Item, Load};
use crate::routes;
use crate::yaml::Value;

/// The organization of whatever names none.
pub(crate) const DEFAULT_ORGANIZATION: &str = "default";

/// Said where a file asks for New API's statuses.
const STATUSES_ARE_OURS: &str = "this version answers New API's routes with its own statuses and texts yet";

const TRANSLATIONS: [(&str, Translation); 2] = [("drop", Translation::Drop), ("strict", Translation::Strict)];

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
        load.report_unless(Unless::AnyServed, |load| {
            let remedy = "add `version: 1` and `channels`";
            load.report(Severity::Warning, "no_models", root.place, "", message, remedy);
        });
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
        routing::read(load, &item, declared);
    }
    let mut references = Vec::new();
    if let Some(item) = fields.get("model_groups") {
        routing::model_groups(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("auth") {
        auth::lower(load, &item, &mut host.auth);
    }
    let currencies = fields.get("currencies").map(|item| price::currencies(load, &item)).unwrap_or_default();
    declared.currencies = currencies.all().to_vec();
    let overrides =
        fields.get("prices").map(|item| channel::prices(load, &item, &currencies)).unwrap_or_default();
    if let Some(list) = fields.get("channels") {
        let prices = channel::Prices { overrides: &overrides, currencies: &currencies };
        channel::lower(load, &list, declared, prices);
    }
    tenant::lower(load, &fields, declared, &currencies);
    if let Some(item) = fields.get("aliases") {
        routing::aliases(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("fallbacks") {
        routing::fallbacks(load, &item, declared, &mut references);
    }
    if let Some(item) = fields.get("policies") {
        policy::read(load, &item, declared);
    }
    if let Some(item) = fields.get("guardrails") {
        guardrail::lower(load, &item, declared);
    }
    guardrail::check_asked(load, &fields, declared);
    if let Some(item) = fields.get("policy_modules") {
        policy::read_modules(load, &item, declared);
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
    if let Some(item) = fields.get("cors") {
        cors(load, &item, host);
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

fn cors(load: &mut Load<'_>, item: &Item<'_>, host: &mut HostSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::CORS) else { return };
    if let Some(origins) = fields.get("origins") {
        host.take_cors_origins(load, &origins);
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
