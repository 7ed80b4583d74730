//! Whether the gateway lives, and whether it can serve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::respond;
use crate::state::State;

/// `GET /health/liveliness`: the process answers.
pub async fn liveliness() -> HttpResponse {
    respond::json(&"I'm alive!")
}

/// `GET /health/readiness`: the store answers too, and the gateway isn't shutting down.
pub async fn readiness(state: web::Data<State>) -> HttpResponse {
    match state.gateway.ready().await {
        Ok(()) => respond::json(&json!({"status": "healthy", "db": "connected"})),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().json(json!({"status": "unhealthy", "db": "not connected"}))
        }
    }
}
