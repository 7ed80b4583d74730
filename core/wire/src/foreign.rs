//! Thoughts that another provider sealed, taken out of a request that goes to its own format untouched otherwise.
//!
//! Whoever made a seal is the only one that takes it; everybody else refuses the call. A conversation that went on at
//! another provider carries such seals, marked as [`crate::ir::Seal::shown`] writes them.

use std::ops::Range;

use crate::ir::{FOREIGN, FOREIGN_BYTES};
use crate::json::{Kind, Val};
use crate::texts::{place, spliced};

/// Where seals stand in an element that is a thought and nothing else.
const THOUGHTS: [&str; 3] = ["signature", "data", "encrypted_content"];
/// Where Gemini has them, on parts that say something themselves.
const ON_PARTS: [&str; 2] = ["thoughtSignature", "thought_signature"];
/// What Gemini takes in place of a signature that it didn't make.
// QUIRK(gemini, 2026-05, https://ai.google.dev/gemini-api/docs/thought-signatures): a call without any is refused.
const GEMINI_ANY: &str = "\"skip_thought_signature_validator\"";
/// What holds what is looked through.
const HOLDERS: [&str; 6] = ["messages", "content", "thinking_blocks", "input", "contents", "parts"];

/// The body without them; `None` if it has none.
pub(crate) fn without(body: &str) -> Option<String> {
    let mut edits = Vec::new();
    for (name, value) in Val::trusted(body).members() {
        if HOLDERS.contains(&&*name) {
            list(body, value, &mut edits);
        }
    }
    (!edits.is_empty()).then(|| spliced(body, edits))
}

/// What can't stay in a request of Anthropic's once its last turn calls tools without the thought before: they are refused together.
// QUIRK(anthropic, 2026-05): a loop of tools whose thoughts are gone can't think on with a budget; nor is there anything to clear.
pub(crate) fn thinks_no_more(body: &str) -> Vec<&'static str> {
    let body = Val::trusted(body);
    let word =
        |v: Val<'_>, name: &str, wanted: &[&str]| v.get_str(name).is_some_and(|w| wanted.contains(&&*w));
    if !body.get("thinking").is_some_and(|thinking| word(thinking, "type", &["enabled"])) {
        return Vec::new();
    }
    let turns = body.get("messages").into_iter().flat_map(Val::elements);
    let last = turns.filter(|turn| word(*turn, "role", &["assistant"])).last();
    let blocks = || last.and_then(|turn| turn.get("content")).into_iter().flat_map(Val::elements);
    let has = |kinds: &[&str]| blocks().any(|block| word(block, "type", kinds));
    if !has(&["tool_use"]) || has(&["thinking", "redacted_thinking"]) {
        return Vec::new();
    }
    let edits = body.get("context_management").and_then(|context| context.get("edits"));
    let clears = |edit: Val<'_>| edit.get_str("type").is_some_and(|kind| kind.starts_with("clear_thinking"));
    let clears = edits.into_iter().flat_map(Val::elements).any(clears);
    std::iter::once("thinking").chain(clears.then_some("context_management")).collect()
}

/// Takes thoughts out of a list, and what is empty without them. Returns whether nothing is left.
fn list(body: &str, list: Val<'_>, edits: &mut Vec<(Range<usize>, String)>) -> bool {
    let mut elements: Vec<(Range<usize>, bool)> = Vec::new();
    for element in list.elements() {
        let mark = edits.len();
        let goes = is_thought(element) || inner(body, element, edits);
        if goes {
            // What was edited in it goes with it.
            edits.truncate(mark);
        }
        elements.push((place(body, element), goes));
    }
    if elements.iter().all(|(_, goes)| *goes) {
        return !elements.is_empty();
    }
    // An element goes with the comma before it, or with the one after it as long as nothing stays before it.
    let mut stays = false;
    for (n, (at, goes)) in elements.iter().enumerate() {
        stays |= !goes;
        if *goes {
            let before = n.checked_sub(1).and_then(|n| elements.get(n)).filter(|_| stays);
            let after = elements.get(n + 1).filter(|_| !stays);
            let start = before.map_or(at.start, |(before, _)| before.end);
            let end = after.map_or(at.end, |(after, _)| after.start);
            edits.push((start..end, String::new()));
        }
    }
    false
}

/// Looks into an element. Returns whether nothing is left of it.
fn inner(body: &str, element: Val<'_>, edits: &mut Vec<(Range<usize>, String)>) -> bool {
    let mut is_empty = false;
    for (name, value) in element.members() {
        match (&*name, value.kind()) {
            ("thinking_blocks", Kind::Array) => {
                let is_bare = list(body, value, edits);
                edits.extend(is_bare.then(|| (place(body, value), "[]".to_owned())));
            }
            ("tool_calls", Kind::Array) => {
                for call in value.elements() {
                    let google = call.get("extra_content").and_then(|extra| extra.get("google"));
                    if google.and_then(|it| it.get("thought_signature")).is_some_and(is_foreign) {
                        edits.push((place(body, call), without_extra(call)));
                    }
                }
            }
            ("parts", Kind::Object) if is_thought(value) => is_empty = true,
            ("parts", Kind::Object) => is_empty |= inner(body, value, edits),
            // BOUND: as deep as a conversation's parts lie, which hold no messages themselves.
            ("content" | "parts", Kind::Array) => is_empty |= list(body, value, edits),
            (on, Kind::String) if ON_PARTS.contains(&on) && is_foreign(value) => {
                edits.push((place(body, value), GEMINI_ANY.to_owned()));
            }
            _ => {}
        }
    }
    is_empty
}

/// A call without what another provider signed of it.
fn without_extra(call: Val<'_>) -> String {
    crate::json::object(|o| {
        let members = call.members().filter(|(name, _)| name != "extra_content");
        members.for_each(|(name, value)| o.raw(&name, value.raw()));
    })
}

fn is_thought(element: Val<'_>) -> bool {
    let thought = element.get("thought").and_then(Val::as_bool) == Some(true);
    let named = |name: &&str| element.get(name).is_some_and(is_foreign);
    THOUGHTS.iter().any(named) || thought && ON_PARTS.iter().any(named)
}

fn is_foreign(value: Val<'_>) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(FOREIGN) || text.starts_with(FOREIGN_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_loop_that_lost_its_thought_goes_on_without() {
        let body = |thoughts: &str, after: &str| {
            format!(
                r#"{{"thinking":{{"type":"enabled","budget_tokens":1024}},"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{thoughts}{{"type":"tool_use","id":"t"}}]}},{{"role":"user","content":[{{"type":"{after}"}}]}}]}}"#
            )
        };
        let foreign = r#"{"type":"thinking","thinking":"t","signature":"sluicegate-seal:openai:x"},"#;
        let own = r#"{"type":"thinking","thinking":"t","signature":"own"},"#;
        for (thoughts, wants) in [
            (foreign.to_owned(), ["thinking"].as_slice()),
            ([own, foreign].concat(), &[]),
            (r#"{"type":"text","text":"I look"},"#.to_owned() + foreign, &["thinking"]),
        ] {
            let clean = without(&body(&thoughts, "tool_result")).unwrap();
            assert_eq!(thinks_no_more(&clean), wants, "{clean}");
        }
        assert_eq!(without(&body(own, "tool_result")), None);
    }

    #[test]
    fn foreign_thoughts_go_and_everything_else_stays() {
        let seal = "sluicegate-seal:openai:x";
        let thinking = format!(r#"{{"type":"thinking","thinking":"t","signature":"{seal}"}}"#);
        let own = r#"{"type":"thinking","thinking":"t","signature":"own"}"#;
        let text = r#"{"type":"text","text":"a"}"#;
        let turn = |content: &str| {
            format!(r#"{{"messages":[{{"role":"user"}} , {{"role":"assistant","content":[{content}]}}]}}"#)
        };
        for (content, want) in [
            (format!("{thinking},{text}"), text.to_owned()),
            (format!("{thinking} , {own} ,{thinking},{text}"), format!("{own},{text}")),
            (format!("{text}, {thinking}"), text.to_owned()),
        ] {
            assert_eq!(without(&turn(&content)).as_deref(), Some(&*turn(&want)), "{content}");
        }
        assert_eq!(without(&turn(text)), None);
        // A turn that was nothing but thought goes, too; a word of it in a text stays.
        assert_eq!(without(&turn(&thinking)).as_deref(), Some(r#"{"messages":[{"role":"user"}]}"#));
        assert_eq!(without(&turn(&format!(r#"{{"type":"text","text":"{seal}"}}"#))), None);
        for (body, want) in [
            (
                format!(r#"{{"messages":[{{"content":"a","thinking_blocks":[{thinking}]}}]}}"#),
                r#"{"messages":[{"content":"a","thinking_blocks":[]}]}"#,
            ),
            (
                format!(
                    r#"{{"input":[{{"type":"reasoning","encrypted_content":"{seal}"}},{{"type":"function_call"}}]}}"#
                ),
                r#"{"input":[{"type":"function_call"}]}"#,
            ),
            (
                format!(
                    r#"{{"contents":[{{"parts":[{{"functionCall":{{}},"thoughtSignature":"{seal}"}}]}}]}}"#
                ),
                r#"{"contents":[{"parts":[{"functionCall":{},"thoughtSignature":"skip_thought_signature_validator"}]}]}"#,
            ),
        ] {
            assert_eq!(without(&body).as_deref(), Some(want));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_left_is_json(kinds in proptest::collection::vec(0..3u8, 0..8), gap in "[ ]{0,2}") {
            let elements: Vec<String> = kinds.iter().map(|kind| match kind {
                0 => r#"{"signature":"sluicegate-seal:gemini:x"}"#.to_owned(),
                1 => r#"{"text":"a,b"}"#.to_owned(),
                _ => r#"{"type":"redacted_thinking","data":"sluicegate-seal:gemini:x"}"#.to_owned(),
            }).collect();
            let body = format!(r#"{{"messages":[{{"content":[{}]}},{{"content":"x"}}]}}"#, elements.join(&format!("{gap},{gap}")));
            let left = without(&body).unwrap_or(body);
            let v: serde_json::Value = serde_json::from_str(&left).unwrap();
            let texts = kinds.iter().filter(|kind| **kind == 1).count();
            match texts {
                0 if !kinds.is_empty() => assert_eq!(v["messages"].as_array().unwrap().len(), 1),
                _ => assert_eq!(v["messages"][0]["content"].as_array().unwrap().len(), texts),
            }
        }
    }
}
