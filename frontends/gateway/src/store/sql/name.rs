//! What keys and groups are called, many at a time.

use sluicegate_core::{Error, ErrorKind, GroupId, KeyId, Result};

use super::directory::{reach_of_groups, reach_of_keys};
use super::row::Row;
use super::{SqlStore, Where};
use crate::credential::KeyHash;
use crate::store::{KeyName, Reach};

/// So many one statement asks for.
// BOUND: arguments of a statement.
const NAMED_AT_ONCE: usize = 500;

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

    pub(super) async fn find_group_names(
        &self,
        ids: &[&str],
        reach: &Reach,
    ) -> Result<Vec<(GroupId, Option<String>)>> {
        let mut names = Vec::with_capacity(ids.len());
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut find = Where::default();
            find.one_of("id", ids.iter().copied());
            reach_of_groups(&mut find, reach);
            let (sql, args) = find.wrap("SELECT id, alias FROM sg_group", "");
            for mut row in self.fetch(sql, args).await? {
                names.push((GroupId::from(row.text()?), row.maybe_text()?));
            }
        }
        Ok(names)
    }
}

fn key_name(mut row: Row) -> Result<KeyName> {
    let (id, hash) = (KeyId::from(row.text()?), row.text()?);
    let hash = KeyHash::from_hex(&hash)
        .ok_or_else(|| Error::new(ErrorKind::Store, format!("the hash of key `{id}` can't be read")))?;
    Ok(KeyName { id, hash, alias: row.maybe_text()?, group: row.maybe_text()?.map(GroupId::from) })
}
