//! A conversation that its own channel doesn't know any more is sent there again, whole.

use serde_json::Value;

use super::*;

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"well","annotations":[]}]}],"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10}}"#;
const MISSING: &str = r#"{"error":{"message":"previous response not found","type":"invalid_request_error","code":"previous_response_not_found"}}"#;

/// Knows no earlier response, and keeps the headers that it was sent.
#[derive(Default)]
struct Forgetful(parking_lot::Mutex<Vec<Vec<(String, String)>>>);

#[async_trait]
impl Upstream for Forgetful {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.0.lock().push(request.target.header_pairs());
        let is_lost = body["previous_response_id"].is_string();
        Ok(UpstreamResponse::new(
            if is_lost { 404 } else { 200 },
            false,
            Box::new(Body::new(Does::Says(if is_lost { MISSING } else { RESPONSE }, true))),
        ))
    }
}

#[tokio::test]
async fn the_second_try_begins_with_the_channels_own_headers() {
    let gateway = gateway_of(format!(
        "version: 1\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  models: [{{name: m}}]\n  \
         endpoints: [{{format: openai_responses, url: 'https://relay.test/v1/responses'}}]\n  headers: {{x-old: a}}\n  body_edits:\n  \
         - {{mode: set_header, path: x-first, value: '1', conditions: [{{path: previous_response_id, mode: prefix, value: resp}}]}}\n  \
         - {{mode: delete_header, path: x-old, conditions: [{{path: previous_response_id, mode: prefix, value: resp}}]}}\n\
         keys: [{{id: k, credential: {KEY}}}]\n"
    ))
    .await;
    let upstream = Arc::new(Forgetful::default());
    let worker = gateway.worker_with(Arc::clone(&upstream) as Arc<dyn Upstream>);
    let say = |more: &str| {
        let body = format!(r#"{{"model":"m","input":"hi","max_output_tokens":100{more}}}"#);
        worker.call(Inbound::new(Format::OpenaiResponses, KEY, body))
    };
    let answer = say("").await.unwrap();
    assert!(matches!(answer.body, AnswerBody::Full(_)));
    say(r#","previous_response_id":"resp_1""#).await.unwrap();
    let sent = upstream.0.lock().clone();
    assert_eq!(sent.len(), 3, "{sent:?}");
    let has = |at: usize, name: &str| sent[at].iter().any(|(known, _)| known == name);
    assert_eq!((has(1, "x-first"), has(1, "x-old")), (true, false), "{sent:?}");
    assert_eq!((has(2, "x-first"), has(2, "x-old")), (false, true), "{sent:?}");
}
