//! JSON Schema as Anthropic's structured outputs take it: closed objects, no bounds of numbers, texts and lists, nothing that
//! refers to itself.
// QUIRK(anthropic, 2026-11, https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations): 400
// for anything else, whatever the caller meant by it.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::{Kind, Object, Val, object};
use crate::loss::Losses;

/// So many schemas are written of one.
// BOUND: references in `allOf` may multiply what a schema says.
const SCHEMAS_MAX: usize = 2_000;
/// So many are joined by `allOf`.
const LAYERS_MAX: usize = 32;
/// So many references are followed to see whether one leads back.
const REFERENCES_MAX: usize = 256;
/// So often as much as it is long is looked at of a schema, and a little.
// BOUND: each schema is read with all that is in it, and a reference may bring in much of it again, and into descriptions.
const LOOKS: usize = 32;
const LOOKS_LEAST: usize = 1 << 20;
/// Formats of texts that are taken.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Words that say nothing to a model.
const SILENT: [&str; 8] =
    ["$schema", "$id", "$anchor", "$comment", "deprecated", "readOnly", "writeOnly", "additionalProperties"];

/// A schema as the target takes it. What had to be put otherwise is named at `path`; `None` when it can't be put at all: it
/// refers to itself.
pub(super) fn closed(schema: &str, path: &str, losses: &mut Losses) -> Option<String> {
    let root = Val::trusted(schema);
    if root.kind() != Kind::Object {
        return Some(schema.to_owned());
    }
    if leads_back(root) {
        return None;
    }
    let mut closer = Closer {
        root,
        left: SCHEMAS_MAX,
        looks: Looks::at(root),
        shut: false,
        emptied: false,
        moved: false,
        cut: false,
    };
    let text = object(|o| closer.write(o, root));
    for (is_so, why) in [
        (closer.shut, "objects are closed: the target takes no others"),
        (closer.emptied, "an object of any members is closed, and so will be empty"),
        (closer.moved, "what the target can't hold an answer to stands in descriptions"),
        (closer.cut, "the schema is larger than can be put in the target's words"),
    ] {
        if is_so {
            losses.approximated(path, why);
        }
    }
    Some(text)
}

/// How much may still be looked at, in bytes.
struct Looks(usize);

impl Looks {
    fn at(root: Val<'_>) -> Self {
        Self(root.raw().len().saturating_mul(LOOKS).saturating_add(LOOKS_LEAST))
    }

    /// Whether there is time to look at it.
    fn look(&mut self, v: Val<'_>) -> bool {
        self.0 = self.0.saturating_sub(v.raw().len());
        self.0 > 0
    }
}

struct Closer<'a> {
    root: Val<'a>,
    left: usize,
    looks: Looks,
    /// An object had been open.
    shut: bool,
    /// An object had been open that names no members.
    emptied: bool,
    /// Something stands in a description now.
    moved: bool,
    cut: bool,
}

impl<'a> Closer<'a> {
    /// The schema and all that it joins: each closed by itself, they would bar each other's members.
    fn layers(&mut self, schema: Val<'a>) -> Vec<Val<'a>> {
        let mut layers = vec![schema];
        let mut at = 0;
        while let Some(layer) = layers.get(at).copied() {
            at += 1;
            let joined: Vec<Val<'a>> = layer.get("allOf").into_iter().flat_map(Val::elements).collect();
            if layers.len() + joined.len() > LAYERS_MAX {
                self.cut = true;
                break;
            }
            let alone = at == 1 && joined.len() == 1;
            for inner in joined {
                let found = inner.get_str("$ref").filter(|_| self.looks.look(self.root));
                match found.and_then(|pointer| resolve(self.root, &pointer)) {
                    // One that joins nothing may stand as a reference.
                    Some(found) if !alone || schema.get("properties").is_some() => layers.push(found),
                    _ => layers.push(inner),
                }
            }
        }
        layers
    }

    // BOUND: the body's own nesting is bounded, and so is how many are written.
    fn write(&mut self, o: &mut Object<'_>, schema: Val<'a>) {
        let Some(left) = self.left.checked_sub(1) else {
            self.cut = true;
            return;
        };
        self.left = left;
        let layers = self.layers(schema);
        if !layers.iter().all(|layer| self.looks.look(*layer)) {
            self.cut = true;
            return;
        }
        let mut said = String::new();
        let mut moved: Vec<String> = Vec::new();
        let mut written: HashSet<Cow<'a, str>> = HashSet::new();
        let is_object = layers.iter().any(|layer| is_object(*layer));
        for (name, value) in layers.iter().flat_map(|layer| layer.members()) {
            if matches!(&*name, "properties" | "required" | "allOf") || SILENT.contains(&&*name) {
                continue;
            }
            let first = written.insert(name.clone());
            match (&*name, first) {
                ("description", true) => said = value.as_str().unwrap_or_default().into_owned(),
                ("description" | "title" | "default", false) => {}
                (_, false) => moved.push(format!("{name} {}", value.raw())),
                _ => self.member(o, &name, value, &mut moved),
            }
        }
        if is_object {
            self.object(o, &layers);
        }
        if !moved.is_empty() {
            self.moved = true;
            if !said.is_empty() {
                said.push_str("\n\n");
            }
            said.push_str(&format!("Must hold: {}.", moved.join("; ")));
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
            "$defs" | "definitions" => {
                return o.object(name, |o| {
                    value.members().for_each(|(name, inner)| o.object(&name, |o| self.write(o, inner)));
                });
            }
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

    /// The members of an object, of all layers, and that there are no others.
    fn object(&mut self, o: &mut Object<'_>, layers: &[Val<'a>]) {
        let mut known: HashSet<Cow<'a, str>> = HashSet::new();
        let all = layers.iter().filter_map(|layer| layer.get("properties")).flat_map(Val::members);
        let properties: Vec<_> = all.filter(|(name, _)| known.insert(name.clone())).collect();
        o.object("properties", |o| {
            properties.iter().for_each(|(name, inner)| o.object(name, |o| self.write(o, *inner)));
        });
        let required = layers.iter().filter_map(|layer| layer.get("required")).flat_map(Val::elements);
        let mut asked: HashSet<Cow<'a, str>> = HashSet::new();
        let required: Vec<_> =
            required.filter_map(Val::as_str).filter(|name| asked.insert(name.clone())).collect();
        if !required.is_empty() {
            o.array("required", |a| required.iter().for_each(|name| a.str(name)));
        }
        o.bool("additionalProperties", false);
        let others: Vec<_> = layers.iter().filter_map(|layer| layer.get("additionalProperties")).collect();
        let bars = others.iter().any(|others| others.as_bool() == Some(false));
        self.shut |= !bars;
        self.emptied |= !bars && properties.is_empty();
    }
}

fn is_object(schema: Val<'_>) -> bool {
    let named = schema.get("type");
    let is_word = |word: Cow<'_, str>| word == "object";
    schema.get("properties").is_some()
        || named.is_some_and(|kind| {
            kind.as_str().is_some_and(is_word) || kind.elements().filter_map(Val::as_str).any(is_word)
        })
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

fn resolve<'a>(root: Val<'a>, pointer: &str) -> Option<Val<'a>> {
    let steps = pointer.strip_prefix('#')?.split('/').skip(1);
    steps
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .try_fold(root, |found, step| found.get(&step))
}

/// The references within a schema, as far as there is time.
fn references(v: Val<'_>, found: &mut Vec<String>, looks: &mut Looks) {
    if !looks.look(v) {
        return;
    }
    for (name, value) in v.members() {
        match value.as_str().filter(|_| name == "$ref") {
            Some(pointer) => found.push(pointer.into_owned()),
            None => references(value, found, looks),
        }
    }
    v.elements().for_each(|value| references(value, found, looks));
}

/// Whether a schema refers to itself, in however many steps. One of more references than are followed counts as one that does.
fn leads_back(root: Val<'_>) -> bool {
    let (mut found, mut looks) = (Vec::new(), Looks::at(root));
    references(root, &mut found, &mut looks);
    found.sort_unstable();
    found.dedup();
    if found.len() > REFERENCES_MAX {
        return true;
    }
    let next: Vec<Vec<usize>> = found
        .iter()
        .map(|pointer| {
            let mut inner = Vec::new();
            if looks.look(root)
                && let Some(v) = resolve(root, pointer)
            {
                references(v, &mut inner, &mut looks);
            }
            inner.iter().filter_map(|pointer| found.binary_search(pointer).ok()).collect()
        })
        .collect();
    if looks.0 == 0 {
        return true;
    }
    // What refers to nothing that is left leads nowhere: when some are left that all lead on, they lead in a circle.
    let mut left: HashSet<usize> = (0..found.len()).collect();
    loop {
        let ends: Vec<usize> = left
            .iter()
            .copied()
            .filter(|at| next.get(*at).is_none_or(|next| !next.iter().any(|to| left.contains(to))))
            .collect();
        if ends.is_empty() {
            return !left.is_empty();
        }
        left.retain(|at| !ends.contains(at));
    }
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
                r##"{"$defs":{"d":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}},"type":"object","properties":{"b":{"type":"string"},"c":{"const":1}},"required":["b","c"],"additionalProperties":false,"description":"Must hold: type \"object\"."}"##,
                2,
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
            (r#"{"oneOf":[{"type":"string"}]}"#, r#"{"anyOf":[{"type":"string"}]}"#, 1),
        ] {
            let mut losses = Losses::default();
            assert_eq!(closed(schema, "p", &mut losses).as_deref(), Some(want), "{schema}");
            assert_eq!(losses.count(), lost, "{schema}");
            let mut again = Losses::default();
            closed(want, "p", &mut again);
            assert!(again.is_empty(), "what is closed stays: {want}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_known() {
        for (schema, want) in [
            (r##"{"properties":{"a":{"$ref":"#"}}}"##, true),
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"items":{"$ref":"#/$defs/a"}}}}"##,
                true,
            ),
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"},"c":{"$ref":"#/$defs/b"}}},"b":{}}}"##,
                false,
            ),
            (r#"{"type":"string"}"#, false),
        ] {
            assert_eq!(leads_back(Val::trusted(schema)), want, "{schema}");
            assert_eq!(closed(schema, "p", &mut Losses::default()).is_none(), want, "{schema}");
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
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(100), "}".repeat(100));
        let referred = many(300, &|at| format!(r##""p{at}":{{"$ref":"#/$defs/d{at}"}}"##));
        for schema in [
            format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{joins}}}}}"##),
            deep,
            format!(r#"{{"properties":{{{referred}}}}}"#),
        ] {
            let written = closed(&schema, "p", &mut Losses::default()).map_or(0, |text| text.len());
            assert!(written <= schema.len() * LOOKS + LOOKS_LEAST, "{written} of {}", schema.len());
        }
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
