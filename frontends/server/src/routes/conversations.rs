//! Conversations that callers make: kept here, for responses in any upstream's format.

use actix_web::dev::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use sluicegate::{Error, ErrorKind, Result};

use super::responses::{answer, page};
use crate::extract;
use crate::state::State;

/// `POST /v1/conversations`.
pub async fn make(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let made = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let asked = asked(&req, &mut payload.into_inner(), &state).await?;
        state.gateway.make_conversation(&caller.caller, &asked).await
    };
    answer(&req, made.await)
}

/// `GET /v1/conversations/{id}`.
pub async fn one(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let found = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        state.gateway.conversation(&caller.caller, part(&req, "id")).await
    };
    answer(&req, found.await)
}

/// `POST /v1/conversations/{id}`.
pub async fn change(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let changed = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let asked = asked(&req, &mut payload.into_inner(), &state).await?;
        state.gateway.change_conversation(&caller.caller, part(&req, "id"), &asked).await
    };
    answer(&req, changed.await)
}

/// `DELETE /v1/conversations/{id}`.
pub async fn delete(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let gone = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let id = part(&req, "id");
        state.gateway.forget_conversation(&caller.caller, id).await?;
        Ok(json!({"id": id, "object": "conversation.deleted", "deleted": true}))
    };
    answer(&req, gone.await)
}

/// `GET /v1/conversations/{id}/items`.
pub async fn items(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let listed = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let page = page(&req)?;
        state.gateway.conversation_items(&caller.caller, part(&req, "id"), &page).await
    };
    answer(&req, listed.await)
}

/// `POST /v1/conversations/{id}/items`.
pub async fn add(req: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let added = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let asked = asked(&req, &mut payload.into_inner(), &state).await?;
        state.gateway.add_to_conversation(&caller.caller, part(&req, "id"), &asked).await
    };
    answer(&req, added.await)
}

/// `GET /v1/conversations/{id}/items/{item}`.
pub async fn item(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let found = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        state.gateway.conversation_item(&caller.caller, part(&req, "id"), part(&req, "item")).await
    };
    answer(&req, found.await)
}

/// `DELETE /v1/conversations/{id}/items/{item}`.
pub async fn delete_item(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let gone = async {
        let caller = state.caller(&req, extract::credential(req.headers()).as_ref()).await?;
        let (id, item) = (part(&req, "id"), part(&req, "item"));
        state.gateway.forget_conversation_item(&caller.caller, id, item).await
    };
    answer(&req, gone.await)
}

fn part<'a>(req: &'a HttpRequest, name: &str) -> &'a str {
    req.match_info().query(name)
}

/// The body; none asks for nothing.
async fn asked(req: &HttpRequest, payload: &mut Payload, state: &State) -> Result<Value> {
    let body = state.body(req, payload).await?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body)
        .map_err(|why| Error::new(ErrorKind::InvalidRequest, format!("the body is no JSON: {why}")))
}
