//! A responses request into the neutral model.

use super::REDACTED;
use crate::error::{Result, WireError};
use crate::ir::{
    Block, Effort, Maker, OutputFormat, Reasoning, Request, Role, Seal, Source, SystemText, Tier, Tool,
    ToolChoice, ToolKind,
};
use crate::json::Val;
use crate::loss::Losses;
use crate::media;
use crate::openai_chat::{detail_of, must_be_parts, must_be_text, nameless, object_or_wrapped};
use crate::search;
use crate::value;

/// Decodes a body that was scanned. Fields named in `skip` are as good as absent.
pub(crate) fn request(body: Val<'_>, skip: &[&str], losses: &mut Losses) -> Result<Request> {
    let mut request = Request::default();
    // They stand before the input, wherever their field does.
    let instructions = body.get("instructions").filter(|_| !skip.contains(&"instructions"));
    must_be_text(instructions, "instructions")?;
    if let Some(text) = instructions.and_then(Val::as_str).filter(|text| !text.trim().is_empty()) {
        request.system.push(SystemText { text: text.into_owned(), cache: None });
    }
    for (name, value) in body.members() {
        if !value.is_null() && !skip.contains(&&*name) {
            field(&mut request, &name, value, losses)?;
        }
    }
    if let Some(choice) = body.get("tool_choice").filter(|_| !skip.contains(&"tool_choice")) {
        allowed_alone(&mut request, choice, losses);
    }
    // It bounds the provider's own tools, of which a search is the one that others have.
    if let Some(calls) = body.get_u64("max_tool_calls").filter(|_| !skip.contains(&"max_tool_calls")) {
        match &mut request.search {
            Some(search) => search.max_uses = Some(calls),
            None => losses.dropped("max_tool_calls", "the target has no such tools"),
        }
    }
    Ok(request)
}

fn field(request: &mut Request, name: &str, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    let number = |losses: &mut Losses| value::number(value, name, losses);
    let text = || value.as_str().map(|s| s.into_owned());
    match name {
        "model" => request.model = text().unwrap_or_default(),
        "input" => input(request, value, losses)?,
        "tools" => {
            request.strict_unsaid = true;
            for (at, tool) in value.elements().enumerate() {
                if tool.get_str("type").is_some_and(|kind| search::is_search(&kind)) {
                    let found = search::of_responses(tool, at, losses)?;
                    search::keep(request, found, at, losses);
                    continue;
                }
                request.tools.extend(tool_of(tool, at, losses)?);
            }
        }
        "tool_choice" => tool_choice(request, value, losses),
        "parallel_tool_calls" => request.parallel_tools = value.as_bool(),
        "max_output_tokens" => request.max_output = value.as_u64(),
        "temperature" => request.temperature = number(losses),
        "top_p" => request.top_p = number(losses),
        "top_logprobs" => request.logprobs.get_or_insert_default().top = value.as_u64(),
        "include" => {
            for wanted in value.elements().filter_map(Val::as_str) {
                match &*wanted {
                    "message.output_text.logprobs" => {
                        request.logprobs.get_or_insert_default();
                    }
                    // Answers that are translated always carry it.
                    "reasoning.encrypted_content" => {}
                    other => losses.dropped(format!("include.{other}"), "the target has no such part"),
                }
            }
        }
        "stream" => request.stream = value.as_bool() == Some(true),
        "user" => request.user = text(),
        "safety_identifier" => request.safety_id = text(),
        "reasoning" => reasoning(request, value, losses),
        "text" => {
            losses.unread(value, name, &["verbosity", "format"]);
            request.verbosity = value.get_str("verbosity").map(|s| s.into_owned());
            request.format = value.get("format").map(|format| format_of(format, losses)).unwrap_or_default();
        }
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
        "prompt_cache_key" => request.cache_key = text(),
        "truncation" if value.as_str().as_deref() != Some("disabled") => {
            losses.dropped(name, "the target doesn't shorten a conversation by itself");
        }
        "previous_response_id" | "conversation" | "prompt" => {
            return Err(WireError::unsupported(format!(
                "`{name}` names something that is stored at another provider: send the conversation in `input`"
            ))
            .at(name));
        }
        // Heard before, ours to keep, or without meaning to anybody else.
        "instructions" | "truncation" | "store" | "metadata" | "stream_options" | "background"
        | "max_tool_calls" => {}
        ours if crate::scan::is_ours(ours) => {}
        other => losses.dropped(other, "the target has no place for it"),
    }
    Ok(())
}

fn reasoning(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    losses.unread(value, "reasoning", &["effort", "summary", "generate_summary"]);
    let summary = value.get_str("summary").or_else(|| value.get_str("generate_summary"));
    request.summary = summary.map(|s| s.into_owned());
    let Some(effort) = value.get_str("effort") else {
        return;
    };
    request.reasoning = match &*effort {
        "none" => Some(Reasoning::Off),
        word => Effort::parse(word).map(Reasoning::Effort),
    };
    if request.reasoning.is_none() {
        losses.dropped("reasoning.effort", "not an effort that we know");
    }
}

fn format_of(value: Val<'_>, losses: &mut Losses) -> OutputFormat {
    losses.unread(value, "text.format", &["type", "name", "description", "schema", "strict"]);
    match value.get_str("type").as_deref() {
        Some("json_object") => OutputFormat::JsonObject,
        Some("json_schema") => OutputFormat::JsonSchema {
            name: value.get_str("name").map(|s| s.into_owned()),
            description: value.get_str("description").map(|s| s.into_owned()),
            schema: value.get("schema").map_or("{}", Val::raw).to_owned(),
            // Unsaid, the format isn't strict.
            strict: Some(value.get("strict").and_then(Val::as_bool) == Some(true)),
        },
        Some("text") => OutputFormat::Text,
        _ => {
            losses.dropped("text.format", "the target has no such form of answers");
            OutputFormat::Text
        }
    }
}

fn tool_of(tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<Tool>> {
    let (kind, taken) = match tool.get_str("type").as_deref() {
        Some("function") => (ToolKind::Function, "parameters"),
        Some("custom") => (ToolKind::Custom, "format"),
        _ => {
            losses.dropped(
                format!("tools[{at}]"),
                "only tools that the caller declares and runs can be translated",
            );
            return Ok(None);
        }
    };
    let known = ["type", "name", "description", "strict", taken];
    losses.unread(tool, &format!("tools[{at}]"), &known);
    let name = tool.get_str("name").ok_or_else(|| nameless(&format!("tools[{at}]")))?;
    Ok(Some(Tool {
        name: name.into_owned(),
        kind,
        description: tool.get_str("description").map(|s| s.into_owned()),
        schema: tool.get(taken).map(|s| s.raw().to_owned()),
        strict: tool.get("strict").and_then(Val::as_bool),
        cache: None,
    }))
}

fn tool_choice(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    let word = |word: &str| match word {
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
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
    match value.get_str("type").as_deref() {
        Some("function" | "custom") => {
            request.tool_choice = value.get_str("name").map(|name| ToolChoice::Named(name.into_owned()));
        }
        Some("allowed_tools") => {
            let tools = value.get("tools").into_iter().flat_map(Val::elements);
            request.allowed_tools =
                tools.filter_map(|tool| tool.get_str("name")).map(|name| name.into_owned()).collect();
            request.tool_choice = value.get_str("mode").as_deref().and_then(word);
        }
        _ => losses.dropped("tool_choice", "the target has no such choice"),
    }
}

/// What a list of allowed tools leaves out, known once the tools are: a search that isn't in it, and functions where none is.
fn allowed_alone(request: &mut Request, choice: Val<'_>, losses: &mut Losses) {
    if choice.get_str("type").as_deref() != Some("allowed_tools") {
        return;
    }
    let tools = || choice.get("tools").into_iter().flat_map(Val::elements);
    let searches = tools().any(|tool| tool.get_str("type").is_some_and(|kind| search::is_search(&kind)));
    let barred = request.search.is_some() && !searches;
    if barred {
        request.search = None;
    }
    let no_function = request.allowed_tools.is_empty() && !request.tools.is_empty();
    if no_function {
        request.tools.clear();
    }
    if barred || no_function {
        losses.approximated("tool_choice", "only the allowed tools are declared");
    }
}

fn input(request: &mut Request, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    if let Some(text) = value.as_str() {
        if !text.trim().is_empty() {
            request.add(Role::User, [Block::text(text)]);
        }
        return Ok(());
    }
    must_be_parts(value, "input")?;
    for (at, element) in value.elements().enumerate() {
        item(request, element, &format!("input[{at}]"), losses)?;
    }
    Ok(())
}

fn item(request: &mut Request, item: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    let text = |name: &str| item.get_str(name).map(|s| s.into_owned());
    let missing = |field: &str| {
        WireError::invalid(format!("`{path}.{field}` is missing")).at(format!("{path}.{field}"))
    };
    let kind = item.get_str("type");
    let known: Option<&[&str]> = match kind.as_deref() {
        None | Some("message") => Some(&["role", "content", "phase"]),
        Some("reasoning") => Some(&["summary", "content", "encrypted_content"]),
        Some("function_call") => Some(&["call_id", "name", "arguments"]),
        Some("custom_tool_call") => Some(&["call_id", "name", "input"]),
        Some("function_call_output" | "custom_tool_call_output") => Some(&["call_id", "output"]),
        // Dropped as a whole, or refused.
        Some(_) => None,
    };
    if let Some(known) = known {
        // A number in the provider's store, and whether it is done, say nothing to another.
        losses.unread(item, path, &[known, &["type", "id", "status"]].concat());
    }
    match kind.as_deref() {
        None if item.get("role").is_none() && item.get("id").is_some() => return Err(reference(path)),
        None | Some("message") => message(request, item, path, losses)?,
        Some("reasoning") => request.add(Role::Assistant, thought(item)),
        Some(kind @ ("function_call" | "custom_tool_call")) => {
            let custom = kind == "custom_tool_call";
            let (kind, input) = match custom {
                true => (ToolKind::Custom, text("input").unwrap_or_default()),
                false => {
                    let arguments = text("arguments").unwrap_or_default();
                    (ToolKind::Function, object_or_wrapped(&arguments, path, losses))
                }
            };
            // The item has an id of its own; results name the call's.
            let id = text("call_id").ok_or_else(|| missing("call_id"))?;
            let name = text("name").ok_or_else(|| missing("name"))?;
            request.add(Role::Assistant, [Block::ToolUse { id, name, kind, input, cache: None }]);
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            let id = text("call_id").ok_or_else(|| missing("call_id"))?;
            let (output, path) = (item.get("output"), format!("{path}.output"));
            let content = parts(output, &path, losses)?;
            request.add(Role::User, [Block::ToolResult { id, content, is_error: false, cache: None }]);
        }
        Some("item_reference") => return Err(reference(path)),
        // Without it the model would answer as if nothing had been said.
        Some("compaction") => {
            let message = format!(
                "`{path}` is a compacted conversation, which its maker alone can read: call a model of the provider that made it, or send what was said itself"
            );
            return Err(WireError::unsupported(message).at(path));
        }
        Some(_) => losses.dropped(path, "items of the provider's own tools have no place in the target"),
    }
    Ok(())
}

/// A reference, which may stand without its type.
fn reference(path: &str) -> WireError {
    WireError::unsupported(format!(
        "`{path}` refers to an item that is stored at another provider: send the item itself"
    ))
    .at(path)
}

/// What was thought: read, sealed, or both.
fn thought(item: Val<'_>) -> Option<Block> {
    let texts = |name: &str| -> Vec<String> {
        let parts = item.get(name).into_iter().flat_map(Val::elements);
        parts.filter_map(|part| part.get_str("text")).map(|text| text.into_owned()).collect()
    };
    let mut said = texts("summary");
    if said.is_empty() {
        said = texts("content");
    }
    let seal = item
        .get_str("encrypted_content")
        .filter(|data| !data.is_empty())
        .map(|data| Seal::read(Maker::Openai, &data));
    let redacted = seal.as_ref().filter(|seal| seal.maker != Maker::Openai);
    if let Some(data) = redacted.and_then(|seal| seal.data.strip_prefix(REDACTED)) {
        let maker = redacted.map_or(Maker::Openai, |seal| seal.maker);
        return Some(Block::Redacted { seal: Seal::new(maker, data) });
    }
    (!said.is_empty() || seal.is_some()).then(|| Block::Thinking { text: said.join("\n\n"), seal })
}

fn message(request: &mut Request, item: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    let role = item.get_str("role").unwrap_or_default();
    let blocks = parts(item.get("content"), &format!("{path}.content"), losses)?;
    match &*role {
        "user" => request.add(Role::User, blocks),
        "assistant" => request.add(Role::Assistant, blocks),
        "system" | "developer" => {
            if blocks.iter().any(|block| !matches!(block, Block::Text { .. })) {
                losses.dropped(format!("{path}.content"), "a system prompt is text");
            }
            let texts = blocks.into_iter().filter_map(|block| match block {
                Block::Text { text, .. } => Some(text),
                _ => None,
            });
            if request.messages.is_empty() {
                request.system.extend(texts.map(|text| SystemText { text, cache: None }));
            } else {
                losses.approximated(path, "a system message after the first turn becomes marked user text");
                let marked = texts.map(|text| Block::text(format!("<system>\n{text}\n</system>")));
                request.add(Role::User, marked.collect::<Vec<_>>());
            }
        }
        other => {
            let message = format!("`{path}.role` is `{other}`: use user, assistant, system or developer");
            return Err(WireError::invalid(message).at(format!("{path}.role")));
        }
    }
    Ok(())
}

/// A string or parts. Blank texts are refused by most targets.
fn parts(content: Option<Val<'_>>, path: &str, losses: &mut Losses) -> Result<Vec<Block>> {
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    if let Some(text) = content.as_str() {
        return Ok(if text.trim().is_empty() { Vec::new() } else { vec![Block::text(text)] });
    }
    must_be_parts(content, path)?;
    let mut blocks = Vec::new();
    for (n, part) in content.elements().enumerate() {
        blocks.extend(part_of(part, &format!("{path}[{n}]"), losses)?);
    }
    Ok(blocks)
}

fn part_of(part: Val<'_>, path: &str, losses: &mut Losses) -> Result<Option<Block>> {
    let text = |name: &str| part.get_str(name).map(|s| s.into_owned());
    let kind = part.get_str("type").unwrap_or_default();
    let known: &[&str] = match &*kind {
        "input_text" | "text" => &["type", "text"],
        "output_text" => &["type", "text", "logprobs", "annotations"],
        "refusal" => &["type", "refusal"],
        "input_image" | "computer_screenshot" => &["type", "detail", "image_url", "file_id"],
        "input_file" => &["type", "file_data", "file_url", "file_id", "filename"],
        _ => &["type", "input_audio"],
    };
    losses.unread(part, path, known);
    match &*kind {
        "input_text" | "output_text" | "text" | "refusal" => {
            let name = if kind == "refusal" { "refusal" } else { "text" };
            must_be_text(part.get(name), &format!("{path}.{name}"))?;
            let said = text(name).unwrap_or_default();
            Ok((!said.trim().is_empty()).then(|| Block::text(said)))
        }
        "input_image" | "computer_screenshot" => {
            let source = match (part.get_str("image_url"), text("file_id")) {
                (Some(url), _) => media::image_source(&url, path, losses)?,
                (None, Some(id)) => Source::Stored(id),
                (None, None) => {
                    let message = format!("`{path}` has neither `image_url` nor `file_id`");
                    return Err(WireError::invalid(message).at(path));
                }
            };
            Ok(Some(Block::Image { source, detail: detail_of(part), cache: None }))
        }
        "input_file" => {
            let source = match (part.get_str("file_data"), text("file_url"), text("file_id")) {
                (Some(data), _, _) => media::document_source(&data, path)?,
                (None, Some(url), _) => Source::Url(url),
                (None, None, Some(id)) => Source::Stored(id),
                (None, None, None) => {
                    let message = format!("`{path}` has neither `file_data`, `file_url` nor `file_id`");
                    return Err(WireError::invalid(message).at(path));
                }
            };
            Ok(Some(Block::Document { source, name: text("filename"), cache: None }))
        }
        "input_audio" => {
            let audio = part.get("input_audio");
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
