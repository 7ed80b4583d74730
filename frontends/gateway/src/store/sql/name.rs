//! What keys and groups are called, many at a time.

use sluicegate_core::{Error, ErrorKind, GroupId, KeyId, Result, User, UserId};

use super::directory::{keys_like, reach_of_groups, reach_of_keys, reach_of_users};
use super::row::Row;
use super::{Dialect, SqlStore, Where};
use crate::credential::KeyHash;
use crate::store::{GroupName, KeyFilter, KeyName, Listing, Page, Reach};

/// So many one statement asks for.
// BOUND: arguments of a statement.
pub(super) const NAMED_AT_ONCE: usize = 500;

impl SqlStore {
    pub(super) async fn find_key_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<KeyName>> {
        let mut names = Vec::with_capacity(ids.len());
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut find = Where::default();
            find.one_of("id", ids.iter().copied());
            reach_of_keys(&mut find, reach);
            let (sql, args) = find.wrap("SELECT id, hash, alias, group_id FROM sg_key", "");
            for row in self.fetch(sql, args).await? {
                names.push(key_name(row)?);
            }
        }
        Ok(names)
    }

    pub(super) async fn list_key_aliases(
        &self,
        filter: &KeyFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<String>> {
        let find = || {
            let mut find = keys_like(filter, reach);
            find.and("alias IS NOT NULL", []);
            find
        };
        // By the same order everywhere, whatever the database was made for.
        let order = match self.database.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "alias",
            #[cfg(feature = "postgres")]
            Dialect::Postgres => "alias COLLATE \"C\"",
        };
        let total = self.total(page, find(), "sg_key").await?;
        let (sql, args) = find().page("SELECT alias FROM sg_key", order, page);
        let items =
            self.fetch(sql, args).await?.into_iter().map(|mut row| row.text()).collect::<Result<_>>()?;
        Ok(Listing { items, total })
    }

    pub(super) async fn find_group_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<GroupName>> {
        let mut names = Vec::with_capacity(ids.len());
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut find = Where::default();
            find.one_of("id", ids.iter().copied());
            reach_of_groups(&mut find, reach);
            let (sql, args) = find.wrap("SELECT id, alias, organization_id FROM sg_group", "");
            for mut row in self.fetch(sql, args).await? {
                let (id, alias) = (GroupId::from(row.text()?), row.maybe_text()?);
                names.push(GroupName { id, alias, organization: row.text()?.into() });
            }
        }
        Ok(names)
    }

    pub(super) async fn find_user_addresses(
        &self,
        ids: &[&str],
        reach: &Reach,
    ) -> Result<Vec<(UserId, Option<String>)>> {
        let mut addresses = Vec::with_capacity(ids.len());
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut find = Where::default();
            find.one_of("id", ids.iter().copied());
            reach_of_users(&mut find, reach);
            let (sql, args) = find.wrap("SELECT body FROM sg_user", "");
            for mut row in self.fetch(sql, args).await? {
                let user: User = row.json()?;
                addresses.push((user.id, user.email));
            }
        }
        Ok(addresses)
    }
}

fn key_name(mut row: Row) -> Result<KeyName> {
    let (id, hash) = (KeyId::from(row.text()?), row.text()?);
    let hash = KeyHash::from_hex(&hash)
        .ok_or_else(|| Error::new(ErrorKind::Store, format!("the hash of key `{id}` can't be read")))?;
    Ok(KeyName { id, hash, alias: row.maybe_text()?, group: row.maybe_text()?.map(GroupId::from) })
}

/// What is searched of something: its id and its names, a line each.
pub(super) fn folded_names(parts: &[Option<&str>]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| folded(part.unwrap_or_default())).collect();
    parts.join("\n")
}

/// A text as it is searched: letter by letter, so that a part of it is folded as it is within the whole.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
