//! An answer of Ollama's chat, whole or in lines, into events.

use crate::ir::{Event, Item, Stop, ToolKind};
use crate::json::{Kind, Val};
use crate::loss::Losses;
use crate::names::tool_id;

/// Reads the lines of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    tools: u32,
    /// When the answer began: ids of calls that have none are made of it.
    began: String,
    pub(crate) losses: Losses,
}

impl Decoder {
    /// Reads one line, or the whole body.
    pub(crate) fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        let mut emit = |event| on(Item { choice: 0, event });
        if self.began.is_empty() {
            let began = v.get_str("created_at").unwrap_or_default();
            self.began = began.chars().filter(char::is_ascii_digit).take(24).collect();
        }
        if let Some(message) = v.get("message") {
            let text = |name: &str| message.get_str(name).filter(|text| !text.is_empty());
            if let Some(thought) = text("thinking") {
                emit(Event::Thinking(thought.into_owned()));
            }
            if let Some(text) = text("content") {
                emit(Event::Text(text.into_owned()));
            }
            for call in message.get("tool_calls").into_iter().flat_map(Val::elements) {
                self.call(call, &mut emit);
            }
            if message.get("images").is_some_and(|list| list.elements().next().is_some()) {
                self.losses
                    .dropped("message.images", "the caller's format has no place for media in answers");
            }
        }
        if let Some(list) = v.get("logprobs").filter(|list| list.elements().next().is_some()) {
            emit(Event::Logprobs(list.raw().to_owned()));
        }
        if v.get("done").and_then(Val::as_bool) == Some(true) {
            let reason = match v.get_str("done_reason").as_deref() {
                Some("length") => Stop::Length,
                _ => Stop::End,
            };
            emit(Event::Stop { reason, sequence: None });
        }
    }

    /// A call comes whole.
    fn call(&mut self, call: Val<'_>, emit: &mut impl FnMut(Event)) {
        let tool = self.tools;
        self.tools = self.tools.saturating_add(1);
        let function = call.get("function");
        let own = call.get_str("id").filter(|id| !id.is_empty()).map(|id| id.into_owned());
        let id = own.unwrap_or_else(|| tool_id(&format!("call_{}_{tool}", self.began)).into_owned());
        let name = function.and_then(|f| f.get_str("name")).unwrap_or_default().into_owned();
        emit(Event::ToolStart { tool, id, name, kind: ToolKind::Function });
        if let Some(arguments) = function.and_then(|f| f.get("arguments")) {
            // Servers like it write a string, as others do.
            let json = match arguments.kind() {
                Kind::String => arguments.as_str().unwrap_or_default().into_owned(),
                _ => arguments.raw().to_owned(),
            };
            emit(Event::ToolArgs { tool, json });
        }
    }
}
