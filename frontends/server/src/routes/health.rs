//! Whether the gateway lives, and whether it can serve.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use sluicegate::METRICS_TYPE;
use sluicegate::config::LitellmVersion;

use crate::extract;
use crate::respond::{self, Face};
use crate::routes::litellm::contract;
use crate::state::State;

/// `GET /health/liveliness`: the process answers.
pub async fn liveliness(req: HttpRequest) -> HttpResponse {
    respond::json(&req, Face::OpenAi, &"I'm alive!")
}

/// `GET /metrics`: what a monitoring system is told.
pub async fn metrics(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let credential = extract::credential(req.headers());
    let client_ip = extract::client_ip(&req, &state.trusted_proxies);
    match state.gateway.may_scrape(credential.as_ref(), client_ip).await {
        Ok(()) => HttpResponse::Ok().content_type(METRICS_TYPE).body(state.gateway.metrics()),
        Err(error) => respond::error(&req, Face::OpenAi, error),
    }
}

/// `GET /health/readiness`: the store answers too.
pub async fn readiness(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match state.gateway.ready().await {
        Ok(()) => {
            let mut body = json!({"status": "healthy", "db": "connected"});
            // LiteLLM said more of itself then.
            if contract::version(&req) == LitellmVersion::V1_80 {
                body["cache"] = serde_json::Value::Null;
                body["litellm_version"] = contract::word(Some(LitellmVersion::V1_80)).into();
                body["success_callbacks"] = json!([]);
            }
            respond::json(&req, Face::OpenAi, &body)
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().json(json!({"status": "unhealthy", "db": "not connected"}))
        }
    }
}
