//! What units and searches cost by what they are: an image by its size and quality, a search by how much of what it found is read.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Price, PriceParts};
use crate::money::{NanoUsd, PicoUsd};

/// Words longer than this are cut, in bytes: none that is known is as long.
const WORD_MAX: usize = 32;

/// Of what kind that is which a call is billed for besides tokens. What isn't said, or left to the upstream (`auto`), is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variant {
    /// An image's size, such as `1024x1024`; how much a search reads, such as `low`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub size: Option<Box<str>>,
    /// An image's quality, such as `hd`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<str>>,
    /// The region in which the call was processed, where the answer says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Box<str>>,
    /// What was read from a cache that the caller had asked for costs no more than this part of input, in parts per million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_cache_ppm: Option<u32>,
}

impl Variant {
    /// What these words say; `None` when that is nothing.
    pub fn of(size: Option<&str>, quality: Option<&str>) -> Option<Self> {
        let found = Self { size: size.and_then(word), quality: quality.and_then(word), ..Self::default() };
        (found != Self::default()).then_some(found)
    }

    /// Of a call that was processed in this region; `None` where that is nowhere in particular.
    // QUIRK(anthropic, 2026-11, https://platform.claude.com/docs/en/build-with-claude/data-residency): `global` is anywhere, and models
    // that can't be told where say `not_available`.
    pub fn in_region(region: &str) -> Option<Self> {
        let region = word(region).filter(|region| !matches!(&**region, "global" | "not_available"))?;
        Some(Self { region: Some(region), ..Self::default() })
    }

    /// What was served: as the answer says, and where it doesn't as was asked for.
    pub fn served(asked: Option<&Self>, said: Option<&Self>) -> Option<Self> {
        let (Some(asked), Some(said)) = (asked, said) else { return asked.or(said).cloned() };
        let either =
            |said: &Option<Box<str>>, asked: &Option<Box<str>>| said.clone().or_else(|| asked.clone());
        Some(Self {
            size: either(&said.size, &asked.size),
            quality: either(&said.quality, &asked.quality),
            region: said.region.clone(),
            asked_cache_ppm: said.asked_cache_ppm,
        })
    }
}

/// A word as prices have it.
fn word(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    let mut text = Cow::Borrowed(text.get(..text.floor_char_boundary(WORD_MAX)).unwrap_or_default());
    if text.contains(|c: char| c.is_ascii_uppercase() || c == '*') {
        // QUIRK(dashscope, 2026-11): sizes are written `1024*1024`.
        text = Cow::Owned(text.to_ascii_lowercase().replace('*', "x"));
    }
    (!text.is_empty() && text != "auto").then(|| text.into())
}

/// However it was written down, it is compared with what calls and answers say.
fn words<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Box<str>>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.as_deref().and_then(word))
}

/// Likewise; what says nothing fits no search.
fn word_of<'de, D: Deserializer<'de>>(d: D) -> Result<Box<str>, D::Error> {
    Ok(word(&String::deserialize(d)?).unwrap_or_default())
}

/// What a unit of some size and quality costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPrice {
    /// Of this size; `None` is any.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub size: Option<Box<str>>,
    /// Of this quality; `None` is any.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<str>>,
    /// For each, in pico-USD.
    pub per_unit: PicoUsd,
}

impl UnitPrice {
    /// Of what these words say.
    pub fn new(size: Option<&str>, quality: Option<&str>, per_unit: PicoUsd) -> Self {
        Self { size: size.and_then(word), quality: quality.and_then(word), per_unit }
    }

    /// Whether it may be meant: what isn't known of a unit may be anything.
    fn fits(&self, variant: Option<&Variant>) -> bool {
        let fits =
            |own: Option<&str>, said: Option<&str>| own.zip(said).is_none_or(|(own, said)| own == said);
        fits(self.size.as_deref(), variant.and_then(|it| it.size.as_deref()))
            && fits(self.quality.as_deref(), variant.and_then(|it| it.quality.as_deref()))
    }
}

/// What a search costs that reads so much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchPrice {
    /// How much: `low`, `medium`, `high`.
    #[serde(deserialize_with = "word_of")]
    pub size: Box<str>,
    /// For each search, in nano-USD.
    pub fee_nano_usd: NanoUsd,
}

impl PriceParts {
    /// The fee of a search.
    pub(super) fn search_fee(&self, variant: Option<&Variant>) -> NanoUsd {
        let size = variant.and_then(|it| it.size.as_deref());
        let own = self.search_sizes.iter().find(|own| Some(&*own.size) == size);
        own.map_or(self.per_search_nano_usd, |own| own.fee_nano_usd)
    }

    /// The most that a search costs, however much it reads.
    pub(super) fn dearest_search_fee(&self) -> NanoUsd {
        let sized = self.search_sizes.iter().map(|own| own.fee_nano_usd);
        sized.fold(self.per_search_nano_usd, NanoUsd::max)
    }
}

impl Price {
    /// What a unit costs. Of what isn't known the list's first stands, which is what the upstream makes of calls that don't say it; what
    /// isn't listed costs as other units, and without a rate for those as the dearest: nothing is understated.
    pub(super) fn unit_rate(&self, variant: Option<&Variant>) -> PicoUsd {
        let first = self.listed_units().iter().find(|own| own.fits(variant));
        first.map_or_else(|| self.other_units(), |own| own.per_unit)
    }

    /// The most that a unit costs of which no more is known than this: what isn't known may turn out to be what isn't listed.
    pub(super) fn dearest_unit_rate(&self, variant: Option<&Variant>) -> PicoUsd {
        let is_known = variant.is_some_and(|it| it.size.is_some() && it.quality.is_some());
        let fitting = self.listed_units().iter().filter(|own| own.fits(variant)).map(|own| own.per_unit);
        let other = self.per_unit.filter(|_| !is_known);
        fitting.chain(other).max().unwrap_or_else(|| self.other_units())
    }

    fn listed_units(&self) -> &[UnitPrice] {
        self.more.as_deref().map_or(&[], |more| &more.units)
    }

    fn other_units(&self) -> PicoUsd {
        let dearest = || self.listed_units().iter().map(|own| own.per_unit).max();
        self.per_unit.or_else(dearest).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Rounding;
    use crate::price::{PriceNow, RATIO_ONE_PPM, Reach, ServiceTier};
    use crate::time::Timestamp;
    use crate::usage::Usage;

    /// DALL-E 3's list.
    fn price(per_unit: Option<PicoUsd>) -> Price {
        let units = [
            ("1024x1024", "standard", 40),
            ("1024x1792", "standard", 80),
            ("1024x1024", "hd", 80),
            ("1024x1792", "hd", 120),
        ]
        .map(|(size, quality, thousandths)| {
            UnitPrice::new(Some(size), Some(quality), thousandths * 1_000_000_000)
        });
        let search_sizes = ["low", "high"]
            .into_iter()
            .zip([5_000_000, 12_000_000])
            .map(|(size, fee_nano_usd)| SearchPrice { size: size.into(), fee_nano_usd })
            .collect();
        let more = PriceParts {
            units: units.into(),
            per_search_nano_usd: 8_000_000,
            search_sizes,
            ..PriceParts::default()
        };
        Price { per_unit, more: Some(Box::new(more)), ..Price::default() }
    }

    #[test]
    fn hits_of_a_cache_that_was_asked_for_cost_no_more_than_their_part_of_input() {
        let usage = Usage { cache_read: 1_000_000, ..Usage::default() };
        for (cache_read, ppm, nano, of_own) in [
            (Some(500_000), None, 500_000_000, 500_000_000),
            (Some(500_000), Some(100_000), 250_000_000, 250_000_000),
            (None, Some(100_000), 250_000_000, 2_500_000_000),
            (Some(100_000), Some(100_000), 100_000_000, 100_000_000),
        ] {
            let card = Price { input: Some(2_500_000), output: Some(0), cache_read, ..Price::default() };
            let variant = Variant { asked_cache_ppm: ppm, ..Variant::default() };
            let price = card.on(Timestamp::from_ms(0)).with(Some(&variant));
            let cost = |price: PriceNow<'_>| {
                price.cost(&usage, ServiceTier::Standard, RATIO_ONE_PPM, Rounding::HalfEven)
            };
            assert_eq!((cost(price), cost(price.own())), (nano, of_own), "{cache_read:?} {ppm:?}");
        }
    }

    #[test]
    fn images_cost_by_size_and_quality() {
        let usage = Usage { units: 2, ..Usage::default() };
        for (size, quality, cost, bound) in [
            (None, None, 80_000_000, 240_000_000),
            (Some("auto"), Some("auto"), 80_000_000, 240_000_000),
            (Some("1024x1024"), None, 80_000_000, 160_000_000),
            (Some("1024*1792"), None, 160_000_000, 240_000_000),
            (None, Some("HD"), 160_000_000, 240_000_000),
            (Some("1024x1792"), Some("hd"), 240_000_000, 240_000_000),
            // What isn't listed costs as the dearest, or as other units do.
            (Some("4096x4096"), None, 240_000_000, 240_000_000),
        ] {
            let variant = Variant::of(size, quality);
            let price = price(None);
            let now = price.on(Timestamp::from_ms(0)).with(variant.as_ref());
            let got = now.cost(&usage, ServiceTier::Standard, RATIO_ONE_PPM, Rounding::HalfEven);
            assert_eq!(got, cost, "{size:?} {quality:?}");
            let reach = Reach { units: 2, ..Reach::PLAIN };
            assert_eq!(now.bound(0, 0, reach, RATIO_ONE_PPM), bound, "{size:?} {quality:?}");
            assert_eq!(
                now.bound_of_known_input(&Usage::default(), 0, reach, RATIO_ONE_PPM),
                bound,
                "{size:?} {quality:?}"
            );
        }
        // A rate for what isn't listed may be the dearest, and is reserved while it may be that.
        let of_others = price(Some(200_000_000_000));
        for (size, quality, bound) in [
            (None, None, 400_000_000),
            (Some("1024x1024"), None, 400_000_000),
            (Some("1024x1024"), Some("hd"), 160_000_000),
        ] {
            let variant = Variant::of(size, quality);
            let now = of_others.on(Timestamp::from_ms(0)).with(variant.as_ref());
            let reach = Reach { units: 2, ..Reach::PLAIN };
            assert_eq!(now.bound(0, 0, reach, RATIO_ONE_PPM), bound, "{size:?} {quality:?}");
        }
        let other = Variant::of(Some("4096x4096"), None);
        assert_eq!(price(Some(7)).unit_rate(other.as_ref()), 7);
        assert_eq!(price(None).times(RATIO_ONE_PPM / 2).unit_rate(None), 20_000_000_000);
        assert!(price(None).is_known());
    }

    #[test]
    fn searches_cost_by_how_much_they_read() {
        let usage = Usage { searches: 3, ..Usage::default() };
        for (size, cost) in [
            (None, 24_000_000),
            (Some("low"), 15_000_000),
            (Some("medium"), 24_000_000),
            (Some("high"), 36_000_000),
        ] {
            let (price, variant) = (price(None), Variant::of(size, None));
            let now = price.on(Timestamp::from_ms(0)).with(variant.as_ref());
            let got = now.cost(&usage, ServiceTier::Standard, RATIO_ONE_PPM, Rounding::HalfEven);
            assert_eq!(got, cost, "{size:?}");
            // How much will be read isn't known before.
            let reach = Reach { searches: 3, ..Reach::PLAIN };
            assert_eq!(now.bound(0, 0, reach, RATIO_ONE_PPM), 36_000_000, "{size:?}");
            assert_eq!(now.bound_of_known_input(&usage, 0, Reach::PLAIN, RATIO_ONE_PPM), 36_000_000);
        }
        assert_eq!(
            price(None).times(RATIO_ONE_PPM * 2).more.unwrap().search_sizes[1].fee_nano_usd,
            24_000_000
        );
    }

    #[test]
    fn words_are_read_as_they_are_compared() {
        for (written, size, quality) in [
            (r#"{"size":"1024*1792","quality":"HD","per_unit":1}"#, Some("1024x1792"), Some("hd")),
            (r#"{"size":"auto","quality":" Low ","per_unit":1}"#, None, Some("low")),
            (r#"{"size":null,"per_unit":1}"#, None, None),
        ] {
            let read: UnitPrice = serde_json::from_str(written).unwrap();
            assert_eq!(read, UnitPrice::new(size, quality, 1), "{written}");
        }
        let asked: Variant = serde_json::from_str(r#"{"size":"1024*1024","quality":"auto"}"#).unwrap();
        assert_eq!(Some(asked), Variant::of(Some("1024x1024"), None));
        let search: SearchPrice = serde_json::from_str(r#"{"size":"High","fee_nano_usd":3}"#).unwrap();
        assert_eq!(&*search.size, "high");
        assert!(serde_json::from_str::<UnitPrice>(r#"{"per_unit":1,"qualities":"hd"}"#).is_err());
    }

    #[test]
    fn what_the_answer_says_goes_before_what_was_asked() {
        let of = Variant::of;
        for (asked, said, want) in [
            (None, None, None),
            (of(Some("a"), Some("b")), None, of(Some("a"), Some("b"))),
            (None, of(Some("c"), None), of(Some("c"), None)),
            (of(Some("a"), Some("b")), of(Some("c"), None), of(Some("c"), Some("b"))),
        ] {
            assert_eq!(Variant::served(asked.as_ref(), said.as_ref()), want);
        }
    }
}
