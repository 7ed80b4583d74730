//! What upstreams have in common that know functions and texts, and little else.

use std::collections::HashSet;

use crate::error::{Result, WireError};
use crate::ir::{Block, OutputFormat, Request, Source, Tier, Tool, ToolChoice, ToolKind};
use crate::json::{Object, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::openai_chat::{TEXT_SCHEMA, custom_description, object_or_wrapped, parameters};

/// What can't be said to such an upstream at all. `urls`: whether it fetches pictures.
///
/// # Errors
/// Nothing is left to say, or the target can't be told it: another channel may serve the call.
pub(crate) fn refuse(request: &Request, urls: bool) -> Result<()> {
    let is_thought = |block: &Block| matches!(block, Block::Thinking { .. } | Block::Redacted { .. });
    let says_nothing = request.messages.iter().flat_map(|turn| &turn.blocks).all(is_thought);
    if says_nothing && request.system.iter().all(|s| s.text.trim().is_empty()) {
        return Err(WireError::invalid("the call has no user or assistant content: add a user message")
            .at("messages"));
    }
    if request.pictures {
        let message = "the upstream's format has no pictures in answers: choose another model";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    if request.audio.is_some() {
        let message = "the upstream's format has no audio output: choose another model";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    if request.n.is_some_and(|n| n > 1) {
        let message = "the upstream's format has one choice: send `n` as 1, or choose another model";
        return Err(WireError::unsupported(message).at("n"));
    }
    for (at, turn) in request.messages.iter().enumerate() {
        let inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        for block in inner {
            let path = format!("messages[{at}]");
            let why = match block {
                Block::Image { source: Source::Stored(_), .. } => {
                    format!("the file of `{path}` is stored at another provider: send it inline")
                }
                Block::Image { source: Source::Url(_), .. } if !urls => {
                    format!("the upstream fetches no pictures: send that of `{path}` inline")
                }
                Block::Document { source, .. } if !matches!(source, Source::Text(_)) => {
                    format!("the upstream reads no files: send the document of `{path}` as text")
                }
                Block::Audio { .. } => {
                    format!("the upstream hears nothing: send the sound of `{path}` as text")
                }
                _ => continue,
            };
            return Err(WireError::unsupported(why).at(path));
        }
    }
    Ok(())
}

/// Fields of other formats that say nothing to such an upstream, nor to Google's.
pub(crate) fn unsaid(request: &Request, losses: &mut Losses) {
    let cached = request.system.iter().any(|s| s.cache.is_some())
        || request.tools.iter().any(|tool| tool.cache.is_some())
        || request.messages.iter().flat_map(|turn| &turn.blocks).any(Block::is_cached);
    if cached {
        losses.dropped("cache_control", "the target caches by itself");
    }
    for (name, is_said) in [
        ("user", request.user.is_some()),
        ("verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("parallel_tool_calls", request.parallel_tools == Some(false)),
        (
            "response_format.json_schema.description",
            matches!(request.format, OutputFormat::JsonSchema { description: Some(_), .. }),
        ),
    ] {
        if is_said {
            losses.dropped(name, "the target has no place for it");
        }
    }
}

/// A tier, where the target has none.
pub(crate) fn no_tier(request: &Request, losses: &mut Losses) {
    if matches!(request.tier, Some(Tier::Flex | Tier::Priority)) {
        losses.dropped("service_tier", "the target has no such tier");
    }
}

/// The tools that may be called: where the target can't be told which of them, they alone are declared.
pub(crate) fn offered<'r>(request: &'r Request, losses: &mut Losses) -> Vec<&'r Tool> {
    let only = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => std::slice::from_ref(name),
        _ => request.allowed_tools.as_slice(),
    };
    let only: HashSet<&str> = only.iter().map(String::as_str).collect();
    let offered = request.tools.iter().filter(|tool| only.is_empty() || only.contains(tool.name.as_str()));
    let offered: Vec<&Tool> = offered.collect();
    if offered.len() < request.tools.len() {
        losses.approximated("tool_choice", "only the tools that may be called are declared");
    }
    offered
}

/// A function as chat completions declare it. One that takes a text takes it as `input` of an object.
pub(crate) fn declare(o: &mut Object<'_>, tool: &Tool, name: &str, names: &mut Names, losses: &mut Losses) {
    o.str("type", "function");
    o.object("function", |o| {
        o.str("name", name);
        if tool.kind == ToolKind::Custom {
            losses.approximated("tools", "a tool that takes a text takes it as `input` of an object");
            names.wrap(name);
            o.str("description", &custom_description(tool));
            return o.raw("parameters", TEXT_SCHEMA);
        }
        if let Some(description) = &tool.description {
            o.str("description", description);
        }
        o.raw("parameters", &parameters(tool.schema.as_deref()));
    });
}

/// What a call was given, as the text of a JSON object.
pub(crate) fn arguments(kind: ToolKind, input: &str, losses: &mut Losses) -> String {
    match kind {
        ToolKind::Custom => object(|o| o.str("input", input)),
        ToolKind::Function => object_or_wrapped(input, "tool_calls[].function.arguments", losses),
    }
}

/// The text of a tool's result; what isn't text goes to `rest`.
pub(crate) fn result_text<'b>(
    content: &'b [Block],
    is_error: bool,
    rest: &mut Vec<&'b Block>,
    path: &str,
    losses: &mut Losses,
) -> String {
    let mut texts = Vec::new();
    for block in content {
        match block {
            Block::Text { text, .. } | Block::Document { source: Source::Text(text), .. } => {
                texts.push(text.as_str());
            }
            media => {
                let why = "media of a tool result follow in a user message";
                losses.approximated(format!("{path}.tool_result"), why);
                rest.push(media);
            }
        }
    }
    let text = texts.join("\n");
    if is_error {
        losses.approximated(format!("{path}.is_error"), "said in the text of the result");
        return format!("error: {text}");
    }
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

/// The system texts in one; `None` when they say nothing.
pub(crate) fn system(request: &Request) -> Option<String> {
    let texts: Vec<&str> =
        request.system.iter().map(|s| s.text.as_str()).filter(|s| !s.trim().is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// A thought as an upstream without seals may have it back: its own had none either.
pub(crate) fn own_thought<'b>(block: &'b Block, path: &str, losses: &mut Losses) -> Option<&'b str> {
    match block {
        Block::Thinking { text, seal: None } if !text.is_empty() => Some(text),
        Block::Thinking { seal: None, .. } => None,
        _ => {
            losses.dropped(format!("{path}.thinking"), "thinking can't be sent to another provider");
            None
        }
    }
}
