//! Prices as our own files have them.

use std::fmt::Write as _;

use sluicegate_core::money::{NanoUsd, PicoUsd, format_usd};
use sluicegate_core::price::{
    Currency, Exchange, Price, PriceParts, PriceTier, UnitPrice, WEEK_MINUTES, WeekSpan,
};

use super::{ListedPrice, named_rates};

/// A native file with these prices, ready to be used or included.
pub fn write_prices(prices: &[ListedPrice]) -> String {
    let mut text = "version: 1\n".to_owned();
    let mut currencies: Vec<Exchange> = Vec::new();
    for exchange in prices.iter().filter_map(|it| it.price.more.as_deref()?.exchange) {
        if !currencies.contains(&exchange) {
            currencies.push(exchange);
        }
    }
    if !currencies.is_empty() {
        let rate = |it: &Exchange| format!("{}: {}", it.currency, decimal(it.per_usd_ppm));
        let all: Vec<_> = currencies.iter().map(rate).collect();
        let _ = writeln!(text, "currencies: {{{}}}", all.join(", "));
    }
    text.push_str("prices:\n");
    for ListedPrice { provider, model, price } in prices {
        let mut before = "- ";
        if let Some(provider) = provider {
            let _ = writeln!(text, "  - provider: {}", quoted(provider));
            before = "  ";
        }
        let _ = writeln!(text, "  {before}model: {}\n    price: {}", quoted(model), price_yaml(price));
    }
    text
}

/// A price as it stands behind `price:`, on one line.
pub fn price_yaml(price: &Price) -> String {
    let mut parts = Vec::new();
    if let Some(exchange) = price.more.as_deref().and_then(|more| more.exchange) {
        parts.push(format!("currency: {}", exchange.currency));
    }
    rates(price, &mut parts);
    if let Some(more) = price.more.as_deref() {
        changes(more, &mut parts);
    }
    format!("{{{}}}", parts.join(", "))
}

fn rates(price: &Price, parts: &mut Vec<String>) {
    let more = price.more.as_deref();
    for (name, rate) in named_rates(price) {
        parts.extend(rate.map(|rate| format!("{name}: {}", decimal(rate))));
    }
    parts.extend(price.per_unit.map(|rate| format!("per_unit: {}", fraction(rate, 12))));
    if let Some(more) = more {
        push_list("per_image", more.units.iter().map(unit).collect(), parts);
    }
    let per_search = more.map_or(0, |more| more.per_search_nano_usd);
    for (name, fee) in [("per_request", price.per_request_nano_usd), ("per_search", per_search)] {
        parts.extend(
            Some(fee).filter(|fee: &NanoUsd| *fee != 0).map(|fee| format!("{name}: {}", format_usd(fee))),
        );
    }
    let sizes = more.map_or(&[][..], |more| &more.search_sizes);
    if !sizes.is_empty() {
        let all: Vec<_> =
            sizes.iter().map(|own| format!("{}: {}", own.size, format_usd(own.fee_nano_usd))).collect();
        parts.push(format!("search_sizes: {{{}}}", all.join(", ")));
    }
    if !price.tiers.is_empty() {
        parts.push(format!("tiers: [{}]", price.tiers.iter().map(tier).collect::<Vec<_>>().join(", ")));
    }
    if let Some(more) = more {
        inner(more, parts);
    }
}

fn unit(own: &UnitPrice) -> String {
    let mut parts = Vec::new();
    for (name, word) in [("size", &own.size), ("quality", &own.quality)] {
        parts.extend(word.as_deref().map(|word| format!("{name}: {}", quoted(word))));
    }
    parts.push(format!("price: {}", fraction(own.per_unit, 12)));
    format!("{{{}}}", parts.join(", "))
}

fn tier(tier: &PriceTier) -> String {
    let mut parts = vec![format!("above_input_tokens: {}", tier.above_input_tokens)];
    for (name, rate) in [
        ("input", tier.input),
        ("output", tier.output),
        ("cached_input", tier.cache_read),
        ("cache_write", tier.cache_write),
        ("cache_write_1h", tier.cache_write_1h),
        ("reasoning_output", tier.output_reasoning),
    ] {
        parts.extend(rate.map(|rate| format!("{name}: {}", decimal(rate))));
    }
    format!("{{{}}}", parts.join(", "))
}

fn inner(more: &PriceParts, parts: &mut Vec<String>) {
    let tiers = more.service_tiers.iter().map(|own| {
        let mut parts = vec![format!("tier: {}", own.tier.as_str())];
        rates(&own.price, &mut parts);
        format!("{{{}}}", parts.join(", "))
    });
    push_list("service_tiers", tiers.collect(), parts);
    let windows = more.windows.iter().flat_map(|own| {
        let mut price = Vec::new();
        rates(&own.price, &mut price);
        times(&own.times).into_iter().map(move |(hours, days)| {
            let days = days.join(", ");
            format!("{{hours_utc: [\"{hours}\"], weekdays: [{days}], {}}}", price.join(", "))
        })
    });
    push_list("windows", windows.collect(), parts);
}

fn changes(more: &PriceParts, parts: &mut Vec<String>) {
    let changes = more.changes.iter().map(|own| {
        let mut parts = vec![format!("from: {}", own.from)];
        rates(&own.price, &mut parts);
        format!("{{{}}}", parts.join(", "))
    });
    push_list("changes", changes.collect(), parts);
}

fn push_list(name: &str, all: Vec<String>, parts: &mut Vec<String>) {
    if !all.is_empty() {
        parts.push(format!("{name}: [{}]", all.join(", ")));
    }
}

/// Spans as times of the day, each with the days on which it begins.
pub(super) fn times(spans: &[WeekSpan]) -> Vec<(String, Vec<&'static str>)> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const DAY: u16 = 24 * 60;
    let mut all: Vec<(String, Vec<&'static str>)> = Vec::new();
    for span in spans {
        let clock = |minute: u16| format!("{:02}:{:02}", minute % DAY / 60, minute % 60);
        let hours = format!("{}-{}", clock(span.from_minute), clock(span.to_minute % WEEK_MINUTES));
        let Some(day) = DAYS.get(usize::from(span.from_minute / DAY)).copied() else { continue };
        match all.iter_mut().find(|(known, _)| *known == hours) {
            Some((_, days)) => days.push(day),
            None => all.push((hours, vec![day])),
        }
    }
    all
}

/// Millionths as a decimal number.
pub(super) fn decimal(millionths: PicoUsd) -> String {
    fraction(millionths, 6)
}

/// What is written with so many digits behind the point, as a decimal number.
pub(super) fn fraction(amount: PicoUsd, digits: usize) -> String {
    let text = format!("{amount:0>width$}", width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    if is_name { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// The currency of a price.
pub(super) fn currency(price: &Price) -> Currency {
    price.more.as_deref().and_then(|more| more.exchange).map_or(Currency::USD, |it| it.currency)
}
