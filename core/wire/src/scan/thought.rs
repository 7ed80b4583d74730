//! What a call says of thinking: where the output ceiling doesn't cover that, it is reserved by this.
//!
//! What is read here is what translations make of it. Where one word says to think and another not to, it thinks.

use std::borrow::Cow;

use sluicegate_core::Format;

use crate::facts::Facts;
use crate::gemini::member;
use crate::ir::Effort;
use crate::json::Val;

fn says(facts: &mut Facts, thinks: bool) {
    facts.thinking.said = Some(facts.thinking.said == Some(true) || thinks);
}

/// Of several amounts the largest.
fn grants(facts: &mut Facts, tokens: u64) {
    facts.thinking.budget = facts.thinking.budget.max(Some(tokens));
}

/// `thinking`, Anthropic's, and of many servers of chat completions.
pub(super) fn thinking(facts: &mut Facts, format: Format, v: Val<'_>) {
    if v.is_null() {
        return;
    }
    let kind = v.get_str("type");
    says(facts, kind.as_deref() != Some("disabled"));
    let budget = v.get_u64("budget_tokens");
    facts.thinking_budget = budget;
    // As it sees fit: nobody sends the budget on. In chat completions it isn't the field for one.
    let counts = format != Format::OpenaiChat && kind.as_deref() != Some("adaptive");
    if let Some(tokens) = budget.filter(|_| counts) {
        grants(facts, tokens);
    }
    // Its answer will be signed, and only who signs it can go on with it.
    let is_asked = kind.is_some_and(|kind| matches!(&*kind, "enabled" | "adaptive"));
    facts.bound |= is_asked && format == Format::AnthropicMessages;
}

/// `reasoning_effort`, `reasoning.effort` and `output_config.effort`.
pub(super) fn effort(facts: &mut Facts, format: Format, word: Option<Cow<'_, str>>) {
    let Some(word) = word else { return };
    says(facts, &*word != "none");
    // In chat completions it is sent as it is.
    if let Some(effort) = Effort::parse(&word).filter(|_| format != Format::OpenaiChat) {
        grants(facts, effort.budget());
    }
}

/// `enable_thinking`. Nobody knows what is made of other values than these two: it may think.
pub(super) fn switch(facts: &mut Facts, v: Val<'_>) {
    facts.thinking.switch = if v.is_null() { None } else { Some(v.as_bool() != Some(false)) };
}

/// `thinking_budget`.
pub(super) fn budget(facts: &mut Facts, v: Val<'_>) {
    if let Some(tokens) = v.as_u64() {
        grants(facts, tokens);
    }
}

/// Gemini's `thinkingConfig`.
pub(super) fn gemini(facts: &mut Facts, config: Val<'_>) {
    // Its answer will be signed, and only who signs it can go on with it.
    facts.bound = true;
    let budget = member(config, "thinkingBudget");
    facts.thinking_budget = budget.and_then(Val::as_u64).filter(|n| *n > 0);
    // A number may be a text.
    let said = budget.map(|v| v.as_str().unwrap_or_else(|| v.raw().into()));
    let level = member(config, "thinkingLevel").and_then(Val::as_str);
    if let Some(level) = &level {
        effort(facts, Format::GeminiGenerate, Some(level.to_ascii_lowercase().into()));
    }
    if let Some(said) = said {
        says(facts, &*said != "0");
        if let Some(tokens) = said.parse().ok().filter(|tokens| *tokens > 0) {
            grants(facts, tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluicegate_core::Thinking;

    use super::*;
    use crate::scan::{Addressed, scan_addressed};

    #[test]
    fn what_is_said_of_thinking_is_known() {
        const CHAT: Format = Format::OpenaiChat;
        const ANTHROPIC: Format = Format::AnthropicMessages;
        const RESPONSES: Format = Format::OpenaiResponses;
        const GEMINI: Format = Format::GeminiGenerate;
        let (on, off) = (Some(true), Some(false));
        for (format, fields, said, switch, budget) in [
            (CHAT, r#""temperature":1"#, None, None, None),
            (CHAT, r#""enable_thinking":true,"thinking_budget":500"#, None, on, Some(500)),
            (CHAT, r#""enable_thinking":false"#, None, off, None),
            (CHAT, r#""enable_thinking":null,"thinking_budget":null"#, None, None, None),
            (CHAT, r#""enable_thinking":"false","thinking_budget":"9""#, None, on, None),
            (CHAT, r#""thinking":{"type":"disabled"}"#, off, None, None),
            (CHAT, r#""thinking":{"type":"enabled","budget_tokens":7}"#, on, None, None),
            (CHAT, r#""thinking":null,"reasoning_effort":null"#, None, None, None),
            (CHAT, r#""reasoning_effort":"none""#, off, None, None),
            (CHAT, r#""reasoning_effort":"minimal""#, on, None, None),
            (CHAT, r#""reasoning_effort":"high","thinking":{"type":"disabled"}"#, on, None, None),
            (ANTHROPIC, r#""thinking":{"type":"enabled","budget_tokens":2000}"#, on, None, Some(2_000)),
            (ANTHROPIC, r#""thinking":{"type":"adaptive","budget_tokens":2000}"#, on, None, None),
            (ANTHROPIC, r#""thinking":{"type":"disabled"}"#, off, None, None),
            (
                ANTHROPIC,
                r#""output_config":{"effort":"high"},"thinking":{"type":"adaptive"}"#,
                on,
                None,
                Some(4_096),
            ),
            (
                ANTHROPIC,
                r#""output_config":{"effort":"max"},"thinking":{"type":"enabled","budget_tokens":2000}"#,
                on,
                None,
                Some(16_384),
            ),
            (ANTHROPIC, r#""output_config":{"effort":"much"}"#, on, None, None),
            (RESPONSES, r#""reasoning":{"effort":"none"}"#, off, None, None),
            (RESPONSES, r#""reasoning":{"effort":"low","summary":"auto"}"#, on, None, Some(1_024)),
            (RESPONSES, r#""reasoning":{"summary":"auto"}"#, None, None, None),
            (GEMINI, r#""generationConfig":{"thinkingConfig":{"thinkingBudget":0}}"#, off, None, None),
            (GEMINI, r#""generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#, on, None, None),
            (
                GEMINI,
                r#""generationConfig":{"thinkingConfig":{"thinking_budget":"900"}}"#,
                on,
                None,
                Some(900),
            ),
            (
                GEMINI,
                r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH","thinkingBudget":0}}"#,
                on,
                None,
                Some(4_096),
            ),
            (GEMINI, r#""generationConfig":{"thinkingConfig":{}}"#, None, None, None),
        ] {
            let body = match format {
                Format::GeminiGenerate => format!(r#"{{"contents":[{{"parts":[]}}],{fields}}}"#),
                Format::OpenaiResponses => format!(r#"{{"model":"m","input":"hi",{fields}}}"#),
                _ => format!(
                    r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"max_tokens":9,{fields}}}"#
                ),
            };
            let at = Addressed { model: "m", stream: false };
            let scanned = scan_addressed(format, &Bytes::from(body), Some(at)).unwrap();
            let call = scanned.facts().call("c".into(), format);
            assert_eq!(call.thinking, Thinking { said, switch, budget }, "{fields}");
        }
    }
}
