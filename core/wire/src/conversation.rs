//! Conversations in the format of responses that somebody else than the caller keeps: what went in, what came out, and a
//! request that continues them put together again.

use std::collections::HashMap;

use bytes::Bytes;

use crate::error::WireError;
use crate::json::{Kind, Val, object};
use crate::scan::Scanned;
use crate::sse::{Splitter, fields};
use crate::texts::{place, spliced};

/// One response that was kept: its request's own input items and the response, each as JSON.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// A list of items, as [`input_items`] gives it.
    pub input: &'a str,
    /// The response object.
    pub response: &'a str,
}

/// The input of a request as a list of items, from the one at `skip` on.
pub fn input_items(body: &[u8], skip: usize) -> String {
    let Some(input) = Val::from_bytes(body).and_then(|body| body.get("input")) else {
        return "[]".to_owned();
    };
    match input.kind() {
        Kind::String => list([message(input)]),
        _ => list(input.elements().skip(skip).map(|item| item.raw().to_owned())),
    }
}

/// How many items the request's input has.
pub fn item_count(body: &[u8]) -> usize {
    let input = Val::from_bytes(body).and_then(|body| body.get("input"));
    input.map_or(0, |input| if input.kind() == Kind::String { 1 } else { input.elements().count() })
}

/// A request with everything that went before in its input, in place of `previous_response_id` or `conversation`, which nobody else
/// knows. Every other value stays byte for byte.
///
/// Items lose the ids that their maker gave them, and thoughts that nobody can read without their maker's store go.
pub fn with_history(body: &Bytes, turns: &[Turn<'_>]) -> Bytes {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let root = Val::trusted(text);
    let mut items = Vec::new();
    for turn in turns {
        items.extend(Val::trusted(turn.input).elements().map(|item| item.raw().to_owned()));
        let output = Val::trusted(turn.response).get("output").into_iter().flat_map(Val::elements);
        items.extend(output.filter_map(replayed));
    }
    let input = root.get("input");
    match input {
        Some(input) if input.kind() == Kind::String => items.push(message(input)),
        Some(input) => items.extend(input.elements().map(|item| item.raw().to_owned())),
        // Nothing new is said.
        None => {}
    }
    let (Some(input), None) = (input, root.get("conversation")) else {
        let ours = ["previous_response_id", "conversation", "input"];
        let rest = root.members().filter(|(name, _)| !ours.contains(&&**name));
        return object(|o| {
            rest.for_each(|(name, value)| o.raw(&name, value.raw()));
            o.raw("input", &list(items));
        })
        .into();
    };
    let mut edits = vec![(place(text, input), list(items))];
    if let Some(previous) = root.get("previous_response_id") {
        edits.push((place(text, previous), "null".to_owned()));
    }
    spliced(text, edits).into()
}

/// A request that is to be worked on in the background, as one that is waited for; `None` when it isn't.
pub fn foreground(body: &Bytes) -> Option<Bytes> {
    // Hardly any request says it: the rest aren't read for it.
    memchr::memmem::find(body, b"background")?;
    let text = std::str::from_utf8(body).ok()?;
    let root = Val::parse(text).ok()?;
    root.get("background").filter(|v| v.as_bool() == Some(true))?;
    // Upstreams need not know the word.
    let rest = root.members().filter(|(name, _)| name != "background");
    Some(object(|o| rest.for_each(|(name, value)| o.raw(&name, value.raw()))).into())
}

/// The response that a request begins, before anything of it is there.
pub fn begun(id: &str, created_s: i64, body: &[u8]) -> String {
    let body = Val::from_bytes(body).unwrap_or_else(|| Val::trusted("{}"));
    crate::openai_responses::begun(id, created_s, body)
}

/// The conversation that a request says it is of: by its id, bare or in an object.
///
/// # Errors
/// `InvalidRequest` when it is neither, or stands beside a response to go on from.
pub fn conversation_of(body: &[u8]) -> crate::Result<Option<String>> {
    // A name may be written with escapes: letters are made by these alone.
    let has = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    if !has(b"conversation") && !has(br"\u") {
        return Ok(None);
    }
    let Some(root) = Val::from_bytes(body) else { return Ok(None) };
    let Some(named) = root.get("conversation").filter(|v| !v.is_null()) else { return Ok(None) };
    let wrong = |message: &str| Err(WireError::invalid(message.to_owned()).at("conversation"));
    let Some(id) = named.as_str().or_else(|| named.get_str("id")) else {
        return wrong("`conversation` must be an id, or an object with one as `id`");
    };
    if root.get("previous_response_id").is_some_and(|v| !v.is_null()) {
        return wrong("`conversation` and `previous_response_id` exclude each other: leave one of them out");
    }
    Ok(Some(id.into_owned()))
}

/// The items of a response's output.
pub fn output_items(response: &str) -> Vec<String> {
    let output = Val::trusted(response).get("output").into_iter().flat_map(Val::elements);
    output.map(|item| item.raw().to_owned()).collect()
}

/// The ids of the items that the request's input refers to, each with its place among the items.
pub fn references(body: &[u8]) -> Vec<(usize, String)> {
    let input = Val::from_bytes(body).and_then(|body| body.get("input"));
    let items = input.into_iter().flat_map(Val::elements).enumerate();
    items.filter_map(|(at, item)| Some((at, reference(item)?))).collect()
}

/// What an item refers to, if it stands for another. The type may be left out.
fn reference(item: Val<'_>) -> Option<String> {
    let refers = match item.get_str("type") {
        Some(kind) => kind == "item_reference",
        None => item.get("role").is_none() && item.get("id").is_some(),
    };
    refers.then(|| item.get_str("id").unwrap_or_default().into_owned())
}

/// The request with the items in place of references to them; a reference that isn't among them stays. Everything else stays byte
/// for byte. Items come as [`with_history`] has them. `None` when its items would have more than `max_bytes` bytes: one that is
/// referred to again and again counts each time, with what is left out of it.
pub fn with_items(body: &Bytes, responses: &[&str], max_bytes: u64) -> Option<Bytes> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let Some(input) = Val::trusted(text).get("input") else { return Some(body.clone()) };
    let mut known: HashMap<String, Val<'_>> = HashMap::new();
    for response in responses {
        known.extend(outputs(response));
    }
    let known_item = |item: Val<'_>| reference(item).and_then(|id| known.get(&id).copied());
    // BOUND: before anything is copied: a reference has a few bytes, what it stands for may have millions.
    let mut size = 0u64;
    for item in input.elements() {
        size = size.saturating_add(known_item(item).unwrap_or(item).raw().len() as u64);
        if size > max_bytes {
            return None;
        }
    }
    let items = input.elements().filter_map(|item| match known_item(item) {
        Some(own) => replayed(own),
        None => Some(item.raw().to_owned()),
    });
    Some(spliced(text, vec![(place(text, input), list(items))]).into())
}

/// The ids of a response's items.
pub fn item_ids(response: &str) -> Vec<String> {
    outputs(response).map(|(id, _)| id).collect()
}

fn outputs(response: &str) -> impl Iterator<Item = (String, Val<'_>)> {
    let output = Val::trusted(response).get("output").into_iter().flat_map(Val::elements);
    output.filter_map(|item| Some((item.get_str("id")?.into_owned(), item)))
}

impl Scanned {
    /// Says that the request goes on from responses, whose items are in its input by now; from a conversation as a whole if
    /// `previous` is its last. `unseen` are tokens that an upstream may keep of it beside what the body says: thoughts of earlier
    /// turns.
    pub fn continues(&mut self, previous: Option<&str>, unseen: u64) {
        let facts = self.facts_mut();
        facts.unseen = unseen;
        facts.previous_response = previous.map(str::to_owned);
    }

    /// Whether its input refers to items of responses, which somebody keeps.
    pub fn refers_to_items(&self) -> bool {
        self.facts().concerns.iter().any(|(name, _)| *name == "item_reference")
    }
}

fn message(text: Val<'_>) -> String {
    object(|o| {
        o.str("type", "message");
        o.str("role", "user");
        o.array("content", |a| {
            a.object(|o| {
                o.str("type", "input_text");
                o.raw("text", text.raw());
            });
        });
    })
}

/// An item of an output as it is sent back.
fn replayed(item: Val<'_>) -> Option<String> {
    let kind = item.get_str("type");
    let own = match kind.as_deref() {
        Some("reasoning") => {
            item.get_str("encrypted_content").filter(|data| !data.is_empty())?;
            true
        }
        Some("message" | "function_call" | "custom_tool_call") => true,
        _ => false,
    };
    if !own {
        return Some(item.raw().to_owned());
    }
    Some(object(|o| {
        for (name, value) in item.members().filter(|(name, _)| name != "id" && name != "status") {
            o.raw(&name, value.raw());
        }
    }))
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// The events that hold a response as it ended.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Picks the response out of an answer as it goes to its caller.
#[derive(Debug, Default)]
pub struct Keeper {
    splitter: Splitter,
    streams: bool,
    found: Option<String>,
}

impl Keeper {
    /// For a stream, or for a whole answer.
    pub fn new(streams: bool) -> Self {
        Self { streams, ..Self::default() }
    }

    /// Looks at bytes that go to the caller.
    pub fn push(&mut self, bytes: &Bytes) {
        if !self.streams {
            self.found = std::str::from_utf8(bytes).ok().map(str::to_owned);
            return;
        }
        let found = &mut self.found;
        // BOUND: the splitter's. A larger end is not kept.
        self.splitter.feed_within(bytes.clone(), |data, range| {
            let frame = data.get(range).unwrap_or_default();
            let is_end = ENDS
                .iter()
                .any(|word| memchr::memmem::find(frame, format!("\"{word}\"").as_bytes()).is_some());
            if is_end && let Some(data) = fields(frame).data {
                let response = Val::from_bytes(&data)
                    .filter(|v| v.get_str("type").is_some_and(|kind| ENDS.contains(&&*kind)));
                *found = response.and_then(|v| v.get("response")).map(|v| v.raw().to_owned());
            }
        });
    }

    /// The response, if the answer came to its end: a failed one, too.
    pub fn take(&mut self) -> Option<String> {
        self.found.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &str = r#"{"id":"resp_1","output":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","id":"rs_2","encrypted_content":"x"},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[]},{"type":"web_search_call","id":"ws_1"}]}"#;

    #[test]
    fn a_conversation_is_put_together_again() {
        let turn = Turn { input: r#"[{"role":"user","content":"a"}]"#, response: RESPONSE };
        let history = r#"{"role":"user","content":"a"},{"type":"reasoning","encrypted_content":"x"},{"type":"message","role":"assistant","content":[]},{"type":"web_search_call","id":"ws_1"}"#;
        let new = r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"b\n"}]}"#;
        for (body, want) in [
            (
                r#"{"model":"m", "input":"b\n","previous_response_id":"resp_1","x":1.0}"#,
                format!(r#"{{"model":"m", "input":[{history},{new}],"previous_response_id":null,"x":1.0}}"#),
            ),
            (
                r#"{"previous_response_id":"resp_1","input":[{"type":"function_call_output"}]}"#,
                format!(
                    r#"{{"previous_response_id":null,"input":[{history},{{"type":"function_call_output"}}]}}"#
                ),
            ),
            (
                r#"{"previous_response_id":"resp_1","model":"m"}"#,
                format!(r#"{{"model":"m","input":[{history}]}}"#),
            ),
        ] {
            let whole = with_history(&Bytes::from(body), &[turn]);
            assert_eq!(whole, want, "{body}");
            assert_eq!(item_count(&whole), if body.contains("\"input\"") { 5 } else { 4 });
        }
        assert_eq!(input_items(br#"{"input":"b\n"}"#, 0), format!("[{new}]"));
        assert_eq!(input_items(br#"{"input":[{"a":1},{"b":2}]}"#, 1), r#"[{"b":2}]"#);
        assert_eq!((input_items(b"{}", 0), item_count(b"{}")), ("[]".to_owned(), 0));
    }

    #[test]
    fn conversations_are_named_by_an_id() {
        for (body, want) in [
            (r#"{"input":"a conversation"}"#, Ok(None)),
            (r#"{"conversation":null}"#, Ok(None)),
            (r#"{"conversation":"conv_1"}"#, Ok(Some("conv_1"))),
            (r#"{"c\u006fnversation":"conv_1"}"#, Ok(Some("conv_1"))),
            (r#"{"conversation":{"id":"conv_1"},"previous_response_id":null}"#, Ok(Some("conv_1"))),
            (r#"{"conversation":7}"#, Err("must be an id")),
            (r#"{"conversation":"c","previous_response_id":"r"}"#, Err("exclude each other")),
        ] {
            match (conversation_of(body.as_bytes()), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.as_deref(), want, "{body}"),
                (Err(error), Err(why)) => assert!(error.message().contains(why), "{body}"),
                (got, _) => panic!("{body}: {got:?}"),
            }
        }
        let turn = Turn { input: "[]", response: RESPONSE };
        let whole = with_history(&Bytes::from(r#"{"conversation":{"id":"c"},"input":"b"}"#), &[turn]);
        assert!(whole.starts_with(br#"{"input":[{"type":"reasoning""#), "{whole:?}");
        assert_eq!(with_history(&Bytes::from(r#"{"conversation":"c"}"#), &[]), r#"{"input":[]}"#);
    }

    #[test]
    fn what_is_done_in_the_background_is_begun_at_once() {
        for (body, want) in [
            (r#"{"background":true,"input":"a"}"#, Some(r#"{"input":"a"}"#)),
            (r#"{"background":false}"#, None),
            (r#"{"background":"yes"}"#, None),
            (r#"{"input":"background","x":{"background":true}}"#, None),
            ("no JSON with background", None),
        ] {
            let got = foreground(&Bytes::copy_from_slice(body.as_bytes()));
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{body}");
        }
        let begun = begun("resp_7", 5, br#"{"model":"m","previous_response_id":"r","metadata":{"a":"b"}}"#);
        for part in [
            r#""id":"resp_7""#,
            r#""status":"in_progress""#,
            r#""metadata":{"a":"b"}"#,
            r#""previous_response_id":"r""#,
        ] {
            assert!(begun.contains(part), "{begun}");
        }
        assert_eq!(output_items(RESPONSE).len(), 4);
    }

    #[test]
    fn references_become_their_items() {
        let body = Bytes::from(
            r#"{"input":[{"role":"user","content":"a"},{"type":"item_reference","id":"rs_1"},{"id":"rs_2"},{"type":"item_reference","id":"msg_1"},{"type":"item_reference","id":"else"}],"model":"m"}"#,
        );
        let found: Vec<_> = references(&body);
        let ids = [(1, "rs_1"), (2, "rs_2"), (3, "msg_1"), (4, "else")].map(|(at, id)| (at, id.to_owned()));
        assert_eq!(found, ids);
        let want = r#"{"input":[{"role":"user","content":"a"},{"type":"reasoning","encrypted_content":"x"},{"type":"message","role":"assistant","content":[]},{"type":"item_reference","id":"else"}],"model":"m"}"#;
        assert_eq!(with_items(&body, &[RESPONSE], 1_000).unwrap(), want);
        assert_eq!(item_ids(RESPONSE), ["rs_1", "rs_2", "msg_1", "ws_1"]);
        for plain in
            [r#"{"input":"a"}"#, r#"{"input":[{"type":"message","id":"msg_1","content":"a"}]}"#, "{}"]
        {
            assert_eq!(references(plain.as_bytes()), []);
        }
    }

    #[test]
    fn an_item_that_is_referred_to_again_and_again_is_bounded() {
        let large =
            format!(r#"{{"output":[{{"type":"message","id":"m","content":"{}"}}]}}"#, "x".repeat(1_000));
        let body = |times: usize| {
            let items = vec![r#"{"type":"item_reference","id":"m"}"#; times];
            Bytes::from(format!(r#"{{"input":[{}]}}"#, items.join(",")))
        };
        assert!(with_items(&body(3), &[&large], 4_000).unwrap().len() > 3_000);
        assert_eq!(with_items(&body(4), &[&large], 4_000), None);
        // What no reference stands for counts as it is.
        assert!(with_items(&body(4), &[], 4_000).is_some());
        assert_eq!(with_items(&body(4), &[], 100), None);
    }

    #[test]
    fn the_response_is_picked_out_however_the_stream_is_cut() {
        let stream = format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"delta\":\"\\\"response.completed\\\"\"}}\n\nevent: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{RESPONSE}}}\n\n"
        );
        for pieces in [1, 10, 10_000] {
            let mut keeper = Keeper::new(true);
            for piece in stream.as_bytes().chunks(pieces) {
                keeper.push(&Bytes::copy_from_slice(piece));
            }
            assert_eq!(keeper.take().as_deref(), Some(RESPONSE), "{pieces}");
        }
        let mut keeper = Keeper::new(true);
        keeper.push(&Bytes::from_static(b"data: {\"type\":\"error\",\"response\":{}}\n\n"));
        assert_eq!(keeper.take(), None);
        keeper.push(&Bytes::from_static(b"data: {\"type\":\"response.failed\",\"response\":{}}\n\n"));
        assert_eq!(keeper.take().as_deref(), Some("{}"));
        let mut keeper = Keeper::new(false);
        keeper.push(&Bytes::from_static(RESPONSE.as_bytes()));
        assert_eq!(keeper.take().as_deref(), Some(RESPONSE));
    }
}
