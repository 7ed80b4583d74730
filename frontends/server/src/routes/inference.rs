//! The inference API: raw bytes to the gateway and back. These handlers are the hot path: no extractor parses a body, and
//! nothing is allocated that the answer doesn't need.

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use sluicegate::{Answer, AnswerBody, Format, Inbound, Rejection, Result, Secret};

use crate::respond::{self, Face};
use crate::state::State;
use crate::stream::EventBody;
use crate::{body, extract, facts, told};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// Tells nginx not to gather a stream.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `POST /v1/chat/completions`.
pub async fn chat(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiChat).await
}

/// `POST /v1/embeddings`.
pub async fn embeddings(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiEmbeddings).await
}

/// `POST /v1/responses`.
pub async fn responses(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::OpenaiResponses).await
}

/// `POST /v1/messages`.
pub async fn messages(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    call(req, payload, &state, Format::AnthropicMessages).await
}

async fn call(req: HttpRequest, payload: web::Payload, state: &State, format: Format) -> HttpResponse {
    let face = Face::of_format(format);
    let credential = extract::credential(req.headers());
    let body = match take(&req, &mut payload.into_inner(), state, credential.as_ref()).await {
        Ok(body) => body,
        Err(error) => return refuse(&req, face, &Rejection::new(error)),
    };
    let inbound = Inbound {
        format,
        credential,
        body,
        client_ip: extract::client_ip(&req, &state.trusted_proxies),
        id: None,
        headers: extract::passed_headers(req.headers()),
        tags: extract::tags(req.headers()),
        explain: extract::wants_explanation(req.headers()),
    };
    match state.worker.call(inbound).await {
        Ok(mut answer) => {
            let told = answer.facts.told.take();
            let mut response = respond(&req, face, answer);
            told::write(response.headers_mut(), state, told).await;
            response
        }
        Err(mut rejection) => {
            let told = rejection.facts.told.take();
            let mut response = refuse(&req, face, &rejection);
            told::write(response.headers_mut(), state, told).await;
            response
        }
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

fn respond(req: &HttpRequest, face: Face, answer: Answer) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let mut response = match answer.body {
        AnswerBody::Full(body) => {
            let mut response = response.body(body);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            response
        }
        AnswerBody::Stream(events) => {
            let mut response = response.body(EventBody::new(events, face));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, EVENT_STREAM);
            headers.insert(CACHE_CONTROL, NO_CACHE);
            headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
            response
        }
    };
    facts::write(response.headers_mut(), req, face, &answer.facts);
    response
}
