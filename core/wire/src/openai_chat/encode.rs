//! The neutral model as a chat completions request.

use std::borrow::Cow;
use std::collections::HashSet;

use sluicegate_core::openai::is_reasoning;

use super::reason::{self, Thought, Thoughts};
use super::strict;
use crate::error::{Result, WireError};
use crate::gemini::is_googles;
use crate::ir::{
    Block, JSON_HINT, JSON_HINT_WHY, Message, OutputFormat, Request, Role, Source, Tier, Tool, ToolChoice,
    ToolKind,
};
use crate::json::{Array, Object, Val, object};
use crate::loss::Losses;
use crate::names::{Names, chat_id, cut};
use crate::search;
use crate::splice::Edits;

/// What a tool that takes a text is declared to take where tools take objects only.
pub(crate) const TEXT_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
/// OpenAI takes at most this many stop sequences.
const STOPS_MAX: usize = 4;
/// Why reasoning models aren't asked for probabilities.
pub(crate) const NO_LOGPROBS: &str = "the model gives no probabilities";
/// And this long a user name, in characters.
pub(crate) const USER_MAX: usize = 64;

/// Encodes a request. `ceiling` is the field for the output ceiling.
///
/// # Errors
/// Nothing is left to say after translation, or a file is stored where the target can't read it.
pub(crate) fn encode(
    request: &Request,
    ceiling: &str,
    edits: &Edits<'_>,
    names: &mut Names,
    losses: &mut Losses,
) -> Result<String> {
    let is_thought = |block: &Block| matches!(block, Block::Thinking { .. } | Block::Redacted { .. });
    let says_nothing = request.messages.iter().flat_map(|turn| &turn.blocks).all(is_thought);
    if says_nothing && request.system.iter().all(|s| s.text.trim().is_empty()) {
        return Err(WireError::invalid("the call has no user or assistant content: add a user message")
            .at("messages"));
    }
    refuse_stored(request, false)?;
    let set = edits.set;
    let how = edits.quirks.and_then(|quirks| quirks.thinking_of(&request.model));
    let thoughts = Thoughts::of(edits.quirks, &request.model);
    let skip = |name: &str| set.iter().any(|(set, _)| *set == name);
    Ok(object(|o| {
        o.str("model", &request.model);
        o.array("messages", |a| messages(a, request, thoughts, names, losses));
        tools(o, request, names, losses);
        search::write_chat(o, request, losses);
        if let Some(n) = request.max_output.filter(|_| !skip(ceiling)) {
            o.num(ceiling, n);
        }
        sampling(o, request, losses);
        reason::write(o, request, how, losses);
        format(o, &request.format, losses);
        user_and_tier(o, request, losses);
        if let Some(words) = &request.verbosity {
            o.str("verbosity", words);
        }
        if let Some(key) = &request.cache_key {
            o.str("prompt_cache_key", key);
        }
        let others = [("image", request.pictures), ("audio", request.audio.is_some())];
        if others.iter().any(|(_, is_wanted)| *is_wanted) {
            let others = others.iter().filter(|(_, is_wanted)| *is_wanted).map(|(word, _)| *word);
            o.array("modalities", |a| ["text"].into_iter().chain(others).for_each(|m| a.str(m)));
        }
        if let Some(audio) = &request.audio {
            o.raw("audio", audio);
        }
        if request.stream {
            o.bool("stream", true);
            // Without it a stream reports no usage.
            if !skip("stream_options") {
                o.object("stream_options", |o| o.bool("include_usage", true));
            }
        }
        set.iter().for_each(|(name, value)| o.raw(name, value));
    }))
}

/// Who asks, and at which tier: as OpenAI's two formats say it.
pub(crate) fn user_and_tier(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    if let Some(user) = &request.user {
        let short = cut(user, USER_MAX);
        if short != user.as_str() {
            losses.approximated("metadata.user_id", "longer than 64 characters: cut, with a hash");
        }
        o.str("user", &short);
    }
    match request.tier {
        Some(Tier::Auto) => o.str("service_tier", "auto"),
        Some(Tier::Standard) => o.str("service_tier", "default"),
        Some(Tier::Flex) => o.str("service_tier", "flex"),
        Some(Tier::Priority) => o.str("service_tier", "priority"),
        None => {}
    }
}

fn sampling(o: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    // QUIRK(openai, 2026-05): reasoning models take no sampling parameters.
    let fixed = is_reasoning(&request.model);
    for (name, value) in [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("presence_penalty", &request.presence_penalty),
        ("frequency_penalty", &request.frequency_penalty),
    ] {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model takes no sampling parameters"),
            Some(value) => o.raw(name, value),
            None => {}
        }
    }
    if let Some(seed) = &request.seed {
        o.raw("seed", seed);
    }
    if let Some(n) = request.n {
        o.num("n", n);
    }
    if request.logprobs.is_some() && fixed {
        losses.dropped("logprobs", NO_LOGPROBS);
    } else if let Some(logprobs) = request.logprobs {
        o.bool("logprobs", true);
        if let Some(top) = logprobs.top {
            o.num("top_logprobs", top);
        }
    }
    if let Some(top_k) = &request.top_k {
        o.raw("top_k", top_k);
    }
    if !request.stop.is_empty() && fixed {
        losses.dropped("stop", "the model takes no stop sequences");
    } else if !request.stop.is_empty() {
        if request.stop.len() > STOPS_MAX {
            losses.dropped(format!("stop_sequences[{STOPS_MAX}..]"), "the target takes four");
        }
        o.array("stop", |a| request.stop.iter().take(STOPS_MAX).for_each(|s| a.str(s)));
    }
}

/// Refuses files that only another provider can read. `images`: whether the target knows images by an id.
///
/// # Errors
/// There is one: another channel may read it.
pub(crate) fn refuse_stored(request: &Request, images: bool) -> Result<()> {
    for (at, turn) in request.messages.iter().enumerate() {
        let inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        for block in inner {
            let refused = match block {
                Block::Image { source: Source::Stored(id), .. } => !images || is_googles(id),
                Block::Document { source: Source::Stored(id), .. } => is_googles(id),
                _ => false,
            };
            if refused {
                let path = format!("messages[{at}]");
                let why = format!("the file of `{path}` is stored at another provider: send it inline");
                return Err(WireError::unsupported(why).at(path));
            }
        }
    }
    Ok(())
}

fn format(o: &mut Object<'_>, format: &OutputFormat, losses: &mut Losses) {
    match format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => o.object("response_format", |o| o.str("type", "json_object")),
        OutputFormat::JsonSchema { .. } => o.object("response_format", |o| {
            o.str("type", "json_schema");
            o.object("json_schema", |o| json_schema(o, format, losses));
        }),
    }
}

/// A schema for the answer, as OpenAI's two formats name it.
pub(crate) fn json_schema(o: &mut Object<'_>, format: &OutputFormat, losses: &mut Losses) {
    let OutputFormat::JsonSchema { name, description, schema, strict } = format else { return };
    o.str("name", name.as_deref().unwrap_or("response"));
    if let Some(description) = description {
        o.str("description", description);
    }
    o.raw("schema", schema);
    o.bool("strict", strict::held(strict.unwrap_or(true), Some(schema), "response_format.strict", losses));
}

/// Whether the model takes tools that take a text.
// QUIRK(openai, 2026-05, https://platform.openai.com/docs/guides/function-calling#custom-tools): from GPT-5 on; other
// servers of this format refuse the word.
fn takes_custom(model: &str) -> bool {
    model.rsplit('/').next().is_some_and(|name| name.starts_with("gpt-5"))
}

/// The kind that a tool has for that model.
fn kind_for(model: &str, kind: ToolKind) -> ToolKind {
    if takes_custom(model) { kind } else { ToolKind::Function }
}

/// What a tool that takes a text is for, with what the text must be like: its schema can't say it.
pub(crate) fn custom_description(tool: &Tool) -> String {
    let mut said = tool.description.clone().unwrap_or_default();
    // The wrapped and the flat form of a grammar.
    let format = tool.schema.as_deref().map(Val::trusted);
    let grammar = format.and_then(|f| f.get("grammar").or(Some(f)));
    if let Some(definition) = grammar.and_then(|g| g.get_str("definition")) {
        let syntax = grammar.and_then(|g| g.get_str("syntax")).unwrap_or_default();
        if !said.is_empty() {
            said.push_str("\n\n");
        }
        said.push_str(&format!("`input` must match this {syntax} grammar:\n{definition}"));
    }
    said
}

fn tools(o: &mut Object<'_>, request: &Request, names: &mut Names, losses: &mut Losses) {
    if request.tools.is_empty() {
        return;
    }
    o.array("tools", |a| {
        for tool in &request.tools {
            a.object(|o| self::tool(o, tool, request, names, losses));
        }
    });
    let custom = custom_names(&request.tools);
    if !request.allowed_tools.is_empty() {
        let mode = if request.tool_choice == Some(ToolChoice::Required) { "required" } else { "auto" };
        o.object("tool_choice", |o| {
            o.str("type", "allowed_tools");
            o.object("allowed_tools", |o| {
                o.str("mode", mode);
                o.array("tools", |a| {
                    let allowed = request.allowed_tools.iter();
                    allowed.for_each(|name| a.object(|o| named(o, &custom, &request.model, name, names)));
                });
            });
        });
    }
    match request.tool_choice.as_ref().filter(|_| request.allowed_tools.is_empty()) {
        Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
        Some(ToolChoice::None) => o.str("tool_choice", "none"),
        Some(ToolChoice::Required) => o.str("tool_choice", "required"),
        Some(ToolChoice::Named(name)) => {
            o.object("tool_choice", |o| named(o, &custom, &request.model, name, names));
        }
        None => {}
    }
    if let Some(parallel) = request.parallel_tools {
        o.bool("parallel_tool_calls", parallel);
    }
}

fn tool(o: &mut Object<'_>, tool: &Tool, request: &Request, names: &mut Names, losses: &mut Losses) {
    if tool.kind == ToolKind::Custom && !takes_custom(&request.model) {
        losses.approximated("tools", "a tool that takes a text takes it as `input` of an object");
        let name = names.shorten(&tool.name);
        names.wrap(&name);
        o.str("type", "function");
        o.object("function", |o| {
            o.str("name", &name);
            o.str("description", &custom_description(tool));
            o.raw("parameters", TEXT_SCHEMA);
        });
        return mark(o, tool.cache.as_deref());
    }
    let described = |o: &mut Object<'_>, names: &mut Names| {
        o.str("name", &names.shorten(&tool.name));
        if let Some(description) = &tool.description {
            o.str("description", description);
        }
    };
    o.str("type", word(tool.kind));
    match tool.kind {
        ToolKind::Custom => o.object("custom", |o| {
            described(o, names);
            if let Some(format) = &tool.schema {
                o.raw("format", &nested_grammar(format));
            }
        }),
        ToolKind::Function => o.object("function", |o| {
            described(o, names);
            o.raw("parameters", &strict::parameters(tool.schema.as_deref()));
            let said = tool
                .strict
                .map(|wanted| strict::held(wanted, tool.schema.as_deref(), "tools[].strict", losses));
            if let Some(strict) = said.or_else(|| strict_unsaid(tool, request, losses)) {
                o.bool("strict", strict);
            }
        }),
    }
    mark(o, tool.cache.as_deref());
}

/// A mark for the prompt cache: only where the provider takes them there still are any.
fn mark(o: &mut Object<'_>, mark: Option<&str>) {
    if let Some(mark) = mark {
        o.raw("cache_control", mark);
    }
}

/// A text as the content of a message: as it is, or as a part that has a mark.
fn content(o: &mut Object<'_>, text: &str, mark: Option<&str>) {
    match mark {
        None => o.str("content", text),
        Some(_) => o.array("content", |a| text_part(a, text, mark)),
    }
}

fn text_part(a: &mut Array<'_>, text: &str, mark: Option<&str>) {
    a.object(|o| {
        o.str("type", "text");
        o.str("text", text);
        self::mark(o, mark);
    });
}

/// What a function is that doesn't say whether it is strict, where the caller's format takes it for so.
fn strict_unsaid(tool: &Tool, request: &Request, losses: &mut Losses) -> Option<bool> {
    if !request.strict_unsaid {
        return None;
    }
    let qualifies = tool.schema.as_deref().is_some_and(strict::qualifies);
    if !qualifies {
        losses.approximated(
            "tools[].strict",
            "unsaid is strict in the caller's format: the schema can't be so here",
        );
    }
    qualifies.then_some(true)
}

/// A grammar as this format has it: in an object of its own.
fn nested_grammar(format: &str) -> String {
    let v = Val::trusted(format);
    if v.get_str("type").as_deref() != Some("grammar") || v.get("grammar").is_some() {
        return format.to_owned();
    }
    object(|o| {
        o.str("type", "grammar");
        o.object("grammar", |o| {
            let inner = v.members().filter(|(name, _)| name != "type");
            inner.for_each(|(name, value)| o.raw(&name, value.raw()));
        });
    })
}

/// The names of the tools that take a text.
pub(crate) fn custom_names(tools: &[Tool]) -> HashSet<&str> {
    tools.iter().filter(|tool| tool.kind == ToolKind::Custom).map(|tool| tool.name.as_str()).collect()
}

/// A tool as choices name it.
fn named(o: &mut Object<'_>, custom: &HashSet<&str>, model: &str, name: &str, names: &mut Names) {
    let kind = if custom.contains(name) { ToolKind::Custom } else { ToolKind::Function };
    let kind = word(kind_for(model, kind));
    o.str("type", kind);
    o.object(kind, |o| o.str("name", &names.shorten(name)));
}

fn word(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
    }
}

fn messages(
    a: &mut Array<'_>,
    request: &Request,
    thoughts: Thoughts,
    names: &mut Names,
    losses: &mut Losses,
) {
    let said = request.system.iter().filter(|s| !s.text.trim().is_empty());
    let mut system: Vec<(&str, Option<&str>)> = said.map(|s| (s.text.as_str(), s.cache.as_deref())).collect();
    // QUIRK(openai, 2026-11, https://platform.openai.com/docs/guides/structured-outputs#json-mode): 400 without the word, at
    // DeepSeek as well.
    if request.wants_unsaid_json(true) && !request.system_says_json() {
        losses.approximated("response_format", JSON_HINT_WHY);
        system.push((JSON_HINT, None));
    }
    // `developer` is refused by many servers of this format; all take `system`.
    if system.iter().any(|(_, mark)| mark.is_some()) {
        // Who joins parts puts nothing between them.
        let last = system.len().saturating_sub(1);
        message(a, "system", |o| {
            o.array("content", |a| {
                for (at, (text, mark)) in system.iter().enumerate() {
                    let apart =
                        if at < last { Cow::Owned(format!("{text}\n\n")) } else { Cow::Borrowed(*text) };
                    text_part(a, &apart, *mark);
                }
            });
        });
    } else if !system.is_empty() {
        let texts: Vec<&str> = system.iter().map(|(text, _)| *text).collect();
        message(a, "system", |o| o.str("content", &texts.join("\n\n")));
    }
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match turn.role {
            Role::User => user(a, turn, &path, losses),
            Role::Assistant => {
                let thought = thoughts.text_of(turn, &path, losses);
                assistant(a, turn, (request.model.as_str(), thought), &path, names, losses);
            }
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
fn user(a: &mut Array<'_>, turn: &Message, path: &str, losses: &mut Losses) {
    let mut rest: Vec<&Block> = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, is_error, cache } => {
                tool_result(a, (id, cache.as_deref()), content, *is_error, &mut rest, path, losses)
            }
            other => rest.push(other),
        }
    }
    match rest.as_slice() {
        [] => {}
        [Block::Text { text, cache }] => message(a, "user", |o| content(o, text, cache.as_deref())),
        several => message(a, "user", |o| {
            o.array("content", |a| several.iter().for_each(|block| part(a, block, path, losses)))
        }),
    }
}

fn tool_result<'b>(
    a: &mut Array<'_>,
    (id, mark): (&str, Option<&str>),
    blocks: &'b [Block],
    is_error: bool,
    rest: &mut Vec<&'b Block>,
    path: &str,
    losses: &mut Losses,
) {
    let mut text = String::new();
    if is_error {
        losses.approximated(format!("{path}.is_error"), "said in the text of the result");
        text.push_str("error: ");
    }
    let mut first = true;
    for block in blocks {
        match block {
            Block::Text { text: more, .. } => {
                if !std::mem::take(&mut first) {
                    text.push('\n');
                }
                text.push_str(more);
            }
            // A tool message is text: media follow in a user message.
            media => {
                losses.approximated(
                    format!("{path}.tool_result"),
                    "media of a tool result follow in a user message",
                );
                rest.push(media);
            }
        }
    }
    message(a, "tool", |o| {
        o.str("tool_call_id", &chat_id(id));
        // Some servers refuse an empty content.
        content(o, if text.is_empty() { "(empty)" } else { &text }, mark);
    });
}

fn part(a: &mut Array<'_>, block: &Block, path: &str, losses: &mut Losses) {
    match block {
        Block::Text { text, cache } | Block::Document { source: Source::Text(text), cache, .. } => {
            losses.note_title(block, path);
            text_part(a, text, cache.as_deref());
        }
        Block::Image { source, detail, cache } => a.object(|o| {
            o.str("type", "image_url");
            o.object("image_url", |o| {
                o.str("url", &url_of(source));
                if let Some(word) = detail.as_deref().and_then(|said| detail_word(said, path, losses)) {
                    o.str("detail", word);
                }
            });
            mark(o, cache.as_deref());
        }),
        Block::Document { source: source @ Source::Base64 { .. }, name, cache } => a.object(|o| {
            o.str("type", "file");
            o.object("file", |o| {
                o.str("filename", name.as_deref().unwrap_or("document.pdf"));
                o.str("file_data", &url_of(source));
            });
            mark(o, cache.as_deref());
        }),
        Block::Document { source: Source::Stored(id), cache, .. } => a.object(|o| {
            o.str("type", "file");
            o.object("file", |o| o.str("file_id", id));
            mark(o, cache.as_deref());
        }),
        Block::Audio { source: Source::Base64 { media_type, data } } => a.object(|o| {
            o.str("type", "input_audio");
            o.object("input_audio", |o| {
                o.str("data", data);
                o.str("format", audio_format(media_type));
            });
        }),
        Block::Document { source: Source::Url(_), .. } => {
            losses.dropped(path, "the target takes no documents by address")
        }
        _ => losses.dropped(path, "the target has no such content"),
    }
}

/// How closely a picture is to be looked at, in a word that chat completions have. Unsaid is `auto`.
// QUIRK(openai, 2026-11, https://platform.openai.com/docs/api-reference/chat/create): 400 for others, which responses take.
fn detail_word(said: &str, path: &str, losses: &mut Losses) -> Option<&'static str> {
    let place = || format!("{path}.detail");
    match said {
        "low" => Some("low"),
        "high" => Some("high"),
        "original" => {
            losses.approximated(place(), "the target's closest look is `high`");
            Some("high")
        }
        _ => {
            losses.dropped(place(), "the target has no such word");
            None
        }
    }
}

/// The word for a media type of audio: `mp3` for `audio/mpeg`, `wav` for `audio/x-wav`.
pub(crate) fn audio_format(media_type: &str) -> &str {
    match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    }
}

pub(crate) fn url_of(source: &Source) -> String {
    match source {
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        Source::Url(url) | Source::Text(url) | Source::Stored(url) => url.clone(),
    }
}

fn assistant(
    a: &mut Array<'_>,
    turn: &Message,
    (model, thought): (&str, Thought),
    path: &str,
    names: &mut Names,
    losses: &mut Losses,
) {
    let mut text = thought.in_text;
    let mut calls = Vec::new();
    let mut marked: Option<&str> = None;
    for block in &turn.blocks {
        match block {
            Block::Text { text: more, cache } => {
                text.push_str(more);
                marked = cache.as_deref().or(marked);
            }
            Block::ToolUse { id, name, kind: ToolKind::Custom, input, .. } if !takes_custom(model) => {
                let wrapped = object(|o| o.str("input", input));
                calls.push((id, names.shorten(name), ToolKind::Function, Cow::Owned(wrapped)));
            }
            Block::ToolUse { id, name, kind, input, .. } => {
                calls.push((id, names.shorten(name), *kind, Cow::Borrowed(input.as_str())));
            }
            Block::Thinking { .. } | Block::Redacted { .. } => {}
            _ => losses.dropped(path, "the target has no such content in an assistant's turn"),
        }
    }
    let of_call = turn.blocks.iter().rev().find_map(|block| match block {
        Block::ToolUse { cache, .. } => cache.as_deref(),
        _ => None,
    });
    match of_call {
        None => {}
        Some(_) if text.is_empty() => {
            losses.dropped(format!("{path}.cache_control"), "a call has no place for it");
        }
        Some(_) if marked.is_some() => {}
        Some(mark) => {
            losses.approximated(
                format!("{path}.cache_control"),
                "a call has no place for it: the text before it has",
            );
            marked = Some(mark);
        }
    }
    if text.is_empty() && calls.is_empty() {
        return;
    }
    message(a, "assistant", |o| {
        match text.as_str() {
            "" => o.opt_str("content", None),
            text => content(o, text, marked),
        }
        if let Some(thought) = &thought.apart {
            o.str("reasoning_content", thought);
        }
        if calls.is_empty() {
            return;
        }
        o.array("tool_calls", |a| {
            for (id, name, kind, input) in &calls {
                a.object(|o| {
                    o.str("id", &chat_id(id));
                    o.str("type", word(*kind));
                    o.object(word(*kind), |o| {
                        o.str("name", name);
                        o.str(if *kind == ToolKind::Custom { "input" } else { "arguments" }, input);
                    });
                });
            }
        });
    });
}
