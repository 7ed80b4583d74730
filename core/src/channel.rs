//! Channels: credentialed upstream endpoints.

mod terms;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::by_class::ByClass;
use crate::call::{Format, Needs, PASS_THROUGH, is_older_gemini};
use crate::check::ChannelCheck;
use crate::count::{Counting, Tokenizer};
use crate::edit::{BodyEdit, Change, SENT_HEADER};
use crate::hash;
use crate::header::{self, Wanted};
use crate::ids::{ChannelId, ModelName, ProviderId, own_name};
use crate::limit::Limit;
use crate::pattern::Pattern;
use crate::price::Price;
use crate::quirk::{Beside, Quirks, ThinkTags};
use crate::tenant::Source;

pub use terms::{ModelTerms, PriceTerms};

/// One upstream endpoint with a credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Its id. A channel from a file has an id derived from its position-independent facts, so that a reload keeps it.
    pub id: ChannelId,
    /// Its name for people.
    pub name: String,
    /// Whose endpoint it is.
    pub provider: ProviderId,
    /// What it speaks and where, in order of preference. The first one that a call reaches without translation serves;
    /// else the first one that it reaches at all.
    pub endpoints: Vec<Endpoint>,
    /// How requests prove who we are.
    pub auth: Auth,
    /// The credential.
    pub secret: SecretRef,
    /// Further credentials of the same endpoint: with the first one they are the channel's keys. What is sealed is one text with
    /// a line for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_keys: Vec<SecretRef>,
    /// How one of several keys is picked for an attempt.
    #[serde(default, skip_serializing_if = "KeyMode::is_random")]
    pub key_mode: KeyMode,
    /// The models that it serves.
    pub models: Vec<ChannelModel>,
    /// Labels of groups that may use it; empty is everybody.
    #[serde(default)]
    pub groups: Vec<Arc<str>>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// The share among channels of the same priority. Zero serves only when no other can.
    #[serde(default = "one")]
    pub weight: u32,
    /// Limits towards the upstream: requests and tokens per minute, concurrency, spend.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Labels to route by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where tags choose channels: clients whose `User-Agent: VALUE` has a match of one of these are chosen for it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_patterns: Vec<Pattern>,
    /// Headers sent with each request, besides authentication. In a value `{api_key}` stands for the credential, and
    /// `{client_header:NAME}` for a header of the caller's: without that one the header isn't sent.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Time limits; unset ones come from the routing settings.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How requests get there.
    #[serde(default)]
    pub transport: Transport,
    /// How many failures within a minute bench it; unset comes from the routing settings.
    #[serde(default)]
    pub allowed_fails: Option<u32>,
    /// The same for single classes of failures; where none has a count of its own, those of the routing settings.
    #[serde(default, skip_serializing_if = "ByClass::is_empty")]
    pub allowed_fails_by: ByClass,
    /// How long it is benched, in milliseconds; unset comes from the routing settings.
    #[serde(default)]
    pub cooldown_ms: Option<u64>,
    /// Its active health checks; unset: as the host has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<ChannelCheck>,
    /// What happens to body fields that the format doesn't know.
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// What becomes of calls that a format of its can't say whole; unset: as the host has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation: Option<Translation>,
    /// Body fields such as `api_base` that callers may set to steer this channel; by default none.
    #[serde(default)]
    pub client_overrides: Vec<String>,
    /// Whether it searches the web by itself when a call in another format asks for that; unset: as its quirks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search: Option<bool>,
    /// How thoughts stand in the text of its models; unset: as its quirks say, which have taken this over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_tags: Option<ThinkTags>,
    /// Paths below which calls are passed through to it, if it has an endpoint for them; none is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pass_through: Vec<String>,
    /// What its operator says of the prices of models that calls are passed through to and that it doesn't list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_terms: Option<Box<PriceTerms>>,
    /// What it changes in the bodies and headers that it is sent, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body_edits: Vec<BodyEdit>,
    /// Where its provider differs from the formats that it speaks, as the catalogue has it. Never stored: whoever builds a
    /// snapshot fills it in.
    #[serde(skip)]
    pub quirks: Arc<Quirks>,
    /// Whether its addresses are OpenAI's own or Azure's, where each of OpenAI's models is served only in the formats that its documentation
    /// names; a relay may serve them in every format that it has. Never stored, as `quirks`.
    #[serde(skip)]
    pub at_openai: bool,
    /// Whether it serves at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it was declared.
    #[serde(default)]
    pub source: Source,
}

impl Channel {
    /// Whether one of its own limits is a strict one on spend.
    pub fn has_strict_spend(&self) -> bool {
        self.limits.iter().any(Limit::is_strict_spend)
    }

    /// A channel that serves nothing yet: without endpoints, models, a credential or limits; switched on, with a weight of 1,
    /// and everything else as the routing settings have it.
    pub fn new(id: impl Into<ChannelId>, name: impl Into<String>, provider: impl Into<ProviderId>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            provider: provider.into(),
            endpoints: Vec::new(),
            auth: Auth::None,
            secret: SecretRef::None,
            more_keys: Vec::new(),
            key_mode: KeyMode::default(),
            models: Vec::new(),
            groups: Vec::new(),
            priority: 0,
            weight: one(),
            limits: Vec::new(),
            tags: Vec::new(),
            tag_patterns: Vec::new(),
            headers: IndexMap::new(),
            timeouts: Timeouts::default(),
            transport: Transport::default(),
            allowed_fails: None,
            allowed_fails_by: ByClass::NONE,
            cooldown_ms: None,
            health_check: None,
            unknown_fields: UnknownFields::default(),
            translation: None,
            client_overrides: Vec::new(),
            web_search: None,
            think_tags: None,
            pass_through: Vec::new(),
            price_terms: None,
            body_edits: Vec::new(),
            quirks: Arc::default(),
            at_openai: false,
            enabled: yes(),
            source: Source::default(),
        }
    }
}

impl Channel {
    /// How many keys it has; at least 1.
    pub fn key_count(&self) -> u32 {
        u32::try_from(self.more_keys.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// What tells its keys apart, in order: another credential, or another place to look for it, has another digest. For use
    /// within a process only.
    pub fn key_digests(&self) -> Vec<u64> {
        let mut digests: Vec<u64> = Vec::with_capacity(self.more_keys.len() + 1);
        for (at, key) in std::iter::once(&self.secret).chain(&self.more_keys).enumerate() {
            let own = match key {
                SecretRef::None => 0,
                SecretRef::Env(name) => hash::join(1, hash::stable(name.as_bytes())),
                SecretRef::Inline(secret) => hash::join(2, hash::stable(secret.expose().as_bytes())),
                // Lines of one text: their place is all that is known of them.
                SecretRef::Sealed => hash::join(3, at as u64),
            };
            // The same one twice is two keys.
            digests.push(if digests.contains(&own) { hash::join(own, at as u64) } else { own });
        }
        digests
    }

    /// Lets what its changes of bodies may add to a prompt be reserved with it, for each of its models.
    pub fn reserve_edits(&mut self) {
        let adds = self.body_edits.iter().map(BodyEdit::adds_bytes).fold(0, u64::saturating_add);
        self.models.iter_mut().for_each(|model| model.extra_input = adds);
    }

    /// Which headers of its callers it asks for.
    pub fn wanted_headers(&self) -> Wanted {
        let mut wanted = Wanted::None;
        self.headers.values().for_each(|value| wanted.add(header::named(value)));
        self.body_edits.iter().for_each(|edit| wanted.join(edit.wanted()));
        wanted
    }

    /// Whether the headers of a request to it depend on the call.
    pub fn edits_headers(&self) -> bool {
        let is_of_headers = |edit: &BodyEdit| {
            edit.change.is_of_headers()
                || matches!(edit.change, Change::SyncHeader(_))
                || edit.conditions.iter().any(|it| it.path.starts_with(SENT_HEADER))
        };
        self.body_edits.iter().any(is_of_headers) || self.wanted_headers() != Wanted::None
    }

    /// Whether a model of it, by the upstream's name, searches the web by itself if a request in this format asks it to.
    pub fn searches(&self, format: Format, model: &str) -> bool {
        self.web_search.unwrap_or_else(|| self.quirks.searches(format, model))
    }

    /// What a model of it, by the upstream's name, may think on top of the output ceiling.
    pub fn beside(&self, model: &str) -> Vec<Beside> {
        // What it changes in bodies, or takes out of them, may be what calls say of thinking.
        let says = |edit: &BodyEdit| {
            edit.fields().any(|field| field.is_empty() || THINKING_FIELDS.contains(&field.as_str()))
        };
        let unsure = || self.unknown_fields == UnknownFields::Drop || self.body_edits.iter().any(says);
        // Where it matters, the ceiling is sent by the name that covers thoughts.
        self.quirks.beside_of(model, !self.quirks.beside.is_empty() && unsure(), true)
    }

    /// Where a key's credential is, counted from 0.
    pub fn key(&self, at: u32) -> Option<&SecretRef> {
        match at.checked_sub(1) {
            None => Some(&self.secret),
            Some(at) => self.more_keys.get(at as usize),
        }
    }
}

/// Fields of bodies that say whether to think, and how much.
const THINKING_FIELDS: [&str; 6] =
    ["enable_thinking", "thinking_budget", "thinking", "reasoning_effort", "reasoning", "output_config"];

fn one() -> u32 {
    1
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_false(yes: &bool) -> bool {
    !*yes
}

fn yes() -> bool {
    true
}

/// How one of several keys is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMode {
    /// At random, from the call's seed.
    #[default]
    Random,
    /// One after another.
    Polling,
}

impl KeyMode {
    fn is_random(&self) -> bool {
        *self == KeyMode::Random
    }
}

/// In an address: stands for the upstream's name of the model.
pub const MODEL: &str = "{model}";

/// What a channel speaks, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The format.
    pub format: Format,
    /// The address of this operation, whole: `https://api.openai.com/v1/chat/completions`; [`MODEL`] in it stands for the
    /// model. Empty for the built-in `mock` provider.
    pub url: String,
}

impl Endpoint {
    /// The address of a call to a model, by the upstream's name. In Gemini's format it says as well whether the answer is
    /// streamed, as events, or that tokens are counted.
    pub fn address(&self, model: &str, stream: bool) -> String {
        if !self.url.contains(MODEL) {
            return self.url.clone();
        }
        if !matches!(self.format, Format::GeminiGenerate | Format::GeminiCountTokens) {
            return self.url.replace(MODEL, &segment(model, ":@"));
        }
        let (collection, name) = match model.split_once('/') {
            Some(("models", name)) => ("models", name),
            Some(("tunedModels", name)) => ("tunedModels", name),
            _ => ("models", model),
        };
        let counts = self.format == Format::GeminiCountTokens;
        let written = if counts { "countTokens" } else { "generateContent" };
        let verb = if stream && !counts { "streamGenerateContent" } else { written };
        // A colon in the name would be another verb.
        let asked = format!("/{collection}/{}:{verb}", segment(name, ""));
        let mut url = self.url.replacen(&format!("/models/{MODEL}:{written}"), &asked, 1);
        if stream && !counts {
            // Without that word a stream would be a list.
            url.push_str(if url.contains('?') { "&alt=sse" } else { "?alt=sse" });
        }
        url
    }
}

/// A name as one segment of a path: everything but letters, digits, `-._~` and what is `plain` is escaped.
fn segment(name: &str, plain: &str) -> String {
    // These lead elsewhere, escaped or not.
    if matches!(name, "." | "..") {
        return "_".to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            it if it.is_ascii_alphanumeric() || plain.as_bytes().contains(&it) => out.push(char::from(it)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// How requests prove who we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `authorization: Bearer …`.
    Bearer,
    /// The credential alone in this header, such as `x-api-key` or `api-key`.
    Header(String),
    /// No credential.
    None,
}

/// Where a credential is. The host resolves it; the engine never does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SecretRef {
    /// There is none.
    #[default]
    None,
    /// In this environment variable.
    Env(String),
    /// Written in the file.
    Inline(Secret),
    /// In the database, sealed, under the channel's id.
    Sealed,
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::None => f.write_str("None"),
            SecretRef::Env(name) => write!(f, "Env({name})"),
            SecretRef::Inline(_) => f.write_str("Inline(…)"),
            SecretRef::Sealed => f.write_str("Sealed"),
        }
    }
}

/// A credential in memory. Never printed, never serialised.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a credential.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The credential, for the one place that sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("…")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::new(String::deserialize(d)?))
    }
}

/// Reasoning of a model of which nothing but its name is known, where that says that it comes on top of the output ceiling, in tokens.
pub const UNKNOWN_REASONING: u64 = 131_072;

/// Whether models of this name reason on top of the output ceiling wherever they are served: xAI's, Gemini's and Perplexity's that reason.
pub fn reasons_beside(model: &str) -> bool {
    let name = own_name(model);
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if let Some(rest) = name.strip_prefix("grok-") {
        let is_older = ["1", "2", "beta", "vision"].iter().any(|it| rest.starts_with(it));
        let is_third = rest.starts_with('3') && !rest.starts_with("3-mini");
        return !is_older && !is_third && !has(&["non-reasoning", "imagine"]);
    }
    if name.starts_with("gemini-") {
        return !is_older_gemini(name) && !has(&["tts", "live", "embedding"]);
    }
    ["sonar-reasoning", "sonar-deep"].iter().any(|it| name.starts_with(it))
}

/// Nothing is known of a model: the largest window on the market in 2026 is 1–2 M tokens.
pub const UNKNOWN_WINDOW: u64 = 2_097_152;

/// One model that a channel serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelModel {
    /// The model group that it belongs to: the name callers ask for. May end in `*`: then it serves every name with
    /// that prefix that nothing serves by its exact name.
    pub group: ModelName,
    /// The name that the upstream knows. A `*` in it stands for what the `*` of `group` matched.
    pub upstream: ModelName,
    /// What it costs.
    #[serde(default)]
    pub price: Price,
    /// Input and output together can't be more than this many tokens.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// It can't produce more output than this many tokens.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// Input tokens that the channel's own changes of the body may add.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub extra_input: u64,
    /// Whether its provider bills input that it finds by itself: no body bounds that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reads_more: bool,
    /// Whether reasoning comes on top of the output ceiling, so that the bound must add it; the most it can add.
    #[serde(default)]
    pub extra_reasoning: Option<u64>,
    /// Else what it may think on top of the ceiling as its provider has it. Never stored: whoever builds a snapshot fills it
    /// in, with its channel's quirks.
    #[serde(skip)]
    pub beside: Vec<Beside>,
    /// Whether its upstream's name is the operator's own, a deployment's, and needn't say which model that is. Filled in likewise.
    #[serde(skip)]
    pub is_deployment: bool,
    /// What it is known to lack.
    #[serde(default)]
    pub lacks: Needs,
    /// By whose rules its input is counted.
    #[serde(default)]
    pub counting: Counting,
    /// The tokenizer by which its text is counted, where that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<Tokenizer>,
    /// What calls cost, relative to the price, that an answer says were processed in one of these regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionRatio>,
}

/// What calls cost that are processed in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRatio {
    /// The region as answers have it, such as `us`.
    pub region: Box<str>,
    /// Relative to the price, in parts per million.
    pub ratio_ppm: u32,
}

impl ChannelModel {
    /// Whether it stands for what is passed through, and is no model.
    pub fn is_pass_through(&self) -> bool {
        self.upstream.as_str() == PASS_THROUGH
    }

    /// The most output that one choice is billed with under this ceiling, and with so many tokens of thought on top of it: thoughts, too,
    /// must fit the context window.
    pub fn most_output(&self, ceiling: u64, thoughts: u64) -> u64 {
        match thoughts {
            0 => ceiling,
            _ => ceiling
                .saturating_add(thoughts)
                .min(self.context_window.unwrap_or(UNKNOWN_WINDOW).max(ceiling)),
        }
    }

    /// Whether its channel changes bodies: each change adds to what is reserved, if only a little.
    pub fn is_edited(&self) -> bool {
        self.extra_input > 0
    }
}

/// How long to wait for an upstream, in milliseconds. Unset: the next outer default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection.
    pub connect_ms: Option<u64>,
    /// From the request's end to the first content event.
    pub first_byte_ms: Option<u64>,
    /// Between two reads of a body.
    pub between_bytes_ms: Option<u64>,
    /// For the whole attempt.
    pub total_ms: Option<u64>,
}

impl Timeouts {
    /// These, completed by `outer` where unset.
    #[must_use]
    pub fn or(self, outer: Timeouts) -> Timeouts {
        Timeouts {
            connect_ms: self.connect_ms.or(outer.connect_ms),
            first_byte_ms: self.first_byte_ms.or(outer.first_byte_ms),
            between_bytes_ms: self.between_bytes_ms.or(outer.between_bytes_ms),
            total_ms: self.total_ms.or(outer.total_ms),
        }
    }
}

/// How requests get to an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transport {
    /// A proxy, `http://…`, `https://…` or `socks5://…`.
    pub proxy: Option<String>,
    /// A file with further certificate authorities, PEM.
    pub extra_ca_file: Option<String>,
}

/// What happens to body fields that a format doesn't know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// They are sent: vendors have many.
    #[default]
    Pass,
    /// They are left out.
    Drop,
    /// The call is refused with their names.
    Refuse,
}

/// What becomes of a call of which another format, or a provider's variety of it, can't say everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Translation {
    /// It is sent without that, or with what comes close; the loss report has it.
    #[default]
    Drop,
    /// It isn't sent there: another channel gets it, or it is refused with the fields' names.
    Strict,
}
