//! Guardrails: what is looked for in the texts of calls and answers, and what happens when it is found. Here is what a
//! configuration declares, and the pure work on text; the gateway asks, masks and refuses.

mod detector;
mod finder;
mod scanner;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::channel::SecretRef;
use crate::ids::{GroupId, KeyId, ModelName, OrganizationId};
use crate::tenant::{Caller, matches_pattern};

pub use detector::Detector;
pub use finder::TextGuard;
pub use scanner::{Edit, Scanner, apply};

/// No match of an operator's own pattern or keyword is longer, in bytes: of a longer one this much is found. So much of a
/// stream is held back for them.
pub const REACH_MAX: usize = 256;
/// A configuration has no more guardrails than this.
pub const GUARDRAILS_MAX: usize = 64;
/// And each no more keywords and patterns.
pub const RULES_MAX: usize = 2_000;

/// A guardrail, as a configuration declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardrailSource {
    /// Its name, for messages, headers and records.
    pub name: Arc<str>,
    /// The name by which calls, keys and groups ask for it. Mostly the same; several may go by one.
    pub asked_as: Arc<str>,
    /// Whether it looks at every call that it is attached to. Otherwise only where the call, its key or its group asks for it.
    pub default_on: bool,
    /// Whether it looks at what callers send.
    pub input: bool,
    /// Whether it looks at what models answer.
    pub output: bool,
    /// Whose calls it looks at.
    pub of: Attachment,
    /// What looks.
    pub kind: GuardrailKind,
}

/// What looks at the texts.
#[derive(Clone, Debug, PartialEq)]
pub enum GuardrailKind {
    /// The gateway itself.
    Text(TextRules),
    /// A service of the operator's.
    Http(HttpRules),
}

/// Whose calls a guardrail looks at. Empty: everybody's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Calls of these organizations, beside those of the groups and keys.
    pub organizations: Vec<OrganizationId>,
    /// Calls of these groups.
    pub groups: Vec<GroupId>,
    /// Calls with these keys.
    pub keys: Vec<KeyId>,
    /// Only calls that may end at one of these models; a name may end in `*`.
    pub models: Vec<ModelName>,
}

impl Attachment {
    /// Whether a call that may end at these models is among them.
    pub fn covers<'a>(&self, caller: &Caller, models: impl Iterator<Item = &'a str>) -> bool {
        self.covers_caller(caller) && self.covers_any(models)
    }

    /// Whether the caller's calls are among them, at some models at least.
    pub fn covers_caller(&self, caller: &Caller) -> bool {
        let everybody = self.organizations.is_empty() && self.groups.is_empty() && self.keys.is_empty();
        everybody
            || self.organizations.contains(&caller.organization)
            || caller.group.as_ref().is_some_and(|group| self.groups.contains(group))
            || self.groups.iter().any(|group| caller.is_in_group(group.as_str()))
            || caller.key.as_ref().is_some_and(|key| self.keys.contains(key))
    }

    /// Whether calls to one of these models are among them.
    pub fn covers_any<'a>(&self, mut models: impl Iterator<Item = &'a str>) -> bool {
        self.models.is_empty()
            || models.any(|model| self.models.iter().any(|pattern| matches_pattern(pattern.as_str(), model)))
    }
}

/// What the built-in guardrail looks for, and what it then does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextRules {
    /// Words and phrases, wherever they stand.
    pub keywords: Vec<String>,
    /// Whether upper and lower case of keywords differ.
    pub case_sensitive: bool,
    /// Regular expressions.
    pub patterns: Vec<String>,
    /// Personal data and secrets.
    pub detectors: Vec<Detector>,
    /// What happens to what is found.
    pub action: GuardrailAction,
    /// What stands for it when it is masked; `None`: what it was, such as `[EMAIL]`, and `[REDACTED]` for keywords and
    /// patterns.
    pub replacement: Option<String>,
}

/// What happens to what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailAction {
    /// The call is refused, or the answer ended.
    #[default]
    Deny,
    /// It is replaced.
    Mask,
    /// It is counted in the call's record, and passes.
    Log,
}

impl GuardrailAction {
    /// The action, done, as a word for headers and records.
    pub const fn done(self) -> &'static str {
        match self {
            GuardrailAction::Deny => "denied",
            GuardrailAction::Mask => "masked",
            GuardrailAction::Log => "logged",
        }
    }
}

/// A service that is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRules {
    /// Its address.
    pub url: String,
    /// Sent to it as a bearer credential.
    pub credential: SecretRef,
    /// An answer that takes longer counts as none, in milliseconds. Default 2,000.
    pub timeout_ms: u64,
    /// Whether a call goes on when there is no answer. Default false.
    pub fail_open: bool,
}

/// What a guardrail did to a call. In the call's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardrailMark {
    /// Its name.
    pub name: Arc<str>,
    /// `masked`, `logged`, `denied`, or `failed` where it couldn't be asked and the call went on.
    pub did: Arc<str>,
    /// How often.
    pub times: u64,
}

impl fmt::Display for GuardrailMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.did, self.times)
    }
}

/// What guardrails did to a call: mostly nothing.
pub type GuardrailMarks = SmallVec<[GuardrailMark; 0]>;

/// Adds to what a guardrail did.
pub fn mark(marks: &mut GuardrailMarks, name: &Arc<str>, did: &str, times: u64) {
    if times == 0 {
        return;
    }
    match marks.iter_mut().find(|mark| mark.name == *name && &*mark.did == did) {
        Some(mark) => mark.times = mark.times.saturating_add(times),
        // BOUND: the configuration's guardrails, each with its four actions.
        None => marks.push(GuardrailMark { name: Arc::clone(name), did: did.into(), times }),
    }
}

#[cfg(test)]
mod tests;
