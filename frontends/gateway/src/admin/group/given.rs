//! What a group gives its members: limits that everybody in it has, unless they have one of their own of the same kind.

use serde_json::{Map, Value};
use sluicegate_core::{Group, Limit, Membership, Result};

use crate::admin::access::check_limits;
use crate::admin::bulk::Step;
use crate::admin::{Admin, Limits, invalid};

/// Stands in a group's free data: limits, written as a group's own are, that everybody has who comes into it from then on, unless they
/// are given one of the same metric.
pub const MEMBER_LIMITS: &str = "member_limits";

/// The limits that whoever comes into a group has, as far as they can be read.
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

pub(super) fn gives_limits(group: &Group) -> bool {
    group.metadata.contains_key(MEMBER_LIMITS)
}

pub(super) fn write_member_limits(data: &mut Map<String, Value>, limits: Vec<Limit>) {
    match serde_json::to_value(Limits(limits)) {
        Ok(value) if value.as_object().is_some_and(|map| !map.is_empty()) => {
            data.insert(MEMBER_LIMITS.to_owned(), value);
        }
        _ => drop(data.remove(MEMBER_LIMITS)),
    }
}

/// Makes a member's limits follow what their group gives: what it gave becomes what it gives, and what they lack they get. Limits of
/// their own stay.
pub(super) fn follow(limits: &mut Vec<Limit>, gave: &[Limit], gives: &[Limit]) {
    limits.retain(|it| !gave.contains(it) || gives.contains(it));
    // Two budgets that a group gives are no limits of the member's own to each other.
    let own: Vec<Limit> = limits.iter().filter(|it| !gives.contains(it)).cloned().collect();
    for given in gives {
        if !limits.contains(given) && !own.iter().any(|own| own.holds_same(given)) {
            limits.push(given.clone());
        }
    }
}

impl Admin {
    /// What makes the members of a group follow what it gives them now. Whom a file puts into it has what the file says.
    pub(super) async fn following_members(&self, before: &Group, after: &Group) -> Result<Vec<Step>> {
        let (gave, gives) = (member_limits(before), member_limits(after));
        let mut steps = Vec::new();
        if gave == gives {
            return Ok(steps);
        }
        for stored in self.store().memberships(Some(&after.id), None).await? {
            let member = stored.value.clone();
            if self.declared().membership(&after.id, &member.user).is_some() {
                continue;
            }
            let mut limits = member.limits.clone();
            follow(&mut limits, &gave, &gives);
            if limits != member.limits {
                steps.push(self.member_with(after, &stored, Membership { limits, ..member }).await?);
            }
        }
        Ok(steps)
    }
}
