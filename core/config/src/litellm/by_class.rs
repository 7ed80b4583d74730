//! `retry_policy`, `model_group_retry_policy` and `allowed_fails_policy`: counts by class of error.

use sluicegate_core::by_class::ByClass;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::snapshot::Declared;

use super::known;
use crate::diagnostic::Severity;
use crate::reader::{Fields, Item, Load};

/// Their exceptions as our classes. What they tell apart and we don't comes later, and only counts where nothing else did.
const CLASSES: [(&str, &[OutcomeClass]); 7] = [
    ("AuthenticationError", &[OutcomeClass::Auth]),
    ("TimeoutError", &[OutcomeClass::Timeout]),
    ("RateLimitError", &[OutcomeClass::RateLimited]),
    ("InternalServerError", &[OutcomeClass::ServerError, OutcomeClass::Unreachable, OutcomeClass::Nonsense]),
    ("ServiceUnavailableError", &[OutcomeClass::Overloaded]),
    ("NotFoundError", &[OutcomeClass::NotFound]),
    ("BadGatewayError", &[OutcomeClass::ServerError]),
];

/// Reads all three from the router's settings.
pub(super) fn read(load: &mut Load<'_>, fields: &Fields<'_>, declared: &mut Declared) {
    if let Some(item) = fields.get("retry_policy") {
        let (counts, default) = retries(load, &item);
        let routing = &mut declared.routing;
        (routing.retries_by, routing.retries) = (counts, default.unwrap_or(routing.retries));
        let most = counts.iter().map(|(_, count)| count).chain(default).max().unwrap_or(0);
        routing.max_attempts = routing.max_attempts.max(most.saturating_add(1).saturating_mul(2)).min(64);
    }
    if let Some(item) = fields.get("model_group_retry_policy")
        && item.is_map(load)
    {
        for (group, policy) in item.children() {
            let (counts, default) = retries(load, &policy);
            let settings = declared.model_groups.entry(group.into()).or_default();
            (settings.retries_by, settings.retries) = (counts, default.or(settings.retries));
        }
    }
    if let Some(item) = fields.get("allowed_fails_policy") {
        declared.routing.allowed_fails_by = allowed_fails(load, &item);
    }
}

/// Retries by class, and of all others.
fn retries(load: &mut Load<'_>, item: &Item<'_>) -> (ByClass, Option<u32>) {
    let Some(fields) = Fields::open(load, item, &known::RETRY_POLICY) else { return (ByClass::NONE, None) };
    let mut counts = by_class(load, &fields, "Retries");
    if let Some(count) = fields.unsigned_32(load, "ContentPolicyViolationErrorRetries") {
        counts.set(OutcomeClass::ContentPolicy, count);
    }
    if let Some(item) = fields.get("BadRequestErrorRetries")
        && item.unsigned_32(load).is_some_and(|count| count > 0)
    {
        let message = "a refused request is never sent again: what is wrong with it is so everywhere, and each try costs time";
        item.say(load, Severity::Note, "differs", message, "remove it, or write 0");
    }
    let default = fields.unsigned_32(load, "DefaultRetries");
    (counts, default)
}

pub(super) fn allowed_fails(load: &mut Load<'_>, item: &Item<'_>) -> ByClass {
    let Some(fields) = Fields::open(load, item, &known::ALLOWED_FAILS_POLICY) else { return ByClass::NONE };
    for key in ["BadRequestErrorAllowedFails", "ContentPolicyViolationErrorAllowedFails"] {
        if let Some(item) = fields.get(key) {
            let message = "has no effect here: a refused request is no sign of a deployment's ill health";
            item.say(load, Severity::Note, "no_effect", message, "");
        }
    }
    if fields.get("InternalServerErrorAllowedFails").is_some()
        && let Some(item) = fields.get("BadGatewayErrorAllowedFails")
    {
        let message = "a 502 counts as any other server error: `InternalServerErrorAllowedFails` goes for it";
        item.say(load, Severity::Note, "differs", message, "remove it");
    }
    by_class(load, &fields, "AllowedFails")
}

fn by_class(load: &mut Load<'_>, fields: &Fields<'_>, of: &str) -> ByClass {
    let mut counts = ByClass::NONE;
    for (error, classes) in CLASSES {
        let Some(count) = fields.unsigned_32(load, &format!("{error}{of}")) else { continue };
        for class in classes {
            counts.set(*class, counts.of(*class).unwrap_or(count));
        }
    }
    counts
}
