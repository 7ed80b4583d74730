//! What the ledger is asked, and what it answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::ids::CallId;
use crate::journal::{AttemptFacts, CounterKey};
use crate::limit::{Limit, Metric, Scope, ScopeKind};
use crate::tenant::matches_pattern;
use crate::time::Timestamp;

/// A counter of the ledger: one (scope, metric, window, model). Stable for the life of the process, but for those of
/// end customers and tags: theirs ends when the ledger forgets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellId(pub(crate) u32);

/// An open reservation. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReservationId(pub(crate) u64);

impl ReservationId {
    /// As a number, for journals and records.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// A limit tied to its counter.
#[derive(Clone, Debug)]
pub struct BoundLimit {
    /// The counter.
    pub cell: CellId,
    /// Which link of the chain it belongs to, innermost first; the channel's limits have an index of their own.
    pub link: u8,
    /// What kind of scope that is.
    pub kind: ScopeKind,
    /// The limit.
    pub limit: Limit,
    /// Its name for people and headers: scope, metric, window and model if any, such as `key-total_tokens-day`.
    pub name: Arc<str>,
}

impl BoundLimit {
    pub(super) fn new(cell: CellId, link: u8, kind: ScopeKind, limit: &Limit) -> Self {
        let model = limit.model.as_ref().map(|model| format!("-{model}")).unwrap_or_default();
        let name = format!("{}-{}-{}{model}", kind.as_str(), limit.metric.as_str(), limit.window);
        Self { cell, link, kind, limit: limit.clone(), name: name.into() }
    }

    /// Whether it counts a call to `model` that was asked for as `asked_as`.
    #[inline]
    pub(crate) fn is_for(&self, model: &str, asked_as: &str) -> bool {
        let Some(pattern) = &self.limit.model else { return true };
        [model, asked_as].iter().any(|name| matches_pattern(pattern.as_str(), name))
    }
}

/// Amounts in each metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// Input tokens.
    pub input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Money, in nano-USD.
    pub spend: i64,
}

impl Amounts {
    /// The amount in one metric; a request and a call under way count 1. Saturates.
    pub fn of(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Requests | Metric::Concurrency => 1,
            Metric::InputTokens => self.input_tokens,
            Metric::OutputTokens => self.output_tokens,
            Metric::TotalTokens => self.input_tokens.saturating_add(self.output_tokens),
            Metric::Spend => self.spend,
        }
    }
}

/// May this attempt go ahead? All limits pass together or nothing is reserved.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The call, for those who must find out what became of it.
    pub call: &'a CallId,
    /// The caller's chain.
    pub tenant: &'a [BoundLimit],
    /// The limits of the end customer and the tags that the call names: the tenant's too.
    pub named: &'a [BoundLimit],
    /// The channel's own limits.
    pub channel: &'a [BoundLimit],
    /// The model that serves the request, aliases followed; of a fallback still the one that was asked for. Limits on
    /// other models don't count.
    pub model: &'a str,
    /// The name under which it was requested: a limit may stand on that, too.
    pub asked_as: &'a str,
    /// The most the attempt can use, at the caller's prices: reserved by strict limits of the tenant chain.
    pub bound: Amounts,
    /// A plausible use: reserved by corrected and soft limits of the tenant chain.
    pub estimate: Amounts,
    /// The same two at the channel's list price, without the group's ratio.
    pub channel_bound: Amounts,
    /// See `channel_bound`.
    pub channel_estimate: Amounts,
    /// Whether the tenant's `requests` are still to be counted: true for a call's first attempt only.
    pub count_request: bool,
    /// What the attempt is, for those who must write its call's usage record when its host no longer can.
    pub attempt: Option<AttemptFacts<'a>>,
    /// The counter in whose line the call stands at the head: there it isn't refused for the sake of those who wait.
    pub turn: Option<CellId>,
}

impl<'a> Ask<'a> {
    /// Every limit that it must pass, each with whether it is the channel's.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (bool, &'a BoundLimit)> + use<'a> {
        let each = |of_channel| move |bound| (of_channel, bound);
        let tenant = self.tenant.iter().chain(self.named).map(each(false));
        tenant.chain(self.channel.iter().map(each(true)))
    }
}

/// The ledger's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Reserved. Settle, release or hold it exactly once.
    Granted(Grant),
    /// Nothing was reserved.
    Denied(Refusal),
    /// The escrow of these counters is used up and must be refilled before asking again. A node that owns all of every
    /// limit never answers this.
    NeedRefill(SmallVec<[CellId; 4]>),
}

/// A reservation that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The reservation.
    pub id: ReservationId,
    /// Soft limits that it crosses: to be alerted, not refused.
    pub crossed: SmallVec<[LimitState; 1]>,
}

/// Why nothing was reserved: the limit that is furthest from fitting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit and how it stands.
    pub state: LimitState,
    /// How much was asked of it.
    pub asked: i64,
    /// Whether it is one of the channel's limits: then another candidate may serve.
    pub of_channel: bool,
    /// Whether one of the chain's limits that are too small says that the call is then refused: nothing lower or cheaper
    /// is to be looked for.
    pub denies: bool,
    /// Whether one of them says that a cheaper model is then to be tried.
    pub downgrades: bool,
    /// Whether it would fit if every open reservation were freed, and those who wait were gone: then waiting a little may
    /// help.
    pub only_reservations: bool,
    /// Then, the counter to wait at: the outermost of the chain's that is in the way.
    pub line: Option<Line>,
    /// Whether less output would fit: then a lower ceiling may help. The most output tokens that every token limit
    /// leaves room for once the input is counted (spend is for the engine to judge, from `spend_left`).
    pub output_left: i64,
    /// The least that any spend limit asked leaves, in nano-USD; `i64::MAX` without one.
    pub spend_left: i64,
}

/// Where calls wait until open reservations end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The counter that they are in the way of.
    pub cell: CellId,
    /// How long the limit lets a call wait, in milliseconds; `None`: as the quota settings say.
    pub wait_ms: Option<u64>,
}

/// How one limit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitState {
    /// Its counter.
    pub cell: CellId,
    /// Which link of the chain.
    pub link: u8,
    /// What kind of scope.
    pub kind: ScopeKind,
    /// The limit.
    pub limit: Limit,
    /// Settled in the current window, what was carried into it included.
    pub settled: i64,
    /// Reserved by attempts under way.
    pub reserved: i64,
    /// Held: outcome unknown.
    pub held: i64,
    /// When the window ends; [`Timestamp::MAX`] for a lifetime, the time at which enough falls out for a rolling one.
    pub resets_at: Timestamp,
}

impl LimitState {
    /// What is left; never negative.
    pub fn remaining(&self) -> i64 {
        self.limit
            .max
            .saturating_sub(self.settled)
            .saturating_sub(self.reserved)
            .saturating_sub(self.held)
            .max(0)
    }
}

/// What a settlement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Limits whose settled use is now more than their max although they are strict: the upstream used more than the
    /// bound. To be alerted; the scope stays blocked until its window ends or the limit is raised.
    pub debts: SmallVec<[LimitState; 1]>,
}

/// One counter's balance, to be stored or restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: crate::limit::Window,
    /// Of which model's calls; `None` of all.
    pub model: Option<crate::ids::ModelName>,
    /// The window's start; for a rolling window, the bucket's.
    pub window_start: Timestamp,
    /// What is settled in it.
    pub settled: i64,
    /// What is held in it.
    pub held: i64,
    /// Of what is settled, what no usage record says: carried in from the window before; below zero when an operator set
    /// it back.
    #[serde(default)]
    pub carried: i64,
}

impl Balance {
    /// Whose counter it is, across processes.
    pub fn key(&self) -> CounterKey {
        CounterKey {
            scope: self.scope.clone(),
            metric: self.metric,
            window: self.window,
            model: self.model.clone(),
        }
    }
}
