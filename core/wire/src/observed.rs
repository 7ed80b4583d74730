//! What passes by in an answer.

use sluicegate_core::price::Variant;
use sluicegate_core::{Usage, UsageSource};

use crate::fault::Fault;

/// What was seen of an answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What the upstream reported, in the normal form; the last report wins.
    pub usage: Option<Usage>,
    /// Whether `usage` says nothing of the input: it is to be estimated.
    pub input_missing: bool,
    /// Whether `usage` says nothing of the whole output: it is to be counted from what was delivered.
    pub output_missing: bool,
    /// Whether a report was refused because its numbers can't be right. Count it yourself, and raise an alarm.
    pub usage_rejected: bool,
    /// Whether content was seen: text, a tool call, reasoning, a refusal. Headers, roles and pings don't count.
    pub first_content: bool,
    /// Whether the answer came to its proper end: a stop reason was seen, or a failure that tells what it used.
    pub finished: bool,
    /// Whether the stream's last frame (`[DONE]`, `message_stop`) is among what was put out: settle before you send it.
    pub closed: bool,
    /// Decoded bytes of output: text, tool names and arguments, reasoning, refusals.
    pub output_bytes: u64,
    /// Searches of the web that the answer shows the upstream to have made, where its counts don't have them.
    pub searches: u64,
    /// The error that the answer held, or that ended it.
    pub error: Option<Fault>,
    /// The model that the upstream says it served.
    pub served_model: Option<String>,
    /// The service tier that it says it served.
    pub served_tier: Option<String>,
    /// What it says of its images, or of its searches.
    pub served_variant: Option<Box<Variant>>,
    /// The upstream's id of the answer: a search key, nothing else.
    pub response_id: Option<String>,
}

impl Observed {
    /// Takes over how many searches the answer is known to have made by now.
    pub(crate) fn searched(&mut self, searches: u64) {
        self.searches = self.searches.max(searches);
        if let Some(usage) = &mut self.usage {
            usage.searches = usage.searches.max(self.searches);
        }
    }

    /// A plausible count of output tokens when none was reported: four bytes make one.
    pub fn output_estimate(&self) -> u64 {
        self.output_bytes.div_ceil(4)
    }

    /// What an attempt that was answered with a success status is settled with, once it has ended.
    ///
    /// Reported counts of an answer that came to its end are taken as they are. Where the output is missing from them or
    /// the answer broke off, the output is what was delivered, if that is more than was reported until then (Anthropic's
    /// first event reports one token); where the input is missing, it is `input_estimate`. An error before any content
    /// uses nothing, unless the upstream says what it used or was seen to search. Nothing but zeros for an answer that was seen is no report.
    pub fn settlement(&self, input_estimate: u64) -> (Usage, UsageSource) {
        let billed = self.finished && self.usage.is_some();
        if self.error.is_some() && !self.first_content && !billed && self.searches == 0 {
            return (Usage::default(), UsageSource::None);
        }
        let delivered = self.output_estimate();
        let reported = self.usage.filter(|it| it.total_tokens() > 0 || it.units > 0 || delivered == 0);
        let Some(mut usage) = reported else {
            let counted = Usage {
                input_uncached: input_estimate,
                output_visible: delivered,
                searches: self.searches,
                ..Usage::default()
            };
            return (counted, UsageSource::Counted);
        };
        let mut source = UsageSource::Reported;
        if self.input_missing {
            usage.input_uncached = input_estimate;
            source = UsageSource::Counted;
        }
        let said = self.finished && !self.output_missing;
        if !said && usage.output_tokens() < delivered {
            usage.output_visible =
                delivered.saturating_sub(usage.output_reasoning.saturating_add(usage.audio_out));
            source = UsageSource::Counted;
        }
        (usage, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultClass;

    #[test]
    fn an_answer_is_settled_with_what_is_known() {
        let reported = Usage { input_uncached: 10, output_visible: 1, ..Usage::default() };
        let whole = Observed {
            usage: Some(reported),
            finished: true,
            first_content: true,
            output_bytes: 400,
            ..Observed::default()
        };
        assert_eq!(whole.settlement(7), (reported, UsageSource::Reported));
        let broken = Observed { finished: false, ..whole.clone() };
        assert_eq!(broken.settlement(7), (Usage { output_visible: 100, ..reported }, UsageSource::Counted));
        let half_said = Observed { output_missing: true, ..whole.clone() };
        assert_eq!(half_said.settlement(7), broken.settlement(7));
        let no_input = Observed {
            input_missing: true,
            usage: Some(Usage { input_uncached: 0, ..reported }),
            ..whole.clone()
        };
        assert_eq!(no_input.settlement(7), (Usage { input_uncached: 7, ..reported }, UsageSource::Counted));
        let silent = Observed { usage: None, ..whole.clone() };
        let counted = Usage { input_uncached: 7, output_visible: 100, ..Usage::default() };
        assert_eq!(silent.settlement(7), (counted, UsageSource::Counted));
        let zeros = Observed { usage: Some(Usage::default()), ..whole.clone() };
        assert_eq!(zeros.settlement(7), (counted, UsageSource::Counted));
        let fault = Some(Fault::new(FaultClass::Server, "no"));
        let failed = Observed { error: fault.clone(), usage: Some(reported), ..Observed::default() };
        assert_eq!(failed.settlement(7), (Usage::default(), UsageSource::None));
        // Unless the upstream says itself what its failure used.
        assert_eq!(
            Observed { finished: true, ..failed.clone() }.settlement(7),
            (reported, UsageSource::Reported)
        );
        // What was searched for is charged, whatever came of it.
        let searched = Observed { searches: 2, usage: None, ..failed.clone() };
        let want = Usage { input_uncached: 7, searches: 2, ..Usage::default() };
        assert_eq!(searched.settlement(7), (want, UsageSource::Counted));
        let late = Observed { error: fault, ..broken };
        assert_eq!(late.settlement(7).1, UsageSource::Counted);
    }
}
