//! What an answer in the shape of Gemini says.

use super::{Parts, Seen, Tap, note};
use crate::fault::Fault;
use crate::json::{Kind, Val};
use crate::usage::gemini;

impl Tap {
    pub(super) fn gemini(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        if parts.error.is_some() {
            self.observed.error.get_or_insert_with(|| Fault::classify(0, text.as_bytes()));
        }
        let named = |v: Val<'_>, name| crate::gemini::member(v, name).is_some_and(|word| !word.is_null());
        // A prompt that is blocked has no candidates.
        self.observed.finished |= parts.feedback.is_some_and(|feedback| named(feedback, "blockReason"));
        for candidate in parts.candidates.into_iter().flat_map(Val::elements) {
            let reason = crate::gemini::member(candidate, "finishReason").and_then(Val::as_str);
            self.observed.finished |= reason.is_some_and(|word| word != "FINISH_REASON_UNSPECIFIED");
            let content = candidate.get("content").and_then(|content| content.get("parts"));
            content.into_iter().flat_map(Val::elements).for_each(|part| self.gemini_part(part));
            self.grounded(candidate);
        }
        // It counts what stands beside it.
        if let Some(usage) = parts.usage {
            // What its head says in `x-gemini-service-tier`: the tier that is billed.
            note(&mut self.observed.served_tier, crate::gemini::member(usage, "serviceTier"));
            self.report(gemini(usage));
        }
        Seen {
            usage_only: false,
            model: parts
                .model
                .filter(|(v, _)| v.kind() == Kind::String)
                .map(|(_, span)| span.start..span.end),
        }
    }

    fn gemini_part(&mut self, part: Val<'_>) {
        for (name, value) in part.members() {
            match (&*name, value.kind()) {
                ("text", Kind::String) => self.output(value),
                ("functionCall", Kind::Object) => {
                    value.get("name").into_iter().for_each(|name| self.output(name));
                    self.observed.first_content = true;
                    self.observed.output_bytes += value.get("args").map_or(0, |args| args.raw().len() as u64);
                }
                ("inlineData", Kind::Object) => {
                    let kind = crate::gemini::member(value, "mimeType").and_then(Val::as_str);
                    match kind.is_some_and(|kind| kind.starts_with("audio/")) {
                        true => self.spoken(value.get("data")),
                        false => value.get("data").into_iter().for_each(|data| self.picture(data)),
                    }
                }
                // Code and what it printed: their raw length is more than their text.
                ("executableCode" | "codeExecutionResult", Kind::Object) => {
                    self.observed.first_content = true;
                    self.raw_bytes(value.raw());
                }
                _ => {}
            }
        }
    }
}
