//! The OpenAPI document in a browser: a page of ours, without any request to elsewhere.

use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};

use crate::openapi::Operation;
use crate::routes::Entry;

const PAGE: &str = include_str!("../../openapi/page/index.html");
const STYLE: &str = include_str!("../../openapi/page/page.css");
const SCRIPT: &str = include_str!("../../openapi/page/page.js");

/// Nothing but the page's own script and style, and the document: what the document says can't become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

pub(super) fn table() -> Vec<Entry> {
    let entry = |path, make, id, summary| Entry {
        method: Method::GET,
        path,
        make,
        operation: Some(Operation::new(id, "meta", summary).public()),
    };
    vec![
        entry("/api/v1/docs", || web::get().to(page), "getDocs", "This document as a page for a browser."),
        entry("/api/v1/docs/page.css", || web::get().to(style), "getDocsStyle", "That page's style."),
        entry("/api/v1/docs/page.js", || web::get().to(script), "getDocsScript", "That page's script."),
    ]
}

async fn page() -> HttpResponse {
    answer("text/html; charset=utf-8", PAGE)
}

async fn style() -> HttpResponse {
    answer("text/css; charset=utf-8", STYLE)
}

async fn script() -> HttpResponse {
    answer("text/javascript; charset=utf-8", SCRIPT)
}

fn answer(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        // Another version has another page under the same address.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text)
}
