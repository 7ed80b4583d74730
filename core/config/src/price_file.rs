//! Prices by themselves: read from our own files, LiteLLM's price map and New API's ratios, written as our own, and compared.

mod compare;
mod foreign;
mod write;

pub use compare::{PriceChange, PriceDifference, RateChange, compare_prices};
pub use write::{price_yaml, write_prices};

use serde::Serialize;
use sluicegate_core::money::PicoUsd;
use sluicegate_core::price::Price;

use crate::catalogue::{is_listed, listed_prices};
use crate::diagnostic::{Diagnostic, Severity};
use crate::environment::Environment;
use crate::reader::{Fields, Item, Load};
use crate::yaml::{self, Node};
use crate::{Source, native, newapi};

/// What a million tokens cost, by the names that our files have for it.
fn named_rates(price: &Price) -> [(&'static str, Option<PicoUsd>); 12] {
    let more = price.more.as_deref();
    [
        ("input", price.input),
        ("output", price.output),
        ("cached_input", price.cache_read),
        ("cache_write", price.cache_write),
        ("cache_write_1h", price.cache_write_1h),
        ("reasoning_output", price.output_reasoning),
        ("audio_input", price.audio_in),
        ("audio_output", price.audio_out),
        ("image_input", more.and_then(|more| more.image_in)),
        ("image_output", more.and_then(|more| more.image_out)),
        ("cached_audio_input", more.and_then(|more| more.cached_audio_in)),
        ("cached_image_input", more.and_then(|more| more.cached_image_in)),
    ]
}

/// Whose format a file of prices is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceFormat {
    /// Ours: a configuration with `prices`.
    Native,
    /// LiteLLM's map of models to their costs.
    Litellm,
    /// New API's options, or what its API answers of its ratios.
    Newapi,
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPrice {
    /// The provider's id; `None` is every provider.
    pub provider: Option<String>,
    /// The model as the upstream knows it; may end in `*`.
    pub model: String,
    /// The price.
    pub price: Price,
}

/// The prices of a file.
#[derive(Clone, Debug)]
pub struct PriceFile {
    /// Whose format it is in.
    pub format: PriceFormat,
    /// Its prices, in its order.
    pub prices: Vec<ListedPrice>,
    /// Everything there is to say about it, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

impl PriceFile {
    /// Whether the file can't be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads a file of prices, in `format` or in whichever it is written.
///
/// Never fails and never panics: what is wrong, and what has no counterpart here, is among the diagnostics.
pub fn read_prices(
    source: Source<'_>,
    format: Option<PriceFormat>,
    environment: &Environment<'_>,
) -> PriceFile {
    let mut load = Load::new(source.path, environment);
    let mut duplicates = Vec::new();
    let parsed = yaml::parse(source.text, 0, &mut |refusal| duplicates.push(refusal));
    for refusal in duplicates {
        load.refuse(Severity::Error, refusal);
    }
    let root = match parsed {
        Ok(root) => root,
        Err(refusal) => {
            load.refuse(Severity::Error, refusal);
            let format = format.unwrap_or(PriceFormat::Native);
            return PriceFile { format, prices: Vec::new(), diagnostics: load.finish() };
        }
    };
    let format = format.unwrap_or_else(|| detect(&root));
    let item = Item::root(&root);
    let mut prices = match format {
        PriceFormat::Native => native::listed_prices(&mut load, &item),
        PriceFormat::Litellm => foreign::litellm(&mut load, &item),
        PriceFormat::Newapi => foreign::newapi(&mut load, &item),
    };
    // What would be read as a variable is no model's name.
    prices.retain(|listed| !listed.model.contains("${"));
    if prices.is_empty() && !load.diagnostics.iter().any(|found| found.severity == Severity::Error) {
        let message = "the file has no prices";
        let remedy = "give a configuration with `prices`, LiteLLM's price map or New API's options";
        item.say(&mut load, Severity::Warning, "no_prices", message, remedy);
    }
    PriceFile { format, prices, diagnostics: load.finish() }
}

fn detect(root: &Node) -> PriceFormat {
    let has = |name: &str| root.get(name).is_some();
    let is_ratio = |name: &str| newapi::ratio::is_ratio(name);
    if has("prices") || has("channels") && has("version") {
        PriceFormat::Native
    } else if has("options") || has("data") || root.entries().iter().any(|entry| is_ratio(&entry.key)) {
        PriceFormat::Newapi
    } else {
        PriceFormat::Litellm
    }
}

/// Every price of the built-in list: of chat, responses and embeddings, and of whatever else is billed.
pub fn built_in_prices() -> Vec<ListedPrice> {
    let listed = |(provider, model, facts): (&str, &str, crate::ModelFacts)| ListedPrice {
        provider: Some(provider.to_owned()),
        model: model.to_owned(),
        price: facts.price,
    };
    let operations = crate::operation::listed().filter(|(list, model, _)| !is_listed(list, model));
    listed_prices().chain(operations).map(listed).collect()
}

/// The mapping under `key`, or the whole.
fn inside<'n>(load: &mut Load<'_>, item: &Item<'n>, key: &str) -> Option<Item<'n>> {
    if !item.is_map(load) {
        return None;
    }
    let fields = Fields { item: item.clone() };
    Some(fields.get(key).unwrap_or_else(|| item.clone()))
}
