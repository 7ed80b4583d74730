//! What is wrong with a script, and where.

use std::fmt;

use rhai::Position;

/// One reason why a script can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDiagnostic {
    /// The script's or module's name.
    pub policy: String,
    /// Whether it is a module.
    pub is_module: bool,
    /// The line, from 1; 0 when it concerns the whole script.
    pub line: usize,
    /// The column in characters, from 1; 0 when it concerns the whole line or script.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl PolicyDiagnostic {
    pub(crate) fn at(
        policy: &str,
        position: Position,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            policy: policy.to_owned(),
            is_module: false,
            line: position.line().unwrap_or(0),
            column: position.position().unwrap_or(0),
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for PolicyDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", if self.is_module { "policy module" } else { "policy" }, self.policy)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}; {}", self.message, self.remedy)
    }
}

impl std::error::Error for PolicyDiagnostic {}
