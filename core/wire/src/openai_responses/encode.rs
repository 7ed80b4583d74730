//! The neutral model as a responses request.

use std::collections::HashSet;

use sluicegate_core::openai::{is_reasoning, never_thinks};

use crate::error::{Result, WireError};
use crate::ir::{
    Block, JSON_HINT, JSON_HINT_WHY, Maker, Message, OutputFormat, Request, Role, Source, Tool, ToolChoice,
    ToolKind, WebSearch,
};
use crate::json::{Array, Object, Val, object};
use crate::loss::Losses;
use crate::names::{Names, cut, tool_id};
use crate::openai_chat::{
    NO_LOGPROBS, USER_MAX, custom_names, effort, held, json_schema, parameters, refuse_stored, url_of,
    user_and_tier,
};
use crate::search;

/// The least output ceiling that is taken, in tokens.
// QUIRK(openai, 2026-05, https://platform.openai.com/docs/api-reference/responses/create): 400 below it.
const CEILING_MIN: u64 = 16;

/// How many notes of a call are taken, and how long each and its name may be, in characters.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/api-reference/responses/create): 400 beyond them, and for what is no text.
const NOTES_MAX: usize = 16;
const NOTE_MAX: usize = 512;
const NOTE_NAME_MAX: usize = 64;

/// Encodes a request. `set` is appended as it is.
///
/// # Errors
/// The format has no way to say it: several answers, spoken ones, a ceiling below 16 tokens, a file that lies elsewhere.
pub(crate) fn encode(
    request: &Request,
    set: &[(&str, &str)],
    names: &mut Names,
    losses: &mut Losses,
) -> Result<String> {
    refuse(request)?;
    refuse_stored(request, true)?;
    unsaid(request, losses);
    let skip = |name: &str| set.iter().any(|(set, _)| *set == name);
    let reasons = reasons(request);
    let logprobs = request.logprobs.filter(|_| !is_reasoning(&request.model));
    if request.logprobs != logprobs {
        losses.dropped("logprobs", NO_LOGPROBS);
    }
    let found = search::for_responses(request, losses);
    Ok(object(|o| {
        o.str("model", &request.model);
        instructions(o, request);
        o.array("input", |a| input(a, request, names, losses));
        tools(o, request, found, names, losses);
        if let Some(uses) = found.and_then(|search| search.max_uses) {
            o.num("max_tool_calls", uses);
        }
        if let Some(n) = request.max_output.filter(|_| !skip("max_output_tokens")) {
            o.num("max_output_tokens", n);
        }
        sampling(o, request, losses);
        if let Some(top) = logprobs.and_then(|logprobs| logprobs.top) {
            o.num("top_logprobs", top);
        }
        reasoning(o, request, losses);
        text(o, request, losses);
        user_and_tier(o, request, losses);
        for (name, value) in
            [("prompt_cache_key", &request.cache_key), ("prompt_cache_retention", &request.cache_retention)]
        {
            if let Some(value) = value {
                o.str(name, value);
            }
        }
        safety_id(o, request, losses);
        metadata(o, request, losses);
        // The caller has the conversation; what was thought travels with it, encrypted.
        if !skip("store") {
            o.bool("store", false);
        }
        if (reasons || logprobs.is_some()) && !skip("include") {
            o.array("include", |a| {
                if reasons {
                    a.str("reasoning.encrypted_content");
                }
                if logprobs.is_some() {
                    a.str("message.output_text.logprobs");
                }
            });
        }
        if request.stream {
            o.bool("stream", true);
        }
        set.iter().for_each(|(name, value)| o.raw(name, value));
    }))
}

fn safety_id(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    if let Some(id) = &request.safety_id {
        let short = cut(id, USER_MAX);
        if short != id.as_str() {
            losses.approximated("safety_identifier", "longer than 64 characters: cut, with a hash");
        }
        o.str("safety_identifier", &short);
    }
}

/// What the caller notes of the call, as far as it is taken.
fn metadata(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let mut kept = Vec::new();
    for (name, value) in request.metadata.as_deref().map(Val::trusted).into_iter().flat_map(Val::members) {
        if kept.len() < NOTES_MAX && is_note(&name, value) {
            kept.push((name, value));
        } else {
            let why = "the target takes 16 texts of 512 characters, under names of 64";
            losses.dropped(format!("metadata.{}", cut(&name, NOTE_NAME_MAX)), why);
        }
    }
    if !kept.is_empty() {
        o.object("metadata", |o| kept.iter().for_each(|(name, value)| o.raw(name, value.raw())));
    }
}

fn is_note(name: &str, value: Val<'_>) -> bool {
    let is_text = || value.as_str().is_some_and(|text| text.chars().count() <= NOTE_MAX);
    name.chars().count() <= NOTE_NAME_MAX && is_text()
}

/// Whether the model thinks: those that don't refuse to be asked for what they thought.
fn reasons(request: &Request) -> bool {
    !never_thinks(&request.model) && (is_reasoning(&request.model) || request.reasoning.is_some())
}

fn refuse(request: &Request) -> Result<()> {
    if request.n.is_some_and(|n| n != 1) {
        let message = "`n` above 1 can't be served by an endpoint for responses: send that many calls";
        return Err(WireError::unsupported(message).at("n"));
    }
    if request.pictures {
        let message = "pictures can't be asked for at an endpoint for responses by `modalities`: use its `image_generation` tool in its own format";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    if request.audio.is_some() {
        let message = "audio output can't be served by an endpoint for responses";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    if request.max_output.is_some_and(|max| max < CEILING_MIN) {
        let message = format!("an output ceiling below {CEILING_MIN} tokens can't be served by this model");
        return Err(WireError::unsupported(message).at("max_tokens"));
    }
    Ok(())
}

/// Fields of other formats that say nothing to this one.
fn unsaid(request: &Request, losses: &mut Losses) {
    for (name, is_said) in [
        ("seed", request.seed.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("stop", !request.stop.is_empty()),
    ] {
        if is_said {
            losses.dropped(name, "the target has no place for it");
        }
    }
}

fn instructions(o: &mut Object<'_>, request: &Request) {
    let texts = request.system.iter().map(|s| s.text.as_str()).filter(|s| !s.trim().is_empty());
    let texts: Vec<&str> = texts.collect();
    if !texts.is_empty() {
        o.str("instructions", &texts.join("\n\n"));
    }
}

fn sampling(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    // QUIRK(openai, 2026-05): reasoning models take no sampling parameters.
    let fixed = is_reasoning(&request.model);
    for (name, value) in [("temperature", &request.temperature), ("top_p", &request.top_p)] {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model takes no sampling parameters"),
            Some(value) => o.raw(name, value),
            None => {}
        }
    }
}

fn reasoning(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let effort = effort(request, losses);
    let summary = request.summary.as_deref().filter(|_| reasons(request));
    if effort.is_none() && summary.is_none() {
        return;
    }
    o.object("reasoning", |o| {
        if let Some(effort) = effort {
            o.str("effort", effort);
        }
        if let Some(summary) = summary {
            o.str("summary", summary);
        }
    });
}

fn text(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    if request.format == OutputFormat::Text && request.verbosity.is_none() {
        return;
    }
    o.object("text", |o| {
        match &request.format {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => o.object("format", |o| o.str("type", "json_object")),
            OutputFormat::JsonSchema { .. } => o.object("format", |o| {
                o.str("type", "json_schema");
                json_schema(o, &request.format, losses);
            }),
        }
        if let Some(words) = &request.verbosity {
            o.str("verbosity", words);
        }
    });
}

fn tools(
    o: &mut Object<'_>,
    request: &Request,
    found: Option<&WebSearch>,
    names: &mut Names,
    losses: &mut Losses,
) {
    if request.tools.is_empty() && found.is_none() {
        return;
    }
    o.array("tools", |a| {
        request.tools.iter().for_each(|t| a.object(|o| tool(o, t, names, losses)));
        if let Some(search) = found {
            search::write_responses(a, search);
        }
    });
    let custom: HashSet<&str> = custom_names(&request.tools);
    let named = |o: &mut Object<'_>, name: &str, names: &mut Names| {
        let kind = if custom.contains(name) { ToolKind::Custom } else { ToolKind::Function };
        o.str("type", word(kind));
        o.str("name", &names.shorten(name));
    };
    if !request.allowed_tools.is_empty() {
        let mode = if request.tool_choice == Some(ToolChoice::Required) { "required" } else { "auto" };
        o.object("tool_choice", |o| {
            o.str("type", "allowed_tools");
            o.str("mode", mode);
            o.array("tools", |a| {
                request.allowed_tools.iter().for_each(|name| a.object(|o| named(o, name, names)));
                // One that is still asked for is allowed: others' lists are of functions alone.
                if found.is_some() {
                    a.object(|o| o.str("type", search::NAME));
                }
            });
        });
    } else {
        match &request.tool_choice {
            Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
            Some(ToolChoice::None) => o.str("tool_choice", "none"),
            Some(ToolChoice::Required) => o.str("tool_choice", "required"),
            Some(ToolChoice::Named(name)) => o.object("tool_choice", |o| named(o, name, names)),
            None => {}
        }
    }
    if let Some(parallel) = request.parallel_tools {
        o.bool("parallel_tool_calls", parallel);
    }
}

fn tool(o: &mut Object<'_>, tool: &Tool, names: &mut Names, losses: &mut Losses) {
    o.str("type", word(tool.kind));
    o.str("name", &names.shorten(&tool.name));
    if let Some(description) = &tool.description {
        o.str("description", description);
    }
    match tool.kind {
        ToolKind::Custom => {
            if let Some(format) = &tool.schema {
                o.raw("format", &flat_grammar(format));
            }
        }
        ToolKind::Function => {
            o.raw("parameters", &parameters(tool.schema.as_deref()));
            // Unsaid is strict here, and isn't anywhere else.
            let wanted = tool.strict.unwrap_or(false);
            o.bool("strict", held(wanted, tool.schema.as_deref(), "tools[].strict", losses));
        }
    }
}

fn word(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
    }
}

/// A grammar as this format has it: flat.
fn flat_grammar(format: &str) -> String {
    let v = Val::trusted(format);
    let Some(grammar) = v.get("grammar") else {
        return format.to_owned();
    };
    object(|o| {
        o.str("type", "grammar");
        grammar.members().for_each(|(name, value)| o.raw(&name, value.raw()));
    })
}

fn input(a: &mut Array<'_>, request: &Request, names: &mut Names, losses: &mut Losses) {
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/structured-outputs#json-mode): 400 unless the word stands in
    // the input's messages; the instructions don't count.
    if request.wants_unsaid_json(false) {
        losses.approximated("response_format", JSON_HINT_WHY);
        a.object(|o| {
            o.str("type", "message");
            o.str("role", "system");
            o.array("content", |a| part(a, &Block::text(JSON_HINT), "response_format", losses));
        });
    }
    let mut custom = HashSet::new();
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match turn.role {
            Role::User => user(a, turn, &custom, &path, losses),
            Role::Assistant => {
                for block in &turn.blocks {
                    if let Block::ToolUse { id, kind: ToolKind::Custom, .. } = block {
                        custom.insert(id.as_str());
                    }
                }
                assistant(a, turn, &path, names, losses);
            }
        }
    }
}

/// Results first, then what is left as one message.
fn user(a: &mut Array<'_>, turn: &Message, custom: &HashSet<&str>, path: &str, losses: &mut Losses) {
    let mut rest: Vec<&Block> = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, is_error, .. } => a.object(|o| {
                let custom = custom.contains(id.as_str());
                o.str("type", if custom { "custom_tool_call_output" } else { "function_call_output" });
                o.str("call_id", &tool_id(id));
                if *is_error {
                    losses.approximated(format!("{path}.is_error"), "said in the text of the result");
                }
                output(o, content, *is_error, path, losses);
            }),
            other => rest.push(other),
        }
    }
    if !rest.is_empty() {
        a.object(|o| {
            o.str("type", "message");
            o.str("role", "user");
            o.array("content", |a| rest.iter().for_each(|block| part(a, block, path, losses)));
        });
    }
}

fn output(o: &mut Object<'_>, content: &[Block], is_error: bool, path: &str, losses: &mut Losses) {
    let texts: Option<Vec<&str>> = content
        .iter()
        .map(|block| match block {
            Block::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let lead = if is_error { "error: " } else { "" };
    match texts {
        Some(texts) => o.str("output", &format!("{lead}{}", texts.join("\n"))),
        None => o.array("output", |a| {
            if is_error {
                part(a, &Block::text("error:"), path, losses);
            }
            content.iter().for_each(|block| part(a, block, path, losses));
        }),
    }
}

fn part(a: &mut Array<'_>, block: &Block, path: &str, losses: &mut Losses) {
    match block {
        Block::Text { text, .. } | Block::Document { source: Source::Text(text), .. } => {
            losses.note_title(block, path);
            a.object(|o| {
                o.str("type", "input_text");
                o.str("text", text);
            });
        }
        Block::Image { source, detail, .. } => a.object(|o| {
            o.str("type", "input_image");
            o.str("detail", detail.as_deref().unwrap_or("auto"));
            match source {
                Source::Stored(id) => o.str("file_id", id),
                other => o.str("image_url", &url_of(other)),
            }
        }),
        Block::Document { source, name, .. } => a.object(|o| {
            o.str("type", "input_file");
            match source {
                Source::Stored(id) => o.str("file_id", id),
                Source::Url(url) => o.str("file_url", url),
                other => {
                    o.str("filename", name.as_deref().unwrap_or("document.pdf"));
                    o.str("file_data", &url_of(other));
                }
            }
        }),
        Block::Audio { source: Source::Base64 { media_type, data } } => a.object(|o| {
            o.str("type", "input_audio");
            o.object("input_audio", |o| {
                o.str("data", data);
                o.str("format", crate::openai_chat::audio_format(media_type));
            });
        }),
        _ => losses.dropped(path, "the target has no such content"),
    }
}

fn assistant(a: &mut Array<'_>, turn: &Message, path: &str, names: &mut Names, losses: &mut Losses) {
    // A thought that nothing follows is refused.
    let speaks = |block: &Block| matches!(block, Block::Text { .. } | Block::ToolUse { .. });
    let last = turn.blocks.iter().rposition(speaks);
    for (n, block) in turn.blocks.iter().enumerate() {
        match block {
            // No ids: those of another's answer are none of ours, and they may be left out.
            Block::Text { text, .. } => a.object(|o| {
                o.str("type", "message");
                o.str("role", "assistant");
                o.array("content", |a| {
                    a.object(|o| {
                        o.str("type", "output_text");
                        o.str("text", text);
                    });
                });
            }),
            Block::ToolUse { id, name, kind, input, .. } => a.object(|o| {
                let custom = *kind == ToolKind::Custom;
                o.str("type", if custom { "custom_tool_call" } else { "function_call" });
                o.str("call_id", &tool_id(id));
                o.str("name", &names.shorten(name));
                o.str(if custom { "input" } else { "arguments" }, input);
            }),
            Block::Thinking { text, seal } => {
                match seal.as_ref().and_then(|seal| seal.of(Maker::Openai)).filter(|_| last > Some(n)) {
                    Some(data) => a.object(|o| thought(o, text, data)),
                    None => losses.dropped(
                        format!("{path}.thinking"),
                        "only what this provider has encrypted, and what follows from it, can be sent back",
                    ),
                }
            }
            Block::Redacted { seal } => match seal.of(Maker::Openai).filter(|_| last > Some(n)) {
                Some(data) => a.object(|o| thought(o, "", data)),
                None => losses.dropped(
                    format!("{path}.thinking"),
                    "only what this provider has encrypted, and what follows from it, can be sent back",
                ),
            },
            _ => losses.dropped(path, "the target has no such content in an assistant's turn"),
        }
    }
}

fn thought(o: &mut Object<'_>, text: &str, data: &str) {
    o.str("type", "reasoning");
    o.array("summary", |a| {
        if !text.is_empty() {
            a.object(|o| {
                o.str("type", "summary_text");
                o.str("text", text);
            });
        }
    });
    o.str("encrypted_content", data);
}
