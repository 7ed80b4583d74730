//! What was used.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::SpendQuery;
use sluicegate::store::{Dimension, RecordFilter};
use sluicegate::{CallId, ChannelId, Error, ErrorKind, ModelName, OrganizationId, Result, UserId};

use super::{keys, list as lists, page, parameter, parameters, time};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const FILTER: [&str; 9] = ["from", "to", "organization", "group", "user", "key", "model", "channel", "call"];

const SPEND: &[(&str, &str)] = &[
    (
        "by",
        "What to tell apart, separated by commas: day, organization, group, user, key, model, channel, and customer or tag. Calls without an end customer, or without a tag, aren't in such sums; a call with two tags is in both. Default: one sum.",
    ),
    ("from", "From this day on."),
    ("to", "Before this time; widened to whole days."),
    ("organization", "Of this organization."),
    ("group", "Of this group, by id or alias."),
    ("user", "Of this user."),
    ("key", "Of this key."),
    ("model", "For this model, as requested."),
    ("channel", "What was used at this channel."),
    ("customer", "Of this end customer."),
    ("tag", "With this tag; not together with an end customer."),
    super::PAGE[0],
    super::PAGE[1],
    lists::PARAMETERS[2],
];

pub(super) fn table() -> Vec<Entry> {
    let get = |path, make, id, summary, query, answer| Entry {
        method: Method::GET,
        path,
        make,
        operation: Some(Operation::new(id, "usage", summary).query(query).answers(200, answer)),
    };
    vec![get(
        "/api/v1/spend",
        || ask::route(Method::GET, spend),
        "getSpend",
        "Daily sums of calls.",
        SPEND,
        "SpendList",
    )]
}

/// Which records a query asks for.
pub(super) async fn record_filter(ask: &Ask, query: &Map<String, Value>) -> Result<RecordFilter> {
    let at = |name| parameter(query, name).map(|text| time(name, &text)).transpose();
    let group = match parameter(query, "group") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let key = match parameter(query, "key") {
        Some(name) => Some(ask.admin().key(&ask.actor, &keys::find_key(ask, &name).await?).await?.key.id),
        None => None,
    };
    Ok(RecordFilter {
        from: at("from")?,
        to: at("to")?,
        organization: parameter(query, "organization").map(OrganizationId::from),
        group,
        user: parameter(query, "user").map(UserId::from),
        key,
        model: parameter(query, "model").map(ModelName::from),
        channel: parameter(query, "channel").map(ChannelId::from),
        call: parameter(query, "call").map(CallId::from),
        ..RecordFilter::default()
    })
}

async fn spend(ask: Ask) -> Result<Done> {
    let mut known = FILTER.to_vec();
    known.extend(["by", "customer", "tag", "cursor"]);
    let query = parameters(&ask, &known)?;
    let by = parameter(&query, "by").map(|text| dimensions(&text)).transpose()?.unwrap_or_default();
    let words = by.iter().map(word).collect::<Vec<_>>();
    let filter = RecordFilter {
        customer: parameter(&query, "customer"),
        tag: parameter(&query, "tag"),
        behind: lists::behind(&query, &words)?,
        ..record_filter(&ask, &query).await?
    };
    // One more than the page, to learn whether there is another.
    let asked = page(&query)?;
    let mut page = asked;
    page.limit += 1;
    let mut found = ask.admin().spend(&ask.actor, &SpendQuery { filter, by, page }).await?;
    let is_more = found.items.len() > asked.limit as usize;
    found.items.truncate(asked.limit as usize);
    let last = found.items.last().filter(|_| is_more);
    let next = last.and_then(|row| lists::next_behind(&words, &row.by));
    let items = found.items.iter().map(|row| {
        let named: Map<String, Value> =
            words.iter().cloned().zip(row.by.iter().map(|value| json!(value))).collect();
        let mut item = json!(row.sums);
        item["by"] = named.into();
        item
    });
    let items: Vec<Value> = items.collect();
    Done::ok(&json!({"items": items, "total": found.total, "next": next}))
}

fn dimensions(text: &str) -> Result<Vec<Dimension>> {
    let one = |word: &str| {
        serde_json::from_value(json!(word.trim())).map_err(|_| {
            let message = format!(
                "`{}` can't be told apart by; day, organization, group, user, key, model, channel, customer and tag can",
                word.trim()
            );
            Error::new(ErrorKind::InvalidRequest, message).with("param", "by")
        })
    };
    text.split(',').map(one).collect()
}

fn word(dimension: &Dimension) -> String {
    json!(dimension).as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_words() {
        let by = dimensions("day, model").unwrap();
        assert_eq!(by, [Dimension::Day, Dimension::Model]);
        assert_eq!(by.iter().map(word).collect::<Vec<_>>(), ["day", "model"]);
        assert!(dimensions("colour").is_err());
    }
}
