//! Every port on one screen: what the engine asks of the world, and what implementers must guarantee.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::channel::Channel;
use crate::decision::OutcomeClass;
use crate::error::Result;
use crate::ids::{CallId, ChannelId, ModelName};
use crate::journal::JournalId;
use crate::ledger::Balance;
use crate::limit::{Metric, ScopeKind, Window};
use crate::money::NanoUsd;
use crate::prompt::Prompt;
use crate::record::RecordEntry;
use crate::snapshot::Reach;
use crate::tenant::{Caller, Preference};
use crate::time::Timestamp;
use crate::usage::Usage;

/// Operators' scripts. Called on the hot path: no I/O, no waiting, bounded work.
///
/// An implementation must be a pure function of its arguments and of the scripts it was built from, so that a recorded
/// decision can be replayed exactly. A hook that isn't implemented says nothing. Each hook gives the runs in order of
/// precedence: scripts for everybody first, then those of the caller's organization, group and key.
pub trait PolicyHook: Send + Sync {
    /// Which hooks any script has that applies to this caller. Asked once for each call; nothing is prepared for the others,
    /// and they aren't called.
    fn applies(&self, caller: &Caller) -> Hooks;

    /// Whether any script that would run for this caller reads how candidates are doing: then that is noted, for replays.
    fn reads_health(&self, caller: &Caller) -> bool {
        let _ = caller;
        false
    }

    /// Whether any script that would run for this caller looks at the prompt: only then is it handed to them.
    fn reads_prompt(&self, caller: &Caller) -> bool {
        let _ = caller;
        false
    }

    /// Advises before candidates are considered: on refusing the call, its model, its ceiling.
    fn admit(&self, call: &CallView<'_>) -> Vec<PolicyRun> {
        let _ = call;
        Vec::new()
    }

    /// Advises on where the call goes, among the candidates of the requested model that passed the filters, in ranked
    /// order. The engine keeps to what the advice may do: it never widens access.
    fn route(&self, call: &CallView<'_>, candidates: &[CandidateView<'_>]) -> Vec<PolicyRun> {
        let _ = (call, candidates);
        Vec::new()
    }

    /// Advises after a failed attempt, before any content, on whether and where to try again.
    fn on_error(&self, call: &CallView<'_>, attempt: &AttemptView<'_>) -> Vec<PolicyRun> {
        let _ = (call, attempt);
        Vec::new()
    }

    /// Told of a call that is over and settled; may tag its record and raise alerts.
    fn finish(&self, call: &CallView<'_>, usage: &UsageView<'_>) -> Vec<PolicyRun> {
        let _ = (call, usage);
        Vec::new()
    }

    /// Which hooks the script of this name has; none where that isn't known.
    fn hooks_of(&self, policy: &str) -> Hooks {
        let _ = policy;
        Hooks::NONE
    }

    /// A digest of the scripts in force, for usage records; 0 without any.
    fn digest(&self) -> u64;
}

/// No scripts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPolicy;

impl PolicyHook for NoPolicy {
    fn applies(&self, _: &Caller) -> Hooks {
        Hooks::NONE
    }

    fn digest(&self) -> u64 {
        0
    }
}

/// Where in a call's life scripts run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before candidates are considered.
    Admit,
    /// When they are found and ranked; the default, for records of versions that had no other.
    #[default]
    Route,
    /// After a failed attempt.
    OnError,
    /// When the call is over.
    Finish,
}

impl Hook {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::Admit, Self::Route, Self::OnError, Self::Finish];

    /// The name of its function in scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Route => "route",
            Self::OnError => "on_error",
            Self::Finish => "finish",
        }
    }

    /// Whether it is [`Route`](Self::Route).
    pub const fn is_route(&self) -> bool {
        matches!(self, Self::Route)
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and another.
    #[must_use]
    pub const fn with(self, hook: Hook) -> Self {
        Self(self.0 | 1 << hook as u8)
    }

    /// Whether a hook is among them.
    pub const fn has(self, hook: Hook) -> bool {
        self.0 & 1 << hook as u8 != 0
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What every hook sees: the call and who calls.
#[derive(Clone, Copy)]
pub struct CallView<'a> {
    /// The call.
    pub call: &'a Call,
    /// The model that is being considered, aliases followed: the requested one, or what took its place.
    pub model: &'a ModelName,
    /// Which scripts are asked, and what.
    pub asked: Asked,
    /// Who calls.
    pub caller: &'a Caller,
    /// The time of the hook; of the call where scripts are asked of a model only.
    pub now: Timestamp,
    /// The call's seed: the only randomness there is.
    pub seed: u64,
    /// How limits stand. Asked only for a script that reads it.
    pub limits: &'a dyn LimitsView,
    /// The prompt's text, in `admit` and `route`; `None` in the other hooks, and when no script reads it.
    pub prompt: Option<&'a Arc<Prompt>>,
}

/// The texts of a call that people and models wrote, for scripts that look at them.
pub trait TextView: Send + Sync {
    /// Gives each of them to `take`, decoded, in a fixed order. Called when the first script looks, once for a call.
    fn each(&self, take: &mut dyn FnMut(&str));
}

/// No text: of calls whose host doesn't have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoText;

impl TextView for NoText {
    fn each(&self, _: &mut dyn FnMut(&str)) {}
}

/// Which scripts are asked, and what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// All that apply, what they advise.
    #[default]
    Advice,
    /// Whether the call may have a model that a script has brought in which reaches so far; of those that apply, the ones that
    /// reach farther are asked. `None`: the caller has, and all are asked.
    Model(Option<Reach>),
}

impl Asked {
    /// Whether scripts that reach so far are asked.
    pub fn asks(self, reach: Reach) -> bool {
        match self {
            Self::Advice | Self::Model(None) => true,
            Self::Model(Some(narrower)) => reach < narrower,
        }
    }
}

/// How limits stand, for scripts that read it. Each question may take a lock that every call needs.
pub trait LimitsView {
    /// The limits of the caller's scope chain that are for the call's model, innermost scope first.
    fn of_caller(&self) -> Vec<LimitStanding>;

    /// How full the fullest of the channel's own limits is, for each candidate in order, in parts per million; `None` for one
    /// without limits. Empty outside of `route`.
    fn of_candidates(&self) -> Vec<Option<u64>>;
}

/// One limit as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitStanding {
    /// Whose it is.
    pub scope: ScopeKind,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// How much may be used.
    pub max: i64,
    /// Settled, reserved and held.
    pub used: i64,
}

impl LimitStanding {
    /// How full it is, in parts per million; more than a million when it is passed. A max of zero is full.
    pub fn used_ppm(&self) -> u64 {
        let used = i128::from(self.used.max(0)) * 1_000_000;
        let share = used.checked_div(i128::from(self.max.max(0))).unwrap_or(1_000_000);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// No limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimits;

impl LimitsView for NoLimits {
    fn of_caller(&self) -> Vec<LimitStanding> {
        Vec::new()
    }

    fn of_candidates(&self) -> Vec<Option<u64>> {
        Vec::new()
    }
}

/// A failed attempt, as a script sees it.
#[derive(Clone, Copy, Debug)]
pub struct AttemptView<'a> {
    /// The channel that was asked.
    pub channel: &'a Channel,
    /// The model group that it was asked for: the requested one or a fallback.
    pub model: &'a ModelName,
    /// How it ended; never [`Ok`](OutcomeClass::Ok).
    pub outcome: OutcomeClass,
    /// The upstream's status; `None` when none came.
    pub status: Option<u16>,
    /// Counts from 1 within a call.
    pub number: u32,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether the failure is that of one of the channel's keys alone, and others are left.
    pub key_fault: bool,
}

/// What a call came to, as a script sees it.
#[derive(Clone, Copy, Debug)]
pub struct UsageView<'a> {
    /// Tokens of all attempts together.
    pub usage: &'a Usage,
    /// What it cost the caller, all attempts together.
    pub spend: NanoUsd,
    /// How many attempts were made.
    pub attempts: u32,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// From its admission to its end, in milliseconds.
    pub latency_ms: u64,
    /// From its admission to the first content, in milliseconds; `None` without content.
    pub first_byte_ms: Option<u64>,
    /// The channel of the last attempt; `None` without one.
    pub channel: Option<&'a Channel>,
    /// The model group of the last attempt; of a call without one, the model as requested.
    pub model: &'a ModelName,
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
    /// Whose calls the script steers. A narrower scope's advice keeps within what a wider one's leaves.
    pub reach: Reach,
    /// Its advice, or what to do because it failed.
    pub verdict: Verdict,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// Operations used.
    pub fuel: u64,
}

/// A script's advice. Everything empty: no opinion. Which parts a hook may use is written beside them; the engine passes
/// over what another one says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Refuse the call, with this message for the caller. Of `admit` and `route`.
    pub deny: Option<String>,
    /// Candidates that match these go first, in this order; the others follow as they were. Of `route` and `on_error`.
    pub prefer: Vec<Preference>,
    /// Candidates that match one of these aren't asked. Of `route` and `on_error`.
    pub exclude: Vec<Preference>,
    /// Ask for this model instead. It passes access, price and reservation like a requested one. Of `admit` and `route`.
    pub model: Option<ModelName>,
    /// Try these models, in this order, when the candidates fail; `None` keeps the configured fallbacks. Of all hooks but
    /// `finish`.
    pub fallback: Option<Vec<ModelName>>,
    /// Lower the output ceiling to this many tokens. Of `admit` and `route`.
    pub max_output: Option<u64>,
    /// Tags for the record. Of all hooks.
    pub tags: Vec<String>,
    /// Make no further attempt. Of `on_error`.
    pub stop: bool,
    /// Alerts for the operator. Of `finish`.
    pub alerts: Vec<String>,
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
    /// A stored version of a script can't be used here: what was in use before stays, if anything was.
    PolicyUnusable {
        /// Which.
        policy: String,
        /// Its version.
        version: i64,
        /// Why.
        error: String,
    },
    /// A new version of a script did badly in its first time and was taken back.
    PolicyRolledBack {
        /// Which.
        policy: String,
        /// Its version.
        version: i64,
        /// The version that runs again; `None` when none does.
        to: Option<i64>,
        /// What it did.
        reason: String,
    },
    /// A script wants something known of a call that is over.
    Policy {
        /// Which.
        policy: String,
        /// The call.
        call: CallId,
        /// What it says.
        text: String,
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
