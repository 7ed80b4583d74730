//! Reading and writing versions of policies.

use sluicegate_core::{GroupId, OrganizationId, Result};

use super::change::Put;
use super::directory::{STAMP, reach_of, stored};
use super::row::{Row, from_json, to_json};
use super::{SqlStore, Where};
use crate::store::{PolicyFilter, PolicyState, PolicyVersion, Reach, Stored};

impl SqlStore {
    pub(super) async fn list_policy_versions(
        &self,
        filter: &PolicyFilter<'_>,
        reach: &Reach,
    ) -> Result<Vec<Stored<PolicyVersion>>> {
        let mut find = Where::default();
        find.maybe("name = ?", filter.name);
        if filter.in_use {
            find.one_of("state", [PolicyState::Active, PolicyState::Shadow].map(PolicyState::as_str));
        }
        reach_of(&mut find, reach, "group_id", "", "");
        let (sql, args) = find.wrap(
            &format!("SELECT number, state, standing, {STAMP} FROM sg_policy_version"),
            " ORDER BY name, number",
        );
        self.fetch(sql, args).await?.into_iter().map(version).collect()
    }

    pub(super) async fn count_policies(
        &self,
        organization: Option<&OrganizationId>,
        group: Option<&GroupId>,
    ) -> Result<u64> {
        let mut find = Where::default();
        let owners = [
            ("organization_id", organization.map(|id| id.as_str())),
            ("group_id", group.map(|id| id.as_str())),
        ];
        for (column, owner) in owners {
            match owner {
                Some(id) => find.and(&format!("{column} = ?"), [id.into()]),
                None => find.and(&format!("{column} IS NULL"), []),
            };
        }
        let (sql, args) = find.wrap("SELECT COUNT(DISTINCT name) FROM sg_policy_version", "");
        let count = self.fetch(sql, args).await?.into_iter().next().map_or(Ok(0), |mut row| row.int())?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

fn version(mut row: Row) -> Result<Stored<PolicyVersion>> {
    let (number, state, standing) = (row.int()?, row.text()?, row.json()?);
    let state = from_json(&format!("\"{state}\""))?;
    let Stored { value: draft, version, created_at, created_by, updated_at, updated_by } = stored(row)?;
    let value = PolicyVersion { number, draft, state, standing };
    Ok(Stored { value, version, created_at, created_by, updated_at, updated_by })
}

/// A new version's row.
pub(super) fn new_row(it: &PolicyVersion) -> Result<Put> {
    let mut row = state_row(it)?;
    row.columns.extend([
        ("organization_id", it.draft.organization.as_ref().map(|id| id.as_str()).into()),
        ("group_id", it.draft.group.as_ref().map(|id| id.as_str()).into()),
        ("body", to_json(&it.draft)?.into()),
    ]);
    Ok(row)
}

/// What changes of a version's row.
pub(super) fn state_row(it: &PolicyVersion) -> Result<Put> {
    Ok(Put {
        table: "sg_policy_version",
        what: format!("version {} of policy `{}`", it.number, it.name()),
        id: vec![("name", it.name().into()), ("number", it.number.into())],
        columns: vec![("state", it.state.as_str().into()), ("standing", to_json(&it.standing)?.into())],
    })
}
