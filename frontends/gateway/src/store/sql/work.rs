//! Who works on responses in the background.

use sluicegate_core::{Result, Timestamp};

use super::{SqlStore, Value};
use crate::store::{ResponseOwner, ResponseWork};

impl SqlStore {
    pub(super) async fn insert_work(
        &self,
        owner: &ResponseOwner,
        id: &str,
        worker: &str,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "INSERT INTO sg_response_work (owner, response_id, worker, seen_at, cancelled) VALUES ($1, $2, $3, $4, 0) \
                   ON CONFLICT (owner, response_id) DO NOTHING";
        let args = vec![owner.0.clone().into(), id.into(), worker.into(), now.as_ms().into()];
        self.change_work(sql, args).await.map(drop)
    }

    pub(super) async fn update_work(&self, worker: &str, now: Timestamp) -> Result<Vec<ResponseWork>> {
        let sql = "UPDATE sg_response_work SET seen_at = $2 WHERE worker = $1 RETURNING owner, response_id, cancelled";
        let mut session = self.database.begin().await?;
        let rows = session.query(sql.into(), vec![worker.into(), now.as_ms().into()]).await?;
        session.commit().await?;
        let work = |mut row: super::row::Row| {
            Ok(ResponseWork {
                owner: ResponseOwner(row.text()?.into()),
                id: row.text()?,
                cancelled: row.int()? != 0,
            })
        };
        rows.into_iter().map(work).collect()
    }

    pub(super) async fn find_work(&self, owner: &ResponseOwner, id: &str) -> Result<Option<Timestamp>> {
        let sql = "SELECT seen_at FROM sg_response_work WHERE owner = $1 AND response_id = $2";
        let rows = self.fetch(sql, vec![owner.0.clone().into(), id.into()]).await?;
        rows.into_iter().next().map(|mut row| row.int().map(Timestamp::from_ms)).transpose()
    }

    pub(super) async fn mark_work_cancelled(&self, owner: &ResponseOwner, id: &str) -> Result<bool> {
        let sql = "UPDATE sg_response_work SET cancelled = 1 WHERE owner = $1 AND response_id = $2";
        Ok(self.change_work(sql, vec![owner.0.clone().into(), id.into()]).await? > 0)
    }

    pub(super) async fn delete_work(&self, owner: &ResponseOwner, id: &str) -> Result<()> {
        let sql = "DELETE FROM sg_response_work WHERE owner = $1 AND response_id = $2";
        self.change_work(sql, vec![owner.0.clone().into(), id.into()]).await.map(drop)
    }

    pub(super) async fn delete_work_of(&self, worker: &str) -> Result<u64> {
        self.change_work("DELETE FROM sg_response_work WHERE worker = $1", vec![worker.into()]).await
    }

    async fn change_work(&self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        let mut session = self.database.begin().await?;
        let changed = session.execute(sql.into(), args).await?;
        session.commit().await?;
        Ok(changed)
    }
}
