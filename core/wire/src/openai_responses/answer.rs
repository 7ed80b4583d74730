//! A responses answer, whole or streamed, into events.

use std::collections::BTreeMap;

use crate::ir::{Citation, Event, Item, Maker, Seal, Source, Stop, ToolKind, place_of};
use crate::json::{Kind, Val};
use crate::loss::Losses;
use crate::openai_chat::NO_FILES;

/// Reads the events of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    items: BTreeMap<u64, Seen>,
    tools: u32,
    calls: Vec<String>,
    /// How much text was said, in characters: places here are those in a part.
    said: u64,
    pub(crate) losses: Losses,
}

/// An item of the output as far as it came.
#[derive(Debug, Default)]
struct Seen {
    tool: Option<u32>,
    /// The parts of a message, and how much was said before each.
    parts: Vec<(u64, u64)>,
    /// Pieces of it came: what its end repeats is known.
    said: bool,
    summarised: bool,
    /// A seal came, or the whole item.
    done: bool,
}

impl Decoder {
    /// Reads one JSON document of the stream, or the whole body.
    pub(crate) fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        let mut emit = |event| on(Item { choice: 0, event });
        let Some(kind) = v.get_str("type") else {
            return self.whole(v, &mut emit);
        };
        let index = v.get_u64("output_index").unwrap_or(0);
        let delta = || v.get_str("delta").filter(|text| !text.is_empty()).map(|text| text.into_owned());
        match &*kind {
            "response.output_item.added" => {
                if let Some(item) = v.get("item") {
                    self.open(index, item, &mut emit);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = v.get("item") {
                    self.done(index, item, &mut emit);
                }
            }
            "response.output_text.delta" => {
                if let Some(text) = delta() {
                    self.seen(index).said = true;
                    self.part(index, v);
                    self.text(text, &mut emit);
                }
                logprobs(v, &mut emit);
            }
            "response.refusal.delta" => {
                if let Some(text) = delta() {
                    self.seen(index).said = true;
                    emit(Event::Refusal(text));
                }
            }
            // Several parts are one thought.
            "response.reasoning_summary_part.added"
                if v.get_u64("summary_index").unwrap_or(0) > 0 && self.seen(index).summarised =>
            {
                emit(Event::Thinking("\n\n".into()));
            }
            "response.reasoning_summary_text.delta" => {
                if let Some(text) = delta() {
                    let seen = self.seen(index);
                    (seen.said, seen.summarised) = (true, true);
                    emit(Event::Thinking(text));
                }
            }
            // Open models say all that they think; with a summary beside it, it would be said twice.
            "response.reasoning_text.delta" => {
                if let Some(text) = delta().filter(|_| !self.seen(index).summarised) {
                    self.seen(index).said = true;
                    emit(Event::Thinking(text));
                }
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let seen = self.seen(index);
                if let (Some(tool), Some(json)) = (seen.tool, delta()) {
                    seen.said = true;
                    emit(Event::ToolArgs { tool, json });
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(note) = v.get("annotation") {
                    let before = self.part(index, v);
                    self.citation(note, before, &mut emit);
                }
            }
            "response.completed" | "response.incomplete" => {
                if let Some(response) = v.get("response") {
                    self.whole(response, &mut emit);
                }
            }
            _ => {}
        }
    }

    fn seen(&mut self, index: u64) -> &mut Seen {
        self.items.entry(index).or_default()
    }

    /// How much was said before the part that an event is about.
    fn part(&mut self, index: u64, v: Val<'_>) -> u64 {
        let (at, said) = (v.get_u64("content_index").unwrap_or(0), self.said);
        let parts = &mut self.seen(index).parts;
        if let Some((_, before)) = parts.iter().find(|(part, _)| *part == at) {
            return *before;
        }
        parts.push((at, said));
        said
    }

    fn text(&mut self, text: String, emit: &mut impl FnMut(Event)) {
        self.said += text.chars().count() as u64;
        emit(Event::Text(text));
    }

    fn citation(&mut self, note: Val<'_>, before: u64, emit: &mut impl FnMut(Event)) {
        let is_web = note.get_str("type").as_deref() == Some("url_citation");
        let Some(url) = note.get_str("url").filter(|_| is_web) else {
            return self.losses.dropped("annotations[]", NO_FILES);
        };
        let title = note.get_str("title").map(|title| title.into_owned());
        let place = place_of(note).map(|(from, to)| (before.saturating_add(from), before.saturating_add(to)));
        emit(Event::Citation(Citation { url: url.into_owned(), title, place }));
    }

    /// The response at its end: what of its output has not been said before, and why it ended.
    fn whole(&mut self, response: Val<'_>, emit: &mut impl FnMut(Event)) {
        for (n, item) in response.get("output").into_iter().flat_map(Val::elements).enumerate() {
            let index = n as u64;
            if !self.items.contains_key(&index) {
                self.open(index, item, emit);
            }
            self.done(index, item, emit);
        }
        let why = response.get("incomplete_details").and_then(|details| details.get_str("reason"));
        let reason = match (response.get_str("status").as_deref(), why.as_deref()) {
            (Some("incomplete"), Some("content_filter")) => Stop::Refusal,
            (Some("incomplete"), _) => Stop::Length,
            _ => Stop::End,
        };
        emit(Event::Stop { reason, sequence: None });
    }

    fn open(&mut self, index: u64, item: Val<'_>, emit: &mut impl FnMut(Event)) {
        let kind = match item.get_str("type").as_deref() {
            Some("function_call") => ToolKind::Function,
            Some("custom_tool_call") => ToolKind::Custom,
            Some("message" | "reasoning" | "image_generation_call") => {
                self.seen(index);
                return;
            }
            _ => {
                self.losses
                    .dropped("output[]", "items of the provider's own tools have no place in the target");
                self.seen(index).done = true;
                return;
            }
        };
        let tool = self.tools;
        self.tools += 1;
        self.seen(index).tool = Some(tool);
        let text = |name: &str| item.get_str(name).filter(|s| !s.is_empty()).map(|s| s.into_owned());
        // Results name the call's id, not the item's. Ids that repeat within an answer are made distinct.
        let id = text("call_id").or_else(|| text("id")).unwrap_or_else(|| format!("call_{tool}"));
        let id = if self.calls.contains(&id) { format!("{id}_{tool}") } else { id };
        self.calls.push(id.clone());
        emit(Event::ToolStart { tool, id, name: text("name").unwrap_or_default(), kind });
    }

    fn done(&mut self, index: u64, item: Val<'_>, emit: &mut impl FnMut(Event)) {
        let seen = self.seen(index);
        if std::mem::replace(&mut seen.done, true) {
            return;
        }
        let (said, tool) = (seen.said, seen.tool);
        let text = |name: &str| item.get_str(name).filter(|s| !s.is_empty()).map(|s| s.into_owned());
        match item.get_str("type").as_deref() {
            Some("message") if !said => {
                for part in item.get("content").into_iter().flat_map(Val::elements) {
                    let text =
                        |name: &str| part.get_str(name).filter(|s| !s.is_empty()).map(|s| s.into_owned());
                    let before = self.said;
                    if let Some(text) = text("text") {
                        self.text(text, emit);
                    }
                    text("refusal").into_iter().for_each(|text| emit(Event::Refusal(text)));
                    logprobs(part, emit);
                    let notes = part.get("annotations").into_iter().flat_map(Val::elements);
                    notes.for_each(|note| self.citation(note, before, emit));
                }
            }
            Some("reasoning") => {
                if !said {
                    let thought = thought(item);
                    thought.into_iter().for_each(|text| emit(Event::Thinking(text)));
                }
                if let Some(data) = text("encrypted_content") {
                    emit(Event::Signature(Seal::new(Maker::Openai, data)));
                }
            }
            Some("image_generation_call") => {
                let media_type = format!("image/{}", text("output_format").unwrap_or_else(|| "png".into()));
                let picture = text("result").map(|data| Source::Base64 { media_type, data });
                picture.into_iter().for_each(|source| emit(Event::Image(source)));
            }
            Some("function_call" | "custom_tool_call") if !said => {
                let given = text("arguments").or_else(|| text("input"));
                if let (Some(tool), Some(json)) = (tool, given) {
                    emit(Event::ToolArgs { tool, json });
                }
            }
            _ => {}
        }
    }
}

fn thought(item: Val<'_>) -> Option<String> {
    let texts = |name: &str| -> Vec<String> {
        let parts = item.get(name).into_iter().flat_map(Val::elements);
        parts.filter_map(|part| part.get_str("text")).map(|text| text.into_owned()).collect()
    };
    [texts("summary"), texts("content")].into_iter().map(|parts| parts.join("\n\n")).find(|t| !t.is_empty())
}

fn logprobs(v: Val<'_>, emit: &mut impl FnMut(Event)) {
    let list = v.get("logprobs").filter(|list| list.kind() == Kind::Array);
    if let Some(list) = list.filter(|list| list.elements().next().is_some()) {
        emit(Event::Logprobs(list.raw().to_owned()));
    }
}
