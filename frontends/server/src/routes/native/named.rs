//! What has a name and limits without being a tenant: budgets that several share, end customers and tags; and access groups, models
//! under one name. For super administrators: calls of every organization may name them.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluicegate::admin::{Limits, NamedKind, NamedScope, Patch, etag};
use sluicegate::store::Stored;
use sluicegate::{Error, ErrorKind, ModelName, Result};

use super::{list as lists, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &lists::PARAMETERS;

/// The five operations on one kind: list, make, get, change, remove.
macro_rules! operations {
    ($kind:expr, $tag:literal, $all:literal, $one:literal, $param:literal, $schema:literal,
     [$list:literal, $create:literal, $get:literal, $update:literal, $delete:literal], $what:literal, $removed:literal) => {{
        let op = |id, summary| Operation::new(id, $tag, summary);
        let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
        [
            entry(
                Method::GET,
                $all,
                || ask::route(Method::GET, |ask| list(ask, $kind, $schema)),
                op($list, concat!("All ", $what, "s."))
                    .query(QUERY)
                    .answers(200, concat!($schema, "List"))
                    .or_csv(),
            ),
            entry(
                Method::POST,
                $all,
                || ask::route(Method::POST, |ask| create(ask, $kind)),
                op($create, concat!("Makes one ", $what, ", and takes it into use."))
                    .body(concat!("New", $schema))
                    .answers(201, $schema),
            ),
            entry(
                Method::GET,
                $one,
                || ask::route(Method::GET, |ask| get(ask, $kind, $param)),
                op($get, concat!("One ", $what, ".")).answers(200, $schema),
            ),
            entry(
                Method::PATCH,
                $one,
                || ask::route(Method::PATCH, |ask| update(ask, $kind, $param)),
                op($update, concat!("Changes one ", $what, ". Null clears a field; one left out stays."))
                    .body(concat!($schema, "Patch"))
                    .answers(200, $schema),
            ),
            entry(
                Method::DELETE,
                $one,
                || ask::route(Method::DELETE, |ask| delete(ask, $kind, $param)),
                op($delete, $removed).answers_nothing(204),
            ),
        ]
    }};
}

pub(super) fn table() -> Vec<Entry> {
    let mut entries = Vec::new();
    entries.extend(operations!(
        NamedKind::Budget,
        "limits",
        "/api/v1/budgets",
        "/api/v1/budgets/{budget}",
        "budget",
        "SharedBudget",
        ["listSharedBudgets", "createSharedBudget", "getSharedBudget", "updateSharedBudget", "deleteSharedBudget"],
        "budget that several share",
        "Removes one budget that several share. Keys keep its limits; customers and tags must have another first."
    ));
    entries.extend(operations!(
        NamedKind::Customer,
        "limits",
        "/api/v1/customers",
        "/api/v1/customers/{customer}",
        "customer",
        "Customer",
        ["listCustomers", "createCustomer", "getCustomer", "updateCustomer", "deleteCustomer"],
        "end customer with limits",
        "Removes what is said of one end customer. What their calls used stays in the records."
    ));
    entries.extend(operations!(
        NamedKind::Tag,
        "limits",
        "/api/v1/tags",
        "/api/v1/tags/{tag}",
        "tag",
        "Tag",
        ["listTags", "createTag", "getTag", "updateTag", "deleteTag"],
        "tag with limits",
        "Removes what is said of one tag. What calls with it used stays in the records."
    ));
    entries.extend(operations!(
        NamedKind::AccessGroup,
        "channels",
        "/api/v1/access-groups",
        "/api/v1/access-groups/{access_group}",
        "access_group",
        "AccessGroup",
        ["listAccessGroups", "createAccessGroup", "getAccessGroup", "updateAccessGroup", "deleteAccessGroup"],
        "access group",
        "Removes one access group, and its name from every list of models."
    ));
    entries
}

/// What a request says of one. What isn't said of its kind is refused.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    id: Option<String>,
    alias: Patch<String>,
    limits: Patch<Limits>,
    budget: Patch<String>,
    blocked: Option<bool>,
    models: Patch<Vec<ModelName>>,
    metadata: Patch<Map<String, Value>>,
}

/// Whether a kind has the field.
fn has(kind: NamedKind, field: &str) -> bool {
    match field {
        "limits" => kind != NamedKind::AccessGroup,
        "budget" | "blocked" => matches!(kind, NamedKind::Customer | NamedKind::Tag),
        "models" => kind == NamedKind::AccessGroup,
        _ => true,
    }
}

impl Said {
    fn of(ask: &Ask, kind: NamedKind) -> Result<Self> {
        // What they may not change they aren't told the form of.
        ask.admin().may_change_named(&ask.actor, kind)?;
        let said: Self = ask.json()?;
        for (field, is_said) in [
            ("limits", !said.limits.is_keep()),
            ("budget", !said.budget.is_keep()),
            ("blocked", said.blocked.is_some()),
            ("models", !said.models.is_keep()),
        ] {
            if is_said && !has(kind, field) {
                let known: Vec<_> = ["alias", "limits", "budget", "blocked", "models", "metadata"]
                    .into_iter()
                    .filter(|field| has(kind, field))
                    .collect();
                let message = format!("there is no `{field}` here; there are {}", known.join(", "));
                return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", field));
            }
        }
        Ok(said)
    }

    fn apply(&self, to: &mut NamedScope) {
        self.alias.clone().apply(&mut to.alias);
        to.alias = to.alias.take().filter(|alias| !alias.is_empty());
        self.budget.clone().apply(&mut to.budget);
        to.budget = to.budget.take().filter(|id| !id.is_empty());
        match self.limits.clone() {
            Patch::Keep => {}
            Patch::Clear => to.limits.clear(),
            Patch::Set(limits) => to.limits = limits.0,
        }
        to.blocked = self.blocked.unwrap_or(to.blocked);
        self.models.clone().apply_or_default(&mut to.models);
        self.metadata.clone().apply_or_default(&mut to.metadata);
    }
}

/// One as it is shown. `spent` by calls that name it, in nano-USD; `None` where no sums are kept.
fn shown(kind: NamedKind, id: &str, it: &Stored<NamedScope>, spent: Option<i64>) -> Result<Value> {
    let of = &it.value;
    let mut value = json!({
        "id": id,
        "alias": of.alias,
        "metadata": of.metadata,
        "source": if it.version == 0 { "file" } else { "database" },
        "created_at": it.created_at,
        "created_by": it.created_by,
        "updated_at": it.updated_at,
        "updated_by": it.updated_by,
        "etag": etag(it),
    });
    if has(kind, "limits") {
        value["limits"] = serde_json::to_value(Limits(of.limits.clone())).map_err(|why| {
            Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(why)
        })?;
    }
    if has(kind, "budget") {
        value["budget"] = json!(of.budget);
        value["blocked"] = json!(of.blocked);
        value["spend"] = json!(spent.unwrap_or_default());
    }
    if has(kind, "models") {
        value["models"] = json!(of.models);
    }
    if kind == NamedKind::Budget {
        value["keys"] = json!(of.holders);
    }
    Ok(value)
}

async fn list(ask: Ask, kind: NamedKind, schema: &str) -> Result<Done> {
    let query = parameters(&ask, &["cursor", "sort", "format"])?;
    let all = ask.admin().all_named(&ask.actor, kind).await?;
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let spent = ask.admin().spent_by_named(&ask.actor, kind, &names).await?;
    let rows: Vec<Value> = all
        .iter()
        .map(|(name, it)| shown(kind, name, it, spent.get(name).copied()))
        .collect::<Result<_>>()?;
    let fetch = async |spot: &lists::Spot| spot.of_whole(&rows, &["id"]);
    lists::answer(&ask, &query, schema, fetch).await
}

async fn one(ask: &Ask, kind: NamedKind, id: &str, it: &Stored<NamedScope>) -> Result<Value> {
    let spent = ask.admin().spent_by_named(&ask.actor, kind, &[id]).await?;
    shown(kind, id, it, spent.get(id).copied())
}

async fn create(ask: Ask, kind: NamedKind) -> Result<Done> {
    let said = Said::of(&ask, kind)?;
    let id = said.id.clone().filter(|id| !id.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "`id` is missing: the name that calls and lists say")
            .with("param", "id")
    })?;
    let mut new = NamedScope::default();
    said.apply(&mut new);
    let made = ask.admin().create_named(&ask.actor, kind, &id, new).await?;
    Done::created(&one(&ask, kind, &id, &made).await?).map(Done::tagged)
}

async fn get(ask: Ask, kind: NamedKind, param: &str) -> Result<Done> {
    let id = ask.param(param);
    let it = ask.admin().named(&ask.actor, kind, &id).await?;
    Done::ok(&one(&ask, kind, &id, &it).await?).map(Done::tagged)
}

async fn update(ask: Ask, kind: NamedKind, param: &str) -> Result<Done> {
    let (id, said) = (ask.param(param), Said::of(&ask, kind)?);
    if said.id.as_ref().is_some_and(|other| *other != id) {
        let message = "an id stays: calls and lists name it; make another one";
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "id"));
    }
    let edit = |it: &mut NamedScope| {
        said.apply(it);
        Ok(())
    };
    let it = ask.admin().update_named(&ask.actor, kind, &id, &edit).await?;
    Done::ok(&one(&ask, kind, &id, &it).await?).map(Done::tagged)
}

async fn delete(ask: Ask, kind: NamedKind, param: &str) -> Result<Done> {
    ask.admin().delete_named(&ask.actor, kind, &ask.param(param)).await?;
    Done::nothing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_fields() {
        use NamedKind::{AccessGroup, Budget, Customer, Tag};
        for (field, kinds) in [
            ("alias", &[AccessGroup, Budget, Customer, Tag][..]),
            ("limits", &[Budget, Customer, Tag]),
            ("budget", &[Customer, Tag]),
            ("blocked", &[Customer, Tag]),
            ("models", &[AccessGroup]),
        ] {
            for kind in [AccessGroup, Budget, Customer, Tag] {
                assert_eq!(has(kind, field), kinds.contains(&kind), "{kind:?} {field}");
            }
        }
    }
}
