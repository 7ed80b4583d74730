//! Searches of the web that pass by in an answer, where the provider's counts don't have them.

use super::Tap;
use crate::json::{Kind, Val};
use crate::usage::{always_searches, is_per_prompt, is_search_call, queries, search_calls};

/// Searches of one answer that are told from each other.
const QUERIES_MAX: usize = 256;

impl Tap {
    /// An item of a responses output has come to its end.
    pub(super) fn item_done(&mut self, item: Val<'_>) {
        if is_search_call(item) {
            self.observed.searched(self.observed.searches + 1);
        }
    }

    /// A whole output: it has what its items were seen to be, too.
    pub(super) fn output_done(&mut self, output: Option<Val<'_>>) {
        self.observed.searched(output.map_or(0, search_calls));
    }

    /// A block of Anthropic's. Its count comes with the end; where that doesn't come, what was found tells it. Searches that fail aren't charged.
    pub(super) fn block_searched(&mut self, block: Val<'_>) {
        if block.get_str("type").as_deref() == Some("web_search_tool_result")
            && block.get("content").is_some_and(|found| found.kind() == Kind::Array)
        {
            self.observed.searched(self.observed.searches + 1);
        }
    }

    /// What a candidate of Gemini's was grounded on. Parts of a stream may say again what was looked for.
    pub(super) fn grounded(&mut self, candidate: Val<'_>) {
        for query in queries(candidate).map(Val::raw) {
            // BOUND: what is kept. A model makes a handful.
            if self.queries.len() < QUERIES_MAX && !self.queries.iter().any(|known| known == query) {
                self.queries.push(query.to_owned());
            }
        }
        let made = self.queries.len() as u64;
        let per_prompt = self.observed.served_model.as_deref().is_some_and(is_per_prompt);
        self.observed.searched(if per_prompt { made.min(1) } else { made });
    }

    /// An answer of chat completions has come to its end.
    pub(super) fn chat_done(&mut self) {
        if self.observed.searches == 0 && self.observed.served_model.as_deref().is_some_and(always_searches) {
            self.observed.searched(1);
        }
    }
}
