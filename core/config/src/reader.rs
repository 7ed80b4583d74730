//! Reading the tree with a diagnostic for whatever isn't as it should be.

use sluicegate_core::channel::{Secret, SecretRef};
use sluicegate_core::money::parse_decimal;

use crate::diagnostic::{CODES, Diagnostic, Severity, Unless};
use crate::environment::{Environment, Overlay, Piece, pieces};
use crate::native::Section;
use crate::suggest::nearest;
use crate::yaml::{Entry, Node, Place, Refusal, Value};

/// BOUND: after so many findings the rest is only counted.
const MAX_DIAGNOSTICS: usize = 500;

/// One load: where findings go and what the host knows.
pub(crate) struct Load<'a> {
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) overlay: Overlay,
    pub(crate) files: Vec<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    unsaid: usize,
}

/// What a host variable holds.
pub(crate) enum Lookup {
    /// Set by the file itself.
    InFile(String),
    /// Set by the host.
    InHost(String),
    /// Not set, or empty.
    Missing,
}

impl<'a> Load<'a> {
    pub(crate) fn new(path: &str, environment: &'a Environment<'a>) -> Self {
        Self {
            environment,
            overlay: Overlay::default(),
            files: vec![path.to_owned()],
            diagnostics: Vec::new(),
            unsaid: 0,
        }
    }

    pub(crate) fn lookup(&self, name: &str) -> Lookup {
        if let Some(value) = self.overlay.0.get(name) {
            return Lookup::InFile(value.clone());
        }
        match (self.environment.variable)(name) {
            Some(value) if !value.trim().is_empty() => Lookup::InHost(value),
            _ => Lookup::Missing,
        }
    }

    /// A variable's value, wherever it is set; `None` when it is not set or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match self.lookup(name) {
            Lookup::InFile(value) | Lookup::InHost(value) => Some(value),
            Lookup::Missing => None,
        }
    }

    /// Reports a finding; the caller may complete it.
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: Place,
        at: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Diagnostic {
            severity,
            code,
            path: self.files.get(usize::from(place.file)).cloned().unwrap_or_default(),
            line: place.line.max(1),
            column: place.column.max(1),
            at: at.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
            paste: None,
            unless: None,
        });
    }

    /// Like [`Load::report`], with something to paste.
    pub(crate) fn report_with(
        &mut self,
        (severity, code): (Severity, &'static str),
        (place, at): (Place, &str),
        message: impl Into<String>,
        remedy: impl Into<String>,
        paste: String,
    ) {
        let said = self.diagnostics.len();
        self.report(severity, code, place, at, message, remedy);
        if let Some(last) = self.diagnostics.get_mut(said) {
            last.paste = Some(paste);
        }
    }

    /// Reports something that stops being so where this is.
    pub(crate) fn report_unless(&mut self, unless: Unless, report: impl FnOnce(&mut Self)) {
        let said = self.diagnostics.len();
        report(self);
        if let Some(last) = self.diagnostics.get_mut(said) {
            last.unless = Some(unless);
        }
    }

    pub(crate) fn refuse(&mut self, severity: Severity, refusal: Refusal) {
        self.report(severity, refusal.code, refusal.place, "", refusal.message, refusal.remedy);
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        debug_assert!(CODES.contains(&diagnostic.code), "unlisted: {}", diagnostic.code);
        // An error is never lost to the bound: it decides whether the file can be used.
        let most =
            if diagnostic.severity == Severity::Error { MAX_DIAGNOSTICS * 20 } else { MAX_DIAGNOSTICS };
        if self.diagnostics.len() < most {
            self.diagnostics.push(diagnostic);
        } else {
            self.unsaid += 1;
        }
    }

    /// The findings, errors first and then by place.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.unsaid > 0 {
            let message = format!("{} further findings are left out", self.unsaid);
            let path = self.files.first().cloned().unwrap_or_default();
            self.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                code: "too_many",
                path,
                line: 1,
                column: 1,
                at: String::new(),
                message,
                remedy: "mend the others first".to_owned(),
                paste: None,
                unless: None,
            });
        }
        self.diagnostics.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| (&a.path, a.line, a.column).cmp(&(&b.path, b.line, b.column)))
        });
        // What is read for two purposes is said once.
        self.diagnostics.dedup();
        self.diagnostics
    }
}

/// A value together with its key's path and place.
#[derive(Clone, Debug)]
pub(crate) struct Item<'n> {
    pub(crate) node: &'n Node,
    pub(crate) at: String,
    /// The key's place; the value's own for list items.
    pub(crate) place: Place,
}

impl<'n> Item<'n> {
    pub(crate) fn root(node: &'n Node) -> Self {
        Self { node, at: String::new(), place: node.place }
    }

    pub(crate) fn child(&self, entry: &'n Entry) -> Item<'n> {
        let at = if self.at.is_empty() { entry.key.clone() } else { format!("{}.{}", self.at, entry.key) };
        Item { node: &entry.value, at, place: entry.place }
    }

    /// The mapping's entries as items with their keys; none when this is no mapping.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&'n str, Item<'n>)> + use<'n, '_> {
        self.node.entries().iter().map(|entry| (entry.key.as_str(), self.child(entry)))
    }

    pub(crate) fn say(
        &self,
        load: &mut Load<'_>,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        load.report(severity, code, self.place, &self.at, message, remedy);
    }

    pub(crate) fn wrong(&self, load: &mut Load<'_>, want: &str) {
        let what = match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } if self.is_secret() => {
                if text.is_empty() {
                    "an empty text".to_owned()
                } else {
                    "something else".to_owned()
                }
            }
            Value::Scalar { text, .. } => format!("`{}`", text.chars().take(80).collect::<String>()),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        };
        self.say(
            load,
            Severity::Error,
            "wrong_type",
            format!("is {what}, and must be {want}"),
            format!("write {want}"),
        );
    }

    fn is_secret(&self) -> bool {
        let at = self.at.to_ascii_lowercase();
        ["key", "secret", "password", "token", "database", "redis", "credential", "header"]
            .iter()
            .any(|word| at.contains(word))
    }

    /// The scalar's text with its variables filled in; `None`, with a finding, when it is none or a variable is missing.
    pub(crate) fn text(&self, load: &mut Load<'_>) -> Option<String> {
        let Value::Scalar { text, .. } = &self.node.value else {
            if !matches!(self.node.value, Value::Null) {
                self.wrong(load, "a text");
            }
            return None;
        };
        match fill(load, text) {
            Ok(filled) => Some(filled),
            Err(name) => {
                self.missing_variable(load, Severity::Error, &name, "the setting has no value without it");
                None
            }
        }
    }

    /// Like [`Item::text`]; an empty text is `None` too.
    pub(crate) fn filled(&self, load: &mut Load<'_>) -> Option<String> {
        self.text(load).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Like [`Item::text`], without a word about a missing variable.
    pub(crate) fn quiet_text(&self, load: &Load<'_>) -> Option<String> {
        match &self.node.value {
            Value::Scalar { text, .. } => fill(load, text).ok(),
            _ => None,
        }
    }

    pub(crate) fn missing_variable(
        &self,
        load: &mut Load<'_>,
        severity: Severity,
        name: &str,
        meaning: &str,
    ) {
        load.report_with(
            (severity, "missing_variable"),
            (self.place, &self.at),
            format!("the environment variable `{name}` is not set: {meaning}"),
            "set it before the gateway starts",
            format!("export {name}=…"),
        );
    }

    pub(crate) fn boolean(&self, load: &mut Load<'_>) -> Option<bool> {
        if matches!(self.node.value, Value::Null) {
            return None;
        }
        let read = match &self.node.value {
            Value::Scalar { text, .. } => fill(load, text).ok().as_deref().and_then(parse_boolean),
            _ => None,
        };
        if read.is_none() {
            self.wrong(load, "true or false");
        }
        read
    }

    /// A whole number, 0 or more. `2M`, `1e6` and `1_000` are whole numbers too.
    pub(crate) fn unsigned(&self, load: &mut Load<'_>) -> Option<u64> {
        self.parsed(load, "a whole number, 0 or more", |text| crate::quantity::parse_count(text).ok())
    }

    pub(crate) fn unsigned_32(&self, load: &mut Load<'_>) -> Option<u32> {
        self.parsed(load, "a whole number from 0 to 4294967295", |text| {
            crate::quantity::parse_count(text).ok().and_then(|n| u32::try_from(n).ok())
        })
    }

    pub(crate) fn signed(&self, load: &mut Load<'_>) -> Option<i32> {
        self.parsed(load, "a whole number from -2147483648 to 2147483647", |text| {
            parse_decimal(text, 0)
                .filter(|n| parse_decimal(text, 9) == n.checked_mul(1_000_000_000))
                .and_then(|n| i32::try_from(n).ok())
        })
    }

    /// A decimal number in units of 10⁻`digits`, 0 or more.
    pub(crate) fn decimal(&self, load: &mut Load<'_>, digits: u32) -> Option<u64> {
        self.parsed(load, "a decimal number, 0 or more", |text| {
            parse_decimal(text, digits).and_then(|n| u64::try_from(n).ok())
        })
    }

    /// Seconds as a decimal number, in milliseconds.
    pub(crate) fn seconds_ms(&self, load: &mut Load<'_>) -> Option<u64> {
        self.parsed(load, "a number of seconds, 0 or more", |text| {
            parse_decimal(text, 3).and_then(|n| u64::try_from(n).ok())
        })
    }

    /// A length of time in milliseconds.
    pub(crate) fn duration_ms(&self, load: &mut Load<'_>) -> Option<u64> {
        self.parsed(load, "a length of time such as 30s or 200ms", |text| {
            crate::quantity::parse_duration_ms(text).ok()
        })
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(&self, load: &mut Load<'_>, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let want = format!("one of {}", names.join(", "));
        self.parsed(load, &want, |text| words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value))
    }

    pub(crate) fn parsed<T>(
        &self,
        load: &mut Load<'_>,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = match &self.node.value {
            Value::Null => return None,
            Value::Scalar { .. } => self.text(load)?,
            Value::List(_) | Value::Map(_) => {
                self.wrong(load, want);
                return None;
            }
        };
        let read = parse(text.trim());
        if read.is_none() {
            self.wrong(load, want);
        }
        read
    }

    /// The items of a list; nothing, with a finding, when it is no list.
    pub(crate) fn list(&self, load: &mut Load<'_>) -> Vec<Item<'n>> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(i, node)| Item { node, at: format!("{}[{i}]", self.at), place: node.place })
                .collect(),
            Value::Scalar { .. } | Value::Map(_) => {
                self.wrong(load, "a list");
                Vec::new()
            }
        }
    }

    /// Texts from a list of texts, or from one text.
    pub(crate) fn texts(&self, load: &mut Load<'_>) -> Vec<String> {
        match &self.node.value {
            Value::Scalar { .. } => self.filled(load).into_iter().collect(),
            _ => self.list(load).iter().filter_map(|item| item.filled(load)).collect(),
        }
    }

    /// Texts from a list of texts, or from one text with commas.
    pub(crate) fn comma_texts(&self, load: &mut Load<'_>) -> Vec<String> {
        let texts = self.texts(load);
        match &self.node.value {
            Value::Scalar { .. } => texts
                .iter()
                .flat_map(|text| text.split([',', '\n']))
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => texts,
        }
    }

    /// Whether it is a mapping; a finding when it is something else.
    pub(crate) fn is_map(&self, load: &mut Load<'_>) -> bool {
        let map = matches!(self.node.value, Value::Map(_));
        if !map && !matches!(self.node.value, Value::Null) {
            self.wrong(load, "a mapping");
        }
        map
    }

    /// A reference to a credential. `Ok(None)` when nothing is written; `Err` is the name of a missing variable.
    pub(crate) fn secret(&self, load: &mut Load<'_>) -> Result<Option<SecretRef>, String> {
        let Value::Scalar { text, .. } = &self.node.value else {
            if !matches!(self.node.value, Value::Null) {
                self.wrong(load, "a text");
            }
            return Ok(None);
        };
        if let [Piece::Variable { name, default: None }] = pieces(text).as_slice() {
            return match load.lookup(name) {
                Lookup::InHost(_) => Ok(Some(SecretRef::Env((*name).to_owned()))),
                Lookup::InFile(value) => Ok(Some(SecretRef::Inline(Secret::new(value)))),
                Lookup::Missing => Err((*name).to_owned()),
            };
        }
        let filled = fill(load, text)?;
        Ok((!filled.trim().is_empty()).then(|| SecretRef::Inline(Secret::new(filled.trim()))))
    }
}

pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Fills variables in; `Err` is the name of a missing one.
pub(crate) fn fill(load: &Load<'_>, text: &str) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable { name, default } => match (load.variable(name), default) {
                (Some(value), _) => filled.push_str(&value),
                (None, Some(default)) => filled.push_str(default),
                (None, None) => return Err(name.to_owned()),
            },
        }
    }
    Ok(filled)
}

/// The keys that a mapping of a dialect may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Those that take effect.
    pub(crate) read: &'static [&'static str],
    /// Those that exist in the foreign system and have no effect here, and why that is no loss.
    pub(crate) moot: &'static [(&'static str, &'static str)],
    /// Those that exist in the foreign system and are not supported here.
    pub(crate) unsupported: &'static [&'static str],
    /// How bad an unknown key is.
    pub(crate) unknown: Severity,
}

/// A mapping whose keys have been checked.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) item: Item<'n>,
}

impl<'n> Fields<'n> {
    /// Checks that `item` is a mapping and that its keys are known.
    pub(crate) fn open(load: &mut Load<'_>, item: &Item<'n>, known: &Known) -> Option<Fields<'n>> {
        Self::open_with(load, item, known, |_| false)
    }

    /// Likewise; keys that `also` knows take effect, too.
    pub(crate) fn open_with(
        load: &mut Load<'_>,
        item: &Item<'n>,
        known: &Known,
        also: impl Fn(&str) -> bool,
    ) -> Option<Fields<'n>> {
        if !item.is_map(load) {
            return None;
        }
        for (key, child) in item.children() {
            if known.read.contains(&key) || also(key) {
                continue;
            }
            if let Some((_, why)) = known.moot.iter().find(|(name, _)| *name == key) {
                child.say(load, Severity::Note, "no_effect", format!("has no effect here: {why}"), "");
            } else if known.unsupported.contains(&key) {
                let off = child.node.entries().is_empty()
                    && child.quiet_text(load).is_some_and(|text| parse_boolean(&text) == Some(false));
                if !off && !matches!(child.node.value, Value::Null) {
                    let message = format!("`{key}` is known and not supported yet: it has no effect");
                    child.say(
                        load,
                        Severity::Warning,
                        "unsupported_key",
                        message,
                        "remove it, or do without what it does",
                    );
                }
            } else {
                let names: Vec<_> = known
                    .read
                    .iter()
                    .chain(known.moot.iter().map(|(name, _)| name))
                    .chain(known.unsupported)
                    .copied()
                    .collect();
                unknown_key(load, &child, key, known.unknown, &names);
            }
        }
        Some(Fields { item: item.clone() })
    }

    /// Checks that `item` is a mapping and that its keys are those of a section of our own dialect.
    pub(crate) fn open_section(
        load: &mut Load<'_>,
        item: &Item<'n>,
        section: &Section,
    ) -> Option<Fields<'n>> {
        if !item.is_map(load) {
            return None;
        }
        let names: Vec<_> = section.keys.iter().map(|key| key.name).collect();
        for (key, child) in item.children().filter(|(key, _)| !names.contains(key)) {
            unknown_key(load, &child, key, Severity::Error, &names);
        }
        Some(Fields { item: item.clone() })
    }

    /// The value of `key`; `None` when it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<Item<'n>> {
        let entry = self.item.node.entries().iter().find(|entry| entry.key == key)?;
        (!matches!(entry.value.value, Value::Null)).then(|| self.item.child(entry))
    }

    /// The value of the first of `keys` that is present.
    pub(crate) fn any(&self, keys: &[&str]) -> Option<Item<'n>> {
        keys.iter().find_map(|key| self.get(key))
    }

    pub(crate) fn text(&self, load: &mut Load<'_>, key: &str) -> Option<String> {
        self.get(key).and_then(|item| item.filled(load))
    }

    pub(crate) fn boolean(&self, load: &mut Load<'_>, key: &str) -> Option<bool> {
        self.get(key).and_then(|item| item.boolean(load))
    }

    pub(crate) fn unsigned(&self, load: &mut Load<'_>, key: &str) -> Option<u64> {
        self.get(key).and_then(|item| item.unsigned(load))
    }

    pub(crate) fn unsigned_32(&self, load: &mut Load<'_>, key: &str) -> Option<u32> {
        self.get(key).and_then(|item| item.unsigned_32(load))
    }

    pub(crate) fn seconds_ms(&self, load: &mut Load<'_>, key: &str) -> Option<u64> {
        self.get(key).and_then(|item| item.seconds_ms(load))
    }
}

/// Says that a key doesn't exist, and which one was perhaps meant.
pub(crate) fn unknown_key(
    load: &mut Load<'_>,
    child: &Item<'_>,
    key: &str,
    severity: Severity,
    names: &[&str],
) {
    let shown: String = key.chars().take(80).collect();
    let message = format!("there is no setting `{shown}` here: it has no effect");
    match nearest(key, names.iter().copied()) {
        Some(name) => load.report_with(
            (severity, "unknown_key"),
            (child.place, &child.at),
            message,
            format!("did you mean `{name}`?"),
            format!("{name}:"),
        ),
        None => {
            let some: Vec<_> = names.iter().take(24).map(|name| format!("`{name}`")).collect();
            let remedy = format!("remove it; settings that exist here: {}", some.join(", "));
            child.say(load, severity, "unknown_key", message, remedy);
        }
    }
}
