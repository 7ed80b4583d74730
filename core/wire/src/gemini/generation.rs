//! What a model's generation takes and what it refuses, by its name.

use sluicegate_core::ids::own_name;
use sluicegate_core::is_older_gemini;

use crate::ir::{Effort, Reasoning, Request};
use crate::json::Object;
use crate::loss::Losses;

/// A generation of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// Before 2.5: no thinking, and schemas in a part of OpenAPI's only.
    Old,
    /// 2.5, and whatever has another name: thinking budgets, JSON schemas.
    Budgets,
    /// From 3 on: thinking levels, and calls that must carry their signatures.
    Levels,
}

impl Generation {
    /// The generation of a model.
    pub(super) fn of(model: &str) -> Self {
        if is_older_gemini(model) {
            return Generation::Old;
        }
        let Some(rest) = own_name(model).strip_prefix("gemini-") else { return Generation::Budgets };
        let major: String = rest.chars().take_while(char::is_ascii_digit).collect();
        match major.parse::<u32>() {
            Ok(0..=2) => Generation::Budgets,
            Ok(_) => Generation::Levels,
            // `gemini-flash-latest` and the like name what is newest.
            Err(_) if rest.ends_with("latest") => Generation::Levels,
            Err(_) => Generation::Budgets,
        }
    }
}

/// How much a request has its model think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    Unsaid,
    /// In tokens: 0 is none, -1 as much as the model sees fit.
    Budget(i64),
    Level(&'static str),
    /// As much as it sees fit, where that isn't said by a budget.
    Default,
}

impl Thinking {
    pub(super) fn plan(request: &Request, losses: &mut Losses) -> Self {
        let Some(reasoning) = request.reasoning else {
            return Thinking::Unsaid;
        };
        match Generation::of(&request.model) {
            Generation::Old => {
                if reasoning != Reasoning::Off {
                    losses.dropped("reasoning_effort", "the model doesn't reason");
                }
                Thinking::Unsaid
            }
            Generation::Budgets => budget(own_name(&request.model), reasoning, losses),
            Generation::Levels => level(own_name(&request.model), reasoning, losses),
        }
    }

    pub(super) fn write(self, o: &mut Object<'_>) {
        if self == Thinking::Unsaid {
            return;
        }
        o.object("thinkingConfig", |o| {
            match self {
                Thinking::Budget(tokens) => o.raw("thinkingBudget", &tokens.to_string()),
                Thinking::Level(word) => o.str("thinkingLevel", word),
                Thinking::Unsaid | Thinking::Default => {}
            }
            // Without it thoughts are billed and not shown.
            if self != Thinking::Budget(0) {
                o.bool("includeThoughts", true);
            }
        });
    }
}

// QUIRK(gemini, 2026-11): 2.5 Pro thinks 128 to 32,768 tokens and can't be kept from it, Flash up to 24,576, Flash-Lite
// from 512 on.
fn budget(model: &str, reasoning: Reasoning, losses: &mut Losses) -> Thinking {
    let (least, most, stops) = match () {
        () if model.contains("pro") => (128, 32_768, false),
        () if model.contains("lite") => (512, 24_576, true),
        () => (1, 24_576, true),
    };
    let wanted = match reasoning {
        Reasoning::Off if stops => return Thinking::Budget(0),
        Reasoning::Off => {
            losses.approximated("reasoning_effort", "the model always thinks: as little as it can");
            return Thinking::Budget(128);
        }
        Reasoning::Adaptive => return Thinking::Budget(-1),
        Reasoning::Effort(effort) => effort.budget(),
        Reasoning::Budget(tokens) => tokens,
    };
    let fits = wanted.clamp(least, most);
    if fits != wanted {
        losses.approximated("reasoning_effort", "the thinking budget is fitted to what the model takes");
    }
    Thinking::Budget(i64::try_from(fits).unwrap_or(i64::MAX))
}

// QUIRK(gemini, 2026-11): only Flash knows `minimal`, and 3 Pro no `medium`; thinking can't be switched off.
fn level(model: &str, reasoning: Reasoning, losses: &mut Losses) -> Thinking {
    let flash = model.contains("flash");
    let effort = match reasoning {
        Reasoning::Adaptive => return Thinking::Default,
        Reasoning::Off => {
            losses.approximated("reasoning_effort", "the model always thinks: as little as it can");
            Effort::Minimal
        }
        Reasoning::Effort(effort) => effort,
        Reasoning::Budget(tokens) => {
            losses.approximated("thinking.budget_tokens", "the target has levels, no budgets");
            Effort::of_budget(tokens)
        }
    };
    let fits = match effort {
        Effort::Minimal if flash => Effort::Minimal,
        Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Medium if model.starts_with("gemini-3-pro") => Effort::High,
        Effort::Medium => Effort::Medium,
        Effort::High | Effort::Xhigh | Effort::Max => Effort::High,
    };
    if fits != effort && matches!(reasoning, Reasoning::Effort(_)) {
        losses.approximated("reasoning_effort", "the model has other efforts");
    }
    Thinking::Level(fits.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_told_by_the_name() {
        for (model, want) in [
            ("gemini-1.5-pro", Generation::Old),
            ("gemini-2.0-flash", Generation::Old),
            ("gemma-3-27b-it", Generation::Old),
            ("gemini-2.5-flash-lite", Generation::Budgets),
            ("models/gemini-2.5-pro", Generation::Budgets),
            ("tunedModels/mine", Generation::Budgets),
            ("gemini-robotics", Generation::Budgets),
            ("gemini-3-pro-preview", Generation::Levels),
            ("google/gemini-3.1-flash-lite", Generation::Levels),
            ("gemini-4-argon", Generation::Levels),
            ("gemini-flash-latest", Generation::Levels),
        ] {
            assert_eq!(Generation::of(model), want, "{model}");
        }
    }

    #[test]
    fn thinking_is_said_as_the_model_takes_it() {
        let effort = Reasoning::Effort;
        for (model, reasoning, want, lost) in [
            ("gemini-2.0-flash", effort(Effort::Low), Thinking::Unsaid, 1),
            ("gemini-2.0-flash", Reasoning::Off, Thinking::Unsaid, 0),
            ("gemini-2.5-flash", Reasoning::Off, Thinking::Budget(0), 0),
            ("gemini-2.5-pro", Reasoning::Off, Thinking::Budget(128), 1),
            ("gemini-2.5-pro", Reasoning::Adaptive, Thinking::Budget(-1), 0),
            ("gemini-2.5-flash", Reasoning::Budget(100_000), Thinking::Budget(24_576), 1),
            ("gemini-2.5-flash-lite", Reasoning::Budget(100), Thinking::Budget(512), 1),
            ("gemini-2.5-flash", effort(Effort::High), Thinking::Budget(4_096), 0),
            ("gemini-3-pro-preview", effort(Effort::Medium), Thinking::Level("high"), 1),
            ("gemini-3.5-flash", effort(Effort::Max), Thinking::Level("high"), 1),
            ("gemini-3.5-flash", effort(Effort::Minimal), Thinking::Level("minimal"), 0),
            ("gemini-3.1-pro-preview", effort(Effort::Medium), Thinking::Level("medium"), 0),
            ("gemini-3-pro-preview", effort(Effort::Minimal), Thinking::Level("low"), 1),
            ("gemini-3.5-flash", Reasoning::Off, Thinking::Level("minimal"), 1),
            ("gemini-3.5-flash", Reasoning::Budget(5_000), Thinking::Level("high"), 1),
            ("gemini-3.5-flash", Reasoning::Adaptive, Thinking::Default, 0),
        ] {
            let mut losses = Losses::default();
            let request = Request { model: model.into(), reasoning: Some(reasoning), ..Request::default() };
            assert_eq!(Thinking::plan(&request, &mut losses), want, "{model} {reasoning:?}");
            assert_eq!(losses.count(), lost, "{model} {reasoning:?}");
        }
    }
}
