//! Answers as completions: whole, and in the chunks of a stream.

use sluicegate_core::Usage;

use super::finish_reason;
use crate::ir::{AnswerBlock, Choice, Event, Head, Item, Stop};
use crate::json::{Object, Val, object};
use crate::sse::write_frame;
use crate::usage::write_openai;

/// Encodes the choices of an answer.
pub(crate) fn body(head: &Head, choices: &[Choice], usage: &Usage) -> String {
    object(|o| {
        shared(o, head);
        o.array("choices", |a| {
            for choice in choices {
                let texts = choice.blocks.iter().filter_map(|block| match block {
                    AnswerBlock::Text(text) | AnswerBlock::Refusal(text) => Some(text.as_str()),
                    _ => None,
                });
                a.object(|o| {
                    o.str("text", &texts.collect::<String>());
                    o.num("index", u64::from(choice.index));
                    logprobs(o, &choice.logprobs, &mut 0);
                    o.str("finish_reason", finish_reason(choice.reason_aloud()));
                });
            }
        });
        o.raw("usage", &write_openai(usage));
    })
}

/// Writes one stream.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    usage_wanted: bool,
    choices: Vec<State>,
}

#[derive(Debug, Default)]
struct State {
    index: u32,
    refuses: bool,
    finished: bool,
    /// How many characters the tokens have whose probabilities were told.
    told: u64,
}

impl Encoder {
    pub(crate) fn new(head: Head, usage_wanted: bool) -> Self {
        Self { head, usage_wanted, choices: Vec::new() }
    }

    /// The model's name, once it is known.
    pub(crate) fn model(&mut self, model: &str) {
        if self.head.model.is_empty() {
            self.head.model = model.to_owned();
        }
    }

    pub(crate) fn event(&mut self, item: Item, out: &mut String) {
        let mut state = match self.choices.iter().position(|state| state.index == item.choice) {
            Some(at) => self.choices.swap_remove(at),
            None => State { index: item.choice, ..State::default() },
        };
        match item.event {
            Event::Text(text) => self.chunk(out, &mut state, &text, &[], None),
            Event::Refusal(text) => {
                state.refuses = true;
                self.chunk(out, &mut state, &text, &[], None);
            }
            Event::Logprobs(array) => self.chunk(out, &mut state, "", &[array], None),
            Event::Stop { reason, .. } if !state.finished => {
                state.finished = true;
                let reason = finish_reason(reason.refused(state.refuses));
                self.chunk(out, &mut state, "", &[], Some(reason));
            }
            // The rest has no place, and was named.
            _ => {}
        }
        self.choices.push(state);
    }

    /// The end: a reason for choices that have none, the usage chunk if it is wanted, and the last frame.
    pub(crate) fn end(&mut self, usage: &Usage, out: &mut String) {
        if self.choices.is_empty() {
            self.choices.push(State::default());
        }
        let open: Vec<u32> =
            self.choices.iter().filter(|state| !state.finished).map(|state| state.index).collect();
        for choice in open {
            // Readers wait for a reason, whatever the upstream left out.
            self.event(Item { choice, event: Event::Stop { reason: Stop::End, sequence: None } }, out);
        }
        if self.usage_wanted {
            let json = object(|o| {
                shared(o, &self.head);
                o.array("choices", |_| {});
                o.raw("usage", &write_openai(usage));
            });
            write_frame(out, None, &json);
        }
        write_frame(out, None, "[DONE]");
    }

    fn chunk(
        &self,
        out: &mut String,
        state: &mut State,
        text: &str,
        arrays: &[String],
        finish: Option<&str>,
    ) {
        let json = object(|o| {
            shared(o, &self.head);
            o.array("choices", |a| {
                a.object(|o| {
                    o.str("text", text);
                    o.num("index", u64::from(state.index));
                    logprobs(o, arrays, &mut state.told);
                    o.opt_str("finish_reason", finish);
                });
            });
            if self.usage_wanted {
                o.raw("usage", "null");
            }
        });
        write_frame(out, None, &json);
    }
}

fn shared(o: &mut Object<'_>, head: &Head) {
    o.str("id", &head.id);
    o.str("object", "text_completion");
    o.raw("created", &head.created_s.to_string());
    o.str("model", &head.model);
}

/// What might have stood in a token's place, if that was told.
fn others(token: Val<'_>) -> Option<Val<'_>> {
    token.get("top_logprobs").filter(|top| top.elements().next().is_some())
}

fn number(token: Val<'_>) -> &str {
    token.get("logprob").map_or("null", Val::raw)
}

/// The probabilities of the tokens, one list for each thing that is said of them. `at` is where in the answer's text the next one begins, in
/// characters.
fn logprobs(o: &mut Object<'_>, arrays: &[String], at: &mut u64) {
    let tokens: Vec<Val<'_>> = arrays.iter().flat_map(|array| Val::trusted(array).elements()).collect();
    if tokens.is_empty() {
        return o.raw("logprobs", "null");
    }
    o.object("logprobs", |o| {
        o.array("tokens", |a| tokens.iter().for_each(|it| a.str(&it.get_str("token").unwrap_or_default())));
        o.array("token_logprobs", |a| tokens.iter().for_each(|it| a.raw(number(*it))));
        if tokens.iter().any(|it| others(*it).is_some()) {
            o.array("top_logprobs", |a| {
                tokens.iter().for_each(|it| {
                    a.object(|o| {
                        for other in others(*it).into_iter().flat_map(Val::elements) {
                            o.raw(&other.get_str("token").unwrap_or_default(), number(other));
                        }
                    });
                });
            });
        } else {
            o.raw("top_logprobs", "null");
        }
        o.array("text_offset", |a| {
            tokens.iter().for_each(|it| {
                a.raw(&at.to_string());
                *at += it.get_str("token").map_or(0, |text| text.chars().count()) as u64;
            });
        });
    });
}
