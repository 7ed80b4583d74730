//! Groups and their members.

use actix_web::http::Method;
use serde_json::Value;
use sluicegate::admin::{GroupPatch, GroupView, MemberBulk, MemberPatch, MemberView, NewGroup, NewMember};
use sluicegate::config::write_limits;
use sluicegate::store::{After, GroupFilter};
use sluicegate::{Error, ErrorKind, OrganizationId, Result, UserId};

use super::{dress, list as lists, parameter, parameters, present};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &[
    ("organization", "Of this organization."),
    ("member", "That this user is in."),
    ("search", "With this text in id or alias."),
    lists::STORED[0],
    lists::STORED[1],
    lists::STORED[2],
    lists::STORED[3],
    lists::STORED[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "groups", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/groups", "/api/v1/groups/{group}");
    let (members, member) = ("/api/v1/groups/{group}/members", "/api/v1/groups/{group}/members/{user}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listGroups", "Groups that the asker may see.")
                .query(QUERY)
                .answers(200, "GroupList")
                .or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createGroup", "Makes a group.").body("NewGroup").answers(201, "Group"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getGroup", "A group, by id or alias.").answers(200, "Group"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, update),
            op("updateGroup", "Changes a group. Null clears a field; one left out stays. What it gives its members is theirs in the same step: of 500 at most.")
                .body("GroupPatch")
                .answers(200, "Group"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteGroup", "Removes a group, its memberships and its keys.").answers_nothing(204),
        ),
        entry(
            Method::POST,
            members,
            || ask::route(Method::POST, add_member),
            op("addMember", "Puts a user into a group.").body("NewMember").answers(201, "Member"),
        ),
        entry(
            Method::POST,
            "/api/v1/memberships/bulk",
            || ask::route(Method::POST, bulk),
            op(
                "editMemberships",
                "Puts many users into groups, changes their places or takes them out, in one step, each as alone. All, or none.",
            )
            .body("MembershipBulk")
            .answers(200, "Bulk"),
        ),
        entry(
            Method::PATCH,
            member,
            || ask::route(Method::PATCH, update_member),
            op("updateMember", "Changes a user's place in a group: what they may do there, and their own limits.")
                .body("MemberPatch")
                .answers(200, "Member"),
        ),
        entry(
            Method::DELETE,
            member,
            || ask::route(Method::DELETE, remove_member),
            op("removeMember", "Takes a user out of a group, with their keys in it.").answers_nothing(204),
        ),
    ]
}

fn shown(view: &GroupView) -> Result<Value> {
    let mut value = present(view, &view.group.limits)?;
    show_members(&mut value["members"], &view.members)?;
    Ok(value)
}

/// Members that stand in an answer, as this API shows them: of thousands each is written once.
pub(super) fn show_members(list: &mut Value, views: &[MemberView]) -> Result<()> {
    let written = list.as_array_mut().into_iter().flatten();
    written.zip(views).try_for_each(|(value, view)| dress_member(value, view))
}

fn dress_member(value: &mut Value, view: &MemberView) -> Result<()> {
    dress(value, &view.membership.limits)?;
    let given = write_limits(view.membership.given.as_deref().unwrap_or_default());
    if let Some(map) = value.as_object_mut() {
        map.insert("given".to_owned(), given.into());
    }
    Ok(())
}

/// A member as this API shows them.
fn shown_member(view: &MemberView) -> Result<Value> {
    let mut value = present(view, &view.membership.limits)?;
    dress_member(&mut value, view)?;
    Ok(value)
}

async fn list(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["organization", "member", "search", "cursor", "sort", "format"])?;
    let filter = GroupFilter {
        organization: parameter(&query, "organization").map(OrganizationId::from),
        member: parameter(&query, "member").map(UserId::from),
        search: parameter(&query, "search"),
        ..GroupFilter::default()
    };
    let order = lists::order(&query)?;
    let fetch = async |spot: &lists::Spot| {
        let (page, after) = spot.asked(order);
        let filter = GroupFilter { after, ..filter.clone() };
        let found = ask.admin().groups(&ask.actor, &filter, page).await?;
        spot.part(found, shown, |it| {
            let (times, alias) = ((it.stored_at, it.updated_at), it.group.alias.as_deref());
            (it.group.source, After::of(order, times, alias, it.group.id.as_str()))
        })
    };
    lists::answer(&ask, &query, "Group", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    let new: NewGroup = ask.json()?;
    Done::created(&shown(&ask.admin().create_group(&ask.actor, new).await?)?).map(Done::tagged)
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&shown(&ask.admin().group(&ask.actor, &ask.param("group")).await?)?).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: GroupPatch = ask.json()?;
    Done::ok(&shown(&ask.admin().update_group(&ask.actor, &ask.param("group"), patch).await?)?)
        .map(Done::tagged)
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_group(&ask.actor, &ask.param("group")).await?;
    Done::nothing()
}

async fn add_member(ask: Ask) -> Result<Done> {
    let new: NewMember = ask.json()?;
    let view = ask.admin().add_member(&ask.actor, &ask.param("group"), new).await?;
    Done::created(&shown_member(&view)?).map(Done::tagged)
}

async fn bulk(ask: Ask) -> Result<Done> {
    let bulk: MemberBulk = ask.json()?;
    let all = ask.admin().change_members(&ask.actor, bulk).await?;
    Done::ok(&all).map(|done| done.undone(!all.done))
}

async fn update_member(ask: Ask) -> Result<Done> {
    let patch: MemberPatch = ask.json()?;
    let user = member(&ask)?;
    let view = ask.admin().update_member(&ask.actor, &ask.param("group"), &user, patch).await?;
    Done::ok(&shown_member(&view)?).map(Done::tagged)
}

async fn remove_member(ask: Ask) -> Result<Done> {
    ask.admin().remove_member(&ask.actor, &ask.param("group"), &member(&ask)?).await?;
    Done::nothing()
}

fn member(ask: &Ask) -> Result<UserId> {
    match ask.param("user") {
        user if user.is_empty() => Err(Error::new(ErrorKind::InvalidRequest, "the path must name a user")),
        user => Ok(UserId::from(user)),
    }
}
