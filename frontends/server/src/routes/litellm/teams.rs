//! `/team/…`.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{GroupPatch, GroupView, LimitEditor, MemberPatch, NewGroup, NewMember, Patch};
use sluicegate::store::{GroupFilter, KeyFilter, Page, UserFilter};
use sluicegate::{Error, ErrorKind, GroupId, Membership, OrganizationId, Result, Role, UserId};

use super::budget::BudgetChange;
use super::fields::{Fields, Sent};
use super::rows::{self, Trace};
use super::{body, contract, keys, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/team/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::GET, "/team/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/team/list", || ask::route(Method::GET, list)),
        Entry::plain(Method::POST, "/team/update", || ask::route(Method::POST, update)),
        Entry::plain(Method::POST, "/team/delete", || ask::route(Method::POST, delete)),
        Entry::plain(Method::POST, "/team/block", || ask::route(Method::POST, block)),
        Entry::plain(Method::POST, "/team/unblock", || ask::route(Method::POST, unblock)),
        Entry::plain(Method::POST, "/team/member_add", || ask::route(Method::POST, member_add)),
        Entry::plain(Method::POST, "/team/member_update", || ask::route(Method::POST, member_update)),
        Entry::plain(Method::POST, "/team/member_delete", || ask::route(Method::POST, member_delete)),
    ]
}

/// A team's row.
pub(super) fn row(view: &GroupView) -> Map<String, Value> {
    let trace = Trace {
        spend: view.used.spend,
        created_by: view.created_by.clone(),
        created_at: view.group.created_at,
        updated_by: view.updated_by.clone(),
        updated_at: view.updated_at,
    };
    let members: Vec<Membership> = view.members.iter().map(|member| member.membership.clone()).collect();
    let mut row = rows::team(&view.group, &members, &trace);
    let reset = view
        .limit_states
        .iter()
        .find(|state| state.metric == sluicegate::Metric::Spend)
        .and_then(|s| s.resets_at);
    row.insert("budget_reset_at".to_owned(), json!(reset.map(|at| at.to_string())));
    row
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let mut members = members_with_roles(&ask, &mut fields).await?;
    for (name, role) in [("admins", Role::GroupAdmin), ("members", Role::User)] {
        for user in fields.texts(name)?.value().unwrap_or_default() {
            members.push(NewMember { role, create_user: true, ..NewMember::new(user) });
        }
    }
    let new = NewGroup {
        id: fields.text("team_id")?.value().filter(|id| !id.is_empty()).map(GroupId::from),
        alias: fields.text("team_alias")?.value(),
        organization: fields.text("organization_id")?.value().map(OrganizationId::from),
        models: fields.models()?.value().unwrap_or_default(),
        limits: BudgetChange::take(&mut fields)?.limits().into(),
        price_ratio_ppm: None,
        preferences: Vec::new(),
        blocked: fields.flag("blocked")?.value().unwrap_or_default(),
        metadata: fields.metadata_with(&["guardrails", "tags"])?,
        members,
    };
    let view = ask.admin().create_group(&ask.actor, new).await?;
    warned(row(&view), fields)
}

/// `members_with_roles`, or `member`: an object or a list of them.
async fn members_with_roles(ask: &Ask, fields: &mut Fields) -> Result<Vec<NewMember>> {
    members(ask, "members_with_roles", fields.take("members_with_roles")).await
}

async fn members(ask: &Ask, name: &'static str, sent: Sent<Value>) -> Result<Vec<NewMember>> {
    let list = match sent {
        Sent::Value(Value::Array(list)) => list,
        Sent::Value(one) => vec![one],
        Sent::Absent | Sent::Null => Vec::new(),
    };
    let mut members = Vec::new();
    for item in list {
        let Value::Object(map) = item else {
            let message = format!("`{name}` must be {{role, user_id or user_email}}, or a list of them");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name));
        };
        let mut fields = Fields::new(map);
        let role = role(&mut fields)?.unwrap_or_default();
        let user = named_user(ask, &mut fields).await?;
        members.push(NewMember { role, create_user: true, ..NewMember::new(user) });
    }
    Ok(members)
}

fn role(fields: &mut Fields) -> Result<Option<Role>> {
    let Some(word) = fields.text("role")?.value() else { return Ok(None) };
    match word.as_str() {
        "admin" => Ok(Some(Role::GroupAdmin)),
        "user" => Ok(Some(Role::User)),
        _ => {
            let message = format!("there is no role `{word}` in a team; there are admin and user");
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "role"))
        }
    }
}

/// `user_id`, or whoever has `user_email`.
async fn named_user(ask: &Ask, fields: &mut Fields) -> Result<UserId> {
    if let Some(id) = fields.text("user_id")?.value().filter(|id| !id.is_empty()) {
        fields.take("user_email");
        return Ok(UserId::from(id));
    }
    let email = fields.text("user_email")?.value().filter(|email| !email.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "`user_id` or `user_email` is missing").with("param", "user_id")
    })?;
    let filter = UserFilter { email: Some(email.clone()), ..UserFilter::default() };
    let found = ask.admin().users(&ask.actor, &filter, Page::new(1, 0)).await?;
    found.items.into_iter().next().map(|view| view.user.id).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no user with the address `{email}`; make them with /user/new"),
        )
    })
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let named = query.text("team_id").ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "`team_id` is missing").with("param", "team_id")
    })?;
    let view = ask.admin().group(&ask.actor, named).await?;
    let filter = KeyFilter { group: Some(view.group.id.clone()), ..KeyFilter::default() };
    let keys = ask.admin().keys(&ask.actor, &filter, Page::new(Page::MAX, 0)).await?;
    let memberships: Vec<Value> = view.members.iter().map(|m| rows::membership(&m.membership, 0)).collect();
    Done::ok(&json!({
        "team_id": view.group.id,
        "team_info": row(&view),
        "keys": keys.items.iter().map(keys::row).collect::<Vec<_>>(),
        "team_memberships": memberships,
    }))
    .map(|done| done.warning(query.finish()))
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = GroupFilter {
        organization: query.text("organization_id").map(OrganizationId::from),
        member: query.text("user_id").map(UserId::from),
        search: None,
    };
    let mut all = Vec::new();
    // BOUND: a page less each time.
    loop {
        let page = Page::new(Page::MAX, u64::try_from(all.len()).unwrap_or(u64::MAX));
        let found = ask.admin().groups(&ask.actor, &filter, page).await?;
        let last = found.items.is_empty();
        all.extend(found.items.iter().map(|view| {
            let mut row = row(view);
            row.insert("members_count".to_owned(), view.members.len().into());
            row.insert("keys".to_owned(), json!([]));
            row
        }));
        if last || u64::try_from(all.len()).is_ok_and(|n| n >= found.total) {
            return Done::ok(&all).map(|done| done.warning(query.finish()));
        }
    }
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let patch = GroupPatch {
        alias: fields.text("team_alias")?.patch(),
        models: fields.models()?.patch(),
        limits: Patch::Keep,
        edit_limits: BudgetChange::take(&mut fields)?.editor(),
        blocked: fields.flag("blocked")?.value(),
        metadata: fields.object("metadata")?.patch(),
        edit_metadata: fields.kept_in_metadata(&["guardrails", "tags"])?,
        ..GroupPatch::default()
    };
    let view = ask.admin().update_group(&ask.actor, &named, patch).await?;
    let answer = Map::from_iter([
        ("team_id".to_owned(), json!(view.group.id)),
        ("data".to_owned(), row(&view).into()),
    ]);
    warned(answer, fields)
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.texts("team_ids")?.value().unwrap_or_default();
    if named.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`team_ids` must name at least one team")
            .with("param", "team_ids"));
    }
    let mut rows = Vec::new();
    for name in &named {
        let view = ask.admin().group(&ask.actor, name).await?;
        ask.admin().delete_group(&ask.actor, view.group.id.as_str()).await?;
        rows.push(row(&view));
    }
    Done::ok(&rows).map(|done| done.warning(fields.finish()))
}

async fn block(ask: Ask) -> Result<Done> {
    set_blocked(ask, true).await
}

async fn unblock(ask: Ask) -> Result<Done> {
    set_blocked(ask, false).await
}

async fn set_blocked(ask: Ask, blocked: bool) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let patch = GroupPatch { blocked: Some(blocked), ..GroupPatch::default() };
    let view = ask.admin().update_group(&ask.actor, &named, patch).await?;
    warned(row(&view), fields)
}

async fn member_add(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let limits = BudgetChange::take_in_team(&mut fields)?.limits();
    let list = members(&ask, "member", fields.take("member")).await?;
    if list.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`member` is missing").with("param", "member"));
    }
    let mut memberships = Vec::new();
    for member in list {
        let member = NewMember { limits: limits.clone().into(), ..member };
        let view = ask.admin().add_member(&ask.actor, &named, member).await.map_err(already_in_team)?;
        memberships.push(rows::membership(&view.membership, 0));
    }
    let mut row = row(&ask.admin().group(&ask.actor, &named).await?);
    let users: Vec<Value> = memberships.iter().map(|member| json!({"user_id": member["user_id"]})).collect();
    row.insert("updated_users".to_owned(), users.into());
    row.insert("updated_team_memberships".to_owned(), memberships.into());
    warned(row, fields)
}

/// What LiteLLM calls a member's second time. What a file declares is another conflict.
fn already_in_team(error: Error) -> Error {
    let of_file = error.context().iter().any(|(name, _)| *name == "file");
    match error.kind() {
        ErrorKind::Conflict if !of_file => error.with(contract::TYPE, contract::ALREADY_IN_TEAM),
        _ => error,
    }
}

async fn member_update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let user = named_user(&ask, &mut fields).await?;
    let edit_limits: Option<LimitEditor> = BudgetChange::take_in_team(&mut fields)?.editor();
    let patch = MemberPatch { role: role(&mut fields)?, limits: Patch::Keep, edit_limits };
    let view = ask.admin().update_member(&ask.actor, &named, &user, patch).await?;
    let mut answer = Map::new();
    super::budget::Budget::of(&view.membership.limits).describe(&mut answer);
    answer.insert("max_budget_in_team".to_owned(), answer.get("max_budget").cloned().unwrap_or_default());
    answer.insert("team_id".to_owned(), json!(view.membership.group));
    answer.insert("user_id".to_owned(), json!(user));
    warned(answer, fields)
}

async fn member_delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let user = named_user(&ask, &mut fields).await?;
    ask.admin().remove_member(&ask.actor, &named, &user).await?;
    warned(row(&ask.admin().group(&ask.actor, &named).await?), fields)
}
