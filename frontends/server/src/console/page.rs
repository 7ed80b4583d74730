//! The console's page and files over HTTP.

use actix_web::guard;
use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Route, web};
use sluicegate::{Error, ErrorKind};

use super::asset::{self, Accepted, Source};
use crate::respond::{self, Face};
use crate::state::State;

/// The page; whatever it shows is decided by its script.
const PAGE: &str = "index.html";
/// What the page holds where the nonce of its answer goes: styles that scripts make at run time carry it.
const NONCE: &str = "__CSP_NONCE__";

/// First parts of paths that are no pages of the console, whoever asks.
const NO_PAGES: &[&str] =
    &["api", "assets", "health", "metrics", "providers", "v1", "v1alpha", "v1beta", "v2", "v3"];

/// First parts of paths that the console has pages at and compatible dialects routes.
const SHARED: &[&str] = &[
    "audit",
    "channels",
    "groups",
    "keys",
    "login",
    "models",
    "organizations",
    "policies",
    "prices",
    "settings",
    "users",
];

/// Whether browsers' visits to a path of the API see the console's page there.
pub fn is_shared(path: &str) -> bool {
    SHARED.contains(&first_part(path))
}

fn first_part(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// What is at `/` and below `/assets`; `otherwise` answers what the console doesn't.
pub fn configure(config: &mut web::ServiceConfig, source: Source, otherwise: fn() -> Route) {
    let reading = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let root = web::resource("/").route(
        reading()
            .to(move |req: HttpRequest| async move { page(&req, source).unwrap_or_else(|| missing(&req)) }),
    );
    let files = web::resource("/assets/{file:.*}").route(
        reading()
            .to(move |req: HttpRequest| async move { file(&req, source).unwrap_or_else(|| missing(&req)) }),
    );
    config.service(root.default_service(otherwise())).service(files.default_service(otherwise()));
}

/// A route to the page for browsers' visits, on a path that the API has, too.
pub fn visit(source: Source) -> Route {
    let guard = guard::fn_guard(|context| is_visit(&context.head().method, context.head().headers()));
    let present = guard::fn_guard(move |context| {
        context.app_data::<web::Data<State>>().is_some_and(|state| is_on(state)) && source(PAGE).is_some()
    });
    web::route()
        .guard(guard::All(guard).and(present))
        .to(move |req: HttpRequest| async move { page(&req, source).unwrap_or_else(|| missing(&req)) })
}

/// What the console has at a path that no route serves: a file beside its page, or the page, whose script knows the path.
pub fn fallback(req: &HttpRequest, source: Source) -> Option<HttpResponse> {
    if !matches!(*req.method(), Method::GET | Method::HEAD) {
        return None;
    }
    if NO_PAGES.contains(&first_part(req.path())) {
        return None;
    }
    file(req, source).or_else(|| is_visit(req.method(), req.headers()).then(|| page(req, source)).flatten())
}

/// Whether a browser is shown a page of the console at what it asks for, where there is one and it isn't switched off.
pub fn is_shown(req: &HttpRequest) -> bool {
    let is_there = req.app_data::<Source>().is_some_and(|source| source(PAGE).is_some());
    is_there && on(req) && is_visit(req.method(), req.headers())
}

/// Whether somebody looks at a path with a browser. Programs that call the API don't prefer HTML, and bring a credential.
fn is_visit(method: &Method, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(*method, Method::GET | Method::HEAD)
        && accepts.split(',').any(|range| range.split(';').next().unwrap_or_default().trim() == "text/html")
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key("x-api-key")
}

fn is_on(state: &State) -> bool {
    state.gateway.host().console
}

fn on(req: &HttpRequest) -> bool {
    req.app_data::<web::Data<State>>().is_some_and(|state| is_on(state))
}

/// The page, with a nonce of its own. Never from a browser's store: a page kept with an older nonce would lose its styles.
fn page(req: &HttpRequest, source: Source) -> Option<HttpResponse> {
    let file = on(req).then(|| source(PAGE)).flatten()?;
    let text = String::from_utf8_lossy(&file.bytes);
    Some(match nonce() {
        Ok(nonce) => {
            let mut response = HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, asset::media_type(PAGE)))
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .body(text.replace(NONCE, &nonce));
            guard_page(response.headers_mut(), &nonce);
            response
        }
        Err(error) => respond::error(req, Face::OpenAi, error),
    })
}

fn file(req: &HttpRequest, source: Source) -> Option<HttpResponse> {
    let path = req.path().trim_start_matches('/');
    // The page itself goes out by its own way only.
    if !on(req) || path == PAGE {
        return None;
    }
    let file = asset::find(source, path, accepted(req.headers()))?;
    let fresh = req
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == file.etag);
    let mut answer = HttpResponse::build(if fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    // What is under `assets` has the hash of its text in its name, and never changes.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    answer
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::ETAG, file.etag))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header(NOSNIFF)
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"));
    if fresh {
        return Some(answer.finish());
    }
    if file.encoding != ContentEncoding::Identity {
        answer.insert_header((header::CONTENT_ENCODING, file.encoding.as_str()));
    }
    Some(answer.insert_header((header::CONTENT_TYPE, asset::media_type(path))).body(file.bytes))
}

/// How a caller takes files: what its `accept-encoding` names without a weight of 0.
fn accepted(headers: &HeaderMap) -> Accepted {
    let mut accepted = Accepted::default();
    let values = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    for entry in values.flat_map(|value| value.split(',')) {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        match name.trim() {
            "br" => accepted.brotli = !refused,
            "gzip" => accepted.gzip = !refused,
            _ => {}
        }
    }
    accepted
}

const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// What browsers must not do with the page: run or load anything that isn't ours, show it inside another, tell others its
/// address.
fn guard_page(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; font-src 'self'; \
         connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'; object-src 'none'"
    );
    // INVARIANT: a nonce is hexadecimal, so that the policy is a header's value.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// 128 bits of the system's randomness: who could guess it could add styles to the page.
fn nonce() -> Result<String, Error> {
    let draw = || {
        getrandom::u64().map_err(|why| {
            let message = format!("the system has no randomness: {why}");
            Error::new(ErrorKind::Internal, message)
        })
    };
    Ok(format!("{:016x}{:016x}", draw()?, draw()?))
}

fn missing(req: &HttpRequest) -> HttpResponse {
    let message = if !on(req) {
        "the web console is switched off (`server.console`); /api/v1/openapi.json lists what there is"
            .to_owned()
    } else if req.path() == "/" {
        "this binary was built without the web console; `cargo xtask console` builds it, and `cargo build` then packs it in. \
         /api/v1/openapi.json lists what there is"
            .to_owned()
    } else {
        format!("the web console has no file `{}`", req.path())
    };
    respond::error(req, Face::OpenAi, Error::new(ErrorKind::NotFound, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_taken_as_they_are_weighed() {
        for (said, brotli, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("gzip;q=1.0, br;q=0", false, true),
            ("br; q=0.5", true, false),
            ("identity", false, false),
            ("", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(said));
            assert_eq!(accepted(&headers), Accepted { brotli, gzip }, "{said}");
        }
    }
}
