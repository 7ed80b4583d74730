//! Which channel is asked, and what happens when it fails.

use super::{Key, Kind, Section, key};

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
            "retries_by",
            Kind::Object(&RETRIES_BY),
            "Retries after failures of single classes. Those that aren't named here: as `routing` has them.",
        ),
        key(
            "downgrade_to",
            Kind::Texts,
            "Cheaper models to try, in order, when what is left of a limit with `downgrade` doesn't cover a call. Default none.",
        ),
    ],
};

const CHECK_INTERVAL: Key =
    key("interval", Kind::Duration, "Between two checks of a channel, 1s or more. Default 60s.");
const CHECK_TIMEOUT: Key =
    key("timeout", Kind::Duration, "An answer that takes longer is none. Default 10s.");
const CHECK_MODEL: Key = key(
    "model",
    Kind::Text,
    "The upstream's model that is asked. Default: the first of the channel's that is no pattern; without one it isn't checked.",
);
const CHECK_OF: Key = key(
    "of",
    Kind::Word(&["benched", "all"]),
    "Whether only channels, and single keys, that are out are asked, or all. Default benched.",
);

pub(crate) static HEALTH_CHECKS: Section = Section {
    name: "health_checks",
    about: "A small real call for one token, made by the gateway itself: an answer brings a channel back at once, a failure counts like that of any call. It costs what the upstream takes for it, and counts for nobody's limits.",
    required: &[],
    keys: &[
        CHECK_INTERVAL,
        CHECK_TIMEOUT,
        CHECK_MODEL,
        CHECK_OF,
        key("concurrency", Kind::Count, "Checks at the same time, at most; 1 or more. Default 4."),
    ],
};

pub(crate) static HEALTH_CHECK: Section = Section {
    name: "health_check",
    about: "How one channel is checked: before what `health_checks` says, and also without it.",
    required: &[],
    keys: &[CHECK_INTERVAL, CHECK_TIMEOUT, CHECK_MODEL, CHECK_OF],
};

const RATE_LIMITED: Key = key("rate_limited", Kind::Count, "The upstream limits the channel's rate (429).");
const OVERLOADED: Key = key("overloaded", Kind::Count, "The upstream says that it is overloaded (503, 529).");
const SERVER_ERROR: Key = key("server_error", Kind::Count, "The upstream failed (another 5xx).");
const UNREACHABLE: Key = key("unreachable", Kind::Count, "No connection came about.");
const TIMEOUT: Key = key("timeout", Kind::Count, "No answer in time.");
const NONSENSE: Key = key("nonsense", Kind::Count, "An answer that isn't one.");

pub(crate) static RETRIES_BY: Section = Section {
    name: "retries_by",
    about: "How many failures of a class are each followed by another attempt at the same model, on another channel while one may serve. A class with a count of its own goes by its own failures alone, and those aren't counted for `retries`.",
    required: &[],
    keys: &[
        RATE_LIMITED,
        OVERLOADED,
        SERVER_ERROR,
        UNREACHABLE,
        TIMEOUT,
        NONSENSE,
        key(
            "not_found",
            Kind::Count,
            "The upstream doesn't know the model (404). Never the same channel again.",
        ),
        key("auth", Kind::Count, "The credential is refused (401). Never the same channel again."),
        key("no_balance", Kind::Count, "The account has no balance. Never the same channel again."),
        key(
            "content_policy",
            Kind::Count,
            "The upstream's content policy refuses. Never the same channel again, and only without fallbacks for it. Default 0.",
        ),
    ],
};

pub(crate) static ALLOWED_FAILS_BY: Section = Section {
    name: "allowed_fails_by",
    about: "Failures of a class within a minute before a channel is benched. A class with a count of its own is counted alone, and not for `allowed_fails`. A time that the upstream names (`retry-after`) is kept all the same.",
    required: &[],
    keys: &[
        RATE_LIMITED,
        OVERLOADED,
        SERVER_ERROR,
        UNREACHABLE,
        TIMEOUT,
        NONSENSE,
        key("broken", Kind::Count, "It began to answer and broke off."),
        key("not_found", Kind::Count, "The upstream doesn't know the model (404)."),
        key(
            "auth",
            Kind::Count,
            "The credential is refused (401): before the channel is out. Not for channels with several keys. Default 0.",
        ),
        key(
            "no_balance",
            Kind::Count,
            "The account has no balance: before the channel is out. Not for channels with several keys. Default 0.",
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
        key(
            "retries_by",
            Kind::Object(&RETRIES_BY),
            "Retries after failures of single classes. Default none.",
        ),
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
            "failure_min_percent",
            Kind::Count,
            "The share of the minute's attempts, 0 to 100, that those failures must pass, too. Default 10, or with `allowed_fails` 0.",
        ),
        key(
            "allowed_fails_by",
            Kind::Object(&ALLOWED_FAILS_BY),
            "The same for failures of single classes. Default none.",
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
            "tag_filter",
            Kind::Word(&["any", "all"]),
            "Whether a call goes to channels only that have one of its tags, or all of them; see [tags of calls](#tags-of-calls). Default: tags choose no channels.",
        ),
        key(
            "tag_prefix",
            Kind::Text,
            "What tags that are meant to choose may begin with, such as `route:`: it is taken off before they are compared.",
        ),
        key(
            "allow_mock_parameters",
            Kind::Boolean,
            "Whether callers may have answers and failures made up with `mock_response`, `mock_timeout` and `mock_testing_…`. Default false: such calls are refused.",
        ),
    ],
};
