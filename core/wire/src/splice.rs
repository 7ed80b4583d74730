//! Edits, spliced into the bytes as they came.

use std::borrow::Cow;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::openai::wants_max_completion_tokens;
use sluicegate_core::quirk::Quirks;

use crate::json::{Val, escape_into, object};
use crate::scan::{Field, Member, Scanned, is_ours_in_metadata};
use crate::texts::{place, spliced};

/// Which field carries the output ceiling in OpenAI's chat format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CeilingField {
    /// The one that the caller used. None: `max_completion_tokens` for OpenAI's reasoning models (by name: `o1`, `o3`,
    /// `o4`, `gpt-5` and their variants), which refuse the other, and `max_tokens` for everything else.
    #[default]
    AsSent,
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// What to change in a request on its way out. The default changes nothing but what only we read (`tags`,
/// `guardrails`, `fallbacks`, `mock_…`).
#[derive(Clone, Debug, Default)]
pub struct Edits<'a> {
    /// The model's name at the upstream.
    pub model: Option<&'a str>,
    /// The output ceiling to send, in tokens for each choice; replaces the caller's.
    pub max_output: Option<u64>,
    /// Where it goes.
    pub ceiling_field: CeilingField,
    /// Ask for the usage chunk of a stream even if the caller didn't. The reply then hides that chunk from the caller.
    pub include_usage: bool,
    /// Whether the upstream searches the web by itself when it is asked to. `None`: as its format says, where in chat
    /// completions some models do. Matters for requests that are translated: others ask as they asked.
    pub web_search: Option<bool>,
    /// What is different at the upstream's provider. A request that is translated is written by it: how to think, and what was
    /// thought. The rest of it is [heeded](Scanned::heed) afterwards.
    pub quirks: Option<&'a Quirks>,
    /// Top-level fields to leave out.
    pub drop: &'a [&'a str],
    /// Top-level fields to set, as raw JSON; replaces what the caller sent. The values must be valid JSON.
    pub set: &'a [(&'a str, &'a str)],
}

/// The name of the field for the ceiling, when the caller named none.
pub(crate) fn ceiling_name(format: Format, field: CeilingField, model: &str) -> &'static str {
    match (format, field) {
        (Format::OpenaiResponses, _) => "max_output_tokens",
        (Format::OpenaiChat, CeilingField::MaxCompletionTokens) => "max_completion_tokens",
        (Format::OpenaiChat, CeilingField::AsSent) if wants_max_completion_tokens(model) => {
            "max_completion_tokens"
        }
        _ => "max_tokens",
    }
}

/// The edited body; the very same bytes when nothing changes.
pub(crate) fn splice(scanned: &Scanned, edits: &Edits<'_>) -> Bytes {
    let plan = Plan::new(scanned, edits);
    if plan.is_idle(scanned) {
        return scanned.body().clone();
    }
    Bytes::from(plan.write(scanned))
}

struct Plan<'a> {
    edits: &'a Edits<'a>,
    model: Option<&'a str>,
    force_usage: bool,
    /// The ceiling fields as sent are replaced in place.
    ceiling_in_place: bool,
}

enum Fate {
    Keep,
    Drop,
    Replace(String),
}

impl<'a> Plan<'a> {
    fn new(scanned: &'a Scanned, edits: &'a Edits<'a>) -> Self {
        let facts = scanned.facts();
        let sent = |field| scanned.member(field).is_some_and(|m| m.value.of(scanned.text()) != "null");
        let is_gemini = scanned.format() == Format::GeminiGenerate;
        let as_sent = edits.ceiling_field == CeilingField::AsSent || scanned.format() != Format::OpenaiChat;
        Self {
            edits,
            // Gemini's stands in the address.
            model: edits.model.filter(|model| *model != facts.model && !is_gemini),
            force_usage: edits.include_usage
                && matches!(scanned.format(), Format::OpenaiChat | Format::OpenaiCompletions)
                && facts.stream
                && !facts.include_usage,
            ceiling_in_place: as_sent
                && (sent(Field::MaxTokens)
                    || sent(Field::MaxCompletionTokens)
                    || sent(Field::GenerationConfig)),
        }
    }

    /// Whether the ceiling that goes out is the one that came in.
    fn same_ceiling(&self, scanned: &Scanned) -> bool {
        match self.edits.max_output {
            None => true,
            Some(n) => self.ceiling_in_place && scanned.facts().max_output == Some(n),
        }
    }

    /// The model of a body that names none, though it has a place for one.
    fn missing_model(&self, scanned: &Scanned) -> Option<&'a str> {
        let is_said = scanned.format() == Format::GeminiGenerate || scanned.member(Field::Model).is_some();
        self.edits.model.filter(|_| !is_said)
    }

    fn is_idle(&self, scanned: &Scanned) -> bool {
        self.model.is_none()
            && self.missing_model(scanned).is_none()
            && !self.force_usage
            && self.same_ceiling(scanned)
            && self.edits.drop.is_empty()
            && self.edits.set.is_empty()
            && !scanned.facts().ours_in_metadata
            && !scanned.members.iter().any(|member| is_ours(scanned, member.field))
    }

    fn fate(&self, scanned: &Scanned, member: &Member) -> Fate {
        let value = member.value.of(scanned.text());
        if !self.edits.drop.is_empty() || !self.edits.set.is_empty() {
            let name = crate::json::unescape(member.name.of(scanned.text()));
            if self.edits.drop.contains(&&*name) || self.edits.set.iter().any(|(set, _)| *set == name) {
                return Fate::Drop;
            }
        }
        match member.field {
            ours if is_ours(scanned, ours) => Fate::Drop,
            Field::GenerationConfig => {
                match self.edits.max_output.filter(|n| scanned.facts().max_output != Some(*n)) {
                    Some(_) if value == "null" => Fate::Drop,
                    Some(n) => Fate::Replace(with_ceiling(value, n)),
                    None => Fate::Keep,
                }
            }
            Field::Model => self.model.map_or(Fate::Keep, |model| {
                let mut quoted = String::with_capacity(model.len() + 2);
                escape_into(&mut quoted, model);
                Fate::Replace(quoted)
            }),
            Field::MaxTokens | Field::MaxCompletionTokens => match self.edits.max_output {
                Some(n) if self.ceiling_in_place && value != "null" => Fate::Replace(n.to_string()),
                Some(_) => Fate::Drop,
                None => Fate::Keep,
            },
            Field::StreamOptions if self.force_usage => Fate::Replace(with_usage(value)),
            Field::Metadata if scanned.facts().ours_in_metadata => without_ours(value),
            _ => Fate::Keep,
        }
    }

    fn write(&self, scanned: &Scanned) -> Vec<u8> {
        let text = scanned.text();
        let set: usize = self.edits.set.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut out = String::with_capacity(text.len() + set + 128);
        let mut lead = '{';
        let mut begin = |out: &mut String| {
            out.push(lead);
            lead = ',';
        };
        for member in &scanned.members {
            match self.fate(scanned, member) {
                Fate::Keep => {
                    begin(&mut out);
                    out.push_str(text.get(member.name.start..member.value.end).unwrap_or_default());
                }
                Fate::Replace(value) => {
                    begin(&mut out);
                    out.push_str(text.get(member.name.start..member.value.start).unwrap_or_default());
                    out.push_str(&value);
                }
                Fate::Drop => {}
            }
        }
        if let Some(n) = self.edits.max_output.filter(|_| !self.ceiling_in_place) {
            let model = self.edits.model.unwrap_or(&scanned.facts().model);
            begin(&mut out);
            out.push_str(&match scanned.format() {
                Format::GeminiGenerate => format!(r#""generationConfig":{{"maxOutputTokens":{n}}}"#),
                format => format!("\"{}\":{n}", ceiling_name(format, self.edits.ceiling_field, model)),
            });
        }
        if let Some(model) = self.missing_model(scanned) {
            begin(&mut out);
            out.push_str("\"model\":");
            escape_into(&mut out, model);
        }
        if self.force_usage && scanned.member(Field::StreamOptions).is_none() {
            begin(&mut out);
            out.push_str(r#""stream_options":{"include_usage":true}"#);
        }
        for (name, value) in self.edits.set {
            begin(&mut out);
            escape_into(&mut out, name);
            out.push(':');
            out.push_str(value);
        }
        begin(&mut out);
        // INVARIANT: a scanned body has a model, so something was written before, unless all of it was dropped.
        out.truncate(out.len() - 1);
        if out.is_empty() {
            out.push('{');
        }
        out.push('}');
        out.into_bytes()
    }
}

/// Whether only we read it: in Gemini's format model and streaming stand in the address.
fn is_ours(scanned: &Scanned, field: Field) -> bool {
    let in_address =
        scanned.format() == Format::GeminiGenerate && matches!(field, Field::Model | Field::Stream);
    in_address || field.is_ours()
}

/// Gemini's configuration with that ceiling; all else stays as it was written.
fn with_ceiling(config: &str, ceiling: u64) -> String {
    let inner = Val::trusted(config);
    let named = inner.members().find(|(name, _)| crate::gemini::camel_case(name) == "maxOutputTokens");
    if let Some((_, value)) = named {
        return spliced(config, vec![(place(config, value), ceiling.to_string())]);
    }
    let rest = config.trim_start().strip_prefix('{').unwrap_or_default();
    let comma = if inner.members().next().is_some() { "," } else { "" };
    format!("{{\"maxOutputTokens\":{ceiling}{comma}{rest}")
}

fn with_usage(options: &str) -> String {
    object(|o| {
        for (name, value) in Val::trusted(options).members().filter(|(name, _)| name != "include_usage") {
            o.raw(&name, value.raw());
        }
        o.bool("include_usage", true);
    })
}

/// The caller's metadata without what only we read.
fn without_ours(metadata: &str) -> Fate {
    let v = Val::trusted(metadata);
    let theirs = |(name, value): &(Cow<'_, str>, Val<'_>)| !is_ours_in_metadata(name, *value);
    let rest: Vec<_> = v.members().filter(theirs).collect();
    if rest.is_empty() {
        return Fate::Drop;
    }
    Fate::Replace(object(|o| rest.iter().for_each(|(name, value)| o.raw(name, value.raw()))))
}

#[cfg(test)]
mod tests;
