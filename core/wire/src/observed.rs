//! What passes by in an answer.

use std::fmt;

use sluicegate_core::price::Variant;
use sluicegate_core::{Usage, UsageSource};

use crate::fault::Fault;

/// No text has more bytes for each of its tokens, but for runs of white space and rules.
const TOKEN_BYTES_MAX: u64 = 64;
/// Of a text this short nothing can be said.
const SHORT_BYTES: u64 = 4_096;

/// What was seen of an answer so far.
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// Decoded bytes of output: text, tool names and arguments, reasoning, refusals. No media.
    pub output_bytes: u64,
    /// Those among them that say little of how many tokens there are: code and what it printed, lists of parts.
    pub raw_bytes: u64,
    /// What the pictures and sounds in it take by their formulas.
    pub media: MediaOut,
    /// Those of them that `usage` has counted: it came with them or later.
    pub media_said: MediaOut,
    /// Whether the output may repeat the prompt, which nobody is charged for as output.
    pub echoes: bool,
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

impl fmt::Debug for Observed {
    /// Media, which few answers have, are left out where there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Observed");
        all.field("usage", &self.usage)
            .field("input_missing", &self.input_missing)
            .field("output_missing", &self.output_missing)
            .field("usage_rejected", &self.usage_rejected)
            .field("first_content", &self.first_content)
            .field("finished", &self.finished)
            .field("closed", &self.closed)
            .field("output_bytes", &self.output_bytes)
            .field("raw_bytes", &self.raw_bytes)
            .field("echoes", &self.echoes)
            .field("searches", &self.searches)
            .field("error", &self.error)
            .field("served_model", &self.served_model)
            .field("served_tier", &self.served_tier)
            .field("served_variant", &self.served_variant)
            .field("response_id", &self.response_id);
        if self.media != MediaOut::default() {
            all.field("media", &self.media).field("media_said", &self.media_said);
        }
        all.finish()
    }
}

/// Tokens of media that were delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaOut {
    /// Of pictures.
    pub image: u64,
    /// Of sounds.
    pub audio: u64,
}

impl MediaOut {
    pub(crate) fn tokens(self) -> u64 {
        self.image.saturating_add(self.audio)
    }

    pub(crate) fn beyond(self, said: Self) -> Self {
        Self { image: self.image.saturating_sub(said.image), audio: self.audio.saturating_sub(said.audio) }
    }
}

impl Observed {
    /// Takes over how many searches the answer is known to have made by now.
    pub(crate) fn searched(&mut self, searches: u64) {
        self.searches = self.searches.max(searches);
        if let Some(usage) = &mut self.usage {
            usage.searches = usage.searches.max(self.searches);
        }
    }

    /// A plausible count of output tokens besides those of media when none was reported: four bytes make one.
    pub fn output_estimate(&self) -> u64 {
        self.output_bytes.div_ceil(4)
    }

    /// What we count ourselves, whatever was reported: the prompt by its estimate, and what was delivered.
    pub fn counted(&self, input_estimate: u64) -> Usage {
        Usage {
            input_uncached: input_estimate,
            output_visible: self.output_estimate(),
            image_out: self.media.image,
            audio_out: self.media.audio,
            searches: self.searches,
            ..Usage::default()
        }
    }

    /// What an attempt that was answered with a success status is settled with, once it has ended.
    ///
    /// Reported counts of an answer that came to its end are taken as they are. Where the output is missing from them or
    /// the answer broke off, the output is what was delivered, if that is more than was reported until then (Anthropic's
    /// first event reports one token), and media by their formulas, if they came after the report; where the input is missing, it is `input_estimate`. An error before any content
    /// uses nothing, unless the upstream says what it used or was seen to search. Nothing but zeros for an answer that was seen is no report,
    /// no input at all is none of the input, and far too little output for what was delivered none of the output.
    pub fn settlement(&self, input_estimate: u64) -> (Usage, UsageSource) {
        let billed = self.finished && self.usage.is_some();
        if self.error.is_some() && !self.first_content && !billed && self.searches == 0 {
            return (Usage::default(), UsageSource::None);
        }
        let delivered = self.output_estimate();
        let says = |usage: &Usage| usage.total_tokens() > 0 || usage.units > 0;
        let is_empty = delivered == 0 && self.media.tokens() == 0 && !self.first_content;
        let Some(mut usage) = self.usage.filter(|it| !it.is_absurd() && (says(it) || is_empty)) else {
            return (self.counted(input_estimate), UsageSource::Counted);
        };
        let mut source = UsageSource::Reported;
        // What is billed in units needs no tokens.
        let in_tokens = usage.units == 0;
        if self.input_missing || in_tokens && usage.input_tokens() == 0 && says(&usage) {
            usage.input_uncached = input_estimate;
            source = UsageSource::Counted;
        }
        let too_few = in_tokens && self.is_too_few(usage.output_tokens(), input_estimate);
        let said = self.finished && !self.output_missing && !too_few;
        if !said && usage.output_tokens().saturating_sub(usage.image_out) < delivered {
            usage.output_visible =
                delivered.saturating_sub(usage.output_reasoning.saturating_add(usage.audio_out));
            source = UsageSource::Counted;
        }
        let unsaid = self.media.beyond(self.media_said);
        if !said && unsaid.tokens() > 0 {
            usage.image_out = usage.image_out.saturating_add(unsaid.image);
            usage.audio_out = usage.audio_out.saturating_add(unsaid.audio);
            source = UsageSource::Counted;
        }
        (usage, source)
    }

    /// Whether no tokenizer makes as few of what was delivered: none at all, or more than 64 bytes each beyond a first 4,096. Four
    /// bytes are usual, and the longest tokens of all, runs of white space, have 128.
    fn is_too_few(&self, tokens: u64, input_estimate: u64) -> bool {
        // An estimate makes at most eight bytes of what it counts one token.
        let repeated = if self.echoes { input_estimate.saturating_mul(8) } else { 0 };
        let bytes = self.output_bytes.saturating_sub(self.raw_bytes).saturating_sub(repeated);
        let most =
            if tokens == 0 { 0 } else { tokens.saturating_mul(TOKEN_BYTES_MAX).saturating_add(SHORT_BYTES) };
        bytes > most || tokens == 0 && self.media.tokens() > 0
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
        for (usage, bytes, want, source) in [
            // (input, output) reported, bytes delivered, (input, output) charged.
            ((10, 0), 4_000, (10, 1_000), UsageSource::Counted),
            ((10, 1), 48_000, (10, 12_000), UsageSource::Counted),
            ((10, 1), 4_160, (10, 1), UsageSource::Reported),
            ((10, 1), 4_161, (10, 1_041), UsageSource::Counted),
            ((10, 1_000), 68_000, (10, 1_000), UsageSource::Reported),
            ((0, 5), 20, (7, 5), UsageSource::Counted),
            ((10, 0), 0, (10, 0), UsageSource::Reported),
            ((0, 0), 0, (7, 0), UsageSource::Counted),
            ((1 << 25, 5), 20, (7, 5), UsageSource::Counted),
            ((10, 1 << 25), 20, (7, 5), UsageSource::Counted),
        ] {
            let usage = Usage { input_uncached: usage.0, output_visible: usage.1, ..Usage::default() };
            let odd = Observed { usage: Some(usage), output_bytes: bytes, ..whole.clone() };
            let charged = Usage { input_uncached: want.0, output_visible: want.1, ..Usage::default() };
            assert_eq!(odd.settlement(7), (charged, source), "{usage:?} {bytes}");
        }
        // A prompt that is repeated isn't written, and seconds have no tokens.
        let echo = Observed {
            usage: Some(Usage { output_visible: 0, ..reported }),
            echoes: true,
            output_bytes: 56,
            ..whole.clone()
        };
        assert_eq!(echo.settlement(7).1, UsageSource::Reported);
        assert_eq!(Observed { output_bytes: 57, ..echo.clone() }.settlement(7).1, UsageSource::Counted);
        let heard = Usage { units: 9, ..Usage::default() };
        let picture = Observed { output_bytes: 2_000_000, raw_bytes: 1_999_990, ..whole.clone() };
        assert_eq!(picture.settlement(7), (reported, UsageSource::Reported));
        // Media count by their formulas, and only what no report has counted.
        let media = |image, audio| MediaOut { image, audio };
        for (usage, delivered, said, finished, want) in [
            // (visible, image) reported, delivered, counted in the report, at its end, (visible, image, audio) charged.
            (Some((1, 1_120)), media(1_290, 0), media(1_290, 0), false, (1, 1_120, 0)),
            (Some((1_120, 0)), media(1_290, 0), media(1_290, 0), false, (1_120, 0, 0)),
            (Some((1, 1_120)), media(2_580, 0), media(1_290, 0), false, (1, 2_410, 0)),
            (Some((1, 0)), media(1_290, 0), media(0, 0), true, (1, 0, 0)),
            (Some((0, 0)), media(1_290, 9), media(0, 0), true, (0, 1_290, 9)),
            (None, media(1_290, 9), media(0, 0), true, (0, 1_290, 9)),
        ] {
            let usage =
                usage.map(|(output_visible, image_out)| Usage { output_visible, image_out, ..reported });
            let drawn = Observed {
                usage,
                media: delivered,
                media_said: said,
                finished,
                output_bytes: 0,
                ..whole.clone()
            };
            let got = drawn.settlement(7).0;
            assert_eq!((got.output_visible, got.image_out, got.audio_out), want, "{usage:?} {delivered:?}");
        }
        let transcript = Observed { usage: Some(heard), output_bytes: 40_000, ..whole.clone() };
        assert_eq!(transcript.settlement(7), (heard, UsageSource::Reported));
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
