//! What differs between two lists of prices.

use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate_core::price::{Currency, Price, PriceParts};

use super::write::{currency, decimal, fraction, times};
use super::{ListedPrice, named_rates};

/// How a model's price differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceChange {
    /// Some of it costs more, and nothing less.
    Dearer,
    /// Some of it costs less, and nothing more.
    Cheaper,
    /// Some of it costs more and some less, or some is priced that wasn't.
    Mixed,
    /// Only the second list has it.
    New,
    /// Only the first list has it.
    Gone,
}

/// A rate or fee that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateChange {
    /// Which one, as in `flex.input`, `above 200000.output` or `from 2027-01-01T00:00:00.000Z.input`.
    pub rate: String,
    /// What it was, per million tokens or as a fee; `None`: it had no price of its own.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// A model whose price differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriceDifference {
    /// The provider's id; `None` is every provider.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// How.
    pub change: PriceChange,
    /// What differs; of a new or vanished price nothing.
    pub rates: Vec<RateChange>,
}

/// What differs from `before` to `after`, by provider and model. Of a model that a list has twice the first one counts.
pub fn compare_prices(before: &[ListedPrice], after: &[ListedPrice]) -> Vec<PriceDifference> {
    type Key<'a> = (Option<&'a str>, &'a str);
    fn by_key(list: &[ListedPrice]) -> BTreeMap<Key<'_>, &Price> {
        let mut map = BTreeMap::new();
        for it in list {
            map.entry((it.provider.as_deref(), it.model.as_str())).or_insert(&it.price);
        }
        map
    }
    let (old, new) = (by_key(before), by_key(after));
    let difference = |(provider, model): Key<'_>, change, rates| PriceDifference {
        provider: provider.map(str::to_owned),
        model: model.to_owned(),
        change,
        rates,
    };
    let mut all = Vec::new();
    for (key, price) in &old {
        match new.get(key) {
            None => all.push(difference(*key, PriceChange::Gone, Vec::new())),
            Some(now) if *now == *price => {}
            Some(now) => {
                let (change, rates) = rates_that_differ(price, now);
                if !rates.is_empty() {
                    all.push(difference(*key, change, rates));
                }
            }
        }
    }
    all.extend(
        new.keys()
            .filter(|key| !old.contains_key(*key))
            .map(|key| difference(*key, PriceChange::New, Vec::new())),
    );
    all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    all
}

fn rates_that_differ(before: &Price, after: &Price) -> (PriceChange, Vec<RateChange>) {
    let (old, new) = (flat(before), flat(after));
    let (old_currency, new_currency) = (currency(before), currency(after));
    let text = |name: &str, value: Option<&u64>, of: Currency| {
        value.map(|value| {
            let is_fine = name.rsplit('.').next().is_some_and(|name| name.starts_with(PER_UNIT));
            let number = if is_fine { fraction(*value, 12) } else { decimal(*value) };
            if of == Currency::USD { number } else { format!("{number} {of}") }
        })
    };
    let (mut up, mut down, mut other) = (false, false, old_currency != new_currency);
    let mut rates = Vec::new();
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        if was == is && old_currency == new_currency {
            continue;
        }
        match (was, is) {
            (Some(was), Some(is)) if is > was => up = true,
            (Some(was), Some(is)) if is < was => down = true,
            _ => other = true,
        }
        rates.push(RateChange {
            rate: name.clone(),
            before: text(name, was, old_currency),
            after: text(name, is, new_currency),
        });
    }
    let change = match (up, down, other) {
        (true, false, false) => PriceChange::Dearer,
        (false, true, false) => PriceChange::Cheaper,
        _ => PriceChange::Mixed,
    };
    (change, rates)
}

/// The prices that are kept in 10⁻¹²: a character costs little.
const PER_UNIT: &str = "per_unit";

/// Every rate and fee by its name, in millionths, that for a unit in 10⁻¹².
fn flat(price: &Price) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    put(price, "", &mut all);
    all
}

// BOUND: prices nest as deep as the files that they were read from.
fn put(price: &Price, before: &str, all: &mut BTreeMap<String, u64>) {
    let nothing = PriceParts::default();
    let more = price.more.as_deref().unwrap_or(&nothing);
    let mut add = |name: String, rate: Option<u64>| {
        if let Some(rate) = rate {
            all.insert(format!("{before}{name}"), rate);
        }
    };
    for (name, rate) in named_rates(price) {
        add(name.to_owned(), rate);
    }
    add(PER_UNIT.to_owned(), price.per_unit);
    let fee = |nano: i64| u64::try_from(nano / 1_000).ok().filter(|fee| *fee > 0);
    add("per_request".to_owned(), fee(price.per_request_nano_usd));
    add("per_search".to_owned(), fee(more.per_search_nano_usd));
    for own in &more.units {
        let words = [own.size.as_deref(), own.quality.as_deref()].into_iter().flatten();
        let name = std::iter::once(PER_UNIT).chain(words).collect::<Vec<_>>().join(" ");
        add(name, Some(own.per_unit));
    }
    for own in &more.search_sizes {
        add(format!("per_search {}", own.size), fee(own.fee_nano_usd));
    }
    for tier in &price.tiers {
        for (name, rate) in [
            ("input", tier.input),
            ("output", tier.output),
            ("cached_input", tier.cache_read),
            ("cache_write", tier.cache_write),
            ("cache_write_1h", tier.cache_write_1h),
            ("reasoning_output", tier.output_reasoning),
        ] {
            add(format!("above {}.{name}", tier.above_input_tokens), rate);
        }
    }
    for own in &more.service_tiers {
        put(&own.price, &format!("{before}{}.", own.tier.as_str()), all);
    }
    // Whether times stand in one window or in several of the same price is no difference.
    for own in &more.windows {
        for (hours, days) in times(&own.times) {
            put(&own.price, &format!("{before}{hours} {}.", days.join(" ")), all);
        }
    }
    for own in &more.changes {
        put(&own.price, &format!("{before}from {}.", own.from), all);
    }
}
