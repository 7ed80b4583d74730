//! The inference API: raw bytes to the gateway and back. These handlers are the hot path: no extractor parses a body, and
//! nothing is allocated that the answer doesn't need.

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use sluicegate::{
    Address, Answer, AnswerBody, Error, ErrorKind, FollowStream, Format, Inbound, PassThrough, RawStream,
    Rejection, Result, Secret,
};

use crate::respond::{self, Face};
use crate::routes::litellm::contract;
use crate::state::State;
use crate::stream::{ArrayStream, EventBody};
use crate::{body, extract, facts, told, upload};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// Tells nginx not to gather a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `POST /v1/chat/completions`.
pub async fn chat(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiChat, None).await
}

/// `POST /v1/embeddings`.
pub async fn embeddings(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiEmbeddings, None).await
}

/// `POST /v1/responses`.
pub async fn responses(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiResponses, None).await
}

/// `POST /v1/messages`.
pub async fn messages(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::AnthropicMessages, None).await
}

/// `POST /v1beta/models/{model}:{verb}`, behind `/v1alpha` and `/v1` too: Google's operations on a model.
pub async fn gemini(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let asked = req.match_info().query("model").to_owned();
    let (model, verb) = asked.rsplit_once(':').unwrap_or((&asked, ""));
    let (format, stream) = match verb {
        "generateContent" => (Format::GeminiGenerate, false),
        "streamGenerateContent" => (Format::GeminiGenerate, true),
        "countTokens" => (Format::GeminiCountTokens, false),
        _ => return respond::error(&req, Face::Gemini, unknown_verb(verb)),
    };
    let model = model.to_owned();
    call(req, payload, &state, format, Some(Address { model, stream })).await
}

fn unknown_verb(verb: &str) -> Error {
    let shown: String = verb.chars().take(64).collect();
    let message = format!(
        "`{shown}` isn't served: a model is asked with `generateContent`, `streamGenerateContent` or `countTokens`"
    );
    Error::new(ErrorKind::NotSupported, message)
}

/// A route of one format, spoken as its path is.
macro_rules! single {
    ($($(#[$about:meta])* $name:ident => $format:ident),+ $(,)?) => {$(
        $(#[$about])*
        pub async fn $name(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
            call(req, payload, &state, Format::$format, None).await
        }
    )+};
}

single! {
    /// `POST /v1/messages/count_tokens`.
    count_tokens => AnthropicCountTokens,
    /// `POST /v1/responses/input_tokens`.
    input_tokens => OpenaiInputTokens,
    /// `POST /v1/responses/compact`.
    compact => OpenaiCompact,
    /// `POST /v1/completions`.
    completions => OpenaiCompletions,
    /// `POST /v1/images/generations`.
    images => OpenaiImages,
    /// `POST /v1/images/edits`.
    image_edits => OpenaiImageEdits,
    /// `POST /v1/images/variations`.
    image_variations => OpenaiImageVariations,
    /// `POST /v1/audio/speech`.
    speech => OpenaiSpeech,
    /// `POST /v1/audio/transcriptions`.
    transcriptions => OpenaiTranscriptions,
    /// `POST /v1/audio/translations`.
    translations => OpenaiTranslations,
    /// `POST /v1/moderations`.
    moderations => OpenaiModerations,
    /// `POST /v1/rerank` and `/v2/rerank`.
    rerank => Rerank,
}

/// Whether the body comes as a form with files.
fn is_form(req: &HttpRequest, format: Format) -> bool {
    // Edits are taken as JSON, too: with addresses of images in it.
    let json = || {
        let kind = req.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.trim_start().to_ascii_lowercase().starts_with("application/json")
    };
    format.is_form() && !(format == Format::OpenaiImageEdits && json())
}

async fn call(
    req: HttpRequest,
    payload: web::Payload,
    state: &State,
    format: Format,
    address: Option<Address>,
) -> HttpResponse {
    let face = if format == Format::Rerank { Face::of_path(req.path()) } else { Face::of_format(format) };
    if is_form(&req, format) {
        return form(req, payload, state, format, face).await;
    }
    let credential = match face {
        Face::Gemini => extract::credential_or_query(&req),
        _ => extract::credential(req.headers()),
    };
    let body = match take(&req, &mut payload.into_inner(), state, credential.as_ref()).await {
        Ok(body) => body,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let translation = match extract::translation(req.headers()) {
        Ok(translation) => translation,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let inbound = Inbound {
        format,
        path: Some(req.path().into()),
        address,
        credential,
        body,
        client_ip: extract::client_ip(&req, &state.trusted_proxies),
        id: None,
        headers: extract::passed_headers(req.headers()),
        client_headers: client_headers(&req, state),
        tags: extract::tags(req.headers()),
        explain: extract::wants_explanation(req.headers()),
        translation,
    };
    let answer = state.worker.call(inbound).await;
    finish(&req, state, face, answer).await
}

/// What channels ask for of a caller's headers.
fn client_headers(req: &HttpRequest, state: &State) -> Vec<(String, String)> {
    extract::wanted_headers(req.headers(), state.gateway.engine().snapshot().wanted_headers())
}

/// A form: its files go on while they come.
async fn form(
    req: HttpRequest,
    payload: web::Payload,
    state: &State,
    format: Format,
    face: Face,
) -> HttpResponse {
    let upload = match upload::take(&req, payload, state) {
        Ok(upload) => upload,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let translation = match extract::translation(req.headers()) {
        Ok(translation) => translation,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let inbound = Inbound {
        format,
        path: Some(req.path().into()),
        address: None,
        credential: extract::credential(req.headers()),
        body: Bytes::new(),
        client_ip: extract::client_ip(&req, &state.trusted_proxies),
        id: None,
        headers: extract::passed_headers(req.headers()),
        client_headers: client_headers(&req, state),
        tags: extract::tags(req.headers()),
        explain: extract::wants_explanation(req.headers()),
        translation,
    };
    let answer = state.worker.upload(inbound, upload).await;
    finish(&req, state, face, answer).await
}

/// `/providers/{name}/{path}`, with any method.
pub async fn pass_through(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    // The path as it came: what is decoded in it must not be taken for something else.
    let raw = req.uri().path();
    let rest = raw.strip_prefix("/providers/").unwrap_or_default();
    let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let face = Face::of_passed(path);
    let upload = match upload::take(&req, payload, &state) {
        Ok(upload) => upload,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let credential = match face {
        Face::Gemini => extract::credential_or_query(&req),
        _ => extract::credential(req.headers()),
    };
    let request = PassThrough {
        credential,
        client_ip: extract::client_ip(&req, &state.trusted_proxies),
        name: name.to_owned(),
        path: path.to_owned(),
        query: req.uri().query().unwrap_or_default().to_owned(),
        method: req.method().as_str().to_owned(),
        headers: extract::all_headers(req.headers()),
        body: upload::has_body(&req).then_some(upload),
        tags: extract::tags(req.headers()),
        explain: extract::wants_explanation(req.headers()),
    };
    let answer = state.worker.pass_through(request).await;
    finish(&req, &state, face, answer).await
}

async fn finish(
    req: &HttpRequest,
    state: &State,
    face: Face,
    answer: std::result::Result<Answer, Box<Rejection>>,
) -> HttpResponse {
    match answer {
        Ok(mut answer) => {
            let told = answer.facts.told.take();
            let facts = state.gateway.compat().litellm.map(|version| (version, answer.facts.clone()));
            let mut response = respond(req, face, answer);
            if let Some((version, facts)) = facts {
                let sent = extract::credential(req.headers());
                let is_operator = sent.is_some_and(|it| state.gateway.is_master_key(it.expose()));
                facts::write_litellm(response.headers_mut(), state, version, &facts, is_operator);
            }
            told::write(response.headers_mut(), state, told).await;
            response
        }
        Err(mut rejection) => {
            let told = rejection.facts.told.take();
            if state.gateway.compat().litellm.is_some() && rejection.error.kind() == ErrorKind::ModelNotFound
            {
                mark_model_access(req, state, &mut rejection).await;
            }
            let mut response = refuse(req, face, &rejection);
            told::write(response.headers_mut(), state, told).await;
            response
        }
    }
}

/// Says of the refusal of a model whether the key may call only some: LiteLLM tells the two apart.
async fn mark_model_access(req: &HttpRequest, state: &State, rejection: &mut Rejection) {
    let credential = extract::credential(req.headers());
    let Ok(caller) = state.caller(req, credential.as_ref()).await else { return };
    if !caller.caller.access.is_empty() {
        let error = rejection.error.clone();
        rejection.error = error.with(sluicegate::DENIAL, contract::MODEL_ACCESS);
    }
}

/// The body. One that costs something to take is taken only from who is known; whoever sends a small one is asked once, by
/// the call itself.
async fn take(
    req: &HttpRequest,
    payload: &mut Payload,
    state: &State,
    credential: Option<&Secret>,
) -> Result<Bytes> {
    if !body::is_small(req)
        && let Err(error) = state.caller(req, credential).await
    {
        body::discard(payload, state.body_limit).await;
        return Err(error);
    }
    state.body(req, payload).await
}

fn refuse(req: &HttpRequest, face: Face, rejection: &Rejection) -> HttpResponse {
    respond::rejection(req, face, rejection)
}

/// What passes as it is, with what the upstream says about it.
fn raw_response(raw: RawStream) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(raw.status).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    for (name, value) in &raw.headers {
        response.append_header((name.as_str(), value.as_str()));
    }
    let kind = raw.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
    let mut response = response.streaming(raw);
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, kind);
    } else if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn respond(req: &HttpRequest, face: Face, answer: Answer) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let mut response = match answer.body {
        AnswerBody::Full(body) => {
            let mut response = response.body(body);
            let kind = answer.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok());
            response.headers_mut().insert(CONTENT_TYPE, kind.unwrap_or(JSON));
            response
        }
        AnswerBody::Raw(raw) => raw_response(*raw),
        AnswerBody::Follow(events) => follow(*events),
        AnswerBody::Stream(events) => {
            let is_list = face == Face::Gemini && extract::query(req, "alt").is_none_or(|alt| alt != "sse");
            if is_list {
                // Whoever doesn't ask for events gets one list, in pieces.
                let mut response = response.body(EventBody::new(ArrayStream::new(events), face));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, JSON);
                headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
                facts::write(response.headers_mut(), req, face, &answer.facts);
                return response;
            }
            as_events(response.body(EventBody::new(events, face)))
        }
    };
    facts::write(response.headers_mut(), req, face, &answer.facts);
    response
}

/// The events of a response that is worked on in the background.
pub(super) fn follow(events: FollowStream) -> HttpResponse {
    as_events(HttpResponse::Ok().body(EventBody::new(events, Face::OpenAi)))
}

fn as_events(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
