//! How much to think, and what was thought, in a chat completions request.

use serde_json::{Map, Value};
use sluicegate_core::Format;
use sluicegate_core::ids::own_name;
use sluicegate_core::openai::{never_thinks, wants_max_completion_tokens};
use sluicegate_core::quirk::{Quirks, ThinkingQuirk};

use crate::ir::{Block, Effort, Message, Reasoning, Request, ToolChoice};
use crate::json::Object;
use crate::loss::Losses;

/// The loss of a budget at a target that has words for it.
const BUDGET: &str = "thinking.budget_tokens";
const NO_BUDGETS: &str = "the target has efforts, no budgets";

/// Says how much to think: as the provider wants to be told, else as OpenAI does.
pub(super) fn write(o: &mut Object<'_>, request: &Request, how: Option<&ThinkingQuirk>, losses: &mut Losses) {
    let Some(how) = how else {
        if let Some(effort) = effort(request, losses) {
            o.str("reasoning_effort", effort);
        }
        return;
    };
    match request.reasoning {
        // Who says nothing of thinking may get a model that thinks by itself, and refuses to call then.
        None if how.unforced && is_forced(request) => fields(o, &how.off),
        None => {}
        Some(Reasoning::Off) if how.never => {}
        Some(_) if how.never => losses.dropped("thinking", "the model doesn't reason"),
        Some(Reasoning::Off) => {
            if how.off.is_empty() {
                losses.dropped("reasoning_effort", "nothing keeps this model from thinking");
            }
            fields(o, &how.off);
        }
        Some(_) if how.unforced && is_forced(request) => {
            losses.dropped("reasoning_effort", "a forced tool call excludes thinking");
            fields(o, &how.off);
        }
        Some(wanted) => match amount(wanted, how, losses) {
            None => fields(o, &how.on),
            Some((path, value)) => match path.split_once('.') {
                None => {
                    fields(o, &how.on);
                    o.raw(path, &value.to_string());
                }
                Some((outer, name)) => {
                    let mut on = how.on.clone();
                    if let Some(Value::Object(members)) = on.get_mut(outer) {
                        members.insert(name.to_owned(), value);
                    }
                    fields(o, &on);
                }
            },
        },
    }
}

fn is_forced(request: &Request) -> bool {
    !request.tools.is_empty()
        && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)))
}

fn fields(o: &mut Object<'_>, fields: &Map<String, Value>) {
    fields.iter().for_each(|(name, value)| o.raw(name, &value.to_string()));
}

/// How much, in the provider's measure: the field, and what stands there.
fn amount<'a>(wanted: Reasoning, how: &'a ThinkingQuirk, losses: &mut Losses) -> Option<(&'a str, Value)> {
    let known = how.efforts.iter().filter_map(|word| Effort::parse(word));
    let nearest =
        |effort: Effort| known.clone().find(|word| *word >= effort).or_else(|| known.clone().next_back());
    let word =
        |effort: Effort| (how.effort.as_deref().unwrap_or("reasoning_effort"), Value::from(effort.as_str()));
    match (wanted, how.budget.as_deref()) {
        (Reasoning::Off | Reasoning::Adaptive, _) => None,
        (Reasoning::Budget(tokens), Some(budget)) => Some((budget, tokens.into())),
        (Reasoning::Budget(tokens), None) => {
            let effort = nearest(Effort::of_budget(tokens));
            let why = effort.map_or("the model thinks as much as it sees fit", |_| NO_BUDGETS);
            losses.approximated(BUDGET, why);
            effort.map(word)
        }
        (Reasoning::Effort(effort), budget) => match (nearest(effort), budget) {
            (Some(found), _) => {
                if found != effort {
                    losses.approximated("reasoning_effort", "the model has other efforts");
                }
                Some(word(found))
            }
            (None, Some(budget)) => {
                losses.approximated("reasoning_effort", "the target has budgets, no efforts");
                Some((budget, effort.budget().into()))
            }
            (None, None) => {
                losses.approximated("reasoning_effort", "the model thinks as much as it sees fit");
                None
            }
        },
    }
}

/// The word for how much to think, for a model of OpenAI's or like them.
pub(crate) fn effort(request: &Request, losses: &mut Losses) -> Option<&'static str> {
    let name = own_name(&request.model);
    let reasons = !never_thinks(&request.model);
    let effort = match request.reasoning {
        None => return None,
        Some(Reasoning::Off) => return if reasons { least_effort(name, losses) } else { None },
        Some(Reasoning::Effort(effort)) => effort,
        Some(Reasoning::Adaptive) => Effort::Medium,
        Some(Reasoning::Budget(tokens)) => {
            losses.approximated(BUDGET, NO_BUDGETS);
            Effort::of_budget(tokens)
        }
    };
    if !reasons {
        losses.dropped("thinking", "the model doesn't reason");
        return None;
    }
    // QUIRK(openai, 2026-05): `max` is the word of few models; all that take it take `xhigh`.
    if effort == Effort::Max && matches!(request.reasoning, Some(Reasoning::Effort(_))) {
        losses.approximated("reasoning_effort", "the model has other efforts");
    }
    Some(effort.min(Effort::Xhigh).as_str())
}

/// The word that keeps a model from thinking, or the next best.
// QUIRK(openai, 2026-05, https://platform.openai.com/docs/guides/reasoning): `none` from GPT-5.1 on, `minimal` for GPT-5;
// Codex and the o-series begin at `low`, the Pro models higher, and the first of the o-series take no word at all.
fn least_effort(model: &str, losses: &mut Losses) -> Option<&'static str> {
    let begins = |families: &[&str]| families.iter().any(|family| model.starts_with(family));
    let has = |words: &[&str]| words.iter().any(|word| model.contains(word));
    let is_later =
        model.strip_prefix("gpt-5.").is_some_and(|rest| rest.starts_with(|c: char| ('1'..='9').contains(&c)));
    let word = match () {
        () if has(&["-pro", "-chat", "-deep-research"]) || begins(&["o1-mini", "o1-preview"]) => None,
        () if has(&["-codex"]) || begins(&["gpt-oss"]) => Some("low"),
        () if is_later => return Some("none"),
        () if wants_max_completion_tokens(model) && begins(&["gpt-5"]) => Some("minimal"),
        () if wants_max_completion_tokens(model) => Some("low"),
        () => None,
    };
    match word {
        Some(_) => losses.approximated("reasoning_effort", "the model always thinks: as little as it can"),
        None => losses.dropped("reasoning_effort", "no word that keeps this model from thinking is known"),
    }
    word
}

/// Where a model wants its own thoughts back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thoughts {
    /// Nowhere.
    Unwanted,
    /// In `reasoning_content`.
    Apart,
    /// Before the text, between tags.
    InText,
}

/// What was thought in a turn, where it goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Thought {
    pub(super) apart: Option<String>,
    pub(super) in_text: String,
}

impl Thoughts {
    pub(super) fn of(quirks: Option<&Quirks>, model: &str) -> Self {
        match quirks {
            Some(quirks) if quirks.wants_thoughts(Format::OpenaiChat, model) => Thoughts::Apart,
            Some(quirks) if quirks.takes_think_tags(model) => Thoughts::InText,
            _ => Thoughts::Unwanted,
        }
    }

    /// A turn's thoughts that nobody sealed. Those that were are bound to their provider.
    pub(super) fn text_of(self, turn: &Message, path: &str, losses: &mut Losses) -> Thought {
        let says = |block: &Block| match block {
            Block::Text { text, .. } => !text.is_empty(),
            other => !matches!(other, Block::Thinking { .. } | Block::Redacted { .. }),
        };
        // A turn that was nothing but thought isn't sent.
        let wanted = self != Thoughts::Unwanted && turn.blocks.iter().any(says);
        let mut whole = String::new();
        for block in &turn.blocks {
            match block {
                Block::Thinking { text, seal: None } if wanted => whole.push_str(text),
                Block::Thinking { .. } | Block::Redacted { .. } => {
                    losses.dropped(format!("{path}.thinking"), "thinking can't be sent to another provider");
                }
                _ => {}
            }
        }
        match self {
            _ if whole.is_empty() => Thought::default(),
            Thoughts::Apart => Thought { apart: Some(whole), in_text: String::new() },
            Thoughts::InText => Thought { apart: None, in_text: format!("<think>{whole}</think>\n\n") },
            Thoughts::Unwanted => Thought::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Maker, Role, Seal};

    #[test]
    fn not_thinking_is_said_in_the_words_of_the_model() {
        for (model, want, lost) in [
            ("gpt-5.1", Some("none"), 0),
            ("openai/gpt-5.4-mini", Some("none"), 0),
            ("gpt-5.1-codex", Some("low"), 1),
            ("gpt-5.2-pro", None, 1),
            ("gpt-5.1-chat-latest", None, 1),
            ("gpt-5", Some("minimal"), 1),
            ("gpt-5-nano-2025-08-07", Some("minimal"), 1),
            ("gpt-5-codex", Some("low"), 1),
            ("gpt-5-chat-latest", None, 0),
            ("o1", Some("low"), 1),
            ("o1-mini", None, 1),
            ("o4-mini", Some("low"), 1),
            ("gpt-oss-120b", Some("low"), 1),
            ("gpt-4o", None, 0),
            ("gpt-50", None, 1),
            ("another", None, 1),
        ] {
            let mut losses = Losses::default();
            let request =
                Request { model: model.into(), reasoning: Some(Reasoning::Off), ..Request::default() };
            assert_eq!((effort(&request, &mut losses), losses.count()), (want, lost), "{model}");
        }
    }

    #[test]
    fn thoughts_go_back_where_they_are_wanted() {
        let thought = |text: &str, seal| Block::Thinking { text: text.into(), seal };
        let sealed = || Some(Seal::new(Maker::Anthropic, "s"));
        let apart = |text: &str| Thought { apart: Some(text.into()), in_text: String::new() };
        for (place, blocks, want, lost) in [
            (Thoughts::Apart, vec![thought("why", None), Block::text("so")], apart("why"), 0),
            (Thoughts::Apart, vec![thought("why", sealed()), Block::text("so")], Thought::default(), 1),
            (Thoughts::Apart, vec![thought("why", None)], Thought::default(), 1),
            (
                Thoughts::InText,
                vec![thought("\nwhy\n", None), Block::text("so")],
                Thought { apart: None, in_text: "<think>\nwhy\n</think>\n\n".into() },
                0,
            ),
            (Thoughts::Unwanted, vec![thought("why", None), Block::text("so")], Thought::default(), 1),
        ] {
            let turn = Message { role: Role::Assistant, blocks };
            let mut losses = Losses::default();
            let note = format!("{place:?} {turn:?}");
            assert_eq!((place.text_of(&turn, "m", &mut losses), losses.count()), (want, lost), "{note}");
        }
    }
}
