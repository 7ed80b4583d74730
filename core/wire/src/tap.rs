//! Reads usage, errors and progress from an answer as it passes, without keeping or copying it.

mod anthropic;
mod any;
mod cohere;
mod gemini;
mod media;
mod ollama;
mod responses;
mod search;
mod single;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::price::Variant;
use sluicegate_core::quirk::Quirks;
use sluicegate_core::{Format, Usage};

use crate::fault::{Fault, FaultClass};
use crate::json::{Bad, Cursor, Kind, Span, Val, decoded_len};
use crate::observed::{MediaOut, Observed};
use crate::quirk::{Ended, asked_cache_ppm, counted, ended};
use crate::report::Report;
use crate::sse::fields;
use crate::usage::{Absurd, AnthropicCounts, Counts, research_queries};

pub use any::charged_by;
use media::Inline;

/// Names and ids that upstreams give are cut here, in bytes.
const NOTED_MAX: usize = 256;

/// Watches one answer, frame by frame or whole.
#[derive(Debug)]
pub(crate) struct Tap {
    format: Format,
    counts: AnthropicCounts,
    /// The number that an event after the last one has, where events are numbered.
    next_number: u64,
    quirks: Option<Arc<Quirks>>,
    /// What Gemini looked for.
    queries: Vec<String>,
    inline: Inline,
    pub(crate) observed: Observed,
}

/// What matters about one frame for passing it on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// OpenAI's chunk that only carries usage.
    pub(crate) usage_only: bool,
    /// Where the model's name stands in the frame, quotes included.
    pub(crate) model: Option<Range<usize>>,
}

/// The top-level members of a frame that matter.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<Val<'a>>,
    id: Option<Val<'a>>,
    model: Option<(Val<'a>, Span)>,
    /// How many choices there are, if there is a list of them.
    choices: Option<u32>,
    usage: Option<Val<'a>>,
    error: Option<Val<'a>>,
    tier: Option<Val<'a>>,
    message: Option<(Val<'a>, Span)>,
    delta: Option<Val<'a>>,
    block: Option<Val<'a>>,
    content: Option<Val<'a>>,
    data: Option<Val<'a>>,
    base: Option<Val<'a>>,
    /// Gemini's.
    candidates: Option<Val<'a>>,
    feedback: Option<Val<'a>>,
    response: Option<(Val<'a>, Span)>,
    item: Option<Val<'a>>,
    output: Option<Val<'a>>,
    status: Option<Val<'a>>,
    number: Option<Val<'a>>,
    done: Option<Val<'a>>,
}

impl<'a> Parts<'a> {
    fn note(&mut self, name: &str, value: Val<'a>, span: Span) {
        if value.is_null() {
            return;
        }
        match name {
            "\"type\"" => self.kind = Some(value),
            "\"id\"" => self.id = Some(value),
            "\"model\"" => self.model = Some((value, span)),
            "\"usage\"" => self.usage = Some(value),
            // QUIRK(groq, 2026-05): usage of a stream stands in an object of its own.
            "\"x_groq\"" => self.usage = self.usage.or(value.get("usage")),
            "\"error\"" => self.error = Some(value),
            "\"service_tier\"" => self.tier = Some(value),
            "\"message\"" => self.message = Some((value, span)),
            "\"delta\"" => self.delta = Some(value),
            "\"content_block\"" => self.block = Some(value),
            "\"content\"" => self.content = Some(value),
            "\"data\"" => self.data = Some(value),
            "\"base_resp\"" => self.base = Some(value),
            "\"candidates\"" => self.candidates = Some(value),
            "\"promptFeedback\"" => self.feedback = Some(value),
            "\"usageMetadata\"" => self.usage = Some(value),
            "\"modelVersion\"" => self.model = Some((value, span)),
            "\"responseId\"" => self.id = Some(value),
            "\"response\"" => self.response = Some((value, span)),
            "\"item\"" => self.item = Some(value),
            "\"output\"" => self.output = Some(value),
            "\"status\"" => self.status = Some(value),
            "\"sequence_number\"" => self.number = Some(value),
            "\"done\"" => self.done = Some(value),
            _ => {}
        }
    }

    /// Whether this is plainly a whole answer of that format.
    fn is_answer(&self, format: Format) -> bool {
        let is_list = |v: Option<Val<'_>>| v.is_some_and(|v| v.kind() == Kind::Array);
        let main = match format {
            Format::OpenaiChat | Format::OpenaiCompletions => self.choices.is_some(),
            Format::OpenaiEmbeddings => is_list(self.data),
            Format::GeminiGenerate => is_list(self.candidates) || self.feedback.is_some(),
            Format::OpenaiResponses => {
                let failed = self.status.and_then(Val::as_str).is_some_and(|status| status == "failed");
                is_list(self.output) && !failed
            }
            Format::CohereChat | Format::OllamaChat => {
                self.message.is_some_and(|(message, _)| message.kind() == Kind::Object)
            }
            _ => is_list(self.content),
        };
        main && self.error.is_none() && self.base.is_none()
    }
}

impl Tap {
    pub(crate) fn new(format: Format, quirks: Option<Arc<Quirks>>) -> Self {
        Self {
            format,
            counts: AnthropicCounts::default(),
            next_number: 0,
            quirks,
            queries: Vec::new(),
            inline: Inline::default(),
            observed: Observed { echoes: format == Format::OpenaiCompletions, ..Observed::default() },
        }
    }

    /// An error of our own, as the next event of the stream.
    pub(crate) fn told(&self, report: &Report) -> Bytes {
        match self.format {
            Format::OpenaiResponses => report.numbered(self.next_number),
            format => report.event(format),
        }
    }

    /// Reads one frame of a stream.
    pub(crate) fn frame(&mut self, raw: &[u8]) -> Seen {
        let Some(data) = fields(raw).data else {
            return Seen::default();
        };
        let offset = match &data {
            // A frame of one data line: the slice lies inside `raw`.
            Cow::Borrowed(slice) => Some((slice.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize)),
            Cow::Owned(_) => None,
        };
        let mut seen = self.document(&data);
        seen.model = seen.model.zip(offset).map(|(span, by)| span.start + by..span.end + by);
        seen
    }

    /// Reads what a frame holds, or one line of a stream of lines.
    pub(crate) fn document(&mut self, data: &[u8]) -> Seen {
        if data.trim_ascii() == b"[DONE]" {
            self.observed.closed = true;
            return Seen::default();
        }
        let Some(text) = std::str::from_utf8(data).ok() else {
            return Seen::default();
        };
        if self.format.is_single() && self.format != Format::OpenaiCompletions {
            self.single_frame(text);
            return Seen::default();
        }
        match self.read(text) {
            Ok(parts) => self.parts(&parts, text),
            Err(_) => Seen::default(),
        }
    }

    /// Reads a whole body. Returns where the model's name stands.
    pub(crate) fn body(&mut self, body: &[u8]) -> Option<Range<usize>> {
        if self.format.is_single() && self.format != Format::OpenaiCompletions {
            self.single_body(body);
            return None;
        }
        let text = std::str::from_utf8(body).unwrap_or_default();
        if self.format == Format::GeminiGenerate && text.trim_start().starts_with('[') {
            self.list(text);
            return None;
        }
        let parts = self.read(text).unwrap_or_default();
        if !parts.is_answer(self.format)
            && let Some(fault) = Fault::in_ok_body_at(self.errors(), self.format, body)
        {
            // What stood beside the error doesn't count.
            self.observed = Observed { error: Some(fault), ..Observed::default() };
            if self.format == Format::OpenaiResponses {
                self.output_done(parts.output);
                self.failed(parts.usage);
            }
            return None;
        }
        let seen = self.parts(&parts, text);
        if self.format == Format::OpenaiEmbeddings {
            self.observed.first_content = true;
        }
        // A whole answer is at its end by being whole.
        self.observed.finished = true;
        seen.model
    }

    fn parts(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        note(&mut self.observed.response_id, parts.id);
        note(&mut self.observed.served_tier, parts.tier);
        if let Some((model, _)) = parts.model {
            note(&mut self.observed.served_model, Some(model));
        }
        match self.format {
            Format::AnthropicMessages => self.anthropic(parts, text),
            Format::GeminiGenerate => self.gemini(parts, text),
            Format::OpenaiResponses => self.responses(parts, text),
            Format::CohereChat => self.cohere(parts, text),
            Format::OllamaChat => self.ollama(parts, text),
            _ => self.openai(parts, text),
        }
    }

    /// A stream that came as one list of responses.
    fn list(&mut self, text: &str) {
        for response in Val::parse(text).into_iter().flat_map(Val::elements) {
            if let Ok(parts) = self.read(response.raw()) {
                self.parts(&parts, response.raw());
            }
        }
        if !self.observed.finished && self.observed.error.is_none() {
            self.observed.error =
                Some(Fault::new(FaultClass::Server, "the upstream's answer isn't complete"));
        }
    }

    /// What says little of how many tokens it has.
    fn raw_bytes(&mut self, raw: &str) {
        self.observed.output_bytes += raw.len() as u64;
        self.observed.raw_bytes += raw.len() as u64;
    }

    fn openai(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        if let Some(usage) = parts.usage {
            self.report(counted(self.quirks.as_deref(), usage));
            self.read_so_much(usage);
            self.cached(usage);
        }
        if parts.error.is_some() {
            self.fail(Fault::classify_at(self.errors(), 0, text.as_bytes()));
        } else if self.format == Format::OpenaiChat
            && parts.choices.is_none()
            && parts.usage.is_none()
            && let Some(fault) = Fault::in_frame(self.errors(), text.as_bytes())
        {
            self.fail(fault);
        }
        if self.observed.finished && self.format == Format::OpenaiChat {
            self.chat_done();
        }
        Seen {
            usage_only: parts.choices == Some(0) && parts.usage.is_some_and(|u| u.kind() == Kind::Object),
            model: parts
                .model
                .filter(|(v, _)| v.kind() == Kind::String)
                .map(|(_, span)| span.start..span.end),
        }
    }

    fn errors(&self) -> &[sluicegate_core::quirk::ErrorQuirk] {
        self.quirks.as_deref().map_or(&[], |quirks| &quirks.errors)
    }

    /// The first failure is the answer's.
    fn fail(&mut self, fault: Fault) {
        self.observed.error.get_or_insert(fault);
    }

    /// The top-level members. Choices are read on the way: a frame that only passes is walked once.
    fn read<'a>(&mut self, text: &'a str) -> Result<Parts<'a>, Bad> {
        let mut cursor = Cursor::new(text);
        let mut parts = Parts::default();
        if cursor.kind()? != Kind::Object {
            return Err(cursor.bad("isn't an object"));
        }
        let mut more = cursor.enter()?;
        while more {
            let (name, _) = cursor.name()?;
            let name = name.of(text);
            let has_choices = matches!(self.format, Format::OpenaiChat | Format::OpenaiCompletions);
            if name == "\"choices\"" && has_choices && cursor.kind()? == Kind::Array {
                parts.choices = Some(self.choices(&mut cursor, text)?);
            } else {
                let span = cursor.skip()?;
                parts.note(name, Val::at(text, span), span);
            }
            more = cursor.more(b'}')?;
        }
        cursor.end()?;
        Ok(parts)
    }

    fn choices(&mut self, cursor: &mut Cursor<'_>, text: &str) -> Result<u32, Bad> {
        let mut count = 0;
        let mut more = cursor.enter()?;
        while more {
            count += 1;
            match cursor.kind()? {
                Kind::Object => self.choice(cursor, text)?,
                _ => drop(cursor.skip()?),
            }
            more = cursor.more(b']')?;
        }
        Ok(count)
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>, text: &str) -> Result<(), Bad> {
        let mut more = cursor.enter()?;
        while more {
            let (name, _) = cursor.name()?;
            match (name.of(text), cursor.kind()?) {
                ("\"delta\"" | "\"message\"", Kind::Object) => self.delta(cursor, text)?,
                ("\"text\"", Kind::String) => self.string(cursor, text)?,
                ("\"finish_reason\"", Kind::String) => {
                    let span = cursor.skip()?;
                    self.end(Val::at(text, span));
                }
                // QUIRK(moonshot, 2026-05): older endpoints put the usage of a stream into its last choice.
                ("\"usage\"", Kind::Object) => {
                    let usage = Val::at(text, cursor.skip()?);
                    self.report(counted(self.quirks.as_deref(), usage));
                    self.read_so_much(usage);
                }
                _ => drop(cursor.skip()?),
            }
            more = cursor.more(b'}')?;
        }
        Ok(())
    }

    /// A reason why the answer ended.
    fn end(&mut self, reason: Val<'_>) {
        let own = match &self.quirks {
            Some(quirks) if !quirks.finish.is_empty() => {
                ended(Some(quirks), &reason.as_str().unwrap_or_default())
            }
            _ => Ended::AsTheFormatSays,
        };
        match own {
            Ended::Failed(fault) => self.fail(fault),
            Ended::AsTheFormatSays | Ended::By(_) => self.observed.finished = true,
        }
    }

    /// A delta or message of OpenAI's.
    fn delta(&mut self, cursor: &mut Cursor<'_>, text: &str) -> Result<(), Bad> {
        let (mut details, mut reasons) = (None, false);
        let mut more = cursor.enter()?;
        while more {
            let (name, _) = cursor.name()?;
            match (name.of(text), cursor.kind()?) {
                ("\"content\"" | "\"refusal\"", Kind::String) => self.string(cursor, text)?,
                ("\"reasoning_content\"" | "\"reasoning\"", Kind::String) => {
                    let before = self.observed.output_bytes;
                    self.string(cursor, text)?;
                    reasons |= self.observed.output_bytes > before;
                }
                ("\"reasoning_details\"", Kind::Array) => details = Some(cursor.skip()?),
                ("\"tool_calls\"", Kind::Array) => {
                    for call in Val::at(text, cursor.skip()?).elements() {
                        self.observed.first_content = true;
                        self.call(call.get("function").or(call.get("custom")));
                    }
                }
                ("\"function_call\"", Kind::Object) => {
                    let call = Val::at(text, cursor.skip()?);
                    self.call(Some(call));
                }
                ("\"content\"" | "\"images\"", Kind::Array) => {
                    Val::at(text, cursor.skip()?).elements().for_each(|part| self.part(part));
                }
                ("\"content\"", Kind::Object) => {
                    let part = Val::at(text, cursor.skip()?);
                    self.part(part);
                }
                ("\"audio\"", Kind::Object) => {
                    let audio = Val::at(text, cursor.skip()?);
                    self.spoken(audio.get("data"));
                    let words = audio.get("transcript").filter(|words| words.kind() == Kind::String);
                    words.into_iter().for_each(|words| self.output(words));
                }
                _ => drop(cursor.skip()?),
            }
            more = cursor.more(b'}')?;
        }
        // Where they stand beside plain reasoning they say the same.
        let details = details.filter(|_| !reasons).map(|span| Val::at(text, span));
        for detail in details.into_iter().flat_map(Val::elements) {
            let said = detail.get("text").or_else(|| detail.get("summary"));
            said.filter(|said| said.kind() == Kind::String).into_iter().for_each(|said| self.output(said));
        }
        Ok(())
    }

    fn string(&mut self, cursor: &mut Cursor<'_>, text: &str) -> Result<(), Bad> {
        let (span, escaped) = cursor.string()?;
        let n = if escaped { decoded_len(span.of(text)) } else { span.len() - 2 };
        self.observed.first_content |= n > 0;
        let quoted = span.of(text);
        let drawn = self.pictures_in(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
        self.observed.output_bytes += n.saturating_sub(drawn) as u64;
        Ok(())
    }

    fn call(&mut self, function: Option<Val<'_>>) {
        for (name, value) in function.into_iter().flat_map(Val::members) {
            if matches!(&*name, "name" | "arguments" | "input") && value.kind() == Kind::String {
                self.output(value);
            }
        }
    }

    fn output(&mut self, text: Val<'_>) {
        let n = decoded_len(text.raw());
        self.observed.first_content |= n > 0;
        self.observed.output_bytes += n as u64;
    }

    fn merge(&mut self, usage: Option<Val<'_>>) {
        if let Some(usage) = usage {
            self.counts.merge(usage);
            self.counted(usage);
        }
    }

    fn counted(&mut self, usage: Val<'_>) {
        self.served(Some(usage));
        self.report(self.counts.usage());
    }

    /// What Anthropic's counts say of how a call was served.
    fn served(&mut self, usage: Option<Val<'_>>) {
        let Some(usage) = usage else { return };
        // The tier that was served is billed, not the one asked for.
        if let Some(tier) = usage.get_str("service_tier") {
            self.observed.served_tier = Some(tier.into_owned());
        }
        if let Some(variant) = usage.get_str("inference_geo").and_then(|region| Variant::in_region(&region)) {
            self.observed.served_variant = Some(Box::new(variant));
        }
    }

    /// How much of what it found a search read, where that is said: it has its price.
    fn read_so_much(&mut self, usage: Val<'_>) {
        let Some(size) = usage.get_str("search_context_size") else { return };
        let model = self.observed.served_model.as_deref().unwrap_or_default();
        self.observed.searched(research_queries(model, usage));
        self.observed.served_variant = Variant::of(Some(&size), None).map(Box::new);
    }

    /// Of which kind the cache is that was read.
    fn cached(&mut self, usage: Val<'_>) {
        if let Some(ppm) = asked_cache_ppm(self.quirks.as_deref(), usage) {
            let variant = self.observed.served_variant.get_or_insert_default();
            variant.asked_cache_ppm = Some(ppm);
        }
    }

    fn report(&mut self, counts: Result<Option<Counts>, Absurd>) {
        match counts {
            // Each may be right by itself, and their sum not.
            Ok(Some(counts)) if counts.usage.is_absurd() => self.reject(),
            Ok(Some(counts)) => {
                if !counts.output_missing {
                    self.said_media(&counts.usage);
                }
                let searches = counts.usage.searches.max(self.observed.searches);
                self.observed.usage = Some(Usage { searches, ..counts.usage });
                self.observed.input_missing = counts.input_missing;
                self.observed.output_missing = counts.output_missing;
            }
            Ok(None) => {}
            Err(Absurd) => self.reject(),
        }
    }

    /// Media that passed by are counted in a report that has risen by something like what they take, or by media.
    fn said_media(&mut self, usage: &Usage) {
        let before = self.observed.usage.unwrap_or_default();
        let unsaid = self.observed.media.beyond(self.observed.media_said).tokens();
        let media = |usage: &Usage| usage.image_out.saturating_add(usage.audio_out);
        let rise = usage.output_tokens().saturating_sub(before.output_tokens());
        if media(usage) > media(&before) || rise.saturating_mul(2) >= unsaid {
            self.observed.media_said = self.observed.media;
        }
    }

    fn reject(&mut self) {
        self.observed.usage_rejected = true;
        self.observed.usage = None;
        self.observed.media_said = MediaOut::default();
    }
}

fn note(place: &mut Option<String>, value: Option<Val<'_>>) {
    if place.is_none()
        && let Some(text) = value.and_then(Val::as_str)
        && !text.is_empty()
    {
        // BOUND: these go into records.
        *place = Some(text.get(..text.floor_char_boundary(NOTED_MAX)).unwrap_or_default().to_owned());
    }
}

/// Where the value of `model` stands inside the object at `span`.
fn model_in(text: &str, span: Span) -> Option<Range<usize>> {
    let inner = span.of(text);
    let mut cursor = Cursor::new(inner);
    let mut more = cursor.kind().and_then(|_| cursor.enter()).ok()?;
    while more {
        let (name, _) = cursor.name().ok()?;
        let kind = cursor.kind().ok()?;
        let value = cursor.skip().ok()?;
        if name.of(inner) == "\"model\"" && kind == Kind::String {
            return Some(span.start + value.start..span.start + value.end);
        }
        more = cursor.more(b'}').ok()?;
    }
    None
}
