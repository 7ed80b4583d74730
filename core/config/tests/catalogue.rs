//! The catalogue is in step with the facts that it is made from, and names what other projects' configurations name.

#[path = "../examples/catalogue/generate.rs"]
mod generate;

use std::collections::HashMap;

use sluicegate_config::{Environment, Source, load, provider, providers};

const AGAIN: &str = "is not in step with the facts: run `cargo xtask catalogue`";

#[test]
fn what_is_compiled_in_is_made_from_the_facts() {
    let facts = generate::facts().unwrap();
    assert_eq!(
        generate::providers(&facts),
        include_str!("../catalogue/providers.csv"),
        "providers.csv {AGAIN}"
    );
    assert_eq!(
        generate::quirks(&facts).unwrap(),
        include_str!("../catalogue/quirks.jsonl"),
        "quirks.jsonl {AGAIN}"
    );
    assert_eq!(
        generate::manual(&facts),
        include_str!("../../../docs/providers.md"),
        "docs/providers.md {AGAIN}"
    );
    let families: Vec<&str> = facts.families.iter().map(|family| family.family.as_str()).collect();
    for row in &facts.rows {
        let of = provider(row.id()).unwrap();
        assert_eq!(of.family, row.family, "{}", row.id());
        let has_quirks = !sluicegate_config::quirks_of(&of).is_empty();
        let declared = facts.families.iter().any(|it| it.family == of.family && !it.quirks.is_empty());
        assert_eq!(has_quirks, declared, "{} of {families:?}", row.id());
    }
}

#[test]
fn there_are_enough_that_can_be_called() {
    let served = providers().filter(|provider| provider.is_served() && provider.id != "mock").count();
    assert!(served >= 150, "{served}");
    let chinese = providers().filter(|provider| provider.is_served() && provider.region == "cn").count();
    assert!(chinese >= 35, "{chinese}");
}

/// What each number of New API's channel types comes to: the provider, whether it is served.
const NEWAPI_TYPES: [(u32, Option<&str>); 62] = [
    (1, Some("openai")),
    (2, Some("midjourney")),
    (3, Some("azure")),
    (4, Some("ollama")),
    (5, Some("midjourney")),
    (6, Some("openaimax")),
    (7, Some("ohmygpt")),
    (8, Some("custom_openai")),
    (9, Some("ails")),
    (10, Some("aiproxy")),
    (11, Some("palm")),
    (12, Some("api2gpt")),
    (13, Some("aigc2d")),
    (14, Some("anthropic")),
    (15, Some("baidu-v1")),
    (16, Some("zhipu-v3")),
    (17, Some("dashscope")),
    (18, Some("spark")),
    (19, Some("zhinao-360")),
    (20, Some("openrouter")),
    (21, Some("aiproxy-library")),
    (22, Some("fastgpt")),
    (23, Some("hunyuan-native")),
    (24, Some("gemini")),
    (25, Some("moonshot-cn")),
    (26, Some("bigmodel")),
    (27, Some("perplexity")),
    (28, None),
    (29, None),
    (30, None),
    (31, Some("lingyiwanwu")),
    (32, None),
    (33, Some("bedrock")),
    (34, Some("cohere")),
    (35, Some("minimax-cn")),
    (36, Some("suno")),
    (37, Some("dify")),
    (38, Some("jina_ai")),
    (39, Some("cloudflare")),
    (40, Some("siliconflow-cn")),
    (41, Some("vertex_ai")),
    (42, Some("mistral")),
    (43, Some("deepseek")),
    (44, Some("moka")),
    (45, Some("volcengine")),
    (46, Some("qianfan")),
    (47, Some("xinference")),
    (48, Some("xai")),
    (49, Some("coze")),
    (50, Some("kling")),
    (51, Some("jimeng")),
    (52, Some("vidu")),
    (53, Some("submodel")),
    (54, Some("volcengine")),
    (55, Some("openai")),
    (56, Some("replicate")),
    (57, Some("chatgpt")),
    (58, Some("custom_openai")),
    (59, Some("sub2api")),
    (60, Some("new-api")),
    (61, None),
    (0, None),
];

fn findings(text: &str) -> (Vec<String>, Vec<(&'static str, String, String)>) {
    let none = HashMap::<String, String>::new();
    let variable = |name: &str| none.get(name).cloned();
    let loaded = load(Source { path: "config.yaml", text }, &Environment::new(&variable));
    let ids = loaded.declared.channels.iter().map(|channel| channel.provider.to_string()).collect();
    let said = loaded.diagnostics.into_iter().map(|it| (it.code, it.message, it.remedy)).collect();
    (ids, said)
}

#[test]
fn every_channel_type_of_new_api_is_known_or_explained() {
    for (number, want) in NEWAPI_TYPES {
        let text = format!(
            "channels:\n  - {{name: c, type: {number}, base_url: 'https://x.test', key: k, models: [m]}}\n"
        );
        let (ids, said) = findings(&text);
        assert_eq!(ids.first().map(String::as_str), want, "{number}: {said:?}");
        let served = want.is_some_and(|id| provider(id).unwrap().is_served());
        let expected = match want {
            None => Some("unknown_provider"),
            Some(_) if !served => Some("unsupported_provider"),
            Some(_) => None,
        };
        let found = said.iter().find(|(code, ..)| code.ends_with("_provider"));
        assert_eq!(found.map(|(code, ..)| *code), expected, "{number}: {said:?}");
        if let Some((_, message, remedy)) = found {
            assert!(!remedy.is_empty() && message.contains(want.unwrap_or(&number.to_string())), "{message}");
        }
    }
}

#[test]
fn prefixes_of_litellm_are_known() {
    const PREFIXES: &str = "openai perplexity anyscale deepinfra empower groq nvidia_nim cerebras baseten sambanova meta_llama \
        nebius ollama ollama_chat ai21_chat volcengine codestral mistral deepseek tencent fireworks_ai together_ai github friendliai \
        galadriel novita xai zai moonshot dashscope modelscope featherless_ai nscale v0 morph lambda_ai inception hyperbolic \
        vercel_ai_gateway edenai aiml wandb clarifai compactifai amazon_nova gigachat soniox jina_ai lemonade docker_model_runner \
        lm_studio hosted_vllm llamafile xinference litellm_proxy openai_like custom_openai publicai helicone veniceai xiaomi_mimo \
        scaleway synthetic apertis nano-gpt poe chutes abliteration llamagate gmi sarvam assemblyai charity_engine aihubmix crusoe \
        darkbloom neosantara tensormesh parasail libertai empiriolabs meta cognition cortecs pinstripes scx-ai prism sail reka \
        openrouter qwencloud qwen_ai_platform anthropic gemini vertex_ai vertex_ai_beta azure azure_text azure_ai bedrock \
        bedrock_converse sagemaker cohere cohere_chat streamlake minimax huggingface replicate cloudflare databricks watsonx snowflake \
        text-completion-openai text-completion-codestral voyage predibase github_copilot heroku ovhcloud gradient_ai datarobot oci \
        triton infinity nlp_cloud deepgram elevenlabs recraft fal_ai";
    for prefix in PREFIXES.split_whitespace() {
        let found = provider(prefix).unwrap_or_else(|| panic!("{prefix}"));
        let text = format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: {prefix}/some-model, api_base: 'https://x.test/v1', api_key: k}}\n"
        );
        let (ids, said) = findings(&text);
        assert_eq!(ids.len(), 1, "{prefix}: {said:?}");
        let unserved = said.iter().any(|(code, ..)| *code == "unsupported_provider");
        assert_eq!(unserved, !found.is_served(), "{prefix}: {said:?}");
    }
}
