//! From a script's text to something that runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, EvalAltResult, FnAccess, ParseError, Position, Scope};
use sluicegate_core::snapshot::{Attachment, ModuleSource, OnPolicyError, PolicySource};

use crate::api::fnv1a;
use crate::calls::Calls;
use crate::diagnostic::PolicyDiagnostic;
use crate::facts::Reads;
use crate::lint::Entries;
use crate::module::{Import, Module, Modules, as_source, written_imports};
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

    pub(crate) fn compile(
        &self,
        source: &PolicySource,
        modules: &Modules,
    ) -> Result<Script, Vec<PolicyDiagnostic>> {
        let name = source.name.as_str();
        let parts = self.split(source)?;
        let syntax = |error: ParseError| vec![syntax(name, &error)];
        let written = self.checking.compile(&parts.script).map_err(syntax)?;
        let imports = imports(name, &written, modules)?;
        let findings = lint::check(&self.checking, name, &written, &imports, lint::Kind::Script)?;
        let constants = self.constants(name, &written, modules)?;
        let engine = self.engine(name, &constants, &imports)?;
        let mut ast = engine.compile_with_scope(&constants, &parts.script).map_err(syntax)?;
        // Constants have gone into the functions, and modules are the engine's.
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

    /// Compiles a module, whose imports are among `modules`.
    pub(crate) fn compile_module(
        &self,
        source: &ModuleSource,
        modules: &Modules,
    ) -> Result<Module, Vec<PolicyDiagnostic>> {
        let name = source.name.as_str();
        let as_policy = as_source(source);
        let parts = self.split(&as_policy)?;
        let syntax = |error: ParseError| vec![syntax(name, &error)];
        let written = self.checking.compile(&parts.script).map_err(syntax)?;
        let imports = imports(name, &written, modules)?;
        let findings = lint::check(&self.checking, name, &written, &imports, lint::Kind::Module)?;
        let constants = self.constants(name, &written, modules)?;
        let mut engine = self.engine(name, &constants, &imports)?;
        engine.set_module_resolver(modules.resolver());
        let mut ast = engine.compile_with_scope(&constants, &parts.script).map_err(syntax)?;
        ast.set_source(name);
        run::refuel();
        let mut module = rhai::Module::eval_ast_as_new(Scope::new(), &ast, &engine).map_err(|error| {
            let (position, message) = describe(&error);
            vec![PolicyDiagnostic::at(name, position, message, "use constants that need no call")]
        })?;
        let own = |(name, _, value): (&str, bool, Dynamic)| (name.to_owned(), value);
        let constants: Vec<(String, Dynamic)> = constants.iter().map(own).collect();
        let mut looked_up: BTreeMap<String, (String, Dynamic)> =
            imports.iter().flat_map(|import| import.module.looked_up.clone()).collect();
        for (constant, value) in &constants {
            module.set_var(constant.as_str(), value.clone());
            looked_up.insert(constant.clone(), (name.to_owned(), value.clone()));
        }
        module.build_index();
        let mut functions: HashMap<String, HashSet<usize>> = HashMap::new();
        for function in ast.iter_functions().filter(|it| it.access == FnAccess::Public) {
            functions.entry(function.name.to_owned()).or_default().insert(function.params.len());
        }
        let calls = Calls::of(&written, Some(name), &imports);
        Ok(Module {
            name: name.to_owned(),
            module: module.into(),
            functions,
            constants: constants.into_iter().map(|(name, _)| name).collect(),
            looked_up,
            words: findings.words,
            calls,
        })
    }

    /// The modules that a module imports, as far as its text can be read.
    pub(crate) fn names_imported(&self, source: &ModuleSource) -> Vec<String> {
        let as_policy = as_source(source);
        let Ok(parts) = self.split(&as_policy) else { return Vec::new() };
        let Ok(written) = self.checking.compile(&parts.script) else { return Vec::new() };
        written_imports(&written).into_iter().filter_map(|(name, ..)| name).collect()
    }

    /// An engine that knows these constants and modules, and what the modules' functions look up.
    fn engine(
        &self,
        name: &str,
        constants: &Scope<'_>,
        imports: &[Import<'_>],
    ) -> Result<Engine, Vec<PolicyDiagnostic>> {
        let mut known: BTreeMap<String, (Option<String>, Dynamic)> =
            constants.iter().map(|(constant, _, value)| (constant.to_owned(), (None, value))).collect();
        for import in imports {
            for (constant, (module, value)) in &import.module.looked_up {
                let other = known.insert(constant.clone(), (Some(module.clone()), value.clone()));
                if other.is_some_and(|(of, _)| of.as_ref() != Some(module)) {
                    let message = format!("`{constant}` is a constant of the module `{module}` already");
                    let remedy = "give one of the two another name";
                    return Err(vec![PolicyDiagnostic::at(name, import.position, message, remedy)]);
                }
            }
        }
        let known = known.into_iter().map(|(constant, (_, value))| (constant, value));
        let mut engine = script_engine(&self.language, known);
        for import in imports {
            engine.register_static_module(import.alias.as_str(), import.module.module.clone());
        }
        Ok(engine)
    }

    /// Compiles a script together with its tests, in the same sandbox and with what `register` adds for them.
    pub(crate) fn compile_tests(
        &self,
        source: &PolicySource,
        modules: &Modules,
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
        let imports = imports(name, &written, modules)?;
        lint::check(&checking, name, &written, &imports, lint::Kind::Script)?;
        let constants = self.constants(name, &written, modules)?;
        let mut engine = self.engine(name, &constants, &imports)?;
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
    fn constants(
        &self,
        name: &str,
        written: &AST,
        modules: &Modules,
    ) -> Result<Scope<'static>, Vec<PolicyDiagnostic>> {
        let mut scope = Scope::new();
        let mut engine = checking_engine(&self.language);
        engine.set_module_resolver(modules.resolver());
        run::refuel();
        engine.run_ast_with_scope(&mut scope, written).map_err(|error| {
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

/// What a script or module imports.
fn imports<'m>(
    name: &str,
    written: &AST,
    modules: &'m Modules,
) -> Result<Vec<Import<'m>>, Vec<PolicyDiagnostic>> {
    let (mut imports, mut wrong) = (Vec::new(), Vec::new());
    for (module, alias, position) in written_imports(written) {
        let mut report = |message: String, remedy: String| {
            wrong.push(PolicyDiagnostic::at(name, position, message, remedy));
        };
        match module.as_deref().map(|module| (module, modules.get(module))) {
            _ if alias.is_empty() => report(
                "the module is imported without a name to call it by".to_owned(),
                "write `import \"name\" as name;`".to_owned(),
            ),
            None => report(
                "only a plain text names a module".to_owned(),
                "write `import \"name\" as name;`".to_owned(),
            ),
            Some((module, None)) => {
                let remedy = match lint::closest(module, modules.names()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "declare it under `policy_modules`".to_owned(),
                };
                report(format!("there is no module `{module}`"), remedy);
            }
            Some((_, Some(module))) => imports.push(Import { alias, position, module }),
        }
    }
    if wrong.is_empty() { Ok(imports) } else { Err(wrong) }
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
    if let EvalAltResult::ErrorInFunctionCall(_, source, inner, position) = error {
        let (at, message) = describe(inner);
        let is_innermost = !matches!(**inner, EvalAltResult::ErrorInFunctionCall(..));
        let message = match source.as_str() {
            module if is_innermost && !module.is_empty() => format!("in the module `{module}`: {message}"),
            _ => message,
        };
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
