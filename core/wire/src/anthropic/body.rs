//! A whole answer as a message.

use sluicegate_core::Usage;

use super::{CITATIONS, IMAGES, NO_CITATIONS, NO_IMAGES, stop_reason};
use crate::ir::{AnswerBlock, Choice, Head, Maker, ToolKind};
use crate::json::{Array, object};
use crate::loss::Losses;
use crate::names::{Names, tool_id};
use crate::openai_chat::object_or_wrapped;
use crate::tier;
use crate::usage::write_anthropic;

/// Encodes an answer's one choice.
pub(crate) fn body(
    head: &Head,
    choice: &Choice,
    (usage, tier): (&Usage, Option<&str>),
    names: &Names,
    losses: &mut Losses,
) -> String {
    if !choice.citations.is_empty() {
        losses.dropped(CITATIONS, NO_CITATIONS);
    }
    object(|o| {
        o.str("id", &head.id);
        o.str("type", "message");
        o.str("role", "assistant");
        o.str("model", &head.model);
        o.array("content", |a| choice.blocks.iter().for_each(|b| block(a, b, names, losses)));
        o.str("stop_reason", stop_reason(choice.reason_aloud()));
        o.opt_str("stop_sequence", choice.sequence.as_deref());
        o.raw("usage", &write_anthropic(usage, tier.and_then(tier::anthropic)));
    })
}

fn block(a: &mut Array<'_>, block: &AnswerBlock, names: &Names, losses: &mut Losses) {
    if matches!(block, AnswerBlock::Image(_)) {
        return losses.dropped(IMAGES, NO_IMAGES);
    }
    a.object(|o| match block {
        AnswerBlock::Image(_) => {}
        AnswerBlock::Text(text) | AnswerBlock::Refusal(text) => {
            o.str("type", "text");
            o.str("text", text);
        }
        AnswerBlock::Thinking { text, seal } => {
            o.str("type", "thinking");
            o.str("thinking", text);
            let seal = seal.as_ref().map(|seal| seal.shown(Maker::Anthropic));
            o.str("signature", seal.as_deref().unwrap_or_default());
        }
        AnswerBlock::Redacted(seal) => {
            o.str("type", "redacted_thinking");
            o.str("data", &seal.shown(Maker::Anthropic));
        }
        AnswerBlock::Tool { id, name, kind, args, .. } => {
            o.str("type", "tool_use");
            o.str("id", &tool_id(id));
            o.str("name", names.restore(name));
            match kind {
                ToolKind::Custom => o.object("input", |o| o.str("input", args)),
                ToolKind::Function => {
                    o.raw("input", &object_or_wrapped(args, "tool_calls[].function.arguments", losses));
                }
            }
        }
    });
}
