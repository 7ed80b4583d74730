//! Policies, versions and what is said of them, as people see them.

use serde::{Deserialize, Serialize};
use sluicegate_core::engine::ShadowReport;
use sluicegate_core::snapshot::{Attachment, OnPolicyError, PolicySource};
use sluicegate_core::tenant::Source;
use sluicegate_core::{GroupId, KeyId, OrganizationId, Timestamp};

use super::super::seen::tag_of;
use crate::store::{PolicyStanding, PolicyState, PolicyTests, PolicyVersion, Stored};

/// A version to be put.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewPolicyVersion {
    /// The script, its tests included.
    pub text: String,
    /// The organization whose calls it steers.
    pub organization: Option<OrganizationId>,
    /// The group whose calls it steers, by id or alias.
    pub group: Option<String>,
    /// The key whose calls it steers, by id. With none of the three it steers every call.
    pub key: Option<KeyId>,
    /// What happens to a call when the script fails.
    pub on_error: OnPolicyError,
    /// Why it is put, in its author's words.
    pub note: String,
}

/// A policy, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Its name.
    pub name: String,
    /// Where it was declared: one of a file is read-only here and has no versions.
    pub source: Source,
    /// The organization that it belongs to; `None` is the whole installation's.
    pub organization: Option<OrganizationId>,
    /// The group whose calls it steers.
    pub group: Option<GroupId>,
    /// The key whose calls it steers.
    pub key: Option<KeyId>,
    /// The version that runs.
    pub active: Option<i64>,
    /// The version that is tried beside it.
    pub shadow: Option<i64>,
    /// The newest version.
    pub newest: Option<i64>,
    /// The tag of its present state, all versions together, for `if-match`.
    pub etag: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
}

/// A version of a policy, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersionView {
    /// The policy.
    pub policy: String,
    /// Counts from 1.
    pub number: i64,
    /// Whether it runs.
    pub state: PolicyState,
    /// What is said of its state.
    #[serde(flatten)]
    pub standing: PolicyStanding,
    /// The script; left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The organization that it belongs to.
    pub organization: Option<OrganizationId>,
    /// The group whose calls it steers.
    pub group: Option<GroupId>,
    /// The key whose calls it steers.
    pub key: Option<KeyId>,
    /// What happens to a call when the script fails.
    pub on_error: OnPolicyError,
    /// Why it was put.
    pub note: String,
    /// The SHA-256 of the script, in hexadecimal.
    pub digest: String,
    /// How its tests went when it was put.
    pub tests: PolicyTests,
    /// When it was put.
    pub created_at: Timestamp,
    /// Who put it.
    pub created_by: String,
    /// When its state was last changed.
    pub updated_at: Timestamp,
    /// Who changed its state last.
    pub updated_by: String,
}

/// What a check of a script has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyCheck {
    /// Whether it can be used, and all its tests pass.
    pub ok: bool,
    /// What is wrong with it.
    pub diagnostics: Vec<PolicyFault>,
    /// How its tests went.
    pub tests: PolicyTests,
}

/// One reason why a script can't be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFault {
    /// The line, from 1; 0 when it concerns the whole script.
    pub line: usize,
    /// The column in characters, from 1; 0 when it concerns the whole line or script.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDiff {
    /// The older side.
    pub from: i64,
    /// The newer side.
    pub to: i64,
    /// The difference as a unified diff; empty when there is none.
    pub diff: String,
}

/// How a version in shadow compares with what runs, on this node, since it is in shadow or since the node's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyShadow {
    /// The policy.
    pub policy: String,
    /// The version in shadow.
    pub version: i64,
    /// What was counted.
    #[serde(flatten)]
    pub report: ShadowReport,
}

/// What changes with each version that is put, and with each change of one's state.
pub(super) fn policy_version_sum(stored: &[Stored<PolicyVersion>]) -> i64 {
    stored.iter().map(|it| it.version).sum()
}

/// The tag of a policy's present state.
pub(super) fn policy_tag(stored: &[Stored<PolicyVersion>]) -> String {
    tag_of(policy_version_sum(stored), stored.first().map_or_else(Timestamp::default, |it| it.created_at))
}

pub(super) fn view_of(stored: &[Stored<PolicyVersion>]) -> Option<PolicyView> {
    let newest = stored.last()?;
    let changed = stored.iter().max_by_key(|it| it.updated_at)?;
    let of = |state| stored.iter().find(|it| it.value.state == state).map(|it| it.value.number);
    Some(PolicyView {
        name: newest.value.name().to_owned(),
        source: Source::Database,
        organization: newest.value.draft.organization.clone(),
        group: newest.value.draft.group.clone(),
        key: key_of(&newest.value.draft.source),
        active: of(PolicyState::Active),
        shadow: of(PolicyState::Shadow),
        newest: Some(newest.value.number),
        etag: policy_tag(stored),
        updated_at: changed.updated_at,
        updated_by: changed.updated_by.clone(),
    })
}

pub(super) fn of_file(source: &PolicySource) -> PolicyView {
    PolicyView {
        name: source.name.clone(),
        source: Source::File,
        organization: match &source.attached {
            Attachment::Organization(id) => Some(id.clone()),
            _ => None,
        },
        group: match &source.attached {
            Attachment::Group(id) | Attachment::GroupById(id) => Some(id.clone()),
            _ => None,
        },
        key: key_of(source),
        active: None,
        shadow: None,
        newest: None,
        etag: tag_of(0, Timestamp::default()),
        updated_at: Timestamp::default(),
        updated_by: "configuration file".to_owned(),
    }
}

pub(super) fn version_view(stored: Stored<PolicyVersion>) -> PolicyVersionView {
    let PolicyVersion { number, draft, state, standing } = stored.value;
    PolicyVersionView {
        key: key_of(&draft.source),
        policy: draft.source.name,
        number,
        state,
        standing,
        text: Some(draft.source.text),
        organization: draft.organization,
        group: draft.group,
        on_error: draft.source.on_error,
        note: draft.note,
        digest: draft.digest,
        tests: draft.tests,
        created_at: stored.created_at,
        created_by: stored.created_by,
        updated_at: stored.updated_at,
        updated_by: stored.updated_by,
    }
}

fn key_of(source: &PolicySource) -> Option<KeyId> {
    match &source.attached {
        Attachment::Key(id) => Some(id.clone()),
        _ => None,
    }
}
