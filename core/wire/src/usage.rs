//! What upstreams say they used, converted into the one normal form.

mod anthropic;
mod cohere;
mod gemini;
mod ollama;
mod openai;
mod search;
mod single;

use sluicegate_core::Usage;

use crate::json::{Kind, Val};

pub(crate) use anthropic::{AnthropicCounts, write_anthropic};
pub(crate) use cohere::cohere;
pub(crate) use gemini::{gemini, write_gemini};
pub(crate) use ollama::ollama;
pub(crate) use openai::{openai, responses, write_openai, write_responses};
pub(crate) use search::{
    always_searches, is_per_prompt, is_search_call, queries, research_queries, search_calls,
};
pub use single::said_in;
pub(crate) use single::single;

/// No call uses more tokens than this; a count above it is a defect of the upstream. The engine believes no more, either.
const ABSURD: u64 = Usage::MOST;

/// The numbers can't be right: negative, more than any call uses, or more inside a part than in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absurd;

/// What a report comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) usage: Usage,
    /// The report says nothing of the input: its counts here are 0 and mean nothing.
    pub(crate) input_missing: bool,
    /// It says nothing of the whole output yet.
    pub(crate) output_missing: bool,
}

/// A count; `None` for what isn't a number.
fn count(n: Val<'_>) -> Result<Option<u64>, Absurd> {
    match n.as_u64() {
        Some(n) if n <= ABSURD => Ok(Some(n)),
        Some(_) => Err(Absurd),
        None if n.kind() == Kind::Number => Err(Absurd),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
