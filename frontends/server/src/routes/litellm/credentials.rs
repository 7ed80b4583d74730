//! `/credentials`: what several models share to be reached, by name. Secrets are kept sealed, and shown to nobody again.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{CredentialChange, SharedCredential, came_second, retried};
use sluicegate::store::Stored;
use sluicegate::{ChannelId, Error, ErrorKind, Result};

use super::fields;
use super::models::{ADDRESSES, entry_of, patch_for, shown};
use super::{body, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// What stands in the place of a secret.
const HIDDEN: &str = "****";

pub(super) fn table() -> Vec<Entry> {
    let one = "/credentials/{credential_name}";
    vec![
        Entry::plain(Method::POST, "/credentials", || ask::route(Method::POST, new)),
        Entry::plain(Method::GET, "/credentials", || ask::route(Method::GET, list)),
        Entry::plain(Method::GET, "/credentials/by_name/{credential_name}", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/credentials/by_model/{model_id}", || ask::route(Method::GET, of_model)),
        Entry::plain(Method::GET, one, || ask::route(Method::GET, info)),
        Entry::plain(Method::PATCH, one, || ask::route(Method::PATCH, update)),
        Entry::plain(Method::DELETE, one, || ask::route(Method::DELETE, delete)),
    ]
}

fn row(name: &str, it: &SharedCredential) -> Map<String, Value> {
    let mut values = it.values.clone();
    values.extend(it.secrets.iter().map(|name| (name.clone(), HIDDEN.into())));
    Map::from_iter([
        ("credential_name".to_owned(), json!(name)),
        ("credential_values".to_owned(), values.into()),
        ("credential_info".to_owned(), json!(it.info)),
    ])
}

fn done(message: String, warnings: Vec<String>) -> Result<Done> {
    warned(
        Map::from_iter([("success".to_owned(), true.into()), ("message".to_owned(), message.into())]),
        warnings,
    )
}

/// Values that anybody who may see a credential is shown. Whatever else somebody enters may be a secret, whatever it is called.
const HARMLESS: [&str; 14] = [
    "api_base",
    "base_url",
    "api_version",
    "custom_llm_provider",
    "aws_region_name",
    "aws_bedrock_runtime_endpoint",
    "aws_role_name",
    "aws_session_name",
    "azure_ad_tenant_id",
    "organization",
    "project",
    "region_name",
    "vertex_location",
    "vertex_project",
];

/// Whether a value isn't secret: it is known by its name, and no address with a name and a password in it.
fn is_harmless(name: &str, value: &Value) -> bool {
    let has_user = |text: &str| {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@'))
    };
    HARMLESS.contains(&name) && value.as_str().is_some_and(|text| !has_user(text) && !text.contains('?'))
}

/// Values apart: those that anybody who may see the credential is shown, and those that nobody is.
fn apart(values: Map<String, Value>) -> Result<(Map<String, Value>, Map<String, Value>)> {
    if let Some((name, _)) = values.iter().find(|(_, value)| value.as_str() == Some(HIDDEN)) {
        let message =
            format!("`{name}` is what stands in the place of a secret; enter the secret, or leave it out");
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "credential_values"));
    }
    Ok(values.into_iter().partition(|(name, value)| is_harmless(name, value)))
}

/// Makes a credential of these values.
///
/// # Errors
/// `Forbidden`, `InvalidRequest`, `Conflict` when the name is taken, `Store`.
pub(crate) async fn made(
    ask: &Ask,
    name: &str,
    values: Map<String, Value>,
    info: Map<String, Value>,
) -> Result<Stored<SharedCredential>> {
    let (values, secrets) = apart(values.into_iter().filter(|(_, value)| !value.is_null()).collect())?;
    let change = CredentialChange { values, secrets, info, channels: Vec::new() };
    ask.admin().create_credential(&ask.actor, name, change).await
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("credential_name")?;
    let values = fields.object("credential_values")?.value();
    let values = values.ok_or_else(|| fields::missing("credential_values"))?;
    let info = fields.object("credential_info")?.value().unwrap_or_default();
    let warnings = fields.finish()?;
    made(&ask, &name, values, info).await?;
    done(format!("credential `{name}` is made"), warnings)
}

async fn list(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let all = ask.admin().shared_credentials(&ask.actor).await?;
    let rows: Vec<_> = all.iter().map(|(name, it)| row(name, &it.value)).collect();
    Done::ok(&json!({"success": true, "credentials": rows})).map(|done| done.warning(sent))
}

async fn info(ask: Ask) -> Result<Done> {
    let (name, sent) = (ask.param("credential_name"), query(&ask)?.finish()?);
    let it = ask.admin().shared_credential(&ask.actor, &name).await?;
    Done::ok(&row(&name, &it.value)).map(|done| done.warning(sent))
}

/// What a model is reached by: the credential that it names, or what its own entry says.
async fn of_model(ask: Ask) -> Result<Done> {
    let (id, sent) = (ChannelId::from(ask.param("model_id")), query(&ask)?.finish()?);
    let view = ask.admin().channel(&ask.actor, &id).await?;
    let entry = entry_of(&ask, &id).await?;
    let named = entry["litellm_params"].get("litellm_credential_name").and_then(Value::as_str);
    let row = match named {
        Some(name) => row(name, &ask.admin().shared_credential(&ask.actor, name).await?.value),
        None => {
            let mut values = shown(&entry)["litellm_params"].as_object().cloned().unwrap_or_default();
            values.retain(|name, _| ADDRESSES.contains(&name.as_str()));
            if view.has_secret {
                values.insert("api_key".to_owned(), HIDDEN.into());
            }
            Map::from_iter([
                ("credential_name".to_owned(), format!("credential of model {id}").into()),
                ("credential_values".to_owned(), values.into()),
                ("credential_info".to_owned(), json!({})),
            ])
        }
    };
    Done::ok(&row).map(|done| done.warning(sent))
}

async fn update(ask: Ask) -> Result<Done> {
    let (mut fields, name) = (body(&ask)?, ask.param("credential_name"));
    fields.take("credential_name");
    let sent = fields.object("credential_values")?.value().unwrap_or_default();
    let info = fields.object("credential_info")?.value().unwrap_or_default();
    let mut warnings = fields.finish()?;
    warnings.extend(changed(&ask, &name, &sent, &info).await?.1);
    done(format!("credential `{name}` is changed"), warnings)
}

/// Changes what is named, and every model that has the credential. The rest stays; but a secret is sent nowhere else than it was
/// entered for.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidRequest`, what a channel doesn't allow, `Store`.
pub(crate) async fn changed(
    ask: &Ask,
    name: &str,
    sent: &Map<String, Value>,
    info: &Map<String, Value>,
) -> Result<(Stored<SharedCredential>, Vec<String>)> {
    // Of a channel that was changed meanwhile what it becomes is worked out anew.
    retried(came_second, || try_change(ask, name, sent, info)).await
}

async fn try_change(
    ask: &Ask,
    name: &str,
    sent: &Map<String, Value>,
    more_info: &Map<String, Value>,
) -> Result<(Stored<SharedCredential>, Vec<String>)> {
    let before: Stored<SharedCredential> = ask.admin().shared_credential(&ask.actor, name).await?;
    let mut values = ask.admin().opened_credential(&ask.actor, name).await?;
    let had_key = values.contains_key("api_key");
    let moves = |address: &&&str| sent.get(**address).is_some_and(|it| values.get(**address) != Some(it));
    if let Some(address) = ADDRESSES.iter().find(moves) {
        let kept = |secret: &&String| !sent.contains_key(secret.as_str());
        if let Some(secret) = before.value.secrets.iter().find(kept) {
            let message = format!(
                "with another `{address}` enter `{secret}` again: a secret isn't sent elsewhere by itself"
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "credential_values"));
        }
    }
    for (name, value) in sent {
        match value {
            Value::Null => drop(values.remove(name)),
            // An empty key is none.
            Value::String(text) if name == "api_key" && text.is_empty() => drop(values.remove(name)),
            value => drop(values.insert(name.clone(), value.clone())),
        }
    }
    let mut info = before.value.info.clone();
    info.extend(more_info.clone());
    // A secret that is taken out of it is taken from them.
    let revoke = had_key && !values.contains_key("api_key");
    let (mut channels, mut told) = (Vec::new(), Vec::new());
    for (model, entry) in ask.admin().entries_naming(&ask.actor, name).await? {
        let id = ChannelId::from(model);
        let view = ask.admin().channel(&ask.actor, &id).await?;
        let entry = Value::Object(entry.value.metadata);
        let (patch, warnings) = patch_for(ask, view.channel, &entry, Some(&values), revoke).await?;
        told.extend(warnings);
        channels.push((id, view.etag, patch));
    }
    let (values, secrets) = apart(values)?;
    let change = CredentialChange { values, secrets, info, channels };
    Ok((ask.admin().update_credential(&ask.actor, name, &before, change).await?, told))
}

async fn delete(ask: Ask) -> Result<Done> {
    let (warnings, name) = (body(&ask)?.finish()?, ask.param("credential_name"));
    ask.admin().delete_credential(&ask.actor, &name).await?;
    done(format!("credential `{name}` is deleted"), warnings)
}
