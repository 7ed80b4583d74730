use sluicegate_core::channel::SecretRef;

use super::*;
use crate::secret::Secrets;

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn target_of(headers: &[(&str, &str)], auth: Auth, edits: &str) -> Arc<Target> {
    let mut channel = Channel::new("c", "c", "openai");
    channel.auth = auth;
    channel.secret = SecretRef::Inline(sluicegate_core::Secret::new("sk-upstream"));
    channel.headers = headers.iter().map(|(name, value)| pair(name, value)).collect();
    channel.body_edits = serde_json::from_str(edits).unwrap();
    let endpoint = Endpoint { format: Format::OpenaiChat, url: "https://g.test/v1".into() };
    let secrets = Secrets::new(Arc::new(|_| None));
    Arc::new(build(&channel, &endpoint, 0, &secrets).unwrap())
}

fn sent(target: &Target, name: &str) -> Option<String> {
    target.header_pairs().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[test]
fn standing_headers_that_are_not_ascii_stay_beside_changes() {
    let edits = r#"[{"path":"x-a","change":{"set_header":{"value":"1","keep":false}}}]"#;
    let target = target_of(&[("x-title", "Zürich 网关")], Auth::Bearer, edits);
    let headers = target.headers_of_call(&[], &[]).unwrap();
    assert_eq!(headers.sent("x-title"), Some("Zürich 网关"));
    let called = target.with_headers(headers);
    assert_eq!(sent(&called, "x-title").as_deref(), Some("Zürich 网关"));
    assert_eq!(sent(&called, "authorization").as_deref(), Some("Bearer sk-upstream"));
}

#[test]
fn a_header_of_credential_and_callers_words_is_as_secret_as_the_credential() {
    let caller = [pair("x-user", "ann"), pair("x-who", "me"), pair("x-other", "o")];
    let target = target_of(
        &[("x-who", "{api_key}:{client_header:X-User}"), ("x-plain", "<{client_header:X-User}>")],
        Auth::None,
        "[]",
    );
    // Neither seen nor replaced, whatever changes do.
    let mut headers = target.headers_of_call(&caller, &caller[1..]).unwrap();
    assert_eq!((headers.sent("x-who"), headers.sent("x-plain")), (Some("me"), Some("<ann>")));
    headers.set("x-who", "mine".to_owned());
    let called = Arc::clone(&target).with_headers(headers);
    assert_eq!(sent(&called, "x-who").as_deref(), Some("sk-upstream:ann"));
    assert!(called.headers["x-who"].is_sensitive() && !called.headers["x-plain"].is_sensitive());
    // Without what it names it isn't sent, and nothing in its place.
    let headers = target.headers_of_call(&caller[1..], &caller[1..]).unwrap();
    let called = Arc::clone(&target).with_headers(headers);
    assert_eq!((sent(&called, "x-who"), sent(&called, "x-plain")), (None, None));
    assert_eq!(sent(&called, "x-other").as_deref(), Some("o"));
}

#[test]
fn what_is_passed_through_has_its_templates_filled() {
    let target = target_of(
        &[("x-who", "<{client_header:X-User}>"), ("x-key", "{api_key}:{client_header:X-User}")],
        Auth::Bearer,
        "[]",
    );
    let called = Arc::clone(&target).with_templates(&[pair("x-user", "ann")]);
    assert_eq!(sent(&called, "x-who").as_deref(), Some("<ann>"));
    assert_eq!(sent(&called, "x-key").as_deref(), Some("sk-upstream:ann"));
    assert_eq!(sent(&called, "authorization").as_deref(), Some("Bearer sk-upstream"));
    let called = Arc::clone(&target).with_templates(&[]);
    assert_eq!((sent(&called, "x-who"), sent(&called, "x-key")), (None, None));
    assert!(target.is_template("x-who") && !target.is_template("authorization"));
}

#[test]
fn an_address_is_filled_in_for_each_call() {
    for (base, model, stream, want) in [
        (
            "https://g.test/v1beta",
            "gemini-2.5-pro",
            false,
            "https://g.test/v1beta/models/gemini-2.5-pro:generateContent",
        ),
        (
            "http://127.0.0.1:9/v1beta",
            "gemini-2.5-pro",
            true,
            "http://127.0.0.1:9/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        ),
        ("https://g.test/v1", "models/m", false, "https://g.test/v1/models/m:generateContent"),
        ("https://g.test/v1", "tunedModels/m-1", false, "https://g.test/v1/tunedModels/m-1:generateContent"),
        (
            "https://g.test/v1",
            "../x?y#z %\r\n",
            true,
            "https://g.test/v1/models/..%2Fx%3Fy%23z%20%25%0D%0A:streamGenerateContent?alt=sse",
        ),
    ] {
        let endpoint = Endpoint {
            format: Format::GeminiGenerate,
            url: format!("{base}/models/{{model}}:generateContent"),
        };
        let address = parse(&endpoint.address("m", false)).ok();
        let target = Target::new(address, HeaderMap::new(), Transport::default(), endpoint.format);
        let filled = Arc::new(Target { template: Some(endpoint), ..target }).for_call(model, stream);
        assert_eq!(filled.url(), Some(want));
        let path = want.splitn(4, '/').nth(3).unwrap();
        assert!(
            filled.written.starts_with(format!("POST /{path} HTTP/1.1\r\n").as_bytes()),
            "{:?}",
            filled.written
        );
    }
    let endpoint = Endpoint {
        format: Format::GeminiGenerate,
        url: "https://g.test/v1/models/{model}:generateContent?k=1".into(),
    };
    assert!(endpoint.address("m", true).ends_with("m:streamGenerateContent?k=1&alt=sse"));
}
