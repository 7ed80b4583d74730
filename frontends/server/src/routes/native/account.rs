//! How users sign in: second steps, sessions and access tokens, one's own and those of who is administered.

use actix_web::http::Method;
use serde_json::{Value, json};
use sluicegate::admin::{IssuedToken, NewPassword, NewToken, Proof};
use sluicegate::{Result, Secret, UserId};

use super::listing;
use super::session::SecondStepCode;
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let mut entries = own();
    entries.extend(of_users());
    entries
}

fn own() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "account", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let step = "/api/v1/account/second-step";
    vec![
        entry(
            Method::GET,
            "/api/v1/account",
            || ask::route(Method::GET, get),
            op("getAccount", "How the asker signs in.").answers(200, "Account"),
        ),
        entry(
            Method::POST,
            step,
            || ask::route(Method::POST, offer),
            op(
                "offerSecondStep",
                "Offers a second step: it counts once a code of it is given. Shown this once.",
            )
            .body("Proof")
            .answers(200, "SecondStepOffer"),
        ),
        entry(
            Method::PUT,
            step,
            || ask::route(Method::PUT, confirm),
            op(
                "confirmSecondStep",
                "Takes the offered second step into use. The backup codes are shown this once.",
            )
            .body("SecondStepCode")
            .answers(200, "BackupCodes"),
        ),
        entry(
            Method::POST,
            "/api/v1/account/second-step/remove",
            || ask::route(Method::POST, end),
            op("endSecondStep", "Removes one's own second step.").body("Proof").answers_nothing(204),
        ),
        entry(
            Method::POST,
            "/api/v1/account/second-step/backup-codes",
            || ask::route(Method::POST, renew),
            op("renewBackupCodes", "Replaces the backup codes. Shown this once.")
                .body("Proof")
                .answers(200, "BackupCodes"),
        ),
        entry(
            Method::POST,
            "/api/v1/account/tokens",
            || ask::route(Method::POST, create_token),
            op("createToken", "Makes an access token for oneself. It is shown this once.")
                .body("NewToken")
                .answers(201, "IssuedToken"),
        ),
    ]
}

fn of_users() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "account", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (sessions, invitation) = ("/api/v1/users/{user}/sessions", "/api/v1/users/{user}/invitation");
    vec![
        entry(
            Method::POST,
            "/api/v1/users/{user}/password",
            || ask::route(Method::POST, reset_password),
            op(
                "resetPassword",
                "Gives a user a password, which they must change at their next sign-in. Shown this once.",
            )
            .body("NewPassword")
            .answers(200, "GivenPassword"),
        ),
        entry(
            Method::POST,
            invitation,
            || ask::route(Method::POST, invite),
            op(
                "inviteUser",
                "Makes an invitation, with which a user sets their own password once and within a week, in place of an earlier one. \
                 Shown this once.",
            )
            .answers(201, "IssuedInvitation"),
        ),
        entry(
            Method::GET,
            invitation,
            || ask::route(Method::GET, get_invitation),
            op("getInvitation", "A user's invitation, and whether they accepted it.")
                .answers(200, "Invitation"),
        ),
        entry(
            Method::DELETE,
            invitation,
            || ask::route(Method::DELETE, revoke_invitation),
            op("revokeInvitation", "Takes a user's invitation back.").answers_nothing(204),
        ),
        entry(
            Method::DELETE,
            "/api/v1/users/{user}/second-step",
            || ask::route(Method::DELETE, reset_second_step),
            op("resetSecondStep", "Removes the second step of a user who has lost it.").answers_nothing(204),
        ),
        entry(
            Method::GET,
            sessions,
            || ask::route(Method::GET, list_sessions),
            op("listSessions", "Where a user is signed in.").answers(200, "SessionList"),
        ),
        entry(
            Method::DELETE,
            sessions,
            || ask::route(Method::DELETE, end_sessions),
            op("endSessions", "Signs a user out everywhere.").answers_nothing(204),
        ),
        entry(
            Method::DELETE,
            "/api/v1/users/{user}/sessions/{session}",
            || ask::route(Method::DELETE, end_session),
            op("endSession", "Signs a user out in one place.").answers_nothing(204),
        ),
        entry(
            Method::GET,
            "/api/v1/users/{user}/tokens",
            || ask::route(Method::GET, list_tokens),
            op("listTokens", "A user's access tokens.").answers(200, "TokenList"),
        ),
        entry(
            Method::DELETE,
            "/api/v1/users/{user}/tokens/{token}",
            || ask::route(Method::DELETE, delete_token),
            op("deleteToken", "Deletes an access token.").answers_nothing(204),
        ),
    ]
}

fn texts(codes: &[Secret]) -> Value {
    json!({"backup_codes": codes.iter().map(Secret::expose).collect::<Vec<_>>()})
}

fn user(ask: &Ask) -> UserId {
    UserId::from(ask.param("user"))
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().own_account(&ask.actor).await?)
}

async fn offer(ask: Ask) -> Result<Done> {
    let proof: Proof = ask.json()?;
    Done::ok(&ask.admin().offer_second_step(&ask.actor, &proof).await?)
}

async fn confirm(ask: Ask) -> Result<Done> {
    let given: SecondStepCode = ask.json()?;
    let (codes, signed) = ask.admin().confirm_second_step(&ask.actor, &given.code, &ask.origin()).await?;
    Ok(Done::ok(&texts(&codes))?.cookie(ask.cookie(Some(&signed.secret))))
}

async fn end(ask: Ask) -> Result<Done> {
    let proof: Proof = ask.json()?;
    let signed = ask.admin().end_second_step(&ask.actor, &proof, &ask.origin()).await?;
    Ok(Done::nothing()?.cookie(ask.cookie(Some(&signed.secret))))
}

async fn renew(ask: Ask) -> Result<Done> {
    let proof: Proof = ask.json()?;
    Done::ok(&texts(&ask.admin().renew_backup_codes(&ask.actor, &proof).await?))
}

pub(super) fn issued(issued: &IssuedToken) -> Value {
    json!({"secret": issued.secret.expose(), "token": issued.view})
}

async fn create_token(ask: Ask) -> Result<Done> {
    let new: NewToken = ask.json()?;
    Done::created(&issued(&ask.admin().create_token(&ask.actor, new).await?))
}

async fn reset_password(ask: Ask) -> Result<Done> {
    let new: NewPassword = ask.json()?;
    let password = ask.admin().reset_password(&ask.actor, &user(&ask), new).await?;
    Done::ok(&json!({"password": password.expose()}))
}

async fn invite(ask: Ask) -> Result<Done> {
    let made = ask.admin().invite(&ask.actor, &user(&ask)).await?;
    Done::created(&json!({"secret": made.secret.expose(), "url": made.url.expose(), "invitation": made.view}))
}

async fn get_invitation(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().invitation(&ask.actor, &user(&ask)).await?)
}

async fn revoke_invitation(ask: Ask) -> Result<Done> {
    ask.admin().revoke_invitation(&ask.actor, &user(&ask)).await?;
    Done::nothing()
}

async fn reset_second_step(ask: Ask) -> Result<Done> {
    ask.admin().reset_second_step(&ask.actor, &user(&ask)).await?;
    Done::nothing()
}

async fn list_sessions(ask: Ask) -> Result<Done> {
    let found = ask.admin().sessions(&ask.actor, &user(&ask)).await?;
    let total = u64::try_from(found.len()).unwrap_or_default();
    Done::ok(&listing(found.iter().map(|it| json!(it)).collect(), total))
}

async fn end_sessions(ask: Ask) -> Result<Done> {
    ask.admin().end_sessions(&ask.actor, &user(&ask)).await?;
    Done::nothing()
}

async fn end_session(ask: Ask) -> Result<Done> {
    ask.admin().end_session(&ask.actor, &user(&ask), &ask.param("session")).await?;
    Done::nothing()
}

async fn list_tokens(ask: Ask) -> Result<Done> {
    let found = ask.admin().tokens(&ask.actor, &user(&ask)).await?;
    let total = u64::try_from(found.len()).unwrap_or_default();
    Done::ok(&listing(found.iter().map(|it| json!(it)).collect(), total))
}

async fn delete_token(ask: Ask) -> Result<Done> {
    ask.admin().delete_token(&ask.actor, &user(&ask), &ask.param("token")).await?;
    Done::nothing()
}
