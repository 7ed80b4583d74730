//! The settings of our own dialect as tables: what the reader accepts, what the JSON Schema says and what the manual must
//! mention are all read from here.

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
        key("compat", Kind::Object(&COMPAT), "How closely the compatible APIs follow LiteLLM and New API."),
        key("channels", Kind::List(&CHANNEL), "Upstream endpoints with their credentials and models."),
        key("aliases", Kind::TextMap, "Other names for models: asked for → meant."),
        key("fallbacks", Kind::Object(&FALLBACKS), "Models to try when a model's own channels can't serve."),
        key("model_groups", Kind::Named(&MODEL_GROUP), "Settings of single requested model names."),
        key("routing", Kind::Object(&ROUTING), "How channels are picked, retried and benched."),
        key("quotas", Kind::Object(&QUOTAS), "Limits on everybody, and how limits work."),
        key(
            "organizations",
            Kind::List(&ORGANIZATION),
            "The outermost tenants; `default` exists without being named.",
        ),
        key("groups", Kind::List(&GROUP), "Departments or teams."),
        key("users", Kind::List(&USER), "People and service accounts."),
        key("keys", Kind::List(&API_KEY), "API keys that the file issues."),
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
    ],
};

pub(crate) static NAMED_SCOPES: Section = Section {
    name: "named_scopes",
    about: "Limits of those whom calls name. They count within the caller's organization.",
    required: &[],
    keys: &[
        key("named", Kind::Named(&NAMED_SCOPE), "Single ones, by name."),
        key("default", Kind::Limits, "Limits of each one that isn't named here. Default none."),
        key(
            "max_counted",
            Kind::Count,
            "Unnamed ones with a counter of their own in each organization, at most. Those beyond share one, until its windows have ended. Default 10000.",
        ),
    ],
};

pub(crate) static NAMED_SCOPE: Section = Section {
    name: "named_scope",
    about: "One end customer or tag.",
    required: &[],
    keys: &[key("limits", Kind::Limits, "Its limits, instead of the default.")],
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
            "present_as",
            Kind::Word(&["upstream", "requested"]),
            "Whose model name answers carry. Default upstream.",
        ),
        key(
            "trusted_proxies",
            Kind::Texts,
            "Addresses and networks whose forwarded client address counts. Default none.",
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
        key(
            "durability",
            Kind::Word(&["process", "power"]),
            "What the journal survives before a call goes on: process, its end by any signal; power, the loss of power too, for which calls wait for the disk. Default process.",
        ),
        key("retention", Kind::Object(&RETENTION), "How long what was used is kept. Default: for ever."),
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

pub(crate) static RETENTION: Section = Section {
    name: "retention",
    about: "How long what was used is kept. Balances of limits don't depend on it.",
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
    about: "Statuses and texts of the compatible APIs; never admission. Accepted, and not yet used.",
    required: &[],
    keys: &[
        key(
            "litellm",
            Kind::Word(&["1.80", "1.106"]),
            "The LiteLLM generation that refusals look like. Default: our own statuses.",
        ),
        key(
            "newapi",
            Kind::Boolean,
            "Whether refusals on New API's routes look like its own. Default false.",
        ),
        key(
            "budget_exceeded_status",
            Kind::Count,
            "The status of an exceeded budget, 400 to 499. Default: that of the generation.",
        ),
    ],
};

pub(crate) static CHANNEL: Section = Section {
    name: "channel",
    about: "One upstream endpoint with a credential.",
    required: &["name", "provider"],
    keys: &[
        key("name", Kind::Text, "Its name for people."),
        key("id", Kind::Text, "Its id. Default: made of its name and what it is, the same after a reload."),
        key(
            "provider",
            Kind::Text,
            "Whose endpoint it is: an id of the catalogue such as openai, anthropic, deepseek or mock.",
        ),
        key(
            "url",
            Kind::Text,
            "What stands before /chat/completions or /v1/messages. Default: the provider's own.",
        ),
        key(
            "endpoints",
            Kind::List(&ENDPOINT),
            "Whole addresses by format, instead of `url`, most preferred first.",
        ),
        key(
            "auth",
            Kind::Auth,
            "How requests prove who we are: bearer, none or {header: NAME}. Default: the provider's.",
        ),
        key(
            "credential",
            Kind::Secret,
            "The credential. Default: the provider's usual variable, such as OPENAI_API_KEY.",
        ),
        key(
            "keys",
            Kind::Texts,
            "Several credentials of one endpoint, instead of `credential`: one that the upstream refuses is left out alone.",
        ),
        key(
            "key_mode",
            Kind::Word(&["random", "polling"]),
            "How one of several keys is picked. Default random.",
        ),
        key(
            "models",
            Kind::Models(&MODEL),
            "The models that it serves: names, or mappings where more is to be said.",
        ),
        key("groups", Kind::Texts, "Groups that may use it. Default everybody."),
        key("priority", Kind::Integer, "Higher goes first. Default 0."),
        key(
            "weight",
            Kind::Count,
            "The share among channels of one priority; 0 serves only when no other can. Default 1.",
        ),
        key("limits", Kind::Limits, "Limits towards the upstream."),
        key("tags", Kind::Texts, "Labels to route by."),
        key(
            "headers",
            Kind::TextMap,
            "Headers sent with each request, besides authentication; `{api_key}` in a value stands for the credential.",
        ),
        key("timeouts", Kind::Object(&TIMEOUTS), "Time limits of an attempt. Default: those of `routing`."),
        key("proxy", Kind::Text, "A proxy: http://…, https://… or socks5://…"),
        key("extra_ca_file", Kind::Text, "A PEM file with further certificate authorities."),
        key(
            "allowed_fails",
            Kind::Count,
            "Failures within a minute before it is benched. Default: that of `routing`.",
        ),
        key("cooldown", Kind::Duration, "How long it is benched. Default: that of `routing`."),
        key(
            "unknown_fields",
            Kind::Word(&["pass", "drop", "refuse"]),
            "What happens to top-level body fields that the format doesn't know: they are sent, left out and named in the loss report, or the call goes to another channel or is refused. Default pass.",
        ),
        key(
            "client_overrides",
            Kind::Texts,
            "Body fields such as api_base that are sent on to it as they are, if a caller sends them; by default they are left out.",
        ),
        key(
            "body_edits",
            Kind::List(&BODY_EDIT),
            "What is changed in each body that is sent to it, in order; see [changes of the body](#changes-of-the-body).",
        ),
        key("enabled", Kind::Boolean, "Whether it serves at all. Default true."),
    ],
};

pub(crate) static BODY_EDIT: Section = Section {
    name: "body_edit",
    about: "One change of a body.",
    required: &["mode"],
    keys: &[
        key(
            "path",
            Kind::Text,
            "Where: `temperature`, `messages.0.content`; -1 is the last element, `\\.` a dot in a name.",
        ),
        key(
            "mode",
            Kind::Word(&[
                "delete",
                "set",
                "move",
                "copy",
                "prepend",
                "append",
                "trim_prefix",
                "trim_suffix",
                "ensure_prefix",
                "ensure_suffix",
                "trim_space",
                "to_lower",
                "to_upper",
                "replace",
            ]),
            "What is done there.",
        ),
        key("value", Kind::Any, "What is set, put before or behind, or trimmed."),
        key("keep_origin", Kind::Boolean, "`set` only where nothing is there. Default false."),
        key("from", Kind::Text, "Where `move` and `copy` take it from; the part that `replace` replaces."),
        key("to", Kind::Text, "Where `move` and `copy` put it; what `replace` puts in its place."),
        key("conditions", Kind::List(&EDIT_CONDITION), "When it is done. Default always."),
        key(
            "logic",
            Kind::Word(&["OR", "AND"]),
            "Whether one condition is enough, or all must hold. Default OR.",
        ),
    ],
};

pub(crate) static EDIT_CONDITION: Section = Section {
    name: "edit_condition",
    about: "What must hold for a change of a body to be made.",
    required: &["path"],
    keys: &[
        key(
            "path",
            Kind::Text,
            "A place in the body, or `original_model`, `upstream_model`, `retry_index`, `is_retry`.",
        ),
        key(
            "mode",
            Kind::Word(&["full", "prefix", "suffix", "contains", "gt", "gte", "lt", "lte"]),
            "How it is compared. Default full.",
        ),
        key("value", Kind::Any, "With what."),
        key("invert", Kind::Boolean, "The contrary must hold. Default false."),
        key("pass_missing_key", Kind::Boolean, "It holds, too, where nothing is there. Default false."),
    ],
};

pub(crate) static ENDPOINT: Section = Section {
    name: "endpoint",
    about: "A format and its whole address.",
    required: &["format", "url"],
    keys: &[
        key(
            "format",
            Kind::Word(&["openai_chat", "openai_embeddings", "anthropic_messages"]),
            "The wire format.",
        ),
        key("url", Kind::Text, "The whole address of the operation."),
    ],
};

pub(crate) static MODEL: Section = Section {
    name: "model",
    about: "One model of a channel.",
    required: &["name"],
    keys: &[
        key("name", Kind::Text, "The name that callers ask for; may end in `*`."),
        key("upstream", Kind::Text, "The name that the upstream knows. Default: the same."),
        key(
            "price",
            Kind::Object(&MODEL_PRICE),
            "What it costs. Default: `prices`, then the built-in price list.",
        ),
        key("context_window", Kind::Count, "Input and output together, in tokens, at most."),
        key("max_output", Kind::Count, "Output in tokens, at most."),
        key(
            "extra_reasoning",
            Kind::Count,
            "Reasoning that can come on top of the output ceiling, in tokens.",
        ),
        key(
            "tokenizer",
            Kind::Word(&["o200k_base", "cl100k_base", "none"]),
            "Counts the prompt where a strict limit has no room for its bytes. Default: by name at OpenAI's own address.",
        ),
        key("lacks", Kind::Texts, "What it is known to lack: tools, images, audio, json_schema."),
    ],
};

pub(crate) static MODEL_PRICE: Section = Section {
    name: "model_price",
    about: "Prices in USD per million tokens. What is left out is unknown, 0 is free.",
    required: &[],
    keys: &PRICE_KEYS,
};

const PRICE_KEYS: [Key; 10] = [
    key("input", Kind::Decimal, "Input, USD per million tokens."),
    key("output", Kind::Decimal, "Output, USD per million tokens."),
    key("cached_input", Kind::Decimal, "Input read from the prompt cache. Default: as input."),
    key("cache_write", Kind::Decimal, "Input written to the prompt cache. Default: as input."),
    key("cache_write_1h", Kind::Decimal, "Input written to the cache for an hour. Default: as cache_write."),
    key("reasoning_output", Kind::Decimal, "Reasoning. Default: as output."),
    key("audio_input", Kind::Decimal, "Audio input. Default: as input."),
    key("audio_output", Kind::Decimal, "Audio output. Default: as output."),
    key("per_request", Kind::Decimal, "A fee for each request, in USD. Default 0."),
    key(
        "tiers",
        Kind::List(&TIER),
        "Prices for long prompts; the highest bound that is exceeded prices the whole request.",
    ),
];

pub(crate) static TIER: Section = Section {
    name: "tier",
    about: "Prices for prompts longer than a bound.",
    required: &["above_input_tokens"],
    keys: &[
        key("above_input_tokens", Kind::Count, "Applies to longer prompts than this, cached input included."),
        key("input", Kind::Decimal, "See the price. What is left out keeps the base price."),
        key("output", Kind::Decimal, "See the price."),
        key("cached_input", Kind::Decimal, "See the price."),
        key("cache_write", Kind::Decimal, "See the price."),
        key("cache_write_1h", Kind::Decimal, "See the price."),
        key("reasoning_output", Kind::Decimal, "See the price."),
    ],
};

pub(crate) static PRICE: Section = Section {
    name: "price",
    about: "What a model costs wherever it is served by a provider.",
    required: &["model"],
    keys: &[
        key("provider", Kind::Text, "The provider's id. Default: every provider."),
        key("model", Kind::Text, "The upstream's name of the model; may end in `*`."),
        key("context_window", Kind::Count, "Input and output together, in tokens, at most."),
        key("max_output", Kind::Count, "Output in tokens, at most."),
        key("price", Kind::Object(&MODEL_PRICE), "What it costs."),
    ],
};

pub(crate) static TIMEOUTS: Section = Section {
    name: "timeouts",
    about: "Time limits of an attempt.",
    required: &[],
    keys: &[
        key("connect", Kind::Duration, "For the connection. Default 10s."),
        key("first_byte", Kind::Duration, "From the request's end to the first content. Default 300s."),
        key("between_bytes", Kind::Duration, "Between two reads of the answer. Default 120s."),
        key("total", Kind::Duration, "For the whole attempt. Default 600s."),
    ],
};

pub(crate) static FALLBACKS: Section = Section {
    name: "fallbacks",
    about: "Models to try when a model's own channels can't serve; each list in order.",
    required: &[],
    keys: &[
        key("general", Kind::ModelMap, "After any failure that a retry could mend."),
        key("context_window", Kind::ModelMap, "When the prompt doesn't fit."),
        key("content_policy", Kind::ModelMap, "When the upstream's content policy refuses."),
        key("default", Kind::Texts, "For every model, after the above."),
    ],
};

const STRATEGIES: Kind =
    Kind::Word(&["weighted", "least_busy", "lowest_latency", "lowest_cost", "usage", "affinity"]);

pub(crate) static MODEL_GROUP: Section = Section {
    name: "model_group",
    about: "Settings of one requested model name.",
    required: &[],
    keys: &[
        key("strategy", STRATEGIES, "How its channels are ranked. Default: that of `routing`."),
        key(
            "default_output",
            Kind::Count,
            "The output ceiling when the caller names none, in tokens. Default: that of `quotas`.",
        ),
        key("retries", Kind::Count, "Retries beyond the first attempt. Default: that of `routing`."),
        key(
            "downgrade_to",
            Kind::Texts,
            "Cheaper models to try, in order, when what is left of a limit with `downgrade` doesn't cover a call. Default none.",
        ),
    ],
};

pub(crate) static ROUTING: Section = Section {
    name: "routing",
    about: "How channels are picked, retried and benched.",
    required: &[],
    keys: &[
        key("strategy", STRATEGIES, "How channels of one priority are ranked. Default weighted."),
        key("retries", Kind::Count, "Retries of one model beyond the first attempt. Default 2."),
        key("max_attempts", Kind::Count, "Attempts of one call over all fallbacks, 1 to 64. Default 8."),
        key("max_fallbacks", Kind::Count, "Fallback models tried, at most. Default 5."),
        key(
            "backoff",
            Kind::Duration,
            "The pause before trying the same channel again; doubles each time. Default 200ms.",
        ),
        key("backoff_max", Kind::Duration, "No pause is longer. Default 8s."),
        key(
            "allowed_fails",
            Kind::Count,
            "Failures within a minute before a channel is benched. Default 3, or with `allowed_failure_percent` any number.",
        ),
        key(
            "allowed_failure_percent",
            Kind::Count,
            "The share of attempts within a minute that may fail, 0 to 100, before a channel is benched. Default any.",
        ),
        key(
            "failure_min_calls",
            Kind::Count,
            "Attempts within the minute before that share counts. Default 10.",
        ),
        key("cooldown", Kind::Duration, "How long a channel is benched. Default 30s."),
        key("timeouts", Kind::Object(&TIMEOUTS), "Time limits of an attempt."),
        key("deadline", Kind::Duration, "No call takes longer, all attempts together. Default 900s."),
        key(
            "affinity_load_percent",
            Kind::Count,
            "With `affinity`, a channel takes at most this share, in percent, of its fair part of the calls under way; more go to the next. 0 is no bound, else 100 or more. Default 125.",
        ),
        key(
            "allow_mock_parameters",
            Kind::Boolean,
            "Whether callers may have answers and failures made up with `mock_response`, `mock_timeout` and `mock_testing_…`. Default false: such calls are refused.",
        ),
    ],
};

pub(crate) static QUOTAS: Section = Section {
    name: "quotas",
    about: "Limits on everybody, and how limits work.",
    required: &[],
    keys: &[
        key("limits", Kind::Limits, "Limits on everybody together."),
        key(
            "time_zone",
            Kind::Text,
            "The zone of days, weeks and months, such as Asia/Shanghai. Default UTC.",
        ),
        key(
            "default_output",
            Kind::Count,
            "The output ceiling when nobody names one, in tokens. Default 8192.",
        ),
        key("min_output", Kind::Count, "A lowered ceiling is never below this, in tokens. Default 256."),
        key(
            "on_unknown",
            Kind::Word(&["free", "input", "hold"]),
            "What an attempt that timed out without a status is charged. Default input.",
        ),
        key(
            "unpriced",
            Kind::Word(&["allow", "deny"]),
            "What happens to calls for models without a price. Default allow.",
        ),
        key(
            "rate_token_mode",
            Kind::Word(&["strict", "corrected", "soft"]),
            "The mode of token limits per minute and hour that name none. Default strict.",
        ),
        key(
            "reserve_wait",
            Kind::Duration,
            "How long a call waits for others to end whose reservations are in its way, before it is refused; 0s: not at all. Default 2s.",
        ),
        key(
            "apply_user_limits_to_group_keys",
            Kind::Boolean,
            "Whether a user's own limits also bind the keys of their groups. Default false.",
        ),
    ],
};

pub(crate) static ORGANIZATION: Section = Section {
    name: "organization",
    about: "An outermost tenant.",
    required: &["id"],
    keys: &[
        key("id", Kind::Text, "Its id."),
        key("alias", Kind::Text, "Its name for people."),
        key(
            "models",
            Kind::Texts,
            "Models that its members may call: names, or prefixes ending in `*`. Default all.",
        ),
        key("limits", Kind::Limits, "Its limits."),
        key("blocked", Kind::Boolean, "Refuses every call. Default false."),
        key("metadata", Kind::Free, "Data of your own."),
    ],
};

pub(crate) static GROUP: Section = Section {
    name: "group",
    about: "A department or team.",
    required: &["id"],
    keys: &[
        key("id", Kind::Text, "Its id, by which channels name it."),
        key(
            "alias",
            Kind::Text,
            "Its name for people; channels may name it too. Unique within the organization.",
        ),
        key("organization", Kind::Text, "Whose it is. Default default."),
        key("models", Kind::Texts, "Models that its members may call. Default all."),
        key("limits", Kind::Limits, "Its limits."),
        key("price_ratio", Kind::Decimal, "What its calls cost relative to the price list. Default 1."),
        key("prefer", Kind::List(&PREFERENCE), "Where its calls go first, in order."),
        key(
            "channels_of",
            Kind::Texts,
            "Groups whose channels it may use, too, asked in this order (New API's `auto` list). Default none.",
        ),
        key("members", Kind::List(&MEMBER), "Its members."),
        key("blocked", Kind::Boolean, "Refuses every call. Default false."),
        key("metadata", Kind::Free, "Data of your own."),
    ],
};

pub(crate) static PREFERENCE: Section = Section {
    name: "preference",
    about: "One step of a group's preferences: exactly one of these.",
    required: &[],
    keys: &[
        key("channel", Kind::Text, "This channel, by name or id."),
        key("provider", Kind::Text, "Any channel of this provider."),
        key("tag", Kind::Text, "Any channel with this tag."),
    ],
};

pub(crate) static MEMBER: Section = Section {
    name: "member",
    about: "One user in one group.",
    required: &["user"],
    keys: &[
        key("user", Kind::Text, "The user's id."),
        key("role", Kind::Word(&["user", "group_admin"]), "What they may do in the group. Default user."),
        key("limits", Kind::Limits, "Their limits within the group."),
    ],
};

pub(crate) static USER: Section = Section {
    name: "user",
    about: "A person or service account.",
    required: &["id"],
    keys: &[
        key("id", Kind::Text, "Their id."),
        key("email", Kind::Text, "Their e-mail address."),
        key("alias", Kind::Text, "Their name for people."),
        key("organization", Kind::Text, "Whose they are. Default default."),
        key(
            "role",
            Kind::Word(&["user", "auditor", "group_admin", "organization_admin", "super_admin"]),
            "What they may do. Default user.",
        ),
        key("models", Kind::Texts, "Models that they may call. Default all."),
        key("limits", Kind::Limits, "Their limits, over all their keys."),
        key("blocked", Kind::Boolean, "Refuses every call. Default false."),
        key("metadata", Kind::Free, "Data of your own."),
    ],
};

pub(crate) static API_KEY: Section = Section {
    name: "key",
    about: "An API key that the file issues.",
    required: &["id", "credential"],
    keys: &[
        key("id", Kind::Text, "Its public id."),
        key("alias", Kind::Text, "Its name for people."),
        key("credential", Kind::Secret, "The key itself, by a variable. At least 128 bits of randomness."),
        key("organization", Kind::Text, "Whose it is. Default: that of its group, else default."),
        key("group", Kind::Text, "The group that it spends for."),
        key("user", Kind::Text, "The user that it belongs to."),
        key("models", Kind::Texts, "Models that it may call. Default all."),
        key("aliases", Kind::TextMap, "Other names under which it may ask for models."),
        key("limits", Kind::Limits, "Its limits."),
        key("expires_at", Kind::Text, "From when on it is refused: 2027-01-31 or 2027-01-31T12:00:00Z."),
        key("blocked", Kind::Boolean, "Refuses every call. Default false."),
        key("allowed_ips", Kind::Texts, "Addresses and networks that it may be used from. Default anywhere."),
        key("tags", Kind::Texts, "Tags put on each of its calls."),
        key("metadata", Kind::Free, "Data of your own."),
    ],
};

pub(crate) static POLICY_MODULE: Section = Section {
    name: "policy_module",
    about: "What scripts import.",
    required: &[],
    keys: &[
        key("script", Kind::Text, "The functions and constants themselves."),
        key("file", Kind::Text, "Their file, seen from this one, instead of `script`."),
    ],
};

pub(crate) static POLICY: Section = Section {
    name: "policy",
    about: "An operator's script.",
    required: &["name"],
    keys: &[
        key("name", Kind::Text, "Its name, for messages."),
        key("script", Kind::Text, "The script itself."),
        key("file", Kind::Text, "The script's file, seen from this one, instead of `script`."),
        key(
            "organization",
            Kind::Text,
            "The organization whose calls it steers, by id or alias. Default: all calls. Only one of `organization`, `group` and `key`.",
        ),
        key("group", Kind::Text, "The group whose calls it steers, by id or alias."),
        key("key", Kind::Text, "The key whose calls it steers, by id or alias."),
        key(
            "on_error",
            Kind::Word(&["fail_open", "fail_closed"]),
            "What happens to a call when it fails. Default fail_open.",
        ),
    ],
};

pub(crate) static GUARDRAIL: Section = Section {
    name: "guardrail",
    about: "Something that looks at the texts of requests and answers: the gateway itself, or a service at a `url`. It looks at the calls of the organizations, groups and keys that it names; at everybody's when it names none.",
    required: &["name"],
    keys: &[
        key("name", Kind::Text, "Its name, for messages, headers and records."),
        key(
            "phase",
            Kind::Word(&["pre", "post", "both"]),
            "Whether it looks at requests, at answers or at both. Default both.",
        ),
        key("organizations", Kind::Texts, "Organizations whose calls it looks at, by id."),
        key("groups", Kind::Texts, "Groups whose calls it looks at."),
        key("keys", Kind::Texts, "Keys whose calls it looks at, by id."),
        key(
            "models",
            Kind::Texts,
            "Models that a call may end at, for which it looks; may end in `*`. Default all.",
        ),
        key("keywords", Kind::Texts, "Words and phrases to look for, wherever they stand."),
        key(
            "case_sensitive",
            Kind::Boolean,
            "Whether upper and lower case of keywords differ. Default false.",
        ),
        key(
            "patterns",
            Kind::Texts,
            "Regular expressions to look for, in the syntax of Rust's regex crate. Of a match longer than 256 bytes so much is found.",
        ),
        key(
            "detectors",
            Kind::Texts,
            "Personal data and secrets to look for: email, phone, chinese_id, credit_card, iban, ipv4, secret.",
        ),
        key(
            "action",
            Kind::Word(&["deny", "mask", "log"]),
            "What happens to what is found: the call is refused, or the answer ended; it is replaced; it is counted in the record. Default deny.",
        ),
        key(
            "replacement",
            Kind::Text,
            "What stands for what is masked. Default: what it was, such as [EMAIL]; [REDACTED] for keywords and patterns.",
        ),
        key("url", Kind::Text, "The address of a service to ask instead."),
        key("credential", Kind::Secret, "Sent to the service as a bearer credential."),
        key(
            "timeout",
            Kind::Duration,
            "An answer of the service that takes longer counts as none. Default 2s.",
        ),
        key(
            "on_error",
            Kind::Word(&["fail_open", "fail_closed"]),
            "What happens when the service gives no usable answer: the call goes on, or is refused. Default fail_closed.",
        ),
    ],
};
