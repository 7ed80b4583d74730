//! Refusals in LiteLLM's manner: its statuses and its two bodies. What is refused is decided elsewhere, and the same in every
//! manner.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate::config::LitellmVersion;
use sluicegate::{DENIAL, Error, ErrorKind, Format, Rejection};

use super::fields::{INPUT, VALIDATION};
use crate::extract;
use crate::state::State;

/// The generation of LiteLLM that its management routes follow when the configuration names none.
pub const DEFAULT: LitellmVersion = LitellmVersion::V1_106;

/// The generation that is followed here.
pub fn version(req: &HttpRequest) -> LitellmVersion {
    let state = req.app_data::<web::Data<State>>();
    state.and_then(|state| state.gateway.compat().litellm).unwrap_or(DEFAULT)
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
    let input = context(error, INPUT).and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({"detail": [{"type": kind, "loc": [place, param], "msg": error.message(), "input": input}]})
}

/// The generation as LiteLLM names it.
pub fn word(version: Option<LitellmVersion>) -> &'static str {
    match version.unwrap_or(DEFAULT) {
        LitellmVersion::V1_80 => "1.80",
        LitellmVersion::V1_106 => "1.106",
    }
}

/// A refused call's status and body, where the configuration asks for LiteLLM's; `None` where it doesn't. Bodies of other
/// formats stay theirs.
pub fn of_call(
    req: &HttpRequest,
    rejection: &Rejection,
    status: StatusCode,
    format: Format,
) -> Option<(StatusCode, Bytes)> {
    let compat = req.app_data::<web::Data<State>>()?.gateway.compat();
    if req.path().starts_with("/api/") {
        return None;
    }
    let used_up = rejection.error.kind() == ErrorKind::InsufficientQuota;
    let Some(version) = compat.litellm else {
        let status = compat.budget_exceeded_status.filter(|_| used_up)?;
        return Some((StatusCode::from_u16(status).ok()?, rejection.body(format)));
    };
    let sent = extract::credential(req.headers());
    let sent = sent.as_ref().map(|it| it.expose());
    let (status, kind) = call_manner(&rejection.error, status, sent, version, compat.budget_exceeded_status);
    let whole = rejection.body(format);
    if format != Format::OpenaiChat {
        return Some((status, whole));
    }
    let mut whole: Value = serde_json::from_slice(&whole).ok()?;
    whole["error"]["code"] = status.as_u16().to_string().into();
    if let Some(kind) = kind {
        whole["error"]["type"] = kind.into();
    }
    Some((status, body(&whole)))
}

/// Marks the refusal of a model to a key that may call only some: LiteLLM has a word of its own for that.
pub const MODEL_ACCESS: &str = "model_access";

/// Status and type of a call's refusal; no type where LiteLLM has none of its own.
fn call_manner(
    error: &Error,
    status: StatusCode,
    sent: Option<&str>,
    version: LitellmVersion,
    budget: Option<u16>,
) -> (StatusCode, Option<&'static str>) {
    let old = version == LitellmVersion::V1_80;
    let by_age = |before, now| if old { before } else { now };
    let exceeded = || {
        let named = budget.and_then(|code| StatusCode::from_u16(code).ok());
        named.unwrap_or(by_age(StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY))
    };
    match (context(error, DENIAL), error.kind()) {
        (Some(MODEL_ACCESS), _) => {
            (by_age(StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN), Some("key_model_access_denied"))
        }
        (Some(_), _) | (_, ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Store) => {
            let (status, kind) = manner(error, status, sent, version);
            (status, Some(kind))
        }
        (_, ErrorKind::InsufficientQuota) => (exceeded(), Some("budget_exceeded")),
        (_, ErrorKind::RateLimited) => (status, Some("throttling_error")),
        (_, ErrorKind::ModelNotFound) => (StatusCode::BAD_REQUEST, Some("invalid_request_error")),
        (_, ErrorKind::UpstreamTimeout) => (StatusCode::REQUEST_TIMEOUT, Some("timeout")),
        (_, ErrorKind::Internal | ErrorKind::Config) => (status, Some("internal_server_error")),
        _ => (status, None),
    }
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
    fn a_refused_call_has_the_generations_status() {
        use LitellmVersion::{V1_80, V1_106};
        for (kind, denial, ours, old, new, word) in [
            (ErrorKind::InsufficientQuota, None, 429, 400, 422, Some("budget_exceeded")),
            (ErrorKind::RateLimited, None, 429, 429, 429, Some("throttling_error")),
            (ErrorKind::ModelNotFound, None, 404, 400, 400, Some("invalid_request_error")),
            (ErrorKind::ModelNotFound, Some(MODEL_ACCESS), 404, 401, 403, Some("key_model_access_denied")),
            (ErrorKind::Unauthenticated, None, 401, 401, 401, Some("token_not_found_in_db")),
            (ErrorKind::Unauthenticated, Some("expired"), 401, 400, 401, Some("expired_key")),
            (ErrorKind::Forbidden, Some("blocked"), 403, 401, 401, Some("auth_error")),
            (ErrorKind::UpstreamTimeout, None, 504, 408, 408, Some("timeout")),
            (ErrorKind::UpstreamOverloaded, None, 503, 503, 503, None),
        ] {
            let error = Error::new(kind, "m");
            let error = match denial {
                Some(denial) => error.with(DENIAL, denial),
                None => error,
            };
            let ours = StatusCode::from_u16(ours).unwrap();
            let of = |version, budget| {
                let (status, kind) = call_manner(&error, ours, Some("sk-1"), version, budget);
                (status.as_u16(), kind)
            };
            assert_eq!(of(V1_80, None), (old, word), "{kind} {denial:?}");
            assert_eq!(of(V1_106, None), (new, word), "{kind} {denial:?}");
            let named = if kind == ErrorKind::InsufficientQuota { 402 } else { new };
            assert_eq!(of(V1_106, Some(402)).0, named, "{kind} {denial:?}");
        }
    }

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
