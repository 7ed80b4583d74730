//! The response object, which repeats what the request said.

use sluicegate_core::Usage;

use crate::ir::{Head, ToolKind};
use crate::json::{Array, Object, Val, object};
use crate::tier;
use crate::usage::write_responses;

/// What of a request its answer repeats.
const ECHOED: [&str; 17] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// What the answer to a request repeats of it, as a JSON object; `previous` is what it goes on from.
pub(crate) fn echo(body: Val<'_>, previous: Option<&str>) -> String {
    object(|o| {
        for (name, value) in body.members().filter(|(name, _)| ECHOED.contains(&&**name)) {
            o.raw(&name, value.raw());
        }
        if let Some(previous) = previous {
            o.str("previous_response_id", previous);
        }
    })
}

/// How a response stands.
#[derive(Clone, Copy)]
pub(super) enum Status<'a> {
    InProgress,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
    /// With code and message.
    Failed(&'a str, &'a str),
}

/// What stands in a response object beside its head.
pub(super) struct Said<'a> {
    pub(super) status: Status<'a>,
    pub(super) echo: &'a str,
    /// Items, each as JSON.
    pub(super) output: &'a [String],
    pub(super) usage: Option<&'a Usage>,
    /// The tier that served it.
    pub(super) tier: Option<&'a str>,
}

/// The response as JSON.
pub(super) fn response(head: &Head, said: &Said<'_>) -> String {
    let echo = Val::trusted(said.echo);
    object(|o| {
        o.str("id", &head.id);
        o.str("object", "response");
        o.raw("created_at", &head.created_s.to_string());
        o.str("status", word(said.status));
        o.bool("background", false);
        match said.status {
            Status::Failed(code, message) => o.object("error", |o| {
                o.str("code", code);
                o.str("message", message);
            }),
            _ => o.raw("error", "null"),
        }
        match said.status {
            Status::Incomplete(reason) => o.object("incomplete_details", |o| o.str("reason", reason)),
            _ => o.raw("incomplete_details", "null"),
        }
        o.str("model", &head.model);
        o.array("output", |a| said.output.iter().for_each(|item| a.raw(item)));
        // What wasn't said stands with its default.
        for (name, default) in [
            ("instructions", "null"),
            ("max_output_tokens", "null"),
            ("metadata", "{}"),
            ("parallel_tool_calls", "true"),
            ("previous_response_id", "null"),
            ("reasoning", r#"{"effort":null,"summary":null}"#),
            ("store", "true"),
            ("temperature", "1.0"),
            ("text", r#"{"format":{"type":"text"}}"#),
            ("tool_choice", r#""auto""#),
            ("tools", "[]"),
            ("top_p", "1.0"),
            ("truncation", r#""disabled""#),
        ] {
            o.raw(name, echo.get(name).map_or(default, Val::raw));
        }
        for name in ["max_tool_calls", "prompt_cache_key", "safety_identifier", "top_logprobs"] {
            if let Some(value) = echo.get(name) {
                o.raw(name, value.raw());
            }
        }
        match (said.tier, echo.get("service_tier")) {
            (Some(tier), _) => o.str("service_tier", &tier::openai(tier).unwrap_or_else(|| tier.to_owned())),
            (None, Some(asked)) => o.raw("service_tier", asked.raw()),
            (None, None) => o.str("service_tier", "default"),
        }
        match said.usage {
            Some(usage) => o.raw("usage", &write_responses(usage)),
            None => o.raw("usage", "null"),
        }
    })
}

/// The response that a request begins, before anything of it is there.
pub(crate) fn begun(id: &str, created_s: i64, body: Val<'_>) -> String {
    let model = body.get_str("model").unwrap_or_default().into_owned();
    let echo = echo(body, body.get_str("previous_response_id").as_deref());
    let head = Head { id: id.to_owned(), created_s, model };
    response(&head, &Said { status: Status::InProgress, echo: &echo, output: &[], usage: None, tier: None })
}

fn word(status: Status<'_>) -> &'static str {
    match status {
        Status::InProgress => "in_progress",
        Status::Completed => "completed",
        Status::Incomplete(_) => "incomplete",
        Status::Failed(..) => "failed",
    }
}

/// A part of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) refusal: bool,
    pub(super) text: String,
    /// How much text was said before it, in characters.
    pub(super) before: u64,
    /// Annotations, each as JSON.
    pub(super) notes: Vec<String>,
    /// Arrays as they came, in order.
    pub(super) logprobs: Vec<String>,
}

impl Part {
    pub(super) fn write(&self, o: &mut Object<'_>) {
        if self.refusal {
            o.str("type", "refusal");
            return o.str("refusal", &self.text);
        }
        o.str("type", "output_text");
        o.str("text", &self.text);
        o.array("annotations", |a| self.notes.iter().for_each(|note| a.raw(note)));
        o.array("logprobs", |a| self.write_logprobs(a));
    }

    pub(super) fn write_logprobs(&self, a: &mut Array<'_>) {
        let entries = self.logprobs.iter().flat_map(|array| Val::trusted(array).elements());
        entries.for_each(|entry| a.raw(entry.raw()));
    }
}

/// An item of the output.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Message(Vec<Part>),
    Reasoning {
        text: String,
        seal: Option<String>,
    },
    /// A picture in base64, of this media type.
    Image {
        media_type: String,
        data: String,
    },
    Tool {
        tool: u32,
        call_id: String,
        name: String,
        kind: ToolKind,
        args: String,
    },
}

impl Content {
    /// What its item's id begins with.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Content::Message(_) => "msg_",
            Content::Reasoning { .. } => "rs_",
            Content::Image { .. } => "ig_",
            Content::Tool { kind: ToolKind::Function, .. } => "fc_",
            Content::Tool { kind: ToolKind::Custom, .. } => "ctc_",
        }
    }

    /// The item; one that has just begun is shown without its content.
    pub(super) fn write(&self, o: &mut Object<'_>, id: &str, status: &str) {
        let begun = status == "in_progress";
        o.str("id", id);
        match self {
            Content::Message(parts) => {
                o.str("type", "message");
                o.str("status", status);
                o.str("role", "assistant");
                o.array("content", |a| {
                    parts.iter().filter(|_| !begun).for_each(|part| a.object(|o| part.write(o)));
                });
            }
            Content::Reasoning { text, seal } => {
                o.str("type", "reasoning");
                o.array("summary", |a| {
                    if !begun && !text.is_empty() {
                        a.object(|o| summary(o, text));
                    }
                });
                if let Some(seal) = seal.as_ref().filter(|_| !begun) {
                    o.str("encrypted_content", seal);
                }
            }
            Content::Image { media_type, data } => {
                o.str("type", "image_generation_call");
                o.str("status", status);
                match begun {
                    true => o.raw("result", "null"),
                    false => {
                        o.str("output_format", media_type.strip_prefix("image/").unwrap_or("png"));
                        o.str("result", data);
                    }
                }
            }
            Content::Tool { call_id, name, kind, args, .. } => {
                let custom = *kind == ToolKind::Custom;
                o.str("type", if custom { "custom_tool_call" } else { "function_call" });
                o.str("status", status);
                o.str("call_id", call_id);
                o.str("name", name);
                o.str(if custom { "input" } else { "arguments" }, if begun { "" } else { args });
            }
        }
    }
}

pub(super) fn summary(o: &mut Object<'_>, text: &str) {
    o.str("type", "summary_text");
    o.str("text", text);
}
