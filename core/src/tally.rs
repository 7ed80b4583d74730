//! Counts what scripts do: how many calls they steered, how often they failed, how many they refused. A few atomic additions
//! for each run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::hash;
use crate::ports::{
    Asked, AttemptView, CallView, CandidateView, Hook, Hooks, PolicyHook, PolicyRun, UsageView,
};
use crate::tenant::Caller;

/// What one script did.
#[derive(Debug, Default)]
pub struct PolicyTally {
    calls: AtomicU64,
    errors: AtomicU64,
    denied: AtomicU64,
    /// A bit for each key whose calls it refused, by the key's hash.
    denied_keys: AtomicU64,
    /// The hooks that it was seen to have, a bit each. A call is counted at the one that runs for every call: `admit`, else
    /// `route`, else `finish`, else `on_error`.
    hooks: AtomicU8,
}

/// What one script did, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCounts {
    /// Calls that it steered.
    pub calls: u64,
    /// Runs that failed.
    pub errors: u64,
    /// Calls that it refused, those because it failed included.
    pub denied: u64,
    /// Keys whose calls it refused: at least so many, and 64 at most.
    pub denied_keys: u32,
}

impl PolicyTally {
    /// What was counted so far.
    pub fn counts(&self) -> PolicyCounts {
        PolicyCounts {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            denied_keys: self.denied_keys.load(Ordering::Relaxed).count_ones(),
        }
    }

    /// The script has these hooks.
    fn expect(&self, hooks: Hooks) {
        let bits =
            Hook::ALL.into_iter().filter(|hook| hooks.has(*hook)).fold(0, |bits, hook| bits | bit(hook));
        self.hooks.fetch_or(bits, Ordering::Relaxed);
    }

    fn count(&self, hook: Hook, (caller, asked): (&Caller, Asked), run: &PolicyRun) {
        let add = |to: &AtomicU64| to.fetch_add(1, Ordering::Relaxed);
        if run.error.is_some() {
            add(&self.errors);
        }
        // Whoever is asked of a model has steered the call before, and refuses no more than that model.
        if asked != Asked::Advice {
            return;
        }
        let bit = bit(hook);
        let seen = self.hooks.fetch_or(bit, Ordering::Relaxed);
        if seen & (bit - 1) == 0 {
            add(&self.calls);
        }
        if matches!(hook, Hook::Admit | Hook::Route) && run.verdict.deny.is_some() {
            add(&self.denied);
            let key = caller.key.as_ref().map_or("", |key| key.as_str());
            self.denied_keys.fetch_or(1 << (hash::stable(key.as_bytes()) % 64), Ordering::Relaxed);
        }
    }
}

/// A hook's place among those that a call is counted at: the first that a script has counts.
fn bit(hook: Hook) -> u8 {
    match hook {
        Hook::Admit => 1,
        Hook::Route => 2,
        Hook::Finish => 4,
        Hook::OnError => 8,
    }
}

/// Scripts, and the tallies of some of them.
pub struct Tallied {
    hook: Arc<dyn PolicyHook>,
    // BOUND: scripts that are in use.
    tallies: HashMap<Arc<str>, Arc<PolicyTally>>,
}

impl Tallied {
    /// Counts what the scripts of these names do.
    pub fn new(hook: Arc<dyn PolicyHook>, tallies: Vec<(Arc<str>, Arc<PolicyTally>)>) -> Self {
        for (name, tally) in &tallies {
            tally.expect(hook.hooks_of(name));
        }
        Self { hook, tallies: tallies.into_iter().collect() }
    }

    fn count(&self, hook: Hook, call: &CallView<'_>, runs: Vec<PolicyRun>) -> Vec<PolicyRun> {
        for run in &runs {
            if let Some(tally) = self.tallies.get(&run.policy) {
                tally.count(hook, (call.caller, call.asked), run);
            }
        }
        runs
    }
}

impl PolicyHook for Tallied {
    fn applies(&self, caller: &Caller) -> Hooks {
        self.hook.applies(caller)
    }

    fn reads_health(&self, caller: &Caller) -> bool {
        self.hook.reads_health(caller)
    }

    fn reads_prompt(&self, caller: &Caller) -> bool {
        self.hook.reads_prompt(caller)
    }

    fn admit(&self, call: &CallView<'_>) -> Vec<PolicyRun> {
        self.count(Hook::Admit, call, self.hook.admit(call))
    }

    fn route(&self, call: &CallView<'_>, candidates: &[CandidateView<'_>]) -> Vec<PolicyRun> {
        self.count(Hook::Route, call, self.hook.route(call, candidates))
    }

    fn on_error(&self, call: &CallView<'_>, attempt: &AttemptView<'_>) -> Vec<PolicyRun> {
        self.count(Hook::OnError, call, self.hook.on_error(call, attempt))
    }

    fn finish(&self, call: &CallView<'_>, usage: &UsageView<'_>) -> Vec<PolicyRun> {
        self.count(Hook::Finish, call, self.hook.finish(call, usage))
    }

    fn hooks_of(&self, policy: &str) -> Hooks {
        self.hook.hooks_of(policy)
    }

    fn digest(&self) -> u64 {
        self.hook.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Verdict;
    use crate::snapshot::Reach;

    fn run(error: bool, deny: bool) -> PolicyRun {
        PolicyRun {
            policy: "p".into(),
            reach: Reach::Everybody,
            verdict: Verdict { deny: deny.then(|| "no".to_owned()), ..Verdict::default() },
            error: error.then(|| "broken".to_owned()),
            fuel: 1,
        }
    }

    fn caller() -> Caller {
        Caller::operator("default".into(), &[])
    }

    #[test]
    fn a_call_is_counted_once_whatever_hooks_a_script_has() {
        use Hook::{Admit, Finish, OnError, Route};
        // The hooks that run for each of three calls.
        for hooks in [&[Admit, Route, OnError, Finish][..], &[Route, Finish], &[Finish], &[Route], &[OnError]]
        {
            let tally = PolicyTally::default();
            for _ in 0..3 {
                hooks
                    .iter()
                    .for_each(|hook| tally.count(*hook, (&caller(), Asked::Advice), &run(false, false)));
            }
            assert_eq!(tally.counts(), PolicyCounts { calls: 3, ..PolicyCounts::default() }, "{hooks:?}");
        }
    }

    #[test]
    fn a_failed_call_is_counted_once_also_when_it_is_the_first() {
        let tally = PolicyTally::default();
        tally.expect(Hooks::NONE.with(Hook::OnError).with(Hook::Finish));
        for hook in [Hook::OnError, Hook::OnError, Hook::Finish] {
            tally.count(hook, (&caller(), Asked::Advice), &run(false, false));
        }
        assert_eq!(tally.counts(), PolicyCounts { calls: 1, ..PolicyCounts::default() });
    }

    #[test]
    fn a_question_about_a_model_is_no_call_and_no_refusal() {
        let tally = PolicyTally::default();
        tally.count(Hook::Route, (&caller(), Asked::Model(None)), &run(true, true));
        assert_eq!(tally.counts(), PolicyCounts { errors: 1, ..PolicyCounts::default() });
    }

    #[test]
    fn failures_count_at_every_hook_and_refusals_where_they_hold() {
        let tally = PolicyTally::default();
        tally.count(Hook::Route, (&caller(), Asked::Advice), &run(true, true));
        tally.count(Hook::OnError, (&caller(), Asked::Advice), &run(true, true));
        assert_eq!(tally.counts(), PolicyCounts { calls: 1, errors: 2, denied: 1, denied_keys: 1 });
    }
}
