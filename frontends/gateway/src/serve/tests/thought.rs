//! Thoughts that `max_tokens` doesn't bound: a strict cap holds with as much of them as their maker lets come.

use serde_json::{Value, json};

use super::*;

/// A maker whose models write all that they may.
struct Maker;

impl Maker {
    /// What is thought and what is answered.
    fn writes(body: &Value, anthropic: bool) -> (u64, u64) {
        let model = body["model"].as_str().unwrap_or_default();
        if let Some(all) = body["max_completion_tokens"].as_u64() {
            assert!(body.get("max_tokens").is_none(), "one of both: {body}");
            // So much more is documented where that is the field.
            return (all, if model.starts_with("qwen") { 10 } else { 0 });
        }
        let is_off = body["enable_thinking"] == false || anthropic && body["thinking"]["type"] == "disabled";
        let (longest, by_itself) = match model {
            "qwen-plus" => (81_920, false),
            "qwen3.7-max" => (262_144, true),
            _ => (131_072, true),
        };
        let asked = body["enable_thinking"] == true || body["thinking"]["type"] == "enabled";
        let granted = body["thinking_budget"].as_u64().map_or(longest, |tokens| tokens.min(longest));
        let thinks = !is_off && (asked || by_itself);
        (if thinks { granted } else { 0 }, body["max_tokens"].as_u64().unwrap())
    }
}

#[async_trait]
impl Upstream for Maker {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let anthropic = request.target.format == Format::AnthropicMessages;
        let (thought, answer) = Self::writes(&body, anthropic);
        let said = match anthropic {
            true => json!({
                "id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "max_tokens",
                "content": [{"type": "text", "text": "well"}],
                "usage": {"input_tokens": 20, "output_tokens": thought + answer},
            }),
            false => json!({
                "id": "x", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "length"}],
                "usage": {
                    "prompt_tokens": 20, "completion_tokens": thought + answer, "total_tokens": 20 + thought + answer,
                    "completion_tokens_details": {"reasoning_tokens": thought},
                },
            }),
        };
        Ok(UpstreamResponse::new(200, false, Box::new(WholeBody(Some(Bytes::from(said.to_string()))))))
    }
}

#[tokio::test]
async fn a_strict_cap_holds_with_the_longest_thoughts_and_calls_without_any_need_no_room_for_them() {
    const CHAT: Format = Format::OpenaiChat;
    const ANTHROPIC: Format = Format::AnthropicMessages;
    let doubao = "doubao-seed-2-0-pro-260215";
    for (provider, model, format, says, cap, serves) in [
        // Passed through: unsaid and off need nothing, a budget is reserved, the longest else.
        ("dashscope", "qwen-plus", CHAT, json!({}), 2_000, true),
        ("dashscope", "qwen-plus", CHAT, json!({"enable_thinking": false}), 2_000, true),
        ("dashscope", "qwen-plus", CHAT, json!({"enable_thinking": true}), 20_000, false),
        ("dashscope", "qwen-plus", CHAT, json!({"enable_thinking": true}), 200_000, true),
        (
            "dashscope",
            "qwen-plus",
            CHAT,
            json!({"enable_thinking": true, "thinking_budget": 1_000}),
            10_000,
            true,
        ),
        (
            "dashscope",
            "qwen-plus",
            CHAT,
            json!({"enable_thinking": true, "thinking_budget": 9_000}),
            9_000,
            false,
        ),
        // The ceiling is sent as one of both.
        ("dashscope", "qwen3.7-max", CHAT, json!({}), 2_000, true),
        ("dashscope", "qwen3.7-max", CHAT, json!({"enable_thinking": false}), 2_000, true),
        ("volcengine", doubao, CHAT, json!({}), 2_000, true),
        ("volcengine", doubao, CHAT, json!({"thinking": {"type": "enabled"}}), 2_000, true),
        // So is one of ours.
        ("dashscope", "qwen3.7-max", CHAT, json!({"max_tokens": null}), 40_000, true),
        ("volcengine", doubao, CHAT, json!({"max_tokens": null}), 40_000, true),
        // Translated.
        ("dashscope-us", "qwen-plus", ANTHROPIC, json!({}), 2_000, true),
        ("dashscope-us", "qwen-plus", ANTHROPIC, json!({"thinking": {"type": "disabled"}}), 2_000, true),
        (
            "dashscope-us",
            "qwen-plus",
            ANTHROPIC,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 2_048}),
            12_000,
            true,
        ),
        ("dashscope-us", "qwen-plus", ANTHROPIC, json!({"thinking": {"type": "adaptive"}}), 20_000, false),
        ("dashscope-us", "qwen3.7-max", ANTHROPIC, json!({"thinking": {"type": "adaptive"}}), 2_000, true),
        // Nobody says what bounds thoughts in Anthropic's format there.
        (
            "volcengine",
            doubao,
            ANTHROPIC,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 2_048}),
            20_000,
            false,
        ),
        ("volcengine", doubao, ANTHROPIC, json!({"thinking": {"type": "disabled"}}), 2_000, true),
        (
            "dashscope",
            "qwen3.7-max",
            ANTHROPIC,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 2_048}),
            300_000,
            true,
        ),
    ] {
        let gateway = limited(provider, model, &format!("total_tokens: {{day: {cap}}}")).await;
        let worker = gateway.worker_with(Arc::new(Maker));
        let mut body =
            json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "why?"}]});
        for (name, value) in says.as_object().unwrap() {
            body[name] = value.clone();
            if value.is_null() {
                body.as_object_mut().unwrap().remove(name);
            }
        }
        let note = format!("{provider} {model} {body}");
        let mut served = 0;
        for _ in 0..6 {
            match worker.call(Inbound::new(format, KEY, body.to_string())).await {
                Ok(_) => served += 1,
                Err(rejection) => assert_eq!(rejection.error.kind(), ErrorKind::InsufficientQuota, "{note}"),
            }
        }
        assert_eq!(served > 0, serves, "{note}");
        let used: u64 = records(&gateway).await.iter().map(|record| record.usage.total_tokens()).sum();
        assert!(used <= cap, "{note}: {used}");
        assert_eq!(used > 0, serves, "{note}");
    }
}
