//! Conversations that callers make, and what is in them.

use sluicegate_core::{Result, Timestamp};

use super::{Session, SqlStore, Value};
use crate::store::{ConversationItem, KeptConversation, ResponseOwner};

/// No more items of a conversation are read, nor more bytes of them: one more of each says that there are more.
// BOUND: of what one call makes the database read, and of the memory that it takes.
const ITEMS_MAX: i64 = 4_096;
const BYTES_MAX: i64 = 64 * 1024 * 1024;

impl SqlStore {
    pub(super) async fn insert_conversation(
        &self,
        it: &KeptConversation,
        items: &[ConversationItem],
    ) -> Result<()> {
        let sql = "INSERT INTO sg_conversation (owner, id, created_at, expires_at, metadata) VALUES ($1, $2, $3, $4, $5)";
        let args: Vec<Value> = vec![
            it.owner.0.clone().into(),
            it.id.as_str().into(),
            it.created_at.as_ms().into(),
            it.expires_at.as_ms().into(),
            it.metadata.clone().into(),
        ];
        let mut session = self.database.begin().await?;
        session.execute(sql.into(), args).await?;
        append(&mut *session, &it.owner, &it.id, items, 0, it.expires_at).await?;
        session.commit().await
    }

    pub(super) async fn find_kept_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptConversation>> {
        let sql = "SELECT created_at, expires_at, metadata FROM sg_conversation WHERE owner = $1 AND id = $2 AND expires_at > $3";
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
        }))
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
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(length(body)), 0) AS BIGINT) FROM sg_conversation_item \
                   WHERE owner = $1 AND conversation_id = $2";
        let args: Vec<Value> = vec![owner.0.clone().into(), id.into()];
        if let Some(mut row) = self.fetch(sql.to_owned(), args.clone()).await?.into_iter().next()
            && (row.int()? > ITEMS_MAX || row.int()? > BYTES_MAX)
        {
            return Ok(None);
        }
        let sql = "SELECT id, body FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2 ORDER BY position";
        let rows = self.fetch(sql.to_owned(), args).await?;
        let item =
            |mut row: super::row::Row| Ok(ConversationItem { id: row.text()?, body: row.text()?.into() });
        rows.into_iter().map(item).collect::<Result<_>>().map(Some)
    }

    pub(super) async fn append_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        items: &[ConversationItem],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let args = || -> Vec<Value> { vec![owner.0.clone().into(), id.into()] };
        let mut session = self.database.begin().await?;
        // It lives on from here; whoever appends at the same time waits for this row.
        let sql =
            "UPDATE sg_conversation SET expires_at = $4 WHERE owner = $1 AND id = $2 AND expires_at > $3";
        let mut longer = args();
        longer.extend([now.as_ms().into(), expires_at.as_ms().into()]);
        if session.execute(sql.into(), longer).await? == 0 {
            session.commit().await?;
            return Ok(false);
        }
        let sql = "UPDATE sg_conversation_item SET expires_at = $3 WHERE owner = $1 AND conversation_id = $2";
        let mut longer = args();
        longer.push(expires_at.as_ms().into());
        session.execute(sql.into(), longer).await?;
        let sql = "SELECT COALESCE(MAX(position), -1) FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2";
        let last = match session.query(sql.into(), args()).await?.into_iter().next() {
            Some(mut row) => row.int()?,
            None => -1,
        };
        append(&mut *session, owner, id, items, last + 1, expires_at).await?;
        session.commit().await?;
        Ok(true)
    }

    pub(super) async fn delete_conversation_item(
        &self,
        owner: &ResponseOwner,
        id: &str,
        item: &str,
    ) -> Result<bool> {
        let sql = "DELETE FROM sg_conversation_item WHERE owner = $1 AND conversation_id = $2 AND id = $3";
        let mut session = self.database.begin().await?;
        let gone = session.execute(sql.into(), vec![owner.0.clone().into(), id.into(), item.into()]).await?;
        session.commit().await?;
        Ok(gone > 0)
    }
}

async fn append(
    session: &mut dyn Session,
    owner: &ResponseOwner,
    id: &str,
    items: &[ConversationItem],
    first: i64,
    expires_at: Timestamp,
) -> Result<()> {
    for (position, item) in (first..).zip(items) {
        let sql = "INSERT INTO sg_conversation_item (owner, conversation_id, position, id, expires_at, body) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let args: Vec<Value> = vec![
            owner.0.clone().into(),
            id.into(),
            position.into(),
            item.id.as_str().into(),
            expires_at.as_ms().into(),
            item.body.clone().into(),
        ];
        session.execute(sql.into(), args).await?;
    }
    Ok(())
}
