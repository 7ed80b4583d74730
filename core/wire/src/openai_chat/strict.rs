//! Whether a schema may be held to strictly: OpenAI refuses others that claim to be.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::{Kind, Val, object};
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

/// What a function takes, as servers of OpenAI's formats want it said: an object that has its members, if only none.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/function-calling): 400 "object schema missing properties" without.
pub(crate) fn parameters(schema: Option<&str>) -> Cow<'_, str> {
    let Some(text) = schema else { return Cow::Borrowed(r#"{"type":"object","properties":{}}"#) };
    let schema = Val::trusted(text);
    // What says that it is something else is its caller's to answer for. Of several types arguments have this one.
    let is_typed = schema.get_str("type").is_some();
    let is_other = schema.get_str("type").is_some_and(|kind| kind != "object");
    let has_members = schema.get("properties").is_some_and(|members| members.kind() == Kind::Object);
    if schema.kind() != Kind::Object || is_other || is_typed && has_members {
        return Cow::Borrowed(text);
    }
    Cow::Owned(object(|o| {
        o.str("type", "object");
        if !has_members {
            o.object("properties", |_| {});
        }
        let written = |name: &str| name == "type" || name == "properties" && !has_members;
        let others = schema.members().filter(|(name, _)| !written(name));
        others.for_each(|(name, value)| o.raw(&name, value.raw()));
    }))
}

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
    fn what_a_function_takes_has_its_members_if_only_none() {
        let none = r#"{"type":"object","properties":{}}"#;
        for (schema, want) in [
            (None, none),
            (Some("{}"), none),
            (Some(r#"{"type":"object"}"#), none),
            (Some(r#"{"properties":null,"type":["object","null"]}"#), none),
            (
                Some(r#"{"additionalProperties":false,"type":"object"}"#),
                r#"{"type":"object","properties":{},"additionalProperties":false}"#,
            ),
            (
                Some(r#"{"properties":{"a":{"type":"object"}},"required":["a"]}"#),
                r#"{"type":"object","properties":{"a":{"type":"object"}},"required":["a"]}"#,
            ),
            (Some(r#"{ "properties": {}, "type": "object" }"#), r#"{ "properties": {}, "type": "object" }"#),
            (Some(r#"{"type":"string"}"#), r#"{"type":"string"}"#),
            (Some("true"), "true"),
        ] {
            assert_eq!(parameters(schema), want, "{schema:?}");
        }
    }

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
