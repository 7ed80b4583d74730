//! The console's page and files: what is sent to whom, how it is cached, and what it never stands before.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::io::Write as _;

use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use sluicegate::{ConfigText, Gateway, Options, Secret};
use sluicegate_server::block_on;
use sluicegate_server::console::asset::File;
use sluicegate_server::routes;
use sluicegate_server::state::State;

const MASTER: &str = "sk-master-0123456789abcdef0123456789abcdef";
const PAGE: &str =
    "<!doctype html><meta name=\"csp-nonce\" content=\"__CSP_NONCE__\"><div id=\"root\"></div>";
const SCRIPT: &str = "export const one = 1;";

/// A console as a build leaves it.
fn built(path: &str) -> Option<File> {
    let bytes = match path {
        "index.html" => PAGE.as_bytes().to_vec(),
        "assets/app-1a2b.js.br" => b"brotli".to_vec(),
        "assets/app-1a2b.js.gz" => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(SCRIPT.as_bytes()).unwrap();
            packer.finish().unwrap()
        }
        "assets/mark-3c4d.png" => vec![0x89, b'P', b'N', b'G'],
        "favicon.svg.gz" => b"gzip".to_vec(),
        ".gitignore" => b"*".to_vec(),
        _ => return None,
    };
    Some(File { bytes: Cow::Owned(bytes), hash: [path.len() as u8; 32] })
}

struct Answer {
    status: u16,
    headers: actix_web::http::header::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn is_page(&self) -> bool {
        self.status == 200 && self.text.contains("id=\"root\"")
    }
}

/// Asks a gateway with this configuration and console, with these headers.
fn ask_with(
    config: &'static str,
    console: fn(&str) -> Option<File>,
    line: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    block_on(async {
        let options = Options {
            config: Some(ConfigText { path: "test.yaml".to_owned(), text: config.to_owned() }),
            master_key: Some(Secret::new(MASTER)),
            ..Options::default()
        };
        let gateway = Gateway::open(options).await.unwrap();
        let state = State {
            worker: gateway.worker(),
            gateway,
            body_limit: 1 << 20,
            trusted_proxies: std::sync::Arc::from([]),
        };
        let app = App::new()
            .app_data(web::Data::new(state))
            .configure(move |config| routes::configure_with(config, console));
        let app = init_service(app).await;
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = TestRequest::default().method(method.parse::<Method>().unwrap()).uri(path);
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let response = call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = String::from_utf8_lossy(&read_body(response).await).into_owned();
        Answer { status, headers, text }
    })
}

const PLAIN: &str = "version: 1\n";
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const SDK: (&str, &str) = ("accept", "application/json");

fn ask(line: &str, headers: &[(&'static str, &str)]) -> Answer {
    ask_with(PLAIN, built, line, headers)
}

#[test]
fn pages_are_for_browsers_and_never_before_the_api() {
    let bearer = ("authorization", "Bearer sk-nobody");
    for (line, headers, page) in [
        ("GET /", &[][..], true),
        ("HEAD /", &[], true),
        ("POST /", &[BROWSER], false),
        ("GET /login", &[BROWSER], true),
        ("GET /keys/key_1?tab=limits", &[BROWSER], true),
        ("GET /models", &[BROWSER], true),
        ("GET /models/gpt-5.4", &[BROWSER], true),
        ("GET /policies", &[BROWSER], true),
        ("GET /audit", &[BROWSER], true),
        ("GET /audit", &[SDK], false),
        ("GET /nowhere", &[BROWSER], true),
        ("GET /login", &[SDK], false),
        ("GET /login", &[("accept", "*/*")], false),
        ("GET /login", &[], false),
        ("GET /login", &[BROWSER, bearer], false),
        ("POST /login", &[BROWSER], false),
        ("GET /models", &[SDK], false),
        ("GET /models", &[BROWSER, bearer], false),
        ("GET /models", &[BROWSER, ("x-api-key", "sk-nobody")], false),
        ("GET /v1/models", &[BROWSER], false),
        ("GET /v1/nothing", &[BROWSER], false),
        ("GET /v1beta/models", &[BROWSER], false),
        ("GET /api/v1/me", &[BROWSER], false),
        ("GET /api/v1/nothing", &[BROWSER], false),
        ("GET /api/status", &[BROWSER], false),
        ("GET /key/info", &[BROWSER], false),
        ("GET /team/list", &[BROWSER], false),
        ("GET /health/liveliness", &[BROWSER], false),
        ("GET /health", &[BROWSER], false),
        ("GET /metrics", &[BROWSER], false),
        ("GET /providers/openai/v1/x", &[BROWSER], false),
        ("GET /assets/gone-9z.js", &[BROWSER], false),
        ("GET /index.html.gz", &[], false),
        ("GET /.gitignore", &[], false),
    ] {
        let answer = ask(line, headers);
        assert_eq!(answer.is_page(), page, "{line} {headers:?}: {} {}", answer.status, answer.text);
    }
    assert_eq!(ask("HEAD /", &[]).status, 200);
    assert_eq!(ask("POST /", &[BROWSER]).status, 404);
    // The form of LiteLLM's sign-in, without its fields.
    assert_eq!(ask("POST /login", &[BROWSER]).status, 400);
    assert_eq!(ask("GET /assets/gone-9z.js", &[BROWSER]).status, 404);
}

#[test]
fn a_page_has_a_nonce_of_its_own_and_a_policy_that_names_it() {
    let nonce = |answer: &Answer| {
        let (_, rest) = answer.text.split_once("content=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (one, other) = (ask("GET /", &[BROWSER]), ask("GET /login", &[BROWSER]));
    assert_ne!(nonce(&one), nonce(&other));
    for answer in [&one, &other] {
        let nonce = nonce(answer);
        assert_eq!(nonce.len(), 32, "{nonce}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains(&format!("style-src 'self' 'nonce-{nonce}';")), "{policy}");
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("etag"), "");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    }
}

#[test]
fn files_go_out_in_the_smallest_form_that_is_taken() {
    let path = "GET /assets/app-1a2b.js";
    for (accepts, encoding, text) in [
        ("gzip, deflate, br", "br", "brotli"),
        ("gzip;q=0, br", "br", "brotli"),
        ("identity", "", SCRIPT),
        ("", "", SCRIPT),
    ] {
        let answer = ask(path, &[("accept-encoding", accepts)]);
        assert_eq!((answer.status, answer.text.as_str()), (200, text), "{accepts}");
        assert_eq!(answer.header("content-encoding"), encoding, "{accepts}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    }
    let packed = ask(path, &[("accept-encoding", "gzip, br;q=0")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    let image = ask("GET /assets/mark-3c4d.png", &[("accept-encoding", "br, gzip")]);
    assert_eq!((image.status, image.header("content-encoding")), (200, ""));
    assert_eq!(image.header("content-type"), "image/png");
    // A file without a hash in its name is asked for again.
    let icon = ask("GET /favicon.svg", &[("accept-encoding", "gzip")]);
    assert_eq!((icon.status, icon.header("cache-control")), (200, "no-cache"));
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let path = "GET /assets/app-1a2b.js";
    let packed = ("accept-encoding", "br");
    let first = ask(path, &[packed]);
    let etag = first.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let again = ask(path, &[packed, ("if-none-match", &format!("\"other\", W/{etag}"))]);
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), etag);
    // In another form it is another thing.
    let other = ask(path, &[("accept-encoding", "gzip"), ("if-none-match", etag)]);
    assert_eq!(other.status, 200);
    assert_ne!(other.header("etag"), etag);
}

#[test]
fn without_a_console_the_root_says_how_to_get_one() {
    let none: fn(&str) -> Option<File> = |_| None;
    let answer = ask_with(PLAIN, none, "GET /", &[BROWSER]);
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("cargo xtask console"), "{}", answer.text);
    // Elsewhere everything is as if there were none.
    assert_eq!(ask_with(PLAIN, none, "GET /login", &[BROWSER]).status, 405);
    assert_eq!(ask_with(PLAIN, none, "GET /models", &[BROWSER]).status, 401);
    assert_eq!(ask_with(PLAIN, none, WAY_IN, &[BROWSER]).status, 404);
}

/// A sign-in through a provider that isn't there.
const WAY_IN: &str = "GET /api/v1/session/oidc/nowhere";

#[test]
fn a_sign_in_that_fails_leads_to_the_page_where_there_is_one() {
    let (browser, program) = (ask(WAY_IN, &[BROWSER]), ask(WAY_IN, &[SDK]));
    assert_eq!((browser.status, browser.header("location")), (302, "/login?error=not_found"));
    assert_eq!(program.status, 404);
}

#[test]
fn a_console_that_is_off_is_not_there() {
    let off = "version: 1\nserver: {console: false}\n";
    let answer = ask_with(off, built, "GET /", &[BROWSER]);
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("server.console"), "{}", answer.text);
    for (line, status) in [
        ("GET /login", 405),
        ("GET /models", 401),
        (WAY_IN, 404),
        ("GET /assets/app-1a2b.js", 404),
        ("GET /favicon.svg", 404),
    ] {
        assert_eq!(ask_with(off, built, line, &[BROWSER]).status, status, "{line}");
    }
}
