//! `enable_jwt_auth` and `litellm_jwtauth`: tokens of an identity provider on calls.

use sluicegate_core::ids::{GroupId, OrganizationId};

use super::known;
use crate::auth::{JwtClaims, JwtIssuer};
use crate::diagnostic::Severity;
use crate::host::HostSettings;
use crate::native::{DEFAULT_ORGANIZATION, is_secure_url};
use crate::reader::{Fields, Item, Load};

/// Keys are fetched anew after so long where `public_key_ttl` says nothing, in milliseconds.
const TTL_MS: u64 = 600_000;

pub(super) fn read(load: &mut Load<'_>, general: &Fields<'_>, host: &mut HostSettings) {
    let settings = general.get("litellm_jwtauth");
    let Some(enabled) = general.get("enable_jwt_auth") else { return };
    if enabled.boolean(load) != Some(true) {
        return;
    }
    let mut base = JwtIssuer {
        algorithms: JwtIssuer::ALGORITHMS.map(str::to_owned).to_vec(),
        any_organization: true,
        keys_ttl_ms: TTL_MS,
        ..JwtIssuer::new("litellm", OrganizationId::from(DEFAULT_ORGANIZATION))
    };
    if let Some(item) = settings {
        take(load, &item, &mut base);
    }
    base.issuer = load.variable("JWT_ISSUER").filter(|name| !name.is_empty());
    base.audience = list(load.variable("JWT_AUDIENCE"));
    for (missing, name, meaning) in [
        (
            base.audience.is_empty(),
            "JWT_AUDIENCE",
            "tokens that the provider issues to others open calls, too",
        ),
        (base.issuer.is_none(), "JWT_ISSUER", "whoever the keys' address speaks for opens calls"),
    ] {
        if missing {
            enabled.missing_variable(load, Severity::Warning, name, meaning);
        }
    }
    if base.admin_scope.is_some() && (base.issuer.is_none() || base.audience.is_empty()) {
        let message = "`admin_jwt_scope` has no effect: tokens of anybody whom the keys' address speaks for would administer";
        let remedy = "set JWT_ISSUER and JWT_AUDIENCE, so that they are this issuer's, and for this gateway";
        enabled.say(load, Severity::Warning, "unsupported_value", message, remedy);
        base.admin_scope = None;
    }
    let urls = list(load.variable("JWT_PUBLIC_KEY_URL"));
    if urls.is_empty() {
        let meaning = "no token opens a call until it is";
        enabled.missing_variable(load, Severity::Warning, "JWT_PUBLIC_KEY_URL", meaning);
    }
    for (index, url) in urls.into_iter().enumerate() {
        if !is_secure_url(&url) {
            let message =
                "the keys at an address of JWT_PUBLIC_KEY_URL don't come by TLS: its tokens open no call";
            let remedy = "write https://…, or http:// on this machine";
            enabled.say(load, Severity::Warning, "unsupported_value", message, remedy);
            continue;
        }
        let id = if index == 0 { base.id.clone() } else { format!("{}-{}", base.id, index + 1) };
        host.auth.jwt.push(JwtIssuer { id, jwks_url: Some(url), ..base.clone() });
    }
}

fn list(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn take(load: &mut Load<'_>, item: &Item<'_>, issuer: &mut JwtIssuer) {
    let Some(fields) = Fields::open(load, item, &known::JWT_AUTH) else { return };
    let user = fields.text(load, "user_id_jwt_field");
    let (group, groups) = (fields.text(load, "team_id_jwt_field"), fields.text(load, "team_ids_jwt_field"));
    issuer.claims = JwtClaims {
        // Whoever names no field at all goes by the subject.
        user: user.or_else(|| (group.is_none() && groups.is_none()).then(|| "sub".to_owned())),
        email: fields.text(load, "user_email_jwt_field"),
        group,
        groups,
        organization: fields.text(load, "org_id_jwt_field"),
        customer: fields.text(load, "end_user_id_jwt_field"),
        ..JwtClaims::default()
    };
    issuer.admin_scope = fields.text(load, "admin_jwt_scope");
    issuer.create_users = fields.boolean(load, "user_id_upsert").unwrap_or(false);
    issuer.default_group = fields.text(load, "team_id_default").map(GroupId::from);
    if let Some(ttl) = fields.seconds_ms(load, "public_key_ttl") {
        issuer.keys_ttl_ms = ttl.max(60_000);
    }
    if let Some(domain) = fields.text(load, "user_allowed_email_domain") {
        issuer.email_domains = vec![domain.trim_start_matches('@').to_ascii_lowercase()];
    }
    if let (Some(claim), Some(roles)) =
        (fields.text(load, "user_roles_jwt_field"), fields.get("user_allowed_roles"))
    {
        issuer.require.insert(claim, roles.texts(load));
    }
    if fields.boolean(load, "enforce_scope_based_access") == Some(true) {
        scopes(load, &fields, issuer);
    }
}

/// Which scope reaches which models.
fn scopes(load: &mut Load<'_>, fields: &Fields<'_>, issuer: &mut JwtIssuer) {
    let Some(list) = fields.get("scope_mappings") else { return };
    for item in list.list(load) {
        let Some(fields) = Fields::open(load, &item, &known::SCOPE_MAPPING) else { continue };
        let Some(scope) = fields.text(load, "scope") else { continue };
        let models = fields.get("models").map(|item| item.texts(load)).unwrap_or_default();
        issuer.models_by_scope.insert(scope, models.into_iter().map(Into::into).collect());
    }
}
