//! What passes by in Ollama's chat.

use super::{Parts, Seen, Tap};
use crate::fault::Fault;
use crate::json::{Kind, Val};
use crate::usage::ollama;

impl Tap {
    pub(super) fn ollama(&mut self, parts: &Parts<'_>, text: &str) -> Seen {
        if parts.error.is_some() {
            self.fail(Fault::classify_at(self.errors(), 0, text.as_bytes()));
            return Seen::default();
        }
        for (name, value) in parts.message.map(|(message, _)| message).into_iter().flat_map(Val::members) {
            match (&*name, value.kind()) {
                ("content" | "thinking", Kind::String) => self.output(value),
                ("tool_calls", Kind::Array) => value.elements().for_each(|call| self.ollama_call(call)),
                _ => {}
            }
        }
        if parts.done.and_then(Val::as_bool) == Some(true) {
            self.observed.closed = true;
            self.observed.finished = true;
            self.report(ollama(Val::trusted(text)));
        }
        Seen::default()
    }

    fn ollama_call(&mut self, call: Val<'_>) {
        self.observed.first_content = true;
        let function = call.get("function");
        self.call(function);
        if let Some(arguments) =
            function.and_then(|f| f.get("arguments")).filter(|v| v.kind() == Kind::Object)
        {
            self.observed.output_bytes += arguments.raw().len() as u64;
        }
    }
}
