//! `allowed_routes` and `key_type`: what a key may be used for, in LiteLLM's words.

use sluicegate::tenant::RouteAccess;
use sluicegate::{Error, ErrorKind, Result};

use super::fields::{Fields, Sent};

/// LiteLLM's words for groups of routes, its kinds of keys, and ours.
const WORDS: [(&str, &str, &str); 3] = [
    ("llm_api_routes", "llm_api", "inference"),
    ("management_routes", "management", "management"),
    ("info_routes", "read_only", "read"),
];

/// Takes both fields; what `allowed_routes` says counts.
///
/// # Errors
/// `InvalidRequest` naming the word or path that is neither.
pub(super) fn take(fields: &mut Fields) -> Result<Sent<RouteAccess>> {
    let kind = fields.text("key_type")?.map(|kind| of_kind(&kind))?;
    match fields.texts("allowed_routes")?.map(of_words)? {
        // An empty list beside a kind is what clients send for "not said".
        Sent::Value(routes) if routes.is_all() && kind != Sent::Absent => Ok(kind),
        Sent::Absent => Ok(kind),
        sent => Ok(sent),
    }
}

fn of_words(words: Vec<String>) -> Result<RouteAccess> {
    let ours = |word: String| match WORDS.iter().find(|(theirs, ..)| *theirs == word) {
        Some((.., ours)) => Ok((*ours).to_owned()),
        None if word.starts_with('/') => Ok(word),
        None => {
            let message = format!(
                "`{word}` is no route; give llm_api_routes, management_routes, info_routes, a path, or the beginning of one that ends in `*`"
            );
            Err(wrong("allowed_routes", message))
        }
    };
    let rules = words.into_iter().map(ours).collect::<Result<Vec<_>>>()?;
    RouteAccess::try_from(rules).map_err(|why| wrong("allowed_routes", why))
}

fn of_kind(kind: &str) -> Result<RouteAccess> {
    if kind == "default" {
        return Ok(RouteAccess::ALL);
    }
    let known = WORDS.iter().find(|(_, theirs, _)| *theirs == kind);
    let rule = known.map(|(.., ours)| vec![(*ours).to_owned()]);
    rule.and_then(|rule| RouteAccess::try_from(rule).ok()).ok_or_else(|| {
        let message =
            format!("there is no kind of key `{kind}`; there are default, llm_api, management and read_only");
        wrong("key_type", message)
    })
}

fn wrong(name: &'static str, message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message).with("param", name)
}

/// What a row's `allowed_routes` says.
pub(super) fn words(routes: &RouteAccess) -> Vec<&str> {
    let theirs = |rule| WORDS.iter().find(|(.., ours)| *ours == rule).map_or(rule, |(theirs, ..)| *theirs);
    routes.rules().iter().map(|rule| theirs(rule.as_str())).collect()
}

/// What a row's `key_type` says; `None` where it is none of their kinds.
pub(super) fn kind(routes: &RouteAccess) -> Option<&'static str> {
    match routes.rules() {
        [] => Some("default"),
        [one] => WORDS.iter().find(|(.., ours)| ours == one).map(|(_, kind, _)| *kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn taken(body: Value) -> Result<Sent<RouteAccess>> {
        let Value::Object(map) = body else { panic!("not an object") };
        take(&mut Fields::new(map))
    }

    #[test]
    fn their_words_are_translated_both_ways() {
        for (body, said, of) in [
            (json!({"key_type": "llm_api"}), &["llm_api_routes"][..], Some("llm_api")),
            (json!({"key_type": "management"}), &["management_routes"], Some("management")),
            (json!({"key_type": "read_only", "allowed_routes": []}), &["info_routes"], Some("read_only")),
            (json!({"key_type": "default"}), &[], Some("default")),
            (
                json!({"allowed_routes": ["info_routes", "/v1/embeddings"]}),
                &["info_routes", "/v1/embeddings"],
                None,
            ),
        ] {
            let routes = taken(body.clone()).unwrap().value().unwrap();
            assert_eq!(words(&routes), said, "{body}");
            assert_eq!(kind(&routes), of, "{body}");
        }
        assert_eq!(taken(json!({})).unwrap(), Sent::Absent);
        assert_eq!(taken(json!({"allowed_routes": null})).unwrap(), Sent::Null);
        for wrong in [json!({"key_type": "emperor"}), json!({"allowed_routes": ["sso_routes"]})] {
            assert_eq!(taken(wrong.clone()).unwrap_err().kind(), ErrorKind::InvalidRequest, "{wrong}");
        }
    }
}
