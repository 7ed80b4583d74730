//! Which hook may say what.

use sluicegate_core::ports::Hook;

/// The functions that say something, and the hooks that may call them.
const RIGHTS: [(&str, &[Hook]); 11] = [
    ("deny", &[Hook::Admit, Hook::Route]),
    ("use_model", &[Hook::Admit, Hook::Route]),
    ("max_output", &[Hook::Admit, Hook::Route]),
    ("prefer", &[Hook::Route, Hook::OnError]),
    ("exclude", &[Hook::Route, Hook::OnError]),
    ("fallback", &[Hook::Admit, Hook::Route, Hook::OnError]),
    ("tag", &Hook::ALL),
    ("stop", &[Hook::OnError]),
    ("alert", &[Hook::Finish]),
    ("text_contains", &[Hook::Admit, Hook::Route]),
    ("text_matches", &[Hook::Admit, Hook::Route]),
];

/// Why a hook may not call a function, and what to do instead; `None` when it may.
pub(crate) fn refusal(hook: Hook, function: &str) -> Option<(String, String)> {
    let (_, hooks) = RIGHTS.iter().find(|(name, _)| *name == function)?;
    if hooks.contains(&hook) {
        return None;
    }
    let why = match (hook, function) {
        (Hook::Finish, _) => "the call is over",
        (_, "stop") => "nothing has failed yet",
        (_, "alert") => "the call isn't over yet",
        (Hook::Admit, _) => "no candidates are known yet",
        _ => "the call is under way already",
    };
    let places: Vec<String> = hooks.iter().map(|hook| format!("`{}`", hook.as_str())).collect();
    let (hook_name, places) = (hook.as_str(), either(&places));
    // What the console has in other languages it knows by whole sentences.
    let (what, remedy) = if function.starts_with("text_") {
        (format!("`{hook_name}` can't ask `{function}`: {why}"), format!("ask it in {places}"))
    } else {
        (format!("`{hook_name}` can't say `{function}`: {why}"), format!("say it in {places}"))
    };
    match (hook, function) {
        (Hook::OnError, "deny") => {
            Some((what, "call `stop` to end it, or say it in `admit` or `route`".to_owned()))
        }
        _ => Some((what, remedy)),
    }
}

/// Names with an "or" before the last.
pub(crate) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_refusal_stands_in_the_table_of_messages() {
        // The console's own test reads it, too: each must come out in the reader's language.
        let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/console/messages.json"));
        let all: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(table).unwrap();
        let refused = |hook: Hook| {
            let refusals = RIGHTS.into_iter().filter_map(move |(function, _)| refusal(hook, function));
            refusals.map(|(what, remedy)| format!("{what}; {remedy}"))
        };
        let told: BTreeSet<String> = Hook::ALL.into_iter().flat_map(refused).collect();
        assert_eq!(told, all["policy/src/rights.rs"]);
    }
}
