//! Checks of a script's syntax tree, before it ever runs: the language itself would find a misspelt function or property
//! only when a call comes that way.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rhai::{AST, ASTFlags, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};
use sluicegate_core::ports::{Hook, Hooks};

use crate::api::parse_target;
use crate::calls::Calls;
use crate::diagnostic::PolicyDiagnostic;
use crate::facts::Reads;
use crate::module::Import;
use crate::rights::{either, refusal};

/// How the names of functions begin that belong to the tests.
pub(crate) const TEST_PREFIX: &str = "test_";

/// How the names of constants begin that belong to the tests.
pub(crate) const TEST_CONSTANT_PREFIX: &str = "TEST_";

/// Functions that the language answers itself, which the engine doesn't list.
const KEYWORD_FUNCTIONS: [&str; 8] =
    ["Fn", "call", "curry", "is_def_fn", "is_def_var", "is_shared", "type_of", "to_debug"];

/// What the checks found out about a script.
pub(crate) struct Findings {
    pub(crate) entries: Entries,
    pub(crate) reads: Reads,
    /// Properties and functions that it and what it imports name.
    pub(crate) words: HashSet<String>,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What has hooks.
    Script,
    /// What scripts import.
    Module,
}

/// The hooks that a script has, with how many parameters each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries([u8; Hook::ALL.len()]);

impl Entries {
    /// How many parameters a hook has; 0 when it isn't there.
    pub(crate) fn parameters(self, hook: Hook) -> u8 {
        self.0.get(hook as usize).copied().unwrap_or(0)
    }

    pub(crate) fn hooks(self) -> Hooks {
        let there = Hook::ALL.into_iter().filter(|hook| self.parameters(*hook) > 0);
        there.fold(Hooks::NONE, Hooks::with)
    }

    fn set(&mut self, hook: Hook, parameters: usize) {
        if let Some(known) = self.0.get_mut(hook as usize) {
            *known = u8::try_from(parameters).unwrap_or(u8::MAX);
        }
    }
}

/// Checks a script as it was written.
pub(crate) fn check(
    engine: &Engine,
    policy: &str,
    ast: &AST,
    imports: &[Import<'_>],
    kind: Kind,
) -> Result<Findings, Vec<PolicyDiagnostic>> {
    let mut lint = Lint::new(engine, policy, ast, imports);
    let entries = lint.entries(ast, kind);
    lint.top_level(ast);
    ast.walk(&mut |path| {
        if let Some(node) = path.last() {
            lint.visit(node);
        }
        true
    });
    lint.parameters(ast);
    lint.properties();
    lint.rights(ast, entries);
    lint.words.extend(imports.iter().flat_map(|import| import.module.words.iter().cloned()));
    if lint.found.is_empty() {
        let candidates = second_parameter(ast, Hook::Route).is_some_and(|name| lint.variables.contains(name));
        Ok(Findings { entries, reads: Reads::of(&lint.words, candidates), words: lint.words })
    } else {
        // The syntax tree is walked in no fixed order: what is said must not depend on it.
        lint.found.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        lint.found.dedup();
        Err(lint.found)
    }
}

struct Lint<'a> {
    policy: &'a str,
    imports: &'a [Import<'a>],
    /// What can be called: the name, and with how many arguments.
    functions: HashMap<String, HashSet<usize>>,
    /// What can be read behind a dot.
    getters: HashSet<String>,
    /// The keys of map literals: they can be read behind a dot too.
    map_keys: HashSet<String>,
    used_properties: Vec<(String, Position)>,
    variables: HashSet<String>,
    /// The script's constants, and where they are declared.
    constants: HashMap<String, Position>,
    /// Properties and functions that the script names.
    words: HashSet<String>,
    found: Vec<PolicyDiagnostic>,
}

impl<'a> Lint<'a> {
    fn new(engine: &Engine, policy: &'a str, ast: &AST, imports: &'a [Import<'a>]) -> Self {
        let natives = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        let mut functions: HashMap<String, HashSet<usize>> = HashMap::new();
        let mut getters = HashSet::new();
        for (name, parameters) in natives {
            if let Some(property) = name.strip_prefix("get$") {
                getters.insert(property.to_owned());
            }
            functions.entry(name).or_default().insert(parameters);
        }
        for function in ast.iter_functions() {
            let arities = functions.entry(function.name.to_owned()).or_default();
            // As a function, and as a method on its `this`.
            arities.extend([function.params.len(), function.params.len() + 1]);
        }
        Self {
            policy,
            imports,
            functions,
            getters,
            map_keys: HashSet::new(),
            used_properties: Vec::new(),
            variables: HashSet::new(),
            constants: HashMap::new(),
            words: HashSet::new(),
            found: Vec::new(),
        }
    }

    fn report(&mut self, position: Position, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(PolicyDiagnostic::at(self.policy, position, message, remedy));
    }

    /// The hooks, of which there must be one at least.
    fn entries(&mut self, ast: &AST, kind: Kind) -> Entries {
        let mut entries = Entries::default();
        let mut is_any = false;
        for hook in Hook::ALL {
            let name = hook.as_str();
            let of_it = ast.iter_functions().filter(|function| function.name == name);
            let parameters: Vec<usize> = of_it.map(|function| function.params.len()).collect();
            if kind == Kind::Module {
                if !parameters.is_empty() {
                    let message = format!("a module has no hooks, and `{name}` is one");
                    self.report(
                        Position::NONE,
                        message,
                        "give it another name, and call it from the scripts' hooks",
                    );
                }
                continue;
            }
            is_any |= !parameters.is_empty();
            let (most, remedy) = match hook {
                Hook::Admit => (1, "write `fn admit(call) { … }`"),
                Hook::Route => (2, "write `fn route(call) { … }` or `fn route(call, candidates) { … }`"),
                Hook::OnError => (2, "write `fn on_error(call) { … }` or `fn on_error(call, attempt) { … }`"),
                Hook::Finish => (2, "write `fn finish(call) { … }` or `fn finish(call, usage) { … }`"),
            };
            match parameters.as_slice() {
                [] => {}
                [count] if (1..=most).contains(count) => entries.set(hook, *count),
                _ => {
                    let count = if most == 1 { "one parameter" } else { "one or two parameters" };
                    let message = format!("`{name}` must be there once, with {count}");
                    self.report(Position::NONE, message, remedy);
                }
            }
        }
        if !is_any && kind == Kind::Script {
            let names = Hook::ALL.map(|hook| format!("`{}`", hook.as_str()));
            self.report(
                Position::NONE,
                format!("the script has no function {}, so it would never do anything", either(&names)),
                "write `fn route(call, candidates) { … }`",
            );
        }
        entries
    }

    /// What a hook says, itself or through the functions that it calls, must be its to say.
    fn rights(&mut self, ast: &AST, entries: Entries) {
        let calls = Calls::of(ast, None, self.imports);
        for hook in Hook::ALL.into_iter().filter(|hook| entries.hooks().has(*hook)) {
            for (function, (module, position)) in calls.reached_from(hook.as_str()) {
                let Some((message, remedy)) = refusal(hook, function) else { continue };
                match module {
                    None => self.report(*position, message, remedy),
                    Some(module) => {
                        let line = position.line().unwrap_or(0);
                        let message = format!("{message}, as line {line} of the module `{module}` does");
                        self.report(Position::NONE, message, remedy);
                    }
                }
            }
        }
    }

    /// Outside functions there are constants and nothing else.
    fn top_level(&mut self, ast: &AST) {
        for statement in ast.statements() {
            match statement {
                Stmt::Noop(_) | Stmt::Import(..) => {}
                Stmt::Var(declared, flags, _) if flags.intersects(ASTFlags::CONSTANT) => {
                    self.constants.insert(declared.0.name.to_string(), declared.0.pos);
                }
                other => self.report(
                    other.position(),
                    "code outside of functions doesn't run when a call comes",
                    "move it into a hook, or declare a constant with `const`",
                ),
            }
        }
    }

    /// Constants are put into functions by name, so no other thing may have theirs.
    fn shadow(&mut self, name: &str, position: Position) {
        if self.constants.get(name).is_some_and(|declared| *declared != position) {
            self.report(
                position,
                format!("`{name}` is the name of a constant already"),
                "choose another name",
            );
        }
    }

    fn parameters(&mut self, ast: &AST) {
        let mut hidden = Vec::new();
        for function in ast.iter_functions() {
            for name in function.params.iter().filter(|name| self.constants.contains_key(**name)) {
                let closure = is_closure(function.name);
                hidden.push(((*name).to_owned(), function.name.to_owned(), closure));
            }
        }
        for (name, function, closure) in hidden {
            let of = if closure { "a closure".to_owned() } else { format!("`{function}`") };
            let message = format!("a parameter of {of} has the name of the constant `{name}`");
            self.report(Position::NONE, message, "choose another name");
        }
    }

    fn visit(&mut self, node: &ASTNode<'_>) {
        match node {
            ASTNode::Stmt(Stmt::Import(_, position))
                if !self.imports.iter().any(|import| import.position == *position) =>
            {
                self.report(
                    *position,
                    "a module is imported inside of a function",
                    "import it at the top of the file",
                );
            }
            ASTNode::Expr(Expr::FnCall(call, position)) => self.call(call, 0, *position),
            ASTNode::Stmt(Stmt::FnCall(call, position)) => self.call(call, 0, *position),
            ASTNode::Stmt(Stmt::Var(declared, _, _)) => self.shadow(&declared.0.name, declared.0.pos),
            ASTNode::Stmt(Stmt::For(each, _)) => {
                for name in std::iter::once(&each.0).chain(&each.1) {
                    self.shadow(&name.name, name.pos);
                }
            }
            ASTNode::Expr(Expr::MethodCall(call, position)) => self.call(call, 1, *position),
            ASTNode::Expr(Expr::Property(property, position)) => {
                self.words.insert(property.2.to_string());
                self.used_properties.push((property.2.to_string(), *position));
            }
            ASTNode::Expr(Expr::Variable(variable, _, position)) if !variable.2.path.is_empty() => {
                let alias = variable.2.path.first().map_or("", |root| root.name.as_str());
                self.qualified_constant(alias, &variable.1, *position);
            }
            ASTNode::Expr(Expr::Variable(variable, _, _)) => {
                self.variables.insert(variable.1.to_string());
            }
            ASTNode::Expr(Expr::Map(map, _)) => {
                self.map_keys.extend(map.0.iter().map(|(key, _)| key.name.to_string()));
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, receiver: usize, position: Position) {
        let name = call.name.as_str();
        self.words.insert(name.to_owned());
        if call.op_token.is_some() {
            return;
        }
        if let Some(root) = call.namespace.path.first() {
            self.qualified(root.name.as_str(), call, position);
            return;
        }
        let arguments = call.args.len() + receiver;
        match self.functions.get(name) {
            // A variable that holds a closure is called like a function.
            None if self.variables.contains(name)
                || KEYWORD_FUNCTIONS.contains(&name)
                || is_closure(name) => {}
            None if name.starts_with(TEST_PREFIX) => self.report(
                position,
                format!("`{name}` is a test, and tests aren't there when a call comes"),
                "give it another name",
            ),
            None => {
                let remedy = suggestion(name, self.functions.keys().filter(|known| is_word(known)));
                self.report(position, format!("there is no function `{name}`"), remedy);
            }
            Some(arities) if !arities.contains(&arguments) && !KEYWORD_FUNCTIONS.contains(&name) => {
                self.report(
                    position,
                    format!("`{name}` doesn't take {} here", plural(call.args.len())),
                    "see the list of functions in the manual for what it takes",
                );
            }
            Some(_) => {}
        }
        if matches!(name, "prefer" | "exclude" | "matches") && receiver == usize::from(name == "matches") {
            self.targets(name, &call.args);
        }
    }

    /// A call of a module's function.
    fn qualified(&mut self, alias: &str, call: &FnCallExpr, position: Position) {
        let name = call.name.as_str();
        let Some(import) = self.imports.iter().find(|import| import.alias == alias) else {
            let message = format!("nothing is imported as `{alias}`");
            return self.report(position, message, "import it at the top: `import \"name\" as name;`");
        };
        let module = import.module.name.as_str();
        match import.module.functions.get(name) {
            None => {
                let remedy = suggestion(name, import.module.functions.keys());
                self.report(position, format!("the module `{module}` has no function `{name}`"), remedy);
            }
            Some(arities) if !arities.contains(&call.args.len()) => {
                let message = format!("`{alias}::{name}` doesn't take {}", plural(call.args.len()));
                self.report(position, message, format!("see the module `{module}` for what it takes"));
            }
            Some(_) => {}
        }
    }

    /// A module's constant.
    fn qualified_constant(&mut self, alias: &str, name: &str, position: Position) {
        let Some(import) = self.imports.iter().find(|import| import.alias == alias) else {
            let message = format!("nothing is imported as `{alias}`");
            return self.report(position, message, "import it at the top: `import \"name\" as name;`");
        };
        if !import.module.constants.contains(name) {
            let remedy = suggestion(name, import.module.constants.iter());
            let message = format!("the module `{}` has no constant `{name}`", import.module.name);
            self.report(position, message, remedy);
        }
    }

    /// Literal targets can be checked now.
    fn targets(&mut self, function: &str, arguments: &[Expr]) {
        for argument in arguments {
            match argument {
                Expr::Array(items, _) => self.targets(function, items),
                // Texts have `matches` too, with patterns of models; a candidate's is told by its colon.
                Expr::StringConstant(text, _) if function == "matches" && !text.contains(':') => {}
                Expr::StringConstant(text, position) => {
                    if let Err(problem) = parse_target(text) {
                        let (message, remedy) =
                            problem.split_once("; ").unwrap_or((&problem, "see the manual"));
                        self.report(*position, message, remedy);
                    }
                }
                _ => {}
            }
        }
    }

    fn properties(&mut self) {
        for (name, position) in std::mem::take(&mut self.used_properties) {
            if !self.getters.contains(&name) && !self.map_keys.contains(&name) {
                let remedy = suggestion(&name, self.getters.iter());
                self.report(position, format!("nothing has a property `{name}`"), remedy);
            }
        }
    }
}

/// The name of a hook's second parameter.
fn second_parameter(ast: &AST, hook: Hook) -> Option<&str> {
    let function = ast.iter_functions().find(|function| function.name == hook.as_str())?;
    function.params.get(1).copied()
}

fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains('$')
}

fn plural(count: usize) -> String {
    if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") }
}

/// Names what was probably meant.
fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> String {
    match closest(name, known.map(String::as_str)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "see the manual for what there is".to_owned(),
    }
}

/// The known name that is closest, if any is close.
pub(crate) fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Of equals the longest: a letter left out is a likelier slip than a wrong one.
    let by_likelihood = |known: &'n str| (distance(name, known), Reverse(known.len()), known);
    let (distance, _, known) = known.map(by_likelihood).min()?;
    (distance * 2 < name.chars().count()).then_some(known)
}

/// How many characters must be added, removed or changed to make one word the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
