//! The neutral model as a messages request.

use std::borrow::Cow;
use std::collections::HashSet;

use super::model::{always_thinks, is_adaptive, takes_both, takes_prefill, takes_schemas, thinks};
use super::schema::{self, Unclosed};
use crate::error::{Result, WireError};
use crate::ir::{
    Block, Effort, JSON_HINT, Maker, Message, OutputFormat, Reasoning, Request, Role, Source, Tier, Tool,
    ToolChoice, ToolKind,
};
use crate::json::{Array, Object, object};
use crate::loss::Losses;
use crate::names::{Names, tool_id};
use crate::openai_chat::{TEXT_SCHEMA, custom_description};
use crate::reference::Looks;
use crate::search;

/// The least thinking budget, in tokens.
const BUDGET_MIN: u64 = 1_024;
/// At most this many cache breakpoints in a request.
const CACHES_MAX: usize = 4;
/// What a model is asked that takes no beginning of its answer.
const GO_ON: &str =
    "Go on with your last message exactly where it ends. Repeat nothing of it, and say nothing before.";

/// Encodes a request. `set` is appended as it is.
///
/// # Errors
/// Nothing is left to say after translation.
pub(crate) fn encode(
    request: &Request,
    max_tokens: u64,
    set: &[(&str, &str)],
    names: &mut Names,
    losses: &mut Losses,
) -> Result<String> {
    if request.messages.is_empty() {
        return Err(WireError::invalid("`messages` has no user or assistant content: add a user message")
            .at("messages"));
    }
    refuse(request)?;
    let mut ctx =
        Context { names, losses, looks: Looks::shared(), caches: 0, holds: takes_schemas(&request.model) };
    unsaid(request, ctx.losses);
    let schema = form(request, &mut ctx)?;
    let thinking = Thinking::plan(request, max_tokens, ctx.losses);
    let skip = |name: &str| set.iter().any(|(set, _)| *set == name);
    Ok(object(|o| {
        o.str("model", &request.model);
        if !skip("max_tokens") {
            o.num("max_tokens", max_tokens);
        }
        system(o, request, &mut ctx);
        o.array("messages", |a| messages(a, request, &mut ctx));
        tools(o, request, &mut ctx);
        sampling(o, request, thinking, ctx.losses);
        thinking.write(o, schema.as_deref());
        if let Some(user) = &request.user {
            o.object("metadata", |o| o.str("user_id", user));
        }
        match request.tier {
            Some(Tier::Auto) => o.str("service_tier", "auto"),
            Some(Tier::Standard) => o.str("service_tier", "standard_only"),
            Some(Tier::Flex | Tier::Priority) => {
                ctx.losses.dropped("service_tier", "the target has no such tier");
            }
            None => {}
        }
        if request.stream {
            o.bool("stream", true);
        }
        set.iter().for_each(|(name, value)| o.raw(name, value));
    }))
}

/// The schema that an answer is held to, as the target takes it.
///
/// # Errors
/// It can't be put so: another channel may take it.
fn form(request: &Request, ctx: &mut Context<'_>) -> Result<Option<String>> {
    let OutputFormat::JsonSchema { schema, description, .. } = &request.format else { return Ok(None) };
    if description.is_some() {
        ctx.losses.dropped("response_format.json_schema.description", "the target has no place for it");
    }
    let closed = schema::closed(schema, "response_format", &mut ctx.looks, ctx.losses).map_err(|why| {
        let message = match why {
            Unclosed::Circle => {
                "a schema that refers to itself can't be served by an Anthropic endpoint: unfold it"
            }
            Unclosed::Large => {
                "the schema can't be served by an Anthropic endpoint: with what it joins written out it is too large, or too deep; make it smaller"
            }
        };
        WireError::unsupported(message).at("response_format")
    })?;
    Ok(Some(closed))
}

/// What can't be served at all, however it is put.
fn refuse(request: &Request) -> Result<()> {
    if request.n.is_some_and(|n| n != 1) {
        let message = "`n` above 1 can't be served by an Anthropic endpoint: send that many calls";
        return Err(WireError::unsupported(message).at("n"));
    }
    if request.pictures {
        let message = "an Anthropic endpoint makes no pictures: choose another model";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    if request.audio.is_some() {
        let message = "audio output can't be served by an Anthropic endpoint";
        return Err(WireError::unsupported(message).at("modalities"));
    }
    for (at, turn) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        for block in inner {
            let why = match block {
                Block::Audio { .. } => {
                    format!("the audio of `{path}` can't be served by an Anthropic endpoint")
                }
                Block::Image { source: Source::Stored(_), .. }
                | Block::Document { source: Source::Stored(_), .. } => {
                    format!(
                        "the file of `{path}` is stored at another provider: send it inline as `file_data`"
                    )
                }
                _ => continue,
            };
            return Err(WireError::unsupported(why).at(path));
        }
    }
    Ok(())
}

/// Fields of other formats that say nothing to this one.
fn unsaid(request: &Request, losses: &mut Losses) {
    for (name, is_said) in [
        ("seed", request.seed.is_some()),
        ("presence_penalty", request.presence_penalty.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some()),
        ("logprobs", request.logprobs.is_some()),
        ("verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
    ] {
        if is_said {
            losses.dropped(name, "the target has no place for it");
        }
    }
}

struct Context<'a> {
    names: &'a mut Names,
    losses: &'a mut Losses,
    /// How much of all schemas may still be read.
    looks: Looks,
    caches: usize,
    /// The model can be held to schemas.
    holds: bool,
}

impl Context<'_> {
    fn cache(&mut self, o: &mut Object<'_>, cache: Option<&String>) {
        let Some(cache) = cache else {
            return;
        };
        if self.caches >= CACHES_MAX {
            self.losses.dropped("cache_control", "the target takes four cache breakpoints");
            return;
        }
        self.caches += 1;
        o.raw("cache_control", cache);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Unsaid,
    Budget(u64),
    Adaptive(Option<Effort>),
    Disabled,
}

impl Thinking {
    fn plan(request: &Request, max_tokens: u64, losses: &mut Losses) -> Self {
        let adaptive = is_adaptive(&request.model);
        let (budget, effort) = match request.reasoning {
            None => return Thinking::Unsaid,
            Some(asked) if !thinks(&request.model) => {
                if asked != Reasoning::Off {
                    losses.dropped("reasoning_effort", "the model can't think");
                }
                return Thinking::Unsaid;
            }
            Some(Reasoning::Off) if adaptive => {
                if always_thinks(&request.model) {
                    losses.dropped("reasoning_effort", "nothing keeps this model from thinking");
                }
                return Thinking::Unsaid;
            }
            Some(Reasoning::Off) => return Thinking::Disabled,
            Some(Reasoning::Adaptive) => (Effort::Medium.budget(), None),
            Some(Reasoning::Effort(effort)) => (effort.budget(), Some(effort.max(Effort::Low))),
            Some(Reasoning::Budget(tokens)) => (tokens, Some(Effort::of_budget(tokens))),
        };
        // QUIRK(anthropic, 2026-05): forced tools and thinking exclude each other.
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)))
            && (!request.tools.is_empty() || request.search.is_some())
        {
            losses.dropped("reasoning_effort", "a forced tool call excludes thinking");
            return Thinking::Unsaid;
        }
        if adaptive {
            match request.reasoning {
                Some(Reasoning::Effort(Effort::Minimal)) => {
                    losses.approximated("reasoning_effort", "the model has other efforts");
                }
                Some(Reasoning::Budget(_)) => {
                    losses.approximated("thinking.budget_tokens", "the model has efforts, no budgets");
                }
                _ => {}
            }
            return Thinking::Adaptive(effort);
        }
        if is_begun(request) && takes_prefill(&request.model) {
            losses.dropped("reasoning_effort", "an answer that is begun excludes thinking");
            return Thinking::Unsaid;
        }
        // QUIRK(anthropic, 2026-05): a tool loop that began without thinking can't take it up.
        if loop_without_thinking(request) {
            losses
                .dropped("reasoning_effort", "the last assistant turn has tool calls without their thinking");
            return Thinking::Unsaid;
        }
        if max_tokens <= BUDGET_MIN {
            losses.dropped("reasoning_effort", "the output ceiling leaves no room for thinking");
            return Thinking::Unsaid;
        }
        // A quarter of the ceiling is left for the answer, as far as the least budget allows it.
        let fits = budget.clamp(BUDGET_MIN, (max_tokens - max_tokens / 4).max(BUDGET_MIN));
        if fits != budget {
            losses.approximated("reasoning_effort", "the thinking budget is fitted to the output ceiling");
        }
        Thinking::Budget(fits)
    }

    fn is_on(self) -> bool {
        matches!(self, Thinking::Budget(_) | Thinking::Adaptive(_))
    }

    fn write(self, o: &mut Object<'_>, schema: Option<&str>) {
        match self {
            Thinking::Unsaid => {}
            Thinking::Disabled => o.object("thinking", |o| o.str("type", "disabled")),
            Thinking::Budget(tokens) => o.object("thinking", |o| {
                o.str("type", "enabled");
                o.num("budget_tokens", tokens);
            }),
            // Without `display` the text of the thinking is left out.
            Thinking::Adaptive(_) => o.object("thinking", |o| {
                o.str("type", "adaptive");
                o.str("display", "summarized");
            }),
        }
        let effort = if let Thinking::Adaptive(effort) = self { effort } else { None };
        if effort.is_none() && schema.is_none() {
            return;
        }
        o.object("output_config", |o| {
            if let Some(effort) = effort {
                o.str("effort", effort.as_str());
            }
            if let Some(schema) = schema {
                o.object("format", |o| {
                    o.str("type", "json_schema");
                    o.raw("schema", schema);
                });
            }
        });
    }
}

/// Whether the caller has begun the answer.
fn is_begun(request: &Request) -> bool {
    request.messages.last().is_some_and(|last| last.role == Role::Assistant)
}

/// Whether the last assistant turn called tools without thinking before.
fn loop_without_thinking(request: &Request) -> bool {
    let last = request.messages.iter().rev().find(|turn| turn.role == Role::Assistant);
    let has = |turn: &Message, pick: fn(&Block) -> bool| turn.blocks.iter().any(pick);
    last.is_some_and(|turn| {
        has(turn, |b| matches!(b, Block::ToolUse { .. }))
            && !has(turn, |b| {
                matches!(b, Block::Thinking { seal: Some(seal), .. } | Block::Redacted { seal } if seal.maker == Maker::Anthropic)
            })
    })
}

fn sampling(o: &mut Object<'_>, request: &Request, thinking: Thinking, losses: &mut Losses) {
    let why = if is_adaptive(&request.model) {
        Some("the model takes no sampling parameters")
    } else {
        thinking.is_on().then_some("thinking excludes sampling parameters")
    };
    for (name, value) in
        [("temperature", &request.temperature), ("top_p", &request.top_p), ("top_k", &request.top_k)]
    {
        let Some(value) = value else {
            continue;
        };
        if name == "top_p" && why.is_none() && request.temperature.is_some() && !takes_both(&request.model) {
            losses.dropped(name, "the model takes a temperature or this, not both");
            continue;
        }
        match why {
            // QUIRK(anthropic, 2026-05): with thinking only the default temperature is taken.
            Some(_) if name == "temperature" && matches!(value.as_str(), "1" | "1.0") => {}
            Some(why) => losses.dropped(name, why),
            None if name == "temperature" && value.parse::<f64>().is_ok_and(|t| t > 1.0) => {
                losses.approximated(name, "the target's scale ends at 1");
                o.raw(name, "1");
            }
            None => o.raw(name, value),
        }
    }
    let (stops, blank): (Vec<&String>, Vec<&String>) =
        request.stop.iter().partition(|s| !s.trim().is_empty());
    if !blank.is_empty() {
        losses.dropped("stop", "the target takes no blank stop sequences");
    }
    if !stops.is_empty() {
        o.array("stop_sequences", |a| stops.iter().for_each(|s| a.str(s)));
    }
}

fn system(o: &mut Object<'_>, request: &Request, ctx: &mut Context<'_>) {
    let json_only = request.format == OutputFormat::JsonObject;
    if json_only {
        ctx.losses
            .approximated("response_format", "said in the system prompt: the target has no plain JSON mode");
    }
    match request.system.as_slice() {
        [] if !json_only => {}
        [only] if !json_only && only.cache.is_none() => o.str("system", &only.text),
        several => o.array("system", |a| {
            for text in several {
                a.object(|o| {
                    o.str("type", "text");
                    o.str("text", &text.text);
                    ctx.cache(o, text.cache.as_ref());
                });
            }
            if json_only {
                a.object(|o| {
                    o.str("type", "text");
                    o.str("text", JSON_HINT);
                });
            }
        }),
    }
}

fn tools(o: &mut Object<'_>, request: &Request, ctx: &mut Context<'_>) {
    let found = search::for_anthropic(request, ctx.losses);
    if request.tools.is_empty() && found.is_none() {
        return;
    }
    let mut declared: Vec<&Tool> = request.tools.iter().collect();
    if !request.allowed_tools.is_empty() {
        // The target has no such choice: declare only the tools that are allowed.
        let allowed: HashSet<&str> = request.allowed_tools.iter().map(String::as_str).collect();
        declared.retain(|tool| allowed.contains(tool.name.as_str()));
        ctx.losses.approximated("tool_choice", "only the allowed tools are declared");
    }
    o.array("tools", |a| {
        declared.into_iter().for_each(|t| a.object(|o| tool(o, t, ctx)));
        if let Some(search) = found {
            search::write_anthropic(a, search);
        }
    });
    // "One at a time" needs a choice object, and is illegal with `none`.
    let alone = request.parallel_tools == Some(false);
    let (word, name) = match &request.tool_choice {
        None if alone => ("auto", None),
        None => return,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(ctx.names.shorten(name))),
    };
    o.object("tool_choice", |o| {
        o.str("type", word);
        if let Some(name) = &name {
            o.str("name", name);
        }
        if alone && word != "none" {
            o.bool("disable_parallel_tool_use", true);
        }
    });
}

fn tool(o: &mut Object<'_>, tool: &Tool, ctx: &mut Context<'_>) {
    // No `type`: it is optional, and some servers of this format refuse the word `custom`.
    let name = ctx.names.shorten(&tool.name);
    o.str("name", &name);
    let described = if tool.kind == ToolKind::Custom {
        ctx.losses.approximated("tools", "a tool that takes a text takes it as `input` of an object");
        ctx.names.wrap(&name);
        Some(custom_description(tool))
    } else {
        tool.description.clone()
    };
    if let Some(description) = described.filter(|d| !d.is_empty()) {
        o.str("description", &description);
    }
    if tool.kind == ToolKind::Custom {
        o.raw("input_schema", TEXT_SCHEMA);
        return ctx.cache(o, tool.cache.as_ref());
    }
    let mut strict = tool.strict;
    // The target insists on an object.
    let mut taken = match (strict, tool.object_schema()) {
        (_, Some(schema)) => schema,
        (Some(true), None) => {
            Cow::Borrowed(r#"{"type":"object","properties":{},"additionalProperties":false}"#)
        }
        (_, None) => Cow::Borrowed(r#"{"type":"object","properties":{}}"#),
    };
    if strict == Some(true) && !ctx.holds {
        ctx.losses.approximated("tools[].strict", "the model can't be held to schemas: it is shown them");
        strict = None;
    }
    if strict == Some(true) {
        match schema::closed(&taken, "tools[].parameters", &mut ctx.looks, ctx.losses) {
            Ok(closed) => taken = Cow::Owned(closed),
            Err(why) => {
                let why = match why {
                    Unclosed::Circle => "a schema that refers to itself can't be so here",
                    Unclosed::Large => "the schema is too large, or too deep, to be so here",
                };
                ctx.losses.approximated("tools[].strict", why);
                strict = Some(false);
            }
        }
    }
    o.raw("input_schema", &taken);
    if let Some(strict) = strict.filter(|_| ctx.holds) {
        o.bool("strict", strict);
    }
    ctx.cache(o, tool.cache.as_ref());
}

fn messages(a: &mut Array<'_>, request: &Request, ctx: &mut Context<'_>) {
    if request.messages.first().is_some_and(|first| first.role == Role::Assistant) {
        ctx.losses.approximated(
            "messages",
            "the target wants a user turn first: one with a full stop was put before",
        );
        a.object(|o| {
            o.str("role", "user");
            o.str("content", ".");
        });
    }
    let last = request.messages.len() - 1;
    let goes_on = is_begun(request) && !takes_prefill(&request.model);
    for (at, turn) in request.messages.iter().enumerate() {
        let prefill = at == last && is_begun(request) && !goes_on;
        a.object(|o| {
            o.str("role", if turn.role == Role::User { "user" } else { "assistant" });
            o.array("content", |a| turn_blocks(a, turn, prefill, ctx));
        });
    }
    if goes_on {
        let why = "the model takes no beginning of its answer: it is asked to go on with it";
        ctx.losses.approximated(format!("messages[{last}]"), why);
        a.object(|o| {
            o.str("role", "user");
            o.str("content", GO_ON);
        });
    }
}

fn turn_blocks(a: &mut Array<'_>, turn: &Message, prefill: bool, ctx: &mut Context<'_>) {
    // Results stand first in the turn that answers the calls.
    let (results, rest): (Vec<&Block>, Vec<&Block>) =
        turn.blocks.iter().partition(|b| matches!(b, Block::ToolResult { .. }));
    let end = rest.len();
    results.into_iter().for_each(|b| block(a, b, false, ctx));
    for (n, b) in rest.into_iter().enumerate() {
        block(a, b, prefill && n + 1 == end, ctx);
    }
}

fn block(a: &mut Array<'_>, block: &Block, trim: bool, ctx: &mut Context<'_>) {
    match block {
        Block::Text { text, cache } => a.object(|o| {
            o.str("type", "text");
            // A prefill must not end in white space.
            o.str("text", if trim { text.trim_end() } else { text });
            ctx.cache(o, cache.as_ref());
        }),
        Block::Image { source, cache, .. } => a.object(|o| {
            o.str("type", "image");
            o.object("source", |o| write_source(o, source));
            ctx.cache(o, cache.as_ref());
        }),
        Block::Document { source, name, cache } => a.object(|o| {
            o.str("type", "document");
            o.object("source", |o| write_source(o, source));
            if let Some(name) = name {
                o.str("title", name);
            }
            ctx.cache(o, cache.as_ref());
        }),
        Block::ToolUse { id, name, kind, input, cache } => a.object(|o| {
            o.str("type", "tool_use");
            o.str("id", &tool_id(id));
            o.str("name", &ctx.names.shorten(name));
            match kind {
                ToolKind::Function => o.raw("input", input),
                ToolKind::Custom => o.object("input", |o| o.str("input", input)),
            }
            ctx.cache(o, cache.as_ref());
        }),
        Block::ToolResult { id, content, is_error, cache } => a.object(|o| {
            o.str("type", "tool_result");
            o.str("tool_use_id", &tool_id(id));
            if !content.is_empty() {
                o.array("content", |a| content.iter().for_each(|inner| self::block(a, inner, false, ctx)));
            }
            if *is_error {
                o.bool("is_error", true);
            }
            ctx.cache(o, cache.as_ref());
        }),
        Block::Thinking { text, seal } => match seal.as_ref().map(|seal| seal.of(Maker::Anthropic)) {
            Some(Some(signature)) => a.object(|o| {
                o.str("type", "thinking");
                o.str("thinking", text);
                o.str("signature", signature);
            }),
            Some(None) => {
                ctx.losses.dropped("messages[].thinking", "thinking can't be sent to another provider")
            }
            None => {
                ctx.losses.dropped("messages[].thinking", "thinking without a signature can't be sent back")
            }
        },
        Block::Redacted { seal } => match seal.of(Maker::Anthropic) {
            Some(data) => a.object(|o| {
                o.str("type", "redacted_thinking");
                o.str("data", data);
            }),
            None => ctx.losses.dropped("messages[].thinking", "thinking can't be sent to another provider"),
        },
        // Refused before.
        Block::Audio { .. } => {}
    }
}

fn write_source(o: &mut Object<'_>, source: &Source) {
    match source {
        Source::Base64 { media_type, data } => {
            o.str("type", "base64");
            o.str("media_type", media_type);
            o.str("data", data);
        }
        Source::Url(url) | Source::Stored(url) => {
            o.str("type", "url");
            o.str("url", url);
        }
        Source::Text(text) => {
            o.str("type", "text");
            o.str("media_type", "text/plain");
            o.str("data", text);
        }
    }
}
