//! The neutral model as a request of Cohere's chat.

use sluicegate_core::ids::own_name;

use crate::error::{Result, WireError};
use crate::ir::{Block, Message, OutputFormat, Reasoning, Request, Role, Source, ToolChoice};
use crate::json::{Array, Object, Val, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::openai_chat::url_of;
use crate::plain;
use crate::search;

/// Cohere takes at most this many stop sequences.
const STOPS_MAX: usize = 5;

/// Encodes a request. `set` is appended as it is.
///
/// # Errors
/// Nothing is left to say after translation, or the target can't be told it.
pub(crate) fn encode(
    request: &Request,
    set: &[(&str, &str)],
    names: &mut Names,
    losses: &mut Losses,
) -> Result<String> {
    plain::refuse(request, true)?;
    // QUIRK(cohere, 2026-11, https://docs.cohere.com/docs/structured-outputs): a format for the answer excludes tools.
    if request.format != OutputFormat::Text && !request.tools.is_empty() {
        let message =
            "the upstream takes `response_format` or tools, not both: leave one out, or choose another model";
        return Err(WireError::unsupported(message).at("response_format"));
    }
    plain::unsaid(request, losses);
    plain::no_tier(request, losses);
    search::never(request, losses);
    // QUIRK(cohere, 2026-11, https://docs.cohere.com/reference/chat): documents exclude tools and JSON.
    let grounds = request.tools.is_empty() && request.format == OutputFormat::Text;
    let mut documents = Vec::new();
    Ok(object(|o| {
        o.str("model", &request.model);
        o.array("messages", |a| messages(a, request, grounds.then_some(&mut documents), names, losses));
        if !documents.is_empty() {
            losses.approximated("messages", "documents stand beside the conversation");
            o.array("documents", |a| documents.iter().enumerate().for_each(|(at, it)| it.write(a, at)));
        }
        tools(o, request, names, losses);
        sampling(o, request, losses);
        thinking(o, request, losses);
        match &request.format {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => o.object("response_format", |o| o.str("type", "json_object")),
            OutputFormat::JsonSchema { schema, .. } => o.object("response_format", |o| {
                o.str("type", "json_object");
                o.raw("json_schema", schema);
            }),
        }
        o.bool("stream", request.stream);
        set.iter().for_each(|(name, value)| o.raw(name, value));
    }))
}

/// What an answer may rest on, and cites.
struct Grounds<'b> {
    title: Option<&'b str>,
    text: &'b str,
}

impl Grounds<'_> {
    fn write(&self, a: &mut Array<'_>, at: usize) {
        a.object(|o| {
            o.str("id", &format!("document_{at}"));
            o.object("data", |o| {
                if let Some(title) = self.title {
                    o.str("title", title);
                }
                o.str("text", self.text);
            });
        });
    }
}

// QUIRK(cohere, 2026-11, https://docs.cohere.com/reference/chat): `p` is from 0.01 to 0.99, `k` to 500, penalties from 0 to 1.
fn sampling(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    if let Some(n) = request.max_output {
        o.num("max_tokens", n);
    }
    for (ours, name, value, (least, most)) in [
        ("temperature", "temperature", &request.temperature, ("0", "2")),
        ("top_p", "p", &request.top_p, ("0.01", "0.99")),
        ("top_k", "k", &request.top_k, ("0", "500")),
        ("presence_penalty", "presence_penalty", &request.presence_penalty, ("0", "1")),
        ("frequency_penalty", "frequency_penalty", &request.frequency_penalty, ("0", "1")),
    ] {
        let Some(value) = value else { continue };
        let fits = within(value, least, most);
        if fits != value {
            losses.approximated(ours, "fitted to what the target takes");
        }
        o.raw(name, fits);
    }
    if let Some(seed) = &request.seed {
        o.raw("seed", seed);
    }
    if request.logprobs.is_some() {
        losses.dropped("logprobs", "the target says them in another way");
    }
    if !request.stop.is_empty() {
        if request.stop.len() > STOPS_MAX {
            losses.dropped(format!("stop[{STOPS_MAX}..]"), "the target takes five");
        }
        o.array("stop_sequences", |a| request.stop.iter().take(STOPS_MAX).for_each(|s| a.str(s)));
    }
}

/// A number as it came, or the bound that it is beyond.
fn within<'t>(number: &'t str, least: &'t str, most: &'t str) -> &'t str {
    let read = |text: &str| text.parse::<f64>().unwrap_or_default();
    match read(number) {
        n if n < read(least) => least,
        n if n > read(most) => most,
        _ => number,
    }
}

/// Whether a model is known not to think: it refuses the field.
// QUIRK(cohere, 2026-11, https://docs.cohere.com/docs/reasoning): from Command A Reasoning on; the models before refuse it.
fn never_thinks(model: &str) -> bool {
    let name = own_name(model);
    let families =
        ["command-r", "command-a-03", "command-a-vision", "command-a-translate", "command-light", "c4ai-"];
    name == "command" || families.iter().any(|family| name.starts_with(family))
}

fn thinking(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let Some(reasoning) = request.reasoning else { return };
    if never_thinks(&request.model) {
        if reasoning != Reasoning::Off {
            losses.dropped("reasoning_effort", "the model doesn't reason");
        }
        return;
    }
    o.object("thinking", |o| {
        o.str("type", if reasoning == Reasoning::Off { "disabled" } else { "enabled" });
        match reasoning {
            Reasoning::Effort(effort) => o.num("token_budget", effort.budget()),
            Reasoning::Budget(tokens) => o.num("token_budget", tokens),
            Reasoning::Off | Reasoning::Adaptive => {}
        }
    });
}

fn tools(o: &mut Object<'_>, request: &Request, names: &mut Names, losses: &mut Losses) {
    if request.tools.is_empty() {
        return;
    }
    let offered = plain::offered(request, losses);
    o.array("tools", |a| {
        for tool in &offered {
            let name = names.shorten_identifier(&tool.name);
            a.object(|o| plain::declare(o, tool, &name, names, losses));
        }
    });
    // QUIRK(cohere, 2026-11, https://docs.cohere.com/docs/tool-use-overview): one word for all tools, each of which must have a
    // required parameter then.
    let requires = |schema: &String| {
        let required = Val::trusted(schema).get("required");
        required.is_some_and(|required| required.elements().next().is_some())
    };
    let fits = |strict: bool| {
        offered.iter().all(|tool| tool.strict == Some(strict) && tool.schema.as_ref().is_some_and(requires))
    };
    if fits(true) {
        o.bool("strict_tools", true);
    } else if offered.iter().any(|tool| tool.strict == Some(true)) {
        losses.dropped("tools[].strict", "the target is strict with all tools or with none");
    }
    match &request.tool_choice {
        Some(ToolChoice::None) => o.str("tool_choice", "NONE"),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => o.str("tool_choice", "REQUIRED"),
        Some(ToolChoice::Auto) | None => {}
    }
}

fn messages<'r>(
    a: &mut Array<'_>,
    request: &'r Request,
    mut documents: Option<&mut Vec<Grounds<'r>>>,
    names: &mut Names,
    losses: &mut Losses,
) {
    if let Some(system) = plain::system(request) {
        message(a, "system", |o| o.str("content", &system));
    }
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match turn.role {
            Role::User => user(a, turn, documents.as_deref_mut(), &path, losses),
            Role::Assistant => assistant(a, turn, &path, names, losses),
        }
    }
}

fn message(a: &mut Array<'_>, role: &str, fill: impl FnOnce(&mut Object<'_>)) {
    a.object(|o| {
        o.str("role", role);
        fill(o);
    });
}

/// Tool results first, each a message of its own, then what is left as one user message.
fn user<'r>(
    a: &mut Array<'_>,
    turn: &'r Message,
    documents: Option<&mut Vec<Grounds<'r>>>,
    path: &str,
    losses: &mut Losses,
) {
    let mut rest: Vec<&Block> = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, is_error, .. } => {
                let text = plain::result_text(content, *is_error, &mut rest, path, losses);
                message(a, "tool", |o| {
                    o.str("tool_call_id", id);
                    o.str("content", &text);
                });
            }
            other => rest.push(other),
        }
    }
    // A turn that is a document alone stays one.
    let speaks = rest.iter().any(|block| matches!(block, Block::Text { .. } | Block::Image { .. }));
    if let Some(documents) = documents.filter(|_| speaks) {
        rest.retain(|block| match block {
            Block::Document { source: Source::Text(text), name, .. } => {
                documents.push(Grounds { title: name.as_deref(), text });
                false
            }
            _ => true,
        });
    }
    match rest.as_slice() {
        [] => {}
        [Block::Text { text, .. }] => message(a, "user", |o| o.str("content", text)),
        several => message(a, "user", |o| {
            o.array("content", |a| several.iter().for_each(|block| part(a, block, path, losses)));
        }),
    }
}

fn part(a: &mut Array<'_>, block: &Block, path: &str, losses: &mut Losses) {
    match block {
        Block::Text { text, .. } | Block::Document { source: Source::Text(text), .. } => {
            losses.note_title(block, path);
            a.object(|o| {
                o.str("type", "text");
                o.str("text", text);
            });
        }
        Block::Image { source, .. } => a.object(|o| {
            o.str("type", "image_url");
            o.object("image_url", |o| o.str("url", &url_of(source)));
        }),
        _ => losses.dropped(path, "the target has no such content"),
    }
}

fn assistant(a: &mut Array<'_>, turn: &Message, path: &str, names: &mut Names, losses: &mut Losses) {
    let (mut text, mut thoughts, mut calls) = (String::new(), Vec::new(), Vec::new());
    for block in &turn.blocks {
        match block {
            Block::Text { text: more, .. } => text.push_str(more),
            Block::ToolUse { id, name, kind, input, .. } => {
                let name = names.shorten_identifier(name);
                calls.push((id, name, plain::arguments(*kind, input, losses)));
            }
            Block::Thinking { .. } | Block::Redacted { .. } => {
                thoughts.extend(plain::own_thought(block, path, losses));
            }
            _ => losses.dropped(path, "the target has no such content in an assistant's turn"),
        }
    }
    if text.is_empty() && calls.is_empty() {
        return;
    }
    message(a, "assistant", |o| {
        // What is said before calls is their plan.
        let plan = !calls.is_empty() && !text.is_empty();
        if plan {
            o.str("tool_plan", &text);
        }
        let said = if plan { "" } else { text.as_str() };
        match (thoughts.is_empty(), said.is_empty()) {
            (true, true) => {}
            (true, false) => o.str("content", said),
            (false, _) => o.array("content", |a| {
                for thought in &thoughts {
                    a.object(|o| {
                        o.str("type", "thinking");
                        o.str("thinking", thought);
                    });
                }
                if !said.is_empty() {
                    a.object(|o| {
                        o.str("type", "text");
                        o.str("text", said);
                    });
                }
            }),
        }
        if calls.is_empty() {
            return;
        }
        o.array("tool_calls", |a| {
            for (id, name, arguments) in &calls {
                a.object(|o| {
                    o.str("id", id);
                    o.str("type", "function");
                    o.object("function", |o| {
                        o.str("name", name);
                        o.str("arguments", arguments);
                    });
                });
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fitted_and_stay_as_they_came_otherwise() {
        for (number, want) in
            [("1", "0.99"), ("0.5", "0.5"), ("0.990", "0.990"), ("0", "0.01"), ("-3", "0.01")]
        {
            assert_eq!(within(number, "0.01", "0.99"), want);
        }
    }

    #[test]
    fn models_that_never_think_are_known() {
        for (model, want) in [
            ("command-r-plus-08-2024", true),
            ("command-r7b-12-2024", true),
            ("command-a-03-2025", true),
            ("command-a-reasoning-08-2025", false),
            ("command-a-plus-05-2026", false),
            ("north-mini-code-1-0", false),
        ] {
            assert_eq!(never_thinks(model), want, "{model}");
        }
    }
}
