//! Our own management API, `/api/v1`: thin translators over the service layer, described by the OpenAPI document.

mod account;
mod audit;
mod catalogue;
mod channels;
mod credentials;
mod docs;
mod explain;
mod groups;
mod keys;
mod ledger;
mod limits;
mod list;
mod named;
mod organizations;
mod overview;
mod policies;
mod records;
mod replay;
mod reports;
mod session;
mod system;
mod usage;
mod users;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluicegate::admin::{Actor, Admin, Limits};
use sluicegate::store::Page;
use sluicegate::{Error, ErrorKind, Limit, Result, Timestamp};

use crate::ask::{self, Ask, Done};
use crate::openapi::{self, Operation};
use crate::routes::Entry;

pub use keys::find_key;

/// Query parameters of every list.
const PAGE: [(&str, &str); 2] = [
    ("limit", "How many at most, 1 to 1,000. Default 100."),
    ("offset", "How many to leave out at the start. Default 0."),
];

/// Every route under `/api/v1`.
pub fn table() -> Vec<Entry> {
    let mut entries = vec![
        Entry {
            method: Method::GET,
            path: "/api/v1/openapi.json",
            make: || web::get().to(document),
            operation: Some(Operation::new("getOpenapi", "meta", "This document.").public()),
        },
        // Where tools look first.
        Entry {
            method: Method::GET,
            path: "/openapi.json",
            make: || web::get().to(document),
            operation: None,
        },
        Entry {
            method: Method::GET,
            path: "/api/v1/me",
            make: || ask::route(Method::GET, me),
            operation: Some(
                Operation::new("getMe", "meta", "Who asks, and what they may do.").answers(200, "Me"),
            ),
        },
    ];
    entries.extend(session::table());
    entries.extend(account::table());
    entries.extend(keys::table());
    entries.extend(groups::table());
    entries.extend(users::table());
    entries.extend(organizations::table());
    entries.extend(channels::table());
    entries.extend(catalogue::table());
    entries.extend(credentials::table());
    entries.extend(limits::table());
    entries.extend(named::table());
    entries.extend(policies::table());
    entries.extend(records::table());
    entries.extend(replay::table());
    entries.extend(usage::table());
    entries.extend(reports::table());
    entries.extend(overview::table());
    entries.extend(audit::table());
    entries.extend(ledger::table());
    entries.extend(explain::table());
    entries.extend(system::table());
    entries.extend(docs::table());
    entries
}

async fn document() -> HttpResponse {
    HttpResponse::Ok().insert_header(("content-type", "application/json")).body(openapi::document())
}

async fn me(ask: Ask) -> Result<Done> {
    Done::ok(&me_of(ask.admin(), &ask.actor).await?)
}

async fn me_of(admin: &Admin, actor: &Actor) -> Result<Value> {
    Ok(json!({
        "name": actor.name(),
        "role": actor.role(),
        "organization": actor.organization(),
        "organization_alias": admin.own_organization_alias(actor).await?,
        "user": actor.user(),
        "key": actor.key(),
        "groups": actor.member_of(),
        "administers": actor.admin_of(),
    }))
}

/// A thing as this API shows it: what requests call `models` and `limits` have the same name and form in answers.
fn present<T: Serialize>(view: &T, limits: &[Limit]) -> Result<Value> {
    let mut value = serde_json::to_value(view).map_err(unwritten)?;
    dress(&mut value, limits)?;
    Ok(value)
}

/// The same of what stands in an answer already.
fn dress(value: &mut Value, limits: &[Limit]) -> Result<()> {
    if let Some(map) = value.as_object_mut() {
        if let Some(access) = map.remove("access") {
            map.insert("models".to_owned(), access);
        }
        map.insert("limits".to_owned(), serde_json::to_value(Limits(limits.to_vec())).map_err(unwritten)?);
    }
    Ok(())
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error)
}

/// A list as this API shows it.
fn listing(items: Vec<Value>, total: u64) -> Value {
    json!({"items": items, "total": total})
}

/// A page of a list, as every list's query has it. Texts, since that is what queries hold.
#[derive(Clone, Debug, Default, Deserialize)]
struct PageQuery {
    limit: Option<String>,
    offset: Option<String>,
}

impl PageQuery {
    fn page(&self) -> Result<Page> {
        let number = |name: &str, text: &Option<String>, default: u64| match text {
            None => Ok(default),
            Some(text) => text.parse::<u64>().map_err(|_| {
                Error::new(ErrorKind::InvalidRequest, format!("`{name}` must be a whole number, 0 or more"))
            }),
        };
        let limit = number("limit", &self.limit, 100)?;
        Ok(Page::new(u32::try_from(limit).unwrap_or(Page::MAX), number("offset", &self.offset, 0)?))
    }
}

/// A query as its parameters; those that aren't named here are refused, so that a typing error doesn't list everything.
fn parameters(ask: &Ask, known: &[&str]) -> Result<Map<String, Value>> {
    let map: Map<String, Value> = ask.query()?;
    match map
        .keys()
        .find(|name| !known.contains(&name.as_str()) && !PAGE.iter().any(|(page, _)| page == name))
    {
        Some(name) => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("there is no parameter `{name}` here; there are {}, limit, offset", known.join(", ")),
        )),
        None => Ok(map),
    }
}

/// A parameter of a query; an empty one counts as none.
fn parameter(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn page(map: &Map<String, Value>) -> Result<Page> {
    PageQuery { limit: parameter(map, "limit"), offset: parameter(map, "offset") }.page()
}

/// A time: milliseconds since 1970, RFC 3339, or a day with or without a time, in UTC.
pub fn time(name: &str, text: &str) -> Result<Timestamp> {
    time_in(name, text, &TimeZone::UTC)
}

/// As [`time`], with days of a zone.
fn time_in(name: &str, text: &str, zone: &TimeZone) -> Result<Timestamp> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(Timestamp::from_ms(ms));
    }
    Timestamp::read(text, zone).ok_or_else(|| {
        let message = format!(
            "`{name}` must be a date such as 2026-11-23, a time such as 2026-11-23T10:00:00Z, or milliseconds"
        );
        Error::new(ErrorKind::InvalidRequest, message)
    })
}

#[cfg(test)]
mod tests;
