//! What an upstream's error means.

use sluicegate_core::Format;
use sluicegate_core::quirk::ErrorQuirk;

use crate::json::{Kind, Val};

pub use sluicegate_core::quirk::FaultClass;

/// An upstream's error, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it means.
    pub class: FaultClass,
    /// The provider's own code or type word, if it gave one.
    pub code: Option<String>,
    /// The provider's message, without control characters and anything that looks like a credential, at most 512
    /// characters. Of the classes `Auth` and `Quota` it is for operators, not for callers.
    pub message: String,
    /// The pause before another try that it asks for in its body, in milliseconds (Google's `RetryInfo`).
    pub retry_after_ms: Option<u64>,
    /// The field at fault, in the provider's words.
    pub param: Option<String>,
    /// The provider's name for the request, where its body says it (Anthropic's `request_id`).
    pub request_id: Option<String>,
}

/// The longest message kept, in characters.
const MESSAGE_MAX: usize = 512;

impl Fault {
    /// A fault of our own making, such as a stream that ended too early.
    pub fn new(class: FaultClass, message: impl AsRef<str>) -> Self {
        let message = safe(message.as_ref());
        Self { class, code: None, message, retry_after_ms: None, param: None, request_id: None }
    }

    /// Understands an error answer. `status` is its HTTP status, or 0 when there is none (an error inside a stream).
    pub fn classify(status: u16, body: &[u8]) -> Self {
        Self::classify_at(&[], status, body)
    }

    /// Understands an error answer of a provider whose errors have meanings of their own: those are asked first.
    pub fn classify_at(own: &[ErrorQuirk], status: u16, body: &[u8]) -> Self {
        let view = Val::from_bytes(body);
        let said = view.map(Said::read).unwrap_or_default();
        let fallback = || String::from_utf8_lossy(body.get(..2048).unwrap_or(body)).into_owned();
        let message = match said.message {
            Some(ref message) => safe(message),
            // A page of HTML says nothing.
            None if view.is_some() || body.trim_ascii_start().starts_with(b"<") => {
                format!("the upstream answered with status {status}")
            }
            None => safe(&fallback()),
        };
        let class = said.own_class(own, status, &message).unwrap_or_else(|| said.class(status, &message));
        let (param, request_id) = (said.param.as_deref().map(safe), said.request_id.as_deref().map(safe));
        Self { class, code: said.word(), message, retry_after_ms: said.retry_after_ms, param, request_id }
    }

    /// The error that hides in an answer with status 200, if there is one, or if it isn't an answer of that format at
    /// all.
    // QUIRK(minimax, zhipu, openrouter, 2026-05): errors come with status 200 (`base_resp`, business codes, `error`).
    pub fn in_ok_body(format: Format, body: &[u8]) -> Option<Self> {
        Self::in_ok_body_at(&[], format, body)
    }

    /// The same at a provider whose errors have meanings of their own.
    pub fn in_ok_body_at(own: &[ErrorQuirk], format: Format, body: &[u8]) -> Option<Self> {
        let Some(v) = Val::from_bytes(body).filter(|v| v.kind() == Kind::Object) else {
            return Some(Self::new(FaultClass::Server, "the upstream's answer isn't a JSON object"));
        };
        let said = Said::read(v);
        if said.is_error {
            return Some(Self::classify_at(own, 0, body));
        }
        let (needed, kind) = match format {
            Format::OpenaiChat | Format::OpenaiCompletions => ("choices", Kind::Array),
            Format::OpenaiEmbeddings
            | Format::OpenaiImages
            | Format::OpenaiImageEdits
            | Format::OpenaiImageVariations => ("data", Kind::Array),
            Format::GeminiGenerate => ("candidates", Kind::Array),
            Format::OpenaiResponses | Format::OpenaiCompact => ("output", Kind::Array),
            Format::OpenaiModerations | Format::Rerank => ("results", Kind::Array),
            Format::CohereChat | Format::OllamaChat => ("message", Kind::Object),
            Format::OpenaiTranscriptions | Format::OpenaiTranslations => ("text", Kind::String),
            Format::AnthropicCountTokens | Format::OpenaiInputTokens => ("input_tokens", Kind::Number),
            _ => ("content", Kind::Array),
        };
        if format == Format::GeminiGenerate && v.get("promptFeedback").is_some() {
            return None;
        }
        if v.get(needed).is_some_and(|list| list.kind() == kind) {
            return None;
        }
        if said.message.is_some() || said.code.is_some() {
            return Some(Self::classify_at(own, 0, body));
        }
        Some(Self::new(FaultClass::Server, format!("the upstream's answer lacks `{needed}`")))
    }

    /// The error that a frame of a stream is, if it says so in its provider's own way: it holds no choices and no usage.
    // QUIRK(minimax, qianfan, dashscope, 2026-11): `base_resp`, or a code beside a message, without an `error`.
    pub(crate) fn in_frame(own: &[ErrorQuirk], frame: &[u8]) -> Option<Self> {
        let said = Val::from_bytes(frame).filter(|v| v.kind() == Kind::Object).map(Said::read)?;
        let names_both = said.message.is_some() && said.code.is_some();
        (said.is_error || names_both).then(|| Self::classify_at(own, 0, frame))
    }
}

/// What an error body says, in whatever shape.
#[derive(Default)]
struct Said {
    is_error: bool,
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    detail_code: Option<String>,
    retry_after_ms: Option<u64>,
    param: Option<String>,
    request_id: Option<String>,
}

fn word_of(v: Val<'_>, name: &str) -> Option<String> {
    let v = v.get(name)?;
    match v.kind() {
        Kind::String => v.as_str().map(|text| text.chars().take(64).collect()),
        Kind::Number => Some(v.raw().chars().take(64).collect()),
        _ => None,
    }
}

/// The `@type` of one of Google's details ends like this.
fn is_detail(detail: &Val<'_>, name: &str) -> bool {
    detail.get_str("@type").is_some_and(|kind| kind.ends_with(name))
}

/// The reason in Google's `ErrorInfo`.
fn reason_of(details: Val<'_>) -> Option<String> {
    details
        .elements()
        .find(|detail| is_detail(detail, "google.rpc.ErrorInfo"))
        .and_then(|it| word_of(it, "reason"))
}

/// The pause in Google's `RetryInfo`, such as `"17.5s"`.
fn retry_info(details: Val<'_>) -> Option<u64> {
    let delay =
        details.elements().find(|detail| is_detail(detail, "google.rpc.RetryInfo"))?.get_str("retryDelay")?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    // The cast saturates.
    (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0).ceil() as u64)
}

impl Said {
    fn read(v: Val<'_>) -> Self {
        // QUIRK(google, 2026-05): the OpenAI shim wraps its error in a list.
        let v = v.elements().next().unwrap_or(v);
        if let Some(base) = v.get("base_resp") {
            let code = word_of(base, "status_code").filter(|code| code != "0");
            if code.is_some() {
                return Self {
                    is_error: true,
                    message: word_text(base, "status_msg"),
                    code,
                    ..Self::default()
                };
            }
        }
        match v.get("error") {
            Some(error) if error.kind() == Kind::Object => Self {
                is_error: true,
                message: word_text(error, "message").or_else(|| word_text(error, "msg")),
                kind: word_of(error, "type").or_else(|| word_of(error, "status")),
                // Google's number is that of the status.
                code: word_of(error, "code").filter(|_| error.get("status").is_none()),
                detail_code: error
                    .get("details")
                    .and_then(|d| word_of(d, "error_code").or_else(|| reason_of(d))),
                retry_after_ms: error.get("details").and_then(retry_info),
                param: word_text(error, "param"),
                request_id: word_text(v, "request_id"),
            },
            Some(error) if error.kind() == Kind::String => Self {
                is_error: true,
                message: error.as_str().map(Into::into),
                code: word_of(v, "code"),
                ..Self::default()
            },
            _ => Self {
                is_error: v.get_str("type").as_deref() == Some("error")
                    || v.get("success").and_then(Val::as_bool) == Some(false),
                message: ["message", "msg", "detail", "error_msg"].iter().find_map(|name| word_text(v, name)),
                kind: word_of(v, "type"),
                code: word_of(v, "code").or_else(|| word_of(v, "error_code")),
                ..Self::default()
            },
        }
    }

    fn word(&self) -> Option<String> {
        self.detail_code.clone().or_else(|| self.code.clone()).or_else(|| self.kind.clone())
    }

    /// What the provider itself means by it.
    fn own_class(&self, own: &[ErrorQuirk], status: u16, message: &str) -> Option<FaultClass> {
        if own.is_empty() {
            return None;
        }
        let text = message.to_lowercase();
        let words: Vec<String> = [&self.detail_code, &self.code, &self.kind]
            .into_iter()
            .flatten()
            .map(|word| word.to_ascii_lowercase())
            .collect();
        let named = |known: &String| match known.strip_suffix('*') {
            Some(start) => words.iter().any(|word| word.starts_with(start)),
            None => words.contains(known),
        };
        let fits = |rule: &&ErrorQuirk| {
            (rule.status.is_empty() || rule.status.contains(&status))
                && (rule.code.is_empty() || rule.code.iter().any(named))
                && (rule.text.is_empty() || rule.text.iter().any(|part| text.contains(part)))
        };
        own.iter().find(fits).map(|rule| rule.class)
    }

    fn class(&self, status: u16, message: &str) -> FaultClass {
        let text = message.to_ascii_lowercase();
        let words: Vec<String> = [&self.kind, &self.code, &self.detail_code]
            .into_iter()
            .flatten()
            .map(|word| word.to_ascii_lowercase())
            .collect();
        let word = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
        // QUIRK(google, 2026-11): a limit of a minute or a day is told in the words that others have for an empty account.
        if word(&["resource_exhausted"]) && !word(&["billing_disabled", "account_state_invalid"]) {
            return FaultClass::RateLimit;
        }
        let says = |known: &[&str]| known.iter().any(|part| text.contains(part));
        // A refused request may quote its caller, and this class benches the channel for all: there the account's state must
        // be what the message begins with.
        let account = if matches!(status, 400 | 404 | 413 | 422) {
            QUOTA_TEXTS.iter().any(|part| text.strip_prefix("your ").unwrap_or(&text).starts_with(part))
        } else {
            says(QUOTA_TEXTS)
        };
        if word(QUOTA_WORDS) || account || status == 402 {
            return FaultClass::Quota;
        }
        if word(&["rate_limit_error", "rate_limit_exceeded", "1302", "1303", "1305", "1002"]) || status == 429
        {
            return FaultClass::RateLimit;
        }
        // Texts are trusted only about requests that were refused: a server error may quote anything.
        let refused = matches!(status, 0 | 400 | 403 | 404 | 413 | 422);
        if word(&["context_length_exceeded", "string_above_max_length"]) || refused && says(CONTEXT_TEXTS) {
            return FaultClass::ContextLength;
        }
        if word(POLICY_WORDS) || refused && says(POLICY_TEXTS) {
            return FaultClass::ContentPolicy;
        }
        if word(&["overloaded_error", "overloaded", "unavailable", "server_overloaded"])
            || matches!(status, 503 | 529)
        {
            return FaultClass::Overloaded;
        }
        if word(&[
            "authentication_error",
            "permission_error",
            "invalid_api_key",
            "unauthenticated",
            "permission_denied",
            "api_key_invalid",
            "api_key_service_blocked",
            "consumer_suspended",
            "service_disabled",
            "1000",
            "1001",
            "1004",
        ]) || refused && text.starts_with("user location is not supported")
        {
            return FaultClass::Auth;
        }
        match status {
            401 | 403 => FaultClass::Auth,
            404 => FaultClass::NotFound,
            408 | 504 => FaultClass::Timeout,
            413 => FaultClass::TooLarge,
            400..=499 => FaultClass::BadRequest,
            0 if word(&["not_found_error", "not_found", "model_not_found"]) => FaultClass::NotFound,
            0 if word(&[
                "invalid_request_error",
                "invalid_argument",
                "failed_precondition",
                "invalid_prompt",
            ]) =>
            {
                FaultClass::BadRequest
            }
            0 if word(&["request_too_large"]) => FaultClass::TooLarge,
            0 if word(&["timeout_error", "deadline_exceeded"]) => FaultClass::Timeout,
            _ => FaultClass::Server,
        }
    }
}

const QUOTA_WORDS: &[&str] = &[
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "enforced_spend_limit_reached",
    "accountoverdueerror",
    "accountoverdue",
    "arrearage",
    "billing_disabled",
    "1113",
    "1008",
];
const QUOTA_TEXTS: &[&str] = &[
    "insufficient balance",
    "credit balance is too low",
    "exceeded your current quota",
    "insufficient credits",
    "account overdue",
];
const CONTEXT_TEXTS: &[&str] = &[
    "maximum context length",
    "prompt is too long",
    "context window",
    "exceeds the maximum number of tokens",
    "exceeded model token limit",
    "input is too long",
    "input token count",
    "context length",
    "reduce the length of the messages",
    // Cohere's; of a minute's they are told with 429.
    "too many tokens",
];
const POLICY_WORDS: &[&str] =
    &["content_filter", "content_policy_violation", "responsibleaipolicyviolation", "1301"];
const POLICY_TEXTS: &[&str] =
    &["content management policy", "content policy", "safety system", "content filter"];

fn word_text(v: Val<'_>, name: &str) -> Option<String> {
    v.get_str(name).map(|text| text.into_owned()).filter(|text| !text.is_empty())
}

/// Marks of credentials: what follows them, up to the next separator, is not repeated.
const SECRETS: [&str; 8] = ["sk-", "sk_", "gsk_", "xai-", "AIza", "AKIA", "eyJ", "pk-"];

/// A message fit for logs and callers.
fn safe(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(MESSAGE_MAX));
    let clean: String =
        message.chars().take(MESSAGE_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut after_bearer = false;
    for (at, word) in clean.split(' ').enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let secret = SECRETS.iter().filter_map(|mark| word.find(mark)).min();
        // A mark inside a word (`task-`) is no credential: it must start one.
        let secret = secret.filter(|at| {
            *at == 0 || word.get(..*at).is_some_and(|head| !head.ends_with(char::is_alphanumeric))
        });
        match secret {
            _ if after_bearer && !word.is_empty() => out.push_str("[redacted]"),
            Some(from) => {
                out.push_str(word.get(..from).unwrap_or_default());
                out.push_str("[redacted]");
            }
            None => out.push_str(word),
        }
        after_bearer = word.eq_ignore_ascii_case("bearer");
    }
    // What was redacted may be longer than what stood there.
    if let Some((end, _)) = out.char_indices().nth(MESSAGE_MAX) {
        out.truncate(end);
    }
    out
}

#[cfg(test)]
mod tests;
