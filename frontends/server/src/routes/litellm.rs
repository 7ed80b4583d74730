//! LiteLLM's management routes: its requests and rows, our service layer. What a request asks for and we don't have is
//! named in the answer (`warnings`, and the header `x-sluicegate-warnings`), never passed over in silence.

mod access_groups;
mod account;
mod activity;
mod audit;
pub mod budget;
pub mod contract;
mod cost;
pub(crate) mod credentials;
mod exception_report;
mod fallbacks;
pub mod fields;
mod invitations;
mod keys;
mod known;
mod model_report;
mod models;
mod named;
mod organizations;
pub mod registry;
mod route;
pub mod rows;
mod service;
mod set_back;
mod spend;
mod spend_report;
mod tag_report;
mod teams;
mod users;
mod utility;

use serde_json::{Map, Value, json};
use sluicegate::{Error, ErrorKind, Result};

use self::fields::{Fields, Query};
use super::native::find_key;
use crate::ask::{Ask, Done};
use crate::routes::Entry;

/// No page of theirs is larger.
const PAGE_MAX: u32 = 1_000;

/// Every route: those that are served, and those that say why they aren't. `others` are served elsewhere.
pub fn table(others: &[Entry]) -> Vec<Entry> {
    let mut entries = keys::table();
    entries.extend(teams::table());
    entries.extend(users::table());
    entries.extend(organizations::table());
    entries.extend(models::table());
    entries.extend(named::table());
    entries.extend(access_groups::table());
    entries.extend(credentials::table());
    entries.extend(spend::table());
    entries.extend(activity::table());
    entries.extend(spend_report::table());
    entries.extend(tag_report::table());
    entries.extend(model_report::table());
    entries.extend(exception_report::table());
    entries.extend(fallbacks::table());
    entries.extend(cost::table());
    entries.extend(utility::table());
    entries.extend(audit::table());
    entries.extend(account::table());
    entries.extend(invitations::table());
    entries.extend(service::table());
    entries.extend(registry::table());
    let is_elsewhere =
        |entry: &Entry| others.iter().any(|it| it.method == entry.method && it.path == entry.path);
    let unserved = registry::unserved(&entries).into_iter().filter(|entry| !is_elsewhere(entry));
    entries.extend(unserved.collect::<Vec<_>>());
    // The router takes the first path that fits: one without parameters is the closer one.
    entries.sort_by_key(|entry| entry.path.contains('{'));
    entries
}

/// The request's fields.
fn body(ask: &Ask) -> Result<Fields> {
    ask.json()
}

/// Parameters that are lists, separated by commas or one item each.
const LISTS: [&str; 13] = [
    "api_keys",
    "end_user_ids",
    "exclude_end_user_ids",
    "exclude_organization_ids",
    "exclude_tags",
    "exclude_team_ids",
    "exclude_user_ids",
    "models",
    "organization_ids",
    "tag_filters",
    "tags",
    "team_ids",
    "user_ids",
];

/// The request's parameters.
fn query(ask: &Ask) -> Result<Query> {
    ask.parameters(&LISTS).map(Query::new)
}

/// A row, with what had no effect.
fn warned(mut row: Map<String, Value>, warnings: Vec<String>) -> Result<Done> {
    if !warnings.is_empty() {
        row.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(Done::ok(&row)?.warning(warnings))
}

/// The same names, each once, in their order.
fn once(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// No more things are named at once than one step changes.
// BOUND: of one transaction.
const AT_ONCE: usize = 500;

/// Things that are named at once, unless they are too many.
fn at_once<T>(param: &'static str, named: Vec<T>) -> Result<Vec<T>> {
    match named.len() {
        ..=AT_ONCE => Ok(named),
        many => {
            let message = format!("`{param}` names {many}, and {AT_ONCE} at most can be named at once");
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", param))
        }
    }
}

/// An error after which not everything that was asked for is undone: it says what is done.
fn so_far(error: Error, done: &[String]) -> Error {
    if done.is_empty() {
        return error;
    }
    let message = format!("{}; done before that: {}", error.message(), done.join(", "));
    Error::new(error.kind(), message).with_source(error)
}

/// `page` and its size: which page, counting from 1, and of how many.
fn pages(query: &Query, size: &'static str, default: u32) -> Result<(u64, u32)> {
    let number = |name: &'static str, default: u64| match query.text(name) {
        None => Ok(default),
        Some(text) => text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| {
            Error::new(ErrorKind::InvalidRequest, format!("`{name}` must be a whole number, 1 or more"))
                .with(fields::VALIDATION, "value_error")
                .with(fields::INPUT, json!(text).to_string())
                .with("param", name)
        }),
    };
    let size = number(size, u64::from(default))?;
    Ok((number("page", 1)?, u32::try_from(size).unwrap_or(PAGE_MAX).min(PAGE_MAX)))
}
