//! What a channel changes in the bodies that it is sent: data only. The wire crate applies it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::concern::{Concern, concern};
use crate::error::ErrorKind;
use crate::pattern::Pattern;

/// Top-level fields on which what a call may use at most depends, besides those that are a [`Concern`] wherever they stand: it is
/// reserved before a channel changes the body.
const BOUNDING: [&str; 11] = [
    "model",
    "fallbacks",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "prediction",
    "modalities",
    "service_tier",
];
/// What conditions may ask for besides the body.
const CONTEXT: [&str; 4] = ["original_model", "upstream_model", "retry_index", "is_retry"];
/// What New API's conditions may ask for, and ours can't.
const FOREIGN_CONTEXT: [&str; 11] = [
    "user_id",
    "user_group",
    "token_group",
    "using_group",
    "request_path",
    "request_headers",
    "header_override",
    "retry",
    "last_error",
    "is_channel_test",
    "last_error_status_code",
];

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
    /// In a text every match of a regular expression becomes this; `$1` is what its first group matched.
    RegexReplace {
        /// In the syntax of Rust's regex crate.
        from: Pattern,
        /// Becomes this.
        to: String,
    },
    /// Objects in lists are taken out, there and below, or with an empty path anywhere in the body.
    Prune(Prune),
    /// A value goes where nothing is yet, in whichever direction: from here there, or from there here.
    Sync(String),
    /// The call is refused.
    Refuse(Refusal),
}

/// Which objects are taken out of lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prune {
    /// Conditions on each object: their paths begin in it.
    pub conditions: Vec<Condition>,
    /// Whether all of them must hold, or one of them is enough.
    pub all: bool,
    /// Whether lists in lists, and in what objects hold, are looked through, too.
    pub recursive: bool,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What the caller is told.
    pub message: String,
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// Whether another channel is asked instead, while there is one.
    pub elsewhere: bool,
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
            Change::Move(to) | Change::Copy(to) | Change::Sync(to) => text(to) + 256,
            Change::Replace { to, .. } | Change::RegexReplace { to, .. } => text(to) + 256,
            // A letter's other case may be longer.
            Change::ToLower | Change::ToUpper => 256,
            Change::Prune(_) | Change::Refuse(_) => 0,
            Change::Delete | Change::TrimPrefix(_) | Change::TrimSuffix(_) | Change::TrimSpace => 0,
        };
        written + text(&self.path) + 16
    }

    /// The top-level fields that it writes or takes out.
    pub fn fields(&self) -> impl Iterator<Item = String> {
        let other = match &self.change {
            Change::Move(to) | Change::Copy(to) | Change::Sync(to) => Some(to.as_str()),
            _ => None,
        };
        // What is only copied from stays as it is.
        let writes = match &self.change {
            Change::Copy(_) | Change::Refuse(_) => false,
            // What is only taken out of lists anywhere is judged by what is left.
            Change::Prune(_) => !self.path.is_empty(),
            _ => true,
        };
        let own = writes.then_some(self.path.as_str());
        own.into_iter().chain(other).map(|path| steps(path).swap_remove(0))
    }

    /// The ceiling that it sets on every body, if that is what it does: then it is better kept as the models' own.
    pub fn sets_ceiling(&self) -> Option<u64> {
        let is_ceiling = self.conditions.is_empty()
            && matches!(self.path.as_str(), "max_tokens" | "max_completion_tokens");
        match &self.change {
            Change::Set { value, keep: false } if is_ceiling => value.as_u64().filter(|most| *most > 0),
            _ => None,
        }
    }

    /// Why it can't be made, and what to do instead; `None` when it can.
    pub fn unfit(&self) -> Option<Unfit> {
        if let Some(lacks) = self.lacks() {
            return Some(Unfit {
                message: format!("the change lacks its `{lacks}`"),
                remedy: "name what is meant",
            });
        }
        let own = match &self.change {
            Change::Prune(prune) => prune.conditions.as_slice(),
            _ => &[],
        };
        if let Some(unfit) = self.conditions.iter().chain(own).find_map(Condition::unfit) {
            return Some(unfit);
        }
        let field = self.fields().find(|field| {
            BOUNDING.contains(&field.as_str())
                || concern(field.as_bytes()).is_some_and(|(_, why)| why != Concern::Credential)
        })?;
        let routes =
            field == "fallbacks" || concern(field.as_bytes()).is_some_and(|(_, why)| why == Concern::Routing);
        let message = match routes {
            true => format!("a change of `{field}` would lead a call past its caller's access and price"),
            false => format!("a change of `{field}` would let a call use more than is reserved for it"),
        };
        let remedy = match field.as_str() {
            "model" => "give the model its `upstream` name instead",
            "max_tokens" | "max_completion_tokens" => {
                "set a number without conditions in a file, or the models' `max_output`"
            }
            _ if routes => "remove it: declare a channel for each place that calls may go to",
            _ => "remove it: callers send the field themselves, where their limits allow it",
        };
        Some(Unfit { message, remedy })
    }

    fn lacks(&self) -> Option<&'static str> {
        let (part, name) = match &self.change {
            Change::Prune(prune) => return prune.conditions.is_empty().then_some("value"),
            Change::Refuse(refusal) => return refusal.message.is_empty().then_some("message"),
            Change::Move(to) | Change::Copy(to) | Change::Sync(to) => (to, "to"),
            Change::TrimPrefix(part)
            | Change::TrimSuffix(part)
            | Change::EnsurePrefix(part)
            | Change::EnsureSuffix(part) => (part, "value"),
            Change::Replace { from, .. } => (from, "from"),
            _ => (&self.path, "path"),
        };
        match self.path.is_empty() {
            true => Some("path"),
            false => part.is_empty().then_some(name),
        }
    }
}

impl Condition {
    /// Why it can't be asked, and what to do instead; `None` when it can.
    pub fn unfit(&self) -> Option<Unfit> {
        let path = self.path.as_str();
        let is_foreign = FOREIGN_CONTEXT.contains(&path.split('.').next().unwrap_or_default());
        (path.is_empty() || is_foreign && !CONTEXT.contains(&path)).then(|| Unfit {
            message: format!("a condition can't ask for `{path}`"),
            remedy: "ask for a place in the body, original_model, upstream_model, retry_index or is_retry",
        })
    }
}

/// Why a change can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What is wrong with it.
    pub message: String,
    /// What to do instead.
    pub remedy: &'static str,
}

/// A path, step by step: at least one.
pub fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => steps.last_mut().into_iter().for_each(|step| step.extend(chars.next())),
            '.' => steps.push(String::new()),
            c => steps.last_mut().into_iter().for_each(|step| step.push(c)),
        }
    }
    steps
}
