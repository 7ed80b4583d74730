//! Which functions of scripts and modules call which.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Position, Stmt};

use crate::module::Import;

/// A place in a module, or in the script itself.
pub(crate) type Place = (Option<String>, Position);

/// The functions of a script or module and of what it imports, each with those that it names and where. A module's functions
/// are known as `module::function`. Which of several functions of one name is called doesn't matter: all are taken to be.
#[derive(Clone, Default)]
pub(crate) struct Calls(BTreeMap<String, Vec<(String, Place)>>);

impl Calls {
    /// Those of `ast`, which is the module `own` or a script.
    pub(crate) fn of(ast: &AST, own: Option<&str>, imports: &[Import<'_>]) -> Self {
        let mut calls = Self::default();
        for import in imports {
            calls.0.extend(import.module.calls.0.clone());
        }
        let functions: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
        for function in &functions {
            let mut named = Vec::new();
            // Only the tree as a whole can be walked.
            let mut alone = ast.clone();
            alone.clear_statements().retain_functions(|_, _, name, _| name == *function);
            alone.walk(&mut |path| {
                let found = path.last().and_then(named_by);
                named.extend(found.map(|(alias, name, position)| {
                    let target = match alias.as_deref() {
                        Some(alias) => match imports.iter().find(|import| import.alias == alias) {
                            Some(import) => qualified(Some(import.module.name.as_str()), &name),
                            None => name,
                        },
                        None if functions.contains(name.as_str()) => qualified(own, &name),
                        None => name,
                    };
                    (target, (own.map(str::to_owned), position))
                }));
                true
            });
            calls.0.insert(qualified(own, function), named);
        }
        calls
    }

    /// The functions of neither scripts nor modules that a function names, itself or through others, and where.
    pub(crate) fn reached_from(&self, function: &str) -> Vec<(&str, &Place)> {
        let (mut seen, mut next, mut reached) = (BTreeSet::new(), vec![function], Vec::new());
        // BOUND: each function is entered once.
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            for (called, place) in self.0.get(name).into_iter().flatten() {
                match self.0.contains_key(called) {
                    true => next.push(called),
                    false => reached.push((called.as_str(), place)),
                }
            }
        }
        reached
    }
}

fn qualified(module: Option<&str>, name: &str) -> String {
    module.map_or_else(|| name.to_owned(), |module| format!("{module}::{name}"))
}

/// What a piece of code calls, or makes something of that can be called: under which import, by which name, and where.
fn named_by(node: &ASTNode<'_>) -> Option<(Option<String>, String, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
        | ASTNode::Stmt(Stmt::FnCall(call, position)) => {
            let alias = call.namespace.path.first().map(|root| root.name.to_string());
            Some((alias, target(call), *position))
        }
        ASTNode::Expr(Expr::DynamicConstant(value, position)) => {
            let pointer = value.read_lock::<FnPtr>()?;
            Some((None, pointer.fn_name().to_owned(), *position))
        }
        _ => None,
    }
}

/// The function that a call means: `Fn("name")` means the one of that name.
fn target(call: &FnCallExpr) -> String {
    match (call.name.as_str(), call.args.as_slice()) {
        ("Fn", [Expr::StringConstant(name, _)]) => name.to_string(),
        (name, _) => name.to_owned(),
    }
}
