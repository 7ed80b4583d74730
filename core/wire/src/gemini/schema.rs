//! Schemas: JSON Schema into the part of OpenAPI's that models before 2.5 take, and that part into JSON Schema.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::facts::rewritten;
use crate::json::{Kind, Object, Val, object};

/// References are followed this deep, or less deep where that would be too much; a schema that refers to itself ends there as
/// any object.
// BOUND: of nesting.
const DEPTHS: [usize; 7] = [24, 12, 6, 4, 3, 2, 1];
const DEPTH_MAX: usize = DEPTHS[0];
/// And this many schemas are written of one.
// BOUND: references may multiply what a schema says.
const SCHEMAS_MAX: usize = 2_000;
/// And so many schemas are looked at to tell what one says.
const LAYERS_MAX: usize = 32;
/// So often as much as it is long is looked at of a schema, and a little.
// BOUND: each schema is read with all that is in it, and a reference may bring in much of it again.
const LOOKS: usize = 2 * DEPTH_MAX;
const LOOKS_LEAST: usize = 1 << 20;

/// A JSON schema as the older models take it, and whether it says less now. `None` for an object without properties, which
/// they take no schema for.
pub(super) fn cleaned(schema: &str) -> (Option<String>, bool) {
    let root = Val::trusted(schema);
    let mut cleaner = Cleaner::of(root);
    let layers = cleaner.layers(root);
    let is_empty = type_of(&layers).is_none_or(|kind| kind == "OBJECT")
        && properties(&layers).is_empty()
        && !layers.iter().any(|layer| layer.get("anyOf").is_some() || layer.get("oneOf").is_some());
    if is_empty {
        return (None, cleaner.lossy);
    }
    let most = rewritten(root.raw());
    for depth in DEPTHS {
        let mut cleaner = Cleaner { depth, most, ..Cleaner::of(root) };
        let text = object(|o| cleaner.write(o, root, 0));
        if text.len() <= most {
            return (Some(text), cleaner.lossy);
        }
    }
    (None, true)
}

struct Cleaner<'a> {
    root: Val<'a>,
    /// References are followed this deep.
    depth: usize,
    /// And so many bytes are written.
    most: usize,
    left: usize,
    /// Bytes that may still be looked at.
    looks: usize,
    /// What references refer to.
    known: HashMap<String, Option<Val<'a>>>,
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
        let looks = root.raw().len().saturating_mul(LOOKS).saturating_add(LOOKS_LEAST);
        Self {
            root,
            depth: DEPTH_MAX,
            most: usize::MAX,
            left: SCHEMAS_MAX,
            looks,
            known: HashMap::new(),
            lossy: false,
        }
    }

    /// Whether there is still time to look at it.
    fn look(&mut self, v: Val<'a>) -> bool {
        match self.looks.checked_sub(v.raw().len()) {
            Some(left) => self.looks = left,
            None => self.looks = 0,
        }
        self.looks > 0
    }

    /// The schema and all that it refers to or joins: together they say what it says.
    fn layers(&mut self, schema: Val<'a>) -> Vec<Val<'a>> {
        let mut layers = vec![schema];
        let mut at = 0;
        while let Some(layer) = layers.get(at).copied() {
            at += 1;
            if !self.look(layer) || layers.len() >= LAYERS_MAX {
                self.lossy = true;
                break;
            }
            let referred = layer.get_str("$ref").and_then(|pointer| self.resolve(&pointer));
            layers.extend(referred);
            layers.extend(layer.get("allOf").into_iter().flat_map(Val::elements).take(LAYERS_MAX));
        }
        layers
    }

    fn resolve(&mut self, pointer: &str) -> Option<Val<'a>> {
        if let Some(known) = self.known.get(pointer) {
            return *known;
        }
        let found = self.walk(pointer);
        self.known.insert(pointer.to_owned(), found);
        found
    }

    fn walk(&mut self, pointer: &str) -> Option<Val<'a>> {
        let mut found = self.root;
        for step in pointer.strip_prefix("#")?.split('/').skip(1) {
            if !self.look(found) {
                self.lossy = true;
                return None;
            }
            found = found.get(&step.replace("~1", "/").replace("~0", "~"))?;
        }
        Some(found)
    }

    fn write(&mut self, o: &mut Object<'_>, schema: Val<'a>, depth: usize) {
        if depth >= self.depth || self.left == 0 || self.looks == 0 || o.len() > self.most {
            self.lossy = true;
            return o.str("type", "OBJECT");
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
        if let Some(text) = first("description").and_then(Val::as_str) {
            o.str("description", &text);
        }
        if nullable {
            o.bool("nullable", true);
        }
        self.note(&layers);
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
                let kind = type_of(&layers).unwrap_or(Cow::Borrowed("STRING"));
                self.typed(o, &kind, &layers, depth);
            }
        }
    }

    fn typed(&mut self, o: &mut Object<'_>, kind: &str, layers: &[Val<'a>], depth: usize) {
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
                let properties = properties(layers);
                if properties.is_empty() {
                    return;
                }
                o.object("properties", |o| {
                    for (name, schema) in &properties {
                        o.object(name, |o| self.write(o, *schema, depth + 1));
                    }
                });
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

    /// Notes what isn't carried over.
    fn note(&mut self, layers: &[Val<'a>]) {
        const KEPT: [&str; 16] = [
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
        ];
        let said = layers.iter().flat_map(|layer| layer.members());
        self.lossy |= said.into_iter().any(|(name, _)| !KEPT.contains(&&*name) && !SILENT.contains(&&*name));
    }
}

/// The types that a schema names, in capitals, and whether `null` is among them.
fn types(layers: &[Val<'_>]) -> (Vec<String>, bool) {
    let named = layers.iter().find_map(|layer| layer.get("type"));
    let words = named
        .into_iter()
        .flat_map(|kind| kind.as_str().into_iter().chain(kind.elements().filter_map(Val::as_str)));
    let words: Vec<String> = words.map(|word| word.to_ascii_uppercase()).collect();
    let nullable = words.iter().any(|word| word == "NULL");
    (words.into_iter().filter(|word| word != "NULL").collect(), nullable)
}

fn type_of(layers: &[Val<'_>]) -> Option<Cow<'static, str>> {
    let (kinds, _) = types(layers);
    if let Some(kind) = kinds.into_iter().next() {
        return Some(Cow::Owned(kind));
    }
    let has = |name: &str| layers.iter().any(|layer| layer.get(name).is_some());
    let constant =
        layers.iter().find_map(|layer| layer.get("const").or_else(|| layer.get("enum")?.elements().next()));
    match constant.map(Val::kind) {
        Some(Kind::Number) => Some(Cow::Borrowed("NUMBER")),
        Some(Kind::Bool) => Some(Cow::Borrowed("BOOLEAN")),
        Some(_) => Some(Cow::Borrowed("STRING")),
        None if has("properties") => Some(Cow::Borrowed("OBJECT")),
        None if has("items") || has("prefixItems") => Some(Cow::Borrowed("ARRAY")),
        None => None,
    }
}

fn properties<'a>(layers: &[Val<'a>]) -> Vec<(Cow<'a, str>, Val<'a>)> {
    let mut known: HashSet<Cow<'a, str>> = HashSet::new();
    let all = layers.iter().filter_map(|layer| layer.get("properties")).flat_map(Val::members);
    all.filter(|(name, _)| known.insert(name.clone())).collect()
}

/// A schema of Gemini's as JSON Schema: types in small letters, what may be null said by the type, counts as numbers.
pub(super) fn json_schema(schema: Val<'_>) -> String {
    object(|o| write_json(o, schema))
}

// BOUND: the body's own nesting is bounded.
fn write_json(o: &mut Object<'_>, schema: Val<'_>) {
    let nullable = schema.get("nullable").and_then(Val::as_bool) == Some(true);
    for (name, value) in schema.members().filter(|(_, value)| !value.is_null()) {
        match &*super::camel_case(&name) {
            "type" => {
                let word = value.as_str().unwrap_or_default().to_ascii_lowercase();
                match word.as_str() {
                    "" | "type_unspecified" => {}
                    _ if nullable => {
                        o.array("type", |a| [word.as_str(), "null"].iter().for_each(|word| a.str(word)))
                    }
                    word => o.str("type", word),
                }
            }
            "nullable" | "propertyOrdering" | "example" => {}
            "format" if value.as_str().as_deref() == Some("enum") => {}
            "properties" => o.object("properties", |o| {
                value.members().for_each(|(name, value)| o.object(&name, |o| write_json(o, value)));
            }),
            "items" => o.object("items", |o| write_json(o, value)),
            "anyOf" => o.array("anyOf", |a| {
                value.elements().for_each(|value| a.object(|o| write_json(o, value)));
                if nullable && schema.get("type").is_none() {
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
mod tests {
    use super::*;

    fn clean(schema: &str) -> (String, bool) {
        let (text, lossy) = cleaned(schema);
        let text = text.unwrap_or_default();
        assert!(text.is_empty() || Val::parse(&text).is_ok(), "{text}");
        (text, lossy)
    }

    #[test]
    fn older_models_get_what_they_take() {
        for (schema, want, lossy) in [
            (r#"{"type":"object","properties":{}}"#, "", false),
            (r#"{}"#, "", false),
            (
                r#"{"$schema":"x","type":"object","title":"T","properties":{"a":{"type":["string","null"],"default":""},"n":{"type":"integer","minimum":1}},"required":["a","gone"],"additionalProperties":false}"#,
                r#"{"type":"OBJECT","properties":{"a":{"nullable":true,"type":"STRING"},"n":{"type":"INTEGER","minimum":1}},"required":["a"]}"#,
                false,
            ),
            (
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"array","items":{"const":"x"}}}}"##,
                r#"{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"STRING","format":"enum","enum":["x"]}}}}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string","description":"d"},{"type":"null"}]},"b":{"oneOf":[{"type":"number"},{"type":"boolean"}]}}}"#,
                r#"{"type":"OBJECT","properties":{"a":{"nullable":true,"type":"STRING"},"b":{"anyOf":[{"type":"NUMBER"},{"type":"BOOLEAN"}]}}}"#,
                true,
            ),
            (
                r#"{"properties":{"a":{"type":["string","number"]},"u":{"type":"string","format":"uri"}}}"#,
                r#"{"type":"OBJECT","properties":{"a":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]},"u":{"type":"STRING"}}}"#,
                true,
            ),
            (
                r#"{"allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{}}}]}"#,
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"}},"required":["a"]}"#,
                false,
            ),
        ] {
            let (got, lost) = clean(schema);
            assert_eq!(got.replace(r#""description":"d","#, ""), want, "{schema}");
            assert_eq!(lost, lossy, "{schema}");
        }
    }

    #[test]
    fn no_schema_is_read_more_often_than_its_bound() {
        let ends = |of: &dyn Fn(usize) -> String, n: usize| (0..n).map(of).collect::<Vec<_>>().join(",");
        // Many names for parts of one large definition, and one large definition by many names.
        let apart = format!(
            r##"{{"properties":{{{}}},"$defs":{{{}}}}}"##,
            ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d{n}"}}"##), 20_000),
            ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
        );
        let again = format!(
            r##"{{"properties":{{{}}},"$defs":{{"d":{{"properties":{{{}}}}}}}}}"##,
            ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d"}}"##), 1_000),
            ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
        );
        for schema in [apart, again] {
            let root = Val::trusted(&schema);
            let mut cleaner = Cleaner::of(root);
            let most = cleaner.looks;
            let text = object(|o| cleaner.write(o, root, 0));
            assert!(Val::parse(&text).is_ok() && cleaner.lossy);
            assert!(cleaner.left < SCHEMAS_MAX && most - cleaner.looks <= LOOKS * schema.len() + LOOKS_LEAST);
            // A name that was followed once isn't again.
            assert!(cleaner.known.len() <= SCHEMAS_MAX);
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_has_an_end() {
        let (text, lossy) = clean(
            r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"allOf":[{"$ref":"#"},{"$ref":"#/properties/c"}]}}}"##,
        );
        assert!(lossy && (90..1_024).contains(&text.len()), "{text}");
        assert!(cleaned(r##"{"$ref":"#"}"##).1);
        // Each definition says the next one twice.
        let defined: Vec<String> = (0..20)
            .map(|n| {
                let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, n + 1);
                format!(r#""d{n}":{{"type":"object","properties":{{"a":{next},"b":{next}}}}}"#)
            })
            .collect();
        let schema = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, defined.join(","));
        let (text, lossy) = clean(&schema);
        assert!(lossy && (1_000..rewritten(&schema)).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn schemas_of_geminis_become_json_schema() {
        let schema = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"format":"enum","enum":["x"]},"l":{"type":"ARRAY","min_items":"3","items":{"type":"INTEGER","format":"int32"}},"type":{"anyOf":[{"type":"NUMBER"}],"nullable":true}},"propertyOrdering":["a"],"required":["a"]}"#;
        assert_eq!(
            json_schema(Val::trusted(schema)),
            r#"{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]},"l":{"type":"array","minItems":3,"items":{"type":"integer","format":"int32"}},"type":{"anyOf":[{"type":"number"},{"type":"null"}]}},"required":["a"]}"#
        );
    }
}
