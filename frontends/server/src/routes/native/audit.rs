//! Who changed what: listed, exported, verified.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::AuditAnchor;
use sluicegate::store::{AuditEvent, AuditFilter, Listing, Page};
use sluicegate::{Error, ErrorKind, OrganizationId, Result, UserId};

use super::{page, parameter, parameters, time};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;
use crate::table;

/// Events of one export; where it goes on is in a header.
// BOUND: memory of an answer.
const EXPORT_MAX: usize = 10_000;

const NAMES: [&str; 11] = [
    "from",
    "to",
    "actor",
    "action",
    "target",
    "organization",
    "group",
    "user",
    "address",
    "cursor",
    "format",
];

const FILTER: [(&str, &str); 10] = [
    ("from", "That happened at this time or later."),
    ("to", "That happened before this time."),
    ("actor", "By this actor."),
    ("action", "This action, or a family of them such as `key.`."),
    ("target", "To this."),
    ("organization", "That touches this organization."),
    ("group", "That touches this group, by id or alias."),
    ("user", "That touches this user."),
    ("address", "From this address."),
    ("cursor", "Where the last page said that the list goes on."),
];

const LIST: &[(&str, &str)] = &[
    FILTER[0],
    FILTER[1],
    FILTER[2],
    FILTER[3],
    FILTER[4],
    FILTER[5],
    FILTER[6],
    FILTER[7],
    FILTER[8],
    FILTER[9],
    super::PAGE[0],
    super::PAGE[1],
];

const EXPORT: &[(&str, &str)] = &[
    FILTER[0],
    FILTER[1],
    FILTER[2],
    FILTER[3],
    FILTER[4],
    FILTER[5],
    FILTER[6],
    FILTER[7],
    FILTER[8],
    FILTER[9],
    ("format", "`jsonl`, a JSON object a line, or `csv`. Default jsonl."),
];

const ANCHOR: &[(&str, &str)] = &[
    ("seq", "An anchor that was taken earlier, to be checked as well: its number."),
    ("mac", "Its code."),
    ("anchors", "Several of them: `SEQ:MAC`, separated by commas."),
];

pub(super) fn table() -> Vec<Entry> {
    let get = |path, make, id, summary, query| Entry {
        method: Method::GET,
        path,
        make,
        operation: Some(Operation::new(id, "audit", summary).query(query)),
    };
    let mut entries = vec![
        get(
            "/api/v1/audit",
            || ask::route(Method::GET, list),
            "listAudit",
            "What was changed by whom, newest first.",
            LIST,
        ),
        get(
            "/api/v1/audit/export",
            || ask::route(Method::GET, export),
            "exportAudit",
            "The same as a file; 10,000 events at most, and the header `x-sluicegate-next` says where it goes on.",
            EXPORT,
        ),
        get(
            "/api/v1/audit/anchor",
            || ask::route(Method::GET, anchor),
            "getAuditAnchor",
            "The newest event's number and code, to be kept elsewhere.",
            &[],
        ),
        get(
            "/api/v1/audit/verify",
            || ask::route(Method::GET, verify),
            "verifyAudit",
            "Checks every link of the audit trail, and an anchor.",
            ANCHOR,
        ),
    ];
    for (entry, schema) in
        entries.iter_mut().zip([Some("AuditList"), None, Some("AuditAnchor"), Some("AuditCheck")])
    {
        if let (Some(operation), Some(schema)) = (entry.operation, schema) {
            entry.operation = Some(operation.answers(200, schema));
        }
    }
    entries
}

async fn filter(ask: &Ask, query: &Map<String, Value>) -> Result<AuditFilter> {
    let at = |name| parameter(query, name).map(|text| time(name, &text)).transpose();
    let group = match parameter(query, "group") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let before = cursor(query)?.map(|(seq, _)| seq);
    Ok(AuditFilter {
        from: at("from")?,
        to: at("to")?,
        actor: parameter(query, "actor"),
        action: parameter(query, "action"),
        target: parameter(query, "target"),
        organization: parameter(query, "organization").map(OrganizationId::from),
        group,
        user: parameter(query, "user").map(UserId::from),
        address: parameter(query, "address"),
        before,
    })
}

/// Before which event a page begins, and how many there are in all, where the page before has told.
fn cursor(query: &Map<String, Value>) -> Result<Option<(i64, Option<u64>)>> {
    let Some(text) = parameter(query, "cursor") else { return Ok(None) };
    let (seq, total) = text.split_once('.').map_or((text.as_str(), None), |(seq, total)| (seq, Some(total)));
    match (seq.parse(), total.map(str::parse).transpose()) {
        (Ok(seq), Ok(total)) => Ok(Some((seq, total))),
        _ => {
            let message =
                "`cursor` must be what the last page gave as `next`; leave it out to begin at the newest";
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "cursor"))
        }
    }
}

/// Where a list goes on: before its last event, when the page was full.
fn next(listing: &Listing<AuditEvent>, limit: u32) -> Option<String> {
    let full = u32::try_from(listing.items.len()).is_ok_and(|len| len >= limit);
    listing.items.last().filter(|last| full && last.seq > 1).map(|last| last.seq.to_string())
}

async fn list(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &NAMES[..10])?;
    let (filter, page) = (filter(&ask, &query).await?, page(&query)?);
    // They are counted for the first page.
    let told = cursor(&query)?.and_then(|(_, total)| total);
    let page = Page { uncounted: told.is_some(), ..page };
    let found = ask.admin().events(&ask.actor, &filter, page).await?;
    let total = told.unwrap_or(found.total);
    let next = next(&found, page.limit).map(|seq| format!("{seq}.{total}"));
    Done::ok(&json!({"items": found.items, "total": total, "next": next}))
}

async fn export(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &NAMES)?;
    let mut filter = filter(&ask, &query).await?;
    let format = parameter(&query, "format").unwrap_or_else(|| "jsonl".to_owned());
    let is_csv = match format.as_str() {
        "csv" => true,
        "jsonl" => false,
        other => {
            let message = format!("`{other}` is no format of an export; take `jsonl` or `csv`");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "format"));
        }
    };
    let (mut text, mut count, mut on) = (String::new(), 0, None);
    if is_csv {
        table::row(&mut text, COLUMNS);
    }
    while count < EXPORT_MAX {
        let page = Page { uncounted: true, ..Page::new(Page::MAX, 0) };
        let found = ask.admin().events(&ask.actor, &filter, page).await?;
        count += found.items.len();
        for event in &found.items {
            if is_csv { csv(&mut text, event) } else { line(&mut text, event)? }
        }
        on = next(&found, Page::MAX);
        match found.items.last().filter(|_| on.is_some()) {
            Some(last) => filter.before = Some(last.seq),
            None => break,
        }
    }
    let done = if is_csv { Done::csv(text) } else { Done::lines(text) };
    Ok(done.next(on))
}

const COLUMNS: [&str; 12] = [
    "seq",
    "at",
    "actor",
    "action",
    "target",
    "organization",
    "group",
    "user",
    "address",
    "credential",
    "detail",
    "mac",
];

fn csv(text: &mut String, it: &AuditEvent) {
    let event = &it.event;
    let at = jiff::Timestamp::from_millisecond(event.at.as_ms())
        .map_or_else(|_| event.at.as_ms().to_string(), |at| at.to_string());
    let (seq, detail) = (it.seq.to_string(), event.detail.to_string());
    table::row(
        text,
        [
            &*seq,
            &at,
            &event.actor,
            &event.action,
            &event.target,
            event.organization.as_ref().map_or("", |id| id.as_str()),
            event.group.as_ref().map_or("", |id| id.as_str()),
            event.user.as_ref().map_or("", |id| id.as_str()),
            event.address.as_deref().unwrap_or_default(),
            event.credential.as_deref().unwrap_or_default(),
            &detail,
            &it.mac,
        ],
    );
}

fn line(text: &mut String, event: &AuditEvent) -> Result<()> {
    let written = serde_json::to_string(event)
        .map_err(|why| Error::new(ErrorKind::Internal, "an event couldn't be written").with_source(why))?;
    text.push_str(&written);
    text.push('\n');
    Ok(())
}

async fn anchor(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().audit_anchor(&ask.actor).await?)
}

fn parse_anchor(text: &str) -> Result<AuditAnchor> {
    let parts = text.split_once(':').and_then(|(seq, mac)| Some((seq.parse::<i64>().ok()?, mac.to_owned())));
    let (seq, mac) = parts.ok_or_else(|| {
        let message = format!("`{text}` is no anchor; write its number and its code as `SEQ:MAC`");
        Error::new(ErrorKind::InvalidRequest, message).with("param", "anchors")
    })?;
    Ok(AuditAnchor { seq, mac, ..AuditAnchor::default() })
}

async fn verify(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["seq", "mac", "anchors"])?;
    let mut anchors = match (parameter(&query, "seq"), parameter(&query, "mac")) {
        (None, None) => Vec::new(),
        (Some(seq), Some(mac)) => {
            let seq = seq.parse::<i64>().map_err(|_| {
                Error::new(ErrorKind::InvalidRequest, "`seq` must be the anchor's number")
                    .with("param", "seq")
            })?;
            vec![AuditAnchor { seq, mac, ..AuditAnchor::default() }]
        }
        _ => {
            let message = "an anchor is its `seq` and its `mac`; give both, or neither";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
    };
    // BOUND: the length of an address.
    for text in parameter(&query, "anchors").iter().flat_map(|all| all.split(',')) {
        anchors.push(parse_anchor(text)?);
    }
    Done::ok(&ask.admin().verify_audit(&ask.actor, &anchors).await?)
}
