//! The installation as a whole.

use actix_web::http::Method;
use sluicegate::Result;

use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let entry = |path, make, id, summary, answer| Entry {
        method: Method::GET,
        path,
        make,
        operation: Some(Operation::new(id, "meta", summary).answers(200, answer)),
    };
    vec![
        entry(
            "/api/v1/system",
            || ask::route(Method::GET, system),
            "getSystem",
            "How the installation stands, seen from the node that answers.",
            "System",
        ),
        entry(
            "/api/v1/settings",
            || ask::route(Method::GET, settings),
            "getSettings",
            "The settings in force that no other operation shows. The file declares them; no secret is among them.",
            "Settings",
        ),
    ]
}

async fn system(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().system(&ask.actor).await?)
}

async fn settings(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().settings(&ask.actor)?)
}
