//! Which functions of a script call which.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Position, Stmt};

/// The functions of a script, each with those that it names and where. Which of several functions of one name is called
/// doesn't matter: all are taken to be.
pub(crate) struct Calls(BTreeMap<String, Vec<(String, Position)>>);

impl Calls {
    pub(crate) fn of(ast: &AST) -> Self {
        let mut calls: BTreeMap<String, Vec<(String, Position)>> = BTreeMap::new();
        let functions: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
        for function in functions {
            let named = calls.entry(function.to_owned()).or_default();
            // Only the tree as a whole can be walked.
            let mut alone = ast.clone();
            alone.clear_statements().retain_functions(|_, _, name, _| name == function);
            alone.walk(&mut |path| {
                if let Some(node) = path.last() {
                    named.extend(named_by(node));
                }
                true
            });
        }
        Self(calls)
    }

    /// The functions that aren't the script's own and that a function names, itself or through others, and where.
    pub(crate) fn reached_from(&self, function: &str) -> Vec<(&str, Position)> {
        let (mut seen, mut next, mut reached) = (BTreeSet::new(), vec![function], Vec::new());
        // BOUND: each function of the script is entered once.
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            for (called, position) in self.0.get(name).into_iter().flatten() {
                match self.0.contains_key(called) {
                    true => next.push(called),
                    false => reached.push((called.as_str(), *position)),
                }
            }
        }
        reached
    }
}

/// What a piece of code calls, or makes something of that can be called.
fn named_by(node: &ASTNode<'_>) -> Option<(String, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
        | ASTNode::Stmt(Stmt::FnCall(call, position)) => Some((target(call), *position)),
        ASTNode::Expr(Expr::DynamicConstant(value, position)) => {
            let pointer = value.read_lock::<FnPtr>()?;
            Some((pointer.fn_name().to_owned(), *position))
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
