//! Where calls go, and what that costs.

use super::{HEALTH_CHECK, Kind, Section, TIMEOUTS, key};

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
        key(
            "price_ratio",
            Kind::Decimal,
            "What its models cost relative to the price list and to `prices`, such as 0.8; a model's own `price` is taken as it is. Default 1.",
        ),
        key(
            "region",
            Kind::Text,
            "Where it processes calls, such as us or eu: the built-in price list knows what that adds at some providers. Default none.",
        ),
        key(
            "default_tier",
            Kind::Word(&["flex", "batch", "priority", "ultrafast"]),
            "The service tier that the upstream's account is set to for calls that ask for none: it is reserved for, whatever tier but auto a call asks for, since a word that the provider isn't known to take isn't sent. Default the standard one.",
        ),
        key("limits", Kind::Limits, "Limits towards the upstream."),
        key("tags", Kind::Texts, "Labels to route by."),
        key(
            "tag_patterns",
            Kind::Texts,
            "Regular expressions for `User-Agent: VALUE`: with `tag_filter` clients that match one are led here, too.",
        ),
        key(
            "headers",
            Kind::TextMap,
            "Headers sent with each request, besides authentication; in a value `{api_key}` stands for the credential and `{client_header:NAME}` for a header of the caller's, without which it isn't sent.",
        ),
        key("timeouts", Kind::Object(&TIMEOUTS), "Time limits of an attempt. Default: those of `routing`."),
        key("proxy", Kind::Text, "A proxy: http://…, https://… or socks5://…"),
        key("extra_ca_file", Kind::Text, "A PEM file with further certificate authorities."),
        key(
            "allowed_fails",
            Kind::Count,
            "Failures within a minute before it is benched. Default: that of `routing`.",
        ),
        key(
            "allowed_fails_by",
            Kind::Object(&super::routing::ALLOWED_FAILS_BY),
            "The same for single classes of failures. Default: those of `routing`.",
        ),
        key("cooldown", Kind::Duration, "How long it is benched. Default: that of `routing`."),
        key(
            "health_check",
            Kind::Switch(&HEALTH_CHECK),
            "Whether and how it is checked. Default: as `health_checks` has it.",
        ),
        key(
            "unknown_fields",
            Kind::Word(&["pass", "drop", "refuse"]),
            "What happens to top-level body fields that the format doesn't know: they are sent, left out and named in the loss report, or the call goes to another channel or is refused. Default pass.",
        ),
        key(
            "translation",
            Kind::Word(&["drop", "strict"]),
            "What becomes of a call of which the format or the provider can't say everything: it is sent without that, which the loss report has, or the call goes to another channel or is refused with the fields' names. Default: as `server` has it.",
        ),
        key(
            "client_overrides",
            Kind::Texts,
            "Body fields such as api_base that are sent on to it as they are, if a caller sends them; by default they are left out.",
        ),
        key(
            "web_search",
            Kind::Boolean,
            "Whether it searches the web by itself when a call in another format asks for that; where it doesn't, it isn't asked, and the loss report says so. Default: as the [catalogue](providers.md) knows of the provider.",
        ),
        key(
            "think_tags",
            Kind::Word(&["none", "tagged", "opened"]),
            "How thoughts stand in the text of its chat completions, where they don't come beside it: not at all; between <think> and </think>, in answers that begin so; or also up to a closing tag alone, because the models' template has opened it, which makes all of a streamed answer thoughts that never closes it. Told apart when an answer is translated. Default: as the [catalogue](providers.md) knows of the provider and its models.",
        ),
        key(
            "pass_through",
            Kind::Switch(&PASS_THROUGH),
            "Whether the provider's own operations are passed through at /providers/NAME/…, and which. Default false.",
        ),
        key(
            "body_edits",
            Kind::List(&BODY_EDIT),
            "What is changed in each body that is sent to it and in the headers beside it, in order; see [changes of the body](#changes-of-the-body).",
        ),
        key("enabled", Kind::Boolean, "Whether it serves at all. Default true."),
    ],
};

pub(crate) static PASS_THROUGH: Section = Section {
    name: "pass_through",
    about: "What is passed through. A key needs access to the model `providers/NAME`.",
    required: &[],
    keys: &[
        key(
            "url",
            Kind::Text,
            "Below which address. Default: what stands before /chat/completions or /v1/messages.",
        ),
        key("paths", Kind::Texts, "Below which paths of it, such as /files. Default all."),
        key("fee", Kind::Decimal, "What each call costs, in USD. Default: unknown; 0 is free."),
    ],
};

pub(crate) static BODY_EDIT: Section = Section {
    name: "body_edit",
    about: "One change of a body, or of the headers beside it.",
    required: &["mode"],
    keys: &[
        key(
            "path",
            Kind::Text,
            "Where: `temperature`, `messages.0.content`; -1 is the last element, `\\.` a dot in a name. A header's name.",
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
                "regex_replace",
                "prune_objects",
                "sync_fields",
                "return_error",
                "set_header",
                "delete_header",
                "copy_header",
                "move_header",
                "pass_headers",
            ]),
            "What is done there.",
        ),
        key(
            "value",
            Kind::Any,
            "What is set, put before or behind, or trimmed; which objects `prune_objects` takes out; what `return_error` says; which headers `pass_headers` passes.",
        ),
        key(
            "keep_origin",
            Kind::Boolean,
            "`set` and changes of headers only where nothing is there. Default false.",
        ),
        key(
            "from",
            Kind::Text,
            "Where `move` and `copy` take it from; the part that `replace` replaces, the pattern of `regex_replace`.",
        ),
        key(
            "to",
            Kind::Text,
            "Where `move` and `copy` put it; what `replace` and `regex_replace` put in its place, `$1` for what a group matched.",
        ),
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
            Kind::Word(&[
                "openai_chat",
                "openai_embeddings",
                "anthropic_messages",
                "openai_responses",
                "gemini_generate",
                "cohere_chat",
                "ollama_chat",
                "openai_completions",
                "openai_images",
                "openai_image_edits",
                "openai_image_variations",
                "openai_speech",
                "openai_transcriptions",
                "openai_translations",
                "openai_moderations",
                "rerank",
                "anthropic_count_tokens",
                "gemini_count_tokens",
                "openai_input_tokens",
                "openai_compact",
            ]),
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

/// The keys that every price has, between those that one has before and behind them.
macro_rules! price_keys {
    ([$($before:expr),* $(,)?] [$($behind:expr),* $(,)?]) => {
        &[
            $($before,)*
            key("input", Kind::Decimal, "Input, per million tokens."),
            key("output", Kind::Decimal, "Output, per million tokens."),
            key("cached_input", Kind::Decimal, "Input read from the prompt cache. Default: as input."),
            key("cache_write", Kind::Decimal, "Input written to the prompt cache. Default: as input."),
            key(
                "cache_write_1h",
                Kind::Decimal,
                "Input written to the cache for an hour. Default: as cache_write.",
            ),
            key("reasoning_output", Kind::Decimal, "Reasoning. Default: as output."),
            key("audio_input", Kind::Decimal, "Audio input. Default: as input."),
            key("audio_output", Kind::Decimal, "Audio output. Default: as output."),
            key("image_input", Kind::Decimal, "Tokens of images in the prompt. Default: as input."),
            key("image_output", Kind::Decimal, "Tokens of images in the answer. Default: as output."),
            key(
                "cached_audio_input",
                Kind::Decimal,
                "Audio read from the prompt cache. Default: as cached_input, and without that as audio_input.",
            ),
            key(
                "cached_image_input",
                Kind::Decimal,
                "Images read from the prompt cache. Default: as cached_input, and without that as image_input.",
            ),
            key(
                "per_unit",
                Kind::Decimal,
                "What isn't billed in tokens: for each image, character spoken, second heard or search, as the operation has it.",
            ),
            key(
                "per_image",
                Kind::List(&IMAGE_PRICE),
                "Images by size and quality, the first that fits; what a call leaves open is charged as the first of those that it may be, and reserved as the dearest. Sizes that aren't listed cost `per_unit`, and without that the dearest.",
            ),
            key("per_request", Kind::Decimal, "A fee for each request. Default 0."),
            key(
                "per_search",
                Kind::Decimal,
                "A fee for each search that the upstream makes of its own. Default 0.",
            ),
            key(
                "search_sizes",
                Kind::Object(&SEARCH_SIZES),
                "That fee by how much of what was found is read, where the answer says so. Default `per_search`.",
            ),
            key(
                "tiers",
                Kind::List(&TIER),
                "Prices for long prompts; the highest bound that is exceeded prices the whole request.",
            ),
            $($behind,)*
        ]
    };
}

pub(crate) static MODEL_PRICE: Section = Section {
    name: "model_price",
    about: "Prices per million tokens, and fees. What is left out is unknown, 0 is free.",
    required: &[],
    keys: price_keys!(
        [
            key("currency", Kind::Text, "The currency of all amounts; one of `currencies`. Default USD."),
        ]
        [
            key("service_tiers", Kind::List(&SERVICE_TIER), "Prices by the service tier that was served."),
            key(
                "windows",
                Kind::List(&PRICE_WINDOW),
                "Prices at times of the week; the first one whose time it is counts.",
            ),
            key(
                "changes",
                Kind::List(&PRICE_CHANGE),
                "What changes on a date, in order; each follows the one before it.",
            ),
        ]
    ),
};

pub(crate) static IMAGE_PRICE: Section = Section {
    name: "image_price",
    about: "What an image costs.",
    required: &["price"],
    keys: &[
        key("size", Kind::Text, "Of this size, such as 1024x1024. Default any."),
        key("quality", Kind::Text, "Of this quality, such as hd. Default any."),
        key("price", Kind::Decimal, "For each image."),
    ],
};

pub(crate) static SEARCH_SIZES: Section = Section {
    name: "search_sizes",
    about: "What a search costs by how much of what it finds is read (`search_context_size`).",
    required: &[],
    keys: &[
        key("low", Kind::Decimal, "For each."),
        key("medium", Kind::Decimal, "For each."),
        key("high", Kind::Decimal, "For each."),
    ],
};

pub(crate) static SERVICE_TIER: Section = Section {
    name: "service_tier_price",
    about: "What differs for calls that were served at a tier, whatever they asked for. What is left out stands to `input`, or to `output`, as it does in the price around it.",
    required: &["tier"],
    keys: price_keys!(
        [
            key("tier", Kind::Word(&["flex", "batch", "priority", "ultrafast"]), "The tier."),
            key("ratio", Kind::Decimal, "All that isn't written, times this, instead of `input` and `output`."),
        ]
        []
    ),
};

pub(crate) static PRICE_WINDOW: Section = Section {
    name: "price_window",
    about: "What differs at times of the week, by when a call is sent. What is left out stands to `input`, or to `output`, as it does in the price around it.",
    required: &["hours_utc"],
    keys: price_keys!(
        [
            key(
                "hours_utc",
                Kind::Texts,
                "Times of the day in UTC, such as [\"22:00-06:00\"]. What wraps midnight belongs to the day on which it begins; 00:00-00:00 is the whole day.",
            ),
            key(
                "weekdays",
                Kind::Texts,
                "Days of the week: mon, tue, wed, thu, fri, sat, sun. Default every day.",
            ),
            key("ratio", Kind::Decimal, "All that isn't written, times this, instead of `input` and `output`."),
        ]
        [
            key("service_tiers", Kind::List(&SERVICE_TIER), "Prices by the service tier that was served."),
        ]
    ),
};

pub(crate) static PRICE_CHANGE: Section = Section {
    name: "price_change",
    about: "What differs from a date on. What is left out stands to `input`, or to `output`, as it did before.",
    required: &["from"],
    keys: price_keys!(
        [
            key(
                "from",
                Kind::Text,
                "A day such as 2027-01-01, which begins in UTC, or an instant such as 2027-01-01T00:00:00+08:00.",
            ),
            key("ratio", Kind::Decimal, "All that isn't written, times this, instead of `input` and `output`."),
        ]
        [
            key("service_tiers", Kind::List(&SERVICE_TIER), "Prices by the service tier that was served."),
            key(
                "windows",
                Kind::List(&PRICE_WINDOW),
                "Prices at times of the week; the first one whose time it is counts.",
            ),
        ]
    ),
};

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
        key(
            "price_ratio",
            Kind::Decimal,
            "What it costs relative to that, or to the built-in price list. Default 1.",
        ),
    ],
};
