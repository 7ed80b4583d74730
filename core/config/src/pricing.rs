//! Prices as they are written: of what few prices have only what differs is said, and the rest follows.

use sluicegate_core::money::NanoUsd;
use sluicegate_core::price::{
    DatedPrice, Price, PriceParts, PriceTier, SearchPrice, ServiceTier, TierPrice, UnitPrice, WEEK_MINUTES,
    WeekSpan, WindowPrice,
};
use sluicegate_core::time::Timestamp;

/// What is written of a price, or of how it differs from the one around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// The rates that are written; its tiers are if `has_tiers`.
    pub(crate) rates: Price,
    pub(crate) image_in: Option<u64>,
    pub(crate) image_out: Option<u64>,
    pub(crate) cached_audio_in: Option<u64>,
    pub(crate) cached_image_in: Option<u64>,
    pub(crate) units: Option<Vec<UnitPrice>>,
    pub(crate) search_sizes: Option<Vec<SearchPrice>>,
    pub(crate) per_request: Option<NanoUsd>,
    pub(crate) per_search: Option<NanoUsd>,
    /// All that isn't written, times this, in parts per million.
    pub(crate) ratio_ppm: Option<u32>,
    pub(crate) has_tiers: bool,
    pub(crate) service_tiers: Option<Vec<(ServiceTier, Written)>>,
    pub(crate) windows: Option<Vec<(Vec<WeekSpan>, Written)>>,
    pub(crate) changes: Vec<(Timestamp, Written)>,
}

impl Written {
    /// The price that is written, with those inside whole: what one of them leaves out stands to its input, or its output, as it
    /// does in the price around it.
    pub(crate) fn price(&self) -> Price {
        self.over(&Price::default())
    }

    /// Likewise, where it differs from `around`.
    pub(crate) fn over(&self, around: &Price) -> Price {
        let base = match self.ratio_ppm {
            Some(ratio) => around.times(ratio),
            None => around.in_proportion(
                proportion(self.rates.input, around.input),
                proportion(self.rates.output, around.output),
            ),
        };
        let mut price = self.flat(&base);
        let mut parts = price.more.take().map(|more| *more).unwrap_or_default();
        // What differs by tier stays what the price around it says, in proportion, unless it is written.
        if let Some(own) = &self.service_tiers {
            price.more = boxed(parts.clone());
            let plain = plain(&price);
            parts.service_tiers =
                own.iter().map(|(tier, it)| TierPrice { tier: *tier, price: it.over(&plain) }).collect();
        }
        if let Some(own) = &self.windows {
            price.more = boxed(PriceParts { windows: Vec::new(), ..parts.clone() });
            parts.windows = own
                .iter()
                .map(|(times, it)| WindowPrice { times: times.clone(), price: it.over(&price) })
                .collect();
        }
        price.more = boxed(PriceParts { changes: Vec::new(), ..parts.clone() });
        // One change follows another.
        let mut before = price.clone();
        for (from, it) in &self.changes {
            before = it.over(&before);
            parts.changes.push(DatedPrice { from: *from, price: before.clone() });
        }
        price.more = boxed(parts);
        price
    }

    /// The rates alone.
    fn flat(&self, base: &Price) -> Price {
        let own = &self.rates;
        let mut price = Price {
            input: own.input.or(base.input),
            output: own.output.or(base.output),
            cache_read: own.cache_read.or(base.cache_read),
            cache_write: own.cache_write.or(base.cache_write),
            cache_write_1h: own.cache_write_1h.or(base.cache_write_1h),
            output_reasoning: own.output_reasoning.or(base.output_reasoning),
            audio_in: own.audio_in.or(base.audio_in),
            audio_out: own.audio_out.or(base.audio_out),
            per_unit: own.per_unit.or(base.per_unit),
            per_request_nano_usd: self.per_request.unwrap_or(base.per_request_nano_usd),
            tiers: if self.has_tiers { own.tiers.clone() } else { base.tiers.clone() },
            more: base.more.clone(),
        };
        if own.per_unit.is_some()
            && let Some(more) = price.more.as_deref_mut()
        {
            // A rate that is written anew is that of every size and quality, unless those are, too.
            more.units.clear();
        }
        let rates = [self.image_in, self.image_out, self.cached_audio_in, self.cached_image_in];
        let has_lists = self.units.is_some() || self.search_sizes.is_some();
        if rates.iter().any(Option::is_some) || self.per_search.is_some() || has_lists {
            let more = price.more.get_or_insert_default();
            more.image_in = self.image_in.or(more.image_in);
            more.image_out = self.image_out.or(more.image_out);
            more.cached_audio_in = self.cached_audio_in.or(more.cached_audio_in);
            more.cached_image_in = self.cached_image_in.or(more.cached_image_in);
            if self.per_search.is_some() {
                // A fee that is written anew is that of every size, unless those are, too.
                more.search_sizes.clear();
            }
            more.per_search_nano_usd = self.per_search.unwrap_or(more.per_search_nano_usd);
            if let Some(own) = &self.units {
                more.units.clone_from(own);
            }
            if let Some(own) = &self.search_sizes {
                more.search_sizes.clone_from(own);
            }
        }
        price
    }
}

/// A price without those inside it.
fn plain(price: &Price) -> Price {
    let more = price.more.as_deref().map(|more| PriceParts {
        image_in: more.image_in,
        image_out: more.image_out,
        cached_audio_in: more.cached_audio_in,
        cached_image_in: more.cached_image_in,
        per_search_nano_usd: more.per_search_nano_usd,
        search_sizes: more.search_sizes.clone(),
        units: more.units.clone(),
        ..PriceParts::default()
    });
    Price { more: more.and_then(boxed), ..price.clone() }
}

fn boxed(parts: PriceParts) -> Option<Box<PriceParts>> {
    (parts != PriceParts::default()).then(|| Box::new(parts))
}

/// How the one rate stands to the other; nothing changes where one of them isn't known.
fn proportion(own: Option<u64>, around: Option<u64>) -> (u64, u64) {
    own.zip(around).filter(|(_, around)| *around > 0).unwrap_or((1, 1))
}

/// Makes the parts of a price writable.
pub(crate) fn parts(price: &mut Price) -> &mut PriceParts {
    price.more.get_or_insert_default()
}

/// Sorts tiers by their bounds; the last of several with the same one stands.
pub(crate) fn sort_tiers(tiers: &mut Vec<PriceTier>) {
    tiers.sort_by_key(|tier| tier.above_input_tokens);
    tiers.dedup_by(|later, kept| {
        let same = later.above_input_tokens == kept.above_input_tokens;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// The parts of a week in which it is one of these hours on one of these days, which count from 1 for Monday. What reaches
/// midnight or wraps it belongs to the day on which it begins.
pub(crate) fn spans(hours: &[(u16, u16)], weekdays: &[u16]) -> Vec<WeekSpan> {
    const DAY: u16 = 24 * 60;
    let mut spans = Vec::new();
    for day in weekdays {
        for (from, to) in hours {
            let from_minute = (day - 1) * DAY + from;
            let length = if to > from { to - from } else { DAY + to - from };
            let mut to_minute = (from_minute + length) % WEEK_MINUTES;
            if to_minute == 0 {
                to_minute = WEEK_MINUTES;
            }
            spans.push(WeekSpan { from_minute, to_minute });
        }
    }
    spans
}

/// `22:00-06:00` as minutes of the day; the end may be 24:00, which is 00:00.
pub(crate) fn hours(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let both = |text: &str, below: u16| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|n| digits && *n < below)
        };
        let (hour, minute) = (both(hour, 25)?, both(minute, 60)?);
        (hour < 24 || minute == 0).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < 24 * 60).then_some((from, to % (24 * 60)))
}

/// A day as its first instant in UTC, or an instant.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    Timestamp::read(text.trim(), &jiff::tz::TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_wrap_midnight_and_weeks() {
        assert_eq!(hours("22:00-06:00"), Some((1_320, 360)));
        assert_eq!(hours("10:00-24:00"), Some((600, 0)));
        assert_eq!(hours("00:00-00:00"), Some((0, 0)));
        for wrong in ["24:00-01:00", "1:00-2:00", "10:60-11:00", "10-11", "24:30-01:00", "+1:00-02:00"] {
            assert_eq!(hours(wrong), None, "{wrong}");
        }
        let span = |from_minute, to_minute| WeekSpan { from_minute, to_minute };
        assert_eq!(spans(&[(1_320, 360)], &[1, 7]), [span(1_320, 1_800), span(9_960, 360)]);
        assert_eq!(spans(&[(0, 0)], &[7]), [span(8_640, WEEK_MINUTES)]);
        assert_eq!(spans(&[(600, 0)], &[1]), [span(600, 1_440)]);
    }

    #[test]
    fn dates_begin_at_midnight_in_utc() {
        assert_eq!(instant("2027-01-01"), Some(Timestamp::from_ms(1_798_761_600_000)));
        assert_eq!(instant("2027-01-01T08:00:00+08:00"), Some(Timestamp::from_ms(1_798_761_600_000)));
        assert_eq!(instant("2027-01-01T12:00:00+08:00"), Some(Timestamp::from_ms(1_798_776_000_000)));
        assert_eq!(instant("2027-02-30"), None);
        assert_eq!(instant("soon"), None);
    }

    #[test]
    fn what_a_tier_leaves_out_stands_in_proportion() {
        let tier =
            PriceTier { above_input_tokens: 9, input: Some(40), output: Some(60), ..PriceTier::default() };
        let rates = Price {
            input: Some(20),
            output: Some(30),
            cache_read: Some(3),
            tiers: vec![tier],
            ..Price::default()
        };
        let flex = Written { rates: Price { input: Some(10), ..Price::default() }, ..Written::default() };
        let half = Written { ratio_ppm: Some(500_000), ..Written::default() };
        let written = Written {
            rates,
            has_tiers: true,
            per_request: Some(8),
            service_tiers: Some(vec![(ServiceTier::Flex, flex), (ServiceTier::Batch, half.clone())]),
            windows: Some(vec![(spans(&[(0, 60)], &[1]), half)]),
            ..Written::default()
        };
        let price = written.price();
        let more = price.more.as_deref().unwrap();
        let [flex, batch] = more.service_tiers.as_slice() else { panic!("two") };
        // Half a unit is rounded up: never understated.
        assert_eq!(
            (flex.price.input, flex.price.cache_read, flex.price.output),
            (Some(10), Some(2), Some(30))
        );
        assert_eq!((flex.price.tiers[0].input, flex.price.tiers[0].output), (Some(20), Some(60)));
        assert_eq!((batch.price.output, batch.price.per_request_nano_usd), (Some(15), 4));
        let window = &more.windows[0].price;
        assert_eq!(window.input, Some(10));
        // Both halves.
        assert_eq!(window.more.as_deref().unwrap().service_tiers[0].price.input, Some(5));
        assert!(window.more.as_deref().unwrap().windows.is_empty());
    }
}
