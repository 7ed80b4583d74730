//! Routes that others serve and this version doesn't: they answer 501 and name themselves, so that nobody takes a
//! missing feature for a wrong address.

/// Prefixes of paths, whole segments each. `{}` stands for one segment.
const PREFIXES: &[&str] = &[
    // OpenAI's API and its kin.
    "/v1/completions",
    "/completions",
    "/engines",
    "/openai",
    "/v1/responses",
    "/responses",
    "/v1/images",
    "/images",
    "/v1/audio",
    "/audio",
    "/v1/moderations",
    "/moderations",
    "/v1/batches",
    "/batches",
    "/v1/files",
    "/files",
    "/v1/fine_tuning",
    "/fine_tuning",
    "/v1/assistants",
    "/assistants",
    "/v1/threads",
    "/threads",
    "/v1/vector_stores",
    "/vector_stores",
    "/v1/containers",
    "/containers",
    "/v1/realtime",
    "/realtime",
    "/v1/evals",
    "/v1/skills",
    "/v1/videos",
    "/videos",
    "/v1/edits",
    "/v1/rerank",
    "/v2/rerank",
    "/rerank",
    "/v1/ocr",
    "/ocr",
    "/v1/search",
    "/search",
    "/v1/memory",
    "/v1/conversations",
    "/v1/uploads",
    // Anthropic's and Gemini's.
    "/v1/messages/count_tokens",
    "/v1/messages/batches",
    "/v1/complete",
    "/anthropic",
    "/v1beta",
    "/v1alpha",
    "/gemini",
    // Pass-through to single providers.
    "/openai_passthrough",
    "/azure",
    "/azure_ai",
    "/vertex_ai",
    "/vertex-ai",
    "/bedrock",
    "/cohere",
    "/mistral",
    "/vllm",
    "/assemblyai",
    "/eu.assemblyai",
    "/langfuse",
    "/milvus",
    "/cursor",
    "/openrouter",
    "/nvidia_nim",
    "/deepgram",
    "/fal_ai",
    "/watsonx",
    "/gigachat",
    "/transcribe",
    "/comprehendmedical",
    "/backend-api",
    "/models",
    // New API's management and extras.
    "/api/user",
    "/api/token",
    "/api/channel",
    "/api/option",
    "/api/log",
    "/api/redemption",
    "/api/group",
    "/api/status",
    "/api/models",
    "/api/pricing",
    "/api/ratio_sync",
    "/api/data",
    "/api/mj",
    "/api/task",
    "/api/vendors",
    "/api/prefill_group",
    "/api/deployments",
    "/api/usage",
    "/api/setup",
    "/api/notice",
    "/api/about",
    "/api/oauth",
    "/mj",
    "/suno",
    "/pg",
    "/dashboard",
    "/v1/dashboard",
    "/kling",
    "/jimeng",
];

/// The same of LiteLLM's management.
const MANAGEMENT: &[&str] = &[
    "/key",
    "/v2/key",
    "/team",
    "/v2/team",
    "/user",
    "/v2/user",
    "/organization",
    "/budget",
    "/customer",
    "/end_user",
    "/project",
    "/tag",
    "/access_group",
    "/v1/access_group",
    "/model",
    "/v1/model",
    "/v2/model",
    "/model_group",
    "/model_hub",
    "/public",
    "/spend",
    "/global",
    "/provider",
    "/invitation",
    "/onboarding",
    "/session",
    "/config",
    "/get",
    "/update",
    "/reload",
    "/schedule",
    "/callbacks",
    "/cache",
    "/alerting",
    "/router",
    "/credentials",
    "/audit",
    "/guardrails",
    "/v2/guardrails",
    "/policies",
    "/policy",
    "/login",
    "/v2/login",
    "/v3/login",
    "/sso",
    "/scim",
    "/jwt",
    "/routes",
    "/health",
    "/fallback",
    "/utils",
    "/cost",
    "/mcp",
    "/v1/mcp",
    "/mcp-rest",
    "/toolset",
    "/v1/agents",
    "/a2a",
    "/vector_store",
    "/prompts",
    "/search_tools",
    "/v1/workflows",
    "/rag",
    "/auto_router",
    "/compliance",
    "/cloudzero",
    "/vantage",
    "/lens",
    "/v1/traces",
    "/claude-code",
    "/{}/mcp",
];

/// Whether others serve something under this path.
pub fn is_known(path: &str) -> bool {
    is_litellms(path) || PREFIXES.iter().any(|prefix| has_prefix(path, prefix))
}

/// Whether it is LiteLLM's management that is served under this path: it is answered in LiteLLM's manner.
pub fn is_litellms(path: &str) -> bool {
    MANAGEMENT.iter().any(|prefix| has_prefix(path, prefix))
}

fn has_prefix(path: &str, prefix: &str) -> bool {
    let mut segments = path.trim_start_matches('/').split('/');
    prefix.trim_start_matches('/').split('/').all(|want| match segments.next() {
        Some("") | None => false,
        Some(got) => want == "{}" || want == got,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_segments_count() {
        for (path, known) in [
            ("/v1/images/generations", true),
            ("/v1/images", true),
            ("/v1/imagesque", false),
            ("/key/regenerate_all", true),
            ("/github/mcp", true),
            ("/v1beta/models/gemini-3:generateContent", true),
            ("/api/channel/1", true),
            ("/api/v1/nothing", false),
            ("/favicon.ico", false),
            ("/", false),
            ("/mcp", true),
        ] {
            assert_eq!(is_known(path), known, "{path}");
        }
    }

    #[test]
    fn no_prefix_is_listed_twice() {
        let mut sorted = [PREFIXES, MANAGEMENT].concat();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), PREFIXES.len() + MANAGEMENT.len());
    }
}
