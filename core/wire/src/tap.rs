//! Reads usage, errors and progress from an answer as it passes, without keeping or copying it.

use std::borrow::Cow;
use std::ops::Range;

use sluicegate_core::Format;

use crate::fault::Fault;
use crate::json::{Cursor, Kind, Span, Val, decoded_len};
use crate::observed::Observed;
use crate::sse::fields;
use crate::usage::{Absurd, AnthropicCounts, openai};

/// Watches one answer, frame by frame or whole.
#[derive(Debug)]
pub(crate) struct Tap {
    format: Format,
    counts: AnthropicCounts,
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
    choices: Option<Val<'a>>,
    usage: Option<Val<'a>>,
    error: Option<Val<'a>>,
    tier: Option<Val<'a>>,
    message: Option<(Val<'a>, Span)>,
    delta: Option<Val<'a>>,
    block: Option<Val<'a>>,
    content: Option<Val<'a>>,
    data: Option<Val<'a>>,
    base: Option<Val<'a>>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        if cursor.kind().ok()? != Kind::Object {
            return None;
        }
        let mut parts = Self::default();
        let mut more = cursor.enter().ok()?;
        while more {
            let (name, _) = cursor.name().ok()?;
            let span = cursor.skip().ok()?;
            let value = Val::trusted(span.of(text));
            match name.of(text) {
                _ if value.is_null() => {}
                "\"type\"" => parts.kind = Some(value),
                "\"id\"" => parts.id = Some(value),
                "\"model\"" => parts.model = Some((value, span)),
                "\"choices\"" => parts.choices = Some(value),
                "\"usage\"" => parts.usage = Some(value),
                // QUIRK(groq, 2026-05): usage of a stream stands in an object of its own.
                "\"x_groq\"" => parts.usage = parts.usage.or(value.get("usage")),
                "\"error\"" => parts.error = Some(value),
                "\"service_tier\"" => parts.tier = Some(value),
                "\"message\"" => parts.message = Some((value, span)),
                "\"delta\"" => parts.delta = Some(value),
                "\"content_block\"" => parts.block = Some(value),
                "\"content\"" => parts.content = Some(value),
                "\"data\"" => parts.data = Some(value),
                "\"base_resp\"" => parts.base = Some(value),
                _ => {}
            }
            more = cursor.more(b'}').ok()?;
        }
        cursor.end().ok()?;
        Some(parts)
    }

    /// Whether this is plainly a whole answer of that format.
    fn is_answer(&self, format: Format) -> bool {
        let main = match format {
            Format::OpenaiChat => self.choices,
            Format::OpenaiEmbeddings => self.data,
            _ => self.content,
        };
        main.is_some_and(|list| list.kind() == Kind::Array) && self.error.is_none() && self.base.is_none()
    }
}

impl Tap {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, counts: AnthropicCounts::default(), observed: Observed::default() }
    }

    /// Reads one frame of a stream.
    pub(crate) fn frame(&mut self, raw: &[u8]) -> Seen {
        let Some(data) = fields(raw).data else {
            return Seen::default();
        };
        if data.trim_ascii() == b"[DONE]" {
            self.observed.closed = true;
            return Seen::default();
        }
        let offset = match &data {
            // A frame of one data line: the slice lies inside `raw`.
            Cow::Borrowed(slice) => Some((slice.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize)),
            Cow::Owned(_) => None,
        };
        let Some(text) = std::str::from_utf8(&data).ok() else {
            return Seen::default();
        };
        let Some(parts) = Parts::read(text) else {
            return Seen::default();
        };
        let mut seen = self.parts(&parts, text);
        seen.model = seen.model.zip(offset).map(|(span, by)| span.start + by..span.end + by);
        seen
    }

    /// Reads a whole body. Returns where the model's name stands.
    pub(crate) fn body(&mut self, body: &[u8]) -> Option<Range<usize>> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let parts = Parts::read(text).unwrap_or_default();
        if !parts.is_answer(self.format)
            && let Some(fault) = Fault::in_ok_body(self.format, body)
        {
            self.observed.error = Some(fault);
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
        if self.format == Format::AnthropicMessages {
            self.anthropic(parts, text)
        } else {
            self.openai(parts, text)
        }
    }

    fn openai(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        let mut choices = 0;
        for choice in parts.choices.into_iter().flat_map(Val::elements) {
            choices += 1;
            self.choice(choice);
        }
        if let Some(usage) = parts.usage {
            self.report(openai(usage));
        }
        if parts.error.is_some() {
            self.observed.error.get_or_insert_with(|| Fault::classify(0, text.as_bytes()));
        }
        Seen {
            usage_only: choices == 0
                && parts.choices.is_some()
                && parts.usage.is_some_and(|u| u.kind() == Kind::Object),
            model: parts
                .model
                .filter(|(v, _)| v.kind() == Kind::String)
                .map(|(_, span)| span.start..span.end),
        }
    }

    fn choice(&mut self, choice: Val<'_>) {
        for (name, value) in choice.members() {
            match (&*name, value.kind()) {
                ("delta" | "message", Kind::Object) => self.delta(value),
                ("text", Kind::String) => self.output(value),
                ("finish_reason", Kind::String) => self.observed.finished = true,
                // QUIRK(moonshot, 2026-05): older endpoints put the usage of a stream into its last choice.
                ("usage", Kind::Object) => self.report(openai(value)),
                _ => {}
            }
        }
    }

    /// A delta or message of OpenAI's.
    fn delta(&mut self, delta: Val<'_>) {
        for (name, value) in delta.members() {
            match (&*name, value.kind()) {
                ("content" | "reasoning_content" | "reasoning" | "refusal", Kind::String) => {
                    self.output(value)
                }
                ("tool_calls", Kind::Array) => {
                    for call in value.elements() {
                        self.observed.first_content = true;
                        self.call(call.get("function").or(call.get("custom")));
                    }
                }
                ("function_call", Kind::Object) => self.call(Some(value)),
                // Lists of parts, audio, reasoning details: their raw length is more than their text.
                ("content" | "audio", Kind::Array | Kind::Object) => {
                    self.observed.first_content = true;
                    self.observed.output_bytes += value.raw().len() as u64;
                }
                _ => {}
            }
        }
    }

    fn call(&mut self, function: Option<Val<'_>>) {
        for (name, value) in function.into_iter().flat_map(Val::members) {
            if matches!(&*name, "name" | "arguments" | "input") && value.kind() == Kind::String {
                self.output(value);
            }
        }
    }

    fn anthropic(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        let kind = parts.kind.and_then(Val::as_str).unwrap_or_default();
        let mut seen = Seen::default();
        match &*kind {
            "message_start" => {
                if let Some((message, span)) = parts.message {
                    note(&mut self.observed.response_id, message.get("id"));
                    note(&mut self.observed.served_model, message.get("model"));
                    seen.model = model_in(text, span);
                    self.counts(message.get("usage"));
                }
            }
            "content_block_start" => {
                let block = parts.block.and_then(|b| b.get_str("type"));
                // A text block starts empty; a tool call's name is content.
                if let Some(block) = parts
                    .block
                    .filter(|_| block.as_deref() != Some("text") && block.as_deref() != Some("thinking"))
                {
                    self.observed.first_content = true;
                    self.block(block);
                } else if let Some(block) = parts.block {
                    self.block(block);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = parts.delta {
                    self.block(delta);
                }
            }
            "message_delta" => {
                self.counts(parts.usage);
                self.observed.finished |= parts.delta.is_some_and(|d| d.get("stop_reason").is_some());
            }
            "message_stop" => {
                self.observed.closed = true;
                self.observed.finished = true;
            }
            "error" => {
                self.observed.error.get_or_insert_with(|| Fault::classify(0, text.as_bytes()));
            }
            "message" => {
                for block in parts.content.into_iter().flat_map(Val::elements) {
                    self.observed.first_content = true;
                    self.block(block);
                }
                seen.model = parts
                    .model
                    .filter(|(v, _)| v.kind() == Kind::String)
                    .map(|(_, span)| span.start..span.end);
                self.counts(parts.usage);
            }
            _ => {}
        }
        seen
    }

    /// A content block or a delta of one.
    fn block(&mut self, block: Val<'_>) {
        for (name, value) in block.members() {
            match (&*name, value.kind()) {
                ("text" | "partial_json" | "thinking" | "name", Kind::String) => self.output(value),
                ("input", Kind::Object) if value.raw().len() > 2 => {
                    self.observed.first_content = true;
                    self.observed.output_bytes += value.raw().len() as u64;
                }
                _ => {}
            }
        }
    }

    fn output(&mut self, text: Val<'_>) {
        let n = decoded_len(text.raw());
        self.observed.first_content |= n > 0;
        self.observed.output_bytes += n as u64;
    }

    fn counts(&mut self, usage: Option<Val<'_>>) {
        let Some(usage) = usage else {
            return;
        };
        // The tier that was served is billed, not the one asked for (T54).
        if let Some(tier) = usage.get_str("service_tier") {
            self.observed.served_tier = Some(tier.into_owned());
        }
        let merged = self.counts.merge(usage).and_then(|()| self.counts.usage());
        self.report(merged);
    }

    fn report(&mut self, usage: Result<Option<sluicegate_core::Usage>, Absurd>) {
        match usage {
            Ok(Some(usage)) => self.observed.usage = Some(usage),
            Ok(None) => {}
            Err(Absurd) => {
                self.observed.usage_rejected = true;
                self.observed.usage = None;
            }
        }
    }
}

fn note(place: &mut Option<String>, value: Option<Val<'_>>) {
    if place.is_none()
        && let Some(text) = value.and_then(Val::as_str)
        && !text.is_empty()
    {
        // BOUND: these go into records.
        *place = Some(text.chars().take(256).collect());
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
