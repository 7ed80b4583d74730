//! The policy port: runs the scripts that apply to a caller, and hands their verdicts to the engine.

use std::collections::HashMap;
use std::fmt;

use rhai::{CallFnOptions, Dynamic, EvalAltResult, FuncArgs, Scope};
use sha2::{Digest, Sha256};
use sluicegate_core::ids::GroupId;
use sluicegate_core::ports::{
    AttemptView, CallView, CandidateView, Hook, Hooks, PolicyHook, PolicyRun, UsageView, Verdict,
};
use sluicegate_core::snapshot::{ModuleSource, OnPolicyError, PolicySource, Reach};
use sluicegate_core::tenant::Caller;
use smallvec::SmallVec;

use crate::api::{Attempt, CallHandle, Candidates, UsageHandle, fnv1a};
use crate::compile::{Compiler, Script, describe};
use crate::diagnostic::PolicyDiagnostic;
use crate::facts::{AttemptFacts, CallFacts, CandidateFacts, Reads, UsageFacts};
use crate::module::Modules;
use crate::run;
use crate::run::Run;

/// What callers are told when a script that must not fail does. Neutral: how it failed is the operator's affair.
const FAILED: &str = "this call can't be checked against the policies in force; tell the administrator";

/// Compiled scripts, in the order in which they run: those for everybody, then those of organizations, of groups and of
/// keys. Cheap to share, never
/// changed: a new set of scripts is a new value.
#[derive(Default)]
pub struct Policies {
    scripts: Vec<Script>,
    index: Index,
    digest: u64,
}

impl Policies {
    /// No scripts: applies to nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Compiles and checks scripts. All or none: a script that can't run would silently not steer.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, with line and column.
    pub fn compile(sources: &[PolicySource]) -> Result<Self, Vec<PolicyDiagnostic>> {
        Self::compile_with(sources, &[])
    }

    /// The same of scripts that may import these modules, which are checked whether they are imported or not.
    ///
    /// # Errors
    /// Likewise; what is wrong with a module says so.
    pub fn compile_with(
        sources: &[PolicySource],
        modules: &[ModuleSource],
    ) -> Result<Self, Vec<PolicyDiagnostic>> {
        if sources.is_empty() && modules.is_empty() {
            return Ok(Self::none());
        }
        let compiler = Compiler::new();
        let compiled = Modules::compile(&compiler, modules)?;
        let (mut scripts, mut wrong) = (Vec::with_capacity(sources.len()), Vec::new());
        for source in sources {
            match compiler.compile(source, &compiled) {
                Ok(script) => scripts.push(script),
                Err(diagnostics) => wrong.extend(diagnostics),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // Stable: within each reach, as they were declared.
        scripts.sort_by_key(|script| script.attached.reach());
        let digest = if sources.is_empty() { 0 } else { digest(sources, modules) };
        Ok(Self { index: Index::of(&scripts), scripts, digest })
    }

    /// The scripts' names, in the order in which they run.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scripts.iter().map(|script| &*script.name)
    }

    /// Whether there is no script.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// The scripts that apply to this caller, in order.
    fn applying<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a Script> + Clone {
        let (everybody, others) = self.scripts.split_at_checked(self.index.everybody).unwrap_or_default();
        let first = everybody.len();
        let others = self.index.narrower(caller, |at| {
            at.checked_sub(first).and_then(|at| others.get(at)).is_some_and(|script| script.applies(caller))
        });
        everybody.iter().chain(others.into_iter().filter_map(|at| self.scripts.get(at)))
    }

    /// What of a caller's keeps the first script from it, in a word; `None` when it steers the caller's calls.
    pub(crate) fn is_of_another(&self, caller: &Caller) -> Option<&'static str> {
        let script = self.scripts.first().filter(|script| !script.applies(caller))?;
        match script.attached.reach() {
            Reach::Everybody => None,
            Reach::Organization => Some("organization"),
            Reach::Group => Some("group"),
            Reach::Key => Some("key"),
        }
    }

    /// Runs a hook of the scripts that apply. `prepare` adds what this hook sees besides the call.
    fn run(&self, hook: Hook, view: &CallView<'_>, prepare: impl FnOnce(&mut Run, Reads)) -> Vec<PolicyRun> {
        let scripts = self
            .applying(view.caller)
            .filter(|script| script.hooks().has(hook) && view.asked.asks(script.attached.reach()));
        if scripts.clone().next().is_none() {
            return Vec::new();
        }
        let reads = scripts.clone().fold(Reads::default(), |reads, script| reads.union(script.reads));
        let mut run = Run::new(hook, CallFacts::of(view, reads));
        prepare(&mut run, reads);
        run::begin(run);
        let runs = scripts.map(|script| script.run(hook)).collect();
        run::end();
        runs
    }
}

impl PolicyHook for Policies {
    fn applies(&self, caller: &Caller) -> Hooks {
        self.applying(caller).fold(Hooks::NONE, |hooks, script| hooks.union(script.hooks()))
    }

    fn reads_health(&self, caller: &Caller) -> bool {
        self.applying(caller).any(|script| script.reads.health)
    }

    fn reads_prompt(&self, caller: &Caller) -> bool {
        self.scripts.iter().any(|script| script.reads.prompt && script.applies(caller))
    }

    fn admit(&self, call: &CallView<'_>) -> Vec<PolicyRun> {
        self.run(Hook::Admit, call, |_, _| {})
    }

    fn route(&self, call: &CallView<'_>, candidates: &[CandidateView<'_>]) -> Vec<PolicyRun> {
        self.run(Hook::Route, call, |run, reads| {
            if reads.candidates {
                let limits = if reads.channel_limits { call.limits.of_candidates() } else { Vec::new() };
                let used = limits.into_iter().chain(std::iter::repeat(None));
                let facts = candidates.iter().zip(used).map(|(it, used)| CandidateFacts::of(it, used, reads));
                run.candidates = facts.collect();
            }
        })
    }

    fn on_error(&self, call: &CallView<'_>, attempt: &AttemptView<'_>) -> Vec<PolicyRun> {
        self.run(Hook::OnError, call, |run, reads| run.attempt = Some(AttemptFacts::of(attempt, reads)))
    }

    fn finish(&self, call: &CallView<'_>, usage: &UsageView<'_>) -> Vec<PolicyRun> {
        self.run(Hook::Finish, call, |run, reads| run.usage = Some(UsageFacts::of(usage, reads)))
    }

    fn hooks_of(&self, policy: &str) -> Hooks {
        let found = self.scripts.iter().find(|script| *script.name == *policy);
        found.map_or(Hooks::NONE, Script::hooks)
    }

    fn digest(&self) -> u64 {
        self.digest
    }
}

/// Where the scripts are that can apply to a caller, so that what others have costs nothing.
#[derive(Default)]
struct Index {
    /// So many, from the first on, are for everybody.
    everybody: usize,
    // BOUND: what is declared and stored, each of these.
    organizations: HashMap<String, Vec<usize>>,
    groups: HashMap<String, Vec<usize>>,
    keys: HashMap<String, Vec<usize>>,
}

impl Index {
    /// Of scripts that are in order.
    fn of(scripts: &[Script]) -> Self {
        let mut index = Self::default();
        for (at, script) in scripts.iter().enumerate() {
            let places = match script.attached.reach() {
                Reach::Everybody => {
                    index.everybody += 1;
                    continue;
                }
                Reach::Organization => &mut index.organizations,
                Reach::Group => &mut index.groups,
                Reach::Key => &mut index.keys,
            };
            places.entry(script.attached.id().to_owned()).or_default().push(at);
        }
        index
    }

    /// The places of those of the caller's organization, group and key that apply, in order.
    fn narrower(&self, caller: &Caller, applies: impl Fn(usize) -> bool) -> SmallVec<[usize; 4]> {
        let mut found = SmallVec::new();
        let mut add = |places: &HashMap<String, Vec<usize>>, id: &str| {
            found.extend(places.get(id).into_iter().flatten().copied().filter(|at| applies(*at)));
        };
        if !self.organizations.is_empty() {
            add(&self.organizations, caller.organization.as_str());
        }
        if !self.groups.is_empty() {
            // A script names a group by its id or by what it is called.
            let id = caller.group.as_ref().map(GroupId::as_str);
            id.into_iter()
                .chain(caller.labels.iter().map(|label| &**label))
                .for_each(|it| add(&self.groups, it));
        }
        if let Some(key) = caller.key.as_ref().filter(|_| !self.keys.is_empty()) {
            add(&self.keys, key.as_str());
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Script {
    fn hooks(&self) -> Hooks {
        self.entries.hooks()
    }

    fn applies(&self, caller: &Caller) -> bool {
        self.attached.steers(caller)
    }

    fn run(&self, hook: Hook) -> PolicyRun {
        run::start_script(self.salt(hook), self.attached.reach());
        // A sort swallows what its function fails at, an empty tank too: then it is found here.
        let result = self.call(hook).and_then(|_| run::charge_operations(0));
        let said = run::take_verdict();
        let (verdict, error) = match result {
            Ok(()) => (said, None),
            // Half a verdict is none: what was said before the failure may have been half of a thought.
            Err(error) => (self.verdict_on_error(hook), Some(explain(&error))),
        };
        let (policy, reach) = (self.name.clone(), self.attached.reach());
        PolicyRun { policy, reach, verdict, error, fuel: run::fuel_used() }
    }

    /// What one hook of a call draws has nothing to do with what another draws.
    fn salt(&self, hook: Hook) -> u64 {
        match hook {
            Hook::Route => self.salt,
            _ => self.salt ^ fnv1a(&[hook.as_str().as_bytes()]),
        }
    }

    fn call(&self, hook: Hook) -> Result<Dynamic, Box<EvalAltResult>> {
        match (hook, self.entries.parameters(hook)) {
            (Hook::Route, 2) => self.call_with(hook, (CallHandle, Candidates)),
            (Hook::OnError, 2) => self.call_with(hook, (CallHandle, Attempt)),
            (Hook::Finish, 2) => self.call_with(hook, (CallHandle, UsageHandle)),
            _ => self.call_with(hook, (CallHandle,)),
        }
    }

    fn call_with(&self, hook: Hook, arguments: impl FuncArgs) -> Result<Dynamic, Box<EvalAltResult>> {
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(false);
        self.engine.call_fn_with_options(options, &mut Scope::new(), &self.ast, hook.as_str(), arguments)
    }

    fn verdict_on_error(&self, hook: Hook) -> Verdict {
        match (self.on_error, hook) {
            (OnPolicyError::FailOpen, _) | (_, Hook::Finish) => Verdict::default(),
            (OnPolicyError::FailClosed, Hook::OnError) => Verdict { stop: true, ..Verdict::default() },
            (OnPolicyError::FailClosed, _) => Verdict { deny: Some(FAILED.to_owned()), ..Verdict::default() },
        }
    }
}

fn explain(error: &EvalAltResult) -> String {
    let (position, message) = describe(error);
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {message}"),
        (Some(line), None) => format!("line {line}: {message}"),
        (None, _) => message,
    }
}

/// Over everything that decides what the scripts do. Never 0, which means no scripts.
fn digest(sources: &[PolicySource], modules: &[ModuleSource]) -> u64 {
    let mut hash = Sha256::new();
    for source in sources {
        for part in [source.name.as_str(), source.text.as_str(), source.attached.id()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([source.attached.reach() as u8, u8::from(source.on_error == OnPolicyError::FailClosed)]);
    }
    for part in modules.iter().flat_map(|module| [module.name.as_str(), module.text.as_str()]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let head = hash.finalize().iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
    head.max(1)
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("scripts", &self.names().collect::<Vec<_>>())
            .field("digest", &self.digest)
            .finish()
    }
}
