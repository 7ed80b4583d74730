//! The ledger, for operators.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{HeldFilter, Reconcile};
use sluicegate::core::{Scope, ScopeKind};
use sluicegate::{CallId, ChannelId, Error, ErrorKind, Result};

use super::{list, parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const HELD: &[(&str, &str)] = &[
    ("call", "Of this call."),
    (
        "scope",
        "That hold something of this scope's: its kind, and its id after a colon, such as `key:k1`; `global` has none.",
    ),
    ("channel", "At this channel."),
    list::PARAMETERS[0],
    list::PARAMETERS[1],
    list::PARAMETERS[2],
    list::PARAMETERS[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "ledger", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    vec![
        entry(
            Method::GET,
            "/api/v1/ledger",
            || ask::route(Method::GET, status),
            op("getLedger", "How the ledger and its journal stand.").answers(200, "LedgerStatus"),
        ),
        entry(
            Method::GET,
            "/api/v1/ledger/held",
            || ask::route(Method::GET, held),
            op("listHeld", "Reservations whose outcome nobody knows, oldest first.")
                .query(HELD)
                .answers(200, "HeldList")
                .or_csv(),
        ),
        entry(
            Method::POST,
            "/api/v1/ledger/held/{call}/reconcile",
            || ask::route(Method::POST, reconcile),
            op("reconcileHeld", "Settles a held reservation. Doing it again changes nothing.")
                .body("Reconcile")
                .answers(200, "Reconciled"),
        ),
        entry(
            Method::GET,
            "/api/v1/ledger/audit",
            || ask::route(Method::GET, audit),
            op("auditLedger", "Compares every balance with the usage records of its window.")
                .answers(200, "LedgerAudit"),
        ),
    ]
}

async fn status(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().ledger_status(&ask.actor).await?)
}

async fn held(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["call", "scope", "channel", "cursor", "format"])?;
    let held = ask.admin().all_held(&ask.actor, &filter(&query)?)?;
    let all: Vec<Value> = held.iter().map(|it| json!(it)).collect();
    let fetch = async |spot: &list::Spot| {
        let mark = |it: &Value| list::Mark::of(it, Some("since"), &["call", "id"]);
        Ok(spot.of_marked(all.iter().map(|it| (mark(it), it.clone())).collect(), false))
    };
    list::answer(&ask, &query, "Held", fetch).await
}

async fn reconcile(ask: Ask) -> Result<Done> {
    let how: Reconcile = ask.json()?;
    let call = CallId::from(ask.param("call"));
    Done::ok(&ask.admin().reconcile(&ask.actor, &call, &how).await?)
}

async fn audit(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().audit_ledger(&ask.actor).await?)
}

fn filter(query: &Map<String, Value>) -> Result<HeldFilter> {
    Ok(HeldFilter {
        call: parameter(query, "call").map(CallId::from),
        scope: parameter(query, "scope").map(|text| scope(&text)).transpose()?,
        channel: parameter(query, "channel").map(ChannelId::from),
    })
}

fn scope(text: &str) -> Result<Scope> {
    let (kind, id) = text.split_once(':').unwrap_or((text, ""));
    let kind: ScopeKind = serde_json::from_value(json!(kind)).map_err(|_| {
        let message = format!(
            "`{text}` is no scope; write its kind and its id, such as `key:k1`: key, membership, group, user, \
             organization, global, customer, tag or channel"
        );
        Error::new(ErrorKind::InvalidRequest, message).with("param", "scope")
    })?;
    Ok(Scope::new(kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read() {
        for (text, want) in [
            ("key:k1", Some((ScopeKind::Key, "k1"))),
            ("membership:g/u", Some((ScopeKind::Membership, "g/u"))),
            ("customer:a:b", Some((ScopeKind::Customer, "a:b"))),
            ("global", Some((ScopeKind::Global, ""))),
            ("team:x", None),
        ] {
            assert_eq!(scope(text).ok(), want.map(|(kind, id)| Scope::new(kind, id)), "{text}");
        }
    }
}
