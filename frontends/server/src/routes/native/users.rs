//! Users.

use actix_web::http::Method;
use serde_json::Value;
use sluicegate::admin::{NewUser, UserBulk, UserPatch, UserView};
use sluicegate::store::{After, UserFilter};
use sluicegate::{OrganizationId, Result, UserId};

use super::groups::show_members;
use super::{list as lists, parameter, parameters, present};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &[
    ("organization", "Of this organization."),
    ("group", "In this group, by id or alias."),
    ("email", "With this e-mail address, whatever its case."),
    ("search", "With this text in id, alias or e-mail address."),
    lists::STORED[0],
    lists::STORED[1],
    lists::STORED[2],
    lists::STORED[3],
    lists::STORED[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "users", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/users", "/api/v1/users/{user}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listUsers", "Users that the asker may see.").query(QUERY).answers(200, "UserList").or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createUser", "Makes a user.").body("NewUser").answers(201, "User"),
        ),
        // Before what names a user.
        entry(
            Method::POST,
            "/api/v1/users/bulk",
            || ask::route(Method::POST, bulk),
            op("editUsers", "Makes, changes or removes many users in one step, each as alone. All, or none.")
                .body("UserBulk")
                .answers(200, "Bulk"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getUser", "A user.").answers(200, "User"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, update),
            op("updateUser", "Changes a user. Null clears a field; one left out stays.")
                .body("UserPatch")
                .answers(200, "User"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteUser", "Removes a user, their memberships and their keys.").answers_nothing(204),
        ),
    ]
}

pub(super) fn shown(view: &UserView) -> Result<Value> {
    let mut value = present(view, &view.user.limits)?;
    show_members(&mut value["memberships"], &view.memberships)?;
    Ok(value)
}

async fn list(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["organization", "group", "email", "search", "cursor", "sort", "format"])?;
    let group = match parameter(&query, "group") {
        Some(name) => Some(ask.admin().resolve_group(&ask.actor, &name).await?.value.id),
        None => None,
    };
    let filter = UserFilter {
        organization: parameter(&query, "organization").map(OrganizationId::from),
        group,
        email: parameter(&query, "email"),
        search: parameter(&query, "search"),
        ..UserFilter::default()
    };
    let order = lists::order(&query)?;
    let fetch = async |spot: &lists::Spot| {
        let (page, after) = spot.asked(order);
        let filter = UserFilter { after, ..filter.clone() };
        let found = ask.admin().users(&ask.actor, &filter, page).await?;
        spot.part(found, shown, |it| {
            let (times, alias) = ((it.stored_at, it.updated_at), it.user.alias.as_deref());
            (it.user.source, After::of(order, times, alias, it.user.id.as_str()))
        })
    };
    lists::answer(&ask, &query, "User", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    let new: NewUser = ask.json()?;
    Done::created(&shown(&ask.admin().create_user(&ask.actor, new).await?)?).map(Done::tagged)
}

async fn bulk(ask: Ask) -> Result<Done> {
    let bulk: UserBulk = ask.json()?;
    let all = ask.admin().change_users(&ask.actor, bulk).await?;
    Done::ok(&all).map(|done| done.undone(!all.done))
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&shown(&ask.admin().user(&ask.actor, &user(&ask)).await?)?).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: UserPatch = ask.json()?;
    Done::ok(&shown(&ask.admin().update_user(&ask.actor, &user(&ask), patch).await?)?).map(Done::tagged)
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_user(&ask.actor, &user(&ask)).await?;
    Done::nothing()
}

fn user(ask: &Ask) -> UserId {
    UserId::from(ask.param("user"))
}
