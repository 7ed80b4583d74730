//! Finding things, declared or stored, as far as an actor may see them.

use std::collections::{HashMap, HashSet};

use sluicegate_core::{
    Group, GroupId, Limit, Membership, Organization, OrganizationId, Result, Timestamp, User, UserId,
};

use super::{Actor, Admin, DEFAULT_ORGANIZATION, bound, invalid, not_found};
use crate::store::{After, Listing, MemberFilter, Page, Reach, Stored};

/// A declared thing looks like a stored one of version 0.
pub(super) fn as_stored<T>(value: T, created_at: Timestamp) -> Stored<T> {
    let by = || "configuration file".to_owned();
    Stored { value, version: 0, created_at, created_by: by(), updated_at: created_at, updated_by: by() }
}

/// A page of what is declared, followed by what is stored. A page of what comes after something stored has nothing declared.
pub(super) async fn both<T, F>(
    declared: Vec<T>,
    page: Page,
    after: Option<&After>,
    stored: impl FnOnce(Page) -> F,
) -> Result<Listing<T>>
where
    F: Future<Output = Result<Listing<T>>>,
{
    let count = u64::try_from(declared.len()).unwrap_or(u64::MAX);
    // BOUND: one more than a page, to learn whether there is another.
    let limit = page.limit.clamp(1, Page::MAX + 1);
    if after.is_some() {
        let listing = stored(Page { limit, ..page }).await?;
        return Ok(Listing { total: listing.total.saturating_add(count), ..listing });
    }
    let page = Page { limit, ..page };
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut items: Vec<T> = declared.into_iter().skip(skip).take(limit).collect();
    let rest = limit.saturating_sub(items.len());
    // One at least, to learn how many there are.
    let want = u32::try_from(rest).unwrap_or(page.limit).max(1);
    let listing = stored(Page { limit: want, offset: page.offset.saturating_sub(count), ..page }).await?;
    items.extend(listing.items.into_iter().take(rest));
    Ok(Listing { items, total: listing.total.saturating_add(count) })
}

/// Refuses limits that make no sense, and more than there may be.
pub(super) fn check_limits(limits: &[Limit]) -> Result<()> {
    bound::check(None, limits)
}

/// Refuses ids that can't be told apart from others, or break what they are put into.
pub(super) fn check_id(param: &'static str, id: &str) -> Result<()> {
    let fine = !id.is_empty() && id.len() <= 256 && id.trim() == id && !id.chars().any(char::is_control);
    match fine {
        true => Ok(()),
        false => Err(invalid(
            param,
            format!(
                "the {param} must have 1 to 256 characters, none of them a control character, and no space around"
            ),
        )),
    }
}

impl Admin {
    /// A group that an actor may see, by id or alias. Declared ones come first.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that the actor may see. `Store`.
    pub async fn resolve_group(&self, actor: &Actor, id_or_alias: &str) -> Result<Stored<Group>> {
        let reach = actor.reach_of_groups();
        let declared = self.declared();
        if let Some(group) = declared.group(id_or_alias).filter(|group| reach.has_group(group)) {
            return Ok(as_stored(group.clone(), group.created_at));
        }
        self.store().group(id_or_alias, &reach).await?.ok_or_else(|| not_found("group", id_or_alias))
    }

    /// A user that an actor may see.
    pub(super) async fn find_user(&self, actor: &Actor, id: &UserId) -> Result<Stored<User>> {
        self.find_user_within(&actor.reach(), id).await?.ok_or_else(|| not_found("user", id.as_str()))
    }

    pub(super) async fn find_user_within(&self, reach: &Reach, id: &UserId) -> Result<Option<Stored<User>>> {
        let declared = self.declared();
        if let Some(user) = declared.user(id) {
            let groups: Vec<GroupId> =
                self.memberships(None, Some(id)).await?.into_iter().map(|it| it.group).collect();
            return Ok(reach.has_user(user, &groups).then(|| as_stored(user.clone(), user.created_at)));
        }
        self.store().user(id, reach).await
    }

    /// Memberships, declared and stored; a declared one wins.
    pub(super) async fn memberships(
        &self,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Result<Vec<Membership>> {
        Ok(self.stamped_memberships(group, user).await?.into_iter().map(|it| it.value).collect())
    }

    /// The same, with what is known of their changes.
    pub(super) async fn stamped_memberships(
        &self,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Result<Vec<Stored<Membership>>> {
        let declared = self.declared();
        let wanted = |it: &&Membership| {
            group.is_none_or(|group| it.group == *group) && user.is_none_or(|user| it.user == *user)
        };
        let since = Timestamp::from_ms(0);
        let mut all: Vec<Stored<Membership>> =
            declared.memberships().filter(wanted).map(|it| as_stored(it.clone(), since)).collect();
        for stored in self.store().memberships(group, user).await? {
            if declared.membership(&stored.value.group, &stored.value.user).is_none() {
                all.push(stored);
            }
        }
        Ok(all)
    }

    /// The memberships of these groups, by group; declared ones first.
    pub(super) async fn members_of_groups(
        &self,
        ids: &[&str],
    ) -> Result<HashMap<String, Vec<Stored<Membership>>>> {
        let filter = MemberFilter { groups: Some(ids), ..MemberFilter::default() };
        self.members_by(&filter, |it| it.group.as_str(), ids).await
    }

    /// The memberships of these users, by user; declared ones first.
    pub(super) async fn members_of_users(
        &self,
        ids: &[&str],
    ) -> Result<HashMap<String, Vec<Stored<Membership>>>> {
        let filter = MemberFilter { users: Some(ids), ..MemberFilter::default() };
        self.members_by(&filter, |it| it.user.as_str(), ids).await
    }

    /// Those of these users whom somebody of this reach sees: by one question about the groups that they are in, where that matters.
    pub(super) async fn seen<'a>(&self, reach: &Reach, users: Vec<&'a User>) -> Result<Vec<&'a User>> {
        let mut places = HashMap::new();
        if reach.narrow.is_some() {
            let ids: Vec<&str> = users.iter().map(|it| it.id.as_str()).collect();
            places = self.members_of_users(&ids).await?;
        }
        let is_seen = |user: &&User| {
            let groups = places.get(user.id.as_str()).into_iter().flatten();
            let groups: Vec<GroupId> = groups.map(|it| it.value.group.clone()).collect();
            reach.has_user(user, &groups)
        };
        Ok(users.into_iter().filter(is_seen).collect())
    }

    async fn members_by(
        &self,
        filter: &MemberFilter<'_>,
        whose: impl Fn(&Membership) -> &str,
        ids: &[&str],
    ) -> Result<HashMap<String, Vec<Stored<Membership>>>> {
        let declared = self.declared();
        let mut all: HashMap<String, Vec<Stored<Membership>>> = HashMap::new();
        let since = Timestamp::from_ms(0);
        let asked: HashSet<&str> = ids.iter().copied().collect();
        for it in declared.memberships().filter(|it| asked.contains(whose(it))) {
            all.entry(whose(it).to_owned()).or_default().push(as_stored(it.clone(), since));
        }
        for stored in self.store().members(filter, None).await? {
            let it = &stored.value;
            if declared.membership(&it.group, &it.user).is_none() {
                all.entry(whose(it).to_owned()).or_default().push(stored);
            }
        }
        Ok(all)
    }

    /// The organization that something new belongs to: the one named, else the actor's, else the default one.
    ///
    /// # Errors
    /// `NotFound` for one that doesn't exist, or isn't the actor's.
    pub(super) async fn organization_for(
        &self,
        actor: &Actor,
        named: Option<&OrganizationId>,
    ) -> Result<OrganizationId> {
        let id = named
            .or(actor.organization())
            .cloned()
            .unwrap_or_else(|| OrganizationId::from(DEFAULT_ORGANIZATION));
        let known = id.as_str() == DEFAULT_ORGANIZATION || self.any_organization(&id).await?.is_some();
        let mine = actor.organization().is_none_or(|mine| *mine == id);
        if known && mine { Ok(id) } else { Err(not_found("organization", id.as_str())) }
    }

    /// An organization, whoever asks.
    pub(super) async fn any_organization(&self, id: &OrganizationId) -> Result<Option<Stored<Organization>>> {
        let declared = self.declared();
        if let Some(it) = declared.organization(id) {
            return Ok(Some(as_stored(it.clone(), it.created_at)));
        }
        self.store().organization(id, &Reach::ALL).await
    }
}
