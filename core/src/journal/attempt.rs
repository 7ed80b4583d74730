//! What identifies an attempt, and how it ended, in few bytes: enough to write its call's usage record when whoever made
//! the call is gone.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::varint::{Reader, put, put_bytes, put_signed};
use crate::call::Format;
use crate::decision::OutcomeClass;
use crate::ids::{CallId, ChannelId, GroupId, KeyId, ModelName, OrganizationId, UserId};
use crate::ledger::Amounts;
use crate::price::{Currency, Exchange, ServiceTier, UsedRates};
use crate::record::{AttemptRecord, ReplayFacts, UsageRecord, totals};
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

/// The error code of a record that was written by a start, because the process that made the call ended before it could.
pub const INTERRUPTED: &str = "interrupted";

/// What an attempt is, from what its host has at hand. Written without allocation.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFacts<'a> {
    /// Counts from 1 within the call.
    pub number: u32,
    /// When the call came in.
    pub admitted_at: Timestamp,
    /// The format that it came in.
    pub format: Format,
    /// Whether it is streamed.
    pub stream: bool,
    /// The model as requested.
    pub requested: &'a str,
    /// The organization, and below who calls.
    pub organization: &'a str,
    /// The key.
    pub key: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
    /// The group.
    pub group: Option<&'a str>,
    /// The end customer.
    pub customer: Option<&'a str>,
    /// The call's tags, and the key's; those in both are written once.
    pub tags: [&'a [String]; 2],
    /// The call's seed.
    pub seed: u64,
    /// The snapshot's version.
    pub snapshot: u64,
    /// The bound on input tokens, where the body gives one.
    pub input_bound: Option<u64>,
    /// The estimate of input tokens.
    pub input_estimate: u64,
    /// The ceiling that the caller named.
    pub max_output: Option<u64>,
    /// How many choices were asked for.
    pub choices: u32,
    /// What the call costs relative to the price list, in parts per million.
    pub price_ratio_ppm: u32,
    /// The channel.
    pub channel: &'a str,
    /// The model group that it is for: the requested one or a fallback.
    pub model: &'a str,
    /// The name that goes upstream.
    pub upstream_model: &'a str,
    /// The output ceiling that is sent.
    pub ceiling: Option<u64>,
    /// What it may use at most, at the caller's prices.
    pub bound: Amounts,
    /// What it may cost at most at the list price, in nano-USD.
    pub bound_cost: i64,
    /// Whether the model has a price.
    pub priced: bool,
}

/// An attempt as a journal or a reservation tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Counts from 1 within the call.
    pub number: u32,
    /// When it was reserved for.
    pub started_at: Timestamp,
    /// When the call came in.
    pub admitted_at: Timestamp,
    /// The format that it came in.
    pub format: Format,
    /// Whether it is streamed.
    pub stream: bool,
    /// The model as requested.
    pub requested: ModelName,
    /// The organization.
    pub organization: OrganizationId,
    /// The key.
    pub key: Option<KeyId>,
    /// The user.
    pub user: Option<UserId>,
    /// The group.
    pub group: Option<GroupId>,
    /// The end customer.
    pub customer: Option<String>,
    /// The tags.
    pub tags: SmallVec<[String; 2]>,
    /// The call's seed.
    pub seed: u64,
    /// The snapshot's version.
    pub snapshot: u64,
    /// The bound on input tokens, where the body gave one.
    pub input_bound: Option<u64>,
    /// The estimate of input tokens.
    pub input_estimate: u64,
    /// The ceiling that the caller named.
    pub max_output: Option<u64>,
    /// How many choices were asked for.
    pub choices: u32,
    /// What the call costs relative to the price list, in parts per million.
    pub price_ratio_ppm: u32,
    /// The channel.
    pub channel: ChannelId,
    /// The model group that it is for.
    pub model: ModelName,
    /// The name that went upstream.
    pub upstream_model: ModelName,
    /// The output ceiling that was sent.
    pub ceiling: Option<u64>,
    /// What it may use at most, at the caller's prices.
    pub bound: Amounts,
    /// What it may cost at most at the list price, in nano-USD.
    pub bound_cost: i64,
    /// Whether the model has a price.
    pub priced: bool,
}

/// How an attempt ended, and what it was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub class: OutcomeClass,
    /// The upstream's status; `None` without an answer.
    pub status: Option<u16>,
    /// What it used.
    pub usage: Usage,
    /// Where that number came from.
    pub source: UsageSource,
    /// What it cost the caller, in nano-USD.
    pub spend: i64,
    /// What it costs at the list price, in nano-USD.
    pub cost: i64,
    /// The tier that it was charged at; `None` is the standard one.
    pub service_tier: Option<ServiceTier>,
    /// The currency that the price is in and the rate by which `cost` was booked; `None` for USD.
    pub exchange: Option<Exchange>,
    /// When.
    pub at: Timestamp,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended.
    Ended(Ending),
    /// Nobody knows, since then; how its host saw it end, if it did.
    Held(Timestamp, Option<OutcomeClass>),
}

impl AttemptFacts<'_> {
    /// Writes it, as one that is reserved for at `at`.
    pub(crate) fn put(&self, at: Timestamp, out: &mut Vec<u8>) {
        out.reserve(256);
        out.push(u8::from(self.stream) | u8::from(self.priced) << 1);
        out.push(self.format as u8);
        put(out, u64::from(self.number));
        put_signed(out, at.as_ms());
        put_signed(out, at.as_ms().wrapping_sub(self.admitted_at.as_ms()));
        out.extend_from_slice(&self.seed.to_le_bytes());
        put(out, self.snapshot);
        put(out, u64::from(self.choices));
        put(out, u64::from(self.price_ratio_ppm));
        put(out, self.input_estimate);
        for number in [self.input_bound, self.max_output, self.ceiling] {
            put(out, number.map_or(0, |number| number.saturating_add(1)));
        }
        for amount in [self.bound.input_tokens, self.bound.output_tokens, self.bound.spend, self.bound_cost] {
            put_signed(out, amount);
        }
        put_bytes(out, self.requested.as_bytes());
        put_unless(out, self.model, self.requested);
        put_unless(out, self.upstream_model, self.model);
        put_bytes(out, self.channel.as_bytes());
        put_bytes(out, self.organization.as_bytes());
        for name in [self.key, self.user, self.group, self.customer] {
            put(out, name.map_or(0, |name| name.len() as u64 + 1));
            out.extend_from_slice(name.unwrap_or_default().as_bytes());
        }
        let [own, keys] = self.tags;
        let keys = || keys.iter().filter(|tag| !own.contains(tag));
        put(out, (own.len() + keys().count()) as u64);
        own.iter().chain(keys()).for_each(|tag| put_bytes(out, tag.as_bytes()));
    }
}

/// A name that mostly is the same as another.
fn put_unless(out: &mut Vec<u8>, name: &str, other: &str) {
    put_bytes(out, if name == other { "" } else { name }.as_bytes());
}

impl Tried {
    /// Reads what [`AttemptFacts`] wrote; `None` when it isn't that.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let (flags, format) = (from.byte()?, *FORMATS.get(usize::from(from.byte()?))?);
        let number = u32::try_from(from.number()?).ok()?;
        let (at, since) = (from.signed()?, from.signed()?);
        let (seed, rest) = from.0.split_first_chunk::<8>()?;
        from.0 = rest;
        let (snapshot, choices, ratio) = (from.number()?, from.number()?, from.number()?);
        let input_estimate = from.number()?;
        let mut maybe = || from.number().map(|number| number.checked_sub(1));
        let (input_bound, max_output, ceiling) = (maybe()?, maybe()?, maybe()?);
        let bound =
            Amounts { input_tokens: from.signed()?, output_tokens: from.signed()?, spend: from.signed()? };
        let bound_cost = from.signed()?;
        let requested = from.text()?;
        let or = |name: &'_ str, other: &'_ str| ModelName::from(if name.is_empty() { other } else { name });
        let model = or(from.text()?, requested);
        let upstream_model = or(from.text()?, model.as_str());
        let (channel, organization) = (from.text()?.into(), from.text()?.into());
        let (key, user, group, customer) =
            (from.maybe_text()?, from.maybe_text()?, from.maybe_text()?, from.maybe_text()?);
        let tags = (0..from.count()?).map(|_| from.text().map(str::to_owned)).collect::<Option<_>>()?;
        Some(Self {
            number,
            started_at: Timestamp::from_ms(at),
            admitted_at: Timestamp::from_ms(at.wrapping_sub(since)),
            format,
            stream: flags & 1 != 0,
            requested: requested.into(),
            organization,
            key: key.map(KeyId::from),
            user: user.map(UserId::from),
            group: group.map(GroupId::from),
            customer: customer.map(str::to_owned),
            tags,
            seed: u64::from_le_bytes(*seed),
            snapshot,
            input_bound,
            input_estimate,
            max_output,
            choices: u32::try_from(choices).ok()?,
            price_ratio_ppm: u32::try_from(ratio).ok()?,
            channel,
            model,
            upstream_model,
            ceiling,
            bound,
            bound_cost,
            priced: flags & 2 != 0,
        })
    }

    /// What it was made of.
    pub(crate) fn facts(&self) -> AttemptFacts<'_> {
        AttemptFacts {
            number: self.number,
            admitted_at: self.admitted_at,
            format: self.format,
            stream: self.stream,
            requested: self.requested.as_str(),
            organization: self.organization.as_str(),
            key: self.key.as_ref().map(KeyId::as_str),
            user: self.user.as_ref().map(UserId::as_str),
            group: self.group.as_ref().map(GroupId::as_str),
            customer: self.customer.as_deref(),
            tags: [&self.tags, &[]],
            seed: self.seed,
            snapshot: self.snapshot,
            input_bound: self.input_bound,
            input_estimate: self.input_estimate,
            max_output: self.max_output,
            choices: self.choices,
            price_ratio_ppm: self.price_ratio_ppm,
            channel: self.channel.as_str(),
            model: self.model.as_str(),
            upstream_model: self.upstream_model.as_str(),
            ceiling: self.ceiling,
            bound: self.bound,
            bound_cost: self.bound_cost,
            priced: self.priced,
        }
    }

    /// Its part of a record.
    fn record(&self, fate: Fate) -> AttemptRecord {
        let (ending, held) = match fate {
            Fate::Ended(ending) => (ending, false),
            Fate::Held(at, class) => (unknown(at, class), true),
        };
        AttemptRecord {
            channel: self.channel.clone(),
            model: self.model.clone(),
            upstream_model: self.upstream_model.clone(),
            outcome: ending.class,
            status: ending.status,
            started_at: self.started_at,
            duration_ms: u32::try_from(ending.at.since_ms(self.started_at).max(0)).unwrap_or(u32::MAX),
            ceiling: self.ceiling,
            reserved: self.bound.spend,
            spend: ending.spend,
            cost: ending.cost,
            priced: self.priced,
            service_tier: ending.service_tier,
            variant: None,
            exchange: ending.exchange,
            rates: UsedRates::default(),
            usage: ending.usage,
            usage_source: ending.source,
            held,
            usage_rejected: false,
            retry_after_ms: None,
            key: None,
            key_fault: false,
        }
    }
}

/// An attempt of which nobody knows how it ended is charged nothing until somebody finds out.
fn unknown(at: Timestamp, class: Option<OutcomeClass>) -> Ending {
    Ending {
        class: class.unwrap_or(OutcomeClass::Timeout),
        status: None,
        usage: Usage::default(),
        source: UsageSource::None,
        spend: 0,
        cost: 0,
        service_tier: None,
        exchange: None,
        at,
    }
}

/// The id of the record that says what a held attempt came to, once that is known: its call's own record is written, and
/// records are never changed.
pub fn amendment_id(call: &CallId, number: u32) -> CallId {
    CallId::from(format!("{call}~{number}"))
}

/// The record of a call that nobody else can write any more, marked [`INTERRUPTED`]; or, when it `amends` the record of a
/// call, what that call's held attempts came to. `None` without attempts.
pub fn record_of(
    call: CallId,
    amends: Option<CallId>,
    mut attempts: Vec<(Tried, Fate)>,
) -> Option<UsageRecord> {
    attempts.sort_by_key(|(tried, _)| tried.number);
    let (first, _) = attempts.first()?;
    let records: SmallVec<[AttemptRecord; 1]> =
        attempts.iter().map(|(tried, fate)| tried.record(*fate)).collect();
    let (usage, spend) = totals(&records);
    let ended_at = |record: &AttemptRecord| record.started_at.plus_ms(i64::from(record.duration_ms));
    Some(UsageRecord {
        answer: None,
        call,
        amends: amends.clone(),
        started_at: first.admitted_at,
        ended_at: records.iter().map(ended_at).max().unwrap_or(first.started_at),
        first_byte_at: None,
        key: first.key.clone(),
        user: first.user.clone(),
        group: first.group.clone(),
        organization: first.organization.clone(),
        customer: first.customer.clone(),
        tags: first.tags.clone(),
        format: first.format,
        model: first.requested.clone(),
        stream: first.stream,
        outcome: records.last().map_or(OutcomeClass::Timeout, |last| last.outcome),
        error: amends.is_none().then(|| INTERRUPTED.to_owned()),
        guardrails: crate::guardrail::GuardrailMarks::new(),
        losses: Vec::new(),
        spend,
        usage,
        replay: ReplayFacts {
            seed: first.seed,
            snapshot: first.snapshot,
            input_bound: first.input_bound,
            input_estimate: first.input_estimate,
            max_output: first.max_output,
            choices: first.choices,
            price_ratio_ppm: first.price_ratio_ppm,
            ..ReplayFacts::default()
        },
        attempts: records,
    })
}

pub(super) fn put_ending(out: &mut Vec<u8>, ending: &Ending) {
    let rare = Rare::of(ending);
    let cached = [ending.usage.cache_read_audio, ending.usage.cache_read_image];
    let has_cached = cached.iter().any(|n| *n > 0);
    out.push(ending.class as u8);
    let flags = if rare.is_some() { RARE } else { 0 } | if has_cached { CACHED } else { 0 };
    out.push(ending.source as u8 | flags);
    put(out, u64::from(ending.status.unwrap_or(0)));
    put_signed(out, ending.spend);
    put_signed(out, ending.cost);
    put_signed(out, ending.at.as_ms());
    // Most buckets are empty: a bit for each that isn't, then those.
    let buckets = buckets(&ending.usage);
    let used = buckets.iter().enumerate().map(|(at, n)| u8::from(*n > 0) << at);
    out.push(used.fold(0, |bits, bit| bits | bit));
    buckets.iter().filter(|n| **n > 0).for_each(|n| put(out, *n));
    if let Some(Rare { counts, tier, exchange }) = rare {
        counts.iter().for_each(|n| put(out, *n));
        put(out, tier);
        put(out, exchange.map_or(0, |exchange| exchange.per_usd_ppm.max(1)));
        if let Some(exchange) = exchange {
            out.extend_from_slice(exchange.currency.as_str().as_bytes());
        }
    }
    if has_cached {
        cached.iter().for_each(|n| put(out, *n));
    }
}

/// Beside the source of an ending that has more than most.
const RARE: u8 = 0x80;
/// Likewise, of one with sound or images from a prompt cache: how many tokens follow last. Journals of versions that didn't count them
/// don't have it.
const CACHED: u8 = 0x40;

/// What few endings have.
struct Rare {
    counts: [u64; 4],
    /// One more than the tier's place among those that are served, or 0.
    tier: u64,
    exchange: Option<Exchange>,
}

impl Rare {
    fn of(ending: &Ending) -> Option<Self> {
        let Ending { usage, service_tier, exchange, .. } = ending;
        let counts = [usage.image_in, usage.image_out, usage.searches, usage.units];
        let place = |tier| ServiceTier::SERVED.iter().position(|it| *it == tier);
        let tier = service_tier.and_then(place).map_or(0, |at| at as u64 + 1);
        let is_rare = counts.iter().any(|n| *n > 0) || tier > 0 || exchange.is_some();
        is_rare.then_some(Self { counts, tier, exchange: *exchange })
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let counts = [from.number()?, from.number()?, from.number()?, from.number()?];
        let tier = from.number()?;
        let exchange = match from.number()? {
            0 => None,
            per_usd_ppm => {
                let (code, rest) = from.0.split_first_chunk::<3>()?;
                from.0 = rest;
                let currency = Currency::of_code(std::str::from_utf8(code).ok()?)?;
                Some(Exchange { currency, per_usd_ppm })
            }
        };
        Some(Self { counts, tier, exchange })
    }

    fn service_tier(&self) -> Option<Option<ServiceTier>> {
        match self.tier.checked_sub(1) {
            None => Some(None),
            Some(at) => ServiceTier::SERVED.get(usize::try_from(at).ok()?).copied().map(Some),
        }
    }
}

pub(super) fn ending(from: &mut Reader<'_>) -> Option<Ending> {
    let class = class_of(from.byte()?)?;
    let source = from.byte()?;
    let (is_rare, has_cached) = (source & RARE != 0, source & CACHED != 0);
    let source = *SOURCES.get(usize::from(source & !(RARE | CACHED)))?;
    let status = u16::try_from(from.number()?).ok()?;
    let (spend, cost, at) = (from.signed()?, from.signed()?, from.signed()?);
    let used = from.byte()?;
    let mut bucket = |at: u8| if used >> at & 1 == 1 { from.number() } else { Some(0) };
    let mut usage = Usage {
        input_uncached: bucket(0)?,
        cache_read: bucket(1)?,
        cache_write: bucket(2)?,
        cache_write_1h: bucket(3)?,
        audio_in: bucket(4)?,
        output_visible: bucket(5)?,
        output_reasoning: bucket(6)?,
        audio_out: bucket(7)?,
        ..Usage::default()
    };
    let rare = if is_rare { Some(Rare::read(from)?) } else { None };
    let (mut service_tier, mut exchange) = (None, None);
    if let Some(rare) = rare {
        [usage.image_in, usage.image_out, usage.searches, usage.units] = rare.counts;
        (service_tier, exchange) = (rare.service_tier()?, rare.exchange);
    }
    if has_cached {
        (usage.cache_read_audio, usage.cache_read_image) = (from.number()?, from.number()?);
    }
    let status = Some(status).filter(|status| *status > 0);
    let at = Timestamp::from_ms(at);
    Some(Ending { class, status, usage, source, spend, cost, service_tier, exchange, at })
}

/// A class, or that there is none, in a byte.
pub(super) fn put_class(out: &mut Vec<u8>, class: Option<OutcomeClass>) {
    out.push(class.map_or(0, |class| class as u8 + 1));
}

pub(super) fn maybe_class(from: &mut Reader<'_>) -> Option<Option<OutcomeClass>> {
    match from.byte()? {
        0 => Some(None),
        byte => class_of(byte - 1).map(Some),
    }
}

fn class_of(byte: u8) -> Option<OutcomeClass> {
    OutcomeClass::ALL.get(usize::from(byte)).copied()
}

fn buckets(usage: &Usage) -> [u64; 8] {
    [
        usage.input_uncached,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_1h,
        usage.audio_in,
        usage.output_visible,
        usage.output_reasoning,
        usage.audio_out,
    ]
}

// INVARIANT: written as the places that they have here; new ones come at the end.
const FORMATS: [Format; 21] = [
    Format::OpenaiChat,
    Format::OpenaiEmbeddings,
    Format::AnthropicMessages,
    Format::GeminiGenerate,
    Format::OpenaiResponses,
    Format::OpenaiCompletions,
    Format::OpenaiImages,
    Format::OpenaiImageEdits,
    Format::OpenaiImageVariations,
    Format::OpenaiSpeech,
    Format::OpenaiTranscriptions,
    Format::OpenaiTranslations,
    Format::OpenaiModerations,
    Format::Rerank,
    Format::AnthropicCountTokens,
    Format::PassThrough,
    Format::CohereChat,
    Format::OllamaChat,
    Format::GeminiCountTokens,
    Format::OpenaiInputTokens,
    Format::OpenaiCompact,
];
const SOURCES: [UsageSource; 3] = [UsageSource::Reported, UsageSource::Counted, UsageSource::None];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_written_where_there_are_any() {
        let of = |units| Ending {
            class: OutcomeClass::Ok,
            status: Some(200),
            usage: Usage { input_uncached: 7, units, ..Usage::default() },
            source: UsageSource::Counted,
            spend: 1,
            cost: 2,
            service_tier: None,
            exchange: None,
            at: Timestamp::from_ms(3),
        };
        let written = |units| {
            let mut out = Vec::new();
            put_ending(&mut out, &of(units));
            out
        };
        for units in [0, 5, u64::MAX] {
            let read = ending(&mut Reader(&written(units))).unwrap();
            assert_eq!((read.usage, read.source), (of(units).usage, UsageSource::Counted));
        }
        // Beside them: three other counts, the tier and the exchange.
        assert_eq!(written(0).len() + 6, written(5).len());
    }

    #[test]
    fn sound_and_images_from_a_cache_are_written_where_there_are_any() {
        let of = |cache_read_audio, cache_read_image, units| Ending {
            class: OutcomeClass::Ok,
            status: Some(200),
            usage: Usage { cache_read: 7, cache_read_audio, cache_read_image, units, ..Usage::default() },
            source: UsageSource::Reported,
            spend: 1,
            cost: 2,
            service_tier: None,
            exchange: None,
            at: Timestamp::from_ms(3),
        };
        for (audio, image, units) in [(0, 0, 0), (5, 0, 0), (0, 300, 0), (1, u64::MAX, 9)] {
            let mut out = Vec::new();
            put_ending(&mut out, &of(audio, image, units));
            // What an older version wrote has neither bit, and reads as it did.
            assert_eq!(out[1] & CACHED != 0, audio > 0 || image > 0);
            let mut from = Reader(&out);
            assert_eq!(ending(&mut from), Some(of(audio, image, units)));
            assert!(from.0.is_empty());
        }
    }

    #[test]
    fn words_are_written_as_their_places() {
        assert!((0u8..).zip(OutcomeClass::ALL).all(|(at, class)| class as u8 == at));
        assert!((0u8..).zip(FORMATS).all(|(at, format)| format as u8 == at));
        assert!((0u8..).zip(SOURCES).all(|(at, source)| source as u8 == at));
    }
}
