//! Where calls go: strategy, retries, timeouts, model groups, aliases and fallbacks.

use sluicegate_core::by_class::ByClass;
use sluicegate_core::channel::Timeouts;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::snapshot::{Declared, Strategy, TagFilter};

use super::section::{self, Section};
use crate::diagnostic::Severity;
use crate::reader::{Fields, Item, Load};
use crate::routes::{self, Reference};

const STRATEGIES: [(&str, Strategy); 6] = [
    ("weighted", Strategy::Weighted),
    ("least_busy", Strategy::LeastBusy),
    ("lowest_latency", Strategy::LowestLatency),
    ("lowest_cost", Strategy::LowestCost),
    ("usage", Strategy::Usage),
    ("affinity", Strategy::Affinity),
];

pub(super) fn read(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
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
pub(super) fn by_class(load: &mut Load<'_>, item: &Item<'_>, section: &Section) -> ByClass {
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

pub(super) fn model_groups<'n>(
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

pub(super) fn aliases<'n>(
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

pub(super) fn fallbacks<'n>(
    load: &mut Load<'_>,
    item: &Item<'n>,
    declared: &mut Declared,
    references: &mut Vec<Reference<'n>>,
) {
    let Some(fields) = Fields::open_section(load, item, &section::FALLBACKS) else { return };
    let names = ["general", "context_window", "content_policy", "default"];
    routes::read_all_fallbacks(load, &fields, names, &mut declared.fallbacks, references);
}
