//! A chat completions answer, whole or streamed, into events.

use std::borrow::Cow;
use std::sync::Arc;

use sluicegate_core::quirk::{Quirks, ThinkTags};

use super::thought::Thoughts;
use crate::bridge::Reply;
use crate::ir::{Citation, Event, Item, Maker, Seal, Stop, ToolKind, place_of};
use crate::json::{Kind, Val, object};
use crate::loss::Losses;
use crate::media::image_source;
use crate::quirk::{Ended, Think, ended};

/// Why sources that aren't on the web are lost.
pub(crate) const NO_FILES: &str =
    "citations of files that are stored at the provider have no place in the target";

/// Reads the chunks of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    tools: Vec<Tool>,
    quirks: Option<Arc<Quirks>>,
    /// How reasoning stands in the text, if it does.
    think_tags: Option<ThinkTags>,
    /// What tells them apart, by choice.
    thinks: Vec<(u32, Think)>,
    thoughts: Thoughts,
    pub(crate) losses: Losses,
}

/// One tool call as far as it came.
#[derive(Debug)]
struct Tool {
    choice: u32,
    /// The index that the upstream gave it, if any.
    index: Option<u64>,
    /// The upstream's id for it, as it came.
    id: String,
    /// Its number among those of its choice.
    number: u32,
    started: bool,
    /// Arguments that came before the name.
    early: String,
}

/// Whether an answer ended because its ceiling was reached.
fn is_cut(reason: &str) -> bool {
    matches!(reason, "length" | "max_tokens")
}

impl Decoder {
    /// One for answers of a provider that may differ from the format.
    pub(crate) fn heeding(reply: &Reply) -> Self {
        Self { quirks: reply.quirks.clone(), think_tags: reply.think_tags, ..Self::default() }
    }

    /// Reads one JSON document of the stream, or the whole body.
    pub(crate) fn read(&mut self, chunk: Val<'_>, on: &mut impl FnMut(Item)) {
        // QUIRK(perplexity, 2026-05): what was found stands beside the choices, in each chunk again.
        for name in ["citations", "search_results"] {
            if chunk.get(name).is_some_and(|list| list.elements().next().is_some()) {
                self.losses.dropped(name, "sources of the provider's own have no place in the target");
            }
        }
        // Chunks without choices are legal: filter results, usage.
        for choice in chunk.get("choices").into_iter().flat_map(Val::elements) {
            let index = choice.get_u64("index").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let mut emit = |event| on(Item { choice: index, event });
            let (delta, message) = (choice.get("delta"), choice.get("message"));
            if let Some(said) = delta.or(message) {
                self.thoughts(index, said, delta.is_none(), &mut emit);
                let reason = choice.get_str("finish_reason");
                let is_whole = delta.is_none().then(|| reason.as_deref().is_some_and(is_cut));
                self.delta(index, said, is_whole, &mut emit);
            }
            let content = choice.get("logprobs").and_then(|l| l.get("content"));
            if let Some(content) = content.filter(|content| content.elements().next().is_some()) {
                emit(Event::Logprobs(content.raw().to_owned()));
            }
            if let Some(reason) = choice.get_str("finish_reason") {
                if let Some(think) = self.think(index) {
                    think.finish(&mut emit);
                }
                let own = ended(self.quirks.as_deref(), &reason);
                let calls = self.calls(index);
                let reason = match (own, &*reason) {
                    (Ended::By(stop), _) => stop,
                    (_, reason) if is_cut(reason) => Stop::Length,
                    (_, "tool_calls" | "function_call") if calls => Stop::ToolUse,
                    (_, "content_filter" | "sensitive") => Stop::Refusal,
                    _ => Stop::End,
                };
                emit(Event::Stop { reason, sequence: None });
            }
        }
    }

    /// What was thought, where that stands beside the text: then it doesn't stand in it.
    fn thoughts(&mut self, choice: u32, said: Val<'_>, whole: bool, emit: &mut impl FnMut(Event)) {
        let mut is_apart = false;
        self.thoughts.read(choice, said, whole, &mut self.losses, &mut |event| {
            is_apart = true;
            emit(event);
        });
        if let Some(think) = self.think(choice).filter(|_| is_apart) {
            think.apart(emit);
        }
    }

    /// Reads a piece of a message, or all of one that `is_whole`, with whether it was cut off.
    fn delta(&mut self, choice: u32, delta: Val<'_>, is_whole: Option<bool>, emit: &mut impl FnMut(Event)) {
        match delta.get("content") {
            // QUIRK(mistral, 2026-05): reasoning models stream lists of typed parts.
            Some(content) if content.kind() == Kind::Array => {
                content.elements().for_each(|part| self.part(part, emit))
            }
            Some(part) if part.kind() == Kind::Object => self.part(part, emit),
            Some(content) => {
                if let Some(text) = non_empty(content.as_str()) {
                    match (self.think(choice), is_whole) {
                        (Some(think), Some(is_cut)) => think.whole(&text, is_cut, emit),
                        (Some(think), None) => think.push(&text, emit),
                        (None, _) => emit(Event::Text(text.into_owned())),
                    }
                }
            }
            None => {}
        }
        if let Some(text) = non_empty(delta.get_str("refusal")) {
            emit(Event::Refusal(text.into_owned()));
        }
        for note in delta.get("annotations").into_iter().flat_map(Val::elements) {
            let Some((source, url)) = note.get("url_citation").and_then(|s| Some((s, s.get_str("url")?)))
            else {
                self.losses.dropped("annotations[]", NO_FILES);
                continue;
            };
            let title = source.get_str("title").map(|t| t.into_owned());
            // Where reasoning stands in the text, places count it.
            let place = place_of(source).filter(|_| self.think_tags.is_none());
            emit(Event::Citation(Citation { url: url.into_owned(), title, place }));
        }
        // QUIRK(openrouter, 2026-11, https://openrouter.ai/docs/features/multimodal/image-generation): pictures that models make stand
        // beside the text; LiteLLM has them in the same place.
        for picture in delta.get("images").into_iter().flat_map(Val::elements) {
            self.picture(picture, "images[]", emit);
        }
        if let Some(audio) = delta.get("audio") {
            if let Some(words) = non_empty(audio.get_str("transcript")) {
                emit(Event::Transcript(words.into_owned()));
            }
            if let Some(data) = non_empty(audio.get_str("data")) {
                emit(Event::Sound(data.into_owned()));
            }
        }
        for (n, call) in delta.get("tool_calls").into_iter().flat_map(Val::elements).enumerate() {
            self.call(choice, n, call, emit);
        }
        // QUIRK(older servers, 2026-11): one call without an id, as OpenAI had it before there were several.
        if let Some(function) = delta.get("function_call").filter(|call| call.kind() == Kind::Object) {
            let call = object(|o| o.raw("function", function.raw()));
            self.call(choice, 0, Val::trusted(&call), emit);
        }
    }

    /// A part of a list, or one that stands alone.
    fn part(&mut self, part: Val<'_>, emit: &mut impl FnMut(Event)) {
        match part.get_str("type").as_deref() {
            Some("thinking") => {
                let inner = part.get("thinking");
                let whole = inner.and_then(Val::as_str);
                let pieces =
                    inner.into_iter().flat_map(Val::elements).filter_map(|piece| piece.get_str("text"));
                whole.into_iter().chain(pieces).for_each(|text| emit(Event::Thinking(text.into_owned())));
            }
            Some("refusal") => {
                let text = non_empty(part.get_str("refusal"));
                text.into_iter().for_each(|text| emit(Event::Refusal(text.into_owned())));
            }
            Some("image_url") => self.picture(part, "content[]", emit),
            _ => match part.get("text").filter(|text| text.kind() == Kind::String) {
                Some(text) => {
                    let text = non_empty(text.as_str());
                    text.into_iter().for_each(|text| emit(Event::Text(text.into_owned())));
                }
                None => self.losses.dropped("content[]", "a part of a kind that we don't know"),
            },
        }
    }

    /// A picture that the model made.
    fn picture(&mut self, picture: Val<'_>, path: &str, emit: &mut impl FnMut(Event)) {
        let url = picture.get("image_url").and_then(|inner| inner.get_str("url").or_else(|| inner.as_str()));
        match url.map(|url| image_source(&url, path, &mut self.losses)) {
            Some(Ok(source)) => emit(Event::Image(source)),
            _ => self.losses.dropped(path, "a picture that can't be read"),
        }
    }

    /// Whether a choice calls tools. Calls that nobody named are none.
    fn calls(&mut self, choice: u32) -> bool {
        let of_choice = |tool: &&Tool| tool.choice == choice;
        if self.tools.iter().filter(of_choice).any(|tool| !tool.started) {
            self.losses.dropped("tool_calls[]", "a call that names no tool");
        }
        self.tools.iter().filter(of_choice).any(|tool| tool.started)
    }

    /// What tells reasoning from text in a choice, if they stand together.
    fn think(&mut self, choice: u32) -> Option<&mut Think> {
        let tags = self.think_tags?;
        // BOUND: as many as an answer has choices.
        if !self.thinks.iter().any(|(index, _)| *index == choice) {
            self.thinks.push((choice, Think::new(tags)));
        }
        self.thinks.iter_mut().find(|(index, _)| *index == choice).map(|(_, think)| think)
    }

    fn call(&mut self, choice: u32, n: usize, call: Val<'_>, emit: &mut impl FnMut(Event)) {
        let index = call.get_u64("index");
        let id = non_empty(call.get_str("id"));
        let function = call.get("function").or_else(|| call.get("custom"));
        let name = function.and_then(|f| non_empty(f.get_str("name")));
        let at = self.find(choice, index, n, id.as_deref(), name.is_some());
        let at = at.unwrap_or_else(|| {
            let number =
                u32::try_from(self.tools.iter().filter(|t| t.choice == choice).count()).unwrap_or(u32::MAX);
            self.tools.push(Tool {
                choice,
                index,
                id: String::new(),
                number,
                started: false,
                early: String::new(),
            });
            self.tools.len() - 1
        });
        // Ids that repeat within an answer are made distinct.
        let taken = id.as_deref().is_some_and(|id| {
            self.tools.iter().enumerate().any(|(other, tool)| other != at && tool.id == id)
        });
        let Some(tool) = self.tools.get_mut(at) else {
            return;
        };
        if tool.id.is_empty() {
            tool.id = match id {
                Some(id) if !taken => id.into_owned(),
                Some(id) => format!("{id}_{choice}_{}", tool.number),
                None => String::new(),
            };
        }
        if !tool.started
            && let Some(name) = name
        {
            tool.started = true;
            if tool.id.is_empty() {
                tool.id = format!("call_{choice}_{}", tool.number);
            }
            // Where Gemini's own chat endpoint carries the signature of what follows.
            let signature = call
                .get("extra_content")
                .and_then(|extra| extra.get("google"))
                .and_then(|google| non_empty(google.get_str("thought_signature")));
            if let Some(signature) = signature {
                emit(Event::Signature(Seal::new(Maker::Gemini, signature)));
            }
            let kind = if call.get("custom").is_some() { ToolKind::Custom } else { ToolKind::Function };
            emit(Event::ToolStart { tool: tool.number, id: tool.id.clone(), name: name.into_owned(), kind });
            if !tool.early.is_empty() {
                emit(Event::ToolArgs { tool: tool.number, json: std::mem::take(&mut tool.early) });
            }
        }
        let args = function.and_then(|f| f.get("arguments").or_else(|| f.get("input")));
        // QUIRK(ollama, 2026-05): an object where OpenAI has a string.
        let json = args.map(|args| args.as_str().unwrap_or(Cow::Borrowed(args.raw())));
        if let Some(json) = non_empty(json) {
            if tool.started {
                emit(Event::ToolArgs { tool: tool.number, json: json.into_owned() });
            } else {
                tool.early.push_str(&json);
            }
        }
    }

    /// The call that a fragment belongs to: by index, else by id, else the last one. A new id with a name under an old
    /// index is a new call.
    fn find(
        &self,
        choice: u32,
        index: Option<u64>,
        n: usize,
        id: Option<&str>,
        named: bool,
    ) -> Option<usize> {
        let mine = || self.tools.iter().enumerate().rev().filter(|(_, tool)| tool.choice == choice);
        let found = match (index, id) {
            (Some(index), _) => mine().find(|(_, tool)| tool.index == Some(index)),
            (None, Some(id)) => mine().find(|(_, tool)| tool.id == id),
            (None, None) if named => None,
            (None, None) => mine().nth(0).filter(|_| n == 0),
        };
        let other_call = found.is_some_and(|(_, tool)| {
            named && tool.started && id.is_some_and(|id| tool.id != id && !tool.id.starts_with(id))
        });
        found.filter(|_| !other_call).map(|(at, _)| at)
    }
}

pub(super) fn non_empty(text: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty())
}
