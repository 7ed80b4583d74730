//! What an answer in the shape of OpenAI Responses says.

use super::{Parts, Seen, Tap, model_in, note};
use crate::fault::Fault;
use crate::json::{Kind, Val};
use crate::usage::responses;

impl Tap {
    /// An event of a stream of responses, or a whole one.
    pub(super) fn responses(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        if let Some(number) = parts.number.and_then(Val::as_u64) {
            self.next_number = number.saturating_add(1);
        }
        let mut seen = Seen::default();
        let Some(kind) = parts.kind.and_then(Val::as_str) else {
            // A whole response has no type.
            for item in parts.output.into_iter().flat_map(Val::elements) {
                self.item(item);
            }
            self.output_done(parts.output);
            self.responses_usage(parts.usage);
            seen.model =
                parts.model.filter(|(v, _)| v.kind() == Kind::String).map(|(_, span)| span.start..span.end);
            return seen;
        };
        if kind == "error" {
            self.observed.error.get_or_insert_with(|| Fault::classify(0, text.as_bytes()));
        } else if matches!(&*kind, "response.output_audio.delta" | "response.audio.delta") {
            self.spoken(parts.delta);
        } else if kind.ends_with(".delta") {
            if let Some(delta) = parts.delta.filter(|delta| delta.kind() == Kind::String) {
                self.output(delta);
            }
        } else if kind == "response.output_item.added" {
            let name = parts.item.and_then(|item| item.get("name")).filter(|v| v.kind() == Kind::String);
            name.into_iter().for_each(|name| self.output(name));
        } else if kind == "response.output_item.done" {
            // Pictures come whole, with the item's end.
            parts.item.and_then(picture_of).into_iter().for_each(|picture| self.picture(picture));
            parts.item.into_iter().for_each(|item| self.item_done(item));
        } else if let Some((response, span)) = parts.response {
            note(&mut self.observed.response_id, response.get("id"));
            note(&mut self.observed.served_model, response.get("model"));
            seen.model = model_in(text, span);
            self.terminal(&kind, response);
        }
        seen
    }

    fn terminal(&mut self, kind: &str, response: Val<'_>) {
        if !matches!(kind, "response.completed" | "response.incomplete" | "response.failed") {
            return;
        }
        self.observed.closed = true;
        self.output_done(response.get("output"));
        // What it began with is what was asked for; this is what served it.
        if let Some(tier) = response.get("service_tier") {
            self.observed.served_tier = None;
            note(&mut self.observed.served_tier, Some(tier));
        }
        if kind == "response.failed" {
            let fault = Fault::classify(0, response.raw().as_bytes());
            self.observed.error.get_or_insert(fault);
            return self.failed(response.get("usage"));
        }
        if !self.observed.first_content {
            // Some send nothing but the end.
            for item in response.get("output").into_iter().flat_map(Val::elements) {
                self.item(item);
            }
        }
        self.responses_usage(response.get("usage"));
        self.observed.finished = true;
    }

    /// A failure that says what was used is billed.
    pub(super) fn failed(&mut self, usage: Option<Val<'_>>) {
        self.responses_usage(usage);
        self.observed.finished = self.observed.usage.is_some_and(|usage| usage.total_tokens() > 0);
    }

    fn responses_usage(&mut self, usage: Option<Val<'_>>) {
        if let Some(usage) = usage {
            self.report(responses(usage));
            self.cached(usage);
        }
    }

    /// An item of a whole output.
    fn item(&mut self, item: Val<'_>) {
        self.observed.first_content = true;
        picture_of(item).into_iter().for_each(|picture| self.picture(picture));
        for (name, value) in item.members() {
            match (&*name, value.kind()) {
                ("name" | "arguments" | "input", Kind::String) => self.output(value),
                ("content" | "summary", Kind::Array) => {
                    for part in value.elements() {
                        let text = part.get("text").or_else(|| part.get("refusal"));
                        text.filter(|v| v.kind() == Kind::String).into_iter().for_each(|v| self.output(v));
                    }
                }
                _ => {}
            }
        }
    }
}

/// The picture that an item made.
fn picture_of(item: Val<'_>) -> Option<Val<'_>> {
    let is_made = item.get_str("type").as_deref() == Some("image_generation_call");
    item.get("result").filter(|_| is_made)
}
