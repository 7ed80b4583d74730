//! What is written down about a call: enough to bill it, to explain it and to replay its decision.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::call::{Billed, Format, Needs, Rehearsal, Thinking, Translated};
use crate::count::{CacheWrites, Counted, Media};
use crate::decision::{Explanation, OutcomeClass, Reason};
use crate::error::ErrorKind;
use crate::guardrail::GuardrailMarks;
use crate::ids::{CallId, ChannelId, GroupId, KeyId, ModelName, OrganizationId, UserId};
use crate::limit::{Metric, ScopeKind, Window};
use crate::money::NanoUsd;
use crate::price::{Exchange, ServiceTier, UsedRates, Variant};
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

/// One call, whole. Append-only: never changed once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Our id of the call; of an amendment an id of its own.
    pub call: CallId,
    /// The call whose record this adds to: what its held attempts came to, once that was known. An amendment is no call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<CallId>,
    /// When it came in.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// When the first content reached us, if any did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_at: Option<Timestamp>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// The organization.
    pub organization: OrganizationId,
    /// The end customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The tags.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub tags: SmallVec<[String; 2]>,
    /// The format it came in.
    pub format: Format,
    /// The model as requested.
    pub model: ModelName,
    /// Whether it was streamed.
    pub stream: bool,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// The stable code of its error, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What guardrails did, if they did anything.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub guardrails: GuardrailMarks,
    /// What the translation of the last attempt and of its answer dropped or approximated: see [`told_losses`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// The id that its answer has at the upstream, and where nothing is translated in its body, too: what it may be found by, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<str>>,
    /// The attempts, in order.
    pub attempts: SmallVec<[AttemptRecord; 1]>,
    /// What it cost the caller, all attempts together.
    pub spend: NanoUsd,
    /// Tokens of all attempts together.
    pub usage: Usage,
    /// What replay needs besides.
    pub replay: ReplayFacts,
}

/// No more losses are in a record.
const LOSSES_MAX: usize = 16;
/// No loss in a record is longer, in bytes.
const LOSS_BYTES_MAX: usize = 200;

/// Losses as a record keeps them: the first 16, each up to 200 bytes, and how many more there were.
// BOUND: a caller's odd fields, and their names, mustn't make a record long.
pub fn told_losses(losses: &[String]) -> Vec<String> {
    let cut = |loss: &String| match loss.len() <= LOSS_BYTES_MAX {
        true => loss.clone(),
        false => {
            let end = loss.floor_char_boundary(LOSS_BYTES_MAX - '…'.len_utf8());
            format!("{}…", loss.get(..end).unwrap_or_default())
        }
    };
    let mut told: Vec<_> = losses.iter().take(LOSSES_MAX).map(cut).collect();
    let more = losses.len().saturating_sub(LOSSES_MAX);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

/// Most records' JSON is no longer, in bytes.
const TYPICAL_BYTES: usize = 1_536;

/// What a database derives its columns and sums from: a record without what only replays and explanations need. The same
/// JSON is read as either.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordRow {
    /// See [`UsageRecord::call`].
    pub call: CallId,
    /// See [`UsageRecord::amends`].
    #[serde(default)]
    pub amends: Option<CallId>,
    /// See [`UsageRecord::started_at`].
    pub started_at: Timestamp,
    /// See [`UsageRecord::ended_at`].
    pub ended_at: Timestamp,
    /// See [`UsageRecord::first_byte_at`].
    #[serde(default)]
    pub first_byte_at: Option<Timestamp>,
    /// See [`UsageRecord::key`].
    #[serde(default)]
    pub key: Option<KeyId>,
    /// See [`UsageRecord::user`].
    #[serde(default)]
    pub user: Option<UserId>,
    /// See [`UsageRecord::group`].
    #[serde(default)]
    pub group: Option<GroupId>,
    /// See [`UsageRecord::organization`].
    pub organization: OrganizationId,
    /// See [`UsageRecord::customer`].
    #[serde(default)]
    pub customer: Option<String>,
    /// See [`UsageRecord::tags`].
    #[serde(default)]
    pub tags: SmallVec<[String; 2]>,
    /// See [`UsageRecord::model`].
    pub model: ModelName,
    /// See [`UsageRecord::stream`].
    pub stream: bool,
    /// See [`UsageRecord::outcome`].
    pub outcome: OutcomeClass,
    /// See [`UsageRecord::error`].
    #[serde(default)]
    pub error: Option<String>,
    /// The limit that the call's last refusal is due to, where it is one; not in a record read from its JSON.
    #[serde(skip)]
    pub denied_by: Option<DeniedBy>,
    /// See [`UsageRecord::answer`].
    #[serde(default)]
    pub answer: Option<Box<str>>,
    /// See [`UsageRecord::attempts`].
    pub attempts: SmallVec<[AttemptRow; 1]>,
    /// See [`UsageRecord::spend`].
    pub spend: NanoUsd,
    /// See [`UsageRecord::usage`].
    pub usage: Usage,
}

/// What kind of limit refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeniedBy {
    /// Whose limit.
    pub scope: ScopeKind,
    /// Of what.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
}

impl DeniedBy {
    /// The limit that refused a call, if it ended because of one.
    fn of(record: &UsageRecord) -> Option<Self> {
        let error = record.error.as_deref()?;
        if error != ErrorKind::InsufficientQuota.as_str() && error != ErrorKind::RateLimited.as_str() {
            return None;
        }
        record.replay.explanation.reasons().iter().rev().find_map(|step| match *step {
            Reason::Limit { scope, metric, window, ok: false, .. } => Some(Self { scope, metric, window }),
            _ => None,
        })
    }
}

/// What a database derives its sums from, of one attempt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AttemptRow {
    /// See [`AttemptRecord::channel`].
    pub channel: ChannelId,
    /// See [`AttemptRecord::model`].
    pub model: ModelName,
    /// See [`AttemptRecord::outcome`].
    pub outcome: OutcomeClass,
    /// See [`AttemptRecord::started_at`].
    pub started_at: Timestamp,
    /// See [`AttemptRecord::duration_ms`].
    pub duration_ms: u32,
    /// See [`AttemptRecord::spend`].
    pub spend: NanoUsd,
    /// See [`AttemptRecord::cost`].
    pub cost: NanoUsd,
    /// See [`AttemptRecord::usage`].
    pub usage: Usage,
}

impl From<UsageRecord> for RecordRow {
    fn from(record: UsageRecord) -> Self {
        let row = |it: AttemptRecord| AttemptRow {
            channel: it.channel,
            model: it.model,
            outcome: it.outcome,
            started_at: it.started_at,
            duration_ms: it.duration_ms,
            spend: it.spend,
            cost: it.cost,
            usage: it.usage,
        };
        Self {
            denied_by: DeniedBy::of(&record),
            call: record.call,
            amends: record.amends,
            started_at: record.started_at,
            ended_at: record.ended_at,
            first_byte_at: record.first_byte_at,
            key: record.key,
            user: record.user,
            group: record.group,
            organization: record.organization,
            customer: record.customer,
            tags: record.tags,
            model: record.model,
            stream: record.stream,
            outcome: record.outcome,
            error: record.error,
            answer: record.answer,
            attempts: record.attempts.into_iter().map(row).collect(),
            spend: record.spend,
            usage: record.usage,
        }
    }
}

/// A record as it waits for the database: its JSON, which is made once for all who keep it (the journal and the database),
/// and what columns and sums are derived from. Many may wait, so that the rest isn't kept twice.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordEntry {
    row: Box<RecordRow>,
    json: Arc<str>,
}

impl RecordEntry {
    /// A record read from this JSON.
    ///
    /// # Errors
    /// When it isn't the JSON of a record.
    pub fn read(json: &[u8]) -> serde_json::Result<Self> {
        let row = serde_json::from_slice(json)?;
        // INVARIANT: what serde_json has read is UTF-8.
        Ok(Self { row, json: String::from_utf8_lossy(json).into() })
    }

    /// Its JSON.
    pub fn json(&self) -> &Arc<str> {
        &self.json
    }

    /// The whole record.
    ///
    /// # Errors
    /// When what only replays need isn't as this version writes it.
    pub fn record(&self) -> serde_json::Result<UsageRecord> {
        serde_json::from_str(&self.json)
    }
}

impl From<UsageRecord> for RecordEntry {
    fn from(record: UsageRecord) -> Self {
        thread_local! {
            static WRITTEN: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(TYPICAL_BYTES));
        }
        let json = WRITTEN.with_borrow_mut(|json| {
            json.clear();
            // BOUND: one long record doesn't make every thread keep its size.
            json.shrink_to(4 * TYPICAL_BYTES);
            // INVARIANT: a record is strings and numbers, which always serialize, and as UTF-8.
            let written = crate::json::write(json, &record).is_ok();
            std::str::from_utf8(json).ok().filter(|_| written).unwrap_or_default().into()
        });
        Self { row: Box::new(record.into()), json }
    }
}

impl std::ops::Deref for RecordEntry {
    type Target = RecordRow;

    fn deref(&self) -> &RecordRow {
        &self.row
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The channel.
    pub channel: ChannelId,
    /// The model group that it was tried for: the requested one or a fallback.
    pub model: ModelName,
    /// The model as the upstream knows it.
    pub upstream_model: ModelName,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// The upstream's status; `None` without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it was sent.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The output ceiling that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<u64>,
    /// What was reserved, in nano-USD at the caller's prices.
    pub reserved: NanoUsd,
    /// What it cost the caller.
    pub spend: NanoUsd,
    /// What it costs at the list price, without the group's ratio.
    pub cost: NanoUsd,
    /// Whether the model had a price.
    pub priced: bool,
    /// The tier that it was charged at; `None` is the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// What its units and searches were charged as; `None` where nothing was known of them. A record that a start wrote for a process that
    /// ended before it doesn't have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<Variant>>,
    /// The currency that the price is in and the rate by which `cost` was booked in USD; `None` for a price in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// By which of the list price's rates it was charged; empty without a price. A record that a start wrote for a process that ended
    /// before it doesn't have them, and one that says what a held attempt came to neither.
    #[serde(default, skip_serializing_if = "UsedRates::is_empty")]
    pub rates: UsedRates,
    /// What it used.
    pub usage: Usage,
    /// Where that number came from.
    pub usage_source: UsageSource,
    /// Whether the upstream reported something that can't be right, which was told of and not charged. A record that a start wrote for a
    /// process that ended before it doesn't have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage_rejected: bool,
    /// Whether its outcome is unknown and its reservation held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The pause that the upstream asked for, in milliseconds, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With which of the channel's keys it was sent, from 0, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Whether its failure was that key's alone, and the channel had others left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_fault: bool,
}

/// What attempts used and cost the caller, all together.
pub(crate) fn totals(attempts: &[AttemptRecord]) -> (Usage, NanoUsd) {
    let total =
        |pick: fn(&Usage) -> u64| attempts.iter().fold(0u64, |sum, it| sum.saturating_add(pick(&it.usage)));
    let usage = Usage {
        input_uncached: total(|u| u.input_uncached),
        cache_read: total(|u| u.cache_read),
        cache_read_audio: total(|u| u.cache_read_audio),
        cache_read_image: total(|u| u.cache_read_image),
        cache_write: total(|u| u.cache_write),
        cache_write_1h: total(|u| u.cache_write_1h),
        audio_in: total(|u| u.audio_in),
        image_in: total(|u| u.image_in),
        output_visible: total(|u| u.output_visible),
        output_reasoning: total(|u| u.output_reasoning),
        audio_out: total(|u| u.audio_out),
        image_out: total(|u| u.image_out),
        searches: total(|u| u.searches),
        units: total(|u| u.units),
    };
    (usage, attempts.iter().fold(0, |sum: NanoUsd, it| sum.saturating_add(it.spend)))
}

/// What a replay of the decision needs besides the record it is in. What records of older versions lack is as if the call
/// hadn't had it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplayFacts {
    /// The call's seed: every random choice follows from it.
    pub seed: u64,
    /// The [digest](crate::Snapshot::digest) of the snapshot in force; of records of older versions its number.
    pub snapshot: u64,
    /// A digest of the policies in force; 0 without any.
    pub policy: u64,
    /// A digest of the candidates' health at the decision.
    pub health: u64,
    /// The bound on input tokens; `None` when it couldn't be bounded from the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bound: Option<u64>,
    /// What a translation may add to it.
    #[serde(skip_serializing_if = "is_default")]
    pub extra_translated: Translated,
    /// The media that it counts by the worst formula.
    #[serde(skip_serializing_if = "is_default")]
    pub media: Media,
    /// What tokenizers counted, where a limit made it worth the while.
    #[serde(skip_serializing_if = "is_default")]
    pub counted: Counted,
    /// Whether the prompt cache may be written; left out where it may not, as in most calls.
    #[serde(default = "no_writes", skip_serializing_if = "is_no_writes")]
    pub cache_writes: CacheWrites,
    /// The estimate of input tokens.
    pub input_estimate: u64,
    /// What the conversation is known by, where its body says so: `affinity` ranks by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<u64>,
    /// Whether signatures bound it to its channel.
    #[serde(skip_serializing_if = "is_default")]
    pub bound: bool,
    /// Whether it asked for what nothing bounds.
    #[serde(skip_serializing_if = "is_default")]
    pub open_ended: bool,
    /// The ceiling that the caller named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// What may be billed beyond the ceiling, in tokens for each choice.
    #[serde(skip_serializing_if = "is_default")]
    pub extra_output: u64,
    /// What may be billed besides tokens.
    #[serde(skip_serializing_if = "is_default")]
    pub units: u64,
    /// The least output that makes sense: a thinking budget plus 1,024, or 0.
    #[serde(skip_serializing_if = "is_default")]
    pub min_output: u64,
    /// What the call said of thinking.
    #[serde(skip_serializing_if = "is_default")]
    pub thinking: Thinking,
    /// How many choices were asked for.
    pub choices: u32,
    /// How many of them another format could be asked for, if fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated_choices: Option<u32>,
    /// What the call needed of a model.
    #[serde(skip_serializing_if = "is_default")]
    pub needs: Needs,
    /// The service tier that it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// The size and quality of the images that it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<Variant>>,
    /// What it was charged by, where its body named a model and it was passed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed: Option<Box<Billed>>,
    /// Where the caller connected from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
    /// How many of the record's tags, the first ones, the caller sent, where scripts or the key added others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_tags: Option<u32>,
    /// The caller's own fallbacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<ModelName>>,
    /// The failure that it staged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearse: Option<Rehearsal>,
    /// Whether its answer was made up, and no upstream asked.
    #[serde(skip_serializing_if = "is_default")]
    pub mock: bool,
    /// The price ratio, in parts per million.
    pub price_ratio_ppm: u32,
    /// Why it was decided so.
    pub explanation: Explanation,
}

fn no_writes() -> CacheWrites {
    CacheWrites::None
}

fn is_no_writes(writes: &CacheWrites) -> bool {
    *writes == CacheWrites::None
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_a_bounded_report_of_losses() {
        assert!(told_losses(&[]).is_empty());
        let long = format!("dropped {}: no place", "é".repeat(300));
        let told = told_losses(&vec![long; 40]);
        assert_eq!(told.len(), LOSSES_MAX + 1);
        let more: std::collections::BTreeSet<_> = [told[LOSSES_MAX].clone()].into();
        assert_eq!(more, crate::decision::told::messages_of("core/src/record.rs"));
        assert!(told.iter().all(|loss| loss.len() <= LOSS_BYTES_MAX) && told[0].ends_with('…'), "{told:?}");
    }
}
