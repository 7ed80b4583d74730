//! Channels as they are written in a configuration file, and parts of them: what the catalogue knows is filled in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluicegate_config::{Environment, Severity, Source, nearest};
use sluicegate_core::price::Exchange;
use sluicegate_core::tenant::Source as Declared;
use sluicegate_core::{Channel, ChannelId, Error, ErrorKind, Result, Secret, SecretRef};

use super::super::{Actor, Admin, Limits, invalid};
use super::{HIDDEN, is_own_variable, of_gateway, only_super, refuse_own_variables, uncover};
use crate::secret;

/// A channel that need not be saved: whole, or as a configuration file has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelDraft {
    /// The channel.
    pub channel: Option<Channel>,
    /// The channel as an entry of `channels` in a configuration file; instead of `channel`.
    pub declared: Option<Map<String, Value>>,
    /// Its credential. Several lines are several keys. Left out, a channel that is saved is asked with its own, unless where it
    /// is sent has changed.
    #[serde(skip_serializing)]
    pub secret: Option<Secret>,
}

/// What of a channel can be changed by itself.
const FIELDS: [&str; 28] = [
    "name",
    "provider",
    "endpoints",
    "auth",
    "key_mode",
    "models",
    "groups",
    "priority",
    "weight",
    "limits",
    "tags",
    "tag_patterns",
    "headers",
    "timeouts",
    "transport",
    "allowed_fails",
    "allowed_fails_by",
    "cooldown_ms",
    "health_check",
    "unknown_fields",
    "translation",
    "client_overrides",
    "web_search",
    "think_tags",
    "pass_through",
    "price_terms",
    "body_edits",
    "enabled",
];

/// A text that stands where a credential goes, for the reader of files.
const BESIDE: &str = "given-beside-it";

impl Admin {
    /// The channel that a draft means, and the credential that it comes with.
    ///
    /// # Errors
    /// `Forbidden`; `InvalidRequest` with everything that is wrong with it. `Store`.
    pub async fn drafted(&self, actor: &Actor, draft: ChannelDraft) -> Result<(Channel, Option<Secret>)> {
        only_super(actor)?;
        let secret = draft.secret.filter(|secret| !secret.expose().trim().is_empty());
        let (mut channel, secret) = match (draft.channel, draft.declared) {
            (Some(channel), None) => (channel, secret),
            (None, Some(declared)) => self.declared_draft(declared, secret)?,
            _ => {
                let message = "describe the channel: give either `channel`, whole, or `declared`, as a configuration file has it";
                return Err(invalid("channel", message));
            }
        };
        channel.source = Declared::Database;
        let is_env = matches!(channel.secret, SecretRef::Env(_));
        let mut kept = None;
        if let Some(saved) = self.saved(&channel.id).await? {
            uncover(&mut channel, &saved)?;
            let same = secret::destination(&saved)? == secret::destination(&channel)?;
            kept = (secret.is_none() && same && !is_env).then_some((saved.secret, saved.more_keys));
        }
        match kept {
            Some(keys) => (channel.secret, channel.more_keys) = keys,
            // What is sealed is found by the channel's id alone: it goes nowhere but where it was sealed for.
            None => {
                channel.more_keys.retain(|key| *key != SecretRef::Sealed);
                if channel.secret == SecretRef::Sealed {
                    channel.secret = SecretRef::None;
                    channel.more_keys.clear();
                }
            }
        }
        refuse_own_variables(&channel)?;
        if let Some((name, _)) = channel.headers.iter().find(|(_, value)| *value == HIDDEN) {
            let message = format!("the header `{name}` has no value; enter it, since it isn't shown again");
            return Err(invalid("headers", message));
        }
        if let Some(secret) = &secret {
            channel.secret = SecretRef::Sealed;
            channel.more_keys = vec![SecretRef::Sealed; secret::lines(secret).len().saturating_sub(1)];
        }
        sluicegate_config::know_quirks(std::slice::from_mut(&mut channel));
        Ok((channel, secret))
    }

    async fn saved(&self, id: &ChannelId) -> Result<Option<Channel>> {
        let known = self.0.engine.snapshot().channels().iter().find(|it| it.id == *id).cloned();
        if known.is_some() || id.as_str().is_empty() {
            return Ok(known);
        }
        let stored = self.store().channels().await?;
        Ok(stored.into_iter().map(|it| it.channel.value).find(|it| it.id == *id))
    }

    /// Reads one entry of `channels`, as a file's is read.
    fn declared_draft(
        &self,
        mut declared: Map<String, Value>,
        secret: Option<Secret>,
    ) -> Result<(Channel, Option<Secret>)> {
        let id = declared.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        refuse_variables(&declared)?;
        if secret.is_some() {
            declared.remove("keys");
            declared.insert("credential".to_owned(), BESIDE.into());
        }
        let snapshot = self.0.engine.snapshot();
        let rates: Map<String, Value> = snapshot.declared.currencies.iter().map(written_rate).collect();
        let text = json!({"version": 1, "currencies": rates, "channels": [declared]}).to_string();
        let variable = |name: &str| self.0.host.variable(name);
        let loaded =
            sluicegate_config::load(Source { path: "declared", text: &text }, &Environment::new(&variable));
        let errors: Vec<String> = loaded
            .diagnostics
            .iter()
            .filter(|it| it.severity == Severity::Error && it.at.starts_with("channels"))
            .map(|it| {
                let at = it.at.strip_prefix("channels[0].").unwrap_or("declared");
                let remedy = if it.remedy.is_empty() { String::new() } else { format!("; {}", it.remedy) };
                format!("{at}: {}{remedy}", it.message)
            })
            .collect();
        let channel = loaded.declared.channels.into_iter().next();
        let Some(mut channel) = channel.filter(|_| errors.is_empty()) else {
            let what =
                if errors.is_empty() { "it declares no channel".to_owned() } else { errors.join("; ") };
            return Err(invalid("declared", what));
        };
        channel.id = ChannelId::from(id);
        let secret = secret.or_else(|| inline(&channel));
        if secret.is_some() {
            channel.secret = SecretRef::None;
            channel.more_keys.clear();
        }
        Ok((channel, secret))
    }

    /// A channel with some of its fields changed, as they stand in a `Channel`; null gives a field its default. Models may be
    /// given by name: the catalogue says the rest.
    pub(super) fn edited(&self, before: &Channel, edit: &Map<String, Value>) -> Result<Channel> {
        let unread =
            |why: &dyn std::fmt::Display| invalid("channel", format!("the change can't be read: {why}"));
        let mut value = serde_json::to_value(before).map_err(|why| {
            Error::new(ErrorKind::Internal, "a channel couldn't be written down").with_source(why)
        })?;
        for (name, new) in edit {
            if !FIELDS.contains(&name.as_str()) {
                let hint = nearest(name, FIELDS).map(|known| format!("; did you mean `{known}`?"));
                let message = format!(
                    "`{name}` is nothing of a channel that can be changed{}",
                    hint.unwrap_or_default()
                );
                return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name.clone()));
            }
            let new = match (name.as_str(), new) {
                ("models", Value::Array(models)) => self.edited_models(before, edit, models)?,
                ("limits", Value::Object(_)) => {
                    let limits: Limits = serde_json::from_value(new.clone()).map_err(|why| unread(&why))?;
                    json!(limits.0)
                }
                _ => new.clone(),
            };
            match (new.is_null(), value.as_object_mut()) {
                (true, Some(map)) => drop(map.remove(name)),
                (_, Some(map)) => drop(map.insert(name.clone(), new)),
                (_, None) => {}
            }
        }
        serde_json::from_value(value).map_err(|why| unread(&why))
    }

    fn edited_models(&self, before: &Channel, edit: &Map<String, Value>, models: &[Value]) -> Result<Value> {
        let names: Vec<&str> = models.iter().filter_map(Value::as_str).collect();
        if names.is_empty() {
            return Ok(models.into());
        }
        let provider = edit.get("provider").cloned().unwrap_or_else(|| before.provider.as_str().into());
        let mut declared = Map::new();
        declared.insert("name".to_owned(), before.name.clone().into());
        declared.insert("provider".to_owned(), provider);
        declared.insert("endpoints".to_owned(), json!(before.endpoints));
        declared.insert("models".to_owned(), json!(names));
        let (known, _) = self.declared_draft(declared, Some(Secret::new(BESIDE)))?;
        let mut known = known.models.into_iter();
        let one = |model: &Value| match model {
            Value::String(_) => known.next().map_or(Value::Null, |it| json!(it)),
            other => other.clone(),
        };
        Ok(models.iter().map(one).collect())
    }
}

/// A currency and how many of it are one USD, as a configuration file has it.
fn written_rate(rate: &Exchange) -> (String, Value) {
    let (whole, millionths) = (rate.per_usd_ppm / 1_000_000, rate.per_usd_ppm % 1_000_000);
    (rate.currency.as_str().to_owned(), format!("{whole}.{millionths:06}").into())
}

/// Refuses what a file's author may write and whoever sends a channel may not: the value of a variable anywhere but in the
/// place of a credential would be shown to everybody who sees the channel; and what opens the gateway is no credential.
fn refuse_variables(declared: &Map<String, Value>) -> Result<()> {
    for (name, value) in declared {
        let named = variables(value);
        let message = match name.as_str() {
            "credential" | "keys" => named.into_iter().find(|it| is_own_variable(it)).map(of_gateway),
            _ => named.first().map(|it| {
                format!(
                    "`{name}` refers to the environment variable `{it}`; only `credential` and `keys` may"
                )
            }),
        };
        if let Some(message) = message {
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name.clone()));
        }
    }
    Ok(())
}

/// The variables that texts may refer to.
fn variables(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => {
            let whole = text.trim().strip_prefix("os.environ/").map(str::trim);
            let within = text.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next());
            whole.into_iter().chain(within).collect()
        }
        Value::Array(items) => items.iter().flat_map(variables).collect(),
        Value::Object(map) => map.values().flat_map(variables).collect(),
        _ => Vec::new(),
    }
}

/// The credentials that stand in a channel itself, a line each.
fn inline(channel: &Channel) -> Option<Secret> {
    let text = |key: &SecretRef| match key {
        SecretRef::Inline(secret) => Some(secret.expose().to_owned()),
        _ => None,
    };
    let all: Vec<String> =
        std::iter::once(&channel.secret).chain(&channel.more_keys).filter_map(text).collect();
    (!all.is_empty()).then(|| Secret::new(all.join("\n")))
}
