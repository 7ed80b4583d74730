//! Every limit and how it stands.

use std::collections::HashSet;

use serde::Serialize;
use sluicegate_core::limit::Metric;
use sluicegate_core::{
    ApiKey, Group, GroupId, Limit, Membership, OrganizationId, Result, Scope, ScopeKind, User, UserId,
};

use super::{Actor, Admin, LimitUse};
use crate::store::{After, GroupFilter, KeyFilter, Limited, Listing, MemberFilter, Narrow, Page, UserFilter};

/// No more parties of one kind are looked at: a list of more is none that anybody reads.
// BOUND: of the memory and time of one question.
const PARTIES_MAX: u32 = 20_000;
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

/// How far is looked.
#[derive(Clone, Copy)]
struct Look {
    /// At so many parties of one kind, the newest.
    most: u32,
    /// Of those that have limits, at which.
    limited: Limited,
}

impl LimitFilter {
    /// One that the filter names, of a kind that is called by one id.
    fn one(&self, other: Option<&str>) -> Option<String> {
        other.or(self.id.as_deref()).map(str::to_owned)
    }

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
    /// Every limit that the actor may see, and how it stands, as far as [`all_limits`](Self::all_limits) goes.
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

    /// The limits closest to their end that the actor may see. What nothing is counted of comes last, as far as it is needed.
    ///
    /// # Errors
    /// `Store`.
    pub(super) async fn fullest_limits(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        most: u32,
    ) -> Result<Vec<LimitView>> {
        let wanted = usize::try_from(most).unwrap_or(usize::MAX);
        let used = Look { most: PARTIES_MAX, limited: Limited::Used };
        let mut all = self.limits_within(actor, filter, used).await?;
        if all.len() < wanted {
            let whose = |it: &LimitView| (it.state.scope, it.id.clone());
            let known: HashSet<_> = all.iter().map(whose).collect();
            // Some of what is newest may have none that the filter means.
            let look = Look { most: most.max(Page::MAX), limited: Limited::Any };
            let rest = self.limits_within(actor, filter, look).await?;
            all.extend(rest.into_iter().filter(|it| !known.contains(&whose(it))));
        }
        all.sort_by(|a, b| {
            let scope = a.state.scope.cmp(&b.state.scope);
            b.used_ppm.cmp(&a.used_ppm).then(scope).then_with(|| a.id.cmp(&b.id))
        });
        all.truncate(wanted);
        Ok(all)
    }

    /// Every limit that the actor may see and how it stands, in no order. Of more than 20,000 keys, groups, users or memberships
    /// that have limits and that the filter means, the newest.
    ///
    /// # Errors
    /// `Store`.
    pub async fn all_limits(&self, actor: &Actor, filter: &LimitFilter) -> Result<Vec<LimitView>> {
        self.limits_within(actor, filter, Look { most: PARTIES_MAX, limited: Limited::Any }).await
    }

    async fn limits_within(&self, actor: &Actor, filter: &LimitFilter, look: Look) -> Result<Vec<LimitView>> {
        let mut all = Vec::new();
        for party in self.parties(actor, filter, look).await? {
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

    async fn parties(&self, actor: &Actor, filter: &LimitFilter, look: Look) -> Result<Vec<Party>> {
        let mut all = Vec::new();
        // A group has no user, a user no group, and an organization neither.
        let (no_user, no_group) = (filter.user.is_none(), filter.group.is_none());
        if filter.wants(ScopeKind::Key) {
            self.key_parties(actor, filter, look, &mut all).await?;
        }
        if filter.wants(ScopeKind::Group) && no_user {
            self.group_parties(actor, filter, look, &mut all).await?;
        }
        if filter.wants(ScopeKind::Membership) {
            self.member_parties(actor, filter, look, &mut all).await?;
        }
        if filter.wants(ScopeKind::User) && no_group {
            self.user_parties(actor, filter, look, &mut all).await?;
        }
        if filter.wants(ScopeKind::Organization) && no_user && no_group {
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

    async fn key_parties(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        look: Look,
        all: &mut Vec<Party>,
    ) -> Result<()> {
        let (reach, declared) = (actor.reach(), self.declared());
        all.extend(declared.keys().filter(|(_, key)| reach.has_key(key)).map(|(_, key)| Party::of_key(key)));
        let which = KeyFilter {
            organization: filter.organization.clone(),
            group: filter.group.clone(),
            user: filter.user.clone(),
            id: filter.one(None).map(Into::into),
            limited: Some(look.limited),
            ..KeyFilter::default()
        };
        let found = newest(
            look.most,
            async |after, page| self.store().keys(&KeyFilter { after, ..which.clone() }, &reach, page).await,
            |it| After::of(None, (it.key.created_at, it.key.updated_at), None, it.key.value.id.as_str()),
        );
        all.extend(found.await?.iter().map(|it| Party::of_key(&it.key.value)));
        Ok(())
    }

    async fn group_parties(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        look: Look,
        all: &mut Vec<Party>,
    ) -> Result<()> {
        let (reach, declared) = (actor.reach_of_groups(), self.declared());
        all.extend(declared.groups().filter(|group| reach.has_group(group)).map(Party::of_group));
        let which = GroupFilter {
            organization: filter.organization.clone(),
            id: filter.one(filter.group.as_ref().map(GroupId::as_str)).map(Into::into),
            limited: Some(look.limited),
            ..GroupFilter::default()
        };
        let found = newest(
            look.most,
            async |after, page| {
                self.store().groups(&GroupFilter { after, ..which.clone() }, &reach, page).await
            },
            |it| After::of(None, (it.created_at, it.updated_at), None, it.value.id.as_str()),
        );
        let found = found.await?;
        let own = |it: &&Group| declared.group(it.id.as_str()).is_none_or(|known| known.id != it.id);
        all.extend(found.iter().map(|it| &it.value).filter(own).map(Party::of_group));
        Ok(())
    }

    async fn user_parties(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        look: Look,
        all: &mut Vec<Party>,
    ) -> Result<()> {
        let (reach, declared) = (actor.reach(), self.declared());
        let of_file = declared.users().filter(|it| !it.limits.is_empty() && filter.fits(&Party::of_user(it)));
        let seen = self.seen(&reach, of_file.collect()).await?;
        all.extend(seen.into_iter().map(Party::of_user));
        let which = UserFilter {
            organization: filter.organization.clone(),
            id: filter.one(filter.user.as_ref().map(UserId::as_str)).map(Into::into),
            limited: Some(look.limited),
            ..UserFilter::default()
        };
        let found = newest(
            look.most,
            async |after, page| {
                self.store().users(&UserFilter { after, ..which.clone() }, &reach, page).await
            },
            |it| After::of(None, (it.created_at, it.updated_at), None, it.value.id.as_str()),
        );
        let found = found.await?;
        let own = |it: &&User| declared.user(&it.id).is_none();
        all.extend(found.iter().map(|it| &it.value).filter(own).map(Party::of_user));
        Ok(())
    }

    /// The memberships of the groups that the actor administers or audits; of others their own.
    async fn member_parties(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        look: Look,
        all: &mut Vec<Party>,
    ) -> Result<()> {
        let (reach, declared) = (actor.reach(), self.declared());
        let mine = reach.narrow.is_some().then(|| Narrow {
            groups: actor.admin_of().to_vec(),
            user: actor.user().cloned(),
            key: None,
        });
        let sees = |it: &Membership| {
            mine.as_ref().is_none_or(|mine| mine.has(Some(&it.group), Some(&it.user), None))
        };
        let group = filter.group.as_ref().map(|id| [id.as_str()]);
        let user = filter.user.as_ref().map(|id| [id.as_str()]);
        let which = MemberFilter {
            groups: group.as_ref().map(<[_; 1]>::as_slice),
            users: user.as_ref().map(<[_; 1]>::as_slice),
            within: mine.as_ref(),
            organization: filter.organization.as_ref().or(reach.organization.as_ref()),
            limited: Some(look.limited),
        };
        let mut stored = Vec::new();
        match filter.id.as_deref() {
            None => stored = self.store().members(&which, Some(look.most)).await?,
            // Ids may hold a `/` themselves.
            Some(id) => {
                for (at, _) in id.match_indices('/') {
                    let (group, user) = (&id[..at], &id[at + 1..]);
                    let which = MemberFilter { groups: Some(&[group]), users: Some(&[user]), ..which };
                    stored.extend(self.store().members(&which, Some(1)).await?);
                }
            }
        }
        let own = |it: &Membership| declared.membership(&it.group, &it.user).is_none();
        let stored = stored.into_iter().map(|it| it.value).filter(own);
        let found: Vec<Membership> = declared.memberships().cloned().chain(stored).filter(sees).collect();
        let groups: HashSet<&str> = found.iter().map(|it| it.group.as_str()).collect();
        let organizations = self.organizations_of_groups(actor, groups).await?;
        for it in &found {
            if let Some(organization) = organizations.get(it.group.as_str()) {
                all.push(Party::of_member(it, Some(organization.clone())));
            }
        }
        Ok(())
    }
}

/// So many of a list, the newest, each page behind the last one.
async fn newest<T>(
    most: u32,
    fetch: impl AsyncFn(Option<After>, Page) -> Result<Listing<T>>,
    place: impl Fn(&T) -> After,
) -> Result<Vec<T>> {
    let (mut all, mut after) = (Vec::new(), None);
    // BOUND: `most`.
    loop {
        let left = most.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
        let page = Page { uncounted: true, ..Page::new(left, 0) };
        if left == 0 {
            return Ok(all);
        }
        let found = fetch(after, page).await?.items;
        let is_last = found.len() < page.limit as usize;
        after = found.last().map(&place);
        all.extend(found);
        if is_last {
            return Ok(all);
        }
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
