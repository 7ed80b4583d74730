//! What to look for, and how far one may look.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sluicegate_core::{
    ApiKey, CallId, ChannelId, Group, GroupId, KeyId, ModelName, OrganizationId, OutcomeClass, Role, Scope,
    ScopeKind, Timestamp, User, UserId,
};

use crate::credential::KeyHash;

/// How far somebody may look. Part of every query, so that what is out of reach looks like what doesn't exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Only this organization; `None` is all of them.
    pub organization: Option<OrganizationId>,
    /// Only this part of the organization; `None` is all of it.
    pub narrow: Option<Narrow>,
}

/// A part of an organization: what lies in any of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrow {
    /// What belongs to one of these groups.
    pub groups: Vec<GroupId>,
    /// What belongs to this user.
    pub user: Option<UserId>,
    /// This key.
    pub key: Option<KeyId>,
}

impl Narrow {
    /// Whether something of this group, of this user or of this key lies within.
    pub fn has(&self, group: Option<&GroupId>, user: Option<&UserId>, key: Option<&KeyId>) -> bool {
        group.is_some_and(|group| self.groups.contains(group))
            || (user.is_some() && user == self.user.as_ref())
            || (key.is_some() && key == self.key.as_ref())
    }
}

impl Reach {
    /// Everything.
    pub const ALL: Reach = Reach { organization: None, narrow: None };

    pub(super) fn organization_has(&self, organization: &OrganizationId) -> bool {
        self.organization.as_ref().is_none_or(|mine| mine == organization)
    }

    /// Whether a key lies within.
    pub fn has_key(&self, key: &ApiKey) -> bool {
        let has = |narrow: &Narrow| narrow.has(key.group.as_ref(), key.user.as_ref(), Some(&key.id));
        self.organization_has(&key.organization) && self.narrow.as_ref().is_none_or(has)
    }

    /// Whether a group lies within.
    pub fn has_group(&self, group: &Group) -> bool {
        let has = |narrow: &Narrow| narrow.has(Some(&group.id), None, None);
        self.organization_has(&group.organization) && self.narrow.as_ref().is_none_or(has)
    }

    /// Whether a user who is in these groups lies within.
    pub fn has_user(&self, user: &User, groups: &[GroupId]) -> bool {
        let has = |narrow: &Narrow| {
            narrow.has(None, Some(&user.id), None)
                || groups.iter().any(|group| narrow.has(Some(group), None, None))
        };
        self.organization_has(&user.organization) && self.narrow.as_ref().is_none_or(has)
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// How many at most; 1 to 1,000. Default 100.
    #[serde(default = "default_limit")]
    pub limit: u32,
    /// How many to leave out at the start. Default 0.
    #[serde(default)]
    pub offset: u64,
    /// In which order; `None` is the list's own.
    #[serde(skip)]
    pub order: Option<Order>,
    /// Whether nobody needs to know how many there are in all, which takes long where there are many: the total is 0 then.
    #[serde(skip)]
    pub uncounted: bool,
}

/// Where a sorted list of keys, groups or users goes on: behind this one, whether or not it is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// When it was made; when it was last changed, in a list that is sorted by that. In milliseconds.
    #[serde(default)]
    pub at: i64,
    /// Its name for people, in a list that is sorted by that.
    #[serde(default)]
    pub alias: Option<String>,
    /// Its id.
    pub id: String,
}

impl After {
    /// Behind an item of a list of this order.
    pub fn of(
        order: Option<Order>,
        (made_at, changed_at): (Timestamp, Timestamp),
        alias: Option<&str>,
        id: &str,
    ) -> Self {
        let by_change = order.is_some_and(|order| order.by == OrderBy::Updated);
        let at = if by_change { changed_at } else { made_at };
        Self { at: at.as_ms(), alias: alias.map(str::to_owned), id: id.to_owned() }
    }
}

/// How keys, groups and users are sorted, where it isn't newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: OrderBy,
    /// Whether the greatest comes first.
    pub down: bool,
}

/// What lists can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// When it was created.
    Created,
    /// When it was last changed.
    Updated,
    /// Its name for people; what has none comes first.
    Alias,
    /// Its id.
    Id,
}

impl Order {
    /// Reads `created_at`, `updated_at`, `alias` or `id`; a `-` before it turns the order round.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, down) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = match name {
            "created_at" => OrderBy::Created,
            "updated_at" => OrderBy::Updated,
            "alias" => OrderBy::Alias,
            "id" => OrderBy::Id,
            _ => return None,
        };
        Some(Self { by, down })
    }
}

fn default_limit() -> u32 {
    100
}

impl Page {
    /// No more than this many at a time.
    pub const MAX: u32 = 1_000;

    /// A page of so many, after so many.
    pub fn new(limit: u32, offset: u64) -> Self {
        Self { limit: limit.clamp(1, Self::MAX), offset, order: None, uncounted: false }
    }

    /// Page number `number`, counting from 1, of pages of `size`.
    pub fn numbered(number: u64, size: u32) -> Self {
        let page = Self::new(size, 0);
        Self { offset: number.saturating_sub(1).saturating_mul(u64::from(page.limit)), ..page }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: default_limit(), offset: 0, order: None, uncounted: false }
    }
}

/// A part of a list, and how long the whole is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// The part.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: u64,
}

impl<T> Listing<T> {
    /// The same list of other things.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(f).collect(), total: self.total }
    }
}

/// How a key is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// By its id.
    Id(KeyId),
    /// By its hash, or that of the credential itself.
    Hash(KeyHash),
    /// By its alias.
    Alias(String),
}

/// Of those that have limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// All.
    Any,
    /// Those of which something has been counted, as far as balances are stored.
    Used,
}

/// Which memberships.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberFilter<'a> {
    /// Of one of these groups.
    pub groups: Option<&'a [&'a str]>,
    /// Of one of these users.
    pub users: Option<&'a [&'a str]>,
    /// Of one of its groups, or of its user.
    pub within: Option<&'a Narrow>,
    /// Whose group or user is of this organization.
    pub organization: Option<&'a OrganizationId>,
    /// That have limits.
    pub limited: Option<Limited>,
}

/// Which keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// Of this group.
    pub group: Option<GroupId>,
    /// Of one of these groups; whatever group where none is named.
    #[serde(skip)]
    pub groups: Vec<GroupId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// With this text in id or alias, whatever its case.
    pub search: Option<String>,
    /// With exactly this alias.
    pub alias: Option<String>,
    /// With exactly this hash.
    pub hash: Option<KeyHash>,
    /// This one.
    #[serde(skip)]
    pub id: Option<KeyId>,
    /// That have limits.
    #[serde(skip)]
    pub limited: Option<Limited>,
    /// Behind this one; whatever a file declares is in front.
    #[serde(skip)]
    pub after: Option<After>,
}

/// Which groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// That this user is in.
    pub member: Option<UserId>,
    /// With this text in id or alias, whatever its case.
    pub search: Option<String>,
    /// This one.
    #[serde(skip)]
    pub id: Option<GroupId>,
    /// That have limits.
    #[serde(skip)]
    pub limited: Option<Limited>,
    /// Behind this one; whatever a file declares is in front.
    #[serde(skip)]
    pub after: Option<After>,
}

/// Which users.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// In this group.
    pub group: Option<GroupId>,
    /// With this e-mail address, whatever its case.
    pub email: Option<String>,
    /// With this text in the e-mail address, whatever its case.
    #[serde(skip)]
    pub address: Option<String>,
    /// With this text in id, alias or e-mail address, whatever its case.
    pub search: Option<String>,
    /// This one.
    #[serde(skip)]
    pub id: Option<UserId>,
    /// One of these; any where none is named.
    #[serde(skip)]
    pub ids: Vec<UserId>,
    /// That have limits.
    #[serde(skip)]
    pub limited: Option<Limited>,
    /// With one of these roles; whatever role where none is named.
    #[serde(skip)]
    pub roles: Vec<Role>,
    /// Behind this one; whatever a file declares is in front.
    #[serde(skip)]
    pub after: Option<After>,
}

/// The form in which an e-mail address is looked for, and is one user's alone: however it is written, the same people read it.
/// Beyond ASCII nothing is folded, as databases differ there.
pub fn folded_address(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// Which records. Times: from the first, included, to the second, excluded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordFilter {
    /// That began at this time or later.
    pub from: Option<Timestamp>,
    /// That began before this time.
    pub to: Option<Timestamp>,
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// Of this group.
    pub group: Option<GroupId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Of this key.
    pub key: Option<KeyId>,
    /// For this model, as requested.
    pub model: Option<ModelName>,
    /// Tried at this channel. In daily sums: with what was used there.
    pub channel: Option<ChannelId>,
    /// This one.
    pub call: Option<CallId>,
    /// That ended so. Daily sums don't know it.
    pub outcome: Option<OutcomeClass>,
    /// Of this end customer. Only daily sums know it, and not together with a tag.
    pub customer: Option<String>,
    /// With this tag. Only daily sums know it.
    pub tag: Option<String>,
    /// In daily sums: the rows behind the one of these values, in the order of what is told apart. Empty for all.
    #[serde(skip)]
    pub behind: Vec<String>,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// That happened at this time or later.
    pub from: Option<Timestamp>,
    /// That happened before this time.
    pub to: Option<Timestamp>,
    /// By this actor.
    pub actor: Option<String>,
    /// This action, or every action of a family: `key.` for all that happens to keys.
    pub action: Option<String>,
    /// To this.
    pub target: Option<String>,
    /// That touches this organization.
    pub organization: Option<OrganizationId>,
    /// That touches this group.
    pub group: Option<GroupId>,
    /// That touches this user.
    pub user: Option<UserId>,
    /// From this address.
    pub address: Option<String>,
    /// Before the event of this number: where the last page has ended. The total doesn't heed it.
    pub before: Option<i64>,
}

/// What daily sums can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// The day, as `YYYY-MM-DD`.
    Day,
    /// The organization.
    Organization,
    /// The group.
    Group,
    /// The user.
    User,
    /// The key.
    Key,
    /// The model, as requested.
    Model,
    /// The channel.
    Channel,
    /// The end customer. Calls without one aren't in such sums.
    Customer,
    /// The tag. A call with two is in both sums, one without is in none.
    Tag,
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Calls that were admitted.
    pub requests: i64,
    /// Calls that didn't end well.
    pub failures: i64,
    /// Attempts.
    pub attempts: i64,
    /// Input tokens, cached ones included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// Input tokens read from prompt caches.
    pub cache_read_tokens: i64,
    /// Input tokens written to prompt caches.
    pub cache_write_tokens: i64,
    /// What it cost the callers, in nano-USD.
    pub spend: i64,
    /// What it costs at list prices, in nano-USD.
    pub cost: i64,
    /// Calls, refused ones included.
    pub calls: i64,
    /// Calls that we refused.
    pub denials: i64,
    /// Output tokens of reasoning.
    pub reasoning_tokens: i64,
    /// How long the calls that ended well took, all together, in milliseconds.
    pub duration_ms: i64,
    /// Streams that had content.
    pub firsts: i64,
    /// How long those waited for it, all together, in milliseconds.
    pub first_ms: i64,
}

impl Sums {
    /// So many numbers there are.
    pub const COUNT: usize = 15;

    /// Adds another sum to this one. Saturates.
    pub fn add(&mut self, other: &Sums) {
        for (mine, theirs) in self.beside(other) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Takes another sum from this one. Saturates.
    pub fn subtract(&mut self, other: &Sums) {
        for (mine, theirs) in self.beside(other) {
            *mine = mine.saturating_sub(theirs);
        }
    }

    fn beside<'a>(&'a mut self, other: &Sums) -> [(&'a mut i64, i64); Self::COUNT] {
        [
            (&mut self.requests, other.requests),
            (&mut self.failures, other.failures),
            (&mut self.attempts, other.attempts),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.spend, other.spend),
            (&mut self.cost, other.cost),
            (&mut self.calls, other.calls),
            (&mut self.denials, other.denials),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.duration_ms, other.duration_ms),
            (&mut self.firsts, other.firsts),
            (&mut self.first_ms, other.first_ms),
        ]
    }

    /// Input and output tokens. Saturates.
    pub fn total_tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// Daily sums of one combination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DailyRow {
    /// The values of the dimensions asked for, in their order; empty for none (no group, no user).
    pub by: Vec<String>,
    /// What was used.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Whose use is summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A key's.
    Key(KeyId),
    /// A user's in a group.
    Membership(GroupId, UserId),
    /// A group's.
    Group(GroupId),
    /// A user's.
    User {
        /// Whose.
        user: UserId,
        /// Whether only keys without a group count: the use of the others is their group's.
        ungrouped: bool,
    },
    /// An organization's.
    Organization(OrganizationId),
    /// Everybody's.
    Global,
    /// A channel's: its requests are its attempts, its spend is at list prices.
    Channel(ChannelId),
}

impl Owner {
    /// The scope that counts the owner's use.
    pub fn scope(&self) -> Scope {
        match self {
            Owner::Key(id) => Scope::new(ScopeKind::Key, id.as_str()),
            Owner::Membership(group, user) => Scope::new(ScopeKind::Membership, format!("{group}/{user}")),
            Owner::Group(id) => Scope::new(ScopeKind::Group, id.as_str()),
            Owner::User { user, .. } => Scope::new(ScopeKind::User, user.as_str()),
            Owner::Organization(id) => Scope::new(ScopeKind::Organization, id.as_str()),
            Owner::Global => Scope::new(ScopeKind::Global, ""),
            Owner::Channel(id) => Scope::new(ScopeKind::Channel, id.as_str()),
        }
    }
}

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Since the first record.
    Ever,
    /// Since this day began.
    Day(Date),
    /// Since this instant.
    Instant(Timestamp),
}
