//! Active health checks: small real calls of the gateway's own that find out whether a channel is well. They are nobody's: no
//! limit counts them, and no record is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate_core::channel::Timeouts;
use sluicegate_core::check::{Check, CheckOf, Checked};
use sluicegate_core::edit::BodyEdit;
use sluicegate_core::quirk::Quirks;
use sluicegate_core::{Channel, ChannelId, Format, OutcomeClass, Timestamp};
use sluicegate_wire::{Edits, Fault, OverlayContext, overlay, scan};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::gateway::Inner;
use crate::running::{class_of, class_of_fault};
use crate::serve::read_some;
use crate::upstream::{HttpUpstream, MockUpstream, Target, Upstream, UpstreamRequest};

/// A channel and the place of one of its keys.
type Checking = (ChannelId, u32);

/// The checks of a gateway. Nothing is made before the first one is due.
#[derive(Default)]
pub(crate) struct Checks {
    // BOUND: both hold keys of channels that there are.
    next_at: HashMap<Checking, Timestamp>,
    under_way: HashSet<Checking>,
    /// Dropped, and with it what is under way, when the gateway ends.
    tasks: JoinSet<Checking>,
    upstream: Option<Arc<dyn Upstream>>,
}

/// One check to make.
struct Ask {
    target: Arc<Target>,
    body: Bytes,
    quirks: Arc<Quirks>,
    timeouts: Timeouts,
    timeout_ms: u64,
}

impl Checks {
    /// Begins what is due, and forgets what is over.
    pub(crate) fn turn(&mut self, gateway: &Arc<Inner>) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(checking) => drop(self.under_way.remove(&checking)),
                // Nobody knows which: what isn't under way any more is asked again.
                Err(_) if self.tasks.is_empty() => self.under_way.clear(),
                Err(_) => {}
            }
        }
        let (now, snapshot) = (gateway.clock.now(), gateway.engine.snapshot());
        let mut known = HashSet::new();
        for channel in snapshot.channels() {
            let Some(check) =
                Check::of(channel.health_check.as_ref(), gateway.file.host.health_checks.as_ref())
            else {
                continue;
            };
            let all = check.of == CheckOf::All;
            for key in gateway.engine.to_check(&channel.id, all, now) {
                let checking = (channel.id.clone(), key);
                known.insert(checking.clone());
                self.begin_if_due(gateway, channel, &check, checking, now);
            }
        }
        // What is well, or gone, has its first check a whole interval after it is out.
        self.next_at.retain(|checking, _| known.contains(checking));
    }

    fn begin_if_due(
        &mut self,
        gateway: &Arc<Inner>,
        channel: &Channel,
        check: &Check<'_>,
        checking: Checking,
        now: Timestamp,
    ) {
        let interval = i64::try_from(check.interval_ms).unwrap_or(i64::MAX);
        let next = *self.next_at.entry(checking.clone()).or_insert_with(|| now.plus_ms(interval));
        // BOUND: so many at the same time; the others are due still in the next turn.
        let is_full = self.tasks.len() >= gateway.file.host.health_checks_at_once as usize;
        if now < next || is_full || self.under_way.contains(&checking) {
            return;
        }
        self.next_at.insert(checking.clone(), now.plus_ms(interval));
        let Some(ask) = Ask::of(gateway, channel, check, checking.1) else { return };
        let upstream = self.upstream.get_or_insert_with(|| Arc::new(HttpUpstream::default()));
        let (upstream, gateway) = (Arc::clone(upstream), Arc::clone(gateway));
        let name = channel.name.clone();
        self.under_way.insert(checking.clone());
        self.tasks.spawn(async move {
            let (class, retry_after_ms) = ask.send(&*upstream).await;
            let (id, key) = &checking;
            let now = gateway.clock.now();
            match gateway.engine.probe_result(id, *key, class, retry_after_ms, now) {
                Checked::Back => tracing::info!(channel = %name, "a health check brought the channel back"),
                Checked::KeyBack => {
                    tracing::info!(channel = %name, key, "a health check brought a key of the channel back");
                }
                Checked::Same | Checked::Out => {
                    tracing::debug!(channel = %name, key, outcome = class.as_str(), "a health check ended");
                }
            }
            checking
        });
    }
}

/// The least request of a format: something is said to the model, or embedded.
pub(crate) fn question(format: Format, model: &str, prompt: &str, max_output: u32, stream: bool) -> Value {
    let say = json!([{"role": "user", "content": prompt}]);
    let mut body = match format {
        // Whether it streams stands in the address.
        Format::GeminiGenerate => {
            return json!({
                "contents": [{"role": "user", "parts": [{"text": prompt}]}],
                "generationConfig": {"maxOutputTokens": max_output},
            });
        }
        Format::OpenaiEmbeddings => return json!({"model": model, "input": prompt}),
        // The least ceiling that the format takes.
        Format::OpenaiResponses => {
            json!({"model": model, "input": prompt, "max_output_tokens": max_output.max(16), "store": false})
        }
        // Without the word it streams.
        Format::OllamaChat => {
            let options = json!({"num_predict": max_output});
            return json!({"model": model, "messages": say, "stream": stream, "options": options});
        }
        _ => json!({"model": model, "max_tokens": max_output, "messages": say}),
    };
    if stream {
        body["stream"] = true.into();
    }
    body
}

impl Ask {
    /// `None` when the channel has no address, no credential or no model to ask for.
    fn of(gateway: &Inner, channel: &Channel, check: &Check<'_>, key: u32) -> Option<Self> {
        // What serves single operations alone isn't asked: each would cost something, and most make something.
        let endpoint = channel.endpoints.iter().find(|endpoint| !endpoint.format.is_single())?;
        let target = gateway.targets.load().get(channel, endpoint, key)?;
        let mut models = channel.models.iter().map(|model| model.upstream.as_str());
        let model = check.model.or_else(|| models.find(|name| !name.contains('*')))?;
        let target = target.for_call(model, false);
        let body = question(endpoint.format, model, "ping", 1, false);
        let routing = gateway.engine.snapshot().declared.routing.timeouts;
        let total = Some(check.timeout_ms);
        let timeouts = Timeouts { total_ms: total, first_byte_ms: total, ..channel.timeouts.or(routing) };
        let body = heeded(body.to_string().into(), endpoint.format, &channel.quirks, model);
        let target = headed(target, channel, &body, endpoint.format, model);
        let quirks = Arc::clone(&channel.quirks);
        Some(Self { target, body, quirks, timeouts, timeout_ms: check.timeout_ms })
    }

    /// How it ended, and the pause that the upstream asks for.
    async fn send(self, upstream: &dyn Upstream) -> (OutcomeClass, Option<u64>) {
        let deadline = Instant::now() + Duration::from_millis(self.timeout_ms);
        let is_mock = self.target.is_mock();
        let request = UpstreamRequest {
            target: self.target,
            headers: Vec::new(),
            body: self.body,
            timeouts: self.timeouts,
            stream: false,
            special: None,
        };
        let sent =
            async { if is_mock { MockUpstream.send(request).await } else { upstream.send(request).await } };
        let mut response = match timeout_at(deadline, sent).await {
            Err(_) => return (OutcomeClass::Timeout, None),
            Ok(Err(fault)) => return (class_of_fault(&fault).0, None),
            Ok(Ok(response)) => response,
        };
        let body = read_some(&mut response.body, deadline).await;
        if !(200..300).contains(&response.status) {
            let fault = Fault::classify_at(&self.quirks.errors, response.status, &body);
            return (class_of(fault.class), response.retry_after_ms);
        }
        if Instant::now() >= deadline {
            return (OutcomeClass::Timeout, None);
        }
        // Who answers by streams only has begun one.
        (if response.is_event_stream { OutcomeClass::Ok } else { class_of_answer(&body) }, None)
    }
}

/// The question as the provider takes it.
pub(crate) fn heeded(body: Bytes, format: Format, quirks: &Arc<Quirks>, model: &str) -> Bytes {
    let prepared = scan(format, &body).ok().and_then(|scanned| {
        let mut prepared = scanned.prepare(&Edits::default(), format).ok()?;
        scanned.heed(&mut prepared, quirks, format, model);
        Some(prepared.body)
    });
    prepared.unwrap_or(body)
}

/// The target with the headers that any call has: changes without conditions, and no header of a caller's, for there is none.
pub(crate) fn headed(
    target: Arc<Target>,
    channel: &Channel,
    body: &Bytes,
    format: Format,
    model: &str,
) -> Arc<Target> {
    let Some(mut headers) = target.headers_of_call(&[], &[]) else { return target };
    let is_meant = |edit: &&BodyEdit| edit.change.is_of_headers() && edit.conditions.is_empty();
    let edits: Vec<BodyEdit> = channel.body_edits.iter().filter(is_meant).cloned().collect();
    let context = OverlayContext { original_model: model, upstream_model: model, retry_index: 0 };
    match overlay(body, format, &edits, &context, &mut headers, 0) {
        Ok(_) => target.with_headers(headers),
        // INVARIANT: only changes of the body fail.
        Err(_) => target,
    }
}

/// A success that isn't one says so in its body, or is no JSON at all.
fn class_of_answer(body: &[u8]) -> OutcomeClass {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(answer)) if answer.get("error").is_none_or(Value::is_null) => OutcomeClass::Ok,
        _ => OutcomeClass::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigText, Gateway, Options};

    #[tokio::test]
    async fn a_check_has_the_headers_that_any_call_has() {
        let text = "version: 1\nhealth_checks: {}\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-1\n  models: [{name: m}]\n  \
                    headers: {x-who: '{client_header:X-User}', x-old: a}\n  body_edits:\n  \
                    - {mode: set_header, path: x-a, value: '1'}\n  \
                    - {mode: set_header, path: x-b, value: '{client_header:X-User}'}\n  \
                    - {mode: delete_header, path: x-old}\n  \
                    - {mode: set_header, path: x-c, value: '1', conditions: [{path: model, value: m}]}\n";
        let config = Some(ConfigText { path: "test.yaml".to_owned(), text: text.to_owned() });
        let options = Options { config, variables: Arc::new(|_| None), ..Options::default() };
        let gateway = Gateway::open(options).await.unwrap();
        let inner = &gateway.inner;
        let snapshot = inner.engine.snapshot();
        let channel = &snapshot.channels()[0];
        let check = Check::of(channel.health_check.as_ref(), inner.file.host.health_checks.as_ref()).unwrap();
        let ask = Ask::of(inner, channel, &check, 0).unwrap();
        let headers = ask.target.header_pairs();
        let value =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(["x-a", "x-b", "x-c", "x-old", "x-who"].map(value), [Some("1"), None, None, None, None]);
        assert_eq!(value("authorization"), Some("Bearer sk-upstream-1"));
    }

    #[test]
    fn an_error_in_a_success_is_none() {
        let ok = |text: &str| class_of_answer(text.as_bytes()) == OutcomeClass::Ok;
        assert!(ok(r#"{"id":"c","choices":[],"error":null}"#));
        for text in ["", "<html>", "[]", r#"{"error":{"message":"down"}}"#] {
            assert!(!ok(text), "{text}");
        }
    }
}
