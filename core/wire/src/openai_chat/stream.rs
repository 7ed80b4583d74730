//! Events as the chunks of a chat completions stream.

use sluicegate_core::Usage;

use super::body::{annotation, audio_head, image, logprobs};
use super::finish_reason;
use crate::ir::{Event, Head, Item, Maker, Seal, Stop, ToolKind};
use crate::json::{Object, object};
use crate::names::Names;
use crate::sse::write_frame;
use crate::tier;
use crate::usage::write_openai;

/// Writes one stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    usage_wanted: bool,
    /// The tier that serves it, once it is known.
    tier: Option<String>,
    choices: Vec<State>,
}

#[derive(Debug, Default)]
struct State {
    index: u32,
    begun: bool,
    /// The calls that have no arguments so far: theirs may come when others have begun.
    bare_tools: Vec<u32>,
    /// The calls of custom tools.
    custom: Vec<u32>,
    calls: bool,
    finished: bool,
    /// The upstream's own word for why it ends.
    native: Option<String>,
    /// How many were written.
    pictures: u64,
    /// What is spoken has its name.
    speaks: bool,
    thought: String,
    /// Seals the call that follows: Gemini's.
    seal: Option<Seal>,
}

impl Encoder {
    pub(crate) fn new(head: Head, usage_wanted: bool) -> Self {
        Self { head, usage_wanted, tier: None, choices: Vec::new() }
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
            self.tier = tier::openai(word);
        }
    }

    pub(crate) fn event(&mut self, item: Item, names: &Names, out: &mut String) {
        let mut state = self.take(item.choice);
        if !std::mem::replace(&mut state.begun, true) {
            self.delta(out, item.choice, |o| {
                o.str("role", "assistant");
                o.str("content", "");
            });
        }
        self.write(&mut state, item.event, names, out);
        self.choices.push(state);
    }

    fn take(&mut self, index: u32) -> State {
        match self.choices.iter().position(|state| state.index == index) {
            Some(at) => self.choices.swap_remove(at),
            None => State { index, ..State::default() },
        }
    }

    fn write(&mut self, state: &mut State, event: Event, names: &Names, out: &mut String) {
        let choice = state.index;
        if !matches!(event, Event::ToolStart { .. })
            && let Some(seal) = state.seal.take()
        {
            // No call has followed.
            let thought = std::mem::take(&mut state.thought);
            self.delta(out, choice, |o| thinking_blocks(o, &thought, &seal));
        }
        match event {
            Event::Signature(seal) if seal.maker == Maker::Gemini => state.seal = Some(seal),
            Event::Text(text) => self.delta(out, choice, |o| o.str("content", &text)),
            Event::Refusal(text) => self.delta(out, choice, |o| o.str("refusal", &text)),
            Event::Thinking(text) => {
                self.delta(out, choice, |o| o.str("reasoning_content", &text));
                state.thought.push_str(&text);
            }
            // The whole block again, sealed: only so can the caller send it back.
            Event::Signature(seal) => {
                let thought = std::mem::take(&mut state.thought);
                self.delta(out, choice, |o| thinking_blocks(o, &thought, &seal));
            }
            Event::Redacted(seal) => self.delta(out, choice, |o| {
                o.array("thinking_blocks", |a| {
                    a.object(|o| {
                        o.str("type", "redacted_thinking");
                        o.str("data", &seal.shown(Maker::Anthropic));
                    });
                });
            }),
            Event::Image(source) => {
                let at = state.pictures;
                state.pictures += 1;
                self.delta(out, choice, |o| o.array("images", |a| image(a, at, &source)));
            }
            Event::Sound(data) => self.audio(state, out, |o| o.str("data", &data)),
            Event::Transcript(text) => self.audio(state, out, |o| o.str("transcript", &text)),
            Event::Citation(citation) => self.delta(out, choice, |o| {
                o.array("annotations", |a| a.object(|o| annotation(o, &citation)));
            }),
            Event::Logprobs(array) => {
                self.chunk(out, choice, |_| {}, |o| logprobs(o, std::slice::from_ref(&array)), None);
            }
            Event::ToolStart { tool, id, name, kind } => {
                state.calls = true;
                let seal = state.seal.take();
                let (word, input) = words(kind);
                if names.as_functions {
                    state.bare_tools.push(tool);
                    return self.function(out, choice, tool, |o| {
                        o.str("name", names.restore(&name));
                        o.str(input, "");
                    });
                }
                if kind == ToolKind::Custom {
                    state.custom.push(tool);
                } else {
                    state.bare_tools.push(tool);
                }
                self.call(out, choice, tool, |o| {
                    o.str("id", &id);
                    o.str("type", word);
                    o.object(word, |o| {
                        o.str("name", names.restore(&name));
                        o.str(input, "");
                    });
                    call_seal(o, seal.as_ref());
                });
            }
            Event::ToolArgs { tool, json } => {
                state.bare_tools.retain(|bare| *bare != tool);
                if names.as_functions {
                    return self.function(out, choice, tool, |o| o.str("arguments", &json));
                }
                let custom = state.custom.contains(&tool);
                let (word, input) = words(if custom { ToolKind::Custom } else { ToolKind::Function });
                self.call(out, choice, tool, |o| o.object(word, |o| o.str(input, &json)));
            }
            Event::Native(word) => state.native = Some(word),
            Event::Stop { reason, .. } => {
                if std::mem::replace(&mut state.finished, true) {
                    return;
                }
                self.close_bare(state, names, out);
                let reason = if state.calls && reason == Stop::End { Stop::ToolUse } else { reason };
                let native = state.native.take();
                let beside = |o: &mut Object<'_>| {
                    native.iter().for_each(|word| o.str("native_finish_reason", word));
                };
                self.chunk(out, choice, |_| {}, beside, Some(finish_reason(reason, names)));
            }
        }
    }

    /// A piece of what is spoken; its name stands in the first, as readers put pieces together.
    fn audio(&self, state: &mut State, out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
        let begins = !std::mem::replace(&mut state.speaks, true);
        self.delta(out, state.index, |o| {
            o.object("audio", |o| {
                if begins {
                    audio_head(o, &self.head);
                }
                fill(o);
            });
        });
    }

    /// A call without arguments has the arguments `{}`, at the end.
    fn close_bare(&mut self, state: &mut State, names: &Names, out: &mut String) {
        for tool in std::mem::take(&mut state.bare_tools) {
            match names.as_functions {
                true => self.function(out, state.index, tool, |o| o.str("arguments", "{}")),
                false => {
                    self.call(out, state.index, tool, |o| o.object("function", |o| o.str("arguments", "{}")))
                }
            }
        }
    }

    /// The end: a reason for choices that have none, the usage chunk if it is wanted, and the last frame.
    pub(crate) fn end(&mut self, usage: &Usage, names: &Names, out: &mut String) {
        if self.choices.is_empty() {
            self.choices.push(State::default());
        }
        let open: Vec<u32> =
            self.choices.iter().filter(|state| !state.finished).map(|state| state.index).collect();
        for choice in open {
            // Readers wait for a reason, whatever the upstream left out.
            self.event(Item { choice, event: Event::Stop { reason: Stop::End, sequence: None } }, names, out);
        }
        if self.usage_wanted {
            let json = object(|o| {
                self.shared(o);
                o.array("choices", |_| {});
                o.raw("usage", &write_openai(usage));
            });
            write_frame(out, None, &json);
        }
        write_frame(out, None, "[DONE]");
    }

    /// A piece of the one call that there is room for.
    fn function(&self, out: &mut String, choice: u32, tool: u32, fill: impl FnOnce(&mut Object<'_>)) {
        if tool == 0 {
            self.delta(out, choice, |o| o.object("function_call", fill));
        }
    }

    fn call(&self, out: &mut String, choice: u32, tool: u32, fill: impl FnOnce(&mut Object<'_>)) {
        self.delta(out, choice, |o| {
            o.array("tool_calls", |a| {
                a.object(|o| {
                    o.num("index", u64::from(tool));
                    fill(o);
                });
            });
        });
    }

    fn delta(&self, out: &mut String, choice: u32, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(out, choice, fill, |_| {}, None);
    }

    fn chunk(
        &self,
        out: &mut String,
        choice: u32,
        fill: impl FnOnce(&mut Object<'_>),
        beside: impl FnOnce(&mut Object<'_>),
        finish: Option<&str>,
    ) {
        let json = object(|o| {
            self.shared(o);
            o.array("choices", |a| {
                a.object(|o| {
                    o.num("index", u64::from(choice));
                    o.object("delta", fill);
                    beside(o);
                    o.opt_str("finish_reason", finish);
                });
            });
            if self.usage_wanted {
                o.raw("usage", "null");
            }
        });
        write_frame(out, None, &json);
    }

    fn shared(&self, o: &mut Object<'_>) {
        o.str("id", &self.head.id);
        o.str("object", "chat.completion.chunk");
        o.raw("created", &self.head.created_s.to_string());
        o.str("model", &self.head.model);
        if let Some(tier) = &self.tier {
            o.str("service_tier", tier);
        }
    }
}

/// The object of a call, and its field for what the tool is given.
fn words(kind: ToolKind) -> (&'static str, &'static str) {
    match kind {
        ToolKind::Function => ("function", "arguments"),
        ToolKind::Custom => ("custom", "input"),
    }
}

/// Where Gemini's own chat endpoint has the signature of a call. It says whose it is: other servers of chat completions are not
/// sent it.
pub(super) fn call_seal(o: &mut Object<'_>, seal: Option<&Seal>) {
    if let Some(seal) = seal {
        o.object("extra_content", |o| {
            o.object("google", |o| o.str("thought_signature", &seal.shown(Maker::Openai)));
        });
    }
}

/// The field in which sealed thinking travels; LiteLLM's name for it.
pub(super) fn thinking_blocks(o: &mut Object<'_>, thought: &str, seal: &Seal) {
    o.array("thinking_blocks", |a| {
        a.object(|o| {
            o.str("type", "thinking");
            o.str("thinking", thought);
            o.str("signature", &seal.shown(Maker::Anthropic));
        });
    });
}
