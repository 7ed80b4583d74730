//! Whether a schema may be held to strictly: OpenAI refuses others that claim to be.

use std::collections::HashSet;

use crate::json::{Kind, Val};
use crate::loss::Losses;

/// So deep may objects stand in each other. Lists and choices between them don't count, and definitions begin anew.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)
const DEPTH_MAX: usize = 10;
/// Words that a strict schema may not have.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)
const REFUSED: [&str; 9] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
];

/// Whether to hold to a schema as strictly as is wanted: one that can't be held to so is named at `path`.
pub(crate) fn held(wanted: bool, schema: Option<&str>, path: &str, losses: &mut Losses) -> bool {
    let held = wanted && schema.is_some_and(qualifies);
    if wanted && !held {
        losses.approximated(path, "the schema can't be held to strictly here: it stands for what is wanted");
    }
    held
}

/// Whether each object of a schema names all its members, requires them, and bars others.
pub(super) fn qualifies(schema: &str) -> bool {
    let schema = Val::trusted(schema);
    schema.get_str("type").as_deref() == Some("object") && schema.get("anyOf").is_none() && fits(schema, 0)
}

// BOUND: the body's own nesting is bounded.
fn fits(schema: Val<'_>, depth: usize) -> bool {
    if schema.kind() != Kind::Object {
        return false;
    }
    let properties = schema.get("properties");
    let is_object = properties.is_some() || schema.get_str("type").as_deref() == Some("object");
    if is_object && (depth > DEPTH_MAX || !closed(schema, properties)) {
        return false;
    }
    let within = depth + usize::from(is_object);
    schema.members().all(|(name, value)| match &*name {
        "properties" => value.members().all(|(_, inner)| fits(inner, within)),
        "$defs" | "definitions" => value.members().all(|(_, inner)| fits(inner, 0)),
        "items" => fits(value, within),
        "anyOf" => value.elements().all(|inner| fits(inner, within)),
        other => !REFUSED.contains(&other),
    })
}

/// Whether an object has these members, all of them, and no others.
fn closed(schema: Val<'_>, properties: Option<Val<'_>>) -> bool {
    let required: HashSet<_> =
        schema.get("required").into_iter().flat_map(Val::elements).filter_map(Val::as_str).collect();
    let bars = schema.get("additionalProperties").and_then(Val::as_bool) == Some(false);
    bars && properties.into_iter().flat_map(Val::members).all(|(name, _)| required.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_schemas() {
        for (schema, want) in [
            (r#"{"type":"object","properties":{},"additionalProperties":false}"#, true),
            (r#"{"type":"object","properties":{}}"#, false),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
                true,
            ),
            (r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#, false),
            (
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":{}}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object","properties":{"b":{"type":"string"}}}}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            (
                r##"{"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}]}},"required":["a"],"additionalProperties":false,"$defs":{"d":{"type":["object"],"properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}}}"##,
                true,
            ),
            (
                r#"{"type":"object","properties":{"a":{"allOf":[{"type":"string"}]}},"required":["a"],"additionalProperties":false}"#,
                false,
            ),
            // A member may have any name.
            (
                r#"{"type":"object","properties":{"not":{"type":"string"}},"required":["not"],"additionalProperties":false}"#,
                true,
            ),
            (r#"{"anyOf":[{"type":"object","additionalProperties":false}]}"#, false),
            (r#"true"#, false),
        ] {
            assert_eq!(qualifies(schema), want, "{schema}");
        }
    }

    #[test]
    fn only_objects_are_counted_in_depth() {
        let object = |inner: &str| {
            format!(
                r#"{{"type":"object","properties":{{"a":{inner}}},"required":["a"],"additionalProperties":false}}"#
            )
        };
        let list = |inner: &str| format!(r#"{{"type":"array","items":{inner}}}"#);
        let choice = |inner: &str| format!(r#"{{"anyOf":[{inner},{{"type":"null"}}]}}"#);
        let nested = |times: usize, of: &dyn Fn(&str) -> String| {
            (0..times).fold(r#"{"type":"string"}"#.to_owned(), |inner, _| of(&inner))
        };
        assert!(qualifies(&nested(11, &object)), "ten in the first one");
        assert!(!qualifies(&nested(12, &object)));
        assert!(qualifies(&nested(11, &|inner| object(&choice(&list(inner))))));
        assert!(!qualifies(&nested(12, &|inner| object(&choice(&list(inner))))));
        assert!(qualifies(&object(&nested(20, &list))));
        let defined = format!(
            r##"{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d"}}}},"required":["a"],"additionalProperties":false,"$defs":{{"d":{}}}}}"##,
            nested(11, &object)
        );
        assert!(qualifies(&defined));
    }
}
