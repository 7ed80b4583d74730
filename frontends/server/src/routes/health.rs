//! Whether the gateway lives, and whether it can serve.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::respond::{self, Face};
use crate::state::State;

/// `GET /health/liveliness`: the process answers.
pub async fn liveliness(req: HttpRequest) -> HttpResponse {
    respond::json(&req, Face::OpenAi, &"I'm alive!")
}

/// `GET /health/readiness`: the store answers too.
pub async fn readiness(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match state.gateway.ready().await {
        Ok(()) => respond::json(&req, Face::OpenAi, &json!({"status": "healthy", "db": "connected"})),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().json(json!({"status": "unhealthy", "db": "not connected"}))
        }
    }
}
