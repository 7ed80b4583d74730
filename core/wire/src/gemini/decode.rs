//! A `generateContent` request into the neutral model. Names in camel case and in snake case both count.

use std::collections::{HashMap, VecDeque};

use sluicegate_core::ServiceTier;

use super::{camel_case, member, part, schema};
use crate::error::{Result, WireError};
use crate::ir::{
    Block, Effort, OutputFormat, Reasoning, Request, Role, Source, SystemText, Tier, Tool, ToolChoice,
    ToolKind,
};
use crate::json::{Kind, Val, object};
use crate::loss::Losses;
use crate::openai_chat::{must_be_text, nameless};
use crate::search;
use crate::value;

/// Who speaks for a caller who has named a voice of Gemini's, or none.
const OPENAI_VOICE: &str = "alloy";

/// A tier as others have it, if they do.
fn tier(tier: ServiceTier) -> Option<Tier> {
    Some(match tier {
        ServiceTier::Standard => Tier::Standard,
        ServiceTier::Flex => Tier::Flex,
        ServiceTier::Priority => Tier::Priority,
        ServiceTier::Auto => Tier::Auto,
        _ => return None,
    })
}

/// Decodes a body that was scanned. Fields named in `skip` are as good as absent. Model and streaming are for the caller to
/// add.
pub(crate) fn request(body: Val<'_>, skip: &[&str], losses: &mut Losses) -> Result<Request> {
    let mut request = Request::default();
    for (name, value) in body.members() {
        if value.is_null() || skip.contains(&&*name) {
            continue;
        }
        match &*camel_case(&name) {
            "contents" => contents(&mut request, value, losses)?,
            "systemInstruction" => system(&mut request, value, losses)?,
            "tools" => {
                for (at, tool) in value.elements().enumerate() {
                    tools(&mut request, tool, at, losses)?;
                }
            }
            "toolConfig" => tool_config(&mut request, value, losses),
            "generationConfig" => generation(&mut request, value, losses)?,
            "cachedContent" => {
                return Err(WireError::unsupported(
                    "`cachedContent` is stored at Google and can't be sent to another provider: send the content itself",
                )
                .at("cachedContent"));
            }
            "serviceTier" => {
                request.tier = value.as_str().and_then(|word| ServiceTier::of_word(&word)).and_then(tier);
                if request.tier.is_none() {
                    losses.dropped("serviceTier", "the target has no such tier");
                }
            }
            "model" | "stream" => {}
            _ if crate::scan::is_ours(&name) => {}
            other => losses.dropped(other, "the target has no place for it"),
        }
    }
    Ok(request)
}

/// The elements of a list. A lone one may stand without it, as in Google's own examples.
fn list<'v>(value: Option<Val<'v>>, path: &str) -> Result<impl Iterator<Item = Val<'v>> + use<'v>> {
    if value.is_some_and(|value| !matches!(value.kind(), Kind::Object | Kind::Array | Kind::Null)) {
        return Err(WireError::invalid(format!("`{path}` must be an array")).at(path));
    }
    let lone = value.filter(|value| value.kind() == Kind::Object);
    Ok(lone.into_iter().chain(value.into_iter().flat_map(Val::elements)))
}

/// The parts of a content.
fn parts_in<'v>(content: Val<'v>, path: &str) -> Result<impl Iterator<Item = Val<'v>> + use<'v>> {
    list(content.get("parts"), &format!("{path}.parts"))
}

fn system(request: &mut Request, value: Val<'_>, losses: &mut Losses) -> Result<()> {
    if !matches!(value.kind(), Kind::String | Kind::Object) {
        let message = "`systemInstruction` must be a content with `parts`";
        return Err(WireError::invalid(message).at("systemInstruction"));
    }
    let mut texts: Vec<String> = Vec::new();
    texts.extend(value.as_str().map(|text| text.into_owned()));
    for (n, part) in parts_in(value, "systemInstruction")?.enumerate() {
        let path = format!("systemInstruction.parts[{n}]");
        must_be_text(part.get("text"), &format!("{path}.text"))?;
        match part.get_str("text") {
            Some(text) => {
                unread(part, &path, &["text"], losses);
                texts.push(text.into_owned());
            }
            None => losses.dropped(path, "a system prompt is text"),
        }
    }
    texts.retain(|text| !text.trim().is_empty());
    request.system = texts.into_iter().map(|text| SystemText { text, cache: None }).collect();
    Ok(())
}

fn tools(request: &mut Request, tool: Val<'_>, at: usize, losses: &mut Losses) -> Result<()> {
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        if camel_case(&name) == "googleSearch" {
            let found = search::of_gemini(value, at, losses)?;
            search::keep(request, found, at, losses);
            continue;
        }
        if camel_case(&name) != "functionDeclarations" {
            losses.dropped(
                format!("tools[{at}].{}", crate::names::cut(&name, 64)),
                "only tools that the caller runs can be translated",
            );
            continue;
        }
        for (n, declared) in value.elements().enumerate() {
            let path = format!("tools[{at}].functionDeclarations[{n}]");
            let name = declared.get_str("name").ok_or_else(|| nameless(&path))?;
            unread(declared, &path, &["name", "description", "parameters", "parametersJsonSchema"], losses);
            let schema = match member(declared, "parametersJsonSchema") {
                Some(schema) => Some(schema.raw().to_owned()),
                None => declared.get("parameters").map(schema::json_schema),
            };
            request.tools.push(Tool {
                name: name.into_owned(),
                kind: ToolKind::Function,
                description: declared.get_str("description").map(|s| s.into_owned()),
                schema,
                strict: None,
                cache: None,
            });
        }
    }
    Ok(())
}

fn tool_config(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    for (name, _) in value.members().filter(|(_, value)| !value.is_null()) {
        let name = camel_case(&name);
        if name != "functionCallingConfig" {
            let name = crate::names::cut(&name, 64);
            losses.dropped(format!("toolConfig.{name}"), "the target has no place for it");
        }
    }
    let Some(config) = member(value, "functionCallingConfig") else { return };
    unread(config, "toolConfig.functionCallingConfig", &["mode", "allowedFunctionNames"], losses);
    let allowed: Vec<String> = member(config, "allowedFunctionNames")
        .into_iter()
        .flat_map(Val::elements)
        .filter_map(Val::as_str)
        .map(|name| name.into_owned())
        .collect();
    let mode = config.get_str("mode").unwrap_or_default().to_ascii_uppercase();
    request.tool_choice = match (mode.as_str(), allowed.as_slice()) {
        ("ANY", [only]) => Some(ToolChoice::Named(only.clone())),
        ("ANY", _) => Some(ToolChoice::Required),
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO", _) => Some(ToolChoice::Auto),
        ("VALIDATED", _) => {
            losses
                .approximated("toolConfig.functionCallingConfig.mode", "the target has no such mode: `auto`");
            Some(ToolChoice::Auto)
        }
        ("" | "MODE_UNSPECIFIED", _) => None,
        _ => {
            losses.dropped("toolConfig.functionCallingConfig.mode", "the target has no such mode");
            None
        }
    };
    if !matches!(request.tool_choice, Some(ToolChoice::Named(_) | ToolChoice::None)) {
        request.allowed_tools = allowed;
    }
}

fn generation(request: &mut Request, config: Val<'_>, losses: &mut Losses) -> Result<()> {
    let (mut mime, mut format) = (String::new(), None);
    let (mut speaks, mut speech) = (false, None);
    for (name, value) in config.members().filter(|(_, value)| !value.is_null()) {
        // Google's JSON has numbers as texts, too.
        let number = |losses: &mut Losses| {
            let text = value.as_str();
            let said = text.as_deref().and_then(|text| Val::parse(text).ok()).unwrap_or(value);
            value::number(said, &format!("generationConfig.{name}"), losses)
        };
        let whole = || value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
        match &*camel_case(&name) {
            "temperature" => request.temperature = number(losses),
            "topP" => request.top_p = number(losses),
            // Some writers have no integers.
            "topK" => request.top_k = value.as_u64().map(|n| n.to_string()).or_else(|| number(losses)),
            "seed" => request.seed = number(losses),
            "presencePenalty" => request.presence_penalty = number(losses),
            "frequencyPenalty" => request.frequency_penalty = number(losses),
            "candidateCount" => request.n = whole(),
            "maxOutputTokens" => request.max_output = whole(),
            "stopSequences" => {
                request.stop = value::stops(value, "generationConfig.stopSequences", losses);
            }
            "responseLogprobs" if value.as_bool() == Some(true) => {
                request.logprobs.get_or_insert_default();
            }
            "responseLogprobs" => {}
            "logprobs" => request.logprobs.get_or_insert_default().top = whole(),
            "responseMimeType" => mime = value.as_str().unwrap_or_default().into_owned(),
            "responseSchema" => format = Some(schema::json_schema(value)),
            "responseJsonSchema" => format = Some(value.raw().to_owned()),
            "thinkingConfig" => thinking(request, value, losses),
            "responseModalities" => {
                let is = |word: &str, m: &str| m.eq_ignore_ascii_case(word);
                let asks = |word: &str| value.elements().filter_map(Val::as_str).any(|m| is(word, &m));
                (request.pictures, speaks) = (asks("image"), asks("audio"));
                let known = |m: &str| ["text", "image", "audio"].iter().any(|word| is(word, m));
                let other = value.elements().filter_map(Val::as_str).find(|m| !known(m));
                if let Some(other) = other {
                    return Err(WireError::unsupported(format!(
                        "answers of the modality `{}` can't be translated: choose a model that speaks Gemini's format",
                        crate::names::cut(&other, 32)
                    ))
                    .at("generationConfig.responseModalities"));
                }
            }
            "speechConfig" => speech = Some(value),
            other => {
                losses.dropped(format!("generationConfig.{other}"), "the target has no place for it");
            }
        }
    }
    if speaks {
        request.audio = Some(audio_of(speech, losses));
    } else if speech.is_some() {
        losses.dropped("generationConfig.speechConfig", "no sound is asked for");
    }
    request.format = match (format, mime.as_str()) {
        (Some(schema), _) => {
            OutputFormat::JsonSchema { name: None, description: None, schema, strict: Some(false) }
        }
        (None, "application/json") => OutputFormat::JsonObject,
        (None, "" | "text/plain") => OutputFormat::Text,
        (None, _) => {
            losses.dropped("generationConfig.responseMimeType", "the target has no such form of answers");
            OutputFormat::Text
        }
    };
    Ok(())
}

/// What is to be spoken, as chat completions ask for it: in samples, as Gemini's callers know them.
fn audio_of(speech: Option<Val<'_>>, losses: &mut Losses) -> String {
    let path = "generationConfig.speechConfig";
    let speech = speech.into_iter().flat_map(Val::members).filter(|(_, value)| !value.is_null());
    let mut said = None;
    for (name, value) in speech {
        match &*camel_case(&name) {
            "voiceConfig" => {
                let built_in = member(value, "prebuiltVoiceConfig");
                said = built_in.and_then(|voice| member(voice, "voiceName")).and_then(Val::as_str);
            }
            other => losses.dropped(format!("{path}.{other}"), "the target has no place for it"),
        }
    }
    let voice = said.as_deref().map(crate::sound::openai_voice);
    if voice == Some(None) {
        losses.approximated(format!("{path}.voiceConfig"), "the target has voices of its own");
    }
    object(|o| {
        o.str("voice", voice.flatten().unwrap_or(OPENAI_VOICE));
        o.str("format", "pcm16");
    })
}

/// The members of an object that nobody reads, by either of their names.
fn unread(v: Val<'_>, path: &str, known: &[&str], losses: &mut Losses) {
    losses.unread_but(v, path, |name| known.contains(&&*camel_case(name)));
}

fn thinking(request: &mut Request, config: Val<'_>, losses: &mut Losses) {
    let known = ["thinkingLevel", "thinkingBudget", "includeThoughts"];
    unread(config, "generationConfig.thinkingConfig", &known, losses);
    let level = member(config, "thinkingLevel").and_then(Val::as_str);
    let known = level.as_ref().and_then(|word| Effort::parse(&word.to_ascii_lowercase()));
    if level.is_some() && known.is_none() {
        losses.dropped("generationConfig.thinkingConfig.thinkingLevel", "not a level that we know");
    }
    let level = known;
    if member(config, "includeThoughts").and_then(Val::as_bool) == Some(true) {
        request.summary = Some("auto".to_owned());
    }
    let budget = member(config, "thinkingBudget");
    // A number may be a text.
    let said = budget.map(|v| v.as_str().unwrap_or_else(|| v.raw().into()));
    request.reasoning = match (level, said.as_deref()) {
        (Some(effort), _) => Some(Reasoning::Effort(effort)),
        (None, Some("0")) => Some(Reasoning::Off),
        (None, Some(tokens)) => Some(tokens.parse().map_or(Reasoning::Adaptive, Reasoning::Budget)),
        (None, None) => None,
    };
}

/// The calls that have no result yet, by id, as we have made it up if need be, and by name.
#[derive(Default)]
struct Open {
    /// The ids, in order; `None` has its result.
    calls: Vec<Option<String>>,
    /// Their places, in order. Those that have results are skipped when they come first.
    by_id: HashMap<String, VecDeque<usize>>,
    by_name: HashMap<String, VecDeque<usize>>,
}

impl Open {
    fn call(&mut self, id: Option<String>, name: &str) -> String {
        let at = self.calls.len();
        // Ids are made of their count, so that they stay the same as a conversation goes on.
        let id = id.unwrap_or_else(|| format!("call_{}", at + 1));
        self.calls.push(Some(id.clone()));
        self.by_id.entry(id.clone()).or_default().push_back(at);
        self.by_name.entry(name.to_owned()).or_default().push_back(at);
        id
    }

    /// The call that a response answers: the one of its id, else the first of its name.
    fn answered(&mut self, id: Option<&str>, name: &str) -> Option<String> {
        let Self { calls, by_id, by_name } = self;
        // BOUND: each turn takes a place out for good, so that all results together look at each call twice.
        let mut first = |places: Option<&mut VecDeque<usize>>| {
            let places = places?;
            std::iter::from_fn(|| places.pop_front()).find_map(|at| calls.get_mut(at)?.take())
        };
        first(id.and_then(|id| by_id.get_mut(id))).or_else(|| first(by_name.get_mut(name)))
    }
}

fn contents(request: &mut Request, contents: Val<'_>, losses: &mut Losses) -> Result<()> {
    let mut open = Open::default();
    for (at, content) in list(Some(contents), "contents")?.enumerate() {
        let path = format!("contents[{at}]");
        let role = match content.get_str("role").as_deref() {
            None | Some("" | "user" | "function") => Role::User,
            Some("model") => Role::Assistant,
            Some(other) => {
                let message = format!("`{path}.role` is `{other}`: use user or model");
                return Err(WireError::invalid(message).at(format!("{path}.role")));
            }
        };
        unread(content, &path, &["role", "parts"], losses);
        let mut blocks = Vec::new();
        for (n, found) in parts_in(content, &path)?.enumerate() {
            let path = format!("{path}.parts[{n}]");
            part_of(&mut blocks, found, &path, &mut open, losses)?;
        }
        request.add(role, blocks);
    }
    Ok(())
}

/// What a part may be, and what is read of it.
const MEMBERS: [(&str, &[&str]); 6] = [
    ("inlineData", &["mimeType", "data"]),
    ("fileData", &["mimeType", "fileUri"]),
    ("functionCall", &["id", "name", "args"]),
    ("functionResponse", &["id", "name", "response", "parts"]),
    ("executableCode", &["id", "language", "code"]),
    ("codeExecutionResult", &["id", "outcome", "output"]),
];

fn part_of(
    blocks: &mut Vec<Block>,
    v: Val<'_>,
    path: &str,
    open: &mut Open,
    losses: &mut Losses,
) -> Result<()> {
    let seal = part::seal_of(v);
    let kinds = MEMBERS.iter().map(|(name, _)| *name);
    let read: Vec<&str> =
        ["text", "thought", "thoughtSignature", "extraContent"].into_iter().chain(kinds).collect();
    // One that is nothing we know is dropped as a whole.
    let mut is_known = false;
    for (name, value) in v.members() {
        let name = camel_case(&name);
        is_known |= read.contains(&&*name);
        if let Some((name, inner)) = MEMBERS.iter().find(|(member, _)| *member == name) {
            unread(value, &format!("{path}.{name}"), inner, losses);
        }
    }
    if is_known {
        unread(v, path, &read, losses);
    }
    if v.get("thought").and_then(Val::as_bool) == Some(true) {
        match (v.get_str("text"), seal, blocks.last_mut()) {
            (None, Some(seal), _) => blocks.push(Block::Redacted { seal }),
            // What seals the thought before it.
            (Some(text), Some(found), Some(Block::Thinking { seal: seal @ None, .. })) if text.is_empty() => {
                *seal = Some(found);
            }
            (text, seal, _) => {
                let text = text.unwrap_or_default().into_owned();
                if !text.is_empty() || seal.is_some() {
                    blocks.push(Block::Thinking { text, seal });
                }
            }
        }
        return Ok(());
    }
    if seal.is_some() {
        blocks.push(Block::Thinking { text: String::new(), seal });
    }
    must_be_text(v.get("text"), &format!("{path}.text"))?;
    if let Some(text) = v.get_str("text") {
        if !text.trim().is_empty() {
            blocks.push(Block::text(text));
        }
    } else if let Some(data) = member(v, "inlineData") {
        blocks.push(inline(data, path, losses)?);
    } else if let Some(file) = member(v, "fileData") {
        blocks.push(stored(file, path)?);
    } else if let Some(call) = member(v, "functionCall") {
        let name = call.get_str("name").unwrap_or_default().into_owned();
        let id = call.get_str("id").filter(|id| !id.is_empty()).map(|id| id.into_owned());
        blocks.push(Block::ToolUse {
            id: open.call(id, &name),
            name,
            kind: ToolKind::Function,
            input: call.get("args").map_or("{}", Val::raw).to_owned(),
            cache: None,
        });
    } else if let Some(response) = member(v, "functionResponse") {
        blocks.push(result(response, path, open, losses)?);
    } else if let Some(code) = member(v, "executableCode").and_then(|code| code.get_str("code")) {
        losses.approximated(path, "code that the provider ran becomes text");
        blocks.push(Block::text(format!("```\n{code}\n```")));
    } else if let Some(output) = member(v, "codeExecutionResult") {
        losses.approximated(path, "what code printed becomes text");
        blocks.push(Block::text(format!("```\n{}\n```", output.get_str("output").unwrap_or_default())));
    } else if v.members().next().is_some() && part::seal_of(v).is_none() {
        losses.dropped(path, "the target has no such content");
    }
    Ok(())
}

fn mime_of(v: Val<'_>) -> String {
    let label = member(v, "mimeType").and_then(Val::as_str).unwrap_or_default();
    label.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn inline(v: Val<'_>, path: &str, losses: &mut Losses) -> Result<Block> {
    let media_type = mime_of(v);
    let data = v
        .get_str("data")
        .ok_or_else(|| WireError::invalid(format!("`{path}.inlineData.data` is missing")).at(path))?;
    // Google takes both alphabets, others only the usual one.
    let data = data.replace('-', "+").replace('_', "/");
    if media_type.starts_with("image/") {
        let source = crate::media::image_source(&format!("data:{media_type};base64,{data}"), path, losses)?;
        return Ok(Block::Image { source, detail: None, cache: None });
    }
    if media_type.starts_with("audio/") {
        return Ok(Block::Audio { source: Source::Base64 { media_type, data } });
    }
    if crate::media::is_text(&media_type) {
        let text = crate::media::text_of(&data).ok_or_else(|| {
            WireError::invalid(format!("`{path}.inlineData.data` isn't base64 of UTF-8 text")).at(path)
        })?;
        return Ok(Block::Document { source: Source::Text(text), name: None, cache: None });
    }
    if media_type == "application/pdf" {
        return Ok(Block::Document { source: Source::Base64 { media_type, data }, name: None, cache: None });
    }
    Err(unsupported_media(&media_type, path))
}

fn unsupported_media(media_type: &str, path: &str) -> WireError {
    WireError::unsupported(format!(
        "the media of `{path}` is `{}`: only images, sound, PDF and text can be translated",
        crate::names::cut(media_type, 64)
    ))
    .at(path)
}

fn stored(v: Val<'_>, path: &str) -> Result<Block> {
    let uri = member(v, "fileUri")
        .and_then(Val::as_str)
        .ok_or_else(|| WireError::invalid(format!("`{path}.fileData.fileUri` is missing")).at(path))?;
    let media_type = mime_of(v);
    let source = match is_googles(&uri) {
        true => Source::Stored(uri.into_owned()),
        false => Source::Url(uri.into_owned()),
    };
    if media_type.starts_with("image/") {
        return Ok(Block::Image { source, detail: None, cache: None });
    }
    if media_type == "application/pdf" {
        return Ok(Block::Document { source, name: None, cache: None });
    }
    Err(unsupported_media(&media_type, path))
}

/// Whether only Google can read what is there.
pub(crate) fn is_googles(uri: &str) -> bool {
    ["https://generativelanguage.googleapis.com/", "gs://", "https://www.youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|own| uri.starts_with(own))
}

fn result(v: Val<'_>, path: &str, open: &mut Open, losses: &mut Losses) -> Result<Block> {
    let name = v.get_str("name").unwrap_or_default();
    let own = v.get_str("id").filter(|id| !id.is_empty());
    let id = open.answered(own.as_deref(), &name).ok_or_else(|| {
        let named = crate::names::cut(&name, 64);
        WireError::invalid(format!(
            "`{path}.functionResponse` answers no call of `{named}` in the turn before: send the model's call first"
        ))
        .at(path)
    })?;
    let response = v.get("response");
    let (text, is_error) = said(response);
    let mut content = Vec::new();
    if !text.is_empty() {
        content.push(Block::text(text));
    }
    for (n, found) in v.get("parts").into_iter().flat_map(Val::elements).enumerate() {
        let path = format!("{path}.functionResponse.parts[{n}]");
        if let Some(data) = member(found, "inlineData") {
            content.push(inline(data, &path, losses)?);
        } else if let Some(file) = member(found, "fileData") {
            content.push(stored(file, &path)?);
        }
    }
    Ok(Block::ToolResult { id, content, is_error, cache: None })
}

/// What a response says: the text of its usual only member, else all of it; and whether that is an error.
fn said(response: Option<Val<'_>>) -> (String, bool) {
    let Some(response) = response else {
        return (String::new(), false);
    };
    let mut members = response.members();
    if let (Some((name, value)), None) = (members.next(), members.next())
        && matches!(&*name, "result" | "output" | "error")
    {
        let text = value.as_str().map_or_else(|| value.raw().to_owned(), |text| text.into_owned());
        return (text, name == "error");
    }
    (response.raw().to_owned(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_id_then_by_name_and_each_once() {
        let mut open = Open::default();
        assert_eq!(open.call(None, "f"), "call_1");
        assert_eq!(open.call(Some("a".into()), "f"), "a");
        assert_eq!(open.call(None, "g"), "call_3");
        assert_eq!(open.answered(Some("a"), "f").as_deref(), Some("a"));
        assert_eq!(open.answered(Some("a"), "f").as_deref(), Some("call_1"), "the id has its result");
        assert_eq!(open.answered(None, "f"), None);
        assert_eq!(open.answered(Some("unknown"), "g").as_deref(), Some("call_3"));
    }

    #[test]
    fn each_call_is_looked_at_twice_at_most_however_many_there_are() {
        const CALLS: usize = 100_000;
        let mut open = Open::default();
        let ids: Vec<String> = (0..CALLS).map(|_| open.call(None, "f")).collect();
        for id in ids.iter().rev() {
            assert_eq!(open.answered(Some(id), "f").as_ref(), Some(id));
        }
        // Each look takes a place out: what is left are the places by name.
        let left =
            |places: &HashMap<String, VecDeque<usize>>| places.values().map(VecDeque::len).sum::<usize>();
        assert_eq!((left(&open.by_id), left(&open.by_name)), (0, CALLS));
        assert_eq!(open.answered(None, "f"), None);
        assert_eq!(left(&open.by_name), 0);
    }
}
