//! Another calculator with a price list of its own, the crate `genai-prices`: it comes to the same as ours, but for what
//! `tests/data/price/differences.yaml` lists and explains.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use genai_prices::{Calculator, PriceRequest, UsageKey};
use serde::Deserialize;
use sluicegate_config::built_in_prices;
use sluicegate_core::Timestamp;
use sluicegate_core::money::{Rounding, format_usd, parse_decimal};
use sluicegate_core::price::ServiceTier;
use sluicegate_core::usage::Usage;

/// Why it differs from ours.
const DIFFERENCES: &str = include_str!("../../../../tests/data/price/differences.yaml");
/// Our list, whose third cell says what a model does.
const LIST: &str = include_str!("../../catalogue/prices.csv");

/// Our ids of providers that both know, and theirs.
const PROVIDERS: [(&str, &str); 13] = [
    ("anthropic", "anthropic"),
    ("openai", "openai"),
    ("gemini", "google"),
    ("deepseek", "deepseek"),
    ("xai", "x-ai"),
    ("mistral", "mistral"),
    ("cohere", "cohere"),
    ("moonshot", "moonshotai"),
    ("zai", "zai"),
    ("groq", "groq"),
    ("minimax", "minimax"),
    ("perplexity", "perplexity"),
    ("cerebras", "cerebras"),
];

/// A Monday, in DeepSeek's dear hours.
const DEAR: &str = "2026-11-23T02:00:00Z";
/// That one, one in its cheap hours, and after the changes that are announced for the new year.
const TIMES: [&str; 3] = [DEAR, "2026-11-23T12:00:00Z", "2027-01-04T02:00:00Z"];

/// A call, as both say it.
struct Call {
    name: &'static str,
    times: &'static [&'static str],
    ours: Usage,
    tier: ServiceTier,
    /// What theirs is told beside the tokens.
    context: Option<(&'static str, &'static str)>,
}

impl Call {
    fn new(name: &'static str, input_uncached: u64) -> Self {
        let ours = Usage { input_uncached, output_visible: 1_000, ..Usage::default() };
        Self { name, times: &[DEAR], ours, tier: ServiceTier::Standard, context: None }
    }

    fn of_tier(name: &'static str, tier: ServiceTier, context: (&'static str, &'static str)) -> Self {
        Self { tier, context: Some(context), ..Self::new(name, 10_000) }
    }

    /// The tokens in their words: parts are counted in what they are parts of.
    fn theirs(&self) -> genai_prices::Usage {
        let it = &self.ours;
        let counts = [
            (UsageKey::INPUT_TOKENS, it.input_tokens()),
            (UsageKey::OUTPUT_TOKENS, it.output_tokens()),
            (UsageKey::CACHE_READ_TOKENS, it.cache_read),
            (UsageKey::CACHE_WRITE_TOKENS, it.cache_write + it.cache_write_1h),
            (UsageKey::CACHE_WRITE_1H_TOKENS, it.cache_write_1h),
            (UsageKey::INPUT_AUDIO_TOKENS, it.audio_in),
        ];
        let said = counts.into_iter().filter(|(_, count)| *count > 0);
        said.fold(genai_prices::Usage::new(), |mut usage, (key, count)| {
            usage.insert(key, count as f64);
            usage
        })
    }
}

fn calls() -> [Call; 8] {
    [
        Call { times: &TIMES, ..Call::new("short", 10_000) },
        Call {
            ours: Usage {
                input_uncached: 3_000,
                cache_read: 6_000,
                cache_write: 1_000,
                output_visible: 1_000,
                ..Usage::default()
            },
            ..Call::new("cached", 0)
        },
        Call {
            ours: Usage {
                input_uncached: 3_000,
                cache_write: 1_000,
                cache_write_1h: 6_000,
                output_visible: 1_000,
                ..Usage::default()
            },
            ..Call::new("cached_for_an_hour", 0)
        },
        Call::new("long", 300_000),
        Call {
            ours: Usage { input_uncached: 6_000, audio_in: 4_000, output_visible: 1_000, ..Usage::default() },
            ..Call::new("audio", 0)
        },
        Call::of_tier("flex", ServiceTier::Flex, ("service_tier", "flex")),
        Call::of_tier("priority", ServiceTier::Priority, ("service_tier", "priority")),
        Call::of_tier("batch", ServiceTier::Batch, ("processing", "batch")),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    provider: String,
    models: Vec<String>,
    #[serde(default)]
    usages: Vec<String>,
    why: String,
}

/// What the call costs by them, where they know the model and price what is asked.
fn cost(by: &Calculator, provider: &str, model: &str, call: &Call, at: SystemTime) -> Option<f64> {
    let usage = call.theirs();
    let plain = PriceRequest::new(model, &usage).with_provider_id(provider).with_timestamp(at);
    let standard = by.calculate(&plain).ok()?;
    let Some((key, value)) = call.context else { return Some(standard.total_price) };
    let price = by.calculate(&plain.with_price_context(key, value)).ok()?.total_price;
    // Where they have no price for it they answer the standard one.
    ((price - standard.total_price).abs() > f64::EPSILON).then_some(price)
}

#[test]
fn another_calculator_comes_to_the_same_but_for_what_is_listed() {
    let listed: Vec<Listed> = serde_saphyr::from_str(DIFFERENCES).unwrap();
    assert!(listed.iter().all(|it| !it.why.is_empty()));
    let (by, calls) = (Calculator::bundled(), calls());
    let chats: BTreeSet<_> = LIST
        .lines()
        .filter_map(|row| match row.splitn(4, ',').collect::<Vec<_>>()[..] {
            [provider, model, "chat", _] => Some((provider, model)),
            _ => None,
        })
        .collect();
    let (mut unlisted, mut seen, mut compared) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for it in built_in_prices() {
        let provider = it.provider.unwrap_or_default();
        let theirs = PROVIDERS.iter().find(|(ours, _)| *ours == provider);
        let Some((_, theirs)) = theirs.filter(|_| chats.contains(&(provider.as_str(), it.model.as_str())))
        else {
            continue;
        };
        for call in calls.iter().filter(|call| call.ours.audio_in == 0 || it.price.audio_in.is_some()) {
            for time in call.times {
                let at: jiff::Timestamp = time.parse().unwrap();
                let then = UNIX_EPOCH + Duration::from_secs(at.as_second() as u64);
                let Some(usd) = cost(by, theirs, &it.model, call, then) else { continue };
                let now = it.price.on(Timestamp::from_ms(at.as_millisecond()));
                let got = now.cost(&call.ours, call.tier, 1_000_000, Rounding::HalfEven);
                *compared.entry(call.name).or_insert(0) += 1;
                if (got - parse_decimal(&format!("{usd:.9}"), 9).unwrap()).abs() <= 5 {
                    continue;
                }
                seen.insert((provider.clone(), it.model.clone()));
                let is_listed = listed.iter().any(|line| {
                    line.provider == provider
                        && line.models.contains(&it.model)
                        && (line.usages.is_empty() || line.usages.iter().any(|name| name == call.name))
                });
                if !is_listed {
                    let (model, name) = (&it.model, call.name);
                    unlisted
                        .push(format!("{provider},{model},{name},{time}: {usd}, ours {}", format_usd(got)));
                }
            }
        }
    }
    assert!(unlisted.is_empty(), "{compared:?} {unlisted:#?}");
    assert!(compared.values().sum::<i32>() > 1_500 && compared.len() == calls.len(), "{compared:?}");
    for it in &listed {
        for model in &it.models {
            let differs = seen.contains(&(it.provider.clone(), model.clone()));
            assert!(differs, "{}/{model} no longer differs: remove its line", it.provider);
        }
    }
}
