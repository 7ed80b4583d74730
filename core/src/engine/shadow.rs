//! Scripts in the shadow: calls that they apply to are decided once more with them, by the same code, from the same candidates,
//! time and seed. The first decision is served; the second one reserves nothing, sends nothing, raises no alert, and is only
//! compared. Without any it costs a call one look at an empty list.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::admission::{Admission, Denied, LazyText};
use super::{BoundCaller, Engine, Runtime};
use crate::call::Call;
use crate::decision::{Explanation, Reason};
use crate::ids::{CallId, ChannelId, ModelName};
use crate::ports::{Hook, PolicyHook};
use crate::tally::{PolicyTally, Tallied};
use crate::time::Timestamp;

/// So many differing calls are kept as examples: the newest.
const MAX_EXAMPLES: usize = 32;

/// A script in the shadow.
#[derive(Clone)]
pub struct Shadow {
    policy: Arc<str>,
    own: Arc<dyn PolicyHook>,
    all: Arc<dyn PolicyHook>,
    tally: Arc<ShadowTally>,
}

impl Shadow {
    /// A script named `policy`: `own` is it alone, `all` are all scripts as they would run if it were in use.
    pub fn new(
        policy: Arc<str>,
        own: Arc<dyn PolicyHook>,
        all: Arc<dyn PolicyHook>,
        tally: Arc<ShadowTally>,
    ) -> Self {
        let errors = vec![(Arc::clone(&policy), Arc::clone(&tally.runs))];
        Self { policy, own, all: Arc::new(Tallied::new(all, errors)), tally }
    }
}

/// What is counted of a script in the shadow.
#[derive(Debug, Default)]
pub struct ShadowTally {
    runs: Arc<PolicyTally>,
    calls: AtomicU64,
    same: AtomicU64,
    denied_more: AtomicU64,
    denied_less: AtomicU64,
    other_model: AtomicU64,
    other_channel: AtomicU64,
    other_terms: AtomicU64,
    fuel_before: AtomicU64,
    fuel_after: AtomicU64,
    examples: Mutex<VecDeque<ShadowExample>>,
}

/// How a script in the shadow compares with what runs. Each call is counted once among `same` and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowReport {
    /// Calls that were decided twice.
    pub calls: u64,
    /// Those that were decided alike.
    pub same: u64,
    /// Those that would be refused now, and weren't.
    pub denied_more: u64,
    /// Those that wouldn't be refused any more.
    pub denied_less: u64,
    /// Those that another model would answer.
    pub other_model: u64,
    /// Those that another channel would be asked for first.
    pub other_channel: u64,
    /// Those with another ceiling, other fallbacks or other tags, and alike otherwise.
    pub other_terms: u64,
    /// How often the script in the shadow failed.
    pub errors: u64,
    /// Operations that the scripts of this name in use have used for these calls.
    pub fuel_before: u64,
    /// Operations that the script in the shadow has used for them.
    pub fuel_after: u64,
    /// Differing calls, the newest first, at most 32.
    pub examples: Vec<ShadowExample>,
}

/// A call that is decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowExample {
    /// The call.
    pub call: CallId,
    /// When it came.
    pub at: Timestamp,
    /// How it was decided.
    pub before: ShadowDecision,
    /// How it would be decided.
    pub after: ShadowDecision,
}

/// A decision, as far as it is compared: what becomes of a call before its first attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowDecision {
    /// Why it is refused; everything else is then empty.
    pub denied: Option<String>,
    /// The model that answers.
    pub model: Option<ModelName>,
    /// The channel that is asked first.
    pub channel: Option<ChannelId>,
    /// The ceiling that scripts set, in tokens.
    pub max_output: Option<u64>,
    /// The fallbacks that scripts set.
    pub fallback: Option<Vec<ModelName>>,
    /// The call's tags.
    pub tags: Vec<String>,
}

impl ShadowTally {
    /// What was counted so far.
    pub fn report(&self) -> ShadowReport {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        ShadowReport {
            calls: read(&self.calls),
            same: read(&self.same),
            denied_more: read(&self.denied_more),
            denied_less: read(&self.denied_less),
            other_model: read(&self.other_model),
            other_channel: read(&self.other_channel),
            other_terms: read(&self.other_terms),
            errors: self.runs.counts().errors,
            fuel_before: read(&self.fuel_before),
            fuel_after: read(&self.fuel_after),
            examples: self.examples.lock().iter().cloned().collect(),
        }
    }

    fn count(&self, call: &CallId, at: Timestamp, before: &ShadowDecision, after: ShadowDecision) {
        let add = |to: &AtomicU64| to.fetch_add(1, Ordering::Relaxed);
        add(&self.calls);
        add(match (&before.denied, &after.denied) {
            (Some(_), Some(_)) => &self.same,
            (None, Some(_)) => &self.denied_more,
            (Some(_), None) => &self.denied_less,
            (None, None) if before.model != after.model => &self.other_model,
            (None, None) if before.channel != after.channel => &self.other_channel,
            (None, None) if *before != after => &self.other_terms,
            (None, None) => &self.same,
        });
        if *before == after {
            return;
        }
        let example = ShadowExample { call: call.clone(), at, before: before.clone(), after };
        let mut examples = self.examples.lock();
        // BOUND: see the constant.
        examples.truncate(MAX_EXAMPLES - 1);
        examples.push_front(example);
    }
}

/// A script in the shadow with what calls are decided by when it is tried: everything as it is, but for the scripts.
pub(super) struct Trial {
    shadow: Shadow,
    runtime: Arc<Runtime>,
}

impl Runtime {
    /// The same, with these scripts in the shadow.
    pub(super) fn with_trials(&self, shadows: Vec<Shadow>) -> Self {
        let trials = shadows.into_iter().map(|shadow| Trial::new(shadow, self)).collect();
        Self { trials, is_quiet: self.is_quiet, ..self.beside(Arc::clone(&self.policy), self.policy_digest) }
    }

    /// The same with these scripts, which are only looked at.
    pub(super) fn under(&self, scripts: &Arc<dyn PolicyHook>) -> Self {
        self.beside(Arc::clone(scripts), scripts.digest())
    }

    /// The same with other scripts, and none in the shadow. Nobody is told of their failures.
    fn beside(&self, policy: Arc<dyn PolicyHook>, policy_digest: u64) -> Self {
        Self {
            snapshot: Arc::clone(&self.snapshot),
            ledger: Arc::clone(&self.ledger),
            channels: self.channels.clone(),
            policy,
            policy_digest,
            trials: Vec::new(),
            is_quiet: true,
        }
    }
}

impl Trial {
    pub(super) fn new(shadow: Shadow, of: &Runtime) -> Self {
        let runtime = Arc::new(of.beside(Arc::clone(&shadow.all), shadow.all.digest()));
        Self { shadow, runtime }
    }

    pub(super) fn applies(&self, caller: &BoundCaller) -> bool {
        let hooks = self.shadow.own.applies(&caller.caller);
        hooks.has(Hook::Admit) || hooks.has(Hook::Route)
    }
}

impl Engine {
    /// Decides a call once more for each script in the shadow that applies to it, and compares.
    pub(super) fn try_shadows(
        &self,
        runtime: &Runtime,
        call: &Call,
        caller: &Arc<BoundCaller>,
        (now, seed): (Timestamp, u64),
        decided: &Result<Box<Admission>, Box<Denied>>,
        text: &LazyText<'_>,
    ) {
        let (before, explanation) = match decided {
            Ok(admission) => (ShadowDecision::of(admission), &admission.explanation),
            Err(denied) => {
                (ShadowDecision::denied(denied.denial.to_error(now).message()), &denied.explanation)
            }
        };
        for trial in runtime.trials.iter().filter(|trial| trial.applies(caller)) {
            let tally = &trial.shadow.tally;
            let mut second =
                Admission::new(Arc::clone(&trial.runtime), call.clone(), Arc::clone(caller), now, seed);
            let after = match self.choose(&mut second, now, text) {
                Ok(()) => ShadowDecision::of(&second),
                Err(denial) => ShadowDecision::denied(denial.to_error(now).message()),
            };
            tally.count(&call.id, now, &before, after);
            let policy = &*trial.shadow.policy;
            tally.fuel_before.fetch_add(fuel(explanation, policy), Ordering::Relaxed);
            tally.fuel_after.fetch_add(fuel(&second.explanation, policy), Ordering::Relaxed);
        }
    }
}

impl ShadowDecision {
    fn of(admission: &Admission) -> Self {
        Self {
            denied: None,
            model: admission.models.last().cloned(),
            channel: admission.order().into_iter().next(),
            max_output: admission.advice.ceiling(),
            fallback: admission.advice.fallback.clone(),
            tags: admission.call.tags.to_vec(),
        }
    }

    fn denied(message: &str) -> Self {
        Self { denied: Some(message.to_owned()), ..Self::default() }
    }
}

/// What the script of this name has used.
fn fuel(explanation: &Explanation, name: &str) -> u64 {
    let of = |reason: &Reason| match reason {
        Reason::Policy { policy, fuel, .. } if policy == name => *fuel,
        _ => 0,
    };
    explanation.reasons().iter().map(of).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
