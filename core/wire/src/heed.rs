//! What a request says that some formats have no place for, whatever it came in: put otherwise, or named, before it is written.

use std::collections::HashSet;

use sluicegate_core::Format;
use sluicegate_core::ids::own_name;
use sluicegate_core::openai::is_openais;
use sluicegate_core::quirk::{Parameter, Quirks, ThinkingQuirk};

use crate::ir::{Block, OutputFormat, Reasoning, Request, Role, SystemText, Tier, ToolChoice};
use crate::json::{Val, compact, object};
use crate::loss::Losses;
use crate::reference::{Definitions, Looks};

const NO_PLACE: &str = "the target has no place for it";
/// Why a word that the format has isn't sent: others would refuse the call for it.
const NOT_KNOWN: &str = "the provider isn't known to take it";

/// Puts the request as the target can be told it, whose provider differs from its format in these ways.
pub(crate) fn heed(request: &mut Request, target: Format, quirks: Option<&Quirks>, losses: &mut Losses) {
    if matches!(target, Format::OpenaiChat | Format::OpenaiResponses) {
        let model = std::mem::take(&mut request.model);
        let takes = |what| takes(quirks, what, target, &model);
        leave_untaken(request, &takes, losses);
        say_form(request, &takes, losses);
        heed_marks(request, target, &takes, losses);
        request.model = model;
    }
    if target != Format::OpenaiResponses {
        let safety_id = request.safety_id.take();
        request.user = request.user.take().or(safety_id);
        for (name, said) in [
            ("metadata", request.metadata.take()),
            ("prompt_cache_retention", request.cache_retention.take()),
        ] {
            if said.is_some() {
                losses.dropped(name, NO_PLACE);
            }
        }
    }
    if !matches!(target, Format::OpenaiChat | Format::OpenaiResponses) {
        note_details(request, losses);
    }
    if matches!(target, Format::AnthropicMessages | Format::GeminiGenerate) {
        speak(request, losses);
    }
}

/// Puts which tools may be called, and which must be, as the target can be told it. Those that are chosen are declared.
pub(crate) fn heed_choice(
    request: &mut Request,
    target: Format,
    quirks: Option<&Quirks>,
    losses: &mut Losses,
) {
    if let Some(how) = quirks.and_then(|quirks| quirks.thinking_of(&request.model)).filter(|how| how.unforced)
    {
        unforce(request, target, how, losses);
    }
    let is_openais = matches!(target, Format::OpenaiChat | Format::OpenaiResponses);
    if is_openais && !takes(quirks, Parameter::AllowedTools, target, &request.model) {
        let allowed = std::mem::take(&mut request.allowed_tools);
        if !allowed.is_empty() {
            declare_only(request, &allowed, losses);
        }
    }
}

/// Demands no call of a model that thinks whatever it is told, and keeps one from thinking that would refuse the demand.
// QUIRK(deepseek, 2026-11, https://github.com/deepseek-ai/awesome-deepseek-integration/issues/598): 400 in Anthropic's format as well.
fn unforce(request: &mut Request, target: Format, how: &ThinkingQuirk, losses: &mut Losses) {
    if request.tools.is_empty() {
        return;
    }
    let named = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name.clone()),
        Some(ToolChoice::Required) => None,
        _ => return,
    };
    match target {
        Format::OpenaiChat if how.off.is_empty() => {
            losses.approximated("tool_choice", "the model thinks: it can't be made to call a tool");
            if let Some(name) = named {
                declare_only(request, &[name], losses);
            }
            request.tool_choice = Some(ToolChoice::Auto);
        }
        // Where it is kept from thinking in Anthropic's own words.
        Format::AnthropicMessages if how.off.contains_key("thinking") => {
            if request.reasoning.is_some_and(|asked| asked != Reasoning::Off) {
                losses.dropped("reasoning_effort", "a forced tool call excludes thinking");
            }
            request.reasoning = Some(Reasoning::Off);
        }
        _ => {}
    }
}

/// Leaves these tools alone declared.
fn declare_only(request: &mut Request, allowed: &[String], losses: &mut Losses) {
    let all = request.tools.len();
    let allowed: HashSet<&str> = allowed.iter().map(String::as_str).collect();
    request.tools.retain(|tool| allowed.contains(tool.name.as_str()));
    if request.tools.len() < all {
        losses.approximated("tool_choice", "only the tools that may be called are declared");
    }
}

/// Takes out what OpenAI's formats have a place for, where it isn't known that the provider takes it.
// QUIRK(groq, cerebras, 2026-11, https://github.com/zed-industries/zed/issues/36215): 400 and 422 for a word that they don't know.
fn leave_untaken(request: &mut Request, takes: &dyn Fn(Parameter) -> bool, losses: &mut Losses) {
    if !takes(Parameter::SafetyIdentifier) {
        let safety_id = request.safety_id.take();
        request.user = request.user.take().or(safety_id);
    }
    for (what, said) in [
        (Parameter::Verbosity, &mut request.verbosity),
        (Parameter::PromptCacheKey, &mut request.cache_key),
        (Parameter::PromptCacheRetention, &mut request.cache_retention),
        (Parameter::TopK, &mut request.top_k),
    ] {
        if said.is_some() && !takes(what) {
            *said = None;
            losses.dropped(what.as_str(), NOT_KNOWN);
        }
    }
    let tier_taken = match request.tier {
        Some(Tier::Flex) => takes(Parameter::FlexTier) || takes(Parameter::ServiceTier),
        _ => takes(Parameter::ServiceTier),
    };
    if !tier_taken && let Some(tier) = request.tier.take() {
        // "auto" is what is served unasked, at whatever tier that is.
        if tier != Tier::Auto {
            losses.dropped("service_tier", "the provider isn't known to have such a tier");
        }
    }
}

/// What asks for an answer of some form, before the schema.
const FORM_HINT: &str = "nothing else. It must be valid against this JSON schema:";

/// Says what form the answer is to have, where a model can't be held to one: in words, with JSON of any form held to.
// QUIRK(deepseek, 2026-11, https://api-docs.deepseek.com/guides/json_mode): 400 for a schema.
fn say_form(request: &mut Request, takes: &dyn Fn(Parameter) -> bool, losses: &mut Losses) {
    let OutputFormat::JsonSchema { description, schema, .. } = &request.format else { return };
    if takes(Parameter::JsonSchema) {
        return;
    }
    losses.approximated("response_format", "said in the system prompt: the model can't be held to a schema");
    let root = Val::trusted(schema);
    let is_object = is_object(root, &mut Definitions::of(root), &mut Looks::at(root), ROOTS_MAX);
    let what = if is_object { "object" } else { "value" };
    let mut text = format!("Answer with one JSON {what} and {FORM_HINT}\n{}", compact(schema));
    if let Some(description) = description {
        text.push_str("\n\n");
        text.push_str(description);
    }
    request.format = if is_object { OutputFormat::JsonObject } else { OutputFormat::Text };
    request.system.push(SystemText { text, cache: None });
}

/// So many references and choices lead from the root of a schema to what it is.
const ROOTS_MAX: usize = 8;

/// Whether all that is valid against a schema is an object.
// BOUND: as much of it is read as there is time for, and no deeper than `steps`.
fn is_object<'s>(
    schema: Val<'s>,
    definitions: &mut Definitions<'s>,
    looks: &mut Looks,
    steps: usize,
) -> bool {
    let Some(steps) = steps.checked_sub(1).filter(|_| looks.look(schema)) else { return false };
    if let Some(kind) = schema.get("type") {
        let mut kinds = kind.as_str().into_iter().chain(kind.elements().filter_map(Val::as_str)).peekable();
        return kinds.peek().is_some() && kinds.all(|kind| kind == "object");
    }
    if let Some(pointer) = schema.get_str("$ref") {
        let found = definitions.resolve(&pointer, looks);
        return found.is_some_and(|found| is_object(found, definitions, looks, steps));
    }
    if let Some(choice) = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)) {
        let mut ways = choice.elements().peekable();
        return ways.peek().is_some() && ways.all(|way| is_object(way, definitions, looks, steps));
    }
    let mut parts = schema.get("allOf").into_iter().flat_map(Val::elements);
    schema.get("properties").is_some() || parts.any(|part| is_object(part, definitions, looks, steps))
}

/// Takes out marks for the prompt cache where the provider isn't known to take them, and everywhere how long it is to be kept: nobody who
/// takes them in chat tells what was written for an hour.
fn heed_marks(request: &mut Request, target: Format, takes: &dyn Fn(Parameter) -> bool, losses: &mut Losses) {
    // Responses have no place for them.
    let is_chat = target == Format::OpenaiChat;
    let everywhere = is_chat && takes(Parameter::CacheControl);
    let on_prompts = everywhere || is_chat && takes(Parameter::PromptCacheControl);
    let mut heed = |mark: &mut Option<String>, path: &str, is_taken: bool| {
        let Some(said) = mark else { return };
        let path = format!("{path}.cache_control");
        if !is_taken {
            losses.dropped(path, "the provider isn't known to take marks for its cache");
            *mark = None;
        } else if Val::trusted(said).get("ttl").is_some() {
            losses.approximated(format!("{path}.ttl"), "the provider has one length of time");
            *said = without_ttl(said);
        }
    };
    request.system.iter_mut().for_each(|said| heed(&mut said.cache, "system[]", on_prompts));
    request.tools.iter_mut().for_each(|tool| heed(&mut tool.cache, "tools[]", everywhere));
    for (at, turn) in request.messages.iter_mut().enumerate() {
        let path = format!("messages[{at}]");
        for block in &mut turn.blocks {
            if let Block::ToolResult { content, cache, .. } = block {
                // What is marked in a result is so with all of it.
                let mut inner = None;
                for block in content {
                    inner = block.mark().and_then(Option::take).or(inner);
                }
                *cache = cache.take().or(inner);
            }
            let is_asked = turn.role == Role::User && !matches!(block, Block::ToolResult { .. });
            if let Some(mark) = block.mark() {
                heed(mark, &path, if is_asked { on_prompts } else { everywhere });
            }
        }
    }
}

fn without_ttl(mark: &str) -> String {
    object(|o| {
        let kept = Val::trusted(mark).members().filter(|(name, _)| name != "ttl");
        kept.for_each(|(name, value)| o.raw(&name, value.raw()));
    })
}

/// Whether a model takes what not everybody does. Where nobody knows, OpenAI's own models take OpenAI's words.
fn takes(quirks: Option<&Quirks>, what: Parameter, target: Format, model: &str) -> bool {
    let known = quirks.and_then(|quirks| quirks.takes(what, target, model));
    known.unwrap_or_else(|| match what {
        // QUIRK(openai, 2026-11, https://platform.openai.com/docs/api-reference/chat/create): 400 for others' models.
        Parameter::Verbosity => own_name(model).starts_with("gpt-5"),
        Parameter::PromptCacheKey
        | Parameter::PromptCacheRetention
        | Parameter::SafetyIdentifier
        | Parameter::ServiceTier
        | Parameter::FlexTier => is_openais(model),
        Parameter::JsonSchema => true,
        Parameter::CacheControl
        | Parameter::PromptCacheControl
        | Parameter::TopK
        | Parameter::AllowedTools => false,
    })
}

fn note_details(request: &Request, losses: &mut Losses) {
    for (at, turn) in request.messages.iter().enumerate() {
        let mut inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        if inner.any(|block| matches!(block, Block::Image { detail: Some(_), .. })) {
            losses.dropped(format!("messages[{at}].detail"), "the target chooses the resolution itself");
        }
    }
}

/// A system prompt that nothing follows is no call there.
fn speak(request: &mut Request, losses: &mut Losses) {
    if !request.messages.is_empty() || request.system.iter().all(|said| said.text.trim().is_empty()) {
        return;
    }
    losses.approximated("messages", "the system prompt stands alone: it is sent as the user's turn");
    let said = std::mem::take(&mut request.system).into_iter();
    let said = said.filter(|said| !said.text.trim().is_empty());
    request.add(
        Role::User,
        said.map(|said| Block::Text { text: said.text, cache: said.cache }).collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;

    use super::*;
    use crate::{Edits, scan};

    #[test]
    fn the_root_of_a_schema_is_followed_to_what_it_is() {
        let deep = format!(r#"{}{{"type":"object"}}{}"#, r#"{"allOf":["#.repeat(20), "]}".repeat(20));
        for (schema, want) in [
            (r#"{"type":"object"}"#, true),
            (r#"{"properties":{"a":{}}}"#, true),
            (r#"{"type":["object"]}"#, true),
            (r#"{"type":["object","null"]}"#, false),
            (r#"{"type":"array"}"#, false),
            ("{}", false),
            (r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}"##, true),
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/definitions/b"}},"definitions":{"b":{"type":"object"}}}"##,
                true,
            ),
            (r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}"##, false),
            (r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}"##, false),
            (r##"{"$ref":"#/$defs/none"}"##, false),
            (r##"{"anyOf":[{"type":"object"},{"$ref":"#/$defs/a"}],"$defs":{"a":{"properties":{}}}}"##, true),
            (r#"{"oneOf":[{"type":"object"},{"type":"null"}]}"#, false),
            (r#"{"anyOf":[]}"#, false),
            (r#"{"allOf":[{"description":"d"},{"type":"object"}]}"#, true),
            (deep.as_str(), false),
        ] {
            let root = Val::trusted(schema);
            let found = is_object(root, &mut Definitions::of(root), &mut Looks::at(root), ROOTS_MAX);
            assert_eq!(found, want, "{schema}");
        }
    }

    #[test]
    fn a_form_that_is_said_in_words_is_reserved() {
        let quirks = r#"{"parameters":[{"id":"a","lacks":["json_schema"],"source":"s","checked":"d"}]}"#;
        let quirks: Quirks = serde_json::from_str(quirks).unwrap();
        let many: Vec<String> = (0..50)
            .map(|n| format!(r#""f{n}":{{"type":"STRING","nullable":true,"enum":["a","b"]}}"#))
            .collect();
        let own = format!(r#"{{"type":"OBJECT","properties":{{{}}}}}"#, many.join(","));
        // Escapes are counted as what they stand for, and stand in words as they came.
        let escaped = format!(
            r#"{{"type":"object","description":"{}"}}"#,
            r#"\u00e9\"\u0041\ud83d\ude00\\\n"#.repeat(200)
        );
        for (format, form) in [
            (
                Format::GeminiGenerate,
                format!(
                    r#""generationConfig":{{"responseMimeType":"application/json","responseSchema":{own}}}"#
                ),
            ),
            (
                Format::AnthropicMessages,
                format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{escaped}}}}}"#),
            ),
            (
                Format::OpenaiResponses,
                format!(
                    r#""text":{{"format":{{"type":"json_schema","name":"n","description":"d","schema":{escaped}}}}}"#
                ),
            ),
        ] {
            let prompt = match format {
                Format::GeminiGenerate => r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
                Format::OpenaiResponses => r#""input":"hi""#,
                _ => r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#,
            };
            let body = format!(r#"{{"model":"m",{prompt},{form}}}"#);
            let scanned = scan(format, &Bytes::from(body)).unwrap();
            let edits = Edits { model: Some("m"), quirks: Some(&quirks), ..Edits::default() };
            let prepared = scanned.prepare(&edits, Format::OpenaiChat).unwrap();
            let sent: Value = serde_json::from_slice(&prepared.body).unwrap();
            assert_eq!(sent["response_format"]["type"], "json_object", "{format:?}");
            let said = sent["messages"][0]["content"].as_str().unwrap().len() as u64;
            let facts = scanned.facts();
            let reserved = facts.text_bytes + facts.translated.at(Format::OpenaiChat, "m");
            assert!(said <= reserved, "{format:?}: {said} of {reserved}");
            assert!(prepared.losses.iter().any(|loss| loss.path == "response_format"), "{format:?}");
        }
    }
}
