//! Who calls, and how much they may.

use super::{Kind, MODEL_PRICE, Section, key};

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

pub(crate) static GROUP_PRICE: Section = Section {
    name: "group_price",
    about: "What calls to a model cost a group: a price of its own, whoever serves them, or a ratio to the channel's.",
    required: &["model"],
    keys: &[
        key(
            "model",
            Kind::Text,
            "The model as it is asked for, or the fallback that serves; may end in `*`.",
        ),
        key(
            "price",
            Kind::Object(&MODEL_PRICE),
            "What they cost. The group's `price_ratio` isn't applied to it.",
        ),
        key("price_ratio", Kind::Decimal, "Instead: what they cost relative to the channel's price."),
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
        key(
            "aliases",
            Kind::TextMap,
            "Other names under which its keys may ask for models; a key's own come after them.",
        ),
        key("limits", Kind::Limits, "Its limits."),
        key("price_ratio", Kind::Decimal, "What its calls cost relative to the price list. Default 1."),
        key(
            "prices",
            Kind::List(&GROUP_PRICE),
            "What its calls to single models cost instead; the first that matches counts.",
        ),
        key("prefer", Kind::List(&PREFERENCE), "Where its calls go first, in order."),
        key(
            "channels_of",
            Kind::Texts,
            "Groups whose channels it may use, too, asked in this order (New API's `auto` list). Default none.",
        ),
        key("members", Kind::List(&MEMBER), "Its members."),
        key("blocked", Kind::Boolean, "Refuses every call. Default false."),
        key(
            "metadata",
            Kind::Free,
            "Data of your own. Lists in it are heeded: `tags` are put on its calls, `guardrails` look at them.",
        ),
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
        key(
            "routes",
            Kind::Texts,
            "What it may be used for: `inference`, `read`, `management`, a path, or the beginning of one that ends in `*`. Default everything.",
        ),
        key("tags", Kind::Texts, "Tags put on each of its calls."),
        key(
            "metadata",
            Kind::Free,
            "Data of your own. Lists in it are heeded: `tags` are put on its calls, too, and `guardrails` look at them.",
        ),
    ],
};

pub(crate) static ACCESS_GROUP: Section = Section {
    name: "access_group",
    about: "Models under one name, which every list of `models` may name: `NAME`, or `access_group:NAME` where a model is called so, too.",
    required: &["models"],
    keys: &[key("models", Kind::Texts, "What it holds: names, or beginnings of names that end in `*`.")],
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
