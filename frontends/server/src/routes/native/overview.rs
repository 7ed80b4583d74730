//! How things stand, at a glance.

use actix_web::http::Method;
use sluicegate::admin::{OverviewQuestion, REPORT_ROWS_MAX};
use sluicegate::{Error, ErrorKind, Result};

use super::{parameter, reports};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

/// So many groups, keys, models and limits are told where nothing else is asked for.
const TOP: usize = 5;

const QUERY: &[(&str, &str)] = &[
    (
        "from",
        "From the hour, day, week or month that this is in: a date, RFC 3339, or milliseconds. Default: as long ago as the granularity makes sensible.",
    ),
    ("to", "Up to this time; widened like `from`. Default: now."),
    (
        "granularity",
        "`hour`, `day`, `week` (from Monday), `month`, or `total` for sums without a course. Default day.",
    ),
    (
        "time_zone",
        "Whose hours and days they are, and dates in `from` and `to`, such as `Europe/Berlin`. Default: the gateway's.",
    ),
    ("top", "How many groups, keys, models and limits, 1 to 100. Default 5."),
    ("organization", "Of this organization."),
    ("group", "Of this group, by id or alias."),
];

pub(super) fn table() -> Vec<Entry> {
    vec![Entry {
        method: Method::GET,
        path: "/api/v1/reports/overview",
        make: || ask::route(Method::GET, overview),
        operation: Some(
            Operation::new(
                "getOverviewReport",
                "usage",
                "How things stand: what was used and how fast, over time and in the time before; who used the most; channels; limits close to their end.",
            )
            .query(QUERY)
            .answers(200, "OverviewReport"),
        ),
    }]
}

async fn overview(ask: Ask) -> Result<Done> {
    let known: Vec<&str> = QUERY.iter().map(|(name, _)| *name).collect();
    let query = reports::exactly(&ask, &known)?;
    let top = parameter(&query, "top").map_or(Ok(TOP), |text| reports::number("top", &text))?;
    if top == 0 || top > REPORT_ROWS_MAX {
        let message = format!("`top` must be 1 to {REPORT_ROWS_MAX}");
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "top"));
    }
    let mut usage = reports::question(&ask, &query).await?;
    usage.top = top;
    Done::ok(&ask.admin().overview(&ask.actor, &OverviewQuestion { usage, top }).await?)
}
