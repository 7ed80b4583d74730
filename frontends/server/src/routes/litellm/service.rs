//! `/login`, `/health` and `/health/readiness/details`.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluicegate::{Channel, Error, ErrorKind, Result, Role, Secret, Timestamp};

use super::query;
use crate::ask::{self, Ask, Done, Visit};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/login", || ask::visit(Method::POST, login)),
        Entry::plain(Method::GET, "/health", || ask::route(Method::GET, health)),
        Entry::plain(Method::GET, "/health/readiness/details", || ask::route(Method::GET, details)),
    ]
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: Secret,
}

/// Signs in by a form, sets the session's cookie and goes on to the console, which says what is still missing.
async fn login(visit: Visit) -> Result<Done> {
    visit.refuse_other_origin()?;
    visit.refuse_plain()?;
    let given: Login = visit.form()?;
    // Its cookie is about to be replaced, and nobody could end it any more.
    let before = visit.signed().await.ok();
    let signed = visit.admin().sign_in(&given.username, &given.password, &visit.origin()).await?;
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    Ok(Done::see_other("/")?.cookie(visit.cookie(Some(&signed.secret))))
}

/// How channels are doing, by what is known of them: nothing is sent to find out.
async fn health(ask: Ask) -> Result<Done> {
    if !matches!(ask.actor.role(), Role::SuperAdmin | Role::OrganizationAdmin | Role::Auditor) {
        let message = "only administrators and auditors may see how channels are doing";
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let query = query(&ask)?;
    let (model, id) = (query.text("model"), query.text("model_id"));
    let (engine, now) = (ask.gateway().engine(), ask.gateway().clock().now());
    let snapshot = engine.snapshot();
    let sight = ask.admin().sight(&ask.actor).await?;
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for channel in snapshot.channels().iter().filter(|channel| channel.enabled) {
        if id.is_some_and(|id| id != channel.id.as_str()) {
            continue;
        }
        let fault = engine.health(&channel.id, now).and_then(|it| fault(it.broken, it.benched_until, now));
        for served in channel.models.iter().filter(|served| sight.sees(channel, served)) {
            if model.is_some_and(|model| model != served.group.as_str()) {
                continue;
            }
            let mut row = endpoint(channel, served.upstream.as_str(), ask.actor.is_super());
            match &fault {
                None => healthy.push(row),
                Some(error) => {
                    row.insert("error".to_owned(), error.as_str().into());
                    unhealthy.push(row);
                }
            }
        }
    }
    Done::ok(&json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

/// Why a channel serves nobody now; `None` when it does.
fn fault(broken: bool, benched_until: Option<Timestamp>, now: Timestamp) -> Option<String> {
    match benched_until.filter(|at| *at > now) {
        _ if broken => Some("it failed for good, such as by a refused credential; mend it".to_owned()),
        Some(at) => Some(format!("it failed, and rests until {at}")),
        None => None,
    }
}

/// A channel's row. Where it sends is for super administrators.
fn endpoint(channel: &Channel, upstream: &str, whole: bool) -> Map<String, Value> {
    let mut row = Map::from_iter([
        ("model".to_owned(), format!("{}/{upstream}", channel.provider).into()),
        ("model_id".to_owned(), json!(channel.id)),
    ]);
    if whole {
        let url = channel.endpoints.first().map(|endpoint| endpoint.url.as_str());
        row.insert("api_base".to_owned(), json!(url));
    }
    row
}

/// What `/health/readiness` says, and more, to whoever is known.
async fn details(ask: Ask) -> Result<Done> {
    ask.gateway().ready().await?;
    Done::ok(&json!({
        "status": "healthy",
        "db": "connected",
        "cache": null,
        "litellm_version": super::contract::word(ask.gateway().compat().litellm),
        "sluicegate_version": env!("CARGO_PKG_VERSION"),
        "success_callbacks": [],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_or_is_broken_says_so() {
        let now = Timestamp::from_ms(1_000);
        assert_eq!(fault(false, None, now), None);
        assert_eq!(fault(false, Some(now), now), None);
        assert!(fault(false, Some(now.plus_ms(1)), now).unwrap().contains("rests until"));
        assert!(fault(true, None, now).unwrap().contains("for good"));
    }
}
