//! Takes objects out of lists.

use sluicegate_core::edit::Prune;

use super::{at, find, fulfilled, hold, quoted, root, splice};
use crate::json::{Kind, Val};

/// Lists that lie deeper are left as they are.
const DEPTH_MAX: usize = 32;

/// The text without the objects that the rule names; `None` when there are none.
pub(super) fn prune(text: &str, path: &str, rule: &Prune) -> Option<String> {
    let span = if path.is_empty() { root(text) } else { find(text, path)?.value };
    let pruned = pruned(Val::at(text, span), rule, 0)?;
    Some(splice(text, span, &pruned))
}

/// The value as it is written without them; `None` when nothing is taken out.
fn pruned(value: Val<'_>, rule: &Prune, depth: usize) -> Option<String> {
    // BOUND: see the constant.
    if depth > DEPTH_MAX {
        return None;
    }
    let inner = |value: Val<'_>| rule.recursive.then(|| pruned(value, rule, depth + 1)).flatten();
    let mut changed = false;
    let mut written = |value: Val<'_>| {
        let new = inner(value);
        changed |= new.is_some();
        new.unwrap_or_else(|| value.raw().to_owned())
    };
    match value.kind() {
        Kind::Array => {
            let is_kept = |element: &Val<'_>| element.kind() != Kind::Object || !names(rule, element.raw());
            let kept: Vec<_> = value.elements().filter(is_kept).collect();
            let fewer = kept.len() < value.elements().count();
            let kept: Vec<_> = kept.into_iter().map(&mut written).collect();
            (fewer || changed).then(|| format!("[{}]", kept.join(",")))
        }
        Kind::Object => {
            let members =
                value.members().map(|(name, value)| format!("{}:{}", quoted(&name), written(value)));
            let members: Vec<_> = members.collect();
            changed.then(|| format!("{{{}}}", members.join(",")))
        }
        _ => None,
    }
}

fn names(rule: &Prune, object: &str) -> bool {
    hold(&rule.conditions, rule.all, |condition| fulfilled(at(object, &condition.path), condition))
}
