//! What is wrong with a body or a query that can't be read: the field's path, and the name that was meant.
//!
//! The path is found afterwards, from where in the text reading ended. A deserializer that keeps it as it goes is compiled once more for
//! each of a hundred types.

use serde_json::error::Category;
use sluicegate::config::nearest;
use sluicegate::{Error, ErrorKind};

/// A list of known names is told when none of them is near, up to so many.
const NAMES_MAX: usize = 40;

/// The error of a body that serde_json couldn't read.
pub(crate) fn body(text: &[u8], error: &serde_json::Error) -> Error {
    let said = error.to_string();
    if error.classify() != Category::Data {
        return refused(format!("the body can't be read: {said}"), None);
    }
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    let end = offset_of(text, error.line(), error.column());
    let path = match path_to(text, end) {
        // What is read whole before it is looked into, such as limits, is faulted once the object around it is closed.
        path if path.is_empty() && !said.starts_with("missing field") => path_to(text, end.saturating_sub(1)),
        path => path,
    };
    explained("the body", said, path)
}

/// The error of a query, of which the parameter is known where the message names it.
pub(crate) fn query(error: &dyn std::fmt::Display) -> Error {
    let said = error.to_string();
    let said = said.strip_prefix("Query deserialize error: ").unwrap_or(&said);
    let named = unknown_field(said).map(|(name, _)| name.to_owned());
    explained("the query", said, named.unwrap_or_default())
}

fn explained(what: &str, said: &str, path: String) -> Error {
    let message = match unknown_field(said) {
        Some((name, known)) => {
            let near = nearest(name, known.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "there are none".to_owned(),
                None if known.len() > NAMES_MAX => "see /api/v1/openapi.json".to_owned(),
                None => format!("there are {}", known.join(", ")),
            };
            let at = path.rsplit_once('.').map(|(outer, _)| format!(" in `{outer}`")).unwrap_or_default();
            format!("unknown field `{name}`{at}; {hint}")
        }
        None if path.is_empty() => format!("{what} can't be read: {said}"),
        None => format!("`{path}` can't be read: {said}"),
    };
    refused(message, Some(path).filter(|path| !path.is_empty()))
}

fn refused(message: String, param: Option<String>) -> Error {
    let error = Error::new(ErrorKind::InvalidRequest, message);
    match param {
        Some(param) => error.with("param", param),
        None => error,
    }
}

/// The name that serde doesn't know, and those that it does: "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(said: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = said.strip_prefix("unknown field `")?.split_once('`')?;
    Some((name, rest.split('`').skip(1).step_by(2).collect()))
}

/// The byte that serde_json's line and column stand for; both begin at 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let begins = match line {
        0 | 1 => 0,
        line => text
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .nth(line - 2)
            .map_or(text.len(), |(at, _)| at + 1),
    };
    (begins + column).min(text.len())
}

/// Where we are in the text.
enum Frame {
    Object { key: Option<String>, wants_key: bool },
    List { at: usize },
}

/// The path of what stands before `end`: `limits.requests.day`, `models[2]`. The text is well-formed up to there.
fn path_to(text: &[u8], end: usize) -> String {
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while at < end {
        let byte = text.get(at).copied().unwrap_or_default();
        at += 1;
        match byte {
            b'{' => frames.push(Frame::Object { key: None, wants_key: true }),
            b'[' => frames.push(Frame::List { at: 0 }),
            b'}' | b']' => {
                frames.pop();
            }
            b':' => {
                if let Some(Frame::Object { wants_key, .. }) = frames.last_mut() {
                    *wants_key = false;
                }
            }
            b',' => match frames.last_mut() {
                Some(Frame::Object { wants_key, .. }) => *wants_key = true,
                Some(Frame::List { at }) => *at += 1,
                None => {}
            },
            b'"' => {
                let begins = at - 1;
                at = after_string(text, at);
                if let Some(Frame::Object { key, wants_key: true }) = frames.last_mut() {
                    *key = text.get(begins..at).and_then(|quoted| serde_json::from_slice(quoted).ok());
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for frame in &frames {
        match frame {
            Frame::Object { key: Some(key), .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(key.chars().take(64));
            }
            Frame::Object { key: None, .. } => {}
            Frame::List { at } => path.push_str(&format!("[{at}]")),
        }
    }
    path
}

/// Behind the quote that ends the string which begins at `at`.
fn after_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read, and never looked at")]
    struct Thing {
        alias: Option<String>,
        models: Option<Vec<String>>,
        limits: Option<BTreeMap<String, BTreeMap<String, u64>>>,
        inner: Option<Inner>,
        whole: Option<Whole>,
    }

    /// Read whole, then looked into.
    #[derive(Deserialize, Debug)]
    #[serde(try_from = "serde_json::Value")]
    struct Whole;

    impl TryFrom<serde_json::Value> for Whole {
        type Error = String;

        fn try_from(_: serde_json::Value) -> Result<Self, String> {
            Err("there is no window `dya`".to_owned())
        }
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read, and never looked at")]
    struct Inner {
        group: String,
        at: Option<u8>,
    }

    fn said(text: &str) -> (String, Option<String>) {
        let error = body(text.as_bytes(), &serde_json::from_str::<Thing>(text).unwrap_err());
        let param = error.context().iter().find(|(name, _)| *name == "param").map(|(_, it)| it.clone());
        (error.message().to_owned(), param)
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_path_and_what_was_meant() {
        for (text, part, param) in [
            (r#"{"alais": 1}"#, "unknown field `alais`; did you mean `alias`?", Some("alais")),
            (
                r#"{"zzz": 1}"#,
                "unknown field `zzz`; there are alias, models, limits, inner, whole",
                Some("zzz"),
            ),
            (r#"{"inner": {"grp": 1}}"#, "unknown field `grp` in `inner`; ", Some("inner.grp")),
            (
                r#"{"models": "chat"}"#,
                "`models` can't be read: invalid type: string \"chat\"",
                Some("models"),
            ),
            (
                r#"{"models": ["a", 7]}"#,
                "`models[1]` can't be read: invalid type: integer",
                Some("models[1]"),
            ),
            (
                "{\"limits\": {\n  \"requests\":\n {\"da\\\"y\": -1}}}",
                "`limits.requests.da\"y` can't be read: invalid value",
                Some("limits.requests.da\"y"),
            ),
            (r#"{"inner": {"at": 1}}"#, "`inner` can't be read: missing field `group`", Some("inner")),
            (r#"{"inner": {"group": "g", "at": 300}}"#, "`inner.at` can't be read", Some("inner.at")),
            (r#"{"whole": {"a": {"dya": 1}}}"#, "`whole` can't be read: there is no window", Some("whole")),
            (r#"{"whole": {"a": {"dya": 1}}, "alias": "a"}"#, "there is no window `dya`", Some("whole")),
            (r#"{"alias": "a", "alias": "b"}"#, "duplicate field `alias`", Some("alias")),
            (r#"{"alias": "a""#, "the body can't be read: EOF", None),
            (r#"{"alias": "a",}"#, "the body can't be read: trailing comma at line 1", None),
        ] {
            let (message, named) = said(text);
            assert!(message.contains(part), "{text}: {message}");
            assert!(param.is_none() || !message.contains("at line"), "{message}");
            assert_eq!(named.as_deref(), param, "{text}: {message}");
        }
    }

    #[test]
    fn a_querys_unknown_parameter_is_named_too() {
        let error = query(&"Query deserialize error: unknown field `limt`, expected `limit` or `offset`");
        assert_eq!(error.message(), "unknown field `limt`; did you mean `limit`?");
        let error = query(&"Query deserialize error: invalid digit found in string");
        assert_eq!(error.message(), "the query can't be read: invalid digit found in string");
    }
}
