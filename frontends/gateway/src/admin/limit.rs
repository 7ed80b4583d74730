//! Every limit and how it stands.

use serde::Serialize;
use sluicegate_core::limit::Metric;
use sluicegate_core::{
    ApiKey, Group, GroupId, Limit, Membership, OrganizationId, Result, Scope, ScopeKind, User, UserId,
};

use super::{Actor, Admin, LimitUse};
use crate::store::{GroupFilter, KeyFilter, Listing, Page, UserFilter};

/// No more parties of one kind are looked at: a list of more is none that anybody reads.
// BOUND: of the memory and time of one question.
const PARTIES_MAX: u64 = 20_000;
/// A whole, in parts per million.
const WHOLE_PPM: i128 = 1_000_000;

/// Which limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFilter {
    /// Of parties of this kind.
    pub kind: Option<ScopeKind>,
    /// Of the party with this id; a membership's is `group/user`.
    pub id: Option<String>,
    /// Within this organization.
    pub organization: Option<OrganizationId>,
    /// Of this group, and of its keys and members.
    pub group: Option<GroupId>,
    /// Of this user, and of their keys and memberships.
    pub user: Option<UserId>,
    /// On this.
    pub metric: Option<Metric>,
    /// Of which so much is used, in millionths.
    pub min_used_ppm: Option<u64>,
    /// Over a day or longer: neither rates nor calls at a time.
    pub lasting: bool,
}

/// How limits are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitOrder {
    /// Those closest to their end first.
    #[default]
    Used,
    /// Those that begin anew soonest first; lifetimes last.
    Reset,
    /// By kind and id.
    Scope,
}

/// One limit, whose it is, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitView {
    /// Whose it is, by id; a membership's is `group/user`, that of everybody is empty.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The organization.
    pub organization: Option<OrganizationId>,
    /// The group.
    pub group: Option<GroupId>,
    /// The user.
    pub user: Option<UserId>,
    /// How it stands.
    #[serde(flatten)]
    pub state: LimitUse,
    /// How much of it is used, reserved or held, in millionths.
    pub used_ppm: u64,
}

/// Whoever has limits.
struct Party {
    scope: Scope,
    name: Option<String>,
    organization: Option<OrganizationId>,
    group: Option<GroupId>,
    user: Option<UserId>,
    limits: Vec<Limit>,
}

impl Party {
    fn of_key(it: &ApiKey) -> Self {
        Self {
            scope: Scope::new(ScopeKind::Key, it.id.as_str()),
            name: it.alias.clone(),
            organization: Some(it.organization.clone()),
            group: it.group.clone(),
            user: it.user.clone(),
            limits: it.limits.clone(),
        }
    }

    fn of_group(it: &Group) -> Self {
        Self {
            scope: Scope::new(ScopeKind::Group, it.id.as_str()),
            name: it.alias.clone(),
            organization: Some(it.organization.clone()),
            group: Some(it.id.clone()),
            user: None,
            limits: it.limits.clone(),
        }
    }

    fn of_user(it: &User) -> Self {
        Self {
            scope: Scope::new(ScopeKind::User, it.id.as_str()),
            name: it.alias.clone().or_else(|| it.email.clone()),
            organization: Some(it.organization.clone()),
            group: None,
            user: Some(it.id.clone()),
            limits: it.limits.clone(),
        }
    }

    fn of_member(it: &Membership, organization: Option<OrganizationId>) -> Self {
        Self {
            scope: it.scope(),
            name: None,
            organization,
            group: Some(it.group.clone()),
            user: Some(it.user.clone()),
            limits: it.limits.clone(),
        }
    }

    fn plain(scope: Scope, name: Option<String>, limits: &[Limit]) -> Self {
        Self { scope, name, organization: None, group: None, user: None, limits: limits.to_vec() }
    }
}

impl LimitFilter {
    fn wants(&self, kind: ScopeKind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }

    fn fits(&self, party: &Party) -> bool {
        self.wants(party.scope.kind)
            && self.id.as_deref().is_none_or(|id| *party.scope.id == *id)
            && (self.organization.is_none() || self.organization == party.organization)
            && (self.group.is_none() || self.group == party.group)
            && (self.user.is_none() || self.user == party.user)
    }
}

impl Admin {
    /// Every limit that the actor may see, and how it stands. Of more than 20,000 keys, groups or users the newest.
    ///
    /// # Errors
    /// `Store`.
    pub async fn limits(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        order: LimitOrder,
        page: Page,
    ) -> Result<Listing<LimitView>> {
        let mut all = self.all_limits(actor, filter).await?;
        all.sort_by(|a, b| {
            let scope = |it: &LimitView| it.state.scope;
            let first = match order {
                LimitOrder::Used => b.used_ppm.cmp(&a.used_ppm),
                LimitOrder::Reset => {
                    let at = |it: &LimitView| it.state.resets_at.map_or(i64::MAX, |at| at.as_ms());
                    at(a).cmp(&at(b))
                }
                LimitOrder::Scope => std::cmp::Ordering::Equal,
            };
            first.then_with(|| scope(a).cmp(&scope(b))).then_with(|| a.id.cmp(&b.id))
        });
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
        Ok(Listing { items: all.into_iter().skip(offset).take(page.limit as usize).collect(), total })
    }

    /// All of them, in no order.
    ///
    /// # Errors
    /// `Store`.
    pub async fn all_limits(&self, actor: &Actor, filter: &LimitFilter) -> Result<Vec<LimitView>> {
        let mut all = Vec::new();
        for party in self.parties(actor, filter).await? {
            if party.limits.is_empty() || !filter.fits(&party) {
                continue;
            }
            for state in self.limit_states(party.scope.clone(), &party.limits) {
                let used_ppm = used_ppm(&state);
                let lasts = state.metric != Metric::Concurrency && !state.window.is_rate();
                if (lasts || !filter.lasting)
                    && filter.metric.is_none_or(|metric| metric == state.metric)
                    && filter.min_used_ppm.is_none_or(|least| used_ppm >= least)
                {
                    all.push(LimitView {
                        id: party.scope.id.to_string(),
                        name: party.name.clone(),
                        organization: party.organization.clone(),
                        group: party.group.clone(),
                        user: party.user.clone(),
                        state,
                        used_ppm,
                    });
                }
            }
        }
        Ok(all)
    }

    async fn parties(&self, actor: &Actor, filter: &LimitFilter) -> Result<Vec<Party>> {
        let mut all = Vec::new();
        if filter.wants(ScopeKind::Key) {
            self.key_parties(actor, filter, &mut all).await?;
        }
        if filter.wants(ScopeKind::Group) || filter.wants(ScopeKind::Membership) {
            let groups = self.visible_groups(actor, filter).await?;
            if filter.wants(ScopeKind::Membership) {
                self.member_parties(actor, &groups, &mut all).await?;
            }
            all.extend(groups.iter().map(Party::of_group));
        }
        if filter.wants(ScopeKind::User) {
            self.user_parties(actor, filter, &mut all).await?;
        }
        if filter.wants(ScopeKind::Organization) {
            for view in self.organizations(actor).await? {
                let it = view.organization;
                let scope = Scope::new(ScopeKind::Organization, it.id.as_str());
                let party = Party::plain(scope, it.alias, &it.limits);
                all.push(Party { organization: Some(it.id), ..party });
            }
        }
        if actor.is_super() {
            let scope = Scope::new(ScopeKind::Global, "");
            all.push(Party::plain(scope, None, &self.declared().global));
            for channel in self.0.engine.snapshot().channels() {
                let scope = Scope::new(ScopeKind::Channel, channel.id.as_str());
                all.push(Party::plain(scope, Some(channel.name.clone()), &channel.limits));
            }
        }
        Ok(all)
    }

    async fn key_parties(&self, actor: &Actor, filter: &LimitFilter, all: &mut Vec<Party>) -> Result<()> {
        let reach = actor.reach();
        let declared = self.declared();
        all.extend(declared.keys().filter(|(_, key)| reach.has_key(key)).map(|(_, key)| Party::of_key(key)));
        let which = KeyFilter {
            organization: filter.organization.clone(),
            group: filter.group.clone(),
            user: filter.user.clone(),
            ..KeyFilter::default()
        };
        let mut offset = 0;
        while offset < PARTIES_MAX {
            let found = self.store().keys(&which, &reach, Page::new(Page::MAX, offset)).await?;
            let new = found.items.iter().map(|it| &it.key.value);
            all.extend(new.filter(|key| !key.limits.is_empty()).map(Party::of_key));
            offset += u64::from(Page::MAX);
            if found.total <= offset {
                break;
            }
        }
        Ok(())
    }

    async fn user_parties(&self, actor: &Actor, filter: &LimitFilter, all: &mut Vec<Party>) -> Result<()> {
        let (reach, declared) = (actor.reach(), self.declared());
        for user in declared.users().filter(|user| !user.limits.is_empty()) {
            let memberships = self.memberships(None, Some(&user.id)).await?;
            let groups: Vec<GroupId> = memberships.into_iter().map(|it| it.group).collect();
            if reach.has_user(user, &groups) {
                all.push(Party::of_user(user));
            }
        }
        let which = UserFilter { organization: filter.organization.clone(), ..UserFilter::default() };
        let mut offset = 0;
        while offset < PARTIES_MAX {
            let found = self.store().users(&which, &reach, Page::new(Page::MAX, offset)).await?;
            let new = found.items.iter().map(|it| &it.value);
            let counts = |user: &&User| !user.limits.is_empty() && declared.user(&user.id).is_none();
            all.extend(new.filter(counts).map(Party::of_user));
            offset += u64::from(Page::MAX);
            if found.total <= offset {
                break;
            }
        }
        Ok(())
    }

    async fn visible_groups(&self, actor: &Actor, filter: &LimitFilter) -> Result<Vec<Group>> {
        let reach = actor.reach_of_groups();
        let mut all: Vec<Group> =
            self.declared().groups().filter(|group| reach.has_group(group)).cloned().collect();
        let which = GroupFilter { organization: filter.organization.clone(), ..GroupFilter::default() };
        let mut offset = 0;
        while offset < PARTIES_MAX {
            let found = self.store().groups(&which, &reach, Page::new(Page::MAX, offset)).await?;
            all.extend(found.items.into_iter().map(|it| it.value));
            offset += u64::from(Page::MAX);
            if found.total <= offset {
                break;
            }
        }
        Ok(all)
    }

    /// The memberships of the groups that the actor administers or audits; of others their own.
    async fn member_parties(&self, actor: &Actor, groups: &[Group], all: &mut Vec<Party>) -> Result<()> {
        let narrow = actor.reach().narrow;
        let memberships = match (&narrow, actor.user()) {
            (None, _) => self.memberships(None, None).await?,
            (Some(_), user) => {
                let mut mine = match user {
                    Some(user) => self.memberships(None, Some(user)).await?,
                    None => Vec::new(),
                };
                for group in actor.admin_of() {
                    let of_group = self.memberships(Some(group), None).await?;
                    mine.extend(of_group.into_iter().filter(|it| Some(&it.user) != user));
                }
                mine
            }
        };
        for it in memberships.iter().filter(|it| !it.limits.is_empty()) {
            if let Some(group) = groups.iter().find(|group| group.id == it.group) {
                all.push(Party::of_member(it, Some(group.organization.clone())));
            }
        }
        Ok(())
    }
}

/// How much of a limit is used, reserved or held, in millionths. Of one that allows nothing, all.
fn used_ppm(state: &LimitUse) -> u64 {
    let used = i128::from(state.settled) + i128::from(state.reserved) + i128::from(state.held);
    match i128::from(state.max) {
        0 => 1_000_000,
        max => u64::try_from(used.max(0) * WHOLE_PPM / max.max(1)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_a_share_of_what_may_be() {
        let state = |max, settled, reserved, held| -> LimitUse {
            serde_json::from_value(serde_json::json!({
                "scope": "key", "metric": "requests", "window": "day", "model": null, "mode": "strict", "max": max,
                "settled": settled, "reserved": reserved, "held": held, "remaining": 0, "resets_at": null,
            }))
            .unwrap()
        };
        for (max, settled, reserved, held, ppm) in [
            (100, 10, 5, 5, 200_000),
            (100, 0, 0, 0, 0),
            (0, 0, 0, 0, 1_000_000),
            (100, 150, 0, 0, 1_500_000),
            (i64::MAX, i64::MAX, 0, 0, 1_000_000),
        ] {
            assert_eq!(used_ppm(&state(max, settled, reserved, held)), ppm);
        }
    }
}
