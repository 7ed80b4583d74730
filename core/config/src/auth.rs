//! How people sign in and how callers may prove who they are, beside the keys that we issue.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sluicegate_core::channel::SecretRef;
use sluicegate_core::ids::{GroupId, ModelName, OrganizationId};
use sluicegate_core::tenant::Role;

/// Sessions, passwords, sign-in through others, and foreign tokens on calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Where browsers reach the gateway, without a slash at the end. Sign-in through a provider comes back there.
    pub public_url: Option<String>,
    /// How long sessions last.
    pub session: SessionSettings,
    /// Which passwords will do.
    pub password: PasswordSettings,
    /// Who may make a user of themselves; nobody by default.
    pub registration: Option<Registration>,
    /// Who else may say who somebody is.
    pub oidc: Vec<OidcProvider>,
    /// Whose tokens open calls.
    pub jwt: Vec<JwtIssuer>,
    /// A user has no more keys than this, 1 to 100,000, unless an administrator of their organization makes them. Default 1,000.
    pub keys_per_user: u32,
}

impl AuthSettings {
    /// Users may have one key at least.
    pub const KEYS_MIN: u32 = 1;
    /// And no more than so many.
    pub const KEYS_MAX: u32 = 100_000;
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            session: SessionSettings::default(),
            password: PasswordSettings::default(),
            registration: None,
            oidc: Vec::new(),
            jwt: Vec::new(),
            keys_per_user: 1_000,
        }
    }
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// One that isn't used for so long is over, in milliseconds. Default an hour.
    pub idle_ms: u64,
    /// It is over after so long, however much it is used, in milliseconds. Default twelve hours.
    pub absolute_ms: u64,
}

impl SessionSettings {
    /// Neither is shorter: its last use is written down by the minute.
    pub const MIN_MS: u64 = 5 * 60_000;
    /// Neither is longer.
    pub const MAX_MS: u64 = 90 * 86_400_000;
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { idle_ms: 3_600_000, absolute_ms: 12 * 3_600_000 }
    }
}

/// Which passwords will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Whether passwords open sessions at all. Default true.
    pub sign_in: bool,
    /// A password has so many characters at least. Default 12.
    pub min_length: u32,
}

impl PasswordSettings {
    /// No shorter password will do, whatever is configured.
    pub const MIN: u32 = 8;
    /// More can't be asked for.
    pub const MAX: u32 = 128;
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { sign_in: true, min_length: 12 }
    }
}

/// That people make users of themselves, by an e-mail address and a password. Nothing is sent to the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The domains of their addresses.
    pub email_domains: Vec<String>,
    /// Whose they are.
    pub organization: OrganizationId,
    /// The group that they are in, by id.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// What they may do in it: a user or its administrator.
    #[serde(default)]
    pub role: Role,
}

/// A provider of OpenID Connect that people sign in through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcProvider {
    /// Its id: part of the address that it sends browsers back to.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its address, as its tokens and its discovery document say it.
    pub issuer: String,
    /// What it knows the gateway by.
    pub client_id: String,
    /// What the gateway proves that by; [`SecretRef::None`] for a public client, which has only its PKCE.
    #[serde(default)]
    pub client_secret: SecretRef,
    /// What is asked for, beside `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where it says what.
    #[serde(default)]
    pub claims: OidcClaims,
    /// Whose its people are.
    pub organization: OrganizationId,
    /// Whose they are by the organization's claim instead: its values and our organizations. When there are any, others
    /// are refused.
    #[serde(default)]
    pub organizations: IndexMap<String, OrganizationId>,
    /// Whether somebody who isn't known becomes a user.
    #[serde(default)]
    pub sign_up: bool,
    /// How somebody who signs in for the first time may be a user whom we know already.
    #[serde(default)]
    pub link: Link,
    /// Only people with a verified address in one of these domains; empty is everybody.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// Which groups people are in.
    #[serde(default)]
    pub groups: Vec<GroupGrant>,
    /// What people may do. When there are any, everybody else is a plain user.
    #[serde(default)]
    pub roles: Vec<RoleGrant>,
}

/// How somebody may be a user whom we know already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Not at all: their address may be anybody's at the provider.
    #[default]
    None,
    /// By their verified e-mail address.
    Email,
    /// By the user's claim, which is our id of them.
    Id,
}

/// Where a provider says what. A name with dots leads into objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcClaims {
    /// Our id of who signs in; `None` has one made. The identity itself is always issuer and `sub`.
    pub user: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The name for people.
    pub name: String,
    /// What `groups` and `roles` are told by.
    pub groups: String,
    /// What `organizations` is told by.
    pub organization: Option<String>,
}

impl Default for OidcClaims {
    fn default() -> Self {
        Self {
            user: None,
            email: "email".to_owned(),
            name: "name".to_owned(),
            groups: "groups".to_owned(),
            organization: None,
        }
    }
}

/// Whoever the groups' claim says is this is in a group of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupGrant {
    /// The claim's value.
    pub value: String,
    /// Our group, by id.
    pub group: GroupId,
    /// What they may do in it: a user or its administrator.
    #[serde(default)]
    pub role: Role,
}

/// Whoever the groups' claim says is this has a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleGrant {
    /// The claim's value.
    pub value: String,
    /// What they may do.
    pub role: Role,
}

/// Who issues tokens that open calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtIssuer {
    /// Its id: the keys that its calls are recorded under are `jwt:`, this, `/` and the user.
    pub id: String,
    /// The tokens' `iss`. `None`, for a LiteLLM file that names none, takes any that the keys have signed.
    pub issuer: Option<String>,
    /// Where its keys are; `None` asks its discovery document.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Its keys themselves, as a JWKS, in the place of an address.
    #[serde(default)]
    pub jwks: Option<String>,
    /// The tokens' `aud`: one of these. Empty takes any, for a LiteLLM file that names none.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Algorithms that count, such as `RS256`. Never `none`, and none with a shared secret.
    pub algorithms: Vec<String>,
    /// Clocks may differ by so much, in milliseconds. Default a minute.
    pub leeway_ms: u64,
    /// Keys are fetched anew after so long, in milliseconds. Default ten minutes.
    pub keys_ttl_ms: u64,
    /// Where it says what.
    #[serde(default)]
    pub claims: JwtClaims,
    /// Whose its callers are.
    pub organization: OrganizationId,
    /// Whose they are by the organization's claim instead.
    #[serde(default)]
    pub organizations: IndexMap<String, OrganizationId>,
    /// The organization's claim, else the group or the user that the token names, says whose a caller is: any organization of
    /// the installation. For LiteLLM's files, whose issuer speaks for all.
    #[serde(default)]
    pub any_organization: bool,
    /// Whether a user who isn't known becomes one.
    #[serde(default)]
    pub create_users: bool,
    /// Whether a caller must be a member of the group that the token names.
    #[serde(default)]
    pub require_membership: bool,
    /// The group of tokens that name none.
    #[serde(default)]
    pub default_group: Option<GroupId>,
    /// Only callers with an address in one of these domains; empty is everybody.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// What a token must say: of each of these claims one of the values.
    #[serde(default)]
    pub require: IndexMap<String, Vec<String>>,
    /// Models by scope. When there are any, a token reaches those of its scopes and no others.
    #[serde(default)]
    pub models_by_scope: IndexMap<String, Vec<ModelName>>,
    /// Whose tokens say this scope may do everything over the management API. For LiteLLM's files, whose `admin_jwt_scope` it is;
    /// other issuers' tokens open calls alone.
    #[serde(default)]
    pub admin_scope: Option<String>,
}

/// Where a token says what. A name with dots leads into objects; `None` isn't looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtClaims {
    /// The user's id.
    pub user: Option<String>,
    /// The user's e-mail address.
    pub email: Option<String>,
    /// The group's id.
    pub group: Option<String>,
    /// Ids of groups: the first that exists here counts.
    pub groups: Option<String>,
    /// The organization.
    pub organization: Option<String>,
    /// The end customer.
    pub customer: Option<String>,
    /// Models that may be called.
    pub models: Option<String>,
    /// Scopes, as a list or a text with spaces.
    pub scopes: String,
}

impl Default for JwtClaims {
    fn default() -> Self {
        Self {
            user: Some("sub".to_owned()),
            email: None,
            group: None,
            groups: None,
            organization: None,
            customer: None,
            models: None,
            scopes: "scope".to_owned(),
        }
    }
}

impl JwtIssuer {
    /// Algorithms that count where none are named: those that providers sign with.
    pub const ALGORITHMS: [&'static str; 9] =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

    /// An issuer of this name with everything as it is by default.
    pub fn new(id: &str, organization: OrganizationId) -> Self {
        Self {
            id: id.to_owned(),
            issuer: None,
            jwks_url: None,
            jwks: None,
            audience: Vec::new(),
            algorithms: vec!["RS256".to_owned(), "ES256".to_owned()],
            leeway_ms: 60_000,
            keys_ttl_ms: 600_000,
            claims: JwtClaims::default(),
            organization,
            organizations: IndexMap::new(),
            any_organization: false,
            create_users: false,
            require_membership: false,
            default_group: None,
            email_domains: Vec::new(),
            require: IndexMap::new(),
            models_by_scope: IndexMap::new(),
            admin_scope: None,
        }
    }
}
