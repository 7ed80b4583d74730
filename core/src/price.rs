//! What tokens cost.

use serde::{Deserialize, Serialize};

use crate::money::{NanoUsd, PicoUsd, Rounding, div_rem, nano_from_pico};
use crate::usage::Usage;

/// A ratio of one, in parts per million: the unit of [`Price::cost`]'s `ratio_ppm`.
pub const RATIO_ONE_PPM: u32 = 1_000_000;

/// The price of one model at one channel, in pico-USD per token. `None` is unknown; zero is free: they are never mixed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Uncached input, and whatever input below has no price of its own.
    pub input: Option<PicoUsd>,
    /// Visible output, and whatever output below has no price of its own.
    pub output: Option<PicoUsd>,
    /// Input read from the prompt cache.
    pub cache_read: Option<PicoUsd>,
    /// Input written to the prompt cache.
    pub cache_write: Option<PicoUsd>,
    /// Input written to the prompt cache for an hour.
    pub cache_write_1h: Option<PicoUsd>,
    /// Reasoning output, where it is priced apart.
    pub output_reasoning: Option<PicoUsd>,
    /// Audio input.
    pub audio_in: Option<PicoUsd>,
    /// Audio output.
    pub audio_out: Option<PicoUsd>,
    /// For what is counted besides tokens, in pico-USD: an image, a character, a second, a search, as the call's format
    /// [counts](crate::call::Format::unit).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_unit: Option<PicoUsd>,
    /// A fixed fee for each request, in nano-USD.
    pub per_request_nano_usd: NanoUsd,
    /// Prices that replace the ones above for prompts longer than a bound; the highest bound that is exceeded wins
    /// and prices the whole request. Sorted by bound.
    pub tiers: Vec<PriceTier>,
}

/// Prices for long prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceTier {
    /// Applies when all input tokens, cached ones included, are more than this.
    pub above_input_tokens: u64,
    /// See [`Price::input`]; `None` keeps the base price. The others likewise.
    pub input: Option<PicoUsd>,
    /// See [`Price::output`].
    pub output: Option<PicoUsd>,
    /// See [`Price::cache_read`].
    pub cache_read: Option<PicoUsd>,
    /// See [`Price::cache_write`].
    pub cache_write: Option<PicoUsd>,
    /// See [`Price::cache_write_1h`].
    pub cache_write_1h: Option<PicoUsd>,
    /// See [`Price::output_reasoning`].
    pub output_reasoning: Option<PicoUsd>,
}

/// Which prices a call can reach beside those of plain input and output. What is certain not to happen needn't be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Input may be written to the prompt cache.
    pub cache_write: bool,
    /// It may be written for an hour.
    pub cache_write_1h: bool,
    /// Audio may be heard or spoken.
    pub audio: bool,
    /// What may be billed besides tokens, at most.
    pub units: u64,
}

impl Reach {
    /// Everything: nothing is known of the call.
    pub const ALL: Reach = Reach { cache_write: true, cache_write_1h: true, audio: true, units: 0 };
    /// Plain input and output, and input from the cache.
    pub const PLAIN: Reach = Reach { cache_write: false, cache_write_1h: false, audio: false, units: 0 };
}

impl Price {
    /// Whether input and output both have a known price, or units have. An unpriced model is admitted, counted in tokens and
    /// marked.
    pub fn is_known(&self) -> bool {
        self.input.is_some() && self.output.is_some() || self.per_unit.is_some()
    }

    /// What does not depend on tokens, in pico-USD.
    fn fixed(&self, units: u64) -> i128 {
        let per_unit = i128::from(units).saturating_mul(i128::from(self.per_unit.unwrap_or(0)));
        (i128::from(self.per_request_nano_usd) * 1000).saturating_add(per_unit)
    }

    /// The cost of `usage`, times `ratio_ppm` ([`RATIO_ONE_PPM`] is 1), rounded once. Unknown prices count as nothing:
    /// ask [`Price::is_known`] first.
    pub fn cost(&self, usage: &Usage, ratio_ppm: u32, rounding: Rounding) -> NanoUsd {
        scale(self.pico(usage), ratio_ppm, rounding)
    }

    /// What `usage` costs in pico-USD, for comparing. Unknown prices count as nothing.
    pub(crate) fn estimate(&self, usage: &Usage) -> u64 {
        u64::try_from(self.pico(usage)).unwrap_or(u64::MAX)
    }

    /// What `usage` costs in pico-USD.
    fn pico(&self, usage: &Usage) -> i128 {
        let rates = self.rates(usage.input_tokens());
        [
            (usage.input_uncached, rates.input),
            (usage.cache_read, rates.cache_read),
            (usage.cache_write, rates.cache_write),
            (usage.cache_write_1h, rates.cache_write_1h),
            (usage.audio_in, rates.audio_in),
            (usage.output_visible, rates.output),
            (usage.output_reasoning, rates.output_reasoning),
            (usage.audio_out, rates.audio_out),
        ]
        .iter()
        .fold(self.fixed(usage.units), |sum, (tokens, rate)| {
            sum.saturating_add(i128::from(*tokens).saturating_mul(i128::from(*rate)))
        })
    }

    /// The most that `input_tokens` of input and `output_tokens` of output can cost, whatever bucket within `reach` the
    /// upstream puts them in and whatever tier they reach. Rounded up.
    pub fn bound(&self, input_tokens: u64, output_tokens: u64, reach: Reach, ratio_ppm: u32) -> NanoUsd {
        // A tier may be cheaper than the base: the bound is the dearest of all rates that this many tokens can reach.
        let reachable =
            self.tiers.iter().map(|tier| tier.above_input_tokens).filter(|above| input_tokens > *above);
        let (mut dearest_in, mut dearest_out) = (0, 0);
        for prompt in std::iter::once(0).chain(reachable.map(|above| above.saturating_add(1))) {
            let r = self.rates(prompt);
            dearest_in = dearest_in.max(r.dearest_in(reach));
            dearest_out = dearest_out.max(r.dearest_out(reach));
        }
        let pico = self
            .fixed(reach.units)
            .saturating_add(i128::from(input_tokens).saturating_mul(i128::from(dearest_in)))
            .saturating_add(i128::from(output_tokens).saturating_mul(i128::from(dearest_out)));
        scale(pico, ratio_ppm, Rounding::Up)
    }

    /// The most that a call can cost whose input is known to be that of `usage`, to the bucket, and whose output is at most
    /// `output_tokens`. Rounded up.
    pub fn bound_of_known_input(
        &self,
        usage: &Usage,
        output_tokens: u64,
        reach: Reach,
        ratio_ppm: u32,
    ) -> NanoUsd {
        let output = self.rates(usage.input_tokens()).dearest_out(reach);
        let input =
            Usage { output_visible: 0, output_reasoning: 0, audio_out: 0, units: reach.units, ..*usage };
        let pico =
            self.pico(&input).saturating_add(i128::from(output_tokens).saturating_mul(i128::from(output)));
        scale(pico, ratio_ppm, Rounding::Up)
    }

    fn rates(&self, prompt_tokens: u64) -> Rates {
        let tier = self.tiers.iter().rfind(|tier| prompt_tokens > tier.above_input_tokens);
        let pick = |tiered: Option<PicoUsd>, base: Option<PicoUsd>| tiered.or(base);
        let input = pick(tier.and_then(|t| t.input), self.input).unwrap_or(0);
        let output = pick(tier.and_then(|t| t.output), self.output).unwrap_or(0);
        let cache_write = pick(tier.and_then(|t| t.cache_write), self.cache_write).unwrap_or(input);
        Rates {
            input,
            output,
            cache_read: pick(tier.and_then(|t| t.cache_read), self.cache_read).unwrap_or(input),
            cache_write,
            cache_write_1h: pick(tier.and_then(|t| t.cache_write_1h), self.cache_write_1h)
                .unwrap_or(cache_write),
            output_reasoning: pick(tier.and_then(|t| t.output_reasoning), self.output_reasoning)
                .unwrap_or(output),
            audio_in: self.audio_in.unwrap_or(input),
            audio_out: self.audio_out.unwrap_or(output),
        }
    }
}

struct Rates {
    input: PicoUsd,
    output: PicoUsd,
    cache_read: PicoUsd,
    cache_write: PicoUsd,
    cache_write_1h: PicoUsd,
    output_reasoning: PicoUsd,
    audio_in: PicoUsd,
    audio_out: PicoUsd,
}

impl Rates {
    fn dearest_in(&self, reach: Reach) -> PicoUsd {
        [
            (true, self.input),
            (true, self.cache_read),
            (reach.cache_write, self.cache_write),
            (reach.cache_write_1h, self.cache_write_1h),
            (reach.audio, self.audio_in),
        ]
        .into_iter()
        .filter(|(reached, _)| *reached)
        .fold(0, |dearest, (_, rate)| dearest.max(rate))
    }

    fn dearest_out(&self, reach: Reach) -> PicoUsd {
        let text = self.output.max(self.output_reasoning);
        if reach.audio { text.max(self.audio_out) } else { text }
    }
}

fn scale(pico: i128, ratio_ppm: u32, rounding: Rounding) -> NanoUsd {
    if ratio_ppm == RATIO_ONE_PPM {
        return nano_from_pico(pico, rounding);
    }
    // pico × ppm is 10⁻¹⁸ USD; rounding happens once, on the way to nano-USD.
    let scaled = pico.saturating_mul(i128::from(ratio_ppm));
    let (pico, rest) = div_rem(scaled, RATIO_ONE_PPM);
    // What is left below a pico-USD can only matter as "a little more than": keep it as one more pico where it decides.
    let sticky = i128::from(rest > 0 && matches!(pico.rem_euclid(1000), 0 | 500));
    nano_from_pico(pico.saturating_add(sticky), rounding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        Price {
            input: Some(1_000_000),
            output: Some(2_000_000),
            cache_read: Some(100_000),
            tiers: vec![PriceTier {
                above_input_tokens: 200_000,
                input: Some(2_000_000),
                ..PriceTier::default()
            }],
            ..Price::default()
        }
    }

    #[test]
    fn each_bucket_is_charged_once_and_the_long_prompt_tier_prices_the_whole_request() {
        let usage = Usage {
            input_uncached: 1000,
            cache_read: 500,
            output_visible: 100,
            output_reasoning: 50,
            ..Usage::default()
        };
        // 1000 × 1 + 500 × 0.1 + 150 × 2 = 1350 µUSD
        assert_eq!(price().cost(&usage, RATIO_ONE_PPM, Rounding::HalfEven), 1_350_000);
        let long = Usage { input_uncached: 200_001, ..Usage::default() };
        assert_eq!(price().cost(&long, RATIO_ONE_PPM, Rounding::HalfEven), 400_002_000);
    }

    #[test]
    fn units_have_a_price_of_their_own() {
        let p = Price { per_unit: Some(15_000_000), per_request_nano_usd: 1_000, ..Price::default() };
        assert!(p.is_known());
        let usage = Usage { units: 200, input_uncached: 7, ..Usage::default() };
        assert_eq!(p.cost(&usage, RATIO_ONE_PPM, Rounding::HalfEven), 3_001_000);
        let reach = Reach { units: 200, ..Reach::ALL };
        assert_eq!(p.bound(1_000, 1_000, reach, RATIO_ONE_PPM), 3_001_000);
        assert_eq!(p.bound(1_000, 1_000, reach, RATIO_ONE_PPM / 2), 1_500_500);
    }

    #[test]
    fn the_bound_covers_the_dearest_bucket_and_tier() {
        let mut p = price();
        p.cache_write_1h = Some(9_000_000);
        assert_eq!(p.bound(10, 10, Reach::ALL, RATIO_ONE_PPM), 110_000);
        assert_eq!(p.bound(10, 10, Reach::ALL, RATIO_ONE_PPM / 3), 36_667);
    }

    #[test]
    fn what_a_call_cannot_reach_is_not_bounded() {
        let p = Price {
            cache_write: Some(1_250_000),
            cache_write_1h: Some(2_000_000),
            audio_in: Some(40_000_000),
            audio_out: Some(80_000_000),
            per_request_nano_usd: 7,
            ..price()
        };
        let short = Reach { cache_write: true, ..Reach::PLAIN };
        let long = Reach { cache_write_1h: true, ..short };
        for (reach, input, output, nano) in [
            (Reach::PLAIN, 1_000, 0, 1_000_007),
            (short, 1_000, 0, 1_250_007),
            (long, 1_000, 0, 2_000_007),
            (Reach { audio: true, ..Reach::PLAIN }, 1_000, 0, 40_000_007),
            (Reach::PLAIN, 0, 1_000, 2_000_007),
            (Reach { audio: true, ..Reach::PLAIN }, 0, 1_000, 80_000_007),
            // A prompt that may reach the long tier is bounded by it.
            (Reach::PLAIN, 200_001, 0, 400_002_007),
            (Reach::PLAIN, 0, 0, 7),
        ] {
            assert_eq!(p.bound(input, output, reach, RATIO_ONE_PPM), nano, "{reach:?} {input} {output}");
        }
        let usage = Usage { input_uncached: 100, cache_read: 900, output_visible: 3, ..Usage::default() };
        let known = p.bound_of_known_input(&usage, 1_000, Reach::PLAIN, RATIO_ONE_PPM);
        assert_eq!(known, 7 + 100_000 + 90_000 + 2_000_000);
        assert!(known <= p.bound(1_000, 1_000, Reach::PLAIN, RATIO_ONE_PPM));
    }
}
