//! What goes along with what is removed, for the event that tells of it.

use serde_json::{Map, Value as Json, json};
use sluicegate_core::Result;

use super::{Session, Value};

/// So many of a kind are told by their ids; of all, how many there were.
// BOUND: of an event, whatever hung on what was removed.
const TOLD_MAX: u64 = 100;

/// What a step has removed that nobody named.
#[derive(Default)]
pub(super) struct Removed(Map<String, Json>);

/// Rows that go along: what they are called, where they are, what is told of each, and which they are.
pub(super) struct Along {
    pub(super) what: &'static str,
    pub(super) table: &'static str,
    pub(super) id: &'static str,
    pub(super) of: &'static str,
}

impl Removed {
    /// Removes rows, and remembers them.
    pub(super) async fn take(
        &mut self,
        session: &mut dyn Session,
        along: &Along,
        args: &[Value],
    ) -> Result<()> {
        let Along { what, table, id, of } = along;
        // All changes follow each other: nothing comes between this and its removal.
        let sql = format!("SELECT {id} FROM {table} WHERE {of} ORDER BY {id} LIMIT {TOLD_MAX}");
        let rows = session.query(sql.into(), args.to_vec()).await?;
        let ids = rows.into_iter().map(|mut row| row.text()).collect::<Result<Vec<_>>>()?;
        if *table == "sg_key" {
            let sql =
                format!("DELETE FROM sg_retired_hash WHERE key_id IN (SELECT id FROM sg_key WHERE {of})");
            session.execute(sql.into(), args.to_vec()).await?;
        }
        let count = session.execute(format!("DELETE FROM {table} WHERE {of}").into(), args.to_vec()).await?;
        if count > 0 {
            self.note(what, count, ids);
        }
        Ok(())
    }

    fn note(&mut self, what: &str, count: u64, ids: Vec<String>) {
        let known = self.0.entry(what).or_insert_with(|| json!({"count": 0, "ids": []}));
        let before = known["count"].as_u64().unwrap_or_default();
        known["count"] = before.saturating_add(count).into();
        if let Some(told) = known["ids"].as_array_mut() {
            let room = usize::try_from(TOLD_MAX).unwrap_or_default().saturating_sub(told.len());
            told.extend(ids.into_iter().take(room).map(Json::from));
        }
    }

    /// What an event tells of it, beside the rest.
    pub(super) fn told_in(self, detail: &mut Json) {
        if self.0.is_empty() {
            return;
        }
        if detail.is_null() {
            *detail = json!({});
        }
        if let Json::Object(detail) = detail {
            detail.insert("removed".to_owned(), self.0.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_first_hundred_are_told_and_how_many_there_were() {
        let mut removed = Removed::default();
        removed.note("keys", 70, (0..70).map(|n| format!("a{n:03}")).collect());
        removed.note("keys", 500, (0..100).map(|n| format!("b{n:03}")).collect());
        let mut detail = Json::Null;
        removed.told_in(&mut detail);
        let keys = &detail["removed"]["keys"];
        assert_eq!(keys["count"], 570);
        let ids = keys["ids"].as_array().unwrap();
        assert_eq!((ids.len(), &ids[70], &ids[99]), (100, &json!("b000"), &json!("b029")));
        let mut detail = json!({"id": "u1"});
        Removed::default().told_in(&mut detail);
        assert_eq!(detail, json!({"id": "u1"}));
    }
}
