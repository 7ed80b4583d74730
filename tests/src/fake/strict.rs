//! What the real services refuse, whatever the format: names they don't know, and seals that they didn't make.

use serde_json::{Value, json};

/// Digits of an answer's number in a seal, and of what binds it to its content.
const SERIAL: usize = 8;
const BOUND_TO: usize = 16;

/// The first name in an object that isn't among the known ones; a value that is no object has none.
pub(super) fn unknown<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    value.as_object()?.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// A seal on `what` in the answer with this number. It is hexadecimal, and base64 as well.
pub(super) fn seal(serial: u64, what: &str) -> String {
    let mixed = format!("{serial}:{what}");
    // FNV-1a: nobody attacks the tests.
    let hash = mixed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{serial:0SERIAL$x}{hash:0BOUND_TO$x}")
}

/// Whether this is a seal that was put on just that.
pub(super) fn genuine(given: &str, what: &str) -> bool {
    let serial = given.get(..SERIAL).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    serial.is_some_and(|serial| seal(serial, what) == given)
}

/// A value as text that doesn't depend on the order of names.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let said: Vec<String> =
                names.iter().map(|name| format!("{}:{}", json!(name), canonical(&fields[*name]))).collect();
            format!("{{{}}}", said.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Whether this is one of OpenAI's own names: other servers of its formats take more than it does.
pub(super) fn by_openai(model: &str) -> bool {
    model.starts_with("gpt-") || reasons(model)
}

/// Whether a model always reasons.
pub(super) fn reasons(model: &str) -> bool {
    let chats = ["gpt-5-chat", "gpt-5-search"].iter().any(|family| model.starts_with(family));
    !chats && ["gpt-5", "o1", "o3", "o4"].iter().any(|family| model.starts_with(family))
}

/// Whether OpenAI serves a model by responses alone.
pub(super) fn by_responses_alone(model: &str) -> bool {
    reasons(model) && ["-codex", "-pro", "-deep-research"].iter().any(|kind| model.contains(kind))
}

/// Whether a model of OpenAI's isn't served by the older completions.
pub(super) fn chats_alone(model: &str) -> bool {
    by_openai(model) && !model.contains("-instruct")
}

/// Why OpenAI doesn't hold to a schema strictly, if it doesn't: each object closes itself and requires all that it names.
pub(super) fn loose(schema: &Value) -> Option<String> {
    each_schema(schema, &mut |schema| {
        let names: Vec<&String> =
            schema["properties"].as_object().into_iter().flat_map(|all| all.keys()).collect();
        let is_required = |name: &&String| {
            schema["required"].as_array().into_iter().flatten().any(|required| required == name.as_str())
        };
        match names.iter().find(|name| !is_required(name)) {
            _ if !is_object(schema) => None,
            _ if schema["additionalProperties"] != false => {
                Some("'additionalProperties' is required to be supplied and to be false.".to_owned())
            }
            Some(name) => {
                Some(format!("'required' is required to include every key in properties. Missing '{name}'."))
            }
            None => None,
        }
    })
}

/// Refuses what a function takes unless it is an object that has its members: OpenAI does.
pub(super) fn takes_object(name: &str, parameters: &Value) -> Result<(), String> {
    if parameters.is_null() {
        return Ok(());
    }
    let why = match &parameters["type"] {
        Value::String(kind) if kind == "object" && parameters["properties"].is_object() => return Ok(()),
        Value::String(kind) if kind == "object" => "object schema missing properties.".to_owned(),
        Value::Null => "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.".to_owned(),
        kind => format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'."),
    };
    Err(format!("Invalid schema for function '{name}': In context=(), {why}"))
}

/// Why Anthropic doesn't hold to a schema, if it doesn't: objects are closed, and nothing is bounded.
pub(super) fn open(schema: &Value) -> Option<String> {
    const NOT_TAKEN: [&str; 10] = [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "oneOf",
        "not",
        "patternProperties",
    ];
    each_schema(schema, &mut |schema| {
        if is_object(schema) && schema["additionalProperties"] != false {
            return Some(
                "For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned(),
            );
        }
        let own = NOT_TAKEN.iter().find(|name| !schema[**name].is_null());
        own.map(|name| format!("For '{}' type, property '{name}' is not supported", schema["type"]))
    })
}

/// Whether the word stands in what is said: without it OpenAI doesn't answer in JSON.
pub(super) fn says_json(messages: &Value) -> bool {
    match messages {
        Value::String(text) => text.to_ascii_lowercase().contains("json"),
        Value::Array(list) => list.iter().any(says_json),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| matches!(name.as_str(), "content" | "text"));
            said.into_iter().any(|(_, value)| says_json(value))
        }
        _ => false,
    }
}

fn is_object(schema: &Value) -> bool {
    let listed = schema["type"].as_array().into_iter().flatten().any(|kind| kind == "object");
    schema["type"] == "object" || listed || schema["properties"].is_object()
}

/// What is wrong with the first schema within a schema with which something is.
fn each_schema(schema: &Value, wrong: &mut dyn FnMut(&Value) -> Option<String>) -> Option<String> {
    let named =
        ["properties", "$defs", "definitions"].into_iter().filter_map(|name| schema[name].as_object());
    let listed = ["anyOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array());
    let inner: Vec<&Value> =
        named.flat_map(|all| all.values()).chain(listed.flatten()).chain(schema.get("items")).collect();
    wrong(schema).or_else(|| inner.into_iter().find_map(|inner| each_schema(inner, wrong)))
}

/// The first field that models which reason refuse, among those that the format has.
pub(super) fn refused_by_reasoning<'a>(body: &Value, fields: &[&'a str]) -> Option<&'a str> {
    fields.iter().copied().find(|field| match (*field, &body[*field]) {
        (_, Value::Null) => false,
        ("temperature" | "top_p", value) => value.as_f64() != Some(1.0),
        ("presence_penalty" | "frequency_penalty", value) => value.as_f64() != Some(0.0),
        ("logprobs", value) => value == true,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_its_own_content_only() {
        let one = seal(7, "a thought");
        assert_eq!(one.len() % 4, 0, "it is read as base64 somewhere");
        assert!(genuine(&one, "a thought"));
        assert!(!genuine(&one, "another thought"));
        assert!(!genuine(&seal(8, "a thought").replacen("08", "07", 1), "a thought"));
        assert!(!genuine("c2lnbmVk", "a thought"));
        assert!(!genuine("", "a thought"));
    }

    #[test]
    fn order_of_names_makes_no_difference() {
        let (one, other) =
            (json!({"a": [1, {"c": 1, "b": "x"}], "b": 2}), r#"{"b":2,"a":[1,{"b":"x","c":1}]}"#);
        assert_eq!(canonical(&one), canonical(&serde_json::from_str(other).unwrap()));
        assert_ne!(canonical(&one), canonical(&json!({"a": [1, {"c": 1, "b": "y"}], "b": 2})));
    }

    #[test]
    fn schemas_that_are_refused() {
        let object = |properties: Value, required: Value, more: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": more});
        let text = json!({"type": "string"});
        let closed = object(json!({"a": text}), json!(["a"]), json!(false));
        let optional = object(json!({"a": text}), json!([]), json!(false));
        let deep = object(
            json!({"a": {"anyOf": [{"type": "array", "items": {"type": "object"}}]}}),
            json!(["a"]),
            json!(false),
        );
        let bounded = object(json!({"a": {"type": "integer", "minimum": 1}}), json!(["a"]), json!(false));
        for (schema, is_loose, is_open) in [
            (closed, false, false),
            (optional, true, false),
            (deep, true, true),
            (bounded, false, true),
            (json!({"type": "object"}), true, true),
        ] {
            assert_eq!((loose(&schema).is_some(), open(&schema).is_some()), (is_loose, is_open), "{schema}");
        }
    }

    #[test]
    fn functions_without_members_are_refused() {
        for (parameters, fits) in [
            (Value::Null, true),
            (json!({"type": "object", "properties": {}}), true),
            (json!({"type": "object"}), false),
            (json!({}), false),
            (json!({"type": ["object", "null"], "properties": {}}), false),
        ] {
            assert_eq!(takes_object("f", &parameters).is_ok(), fits, "{parameters}");
        }
    }

    #[test]
    fn what_reasoning_refuses() {
        let fields = ["max_tokens", "temperature", "logprobs"];
        assert_eq!(refused_by_reasoning(&json!({"temperature": 1, "logprobs": false}), &fields), None);
        assert_eq!(refused_by_reasoning(&json!({"temperature": 0.5}), &fields), Some("temperature"));
        assert_eq!(refused_by_reasoning(&json!({"max_tokens": 5}), &fields), Some("max_tokens"));
    }
}
