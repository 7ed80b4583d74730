//! New API's ratios as prices. A model ratio of 1 is 2 USD per million input tokens, as long as `QuotaPerUnit` is 500,000;
//! the other ratios are relative to input.

use std::collections::HashMap;

use sluicegate_core::money::parse_decimal;
use sluicegate_core::price::Price;

use super::embedded;
use crate::diagnostic::Severity;
use crate::pricing::Written;
use crate::quantity::parse_usd;
use crate::reader::{Item, Load};

/// Parts of a ratio of 1.
const ONE: u128 = 1_000_000;

/// Pico-USD per token at a model ratio of 1, by default.
const RATIO_ONE_PICO: u128 = 2_000_000;

/// Beginnings of models whose completion ratio New API sets itself, whatever the option says.
const LOCKED: [&str; 14] = [
    "gpt-3.5",
    "gpt-4-turbo",
    "gpt-4.5",
    "gpt-5",
    "o1",
    "o3",
    "claude-3",
    "claude-sonnet-4",
    "claude-opus-4",
    "gemini-1.5",
    "gemini-2.0",
    "mistral-",
    "command-r",
    "gpt-4o",
];

/// Which ratios there are: as options are named, and as its API answers.
const KINDS: [(&str, &str); 8] = [
    ("ModelRatio", "model_ratio"),
    ("CompletionRatio", "completion_ratio"),
    ("CacheRatio", "cache_ratio"),
    ("CreateCacheRatio", "create_cache_ratio"),
    ("ImageRatio", "image_ratio"),
    ("AudioRatio", "audio_ratio"),
    ("AudioCompletionRatio", "audio_completion_ratio"),
    ("ModelPrice", "model_price"),
];

/// Whether this option says what something costs.
pub(crate) fn is_ratio(name: &str) -> bool {
    name == "QuotaPerUnit" || KINDS.iter().any(|(option, field)| name == *option || name == *field)
}

/// The prices that ratios make, by model, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Ratios {
    prices: HashMap<String, Price>,
    order: Vec<String>,
}

impl Ratios {
    /// The price of a model; names that end in `*` stand for whatever begins like that.
    pub(crate) fn of(&self, model: &str) -> Option<&Price> {
        self.prices.get(model)
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (String, Price)> {
        let Self { mut prices, order } = self;
        order.into_iter().filter_map(move |model| {
            let price = prices.remove(&model)?;
            Some((model, price))
        })
    }
}

/// Reads the ratios among options.
pub(crate) fn read(load: &mut Load<'_>, options: &Item<'_>) -> Ratios {
    let mut tables: [HashMap<String, u64>; 8] = Default::default();
    let mut order: Vec<String> = Vec::new();
    let mut per_ratio = RATIO_ONE_PICO;
    for (name, item) in options.children() {
        if name == "QuotaPerUnit" {
            let want = "how much quota one USD is, more than 0";
            let quota = item.parsed(load, want, |text| parse_decimal(text, 6).filter(|quota| *quota > 0));
            if let Some(quota) = quota.and_then(|quota| u128::try_from(quota).ok()) {
                // A ratio of 1 is one unit of quota per token.
                per_ratio = (ONE * ONE * ONE).div_ceil(quota);
            }
            continue;
        }
        let kind = KINDS.iter().position(|(option, field)| name == *option || name == *field);
        let Some(table) = kind.and_then(|at| tables.get_mut(at)) else { continue };
        let is_price = kind == Some(7);
        embedded(load, &item, |load, map| {
            if !map.is_map(load) {
                return;
            }
            for (model, child) in map.children() {
                let read = match is_price {
                    true => child.parsed(load, "an amount of USD", |text| {
                        parse_usd(text).ok().and_then(|nano| u64::try_from(nano).ok())
                    }),
                    false => child.decimal(load, 6),
                };
                let Some(value) = read else { continue };
                if table.insert(model.to_owned(), value).is_none()
                    && !order.iter().any(|known| known == model)
                {
                    order.push(model.to_owned());
                }
            }
        });
    }
    let mut ratios = Ratios::default();
    let mut locked = Vec::new();
    for model in order {
        let of = |at: usize| tables.get(at).and_then(|table| table.get(&model)).copied();
        let Some(price) = price(&of, per_ratio) else { continue };
        if of(7).is_none() && LOCKED.iter().any(|start| model.starts_with(start)) {
            locked.push(model.clone());
        }
        ratios.prices.insert(model.clone(), price);
        ratios.order.push(model);
    }
    warn_locked(load, options, &locked);
    ratios
}

/// The price by the ratios; `None` where none says what the model's input costs.
fn price(of: &dyn Fn(usize) -> Option<u64>, per_ratio: u128) -> Option<Price> {
    let pico = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    if let Some(fee) = of(7) {
        let rates = Price { input: Some(0), output: Some(0), ..Price::default() };
        let per_request = i64::try_from(fee).ok();
        return Some(Written { rates, per_request, ..Written::default() }.price());
    }
    let input = (u128::from(of(0)?) * per_ratio).div_ceil(ONE);
    let times = |ratio: u64| pico((input * u128::from(ratio)).div_ceil(ONE));
    // What no ratio is given for costs as input.
    let completion = of(1).unwrap_or(1_000_000);
    let write = of(3);
    let audio = of(5).map(times);
    let audio_out =
        audio.zip(of(6)).map(|(audio, ratio)| pico((u128::from(audio) * u128::from(ratio)).div_ceil(ONE)));
    let rates = Price {
        input: Some(pico(input)),
        output: Some(times(completion)),
        cache_read: of(2).map(times),
        cache_write: write.map(times),
        // Writes for an hour cost 1.6 times as much as those for five minutes, in whatever ratio.
        cache_write_1h: write.map(|ratio| times(ratio.saturating_mul(8).div_ceil(5))),
        audio_in: audio,
        audio_out,
        ..Price::default()
    };
    Some(Written { rates, image_in: of(4).map(times), ..Written::default() }.price())
}

fn warn_locked(load: &mut Load<'_>, options: &Item<'_>, locked: &[String]) {
    let Some(first) = locked.first() else { return };
    let more = if locked.len() > 1 { format!(" and {} more", locked.len() - 1) } else { String::new() };
    let message = format!(
        "New API sets the completion ratio of `{first}`{more} itself, whatever `CompletionRatio` says: the price of output may be another than on its invoices"
    );
    options.say(
        load,
        Severity::Warning,
        "locked_ratio",
        message,
        "compare with the provider's price of output",
    );
}
