//! The facts of a call that decisions need. Never its body.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::channel::{ChannelModel, RegionRatio};
use crate::count::{CacheWrites, Media};
use crate::ids::{CallId, ChannelId, ModelName, own_name};
use crate::price::{Price, ServiceTier, Variant};

/// A wire format: what an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// OpenAI chat completions.
    OpenaiChat,
    /// OpenAI embeddings.
    OpenaiEmbeddings,
    /// Anthropic messages.
    AnthropicMessages,
    /// Gemini's `generateContent`. Model and streaming stand in its address, not in its body.
    GeminiGenerate,
    /// OpenAI responses.
    OpenaiResponses,
    /// OpenAI's legacy completions.
    OpenaiCompletions,
    /// OpenAI image generation.
    OpenaiImages,
    /// OpenAI image edits.
    OpenaiImageEdits,
    /// OpenAI image variations.
    OpenaiImageVariations,
    /// OpenAI text to speech.
    OpenaiSpeech,
    /// OpenAI speech to text.
    OpenaiTranscriptions,
    /// OpenAI speech to English text.
    OpenaiTranslations,
    /// OpenAI moderations.
    OpenaiModerations,
    /// Reranking, in the shape that Cohere and Jina share.
    Rerank,
    /// Anthropic's count of a message's tokens.
    AnthropicCountTokens,
    /// A provider's own operations, passed through as they are.
    PassThrough,
    /// Cohere's chat, version 2. Upstreams speak it, callers don't.
    CohereChat,
    /// Ollama's own chat, whose streams are lines of JSON. Upstreams speak it, callers don't.
    OllamaChat,
    /// Gemini's count of a request's tokens. The model stands in its address.
    GeminiCountTokens,
    /// OpenAI's count of the input tokens that a response would have.
    OpenaiInputTokens,
    /// OpenAI's shorter conversation in place of a long one.
    OpenaiCompact,
}

/// What stands before a channel's or provider's name in the name of the model that calls passed through to it are for.
pub const PASS_THROUGH_PREFIX: &str = "providers/";
/// Such a model's name at the upstream, which isn't sent there.
pub const PASS_THROUGH: &str = "(pass-through)";

/// What a format's usage is counted in besides tokens: what [`Price::per_unit`](crate::Price::per_unit) is the price of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An image that is made.
    Image,
    /// A character that is spoken.
    Character,
    /// A second that is heard, rounded up for each call.
    Second,
    /// A search of at most 100 documents.
    Search,
}

impl Format {
    /// The format as a word, such as `openai_chat`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::OpenaiChat => "openai_chat",
            Format::OpenaiEmbeddings => "openai_embeddings",
            Format::AnthropicMessages => "anthropic_messages",
            Format::GeminiGenerate => "gemini_generate",
            Format::OpenaiResponses => "openai_responses",
            Format::OpenaiCompletions => "openai_completions",
            Format::OpenaiImages => "openai_images",
            Format::OpenaiImageEdits => "openai_image_edits",
            Format::OpenaiImageVariations => "openai_image_variations",
            Format::OpenaiSpeech => "openai_speech",
            Format::OpenaiTranscriptions => "openai_transcriptions",
            Format::OpenaiTranslations => "openai_translations",
            Format::OpenaiModerations => "openai_moderations",
            Format::Rerank => "rerank",
            Format::AnthropicCountTokens => "anthropic_count_tokens",
            Format::PassThrough => "pass_through",
            Format::CohereChat => "cohere_chat",
            Format::OllamaChat => "ollama_chat",
            Format::GeminiCountTokens => "gemini_count_tokens",
            Format::OpenaiInputTokens => "openai_input_tokens",
            Format::OpenaiCompact => "openai_compact",
        }
    }

    /// The formats of single operations, which only an endpoint of the same format serves, byte by byte. Completions are served by chat,
    /// too.
    pub const SINGLE: [Format; 14] = [
        Format::OpenaiCompletions,
        Format::OpenaiImages,
        Format::OpenaiImageEdits,
        Format::OpenaiImageVariations,
        Format::OpenaiSpeech,
        Format::OpenaiTranscriptions,
        Format::OpenaiTranslations,
        Format::OpenaiModerations,
        Format::Rerank,
        Format::AnthropicCountTokens,
        Format::GeminiCountTokens,
        Format::OpenaiInputTokens,
        Format::OpenaiCompact,
        Format::PassThrough,
    ];

    /// Whether it is one of [`Format::SINGLE`].
    pub const fn is_single(self) -> bool {
        let mut rest: &[Format] = &Self::SINGLE;
        while let [first, others @ ..] = rest {
            if *first as u8 == self as u8 {
                return true;
            }
            rest = others;
        }
        false
    }

    /// Whether it asks how many tokens a call of chat would have: nobody is charged for being told.
    pub const fn counts_tokens(self) -> bool {
        matches!(self, Format::AnthropicCountTokens | Format::GeminiCountTokens | Format::OpenaiInputTokens)
    }

    /// Whether the model writes until it is done: no ceiling can be sent, and its longest answer bounds what it writes.
    pub const fn writes_at_will(self) -> bool {
        matches!(self, Format::OpenaiCompact)
    }

    /// Whether it is asked in the words of OpenAI's responses, whatever is made of them.
    pub const fn is_of_responses(self) -> bool {
        matches!(self, Format::OpenaiResponses | Format::OpenaiInputTokens | Format::OpenaiCompact)
    }

    /// Whether it is one of chat: they are translated into each other.
    pub const fn is_chat(self) -> bool {
        matches!(
            self,
            Format::OpenaiChat
                | Format::AnthropicMessages
                | Format::GeminiGenerate
                | Format::OpenaiResponses
                | Format::CohereChat
                | Format::OllamaChat
        )
    }

    /// Whether callers speak it whose calls endpoints of chat serve, whatever their format.
    pub const fn is_translated(self) -> bool {
        self.is_chat() && !self.is_upstream_only() || matches!(self, Format::OpenaiCompletions)
    }

    /// Whether only upstreams speak it.
    pub const fn is_upstream_only(self) -> bool {
        matches!(self, Format::CohereChat | Format::OllamaChat)
    }

    /// Whether its streams are lines of JSON, and not server-sent events.
    pub const fn streams_lines(self) -> bool {
        matches!(self, Format::OllamaChat)
    }

    /// Whether a ceiling in tokens bounds its output. Others have none, or as much as follows from what they are asked.
    pub const fn has_ceiling(self) -> bool {
        !matches!(self, Format::OpenaiEmbeddings)
            && (!self.is_single() || matches!(self, Format::OpenaiCompletions))
    }

    /// Whether the body that a caller sends is a form with files, `multipart/form-data`.
    pub const fn is_form(self) -> bool {
        matches!(
            self,
            Format::OpenaiImageEdits
                | Format::OpenaiImageVariations
                | Format::OpenaiTranscriptions
                | Format::OpenaiTranslations
        )
    }

    /// What it is counted in besides tokens, if anything.
    pub const fn unit(self) -> Option<Unit> {
        match self {
            Format::OpenaiImages | Format::OpenaiImageEdits | Format::OpenaiImageVariations => {
                Some(Unit::Image)
            }
            Format::OpenaiSpeech => Some(Unit::Character),
            Format::OpenaiTranscriptions | Format::OpenaiTranslations => Some(Unit::Second),
            Format::Rerank => Some(Unit::Search),
            _ => None,
        }
    }

    /// Whether a call in this format can be served by an endpoint that speaks `other`: the same, or translatable. Whoever
    /// serves chat lets its tokens be counted, if only by us.
    pub const fn reaches(self, other: Format) -> bool {
        if self.is_single() || other.is_single() {
            let by_chat = self.counts_tokens() || self.is_translated();
            return self as u8 == other as u8 || by_chat && other.is_chat();
        }
        matches!((self, other), (Format::OpenaiEmbeddings, Format::OpenaiEmbeddings))
            || self.is_translated() && other.is_chat()
    }
}

/// Input tokens that a translation may add to a call, by what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Translated {
    /// Words for what the target has no field for.
    pub words: u64,
    /// Schemas that an answer and strict tools are held to: Anthropic's objects are closed.
    pub closed: u64,
    /// All schemas: older models of Google's take no references.
    pub written_out: u64,
}

impl Translated {
    /// One more schema, which may grow by so many bytes.
    pub fn add(&mut self, bytes: u64, is_held_to: bool) {
        self.written_out = self.written_out.saturating_add(bytes);
        if is_held_to {
            self.closed = self.closed.saturating_add(bytes);
        }
    }

    /// What it may be where a model, by the upstream's name, is called in the format `target`.
    pub fn at(self, target: Format, model: &str) -> u64 {
        let schemas = match target {
            Format::AnthropicMessages => self.closed,
            Format::GeminiGenerate if is_older_gemini(model) => self.written_out,
            _ => 0,
        };
        self.words.saturating_add(schemas)
    }

    /// Anywhere.
    pub fn most(self) -> u64 {
        self.words.saturating_add(self.closed.max(self.written_out))
    }

    /// Whether nothing is added.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a model of Google's is from before Gemini 2.5: without thinking, and with schemas in a part of OpenAPI's only.
pub fn is_older_gemini(model: &str) -> bool {
    let name = own_name(model);
    let Some(rest) = name.strip_prefix("gemini-") else { return name.starts_with("gemma-") };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let version = rest.get(..end).unwrap_or_default();
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    matches!((major.parse(), minor.parse().unwrap_or(0)), (Ok(0u32 | 1), _) | (Ok(2), 0..=4u32))
}

/// What a call asks for, as far as deciding needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Our id for it.
    pub id: CallId,
    /// The format it came in.
    pub format: Format,
    /// The model as requested.
    pub model: ModelName,
    /// Whether the answer is to be streamed.
    #[serde(default)]
    pub stream: bool,
    /// No more input tokens than this can be billed: decoded text bytes plus template overhead. `None` when something
    /// in the call can't be bounded from its body (a stored conversation, a file id): the context window counts then.
    #[serde(default)]
    pub input_bound: Option<u64>,
    /// Input tokens that may come on top where the call is put in another format's words.
    #[serde(default, skip_serializing_if = "Translated::is_none")]
    pub extra_translated: Translated,
    /// The media among it: `input_bound` counts them by the worst formula, and a model's own may be less.
    #[serde(default)]
    pub media: Media,
    /// Whether it asks for the prompt cache to be written.
    #[serde(default)]
    pub cache_writes: CacheWrites,
    /// A plausible count of input tokens, for limits that correct themselves.
    #[serde(default)]
    pub input_estimate: u64,
    /// The output ceiling that the caller named, in tokens for each choice.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// Output tokens of each choice that may be billed beyond the ceiling: those of a predicted output that isn't accepted.
    /// Of a format without a ceiling: all of them.
    #[serde(default)]
    pub extra_output: u64,
    /// What may be billed besides tokens, in the format's [unit](Format::unit), at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub units: u64,
    /// How many choices are asked for; at least 1.
    #[serde(default = "one")]
    pub choices: u32,
    /// How many are generated where it is sent in another format, at least 1, if not so many: `best_of`, which generates more than are
    /// given, isn't said there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translated_choices: Option<u32>,
    /// The least output that makes sense: a thinking budget plus 1,024, or 0 for the default.
    #[serde(default)]
    pub min_output: u64,
    /// What it says of thinking.
    #[serde(default, skip_serializing_if = "Thinking::is_unsaid")]
    pub thinking: Thinking,
    /// What the call needs of a model.
    #[serde(default)]
    pub needs: Needs,
    /// The service tier that it asks for; `None` leaves that to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// What it asks for of the images that it is billed for; `None` leaves that to the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<Variant>>,
    /// What a call that is passed through is charged by, where its body names a model that has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Box<Billed>>,
    /// The end customer that the caller named.
    #[serde(default)]
    pub customer: Option<String>,
    /// A [stable hash](crate::hash::stable) of the conversation that it belongs to, where the call tells: of the cache key
    /// that the caller gives, or of the conversation's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<u64>,
    /// Whether the conversation holds, or is about to get, signatures that only their issuer accepts: it stays at its channel,
    /// whatever the strategy is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
    /// Whether it asks for what can cost more than is known beforehand (a tool that the provider runs, say): no channel takes it whose own
    /// spend is strictly limited. What the caller's limits say to that is for whoever reads the body, who can name the field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_ended: bool,
    /// Tags that the caller set.
    #[serde(default)]
    pub tags: SmallVec<[String; 2]>,
    /// Where the caller connects from.
    #[serde(default)]
    pub client_ip: Option<IpAddr>,
    /// Models that the caller names to fall back to, in order: instead of the configured ones, for whatever reason the requested
    /// model fails. An empty list: no fallback at all. Each is checked like a requested one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<ModelName>>,
    /// How the requested model is to fail without being asked, to try the fallbacks out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearse: Option<Rehearsal>,
    /// Whether its answer is made up by the host: no upstream is asked, and no channel's health learns from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mock: bool,
}

/// What a call says of thinking: of most providers the ceiling covers that, of some it doesn't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thinking {
    /// Whether to, by what its format has for it: `thinking`, an effort, `thinkingConfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<bool>,
    /// Whether to, by `enable_thinking` in chat completions, which Qwen and others of its kind read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<bool>,
    /// The most tokens that it grants: by `thinking_budget` in chat completions; else what a translation to them makes of a
    /// budget or an effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
}

impl Thinking {
    /// Whether it says nothing.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }
}

/// What a call is charged by whose channel only says what calls to it cost that name no model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Billed {
    /// The model, as the upstream knows it.
    pub model: ModelName,
    /// Its price, with the fee for calls that are passed through.
    pub price: Price,
    /// What it costs, relative to that, where calls are processed in a region; as at [`ChannelModel::regions`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionRatio>,
    /// The channels that have another price for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<BilledAt>,
}

/// What a call that is passed through is charged by at one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BilledAt {
    /// The channel.
    pub channel: ChannelId,
    /// Its price, as at [`Billed::price`].
    pub price: Price,
    /// As at [`Billed::regions`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionRatio>,
}

impl Billed {
    /// Its price at a channel, and what it costs relative to that by region.
    pub fn at(&self, channel: &ChannelId) -> (&Price, &[RegionRatio]) {
        match self.elsewhere.iter().find(|it| it.channel == *channel) {
            Some(own) => (&own.price, &own.regions),
            None => (&self.price, &self.regions),
        }
    }
}

/// A failure of the requested model that a caller stages to see what its fallbacks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rehearsal {
    /// As if every channel had failed.
    Failure,
    /// As if the prompt didn't fit the context window.
    ContextWindow,
    /// As if the upstream's content policy had refused the prompt.
    ContentPolicy,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn one() -> u32 {
    1
}

/// What a call needs of a model. A candidate that is known to lack one of them is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// It declares tools.
    pub tools: bool,
    /// It carries images.
    pub images: bool,
    /// It carries audio.
    pub audio: bool,
    /// It wants structured output.
    pub json_schema: bool,
    /// It names stop sequences.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stops: bool,
}

impl Needs {
    /// What is in both, or in either: a fold over each of them.
    fn with(self, other: Needs, of: fn(bool, bool) -> bool) -> Needs {
        Needs {
            tools: of(self.tools, other.tools),
            images: of(self.images, other.images),
            audio: of(self.audio, other.audio),
            json_schema: of(self.json_schema, other.json_schema),
            stops: of(self.stops, other.stops),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        self.with(other, |a, b| a && b)
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Needs) -> Needs {
        self.with(other, |a, b| a || b)
    }

    /// Whether there is anything.
    pub fn any(self) -> bool {
        self.words().next().is_some()
    }

    /// Each in words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.tools, "tools"),
            (self.images, "images"),
            (self.audio, "audio"),
            (self.json_schema, "JSON schemas for its answer"),
            (self.stops, "stop sequences"),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, word)| word)
    }
}

impl Call {
    /// A plain call: one choice, nothing named.
    pub fn new(id: impl Into<CallId>, format: Format, model: impl Into<ModelName>) -> Self {
        Self {
            id: id.into(),
            format,
            model: model.into(),
            stream: false,
            input_bound: Some(0),
            extra_translated: Translated::default(),
            media: Media::default(),
            cache_writes: CacheWrites::default(),
            input_estimate: 0,
            max_output: None,
            extra_output: 0,
            units: 0,
            choices: 1,
            translated_choices: None,
            min_output: 0,
            thinking: Thinking::default(),
            needs: Needs::default(),
            service_tier: None,
            variant: None,
            billed: None,
            customer: None,
            conversation: None,
            bound: false,
            open_ended: false,
            tags: SmallVec::new(),
            client_ip: None,
            fallbacks: None,
            rehearse: None,
            mock: false,
        }
    }

    /// How many choices are generated where it is sent in this format; at least 1.
    pub fn choices_in(&self, format: Format) -> u64 {
        let fewer = self.translated_choices.filter(|_| format != self.format);
        u64::from(fewer.unwrap_or(self.choices).max(1))
    }

    /// What the call costs at a model of `channel`.
    pub fn price<'a>(&'a self, channel: &ChannelId, model: &'a ChannelModel) -> &'a Price {
        self.billed.as_deref().map_or(&model.price, |billed| billed.at(channel).0)
    }
}
