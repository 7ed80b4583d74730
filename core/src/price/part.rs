//! What few prices have: other rates by the tier that was served, by the time of the week, from a date on, and in another
//! currency.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Price, SearchPrice, UnitPrice};
use crate::money::{NanoUsd, PicoUsd};
use crate::time::Timestamp;

/// Minutes of a week.
pub const WEEK_MINUTES: u16 = 7 * 24 * 60;

/// How an upstream serves a call: sooner or later, for more or less.
///
/// What was served is billed, never what was asked for: an upstream that has no room for priority serves a call as any
/// other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServiceTier {
    /// As calls that ask for nothing.
    #[default]
    Standard,
    /// Later, for less.
    Flex,
    /// Within a day, in a batch.
    Batch,
    /// Sooner, for more.
    Priority,
    /// Sooner still.
    Ultrafast,
    /// Whichever the upstream picks. Only asked for: nothing is served as this.
    Auto,
}

impl ServiceTier {
    /// Those that a call can be served at.
    pub const SERVED: [ServiceTier; 5] = [
        ServiceTier::Standard,
        ServiceTier::Flex,
        ServiceTier::Batch,
        ServiceTier::Priority,
        ServiceTier::Ultrafast,
    ];

    /// The tier as a word, such as `priority`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceTier::Standard => "standard",
            ServiceTier::Flex => "flex",
            ServiceTier::Batch => "batch",
            ServiceTier::Priority => "priority",
            ServiceTier::Ultrafast => "ultrafast",
            ServiceTier::Auto => "auto",
        }
    }

    /// The tier that an upstream means, in requests and answers, by this word of any format; `None` for one that isn't known.
    pub fn of_word(word: &str) -> Option<Self> {
        // QUIRK(gemini, 2026-11, https://ai.google.dev/gemini-api/docs/priority-inference): a tier may be said by the name of the
        // protocol's constant, in any case.
        let word = word.to_ascii_lowercase();
        Some(match word.strip_prefix("service_tier_").unwrap_or(&word) {
            "default" | "standard" | "standard_only" => ServiceTier::Standard,
            "flex" => ServiceTier::Flex,
            "batch" => ServiceTier::Batch,
            "priority" => ServiceTier::Priority,
            "ultrafast" => ServiceTier::Ultrafast,
            "auto" => ServiceTier::Auto,
            _ => return None,
        })
    }

    /// The tier that an answer says it was served at; `None` for a word that isn't known, or that is none.
    pub fn of_answer(word: &str) -> Option<Self> {
        Self::of_word(word).filter(|tier| *tier != ServiceTier::Auto)
    }

    /// Whether it is asked for to be served better than others, which costs more.
    pub const fn is_dear(self) -> bool {
        matches!(self, ServiceTier::Priority | ServiceTier::Ultrafast)
    }

    /// What a call was served at whose answer says nothing of it: as asked, if that is dearer; else as any other. Nothing is
    /// understated.
    pub fn unsaid(asked: Option<ServiceTier>) -> Self {
        asked.filter(|tier| tier.is_dear()).unwrap_or_default()
    }
}

/// A set of tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierSet(u8);

impl TierSet {
    /// The standard tier alone.
    pub const STANDARD: TierSet = TierSet(1 << ServiceTier::Standard as u8);
    /// Every tier.
    pub const ALL: TierSet = TierSet(u8::MAX);

    /// Those that a call can be served at that asks for this one; `unasked` is what its upstream makes of calls that ask for
    /// none. An upstream may serve a call at less than it asks for, or as any other.
    pub fn reached(asked: Option<ServiceTier>, unasked: Option<ServiceTier>) -> Self {
        match asked {
            None => unasked.map_or(Self::STANDARD, |unasked| Self::STANDARD.and(unasked)),
            // Nobody asks for a batch by a word in a call.
            Some(ServiceTier::Auto) => {
                Self::STANDARD.and(ServiceTier::Flex).and(ServiceTier::Priority).and(ServiceTier::Ultrafast)
            }
            // Where the provider isn't known to take the word it isn't sent, and the call is one that asks for none.
            Some(tier) => unasked.map_or(Self::STANDARD, |unasked| Self::STANDARD.and(unasked)).and(tier),
        }
    }

    /// These and this one.
    #[must_use]
    pub const fn and(self, tier: ServiceTier) -> Self {
        Self(self.0 | 1 << tier as u8)
    }

    /// Whether it is one of them.
    pub const fn has(self, tier: ServiceTier) -> bool {
        self.0 >> tier as u8 & 1 == 1
    }
}

/// What few prices have. Each price inside is whole: what it leaves out is unknown, and nothing is taken from the price around
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceParts {
    /// Images in the prompt, for each of their tokens; `None`: as input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_in: Option<PicoUsd>,
    /// Images in the answer, for each of their tokens; `None`: as output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_out: Option<PicoUsd>,
    /// Audio read from the prompt cache; `None`: as other input from there, and without a rate for that as audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_audio_in: Option<PicoUsd>,
    /// Images read from the prompt cache; `None`: as other input from there, and without a rate for that as images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_image_in: Option<PicoUsd>,
    /// A fee for each search that the upstream made of its own, in nano-USD.
    #[serde(skip_serializing_if = "is_zero")]
    pub per_search_nano_usd: NanoUsd,
    /// Searches by how much of what they find they read; others cost `per_search_nano_usd`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_sizes: Vec<SearchPrice>,
    /// Units by size and quality, the first that fits: what a call doesn't say may be any of them, and is charged as the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitPrice>,
    /// Prices by the tier that was served; one that isn't listed costs as the standard one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_tiers: Vec<TierPrice>,
    /// What the upstream makes of calls that ask for no tier, where its account is set to another than the standard one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unasked: Option<ServiceTier>,
    /// Prices for times of the week: the first one whose time it is replaces the price around it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowPrice>,
    /// Prices from a date on: of those whose date has come the last one replaces the price around it, windows and tiers
    /// included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DatedPrice>,
    /// The currency of all amounts of the price, those inside included, instead of USD. Only that of the outermost price
    /// counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

fn is_zero(n: &NanoUsd) -> bool {
    *n == 0
}

/// A price by the tier that was served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPrice {
    /// The tier.
    pub tier: ServiceTier,
    /// What a call costs at it.
    pub price: Price,
}

/// A price for times of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPrice {
    /// When it applies.
    pub times: Vec<WeekSpan>,
    /// What a call costs then.
    pub price: Price,
}

/// A price from a date on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedPrice {
    /// From when on, to the millisecond.
    pub from: Timestamp,
    /// What a call costs from then on.
    pub price: Price,
}

/// A part of each week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeekSpan {
    /// Its first minute, counted from Monday, 00:00 UTC; below 10,080.
    pub from_minute: u16,
    /// The first minute that is no longer in it; up to 10,080. Not more than `from_minute`: it goes on into the next week.
    pub to_minute: u16,
}

impl WeekSpan {
    /// Whether a minute of the week, counted from Monday, 00:00 UTC, is in it.
    pub const fn has(self, minute: u16) -> bool {
        if self.from_minute < self.to_minute {
            self.from_minute <= minute && minute < self.to_minute
        } else {
            self.from_minute <= minute || minute < self.to_minute
        }
    }
}

/// The minute of the week at `at`, counted from Monday, 00:00 UTC.
pub fn minute_of_week(at: Timestamp) -> u16 {
    // 1970-01-01 was a Thursday.
    const THURSDAY: i64 = 3 * 24 * 60;
    let minutes = at.as_ms().div_euclid(60_000).saturating_add(THURSDAY);
    // INVARIANT: below 10,080.
    minutes.rem_euclid(i64::from(WEEK_MINUTES)) as u16
}

/// Another currency, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The currency.
    pub currency: Currency,
    /// How many millionths of its unit one USD is: 7,120,000 when 7.12 CNY are one USD. At least 1.
    pub per_usd_ppm: u64,
}

/// A currency, by its three letters.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The US dollar, in which amounts are booked.
    pub const USD: Currency = Currency(*b"USD");
    /// The yuan.
    pub const CNY: Currency = Currency(*b"CNY");

    /// A currency by its three letters, of either case; `None` for anything else. `RMB` is CNY.
    pub fn of_code(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        let upper = letters.map(|letter| letter.to_ascii_uppercase());
        if upper == *b"RMB" {
            return Some(Self::CNY);
        }
        upper.iter().all(u8::is_ascii_uppercase).then_some(Self(upper))
    }

    /// Its three letters.
    pub fn as_str(&self) -> &str {
        // INVARIANT: ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        Self::of_code(&code)
            .ok_or_else(|| format!("`{code}` is no currency; write three letters such as CNY"))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_known_by_any_of_its_words() {
        for (word, want) in [
            ("default", Some(ServiceTier::Standard)),
            ("flex", Some(ServiceTier::Flex)),
            ("SERVICE_TIER_FLEX", Some(ServiceTier::Flex)),
            ("service_tier_priority", Some(ServiceTier::Priority)),
            ("Priority", Some(ServiceTier::Priority)),
            ("SERVICE_TIER_UNSPECIFIED", None),
            ("auto", None),
        ] {
            assert_eq!(ServiceTier::of_answer(word), want, "{word}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_spans_wrap() {
        // 2026-11-29 was a Sunday, the 30th a Monday.
        for (at, minute) in [
            (0, 3 * 1_440),
            (-1, 3 * 1_440 - 1),
            (1_795_996_800_000, 0),
            (1_795_996_799_999, WEEK_MINUTES - 1),
            (1_795_910_400_000, 6 * 1_440),
        ] {
            assert_eq!(minute_of_week(Timestamp::from_ms(at)), minute, "{at}");
        }
        let span = |from_minute, to_minute| WeekSpan { from_minute, to_minute };
        for (span, minute, has) in [
            (span(60, 120), 59, false),
            (span(60, 120), 60, true),
            (span(60, 120), 119, true),
            (span(60, 120), 120, false),
            (span(10_000, 60), 10_079, true),
            (span(10_000, 60), 0, true),
            (span(10_000, 60), 60, false),
            (span(10_000, 60), 9_999, false),
            (span(0, WEEK_MINUTES), 10_079, true),
            (span(5, 5), 4, true),
        ] {
            assert_eq!(span.has(minute), has, "{span:?} {minute}");
        }
    }

    #[test]
    fn a_call_reaches_what_it_asks_for_and_the_standard_tier() {
        use ServiceTier::{Auto, Batch, Flex, Priority, Standard, Ultrafast};
        for (asked, unasked, want) in [
            (None, None, &[Standard][..]),
            (None, Some(Priority), &[Standard, Priority]),
            (Some(Standard), Some(Priority), &[Standard, Priority]),
            (Some(Flex), None, &[Standard, Flex]),
            (Some(Batch), None, &[Standard, Batch]),
            (Some(Priority), None, &[Standard, Priority]),
            (Some(Auto), None, &[Standard, Flex, Priority, Ultrafast]),
        ] {
            let reached = TierSet::reached(asked, unasked);
            let got: Vec<_> = ServiceTier::SERVED.into_iter().filter(|tier| reached.has(*tier)).collect();
            assert_eq!(got, want, "{asked:?} {unasked:?}");
        }
    }

    #[test]
    fn currencies_are_three_letters() {
        assert_eq!(Currency::of_code("cny"), Some(Currency::CNY));
        assert_eq!(Currency::of_code("RMB"), Some(Currency::CNY));
        assert_eq!(Currency::of_code("¥"), None);
        assert_eq!(Currency::of_code("EURO"), None);
        assert!(serde_json::from_str::<Currency>("\"C1Y\"").is_err());
    }
}
