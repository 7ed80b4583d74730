//! Changes of requests, made in their text: members that no rule touches stay byte for byte.

use std::borrow::Cow;

use serde_json::{Number, Value};
use sluicegate_core::quirk::{RequestChange, RequestQuirk, When};

use crate::json::{Cursor, Kind, Val, escape_into, unescape};
use crate::loss::Losses;
use crate::names::alphanumeric_id;
use crate::scan::Scanned;
use crate::texts::quoted;

/// Values above this length are none that a rule names, in bytes.
// BOUND: a message's text isn't parsed to be compared.
const COMPARED_MAX: usize = 1_024;

const NOT_TAKEN: &str = "the provider doesn't take it";
const OTHER_RANGE: &str = "the provider takes another range";
const NO_FOLLOWING: &str =
    "the provider takes no user's turn behind results: the assistant says a word between";
const GIVEN: &str = "the provider takes the rest of the request with this value alone";
const OTHER_VALUES: &str = "the provider takes other values";

/// Whether a rule could change a body that was scanned and is `sent` so. `true` is no promise.
pub(super) fn may_change(scanned: &Scanned, sent: &[u8], rule: &RequestQuirk) -> bool {
    let text = scanned.text();
    let has = |path: &str| {
        let root = path.split('.').next().unwrap_or(path);
        let came = || scanned.members.iter().any(|member| unescape(member.name.of(text)) == root);
        // Where a limit holds, a ceiling is sent that nobody named, or under the name that another rule gives it.
        root.starts_with("max_") && memchr::memmem::find(sent, b"\"max_").is_some() || came()
    };
    match &rule.change {
        RequestChange::Rename { from, .. } => has(from),
        RequestChange::Drop(paths) => paths.iter().any(|path| has(path)),
        RequestChange::Clamp { field, .. } => has(field),
        RequestChange::Map { field, from, .. } => {
            has(field)
                && (!field.contains('.') || has_escapes(text) || from.iter().any(|value| says(text, value)))
        }
        RequestChange::Reasoning { .. } => has_escapes(text) || find(text, "\"tool_calls\""),
        RequestChange::CallIds { .. } => {
            has_escapes(text) || find(text, "\"tool_calls\"") || find(text, "\"tool_call_id\"")
        }
        RequestChange::Between { .. } => has_escapes(text) || find(text, "\"tool\""),
        RequestChange::Begun { .. } => has_escapes(text) || find(text, "\"assistant\""),
        RequestChange::Default { .. } | RequestChange::StreamOnly => true,
    }
}

fn find(text: &str, part: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

/// Whether a name or word may be written by escapes.
fn has_escapes(text: &str) -> bool {
    find(text, "\\u")
}

fn says(text: &str, value: &Value) -> bool {
    match value {
        Value::String(word) => find(text, word),
        _ => true,
    }
}

/// A top-level member.
struct Member<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    /// Name and value as they came, while neither is changed.
    whole: Option<&'a str>,
}

impl Member<'_> {
    fn is(&self, name: &str) -> bool {
        self.name == name
    }

    fn set(&mut self, value: String) {
        self.value = Cow::Owned(value);
        self.whole = None;
    }
}

struct Body<'a> {
    members: Vec<Member<'a>>,
    changed: bool,
    streams: bool,
}

/// What rules make of a body.
#[derive(Default)]
pub(super) struct Changed {
    /// `None` when nothing changes.
    pub(super) text: Option<String>,
    /// It asks for a stream, whatever it asked for before.
    pub(super) streams: bool,
}

/// Applies rules to a body.
pub(super) fn change(text: &str, rules: &[&RequestQuirk], losses: &mut Losses) -> Changed {
    let Some(mut body) = Body::read(text) else { return Changed::default() };
    for rule in rules {
        if rule.when.iter().all(|when| body.holds(when)) {
            body.apply(rule, losses);
        }
    }
    Changed { text: body.changed.then(|| body.write(text.len())), streams: body.streams }
}

/// The output ceiling in a chat's body that stays one where these rules, which give ceilings another name, aren't applied to it.
pub(super) fn ceiling(text: &str, rules: &[&RequestQuirk]) -> Option<u64> {
    let body = Body::read(text)?;
    let is_unread = |name: &str| {
        let renames =
            |rule: &RequestQuirk| matches!(&rule.change, RequestChange::Rename { from, .. } if from == name);
        rules.iter().any(|rule| renames(rule) && rule.when.iter().all(|when| body.holds(when)))
    };
    let read = ["max_tokens", "max_completion_tokens"].into_iter().filter(|name| !is_unread(name));
    read.filter_map(|name| body.value(name)?.as_u64()).max()
}

impl<'a> Body<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let members = members(text)?
            .into_iter()
            .map(|(name, value, whole)| Member { name, value: Cow::Borrowed(value), whole: Some(whole) })
            .collect();
        Some(Self { members, changed: false, streams: false })
    }
}

impl Body<'_> {
    fn at(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.is(name))
    }

    /// The value of a member; `null` counts as absent.
    fn value(&self, name: &str) -> Option<Val<'_>> {
        let member = self.members.iter().find(|member| member.is(name))?;
        Some(Val::trusted(&member.value)).filter(|value| !value.is_null())
    }

    fn holds(&self, when: &When) -> bool {
        let mut steps = when.field.split('.');
        let first = steps.next().and_then(|name| self.value(name));
        let found = steps.fold(first, |value, name| value.and_then(|value| value.get(name)));
        let found = match found {
            None => Some(Value::Null),
            Some(value) => parsed(value.raw()),
        };
        let among = |list: &[Value]| found.as_ref().is_some_and(|found| list.contains(found));
        (when.is.is_empty() || among(&when.is)) && !among(&when.not)
    }

    fn apply(&mut self, rule: &RequestQuirk, losses: &mut Losses) {
        let told = rule.is_told();
        match &rule.change {
            RequestChange::Rename { from, to } => self.rename(from, to),
            RequestChange::Drop(paths) => {
                for path in paths {
                    if self.edit(path, &mut |_| Some(Edit::Drop)) && told {
                        losses.dropped(path.as_str(), NOT_TAKEN);
                    }
                }
            }
            RequestChange::Clamp { field, min, max } => {
                if self.edit(field, &mut |raw| clamped(raw, min.as_ref(), max.as_ref())) && told {
                    losses.approximated(field.as_str(), OTHER_RANGE);
                }
            }
            RequestChange::Map { field, from, to } => {
                let mut mapped = |raw: &str| {
                    let is_one = parsed(raw).is_some_and(|value| from.contains(&value));
                    is_one.then(|| to.as_ref().map_or(Edit::Drop, |to| Edit::Put(to.to_string())))
                };
                if self.edit(field, &mut mapped) && told {
                    losses.approximated(field.as_str(), OTHER_VALUES);
                }
            }
            RequestChange::Default { field, value } => {
                if self.value(field).is_none() {
                    self.put(field, value.to_string());
                    if told {
                        losses.approximated(field.as_str(), GIVEN);
                    }
                }
            }
            RequestChange::Reasoning { text } => self.reasoning(text),
            RequestChange::StreamOnly => self.stream(),
            RequestChange::CallIds { length } => {
                for path in ["messages.*.tool_calls.*.id", "messages.*.tool_call_id"] {
                    self.edit(path, &mut |raw| call_id(raw, *length));
                }
            }
            RequestChange::Begun { field } => self.begun(field),
            RequestChange::Between { text } => {
                if self.between(text) && told {
                    losses.approximated("messages", NO_FOLLOWING);
                }
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let Some(at) = self.at(from) else { return };
        self.changed = true;
        let has_own = self.value(to).is_some();
        if has_own {
            self.members.remove(at);
            return;
        }
        self.members.retain(|member| !member.is(to));
        if let Some(member) = self.members.iter_mut().find(|member| member.is(from)) {
            member.name = Cow::Owned(to.to_owned());
            member.whole = None;
        }
    }

    fn put(&mut self, name: &str, value: String) {
        self.changed = true;
        match self.members.iter_mut().find(|member| member.is(name)) {
            Some(member) => member.set(value),
            None => self.members.push(Member {
                name: Cow::Owned(name.to_owned()),
                value: Cow::Owned(value),
                whole: None,
            }),
        }
    }

    /// Edits what a path leads to; whether anything was changed.
    fn edit(&mut self, path: &str, with: &mut dyn FnMut(&str) -> Option<Edit>) -> bool {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(at) = self.at(name) else { return false };
        let Some(member) = self.members.get_mut(at) else { return false };
        let steps: Vec<&str> = rest.into_iter().flat_map(|rest| rest.split('.')).collect();
        let was_null = member.value == "null";
        match edited(&member.value, &steps, with) {
            None => return false,
            Some(Edit::Put(value)) => member.set(value),
            Some(Edit::Drop) => drop(self.members.remove(at)),
        }
        self.changed = true;
        // What wasn't there isn't lost.
        !was_null
    }

    /// Gives the assistant's turns their reasoning, from the first that calls tools on.
    fn reasoning(&mut self, text: &str) {
        let mut quoted = String::new();
        escape_into(&mut quoted, text);
        let member = format!(r#""reasoning_content":{quoted}"#);
        let mut called = false;
        self.edit("messages.*", &mut |raw| {
            let message = Val::trusted(raw);
            if message.get_str("role").as_deref() != Some("assistant") {
                return None;
            }
            called |= message.get("tool_calls").is_some_and(|calls| calls.elements().next().is_some());
            let says = message.get_str("reasoning_content").is_some_and(|said| !said.is_empty());
            if !called || says {
                return None;
            }
            let kept = members(raw)?.into_iter().filter(|(name, ..)| name != "reasoning_content");
            let mut parts: Vec<&str> = kept.map(|(_, _, whole)| whole).collect();
            parts.push(&member);
            Some(Edit::Put(format!("{{{}}}", parts.join(","))))
        });
    }

    /// Puts a turn of the assistant's between results and a user's turn; whether there were such.
    fn between(&mut self, text: &str) -> bool {
        let mut quoted = String::new();
        escape_into(&mut quoted, text);
        let turn = format!(r#"{{"role":"assistant","content":{quoted}}}"#);
        let Some(messages) = self.value("messages").filter(|it| it.kind() == Kind::Array) else {
            return false;
        };
        let mut parts: Vec<&str> = Vec::new();
        let (mut answered, mut changed) = (false, false);
        for message in messages.elements() {
            let role = message.get_str("role").unwrap_or_default();
            if answered && role == "user" {
                parts.push(&turn);
                changed = true;
            }
            answered = role == "tool";
            parts.push(message.raw());
        }
        if changed {
            let whole = format!("[{}]", parts.join(","));
            self.put("messages", whole);
        }
        changed
    }

    /// Marks a last turn of the assistant's that calls no tools.
    fn begun(&mut self, field: &str) {
        let Some(messages) = self.value("messages").filter(|it| it.kind() == Kind::Array) else { return };
        let mut parts: Vec<&str> = messages.elements().map(Val::raw).collect();
        let Some(last) = parts.pop() else { return };
        let message = Val::trusted(last);
        let is_begun = message.get_str("role").as_deref() == Some("assistant")
            && message.get("tool_calls").is_none_or(|calls| calls.elements().next().is_none());
        if !is_begun || message.get(field).is_some() {
            return;
        }
        let kept = members(last).into_iter().flatten().filter(|(name, ..)| name != field);
        let mut own: Vec<&str> = kept.map(|(_, _, whole)| whole).collect();
        let mark = format!("{}:true", quoted(field));
        own.push(&mark);
        let marked = format!("{{{}}}", own.join(","));
        parts.push(&marked);
        let whole = format!("[{}]", parts.join(","));
        self.put("messages", whole);
    }

    fn stream(&mut self) {
        if self.value("stream").and_then(Val::as_bool) == Some(true) {
            return;
        }
        self.streams = true;
        self.put("stream", "true".to_owned());
        let others = self.value("stream_options").into_iter().flat_map(Val::members);
        let others = others.filter(|(name, _)| name != "include_usage").map(|(name, value)| {
            let mut member = String::new();
            escape_into(&mut member, &name);
            member.push(':');
            member.push_str(value.raw());
            member
        });
        let all: Vec<String> = others.chain(["\"include_usage\":true".to_owned()]).collect();
        self.put("stream_options", format!("{{{}}}", all.join(",")));
    }

    fn write(&self, len: usize) -> String {
        let mut out = String::with_capacity(len + 64);
        let mut lead = '{';
        for member in &self.members {
            out.push(std::mem::replace(&mut lead, ','));
            match member.whole {
                Some(whole) => out.push_str(whole),
                None => {
                    escape_into(&mut out, &member.name);
                    out.push(':');
                    out.push_str(&member.value);
                }
            }
        }
        if self.members.is_empty() {
            out.push('{');
        }
        out.push('}');
        out
    }
}

/// What becomes of a value.
enum Edit {
    Drop,
    Put(String),
}

/// Edits what steps lead to within a value; `None` when nothing changes.
// BOUND: it goes as deep as a rule's path is long.
fn edited(raw: &str, steps: &[&str], with: &mut dyn FnMut(&str) -> Option<Edit>) -> Option<Edit> {
    let Some((step, rest)) = steps.split_first() else { return with(raw) };
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    let mut changed = false;
    let is_list = Val::trusted(raw).kind() == Kind::Array;
    if *step == "*" && is_list {
        for element in Val::trusted(raw).elements() {
            match edited(element.raw(), rest, with) {
                None => parts.push(Cow::Borrowed(element.raw())),
                Some(edit) => {
                    changed = true;
                    parts.extend(put(edit));
                }
            }
        }
        return changed.then(|| Edit::Put(format!("[{}]", parts.join(","))));
    }
    for (name, value, whole) in members(raw)? {
        let edit = if name == *step { edited(value, rest, with) } else { None };
        match edit {
            None => parts.push(Cow::Borrowed(whole)),
            Some(edit) => {
                changed = true;
                let mut member = String::new();
                escape_into(&mut member, &name);
                parts.extend(put(edit).map(|value| Cow::Owned(format!("{member}:{value}"))));
            }
        }
    }
    changed.then(|| Edit::Put(format!("{{{}}}", parts.join(","))))
}

fn put(edit: Edit) -> Option<Cow<'static, str>> {
    match edit {
        Edit::Drop => None,
        Edit::Put(value) => Some(Cow::Owned(value)),
    }
}

/// The members of an object: name, value, and both as they stand. `None` for anything else.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str, &str)>> {
    let mut cursor = Cursor::new(text);
    if cursor.kind().ok()? != Kind::Object {
        return None;
    }
    let mut found = Vec::new();
    let mut more = cursor.enter().ok()?;
    while more {
        cursor.space();
        let start = cursor.at();
        let (name, _) = cursor.name().ok()?;
        cursor.kind().ok()?;
        let value = cursor.skip().ok()?;
        found.push((unescape(name.of(text)), value.of(text), text.get(start..value.end)?));
        more = cursor.more(b'}').ok()?;
    }
    Some(found)
}

/// An id of a call with just so many letters and digits.
fn call_id(raw: &str, length: usize) -> Option<Edit> {
    let id = Val::trusted(raw).as_str()?;
    let fits = id.len() == length && id.bytes().all(|b| b.is_ascii_alphanumeric());
    (!fits).then(|| Edit::Put(format!("\"{}\"", alphanumeric_id(&id, length))))
}

fn parsed(raw: &str) -> Option<Value> {
    (raw.len() <= COMPARED_MAX).then(|| serde_json::from_str(raw).ok()).flatten()
}

fn clamped(raw: &str, min: Option<&Number>, max: Option<&Number>) -> Option<Edit> {
    if Val::trusted(raw).kind() != Kind::Number {
        return None;
    }
    let n: f64 = raw.parse().ok()?;
    let below = min.filter(|min| min.as_f64().is_some_and(|min| n < min));
    let above = max.filter(|max| max.as_f64().is_some_and(|max| n > max));
    below.or(above).map(|bound| Edit::Put(bound.to_string()))
}
