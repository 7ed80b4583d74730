//! Fields of a body that cost or route, whoever sets them.

/// Why a field must not simply pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concern {
    /// It names another address or credential (`api_base`, `api_key`). Ignored unless a channel allows it: drop it.
    Credential,
    /// It picks other models or providers (`models`, `provider`), past our access check. Drop or refuse it.
    Routing,
    /// It changes the price (`service_tier`, `speed`) in a way that isn't bounded. Refuse it.
    Cost,
    /// It lets the provider run tools of its own, at a cost that the request doesn't bound.
    Hosted,
    /// It refers to something stored at the provider (`previous_response_id`, file ids): the input has no bound.
    Stored,
}

/// The static name and concern, if the name has one.
pub fn concern(name: &[u8]) -> Option<(&'static str, Concern)> {
    CONCERNS.iter().find(|(known, _)| known.as_bytes() == name).copied()
}

/// Top-level names that cost or route, and why.
// A table may be long.
pub const CONCERNS: [(&str, Concern); 63] = [
    ("api_base", Concern::Credential),
    ("base_url", Concern::Credential),
    ("api_key", Concern::Credential),
    ("api_type", Concern::Credential),
    ("api_version", Concern::Credential),
    ("organization", Concern::Credential),
    ("project", Concern::Credential),
    ("custom_llm_provider", Concern::Credential),
    ("extra_headers", Concern::Credential),
    ("headers", Concern::Credential),
    ("default_headers", Concern::Credential),
    ("extra_query", Concern::Credential),
    ("extra_body", Concern::Credential),
    ("litellm_credential_name", Concern::Credential),
    ("litellm_params", Concern::Credential),
    ("use_litellm_proxy", Concern::Credential),
    ("aws_access_key_id", Concern::Credential),
    ("aws_secret_access_key", Concern::Credential),
    ("aws_session_token", Concern::Credential),
    ("aws_region_name", Concern::Credential),
    ("aws_role_name", Concern::Credential),
    ("aws_profile_name", Concern::Credential),
    ("aws_bedrock_runtime_endpoint", Concern::Credential),
    ("aws_web_identity_token", Concern::Credential),
    ("vertex_credentials", Concern::Credential),
    ("vertex_project", Concern::Credential),
    ("vertex_location", Concern::Credential),
    ("vertex_ai_project", Concern::Credential),
    ("vertex_ai_location", Concern::Credential),
    ("vertex_ai_credentials", Concern::Credential),
    ("azure_ad_token", Concern::Credential),
    ("tenant_id", Concern::Credential),
    ("client_id", Concern::Credential),
    ("client_secret", Concern::Credential),
    ("input_cost_per_token", Concern::Credential),
    ("output_cost_per_token", Concern::Credential),
    ("model_list", Concern::Routing),
    ("models", Concern::Routing),
    ("provider", Concern::Routing),
    ("route", Concern::Routing),
    ("context_window_fallbacks", Concern::Routing),
    ("content_policy_fallbacks", Concern::Routing),
    ("speed", Concern::Cost),
    ("inference_geo", Concern::Cost),
    ("num_retries", Concern::Routing),
    ("plugins", Concern::Hosted),
    ("search_parameters", Concern::Hosted),
    ("mcp_servers", Concern::Hosted),
    ("web_search_options", Concern::Hosted),
    ("search_options", Concern::Hosted),
    ("enable_search", Concern::Hosted),
    ("web_search", Concern::Hosted),
    ("with_search_enhance", Concern::Hosted),
    ("enable_enhancement", Concern::Hosted),
    ("force_search_enhancement", Concern::Hosted),
    ("enable_deep_search", Concern::Hosted),
    ("enable_deep_read", Concern::Hosted),
    ("previous_response_id", Concern::Stored),
    ("conversation", Concern::Stored),
    ("container", Concern::Stored),
    ("prompt", Concern::Stored),
    ("cached_content", Concern::Stored),
    ("cachedContent", Concern::Stored),
];
