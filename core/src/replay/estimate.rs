//! How attempts would end that were never made.

use std::collections::HashMap;

use super::Histogram;
use crate::decision::OutcomeClass;
use crate::ids::ChannelId;
use crate::record::UsageRecord;
use crate::usage::Usage;

/// No call answers faster where nothing at all is known, in milliseconds.
const UNKNOWN_LATENCY_MS: u64 = 1_000;
/// What an answer has where nothing at all is known, in tokens.
const UNKNOWN_OUTPUT: u64 = 256;

/// What the records of a replay show of channels, learnt before it begins.
#[derive(Clone, Debug, Default)]
pub struct Estimates {
    // BOUND: channels.
    latency_ms: HashMap<ChannelId, Histogram>,
    all_latency_ms: Histogram,
    output: Histogram,
}

impl Estimates {
    /// Learns from a record's answered attempts.
    pub fn learn(&mut self, record: &UsageRecord) {
        for attempt in record.attempts.iter().filter(|it| it.outcome == OutcomeClass::Ok) {
            let ms = u64::from(attempt.duration_ms);
            match self.latency_ms.get_mut(&attempt.channel) {
                Some(known) => known.add(ms),
                None => self.latency_ms.entry(attempt.channel.clone()).or_default().add(ms),
            }
            self.all_latency_ms.add(ms);
            self.output.add(attempt.usage.output_tokens());
        }
    }

    /// How long a whole answer of this channel takes, in milliseconds: the median of its answers, else of all, else 1,000.
    pub fn latency_ms(&self, channel: &ChannelId) -> u64 {
        let own = self.latency_ms.get(channel).and_then(|known| known.percentile(50));
        own.or_else(|| self.all_latency_ms.percentile(50)).unwrap_or(UNKNOWN_LATENCY_MS)
    }

    /// What the call would use elsewhere: what it used, else what was estimated of its input and the median of all outputs,
    /// else 256 tokens.
    pub fn usage_of(&self, record: &UsageRecord) -> Usage {
        let answered = record.attempts.iter().rev().find(|it| it.outcome == OutcomeClass::Ok);
        answered.map(|attempt| attempt.usage).filter(|usage| usage.total_tokens() > 0).unwrap_or_else(|| {
            let output = self.output.percentile(50).unwrap_or(UNKNOWN_OUTPUT);
            let writes = record.format.has_ceiling() || record.format.writes_at_will();
            let output = if writes { output } else { 0 };
            let choices = u64::from(record.replay.choices.max(1));
            Usage {
                input_uncached: record.replay.input_estimate,
                output_visible: output.saturating_mul(choices),
                ..Usage::default()
            }
        })
    }
}
