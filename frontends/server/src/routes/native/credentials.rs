//! Credentials that channels made of entries share by name. Secrets are kept sealed, and shown to nobody again.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluicegate::admin::{SharedCredential, etag};
use sluicegate::store::Stored;
use sluicegate::{Error, ErrorKind, Result};

use super::{list as lists, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;
use crate::routes::litellm::credentials as theirs;

const QUERY: &[(&str, &str)] = &lists::PARAMETERS;

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "channels", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/credentials", "/api/v1/credentials/{credential}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listCredentials", "Credentials that channels share, without their secrets.")
                .query(QUERY)
                .answers(200, "CredentialList")
                .or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createCredential", "Makes one credential. What isn't known to be harmless of it is kept as a secret.")
                .body("NewCredential")
                .answers(201, "Credential"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getCredential", "One credential, without its secrets.").answers(200, "Credential"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, update),
            op(
                "updateCredential",
                "Changes values of one credential, and every channel that names it, in one step. Null takes a value out; one left out stays.",
            )
            .body("CredentialPatch")
            .answers(200, "Credential"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteCredential", "Removes one credential that no channel names.").answers_nothing(204),
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: String,
    values: Map<String, Value>,
    #[serde(default)]
    info: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    values: Map<String, Value>,
    info: Map<String, Value>,
}

fn shown(id: &str, it: &Stored<SharedCredential>) -> Value {
    json!({
        "id": id,
        "values": it.value.values,
        "secrets": it.value.secrets,
        "info": it.value.info,
        "created_at": it.created_at,
        "created_by": it.created_by,
        "updated_at": it.updated_at,
        "updated_by": it.updated_by,
        "etag": etag(it),
    })
}

async fn list(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["cursor", "sort", "format"])?;
    let all = ask.admin().shared_credentials(&ask.actor).await?;
    let rows: Vec<Value> = all.iter().map(|(id, it)| shown(id, it)).collect();
    let fetch = async |spot: &lists::Spot| spot.of_whole(&rows, &["id"]);
    lists::answer(&ask, &query, "Credential", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    if !ask.actor.is_super() {
        return Err(Error::new(ErrorKind::Forbidden, "only super administrators may make credentials"));
    }
    let new: New = ask.json()?;
    let made = theirs::made(&ask, &new.id, new.values, new.info).await?;
    Done::created(&shown(&new.id, &made)).map(Done::tagged)
}

async fn get(ask: Ask) -> Result<Done> {
    let id = ask.param("credential");
    let it = ask.admin().shared_credential(&ask.actor, &id).await?;
    Done::ok(&shown(&id, &it)).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let id = ask.param("credential");
    // Whether they may see it comes before what they say of it.
    ask.admin().shared_credential(&ask.actor, &id).await?;
    let change: Change = ask.json()?;
    let (it, warnings) = theirs::changed(&ask, &id, &change.values, &change.info).await?;
    Done::ok(&shown(&id, &it)).map(|done| done.tagged().warning(warnings))
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_credential(&ask.actor, &ask.param("credential")).await?;
    Done::nothing()
}
