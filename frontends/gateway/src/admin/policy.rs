//! Policies that live in the database, as versions: what runs is never edited, it is replaced.
//!
//! A policy for everybody is super administrators' affair, one of an organization its administrators', one of a group also its
//! own administrators'. Whoever may read of these may read their policies. A policy stays where it was first attached.

mod turn;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};
use sluicegate_core::ports::PolicyHook;
use sluicegate_core::snapshot::{Attachment, PolicySource};
use sluicegate_core::tenant::Source;
use sluicegate_core::{Error, ErrorKind, Group, GroupId, OrganizationId, Result, Retry};
use sluicegate_policy::{Policies, PolicyDiagnostic, TestResult, Tests, Whose};

use super::access::check_id;
use super::seed::Seeds;
pub use view::{
    NewPolicyVersion, PolicyCheck, PolicyDiff, PolicyFault, PolicyShadow, PolicyVersionView, PolicyView,
};
use view::{of_file, policy_tag, policy_version_sum, version_view, view_of};

use super::{
    Access, Actor, Admin, DEFAULT_ORGANIZATION, Deed, ReplayPolicy, Then, forbidden, invalid, not_found,
    retried,
};
use crate::script;
use crate::store::{
    Change, KeyRef, PolicyDraft, PolicyFilter, PolicyStanding, PolicyState, PolicyTestFailure, PolicyTests,
    PolicyVersion, Reach, Stored, Thing,
};

/// A policy has no more versions than these: whoever needs more removes it and begins anew.
const MAX_VERSIONS: usize = 1_000;
/// All versions of a policy together have no more bytes of text than these: they are read together.
const MAX_POLICY_BYTES: usize = 4 << 20;
/// The database has no more policies of everybody, of an organization with its keys, and of a group than these.
const MAX_POLICIES: u64 = 100;
/// Scripts that wait for their check: whoever comes then is asked to come again.
const MAX_WAITING_CHECKS: usize = 16;
/// Notes and reasons have no more bytes than these.
const MAX_WORDS_BYTES: usize = 2_000;

/// Somebody who waits for a script's check, until dropped.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admin {
    /// Policies that an actor may see: the file's, then those of the database by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn policies(&self, actor: &Actor) -> Result<Vec<PolicyView>> {
        let mut all: Vec<PolicyView> =
            self.file_policies().iter().filter(|it| self.sees_file_policy(actor, it)).map(of_file).collect();
        let stored = self.store().policy_versions(&PolicyFilter::default(), &actor.reach()).await?;
        let mut policies: Vec<PolicyView> =
            stored.chunk_by(|a, b| a.value.name() == b.value.name()).filter_map(view_of).collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        all.extend(policies);
        Ok(all)
    }

    /// One policy.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn policy(&self, actor: &Actor, name: &str) -> Result<PolicyView> {
        if let Some(source) = self.file_policies().iter().find(|it| it.name == name)
            && self.sees_file_policy(actor, source)
        {
            return Ok(of_file(source));
        }
        view_of(&self.versions_of(actor, name).await?).ok_or_else(|| not_found("policy", name))
    }

    /// The versions of a policy, newest first, without their texts.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn policy_versions(&self, actor: &Actor, name: &str) -> Result<Vec<PolicyVersionView>> {
        let stored = self.versions_of(actor, name).await?;
        Ok(stored.into_iter().rev().map(|it| PolicyVersionView { text: None, ..version_view(it) }).collect())
    }

    /// One version with its text; `None` is the one that runs, or the newest when none does.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn policy_version(
        &self,
        actor: &Actor,
        name: &str,
        number: Option<i64>,
    ) -> Result<PolicyVersionView> {
        let mut stored = self.versions_of(actor, name).await?;
        let at = match number {
            Some(number) => place_of(&stored, name, number)?,
            None => running(&stored).unwrap_or(stored.len().saturating_sub(1)),
        };
        Ok(version_view(stored.swap_remove(at)))
    }

    /// The script of a version and what it is attached to; `None` is the newest.
    pub(super) async fn stored_source(
        &self,
        actor: &Actor,
        name: &str,
        number: Option<i64>,
    ) -> Result<PolicySource> {
        let mut stored = self.versions_of(actor, name).await?;
        let at = match number {
            Some(number) => place_of(&stored, name, number)?,
            None => stored.len().saturating_sub(1),
        };
        Ok(stored.swap_remove(at).value.draft.source)
    }

    /// A script that isn't stored, as it would be put: where the policy of its name stands, unless it says where itself.
    pub(super) async fn drafted_source(&self, actor: &Actor, draft: ReplayPolicy) -> Result<PolicySource> {
        let is_placed = draft.is_placed();
        let ReplayPolicy { name, text, organization, group, key, on_error, version: _ } = draft;
        let of = PolicyFilter { name: Some(&name), in_use: false };
        let stored = self.store().policy_versions(&of, &actor.reach()).await?;
        let known = stored.get(running(&stored).unwrap_or(stored.len().saturating_sub(1)));
        let declared = self.file_policies().into_iter().find(|it| it.name == name);
        let mut source = match (&declared, known) {
            (Some(declared), _) => declared.clone(),
            (None, Some(known)) => known.value.draft.source.clone(),
            (None, None) => PolicySource::new(name, String::new()),
        };
        source.text = text.unwrap_or_default();
        source.on_error = on_error.unwrap_or(source.on_error);
        if !is_placed {
            return Ok(source);
        }
        if declared.is_some() {
            let message = format!(
                "policy `{}` is declared in the configuration file, which says whose calls it steers; leave out organization, group \
                 and key, or try the text under another name",
                source.name
            );
            return Err(invalid("policies", message));
        }
        let new = NewPolicyVersion { organization, group, key, ..NewPolicyVersion::default() };
        let home = self.home(actor, &new).await?;
        source.attached = home.attached;
        self.refuse_moved(actor, known, home.organization.as_ref(), &source)?;
        Ok(source)
    }

    /// What differs between two versions. `from` is by default the one that runs, `to` the newest.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn policy_diff(
        &self,
        actor: &Actor,
        name: &str,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<PolicyDiff> {
        let stored = self.versions_of(actor, name).await?;
        let newest = stored.last().map_or(0, |it| it.value.number);
        let active = running(&stored).and_then(|at| stored.get(at)).map(|it| it.value.number);
        let (from, to) = (from.or(active).unwrap_or(newest), to.unwrap_or(newest));
        let text = |number| {
            let at = place_of(&stored, name, number)?;
            Ok::<_, Error>(stored.get(at).map_or("", |it| it.value.draft.source.text.as_str()))
        };
        let (old, new) = (text(from)?, text(to)?);
        let label = |number: i64| format!("{name} version {number}");
        let diff = match old == new {
            true => String::new(),
            false => similar::TextDiff::from_lines(old, new)
                .unified_diff()
                .header(&label(from), &label(to))
                .to_string(),
        };
        Ok(PolicyDiff { from, to, diff })
    }

    /// Checks a script and runs its tests; stores nothing. For everybody who may put policies somewhere.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn check_policy(
        &self,
        actor: &Actor,
        name: &str,
        new: NewPolicyVersion,
    ) -> Result<PolicyCheck> {
        let home = self.home(actor, &new).await?;
        self.may_change_policy(actor, home.organization.as_ref(), home.group.as_ref())?;
        let source = source_of(name, &new, home.attached);
        Ok(match self.inspect(source).await? {
            Ok(tests) => PolicyCheck { ok: tests.failures.is_empty(), diagnostics: Vec::new(), tests },
            Err(wrong) => {
                PolicyCheck { diagnostics: wrong.iter().map(fault).collect(), ..Default::default() }
            }
        })
    }

    /// The scripts in force as they would be with this version of a policy among them, to look at decisions by; stores nothing and
    /// takes nothing into use. For whoever may put it.
    ///
    /// # Errors
    /// As [`put_policy`](Self::put_policy); of tests nothing is said.
    pub async fn policy_scripts(
        &self,
        actor: &Actor,
        name: &str,
        new: NewPolicyVersion,
    ) -> Result<Arc<dyn PolicyHook>> {
        check_id("name", name)?;
        actor.may("policies", Access::Write)?;
        let home = self.home(actor, &new).await?;
        self.may_change_policy(actor, home.organization.as_ref(), home.group.as_ref())?;
        self.refuse_file_policy(name)?;
        let source = source_of(name, &new, home.attached);
        let of = PolicyFilter { name: Some(name), in_use: false };
        let known = self.store().policy_versions(&of, &Reach::ALL).await?;
        self.refuse_moved(actor, known.last(), home.organization.as_ref(), &source)?;
        let (modules, files) = (self.0.host.policy_modules(), self.file_policies().len());
        let all = script::with(&self.0.engine.snapshot().declared.policies, files, &source);
        let compiled = self.in_turn(move || Policies::compile_with(&all, &modules)).await?;
        Ok(Arc::new(compiled.map_err(|wrong| cannot_be_used(&wrong))?))
    }

    /// Stores a new version of a policy, as a draft: it must compile, and its tests are run. Nothing else changes.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` for an organization or group that the actor can't see; `InvalidRequest` with line and column
    /// of everything that is wrong with the script; `Conflict` when the name is taken elsewhere or declared in a file;
    /// `Store`.
    pub async fn put_policy(
        &self,
        actor: &Actor,
        name: &str,
        new: NewPolicyVersion,
    ) -> Result<PolicyVersionView> {
        check_id("name", name)?;
        check_words("note", &new.note)?;
        let Home { organization, group, attached } = self.home(actor, &new).await?;
        self.may_change_policy(actor, organization.as_ref(), group.as_ref())?;
        self.refuse_file_policy(name)?;
        let source = source_of(name, &new, attached);
        let tests = self.inspect(source.clone()).await?.map_err(|wrong| cannot_be_used(&wrong))?;
        let digest = hex(&Sha256::digest(source.text.as_bytes()));
        let draft = PolicyDraft { source, organization, group, note: new.note, digest, tests };
        // Somebody else has put one meanwhile: this is the next.
        let is_next = |error: &Error| error.kind() == ErrorKind::Conflict && is_taken(error);
        let number = retried(is_next, || self.try_put_policy(actor, draft.clone())).await?;
        self.policy_version(actor, name, Some(number)).await
    }

    /// Removes a policy with all its versions, the one that runs included.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` when it is declared in a file, `Store`.
    pub async fn delete_policy(&self, actor: &Actor, name: &str) -> Result<()> {
        let stored = self.policy_to_change(actor, name).await?;
        let Some(draft) = stored.last().map(|it| &it.value.draft) else {
            return Err(not_found("policy", name));
        };
        let detail: Vec<_> = stored
            .iter()
            .map(|it| serde_json::json!({"number": it.value.number, "digest": it.value.draft.digest}))
            .collect();
        let deed = deed("policy.delete", draft).whole(&serde_json::json!({"versions": detail}));
        let delete = Change::DeletePolicyVersions(name.to_owned());
        let guard = policy_guard(actor, name, &stored);
        let changes = guard.into_iter().chain([delete]).collect();
        self.write(actor, deed, changes, Seeds::new(), Then::Policies).await.map(drop)
    }

    async fn try_put_policy(&self, actor: &Actor, draft: PolicyDraft) -> Result<i64> {
        let name = draft.source.name.clone();
        let of = PolicyFilter { name: Some(&name), in_use: false };
        let known = self.store().policy_versions(&of, &Reach::ALL).await?;
        self.refuse_moved(actor, known.last(), draft.organization.as_ref(), &draft.source)?;
        actor.expects_tag(policy_tag(&known))?;
        let guard = policy_guard(actor, &name, &known);
        // BOUND: see the constant.
        if known.len() >= MAX_VERSIONS {
            let message = format!(
                "policy `{name}` has {MAX_VERSIONS} versions, and no more are kept; put this one under another name"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let bytes = known.iter().map(|it| it.value.draft.source.text.len()).sum::<usize>();
        if bytes + draft.source.text.len() > MAX_POLICY_BYTES {
            let message = format!(
                "the versions of policy `{name}` have more than {MAX_POLICY_BYTES} bytes together, and no more are kept; put \
                 this one under another name"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if known.is_empty() {
            self.check_room_for_policy(&draft).await?;
        }
        let number = known.last().map_or(1, |it| it.value.number.saturating_add(1));
        let shown = serde_json::json!({
            "number": number, "digest": draft.digest, "note": draft.note, "on_error": draft.source.on_error,
            "tests": {"passed": draft.tests.passed, "failed": draft.tests.failures.len()},
        });
        let deed = deed("policy.put", &draft).whole(&shown);
        let version =
            PolicyVersion { number, draft, state: PolicyState::Draft, standing: PolicyStanding::default() };
        let add = Change::AddPolicyVersion(version);
        let changes = guard.into_iter().chain([add]).collect();
        self.write(actor, deed, changes, Seeds::new(), Then::Nothing).await?;
        Ok(number)
    }

    /// A policy stays where it was first attached.
    fn refuse_moved(
        &self,
        actor: &Actor,
        known: Option<&Stored<PolicyVersion>>,
        organization: Option<&OrganizationId>,
        source: &PolicySource,
    ) -> Result<()> {
        let Some(other) = known.map(|it| &it.value.draft) else { return Ok(()) };
        if (other.organization.as_ref(), &other.source.attached) == (organization, &source.attached) {
            return Ok(());
        }
        let name = &source.name;
        let may = self.may_change_policy(actor, other.organization.as_ref(), other.group.as_ref());
        let message = match may {
            Ok(()) => format!(
                "policy `{name}` is {}, and stays there; put this one under another name, or remove it first",
                attached(other)
            ),
            Err(_) => format!("the name `{name}` is taken; choose another"),
        };
        Err(Error::new(ErrorKind::Conflict, message).with("param", "name"))
    }

    /// Whether another policy may be attached where this one is.
    async fn check_room_for_policy(&self, draft: &PolicyDraft) -> Result<()> {
        let beside = self.store().policies_of(draft.organization.as_ref(), draft.group.as_ref()).await?;
        if beside < MAX_POLICIES {
            return Ok(());
        }
        let message = format!(
            "{beside} policies are {} already, and no more are kept; remove one first",
            attached(draft)
        );
        Err(Error::new(ErrorKind::Conflict, message).with("param", "name"))
    }

    /// Compiles a script and runs its tests, away from the threads that serve calls.
    async fn inspect(&self, source: PolicySource) -> Result<Result<PolicyTests, Vec<PolicyDiagnostic>>> {
        let modules = self.0.host.policy_modules();
        let whose = self.whose(&source.attached).await?;
        self.in_turn(move || {
            Tests::compile_for(&source, &modules, &whose).map(|tests| outcome(&tests.run(None)))
        })
        .await
    }

    /// Does what takes long with a script when it is its turn.
    async fn in_turn<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        // BOUND: tests may use a core for seconds, so one script at a time is tested, and few wait for it.
        let waits = self.0.waiting_checks.fetch_add(1, Ordering::AcqRel);
        let _waits = Waits(&self.0.waiting_checks);
        if waits >= MAX_WAITING_CHECKS {
            let message = "many scripts are being checked at the moment; try again in a few seconds";
            return Err(Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(5_000)));
        }
        let _turn = self.0.testing.lock().await;
        tokio::task::spawn_blocking(run)
            .await
            .map_err(|why| Error::new(ErrorKind::Internal, "the script's check was cut off").with_source(why))
    }

    /// What a script's tests may call the scope that it is attached to. Whoever asks may attach it there.
    async fn whose(&self, attached: &Attachment) -> Result<Whose> {
        let (organization, alias) = match attached {
            Attachment::Everybody => return Ok(Whose::default()),
            Attachment::Organization(id) => {
                (Some(id.clone()), self.any_organization(id).await?.and_then(|it| it.value.alias))
            }
            Attachment::Group(id) | Attachment::GroupById(id) => {
                let by_alias = matches!(attached, Attachment::Group(_));
                let group = match self.group_by_id(id).await? {
                    None if by_alias => self.group_by_alias(id.as_str()).await?,
                    found => found.map(|it| it.value),
                };
                group.map_or((None, None), |it| (Some(it.organization), it.alias))
            }
            Attachment::Key(id) => {
                let key = self.store().key(&KeyRef::Id(id.clone()), &Reach::ALL).await?;
                key.map_or((None, None), |it| (Some(it.key.value.organization), it.key.value.alias))
            }
        };
        Ok(Whose { organization, names: alias.into_iter().collect() })
    }

    /// A group of the default organization, whose aliases alone name what a script is attached to.
    async fn group_by_alias(&self, alias: &str) -> Result<Option<Group>> {
        let reach = Reach { organization: Some(DEFAULT_ORGANIZATION.into()), ..Reach::ALL };
        let is = |it: &&Group| reach.has_group(it) && it.alias.as_deref() == Some(alias);
        let declared = self.declared().groups().find(is).cloned();
        match declared {
            Some(group) => Ok(Some(group)),
            None => Ok(self.store().group(alias, &reach).await?.map(|it| it.value)),
        }
    }

    /// The versions of a policy that an actor may see, oldest first: at least one.
    async fn versions_of(&self, actor: &Actor, name: &str) -> Result<Vec<Stored<PolicyVersion>>> {
        let of = PolicyFilter { name: Some(name), in_use: false };
        let stored = self.store().policy_versions(&of, &actor.reach()).await?;
        if stored.is_empty() { Err(not_found("policy", name)) } else { Ok(stored) }
    }

    /// The same, for an actor who is to change something.
    async fn policy_to_change(&self, actor: &Actor, name: &str) -> Result<Vec<Stored<PolicyVersion>>> {
        if let Some(source) = self.file_policies().iter().find(|it| it.name == name)
            && self.sees_file_policy(actor, source)
        {
            self.refuse_file_policy(name)?;
        }
        let stored = self.versions_of(actor, name).await?;
        if let Some(draft) = stored.last().map(|it| &it.value.draft) {
            self.may_change_policy(actor, draft.organization.as_ref(), draft.group.as_ref())?;
        }
        actor.expects_tag(policy_tag(&stored))?;
        Ok(stored)
    }

    /// Where a new version belongs, and whose calls it steers.
    async fn home(&self, actor: &Actor, new: &NewPolicyVersion) -> Result<Home> {
        let (organization, group, attached) = match (&new.group, &new.key) {
            (Some(_), Some(_)) => {
                return Err(invalid("key", "a policy is attached to a group or to a key; name one of them"));
            }
            (Some(group), None) => {
                let group = self.resolve_group(actor, group).await?.value;
                (group.organization, Some(group.id.clone()), Attachment::GroupById(group.id))
            }
            // Of the organization and not of the key's group: the key may come into another.
            (None, Some(key)) => {
                let key = self.key(actor, &KeyRef::Id(key.clone())).await?.key;
                (key.organization, None, Attachment::Key(key.id))
            }
            (None, None) => {
                let Some(named) = &new.organization else { return Ok(Home::default()) };
                let organization = self.organization_for(actor, Some(named)).await?;
                (organization.clone(), None, Attachment::Organization(organization))
            }
        };
        if new.organization.as_ref().is_some_and(|named| *named != organization) {
            let message = format!(
                "what the policy is attached to belongs to organization `{organization}`; name that one, or none"
            );
            return Err(invalid("organization", message));
        }
        Ok(Home { organization: Some(organization), group, attached })
    }

    fn may_change_policy(
        &self,
        actor: &Actor,
        organization: Option<&OrganizationId>,
        group: Option<&GroupId>,
    ) -> Result<()> {
        let (may, what) = match (organization, group) {
            (None, _) => (actor.is_super(), "change policies for everybody"),
            (Some(organization), None) => (actor.runs(organization), "change this organization's policies"),
            (Some(organization), Some(group)) => {
                (actor.runs_group(organization, group), "change this group's policies")
            }
        };
        if may { Ok(()) } else { Err(forbidden(what)) }
    }

    fn file_policies(&self) -> Vec<PolicySource> {
        self.0.host.file_policies()
    }

    /// Whether an actor may see a policy of the file: as of the database, by whose calls it steers.
    fn sees_file_policy(&self, actor: &Actor, source: &PolicySource) -> bool {
        let (reach, declared) = (actor.reach(), self.declared());
        match &source.attached {
            Attachment::Organization(id) => {
                reach.narrow.is_none() && reach.organization.as_ref().is_none_or(|mine| mine == id)
            }
            Attachment::Group(id) | Attachment::GroupById(id) => match declared.group(id.as_str()) {
                Some(group) => reach.has_group(group),
                None => reach == Reach::ALL,
            },
            Attachment::Everybody | Attachment::Key(_) => reach == Reach::ALL,
        }
    }

    fn refuse_file_policy(&self, name: &str) -> Result<()> {
        match self.file_policies().iter().any(|it| it.name == name) {
            true => self.refuse_declared(Source::File, || format!("policy `{name}`")),
            false => Ok(()),
        }
    }
}

/// Where a policy belongs.
#[derive(Default)]
struct Home {
    organization: Option<OrganizationId>,
    group: Option<GroupId>,
    attached: Attachment,
}

/// What keeps a change from hitting a policy that was changed since the actor has seen it.
fn policy_guard(actor: &Actor, name: &str, stored: &[Stored<PolicyVersion>]) -> Option<Change> {
    actor.guard_version(Thing::Policy(name.to_owned()), policy_version_sum(stored))
}

fn outcome(results: &[TestResult]) -> PolicyTests {
    let failures: Vec<PolicyTestFailure> = results.iter().filter_map(failed).collect();
    let passed = u32::try_from(results.len() - failures.len()).unwrap_or(u32::MAX);
    PolicyTests { passed, failures }
}

fn failed(test: &TestResult) -> Option<PolicyTestFailure> {
    let failure = test.failure.as_ref()?;
    let mut message = failure.message.clone();
    if let (Some(expected), Some(came)) = (&failure.expected, &failure.came) {
        message.push_str(&format!("; expected {expected}, came {came}"));
    }
    Some(PolicyTestFailure { name: test.name.clone(), line: failure.line, column: failure.column, message })
}

fn fault(it: &PolicyDiagnostic) -> PolicyFault {
    PolicyFault { line: it.line, column: it.column, message: it.message.clone(), remedy: it.remedy.clone() }
}

fn cannot_be_used(wrong: &[PolicyDiagnostic]) -> Error {
    let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    invalid("text", format!("the script can't be used:\n{}", lines.join("\n")))
}

/// Refuses words for people that are a book.
fn check_words(param: &'static str, text: &str) -> Result<()> {
    match text.len() > MAX_WORDS_BYTES {
        true => {
            Err(invalid(param, format!("the {param} has {} bytes; {MAX_WORDS_BYTES} are enough", text.len())))
        }
        false => Ok(()),
    }
}

/// Whether a version's number was taken by somebody who came first.
fn is_taken(error: &Error) -> bool {
    error.context().iter().any(|(key, _)| *key == "what")
}

fn source_of(name: &str, new: &NewPolicyVersion, attached: Attachment) -> PolicySource {
    PolicySource { name: name.to_owned(), text: new.text.clone(), attached, on_error: new.on_error }
}

fn attached(draft: &PolicyDraft) -> String {
    match &draft.source.attached {
        Attachment::Everybody => "for everybody".to_owned(),
        Attachment::Organization(id) => format!("attached to organization `{id}`"),
        Attachment::Group(id) | Attachment::GroupById(id) => format!("attached to group `{id}`"),
        Attachment::Key(id) => format!("attached to key `{id}`"),
    }
}

fn deed(action: &'static str, draft: &PolicyDraft) -> Deed {
    let mut deed = Deed::new(action, format!("policy {}", draft.source.name));
    deed.organization.clone_from(&draft.organization);
    deed.group.clone_from(&draft.group);
    deed
}

fn running(stored: &[Stored<PolicyVersion>]) -> Option<usize> {
    stored.iter().position(|it| it.value.state == PolicyState::Active)
}

fn place_of(stored: &[Stored<PolicyVersion>], name: &str, number: i64) -> Result<usize> {
    stored
        .iter()
        .position(|it| it.value.number == number)
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("policy `{name}` has no version {number}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const SCRIPT: &str = r#"
fn route(call, candidates) {
    switch call.group {
        "no" => deny("no; never"),
        "all" => { prefer("channel:b"); exclude("channel:c"); use_model("m"); fallback(["x", "y"]); max_output(5); tag("t"); }
        "sorted" => { prefer("channel:b"); exclude("channel:c"); }
        _ => ()
    }
}
fn test_first() { given(#{ group: "sorted" }).candidates(["a", "b", "c"]).route().assert_first("a"); }
fn test_excluded() { given(#{ group: "sorted" }).candidates(["a", "b", "c"]).route().assert_not_excluded("c"); }
fn test_denied() { given(#{ group: "sorted" }).candidates(["a", "b", "c"]).route().assert_denied("no"); }
fn test_not_denied() { given(#{ group: "no" }).route().assert_not_denied(); }
fn test_model() { given(#{ group: "no" }).route().assert_model("m"); }
fn test_tags() { given(#{ group: "all" }).route().assert_tags(["u"]); }
fn test_opinion() { given().route().assert_max_output(9); }
fn test_value() { assert_eq(1, 2); }
fn test_format() { given(#{ format: "x" }).route().assert_no_opinion(); }
fn test_nothing() { }
"#;

    #[test]
    fn why_tests_fail_stands_in_the_table_of_messages() {
        let results = Tests::compile(&PolicySource::new("p", SCRIPT)).unwrap().run(None);
        let told: BTreeSet<String> = outcome(&results).failures.into_iter().map(|it| it.message).collect();
        // The console's own test reads it, too: each must come out in the reader's language.
        let table =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/console/messages.json"));
        let all: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(table).unwrap();
        assert_eq!(told, all["frontends/gateway/src/admin/policy.rs"]);
    }
}
