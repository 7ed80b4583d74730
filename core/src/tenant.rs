//! Who calls and who is limited: organizations, groups, users, memberships and keys, and what a key resolves to.

mod access;
mod route;

use std::net::IpAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::channel::Channel;
use crate::ids::{GroupId, KeyId, ModelName, OrganizationId, UserId};
use crate::limit::{Limit, Scope, ScopeKind, ScopeLimits};
use crate::price::{Price, RATIO_ONE_PPM};
use crate::time::Timestamp;

pub use access::{ACCESS_GROUP, AccessGroups, ModelAccess, matches_pattern};
pub use route::{RouteAccess, RouteUse};

/// Where something was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the configuration file: read-only over the API, and wins by name.
    File,
    /// Over the API: lives in the database.
    #[default]
    Database,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Own keys, own use.
    #[default]
    User,
    /// Reads everything of the organization, changes nothing.
    Auditor,
    /// Members, keys, budgets and spend of own groups.
    GroupAdmin,
    /// Everything of one organization.
    OrganizationAdmin,
    /// Everything.
    SuperAdmin,
}

/// The outermost tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name for people.
    #[serde(default)]
    pub alias: Option<String>,
    /// Which models its members may call.
    #[serde(default)]
    pub access: ModelAccess,
    /// Its limits.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Refuses every call.
    #[serde(default)]
    pub blocked: bool,
    /// Free data of the operator's.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Where it was declared.
    #[serde(default)]
    pub source: Source,
    /// When it was created.
    #[serde(default)]
    pub created_at: Timestamp,
}

/// A department or team: owns budgets, model access, a price ratio and routing preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name for people and for channels' `groups`. Unique within the organization.
    #[serde(default)]
    pub alias: Option<String>,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Which models its members may call.
    #[serde(default)]
    pub access: ModelAccess,
    /// Other names under which its keys may ask for models: asked for → meant. A key's own aliases come after them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub aliases: IndexMap<ModelName, ModelName>,
    /// Its limits.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// What its calls cost relative to the price list, in parts per million.
    #[serde(default = "ratio_one")]
    pub price_ratio_ppm: u32,
    /// What its calls to single models cost instead; the first one that matches counts. Only a file grants them.
    #[serde(default, skip_serializing_if = "no_prices")]
    pub prices: Arc<[OwnPrice]>,
    /// Where its calls go first, in order.
    #[serde(default)]
    pub preferences: Vec<Preference>,
    /// Other groups' labels whose channels it may use, too, in this order: New API's `auto` list. Only a file grants them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels_of: Vec<Arc<str>>,
    /// Refuses every call.
    #[serde(default)]
    pub blocked: bool,
    /// Free data of the operator's. Its lists `tags` and `guardrails` are heeded as those of a key are.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Where it was declared.
    #[serde(default)]
    pub source: Source,
    /// When it was created.
    #[serde(default)]
    pub created_at: Timestamp,
}

fn ratio_one() -> u32 {
    RATIO_ONE_PPM
}

fn no_prices(prices: &Arc<[OwnPrice]>) -> bool {
    prices.is_empty()
}

/// What calls to a model cost a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPrice {
    /// The model as it is asked for, or the fallback that serves; may end in `*`.
    pub model: ModelName,
    /// What they cost.
    pub terms: Terms,
}

/// The terms for a model: those of the first that matches.
pub fn terms_of<'a>(prices: &'a [OwnPrice], model: &ModelName) -> Option<&'a Terms> {
    // BOUND: as many as a file grants to one group; most have none.
    prices.iter().find(|own| matches_pattern(own.model.as_str(), model.as_str())).map(|own| &own.terms)
}

/// What calls cost a group, whoever serves them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// The channel's price times this, in parts per million.
    Ratio(u32),
    /// This price.
    Price(Price),
}

/// One step of a group's routing preference: candidates that match come before those that match only later steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// This channel, by id or name.
    Channel(String),
    /// Any channel of this provider.
    Provider(String),
    /// Any channel with this tag.
    Tag(String),
}

/// A person or service account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Their name for people.
    #[serde(default)]
    pub alias: Option<String>,
    /// Whose they are.
    pub organization: OrganizationId,
    /// What they may do.
    #[serde(default)]
    pub role: Role,
    /// Which models they may call.
    #[serde(default)]
    pub access: ModelAccess,
    /// Their limits, over all their keys.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Refuses every call.
    #[serde(default)]
    pub blocked: bool,
    /// Free data of the operator's.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Where they were declared.
    #[serde(default)]
    pub source: Source,
    /// When they were created.
    #[serde(default)]
    pub created_at: Timestamp,
}

/// Stands in a group's free data: limits, written as a group's own are, that everybody in it has who has none of their own of the same
/// kind.
pub const MEMBER_LIMITS: &str = "member_limits";

/// One user in one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The group.
    pub group: GroupId,
    /// The user.
    pub user: UserId,
    /// What they may do in it: [`Role::User`] or [`Role::GroupAdmin`].
    #[serde(default)]
    pub role: Role,
    /// Their limits within the group: their own, and those that it gives its members.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Those of `limits` that the group gives. `None` where it isn't known: it was written down before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Vec<Limit>>,
}

impl Membership {
    /// A place in a group with limits of its own, and beside them what the group gives, unless one of its own
    /// [holds the same](Limit::holds_same).
    pub fn new(group: GroupId, user: UserId, role: Role, own: Vec<Limit>, gives: &[Limit]) -> Self {
        // Two that a group gives are no limits of the member's own to each other.
        let given: Vec<Limit> =
            gives.iter().filter(|it| !own.iter().any(|own| own.holds_same(it))).cloned().collect();
        let limits = own.into_iter().chain(given.iter().cloned()).collect();
        Self { group, user, role, limits, given: Some(given) }
    }

    /// The same place with other limits of its own, in a group that gives its members this.
    #[must_use]
    pub fn with_limits(&self, own: Vec<Limit>, gives: &[Limit]) -> Self {
        Self::new(self.group.clone(), self.user.clone(), self.role, own, gives)
    }

    /// Its own limits. Where it isn't known which these are, those that the group doesn't give: `gives` is what it gave when the place
    /// was written down.
    pub fn own_limits(&self, gives: &[Limit]) -> Vec<Limit> {
        let given = self.given.as_deref().unwrap_or(gives);
        self.limits.iter().filter(|it| !given.contains(it)).cloned().collect()
    }

    /// The scope that its limits count in.
    pub fn scope(&self) -> Scope {
        Scope::new(ScopeKind::Membership, format!("{}/{}", self.group, self.user))
    }
}

/// A credential that we issue. The credential itself is never stored: only its SHA-256, by the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public id.
    pub id: KeyId,
    /// Its name for people.
    #[serde(default)]
    pub alias: Option<String>,
    /// The credential's first and last characters, for people to tell keys apart.
    #[serde(default)]
    pub hint: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The group it spends for.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// The user it belongs to.
    #[serde(default)]
    pub user: Option<UserId>,
    /// Which models it may call.
    #[serde(default)]
    pub access: ModelAccess,
    /// Other names under which it may ask for models: asked for → meant.
    #[serde(default)]
    pub aliases: IndexMap<ModelName, ModelName>,
    /// Its limits.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// From when on it is refused.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Refuses every call.
    #[serde(default)]
    pub blocked: bool,
    /// Addresses or networks (`10.0.0.0/8`) that it may be used from; empty is anywhere.
    #[serde(default)]
    pub allowed_ips: Vec<IpNetwork>,
    /// What it may be used for, over HTTP.
    #[serde(default, skip_serializing_if = "RouteAccess::is_all")]
    pub routes: RouteAccess,
    /// Tags put on each of its calls.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Free data of the operator's. Lists of texts in it have meaning: `tags` are put on its calls, too, and `guardrails` look at
    /// them.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Where it was declared.
    #[serde(default)]
    pub source: Source,
    /// When it was created.
    #[serde(default)]
    pub created_at: Timestamp,
}

/// An address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl IpNetwork {
    /// Whether `ip` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        fn bits(ip: IpAddr) -> (u128, u32) {
            match ip.to_canonical() {
                IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
                IpAddr::V6(v6) => (u128::from(v6), 128),
            }
        }
        let ((net, width), (ip, ip_width)) = (bits(self.address), bits(ip));
        let shift = width.saturating_sub(u32::from(self.prefix));
        width == ip_width && (shift >= 128 || net >> shift == ip >> shift)
    }
}

impl TryFrom<String> for IpNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither an ip address nor a network such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        match prefix.unwrap_or(width) {
            prefix if prefix <= width => Ok(Self { address, prefix }),
            _ => Err(wrong()),
        }
    }
}

impl From<IpNetwork> for String {
    fn from(net: IpNetwork) -> String {
        format!("{}/{}", net.address, net.prefix)
    }
}

/// What a credential resolves to: who calls, what they may do, and every scope that limits them. Built once per key
/// and cached; a change to any part of it builds it anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    /// The key; `None` for a call on the operator's own authority.
    pub key: Option<KeyId>,
    /// The user.
    pub user: Option<UserId>,
    /// The group.
    pub group: Option<GroupId>,
    /// The organization.
    pub organization: OrganizationId,
    /// What the group is called: its id, then its alias. See [`is_in_group`](Self::is_in_group).
    pub labels: SmallVec<[Arc<str>; 2]>,
    /// Model access of key, membership, group, user and organization: all must allow.
    pub access: SmallVec<[ModelAccess; 3]>,
    /// The group's model aliases and then the key's, as far as the scopes around them allow what they stand for.
    pub aliases: IndexMap<ModelName, ModelName>,
    /// The scope chain, innermost first.
    pub chain: Vec<ScopeLimits>,
    /// What calls cost relative to the price list, in parts per million.
    pub price_ratio_ppm: u32,
    /// What calls to single models cost instead. See [`terms`](Self::terms).
    #[serde(default, skip_serializing_if = "no_prices")]
    pub prices: Arc<[OwnPrice]>,
    /// Where calls go first.
    pub preferences: Vec<Preference>,
    /// Labels of other groups whose channels the group may use, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels_of: Vec<Arc<str>>,
    /// From when on calls are refused.
    pub expires_at: Option<Timestamp>,
    /// The scope that is blocked, if one is.
    pub blocked: Option<Scope>,
    /// Where calls may come from; empty is anywhere.
    pub allowed_ips: Vec<IpNetwork>,
    /// What the key may be used for, over HTTP.
    #[serde(default, skip_serializing_if = "RouteAccess::is_all")]
    pub routes: RouteAccess,
    /// Tags of the key and its group.
    pub tags: Vec<String>,
    /// Guardrails that the key and its group ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Arc<str>>,
    /// The end customer of every call, whomever it names: the credential says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
}

/// The parts of a caller, as a directory holds them.
#[derive(Clone, Copy, Debug)]
pub struct CallerParts<'a> {
    /// The key.
    pub key: &'a ApiKey,
    /// Its group.
    pub group: Option<&'a Group>,
    /// Its user.
    pub user: Option<&'a User>,
    /// The user's membership in the group.
    pub membership: Option<&'a Membership>,
    /// The organization.
    pub organization: Option<&'a Organization>,
    /// Limits on everybody.
    pub global: &'a [Limit],
    /// What names of access groups in lists of models stand for.
    pub access_groups: &'a AccessGroups,
    /// Whether a user's own limits also bind the keys that they use in a group. Default off: the group pays.
    pub apply_user_limits_to_group_keys: bool,
}

impl Caller {
    /// Derives the scope chain of a key: key, membership, group, organization, global; plus the user when the key has
    /// no group (or when `apply_user_limits_to_group_keys`).
    pub fn resolve(parts: CallerParts<'_>) -> Self {
        let CallerParts { key, group, user, membership, organization, global, .. } = parts;
        let user_counts = group.is_none() || parts.apply_user_limits_to_group_keys;
        let link = |kind, id: &str, limits: &[Limit]| ScopeLimits {
            scope: Scope::new(kind, id),
            limits: limits.to_vec(),
        };

        let mut chain = vec![link(ScopeKind::Key, key.id.as_str(), &key.limits)];
        if let Some(m) = membership.filter(|_| group.is_some()) {
            chain.push(ScopeLimits { scope: m.scope(), limits: m.limits.clone() });
        }
        if let Some(g) = group {
            chain.push(link(ScopeKind::Group, g.id.as_str(), &g.limits));
        }
        if let Some(u) = user.filter(|_| user_counts) {
            chain.push(link(ScopeKind::User, u.id.as_str(), &u.limits));
        }
        chain.push(link(
            ScopeKind::Organization,
            key.organization.as_str(),
            organization.map_or(&[], |o| o.limits.as_slice()),
        ));
        chain.push(link(ScopeKind::Global, "", global));

        let blocked = [
            (key.blocked, ScopeKind::Key, key.id.as_str()),
            (group.is_some_and(|g| g.blocked), ScopeKind::Group, group.map_or("", |g| g.id.as_str())),
            (user.is_some_and(|u| u.blocked), ScopeKind::User, user.map_or("", |u| u.id.as_str())),
            (organization.is_some_and(|o| o.blocked), ScopeKind::Organization, key.organization.as_str()),
        ]
        .into_iter()
        .find(|(blocked, ..)| *blocked)
        .map(|(_, kind, id)| Scope::new(kind, id));

        let opened = |access: &ModelAccess| access.opened(parts.access_groups);
        let of_group = group.map(|g| opened(&g.access));
        let around = [
            user.filter(|_| user_counts).map(|u| opened(&u.access)),
            organization.map(|o| opened(&o.access)),
        ];
        let allow = |meant: &ModelName| around.iter().flatten().all(|access| access.allows(meant.as_str()));
        // An alias stands in for the access of whoever has set it and for nobody else's: nobody reaches past what the scopes
        // around allow.
        let mut own = key.aliases.clone();
        own.retain(|_, meant| {
            allow(meant) && of_group.as_ref().is_none_or(|access| access.allows(meant.as_str()))
        });
        let mut aliases = group.map(|g| g.aliases.clone()).unwrap_or_default();
        aliases.retain(|_, meant| allow(meant));
        aliases.values_mut().for_each(|meant| {
            if let Some(further) = own.get(meant) {
                meant.clone_from(further);
            }
        });
        for (name, meant) in own {
            aliases.entry(name).or_insert(meant);
        }
        let access = std::iter::once(Some(opened(&key.access))).chain([of_group]).chain(around);
        let metadata = [Some(&key.metadata), group.map(|group| &group.metadata)];
        let named = |what: &str, own: &[String]| {
            let mut all = own.to_vec();
            for name in metadata.into_iter().flatten().flat_map(|data| listed(data, what)) {
                if !all.iter().any(|known| known == name) {
                    all.push(name.to_owned());
                }
            }
            all
        };
        Self {
            key: Some(key.id.clone()),
            user: key.user.clone(),
            group: key.group.clone(),
            organization: key.organization.clone(),
            labels: group
                .into_iter()
                .flat_map(|g| std::iter::once(g.id.as_str()).chain(g.alias.as_deref()))
                .map(Arc::from)
                .collect(),
            access: access.flatten().filter(|a| !a.patterns().is_empty()).collect(),
            aliases,
            chain,
            price_ratio_ppm: group.map_or(RATIO_ONE_PPM, |g| g.price_ratio_ppm),
            prices: group.map(|g| Arc::clone(&g.prices)).unwrap_or_default(),
            preferences: group.map(|g| g.preferences.clone()).unwrap_or_default(),
            channels_of: group.map(|g| g.channels_of.clone()).unwrap_or_default(),
            expires_at: key.expires_at,
            blocked,
            allowed_ips: key.allowed_ips.clone(),
            routes: key.routes.clone(),
            tags: named("tags", &key.tags),
            guardrails: named("guardrails", &[]).into_iter().map(Arc::from).collect(),
            customer: None,
        }
    }

    /// A caller with the operator's own authority: every model, no scope but organization and global.
    pub fn operator(organization: OrganizationId, global: &[Limit]) -> Self {
        let chain = vec![
            ScopeLimits {
                scope: Scope::new(ScopeKind::Organization, organization.as_str()),
                limits: Vec::new(),
            },
            ScopeLimits { scope: Scope::new(ScopeKind::Global, ""), limits: global.to_vec() },
        ];
        Self {
            key: None,
            user: None,
            group: None,
            organization,
            labels: SmallVec::new(),
            access: SmallVec::new(),
            aliases: IndexMap::new(),
            chain,
            price_ratio_ppm: RATIO_ONE_PPM,
            prices: Arc::default(),
            preferences: Vec::new(),
            channels_of: Vec::new(),
            expires_at: None,
            blocked: None,
            allowed_ips: Vec::new(),
            routes: RouteAccess::ALL,
            tags: Vec::new(),
            guardrails: Vec::new(),
            customer: None,
        }
    }

    /// What calls to this model cost, where the group has terms of its own for it.
    pub fn terms(&self, model: &ModelName) -> Option<&Terms> {
        terms_of(&self.prices, model)
    }

    /// Whether the caller's group is the one of this label: its id, or in the organization `default` its alias. Elsewhere an
    /// alias names nobody: aliases are unique within an organization only, and who gives one must not get at what is
    /// another's.
    pub fn is_in_group(&self, label: &str) -> bool {
        let names = if self.organization.as_str() == OrganizationId::DEFAULT { self.labels.len() } else { 1 };
        self.labels.iter().take(names).any(|own| **own == *label)
    }

    /// Whether a channel is for everybody, or for one of the caller's groups.
    pub fn may_use(&self, channel: &Channel) -> bool {
        let is_open = |group: &Arc<str>| self.is_in_group(group) || self.channels_of.contains(group);
        channel.groups.is_empty() || channel.groups.iter().any(is_open)
    }

    /// Whether every scope of the caller allows `model`.
    pub fn may_call(&self, model: &str) -> bool {
        self.access.iter().all(|access| access.allows(model))
    }

    /// Whether every scope of the caller allows a model that goes by several names, by one of them.
    pub fn may_call_as(&self, names: &[&str]) -> bool {
        self.access.iter().all(|access| names.iter().any(|name| access.allows(name)))
    }
}

/// Lists in free data that steer calls: the guardrails that look at them, and tags that they have besides their own.
pub const STEERING: [&str; 2] = ["guardrails", "tags"];

/// No more texts are taken from one list of free data, and no longer ones, in bytes.
// BOUND: they are part of each call's record.
const LISTED_MAX: usize = 64;
const LISTED_BYTES_MAX: usize = 256;

/// The texts of a list in free data.
pub fn listed<'a>(
    metadata: &'a serde_json::Map<String, serde_json::Value>,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let list = metadata.get(name).and_then(serde_json::Value::as_array);
    let texts = list.into_iter().flatten().filter_map(serde_json::Value::as_str);
    texts.filter(|text| !text.is_empty() && text.len() <= LISTED_BYTES_MAX).take(LISTED_MAX)
}

/// What of free data is to steer calls and can't be read as [that](is_steering).
pub fn misfit(metadata: &serde_json::Map<String, serde_json::Value>) -> Option<&'static str> {
    STEERING.into_iter().find(|name| metadata.get(*name).is_some_and(|value| !is_steering(value)))
}

/// Whether it is a list of texts, as many and as long as are taken, or nothing. Of anything else calls would be steered by a part, or by
/// none of it, without a word.
pub fn is_steering(value: &serde_json::Value) -> bool {
    let is_text = |it: &serde_json::Value| it.as_str().is_some_and(|text| text.len() <= LISTED_BYTES_MAX);
    match value {
        serde_json::Value::Array(list) => list.len() <= LISTED_MAX && list.iter().all(is_text),
        other => other.is_null(),
    }
}

/// What it must be, in words.
pub const STEERING_WANTED: &str = "a list of at most 64 texts of at most 256 bytes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_steer_calls_are_taken_whole_or_not_at_all() {
        let list = |n: usize, bytes: usize| serde_json::json!(vec!["x".repeat(bytes); n]);
        for (value, fits) in [
            (serde_json::json!(["a"]), true),
            (serde_json::json!([]), true),
            (serde_json::Value::Null, true),
            (list(64, 256), true),
            (list(65, 1), false),
            (list(1, 257), false),
            (serde_json::json!("pii"), false),
            (serde_json::json!({"pii": true}), false),
            (serde_json::json!(["a", 1]), false),
        ] {
            for name in STEERING {
                let data = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
                assert_eq!(misfit(&data), (!fits).then_some(name), "{value}");
                let taken = data[name].as_array().map_or(0, Vec::len);
                assert!(!fits || listed(&data, name).count() == taken, "{value}");
            }
        }
    }

    #[test]
    fn a_member_has_limits_of_their_own_and_what_the_group_gives_beside_them() {
        use crate::limit::{Metric, Window};
        let spend = |window, max| Limit::strict(Metric::Spend, window, max);
        let (day, month) = (spend(Window::Day, 5), spend(Window::Month, 100));
        let requests = |max| Limit::strict(Metric::Requests, Window::Day, max);
        let place = |own: &[Limit], gives: &[Limit]| {
            Membership::new("g".into(), "u".into(), Role::User, own.to_vec(), gives)
        };
        // own, what the group gives, what it gives from then on: the limits then, and those of them that it gives.
        for (own, gave, gives, limits, given) in [
            (vec![], vec![day.clone()], vec![spend(Window::Day, 7)], vec![spend(Window::Day, 7)], 1),
            (vec![], vec![day.clone()], vec![], vec![], 0),
            (vec![], vec![], vec![requests(9)], vec![requests(9)], 1),
            // Over another time it is a budget of the same kind; two that the group gives are both had.
            (vec![month.clone()], vec![day.clone()], vec![day.clone()], vec![month.clone()], 0),
            (vec![], vec![], vec![day.clone(), month.clone()], vec![day.clone(), month.clone()], 2),
            // One that somebody set by hand stays, though the group gave the same.
            (vec![day.clone()], vec![day.clone()], vec![spend(Window::Day, 7)], vec![day.clone()], 0),
            (vec![day.clone()], vec![], vec![requests(9)], vec![day.clone(), requests(9)], 1),
        ] {
            let before = place(&own, &gave);
            assert_eq!(before.own_limits(&gave), own);
            let after = before.with_limits(before.own_limits(&gave), &gives);
            assert_eq!(
                (&after.limits, after.given.as_ref().map(Vec::len)),
                (&limits, Some(given)),
                "{own:?} {gives:?}"
            );
        }
        // Written down before it was kept: what the group gave is told by what it is.
        let before = Membership { given: None, ..place(&[requests(9)], std::slice::from_ref(&day)) };
        assert_eq!(before.own_limits(&[day]), [requests(9)]);
        let text = serde_json::json!({"group": "g", "user": "u", "limits": []});
        assert_eq!(serde_json::from_value::<Membership>(text).unwrap().given, None);
    }

    #[test]
    fn an_alias_names_a_group_of_the_default_organization_only() {
        for (organization, label, is_in) in [
            ("default", "g-1", true),
            ("default", "research", true),
            ("default", "other", false),
            ("elsewhere", "g-1", true),
            ("elsewhere", "research", false),
        ] {
            let mut caller = Caller::operator(organization.into(), &[]);
            assert!(!caller.is_in_group(label));
            caller.labels = ["g-1", "research"].into_iter().map(Arc::from).collect();
            assert_eq!(caller.is_in_group(label), is_in, "{label} of {organization}");
        }
    }
}
