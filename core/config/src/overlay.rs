//! What channels change in the bodies that they are sent: our own `body_edits`, and New API's `param_override` in both forms.

use serde_json::Value as Json;
use sluicegate_core::ErrorKind;
use sluicegate_core::channel::Channel;
use sluicegate_core::edit::{BodyEdit, Change, Compare, Condition, Passed, Prune, Refusal};
use sluicegate_core::pattern::Pattern;

use crate::diagnostic::Severity;
use crate::native::to_json;
use crate::reader::{Fields, Item, Load};

const COMPARES: [(&str, Compare); 8] = [
    ("full", Compare::Full),
    ("prefix", Compare::Prefix),
    ("suffix", Compare::Suffix),
    ("contains", Compare::Contains),
    ("gt", Compare::Gt),
    ("gte", Compare::Gte),
    ("lt", Compare::Lt),
    ("lte", Compare::Lte),
];

/// Which dialect the changes are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Native,
    NewApi,
}

impl Dialect {
    /// What it means when something can't be done: our own file is refused, of a foreign one the channel stays out.
    fn refuse(
        self,
        load: &mut Load<'_>,
        item: &Item<'_>,
        channel: &mut Channel,
        message: String,
        remedy: &str,
    ) {
        if self == Dialect::Native {
            return item.say(load, Severity::Error, "invalid_override", message, remedy);
        }
        channel.enabled = false;
        let message = format!("{message}: the channel `{}` is disabled", channel.name);
        item.say(load, Severity::Warning, "invalid_override", message, remedy);
    }
}

/// `param_override`: the older form, a mapping of what is set, or the newer one with `operations`.
pub(crate) fn param_override(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    if !item.is_map(load) {
        return;
    }
    if let Some((_, list)) = item.children().find(|(name, _)| *name == "operations") {
        return operations(load, &list, channel, Dialect::NewApi);
    }
    for (name, child) in item.children() {
        let change = Change::Set { value: to_json(&child.node.value), keep: false };
        let edit = BodyEdit { path: name.to_owned(), change, conditions: Vec::new(), all: false };
        take(load, &child, channel, Dialect::NewApi, edit);
    }
    channel.reserve_edits();
}

/// A list of changes. Models must be known by now.
pub(crate) fn operations(load: &mut Load<'_>, list: &Item<'_>, channel: &mut Channel, dialect: Dialect) {
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &crate::native::BODY_EDIT) else { continue };
        let Some(mode) = fields.text(load, "mode") else {
            dialect.refuse(
                load,
                &item,
                channel,
                "the change has no `mode`".to_owned(),
                "add one, such as `mode: set`",
            );
            continue;
        };
        for edit in read(load, &item, &fields, channel, dialect, &mode) {
            take(load, &item, channel, dialect, edit);
        }
    }
    channel.reserve_edits();
}

/// Headers of callers that New API's `header_override` passes on by pattern: `*`, or `re:` or `regex:` before an expression. What the
/// channel sets itself stays.
pub(crate) fn passed_by_pattern(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel, name: &str) {
    let pattern = name.strip_prefix("re:").or_else(|| name.strip_prefix("regex:")).map(str::trim);
    let which = match pattern.map(|text| Pattern::try_from(text.to_owned())) {
        None => Passed::All,
        Some(Ok(pattern)) => Passed::Matching(pattern),
        Some(Err(why)) => {
            let message = format!("the pattern `{name}` can't be used: {why}");
            let remedy = "see the syntax of Rust's regex crate";
            return Dialect::NewApi.refuse(load, item, channel, message, remedy);
        }
    };
    // Before the channel's operations: they may take one out again.
    channel.body_edits.insert(0, passing(which));
}

/// Passes these headers of callers on, whatever the call; what the channel sets itself stays.
pub(crate) fn passing(which: Passed) -> BodyEdit {
    let change = Change::PassHeaders { which, keep: true };
    BodyEdit { path: String::new(), change, conditions: Vec::new(), all: false }
}

/// The changes that one operation comes to: one, or two where headers are kept in step; none when it can't be made.
fn read(
    load: &mut Load<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    dialect: Dialect,
    mode: &str,
) -> Vec<BodyEdit> {
    match mode {
        "sync_fields" => sync(load, item, fields, channel, dialect),
        "set_header" | "delete_header" | "copy_header" | "move_header" | "pass_headers" => {
            head(load, item, fields, channel, dialect, mode).into_iter().collect()
        }
        _ => one(load, item, fields, channel, dialect, mode).into_iter().collect(),
    }
}

/// A change of headers. Their names are the same in any case.
fn head(
    load: &mut Load<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    dialect: Dialect,
    mode: &str,
) -> Option<BodyEdit> {
    let mut name = |key: &str| fields.text(load, key).map(|it| it.trim().to_ascii_lowercase());
    let (path, from, to) = (name("path"), name("from"), name("to").unwrap_or_default());
    let keep = fields.boolean(load, "keep_origin").unwrap_or(false);
    let value = fields.get("value").map(|item| to_json(&item.node.value));
    let change = match mode {
        "set_header" => Change::SetHeader { value: text_of(value.as_ref()).unwrap_or_default(), keep },
        "delete_header" => Change::DeleteHeader,
        "copy_header" => Change::CopyHeader { to, keep },
        "move_header" => Change::MoveHeader { to, keep },
        _ => Change::PassHeaders { which: Passed::Named(names_of(value.as_ref())), keep },
    };
    if let ("set_header", Some(Json::Object(_) | Json::Array(_))) = (mode, &value) {
        let message = "`set_header` needs a text as `value`".to_owned();
        dialect.refuse(load, item, channel, message, "write one change for each value");
        return None;
    }
    let path = if mode == "pass_headers" { String::new() } else { from.or(path).unwrap_or_default() };
    when(load, fields, channel, dialect, (path, change))
}

/// A text, or what plain values are as one.
fn text_of(value: Option<&Json>) -> Option<String> {
    match value? {
        Json::Null | Json::Array(_) | Json::Object(_) => None,
        Json::String(text) => Some(text.clone()),
        plain => Some(plain.to_string()),
    }
}

/// Names of headers: a list, a text with commas, or either as `headers` or `names` of a mapping.
fn names_of(value: Option<&Json>) -> Vec<String> {
    let names = match value {
        Some(Json::String(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Json::Array(all)) => all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        Some(Json::Object(fields)) => {
            return names_of(fields.get("headers").or_else(|| fields.get("names")));
        }
        _ => Vec::new(),
    };
    let names = names.into_iter().map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

fn one(
    load: &mut Load<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    dialect: Dialect,
    mode: &str,
) -> Option<BodyEdit> {
    let value = fields.get("value").map(|item| to_json(&item.node.value));
    let text = value.as_ref().and_then(Json::as_str).unwrap_or_default().to_owned();
    let (from, to) = (whole(load, fields, "from"), whole(load, fields, "to"));
    let keep = fields.boolean(load, "keep_origin").unwrap_or(false);
    let given = value.clone().unwrap_or(Json::Null);
    let (own, other) = (fields.text(load, "path").unwrap_or_default(), to.clone().unwrap_or_default());
    let change = match mode {
        "delete" => Change::Delete,
        "set" => Change::Set { value: given, keep },
        "move" => Change::Move(other.clone()),
        "copy" => Change::Copy(other.clone()),
        "prepend" => Change::Prepend(given),
        "append" => Change::Append(given),
        "trim_prefix" => Change::TrimPrefix(text.clone()),
        "trim_suffix" => Change::TrimSuffix(text.clone()),
        "ensure_prefix" => Change::EnsurePrefix(text.clone()),
        "ensure_suffix" => Change::EnsureSuffix(text.clone()),
        "trim_space" => Change::TrimSpace,
        "to_lower" => Change::ToLower,
        "to_upper" => Change::ToUpper,
        "replace" => Change::Replace { from: from.clone().unwrap_or_default(), to: other.clone() },
        "regex_replace" => match Pattern::try_from(from.clone().unwrap_or_default()) {
            Ok(from) => Change::RegexReplace { from, to: other.clone() },
            Err(why) => {
                let message = format!("the pattern of `from` can't be used: {why}");
                dialect.refuse(load, item, channel, message, "see the syntax of Rust's regex crate");
                return None;
            }
        },
        "prune_objects" => Change::Prune(prune(load, fields, channel, dialect)?),
        "return_error" => Change::Refuse(refusal(value.as_ref())),
        _ => {
            let shown: String = mode.chars().take(60).collect();
            let message = format!("there is no change `{shown}` here");
            let remedy = "use delete, set, move, copy, prepend, append, trim_prefix, trim_suffix, ensure_prefix, \
                          ensure_suffix, trim_space, to_lower, to_upper, replace, regex_replace, prune_objects, sync_fields, \
                          return_error, set_header, delete_header, copy_header, move_header or pass_headers, or a policy script";
            dialect.refuse(load, item, channel, message, remedy);
            return None;
        }
    };
    let from_is_empty = from.as_deref().unwrap_or_default().is_empty();
    let moves = matches!(change, Change::Move(_) | Change::Copy(_));
    let path = if moves { from.unwrap_or(own) } else { own };
    let is_whole = matches!(change, Change::Prune(_) | Change::Refuse(_));
    let lacks = if path.is_empty() && !is_whole {
        Some(if moves { "from" } else { "path" })
    } else if other.is_empty() && (moves || mode.ends_with("replace") && to.is_none()) {
        Some("to")
    } else if (is_whole || matches!(mode, "set" | "prepend" | "append")) && value.is_none()
        || mode.contains("fix") && text.is_empty()
    {
        Some("value")
    } else if mode.ends_with("replace") && from_is_empty {
        Some("from")
    } else {
        None
    };
    if let Some(lacks) = lacks {
        let message = format!("`{mode}` needs `{lacks}`");
        dialect.refuse(load, item, channel, message, &format!("add `{lacks}`"));
        return None;
    }
    when(load, fields, channel, dialect, (path, change))
}

/// The change with its conditions.
fn when(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    dialect: Dialect,
    (path, change): (String, Change),
) -> Option<BodyEdit> {
    let all = fields
        .get("logic")
        .and_then(|item| item.word(load, &[("OR", false), ("AND", true), ("or", false), ("and", true)]));
    let mut conditions = Vec::new();
    if let Some(list) = fields.get("conditions") {
        for item in list.list(load) {
            conditions.push(condition(load, &item, channel, dialect)?);
        }
    }
    Some(BodyEdit { path, change, conditions, all: all.unwrap_or(false) })
}

/// Which objects `prune_objects` takes out: a text is their `type`, a mapping has fields that must be the same (`where`, or beside the
/// other settings) and `conditions`.
fn prune(load: &mut Load<'_>, fields: &Fields<'_>, channel: &mut Channel, dialect: Dialect) -> Option<Prune> {
    let same = |path: &str, value: &Json| Condition {
        path: path.replace('\\', "\\\\").replace('.', "\\."),
        mode: Compare::Full,
        value: value.clone(),
        invert: false,
        pass_missing: false,
    };
    let mut rule = Prune { conditions: Vec::new(), all: true, recursive: true };
    let Some(item) = fields.get("value") else { return Some(rule) };
    match to_json(&item.node.value) {
        Json::Object(settings) => {
            for (name, value) in &settings {
                match (name.as_str(), value) {
                    ("recursive", Json::Bool(recursive)) => rule.recursive = *recursive,
                    ("logic", Json::String(logic)) => rule.all = !logic.eq_ignore_ascii_case("or"),
                    ("where" | "conditions", Json::Object(fields)) => {
                        rule.conditions.extend(fields.iter().map(|(name, value)| same(name, value)));
                    }
                    ("conditions", _) => {}
                    (name, value) => rule.conditions.push(same(name, value)),
                }
            }
        }
        Json::String(kind) if !kind.is_empty() => rule.conditions.push(same("type", &Json::String(kind))),
        _ => {}
    }
    let list = item.children().find(|(name, _)| *name == "conditions").map(|(_, list)| list);
    if let Some(list) = list.filter(|list| matches!(to_json(&list.node.value), Json::Array(_))) {
        for item in list.list(load) {
            rule.conditions.push(condition(load, &item, channel, dialect)?);
        }
    }
    Some(rule)
}

/// `sync_fields` of two places: `json:…` or without a kind one in the body, `header:…` a header.
fn sync(
    load: &mut Load<'_>,
    item: &Item<'_>,
    fields: &Fields<'_>,
    channel: &mut Channel,
    dialect: Dialect,
) -> Vec<BodyEdit> {
    let mut place = |name: &str| {
        let text = whole(load, fields, name)?;
        let (is_header, path) = match text.strip_prefix("header:") {
            Some(name) => (true, name.trim().to_ascii_lowercase()),
            None => (false, text.strip_prefix("json:").unwrap_or(&text).trim().to_owned()),
        };
        (!path.is_empty()).then_some((is_header, path))
    };
    let (Some(from), Some(to)) = (place("from"), place("to")) else {
        let message = "`sync_fields` needs two places, `from` and `to`".to_owned();
        dialect.refuse(load, item, channel, message, "write `json:PATH` or `header:NAME` for each");
        return Vec::new();
    };
    let changes = match (from, to) {
        ((false, from), (false, to)) => vec![(from, Change::Sync(to))],
        ((false, path), (true, name)) | ((true, name), (false, path)) => {
            vec![(path, Change::SyncHeader(name))]
        }
        // Whichever isn't there becomes the other.
        ((true, from), (true, to)) => vec![
            (from.clone(), Change::CopyHeader { to: to.clone(), keep: true }),
            (to, Change::CopyHeader { to: from, keep: true }),
        ],
    };
    changes.into_iter().filter_map(|change| when(load, fields, channel, dialect, change)).collect()
}

/// What `return_error` says: a text, or a mapping with `message`, `status_code` and `skip_retry`.
fn refusal(value: Option<&Json>) -> Refusal {
    let field = |names: &[&str]| names.iter().find_map(|name| value?.get(name));
    let message = value.and_then(Json::as_str).or_else(|| field(&["message", "msg"])?.as_str());
    // Which status a kind has is the server's to know.
    let kind = match field(&["status_code", "status"]).and_then(Json::as_u64).unwrap_or(400) {
        401 | 403 => ErrorKind::PolicyDenied,
        404 => ErrorKind::ModelNotFound,
        413 => ErrorKind::PayloadTooLarge,
        429 => ErrorKind::RateLimited,
        status if status >= 500 => ErrorKind::UpstreamUnavailable,
        _ => ErrorKind::InvalidRequest,
    };
    let elsewhere = field(&["skip_retry"]).and_then(Json::as_bool) == Some(false);
    Refusal { message: message.unwrap_or_default().trim().to_owned(), kind, elsewhere }
}

/// A text of which white space counts: it is no name.
fn whole(load: &mut Load<'_>, fields: &Fields<'_>, name: &str) -> Option<String> {
    let item = fields.get(name)?;
    match to_json(&item.node.value) {
        Json::String(text) => Some(text),
        Json::Array(_) | Json::Object(_) => {
            item.wrong(load, "a text");
            None
        }
        plain => Some(plain.to_string()),
    }
}

fn condition(
    load: &mut Load<'_>,
    item: &Item<'_>,
    channel: &mut Channel,
    dialect: Dialect,
) -> Option<Condition> {
    let fields = Fields::open_section(load, item, &crate::native::EDIT_CONDITION)?;
    let mode = fields.get("mode").and_then(|item| item.word(load, &COMPARES)).unwrap_or(Compare::Full);
    let condition = Condition {
        path: fields.text(load, "path").unwrap_or_default(),
        mode,
        value: fields.get("value").map(|item| to_json(&item.node.value)).unwrap_or_default(),
        invert: fields.boolean(load, "invert").unwrap_or(false),
        pass_missing: fields.boolean(load, "pass_missing_key").unwrap_or(false),
    };
    if let Some(unfit) = condition.unfit() {
        dialect.refuse(load, item, channel, unfit.message, unfit.remedy);
        return None;
    }
    Some(condition)
}

/// Keeps a change unless what is reserved would no longer be a bound. A ceiling that is set becomes the models' own.
fn take(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel, dialect: Dialect, edit: BodyEdit) {
    if let Some(most) = edit.sets_ceiling() {
        for model in &mut channel.models {
            model.max_output = Some(model.max_output.map_or(most, |known| known.min(most)));
        }
        let message = format!(
            "`{}` is reserved before it is sent: {most} is kept as the most that models put out",
            edit.path
        );
        return item.say(load, Severity::Note, "kept_as_limit", message, "");
    }
    if let Some(unfit) = edit.unfit() {
        return dialect.refuse(load, item, channel, unfit.message, unfit.remedy);
    }
    channel.body_edits.push(edit);
}
