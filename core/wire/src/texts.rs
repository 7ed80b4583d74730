//! The texts of a body that people and models wrote, found where they stand, and put back where they were changed.
//!
//! What a text is, is decided by where it stands: messages, their parts, tool calls and results, what is to be embedded.
//! Not among them: names, schemas and descriptions of tools, encoded media. Reasoning in requests that an earlier answer signed is
//! among them, and stays as it is.

mod find;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sluicegate_core::Format;

use crate::gemini::member;
use crate::json::{Kind, Val, escape_into, unescape};

/// Shorter numbers in tool calls are no texts: nothing that has a form of its own is that short.
const NUMBER_MIN: usize = 8;

pub(crate) use find::{CITED, DETAILS, SOURCE};

/// Whether a body is a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What a caller sends.
    Request,
    /// What a model answers, whole.
    Answer,
}

/// The texts of a body.
#[derive(Debug)]
pub struct Texts<'a> {
    body: &'a str,
    found: Vec<Found<'a>>,
    /// Strings that hold JSON, decoded, and where they stand.
    nests: Vec<(Range<usize>, String)>,
    /// What is found now is sealed.
    sealing: bool,
    /// Whether the body could be read at all.
    readable: bool,
}

/// How a text stands in the body, and is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A string, or what becomes one when it is replaced.
    Quoted,
    /// As it is: between the strings of what isn't JSON.
    Bare,
    /// A string whose end is missing.
    Cut,
}

#[derive(Debug)]
struct Found<'a> {
    text: Cow<'a, str>,
    /// The value, in the body or in the nest.
    at: Range<usize>,
    nest: Option<usize>,
    form: Form,
    /// Somebody signed it: changed, it is worth nothing.
    sealed: bool,
}

impl<'a> Texts<'a> {
    /// Finds the texts. A body that is no JSON has none.
    pub fn of(format: Format, side: Side, body: &'a [u8]) -> Self {
        let mut texts = Self::empty(std::str::from_utf8(body).unwrap_or_default());
        if let Ok(root) = Val::parse(texts.body) {
            texts.readable = true;
            texts.find(format, side, root);
        }
        texts
    }

    /// The texts in a tool call's arguments. Of what isn't JSON, such as what was cut off, all is one: the strings in it,
    /// names too, and what stands between them.
    pub(crate) fn arguments(text: &'a str) -> Self {
        let mut texts = Self::empty(text);
        match Val::parse(text) {
            Ok(value) => {
                texts.readable = true;
                texts.json(Some(value));
            }
            Err(_) => texts.pieces(),
        }
        texts
    }

    /// The texts of a part of an answer, or of several, that stand in `body`.
    pub(crate) fn of_part(body: &'a str, part: Val<'a>) -> Self {
        let mut texts = Self::empty(body);
        texts.content(Some(part), Side::Answer);
        texts.notes(part);
        texts
    }

    /// What stands whole beside a message of an answer, or a piece of one.
    pub(crate) fn of_beside(body: &'a str, message: Val<'a>) -> Self {
        let mut texts = Self::empty(body);
        texts.beside(message);
        texts
    }

    /// What stands beside the choices of an answer.
    pub(crate) fn of_sources(body: &'a str, root: Val<'a>) -> Self {
        let mut texts = Self::empty(body);
        texts.sources(root);
        texts
    }

    /// The texts of a part of an answer of Gemini's that stands in `body`.
    pub(crate) fn of_gemini_part(body: &'a str, part: Val<'a>) -> Self {
        let mut texts = Self::empty(body);
        texts.gemini_part(part, Side::Answer);
        texts
    }

    /// What stands beside a candidate's answer in `body`.
    pub(crate) fn of_gemini_sources(body: &'a str, candidate: Val<'a>) -> Self {
        let mut texts = Self::empty(body);
        texts.gemini_sources(candidate);
        texts
    }

    fn empty(body: &'a str) -> Self {
        Self { body, found: Vec::new(), nests: Vec::new(), sealing: false, readable: false }
    }

    /// Whether the body is JSON.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// The texts that stand in the body itself, with where they do.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        let own = self.found.iter().filter(|found| found.nest.is_none());
        own.map(|found| (found.at.clone(), &*found.text))
    }

    /// Whether a text stays as it is, whatever is put in its place: an earlier answer has signed it.
    pub fn is_sealed(&self, at: usize) -> bool {
        self.found.get(at).is_some_and(|found| found.sealed)
    }

    /// The texts, decoded, in a fixed order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.found.iter().map(|found| &*found.text)
    }

    /// The body with these texts in place of those of the same index. Everything else stays byte for byte, and so does what is sealed.
    pub fn replaced(&self, new: &[(usize, String)]) -> Bytes {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut nested: Vec<Vec<(Range<usize>, String)>> = vec![Vec::new(); self.nests.len()];
        for (at, text) in new {
            let Some(found) = self.found.get(*at).filter(|found| !found.sealed) else { continue };
            let into = match found.nest {
                None => &mut edits,
                Some(nest) => match nested.get_mut(nest) {
                    Some(into) => into,
                    None => continue,
                },
            };
            let written = match found.form {
                Form::Quoted => quoted(text),
                Form::Bare => text.clone(),
                Form::Cut => {
                    let mut open = quoted(text);
                    open.pop();
                    open
                }
            };
            into.push((found.at.clone(), written));
        }
        for ((at, text), inner) in self.nests.iter().zip(nested) {
            if !inner.is_empty() {
                edits.push((at.clone(), quoted(&spliced(text, inner))));
            }
        }
        spliced(self.body, edits).into()
    }

    /// The items of an answer, or of a part of one, that stand in `body`.
    pub(crate) fn of_items(body: &'a str, items: impl Iterator<Item = Val<'a>>) -> Self {
        let mut texts = Self::empty(body);
        items.for_each(|item| texts.item(item, Side::Answer));
        texts
    }

    /// Finds what is sealed, if it is.
    fn sealed(&mut self, is_sealed: bool, find: impl FnOnce(&mut Self)) {
        let before = self.sealing;
        self.sealing |= is_sealed;
        find(self);
        self.sealing = before;
    }

    fn call(&mut self, function: Option<Val<'a>>) {
        let Some(arguments) = function.and_then(|function| function.get("arguments")) else { return };
        match arguments.as_str() {
            // Some writers send the object itself.
            None => self.json(Some(arguments)),
            Some(text) => self.nest(arguments, text),
        }
    }

    /// A string that holds JSON: what stands in it is decoded once more.
    fn nest(&mut self, value: Val<'a>, text: Cow<'a, str>) {
        let nest = self.nests.len();
        let found = Texts::arguments(&text).found.into_iter();
        let found: Vec<_> = found
            .map(|Found { text, at, form, .. }| Found {
                text: Cow::Owned(text.into_owned()),
                nest: Some(nest),
                at,
                form,
                sealed: self.sealing,
            })
            .collect();
        self.found.extend(found);
        self.nests.push((self.place(value), text.into_owned()));
    }

    /// Every string of a value, and what is long enough of its numbers. Names stay as they are.
    fn json(&mut self, value: Option<Val<'a>>) {
        let Some(value) = value else { return };
        match value.kind() {
            Kind::String => self.text(Some(value)),
            Kind::Number if value.raw().len() >= NUMBER_MIN => {
                let at = self.place(value);
                self.push(Cow::Borrowed(value.raw()), at, Form::Quoted);
            }
            Kind::Object => value.members().for_each(|(_, value)| self.json(Some(value))),
            Kind::Array => value.elements().for_each(|value| self.json(Some(value))),
            _ => {}
        }
    }

    /// A string, or the strings of a list.
    fn strings(&mut self, value: Option<Val<'a>>) {
        let Some(value) = value else { return };
        self.text(Some(value));
        for element in value.elements() {
            match element.kind() {
                Kind::Object => ["text", "content"].iter().for_each(|name| self.text(element.get(name))),
                _ => self.text(Some(element)),
            }
        }
    }

    fn text(&mut self, value: Option<Val<'a>>) {
        if let Some(value) = value.filter(|value| value.kind() == Kind::String) {
            let at = self.place(value);
            self.push(unescape(value.raw()), at, Form::Quoted);
        }
    }

    /// The strings of what isn't JSON, and what stands between them.
    fn pieces(&mut self) {
        let body = self.body;
        let mut from = 0;
        // BOUND: each turn consumes a piece.
        while let Some(rest) = body.get(from..).filter(|rest| !rest.is_empty()) {
            let (len, form) = match rest.strip_prefix('"') {
                None => (rest.find('"').unwrap_or(rest.len()), Form::Bare),
                Some(inner) => match closing(inner) {
                    Some(end) => (end + 2, Form::Quoted),
                    None => (rest.len(), Form::Cut),
                },
            };
            let piece = rest.get(..len).unwrap_or(rest);
            let text = match form {
                Form::Bare => Cow::Borrowed(piece),
                Form::Quoted => unescape(piece),
                Form::Cut => unescape(piece.get(1..).unwrap_or_default()),
            };
            self.push(text, from..from + piece.len(), form);
            from += piece.len();
        }
    }

    fn push(&mut self, text: Cow<'a, str>, at: Range<usize>, form: Form) {
        self.found.push(Found { text, at, nest: None, form, sealed: self.sealing });
    }

    fn place(&self, value: Val<'_>) -> Range<usize> {
        place(self.body, value)
    }
}

/// Where the string ends whose text begins here.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

/// Where a value stands in the text that it is a part of.
pub(crate) fn place(whole: &str, value: Val<'_>) -> Range<usize> {
    let start = (value.raw().as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start + value.raw().len()
}

pub(crate) fn elements(value: Option<Val<'_>>) -> impl Iterator<Item = Val<'_>> {
    value.into_iter().flat_map(Val::elements)
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    escape_into(&mut out, text);
    out
}

/// The logprobs in an answer or a piece of one: the text once more, token by token; and a transcript's words, one by one.
pub(crate) fn logprobs(whole: &str, root: Val<'_>) -> Vec<(Range<usize>, String)> {
    let said = elements(root.get("choices")).filter_map(|choice| choice.get("logprobs"));
    let of_candidates = elements(root.get("candidates")).filter_map(|it| member(it, "logprobsResult"));
    let whole_values = said.chain(of_candidates).filter(|said| !said.is_null());
    let of_choices = whole_values.map(|said| (place(whole, said), "null".to_owned()));
    // Those of responses stand in an event, in its part, its item, or in the whole output.
    let response = root.get("response").unwrap_or(root);
    let items = root.get("item").into_iter().chain(elements(response.get("output")));
    let parts = items.flat_map(|item| elements(item.get("content"))).chain(root.get("part")).chain([root]);
    let lists = parts.filter_map(|part| part.get("logprobs"));
    let of_transcript = std::iter::once(root).filter(|root| root.get("text").is_some());
    let spoken = of_transcript.flat_map(|root| std::iter::once(root).chain(elements(root.get("segments"))));
    let lists = lists.chain(spoken.flat_map(|it| [it.get("words"), it.get("tokens")].into_iter().flatten()));
    let lists = lists.filter(|list| list.elements().next().is_some());
    of_choices.chain(lists.map(|list| (place(whole, list), "[]".to_owned()))).collect()
}

/// A whole answer without what would say its text once more beside it.
pub fn without_logprobs(body: Bytes) -> Bytes {
    let whole = std::str::from_utf8(&body).unwrap_or_default();
    let edits = Val::parse(whole).map(|root| logprobs(whole, root)).unwrap_or_default();
    if edits.is_empty() { body } else { spliced(whole, edits).into() }
}

/// `text` with these parts replaced.
pub(crate) fn spliced(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(at, _)| at.start);
    let mut out = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for (at, new) in edits {
        out.push_str(text.get(from..at.start).unwrap_or_default());
        out.push_str(&new);
        from = at.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(format: Format, side: Side, body: &str) -> Vec<String> {
        Texts::of(format, side, body.as_bytes()).iter().map(str::to_owned).collect()
    }

    #[test]
    fn texts_are_found_where_people_and_models_write() {
        let chat = r#"{"model":"no","messages":[{"role":"system","content":"a\u0062"},{"role":"user","name":"no","content":[{"type":"text","text":"c"},
            {"type":"image_url","image_url":{"url":"data:no"}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"no","function":
            {"name":"no","arguments":"{\"to\":\"\\u4e2d\",\"n\":[4111111111111111,12]}"}}]},{"role":"tool","content":"d"}],
            "tools":[{"function":{"description":"no"}}],"prediction":{"type":"content","content":"e"}}"#;
        assert_eq!(
            texts(Format::OpenaiChat, Side::Request, chat),
            ["ab", "c", "中", "4111111111111111", "d", "e"]
        );
        let messages = r#"{"system":[{"type":"text","text":"a"}],"messages":[{"role":"user","content":"b"},{"role":"assistant","content":
            [{"type":"thinking","thinking":"s","signature":"no"},{"type":"tool_use","id":"no","name":"no","input":{"x":{"y":"c"}}}]},{"role":"user","content":
            [{"type":"tool_result","tool_use_id":"no","content":[{"type":"text","text":"d"}]},{"type":"tool_result","content":"e"},
            {"type":"document","title":"f","source":{"type":"text","data":"g"}},{"type":"image","source":{"type":"base64","data":"no"}}]}]}"#;
        assert_eq!(
            texts(Format::AnthropicMessages, Side::Request, messages),
            ["a", "b", "s", "c", "d", "e", "f", "g"]
        );
        assert_eq!(
            texts(Format::OpenaiEmbeddings, Side::Request, r#"{"input":["a",[1,2],"b"]}"#),
            ["a", "b"]
        );
        assert_eq!(texts(Format::OpenaiEmbeddings, Side::Request, r#"{"input":"a"}"#), ["a"]);
        let answer =
            r#"{"content":[{"type":"thinking","thinking":"a"},{"type":"text","text":"b"}],"model":"no"}"#;
        assert_eq!(texts(Format::AnthropicMessages, Side::Answer, answer), ["a", "b"]);
        let gemini = r#"{"system_instruction":{"parts":[{"text":"a"}]},"contents":[{"parts":[{"text":"b"},{"inlineData":{"mimeType":"no","data":"no"}}]},
            {"role":"model","parts":[{"text":"t","thought":true},{"functionCall":{"name":"no","args":{"x":["c"]}},"thoughtSignature":"no"}]},
            {"role":"user","parts":[{"functionResponse":{"name":"no","response":{"result":"d"}}}]}],"tools":[{"functionDeclarations":[{"name":"no"}]}]}"#;
        assert_eq!(texts(Format::GeminiGenerate, Side::Request, gemini), ["a", "b", "t", "c", "d"]);
        let answer = r#"{"candidates":[{"content":{"parts":[{"text":"a","thought":true},{"text":"b"},{"functionCall":{"name":"no","args":{"x":"c"}}}]},
            "finishReason":"no","groundingMetadata":{"groundingChunks":[{"web":{"uri":"no","title":"d"}}],"groundingSupports":[{"segment":{"text":"e"}}]}}]}"#;
        assert_eq!(texts(Format::GeminiGenerate, Side::Answer, answer), ["a", "b", "c", "d", "e"]);
        let answer = r#"{"choices":[{"message":{"reasoning_content":"a","content":"b","tool_calls":[{"function":{"arguments":"{bad"}}]}}]}"#;
        assert_eq!(texts(Format::OpenaiChat, Side::Answer, answer), ["b", "a", "{bad"]);
    }

    #[test]
    fn texts_of_responses_are_found_too() {
        let request = r#"{"instructions":"a","input":[{"role":"user","content":"b"},{"role":"user","content":[{"type":"input_text","text":"c"},
            {"type":"input_image","image_url":"data:no"}]},{"type":"reasoning","summary":[{"text":"s"}],"encrypted_content":"no"},
            {"type":"reasoning","summary":[{"text":"h"}]},{"type":"function_call",
            "name":"no","call_id":"no","arguments":"{\"x\":\"d\"}"},{"type":"function_call_output","call_id":"no","output":"e"},
            {"type":"function_call_output","output":[{"type":"input_text","text":"f"}]},{"type":"custom_tool_call","input":"g"}]}"#;
        let format = Format::OpenaiResponses;
        assert_eq!(texts(format, Side::Request, request), ["a", "b", "c", "s", "h", "d", "e", "f", "g"]);
        assert_eq!(texts(format, Side::Request, r#"{"input":"a"}"#), ["a"]);
        let answer = r#"{"instructions":"no","output":[{"type":"reasoning","summary":[{"text":"a"}],"encrypted_content":"no"},{"type":"message","content":
            [{"type":"output_text","text":"b","annotations":[{"title":"c","url":"no"}],"logprobs":[{"token":"b"}]},{"type":"refusal","refusal":"d"}]},
            {"type":"function_call","arguments":"{\"x\":\"e\"}"}]}"#;
        assert_eq!(texts(format, Side::Answer, answer), ["a", "b", "d", "c", "e"]);
        let without = without_logprobs(Bytes::from_static(answer.as_bytes()));
        assert_eq!(std::str::from_utf8(&without).unwrap(), answer.replace(r#"[{"token":"b"}]"#, "[]"));
    }

    #[test]
    fn everything_else_stays_as_it_was_written() {
        let body = r#"{ "messages" :[{"content":"a\u0062","x":1.50},{"tool_calls":[{"function":{"arguments":"{\"to\": \"c\", \"n\": 4111111111111111}"}}]}],"y":"\u00e9"}"#;
        let texts = Texts::of(Format::OpenaiChat, Side::Request, body.as_bytes());
        let new = [(0, "\"\n".to_owned()), (1, "\"".to_owned()), (2, "[CARD]".to_owned())];
        assert_eq!(
            texts.replaced(&new),
            r#"{ "messages" :[{"content":"\"\n","x":1.50},{"tool_calls":[{"function":{"arguments":"{\"to\": \"\\\"\", \"n\": \"[CARD]\"}"}}]}],"y":"\u00e9"}"#
        );
        assert_eq!(texts.replaced(&[]), body);
    }

    #[test]
    fn what_is_sealed_is_seen_and_stays() {
        let body = r#"{"messages":[{"content":"a","thinking_blocks":[{"thinking":"b","signature":"s"},{"thinking":"c"}]}]}"#;
        let texts = Texts::of(Format::OpenaiChat, Side::Request, body.as_bytes());
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((0..4).map(|at| texts.is_sealed(at)).collect::<Vec<_>>(), [false, true, false, false]);
        let new: Vec<_> = (0..3).map(|at| (at, "x".to_owned())).collect();
        assert_eq!(texts.replaced(&new), body.replace(r#""a""#, r#""x""#).replace(r#""c""#, r#""x""#));
    }

    #[test]
    fn logprobs_of_a_whole_answer_are_dropped() {
        let body = |said: &str| {
            Bytes::from(format!(r#"{{"choices":[{{"message":{{"content":"a"}}, "logprobs": {said}}}]}}"#))
        };
        assert_eq!(without_logprobs(body(r#"{"content":[{"token":"a"}]}"#)), body("null"));
        assert_eq!(without_logprobs(body("null")), body("null"));
        let transcript = |words: &str, tokens: &str| {
            Bytes::from(format!(
                r#"{{"text":"a b","words":{words},"segments":[{{"text":"a b","tokens":{tokens},"words":{words}}}]}}"#
            ))
        };
        let with = transcript(r#"[{"word":"a"}]"#, "[1,2]");
        assert_eq!(without_logprobs(with), transcript("[]", "[]"));
        assert_eq!(without_logprobs(Bytes::from_static(b"\xff")), Bytes::from_static(b"\xff"));
    }
}
