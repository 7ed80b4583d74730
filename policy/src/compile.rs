//! From a script's text to something that runs.

use std::sync::Arc;

use rhai::{AST, Engine, EvalAltResult, ParseError, Position, Scope};
use sluicegate_core::snapshot::{Attachment, OnPolicyError, PolicySource};

use crate::api::fnv1a;
use crate::diagnostic::PolicyDiagnostic;
use crate::facts::Reads;
use crate::lint::Entries;
use crate::parts::{Parts, split};
use crate::sandbox::{
    FUEL, Language, MAX_CALL_DEPTH, MAX_FILE_BYTES, MAX_SCRIPT_BYTES, MAX_TEST_FUNCTIONS, checking_engine,
    script_engine,
};
use crate::{lint, run};

/// A script that is ready to run.
pub(crate) struct Script {
    pub(crate) name: Arc<str>,
    pub(crate) attached: Attachment,
    pub(crate) on_error: OnPolicyError,
    pub(crate) engine: Engine,
    pub(crate) ast: AST,
    pub(crate) entries: Entries,
    pub(crate) reads: Reads,
    pub(crate) salt: u64,
}

/// Compiles scripts.
pub(crate) struct Compiler {
    language: Language,
    /// Keeps the tree as it was written.
    checking: Engine,
}

impl Compiler {
    pub(crate) fn new() -> Self {
        let language = Language::new();
        Self { checking: checking_engine(&language), language }
    }

    pub(crate) fn compile(&self, source: &PolicySource) -> Result<Script, Vec<PolicyDiagnostic>> {
        let name = source.name.as_str();
        let parts = self.split(source)?;
        let syntax = |error: ParseError| vec![syntax(name, &error)];
        let written = self.checking.compile(&parts.script).map_err(syntax)?;
        let findings = lint::check(&self.checking, name, &written)?;
        let constants = self.constants(name, &written)?;
        let engine = script_engine(&self.language, &constants);
        let mut ast = engine.compile_with_scope(&constants, &parts.script).map_err(syntax)?;
        // Constants have gone into the functions.
        ast.clear_statements();
        Ok(Script {
            name: Arc::from(name),
            attached: source.attached.clone(),
            on_error: source.on_error,
            engine,
            ast,
            entries: findings.entries,
            reads: findings.reads,
            salt: fnv1a(&[name.as_bytes()]),
        })
    }

    /// Compiles a script together with its tests, in the same sandbox and with what `register` adds for them.
    pub(crate) fn compile_tests(
        &self,
        source: &PolicySource,
        register: impl Fn(&mut Engine),
    ) -> Result<(Engine, AST), Vec<PolicyDiagnostic>> {
        let name = source.name.as_str();
        let prepare = |engine: &mut Engine| {
            register(engine);
            engine.set_max_functions(MAX_TEST_FUNCTIONS);
        };
        let syntax = |error: ParseError| vec![syntax(name, &error)];
        let mut checking = checking_engine(&self.language);
        prepare(&mut checking);
        let written = checking.compile(&source.text).map_err(syntax)?;
        lint::check(&checking, name, &written)?;
        let constants = self.constants(name, &written)?;
        let mut engine = script_engine(&self.language, &constants);
        prepare(&mut engine);
        let mut ast = engine.compile_with_scope(&constants, &source.text).map_err(syntax)?;
        ast.clear_statements();
        Ok((engine, ast))
    }

    /// Takes a script's tests out of its text.
    pub(crate) fn split<'a>(&self, source: &'a PolicySource) -> Result<Parts<'a>, Vec<PolicyDiagnostic>> {
        let too_large = |what: &str, bytes: usize, max: usize, remedy: &str| {
            let message = format!("the {what} has {bytes} bytes, more than {max}");
            Err(vec![PolicyDiagnostic::at(&source.name, Position::NONE, message, remedy)])
        };
        if source.text.len() > MAX_FILE_BYTES {
            return too_large("file", source.text.len(), MAX_FILE_BYTES, "split it into several policies");
        }
        let parts = split(&self.checking, &source.name, &source.text).map_err(|wrong| vec![wrong])?;
        if parts.script_bytes > MAX_SCRIPT_BYTES {
            return too_large(
                "script",
                parts.script_bytes,
                MAX_SCRIPT_BYTES,
                "split it into several policies",
            );
        }
        Ok(parts)
    }

    /// Works out the constants: once, not for each call.
    fn constants(&self, name: &str, written: &AST) -> Result<Scope<'static>, Vec<PolicyDiagnostic>> {
        let mut scope = Scope::new();
        run::refuel();
        self.checking.run_ast_with_scope(&mut scope, written).map_err(|error| {
            let (position, message) = describe(&error);
            vec![PolicyDiagnostic::at(
                name,
                position,
                message,
                "use constants that need no call, with plain values",
            )]
        })?;
        Ok(scope)
    }
}

/// What the parser found.
fn syntax(name: &str, error: &ParseError) -> PolicyDiagnostic {
    use rhai::{LexError, ParseErrorType as Kind};
    const SANDBOX: &str = "policies run in a sandbox: they can't load or run other code, and print nothing";
    let remedy = match error.err_type() {
        Kind::Reserved(word) if matches!(word.as_str(), "import" | "export") => SANDBOX,
        Kind::BadInput(LexError::ImproperSymbol(word, _))
            if matches!(word.as_str(), "eval" | "print" | "debug") =>
        {
            SANDBOX
        }
        Kind::Reserved(_) => "choose another name: this word is the language's own",
        Kind::VariableUndefined(_) => {
            "functions see their parameters, their own variables and constants, nothing else"
        }
        Kind::ExprTooDeep => "split the expression with `let`",
        Kind::LiteralTooLarge(..) => {
            "keep texts, arrays and maps small: a policy isn't a place for lists of data"
        }
        _ => "correct the syntax",
    };
    PolicyDiagnostic::at(name, error.position(), lower_first(&error.err_type().to_string()), remedy)
}

/// Where a run failed and how, in words for whoever wrote the script.
pub(crate) fn describe(error: &EvalAltResult) -> (Position, String) {
    if let EvalAltResult::ErrorInFunctionCall(_, _, inner, position) = error {
        let (at, message) = describe(inner);
        return (if at.is_none() { *position } else { at }, message);
    }
    let message = match error {
        EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..) => {
            format!("it used up its fuel of {FUEL} operations")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            format!("its functions call each other more than {MAX_CALL_DEPTH} deep")
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => format!("a value grew too large: {}", lower_first(what)),
        EvalAltResult::ErrorFunctionNotFound(call, _) => format!("no function takes these values: `{call}`"),
        EvalAltResult::ErrorRuntime(value, _) => value.to_string(),
        other => lower_first(&unplaced(other)),
    };
    (error.position(), message)
}

/// The runtime's own words, without the place that it appends.
fn unplaced(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (line ") {
        Some((message, _)) if !error.position().is_none() => message.to_owned(),
        _ => text,
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
