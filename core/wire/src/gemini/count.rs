//! `countTokens`: what it is asked for is a request of `generateContent`, bare or in a field of its own.

use bytes::Bytes;

use super::member;
use crate::json::{Kind, Val, object};

/// The field that holds a whole request.
const WHOLE: &str = "generateContentRequest";

/// The request whose tokens are to be counted.
pub(crate) fn counted(body: &Bytes) -> Bytes {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let whole = Val::parse(text).ok().and_then(|v| member(v, WHOLE)).filter(|v| v.kind() == Kind::Object);
    whole.map_or_else(|| body.clone(), |whole| Bytes::copy_from_slice(whole.raw().as_bytes()))
}

/// The question how many tokens such a request has: turns alone stand bare, everything else in the field for it, which names the
/// model once more.
pub fn count_request(request: &Bytes, model: &str) -> Bytes {
    let text = std::str::from_utf8(request).unwrap_or_default();
    let Ok(v) = Val::parse(text) else { return request.clone() };
    if v.members().all(|(name, _)| name == "contents") {
        return request.clone();
    }
    let is_path = ["models/", "tunedModels/"].iter().any(|collection| model.starts_with(collection));
    let model = if is_path { model.to_owned() } else { format!("models/{model}") };
    let whole = object(|o| {
        o.object(WHOLE, |o| {
            o.str("model", &model);
            for (name, value) in v.members().filter(|(name, _)| name != "model") {
                o.raw(&name, value.raw());
            }
        });
    });
    Bytes::from(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_put_as_the_service_takes_it() {
        for (asked, want) in [
            (r#"{"contents":[ 1 ]}"#, r#"{"contents":[ 1 ]}"#),
            (
                r#"{"contents":[],"model":"models/a"}"#,
                r#"{"generateContentRequest":{"model":"models/b","contents":[]}}"#,
            ),
            (
                r#"{"generateContentRequest":{"model":"models/a","contents":[],"tools":[{"n":1e2}]}}"#,
                r#"{"generateContentRequest":{"model":"models/b","contents":[],"tools":[{"n":1e2}]}}"#,
            ),
            (
                r#"{"generate_content_request":{"contents":[],"system_instruction":{}}}"#,
                r#"{"generateContentRequest":{"model":"models/b","contents":[],"system_instruction":{}}}"#,
            ),
        ] {
            let request = counted(&Bytes::from_static(asked.as_bytes()));
            assert_eq!(count_request(&request, "b"), want, "{asked}");
        }
        let tuned = count_request(&Bytes::from_static(br#"{"contents":[],"tools":[]}"#), "tunedModels/x");
        assert!(tuned.starts_with(br#"{"generateContentRequest":{"model":"tunedModels/x","#));
        assert_eq!(counted(&Bytes::from_static(b"no JSON")), "no JSON");
    }
}
