//! `guardrails`: what the built-in one can do is carried over, the rest is named.

use std::sync::Arc;

use sluicegate_core::guardrail::{
    Attachment, Detector, GuardrailAction, GuardrailKind, GuardrailSource, TextGuard, TextRules,
};
use sluicegate_core::snapshot::Declared;

use super::known;
use crate::diagnostic::Severity;
use crate::reader::{Fields, Item, Load};

/// Presidio's entities that have a detector here.
const ENTITIES: [(&str, Detector); 5] = [
    ("EMAIL_ADDRESS", Detector::Email),
    ("PHONE_NUMBER", Detector::Phone),
    ("CREDIT_CARD", Detector::CreditCard),
    ("IBAN_CODE", Detector::Iban),
    ("IP_ADDRESS", Detector::Ipv4),
];
/// The content filter's own patterns that have one.
const PREBUILT: [(&str, Detector); 9] = [
    ("email", Detector::Email),
    ("us_phone", Detector::Phone),
    ("visa", Detector::CreditCard),
    ("mastercard", Detector::CreditCard),
    ("amex", Detector::CreditCard),
    ("iban", Detector::Iban),
    ("ipv4", Detector::Ipv4),
    ("aws_access_key", Detector::Secret),
    ("github_token", Detector::Secret),
];

pub(super) fn lower(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared) {
    for item in list.list(load) {
        let Some(fields) = Fields::open(load, &item, &known::GUARDRAIL) else { continue };
        let Some(name) = fields.text(load, "guardrail_name") else { continue };
        let Some(params) = fields.get("litellm_params") else { continue };
        let Some(params) = Fields::open(load, &params, &known::GUARDRAIL_PARAMS) else { continue };
        let (mut masked, mut denied) = (TextRules::default(), TextRules::default());
        masked.action = GuardrailAction::Mask;
        match params.text(load, "guardrail").as_deref() {
            Some("presidio") => presidio(load, &params, &mut masked, &mut denied),
            Some("hide-secrets" | "hide_secrets") => masked.detectors.push(Detector::Secret),
            Some("litellm_content_filter") => content_filter(load, &params, &mut masked, &mut denied),
            kind => {
                let kind = kind.unwrap_or_default();
                unsupported(
                    load,
                    &item,
                    format!("the guardrail `{name}` is a `{kind}`, which isn't supported"),
                );
                continue;
            }
        }
        let default_on = params.boolean(load, "default_on").unwrap_or(false);
        let Some((input, output)) = modes(load, &params, &item, &name) else { continue };
        let asked_as: Arc<str> = name.as_str().into();
        let both = [(name.clone(), masked), (format!("{name}-block"), denied)];
        for (name, rules) in both {
            let asked = (Arc::clone(&asked_as), default_on);
            add(load, &item, declared, (&name, asked), rules, (input, output));
        }
    }
}

fn add(
    load: &mut Load<'_>,
    item: &Item<'_>,
    declared: &mut Declared,
    (name, (asked_as, default_on)): (&str, (Arc<str>, bool)),
    rules: TextRules,
    (input, output): (bool, bool),
) {
    if rules.keywords.is_empty() && rules.patterns.is_empty() && rules.detectors.is_empty() {
        return;
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().take(64).map(plain).collect();
    if let Err(why) = TextGuard::compile(&name, &rules) {
        return unsupported(load, item, format!("the guardrail `{name}` can't be used: {why}"));
    }
    let kind = GuardrailKind::Text(rules);
    declared.guardrails.push(GuardrailSource {
        name: name.into(),
        asked_as,
        default_on,
        input,
        output,
        of: Attachment::default(),
        kind,
    });
}

fn modes(load: &mut Load<'_>, params: &Fields<'_>, item: &Item<'_>, name: &str) -> Option<(bool, bool)> {
    let modes = params.get("mode").map(|mode| mode.texts(load)).unwrap_or_default();
    let input = modes.iter().any(|mode| matches!(mode.as_str(), "pre_call" | "during_call"));
    let output = modes.iter().any(|mode| mode == "post_call");
    for mode in modes.iter().filter(|mode| !matches!(mode.as_str(), "pre_call" | "during_call" | "post_call"))
    {
        unsupported(
            load,
            item,
            format!("the guardrail `{name}` has the mode `{mode}`, which isn't supported"),
        );
    }
    (input || output).then_some((input, output))
}

/// Without a list, every entity is masked.
fn presidio(load: &mut Load<'_>, params: &Fields<'_>, masked: &mut TextRules, denied: &mut TextRules) {
    let Some(entities) = params.get("pii_entities_config").filter(|item| item.is_map(load)) else {
        masked.detectors.extend(ENTITIES.map(|(_, detector)| detector));
        return;
    };
    for (entity, item) in entities.children() {
        let Some((_, detector)) = ENTITIES.iter().find(|(name, _)| *name == entity) else {
            unsupported(load, &item, format!("nothing here finds `{entity}`"));
            continue;
        };
        let rules = if blocks(load, &item) { &mut *denied } else { &mut *masked };
        rules.detectors.push(*detector);
    }
}

fn content_filter(load: &mut Load<'_>, params: &Fields<'_>, masked: &mut TextRules, denied: &mut TextRules) {
    for item in params.get("blocked_words").map(|words| words.list(load)).unwrap_or_default() {
        let Some(fields) = Fields::open(load, &item, &known::GUARDRAIL_RULE) else { continue };
        let Some(word) = fields.text(load, "keyword") else { continue };
        let block = fields.get("action").is_none_or(|item| blocks(load, &item));
        if block { &mut *denied } else { &mut *masked }.keywords.push(word);
    }
    for item in params.get("patterns").map(|patterns| patterns.list(load)).unwrap_or_default() {
        let Some(fields) = Fields::open(load, &item, &known::GUARDRAIL_RULE) else { continue };
        let block = fields.get("action").is_none_or(|item| blocks(load, &item));
        let rules = if block { &mut *denied } else { &mut *masked };
        if let Some(pattern) = fields.text(load, "pattern") {
            rules.patterns.push(pattern);
            continue;
        }
        let name = fields.text(load, "pattern_name").unwrap_or_default();
        match PREBUILT.iter().find(|(known, _)| *known == name) {
            Some((_, detector)) if rules.detectors.contains(detector) => {}
            Some((_, detector)) => rules.detectors.push(*detector),
            None => unsupported(load, &item, format!("nothing here finds `{name}`")),
        }
    }
}

fn blocks(load: &Load<'_>, item: &Item<'_>) -> bool {
    item.quiet_text(load).is_some_and(|text| text.eq_ignore_ascii_case("block"))
}

fn unsupported(load: &mut Load<'_>, item: &Item<'_>, message: String) {
    let remedy =
        "see docs/guardrails.md for what is; an HTTP guardrail of our own format can ask any service";
    item.say(
        load,
        Severity::Warning,
        "unsupported_guardrail",
        format!("{message}: it looks at nothing"),
        remedy,
    );
}
