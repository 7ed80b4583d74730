//! What is wrong with a file, where, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluicegate_core::Snapshot;
use sluicegate_core::ids::ModelName;
use sluicegate_core::snapshot::ModelGroup;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know. Nothing needs to be done.
    Note,
    /// Something in the file has no effect or can't serve. The rest works.
    Warning,
    /// The file can't be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// What findings can be, in alphabetical order: every [`Diagnostic::code`].
pub const CODES: &[&str] = &[
    "alias_cycle",
    "conflicting_keys",
    "contradiction",
    "differs",
    "duplicate_key",
    "duplicate_name",
    "include",
    "inline_secret",
    "internal",
    "invalid_override",
    "invalid_url",
    "invalid_value",
    "kept_as_limit",
    "locked_ratio",
    "many_names",
    "missing_key",
    "missing_variable",
    "no_effect",
    "no_models",
    "no_prices",
    "not_imported",
    "not_used_yet",
    "placeholder_database",
    "syntax",
    "too_large",
    "too_many",
    "unknown_channel",
    "unknown_credential",
    "unknown_currency",
    "unknown_group",
    "unknown_guardrail",
    "unknown_key",
    "unknown_model",
    "unknown_organization",
    "unknown_provider",
    "unpriced",
    "unpriced_ratio",
    "unreadable_file",
    "unsupported_database",
    "unsupported_guardrail",
    "unsupported_key",
    "unsupported_mode",
    "unsupported_provider",
    "unsupported_value",
    "wrong_type",
];

/// What makes a finding about a file void although it stands outside of the file: the database has channels of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unless {
    /// A channel that is switched on serves this model.
    Served(String),
    /// A channel that is switched on serves any model.
    AnyServed,
}

/// One finding in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a stable word for programs: one of [`CODES`].
    pub code: &'static str,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The key's path, such as `model_list[0].litellm_params.rpm`; empty for the whole file.
    pub at: String,
    /// What is wrong: lower case, no final stop, never a secret.
    pub message: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
    /// Text that mends it when it is pasted: into the shell for a variable, else into the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paste: Option<String>,
    /// What would make it void; `None` for what only the file can mend. Programs aren't told.
    #[serde(skip)]
    pub unless: Option<Unless>,
}

impl Diagnostic {
    /// Whether there is still reason to say it, beside all that is in force now.
    pub fn holds(&self, now: &Snapshot) -> bool {
        let serves = |group: &ModelGroup| {
            group.candidates.iter().filter_map(|it| now.resolve(*it)).any(|(channel, _)| channel.enabled)
        };
        match &self.unless {
            None => true,
            Some(Unless::Served(model)) => {
                let model = ModelName::from(model.as_str());
                !now.model_group(now.unalias(&model).as_str()).is_some_and(serves)
            }
            Some(Unless::AnyServed) => {
                !now.declared.channels.iter().any(|it| it.enabled && !it.models.is_empty())
            }
        }
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: severity[code]: at: message`, then the remedy and what to paste, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}[{}]: ", self.path, self.line, self.column, self.severity, self.code)?;
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    {}", self.remedy)?;
        }
        for line in self.paste.iter().flat_map(|paste| paste.lines()) {
            write!(f, "\n    | {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_editors_expect() {
        let found = Diagnostic {
            severity: Severity::Warning,
            code: "unknown_model",
            path: "c.yaml".into(),
            line: 3,
            column: 7,
            at: "fallbacks[0]".into(),
            message: "no channel serves `x`".into(),
            remedy: "declare it".into(),
            paste: Some("- a\n- b".into()),
            unless: Some(Unless::AnyServed),
        };
        let text = "c.yaml:3:7: warning[unknown_model]: fallbacks[0]: no channel serves `x`\n    declare it\n    | - a\n    | - b";
        assert_eq!(found.to_string(), text);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["severity"], "warning");
        assert_eq!((&json["line"], json.get("unless")), (&serde_json::json!(3), None));
    }

    fn finding(unless: Option<Unless>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            code: "c",
            path: String::new(),
            line: 1,
            column: 1,
            at: String::new(),
            message: String::new(),
            remedy: String::new(),
            paste: None,
            unless,
        }
    }

    #[test]
    fn findings_hold_until_what_is_in_force_makes_them_void() {
        let file = "version: 1\nchannels:\n  - {name: a, provider: openai, credential: k, models: [ghost, \"qwen-*\"]}\n  \
                    - {name: b, provider: openai, credential: k, models: [off], enabled: false}\naliases: {nick: ghost}\n";
        let serves = |text: &str| {
            let nothing = |_: &str| None;
            let loaded =
                crate::load(crate::Source { path: "c.yaml", text }, &crate::Environment::new(&nothing));
            assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
            Snapshot::build(1, loaded.declared)
        };
        let (some, none) = (serves(file), serves("version: 1\n"));
        let served = |model: &str| Some(Unless::Served(model.to_owned()));
        for (unless, beside_some, beside_none) in [
            (None, true, true),
            (Some(Unless::AnyServed), false, true),
            (served("ghost"), false, true),
            (served("nick"), false, true),
            (served("qwen-max"), false, true),
            (served("off"), true, true),
            (served("other"), true, true),
        ] {
            let found = finding(unless);
            assert_eq!(
                (found.holds(&some), found.holds(&none)),
                (beside_some, beside_none),
                "{:?}",
                found.unless
            );
        }
    }
}
