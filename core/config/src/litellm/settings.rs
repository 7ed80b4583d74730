//! `general_settings`, `litellm_settings` and `router_settings`.

use sluicegate_core::check::{CheckOf, CheckSettings};
use sluicegate_core::limit::{Limit, Metric, Window};
use sluicegate_core::snapshot::{Declared, Strategy, TagFilter, Unpriced};

use super::forward::Forwarded;
use super::model_list::budget;
use super::{by_class, jwt, known};
use crate::diagnostic::Severity;
use crate::host::{HostSettings, MetricsAccess, Retention};
use crate::quantity::parse_usd;
use crate::reader::{Fields, Item, Load};
use crate::routes::{self, Reference};
use crate::yaml::Value;

pub(super) fn general<'n>(
    load: &mut Load<'_>,
    top: &Fields<'n>,
    declared: &mut Declared,
    host: &mut HostSettings,
    forwarded: &mut Vec<Forwarded<'n>>,
) {
    let Some(item) = top.get("general_settings") else { return };
    let Some(fields) = Fields::open(load, &item, &known::GENERAL) else { return };
    if let Some(key) = fields.get("master_key") {
        host.take_master_key(load, &key);
    }
    if let Some(address) = fields.get("database_url") {
        host.take_database(load, &address);
    }
    if let Some(value) = fields.boolean(load, "store_model_in_db") {
        host.store_model_in_db = value;
    }
    if let Some(value) = fields.boolean(load, "dangerously_permit_weak_or_unset_master_key") {
        host.dangerously_permit_weak_or_unset_master_key = value;
    }
    if let Some(value) = fields.boolean(load, "apply_user_budget_to_team_keys") {
        declared.quota.apply_user_limits_to_group_keys = value;
    }
    let checks = fields.boolean(load, "background_health_checks") == Some(true);
    let interval = fields.seconds_ms(load, "health_check_interval");
    host.health_checks = checks.then(|| CheckSettings {
        interval_ms: Some(interval.unwrap_or(300_000).max(1_000)),
        of: Some(CheckOf::All),
        ..CheckSettings::default()
    });
    if let Some(proxies) = fields.get("trusted_proxy_ranges") {
        host.take_trusted_proxies(load, &proxies);
    }
    if let Some(item) = fields.get("max_request_size_mb")
        && let Some(kilobytes) = item.decimal(load, 3)
    {
        host.body_limit_bytes = kilobytes.saturating_mul(1_048_576) / 1_000;
    }
    if let Some(max) =
        fields.unsigned(load, "global_max_parallel_requests").and_then(|max| i64::try_from(max).ok())
    {
        declared.quota.global.push(Limit::strict(Metric::Concurrency, Window::Lifetime, max));
    }
    if let Some(item) = fields.get("maximum_spend_logs_retention_period")
        && let Some(kept) = item.duration_ms(load)
    {
        host.retention.records_ms = Some(kept.max(Retention::RECORDS_MIN_MS));
    }
    forwarded.extend(Forwarded::of_all(load, &fields));
    jwt::read(load, &fields, host);
    if let Some(item) = fields.get("coordination_redis") {
        not_used_yet(load, &item);
    }
}

pub(super) fn litellm<'n>(
    load: &mut Load<'_>,
    top: &Fields<'n>,
    declared: &mut Declared,
    host: &mut HostSettings,
    references: &mut Vec<Reference<'n>>,
    forwarded: &mut Vec<Forwarded<'n>>,
) {
    let Some(item) = top.get("litellm_settings") else { return };
    let Some(fields) = Fields::open(load, &item, &known::LITELLM) else { return };
    retries_and_fallbacks(load, &fields, declared, references);
    if let Some(total) = fields.seconds_ms(load, "request_timeout") {
        take_total_timeout(declared, total);
    }
    if let Some(limit) = budget(load, &fields) {
        declared.quota.global.push(limit);
    }
    named_budgets(load, &fields, declared);
    forwarded.extend(Forwarded::of_groups(load, &fields));
    if let Some(item) = fields.get("timezone")
        && let Some(name) = item.filled(load)
    {
        take_time_zone(load, &item, &name, declared);
    }
    if let Some(item) = fields.get("budget_exceeded_status_code") {
        host.compat.budget_exceeded_status = item.parsed(load, "a status from 400 to 499", |text| {
            text.parse().ok().filter(|code| (400..500).contains(code))
        });
    }
    // Theirs are open unless this says otherwise; ours are not, since they are of all tenants.
    if fields.boolean(load, "require_auth_for_metrics_endpoint") == Some(false) {
        host.metrics = MetricsAccess::Open;
    }
    if fields.boolean(load, "block_requests_for_models_without_pricing") == Some(true) {
        declared.quota.unpriced = Unpriced::Deny;
    }
}

/// Budgets of end customers and of tags.
fn named_budgets(load: &mut Load<'_>, fields: &Fields<'_>, declared: &mut Declared) {
    if let Some(item) = fields.get("max_end_user_budget")
        && let Some(max) = item.parsed(load, "an amount of USD", |text| parse_usd(text).ok())
    {
        declared.customers.default.push(Limit::strict(Metric::Spend, Window::Lifetime, max));
        let message = "a budget without an end for everybody whom a call names: whoever comes behind the first 10,000 shares one with the rest";
        let remedy = "use the native format's `customers` for one by day or month, or for more of them";
        item.say(load, Severity::Note, "many_names", message, remedy);
    }
    let Some(tags) = fields.get("tag_budget_config") else { return };
    if !tags.is_map(load) {
        return;
    }
    for (tag, child) in tags.children() {
        let Some(fields) = Fields::open(load, &child, &known::TAG_BUDGET) else { continue };
        let limits = budget(load, &fields).into_iter().collect();
        declared.tags.declared.insert(tag.to_owned(), limits);
    }
}

pub(super) fn router<'n>(
    load: &mut Load<'_>,
    top: &Fields<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    let Some(item) = top.get("router_settings") else { return };
    let Some(fields) = Fields::open(load, &item, &known::ROUTER) else { return };
    // The router's own settings count before those of `litellm_settings`, which were read first.
    retries_and_fallbacks(load, &fields, declared, references);
    if let Some(total) = fields.seconds_ms(load, "timeout") {
        take_total_timeout(declared, total);
    }
    if let Some(first) = fields.seconds_ms(load, "stream_timeout") {
        declared.routing.timeouts.first_byte_ms = Some(first);
    }
    if let Some(pause) = fields.seconds_ms(load, "retry_after").filter(|pause| *pause > 0) {
        declared.routing.backoff_ms = pause;
        declared.routing.backoff_max_ms = declared.routing.backoff_max_ms.max(pause);
    }
    by_class::read(load, &fields, declared);
    if let Some(cooldown) = fields.seconds_ms(load, "cooldown_time") {
        declared.routing.cooldown_ms = cooldown;
    }
    if fields.boolean(load, "disable_cooldowns") == Some(true) {
        declared.routing.cooldown_ms = 0;
    }
    if let Some(item) = fields.get("routing_strategy") {
        strategy(load, &item, declared);
    }
    if fields.boolean(load, "enable_tag_filtering") == Some(true) {
        let any = fields.boolean(load, "tag_filtering_match_any").unwrap_or(true);
        declared.routing.tag_filter = Some(if any { TagFilter::Any } else { TagFilter::All });
        declared.tag_prefix = fields.text(load, "tag_routing_prefix").unwrap_or_default();
    }
    if let Some(item) = fields.get("model_group_alias") {
        aliases(load, &item, declared, references);
    }
    for key in ["redis_url", "redis_host"] {
        if let Some(item) = fields.get(key) {
            not_used_yet(load, &item);
            break;
        }
    }
}

fn not_used_yet(load: &mut Load<'_>, item: &Item<'_>) {
    let message = "a redis server is configured: this version doesn't use it yet, and works without";
    item.say(load, Severity::Note, "not_used_yet", message, "");
}

/// What `litellm_settings` and `router_settings` have in common.
fn retries_and_fallbacks<'n>(
    load: &mut Load<'_>,
    fields: &Fields<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    if let Some(retries) = fields.unsigned_32(load, "num_retries") {
        declared.routing.retries = retries;
        let attempts = retries.saturating_add(1).saturating_mul(2);
        declared.routing.max_attempts = declared.routing.max_attempts.max(attempts).min(64);
    }
    if let Some(fails) = fields.unsigned_32(load, "allowed_fails") {
        declared.routing.allowed_fails = fails;
        declared.routing.failure_min_percent = 0;
    }
    if let Some(allowed) = fields.boolean(load, "allow_mock_parameters") {
        declared.routing.allow_mock_parameters = allowed;
    }
    if let Some(most) = fields.unsigned_32(load, "max_fallbacks") {
        declared.routing.max_fallbacks = most;
    }
    let names = ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"];
    routes::read_all_fallbacks(load, fields, names, &mut declared.fallbacks, references);
}

/// The time of one attempt; the call as a whole gets at least as much.
fn take_total_timeout(declared: &mut Declared, total_ms: u64) {
    let routing = &mut declared.routing;
    routing.timeouts.total_ms = Some(total_ms);
    routing.timeouts.first_byte_ms = routing.timeouts.first_byte_ms.map(|first| first.min(total_ms));
    routing.deadline_ms = routing.deadline_ms.max(total_ms);
}

pub(crate) fn take_time_zone(load: &mut Load<'_>, item: &Item<'_>, name: &str, declared: &mut Declared) {
    match jiff::tz::TimeZone::get(name) {
        Ok(zone) => declared.quota.time_zone = zone,
        Err(_) => {
            let shown: String = name.chars().take(60).collect();
            let message = format!("`{shown}` is no time zone");
            item.say(
                load,
                Severity::Error,
                "invalid_value",
                message,
                "write one such as Asia/Shanghai or UTC",
            );
        }
    }
}

fn strategy(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(name) = item.filled(load) else { return };
    declared.routing.strategy = match name.as_str() {
        "simple-shuffle" => Strategy::Weighted,
        "least-busy" => Strategy::LeastBusy,
        "latency-based-routing" => Strategy::LowestLatency,
        "cost-based-routing" => Strategy::LowestCost,
        "usage-based-routing" | "usage-based-routing-v2" => {
            item.say(
                load,
                Severity::Note,
                "differs",
                "usage is measured as a share of each deployment's own rpm and tpm; those without either count as unused",
                "give each deployment of a model group an rpm or a tpm",
            );
            Strategy::Usage
        }
        other => {
            let shown: String = other.chars().take(60).collect();
            let message = format!("the strategy `{shown}` is not supported: channels are picked by weight");
            let remedy = "write simple-shuffle, least-busy, latency-based-routing, cost-based-routing or usage-based-routing-v2";
            item.say(load, Severity::Warning, "unsupported_value", message, remedy);
            Strategy::Weighted
        }
    };
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
        let inner = match &child.node.value {
            Value::Map(_) => {
                if child.node.get("hidden").is_some() {
                    let message = "an alias can't be hidden yet: it is listed for whoever may call it";
                    child.say(load, Severity::Warning, "unsupported_key", message, "remove `hidden`");
                }
                child.node.get("model").map(|node| Item {
                    node,
                    at: format!("{}.model", child.at),
                    place: node.place,
                })
            }
            _ => Some(child.clone()),
        };
        let Some((inner, target)) = inner.and_then(|inner| inner.filled(load).map(|target| (inner, target)))
        else {
            continue;
        };
        let meaning = format!("calls for `{alias}` can't be served");
        references.push(Reference { model: target.clone(), item: inner, meaning });
        declared.aliases.insert(alias.into(), target.as_str().into());
    }
    routes::flatten_aliases(load, declared, item);
}
