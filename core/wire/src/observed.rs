//! What passes by in an answer.

use sluicegate_core::Usage;

use crate::fault::Fault;

/// What was seen of an answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What the upstream reported, in the normal form; the last report wins.
    pub usage: Option<Usage>,
    /// Whether a report was refused because its numbers can't be right. Count it yourself, and raise an alarm.
    pub usage_rejected: bool,
    /// Whether content was seen: text, a tool call, reasoning, a refusal. Headers, roles and pings don't count.
    pub first_content: bool,
    /// Whether the answer came to its proper end: a stop reason was seen.
    pub finished: bool,
    /// Whether the stream's last frame (`[DONE]`, `message_stop`) is among what was put out: settle before you send it.
    pub closed: bool,
    /// Decoded bytes of output: text, tool names and arguments, reasoning, refusals.
    pub output_bytes: u64,
    /// The error that the answer held, or that ended it.
    pub error: Option<Fault>,
    /// The model that the upstream says it served.
    pub served_model: Option<String>,
    /// The service tier that it says it served.
    pub served_tier: Option<String>,
    /// The upstream's id of the answer: a search key, nothing else.
    pub response_id: Option<String>,
}

impl Observed {
    /// A plausible count of output tokens when none was reported: four bytes make one.
    pub fn output_estimate(&self) -> u64 {
        self.output_bytes.div_ceil(4)
    }
}
