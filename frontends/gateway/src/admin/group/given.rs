//! What a group gives its members: limits that everybody in it has, unless they have one of their own of the same kind.

use serde_json::{Map, Value};
pub use sluicegate_core::tenant::MEMBER_LIMITS;
use sluicegate_core::tenant::Source;
use sluicegate_core::{Group, Limit, Result};

use crate::admin::access::check_limits;
use crate::admin::bulk::{AT_ONCE, Step};
use crate::admin::{Admin, Limits, invalid};
use crate::store::{Change, Stored, Thing};

/// The limits that a group gives its members, as far as they can be read.
pub fn member_limits(group: &Group) -> Vec<Limit> {
    read_member_limits(&group.metadata).unwrap_or_default()
}

pub(super) fn read_member_limits(data: &Map<String, Value>) -> Result<Vec<Limit>> {
    let Some(value) = data.get(MEMBER_LIMITS).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let limits = serde_json::from_value::<Limits>(value.clone())
        .map_err(|why| invalid("metadata", format!("`{MEMBER_LIMITS}` in `metadata`: {why}")))?;
    check_limits(&limits.0)?;
    Ok(limits.0)
}

pub(super) fn write_member_limits(data: &mut Map<String, Value>, limits: Vec<Limit>) {
    match serde_json::to_value(Limits(limits)) {
        Ok(value) if value.as_object().is_some_and(|map| !map.is_empty()) => {
            data.insert(MEMBER_LIMITS.to_owned(), value);
        }
        _ => drop(data.remove(MEMBER_LIMITS)),
    }
}

/// Fails unless a group is as it was read: whoever gets what it gives gets what it gives by then. A file's doesn't change by a change.
pub(super) fn as_read(group: &Stored<Group>) -> Option<Change> {
    let thing = Thing::Group(group.value.id.clone());
    (group.value.source == Source::Database).then_some(Change::ExpectVersion(thing, group.version))
}

impl Admin {
    /// What makes the members of a group follow what it gives them from now on, and what must hold until then: that nobody has come
    /// meanwhile, and nobody's limits have changed. Whom a file puts into the group has what the file says.
    ///
    /// # Errors
    /// `InvalidRequest` where more would get other limits than one step changes; `Store`.
    pub(super) async fn following_members(
        &self,
        before: &Group,
        after: &Group,
    ) -> Result<(Change, Vec<Step>)> {
        let (gave, gives) = (member_limits(before), member_limits(after));
        let members = self.store().memberships(Some(&after.id), None).await?;
        let seen = members.iter().map(|it| (it.value.user.clone(), it.version)).collect();
        let mut following = Vec::new();
        for stored in members {
            let is_declared = self.declared().membership(&after.id, &stored.value.user).is_some();
            let own = stored.value.own_limits(&gave);
            // Whose limits stay, and are told apart by what is given from now on as they were before, needn't be written.
            let would_be_taken_for_another = own != stored.value.own_limits(&gives);
            let member = stored.value.with_limits(own, &gives);
            let follows = member.limits != stored.value.limits || would_be_taken_for_another;
            if !is_declared && follows && member != stored.value {
                following.push((stored, member));
            }
        }
        if following.len() > AT_ONCE {
            return Err(too_many(after, following.len()));
        }
        let mut steps = Vec::with_capacity(following.len());
        for (stored, member) in following {
            steps.push(self.member_with(after, &stored, member).await?);
        }
        Ok((Change::ExpectMembers(after.id.clone(), seen), steps))
    }
}

fn too_many(group: &Group, count: usize) -> sluicegate_core::Error {
    let message = format!(
        "{count} members of group `{}` would get other limits, and {AT_ONCE} at most can at once: give the others limits of their own \
         first, beside those that they have (POST /api/v1/memberships/bulk, {AT_ONCE} a request), and take these back when `{MEMBER_LIMITS}` \
         is changed",
        group.id
    );
    invalid("metadata", message)
}
