//! Modules: functions and constants that scripts share. Only those that are declared can be imported, and they are compiled
//! once, before any script that imports them.

use std::collections::{BTreeMap, HashMap, HashSet};

use rhai::module_resolvers::StaticModuleResolver;
use rhai::{AST, Dynamic, Expr, Position, Shared, Stmt};
use sluicegate_core::snapshot::{ModuleSource, PolicySource};

use crate::calls::Calls;
use crate::compile::Compiler;
use crate::diagnostic::PolicyDiagnostic;

/// How many modules one set of scripts may have.
const MAX_MODULES: usize = 64;

/// A module that is ready to be imported.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) module: Shared<rhai::Module>,
    /// What can be called from outside: the name, and with how many arguments.
    pub(crate) functions: HashMap<String, HashSet<usize>>,
    pub(crate) constants: HashSet<String>,
    /// Constants of its own and of what it imports, which are looked up when its functions run.
    pub(crate) looked_up: BTreeMap<String, (String, Dynamic)>,
    /// Properties and functions that it and what it imports name.
    pub(crate) words: HashSet<String>,
    pub(crate) calls: Calls,
}

/// What a script or module imports, and the name that it goes by there.
pub(crate) struct Import<'a> {
    pub(crate) alias: String,
    pub(crate) position: Position,
    pub(crate) module: &'a Module,
}

/// All modules that are declared.
#[derive(Default)]
pub(crate) struct Modules(BTreeMap<String, Module>);

impl Modules {
    /// Compiles modules, each after what it imports.
    pub(crate) fn compile(
        compiler: &Compiler,
        sources: &[ModuleSource],
    ) -> Result<Self, Vec<PolicyDiagnostic>> {
        let mut modules = Self::default();
        let mut wrong = Vec::new();
        let of = |source: &ModuleSource, message: String, remedy: &str| {
            let found = PolicyDiagnostic::at(&source.name, Position::NONE, message, remedy);
            PolicyDiagnostic { is_module: true, ..found }
        };
        if let Some(source) = sources.get(MAX_MODULES) {
            let message = format!("there are more than {MAX_MODULES} modules");
            return Err(vec![of(source, message, "put them together")]);
        }
        let mut left: Vec<&ModuleSource> = sources.iter().collect();
        // BOUND: each turn takes a module out, or ends.
        while !left.is_empty() {
            let before = left.len();
            let mut waiting = Vec::new();
            for source in left {
                let needed = compiler.names_imported(source);
                let is_declared = |name: &String| sources.iter().any(|source| source.name == *name);
                if needed.iter().any(|name| is_declared(name) && !modules.0.contains_key(name)) {
                    waiting.push(source);
                    continue;
                }
                match compiler.compile_module(source, &modules) {
                    Ok(module) if modules.0.contains_key(&module.name) => wrong.push(of(
                        source,
                        "there are two modules of this name".to_owned(),
                        "give each a name of its own",
                    )),
                    Ok(module) => drop(modules.0.insert(module.name.clone(), module)),
                    Err(found) => {
                        wrong.extend(found.into_iter().map(|it| PolicyDiagnostic { is_module: true, ..it }));
                    }
                }
            }
            if waiting.len() == before || (!wrong.is_empty() && !waiting.is_empty()) {
                // What waits for a module that is itself wrong has nothing wrong of its own that is known.
                if wrong.is_empty() {
                    let names: Vec<String> = waiting.iter().map(|it| format!("`{}`", it.name)).collect();
                    let message = format!("modules import each other in a circle: {}", names.join(", "));
                    let remedy = "put what they share into a module of its own";
                    wrong.extend(waiting.first().map(|source| of(source, message, remedy)));
                }
                break;
            }
            left = waiting;
        }
        if wrong.is_empty() { Ok(modules) } else { Err(wrong) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Module> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Finds what is declared and nothing else.
    pub(crate) fn resolver(&self) -> StaticModuleResolver {
        let mut resolver = StaticModuleResolver::new();
        for (name, module) in &self.0 {
            resolver.insert(name.as_str(), (*module.module).clone());
        }
        resolver
    }
}

/// The imports of a script or module: by which text, under which name, where.
pub(crate) fn written_imports(ast: &AST) -> Vec<(Option<String>, String, Position)> {
    let import = |statement: &Stmt| match statement {
        Stmt::Import(import, position) => {
            let name = match &import.0 {
                Expr::StringConstant(name, _) => Some(name.to_string()),
                _ => None,
            };
            Some((name, import.1.name.to_string(), *position))
        }
        _ => None,
    };
    ast.statements().iter().filter_map(import).collect()
}

/// A module as the parts of the compiler that don't care know it.
pub(crate) fn as_source(source: &ModuleSource) -> PolicySource {
    PolicySource::new(source.name.as_str(), source.text.as_str())
}
