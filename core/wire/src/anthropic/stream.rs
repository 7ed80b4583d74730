//! Events as a messages stream, in the exact order that its readers expect.

use std::collections::VecDeque;

use sluicegate_core::Usage;

use super::{CITATIONS, IMAGES, NO_CITATIONS, NO_IMAGES, stop_reason};
use crate::ir::{Event, Head, Item, Maker, Stop, ToolKind};
use crate::json::{Object, Val, escape_into, object};
use crate::loss::Losses;
use crate::names::{Names, tool_id};
use crate::sse::write_frame;
use crate::tier;
use crate::usage::write_anthropic;

/// Writes one stream.
///
/// Blocks never overlap in this format, while others interleave the fragments of parallel tool calls. So blocks queue:
/// the front one is open and streams, those behind it collect. A block is closed as soon as it is complete and
/// another waits; at the end all are closed.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    /// What `message_start` says of the input, before the upstream reports it.
    input_estimate: u64,
    begun: bool,
    /// The tier that serves it, once it is known.
    tier: Option<&'static str>,
    /// The index of the block at the front of the queue.
    index: u64,
    queue: VecDeque<Waiting>,
    calls: bool,
    refuses: bool,
    stop: Option<(Stop, Option<String>)>,
    pub(crate) losses: Losses,
}

#[derive(Debug)]
struct Waiting {
    kind: Kind,
    /// Its start was written: it streams.
    open: bool,
    /// What came before it was opened; for a tool that takes an object, all of its arguments, to know when they are complete.
    text: String,
    seal: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    Tool { tool: u32, id: String, name: String, takes: ToolKind },
}

impl Encoder {
    pub(crate) fn new(head: Head, input_estimate: u64) -> Self {
        Self {
            head,
            input_estimate,
            begun: false,
            tier: None,
            index: 0,
            queue: VecDeque::new(),
            calls: false,
            refuses: false,
            stop: None,
            losses: Losses::default(),
        }
    }

    /// The model's name, once it is known.
    pub(crate) fn model(&mut self, model: &str) {
        if self.head.model.is_empty() {
            self.head.model = model.to_owned();
        }
    }

    /// The tier that serves it, in any format's word.
    pub(crate) fn tier(&mut self, word: &str) {
        if self.tier.is_none() {
            self.tier = tier::anthropic(word);
        }
    }

    pub(crate) fn event(&mut self, item: Item, names: &Names, out: &mut String) {
        // The format has one choice; a request for more was refused.
        if item.choice != 0 {
            return;
        }
        self.begin(out);
        match item.event {
            Event::Text(text) => self.append(Kind::Text, &text, out),
            Event::Refusal(text) => {
                self.refuses = true;
                self.append(Kind::Text, &text, out);
            }
            Event::Thinking(text) => self.append(Kind::Thinking, &text, out),
            Event::Signature(seal) => {
                if self.queue.back().is_none_or(|last| last.kind != Kind::Thinking || last.seal.is_some()) {
                    self.push(Kind::Thinking, out);
                }
                if let Some(last) = self.queue.back_mut() {
                    last.seal = Some(seal.shown(Maker::Anthropic).into_owned());
                }
            }
            Event::Redacted(seal) => {
                self.push(Kind::Redacted, out);
                if let Some(last) = self.queue.back_mut() {
                    last.text = seal.shown(Maker::Anthropic).into_owned();
                }
            }
            Event::ToolStart { tool, id, name, kind: takes } => {
                self.calls = true;
                let (id, name) = (tool_id(&id).into_owned(), names.restore(&name).to_owned());
                self.push(Kind::Tool { tool, id, name, takes }, out);
            }
            Event::ToolArgs { tool, json } => self.args(tool, &json, out),
            Event::Image(_) => self.losses.dropped(IMAGES, NO_IMAGES),
            Event::Citation(_) => self.losses.dropped(CITATIONS, NO_CITATIONS),
            // Nobody can have asked for them, and why it ends was named where it was read.
            Event::Logprobs(_) | Event::Sound(_) | Event::Transcript(_) | Event::Native(_) => {}
            Event::Stop { reason, sequence } => self.stop = Some((reason, sequence)),
        }
        self.advance(out);
    }

    /// The end: closes what is open, then the last two events. `usage` is what is known of it; it corrects what
    /// `message_start` said.
    pub(crate) fn end(&mut self, usage: &Usage, out: &mut String) {
        self.begin(out);
        while !self.queue.is_empty() {
            self.open_front(out);
            self.close_front(out);
        }
        let (stop, sequence) = self.stop.take().unwrap_or((Stop::End, None));
        let stop = if self.calls && stop == Stop::End { Stop::ToolUse } else { stop };
        let stop = stop.refused(self.refuses);
        event(out, "message_delta", |o| {
            o.object("delta", |o| {
                o.str("stop_reason", stop_reason(stop));
                o.opt_str("stop_sequence", sequence.as_deref());
            });
            o.raw("usage", &write_anthropic(usage, self.tier));
        });
        event(out, "message_stop", |_| {});
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let usage = Usage { input_uncached: self.input_estimate, output_visible: 1, ..Usage::default() };
        event(out, "message_start", |o| {
            o.object("message", |o| {
                o.str("id", &self.head.id);
                o.str("type", "message");
                o.str("role", "assistant");
                o.str("model", &self.head.model);
                o.array("content", |_| {});
                o.raw("stop_reason", "null");
                o.raw("stop_sequence", "null");
                o.raw("usage", &write_anthropic(&usage, self.tier));
            });
        });
    }

    fn push(&mut self, kind: Kind, out: &mut String) {
        self.queue.push_back(Waiting { kind, open: false, text: String::new(), seal: None });
        // A front that is complete now makes way.
        self.advance(out);
    }

    /// Adds to the last block if it is of that kind, else begins one.
    fn append(&mut self, kind: Kind, text: &str, out: &mut String) {
        if self.queue.back().is_none_or(|last| last.kind != kind || last.seal.is_some()) {
            self.push(kind, out);
        }
        let index = self.index;
        if let Some(last) = self.queue.back_mut() {
            if last.open { last.delta(index, text, out) } else { last.text.push_str(text) }
        }
    }

    fn args(&mut self, wanted: u32, json: &str, out: &mut String) {
        let index = self.index;
        let found =
            self.queue.iter_mut().find(|w| matches!(&w.kind, Kind::Tool { tool, .. } if *tool == wanted));
        if let Some(waiting) = found {
            if waiting.open {
                waiting.delta(index, json, out);
            }
            if !(waiting.open && waiting.takes_text()) {
                waiting.text.push_str(json);
            }
        }
    }

    /// Opens the front block; closes it when it is complete and another waits.
    fn advance(&mut self, out: &mut String) {
        self.open_front(out);
        while self.queue.len() > 1 && self.queue.front().is_some_and(Waiting::is_complete) {
            self.close_front(out);
            self.open_front(out);
        }
    }

    fn open_front(&mut self, out: &mut String) {
        let index = self.index;
        if let Some(front) = self.queue.front_mut().filter(|front| !front.open) {
            front.start(index, out);
        }
    }

    fn close_front(&mut self, out: &mut String) {
        let Some(front) = self.queue.pop_front() else {
            return;
        };
        if let Some(seal) = &front.seal {
            delta(out, self.index, |o| {
                o.str("type", "signature_delta");
                o.str("signature", seal);
            });
        }
        if front.takes_text() {
            partial_json(out, self.index, "\"}");
        }
        event(out, "content_block_stop", |o| o.num("index", self.index));
        self.index += 1;
    }
}

impl Waiting {
    /// A text, which this format wraps in an object.
    fn takes_text(&self) -> bool {
        matches!(self.kind, Kind::Tool { takes: ToolKind::Custom, .. })
    }

    fn is_complete(&self) -> bool {
        match self.kind {
            // Nothing in a text says that it is at its end.
            Kind::Tool { takes: ToolKind::Custom, .. } => false,
            // Arguments are an object: they are complete when it is.
            // Only what ends like one is worth reading again: this is asked after each fragment.
            Kind::Tool { .. } => {
                self.text.trim_end().ends_with('}')
                    && Val::parse(&self.text).is_ok_and(|v| v.kind() == crate::json::Kind::Object)
            }
            _ => true,
        }
    }

    fn start(&mut self, index: u64, out: &mut String) {
        self.open = true;
        event(out, "content_block_start", |o| {
            o.num("index", index);
            o.object("content_block", |o| match &self.kind {
                Kind::Text => {
                    o.str("type", "text");
                    o.str("text", "");
                }
                Kind::Thinking => {
                    o.str("type", "thinking");
                    o.str("thinking", "");
                    o.str("signature", "");
                }
                Kind::Redacted => {
                    o.str("type", "redacted_thinking");
                    o.str("data", &self.text);
                }
                Kind::Tool { id, name, .. } => {
                    o.str("type", "tool_use");
                    o.str("id", id);
                    o.str("name", name);
                    o.object("input", |_| {});
                }
            });
        });
        if self.takes_text() {
            partial_json(out, index, "{\"input\":\"");
        }
        if !self.text.is_empty() {
            let text = self.text.clone();
            self.delta(index, &text, out);
        }
    }

    fn delta(&self, index: u64, text: &str, out: &mut String) {
        if self.takes_text() {
            let mut quoted = String::with_capacity(text.len() + 2);
            escape_into(&mut quoted, text);
            let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            return partial_json(out, index, inside);
        }
        let (kind, field) = match self.kind {
            Kind::Text => ("text_delta", "text"),
            Kind::Thinking => ("thinking_delta", "thinking"),
            Kind::Tool { .. } => ("input_json_delta", "partial_json"),
            Kind::Redacted => return,
        };
        delta(out, index, |o| {
            o.str("type", kind);
            o.str(field, text);
        });
    }
}

fn partial_json(out: &mut String, index: u64, json: &str) {
    delta(out, index, |o| {
        o.str("type", "input_json_delta");
        o.str("partial_json", json);
    });
}

fn delta(out: &mut String, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_delta", |o| {
        o.num("index", index);
        o.object("delta", fill);
    });
}

fn event(out: &mut String, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    let json = object(|o| {
        o.str("type", name);
        fill(o);
    });
    write_frame(out, Some(name), &json);
}
