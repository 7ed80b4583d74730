//! Organizations, groups, users, memberships and keys of our own dialect.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};
use std::sync::Arc;

use sluicegate_core::channel::SecretRef;
use sluicegate_core::ids::{GroupId, KeyId, OrganizationId, UserId};
use sluicegate_core::limit::{Limit, Mode};
use sluicegate_core::price::RATIO_ONE_PPM;
use sluicegate_core::snapshot::{Declared, NamedScopes};
use sluicegate_core::tenant::{
    ApiKey, Group, IpNetwork, MEMBER_LIMITS, Membership, ModelAccess, Organization, Preference, Role,
    RouteAccess, Source, User,
};
use sluicegate_core::time::Timestamp;

use super::price::{self, Currencies};
use super::{DEFAULT_ORGANIZATION, model_map, required, section};
use crate::diagnostic::Severity;
use crate::limits::{read_limits, write_limits};
use crate::newapi::implicit_group;
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::yaml::Value;

pub(super) fn lower(load: &mut Load<'_>, top: &Fields<'_>, declared: &mut Declared, currencies: &Currencies) {
    if let Some(list) = top.get("organizations") {
        for item in list.list(load) {
            organization(load, &item, declared);
        }
    }
    if let Some(list) = top.get("groups") {
        for item in list.list(load) {
            group(load, &item, declared, currencies);
        }
    }
    if let Some(list) = top.get("users") {
        for item in list.list(load) {
            user(load, &item, declared);
        }
    }
    if let Some(list) = top.get("keys") {
        for item in list.list(load) {
            key(load, &item, declared);
        }
    }
    let mode = declared.quota.rate_token_mode;
    for (key, scopes) in [("customers", &mut declared.customers), ("tags", &mut declared.tags)] {
        if let Some(item) = top.get(key) {
            named_scopes(load, &item, mode, scopes);
        }
    }
    if let Some(item) = top.get("access_groups") {
        access_groups(load, &item, declared);
    }
    check_labels(load, top, declared);
}

fn access_groups(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    if !item.is_map(load) {
        return;
    }
    for (name, child) in item.children() {
        let Some(fields) = Fields::open_section(load, &child, &section::ACCESS_GROUP) else { continue };
        let models = fields.get("models").map(|item| item.texts(load)).unwrap_or_default();
        declared.access_groups.insert(name.to_owned(), models.into_iter().map(Into::into).collect());
    }
}

fn named_scopes(load: &mut Load<'_>, item: &Item<'_>, mode: Mode, scopes: &mut NamedScopes) {
    let Some(fields) = Fields::open_section(load, item, &section::NAMED_SCOPES) else { return };
    if let Some(limits) = fields.get("default") {
        scopes.default = read_limits(load, &limits, mode);
    }
    if let Some(max) = fields.unsigned(load, "max_counted") {
        scopes.max_counted = usize::try_from(max).unwrap_or(usize::MAX);
    }
    let Some(named) = fields.get("named") else { return };
    if !named.is_map(load) {
        return;
    }
    for (name, child) in named.children() {
        let Some(fields) = Fields::open_section(load, &child, &section::NAMED_SCOPE) else { continue };
        let limits = fields.get("limits").map(|item| read_limits(load, &item, mode)).unwrap_or_default();
        scopes.declared.insert(name.to_owned(), limits);
    }
}

/// Whether the file declares a group of this id or alias.
pub(super) fn has_group(declared: &Declared, name: &str) -> bool {
    declared.groups.iter().any(|group| group.id.as_str() == name || group.alias.as_deref() == Some(name))
}

/// The id of the group that is named by id or alias.
pub(super) fn group_id(declared: &Declared, name: GroupId) -> GroupId {
    let by_alias = declared.groups.iter().find(|group| group.alias.as_deref() == Some(name.as_str()));
    match by_alias {
        Some(group) if !declared.groups.iter().any(|group| group.id == name) => group.id.clone(),
        _ => name,
    }
}

fn organization(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(fields) = Fields::open_section(load, item, &section::ORGANIZATION) else { return };
    let Some(id) = required(load, &fields, "id") else { return };
    if declared.organizations.iter().any(|other| other.id.as_str() == id) {
        return duplicate(load, item, "organization", &id);
    }
    declared.organizations.push(Organization {
        id: OrganizationId::from(id),
        alias: fields.text(load, "alias"),
        access: access(load, &fields),
        limits: limits(load, &fields, declared),
        blocked: fields.boolean(load, "blocked").unwrap_or(false),
        metadata: metadata(load, &fields),
        source: Source::File,
        created_at: Timestamp::default(),
    });
}

fn group(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared, currencies: &Currencies) {
    let Some(fields) = Fields::open_section(load, item, &section::GROUP) else { return };
    let Some(id) = required(load, &fields, "id") else { return };
    let alias = fields.text(load, "alias");
    if has_group(declared, &id) || alias.as_ref().is_some_and(|alias| has_group(declared, alias)) {
        return duplicate(load, item, "group", &id);
    }
    let price_ratio_ppm = fields.get("price_ratio").and_then(|item| price::ratio(load, &item));
    let given = member_limits(load, &fields, declared);
    let mut metadata = metadata(load, &fields);
    if metadata.contains_key(MEMBER_LIMITS) {
        // As they were read, with variables filled in and modes named: whoever reads them there reads the same.
        metadata.insert(MEMBER_LIMITS.to_owned(), write_limits(&given).into());
    }
    let group = Group {
        id: GroupId::from(id.as_str()),
        alias,
        organization: organization_of(load, &fields, declared),
        access: access(load, &fields),
        aliases: fields.get("aliases").map(|item| model_map(load, &item)).unwrap_or_default(),
        limits: limits(load, &fields, declared),
        price_ratio_ppm: price_ratio_ppm.unwrap_or(RATIO_ONE_PPM),
        prices: match fields.get("prices") {
            Some(list) => price::own_prices(load, &list, currencies),
            None => Arc::default(),
        },
        preferences: preferences(load, &fields, declared),
        channels_of: channels_of(load, &fields, declared),
        blocked: fields.boolean(load, "blocked").unwrap_or(false),
        metadata,
        source: Source::File,
        created_at: Timestamp::default(),
    };
    declared.groups.push(group);
    let Some(members) = fields.get("members") else { return };
    for item in members.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::MEMBER) else { continue };
        let Some(user) = required(load, &fields, "user") else { continue };
        let roles = [("user", Role::User), ("group_admin", Role::GroupAdmin)];
        let role = fields.get("role").and_then(|item| item.word(load, &roles)).unwrap_or_default();
        let (group, own) = (GroupId::from(id.as_str()), limits(load, &fields, declared));
        declared.memberships.push(Membership::new(group, UserId::from(user), role, own, &given));
    }
}

/// The list of groups whose channels are asked in turn. A label that no channel names is most likely misspelled.
fn channels_of(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> Vec<Arc<str>> {
    let Some(item) = fields.get("channels_of") else { return Vec::new() };
    let labels = item.texts(load);
    for label in &labels {
        let known = || declared.channels.iter().flat_map(|channel| &channel.groups);
        if !known().any(|group| **group == **label) {
            let message = format!("no channel of this file is for the group `{label}`: it adds none");
            let remedy = nearest(label, known().map(|group| &**group)).map_or_else(
                || "name a group that a channel names".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            item.say(load, Severity::Warning, "unknown_group", message, remedy);
        }
    }
    labels.into_iter().map(Arc::from).collect()
}

fn preferences(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> Vec<Preference> {
    let Some(list) = fields.get("prefer") else { return Vec::new() };
    let mut preferences = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::PREFERENCE) else { continue };
        let channel = fields.text(load, "channel");
        let provider = fields.text(load, "provider");
        let tag = fields.text(load, "tag");
        match (channel, provider, tag) {
            (Some(name), None, None) => {
                if !declared
                    .channels
                    .iter()
                    .any(|channel| channel.name == name || channel.id.as_str() == name)
                {
                    let message =
                        format!("there is no channel `{name}` in this file: the preference has no effect");
                    let names = declared.channels.iter().map(|channel| channel.name.as_str());
                    let remedy = nearest(&name, names).map_or_else(
                        || "name a channel".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    item.say(load, Severity::Warning, "unknown_channel", message, remedy);
                }
                preferences.push(Preference::Channel(name));
            }
            (None, Some(name), None) => preferences.push(Preference::Provider(name)),
            (None, None, Some(name)) => preferences.push(Preference::Tag(name)),
            _ => item.wrong(load, "exactly one of `channel`, `provider` and `tag`"),
        }
    }
    preferences
}

fn user(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(fields) = Fields::open_section(load, item, &section::USER) else { return };
    let Some(id) = required(load, &fields, "id") else { return };
    if declared.users.iter().any(|other| other.id.as_str() == id) {
        return duplicate(load, item, "user", &id);
    }
    let roles = [
        ("user", Role::User),
        ("auditor", Role::Auditor),
        ("group_admin", Role::GroupAdmin),
        ("organization_admin", Role::OrganizationAdmin),
        ("super_admin", Role::SuperAdmin),
    ];
    declared.users.push(User {
        id: UserId::from(id),
        email: fields.text(load, "email"),
        alias: fields.text(load, "alias"),
        organization: organization_of(load, &fields, declared),
        role: fields.get("role").and_then(|item| item.word(load, &roles)).unwrap_or_default(),
        access: access(load, &fields),
        limits: limits(load, &fields, declared),
        blocked: fields.boolean(load, "blocked").unwrap_or(false),
        metadata: metadata(load, &fields),
        source: Source::File,
        created_at: Timestamp::default(),
    });
}

fn key(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(fields) = Fields::open_section(load, item, &section::API_KEY) else { return };
    let Some(id) = required(load, &fields, "id") else { return };
    if declared.keys.iter().any(|(other, _)| other.id.as_str() == id) {
        return duplicate(load, item, "key", &id);
    }
    let group = group_of(load, &fields, declared);
    let in_group = group.as_ref().and_then(|id| declared.groups.iter().find(|group| group.id == *id));
    let organization = match (fields.get("organization"), in_group) {
        (None, Some(group)) => group.organization.clone(),
        _ => organization_of(load, &fields, declared),
    };
    let key = ApiKey {
        id: KeyId::from(id.as_str()),
        alias: fields.text(load, "alias"),
        hint: String::new(),
        organization,
        group,
        user: fields.text(load, "user").map(UserId::from),
        access: access(load, &fields),
        aliases: fields.get("aliases").map(|item| model_map(load, &item)).unwrap_or_default(),
        limits: limits(load, &fields, declared),
        expires_at: fields.get("expires_at").and_then(|item| instant(load, &item, declared)),
        blocked: fields.boolean(load, "blocked").unwrap_or(false),
        allowed_ips: networks(load, &fields),
        routes: routes(load, &fields),
        tags: fields.get("tags").map(|item| item.texts(load)).unwrap_or_default(),
        metadata: metadata(load, &fields),
        source: Source::File,
        created_at: Timestamp::default(),
    };
    let Some(credential) = fields.get("credential") else {
        let message = format!("the key `{id}` has no credential");
        return item.say(load, Severity::Error, "missing_key", message, "add `credential: ${NAME}`");
    };
    match credential.secret(load) {
        Ok(Some(secret)) => {
            if matches!(secret, SecretRef::Inline(_)) {
                let message = format!(
                    "the credential of the key `{id}` is written in the file, for all who can read it"
                );
                credential.say(
                    load,
                    Severity::Warning,
                    "inline_secret",
                    message,
                    "refer to a variable: `${NAME}`",
                );
            }
            declared.keys.push((key, secret));
        }
        Ok(None) => {}
        Err(name) => {
            let meaning = format!("the key `{id}` isn't issued until it is");
            credential.missing_variable(load, Severity::Warning, &name, &meaning);
        }
    }
}

fn group_of(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> Option<GroupId> {
    let item = fields.get("group")?;
    let name = item.filled(load)?;
    if !has_group(declared, &name) {
        let message =
            format!("there is no group `{name}` in this file: the key can't be used until there is one");
        let names = declared.groups.iter().map(|group| group.id.as_str());
        let remedy = nearest(&name, names).map_or_else(
            || "declare the group, or create it over the API".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        item.say(load, Severity::Warning, "unknown_group", message, remedy);
    }
    Some(group_id(declared, GroupId::from(name)))
}

fn organization_of(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> OrganizationId {
    let Some(item) = fields.get("organization") else { return OrganizationId::from(DEFAULT_ORGANIZATION) };
    let Some(name) = item.filled(load) else { return OrganizationId::from(DEFAULT_ORGANIZATION) };
    let known =
        name == DEFAULT_ORGANIZATION || declared.organizations.iter().any(|org| org.id.as_str() == name);
    if !known {
        let message = format!("there is no organization `{name}` in this file");
        let remedy = "declare it under `organizations`, or create it over the API";
        item.say(load, Severity::Warning, "unknown_organization", message, remedy);
    }
    OrganizationId::from(name)
}

fn routes(load: &mut Load<'_>, fields: &Fields<'_>) -> RouteAccess {
    let Some(item) = fields.get("routes") else { return RouteAccess::ALL };
    let rules = item.texts(load);
    RouteAccess::try_from(rules).unwrap_or_else(|why| {
        item.say(load, Severity::Error, "invalid_value", why, "leave it out for every route");
        RouteAccess::ALL
    })
}

fn access(load: &mut Load<'_>, fields: &Fields<'_>) -> ModelAccess {
    let patterns = fields.get("models").map(|item| item.texts(load)).unwrap_or_default();
    ModelAccess::only(patterns.into_iter().map(Into::into).collect())
}

fn limits(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> Vec<Limit> {
    let mode = declared.quota.rate_token_mode;
    fields.get("limits").map(|item| read_limits(load, &item, mode)).unwrap_or_default()
}

/// What a group gives its members. What can't be read there would be a cap that is missing.
fn member_limits(load: &mut Load<'_>, fields: &Fields<'_>, declared: &Declared) -> Vec<Limit> {
    let Some(item) = fields.get("metadata") else { return Vec::new() };
    let Value::Map(entries) = &item.node.value else { return Vec::new() };
    let given = entries.iter().find(|it| it.key == MEMBER_LIMITS && !matches!(it.value.value, Value::Null));
    let mode = declared.quota.rate_token_mode;
    given.map(|entry| read_limits(load, &item.child(entry), mode)).unwrap_or_default()
}

fn metadata(load: &mut Load<'_>, fields: &Fields<'_>) -> Map<String, Json> {
    let Some(item) = fields.get("metadata") else { return Map::new() };
    if !item.is_map(load) {
        return Map::new();
    }
    match to_json(&item.node.value) {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Plain scalars become what JSON makes of them, the rest texts.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Scalar { text, plain: true } => match serde_json::from_str(text) {
            Ok(json @ (Json::Bool(_) | Json::Number(_))) => json,
            _ => Json::String(text.clone()),
        },
        Value::Scalar { text, .. } => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(|item| to_json(&item.value)).collect()),
        Value::Map(entries) => Json::Object(
            entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.value.value))).collect(),
        ),
    }
}

fn networks(load: &mut Load<'_>, fields: &Fields<'_>) -> Vec<IpNetwork> {
    let Some(item) = fields.get("allowed_ips") else { return Vec::new() };
    let mut networks = Vec::new();
    for text in item.texts(load) {
        match IpNetwork::try_from(text) {
            Ok(network) => networks.push(network),
            Err(message) => {
                item.say(load, Severity::Error, "invalid_value", message, "write an address or a network")
            }
        }
    }
    networks
}

/// An instant, or the beginning of a day in the configured time zone.
fn instant(load: &mut Load<'_>, item: &Item<'_>, declared: &Declared) -> Option<Timestamp> {
    let zone = declared.quota.time_zone.clone();
    let want = "a day such as 2027-01-31 or an instant such as 2027-01-31T12:00:00Z";
    item.parsed(load, want, |text| Timestamp::read(text, &zone))
}

fn duplicate(load: &mut Load<'_>, item: &Item<'_>, what: &str, id: &str) {
    let message = format!("there is another {what} of the id or alias `{id}`");
    item.say(load, Severity::Error, "duplicate_name", message, format!("give each {what} an id of its own"));
}

/// Groups that channels name but nothing declares: they exist, without limits, and that may be a slip.
fn check_labels(load: &mut Load<'_>, top: &Fields<'_>, declared: &mut Declared) {
    let labels: Vec<_> = declared.channels.iter().flat_map(|channel| channel.groups.clone()).collect();
    let mut seen = HashSet::new();
    for label in labels {
        if has_group(declared, &label) || !seen.insert(label.clone()) {
            continue;
        }
        let message =
            format!("a channel names the group `{label}`, which nothing declares: it exists without limits");
        let names = declared.groups.iter().map(|group| group.id.as_str());
        let remedy = nearest(&label, names)
            .map_or_else(|| "declare it under `groups`".to_owned(), |near| format!("did you mean `{near}`?"));
        let at = top.get("channels").unwrap_or_else(|| top.item.clone());
        at.say(load, Severity::Warning, "unknown_group", message, remedy);
        declared.groups.push(implicit_group(&label));
    }
    // An alias means the file's group, whatever others call theirs.
    for label in declared.channels.iter_mut().flat_map(|channel| &mut channel.groups) {
        let is_id = declared.groups.iter().any(|group| group.id.as_str() == &**label);
        let by_alias = declared.groups.iter().find(|group| group.alias.as_deref() == Some(&**label));
        if let Some(group) = by_alias.filter(|_| !is_id) {
            *label = group.id.as_str().into();
        }
    }
}
