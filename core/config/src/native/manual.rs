//! The manual's tables of settings, made from the same tables that the reader uses.

use std::fmt::Write;

use super::section::{Kind, ROOT, Section};

/// Every section of the dialect as Markdown: a heading, what it is, and a table of its keys.
pub fn tables() -> String {
    let mut text = String::new();
    let mut done = Vec::new();
    section(&ROOT, &mut text, &mut done);
    text
}

fn section(of: &'static Section, text: &mut String, done: &mut Vec<&'static str>) {
    if done.contains(&of.name) {
        return;
    }
    done.push(of.name);
    let title = if of.name == "root" { "The file".to_owned() } else { format!("`{}`", of.name) };
    let required = match of.required {
        [] => String::new(),
        keys => format!(
            " Required: {}.",
            keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    // Writing to a text can't fail.
    let _ = write!(text, "### {title}\n\n{}{required}\n\n| key | takes | what |\n|---|---|---|\n", of.about);
    for key in of.keys {
        let _ = writeln!(text, "| `{}` | {} | {} |", key.name, takes(&key.kind), key.about);
    }
    text.push('\n');
    for key in of.keys {
        if let Kind::Models(inner)
        | Kind::Object(inner)
        | Kind::Switch(inner)
        | Kind::Named(inner)
        | Kind::List(inner) = &key.kind
        {
            section(inner, text, done);
        }
    }
}

fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "text, best `${NAME}`".to_owned(),
        Kind::Boolean => "true, false".to_owned(),
        Kind::Count => "count".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Duration => "length of time".to_owned(),
        Kind::Bytes => "bytes".to_owned(),
        Kind::Decimal => "decimal".to_owned(),
        Kind::Word(words) => words.join(", "),
        Kind::Texts => "text, or a list".to_owned(),
        Kind::TextMap => "mapping of texts".to_owned(),
        Kind::ModelMap => "mapping of a model to one or a list".to_owned(),
        Kind::TextsMap => "mapping of texts to one or a list".to_owned(),
        Kind::Free => "mapping".to_owned(),
        Kind::Any => "anything".to_owned(),
        Kind::Limits => "[limits](#limits)".to_owned(),
        Kind::Auth => "bearer, none, {header: NAME}".to_owned(),
        Kind::Models(inner) => format!("list of names or [{0}](#{0})", inner.name),
        Kind::Object(inner) => format!("[{0}](#{0})", inner.name),
        Kind::Switch(inner) => format!("true, false, [{0}](#{0})", inner.name),
        Kind::Named(inner) => format!("mapping of names to [{0}](#{0})", inner.name),
        Kind::List(inner) => format!("list of [{0}](#{0})", inner.name),
    }
}
