//! What is wrong with a file, where, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// One finding in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a stable word for programs, such as `unknown_key`.
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
        };
        let text = "c.yaml:3:7: warning[unknown_model]: fallbacks[0]: no channel serves `x`\n    declare it\n    | - a\n    | - b";
        assert_eq!(found.to_string(), text);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["severity"], "warning");
        assert_eq!(json["line"], 3);
    }
}
