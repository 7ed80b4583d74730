//! A channel's own changes of a body, spliced into its text: what isn't touched stays byte for byte.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;
use sluicegate_core::Format;
use sluicegate_core::concern::Concern;
use sluicegate_core::edit::{
    BODY_IN_HEADER_MAX, BodyEdit, CALLERS_HEADER, Change, Compare, Condition, HEADER_IN_BODY_MAX, Refusal,
    SENT_HEADER, steps,
};
use sluicegate_core::pattern::Pattern;
use sluicegate_core::price::Variant;

use crate::error::{Result, WireError};
use crate::facts::Facts;
use crate::json::{Cursor, Kind, Span, Val, escape_into};
use crate::scan::{Addressed, scan_addressed};

mod head;
mod native;
mod prune;

pub use head::Headers;

/// What conditions may ask for besides the body.
#[derive(Clone, Copy, Debug)]
pub struct OverlayContext<'a> {
    /// The model as the caller named it.
    pub original_model: &'a str,
    /// The model as the upstream knows it.
    pub upstream_model: &'a str,
    /// How many attempts were made before this one.
    pub retry_index: u32,
}

/// A pattern is replaced in no longer text, in bytes.
const REPLACED_TEXT_MAX: usize = 1 << 20;
/// And at so many places at most.
const REPLACED_MAX: usize = 256;

/// Applies a channel's changes to a body that is ready to be sent; the very same bytes when none of them matches.
///
/// What an attempt reserved was reckoned before, for a channel with changes by bytes and by the worst formula for media, whatever
/// its models' own rules are. A changed body that may use more by that measure than the unchanged one and `adds_tokens` of input
/// is refused: no limit is passed because of a change.
///
/// # Errors
/// What a change refuses the call with. `NotSupported`, so that another channel is asked: naming what the changes would raise, that they leave no request, or
/// that a pattern would have too much to look through.
pub fn overlay(
    body: &Bytes,
    format: Format,
    edits: &[BodyEdit],
    context: &OverlayContext<'_>,
    headers: &mut Headers<'_>,
    adds_tokens: u64,
) -> Result<Bytes> {
    // INVARIANT: the body is one that we wrote or scanned, so it is UTF-8.
    let Ok(original) = std::str::from_utf8(body) else { return Ok(body.clone()) };
    let mut text = Cow::Borrowed(original);
    for edit in edits {
        if !holds(&text, edit, context, headers) {
            continue;
        }
        if edit.change.is_of_headers() {
            headers.change(&edit.path, &edit.change);
            continue;
        }
        if let Change::Refuse(refusal) = &edit.change {
            return Err(refused(refusal));
        }
        if let Change::RegexReplace { from, .. } = &edit.change
            && let Some(place) = find(&text, &edit.path)
            && Val::at(&text, place.value).as_str().is_some_and(|old| !is_replaceable(&old, from))
        {
            return Err(WireError::unsupported(format!(
                "`{}` is longer, or has more places, than this channel's pattern may change",
                edit.path
            )));
        }
        let changed = match &edit.change {
            Change::SyncHeader(name) => sync(&text, &edit.path, name, headers),
            _ => change(&text, edit),
        };
        if let Some(changed) = changed {
            text = Cow::Owned(changed);
        }
    }
    let Cow::Owned(changed) = text else { return Ok(body.clone()) };
    if changed == original {
        return Ok(body.clone());
    }
    let changed = Bytes::from(changed);
    let refuse =
        |what: &str| Err(WireError::unsupported(format!("this channel's own changes of the body {what}")));
    if format.is_upstream_only() {
        let after = std::str::from_utf8(&changed).unwrap_or_default();
        return match native::raised(format, original, after, adds_tokens) {
            Some(field) => refuse(&format!("would let `{field}` use more than was reserved")),
            None => Ok(changed),
        };
    }
    let at = Some(Addressed { model: context.upstream_model, stream: false });
    let after = match scan_addressed(format, &changed, at) {
        Ok(after) => after,
        Err(why) => return refuse(&format!("leave no request that can be sent: {why}")),
    };
    let before = scan_addressed(format, body, at)?;
    match raised(before.facts(), after.facts(), adds_tokens) {
        Some(field) => refuse(&format!("would let `{field}` use more than was reserved")),
        None => Ok(changed),
    }
}

/// Whether a pattern may be replaced in a text at all. Leaving some places as they are would let through what is to be taken out.
fn is_replaceable(text: &str, pattern: &Pattern) -> bool {
    // BOUND: each match may look through all the rest.
    text.len() <= REPLACED_TEXT_MAX && pattern.regex().find_iter(text).nth(REPLACED_MAX).is_none()
}

/// It says, too, whether another channel is to be asked: where there is none, the caller is told what this one says.
fn refused(refusal: &Refusal) -> WireError {
    let error = WireError::new(refusal.kind, refusal.message.clone());
    if refusal.elsewhere { error.elsewhere() } else { error }
}

/// What of the bound a change raises, if anything.
fn raised(before: &Facts, after: &Facts, adds_tokens: u64) -> Option<&'static str> {
    let within = |before: Option<u64>, after: Option<u64>, more: u64| match (before, after) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(before), Some(after)) => after <= before.saturating_add(more),
    };
    // A credential is the channel's own to send.
    let new_concern =
        after.concerns.iter().find(|it| it.1 != Concern::Credential && !before.concerns.contains(it));
    let checks = [
        (new_concern.is_none(), new_concern.map_or("", |(name, _)| *name)),
        (before.model == after.model, "model"),
        (before.service_tier == after.service_tier, "service_tier"),
        (after.fallbacks.is_empty(), "fallbacks"),
        (before.stream == after.stream, "stream"),
        (before.include_usage == after.include_usage, "stream_options"),
        (within(before.max_output, after.max_output, 0), "max_tokens"),
        (after.choices <= before.choices, "n"),
        (after.units <= before.units, "input"),
        (is_within(before.size.as_deref(), after.size.as_deref()), "size"),
        (is_within(before.quality.as_deref(), after.quality.as_deref()), "quality"),
        (after.extra_output_bound <= before.extra_output_bound, "prediction"),
        (within(before.input_bound(), after.input_bound(), adds_tokens), "messages"),
        (after.cache_writes as u8 <= before.cache_writes as u8, "cache_control"),
        (before.needs.audio || !after.needs.audio, "modalities"),
        (after.hosted_tools.iter().all(|tool| before.hosted_tools.contains(tool)), "tools"),
    ];
    checks.into_iter().find(|(fine, _)| !fine).map(|(_, field)| field)
}

/// Whether a word that prices go by stays, or says what was left to the upstream: the dearest was reserved then.
fn is_within(before: Option<&str>, after: Option<&str>) -> bool {
    let read = |word| Variant::of(word, None);
    read(before).is_none_or(|before| Some(before) == read(after))
}

/// A value and where it stands in its container.
#[derive(Clone, Copy)]
struct Place {
    value: Span,
    /// With its name, if it has one.
    whole: Span,
    /// Behind the comma before it, or behind the opening bracket; and whether there is such a comma.
    after_comma: bool,
}

/// The child of a container; of several members of a name the last, as most readers take it.
fn child(text: &str, container: Span, step: &str) -> Option<Place> {
    let inner = container.of(text);
    let mut cursor = Cursor::new(inner);
    let is_object = cursor.kind().ok()? == Kind::Object;
    let at = if is_object { None } else { Some(index(text, container, step)?) };
    let mut found = None;
    let (mut more, mut n) = (cursor.enter().ok()?, 0);
    while more {
        cursor.space();
        let start = cursor.at();
        let wanted = if is_object {
            let (name, _) = cursor.name().ok()?;
            crate::json::unescape(name.of(inner)) == step
        } else {
            at == Some(n)
        };
        let value = cursor.skip().ok()?;
        if wanted {
            let shift = |at: usize| container.start + at;
            found = Some(Place {
                value: Span { start: shift(value.start), end: shift(value.end) },
                whole: Span { start: shift(start), end: shift(value.end) },
                after_comma: n > 0,
            });
        }
        n += 1;
        more = cursor.more(if is_object { b'}' } else { b']' }).ok()?;
    }
    found
}

/// Which element a step means; negative ones count from the end. `None` for what is no element.
fn index(text: &str, array: Span, step: &str) -> Option<usize> {
    match step.strip_prefix('-') {
        None => step.parse().ok(),
        Some(back) => {
            let len = Val::trusted(array.of(text)).elements().count();
            len.checked_sub(back.parse::<usize>().ok().filter(|n| *n > 0)?)
        }
    }
}

fn root(text: &str) -> Span {
    let start = text.len() - text.trim_start().len();
    Span { start, end: text.trim_end().len() }
}

fn find(text: &str, path: &str) -> Option<Place> {
    let whole = root(text);
    let mut place = Place { value: whole, whole, after_comma: false };
    for step in steps(path) {
        place = child(text, place.value, &step)?;
    }
    Some(place)
}

fn splice(text: &str, span: Span, with: &str) -> String {
    let (before, after) = (text.get(..span.start), text.get(span.end..));
    [before.unwrap_or_default(), with, after.unwrap_or_default()].concat()
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    escape_into(&mut out, text);
    out
}

/// Sets a value, and makes what is missing on the way to it. `None` when the way leads through something else.
fn set(text: &str, path: &str, value: &str) -> Option<String> {
    let steps = steps(path);
    let mut container = root(text);
    for (n, step) in steps.iter().enumerate() {
        let Some(place) = child(text, container, step) else {
            // Objects all the way down from here.
            let rest = steps.get(n + 1..)?;
            let made = rest
                .iter()
                .rev()
                .fold(value.to_owned(), |inner, step| format!("{{{}:{inner}}}", quoted(step)));
            return insert_last(text, container, step, &made);
        };
        container = place.value;
    }
    Some(splice(text, container, value))
}

/// Adds a member, or an element at the end of a list.
fn insert_last(text: &str, container: Span, step: &str, value: &str) -> Option<String> {
    let view = Val::trusted(container.of(text));
    let (count, new) = match view.kind() {
        Kind::Object => (view.members().count(), format!("{}:{value}", quoted(step))),
        Kind::Array => {
            let len = view.elements().count();
            if index(text, container, step) != Some(len) {
                return None;
            }
            (len, value.to_owned())
        }
        _ => return None,
    };
    let comma = if count > 0 { "," } else { "" };
    let at = container.end.checked_sub(1)?;
    Some(splice(text, Span { start: at, end: at }, &format!("{comma}{new}")))
}

fn delete(text: &str, path: &str) -> Option<String> {
    let place = find(text, path)?;
    let mut span = place.whole;
    if place.after_comma {
        span.start = text.get(..span.start)?.rfind(',')?;
    } else {
        let rest = text.get(span.end..)?;
        let blank = rest.len() - rest.trim_start().len();
        if rest.trim_start().starts_with(',') {
            span.end += blank + 1;
        }
    }
    Some(splice(text, span, ""))
}

/// The changed text; `None` when there is nothing to change.
fn change(text: &str, edit: &BodyEdit) -> Option<String> {
    let path = edit.path.as_str();
    let there = || find(text, path).map(|place| place.value);
    let string = |make: &dyn Fn(&str) -> String| {
        let span = there()?;
        let old = Val::at(text, span).as_str()?;
        let new = make(&old);
        (new != *old).then(|| splice(text, span, &quoted(&new)))
    };
    match &edit.change {
        Change::Delete => delete(text, path),
        Change::Set { keep: true, .. } if there().is_some() => None,
        Change::Set { value, .. } => set(text, path, &value.to_string()),
        Change::Move(to) => {
            let value = there()?.of(text).to_owned();
            set(&delete(text, path)?, to, &value)
        }
        Change::Copy(to) => set(text, to, there()?.of(text)),
        Change::Prepend(value) => join(text, path, value, true),
        Change::Append(value) => join(text, path, value, false),
        Change::TrimPrefix(part) => string(&|old| old.strip_prefix(part.as_str()).unwrap_or(old).to_owned()),
        Change::TrimSuffix(part) => string(&|old| old.strip_suffix(part.as_str()).unwrap_or(old).to_owned()),
        Change::EnsurePrefix(part) => string(&|old| {
            if old.starts_with(part.as_str()) { old.to_owned() } else { format!("{part}{old}") }
        }),
        Change::EnsureSuffix(part) => {
            string(&|old| if old.ends_with(part.as_str()) { old.to_owned() } else { format!("{old}{part}") })
        }
        Change::TrimSpace => string(&|old| old.trim().to_owned()),
        Change::ToLower => string(&str::to_lowercase),
        Change::ToUpper => string(&str::to_uppercase),
        Change::Replace { from, to } => string(&|old| old.replace(from.as_str(), to)),
        Change::RegexReplace { from, to } => {
            string(&|old| from.regex().replace_all(old, to.as_str()).into_owned())
        }
        Change::Prune(rule) => prune::prune(text, path, rule),
        Change::Sync(to) => match (there(), find(text, to)) {
            (Some(value), None) => set(text, to, value.of(text)),
            (None, Some(place)) => set(text, path, place.value.of(text)),
            _ => None,
        },
        // They were heeded before.
        Change::Refuse(_)
        | Change::SyncHeader(_)
        | Change::SetHeader { .. }
        | Change::DeleteHeader
        | Change::MoveHeader { .. }
        | Change::CopyHeader { .. }
        | Change::PassHeaders { .. } => None,
    }
}

/// Puts a text of the body into a header, or a header into the body, where one is and the other isn't.
fn sync(text: &str, path: &str, name: &str, headers: &mut Headers<'_>) -> Option<String> {
    match (find(text, path).map(|place| place.value), headers.get(name)) {
        (Some(value), None) => {
            let value = Val::at(text, value);
            // BOUND: a prompt of megabytes is no header, and isn't unescaped to see it: an escape has six bytes at most.
            if value.raw().len() <= 6 * BODY_IN_HEADER_MAX + 2 {
                let words = value.as_str().unwrap_or(Cow::Borrowed(value.raw()));
                if words.len() <= BODY_IN_HEADER_MAX {
                    headers.set(name, words.into_owned());
                }
            }
            None
        }
        (None, Some(value)) if value.len() <= HEADER_IN_BODY_MAX => set(text, path, &quoted(&value)),
        _ => None,
    }
}

/// Adds to a text, a list or an object; what isn't there is set.
fn join(text: &str, path: &str, value: &Value, first: bool) -> Option<String> {
    let Some(place) = find(text, path) else { return set(text, path, &value.to_string()) };
    let old = Val::at(text, place.value);
    let new = match (old.kind(), value) {
        (Kind::String, Value::String(part)) => {
            let old = old.as_str()?;
            quoted(&if first { format!("{part}{old}") } else { format!("{old}{part}") })
        }
        (Kind::Array, value) => {
            let added: Vec<String> = match value {
                Value::Array(all) => all.iter().map(Value::to_string).collect(),
                one => vec![one.to_string()],
            };
            let old: Vec<String> = old.elements().map(|element| element.raw().to_owned()).collect();
            let all = if first { [added, old].concat() } else { [old, added].concat() };
            format!("[{}]", all.join(","))
        }
        (Kind::Object, Value::Object(members)) => {
            let mut out = text.to_owned();
            for (name, value) in members {
                let at = format!("{path}.{}", name.replace('\\', "\\\\").replace('.', "\\."));
                if first && find(&out, &at).is_some() {
                    continue;
                }
                out = set(&out, &at, &value.to_string())?;
            }
            return Some(out);
        }
        _ => return None,
    };
    Some(splice(text, place.value, &new))
}

fn holds(text: &str, edit: &BodyEdit, context: &OverlayContext<'_>, headers: &Headers<'_>) -> bool {
    let one = |condition: &Condition| fulfils(text, condition, context, headers);
    hold(&edit.conditions, edit.all, one)
}

fn hold(conditions: &[Condition], all: bool, one: impl Fn(&Condition) -> bool) -> bool {
    match conditions {
        [] => true,
        conditions if all => conditions.iter().all(one),
        any => any.iter().any(one),
    }
}

fn fulfils(text: &str, condition: &Condition, context: &OverlayContext<'_>, headers: &Headers<'_>) -> bool {
    let path = condition.path.as_str();
    if let Some(name) = path.strip_prefix(CALLERS_HEADER) {
        return fulfilled(headers.of_caller(&name.to_ascii_lowercase()).map(Value::from), condition);
    }
    if let Some(name) = path.strip_prefix(SENT_HEADER) {
        return fulfilled(headers.sent(&name.to_ascii_lowercase()).map(Value::from), condition);
    }
    let found = match path {
        "original_model" => Some(Value::from(context.original_model)),
        "upstream_model" => Some(Value::from(context.upstream_model)),
        "retry_index" => Some(Value::from(context.retry_index)),
        "is_retry" => Some(Value::from(context.retry_index > 0)),
        path => return fulfilled(at(text, path), condition),
    };
    fulfilled(found, condition)
}

fn at(text: &str, path: &str) -> Option<Value> {
    find(text, path).and_then(|place| serde_json::from_str(place.value.of(text)).ok())
}

fn fulfilled(found: Option<Value>, condition: &Condition) -> bool {
    match found {
        None => condition.pass_missing,
        Some(found) => compares(&found, condition) != condition.invert,
    }
}

fn compares(found: &Value, condition: &Condition) -> bool {
    let words = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (have, want) = (words(found), words(&condition.value));
    let ordered = |accepts: fn(std::cmp::Ordering) -> bool| {
        let number = |value: &Value| value.as_f64();
        let pair = number(found).zip(number(&condition.value));
        pair.and_then(|(have, want)| have.partial_cmp(&want)).is_some_and(accepts)
    };
    match condition.mode {
        Compare::Full => *found == condition.value || have == want,
        Compare::Prefix => have.starts_with(&want),
        Compare::Suffix => have.ends_with(&want),
        Compare::Contains => have.contains(&want),
        Compare::Gt => ordered(std::cmp::Ordering::is_gt),
        Compare::Gte => ordered(std::cmp::Ordering::is_ge),
        Compare::Lt => ordered(std::cmp::Ordering::is_lt),
        Compare::Lte => ordered(std::cmp::Ordering::is_le),
    }
}

#[cfg(test)]
mod tests;
