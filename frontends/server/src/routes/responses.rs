//! Responses that are kept: read again, forgotten, and what they were made from.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use sluicegate::{Error, ErrorKind, Facts, InputItems, Result};

use super::inference;
use crate::respond::{self, Face};
use crate::state::State;
use crate::{extract, facts};

/// `GET /v1/responses/{id}`: as it stands, or its events behind one of them.
pub async fn one(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let found = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        match followed(&req)? {
            Some(after) => {
                let events = state.gateway.follow_response(&caller.caller, id(&req), after).await?;
                let mut response = inference::follow(events);
                facts::write(response.headers_mut(), &req, Face::OpenAi, &Facts::default());
                Ok(response)
            }
            None => {
                let response = read(&state.gateway.response(&caller.caller, id(&req)).await?)?;
                Ok(respond::json(&req, Face::OpenAi, &response))
            }
        }
    };
    found.await.unwrap_or_else(|error| respond::error(&req, Face::OpenAi, error))
}

/// Whether its events are asked for, and behind which number.
fn followed(req: &HttpRequest) -> Result<Option<Option<u64>>> {
    let streams = match query(req, "stream").as_deref() {
        Some("true") => true,
        Some("false") | None => false,
        Some(_) => return wrong("stream", "`stream` must be true or false"),
    };
    let after = match query(req, "starting_after").map(|after| after.parse()) {
        Some(Err(_)) => {
            return wrong("starting_after", "`starting_after` must be the number of an event, 0 or more");
        }
        Some(Ok(after)) => Some(after),
        None => None,
    };
    if after.is_some() && !streams {
        return wrong(
            "starting_after",
            "`starting_after` is of a stream: give `stream=true` with it, or leave it out",
        );
    }
    Ok(streams.then_some(after))
}

fn wrong<T>(name: &'static str, message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidRequest, message.to_owned()).with("param", name))
}

fn read(text: &str) -> Result<Box<serde_json::value::RawValue>> {
    serde_json::from_str(text)
        .map_err(|why| Error::new(ErrorKind::Store, "a response that is kept can't be read").with_source(why))
}

/// `POST /v1/responses/{id}/cancel`.
pub async fn cancel(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let cancelled = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        read(&state.gateway.cancel_response(&caller.caller, id(&req)).await?)
    };
    answer(&req, cancelled.await)
}

/// `DELETE /v1/responses/{id}`.
pub async fn delete(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let gone = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        state.gateway.forget_response(&caller.caller, id(&req)).await?;
        Ok(json!({"id": id(&req), "object": "response", "deleted": true}))
    };
    answer(&req, gone.await)
}

/// `GET /v1/responses/{id}/input_items`.
pub async fn input_items(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let listed = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let page = page(&req)?;
        state.gateway.response_input(&caller.caller, id(&req), &page).await
    };
    answer(&req, listed.await)
}

fn id(req: &HttpRequest) -> &str {
    req.match_info().query("id")
}

pub(super) fn page(req: &HttpRequest) -> Result<InputItems> {
    let limit = match query(req, "limit").map(|limit| limit.parse()) {
        Some(Err(_)) => return wrong("limit", "`limit` must be a whole number from 1 to 100"),
        Some(Ok(limit)) => Some(limit),
        None => None,
    };
    let ascending = match query(req, "order").as_deref() {
        Some("asc") => true,
        Some("desc") | None => false,
        Some(_) => return wrong("order", "`order` must be asc or desc"),
    };
    Ok(InputItems { limit, after: query(req, "after"), ascending })
}

fn query(req: &HttpRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(req.query_string()).ok()?;
    pairs.into_inner().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

pub(super) fn answer<T: serde::Serialize>(req: &HttpRequest, answer: Result<T>) -> HttpResponse {
    match answer {
        Ok(value) => respond::json(req, Face::OpenAi, &value),
        Err(error) => respond::error(req, Face::OpenAi, error),
    }
}
