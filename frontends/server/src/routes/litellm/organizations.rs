//! `/organization/…`.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{
    NewOrganization, NewUser, OrganizationPatch, OrganizationView, Patch, UserBulk, UserDeed, UserPatch,
    UserView,
};
use sluicegate::store::{GroupFilter, Page, UserFilter};
use sluicegate::{Error, ErrorKind, OrganizationId, Result, Role, UserId};

use super::budget::{Budget, BudgetChange, usd_json};
use super::fields::{self, Fields, Sent};
use super::rows::user_role;
use super::{at_once, body, once, query, teams, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/organization/new", || ask::route(Method::POST, new)),
        Entry::plain(Method::PATCH, "/organization/update", || ask::route(Method::PATCH, update)),
        Entry::plain(Method::DELETE, "/organization/delete", || ask::route(Method::DELETE, delete)),
        Entry::plain(Method::GET, "/organization/info", || ask::route(Method::GET, info)),
        Entry::plain(Method::POST, "/organization/info", || ask::route(Method::POST, infos)),
        Entry::plain(Method::GET, "/organization/list", || ask::route(Method::GET, list)),
        Entry::plain(Method::POST, "/organization/member_add", || ask::route(Method::POST, member_add)),
        Entry::plain(Method::PATCH, "/organization/member_update", || {
            ask::route(Method::PATCH, member_update)
        }),
        Entry::plain(Method::DELETE, "/organization/member_delete", || {
            ask::route(Method::DELETE, member_delete)
        }),
    ]
}

/// An organization's row, without who and what is in it.
fn row(view: &OrganizationView) -> Map<String, Value> {
    let it = &view.organization;
    let mut limits = Map::new();
    Budget::of(&it.limits).describe(&mut limits);
    Map::from_iter([
        ("organization_id".to_owned(), json!(it.id)),
        ("organization_alias".to_owned(), json!(it.alias)),
        ("budget_id".to_owned(), Value::Null),
        ("litellm_budget_table".to_owned(), limits.into()),
        ("metadata".to_owned(), json!(it.metadata)),
        ("models".to_owned(), json!(it.access.patterns())),
        ("blocked".to_owned(), json!(it.blocked)),
        ("spend".to_owned(), usd_json(view.used.spend)),
        ("created_by".to_owned(), json!(view.created_by)),
        ("created_at".to_owned(), json!(it.created_at.to_string())),
        ("updated_by".to_owned(), json!(view.updated_by)),
        ("updated_at".to_owned(), json!(view.updated_at.to_string())),
    ])
}

/// The same with its members and teams: the first page of either.
async fn whole(ask: &Ask, view: &OrganizationView) -> Result<Map<String, Value>> {
    let (mut row, page) = (row(view), Page::new(Page::MAX, 0));
    let mine = Some(view.organization.id.clone());
    let users = UserFilter { organization: mine.clone(), ..UserFilter::default() };
    let members: Vec<Value> = match ask.may_read("users") {
        true => ask.admin().users(&ask.actor, &users, page).await?.items.iter().map(member).collect(),
        false => Vec::new(),
    };
    let groups = GroupFilter { organization: mine, ..GroupFilter::default() };
    row.insert("members".to_owned(), members.into());
    row.insert("teams".to_owned(), teams::told(ask, &groups).await?.into());
    Ok(row)
}

/// A user's place in their organization.
fn member(view: &UserView) -> Value {
    json!({
        "user_id": view.user.id,
        "user_email": view.user.email,
        "organization_id": view.user.organization,
        "user_role": user_role(view.user.role),
        "spend": usd_json(view.used.spend),
        "budget_id": null,
        "created_at": view.user.created_at.to_string(),
        "updated_at": view.updated_at.to_string(),
    })
}

async fn new(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let new = NewOrganization {
        id: fields.text("organization_id")?.value().filter(|id| !id.is_empty()).map(OrganizationId::from),
        alias: Some(fields.required("organization_alias")?),
        models: fields.models()?.value().unwrap_or_default(),
        limits: BudgetChange::take(&mut fields)?.limits().into(),
        blocked: fields.flag("blocked")?.value().unwrap_or_default(),
        metadata: fields.object("metadata")?.value().unwrap_or_default(),
    };
    let warnings = fields.finish()?;
    let view = ask.admin().create_organization(&ask.actor, new).await?;
    warned(row(&view), warnings)
}

async fn update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let id = OrganizationId::from(fields.required("organization_id")?);
    let patch = OrganizationPatch {
        alias: fields.text("organization_alias")?.patch(),
        models: fields.models()?.patch(),
        limits: Patch::Keep,
        edit_limits: BudgetChange::take(&mut fields)?.editor(),
        blocked: fields.flag("blocked")?.value(),
        metadata: fields.object("metadata")?.patch(),
    };
    let warnings = fields.finish()?;
    let view = ask.admin().update_organization(&ask.actor, &id, patch).await?;
    warned(whole(&ask, &view).await?, warnings)
}

async fn delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let ids = fields.texts("organization_ids")?.value().unwrap_or_default();
    if ids.is_empty() {
        return Err(fields::missing("organization_ids"));
    }
    let warnings = fields.finish()?;
    let mut found: Vec<OrganizationView> = Vec::new();
    for id in at_once("organization_ids", ids)? {
        let view = ask.admin().organization(&ask.actor, &OrganizationId::from(id)).await?;
        if !found.iter().any(|known| known.organization.id == view.organization.id) {
            found.push(view);
        }
    }
    let ids: Vec<OrganizationId> = found.iter().map(|view| view.organization.id.clone()).collect();
    ask.admin().delete_organizations(&ask.actor, &ids).await?;
    Done::ok(&found.iter().map(row).collect::<Vec<_>>()).map(|done| done.warning(warnings))
}

async fn info(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let id = OrganizationId::from(query.required("organization_id")?);
    let view = ask.admin().organization(&ask.actor, &id).await?;
    Done::ok(&whole(&ask, &view).await?).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// `organizations`: ids. One that the asker doesn't see is as unknown as one that there isn't.
async fn infos(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let ids = fields.texts("organizations")?.value().ok_or_else(|| fields::missing("organizations"))?;
    let warnings = fields.finish()?;
    let mut found = Vec::new();
    for id in at_once("organizations", once(ids))? {
        let view = ask.admin().organization(&ask.actor, &OrganizationId::from(id)).await?;
        found.push(whole(&ask, &view).await?);
    }
    Done::ok(&found).map(|done| done.warning(warnings))
}

async fn list(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (id, alias) = (query.text("org_id"), query.text("org_alias").map(str::to_lowercase));
    let wanted = |view: &OrganizationView| {
        let it = &view.organization;
        let named =
            |alias: &String| it.alias.as_ref().is_some_and(|mine| mine.to_lowercase().contains(alias));
        id.is_none_or(|id| it.id.as_str() == id) && alias.as_ref().is_none_or(named)
    };
    let mut found = Vec::new();
    for view in ask.admin().organizations(&ask.actor).await?.iter().filter(|view| wanted(view)) {
        found.push(whole(&ask, view).await?);
    }
    Done::ok(&found).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// A member's role in an organization.
fn role(fields: &mut Fields) -> Result<Option<Role>> {
    let Some(word) = fields.text("role")?.value() else { return Ok(None) };
    match word.as_str() {
        "org_admin" => Ok(Some(Role::OrganizationAdmin)),
        "internal_user" | "internal_user_viewer" => Ok(Some(Role::User)),
        _ => {
            let message = format!(
                "there is no role `{word}` in an organization; there are org_admin, internal_user and internal_user_viewer"
            );
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "role"))
        }
    }
}

/// Somebody new is made in the organization; somebody of it gets the role. A user belongs to one organization only.
async fn member_add(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let organization = OrganizationId::from(fields.required("organization_id")?);
    ask.admin().organization(&ask.actor, &organization).await?;
    let items = match fields.take("member") {
        Sent::Value(Value::Array(items)) => items,
        Sent::Value(one) => vec![one],
        Sent::Absent | Sent::Null => return Err(fields::missing("member")),
    };
    let mut warnings = fields.finish()?;
    // Everybody is looked up before the first one is added: what can't be done is said before anything is.
    let mut named: Vec<Named> = Vec::new();
    for item in at_once("member", items)? {
        let Value::Object(item) = item else {
            let message = "`member` must be {role, user_id or user_email}, or a list of them";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "member"));
        };
        let one = look_up(&ask, &organization, Fields::new(item), &mut warnings).await?;
        if named.iter().any(|other| other.is(&one)) {
            let message = format!("`{}` is named twice", one.name());
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "member"));
        }
        named.push(one);
    }
    // Who is in it and gets no other role is shown as they are.
    let stays = |one: &Named| one.known.as_ref().filter(|_| one.role.is_none()).map(|it| it.user.id.clone());
    let places: Vec<Option<UserId>> = named.iter().map(stays).collect();
    let changed = named.into_iter().filter(|one| stays(one).is_none());
    let items: Vec<UserDeed> = changed.map(|one| deed(&organization, one)).collect();
    let mut added = Vec::new().into_iter();
    if !items.is_empty() {
        let all = UserBulk { items, ..UserBulk::default() };
        added = ask.admin().change_all_users(&ask.actor, all).await?.into_iter();
    }
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for id in places.into_iter().filter_map(|stays| stays.or_else(|| added.next())) {
        let view = ask.admin().user(&ask.actor, &id).await?;
        memberships.push(member(&view));
        users.push(super::users::row(&view));
    }
    let answer = Map::from_iter([
        ("organization_id".to_owned(), json!(organization)),
        ("updated_users".to_owned(), users.into()),
        ("updated_organization_memberships".to_owned(), memberships.into()),
    ]);
    warned(answer, warnings)
}

/// Somebody to be added, and whom that is.
struct Named {
    id: Option<UserId>,
    email: Option<String>,
    role: Option<Role>,
    known: Option<UserView>,
}

impl Named {
    fn is(&self, other: &Self) -> bool {
        let same_known = || match (&self.known, &other.known) {
            (Some(mine), Some(theirs)) => mine.user.id == theirs.user.id,
            _ => false,
        };
        (self.id.is_some() && self.id == other.id)
            || (self.email.is_some() && self.email == other.email)
            || same_known()
    }

    fn name(&self) -> &str {
        self.id.as_ref().map(|id| id.as_str()).or(self.email.as_deref()).unwrap_or_default()
    }
}

async fn look_up(
    ask: &Ask,
    organization: &OrganizationId,
    mut item: Fields,
    warnings: &mut Vec<String>,
) -> Result<Named> {
    let role = role(&mut item)?;
    let id = item.text("user_id")?.value().filter(|id| !id.is_empty()).map(UserId::from);
    let email = item.text("user_email")?.value().filter(|email| !email.is_empty());
    warnings.extend(item.finish()?);
    let known = match (&id, &email) {
        (Some(id), _) => match ask.admin().user(&ask.actor, id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => Some(found?),
        },
        (None, Some(email)) => {
            let filter = UserFilter { email: Some(email.clone()), ..UserFilter::default() };
            ask.admin().users(&ask.actor, &filter, Page::new(1, 0)).await?.items.pop()
        }
        (None, None) => return Err(fields::missing("user_id")),
    };
    if let Some(view) = known.as_ref().filter(|view| view.user.organization != *organization) {
        let message = format!(
            "user `{}` belongs to organization `{}`, and to one only; make another user for this one",
            view.user.id, view.user.organization
        );
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    Ok(Named { id, email, role, known })
}

/// Who is there gets the role, if one is said; whoever isn't is made.
fn deed(organization: &OrganizationId, one: Named) -> UserDeed {
    match one.known {
        Some(view) => {
            let patch = UserPatch { role: one.role, ..UserPatch::default() };
            UserDeed { user: Some(view.user.id), set: Some(patch), ..UserDeed::default() }
        }
        None => {
            let new = NewUser {
                id: one.id,
                email: one.email,
                organization: Some(organization.clone()),
                role: one.role.unwrap_or_default(),
                ..NewUser::default()
            };
            UserDeed { create: Some(new), ..UserDeed::default() }
        }
    }
}

async fn member_update(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let organization = OrganizationId::from(fields.required("organization_id")?);
    let user = teams::named_user(&ask, &mut fields).await?;
    let patch = UserPatch { role: role(&mut fields)?, ..UserPatch::default() };
    let warnings = fields.finish()?;
    must_be_in(&ask, &organization, &user).await?;
    let view = ask.admin().update_user(&ask.actor, &user, patch).await?;
    let Value::Object(answer) = member(&view) else { return Done::ok(&member(&view)) };
    warned(answer, warnings)
}

/// A user is somebody of one organization: whoever leaves it is deleted, and their own keys with them.
async fn member_delete(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let organization = OrganizationId::from(fields.required("organization_id")?);
    let user = teams::named_user(&ask, &mut fields).await?;
    let mut warnings = fields.finish()?;
    let view = must_be_in(&ask, &organization, &user).await?;
    ask.admin().delete_user(&ask.actor, &user).await?;
    warnings.push(format!("a user belongs to one organization: `{user}` is deleted"));
    let Value::Object(answer) = member(&view) else { return Done::ok(&member(&view)) };
    warned(answer, warnings)
}

async fn must_be_in(ask: &Ask, organization: &OrganizationId, user: &UserId) -> Result<UserView> {
    let view = ask.admin().user(&ask.actor, user).await?;
    if view.user.organization != *organization {
        let message = format!("user `{user}` isn't in organization `{organization}`");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(view)
}
