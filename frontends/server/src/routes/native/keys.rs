//! Keys.

use actix_web::http::Method;
use serde_json::{Value, json};
use sluicegate::admin::{IssuedKey, KeyBulk, KeyOutcome, KeyPatch, KeyView, NewKey, Regenerate};
use sluicegate::store::{After, KeyFilter, KeyRef};
use sluicegate::{OrganizationId, Result, UserId};

use super::{list as lists, parameter, parameters, present};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &[
    ("organization", "Of this organization."),
    ("group", "Of this group, by id or alias."),
    ("user", "Of this user."),
    ("search", "With this text in id or alias."),
    ("alias", "With exactly this alias."),
    lists::STORED[0],
    lists::STORED[1],
    lists::STORED[2],
    lists::STORED[3],
    lists::STORED[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "keys", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/keys", "/api/v1/keys/{key}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listKeys", "Keys that the asker may see.").query(QUERY).answers(200, "KeyList").or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createKey", "Issues a key. Its secret is shown this once.")
                .body("NewKey")
                .answers(201, "IssuedKey"),
        ),
        // Before what names a key.
        entry(
            Method::POST,
            "/api/v1/keys/bulk",
            || ask::route(Method::POST, bulk),
            op(
                "editKeys",
                "Issues, changes, regenerates or removes many keys in one step, each as alone. All, or none.",
            )
            .body("KeyBulk")
            .answers(200, "KeysDone"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getKey", "A key, by id, alias, hash or the key itself.").answers(200, "Key"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, update),
            op("updateKey", "Changes a key. Null clears a field; one left out stays.")
                .body("KeyPatch")
                .answers(200, "Key"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteKey", "Removes a key. What it used stays in the records.").answers_nothing(204),
        ),
        entry(
            Method::POST,
            "/api/v1/keys/{key}/regenerate",
            || ask::route(Method::POST, regenerate),
            op("regenerateKey", "Gives a key a new secret. Everything else stays.")
                .body("Regenerate")
                .answers(200, "IssuedKey"),
        ),
    ]
}

/// A key as it is named in a path or a body: the key itself, its hash, its id or its alias.
///
/// # Errors
/// `Store`.
pub async fn find_key(ask: &Ask, name: &str) -> Result<KeyRef> {
    ask.admin().key_named(&ask.actor, name).await
}

fn shown(view: &KeyView) -> Result<Value> {
    present(view, &view.key.limits)
}

fn issued(issued: &IssuedKey) -> Result<Value> {
    Ok(json!({"secret": issued.secret.expose(), "key": shown(&issued.view)?}))
}

async fn list(ask: Ask) -> Result<Done> {
    let query =
        parameters(&ask, &["organization", "group", "user", "search", "alias", "cursor", "sort", "format"])?;
    let group = match parameter(&query, "group") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let filter = KeyFilter {
        organization: parameter(&query, "organization").map(OrganizationId::from),
        group,
        user: parameter(&query, "user").map(UserId::from),
        search: parameter(&query, "search"),
        alias: parameter(&query, "alias"),
        ..KeyFilter::default()
    };
    let order = lists::order(&query)?;
    let fetch = async |spot: &lists::Spot| {
        let (page, after) = spot.asked(order);
        let filter = KeyFilter { after, ..filter.clone() };
        let found = ask.admin().keys(&ask.actor, &filter, page).await?;
        spot.part(found, shown, |it| {
            let (times, alias) = ((it.stored_at, it.updated_at), it.key.alias.as_deref());
            (it.key.source, After::of(order, times, alias, it.key.id.as_str()))
        })
    };
    lists::answer(&ask, &query, "Key", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    let new: NewKey = ask.json()?;
    Done::created(&issued(&ask.admin().create_key(&ask.actor, new).await?)?)
}

async fn get(ask: Ask) -> Result<Done> {
    let key = find_key(&ask, &ask.param("key")).await?;
    Done::ok(&shown(&ask.admin().key(&ask.actor, &key).await?)?).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: KeyPatch = ask.json()?;
    let key = find_key(&ask, &ask.param("key")).await?;
    Done::ok(&shown(&ask.admin().update_key(&ask.actor, &key, patch).await?)?).map(Done::tagged)
}

async fn delete(ask: Ask) -> Result<Done> {
    let key = find_key(&ask, &ask.param("key")).await?;
    ask.admin().delete_key(&ask.actor, &key).await?;
    Done::nothing()
}

async fn bulk(ask: Ask) -> Result<Done> {
    let bulk: KeyBulk = ask.json()?;
    let all = ask.admin().change_keys(&ask.actor, bulk).await?;
    let item = |it: &KeyOutcome| {
        let mut value = json!({"id": it.id, "outcome": it.outcome});
        if let Some(error) = &it.error {
            value["message"] = error.message().into();
        }
        if let Some(key) = &it.issued {
            value["issued"] = issued(key)?;
        }
        Ok(value)
    };
    let items: Vec<Value> = all.items.iter().map(item).collect::<Result<_>>()?;
    Done::ok(&json!({"done": all.done, "items": items})).map(|done| done.undone(!all.done))
}

async fn regenerate(ask: Ask) -> Result<Done> {
    let how: Regenerate = ask.json()?;
    let key = find_key(&ask, &ask.param("key")).await?;
    Done::ok(&issued(&ask.admin().regenerate_key(&ask.actor, &key, how).await?)?)
}
