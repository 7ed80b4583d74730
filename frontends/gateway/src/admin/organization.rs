//! Organizations.

use serde::{Deserialize, Serialize};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Error, ErrorKind, ModelAccess, ModelName, Organization, OrganizationId, Result, Retry, Scope, ScopeKind,
    Timestamp,
};

use super::access::{as_stored, check_id};
use super::bulk::{Step, check_count, ids_done};
use super::patch::{edit_limits, patch_access};
use super::seed::Seeds;
use super::seen::etag;
use super::{
    Actor, Admin, DEFAULT_ORGANIZATION, Deed, LimitEditor, LimitUse, Limits, Patch, Then, bound, came_second,
    forbidden, not_found, retried,
};
use crate::credential;
use crate::store::{Change, Dimension, Expect, Owner, Stored, Sums};

/// An organization to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewOrganization {
    /// Its id. Default: one is made.
    pub id: Option<OrganizationId>,
    /// Its name for people.
    pub alias: Option<String>,
    /// Models its members may call; empty is every model.
    pub models: Vec<ModelName>,
    /// Its limits.
    pub limits: Limits,
    /// Whether every call is refused for the time being.
    pub blocked: bool,
    /// Free data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A change to an organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationPatch {
    /// Its name.
    pub alias: Patch<String>,
    /// Models its members may call.
    pub models: Patch<Vec<ModelName>>,
    /// Its limits, all of them.
    pub limits: Patch<Limits>,
    /// Changes single limits, after `limits`.
    #[serde(skip)]
    pub edit_limits: Option<LimitEditor>,
    /// Whether every call is refused for the time being.
    pub blocked: Option<bool>,
    /// Free data, all of it.
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
}

/// An organization, as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrganizationView {
    /// The organization.
    #[serde(flatten)]
    pub organization: Organization,
    /// The tag of its present state, for `if-match`.
    pub etag: String,
    /// Who created it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// What it has used in all.
    pub used: Sums,
    /// How its limits stand.
    pub limit_states: Vec<LimitUse>,
}

/// The version of the default organization while nobody has said anything of it.
const UNMADE: i64 = 0;

fn unmade() -> Stored<Organization> {
    let organization = Organization {
        id: DEFAULT_ORGANIZATION.into(),
        alias: None,
        access: ModelAccess::ALL,
        limits: Vec::new(),
        blocked: false,
        metadata: serde_json::Map::new(),
        source: Source::Database,
        created_at: Timestamp::default(),
    };
    let by = || "gateway".to_owned();
    Stored {
        version: UNMADE,
        created_by: by(),
        updated_by: by(),
        ..as_stored(organization, Timestamp::default())
    }
}

impl Admin {
    /// Makes an organization. For super administrators.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidRequest`, `Conflict` when the id is taken, `Store`.
    pub async fn create_organization(&self, actor: &Actor, new: NewOrganization) -> Result<OrganizationView> {
        if !actor.is_super() {
            return Err(forbidden("make organizations"));
        }
        let now = self.now();
        let id = match new.id {
            Some(id) => id,
            None => OrganizationId::from(credential::new_id(now)?),
        };
        check_id("id", id.as_str())?;
        if self.declared().organization(&id).is_some() {
            self.refuse_declared(Source::File, || format!("organization `{id}`"))?;
        }
        let organization = Organization {
            id: id.clone(),
            alias: new.alias.filter(|alias| !alias.is_empty()),
            access: ModelAccess::only(new.models),
            limits: new.limits.0,
            blocked: new.blocked,
            metadata: new.metadata,
            source: Source::Database,
            created_at: now,
        };
        bound::check(None, &organization)?;
        let deed = Deed::new("organization.create", format!("organization {id}"))
            .of(&id, None, None)
            .whole(&organization);
        let put = Change::PutOrganization(organization.clone(), Expect::New);
        // The default organization is used without being made.
        let owner = Owner::Organization(id.clone());
        self.commit_limits(actor, deed, vec![put], &owner, (&[], &organization.limits)).await?;
        self.organization(actor, &id).await
    }

    /// An organization. For its administrators and auditors.
    ///
    /// # Errors
    /// `NotFound`, `Store`.
    pub async fn organization(&self, actor: &Actor, id: &OrganizationId) -> Result<OrganizationView> {
        let stored = self.find_organization(actor, id).await?;
        self.0.host.flush_records().await?;
        let totals = self.store().totals(Dimension::Organization, &[id.as_str()]).await?;
        let used = totals.get(id.as_str()).copied().unwrap_or_default();
        Ok(self.organization_view(stored, used))
    }

    /// What the actor's own organization is called, if it has a name for people: told to whoever belongs to it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn own_organization_alias(&self, actor: &Actor) -> Result<Option<String>> {
        let Some(id) = actor.organization() else { return Ok(None) };
        Ok(self.any_organization(id).await?.and_then(|it| it.value.alias))
    }

    /// Every organization that the actor administers or audits, declared ones first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn organizations(&self, actor: &Actor) -> Result<Vec<OrganizationView>> {
        let reach = actor.reach();
        if reach.narrow.is_some() {
            return Ok(Vec::new());
        }
        let declared = self.declared();
        let mut all: Vec<Stored<Organization>> = declared
            .organizations()
            .filter(|it| reach.organization.as_ref().is_none_or(|mine| *mine == it.id))
            .map(|it| as_stored(it.clone(), it.created_at))
            .collect();
        let stored = self.store().organizations(&reach).await?;
        all.extend(stored.into_iter().filter(|it| declared.organization(&it.value.id).is_none()));
        let ids: Vec<&str> = all.iter().map(|stored| stored.value.id.as_str()).collect();
        let totals = self.store().totals(Dimension::Organization, &ids).await?;
        let view = |stored: Stored<Organization>| {
            let used = totals.get(stored.value.id.as_str()).copied().unwrap_or_default();
            self.organization_view(stored, used)
        };
        Ok(all.into_iter().map(view).collect())
    }

    /// Changes an organization. For super administrators: its budget is given to it.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `InvalidRequest`, `Conflict` when it is declared in a file, `Store`.
    pub async fn update_organization(
        &self,
        actor: &Actor,
        id: &OrganizationId,
        patch: OrganizationPatch,
    ) -> Result<OrganizationView> {
        retried(came_second, || self.try_update_organization(actor, id, patch.clone())).await?;
        self.organization(actor, id).await
    }

    async fn try_update_organization(
        &self,
        actor: &Actor,
        id: &OrganizationId,
        patch: OrganizationPatch,
    ) -> Result<()> {
        let stored = self.organization_to_change(actor, id).await?;
        let before = &stored.value;
        let mut after = before.clone();
        patch.alias.apply(&mut after.alias);
        patch_access(patch.models, &mut after.access);
        edit_limits(&mut after.limits, patch.limits, patch.edit_limits.as_ref());
        after.blocked = patch.blocked.unwrap_or(after.blocked);
        patch.metadata.apply_or_default(&mut after.metadata);
        if stored.version == UNMADE {
            after.created_at = self.now();
        }
        bound::check(Some(before), &after)?;
        let deed = Deed::new("organization.update", format!("organization {id}"))
            .of(id, None, None)
            .changed(before, &after);
        let expect = if stored.version == UNMADE { Expect::New } else { Expect::Version(stored.version) };
        let put = Change::PutOrganization(after.clone(), expect);
        let owner = Owner::Organization(id.clone());
        let done = self.commit_limits(actor, deed, vec![put], &owner, (&before.limits, &after.limits)).await;
        match done {
            // Of two who make it by changing it the second changes what the first has made.
            Err(error) if expect == Expect::New && error.kind() == ErrorKind::Conflict => {
                Err(error.with_retry(Retry::Now))
            }
            done => done.map(drop),
        }
    }

    /// Removes an organization that has neither groups nor users nor keys left. For super administrators.
    ///
    /// # Errors
    /// `Conflict` when something of it is left; else as [`update_organization`](Self::update_organization).
    pub async fn delete_organization(&self, actor: &Actor, id: &OrganizationId) -> Result<Organization> {
        let (step, organization) = self.removed_organization(actor, id).await?;
        self.write(actor, step.deed, step.changes, step.seeds, Then::Callers).await?;
        Ok(organization)
    }

    /// Removes several organizations: all of them, or none, and then the error names the one that can't be.
    ///
    /// # Errors
    /// As [`delete_organization`](Self::delete_organization); `InvalidRequest` when none is named, one twice, or too many.
    pub async fn delete_organizations(&self, actor: &Actor, ids: &[OrganizationId]) -> Result<()> {
        check_count(ids.len(), "organizations")?;
        let done = retried(came_second, || async {
            let mut prepared = Vec::with_capacity(ids.len());
            for id in ids {
                let step = self.removed_organization(actor, id).await.map(|(step, _)| step);
                prepared.push((Some(id.to_string()), step));
            }
            self.all_or_none(actor, "organization", prepared, Then::Callers).await
        });
        ids_done("organization", done.await?).map(drop)
    }

    /// What removes an organization, and which.
    async fn removed_organization(&self, actor: &Actor, id: &OrganizationId) -> Result<(Step, Organization)> {
        let stored = self.organization_to_change(actor, id).await?;
        if stored.version == UNMADE {
            let message =
                format!("organization `{id}` is there for everything that names none; it can't be deleted");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let guard = actor.guard(id.into(), &stored);
        let organization = stored.value;
        let deed = Deed::new("organization.delete", format!("organization {id}"))
            .of(id, None, None)
            .whole(&organization);
        let gone = [Change::ExpectEmptyOrganization(id.clone()), Change::DeleteOrganization(id.clone())];
        let changes = guard.into_iter().chain(gone).collect();
        let step = Step { id: id.to_string(), deed, changes, seeds: Seeds::new(), outcome: "deleted" };
        Ok((step, organization))
    }

    pub(super) async fn find_organization(
        &self,
        actor: &Actor,
        id: &OrganizationId,
    ) -> Result<Stored<Organization>> {
        let reach = actor.reach();
        let mine = reach.narrow.is_none() && reach.organization.as_ref().is_none_or(|mine| mine == id);
        // Asked in either case, so that the answer takes as long.
        let found = self.any_organization(id).await?;
        // It is there without being made, for everything that names none.
        let found = found.or_else(|| (id.as_str() == DEFAULT_ORGANIZATION).then(unmade));
        found.filter(|_| mine).ok_or_else(|| not_found("organization", id.as_str()))
    }

    async fn organization_to_change(
        &self,
        actor: &Actor,
        id: &OrganizationId,
    ) -> Result<Stored<Organization>> {
        let stored = self.find_organization(actor, id).await?;
        if !actor.is_super() {
            return Err(forbidden("change organizations"));
        }
        self.refuse_declared(stored.value.source, || format!("organization `{id}`"))?;
        actor.expects(&stored)?;
        Ok(stored)
    }

    fn organization_view(&self, stored: Stored<Organization>, used: Sums) -> OrganizationView {
        let etag = etag(&stored);
        let organization = stored.value;
        let scope = Scope::new(ScopeKind::Organization, organization.id.as_str());
        let limit_states = self.limit_states(scope, &organization.limits);
        OrganizationView {
            organization,
            etag,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
            used,
            limit_states,
        }
    }
}
