//! Tools that providers run by themselves, or whose schema they hold: what each of them is told, and what is refused.

use serde_json::Value;

use super::strict;

/// What any of Anthropic's is told.
const ANY: &[&str] = &["type", "name", "cache_control", "defer_loading", "allowed_callers", "strict"];
/// Anthropic's by the beginning of their type, before its date: what the model calls each, and what else it is told.
const ANTHROPIC: &[(&str, &str, &[&str])] = &[
    ("web_search_", "web_search", &["max_uses", "allowed_domains", "blocked_domains", "user_location"]),
    (
        "web_fetch_",
        "web_fetch",
        &["max_uses", "allowed_domains", "blocked_domains", "citations", "max_content_tokens"],
    ),
    ("code_execution_", "code_execution", &[]),
    ("bash_", "bash", &["input_examples"]),
    ("text_editor_20250124", "str_replace_editor", &["input_examples"]),
    ("text_editor_20250429", "str_replace_based_edit_tool", &["input_examples"]),
    ("text_editor_20250728", "str_replace_based_edit_tool", &["max_characters", "input_examples"]),
    ("memory_", "memory", &["input_examples"]),
    ("tool_search_tool_regex_", "tool_search_tool_regex", &[]),
    ("tool_search_tool_bm25_", "tool_search_tool_bm25", &[]),
    (
        "computer_",
        "computer",
        &["display_width_px", "display_height_px", "display_number", "enable_zoom", "input_examples"],
    ),
];
/// Where a user is.
const PLACE: &[&str] = &["type", "city", "region", "country", "timezone"];

/// What is wrong with a tool of Anthropic's own, if it is one.
pub(super) fn anthropic(tool: &Value) -> Option<Result<(), String>> {
    let kind = tool["type"].as_str().filter(|kind| *kind != "custom")?;
    let dated = |begin: &str| {
        let date = kind.strip_prefix(begin)?;
        (date.is_empty() || date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
    };
    let Some((_, name, more)) = ANTHROPIC.iter().find(|(begin, ..)| dated(begin).is_some()) else {
        return Some(Err(format!(
            "tools: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )));
    };
    let unknown = tool
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .find(|field| !ANY.contains(&field.as_str()) && !more.contains(&field.as_str()));
    Some(match unknown.map(String::as_str).or_else(|| strict::unknown(&tool["user_location"], PLACE)) {
        Some(unknown) => Err(format!("tools: {kind}: {unknown}: Extra inputs are not permitted")),
        None if tool["name"] != *name => Err(format!("tools: {kind}: name: Input should be '{name}'")),
        None if !tool["allowed_domains"].is_null() && !tool["blocked_domains"].is_null() => {
            Err(format!("tools: {kind}: only one of allowed_domains and blocked_domains can be used"))
        }
        None if tool["max_uses"] == 0 => Err(format!("tools: {kind}: max_uses: must be above 0")),
        None => Ok(()),
    })
}

/// What is wrong with the search of responses that stands at a place, if it is one.
pub(super) fn responses(tool: &Value, at: usize) -> Option<Result<(), String>> {
    let known: &[&str] = match tool["type"].as_str()? {
        "web_search" | "web_search_2025_08_26" => {
            &["type", "filters", "search_context_size", "user_location", "external_web_access"]
        }
        "web_search_preview" | "web_search_preview_2025_03_11" => {
            &["type", "search_context_size", "user_location"]
        }
        _ => return None,
    };
    let size = &tool["search_context_size"];
    let place =
        |within: &str, known| strict::unknown(&tool[within], known).map(|name| format!("{within}.{name}"));
    let unknown = strict::unknown(tool, known)
        .map(str::to_owned)
        .or_else(|| place("filters", &["allowed_domains"]))
        .or_else(|| place("user_location", PLACE));
    Some(match unknown {
        Some(unknown) => Err(format!("Unknown parameter: 'tools[{at}].{unknown}'.")),
        None if !size.is_null() && !["low", "medium", "high"].iter().any(|known| size == known) => {
            Err(format!("Invalid value: {size} in 'tools[{at}].search_context_size'."))
        }
        None => Ok(()),
    })
}
