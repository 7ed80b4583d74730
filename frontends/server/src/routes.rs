//! Every route in one table: what is served, and what the OpenAPI document says about it.

pub mod conversations;
pub mod health;
pub mod inference;
pub mod litellm;
pub mod models;
pub mod native;
pub mod responses;

use std::collections::HashSet;
use std::sync::LazyLock;

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use sluicegate::tenant::{RouteAccess, RouteUse};
use sluicegate::{Error, ErrorKind, Result};

use crate::ask;
use crate::console::asset::{self, Source};
use crate::console::page;
use crate::known;
use crate::openapi::Operation;
use crate::respond::{self, Face};

/// Any method, and any path below.
const PASS_THROUGH: &str = "/providers/{path:.*}";

/// One route.
pub struct Entry {
    /// Its method.
    pub method: Method,
    /// Its path; parameters as `{name}`.
    pub path: &'static str,
    /// Makes what serves it, once for each worker.
    pub make: fn() -> actix_web::Route,
    /// What the OpenAPI document says about it; routes of foreign dialects have their own documents.
    pub operation: Option<Operation>,
}

impl Entry {
    /// A route that the OpenAPI document doesn't describe.
    pub const fn plain(method: Method, path: &'static str, make: fn() -> actix_web::Route) -> Self {
        Self { method, path, make, operation: None }
    }
}

/// Every route, the hottest first: the router asks them in this order.
pub fn table() -> Vec<Entry> {
    let mut entries = inference_table();
    entries.extend(native::table());
    let litellm = litellm::table(&entries);
    entries.extend(litellm);
    entries
}

fn inference_table() -> Vec<Entry> {
    let post = |path, make| Entry::plain(Method::POST, path, make);
    let get = |path, make| Entry::plain(Method::GET, path, make);
    vec![
        post("/v1/chat/completions", || web::post().to(inference::chat)),
        post("/v1/messages", || web::post().to(inference::messages)),
        post("/v1/responses", || web::post().to(inference::responses)),
        post("/v1/responses/input_tokens", || web::post().to(inference::input_tokens)),
        post("/v1/responses/compact", || web::post().to(inference::compact)),
        get("/v1/responses/{id}", || web::get().to(responses::one)),
        Entry::plain(Method::DELETE, "/v1/responses/{id}", || web::delete().to(responses::delete)),
        get("/v1/responses/{id}/input_items", || web::get().to(responses::input_items)),
        post("/responses", || web::post().to(inference::responses)),
        post("/responses/input_tokens", || web::post().to(inference::input_tokens)),
        post("/responses/compact", || web::post().to(inference::compact)),
        get("/responses/{id}", || web::get().to(responses::one)),
        Entry::plain(Method::DELETE, "/responses/{id}", || web::delete().to(responses::delete)),
        get("/responses/{id}/input_items", || web::get().to(responses::input_items)),
        post("/v1/responses/{id}/cancel", || web::post().to(responses::cancel)),
        post("/responses/{id}/cancel", || web::post().to(responses::cancel)),
        post("/v1/embeddings", || web::post().to(inference::embeddings)),
        post("/chat/completions", || web::post().to(inference::chat)),
        post("/embeddings", || web::post().to(inference::embeddings)),
        post("/v1/messages/count_tokens", || web::post().to(inference::count_tokens)),
        post("/v1/completions", || web::post().to(inference::completions)),
        post("/completions", || web::post().to(inference::completions)),
        post("/v1/images/generations", || web::post().to(inference::images)),
        post("/images/generations", || web::post().to(inference::images)),
        post("/v1/images/edits", || web::post().to(inference::image_edits)),
        post("/images/edits", || web::post().to(inference::image_edits)),
        post("/v1/images/variations", || web::post().to(inference::image_variations)),
        post("/images/variations", || web::post().to(inference::image_variations)),
        post("/v1/audio/speech", || web::post().to(inference::speech)),
        post("/audio/speech", || web::post().to(inference::speech)),
        post("/v1/audio/transcriptions", || web::post().to(inference::transcriptions)),
        post("/audio/transcriptions", || web::post().to(inference::transcriptions)),
        post("/v1/audio/translations", || web::post().to(inference::translations)),
        post("/audio/translations", || web::post().to(inference::translations)),
        post("/v1/moderations", || web::post().to(inference::moderations)),
        post("/moderations", || web::post().to(inference::moderations)),
        post("/v1/rerank", || web::post().to(inference::rerank)),
        post("/v2/rerank", || web::post().to(inference::rerank)),
        post("/rerank", || web::post().to(inference::rerank)),
        post("/v1beta/models/{model:.*}", || web::post().to(inference::gemini)),
        post("/v1alpha/models/{model:.*}", || web::post().to(inference::gemini)),
        post("/v1/models/{model:.*}", || web::post().to(inference::gemini)),
        get("/v1beta/models", || web::get().to(models::list)),
        get("/v1beta/models/{model:.*}", || web::get().to(models::one)),
        get("/v1alpha/models", || web::get().to(models::list)),
        get("/v1alpha/models/{model:.*}", || web::get().to(models::one)),
        get("/v1/models", || web::get().to(models::list)),
        get("/models", || web::get().to(models::list)),
        get("/v1/models/{model:.*}", || web::get().to(models::one)),
        get("/models/{model:.*}", || web::get().to(models::one)),
        post("/v1/conversations", || web::post().to(conversations::make)),
        get("/v1/conversations/{id}", || web::get().to(conversations::one)),
        post("/v1/conversations/{id}", || web::post().to(conversations::change)),
        Entry::plain(Method::DELETE, "/v1/conversations/{id}", || web::delete().to(conversations::delete)),
        get("/v1/conversations/{id}/items", || web::get().to(conversations::items)),
        post("/v1/conversations/{id}/items", || web::post().to(conversations::add)),
        get("/v1/conversations/{id}/items/{item}", || web::get().to(conversations::item)),
        Entry::plain(Method::DELETE, "/v1/conversations/{id}/items/{item}", || {
            web::delete().to(conversations::delete_item)
        }),
        get("/health/liveliness", || web::get().to(health::liveliness)),
        get("/health/liveness", || web::get().to(health::liveliness)),
        get("/health/readiness", || web::get().to(health::readiness)),
        get("/metrics", || web::get().to(health::metrics)),
    ]
}

/// The paths of routes that call models, or list those that may be called.
static INFERENCE: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let paths = inference_table().into_iter().map(|entry| entry.path);
    paths.filter(|path| !path.starts_with("/health") && *path != "/metrics").chain([PASS_THROUGH]).collect()
});

/// The same, to be matched against paths.
static OPEN: LazyLock<Vec<ResourceDef>> =
    LazyLock::new(|| INFERENCE.iter().map(|path| ResourceDef::new(*path)).collect());

/// Whether a path is the callers': of a route that calls models or lists them, or of one that such an API has elsewhere and this
/// one hasn't.
pub(crate) fn is_callers(path: &str) -> bool {
    let is_versioned = ["/v1/", "/v1beta/", "/v1alpha/"].iter().any(|version| path.starts_with(version));
    // BOUND: the table's few dozen rows, for browsers' requests from other origins alone.
    OPEN.iter().any(|route| route.is_match(path)) || is_versioned && Face::of_path(path) != Face::LiteLlm
}

/// Refuses a key what it isn't for.
///
/// # Errors
/// `Forbidden`.
pub fn check_use(req: &HttpRequest, allowed: &RouteAccess) -> Result<()> {
    if allowed.is_all() {
        return Ok(());
    }
    let pattern = req.match_pattern().unwrap_or_default();
    let uses: &[RouteUse] = match INFERENCE.contains(pattern.as_str()) {
        // Lists of models are for whoever calls them and for whoever looks.
        true if *req.method() == Method::GET && pattern.contains("/models") => {
            &[RouteUse::Inference, RouteUse::Read]
        }
        true => &[RouteUse::Inference],
        false if ask::only_looks(req.method(), &pattern) => &[RouteUse::Read],
        false => &[RouteUse::Manage],
    };
    allowed.check(req.path(), uses)
}

/// Registers every route, and the console's page and files. What is known elsewhere answers 501, everything else 404.
pub fn configure(config: &mut web::ServiceConfig) {
    configure_with(config, asset::embedded);
}

/// [`configure`] with a console from elsewhere.
pub fn configure_with(config: &mut web::ServiceConfig, console: Source) {
    // For routes that lead browsers to its pages.
    config.app_data(console);
    let mut paths: Vec<(&'static str, Vec<Entry>)> = Vec::new();
    for entry in table() {
        match paths.iter_mut().find(|(path, _)| *path == entry.path) {
            Some((_, entries)) => entries.push(entry),
            None => paths.push((entry.path, vec![entry])),
        }
    }
    for (path, entries) in paths {
        let allowed = entries.iter().map(|entry| entry.method.as_str()).collect::<Vec<_>>().join(", ");
        let mut resource = web::resource(path);
        if page::is_shared(path) {
            resource = resource.route(page::visit(console));
        }
        for entry in entries {
            resource = resource.route((entry.make)());
        }
        config.service(resource.default_service(web::to(move |req: HttpRequest| {
            let response = wrong_method(&req, &allowed);
            async move { response }
        })));
    }
    // Any method, and any path below.
    config.service(web::resource(PASS_THROUGH).route(web::to(inference::pass_through)));
    page::configure(config, console, || web::to(|req: HttpRequest| async move { nothing(&req) }));
    config.default_service(web::to(move |req: HttpRequest| unserved(req, console)));
}

fn wrong_method(req: &HttpRequest, allowed: &str) -> HttpResponse {
    let message = format!("`{}` is asked with {allowed}, not with {}", req.path(), req.method());
    let mut response =
        respond::error(req, Face::of_path(req.path()), Error::new(ErrorKind::InvalidRequest, message));
    *response.status_mut() = actix_web::http::StatusCode::METHOD_NOT_ALLOWED;
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

async fn unserved(req: HttpRequest, console: Source) -> HttpResponse {
    page::fallback(&req, console).unwrap_or_else(|| nothing(&req))
}

fn nothing(req: &HttpRequest) -> HttpResponse {
    let route = format!("{} {}", req.method(), req.path());
    let error = if known::is_known(req.path()) {
        Error::new(ErrorKind::NotSupported, format!("`{route}` isn't served by this version of sluicegate"))
    } else {
        Error::new(
            ErrorKind::NotFound,
            format!("there is nothing at `{route}`; /api/v1/openapi.json lists what there is"),
        )
    };
    let face = if known::is_litellms(req.path()) { Face::LiteLlm } else { Face::of_path(req.path()) };
    respond::error(req, face, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_call_is_theirs_and_nothing_that_is_managed() {
        for entry in inference_table() {
            let is_open = !entry.path.starts_with("/health") && entry.path != "/metrics";
            assert_eq!(is_callers(entry.path), is_open, "{}", entry.path);
        }
        let inference: Vec<_> = inference_table().iter().map(|entry| entry.path).collect();
        for entry in table().iter().filter(|entry| !inference.contains(&entry.path)) {
            assert!(!is_callers(&entry.path.replace(['{', '}'], "")), "{}", entry.path);
        }
        for (path, want) in [
            ("/providers/openai/files", true),
            ("/v1beta/models/m:generateContent", true),
            ("/v1/files", true),
            ("/v1/model/info", false),
            ("/api/v1/keys", false),
            ("/assets/a.js", false),
            ("/", false),
        ] {
            assert_eq!(is_callers(path), want, "{path}");
        }
    }
}
