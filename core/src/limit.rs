//! Limits: what may be used, by whom, in which window.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ModelName;

/// Whose use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// An issued key.
    Key,
    /// One user in one group; its id is `group/user`.
    Membership,
    /// A group.
    Group,
    /// A user, over all their keys.
    User,
    /// An organization.
    Organization,
    /// Everybody. Its id is empty.
    Global,
    /// An end customer named by the caller.
    Customer,
    /// A tag on the call.
    Tag,
    /// A channel: the operator's limit towards an upstream.
    Channel,
}

impl ScopeKind {
    /// The kind as a word, such as `key`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ScopeKind::Key => "key",
            ScopeKind::Membership => "membership",
            ScopeKind::Group => "group",
            ScopeKind::User => "user",
            ScopeKind::Organization => "organization",
            ScopeKind::Global => "global",
            ScopeKind::Customer => "customer",
            ScopeKind::Tag => "tag",
            ScopeKind::Channel => "channel",
        }
    }
}

/// One party whose use is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// What it is.
    pub kind: ScopeKind,
    /// Its id within its kind.
    pub id: Arc<str>,
}

impl Scope {
    /// A scope of this kind and id.
    pub fn new(kind: ScopeKind, id: impl Into<Arc<str>>) -> Self {
        Self { kind, id: id.into() }
    }

    /// The end customer or tag of this name within an organization. The empty name is nobody's own: those share it for whom
    /// there is no counter of their own.
    pub fn named(kind: ScopeKind, organization: &str, name: &str) -> Self {
        // No organization's part ends where another's name goes on.
        let organization = organization.replace('/', "%2F");
        // Not every database has a text with a zero in it.
        Self::new(kind, format!("{organization}/{}", name.replace('\0', "\u{fffd}")))
    }

    /// Whether it is one that callers name.
    pub fn is_named(&self) -> bool {
        matches!(self.kind, ScopeKind::Customer | ScopeKind::Tag)
    }

    /// Whether it is what several customers or tags share.
    pub fn is_shared(&self) -> bool {
        self.is_named() && self.id.find('/').is_some_and(|at| at + 1 == self.id.len())
    }

    /// Whose name it is, of an end customer or a tag.
    pub fn organization(&self) -> Option<&str> {
        self.id.split_once('/').filter(|_| self.is_named()).map(|(organization, _)| organization)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.id.is_empty() {
            f.write_str(self.kind.as_str())
        } else {
            write!(f, "{} `{}`", self.kind.as_str(), self.id)
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Calls (of a tenant: once for each admitted call; of a channel: once for each attempt).
    Requests,
    /// Input tokens, cached ones included.
    InputTokens,
    /// Output tokens, reasoning included.
    OutputTokens,
    /// Input and output tokens.
    TotalTokens,
    /// Money, in nano-USD.
    Spend,
    /// Calls under way at the same time. Its window is always [`Window::Lifetime`].
    Concurrency,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 6] = [
        Metric::Requests,
        Metric::InputTokens,
        Metric::OutputTokens,
        Metric::TotalTokens,
        Metric::Spend,
        Metric::Concurrency,
    ];

    /// The metric as a word, such as `total_tokens`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Metric::Requests => "requests",
            Metric::InputTokens => "input_tokens",
            Metric::OutputTokens => "output_tokens",
            Metric::TotalTokens => "total_tokens",
            Metric::Spend => "spend",
            Metric::Concurrency => "concurrency",
        }
    }
}

/// Over which time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A fixed minute of UTC.
    Minute,
    /// A fixed hour of UTC.
    Hour,
    /// A calendar day in the configured time zone.
    Day,
    /// A calendar week in the configured time zone, from Monday.
    Week,
    /// A calendar month in the configured time zone.
    Month,
    /// The last so many milliseconds, in 60 buckets; at least 60 ms.
    RollingMs(u64),
    /// For ever.
    Lifetime,
}

impl Window {
    /// Whether this is shorter than a day: refusals are then a matter of rate, not of quota.
    pub const fn is_rate(self) -> bool {
        match self {
            Window::Minute | Window::Hour => true,
            Window::RollingMs(ms) => ms < 86_400_000,
            Window::Day | Window::Week | Window::Month | Window::Lifetime => false,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Minute => f.write_str("minute"),
            Window::Hour => f.write_str("hour"),
            Window::Day => f.write_str("day"),
            Window::Week => f.write_str("week"),
            Window::Month => f.write_str("month"),
            Window::RollingMs(ms) => write!(f, "rolling:{ms}ms"),
            Window::Lifetime => f.write_str("lifetime"),
        }
    }
}

/// How firm a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// settled + reserved + held ≤ max at every instant: each attempt reserves the most that it can use.
    Strict,
    /// Each attempt reserves an estimate; what it overshoots is carried into the next window and shown.
    Corrected,
    /// Never refuses; crossing it is an alert.
    Soft,
}

/// What to do when a call's ceiling is more than what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenShort {
    /// Refuse the call.
    Deny,
    /// Lower the output ceiling to what is left: at most a quarter of the remainder, never below the minimum.
    Clamp,
    /// Try a cheaper candidate, then refuse.
    Downgrade,
}

/// One limit of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// What is counted.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// How much may be used: requests, tokens, calls at a time, or nano-USD. Zero refuses everything.
    pub max: i64,
    /// Only calls for this model count: under the name that they ask for, or the one that it is an alias of. A name that
    /// ends in `*` is for all models that begin like it, together. `None` counts all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// How firm it is.
    pub mode: Mode,
    /// What to do when the ceiling is more than what is left. `None`: clamp when the caller named no ceiling, else deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_short: Option<WhenShort>,
    /// How long a call may wait for open reservations that are in its way, in milliseconds; 0 doesn't wait. `None`: as the
    /// quota settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve_wait_ms: Option<u64>,
}

impl Limit {
    /// A strict limit on all models.
    pub fn strict(metric: Metric, window: Window, max: i64) -> Self {
        Self { metric, window, max, model: None, mode: Mode::Strict, when_short: None, reserve_wait_ms: None }
    }

    /// Whether it holds the same thing as another: then one of the two is enough. A budget is one over whatever time.
    pub fn holds_same(&self, other: &Self) -> bool {
        self.metric == other.metric
            && (self.metric == Metric::Spend || self.window == other.window)
            && self.model == other.model
            && (self.mode == Mode::Soft) == (other.mode == Mode::Soft)
    }

    /// Whether spend never passes it.
    pub fn is_strict_spend(&self) -> bool {
        self.metric == Metric::Spend && self.mode == Mode::Strict
    }
}

/// A scope and its limits: one link of a scope chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeLimits {
    /// Whose.
    pub scope: Scope,
    /// Which. Empty for a scope that only counts.
    pub limits: Vec<Limit>,
}
