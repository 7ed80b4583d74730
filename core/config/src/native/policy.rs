//! Policies, the modules they import, and whose calls each steers.

use sluicegate_core::ids::{GroupId, KeyId, OrganizationId};
use sluicegate_core::snapshot::{Attachment, Declared, ModuleSource, OnPolicyError, PolicySource};

use super::{required, section, tenant};
use crate::diagnostic::Severity;
use crate::reader::{Fields, Item, Load};
use crate::yaml::Value;

pub(super) fn read(load: &mut Load<'_>, list: &Item<'_>, declared: &mut Declared) {
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

pub(super) fn read_modules(load: &mut Load<'_>, map: &Item<'_>, declared: &mut Declared) {
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
