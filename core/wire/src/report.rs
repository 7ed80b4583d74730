//! Errors as callers see them: the body in their own format. The HTTP status is the server's affair.

use bytes::Bytes;
use sluicegate_core::{ErrorKind, Format};

use crate::error::WireError;
use crate::fault::{Fault, FaultClass};
use crate::json::object;

/// An error on its way to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// The message for people.
    pub message: String,
    /// The code for programs; `None` takes the format's usual one for the kind.
    pub code: Option<String>,
    /// The field at fault.
    pub param: Option<String>,
    /// The upstream's own name for the request, where the caller's format has a place for it.
    pub request_id: Option<String>,
    /// Further facts, such as the limit that was hit and its reset: they stand in the error object by these names.
    pub extra: Vec<(String, String)>,
}

impl Report {
    /// An error with the usual code of its kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, code: None, param: None, request_id: None, extra: Vec::new() }
    }

    /// The error as a response body.
    pub fn body(&self, format: Format) -> Bytes {
        Bytes::from(self.json(format))
    }

    /// The error as the last event of a stream that has begun.
    pub fn event(&self, format: Format) -> Bytes {
        let json = self.json(format);
        Bytes::from(match format {
            Format::AnthropicMessages => format!("event: error\ndata: {json}\n\n"),
            Format::OpenaiResponses => return self.numbered(0),
            _ => format!("data: {json}\n\n"),
        })
    }

    /// The error as the last event of a stream of responses, which numbers its events.
    pub(crate) fn numbered(&self, sequence: u64) -> Bytes {
        let json = object(|o| {
            o.str("type", "error");
            o.opt_str("code", self.code.as_deref().or(openai_code(self.kind)));
            o.str("message", &self.message);
            o.opt_str("param", self.param.as_deref());
            o.num("sequence_number", sequence);
            self.extra(o, &["type", "code", "message", "param", "sequence_number"]);
        });
        Bytes::from(format!("event: error\ndata: {json}\n\n"))
    }

    fn json(&self, format: Format) -> String {
        match format {
            Format::AnthropicMessages | Format::AnthropicCountTokens => object(|o| {
                o.str("type", "error");
                o.object("error", |o| {
                    o.str("type", anthropic_type(self.kind));
                    o.str("message", &self.message);
                    if let Some(code) = &self.code {
                        o.str("code", code);
                    }
                    self.extra(o, &["type", "message", "code"]);
                });
                if let Some(id) = &self.request_id {
                    o.str("request_id", id);
                }
            }),
            Format::GeminiGenerate | Format::GeminiCountTokens => self.google(),
            // Cohere's, who says no more.
            Format::Rerank => object(|o| o.str("message", &self.message)),
            _ => object(|o| {
                o.object("error", |o| {
                    o.str("message", &self.message);
                    o.str("type", openai_type(self.kind));
                    o.opt_str("param", self.param.as_deref());
                    o.opt_str("code", self.code.as_deref().or(openai_code(self.kind)));
                    self.extra(o, &["message", "type", "param", "code"]);
                });
            }),
        }
    }

    /// Google's envelope. Codes for programs and further facts stand in its usual details.
    fn google(&self) -> String {
        let (code, status) = google_status(self.kind);
        let reason = self.code.as_deref().unwrap_or(self.kind.as_str());
        object(|o| {
            o.object("error", |o| {
                o.num("code", u64::from(code));
                o.str("message", &self.message);
                o.str("status", status);
                o.array("details", |a| {
                    a.object(|o| {
                        o.str("@type", "type.googleapis.com/google.rpc.ErrorInfo");
                        o.str("reason", &reason.to_ascii_uppercase());
                        o.str("domain", "sluicegate");
                        o.object("metadata", |o| {
                            if let Some(param) = &self.param {
                                o.str("param", param);
                            }
                            self.extra(o, &["param", RETRY_DELAY]);
                        });
                    });
                    if let Some((_, delay)) = self.extra.iter().find(|(name, _)| name == RETRY_DELAY) {
                        a.object(|o| {
                            o.str("@type", "type.googleapis.com/google.rpc.RetryInfo");
                            o.str("retryDelay", delay);
                        });
                    }
                });
            });
        })
    }

    /// The same with the pause before another try, where the format has a place for it.
    #[must_use]
    pub fn with_retry(mut self, format: Format, ms: u64) -> Self {
        if matches!(format, Format::GeminiGenerate | Format::GeminiCountTokens) {
            let (seconds, rest) = (ms / 1000, ms % 1000);
            let delay = if rest == 0 { format!("{seconds}s") } else { format!("{seconds}.{rest:03}s") };
            self.extra.push((RETRY_DELAY.to_owned(), delay));
        }
        self
    }

    fn extra(&self, o: &mut crate::json::Object<'_>, taken: &[&str]) {
        for (name, value) in self.extra.iter().filter(|(name, _)| !taken.contains(&name.as_str())) {
            o.str(name, value);
        }
    }
}

impl From<&WireError> for Report {
    fn from(error: &WireError) -> Self {
        Self { param: error.param().map(Into::into), ..Self::new(error.kind(), error.message()) }
    }
}

impl From<&Fault> for Report {
    /// What the caller may know of it: nothing about the channel's credential or balance.
    fn from(fault: &Fault) -> Self {
        let kind = fault.class.kind();
        let told = Self {
            param: fault.param.clone(),
            request_id: fault.request_id.clone(),
            ..Self::new(kind, fault.message.as_str())
        };
        match fault.class {
            FaultClass::Auth | FaultClass::Quota => Self::new(
                kind,
                "the upstream doesn't accept this gateway's own credential or balance: tell the operator",
            ),
            FaultClass::ContextLength => told,
            FaultClass::ContentPolicy => Self { code: Some("content_policy_violation".into()), ..told },
            _ => Self { code: fault.code.clone(), ..told },
        }
    }
}

/// OpenAI's `type` word.
fn openai_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ModelNotFound
        | ErrorKind::Conflict
        | ErrorKind::PayloadTooLarge
        | ErrorKind::ContextTooLong
        | ErrorKind::UpstreamRejected
        | ErrorKind::GuardrailDenied
        | ErrorKind::NotSupported => "invalid_request_error",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden | ErrorKind::PolicyDenied => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::InsufficientQuota => "insufficient_quota",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::UpstreamOverloaded => "overloaded_error",
        ErrorKind::UpstreamTimeout => "timeout_error",
        _ => "api_error",
    }
}

/// OpenAI's `code` for a kind that has a usual one.
fn openai_code(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::UpstreamRejected => None,
        ErrorKind::Unauthenticated => Some("invalid_api_key"),
        ErrorKind::RateLimited => Some("rate_limit_exceeded"),
        other => Some(other.as_str()),
    }
}

/// Stands for the pause before another try among the further facts.
const RETRY_DELAY: &str = "retryDelay";

/// The number and the word in Google's envelope. The number repeats the HTTP status that the server gives the kind.
pub const fn google_status(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::UpstreamRejected
        | ErrorKind::GuardrailDenied => (400, "INVALID_ARGUMENT"),
        ErrorKind::Unauthenticated => (401, "UNAUTHENTICATED"),
        ErrorKind::Forbidden | ErrorKind::PolicyDenied => (403, "PERMISSION_DENIED"),
        ErrorKind::NotFound | ErrorKind::ModelNotFound => (404, "NOT_FOUND"),
        ErrorKind::Conflict => (409, "ABORTED"),
        ErrorKind::PayloadTooLarge => (413, "INVALID_ARGUMENT"),
        ErrorKind::InsufficientQuota | ErrorKind::RateLimited => (429, "RESOURCE_EXHAUSTED"),
        ErrorKind::NotSupported => (501, "UNIMPLEMENTED"),
        ErrorKind::UpstreamAuth => (502, "UNAVAILABLE"),
        ErrorKind::UpstreamUnavailable
        | ErrorKind::UpstreamOverloaded
        | ErrorKind::Store
        | ErrorKind::Cancelled => (503, "UNAVAILABLE"),
        ErrorKind::UpstreamTimeout => (504, "DEADLINE_EXCEEDED"),
        _ => (500, "INTERNAL"),
    }
}

/// Anthropic's `type` word.
fn anthropic_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::UpstreamRejected
        | ErrorKind::GuardrailDenied
        | ErrorKind::NotSupported => "invalid_request_error",
        ErrorKind::Unauthenticated => "authentication_error",
        ErrorKind::Forbidden | ErrorKind::PolicyDenied => "permission_error",
        ErrorKind::NotFound | ErrorKind::ModelNotFound => "not_found_error",
        ErrorKind::Conflict => "conflict_error",
        ErrorKind::PayloadTooLarge => "request_too_large",
        ErrorKind::InsufficientQuota | ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::UpstreamOverloaded => "overloaded_error",
        ErrorKind::UpstreamTimeout => "timeout_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_its_own_words() {
        let mut report = Report::new(ErrorKind::InsufficientQuota, "the day's `spend` is used up");
        report.extra.push(("reset".into(), "2026-05-02T00:00:00Z".into()));
        report.extra.push(("code".into(), "no second code".into()));
        assert_eq!(
            report.body(Format::OpenaiChat),
            r#"{"error":{"message":"the day's `spend` is used up","type":"insufficient_quota","param":null,"code":"insufficient_quota","reset":"2026-05-02T00:00:00Z"}}"#
        );
        report.code = Some("insufficient_quota".into());
        assert_eq!(
            report.event(Format::AnthropicMessages),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"the day's `spend` is used up\",\"code\":\"insufficient_quota\",\"reset\":\"2026-05-02T00:00:00Z\"}}\n\n"
        );
    }

    #[test]
    fn googles_envelope_names_code_status_and_pause() {
        let mut report =
            Report::new(ErrorKind::RateLimited, "slow down").with_retry(Format::GeminiGenerate, 17_500);
        report.param = Some("contents".into());
        assert_eq!(
            report.body(Format::GeminiGenerate),
            r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMITED","domain":"sluicegate","metadata":{"param":"contents"}},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17.500s"}]}}"#
        );
        let fault = Fault::classify(429, &report.body(Format::GeminiGenerate));
        assert_eq!((fault.class, fault.retry_after_ms), (FaultClass::RateLimit, Some(17_500)));
        let other = Report::new(ErrorKind::RateLimited, "m").with_retry(Format::OpenaiChat, 17_500);
        assert!(other.extra.is_empty());
    }

    #[test]
    fn every_kind_has_a_word_in_both_formats() {
        let known_anthropic = [
            "invalid_request_error",
            "authentication_error",
            "permission_error",
            "not_found_error",
            "conflict_error",
            "request_too_large",
            "rate_limit_error",
            "overloaded_error",
            "timeout_error",
            "api_error",
        ];
        for kind in ErrorKind::ALL {
            assert!(known_anthropic.contains(&anthropic_type(kind)), "{kind}");
            assert!(!openai_type(kind).is_empty(), "{kind}");
        }
        assert_eq!(openai_type(ErrorKind::Unauthenticated), "authentication_error");
        assert_eq!(openai_code(ErrorKind::ModelNotFound), Some("model_not_found"));
        assert_eq!(anthropic_type(ErrorKind::PayloadTooLarge), "request_too_large");
    }

    #[test]
    fn what_the_upstream_names_is_passed_on() {
        for (format, body) in [
            (
                Format::OpenaiChat,
                r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages[0].content","code":"invalid_value"}}"#,
            ),
            (
                Format::AnthropicMessages,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"m","code":"invalid_request_error"},"request_id":"req_1"}"#,
            ),
        ] {
            assert_eq!(Report::from(&Fault::classify(400, body.as_bytes())).body(format), body);
        }
    }

    #[test]
    fn the_channels_credential_is_not_the_callers_affair() {
        let fault = Fault::classify(
            401,
            br#"{"error":{"message":"Incorrect API key provided: sk-abc","code":"invalid_api_key"}}"#,
        );
        let report = Report::from(&fault);
        assert_eq!((report.kind, report.code.as_deref()), (ErrorKind::UpstreamAuth, None));
        assert!(!report.message.contains("API key"));
    }
}
