//! By which rates a call was charged: what its record keeps, so that each part of its cost can be shown when prices have changed.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::money::PicoUsd;

/// What is charged for: the buckets of [`Usage`](crate::Usage), and the call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the bucket of usage that is called the same")]
pub enum Kind {
    InputUncached,
    CacheRead,
    CacheReadAudio,
    CacheReadImage,
    CacheWrite,
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    AudioIn,
    ImageIn,
    OutputVisible,
    OutputReasoning,
    AudioOut,
    ImageOut,
    Searches,
    Units,
    /// The fee for each request.
    Request,
}

/// The rates of what a call used, each once, in pico of the price's currency for one; empty where nothing was charged by a price.
///
/// Written down as an object such as `{"input_uncached": 2500000, "output_visible": 10000000}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedRates(SmallVec<[(Kind, PicoUsd); 3]>);

impl UsedRates {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each kind that was used, and what one of it costs.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, PicoUsd)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn push(&mut self, kind: Kind, rate: PicoUsd) {
        self.0.push((kind, rate));
    }
}

impl Serialize for UsedRates {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for UsedRates {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Rates;
        impl<'de> Visitor<'de> for Rates {
            type Value = UsedRates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rates by what they are of")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UsedRates, A::Error> {
                let mut all = UsedRates::default();
                while let Some((kind, rate)) = map.next_entry()? {
                    all.push(kind, rate);
                }
                Ok(all)
            }
        }
        from.deserialize_map(Rates)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::money::Rounding;
    use crate::price::{Price, RATIO_ONE_PPM, ServiceTier, Variant};
    use crate::time::Timestamp;
    use crate::usage::Usage;

    fn price() -> Price {
        serde_json::from_value(json!({
            "input": 2_500_000, "output": 10_000_000, "cache_read": 1_250_000, "per_request_nano_usd": 7,
            "tiers": [{"above_input_tokens": 1_000, "input": 5_000_000}],
            "more": {
                "per_search_nano_usd": 10_000,
                "units": [{"size": "big", "per_unit": 80}, {"per_unit": 40}],
                "service_tiers": [{"tier": "flex", "price": {"input": 1_000_000, "output": 3_000_000}}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_was_used_has_its_rate_and_all_of_it_comes_to_the_cost() {
        let big = Variant::of(Some("big"), None);
        let asked = Some(Variant { asked_cache_ppm: Some(100_000), ..Variant::default() });
        let rows: [(Value, ServiceTier, Option<Variant>, Value); 7] = [
            (json!({}), ServiceTier::Standard, None, json!({"request": 7_000})),
            (
                json!({"input_uncached": 100, "cache_read": 50, "output_visible": 20, "output_reasoning": 9}),
                ServiceTier::Standard,
                None,
                json!({"input_uncached": 2_500_000, "cache_read": 1_250_000, "output_visible": 10_000_000,
                       "output_reasoning": 10_000_000, "request": 7_000}),
            ),
            (
                json!({"input_uncached": 2_000}),
                ServiceTier::Standard,
                None,
                json!({"input_uncached": 5_000_000, "request": 7_000}),
            ),
            (
                json!({"input_uncached": 100, "cache_read": 50}),
                ServiceTier::Standard,
                asked,
                json!({"input_uncached": 2_500_000, "cache_read": 250_000, "request": 7_000}),
            ),
            (
                json!({"input_uncached": 100, "cache_write_1h": 50, "audio_in": 2}),
                ServiceTier::Flex,
                None,
                json!({"input_uncached": 1_000_000, "cache_write_1h": 1_000_000, "audio_in": 1_000_000}),
            ),
            (
                json!({"searches": 2, "units": 3}),
                ServiceTier::Standard,
                big,
                json!({"searches": 10_000_000, "units": 80, "request": 7_000}),
            ),
            (json!({"units": 3}), ServiceTier::Standard, None, json!({"units": 80, "request": 7_000})),
        ];
        let price = price();
        for (usage, tier, variant, want) in rows {
            let now = price.on(Timestamp::from_ms(0)).with(variant.as_ref());
            let used: Usage = serde_json::from_value(usage.clone()).unwrap();
            let rates = now.used(&used, tier);
            let written = serde_json::to_value(&rates).unwrap();
            assert_eq!(written, want, "{usage}");
            assert_eq!(serde_json::from_value::<UsedRates>(written).unwrap(), rates);
            let amount = |kind: Kind| match kind {
                Kind::Request => 1,
                kind => usage[serde_json::to_value(kind).unwrap().as_str().unwrap()].as_u64().unwrap(),
            };
            let pico: u64 = rates.iter().map(|(kind, rate)| amount(kind) * rate).sum();
            let cost = now.cost(&used, tier, RATIO_ONE_PPM, Rounding::HalfEven);
            assert_eq!(crate::money::nano_from_pico(i128::from(pico), Rounding::HalfEven), cost, "{usage}");
        }
    }
}
