//! The installation as a whole.

use actix_web::http::Method;
use sluicegate::Result;
use sluicegate::admin::SettingsPatch;

use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let op = |id, summary, answer| Operation::new(id, "meta", summary).answers(200, answer);
    vec![
        entry(
            Method::GET,
            "/api/v1/system",
            || ask::route(Method::GET, system),
            op("getSystem", "How the installation stands, seen from the node that answers.", "System"),
        ),
        entry(
            Method::GET,
            "/api/v1/settings",
            || ask::route(Method::GET, settings),
            op(
                "getSettings",
                "The settings in force that no other operation shows, none of them a secret, and those that may be changed.",
                "Settings",
            ),
        ),
        entry(
            Method::PATCH,
            "/api/v1/settings",
            || ask::route(Method::PATCH, change_settings),
            op(
                "updateSettings",
                "Changes settings that the file doesn't say, all or none; null takes one back to its default. In force at once.",
                "Settings",
            )
            .body("SettingsPatch"),
        ),
    ]
}

async fn system(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().system(&ask.actor).await?)
}

async fn settings(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().settings(&ask.actor).await?).map(Done::tagged)
}

async fn change_settings(ask: Ask) -> Result<Done> {
    let patch: SettingsPatch = ask.json()?;
    Done::ok(&ask.admin().change_settings(&ask.actor, patch).await?).map(Done::tagged)
}
