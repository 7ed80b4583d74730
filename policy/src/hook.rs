//! The policy port: runs the scripts that apply to a caller, and hands their verdicts to the engine.

use std::fmt;

use rhai::{CallFnOptions, Dynamic, EvalAltResult, Scope};
use sha2::{Digest, Sha256};
use sluicegate_core::ports::{PolicyHook, PolicyRun, RouteView, Verdict};
use sluicegate_core::snapshot::{OnPolicyError, PolicySource};
use sluicegate_core::tenant::Caller;

use crate::api::{CallView, Candidates};
use crate::compile::{Compiler, Script, describe};
use crate::diagnostic::PolicyDiagnostic;
use crate::facts::{CallFacts, CandidateFacts, Reads};
use crate::run::Run;
use crate::{lint, run};

/// What callers are told when a script that must not fail does. Neutral: how it failed is the operator's affair.
const FAILED: &str = "this call can't be checked against the policies in force; tell the administrator";

/// Compiled scripts, in the order in which they run: those for everybody, then those of groups. Cheap to share, never
/// changed: a new set of scripts is a new value.
#[derive(Default)]
pub struct Policies {
    scripts: Vec<Script>,
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
        if sources.is_empty() {
            return Ok(Self::none());
        }
        let compiler = Compiler::new();
        let (mut scripts, mut wrong) = (Vec::with_capacity(sources.len()), Vec::new());
        for source in sources {
            match compiler.compile(source) {
                Ok(script) => scripts.push(script),
                Err(diagnostics) => wrong.extend(diagnostics),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // Stable: within each of the two, as they were declared.
        scripts.sort_by_key(|script| script.group.is_some());
        Ok(Self { scripts, digest: digest(sources) })
    }

    /// The scripts' names, in the order in which they run.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scripts.iter().map(|script| &*script.name)
    }

    /// Whether there is no script.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    fn applying<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = &'a Script> + Clone {
        self.scripts.iter().filter(|script| script.applies(caller))
    }
}

impl PolicyHook for Policies {
    fn applies(&self, caller: &Caller) -> bool {
        self.applying(caller).next().is_some()
    }

    fn reads_health(&self, caller: &Caller) -> bool {
        self.applying(caller).any(|script| script.reads.health)
    }

    fn route(&self, view: &RouteView<'_>) -> Vec<PolicyRun> {
        let scripts = self.applying(view.caller);
        let reads = scripts.clone().fold(Reads::default(), |reads, script| reads.union(script.reads));
        let candidates = match reads.candidates {
            true => view.candidates.iter().map(|candidate| CandidateFacts::of(candidate, reads)).collect(),
            false => Vec::new(),
        };
        run::begin(Run::new(CallFacts::of(view, reads), candidates));
        let runs = scripts.map(|script| script.route()).collect();
        run::end();
        runs
    }

    fn digest(&self) -> u64 {
        self.digest
    }
}

impl Script {
    fn applies(&self, caller: &Caller) -> bool {
        self.group
            .as_ref()
            .is_none_or(|group| caller.group.as_ref() == Some(group) || caller.is_in_group(group.as_str()))
    }

    fn route(&self) -> PolicyRun {
        run::start_script(self.salt);
        let result = self.call();
        let said = run::take_verdict();
        let (verdict, error) = match result {
            Ok(_) => (said, None),
            // Half a verdict is none: what was said before the failure may have been half of a thought.
            Err(error) => (self.verdict_on_error(), Some(explain(&error))),
        };
        PolicyRun { policy: self.name.clone(), verdict, error, fuel: run::fuel_used() }
    }

    fn call(&self) -> Result<Dynamic, Box<EvalAltResult>> {
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(false);
        let mut scope = Scope::new();
        if self.takes_candidates {
            let arguments = (CallView, Candidates);
            self.engine.call_fn_with_options(options, &mut scope, &self.ast, lint::ROUTE, arguments)
        } else {
            self.engine.call_fn_with_options(options, &mut scope, &self.ast, lint::ROUTE, (CallView,))
        }
    }

    fn verdict_on_error(&self) -> Verdict {
        match self.on_error {
            OnPolicyError::FailOpen => Verdict::default(),
            OnPolicyError::FailClosed => Verdict { deny: Some(FAILED.to_owned()), ..Verdict::default() },
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
fn digest(sources: &[PolicySource]) -> u64 {
    let mut hash = Sha256::new();
    for source in sources {
        let group = source.group.as_ref().map_or("", |group| group.as_str());
        for part in [source.name.as_str(), source.text.as_str(), group] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([
            u8::from(source.group.is_some()),
            u8::from(source.on_error == OnPolicyError::FailClosed),
        ]);
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
