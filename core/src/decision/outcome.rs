//! How attempts end.

use serde::{Deserialize, Serialize};

/// How an attempt ended, as far as routing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeClass {
    /// It answered.
    Ok,
    /// The request itself is at fault: no other channel would take it either.
    BadRequest,
    /// The prompt is too long for this model.
    ContextTooLong,
    /// The upstream's content policy refuses it.
    ContentPolicy,
    /// The credential is refused. Permanent until mended.
    Auth,
    /// The account has no balance. Permanent until mended.
    NoBalance,
    /// The upstream limits our rate.
    RateLimited,
    /// The upstream says it is overloaded.
    Overloaded,
    /// The upstream doesn't know the model or path.
    NotFound,
    /// The call can't be expressed in the channel's format: nothing was sent.
    Inexpressible,
    /// The upstream failed.
    ServerError,
    /// It couldn't be reached: nothing was sent.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// An answer that isn't one.
    Nonsense,
    /// It began to answer and broke off.
    Broken,
    /// The caller went away.
    ClientGone,
    /// We refused it: nothing was sent.
    Denied,
}

impl OutcomeClass {
    /// All of them, in order.
    // INVARIANT: journals write the places that they have here; new ones come at the end.
    pub const ALL: [Self; 17] = [
        OutcomeClass::Ok,
        OutcomeClass::BadRequest,
        OutcomeClass::ContextTooLong,
        OutcomeClass::ContentPolicy,
        OutcomeClass::Auth,
        OutcomeClass::NoBalance,
        OutcomeClass::RateLimited,
        OutcomeClass::Overloaded,
        OutcomeClass::NotFound,
        OutcomeClass::Inexpressible,
        OutcomeClass::ServerError,
        OutcomeClass::Unreachable,
        OutcomeClass::Timeout,
        OutcomeClass::Nonsense,
        OutcomeClass::Broken,
        OutcomeClass::ClientGone,
        OutcomeClass::Denied,
    ];

    /// Its name, as in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutcomeClass::Ok => "ok",
            OutcomeClass::BadRequest => "bad_request",
            OutcomeClass::ContextTooLong => "context_too_long",
            OutcomeClass::ContentPolicy => "content_policy",
            OutcomeClass::Auth => "auth",
            OutcomeClass::NoBalance => "no_balance",
            OutcomeClass::RateLimited => "rate_limited",
            OutcomeClass::Overloaded => "overloaded",
            OutcomeClass::NotFound => "not_found",
            OutcomeClass::Inexpressible => "inexpressible",
            OutcomeClass::ServerError => "server_error",
            OutcomeClass::Unreachable => "unreachable",
            OutcomeClass::Timeout => "timeout",
            OutcomeClass::Nonsense => "nonsense",
            OutcomeClass::Broken => "broken",
            OutcomeClass::ClientGone => "client_gone",
            OutcomeClass::Denied => "denied",
        }
    }

    /// Whether an attempt that ended like this may have given content, or is none: there is then nothing to try instead.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            OutcomeClass::Ok | OutcomeClass::Broken | OutcomeClass::ClientGone | OutcomeClass::Denied
        )
    }

    /// Whether another try, here or elsewhere, may succeed.
    pub const fn is_retryable(self) -> bool {
        !matches!(
            self,
            OutcomeClass::Ok
                | OutcomeClass::BadRequest
                | OutcomeClass::Broken
                | OutcomeClass::ClientGone
                | OutcomeClass::Denied
        )
    }

    /// Whether the same channel may succeed when asked again after a pause.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            OutcomeClass::RateLimited
                | OutcomeClass::Overloaded
                | OutcomeClass::ServerError
                | OutcomeClass::Unreachable
                | OutcomeClass::Timeout
                | OutcomeClass::Nonsense
        )
    }

    /// Whether it speaks against the channel's health.
    pub const fn is_channel_fault(self) -> bool {
        self.is_transient()
            || matches!(
                self,
                OutcomeClass::Auth | OutcomeClass::NoBalance | OutcomeClass::NotFound | OutcomeClass::Broken
            )
    }

    /// Whether the channel is out until somebody mends it.
    pub const fn is_permanent(self) -> bool {
        matches!(self, OutcomeClass::Auth | OutcomeClass::NoBalance)
    }
}
