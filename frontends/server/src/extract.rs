//! What a request says besides its body: the key, where it comes from, its tags.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sluicegate::core::channel::Translation;
use sluicegate::core::header::{self, Wanted};
use sluicegate::tenant::IpNetwork;
use sluicegate::{Error, Secret, TRANSLATION_HEADER, asked_translation};

/// Wins over all others: who sends it keeps `authorization` for something else.
const LITELLM_KEY: HeaderName = HeaderName::from_static("x-litellm-api-key");

/// Headers that carry a bare key, in the order in which they are asked: where each SDK puts it.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Headers of the caller's that an upstream may need to see.
const PASSED_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
];

/// Headers that carry tags, separated by commas.
const TAG_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-sluicegate-tags"), HeaderName::from_static("x-litellm-tags")];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Asks why the call goes where it goes.
const EXPLAIN: HeaderName = HeaderName::from_static("x-sluicegate-explain");

/// No more tags are taken from headers.
const TAGS_MAX: usize = 16;

/// The key that the caller presents.
pub fn credential(headers: &HeaderMap) -> Option<Secret> {
    let first = [LITELLM_KEY, AUTHORIZATION];
    first.into_iter().chain(KEY_HEADERS).find_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(strip_bearer(value)).filter(|key| !key.is_empty()).map(Secret::new)
    })
}

/// The key that a caller in Google's manner presents: in a header, else as `key` in the query.
pub fn credential_or_query(req: &HttpRequest) -> Option<Secret> {
    credential(req.headers()).or_else(|| {
        let key = query(req, "key").filter(|key| !key.is_empty())?;
        Some(Secret::new(&*key))
    })
}

/// A parameter of the query, decoded; the first of its name.
pub fn query(req: &HttpRequest, name: &str) -> Option<String> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(req.query_string()).ok()?;
    pairs.into_inner().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// `Bearer sk-…` and `sk-…` are both keys.
fn strip_bearer(value: &str) -> &str {
    let value = value.trim();
    match value.split_at_checked(6) {
        Some((scheme, "")) if scheme.eq_ignore_ascii_case("bearer") => "",
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") && key.starts_with(' ') => {
            key.trim_start()
        }
        _ => value,
    }
}

/// Headers to hand on, by lower-case name. What isn't text is left out.
pub fn passed_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut passed = Vec::new();
    for name in PASSED_HEADERS {
        for value in headers.get_all(&name) {
            if let Ok(value) = value.to_str() {
                passed.push((name.as_str().to_owned(), value.to_owned()));
            }
        }
    }
    passed
}

/// Every header that may go on with a call that is passed through, by lower-case name: none of this connection, none that says who
/// the caller is or where they come from, and none for us.
pub fn all_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let hops = hops(headers);
    headers
        .iter()
        .filter(|(name, _)| {
            !header::is_private(name.as_str()) && !hops.iter().any(|hop| hop == name.as_str())
        })
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// The headers that channels ask for, by lower-case name; lines of the same name are one.
pub fn wanted_headers(headers: &HeaderMap, wanted: &Wanted) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    if *wanted == Wanted::None {
        return found;
    }
    let hops = hops(headers);
    for (name, value) in headers {
        let name = name.as_str();
        let (true, Ok(value)) = (wanted.takes(name) && !hops.iter().any(|hop| hop == name), value.to_str())
        else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => {
                all.push_str(", ");
                all.push_str(value);
            }
            // BOUND: the server bounds a request's headers.
            None => found.push((name.to_owned(), value.to_owned())),
        }
    }
    found
}

/// What `connection` names besides: it is of this connection, too.
fn hops(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(actix_web::http::header::CONNECTION);
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

/// Whether the answer is to say why the call went where it went.
pub fn wants_explanation(headers: &HeaderMap) -> bool {
    headers.get(&EXPLAIN).is_some_and(|value| matches!(value.as_bytes(), b"true" | b"1"))
}

/// What the caller wants of translations.
///
/// # Errors
/// `InvalidRequest` for a word that there isn't.
pub fn translation(headers: &HeaderMap) -> Result<Translation, Error> {
    asked_translation(headers.get(TRANSLATION_HEADER).map(HeaderValue::as_bytes))
}

/// Tags from headers.
pub fn tags(headers: &HeaderMap) -> Vec<String> {
    let values = TAG_HEADERS.into_iter().flat_map(|name| headers.get_all(name));
    let tags = values
        .filter_map(|v| v.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty());
    // BOUND: the header is bounded already; a record isn't the place for hundreds of tags.
    tags.take(TAGS_MAX).map(str::to_owned).collect()
}

/// Where the caller connects from: the peer, or, when the peer is a trusted proxy, the last address in
/// `x-forwarded-for` that isn't one.
pub fn client_ip(req: &HttpRequest, trusted: &[IpNetwork]) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip();
    if trusted.is_empty() {
        return Some(peer);
    }
    Some(forwarded(peer, req.headers().get_all(FORWARDED_FOR).map(HeaderValue::as_bytes), trusted))
}

/// Whether a request comes from a proxy whose word on the caller counts.
pub fn is_from_proxy(req: &HttpRequest, trusted: &[IpNetwork]) -> bool {
    req.peer_addr().is_some_and(|peer| trusted.iter().any(|net| net.contains(peer.ip())))
}

/// Lines are bytes: what a caller wrote in front mustn't keep us from reading what a proxy of ours added behind.
fn forwarded<'a>(peer: IpAddr, lines: impl Iterator<Item = &'a [u8]>, trusted: &[IpNetwork]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut address = peer;
    let hops: Vec<&[u8]> = lines.flat_map(|line| line.split(|byte| *byte == b',')).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(address) {
            break;
        }
        // What isn't an address was not written by a proxy of ours: it tells nothing, and so does what stands before it.
        let Some(ip) = std::str::from_utf8(hop).ok().and_then(|hop| parse_hop(hop.trim())) else { break };
        address = ip;
    }
    address
}

/// `10.0.0.1`, `10.0.0.1:8080`, `::1` or `[::1]:8080`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Ok(ip) = hop.parse() {
        return Some(ip);
    }
    if let Ok(address) = hop.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_key_is_found_where_each_sdk_puts_it() {
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bearer  sk-1"),
            ("authorization", "sk-1"),
            ("x-api-key", "sk-1"),
            ("api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
            ("x-litellm-api-key", "Bearer sk-1"),
            ("x-litellm-api-key", "sk-1"),
        ] {
            let key = credential(&headers(&[(name, value)]));
            assert_eq!(key.as_ref().map(Secret::expose), Some("sk-1"), "{name}: {value}");
        }
        let both = headers(&[("authorization", "Bearer other"), ("x-litellm-api-key", "sk-1")]);
        assert_eq!(credential(&both).as_ref().map(Secret::expose), Some("sk-1"));
        assert!(credential(&headers(&[("authorization", "Bearer "), ("x-api-key", " ")])).is_none());
    }

    #[test]
    fn betas_go_on_as_they_are() {
        let sent = headers(&[
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", "context-1m-2025-08-07,tomorrow-2027-01-01"),
            ("anthropic-beta", "another-2026-01-01"),
            ("x-api-key", "sk-1"),
        ]);
        let betas = |(name, value): (String, String)| (name == "anthropic-beta").then_some(value);
        let passed: Vec<String> = passed_headers(&sent).into_iter().filter_map(betas).collect();
        assert_eq!(passed, ["context-1m-2025-08-07,tomorrow-2027-01-01", "another-2026-01-01"]);
    }

    #[test]
    fn what_is_of_this_connection_or_ours_stays_here() {
        let map = headers(&[
            ("authorization", "Bearer sk-1"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-litellm-api-key", "sk-1"),
            ("x-sluicegate-tags", "a"),
            ("content-type", "text/plain"),
            ("openai-beta", "assistants=v2"),
        ]);
        let mut passed = all_headers(&map);
        passed.sort();
        let want = [("content-type", "text/plain"), ("openai-beta", "assistants=v2")];
        assert_eq!(passed, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn channels_get_the_headers_that_they_ask_for() {
        let map = headers(&[
            ("authorization", "Bearer sk-1"),
            ("connection", "X-Hop"),
            ("x-hop", "1"),
            ("user-agent", "cli/1"),
            ("x-beta", "a"),
            ("x-beta", "b"),
            ("x-sluicegate-tags", "a"),
            ("content-type", "application/json"),
        ]);
        let named = Wanted::Named(["x-beta", "authorization", "x-hop"].map(str::to_owned).to_vec());
        for (wanted, want) in [
            (Wanted::None, &[][..]),
            (named, &[("x-beta", "a, b")]),
            (Wanted::All, &[("user-agent", "cli/1"), ("x-beta", "a, b")]),
        ] {
            let mut got = wanted_headers(&map, &wanted);
            got.sort();
            let want: Vec<_> = want.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(got, want, "{wanted:?}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_where_a_call_comes_from() {
        let net = |text: &str| IpNetwork::try_from(text.to_owned()).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [net("10.0.0.0/8"), net("::1")];
        for (peer, header, want) in [
            ("203.0.113.9", &b"1.2.3.4"[..], "203.0.113.9"),
            ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", b"6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.1", b"1.2.3.4, forged, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", b"", "10.0.0.1"),
            ("::1", b"[2001:db8::7]:443", "2001:db8::7"),
            ("::ffff:10.0.0.1", b"1.2.3.4:80", "1.2.3.4"),
            // Who calls can't make the proxy's own address theirs with a line that isn't text.
            ("10.0.0.1", b"\xff\xfe, 1.2.3.4", "1.2.3.4"),
        ] {
            let text = String::from_utf8_lossy(header);
            assert_eq!(forwarded(ip(peer), [header].into_iter(), &trusted), ip(want), "{peer} {text}");
        }
    }

    #[test]
    fn tags_are_split_trimmed_and_bounded() {
        let many: &'static str = Box::leak("t,".repeat(100).into_boxed_str());
        let map = headers(&[("x-litellm-tags", " a , ,b"), ("x-sluicegate-tags", many)]);
        let tags = tags(&map);
        assert_eq!(tags.len(), TAGS_MAX);
        assert!(super::tags(&headers(&[("x-litellm-tags", " a , ,b")])) == ["a", "b"]);
    }
}
