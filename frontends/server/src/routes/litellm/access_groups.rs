//! `/access_group/…` and `/v1/access_group`: models under one name. The older routes know a group by the name that lists of models
//! say, the newer ones by an id that `access_group_ids` says; here the two are one.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{GivenTo, NamedKind, NamedScope};
use sluicegate::store::Stored;
use sluicegate::{Error, ErrorKind, ModelName, Result};

use super::fields::{self, Fields, Sent};
use super::{at_once, body, find_key, once, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

const KIND: NamedKind = NamedKind::AccessGroup;

pub(super) fn table() -> Vec<Entry> {
    let one = "/v1/access_group/{access_group}";
    vec![
        Entry::plain(Method::POST, "/access_group/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::GET, "/access_group/list", || ask::route(Method::GET, list)),
        Entry::plain(Method::GET, "/access_group/{access_group}/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::PUT, "/access_group/{access_group}/update", || ask::route(Method::PUT, update)),
        Entry::plain(Method::DELETE, "/access_group/{access_group}/delete", || {
            ask::route(Method::DELETE, delete)
        }),
        Entry::plain(Method::POST, "/v1/access_group", || ask::route(Method::POST, new_unified)),
        Entry::plain(Method::GET, "/v1/access_group", || ask::route(Method::GET, list_unified)),
        Entry::plain(Method::GET, one, || ask::route(Method::GET, info_unified)),
        Entry::plain(Method::PUT, one, || ask::route(Method::PUT, update_unified)),
        Entry::plain(Method::DELETE, one, || ask::route(Method::DELETE, delete_unified)),
    ]
}

/// `model_names`, and the models of `model_ids`.
fn models(ask: &Ask, fields: &mut Fields) -> Result<Sent<Vec<ModelName>>> {
    let names = fields.texts("model_names")?;
    let ids = fields.texts("model_ids")?;
    if names == Sent::Absent && ids == Sent::Absent {
        return Ok(Sent::Absent);
    }
    let mut all: Vec<ModelName> =
        names.value().unwrap_or_default().into_iter().map(ModelName::from).collect();
    let snapshot = ask.gateway().engine().snapshot();
    for id in ids.value().unwrap_or_default() {
        let channel = snapshot.channels().iter().find(|channel| channel.id.as_str() == id);
        let served = channel.map(|channel| channel.models.iter().map(|model| model.group.clone()));
        let served = served.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("model `{id}` doesn't exist")).with("param", "model_ids")
        })?;
        for name in served {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
    Ok(Sent::Value(all))
}

/// How many channels serve something of a group.
fn deployments(ask: &Ask, models: &[ModelName]) -> usize {
    let access = sluicegate::tenant::ModelAccess::only(models.to_vec());
    let snapshot = ask.gateway().engine().snapshot();
    let serves = |channel: &&sluicegate::Channel| {
        !models.is_empty() && channel.models.iter().any(|model| access.allows(model.group.as_str()))
    };
    snapshot.channels().iter().filter(serves).count()
}

fn row(ask: &Ask, name: &str, it: &Stored<NamedScope>) -> Map<String, Value> {
    Map::from_iter([
        ("access_group".to_owned(), json!(name)),
        ("model_names".to_owned(), json!(it.value.models)),
        ("deployment_count".to_owned(), json!(deployments(ask, &it.value.models))),
    ])
}

/// A row, with how many deployments a change has reached.
fn changed(ask: &Ask, name: &str, it: &Stored<NamedScope>) -> Map<String, Value> {
    let mut row = row(ask, name, it);
    let count = row.remove("deployment_count").unwrap_or_default();
    row.insert("models_updated".to_owned(), count);
    row
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    ask.admin().may_change_named(&ask.actor, KIND)?;
    let name = fields.required("access_group")?;
    let models = models(&ask, &mut fields)?.value().filter(|models| !models.is_empty());
    let models = models.ok_or_else(|| fields::missing("model_names"))?;
    let warnings = fields.finish()?;
    let new = NamedScope { models, ..NamedScope::default() };
    let made = ask.admin().create_named(&ask.actor, KIND, &name, new).await?;
    warned(changed(&ask, &name, &made), warnings)
}

async fn list(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let all = ask.admin().all_named(&ask.actor, KIND).await?;
    let rows: Vec<_> = all.iter().map(|(name, it)| row(&ask, name, it)).collect();
    Done::ok(&json!({ "access_groups": rows })).map(|done| done.warning(sent))
}

async fn info(ask: Ask) -> Result<Done> {
    let (name, sent) = (ask.param("access_group"), query(&ask)?.finish()?);
    let it = ask.admin().named(&ask.actor, KIND, &name).await?;
    Done::ok(&row(&ask, &name, &it)).map(|done| done.warning(sent))
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    ask.admin().may_change_named(&ask.actor, KIND)?;
    let name = ask.param("access_group");
    let models = models(&ask, &mut fields)?.value().filter(|models| !models.is_empty());
    let models = models.ok_or_else(|| fields::missing("model_names"))?;
    let warnings = fields.finish()?;
    let edit = |it: &mut NamedScope| {
        it.models.clone_from(&models);
        Ok(())
    };
    let it = ask.admin().update_named(&ask.actor, KIND, &name, &edit).await?;
    warned(changed(&ask, &name, &it), warnings)
}

async fn delete(ask: Ask) -> Result<Done> {
    let (name, warnings) = (ask.param("access_group"), body(&ask)?.finish()?);
    let gone = ask.admin().delete_named(&ask.actor, KIND, &name).await?;
    let answer = Map::from_iter([
        ("access_group".to_owned(), json!(name)),
        ("models_updated".to_owned(), json!(deployments(&ask, &gone.models))),
        ("message".to_owned(), format!("access group `{name}` is deleted").into()),
    ]);
    warned(answer, warnings)
}

/// A group's row for the newer routes. What it is called is its alias, or else its id.
async fn whole(ask: &Ask, id: &str, it: &Stored<NamedScope>) -> Result<Map<String, Value>> {
    let holders = ask.admin().holders_of_access_group(&ask.actor, id).await?;
    Ok(Map::from_iter([
        ("access_group_id".to_owned(), json!(id)),
        ("access_group_name".to_owned(), json!(it.value.alias.as_deref().unwrap_or(id))),
        ("description".to_owned(), it.value.metadata.get("description").cloned().unwrap_or_default()),
        ("access_model_names".to_owned(), json!(it.value.models)),
        ("access_mcp_server_ids".to_owned(), json!([])),
        ("access_agent_ids".to_owned(), json!([])),
        ("assigned_team_ids".to_owned(), json!(holders.groups)),
        ("assigned_key_ids".to_owned(), json!(holders.keys)),
        ("created_at".to_owned(), json!(it.created_at.to_string())),
        ("created_by".to_owned(), json!(it.created_by)),
        ("updated_at".to_owned(), json!(it.updated_at.to_string())),
        ("updated_by".to_owned(), json!(it.updated_by)),
    ]))
}

/// What a request of the newer routes says about a group.
struct Change {
    name: Sent<String>,
    description: Sent<String>,
    models: Sent<Vec<String>>,
    to: GivenTo,
}

impl Change {
    async fn take(ask: &Ask, fields: &mut Fields) -> Result<Self> {
        let named = fields.texts("assigned_key_ids")?.value();
        let groups = fields.texts("assigned_team_ids")?.value();
        // Nothing is looked up for whoever may give nothing.
        let gives = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        ask.admin().may_give_access_group(&ask.actor, gives(&groups), gives(&named))?;
        let groups = groups.map(|named| at_once("assigned_team_ids", once(named))).transpose()?;
        let mut keys = None;
        if let Some(named) = named {
            let mut found = Vec::new();
            for name in at_once("assigned_key_ids", once(named))? {
                found.push(find_key(ask, &name).await?);
            }
            keys = Some(found);
        }
        Ok(Self {
            name: fields.text("access_group_name")?,
            description: fields.text("description")?,
            models: fields.texts("access_model_names")?,
            to: GivenTo { groups, keys },
        })
    }

    fn apply(&self, id: &str, it: &mut NamedScope) {
        match &self.name {
            Sent::Value(name) if name == id => it.alias = None,
            sent => sent.clone().apply(&mut it.alias),
        }
        match &self.description {
            Sent::Absent => {}
            Sent::Null => drop(it.metadata.remove("description")),
            Sent::Value(text) => drop(it.metadata.insert("description".to_owned(), text.as_str().into())),
        }
        match &self.models {
            Sent::Absent => {}
            Sent::Null => it.models.clear(),
            Sent::Value(names) => it.models = names.iter().map(|name| name.as_str().into()).collect(),
        }
    }
}

async fn new_unified(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    ask.admin().may_change_named(&ask.actor, KIND)?;
    let change = Change::take(&ask, &mut fields).await?;
    let named = change.name.clone().value().filter(|name| !name.is_empty());
    let id = named.ok_or_else(|| fields::missing("access_group_name"))?;
    let warnings = fields.finish()?;
    let mut new = NamedScope::default();
    change.apply(&id, &mut new);
    let made = ask.admin().create_access_group(&ask.actor, &id, new, &change.to).await?;
    warned(whole(&ask, &id, &made).await?, warnings)
}

async fn list_unified(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let mut rows = Vec::new();
    for (id, it) in ask.admin().all_named(&ask.actor, KIND).await? {
        rows.push(whole(&ask, &id, &it).await?);
    }
    Done::ok(&rows).map(|done| done.warning(sent))
}

async fn info_unified(ask: Ask) -> Result<Done> {
    let (id, sent) = (ask.param("access_group"), query(&ask)?.finish()?);
    let it = ask.admin().named(&ask.actor, KIND, &id).await?;
    Done::ok(&whole(&ask, &id, &it).await?).map(|done| done.warning(sent))
}

async fn update_unified(ask: Ask) -> Result<Done> {
    let (mut fields, id) = (body(&ask)?, ask.param("access_group"));
    ask.admin().may_change_named(&ask.actor, KIND)?;
    let change = Change::take(&ask, &mut fields).await?;
    let warnings = fields.finish()?;
    let edit = |it: &mut NamedScope| {
        change.apply(&id, it);
        Ok(())
    };
    let it = ask.admin().update_access_group(&ask.actor, &id, &edit, &change.to).await?;
    warned(whole(&ask, &id, &it).await?, warnings)
}

async fn delete_unified(ask: Ask) -> Result<Done> {
    let id = ask.param("access_group");
    ask.admin().delete_named(&ask.actor, KIND, &id).await?;
    Done::nothing()
}
