//! An answer of Cohere's chat, whole or streamed, into events.

use super::stop_of;
use crate::ir::{Citation, Event, Item, ToolKind};
use crate::json::{Kind, Val};
use crate::loss::Losses;

/// Reads the events of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The upstream's index of each call, by the number that it has here.
    calls: Vec<u64>,
    /// How long the plan before the text is, in characters: places don't count it.
    plan: u64,
    pub(crate) losses: Losses,
}

impl Decoder {
    /// Reads one event, or the whole body.
    pub(crate) fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        let mut emit = |event| on(Item { choice: 0, event });
        let Some(kind) = v.get_str("type") else {
            return self.whole(v, &mut emit);
        };
        let delta = v.get("delta");
        let message = delta.and_then(|delta| delta.get("message"));
        let index = v.get_u64("index").unwrap_or(0);
        match &*kind {
            "content-start" | "content-delta" => {
                message.and_then(|m| m.get("content")).into_iter().for_each(|part| content(part, &mut emit));
            }
            "tool-plan-delta" => self.plan(message, &mut emit),
            "tool-call-start" => {
                if let Some(call) = message.and_then(|m| m.get("tool_calls")) {
                    self.start(call, index, &mut emit);
                }
            }
            "tool-call-delta" => {
                let call = message.and_then(|m| m.get("tool_calls"));
                let json = call.and_then(|call| call.get("function")).and_then(|f| f.get_str("arguments"));
                // An index that no call began with is of the last one.
                let at = self.calls.iter().rposition(|known| *known == index);
                let tool = at.or_else(|| self.calls.len().checked_sub(1));
                if let Some((json, tool)) = json.filter(|json| !json.is_empty()).zip(tool) {
                    emit(Event::ToolArgs { tool: number(tool), json: json.into_owned() });
                }
            }
            "citation-start" => {
                let cited = message.and_then(|m| m.get("citations"));
                cited.into_iter().for_each(|cited| self.cite(cited, &mut emit));
            }
            "message-end" => end(delta, &mut emit),
            _ => {}
        }
    }

    fn whole(&mut self, v: Val<'_>, emit: &mut impl FnMut(Event)) {
        let message = v.get("message");
        let parts = message.and_then(|m| m.get("content"));
        let is_thought = |part: &Val<'_>| part.get("thinking").is_some();
        let list = || parts.into_iter().flat_map(Val::elements);
        list().filter(is_thought).for_each(|part| content(part, emit));
        self.plan(message, emit);
        list().filter(|part| !is_thought(part)).for_each(|part| content(part, emit));
        if let Some(text) = parts.and_then(Val::as_str).filter(|text| !text.is_empty()) {
            emit(Event::Text(text.into_owned()));
        }
        let calls = message.and_then(|m| m.get("tool_calls"));
        for (at, call) in calls.into_iter().flat_map(Val::elements).enumerate() {
            self.start(call, at as u64, emit);
        }
        let cited = message.and_then(|m| m.get("citations"));
        cited.into_iter().flat_map(Val::elements).for_each(|cited| self.cite(cited, emit));
        end(Some(v), emit);
    }

    fn start(&mut self, call: Val<'_>, index: u64, emit: &mut impl FnMut(Event)) {
        let tool = number(self.calls.len());
        // BOUND: as many as the answer has calls.
        self.calls.push(index);
        let function = call.get("function");
        let word = |v: Option<Val<'_>>, name: &str| {
            v.and_then(|v| v.get_str(name)).map(|text| text.into_owned()).unwrap_or_default()
        };
        let own = word(Some(call), "id");
        let id = if own.is_empty() { format!("call_{tool}") } else { own };
        emit(Event::ToolStart { tool, id, name: word(function, "name"), kind: ToolKind::Function });
        let json = word(function, "arguments");
        if !json.is_empty() {
            emit(Event::ToolArgs { tool, json });
        }
    }

    /// What the model says before it calls tools.
    fn plan(&mut self, message: Option<Val<'_>>, emit: &mut impl FnMut(Event)) {
        let plan = message.and_then(|m| m.get_str("tool_plan")).filter(|plan| !plan.is_empty());
        if let Some(plan) = plan {
            self.plan += plan.chars().count() as u64;
            emit(Event::Text(plan.into_owned()));
        }
    }

    /// Sources with an address. Others, such as documents of the call's own, have no place in the neutral model.
    fn cite(&mut self, citation: Val<'_>, emit: &mut impl FnMut(Event)) {
        let is_of_plan = citation.get_str("type").as_deref() == Some("PLAN");
        let before = if is_of_plan { 0 } else { self.plan };
        let ends = citation.get_u64("start").zip(citation.get_u64("end")).filter(|(from, to)| from < to);
        let place = ends.map(|(from, to)| (from.saturating_add(before), to.saturating_add(before)));
        for source in citation.get("sources").into_iter().flat_map(Val::elements) {
            let from = source.get("document").or_else(|| source.get("tool_output"));
            let word = |name: &str| from.and_then(|from| from.get_str(name)).map(|text| text.into_owned());
            match word("url").filter(|url| !url.is_empty()) {
                Some(url) => emit(Event::Citation(Citation { url, title: word("title"), place })),
                None => self.losses.dropped("message.citations", "a source without an address has no place"),
            }
        }
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A part of the content, or a fragment of one.
fn content(part: Val<'_>, emit: &mut impl FnMut(Event)) {
    let text = |name: &str| part.get_str(name).filter(|text| !text.is_empty());
    if let Some(thought) = text("thinking") {
        emit(Event::Thinking(thought.into_owned()));
    }
    if let Some(text) = text("text") {
        emit(Event::Text(text.into_owned()));
    }
}

fn end(v: Option<Val<'_>>, emit: &mut impl FnMut(Event)) {
    let word = v.and_then(|v| v.get("finish_reason")).filter(|word| word.kind() == Kind::String);
    if let Some(reason) = word.and_then(Val::as_str).and_then(|word| stop_of(&word)) {
        emit(Event::Stop { reason, sequence: None });
    }
}
