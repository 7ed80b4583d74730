//! From a scanned request to the bytes that go out.

use bytes::Bytes;
use sluicegate_core::Format;

use crate::bridge::Reply;
use crate::error::{Result, WireError};
use crate::loss::Losses;
use crate::scan::Scanned;
use crate::splice::{Edits, splice};

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The body to send.
    pub body: Bytes,
    /// What the translation dropped or approximated. When the formats are the same, at most thoughts that another provider
    /// sealed: everybody else refuses them.
    pub losses: Losses,
    /// What it means for the answer: for [`crate::BridgeOptions`].
    pub reply: Reply,
    /// The upstream is asked for a stream whatever the caller asked for.
    pub streams: bool,
}

impl Scanned {
    /// Edits the request for an upstream that speaks `target`: spliced into the same bytes when it is the caller's own
    /// format, translated otherwise.
    ///
    /// # Errors
    /// `NotSupported` when the request can't be expressed in the target at all (several choices for Anthropic, audio,
    /// another kind of endpoint), `InvalidRequest` when its messages make no sense to translate.
    pub fn prepare(&self, edits: &Edits<'_>, target: Format) -> Result<Prepared> {
        if !self.format().reaches(target) {
            return Err(WireError::unsupported(format!(
                "a call in format `{}` can't be served by an endpoint that speaks `{}`: choose another model",
                self.format().as_str(),
                target.as_str()
            )));
        }
        if self.format() != target {
            return crate::translate::request(self, edits, target);
        }
        if self.foreign
            && let Some(clean) = crate::foreign::without(self.text())
        {
            // Only its maker takes a seal: it goes without the thought.
            let gone = match target {
                Format::AnthropicMessages => crate::foreign::thinks_no_more(&clean),
                _ => Vec::new(),
            };
            let drop: Vec<&str> = edits.drop.iter().copied().chain(gone.iter().copied()).collect();
            let mut clean = self.rescan(&Bytes::from(clean))?;
            clean.foreign = false;
            let mut prepared = clean.prepare(&Edits { drop: &drop, ..edits.clone() }, target)?;
            prepared.losses.dropped("thinking", "thinking can't be sent to another provider");
            for field in gone {
                // The field's own name is that of the thought's loss.
                let path = if field == "thinking" { "thinking.budget_tokens" } else { field };
                let why = "the last assistant turn has tool calls without their thinking";
                prepared.losses.dropped(path, why);
            }
            return Ok(prepared);
        }
        let facts = self.facts();
        let chat_stream = matches!(target, Format::OpenaiChat | Format::OpenaiCompletions) && facts.stream;
        let reply = Reply {
            hide_usage: chat_stream && edits.include_usage && !facts.include_usage,
            usage_wanted: facts.include_usage,
            ..Reply::default()
        };
        // A completion that names no ceiling is bounded by OpenAI's own, which others needn't have: it is said.
        let own = facts.max_output.filter(|_| target == Format::OpenaiCompletions);
        let edits = Edits { max_output: edits.max_output.or(own), ..edits.clone() };
        Ok(Prepared { body: splice(self, &edits), losses: Losses::default(), reply, streams: false })
    }
}
