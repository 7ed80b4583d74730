//! A whole answer as a chat completion.

use sluicegate_core::Usage;

use super::finish_reason;
use super::stream::call_seal;
use crate::ir::{AnswerBlock, Choice, Citation, Head, Maker, Seal, Sound, Source, ToolKind};
use crate::json::{Array, Object, Val, object};
use crate::media::data_address;
use crate::names::Names;
use crate::sound;
use crate::tier;
use crate::usage::write_openai;

/// Encodes the choices of an answer.
pub(crate) fn body(
    head: &Head,
    choices: &[Choice],
    (usage, tier): (&Usage, Option<&str>),
    names: &Names,
    wav: bool,
) -> String {
    object(|o| {
        o.str("id", &head.id);
        o.str("object", "chat.completion");
        o.raw("created", &head.created_s.to_string());
        o.str("model", &head.model);
        o.array("choices", |a| {
            for choice in choices {
                a.object(|o| {
                    o.num("index", u64::from(choice.index));
                    o.object("message", |o| message(o, head, choice, names, wav));
                    logprobs(o, &choice.logprobs);
                    o.str("finish_reason", finish_reason(choice.reason(), names));
                    // As OpenRouter calls it.
                    choice.native.iter().for_each(|word| o.str("native_finish_reason", word));
                });
            }
        });
        if let Some(tier) = tier.and_then(tier::openai) {
            o.str("service_tier", &tier);
        }
        o.raw("usage", &write_openai(usage));
    })
}

fn message(o: &mut Object<'_>, head: &Head, choice: &Choice, names: &Names, wav: bool) {
    let join = |pick: fn(&AnswerBlock) -> Option<&str>| {
        let texts: Vec<&str> = choice.blocks.iter().filter_map(pick).collect();
        (!texts.is_empty()).then(|| texts.concat())
    };
    let text = join(|block| if let AnswerBlock::Text(text) = block { Some(text) } else { None });
    let refusal = join(|block| if let AnswerBlock::Refusal(text) = block { Some(text) } else { None });
    let thought =
        join(|block| if let AnswerBlock::Thinking { text, .. } = block { Some(text) } else { None });
    o.str("role", "assistant");
    o.opt_str("content", text.as_deref());
    o.opt_str("refusal", refusal.as_deref());
    if let Some(thought) = thought.filter(|text| !text.is_empty()) {
        o.str("reasoning_content", &thought);
    }
    sealed(o, choice);
    let pictures = choice.blocks.iter().filter_map(|block| match block {
        AnswerBlock::Image(source) => Some(source),
        _ => None,
    });
    let pictures: Vec<&Source> = pictures.collect();
    if !pictures.is_empty() {
        o.array("images", |a| (0..).zip(pictures).for_each(|(at, source)| image(a, at, source)));
    }
    if choice.sound != Sound::default() {
        let pieces = &choice.sound.pieces;
        o.object("audio", |o| {
            audio_head(o, head);
            o.str("data", &if wav { sound::wav(pieces) } else { sound::joined(pieces) });
            o.str("transcript", &choice.sound.transcript);
        });
    }
    if !choice.citations.is_empty() {
        o.array("annotations", |a| {
            choice.citations.iter().for_each(|citation| a.object(|o| annotation(o, citation)));
        });
    }
    let calls: Vec<_> = choice
        .blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| matches!(block, AnswerBlock::Tool { .. }))
        .map(|(at, block)| (block, seal_of_call(choice, at)))
        .collect();
    if let Some((AnswerBlock::Tool { name, args, .. }, _)) = calls.first().filter(|_| names.as_functions) {
        return o.object("function_call", |o| {
            o.str("name", names.restore(name));
            o.str("arguments", if args.trim().is_empty() { "{}" } else { args });
        });
    }
    if calls.is_empty() {
        return;
    }
    o.array("tool_calls", |a| {
        for (call, seal) in calls {
            let AnswerBlock::Tool { id, name, kind, args, .. } = call else {
                continue;
            };
            a.object(|o| {
                o.str("id", id);
                match kind {
                    ToolKind::Custom => {
                        o.str("type", "custom");
                        o.object("custom", |o| {
                            o.str("name", names.restore(name));
                            o.str("input", args);
                        });
                    }
                    ToolKind::Function => {
                        o.str("type", "function");
                        o.object("function", |o| {
                            o.str("name", names.restore(name));
                            o.str("arguments", if args.trim().is_empty() { "{}" } else { args });
                        });
                    }
                }
                call_seal(o, seal);
            });
        }
    });
}

/// The probabilities of the tokens: all arrays in one.
pub(super) fn logprobs(o: &mut Object<'_>, arrays: &[String]) {
    if arrays.is_empty() {
        return o.raw("logprobs", "null");
    }
    o.object("logprobs", |o| {
        o.array("content", |a| {
            let entries = arrays.iter().flat_map(|array| Val::trusted(array).elements());
            entries.for_each(|entry| a.raw(entry.raw()));
        });
        o.raw("refusal", "null");
    });
}

/// What names a spoken answer. Nobody keeps it: what would be sent back in its place is over when it is made.
pub(super) fn audio_head(o: &mut Object<'_>, head: &Head) {
    o.str("id", &format!("audio_{}", head.id.trim_start_matches("chatcmpl-")));
    o.raw("expires_at", &head.created_s.to_string());
}

/// A picture, where OpenRouter and LiteLLM have those that models make.
pub(super) fn image(a: &mut Array<'_>, at: u64, source: &Source) {
    a.object(|o| {
        o.str("type", "image_url");
        o.num("index", at);
        o.object("image_url", |o| o.str("url", &data_address(source)));
    });
}

/// A source. A place that isn't known is empty.
pub(super) fn annotation(o: &mut Object<'_>, citation: &Citation) {
    o.str("type", "url_citation");
    let (from, to) = citation.place.unwrap_or_default();
    o.object("url_citation", |o| {
        o.str("url", &citation.url);
        o.str("title", citation.title.as_deref().unwrap_or_default());
        o.num("start_index", from);
        o.num("end_index", to);
    });
}

/// What seals the call at this place: Gemini's stands right before it.
fn seal_of_call(choice: &Choice, at: usize) -> Option<&Seal> {
    match (choice.blocks.get(at.checked_sub(1)?)?, choice.blocks.get(at)?) {
        (AnswerBlock::Thinking { seal: Some(seal), .. }, AnswerBlock::Tool { .. }) => {
            (seal.maker == Maker::Gemini).then_some(seal)
        }
        _ => None,
    }
}

/// Thinking that must be sent back as it is.
fn sealed(o: &mut Object<'_>, choice: &Choice) {
    let is_sealed = |block: &AnswerBlock| {
        matches!(block, AnswerBlock::Thinking { seal: Some(_), .. } | AnswerBlock::Redacted(_))
    };
    let sealed: Vec<&AnswerBlock> = choice
        .blocks
        .iter()
        .enumerate()
        .filter(|(at, block)| is_sealed(block) && seal_of_call(choice, at + 1).is_none())
        .map(|(_, block)| block)
        .collect();
    if sealed.is_empty() {
        return;
    }
    o.array("thinking_blocks", |a| {
        for block in sealed {
            a.object(|o| match block {
                AnswerBlock::Thinking { text, seal: Some(seal) } => {
                    o.str("type", "thinking");
                    o.str("thinking", text);
                    o.str("signature", &seal.shown(Maker::Anthropic));
                }
                AnswerBlock::Redacted(seal) => {
                    o.str("type", "redacted_thinking");
                    o.str("data", &seal.shown(Maker::Anthropic));
                }
                _ => {}
            });
        }
    });
}
