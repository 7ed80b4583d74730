//! What a channel changes in the bodies that it is sent: data only. The wire crate applies it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change of a body, and when it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BodyEdit {
    /// Where: names and places joined by dots, `messages.0.content`; `-1` is the last element, `\.` a dot in a name.
    pub path: String,
    /// What is done there.
    pub change: Change,
    /// It is done only when these hold; empty is always.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Whether all of the conditions must hold, or one of them is enough.
    #[serde(default)]
    pub all: bool,
}

/// A change of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is taken out.
    Delete,
    /// It is set; with `keep` only when nothing is there.
    Set {
        /// To this.
        value: Value,
        /// What is there stays.
        keep: bool,
    },
    /// It goes there instead.
    Move(String),
    /// It goes there, too.
    Copy(String),
    /// This goes before a text, or before the elements of a list; into an object go the members that it lacks.
    Prepend(Value),
    /// This goes behind a text, or behind the elements of a list; into an object go all members.
    Append(Value),
    /// A text loses this beginning.
    TrimPrefix(String),
    /// A text loses this end.
    TrimSuffix(String),
    /// A text gets this beginning unless it has it.
    EnsurePrefix(String),
    /// A text gets this end unless it has it.
    EnsureSuffix(String),
    /// A text loses white space at both ends.
    TrimSpace,
    /// A text's letters become small.
    ToLower,
    /// A text's letters become capital.
    ToUpper,
    /// In a text every such part becomes another.
    Replace {
        /// This.
        from: String,
        /// Becomes this.
        to: String,
    },
}

/// What must hold of a value for a change to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Of which value: a path in the body, or `original_model`, `upstream_model`, `retry_index` or `is_retry`.
    pub path: String,
    /// How it is compared.
    pub mode: Compare,
    /// With what.
    pub value: Value,
    /// The contrary must hold.
    #[serde(default)]
    pub invert: bool,
    /// It holds, too, when nothing is there.
    #[serde(default)]
    pub pass_missing: bool,
}

/// How a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The same.
    Full,
    /// Begins with it.
    Prefix,
    /// Ends with it.
    Suffix,
    /// Has it within.
    Contains,
    /// Greater.
    Gt,
    /// Greater or the same.
    Gte,
    /// Less.
    Lt,
    /// Less or the same.
    Lte,
}

impl BodyEdit {
    /// The most bytes that it adds to a body, as far as that is known before: what it writes, and a little for what it moves
    /// about. A change that adds more isn't sent.
    pub fn adds_bytes(&self) -> u64 {
        let text = |text: &str| text.len() as u64;
        let json = |value: &Value| text(&value.to_string());
        let written = match &self.change {
            Change::Set { value, .. } | Change::Prepend(value) | Change::Append(value) => json(value),
            Change::EnsurePrefix(part) | Change::EnsureSuffix(part) => 2 * text(part),
            Change::Move(to) | Change::Copy(to) => text(to) + 256,
            Change::Replace { to, .. } => text(to) + 256,
            // A letter's other case may be longer.
            Change::ToLower | Change::ToUpper => 256,
            Change::Delete | Change::TrimPrefix(_) | Change::TrimSuffix(_) | Change::TrimSpace => 0,
        };
        written + text(&self.path) + 16
    }

    /// The top-level fields that it writes or takes out.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let other = match &self.change {
            Change::Move(to) | Change::Copy(to) => Some(to.as_str()),
            _ => None,
        };
        // What is only copied from stays as it is.
        let own = (!matches!(self.change, Change::Copy(_))).then_some(self.path.as_str());
        own.into_iter().chain(other).map(|path| path.split('.').next().unwrap_or_default())
    }
}
