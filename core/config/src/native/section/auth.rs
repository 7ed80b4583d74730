//! How people sign in, and whose tokens open calls.

use super::{Kind, Section, key};

pub(crate) static AUTH: Section = Section {
    name: "auth",
    about: "How people sign in, and whose tokens open calls beside our own keys. See docs/administration.md.",
    required: &[],
    keys: &[
        key(
            "public_url",
            Kind::Text,
            "Where browsers reach the gateway, such as https://gateway.example. Sign-in through a provider comes back there; needed for `oidc`.",
        ),
        key("session", Kind::Object(&SESSION), "How long sessions last."),
        key("password", Kind::Object(&PASSWORD), "Which passwords will do."),
        key(
            "registration",
            Kind::Object(&REGISTRATION),
            "Who may make a user of themselves, by an e-mail address and a password. Default nobody.",
        ),
        key("oidc", Kind::List(&OIDC), "Providers of OpenID Connect that people sign in through."),
        key("jwt", Kind::List(&JWT), "Issuers whose tokens open calls, as `authorization: Bearer`."),
        key(
            "keys_per_user",
            Kind::Count,
            "A user has no more keys than this, 1 to 100000, unless an administrator of their organization makes them. Default 1000.",
        ),
    ],
};

pub(crate) static SESSION: Section = Section {
    name: "session",
    about: "How long a session lasts. From 5m to 90d each.",
    required: &[],
    keys: &[
        key("idle", Kind::Duration, "One that isn't used for so long is over. Default 1h."),
        key("absolute", Kind::Duration, "It is over after so long, however much it is used. Default 12h."),
    ],
};

pub(crate) static PASSWORD: Section = Section {
    name: "password",
    about: "Which passwords will do. Whatever is set, one that is easy to guess won't.",
    required: &[],
    keys: &[
        key(
            "sign_in",
            Kind::Boolean,
            "Whether passwords open sessions at all; false is for when the providers of `oidc` are used. Default true.",
        ),
        key("min_length", Kind::Count, "A password has so many characters at least, 8 to 128. Default 12."),
    ],
};

pub(crate) static REGISTRATION: Section = Section {
    name: "registration",
    about: "That people make users of themselves. Nothing is sent to their addresses: whoever reaches the gateway can register with any address of the domains.",
    required: &["email_domains"],
    keys: &[
        key("email_domains", Kind::Texts, "The domains of their e-mail addresses."),
        key("organization", Kind::Text, "Whose they are, by id. Default default."),
        key("group", Kind::Text, "The group that they are in, by id. Default none."),
        key("role", Kind::Text, "What they may do in it: user, group_admin. Default user."),
    ],
};

pub(crate) static OIDC: Section = Section {
    name: "oidc_provider",
    about: "A provider of OpenID Connect. It sends browsers back to PUBLIC_URL/api/v1/session/oidc/ID/callback.",
    required: &["id", "issuer", "client_id"],
    keys: &[
        key("id", Kind::Text, "Its id: lower-case letters, digits, `-` and `_`. Part of the address above."),
        key("name", Kind::Text, "Its name for people. Default its id."),
        key(
            "issuer",
            Kind::Text,
            "Its address, exactly as it says it itself; https, or http on this machine.",
        ),
        key("client_id", Kind::Text, "What it knows the gateway by."),
        key("client_secret", Kind::Secret, "What the gateway proves that by. Default none: PKCE alone."),
        key("scopes", Kind::Texts, "What is asked for beside openid. Default profile and email."),
        key("claims", Kind::Object(&OIDC_CLAIMS), "Where its ID tokens say what."),
        key("organization", Kind::Text, "The organization of its people. Default `default`."),
        key(
            "organizations",
            Kind::TextMap,
            "Values of the organization's claim and our organizations; others are refused then. Default: all are of `organization`.",
        ),
        key("sign_up", Kind::Boolean, "Whether somebody who isn't known becomes a user. Default false."),
        key(
            "link",
            Kind::Word(&["none", "email", "id"]),
            "How somebody who comes for the first time may be a user whom we know already: email, by their verified address, which needs email_domains; id, by claims.user. Default none.",
        ),
        key(
            "email_domains",
            Kind::Texts,
            "Only people with a verified address in one of these domains. Default: everybody.",
        ),
        key(
            "groups",
            Kind::List(&GROUP_GRANT),
            "Which of our groups its people are in. Followed at each sign-in.",
        ),
        key(
            "roles",
            Kind::List(&ROLE_GRANT),
            "What its people may do; the highest that applies counts, and who has none is a plain user. Followed at each sign-in. Default: roles are given by hand.",
        ),
    ],
};

pub(crate) static OIDC_CLAIMS: Section = Section {
    name: "oidc_claims",
    about: "Where ID tokens say what. Names with dots lead into objects.",
    required: &[],
    keys: &[
        key("user", Kind::Text, "Our id of somebody who becomes a user. Default: one is made."),
        key("email", Kind::Text, "The e-mail address; counts when email_verified is true. Default email."),
        key("name", Kind::Text, "The name for people. Default name."),
        key("groups", Kind::Text, "What `groups` and `roles` go by, a list or a text. Default groups."),
        key("organization", Kind::Text, "What `organizations` goes by. Default none."),
    ],
};

pub(crate) static GROUP_GRANT: Section = Section {
    name: "group_grant",
    about: "Whoever the groups' claim says is `value` is in one of our groups.",
    required: &["value", "group"],
    keys: &[
        key("value", Kind::Text, "A value of the claim."),
        key("group", Kind::Text, "Our group, by id."),
        key("role", Kind::Word(&["user", "group_admin"]), "What they may do in it. Default user."),
    ],
};

pub(crate) static ROLE_GRANT: Section = Section {
    name: "role_grant",
    about: "Whoever the groups' claim says is `value` has a role.",
    required: &["value", "role"],
    keys: &[
        key("value", Kind::Text, "A value of the claim."),
        key(
            "role",
            Kind::Word(&["user", "auditor", "group_admin", "organization_admin", "super_admin"]),
            "What they may do.",
        ),
    ],
};

pub(crate) static JWT: Section = Section {
    name: "jwt_issuer",
    about: "Who issues tokens that open calls. Its callers have the limits of their user, group and organization, as by a key.",
    required: &["id", "issuer", "audience"],
    keys: &[
        key("id", Kind::Text, "Its id: its calls are recorded under the keys `jwt:ID/USER`."),
        key("issuer", Kind::Text, "The tokens' `iss`, exactly."),
        key("audience", Kind::Texts, "The tokens' `aud`: one of these."),
        key("jwks_url", Kind::Text, "Where its keys are. Default: where its discovery document says."),
        key("jwks_file", Kind::Text, "A file with its keys as a JWKS, in the place of an address."),
        key(
            "algorithms",
            Kind::Texts,
            "What it may sign with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA. Default RS256 and ES256.",
        ),
        key("leeway", Kind::Duration, "Clocks may differ by so much, 5m at most. Default 1m."),
        key("keys_ttl", Kind::Duration, "Keys are fetched anew after so long. Default 10m."),
        key("claims", Kind::Object(&JWT_CLAIMS), "Where its tokens say what."),
        key("organization", Kind::Text, "The organization of its callers. Default `default`."),
        key(
            "organizations",
            Kind::TextMap,
            "Values of the organization's claim and our organizations; others are refused then. Default: all are of `organization`.",
        ),
        key(
            "unknown_users",
            Kind::Word(&["refuse", "create"]),
            "What happens to callers who are no users yet. Default refuse.",
        ),
        key(
            "require_membership",
            Kind::Boolean,
            "Whether a caller must be a member of the group that the token names. Default false: the issuer's word counts.",
        ),
        key("default_group", Kind::Text, "The group of tokens that name none. Default none."),
        key(
            "email_domains",
            Kind::Texts,
            "Only callers with an address in one of these domains, by claims.email. Default: everybody.",
        ),
        key("require", Kind::TextsMap, "What a token must say: of each of these claims one of the values."),
        key(
            "models",
            Kind::TextsMap,
            "Models by scope, such as {\"llm.small\": [gpt-5-mini]}. When there are any, a token reaches those of its scopes and no others.",
        ),
    ],
};

pub(crate) static JWT_CLAIMS: Section = Section {
    name: "jwt_claims",
    about: "Where tokens say what. Names with dots lead into objects.",
    required: &[],
    keys: &[
        key("user", Kind::Text, "The user's id. Default sub."),
        key("email", Kind::Text, "The user's e-mail address. Default none."),
        key("group", Kind::Text, "The group's id. Default none."),
        key("groups", Kind::Text, "Ids of groups: the first that exists here counts. Default none."),
        key("organization", Kind::Text, "What `organizations` goes by. Default none."),
        key(
            "customer",
            Kind::Text,
            "The end customer, in the place of the one that the call names. Default none.",
        ),
        key(
            "models",
            Kind::Text,
            "Models that may be called. Default none: those of user, group and organization.",
        ),
        key("scopes", Kind::Text, "Scopes, as a list or a text with spaces. Default scope."),
    ],
};
