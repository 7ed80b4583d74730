//! Events as a stream of `generateContent` responses: each has what is new. Calls stand whole in theirs.

use sluicegate_core::Usage;

use super::encode::source_of;
use super::{body, finish_reason};
use crate::ir::{Event, Head, Item, Said, Seal, Stop, ToolKind};
use crate::json::{Array, Object, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::sse::write_frame;
use crate::usage::write_gemini;

/// Writes one stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    choices: Vec<State>,
    pub(crate) losses: Losses,
}

#[derive(Debug, Default)]
struct State {
    index: u32,
    /// Calls whose arguments still come, in order.
    calls: Vec<Call>,
    /// Thinking was written last that nobody has sealed.
    thinks: bool,
    /// What seals the part that follows.
    seal: Option<Seal>,
    stop: Option<Stop>,
    calls_made: bool,
    refuses: bool,
    /// What was said, for places in it.
    said: Said,
}

#[derive(Debug)]
struct Call {
    tool: u32,
    id: String,
    name: String,
    kind: ToolKind,
    args: String,
    seal: Option<Seal>,
}

impl Encoder {
    pub(crate) fn new(head: Head) -> Self {
        Self { head, choices: Vec::new(), losses: Losses::default() }
    }

    /// The model's name, once it is known.
    pub(crate) fn model(&mut self, model: &str) {
        if self.head.model.is_empty() {
            self.head.model = model.to_owned();
        }
    }

    pub(crate) fn event(&mut self, item: Item, names: &Names, out: &mut String) {
        let mut state = match self.choices.iter().position(|state| state.index == item.choice) {
            Some(at) => self.choices.remove(at),
            None => State { index: item.choice, ..State::default() },
        };
        self.write(&mut state, item.event, names, out);
        self.choices.push(state);
    }

    fn write(&mut self, state: &mut State, event: Event, names: &Names, out: &mut String) {
        let index = state.index;
        let thought_before = std::mem::take(&mut state.thinks);
        state.refuses |= matches!(event, Event::Refusal(_));
        match event {
            Event::Text(text) | Event::Refusal(text) | Event::Transcript(text) => {
                state.said.push(&text);
                self.flush(state, names, out);
                let seal = state.seal.take();
                self.part(out, index, |o| {
                    o.str("text", &text);
                    body::sign(o, seal.as_ref());
                });
            }
            Event::Thinking(text) => {
                self.flush(state, names, out);
                self.seal_nothing(state, out);
                self.part(out, index, |o| body::thought(o, &text, None));
                state.thinks = true;
            }
            // The thinking that it seals is out already: an empty thought behind it carries the seal.
            Event::Signature(seal) if thought_before => {
                self.part(out, index, |o| body::thought(o, "", Some(&seal)));
            }
            Event::Signature(seal) => {
                self.seal_nothing(state, out);
                state.seal = Some(seal);
            }
            Event::Image(source) => {
                self.flush(state, names, out);
                let seal = state.seal.take();
                self.part(out, index, |o| {
                    source_of(o, &source, "image/png");
                    body::sign(o, seal.as_ref());
                });
            }
            Event::Sound(data) => {
                self.flush(state, names, out);
                let seal = state.seal.take();
                self.part(out, index, |o| {
                    body::spoken(o, &data);
                    body::sign(o, seal.as_ref());
                });
            }
            Event::Redacted(seal) => {
                self.flush(state, names, out);
                self.part(out, index, |o| body::redacted(o, &seal));
            }
            Event::ToolStart { tool, id, name, kind } => {
                state.calls_made = true;
                let seal = state.seal.take();
                state.calls.push(Call { tool, id, name, kind, args: String::new(), seal });
            }
            Event::ToolArgs { tool, json } => {
                if let Some(call) = state.calls.iter_mut().find(|call| call.tool == tool) {
                    call.args.push_str(&json);
                }
            }
            Event::Citation(citation) => {
                let (said, mut losses) = (&state.said, std::mem::take(&mut self.losses));
                let one = std::slice::from_ref(&citation);
                self.candidate(out, index, |_| {}, |o| body::grounds(o, one, said, &mut losses));
                self.losses = losses;
            }
            Event::Logprobs(array) => {
                self.candidate(out, index, |_| {}, |o| body::logprobs(o, std::slice::from_ref(&array)));
            }
            Event::Native(_) => {}
            Event::Stop { reason, .. } => {
                self.flush(state, names, out);
                state.stop = Some(reason);
            }
        }
    }

    /// A seal that nothing followed gets a part of its own.
    fn seal_nothing(&self, state: &mut State, out: &mut String) {
        if let Some(seal) = state.seal.take() {
            self.part(out, state.index, |o| body::thought(o, "", Some(&seal)));
        }
    }

    /// Writes the calls that are complete by now.
    fn flush(&mut self, state: &mut State, names: &Names, out: &mut String) {
        let calls = std::mem::take(&mut state.calls);
        if calls.is_empty() {
            return;
        }
        let mut losses = std::mem::take(&mut self.losses);
        self.candidate(
            out,
            state.index,
            |a| {
                for call in &calls {
                    a.object(|o| {
                        o.object("functionCall", |o| {
                            let name = names.restore(&call.name);
                            body::call(o, &call.id, name, call.kind, &call.args, &mut losses);
                        });
                        body::sign(o, call.seal.as_ref());
                    });
                }
            },
            |_| {},
        );
        self.losses = losses;
    }

    /// The end: what is left, and a last response with each candidate's reason and the usage.
    pub(crate) fn end(&mut self, usage: &Usage, names: &Names, out: &mut String) {
        let mut states = std::mem::take(&mut self.choices);
        if states.is_empty() {
            states.push(State::default());
        }
        states.sort_by_key(|state| state.index);
        for state in &mut states {
            self.flush(state, names, out);
            self.seal_nothing(state, out);
        }
        let json = object(|o| {
            o.array("candidates", |a| {
                for state in &states {
                    a.object(|o| {
                        o.object("content", |o| {
                            // Readers look for a part in each.
                            o.array("parts", |a| a.object(|o| o.str("text", "")));
                            o.str("role", "model");
                        });
                        let stop = state.stop.unwrap_or(Stop::End);
                        o.str(
                            "finishReason",
                            finish_reason(stop.refused(state.refuses && !state.calls_made)),
                        );
                        o.num("index", u64::from(state.index));
                    });
                }
            });
            o.raw("usageMetadata", &write_gemini(usage));
            self.shared(o);
        });
        write_frame(out, None, &json);
    }

    fn part(&self, out: &mut String, index: u32, fill: impl FnOnce(&mut Object<'_>)) {
        self.candidate(out, index, |a| a.object(fill), |_| {});
    }

    fn candidate(
        &self,
        out: &mut String,
        index: u32,
        parts: impl FnOnce(&mut Array<'_>),
        beside: impl FnOnce(&mut Object<'_>),
    ) {
        let json = object(|o| {
            o.array("candidates", |a| {
                a.object(|o| {
                    o.object("content", |o| {
                        o.array("parts", parts);
                        o.str("role", "model");
                    });
                    o.num("index", u64::from(index));
                    beside(o);
                });
            });
            self.shared(o);
        });
        write_frame(out, None, &json);
    }

    fn shared(&self, o: &mut Object<'_>) {
        o.str("modelVersion", &self.head.model);
        o.str("responseId", &self.head.id);
    }
}
