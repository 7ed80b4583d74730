//! How people sign in, and whose tokens open calls.

use indexmap::IndexMap;
use sluicegate_core::ids::{GroupId, OrganizationId};
use sluicegate_core::tenant::Role;

use super::{DEFAULT_ORGANIZATION, optional_secret, required, section};
use crate::auth::{
    AuthSettings, GroupGrant, JwtClaims, JwtIssuer, Link, OidcClaims, OidcProvider, PasswordSettings,
    Registration, RoleGrant, SessionSettings,
};
use crate::diagnostic::Severity;
use crate::include;
use crate::reader::{Fields, Item, Load};

const ROLES: [(&str, Role); 5] = [
    ("user", Role::User),
    ("auditor", Role::Auditor),
    ("group_admin", Role::GroupAdmin),
    ("organization_admin", Role::OrganizationAdmin),
    ("super_admin", Role::SuperAdmin),
];
/// Clocks may not differ by more, in milliseconds.
const LEEWAY_MAX_MS: u64 = 300_000;

pub(super) fn lower(load: &mut Load<'_>, item: &Item<'_>, auth: &mut AuthSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::AUTH) else { return };
    if let Some(item) = fields.get("public_url") {
        auth.public_url = item.filled(load).map(|url| url.trim_end_matches('/').to_owned());
        if auth.public_url.as_deref().is_some_and(|url| !is_secure_url(url)) {
            refuse(
                load,
                &item,
                "browsers can't be sent there",
                "write https://HOST, or http:// on this machine",
            );
        }
    }
    if let Some(item) = fields.get("session") {
        session(load, &item, &mut auth.session);
    }
    if let Some(item) = fields.get("password") {
        password(load, &item, &mut auth.password);
    }
    if let Some(item) = fields.get("keys_per_user")
        && let Some(most) = item.parsed(load, "a number of keys from 1 to 100000", |text| {
            text.parse().ok().filter(|n| (AuthSettings::KEYS_MIN..=AuthSettings::KEYS_MAX).contains(n))
        })
    {
        auth.keys_per_user = most;
    }
    if let Some(item) = fields.get("registration") {
        auth.registration = registration(load, &item);
    }
    for item in fields.get("oidc").map(|list| list.list(load)).unwrap_or_default() {
        if let Some(provider) = oidc(load, &item) {
            if auth.oidc.iter().any(|other| other.id == provider.id) {
                refuse(load, &item, "there is another provider of this id", "give each an id of its own");
            }
            auth.oidc.push(provider);
        }
    }
    for item in fields.get("jwt").map(|list| list.list(load)).unwrap_or_default() {
        if let Some(issuer) = jwt(load, &item) {
            let same = |other: &JwtIssuer| other.id == issuer.id || other.issuer == issuer.issuer;
            if auth.jwt.iter().any(same) {
                refuse(load, &item, "there is another issuer of this id or name", "declare each issuer once");
            }
            auth.jwt.push(issuer);
        }
    }
    if !auth.oidc.is_empty() && auth.public_url.is_none() {
        refuse(
            load,
            item,
            "providers have to know where to send browsers back to",
            "write `public_url: https://…`: the address that browsers have of the gateway",
        );
    }
    if auth.registration.is_some() && !auth.password.sign_in {
        refuse(
            load,
            item,
            "who registers has a password, and passwords open nothing",
            "remove `registration`, or leave `sign_in` on",
        );
    }
    if !auth.password.sign_in && auth.oidc.is_empty() {
        refuse(load, item, "nobody could sign in", "declare a provider in `oidc`, or leave `sign_in` on");
    }
}

fn refuse(load: &mut Load<'_>, item: &Item<'_>, message: &str, remedy: &str) {
    item.say(load, Severity::Error, "invalid_value", message, remedy);
}

/// Whether secrets may go there: by TLS, or within this machine.
pub(crate) fn is_secure_url(text: &str) -> bool {
    let host = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        (!host.is_empty() && !host.contains(['@', '\\', ' '])).then(|| host.to_owned())
    };
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return false;
    }
    match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => host(rest).is_some(),
        (_, Some(rest)) => host(rest).is_some_and(|host| {
            let name = match host.strip_prefix('[') {
                Some(v6) => v6.split(']').next().unwrap_or_default(),
                None => host.split(':').next().unwrap_or_default(),
            };
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }),
        _ => false,
    }
}

/// An address that is named by a setting.
fn url(load: &mut Load<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let item = fields.get(key)?;
    let text = item.filled(load)?;
    if !is_secure_url(&text) {
        refuse(
            load,
            &item,
            "is no address that can be trusted",
            "write https://…, or http:// on this machine",
        );
    }
    Some(text)
}

fn session(load: &mut Load<'_>, item: &Item<'_>, session: &mut SessionSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::SESSION) else { return };
    for (key, setting) in [("idle", &mut session.idle_ms), ("absolute", &mut session.absolute_ms)] {
        let range = SessionSettings::MIN_MS..=SessionSettings::MAX_MS;
        if let Some(item) = fields.get(key)
            && let Some(ms) = item.parsed(load, "a length of time from 5m to 90d", |text| {
                crate::quantity::parse_duration_ms(text).ok().filter(|ms| range.contains(ms))
            })
        {
            *setting = ms;
        }
    }
}

fn password(load: &mut Load<'_>, item: &Item<'_>, password: &mut PasswordSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::PASSWORD) else { return };
    if let Some(value) = fields.boolean(load, "sign_in") {
        password.sign_in = value;
    }
    let range = PasswordSettings::MIN..=PasswordSettings::MAX;
    if let Some(item) = fields.get("min_length")
        && let Some(length) = item.parsed(load, "a number of characters from 8 to 128", |text| {
            text.parse().ok().filter(|n| range.contains(n))
        })
    {
        password.min_length = length;
    }
}

fn registration(load: &mut Load<'_>, item: &Item<'_>) -> Option<Registration> {
    let fields = Fields::open_section(load, item, &section::REGISTRATION)?;
    let role = fields.get("role").and_then(|item| item.word(load, &ROLES[..3]).map(|role| (item, role)));
    let it = Registration {
        email_domains: domains(load, &fields),
        organization: organization(load, &fields),
        group: fields.text(load, "group").map(GroupId::from),
        role: role.as_ref().map(|(_, role)| *role).unwrap_or_default(),
    };
    if it.email_domains.is_empty() {
        let message = "everybody who reaches the gateway could register";
        refuse(load, item, message, "name in `email_domains` the domains of those who may");
        return None;
    }
    if let Some((at, role)) = &role
        && (*role == Role::Auditor || it.group.is_none())
    {
        let message = "is what nobody who registers can be";
        refuse(load, at, message, "name a `group`, and their role in it: user or group_admin");
        return None;
    }
    Some(it)
}

/// An id that stands in addresses.
fn id_of(load: &mut Load<'_>, fields: &Fields<'_>) -> Option<String> {
    let id = required(load, fields, "id")?;
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if id.len() > 64 || !id.chars().all(fine) {
        let item = fields.get("id").unwrap_or_else(|| fields.item.clone());
        refuse(load, &item, "stands in addresses", "take up to 64 lower-case letters, digits, `-` and `_`");
        return None;
    }
    Some(id)
}

/// The organization of what may name one.
fn organization(load: &mut Load<'_>, fields: &Fields<'_>) -> OrganizationId {
    OrganizationId::from(fields.text(load, "organization").unwrap_or_else(|| DEFAULT_ORGANIZATION.to_owned()))
}

fn organizations(load: &mut Load<'_>, fields: &Fields<'_>) -> IndexMap<String, OrganizationId> {
    let mut map = IndexMap::new();
    if let Some(item) = fields.get("organizations")
        && item.is_map(load)
    {
        for (value, child) in item.children() {
            if let Some(id) = child.filled(load) {
                map.insert(value.to_owned(), OrganizationId::from(id));
            }
        }
    }
    map
}

fn oidc(load: &mut Load<'_>, item: &Item<'_>) -> Option<OidcProvider> {
    let fields = Fields::open_section(load, item, &section::OIDC)?;
    let id = id_of(load, &fields)?;
    required(load, &fields, "issuer")?;
    let provider = OidcProvider {
        name: fields.text(load, "name").unwrap_or_else(|| id.clone()),
        issuer: url(load, &fields, "issuer")?,
        client_id: required(load, &fields, "client_id")?,
        client_secret: match fields.get("client_secret") {
            // Without the secret that is meant nobody could sign in there.
            Some(item) => optional_secret(load, &item).unwrap_or_default(),
            None => Default::default(),
        },
        scopes: match fields.get("scopes") {
            Some(item) => item.texts(load),
            None => vec!["profile".to_owned(), "email".to_owned()],
        },
        claims: fields.get("claims").map(|item| oidc_claims(load, &item)).unwrap_or_default(),
        organization: organization(load, &fields),
        organizations: organizations(load, &fields),
        sign_up: fields.boolean(load, "sign_up").unwrap_or(false),
        link: fields
            .get("link")
            .and_then(|item| {
                item.word(load, &[("none", Link::None), ("email", Link::Email), ("id", Link::Id)])
            })
            .unwrap_or_default(),
        email_domains: domains(load, &fields),
        groups: group_grants(load, &fields),
        roles: role_grants(load, &fields),
        id,
    };
    check_oidc(load, item, &provider);
    Some(provider)
}

fn check_oidc(load: &mut Load<'_>, item: &Item<'_>, provider: &OidcProvider) {
    if provider.link == Link::Email && provider.email_domains.is_empty() {
        let message = "whoever verifies an address at the provider would be its user here";
        refuse(load, item, message, "name in `email_domains` those whose addresses the provider speaks for");
    }
    if provider.link == Link::Id && provider.claims.user.is_none() {
        refuse(load, item, "no claim says our id", "write `claims: {user: …}`");
    }
    if !provider.organizations.is_empty() && provider.claims.organization.is_none() {
        refuse(load, item, "no claim says the organization", "write `claims: {organization: …}`");
    }
}

fn domains(load: &mut Load<'_>, fields: &Fields<'_>) -> Vec<String> {
    let domains = fields.get("email_domains").map(|item| item.texts(load)).unwrap_or_default();
    domains.iter().map(|domain| domain.trim_start_matches('@').to_ascii_lowercase()).collect()
}

fn oidc_claims(load: &mut Load<'_>, item: &Item<'_>) -> OidcClaims {
    let mut claims = OidcClaims::default();
    let Some(fields) = Fields::open_section(load, item, &section::OIDC_CLAIMS) else { return claims };
    claims.user = fields.text(load, "user");
    claims.organization = fields.text(load, "organization");
    for (key, setting) in
        [("email", &mut claims.email), ("name", &mut claims.name), ("groups", &mut claims.groups)]
    {
        if let Some(name) = fields.text(load, key) {
            *setting = name;
        }
    }
    claims
}

fn group_grants(load: &mut Load<'_>, fields: &Fields<'_>) -> Vec<GroupGrant> {
    let mut grants = Vec::new();
    for item in fields.get("groups").map(|list| list.list(load)).unwrap_or_default() {
        let Some(fields) = Fields::open_section(load, &item, &section::GROUP_GRANT) else { continue };
        let (value, group) = (required(load, &fields, "value"), required(load, &fields, "group"));
        let words = [("user", Role::User), ("group_admin", Role::GroupAdmin)];
        let role = fields.get("role").and_then(|item| item.word(load, &words)).unwrap_or_default();
        if let (Some(value), Some(group)) = (value, group) {
            grants.push(GroupGrant { value, group: GroupId::from(group), role });
        }
    }
    grants
}

fn role_grants(load: &mut Load<'_>, fields: &Fields<'_>) -> Vec<RoleGrant> {
    let mut grants = Vec::new();
    for item in fields.get("roles").map(|list| list.list(load)).unwrap_or_default() {
        let Some(fields) = Fields::open_section(load, &item, &section::ROLE_GRANT) else { continue };
        let value = required(load, &fields, "value");
        required(load, &fields, "role");
        let role = fields.get("role").and_then(|item| item.word(load, &ROLES));
        if let (Some(value), Some(role)) = (value, role) {
            grants.push(RoleGrant { value, role });
        }
    }
    grants
}

fn jwt(load: &mut Load<'_>, item: &Item<'_>) -> Option<JwtIssuer> {
    let fields = Fields::open_section(load, item, &section::JWT)?;
    let id = id_of(load, &fields)?;
    let base = JwtIssuer::new(&id, organization(load, &fields));
    let audience = match fields.get("audience") {
        Some(item) => item.texts(load),
        // Tokens for anybody else would open calls here.
        None => required(load, &fields, "audience").into_iter().collect(),
    };
    let issuer = JwtIssuer {
        issuer: Some(required(load, &fields, "issuer")?),
        audience,
        jwks_url: url(load, &fields, "jwks_url"),
        jwks: fields.get("jwks_file").and_then(|item| jwks_file(load, &item)),
        algorithms: algorithms(load, &fields).unwrap_or_else(|| base.algorithms.clone()),
        leeway_ms: length(load, &fields, "leeway", 0..=LEEWAY_MAX_MS, "a length of time up to 5m")
            .unwrap_or(base.leeway_ms),
        keys_ttl_ms: length(load, &fields, "keys_ttl", 60_000..=86_400_000, "a length of time from 1m to 1d")
            .unwrap_or(base.keys_ttl_ms),
        claims: fields.get("claims").map(|item| jwt_claims(load, &item)).unwrap_or_default(),
        organizations: organizations(load, &fields),
        create_users: fields
            .get("unknown_users")
            .and_then(|item| item.word(load, &[("refuse", false), ("create", true)]))
            .unwrap_or(false),
        require_membership: fields.boolean(load, "require_membership").unwrap_or(false),
        default_group: fields.text(load, "default_group").map(GroupId::from),
        email_domains: domains(load, &fields),
        require: texts_map(load, &fields, "require"),
        models_by_scope: texts_map(load, &fields, "models")
            .into_iter()
            .map(|(scope, models)| (scope, models.into_iter().map(Into::into).collect()))
            .collect(),
        ..base
    };
    check_jwt(load, item, &issuer);
    Some(issuer)
}

fn check_jwt(load: &mut Load<'_>, item: &Item<'_>, issuer: &JwtIssuer) {
    if issuer.jwks_url.is_some() && issuer.jwks.is_some() {
        refuse(load, item, "keys come from an address or from a file", "leave one of the two out");
    }
    if issuer.jwks_url.is_none()
        && issuer.jwks.is_none()
        && !issuer.issuer.as_deref().is_some_and(is_secure_url)
    {
        refuse(load, item, "nothing says where its keys are", "write `jwks_url` or `jwks_file`");
    }
    if !issuer.email_domains.is_empty() && issuer.claims.email.is_none() {
        refuse(load, item, "no claim says the e-mail address", "write `claims: {email: email}`");
    }
    if !issuer.organizations.is_empty() && issuer.claims.organization.is_none() {
        refuse(load, item, "no claim says the organization", "write `claims: {organization: …}`");
    }
}

fn length(
    load: &mut Load<'_>,
    fields: &Fields<'_>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
    want: &str,
) -> Option<u64> {
    fields.get(key)?.parsed(load, want, |text| {
        crate::quantity::parse_duration_ms(text).ok().filter(|ms| range.contains(ms))
    })
}

fn algorithms(load: &mut Load<'_>, fields: &Fields<'_>) -> Option<Vec<String>> {
    let item = fields.get("algorithms")?;
    let named = item.texts(load);
    let known = |name: &String| JwtIssuer::ALGORITHMS.contains(&name.as_str());
    if named.is_empty() || !named.iter().all(known) {
        // `none` signs nothing, and who can check a shared secret can sign with it.
        let remedy = format!("take of {}", JwtIssuer::ALGORITHMS.join(", "));
        refuse(load, &item, "names what tokens can't be trusted by", &remedy);
    }
    Some(named)
}

fn jwks_file(load: &mut Load<'_>, item: &Item<'_>) -> Option<String> {
    let base = load.files.get(usize::from(item.place.file)).cloned().unwrap_or_default();
    let path = include::beside(&base, &item.filled(load)?);
    match (load.environment.file)(&path) {
        Ok(text) => Some(text),
        Err(why) => {
            let message = format!("the file `{path}` can't be read: {why}");
            refuse(load, item, &message, "correct the path");
            None
        }
    }
}

/// A mapping of texts to a text or a list.
fn texts_map(load: &mut Load<'_>, fields: &Fields<'_>, key: &str) -> IndexMap<String, Vec<String>> {
    let mut map = IndexMap::new();
    if let Some(item) = fields.get(key)
        && item.is_map(load)
    {
        for (name, child) in item.children() {
            map.insert(name.to_owned(), child.texts(load));
        }
    }
    map
}

fn jwt_claims(load: &mut Load<'_>, item: &Item<'_>) -> JwtClaims {
    let mut claims = JwtClaims::default();
    let Some(fields) = Fields::open_section(load, item, &section::JWT_CLAIMS) else { return claims };
    if let Some(user) = fields.text(load, "user") {
        claims.user = Some(user);
    }
    if let Some(scopes) = fields.text(load, "scopes") {
        claims.scopes = scopes;
    }
    claims.email = fields.text(load, "email");
    claims.group = fields.text(load, "group");
    claims.groups = fields.text(load, "groups");
    claims.organization = fields.text(load, "organization");
    claims.customer = fields.text(load, "customer");
    claims.models = fields.text(load, "models");
    claims
}
