//! The models that a key may ask for, as OpenAI's SDK or Anthropic's expects them.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use sluicegate::{Error, ErrorKind, ModelCard, Result};

use crate::extract;
use crate::respond::{self, Face};
use crate::state::State;

/// When models were "created": nobody knows, and clients want a constant.
const CREATED_S: i64 = 1_677_610_602;
const CREATED_AT: &str = "2023-02-28T18:56:42Z";

/// `GET /v1/models`.
pub async fn list(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let face = face(&req);
    match cards(&req, &state).await {
        Ok(cards) => respond::json(
            &req,
            face,
            &match face {
                Face::OpenAi => {
                    json!({"object": "list", "data": cards.iter().map(|card| one_json(card, face)).collect::<Vec<_>>()})
                }
                Face::Gemini => {
                    json!({"models": cards.iter().map(|card| one_json(card, face)).collect::<Vec<_>>()})
                }
                Face::Anthropic => json!({
                    "data": cards.iter().map(|card| one_json(card, face)).collect::<Vec<_>>(),
                    "has_more": false,
                    "first_id": cards.first().map(|card| card.name.as_str()),
                    "last_id": cards.last().map(|card| card.name.as_str()),
                }),
            },
        ),
        Err(error) => respond::error(&req, face, error),
    }
}

/// `GET /v1/models/{model}`.
pub async fn one(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let face = face(&req);
    let wanted = req.match_info().query("model");
    let wanted = if face == Face::Gemini { wanted.strip_prefix("models/").unwrap_or(wanted) } else { wanted };
    let card = cards(&req, &state).await.and_then(|cards| {
        cards.into_iter().find(|card| card.name.as_str() == wanted).ok_or_else(|| {
            let message = format!(
                "there is no model `{wanted}` for this key; GET /v1/models lists those that it may use"
            );
            Error::new(ErrorKind::ModelNotFound, message).with("param", "model")
        })
    });
    match card {
        Ok(card) => respond::json(&req, face, &one_json(&card, face)),
        Err(error) => respond::error(&req, face, error),
    }
}

/// Anthropic's SDK says which version it speaks, and Google's has a header of its own for the key; OpenAI's has neither.
fn face(req: &HttpRequest) -> Face {
    if Face::of_path(req.path()) == Face::Gemini || req.headers().contains_key("x-goog-api-key") {
        Face::Gemini
    } else if req.headers().contains_key("anthropic-version") {
        Face::Anthropic
    } else {
        Face::OpenAi
    }
}

async fn cards(req: &HttpRequest, state: &State) -> Result<Vec<ModelCard>> {
    let credential = match face(req) {
        Face::Gemini => extract::credential_or_query(req),
        _ => extract::credential(req.headers()),
    };
    let caller = state.caller(req, credential.as_ref()).await?;
    Ok(state.gateway.models(&caller))
}

fn one_json(card: &ModelCard, face: Face) -> Value {
    let name = card.name.as_str();
    match face {
        Face::OpenAi => {
            let owner = card.provider.as_deref().unwrap_or("sluicegate");
            json!({"id": name, "object": "model", "created": CREATED_S, "owned_by": owner})
        }
        Face::Gemini => json!({
            "name": format!("models/{name}"),
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
        Face::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT})
        }
    }
}
