//! `guardrails` of our own dialect.

use std::sync::Arc;

use sluicegate_core::channel::SecretRef;
use sluicegate_core::guardrail::{
    Attachment, Detector, GUARDRAILS_MAX, GuardrailAction, GuardrailKind, GuardrailSource, HttpRules,
    TextGuard, TextRules,
};
use sluicegate_core::ids::{GroupId, KeyId, ModelName, OrganizationId};
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::{STEERING, STEERING_WANTED, is_steering};

use super::{required, section, tenant};
use crate::diagnostic::Severity;
use crate::endpoint::check_url;
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::yaml::Value;

/// A service's answer that takes longer counts as none, in milliseconds.
const TIMEOUT_MS: u64 = 2_000;

/// What only the built-in guardrail takes.
const TEXT_KEYS: [&str; 6] = ["keywords", "patterns", "detectors", "case_sensitive", "action", "replacement"];
/// What only a service takes.
const HTTP_KEYS: [&str; 3] = ["credential", "timeout", "on_error"];

/// What groups and keys ask for in their `metadata` must be readable, and guardrails must be there: else their calls are refused.
pub(super) fn check_asked(load: &mut Load<'_>, top: &Fields<'_>, declared: &Declared) {
    for section in ["groups", "keys"] {
        let Some(list) = top.get(section) else { continue };
        let Value::List(nodes) = &list.node.value else { continue };
        for (n, node) in nodes.iter().enumerate() {
            for name in STEERING {
                let Some(named) = node.get("metadata").and_then(|data| data.get(name)) else { continue };
                let at = format!("{section}[{n}].metadata.{name}");
                let item = Item { node: named, at, place: named.place };
                if !is_steering(&tenant::to_json(&named.value)) {
                    item.wrong(load, STEERING_WANTED);
                } else if name == "guardrails" {
                    check_names(load, &item, declared);
                }
            }
        }
    }
}

fn check_names(load: &mut Load<'_>, item: &Item<'_>, declared: &Declared) {
    let Value::List(_) = &item.node.value else { return item.wrong(load, STEERING_WANTED) };
    for name in item.texts(load) {
        let known = || declared.guardrails.iter().map(|it| &*it.asked_as);
        if known().any(|known| known == name) {
            continue;
        }
        let remedy = nearest(&name, known()).map_or_else(
            || "declare it under `guardrails`, or remove it".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("there is no guardrail `{name}`: every call that it is to look at is refused");
        item.say(load, Severity::Error, "unknown_guardrail", message, remedy);
    }
}

pub(super) fn lower(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared) {
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::GUARDRAIL) else { continue };
        let Some(name) = required(load, &fields, "name") else { continue };
        if !named_well(load, &item, &name, declared) {
            continue;
        }
        let phases = fields.get("phase").and_then(|item| {
            item.word(load, &[("pre", (true, false)), ("post", (false, true)), ("both", (true, true))])
        });
        let (input, output) = phases.unwrap_or((true, true));
        let of = attachment(load, &fields, declared, &name);
        let default_on = fields.boolean(load, "default_on");
        let kind = match fields.get("url") {
            Some(url) => http(load, &fields, &url).map(GuardrailKind::Http),
            None => text(load, &fields, &name).map(GuardrailKind::Text),
        };
        if let Some(kind) = kind {
            let (name, default_on): (Arc<str>, _) = (name.into(), default_on.unwrap_or(true));
            let asked_as = Arc::clone(&name);
            declared.guardrails.push(GuardrailSource { name, asked_as, default_on, input, output, of, kind });
        }
    }
    if declared.guardrails.len() > GUARDRAILS_MAX {
        let message = format!("there are more than {GUARDRAILS_MAX} guardrails");
        list.say(load, Severity::Error, "invalid_value", message, "put what does the same into one");
    }
}

/// A name goes into headers, beside `=` and `,`.
fn named_well(load: &mut Load<'_>, item: &Item<'_>, name: &str, declared: &Declared) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let (code, message, remedy) = if !plain || name.len() > 64 {
        let message = format!("`{name}` is no name of a guardrail");
        ("invalid_value", message, "use up to 64 letters, digits, `-`, `_` and `.`")
    } else if declared.guardrails.iter().any(|other| *other.name == *name) {
        ("duplicate_name", format!("there are two guardrails named `{name}`"), "name them differently")
    } else {
        return true;
    };
    item.say(load, Severity::Error, code, message, remedy);
    false
}

fn attachment(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared, name: &str) -> Attachment {
    let mut texts = |key: &str| fields.get(key).map(|item| item.texts(load)).unwrap_or_default();
    let (organizations, groups) = (texts("organizations"), texts("groups"));
    let (keys, models) = (texts("keys"), texts("models"));
    for group in &groups {
        if let Some(item) = fields.get("groups").filter(|_| !tenant::has_group(declared, group)) {
            let message = format!(
                "there is no group `{group}` in this file: the guardrail `{name}` looks at no call of it"
            );
            let remedy = "declare the group, or create it over the API";
            item.say(load, Severity::Warning, "unknown_group", message, remedy);
        }
    }
    Attachment {
        organizations: organizations.into_iter().map(OrganizationId::from).collect(),
        groups: groups.into_iter().map(|group| tenant::group_id(declared, GroupId::from(group))).collect(),
        keys: keys.into_iter().map(KeyId::from).collect(),
        models: models.into_iter().map(ModelName::from).collect(),
    }
}

fn http(load: &mut Load<'_>, fields: &Fields<'_>, item: &Item<'_>) -> Option<HttpRules> {
    useless(load, fields, &TEXT_KEYS, "the service decides that: it has no effect beside `url`");
    let url = item.filled(load)?;
    if let Err(why) = check_url(&url) {
        let message = format!("this is no address of a service: {why}");
        item.say(
            load,
            Severity::Error,
            "invalid_url",
            message,
            "write an address such as https://guard.example/check",
        );
        return None;
    }
    let fail_open = fields
        .get("on_error")
        .and_then(|item| item.word(load, &[("fail_open", true), ("fail_closed", false)]));
    let timeout_ms = fields.get("timeout").and_then(|item| item.duration_ms(load)).unwrap_or(TIMEOUT_MS);
    let credential = match fields.get("credential").map(|item| (item.secret(load), item)) {
        None | Some((Ok(None), _)) => SecretRef::None,
        Some((Ok(Some(secret)), _)) => secret,
        Some((Err(variable), item)) => {
            item.missing_variable(load, Severity::Error, &variable, "the guardrail can't ask without it");
            return None;
        }
    };
    Some(HttpRules { url, credential, timeout_ms, fail_open: fail_open.unwrap_or(false) })
}

fn text(load: &mut Load<'_>, fields: &Fields<'_>, name: &str) -> Option<TextRules> {
    useless(load, fields, &HTTP_KEYS, "only a service, at a `url`, has a use for it");
    let mut texts = |key: &str| fields.get(key).map(|item| item.texts(load)).unwrap_or_default();
    let (keywords, patterns) = (texts("keywords"), texts("patterns"));
    let words = match fields.get("detectors") {
        None => Vec::new(),
        Some(item) if item.quiet_text(load).is_some() => vec![item],
        Some(item) => item.list(load),
    };
    let detectors = words.iter().filter_map(|item| item.word(load, &Detector::ALL)).collect();
    let action = fields.get("action").and_then(|item| {
        let words =
            [("deny", GuardrailAction::Deny), ("mask", GuardrailAction::Mask), ("log", GuardrailAction::Log)];
        item.word(load, &words)
    });
    let rules = TextRules {
        keywords,
        case_sensitive: fields.boolean(load, "case_sensitive").unwrap_or(false),
        patterns,
        detectors,
        action: action.unwrap_or_default(),
        replacement: fields.text(load, "replacement"),
    };
    match TextGuard::compile(name, &rules) {
        Ok(_) => Some(rules),
        Err(why) => {
            let (why, remedy) = why.rsplit_once("; ").unwrap_or((&why, "correct it"));
            let message = format!("the guardrail `{name}` can't be used: {why}");
            fields.item.say(load, Severity::Error, "invalid_value", message, remedy);
            None
        }
    }
}

fn useless(load: &mut Load<'_>, fields: &Fields<'_>, keys: &[&str], why: &str) {
    for key in keys {
        if let Some(item) = fields.get(key) {
            item.say(
                load,
                Severity::Error,
                "no_effect",
                format!("`{key}` has no effect here: {why}"),
                "remove it",
            );
        }
    }
}
