//! A messages request into the neutral model.

use crate::error::{Result, WireError};
use crate::ir::{
    Block, Effort, Maker, OutputFormat, Reasoning, Request, Role, Seal, Source, SystemText, Tier, Tool,
    ToolChoice, ToolKind,
};
use crate::json::Val;
use crate::loss::Losses;
use crate::openai_chat::{cache, must_be_parts, must_be_text, nameless, system_texts};
use crate::scan::is_ours_in_metadata;
use crate::search;
use crate::value;

/// Decodes a body that was scanned. Fields named in `skip` are as good as absent.
pub(crate) fn request(body: Val<'_>, skip: &[&str], losses: &mut Losses) -> Result<Request> {
    let mut request = Request::default();
    for (name, value) in body.members() {
        if !value.is_null() && !skip.contains(&&*name) {
            field(&mut request, &name, value, losses)?;
        }
    }
    let is_search = |choice: &ToolChoice| matches!(choice, ToolChoice::Named(name) if name == search::NAME);
    let declared = request.tools.iter().any(|tool| tool.name == search::NAME);
    if request.search.is_some() && !declared && request.tool_choice.as_ref().is_some_and(is_search) {
        request.tool_choice = None;
        losses.dropped("tool_choice", "the target can't be told to search");
    }
    Ok(request)
}

fn field(request: &mut Request, name: &str, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    let number = |losses: &mut Losses| value::number(value, name, losses);
    match name {
        "model" => request.model = value.as_str().unwrap_or_default().into_owned(),
        "messages" => messages(request, value, losses)?,
        "system" => system(request, value, losses)?,
        "max_tokens" => request.max_output = value.as_u64(),
        "temperature" => request.temperature = number(losses),
        "top_p" => request.top_p = number(losses),
        "top_k" => request.top_k = number(losses),
        "stop_sequences" => request.stop = value::stops(value, name, losses),
        "stream" => request.stream = value.as_bool() == Some(true),
        "tools" => {
            for (at, tool) in value.elements().enumerate() {
                if tool.get_str("type").is_some_and(|kind| search::is_search(&kind)) {
                    let found = search::of_anthropic(tool, at, losses)?;
                    search::keep(request, found, at, losses);
                    continue;
                }
                request.tools.extend(tool_of(tool, at, losses)?);
            }
        }
        "tool_choice" => {
            losses.unread(value, name, &["type", "name", "disable_parallel_tool_use"]);
            request.tool_choice = match value.get_str("type").as_deref() {
                Some("any") => Some(ToolChoice::Required),
                Some("none") => Some(ToolChoice::None),
                Some("tool") => value.get_str("name").map(|name| ToolChoice::Named(name.into_owned())),
                Some("auto") => Some(ToolChoice::Auto),
                _ => {
                    losses.approximated(name, "the target has no such choice: `auto`");
                    Some(ToolChoice::Auto)
                }
            };
            let alone = value.get("disable_parallel_tool_use").and_then(Val::as_bool);
            request.parallel_tools = alone.map(|alone| !alone);
        }
        "thinking" => thinking(request, value, losses),
        "output_config" => output_config(request, value, losses),
        "metadata" => {
            request.user = value.get_str("user_id").map(|s| s.into_owned());
            let theirs = |name: &str, value| name != "user_id" && !is_ours_in_metadata(name, value);
            for (other, _) in value.members().filter(|(name, value)| theirs(name, *value)) {
                losses.dropped(format!("metadata.{other}"), "the target has no place for it");
            }
        }
        "service_tier" => {
            request.tier = if value.as_str().as_deref() == Some("standard_only") {
                Some(Tier::Standard)
            } else {
                Some(Tier::Auto)
            };
        }
        ours if crate::scan::is_ours(ours) => {}
        other => losses.dropped(other, "the target has no place for it"),
    }
    Ok(())
}

/// The loss of an effort beside a budget, or beside no thinking at all.
const EFFORT: &str = "output_config.effort";
const NO_EFFORT: &str = "`thinking` says how much to think: the target has no effort besides";

fn thinking(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    losses.unread(value, "thinking", &["type", "budget_tokens", "display"]);
    let kind = value.get_str("type");
    let shown = value.get_str("display").is_none_or(|display| display != "omitted");
    request.summary = (kind.as_deref() != Some("disabled") && shown).then(|| "auto".to_owned());
    let effort = request.reasoning.filter(|known| matches!(known, Reasoning::Effort(_)));
    let said = match kind.as_deref() {
        Some("disabled") => Some(Reasoning::Off),
        Some("adaptive") => None,
        _ => value.get_u64("budget_tokens").map(Reasoning::Budget),
    };
    if said.is_some() && effort.is_some() {
        losses.dropped(EFFORT, NO_EFFORT);
    }
    // An effort that was named is more than "as it sees fit".
    request.reasoning = said.or(effort).or(Some(Reasoning::Adaptive));
}

fn output_config(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    for (name, value) in value.members() {
        match &*name {
            "effort" => {
                let effort = value.as_str().as_deref().and_then(Effort::parse).map(Reasoning::Effort);
                match (effort, request.reasoning) {
                    (None, _) => losses.dropped(EFFORT, "not an effort that we know"),
                    (effort, None | Some(Reasoning::Adaptive)) => request.reasoning = effort,
                    _ => losses.dropped(EFFORT, NO_EFFORT),
                }
            }
            "format" if value.get_str("type").as_deref() == Some("json_schema") => {
                let schema = value.get("schema").map_or("{}", Val::raw).to_owned();
                request.format =
                    OutputFormat::JsonSchema { name: None, description: None, schema, strict: None };
            }
            other => losses.dropped(format!("output_config.{other}"), "the target has no place for it"),
        }
    }
}

fn system(request: &mut Request, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    let mut texts = system_texts(value, "system", losses)?;
    // QUIRK(claude code, 2026-05): its first system text is a billing header that changes with each request and would
    // spoil the prompt cache of any other provider; it says nothing to a model.
    texts.retain(|s| !s.text.starts_with("x-anthropic-billing-header"));
    // Before those that lead the messages.
    request.system.splice(0..0, texts);
    Ok(())
}

fn tool_of(tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<Option<Tool>> {
    if tool.get_str("type").is_some_and(|kind| kind != "custom") {
        losses
            .dropped(format!("tools[{at}]"), "only tools that the caller runs by a schema can be translated");
        return Ok(None);
    }
    let known = ["type", "name", "description", "input_schema", "strict", "cache_control"];
    losses.unread(tool, &format!("tools[{at}]"), &known);
    let name = tool.get_str("name").ok_or_else(|| nameless(&format!("tools[{at}]")))?;
    Ok(Some(Tool {
        name: name.into_owned(),
        kind: ToolKind::Function,
        description: tool.get_str("description").map(|s| s.into_owned()),
        schema: tool.get("input_schema").map(|s| s.raw().to_owned()),
        strict: tool.get("strict").and_then(Val::as_bool),
        cache: cache(tool),
    }))
}

fn messages(request: &mut Request, list: Val<'_>, losses: &mut Losses) -> Result<()> {
    for (at, message) in list.elements().enumerate() {
        let path = format!("messages[{at}]");
        let role = message.get_str("role").unwrap_or_default();
        losses.unread(message, &path, &["role", "content"]);
        let blocks = match message.get("content") {
            Some(content) => blocks(content, &path, losses)?,
            None => Vec::new(),
        };
        match &*role {
            "user" => request.add(Role::User, blocks),
            "assistant" => request.add(Role::Assistant, blocks),
            // Some models take system messages between the turns.
            "system" if request.messages.is_empty() => {
                if blocks.iter().any(|block| !matches!(block, Block::Text { .. })) {
                    losses.dropped(format!("{path}.content"), "a system prompt is text");
                }
                request.system.extend(blocks.into_iter().filter_map(|block| match block {
                    Block::Text { text, cache } => Some(SystemText { text, cache }),
                    _ => None,
                }));
            }
            "system" => {
                losses.approximated(path, "a system message after the first turn becomes marked user text");
                let marked = blocks.into_iter().map(|block| match block {
                    Block::Text { text, cache } => {
                        Block::Text { text: format!("<system>\n{text}\n</system>"), cache }
                    }
                    other => other,
                });
                request.add(Role::User, marked.collect::<Vec<_>>());
            }
            other => {
                let message = format!("`{path}.role` is `{other}`: use user or assistant");
                return Err(WireError::invalid(message).at(format!("{path}.role")));
            }
        }
    }
    Ok(())
}

fn blocks(content: Val<'_>, path: &str, losses: &mut Losses) -> Result<Vec<Block>> {
    if let Some(text) = content.as_str() {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Block::text(text)] });
    }
    must_be_parts(content, &format!("{path}.content"))?;
    let mut found = Vec::new();
    for (n, block) in content.elements().enumerate() {
        let path = format!("{path}.content[{n}]");
        match block.get_str("type").as_deref() {
            Some("document") => document(&mut found, block, &path, losses)?,
            Some("search_result") => search_result(&mut found, block, &path, losses)?,
            _ => found.extend(block_of(block, &path, losses)?),
        }
    }
    Ok(found)
}

/// The content of a tool result. It holds no results of its own.
// BOUND: every level of nesting reads its content again; this keeps it at two.
fn result_blocks(content: Val<'_>, path: &str, losses: &mut Losses) -> Result<Vec<Block>> {
    let nested = |block: Val<'_>| block.get_str("type").as_deref() == Some("tool_result");
    if content.elements().any(nested) {
        return Err(WireError::invalid(format!("`{path}` holds a tool result inside a tool result")).at(path));
    }
    blocks(content, path, losses)
}

fn block_of(block: Val<'_>, path: &str, losses: &mut Losses) -> Result<Option<Block>> {
    let cache = cache(block);
    let text_of = |name: &str| block.get_str(name).map(|s| s.into_owned());
    note_unread(block, path, losses);
    Ok(match block.get_str("type").as_deref() {
        Some("text") => {
            must_be_text(block.get("text"), &format!("{path}.text"))?;
            text_of("text").filter(|text| !text.is_empty()).map(|text| Block::Text { text, cache })
        }
        Some("image") => {
            source(block, path, losses)?.map(|source| Block::Image { source, detail: None, cache })
        }
        Some("tool_use") => {
            let (Some(id), Some(name)) = (text_of("id"), text_of("name")) else {
                return Err(WireError::invalid(format!("`{path}` must have an id and a name")).at(path));
            };
            Some(Block::ToolUse {
                id,
                name,
                kind: ToolKind::Function,
                input: block.get("input").map_or("{}", Val::raw).to_owned(),
                cache,
            })
        }
        Some("tool_result") => {
            let id = text_of("tool_use_id")
                .ok_or_else(|| WireError::invalid(format!("`{path}.tool_use_id` is missing")).at(path))?;
            let content = match block.get("content") {
                Some(content) => {
                    must_be_parts(content, &format!("{path}.content"))?;
                    result_blocks(content, path, losses)?
                }
                None => Vec::new(),
            };
            let is_error = block.get("is_error").and_then(Val::as_bool) == Some(true);
            Some(Block::ToolResult { id, content, is_error, cache })
        }
        Some("thinking") => Some(Block::Thinking {
            text: text_of("thinking").unwrap_or_default(),
            seal: text_of("signature").filter(|s| !s.is_empty()).map(|s| Seal::read(Maker::Anthropic, &s)),
        }),
        Some("redacted_thinking") => {
            text_of("data").map(|data| Block::Redacted { seal: Seal::read(Maker::Anthropic, &data) })
        }
        _ => {
            losses.dropped(path, "the target has no such content");
            None
        }
    })
}

/// Notes what a block has that nobody reads.
fn note_unread(block: Val<'_>, path: &str, losses: &mut Losses) {
    let Some(known) = known_in(block.get_str("type").as_deref().unwrap_or_default()) else { return };
    // That nobody but the model has called says nothing.
    let direct = block.get("caller").and_then(|caller| caller.get_str("type"));
    let caller = if direct.as_deref() == Some("direct") { "caller" } else { "type" };
    losses.unread(block, path, &[known, &["type", "cache_control", caller]].concat());
}

/// What a block of a kind has that is read; `None` for one that is dropped as a whole.
fn known_in(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "text" => &["text"],
        "image" => &["source"],
        "document" => &["source", "title"],
        "tool_use" => &["id", "name", "input"],
        "tool_result" => &["tool_use_id", "content", "is_error"],
        "thinking" => &["thinking", "signature"],
        "redacted_thinking" => &["data"],
        "search_result" => &["title", "source", "content"],
        _ => return None,
    })
}

/// Where an image or a document is; `None` where that is nowhere for others.
fn source(block: Val<'_>, path: &str, losses: &mut Losses) -> Result<Option<Source>> {
    let Some(source) = block.get("source") else {
        return Err(WireError::invalid(format!("`{path}.source` is missing")).at(path));
    };
    let said = |name: &str| {
        let (text, path) = (source.get_str(name), format!("{path}.source.{name}"));
        let text = text.map(|text| text.into_owned());
        text.ok_or_else(|| WireError::invalid(format!("`{path}` must be a string")).at(path))
    };
    Ok(match source.get_str("type").as_deref() {
        Some("base64") => Some(Source::Base64 {
            media_type: source.get_str("media_type").unwrap_or_default().into_owned(),
            data: said("data")?,
        }),
        Some("url") => Some(Source::Url(said("url")?)),
        Some("text") if block.get_str("type").as_deref() == Some("document") => {
            Some(Source::Text(said("data")?))
        }
        _ => {
            losses.dropped(path, "a file that is stored at one provider can't be sent to another");
            None
        }
    })
}

/// A document, and the pictures in it behind it.
fn document(found: &mut Vec<Block>, block: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    note_unread(block, path, losses);
    let (cache, name) = (cache(block), block.get_str("title").map(|title| title.into_owned()));
    let Some(content) = block.get("source").filter(|it| it.get_str("type").as_deref() == Some("content"))
    else {
        let source = source(block, path, losses)?;
        found.extend(source.map(|source| Block::Document { source, name, cache }));
        return Ok(());
    };
    let (text, pictures) = inner(content, &format!("{path}.source"), losses)?;
    // Its mark is behind all of it.
    let (of_text, of_pictures) = if pictures.is_empty() { (cache, None) } else { (None, cache) };
    if !text.is_empty() {
        found.push(Block::Document { source: Source::Text(text), name, cache: of_text });
    }
    behind(found, pictures, of_pictures, path, losses);
    Ok(())
}

/// A search result as a text, and the pictures in it behind it.
fn search_result(found: &mut Vec<Block>, block: Val<'_>, path: &str, losses: &mut Losses) -> Result<()> {
    note_unread(block, path, losses);
    losses.approximated(path, "a search result becomes text");
    let said = |name: &str| block.get_str(name).unwrap_or_default();
    let (text, pictures) = inner(block, path, losses)?;
    let mut text = Block::text(format!("{}\n{}\n{text}", said("title"), said("source")));
    let mut mark = cache(block);
    if pictures.is_empty()
        && let Some(of_text) = text.mark()
    {
        *of_text = mark.take();
    }
    found.push(text);
    behind(found, pictures, mark, path, losses);
    Ok(())
}

/// The texts of a content, joined, and its pictures.
fn inner(holder: Val<'_>, path: &str, losses: &mut Losses) -> Result<(String, Vec<Block>)> {
    let path = format!("{path}.content");
    let Some(content) = holder.get("content") else { return Ok(Default::default()) };
    must_be_parts(content, &path)?;
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    texts.extend(content.as_str().map(|text| text.into_owned()));
    for (n, part) in content.elements().enumerate() {
        let path = format!("{path}[{n}]");
        if part.get_str("type").as_deref() == Some("image") {
            pictures.extend(block_of(part, &path, losses)?);
            continue;
        }
        must_be_text(part.get("text"), &format!("{path}.text"))?;
        match part.get_str("text") {
            Some(text) => texts.push(text.into_owned()),
            None => losses.dropped(path, "the target has no such content"),
        }
    }
    Ok((texts.join("\n"), pictures))
}

/// Puts the pictures of a document behind it, the mark of all of it at the last.
fn behind(
    found: &mut Vec<Block>,
    mut pictures: Vec<Block>,
    cache: Option<String>,
    path: &str,
    losses: &mut Losses,
) {
    if pictures.is_empty() {
        return;
    }
    losses.approximated(path, "the pictures in it follow it");
    if let Some(mark @ None) = pictures.last_mut().and_then(Block::mark) {
        *mark = cache;
    }
    found.append(&mut pictures);
}
