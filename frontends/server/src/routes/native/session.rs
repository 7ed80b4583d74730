//! Setting up, signing in and out.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sluicegate::admin::{NewRegistration, PasswordChange, ProviderAnswer, SessionView, SetUp, SignedIn};
use sluicegate::{Result, Secret};

use super::{me_of, users};
use crate::ask::{self, Ask, Done, Visit};
use crate::openapi::Operation;
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "session", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (setup, session) = ("/api/v1/setup", "/api/v1/session");
    vec![
        entry(
            Method::GET,
            setup,
            || ask::visit(Method::GET, needs_setup),
            op("getSetup", "Whether the first super administrator is still to be made.")
                .public()
                .answers(200, "Setup"),
        ),
        entry(
            Method::POST,
            setup,
            || ask::route(Method::POST, set_up),
            op("setUp", "Makes the first super administrator; once, by who holds the administrator's key.")
                .body("SetUp")
                .answers(201, "User"),
        ),
        entry(
            Method::GET,
            session,
            || ask::visit(Method::GET, get),
            op("getSession", "The session that is asked by, and what is still missing for it.")
                .answers(200, "Signed"),
        ),
        entry(
            Method::POST,
            session,
            || ask::visit(Method::POST, sign_in),
            op("signIn", "Signs in by password, and sets the session's cookie.")
                .public()
                .body("SignIn")
                .answers(200, "Signed"),
        ),
        entry(
            Method::POST,
            "/api/v1/session/registration",
            || ask::visit(Method::POST, register),
            op(
                "register",
                "Makes a user of whoever asks, where the configuration lets them, and signs them in.",
            )
            .public()
            .body("Registration")
            .answers(201, "Signed"),
        ),
        entry(
            Method::POST,
            "/api/v1/session/invitation",
            || ask::visit(Method::POST, accept),
            op("acceptInvitation", "Sets the password of whoever is invited, and signs them in.")
                .public()
                .body("AcceptedInvitation")
                .answers(200, "Signed"),
        ),
        entry(
            Method::DELETE,
            session,
            || ask::visit(Method::DELETE, sign_out),
            op("signOut", "Ends the session.").answers_nothing(204),
        ),
        entry(
            Method::GET,
            "/api/v1/session/oidc",
            || ask::visit(Method::GET, ways_in),
            op("listWaysIn", "How one can sign in here: for the sign-in page.")
                .public()
                .answers(200, "WaysIn"),
        ),
        entry(
            Method::GET,
            "/api/v1/session/oidc/{provider}",
            || ask::visit(Method::GET, begin),
            op("beginSignIn", "Sends the browser to a provider; it comes back signed in.")
                .public()
                .query(&[("return_to", "The path of the gateway at which it ends. Default `/`.")])
                .answers_nothing(302),
        ),
        entry(
            Method::GET,
            "/api/v1/session/oidc/{provider}/callback",
            || ask::visit(Method::GET, finish),
            op("finishSignIn", "Where a provider sends the browser back to.")
                .public()
                .query(&[
                    ("code", "The code."),
                    ("state", "The state that it was sent with."),
                    ("iss", "The provider."),
                    ("error", "Why there is no code."),
                ])
                .answers_nothing(302),
        ),
        entry(
            Method::GET,
            "/api/v1/session/oidc/{provider}/sign-out",
            || ask::visit(Method::GET, sign_out_at),
            op("signOutAtProvider", "Sends the browser to where it signs out at the provider, too.")
                .public()
                .answers_nothing(302),
        ),
        entry(
            Method::POST,
            "/api/v1/session/code",
            || ask::visit(Method::POST, second_step),
            op("signInByCode", "Finishes signing in: a code of the second step, or a backup code.")
                .body("SecondStepCode")
                .answers(200, "Signed"),
        ),
        entry(
            Method::PUT,
            "/api/v1/session/password",
            || ask::visit(Method::PUT, change_password),
            op("changePassword", "Changes one's own password. All other sessions are over.")
                .body("PasswordChange")
                .answers(200, "Signed"),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    login: String,
    password: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondStepCode {
    pub(super) code: Secret,
}

/// A session that has begun, as this API shows it.
fn shown(session: &SessionView) -> Value {
    json!({"session": session})
}

/// An answer that sets the new session's cookie.
pub(super) fn begun(signed: &SignedIn, visit: &Visit) -> Result<Done> {
    Ok(Done::ok(&shown(&signed.view))?.cookie(visit.cookie(Some(&signed.secret))))
}

async fn needs_setup(visit: Visit) -> Result<Done> {
    Done::ok(&json!({"needed": visit.admin().needs_set_up().await?}))
}

async fn set_up(ask: Ask) -> Result<Done> {
    let new: SetUp = ask.json()?;
    Done::created(&users::shown(&ask.admin().set_up(&ask.actor, new).await?)?)
}

async fn get(visit: Visit) -> Result<Done> {
    let signed = visit.signed().await?;
    let mut value = shown(&signed.view());
    if signed.actor.session().is_some() {
        value["me"] = me_of(visit.admin(), &signed.actor).await?;
    }
    Done::ok(&value)
}

async fn sign_in(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    visit.refuse_plain()?;
    let given: SignIn = visit.json()?;
    // Its cookie is about to be replaced, and nobody could end it any more.
    let before = visit.signed().await.ok();
    let signed = visit.admin().sign_in(&given.login, &given.password, &visit.origin()).await?;
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    begun(&signed, &visit)
}

async fn register(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    visit.refuse_plain()?;
    let new: NewRegistration = visit.json()?;
    let before = visit.signed().await.ok();
    let signed = visit.admin().register(new, &visit.origin()).await?;
    // Its cookie is replaced, and nobody could end it any more.
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    Ok(Done::created(&shown(&signed.view))?.cookie(visit.cookie(Some(&signed.secret))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    invitation: Secret,
    password: Secret,
}

async fn accept(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    visit.refuse_plain()?;
    let given: Accepted = visit.json()?;
    let before = visit.signed().await.ok();
    let signed = visit.admin().accept_invitation(&given.invitation, &given.password, &visit.origin()).await?;
    // Its cookie is replaced, and nobody could end it any more.
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    begun(&signed, &visit)
}

async fn ways_in(visit: Visit) -> Result<Done> {
    let admin = visit.admin();
    Done::ok(&json!({
        "password": admin.takes_passwords(),
        "registration": admin.lets_register(),
        "providers": admin.sign_in_providers(),
    }))
}

#[derive(Deserialize)]
struct Begin {
    return_to: Option<String>,
}

async fn begin(visit: Visit) -> Result<Done> {
    let done = set_out(&visit).await;
    led_back(&visit, done)
}

async fn set_out(visit: &Visit) -> Result<Done> {
    let asked: Begin = visit.query()?;
    let begun = visit.admin().begin_sign_in(visit.param("provider"), asked.return_to.as_deref()).await?;
    Ok(Done::redirect(begun.url).cookie(visit.under_way(Some(&begun.cookie))))
}

async fn finish(visit: Visit) -> Result<Done> {
    let done = come_back(&visit).await;
    led_back(&visit, done)
}

/// Whoever is on their way by a browser reads at the sign-in page what went wrong, in their language; programs are told as ever.
fn led_back(visit: &Visit, done: Result<Done>) -> Result<Done> {
    let error = match done {
        Err(error) if visit.sees_pages() => error,
        done => return done,
    };
    let kind = error.kind().as_str();
    let provider = visit.param("provider");
    tracing::info!(provider, kind, error = %error, "a sign-in through a provider failed");
    Ok(Done::redirect(format!("/login?error={kind}")))
}

async fn come_back(visit: &Visit) -> Result<Done> {
    let answer: ProviderAnswer = visit.query()?;
    let cookie = visit.under_way_of();
    let before = visit.signed().await.ok();
    let origin = visit.origin();
    let finished =
        visit.admin().finish_sign_in(visit.param("provider"), cookie.as_ref(), &answer, &origin).await?;
    let (signed, return_to) = finished;
    // Its cookie is about to be replaced, and nobody could end it any more.
    if let Some(before) = before {
        visit.admin().sign_out(&before).await?;
    }
    Ok(Done::redirect(return_to).cookie(visit.cookie(Some(&signed.secret))).cookie(visit.under_way(None)))
}

async fn sign_out_at(visit: Visit) -> Result<Done> {
    let done = visit.admin().sign_out_at(visit.param("provider")).await.map(Done::redirect);
    led_back(&visit, done)
}

async fn second_step(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    let (signed, given) = (visit.signed().await?, visit.json::<SecondStepCode>()?);
    let signed = visit.admin().sign_in_by_code(&signed, &given.code, &visit.origin()).await?;
    begun(&signed, &visit)
}

async fn change_password(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    let (signed, change) = (visit.signed().await?, visit.json::<PasswordChange>()?);
    let signed = visit.admin().change_password(&signed, &change, &visit.origin()).await?;
    begun(&signed, &visit)
}

async fn sign_out(visit: Visit) -> Result<Done> {
    visit.refuse_foreign()?;
    let signed = visit.signed().await?;
    visit.admin().sign_out(&signed).await?;
    Ok(Done::nothing()?.cookie(visit.cookie(None)))
}
