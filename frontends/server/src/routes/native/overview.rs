//! How things stand, at a glance.

use actix_web::http::Method;
use sluicegate::admin::{OverviewQuestion, REPORT_ROWS_MAX};
use sluicegate::{Error, ErrorKind, Result};

use super::parameter;
use super::reports::{self, TIME, WITHIN};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

/// So many groups, keys, models and limits are told where nothing else is asked for.
const TOP: usize = 5;

const QUERY: &[(&str, &str)] = &[
    TIME[0],
    TIME[1],
    TIME[2],
    TIME[3],
    ("top", "How many groups, keys, models and limits, 1 to 100. Default 5."),
    WITHIN[0],
    WITHIN[1],
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
