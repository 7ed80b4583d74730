//! Refusals in LiteLLM's manner: its statuses and its two bodies. What is refused is decided elsewhere, and the same in every
//! manner.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate::config::LitellmVersion;
use sluicegate::{DENIAL, Error, ErrorKind};

use super::fields::VALIDATION;
use crate::extract;
use crate::state::State;

/// The generation of LiteLLM that its management routes follow when the configuration names none.
pub const DEFAULT: LitellmVersion = LitellmVersion::V1_106;

/// The generation that is followed here.
pub fn version(req: &HttpRequest) -> LitellmVersion {
    let state = req.app_data::<web::Data<State>>();
    state.and_then(|state| state.gateway.host().compat.litellm).unwrap_or(DEFAULT)
}

/// A refusal's status and body. `status` is what it has in our own manner.
pub fn refusal(req: &HttpRequest, error: &Error, status: StatusCode) -> (StatusCode, Bytes) {
    if let Some(kind) = context(error, VALIDATION) {
        return (StatusCode::UNPROCESSABLE_ENTITY, body(&invalid(req.method(), error, kind)));
    }
    let sent = extract::credential(req.headers());
    let (status, kind) = manner(error, status, sent.as_ref().map(|it| it.expose()), version(req));
    let envelope = json!({"error": {
        "message": error.message(),
        "type": kind,
        "param": context(error, "param"),
        // A text, in spite of its name.
        "code": status.as_u16().to_string(),
    }});
    (status, body(&envelope))
}

/// The body of a field that can't be read.
fn invalid(method: &Method, error: &Error, kind: &str) -> Value {
    let place = if *method == Method::GET { "query" } else { "body" };
    let param = context(error, "param").unwrap_or_default();
    json!({"detail": [{"type": kind, "loc": [place, param], "msg": error.message(), "input": null}]})
}

/// Status and type of an error.
fn manner(
    error: &Error,
    status: StatusCode,
    sent: Option<&str>,
    version: LitellmVersion,
) -> (StatusCode, &'static str) {
    let unknown = sent.is_some_and(|credential| credential.starts_with("sk-"));
    if let Some(kind) = MARKED.into_iter().find(|kind| context(error, TYPE) == Some(kind)) {
        return (StatusCode::BAD_REQUEST, kind);
    }
    match (context(error, DENIAL), error.kind()) {
        (Some("blocked"), _) => (StatusCode::UNAUTHORIZED, "auth_error"),
        (Some("expired"), _) if version == LitellmVersion::V1_80 => (StatusCode::BAD_REQUEST, "expired_key"),
        (Some("expired"), _) => (StatusCode::UNAUTHORIZED, "expired_key"),
        (_, ErrorKind::Unauthenticated) if unknown => (status, "token_not_found_in_db"),
        (_, ErrorKind::Unauthenticated | ErrorKind::Forbidden) => (status, "auth_error"),
        (_, ErrorKind::NotFound | ErrorKind::ModelNotFound) => (status, "not_found_error"),
        (_, ErrorKind::Store) => (status, "no_db_connection"),
        (_, ErrorKind::NotSupported) => (status, "not_supported"),
        (_, ErrorKind::Internal | ErrorKind::Config) => (status, "internal_server_error"),
        _ if status.is_client_error() => (status, "bad_request_error"),
        _ => (status, "internal_server_error"),
    }
}

/// Marks errors that have a type of their own, all of them with the status 400.
pub const TYPE: &str = "litellm_type";
/// Somebody is in a team already.
pub const ALREADY_IN_TEAM: &str = "team_member_already_in_team";
const MARKED: [&str; 1] = [ALREADY_IN_TEAM];

fn context<'a>(error: &'a Error, key: &str) -> Option<&'a str> {
    error.context().iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_litellms_status_and_type() {
        let of = |kind, context: &[(&'static str, &str)], status: u16, sent, version| {
            let error = context.iter().fold(Error::new(kind, "m"), |error, (k, v)| error.with(k, *v));
            let (status, kind) = manner(&error, StatusCode::from_u16(status).unwrap(), sent, version);
            (status.as_u16(), kind)
        };
        use LitellmVersion::{V1_80, V1_106};
        for (kind, context, ours, sent, old, new, word) in [
            (ErrorKind::Unauthenticated, &[][..], 401, None, 401, 401, "auth_error"),
            (ErrorKind::Unauthenticated, &[], 401, Some("sk-1"), 401, 401, "token_not_found_in_db"),
            (ErrorKind::Unauthenticated, &[], 401, Some("no"), 401, 401, "auth_error"),
            (ErrorKind::Unauthenticated, &[(DENIAL, "expired")], 401, Some("sk-1"), 400, 401, "expired_key"),
            (ErrorKind::Forbidden, &[(DENIAL, "blocked")], 403, Some("sk-1"), 401, 401, "auth_error"),
            (ErrorKind::Forbidden, &[], 403, Some("sk-1"), 403, 403, "auth_error"),
            (ErrorKind::NotFound, &[], 404, Some("sk-1"), 404, 404, "not_found_error"),
            (ErrorKind::Conflict, &[], 409, Some("sk-1"), 409, 409, "bad_request_error"),
            (ErrorKind::Conflict, &[(TYPE, ALREADY_IN_TEAM)], 409, None, 400, 400, ALREADY_IN_TEAM),
            (ErrorKind::Store, &[], 503, Some("sk-1"), 503, 503, "no_db_connection"),
            (ErrorKind::Internal, &[], 500, Some("sk-1"), 500, 500, "internal_server_error"),
        ] {
            assert_eq!(of(kind, context, ours, sent, V1_80), (old, word), "{kind} {context:?}");
            assert_eq!(of(kind, context, ours, sent, V1_106), (new, word), "{kind} {context:?}");
        }
    }
}
