//! The neutral model as a request of Ollama's chat.

use std::collections::HashMap;

use sluicegate_core::ids::own_name;

use crate::error::Result;
use crate::ir::{Block, Effort, Message, OutputFormat, Reasoning, Request, Role, Source, ToolChoice};
use crate::json::{Array, Object, Val, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::plain;
use crate::search;

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
    plain::refuse(request, false)?;
    plain::unsaid(request, losses);
    plain::no_tier(request, losses);
    search::never(request, losses);
    Ok(object(|o| {
        o.str("model", &request.model);
        o.array("messages", |a| messages(a, request, names, losses));
        tools(o, request, names, losses);
        match &request.format {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => o.str("format", "json"),
            OutputFormat::JsonSchema { schema, .. } => o.raw("format", schema),
        }
        think(o, request, losses);
        if let Some(logprobs) = request.logprobs {
            o.bool("logprobs", true);
            if let Some(top) = logprobs.top.filter(|top| *top > 0) {
                o.num("top_logprobs", top);
            }
        }
        // Without the word it streams.
        o.bool("stream", request.stream);
        let own = set.iter().find(|(name, _)| *name == "options").map(|(_, value)| Val::trusted(value));
        let options = object(|o| options(o, request, own));
        if options != "{}" {
            o.raw("options", &options);
        }
        set.iter().filter(|(name, _)| *name != "options").for_each(|(name, value)| o.raw(name, value));
    }))
}

/// What is asked for, and what the channel sets beside it (`num_ctx`): that goes before, but for the output ceiling, which was
/// reserved.
fn options(o: &mut Object<'_>, request: &Request, own: Option<Val<'_>>) {
    let is_ours = |name: &str| match name {
        "num_predict" => request.max_output.is_some(),
        _ => own.is_none_or(|own| own.get(name).is_none()),
    };
    if let Some(n) = request.max_output {
        o.num("num_predict", n);
    }
    for (name, value) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("top_k", &request.top_k),
        ("seed", &request.seed),
        ("presence_penalty", &request.presence_penalty),
        ("frequency_penalty", &request.frequency_penalty),
    ] {
        if let Some(value) = value.as_ref().filter(|_| is_ours(name)) {
            o.raw(name, value);
        }
    }
    if !request.stop.is_empty() && is_ours("stop") {
        o.array("stop", |a| request.stop.iter().for_each(|s| a.str(s)));
    }
    let rest = own.into_iter().flat_map(Val::members);
    rest.filter(|(name, _)| name != "num_predict" || !is_ours(name))
        .for_each(|(name, value)| o.raw(&name, value.raw()));
}

// QUIRK(ollama, 2026-11, https://docs.ollama.com/capabilities/thinking): models think or don't; GPT-OSS knows three levels and
// can't be kept from it.
fn think(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let Some(reasoning) = request.reasoning else { return };
    let name = own_name(&request.model);
    let effort = match reasoning {
        Reasoning::Off => None,
        Reasoning::Effort(effort) => Some(effort),
        Reasoning::Budget(tokens) => {
            losses.approximated("thinking.budget_tokens", "the target has no budgets");
            Some(Effort::of_budget(tokens))
        }
        Reasoning::Adaptive => Some(Effort::Medium),
    };
    if !name.starts_with("gpt-oss") {
        if matches!(reasoning, Reasoning::Effort(_)) {
            losses.approximated("reasoning_effort", "the model thinks, or doesn't");
        }
        return o.bool("think", effort.is_some());
    }
    let word = match effort {
        None => {
            losses.approximated("reasoning_effort", "the model always thinks: as little as it can");
            "low"
        }
        Some(Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) => "medium",
        Some(Effort::High | Effort::Xhigh | Effort::Max) => "high",
    };
    o.str("think", word);
}

fn tools(o: &mut Object<'_>, request: &Request, names: &mut Names, losses: &mut Losses) {
    if request.tools.is_empty() {
        return;
    }
    match &request.tool_choice {
        Some(ToolChoice::None) => {
            return losses.approximated("tool_choice", "tools that may not be called aren't declared");
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            losses.dropped("tool_choice", "the target can't be made to call a tool");
        }
        Some(ToolChoice::Auto) | None => {}
    }
    let offered = plain::offered(request, losses);
    if offered.iter().any(|tool| tool.strict == Some(true)) {
        losses.dropped("tools[].strict", "the target has no place for it");
    }
    o.array("tools", |a| {
        for tool in &offered {
            let name = names.shorten(&tool.name);
            a.object(|o| plain::declare(o, tool, &name, names, losses));
        }
    });
}

fn messages(a: &mut Array<'_>, request: &Request, names: &mut Names, losses: &mut Losses) {
    if let Some(system) = plain::system(request) {
        message(a, "system", &system, |_| {});
    }
    // Results name their function.
    let mut calls: HashMap<&str, &str> = HashMap::new();
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match turn.role {
            Role::User => user(a, turn, &calls, &path, names, losses),
            Role::Assistant => {
                calls.extend(turn.blocks.iter().filter_map(|block| match block {
                    Block::ToolUse { id, name, .. } => Some((id.as_str(), name.as_str())),
                    _ => None,
                }));
                assistant(a, turn, &path, names, losses);
            }
        }
    }
}

fn message(a: &mut Array<'_>, role: &str, content: &str, more: impl FnOnce(&mut Object<'_>)) {
    a.object(|o| {
        o.str("role", role);
        o.str("content", content);
        more(o);
    });
}

/// Tool results first, each a message of its own, then what is left as one user message.
fn user(
    a: &mut Array<'_>,
    turn: &Message,
    calls: &HashMap<&str, &str>,
    path: &str,
    names: &mut Names,
    losses: &mut Losses,
) {
    let mut rest: Vec<&Block> = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, is_error, .. } => {
                let text = plain::result_text(content, *is_error, &mut rest, path, losses);
                message(a, "tool", &text, |o| {
                    if let Some(name) = calls.get(id.as_str()) {
                        o.str("tool_name", &names.shorten(name));
                    }
                    o.str("tool_call_id", id);
                });
            }
            other => rest.push(other),
        }
    }
    if rest.is_empty() {
        return;
    }
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for block in rest {
        match block {
            Block::Text { text, .. } | Block::Document { source: Source::Text(text), .. } => {
                losses.note_title(block, path);
                if !images.is_empty() {
                    losses.approximated(path, "pictures stand beside the text, not in it");
                }
                texts.push(text.as_str());
            }
            Block::Image { source: Source::Base64 { data, .. }, .. } => images.push(data.as_str()),
            _ => losses.dropped(path, "the target has no such content"),
        }
    }
    message(a, "user", &texts.join("\n\n"), |o| {
        if !images.is_empty() {
            o.array("images", |a| images.iter().for_each(|data| a.str(data)));
        }
    });
}

fn assistant(a: &mut Array<'_>, turn: &Message, path: &str, names: &mut Names, losses: &mut Losses) {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for block in &turn.blocks {
        match block {
            Block::Text { text: more, .. } => text.push_str(more),
            Block::ToolUse { id, name, kind, input, .. } => {
                calls.push((id, names.shorten(name), plain::arguments(*kind, input, losses)));
            }
            Block::Thinking { .. } | Block::Redacted { .. } => {
                thoughts.push_str(plain::own_thought(block, path, losses).unwrap_or_default());
            }
            _ => losses.dropped(path, "the target has no such content in an assistant's turn"),
        }
    }
    if text.is_empty() && calls.is_empty() {
        return;
    }
    message(a, "assistant", &text, |o| {
        if !thoughts.is_empty() {
            o.str("thinking", &thoughts);
        }
        if calls.is_empty() {
            return;
        }
        o.array("tool_calls", |a| {
            for (id, name, arguments) in &calls {
                a.object(|o| {
                    o.str("id", id);
                    o.object("function", |o| {
                        o.str("name", name);
                        o.raw("arguments", arguments);
                    });
                });
            }
        });
    });
}
