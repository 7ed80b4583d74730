//! JSON Schema as Anthropic's structured outputs take it: closed objects, no bounds of numbers, texts and lists, nothing that
//! refers to itself.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations): 400
// for anything else, whatever the caller meant by it.

mod layer;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use self::layer::Layer;
use crate::facts::rewritten;
use crate::json::{Kind, Object, Val, compact, object};
use crate::loss::Losses;
use crate::reference::{Definitions, Followed, Held, Looks};
use crate::texts::place;

/// Schemas are written this deep.
// BOUND: of nesting.
const DEPTH_MAX: usize = 64;
/// Formats of texts that are taken.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Words that say nothing to a model.
const SILENT: [&str; 8] =
    ["$schema", "$id", "$anchor", "$comment", "deprecated", "readOnly", "writeOnly", "additionalProperties"];

/// Why a schema can't be put in the target's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unclosed {
    /// It refers to itself.
    Circle,
    /// With what its references say in each place it would be several times as long.
    Large,
}

/// A schema as the target takes it: never longer than [`rewritten`] says. `shared` is what it may be read beyond its own length. What
/// had to be put otherwise is named at `path`.
///
/// # Errors
/// It can't be put so.
pub(super) fn closed(
    schema: &str,
    path: &str,
    shared: &mut Looks,
    losses: &mut Losses,
) -> Result<String, Unclosed> {
    // White space says nothing where it stands between words, and is sent where these are moved into a text.
    let schema = compact(schema);
    let root = Val::trusted(&schema);
    if root.kind() != Kind::Object {
        return Ok(schema.into_owned());
    }
    let mut closer = Closer::of(root);
    match Followed::of(&mut closer.definitions, &mut Looks::at(root)) {
        Some(Followed { leads_back: false, idle, .. }) => closer.idle = idle,
        Some(_) => return Err(Unclosed::Circle),
        None => return Err(Unclosed::Large),
    }
    closer.looks = shared.with(root);
    let text = object(|o| closer.write(o, &[root]));
    shared.keep(closer.looks);
    if closer.cut || text.len() > closer.most {
        return Err(Unclosed::Large);
    }
    for (is_so, why) in [
        (closer.shut, "objects are closed: the target takes no others"),
        (closer.emptied, "an object of any members is closed, and so will be empty"),
        (closer.moved, "what the target can't hold an answer to stands in descriptions"),
    ] {
        if is_so {
            losses.approximated(path, why);
        }
    }
    Ok(text)
}

struct Closer<'a> {
    root: Val<'a>,
    definitions: Definitions<'a>,
    /// Where the definitions begin that are left out: nothing refers to them.
    idle: HashSet<usize>,
    /// No more is written, in bytes.
    // BOUND: references in `allOf` may multiply what a schema says.
    most: usize,
    depth: usize,
    looks: Looks,
    held: Held,
    /// An object had been open.
    shut: bool,
    /// An object had been open that names no members.
    emptied: bool,
    /// Something stands in a description now.
    moved: bool,
    /// There is more than may be written.
    cut: bool,
}

/// A member of an object: what is said of it first, and what else. A choice's may be any of these, others are all of them.
struct Property<'a> {
    name: Cow<'a, str>,
    said: Vec<Val<'a>>,
    is_chosen: bool,
}

/// What stands in a description: what came so, what the target can't hold an answer to, and what is shown.
#[derive(Default)]
struct Notes {
    said: String,
    moved: String,
    shown: String,
}

impl Notes {
    fn say_more(&mut self, name: &str, value: Val<'_>) {
        let is_shown = matches!(name, "example" | "examples");
        let list = if is_shown { &mut self.shown } else { &mut self.moved };
        if !list.is_empty() {
            list.push_str("; ");
        }
        if !is_shown {
            list.push_str(name);
            list.push(' ');
        }
        list.push_str(value.raw());
    }

    fn len(&self) -> usize {
        self.said.len() + self.moved.len() + self.shown.len()
    }

    fn write(self, o: &mut Object<'_>) {
        let mut text = self.said;
        for (word, note) in [("Must hold: ", self.moved), ("For example: ", self.shown)] {
            if !note.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n\n" };
                text.extend([gap, word, &note, "."]);
            }
        }
        if !text.is_empty() {
            o.str("description", &text);
        }
    }
}

impl<'a> Closer<'a> {
    fn of(root: Val<'a>) -> Self {
        Self {
            root,
            definitions: Definitions::of(root),
            idle: HashSet::new(),
            most: rewritten(root.raw()),
            depth: 0,
            looks: Looks::at(root),
            held: Held::at(root),
            shut: false,
            emptied: false,
            moved: false,
            cut: false,
        }
    }

    /// Writes what all of these say as one.
    // BOUND: of depth, of what is written, and of looks.
    fn write(&mut self, o: &mut Object<'_>, schemas: &[Val<'a>]) {
        self.cut |= self.depth >= DEPTH_MAX || o.len() > self.most;
        if self.cut {
            return;
        }
        self.depth += 1;
        self.say(o, schemas);
        self.depth -= 1;
    }

    fn say(&mut self, o: &mut Object<'_>, schemas: &[Val<'a>]) {
        let layers = self.layers(schemas);
        let is_object = layers.iter().any(Layer::is_object);
        let choices = if is_object { self.choices(&layers) } else { Vec::new() };
        // Each is read once more, with its members.
        if self.cut || !layers.iter().chain(&choices).all(|layer| self.looks.look(layer.whole)) {
            self.cut = true;
            return;
        }
        for (name, value) in self.words(o, &layers, is_object) {
            self.inner(o, &name, value);
        }
        if is_object {
            self.object(o, &layers, &choices);
        }
    }

    /// What is said apart from members. What holds schemas itself is returned, to be written when none of this waits any more.
    fn words(
        &mut self,
        o: &mut Object<'_>,
        layers: &[Layer<'a>],
        is_object: bool,
    ) -> Vec<(Cow<'a, str>, Val<'a>)> {
        let mut inner = Vec::new();
        let mut notes = Notes::default();
        let mut written: HashMap<Cow<'a, str>, Val<'a>> = HashMap::new();
        for (name, value) in layers.iter().flat_map(Layer::said) {
            let is_joined = matches!(&*name, "properties" | "allOf") || name == "required" && is_object;
            if is_joined || SILENT.contains(&&*name) {
                continue;
            }
            // Both are written as one.
            let slot = if name == "oneOf" { Cow::Borrowed("anyOf") } else { name.clone() };
            let first = match written.get(&slot) {
                // The same words say nothing new.
                Some(said) if *said == value => continue,
                Some(_) => false,
                None => written.insert(slot, value).is_none(),
            };
            self.cut |= first && !self.held.hold(1) || o.len() + notes.len() > self.most;
            if self.cut {
                return Vec::new();
            }
            match &*name {
                "description" if first => notes.said = value.as_str().unwrap_or_default().into_owned(),
                "description" | "title" | "default" if !first => {}
                "$ref" | "anyOf" | "oneOf" if is_object => notes.say_more(&name, value),
                word if first && holds_schemas(word, value) => inner.push((name, value)),
                word if first && is_taken(word, value) => o.raw(word, value.raw()),
                word => notes.say_more(word, value),
            }
        }
        self.held.let_go(written.len());
        self.moved |= !notes.moved.is_empty() || !notes.shown.is_empty();
        notes.write(o);
        inner
    }

    /// What holds schemas, apart from members.
    fn inner(&mut self, o: &mut Object<'_>, name: &str, value: Val<'a>) {
        match name {
            "$defs" | "definitions" => self.define(o, name, value),
            "items" => o.object(name, |o| self.write(o, &[value])),
            _ => {
                self.moved |= name == "oneOf";
                self.any(o, value.elements());
            }
        }
    }

    fn any(&mut self, o: &mut Object<'_>, schemas: impl Iterator<Item = Val<'a>>) {
        o.array("anyOf", |a| {
            for schema in schemas {
                a.object(|o| self.write(o, &[schema]));
                if self.cut {
                    return;
                }
            }
        });
    }

    /// The definitions that something refers to.
    fn define(&mut self, o: &mut Object<'_>, name: &str, value: Val<'a>) {
        let is_used = |it: &Self, inner: Val<'a>| !it.idle.contains(&place(it.root.raw(), inner).start);
        if !value.members().any(|(_, inner)| is_used(self, inner)) {
            return;
        }
        o.object(name, |o| {
            for (name, inner) in value.members() {
                if self.cut {
                    return;
                }
                if is_used(self, inner) {
                    o.object(&name, |o| self.write(o, &[inner]));
                }
            }
        });
    }

    /// The members of an object, of all layers and of what it may be, and that there are no others.
    fn object(&mut self, o: &mut Object<'_>, layers: &[Layer<'a>], choices: &[Layer<'a>]) {
        let properties = self.properties(layers, choices);
        if self.cut {
            return;
        }
        o.object("properties", |o| {
            for Property { name, said, is_chosen } in &properties {
                o.object(name, |o| match said.as_slice() {
                    [_, _, ..] if *is_chosen => self.any(o, said.iter().copied()),
                    all => self.write(o, all),
                });
                if self.cut {
                    return;
                }
            }
        });
        self.held.let_go(properties.iter().map(|property| property.said.len()).sum());
        let required = layers.iter().filter_map(|layer| layer.required).flat_map(Val::elements);
        // Each once, and none that a closed object can't have.
        let mut known: HashSet<&str> = properties.iter().map(|property| &*property.name).collect();
        let required: Vec<_> =
            required.filter_map(Val::as_str).filter(|name| known.remove(&**name)).collect();
        if !required.is_empty() {
            o.array("required", |a| required.iter().for_each(|name| a.str(name)));
        }
        o.bool("additionalProperties", false);
        let bars =
            layers.iter().filter_map(|layer| layer.others).any(|others| others.as_bool() == Some(false));
        self.shut |= !bars;
        self.emptied |= !bars && properties.is_empty();
    }

    /// The members of layers, and those that only choices have.
    fn properties(&mut self, layers: &[Layer<'a>], choices: &[Layer<'a>]) -> Vec<Property<'a>> {
        let mut properties: Vec<Property<'a>> = Vec::new();
        let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
        let mut known: HashSet<(usize, &str)> = HashSet::new();
        for (layers, is_chosen) in [(layers, false), (choices, true)] {
            for (name, value) in layers.iter().filter_map(|layer| layer.properties).flat_map(Val::members) {
                let at = places.get(&name).copied().unwrap_or(properties.len());
                let is_said = |known: &Property<'_>| !known.is_chosen && is_chosen;
                // The same words say nothing new.
                if properties.get(at).is_some_and(is_said) || !known.insert((at, value.raw())) {
                    continue;
                }
                if !self.held.hold(1) {
                    self.cut = true;
                    return properties;
                }
                if let Some(property) = properties.get_mut(at) {
                    property.said.push(value);
                    continue;
                }
                places.insert(name.clone(), at);
                properties.push(Property { name, said: vec![value], is_chosen });
            }
        }
        properties
    }
}

/// Whether schemas stand in it that are written as such.
fn holds_schemas(name: &str, value: Val<'_>) -> bool {
    matches!(name, "$defs" | "definitions" | "anyOf" | "oneOf")
        || name == "items" && value.kind() == Kind::Object
}

/// Whether the target takes it as it is.
fn is_taken(name: &str, value: Val<'_>) -> bool {
    let plain = |value: Val<'_>| !matches!(value.kind(), Kind::Object | Kind::Array);
    match name {
        "type" | "title" | "default" => true,
        "$ref" => value.as_str().is_some_and(|pointer| pointer.starts_with('#')),
        "const" => plain(value),
        "enum" => value.elements().all(plain),
        "format" => value.as_str().is_some_and(|word| FORMATS.contains(&&*word)),
        "pattern" => value.as_str().is_some_and(|pattern| is_plain_pattern(&pattern)),
        "minItems" => matches!(value.raw(), "0" | "1"),
        _ => false,
    }
}

/// Whether a pattern looks neither around nor back.
fn is_plain_pattern(pattern: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<", "(?P=", "\\b", "\\B", "\\k", "\\p", "\\P"];
    let refers = pattern
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, [b'\\', digit] if (b'1'..=b'9').contains(digit)));
    !refers && !looks.iter().any(|word| pattern.contains(word))
}

#[cfg(test)]
mod tests;
