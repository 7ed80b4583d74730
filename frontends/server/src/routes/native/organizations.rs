//! Organizations.

use actix_web::http::Method;
use serde_json::Value;
use sluicegate::admin::{NewOrganization, OrganizationPatch, OrganizationView};
use sluicegate::{OrganizationId, Result};

use super::{list as lists, parameter, parameters, present};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;

const QUERY: &[(&str, &str)] = &[
    ("search", "With this text in id or alias."),
    lists::PARAMETERS[0],
    lists::PARAMETERS[1],
    lists::PARAMETERS[2],
    lists::PARAMETERS[3],
    lists::PARAMETERS[4],
];

pub(super) fn table() -> Vec<Entry> {
    let op = |id, summary| Operation::new(id, "organizations", summary);
    let entry = |method, path, make, operation| Entry { method, path, make, operation: Some(operation) };
    let (all, one) = ("/api/v1/organizations", "/api/v1/organizations/{organization}");
    vec![
        entry(
            Method::GET,
            all,
            || ask::route(Method::GET, list),
            op("listOrganizations", "Organizations that the asker may see.")
                .query(QUERY)
                .answers(200, "OrganizationList")
                .or_csv(),
        ),
        entry(
            Method::POST,
            all,
            || ask::route(Method::POST, create),
            op("createOrganization", "Makes an organization.")
                .body("NewOrganization")
                .answers(201, "Organization"),
        ),
        entry(
            Method::GET,
            one,
            || ask::route(Method::GET, get),
            op("getOrganization", "An organization.").answers(200, "Organization"),
        ),
        entry(
            Method::PATCH,
            one,
            || ask::route(Method::PATCH, update),
            op("updateOrganization", "Changes an organization. Null clears a field; one left out stays.")
                .body("OrganizationPatch")
                .answers(200, "Organization"),
        ),
        entry(
            Method::DELETE,
            one,
            || ask::route(Method::DELETE, delete),
            op("deleteOrganization", "Removes an organization that has nothing left in it.")
                .answers_nothing(204),
        ),
    ]
}

fn shown(view: &OrganizationView) -> Result<Value> {
    present(view, &view.organization.limits)
}

async fn list(ask: Ask) -> Result<Done> {
    let query = parameters(&ask, &["search", "cursor", "sort", "format"])?;
    let search = parameter(&query, "search").map(|text| text.to_lowercase());
    let mut all = ask.admin().organizations(&ask.actor).await?;
    let has = |text: &String, it: &OrganizationView| {
        let inside = |value: &str| value.to_lowercase().contains(text);
        inside(it.organization.id.as_str()) || it.organization.alias.as_deref().is_some_and(inside)
    };
    all.retain(|it| search.as_ref().is_none_or(|text| has(text, it)));
    let all = all.iter().map(shown).collect::<Result<Vec<_>>>()?;
    let fetch = async |spot: &lists::Spot| spot.of_whole(&all, &["id"]);
    lists::answer(&ask, &query, "Organization", fetch).await
}

async fn create(ask: Ask) -> Result<Done> {
    let new: NewOrganization = ask.json()?;
    Done::created(&shown(&ask.admin().create_organization(&ask.actor, new).await?)?).map(Done::tagged)
}

async fn get(ask: Ask) -> Result<Done> {
    Done::ok(&shown(&ask.admin().organization(&ask.actor, &organization(&ask)).await?)?).map(Done::tagged)
}

async fn update(ask: Ask) -> Result<Done> {
    let patch: OrganizationPatch = ask.json()?;
    Done::ok(&shown(&ask.admin().update_organization(&ask.actor, &organization(&ask), patch).await?)?)
        .map(Done::tagged)
}

async fn delete(ask: Ask) -> Result<Done> {
    ask.admin().delete_organization(&ask.actor, &organization(&ask)).await?;
    Done::nothing()
}

fn organization(ask: &Ask) -> OrganizationId {
    OrganizationId::from(ask.param("organization"))
}
