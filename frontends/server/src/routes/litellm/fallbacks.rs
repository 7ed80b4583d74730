//! `GET /fallback/{model}`: what is tried when a model's own channels fail.

use actix_web::http::Method;
use serde_json::json;
use sluicegate::{Error, ErrorKind, ModelName, Result};

use super::query;
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![Entry::plain(Method::GET, "/fallback/{model}", || ask::route(Method::GET, get))]
}

async fn get(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let name = ask.param("model");
    let view = ask.admin().model(&ask.actor, &ModelName::from(name.as_str())).await?;
    let kind = query.text("fallback_type").unwrap_or("general");
    let models = match kind {
        "general" => view.fallbacks.general,
        "context_window" => view.fallbacks.context_window,
        "content_policy" => view.fallbacks.content_policy,
        other => {
            let message = format!(
                "there are no fallbacks of the kind `{other}`; there are general, context_window and content_policy"
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "fallback_type"));
        }
    };
    if models.is_empty() {
        let message = format!("model `{name}` has no fallbacks of the kind {kind}");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Done::ok(&json!({"model": name, "fallback_models": models, "fallback_type": kind}))
        .and_then(|done| Ok(done.warning(query.finish()?)))
}
