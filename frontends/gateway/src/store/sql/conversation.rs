//! Conversations that callers make, and what is in them.

use sluicegate_core::{Result, Timestamp};

use super::response::know_owner;
use super::row::Row;
use super::{Dialect, Session, SqlStore, Value};
use crate::store::{
    Added, CONVERSATION_BYTES_MAX, CONVERSATION_ITEMS_MAX, ConversationItem, ConversationShare, Full,
    ItemPage, ItemsAsked, KeptConversation, ResponseOwner,
};

/// A page of items ends when it has so many bytes.
// BOUND: memory of a list.
const PAGE_BYTES: u64 = 8 << 20;

impl SqlStore {
    pub(super) async fn insert_conversation(
        &self,
        it: &KeptConversation,
        items: &[ConversationItem],
        most: ConversationShare,
    ) -> Result<Added> {
        let size = size_of(items);
        if let Some(full) = beyond_one(items.len() as u64, size) {
            return Ok(Added::Full(full));
        }
        let mut session = self.database.begin().await?;
        self.alone_for(&mut *session, &it.owner).await?;
        let has = share(&mut *session, &it.owner, it.created_at).await?;
        if has.conversations >= most.conversations {
            return Ok(Added::Full(Full::Conversations));
        }
        if has.bytes.saturating_add(size) > most.bytes {
            return Ok(Added::Full(Full::OwnerBytes));
        }
        let sql = "INSERT INTO sg_conversation (owner, id, created_at, expires_at, metadata, items, bytes, next_position) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $6)";
        let args: Vec<Value> = vec![
            it.owner.0.clone().into(),
            it.id.as_str().into(),
            it.created_at.as_ms().into(),
            it.expires_at.as_ms().into(),
            it.metadata.clone().into(),
            number(items.len() as u64).into(),
            number(size).into(),
        ];
        session.execute(sql.into(), args).await?;
        know_owner(&mut *session, &it.owner).await?;
        append(&mut *session, &it.owner, &it.id, items, 0).await?;
        session.commit().await?;
        Ok(Added::Yes)
    }

    pub(super) async fn find_kept_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptConversation>> {
        let sql = "SELECT created_at, expires_at, metadata, items, bytes FROM sg_conversation \
                   WHERE owner = $1 AND id = $2 AND expires_at > $3";
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into()];
        let Some(mut row) = self.fetch(sql.to_owned(), args).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(KeptConversation {
            owner: owner.clone(),
            id: id.to_owned(),
            created_at: Timestamp::from_ms(row.int()?),
            expires_at: Timestamp::from_ms(row.int()?),
            metadata: row.text()?.into(),
            items: count(row.int()?),
            bytes: count(row.int()?),
        }))
    }

    pub(super) async fn sum_conversations(
        &self,
        owner: &ResponseOwner,
        now: Timestamp,
    ) -> Result<ConversationShare> {
        // Each call in a conversation asks this: it mustn't wait for whoever writes.
        share(&mut *self.database.read().await?, owner, now).await
    }

    pub(super) async fn set_conversation_metadata(
        &self,
        owner: &ResponseOwner,
        id: &str,
        metadata: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "UPDATE sg_conversation SET metadata = $4 WHERE owner = $1 AND id = $2 AND expires_at > $3";
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into(), metadata.into()];
        let mut session = self.database.begin().await?;
        let changed = session.execute(sql.into(), args).await?;
        session.commit().await?;
        Ok(changed > 0)
    }

    pub(super) async fn delete_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "DELETE FROM sg_conversation WHERE owner = $1 AND id = $2 AND expires_at > $3";
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into()];
        let mut session = self.database.begin().await?;
        let gone = session.execute(sql.into(), args).await?;
        if gone > 0 {
            let sql = "DELETE FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2";
            session.execute(sql.into(), vec![owner.0.clone().into(), id.into()]).await?;
        }
        session.commit().await?;
        Ok(gone > 0)
    }

    pub(super) async fn find_conversation_items(
        &self,
        owner: &ResponseOwner,
        id: &str,
    ) -> Result<Option<Vec<ConversationItem>>> {
        // Sizes first: what is too much isn't read at all.
        let sql = "SELECT items, bytes FROM sg_conversation WHERE owner = $1 AND id = $2";
        let args: Vec<Value> = vec![owner.0.clone().into(), id.into()];
        if let Some(mut row) = self.fetch(sql.to_owned(), args.clone()).await?.into_iter().next()
            && beyond_one(count(row.int()?), count(row.int()?)).is_some()
        {
            return Ok(None);
        }
        let sql = "SELECT id, body FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2 ORDER BY position";
        self.fetch(sql.to_owned(), args).await?.into_iter().map(item).collect::<Result<_>>().map(Some)
    }

    pub(super) async fn find_conversation_page(
        &self,
        owner: &ResponseOwner,
        id: &str,
        asked: &ItemsAsked<'_>,
    ) -> Result<Option<ItemPage>> {
        let (first, order, beyond) = if asked.ascending { ("MIN", "ASC", ">") } else { ("MAX", "DESC", "<") };
        let mut args: Vec<Value> = vec![owner.0.clone().into(), id.into()];
        let own = "FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2";
        let mut from = String::new();
        if let Some(after) = asked.after {
            let sql = format!("SELECT COALESCE({first}(position), -1) {own} AND id = $3");
            let mut of = args.clone();
            of.push(after.into());
            let found = self.fetch(sql, of).await?.into_iter().next();
            let at = found.map_or(Ok(-1), |mut row| row.int())?;
            if at < 0 {
                return Ok(None);
            }
            from = format!("AND position {beyond} $3");
            args.push(at.into());
        }
        // Sizes first: a page has an end in bytes, too.
        let limit = asked.limit.max(1);
        let sql = format!("SELECT position, size {own} {from} ORDER BY position {order} LIMIT {}", limit + 1);
        let (mut last, mut taken, mut size, mut more) = (None, 0, 0u64, false);
        for mut row in self.fetch(sql, args.clone()).await? {
            let at = row.int()?;
            size = size.saturating_add(count(row.int()?));
            if taken == limit || taken > 0 && size > PAGE_BYTES {
                more = true;
                break;
            }
            (last, taken) = (Some(at), taken + 1);
        }
        let Some(last) = last else { return Ok(Some(ItemPage { items: Vec::new(), more })) };
        args.push(last.into());
        let upto = if asked.ascending { "<=" } else { ">=" };
        let sql = format!(
            "SELECT id, body {own} {from} AND position {upto} ${} ORDER BY position {order}",
            args.len()
        );
        let items = self.fetch(sql, args).await?.into_iter().map(item).collect::<Result<_>>()?;
        Ok(Some(ItemPage { items, more }))
    }

    pub(super) async fn find_conversation_item(
        &self,
        owner: &ResponseOwner,
        id: &str,
        item_id: &str,
    ) -> Result<Option<ConversationItem>> {
        let sql = "SELECT id, body FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2 AND id = $3 \
                   ORDER BY position LIMIT 1";
        let args = vec![owner.0.clone().into(), id.into(), item_id.into()];
        self.fetch(sql.to_owned(), args).await?.into_iter().next().map(item).transpose()
    }

    pub(super) async fn append_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        items: &[ConversationItem],
        (now, expires_at): (Timestamp, Timestamp),
        most: Option<ConversationShare>,
    ) -> Result<Added> {
        let size = size_of(items);
        let mut session = self.database.begin().await?;
        if most.is_some() {
            self.alone_for(&mut *session, owner).await?;
        }
        // It lives on from here; whoever appends at the same time waits for this row.
        let sql = "UPDATE sg_conversation SET expires_at = $4, items = items + $5, bytes = bytes + $6, \
                   next_position = next_position + $5 WHERE owner = $1 AND id = $2 AND expires_at > $3 \
                   RETURNING next_position, items, bytes";
        let args: Vec<Value> = vec![
            owner.0.clone().into(),
            id.into(),
            now.as_ms().into(),
            expires_at.as_ms().into(),
            number(items.len() as u64).into(),
            number(size).into(),
        ];
        let Some(mut row) = session.query(sql.into(), args).await?.into_iter().next() else {
            return Ok(Added::Missing);
        };
        let first = row.int()?.saturating_sub(number(items.len() as u64));
        if let Some(most) = most {
            // Nothing is committed of what doesn't fit.
            if let Some(full) = beyond_one(count(row.int()?), count(row.int()?)) {
                return Ok(Added::Full(full));
            }
            if share(&mut *session, owner, now).await?.bytes > most.bytes {
                return Ok(Added::Full(Full::OwnerBytes));
            }
        }
        append(&mut *session, owner, id, items, first).await?;
        session.commit().await?;
        Ok(Added::Yes)
    }

    pub(super) async fn delete_conversation_item(
        &self,
        owner: &ResponseOwner,
        id: &str,
        item: &str,
    ) -> Result<bool> {
        let args = || -> Vec<Value> { vec![owner.0.clone().into(), id.into()] };
        let mut session = self.database.begin().await?;
        // The conversation first, as whoever appends does.
        let sql = "UPDATE sg_conversation SET items = items WHERE owner = $1 AND id = $2";
        session.execute(sql.into(), args()).await?;
        let sql = "DELETE FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2 AND id = $3 RETURNING size";
        let mut which = args();
        which.push(item.into());
        let (mut gone, mut size) = (0i64, 0i64);
        for mut row in session.query(sql.into(), which).await? {
            (gone, size) = (gone + 1, size.saturating_add(row.int()?));
        }
        let sql =
            "UPDATE sg_conversation SET items = items - $3, bytes = bytes - $4 WHERE owner = $1 AND id = $2";
        let mut fewer = args();
        fewer.extend([gone.into(), size.into()]);
        session.execute(sql.into(), fewer).await?;
        session.commit().await?;
        Ok(gone > 0)
    }

    /// Whoever else adds to this owner's conversations waits until the transaction ends. One writer at a time has SQLite anyway.
    async fn alone_for(&self, session: &mut dyn Session, owner: &ResponseOwner) -> Result<()> {
        match self.database.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let _ = (session, owner);
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Dialect::Postgres => {
                let sql =
                    "SELECT CAST(pg_advisory_xact_lock(hashtext(current_schema()), hashtext($1)) AS TEXT)";
                session.query(sql.into(), vec![owner.0.clone().into()]).await.map(drop)
            }
        }
    }
}

/// What an owner has that isn't as good as gone.
async fn share(
    session: &mut dyn Session,
    owner: &ResponseOwner,
    now: Timestamp,
) -> Result<ConversationShare> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM sg_conversation WHERE owner = $1 AND expires_at > $2";
    let rows = session.query(sql.into(), vec![owner.0.clone().into(), now.as_ms().into()]).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(ConversationShare { conversations: 0, bytes: 0 });
    };
    Ok(ConversationShare { conversations: count(row.int()?), bytes: count(row.int()?) })
}

fn beyond_one(items: u64, bytes: u64) -> Option<Full> {
    if items > CONVERSATION_ITEMS_MAX {
        return Some(Full::Items);
    }
    (bytes > CONVERSATION_BYTES_MAX).then_some(Full::Bytes)
}

fn size_of(items: &[ConversationItem]) -> u64 {
    items.iter().fold(0, |sum, item| sum.saturating_add(item.body.len() as u64))
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}

fn item(mut row: Row) -> Result<ConversationItem> {
    Ok(ConversationItem { id: row.text()?, body: row.text()?.into() })
}

async fn append(
    session: &mut dyn Session,
    owner: &ResponseOwner,
    id: &str,
    items: &[ConversationItem],
    first: i64,
) -> Result<()> {
    for (position, item) in (first..).zip(items) {
        let sql = "INSERT INTO sg_conversation_item (owner, conversation_id, position, id, size, body) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let args: Vec<Value> = vec![
            owner.0.clone().into(),
            id.into(),
            position.into(),
            item.id.as_str().into(),
            number(item.body.len() as u64).into(),
            item.body.clone().into(),
        ];
        session.execute(sql.into(), args).await?;
    }
    Ok(())
}
