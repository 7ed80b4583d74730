//! Counts what scripts do: how many calls they steered, how often they failed, how many they refused. A few atomic additions
//! for each run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::ports::{PolicyHook, PolicyRun, RouteView};
use crate::tenant::Caller;

/// What one script did.
#[derive(Debug, Default)]
pub struct PolicyTally {
    calls: AtomicU64,
    errors: AtomicU64,
    denied: AtomicU64,
    /// Whether it runs before candidates are considered: its calls are counted there, and else when they are routed.
    admits: AtomicBool,
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
}

impl PolicyTally {
    /// What was counted so far.
    pub fn counts(&self) -> PolicyCounts {
        PolicyCounts {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
        }
    }

    fn count(&self, hook: At, run: &PolicyRun) {
        let add = |to: &AtomicU64, that: bool| to.fetch_add(u64::from(that), Ordering::Relaxed);
        match hook {
            At::Admit => self.admits.store(true, Ordering::Relaxed),
            At::Route | At::Later => {}
        }
        add(&self.calls, hook == At::Admit || hook == At::Route && !self.admits.load(Ordering::Relaxed));
        add(&self.errors, run.error.is_some());
        add(&self.denied, hook != At::Later && run.verdict.deny.is_some());
    }
}

/// Where in a call's life a script runs, as far as counting goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Admit,
    Route,
    Later,
}

/// Scripts, and the tallies of some of them.
pub struct Tallied {
    hook: Arc<dyn PolicyHook>,
    tallies: Vec<(Arc<str>, Arc<PolicyTally>)>,
    quiet: bool,
}

impl Tallied {
    /// Counts what the scripts of these names do.
    pub fn new(hook: Arc<dyn PolicyHook>, tallies: Vec<(Arc<str>, Arc<PolicyTally>)>) -> Self {
        Self { hook, tallies, quiet: false }
    }

    /// The same, and tells nobody of failures.
    pub fn quiet(hook: Arc<dyn PolicyHook>, tallies: Vec<(Arc<str>, Arc<PolicyTally>)>) -> Self {
        Self { hook, tallies, quiet: true }
    }

    fn count(&self, at: At, mut runs: Vec<PolicyRun>) -> Vec<PolicyRun> {
        for run in &mut runs {
            if let Some((_, tally)) = self.tallies.iter().find(|(name, _)| *name == run.policy) {
                tally.count(at, run);
            }
            if self.quiet {
                run.error = None;
            }
        }
        runs
    }
}

impl PolicyHook for Tallied {
    fn applies(&self, caller: &Caller) -> bool {
        self.hook.applies(caller)
    }

    fn route(&self, view: &RouteView<'_>) -> Vec<PolicyRun> {
        self.count(At::Route, self.hook.route(view))
    }

    fn digest(&self) -> u64 {
        self.hook.digest()
    }
}
