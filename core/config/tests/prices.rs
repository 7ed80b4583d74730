//! Prices: what calls cost and what is reserved for them, from a table; and that nothing costs more than was reserved.

#[path = "prices/oracle.rs"]
mod oracle;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use sluicegate_config::{
    Environment, ListedPrice, PriceFormat, Severity, Source, built_in_prices, compare_prices, read_prices,
    write_prices,
};
use sluicegate_core::Timestamp;
use sluicegate_core::money::{Rounding, format_usd, parse_decimal};
use sluicegate_core::price::{
    Currency, DatedPrice, Exchange, Price, PriceParts, PriceTier, Reach, SearchPrice, ServiceTier, TierPrice,
    TierSet, UnitPrice, Variant, WeekSpan, WindowPrice,
};
use sluicegate_core::usage::Usage;

const CASES: &str = include_str!("../../../tests/data/price/cases.yaml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    note: String,
    price: String,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    #[serde(default = "some_day")]
    at: String,
    #[serde(default)]
    tier: ServiceTier,
    #[serde(default)]
    asked: Option<ServiceTier>,
    #[serde(default = "one")]
    ratio: f64,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    bound: Option<(u64, u64)>,
    usd: String,
}

fn some_day() -> String {
    "2026-11-22T12:00:00Z".to_owned()
}

fn one() -> f64 {
    1.0
}

fn read(text: &str, format: Option<PriceFormat>) -> Vec<ListedPrice> {
    let nothing = |_: &str| None;
    let file = read_prices(Source { path: "prices.yaml", text }, format, &Environment::new(&nothing));
    let bad: Vec<_> = file.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    file.prices
}

fn price_of(text: &str) -> Price {
    let file = format!("version: 1\ncurrencies: {{CNY: 7.12}}\nprices: [{{model: m, price: {text}}}]\n");
    read(&file, None).remove(0).price
}

#[test]
fn calls_cost_what_the_table_says() {
    let cases: Vec<Case> = serde_saphyr::from_str(CASES).unwrap();
    assert!(cases.len() > 10);
    let mut wrong = Vec::new();
    for case in &cases {
        let price = price_of(&case.price);
        for (number, check) in (1..).zip(&case.checks) {
            let at: jiff::Timestamp = check.at.parse().unwrap();
            let now = price.on(Timestamp::from_ms(at.as_millisecond()));
            let ratio = (check.ratio * 1e6).round() as u32;
            let got = match (check.bound, check.usage) {
                (Some((input, output)), None) => {
                    let tiers = TierSet::reached(check.asked, now.unasked());
                    now.bound(input, output, Reach { tiers, ..Reach::PLAIN }, ratio)
                }
                (None, Some(usage)) => now.cost(&usage, check.tier, ratio, Rounding::HalfEven),
                _ => panic!("{}: either a usage or a bound", case.note),
            };
            if format_usd(got) != check.usd {
                wrong.push(format!("{} ({number}): {} instead of {}", case.note, format_usd(got), check.usd));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_built_in_list_is_written_and_read_back_as_it_is() {
    // The list names parts of providers that no file names.
    let plain = |it: ListedPrice| {
        let model = format!("{}/{}", it.provider.unwrap_or_default(), it.model);
        ListedPrice { provider: None, model, price: it.price }
    };
    let built_in: Vec<_> = built_in_prices().into_iter().map(plain).collect();
    let read = read(&write_prices(&built_in), None);
    let differ = compare_prices(&built_in, &read);
    assert!(differ.is_empty(), "{:#?}", differ.iter().take(3).collect::<Vec<_>>());
    assert_eq!(built_in.len(), read.len());
}

#[test]
fn every_price_of_the_facts_is_found() {
    // Nothing before the sixth cell is in quotes, and a model with a comma in its name has no row.
    let facts = include_str!("../catalogue/facts/prices.csv").lines().skip(2);
    let prices: BTreeMap<_, _> =
        built_in_prices().into_iter().map(|it| ((it.provider.unwrap(), it.model), it.price)).collect();
    let mut counts = BTreeMap::new();
    for row in facts.filter(|row| !row.starts_with('"')) {
        let [model, provider, mode, input, output, _] = row.splitn(6, ',').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        if input.is_empty() || output.is_empty() {
            continue;
        }
        let price = prices.get(&(provider.to_owned(), model.to_owned())).unwrap_or_else(|| panic!("{row}"));
        let rate = |text| parse_decimal(text, 6).and_then(|rate| u64::try_from(rate).ok());
        assert_eq!((price.input, price.output), (rate(input), rate(output)), "{row}");
        *counts.entry(mode).or_insert(0) += 1;
    }
    assert!(counts["chat"] > 2_000 && counts["responses"] > 100, "{counts:?}");
    for (provider, model, input, output) in [
        ("openai", "gpt-5.4-pro", 30_000_000, 180_000_000),
        ("openai", "o3-pro", 20_000_000, 80_000_000),
        ("azure", "gpt-5-codex", 1_250_000, 10_000_000),
        ("openai", "gpt-image-1", 5_000_000, 40_000_000),
    ] {
        let price = &prices[&(provider.to_owned(), model.to_owned())];
        assert_eq!((price.input, price.output), (Some(input), Some(output)), "{provider}/{model}");
    }
}

#[test]
fn long_prompts_cost_more_where_their_maker_says_so() {
    let prices: BTreeMap<_, _> =
        built_in_prices().into_iter().map(|it| ((it.provider.unwrap(), it.model), it.price)).collect();
    for (provider, model, prompt, input, output) in [
        ("dashscope-cn", "qwen-plus", 128_000, 115_000, 287_000),
        ("dashscope-cn", "qwen-plus", 200_000, 345_000, 2_868_000),
        ("dashscope-cn", "qwen-plus", 600_000, 689_000, 6_881_000),
        ("dashscope-cn", "qwen-flash", 300_000, 173_000, 1_721_000),
        ("dashscope-cn", "qwen3-max", 200_000, 2_151_000, 8_602_000),
        ("dashscope-cn", "qwen3-coder-plus", 600_000, 6_000_000, 60_000_000),
        ("dashscope-cn", "qwen3-coder-flash", 600_000, 717_000, 3_584_000),
        ("dashscope-cn", "qwen3-vl-plus", 200_000, 431_000, 4_301_000),
        ("bigmodel", "GLM-5", 100_000, 828_000, 3_036_000),
        ("bigmodel", "GLM-4.7", 1_000, 414_000, 1_932_000),
        ("bigmodel", "GLM-4.7", 100_000, 552_000, 2_208_000),
        ("dashscope", "qwen-plus", 600_000, 1_200_000, 3_600_000),
        ("qwencloud", "qwen-plus", 100_000, 400_000, 1_200_000),
    ] {
        let price = &prices[&(provider.to_owned(), model.to_owned())];
        let tier = price.tiers.iter().rfind(|tier| prompt > tier.above_input_tokens);
        let found = tier.map_or((price.input, price.output), |tier| (tier.input, tier.output));
        assert_eq!(found, (Some(input), Some(output)), "{provider}/{model} {prompt}");
    }
    for (model, prompt, cached) in [
        ("GLM-4.5-Air", 1_000, 22_000),
        ("GLM-4.5-Air", 100_000, 33_000),
        ("GLM-4.7", 1_000, 83_000),
        ("GLM-4.7", 100_000, 110_000),
        ("GLM-5.1", 100_000, 239_000),
    ] {
        let price = &prices[&("bigmodel".to_owned(), model.to_owned())];
        let tier = price.tiers.iter().rfind(|tier| prompt > tier.above_input_tokens);
        let found = tier.map_or(price.cache_read, |tier| tier.cache_read);
        assert_eq!(found, Some(cached), "{model} {prompt}");
    }
}

#[test]
fn litellm_map_and_new_api_ratios_are_prices() {
    let map = r#"{"sample_spec": {"input_cost_per_token": 0, "mode": "chat"},
        "azure/gpt-x": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.5e-05,
          "cache_read_input_token_cost": 2.5e-07, "input_cost_per_token_above_272k_tokens": 5e-06, "output_cost_per_token_above_272k_tokens": 2.25e-05,
          "input_cost_per_token_priority": 5e-06, "output_cost_per_token_priority": 3e-05, "input_cost_per_token_batches": 1.25e-06,
          "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.014}},
        "qwen-x": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
          {"range": [0, 32000], "input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06},
          {"range": [32000, 128000], "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}]}}"#;
    let prices = read(map, None);
    let want = "{input: 2.5, output: 15, cached_input: 0.25, per_search: 0.014, search_sizes: {low: 0.01, high: 0.014},
        tiers: [{above_input_tokens: 272K, input: 5, output: 22.5}],
        service_tiers: [{tier: priority, input: 5, output: 30}, {tier: batch, input: 1.25}]}";
    assert_eq!((prices[0].provider.as_deref(), prices[0].model.as_str()), (Some("azure"), "gpt-x"));
    assert_eq!(prices[0].price, price_of(want));
    assert_eq!(
        prices[1].price,
        price_of("{input: 1, output: 4, tiers: [{above_input_tokens: 32K, input: 2, output: 8}]}")
    );

    // Options as the database has them, and what the API answers.
    let options = r#"{"ModelRatio": "{\"m\": 1.25, \"free\": 0, \"n\": 1}", "CompletionRatio": {"m": 8}, "CacheRatio": {"m": 0.1},
        "CreateCacheRatio": {"m": 1.25}, "AudioRatio": {"m": 10}, "AudioCompletionRatio": {"m": 2}, "ImageRatio": {"m": 2}, "ModelPrice": {"draw": 0.04},
        "GroupRatio": {"vip": 0.8}}"#;
    let answer = r#"{"success": true, "data": {"model_ratio": {"m": 1.25, "free": 0, "n": 1}, "completion_ratio": {"m": 8}, "cache_ratio": {"m": 0.1},
        "create_cache_ratio": {"m": 1.25}, "audio_ratio": {"m": 10}, "audio_completion_ratio": {"m": 2}, "image_ratio": {"m": 2}, "model_price": {"draw": 0.04}}}"#;
    for text in [options, answer] {
        let prices: BTreeMap<_, _> = read(text, None).into_iter().map(|it| (it.model, it.price)).collect();
        // A ratio of 1 is 2 USD per million.
        let want = "{input: 2.5, output: 20, cached_input: 0.25, cache_write: 3.125, cache_write_1h: 5, audio_input: 25, audio_output: 50, image_input: 5}";
        assert_eq!(prices["m"], price_of(want));
        assert_eq!(prices["n"], price_of("{input: 2, output: 2}"));
        assert_eq!(prices["free"], price_of("{input: 0, output: 0}"));
        assert_eq!(prices["draw"], price_of("{input: 0, output: 0, per_request: 0.04}"));
    }
    // What output costs New API knows of many names itself, of some whatever is said.
    let text = r#"{"ModelRatio": {"claude-sonnet-4-5": 1.5, "gemini-2.5-pro": 0.625, "gemini-2.5-flash": 0.15, "gpt-5": 0.625, "gpt-4o": 1.25, "gpt-4o-mini": 0.075, "mine/claude-3": 1, "gemini-2.5-flash-preview-05-20-nothinking": 0.075, "gpt-image-1": 2.5},
        "CompletionRatio": {"claude-sonnet-4-5": 2, "gpt-5": 8, "gpt-4o-mini": 3, "mine/claude-3": 7}, "AudioRatio": {"heard": 2}}"#;
    let nothing = |_: &str| None;
    let file = read_prices(Source { path: "options.json", text }, None, &Environment::new(&nothing));
    let out: BTreeMap<_, _> = file.prices.iter().map(|it| (it.model.as_str(), it.price.output)).collect();
    for (model, output) in [
        ("claude-sonnet-4-5", 15_000_000),
        ("gemini-2.5-pro", 10_000_000),
        ("gemini-2.5-flash", 2_500_000),
        ("gpt-5", 10_000_000),
        ("gpt-4o", 10_000_000),
        ("gpt-4o-mini", 450_000),
        ("mine/claude-3", 14_000_000),
        ("gemini-2.5-flash-preview-05-20-nothinking", 600_000),
        // Said of others, so nothing of this: it is New API's for whatever OpenAI has.
        ("gpt-image-1", 10_000_000),
    ] {
        assert_eq!(out[model], Some(output), "{model}");
    }
    let said: Vec<_> = file.diagnostics.iter().map(|it| (it.code, it.message.as_str())).collect();
    let unset = read(r#"{"ModelRatio": {"gpt-image-1": 2.5}}"#, None);
    assert_eq!(unset[0].price.output, Some(40_000_000));
    let names =
        |code: &str| said.iter().find(|it| it.0 == code).map(|it| it.1.split_once(" of `").unwrap().1);
    assert_eq!(names("locked_ratio"), Some("claude-sonnet-4-5`"), "{said:?}");
    assert_eq!(names("unpriced_ratio"), Some("heard`"), "{said:?}");
    let doubled = read(r#"{"ModelRatio": {"m": 1}, "QuotaPerUnit": 250000}"#, None);
    assert_eq!(doubled[0].price.input, Some(4_000_000));
}

#[test]
fn what_has_no_counterpart_is_named_once() {
    let nothing = |_: &str| None;
    let text = r#"{"a": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_second": 0.04},
        "b": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_second": 0.04},
        "c": {"litellm_provider": "nobody-knows", "mode": "chat", "input_cost_per_token": 1e-06},
        "d": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_second": 1},
        "e": {"litellm_provider": "openai", "mode": "chat"},
        "f": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04}}"#;
    let file = read_prices(Source { path: "map.json", text }, None, &Environment::new(&nothing));
    assert_eq!(file.prices.iter().map(|it| it.model.as_str()).collect::<Vec<_>>(), ["d", "f"]);
    assert_eq!(file.prices[0].price.per_unit, None);
    assert_eq!(file.prices[1].price, price_of("{per_unit: 0.04}"));
    assert!(write_prices(&file.prices).contains("{per_unit: 0.04}"));
    let said: Vec<_> = file.diagnostics.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(said.len(), 4, "{said:#?}");
    for part in [
        "`a` and 1 more: models of mode `video_generation`",
        "`nobody-knows`",
        "`input_cost_per_second`",
        "`e`",
    ] {
        assert!(said.iter().any(|it| it.contains(part)), "{part}: {said:#?}");
    }
}

#[test]
fn images_and_searches_of_a_kind_are_read_written_and_compared() {
    let text = "{input: 1, output: 2, cached_audio_input: 0.3, per_image: [{size: 1024x1024, quality: standard, price: 0.04},
        {size: 1024*1792, quality: HD, price: 0.12}, {quality: low, price: 0.01}], per_search: 0.012, search_sizes: {low: 0.005, high: 0.012},
        service_tiers: [{tier: batch, ratio: 0.5}]}";
    let price = price_of(text);
    let more = price.more.as_deref().unwrap();
    assert_eq!(more.units[1], UnitPrice::new(Some("1024x1792"), Some("hd"), 120_000_000_000));
    let half = more.service_tiers[0].price.more.as_deref().unwrap();
    assert_eq!((half.units[0].per_unit, half.search_sizes[0].fee_nano_usd), (20_000_000_000, 2_500_000));
    let listed = |price: Price| [ListedPrice { provider: None, model: "m".into(), price }];
    assert_eq!(read(&write_prices(&listed(price.clone())), None), listed(price.clone()));
    let dearer = price_of(&text.replace("price: 0.12", "price: 0.13").replace("low: 0.005", "low: 0.006"));
    let rates: Vec<_> = compare_prices(&listed(price), &listed(dearer))
        .into_iter()
        .flat_map(|it| it.rates)
        .map(|it| format!("{} {} {}", it.rate, it.before.unwrap_or_default(), it.after.unwrap_or_default()))
        .collect();
    assert_eq!(
        rates,
        [
            "batch.per_search low 0.0025 0.003",
            "batch.per_unit 1024x1792 hd 0.06 0.065",
            "per_search low 0.005 0.006",
            "per_unit 1024x1792 hd 0.12 0.13"
        ]
    );
    // A rate that something inside a price says anew is that of every size and quality, but where it lists those, too.
    let flat = price_of(
        "{per_unit: 0.02, per_image: [{quality: hd, price: 0.08}], service_tiers: [{tier: flex, per_unit: 0.01},
            {tier: batch, input: 1}, {tier: priority, per_unit: 0.03, per_image: [{quality: hd, price: 0.16}]}]}",
    );
    let tiers = flat.more.unwrap().service_tiers;
    let of_tiers = tiers.iter().map(|it| {
        let listed = it.price.more.as_deref().map_or(&[][..], |more| &more.units);
        (it.tier, it.price.per_unit, listed.iter().map(|own| own.per_unit).collect::<Vec<_>>())
    });
    const CENT: u64 = 10_000_000_000;
    assert_eq!(
        of_tiers.collect::<Vec<_>>(),
        [
            (ServiceTier::Flex, Some(CENT), vec![]),
            (ServiceTier::Batch, Some(2 * CENT), vec![8 * CENT]),
            (ServiceTier::Priority, Some(3 * CENT), vec![16 * CENT]),
        ]
    );
    // A fee that a tier says anew is that of every size.
    let flat = price_of(
        "{per_search: 0.012, search_sizes: {low: 0.005}, service_tiers: [{tier: flex, per_search: 0.001}]}",
    );
    let flex = flat.more.unwrap().service_tiers[0].price.more.clone().unwrap();
    assert_eq!((flex.per_search_nano_usd, flex.search_sizes.len()), (1_000_000, 0));
}

#[test]
fn prices_for_a_unit_are_compared_to_the_last_digit() {
    let listed = |price: &str| ListedPrice { provider: None, model: "tts".into(), price: price_of(price) };
    let before = [listed("{input: 1, per_unit: 0.000015, service_tiers: [{tier: flex, per_unit: 0.00001}]}")];
    let after =
        [listed("{input: 1, per_unit: 0.000012000001, service_tiers: [{tier: flex, per_unit: 0.00001}]}")];
    let differ = compare_prices(&before, &after);
    let rates: Vec<_> = differ.iter().flat_map(|it| &it.rates).collect();
    let said = |it: &sluicegate_config::RateChange| (it.rate.clone(), it.before.clone(), it.after.clone());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        rates.into_iter().map(said).collect::<Vec<_>>(),
        [("per_unit".to_owned(), text("0.000015"), text("0.000012000001"))]
    );
    assert_eq!(compare_prices(&before, &before), []);
}

fn rate() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0u64..200_000_000)
}

prop_compose! {
    fn step()(above_input_tokens in 1u64..60_000, input in rate(), output in rate(), cache_read in rate(), cache_write in rate()) -> PriceTier {
        PriceTier { above_input_tokens, input, output, cache_read, cache_write, ..PriceTier::default() }
    }
}

fn size() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["low", "high", "1024x1024"])
}

prop_compose! {
    fn sized()(size in size(), fee_nano_usd in 0i64..50_000_000) -> SearchPrice {
        SearchPrice { size: size.into(), fee_nano_usd }
    }
}

prop_compose! {
    fn unit()(size in prop::option::of(size()), quality in prop::option::of(size()), per_unit in 0u64..200_000_000) -> UnitPrice {
        UnitPrice::new(size, quality, per_unit)
    }
}

prop_compose! {
    fn variant()(size in prop::option::of(size()), quality in prop::option::of(size())) -> Option<Variant> {
        Variant::of(size, quality)
    }
}

prop_compose! {
    fn plain()(
        rates in prop::array::uniform12(rate()), per_unit in rate(), fee in 0i64..2_000_000, per_search in 0i64..50_000_000,
        sized in prop::collection::vec(sized(), 0..3), units in prop::collection::vec(unit(), 0..4), mut tiers in prop::collection::vec(step(), 0..3),
    ) -> Price {
        tiers.sort_by_key(|tier| tier.above_input_tokens);
        let [input, output, cache_read, cache_write, cache_write_1h, output_reasoning, audio_in, audio_out, image_in, image_out, cached_audio_in, cached_image_in] = rates;
        let more = PriceParts {
            image_in, image_out, cached_audio_in, cached_image_in, per_search_nano_usd: per_search, search_sizes: sized, units,
            ..PriceParts::default()
        };
        Price {
            input, output, cache_read, cache_write, cache_write_1h, output_reasoning, audio_in, audio_out,
            per_unit, per_request_nano_usd: fee, tiers, more: Some(Box::new(more)),
        }
    }
}

fn with_tiers() -> impl Strategy<Value = Price> {
    (plain(), prop::collection::vec((prop::sample::select(ServiceTier::SERVED.to_vec()), plain()), 0..4))
        .prop_map(|(mut price, tiers)| {
            let more = price.more.get_or_insert_default();
            more.service_tiers = tiers.into_iter().map(|(tier, price)| TierPrice { tier, price }).collect();
            price
        })
}

fn with_windows() -> impl Strategy<Value = Price> {
    let span = (0u16..10_080, 1u16..=10_080)
        .prop_map(|(from_minute, to_minute)| WeekSpan { from_minute, to_minute });
    let window = (prop::collection::vec(span, 1..3), with_tiers());
    (with_tiers(), prop::collection::vec(window, 0..3)).prop_map(|(mut price, windows)| {
        let more = price.more.get_or_insert_default();
        more.windows = windows.into_iter().map(|(times, price)| WindowPrice { times, price }).collect();
        price
    })
}

fn any_price() -> impl Strategy<Value = Price> {
    let change = (1_790_000_000_000i64..1_800_000_000_000, with_windows());
    let per_usd = prop::option::of(1u64..30_000_000);
    (with_windows(), prop::collection::vec(change, 0..3), per_usd).prop_map(
        |(mut price, mut changes, per_usd)| {
            changes.sort_by_key(|(from, _)| *from);
            let more = price.more.get_or_insert_default();
            more.changes = changes
                .into_iter()
                .map(|(from, price)| DatedPrice { from: Timestamp::from_ms(from), price })
                .collect();
            more.exchange = per_usd.map(|per_usd_ppm| Exchange { currency: Currency::CNY, per_usd_ppm });
            price
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_costs_more_than_was_reserved(
        price in any_price(),
        at in 1_790_000_000_000i64..1_800_000_000_000,
        counts in prop::array::uniform12(0u64..20_000),
        spare in (0u64..5_000, 0u64..5_000),
        units in (0u64..5_000, 0u64..5_000),
        searches in (0u64..20, 0u64..20),
        variant in variant(),
        asked in prop::option::of(prop::sample::select(vec![
            ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Batch, ServiceTier::Priority, ServiceTier::Ultrafast, ServiceTier::Auto,
        ])),
        served in prop::sample::select(ServiceTier::SERVED.to_vec()),
        ratio in prop_oneof![Just(1_000_000u32), 0u32..5_000_000],
    ) {
        let [input_uncached, cache_read, cache_write, cache_write_1h, audio_in, image_in, output_visible, output_reasoning, audio_out, image_out, cache_read_audio, cache_read_image] = counts;
        let usage = Usage {
            input_uncached, cache_read, cache_read_audio, cache_read_image, cache_write, cache_write_1h, audio_in, image_in, output_visible, output_reasoning, audio_out, image_out,
            searches: searches.0, units: units.0,
        };
        let now = price.on(Timestamp::from_ms(at));
        let tiers = TierSet::reached(asked, now.unasked());
        let reach = Reach { tiers, units: units.0 + units.1, searches: searches.0 + searches.1, ..Reach::ALL };
        let (input, output) = (usage.input_tokens() + spare.0, usage.output_tokens() + spare.1);
        let bound = now.bound(input, output, reach, ratio);
        let known = now.bound_of_known_input(&usage, output, reach, ratio);
        prop_assert!(known <= bound);
        if tiers.has(served) {
            // The answer says of what kind it was, and the reservation didn't know.
            let cost = now.with(variant.as_ref()).cost(&usage, served, ratio, Rounding::HalfEven);
            prop_assert!(cost <= known, "{cost} {known} {bound}");
        }
        // What an upstream says nothing of is among what can be reached.
        prop_assert!(tiers.has(ServiceTier::unsaid(asked)));
    }
}
