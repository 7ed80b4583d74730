//! What tokens cost.

mod part;
mod used;
mod variant;

use serde::{Deserialize, Serialize};

pub use part::{
    Currency, DatedPrice, Exchange, PriceParts, ServiceTier, TierPrice, TierSet, WEEK_MINUTES, WeekSpan,
    WindowPrice, minute_of_week,
};
pub use used::{Kind, UsedRates};
pub use variant::{SearchPrice, UnitPrice, Variant};

use crate::money::{NanoUsd, PicoUsd, Rounding, div_rem, nano_from_pico};
use crate::time::Timestamp;
use crate::usage::Usage;

/// A ratio of one, in parts per million: the unit of [`PriceNow::cost`]'s `ratio_ppm`.
pub const RATIO_ONE_PPM: u32 = 1_000_000;

/// The price of one model at one channel, in pico-USD per token. `None` is unknown; zero is free: they are never mixed.
///
/// What a call costs depends on when it is made: ask [`Price::on`].
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
    /// What few prices have, apart, so that the others don't carry it along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<PriceParts>>,
}

impl Price {
    /// Takes the rate of its currency from these; without one it keeps its own.
    pub fn value_at(&mut self, rates: &[Exchange]) {
        let Some(exchange) = self.more.as_mut().and_then(|more| more.exchange.as_mut()) else { return };
        if let Some(rate) = rates.iter().find(|rate| rate.currency == exchange.currency) {
            *exchange = *rate;
        }
    }
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
    /// Images may be seen.
    pub images: bool,
    /// The tiers that it may be served at.
    pub tiers: TierSet,
    /// What may be billed besides tokens, at most.
    pub units: u64,
    /// Searches that may be billed, at most.
    pub searches: u64,
}

impl Reach {
    /// Everything: nothing is known of the call.
    pub const ALL: Reach = Reach {
        cache_write: true,
        cache_write_1h: true,
        audio: true,
        images: true,
        tiers: TierSet::ALL,
        units: 0,
        searches: 0,
    };
    /// Plain input and output, and input from the cache, at the standard tier.
    pub const PLAIN: Reach = Reach {
        cache_write: false,
        cache_write_1h: false,
        audio: false,
        images: false,
        tiers: TierSet::STANDARD,
        units: 0,
        searches: 0,
    };
}

impl Price {
    /// Whether input and output both have a known price, or units have. An unpriced model is admitted, counted in tokens and
    /// marked.
    pub fn is_known(&self) -> bool {
        let has_units =
            self.per_unit.is_some() || self.more.as_deref().is_some_and(|more| !more.units.is_empty());
        self.input.is_some() && self.output.is_some() || has_units
    }

    /// Whether tokens are all that it charges for: nothing in units.
    pub fn is_by_tokens(&self) -> bool {
        let has_units =
            self.per_unit.is_some() || self.more.as_deref().is_some_and(|more| !more.units.is_empty());
        self.input.is_some() && self.output.is_some() && !has_units
    }

    /// What does not depend on tokens, in pico-USD.
    fn fixed(&self, units: u64, per_unit: PicoUsd) -> i128 {
        let of_units = i128::from(units).saturating_mul(i128::from(per_unit));
        (i128::from(self.per_request_nano_usd) * 1000).saturating_add(of_units)
    }

    /// The price of an attempt that begins at `at`: all of it, however long it takes.
    pub fn on(&self, at: Timestamp) -> PriceNow<'_> {
        match self.more.as_deref() {
            None => PriceNow { card: self, exchange: None, unasked: None, variant: None, is_own: false },
            Some(more) => PriceNow {
                card: self.card(more, at),
                exchange: more.exchange.as_ref(),
                unasked: more.unasked,
                variant: None,
                is_own: false,
            },
        }
    }

    fn card<'a>(&'a self, more: &'a PriceParts, at: Timestamp) -> &'a Price {
        let come = more.changes.iter().filter(|change| change.from <= at);
        let changed = come.max_by_key(|change| change.from).map(|change| &change.price);
        let card = changed.unwrap_or(self);
        let windows = card.more.as_deref().map_or(&[][..], |more| &more.windows);
        if windows.is_empty() {
            return card;
        }
        let minute = minute_of_week(at);
        let open = windows.iter().find(|window| window.times.iter().any(|span| span.has(minute)));
        open.map_or(card, |window| &window.price)
    }

    /// This price times `ratio_ppm`, for each of its amounts; rounded up to their unit.
    #[must_use]
    pub fn times(&self, ratio_ppm: u32) -> Price {
        let nano = |amount: NanoUsd| {
            let scaled = i128::from(amount) * i128::from(ratio_ppm);
            let (whole, rest) = div_rem(scaled, u64::from(RATIO_ONE_PPM));
            NanoUsd::try_from(whole + i128::from(rest > 0)).unwrap_or(NanoUsd::MAX)
        };
        let ratio = (u64::from(ratio_ppm), u64::from(RATIO_ONE_PPM));
        let mut price = self.in_proportion(ratio, ratio);
        price.each_fee(&mut |fee| *fee = nano(*fee));
        price.each_unit(&mut |rate| {
            let scaled = (u128::from(*rate) * u128::from(ratio_ppm)).div_ceil(u128::from(RATIO_ONE_PPM));
            *rate = u64::try_from(scaled).unwrap_or(u64::MAX);
        });
        price
    }

    /// This price with each rate for input times one ratio, as numerator and denominator, and each rate for output times
    /// another; rounded up. Fees and what isn't counted in tokens stay. A denominator of 0 leaves them as they are.
    #[must_use]
    pub fn in_proportion(&self, input: (u64, u64), output: (u64, u64)) -> Price {
        let mut price = self.clone();
        price.each_rate(&mut |rate, is_output| {
            let (by, of) = if is_output { output } else { input };
            if of > 0 && by != of {
                let scaled = (u128::from(*rate) * u128::from(by)).div_ceil(u128::from(of));
                *rate = u64::try_from(scaled).unwrap_or(u64::MAX);
            }
        });
        price
    }

    /// Each rate for tokens and whether it is for output, those of the prices inside included.
    fn each_rate(&mut self, with: &mut dyn FnMut(&mut PicoUsd, bool)) {
        let mut all = |rates: [(&mut Option<PicoUsd>, bool); 6]| {
            for (rate, is_output) in rates {
                rate.iter_mut().for_each(|rate| with(rate, is_output));
            }
        };
        all([
            (&mut self.input, false),
            (&mut self.output, true),
            (&mut self.cache_read, false),
            (&mut self.cache_write, false),
            (&mut self.cache_write_1h, false),
            (&mut self.output_reasoning, true),
        ]);
        for tier in &mut self.tiers {
            all([
                (&mut tier.input, false),
                (&mut tier.output, true),
                (&mut tier.cache_read, false),
                (&mut tier.cache_write, false),
                (&mut tier.cache_write_1h, false),
                (&mut tier.output_reasoning, true),
            ]);
        }
        for (rate, is_output) in [(&mut self.audio_in, false), (&mut self.audio_out, true)] {
            rate.iter_mut().for_each(|rate| with(rate, is_output));
        }
        if let Some(more) = self.more.as_deref_mut() {
            for (rate, is_output) in [
                (&mut more.image_in, false),
                (&mut more.image_out, true),
                (&mut more.cached_audio_in, false),
                (&mut more.cached_image_in, false),
            ] {
                rate.iter_mut().for_each(|rate| with(rate, is_output));
            }
        }
        for inner in self.inner_mut() {
            inner.each_rate(with);
        }
    }

    fn each_fee(&mut self, with: &mut dyn FnMut(&mut NanoUsd)) {
        with(&mut self.per_request_nano_usd);
        if let Some(more) = self.more.as_deref_mut() {
            with(&mut more.per_search_nano_usd);
            more.search_sizes.iter_mut().for_each(|own| with(&mut own.fee_nano_usd));
        }
        for inner in self.inner_mut() {
            inner.each_fee(with);
        }
    }

    fn each_unit(&mut self, with: &mut dyn FnMut(&mut PicoUsd)) {
        self.per_unit.iter_mut().for_each(&mut *with);
        if let Some(more) = self.more.as_deref_mut() {
            more.units.iter_mut().for_each(|own| with(&mut own.per_unit));
        }
        for inner in self.inner_mut() {
            inner.each_unit(with);
        }
    }

    // BOUND: prices nest as deep as files that were read, and those have a depth.
    fn inner_mut(&mut self) -> impl Iterator<Item = &mut Price> {
        self.more.as_deref_mut().into_iter().flat_map(|more| {
            let tiers = more.service_tiers.iter_mut().map(|tier| &mut tier.price);
            let windows = more.windows.iter_mut().map(|window| &mut window.price);
            tiers.chain(windows).chain(more.changes.iter_mut().map(|change| &mut change.price))
        })
    }

    fn of_tier(&self, tier: ServiceTier) -> &Price {
        let Some(more) = self.more.as_deref().filter(|_| tier != ServiceTier::Standard) else { return self };
        more.service_tiers.iter().find(|own| own.tier == tier).map_or(self, |own| &own.price)
    }

    /// What `usage` costs in pico-USD, or in that part of another currency.
    fn pico(&self, usage: &Usage, variant: Option<&Variant>, hits_ppm: Option<u32>) -> i128 {
        let per_unit = if usage.units > 0 { self.unit_rate(variant) } else { 0 };
        self.pico_with(usage, per_unit, variant, hits_ppm)
    }

    /// `hits_ppm` of the input's rate is the most that is charged for what was read from a cache.
    fn pico_with(
        &self,
        usage: &Usage,
        per_unit: PicoUsd,
        variant: Option<&Variant>,
        hits_ppm: Option<u32>,
    ) -> i128 {
        let searches =
            self.per_search(variant).saturating_mul(i128::from(usage.searches)).saturating_mul(1000);
        self.of_tokens(usage, hits_ppm).iter().fold(
            self.fixed(usage.units, per_unit).saturating_add(searches),
            |sum, (_, tokens, rate)| {
                sum.saturating_add(i128::from(*tokens).saturating_mul(i128::from(*rate)))
            },
        )
    }

    /// How many tokens there are of each kind, and what one of them costs.
    fn of_tokens(&self, usage: &Usage, hits_ppm: Option<u32>) -> [(Kind, u64, PicoUsd); 12] {
        let rates = self.rates(usage.input_tokens()).with_hits_at(hits_ppm);
        [
            (Kind::InputUncached, usage.input_uncached, rates.input),
            (Kind::CacheRead, usage.cache_read, rates.cache_read),
            (Kind::CacheReadAudio, usage.cache_read_audio, rates.cached_audio),
            (Kind::CacheReadImage, usage.cache_read_image, rates.cached_image),
            (Kind::CacheWrite, usage.cache_write, rates.cache_write),
            (Kind::CacheWrite1h, usage.cache_write_1h, rates.cache_write_1h),
            (Kind::AudioIn, usage.audio_in, rates.audio_in),
            (Kind::ImageIn, usage.image_in, rates.image_in),
            (Kind::OutputVisible, usage.output_visible, rates.output),
            (Kind::OutputReasoning, usage.output_reasoning, rates.output_reasoning),
            (Kind::AudioOut, usage.audio_out, rates.audio_out),
            (Kind::ImageOut, usage.image_out, rates.image_out),
        ]
    }

    /// The fee for a search, in nano-USD.
    fn per_search(&self, variant: Option<&Variant>) -> i128 {
        i128::from(self.more.as_deref().map_or(0, |more| more.search_fee(variant)))
    }

    /// The rates of what was used.
    fn used(&self, usage: &Usage, variant: Option<&Variant>, hits_ppm: Option<u32>) -> UsedRates {
        let mut used = UsedRates::default();
        for (kind, tokens, rate) in self.of_tokens(usage, hits_ppm) {
            if tokens > 0 {
                used.push(kind, rate);
            }
        }
        let fee = |nano: i128| PicoUsd::try_from(nano.saturating_mul(1000)).unwrap_or(PicoUsd::MAX);
        if usage.searches > 0 {
            used.push(Kind::Searches, fee(self.per_search(variant)));
        }
        if usage.units > 0 {
            used.push(Kind::Units, self.unit_rate(variant));
        }
        if self.per_request_nano_usd > 0 {
            used.push(Kind::Request, fee(i128::from(self.per_request_nano_usd)));
        }
        used
    }

    fn bound(&self, input_tokens: u64, output_tokens: u64, reach: Reach, variant: Option<&Variant>) -> i128 {
        // A tier may be cheaper than the base: the bound is the dearest of all rates that this many tokens can reach.
        let reachable =
            self.tiers.iter().map(|tier| tier.above_input_tokens).filter(|above| input_tokens > *above);
        let (mut dearest_in, mut dearest_out) = (0, 0);
        for prompt in std::iter::once(0).chain(reachable.map(|above| above.saturating_add(1))) {
            let r = self.rates(prompt);
            dearest_in = dearest_in.max(r.dearest_in(reach));
            dearest_out = dearest_out.max(r.dearest_out(reach));
        }
        let per_unit = if reach.units > 0 { self.dearest_unit_rate(variant) } else { 0 };
        self.fixed(reach.units, per_unit)
            .saturating_add(self.dearest_searches(reach.searches))
            .saturating_add(i128::from(input_tokens).saturating_mul(i128::from(dearest_in)))
            .saturating_add(i128::from(output_tokens).saturating_mul(i128::from(dearest_out)))
    }

    fn bound_of_known_input(
        &self,
        usage: &Usage,
        output_tokens: u64,
        reach: Reach,
        variant: Option<&Variant>,
    ) -> i128 {
        let output = self.rates(usage.input_tokens()).dearest_out(reach);
        let input = Usage {
            output_visible: 0,
            output_reasoning: 0,
            audio_out: 0,
            image_out: 0,
            units: reach.units,
            searches: 0,
            ..*usage
        };
        let per_unit = if reach.units > 0 { self.dearest_unit_rate(variant) } else { 0 };
        let of_output = i128::from(output_tokens).saturating_mul(i128::from(output));
        self.pico_with(&input, per_unit, variant, None)
            .saturating_add(self.dearest_searches(reach.searches.max(usage.searches)))
            .saturating_add(of_output)
    }

    /// The most that so many searches cost, in pico-USD: how much each reads is known when it was made.
    fn dearest_searches(&self, searches: u64) -> i128 {
        if searches == 0 {
            return 0;
        }
        let fee = self.more.as_deref().map_or(0, PriceParts::dearest_search_fee);
        i128::from(fee).saturating_mul(i128::from(searches)).saturating_mul(1000)
    }

    fn rates(&self, prompt_tokens: u64) -> Rates {
        let tier = self.tiers.iter().rfind(|tier| prompt_tokens > tier.above_input_tokens);
        let pick = |tiered: Option<PicoUsd>, base: Option<PicoUsd>| tiered.or(base);
        let input = pick(tier.and_then(|t| t.input), self.input).unwrap_or(0);
        let output = pick(tier.and_then(|t| t.output), self.output).unwrap_or(0);
        let cache_write = pick(tier.and_then(|t| t.cache_write), self.cache_write).unwrap_or(input);
        let cache_read = pick(tier.and_then(|t| t.cache_read), self.cache_read);
        let more = self.more.as_deref();
        let audio_in = self.audio_in.unwrap_or(input);
        let image_in = more.and_then(|more| more.image_in).unwrap_or(input);
        // Without a rate of its own it is cached input like any other; without that, nothing comes cheaper from the cache.
        let cached = |own: Option<PicoUsd>, fresh: PicoUsd| own.or(cache_read).unwrap_or(fresh);
        Rates {
            input,
            output,
            cache_read: cache_read.unwrap_or(input),
            cached_audio: cached(more.and_then(|more| more.cached_audio_in), audio_in),
            cached_image: cached(more.and_then(|more| more.cached_image_in), image_in),
            cache_write,
            cache_write_1h: pick(tier.and_then(|t| t.cache_write_1h), self.cache_write_1h)
                .unwrap_or(cache_write),
            output_reasoning: pick(tier.and_then(|t| t.output_reasoning), self.output_reasoning)
                .unwrap_or(output),
            audio_in,
            audio_out: self.audio_out.unwrap_or(output),
            image_in,
            image_out: more.and_then(|more| more.image_out).unwrap_or(output),
        }
    }
}

/// A price as it is at one time.
#[derive(Clone, Copy, Debug)]
pub struct PriceNow<'a> {
    card: &'a Price,
    exchange: Option<&'a Exchange>,
    unasked: Option<ServiceTier>,
    variant: Option<&'a Variant>,
    is_own: bool,
}

impl<'a> PriceNow<'a> {
    /// A price of the operator's own: where it has none for the cache, hits cost as input does, whatever the maker gives for them.
    #[must_use]
    pub(crate) fn own(self) -> Self {
        Self { is_own: true, ..self }
    }

    /// The price of units and searches of which this is known.
    #[must_use]
    pub fn with(self, variant: Option<&'a Variant>) -> Self {
        Self { variant, ..self }
    }

    /// The cost of `usage` as a call that was served at `tier`, times `ratio_ppm` ([`RATIO_ONE_PPM`] is 1), rounded once.
    /// Unknown prices count as nothing: ask [`Price::is_known`] first.
    pub fn cost(&self, usage: &Usage, tier: ServiceTier, ratio_ppm: u32, rounding: Rounding) -> NanoUsd {
        let (card, hits_ppm) = self.at(tier);
        self.scale(card.pico(usage, self.variant, hits_ppm), ratio_ppm, rounding)
    }

    /// By which rates [`PriceNow::cost`] of the same comes to what it does, before its ratio.
    pub fn used(&self, usage: &Usage, tier: ServiceTier) -> UsedRates {
        let (card, hits_ppm) = self.at(tier);
        card.used(usage, self.variant, hits_ppm)
    }

    /// The rates at a tier, and the most that is charged there for what was read from a cache.
    fn at(&self, tier: ServiceTier) -> (&'a Price, Option<u32>) {
        let card = self.card.of_tier(tier);
        let gives = !self.is_own || card.cache_read.is_some();
        (card, self.variant.and_then(|it| it.asked_cache_ppm).filter(|_| gives))
    }

    /// What `usage` costs at the standard tier in pico-USD, for comparing. Unknown prices count as nothing.
    pub(crate) fn estimate(&self, usage: &Usage) -> u64 {
        self.in_usd(u64::try_from(self.card.pico(usage, self.variant, None)).unwrap_or(u64::MAX))
    }

    /// The most that `input_tokens` of input and `output_tokens` of output can cost, whatever bucket within `reach` the
    /// upstream puts them in, whatever of the tiers within `reach` it serves and however long the prompt turns out. Rounded up.
    pub fn bound(&self, input_tokens: u64, output_tokens: u64, reach: Reach, ratio_ppm: u32) -> NanoUsd {
        let pico = self.dearest(reach, |card| card.bound(input_tokens, output_tokens, reach, self.variant));
        self.scale(pico, ratio_ppm, Rounding::Up)
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
        let of_card = |card: &Price| card.bound_of_known_input(usage, output_tokens, reach, self.variant);
        let pico = self.dearest(reach, of_card);
        self.scale(pico, ratio_ppm, Rounding::Up)
    }

    /// The dearest of the tiers that can be reached.
    fn dearest(&self, reach: Reach, bound: impl Fn(&Price) -> i128) -> i128 {
        let standard = bound(self.card);
        let Some(more) = self.card.more.as_deref() else { return standard };
        let reached = more.service_tiers.iter().filter(|own| reach.tiers.has(own.tier));
        reached.fold(standard, |dearest, own| dearest.max(bound(&own.price)))
    }

    /// Whether a search costs anything, at whatever tier.
    pub(crate) fn charges_searches(&self) -> bool {
        let Some(more) = self.card.more.as_deref() else { return false };
        let tiers = more.service_tiers.iter().filter_map(|own| own.price.more.as_deref());
        std::iter::once(more).chain(tiers).any(|parts| parts.dearest_search_fee() > 0)
    }

    /// The price of input, in pico-USD per token; `None` when it isn't known.
    pub fn input(&self) -> Option<PicoUsd> {
        self.card.input.map(|rate| self.in_usd(rate))
    }

    /// The price of output, likewise.
    pub fn output(&self) -> Option<PicoUsd> {
        self.card.output.map(|rate| self.in_usd(rate))
    }

    /// The price of input from the cache, likewise; `None` when it has none of its own.
    pub fn cache_read(&self) -> Option<PicoUsd> {
        self.card.cache_read.map(|rate| self.in_usd(rate))
    }

    /// Whether the tier has rates of its own, so that what it can cost is known.
    pub fn has_tier(&self, tier: ServiceTier) -> bool {
        let own = |more: &PriceParts| more.service_tiers.iter().any(|own| own.tier == tier);
        tier == ServiceTier::Standard || self.card.more.as_deref().is_some_and(own)
    }

    /// The rates in force at the standard tier, in the price's own currency.
    pub fn card(&self) -> &'a Price {
        self.card
    }

    /// The currency of the price and what it is worth; `None` for USD.
    pub fn exchange(&self) -> Option<Exchange> {
        self.exchange.copied()
    }

    /// What the upstream makes of calls that ask for no tier.
    pub fn unasked(&self) -> Option<ServiceTier> {
        self.unasked
    }

    fn in_usd(&self, pico: PicoUsd) -> PicoUsd {
        let Some(exchange) = self.exchange else { return pico };
        let (usd, rest) = div_rem(i128::from(pico) * i128::from(RATIO_ONE_PPM), exchange.per_usd_ppm.max(1));
        u64::try_from(usd.saturating_add(i128::from(rest > 0))).unwrap_or(u64::MAX)
    }

    fn scale(&self, pico: i128, ratio_ppm: u32, rounding: Rounding) -> NanoUsd {
        let one = u64::from(RATIO_ONE_PPM);
        let by = self.exchange.map_or(one, |exchange| exchange.per_usd_ppm.max(1));
        scale(pico, ratio_ppm, by, rounding)
    }
}

struct Rates {
    input: PicoUsd,
    output: PicoUsd,
    cache_read: PicoUsd,
    cached_audio: PicoUsd,
    cached_image: PicoUsd,
    cache_write: PicoUsd,
    cache_write_1h: PicoUsd,
    output_reasoning: PicoUsd,
    audio_in: PicoUsd,
    audio_out: PicoUsd,
    image_in: PicoUsd,
    image_out: PicoUsd,
}

impl Rates {
    /// With at most this part of the input's rate for what was read from a cache.
    fn with_hits_at(self, ppm: Option<u32>) -> Self {
        let Some(ppm) = ppm else { return self };
        let part = u128::from(self.input) * u128::from(ppm) / u128::from(RATIO_ONE_PPM);
        let most = PicoUsd::try_from(part).unwrap_or(PicoUsd::MAX);
        Self { cache_read: self.cache_read.min(most), ..self }
    }

    fn dearest_in(&self, reach: Reach) -> PicoUsd {
        [
            (true, self.input),
            (true, self.cache_read),
            (reach.cache_write, self.cache_write),
            (reach.cache_write_1h, self.cache_write_1h),
            (reach.audio, self.audio_in.max(self.cached_audio)),
            (reach.images, self.image_in.max(self.cached_image)),
        ]
        .into_iter()
        .filter(|(reached, _)| *reached)
        .fold(0, |dearest, (_, rate)| dearest.max(rate))
    }

    fn dearest_out(&self, reach: Reach) -> PicoUsd {
        // Models that draw do so unasked.
        let seen = self.output.max(self.output_reasoning).max(self.image_out);
        if reach.audio { seen.max(self.audio_out) } else { seen }
    }
}

/// An amount times a ratio, in USD: `per_usd_ppm` millionths of its currency are one.
fn scale(pico: i128, ratio_ppm: u32, per_usd_ppm: u64, rounding: Rounding) -> NanoUsd {
    if u64::from(ratio_ppm) == per_usd_ppm {
        return nano_from_pico(pico, rounding);
    }
    // Two ratios in parts per million, one over the other; rounding happens once, on the way to nano-USD.
    let scaled = pico.saturating_mul(i128::from(ratio_ppm));
    let (pico, rest) = div_rem(scaled, per_usd_ppm);
    // What is left below a pico-USD can only matter as "a little more than": keep it as one more pico where it decides.
    let sticky = i128::from(rest > 0 && matches!(pico.rem_euclid(1000), 0 | 500));
    nano_from_pico(pico.saturating_add(sticky), rounding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_ms(0);

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
        let now = price();
        let cost = |usage| now.on(T).cost(usage, ServiceTier::Standard, RATIO_ONE_PPM, Rounding::HalfEven);
        assert_eq!(cost(&usage), 1_350_000);
        let long = Usage { input_uncached: 200_001, ..Usage::default() };
        assert_eq!(cost(&long), 400_002_000);
    }

    #[test]
    fn units_have_a_price_of_their_own() {
        let p = Price { per_unit: Some(15_000_000), per_request_nano_usd: 1_000, ..Price::default() };
        assert!(p.is_known());
        let usage = Usage { units: 200, input_uncached: 7, ..Usage::default() };
        let cost = |p: &Price| p.on(T).cost(&usage, ServiceTier::Standard, RATIO_ONE_PPM, Rounding::HalfEven);
        assert_eq!(cost(&p), 3_001_000);
        let reach = Reach { units: 200, ..Reach::ALL };
        assert_eq!(p.on(T).bound(1_000, 1_000, reach, RATIO_ONE_PPM), 3_001_000);
        assert_eq!(p.on(T).bound(1_000, 1_000, reach, RATIO_ONE_PPM / 2), 1_500_500);
        assert_eq!(p.on(T).bound_of_known_input(&Usage::default(), 9, reach, RATIO_ONE_PPM), 3_001_000);
        // All of a price that is halved is.
        assert_eq!(cost(&p.times(RATIO_ONE_PPM / 2)), 1_500_500);
    }

    #[test]
    fn the_bound_covers_the_dearest_bucket_and_tier() {
        let mut p = price();
        p.cache_write_1h = Some(9_000_000);
        assert_eq!(p.on(T).bound(10, 10, Reach::ALL, RATIO_ONE_PPM), 110_000);
        assert_eq!(p.on(T).bound(10, 10, Reach::ALL, RATIO_ONE_PPM / 3), 36_667);
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
            assert_eq!(
                p.on(T).bound(input, output, reach, RATIO_ONE_PPM),
                nano,
                "{reach:?} {input} {output}"
            );
        }
        let usage = Usage { input_uncached: 100, cache_read: 900, output_visible: 3, ..Usage::default() };
        let known = p.on(T).bound_of_known_input(&usage, 1_000, Reach::PLAIN, RATIO_ONE_PPM);
        assert_eq!(known, 7 + 100_000 + 90_000 + 2_000_000);
        assert!(known <= p.on(T).bound(1_000, 1_000, Reach::PLAIN, RATIO_ONE_PPM));
    }
}
