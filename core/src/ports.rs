//! Every port on one screen: what the engine asks of the world, and what implementers must guarantee.

use std::sync::Arc;

use async_trait::async_trait;

use crate::call::Call;
use crate::channel::Channel;
use crate::error::Result;
use crate::ids::{ChannelId, ModelName};
use crate::journal::JournalId;
use crate::ledger::Balance;
use crate::limit::ScopeKind;
use crate::record::RecordEntry;
use crate::tenant::{Caller, Preference};
use crate::time::Timestamp;

/// Operators' scripts. Called on the hot path: no I/O, no waiting, bounded work.
///
/// An implementation must be a pure function of its arguments and of the scripts it was built from, so that a recorded
/// decision can be replayed exactly.
pub trait PolicyHook: Send + Sync {
    /// Whether any script would run for this caller. When not, nothing is prepared for it.
    fn applies(&self, caller: &Caller) -> bool;

    /// Advises on one call. The engine keeps to what the advice may do: it never widens access.
    fn route(&self, view: &RouteView<'_>) -> Vec<PolicyRun>;

    /// A digest of the scripts in force, for usage records; 0 without any.
    fn digest(&self) -> u64;
}

/// What a `route` hook sees.
#[derive(Clone, Copy)]
pub struct RouteView<'a> {
    /// The call.
    pub call: &'a Call,
    /// Who calls.
    pub caller: &'a Caller,
    /// The candidates of the requested model that passed the filters, in ranked order.
    pub candidates: &'a [CandidateView<'a>],
    /// The time of the decision.
    pub now: Timestamp,
    /// The call's seed: the only randomness there is.
    pub seed: u64,
}

/// One candidate, as a script sees it.
#[derive(Clone, Copy, Debug)]
pub struct CandidateView<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// The model as the upstream knows it.
    pub upstream_model: &'a ModelName,
    /// The price of input, in pico-USD per token; `None` is unknown.
    pub input_price: Option<u64>,
    /// The price of output, in pico-USD per token; `None` is unknown.
    pub output_price: Option<u64>,
    /// The context window in tokens; `None` is unknown.
    pub context_window: Option<u64>,
    /// Recent latency, in microseconds; 0 before the first answer.
    pub latency_us: u64,
    /// Calls under way.
    pub in_flight: u32,
    /// Recent failures, within the last minute.
    pub failures: u32,
}

/// One script's run.
#[derive(Clone, Debug)]
pub struct PolicyRun {
    /// The script's name.
    pub policy: Arc<str>,
    /// Its advice, or what to do because it failed.
    pub verdict: Verdict,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// Operations used.
    pub fuel: u64,
}

/// A script's advice. Everything empty: no opinion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Refuse the call, with this message for the caller.
    pub deny: Option<String>,
    /// Candidates that match these go first, in this order; the others follow as they were.
    pub prefer: Vec<Preference>,
    /// Candidates that match one of these aren't asked.
    pub exclude: Vec<Preference>,
    /// Ask for this model instead. It passes access, price and reservation like a requested one.
    pub model: Option<ModelName>,
    /// Try these models, in this order, when the candidates fail; `None` keeps the configured fallbacks.
    pub fallback: Option<Vec<ModelName>>,
    /// Lower the output ceiling to this many tokens.
    pub max_output: Option<u64>,
    /// Tags for the record.
    pub tags: Vec<String>,
}

/// How far a journal's events are in the database: everything before `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal.
    pub journal: JournalId,
    /// The number of the first event that isn't.
    pub position: u64,
}

/// Where usage records and balances are kept.
///
/// `append` must be atomic: all or none of a batch. It must be idempotent by call id: appending a record again changes
/// nothing.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Appends records, and stores the balances as they stand after them and how far the journal's events are in both,
    /// in one transaction.
    ///
    /// # Errors
    /// `Store` when nothing was written; the caller keeps the batch and tries again.
    async fn append(
        &self,
        records: &[RecordEntry],
        balances: &[Balance],
        checkpoint: Option<Checkpoint>,
    ) -> Result<()>;

    /// How far a journal's events are stored: the number of the first that isn't; 0 for a journal that never wrote here.
    ///
    /// # Errors
    /// `Store`.
    async fn position(&self, journal: JournalId) -> Result<u64>;

    /// The journals that have written here; for a repair of one whose name can't be read any more.
    ///
    /// # Errors
    /// `Store`.
    async fn journals(&self) -> Result<Vec<JournalId>> {
        Ok(Vec::new())
    }

    /// Every stored balance, at start.
    ///
    /// # Errors
    /// `Store`.
    async fn balances(&self) -> Result<Vec<Balance>>;
}

/// Gives the secrets that channels refer to.
pub trait SecretResolver: Send + Sync {
    /// The credential of one of the channel's keys, from 0; `None` when it has none.
    ///
    /// # Errors
    /// `Config` naming what is missing, such as an environment variable.
    fn channel_secret(&self, channel: &Channel, key: u32) -> Result<Option<crate::channel::Secret>>;
}

/// What the engine wants somebody to know. Delivered after the fact, never on the call's way.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Alert {
    /// An upstream used more than the bound: a strict limit is past its max and blocks.
    Debt {
        /// The limit, as text.
        limit: String,
        /// By how much.
        over: i64,
    },
    /// A soft limit was crossed.
    SoftLimit {
        /// The limit, as text.
        limit: String,
    },
    /// A channel was taken out until somebody mends it.
    ChannelBroken {
        /// Which.
        channel: ChannelId,
        /// Why.
        why: String,
    },
    /// One key of several was taken out until somebody mends its channel.
    KeyBroken {
        /// Whose.
        channel: ChannelId,
        /// Which, from 0.
        key: u32,
        /// Why.
        why: String,
    },
    /// A channel was benched.
    Cooldown {
        /// Which.
        channel: ChannelId,
        /// Until when.
        until: Timestamp,
    },
    /// A script failed.
    PolicyFailed {
        /// Which.
        policy: String,
        /// How.
        error: String,
    },
    /// An upstream's usage was impossible and was counted by us instead.
    AbsurdUsage {
        /// The channel.
        channel: ChannelId,
    },
    /// More end customers or tags were named than are counted one by one: those beyond share one counter. Somebody may be
    /// making names up.
    TooManyNames {
        /// Of what.
        kind: ScopeKind,
        /// In which organization.
        organization: String,
        /// How many are counted one by one.
        max: usize,
    },
}
