//! One error type for every crate edge, and the stable codes that every face shares.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong: small, stable, and the same word in Rust, Python, C and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed or contradicts itself.
    InvalidRequest,
    /// No credential, or one that we never issued.
    Unauthenticated,
    /// The credential is known and may not do this (blocked, expired, wrong role, address or model).
    Forbidden,
    /// A policy script or rule said no.
    PolicyDenied,
    /// The thing named doesn't exist, or the caller may not know that it does.
    NotFound,
    /// No such model for this caller.
    ModelNotFound,
    /// The change contradicts what is stored, such as a name that is taken or a value that a file owns.
    Conflict,
    /// The body is over the limit.
    PayloadTooLarge,
    /// The prompt can't fit any candidate's context window.
    ContextTooLong,
    /// A budget or token cap is used up. Waiting for its reset helps, retrying doesn't.
    InsufficientQuota,
    /// A per-minute or concurrency limit. Retrying after the time given helps.
    RateLimited,
    /// The upstream refused the request itself; its message is passed on.
    UpstreamRejected,
    /// The upstream doesn't accept the channel's credential. The operator's affair, never shown as the caller's.
    UpstreamAuth,
    /// No channel could serve: unreachable, cooling down or failing.
    UpstreamUnavailable,
    /// The upstream is overloaded or limits us.
    UpstreamOverloaded,
    /// No answer in time.
    UpstreamTimeout,
    /// Known, and not served by this version.
    NotSupported,
    /// The configuration is wrong.
    Config,
    /// The store can't be reached or refuses.
    Store,
    /// The caller went away, or the host is shutting down.
    Cancelled,
    /// A defect of ours.
    Internal,
    /// A guardrail refused the request or the answer.
    GuardrailDenied,
}

impl ErrorKind {
    /// Every kind, in declaration order: bindings generate their exception classes and constants from it.
    pub const ALL: [ErrorKind; 22] = [
        ErrorKind::InvalidRequest,
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::PolicyDenied,
        ErrorKind::NotFound,
        ErrorKind::ModelNotFound,
        ErrorKind::Conflict,
        ErrorKind::PayloadTooLarge,
        ErrorKind::ContextTooLong,
        ErrorKind::InsufficientQuota,
        ErrorKind::RateLimited,
        ErrorKind::UpstreamRejected,
        ErrorKind::UpstreamAuth,
        ErrorKind::UpstreamUnavailable,
        ErrorKind::UpstreamOverloaded,
        ErrorKind::UpstreamTimeout,
        ErrorKind::NotSupported,
        ErrorKind::Config,
        ErrorKind::Store,
        ErrorKind::Cancelled,
        ErrorKind::Internal,
        ErrorKind::GuardrailDenied,
    ];

    /// The kind as a stable word for programs, such as `insufficient_quota`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::PolicyDenied => "policy_denied",
            ErrorKind::NotFound => "not_found",
            ErrorKind::ModelNotFound => "model_not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::PayloadTooLarge => "payload_too_large",
            ErrorKind::ContextTooLong => "context_length_exceeded",
            ErrorKind::InsufficientQuota => "insufficient_quota",
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::UpstreamRejected => "upstream_rejected",
            ErrorKind::UpstreamAuth => "upstream_auth",
            ErrorKind::UpstreamUnavailable => "upstream_unavailable",
            ErrorKind::UpstreamOverloaded => "upstream_overloaded",
            ErrorKind::UpstreamTimeout => "upstream_timeout",
            ErrorKind::NotSupported => "not_supported",
            ErrorKind::Config => "config_invalid",
            ErrorKind::Store => "store_unavailable",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Internal => "internal",
            ErrorKind::GuardrailDenied => "guardrail_denied",
        }
    }

    /// The kind as a small positive number for C; 0 is "no error". Stable: kinds are only ever appended.
    pub fn code(self) -> i32 {
        Self::ALL
            .iter()
            .position(|kind| *kind == self)
            .and_then(|at| i32::try_from(at + 1).ok())
            .unwrap_or(i32::MAX)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the same request may succeed if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Not without a change.
    Never,
    /// At once.
    Now,
    /// After this many milliseconds.
    AfterMs(u64),
}

/// What went wrong, whether to retry, and where.
///
/// The message is lower case, without a final stop, with the user's input in backticks, and names the remedy. It never
/// holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    context: Vec<(&'static str, String)>,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind that a retry doesn't mend.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, retry: Retry::Never, message: message.into(), context: Vec::new(), source: None }
    }

    /// Says when a retry makes sense.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds a fact for programs, such as the limit that was hit.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a retry makes sense.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The facts for programs, in the order they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }
}

/// Our result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_unique_and_start_at_one() {
        for (at, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.code(), i32::try_from(at).unwrap() + 1);
            assert!(serde_json::to_value(kind).is_ok());
        }
        let mut words: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ErrorKind::ALL.len());
    }
}
