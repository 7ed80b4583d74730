//! What an answer in the shape of Anthropic messages says.

use super::{Parts, Seen, Tap, model_in, note};
use crate::fault::Fault;
use crate::json::{Kind, Val};

impl Tap {
    pub(super) fn anthropic(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        let kind = parts.kind.and_then(Val::as_str).unwrap_or_default();
        let mut seen = Seen::default();
        match &*kind {
            "message_start" => {
                if let Some((message, span)) = parts.message {
                    note(&mut self.observed.response_id, message.get("id"));
                    note(&mut self.observed.served_model, message.get("model"));
                    seen.model = model_in(text, span);
                    if let Some(usage) = message.get("usage") {
                        self.counts.begin(usage);
                        self.counted(usage);
                    }
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
                self.merge(parts.usage);
                self.observed.finished |= parts.delta.is_some_and(|d| d.get("stop_reason").is_some());
            }
            "message_stop" => {
                self.observed.closed = true;
                self.observed.finished = true;
            }
            "error" => {
                self.fail(Fault::classify_at(self.errors(), 0, text.as_bytes()));
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
                self.merge(parts.usage);
            }
            _ => {}
        }
        seen
    }

    /// A content block or a delta of one.
    pub(super) fn block(&mut self, block: Val<'_>) {
        self.block_searched(block);
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
}
