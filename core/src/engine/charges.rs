//! What an attempt is charged: to whoever calls, and towards its channel's own limits.

use crate::call::Billed;
use crate::channel::{Channel, ChannelModel, RegionRatio};
use crate::ids::ModelName;
use crate::money::{NanoUsd, PicoUsd, Rounding};
use crate::price::{Price, PriceNow, RATIO_ONE_PPM, Reach, ServiceTier, Variant};
use crate::search;
use crate::tenant::{Caller, Terms};
use crate::time::Timestamp;
use crate::usage::Usage;

/// The prices of an attempt, as they are when it begins: whatever it is reserved and settled with is of these.
#[derive(Clone, Copy, Debug)]
pub struct Charges<'a> {
    /// The caller's price, before the ratio.
    own: PriceNow<'a>,
    /// The caller's ratio, and what it is at most: until an answer says in which region it was made, that may be the dearest.
    ratio_ppm: u32,
    most_ppm: u32,
    /// The same of the list price, which is times what the region costs.
    region_ppm: u32,
    most_region_ppm: u32,
    /// What the call costs the operator.
    list: PriceNow<'a>,
    /// Both are the same.
    alike: bool,
    /// The name that the model is sent by, and the one that it is asked for by where that says more; of nobody's attempt there
    /// are none.
    names: Option<(&'a str, Option<&'a str>)>,
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
        // An alias says nothing of the model, but for what a `*` stands for, and where the operator named the deployment.
        let tells = model.is_deployment || model.upstream.as_str().contains('*');
        let names = Some((model.upstream.as_str(), tells.then_some(group.as_str())));
        Self { names, ..Self::listed(model, at, variant) }.to(caller, group, at, variant)
    }

    /// The same to this caller.
    fn to(
        self,
        caller: &'a Caller,
        group: &'a ModelName,
        at: Timestamp,
        variant: Option<&'a Variant>,
    ) -> Self {
        let listed = self;
        let ratio_ppm = match caller.terms(group) {
            None => caller.price_ratio_ppm,
            Some(Terms::Ratio(ratio_ppm)) => *ratio_ppm,
            Some(Terms::Price(price)) => {
                let own = price.on(at).with(variant).own();
                return Self {
                    own,
                    ratio_ppm: RATIO_ONE_PPM,
                    most_ppm: RATIO_ONE_PPM,
                    alike: false,
                    ..listed
                };
            }
        };
        // At most a millionth is lost in it.
        let times = |region_ppm: u32| {
            let scaled =
                u64::from(ratio_ppm).saturating_mul(u64::from(region_ppm)) / u64::from(RATIO_ONE_PPM);
            u32::try_from(scaled).unwrap_or(u32::MAX)
        };
        Self {
            ratio_ppm: times(listed.region_ppm),
            most_ppm: times(listed.most_region_ppm),
            alike: ratio_ppm == RATIO_ONE_PPM,
            ..listed
        }
    }

    /// The same of this call, which may name what it is charged by.
    pub(super) fn of_call(
        caller: &'a Caller,
        group: &'a ModelName,
        (channel, model): (&Channel, &'a ChannelModel),
        at: Timestamp,
        variant: Option<&'a Variant>,
        billed: Option<&'a Billed>,
    ) -> Self {
        let Some(billed) = billed else { return Self::of(caller, group, model, at, variant) };
        let names = Some((billed.model.as_str(), None));
        // Who has a price of their own for what is passed through pays that.
        Self { names, ..Self::at(billed.at(&channel.id), at, variant) }.to(caller, group, at, variant)
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
        Some(search::unasked(sent)?.max(asked.map_or(Some(0), search::unasked)?))
    }

    /// What the caller pays at most for an attempt like this. See [`PriceNow::bound`].
    pub(super) fn tenant_bound(&self, input: u64, output: u64, reach: Reach) -> NanoUsd {
        self.own.bound(input, output, reach, self.most_ppm)
    }

    /// What the operator pays at most.
    pub(super) fn list_bound(&self, input: u64, output: u64, reach: Reach) -> NanoUsd {
        self.list.bound(input, output, reach, self.most_region_ppm)
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
        let tenant = self.own.bound_of_known_input(input, output, reach, self.most_ppm);
        let list = || self.list.bound_of_known_input(input, output, reach, self.most_region_ppm);
        (tenant, if self.alike { tenant } else { list() })
    }

    /// Of an attempt for nobody whose price differs from the channel's.
    pub fn listed(model: &'a ChannelModel, at: Timestamp, variant: Option<&'a Variant>) -> Self {
        Self::at((&model.price, &model.regions), at, variant)
    }

    /// The same by a price, and by what is relative to it in regions.
    fn at(
        (price, by_region): (&'a Price, &[RegionRatio]),
        at: Timestamp,
        variant: Option<&'a Variant>,
    ) -> Self {
        let list = price.on(at).with(variant);
        let (region_ppm, most_region_ppm) = regions(by_region, variant);
        Self {
            own: list,
            ratio_ppm: region_ppm,
            most_ppm: most_region_ppm,
            region_ppm,
            most_region_ppm,
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

/// What a model's price is times in the region that processed a call, and what it may be times at most: the same once that is known.
fn regions(all: &[RegionRatio], variant: Option<&Variant>) -> (u32, u32) {
    match variant.and_then(|variant| variant.region.as_deref()) {
        Some(region) => {
            let own = all.iter().find(|own| &*own.region == region);
            let ratio_ppm = own.map_or(RATIO_ONE_PPM, |own| own.ratio_ppm);
            (ratio_ppm, ratio_ppm)
        }
        None => {
            let dearest = all.iter().map(|own| own.ratio_ppm).fold(RATIO_ONE_PPM, u32::max);
            (RATIO_ONE_PPM, dearest)
        }
    }
}
