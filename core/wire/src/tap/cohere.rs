//! What passes by in Cohere's chat.

use super::{Parts, Seen, Tap};
use crate::fault::{Fault, FaultClass};
use crate::json::{Kind, Val};
use crate::usage::cohere;

impl Tap {
    pub(super) fn cohere(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        let message = parts.message.map(|(message, _)| message);
        let delta = parts.delta.and_then(|delta| delta.get("message"));
        match parts.kind.and_then(Val::as_str).as_deref() {
            // A whole answer has no type, and neither has an error.
            None if message.is_some_and(|message| message.kind() == Kind::Object) => {
                self.cohere_message(message);
                self.cohere_end(Val::trusted(text));
            }
            None if message.is_some() || parts.error.is_some() => {
                self.fail(Fault::classify_at(self.errors(), 0, text.as_bytes()));
            }
            Some(
                "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" | "tool-call-delta",
            ) => {
                self.cohere_message(delta);
            }
            Some("message-end") => {
                self.observed.closed = true;
                self.observed.finished = true;
                if let Some(end) = parts.delta {
                    self.cohere_end(end);
                }
            }
            Some("error") => self.fail(Fault::classify_at(self.errors(), 0, text.as_bytes())),
            _ => {}
        }
        Seen::default()
    }

    /// Content, a plan and calls: whole ones are in lists, fragments aren't.
    fn cohere_message(&mut self, message: Option<Val<'_>>) {
        for (name, value) in message.into_iter().flat_map(Val::members) {
            match (&*name, value.kind()) {
                ("tool_plan" | "content", Kind::String) => self.output(value),
                ("content", Kind::Object) => self.block(value),
                ("content", Kind::Array) => value.elements().for_each(|part| self.block(part)),
                ("tool_calls", Kind::Object) => self.cohere_call(value),
                ("tool_calls", Kind::Array) => value.elements().for_each(|call| self.cohere_call(call)),
                _ => {}
            }
        }
    }

    fn cohere_call(&mut self, call: Val<'_>) {
        self.observed.first_content = true;
        self.call(call.get("function"));
    }

    /// Why it ended, and what it used.
    fn cohere_end(&mut self, end: Val<'_>) {
        if let Some(usage) = end.get("usage") {
            self.report(cohere(usage));
        }
        let Some(word) = end.get_str("finish_reason") else { return };
        if crate::cohere::stop_of(&word).is_none() {
            let said = end.get_str("error").map(|said| said.into_owned());
            let class = if word == "TIMEOUT" { FaultClass::Timeout } else { FaultClass::Server };
            let said = said.unwrap_or_else(|| format!("the upstream ended the answer: {word}"));
            self.fail(Fault::new(class, said));
        }
    }
}
