//! The input bound with the texts of messages counted by a tokenizer instead of by bytes.

use sluicegate_core::Format;

use crate::json::{Kind, Val};
use crate::scan::{Field, Scanned};

/// A count may be off by so much where a text meets its neighbours in the prompt's template.
const TEXT_OVERHEAD: u64 = 4;

impl Scanned {
    /// As [`Facts::input_bound`](crate::Facts::input_bound), but what `count` counts of a text stands for its bytes, where it
    /// is less: the texts of messages, of system prompts, of tool results and of embeddings' inputs. Everything else, such as tools
    /// and the arguments of calls, goes through templates that nobody documents, and stays what it was.
    ///
    /// `count` is called once for each text. This takes as long as reading them all does.
    pub fn input_bound_by(&self, count: &dyn Fn(&str) -> u64) -> Option<u64> {
        let bound = self.facts().input_bound()?;
        let mut saved = 0u64;
        for member in &self.members {
            let value = Val::at(self.text(), member.value);
            match member.field {
                Field::System | Field::Messages if self.format() == Format::GeminiGenerate => {
                    value.elements().for_each(|it| parts(it, count, &mut saved));
                    parts(value, count, &mut saved);
                }
                Field::System | Field::Input => content(value, count, &mut saved),
                Field::Messages => {
                    let messages = value.elements().filter_map(|message| message.get("content"));
                    messages.for_each(|it| content(it, count, &mut saved));
                }
                _ => {}
            }
        }
        Some(bound.saturating_sub(saved))
    }

    /// Bytes that a tokenizer would have to read, at most.
    pub fn countable_bytes(&self) -> u64 {
        self.facts().text_bytes
    }
}

/// A string, parts, or lists of them. How deep they nest was bounded when they were scanned.
fn content(value: Val<'_>, count: &dyn Fn(&str) -> u64, saved: &mut u64) {
    match value.kind() {
        Kind::String => text(value, count, saved),
        Kind::Array => value.elements().for_each(|element| content(element, count, saved)),
        Kind::Object => match value.get_str("type").as_deref() {
            Some("text" | "input_text" | "output_text") => {
                if let Some(it) = value.get("text") {
                    text(it, count, saved);
                }
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                if let Some(it) = value.get("output") {
                    content(it, count, saved);
                }
            }
            // A message of a response's input.
            None | Some("message") => {
                if let Some(it) = value.get("content") {
                    content(it, count, saved);
                }
            }
            Some("tool_result") => {
                if let Some(it) = value.get("content") {
                    content(it, count, saved);
                }
            }
            _ => {}
        },
        _ => {}
    }
}

/// The texts of one of Gemini's contents.
fn parts(value: Val<'_>, count: &dyn Fn(&str) -> u64, saved: &mut u64) {
    let parts = value.get("parts").into_iter().flat_map(Val::elements);
    parts.filter_map(|part| part.get("text")).for_each(|it| text(it, count, saved));
}

fn text(value: Val<'_>, count: &dyn Fn(&str) -> u64, saved: &mut u64) {
    if let Some(text) = value.as_str() {
        let counted = count(&text).saturating_add(TEXT_OVERHEAD);
        *saved = saved.saturating_add((text.len() as u64).saturating_sub(counted));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluicegate_core::Format;

    use crate::scan;

    /// A tokenizer of words.
    fn words(text: &str) -> u64 {
        text.split_whitespace().count() as u64
    }

    #[test]
    fn only_texts_are_counted_and_never_to_more_than_their_bytes() {
        let (chat, messages, embeddings) =
            (Format::OpenaiChat, Format::AnthropicMessages, Format::OpenaiEmbeddings);
        // 40 bytes in 8 words are 12 with what is added: 28 less.
        let text = "word word word word word word word words";
        let body = |fields: &str| format!(r#"{{"model":"m",{fields}}}"#);
        let user = |content: &str| body(&format!(r#""messages":[{{"role":"user","content":{content}}}]"#));
        for (format, body, less) in [
            (chat, user(&format!("\"{text}\"")), 28),
            (
                chat,
                user(&format!(r#"[{{"type":"text","text":"{text}"}},{{"text":"{text}","type":"text"}}]"#)),
                56,
            ),
            (chat, user(r#""hi""#), 0),
            (chat, user(&format!(r#"[{{"type":"refusal","refusal":"{text}"}}]"#)), 0),
            (chat, user("\"word word word word word word word \\u4f60\\u4f60\""), 40 + 1 - 12),
            (chat, user(&format!(r#""","tool_calls":[{{"function":{{"arguments":"{text}"}}}}]"#)), 0),
            (
                chat,
                body(&format!(
                    r#""messages":[{{"role":"system","name":"{text}","content":"{text}"}}],"x":"{text}""#
                )),
                28,
            ),
            (
                messages,
                body(&format!(r#""system":"{text}","messages":[{{"role":"user","content":"{text}"}}]"#)),
                56,
            ),
            (
                messages,
                body(&format!(
                    r#""system":[{{"type":"text","text":"{text}"}}],"messages":[{{"role":"user","content":"a"}}]"#
                )),
                28,
            ),
            (
                messages,
                user(&format!(r#"[{{"type":"tool_result","content":[{{"type":"text","text":"{text}"}}]}}]"#)),
                28,
            ),
            (
                messages,
                user(&format!(r#"[{{"type":"tool_use","input":{{"type":"text","text":"{text}"}}}}]"#)),
                0,
            ),
            (
                Format::GeminiGenerate,
                body(&format!(
                    r#""systemInstruction":{{"parts":[{{"text":"{text}"}}]}},"contents":[{{"parts":[{{"text":"{text}"}},{{"functionCall":{{"args":{{"text":"{text}"}}}}}}]}}]"#
                )),
                56,
            ),
            (embeddings, body(&format!(r#""input":["{text}","{text}"]"#)), 56),
            (embeddings, body(r#""input":[1,2,3]"#), 0),
        ] {
            let scanned = scan(format, &Bytes::from(body.clone())).unwrap();
            let bound = scanned.facts().input_bound().unwrap();
            assert_eq!(bound - scanned.input_bound_by(&words).unwrap(), less, "{body}");
            assert_eq!(scanned.input_bound_by(&|_| u64::MAX), Some(bound), "{body}");
        }
        let stored = body(r#""messages":[{"role":"user","content":"a"}],"previous_response_id":"r""#);
        let scanned = scan(chat, &Bytes::from(stored)).unwrap();
        assert_eq!(scanned.input_bound_by(&words), None);
    }
}
