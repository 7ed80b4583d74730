//! What hosts get back.

use serde::Serialize;
use sluicegate_core::channel::Timeouts;
use sluicegate_core::{Denial, Error, Explanation, Format, Retry, UsageRecord};

/// The answer to one request: exactly one of the options beside `v` is set.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// The envelope's version: 1.
    pub v: u32,
    /// The call that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Why a call would go where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    /// What is left of a key's limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<Vec<RemainingLimit>>,
    /// A whole answer of an upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<Box<Completed>>,
    /// Why the request couldn't be handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// What to do next.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Send this, and report.
    Try(Box<Tried>),
    /// Nothing before then; then ask for the next step.
    Wait {
        /// Milliseconds since 1970.
        until_ms: i64,
    },
    /// The call is over, with an answer.
    Done {
        /// What was written down.
        record: Box<UsageRecord>,
    },
    /// The call is over, without an answer.
    Failed(Box<Failed>),
}

/// A call that got no answer.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Why.
    pub error: Fault,
    /// The denial, when nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// What was written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<UsageRecord>>,
    /// Every reason.
    pub explanation: Explanation,
}

/// One try.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// Counts from 1.
    pub number: u32,
    /// The channel's id.
    pub channel: String,
    /// The provider.
    pub provider: String,
    /// The format that it speaks.
    pub format: Format,
    /// Where to send to; empty for the built-in `mock` provider.
    pub url: String,
    /// Headers to send, the credential among them: keep them to yourself.
    pub headers: Vec<(String, String)>,
    /// The model group that it is for.
    pub model: String,
    /// The model's name upstream.
    pub upstream_model: String,
    /// The output ceiling to send; absent leaves the caller's.
    pub ceiling: Option<u64>,
    /// The body to send, when the decision was asked with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What isn't in that body of what was asked, or only something close to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Report until then, in milliseconds since 1970; later the attempt is held.
    pub deadline_ms: i64,
    /// What is reserved, in nano-USD.
    pub reserved_nano_usd: i64,
    /// Every reason so far.
    pub explanation: Explanation,
}

/// A decision that was only looked at.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The channels that would be asked, in order.
    pub order: Vec<String>,
    /// Why the call would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    /// The same as an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// Every reason.
    pub explanation: Explanation,
}

/// What is left of one limit.
#[derive(Debug, Serialize)]
pub struct RemainingLimit {
    /// Whose.
    pub scope: &'static str,
    /// Of what.
    pub metric: &'static str,
    /// Over which time.
    pub window: String,
    /// The most that may be used.
    pub max: i64,
    /// Settled.
    pub settled: i64,
    /// Reserved by calls under way.
    pub reserved: i64,
    /// Held: outcome unknown.
    pub held: i64,
    /// What is left.
    pub remaining: i64,
}

/// A whole answer, in the caller's format.
#[derive(Debug, Serialize)]
pub struct Completed {
    /// The body, as text.
    pub body: String,
    /// What there is to say about it.
    pub facts: CompletedFacts,
}

/// What there is to say about an answer besides its body.
#[derive(Clone, Debug, Serialize)]
pub struct CompletedFacts {
    /// Our id for the call.
    pub call: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The channel that answered, by name.
    pub channel: Option<String>,
    /// The model that answered, as its upstream knows it.
    pub upstream_model: Option<String>,
    /// The cheaper model that was asked instead, because a limit left no more.
    pub downgraded: Option<String>,
    /// The upstream's own id for the request.
    pub upstream_request_id: Option<String>,
    /// What it cost, in nano-USD; absent for a stream, whose end it is not, and for a model without a price.
    pub spend_nano_usd: Option<i64>,
    /// Whether the model has no known price.
    pub unpriced: bool,
    /// The output ceiling that was sent, when the gateway set or lowered it.
    pub ceiling: Option<u64>,
    /// What is left of the limits of the caller's own scopes.
    pub remaining: Vec<CompletedRemaining>,
    /// What the translation dropped or approximated.
    pub losses: Vec<String>,
}

/// What is left of one limit of the caller's own scopes.
#[derive(Clone, Debug, Serialize)]
pub struct CompletedRemaining {
    /// The limit: scope, metric, window and model if any, such as `key-total_tokens-day`.
    pub name: String,
    /// The most that may be used.
    pub max: i64,
    /// What is left.
    pub remaining: i64,
    /// When it resets, in milliseconds since 1970; absent when it never does.
    pub resets_at_ms: Option<i64>,
}

impl From<&crate::answer::Facts> for CompletedFacts {
    fn from(facts: &crate::answer::Facts) -> Self {
        let remaining = facts.remaining.iter().map(|limit| CompletedRemaining {
            name: limit.name.to_string(),
            max: limit.max,
            remaining: limit.remaining,
            resets_at_ms: limit.resets_at_ms,
        });
        Self {
            call: facts.id.as_ref().map(ToString::to_string),
            attempts: facts.attempts,
            channel: facts.channel.clone(),
            upstream_model: facts.upstream_model.clone(),
            downgraded: facts.downgraded.clone(),
            upstream_request_id: facts.upstream_request_id.clone(),
            spend_nano_usd: facts.spend,
            unpriced: facts.unpriced,
            ceiling: facts.ceiling,
            remaining: remaining.collect(),
            losses: facts.losses.clone(),
        }
    }
}

/// An error, for programs and people.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// The kind, such as `insufficient_quota`.
    pub kind: &'static str,
    /// The kind as a number: stable, the same in C.
    pub code: i32,
    /// What is wrong and what mends it.
    pub message: String,
    /// When the same request may succeed, in milliseconds; absent: not without a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Further facts.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub context: serde_json::Map<String, serde_json::Value>,
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str(),
            code: error.kind().code(),
            message: error.message().to_owned(),
            retry_after_ms: match error.retry() {
                Retry::Never => None,
                Retry::Now => Some(0),
                Retry::AfterMs(ms) => Some(ms),
            },
            context: error.context().iter().map(|(k, v)| ((*k).to_owned(), v.clone().into())).collect(),
        }
    }
}

impl Answer {
    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| {
            r#"{"v":1,"error":{"kind":"internal","code":21,"message":"the answer can't be written"}}"#
                .to_owned()
        })
    }

    pub(super) fn new() -> Self {
        Self { v: 1, ..Self::default() }
    }

    pub(super) fn error(error: &Error) -> Self {
        Self { error: Some(error.into()), ..Self::new() }
    }
}
