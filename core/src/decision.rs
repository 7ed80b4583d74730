//! What the engine answers, and every reason behind it.

mod outcome;
#[cfg(test)]
pub(crate) mod told;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use outcome::OutcomeClass;

use crate::call::{Format, Needs};
use crate::error::{Error, ErrorKind, Retry};
use crate::ids::{ChannelId, ModelName};
use crate::ledger::LimitState;
use crate::limit::{Metric, ScopeKind, WhenShort, Window};
use crate::money::format_usd;
use crate::ports::{Hook, LimitStanding};
use crate::prompt::TextTold;
use crate::snapshot::Strategy;
use crate::tenant::Caller;
use crate::time::Timestamp;

/// Under this name an error's context says, for programs of ours, what kind of denial it is. Callers aren't shown it.
pub const DENIAL: &str = "denial";

/// When to ask again after a refusal for the sake of calls under way, in milliseconds.
const BUSY_MS: u64 = 1_000;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Denial {
    /// The key, its group, user or organization is blocked.
    Blocked {
        /// Which of them.
        scope: ScopeKind,
    },
    /// The key has expired.
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// The key may not be used from this address.
    AddressNotAllowed,
    /// No model of this name exists, or not for this caller. The two are not told apart.
    UnknownModel {
        /// What was asked for.
        model: ModelName,
        /// Names that the caller may use, at most 32 of them.
        available: Vec<ModelName>,
    },
    /// A script said no.
    Policy {
        /// The script's name.
        policy: String,
        /// What it says.
        message: String,
    },
    /// A guardrail said no.
    Guardrail {
        /// Its name.
        guardrail: String,
        /// What a service that was asked says, or why it couldn't be asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A limit is used up, or what is left doesn't cover the call.
    Limit(LimitHit),
    /// The prompt can't fit any candidate's context window.
    ContextTooLong {
        /// The largest window among the candidates, in tokens.
        largest: u64,
    },
    /// No model that could serve has a price, and unpriced models are refused; or the call, or each channel, has a strict budget, and nothing
    /// bounds what it may come to: the service tier has no price, the model searches at will, a tool runs at the provider.
    Unpriced {
        /// What was asked for.
        model: ModelName,
    },
    /// The model is for calls in another format.
    WrongFormat {
        /// What was asked for.
        model: ModelName,
        /// In which format.
        asked: Format,
        /// A format that it is served in.
        speaks: Format,
    },
    /// Whoever serves the model can't take what the call has.
    Lacks {
        /// What was asked for.
        model: ModelName,
        /// What the call has and each of them lacks a part of.
        lacks: Needs,
    },
    /// No channel could be tried: each candidate is excluded for the reason that the explanation gives.
    NoChannel {
        /// When one becomes available again, where that is known.
        retry_at: Option<Timestamp>,
    },
}

/// A limit that refused a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitHit {
    /// Whose limit.
    pub scope: ScopeKind,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// How much may be used; `None` for a parent's limit, whose figures aren't the caller's to see.
    pub max: Option<i64>,
    /// How much is used, reserved and held; `None` likewise.
    pub used: Option<i64>,
    /// How much was asked; `None` likewise.
    pub asked: Option<i64>,
    /// When the window ends; `None` when it never does.
    pub resets_at: Option<Timestamp>,
    /// Only calls under way are in the way: it may fit as soon as they end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy: bool,
}

impl LimitHit {
    /// What a caller may be told of a refusal: figures of their own scopes, kind and reset of the others.
    pub fn of(state: &LimitState, asked: i64) -> Self {
        let own = matches!(
            state.kind,
            ScopeKind::Key | ScopeKind::Membership | ScopeKind::User | ScopeKind::Customer
        );
        let used = state.settled.saturating_add(state.reserved).saturating_add(state.held);
        Self {
            scope: state.kind,
            metric: state.limit.metric,
            window: state.limit.window,
            max: own.then_some(state.limit.max),
            used: own.then_some(used),
            asked: own.then_some(asked),
            // Calls under way have no window: they end when they end.
            resets_at: Some(state.resets_at)
                .filter(|at| *at != Timestamp::MAX && state.limit.metric != Metric::Concurrency),
            busy: false,
        }
    }
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |n: i64| {
            if self.metric == Metric::Spend { format!("{} USD", format_usd(n)) } else { n.to_string() }
        };
        write!(f, "the {} limit of this {}", self.metric.as_str(), party(self.scope))?;
        match self.window {
            _ if self.metric == Metric::Concurrency => {}
            Window::Lifetime => f.write_str(" for its lifetime")?,
            Window::RollingMs(ms) => write!(f, " for any {}", length(ms))?,
            window => write!(f, " for each {window}")?,
        }
        if let (Some(max), Some(used), Some(asked)) = (self.max, self.used, self.asked) {
            let (max, used, asked) = (amount(max), amount(used), amount(asked));
            write!(f, " is {max}: {used} are used or reserved and this call may need {asked}")?;
        } else {
            f.write_str(" is reached")?;
        }
        match self.resets_at {
            _ if self.busy && self.metric != Metric::Concurrency => {
                f.write_str("; calls under way have reserved the rest: try again in a moment")
            }
            Some(at) => write!(f, "; it resets at {at}"),
            None if self.metric == Metric::Concurrency => f.write_str("; wait until a call ends"),
            None => f.write_str("; ask whoever manages it to raise it"),
        }
    }
}

/// The word behind "this" for whose a limit is.
fn party(scope: ScopeKind) -> &'static str {
    match scope {
        ScopeKind::Global => "installation",
        _ => scope.as_str(),
    }
}

/// A length of time in its largest whole unit, such as `5 hours`.
fn length(ms: u64) -> String {
    let units =
        [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "seconds"), (1, "ms")];
    let (size, unit) = units.into_iter().find(|(size, _)| ms.is_multiple_of(*size)).unwrap_or((1, "ms"));
    format!("{} {unit}", ms / size)
}

impl Denial {
    /// Why a caller may do nothing at all from this address, as of `now`: blocked, expired, or not from there. `None` when
    /// they may; what else they may is another question.
    pub fn of_caller(caller: &Caller, client_ip: Option<IpAddr>, now: Timestamp) -> Option<Self> {
        if let Some(scope) = &caller.blocked {
            return Some(Denial::Blocked { scope: scope.kind });
        }
        if let Some(at) = caller.expires_at.filter(|at| now >= *at) {
            return Some(Denial::Expired { at });
        }
        let allowed = |ip| caller.allowed_ips.iter().any(|net| net.contains(ip));
        (!caller.allowed_ips.is_empty() && !client_ip.is_some_and(allowed))
            .then_some(Denial::AddressNotAllowed)
    }

    /// The denial as an error for the caller, as of `now`.
    pub fn to_error(&self, now: Timestamp) -> Error {
        let wait = |at: Timestamp| u64::try_from(at.since_ms(now).max(1)).unwrap_or(1);
        match self {
            Denial::Blocked { scope } => Error::new(
                ErrorKind::Forbidden,
                format!("this {} is blocked; ask whoever manages it to unblock it", party(*scope)),
            )
            .with(DENIAL, "blocked"),
            Denial::Expired { at } => {
                Error::new(ErrorKind::Unauthenticated, format!("this key expired at {at}; ask for a new one"))
                    .with(DENIAL, "expired")
            }
            Denial::AddressNotAllowed => Error::new(
                ErrorKind::Forbidden,
                "this key may not be used from your address; ask whoever manages it to allow it",
            ),
            Denial::UnknownModel { model, available } => {
                let names: Vec<_> = available.iter().map(|name| format!("`{name}`")).collect();
                let remedy = if names.is_empty() {
                    "this key may not use any model".to_owned()
                } else {
                    format!("this key may use {}", names.join(", "))
                };
                Error::new(
                    ErrorKind::ModelNotFound,
                    format!("there is no model `{model}` for this key; {remedy}"),
                )
                .with("param", "model")
            }
            Denial::Policy { policy, message } => {
                Error::new(ErrorKind::PolicyDenied, message.clone()).with("policy", policy.clone())
            }
            Denial::Guardrail { guardrail, message } => guardrail_error(guardrail, message.as_deref()),
            Denial::Limit(hit) => {
                let rate = hit.busy || hit.window.is_rate() || hit.metric == Metric::Concurrency;
                let kind = if rate { ErrorKind::RateLimited } else { ErrorKind::InsufficientQuota };
                let retry = match hit.resets_at {
                    _ if hit.busy => Retry::AfterMs(BUSY_MS),
                    Some(at) => Retry::AfterMs(wait(at)),
                    None if hit.metric == Metric::Concurrency => Retry::AfterMs(BUSY_MS),
                    None => Retry::Never,
                };
                let error = Error::new(kind, hit.to_string())
                    .with_retry(retry)
                    .with("scope", hit.scope.as_str())
                    .with("metric", hit.metric.as_str())
                    .with("window", hit.window.to_string());
                match hit.resets_at {
                    Some(at) => error.with("resets_at", at.to_string()),
                    None => error,
                }
            }
            Denial::ContextTooLong { largest } => Error::new(
                ErrorKind::ContextTooLong,
                format!(
                    "the prompt is too long: the largest context window available is {largest} tokens; shorten it"
                ),
            ),
            Denial::Unpriced { model } => Error::new(
                ErrorKind::Forbidden,
                format!(
                    "no price bounds what the model `{model}` costs here: none is known, or none for the service tier asked for, or it searches as often as it likes, or the call has tools that the provider runs; leave these or the tier out, name another model, or ask for a price to be set"
                ),
            ),
            Denial::WrongFormat { model, asked: Format::OpenaiCompact, .. } => Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "nobody who serves the model `{model}` compacts conversations (POST /v1/responses/compact): go on with the conversation as it is, name a model of OpenAI's, or ask for an endpoint of the format `openai_compact` to be set up"
                ),
            )
            .with("param", "model"),
            Denial::WrongFormat { model, asked, speaks } => Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the model `{model}` isn't served as {}; use {}, or name another model",
                    asked.as_str(),
                    address_of(*speaks)
                ),
            )
            .with("param", "model"),
            Denial::Lacks { model, lacks } => Error::new(
                ErrorKind::InvalidRequest,
                format!(
                    "the model `{model}` takes no {}; leave that out, or name another model",
                    lacks.words().collect::<Vec<_>>().join(" or ")
                ),
            )
            .with("param", "model"),
            Denial::NoChannel { retry_at } => {
                let error = Error::new(
                    ErrorKind::UpstreamUnavailable,
                    "no channel can serve this call right now; try again in a moment",
                );
                error.with_retry(retry_at.map_or(Retry::AfterMs(1000), |at| Retry::AfterMs(wait(at))))
            }
        }
    }
}

/// Where calls in that format go.
fn address_of(format: Format) -> &'static str {
    match format {
        // Whoever speaks one format of chat serves them all.
        Format::OpenaiChat
        | Format::AnthropicMessages
        | Format::GeminiGenerate
        | Format::OpenaiResponses
        | Format::CohereChat
        | Format::OllamaChat
        | Format::AnthropicCountTokens
        | Format::GeminiCountTokens
        | Format::OpenaiInputTokens => "chat completions (POST /v1/chat/completions)",
        Format::OpenaiEmbeddings => "POST /v1/embeddings",
        Format::OpenaiCompletions => "POST /v1/completions",
        Format::OpenaiImages => "POST /v1/images/generations",
        Format::OpenaiImageEdits => "POST /v1/images/edits",
        Format::OpenaiImageVariations => "POST /v1/images/variations",
        Format::OpenaiSpeech => "POST /v1/audio/speech",
        Format::OpenaiTranscriptions => "POST /v1/audio/transcriptions",
        Format::OpenaiTranslations => "POST /v1/audio/translations",
        Format::OpenaiModerations => "POST /v1/moderations",
        Format::Rerank => "POST /v1/rerank",
        Format::OpenaiCompact => "POST /v1/responses/compact",
        Format::PassThrough => "the provider's own operations (/providers/NAME/PATH)",
    }
}

/// A guardrail's refusal, of a request or an answer. It names the guardrail and never what was found.
pub fn guardrail_error(guardrail: &str, message: Option<&str>) -> Error {
    let text = match message {
        Some(message) => format!("the guardrail `{guardrail}` refuses this: {message}"),
        None => format!("the guardrail `{guardrail}` refuses this; leave out what it is there to stop"),
    };
    Error::new(ErrorKind::GuardrailDenied, text).with("guardrail", guardrail)
}

/// Why a candidate isn't asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Exclusion {
    /// The channel is switched off.
    Disabled,
    /// The channel failed permanently (such as a credential that its upstream refuses) until somebody mends it.
    Broken,
    /// The channel is for other groups.
    Group,
    /// None of the channel's endpoints serves this format.
    Format,
    /// The model lacks what the call needs.
    Capability,
    /// The prompt doesn't fit its context window.
    ContextWindow,
    /// The channel is benched after failures.
    Cooldown,
    /// The model has no price, and unpriced models are refused; or the call or the channel has a strict budget, and nothing bounds
    /// what it may come to: the service tier has no price, the model searches at will, a tool runs at the provider.
    Unpriced,
    /// A script excluded it.
    Policy,
    /// One of the channel's own limits is reached.
    ChannelLimit,
    /// What is left of a limit doesn't cover it.
    Unaffordable,
    /// It has failed in this call, and the pause before it may be asked again is longer than the call may wait.
    JustFailed,
    /// The caller stages a failure of the requested model.
    Rehearsed,
    /// The call's tags, or the want of any, lead elsewhere.
    Tags,
}

/// One reason behind a decision. In the order in which they came up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The model asked for stands for another.
    Alias {
        /// What was asked for.
        from: ModelName,
        /// What it stands for.
        to: ModelName,
    },
    /// Candidates of this model are considered, as the fallback number so-and-so (0: what was asked for).
    Model {
        /// The model.
        model: ModelName,
        /// 0 for the requested one, counting up with each fallback.
        fallback: u32,
    },
    /// The model entered last is a cheaper one, for what is left of a limit doesn't cover the one that was asked for.
    Downgraded {
        /// What was asked for.
        from: ModelName,
        /// What is tried instead.
        to: ModelName,
    },
    /// A fallback model is passed over.
    Skipped {
        /// The model.
        model: ModelName,
        /// Why.
        why: SkipReason,
    },
    /// A candidate is out.
    Excluded {
        /// The channel.
        channel: ChannelId,
        /// Why.
        why: Exclusion,
    },
    /// A candidate is in, at its place in the order.
    Ranked {
        /// The channel.
        channel: ChannelId,
        /// The channel's priority.
        priority: i32,
        /// Its place among the caller's group's preferences, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preference: Option<u32>,
        /// By which strategy. Left out: weighted.
        #[serde(default, skip_serializing_if = "Strategy::is_weighted")]
        by: Strategy,
        /// What it was ranked by, as the strategy has it: its weight; calls under way; microseconds times the calls under way
        /// and this one; pico-USD; parts per million of its fullest limit; its distance from the conversation. Of all but
        /// weights the lowest goes first.
        score: u64,
        /// It has more than its share of the calls under way, and goes behind the others for that.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        full: bool,
    },
    /// How a candidate was doing when scripts looked at it. Noted only when one of them reads such things.
    Seen {
        /// The channel.
        channel: ChannelId,
        /// Recent latency, in microseconds; 0 before the first answer.
        latency_us: u64,
        /// Calls under way.
        in_flight: u32,
        /// Recent failures.
        failures: u32,
    },
    /// How limits stood when scripts looked at them. Noted only when one of them does.
    Standing {
        /// In which of their hooks.
        hook: Hook,
        /// The limits of the caller's scope chain that are for the call's model, innermost scope first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller: Option<Vec<LimitStanding>>,
        /// How full the fullest of each candidate's own limits was, in parts per million; `None` without limits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        candidates: Option<Vec<Option<u64>>>,
    },
    /// What scripts were told of the prompt when they looked at it. Noted only when one of them does.
    Prompt {
        /// In which of their hooks.
        hook: Hook,
        /// How much text there was, in bytes.
        bytes: u64,
        /// The same in characters.
        characters: u64,
        /// Whether words were found, in the order in which they were first asked for; at most 128 answers for a call.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        told: Vec<TextTold>,
    },
    /// A script ran.
    Policy {
        /// Its name.
        policy: String,
        /// In which of its hooks. Left out: `route`.
        #[serde(default, skip_serializing_if = "Hook::is_route")]
        hook: Hook,
        /// What it advised, in one line, or how it failed.
        verdict: String,
        /// How many operations it used.
        fuel: u64,
    },
    /// A limit stood like this when it was asked.
    Limit {
        /// Whose.
        scope: ScopeKind,
        /// Of what.
        metric: Metric,
        /// Over which time.
        window: Window,
        /// How much may be used.
        max: i64,
        /// Settled, reserved and held.
        used: i64,
        /// Of that, reserved by calls under way.
        #[serde(default, skip_serializing_if = "is_zero")]
        reserved: i64,
        /// Of that, held: nobody knows what became of it.
        #[serde(default, skip_serializing_if = "is_zero")]
        held: i64,
        /// What the attempt asks.
        asked: i64,
        /// Whether it passed.
        ok: bool,
        /// It refuses, and only calls under way are in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        busy: bool,
        /// It refuses, and one of the limits that are too small says what then, other than to lower the ceiling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<WhenShort>,
    },
    /// The call waited in line for open reservations to end.
    Waited {
        /// For how long.
        ms: u64,
    },
    /// The output ceiling was set or lowered.
    Ceiling {
        /// What the caller named.
        asked: Option<u64>,
        /// What is sent.
        sent: u64,
        /// Why.
        why: CeilingReason,
    },
    /// An attempt was made.
    Attempt {
        /// The channel.
        channel: ChannelId,
        /// How it ended.
        outcome: OutcomeClass,
    },
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// Why a fallback model isn't considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The caller may not use it: a fallback never widens access.
    Access,
    /// Nothing serves it.
    Unknown,
    /// It was tried already.
    Repeated,
    /// The caller, or a script, has brought it in, and a script that reaches farther keeps the call from it.
    Policy,
}

/// Why an output ceiling is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CeilingReason {
    /// The caller's own.
    Caller,
    /// The caller named none: the default.
    Default,
    /// The model can't produce more.
    ModelMax,
    /// A limit leaves no more.
    Clamped,
    /// A script lowered it.
    Policy,
}

/// Every reason behind a decision, in order. Compact: it is kept for each call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Explanation {
    reasons: SmallVec<[Reason; 4]>,
}

impl Explanation {
    /// No reason is kept beyond this many: a call is bounded, so is what is said about it.
    pub const MAX: usize = 256;

    /// What is said about single candidates takes no more room than this: a wildcard may have thousands of them, and
    /// what was tried and which limit refused must still be told.
    pub const MAX_BEFORE_CANDIDATES: usize = 128;

    /// Adds a reason.
    pub fn push(&mut self, reason: Reason) {
        // BOUND: see the two constants.
        let room = match reason {
            Reason::Excluded { .. }
            | Reason::Ranked { .. }
            | Reason::Seen { .. }
            | Reason::Standing { .. } => Self::MAX_BEFORE_CANDIDATES,
            _ => Self::MAX,
        };
        if self.reasons.len() < room {
            self.reasons.push(reason);
        }
    }

    /// Adds a reason if there is one.
    pub(crate) fn extend(&mut self, reason: Option<Reason>) {
        if let Some(reason) = reason {
            self.push(reason);
        }
    }

    /// Forgets the reasons behind the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.reasons.truncate(len);
    }

    /// Whether reasons may be missing for want of room: from here on nothing is said of candidates.
    pub fn is_cut(&self) -> bool {
        self.reasons.len() >= Self::MAX_BEFORE_CANDIDATES
    }

    /// The reasons.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_candidates_leave_room_for_what_was_tried() {
        let mut explanation = Explanation::default();
        let channel = ChannelId::from("a");
        for _ in 0..5_000 {
            explanation.push(Reason::Excluded { channel: channel.clone(), why: Exclusion::Group });
        }
        let tried = Reason::Attempt { channel, outcome: OutcomeClass::Ok };
        explanation.push(tried.clone());
        assert_eq!(explanation.reasons().last(), Some(&tried));
        for _ in 0..5_000 {
            explanation.push(tried.clone());
        }
        assert_eq!(explanation.reasons().len(), Explanation::MAX);
    }

    #[test]
    fn a_limit_is_named_by_its_window() {
        let hit = |metric, window, resets_at| LimitHit {
            scope: ScopeKind::Key,
            metric,
            window,
            max: None,
            used: None,
            asked: None,
            resets_at,
            busy: false,
        };
        let at = Some(Timestamp::from_ms(0));
        for (hit, text) in [
            (
                hit(Metric::Requests, Window::RollingMs(18_000_000), at),
                "the requests limit of this key for any 5 hours is reached; it resets at 1970-01-01T00:00:00.000Z",
            ),
            (
                hit(Metric::Spend, Window::Lifetime, None),
                "the spend limit of this key for its lifetime is reached; ask whoever manages it to raise it",
            ),
            (
                hit(Metric::Concurrency, Window::Lifetime, None),
                "the concurrency limit of this key is reached; wait until a call ends",
            ),
        ] {
            assert_eq!(hit.to_string(), text);
        }
        assert_eq!(length(2_592_000_000), "30 days");
        assert_eq!(length(61_000), "61 seconds");
    }
}
