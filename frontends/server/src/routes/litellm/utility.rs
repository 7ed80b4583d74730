//! `/utils/…`: how many tokens a prompt has, which parameters a model takes, what a request becomes on its way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::Method;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluicegate::prepare::{Ready, Unsent, Way, prepare};
use sluicegate::wire::{self, Scanned, WireError};
use sluicegate::{Channel, ChannelId, ChannelModel, Error, ErrorKind, Format, Result};

use super::fields::{self, Fields};
use super::models::{self, Served};
use super::{body, query, warned};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/utils/token_counter", || ask::route(Method::POST, token_counter)),
        Entry::plain(Method::GET, "/utils/supported_openai_params", || {
            ask::route(Method::GET, supported_params)
        }),
        Entry::plain(Method::POST, "/utils/transform_request", || ask::route(Method::POST, transform)),
    ]
}

/// What is to be counted.
pub(super) struct Asked {
    messages: Value,
    tools: Option<Value>,
}

impl Asked {
    /// `messages`, or a `prompt`; and `tools`.
    pub(super) fn take(fields: &mut Fields) -> Result<Self> {
        let messages = fields.take("messages").value();
        let prompt = fields.text("prompt")?.value();
        let messages = match (messages, prompt) {
            (Some(messages), _) => messages,
            (None, Some(prompt)) => json!([{"role": "user", "content": prompt}]),
            (None, None) => return Err(fields::missing("messages")),
        };
        Ok(Self { messages, tools: fields.take("tools").value() })
    }
}

/// How many tokens there are, by which tokenizer.
pub(super) struct Counted {
    pub(super) tokens: u64,
    tokenizer: Option<&'static str>,
    upstream: Option<String>,
}

/// Counts a prompt as a model's provider would. Of a model that nobody serves, or that the asker may not call, as of one whose
/// tokenizer isn't known.
pub(super) async fn count(ask: &Ask, model: &str, asked: Asked) -> Result<Counted> {
    let served = models::served(ask, model).await?;
    let mut request = json!({"model": model, "messages": asked.messages});
    if let Some(tools) = asked.tools {
        request["tools"] = tools;
    }
    let scanned = scan(Format::OpenaiChat, &request)?;
    let own = served.as_ref().and_then(|served| served.tokenizer);
    let tokens = sluicegate::count_tokens(&scanned, own).await;
    let upstream = served.map(|served| served.upstream);
    Ok(Counted { tokens, tokenizer: own.map(|own| own.as_str()), upstream })
}

async fn token_counter(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let model = fields.required("model")?;
    let asked = Asked::take(&mut fields)?;
    let warnings = fields.finish()?;
    let counted = count(&ask, &model, asked).await?;
    let row = Map::from_iter([
        ("total_tokens".to_owned(), counted.tokens.into()),
        ("request_model".to_owned(), model.as_str().into()),
        ("model_used".to_owned(), counted.upstream.unwrap_or(model).into()),
        // Whose tokenizer isn't known is counted generously.
        ("tokenizer_type".to_owned(), counted.tokenizer.unwrap_or("estimated").into()),
    ]);
    warned(row, warnings)
}

fn scan(format: Format, request: &Value) -> Result<Scanned> {
    wire::scan(format, &Bytes::from(request.to_string())).map_err(refused)
}

fn refused(why: WireError) -> Error {
    Error::new(why.kind(), why.to_string()).with("param", "request_body")
}

/// Parameters of OpenAI's chat, each with what it is tried with, and what it needs beside it.
fn parameters() -> Vec<(&'static str, Value, Value)> {
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]});
    let nothing = || json!({});
    vec![
        ("frequency_penalty", json!(0.5), nothing()),
        ("logit_bias", json!({"50256": -100}), nothing()),
        ("logprobs", json!(true), nothing()),
        ("top_logprobs", json!(2), json!({"logprobs": true})),
        ("max_tokens", json!(16), nothing()),
        ("max_completion_tokens", json!(16), nothing()),
        ("modalities", json!(["text"]), nothing()),
        ("n", json!(2), nothing()),
        ("parallel_tool_calls", json!(false), tools.clone()),
        ("prediction", json!({"type": "content", "content": "a"}), nothing()),
        ("presence_penalty", json!(0.5), nothing()),
        ("reasoning_effort", json!("low"), nothing()),
        ("response_format", json!({"type": "json_object"}), nothing()),
        ("seed", json!(1), nothing()),
        ("service_tier", json!("default"), nothing()),
        ("stop", json!(["x"]), nothing()),
        ("stream", json!(true), nothing()),
        ("stream_options", json!({"include_usage": true}), json!({"stream": true})),
        ("temperature", json!(0.5), nothing()),
        ("tool_choice", json!("auto"), tools.clone()),
        ("tools", tools["tools"].clone(), nothing()),
        ("top_p", json!(0.5), nothing()),
        ("user", json!("u"), nothing()),
        ("verbosity", json!("low"), nothing()),
        ("web_search_options", json!({}), nothing()),
    ]
}

/// Whether a parameter of a chat arrives at a model: it is put into a request, and nothing of it is lost on the way.
fn arrives(served: &Served, name: &str, value: &Value, beside: &Value) -> bool {
    let mut request = json!({"model": served.upstream, "messages": [{"role": "user", "content": "hi"}]});
    if let (Some(request), Some(beside)) = (request.as_object_mut(), beside.as_object()) {
        request.extend(beside.clone());
        request.insert(name.to_owned(), value.clone());
    }
    // Losses name a search as whatever format says it.
    let told = if name == "web_search_options" { "web_search" } else { name };
    let is_of_it = |path: &str| path.split(['.', '[']).next().is_some_and(|it| it == name || it == told);
    match prepared(served, Format::OpenaiChat, &request, None, false) {
        Ok(ready) => !ready.prepared.losses.iter().any(|loss| is_of_it(&loss.path)),
        Err(_) => false,
    }
}

/// What there is to know of a model by a channel.
pub(super) struct Known {
    /// Whether the catalogue has it.
    pub is_listed: bool,
    /// Which parameters of chats arrive at it.
    pub parameters: Vec<&'static str>,
}

/// What was found out, by a digest of what it depends on and the upstream's name: it takes a request made ready for each parameter.
type Found = HashMap<(u64, String), Arc<Known>>;
static FOUND: Mutex<Option<Found>> = Mutex::new(None);
/// So much is kept; then it begins anew.
// BOUND: of memory.
const FOUND_MAX: usize = 10_000;

fn with_found<T>(then: impl FnOnce(&mut Found) -> T) -> T {
    // Whoever panicked has left a map that is whole.
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    then(found.get_or_insert_default())
}

/// What is known of models, each channel written down once.
#[derive(Default)]
pub(super) struct Kinds(HashMap<ChannelId, u64>);

impl Kinds {
    /// What is known of a model by a channel.
    pub(super) async fn of(&mut self, channel: &Channel, model: &ChannelModel) -> Arc<Known> {
        let kind = *self.0.entry(channel.id.clone()).or_insert_with(|| kind_of(channel));
        let key = (kind, model.upstream.to_string());
        if let Some(known) = with_found(|found| found.get(&key).map(Arc::clone)) {
            return known;
        }
        // Calls that this thread serves come first.
        tokio::task::yield_now().await;
        let known = Arc::new(Known {
            is_listed: sluicegate::config::lists_model(channel, &key.1),
            parameters: supported(&Served::by(channel, model)),
        });
        with_found(|found| {
            if found.len() >= FOUND_MAX {
                found.clear();
            }
            found.insert(key, Arc::clone(&known));
        });
        known
    }
}

/// A digest of all that [`prepared`] and the catalogue heed of a channel.
fn kind_of(channel: &Channel) -> u64 {
    let Channel { provider, endpoints, unknown_fields, client_overrides, web_search, quirks, .. } = channel;
    let all = format!("{:?}", (provider, endpoints, unknown_fields, client_overrides, web_search, quirks));
    sluicegate::core::hash::stable(all.as_bytes())
}

/// The parameters of chats that arrive at a model.
fn supported(served: &Served) -> Vec<&'static str> {
    let mut all = parameters();
    all.retain(|(name, value, beside)| arrives(served, name, value, beside));
    all.into_iter().map(|(name, ..)| name).collect()
}

async fn supported_params(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let served = models::must_be_served(&ask, query.required("model")?).await?;
    Done::ok(&json!({"supported_openai_params": supported(&served)}))
        .and_then(|done| Ok(done.warning(query.finish()?)))
}

/// A request as it would be sent to a model's channel, whole or not at all if so it is.
fn prepared(
    served: &Served,
    format: Format,
    request: &Value,
    ceiling: Option<u64>,
    is_strict: bool,
) -> Result<Ready> {
    let scanned = scan(format, request)?;
    let channel = &served.channel;
    let mut formats = channel.endpoints.iter().map(|endpoint| endpoint.format);
    let own = formats.clone().find(|it| *it == format);
    let target = own.or_else(|| formats.find(|it| format.reaches(*it))).ok_or_else(|| {
        let message =
            format!("model `{}` isn't served to calls in the format `{}`", served.name, format.as_str());
        Error::new(ErrorKind::InvalidRequest, message).with("param", "call_type")
    })?;
    let ceiling = ceiling.filter(|_| scanned.facts().max_output.is_none());
    let way = Way { channel, format: target, model: &served.upstream, ceiling, is_strict };
    prepare(&scanned, &way).map_err(|Unsent { report, .. }| {
        Error::new(report.kind, report.message).with("param", "request_body")
    })
}

/// What LiteLLM calls calls, and their formats.
const CALLS: [(&str, Format); 7] = [
    ("completion", Format::OpenaiChat),
    ("text_completion", Format::OpenaiCompletions),
    ("embedding", Format::OpenaiEmbeddings),
    ("responses", Format::OpenaiResponses),
    ("anthropic_messages", Format::AnthropicMessages),
    ("moderation", Format::OpenaiModerations),
    ("rerank", Format::Rerank),
];

/// What a request would be sent as. Nothing is sent. Where it would go is for super administrators, and credentials for nobody.
async fn transform(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let call = fields.required("call_type")?;
    let request = fields.object("request_body")?.value().ok_or_else(|| fields::missing("request_body"))?;
    let mut warnings = fields.finish()?;
    let is = |(name, _): &&(&str, Format)| *name == call || call.strip_prefix('a') == Some(name);
    let format = CALLS.iter().find(is).map(|(_, format)| *format).ok_or_else(|| {
        let known: Vec<_> = CALLS.iter().map(|(name, _)| *name).collect();
        let message = format!("`{call}` is no call that is shown; there are {}", known.join(", "));
        Error::new(ErrorKind::InvalidRequest, message).with("param", "call_type")
    })?;
    let model =
        request.get("model").and_then(Value::as_str).ok_or_else(|| fields::missing("request_body.model"))?;
    let served = models::must_be_served(&ask, model).await?;
    let (request, is_strict) = (Value::Object(request.clone()), ask.gateway().is_strict(&served.channel));
    let ready = prepared(&served, format, &request, Some(served.ceiling), is_strict)?;
    warnings.extend(ready.losses());
    if !served.channel.body_edits.is_empty() {
        warnings.push("its channel's own changes of bodies aren't shown".to_owned());
    }
    let sent: Value = serde_json::from_slice(&ready.prepared.body)
        .map_err(|why| Error::new(ErrorKind::Internal, "a request couldn't be shown").with_source(why))?;
    let url = served.channel.endpoints.first().map(|endpoint| endpoint.url.as_str());
    let row = Map::from_iter([
        ("raw_request_api_base".to_owned(), json!(url.filter(|_| ask.actor.is_super()))),
        ("raw_request_body".to_owned(), sent),
        ("raw_request_headers".to_owned(), json!({"content-type": "application/json"})),
    ]);
    warned(row, warnings)
}

#[cfg(test)]
mod tests {
    use sluicegate::core::channel::Endpoint;

    use super::*;

    fn served(format: Format) -> Served {
        let mut served = Served::nothing("m");
        served.channel.endpoints = vec![Endpoint { format, url: String::new() }];
        served
    }

    #[test]
    fn what_a_channel_says_of_itself_is_heeded_as_when_it_is_called() {
        use sluicegate::core::channel::UnknownFields;
        let mut served = served(Format::OpenaiChat);
        let search = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        });
        for searches in [true, false] {
            served.channel.web_search = Some(searches);
            let ready = prepared(&served, Format::AnthropicMessages, &search, None, false).unwrap();
            let sent: Value = serde_json::from_slice(&ready.prepared.body).unwrap();
            assert_eq!(sent.get("web_search_options").is_some(), searches, "{sent}");
        }
        let request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "zork": 1, "api_base": "x"});
        let left_out =
            ["dropped api_base: this channel leaves it out", "dropped zork: this channel leaves it out"];
        // The console's own test reads the table, too.
        let table: Value = serde_json::from_str(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/console/messages.json"
        )))
        .unwrap();
        assert_eq!(table["frontends/gateway/src/prepare.rs"], json!(left_out));
        // What unknown fields are to the channel, whether all must arrive, and what is lost.
        for (unknown, is_strict, want) in [
            (UnknownFields::Pass, true, Ok(vec![left_out[0]])),
            (UnknownFields::Drop, false, Ok(left_out.to_vec())),
            (UnknownFields::Drop, true, Err("`zork`")),
            (UnknownFields::Refuse, false, Err("`zork`")),
        ] {
            served.channel.unknown_fields = unknown;
            match (prepared(&served, Format::OpenaiChat, &request, Some(9), is_strict), want) {
                (Ok(ready), Ok(lost)) => {
                    assert_eq!(ready.losses().collect::<Vec<_>>(), lost, "{unknown:?}");
                    let sent: Value = serde_json::from_slice(&ready.prepared.body).unwrap();
                    assert_eq!(sent["max_tokens"], 9, "{sent}");
                    assert_eq!(sent.get("zork").is_some(), unknown == UnknownFields::Pass, "{sent}");
                    assert!(sent.get("api_base").is_none(), "{sent}");
                }
                (Err(error), Err(why)) => assert!(error.message().contains(why), "{error}"),
                (got, want) => panic!("{unknown:?}, {is_strict}: {want:?}, {:?}", got.is_ok()),
            }
        }
    }

    #[tokio::test]
    async fn what_is_known_is_remembered_by_all_that_it_depends_on() {
        use sluicegate::core::channel::UnknownFields;
        let served = served(Format::AnthropicMessages);
        let plain = Kinds::default().of(&served.channel, &served.model).await;
        assert!(Arc::ptr_eq(&plain, &Kinds::default().of(&served.channel, &served.model).await));
        assert!(!plain.is_listed && plain.parameters.contains(&"tools"));
        type Change = fn(&mut Channel);
        let others: [(&str, Change); 4] = [
            ("format", |it| it.endpoints[0].format = Format::OpenaiChat),
            ("unknown fields", |it| it.unknown_fields = UnknownFields::Refuse),
            ("web search", |it| it.web_search = Some(true)),
            ("provider", |it| it.provider = "openai".into()),
        ];
        for (name, change) in others {
            let mut channel = served.channel.clone();
            change(&mut channel);
            let other = Kinds::default().of(&channel, &served.model).await;
            assert!(!Arc::ptr_eq(&plain, &other), "{name}");
            if name == "web search" {
                let has = |known: &Known| known.parameters.contains(&"web_search_options");
                assert_eq!((has(&plain), has(&other)), (false, true));
            }
        }
    }

    #[test]
    fn what_is_lost_on_the_way_isnt_supported() {
        for (format, takes, lacks) in [
            (Format::OpenaiChat, &["logit_bias", "n", "seed", "tools", "temperature"][..], &[][..]),
            (
                Format::AnthropicMessages,
                &["tools", "temperature", "stop", "stream"],
                &["n", "logit_bias", "seed"],
            ),
        ] {
            let served = served(format);
            let has = |wanted: &str| {
                let all = parameters();
                let (name, value, beside) = all.iter().find(|(name, ..)| *name == wanted).unwrap();
                arrives(&served, name, value, beside)
            };
            for name in takes {
                assert!(has(name), "{format:?} takes {name}");
            }
            for name in lacks {
                assert!(!has(name), "{format:?} has no {name}");
            }
        }
    }
}
