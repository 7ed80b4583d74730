//! What an attempt is charged: to whoever calls, and towards its channel's own limits.

use crate::channel::ChannelModel;
use crate::ids::ModelName;
use crate::money::{NanoUsd, PicoUsd, Rounding};
use crate::price::{PriceNow, RATIO_ONE_PPM, Reach, ServiceTier, Variant};
use crate::search;
use crate::tenant::{Caller, Terms};
use crate::time::Timestamp;
use crate::usage::Usage;

/// The prices of an attempt, as they are when it begins: whatever it is reserved and settled with is of these.
#[derive(Clone, Copy, Debug)]
pub struct Charges<'a> {
    /// The caller's price, before the ratio.
    own: PriceNow<'a>,
    ratio_ppm: u32,
    /// What the list price is times, where the call is processed in a region that costs more.
    region_ppm: u32,
    /// What the call costs the operator.
    list: PriceNow<'a>,
    /// Both are the same.
    alike: bool,
    /// The names that the model is sent and asked for by; of nobody's attempt there are none.
    names: Option<(&'a str, &'a str)>,
}

impl<'a> Charges<'a> {
    /// Of an attempt at `model`, for the model group of that name, that begins at `at`.
    /// `variant` is what is known of its units and searches.
    pub fn of(
        caller: &'a Caller,
        group: &'a ModelName,
        model: &'a ChannelModel,
        at: Timestamp,
        variant: Option<&'a Variant>,
    ) -> Self {
        let list = model.price.on(at).with(variant);
        let region = variant.and_then(|variant| variant.region.as_deref());
        let of_region = model.regions.iter().find(|own| Some(&*own.region) == region);
        let region_ppm = of_region.map_or(RATIO_ONE_PPM, |own| own.ratio_ppm);
        let names = Some((model.upstream.as_str(), group.as_str()));
        let ratio_ppm = match caller.terms(group) {
            None => caller.price_ratio_ppm,
            Some(Terms::Ratio(ratio_ppm)) => *ratio_ppm,
            Some(Terms::Price(price)) => {
                let own = price.on(at).with(variant);
                return Self { own, ratio_ppm: RATIO_ONE_PPM, region_ppm, list, alike: false, names };
            }
        };
        // At most a millionth is lost in it.
        let scaled = u64::from(ratio_ppm).saturating_mul(u64::from(region_ppm)) / u64::from(RATIO_ONE_PPM);
        let own_ppm = u32::try_from(scaled).unwrap_or(u32::MAX);
        Self { own: list, ratio_ppm: own_ppm, region_ppm, list, alike: ratio_ppm == RATIO_ONE_PPM, names }
    }

    /// Searches that may be charged though nobody asks for them: at least one where they have no bound.
    pub(super) fn searches(&self) -> u64 {
        self.unasked().unwrap_or(1)
    }

    /// Whether they have a bound.
    pub(super) fn bounds_searches(&self) -> bool {
        self.unasked().is_some()
    }

    /// Searches that may be charged unasked; `None` is any number. Looked for where it matters: what is settled knows how many there were.
    fn unasked(&self) -> Option<u64> {
        // Most models have no such fee.
        let charged = self.list.charges_searches() || self.own.charges_searches();
        let Some((sent, asked)) = self.names.filter(|_| charged) else { return Some(0) };
        // The name that is sent may be a deployment's, or the one that is asked for an alias.
        Some(search::unasked(sent)?.max(search::unasked(asked)?))
    }

    /// What the caller pays at most for an attempt like this. See [`PriceNow::bound`].
    pub(super) fn tenant_bound(&self, input: u64, output: u64, reach: Reach) -> NanoUsd {
        self.own.bound(input, output, reach, self.ratio_ppm)
    }

    /// What the operator pays at most.
    pub(super) fn list_bound(&self, input: u64, output: u64, reach: Reach) -> NanoUsd {
        self.list.bound(input, output, reach, self.region_ppm)
    }

    /// Both.
    pub(super) fn bounds(&self, input: u64, output: u64, reach: Reach) -> (NanoUsd, NanoUsd) {
        let tenant = self.tenant_bound(input, output, reach);
        (tenant, if self.alike { tenant } else { self.list_bound(input, output, reach) })
    }

    /// Both, now that the input is known to the bucket.
    pub(super) fn bounds_of_known_input(
        &self,
        input: &Usage,
        output: u64,
        reach: Reach,
    ) -> (NanoUsd, NanoUsd) {
        let tenant = self.own.bound_of_known_input(input, output, reach, self.ratio_ppm);
        let list = || self.list.bound_of_known_input(input, output, reach, self.region_ppm);
        (tenant, if self.alike { tenant } else { list() })
    }

    /// Of an attempt for nobody whose price differs from the channel's.
    pub fn listed(model: &'a ChannelModel, at: Timestamp) -> Self {
        let list = model.price.on(at);
        Self {
            own: list,
            ratio_ppm: RATIO_ONE_PPM,
            region_ppm: RATIO_ONE_PPM,
            list,
            alike: true,
            names: None,
        }
    }

    /// What the caller pays for what was used; `None` where that isn't known.
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Option<NanoUsd> {
        self.own.card().is_known().then(|| self.costs(usage, tier).0)
    }

    /// What the caller pays for a token of input and for one of output, in pico-USD, by the standard rates.
    pub fn per_token(&self) -> (Option<PicoUsd>, Option<PicoUsd>) {
        let times = |rate: PicoUsd| {
            let scaled = u128::from(rate) * u128::from(self.ratio_ppm) / u128::from(RATIO_ONE_PPM);
            PicoUsd::try_from(scaled).unwrap_or(PicoUsd::MAX)
        };
        (self.own.input().map(times), self.own.output().map(times))
    }

    /// What the caller pays for what was used, and what the operator does.
    pub(super) fn costs(&self, usage: &Usage, tier: ServiceTier) -> (NanoUsd, NanoUsd) {
        let list = self.list.cost(usage, tier, self.region_ppm, Rounding::HalfEven);
        let own = || self.own.cost(usage, tier, self.ratio_ppm, Rounding::HalfEven);
        (if self.alike { list } else { own() }, list)
    }

    /// The ratio to the price, in parts per million.
    pub(super) fn ratio_ppm(&self) -> u32 {
        self.ratio_ppm
    }

    /// The channel's price.
    pub(super) fn list(&self) -> &PriceNow<'a> {
        &self.list
    }
}
