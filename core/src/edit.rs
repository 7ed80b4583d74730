//! What a channel changes in the bodies and headers that it is sent: data only. The wire crate applies it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::concern::{Concern, concern};
use crate::error::ErrorKind;
use crate::header::{self, Wanted};
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
/// Stands before the name of a caller's header in a condition's path.
pub const CALLERS_HEADER: &str = "request_headers.";
/// And before that of a header as it is sent.
pub const SENT_HEADER: &str = "header_override.";
/// A header's value that goes into a body is no longer, in bytes.
pub const HEADER_IN_BODY_MAX: usize = 256;
/// What goes from a body into a header is no longer, in bytes: servers refuse a head of some KiB.
pub const BODY_IN_HEADER_MAX: usize = 4 << 10;
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

/// One change of a body or of the headers beside it, and when it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BodyEdit {
    /// Where: names and places joined by dots, `messages.0.content`; `-1` is the last element, `\.` a dot in a name. Of a header:
    /// its name, in lower case.
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
    /// The header is set; with `keep` only when it isn't sent yet.
    SetHeader {
        /// To this. `{client_header:NAME}` stands for a header of the caller's: without that one nothing is set.
        value: String,
        /// What is there stays.
        keep: bool,
    },
    /// The header isn't sent.
    DeleteHeader,
    /// The header, as it is sent or as the caller sent it, goes there instead.
    MoveHeader {
        /// A header's name, in lower case.
        to: String,
        /// What is there stays.
        keep: bool,
    },
    /// The header, as it is sent or as the caller sent it, goes there, too.
    CopyHeader {
        /// A header's name, in lower case.
        to: String,
        /// What is there stays.
        keep: bool,
    },
    /// Headers of the caller's are sent.
    PassHeaders {
        /// Which.
        which: Passed,
        /// What is there stays.
        keep: bool,
    },
    /// A text goes where nothing is yet, in whichever direction: from here into that header, or from the header here. What is
    /// longer than [`BODY_IN_HEADER_MAX`] or [`HEADER_IN_BODY_MAX`] stays where it is.
    SyncHeader(String),
}

/// Which headers of a caller's are sent on. Those that prove who they are, or belong to the connection, never are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// All.
    All,
    /// Those of these names, in lower case.
    Named(Vec<String>),
    /// Those whose name, in lower case, has a match.
    Matching(Pattern),
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
    /// Of which value: a path in the body, `original_model`, `upstream_model`, `retry_index`, `is_retry`, `request_headers.NAME` (of the
    /// caller's) or `header_override.NAME` (as it is sent).
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
            Change::SyncHeader(_) => HEADER_IN_BODY_MAX as u64 * 2,
            Change::SetHeader { .. }
            | Change::DeleteHeader
            | Change::MoveHeader { .. }
            | Change::CopyHeader { .. }
            | Change::PassHeaders { .. } => return 0,
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
            headers if headers.is_of_headers() => false,
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

    /// Which headers of its callers it asks for.
    pub fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::None;
        let conditions = self.conditions.iter().filter_map(|it| it.path.strip_prefix(CALLERS_HEADER));
        wanted.add(conditions.map(str::to_ascii_lowercase));
        match &self.change {
            Change::SetHeader { value, .. } => wanted.add(header::named(value)),
            Change::MoveHeader { .. } | Change::CopyHeader { .. } => wanted.add([self.path.clone()]),
            Change::SyncHeader(name) => wanted.add([name.clone()]),
            Change::PassHeaders { which: Passed::Named(names), .. } => wanted.add(names.iter().cloned()),
            Change::PassHeaders { which: Passed::All | Passed::Matching(_), .. } => wanted = Wanted::All,
            _ => {}
        }
        wanted
    }

    /// The headers that it names.
    fn headers(&self) -> impl Iterator<Item = &str> {
        let own = self.change.is_of_headers().then_some(self.path.as_str()).filter(|path| !path.is_empty());
        let (other, named): (Option<&str>, &[String]) = match &self.change {
            Change::MoveHeader { to, .. } | Change::CopyHeader { to, .. } | Change::SyncHeader(to) => {
                (Some(to.as_str()), &[])
            }
            Change::PassHeaders { which: Passed::Named(names), .. } => (None, names),
            _ => (None, &[]),
        };
        own.into_iter().chain(other).chain(named.iter().map(String::as_str))
    }

    /// Why it can't be made, and what to do instead; `None` when it can.
    pub fn unfit(&self) -> Option<Unfit> {
        if let Some(lacks) = self.lacks() {
            return Some(Unfit {
                message: format!("the change lacks its `{lacks}`"),
                remedy: "name what is meant",
            });
        }
        if let Some(name) = self.headers().find(|name| !header::is_name(name)) {
            let message = format!("`{name}` is no header's name");
            return Some(Unfit { message, remedy: "write letters, digits and dashes" });
        }
        if let Some(name) = self.headers().find(|name| header::is_own(name)) {
            let message = format!("the header `{name}` belongs to the gateway");
            return Some(Unfit { message, remedy: "set the credential, or remove the change" });
        }
        let passed = match &self.change {
            Change::PassHeaders { which: Passed::Named(names), .. } => names.as_slice(),
            _ => &[],
        };
        if let Some(name) = passed.iter().find(|name| !header::may_pass(name)) {
            let message = format!("a caller's header `{name}` is never passed on");
            return Some(Unfit { message, remedy: "remove it" });
        }
        if let Change::SetHeader { value, .. } = &self.change
            && value.chars().any(|c| c.is_control() && c != '\t')
        {
            let message = "a header's value has no line breaks".to_owned();
            return Some(Unfit { message, remedy: "remove them" });
        }
        if let Change::SetHeader { value, .. } = &self.change
            && let Some(name) = header::named(value).find(|name| !header::may_pass(name))
        {
            let message = format!("a caller's header `{name}` is never passed on: nothing would be set");
            return Some(Unfit { message, remedy: "name another header, or remove the change" });
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
            Change::PassHeaders { which: Passed::Named(names), .. } => {
                return names.is_empty().then_some("value");
            }
            Change::PassHeaders { .. } => return None,
            Change::MoveHeader { to, .. } | Change::CopyHeader { to, .. } => (to, "to"),
            Change::Move(to) | Change::Copy(to) | Change::Sync(to) | Change::SyncHeader(to) => (to, "to"),
            Change::SetHeader { value, .. } => (value, "value"),
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

impl Change {
    /// Whether it changes headers only, and leaves the body as it is.
    pub fn is_of_headers(&self) -> bool {
        matches!(
            self,
            Change::SetHeader { .. }
                | Change::DeleteHeader
                | Change::MoveHeader { .. }
                | Change::CopyHeader { .. }
                | Change::PassHeaders { .. }
        )
    }
}

impl Condition {
    /// Why it can't be asked, and what to do instead; `None` when it can.
    pub fn unfit(&self) -> Option<Unfit> {
        let path = self.path.as_str();
        let of_caller = path.strip_prefix(CALLERS_HEADER);
        let header = of_caller.or_else(|| path.strip_prefix(SENT_HEADER));
        if let Some(name) = header.map(str::to_ascii_lowercase) {
            // What is sent may have it; a caller's that stays here would never be there.
            let is_unseen = of_caller.is_some() && !header::may_pass(&name);
            return (!header::is_name(&name) || header::is_own(&name) || is_unseen).then(|| Unfit {
                message: format!("a condition can't ask for `{path}`"),
                remedy: "name a header that may be passed on",
            });
        }
        let is_foreign = FOREIGN_CONTEXT.contains(&path.split('.').next().unwrap_or_default());
        (path.is_empty() || is_foreign && !CONTEXT.contains(&path)).then(|| Unfit {
            message: format!("a condition can't ask for `{path}`"),
            remedy: "ask for a place in the body, original_model, upstream_model, retry_index, is_retry, \
                     request_headers.NAME or header_override.NAME",
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
