//! Which models may be called.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::ids::ModelName;

/// Models under one name, which lists of models may name in their stead. Operators make them.
pub type AccessGroups = IndexMap<String, Vec<ModelName>>;

/// What begins so in a list of models is an access group's name, whatever models are called. Without it a name stands for
/// the model of this name, and for what the access group of this name holds.
pub const ACCESS_GROUP: &str = "access_group:";

/// Which models may be called: everything, or what the patterns match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelAccess {
    patterns: Vec<ModelName>,
}

impl ModelAccess {
    /// Every model.
    pub const ALL: ModelAccess = ModelAccess { patterns: Vec::new() };

    /// Only models that match one of these: a name, or a prefix ending in `*`. An empty list is every model.
    pub fn only(patterns: Vec<ModelName>) -> Self {
        Self { patterns }
    }

    /// Whether `model` may be called.
    pub fn allows(&self, model: &str) -> bool {
        self.patterns.is_empty()
            || self.patterns.iter().any(|pattern| matches_pattern(pattern.as_str(), model))
    }

    /// The same with what the access groups that it names hold. It never allows everything by that: a group that holds nothing,
    /// or isn't there, adds nothing.
    pub fn opened(&self, groups: &AccessGroups) -> Self {
        let mut patterns = self.patterns.clone();
        for named in &self.patterns {
            let name = named.as_str().strip_prefix(ACCESS_GROUP).unwrap_or(named.as_str());
            // BOUND: lists of models are bounded by what a request or a file may hold.
            for model in groups.get(name).into_iter().flatten() {
                if !patterns.contains(model) {
                    patterns.push(model.clone());
                }
            }
        }
        Self { patterns }
    }

    /// The patterns; empty for every model.
    pub fn patterns(&self) -> &[ModelName] {
        &self.patterns
    }
}

/// Whether `pattern`, a name or a prefix ending in `*`, matches `name`.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_group_stands_for_what_it_holds() {
        let names = |all: &[&str]| all.iter().map(|name| ModelName::from(*name)).collect::<Vec<_>>();
        let groups = AccessGroups::from_iter([
            ("beta".to_owned(), names(&["gpt-5", "claude-*"])),
            ("none".to_owned(), Vec::new()),
            ("gpt-4".to_owned(), names(&["gpt-4-turbo"])),
        ]);
        for (patterns, model, allowed) in [
            (&["beta"][..], "gpt-5", true),
            (&["beta"], "claude-5", true),
            (&["beta"], "gpt-4", false),
            (&["access_group:beta"], "gpt-5", true),
            (&["access_group:gpt-4"], "gpt-4-turbo", true),
            // Only what it holds: the model of the same name isn't meant.
            (&["access_group:gpt-4"], "gpt-4", false),
            (&["gpt-4"], "gpt-4", true),
            (&["gpt-4"], "gpt-4-turbo", true),
            (&["none"], "gpt-5", false),
            (&["access_group:none"], "gpt-5", false),
            (&["access_group:nowhere"], "gpt-5", false),
            (&[], "anything", true),
        ] {
            let access = ModelAccess::only(names(patterns)).opened(&groups);
            assert_eq!(access.allows(model), allowed, "{patterns:?} {model}");
        }
    }
}
