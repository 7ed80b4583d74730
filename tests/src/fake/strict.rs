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
    ["gpt-5", "o1", "o3", "o4"].iter().any(|family| model.starts_with(family))
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
    fn what_reasoning_refuses() {
        let fields = ["max_tokens", "temperature", "logprobs"];
        assert_eq!(refused_by_reasoning(&json!({"temperature": 1, "logprobs": false}), &fields), None);
        assert_eq!(refused_by_reasoning(&json!({"temperature": 0.5}), &fields), Some("temperature"));
        assert_eq!(refused_by_reasoning(&json!({"max_tokens": 5}), &fields), Some("max_tokens"));
    }
}
