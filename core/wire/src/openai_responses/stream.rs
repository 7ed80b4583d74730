//! Events as a responses stream, in the exact order that its readers expect; and the response that it ends with.

use std::collections::VecDeque;
use std::sync::Arc;

use sluicegate_core::Usage;

use super::REDACTED;
use super::object::{Content, Part, Said, Status, response, summary};
use crate::ir::{Citation, Event, Head, Item, Maker, Seal, Source, Stop, ToolKind};
use crate::json::{Object, Val, object};
use crate::loss::Losses;
use crate::media::data_address;
use crate::names::Names;
use crate::report::Report;
use crate::sse::write_frame;

/// The loss of where in the text a source belongs.
pub(crate) const PLACES: &str = "annotations[].start_index";

/// Writes one answer.
///
/// Items come one after the other, while other formats interleave the fragments of parallel tool calls. So items queue:
/// the front one streams, those behind it collect until it is complete.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    /// What the ids of items are made of.
    ids: String,
    echo: Arc<str>,
    tier: Option<String>,
    sequence: u64,
    begun: bool,
    /// The place of the item at the front of the queue.
    index: u64,
    queue: VecDeque<Waiting>,
    /// The items that are complete, as JSON.
    items: Vec<String>,
    stop: Option<Stop>,
    /// Sources of a text that is still to come: Anthropic names them first.
    early: Vec<Citation>,
    /// How much text was said, in characters.
    said: u64,
    pub(crate) losses: Losses,
}

#[derive(Debug)]
struct Waiting {
    content: Content,
    id: String,
    /// Its start was written: it streams.
    open: bool,
    /// It had its end: whatever comes belongs to another.
    over: bool,
}

impl Encoder {
    /// `id` is our id of the call.
    pub(crate) fn new(mut head: Head, id: &str, echo: Option<Arc<str>>) -> Self {
        head.id = format!("resp_{id}");
        Self {
            head,
            ids: id.to_owned(),
            echo: echo.unwrap_or_else(|| "{}".into()),
            tier: None,
            sequence: 0,
            begun: false,
            index: 0,
            queue: VecDeque::new(),
            items: Vec::new(),
            stop: None,
            early: Vec::new(),
            said: 0,
            losses: Losses::default(),
        }
    }

    /// The model's name, once it is known.
    pub(crate) fn model(&mut self, model: &str) {
        if self.head.model.is_empty() {
            self.head.model = model.to_owned();
        }
    }

    /// The number that the next event has.
    pub(crate) fn next_number(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn event(&mut self, item: Item, names: &Names, out: &mut String) {
        // The format has one choice.
        if item.choice != 0 {
            return;
        }
        self.begin(out);
        match item.event {
            Event::Text(text) => {
                self.say(&text, false, out);
                self.note_early(out);
            }
            Event::Refusal(text) => self.say(&text, true, out),
            Event::Thinking(text) => self.think(&text, out),
            Event::Signature(seal) => self.seal(seal.shown(Maker::Openai).into_owned(), out),
            Event::Redacted(seal) => {
                let data = match seal.maker {
                    Maker::Openai => seal.data,
                    maker => {
                        let marked = Seal::new(maker, format!("{REDACTED}{}", seal.data));
                        marked.shown(Maker::Openai).into_owned()
                    }
                };
                self.push(Content::Reasoning { text: String::new(), seal: Some(data) }, out);
            }
            Event::ToolStart { tool, id, name, kind } => {
                let (name, args) = (names.restore(&name).to_owned(), String::new());
                self.push(Content::Tool { tool, call_id: id, name, kind, args }, out);
            }
            Event::ToolArgs { tool, json } => self.args(tool, &json, out),
            Event::Image(Source::Base64 { media_type, data }) => {
                self.push(Content::Image { media_type, data }, out);
            }
            // The format has no place for one at an address, but a text has.
            Event::Image(source) => self.say(&format!("![]({})", data_address(&source)), false, out),
            Event::Citation(citation) => {
                if self.queue.back().is_some_and(Waiting::has_text) {
                    self.note(&citation, out);
                } else {
                    self.early.push(citation);
                }
            }
            Event::Logprobs(array) => {
                if let Some(Content::Message(parts)) = self.queue.back_mut().map(|last| &mut last.content)
                    && let Some(part) = parts.last_mut().filter(|part| !part.refusal)
                {
                    part.logprobs.push(array);
                }
            }
            // The format has no place for it.
            Event::Sound(_) | Event::Transcript(_) | Event::Native(_) => {}
            Event::Stop { reason, .. } => self.stop = Some(reason),
        }
        self.advance(out);
    }

    /// The end: closes what is open and gives the response, which is also what the last event holds.
    pub(crate) fn end(&mut self, usage: &Usage, tier: Option<&str>, out: &mut String) -> String {
        self.begin(out);
        self.tier = tier.map(Into::into);
        let reason = match self.stop {
            Some(Stop::Length | Stop::Pause) => Some("max_output_tokens"),
            Some(Stop::Refusal) => Some("content_filter"),
            _ => None,
        };
        if !self.early.is_empty() {
            // Nothing was said: what it comes from is told all the same.
            self.say("", false, out);
            self.note_early(out);
        }
        while let Some(mut front) = self.queue.pop_front() {
            let cut = reason.is_some() && self.queue.is_empty();
            self.open(&mut front, out);
            self.close(front, if cut { "incomplete" } else { "completed" }, out);
        }
        let (name, status) = match reason {
            None => ("response.completed", Status::Completed),
            Some(reason) => ("response.incomplete", Status::Incomplete(reason)),
        };
        let response = self.response(status, Some(usage));
        self.write(out, name, |o| o.raw("response", &response));
        response
    }

    /// The answer broke off after it began.
    pub(crate) fn fail(&mut self, report: &Report, usage: &Usage, out: &mut String) {
        self.begin(out);
        let code = report.code.as_deref().unwrap_or("server_error");
        let response = self.response(Status::Failed(code, &report.message), Some(usage));
        self.write(out, "response.failed", |o| o.raw("response", &response));
    }

    fn response(&self, status: Status<'_>, usage: Option<&Usage>) -> String {
        let (output, tier) = (self.items.as_slice(), self.tier.as_deref());
        response(&self.head, &Said { status, echo: &self.echo, output, usage, tier })
    }

    fn begin(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let begun = self.response(Status::InProgress, None);
        for name in ["response.created", "response.in_progress"] {
            self.write(out, name, |o| o.raw("response", &begun));
        }
    }

    fn write(&mut self, out: &mut String, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let json = object(|o| {
            o.str("type", name);
            o.num("sequence_number", self.sequence);
            fill(o);
        });
        self.sequence += 1;
        write_frame(out, Some(name), &json);
    }

    /// An event of the item at the front.
    fn of_item(&mut self, out: &mut String, name: &str, id: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let index = self.index;
        self.write(out, name, |o| {
            o.str("item_id", id);
            o.num("output_index", index);
            fill(o);
        });
    }

    fn push(&mut self, content: Content, out: &mut String) {
        let place = self.index + self.queue.len() as u64;
        let id = format!("{}{}_{place}", content.prefix(), self.ids);
        if let Some(last) = self.queue.back_mut() {
            last.over |= !matches!(last.content, Content::Tool { .. });
        }
        self.queue.push_back(Waiting { content, id, open: false, over: false });
        self.advance(out);
    }

    fn say(&mut self, text: &str, refusal: bool, out: &mut String) {
        if !self.queue.back().is_some_and(|last| matches!(last.content, Content::Message(_)) && !last.over) {
            self.push(Content::Message(Vec::new()), out);
        }
        let Some(mut last) = self.queue.pop_back() else {
            return;
        };
        if let Content::Message(parts) = &mut last.content {
            if parts.last().is_none_or(|part| part.refusal != refusal) {
                if let Some((at, part)) = parts.len().checked_sub(1).zip(parts.last()).filter(|_| last.open) {
                    self.end_part(&last.id, at, part, out);
                }
                parts.push(Part { refusal, before: self.said, ..Part::default() });
                if last.open {
                    self.begin_part(&last.id, parts.len() - 1, refusal, out);
                }
            }
            let at = parts.len().saturating_sub(1);
            if let Some(part) = parts.last_mut() {
                part.text.push_str(text);
            }
            if !refusal {
                self.said += text.chars().count() as u64;
            }
            if last.open {
                self.part_delta(&last.id, at, refusal, text, out);
            }
        }
        self.queue.push_back(last);
    }

    fn begin_part(&mut self, id: &str, at: usize, refusal: bool, out: &mut String) {
        let empty = Part { refusal, ..Part::default() };
        self.of_item(out, "response.content_part.added", id, |o| {
            o.num("content_index", at as u64);
            o.object("part", |o| empty.write(o));
        });
    }

    fn part_delta(&mut self, id: &str, at: usize, refusal: bool, text: &str, out: &mut String) {
        let name = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.of_item(out, name, id, |o| {
            o.num("content_index", at as u64);
            o.str("delta", text);
            if !refusal {
                o.array("logprobs", |_| {});
            }
        });
    }

    fn end_part(&mut self, id: &str, at: usize, part: &Part, out: &mut String) {
        let name = if part.refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.of_item(out, name, id, |o| {
            o.num("content_index", at as u64);
            o.str(if part.refusal { "refusal" } else { "text" }, &part.text);
            if !part.refusal {
                o.array("logprobs", |a| part.write_logprobs(a));
            }
        });
        self.of_item(out, "response.content_part.done", id, |o| {
            o.num("content_index", at as u64);
            o.object("part", |o| part.write(o));
        });
    }

    /// The sources that came before their text.
    fn note_early(&mut self, out: &mut String) {
        for citation in std::mem::take(&mut self.early) {
            self.note(&citation, out);
        }
    }

    /// A source of the text before it.
    fn note(&mut self, citation: &Citation, out: &mut String) {
        let Some(mut last) = self.queue.pop_back() else {
            return;
        };
        if let Content::Message(parts) = &mut last.content
            && let Some(at) = parts.iter().rposition(|part| !part.refusal)
            && let Some(part) = parts.get_mut(at)
        {
            let place = citation
                .place
                .map(|(from, to)| from.checked_sub(part.before).zip(to.checked_sub(part.before)));
            if place == Some(None) {
                self.losses.approximated(PLACES, "it stands in a part before this one, which is over");
            }
            // A place that isn't known is empty.
            let (from, to) = place.flatten().unwrap_or_default();
            let note = object(|o| {
                o.str("type", "url_citation");
                o.str("url", &citation.url);
                o.str("title", citation.title.as_deref().unwrap_or_default());
                o.num("start_index", from);
                o.num("end_index", to);
            });
            if !part.notes.contains(&note) {
                if last.open {
                    let number = part.notes.len() as u64;
                    self.of_item(out, "response.output_text.annotation.added", &last.id, |o| {
                        o.num("content_index", at as u64);
                        o.num("annotation_index", number);
                        o.raw("annotation", &note);
                    });
                }
                part.notes.push(note);
            }
        }
        self.queue.push_back(last);
    }

    fn think(&mut self, more: &str, out: &mut String) {
        let goes_on =
            |last: &Waiting| matches!(last.content, Content::Reasoning { seal: None, .. }) && !last.over;
        if !self.queue.back().is_some_and(goes_on) {
            self.push(Content::Reasoning { text: String::new(), seal: None }, out);
        }
        let Some(mut last) = self.queue.pop_back() else {
            return;
        };
        if let Content::Reasoning { text, .. } = &mut last.content {
            if last.open {
                if text.is_empty() {
                    self.begin_summary(&last.id, out);
                }
                self.summary_delta(&last.id, more, out);
            }
            text.push_str(more);
        }
        self.queue.push_back(last);
    }

    fn begin_summary(&mut self, id: &str, out: &mut String) {
        self.of_item(out, "response.reasoning_summary_part.added", id, |o| {
            o.num("summary_index", 0);
            o.object("part", |o| summary(o, ""));
        });
    }

    fn summary_delta(&mut self, id: &str, text: &str, out: &mut String) {
        self.of_item(out, "response.reasoning_summary_text.delta", id, |o| {
            o.num("summary_index", 0);
            o.str("delta", text);
        });
    }

    /// Seals the thought before it, or stands alone.
    fn seal(&mut self, data: String, out: &mut String) {
        if let Some(last) = self.queue.back_mut()
            && let Content::Reasoning { seal: seal @ None, .. } = &mut last.content
            && !last.over
        {
            *seal = Some(data);
            last.over = true;
            return;
        }
        self.push(Content::Reasoning { text: String::new(), seal: Some(data) }, out);
    }

    fn args(&mut self, wanted: u32, more: &str, out: &mut String) {
        let found = self
            .queue
            .iter_mut()
            .find(|w| matches!(&w.content, Content::Tool { tool, .. } if *tool == wanted));
        let Some(Waiting { content: Content::Tool { args, kind, .. }, id, open, .. }) = found else {
            return;
        };
        args.push_str(more);
        if *open {
            let (id, kind) = (id.clone(), *kind);
            self.args_delta(&id, kind, more, out);
        }
    }

    fn args_delta(&mut self, id: &str, kind: ToolKind, text: &str, out: &mut String) {
        let name = match kind {
            ToolKind::Function => "response.function_call_arguments.delta",
            ToolKind::Custom => "response.custom_tool_call_input.delta",
        };
        self.of_item(out, name, id, |o| o.str("delta", text));
    }

    /// Opens the front item; closes it when it is complete and another waits.
    fn advance(&mut self, out: &mut String) {
        while let Some(mut front) = self.queue.pop_front() {
            self.open(&mut front, out);
            if self.queue.is_empty() || !front.is_complete() {
                self.queue.push_front(front);
                return;
            }
            self.close(front, "completed", out);
        }
    }

    fn open(&mut self, front: &mut Waiting, out: &mut String) {
        if std::mem::replace(&mut front.open, true) {
            return;
        }
        let (id, index) = (front.id.clone(), self.index);
        self.write(out, "response.output_item.added", |o| {
            o.num("output_index", index);
            o.object("item", |o| front.content.write(o, &id, "in_progress"));
        });
        match &front.content {
            Content::Message(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    self.begin_part(&id, at, part.refusal, out);
                    self.part_delta(&id, at, part.refusal, &part.text, out);
                    if at + 1 < parts.len() {
                        self.end_part(&id, at, part, out);
                    }
                }
            }
            Content::Reasoning { text, .. } if !text.is_empty() => {
                self.begin_summary(&id, out);
                self.summary_delta(&id, text, out);
            }
            Content::Image { .. } => {
                for name in [
                    "response.image_generation_call.in_progress",
                    "response.image_generation_call.generating",
                ] {
                    self.of_item(out, name, &id, |_| {});
                }
            }
            Content::Tool { kind, args, .. } if !args.is_empty() => self.args_delta(&id, *kind, args, out),
            _ => {}
        }
    }

    fn close(&mut self, mut front: Waiting, status: &str, out: &mut String) {
        let id = front.id.clone();
        match &mut front.content {
            Content::Message(parts) => {
                if let Some((at, part)) = parts.len().checked_sub(1).zip(parts.last()) {
                    self.end_part(&id, at, part, out);
                }
            }
            Content::Reasoning { text, .. } if !text.is_empty() => {
                self.of_item(out, "response.reasoning_summary_text.done", &id, |o| {
                    o.num("summary_index", 0);
                    o.str("text", text);
                });
                self.of_item(out, "response.reasoning_summary_part.done", &id, |o| {
                    o.num("summary_index", 0);
                    o.object("part", |o| summary(o, text));
                });
            }
            Content::Reasoning { .. } => {}
            Content::Image { .. } => {
                self.of_item(out, "response.image_generation_call.completed", &id, |_| {});
            }
            Content::Tool { kind, args, name, .. } => {
                // A call without arguments has the arguments `{}`.
                if *kind == ToolKind::Function && args.trim().is_empty() {
                    *args = "{}".into();
                    self.args_delta(&id, *kind, "{}", out);
                }
                let (done, field) = match kind {
                    ToolKind::Function => ("response.function_call_arguments.done", "arguments"),
                    ToolKind::Custom => ("response.custom_tool_call_input.done", "input"),
                };
                self.of_item(out, done, &id, |o| {
                    o.str("name", name);
                    o.str(field, args);
                });
            }
        }
        let item = object(|o| front.content.write(o, &id, status));
        let index = self.index;
        self.write(out, "response.output_item.done", |o| {
            o.num("output_index", index);
            o.raw("item", &item);
        });
        self.items.push(item);
        self.index += 1;
    }
}

impl Waiting {
    /// Whether it has a text that a source can belong to.
    fn has_text(&self) -> bool {
        !self.over
            && matches!(&self.content, Content::Message(parts) if parts.iter().any(|part| !part.refusal))
    }

    fn is_complete(&self) -> bool {
        match &self.content {
            // Arguments are an object: they are complete when it is. What a custom tool is given never says so.
            Content::Tool { kind: ToolKind::Function, args, .. } => {
                args.trim_end().ends_with('}')
                    && Val::parse(args).is_ok_and(|v| v.kind() == crate::json::Kind::Object)
            }
            Content::Tool { .. } => false,
            _ => self.over,
        }
    }
}
