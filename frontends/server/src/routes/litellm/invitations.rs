//! `/invitation/…` and `/onboarding/claim_token`: somebody sets their own password. LiteLLM's id of an invitation is what opens it, and
//! so it is shown once, by `/invitation/new`.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluicegate::admin::{Admin, InvitationView};
use sluicegate::{Error, ErrorKind, Result, Secret, UserId};

use super::fields::{self, Fields};
use super::{body, query, rows, warned};
use crate::ask::{self, Ask, Done, Visit};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/invitation/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::GET, "/invitation/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::POST, "/invitation/delete", || ask::route(Method::POST, delete)),
        Entry::plain(Method::POST, "/onboarding/claim_token", || ask::visit(Method::POST, claim)),
    ]
}

fn row(id: &str, it: &InvitationView) -> Map<String, Value> {
    let changed = it.accepted_at.unwrap_or(it.created_at);
    let by = |name: &str| name.strip_prefix("user ").unwrap_or(name).to_owned();
    Map::from_iter([
        ("id".to_owned(), id.into()),
        ("user_id".to_owned(), json!(it.user)),
        ("is_accepted".to_owned(), it.accepted_at.is_some().into()),
        ("accepted_at".to_owned(), it.accepted_at.map(rows::time).into()),
        ("expires_at".to_owned(), rows::time(it.expires_at)),
        ("created_at".to_owned(), rows::time(it.created_at)),
        ("created_by".to_owned(), by(&it.created_by).into()),
        ("updated_at".to_owned(), rows::time(changed)),
        ("updated_by".to_owned(), by(&it.created_by).into()),
    ])
}

fn id_of(fields: &mut Fields) -> Result<String> {
    fields.text("invitation_id")?.value().ok_or_else(|| fields::missing("invitation_id"))
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let user = fields.text("user_id")?.value().ok_or_else(|| fields::missing("user_id"))?;
    let warnings = fields.finish()?;
    let made = ask.admin().invite(&ask.actor, &UserId::from(user)).await?;
    warned(row(made.secret.expose(), &made.view), warnings)
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let id = query.required("invitation_id")?;
    let view = ask.admin().invitation_of(&ask.actor, id).await?;
    Done::ok(&row(id, &view)).and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = id_of(&mut fields)?;
    let warnings = fields.finish()?;
    let view = ask.admin().invitation_of(&ask.actor, &id).await?;
    ask.admin().revoke_invitation(&ask.actor, &view.user).await?;
    warned(row(&id, &view), warnings)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    invitation_link: Secret,
    user_id: Option<String>,
    password: Secret,
}

/// Sets the password, and the session's cookie.
async fn claim(visit: Visit) -> Result<Done> {
    visit.refuse_other_origin()?;
    visit.refuse_plain()?;
    let given: Claim = visit.json()?;
    let user = Admin::invited_by(given.invitation_link.expose());
    if given.user_id.is_some_and(|id| user.as_ref().is_none_or(|user| user.as_str() != id)) {
        let message = "the invitation isn't for this user; leave `user_id` out, or give the invited one's";
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "user_id"));
    }
    let before = visit.signed().await.ok();
    let signed =
        visit.admin().accept_invitation(&given.invitation_link, &given.password, &visit.origin()).await?;
    // Its cookie is replaced, and nobody could end it any more.
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    Ok(Done::ok(&json!({"user_id": user, "login_url": "/login"}))?.cookie(visit.cookie(Some(&signed.secret))))
}
