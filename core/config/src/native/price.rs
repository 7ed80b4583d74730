//! Prices of our own dialect.

use std::sync::Arc;

use sluicegate_core::channel::PriceTerms;
use sluicegate_core::ids::ModelName;
use sluicegate_core::money::parse_decimal;
use sluicegate_core::price::{
    Currency, Exchange, Price, PriceTier, SearchPrice, ServiceTier, UnitPrice, WeekSpan,
};
use sluicegate_core::tenant::{OwnPrice, Terms};

use super::section::Section;
use super::{required, section};
use crate::diagnostic::Severity;
use crate::pricing::{self, Written};
use crate::quantity::parse_usd;
use crate::reader::{Fields, Item, Load};

const TIERS: [(&str, ServiceTier); 4] = [
    ("flex", ServiceTier::Flex),
    ("batch", ServiceTier::Batch),
    ("priority", ServiceTier::Priority),
    ("ultrafast", ServiceTier::Ultrafast),
];

const WEEKDAYS: [(&str, u16); 7] =
    [("mon", 1), ("tue", 2), ("wed", 3), ("thu", 4), ("fri", 5), ("sat", 6), ("sun", 7)];

/// What other currencies are worth.
#[derive(Clone, Debug, Default)]
pub(super) struct Currencies(Vec<Exchange>);

/// Reads `currencies`.
pub(super) fn currencies(load: &mut Load<'_>, item: &Item<'_>) -> Currencies {
    let mut currencies = Currencies::default();
    if !item.is_map(load) {
        return currencies;
    }
    for (code, child) in item.children() {
        let Some(currency) = Currency::of_code(code).filter(|it| *it != Currency::USD) else {
            let message = "this is no currency other than USD, in which amounts are booked";
            child.say(
                load,
                Severity::Error,
                "invalid_value",
                message,
                "write its three letters, such as CNY",
            );
            continue;
        };
        let rate = child.parsed(load, "how many of it are one USD, more than 0", |text| {
            parse_decimal(text, 6).and_then(|ppm| u64::try_from(ppm).ok()).filter(|ppm| *ppm > 0)
        });
        currencies.0.extend(rate.map(|per_usd_ppm| Exchange { currency, per_usd_ppm }));
    }
    currencies
}

impl Currencies {
    pub(super) fn all(&self) -> &[Exchange] {
        &self.0
    }

    fn of(&self, load: &mut Load<'_>, item: &Item<'_>) -> Option<Exchange> {
        let code = item.filled(load)?;
        let currency = Currency::of_code(&code);
        if currency == Some(Currency::USD) {
            return None;
        }
        let found = self.0.iter().find(|it| Some(it.currency) == currency).copied();
        if found.is_none() {
            let shown: String = code.chars().take(20).collect();
            let message = format!("the file doesn't say what `{shown}` is worth");
            load.report_with(
                (Severity::Error, "unknown_currency"),
                (item.place, &item.at),
                message,
                "say at the top of the file how many of it are one USD",
                format!("currencies: {{{}: …}}", currency.unwrap_or(Currency::CNY)),
            );
        }
        found
    }
}

/// A price: USD, or another currency, per million tokens.
pub(super) fn price(load: &mut Load<'_>, item: &Item<'_>, currencies: &Currencies) -> Price {
    let Some(fields) = Fields::open_section(load, item, &section::MODEL_PRICE) else {
        return Price::default();
    };
    let mut price = written(load, &fields).price();
    if let Some(item) = fields.get("currency")
        && let Some(exchange) = currencies.of(load, &item)
    {
        pricing::parts(&mut price).exchange = Some(exchange);
    }
    price
}

/// What is written of a price or a part of one; which keys it has is for the section to say.
fn written(load: &mut Load<'_>, fields: &Fields<'_>) -> Written {
    let mut own = Written { rates: rates(load, fields), ..Written::default() };
    if let Some(list) = fields.get("tiers") {
        own.has_tiers = true;
        own.rates.tiers = tiers(load, &list);
    }
    let mut fee =
        |key: &str| fields.get(key)?.parsed(load, "an amount of money", |text| parse_usd(text).ok());
    (own.per_request, own.per_search) = (fee("per_request"), fee("per_search"));
    own.rates.per_unit = fields.get("per_unit").and_then(|item| item.decimal(load, 12));
    own.units = fields.get("per_image").map(|list| images(load, &list));
    own.search_sizes = fields.get("search_sizes").map(|item| search_sizes(load, &item));
    let mut read = |key: &str| fields.get(key).and_then(|item| item.decimal(load, 6));
    (own.image_in, own.image_out) = (read("image_input"), read("image_output"));
    (own.cached_audio_in, own.cached_image_in) = (read("cached_audio_input"), read("cached_image_input"));
    own.ratio_ppm = fields.get("ratio").and_then(|item| ratio(load, &item));
    if let Some(list) = fields.get("service_tiers") {
        let each = |load: &mut Load<'_>, fields: &Fields<'_>| {
            let tier = required(load, fields, "tier").and(fields.get("tier"))?.word(load, &TIERS)?;
            Some((tier, written(load, fields)))
        };
        own.service_tiers = Some(inner(load, &list, &section::SERVICE_TIER, each));
    }
    if let Some(list) = fields.get("windows") {
        let each =
            |load: &mut Load<'_>, fields: &Fields<'_>| Some((times(load, fields)?, written(load, fields)));
        own.windows = Some(inner(load, &list, &section::PRICE_WINDOW, each));
    }
    if let Some(list) = fields.get("changes") {
        let each = |load: &mut Load<'_>, fields: &Fields<'_>| {
            required(load, fields, "from")?;
            let want = "a day such as 2027-01-01, which begins in UTC, or an instant such as 2027-01-01T00:00:00+08:00";
            let from = fields.get("from")?.parsed(load, want, pricing::instant)?;
            Some((from, written(load, fields)))
        };
        own.changes = inner(load, &list, &section::PRICE_CHANGE, each);
        own.changes.sort_by_key(|(from, _)| *from);
    }
    own
}

/// What images cost by size and quality.
fn images(load: &mut Load<'_>, list: &Item<'_>) -> Vec<UnitPrice> {
    let mut all = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::IMAGE_PRICE) else { continue };
        let (size, quality) = (fields.text(load, "size"), fields.text(load, "quality"));
        let price = required(load, &fields, "price").and(fields.get("price"));
        let Some(per_unit) = price.and_then(|item| item.decimal(load, 12)) else { continue };
        all.push(UnitPrice::new(size.as_deref(), quality.as_deref(), per_unit));
    }
    all
}

/// What searches cost by how much they read.
fn search_sizes(load: &mut Load<'_>, item: &Item<'_>) -> Vec<SearchPrice> {
    let Some(fields) = Fields::open_section(load, item, &section::SEARCH_SIZES) else { return Vec::new() };
    let mut fee = |size: &str| {
        let fee = fields.get(size)?.parsed(load, "an amount of money", |text| parse_usd(text).ok())?;
        Some(SearchPrice { size: size.into(), fee_nano_usd: fee })
    };
    ["low", "medium", "high"].into_iter().filter_map(&mut fee).collect()
}

fn inner<T>(
    load: &mut Load<'_>,
    list: &Item<'_>,
    section: &Section,
    mut each: impl FnMut(&mut Load<'_>, &Fields<'_>) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, section) else { continue };
        if fields.get("ratio").is_some() && (fields.get("input").is_some() || fields.get("output").is_some())
        {
            let message =
                "`ratio` is of all that isn't written, and says nothing beside `input` and `output`";
            item.say(load, Severity::Error, "contradiction", message, "write the one or the other");
        }
        all.extend(each(load, &fields));
    }
    all
}

fn rates(load: &mut Load<'_>, fields: &Fields<'_>) -> Price {
    let mut read = |key: &str| fields.get(key).and_then(|item| item.decimal(load, 6));
    Price {
        input: read("input"),
        output: read("output"),
        cache_read: read("cached_input"),
        cache_write: read("cache_write"),
        cache_write_1h: read("cache_write_1h"),
        output_reasoning: read("reasoning_output"),
        audio_in: read("audio_input"),
        audio_out: read("audio_output"),
        ..Price::default()
    }
}

fn tiers(load: &mut Load<'_>, list: &Item<'_>) -> Vec<PriceTier> {
    let mut tiers = Vec::new();
    for item in list.list(load) {
        let Some(tier) = Fields::open_section(load, &item, &section::TIER) else { continue };
        let Some(above_input_tokens) = tier.unsigned(load, "above_input_tokens") else {
            let message = "the tier doesn't say from which prompt length on it applies";
            item.say(load, Severity::Error, "missing_key", message, "add `above_input_tokens`");
            continue;
        };
        let own = rates(load, &tier);
        tiers.push(PriceTier {
            above_input_tokens,
            input: own.input,
            output: own.output,
            cache_read: own.cache_read,
            cache_write: own.cache_write,
            cache_write_1h: own.cache_write_1h,
            output_reasoning: own.output_reasoning,
        });
    }
    pricing::sort_tiers(&mut tiers);
    tiers
}

fn times(load: &mut Load<'_>, fields: &Fields<'_>) -> Option<Vec<WeekSpan>> {
    let Some(item) = fields.get("hours_utc") else {
        let message = "the setting `hours_utc` is missing";
        fields.item.say(
            load,
            Severity::Error,
            "missing_key",
            message,
            "add `hours_utc`, such as [\"22:00-06:00\"]",
        );
        return None;
    };
    let mut hours = Vec::new();
    for text in item.texts(load) {
        match pricing::hours(&text) {
            Some(span) => hours.push(span),
            None => item.wrong(load, "times of the day in UTC such as 22:00-06:00"),
        }
    }
    let mut days: Vec<u16> = Vec::new();
    match fields.get("weekdays") {
        None => days.extend(1..=7),
        Some(item) => {
            for text in item.texts(load) {
                match WEEKDAYS.iter().find(|(name, _)| *name == text.to_lowercase()) {
                    Some((_, day)) => days.push(*day),
                    None => item.wrong(load, "a list of mon, tue, wed, thu, fri, sat and sun"),
                }
            }
        }
    }
    Some(pricing::spans(&hours, &days))
}

/// A ratio in parts per million.
pub(super) fn ratio(load: &mut Load<'_>, item: &Item<'_>) -> Option<u32> {
    item.parsed(load, "a ratio from 0 to 4294", |text| {
        parse_decimal(text, 6).and_then(|ppm| u32::try_from(ppm).ok())
    })
}

/// What a channel's prices are besides those of its models: `price_ratio`, `region` and `default_tier`.
pub(super) fn terms(load: &mut Load<'_>, fields: &Fields<'_>) -> PriceTerms {
    PriceTerms {
        ratio_ppm: fields.get("price_ratio").and_then(|item| ratio(load, &item)),
        region: fields.text(load, "region"),
        default_tier: fields.get("default_tier").and_then(|item| item.word(load, &TIERS)),
        models: Vec::new(),
    }
}

/// What a group pays for single models.
pub(super) fn own_prices(load: &mut Load<'_>, list: &Item<'_>, currencies: &Currencies) -> Arc<[OwnPrice]> {
    let mut all = Vec::new();
    for item in list.list(load) {
        let Some(fields) = Fields::open_section(load, &item, &section::GROUP_PRICE) else { continue };
        let Some(model) = required(load, &fields, "model") else { continue };
        let terms = match (fields.get("price"), fields.get("price_ratio")) {
            (Some(own), None) => Some(Terms::Price(price(load, &own, currencies))),
            (None, Some(own)) => ratio(load, &own).map(Terms::Ratio),
            _ => {
                let message =
                    format!("what `{model}` costs the group is said by a `price` or by a `price_ratio`");
                item.say(load, Severity::Error, "missing_key", message, "write one of the two");
                None
            }
        };
        all.extend(terms.map(|terms| OwnPrice { model: ModelName::from(model), terms }));
    }
    all.into()
}
