//! The engine: admits calls, plans their attempts, reserves, observes and settles. Every verb is synchronous and takes
//! `now`; hosts do the I/O in between.
//!
//! ```text
//! admit(call, caller, now, seed) ─► Admission ─┐         (or Denied)
//!      ┌───────────────────────────────────────┘
//!      ▼
//!    next(now) ─► Try(attempt) ── host sends, reads ──► observe(outcome, now) ─┐
//!      ▲          Wait(until)  ── host waits                                   │
//!      │          Done(failure)                                                │
//!      └──────────────────────────── when not finished ◄───────────────────────┘
//!    finish(now) ─► UsageRecord
//! ```

mod admission;
mod advice;
mod attempt;
mod candidate;
mod ceiling;
mod charges;
mod explain;
mod line;
mod named;
mod observed;
mod plan;
mod rank;
mod replay;
mod sanity;
mod settle;
mod shadow;
mod standing;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

pub use crate::ledger::Line;
pub use admission::{Admission, Denied};
pub use advice::{excludes, place};
pub use attempt::Attempt;
pub use charges::Charges;
pub use explain::Explained;
pub use line::Queued;
pub use plan::{Failure, Next};
pub use replay::{Replay, Replayed};
pub use settle::Outcome;
pub use shadow::{Shadow, ShadowDecision, ShadowExample, ShadowReport, ShadowTally};

use named::Names;

use crate::channel::Channel;
use crate::check::Checked;
use crate::decision::OutcomeClass;
use crate::hash;
use crate::health::{ChannelHealth, HealthView, KeyView, LatencyView, RecentView, Tolerance};
use crate::ids::ChannelId;
use crate::ledger::{BoundLimit, CellId, Ledger, LimitState};
use crate::limit::{Metric, Mode, Scope, ScopeKind, ScopeLimits, Window};
use crate::ports::{Alert, PolicyHook};
use crate::snapshot::Snapshot;
use crate::tenant::Caller;
use crate::time::Timestamp;

/// The link index of a channel's own limits, so that they are never mistaken for the caller's.
const CHANNEL_LINK: u8 = u8::MAX;
/// The link index of the first end customer or tag that a call names; the others follow.
const FIRST_NAMED_LINK: u8 = 64;
/// Alerts wait here for the host; when nobody takes them those of scripts go first, and then the oldest.
const MAX_ALERTS: usize = 1024;
/// So many alerts of one script, its failures included, are told within a second; more aren't.
const SCRIPT_ALERTS: u32 = 16;
/// Soft limits that have been told of are remembered, at most so many; then those whose window has ended are forgotten.
const MAX_TOLD: usize = 16_384;

/// Who decides. One per process; shared by all threads.
pub struct Engine {
    runtime: ArcSwap<Runtime>,
    // Shared with attempts under way, which give back what they have when their host loses them.
    ledger: Arc<Mutex<Ledger>>,
    health: Mutex<HashMap<ChannelId, Arc<ChannelHealth>>>,
    /// Locked before the ledger.
    names: Mutex<Names>,
    alerts: Mutex<Alerts>,
    /// Soft limits that were crossed and told of, by counter and max, and until when no more is said.
    told: Mutex<HashMap<(CellId, i64), Timestamp>>,
    /// Who is told when something was freed that calls wait for.
    heard: OnceLock<line::Heard>,
}

/// A snapshot with what only lives at run time: each channel's health and counters, and the compiled scripts.
pub(crate) struct Runtime {
    pub(crate) snapshot: Arc<Snapshot>,
    /// For ranking by what channels have used.
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) channels: Vec<ChannelRuntime>,
    pub(crate) policy: Arc<dyn PolicyHook>,
    pub(crate) policy_digest: u64,
    /// Scripts that are tried beside these.
    trials: Vec<shadow::Trial>,
    /// The host isn't told when a script fails: nobody has put it into use.
    is_quiet: bool,
}

#[derive(Clone)]
pub(crate) struct ChannelRuntime {
    pub(crate) health: Arc<ChannelHealth>,
    /// A stable hash of its id.
    pub(crate) place: u64,
    pub(crate) limits: SmallVec<[BoundLimit; 2]>,
    pub(crate) tolerance: Tolerance,
    /// Whether one of the limits that can refuse depends on how much output a call produces.
    pub(crate) bounds_output: bool,
    /// What tells its keys apart.
    pub(crate) keys: SmallVec<[u64; 1]>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Runtime(snapshot {})", self.snapshot.version)
    }
}

/// A caller whose limits are tied to their counters. Made once per key by [`Engine::bind`], and cached by the host.
#[derive(Debug)]
pub struct BoundCaller {
    /// The caller.
    pub caller: Caller,
    pub(crate) limits: Vec<BoundLimit>,
    /// Whether a limit that can refuse depends on how much output a call produces.
    pub(crate) bounds_output: bool,
}

impl BoundCaller {
    /// Whether a strict spend limit binds the caller: nothing of unbounded cost may then be asked for.
    pub fn has_strict_spend(&self) -> bool {
        has_strict_spend(&self.limits)
    }

    /// The limits of the chain, innermost scope first.
    pub fn limits(&self) -> &[BoundLimit] {
        &self.limits
    }
}

impl Engine {
    /// An engine that decides by this snapshot and these scripts, with empty balances.
    pub fn new(snapshot: Snapshot, policy: Arc<dyn PolicyHook>) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::new(snapshot.declared.quota.time_zone.clone())));
        let mut health = HashMap::new();
        let runtime = Runtime::new(snapshot, policy, Arc::clone(&ledger), &mut ledger.lock(), &mut health);
        Self {
            runtime: ArcSwap::from_pointee(runtime),
            ledger,
            health: Mutex::new(health),
            names: Mutex::new(Names::default()),
            alerts: Mutex::new(Alerts::default()),
            told: Mutex::new(HashMap::new()),
            heard: OnceLock::new(),
        }
    }

    /// Swaps the configuration. Calls that were admitted before finish by the old one; balances and health stay. Windows
    /// that are open keep their time zone.
    pub fn swap(&self, snapshot: Snapshot, policy: Arc<dyn PolicyHook>) {
        self.swap_with(snapshot, policy, Vec::new());
    }

    /// Like [`swap`](Self::swap), with scripts in the shadow.
    pub fn swap_with(&self, snapshot: Snapshot, policy: Arc<dyn PolicyHook>, shadows: Vec<Shadow>) {
        let mut health = self.health.lock();
        health.retain(|id, _| snapshot.channels().iter().any(|channel| channel.id == *id));
        let mut ledger = self.ledger.lock();
        ledger.set_time_zone(snapshot.declared.quota.time_zone.clone());
        let runtime = Runtime::new(snapshot, policy, self.shared_ledger(), &mut ledger, &mut health);
        drop(ledger);
        self.runtime.store(Arc::new(runtime.with_trials(shadows)));
    }

    /// Sets the scripts in the shadow; everything else stays.
    pub fn try_beside(&self, shadows: Vec<Shadow>) {
        self.runtime.rcu(|runtime| runtime.with_trials(shadows.clone()));
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.runtime.load().snapshot)
    }

    /// Ties a caller's limits to their counters.
    pub fn bind(&self, caller: Caller) -> Arc<BoundCaller> {
        let mut ledger = self.ledger.lock();
        let mut limits = Vec::new();
        for (at, scope) in caller.chain.iter().enumerate() {
            limits.extend(ledger.bind(u8::try_from(at).unwrap_or(CHANNEL_LINK - 1), scope));
        }
        let bounds_output = bounds_output(&limits);
        Arc::new(BoundCaller { caller, limits, bounds_output })
    }

    /// The ledger, for a journal that writes what it logs.
    pub fn shared_ledger(&self) -> Arc<Mutex<Ledger>> {
        Arc::clone(&self.ledger)
    }

    /// The ledger, for hosts that store and restore balances. Hold it briefly: every call needs it.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }

    /// How a channel is doing; `None` when there is none of that id.
    pub fn health(&self, channel: &ChannelId, now: Timestamp) -> Option<HealthView> {
        self.health.lock().get(channel).map(|health| health.view(now))
    }

    /// How long a channel takes to answer: for people, not for decisions.
    pub fn latency(&self, channel: &ChannelId) -> Option<LatencyView> {
        self.health.lock().get(channel).map(|health| health.latency())
    }

    /// What befell a channel of late: for people, not for decisions.
    pub fn recent(&self, channel: &ChannelId, now: Timestamp) -> Option<RecentView> {
        self.health.lock().get(channel).map(|health| health.recent(now))
    }

    /// How the keys of a channel with several are doing; empty for any other.
    pub fn keys(&self, channel: &ChannelId, now: Timestamp) -> Vec<KeyView> {
        self.health.lock().get(channel).map(|health| health.keys(now)).unwrap_or_default()
    }

    /// Forgets what went wrong with a channel: somebody mended it.
    pub fn mend(&self, channel: &ChannelId) {
        if let Some(health) = self.health.lock().get(channel) {
            health.mend();
        }
    }

    /// The keys with which a channel is to be checked now: those that are out, and one for the channel itself when it is out, or
    /// in any case when `all` are to be asked. Nothing for a channel that isn't there or is switched off.
    pub fn to_check(&self, channel: &ChannelId, all: bool, now: Timestamp) -> SmallVec<[u32; 2]> {
        let runtime = self.runtime();
        let mut channels = runtime.snapshot.channels().iter().zip(&runtime.channels);
        let found = channels.find(|(declared, _)| declared.id == *channel && declared.enabled);
        found.map(|(_, it)| it.health.to_check(all, now)).unwrap_or_default()
    }

    /// A health check of a channel, with this of its keys, ended like this. An answer, even one that refuses the request, ends a
    /// bench at once, that of a refused credential among them; a failure counts like a call's. No call, limit or record knows of it.
    pub fn probe_result(
        &self,
        channel: &ChannelId,
        key: u32,
        class: OutcomeClass,
        retry_after_ms: Option<u64>,
        now: Timestamp,
    ) -> Checked {
        let runtime = self.runtime();
        let mut channels = runtime.snapshot.channels().iter().zip(&runtime.channels);
        let Some((declared, it)) = channels.find(|(declared, _)| declared.id == *channel) else {
            return Checked::Same;
        };
        let (checked, verdict) = it.health.checked(key, class, retry_after_ms, it.tolerance, now);
        self.alert_of(&declared.id, key, class, verdict);
        checked
    }

    /// Takes the alerts that came up since the last time, at most 1,024.
    pub fn take_alerts(&self) -> Vec<Alert> {
        let mut alerts = self.alerts.lock();
        let Alerts { own, of_scripts, .. } = &mut *alerts;
        own.drain(..).chain(of_scripts.drain(..)).collect()
    }

    /// Tells the host something, together with what the engine has to tell.
    pub fn alert(&self, alert: Alert) {
        let mut alerts = self.alerts.lock();
        alerts.own.push_back(alert);
        alerts.bound();
    }

    /// Tells the host what a script has to say, or that it failed, unless it has said enough within this second: a script may be
    /// anybody's, and what the engine has to tell must not go under.
    fn alert_of_script(&self, policy: &str, now: Timestamp, alert: Alert) {
        let mut alerts = self.alerts.lock();
        if alerts.may_say(policy, now) {
            alerts.of_scripts.push_back(alert);
            alerts.bound();
        }
    }

    pub(crate) fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }
}

/// What the host is to be told.
#[derive(Default)]
struct Alerts {
    own: VecDeque<Alert>,
    of_scripts: VecDeque<Alert>,
    /// How much each script has said in this second.
    // BOUND: the scripts that run within a second.
    said: HashMap<String, u32>,
    second: i64,
}

impl Alerts {
    // BOUND: nobody is obliged to take them.
    fn bound(&mut self) {
        while self.own.len() + self.of_scripts.len() > MAX_ALERTS {
            if self.of_scripts.pop_front().is_none() {
                self.own.pop_front();
            }
        }
    }

    fn may_say(&mut self, policy: &str, now: Timestamp) -> bool {
        let second = now.as_ms().div_euclid(1000);
        if std::mem::replace(&mut self.second, second) != second {
            self.said.clear();
        }
        match self.said.get_mut(policy) {
            Some(said) => {
                *said = said.saturating_add(1);
                *said <= SCRIPT_ALERTS
            }
            None => {
                self.said.insert(policy.to_owned(), 1);
                true
            }
        }
    }
}

impl Engine {
    /// Tells of soft limits that an attempt crosses: of each once in its window.
    fn alert_crossed(
        &self,
        admission: &Admission,
        channel: &Channel,
        crossed: &[LimitState],
        now: Timestamp,
    ) {
        for state in crossed {
            if self.is_news((state.cell, state.limit.max), quiet_until(state, now), now) {
                let limit = settle::limit_text(admission, channel, state);
                self.alert(Alert::SoftLimit { limit });
            }
        }
    }

    fn is_news(&self, of: (CellId, i64), quiet_until: Timestamp, now: Timestamp) -> bool {
        let mut told = self.told.lock();
        if told.get(&of).is_some_and(|until| now < *until) {
            return false;
        }
        // BOUND: there are only so many windows, but keys come and go.
        if told.len() >= MAX_TOLD {
            told.retain(|_, until| now < *until);
            if told.len() >= MAX_TOLD {
                told.clear();
            }
        }
        told.insert(of, quiet_until);
        true
    }
}

/// When a soft limit that is crossed is news again.
fn quiet_until(state: &LimitState, now: Timestamp) -> Timestamp {
    match state.limit.window {
        // There is no window that ends: once an hour.
        _ if state.limit.metric == Metric::Concurrency => now.plus_ms(3_600_000),
        Window::RollingMs(ms) => now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX)),
        _ => state.resets_at,
    }
}

/// Whether one of these limits is a strict one on spend.
fn has_strict_spend(limits: &[BoundLimit]) -> bool {
    limits.iter().any(|bound| bound.limit.is_strict_spend())
}

/// Whether one of these limits can refuse and depends on how much output a call produces.
fn bounds_output(limits: &[BoundLimit]) -> bool {
    limits.iter().any(|bound| {
        bound.limit.mode != Mode::Soft
            && matches!(bound.limit.metric, Metric::OutputTokens | Metric::TotalTokens | Metric::Spend)
    })
}

impl Runtime {
    fn new(
        snapshot: Snapshot,
        policy: Arc<dyn PolicyHook>,
        shared: Arc<Mutex<Ledger>>,
        ledger: &mut Ledger,
        health: &mut HashMap<ChannelId, Arc<ChannelHealth>>,
    ) -> Self {
        let routing = snapshot.declared.routing;
        let channels = snapshot
            .channels()
            .iter()
            .map(|channel: &Channel| {
                let scope = Scope::new(ScopeKind::Channel, channel.id.as_str());
                let limits = ScopeLimits { scope, limits: channel.limits.clone() };
                let limits: SmallVec<[BoundLimit; 2]> =
                    ledger.bind(CHANNEL_LINK, &limits).into_iter().collect();
                let health = health.entry(channel.id.clone()).or_default();
                let keys: SmallVec<[u64; 1]> = channel.key_digests().into();
                health.set_keys(&keys);
                ChannelRuntime {
                    health: Arc::clone(health),
                    place: hash::stable(channel.id.as_str().as_bytes()),
                    bounds_output: bounds_output(&limits),
                    keys,
                    limits,
                    tolerance: Tolerance {
                        allowed_fails: channel.allowed_fails.unwrap_or(routing.allowed_fails),
                        // Whoever writes a number for a channel means the number.
                        failure_min_percent: match channel.allowed_fails {
                            Some(_) => 0,
                            None => routing.failure_min_percent,
                        },
                        allowed_fails_by: match channel.allowed_fails_by.is_empty() {
                            true => routing.allowed_fails_by,
                            false => channel.allowed_fails_by,
                        },
                        failure_percent: routing.allowed_failure_percent,
                        failure_min_calls: routing.failure_min_calls,
                        cooldown_ms: channel.cooldown_ms.unwrap_or(routing.cooldown_ms),
                    },
                }
            })
            .collect();
        let policy_digest = policy.digest();
        Self {
            snapshot: Arc::new(snapshot),
            ledger: shared,
            channels,
            policy,
            policy_digest,
            trials: Vec::new(),
            is_quiet: false,
        }
    }
}

#[cfg(test)]
mod tests;
