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

/// Which names a rule of New API's is for.
enum Of {
    Is(&'static str),
    Begins(&'static str),
    Ends(&'static str),
    Has(&'static str),
    Within(&'static str, &'static str),
}

/// What output costs of input by New API itself, as a fraction, and whether that goes before what `CompletionRatio` says. The first rule
/// that is for a name holds.
// QUIRK(new-api, 2026-11-30, https://github.com/QuantumNous/new-api/blob/main/setting/ratio_setting/model_ratio.go): what is said there
// of gpt-3.5 is never reached: other names of OpenAI's come before.
const COMPLETION: [(Of, (u64, u64), bool); 49] = [
    (Of::Ends("-all"), (2, 1), false),
    (Of::Ends("-gizmo-*"), (2, 1), false),
    (Of::Is("gpt-4o-2024-05-13"), (3, 1), true),
    (Of::Begins("gpt-4o-mini-tts"), (20, 1), false),
    (Of::Begins("gpt-4o"), (4, 1), false),
    (Of::Begins("gpt-5.4-nano"), (25, 4), true),
    (Of::Begins("gpt-5.4"), (6, 1), true),
    (Of::Begins("gpt-5."), (6, 1), false),
    (Of::Begins("gpt-5"), (8, 1), true),
    (Of::Begins("gpt-4.5-preview"), (2, 1), true),
    (Of::Begins("gpt-4-turbo"), (3, 1), true),
    (Of::Is("gpt-4-1106"), (3, 1), true),
    (Of::Is("gpt-4-1105"), (3, 1), true),
    (Of::Begins("gpt-"), (2, 1), false),
    (Of::Begins("o1"), (4, 1), true),
    (Of::Begins("o3"), (4, 1), true),
    (Of::Is("chatgpt-4o-latest"), (3, 1), true),
    (Of::Has("claude-3"), (5, 1), true),
    (Of::Has("claude-sonnet-4"), (5, 1), true),
    (Of::Has("claude-opus-4"), (5, 1), true),
    (Of::Has("claude-haiku-4"), (5, 1), true),
    (Of::Has("claude-fable-5"), (5, 1), true),
    (Of::Has("claude-sonnet-5"), (5, 1), true),
    (Of::Has("claude-opus-5"), (5, 1), true),
    (Of::Begins("mistral-"), (3, 1), true),
    (Of::Begins("gemini-1.5"), (4, 1), true),
    (Of::Begins("gemini-2.0"), (4, 1), true),
    (Of::Begins("gemini-2.5-pro"), (8, 1), false),
    (Of::Within("gemini-2.5-flash-preview", "-nothinking"), (4, 1), false),
    (Of::Begins("gemini-2.5-flash-preview"), (70, 3), false),
    (Of::Begins("gemini-2.5-flash-lite"), (4, 1), false),
    (Of::Begins("gemini-2.5-flash"), (25, 3), false),
    (Of::Begins("gemini-robotics-er-1.5"), (25, 3), false),
    (Of::Begins("gemini-3-pro-image"), (60, 1), false),
    (Of::Begins("gemini-3-pro"), (6, 1), false),
    (Of::Begins("gemini-"), (4, 1), false),
    (Of::Is("command-r"), (3, 1), true),
    (Of::Is("command-r-plus"), (5, 1), true),
    (Of::Is("command-r-08-2024"), (4, 1), true),
    (Of::Is("command-r-plus-08-2024"), (4, 1), true),
    (Of::Begins("command"), (4, 1), false),
    (Of::Begins("ERNIE-Speed-"), (2, 1), true),
    (Of::Begins("ERNIE-Lite-"), (2, 1), true),
    (Of::Begins("ERNIE-Character"), (2, 1), true),
    (Of::Begins("ERNIE-Functions"), (2, 1), true),
    (Of::Is("llama2-70b-4096"), (5, 4), true),
    (Of::Is("llama3-8b-8192"), (2, 1), true),
    (Of::Is("llama3-70b-8192"), (79, 59), true),
    (Of::Begins(""), (1, 1), false),
];

/// What its option `CompletionRatio` says where nobody has set it, in millionths.
const COMPLETION_UNSET: [(&str, u64); 4] = [
    ("gpt-4-gizmo-*", 2_000_000),
    ("gpt-4o-gizmo-*", 3_000_000),
    ("gpt-4-all", 2_000_000),
    ("gpt-image-1", 8_000_000),
];

/// What output costs of input, where `CompletionRatio` says this of the model, in millionths.
fn completion(model: &str, said: Option<u64>) -> (u64, u64) {
    let own = COMPLETION.iter().find(|(of, ..)| match of {
        Of::Is(name) => model == *name,
        Of::Begins(start) => model.starts_with(start),
        Of::Ends(end) => model.ends_with(end),
        Of::Has(part) => model.contains(part),
        Of::Within(start, end) => model.starts_with(start) && model.ends_with(end),
    });
    // INVARIANT: the last rule is for every name.
    let (ratio, is_locked) = own.map_or(((1, 1), false), |(_, ratio, is_locked)| (*ratio, *is_locked));
    // Of somebody's own names theirs holds.
    said.filter(|_| !is_locked || model.contains('/')).map_or(ratio, |said| (said, 1_000_000))
}

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
    if let Some(completions) = tables.get_mut(1).filter(|table| table.is_empty()) {
        completions.extend(COMPLETION_UNSET.map(|(model, ratio)| (model.to_owned(), ratio)));
    }
    let mut ratios = Ratios::default();
    let (mut other, mut without) = (Vec::new(), Vec::new());
    for model in order {
        let of = |at: usize| tables.get(at).and_then(|table| table.get(&model)).copied();
        let output = completion(&model, of(1));
        let Some(price) = price(&of, per_ratio, output) else {
            without.push(model);
            continue;
        };
        if of(7).is_none()
            && of(1).is_some_and(|said| u128::from(said) * u128::from(output.1) != u128::from(output.0) * ONE)
        {
            other.push(model.clone());
        }
        ratios.prices.insert(model.clone(), price);
        ratios.order.push(model);
    }
    say(
        load,
        options,
        &other,
        "locked_ratio",
        |models| {
            format!(
                "New API charges output by a completion ratio of its own, whatever `CompletionRatio` says; so the prices here do, of {models}"
            )
        },
        "compare with the provider's price of output",
    );
    say(
        load,
        options,
        &without,
        "unpriced_ratio",
        |models| format!("ratios say nothing without `ModelRatio`, which is missing of {models}"),
        "add what input costs, or take the others out",
    );
    ratios
}

/// Names all models of which something is to be said.
fn say(
    load: &mut Load<'_>,
    options: &Item<'_>,
    models: &[String],
    code: &'static str,
    what: fn(&str) -> String,
    remedy: &str,
) {
    if models.is_empty() {
        return;
    }
    let names: Vec<_> = models.iter().map(|model| format!("`{model}`")).collect();
    options.say(load, Severity::Warning, code, what(&names.join(", ")), remedy);
}

/// The price by the ratios; `None` where none says what the model's input costs.
fn price(of: &dyn Fn(usize) -> Option<u64>, per_ratio: u128, output: (u64, u64)) -> Option<Price> {
    let pico = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    if let Some(fee) = of(7) {
        let rates = Price { input: Some(0), output: Some(0), ..Price::default() };
        let per_request = i64::try_from(fee).ok();
        return Some(Written { rates, per_request, ..Written::default() }.price());
    }
    let input = (u128::from(of(0)?) * per_ratio).div_ceil(ONE);
    let times = |ratio: u64| pico((input * u128::from(ratio)).div_ceil(ONE));
    let write = of(3);
    let audio = of(5).map(times);
    let audio_out =
        audio.zip(of(6)).map(|(audio, ratio)| pico((u128::from(audio) * u128::from(ratio)).div_ceil(ONE)));
    let rates = Price {
        input: Some(pico(input)),
        output: Some(pico((input * u128::from(output.0)).div_ceil(u128::from(output.1)))),
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
