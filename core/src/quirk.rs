//! Where a provider differs from the format that it says it speaks: data only. The catalogue declares it, the wire crate
//! applies it.

mod beside;
mod parameter;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::call::Format;
use crate::error::ErrorKind;
use crate::ids::own_name;

pub use beside::{Beside, BesideQuirk, ByItself};
pub use parameter::{Parameter, ParameterQuirk};

/// What is different at one provider. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Changes of requests, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<RequestQuirk>,
    /// Headers that it wants, name and value; the channel's own of the same name stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderQuirk>,
    /// What its errors mean, the first that fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorQuirk>,
    /// What its own words for the end of an answer mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finish: Vec<FinishQuirk>,
    /// How it counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageQuirk>,
    /// Models whose reasoning stands in the answer's text, between `<think>` and `</think>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub think_tags: Vec<ThinkQuirk>,
    /// How its models are told to think, or not to, in requests that are translated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thinking: Vec<ThinkingQuirk>,
    /// How much its models may think on top of the output ceiling, the first for a model and a format.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<BesideQuirk>,
    /// Where it searches the web by itself if it is asked to: elsewhere it isn't asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub searches: Vec<SearchQuirk>,
    /// What it takes in requests that are translated though not everybody does, the first that names it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterQuirk>,
}

impl Quirks {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.request.is_empty()
            && self.headers.is_empty()
            && self.thinking.is_empty()
            && self.beside.is_empty()
            && self.searches.is_empty()
            && self.parameters.is_empty()
            && !self.concern_answers()
    }

    /// Whether answers are read otherwise than their format says.
    pub fn concern_answers(&self) -> bool {
        !(self.errors.is_empty()
            && self.finish.is_empty()
            && self.usage.is_empty()
            && self.think_tags.is_empty())
    }

    /// Takes over what another set says, behind what is here.
    pub fn extend(&mut self, other: Quirks) {
        self.request.extend(other.request);
        self.headers.extend(other.headers);
        self.errors.extend(other.errors);
        self.finish.extend(other.finish);
        self.usage.extend(other.usage);
        self.think_tags.extend(other.think_tags);
        self.thinking.extend(other.thinking);
        self.beside.extend(other.beside);
        self.searches.extend(other.searches);
        self.parameters.extend(other.parameters);
    }

    /// The ids of all of them, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let request = self.request.iter().map(|it| &it.id);
        let headers = self.headers.iter().map(|it| &it.id);
        let errors = self.errors.iter().map(|it| &it.id);
        let finish = self.finish.iter().map(|it| &it.id);
        let usage = self.usage.iter().map(|it| &it.id);
        let think = self.think_tags.iter().map(|it| &it.id).chain(self.thinking.iter().map(|it| &it.id));
        let beside = self.beside.iter().map(|it| &it.id);
        let searches = self.searches.iter().map(|it| &it.id);
        let parameters = self.parameters.iter().map(|it| &it.id);
        let of_answers = errors.chain(finish).chain(usage).chain(think).chain(beside);
        request.chain(headers).chain(of_answers).chain(searches).chain(parameters).map(String::as_str)
    }

    /// The patterns for models, of all of them.
    fn patterns(&self) -> impl Iterator<Item = &String> {
        let request = self.request.iter().flat_map(|it| &it.models);
        let think = self.think_tags.iter().flat_map(|it| &it.models);
        let thinking = self.thinking.iter().flat_map(|it| &it.models);
        let beside = self.beside.iter().flat_map(|it| &it.models);
        let searches = self.searches.iter().flat_map(|it| &it.models);
        let parameters = self.parameters.iter().flat_map(|it| &it.models);
        request.chain(think).chain(thinking).chain(beside).chain(searches).chain(parameters)
    }

    /// What the provider's word for the end of an answer means, if it is one of its own.
    pub fn finish_of(&self, word: &str) -> Option<Finish> {
        self.finish.iter().find(|it| it.word == word).map(|it| it.means)
    }

    /// How a model's reasoning stands in its text, the first that names it.
    pub fn think_tags_of(&self, model: &str) -> ThinkTags {
        match self.think_tag(model) {
            Some(ThinkQuirk { opened: true, .. }) => ThinkTags::Opened,
            Some(ThinkQuirk { closing: true, .. }) => ThinkTags::Closing,
            Some(_) => ThinkTags::Tagged,
            None => ThinkTags::None,
        }
    }

    /// Whether a model is sent its reasoning back in its text.
    pub fn takes_think_tags(&self, model: &str) -> bool {
        self.think_tag(model).is_some_and(|it| !it.read_only)
    }

    fn think_tag(&self, model: &str) -> Option<&ThinkQuirk> {
        self.think_tags.iter().find(|it| is_of(&it.models, model))
    }

    /// The same for a channel that says itself how thoughts stand in texts.
    #[must_use]
    pub fn with_think_tags(mut self, setting: ThinkTags) -> Self {
        self.think_tags = ThinkQuirk::of_setting(setting).into_iter().collect();
        self
    }

    /// Whether a model searches the web by itself if a request in this format asks it to.
    pub fn searches(&self, format: Format, model: &str) -> bool {
        self.searches.iter().any(|it| it.formats.contains(&format) && is_of(&it.models, model))
    }

    /// How a model is told to think, or not to.
    pub fn thinking_of(&self, model: &str) -> Option<&ThinkingQuirk> {
        self.thinking.iter().find(|it| is_of(&it.models, model))
    }

    /// Whether a model wants its own thoughts back in a request of this format.
    pub fn wants_thoughts(&self, format: Format, model: &str) -> bool {
        let wants = |it: &RequestQuirk| {
            matches!(it.change, RequestChange::Reasoning { .. }) && it.concerns(format, model)
        };
        self.request.iter().any(wants)
    }

    /// The first rule that can't be as it is, and why: for those who write them.
    pub fn unfit(&self) -> Option<String> {
        let mut ids: Vec<&str> = self.ids().collect();
        ids.sort_unstable();
        let twice = ids.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first());
        if let Some(id) = twice {
            return Some(format!("the id `{id}` stands twice: give each quirk an id of its own"));
        }
        if let Some(pattern) =
            self.patterns().find(|it| it.trim_start_matches('!').trim_matches('*').contains('*'))
        {
            return Some(format!("`{pattern}`: a `*` stands at the beginning or the end"));
        }
        if ids.iter().any(|id| id.is_empty()) {
            return Some("a quirk has no id".to_owned());
        }
        if let Some(nowhere) = self.searches.iter().find(|it| it.formats.is_empty()) {
            return Some(format!("`{}`: it names no format", nowhere.id));
        }
        let beside = self.beside.iter().find_map(|it| it.unfit().map(|why| format!("`{}`: {why}", it.id)));
        let parameters =
            || self.parameters.iter().find_map(|it| it.unfit().map(|why| format!("`{}`: {why}", it.id)));
        let thinking =
            || self.thinking.iter().find_map(|it| it.unfit().map(|why| format!("`{}`: {why}", it.id)));
        let request =
            || self.request.iter().find_map(|it| it.unfit().map(|why| format!("`{}`: {why}", it.id)));
        beside.or_else(parameters).or_else(thinking).or_else(request)
    }
}

/// Whether a call was bounded by what stands there: that was reckoned before a provider's quirks are heeded.
fn is_bound(path: &str) -> bool {
    const BOUND: [&str; 9] = [
        "model",
        "stream",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "service_tier",
        "prediction",
        "modalities",
    ];
    BOUND.contains(&path.split('.').next().unwrap_or_default())
}

/// A change of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// Models that it concerns, by the upstream's names or the part behind their last slash, in lower case: a name, or one
    /// with `*` at either end. Those behind `!` are excepted. Empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Formats in which it is made.
    #[serde(default = "chat", skip_serializing_if = "is_chat")]
    pub formats: Vec<Format>,
    /// It is made only when these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<When>,
    /// Whether the caller is told that something was lost. Unset: what is dropped and clamped is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<bool>,
    /// What is done.
    pub change: RequestChange,
}

fn chat() -> Vec<Format> {
    vec![Format::OpenaiChat]
}

fn is_chat(formats: &[Format]) -> bool {
    formats == [Format::OpenaiChat]
}

impl RequestQuirk {
    /// Whether it is for requests to this model in this format.
    pub fn concerns(&self, format: Format, model: &str) -> bool {
        self.formats.contains(&format) && is_of(&self.models, model)
    }

    /// Whether the caller is told of it.
    pub fn is_told(&self) -> bool {
        let loses = matches!(
            self.change,
            RequestChange::Drop(_) | RequestChange::Clamp { .. } | RequestChange::Between { .. }
        );
        self.told.unwrap_or(loses)
    }

    fn unfit(&self) -> Option<String> {
        let fixed = is_bound;
        match &self.change {
            RequestChange::Rename { from, to } => {
                let both_ceilings = from.starts_with("max_") && to.starts_with("max_") && fixed(from);
                let flat = !from.contains('.') && !to.contains('.') && !from.is_empty() && !to.is_empty();
                (!flat || (fixed(from) || fixed(to)) && !both_ceilings)
                    .then(|| format!("`{from}` can't become `{to}`"))
            }
            RequestChange::Drop(paths) => {
                // Where its loss is told, a tier that isn't asked for is charged as none.
                let may = |path: &str| path == "service_tier" && self.is_told();
                let wrong = paths.iter().find(|path| path.is_empty() || fixed(path) && !may(path));
                match wrong {
                    Some(path) => Some(format!("`{path}` can't be dropped")),
                    None => paths.is_empty().then(|| "nothing is dropped".to_owned()),
                }
            }
            RequestChange::Clamp { field, min, max } => {
                let pair = min.as_ref().zip(max.as_ref()).map(|(min, max)| (min.as_f64(), max.as_f64()));
                let fits = min.is_some() || max.is_some();
                let ordered = pair.is_none_or(|(min, max)| min <= max);
                // Less than was reserved is no harm.
                let lowers = min.is_none() && field.starts_with("max_") && !field.contains('.');
                (!fits || !ordered || fixed(field) && !lowers)
                    .then(|| format!("`{field}` can't be clamped so"))
            }
            RequestChange::Default { field, .. } => {
                (field.contains('.') || fixed(field)).then(|| format!("`{field}` can't have a default"))
            }
            RequestChange::Map { field, from, .. } => {
                (from.is_empty() || fixed(field)).then(|| format!("`{field}` can't be mapped so"))
            }
            RequestChange::CallIds { length } => (!(8..=64).contains(length))
                .then(|| format!("ids of {length} characters can't be told apart, or are too long")),
            RequestChange::Between { text } => {
                text.trim().is_empty().then(|| "a turn without a text says nothing".to_owned())
            }
            RequestChange::Begun { field } => matches!(&**field, "" | "role" | "content" | "tool_calls")
                .then(|| format!("`{field}` is no mark")),
            RequestChange::Reasoning { .. } | RequestChange::StreamOnly => None,
        }
    }
}

/// What is done to a request. Paths are names joined by dots, with `*` for each element of a list:
/// `messages.*.role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestChange {
    /// A top-level field has another name there; if both were sent, the provider's own stays.
    Rename {
        /// The format's name.
        from: String,
        /// The provider's.
        to: String,
    },
    /// Fields aren't sent.
    Drop(Vec<String>),
    /// A number is brought into a range.
    Clamp {
        /// Where.
        field: String,
        /// Not less than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Number>,
        /// Not more than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Number>,
    },
    /// A top-level field is sent where the caller named none.
    Default {
        /// Which.
        field: String,
        /// With this value.
        value: Value,
    },
    /// Values have another name there.
    Map {
        /// Where.
        field: String,
        /// Any of these.
        from: Vec<Value>,
        /// Becomes this; unset: isn't sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Value>,
    },
    /// The assistant's turns carry their reasoning from the first that calls tools on: this text where the caller left it out.
    Reasoning {
        /// The text.
        text: String,
    },
    /// A stream is asked for whatever the caller asked for; the answer is put together for who wanted none.
    StreamOnly,
    /// Ids of calls have exactly so many letters and digits: others are hashed, the same in the call and in its result.
    CallIds {
        /// How many; at least 8, so that no two of a conversation's are one.
        length: usize,
    },
    /// Where a user's turn follows results of tools the assistant says this between them.
    Between {
        /// The text.
        text: String,
    },
    /// A last turn of the assistant's is marked by this field, set to true, as the beginning of its answer.
    Begun {
        /// Which.
        field: String,
    },
}

/// What must hold of the body for a change to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Of which value: names joined by dots.
    pub field: String,
    /// It is one of these; `null` stands for a field that isn't there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<Value>,
    /// It is none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<Value>,
}

/// A header that a provider wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// The header's, in lower case.
    pub name: String,
    /// What is sent.
    pub value: String,
}

/// What an error means. All that is named must fit; of a list one is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// HTTP statuses; 0 is an error inside an answer with status 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// Codes or types, in lower case; one that ends in `*` is a beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
    /// Parts of the message, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// What it means.
    pub class: FaultClass,
}

/// The class of an upstream's error: what the engine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The request itself is refused; another channel of the same model would refuse it too.
    BadRequest,
    /// The prompt doesn't fit the context window.
    ContextLength,
    /// The provider's content policy.
    ContentPolicy,
    /// The body is too large for the provider.
    TooLarge,
    /// The channel's credential isn't accepted. Permanent until an operator acts.
    Auth,
    /// The channel's account has no balance or has reached its cap. Permanent until an operator acts.
    Quota,
    /// Too many requests or tokens a minute.
    RateLimit,
    /// The provider is overloaded.
    Overloaded,
    /// The model or path doesn't exist there.
    NotFound,
    /// The provider gave up waiting.
    Timeout,
    /// Anything else on the provider's side, nonsense answers included.
    Server,
}

impl FaultClass {
    /// The class as a stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultClass::BadRequest => "bad_request",
            FaultClass::ContextLength => "context_length",
            FaultClass::ContentPolicy => "content_policy",
            FaultClass::TooLarge => "too_large",
            FaultClass::Auth => "auth",
            FaultClass::Quota => "quota",
            FaultClass::RateLimit => "rate_limit",
            FaultClass::Overloaded => "overloaded",
            FaultClass::NotFound => "not_found",
            FaultClass::Timeout => "timeout",
            FaultClass::Server => "server",
        }
    }

    /// How the error is reported to a caller, when no other attempt helps. The channel's own credential and balance
    /// are never shown as the caller's.
    pub const fn kind(self) -> ErrorKind {
        match self {
            FaultClass::BadRequest | FaultClass::ContentPolicy => ErrorKind::UpstreamRejected,
            FaultClass::ContextLength => ErrorKind::ContextTooLong,
            FaultClass::TooLarge => ErrorKind::PayloadTooLarge,
            FaultClass::Auth | FaultClass::Quota => ErrorKind::UpstreamAuth,
            FaultClass::RateLimit => ErrorKind::RateLimited,
            FaultClass::Overloaded => ErrorKind::UpstreamOverloaded,
            FaultClass::NotFound | FaultClass::Server => ErrorKind::UpstreamUnavailable,
            FaultClass::Timeout => ErrorKind::UpstreamTimeout,
        }
    }
}

/// A provider's own word for the end of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// The word.
    pub word: String,
    /// What it means.
    pub means: Finish,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It is complete.
    Stop,
    /// A ceiling was reached.
    Length,
    /// It calls tools.
    ToolCalls,
    /// The provider's content policy.
    ContentFilter,
    /// It isn't complete: the provider broke it off for want of its own resources.
    Failed,
}

/// How a provider counts otherwise than its format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// What is different.
    pub counts: UsageCounts,
}

/// A way to count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageCounts {
    /// Reasoning tokens come on top of the completion's.
    ReasoningBeside,
    /// The field of this name counts further input.
    MoreInput(String),
    /// What is read from a cache that the caller asked for (`cache_type`) costs so many hundredths of input, where other hits cost more.
    AskedCache(u8),
}

/// Models whose reasoning stands in their text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// Which; as at [`RequestQuirk::models`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Their templates may end with the opening tag: a whole answer that has only the closing one begins with what is thought.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closing: bool,
    /// Their templates do: so does a stream, up to the closing tag, should it ever come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opened: bool,
    /// They aren't sent their thoughts back so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

impl ThinkQuirk {
    /// What holds of all models of a channel whose setting says so; `None` where it says that tags are text.
    fn of_setting(setting: ThinkTags) -> Option<Self> {
        let opened = match setting {
            ThinkTags::None => return None,
            ThinkTags::Tagged | ThinkTags::Closing => false,
            ThinkTags::Opened => true,
        };
        let closing = setting == ThinkTags::Closing;
        Some(Self { id: "think_tags".to_owned(), closing, opened, ..Self::default() })
    }
}

/// How thoughts stand in the text of answers in OpenAI's chat format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkTags {
    /// They don't: tags are text like any other.
    None,
    /// Between `<think>` and `</think>`, in answers that begin so.
    Tagged,
    /// As `Tagged`, and whole answers that don't begin so are thoughts up to `</think>` where they have one. No channel says so: it is the
    /// catalogue's, of models whose templates may open the tag.
    #[serde(skip)]
    Closing,
    /// As `Tagged`, and answers that don't begin so are thoughts up to `</think>`: the model's template has opened the tag.
    Opened,
}

/// How models are told to think, or not to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkingQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// Which models; as at [`RequestQuirk::models`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Top-level fields by which they think. None: they do anyhow.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub on: Map<String, Value>,
    /// Those by which they don't. None: nothing keeps them from it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub off: Map<String, Value>,
    /// The field for how much, in tokens: top-level, or within one that stands in `on`, as `reasoning.max_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// The field for how much, in words, likewise; unset: `reasoning_effort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The words that they take there, the least first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub efforts: Vec<String>,
    /// They don't think at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never: bool,
    /// While they think, no call of a tool can be demanded: they don't where one is, and where nothing keeps them from it none is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unforced: bool,
}

impl ThinkingQuirk {
    fn unfit(&self) -> Option<String> {
        const EFFORTS: [&str; 6] = ["minimal", "low", "medium", "high", "xhigh", "max"];
        let mut fields = self.on.keys().chain(self.off.keys()).chain(&self.budget).chain(&self.effort);
        let is_nowhere = |field: &str| {
            let within = field.split_once('.').map(|(outer, _)| self.on.get(outer));
            within.is_some_and(|outer| !outer.is_some_and(Value::is_object))
        };
        if let Some(field) = fields.find(|field| field.is_empty() || is_bound(field) || is_nowhere(field)) {
            return Some(format!("`{field}` can't be set"));
        }
        let places = self.efforts.iter().map(|word| EFFORTS.iter().position(|known| known == word));
        let places: Option<Vec<usize>> = places.collect();
        let rises = places.is_some_and(|places| places.is_sorted());
        (!rises).then(|| "its efforts are no words that are known, from the least on".to_owned())
    }
}

/// Where a provider searches the web by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchQuirk {
    /// Its name within the provider's quirks.
    pub id: String,
    /// In which formats it takes that format's search: the tool, or the field of chat completions.
    pub formats: Vec<Format>,
    /// Which models; as at [`RequestQuirk::models`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Where that was read.
    pub source: String,
    /// When it was read, `yyyy-mm-dd`.
    pub checked: String,
}

/// Whether a model is among these patterns.
fn is_of(patterns: &[String], model: &str) -> bool {
    if patterns.is_empty() {
        return true;
    }
    let short = own_name(model);
    let fits = |pattern: &str| fits(pattern, model) || fits(pattern, short);
    let mut wanted = patterns.iter().filter(|pattern| !pattern.starts_with('!')).peekable();
    let included = wanted.peek().is_none() || wanted.any(|pattern| fits(pattern));
    included && !patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(fits)
}

/// Whether a name fits a pattern of small letters. Each attempt asks for it many times: nothing is copied.
fn fits(pattern: &str, name: &str) -> bool {
    let name = name.as_bytes();
    let is = |part: Option<&[u8]>, wanted: &str| {
        part.is_some_and(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => match rest.strip_suffix('*').unwrap_or(rest) {
            "" => true,
            part => name.windows(part.len()).any(|window| is(Some(window), part)),
        },
        (Some(end), None) => is(name.len().checked_sub(end.len()).and_then(|at| name.get(at..)), end),
        (None, Some(start)) => is(name.get(..start.len()), start),
        (None, None) => is(Some(name), pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_by_patterns() {
        let of = |patterns: &[&str], model: &str| {
            is_of(&patterns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), model)
        };
        for (patterns, model, want) in [
            (&[][..], "any", true),
            (&["grok-4*"], "grok-4-fast", true),
            (&["grok-4*"], "xai/Grok-4", true),
            (&["grok-4*", "!*non-reasoning*"], "grok-4-fast-non-reasoning", false),
            (&["!*-vl"], "qwen-vl", false),
            (&["!*-vl"], "qwen-max", true),
            (&["qwq*", "*-thinking"], "qwen3-max-thinking", true),
            (&["o1"], "o1-mini", false),
            (&["*-Free", "o1*"], "O1", true),
            (&["*x*"], "", false),
            (&["*longer-than-it"], "it", false),
            (&["longer*"], "long", false),
            (&["*"], "", true),
        ] {
            assert_eq!(of(patterns, model), want, "{patterns:?} {model}");
        }
    }

    #[test]
    fn rules_that_would_raise_a_bound_are_unfit() {
        let rule = |change: &str| {
            let text = format!(r#"{{"request":[{{"id":"a","change":{change}}}]}}"#);
            serde_json::from_str::<Quirks>(&text).unwrap()
        };
        for change in [
            r#"{"rename":{"from":"max_tokens","to":"max_completion_tokens"}}"#,
            r#"{"drop":["stop","messages.*.name"]}"#,
            r#"{"drop":["service_tier"]}"#,
            r#"{"clamp":{"field":"temperature","min":0.01,"max":1}}"#,
            r#"{"clamp":{"field":"max_completion_tokens","max":65536}}"#,
            r#"{"default":{"field":"enable_thinking","value":false}}"#,
            r#"{"map":{"field":"messages.*.role","from":["developer"],"to":"system"}}"#,
            r#"{"reasoning":{"text":" "}}"#,
            r#""stream_only""#,
            r#"{"drop":["a"]},"models":["*a*","!b*","c"]"#,
        ] {
            assert_eq!(rule(change).unfit(), None, "{change}");
        }
        for change in [
            r#"{"rename":{"from":"max_tokens","to":"n"}}"#,
            r#"{"rename":{"from":"a.b","to":"c"}}"#,
            r#"{"drop":["max_tokens"]}"#,
            r#"{"drop":["service_tier"]},"told":false"#,
            r#"{"default":{"field":"service_tier","value":"priority"}}"#,
            r#"{"drop":[]}"#,
            r#"{"clamp":{"field":"temperature"}}"#,
            r#"{"clamp":{"field":"max_tokens","min":16}}"#,
            r#"{"clamp":{"field":"n","max":1}}"#,
            r#"{"clamp":{"field":"temperature","min":2,"max":1}}"#,
            r#"{"default":{"field":"n","value":4}}"#,
            r#"{"map":{"field":"model","from":["a"],"to":"b"}}"#,
            r#"{"drop":["a"]},"models":["a*b"]"#,
        ] {
            assert!(rule(change).unfit().is_some(), "{change}");
        }
        for (thinking, fits) in [
            (r#""on":{"enable_thinking":true},"budget":"thinking_budget","efforts":["low","high"]"#, true),
            (r#""off":{"max_tokens":1}"#, false),
            (r#""budget":"n""#, false),
            (r#""on":{"reasoning":{}},"budget":"reasoning.max_tokens","effort":"reasoning.effort""#, true),
            (r#""budget":"reasoning.max_tokens""#, false),
            (r#""on":{"reasoning":true},"effort":"reasoning.effort""#, false),
            (r#""efforts":["high","low"]"#, false),
            (r#""efforts":["much"]"#, false),
        ] {
            let text = format!(r#"{{"thinking":[{{"id":"a",{thinking}}}]}}"#);
            let quirks: Quirks = serde_json::from_str(&text).unwrap();
            assert_eq!(quirks.unfit().is_none(), fits, "{thinking}");
        }
        let twice = r#"{"headers":[{"id":"a","name":"x","value":"y"}],"finish":[{"id":"a","word":"x","means":"stop"}]}"#;
        let twice: Quirks = serde_json::from_str(twice).unwrap();
        assert!(twice.unfit().unwrap().contains("`a`"));
    }
}
