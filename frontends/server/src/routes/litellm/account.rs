//! `/user/password/change` and `/session/logout`: of whoever is signed in.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::json;
use sluicegate::admin::PasswordChange;
use sluicegate::{Result, Secret};

use crate::ask::{self, Done, Visit};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/user/password/change", || ask::visit(Method::POST, change_password)),
        Entry::plain(Method::POST, "/session/logout", || ask::visit(Method::POST, log_out)),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(alias = "old_password")]
    current_password: Secret,
    new_password: Secret,
}

/// Changes one's own password. All other sessions are over.
async fn change_password(visit: Visit) -> Result<Done> {
    let (signed, given) = (visit.signed().await?, visit.json::<Change>()?);
    visit.refuse_foreign()?;
    let change = PasswordChange { current: given.current_password, new: given.new_password };
    let signed = visit.admin().change_password(&signed, &change, &visit.origin()).await?;
    let answer = json!({"message": "the password is changed; every other session is over", "user_id": signed.view.user});
    Ok(Done::ok(&answer)?.cookie(visit.cookie(Some(&signed.secret))))
}

async fn log_out(visit: Visit) -> Result<Done> {
    let signed = visit.signed().await?;
    visit.refuse_foreign()?;
    visit.admin().sign_out(&signed).await?;
    Ok(Done::ok(&json!({"message": "the session is over"}))?.cookie(visit.cookie(None)))
}
