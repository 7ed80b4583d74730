//! Reads a request once, without a tree: validates it, finds the facts and where the editable fields stand.

mod content;
mod field;
mod gemini;
pub(crate) mod media;
mod ours;
mod single;
mod thought;

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use sluicegate_core::concern::{Concern, concern};
use sluicegate_core::count::CacheWrites;
use sluicegate_core::hash;
use sluicegate_core::{Format, Translated};
use smallvec::SmallVec;

use crate::error::{Result, WireError};
use crate::facts::{
    ESCAPED, FORM_TOOL_OVERHEAD, Facts, TRANSLATED_OVERHEAD, TRANSLATED_OVERHEAD_PLAIN, TRANSLATED_TEXT_TOOL,
    TRANSLATED_TOOL, rewritten,
};
use crate::gemini::json_schema;
use crate::ir::{FOREIGN, FOREIGN_BYTES};
use crate::json::{Bad, Cursor, Kind, Span, Val, compact, unescape};
pub(crate) use field::{Field, is_ours, is_ours_in_metadata};
pub(crate) use single::PARTIAL_IMAGE_TOKENS;

/// More top-level fields than this are refused: the longest vendor list has about 60.
// BOUND: duplicates are searched among unknown names pairwise.
const FIELDS_MAX: usize = 256;
/// And longer names: they are compared with each other.
const NAME_MAX: usize = 256;
/// More tags than this are refused.
const TAGS_MAX: usize = 32;
/// And longer tags and model names, in bytes; longer names of customers, in characters, are cut.
// BOUND: these go into records, messages and tables of limits.
const LABEL_MAX: usize = 256;

/// What the address of a call says where its body doesn't: Gemini's format has both there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressed<'a> {
    /// The model, decoded.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// A request that was read: its facts, and what edits need.
#[derive(Clone, Debug)]
pub struct Scanned {
    format: Format,
    body: Bytes,
    facts: Facts,
    pub(crate) members: Members,
    /// It may hold seals of another maker than the format's own, which its own refuses.
    pub(crate) foreign: bool,
}

pub(crate) type Members = SmallVec<[Member; 16]>;

/// One top-level member and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) field: Field,
    pub(crate) name: Span,
    pub(crate) escaped: bool,
    pub(crate) value: Span,
}

/// What a top-level name means in a request of that format.
pub(crate) fn field_of(format: Format, name: &str) -> Field {
    field::field(format, name.as_bytes())
}

impl Scanned {
    /// The format that it was read as.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What the scan found out.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The top-level fields that the format doesn't know, unescaped, in the order of the body.
    pub fn unknown_fields(&self) -> Vec<String> {
        let names = self.members.iter().map(|member| unescape(member.name.of(self.text())));
        names.filter(|name| !field::is_known(self.format, name)).map(Cow::into_owned).collect()
    }

    /// Reads another body in place of this one, at the same address.
    ///
    /// # Errors
    /// As [`scan`].
    pub fn rescan(&self, body: &Bytes) -> Result<Scanned> {
        let at = Addressed { model: &self.facts.model, stream: self.facts.stream };
        scan_addressed(self.format, body, Some(at))
    }

    pub(crate) fn text(&self) -> &str {
        // INVARIANT: `scan` refused anything that isn't UTF-8.
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    pub(crate) fn member(&self, field: Field) -> Option<&Member> {
        self.members.iter().find(|member| member.field == field)
    }
}

/// Reads a request body.
///
/// # Errors
/// The body isn't UTF-8, isn't JSON, nests deeper than [`crate::MAX_DEPTH`], isn't an object, names a top-level field
/// twice (names are compared unescaped), lacks its model or messages, or gives a field that we read a wrong type.
pub fn scan(format: Format, body: &Bytes) -> Result<Scanned> {
    scan_addressed(format, body, None)
}

// What each body is looked through for is prepared once.
static CACHE_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("cache_control"));
static STRICT_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"strict\""));
static CUSTOM_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"custom\""));
static REFERENCE_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"$ref\""));
static ESCAPE_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(ESCAPED));
static FOREIGN_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(FOREIGN));
static FOREIGN_BYTES_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(FOREIGN_BYTES));

/// Reads a request body whose address says what it doesn't. For formats whose body says it all, the address is ignored.
///
/// # Errors
/// As [`scan`].
pub fn scan_addressed(format: Format, body: &Bytes, at: Option<Addressed<'_>>) -> Result<Scanned> {
    if format.is_upstream_only() {
        let word = format.as_str();
        let message =
            format!("`{word}` is a format of upstreams: call in `openai_chat` or another of callers");
        return Err(WireError::unsupported(message));
    }
    if format == Format::GeminiCountTokens {
        // What is counted is a request that could as well be made.
        return scan_addressed(Format::GeminiGenerate, &crate::gemini::counted(body), at);
    }
    if matches!(format, Format::OpenaiInputTokens | Format::OpenaiCompact) {
        return scan(Format::OpenaiResponses, &crate::openai_responses::behind(format, body)?);
    }
    let at = at.filter(|_| format == Format::GeminiGenerate);
    let text = std::str::from_utf8(body).map_err(|e| {
        WireError::invalid(format!("the body isn't UTF-8 (byte {}): send JSON in UTF-8", e.valid_up_to()))
    })?;
    // One byte order mark is passed over; a second one is no JSON.
    let (text, body) = match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, body.slice(3..)),
        None => (text, body.clone()),
    };
    let mut scan = Scan {
        format,
        text,
        cursor: Cursor::new(text),
        facts: Facts { choices: 1, n: 1, ..Facts::default() },
        is_addressed: false,
        opening: None,
        media: 0,
        media_saved: 0,
        seen: 0,
        documents: None,
        partial_images: 0,
        members: SmallVec::new(),
    };
    if let Some(at) = at {
        scan.facts.model = gemini::model_of(at.model)?;
        scan.facts.stream = at.stream;
        scan.is_addressed = true;
    }
    scan.object()?;
    let Scan { cursor, mut facts, opening, media, media_saved, members, .. } = scan;
    let text_bytes = text.len().saturating_sub(cursor.blank + (cursor.saved - media_saved) + media);
    facts.text_bytes = text_bytes as u64;
    if !text.is_ascii() {
        facts.wide_bytes = text.bytes().filter(|b| *b >= 0x80).count() as u64;
    }
    facts.wide_bytes += cursor.saved as u64;
    facts.translated = translated(&facts, format, text, &members);
    facts.cache_writes = cache_writes(text, cursor.saved > 0);
    // Where nothing writes the cache there is no mark of where it ends.
    let has_marks = facts.cache_writes != CacheWrites::None;
    facts.opening = opening.map(|span| content::opening(span.of(text), has_marks));
    let marks: &[&Finder<'_>] = match format {
        Format::GeminiGenerate => &[&FOREIGN_MARK, &FOREIGN_BYTES_MARK],
        _ => &[&FOREIGN_MARK],
    };
    let foreign = marks.iter().any(|mark| mark.find(text.as_bytes()).is_some());
    Ok(Scanned { format, body, facts, members, foreign })
}

/// How much a translation may add: words, and what schemas grow by where they are written otherwise, those that an answer is held to,
/// those of tools, and among these the strict ones.
fn translated(facts: &Facts, format: Format, text: &str, members: &Members) -> Translated {
    let is_form = |field: &Field| {
        matches!(field, Field::ResponseFormat | Field::Text | Field::OutputConfig | Field::GenerationConfig)
    };
    // Words are put in for what a target has no field for: how to answer, and what tools are.
    let says_more = facts.tools > 0 || members.iter().any(|member| is_form(&member.field));
    let words = if says_more { TRANSLATED_OVERHEAD } else { TRANSLATED_OVERHEAD_PLAIN };
    let words = words.saturating_add(u64::from(facts.tools).saturating_mul(TRANSLATED_TOOL));
    let mut sum = Translated { words, ..Translated::default() };
    if facts.needs.json_schema && facts.tools == 0 {
        sum.closed = FORM_TOOL_OVERHEAD;
    }
    for member in members {
        let raw = member.value.of(text);
        if is_form(&member.field) && facts.needs.json_schema {
            each_schema(Val::trusted(raw), HOLDERS_DEPTH, &mut |name, schema, _| {
                sum.add(grows(format, name, schema), true);
                sum.words = sum.words.saturating_add(grows_in_words(format, name, schema));
            });
        } else if matches!(member.field, Field::Tools | Field::Functions) {
            tools(&mut sum, facts, format, raw);
        }
    }
    sum
}

fn tools(sum: &mut Translated, facts: &Facts, format: Format, raw: &str) {
    let has = |mark: &Finder<'_>| mark.find(raw.as_bytes()).is_some();
    let is_escaped = has(&ESCAPE_MARK);
    let has_texts = matches!(format, Format::OpenaiChat | Format::OpenaiResponses);
    if has_texts && (is_escaped || has(&CUSTOM_MARK)) {
        let texts = Val::trusted(raw).elements().filter(|tool| match format {
            Format::OpenaiChat => tool.get("function").is_none() && tool.get("custom").is_some(),
            _ => tool.get_str("type").as_deref() == Some("custom"),
        });
        sum.words = sum.words.saturating_add((texts.count() as u64).saturating_mul(TRANSLATED_TEXT_TOOL));
    }
    // Gemini's own are never strict, and need no translation where its older models are.
    if format == Format::GeminiGenerate {
        return;
    }
    if is_escaped || has(&STRICT_MARK) || has(&REFERENCE_MARK) {
        each_schema(Val::trusted(raw), HOLDERS_DEPTH, &mut |name, schema, is_strict| {
            sum.add(grows(format, name, schema), is_strict);
        });
    } else {
        let most = rewritten("").saturating_mul(facts.tools as usize).saturating_add(raw.len() * 2);
        sum.add(most as u64, false);
    }
}

/// `\u0041` is counted as one byte.
const ESCAPE_SAVES_MOST: usize = 5;

/// What stands between a field and the schemas in it, so many deep at most.
const HOLDERS: [&str; 4] = ["function", "jsonSchema", "format", "functionDeclarations"];
const HOLDERS_DEPTH: usize = 3;
/// What a schema is called there. Names are compared as Gemini's are: `input_schema` is `inputSchema`.
const SCHEMAS: [&str; 6] =
    ["parameters", "inputSchema", "schema", "parametersJsonSchema", "responseSchema", "responseJsonSchema"];

/// Each schema with its name, and whether the tool that has it is strict.
fn each_schema<'a>(v: Val<'a>, depth: usize, found: &mut dyn FnMut(&str, Val<'a>, bool)) {
    for element in v.elements() {
        each_schema(element, depth, found);
    }
    let mut is_strict = None;
    for (name, value) in v.members() {
        let name = crate::gemini::camel_case(&name);
        if SCHEMAS.contains(&&*name) {
            let is_strict =
                is_strict.get_or_insert_with(|| v.get("strict").and_then(Val::as_bool) == Some(true));
            found(&name, value, *is_strict);
        } else if HOLDERS.contains(&&*name) && depth > 0 {
            each_schema(value, depth - 1, found);
        }
    }
}

fn grows(format: Format, name: &str, schema: Val<'_>) -> u64 {
    let came = compact(schema.raw());
    rewritten(&said(format, name, &came)).saturating_sub(came.len()) as u64
}

/// How much a schema grows that is said in words: there it stands with its escapes, which were counted as what they stand for.
fn grows_in_words(format: Format, name: &str, schema: Val<'_>) -> u64 {
    let came = compact(schema.raw());
    let said = said(format, name, &came);
    let escapes = memchr::memchr_iter(b'\\', said.as_bytes()).count() * ESCAPE_SAVES_MOST;
    (said.len() + escapes).saturating_sub(came.len()) as u64
}

/// Gemini's own words become those of JSON Schema first, and a reference may lead to what has that name by then only.
fn said<'a>(format: Format, name: &str, came: &'a str) -> Cow<'a, str> {
    let is_own = format == Format::GeminiGenerate && name == "responseSchema";
    if is_own { Cow::Owned(json_schema(Val::trusted(came))) } else { Cow::Borrowed(came) }
}

struct Scan<'a> {
    format: Format,
    text: &'a str,
    cursor: Cursor<'a>,
    facts: Facts,
    /// Its model and whether to stream stand in its address.
    is_addressed: bool,
    /// The messages up to the first of the user's.
    opening: Option<Span>,
    /// Raw bytes of base64 media, which count by formula and not as text; and their share of `cursor.saved`.
    media: usize,
    media_saved: usize,
    seen: u64,
    /// What is to be ranked.
    documents: Option<Val<'a>>,
    /// How many images in the making are asked for.
    partial_images: u64,
    members: Members,
}

impl From<Bad> for WireError {
    fn from(bad: Bad) -> Self {
        WireError::invalid(format!("the body isn't valid JSON: it {} (byte {})", bad.what, bad.at))
    }
}

fn wrong(name: &str, wanted: &str, found: Kind) -> WireError {
    WireError::invalid(format!("`{name}` must be {wanted}, not {}", found.word())).at(name)
}

impl<'a> Scan<'a> {
    fn object(&mut self) -> Result<()> {
        let kind = self.cursor.kind()?;
        if kind != Kind::Object {
            self.cursor.skip()?;
            self.cursor.end()?;
            return Err(WireError::invalid(format!("the body must be a JSON object, not {}", kind.word())));
        }
        let mut more = self.cursor.enter()?;
        while more {
            self.member()?;
            more = self.cursor.more(b'}')?;
        }
        self.cursor.end()?;
        let needed: &[(Field, &str)] = match self.format {
            Format::GeminiGenerate if self.is_addressed => &[(Field::Messages, "contents")],
            Format::GeminiGenerate => &[(Field::Model, "model"), (Field::Messages, "contents")],
            // A stored prompt may stand for the input.
            Format::OpenaiResponses if self.facts.unbounded.is_some() => &[(Field::Model, "model")],
            Format::OpenaiEmbeddings | Format::OpenaiResponses => {
                &[(Field::Model, "model"), (Field::Input, "input")]
            }
            single if single.is_single() => single::needed(single),
            _ => &[(Field::Model, "model"), (Field::Messages, "messages")],
        };
        match needed.iter().find(|(field, _)| self.seen & field.bit() == 0) {
            Some((_, name)) => {
                Err(WireError::invalid(format!("`{name}` is missing: add it to the request body")).at(*name))
            }
            None => {
                self.single_end();
                Ok(())
            }
        }
    }

    fn member(&mut self) -> Result<()> {
        let (span, escaped) = self.cursor.name()?;
        if span.len() > NAME_MAX {
            return Err(WireError::invalid(format!(
                "the body has a top-level field whose name is longer than {NAME_MAX} bytes"
            )));
        }
        let name = self.name_of(span, escaped);
        let field = field::field(self.format, name.as_bytes());
        self.refuse_duplicate(field, &name)?;
        self.cursor.space();
        let start = self.cursor.at();
        self.value(field, &name)?;
        if self.members.len() >= FIELDS_MAX {
            return Err(WireError::invalid(format!(
                "the body has more than {FIELDS_MAX} top-level fields: send fewer"
            )));
        }
        self.members.push(Member {
            field,
            name: span,
            escaped,
            value: Span { start, end: self.cursor.at() },
        });
        Ok(())
    }

    fn name_of(&self, span: Span, escaped: bool) -> Cow<'a, str> {
        let text: &'a str = self.text;
        if escaped {
            return unescape(span.of(text));
        }
        Cow::Borrowed(text.get(span.start + 1..span.end.saturating_sub(1)).unwrap_or_default())
    }

    /// What we checked must be what the upstream reads, whichever of two members it takes.
    fn refuse_duplicate(&mut self, field: Field, name: &str) -> Result<()> {
        let bit = field.bit();
        let twice = if bit != 0 {
            self.seen & bit != 0
        } else {
            self.members.iter().any(|m| m.field.bit() == 0 && self.name_of(m.name, m.escaped) == name)
        };
        self.seen |= bit;
        if twice {
            return Err(
                WireError::invalid(format!("`{name}` stands twice in the body: send it once")).at(name)
            );
        }
        Ok(())
    }

    fn value(&mut self, field: Field, name: &str) -> Result<()> {
        match field {
            // What its address says goes before what its body says.
            Field::Model | Field::Stream if self.format == Format::GeminiGenerate => {
                self.addressed(field, name)
            }
            Field::Messages | Field::System | Field::Tools if self.format == Format::GeminiGenerate => {
                self.gemini(field, name)
            }
            Field::GenerationConfig => self.generation_config(name),
            Field::Model => self.model(),
            Field::Messages => self.messages(),
            Field::System => self.content(),
            Field::Input if self.format == Format::OpenaiResponses => self.items(),
            Field::Input => self.input(),
            Field::Prompt
            | Field::PartialImages
            | Field::Size
            | Field::Quality
            | Field::StreamFormat
            | Field::Query
            | Field::Documents => self.single(field, name),
            Field::Tools => self.tools(),
            Field::Stream => {
                self.facts.stream =
                    self.typed(name, "true or false", Kind::Bool)?.is_some_and(|raw| raw == "true");
                Ok(())
            }
            Field::StreamOptions => {
                let asked = self.typed(name, "an object", Kind::Object)?;
                let asked =
                    asked.and_then(|raw| Val::trusted(raw).get("include_usage")).and_then(Val::as_bool);
                self.facts.include_usage = asked == Some(true);
                Ok(())
            }
            Field::MaxTokens | Field::MaxCompletionTokens => {
                let named = self.whole(name)?;
                self.facts.max_output = self.facts.max_output.max(named);
                Ok(())
            }
            Field::N | Field::BestOf => {
                let n = self.whole(name)?.unwrap_or(1);
                let n = u32::try_from(n).ok().filter(|n| *n >= 1);
                let n = n.ok_or_else(|| {
                    WireError::invalid(format!("`{name}` must be at least 1 and fit 32 bits")).at(name)
                })?;
                // What is generated is billed, returned or not: the ceiling holds for each.
                self.facts.choices = self.facts.choices.max(n);
                if field == Field::N {
                    self.facts.n = n;
                }
                Ok(())
            }
            Field::User | Field::SafetyIdentifier => {
                let user = self.typed(name, "a string", Kind::String)?.map(unescape);
                self.customer(user);
                Ok(())
            }
            Field::ServiceTier => {
                self.facts.service_tier =
                    self.typed(name, "a string", Kind::String)?.map(|raw| unescape(raw).to_ascii_lowercase());
                if self.facts.service_tier.as_deref().is_some_and(|tier| !field::is_priced_tier(tier)) {
                    self.facts.concern("service_tier", Concern::Cost);
                }
                Ok(())
            }
            _ => self.odd(field, name),
        }
    }

    /// The fields that most calls don't have.
    fn odd(&mut self, field: Field, name: &str) -> Result<()> {
        let raw = self.cursor.skip()?.of(self.text);
        let v = Val::trusted(raw);
        match field {
            Field::Metadata => {
                let user = (matches!(self.format, Format::AnthropicMessages | Format::AnthropicCountTokens))
                    .then(|| v.get_str("user_id"))
                    .flatten();
                self.customer(user);
                if let Some(tags) = v.get("tags") {
                    self.facts.ours_in_metadata = true;
                    self.tags("metadata.tags", tags)?;
                }
                // What is no list is the caller's own.
                if let Some(named) = v.get("guardrails").filter(|named| named.kind() == Kind::Array) {
                    self.facts.ours_in_metadata = true;
                    ours::guardrails(&mut self.facts, "metadata.guardrails", named)?;
                }
                Ok(())
            }
            Field::Tags => self.tags(name, v),
            Field::Functions => {
                self.facts.needs.tools |= v.elements().next().is_some();
                self.facts.tools += u32::try_from(v.elements().count()).unwrap_or(u32::MAX);
                Ok(())
            }
            Field::ResponseFormat => {
                self.facts.needs.json_schema |= v.get_str("type").as_deref() == Some("json_schema");
                Ok(())
            }
            Field::OutputConfig => {
                let kind = v.get("format").and_then(|f| f.get_str("type"));
                self.facts.needs.json_schema |= kind.as_deref() == Some("json_schema");
                thought::effort(&mut self.facts, self.format, v.get_str("effort"));
                Ok(())
            }
            Field::Thinking => {
                thought::thinking(&mut self.facts, self.format, v);
                Ok(())
            }
            Field::Effort => {
                let word = if self.format == Format::OpenaiResponses { v.get_str("effort") } else { v.as_str() };
                thought::effort(&mut self.facts, self.format, word);
                Ok(())
            }
            Field::EnableThinking => {
                thought::switch(&mut self.facts, v);
                Ok(())
            }
            Field::ThinkingBudget => {
                thought::budget(&mut self.facts, v);
                Ok(())
            }
            Field::Prediction if !v.is_null() => {
                // Predicted tokens that are not accepted are billed as output: at most all of its text.
                self.facts.extra_output_bound = raw.len() as u64;
                Ok(())
            }
            Field::Modalities => {
                self.facts.needs.audio |= v.elements().filter_map(Val::as_str).any(|m| m == "audio");
                // The ceiling covers what is spoken, at its own price; of pictures nothing is known.
                if v.elements().any(|m| !m.as_str().is_some_and(|m| matches!(&*m, "text" | "audio"))) {
                    self.facts.concern("modalities", Concern::Cost);
                }
                Ok(())
            }
            Field::Stop => {
                self.facts.needs.stops = !field::is_off(raw);
                Ok(())
            }
            Field::PromptCacheKey => {
                self.facts.cache_key = v.as_str().map(|key| hash::stable(key.as_bytes()));
                Ok(())
            }
            Field::CachedContent if !field::is_off(raw) => {
                self.facts.concern("cachedContent", Concern::Stored);
                self.facts.unbound("cachedContent");
                Ok(())
            }
            Field::Text => {
                let kind = v.get("format").and_then(|f| f.get_str("type"));
                self.facts.needs.json_schema |= kind.as_deref() == Some("json_schema");
                Ok(())
            }
            Field::Include => {
                // The answer's thoughts will be encrypted, and only who did it can go on with them.
                let mut wanted = v.elements().filter_map(Val::as_str);
                self.facts.bound |= wanted.any(|it| it == "reasoning.encrypted_content");
                Ok(())
            }
            Field::PreviousResponse if !field::is_off(raw) => {
                self.facts.previous_response = v.as_str().map(Cow::into_owned);
                self.facts.concern("previous_response_id", Concern::Stored);
                self.facts.unbound("previous_response_id");
                Ok(())
            }
            Field::Store => {
                self.facts.store = v.as_bool();
                Ok(())
            }
            Field::Background if !field::is_off(raw) => Err(WireError::unsupported(
                "`background` is `true` or `false`, and work in the background is begun by a gateway alone: leave it out",
            )
            .at("background")),
            Field::Fallbacks => ours::fallbacks(&mut self.facts, v),
            Field::DisableFallbacks => ours::disable_fallbacks(&mut self.facts, v),
            Field::Guardrails => ours::guardrails(&mut self.facts, name, v),
            Field::Mock => ours::mock(&mut self.facts, name, v),
            Field::Concerning if !field::is_off(raw) && !field::is_disabled(v) => {
                if let Some((name, concern)) = concern(name.as_bytes()) {
                    self.facts.concern(name, concern);
                    // A stored prompt brings tools of its own.
                    if name == "prompt" && self.format == Format::OpenaiResponses {
                        self.facts.concern(name, Concern::Hosted);
                    }
                    if matches!(concern, Concern::Stored | Concern::Hosted) {
                        self.facts.unbound(name);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The first name counts: the formats have one field each, and an older one beside it.
    fn customer(&mut self, name: Option<Cow<'_, str>>) {
        if let (None, Some(name)) = (&self.facts.customer, name) {
            self.facts.customer = Some(crate::names::cut(&name, LABEL_MAX).into_owned());
        }
    }

    fn model(&mut self) -> Result<()> {
        let raw = self.typed("model", "a string", Kind::String)?;
        match raw.map(unescape) {
            Some(model) if model.len() > LABEL_MAX => Err(WireError::invalid(format!(
                "`model` is longer than {LABEL_MAX} bytes: that is no model's name"
            ))
            .at("model")),
            Some(model) if !model.is_empty() => {
                ours::check_list(&model)?;
                self.facts.model = model.into_owned();
                Ok(())
            }
            _ => Err(WireError::invalid("`model` must name a model").at("model")),
        }
    }

    /// The raw value if it has that type, `None` if it is `null`.
    fn typed(&mut self, name: &str, wanted: &str, kind: Kind) -> Result<Option<&'a str>> {
        let found = self.cursor.kind()?;
        let text: &'a str = self.text;
        let raw = self.cursor.skip()?.of(text);
        match found {
            Kind::Null => Ok(None),
            _ if found == kind => Ok(Some(raw)),
            _ => Err(wrong(name, wanted, found)),
        }
    }

    fn whole(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(raw) = self.typed(name, "a whole number", Kind::Number)? else {
            return Ok(None);
        };
        let n = Val::trusted(raw).as_u64();
        n.map(Some).ok_or_else(|| {
            WireError::invalid(format!("`{name}` must be a whole number of at least 0, not `{raw}`")).at(name)
        })
    }

    fn tags(&mut self, name: &str, tags: Val<'_>) -> Result<()> {
        for tag in tags.elements().filter_map(Val::as_str) {
            if self.facts.tags.len() >= TAGS_MAX {
                return Err(WireError::invalid(format!(
                    "`{name}` has more than {TAGS_MAX} tags: send fewer"
                ))
                .at(name));
            }
            if tag.len() > LABEL_MAX {
                return Err(WireError::invalid(format!(
                    "`{name}` has a tag that is longer than {LABEL_MAX} bytes: shorten it"
                ))
                .at(name));
            }
            if !self.facts.tags.iter().any(|known| *known == tag) {
                self.facts.tags.push(tag.into_owned());
            }
        }
        Ok(())
    }
}

/// Whether the body asks for the prompt cache to be written. It is looked for in the text as a whole, whoever would read it:
/// what isn't there can't be asked.
fn cache_writes(text: &str, has_escapes: bool) -> CacheWrites {
    let has = |what: &[u8]| memchr::memmem::find(text.as_bytes(), what).is_some();
    // A plain letter may be written as an escape, and so may the name's; every other escape is harmless.
    let spelled_out = has_escapes
        && memchr::memmem::find_iter(text.as_bytes(), b"\\u00")
            .any(|at| matches!(text.as_bytes().get(at + 4), Some(b'2'..=b'7')));
    if spelled_out {
        CacheWrites::Long
    } else if CACHE_MARK.find(text.as_bytes()).is_none() {
        CacheWrites::None
    } else if has(b"1h") {
        CacheWrites::Long
    } else {
        CacheWrites::Short
    }
}

#[cfg(test)]
mod tests;
