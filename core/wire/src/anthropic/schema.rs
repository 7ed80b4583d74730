//! JSON Schema as Anthropic's structured outputs take it: closed objects, no bounds of numbers, texts and lists, nothing that
//! refers to itself.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations): 400
// for anything else, whatever the caller meant by it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::facts::rewritten;
use crate::json::{Kind, Object, Val, compact, object};
use crate::loss::Losses;
use crate::reference::{Definitions, Followed, Held, Looks};
use crate::texts::place;

/// So many are joined by `allOf`, and by the choices beside members.
const LAYERS_MAX: usize = 64;
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

/// A schema as the target takes it: never longer than [`rewritten`] says. What had to be put otherwise is named at
/// `path`.
///
/// # Errors
/// It can't be put so.
pub(super) fn closed(schema: &str, path: &str, losses: &mut Losses) -> Result<String, Unclosed> {
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
    let text = object(|o| closer.write(o, root));
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

/// A member's name, and what is said of it.
type Property<'a> = (Cow<'a, str>, Vec<Val<'a>>);

/// What is asked of a schema, read at once.
#[derive(Clone, Copy)]
struct Layer<'a> {
    whole: Val<'a>,
    kind: Option<Val<'a>>,
    reference: Option<Val<'a>>,
    properties: Option<Val<'a>>,
    required: Option<Val<'a>>,
    others: Option<Val<'a>>,
    any_of: Option<Val<'a>>,
    one_of: Option<Val<'a>>,
    all_of: Option<Val<'a>>,
}

impl<'a> Layer<'a> {
    fn of(whole: Val<'a>) -> Self {
        let mut layer = Self {
            whole,
            kind: None,
            reference: None,
            properties: None,
            required: None,
            others: None,
            any_of: None,
            one_of: None,
            all_of: None,
        };
        for (name, value) in whole.members() {
            let place = match &*name {
                "type" => &mut layer.kind,
                "$ref" => &mut layer.reference,
                "properties" => &mut layer.properties,
                "required" => &mut layer.required,
                "additionalProperties" => &mut layer.others,
                "anyOf" => &mut layer.any_of,
                "oneOf" => &mut layer.one_of,
                "allOf" => &mut layer.all_of,
                _ => continue,
            };
            *place = Some(value).filter(|value| !value.is_null());
        }
        layer
    }

    /// What it says itself: no reference that was followed.
    fn said(&self) -> impl Iterator<Item = (Cow<'a, str>, Val<'a>)> + use<'a> {
        let is_followed = self.reference.is_none();
        self.whole.members().filter(move |(name, _)| name != "$ref" || !is_followed)
    }

    fn is_object(&self) -> bool {
        let is_word = |word: Cow<'_, str>| word == "object";
        self.properties.is_some()
            || self.kind.is_some_and(|kind| {
                kind.as_str().is_some_and(is_word) || kind.elements().filter_map(Val::as_str).any(is_word)
            })
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

    /// A schema, if there is time to read it.
    fn read(&mut self, schema: Val<'a>) -> Option<Layer<'a>> {
        let in_time = self.looks.look(schema);
        self.cut |= !in_time;
        in_time.then(|| Layer::of(schema))
    }

    /// The schema and all that it joins: each closed by itself, they would bar each other's members.
    fn layers(&mut self, schema: Val<'a>) -> Vec<Layer<'a>> {
        let mut layers: Vec<Layer<'a>> = self.read(schema).into_iter().collect();
        let is_object = layers.first().is_some_and(Layer::is_object);
        let mut at = 0;
        while let Some(layer) = layers.get(at).copied() {
            at += 1;
            let joined: Vec<Val<'a>> = layer.all_of.into_iter().flat_map(Val::elements).collect();
            if layers.len() + joined.len() > LAYERS_MAX {
                self.cut = true;
                break;
            }
            // What an object refers to beside its members is joined as well.
            let has_beside = |layer: &Layer<'a>| layer.is_object() || layer.all_of.is_some();
            let beside = Some(layer).filter(has_beside).and_then(|layer| self.referred(&layer));
            if let Some(found) = beside {
                if let Some(layer) = layers.get_mut(at - 1) {
                    layer.reference = None;
                }
                self.join(found, &mut layers);
            }
            let alone = at == 1 && joined.len() == 1;
            for inner in joined {
                let Some(layer) = self.read(inner) else { break };
                match self.referred(&layer) {
                    // One that joins nothing may stand as a reference.
                    Some(found) if (!alone || is_object) && !layer.is_object() => {
                        self.join(found, &mut layers);
                    }
                    _ => layers.push(layer),
                }
            }
        }
        layers
    }

    /// What a reference led to, with what that refers to by itself.
    fn join(&mut self, mut found: Val<'a>, layers: &mut Vec<Layer<'a>>) {
        // BOUND: values that are only shown may refer in a circle.
        for _ in 0..LAYERS_MAX {
            let Some(layer) = self.read(found) else { return };
            let next = Some(layer).filter(|layer| !layer.is_object()).and_then(|layer| self.referred(&layer));
            // One that is followed needn't be said.
            layers.push(Layer { reference: layer.reference.filter(|_| next.is_none()), ..layer });
            let Some(next) = next else { return };
            found = next;
        }
        self.cut = true;
    }

    /// What a schema refers to.
    fn referred(&mut self, schema: &Layer<'a>) -> Option<Val<'a>> {
        self.definitions.resolve(&schema.reference?.as_str()?, &mut self.looks)
    }

    /// What an object of these layers is one of: closed by themselves, these would bar its members, as it would theirs.
    fn choices(&mut self, layers: &[Layer<'a>]) -> Vec<Layer<'a>> {
        let mut choices: Vec<Layer<'a>> = Vec::new();
        let mut at = 0;
        while let Some(layer) = layers.get(at).or_else(|| choices.get(at - layers.len())).copied() {
            at += 1;
            // What the layers join is among them.
            let joined = layer.all_of.filter(|_| at > layers.len());
            let found: Vec<Val<'a>> =
                [layer.any_of, layer.one_of, joined].into_iter().flatten().flat_map(Val::elements).collect();
            if choices.len() + found.len() > LAYERS_MAX {
                self.cut = true;
                break;
            }
            for inner in found {
                let Some(layer) = self.read(inner) else { return choices };
                match self.referred(&layer) {
                    Some(found) => self.join(found, &mut choices),
                    None => choices.push(layer),
                }
            }
        }
        choices
    }

    // BOUND: of depth, of what is written, and of looks.
    fn write(&mut self, o: &mut Object<'_>, schema: Val<'a>) {
        if self.depth >= DEPTH_MAX || o.len() > self.most {
            self.cut = true;
        }
        if self.cut {
            return;
        }
        self.depth += 1;
        self.say(o, schema);
        self.depth -= 1;
    }

    fn say(&mut self, o: &mut Object<'_>, schema: Val<'a>) {
        let layers = self.layers(schema);
        let is_object = layers.iter().any(Layer::is_object);
        let choices = if is_object { self.choices(&layers) } else { Vec::new() };
        // Each is read once more, with its members.
        if self.cut || !layers.iter().chain(&choices).all(|layer| self.looks.look(layer.whole)) {
            self.cut = true;
            return;
        }
        let mut said = String::new();
        let (mut moved, mut shown): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut written: HashMap<Cow<'a, str>, Val<'a>> = HashMap::new();
        for (name, value) in layers.iter().flat_map(Layer::said) {
            let joined = matches!(&*name, "properties" | "required" | "allOf") || name == "$ref" && is_object;
            if joined || SILENT.contains(&&*name) {
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
            match (&*name, first) {
                ("description", true) => said = value.as_str().unwrap_or_default().into_owned(),
                ("description" | "title" | "default", false) => {}
                ("example" | "examples", _) => shown.push(value.raw()),
                ("anyOf" | "oneOf", _) if is_object => moved.push(format!("{name} {}", value.raw())),
                (_, false) => moved.push(format!("{name} {}", value.raw())),
                _ => self.member(o, &name, value, &mut moved),
            }
        }
        if is_object {
            self.object(o, &layers, &choices);
        }
        self.moved |= !moved.is_empty() || !shown.is_empty();
        let notes = [("Must hold: ", moved.join("; ")), ("For example: ", shown.join("; "))];
        for (word, note) in notes.iter().filter(|(_, note)| !note.is_empty()) {
            if !said.is_empty() {
                said.push_str("\n\n");
            }
            said.push_str(&format!("{word}{note}."));
        }
        if !said.is_empty() {
            o.str("description", &said);
        }
    }

    /// What a schema says once, apart from its members and descriptions.
    fn member(&mut self, o: &mut Object<'_>, name: &str, value: Val<'a>, moved: &mut Vec<String>) {
        let plain = |value: Val<'_>| !matches!(value.kind(), Kind::Object | Kind::Array);
        let is_taken = match name {
            "type" | "title" | "default" => true,
            "$ref" => value.as_str().is_some_and(|pointer| pointer.starts_with('#')),
            "const" => plain(value),
            "enum" => value.elements().all(plain),
            "format" => value.as_str().is_some_and(|word| FORMATS.contains(&&*word)),
            "pattern" => value.as_str().is_some_and(|pattern| is_plain_pattern(&pattern)),
            "minItems" => matches!(value.raw(), "0" | "1"),
            "$defs" | "definitions" => return self.define(o, name, value),
            "items" if value.kind() == Kind::Object => return o.object(name, |o| self.write(o, value)),
            "anyOf" | "oneOf" => {
                if name == "oneOf" {
                    self.moved = true;
                }
                return o.array("anyOf", |a| {
                    value.elements().for_each(|inner| a.object(|o| self.write(o, inner)));
                });
            }
            _ => false,
        };
        if is_taken { o.raw(name, value.raw()) } else { moved.push(format!("{name} {}", value.raw())) }
    }

    /// The definitions that something refers to.
    fn define(&mut self, o: &mut Object<'_>, name: &str, value: Val<'a>) {
        let whole = self.root.raw();
        let is_used = |inner: Val<'a>| !self.idle.contains(&place(whole, inner).start);
        let used: Vec<_> = value.members().filter(|(_, inner)| is_used(*inner)).collect();
        if !used.is_empty() {
            o.object(name, |o| {
                used.iter().for_each(|(name, inner)| o.object(name, |o| self.write(o, *inner)));
            });
        }
    }

    /// The members of an object, of all layers and of what it may be, and that there are no others.
    fn object(&mut self, o: &mut Object<'_>, layers: &[Layer<'a>], choices: &[Layer<'a>]) {
        let properties = properties(layers, choices);
        if !self.held.hold(properties.len()) {
            self.cut = true;
            return;
        }
        o.object("properties", |o| {
            for (name, said) in &properties {
                match said.as_slice() {
                    [only] => o.object(name, |o| self.write(o, *only)),
                    several => o.object(name, |o| {
                        o.array("anyOf", |a| several.iter().for_each(|it| a.object(|o| self.write(o, *it))));
                    }),
                }
            }
        });
        self.held.let_go(properties.len());
        let required = layers.iter().filter_map(|layer| layer.required).flat_map(Val::elements);
        // Each once, and none that a closed object can't have.
        let mut known: HashSet<&str> = properties.iter().map(|(name, _)| &**name).collect();
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
}

/// The members of layers, the first of a name; and of choices, which may say several things of one.
fn properties<'a>(layers: &[Layer<'a>], choices: &[Layer<'a>]) -> Vec<Property<'a>> {
    let of = |all: &[Layer<'a>]| -> Vec<(Cow<'a, str>, Val<'a>)> {
        all.iter().filter_map(|layer| layer.properties).flat_map(Val::members).collect()
    };
    let mut properties: Vec<Property<'a>> = Vec::new();
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
    for (name, value) in of(layers) {
        if !places.contains_key(&name) {
            places.insert(name.clone(), properties.len());
            properties.push((name, vec![value]));
        }
    }
    let own = properties.len();
    for (name, value) in of(choices) {
        let at = *places.entry(name.clone()).or_insert(properties.len());
        match properties.get_mut(at) {
            None => properties.push((name, vec![value])),
            // BOUND: of so many as there are choices.
            Some((_, said)) if at >= own && !said.contains(&value) => said.push(value),
            Some(_) => {}
        }
    }
    properties
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
    use super::*;

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
                r##"{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]},"$defs":{"d":{"type":["object","null"],"properties":{"b":{"type":"string","description":"Must hold: format \"byte\"."}},"additionalProperties":false}},"description":"Must hold: minItems 2."}"##,
                2,
            ),
            // Closed by themselves, joined objects would bar each other.
            (
                r##"{"allOf":[{"$ref":"#/$defs/d"},{"type":"object","properties":{"c":{"const":1}},"required":["c"]}],"$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}}}"##,
                r##"{"$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}},"type":"object","properties":{"b":{"type":"string"},"c":{"const":1}},"required":["b","c"],"additionalProperties":false}"##,
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
                r##"{"$defs":{"d":{"type":"string"},"e":{"$ref":"#/$defs/d","title":"t"}},"title":"t","type":"string","description":"x"}"##,
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
                r##"{"$defs":{"d":{"type":"object","properties":{},"additionalProperties":false,"description":"Must hold: minProperties 1."}},"type":"object","properties":{},"additionalProperties":false,"description":"Must hold: minProperties 1."}"##,
                1,
            ),
            (
                r#"{"oneOf":[{"type":"string"}],"anyOf":[{"const":"a"}]}"#,
                r#"{"anyOf":[{"type":"string"}],"description":"Must hold: anyOf [{\"const\":\"a\"}]."}"#,
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
                r##"{"type":"object","$defs":{"d":{"properties":{"v":{"type":"integer"},"w":{"type":"string"}},"additionalProperties":false}},"properties":{"k":{"type":"string"},"v":{"anyOf":[{"type":"string"},{"type":"integer"}]},"w":{"type":"string"}},"required":["k"],"additionalProperties":false,"description":"Must hold: anyOf [{\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"string\"},\"w\":{\"type\":\"string\"}}},{\"$ref\":\"#/$defs/d\"}]."}"##,
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
        let multiplied = many(900, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/d"}},{{}}]}}"##));
        // Each of many names may be one of many, which are one large definition.
        let silent = many(6_000, &|at| format!(r#""x{at}":0"#));
        let choices = many(64, &|_| r##"{"$ref":"#/$defs/b"}"##.to_owned());
        let chosen = many(200, &|at| format!(r##""p{at}":{{"allOf":[{{"$ref":"#/$defs/u"}},{{}}]}}"##));
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
            let layers = closer.layers(Val::trusted(&schema)).len();
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
