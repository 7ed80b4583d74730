//! Answers that callers want made up: LiteLLM's `mock_…` parameters. They pass admission, access and limits like any call, and
//! nothing is sent or charged.

use sluicegate_core::snapshot::MOCK_TAG;
use sluicegate_core::{Call, Error, ErrorKind, Format, Result};
use sluicegate_wire::{Facts, Mock};

use crate::upstream::{UpstreamFault, UpstreamRequest, UpstreamResponse, mock};

/// Lets a call have its answer made up, if the configuration allows that.
///
/// # Errors
/// `InvalidRequest` naming the parameter when it doesn't: without it the call would be sent, and cost something.
pub(crate) fn permit(allowed: bool, facts: &Facts, call: &mut Call) -> Result<()> {
    let Some(mock) = &facts.mock else { return Ok(()) };
    let refuse = |field: &str, why: &str| {
        let message = format!("`{field}` {why}");
        Err(Error::new(ErrorKind::InvalidRequest, message).with("param", field))
    };
    if !allowed {
        let why = "makes an answer up, and this gateway doesn't allow that: leave it out, or have the operator set \
                   `routing.allow_mock_parameters`";
        return refuse(mock.field, why);
    }
    if let Some(field) = mock.unsupported {
        return refuse(
            field,
            "isn't supported: use `mock_response`, `mock_timeout` or `mock_testing_fallbacks`",
        );
    }
    if mock.response.is_some() && (call.format == Format::OpenaiEmbeddings || call.format.is_single()) {
        return refuse("mock_response", "is for chat and messages: leave it out");
    }
    call.rehearse = mock.rehearse;
    call.mock = mock.response.is_some() || mock.timeout;
    if (call.mock || call.rehearse.is_some()) && !call.tags.iter().any(|tag| tag == MOCK_TAG) {
        call.tags.push(MOCK_TAG.to_owned());
    }
    Ok(())
}

/// The format that answers are made up in, and that the request is therefore prepared for.
pub(crate) fn format(caller: Format) -> Format {
    match caller {
        Format::OpenaiEmbeddings => Format::OpenaiEmbeddings,
        single if single.is_single() => single,
        _ => Format::OpenaiChat,
    }
}

/// What the caller wants to be answered. Names of LiteLLM's errors stand for what an upstream says in their place.
pub(crate) async fn answer(
    wanted: &Mock,
    request: &UpstreamRequest,
) -> std::result::Result<UpstreamResponse, UpstreamFault> {
    if wanted.timeout {
        // The attempt's own time limits end it.
        return std::future::pending().await;
    }
    let text = wanted.response.as_deref().unwrap_or_default();
    let (status, code) = match text.strip_prefix("litellm.").unwrap_or_default() {
        "RateLimitError" => (429, "rate_limit_exceeded"),
        "InternalServerError" => (500, "server_error"),
        "ServiceUnavailableError" => (503, "server_error"),
        "ContextWindowExceededError" => (400, "context_length_exceeded"),
        "ContentPolicyViolationError" => (400, "content_policy_violation"),
        _ => return Ok(mock::saying(request, text)),
    };
    Ok(mock::refusing(status, code, &format!("this is a made-up `{text}`")))
}
