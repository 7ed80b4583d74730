//! What would recorded calls have come to? A replay, how far it is, and its end before its time.

use actix_web::http::Method;
use serde_json::json;
use sluicegate::Result;
use sluicegate::admin::ReplayUnderWay;

use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry {
            method: Method::POST,
            path: "/api/v1/replay",
            make: || ask::route(Method::POST, replay),
            operation: Some(
                Operation::new(
                    "replay",
                    "routing",
                    "What would recorded calls have come to under other policies? Nothing is sent, charged or written.",
                )
                .body("ReplayQuestion")
                .answers(200, "ReplayReport")
                .or_csv(),
            ),
        },
        Entry {
            method: Method::GET,
            path: "/api/v1/replay",
            make: || ask::route(Method::GET, under_way),
            operation: Some(
                Operation::new("getReplay", "routing", "How far the replay is that is running, if there is one.")
                    .answers(200, "ReplayState"),
            ),
        },
        Entry {
            method: Method::DELETE,
            path: "/api/v1/replay",
            make: || ask::route(Method::DELETE, stop),
            operation: Some(
                Operation::new("stopReplay", "routing", "Stops the replay that is running, whoever asked for it.")
                    .answers_nothing(204),
            ),
        },
    ]
}

async fn replay(ask: Ask) -> Result<Done> {
    let done = ask.admin().replay(&ask.actor, ask.json()?).await?;
    if ask.wants_csv() { Ok(Done::csv(done.to_csv())) } else { Done::ok(&done.to_json()) }
}

async fn under_way(ask: Ask) -> Result<Done> {
    let running = ask.admin().replay_under_way(&ask.actor)?.map(|it| {
        let ReplayUnderWay { began_at, by, course } = it;
        json!({
            "began_at": began_at,
            "by": by,
            "phase": course.map(|it| it.phase),
            "done": course.map_or(0, |it| it.done),
            "of": course.and_then(|it| it.of),
            "at": course.map(|it| it.at),
            "share_ppm": course.map_or(0, |it| it.share_ppm),
        })
    });
    Done::ok(&json!({"running": running}))
}

async fn stop(ask: Ask) -> Result<Done> {
    ask.admin().stop_replay(&ask.actor)?;
    Done::nothing()
}
