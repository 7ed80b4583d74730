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
mod tests {
    use super::layer::LAYERS_MAX;
    use super::*;
    use crate::reference::MEMBER_BYTES;

    fn closed(schema: &str, path: &str, losses: &mut Losses) -> Result<String, Unclosed> {
        super::closed(schema, path, &mut Looks::shared(), losses)
    }

    #[test]
    fn schemas_are_closed_and_what_they_can_not_say_is_described() {
        for (schema, want, lost) in [
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                0,
            ),
            (
                r#"{"$schema":"x","type":"object","properties":{"n":{"type":"integer","description":"How many.","minimum":1,"maximum":5}}}"#,
                r#"{"type":"object","properties":{"n":{"type":"integer","description":"How many.\n\nMust hold: minimum 1; maximum 5."}},"additionalProperties":false}"#,
                2,
            ),
            (
                r##"{"type":"array","minItems":2,"items":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]},"$defs":{"d":{"type":["object","null"],"properties":{"b":{"type":"string","format":"byte"}}}}}"##,
                r##"{"type":"array","description":"Must hold: minItems 2.","items":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]},"$defs":{"d":{"type":["object","null"],"properties":{"b":{"type":"string","description":"Must hold: format \"byte\"."}},"additionalProperties":false}}}"##,
                2,
            ),
            // Closed by themselves, joined objects would bar each other.
            (
                r##"{"allOf":[{"$ref":"#/$defs/d"},{"type":"object","properties":{"c":{"const":1}},"required":["c"]}],"$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}}}"##,
                r##"{"type":"object","$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}},"properties":{"b":{"type":"string"},"c":{"const":1}},"required":["b","c"],"additionalProperties":false}"##,
                1,
            ),
            (
                r##"{"type":"object","properties":{"x":{"description":"one","allOf":[{"$ref":"#/$defs/d"}]}},"additionalProperties":false,"$defs":{"d":{"enum":["a"]}}}"##,
                r##"{"type":"object","$defs":{"d":{"enum":["a"]}},"properties":{"x":{"$ref":"#/$defs/d","description":"one"}},"additionalProperties":false}"##,
                0,
            ),
            (
                r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
                r#"{"type":"object","properties":{},"additionalProperties":false}"#,
                2,
            ),
            // An alias stands between.
            (
                r##"{"type":"object","allOf":[{"$ref":"#/$defs/e"}],"$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"$ref":"#/$defs/d"}}}"##,
                r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"$ref":"#/$defs/d"}},"properties":{"b":{"type":"string"}},"additionalProperties":false}"##,
                0,
            ),
            (
                r##"{"allOf":[{"$ref":"#/$defs/e"},{"description":"x"}],"$defs":{"d":{"type":"string"},"e":{"$ref":"#/$defs/d","title":"t"}}}"##,
                r##"{"$ref":"#/$defs/e","description":"x","$defs":{"d":{"type":"string"},"e":{"$ref":"#/$defs/d","title":"t"}}}"##,
                0,
            ),
            // What stands beside a reference is joined with it.
            (
                r##"{"type":"object","properties":{"a":{"type":"string"}},"allOf":[{"$ref":"#/$defs/e"}],"$defs":{"e":{"$ref":"#/$defs/d","allOf":[{"properties":{"c":{"type":"string"}}}]},"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"additionalProperties":false}"##,
                r##"{"type":"object","$defs":{"e":{"properties":{"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false},"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false}"##,
                0,
            ),
            // What nothing refers to is left out, if only because it may refer to itself.
            (
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"additionalProperties":false,"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}},"a":{"type":"string","$defs":{"m":{"items":{"$ref":"#/$defs/n"}}}}}}"##,
                r##"{"type":"object","$defs":{"a":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/a"}},"additionalProperties":false}"##,
                0,
            ),
            (
                r##"{"type":"string","definitions":{"n":{"items":{"$ref":"#/definitions/n"}}}}"##,
                r#"{"type":"string"}"#,
                0,
            ),
            // White space isn't moved with the words.
            (
                "{\"type\": \"array\",\n  \"maxItems\" : 3,\r\n\t\"not\": {\"enum\": [\"a \\\" b\", 1]}}",
                r#"{"type":"array","description":"Must hold: maxItems 3; not {\"enum\":[\"a \\\" b\",1]}."}"#,
                1,
            ),
            // One that only joins another has its members.
            (
                r##"{"type":"object","allOf":[{"$ref":"#/$defs/d"}],"additionalProperties":false,"$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}}}"##,
                r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"b":{"type":"string"}},"additionalProperties":false}"##,
                0,
            ),
            (r#"{"oneOf":[{"type":"string"}]}"#, r#"{"anyOf":[{"type":"string"}]}"#, 1),
            (
                r##"{"type":"object","$ref":"#/$defs/d","properties":{"a":{"type":"string"}},"$defs":{"d":{"properties":{"b":{"type":"string"}}}}}"##,
                r##"{"type":"object","$defs":{"d":{"properties":{"b":{"type":"string"}},"additionalProperties":false}},"properties":{"a":{"type":"string"},"b":{"type":"string"}},"additionalProperties":false}"##,
                1,
            ),
            (
                r##"{"allOf":[{"$ref":"#/$defs/d"},{"$ref":"#/$defs/d"}],"$defs":{"d":{"type":"object","minProperties":1,"properties":{},"additionalProperties":false}}}"##,
                r##"{"type":"object","description":"Must hold: minProperties 1.","$defs":{"d":{"type":"object","description":"Must hold: minProperties 1.","properties":{},"additionalProperties":false}},"properties":{},"additionalProperties":false}"##,
                1,
            ),
            (
                r#"{"oneOf":[{"type":"string"}],"anyOf":[{"const":"a"}]}"#,
                r#"{"description":"Must hold: anyOf [{\"const\":\"a\"}].","anyOf":[{"type":"string"}]}"#,
                1,
            ),
            (
                r#"{"type":"object","properties":{"a":{}},"required":["a","a","b"],"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#,
                0,
            ),
            // An object that is one of several, too: each closed by itself would bar the other's members.
            (
                r##"{"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"anyOf":[{"properties":{"k":{"const":"a"},"v":{"type":"string"},"w":{"type":"string"}}},{"$ref":"#/$defs/d"}],"$defs":{"d":{"properties":{"v":{"type":"integer"},"w":{"type":"string"}}}}}"##,
                r##"{"type":"object","description":"Must hold: anyOf [{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"string\"},\"w\":{\"type\":\"string\"}}},{\"$ref\":\"#/$defs/d\"}].","$defs":{"d":{"properties":{"v":{"type":"integer"},"w":{"type":"string"}},"additionalProperties":false}},"properties":{"k":{"type":"string"},"v":{"anyOf":[{"type":"string"},{"type":"integer"}]},"w":{"type":"string"}},"required":["k"],"additionalProperties":false}"##,
                2,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"string","description":"D.","default":{"type":"object"},"examples":["x",{"minimum":1}]}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"a":{"type":"string","default":{"type":"object"},"description":"D.\n\nFor example: [\"x\",{\"minimum\":1}]."}},"additionalProperties":false}"#,
                1,
            ),
        ] {
            let mut losses = Losses::default();
            assert_eq!(closed(schema, "p", &mut losses).as_deref(), Ok(want), "{schema}");
            assert_eq!(losses.count(), lost, "{schema}");
            let mut again = Losses::default();
            assert!(closed(want, "p", &mut again).is_ok());
            assert!(again.is_empty(), "what is closed stays: {want}");
        }
    }

    #[test]
    fn what_stands_beside_a_reference_is_joined_with_what_it_leads_to() {
        let defined = r##""$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"additionalProperties":false},"e":{"properties":{"z":{"type":"integer"}},"required":["z"],"additionalProperties":false},"f":{"type":"object","$ref":"#/$defs/d","properties":{"z":{"type":"null"}}},"s":{"type":"string"}}"##;
        for (schema, want) in [
            (r##"{"$ref":"#/$defs/d"}"##, r##"{"$ref":"#/$defs/d"}"##),
            (r##"{"allOf":[{"$ref":"#/$defs/d"}],"title":"t"}"##, r##"{"title":"t","$ref":"#/$defs/d"}"##),
            (
                r##"{"$ref":"#/$defs/d","allOf":[{"$ref":"#/$defs/e"}]}"##,
                r#"{"type":"object","properties":{"b":{"type":"string"},"z":{"type":"integer"}},"required":["z"],"additionalProperties":false}"#,
            ),
            (
                r##"{"allOf":[{"$ref":"#/$defs/d","allOf":[{"properties":{"c":{"type":"string"}}}]}]}"##,
                r#"{"type":"object","properties":{"b":{"type":"string"},"c":{"type":"string"}},"additionalProperties":false}"#,
            ),
            (
                r##"{"type":"object","allOf":[{"$ref":"#/$defs/d","required":["b"],"description":"D.","minProperties":1}]}"##,
                r#"{"type":"object","description":"D.\n\nMust hold: minProperties 1.","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#,
            ),
            (
                r##"{"allOf":[{"$ref":"#/$defs/s","minLength":3},{"$ref":"#/$defs/s","description":"x"}]}"##,
                r#"{"type":"string","description":"x\n\nMust hold: minLength 3."}"#,
            ),
            // A choice's, and where a choice leads to.
            (
                r##"{"type":"object","properties":{"k":{}},"anyOf":[{"$ref":"#/$defs/d","properties":{"own":{}}},{"$ref":"#/$defs/f"}]}"##,
                r##"{"type":"object","description":"Must hold: anyOf [{\"$ref\":\"#/$defs/d\",\"properties\":{\"own\":{}}},{\"$ref\":\"#/$defs/f\"}].","properties":{"k":{},"own":{},"b":{"type":"string"},"z":{"type":"null"}},"additionalProperties":false}"##,
            ),
            // What is required is so of an object's members.
            (
                r##"{"allOf":[{"$ref":"#/$defs/d"}],"required":["b"]}"##,
                r#"{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#,
            ),
            (
                r##"{"$ref":"#/$defs/s","required":["b"]}"##,
                r#"{"type":"string","description":"Must hold: required [\"b\"]."}"#,
            ),
            // A member that two say something of is both.
            (
                r##"{"allOf":[{"$ref":"#/$defs/e"},{"properties":{"z":{"const":1,"description":"One."}}}]}"##,
                r#"{"properties":{"z":{"type":"integer","const":1,"description":"One."}},"required":["z"],"additionalProperties":false}"#,
            ),
            // What leads nowhere isn't followed.
            (r##"{"$ref":"https://x/y"}"##, r#"{"description":"Must hold: $ref \"https://x/y\"."}"#),
            (
                r##"{"$ref":"#/$defs/gone","properties":{}}"##,
                r##"{"description":"Must hold: $ref \"#/$defs/gone\".","properties":{},"additionalProperties":false}"##,
            ),
        ] {
            let whole = format!(r#"{{"items":{schema},{defined}}}"#);
            let got = closed(&whole, "p", &mut Losses::default()).unwrap();
            assert_eq!(Val::trusted(&got).get("items").unwrap().raw(), want, "{schema}");
        }
    }

    #[test]
    fn pointers_stay_where_they_still_lead_to_the_same() {
        let text = r#"{"type":"string"}"#;
        let object = r#"{"properties":{"n":{"type":"string"}},"additionalProperties":false}"#;
        for (schema, pointer, stays) in [
            (format!(r#"{{"properties":{{"a":{{"items":{text}}},"b":REF}}}}"#), "#/properties/a/items", true),
            (format!(r#"{{"anyOf":[{object},REF]}}"#), "#/anyOf/0/properties/n", true),
            (
                format!(r#"{{"items":REF,"$defs":{{"a":{{"definitions":{{"b~c":{text}}}}}}}}}"#),
                "#/$defs/a/definitions/b~0c",
                true,
            ),
            (
                format!(r#"{{"properties":{{"a":{{"additionalProperties":{text}}},"b":REF}}}}"#),
                "#/properties/a/additionalProperties",
                false,
            ),
            (format!(r#"{{"oneOf":[{text},REF]}}"#), "#/oneOf/0", false),
            (format!(r#"{{"oneOf":[{{}}],"anyOf":[{text}],"items":REF}}"#), "#/anyOf/0", false),
            (
                format!(r#"{{"allOf":[{{"properties":{{"a":{text}}}}}],"properties":{{"b":REF}}}}"#),
                "#/allOf/0/properties/a",
                false,
            ),
            (format!(r#"{{"items":[{text}],"anyOf":[REF]}}"#), "#/items/0", false),
            (
                format!(r#"{{"type":["object"],"anyOf":[{object}],"properties":{{"b":REF}}}}"#),
                "#/anyOf/0/properties/n",
                false,
            ),
            (
                format!(r#"{{"anyOf":[{object}],"allOf":[{{}}],"items":REF}}"#),
                "#/anyOf/0/properties/n",
                false,
            ),
            (format!(r#"{{"default":{{"a":{text}}},"items":REF}}"#), "#/default/a", false),
            (
                format!(r#"{{"patternProperties":{{"x":{text}}},"items":REF}}"#),
                "#/patternProperties/x",
                false,
            ),
        ] {
            let reference = format!(r#"{{"title":"here","$ref":"{pointer}"}}"#);
            let got = closed(&schema.replace("REF", &reference), "p", &mut Losses::default()).unwrap();
            let here = if stays { &*reference } else { r#"{"title":"here","type":"string"}"# };
            assert!(got.contains(here), "{schema}: {got}");
            let leads_to = Definitions::of(Val::trusted(&got)).resolve(pointer, &mut Looks::shared());
            assert!(!stays || leads_to.map(Val::raw) == Some(text), "{schema}: {got}");
        }
    }

    #[test]
    fn what_is_moved_does_not_wait_on_each_level() {
        let many =
            |value: &str| (0..20_000).map(|n| format!(r#""{n:05}":{value}"#)).collect::<Vec<_>>().join(",");
        let nested = |n: usize| {
            let open = r##"{"type":"object","allOf":[{"$ref":"#/$defs/b"}],"properties":{"x":"##;
            format!("{}{{}}{}", open.repeat(n), "}}".repeat(n))
        };
        // Words that are moved are written before what is within: there are too many long before the last level.
        let schema = format!(r#"{{"items":{},"$defs":{{"b":{{{}}}}}}}"#, nested(30), many("0"));
        let mut closer = Closer::of(Val::trusted(&schema));
        let before = closer.looks.left();
        object(|o| closer.write(o, &[Val::trusted(&schema)]));
        let spent = before - closer.looks.left();
        assert!(closer.cut && spent < 24 * schema.len(), "{} times", spent / schema.len());
        // Members do wait, and are counted.
        let schema =
            format!(r#"{{"items":{},"$defs":{{"b":{{"properties":{{{}}}}}}}}}"#, nested(30), many("{}"));
        let mut closer = Closer::of(Val::trusted(&schema));
        object(|o| closer.write(o, &[Val::trusted(&schema)]));
        assert!(closer.cut && closer.held.is_over());
        // So is all that choices say of one.
        let one = |n: usize| format!(r##"{{"properties":{{"a":{{"const":{n}}}}}}}"##);
        let choices = (0..100).map(one).collect::<Vec<_>>().join(",");
        let schema = format!(r#"{{"type":"object","anyOf":[{choices}]}}"#);
        let mut closer = Closer::of(Val::trusted(&schema));
        let layers = closer.layers(&[Val::trusted(&schema)]);
        let choices = closer.choices(&layers);
        let before = closer.held.left();
        let all = closer.properties(&layers, &choices);
        assert_eq!((all.len(), all[0].said.len(), before - closer.held.left()), (1, 100, 100 * MEMBER_BYTES));
    }

    #[test]
    fn many_schemas_share_what_one_may_be_read_beyond_its_length() {
        // Each of many names says a long definition again, in few words.
        let used: Vec<String> =
            (0..99).map(|n| format!(r##""p{n}":{{"$ref":"#/$defs/a","required":[]}}"##)).collect();
        let schema = format!(
            r#"{{"properties":{{{}}},"$defs":{{"a":{{"$comment":"{}"}}}}}}"#,
            used.join(","),
            "x".repeat(8_000)
        );
        let mut shared = Looks::shared();
        let times = (0..1_000)
            .take_while(|_| super::closed(&schema, "p", &mut shared, &mut Losses::default()).is_ok());
        assert!((2..30).contains(&times.count()));
        // Which leaves the others what is theirs.
        let plain = r##"{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"minimum":1}}}"##;
        assert_eq!(shared.left(), 0);
        assert!(super::closed(plain, "p", &mut shared, &mut Losses::default()).is_ok());
    }

    #[test]
    fn a_schema_can_not_keep_us_busy() {
        let filler = "x".repeat(40_000);
        let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
        // Each definition joins all of the next ones.
        let joins = many(60, &|at| {
            let next = many(30, &|n| format!(r##"{{"$ref":"#/$defs/d{}"}}"##, at + 1 + n));
            format!(r#""d{at}":{{"allOf":[{next}],"not":{{"const":"{filler}"}}}}"#)
        });
        // Each of many names says all of one large definition, and more.
        let large = many(10, &|at| format!(r#""m{at}":{{"type":"string","description":"some words"}}"#));
        let multiplied =
            many(900, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/d"}},{{"required":[]}}]}}"##));
        // Each of many names may be one of many, which are one large definition.
        let silent = many(6_000, &|at| format!(r#""x{at}":0"#));
        let choices = many(64, &|_| r##"{"$ref":"#/$defs/b"}"##.to_owned());
        let chosen =
            many(200, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/u"}},{{"required":[]}}]}}"##));
        let chosen = format!(
            r#"{{"properties":{{{chosen}}},"$defs":{{"b":{{{silent}}},"u":{{"type":"object","anyOf":[{choices}]}}}}}}"#
        );
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        let circle = r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}"##.to_owned();
        for (schema, want) in [
            (format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{joins}}}}}"##), Unclosed::Large),
            (
                format!(r#"{{"properties":{{{multiplied}}},"$defs":{{"d":{{"properties":{{{large}}}}}}}}}"#),
                Unclosed::Large,
            ),
            (chosen, Unclosed::Large),
            (deep, Unclosed::Large),
            (circle, Unclosed::Circle),
        ] {
            let mut losses = Losses::default();
            assert_eq!(closed(&schema, "p", &mut losses), Err(want), "{schema}");
            assert!(losses.is_empty(), "what isn't written has lost nothing");
        }
    }

    #[test]
    fn references_that_lead_to_references_have_an_end() {
        // By way of what is only shown no definition is on the circle, and a long text leaves the time for many steps.
        let title = "x".repeat(1 << 20);
        let shown: Vec<String> =
            (0..5_000).map(|n| format!(r##""a{n}":{{"$ref":"#/default/a{}"}}"##, n + 1)).collect();
        for (shown, last) in [
            (r##""a0":{"$ref":"#/default/a0"}"##.to_owned(), "to itself"),
            (r##""a0":{"$ref":"#/default/b"},"b":{"$ref":"#/default/a0"}"##.to_owned(), "in a circle"),
            (shown.join(","), "in a chain"),
        ] {
            let schema = format!(
                r##"{{"title":"{title}","type":"object","allOf":[{{"$ref":"#/default/a0"}}],"default":{{{shown}}}}}"##
            );
            let mut closer = Closer::of(Val::trusted(&schema));
            let layers = closer.layers(&[Val::trusted(&schema)]).len();
            assert!(closer.cut && layers <= 2 * LAYERS_MAX, "{last}: {layers}");
            assert_eq!(closed(&schema, "p", &mut Losses::default()), Err(Unclosed::Large), "{last}");
        }
    }

    #[test]
    fn an_ordinary_schema_is_closed_however_it_refers() {
        let many = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(",");
        // Twenty that inherit from one.
        let base = many(10, &|at| format!(r#""b{at}":{{"type":"string","description":"What it is."}}"#));
        let heirs = many(20, &|at| {
            format!(
                r##""d{at}":{{"allOf":[{{"$ref":"#/$defs/base"}},{{"type":"object","properties":{{"own{at}":{{"type":"string"}}}}}}]}}"##
            )
        });
        let used = many(20, &|at| format!(r##""p{at}":{{"$ref":"#/$defs/d{at}"}}"##));
        let inherits = format!(
            r#"{{"type":"object","properties":{{{used}}},"$defs":{{"base":{{"type":"object","properties":{{{base}}}}},{heirs}}}}}"#
        );
        // Pointers to where something was said first.
        let again = many(60, &|at| {
            let description = "d".repeat(120);
            format!(
                r##""a{at}":{{"type":"object","properties":{{"n":{{"type":"string","description":"{description}"}}}}}},"b{at}":{{"$ref":"#/properties/a{at}"}}"##
            )
        });
        let again = format!(r#"{{"type":"object","properties":{{{again}}}}}"#);
        for (schema, closed_ones) in [(inherits, 22), (again, 61)] {
            let text = closed(&schema, "p", &mut Losses::default()).unwrap();
            assert!(text.len() <= rewritten(&schema) && Val::parse(&text).is_ok(), "{text}");
            assert_eq!(text.matches(r#""additionalProperties":false"#).count(), closed_ones, "{text}");
        }
    }

    #[test]
    fn a_large_schema_is_closed_like_any_other() {
        let many = |of: &dyn Fn(usize) -> String| (0..4_000).map(of).collect::<Vec<_>>().join(",");
        let named = many(&|at| format!(r##""property{at}":{{"$ref":"#/$defs/definition{at}"}}"##));
        let defined = many(&|at| {
            let next = at + 1;
            format!(
                r##""definition{at}":{{"type":"object","properties":{{"next":{{"$ref":"#/$defs/definition{next}"}}}}}}"##
            )
        });
        let schema = format!(r#"{{"type":"object","properties":{{{named}}},"$defs":{{{defined}}}}}"#);
        let text = closed(&schema, "p", &mut Losses::default()).unwrap();
        assert!((schema.len()..=rewritten(&schema)).contains(&text.len()), "{}", text.len());
        assert!(Val::parse(&text).is_ok());
    }

    #[test]
    fn patterns_that_look_around_are_known() {
        for (pattern, want) in [
            ("^[a-z]{2,5}$", true),
            ("(?:a|b)+", true),
            ("(?=a)b", false),
            (r"(a)\1", false),
            (r"\bx", false),
        ] {
            assert_eq!(is_plain_pattern(pattern), want, "{pattern}");
        }
    }
}
