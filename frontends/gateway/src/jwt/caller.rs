//! Who calls by a token: what its claims name here.

use std::sync::Arc;

use sluicegate_config::JwtIssuer;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::tenant::{ACCESS_GROUP, AccessGroups};
use sluicegate_core::{
    ApiKey, Error, ErrorKind, Group, GroupId, KeyId, ModelAccess, ModelName, OrganizationId, Result,
    Timestamp, User, UserId,
};

use super::token::{Claims, claim, refused, text, texts, words};
use super::{Around, KEY_PREFIX};
use crate::credential::KeyHash;

/// Groups that a token names are looked up one by one, so many at most.
const GROUPS_MAX: usize = 64;
/// What a token says of the end customer is cut here, in bytes: it is in each record.
const CUSTOMER_MAX: usize = 512;

/// What isn't there, and what is another organization's: the same answer.
fn nobody() -> Error {
    let message = "whom this token names isn't known here; ask an administrator";
    Error::new(ErrorKind::Forbidden, message)
}

pub(super) async fn caller(
    issuer: &JwtIssuer,
    claims: &Claims,
    ends_at: Timestamp,
    hash: &KeyHash,
    around: &Around<'_>,
) -> Result<Arc<BoundCaller>> {
    let said = |path: &Option<String>| path.as_deref().and_then(|path| claim(claims, path));
    let email = text(said(&issuer.claims.email));
    refuse_others(issuer, claims, email.as_deref())?;
    let access = models(issuer, claims, &around.directory.access_groups())?;
    let named_user = text(said(&issuer.claims.user));
    let organization = organization(issuer, claims)?;
    let group = group(issuer, claims, organization.as_ref(), around).await?;
    let user = match &named_user {
        Some(name) => around.admin.user_of_issuer(issuer, name).await?,
        None => None,
    };
    // The organization that an issuer of all of them speaks of, if it doesn't say so itself.
    let organization = organization
        .or_else(|| group.as_ref().map(|it| it.organization.clone()))
        .or_else(|| user.as_ref().map(|it| it.organization.clone()))
        .unwrap_or_else(|| issuer.organization.clone());
    if user.as_ref().is_some_and(|user| user.organization != organization)
        || group.as_ref().is_some_and(|group| group.organization != organization)
    {
        return Err(nobody());
    }
    let user = match (user, named_user) {
        (Some(user), _) => Some(user),
        (None, Some(name)) if issuer.create_users => {
            let email =
                email.filter(|_| claims.get("email_verified") != Some(&serde_json::Value::Bool(false)));
            Some(
                around
                    .admin
                    .make_user_of_issuer(issuer, &name, email, &organization)
                    .await?
                    .ok_or_else(nobody)?,
            )
        }
        // A group's token may name somebody whom nobody counts.
        (None, Some(_)) if group.is_some() && !issuer.require_membership && issuer.any_organization => None,
        (None, Some(_)) => return Err(nobody()),
        (None, None) => None,
    };
    if user.is_none() && group.is_none() {
        return Err(refused("it names neither a user nor a group"));
    }
    if issuer.require_membership
        && let (Some(user), Some(group)) = (&user, &group)
        && !around.admin.is_member(&group.id, &user.id).await?
    {
        return Err(nobody());
    }
    let subject = user.as_ref().map(|it| it.id.to_string()).or_else(|| text(claims.get("sub")));
    let key = key(issuer, subject, (organization, group, user), access, ends_at);
    let customer = text(said(&issuer.claims.customer)).map(|mut name| {
        name.truncate(name.floor_char_boundary(CUSTOMER_MAX));
        Arc::from(name)
    });
    around.directory.find_named(hash, key, customer).await?.ok_or_else(nobody)
}

/// What stands for a token where calls have keys: it has no limits of its own.
fn key(
    issuer: &JwtIssuer,
    subject: Option<String>,
    (organization, group, user): (OrganizationId, Option<Group>, Option<User>),
    access: ModelAccess,
    ends_at: Timestamp,
) -> ApiKey {
    // One of each caller's: what one has kept by it isn't another's.
    let id = match subject {
        Some(subject) => format!("{KEY_PREFIX}{}/{subject}", issuer.id),
        None => format!("{KEY_PREFIX}{}", issuer.id),
    };
    ApiKey {
        id: KeyId::from(id),
        alias: None,
        hint: String::new(),
        organization,
        group: group.map(|it| it.id),
        user: user.map(|it| it.id),
        access,
        aliases: Default::default(),
        limits: Vec::new(),
        expires_at: Some(ends_at),
        blocked: false,
        allowed_ips: Vec::new(),
        routes: Default::default(),
        tags: Vec::new(),
        metadata: Default::default(),
        source: Default::default(),
        created_at: Timestamp::default(),
    }
}

/// Refuses tokens that don't say what they must.
fn refuse_others(issuer: &JwtIssuer, claims: &Claims, email: Option<&str>) -> Result<()> {
    if !issuer.email_domains.is_empty() {
        let verified = claims.get("email_verified") != Some(&serde_json::Value::Bool(false));
        let fine = email.filter(|_| verified).is_some_and(|email| is_of_domain(email, &issuer.email_domains));
        if !fine {
            return Err(nobody());
        }
    }
    for (path, wanted) in &issuer.require {
        let said = words(claim(claims, path));
        let whole = text(claim(claims, path));
        if !wanted.iter().any(|it| said.contains(it) || whole.as_ref() == Some(it)) {
            let message = "this token doesn't say what its issuer's tokens must say to call here";
            return Err(Error::new(ErrorKind::Forbidden, message));
        }
    }
    Ok(())
}

/// Whether an address is of one of these domains.
pub(crate) fn is_of_domain(email: &str, domains: &[String]) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
    domain.is_some_and(|domain| domains.contains(&domain))
}

/// The models that a token reaches, by its scopes and by its word.
fn models(issuer: &JwtIssuer, claims: &Claims, groups: &AccessGroups) -> Result<ModelAccess> {
    let by_word =
        issuer.claims.models.as_deref().and_then(|path| claim(claims, path)).map(|it| texts(Some(it)));
    let by_scope = if issuer.models_by_scope.is_empty() {
        None
    } else {
        let scopes = words(claim(claims, &issuer.claims.scopes));
        let all = scopes.iter().filter_map(|scope| issuer.models_by_scope.get(scope));
        Some(all.flatten().map(ModelName::to_string).collect::<Vec<_>>())
    };
    let none = || {
        let message = "this token reaches no model: its scopes name none";
        Error::new(ErrorKind::Forbidden, message)
    };
    let allowed = match (by_word, by_scope) {
        (None, None) => return Ok(ModelAccess::ALL),
        (Some(names), None) | (None, Some(names)) => names,
        // Both must allow.
        (Some(names), Some(scoped)) => {
            if scoped.is_empty() || names.is_empty() {
                return Err(none());
            }
            // What an access group holds is measured, not its name; a name that is left isn't opened once more, then.
            let opened = |names: Vec<String>| {
                ModelAccess::only(names.into_iter().map(Into::into).collect()).opened(groups)
            };
            let is_group = |name: &str| {
                groups.contains_key(name)
                    || name.strip_prefix(ACCESS_GROUP).is_some_and(|name| groups.contains_key(name))
            };
            let (scoped, named) = (opened(scoped), opened(names));
            let names = named.patterns().iter().map(ModelName::to_string);
            names.filter(|name| !is_group(name) && scoped.allows(name)).collect()
        }
    };
    // An empty list would be every model.
    if allowed.is_empty() {
        return Err(none());
    }
    Ok(ModelAccess::only(allowed.into_iter().map(Into::into).collect()))
}

/// The organization that a token is of; `None` when its issuer speaks for all and names none.
fn organization(issuer: &JwtIssuer, claims: &Claims) -> Result<Option<OrganizationId>> {
    let said = issuer.claims.organization.as_deref().and_then(|path| text(claim(claims, path)));
    match said {
        _ if !issuer.organizations.is_empty() => {
            let known = said.and_then(|said| issuer.organizations.get(&said).cloned());
            known.map(Some).ok_or_else(nobody)
        }
        said if issuer.any_organization => Ok(said.map(OrganizationId::from)),
        _ => Ok(Some(issuer.organization.clone())),
    }
}

/// The group that a token spends for: the one it names, else the first of those it names that is there, else the default.
async fn group(
    issuer: &JwtIssuer,
    claims: &Claims,
    organization: Option<&OrganizationId>,
    around: &Around<'_>,
) -> Result<Option<Group>> {
    let said = |path: &Option<String>| path.as_deref().and_then(|path| claim(claims, path));
    let fits = |group: &Group| organization.is_none_or(|organization| group.organization == *organization);
    if let Some(name) = text(said(&issuer.claims.group)) {
        let found = around.admin.group_by_id(&GroupId::from(name)).await?.map(|it| it.value);
        return found.filter(fits).map(Some).ok_or_else(nobody);
    }
    let names = texts(said(&issuer.claims.groups));
    for name in names.iter().take(GROUPS_MAX) {
        let found = around.admin.group_by_id(&GroupId::from(name.as_str())).await?.map(|it| it.value);
        if let Some(group) = found.filter(fits) {
            return Ok(Some(group));
        }
    }
    match &issuer.default_group {
        Some(id) => {
            let found = around.admin.group_by_id(id).await?.map(|it| it.value);
            found.filter(fits).map(Some).ok_or_else(nobody)
        }
        // Groups that aren't there are a way around their limits, if nobody is known to have none.
        None if !names.is_empty() => Err(nobody()),
        None => Ok(None),
    }
}

/// The id of a user whom an issuer names.
pub(crate) fn user_id(name: &str) -> Option<UserId> {
    let fine = name.len() <= 256 && name.trim() == name && !name.chars().any(char::is_control);
    (fine && !name.is_empty()).then(|| UserId::from(name))
}
