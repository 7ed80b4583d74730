//! What LiteLLM calls resetting spend: a budget is set back, and the records of what was used stay.

use serde_json::{Map, Value, json};
use sluicegate::admin::{LimitUse, SetBack};
use sluicegate::{Metric, Result};

use super::budget::usd_json;
use super::fields::{self, Fields};

/// `reset_to`, in nano-USD, which must be there: a word that is misspelt sets nothing back.
pub(super) fn must_reset_to(fields: &mut Fields) -> Result<i64> {
    fields.usd("reset_to")?.value().ok_or_else(|| fields::missing("reset_to"))
}

/// The same; to nothing where it isn't said.
pub(super) fn reset_to(fields: &mut Fields) -> Result<i64> {
    Ok(fields.usd("reset_to")?.value().unwrap_or_default())
}

fn budget(states: &[LimitUse]) -> Option<&LimitUse> {
    states.iter().find(|state| state.metric == Metric::Spend && state.model.is_none())
}

/// What LiteLLM calls `spend` where there is a budget: what counts against it in its present window.
pub(super) fn counted(states: &[LimitUse]) -> Option<i64> {
    budget(states).map(|state| state.settled)
}

/// When the budget's window ends.
pub(super) fn resets_at(states: &[LimitUse]) -> Value {
    json!(budget(states).and_then(|state| state.resets_at).map(|at| at.to_string()))
}

/// What a reset answers, out of the row of whose budget it was.
pub(super) fn set_back(
    done: &SetBack,
    mut row: Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Map<String, Value> {
    let mut part = |name: &str| (name.to_owned(), row.remove(name).unwrap_or_default());
    let [spend, max, resets] = ["spend", "max_budget", "budget_reset_at"].map(&mut part);
    if done.before.is_none() {
        let told = "there is no budget: nothing counts against one, and what was used stays in the records";
        warnings.push(told.to_owned());
    }
    let previous = done.before.map_or(spend.1.clone(), usd_json);
    Map::from_iter([spend, ("previous_spend".to_owned(), previous), max, resets])
}
