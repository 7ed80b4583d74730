//! The input bound with the texts of messages counted by a tokenizer instead of by bytes.

use sluicegate_core::Format;
use sluicegate_core::count::Counting;

use crate::gemini::member;
use crate::json::{Kind, Val};
use crate::scan::{Field, Scanned};

/// What a chat's template adds to the whole, to each message and to each part that isn't text; and what Anthropic tells a model
/// about tools (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>, read 2026-05).
const CALL_TOKENS: u64 = 3;
const MESSAGE_TOKENS: u64 = 4;
const PART_TOKENS: u64 = 8;
const TOOLS_TOKENS: u64 = 346;

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

    /// A plausible count of the input tokens of a chat, `count` counting those of a text: system prompts, messages with their calls
    /// of tools and the results, the tools themselves, and media by their formula. Thoughts of earlier turns aren't read again; those
    /// of a loop of tools that is under way are.
    pub fn tokens_by(&self, count: &dyn Fn(&str) -> u64) -> u64 {
        let facts = self.facts();
        let mut sum = CALL_TOKENS.saturating_add(facts.media.tokens(Counting::Anthropic));
        for member in &self.members {
            let value = Val::at(self.text(), member.value);
            match member.field {
                Field::System | Field::Messages if self.format() == Format::GeminiGenerate => {
                    sum = sum.saturating_add(one_or_many(value, &|it| turn(it, count)));
                }
                Field::System => sum = sum.saturating_add(read(value, count)),
                Field::Input => {
                    let item = |item: Val<'_>| MESSAGE_TOKENS.saturating_add(read(item, count));
                    sum = sum.saturating_add(one_or_many(value, &item));
                }
                Field::Messages => {
                    let mut thoughts = 0u64;
                    for message in value.elements() {
                        // Results go on with the turn before them, anything else of the user's begins another.
                        match message.get_str("role").as_deref() {
                            Some("assistant") if calls_tools(message) => {
                                thoughts = thoughts.saturating_add(thought(message, count))
                            }
                            Some("user") if !holds_results(message) => thoughts = 0,
                            _ => {}
                        }
                        let content = message.get("content").map_or(0, |it| read(it, count));
                        let calls = message.get("tool_calls").map_or(0, |it| count(it.raw()));
                        sum =
                            sum.saturating_add(MESSAGE_TOKENS).saturating_add(content).saturating_add(calls);
                    }
                    sum = sum.saturating_add(thoughts);
                }
                Field::Tools => {
                    let tools = value.elements().map(|tool| count(tool.raw()));
                    sum = tools.fold(sum, u64::saturating_add);
                    if facts.tools > 0 {
                        sum = sum.saturating_add(TOOLS_TOKENS);
                    }
                }
                _ => {}
            }
        }
        sum
    }

    /// Bytes that a tokenizer would have to read, at most.
    pub fn countable_bytes(&self) -> u64 {
        self.facts().text_bytes
    }
}

/// The tokens of what was thought in a turn.
fn thought(message: Val<'_>, count: &dyn Fn(&str) -> u64) -> u64 {
    let blocks = message.get("content").into_iter().flat_map(Val::elements);
    let texts = blocks.filter_map(|block| block.get_str("thinking"));
    texts.map(|text| count(&text)).fold(0, u64::saturating_add)
}

fn calls_tools(message: Val<'_>) -> bool {
    holds(message, "tool_use")
}

fn holds_results(message: Val<'_>) -> bool {
    holds(message, "tool_result")
}

fn holds(message: Val<'_>, kind: &str) -> bool {
    let is_one = |block: Val<'_>| block.get_str("type").as_deref() == Some(kind);
    message.get("content").is_some_and(|content| content.elements().any(is_one))
}

/// What stands in a list, or alone where Google takes it so.
fn one_or_many(value: Val<'_>, of: &dyn Fn(Val<'_>) -> u64) -> u64 {
    match value.kind() {
        Kind::Array => value.elements().map(of).fold(0, u64::saturating_add),
        _ => of(value),
    }
}

/// The tokens of one of Gemini's contents.
fn turn(content: Val<'_>, count: &dyn Fn(&str) -> u64) -> u64 {
    let part = |part: Val<'_>| {
        let is_media = ["inlineData", "fileData"].iter().any(|name| member(part, name).is_some());
        let is_thought = part.get("thought").and_then(Val::as_bool) == Some(true);
        match part.get_str("text") {
            // Media have their formula.
            _ if is_media || is_thought => 0,
            Some(text) => count(&text),
            None => PART_TOKENS.saturating_add(count(part.raw())),
        }
    };
    let parts = content.get("parts").map_or(0, |parts| one_or_many(parts, &part));
    parts.saturating_add(MESSAGE_TOKENS)
}

/// The tokens of a string, of parts, or of lists of them.
fn read(value: Val<'_>, count: &dyn Fn(&str) -> u64) -> u64 {
    let text = |v: Option<Val<'_>>| v.and_then(Val::as_str).map_or(0, |text| count(&text));
    match value.kind() {
        Kind::String => text(Some(value)),
        Kind::Array => value.elements().map(|element| read(element, count)).fold(0, u64::saturating_add),
        Kind::Object => match value.get_str("type").as_deref() {
            // Media have their formula.
            Some(
                "image" | "image_url" | "input_image" | "input_audio" | "thinking" | "redacted_thinking"
                | "reasoning",
            ) => 0,
            Some("input_file") => value.get("file_data").map_or(PART_TOKENS, pages),
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => {
                let input = value.get("input").map_or(0, |input| count(input.raw()));
                PART_TOKENS.saturating_add(text(value.get("name"))).saturating_add(input)
            }
            Some("document") => value.get("source").map_or(0, |source| match source.get("content") {
                Some(content) => read(content, count),
                None if source.get_str("type").as_deref() == Some("text") => text(source.get("data")),
                None => source.get("data").map_or(0, pages),
            }),
            _ => match (value.get("text"), value.get("content")) {
                (Some(own), _) => text(Some(own)),
                (None, Some(content)) => PART_TOKENS.saturating_add(read(content, count)),
                (None, None) => count(value.raw()),
            },
        },
        _ => 0,
    }
}

/// The tokens of a document's pages: one is mostly more than 40 KiB, and some 2,000 tokens.
fn pages(data: Val<'_>) -> u64 {
    (data.raw().len() as u64).div_ceil(20)
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
    fn everything_that_is_read_counts_as_tokens() {
        let count = |messages: &str, more: &str| {
            let body = format!(r#"{{"model":"m","messages":{messages}{more}}}"#);
            scan(Format::AnthropicCountTokens, &Bytes::from(body)).unwrap().tokens_by(&words)
        };
        let plain = count(r#"[{"role":"user","content":"one two"}]"#, "");
        assert_eq!(plain, 3 + 4 + 2);
        let asked = r#"{"role":"user","content":"one two"}"#;
        let called = |thought: &str| {
            format!(
                r#"{{"role":"assistant","content":[{{"type":"thinking","thinking":"{thought}","signature":"s"}},{{"type":"tool_use","id":"a","name":"t","input":{{}}}}]}}"#
            )
        };
        let answered =
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r"}]}"#;
        let under_way = |thought: &str| count(&format!("[{asked},{},{answered}]", called(thought)), "");
        assert_eq!(under_way("one two three"), under_way("") + 3, "a loop under way has its thoughts");
        let over = |thought: &str| count(&format!("[{asked},{},{answered},{asked}]", called(thought)), "");
        assert_eq!(over("one two three"), over(""), "one that is over hasn't");
        for (note, messages, more) in [
            ("a system prompt", r#"[{"role":"user","content":"one two"}]"#, r#","system":"three""#),
            (
                "tools",
                r#"[{"role":"user","content":"one two"}]"#,
                r#","tools":[{"name":"t","input_schema":{}}]"#,
            ),
            (
                "calls of tools",
                r#"[{"role":"user","content":"one two"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"t","input":{"a":"b c"}}]}]"#,
                "",
            ),
            (
                "their results",
                r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"one two three"}]}]}]"#,
                "",
            ),
            (
                "images",
                r#"[{"role":"user","content":[{"type":"text","text":"one two"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]"#,
                "",
            ),
        ] {
            assert!(count(messages, more) > plain, "{note} count");
        }
        let thinking = r#"[{"role":"user","content":"one two"},{"role":"assistant","content":[{"type":"thinking","thinking":"a b c d","signature":"s"}]}]"#;
        assert_eq!(count(thinking, ""), plain + 4);
    }

    #[test]
    fn what_geminis_models_read_counts_as_tokens() {
        let of = |fields: &str| {
            let body = format!(r#"{{"model":"m",{fields}}}"#);
            scan(Format::GeminiGenerate, &Bytes::from(body)).unwrap().tokens_by(&words)
        };
        let plain = of(r#""contents":[{"role":"user","parts":[{"text":"a b"}]}]"#);
        for (fields, more) in [
            (r#""contents":[{"parts":{"text":"a b"}}]"#, 0),
            (r#""contents":[{"parts":[{"text":"a b"},{"text":"c d e"}]}]"#, 3),
            (r#""contents":[{"parts":[{"text":"a b"}]},{"role":"model","parts":[{"text":"c"}]}]"#, 5),
            (r#""contents":[{"parts":[{"text":"a b"},{"thought":true,"text":"c d e"}]}]"#, 0),
            (r#""contents":[{"parts":[{"text":"a b"}]}],"systemInstruction":{"parts":[{"text":"c d"}]}"#, 6),
            (
                r#""contents":[{"parts":[{"text":"a b"},{"functionCall":{"name":"f","args":{"a":"x y z"}}}]}]"#,
                11,
            ),
        ] {
            assert_eq!(of(fields), plain + more, "{fields}");
        }
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
