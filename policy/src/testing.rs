//! Tests inside a script's own file: functions whose names begin with `test_`.
//!
//! They make up calls and candidates, route them through [`Policies`] as the gateway would, and assert on what comes out.
//! None of this is there when calls come: the compiler takes the tests out of the text before anything else.

mod assert;
mod ending;
mod field;
mod given;
mod home;
mod routed;
mod state;

use std::sync::Arc;

use rhai::{AST, CallFnOptions, Engine, EvalAltResult, Scope};
use sluicegate_core::snapshot::{ModuleSource, PolicySource};

use crate::compile::{Compiler, describe};
use crate::diagnostic::PolicyDiagnostic;
use crate::module::Modules;
use crate::parts::TestPart;
use crate::{Policies, run};
use home::Home;
pub use home::Whose;

/// What one test may use in operations, besides those of the calls that it routes: they have a fuel of their own.
const TEST_FUEL: u64 = 1_000_000;

/// What all tests of one run may use together, in operations, those of the calls that they route included.
const RUN_FUEL: u64 = 50_000_000;

/// The tests of one script.
///
/// ```
/// use sluicegate_core::snapshot::PolicySource;
/// use sluicegate_policy::Tests;
///
/// let text = r#"
///     fn route(call) { if call.stream { deny("no streams"); } }
///     fn test_streams_are_refused() { given(#{ stream: true }).route().assert_denied("no streams"); }
/// "#;
/// let source = PolicySource::new("calm", text);
/// let results = Tests::compile(&source).unwrap().run(None);
/// assert!(results.iter().all(|test| test.failure.is_none()));
/// ```
pub struct Tests {
    engine: Engine,
    ast: AST,
    parts: Vec<TestPart>,
}

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// The test's function.
    pub name: String,
    /// The line where it begins, from 1.
    pub line: usize,
    /// How many assertions it made.
    pub assertions: u32,
    /// Why it failed; `None` when it passed.
    pub failure: Option<TestFailure>,
}

/// Why a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; 0 when it concerns the whole line.
    pub column: usize,
    /// What went wrong.
    pub message: String,
    /// What an assertion expected.
    pub expected: Option<String>,
    /// What came instead.
    pub came: Option<String>,
}

impl Tests {
    /// Compiles and checks a script and its tests.
    ///
    /// # Errors
    /// Everything that is wrong with either, with line and column.
    pub fn compile(source: &PolicySource) -> Result<Self, Vec<PolicyDiagnostic>> {
        Self::compile_with(source, &[])
    }

    /// The same of a script that may import these modules.
    ///
    /// # Errors
    /// Likewise.
    pub fn compile_with(
        source: &PolicySource,
        modules: &[ModuleSource],
    ) -> Result<Self, Vec<PolicyDiagnostic>> {
        Self::compile_for(source, modules, &Whose::default())
    }

    /// The same of a script of whose scope more is known than its id. Where a test doesn't say who calls, it is that scope.
    ///
    /// # Errors
    /// Likewise.
    pub fn compile_for(
        source: &PolicySource,
        modules: &[ModuleSource],
        whose: &Whose,
    ) -> Result<Self, Vec<PolicyDiagnostic>> {
        let compiler = Compiler::new();
        let compiled = Modules::compile(&compiler, modules)?;
        let parts = compiler.split(source)?;
        let (policies, mut wrong) = match Policies::compile_with(std::slice::from_ref(source), modules) {
            Ok(policies) => (policies, Vec::new()),
            Err(wrong) => (Policies::none(), wrong),
        };
        let policies = Arc::new(policies);
        let home = Arc::new(Home::of(&source.attached, whose));
        match compiler.compile_tests(source, &compiled, |engine| register(engine, &policies, &home)) {
            Ok((engine, ast)) if wrong.is_empty() => return Ok(Self { engine, ast, parts: parts.tests }),
            Ok(_) => {}
            // What is wrong outside of the tests has been said.
            Err(found) => {
                let all = wrong.is_empty();
                wrong.extend(found.into_iter().filter(|d| all || parts.is_test_line(d.line)));
            }
        }
        wrong.sort_by_key(|d| (d.line, d.column));
        Err(wrong)
    }

    /// The tests' names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tests().map(|test| test.name.as_str())
    }

    /// Whether there is no test.
    pub fn is_empty(&self) -> bool {
        self.tests().next().is_none()
    }

    /// Runs the tests whose names have `filter` in them, in the order of the file.
    pub fn run(&self, filter: Option<&str>) -> Vec<TestResult> {
        let chosen = self.tests().filter(|test| filter.is_none_or(|part| test.name.contains(part)));
        let mut left = RUN_FUEL;
        chosen.map(|test| self.run_one(test, &mut left)).collect()
    }

    fn tests(&self) -> impl Iterator<Item = &TestPart> {
        self.parts.iter().filter(|part| !part.is_helper)
    }

    /// Runs one test, with no more than what is `left` for all of them.
    fn run_one(&self, test: &TestPart, left: &mut u64) -> TestResult {
        state::take();
        run::refuel_to(TEST_FUEL.min(*left));
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(false);
        let ended: Result<rhai::Dynamic, _> =
            self.engine.call_fn_with_options(options, &mut Scope::new(), &self.ast, &test.name, ());
        let done = state::take();
        let used = run::fuel_used();
        // BOUND: a test's calls may go beyond what is left by as much as one test can use.
        *left = left.saturating_sub(used + done.routed);
        let failure = match (done.failure, ended) {
            (Some(failure), _) => Some(failure),
            (None, Err(error)) => Some(failed(test, &error, used)),
            (None, Ok(_)) if done.assertions == 0 => Some(TestFailure {
                line: test.line,
                column: 0,
                message: "the test asserts nothing; end it with what must hold, such as `assert_first(v, \"name\")`"
                    .to_owned(),
                expected: None,
                came: None,
            }),
            (None, Ok(_)) => None,
        };
        TestResult { name: test.name.clone(), line: test.line, assertions: done.assertions, failure }
    }
}

fn failed(test: &TestPart, error: &EvalAltResult, used: u64) -> TestFailure {
    let (position, message) = describe(error);
    let message = match error.unwrap_inner() {
        EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..) => {
            if used > TEST_FUEL {
                format!("the test used up its {TEST_FUEL} operations")
            } else {
                format!(
                    "the tests of this file used up their {RUN_FUEL} operations; run fewer at a time, by a part of their names"
                )
            }
        }
        _ => message,
    };
    TestFailure {
        line: position.line().unwrap_or(test.line),
        column: position.position().unwrap_or(0),
        message,
        expected: None,
        came: None,
    }
}

/// What tests may call besides what scripts may.
fn register(engine: &mut Engine, policies: &Arc<Policies>, home: &Arc<Home>) {
    given::register(engine, Arc::clone(policies), home);
    routed::register(engine);
    assert::register(engine);
    // The tank of this thread is what bounds a test: it knows what native functions charge, too.
    engine.set_max_operations(0);
}
