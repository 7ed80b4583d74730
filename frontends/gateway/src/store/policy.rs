//! Versions of policies, as they are stored: what was put never changes, only how it stands.

use serde::{Deserialize, Serialize};
use sluicegate_core::snapshot::PolicySource;
use sluicegate_core::{GroupId, OrganizationId, Timestamp};

/// A version of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Counts from 1 within the policy.
    pub number: i64,
    /// What was put.
    pub draft: PolicyDraft,
    /// Whether it runs.
    pub state: PolicyState,
    /// What is said of its state.
    pub standing: PolicyStanding,
}

impl PolicyVersion {
    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.draft.source.name
    }
}

/// What somebody put: it stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyDraft {
    /// The script, whose calls it steers, and what happens when it fails.
    pub source: PolicySource,
    /// The organization that it belongs to; `None` is the whole installation's.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// The group that it belongs to.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Why it was put, in its author's words.
    #[serde(default)]
    pub note: String,
    /// The SHA-256 of the script, in hexadecimal.
    pub digest: String,
    /// How its own tests went when it was put.
    #[serde(default)]
    pub tests: PolicyTests,
}

/// How a script's own tests went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTests {
    /// How many passed.
    pub passed: u32,
    /// Those that failed.
    #[serde(default)]
    pub failures: Vec<PolicyTestFailure>,
}

/// A test that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTestFailure {
    /// The test's function.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; 0 when it concerns the whole line.
    pub column: usize,
    /// What went wrong, what was expected and what came.
    pub message: String,
}

/// Whether a version runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyState {
    /// It was put, and never ran.
    Draft,
    /// It is tried beside the one that runs: what it says is compared, and does nothing.
    Shadow,
    /// It runs.
    Active,
    /// It ran, until another took its place or it was taken out of use.
    Retired,
    /// It ran, and was taken back: `standing.reason` says why.
    RolledBack,
}

impl PolicyState {
    /// The state as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What is said of a version's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStanding {
    /// The version that ran before it, when it was activated: where a rollback leads.
    pub before: Option<i64>,
    /// Of the calls that the version before steered, so many were refused by it, in millionths, when this one took its
    /// place. `None` when there was none, or when it had steered too few to say.
    pub denied_before_ppm: Option<u32>,
    /// When it was last activated; `None` for one that never was.
    pub activated_at: Option<Timestamp>,
    /// Whether it is taken back by itself when it does badly in its first time. Not when a rollback has brought it back.
    pub watched: bool,
    /// Why it was taken back.
    pub reason: Option<String>,
}

/// Which versions of policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyFilter<'a> {
    /// Of the policy of this name.
    pub name: Option<&'a str>,
    /// Only those that run or are tried beside one that does.
    pub in_use: bool,
}
