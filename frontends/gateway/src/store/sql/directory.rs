//! Reading tenants, keys, channels and settings.

use sluicegate_core::{
    ApiKey, Channel, Error, ErrorKind, Group, GroupId, KeyId, Membership, Organization, OrganizationId,
    Result, Timestamp, User, UserId,
};

use super::change::word;
use super::name::{NAMED_AT_ONCE, folded};
use super::row::{Row, Value};
use super::{SqlStore, Where};
use crate::credential::KeyHash;
use crate::store::{
    After, GroupFilter, KeyFilter, KeyParts, KeyRef, Limited, Listing, MemberFilter, Narrow, Order, OrderBy,
    Page, Reach, Stored, StoredChannel, StoredKey, StoredPolicy, UserFilter, folded_address,
};

/// The columns that every stored thing has, in the order [`stored`] reads them.
pub(super) const STAMP: &str = "version, created_at, created_by, updated_at, updated_by, body";

/// What of a key isn't in its stamp, in the order [`stored_key`] reads it.
const KEY: &str = "SELECT hash, COALESCE(issuers, created_by), governed,";

/// Of things that share a name so many are looked up, and the ids of all but the last of them told.
const NAMESAKES: usize = 6;

impl SqlStore {
    pub(super) async fn find_key_by_hash(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyParts>> {
        // Two searches by primary key or unique index: an OR over both tables would scan one of them.
        let sql = "SELECT k.body, g.body, u.body, m.body, o.body, h.retires_at FROM (\
             SELECT id AS key_id, -1 AS retires_at FROM sg_key WHERE hash = $1 \
             UNION ALL SELECT key_id, retires_at FROM sg_retired_hash WHERE hash = $1 AND retires_at > $2) h \
             JOIN sg_key k ON k.id = h.key_id \
             LEFT JOIN sg_group g ON g.id = k.group_id \
             LEFT JOIN sg_user u ON u.id = k.user_id \
             LEFT JOIN sg_membership m ON m.group_id = k.group_id AND m.user_id = k.user_id \
             LEFT JOIN sg_organization o ON o.id = k.organization_id";
        let rows = self.fetch(sql, vec![hash.to_string().into(), now.as_ms().into()]).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        Ok(Some(KeyParts {
            key: row.json()?,
            group: row.maybe_json()?,
            user: row.maybe_json()?,
            membership: row.maybe_json()?,
            organization: row.maybe_json()?,
            retires_at: Some(row.int()?).filter(|ms| *ms >= 0).map(Timestamp::from_ms),
        }))
    }

    pub(super) async fn find_key(&self, key: &KeyRef, reach: &Reach) -> Result<Option<StoredKey>> {
        let found = match key {
            KeyRef::Id(id) => self.key_where("id = ?", id.as_str(), reach).await?,
            KeyRef::Hash(hash) => self.key_where("hash = ?", &hash.to_string(), reach).await?,
            KeyRef::Alias(alias) => self.key_where("alias = ?", alias, reach).await?,
        };
        match (found, key) {
            // One that it had before names it, too, unless another key has it now.
            (None, KeyRef::Hash(hash)) => {
                let retired = "id IN (SELECT r.key_id FROM sg_retired_hash r WHERE r.hash = ? \
                     AND NOT EXISTS (SELECT 1 FROM sg_key k WHERE k.hash = r.hash))";
                self.key_where(retired, &hash.to_string(), reach).await
            }
            (found, _) => Ok(found),
        }
    }

    async fn key_where(
        &self,
        condition: &'static str,
        value: &str,
        reach: &Reach,
    ) -> Result<Option<StoredKey>> {
        let mut find = Where::default();
        find.and(condition, [value.into()]);
        reach_of_keys(&mut find, reach);
        let (sql, args) =
            find.wrap(&format!("{KEY} {STAMP} FROM sg_key"), &format!(" ORDER BY id LIMIT {NAMESAKES}"));
        let found = self.fetch(sql, args).await?.into_iter().map(stored_key).collect::<Result<Vec<_>>>()?;
        // Only an alias, which is unique within an organization alone, can find several.
        only_one("key", value, found, |it| it.key.value.id.as_str())
    }

    pub(super) async fn list_keys(
        &self,
        filter: &KeyFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<StoredKey>> {
        let total = self.total(page, keys_like(filter, reach), "sg_key").await?;
        let mut find = keys_like(filter, reach);
        after(&mut find, page.order, filter.after.as_ref());
        let (sql, args) = find.page(&format!("{KEY} {STAMP} FROM sg_key"), order_of(page), page);
        let items = self.fetch(sql, args).await?.into_iter().map(stored_key).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn find_group(&self, id_or_alias: &str, reach: &Reach) -> Result<Option<Stored<Group>>> {
        let mut find = Where::default();
        find.and("(id = ? OR alias = ?)", [id_or_alias.into(), id_or_alias.into()]);
        reach_of_groups(&mut find, reach);
        let (sql, mut args) = find.wrap(&format!("SELECT {STAMP} FROM sg_group"), "");
        // An id comes before an alias that happens to be the same text.
        args.push(id_or_alias.into());
        let order =
            format!("{sql} ORDER BY CASE WHEN id = ${} THEN 0 ELSE 1 END, id LIMIT {NAMESAKES}", args.len());
        let rows = self.fetch(order, args).await?.into_iter();
        let mut found = rows.map(stored::<Group>).collect::<Result<Vec<_>>>()?;
        if found.first().is_some_and(|it| it.value.id.as_str() == id_or_alias) {
            found.truncate(1);
        }
        only_one("group", id_or_alias, found, |it| it.value.id.as_str())
    }

    pub(super) async fn list_groups(
        &self,
        filter: &GroupFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<Stored<Group>>> {
        let find = || {
            let mut find = Where::default();
            find.maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
                .maybe(
                    "id IN (SELECT group_id FROM sg_membership WHERE user_id = ?)",
                    filter.member.as_ref().map(UserId::as_str),
                );
            find.maybe("id = ?", filter.id.as_ref().map(GroupId::as_str));
            limited(&mut find, filter.limited, "id", "group");
            search(&mut find, filter.search.as_deref());
            reach_of_groups(&mut find, reach);
            find
        };
        let total = self.total(page, find(), "sg_group").await?;
        let mut find = find();
        after(&mut find, page.order, filter.after.as_ref());
        let (sql, args) = find.page(&format!("SELECT {STAMP} FROM sg_group"), order_of(page), page);
        let items = self.fetch(sql, args).await?.into_iter().map(stored).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn find_user(&self, id: &UserId, reach: &Reach) -> Result<Option<Stored<User>>> {
        let mut find = Where::default();
        find.and("id = ?", [id.as_str().into()]);
        reach_of_users(&mut find, reach);
        let (sql, args) = find.wrap(&format!("SELECT {STAMP} FROM sg_user"), "");
        self.fetch(sql, args).await?.into_iter().next().map(stored).transpose()
    }

    pub(super) async fn list_users(
        &self,
        filter: &UserFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<Stored<User>>> {
        let roles = filter.roles.iter().map(word).collect::<Result<Vec<_>>>()?;
        let find = || {
            let mut find = Where::default();
            find.maybe("organization_id = ?", filter.organization.as_ref().map(OrganizationId::as_str))
                .maybe("email = ?", filter.email.as_deref().map(folded_address))
                .maybe(
                    "id IN (SELECT user_id FROM sg_membership WHERE group_id = ?)",
                    filter.group.as_ref().map(GroupId::as_str),
                );
            find.maybe("id = ?", filter.id.as_ref().map(UserId::as_str));
            if !filter.ids.is_empty() {
                find.one_of("id", filter.ids.iter().map(UserId::as_str));
            }
            limited(&mut find, filter.limited, "id", "user");
            if !roles.is_empty() {
                find.one_of("role", roles.iter().map(String::as_str));
            }
            search(&mut find, filter.search.as_deref());
            let address = filter.address.as_deref().map(folded_address);
            part_of(&mut find, "email LIKE ? ESCAPE '\\'", address);
            reach_of_users(&mut find, reach);
            find
        };
        let total = self.total(page, find(), "sg_user").await?;
        let mut find = find();
        after(&mut find, page.order, filter.after.as_ref());
        let (sql, args) = find.page(&format!("SELECT {STAMP} FROM sg_user"), order_of(page), page);
        let items = self.fetch(sql, args).await?.into_iter().map(stored).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn list_memberships(
        &self,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Result<Vec<Stored<Membership>>> {
        let mut find = Where::default();
        find.maybe("group_id = ?", group.map(GroupId::as_str)).maybe("user_id = ?", user.map(UserId::as_str));
        let (sql, args) =
            find.wrap(&format!("SELECT {STAMP} FROM sg_membership"), " ORDER BY group_id, user_id");
        self.fetch(sql, args).await?.into_iter().map(stored).collect()
    }

    pub(super) async fn list_members(
        &self,
        filter: &MemberFilter<'_>,
        most: Option<u32>,
    ) -> Result<Vec<Stored<Membership>>> {
        let (groups, users) = (filter.groups.unwrap_or_default(), filter.users.unwrap_or_default());
        let (column, ids) = if filter.groups.is_some() { ("group_id", groups) } else { ("user_id", users) };
        let pieces: Vec<Option<&[&str]>> = match (filter.groups, filter.users) {
            (None, None) => vec![None],
            _ => ids.chunks(NAMED_AT_ONCE).map(Some).collect(),
        };
        let mut all = Vec::new();
        for piece in pieces {
            let mut find = Where::default();
            if let Some(piece) = piece {
                find.one_of(column, piece.iter().copied());
            }
            if filter.groups.is_some() && filter.users.is_some() {
                find.one_of("user_id", users.iter().copied());
            }
            if let Some(narrow) = filter.within {
                let reach =
                    Reach { organization: None, narrow: Some(Narrow { key: None, ..narrow.clone() }) };
                reach_of(&mut find, &reach, "group_id", "user_id", "");
            }
            if let Some(id) = filter.organization.map(OrganizationId::as_str) {
                let of = |table: &str| format!("IN (SELECT id FROM {table} WHERE organization_id = ?)");
                let condition = format!("(group_id {} OR user_id {})", of("sg_group"), of("sg_user"));
                find.and(&condition, [id.into(), id.into()]);
            }
            limited(&mut find, filter.limited, "group_id || '/' || user_id", "membership");
            let order = match most {
                None => " ORDER BY group_id, user_id".to_owned(),
                Some(most) => format!(" ORDER BY created_at DESC, group_id, user_id LIMIT {most}"),
            };
            let (sql, args) = find.wrap(&format!("SELECT {STAMP} FROM sg_membership"), &order);
            for row in self.fetch(sql, args).await? {
                all.push(stored(row)?);
            }
        }
        Ok(all)
    }

    pub(super) async fn find_organization(
        &self,
        id: &OrganizationId,
        reach: &Reach,
    ) -> Result<Option<Stored<Organization>>> {
        let mut find = Where::default();
        find.and("id = ?", [id.as_str().into()])
            .maybe("id = ?", reach.organization.as_ref().map(OrganizationId::as_str));
        let (sql, args) = find.wrap(&format!("SELECT {STAMP} FROM sg_organization"), "");
        self.fetch(sql, args).await?.into_iter().next().map(stored).transpose()
    }

    pub(super) async fn list_organizations(&self, reach: &Reach) -> Result<Vec<Stored<Organization>>> {
        let mut find = Where::default();
        find.maybe("id = ?", reach.organization.as_ref().map(OrganizationId::as_str));
        let (sql, args) = find.wrap(&format!("SELECT {STAMP} FROM sg_organization"), " ORDER BY id");
        self.fetch(sql, args).await?.into_iter().map(stored).collect()
    }

    pub(super) async fn list_channels(&self) -> Result<Vec<StoredChannel>> {
        let rows =
            self.fetch(format!("SELECT secret, {STAMP} FROM sg_channel ORDER BY id"), Vec::new()).await?;
        let channel = |mut row: Row| {
            let secret = row.maybe_text()?;
            Ok(StoredChannel { secret, channel: stored::<Channel>(row)? })
        };
        rows.into_iter().map(channel).collect()
    }

    pub(super) async fn list_policies(&self) -> Result<Vec<Stored<StoredPolicy>>> {
        let rows = self.fetch(format!("SELECT {STAMP} FROM sg_policy ORDER BY name"), Vec::new()).await?;
        rows.into_iter().map(stored).collect()
    }

    pub(super) async fn list_settings(
        &self,
        name: Option<&str>,
    ) -> Result<Vec<(String, Stored<serde_json::Value>)>> {
        let mut find = Where::default();
        find.maybe("name = ?", name);
        let (sql, args) = find.wrap(&format!("SELECT name, {STAMP} FROM sg_setting"), " ORDER BY name");
        let setting = |mut row: Row| Ok((row.text()?, stored(row)?));
        self.fetch(sql, args).await?.into_iter().map(setting).collect()
    }

    /// How many there are, if anybody asks.
    pub(super) async fn total(&self, page: Page, find: Where, table: &str) -> Result<u64> {
        if page.uncounted { Ok(0) } else { self.count(find, table).await }
    }

    async fn count(&self, find: Where, table: &str) -> Result<u64> {
        let (sql, args) = find.wrap(&format!("SELECT COUNT(*) FROM {table}"), "");
        let rows = self.fetch(sql, args).await?;
        let count = rows.into_iter().next().map(|mut row| row.int()).transpose()?.unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// The keys that a filter means, within reach.
pub(super) fn keys_like(filter: &KeyFilter, reach: &Reach) -> Where {
    let mut find = Where::default();
    let is_of_few = filter.group.is_some()
        || filter.user.is_some()
        || filter.alias.is_some()
        || filter.hash.is_some()
        || filter.id.is_some()
        || reach.narrow.is_some();
    for organization in [&filter.organization, &reach.organization] {
        of_organization(&mut find, organization.as_ref(), is_of_few);
    }
    find.maybe("group_id = ?", filter.group.as_ref().map(GroupId::as_str))
        .maybe("user_id = ?", filter.user.as_ref().map(UserId::as_str))
        .maybe("alias = ?", filter.alias.as_deref())
        .maybe("hash = ?", filter.hash.map(|hash| hash.to_string()))
        .maybe("id = ?", filter.id.as_ref().map(KeyId::as_str));
    if !filter.groups.is_empty() {
        find.one_of("group_id", filter.groups.iter().map(GroupId::as_str));
    }
    limited(&mut find, filter.limited, "id", "key");
    search(&mut find, filter.search.as_deref());
    narrowed(&mut find, reach, "group_id", "user_id", "id");
    find
}

/// Only those that have limits: whose scope is of this kind, and called so.
fn limited(find: &mut Where, which: Option<Limited>, name: &str, kind: &'static str) {
    let Some(which) = which else { return };
    // As the index says it.
    find.and("limited = 1", []);
    if which == Limited::Used {
        let sql = "SELECT scope_id FROM sg_balance WHERE scope_kind = ? AND (settled <> 0 OR held <> 0)";
        find.and(&format!("({name}) IN ({sql})"), [kind.into()]);
    }
}

/// Only what comes behind something, in the order of [`order_of`].
fn after(find: &mut Where, order: Option<Order>, after: Option<&After>) {
    let Some(after) = after else { return };
    let Order { by, down } = order.unwrap_or(Order { by: OrderBy::Created, down: true });
    let (column, place): (_, Value) = match by {
        OrderBy::Created => ("created_at", after.at.into()),
        OrderBy::Updated => ("updated_at", after.at.into()),
        OrderBy::Alias => (ALIAS, after.alias.as_deref().unwrap_or_default().into()),
        OrderBy::Id => {
            find.and(if down { "id < ?" } else { "id > ?" }, [after.id.as_str().into()]);
            return;
        }
    };
    if by != OrderBy::Alias {
        // What an index is searched by: none is by an alternative.
        find.and(&format!("{column} {} ?", if down { "<=" } else { ">=" }), [place.clone()]);
    }
    let place_of = if by == OrderBy::Alias { "LOWER(CAST(? AS TEXT))" } else { "?" };
    let beyond = if down { '<' } else { '>' };
    let condition = format!("({column} {beyond} {place_of} OR ({column} = {place_of} AND id > ?))");
    find.and(&condition, [place.clone(), place, after.id.as_str().into()]);
}

/// What a list is sorted by that is sorted by names: databases don't agree on where nothing comes.
const ALIAS: &str = "COALESCE(LOWER(alias), '')";

/// The order of a list, by columns that keys, groups and users have.
fn order_of(page: Page) -> &'static str {
    match page.order.map(|Order { by, down }| (by, down)) {
        None | Some((OrderBy::Created, true)) => "created_at DESC, id",
        Some((OrderBy::Created, false)) => "created_at, id",
        Some((OrderBy::Updated, true)) => "updated_at DESC, id",
        Some((OrderBy::Updated, false)) => "updated_at, id",
        Some((OrderBy::Alias, true)) => "COALESCE(LOWER(alias), '') DESC, id",
        Some((OrderBy::Alias, false)) => "COALESCE(LOWER(alias), ''), id",
        Some((OrderBy::Id, true)) => "id DESC",
        Some((OrderBy::Id, false)) => "id",
    }
}

pub(super) fn stored<T: serde::de::DeserializeOwned>(mut row: Row) -> Result<Stored<T>> {
    Ok(Stored {
        version: row.int()?,
        created_at: Timestamp::from_ms(row.int()?),
        created_by: row.text()?,
        updated_at: Timestamp::from_ms(row.int()?),
        updated_by: row.text()?,
        value: row.json()?,
    })
}

/// The one that was found. Of several nobody is taken for the one that was meant.
fn only_one<T>(what: &str, name: &str, mut found: Vec<T>, id: impl Fn(&T) -> &str) -> Result<Option<T>> {
    if found.len() <= 1 {
        return Ok(found.pop());
    }
    let mut ids: Vec<String> = found.iter().take(NAMESAKES - 1).map(|it| format!("`{}`", id(it))).collect();
    if found.len() == NAMESAKES {
        ids.push("…".to_owned());
    }
    let message = format!("more than one {what} is called `{name}`: {}; name it by its id", ids.join(", "));
    Err(Error::new(ErrorKind::Conflict, message))
}

fn stored_key(mut row: Row) -> Result<StoredKey> {
    let hash = row.text()?;
    let hash = KeyHash::from_hex(&hash).ok_or_else(|| {
        sluicegate_core::Error::new(sluicegate_core::ErrorKind::Store, "a stored key's hash can't be read")
    })?;
    let (issuers, governed) = (row.text()?, row.int()? != 0);
    Ok(StoredKey { hash, issuers, governed, key: stored::<ApiKey>(row)? })
}

fn search(find: &mut Where, text: Option<&str>) {
    part_of(find, "names LIKE ? ESCAPE '\\'", text.map(folded));
}

/// What has a text in it, as it is kept folded.
fn part_of(find: &mut Where, condition: &'static str, text: Option<String>) {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return };
    let escaped: String = text
        .chars()
        .flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    find.and(condition, [format!("%{escaped}%").into()]);
}

/// `organization_id = ? AND (first IN (…) OR …)`: the part of an organization that somebody may see.
pub(super) fn reach_of(find: &mut Where, reach: &Reach, group: &str, user: &str, key: &str) {
    of_organization(find, reach.organization.as_ref(), false);
    narrowed(find, reach, group, user, key);
}

/// Only what is an organization's. Of what other conditions leave few the organization's are gone through by no index: SQLite would
/// take that for as good as theirs.
pub(super) fn of_organization(find: &mut Where, id: Option<&OrganizationId>, is_of_few: bool) {
    let condition = if is_of_few { "(organization_id || '') = ?" } else { "organization_id = ?" };
    find.maybe(condition, id.map(OrganizationId::as_str));
}

/// `(first IN (…) OR …)`: the part of an organization that somebody may see.
pub(super) fn narrowed(find: &mut Where, reach: &Reach, group: &str, user: &str, key: &str) {
    let Some(narrow) = &reach.narrow else { return };
    let (mut any, mut args) = (Vec::new(), Vec::new());
    if !narrow.groups.is_empty() && !group.is_empty() {
        any.push(format!("{group} IN ({})", vec!["?"; narrow.groups.len()].join(", ")));
        args.extend(narrow.groups.iter().map(|group| Value::from(group.as_str())));
    }
    let user = narrow.user.as_ref().filter(|_| !user.is_empty()).map(|id| (user, id.as_str()));
    let key = narrow.key.as_ref().filter(|_| !key.is_empty()).map(|id| (key, id.as_str()));
    for (column, id) in user.into_iter().chain(key) {
        any.push(format!("{column} = ?"));
        args.push(id.into());
    }
    match any.is_empty() {
        true => find.and("1 = 0", []),
        false => find.and(&format!("({})", any.join(" OR ")), args),
    };
}

/// Of keys that are named.
pub(super) fn reach_of_keys(find: &mut Where, reach: &Reach) {
    of_organization(find, reach.organization.as_ref(), true);
    narrowed(find, reach, "group_id", "user_id", "id");
}

pub(super) fn reach_of_groups(find: &mut Where, reach: &Reach) {
    reach_of(find, reach, "id", "", "");
}

pub(super) fn reach_of_users(find: &mut Where, reach: &Reach) {
    find.maybe("organization_id = ?", reach.organization.as_ref().map(OrganizationId::as_str));
    let Some(narrow) = &reach.narrow else { return };
    let (mut any, mut args) = (vec!["1 = 0".to_owned()], Vec::new());
    if let Some(user) = &narrow.user {
        any.push("id = ?".to_owned());
        args.push(Value::from(user.as_str()));
    }
    if !narrow.groups.is_empty() {
        let marks = vec!["?"; narrow.groups.len()].join(", ");
        any.push(format!("id IN (SELECT user_id FROM sg_membership WHERE group_id IN ({marks}))"));
        args.extend(narrow.groups.iter().map(|group| Value::from(group.as_str())));
    }
    find.and(&format!("({})", any.join(" OR ")), args);
}
