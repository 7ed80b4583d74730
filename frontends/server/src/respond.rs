//! Errors and answers as HTTP: the only place where an [`ErrorKind`] becomes a status.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use sluicegate::{Error, ErrorKind, Facts, Format, Rejection, Retry};

use crate::facts;
use crate::routes::litellm::{contract, registry};

/// In whose manner a route speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// OpenAI's, and everything that borrows its error envelope: management routes and our own API.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Gemini,
    /// Cohere's.
    Cohere,
    /// LiteLLM's management routes.
    LiteLlm,
}

impl Face {
    /// The face of whatever is served under this path.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/v1/messages") || path.starts_with("/anthropic/") {
            Face::Anthropic
        } else if path.starts_with("/v2/rerank") {
            Face::Cohere
        } else if is_googles(path) || is_generation(path) {
            Face::Gemini
        } else if registry::speaks(path) {
            Face::LiteLlm
        } else {
            Face::OpenAi
        }
    }

    /// The face of callers of what is passed through, by the provider's own path: its operations' endings tell.
    pub fn of_passed(path: &str) -> Self {
        // As the call itself is read: in any case, and with a slash behind it.
        let path = &*path.trim_end_matches('/').to_ascii_lowercase();
        let messages = ["/messages", "/messages/count_tokens", "/messages/batches"];
        // Those of OpenAI's threads are none of Anthropic's.
        if !path.contains("/threads/") && messages.iter().any(|end| path.ends_with(end)) {
            Face::Anthropic
        } else if generates(path) {
            Face::Gemini
        } else {
            Face::OpenAi
        }
    }

    /// The face of callers of this format.
    pub const fn of_format(format: Format) -> Self {
        match format {
            Format::AnthropicMessages | Format::AnthropicCountTokens => Face::Anthropic,
            Format::GeminiGenerate | Format::GeminiCountTokens => Face::Gemini,
            _ => Face::OpenAi,
        }
    }

    const fn error_format(self) -> Format {
        match self {
            Face::OpenAi | Face::LiteLlm => Format::OpenaiChat,
            Face::Anthropic => Format::AnthropicMessages,
            Face::Gemini => Format::GeminiGenerate,
            Face::Cohere => Format::Rerank,
        }
    }
}

/// The versions of Google's address.
fn is_googles(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|version| matches!(version, "v1beta" | "v1alpha"))
}

/// Google's own way to name an operation, behind `/v1` too: `/v1/models/gemini-2.5-pro:generateContent`.
fn is_generation(path: &str) -> bool {
    path.starts_with("/v1/models/") && generates(path)
}

fn generates(path: &str) -> bool {
    let verb = path.rsplit_once(':').map(|(_, verb)| verb.to_ascii_lowercase());
    matches!(verb.as_deref(), Some("generatecontent" | "streamgeneratecontent" | "counttokens"))
}

/// Anthropic's own status for an overloaded service.
const OVERLOADED: u16 = 529;

/// The status of an error. `upstream` is the status that the upstream gave, when its refusal is passed on.
pub fn status(kind: ErrorKind, face: Face, upstream: Option<u16>) -> StatusCode {
    let of = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextTooLong | ErrorKind::GuardrailDenied => {
            StatusCode::BAD_REQUEST
        }
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden | ErrorKind::PolicyDenied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound | ErrorKind::ModelNotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::InsufficientQuota | ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        // The upstream's word on the request itself keeps its status. What would read as a word on the caller's key,
        // quota or the gateway's address doesn't.
        ErrorKind::UpstreamRejected => match upstream {
            Some(code @ 400..=499) if !matches!(code, 401 | 402 | 403 | 404 | 407 | 408 | 429) => of(code),
            _ => StatusCode::BAD_REQUEST,
        },
        ErrorKind::UpstreamAuth => StatusCode::BAD_GATEWAY,
        // A success that isn't one: there was an upstream, and it talked nonsense.
        ErrorKind::UpstreamUnavailable if matches!(upstream, Some(200..=299)) => StatusCode::BAD_GATEWAY,
        ErrorKind::UpstreamUnavailable | ErrorKind::Store | ErrorKind::Cancelled => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::UpstreamOverloaded => match face {
            Face::Anthropic => of(OVERLOADED),
            Face::OpenAi | Face::Gemini | Face::Cohere | Face::LiteLlm => StatusCode::SERVICE_UNAVAILABLE,
        },
        ErrorKind::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::NotSupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Config | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // Kinds that later versions add are defects until they have a line here.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error as a response.
pub fn error(req: &HttpRequest, face: Face, error: Error) -> HttpResponse {
    rejection(req, face, &Rejection::new(error))
}

/// A rejected call as a response.
pub fn rejection(req: &HttpRequest, face: Face, rejection: &Rejection) -> HttpResponse {
    let kind = rejection.error.kind();
    // A change to what isn't as its sender has seen it.
    let etag = rejection.error.context().iter().find(|(name, _)| *name == "etag").map(|(_, tag)| tag);
    let status = match etag {
        Some(_) if kind == ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
        None if rejection.error.context().iter().any(|(name, _)| *name == "unprocessable") => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => status(kind, face, rejection.upstream_status),
    };
    let (status, body) = match face {
        Face::LiteLlm => contract::refusal(req, &rejection.error, status),
        _ => contract::of_call(req, rejection, status, face.error_format())
            .unwrap_or_else(|| (status, rejection.body(face.error_format()))),
    };
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, JSON));
    let mut response = response.body(body);
    let headers = response.headers_mut();
    if let Some(value) = etag.and_then(|tag| HeaderValue::from_str(&format!("\"{tag}\"")).ok()) {
        headers.insert(header::ETAG, value);
    }
    retry_headers(headers, kind, rejection.error.retry());
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    facts::write(headers, req, face, &rejection.facts);
    if status.is_server_error() && matches!(kind, ErrorKind::Internal | ErrorKind::Config | ErrorKind::Store)
    {
        // By the id that the answer has, whoever asks about it finds the line.
        let request = headers.get(facts::REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (method, path) = (req.method().as_str(), req.path());
        tracing::error!(request, method, path, kind = kind.as_str(), error = %rejection.error, "a request failed");
    }
    response
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A 200 with this JSON.
pub fn json<T: Serialize>(req: &HttpRequest, face: Face, value: &T) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let mut response = HttpResponse::Ok().insert_header((header::CONTENT_TYPE, JSON)).body(text);
            facts::write(response.headers_mut(), req, face, &Facts::default());
            response
        }
        Err(why) => error(
            req,
            face,
            Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(why),
        ),
    }
}

/// `retry-after` (seconds, rounded up), `retry-after-ms`, and the word that keeps SDKs from hammering a used-up quota.
fn retry_headers(headers: &mut HeaderMap, kind: ErrorKind, retry: Retry) {
    if let Retry::AfterMs(ms) = retry {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        headers.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(ms));
    }
    if kind == ErrorKind::InsufficientQuota {
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_passed_through_is_answered_in_the_manner_of_the_operation() {
        for (path, face) in [
            ("/chat/completions", Face::OpenAi),
            ("/files", Face::OpenAi),
            ("/v1/messages", Face::Anthropic),
            ("/V1/Messages/", Face::Anthropic),
            ("/threads/thread_1/messages", Face::OpenAi),
            ("/Threads/t/messages", Face::OpenAi),
            ("/models/gemini-2.5-flash:GenerateContent/", Face::Gemini),
            ("/v1/messages/count_tokens", Face::Anthropic),
            ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", Face::Gemini),
            ("/models/gemini-2.5-flash:predict", Face::OpenAi),
        ] {
            assert_eq!(Face::of_passed(path), face, "{path}");
        }
    }

    #[test]
    fn every_kind_has_its_status() {
        let want = |kind, openai, anthropic| {
            assert_eq!(status(kind, Face::OpenAi, None).as_u16(), openai, "{kind}");
            assert_eq!(status(kind, Face::Anthropic, None).as_u16(), anthropic, "{kind}");
            // Google's envelope repeats the status.
            assert_eq!(status(kind, Face::Gemini, None).as_u16(), openai, "{kind}");
            assert_eq!(sluicegate::wire::google_status(kind).0, openai, "{kind}");
        };
        for kind in ErrorKind::ALL {
            match kind {
                ErrorKind::InvalidRequest
                | ErrorKind::ContextTooLong
                | ErrorKind::UpstreamRejected
                | ErrorKind::GuardrailDenied => want(kind, 400, 400),
                ErrorKind::Unauthenticated => want(kind, 401, 401),
                ErrorKind::Forbidden | ErrorKind::PolicyDenied => want(kind, 403, 403),
                ErrorKind::NotFound | ErrorKind::ModelNotFound => want(kind, 404, 404),
                ErrorKind::Conflict => want(kind, 409, 409),
                ErrorKind::PayloadTooLarge => want(kind, 413, 413),
                ErrorKind::InsufficientQuota | ErrorKind::RateLimited => want(kind, 429, 429),
                ErrorKind::UpstreamAuth => want(kind, 502, 502),
                ErrorKind::UpstreamUnavailable | ErrorKind::Store | ErrorKind::Cancelled => {
                    want(kind, 503, 503)
                }
                ErrorKind::UpstreamOverloaded => want(kind, 503, 529),
                ErrorKind::UpstreamTimeout => want(kind, 504, 504),
                ErrorKind::NotSupported => want(kind, 501, 501),
                ErrorKind::Config | ErrorKind::Internal => want(kind, 500, 500),
                other => panic!("`{other}` has no status of its own"),
            }
        }
    }

    #[test]
    fn an_upstreams_refusal_keeps_its_status_unless_it_would_read_as_the_callers() {
        for (upstream, want) in [
            (422, 422),
            (413, 413),
            (400, 400),
            (401, 400),
            (403, 400),
            (404, 400),
            (429, 400),
            (500, 400),
            (200, 400),
        ] {
            assert_eq!(
                status(ErrorKind::UpstreamRejected, Face::OpenAi, Some(upstream)).as_u16(),
                want,
                "{upstream}"
            );
        }
        assert_eq!(status(ErrorKind::UpstreamUnavailable, Face::OpenAi, Some(200)).as_u16(), 502);
        assert_eq!(status(ErrorKind::UpstreamUnavailable, Face::OpenAi, Some(500)).as_u16(), 503);
    }

    #[test]
    fn seconds_are_rounded_up_and_quota_is_not_worth_a_retry() {
        let mut headers = HeaderMap::new();
        retry_headers(&mut headers, ErrorKind::InsufficientQuota, Retry::AfterMs(1001));
        assert_eq!(headers.get("retry-after").unwrap(), "2");
        assert_eq!(headers.get("retry-after-ms").unwrap(), "1001");
        assert_eq!(headers.get("x-should-retry").unwrap(), "false");
        let mut headers = HeaderMap::new();
        retry_headers(&mut headers, ErrorKind::RateLimited, Retry::Never);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_path_knows_its_face() {
        for (path, face) in [
            ("/v1/messages", Face::Anthropic),
            ("/v1/messages/count_tokens", Face::Anthropic),
            ("/v1/chat/completions", Face::OpenAi),
            ("/key/generate", Face::LiteLlm),
            ("/v1beta/models", Face::Gemini),
            ("/v1beta", Face::Gemini),
            ("/v1alpha/models/a:generateContent", Face::Gemini),
            ("/v1alphabet", Face::OpenAi),
            ("/v1/models/a:generateContent", Face::Gemini),
            ("/v1/models/ft:a", Face::OpenAi),
        ] {
            assert_eq!(Face::of_path(path), face, "{path}");
        }
    }
}
