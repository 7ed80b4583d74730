//! What is paid besides tokens: images, and searches that nobody asked for.

use super::*;

const IMAGE: &str = r#"{"created":1,"data":[{"url":"https://img.test/a.png"}]}"#;
const CLAUDE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"well"}],"stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":100}}"#;
const SEARCHED: &str = r#"{"id":"c","object":"chat.completion","model":"gpt-4o-mini-search-preview-2025-03-11","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

#[tokio::test]
async fn an_image_costs_what_its_channel_asks_for_and_never_more_than_was_reserved() {
    for (asked, spend) in [
        // The answer says nothing of what it is.
        ("", Some(80_000_000)),
        (r#","quality":"hd""#, Some(80_000_000)),
        (r#","quality":"standard""#, None),
    ] {
        let gateway = gateway_of(format!(
            "version: 1\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  \
             models: [{{name: m, price: {{per_image: [{{quality: standard, price: 0.04}}, {{quality: hd, price: 0.08}}]}}}}]\n  \
             body_edits: [{{mode: set, path: quality, value: hd}}]\n\
             keys: [{{id: k, credential: {KEY}}}]\n"
        ))
        .await;
        let worker = gateway.worker_with(Scripted::new(Does::Says(IMAGE, true)));
        let body = format!(r#"{{"model":"m","prompt":"a cat"{asked}}}"#);
        let answer = worker.call(Inbound::new(Format::OpenaiImages, KEY, body)).await;
        let records = records(&gateway).await;
        match (answer, spend) {
            (Ok(_), Some(spend)) => assert_eq!(records[0].spend, spend, "{asked}"),
            (Err(rejection), None) => {
                let message = rejection.error.to_string();
                assert!(message.contains("`quality`"), "{message}");
                assert_eq!(records[0].spend, 0);
            }
            (answer, _) => panic!("{asked}: {}", answer.is_ok()),
        }
    }
}

#[tokio::test]
async fn images_that_never_came_cost_nothing() {
    for (price, answer, spend) in [
        ("per_image: [{price: 0.04}]", IMAGE, 40_000_000),
        ("per_image: [{price: 0.04}]", r#"{"created":1,"data":[]}"#, 0),
        ("input: 0, output: 0, image_output: 8", r#"{"created":1,"data":[]}"#, 0),
    ] {
        let gateway = gateway_of(format!(
            "version: 1\nchannels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  \
             models: [{{name: m, price: {{{price}}}}}]\n\
             keys: [{{id: k, credential: {KEY}}}]\n"
        ))
        .await;
        let worker = gateway.worker_with(Scripted::new(Does::Says(answer, true)));
        let body = r#"{"model":"m","prompt":"a cat","n":3}"#.to_owned();
        worker.call(Inbound::new(Format::OpenaiImages, KEY, body)).await.unwrap();
        assert_eq!(records(&gateway).await[0].spend, spend, "{price}: {answer}");
    }
}

/// How a body that has begun ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Left,
    OutOfTime,
    Broken,
}

#[tokio::test]
async fn images_of_a_body_that_is_left_midway_cost_all_that_were_asked_for() {
    const BEGINS: &str = r#"{"created":1,"data":[{"b64_json":"iVBOR"#;
    // What nobody describes is a square of high quality: 4,160 tokens.
    let in_tokens = 3 * 4_160 * 8_000;
    for (price, answer, ends, spend) in [
        ("per_image: [{price: 0.04}]", BEGINS, Ends::Left, 120_000_000),
        ("per_image: [{price: 0.04}]", BEGINS, Ends::OutOfTime, 120_000_000),
        ("per_image: [{price: 0.04}]", BEGINS, Ends::Broken, 120_000_000),
        ("per_image: [{price: 0.04}]", " \n", Ends::Left, 0),
        ("per_image: [{price: 0.04}]", "", Ends::Left, 0),
        ("input: 0, output: 0, image_output: 8", BEGINS, Ends::Left, in_tokens),
        ("input: 0, output: 0, image_output: 8", BEGINS, Ends::OutOfTime, in_tokens),
        ("input: 0, output: 0, image_output: 8", BEGINS, Ends::Broken, in_tokens),
        ("input: 0, output: 0, image_output: 8", "", Ends::Left, 0),
    ] {
        let timeout = if ends == Ends::OutOfTime { "1s" } else { "60s" };
        let gateway = gateway_of(format!(
            "version: 1\nrouting: {{retries: 0}}\n\
             channels:\n- name: c\n  provider: openai\n  credential: sk-upstream-0123456789\n  \
             timeouts: {{total: {timeout}}}\n  \
             models: [{{name: m, price: {{{price}}}}}]\n\
             keys: [{{id: k, credential: {KEY}}}]\n"
        ))
        .await;
        let does = if ends == Ends::Broken { Does::Breaks(answer) } else { Does::Says(answer, false) };
        let upstream = Scripted::new(does);
        let worker = gateway.worker_with(Arc::<Scripted>::clone(&upstream));
        let body = r#"{"model":"m","prompt":"a cat","n":3}"#.to_owned();
        let call = worker.call(Inbound::new(Format::OpenaiImages, KEY, body));
        match ends {
            Ends::Left => assert!(upstream.leaves(call).await, "it was answered"),
            Ends::OutOfTime | Ends::Broken => assert!(call.await.is_err(), "it was answered"),
        }
        assert_eq!(records(&gateway).await[0].spend, spend, "{price}: {answer:?}, {ends:?}");
    }
}

#[tokio::test]
async fn a_faster_mode_costs_its_list_price_and_passes_no_strict_budget() {
    for (limit, spend) in [("requests: {day: 9}", Some(4_500_000)), ("spend: {month: 5}", None)] {
        let gateway = limited("anthropic", "claude-sonnet-4-5", limit).await;
        let worker = gateway.worker_with(Scripted::new(Does::Says(CLAUDE, true)));
        let body = r#"{"model":"claude-sonnet-4-5","max_tokens":200,"speed":"fast","messages":[{"role":"user","content":"hi"}]}"#;
        let answer = worker.call(Inbound::new(Format::AnthropicMessages, KEY, body.to_owned())).await;
        match (answer, spend) {
            (Ok(_), Some(spend)) => assert_eq!(records(&gateway).await[0].spend, spend, "{limit}"),
            (Err(refused), None) => {
                assert!(refused.error.to_string().contains("speed"), "{}", refused.error);
            }
            (answer, _) => panic!("{limit}: {}", answer.is_ok()),
        }
    }
}

#[tokio::test]
async fn searches_of_models_that_always_search_pass_no_strict_budget() {
    let gateway = limited("openai", "gpt-4o-mini-search-preview", "spend: {month: 0.05}").await;
    let worker = gateway.worker_with(Scripted::new(Does::Says(SEARCHED, true)));
    worker.call(inbound("gpt-4o-mini-search-preview", false)).await.unwrap();
    let refused = worker.call(inbound("gpt-4o-mini-search-preview", false)).await.unwrap_err();
    assert_eq!(refused.error.kind(), ErrorKind::InsufficientQuota, "{}", refused.error);
    let records = records(&gateway).await;
    let spent: i64 = records.iter().map(|record| record.spend).sum();
    assert!((25_000_000..=50_000_000).contains(&spent), "{spent}");
    let research = limited("perplexity", "sonar-deep-research", "spend: {month: 5}").await;
    let worker = research.worker_with(Scripted::new(Does::Says(SEARCHED, true)));
    let refused = worker.call(inbound("sonar-deep-research", false)).await.unwrap_err();
    assert!(refused.error.to_string().contains("it searches as often as it likes"), "{}", refused.error);
}
