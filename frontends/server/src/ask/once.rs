//! Requests that are to be done once, however often they are sent: `idempotency-key` on a POST.

use actix_web::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sluicegate::admin::{Actor, Admin, OnceBegun, OnceTicket};
use sluicegate::{Error, ErrorKind, Result, Secret};

use super::{Ask, CSV, Done, Handler, JSON, LINES};

const HEADER: &str = "idempotency-key";

/// An answer as it is kept. What sets a cookie isn't asked for by these routes.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    kind: String,
    body: String,
    etag: Option<String>,
    warnings: Vec<String>,
}

/// What `handler` answers; or what it has answered to the same request before.
pub(super) async fn done(ask: Ask, handler: Handler<Ask>) -> Result<Done> {
    let named = ask.req.headers().get(HEADER).filter(|_| {
        ask.req.method() == Method::POST && !changes_nothing(&ask.req.match_pattern().unwrap_or_default())
    });
    let Some(key) = named else { return handler(ask).await };
    let key = key.to_str().unwrap_or_default().to_owned();
    let (admin, actor): (Admin, Actor) = (ask.admin().clone(), ask.actor.clone());
    let place = ask.req.uri().path_and_query().map_or("", |it| it.as_str()).to_owned();
    let ticket = match admin.begin_once(&actor, &key, &[place.as_bytes(), &ask.body]).await? {
        OnceBegun::Do(ticket) => ticket,
        OnceBegun::Answered(kept) => return again(&kept),
    };
    // Once begun it is finished, even when whoever asked is gone: else nobody would know how it ended.
    let finished = actix_web::rt::spawn(async move { finish(&admin, &ticket, handler(ask).await).await });
    finished.await.unwrap_or_else(|why| {
        let message = "the request was cut off; look whether it was done";
        Err(Error::new(ErrorKind::Internal, message).with_source(why))
    })
}

/// Whether a route that is posted to leaves everything as it is: asked again, it answers again, and nothing is kept of it.
fn changes_nothing(route: &str) -> bool {
    let asks = ["/explain", "/replay", "/check", "/test", "/models/fetch"];
    route.starts_with("/api/v1/") && asks.iter().any(|end| route.ends_with(end))
}

async fn finish(admin: &Admin, ticket: &OnceTicket, done: Result<Done>) -> Result<Done> {
    match done {
        Ok(done) if done.undone => {
            leave(admin, ticket).await;
            Ok(done)
        }
        Ok(done) => {
            if let Err(error) = admin.end_once(ticket, &kept(&done)?).await {
                tracing::error!(%error, "the answer to a request that is to be done once isn't kept");
            }
            Ok(done)
        }
        // It may have been done.
        Err(error) if matches!(error.kind(), ErrorKind::Store | ErrorKind::Internal) => Err(error),
        Err(error) => {
            leave(admin, ticket).await;
            Err(error)
        }
    }
}

async fn leave(admin: &Admin, ticket: &OnceTicket) {
    if let Err(why) = admin.leave_once(ticket).await {
        tracing::error!(error = %why, "a request that was refused is still taken for one under way");
    }
}

fn kept(done: &Done) -> Result<Secret> {
    let kept = Kept {
        status: done.status.as_u16(),
        kind: done.content_type.to_owned(),
        body: String::from_utf8_lossy(&done.body).into_owned(),
        etag: done.etag.clone(),
        warnings: done.warnings.clone(),
    };
    let failed = |why| Error::new(ErrorKind::Internal, "an answer couldn't be kept").with_source(why);
    serde_json::to_string(&kept).map(Secret::new).map_err(failed)
}

fn again(kept: &Secret) -> Result<Done> {
    let unread = |why| Error::new(ErrorKind::Internal, "a kept answer can't be read").with_source(why);
    let kept: Kept = serde_json::from_str(kept.expose()).map_err(unread)?;
    let content_type = [JSON, LINES, CSV].into_iter().find(|kind| *kind == kept.kind).unwrap_or(JSON);
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let done = Done::new(status, kept.body.into_bytes());
    Ok(Done { content_type, etag: kept.etag, warnings: kept.warnings, replayed: true, ..done })
}
