//! `/customer/…` (and `/end_user/…`), `/tag/…` and `/budget/…`: whom calls name, and limits that several share.

use std::collections::HashMap;

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{NamedKind, NamedScope};
use sluicegate::store::Stored;
use sluicegate::{Limit, Result};

use super::budget::{Budget, BudgetChange, usd_json};
use super::fields::{self, Fields, Sent};
use super::{at_once, body, once, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let mut entries = vec![
        Entry::plain(Method::POST, "/tag/new", || ask::route(Method::POST, new_tag)),
        Entry::plain(Method::POST, "/tag/update", || ask::route(Method::POST, update_tag)),
        Entry::plain(Method::POST, "/tag/info", || ask::route(Method::POST, tags)),
        Entry::plain(Method::POST, "/tag/delete", || ask::route(Method::POST, delete_tag)),
        Entry::plain(Method::GET, "/tag/list", || ask::route(Method::GET, list_tags)),
        Entry::plain(Method::POST, "/budget/new", || ask::route(Method::POST, new_budget)),
        Entry::plain(Method::POST, "/budget/update", || ask::route(Method::POST, update_budget)),
        Entry::plain(Method::POST, "/budget/info", || ask::route(Method::POST, budgets)),
        Entry::plain(Method::POST, "/budget/delete", || ask::route(Method::POST, delete_budget)),
        Entry::plain(Method::GET, "/budget/list", || ask::route(Method::GET, list_budgets)),
        Entry::plain(Method::GET, "/budget/settings", || ask::route(Method::GET, budget_settings)),
    ];
    // Two names for one thing.
    for [new, info, update, delete, block, unblock, list] in [
        [
            "/customer/new",
            "/customer/info",
            "/customer/update",
            "/customer/delete",
            "/customer/block",
            "/customer/unblock",
            "/customer/list",
        ],
        [
            "/end_user/new",
            "/end_user/info",
            "/end_user/update",
            "/end_user/delete",
            "/end_user/block",
            "/end_user/unblock",
            "/end_user/list",
        ],
    ] {
        entries.extend([
            Entry::plain(Method::POST, new, || ask::route(Method::POST, new_customer)),
            Entry::plain(Method::GET, info, || ask::route(Method::GET, customer)),
            Entry::plain(Method::POST, update, || ask::route(Method::POST, update_customer)),
            Entry::plain(Method::POST, delete, || ask::route(Method::POST, delete_customers)),
            Entry::plain(Method::POST, block, || ask::route(Method::POST, block_customers)),
            Entry::plain(Method::POST, unblock, || ask::route(Method::POST, unblock_customers)),
            Entry::plain(Method::GET, list, || ask::route(Method::GET, list_customers)),
        ]);
    }
    entries
}

/// What a request says about one: kept, to be said of it as it stands when the change is made.
struct Change {
    alias: Sent<String>,
    budget: Sent<String>,
    blocked: Option<bool>,
    limits: BudgetChange,
    metadata: Sent<Map<String, Value>>,
}

impl Change {
    /// `alias` is what LiteLLM calls the text for people.
    fn take(fields: &mut Fields, alias: &str) -> Result<Self> {
        Ok(Self {
            alias: fields.text(alias)?,
            budget: fields.text("budget_id")?,
            blocked: fields.flag("blocked")?.value(),
            limits: BudgetChange::take(fields)?,
            metadata: fields.object("metadata")?,
        })
    }

    fn apply(&self, to: &mut NamedScope) {
        self.alias.clone().apply(&mut to.alias);
        self.budget.clone().apply(&mut to.budget);
        to.budget = to.budget.take().filter(|id| !id.is_empty());
        to.blocked = self.blocked.unwrap_or(to.blocked);
        if let Some(edit) = self.limits.clone().editor() {
            edit.edit(&mut to.limits);
        }
        match &self.metadata {
            Sent::Absent => {}
            Sent::Null => to.metadata.clear(),
            Sent::Value(map) => to.metadata.clone_from(map),
        }
    }

    async fn make(&self, ask: &Ask, kind: NamedKind, name: &str) -> Result<Stored<NamedScope>> {
        let mut new = NamedScope::default();
        self.apply(&mut new);
        ask.admin().create_named(&ask.actor, kind, name, new).await
    }

    async fn change(self, ask: &Ask, kind: NamedKind, name: &str) -> Result<Stored<NamedScope>> {
        let edit = |it: &mut NamedScope| {
            self.apply(it);
            Ok(())
        };
        ask.admin().update_named(&ask.actor, kind, name, &edit).await
    }
}

/// A tag's `models` are where LiteLLM sends calls that have it, and hold nothing back.
fn skip_models(fields: &mut Fields) {
    if let Sent::Value(models) = fields.take("models")
        && models.as_array().is_none_or(|models| !models.is_empty())
    {
        fields.warn("`models` has no effect here");
    }
}

/// What rows say besides what is stored of each: what was spent, and the budgets that they have. Asked once, however many rows.
struct Around {
    spent: HashMap<String, i64>,
    budgets: HashMap<String, Value>,
}

impl Around {
    async fn of(ask: &Ask, kind: NamedKind, all: &[(&str, &Stored<NamedScope>)]) -> Result<Self> {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let spent = ask.admin().spent_by_named(&ask.actor, kind, &names).await?;
        let mut budgets = HashMap::new();
        if all.iter().any(|(_, it)| it.value.budget.is_some()) {
            for (id, budget) in ask.admin().all_named(&ask.actor, NamedKind::Budget).await? {
                let row = budget_row(&id, &budget);
                budgets.insert(id, row.into());
            }
        }
        Ok(Self { spent, budgets })
    }

    fn spend(&self, name: &str) -> Value {
        usd_json(self.spent.get(name).copied().unwrap_or_default())
    }

    /// The budget's part of a row: its own limits, or those of the budget that it has.
    fn budget_table(&self, it: &NamedScope) -> Value {
        match &it.budget {
            Some(id) => self.budgets.get(id).cloned().unwrap_or_default(),
            None if it.limits.is_empty() => Value::Null,
            None => described(&it.limits).into(),
        }
    }
}

fn described(limits: &[Limit]) -> Map<String, Value> {
    let mut row = Map::new();
    Budget::of(limits).describe(&mut row);
    row
}

fn stamp(row: &mut Map<String, Value>, it: &Stored<NamedScope>) {
    row.insert("created_at".to_owned(), json!(it.created_at.to_string()));
    row.insert("created_by".to_owned(), json!(it.created_by));
    row.insert("updated_at".to_owned(), json!(it.updated_at.to_string()));
    row.insert("updated_by".to_owned(), json!(it.updated_by));
}

fn customer_row(name: &str, it: &Stored<NamedScope>, around: &Around) -> Map<String, Value> {
    let mut row = Map::from_iter([
        ("user_id".to_owned(), json!(name)),
        ("alias".to_owned(), json!(it.value.alias)),
        ("blocked".to_owned(), json!(it.value.blocked)),
        ("spend".to_owned(), around.spend(name)),
        ("budget_id".to_owned(), json!(it.value.budget)),
        ("metadata".to_owned(), json!(it.value.metadata)),
        ("allowed_model_region".to_owned(), Value::Null),
        ("default_model".to_owned(), Value::Null),
        ("litellm_budget_table".to_owned(), around.budget_table(&it.value)),
    ]);
    stamp(&mut row, it);
    row
}

async fn one_customer(ask: &Ask, name: &str, it: &Stored<NamedScope>) -> Result<Map<String, Value>> {
    Ok(customer_row(name, it, &Around::of(ask, NamedKind::Customer, &[(name, it)]).await?))
}

async fn new_customer(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("user_id")?;
    let change = Change::take(&mut fields, "alias")?;
    let warnings = fields.finish()?;
    let made = change.make(&ask, NamedKind::Customer, &name).await?;
    warned(one_customer(&ask, &name, &made).await?, warnings)
}

async fn customer(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let name = query.required("end_user_id")?;
    let found = ask.admin().named(&ask.actor, NamedKind::Customer, name).await?;
    Done::ok(&one_customer(&ask, name, &found).await?).and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn update_customer(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("user_id")?;
    let change = Change::take(&mut fields, "alias")?;
    let warnings = fields.finish()?;
    let changed = change.change(&ask, NamedKind::Customer, &name).await?;
    warned(one_customer(&ask, &name, &changed).await?, warnings)
}

/// `user_ids`: one at least.
fn customer_names(fields: &mut Fields) -> Result<Vec<String>> {
    let names = fields.texts("user_ids")?.value().unwrap_or_default();
    if names.is_empty() { Err(fields::missing("user_ids")) } else { at_once("user_ids", once(names)) }
}

async fn delete_customers(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let names = customer_names(&mut fields)?;
    let warnings = fields.finish()?;
    ask.admin().delete_all_named(&ask.actor, NamedKind::Customer, &names).await?;
    let answer = Map::from_iter([
        ("deleted_customers".to_owned(), names.len().into()),
        ("message".to_owned(), format!("{} end customers are deleted", names.len()).into()),
    ]);
    warned(answer, warnings)
}

async fn block_customers(ask: Ask) -> Result<Done> {
    set_blocked(ask, true).await
}

async fn unblock_customers(ask: Ask) -> Result<Done> {
    set_blocked(ask, false).await
}

/// Takes customers out of use, or back into it. Whom nobody has made yet is made, to be refused.
async fn set_blocked(ask: Ask, blocked: bool) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (names, mut rows) = (customer_names(&mut fields)?, Vec::new());
    let warnings = fields.finish()?;
    ask.admin().block_named(&ask.actor, NamedKind::Customer, &names, blocked).await?;
    for name in &names {
        let changed = ask.admin().named(&ask.actor, NamedKind::Customer, name).await?;
        rows.push(one_customer(&ask, name, &changed).await?);
    }
    let name = if blocked { "blocked_users" } else { "unblocked_users" };
    warned(Map::from_iter([(name.to_owned(), json!(rows))]), warnings)
}

async fn list_customers(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let all = ask.admin().all_named(&ask.actor, NamedKind::Customer).await?;
    let all: Vec<_> = all.iter().map(|(name, it)| (name.as_str(), it)).collect();
    let around = Around::of(&ask, NamedKind::Customer, &all).await?;
    let rows: Vec<_> = all.iter().map(|(name, it)| customer_row(name, it, &around)).collect();
    Done::ok(&rows).map(|done| done.warning(sent))
}

fn tag_row(name: &str, it: &Stored<NamedScope>, around: &Around) -> Map<String, Value> {
    let mut row = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("description".to_owned(), json!(it.value.alias)),
        ("models".to_owned(), json!([])),
        ("model_info".to_owned(), Value::Null),
        ("spend".to_owned(), around.spend(name)),
        ("budget_id".to_owned(), json!(it.value.budget)),
        ("litellm_budget_table".to_owned(), around.budget_table(&it.value)),
    ]);
    stamp(&mut row, it);
    row
}

async fn tag_answer(
    ask: &Ask,
    name: &str,
    it: &Stored<NamedScope>,
    done: &str,
    warnings: Vec<String>,
) -> Result<Done> {
    let around = Around::of(ask, NamedKind::Tag, &[(name, it)]).await?;
    let answer = Map::from_iter([
        ("message".to_owned(), format!("tag `{name}` is {done}").into()),
        ("tag".to_owned(), tag_row(name, it, &around).into()),
    ]);
    warned(answer, warnings)
}

async fn new_tag(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("name")?;
    skip_models(&mut fields);
    let change = Change::take(&mut fields, "description")?;
    let warnings = fields.finish()?;
    let made = change.make(&ask, NamedKind::Tag, &name).await?;
    tag_answer(&ask, &name, &made, "made", warnings).await
}

async fn update_tag(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("name")?;
    skip_models(&mut fields);
    let change = Change::take(&mut fields, "description")?;
    let warnings = fields.finish()?;
    let changed = change.change(&ask, NamedKind::Tag, &name).await?;
    tag_answer(&ask, &name, &changed, "changed", warnings).await
}

/// `names`: their rows, by name.
async fn tags(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let names = fields.texts("names")?.value().ok_or_else(|| fields::missing("names"))?;
    let names = at_once("names", once(names))?;
    let warnings = fields.finish()?;
    let mut all = Vec::with_capacity(names.len());
    for name in &names {
        all.push((name.as_str(), ask.admin().named(&ask.actor, NamedKind::Tag, name).await?));
    }
    let all: Vec<_> = all.iter().map(|(name, it)| (*name, it)).collect();
    let around = Around::of(&ask, NamedKind::Tag, &all).await?;
    let row =
        |(name, it): &(&str, &Stored<NamedScope>)| ((*name).to_owned(), tag_row(name, it, &around).into());
    let rows: Map<String, Value> = all.iter().map(row).collect();
    Done::ok(&rows).map(|done| done.warning(warnings))
}

async fn delete_tag(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("name")?;
    let warnings = fields.finish()?;
    ask.admin().delete_named(&ask.actor, NamedKind::Tag, &name).await?;
    warned(Map::from_iter([("message".to_owned(), format!("tag `{name}` is deleted").into())]), warnings)
}

async fn list_tags(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let all = ask.admin().all_named(&ask.actor, NamedKind::Tag).await?;
    let all: Vec<_> = all.iter().map(|(name, it)| (name.as_str(), it)).collect();
    let around = Around::of(&ask, NamedKind::Tag, &all).await?;
    let rows: Vec<_> = all.iter().map(|(name, it)| tag_row(name, it, &around)).collect();
    Done::ok(&rows).map(|done| done.warning(sent))
}

fn budget_row(id: &str, it: &Stored<NamedScope>) -> Map<String, Value> {
    let mut row = described(&it.value.limits);
    row.insert("budget_id".to_owned(), json!(id));
    stamp(&mut row, it);
    row
}

async fn new_budget(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.text("budget_id")?.value().filter(|id| !id.is_empty());
    // An id of ours: made of the time and of chance.
    let id = named.unwrap_or_else(|| ask.gateway().call_id().as_str().replace("call-", "budget-"));
    let change = Change::take(&mut fields, "budget_alias")?;
    let warnings = fields.finish()?;
    let made = change.make(&ask, NamedKind::Budget, &id).await?;
    warned(budget_row(&id, &made), warnings)
}

async fn update_budget(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = fields.required("budget_id")?;
    let change = Change::take(&mut fields, "budget_alias")?;
    let warnings = fields.finish()?;
    let changed = change.change(&ask, NamedKind::Budget, &id).await?;
    warned(budget_row(&id, &changed), warnings)
}

/// `budgets`: ids.
async fn budgets(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let ids = fields.texts("budgets")?.value().filter(|ids| !ids.is_empty());
    let warnings = fields.finish()?;
    let mut rows = Vec::new();
    for id in at_once("budgets", once(ids.ok_or_else(|| fields::missing("budgets"))?))? {
        let it = ask.admin().named(&ask.actor, NamedKind::Budget, &id).await?;
        rows.push(budget_row(&id, &it));
    }
    Done::ok(&rows).map(|done| done.warning(warnings))
}

async fn delete_budget(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = fields.required("id")?;
    let warnings = fields.finish()?;
    let it = ask.admin().named(&ask.actor, NamedKind::Budget, &id).await?;
    ask.admin().delete_named(&ask.actor, NamedKind::Budget, &id).await?;
    warned(budget_row(&id, &it), warnings)
}

async fn list_budgets(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let all = ask.admin().all_named(&ask.actor, NamedKind::Budget).await?;
    let rows: Vec<_> = all.iter().map(|(id, it)| budget_row(id, it)).collect();
    Done::ok(&rows).map(|done| done.warning(sent))
}

/// What a budget may say, and what this one says.
async fn budget_settings(ask: Ask) -> Result<Done> {
    const FIELDS: [(&str, &str, &str); 9] = [
        ("max_budget", "Float", "the most that may be spent, in USD"),
        ("soft_budget", "Float", "what may be spent before an alert, in USD"),
        ("budget_duration", "String", "over which time, such as `30d`; without it for ever"),
        ("max_parallel_requests", "Integer", "calls at a time"),
        ("rpm_limit", "Integer", "calls a minute"),
        ("tpm_limit", "Integer", "tokens a minute"),
        ("daily_token_limit", "Integer", "tokens a day"),
        ("monthly_token_limit", "Integer", "tokens a month"),
        ("model_max_budget", "Object", "budgets for single models"),
    ];
    let query = query(&ask)?;
    let id = query.required("budget_id")?;
    let it = ask.admin().named(&ask.actor, NamedKind::Budget, id).await?;
    let row = budget_row(id, &it);
    let field = |(name, kind, about): (&str, &str, &str)| {
        let value = row.get(name).cloned().unwrap_or_default();
        json!({
            "field_name": name, "field_type": kind, "field_description": about, "field_value": value,
            "stored_in_db": !value.is_null(), "field_default_value": null,
        })
    };
    Done::ok(&FIELDS.map(field)).and_then(|done| Ok(done.warning(query.finish()?)))
}
