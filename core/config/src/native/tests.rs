//! The tables, the schema, the reference example and the manual say the same.

use serde_json::{Map, Value as Json, json};

use super::section::{Kind, ROOT, Section};
use super::*;
use crate::environment::Environment;
use crate::yaml::{self, Node};
use crate::{Source, json_schema, load};

const REFERENCE: &str = include_str!("../../../../examples/config/reference.yaml");
const MANUAL: &str = include_str!("../../../../docs/configuration.md");
const SCHEMA: &str = include_str!("../../../../docs/schema/sluicegate.schema.json");

fn loaded(text: &str) -> crate::Loaded {
    let set = [
        "SLUICEGATE_MASTER_KEY",
        "SESSION_SECRET",
        "REDIS",
        "OPENAI_API_KEY",
        "IN_HOUSE_KEY",
        "OTHER_IN_HOUSE_KEY",
        "CI_KEY",
        "GUARD_KEY",
        "OIDC_SECRET",
    ];
    let variable = |name: &str| set.contains(&name).then(|| "value".to_owned());
    let file = |path: &str| match path {
        "../policies/department-routing.rhai" | "../policies/modules/words.rhai" => {
            Ok("fn route(call) {}".to_owned())
        }
        "../keys/ci.json" => Ok(r#"{"keys": []}"#.to_owned()),
        _ => Err("none".to_owned()),
    };
    load(Source { path: "reference.yaml", text }, &Environment::new(&variable).with_files(&file))
}

fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, plain: true } => match serde_json::from_str(text) {
            Ok(json @ (Json::Bool(_) | Json::Number(_))) => json,
            _ => json!(text),
        },
        Value::Scalar { text, .. } => json!(text),
        Value::List(items) => Json::Array(items.iter().map(json_of).collect()),
        Value::Map(entries) => Json::Object(
            entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect::<Map<_, _>>(),
        ),
    }
}

fn reference() -> Json {
    json_of(&yaml::parse(REFERENCE, 0, &mut |refusal| panic!("{}", refusal.message)).unwrap())
}

/// Every section, once.
fn sections() -> Vec<&'static Section> {
    fn visit(section: &'static Section, all: &mut Vec<&'static Section>) {
        if all.iter().any(|known| known.name == section.name) {
            return;
        }
        all.push(section);
        for key in section.keys {
            match &key.kind {
                Kind::Models(inner)
                | Kind::Object(inner)
                | Kind::Switch(inner)
                | Kind::Named(inner)
                | Kind::List(inner) => visit(inner, all),
                _ => {}
            }
        }
    }
    let mut all = Vec::new();
    visit(&ROOT, &mut all);
    all
}

#[test]
fn the_schema_file_is_the_tables() {
    let made = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    assert!(
        SCHEMA == made,
        "docs/schema/sluicegate.schema.json is out of step: write it anew with `cargo run -p sluicegate-config --example schema`"
    );
}

#[test]
fn the_reference_example_loads_and_uses_every_key() {
    let loaded = loaded(REFERENCE);
    let told: Vec<_> = loaded.diagnostics.iter().filter(|found| found.code != "not_used_yet").collect();
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(loaded.declared.policies.len(), 3);
    assert_eq!(loaded.declared.keys.len(), 1);

    fn used(section: &Section, value: &Json, seen: &mut Vec<String>) {
        for key in section.keys {
            let Some(value) = value.get(key.name) else { continue };
            seen.push(format!("{}.{}", section.name, key.name));
            match &key.kind {
                Kind::Object(inner) | Kind::Switch(inner) => used(inner, value, seen),
                Kind::Named(inner) => {
                    value.as_object().into_iter().flatten().for_each(|(_, value)| used(inner, value, seen))
                }
                Kind::List(inner) | Kind::Models(inner) => {
                    value.as_array().into_iter().flatten().for_each(|value| used(inner, value, seen));
                }
                _ => {}
            }
        }
    }
    let mut seen = Vec::new();
    used(&ROOT, &reference(), &mut seen);
    for section in sections() {
        for key in section.keys {
            let name = format!("{}.{}", section.name, key.name);
            assert!(seen.contains(&name), "examples/config/reference.yaml doesn't show `{name}`");
        }
    }
}

/// What no key takes, so that whoever reads it must say so.
#[test]
fn every_key_is_read() {
    fn paths(value: &Json, at: &str, into: &mut Vec<String>) {
        match value {
            Json::Object(map) => {
                for (key, value) in map {
                    let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                    into.push(at.clone());
                    if key != "metadata" {
                        paths(value, &at, into);
                    }
                }
            }
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| paths(item, &format!("{at}/{i}"), into))
            }
            _ => {}
        }
    }
    let whole = reference();
    let mut all = Vec::new();
    paths(&whole, "", &mut all);
    assert!(all.len() > 200);
    // What a body is set to, or compared with, may be anything.
    all.retain(|path| !(path.contains("/body_edits/") && path.ends_with("/value")));
    for path in all {
        let mut broken = whole.clone();
        *broken.pointer_mut(&path).unwrap() = json!([[{"nothing": []}]]);
        let loaded = loaded(&broken.to_string());
        let mut at = String::new();
        for part in path.split('/').skip(1) {
            match part.parse::<usize>() {
                Ok(index) => at.push_str(&format!("[{index}]")),
                Err(_) if at.is_empty() => at.push_str(part),
                Err(_) => at.push_str(&format!(".{part}")),
            }
        }
        assert!(
            loaded
                .diagnostics
                .iter()
                .any(|found| found.severity == Severity::Error && found.at.starts_with(&at)),
            "nobody minds nonsense at {path}: {:#?}",
            loaded.diagnostics
        );
    }
}

#[test]
fn the_schema_takes_the_reference_example() {
    let schema = json_schema();
    let whole = reference();
    check(&schema, &schema, &whole, "");
    let mut wrong = whole;
    wrong["server"]["prot"] = json!(1);
    assert!(std::panic::catch_unwind(|| check(&schema, &schema, &wrong, "")).is_err());
}

/// As much of JSON Schema as ours uses: references, types, properties, required, items, anyOf, enum.
fn check(root: &Json, schema: &Json, value: &Json, at: &str) {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return check(root, target, value, at);
    }
    if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
        let fits = options.iter().any(|option| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(root, option, value, at))).is_ok()
        });
        assert!(fits, "{at}: {value} is none of {options:?}");
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    let types: Vec<_> = match schema.get("type") {
        Some(Json::String(one)) => vec![one.as_str()],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{other}"),
    };
    assert!(types.is_empty() || types.iter().any(|name| is(name)), "{at}: {value} is no {types:?}");
    for name in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
    {
        assert!(value.get(name).is_some(), "{at}: `{name}` is missing");
    }
    if let Some(item) = schema.get("items") {
        for (i, value) in value.as_array().into_iter().flatten().enumerate() {
            check(root, item, value, &format!("{at}[{i}]"));
        }
    }
    let properties = schema.get("properties").and_then(Json::as_object);
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (properties.and_then(|properties| properties.get(key)), schema.get("additionalProperties")) {
            (Some(property), _) => check(root, property, value, &at),
            (None, Some(Json::Bool(false))) if schema.get("patternProperties").is_none() => {
                panic!("{at} is not allowed")
            }
            (None, Some(additional @ Json::Object(_))) => check(root, additional, value, &at),
            _ => {}
        }
    }
}

#[test]
fn the_manual_has_a_row_for_every_key() {
    for section in sections() {
        for key in section.keys {
            let row = format!("| `{}` |", key.name);
            assert!(
                MANUAL.contains(&row),
                "docs/configuration.md has no row `{}` ({})",
                key.name,
                section.name
            );
        }
    }
    let part = manual_tables();
    assert!(
        MANUAL.contains(&part),
        "the tables of docs/configuration.md are out of step: write them anew with `cargo run -p sluicegate-config --example schema -- tables`"
    );
}
