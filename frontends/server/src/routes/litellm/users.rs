//! `/user/…`.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{KeyView, NewUser, Patch, Place, UserBulk, UserPatch, UserView};
use sluicegate::store::{GroupFilter, KeyFilter, Listing, Page, UserFilter};
use sluicegate::{Error, ErrorKind, OrganizationId, Result, Role, Secret, UserId};

use super::budget::BudgetChange;
use super::fields::{self, Fields, Query};
use super::rows::{self, Trace};
use super::{at_once, body, keys, once, pages, query, teams, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/user/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::GET, "/user/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::GET, "/user/list", || ask::route(Method::GET, list)),
        Entry::plain(Method::POST, "/user/update", || ask::route(Method::POST, update)),
        Entry::plain(Method::POST, "/user/delete", || ask::route(Method::POST, delete)),
        Entry::plain(Method::GET, "/v2/user/info", || ask::route(Method::GET, info_alone)),
        Entry::plain(Method::POST, "/user/bulk_update", || ask::route(Method::POST, bulk_update)),
        Entry::plain(Method::GET, "/user/available_roles", || ask::route(Method::GET, roles)),
    ]
}

pub(super) fn row(view: &UserView) -> Map<String, Value> {
    let trace = Trace {
        spend: view.used.spend,
        created_by: view.created_by.clone(),
        created_at: view.user.created_at,
        updated_by: view.updated_by.clone(),
        updated_at: view.updated_at,
    };
    rows::user(&view.user, &team_ids(view), &trace)
}

fn team_ids(view: &UserView) -> Vec<String> {
    view.memberships.iter().map(|member| member.membership.group.to_string()).collect()
}

fn role(fields: &mut Fields) -> Result<Option<Role>> {
    let Some(word) = fields.text("user_role")?.value() else { return Ok(None) };
    if word == "internal_user_viewer" {
        fields
            .warn("user_role: internal_user_viewer is an ordinary user here, who may make keys of their own");
    }
    rows::role_of(&word).map(Some).ok_or_else(|| no_role("user_role", &word))
}

fn no_role(param: &'static str, word: &str) -> Error {
    let message = format!(
        "there is no role `{word}`; there are proxy_admin, proxy_admin_viewer, org_admin and internal_user"
    );
    Error::new(ErrorKind::InvalidRequest, message).with("param", param)
}

/// Teams by their names, and what somebody is in each.
type Places = Vec<(String, Place)>;

/// `teams`: names, or objects that say what the user is there as well; and what of these has no effect.
fn places(fields: &mut Fields) -> Result<(Places, Vec<String>)> {
    let wrong =
        || Error::new(ErrorKind::InvalidRequest, "`teams` must be a list of team ids").with("param", "teams");
    let mut warnings = Vec::new();
    let Some(value) = fields.take("teams").value() else { return Ok((Vec::new(), warnings)) };
    let Value::Array(items) = value else { return Err(wrong()) };
    let mut place = |item: Value| match item {
        Value::String(name) => Ok((name, Place::default())),
        Value::Object(map) => {
            let mut fields = Fields::new(map);
            let name = fields.required("team_id")?;
            let role = teams::role(&mut fields, "user_role")?.unwrap_or_default();
            let limits = BudgetChange::take_in_team(&mut fields)?.limits().into();
            warnings.extend(fields.finish()?);
            Ok((name, Place { role, limits }))
        }
        _ => Err(wrong()),
    };
    let places = at_once("teams", items)?.into_iter().map(&mut place).collect::<Result<_>>()?;
    Ok((places, warnings))
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (places, told) = places(&mut fields)?;
    let user = NewUser {
        id: fields.text("user_id")?.value().map(UserId::from),
        email: fields.text("user_email")?.value(),
        alias: fields.text("user_alias")?.value(),
        organization: organization(&mut fields)?,
        role: role(&mut fields)?.unwrap_or_default(),
        models: fields.models()?.value().unwrap_or_default(),
        limits: BudgetChange::take(&mut fields)?.limits().into(),
        groups: Vec::new(),
        places,
        blocked: false,
        metadata: fields.object("metadata")?.value().unwrap_or_default(),
        password: fields.text("password")?.value().filter(|text| !text.is_empty()).map(Secret::new),
    };
    let with_key = fields.flag("auto_create_key")?.value().unwrap_or(true);
    // What is left belongs to the key, if there is to be one; the limits are the user's.
    let key = if with_key { Some(keys::new_key(&mut fields)?) } else { None };
    let mut warnings = fields.finish()?;
    warnings.extend(told);
    let (view, made) = match key {
        Some(key) => {
            let (view, made) = ask.admin().create_user_with_key(&ask.actor, user, key).await?;
            (view, Some(made))
        }
        None => (ask.admin().create_user(&ask.actor, user).await?, None),
    };
    let mut row = row(&view);
    if let Some(made) = made {
        row.extend([
            ("key".to_owned(), json!(made.secret.expose())),
            ("token".to_owned(), json!(made.view.hash)),
            ("token_id".to_owned(), json!(made.view.hash)),
            ("key_name".to_owned(), json!(made.view.key.hint)),
            ("key_alias".to_owned(), json!(made.view.key.alias)),
            ("expires".to_owned(), json!(made.view.key.expires_at.map(|at| at.to_string()))),
        ]);
    }
    warned(row, warnings)
}

/// `organization_id`, or the first of `organizations`.
fn organization(fields: &mut Fields) -> Result<Option<OrganizationId>> {
    let one = fields.text("organization_id")?.value();
    let mut many = fields.texts("organizations")?.value().unwrap_or_default();
    if many.len() > 1 {
        fields.warn("`organizations` names several: a user belongs to one here, the first");
    }
    many.truncate(1);
    Ok(one.or_else(|| many.pop()).map(OrganizationId::from))
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    if query.text("user_id").is_none() && ask.actor.user().is_none() && ask.actor.is_super() {
        return everything(&ask).await.and_then(|done| Ok(done.warning(query.finish()?)));
    }
    let id = asked_for(&ask, &query)?;
    let view = ask.admin().user(&ask.actor, &id).await?;
    let of_user = KeyFilter { user: Some(id.clone()), ..KeyFilter::default() };
    let keys = keys_told(&ask, &of_user).await?;
    let mut teams = Vec::new();
    for member in view.memberships.iter().filter(|_| ask.may_read("groups")) {
        if let Ok(group) = ask.admin().group(&ask.actor, member.membership.group.as_str()).await {
            teams.push(teams::row(&group));
        }
    }
    Done::ok(&json!({
        "user_id": id,
        "user_info": row(&view),
        "keys": keys.iter().map(keys::row).collect::<Vec<_>>(),
        "teams": teams,
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

/// Whoever is no user and may see everything is shown the first page of everything.
async fn everything(ask: &Ask) -> Result<Done> {
    let keys = keys_told(ask, &KeyFilter::default()).await?;
    let teams = teams::told(ask, &GroupFilter::default()).await?;
    Done::ok(&json!({
        "user_id": null,
        "user_info": null,
        "keys": keys.iter().map(keys::row).collect::<Vec<_>>(),
        "teams": teams,
    }))
}

/// The first page of keys, where what the asker acts by reads any.
async fn keys_told(ask: &Ask, filter: &KeyFilter) -> Result<Vec<KeyView>> {
    if !ask.may_read("keys") {
        return Ok(Vec::new());
    }
    Ok(ask.admin().keys(&ask.actor, filter, Page::new(Page::MAX, 0)).await?.items)
}

/// So many may be named at once.
// BOUND: of one question of the store.
const NAMED_MAX: usize = 100;

/// The roles that a word of LiteLLM's stands for.
fn roles_called(word: &str) -> Result<Vec<Role>> {
    let role = rows::role_of(word).ok_or_else(|| no_role("role", word))?;
    let all = [Role::User, Role::GroupAdmin, Role::Auditor, Role::OrganizationAdmin, Role::SuperAdmin];
    Ok(all.into_iter().filter(|other| rows::user_role(*other) == rows::user_role(role)).collect())
}

/// Those of the users named in `user_ids` whom the asker sees and the filter takes, in the order in which they are named.
async fn named_users(ask: &Ask, names: &str, filter: &UserFilter) -> Result<Vec<UserView>> {
    let names: Vec<_> =
        names.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let names = once(names);
    if names.len() > NAMED_MAX {
        let message = format!("`user_ids` names {}, and {NAMED_MAX} at most can be named", names.len());
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "user_ids"));
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let filter =
        UserFilter { ids: names.iter().map(|name| name.as_str().into()).collect(), ..filter.clone() };
    let mut found = ask.admin().users(&ask.actor, &filter, Page::new(Page::MAX, 0)).await?.items;
    found.sort_by_key(|view| names.iter().position(|name| name == view.user.id.as_str()));
    Ok(found)
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let text = |name| query.text(name);
    let group = match text("team") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, name).await?.value.id),
        None => None,
    };
    let organization = text("organization_ids");
    if organization.is_some_and(|ids| ids.contains(',')) {
        let message = "`organization_ids` names several; name one";
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "organization_ids"));
    }
    let filter = UserFilter {
        organization: organization.map(OrganizationId::from),
        group,
        address: text("user_email").map(str::to_owned),
        search: text("search").map(str::to_owned),
        roles: text("role").map(roles_called).transpose()?.unwrap_or_default(),
        ..UserFilter::default()
    };
    let (number, size) = pages(&query, "page_size", 25)?;
    let page = Page::numbered(number, size);
    let found = match text("user_ids") {
        Some(names) => {
            let all = named_users(&ask, names, &filter).await?;
            let (total, skip) = (all.len() as u64, usize::try_from(page.offset).unwrap_or(usize::MAX));
            Listing { items: all.into_iter().skip(skip).take(page.limit as usize).collect(), total }
        }
        None => ask.admin().users(&ask.actor, &filter, page).await?,
    };
    let (mut users, counts_keys) = (Vec::new(), ask.may_read("keys"));
    for view in &found.items {
        let mut row = row(view);
        if counts_keys {
            let keys = KeyFilter { user: Some(view.user.id.clone()), ..KeyFilter::default() };
            let keys = ask.admin().keys(&ask.actor, &keys, Page::new(1, 0)).await?.total;
            row.insert("key_count".to_owned(), keys.into());
        }
        users.push(row);
    }
    Done::ok(&json!({
        "users": users,
        "total": found.total,
        "page": number,
        "page_size": size,
        "total_pages": found.total.div_ceil(u64::from(size)),
    }))
    .and_then(|done| Ok(done.warning(query.finish()?)))
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let (id, row, warnings) = change(&ask, &mut fields).await?;
    let answer = Map::from_iter([("user_id".to_owned(), json!(id)), ("data".to_owned(), row.into())]);
    warned(answer, warnings)
}

/// Changes one user by the fields of a request: who, their row, and what has no effect.
async fn change(ask: &Ask, fields: &mut Fields) -> Result<(UserId, Map<String, Value>, Vec<String>)> {
    let id = match fields.text("user_id")?.value() {
        Some(id) => UserId::from(id),
        None => by_email(ask, &fields.required("user_email")?).await?,
    };
    let patch = UserPatch {
        email: fields.text("user_email")?.patch(),
        alias: fields.text("user_alias")?.patch(),
        role: role(fields)?,
        models: fields.models()?.patch(),
        limits: Patch::Keep,
        edit_limits: BudgetChange::take(fields)?.editor(),
        blocked: fields.flag("blocked")?.value(),
        metadata: fields.object("metadata")?.patch(),
    };
    let warnings = fields.finish()?;
    let view = ask.admin().update_user(&ask.actor, &id, patch).await?;
    Ok((id, row(&view), warnings))
}

/// So many users one request may change.
const BULK_MAX: usize = 500;

/// `users`, or `user_updates` for every user whom the asker sees: each is changed or not by itself.
async fn bulk_update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let items = match fields.flag("all_users")?.value() {
        Some(true) => {
            let change =
                fields.object("user_updates")?.value().ok_or_else(|| fields::missing("user_updates"))?;
            let found =
                ask.admin().users(&ask.actor, &UserFilter::default(), Page::new(Page::MAX, 0)).await?;
            if found.total > u64::from(Page::MAX) {
                let message = format!("there are {} users; name at most {BULK_MAX} in `users`", found.total);
                return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "all_users"));
            }
            let item = |view: UserView| {
                let mut item = change.clone();
                item.insert("user_id".to_owned(), json!(view.user.id));
                item
            };
            found.items.into_iter().map(item).collect()
        }
        _ => fields.items("users", BULK_MAX)?,
    };
    let warnings = fields.finish()?;
    let (mut results, mut changed, total) = (Vec::new(), 0_usize, items.len());
    for item in items {
        let [user, email] = ["user_id", "user_email"].map(|name| item.get(name).cloned());
        let mut item = Fields::new(item);
        match change(&ask, &mut item).await {
            Ok((id, row, warnings)) => {
                changed += 1;
                results.push(json!({
                    "user_id": id, "user_email": row.get("user_email"), "success": true, "error": null,
                    "updated_user": row, "warnings": warnings,
                }));
            }
            Err(error) => results.push(
                json!({"user_id": user, "user_email": email, "success": false, "error": error.message()}),
            ),
        }
    }
    Done::ok(&json!({
        "results": results,
        "total_requested": total,
        "successful_updates": changed,
        "failed_updates": total.saturating_sub(changed),
    }))
    .map(|done| done.warning(warnings))
}

/// The roles that there are, in LiteLLM's words.
async fn roles(_: Ask) -> Result<Done> {
    Done::ok(&json!({
        "proxy_admin": {"description": "may do everything", "ui_label": "Super admin"},
        "proxy_admin_viewer": {"description": "reads everything of an organization", "ui_label": "Auditor"},
        "org_admin": {"description": "may do everything of an organization", "ui_label": "Organization admin"},
        "internal_user": {"description": "has keys, and sees what is their own", "ui_label": "User"},
    }))
}

async fn info_alone(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let view = ask.admin().user(&ask.actor, &asked_for(&ask, &query)?).await?;
    Done::ok(&row(&view)).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// `user_id`, or who asks.
fn asked_for(ask: &Ask, query: &Query) -> Result<UserId> {
    let asked = query.text("user_id").map(UserId::from);
    asked.or_else(|| ask.actor.user().cloned()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "`user_id` is missing: what you ask by belongs to no user")
            .with("param", "user_id")
    })
}

async fn by_email(ask: &Ask, email: &str) -> Result<UserId> {
    let filter = UserFilter { email: Some(email.to_owned()), ..UserFilter::default() };
    let found = ask.admin().users(&ask.actor, &filter, Page::new(1, 0)).await?;
    let first = found.items.into_iter().next().map(|view| view.user.id);
    first.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("there is no user with the address `{email}`"))
    })
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let ids = at_once("user_ids", once(fields.texts("user_ids")?.value().unwrap_or_default()))?;
    if ids.is_empty() {
        return Err(Error::new(ErrorKind::InvalidRequest, "`user_ids` must name at least one user")
            .with("param", "user_ids"));
    }
    let warnings = fields.finish()?;
    let users = ids.into_iter().map(UserId::from).collect();
    let gone = UserBulk { users, delete: true, ..UserBulk::default() };
    let gone = ask.admin().change_all_users(&ask.actor, gone).await?;
    Done::ok(&gone.len()).map(|done| done.warning(warnings))
}
