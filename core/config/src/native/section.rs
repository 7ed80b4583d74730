//! The settings of our own dialect as tables: what the reader accepts, what the JSON Schema says and what the manual must
//! mention are all read from here.

mod auth;
mod channel;
mod policy;
mod routing;
mod tenant;

pub(crate) use auth::{
    AUTH, GROUP_GRANT, JWT, JWT_CLAIMS, OIDC, OIDC_CLAIMS, PASSWORD, REGISTRATION, ROLE_GRANT, SESSION,
};
pub(crate) use channel::{
    BODY_EDIT, CHANNEL, EDIT_CONDITION, ENDPOINT, IMAGE_PRICE, MODEL, MODEL_PRICE, PASS_THROUGH, PRICE,
    PRICE_CHANGE, PRICE_WINDOW, SEARCH_SIZES, SERVICE_TIER, TIER,
};
pub(crate) use policy::{GUARDRAIL, POLICY, POLICY_MODULE};
pub(crate) use routing::{
    ALLOWED_FAILS_BY, FALLBACKS, HEALTH_CHECK, HEALTH_CHECKS, MODEL_GROUP, RETRIES_BY, ROUTING, TIMEOUTS,
};
pub(crate) use tenant::{
    ACCESS_GROUP, API_KEY, GROUP, GROUP_PRICE, MEMBER, NAMED_SCOPE, NAMED_SCOPES, ORGANIZATION, PREFERENCE,
    QUOTAS, USER,
};

/// A mapping of the dialect.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the JSON Schema.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// Its keys, in the order of the manual.
    pub(crate) keys: &'static [Key],
    /// Those that must be there.
    pub(crate) required: &'static [&'static str],
}

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it does, with unit and default.
    pub(crate) about: &'static str,
}

/// What a key takes.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// A text that should be a reference to a variable.
    Secret,
    Boolean,
    /// A whole number, 0 or more; suffixes allowed.
    Count,
    Integer,
    /// A length of time.
    Duration,
    /// A number of bytes.
    Bytes,
    /// A decimal number, 0 or more.
    Decimal,
    Word(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    /// A mapping of text to text.
    TextMap,
    /// A mapping of a model to a model or a list of them.
    ModelMap,
    /// A mapping of text to a text or a list of them.
    TextsMap,
    /// A mapping of anything.
    Free,
    /// Anything.
    Any,
    Limits,
    /// `bearer`, `none` or `{header: NAME}`.
    Auth,
    /// A model's name, or the section; a list of them.
    Models(&'static Section),
    Object(&'static Section),
    /// `true`, `false` or the section.
    Switch(&'static Section),
    /// A mapping of names to the section.
    Named(&'static Section),
    List(&'static Section),
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

pub(crate) static ROOT: Section = Section {
    name: "root",
    about: "A configuration of Sluicegate.",
    required: &["version"],
    keys: &[
        key("version", Kind::Word(&["1"]), "The version of this format: 1."),
        key(
            "server",
            Kind::Object(&SERVER),
            "Where the gateway listens, keeps its data and is administered.",
        ),
        key("auth", Kind::Object(&AUTH), "How people sign in, and whose tokens open calls."),
        key("compat", Kind::Object(&COMPAT), "How closely the compatible APIs follow LiteLLM and New API."),
        key("channels", Kind::List(&CHANNEL), "Upstream endpoints with their credentials and models."),
        key("aliases", Kind::TextMap, "Other names for models: asked for → meant."),
        key("fallbacks", Kind::Object(&FALLBACKS), "Models to try when a model's own channels can't serve."),
        key("model_groups", Kind::Named(&MODEL_GROUP), "Settings of single requested model names."),
        key("routing", Kind::Object(&ROUTING), "How channels are picked, retried and benched."),
        key(
            "health_checks",
            Kind::Object(&HEALTH_CHECKS),
            "Active health checks of every channel that doesn't say otherwise. Default none.",
        ),
        key("quotas", Kind::Object(&QUOTAS), "Limits on everybody, and how limits work."),
        key(
            "organizations",
            Kind::List(&ORGANIZATION),
            "The outermost tenants; `default` exists without being named.",
        ),
        key("groups", Kind::List(&GROUP), "Departments or teams."),
        key("users", Kind::List(&USER), "People and service accounts."),
        key("keys", Kind::List(&API_KEY), "API keys that the file issues."),
        key("access_groups", Kind::Named(&ACCESS_GROUP), "Models under one name, for lists of models."),
        key(
            "customers",
            Kind::Object(&NAMED_SCOPES),
            "Limits of end customers: those whom a call names in `user`, `safety_identifier` or `metadata.user_id`.",
        ),
        key(
            "tags",
            Kind::Object(&NAMED_SCOPES),
            "Limits of tags: a call's own, those of its key and those that scripts add.",
        ),
        key("policies", Kind::List(&POLICY), "Operators' scripts."),
        key("guardrails", Kind::List(&GUARDRAIL), "What is looked for in requests and answers."),
        key(
            "policy_modules",
            Kind::Named(&POLICY_MODULE),
            "Functions and constants that scripts share, by the name that they import.",
        ),
        key(
            "prices",
            Kind::List(&PRICE),
            "Prices and limits of models, before those of the built-in price list.",
        ),
        key(
            "currencies",
            Kind::TextMap,
            "What currencies of prices other than USD are worth: how many of one are one USD, such as {CNY: 7.12}.",
        ),
    ],
};

pub(crate) static SERVER: Section = Section {
    name: "server",
    about: "Settings of the host.",
    required: &[],
    keys: &[
        key("host", Kind::Text, "The address to listen on. Default 127.0.0.1."),
        key("port", Kind::Count, "The port to listen on. Default 4000."),
        key(
            "data_dir",
            Kind::Text,
            "Where balances, the journal and the embedded database live. Default ./data.",
        ),
        key(
            "database",
            Kind::Secret,
            "postgres://… or sqlite://PATH. Default: embedded in the data directory.",
        ),
        key("redis", Kind::Secret, "A Redis server. Accepted, and not yet used."),
        key(
            "master_key",
            Kind::Secret,
            "The administrator's key. Default: the variable SLUICEGATE_MASTER_KEY.",
        ),
        key(
            "session_secret",
            Kind::Secret,
            "What web sessions are signed with. Accepted, and not yet used. Default: the variable SESSION_SECRET.",
        ),
        key("body_limit", Kind::Bytes, "A larger request body is refused. Default 32MiB."),
        key(
            "upload_limit",
            Kind::Bytes,
            "A larger body that goes on while it comes is refused: a form with files, and whatever is passed through. Default 512MiB.",
        ),
        key(
            "present_as",
            Kind::Word(&["upstream", "requested"]),
            "Whose model name answers carry. Default upstream.",
        ),
        key(
            "translation",
            Kind::Word(&["drop", "strict"]),
            "What becomes of a call of which another format, or a provider, can't say everything: drop, it is sent without that, which the loss report has; strict, another channel gets it, or it is refused with the fields' names. Channels may say it for themselves, and a caller may ask for strict. Default drop.",
        ),
        key(
            "trusted_proxies",
            Kind::Texts,
            "Addresses and networks whose forwarded client address counts. Default none.",
        ),
        key(
            "cors",
            Kind::Object(&CORS),
            "What browsers let pages of other origins call. Default: whatever is called with a key, from any origin; from none where the administrator's key is a weak one.",
        ),
        key(
            "metrics",
            Kind::Word(&["authorized", "open", "off"]),
            "Who may read /metrics: authorized, super administrators and whoever shows metrics_token; open, everybody who reaches the port; off, nobody. Default authorized.",
        ),
        key(
            "metrics_token",
            Kind::Secret,
            "What a monitoring system shows as a bearer token to read /metrics. Default none.",
        ),
        key(
            "store_models",
            Kind::Boolean,
            "Whether the API may create models besides the file's. Default true.",
        ),
        key(
            "demo_channel",
            Kind::Boolean,
            "Whether a demo channel is added when there is no other. Default true.",
        ),
        key("console", Kind::Boolean, "Whether the web console is served at /. Default true."),
        key(
            "tls",
            Kind::Object(&TLS),
            "What TLS (1.2 and 1.3) is served with. Default: plain HTTP, for a proxy in front.",
        ),
        key(
            "durability",
            Kind::Word(&["process", "power"]),
            "What the journal survives before a call goes on: process, its end by any signal; power, the loss of power too, for which calls wait for the disk. Default process.",
        ),
        key(
            "retention",
            Kind::Object(&RETENTION),
            "How long what was used is kept, and what callers want kept. Default: for ever; responses 30 days.",
        ),
        key(
            "responses",
            Kind::Object(&RESPONSES),
            "How much of what is done and kept for callers of /v1/responses one of them may have.",
        ),
        key(
            "policy_rollback",
            Kind::Object(&POLICY_ROLLBACK),
            "When a new version of a policy is taken back by itself.",
        ),
        key(
            "dangerously_permit_weak_or_unset_master_key",
            Kind::Boolean,
            "Serve beyond loopback with a weak or no administrator's key. Default false.",
        ),
    ],
};

pub(crate) static CORS: Section = Section {
    name: "cors",
    about: "What browsers let pages of other origins call: paths of inference and lists of models, with a key. The management APIs and the console are never open to them, and cookies are never taken along.",
    required: &[],
    keys: &[key(
        "origins",
        Kind::Texts,
        "Origins that may, each exactly as a browser sends it, such as https://chat.example.com; [\"*\"] is all, [] none. Default [\"*\"].",
    )],
};

pub(crate) static TLS: Section = Section {
    name: "tls",
    about: "What TLS is served with. The files are read at the start, and again when they change.",
    required: &["certificate", "key"],
    keys: &[
        key(
            "certificate",
            Kind::Text,
            "A file of certificates in PEM form: the server's first, then those between it and the authority.",
        ),
        key("key", Kind::Text, "A file with its private key in PEM form."),
    ],
};

pub(crate) static RETENTION: Section = Section {
    name: "retention",
    about: "How long what was used is kept, and what callers want kept. Balances of limits don't depend on it.",
    required: &[],
    keys: &[
        key(
            "records",
            Kind::Duration,
            "Usage records, a day at least; whole days go. In PostgreSQL whole months go. Default: for ever.",
        ),
        key(
            "daily_sums",
            Kind::Duration,
            "Daily sums, 62 days at least and no shorter than the records; then one sum for each month is left, and none by end customer and tag. Default: for ever.",
        ),
        key(
            "responses",
            Kind::Duration,
            "Responses that callers of /v1/responses want kept, with their input, for previous_response_id and for reading them again; 0 keeps none. Default 30d.",
        ),
    ],
};

pub(crate) static RESPONSES: Section = Section {
    name: "responses",
    about: "How much of what is done and kept for callers of /v1/responses there may be. An owner is a user within a group, a group, a user, or a key that belongs to nobody.",
    required: &[],
    keys: &[
        key(
            "background",
            Kind::Count,
            "So many responses are worked on in the background at a time; where several organizations ask, half of them for one. 1 or more; default 1024.",
        ),
        key("background_per_owner", Kind::Count, "Of them, so many of one owner's. 1 or more; default 64."),
        key(
            "background_bytes",
            Kind::Bytes,
            "So much is held in memory for them: requests with all that they go on from, what is kept of their input, what is sent of them, and events of those that are streamed; where several organizations ask, half of it for one. Default 256MiB.",
        ),
        key("background_bytes_per_owner", Kind::Bytes, "Of it, so much for one owner. Default 64MiB."),
        key(
            "conversations_per_owner",
            Kind::Count,
            "So many conversations are kept of one owner's. 1 or more; default 10000.",
        ),
        key(
            "conversation_bytes_per_owner",
            Kind::Bytes,
            "So much is kept of items in all of them together. Default 1GiB.",
        ),
    ],
};

pub(crate) static POLICY_ROLLBACK: Section = Section {
    name: "policy_rollback",
    about: "When a new version of a policy is taken back by itself. It is watched until the time is over or the calls are, whichever is first.",
    required: &[],
    keys: &[
        key("window", Kind::Duration, "How long it is watched; 0 never takes one back. Default 10m."),
        key("max_calls", Kind::Count, "After so many calls it is watched no longer. Default 1000."),
        key("min_calls", Kind::Count, "Before so many calls nothing is said of it. 1 or more; default 20."),
        key(
            "max_error_percent",
            Kind::Count,
            "It is taken back when it fails in more than so many of a hundred calls. 0 to 100; default 5.",
        ),
        key(
            "max_denied_percent",
            Kind::Count,
            "It is taken back when it refuses so many more of a hundred calls than the version before it did. 0 to 100; default 20.",
        ),
    ],
};

pub(crate) static COMPAT: Section = Section {
    name: "compat",
    about: "Statuses and bodies of refusals, as other systems have them; never admission.",
    required: &[],
    keys: &[
        key(
            "litellm",
            Kind::Word(&["1.80", "1.106"]),
            "The LiteLLM generation that refusals look like, calls' as well; answers then have `x-litellm-…` headers. Default: that of 1.106 on LiteLLM's management routes, our own for calls.",
        ),
        key(
            "newapi",
            Kind::Boolean,
            "Whether refusals on New API's routes look like its own. Default false. Accepted, and not yet used.",
        ),
        key(
            "budget_exceeded_status",
            Kind::Count,
            "The status of an exceeded budget, 400 to 499. Default: that of the generation (1.80: 400, 1.106: 422), else 429.",
        ),
    ],
};
