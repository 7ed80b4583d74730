//! How many tokens a call would have: the upstream that would serve it is asked, and where it can't say the gateway counts.

use bytes::Bytes;
use sluicegate_core::engine::{Attempt, Failure};
use sluicegate_core::{ErrorKind, Format, OutcomeClass};
use sluicegate_wire::{Observed, Report, Scanned};
use tokio::time::Instant;

use super::{Tried, read_some, rejection};
use crate::answer::{Answer, AnswerBody, CountedBy};
use crate::running::Running;
use crate::tokenizer;
use crate::upstream::UpstreamResponse;

/// The gateway's own count in place of an attempt: its channel doesn't count.
pub(super) async fn by_us(
    mut running: Box<Running>,
    attempt: &Attempt,
    scanned: &Scanned,
    format: Format,
) -> (Tried, Option<Box<Running>>) {
    let upstream = &attempt.upstream_model;
    let model = attempt.channel().models.iter().find(|model| model.upstream == *upstream);
    let tokens = tokenizer::estimate(scanned, model.and_then(|model| model.tokenizer)).await;
    running.mark_status(200);
    running.observe(OutcomeClass::Ok, Some(&Observed { finished: true, ..Observed::default() }), None);
    (Tried::Answered(Box::new(told(running, tokens, format).await)), None)
}

/// The gateway's own count after upstreams were asked and failed; `None` where their refusal tells more.
pub(super) async fn after(
    failure: &Failure,
    running: Box<Running>,
    scanned: &Scanned,
    format: Format,
) -> Result<Answer, Box<Running>> {
    let is_refusal = match failure {
        Failure::Denied(_) => true,
        Failure::Upstream(class) => matches!(
            class,
            OutcomeClass::BadRequest | OutcomeClass::ContentPolicy | OutcomeClass::Inexpressible
        ),
    };
    if is_refusal {
        return Err(running);
    }
    let tokens = tokenizer::estimate(scanned, None).await;
    Ok(told(running, tokens, format).await)
}

async fn told(mut running: Box<Running>, tokens: u64, format: Format) -> Answer {
    running.finish(None);
    running.settled().await;
    running.facts.counted_by = Some(CountedBy::Gateway);
    let object =
        if format == Format::OpenaiInputTokens { r#""object":"response.input_tokens","# } else { "" };
    let field = passed(format).unwrap_or("input_tokens");
    let body = AnswerBody::Full(Bytes::from(format!("{{{object}\"{field}\":{tokens}}}")));
    Answer { body, content_type: None, facts: running.facts.clone() }
}

/// The field with the count in an answer that passes as it comes, where that isn't an answer like others.
pub(super) const fn passed(format: Format) -> Option<&'static str> {
    match format {
        Format::GeminiCountTokens => Some("totalTokens"),
        Format::OpenaiInputTokens => Some("input_tokens"),
        _ => None,
    }
}

/// The count of an upstream in the `field` of its answer, as it came.
pub(super) async fn by_upstream(
    mut running: Box<Running>,
    mut response: UpstreamResponse,
    deadline: Instant,
    field: &str,
) -> (Tried, Option<Box<Running>>) {
    let body = read_some(&mut response.body, deadline).await;
    let counted = serde_json::from_slice::<serde_json::Value>(&body).ok();
    if counted.and_then(|counted| counted.get(field)?.as_u64()).is_none() {
        running.observe(OutcomeClass::Nonsense, None, None);
        let message = "the upstream's answer has no count of tokens; try again";
        let report = Report::new(ErrorKind::UpstreamUnavailable, message);
        return (Tried::Failed(rejection(report, ErrorKind::UpstreamUnavailable)), Some(running));
    }
    running.observe(OutcomeClass::Ok, Some(&Observed { finished: true, ..Observed::default() }), None);
    running.finish(None);
    running.settled().await;
    running.facts.counted_by = Some(CountedBy::Upstream);
    let (body, facts) = (AnswerBody::Full(Bytes::from(body)), running.facts.clone());
    (Tried::Answered(Box::new(Answer { body, content_type: None, facts })), None)
}
