//! `/team/…`.

use std::collections::HashMap;

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{
    GroupPatch, GroupView, LimitEditor, Limits, MEMBER_LIMITS, MemberPatch, MemberView, ModelEdit, NewGroup,
    NewMember, Patch, SpendQuery, UserView,
};
use sluicegate::store::{DailyRow, Dimension, GroupFilter, KeyFilter, Page, RecordFilter, UserFilter};
use sluicegate::{
    Error, ErrorKind, GroupId, Limit, Membership, ModelName, OrganizationId, Result, Role, UserId, Window,
};

use super::budget::{Budget, BudgetChange, usd_json};
use super::fields::{self, Fields, Sent};
use super::rows::{self, Trace};
use super::set_back::{counted, must_reset_to, reset_to, resets_at, set_back};
use super::{at_once, body, contract, keys, pages, query, warned};
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
        Entry::plain(Method::POST, "/team/{team_id}/reset_budget", || ask::route(Method::POST, reset_budget)),
        Entry::plain(Method::POST, "/team/{team_id}/member/{user_id}/reset_spend", || {
            ask::route(Method::POST, reset_member)
        }),
        Entry::plain(Method::PATCH, "/team/{team_id}", || ask::route(Method::PATCH, patch)),
        Entry::plain(Method::GET, "/v2/team/list", || ask::route(Method::GET, list_pages)),
        Entry::plain(Method::POST, "/team/bulk_member_add", || ask::route(Method::POST, bulk_member_add)),
        Entry::plain(Method::POST, "/team/model/add", || ask::route(Method::POST, add_models)),
        Entry::plain(Method::POST, "/team/model/delete", || ask::route(Method::POST, remove_models)),
        Entry::plain(Method::GET, "/team/permissions_list", || ask::route(Method::GET, permissions)),
        Entry::plain(Method::POST, "/team/permissions_update", || {
            ask::route(Method::POST, update_permissions)
        }),
        Entry::plain(Method::GET, "/team/available", || ask::route(Method::GET, available)),
    ]
}

/// A team's row.
pub(super) fn row(view: &GroupView) -> Map<String, Value> {
    let trace = Trace {
        spend: counted(&view.limit_states).unwrap_or(view.used.spend),
        created_by: view.created_by.clone(),
        created_at: view.group.created_at,
        updated_by: view.updated_by.clone(),
        updated_at: view.updated_at,
    };
    let members: Vec<Membership> = view.members.iter().map(|member| member.membership.clone()).collect();
    let mut row = rows::team(&view.group, &members, &trace);
    row.insert("budget_reset_at".to_owned(), resets_at(&view.limit_states));
    row
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let organization = fields.text("organization_id")?.value().map(OrganizationId::from);
    // Nobody is looked up for whoever may make no team.
    ask.admin().may_create_group(&ask.actor, organization.as_ref()).await?;
    let (mut members, told) = members(&ask, "members_with_roles", fields.take("members_with_roles")).await?;
    for (name, role) in [("admins", Role::GroupAdmin), ("members", Role::User)] {
        for user in at_once(name, fields.texts(name)?.value().unwrap_or_default())? {
            members.push(NewMember { role, create_user: true, ..NewMember::new(user) });
        }
    }
    let members = at_once("members", members)?;
    let limits = BudgetChange::take(&mut fields)?;
    let new = NewGroup {
        id: fields.text("team_id")?.value().filter(|id| !id.is_empty()).map(GroupId::from),
        alias: fields.text("team_alias")?.value(),
        organization,
        models: fields.access()?,
        aliases: fields.aliases("model_aliases")?.value().unwrap_or_default(),
        limits: limits.limits().into(),
        price_ratio_ppm: None,
        preferences: Vec::new(),
        blocked: fields.flag("blocked")?.value().unwrap_or_default(),
        metadata: new_metadata(&mut fields, limits.window())?,
        members,
    };
    let mut warnings = fields.finish()?;
    warnings.extend(told);
    let view = ask.admin().create_group(&ask.actor, new).await?;
    warned(row(&view), warnings)
}

/// The free data of a new team, with what everybody has who comes into it; a budget of theirs is over the team's time unless it says
/// its own.
fn new_metadata(fields: &mut Fields, team: Option<Window>) -> Result<Map<String, Value>> {
    let mut metadata = fields.metadata_with(&["guardrails", "tags"])?;
    let limits = BudgetChange::take_of_members(fields)?.following(team).limits();
    if !limits.is_empty() {
        metadata.insert(MEMBER_LIMITS.to_owned(), json!(Limits(limits)));
    }
    Ok(metadata)
}

/// `members_with_roles`, or `member`: an object or a list of them; and what of them has no effect.
async fn members(ask: &Ask, name: &'static str, sent: Sent<Value>) -> Result<(Vec<NewMember>, Vec<String>)> {
    let list = match sent {
        Sent::Value(Value::Array(list)) => list,
        Sent::Value(one) => vec![one],
        Sent::Absent | Sent::Null => Vec::new(),
    };
    let (mut members, mut warnings) = (Vec::new(), Vec::new());
    for item in at_once(name, list)? {
        let Value::Object(map) = item else {
            let message = format!("`{name}` must be {{role, user_id or user_email}}, or a list of them");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name));
        };
        let mut fields = Fields::new(map);
        let role = role(&mut fields, "role")?.unwrap_or_default();
        let member = member_named(ask, &mut fields).await?;
        warnings.extend(fields.finish()?);
        members.push(NewMember { role, ..member });
    }
    Ok((members, warnings))
}

/// A member's role in a team.
pub(super) fn role(fields: &mut Fields, name: &'static str) -> Result<Option<Role>> {
    let Some(word) = fields.text(name)?.value() else { return Ok(None) };
    match word.as_str() {
        "admin" => Ok(Some(Role::GroupAdmin)),
        "user" => Ok(Some(Role::User)),
        _ => {
            let message = format!("there is no role `{word}` in a team; there are admin and user");
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name))
        }
    }
}

/// `user_id`, or whoever has `user_email`.
pub(super) async fn named_user(ask: &Ask, fields: &mut Fields) -> Result<UserId> {
    let (user, email) = id_or_address(ask, fields).await?;
    user.ok_or_else(|| {
        let message = format!("there is no user with the address `{email}`; make them with /user/new");
        Error::new(ErrorKind::NotFound, message)
    })
}

/// The same, or somebody who is made: of the id, or of the address.
async fn member_named(ask: &Ask, fields: &mut Fields) -> Result<NewMember> {
    let (user, email) = id_or_address(ask, fields).await?;
    Ok(match user {
        Some(id) => NewMember { create_user: true, ..NewMember::new(id) },
        None => {
            // An id of ours: made of the time and of chance.
            let id = ask.gateway().call_id().as_str().replace("call-", "user-");
            NewMember { create_user: true, email: Some(email), ..NewMember::new(id) }
        }
    })
}

/// `user_id`, or whoever has `user_email`, and that.
async fn id_or_address(ask: &Ask, fields: &mut Fields) -> Result<(Option<UserId>, String)> {
    if let Some(id) = fields.text("user_id")?.value().filter(|id| !id.is_empty()) {
        fields.take("user_email");
        return Ok((Some(UserId::from(id)), String::new()));
    }
    let email = fields.text("user_email")?.value().filter(|email| !email.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "`user_id` or `user_email` is missing").with("param", "user_id")
    })?;
    let filter = UserFilter { email: Some(email.clone()), ..UserFilter::default() };
    let found = ask.admin().users(&ask.actor, &filter, Page::new(1, 0)).await?;
    Ok((found.items.into_iter().next().map(|view| view.user.id), email))
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let view = ask.admin().group(&ask.actor, query.required("team_id")?).await?;
    let filter = KeyFilter { group: Some(view.group.id.clone()), ..KeyFilter::default() };
    let keys = match ask.may_read("keys") {
        true => Some(ask.admin().keys(&ask.actor, &filter, Page::new(Page::MAX, 0)).await?),
        false => None,
    };
    let spent = match ask.may_read("usage") {
        true => Some(spent_by_member(&ask, &view.group.id).await?),
        false => None,
    };
    let membership = |m: &MemberView| {
        let of = |spent: &HashMap<String, i64>| spent.get(m.membership.user.as_str()).copied();
        let spend = spent.as_ref().map(|spent| of(spent).unwrap_or_default());
        rows::membership(&m.membership, counted(&m.limit_states).or(spend))
    };
    let memberships: Vec<Value> = view.members.iter().map(membership).collect();
    let mut team = [row(&view)];
    with_addresses(&ask, &mut team).await?;
    let [team] = team;
    let mut answer = json!({"team_id": view.group.id, "team_info": team, "team_memberships": memberships});
    if let Some(keys) = keys {
        answer["keys"] = keys.items.iter().map(keys::row).collect();
    }
    Done::ok(&answer).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// What each member spent in a team, in nano-USD.
async fn spent_by_member(ask: &Ask, team: &GroupId) -> Result<HashMap<String, i64>> {
    let filter = RecordFilter { group: Some(team.clone()), ..RecordFilter::default() };
    let query = SpendQuery { filter, by: vec![Dimension::User], page: Page::new(Page::MAX, 0) };
    let found = ask.admin().spend(&ask.actor, &query).await?;
    let user = |row: DailyRow| Some((row.by.into_iter().next()?, row.sums.spend));
    Ok(found.items.into_iter().filter_map(user).collect())
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = GroupFilter {
        organization: query.text("organization_id").map(OrganizationId::from),
        member: query.text("user_id").map(UserId::from),
        search: None,
        ..GroupFilter::default()
    };
    let (mut all, mut shown) = (Vec::new(), 0);
    // BOUND: a page less each time.
    loop {
        let page = Page::new(Page::MAX, u64::try_from(all.len()).unwrap_or(u64::MAX));
        let found = ask.admin().groups(&ask.actor, &filter, page).await?;
        let last = found.items.is_empty();
        let mut rows: Vec<_> = found.items.iter().map(row_in_list).collect();
        let is_shown = ask.may_read("keys");
        let most = if is_shown { KEYS_MAX.saturating_sub(shown) } else { 0 };
        let mut keys = keys_of(&ask, &found.items, most).await?;
        for (row, view) in rows.iter_mut().zip(&found.items).filter(|_| is_shown) {
            let keys = keys.remove(view.group.id.as_str()).unwrap_or_default();
            shown += keys.len();
            row.insert("keys".to_owned(), keys.into());
        }
        with_addresses(&ask, &mut rows).await?;
        all.extend(rows);
        if last || u64::try_from(all.len()).is_ok_and(|n| n >= found.total) {
            let mut warnings = query.finish()?;
            if shown >= KEYS_MAX {
                warnings.push(format!(
                    "{KEYS_MAX} keys are shown, and there may be more; /key/list?team_id= has a team's"
                ));
            }
            return Done::ok(&all).map(|done| done.warning(warnings));
        }
    }
}

/// The first page of teams, where what the asker acts by reads any.
pub(super) async fn told(ask: &Ask, filter: &GroupFilter) -> Result<Vec<Value>> {
    if !ask.may_read("groups") {
        return Ok(Vec::new());
    }
    let found = ask.admin().groups(&ask.actor, filter, Page::new(Page::MAX, 0)).await?;
    Ok(found.items.iter().map(|view| Value::Object(row(view))).collect())
}

/// So many keys are shown with teams.
// BOUND: of an answer.
const KEYS_MAX: usize = 10_000;

/// The keys of these teams, by team; the first `most` of them.
async fn keys_of(ask: &Ask, teams: &[GroupView], most: usize) -> Result<HashMap<String, Vec<Value>>> {
    let mut by_team: HashMap<String, Vec<Value>> = HashMap::new();
    let groups: Vec<GroupId> = teams.iter().map(|it| it.group.id.clone()).collect();
    let filter = KeyFilter { groups, ..KeyFilter::default() };
    let mut seen = 0;
    // BOUND: `most`, a page less each time.
    while seen < most && !filter.groups.is_empty() {
        let limit = u32::try_from(most - seen).unwrap_or(Page::MAX).min(Page::MAX);
        let found = ask.admin().keys(&ask.actor, &filter, Page::new(limit, seen as u64)).await?;
        seen += found.items.len();
        for view in &found.items {
            let team = view.key.group.as_ref().map(ToString::to_string).unwrap_or_default();
            by_team.entry(team).or_default().push(keys::row(view).into());
        }
        if found.items.is_empty() || seen as u64 >= found.total {
            break;
        }
    }
    Ok(by_team)
}

/// Tells with members of teams the addresses that the asker may see.
async fn with_addresses(ask: &Ask, rows: &mut [Map<String, Value>]) -> Result<()> {
    if !ask.may_read("users") {
        return Ok(());
    }
    let all = rows.iter().filter_map(|row| row.get("members_with_roles")?.as_array()).flatten();
    let ids = all.filter_map(|member| member["user_id"].as_str());
    let known = ask.admin().user_addresses(&ask.actor, ids).await?;
    for row in rows {
        let members = row.get_mut("members_with_roles").and_then(Value::as_array_mut);
        for member in members.into_iter().flatten() {
            let address = member["user_id"].as_str().and_then(|id| known.get(id)).cloned();
            member["user_email"] = json!(address);
        }
    }
    Ok(())
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let (view, warnings) = change(&ask, &named, &mut fields).await?;
    let answer = Map::from_iter([
        ("team_id".to_owned(), json!(view.group.id)),
        ("data".to_owned(), row(&view).into()),
    ]);
    warned(answer, warnings)
}

async fn patch(ask: Ask) -> Result<Done> {
    let (mut fields, named) = (body(&ask)?, ask.param("team_id"));
    fields.take("team_id");
    let (view, warnings) = change(&ask, &named, &mut fields).await?;
    warned(row(&view), warnings)
}

async fn change(ask: &Ask, named: &str, fields: &mut Fields) -> Result<(GroupView, Vec<String>)> {
    let (models, edit_models) = fields.access_change()?;
    keeps_own(fields)?;
    let (of_members, of_team) = (BudgetChange::take_of_members(fields)?, BudgetChange::take(fields)?);
    let window = of_team.said_window();
    let mut patch = GroupPatch {
        alias: fields.text("team_alias")?.patch(),
        models,
        edit_models,
        aliases: fields.aliases("model_aliases")?.patch(),
        limits: Patch::Keep,
        edit_limits: of_team.editor(),
        blocked: fields.flag("blocked")?.value(),
        metadata: fields.object("metadata")?.patch(),
        edit_metadata: fields.kept_in_metadata(&["guardrails", "tags"])?,
        ..GroupPatch::default()
    };
    let warnings = fields.finish()?;
    let window = match window {
        Sent::Absent => {
            Budget::of(&ask.admin().resolve_group(&ask.actor, named).await?.value.limits).window()
        }
        Sent::Null => None,
        Sent::Value(window) => Some(window),
    };
    // Without a change they stay, though the metadata is replaced.
    let edit = of_members.editor_of_members(window).unwrap_or_else(|| LimitEditor::new(|_| {}));
    patch.edit_member_limits = Some(edit);
    Ok((ask.admin().update_group(&ask.actor, named, patch).await?, warnings))
}

/// `team_member_budget_update_mode`: what becomes of members' own budgets. They are kept.
fn keeps_own(fields: &mut Fields) -> Result<()> {
    let name = "team_member_budget_update_mode";
    match fields.text(name)?.value().filter(|mode| !mode.is_empty() && mode != "keep") {
        None => Ok(()),
        Some(mode) => {
            let message = format!(
                "`{name}` can't be `{mode}`: members keep budgets of their own; change those at /team/member_update"
            );
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name))
        }
    }
}

async fn add_models(ask: Ask) -> Result<Done> {
    edit_models(ask, ModelEdit::Add).await
}

async fn remove_models(ask: Ask) -> Result<Done> {
    edit_models(ask, ModelEdit::Remove).await
}

async fn edit_models(ask: Ask, edit: fn(Vec<ModelName>) -> ModelEdit) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let models = fields.texts("models")?.value().ok_or_else(|| fields::missing("models"))?;
    let models = models.into_iter().map(ModelName::from).collect();
    let warnings = fields.finish()?;
    let patch = GroupPatch { edit_models: Some(edit(models)), ..GroupPatch::default() };
    let view = ask.admin().update_group(&ask.actor, &named, patch).await?;
    warned(row(&view), warnings)
}

/// What members who administer nothing may do about keys of their team: the same in every team.
const MEMBER_MAY: [&str; 8] = [
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/regenerate",
    "/key/info",
    "/key/list",
    "/key/aliases",
    "/key/health",
];

async fn permissions(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let team = ask.admin().resolve_group(&ask.actor, query.required("team_id")?).await?.value;
    Done::ok(&json!({
        "team_id": team.id,
        "team_member_permissions": MEMBER_MAY,
        "all_available_permissions": MEMBER_MAY,
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

/// What members may do is the same in every team: saying just that changes nothing, and anything else can't be had.
async fn update_permissions(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let team = ask.admin().resolve_group(&ask.actor, &fields.required("team_id")?).await?.value;
    if !ask.actor.runs_group(&team.organization, &team.id) {
        let message = "only who administers the team may say what its members may do";
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let wanted = fields.texts("team_member_permissions")?.value();
    let wanted = super::once(wanted.ok_or_else(|| fields::missing("team_member_permissions"))?);
    let warnings = fields.finish()?;
    let asked_for: Vec<_> = wanted.iter().filter(|it| !MEMBER_MAY.contains(&it.as_str())).cloned().collect();
    let left_out: Vec<_> =
        MEMBER_MAY.iter().filter(|it| !wanted.iter().any(|wanted| wanted == **it)).copied().collect();
    if !asked_for.is_empty() || !left_out.is_empty() {
        let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let asked_for: Vec<&str> = asked_for.iter().map(String::as_str).collect();
        let message = format!(
            "what members may do is the same in every team, see /team/permissions_list; this list has more: {}; and lacks: {}",
            list(&asked_for),
            list(&left_out)
        );
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "team_member_permissions"));
    }
    let row = Map::from_iter([
        ("team_id".to_owned(), json!(team.id)),
        ("team_member_permissions".to_owned(), json!(MEMBER_MAY)),
        ("all_available_permissions".to_owned(), json!(MEMBER_MAY)),
    ]);
    warned(row, warnings)
}

/// Nobody joins a team by themselves.
async fn available(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    Ok(Done::ok(&json!([]))?.warning(sent))
}

async fn list_pages(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = GroupFilter {
        organization: query.text("organization_id").map(OrganizationId::from),
        member: query.text("user_id").map(UserId::from),
        search: query.text("search").or_else(|| query.text("team_alias")).map(str::to_owned),
        id: query.text("team_id").map(GroupId::from),
        ..GroupFilter::default()
    };
    let (number, size) = pages(&query, "page_size", 10)?;
    let found = ask.admin().groups(&ask.actor, &filter, Page::numbered(number, size)).await?;
    let mut rows: Vec<_> = found.items.iter().map(row_in_list).collect();
    with_addresses(&ask, &mut rows).await?;
    Done::ok(&json!({
        "teams": rows,
        "total": found.total,
        "page": number,
        "page_size": size,
        "total_pages": found.total.div_ceil(u64::from(size)),
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

fn row_in_list(view: &GroupView) -> Map<String, Value> {
    let mut row = row(view);
    row.insert("members_count".to_owned(), view.members.len().into());
    row
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.texts("team_ids")?.value().unwrap_or_default();
    if named.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`team_ids` must name at least one team")
            .with("param", "team_ids"));
    }
    let warnings = fields.finish()?;
    // Each goes once, whatever it is called by.
    let mut teams: Vec<GroupView> = Vec::new();
    for name in &at_once("team_ids", named)? {
        let team = ask.admin().group(&ask.actor, name).await?;
        if !teams.iter().any(|known| known.group.id == team.group.id) {
            teams.push(team);
        }
    }
    let ids: Vec<GroupId> = teams.iter().map(|team| team.group.id.clone()).collect();
    ask.admin().delete_groups(&ask.actor, &ids).await?;
    Done::ok(&teams.iter().map(row).collect::<Vec<_>>()).map(|done| done.warning(warnings))
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
    let warnings = fields.finish()?;
    let patch = GroupPatch { blocked: Some(blocked), ..GroupPatch::default() };
    let view = ask.admin().update_group(&ask.actor, &named, patch).await?;
    warned(row(&view), warnings)
}

/// Nobody is looked up for whoever may add nobody.
async fn must_run(ask: &Ask, team: &str) -> Result<()> {
    let team = ask.admin().resolve_group(&ask.actor, team).await?.value;
    match ask.actor.runs_group(&team.organization, &team.id) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Forbidden, "only who administers the team may add members")),
    }
}

async fn member_add(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let limits = BudgetChange::take_in_team(&mut fields)?.limits();
    must_run(&ask, &named).await?;
    let (list, told) = members(&ask, "member", fields.take("member")).await?;
    let mut warnings = fields.finish()?;
    warnings.extend(told);
    if list.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`member` is missing").with("param", "member"));
    }
    let list = list.into_iter().map(|it| NewMember { limits: limits.clone().into(), ..it }).collect();
    let added = ask.admin().add_members(&ask.actor, &named, list).await.map_err(already_in_team)?;
    let memberships: Vec<Value> =
        added.iter().map(|view| rows::membership(&view.membership, Some(0))).collect();
    let mut row = row(&ask.admin().group(&ask.actor, &named).await?);
    let users: Vec<Value> = memberships.iter().map(|member| json!({"user_id": member["user_id"]})).collect();
    row.insert("updated_users".to_owned(), users.into());
    row.insert("updated_team_memberships".to_owned(), memberships.into());
    warned(row, warnings)
}

/// `members`, or every user whom the asker sees: each is added or not by itself.
async fn bulk_member_add(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let limits = BudgetChange::take_in_team(&mut fields)?.limits();
    let all = fields.flag("all_users")?.value().unwrap_or_default();
    must_run(&ask, &named).await?;
    let items: Vec<Map<String, Value>> = match all {
        true => every_user(&ask).await?,
        false => fields.items("members", MEMBERS_MAX)?,
    };
    let warnings = fields.finish()?;
    let (mut results, mut added, total) = (Vec::new(), 0_usize, items.len());
    for item in items {
        let [user, email] = ["user_id", "user_email"].map(|name| item.get(name).cloned());
        match add_one(&ask, &named, item, &limits).await {
            Ok((view, warnings)) => {
                added += 1;
                results.push(json!({
                    "user_id": view.membership.user, "user_email": email, "success": true, "error": null,
                    "updated_team_membership": rows::membership(&view.membership, Some(0)),
                    "warnings": warnings,
                }));
            }
            Err(error) => results.push(
                json!({"user_id": user, "user_email": email, "success": false, "error": error.message()}),
            ),
        }
    }
    let team = ask.admin().group(&ask.actor, &named).await?;
    let answer = Map::from_iter([
        ("team_id".to_owned(), json!(team.group.id)),
        ("results".to_owned(), results.into()),
        ("total_requested".to_owned(), total.into()),
        ("successful_additions".to_owned(), added.into()),
        ("failed_additions".to_owned(), total.saturating_sub(added).into()),
        ("updated_team".to_owned(), row(&team).into()),
    ]);
    warned(answer, warnings)
}

/// So many members one request may add.
const MEMBERS_MAX: usize = 500;

async fn add_one(
    ask: &Ask,
    team: &str,
    item: Map<String, Value>,
    limits: &[Limit],
) -> Result<(MemberView, Vec<String>)> {
    let (mut members, warnings) = members(ask, "members", Sent::Value(Value::Object(item))).await?;
    let member = members.pop().ok_or_else(|| fields::missing("members"))?;
    let member = NewMember { limits: limits.to_vec().into(), ..member };
    Ok((ask.admin().add_member(&ask.actor, team, member).await?, warnings))
}

async fn every_user(ask: &Ask) -> Result<Vec<Map<String, Value>>> {
    let found = ask.admin().users(&ask.actor, &UserFilter::default(), Page::new(Page::MAX, 0)).await?;
    if found.total > u64::from(Page::MAX) {
        let message = format!("there are {} users; name at most {MEMBERS_MAX} in `members`", found.total);
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "all_users"));
    }
    let member = |view: UserView| Map::from_iter([("user_id".to_owned(), json!(view.user.id))]);
    Ok(found.items.into_iter().map(member).collect())
}

/// What LiteLLM calls a member's second time. What a file declares, or an address that is taken, is another conflict.
fn already_in_team(error: Error) -> Error {
    let is_other =
        error.context().iter().any(|(name, value)| *name == "file" || (*name == "param" && value == "email"));
    match error.kind() {
        ErrorKind::Conflict if !is_other => error.with(contract::TYPE, contract::ALREADY_IN_TEAM),
        _ => error,
    }
}

async fn member_update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let user = named_user(&ask, &mut fields).await?;
    let edit_limits: Option<LimitEditor> = BudgetChange::take_in_team(&mut fields)?.editor();
    let patch = MemberPatch { role: role(&mut fields, "role")?, limits: Patch::Keep, edit_limits };
    let warnings = fields.finish()?;
    let view = ask.admin().update_member(&ask.actor, &named, &user, patch).await?;
    let mut answer = Map::new();
    Budget::of(&view.membership.limits).describe(&mut answer);
    answer.insert("max_budget_in_team".to_owned(), answer.get("max_budget").cloned().unwrap_or_default());
    answer.insert("team_id".to_owned(), json!(view.membership.group));
    answer.insert("user_id".to_owned(), json!(user));
    warned(answer, warnings)
}

async fn member_delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let named = fields.required("team_id")?;
    let user = named_user(&ask, &mut fields).await?;
    let warnings = fields.finish()?;
    // Of a team that isn't there nothing else is told.
    let team = ask.admin().resolve_group(&ask.actor, &named).await?.value.id;
    let gone = ask.admin().remove_member(&ask.actor, team.as_str(), &user).await;
    gone.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::new(ErrorKind::InvalidRequest, error.message()).with("param", "user_id")
        }
        _ => error,
    })?;
    warned(row(&ask.admin().group(&ask.actor, &named).await?), warnings)
}

/// `reset_to`: what counts against the team's budget becomes that.
async fn reset_budget(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let to = reset_to(&mut fields)?;
    let mut warnings = fields.finish()?;
    let named = ask.param("team_id");
    let done = ask.admin().set_group_back(&ask.actor, &named, to).await?;
    let view = ask.admin().group(&ask.actor, &named).await?;
    let mut answer = set_back(&done, row(&view), &mut warnings);
    answer.insert("team_id".to_owned(), json!(view.group.id));
    warned(answer, warnings)
}

/// The same of one member's budget within the team.
async fn reset_member(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let to = must_reset_to(&mut fields)?;
    let mut warnings = fields.finish()?;
    let (named, user) = (ask.param("team_id"), UserId::from(ask.param("user_id")));
    let done = ask.admin().set_member_back(&ask.actor, &named, &user, to).await?;
    let view = ask.admin().group(&ask.actor, &named).await?;
    let mut row = Map::new();
    if let Some(member) = view.members.iter().find(|it| it.membership.user == user) {
        Budget::of(&member.membership.limits).describe(&mut row);
        row.insert("spend".to_owned(), json!(counted(&member.limit_states).map(usd_json)));
        row.insert("budget_reset_at".to_owned(), resets_at(&member.limit_states));
    }
    let mut answer = set_back(&done, row, &mut warnings);
    answer.insert("team_id".to_owned(), json!(view.group.id));
    answer.insert("user_id".to_owned(), json!(user));
    warned(answer, warnings)
}
