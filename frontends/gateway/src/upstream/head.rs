//! What matters of an answer's head, whoever read it.

use sluicegate_core::ServiceTier;

use super::coded::{CodedBody, Coding};
use super::{TimedBody, UpstreamBody, UpstreamResponse};

/// The head of an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head {
    status: u16,
    is_event_stream: bool,
    retry_after_ms: Option<u64>,
    request_id: Option<String>,
    served_tier: Option<ServiceTier>,
    content_type: Option<String>,
    /// How the body is compressed, though nobody asked for that.
    coding: Option<Coding>,
}

impl Head {
    /// From a status, and a way to look a header up by its name in lower case.
    pub(super) fn read<'a>(status: u16, header: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        let text = |name: &str| header(name).and_then(|value| std::str::from_utf8(value).ok());
        let kind = header("content-type").unwrap_or_default().trim_ascii_start();
        Self {
            status,
            is_event_stream: kind
                .get(..17)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream")),
            retry_after_ms: if (200..300).contains(&status) { None } else { retry_after(text) },
            request_id: text("x-request-id").or_else(|| text("request-id")).map(str::to_owned),
            // QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/priority-inference)
            served_tier: text("x-gemini-service-tier").and_then(ServiceTier::of_answer),
            // JSON and events are what is expected: only what differs is worth a copy.
            content_type: text("content-type").filter(|kind| !is_usual(kind)).map(str::to_owned),
            coding: header("content-encoding").and_then(Coding::read),
        }
    }

    /// Whether the body is compressed in a way that can't be undone here, or is a part of one: what was compressed can only be read
    /// from its beginning.
    pub(super) fn is_beyond_us(&self) -> bool {
        self.coding == Some(Coding::Other) || self.status == 206 && self.coding.is_some()
    }

    /// The same of a body that goes on as it comes.
    pub(super) fn left_coded(self) -> Self {
        Self { coding: None, ..self }
    }

    /// The answer, with a body whose reads must come in time.
    pub(super) fn with(self, body: impl UpstreamBody + 'static, between_ms: Option<u64>) -> UpstreamResponse {
        let body: Box<dyn UpstreamBody> = match (between_ms, self.coding) {
            (Some(ms), None) => Box::new(TimedBody::new(body, ms)),
            (Some(ms), Some(coding)) => Box::new(TimedBody::new(CodedBody::new(body, coding), ms)),
            (None, None) => Box::new(body),
            (None, Some(coding)) => Box::new(CodedBody::new(body, coding)),
        };
        UpstreamResponse {
            status: self.status,
            is_event_stream: self.is_event_stream,
            retry_after_ms: self.retry_after_ms,
            request_id: self.request_id,
            served_tier: self.served_tier,
            content_type: self.content_type,
            headers: Vec::new(),
            body,
        }
    }
}

fn is_usual(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("text/event-stream")
}

/// `retry-after-ms`, else `retry-after` in seconds. Dates are not understood: no model provider sends them.
fn retry_after<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Option<u64> {
    let number = |name| text(name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1000.0));
    // The cast saturates.
    ms.map(|ms| ms.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_goes_on_as_it_came() {
        for (status, coding, want) in [
            (200, Some("gzip"), false),
            (206, Some("gzip"), true),
            (206, None, false),
            (200, Some("br"), true),
            (200, None, false),
        ] {
            let header = |name: &str| coding.filter(|_| name == "content-encoding").map(str::as_bytes);
            assert_eq!(Head::read(status, header).is_beyond_us(), want, "{status} {coding:?}");
        }
    }

    #[test]
    fn the_tier_that_is_served_may_stand_in_the_head() {
        for (said, want) in [
            (Some("flex"), Some(ServiceTier::Flex)),
            (Some("standard"), Some(ServiceTier::Standard)),
            (Some("SERVICE_TIER_PRIORITY"), Some(ServiceTier::Priority)),
            (Some("something"), None),
            (None, None),
        ] {
            let header = |name: &str| said.filter(|_| name == "x-gemini-service-tier").map(str::as_bytes);
            assert_eq!(Head::read(200, header).served_tier, want, "{said:?}");
        }
    }
}
