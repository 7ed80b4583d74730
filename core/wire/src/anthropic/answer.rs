//! A messages answer, whole or streamed, into events.

use super::stop_of;
use crate::ir::{Citation, Event, Item, Maker, Seal, Stop, ToolKind};
use crate::json::Val;
use crate::loss::Losses;

/// Reads the events of a stream, or one whole body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// What the block at each index is. Indices are those of the upstream; tools are numbered by themselves.
    blocks: Vec<(u64, Kind)>,
    tools: u32,
    /// How much text was said, in characters, and how much of that before the block that is open.
    said: u64,
    before: u64,
    /// The sources of that block: they back all of it, which is known when it is over.
    sources: Vec<Citation>,
    pub(crate) losses: Losses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool(u32),
    Other,
}

impl Decoder {
    /// Reads one JSON document of the stream, or the whole body.
    pub(crate) fn read(&mut self, v: Val<'_>, on: &mut impl FnMut(Item)) {
        let mut emit = |event| on(Item { choice: 0, event });
        let index = v.get_u64("index").unwrap_or(0);
        match v.get_str("type").as_deref() {
            Some("message") => {
                for (n, block) in v.get("content").into_iter().flat_map(Val::elements).enumerate() {
                    self.open(n as u64, block, &mut emit);
                }
                self.cite(&mut emit);
                self.stop(v, &mut emit);
            }
            Some("content_block_start") => {
                if let Some(block) = v.get("content_block") {
                    self.open(index, block, &mut emit);
                }
            }
            Some("content_block_delta") => {
                if let Some(delta) = v.get("delta") {
                    self.delta(index, delta, &mut emit);
                }
            }
            Some("content_block_stop") => self.cite(&mut emit),
            Some("message_delta") => {
                self.cite(&mut emit);
                if let Some(delta) = v.get("delta") {
                    self.stop(delta, &mut emit);
                }
            }
            // Pings, and whatever is new.
            _ => {}
        }
    }

    fn open(&mut self, index: u64, block: Val<'_>, emit: &mut impl FnMut(Event)) {
        let text =
            |name: &str| block.get_str(name).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        self.cite(emit);
        self.before = self.said;
        let kind = match block.get_str("type").as_deref() {
            Some("text") => {
                if let Some(text) = text("text") {
                    self.text(text, emit);
                }
                let sources = block.get("citations").into_iter().flat_map(Val::elements);
                sources.for_each(|source| self.source(source));
                Kind::Text
            }
            Some("thinking") => {
                if let Some(thought) = text("thinking") {
                    emit(Event::Thinking(thought));
                }
                if let Some(seal) = text("signature") {
                    emit(Event::Signature(Seal::new(Maker::Anthropic, seal)));
                }
                Kind::Thinking
            }
            Some("redacted_thinking") => {
                if let Some(data) = text("data") {
                    emit(Event::Redacted(Seal::new(Maker::Anthropic, data)));
                }
                Kind::Other
            }
            Some("tool_use") => {
                let tool = self.tools;
                self.tools += 1;
                let id = text("id").unwrap_or_else(|| format!("toolu_{tool}"));
                let name = text("name").unwrap_or_default();
                emit(Event::ToolStart { tool, id, name, kind: ToolKind::Function });
                // A stream starts with an empty object and sends the input in fragments; a body has it whole.
                if let Some(input) = block.get("input").filter(|input| input.members().next().is_some()) {
                    emit(Event::ToolArgs { tool, json: input.raw().to_owned() });
                }
                Kind::Tool(tool)
            }
            _ => {
                self.losses
                    .dropped("content[]", "blocks of the provider's own tools have no place in the target");
                Kind::Other
            }
        };
        self.blocks.retain(|(at, _)| *at != index);
        self.blocks.push((index, kind));
    }

    /// Where the text comes from: what was found on the web has a place elsewhere, documents of the caller's don't.
    fn source(&mut self, source: Val<'_>) {
        let kind = source.get_str("type");
        match source.get_str("url").filter(|_| kind.as_deref() == Some("web_search_result_location")) {
            Some(url) => self.sources.push(Citation {
                url: url.into_owned(),
                title: source.get_str("title").map(|title| title.into_owned()),
                place: None,
            }),
            None => self.losses.dropped("content[].citations", "the target has no place for it"),
        }
    }

    fn text(&mut self, text: String, emit: &mut impl FnMut(Event)) {
        self.said += text.chars().count() as u64;
        emit(Event::Text(text));
    }

    /// The block is over: its sources have their place.
    fn cite(&mut self, emit: &mut impl FnMut(Event)) {
        let place = (self.before < self.said).then_some((self.before, self.said));
        self.sources.drain(..).for_each(|source| emit(Event::Citation(Citation { place, ..source })));
    }

    fn delta(&mut self, index: u64, delta: Val<'_>, emit: &mut impl FnMut(Event)) {
        let kind = self.blocks.iter().find(|(at, _)| *at == index).map(|(_, kind)| *kind);
        let text =
            |name: &str| delta.get_str(name).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        match (delta.get_str("type").as_deref(), kind) {
            (Some("text_delta"), _) => text("text").into_iter().for_each(|t| self.text(t, emit)),
            (Some("thinking_delta"), _) => {
                text("thinking").into_iter().for_each(|t| emit(Event::Thinking(t)))
            }
            (Some("signature_delta"), _) => {
                let seal = text("signature").map(|data| Seal::new(Maker::Anthropic, data));
                seal.into_iter().for_each(|seal| emit(Event::Signature(seal)))
            }
            (Some("input_json_delta"), Some(Kind::Tool(tool))) => {
                text("partial_json").into_iter().for_each(|json| emit(Event::ToolArgs { tool, json }));
            }
            (Some("citations_delta"), _) => {
                if let Some(source) = delta.get("citation") {
                    self.source(source);
                }
            }
            _ => {}
        }
    }

    fn stop(&mut self, v: Val<'_>, emit: &mut impl FnMut(Event)) {
        let Some(reason) = v.get_str("stop_reason") else { return };
        let (reason, sequence) = (stop_of(&reason), v.get_str("stop_sequence").map(|s| s.into_owned()));
        if reason == Stop::Pause {
            self.losses.approximated("stop_reason", "a turn that is to go on ends as one that was cut off");
        }
        emit(Event::Stop { reason, sequence });
    }
}
