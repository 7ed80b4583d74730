//! The neutral model as a `generateContent` request. The model and whether to stream go into its address.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use super::body::{call, sign};
use super::decode::is_googles;
use super::generation::{Generation, Thinking};
use super::schema;
use crate::error::{Result, WireError};
use crate::ir::{
    Block, Maker, Message, OutputFormat, Request, Role, Seal, Source, Tier, Tool, ToolChoice, ToolKind,
};
use crate::json::{Array, Kind, Object, Val, object};
use crate::loss::Losses;
use crate::names::Names;
use crate::plain;
use crate::reference::Looks;
use crate::search;
use crate::sound;

/// What a tool that takes a text is declared to take.
const TEXT_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// Whom it lets speak where nobody is named.
const GEMINI_VOICE: &str = "Kore";
/// Gemini takes at most this many stop sequences.
const STOPS_MAX: usize = 5;
/// What stands for the signature of a call that another model has made.
// QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/thought-signatures): from 3 on, the first call of each step is
// refused without one.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

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
    if request.messages.is_empty() {
        return Err(WireError::invalid("`messages` has no user or assistant content: add a user message")
            .at("messages"));
    }
    let generation = Generation::of(&request.model);
    refuse(request, generation)?;
    plain::unsaid(request, losses);
    let sound = wanted_sound(request)?;
    let thinking = Thinking::plan(request, losses);
    let skip = |name: &str| set.iter().any(|(set, _)| *set == name);
    let mut ctx = Context { names, losses, looks: Looks::shared(), generation };
    let is_gemma = request.model.rsplit('/').next().is_some_and(|name| name.starts_with("gemma-"));
    Ok(object(|o| {
        if !request.system.is_empty() && !is_gemma && !skip("systemInstruction") {
            o.object("systemInstruction", |o| o.array("parts", |a| system(a, request)));
        }
        o.array("contents", |a| {
            // QUIRK(gemma, 2026-11): no system instruction: it opens the conversation.
            if !request.system.is_empty() && is_gemma {
                content(a, "user", |a| system(a, request));
            }
            contents(a, request, &mut ctx);
        });
        tools(o, request, &mut ctx);
        if !skip("generationConfig") {
            let config = object(|o| config(o, request, thinking, sound.as_ref(), &mut ctx));
            if config != "{}" {
                o.raw("generationConfig", &config);
            }
        }
        // Without a word it is the standard one, and no project makes it another.
        let tier = match request.tier {
            Some(Tier::Flex) => Some("flex"),
            Some(Tier::Priority) => Some("priority"),
            Some(Tier::Auto | Tier::Standard) | None => None,
        };
        if let Some(tier) = tier.filter(|_| !skip("serviceTier")) {
            o.str("serviceTier", tier);
        }
        set.iter().for_each(|(name, value)| o.raw(name, value));
    }))
}

/// What the caller of chat completions wants to hear.
pub(crate) fn wanted_sound(request: &Request) -> Result<Option<sound::Wanted>> {
    request.audio.as_deref().map(|audio| sound::Wanted::read(audio, request.stream)).transpose()
}

struct Context<'a> {
    names: &'a mut Names,
    losses: &'a mut Losses,
    /// How much of all schemas may still be read.
    looks: Looks,
    generation: Generation,
}

/// What can't be served at all, however it is put.
fn refuse(request: &Request, generation: Generation) -> Result<()> {
    if request.audio.is_some() && request.pictures {
        let message =
            "a Gemini endpoint speaks or draws, and doesn't do both in one answer: ask for one of them";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    // QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/structured-output): before 3 a form for the answer excludes
    // functions.
    let is_formed = request.format != OutputFormat::Text && !request.tools.is_empty();
    if is_formed && generation < Generation::Levels {
        let message =
            "the model takes `response_format` or tools, not both: leave one out, or choose another model";
        return Err(WireError::unsupported(message).at("response_format"));
    }
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        for block in inner {
            let source = match block {
                Block::Image { source, .. } | Block::Document { source, .. } | Block::Audio { source } => {
                    source
                }
                _ => continue,
            };
            let why = match source {
                Source::Base64 { .. } | Source::Text(_) => continue,
                Source::Url(uri) | Source::Stored(uri) if is_googles(uri) => continue,
                Source::Stored(_) => {
                    format!("the file of `{path}` is stored at another provider: send it inline")
                }
                // QUIRK(gemini, 2026-11): files at public addresses are fetched for 2.5 and later, over https only.
                Source::Url(url) if url.starts_with("https://") && generation >= Generation::Budgets => {
                    continue;
                }
                Source::Url(_) => format!(
                    "the file of `{path}` is given by an address that this model can't fetch: send it inline"
                ),
            };
            return Err(WireError::unsupported(why).at(path));
        }
    }
    Ok(())
}

fn system(a: &mut Array<'_>, request: &Request) {
    for text in &request.system {
        a.object(|o| o.str("text", &text.text));
    }
}

/// Models that speak do nothing else.
fn speech(o: &mut Object<'_>, sound: &sound::Wanted, losses: &mut Losses) {
    o.array("responseModalities", |a| a.str("AUDIO"));
    let voice = sound.voice.as_deref().filter(|voice| !voice.is_empty());
    if voice.is_some_and(|voice| sound::openai_voice(voice).is_some()) {
        losses.approximated("audio.voice", "the target has voices of its own");
    }
    let voice = voice.filter(|voice| sound::openai_voice(voice).is_none()).unwrap_or(GEMINI_VOICE);
    o.object("speechConfig", |o| {
        o.object("voiceConfig", |o| {
            o.object("prebuiltVoiceConfig", |o| o.str("voiceName", voice));
        });
    });
}

fn config(
    o: &mut Object<'_>,
    request: &Request,
    thinking: Thinking,
    sound: Option<&sound::Wanted>,
    ctx: &mut Context<'_>,
) {
    // QUIRK(gemini, 2026-11): its numbers have 32 bits.
    let seed = request.seed.as_deref().map(|seed| match seed.parse::<i128>() {
        Ok(n) if i32::try_from(n).is_err() => {
            ctx.losses.approximated("seed", "the target's seeds have 32 bits");
            n.rem_euclid(1 << 31).to_string()
        }
        _ => seed.to_owned(),
    });
    for (name, value) in [
        ("temperature", &request.temperature),
        ("topP", &request.top_p),
        ("topK", &request.top_k),
        ("seed", &seed),
        ("presencePenalty", &request.presence_penalty),
        ("frequencyPenalty", &request.frequency_penalty),
    ] {
        if let Some(value) = value {
            o.raw(name, value);
        }
    }
    if let Some(n) = request.max_output {
        o.num("maxOutputTokens", n);
    }
    if let Some(sound) = sound {
        speech(o, sound, ctx.losses);
    }
    if request.pictures {
        o.array("responseModalities", |a| ["TEXT", "IMAGE"].iter().for_each(|word| a.str(word)));
    }
    if let Some(n) = request.n.filter(|n| *n != 1) {
        o.num("candidateCount", n);
    }
    if let Some(logprobs) = request.logprobs {
        o.bool("responseLogprobs", true);
        if let Some(top) = logprobs.top.filter(|top| *top > 0) {
            o.num("logprobs", top);
        }
    }
    if !request.stop.is_empty() {
        if request.stop.len() > STOPS_MAX {
            ctx.losses.dropped(format!("stop[{STOPS_MAX}..]"), "the target takes five");
        }
        o.array("stopSequences", |a| request.stop.iter().take(STOPS_MAX).for_each(|s| a.str(s)));
    }
    thinking.write(o);
    match &request.format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => o.str("responseMimeType", "application/json"),
        OutputFormat::JsonSchema { schema, .. } => {
            o.str("responseMimeType", "application/json");
            if ctx.generation >= Generation::Budgets {
                return o.raw("responseJsonSchema", schema);
            }
            let (text, lossy) = schema::cleaned(schema, &mut ctx.looks);
            if lossy {
                ctx.losses.approximated("response_format", "the model takes a part of JSON Schema only");
            }
            if let Some(text) = text {
                o.raw("responseSchema", &text);
            }
        }
    }
}

/// What a search can't stand beside.
// QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/google-search): functions of the caller's exclude it, and before 3
// so does a form for the answer.
fn beside_search(request: &Request, generation: Generation) -> Option<&'static str> {
    if !request.tools.is_empty() {
        return Some("the target doesn't search where it may call functions");
    }
    let is_formed = request.format != OutputFormat::Text && generation < Generation::Levels;
    is_formed.then_some("the model doesn't search where its answer has a form")
}

fn tools(o: &mut Object<'_>, request: &Request, ctx: &mut Context<'_>) {
    let searches = search::for_gemini(request, beside_search(request, ctx.generation), ctx.losses);
    if searches {
        return o.array("tools", |a| a.object(|o| o.object("googleSearch", |_| {})));
    }
    if request.tools.is_empty() {
        return;
    }
    o.array("tools", |a| {
        a.object(|o| {
            o.array("functionDeclarations", |a| {
                request.tools.iter().for_each(|tool| a.object(|o| declare(o, tool, ctx)));
            });
        });
    });
    let (mode, allowed): (&str, Vec<&String>) = match &request.tool_choice {
        None if request.allowed_tools.is_empty() => return,
        Some(ToolChoice::None) => ("NONE", Vec::new()),
        Some(ToolChoice::Named(name)) => ("ANY", vec![name]),
        Some(ToolChoice::Required) => ("ANY", request.allowed_tools.iter().collect()),
        Some(ToolChoice::Auto) | None if request.allowed_tools.is_empty() => ("AUTO", Vec::new()),
        // Names are heeded where a call is forced or checked, and not where it is free.
        Some(ToolChoice::Auto) | None => ("VALIDATED", request.allowed_tools.iter().collect()),
    };
    o.object("toolConfig", |o| {
        o.object("functionCallingConfig", |o| {
            o.str("mode", mode);
            if !allowed.is_empty() {
                o.array("allowedFunctionNames", |a| {
                    allowed.iter().for_each(|name| a.str(&ctx.names.shorten_word(name)));
                });
            }
        });
    });
}

fn declare(o: &mut Object<'_>, tool: &Tool, ctx: &mut Context<'_>) {
    let name = ctx.names.shorten_word(&tool.name);
    o.str("name", &name);
    // The target wants one.
    let described = match tool.kind {
        ToolKind::Custom => crate::openai_chat::custom_description(tool),
        ToolKind::Function => tool.description.clone().unwrap_or_default(),
    };
    o.str("description", if described.is_empty() { &tool.name } else { &described });
    let schema = match (tool.kind, tool.object_schema()) {
        (ToolKind::Custom, _) => {
            ctx.losses.approximated("tools", "a tool that takes a text takes it as `input` of an object");
            ctx.names.wrap(&name);
            Cow::Borrowed(TEXT_SCHEMA)
        }
        (ToolKind::Function, None) => return,
        (ToolKind::Function, Some(schema)) => schema,
    };
    if ctx.generation >= Generation::Budgets {
        return o.raw("parametersJsonSchema", &schema);
    }
    let (text, lossy) = schema::cleaned(&schema, &mut ctx.looks);
    if lossy {
        ctx.losses.approximated("tools[].parameters", "the model takes a part of JSON Schema only");
    }
    if let Some(text) = text {
        o.raw("parameters", &text);
    }
}

fn content(a: &mut Array<'_>, role: &str, parts: impl FnOnce(&mut Array<'_>)) {
    a.object(|o| {
        o.str("role", role);
        o.array("parts", parts);
    });
}

fn contents(a: &mut Array<'_>, request: &Request, ctx: &mut Context<'_>) {
    if request.messages.first().is_some_and(|first| first.role == Role::Assistant) {
        ctx.losses.approximated(
            "messages",
            "the target wants a user turn first: one with a full stop was put before",
        );
        content(a, "user", |a| a.object(|o| o.str("text", ".")));
    }
    let mut calls: Vec<(&str, &str)> = Vec::new();
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match turn.role {
            Role::User => user(a, turn, &std::mem::take(&mut calls), &path, ctx),
            Role::Assistant => {
                calls = calls_of(turn);
                let parts = Parts::of(turn, ctx.generation, &path, ctx.losses);
                if !parts.is_empty() {
                    content(a, "model", |a| parts.write(a, ctx));
                }
            }
        }
    }
    // Where the last turn is one of calls nobody has answered them.
    if !calls.is_empty() {
        let nothing = Message { role: Role::User, blocks: Vec::new() };
        user(a, &nothing, &calls, "messages", ctx);
    }
}

/// The calls of a turn: id and name.
fn calls_of(turn: &Message) -> Vec<(&str, &str)> {
    let calls = turn.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { id, name, .. } => Some((id.as_str(), name.as_str())),
        _ => None,
    });
    calls.collect()
}

/// The results of the calls before it in a content of their own, in the order of the calls, one for each; then the rest.
fn user(a: &mut Array<'_>, turn: &Message, calls: &[(&str, &str)], path: &str, ctx: &mut Context<'_>) {
    let mut results: HashMap<&str, &Block> = HashMap::new();
    for block in &turn.blocks {
        if let Block::ToolResult { id, .. } = block {
            results.entry(id.as_str()).or_insert(block);
        }
    }
    let known: HashSet<&str> = calls.iter().map(|(id, _)| *id).collect();
    let mut media: Vec<&Block> = Vec::new();
    if !calls.is_empty() {
        content(a, "user", |a| {
            for (id, name) in calls {
                let found = results.get(id).copied();
                if found.is_none() {
                    ctx.losses.approximated(path, "a call without a result is answered with an error");
                }
                a.object(|o| {
                    o.object("functionResponse", |o| response(o, id, name, found, path, &mut media, ctx));
                });
            }
        });
    }
    let mut rest: Vec<&Block> = media;
    let mut strays: Vec<String> = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, .. } => {
                if !known.contains(id.as_str()) {
                    ctx.losses.approximated(path, "a result without its call becomes text");
                    let texts = content.iter().filter_map(|block| match block {
                        Block::Text { text, .. } => Some(text.as_str()),
                        _ => None,
                    });
                    strays.push(format!(
                        "<tool_result>\n{}\n</tool_result>",
                        texts.collect::<Vec<_>>().join("\n")
                    ));
                    rest.extend(content.iter().filter(|block| !matches!(block, Block::Text { .. })));
                }
            }
            other => rest.push(other),
        }
    }
    if !rest.is_empty() || !strays.is_empty() {
        content(a, "user", |a| {
            strays.iter().for_each(|text| a.object(|o| o.str("text", text)));
            rest.iter().for_each(|block| self::block(a, block, path, ctx));
        });
    }
}

fn response<'b>(
    o: &mut Object<'_>,
    id: &str,
    name: &str,
    result: Option<&'b Block>,
    path: &str,
    media: &mut Vec<&'b Block>,
    ctx: &mut Context<'_>,
) {
    let levels = ctx.generation == Generation::Levels;
    if levels {
        o.str("id", id);
    }
    o.str("name", &ctx.names.shorten_word(name));
    let Some(Block::ToolResult { content, is_error, .. }) = result else {
        return o.object("response", |o| o.str("error", "there is no result"));
    };
    let texts = content.iter().filter_map(|block| match block {
        Block::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    match Val::parse(&text).ok().filter(|v| v.kind() == Kind::Object && !is_error) {
        Some(own) => o.raw("response", own.raw()),
        None => o.object("response", |o| o.str(if *is_error { "error" } else { "result" }, &text)),
    }
    let (inside, behind): (Vec<_>, Vec<_>) = content
        .iter()
        .filter(|block| !matches!(block, Block::Text { .. }))
        .partition(|block| levels && matches!(block, Block::Image { source: Source::Base64 { .. }, .. }));
    if !inside.is_empty() {
        o.array("parts", |a| inside.iter().for_each(|block| self::block(a, block, path, ctx)));
    }
    if !behind.is_empty() {
        ctx.losses.approximated(format!("{path}.tool_result"), "media of a tool result follow as content");
        media.extend(behind);
    }
}

/// Content that isn't a call, a result or a thought.
fn block(a: &mut Array<'_>, block: &Block, path: &str, ctx: &mut Context<'_>) {
    ctx.losses.note_title(block, path);
    match block {
        Block::Text { text, .. } | Block::Document { source: Source::Text(text), .. } => {
            a.object(|o| o.str("text", text));
        }
        Block::Image { source, .. } => source_part(a, source, "image/jpeg"),
        Block::Document { source, .. } => source_part(a, source, "application/pdf"),
        Block::Audio { source } => source_part(a, source, "audio/wav"),
        _ => ctx.losses.dropped(path, "the target has no such content"),
    }
}

fn source_part(a: &mut Array<'_>, source: &Source, usual: &str) {
    a.object(|o| source_of(o, source, usual));
}

/// What a part has of media; those at an address that doesn't say so are of the `usual` type.
pub(super) fn source_of(o: &mut Object<'_>, source: &Source, usual: &str) {
    match source {
        Source::Base64 { media_type, data } => o.object("inlineData", |o| {
            o.str("mimeType", media_type_of(media_type));
            o.str("data", data);
        }),
        Source::Url(uri) | Source::Stored(uri) => o.object("fileData", |o| {
            o.str("mimeType", media_type_at(uri).unwrap_or(usual));
            o.str("fileUri", uri);
        }),
        Source::Text(text) => o.str("text", text),
    }
}

/// The names of media types that others write otherwise.
fn media_type_of(name: &str) -> &str {
    match name {
        "audio/mpeg" | "audio/mpga" => "audio/mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "image/jpg" => "image/jpeg",
        other => other,
    }
}

/// What is at an address, by how its path ends.
fn media_type_at(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("gif", "image/gif"),
        ("pdf", "application/pdf"),
        ("wav", "audio/wav"),
        ("mp3", "audio/mp3"),
    ]
    .into_iter()
    .find(|(known, _)| *known == ending)
    .map(|(_, media_type)| media_type)
}

/// The parts of a model's turn, each with what seals it.
struct Parts<'b> {
    list: Vec<(&'b Block, Option<&'b str>)>,
    /// A signature that nothing follows.
    last: Option<&'b str>,
    path: &'b str,
}

impl<'b> Parts<'b> {
    /// Gives each signature back to the part that it came with: that which follows it. Formats that gather thoughts at the
    /// beginning of a turn leave of several the last to its first call, which must have one.
    fn of(turn: &'b Message, generation: Generation, path: &'b str, losses: &mut Losses) -> Self {
        let mut list: Vec<(&Block, Option<&str>)> = Vec::new();
        let mut pending: VecDeque<&str> = VecDeque::new();
        let mut called = false;
        let waits = wait_for_calls(&turn.blocks);
        for (at, block) in turn.blocks.iter().enumerate() {
            match block {
                Block::Thinking { seal, .. } => match seal.as_ref().map(|seal| seal.of(Maker::Gemini)) {
                    Some(Some(signature)) => pending.push_back(signature),
                    Some(None) => losses
                        .dropped(format!("{path}.thinking"), "thinking can't be sent to another provider"),
                    None => losses.dropped(
                        format!("{path}.thinking"),
                        "thinking without a signature can't be sent back",
                    ),
                },
                Block::Redacted { seal } => match seal.of(Maker::Gemini) {
                    Some(signature) => pending.push_back(signature),
                    None => losses
                        .dropped(format!("{path}.thinking"), "thinking can't be sent to another provider"),
                },
                Block::ToolUse { .. } => {
                    let mut signature = pending.pop_back();
                    pending.clear();
                    if signature.is_none() && !called && generation == Generation::Levels {
                        losses.approximated(
                            format!("{path}.tool_calls"),
                            "a call of another model's is sent without a signature",
                        );
                        signature = Some(NO_SIGNATURE);
                    }
                    called = true;
                    list.push((block, signature));
                }
                other => {
                    let waits = waits.get(at).copied().unwrap_or(false);
                    let is_of_call = pending.len() == 1 && !called && waits;
                    let signature = if is_of_call { None } else { pending.pop_front() };
                    list.push((other, signature));
                }
            }
        }
        Self { list, last: pending.pop_back(), path }
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty() && self.last.is_none()
    }

    fn write(&self, a: &mut Array<'_>, ctx: &mut Context<'_>) {
        let levels = ctx.generation == Generation::Levels;
        for (block, signature) in &self.list {
            let seal = signature.map(|text| Seal::new(Maker::Gemini, text));
            match block {
                Block::ToolUse { id, name, kind, input, .. } => a.object(|o| {
                    o.object("functionCall", |o| {
                        let name = ctx.names.shorten_word(name);
                        call(o, if levels { id } else { "" }, &name, *kind, input, ctx.losses);
                    });
                    sign(o, seal.as_ref());
                }),
                Block::Text { text, .. } => a.object(|o| {
                    o.str("text", text);
                    sign(o, seal.as_ref());
                }),
                other => self::block(a, other, self.path, ctx),
            }
        }
        if let Some(last) = self.last {
            a.object(|o| {
                o.str("text", "");
                o.str("thoughtSignature", last);
            });
        }
    }
}

/// Behind which blocks a call follows that no thought stands before any more.
fn wait_for_calls(blocks: &[Block]) -> Vec<bool> {
    let mut waits = vec![false; blocks.len()];
    let mut next = false;
    for (place, block) in waits.iter_mut().zip(blocks).rev() {
        *place = next;
        match block {
            Block::ToolUse { .. } => next = true,
            Block::Thinking { .. } | Block::Redacted { .. } => next = false,
            _ => {}
        }
    }
    waits
}
