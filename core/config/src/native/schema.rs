//! The JSON Schema of the dialect, for editors, made from the same tables that the reader uses.

use serde_json::{Map, Value, json};

use super::section::{Kind, ROOT, Section};

/// The JSON Schema (draft 2020-12) of the native dialect.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut root = object(&ROOT, &mut definitions);
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("Sluicegate configuration"));
        shared(&mut definitions);
        definitions.sort_keys();
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

fn object(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        let mut value = kind(&key.kind, definitions);
        if let Some(value) = value.as_object_mut() {
            value.insert("description".to_owned(), json!(key.about));
        }
        properties.insert(key.name.to_owned(), value);
    }
    let mut object = json!({
        "description": section.about,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !section.required.is_empty()
        && let Some(object) = object.as_object_mut()
    {
        object.insert("required".to_owned(), json!(section.required));
    }
    object
}

fn reference(section: &'static Section, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(section.name) {
        // Held open while it is made: sections don't contain themselves, but may share parts.
        definitions.insert(section.name.to_owned(), Value::Null);
        let made = object(section, definitions);
        definitions.insert(section.name.to_owned(), made);
    }
    json!({"$ref": format!("#/$defs/{}", section.name)})
}

fn kind(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Text => json!({"type": ["string", "number"]}),
        Kind::Secret => json!({"type": "string", "examples": ["${NAME}"]}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Count => json!({"$ref": "#/$defs/count"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Duration => json!({"$ref": "#/$defs/duration"}),
        Kind::Bytes => {
            json!({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "examples": ["32MiB"]}]})
        }
        Kind::Decimal => json!({"$ref": "#/$defs/decimal"}),
        Kind::Word(words) => match words {
            ["1"] => json!({"enum": [1, "1"]}),
            words => json!({"enum": words}),
        },
        Kind::Texts => json!({"$ref": "#/$defs/texts"}),
        Kind::TextMap => json!({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
        Kind::ModelMap | Kind::TextsMap => {
            json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/texts"}})
        }
        Kind::Free => json!({"type": "object"}),
        Kind::Any => json!({}),
        Kind::Limits => json!({"$ref": "#/$defs/limits"}),
        Kind::Auth => json!({"anyOf": [
            {"enum": ["bearer", "none"]},
            {"type": "object", "properties": {"header": {"type": "string"}}, "required": ["header"], "additionalProperties": false},
        ]}),
        Kind::Models(section) => {
            let model = reference(section, definitions);
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, model]}})
        }
        Kind::Object(section) => reference(section, definitions),
        Kind::Switch(section) => json!({"anyOf": [{"type": "boolean"}, reference(section, definitions)]}),
        Kind::Named(section) => {
            let named = reference(section, definitions);
            json!({"type": "object", "additionalProperties": named})
        }
        Kind::List(section) => {
            let item = reference(section, definitions);
            json!({"type": "array", "items": item})
        }
    }
}

/// What many settings share: limits (metrics by window, and the same again for single models), counts, durations.
fn shared(definitions: &mut Map<String, Value>) {
    let amount = json!({"anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "examples": ["2M", "100 USD", "40M soft", "1000 corrected", "2M clamp"]},
    ]});
    let referred = json!({"$ref": "#/$defs/amounts"});
    let one = json!({"$ref": "#/$defs/amount"});
    let amounts = json!({"anyOf": [one, {"type": "array", "items": one}]});
    let windows = json!({
        "type": "object",
        "properties": {
            "minute": referred, "hour": referred, "day": referred, "week": referred, "month": referred,
            "lifetime": referred,
        },
        "patternProperties": {"^(rolling[: ])?[0-9.]+ ?(ms|s|m|h|d|w|mo)$": referred},
        "additionalProperties": false,
    });
    let by_window = json!({"$ref": "#/$defs/windows"});
    let metrics = json!({
        "requests": by_window, "input_tokens": by_window, "output_tokens": by_window, "total_tokens": by_window,
        "spend": by_window, "concurrency": referred,
    });
    let mut properties = metrics.clone();
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(
            "models".to_owned(),
            json!({
                "type": "object",
                "description": "The same again for single models, as requested.",
                "additionalProperties": {"type": "object", "properties": metrics, "additionalProperties": false},
            }),
        );
    }
    let about = "What may be used: a metric, a window, an amount, and if need be a mode and what to do when it runs short.";
    definitions.insert("amount".to_owned(), amount);
    definitions.insert("amounts".to_owned(), amounts);
    definitions.insert("windows".to_owned(), windows);
    definitions.insert(
        "limits".to_owned(),
        json!({"description": about, "type": "object", "properties": properties, "additionalProperties": false}),
    );
    definitions.insert(
        "texts".to_owned(),
        json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    );
    definitions.insert(
        "count".to_owned(),
        json!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^[0-9][0-9_.]* ?[kKmMgGtT]?$|^\\$\\{.+\\}$"},
        ]}),
    );
    definitions.insert(
        "duration".to_owned(),
        json!({"anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "examples": ["200ms", "30s", "5m", "1h"]},
        ]}),
    );
    definitions.insert(
        "decimal".to_owned(),
        json!({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": ["0.27"]}]}),
    );
}
