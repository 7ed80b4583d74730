//! What a scan finds out about a request.

use memchr::memmem;
use sluicegate_core::concern::Concern;
use sluicegate_core::count::{CacheWrites, Counting, Media};
use sluicegate_core::price::Variant;
use sluicegate_core::{
    Call, CallId, Format, ModelName, Needs, Rehearsal, ServiceTier, Thinking, Translated, Usage,
};
use smallvec::SmallVec;

use crate::reference;

/// What an image plausibly costs.
const IMAGE_TOKENS_TYPICAL: u64 = 1_000;
/// What the chat template adds around everything, and around each message.
const CALL_OVERHEAD: u64 = 32;
const MESSAGE_OVERHEAD: u64 = 8;
/// What declaring tools adds at most (Anthropic's tool system prompt reaches 804 tokens), and each tool.
const TOOLS_OVERHEAD: u64 = 1_024;
const TOOL_OVERHEAD: u64 = 16;
/// A tool whose schema the provider holds, such as `bash_20250124` (at most 735 tokens are documented).
const BUILTIN_TOOL_OVERHEAD: u64 = 1_024;

/// What a translation says beside what the caller said: that JSON is wanted, what a tool takes, and to go on with an answer that is begun.
pub(crate) const TRANSLATED_OVERHEAD: u64 = 256;
/// The same where a call says nothing of how to answer, and has no tools.
pub(crate) const TRANSLATED_OVERHEAD_PLAIN: u64 = 128;
/// What it says of each tool besides: that it takes an object, and its name again where a target wants a description. The same of
/// one that takes a text: what it takes that in, and that there is a grammar.
pub(crate) const TRANSLATED_TOOL: u64 = 128;
pub(crate) const TRANSLATED_TEXT_TOOL: u64 = 128;
/// What the tool adds that is given the answer where a model of Anthropic's can't be held to its schema: its name, what it is for, and the
/// system prompt of tools (346 tokens for the models that are so asked), in a call that has none.
pub(crate) const FORM_TOOL_OVERHEAD: u64 = 512;
/// How a letter of ASCII looks that is written as an escape.
pub(crate) const ESCAPED: &str = "\\u00";
/// So much a schema may grow when it is put in another format's words: as often as it is long with its references written out, and by
/// so many bytes.
const REWRITTEN_MORE: usize = 2;
const REWRITTEN_LEAST: usize = 128;
/// As often as it is long, and by so many bytes, may references make it longer, but by no more than that.
// BOUND: they may multiply what a schema says, and a body may have many.
const WRITTEN_OUT: usize = 4;
const WRITTEN_OUT_LEAST: usize = 8 << 10;
const WRITTEN_OUT_MAX: usize = 128 << 10;

/// So long may a schema, without white space between its words, become when it is put in another format's words.
// BOUND: of references that are written out, and objects that are closed. What is reserved counts with it.
pub(crate) fn rewritten(schema: &str) -> usize {
    let bytes = schema.len();
    let more = bytes.saturating_mul(WRITTEN_OUT).saturating_add(WRITTEN_OUT_LEAST).min(WRITTEN_OUT_MAX);
    let most = bytes.saturating_add(more);
    let refers =
        ["\"$ref\"", ESCAPED].iter().any(|mark| memmem::find(schema.as_bytes(), mark.as_bytes()).is_some());
    let whole =
        if refers { reference::written_out(schema).map_or(most, |bytes| bytes.min(most)) } else { bytes };
    whole.saturating_mul(REWRITTEN_MORE).saturating_add(REWRITTEN_LEAST).saturating_add(bytes)
}

/// What a caller wants made up instead of asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mock {
    /// The first of the fields that say so.
    pub field: &'static str,
    /// The answer's text, or the name of an error such as `litellm.RateLimitError`.
    pub response: Option<String>,
    /// No answer comes in time.
    pub timeout: bool,
    /// How the requested model fails.
    pub rehearse: Option<Rehearsal>,
    /// A field of the kind that this version doesn't act on.
    pub unsupported: Option<&'static str>,
}

/// The facts of one request, read in one pass over its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The model as requested, unescaped.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk of a stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The output ceiling that the caller named, in tokens for each choice. The larger one if two fields name it.
    pub max_output: Option<u64>,
    /// How many choices are generated: the larger of `n` and `best_of`, at least 1.
    pub choices: u32,
    /// How many choices are asked for by `n`, at least 1: in another format that alone can be said.
    pub n: u32,
    /// The thinking budget, in tokens.
    pub thinking_budget: Option<u64>,
    /// What it says of thinking.
    pub thinking: Thinking,
    /// Output tokens that may be billed beyond the ceiling: those of a `prediction` that is not accepted.
    pub extra_output_bound: u64,
    /// What may be billed besides tokens, in the format's [unit](Format::unit), at most.
    pub units: u64,
    /// The size of the images that are asked for.
    pub size: Option<String>,
    /// Their quality.
    pub quality: Option<String>,
    /// What an answer that reports nothing is taken to have used, besides its input and what is counted of it.
    pub expected: Usage,
    /// What is needed of a model.
    pub needs: Needs,
    /// The end customer: `user`, `safety_identifier` or `metadata.user_id`.
    pub customer: Option<String>,
    /// A hash of the cache key that the caller gave (`prompt_cache_key`).
    pub cache_key: Option<u64>,
    /// The earlier response that it goes on from (`previous_response_id`).
    pub previous_response: Option<String>,
    /// Whether its answer is to be kept (`store`), if it says so.
    pub store: Option<bool>,
    /// A hash of the messages up to the first of the user's.
    pub opening: Option<u64>,
    /// Whether its history carries signatures that only their issuer accepts, or its answer will: Anthropic's `thinking` blocks
    /// with a `signature`, `redacted_thinking`, LiteLLM's `thinking_blocks`, reasoning with `encrypted_content`, or thinking that a
    /// call asks for so that it will be signed or encrypted.
    pub bound: bool,
    /// Tags: `metadata.tags` or `tags`.
    pub tags: SmallVec<[String; 2]>,
    /// Guardrails that the caller asks for (`guardrails` or `metadata.guardrails`, as LiteLLM's clients send them).
    pub guardrails: Vec<String>,
    /// Whether `metadata` has members that only we read.
    pub(crate) ours_in_metadata: bool,
    /// Models that the caller names as fallbacks (`fallbacks`, as LiteLLM's clients send it).
    pub fallbacks: Vec<String>,
    /// Whether it wants none at all, not even the configured ones (`disable_fallbacks`).
    pub no_fallbacks: bool,
    /// What it said beside a fallback's model or a guardrail's name, which isn't heeded, such as `fallbacks[0].messages`.
    pub ignored: Vec<String>,
    /// What it wants made up (`mock_…`, as LiteLLM's clients send it). For the host to allow.
    pub mock: Option<Box<Mock>>,
    /// The service tier asked for.
    pub service_tier: Option<String>,
    /// Types of the hosted tools declared, such as `web_search_20250305`.
    pub hosted_tools: SmallVec<[String; 1]>,
    /// Fields that cost or route, by name.
    pub concerns: SmallVec<[(&'static str, Concern); 2]>,
    /// Bytes of text and JSON that the model may read: everything but white space, media and escape overhead.
    pub text_bytes: u64,
    /// How many of them aren't ASCII.
    pub(crate) wide_bytes: u64,
    /// What a translation may add.
    pub translated: Translated,
    /// Messages, or inputs of an embedding.
    pub messages: u32,
    /// Tools declared, hosted ones included.
    pub tools: u32,
    /// Images, inline or by address.
    pub images: u32,
    /// Bytes of inline audio, decoded.
    pub audio_bytes: u64,
    /// Both, in the units of every formula.
    pub media: Media,
    /// Whether the prompt cache may be written where that is done on request only.
    pub cache_writes: CacheWrites,
    pub(crate) builtin_tools: u32,
    /// Of a ranking: the bytes of its query, and how many of them are read again with each document.
    pub(crate) query_bytes: u64,
    pub(crate) repeated_bytes: u64,
    /// Tokens of a conversation that goes on which aren't in the body.
    pub(crate) unseen: u64,
    /// What keeps the input from being bounded by the body, if anything: the name of the field or part.
    pub unbounded: Option<String>,
}

impl Facts {
    /// No more input tokens than this can be billed; `None` when only the context window bounds them.
    pub fn input_bound(&self) -> Option<u64> {
        if self.unbounded.is_some() {
            return None;
        }
        let sum = [
            (self.unseen, 1),
            (u64::from(self.messages), MESSAGE_OVERHEAD),
            (u64::from(self.tools.min(1)), TOOLS_OVERHEAD),
            (u64::from(self.tools), TOOL_OVERHEAD),
            (u64::from(self.builtin_tools), BUILTIN_TOOL_OVERHEAD),
        ]
        .iter()
        .fold(
            CALL_OVERHEAD.saturating_add(self.text_bytes).saturating_add(self.repeated_bytes),
            |sum, (n, each)| sum.saturating_add(n.saturating_mul(*each)),
        );
        Some(sum.saturating_add(self.media.tokens(Counting::Anybody)))
    }

    /// A plausible count of input tokens: four ASCII bytes or three others make one.
    pub fn input_estimate(&self) -> u64 {
        let ascii = self.text_bytes.saturating_sub(self.wide_bytes);
        (ascii / 4)
            .saturating_add(self.wide_bytes.min(self.text_bytes) / 3)
            .saturating_add(u64::from(self.images) * IMAGE_TOKENS_TYPICAL)
            .saturating_add(self.audio_bytes / 200)
            .saturating_add(u64::from(self.messages) * 4)
            .max(1)
    }

    /// Whether a field of that concern is present.
    pub fn has(&self, concern: Concern) -> bool {
        self.fields(concern).next().is_some()
    }

    /// The names of the fields of that concern.
    pub fn fields(&self, concern: Concern) -> impl Iterator<Item = &'static str> + '_ {
        self.concerns.iter().filter(move |(_, c)| *c == concern).map(|(name, _)| *name)
    }

    /// What costs more than the bound can know in a call of that format, if there is such a field or tool. Who compacts a conversation
    /// calls no tools, and nobody is charged for what is only counted.
    pub fn open_ended(&self, format: Format) -> Option<&str> {
        if format.counts_tokens() {
            return None;
        }
        let hosted = || {
            let tool = self.hosted_tools.first().map(String::as_str);
            tool.or_else(|| self.fields(Concern::Hosted).next())
        };
        let hosted = if format.writes_at_will() { None } else { hosted() };
        hosted.or_else(|| self.fields(Concern::Cost).next())
    }

    /// The facts as the engine wants them. The client's address is for the host to add.
    pub fn call(&self, id: CallId, format: Format) -> Call {
        let (model, others) = self.models();
        let mut call = Call::new(id, format, model);
        call.fallbacks = self.fallbacks_with(others);
        call.stream = self.stream;
        call.input_bound = self.input_bound();
        call.extra_translated = if format.is_translated() { self.translated } else { Translated::default() };
        call.media = self.media;
        call.cache_writes = self.cache_writes;
        call.input_estimate = self.input_estimate();
        call.max_output = self.max_output;
        call.extra_output = self.extra_output_bound;
        call.units = self.units;
        call.choices = self.choices.max(1);
        call.translated_choices = Some(self.n.max(1)).filter(|n| *n < call.choices);
        call.min_output = self.thinking_budget.map_or(0, |budget| budget.saturating_add(1_024));
        call.thinking = self.thinking;
        call.needs = self.needs;
        call.service_tier = self.service_tier.as_deref().and_then(ServiceTier::of_word);
        call.customer.clone_from(&self.customer);
        call.variant = Variant::of(self.size.as_deref(), self.quality.as_deref()).map(Box::new);
        // A named customer is the engine's to tell apart.
        call.conversation = self.cache_key.or(self.opening.filter(|_| self.customer.is_none()));
        call.bound = self.bound;
        call.open_ended = self.open_ended(format).is_some();
        call.tags.clone_from(&self.tags);
        call
    }

    /// The model asked for, and those that stand behind it in a list such as `a,b`: they are tried in order.
    pub fn models(&self) -> (&str, impl Iterator<Item = &str> + Clone) {
        let mut names = self.model.split(',').map(str::trim);
        // INVARIANT: splitting gives at least one.
        (names.next().unwrap_or_default(), names)
    }

    fn fallbacks_with<'a>(&'a self, others: impl Iterator<Item = &'a str>) -> Option<Vec<ModelName>> {
        let named = self.fallbacks.iter().map(String::as_str).filter(|_| !self.no_fallbacks);
        let all: Vec<ModelName> = others.chain(named).map(ModelName::from).collect();
        (self.no_fallbacks || !all.is_empty()).then_some(all)
    }

    pub(crate) fn concern(&mut self, name: &'static str, concern: Concern) {
        if !self.concerns.contains(&(name, concern)) {
            self.concerns.push((name, concern));
        }
    }

    pub(crate) fn unbound(&mut self, by: &str) {
        self.unbounded.get_or_insert_with(|| by.to_owned());
    }
}
