//! Schemas: JSON Schema into the part of OpenAPI's that models before 2.5 take, and that part into JSON Schema.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::facts::rewritten;
use crate::json::{Kind, Object, Val, compact, object};
use crate::reference::{Definitions, Held, Looks};

/// References are followed this deep, or less deep where that would be too much; a schema that refers to itself ends there as
/// any object.
// BOUND: of nesting.
const DEPTH_MAX: usize = 24;
const DEPTHS: [usize; 6] = [1, 2, 3, 4, 6, 12];
/// And this many schemas are written of one.
// BOUND: references may multiply what a schema says.
const SCHEMAS_MAX: usize = 2_000;
/// And so many schemas are looked at to tell what one says.
const LAYERS_MAX: usize = 32;
/// The types that there are, but `NULL`.
const TYPES: [&str; 6] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"];

/// A JSON schema as the older models take it, and whether it says less now. `None` for an object without properties, which they take
/// no schema for. `shared` is what it may be read beyond its own length.
pub(super) fn cleaned(schema: &str, shared: &mut Looks) -> (Option<String>, bool) {
    let schema = compact(schema);
    let root = Val::trusted(&schema);
    let mut cleaner = Cleaner::of(root);
    cleaner.looks = shared.with(root);
    let found = cleaner.clean(root);
    shared.keep(cleaner.looks);
    found
}

struct Cleaner<'a> {
    definitions: Definitions<'a>,
    /// References are followed this deep.
    depth: usize,
    /// And so many bytes are written.
    most: usize,
    left: usize,
    looks: Looks,
    held: Held,
    lossy: bool,
}

/// What of a schema means nothing to a model that takes the rest.
const SILENT: [&str; 16] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "$ref",
    "definitions",
    "title",
    "default",
    "example",
    "examples",
    "strict",
    "additionalProperties",
    "allOf",
    "deprecated",
    "readOnly",
];

impl<'a> Cleaner<'a> {
    fn of(root: Val<'a>) -> Self {
        Self {
            definitions: Definitions::of(root),
            depth: DEPTH_MAX,
            most: usize::MAX,
            left: SCHEMAS_MAX,
            looks: Looks::at(root),
            held: Held::at(root),
            lossy: false,
        }
    }

    fn clean(&mut self, root: Val<'a>) -> (Option<String>, bool) {
        let layers = self.layers(root);
        let is_empty = type_of(&layers).is_none_or(|kind| kind == "OBJECT")
            && properties(&layers).next().is_none()
            && !layers.iter().any(|layer| layer.get("anyOf").is_some() || layer.get("oneOf").is_some());
        if is_empty {
            return (None, self.lossy);
        }
        self.most = rewritten(root.raw());
        // Whatever that takes, there is time for less.
        let rest = self.looks.half();
        let whole = self.attempt(root, DEPTH_MAX);
        self.looks.give(rest);
        if whole.is_some() {
            return (whole, self.lossy);
        }
        let fits = DEPTHS.into_iter().map_while(|depth| self.attempt(root, depth)).last();
        (fits, true)
    }

    /// The schema, so deep: nothing where there is no time or room for that.
    fn attempt(&mut self, root: Val<'a>, depth: usize) -> Option<String> {
        (self.depth, self.left, self.lossy, self.held) = (depth, SCHEMAS_MAX, false, Held::at(root));
        let text = object(|o| self.write(o, root, 0));
        let is_over = self.looks.is_over() || self.held.is_over();
        (!is_over && text.len() <= self.most).then_some(text)
    }

    /// The schema and all that it refers to or joins: together they say what it says.
    fn layers(&mut self, schema: Val<'a>) -> Vec<Layer<'a>> {
        let (mut found, mut layers) = (vec![schema], Vec::new());
        while let Some(whole) = found.get(layers.len()).copied() {
            if !self.looks.look(whole) {
                self.lossy = true;
                break;
            }
            let layer = Layer::of(whole);
            let pointer = layer.get("$ref").and_then(Val::as_str);
            // A reference may lead to one, and so on, and back. Each of those that are joined has one at most.
            match pointer {
                Some(pointer) if found.len() < 2 * LAYERS_MAX => {
                    found.extend(self.definitions.resolve(&pointer, &mut self.looks));
                }
                pointer => self.lossy |= pointer.is_some(),
            }
            let mut joined = layer.get("allOf").into_iter().flat_map(Val::elements);
            found.extend(joined.by_ref().take(LAYERS_MAX.saturating_sub(found.len())));
            self.lossy |= joined.next().is_some();
            layers.push(layer);
        }
        layers
    }

    fn write(&mut self, o: &mut Object<'_>, schema: Val<'a>, depth: usize) {
        if depth >= self.depth || self.left == 0 || self.is_full(o) {
            self.lossy = true;
            return self.bare(o, schema);
        }
        self.left -= 1;
        let layers = self.layers(schema);
        let first = |name: &str| layers.iter().find_map(|layer| layer.get(name));
        let (kinds, mut nullable) = types(&layers);
        nullable |= first("nullable").and_then(Val::as_bool) == Some(true);
        let mut choices: Vec<Val<'a>> = Vec::new();
        for choice in ["anyOf", "oneOf"].into_iter().filter_map(first).flat_map(Val::elements) {
            if choice.get_str("type").as_deref() == Some("null") {
                nullable = true;
            } else {
                choices.push(choice);
            }
        }
        if !self.held.hold(choices.len()) {
            self.lossy = true;
            return o.str("type", "OBJECT");
        }
        if let Some(text) = first("description").and_then(Val::as_str) {
            o.str("description", &text);
        }
        if nullable {
            o.bool("nullable", true);
        }
        self.lossy |= layers.iter().any(|layer| layer.says_more);
        match (choices.as_slice(), kinds.as_slice()) {
            // One that may be null is itself.
            ([only], []) => {
                let inner = object(|o| self.write(o, *only, depth + 1));
                let taken = ["nullable", "description"];
                Val::trusted(&inner)
                    .members()
                    .filter(|(name, _)| {
                        !taken.contains(&&**name) || (name == "description" && first("description").is_none())
                    })
                    .for_each(|(name, value)| o.raw(&name, value.raw()));
            }
            ([_, ..], _) => o.array("anyOf", |a| {
                for choice in &choices {
                    if a.len() > self.most {
                        self.lossy = true;
                        return;
                    }
                    a.object(|o| self.write(o, *choice, depth + 1));
                }
            }),
            ([], [_, _, ..]) => {
                o.array("anyOf", |a| {
                    for kind in &kinds {
                        a.object(|o| self.typed(o, kind, &layers, depth));
                    }
                });
            }
            ([], _) => {
                let kind = type_of(&layers).unwrap_or("STRING");
                self.typed(o, kind, &layers, depth);
            }
        }
        self.held.let_go(choices.len());
    }

    /// Whether nothing more is read or written: what is too long is not sent.
    fn is_full(&self, o: &Object<'_>) -> bool {
        self.looks.is_over() || self.held.is_over() || o.len() > self.most
    }

    /// An object or a list without what is in it, and anything else as it is.
    fn bare(&mut self, o: &mut Object<'_>, schema: Val<'a>) {
        if self.is_full(o) {
            return o.str("type", "OBJECT");
        }
        let (layers, kind) = self.kind(schema);
        match kind {
            "OBJECT" => o.str("type", "OBJECT"),
            "ARRAY" => {
                o.str("type", "ARRAY");
                let items = layers.iter().find_map(|layer| layer.get("items"));
                let inner = items.map_or("STRING", |items| self.kind(items).1);
                o.object("items", |o| o.str("type", if inner == "ARRAY" { "STRING" } else { inner }));
            }
            kind => self.typed(o, kind, &layers, DEPTH_MAX),
        }
    }

    /// The one type of a schema, or of the first that it may be but `null`.
    fn kind(&mut self, schema: Val<'a>) -> (Vec<Layer<'a>>, &'static str) {
        let mut layers = self.layers(schema);
        let choices = |layer: &Layer<'a>| layer.get("anyOf").or_else(|| layer.get("oneOf"));
        if let Some(choices) = layers.iter().find_map(choices).filter(|_| type_of(&layers).is_none()) {
            let is_null = |choice: &Val<'_>| choice.get_str("type").as_deref() == Some("null");
            if let Some(choice) = choices.elements().find(|choice| !is_null(choice)) {
                layers = self.layers(choice);
            }
        }
        let kind = type_of(&layers).unwrap_or("STRING");
        (layers, kind)
    }

    fn typed(&mut self, o: &mut Object<'_>, kind: &str, layers: &[Layer<'a>], depth: usize) {
        let first = |name: &str| layers.iter().find_map(|layer| layer.get(name));
        o.str("type", kind);
        let numbers = |o: &mut Object<'_>, names: [&str; 2]| {
            for name in names {
                if let Some(n) = first(name).filter(|n| n.kind() == Kind::Number) {
                    o.raw(name, n.raw());
                }
            }
        };
        match kind {
            "OBJECT" => {
                let properties: Vec<_> = properties(layers).take_while(|_| self.held.hold(1)).collect();
                if properties.is_empty() || self.held.is_over() {
                    return;
                }
                o.object("properties", |o| {
                    for (name, schema) in &properties {
                        if o.len() > self.most {
                            self.lossy = true;
                            return;
                        }
                        o.object(name, |o| self.write(o, *schema, depth + 1));
                    }
                });
                self.held.let_go(properties.len());
                let required =
                    layers.iter().filter_map(|layer| layer.get("required")).flat_map(Val::elements);
                let known: HashSet<&str> = properties.iter().map(|(name, _)| &**name).collect();
                let required: Vec<_> =
                    required.filter_map(Val::as_str).filter(|name| known.contains(&**name)).collect();
                if !required.is_empty() {
                    o.array("required", |a| required.iter().for_each(|name| a.str(name)));
                }
            }
            "ARRAY" => {
                let items = first("items").or_else(|| first("prefixItems"));
                let items = items.map(|items| items.elements().next().unwrap_or(items));
                o.object("items", |o| match items.filter(|items| items.kind() == Kind::Object) {
                    Some(items) => self.write(o, items, depth + 1),
                    None => o.str("type", "STRING"),
                });
                numbers(o, ["minItems", "maxItems"]);
            }
            "STRING" => {
                let listed = first("enum").into_iter().flat_map(Val::elements);
                let values: Vec<_> = listed.chain(first("const")).filter_map(Val::as_str).collect();
                if !values.is_empty() {
                    o.str("format", "enum");
                    o.array("enum", |a| values.iter().for_each(|value| a.str(value)));
                } else if let Some(format) = first("format").and_then(Val::as_str) {
                    match &*format {
                        "date-time" => o.str("format", "date-time"),
                        _ => self.lossy = true,
                    }
                }
            }
            "INTEGER" | "NUMBER" => {
                self.lossy |= first("enum").is_some() || first("const").is_some();
                numbers(o, ["minimum", "maximum"]);
            }
            _ => {}
        }
    }
}

/// What of a schema is carried over, and what that depends on.
const KEPT: [&str; 19] = [
    "type",
    "format",
    "description",
    "nullable",
    "enum",
    "const",
    "items",
    "prefixItems",
    "properties",
    "required",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "propertyOrdering",
    "oneOf",
    "$ref",
    "allOf",
];

/// What is asked of a schema, read at once.
struct Layer<'a> {
    said: Vec<(&'static str, Val<'a>)>,
    /// Something isn't carried over.
    says_more: bool,
}

impl<'a> Layer<'a> {
    fn of(whole: Val<'a>) -> Self {
        let mut layer = Self { said: Vec::new(), says_more: false };
        for (name, value) in whole.members() {
            let Some(word) = KEPT.into_iter().find(|word| *word == name) else {
                layer.says_more |= !SILENT.contains(&&*name);
                continue;
            };
            let is_unknown =
                |word: Cow<'_, str>| known_type(&word).is_none() && !word.eq_ignore_ascii_case("NULL");
            layer.says_more |= word == "oneOf" || word == "type" && words(value).any(is_unknown);
            layer.said.retain(|(before, _)| *before != word);
            layer.said.push((word, value));
        }
        layer
    }

    fn get(&self, name: &str) -> Option<Val<'a>> {
        let found = self.said.iter().find(|(word, _)| *word == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }
}

/// The types that a schema names, in capitals, and whether `null` is among them.
fn types(layers: &[Layer<'_>]) -> (Vec<&'static str>, bool) {
    let named = layers.iter().find_map(|layer| layer.get("type"));
    let (mut kinds, mut nullable) = (Vec::new(), false);
    // BOUND: each once. What an object says is said by each.
    for word in named.into_iter().flat_map(words) {
        nullable |= word.eq_ignore_ascii_case("NULL");
        kinds.extend(known_type(&word).filter(|kind| !kinds.contains(kind)));
    }
    (kinds, nullable)
}

/// What a type says: one word or several.
fn words(kind: Val<'_>) -> impl Iterator<Item = Cow<'_, str>> {
    kind.as_str().into_iter().chain(kind.elements().filter_map(Val::as_str))
}

fn known_type(word: &str) -> Option<&'static str> {
    TYPES.into_iter().find(|kind| kind.eq_ignore_ascii_case(word))
}

fn type_of(layers: &[Layer<'_>]) -> Option<&'static str> {
    let (kinds, _) = types(layers);
    if let Some(kind) = kinds.first() {
        return Some(kind);
    }
    let has = |name: &str| layers.iter().any(|layer| layer.get(name).is_some());
    let constant =
        layers.iter().find_map(|layer| layer.get("const").or_else(|| layer.get("enum")?.elements().next()));
    match constant.map(Val::kind) {
        Some(Kind::Number) => Some("NUMBER"),
        Some(Kind::Bool) => Some("BOOLEAN"),
        Some(_) => Some("STRING"),
        None if has("properties") => Some("OBJECT"),
        None if has("items") || has("prefixItems") => Some("ARRAY"),
        None => None,
    }
}

/// The members of these layers, the first of each name.
fn properties<'a>(layers: &[Layer<'a>]) -> impl Iterator<Item = (Cow<'a, str>, Val<'a>)> {
    let mut known: HashSet<Cow<'a, str>> = HashSet::new();
    let all = layers.iter().filter_map(|layer| layer.get("properties")).flat_map(Val::members);
    all.filter(move |(name, _)| known.insert(name.clone()))
}

/// A schema of Gemini's as JSON Schema: types in small letters, what may be null said by the type, counts as numbers. It says no more
/// than what came, by its length.
pub(crate) fn json_schema(schema: Val<'_>) -> String {
    object(|o| write_json(o, schema))
}

// BOUND: the body's own nesting is bounded.
fn write_json(o: &mut Object<'_>, schema: Val<'_>) {
    // Said once, whatever stands twice.
    let mut nullable = schema.get("nullable").and_then(Val::as_bool) == Some(true);
    for (name, value) in schema.members().filter(|(_, value)| !value.is_null()) {
        match &*super::camel_case(&name) {
            "type" => {
                let word = value.as_str().unwrap_or_default().to_ascii_lowercase();
                match word.as_str() {
                    "" | "type_unspecified" => {}
                    _ if std::mem::take(&mut nullable) => {
                        o.array("type", |a| [word.as_str(), "null"].iter().for_each(|word| a.str(word)))
                    }
                    word => o.str("type", word),
                }
            }
            "nullable" | "propertyOrdering" | "example" => {}
            "format" if value.as_str().as_deref() == Some("enum") => {}
            "properties" if value.kind() == Kind::Object => o.object("properties", |o| {
                value.members().for_each(|(name, value)| o.object(&name, |o| write_json(o, value)));
            }),
            "items" if value.kind() == Kind::Object => o.object("items", |o| write_json(o, value)),
            "anyOf" if value.kind() == Kind::Array => o.array("anyOf", |a| {
                value.elements().for_each(|value| a.object(|o| write_json(o, value)));
                if schema.get("type").is_none() && std::mem::take(&mut nullable) {
                    a.object(|o| o.str("type", "null"));
                }
            }),
            // Numbers of 64 bits are strings in Google's JSON.
            name @ ("minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties") => {
                match value.as_str().filter(|text| Val::parse(text).is_ok_and(|v| v.kind() == Kind::Number)) {
                    Some(text) => o.raw(name, &text),
                    None => o.raw(name, value.raw()),
                }
            }
            name => o.raw(name, value.raw()),
        }
    }
}

#[cfg(test)]
mod tests;
