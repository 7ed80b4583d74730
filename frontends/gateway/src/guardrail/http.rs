//! A guardrail that asks a service of the operator's.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sluicegate_core::guardrail::{GuardrailAction, GuardrailMarks, HttpRules, mark};
use sluicegate_core::{Result, Secret};
use sluicegate_wire::Side;

use super::{Guardrail, LEFT, Look, Refusal, Ruling};
use crate::upstream::Poster;

/// No answer of a service is larger, in bytes; what it may replace is no larger than what it was sent, and a bit.
const ANSWER_MIN: usize = 1 << 20;
/// What a service says is cut here, in bytes: it goes to the caller.
const MESSAGE_MAX: usize = 300;

/// Asks over HTTP.
pub(super) struct HttpGuardrail {
    name: Arc<str>,
    fail_open: bool,
    poster: Poster,
}

/// What is asked.
#[derive(Serialize)]
struct Question<'a> {
    guardrail: &'a str,
    phase: &'static str,
    call: &'a str,
    model: &'a str,
    organization: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    texts: &'a [&'a str],
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    sealed: &'a [usize],
}

/// What may be answered.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Verdict<'a> {
    Allow,
    Deny {
        #[serde(default, borrow)]
        reason: Option<Cow<'a, str>>,
    },
    Mask {
        texts: Vec<String>,
    },
}

impl HttpGuardrail {
    pub(super) fn new(name: &Arc<str>, rules: &HttpRules, credential: Option<Secret>) -> Result<Self> {
        let poster = Poster::new(&rules.url, credential.as_ref(), rules.timeout_ms)?;
        Ok(Self { name: Arc::clone(name), fail_open: rules.fail_open, poster })
    }

    /// There is no answer to go by.
    pub(super) fn failed(&self, why: &str) -> Ruling {
        tracing::warn!(guardrail = %self.name, why, fail_open = self.fail_open, "a guardrail can't be asked");
        let mut ruling = Ruling::default();
        mark(&mut ruling.marks, &self.name, "failed", 1);
        if !self.fail_open {
            let message = Some("it can't be asked right now, and nothing passes without it".to_owned());
            ruling.refused = Some(Refusal { guardrail: Arc::clone(&self.name), message });
        }
        ruling
    }

    pub(super) fn ruling(&self, answer: &[u8], texts: &[&str], sealed: &[usize]) -> Ruling {
        match serde_json::from_slice(answer) {
            Ok(Verdict::Allow) => Ruling::default(),
            Ok(Verdict::Deny { reason }) => {
                let message = reason.map(|reason| {
                    let mut reason = reason.into_owned();
                    reason.truncate(reason.floor_char_boundary(MESSAGE_MAX));
                    reason
                });
                let refused = Some(Refusal { guardrail: Arc::clone(&self.name), message });
                Ruling { refused, ..Ruling::default() }
            }
            Ok(Verdict::Mask { texts: new }) if new.len() == texts.len() => {
                let changed = new.into_iter().enumerate().filter(|(at, new)| texts.get(*at) != Some(&&**new));
                let (left, texts): (Vec<_>, Vec<_>) =
                    changed.partition(|(at, _)| sealed.binary_search(at).is_ok());
                let mut marks = GuardrailMarks::new();
                mark(&mut marks, &self.name, GuardrailAction::Mask.done(), texts.len() as u64);
                mark(&mut marks, &self.name, LEFT, left.len() as u64);
                Ruling { texts, marks, refused: None }
            }
            Ok(Verdict::Mask { .. }) => {
                self.failed("it answered with another number of texts than it was sent")
            }
            // Not the error itself: it quotes what the service said, which may be somebody's words.
            Err(why) => self.failed(&format!(
                "its answer can't be read: {:?} error at line {}, column {}",
                why.classify(),
                why.line(),
                why.column()
            )),
        }
    }
}

#[async_trait]
impl Guardrail for HttpGuardrail {
    async fn check(&self, look: &Look<'_>) -> Ruling {
        if look.texts.is_empty() {
            return Ruling::default();
        }
        let caller = &look.caller.caller;
        let question = Question {
            guardrail: &self.name,
            phase: if look.side == Side::Request { "pre" } else { "post" },
            call: look.call.as_str(),
            model: look.model,
            organization: caller.organization.as_str(),
            group: caller.group.as_ref().map(|group| group.as_str()),
            user: caller.user.as_ref().map(|user| user.as_str()),
            key: caller.key.as_ref().map(|key| key.as_str()),
            texts: look.texts,
            sealed: look.sealed,
        };
        let body = match serde_json::to_vec(&question) {
            Ok(body) => body,
            Err(why) => return self.failed(&why.to_string()),
        };
        let most = body.len().saturating_mul(2).max(ANSWER_MIN);
        match self.poster.post(body, most).await {
            Ok(answer) => self.ruling(&answer, look.texts, look.sealed),
            Err(why) => self.failed(&why),
        }
    }
}
