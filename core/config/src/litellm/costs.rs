//! Costs as LiteLLM names them, in its files and in its price map: USD per token, by what of, for how long a prompt and at
//! which service tier, as in `cache_read_input_token_cost_above_200k_tokens_priority`.

use sluicegate_core::money::PicoUsd;
use sluicegate_core::price::{Price, PriceTier, SearchPrice, ServiceTier};

use crate::pricing::{self, Written};
use crate::quantity::parse_usd;
use crate::reader::{Item, Load};

/// What LiteLLM adds to a name for each tier.
const TIERS: [(&str, ServiceTier); 4] = [
    ("_batches", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
    ("_ultrafast", ServiceTier::Ultrafast),
];

/// What a cost is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    AudioIn,
    AudioOut,
    ImageIn,
    ImageOut,
    CachedAudioIn,
    CachedImageIn,
    /// What isn't counted in tokens: a model has one such cost, by its mode.
    Unit,
    Request,
}

impl Of {
    /// Whether prices for long prompts have it.
    const fn is_in_steps(self) -> bool {
        matches!(
            self,
            Of::Input | Of::Output | Of::CacheRead | Of::CacheWrite | Of::CacheWrite1h | Of::Reasoning
        )
    }
}

/// A cost's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    of: Of,
    above: u64,
    tier: ServiceTier,
}

/// Takes a name apart; `None` for one that is no cost of ours.
fn cost(name: &str) -> Option<Cost> {
    let of_tier = TIERS.iter().find_map(|(end, tier)| Some((name.strip_suffix(end)?, *tier)));
    let (name, tier) = of_tier.unwrap_or((name, ServiceTier::Standard));
    let (mut name, mut above) = (name, 0);
    if let Some((rest, thousands)) =
        name.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_"))
    {
        (name, above) = (rest, thousands.parse::<u32>().ok().filter(|n| *n > 0)?);
    }
    let of = match name {
        "input_cost_per_token" => Of::Input,
        "output_cost_per_token" => Of::Output,
        "cache_read_input_token_cost" => Of::CacheRead,
        "cache_creation_input_token_cost" => Of::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Of::CacheWrite1h,
        "output_cost_per_reasoning_token" => Of::Reasoning,
        "input_cost_per_audio_token" => Of::AudioIn,
        "output_cost_per_audio_token" => Of::AudioOut,
        "input_cost_per_image_token" => Of::ImageIn,
        "output_cost_per_image_token" => Of::ImageOut,
        "cache_read_input_audio_token_cost" | "cache_read_input_token_cost_per_audio_token" => {
            Of::CachedAudioIn
        }
        "cache_read_input_image_token_cost" => Of::CachedImageIn,
        "input_cost_per_second"
        | "input_cost_per_character"
        | "output_cost_per_image"
        | "input_cost_per_image"
        | "input_cost_per_query" => Of::Unit,
        "input_cost_per_request" => Of::Request,
        _ => return None,
    };
    (above == 0 || of.is_in_steps()).then_some(Cost { of, above: u64::from(above) * 1_000, tier })
}

/// Whether this is the name of a cost that is read.
pub(crate) fn is_cost(name: &str) -> bool {
    cost(name).is_some() || matches!(name, "search_context_cost_per_query" | "tiered_pricing")
}

/// Whether this is the name of a cost of what isn't counted in tokens.
pub(crate) fn is_unit(name: &str) -> bool {
    cost(name).is_some_and(|cost| cost.of == Of::Unit)
}

/// The costs among these settings; `None` when there are none. Of a name that stands twice the first one counts.
pub(crate) fn read<'n>(
    load: &mut Load<'_>,
    settings: impl Iterator<Item = (&'n str, Item<'n>)>,
) -> Option<Written> {
    let mut own = Written::default();
    let mut tiers: Vec<(ServiceTier, Written)> = Vec::new();
    let mut found = false;
    for (name, item) in settings {
        if name == "search_context_cost_per_query" {
            let sizes = searches(load, &item);
            found |= !sizes.is_empty();
            // An answer that doesn't say how much was read may have read the most.
            own.per_search = own.per_search.or(sizes.iter().map(|own| own.fee_nano_usd).max());
            let differ = sizes.windows(2).any(|pair| match pair {
                [one, other] => one.fee_nano_usd != other.fee_nano_usd,
                _ => false,
            });
            own.search_sizes = own.search_sizes.take().or(Some(sizes).filter(|_| differ));
            continue;
        }
        if name == "tiered_pricing" {
            found |= ranges(load, &item, &mut own);
            continue;
        }
        let Some(Cost { of, above, tier }) = cost(name) else { continue };
        let into = match tiers.iter().position(|(known, _)| *known == tier) {
            _ if tier == ServiceTier::Standard => &mut own,
            Some(at) => match tiers.get_mut(at) {
                Some((_, into)) => into,
                None => continue,
            },
            None => {
                tiers.push((tier, Written::default()));
                match tiers.last_mut() {
                    Some((_, into)) => into,
                    None => continue,
                }
            }
        };
        if of == Of::Request {
            let fee = item.parsed(load, "an amount of USD", |text| parse_usd(text).ok());
            found |= fee.is_some();
            into.per_request = into.per_request.or(fee);
            continue;
        }
        let rate = item.decimal(load, 12);
        found |= rate.is_some();
        put(into, of, above, rate);
    }
    pricing::sort_tiers(&mut own.rates.tiers);
    tiers.iter_mut().for_each(|(_, tier)| pricing::sort_tiers(&mut tier.rates.tiers));
    own.service_tiers = (!tiers.is_empty()).then_some(tiers);
    found.then_some(own)
}

fn put(into: &mut Written, of: Of, above: u64, rate: Option<PicoUsd>) {
    if above == 0 {
        let Price { input, output, cache_read, cache_write, .. } = &mut into.rates;
        let place = match of {
            Of::Input => input,
            Of::Output => output,
            Of::CacheRead => cache_read,
            Of::CacheWrite => cache_write,
            Of::CacheWrite1h => &mut into.rates.cache_write_1h,
            Of::Reasoning => &mut into.rates.output_reasoning,
            Of::AudioIn => &mut into.rates.audio_in,
            Of::AudioOut => &mut into.rates.audio_out,
            Of::ImageIn => &mut into.image_in,
            Of::ImageOut => &mut into.image_out,
            Of::CachedAudioIn => &mut into.cached_audio_in,
            Of::CachedImageIn => &mut into.cached_image_in,
            Of::Unit => &mut into.rates.per_unit,
            Of::Request => return,
        };
        *place = place.or(rate);
        return;
    }
    into.has_tiers = true;
    let tiers = &mut into.rates.tiers;
    let at = tiers.iter().position(|tier| tier.above_input_tokens == above).unwrap_or_else(|| {
        tiers.push(PriceTier { above_input_tokens: above, ..PriceTier::default() });
        tiers.len() - 1
    });
    let Some(tier) = tiers.get_mut(at) else { return };
    let place = match of {
        Of::Input => &mut tier.input,
        Of::Output => &mut tier.output,
        Of::CacheRead => &mut tier.cache_read,
        Of::CacheWrite => &mut tier.cache_write,
        Of::CacheWrite1h => &mut tier.cache_write_1h,
        Of::Reasoning => &mut tier.output_reasoning,
        // INVARIANT: no such name has a bound.
        Of::AudioIn
        | Of::AudioOut
        | Of::ImageIn
        | Of::ImageOut
        | Of::CachedAudioIn
        | Of::CachedImageIn
        | Of::Unit
        | Of::Request => return,
    };
    *place = place.or(rate);
}

/// Costs by ranges of the prompt's length: `{range: [0, 32000], input_cost_per_token: …}`.
fn ranges(load: &mut Load<'_>, item: &Item<'_>, own: &mut Written) -> bool {
    let mut found = false;
    for range in item.list(load) {
        if !range.is_map(load) {
            continue;
        }
        let from = range.children().find(|(name, _)| *name == "range").and_then(|(_, bounds)| {
            let bounds = bounds.list(load);
            bounds.first()?.unsigned(load)
        });
        for (name, child) in range.children() {
            if let Some(Cost { of, above: 0, tier: ServiceTier::Standard }) = cost(name) {
                let rate = child.decimal(load, 12);
                found |= rate.is_some();
                put(own, of, from.unwrap_or(0), rate);
            }
        }
    }
    found
}

/// What a search costs, by the sizes of context that one may have: `{search_context_size_low: …}`.
fn searches(load: &mut Load<'_>, item: &Item<'_>) -> Vec<SearchPrice> {
    if !item.is_map(load) {
        return Vec::new();
    }
    let read = |(name, child): (&str, Item<'_>)| {
        let fee_nano_usd = child.parsed(load, "an amount of USD", |text| parse_usd(text).ok())?;
        let size = name.strip_prefix("search_context_size_").unwrap_or(name);
        Some(SearchPrice { size: size.into(), fee_nano_usd })
    };
    item.children().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let some = |of, above, tier| Some(Cost { of, above, tier });
        for (name, want) in [
            ("input_cost_per_token", some(Of::Input, 0, ServiceTier::Standard)),
            ("output_cost_per_token_above_128k_tokens", some(Of::Output, 128_000, ServiceTier::Standard)),
            (
                "cache_read_input_token_cost_above_272k_tokens_priority",
                some(Of::CacheRead, 272_000, ServiceTier::Priority),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
                some(Of::CacheWrite1h, 200_000, ServiceTier::Standard),
            ),
            ("input_cost_per_token_batches", some(Of::Input, 0, ServiceTier::Batch)),
            ("output_cost_per_token_flex", some(Of::Output, 0, ServiceTier::Flex)),
            ("input_cost_per_audio_token_priority", some(Of::AudioIn, 0, ServiceTier::Priority)),
            ("input_cost_per_audio_token_above_128k_tokens", None),
            ("cache_read_input_audio_token_cost_priority", some(Of::CachedAudioIn, 0, ServiceTier::Priority)),
            ("cache_read_input_image_token_cost", some(Of::CachedImageIn, 0, ServiceTier::Standard)),
            ("cache_read_input_audio_token_cost_above_200k_tokens", None),
            ("input_cost_per_token_above_xk_tokens", None),
            ("input_cost_per_second", some(Of::Unit, 0, ServiceTier::Standard)),
            ("input_cost_per_image_above_128k_tokens", None),
            ("output_cost_per_second", None),
            ("cache_creation_input_token_cost_above_12hr", None),
        ] {
            assert_eq!(cost(name), want, "{name}");
        }
    }
}
