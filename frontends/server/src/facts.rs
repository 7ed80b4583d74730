//! What the gateway says about a call, as response headers.

use std::cell::RefCell;
use std::collections::HashMap;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, web};
use bytes::{BufMut as _, BytesMut};
use sluicegate::config::LitellmVersion;
use sluicegate::money::format_usd;
use sluicegate::{Facts, Remaining};

use crate::respond::Face;
use crate::routes::litellm::contract;
use crate::state::State;

/// The id of a request: its sender's own, or ours.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CALL_ID: HeaderName = HeaderName::from_static("x-sluicegate-call-id");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-sluicegate-attempts");
const CHANNEL: HeaderName = HeaderName::from_static("x-sluicegate-channel");
const MODEL: HeaderName = HeaderName::from_static("x-sluicegate-model");
const DOWNGRADED: HeaderName = HeaderName::from_static("x-sluicegate-downgraded");
const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-sluicegate-upstream-request-id");
const COST: HeaderName = HeaderName::from_static("x-sluicegate-cost-usd");
const CEILING: HeaderName = HeaderName::from_static("x-sluicegate-ceiling");
const LOSS: HeaderName = HeaderName::from_static("x-sluicegate-loss");
const GUARDRAIL: HeaderName = HeaderName::from_static("x-sluicegate-guardrail");
const COUNTED_BY: HeaderName = HeaderName::from_static("x-sluicegate-counted-by");
const UNPRICED: HeaderName = HeaderName::from_static("x-sluicegate-unpriced");

/// No header value of ours is longer, in bytes.
const VALUE_MAX: usize = 512;
/// Most answers' values take no more, in bytes.
const TYPICAL_BYTES: usize = 256;
/// Names of `remaining` headers that one worker keeps at hand.
const NAMES_MAX: usize = 256;

/// Writes the facts. The request id is the caller's own when they sent one, else our call id; a request that didn't get
/// as far as a call has one all the same.
pub fn write(headers: &mut HeaderMap, req: &HttpRequest, face: Face, facts: &Facts) {
    let mut values = Values(BytesMut::with_capacity(TYPICAL_BYTES));
    let id = facts.id.as_ref().and_then(|id| values.text(id.as_str()));
    let theirs = req.headers().get(&REQUEST_ID).filter(|v| v.len() <= VALUE_MAX);
    let made = if theirs.is_none() && id.is_none() { values.made_id(req) } else { None };
    if let Some(request_id) = theirs.or(id.as_ref()).or(made.as_ref()) {
        headers.insert(REQUEST_ID, request_id.clone());
        if face == Face::Anthropic {
            headers.insert(ANTHROPIC_REQUEST_ID, request_id.clone());
        }
    }
    let mut put = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    put(CALL_ID, id);
    put(ATTEMPTS, (facts.attempts > 0).then_some(facts.attempts).and_then(|n| values.number(n)));
    put(CHANNEL, facts.channel.as_deref().and_then(|name| values.text(name)));
    put(MODEL, facts.upstream_model.as_deref().and_then(|name| values.text(name)));
    put(DOWNGRADED, facts.downgraded.as_deref().and_then(|name| values.text(name)));
    put(UPSTREAM_ID, facts.upstream_request_id.as_deref().and_then(|id| values.text(id)));
    put(COST, facts.spend.and_then(|nano| values.text(&format_usd(nano))));
    put(CEILING, facts.ceiling.and_then(|tokens| values.number(tokens)));
    put(COUNTED_BY, facts.counted_by.map(|who| HeaderValue::from_static(who.as_str())));
    put(UNPRICED, facts.unpriced.then(|| HeaderValue::from_static("true")));
    if !facts.losses.is_empty() {
        put(LOSS, values.text(&lost(&facts.losses)));
    }
    if !facts.guardrails.is_empty() {
        let marks: Vec<_> = facts.guardrails.iter().map(ToString::to_string).collect();
        put(GUARDRAIL, values.text(&marks.join(", ")));
    }
    for remaining in &facts.remaining {
        if let Some(name) = remaining_name(&remaining.name) {
            put(name, values.remaining(remaining));
        }
    }
}

/// What was lost, as far as a header holds it, and how much more there is: the record has all of it.
fn lost(losses: &[String]) -> String {
    /// ` and 18446744073709551615 more` fits in it.
    const REST: usize = 32;
    // What isn't plain is written by three characters.
    let width = |text: &str| {
        text.bytes().map(|b| if matches!(b, b' '..=b'~') && b != b'%' { 1 } else { 3 }).sum::<usize>()
    };
    let mut line = String::new();
    let mut left = VALUE_MAX - REST;
    for (at, loss) in losses.iter().enumerate() {
        let sep = if at > 0 { "; " } else { "" };
        match left.checked_sub(width(loss) + sep.len()) {
            Some(rest) => left = rest,
            None => {
                let more = losses.len() - at;
                return format!("{line}{sep}and {more} more");
            }
        }
        line.push_str(sep);
        line.push_str(loss);
    }
    line
}

/// The same in LiteLLM's names, for who asked for its contract.
///
/// Where the call went is for those who may see channels: for the operator alone, since a key says nothing of its user's role.
pub fn write_litellm(
    headers: &mut HeaderMap,
    state: &State,
    version: LitellmVersion,
    facts: &Facts,
    is_operator: bool,
) {
    let mut values = Values(BytesMut::with_capacity(TYPICAL_BYTES));
    let snapshot = state.gateway.engine().snapshot();
    let channel =
        facts.channel.as_deref().and_then(|name| snapshot.channels().iter().find(|it| it.name == name));
    let base = channel
        .filter(|_| is_operator)
        .and_then(|it| it.endpoints.first())
        .map(|endpoint| endpoint.url.as_str());
    let spend = facts.spend.map(format_usd);
    let retries = facts.attempts.saturating_sub(1).to_string();
    for (name, value) in [
        ("x-litellm-call-id", facts.id.as_ref().map(|id| id.as_str())),
        ("x-litellm-model-id", channel.map(|it| it.id.as_str())),
        ("x-litellm-model-name", facts.upstream_model.as_deref()),
        ("x-litellm-model-api-base", base.map(|url| url.split('?').next().unwrap_or(url))),
        ("x-litellm-response-cost", spend.as_deref()),
        ("x-litellm-attempted-retries", Some(retries.as_str())),
        ("x-litellm-version", Some(contract::word(Some(version)))),
    ] {
        if let Some(value) = value.and_then(|text| values.text(text)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Makes header values, all of an answer in one piece of memory.
struct Values(BytesMut);

impl Values {
    /// A text: percent-encoded where it isn't visible ASCII, and cut when it is too long.
    fn text(&mut self, value: &str) -> Option<HeaderValue> {
        if value.len() <= VALUE_MAX && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'%') {
            self.0.extend_from_slice(value.as_bytes());
            return self.made();
        }
        for byte in value.bytes() {
            let plain = matches!(byte, b' '..=b'~') && byte != b'%';
            if self.0.len() + if plain { 1 } else { 3 } > VALUE_MAX {
                break;
            }
            if plain {
                self.0.put_u8(byte);
            } else {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                self.0.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        self.made()
    }

    fn number(&mut self, n: impl itoa::Integer) -> Option<HeaderValue> {
        self.0.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        self.made()
    }

    fn remaining(&mut self, remaining: &Remaining) -> Option<HeaderValue> {
        if remaining.name.contains("spend") {
            self.text(&format_usd(remaining.remaining))
        } else {
            self.number(remaining.remaining)
        }
    }

    /// An id for a request that is no call.
    fn made_id(&mut self, req: &HttpRequest) -> Option<HeaderValue> {
        let state = req.app_data::<web::Data<State>>()?;
        self.text(state.gateway.call_id().as_str())
    }

    /// What was put here since the last value.
    fn made(&mut self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.0.split().freeze()).ok()
    }
}

/// `key-total_tokens-day` becomes `x-sluicegate-remaining-key-total-tokens-day`.
fn remaining_name(limit: &str) -> Option<HeaderName> {
    thread_local! {
        static NAMES: RefCell<HashMap<String, HeaderName>> = RefCell::new(HashMap::new());
    }
    NAMES.with_borrow_mut(|names| {
        if let Some(name) = names.get(limit) {
            return Some(name.clone());
        }
        let word: String = limit
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let name = HeaderName::try_from(format!("x-sluicegate-remaining-{word}")).ok()?;
        // BOUND: names come from limits; a limit for one model has that model in its name.
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(limit.to_owned(), name.clone());
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use sluicegate::CallId;

    use super::*;

    fn facts() -> Facts {
        Facts {
            id: Some(CallId::from("call-1")),
            attempts: 2,
            channel: Some("快手".into()),
            spend: Some(12_500_000),
            ceiling: Some(4096),
            downgraded: Some("small".to_owned()),
            remaining: vec![Remaining {
                name: "key-total_tokens-day".into(),
                max: 10,
                remaining: 7,
                resets_at_ms: None,
            }],
            losses: vec!["dropped seed".into(), "approximated tools[0]".into()],
            ..Facts::default()
        }
    }

    #[test]
    fn losses_that_a_header_can_not_hold_are_counted() {
        let losses = |n: usize| vec!["dropped messages[0].name: why so".to_owned(); n];
        assert_eq!(lost(&losses(2)), "dropped messages[0].name: why so; dropped messages[0].name: why so");
        let line = lost(&losses(40));
        assert!(line.ends_with("; and 26 more") && line.len() <= VALUE_MAX, "{line}");
        let line = lost(&["é".repeat(400), "b".into()]);
        assert_eq!(line, "and 2 more");
    }

    #[test]
    fn the_facts_are_headers() {
        let mut headers = HeaderMap::new();
        write(&mut headers, &TestRequest::default().to_http_request(), Face::OpenAi, &facts());
        let get = |name| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(get("x-request-id").as_deref(), Some("call-1"));
        assert_eq!(get("request-id"), None);
        assert_eq!(get("x-sluicegate-attempts").as_deref(), Some("2"));
        assert_eq!(get("x-sluicegate-channel").as_deref(), Some("%E5%BF%AB%E6%89%8B"));
        assert_eq!(get("x-sluicegate-cost-usd").as_deref(), Some("0.0125"));
        assert_eq!(get("x-sluicegate-ceiling").as_deref(), Some("4096"));
        assert_eq!(get("x-sluicegate-downgraded").as_deref(), Some("small"));
        assert_eq!(get("x-sluicegate-remaining-key-total-tokens-day").as_deref(), Some("7"));
        assert_eq!(get("x-sluicegate-loss").as_deref(), Some("dropped seed; approximated tools[0]"));
        assert_eq!(get("x-sluicegate-unpriced"), None);
    }

    #[test]
    fn the_callers_request_id_comes_back() {
        let mut headers = HeaderMap::new();
        let req = TestRequest::default().insert_header(("x-request-id", "mine")).to_http_request();
        write(&mut headers, &req, Face::Anthropic, &facts());
        assert_eq!(headers.get("x-request-id").unwrap(), "mine");
        assert_eq!(headers.get("request-id").unwrap(), "mine");
        assert_eq!(headers.get("x-sluicegate-call-id").unwrap(), "call-1");
    }

    #[test]
    fn a_value_is_bounded_and_holds_no_line_break() {
        let value = Values(BytesMut::new()).text(&"a\r\n%".repeat(1000)).unwrap();
        assert!(value.len() <= VALUE_MAX);
        assert!(value.to_str().unwrap().starts_with("a%0D%0A%25a"));
    }
}
