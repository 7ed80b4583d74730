//! Searches of the web that a provider made of its own, where its counts don't have them.

use sluicegate_core::ids::own_name;

use crate::gemini::member;
use crate::json::{Kind, Val};

/// Whether an item of a responses output is a search.
///
/// Looking at a page, or for something on one, isn't charged as one. The first items of that kind didn't say what they did: they searched.
pub(crate) fn is_search_call(item: Val<'_>) -> bool {
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/tools-web-search): `search`, `open_page`, `find_in_page`.
    item.get_str("type").as_deref() == Some("web_search_call")
        && item.get_str("status").as_deref() != Some("failed")
        && item.get("action").and_then(|action| action.get_str("type")).is_none_or(|kind| kind == "search")
}

/// How many searches a whole output of responses has.
pub(crate) fn search_calls(output: Val<'_>) -> u64 {
    output.elements().filter(|item| is_search_call(*item)).count() as u64
}

/// What Gemini looked for, of one candidate. Empty ones aren't charged.
pub(crate) fn queries(candidate: Val<'_>) -> impl Iterator<Item = Val<'_>> {
    let found =
        member(candidate, "groundingMetadata").and_then(|grounds| member(grounds, "webSearchQueries"));
    found
        .into_iter()
        .flat_map(Val::elements)
        .filter(|query| query.kind() == Kind::String && query.raw().len() > "\"\"".len())
}

/// Whether a model of Gemini's is charged for each prompt that was grounded, however often it searched.
pub(crate) fn is_per_prompt(model: &str) -> bool {
    // QUIRK(gemini, vertex, 2026-11, https://ai.google.dev/gemini-api/docs/pricing): since generation 3 each query is charged.
    let name = own_name(model);
    ["gemini-1.", "gemini-2.", "gemini-exp"].iter().any(|begin| name.starts_with(begin))
}

/// Whether a model of chat completions searches for every answer, and is charged for each as for one search.
pub(crate) fn always_searches(model: &str) -> bool {
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/tools-web-search): `gpt-4o-search-preview`, `gpt-5-search-api`.
    let name = own_name(model);
    name.starts_with("gpt-") && (name.contains("-search-preview") || name.contains("-search-api"))
}

/// How many queries a model of chat completions is charged for one by one, where its usage may not say that it is.
pub(crate) fn research_queries(model: &str, usage: Val<'_>) -> u64 {
    // QUIRK(perplexity, 2026-11, https://docs.perplexity.ai/getting-started/pricing): its deep research is, its others by request.
    if !model.contains("deep-research") {
        return 0;
    }
    usage.get_u64("num_search_queries").filter(|n| *n <= super::ABSURD).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_as_a_search_is_told_by_the_model_and_the_item() {
        for (model, per_prompt, always) in [
            ("gemini-2.5-flash", true, false),
            ("models/gemini-2.0-flash-001", true, false),
            ("gemini-exp-1206", true, false),
            ("gemini-3.1-pro-preview", false, false),
            ("gemini-robotics-er-2-preview", false, false),
            ("gemini-20-ultra", false, false),
            ("gpt-4o-search-preview-2025-03-11", false, true),
            ("openai/gpt-5-search-api", false, true),
            ("gpt-5", false, false),
            ("gpt-5-research-api", false, false),
            ("o4-mini-deep-research", false, false),
        ] {
            assert_eq!((is_per_prompt(model), always_searches(model)), (per_prompt, always), "{model}");
            assert!(!always || sluicegate_core::search::unasked(model) == Some(1), "it is reserved: {model}");
        }
        for (item, want) in [
            (
                r#"{"type":"web_search_call","status":"completed","action":{"type":"search","query":"a"}}"#,
                true,
            ),
            (r#"{"type":"web_search_call","status":"completed"}"#, true),
            (r#"{"type":"web_search_call","status":"failed","action":{"type":"search"}}"#, false),
            (r#"{"type":"web_search_call","status":"completed","action":{"type":"open_page"}}"#, false),
            (r#"{"type":"file_search_call","status":"completed"}"#, false),
        ] {
            assert_eq!(is_search_call(Val::trusted(item)), want, "{item}");
        }
    }
}
