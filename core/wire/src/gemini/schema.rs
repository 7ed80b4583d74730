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
mod tests {
    use super::*;

    fn cleaned(schema: &str) -> (Option<String>, bool) {
        super::cleaned(schema, &mut Looks::shared())
    }

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
        // Many names for parts of one large definition: each is read once or twice.
        let apart = format!(
            r##"{{"properties":{{{}}},"$defs":{{{}}}}}"##,
            ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d{n}"}}"##), 20_000),
            ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
        );
        // One large definition by many names: some are read.
        let again = format!(
            r##"{{"properties":{{{}}},"$defs":{{"d":{{"type":"string","not":{{{}}}}}}}}}"##,
            ends(&|n| format!(r##""p{n}":{{"$ref":"#/$defs/d"}}"##), 1_000),
            ends(&|n| format!(r#""d{n}":{{"type":"string"}}"#), 20_000),
        );
        for (schema, times, known) in [(apart, 1..6, 20_000..20_001), (again, 64..80, 64..80)] {
            let root = Val::trusted(&schema);
            let mut cleaner = Cleaner::of(root);
            let before = cleaner.looks.left();
            let text = object(|o| cleaner.write(o, root, 0));
            assert!(Val::parse(&text).is_ok() && cleaner.lossy);
            let spent = (before - cleaner.looks.left()) / schema.len();
            assert!(times.contains(&spent), "{spent} times");
            let strings = text.matches("STRING").count();
            assert!(known.contains(&strings), "{strings}");
        }
    }

    #[test]
    fn many_schemas_share_what_one_may_be_read_beyond_its_length() {
        let each = |n: usize| format!(r##""p{n}":{{"$ref":"#/$defs/a"}}"##);
        let all: Vec<String> = (0..20).map(each).collect();
        let schema =
            format!(r##"{{"$ref":"#/$defs/a","$defs":{{"a":{{"properties":{{{}}}}}}}}}"##, all.join(","));
        let mut shared = Looks::shared();
        let lengths: Vec<usize> =
            (0..200).map(|_| super::cleaned(&schema, &mut shared).0.map_or(0, |text| text.len())).collect();
        // Those behind are less deep, and there.
        assert!(lengths[0] > 2 * schema.len() && lengths[199] < lengths[0], "{lengths:?}");
        assert!(shared.left() == 0 && lengths[199] > schema.len() / 2, "{lengths:?}");
    }

    #[test]
    fn one_type_named_often_is_one() {
        let names: Vec<String> = (0..9_000).map(|n| format!(r#""p{n}":{{}}"#)).collect();
        let kinds = vec![r#""object""#; 10_000].join(",");
        let schema = format!(r#"{{"type":[{kinds}],"properties":{{{}}}}}"#, names.join(","));
        let root = Val::trusted(&schema);
        let mut cleaner = Cleaner::of(root);
        let text = object(|o| cleaner.write(o, root, 0));
        assert_eq!(text.matches(r#""p8999""#).count(), 1);
        // What is too long is given up at once, however many types there are.
        let kinds: Vec<String> = (0..1_000).map(|n| format!(r#""object","array{n}""#)).collect();
        let schema = format!(
            r##"{{"properties":{{"a":{{"$ref":"#/$defs/d"}},"b":{{"$ref":"#/$defs/d"}}}},"$defs":{{"d":{{"type":[{}],"properties":{{{}}}}}}}}}"##,
            kinds.join(","),
            names.join(",")
        );
        let root = Val::trusted(&schema);
        let mut cleaner = Cleaner { most: 10_000, ..Cleaner::of(root) };
        let text = object(|o| cleaner.write(o, root, 0));
        assert!((10_000..10_500).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn what_many_refer_to_is_written_in_each_place() {
        let money = r#"{"type":"object","description":"An amount of money with its currency.","properties":{"amount":{"type":"number","description":"The amount in units of the currency."},"currency":{"type":"string","description":"ISO 4217 code."}},"required":["amount","currency"]}"#;
        let names: Vec<String> = (0..15).map(|n| format!("sum{n}")).collect();
        let used: Vec<String> =
            names.iter().map(|name| format!(r##""{name}":{{"$ref":"#/%24defs/Money%3CT%3E"}}"##)).collect();
        let schema = format!(
            r#"{{"type":"object","properties":{{{}}},"$defs":{{"Money<T>":{money}}}}}"#,
            used.join(",")
        );
        let (text, lossy) = clean(&schema);
        assert!(!lossy && text.len() > 3 * schema.len() + 128, "{text}");
        assert_eq!(
            text.matches(
                r#""amount":{"description":"The amount in units of the currency.","type":"NUMBER"}"#
            )
            .count(),
            15
        );
    }

    #[test]
    fn what_is_beyond_the_bound_keeps_its_type() {
        let schema = r##"{"properties":{"s":{"type":["string","null"]},"e":{"$ref":"#/$defs/e"},"n":{"anyOf":[{"type":"null"},{"type":"integer"}]},"l":{"type":"array","items":{"type":"number"}},"o":{"properties":{"a":{"type":"string"}}},"x":{}},"$defs":{"e":{"enum":["a"]}}}"##;
        let root = Val::trusted(schema);
        let mut cleaner = Cleaner { depth: 1, ..Cleaner::of(root) };
        let text = object(|o| cleaner.write(o, root, 0));
        assert_eq!(
            text,
            r#"{"type":"OBJECT","properties":{"s":{"type":"STRING"},"e":{"type":"STRING","format":"enum","enum":["a"]},"n":{"type":"INTEGER"},"l":{"type":"ARRAY","items":{"type":"NUMBER"}},"o":{"type":"OBJECT"},"x":{"type":"STRING"}}}"#
        );
        assert!(cleaner.lossy);
    }

    #[test]
    fn a_schema_that_refers_to_itself_has_an_end() {
        let (text, lossy) = clean(
            r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"allOf":[{"$ref":"#"},{"$ref":"#/properties/c"}]}}}"##,
        );
        assert!(lossy && (90..2_048).contains(&text.len()), "{text}");
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
    fn what_stands_behind_a_deep_tree_keeps_its_type() {
        for kinds in [2, 5, 20] {
            let node = |n: usize| {
                format!(
                    r##""n{n}":{{"type":"object","properties":{{"left":{{"$ref":"#/$defs/e"}},"right":{{"$ref":"#/$defs/e"}},"args":{{"type":"array","items":{{"$ref":"#/$defs/e"}}}},"name":{{"type":"string"}},"kind":{{"const":"n{n}"}}}},"required":["kind"]}}"##
                )
            };
            let nodes: Vec<String> = (0..kinds).map(node).collect();
            let any: Vec<String> = (0..kinds).map(|n| format!(r##"{{"$ref":"#/$defs/n{n}"}}"##)).collect();
            let schema = format!(
                r##"{{"type":"object","properties":{{"root":{{"$ref":"#/$defs/e"}},"title":{{"type":"string"}}}},"$defs":{{"e":{{"anyOf":[{}]}},{}}}}}"##,
                any.join(","),
                nodes.join(",")
            );
            let (text, lossy) = clean(&schema);
            assert!(lossy && text.ends_with(r#""title":{"type":"STRING"}}}"#), "{kinds}: {text}");
        }
    }

    #[test]
    fn references_that_lead_to_references_have_an_end() {
        let title = "x".repeat(1 << 20);
        let chain: Vec<String> =
            (0..5_000).map(|n| format!(r##""a{n}":{{"$ref":"#/$defs/a{}"}}"##, n + 1)).collect();
        for (defs, last) in [
            (r##""a0":{"$ref":"#/$defs/a0"}"##.to_owned(), "to itself"),
            (r##""a0":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a0"}"##.to_owned(), "in a circle"),
            (chain.join(","), "in a chain"),
        ] {
            let schema = format!(
                r##"{{"title":"{title}","properties":{{"b":{{"$ref":"#/$defs/a0"}},"c":{{"type":"string"}}}},"$defs":{{{defs}}}}}"##
            );
            let root = Val::trusted(&schema);
            let mut cleaner = Cleaner::of(root);
            let one = Val::trusted(&schema).get("properties").and_then(|all| all.get("b")).unwrap();
            assert!(cleaner.layers(one).len() <= 2 * LAYERS_MAX && cleaner.lossy, "{last}");
            let (text, lossy) = cleaned(&schema);
            assert!(lossy && text.unwrap().contains(r#""c":{"type":"STRING"}"#), "{last}");
        }
        // Each of many that are joined has its own.
        let joined: Vec<String> = (0..31).map(|n| format!(r##"{{"$ref":"#/$defs/d{n}"}}"##)).collect();
        let defs: Vec<String> =
            (0..31).map(|n| format!(r#""d{n}":{{"properties":{{"p{n}":{{"type":"string"}}}}}}"#)).collect();
        let schema =
            format!(r#"{{"type":"object","allOf":[{}],"$defs":{{{}}}}}"#, joined.join(","), defs.join(","));
        assert_eq!(clean(&schema).0.matches("STRING").count(), 31);
    }

    #[test]
    fn choices_that_wait_are_counted_and_not_all_written() {
        let schema = format!(r##"{{"anyOf":[{{"$ref":"#"}}{}]}}"##, ",{}".repeat(200_000));
        let mut cleaner = Cleaner::of(Val::trusted(&schema));
        cleaner.most = rewritten(&schema);
        let text = object(|o| cleaner.write(o, Val::trusted(&schema), 0));
        assert!(text.len() < 2 * cleaner.most && cleaner.held.is_over(), "{}", text.len());
    }

    #[test]
    fn all_that_a_schema_joins_is_read_or_missed_by_name() {
        let joined: Vec<String> =
            (0..40).map(|n| format!(r#"{{"properties":{{"p{n}":{{"type":"string"}}}}}}"#)).collect();
        let (text, lossy) = clean(&format!(r#"{{"type":"object","allOf":[{}]}}"#, joined.join(",")));
        assert!(lossy && text.matches("STRING").count() == LAYERS_MAX - 1, "{text}");
    }

    #[test]
    fn members_that_wait_are_counted() {
        // They wait on each of its levels.
        let many: String = (0..20_000).map(|n| format!(r#","{n}":0"#)).collect();
        let schema = format!(r##"{{"type":"object","properties":{{"a":{{"$ref":"#"}}{many}}}}}"##);
        let mut cleaner = Cleaner::of(Val::trusted(&schema));
        cleaner.most = rewritten(&schema);
        object(|o| cleaner.write(o, Val::trusted(&schema), 0));
        assert!(cleaner.held.is_over());
        assert!(cleaned(&schema).1);
    }

    #[test]
    fn schemas_of_geminis_become_json_schema() {
        let schema = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"format":"enum","enum":["x"]},"l":{"type":"ARRAY","min_items":"3","items":{"type":"INTEGER","format":"int32"}},"type":{"anyOf":[{"type":"NUMBER"}],"nullable":true}},"propertyOrdering":["a"],"required":["a"]}"#;
        assert_eq!(
            json_schema(Val::trusted(schema)),
            r#"{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"]},"l":{"type":"array","minItems":3,"items":{"type":"integer","format":"int32"}},"type":{"anyOf":[{"type":"number"},{"type":"null"}]}},"required":["a"]}"#
        );
        // What is no schema stays as it is, and nothing is said more often than it stands there.
        for odd in [
            r#"{"items":1,"properties":[],"anyOf":"x"}"#,
            r#"{"anyOf":[{}],"anyOf":[{}],"any_of":[{}],"nullable":true}"#,
            r#"{"type":"A","type":"B","type":"C","nullable":true}"#,
        ] {
            let got = json_schema(Val::trusted(odd));
            assert!(got.len() <= odd.len() && Val::parse(&got).is_ok(), "{got}");
        }
    }
}
