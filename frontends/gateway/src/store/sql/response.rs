//! Responses that callers want kept.

use sluicegate_core::{ChannelId, Result, Timestamp};

use super::row::Row;
use super::{Session, SqlStore, Value};
use crate::store::{KeptResponse, ResponseOwner};

/// A longer conversation isn't put together again.
// BOUND: of what one call makes the database read.
const TURNS_MAX: i64 = 1_024;

/// Nor a larger one: what is kept of a conversation, in bytes.
// BOUND: memory of a call that goes on from it.
const BYTES_MAX: i64 = 64 * 1024 * 1024;

const COLUMNS: &str =
    "id, previous_id, channel_id, conversation, unseen, created_at, expires_at, input, body";

impl SqlStore {
    pub(super) async fn insert_response(&self, it: &KeptResponse, items: &[String]) -> Result<()> {
        let sql = format!(
            "INSERT INTO sg_response (owner, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (owner, id) DO NOTHING"
        );
        let args: Vec<Value> = vec![
            it.owner.0.clone().into(),
            it.id.as_str().into(),
            it.previous.as_deref().into(),
            it.channel.as_str().into(),
            it.conversation.cast_signed().into(),
            i64::try_from(it.unseen).unwrap_or(i64::MAX).into(),
            it.created_at.as_ms().into(),
            it.expires_at.as_ms().into(),
            it.input.clone().into(),
            it.body.clone().into(),
        ];
        let mut session = self.database.begin().await?;
        let is_new = session.execute(sql.into(), args).await? > 0;
        if is_new {
            know_owner(&mut *session, &it.owner).await?;
        }
        for item in items.iter().filter(|_| is_new) {
            insert_item(&mut *session, it, item).await?;
        }
        session.commit().await
    }

    pub(super) async fn update_response(&self, it: &KeptResponse, items: &[String]) -> Result<bool> {
        let sql = "UPDATE sg_response SET unseen = $3, body = $4 WHERE owner = $1 AND id = $2";
        let args: Vec<Value> = vec![
            it.owner.0.clone().into(),
            it.id.as_str().into(),
            i64::try_from(it.unseen).unwrap_or(i64::MAX).into(),
            it.body.clone().into(),
        ];
        let mut session = self.database.begin().await?;
        let is_there = session.execute(sql.into(), args).await? > 0;
        for item in items.iter().filter(|_| is_there) {
            insert_item(&mut *session, it, item).await?;
        }
        session.commit().await?;
        Ok(is_there)
    }

    pub(super) async fn find_response_of_item(
        &self,
        owner: &ResponseOwner,
        item: &str,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>> {
        // BOUND: of what one call makes the database read: a row's input may have megabytes, and nobody asks for it here.
        let of = |it: &str| if it == "input" { "''".to_owned() } else { format!("r.{it}") };
        let columns = COLUMNS.split(", ").map(of).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT {columns} FROM sg_response r JOIN sg_response_item i ON i.owner = r.owner AND i.response_id = r.id \
             WHERE i.owner = $1 AND i.id = $2 AND r.expires_at > $3"
        );
        let args = vec![owner.0.clone().into(), item.into(), now.as_ms().into()];
        self.fetch(sql, args).await?.into_iter().next().map(|row| kept(owner, row)).transpose()
    }

    /// The response and those before it, the oldest first; none if one of them is missing.
    pub(super) async fn find_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Vec<KeptResponse>> {
        let of = |table: &str| {
            COLUMNS.split(", ").map(|it| format!("{table}.{it}")).collect::<Vec<_>>().join(", ")
        };
        let sql = format!(
            "WITH RECURSIVE turn AS (\
             SELECT {COLUMNS}, 0 AS depth, CAST(length(input) + length(body) AS BIGINT) AS size \
             FROM sg_response WHERE owner = $1 AND id = $2 AND expires_at > $3 \
             UNION ALL SELECT {}, turn.depth + 1, CAST(turn.size + length(r.input) + length(r.body) AS BIGINT) \
             FROM sg_response r JOIN turn ON r.id = turn.previous_id \
             WHERE r.owner = $1 AND r.expires_at > $3 AND turn.depth < {TURNS_MAX} AND turn.size < {BYTES_MAX}) \
             SELECT {COLUMNS} FROM turn ORDER BY depth DESC",
            of("r")
        );
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into()];
        let rows = self.fetch(sql, args).await?;
        let found: Vec<_> = rows.into_iter().map(|row| kept(owner, row)).collect::<Result<_>>()?;
        // What began it is gone, or too far away.
        Ok(if found.first().is_some_and(|first| first.previous.is_some()) { Vec::new() } else { found })
    }

    pub(super) async fn find_response(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>> {
        let sql =
            format!("SELECT {COLUMNS} FROM sg_response WHERE owner = $1 AND id = $2 AND expires_at > $3");
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into()];
        self.fetch(sql, args).await?.into_iter().next().map(|row| kept(owner, row)).transpose()
    }

    pub(super) async fn delete_response(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = "DELETE FROM sg_response WHERE owner = $1 AND id = $2 AND expires_at > $3";
        let args = vec![owner.0.clone().into(), id.into(), now.as_ms().into()];
        let mut session = self.database.begin().await?;
        let gone = session.execute(sql.into(), args).await?;
        if gone > 0 {
            let sql = "DELETE FROM sg_response_item WHERE owner = $1 AND response_id = $2";
            session.execute(sql.into(), vec![owner.0.clone().into(), id.into()]).await?;
        }
        session.commit().await?;
        Ok(gone > 0)
    }
}

/// Makes what is kept for a user be found by them.
pub(super) async fn know_owner(session: &mut dyn Session, owner: &ResponseOwner) -> Result<()> {
    let Some(user) = owner.user() else { return Ok(()) };
    let sql =
        "INSERT INTO sg_user_owner (user_id, owner) VALUES ($1, $2) ON CONFLICT (user_id, owner) DO NOTHING";
    session.execute(sql.into(), vec![user.into(), owner.0.clone().into()]).await.map(drop)
}

async fn insert_item(session: &mut dyn Session, it: &KeptResponse, item: &str) -> Result<()> {
    let sql = "INSERT INTO sg_response_item (owner, id, response_id, expires_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (owner, id) DO NOTHING";
    let args: Vec<Value> =
        vec![it.owner.0.clone().into(), item.into(), it.id.as_str().into(), it.expires_at.as_ms().into()];
    session.execute(sql.into(), args).await?;
    Ok(())
}

fn kept(owner: &ResponseOwner, mut row: Row) -> Result<KeptResponse> {
    Ok(KeptResponse {
        owner: owner.clone(),
        id: row.text()?,
        previous: row.maybe_text()?,
        channel: ChannelId::from(row.text()?.as_str()),
        conversation: row.int()?.cast_unsigned(),
        unseen: u64::try_from(row.int()?).unwrap_or_default(),
        created_at: Timestamp::from_ms(row.int()?),
        expires_at: Timestamp::from_ms(row.int()?),
        input: row.text()?.into(),
        body: row.text()?.into(),
    })
}
