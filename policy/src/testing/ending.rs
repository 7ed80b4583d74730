//! What a test lets happen to a call: an attempt that fails, or an end.

use rhai::{Dynamic, Map};
use sluicegate_core::channel::Channel;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::ids::ModelName;
use sluicegate_core::money::NanoUsd;
use sluicegate_core::ports::{AttemptView, UsageView};
use sluicegate_core::usage::Usage;

use super::field::{Fields, count, flag, name, ratio, texts};
use crate::run::Outcome;

/// What a failed attempt is made of, by the names that scripts read it under.
const ATTEMPT_FIELDS: [&str; 9] =
    ["channel", "provider", "tags", "model", "outcome", "status", "number", "elapsed_ms", "key_fault"];

/// The same of a call that is over.
const USAGE_FIELDS: [&str; 12] = [
    "channel",
    "provider",
    "tags",
    "model",
    "outcome",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "spend",
    "attempts",
    "latency_ms",
    "first_byte_ms",
];

/// A failed attempt that a test makes up.
pub(super) struct Failed {
    channel: Channel,
    model: ModelName,
    outcome: OutcomeClass,
    status: Option<u16>,
    number: u32,
    elapsed_ms: u64,
    key_fault: bool,
}

impl Failed {
    /// Reads it; `known` finds a channel that the test gives already.
    pub(super) fn read(
        map: Map,
        model: &ModelName,
        known: impl FnOnce(&str) -> Option<Channel>,
    ) -> Outcome<Self> {
        let mut fields = Fields::new("fail", map, &ATTEMPT_FIELDS)?;
        let outcome = read_outcome(&mut fields)?.unwrap_or(OutcomeClass::ServerError);
        if outcome.is_final() {
            let message =
                format!("`on_error` isn't asked after an attempt that ends as `{}`", outcome.as_str());
            return Err(message.into());
        }
        let status = fields
            .take("status", "a number such as 503", |value| u16::try_from(value.as_int().ok()?).ok())?;
        Ok(Self {
            channel: read_channel(&mut fields, known)?
                .unwrap_or_else(|| Channel::new("channel".to_owned(), "channel".to_owned(), "provider")),
            model: fields.take("model", "a text", name)?.map_or_else(|| model.clone(), ModelName::from),
            outcome,
            status,
            number: read_small(&mut fields, "number")?.unwrap_or(1),
            elapsed_ms: read_count(&mut fields, "elapsed_ms")?.unwrap_or(0),
            key_fault: fields.take("key_fault", "true or false", flag)?.unwrap_or(false),
        })
    }

    pub(super) fn view(&self) -> AttemptView<'_> {
        AttemptView {
            channel: &self.channel,
            model: &self.model,
            outcome: self.outcome,
            status: self.status,
            number: self.number,
            elapsed_ms: self.elapsed_ms,
            key_fault: self.key_fault,
        }
    }
}

/// What a call came to, as a test makes it up.
pub(super) struct Ended {
    channel: Option<Channel>,
    model: ModelName,
    outcome: OutcomeClass,
    usage: Usage,
    spend: NanoUsd,
    attempts: u32,
    latency_ms: u64,
    first_byte_ms: Option<u64>,
}

impl Ended {
    /// Reads it; `known` finds a channel that the test gives already.
    pub(super) fn read(
        map: Map,
        model: &ModelName,
        known: impl FnOnce(&str) -> Option<Channel>,
    ) -> Outcome<Self> {
        let mut fields = Fields::new("end", map, &USAGE_FIELDS)?;
        let cached = read_count(&mut fields, "cached_tokens")?.unwrap_or(0);
        let input = read_count(&mut fields, "input_tokens")?.unwrap_or(cached);
        Ok(Self {
            channel: read_channel(&mut fields, known)?,
            model: fields.take("model", "a text", name)?.map_or_else(|| model.clone(), ModelName::from),
            outcome: read_outcome(&mut fields)?.unwrap_or(OutcomeClass::Ok),
            usage: Usage {
                input_uncached: input.saturating_sub(cached),
                cache_read: cached,
                output_visible: read_count(&mut fields, "output_tokens")?.unwrap_or(0),
                ..Usage::default()
            },
            spend: fields
                .take("spend", "an amount of USD such as 0.25", |value| {
                    ratio(value).map(|usd| (usd * 1e9).round() as NanoUsd)
                })?
                .unwrap_or(0),
            attempts: read_small(&mut fields, "attempts")?.unwrap_or(1),
            latency_ms: read_count(&mut fields, "latency_ms")?.unwrap_or(0),
            first_byte_ms: read_count(&mut fields, "first_byte_ms")?,
        })
    }

    pub(super) fn view(&self) -> UsageView<'_> {
        UsageView {
            usage: &self.usage,
            spend: self.spend,
            attempts: self.attempts,
            outcome: self.outcome,
            latency_ms: self.latency_ms,
            first_byte_ms: self.first_byte_ms,
            channel: self.channel.as_ref(),
            model: &self.model,
        }
    }
}

fn read_outcome(fields: &mut Fields) -> Outcome<Option<OutcomeClass>> {
    fields.take("outcome", "the name of an outcome such as \"rate_limited\"", |value| {
        let word = value.into_immutable_string().ok()?;
        OutcomeClass::ALL.into_iter().find(|outcome| outcome.as_str() == word.as_str())
    })
}

/// A channel by its name, with what else is said of it.
fn read_channel(
    fields: &mut Fields,
    known: impl FnOnce(&str) -> Option<Channel>,
) -> Outcome<Option<Channel>> {
    let called = fields.take("channel", "a text", name)?;
    let provider = fields.take("provider", "a text", name)?;
    let tags = fields.take("tags", "an array of texts", texts)?;
    if called.is_none() && provider.is_none() && tags.is_none() {
        return Ok(None);
    }
    let called = called.unwrap_or_else(|| "channel".to_owned());
    let mut channel = known(&called).unwrap_or_else(|| Channel::new(called.clone(), called, "provider"));
    if let Some(provider) = provider {
        channel.provider = provider.into();
    }
    if let Some(tags) = tags {
        channel.tags = tags;
    }
    Ok(Some(channel))
}

fn read_count(fields: &mut Fields, name: &str) -> Outcome<Option<u64>> {
    fields.take(name, "a whole number from 0", count)
}

fn read_small(fields: &mut Fields, name: &str) -> Outcome<Option<u32>> {
    fields.take(name, "a whole number from 0", |value: Dynamic| u32::try_from(value.as_int().ok()?).ok())
}
