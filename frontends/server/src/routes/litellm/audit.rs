//! `/audit`: the audit trail, in LiteLLM's rows.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::store::{AuditEvent, AuditFilter, Page};
use sluicegate::{Error, ErrorKind, Result};

use super::spend::at;
use super::{pages, query};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// Families of our actions, and LiteLLM's tables.
const TABLES: [(&str, &str); 6] = [
    ("key", "LiteLLM_VerificationToken"),
    ("group", "LiteLLM_TeamTable"),
    ("member", "LiteLLM_TeamMembership"),
    ("user", "LiteLLM_UserTable"),
    ("organization", "LiteLLM_OrganizationTable"),
    ("channel", "LiteLLM_ProxyModelTable"),
];

/// Our words for what was done, and LiteLLM's.
const ACTIONS: [(&str, &str); 6] = [
    ("create", "created"),
    ("update", "updated"),
    ("delete", "deleted"),
    ("block", "blocked"),
    ("unblock", "unblocked"),
    ("regenerate", "rotated"),
];

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::GET, "/audit", || ask::route(Method::GET, list)),
        Entry::plain(Method::GET, "/audit/{id}", || ask::route(Method::GET, one)),
    ]
}

/// The action that a table and a word of LiteLLM's name: one, or a family of them.
fn action(table: Option<&str>, word: Option<&str>) -> Result<Option<String>> {
    let wrong =
        |param, message: String| Err(Error::new(ErrorKind::InvalidRequest, message).with("param", param));
    let Some(table) = table else {
        return match word {
            None => Ok(None),
            Some(_) => wrong("action", "`action` is found together with `table_name`; name both".to_owned()),
        };
    };
    let Some((family, _)) = TABLES.iter().find(|(ours, theirs)| *theirs == table || *ours == table) else {
        let known: Vec<_> = TABLES.iter().map(|(_, theirs)| *theirs).collect();
        return wrong("table_name", format!("there is no table `{table}`; there are {}", known.join(", ")));
    };
    Ok(Some(match word {
        None => format!("{family}."),
        Some(word) => {
            let ours = ACTIONS.iter().find(|(_, theirs)| *theirs == word).map_or(word, |(ours, _)| *ours);
            format!("{family}.{ours}")
        }
    }))
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (number, size) = pages(&query, "page_size", 10)?;
    let filter = AuditFilter {
        from: at(&ask, &query, "start_date", false)?,
        to: at(&ask, &query, "end_date", true)?,
        actor: query.text("changed_by").map(str::to_owned),
        action: action(query.text("table_name"), query.text("action"))?,
        ..AuditFilter::default()
    };
    let found = ask.admin().events(&ask.actor, &filter, Page::numbered(number, size)).await?;
    Done::ok(&json!({
        "audit_logs": found.items.iter().map(row).collect::<Vec<_>>(),
        "total": found.total,
        "page": number,
        "page_size": size,
        "total_pages": found.total.div_ceil(u64::from(size)),
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn one(ask: Ask) -> Result<Done> {
    let (id, sent) = (ask.param("id"), query(&ask)?.finish()?);
    let unknown = || Error::new(ErrorKind::NotFound, format!("event `{id}` doesn't exist"));
    let seq: i64 = id.parse().map_err(|_| unknown())?;
    let filter = AuditFilter { before: Some(seq.saturating_add(1)), ..AuditFilter::default() };
    let page = Page { uncounted: true, ..Page::new(1, 0) };
    let found = ask.admin().events(&ask.actor, &filter, page).await?;
    let event = found.items.first().filter(|event| event.seq == seq).ok_or_else(unknown)?;
    Done::ok(&row(event)).map(|done| done.warning(sent))
}

fn row(it: &AuditEvent) -> Value {
    let event = &it.event;
    let (family, word) = event.action.split_once('.').unwrap_or((&event.action, ""));
    let table = TABLES.iter().find(|(ours, _)| *ours == family).map_or(family, |(_, theirs)| *theirs);
    let action = ACTIONS.iter().find(|(ours, _)| *ours == word).map_or(word, |(_, theirs)| *theirs);
    // What it was done to, without the word for what that is.
    let (before, after) = values(word, &event.detail);
    let object = event.target.split_once(' ').map_or(event.target.as_str(), |(_, id)| id);
    json!({
        "id": it.seq.to_string(),
        "updated_at": event.at.to_string(),
        "changed_by": event.actor,
        "changed_by_api_key": event.credential,
        "action": action,
        "table_name": table,
        "object_id": object,
        "before_value": before,
        "updated_values": after,
    })
}

/// What it was before, and what of it is another now. A change tells each thing that differs from what and to what; what was made
/// or removed is told whole.
fn values(word: &str, detail: &Value) -> (Value, Value) {
    if matches!(word, "delete" | "remove") {
        return (detail.clone(), json!({}));
    }
    let Value::Object(members) = detail else { return (Value::Null, detail.clone()) };
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, value) in members {
        match (value.get("from"), value.get("to")) {
            (Some(from), Some(to)) => {
                before.insert(name.clone(), from.clone());
                after.insert(name.clone(), to.clone());
            }
            _ => drop(after.insert(name.clone(), value.clone())),
        }
    }
    let before = if before.is_empty() { Value::Null } else { before.into() };
    (before, after.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_what_was_before_and_what_is_since() {
        let whole = json!({"id": "k1", "alias": "a"});
        for (word, detail, before, after) in [
            ("create", whole.clone(), Value::Null, whole.clone()),
            ("delete", whole.clone(), whole, json!({})),
            (
                "update",
                json!({"alias": {"from": null, "to": "b"}, "credential": "replaced"}),
                json!({"alias": null}),
                json!({"alias": "b", "credential": "replaced"}),
            ),
            ("test", Value::Null, Value::Null, Value::Null),
        ] {
            assert_eq!(values(word, &detail), (before, after), "{word} {detail}");
        }
    }

    #[test]
    fn tables_and_words_name_our_actions() {
        for (table, word, want) in [
            (None, None, None),
            (Some("LiteLLM_TeamTable"), None, Some("group.")),
            (Some("LiteLLM_VerificationToken"), Some("created"), Some("key.create")),
            (Some("key"), Some("set_back"), Some("key.set_back")),
        ] {
            assert_eq!(action(table, word).unwrap().as_deref(), want, "{table:?} {word:?}");
        }
        for (table, word, param) in [(None, Some("created"), "action"), (Some("Nothing"), None, "table_name")]
        {
            let error = action(table, word).unwrap_err();
            assert!(
                error.context().iter().any(|(name, value)| *name == "param" && value == param),
                "{error}"
            );
        }
    }
}
