//! What the host knows and we may not look up ourselves: environment variables and further files.

use std::collections::BTreeMap;

/// A refusal of every file.
fn no_files(_: &str) -> Result<String, String> {
    Err("this host reads no further files".to_owned())
}

/// The host's environment, passed in: this crate reads neither variables nor files.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a further text file, such as a policy script or an included file. The path is as written, after the
    /// directory of the file that names it when it is relative. The error is a reason for people.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl<'a> Environment<'a> {
    /// An environment with these variables and without further files.
    pub fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, file: &no_files }
    }

    /// Reads further files with `file`.
    #[must_use]
    pub fn with_files(self, file: &'a dyn Fn(&str) -> Result<String, String>) -> Self {
        Self { file, ..self }
    }
}

/// Variables that a file sets itself, before the host's.
#[derive(Debug, Default)]
pub(crate) struct Overlay(pub(crate) BTreeMap<String, String>);

/// A piece of a text that may refer to variables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
}

/// Splits `${NAME}`, `${NAME:-default}`, `os.environ/NAME` and `$$` (a dollar sign) out of a text. What only looks like
/// a reference stays text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    if let Some(name) = text.trim().strip_prefix("os.environ/") {
        return vec![Piece::Variable { name: name.trim(), default: None }];
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        if let Some(escaped) = after.strip_prefix("$$") {
            pieces.push(Piece::Text(before));
            pieces.push(Piece::Text("$"));
            rest = escaped;
            continue;
        }
        let reference = after.strip_prefix("${").and_then(|inner| inner.split_once('}'));
        let parsed = reference.and_then(|(inner, tail)| {
            let (name, default) = match inner.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inner, None),
            };
            is_name(name).then_some((name, default, tail))
        });
        match parsed {
            Some((name, default, tail)) => {
                pieces.push(Piece::Text(before));
                pieces.push(Piece::Variable { name, default });
                rest = tail;
            }
            None => {
                let (head, tail) = rest.split_at(at + 1);
                pieces.push(Piece::Text(head));
                rest = tail;
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| !matches!(piece, Piece::Text("")));
    pieces
}

/// Whether a text could be the name of an environment variable.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_out() {
        let variable = |name, default| Piece::Variable { name, default };
        for (text, want) in [
            ("${A}", vec![variable("A", None)]),
            ("os.environ/A_B", vec![variable("A_B", None)]),
            ("x${A:-y z}!", vec![Piece::Text("x"), variable("A", Some("y z")), Piece::Text("!")]),
            ("$$5", vec![Piece::Text("$"), Piece::Text("5")]),
            ("${1}", vec![Piece::Text("$"), Piece::Text("{1}")]),
            ("a$", vec![Piece::Text("a$")]),
            ("${A", vec![Piece::Text("$"), Piece::Text("{A")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(text), want, "{text}");
        }
    }
}
