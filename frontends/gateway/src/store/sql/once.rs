//! Requests that are to be done once.

use sluicegate_core::{Result, Timestamp};

use super::{SqlStore, Value};
use crate::store::Once;

impl SqlStore {
    pub(super) async fn take_once(
        &self,
        id: &str,
        request: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Once> {
        let mut session = self.database.begin().await?;
        let sql = "DELETE FROM sg_once WHERE id = $1 AND expires_at <= $2";
        session.execute(sql.into(), vec![id.into(), now.as_ms().into()]).await?;
        let sql =
            "INSERT INTO sg_once (id, request, expires_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
        let args = vec![id.into(), request.into(), until.as_ms().into()];
        let is_new = session.execute(sql.into(), args).await? > 0;
        let sql = "SELECT request, answer FROM sg_once WHERE id = $1";
        let rows = session.query(sql.into(), vec![id.into()]).await?;
        session.commit().await?;
        match rows.into_iter().next() {
            Some(mut row) if !is_new => Ok(Once::Known { request: row.text()?, answer: row.maybe_text()? }),
            _ => Ok(Once::New),
        }
    }

    pub(super) async fn answer_once(&self, id: &str, answer: &str) -> Result<()> {
        let sql = "UPDATE sg_once SET answer = $1 WHERE id = $2";
        self.once(sql, vec![answer.into(), id.into()]).await
    }

    pub(super) async fn forget_once(&self, id: &str) -> Result<()> {
        let sql = "DELETE FROM sg_once WHERE id = $1 AND answer IS NULL";
        self.once(sql, vec![id.into()]).await
    }

    async fn once(&self, sql: &'static str, args: Vec<Value>) -> Result<()> {
        let mut session = self.database.begin().await?;
        session.execute(sql.into(), args).await?;
        session.commit().await
    }
}
