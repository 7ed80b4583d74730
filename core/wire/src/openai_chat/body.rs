//! A whole answer as a chat completion.

use sluicegate_core::Usage;

use super::finish_reason;
use crate::ir::{AnswerBlock, Choice, Head};
use crate::json::{Object, object};
use crate::names::Names;
use crate::usage::write_openai;

/// Encodes the choices of an answer.
pub(crate) fn body(head: &Head, choices: &[Choice], usage: &Usage, names: &Names) -> String {
    object(|o| {
        o.str("id", &head.id);
        o.str("object", "chat.completion");
        o.raw("created", &head.created_s.to_string());
        o.str("model", &head.model);
        o.array("choices", |a| {
            for choice in choices {
                a.object(|o| {
                    o.num("index", u64::from(choice.index));
                    o.object("message", |o| message(o, choice, names));
                    o.raw("logprobs", "null");
                    o.str("finish_reason", finish_reason(choice.reason()));
                });
            }
        });
        o.raw("usage", &write_openai(usage));
    })
}

fn message(o: &mut Object<'_>, choice: &Choice, names: &Names) {
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
    let calls: Vec<_> =
        choice.blocks.iter().filter(|block| matches!(block, AnswerBlock::Tool { .. })).collect();
    if calls.is_empty() {
        return;
    }
    o.array("tool_calls", |a| {
        for call in calls {
            let AnswerBlock::Tool { id, name, args, .. } = call else {
                continue;
            };
            a.object(|o| {
                o.str("id", id);
                o.str("type", "function");
                o.object("function", |o| {
                    o.str("name", names.restore(name));
                    o.str("arguments", if args.trim().is_empty() { "{}" } else { args });
                });
            });
        }
    });
}

/// Thinking that must be sent back as it is.
fn sealed(o: &mut Object<'_>, choice: &Choice) {
    let is_sealed = |block: &&AnswerBlock| {
        matches!(block, AnswerBlock::Thinking { signature: Some(_), .. } | AnswerBlock::Redacted(_))
    };
    if !choice.blocks.iter().any(|block| is_sealed(&block)) {
        return;
    }
    o.array("thinking_blocks", |a| {
        for block in choice.blocks.iter().filter(is_sealed) {
            a.object(|o| match block {
                AnswerBlock::Thinking { text, signature } => {
                    o.str("type", "thinking");
                    o.str("thinking", text);
                    o.str("signature", signature.as_deref().unwrap_or_default());
                }
                AnswerBlock::Redacted(data) => {
                    o.str("type", "redacted_thinking");
                    o.str("data", data);
                }
                _ => {}
            });
        }
    });
}
