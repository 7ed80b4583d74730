//! A chat completions request into the neutral model.

use crate::error::{Result, WireError};
use crate::ir::{
    Block, Effort, Maker, OutputFormat, Reasoning, Request, Role, Seal, Source, SystemText, Tier, Tool,
    ToolChoice, ToolKind,
};
use crate::json::{Kind, Val, object};
use crate::loss::Losses;
use crate::media;
use crate::scan::is_ours_in_metadata;
use crate::search;
use crate::value;

use super::{legacy, thought};

/// Decodes a body that was scanned. Fields named in `skip` are as good as absent.
pub(crate) fn request(body: Val<'_>, skip: &[&str], losses: &mut Losses) -> Result<Request> {
    let mut request = Request::default();
    for (name, value) in body.members() {
        if !value.is_null() && !skip.contains(&&*name) {
            field(&mut request, &name, value, losses)?;
        }
    }
    Ok(request)
}

/// Reads one top-level field that isn't `null`.
pub(crate) fn field(request: &mut Request, name: &str, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    let number = |losses: &mut Losses| value::number(value, name, losses);
    match name {
        "model" => request.model = value.as_str().unwrap_or_default().into_owned(),
        "messages" => messages(request, value, losses)?,
        "tools" => {
            for (at, tool) in value.elements().enumerate() {
                request.tools.extend(tool_of(tool, at, losses)?);
            }
        }
        "parallel_tool_calls" => request.parallel_tools = value.as_bool(),
        "max_tokens" | "max_completion_tokens" => request.max_output = request.max_output.max(value.as_u64()),
        "temperature" => request.temperature = number(losses),
        "top_p" => request.top_p = number(losses),
        // Not OpenAI's own, but understood by many servers of its format.
        "top_k" => request.top_k = number(losses),
        "seed" => request.seed = number(losses),
        "presence_penalty" => request.presence_penalty = number(losses),
        "frequency_penalty" => request.frequency_penalty = number(losses),
        "n" => request.n = value.as_u64(),
        "logprobs" if value.as_bool() == Some(true) => {
            request.logprobs.get_or_insert_default();
        }
        "top_logprobs" => request.logprobs.get_or_insert_default().top = value.as_u64(),
        "verbosity" => request.verbosity = value.as_str().map(|s| s.into_owned()),
        "prompt_cache_key" => request.cache_key = value.as_str().map(|s| s.into_owned()),
        "audio" => request.audio = Some(value.raw().to_owned()),
        "tool_choice" => tool_choice(request, value, losses),
        "stop" => request.stop = value::stops(value, name, losses),
        "stream" => request.stream = value.as_bool() == Some(true),
        "user" => request.user = value.as_str().map(|s| s.into_owned()),
        "safety_identifier" => request.safety_id = value.as_str().map(|s| s.into_owned()),
        "reasoning_effort" => match value.as_str().as_deref() {
            Some("none") => request.reasoning = Some(Reasoning::Off),
            word => match word.and_then(Effort::parse) {
                // A budget says more, and so does a switch that is off.
                Some(effort) => {
                    let said = request.reasoning.filter(|known| *known != Reasoning::Adaptive);
                    request.reasoning = said.or(Some(Reasoning::Effort(effort)));
                }
                None => losses.dropped(name, "not an effort that we know"),
            },
        },
        "thinking" => {
            losses.unread(value, name, &["type", "budget_tokens", "display"]);
            thinking(request, value);
        }
        "response_format" => request.format = format_of(value, losses),
        "service_tier" => {
            request.tier = match value.as_str().as_deref() {
                Some("auto") => Some(Tier::Auto),
                Some("default") => Some(Tier::Standard),
                Some("flex") => Some(Tier::Flex),
                Some("priority") => Some(Tier::Priority),
                _ => None,
            };
            if request.tier.is_none() {
                losses.dropped(name, "the target has no such tier");
            }
        }
        "functions" => legacy::functions(request, value, losses),
        "function_call" => legacy::choice(request, value, losses),
        "modalities" => {
            let asks = |word: &str| value.elements().filter_map(Val::as_str).any(|m| m == word);
            if asks("audio") {
                request.audio.get_or_insert_with(|| "{}".into());
            }
            request.pictures = asks("image");
        }
        // `false` asks for none.
        "web_search_options" if value.kind() == Kind::Object => {
            request.search = search::of_chat(value, losses);
        }
        "stream_options" | "logprobs" => {}
        ours if crate::scan::is_ours(ours) => {}
        "metadata" => {
            let theirs = || value.members().filter(|(name, value)| !is_ours_in_metadata(name, *value));
            let noted = || object(|o| theirs().for_each(|(name, value)| o.raw(&name, value.raw())));
            request.metadata = theirs().next().map(|_| noted());
        }
        "prompt_cache_retention" => request.cache_retention = value.as_str().map(|s| s.into_owned()),
        "store" if value.as_bool() == Some(true) => {
            losses.dropped(name, "an upstream of another format isn't asked to keep anything");
        }
        "store" => {}
        other => losses.dropped(other, "the target has no place for it"),
    }
    Ok(())
}

/// Anthropic's switch, as many servers of this format have it. An effort that was named says more than that it thinks at all.
fn thinking(request: &mut Request, value: Val<'_>) {
    let named = request.reasoning.filter(|known| matches!(known, Reasoning::Effort(_)));
    request.reasoning = match value.get_str("type").as_deref() {
        Some("disabled") => Some(Reasoning::Off),
        Some("adaptive" | "auto") => named.or(Some(Reasoning::Adaptive)),
        _ => value.get_u64("budget_tokens").map(Reasoning::Budget).or(named).or(Some(Reasoning::Adaptive)),
    };
}

fn format_of(value: Val<'_>, losses: &mut Losses) -> OutputFormat {
    losses.unread(value, "response_format", &["type", "json_schema"]);
    if let Some(inner) = value.get("json_schema") {
        losses.unread(inner, "response_format.json_schema", &["name", "description", "schema", "strict"]);
    }
    match value.get_str("type").as_deref() {
        Some("json_object") => OutputFormat::JsonObject,
        Some("json_schema") => {
            let inner = value.get("json_schema");
            OutputFormat::JsonSchema {
                name: inner.and_then(|s| s.get_str("name")).map(|s| s.into_owned()),
                description: inner.and_then(|s| s.get_str("description")).map(|s| s.into_owned()),
                schema: inner.and_then(|s| s.get("schema")).map_or("{}", Val::raw).to_owned(),
                // Unsaid, the format isn't strict.
                strict: Some(inner.and_then(|s| s.get("strict")).and_then(Val::as_bool) == Some(true)),
            }
        }
        Some("text") => OutputFormat::Text,
        _ => {
            losses.dropped("response_format", "the target has no such form of answers");
            OutputFormat::Text
        }
    }
}

/// What a part or a tool says of the prompt cache.
pub(crate) fn cache(v: Val<'_>) -> Option<String> {
    // A null entry is none.
    v.get("cache_control").filter(|c| c.kind() == Kind::Object).map(|c| c.raw().to_owned())
}

fn tool_of(tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<Tool>> {
    let (function, kind) = match (tool.get("function"), tool.get("custom")) {
        (Some(function), _) => (function, ToolKind::Function),
        (None, Some(custom)) => (custom, ToolKind::Custom),
        (None, None) => {
            // As responses have them.
            if let Some(word @ ("function" | "custom")) = tool.get_str("type").as_deref() {
                let path = format!("tools[{at}].{word}");
                let message = format!("`{path}` is missing: put the name and what is beside it there");
                return Err(WireError::invalid(message).at(path));
            }
            losses.dropped(format!("tools[{at}]"), "only tools that the caller runs can be translated");
            return Ok(None);
        }
    };
    let taken = if kind == ToolKind::Custom { "format" } else { "parameters" };
    let word = if kind == ToolKind::Custom { "custom" } else { "function" };
    losses.unread(tool, &format!("tools[{at}]"), &["type", word, "cache_control"]);
    let known = ["name", "description", taken, "strict", "cache_control"];
    losses.unread(function, &format!("tools[{at}].{word}"), &known);
    let name = function.get_str("name").ok_or_else(|| nameless(&format!("tools[{at}].{word}")))?;
    Ok(Some(Tool {
        name: name.into_owned(),
        kind,
        description: function.get_str("description").map(|s| s.into_owned()),
        schema: function.get(taken).map(|s| s.raw().to_owned()),
        strict: function.get("strict").and_then(Val::as_bool),
        cache: cache(tool).or_else(|| cache(function)),
    }))
}

/// A tool without a name.
pub(crate) fn nameless(path: &str) -> WireError {
    let path = format!("{path}.name");
    WireError::invalid(format!("`{path}` is missing: name the tool there")).at(path)
}

fn tool_choice(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    let word = |word: &str| match word {
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        "auto" => Some(ToolChoice::Auto),
        _ => None,
    };
    if let Some(text) = value.as_str() {
        request.tool_choice = word(&text);
        if request.tool_choice.is_none() {
            losses.dropped("tool_choice", "the target has no such choice");
        }
        return;
    }
    let named = value.get("function").or_else(|| value.get("custom"));
    if let Some(name) = named.and_then(|f| f.get_str("name")) {
        request.tool_choice = Some(ToolChoice::Named(name.into_owned()));
        return;
    }
    match value.get("allowed_tools") {
        Some(allowed) => {
            request.allowed_tools = allowed
                .get("tools")
                .into_iter()
                .flat_map(Val::elements)
                .filter_map(|tool| {
                    let named = tool.get("function").or_else(|| tool.get("custom"));
                    named.and_then(|f| f.get_str("name")).or_else(|| tool.get_str("name"))
                })
                .map(|name| name.into_owned())
                .collect();
            request.tool_choice = allowed.get_str("mode").as_deref().and_then(word);
        }
        None => losses.dropped("tool_choice", "the target has no such choice"),
    }
}

fn messages(request: &mut Request, list: Val<'_>, losses: &mut Losses) -> Result<()> {
    let mut open = legacy::Open::default();
    for (at, message) in list.elements().enumerate() {
        let path = format!("messages[{at}]");
        let role = message.get_str("role").unwrap_or_default();
        let content = message.get("content");
        losses.unread(message, &path, known_in(&role));
        // On a result it is the function's, which the call says already.
        if message.get("name").is_some() && !matches!(&*role, "tool" | "function") {
            losses.dropped(format!("{path}.name"), "the target has no names of speakers");
        }
        match &*role {
            "system" | "developer" => system(request, message, &path, losses)?,
            "user" => {
                let mut blocks = parts(content, &path, losses)?;
                mark(&mut blocks, cache(message));
                request.add(Role::User, blocks);
            }
            "assistant" => {
                let mut blocks = assistant(message, &path, losses)?;
                mark(&mut blocks, cache(message));
                let begins = request.messages.last().is_none_or(|last| last.role != Role::Assistant);
                // One that says nothing is no turn.
                if begins && !blocks.is_empty() {
                    open.begin();
                }
                open.add(&blocks);
                request.add(Role::Assistant, blocks);
            }
            "tool" => {
                let id = message.get_str("tool_call_id").ok_or_else(|| {
                    WireError::invalid(format!(
                        "`{path}.tool_call_id` is missing: name the call that it answers"
                    ))
                    .at(path.as_str())
                })?;
                let result = Block::ToolResult {
                    id: id.into_owned(),
                    content: parts(content, &path, losses)?,
                    is_error: false,
                    cache: cache(message),
                };
                request.add(Role::User, [result]);
            }
            "function" => {
                let content = parts(content, &path, losses)?;
                legacy::result(request, &mut open, message, content, &path)?;
            }
            other => {
                let known = "system, developer, user, assistant, tool or function";
                return Err(WireError::invalid(format!("`{path}.role` is `{other}`: use {known}"))
                    .at(format!("{path}.role")));
            }
        }
    }
    Ok(())
}

/// What a message of a role has that is read.
fn known_in(role: &str) -> &'static [&'static str] {
    match role {
        "assistant" => &[
            "role",
            "content",
            "name",
            "cache_control",
            "refusal",
            "annotations",
            "audio",
            "images",
            "function_call",
            "tool_calls",
            "thinking_blocks",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
        ],
        "tool" => &["role", "content", "name", "cache_control", "tool_call_id"],
        _ => &["role", "content", "name", "cache_control"],
    }
}

/// A mark for the prompt cache that stands on a message is one on its last block.
// QUIRK(litellm, 2026-11): its clients write it so.
fn mark(blocks: &mut [Block], mark: Option<String>) {
    let last = blocks.iter_mut().rev().find_map(Block::mark);
    if let (Some(cache @ None), Some(_)) = (last, &mark) {
        *cache = mark;
    }
}

/// The texts of a system prompt: one, or a list of parts.
///
/// # Errors
/// It is neither, or a text in it is none.
pub(crate) fn system_texts(content: Val<'_>, path: &str, losses: &mut Losses) -> Result<Vec<SystemText>> {
    must_be_parts(content, path)?;
    let mut texts: Vec<SystemText> = Vec::new();
    texts.extend(content.as_str().map(|text| SystemText { text: text.into_owned(), cache: None }));
    for (n, part) in content.elements().enumerate() {
        let path = format!("{path}[{n}]");
        must_be_text(part.get("text"), &format!("{path}.text"))?;
        match part.get_str("text") {
            Some(text) => {
                losses.unread(part, &path, &["type", "text", "cache_control"]);
                texts.push(SystemText { text: text.into_owned(), cache: cache(part) });
            }
            None => losses.dropped(path, "a system prompt is text"),
        }
    }
    Ok(texts)
}

/// Leading system texts are the system prompt; later ones become marked user text, where they stand.
fn system(request: &mut Request, message: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    let Some(content) = message.get("content") else {
        return Ok(());
    };
    let mut texts = system_texts(content, &format!("{path}.content"), losses)?;
    texts.retain(|t| !t.text.trim().is_empty());
    if let Some(last) = texts.last_mut().filter(|last| last.cache.is_none()) {
        last.cache = cache(message);
    }
    if request.messages.is_empty() {
        request.system.extend(texts);
        return Ok(());
    }
    losses.approximated(path, "a system message after the first turn becomes marked user text");
    let blocks = texts
        .into_iter()
        .map(|t| Block::Text { text: format!("<system>\n{}\n</system>", t.text), cache: t.cache });
    request.add(Role::User, blocks.collect::<Vec<_>>());
    Ok(())
}

fn assistant(message: Val<'_>, path: &str, losses: &mut Losses) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    // What LiteLLM's clients, and ours, carry back from an Anthropic answer: it must lead the turn.
    for thought in message.get("thinking_blocks").into_iter().flat_map(Val::elements) {
        match thought.get_str("type").as_deref() {
            Some("redacted_thinking") => {
                let seal = thought.get_str("data").map(|data| Seal::read(Maker::Anthropic, &data));
                blocks.extend(seal.map(|seal| Block::Redacted { seal }));
            }
            _ => blocks.push(Block::Thinking {
                text: thought.get_str("thinking").unwrap_or_default().into_owned(),
                seal: thought
                    .get_str("signature")
                    .filter(|s| !s.is_empty())
                    .map(|s| Seal::read(Maker::Anthropic, &s)),
            }),
        }
    }
    if blocks.is_empty() {
        details(message, &mut blocks, losses);
    }
    let plain = ["reasoning_content", "reasoning"].iter().find_map(|name| message.get_str(name));
    if let Some(text) = plain.filter(|text| blocks.is_empty() && !text.is_empty()) {
        blocks.push(Block::Thinking { text: text.into_owned(), seal: None });
    }
    blocks.extend(parts(message.get("content"), path, losses)?);
    if let Some(refusal) = message.get_str("refusal").filter(|text| !text.trim().is_empty()) {
        blocks.push(Block::text(refusal));
    }
    if message.get("images").is_some_and(|images| images.elements().next().is_some()) {
        let why = "pictures of earlier answers aren't sent back: send them in a user's message";
        losses.dropped(format!("{path}.images"), why);
    }
    if message.get("audio").is_some() {
        return Err(WireError::unsupported(format!(
            "the audio of `{path}` is stored at the provider that spoke it: send its transcript as `content`"
        ))
        .at(path));
    }
    if let Some(call) = message.get("function_call") {
        blocks.push(legacy::call(call, path, losses)?);
    }
    for (n, call) in message.get("tool_calls").into_iter().flat_map(Val::elements).enumerate() {
        let call_path = format!("{path}.tool_calls[{n}]");
        let custom = call.get("custom");
        let word = if custom.is_some() { "custom" } else { "function" };
        losses.unread(call, &call_path, &["id", "type", "index", "cache_control", "extra_content", word]);
        let (Some(id), Some(function)) = (call.get_str("id"), call.get("function").or(custom)) else {
            return Err(
                WireError::invalid(format!("`{call_path}` must be a function call with an id")).at(call_path)
            );
        };
        let (kind, input) = match custom {
            Some(custom) => (ToolKind::Custom, custom.get_str("input").unwrap_or_default().into_owned()),
            None => (ToolKind::Function, arguments(function.get("arguments"), &call_path, losses)),
        };
        // Where Gemini's own chat endpoint carries the signature of what follows.
        let signature = call
            .get("extra_content")
            .and_then(|extra| extra.get("google"))
            .and_then(|google| google.get_str("thought_signature"));
        if let Some(signature) = signature {
            let seal = match Seal::read(Maker::Gemini, &signature) {
                seal if seal.maker == Maker::Gemini => Some(seal),
                _ => Some(Seal::new(Maker::Gemini, signature)),
            };
            blocks.push(Block::Thinking { text: String::new(), seal });
        }
        blocks.push(Block::ToolUse {
            id: id.into_owned(),
            name: function.get_str("name").unwrap_or_default().into_owned(),
            kind,
            input,
            cache: cache(call),
        });
    }
    Ok(blocks)
}

/// What OpenRouter's clients carry back: each detail with its maker's seal, which stands beside a thought or behind it.
fn details(message: Val<'_>, blocks: &mut Vec<Block>, losses: &mut Losses) {
    for piece in thought::details(message, losses) {
        match (piece.seal, blocks.last_mut()) {
            (Some(seal), _) if piece.is_closed => blocks.push(Block::Redacted { seal }),
            (Some(found), Some(Block::Thinking { seal: seal @ None, .. })) if piece.text.is_empty() => {
                *seal = Some(found);
            }
            (seal, _) if seal.is_some() || !piece.text.is_empty() => {
                blocks.push(Block::Thinking { text: piece.text.into_owned(), seal });
            }
            _ => {}
        }
    }
}

/// The arguments as an object. Nothing is `{}`; what isn't an object is wrapped, never dropped.
pub(super) fn arguments(value: Option<Val<'_>>, path: &str, losses: &mut Losses) -> String {
    let Some(value) = value else {
        return "{}".into();
    };
    // QUIRK(ollama, 2026-05): an object where OpenAI has a string.
    let text = value.as_str().unwrap_or(value.raw().into());
    object_or_wrapped(&text, path, losses)
}

/// JSON text of an object for what should be one.
pub(crate) fn object_or_wrapped(text: &str, path: &str, losses: &mut Losses) -> String {
    if text.trim().is_empty() {
        return "{}".into();
    }
    match Val::parse(text) {
        Ok(v) if v.kind() == Kind::Object => v.raw().to_owned(),
        _ => {
            losses.approximated(path, "arguments that aren't a JSON object are wrapped as `_raw`");
            crate::json::object(|o| o.str("_raw", text))
        }
    }
}

/// Content that is neither a text nor a list of parts, and text that is none: nothing of it is passed over.
pub(crate) fn must_be_parts(content: Val<'_>, path: &str) -> Result<()> {
    match content.kind() {
        Kind::String | Kind::Array | Kind::Null => Ok(()),
        _ => Err(WireError::invalid(format!("`{path}` must be a string or an array of parts")).at(path)),
    }
}

/// See [`must_be_parts`].
pub(crate) fn must_be_text(text: Option<Val<'_>>, path: &str) -> Result<()> {
    match text.map(Val::kind) {
        None | Some(Kind::String | Kind::Null) => Ok(()),
        Some(_) => Err(WireError::invalid(format!("`{path}` must be a string")).at(path)),
    }
}

fn parts(content: Option<Val<'_>>, path: &str, losses: &mut Losses) -> Result<Vec<Block>> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    if let Some(text) = content.as_str() {
        // Empty and blank texts are refused by the target.
        return Ok(if text.trim().is_empty() { Vec::new() } else { vec![Block::text(text)] });
    }
    must_be_parts(content, &format!("{path}.content"))?;
    let mut blocks = Vec::new();
    for (n, part) in content.elements().enumerate() {
        let path = format!("{path}.content[{n}]");
        blocks.extend(part_of(part, &path, losses)?);
    }
    Ok(blocks)
}

/// How closely a picture is to be looked at, where that isn't left to the model.
pub(crate) fn detail_of(image: Val<'_>) -> Option<String> {
    image.get_str("detail").filter(|detail| detail != "auto").map(|detail| detail.into_owned())
}

fn part_of(part: Val<'_>, path: &str, losses: &mut Losses) -> Result<Option<Block>> {
    let cache = cache(part);
    let kind = part.get_str("type").unwrap_or_default();
    losses.unread(part, path, &["type", "cache_control", &kind]);
    match &*kind {
        // QUIRK(mistral, 2026-11): what its reasoning models have thought stands among the parts.
        "thinking" => {
            let inner = part.get("thinking");
            let whole = inner.and_then(Val::as_str).into_iter();
            let pieces = inner.into_iter().flat_map(Val::elements).filter_map(|piece| piece.get_str("text"));
            let text: String = whole.chain(pieces).collect();
            Ok((!text.is_empty()).then_some(Block::Thinking { text, seal: None }))
        }
        "text" | "refusal" => {
            must_be_text(part.get(&kind), &format!("{path}.{kind}"))?;
            let text = part.get_str(&kind).unwrap_or_default();
            Ok((!text.trim().is_empty()).then(|| Block::Text { text: text.into_owned(), cache }))
        }
        "image_url" => {
            let image = part.get("image_url");
            let url = image.and_then(|i| i.as_str().or_else(|| i.get_str("url"))).unwrap_or_default();
            if let Some(image) = image {
                losses.unread(image, &format!("{path}.image_url"), &["url", "detail"]);
            }
            let detail = image.and_then(detail_of);
            Ok(Some(Block::Image { source: media::image_source(&url, path, losses)?, detail, cache }))
        }
        "file" => {
            let file = part.get("file");
            if let Some(file) = file {
                let known = ["file_data", "file_url", "file_id", "filename"];
                losses.unread(file, &format!("{path}.file"), &known);
            }
            let address = file.and_then(|f| f.get_str("file_data").or_else(|| f.get_str("file_url")));
            let source = match address {
                Some(data) => media::document_source(&data, path)?,
                None => Source::Stored(
                    file.and_then(|f| f.get_str("file_id"))
                        .ok_or_else(|| {
                            WireError::invalid(format!("`{path}.file` has neither `file_data` nor `file_id`"))
                                .at(path)
                        })?
                        .into_owned(),
                ),
            };
            let name = file.and_then(|f| f.get_str("filename")).map(|s| s.into_owned());
            Ok(Some(Block::Document { source, name, cache }))
        }
        "input_audio" => {
            let audio = part.get("input_audio");
            if let Some(audio) = audio {
                losses.unread(audio, &format!("{path}.input_audio"), &["data", "format"]);
            }
            let format = audio.and_then(|a| a.get_str("format")).unwrap_or_default();
            let data = audio.and_then(|a| a.get_str("data")).ok_or_else(|| {
                WireError::invalid(format!("`{path}.input_audio.data` is missing")).at(path)
            })?;
            let media_type = format!("audio/{format}");
            Ok(Some(Block::Audio { source: Source::Base64 { media_type, data: data.into_owned() } }))
        }
        other => Err(media::no_such_part(other, path)),
    }
}
