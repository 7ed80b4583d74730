//! Gemini's format: `generateContent`, `streamGenerateContent`, models. As strict as the real service is.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Ask, Finish, Tool, word_count};
use super::behaviour::{Behaviour, UsageFault};
use super::deliver::Reply;
use super::openai::faulty;
use super::strict;

/// What is taken in place of the seal on the first call of a turn.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// An error in the format's shape.
pub(super) fn error(status: u16, message: &str) -> Reply {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let mut body = json!({"error": {"code": status, "message": message, "status": word}});
    if status == 429 {
        body["error"]["details"] =
            json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]);
    }
    Reply::json(status, &body)
}

/// The model and the operation in a path such as `/v1beta/models/m:generateContent`.
pub(super) fn asked(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.split_once("/models/")?;
    rest.rsplit_once(':')
        .filter(|(_, verb)| matches!(*verb, "generateContent" | "streamGenerateContent" | "countTokens"))
}

/// An answer, whole or as a stream.
pub(super) fn generate(path: &str, body: &Value, behaviour: &Behaviour, serial: u64) -> Reply {
    let plain = path.split('?').next().unwrap_or("");
    let Some((model, verb)) = asked(plain) else { return error(404, "no such path") };
    if verb == "countTokens" {
        return count(body, model).unwrap_or_else(|message| error(400, &message));
    }
    let mut ask = match read(body, model) {
        Ok(ask) => ask,
        Err(message) => return error(400, &message),
    };
    ask.model = model.to_owned();
    ask.stream = verb == "streamGenerateContent";
    let answer = ask.answer(behaviour.pad);
    let parts = parts(&ask, &answer, serial);
    let whole = |parts: Vec<Value>, end: bool| {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if end {
            candidate["finishReason"] =
                json!(if answer.finish == Finish::Length { "MAX_TOKENS" } else { "STOP" });
        }
        let mut out =
            json!({"candidates": [candidate], "modelVersion": model, "responseId": format!("resp{serial}")});
        if behaviour.usage != UsageFault::Missing {
            out["usageMetadata"] = usage(&answer, behaviour, end);
        }
        out
    };
    if !ask.stream || behaviour.plain_json {
        return Reply::json(200, &whole(parts, true));
    }
    let mut pieces: Vec<Value> = Vec::new();
    for part in &parts {
        match part["text"].as_str() {
            Some(text) => pieces.extend(Answer::pieces(text).map(|piece| {
                let mut one = part.clone();
                one["text"] = json!(piece);
                whole(vec![one], false)
            })),
            None => pieces.push(whole(vec![part.clone()], false)),
        }
    }
    // The reason comes by itself, without content.
    let mut last = whole(Vec::new(), true);
    last["candidates"][0].as_object_mut().map(|candidate| candidate.remove("content"));
    pieces.push(last);
    if !path.contains("alt=sse") {
        return Reply::json(200, &Value::Array(pieces));
    }
    let fault =
        json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    Reply::stream(pieces.iter().map(frame).collect(), frame(&fault))
}

/// How many tokens: always the same, so that it is known for the service's own.
fn count(body: &Value, model: &str) -> Result<Reply, String> {
    object(body, "the request", &["contents", "generateContentRequest"])?;
    match (body.get("contents"), body.get("generateContentRequest")) {
        (Some(_), None) => drop(read(body, model)?),
        (None, Some(whole)) => {
            let mut whole = whole.clone();
            let named = whole.as_object_mut().and_then(|fields| fields.remove("model"));
            if named != Some(json!(format!("models/{model}"))) {
                return Err("generateContentRequest.model: must be the model of the path".to_owned());
            }
            read(&whole, model)?;
        }
        _ => return Err("contents or generateContentRequest: one of them must be set".to_owned()),
    }
    let detail = json!([{"modality": "TEXT", "tokenCount": 43}]);
    Ok(Reply::json(200, &json!({"totalTokens": 43, "promptTokensDetails": detail})))
}

fn frame(value: &Value) -> Vec<u8> {
    format!("data: {value}\r\n\r\n").into_bytes()
}

fn parts(ask: &Ask, answer: &Answer, serial: u64) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = &answer.thought {
        parts.push(json!({"text": thought, "thought": true}));
    }
    if !answer.text.is_empty() {
        parts.push(json!({"text": answer.text}));
    }
    for (n, call) in answer.calls.iter().enumerate() {
        let args: Value = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
        let sealed = strict::seal(serial, &said(&call.name, &args));
        let mut part = json!({"functionCall": {"name": call.name, "args": args}});
        if n == 0 && signs(&ask.model) {
            part["thoughtSignature"] = json!(sealed);
        }
        parts.push(part);
    }
    parts
}

/// What the seal on a call binds.
fn said(name: &str, args: &Value) -> String {
    format!("{name} {}", strict::canonical(args))
}

fn usage(answer: &Answer, behaviour: &Behaviour, end: bool) -> Value {
    let visible = if end { answer.output - answer.thinking } else { 0 };
    let (input, output) = faulty(behaviour.usage, answer.input, visible);
    let (cached, thinking) = (behaviour.cached as i64, answer.thinking as i64);
    let mut usage =
        json!({"promptTokenCount": input + cached, "totalTokenCount": input + cached + output + thinking});
    if cached > 0 {
        usage["cachedContentTokenCount"] = json!(cached);
    }
    if thinking > 0 {
        usage["thoughtsTokenCount"] = json!(thinking);
    }
    if end {
        usage["candidatesTokenCount"] = json!(output);
    }
    usage
}

/// Models from 3 on sign their calls.
fn signs(model: &str) -> bool {
    model.starts_with("gemini-3")
}

const TOP: [&str; 9] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
];
const CONFIG: [&str; 19] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "speechConfig",
    "imageConfig",
    "mediaResolution",
    "thinkingConfig",
];
const PART: [&str; 9] = [
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// An object with its names in camel case; a name that isn't known, or stands twice, is refused.
fn object(value: &Value, what: &str, known: &[&str]) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    for (written, value) in value.as_object().ok_or_else(|| format!("Invalid value at '{what}'"))? {
        let mut name = String::new();
        let mut upper = false;
        for c in written.chars() {
            match c {
                '_' => upper = true,
                c if std::mem::take(&mut upper) => name.push(c.to_ascii_uppercase()),
                c => name.push(c),
            }
        }
        if !known.contains(&name.as_str()) {
            return Err(format!(
                "Invalid JSON payload received. Unknown name \"{written}\" at '{what}': Cannot find field."
            ));
        }
        if out.insert(name, value.clone()).is_some() {
            return Err(format!("Invalid value at '{what}': field \"{written}\" is set already"));
        }
    }
    Ok(out)
}

fn read(body: &Value, model: &str) -> Result<Ask, String> {
    let top = object(body, "request", &TOP)?;
    let contents = top.get("contents").and_then(Value::as_array).filter(|c| !c.is_empty());
    let contents = contents.ok_or("* GenerateContentRequest.contents: contents is not specified")?;
    let mut ask = Ask { messages: contents.len() as u64, ..Ask::default() };
    if let Some(system) = top.get("systemInstruction") {
        ask.messages += 1;
        for part in
            object(system, "system_instruction", &["parts", "role"])?["parts"].as_array().ok_or("no parts")?
        {
            ask.words += word_count(part["text"].as_str().ok_or("system_instruction: text only")?);
        }
    }
    if contents[0]["role"] == "model" {
        return Err("Please ensure that multiturn requests start with a user role".into());
    }
    let mut open: Vec<String> = Vec::new();
    for (n, content) in contents.iter().enumerate() {
        read_content(&mut ask, &mut open, content, model).map_err(|what| format!("contents[{n}]: {what}"))?;
    }
    if !open.is_empty() {
        return Err("Please ensure that function call turn is followed by a function response turn.".into());
    }
    if let Some(config) = top.get("generationConfig") {
        read_config(&mut ask, config, model)?;
    }
    read_tools(&mut ask, &top, model)?;
    Ok(ask)
}

fn read_tools(ask: &mut Ask, top: &Map<String, Value>, model: &str) -> Result<(), String> {
    let mut searches = false;
    for tool in top.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let tool = object(tool, "tools", &["functionDeclarations", "googleSearch"])?;
        searches |= tool.contains_key("googleSearch");
        for declared in tool.get("functionDeclarations").and_then(Value::as_array).into_iter().flatten() {
            let offered = declaration(declared, model)?;
            if ask.tools.iter().any(|known| known.name == offered.name) {
                return Err(format!("Duplicate function declaration found: {}", offered.name));
            }
            ask.tools.push(offered);
        }
    }
    if searches && !ask.tools.is_empty() {
        return Err(
            "Built-in tools ({google_search}) and Function Calling cannot be combined in the same request."
                .into(),
        );
    }
    if !signs(model) && ask.as_json && (searches || !ask.tools.is_empty()) {
        return Err("Function calling with a response mime type: 'application/json' is unsupported".into());
    }
    let Some(config) = top.get("toolConfig") else { return Ok(()) };
    let config = object(config, "tool_config", &["functionCallingConfig"])?;
    let Some(config) = config.get("functionCallingConfig") else { return Ok(()) };
    let config = object(config, "function_calling_config", &["mode", "allowedFunctionNames"])?;
    if ask.tools.is_empty() {
        return Err("Function calling config is set without function_declarations.".into());
    }
    let mode = config.get("mode").and_then(Value::as_str).unwrap_or("AUTO");
    let allowed = config.get("allowedFunctionNames").and_then(Value::as_array);
    let allowed: Vec<&str> = allowed.into_iter().flatten().filter_map(Value::as_str).collect();
    match mode {
        "AUTO" | "NONE" if !allowed.is_empty() => {
            return Err("allowed_function_names should only be set when the function calling mode is ANY or VALIDATED.".into());
        }
        "NONE" => ask.tools.clear(),
        "AUTO" | "ANY" | "VALIDATED" => {}
        other => return Err(format!("Invalid value at 'function_calling_config.mode': {other}")),
    }
    if let Some(gone) = allowed.iter().find(|name| !ask.tools.iter().any(|tool| tool.name == **name)) {
        return Err(format!("allowed_function_names: {gone} is not declared"));
    }
    if mode == "ANY" {
        ask.demanded = allowed.first().map(|name| (*name).to_owned());
    }
    Ok(())
}

/// Why a schema isn't in the part of OpenAPI's that is taken, if it isn't.
fn beyond_openapi(schema: &Value, at: &str) -> Result<(), String> {
    const TAKEN: [&str; 22] = [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
    ];
    if let Some(unknown) = strict::unknown(schema, &TAKEN) {
        return Err(format!("Unknown name \"{unknown}\" at '{at}': Cannot find field."));
    }
    let named = schema["properties"].as_object().into_iter().flat_map(|all| all.values());
    let listed = schema["anyOf"].as_array().into_iter().flatten();
    named.chain(listed).chain(schema.get("items")).try_for_each(|inner| beyond_openapi(inner, at))
}

fn read_config(ask: &mut Ask, config: &Value, model: &str) -> Result<(), String> {
    let config = object(config, "generation_config", &CONFIG)?;
    ask.max_output = config.get("maxOutputTokens").and_then(Value::as_u64);
    if ask.max_output == Some(0) {
        return Err("max_output_tokens must be positive".into());
    }
    ask.as_json = config.get("responseMimeType").is_some_and(|mime| mime == "application/json");
    let schemas = ["responseSchema", "responseJsonSchema"].map(|name| config.get(name));
    if schemas.iter().any(Option::is_some) && !ask.as_json {
        return Err("response_schema is set, but response_mime_type is not 'application/json'".into());
    }
    if schemas.iter().all(Option::is_some) || schemas[1].is_some() && is_old(model) {
        return Err("response_json_schema: not beside response_schema, nor for this model".into());
    }
    schemas[0].map_or(Ok(()), |schema| beyond_openapi(schema, "generation_config.response_schema"))?;
    if config.get("seed").is_some_and(|seed| seed.as_i64().is_none_or(|seed| i32::try_from(seed).is_err())) {
        return Err("Invalid value at 'generation_config.seed' (TYPE_INT32)".into());
    }
    for (name, least, most) in
        [("temperature", 0.0, 2.0), ("topP", 0.0, 1.0), ("candidateCount", 1.0, 8.0), ("logprobs", 0.0, 20.0)]
    {
        let n = config.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
        if n.is_some_and(|n| !(least..=most).contains(&n)) {
            return Err(format!("{name}: must be from {least} to {most}"));
        }
    }
    for stop in config.get("stopSequences").and_then(Value::as_array).into_iter().flatten() {
        ask.stops.push(stop.as_str().ok_or("stop_sequences: texts only")?.to_owned());
    }
    if ask.stops.len() > 5 {
        return Err("stop_sequences: at most 5".into());
    }
    if let Some(thinking) = config.get("thinkingConfig") {
        let thinking =
            object(thinking, "thinking_config", &["thinkingBudget", "thinkingLevel", "includeThoughts"])?;
        if thinking.contains_key("thinkingBudget") && thinking.contains_key("thinkingLevel") {
            return Err("You can only set only one of thinking budget and thinking level.".into());
        }
        if thinking.contains_key("thinkingLevel") && !signs(model) {
            return Err("Thinking level is not supported for this model.".into());
        }
        ask.reasoning = thinking.get("includeThoughts") == Some(&json!(true));
    }
    Ok(())
}

/// Models that take a part of OpenAPI's schemas only.
fn is_old(model: &str) -> bool {
    ["gemini-1", "gemini-2.0"].iter().any(|old| model.starts_with(old))
}

fn declaration(declared: &Value, model: &str) -> Result<Tool, String> {
    let fields = object(
        declared,
        "function_declarations",
        &["name", "description", "parameters", "parametersJsonSchema", "response"],
    )?;
    let name = fields.get("name").and_then(Value::as_str).ok_or("function_declarations: name is missing")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || name.len() > 64 || !name.chars().all(plain) {
        return Err(format!("Invalid function name {name}"));
    }
    if is_old(model) && fields.contains_key("parametersJsonSchema") {
        return Err("parameters_json_schema is not supported for this model".into());
    }
    if let Some(parameters) = fields.get("parameters") {
        if fields.contains_key("parametersJsonSchema") {
            return Err("parameters and parameters_json_schema cannot both be set".into());
        }
        beyond_openapi(parameters, "tools[0].function_declarations[0].parameters")?;
    }
    let schema = fields.get("parametersJsonSchema").or_else(|| fields.get("parameters"));
    Ok(Tool { name: name.to_owned(), schema: lower(schema.cloned().unwrap_or_default()) })
}

/// Types in small letters, as the made-up arguments are made by them.
fn lower(mut schema: Value) -> Value {
    for (_, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if let Some(kind) = property["type"].as_str().map(str::to_ascii_lowercase) {
            property["type"] = json!(kind);
        }
    }
    schema
}

/// Whether a call comes back as it was made, or says in the way that is documented that nobody sealed it.
fn sealed(call: &Map<String, Value>, signature: Option<&str>) -> bool {
    let name = call.get("name").and_then(Value::as_str).unwrap_or("");
    let said = said(name, call.get("args").unwrap_or(&json!({})));
    signature.is_some_and(|given| given == NO_SIGNATURE || strict::genuine(given, &said))
}

fn read_content(ask: &mut Ask, open: &mut Vec<String>, content: &Value, model: &str) -> Result<(), String> {
    let fields = object(content, "contents", &["role", "parts"])?;
    let parts = fields.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or("parts must not be empty")?;
    let parts: Vec<_> = parts.iter().map(|part| object(part, "parts", &PART)).collect::<Result<_, _>>()?;
    let by_model = match fields.get("role").and_then(Value::as_str) {
        Some("model") => true,
        None | Some("user") => false,
        Some(other) => return Err(format!("Please use a valid role: user, model. Not {other}")),
    };
    let responses = parts.iter().filter(|part| part.contains_key("functionResponse")).count();
    if !by_model && responses != open.len() {
        return Err("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.".into());
    }
    let (mut texts, mut results, mut called) = (Vec::new(), Vec::new(), 0);
    for part in &parts {
        if let Some(text) = part.get("text") {
            texts.push(text.as_str().ok_or("text must be a text")?);
        } else if let Some(call) = part.get("functionCall") {
            let call = object(call, "function_call", &["id", "name", "args"])?;
            if !by_model || !call.get("args").is_none_or(Value::is_object) {
                return Err("function_call: of the model, with args that are an object".into());
            }
            let signature = part.get("thoughtSignature").and_then(Value::as_str);
            let unsealed = called == 0 && signs(model) || signature.is_some();
            if unsealed && !sealed(&call, signature) {
                return Err(format!(
                    "Function call is missing a thought_signature in functionCall parts. {signature:?}"
                ));
            }
            called += 1;
            open.push(call.get("name").and_then(Value::as_str).ok_or("function_call: no name")?.to_owned());
        } else if let Some(response) = part.get("functionResponse") {
            let response = object(response, "function_response", &["id", "name", "response", "parts"])?;
            let said =
                response.get("response").and_then(Value::as_object).ok_or("response must be an object")?;
            let name = open.first().ok_or("no call is open")?;
            if response.get("name").and_then(Value::as_str) != Some(name) {
                return Err(format!("the response is not that of the call of {name}"));
            }
            open.remove(0);
            let text = said.get("result").or_else(|| said.get("output")).and_then(Value::as_str);
            results.push(text.map_or_else(|| Value::Object(said.clone()).to_string(), str::to_owned));
        } else if let Some(data) = part.get("inlineData") {
            let data = object(data, "inline_data", &["mimeType", "data"])?;
            if !["mimeType", "data"].iter().all(|name| data.get(*name).is_some_and(Value::is_string)) {
                return Err("inline_data: mime_type and data are needed".into());
            }
        } else if !part.contains_key("fileData") {
            return Err("required oneof field 'data' must have one initialized field".into());
        }
    }
    if by_model {
        ask.results.clear();
        return Ok(());
    }
    ask.words += texts.iter().map(|text| word_count(text)).sum::<u64>();
    ask.words += results.iter().map(|text| word_count(text)).sum::<u64>();
    ask.results = results;
    if !texts.is_empty() {
        ask.text = texts.join(" ");
    }
    Ok(())
}
