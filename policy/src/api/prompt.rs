//! `call.text_contains(…)`, `call.text_matches(…)`, `call.text_length`: what the prompt says, without ever handing it out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Array, Dynamic, Engine, INT, ImmutableString};
use sluicegate_core::pattern::Pattern;
use sluicegate_core::prompt::Prompt;

use super::call::CallHandle;
use super::{int, optional};
use crate::run::{Outcome, charge, charge_operations, with};

/// How many bytes of a prompt are looked through for one operation: prompts are long, and this is the fastest look there is.
const BYTES_PER_OPERATION: u64 = 256;
/// How many for a pattern, which is slower at its worst.
const MATCHED_BYTES_PER_OPERATION: u64 = 64;
/// What a pattern costs besides, in operations: it may have to be compiled, and a run pays the same each time.
const PATTERN_OPERATIONS: u64 = 200;
/// So many compiled patterns are kept for all scripts together.
const PATTERNS_MAX: usize = 64;

pub(super) fn register(engine: &mut Engine) {
    engine.register_get("text_length", |_: &mut CallHandle| length());
    engine.register_fn("text_contains", |_: &mut CallHandle, word: ImmutableString| {
        Ok::<_, Box<rhai::EvalAltResult>>(first(&[word])?.is_some())
    });
    engine.register_fn("text_contains", |_: &mut CallHandle, list: Array| any(list));
    let patterns = Patterns::default();
    engine.register_fn("text_matches", move |_: &mut CallHandle, pattern: ImmutableString| {
        charge(pattern.len())?;
        charge_operations(PATTERN_OPERATIONS)?;
        let pattern = patterns.get(&pattern)?;
        let weight = pattern.weight();
        // A large one took longer to compile.
        charge_operations(PATTERN_OPERATIONS * (weight - 1))?;
        let look = |bytes: u64| charge_operations(bytes.saturating_mul(weight) / MATCHED_BYTES_PER_OPERATION);
        prompt()?.matches(&pattern, look)
    });
}

/// Patterns that were compiled before: scripts mostly ask for the same ones.
#[derive(Clone, Default)]
struct Patterns(Arc<Mutex<HashMap<ImmutableString, Arc<Pattern>>>>);

impl Patterns {
    fn get(&self, pattern: &ImmutableString) -> Outcome<Arc<Pattern>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(pattern) {
            return Ok(Arc::clone(found));
        }
        // Compiled without the lock: it takes long enough for others to wait.
        let made = Pattern::try_from(pattern.to_string())
            .map_err(|why| format!("the pattern `{pattern}` can't be used: {why}; see Rust's regex crate"))?;
        let made = Arc::new(made);
        let mut known = known();
        // BOUND: see the constant.
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        known.insert(pattern.clone(), Arc::clone(&made));
        Ok(made)
    }
}

/// In characters.
fn length() -> Outcome<INT> {
    let size = prompt()?.size();
    look(size.bytes)?;
    Ok(int(size.characters))
}

/// The first of these words that is found, as it was given.
fn any(list: Array) -> Outcome<Dynamic> {
    let words = list.into_iter().map(|word| match word.into_immutable_string() {
        Ok(word) => Ok(word),
        Err(kind) => Err(format!("`text_contains` looks for texts, not for a {kind}").into()),
    });
    let words: Vec<ImmutableString> = words.collect::<Outcome<_>>()?;
    optional(first(&words)?.and_then(|at| words.into_iter().nth(at)))
}

/// The place of the first of these words that is found.
fn first(words: &[ImmutableString]) -> Outcome<Option<usize>> {
    for word in words {
        charge(word.len())?;
        if word.is_empty() {
            return Err(
                "`text_contains` can't look for an empty text: it would be found in every prompt".into()
            );
        }
    }
    let words: Vec<&str> = words.iter().map(|word| word.as_str()).collect();
    prompt()?.find(&words, look)
}

fn look(bytes: u64) -> Outcome<()> {
    charge_operations(bytes / BYTES_PER_OPERATION)
}

fn prompt() -> Outcome<Arc<Prompt>> {
    let message = "the prompt can be looked at in `admit` and `route` only";
    with(|run| run.call.prompt.clone().ok_or_else(|| message.into()))
}
