//! Every limit and how it stands.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{BUDGETS_MAX, LimitFilter, LimitView};
use sluicegate::{Error, ErrorKind, Metric, OrganizationId, Result, ScopeKind, UserId};

use super::{list, parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: [(&str, &str); 12] = [
    ("scope", "Of parties of this kind: key, membership, group, user, organization, global or channel."),
    ("id", "Of the party with this id; a membership's is GROUP/USER."),
    ("organization", "Within this organization."),
    ("group", "Of this group, its keys and its members; by id or alias."),
    ("user", "Of this user, their keys and memberships."),
    ("metric", "On this: requests, input_tokens, output_tokens, total_tokens, spend or concurrency."),
    ("min_used_percent", "Of which at least so much is used, reserved or held."),
    list::PARAMETERS[0],
    list::PARAMETERS[1],
    list::PARAMETERS[2],
    ("sort", "`-used`, those closest to their end first (the default); `resets_at`; or `scope`."),
    list::PARAMETERS[4],
];

/// The same of budgets, each of which is a series over time.
const BUDGET_QUERY: [(&str, &str); 12] = {
    let mut all = QUERY;
    all[7] = ("limit", "How many at most, 1 to 100. Default 100.");
    all[11] = (
        "format",
        "`json`, a page; `jsonl`, a JSON object a line; or `csv`. Files hold 1,000 budgets at most, and the header `x-sluicegate-next` says where they go on.",
    );
    all
};
/// Budgets in a file.
// BOUND: memory of an answer.
const BUDGET_FILE_MAX: usize = 1_000;

pub(super) fn table() -> Vec<Entry> {
    let budgets = Entry {
        method: Method::GET,
        path: "/api/v1/reports/budgets",
        make: || ask::route(Method::GET, budgets),
        operation: Some(
            Operation::new(
                "getBudgetReport",
                "usage",
                "Limits that the asker may see, how they were used up so far, and where that leads.",
            )
            .query(&BUDGET_QUERY)
            .answers(200, "BudgetList")
            .or_csv(),
        ),
    };
    let limits = Entry {
        method: Method::GET,
        path: "/api/v1/limits",
        make: || ask::route(Method::GET, limits),
        operation: Some(
            Operation::new(
                "listLimits",
                "usage",
                "Limits that the asker may see: what is used, reserved, held and left of each, and when it begins anew.",
            )
            .query(&QUERY)
            .answers(200, "LimitStandingList")
            .or_csv(),
        ),
    };
    vec![limits, budgets]
}

const NAMES: [&str; 10] = [
    "scope",
    "id",
    "organization",
    "group",
    "user",
    "metric",
    "min_used_percent",
    "cursor",
    "sort",
    "format",
];

async fn limits(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &NAMES)?;
    let (filter, order) = question(&ask, &query).await?;
    let all = ask.admin().all_limits(&ask.actor, &filter).await?;
    let fetch = async |spot: &list::Spot| {
        let (part, picked) = picked(spot, order, &all);
        Ok(part.of(picked.iter().map(|it| json!(it)).collect()))
    };
    list::answer(&ask, &query, "LimitStanding", fetch).await
}

async fn budgets(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &NAMES)?;
    let (filter, order) = question(&ask, &query).await?;
    let all = ask.admin().all_limits(&ask.actor, &filter).await?;
    let fetch = async |spot: &list::Spot| {
        let (part, picked) = picked(spot, order, &all);
        let budgets = ask.admin().budgets_of(&ask.actor, picked).await?;
        Ok(part.of(budgets.iter().map(|it| json!(it)).collect()))
    };
    list::answer_with((BUDGETS_MAX, BUDGET_FILE_MAX), &ask, &query, "Budget", fetch).await
}

/// What a list of limits is sorted by, if not by whose they are, and whether the greatest comes first.
type Order = (Option<&'static str>, bool);

/// A page of limits.
fn picked(spot: &list::Spot, (field, is_down): Order, all: &[LimitView]) -> (list::Part, Vec<LimitView>) {
    // Of each only what it is sorted by is written down, for there may be many.
    let mark = |it: &LimitView| {
        let state = &it.state;
        let told = json!({
            "scope": state.scope, "id": it.id, "metric": state.metric, "window": state.window, "model": state.model,
            "used_ppm": it.used_ppm, "resets_at": state.resets_at,
        });
        list::Mark::of(&told, field, &["scope", "id", "metric", "window", "model"])
    };
    let marked = all.iter().enumerate().map(|(at, it)| (mark(it), json!(at))).collect();
    let part = spot.of_marked(marked, is_down);
    let picked =
        part.items.iter().filter_map(|at| all.get(usize::try_from(at.as_u64()?).ok()?).cloned()).collect();
    (part, picked)
}

async fn question(ask: &Ask, query: &Map<String, Value>) -> Result<(LimitFilter, Order)> {
    let wrong = |param: &'static str, message: String| {
        Error::new(ErrorKind::InvalidRequest, message).with("param", param)
    };
    let kind = |text: String| {
        serde_json::from_value::<ScopeKind>(json!(text)).map_err(|_| {
            let known = "key, membership, group, user, organization, global and channel";
            wrong("scope", format!("`{text}` is no kind of party; there are {known}"))
        })
    };
    let metric = |text: String| {
        serde_json::from_value::<Metric>(json!(text)).map_err(|_| {
            let known = "requests, input_tokens, output_tokens, total_tokens, spend and concurrency";
            wrong("metric", format!("`{text}` is nothing that is limited; there are {known}"))
        })
    };
    let percent = |text: String| match text.parse::<u64>() {
        Ok(percent) => Ok(percent.saturating_mul(10_000)),
        Err(_) => Err(wrong("min_used_percent", format!("`{text}` is no whole number of percent"))),
    };
    let group = match parameter(query, "group") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    // The fullest first, where nothing else is said.
    let order = match parameter(query, "sort").as_deref() {
        None | Some("-used") => (Some("used_ppm"), true),
        Some("resets_at") => (Some("resets_at"), false),
        Some("scope") => (None, false),
        Some(other) => {
            let message = format!("limits aren't sorted by `{other}`; take -used, resets_at or scope");
            return Err(wrong("sort", message));
        }
    };
    let filter = LimitFilter {
        kind: parameter(query, "scope").map(kind).transpose()?,
        id: parameter(query, "id"),
        organization: parameter(query, "organization").map(OrganizationId::from),
        group,
        user: parameter(query, "user").map(UserId::from),
        metric: parameter(query, "metric").map(metric).transpose()?,
        min_used_ppm: parameter(query, "min_used_percent").map(percent).transpose()?,
        lasting: false,
    };
    Ok((filter, order))
}
