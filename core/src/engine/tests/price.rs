//! Which price an attempt is reserved and settled at.

use super::*;
use crate::channel::RegionRatio;
use crate::price::{
    Currency, DatedPrice, Exchange, PriceParts, SearchPrice, ServiceTier, TierPrice, UnitPrice, Variant,
    WindowPrice, minute_of_week,
};
use crate::record::UsageRecord;
use crate::tenant::{OwnPrice, Terms};
use crate::usage::UsageSource;

fn rates(input: u64, output: u64) -> Price {
    Price { input: Some(input), output: Some(output), ..Price::default() }
}

fn with(parts: PriceParts) -> Price {
    Price { more: Some(Box::new(parts)), ..rates(1_000_000, 2_000_000) }
}

fn dear() -> PriceParts {
    let tier = |tier, input| TierPrice { tier, price: rates(input, 2 * input) };
    PriceParts {
        service_tiers: vec![tier(ServiceTier::Flex, 500_000), tier(ServiceTier::Priority, 3_000_000)],
        ..PriceParts::default()
    }
}

fn spend_limit() -> Vec<Limit> {
    vec![Limit::strict(Metric::Spend, Window::Day, 1_000_000_000)]
}

/// What is reserved for the call, and what the record of its one attempt says.
fn serve(price: Price, call: Call, served: Option<ServiceTier>, now: Timestamp) -> (i64, UsageRecord) {
    let engine = engine_with(|model| model.price = price.clone());
    let caller = caller(&engine, spend_limit(), &[]);
    let mut admission = engine.admit(call, &caller, now, 7).unwrap();
    let Next::Try(attempt) = engine.next(&mut admission, now) else { panic!("a try") };
    let usage = Usage { input_uncached: 100, output_visible: 10, ..Usage::default() };
    let outcome = Outcome { served_tier: served, ..Outcome::answered(usage) };
    // However late it ends, the price is that of its beginning.
    engine.observe(&mut admission, &outcome, now.plus_ms(7_200_000));
    let record = engine.finish(admission, None, now.plus_ms(7_200_000));
    assert!(record.spend <= attempt.reserved, "{} of {}", record.spend, attempt.reserved);
    assert_eq!(engine.ledger().state(&caller.limits()[0], now).settled, record.spend);
    (attempt.reserved, record)
}

#[test]
fn a_call_is_reserved_for_the_dearest_tier_that_it_reaches_and_charged_what_was_served() {
    use ServiceTier::{Auto, Flex, Priority, Standard};
    // 100 tokens of input and 10 of output, at most and in the end.
    for (asked, served, reserved, spend, recorded) in [
        (None, None, 120_000, 120_000, None),
        (None, Some(Standard), 120_000, 120_000, None),
        (Some(Flex), Some(Flex), 120_000, 60_000, Some(Flex)),
        (Some(Flex), Some(Standard), 120_000, 120_000, None),
        (Some(Priority), Some(Priority), 360_000, 360_000, Some(Priority)),
        (Some(Priority), Some(Standard), 360_000, 120_000, None),
        // It says nothing of it: as asked, since that is dearer.
        (Some(Priority), None, 360_000, 360_000, Some(Priority)),
        (Some(Flex), None, 120_000, 120_000, None),
        (Some(Auto), Some(Priority), 360_000, 360_000, Some(Priority)),
        (Some(Auto), None, 360_000, 120_000, None),
    ] {
        let call = Call { service_tier: asked, ..call("m", Some(10)) };
        let (got, record) = serve(with(dear()), call, served, NOW);
        assert_eq!((got, record.spend), (reserved, spend), "{asked:?} {served:?}");
        assert_eq!(record.attempts[0].service_tier, recorded, "{asked:?} {served:?}");
    }
    let unasked = PriceParts { unasked: Some(ServiceTier::Priority), ..dear() };
    let (reserved, record) = serve(with(unasked), call("m", Some(10)), Some(ServiceTier::Priority), NOW);
    assert_eq!((reserved, record.spend), (360_000, 360_000));
}

#[test]
fn a_tier_that_was_not_sent_is_not_charged_unless_it_was_served() {
    use ServiceTier::{Priority, Standard};
    for (served, spend) in [(None, 120_000), (Some(Standard), 120_000), (Some(Priority), 360_000)] {
        let engine = engine(Declared {
            channels: vec![channel_with(|model| model.price = with(dear()))],
            ..Declared::default()
        });
        let caller = caller(&engine, Vec::new(), &[]);
        let asked = Call { service_tier: Some(Priority), ..call("m", Some(10)) };
        let mut admission = engine.admit(asked, &caller, NOW, 7).unwrap();
        let Next::Try(_) = engine.next(&mut admission, NOW) else { panic!("a try") };
        admission.sends_no_tier();
        let usage = Usage { input_uncached: 100, output_visible: 10, ..Usage::default() };
        engine.observe(&mut admission, &Outcome { served_tier: served, ..Outcome::answered(usage) }, NOW);
        assert_eq!(engine.finish(admission, None, NOW).spend, spend, "{served:?}");
    }
}

#[test]
fn an_image_is_reserved_for_what_it_may_be_and_charged_as_what_it_is() {
    let of = |size, quality, cents: u64| UnitPrice::new(Some(size), Some(quality), cents * 10_000_000_000);
    let units = vec![of("small", "standard", 4), of("large", "standard", 8), of("large", "hd", 12)];
    let price =
        Price { more: Some(Box::new(PriceParts { units, ..PriceParts::default() })), ..Price::default() };
    for (asked, said, reserved, spend) in [
        ((None, None), (None, None), 24, 8),
        ((Some("large"), None), (None, None), 24, 16),
        ((Some("small"), None), (None, None), 8, 8),
        ((Some("large"), Some("hd")), (Some("large"), Some("standard")), 24, 16),
        ((None, Some("auto")), (Some("large"), None), 24, 16),
    ] {
        let mut only = channel_with(|model| model.price = price.clone());
        only.endpoints[0].format = Format::OpenaiImages;
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, vec![Limit::strict(Metric::Spend, Window::Day, 10_000_000_000)], &[]);
        let call = Call {
            format: Format::OpenaiImages,
            choices: 2,
            units: 2,
            variant: Variant::of(asked.0, asked.1).map(Box::new),
            ..call("m", None)
        };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        let served_variant = Variant::of(said.0, said.1).map(Box::new);
        let usage = Usage { units: 2, ..Usage::default() };
        engine.observe(&mut admission, &Outcome { served_variant, ..Outcome::answered(usage) }, NOW);
        let record = engine.finish(admission, None, NOW);
        const CENT: i64 = 10_000_000;
        assert_eq!((attempt.reserved, record.spend), (reserved * CENT, spend * CENT), "{asked:?} {said:?}");
        let (asked, said) = (Variant::of(asked.0, asked.1), Variant::of(said.0, said.1));
        let charged = Variant::served(asked.as_ref(), said.as_ref());
        assert_eq!(record.attempts[0].variant.as_deref(), charged.as_ref());
        assert_eq!(record.replay.variant.as_deref(), asked.as_ref());
    }
}

#[test]
fn images_charged_in_tokens_that_say_no_usage_are_counted_by_size_and_quality() {
    let priced = || with(PriceParts { image_out: Some(8_000_000), ..PriceParts::default() });
    let by_unit = || Price { per_unit: Some(40_000_000_000), ..priced() };
    let (ok, gone) = (OutcomeClass::Ok, OutcomeClass::ClientGone);
    let units = |units| Usage { units, ..Usage::default() };
    let nothing = "no content";
    for (note, price, class, reported, (size, quality), charged) in [
        (nothing, priced(), ok, None, (None, None), (90, 0)),
        (nothing, priced(), ok, Some(units(0)), (None, None), (90, 0)),
        (nothing, priced(), gone, None, (None, None), (90, 0)),
        (nothing, priced(), OutcomeClass::Timeout, None, (None, None), (90, 0)),
        ("content, and how much of it isn't said", priced(), ok, None, (None, None), (90, 2 * 4_160)),
        ("nothing said", priced(), ok, Some(units(2)), (None, None), (90, 2 * 4_160)),
        ("one of two came", priced(), ok, Some(units(1)), (None, Some("low")), (90, 272)),
        (
            "the answer says what they are",
            priced(),
            ok,
            Some(units(2)),
            (Some("1024x1536"), Some("low")),
            (90, 2 * 408),
        ),
        ("a stream that somebody leaves", priced(), gone, None, (None, Some("medium")), (90, 2 * 1_056)),
        ("more than was reserved", priced(), ok, Some(units(2)), (Some("4096x4096"), None), (90, 2 * 16_384)),
        ("charged by the piece", by_unit(), ok, Some(units(2)), (None, None), (0, 0)),
        (
            "reported",
            priced(),
            ok,
            Some(Usage { input_uncached: 9, image_out: 7, ..units(2) }),
            (None, None),
            (9, 7),
        ),
    ] {
        let mut only = channel_with(|model| model.price = price.clone());
        only.endpoints[0].format = Format::OpenaiImages;
        only.models[0].upstream = "gpt-image-1".into();
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, vec![Limit::strict(Metric::Spend, Window::Day, 10_000_000_000)], &[]);
        let call = Call {
            format: Format::OpenaiImages,
            input_estimate: 90,
            choices: 2,
            units: 2,
            extra_output: 16_384,
            stream: class == gone,
            ..call("m", None)
        };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        let served_variant = Variant::of(size, quality).map(Box::new);
        let first_byte_at = (note != nothing).then_some(NOW);
        let outcome = Outcome {
            reported,
            served_variant,
            first_byte_at,
            sent: true,
            ..Outcome::failed(class, Some(200))
        };
        engine.observe(&mut admission, &outcome, NOW);
        let record = engine.finish(admission, None, NOW);
        let (usage, source) = (record.attempts[0].usage, record.attempts[0].usage_source);
        assert_eq!((usage.input_uncached, usage.image_out), charged, "{note}");
        assert_eq!(source == UsageSource::Counted, charged.0 == 90, "{note}");
        assert!(record.spend > 0 && record.spend <= attempt.reserved, "{note}");
    }
    // What was never answered made nothing.
    let mut only = channel_with(|model| model.price = priced());
    only.endpoints[0].format = Format::OpenaiImages;
    let engine = engine(Declared { channels: vec![only], ..Declared::default() });
    let caller = caller(&engine, spend_limit(), &[]);
    let call = Call { format: Format::OpenaiImages, units: 1, extra_output: 16, ..call("m", None) };
    let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
    let Next::Try(_) = engine.next(&mut admission, NOW) else { panic!("a try") };
    let outcome = Outcome { sent: true, ..Outcome::failed(OutcomeClass::Timeout, None) };
    engine.observe(&mut admission, &outcome, NOW);
    assert_eq!(engine.finish(admission, None, NOW).usage.image_out, 0);
}

#[test]
fn images_in_the_making_are_counted_on_top_where_tokens_are_charged() {
    let by_tokens = || with(PriceParts { image_out: Some(8_000_000), ..PriceParts::default() });
    let by_piece = || Price { per_unit: Some(40_000_000_000), ..by_tokens() };
    for (price, class, image_out) in [
        (by_tokens(), OutcomeClass::Ok, 4_160 + 200),
        (by_tokens(), OutcomeClass::ClientGone, 4_160 + 200),
        (by_piece(), OutcomeClass::Ok, 0),
    ] {
        let mut only = channel_with(|model| model.price = price);
        only.endpoints[0].format = Format::OpenaiImages;
        only.models[0].upstream = "gpt-image-1".into();
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let image = Call { format: Format::OpenaiImages, units: 1, extra_output: 16_684, ..call("m", None) };
        let mut admission = engine.admit(Call { stream: true, ..image }, &caller, NOW, 7).unwrap();
        let Next::Try(_) = engine.next(&mut admission, NOW) else { panic!("a try") };
        let counted = Usage { units: 1, image_out: 200, ..Usage::default() };
        let outcome = Outcome { counted, sent: true, ..Outcome::failed(class, Some(200)) };
        engine.observe(&mut admission, &outcome, NOW);
        assert_eq!(engine.finish(admission, None, NOW).usage.image_out, image_out, "{class:?}");
    }
}

#[test]
fn a_tier_without_a_price_is_no_candidate_under_a_strict_budget() {
    let served = |price: Price, limits: Vec<Limit>| {
        let engine = engine_with(|model| model.price = price.clone());
        let caller = caller(&engine, limits, &[]);
        let call = Call { service_tier: Some(ServiceTier::Priority), ..call("m", Some(10)) };
        let mut admission = engine.admit(call, &caller, NOW, 7).ok()?;
        Some(matches!(engine.next(&mut admission, NOW), Next::Try(_)))
    };
    assert_eq!(served(rates(1, 1), Vec::new()), Some(true));
    assert_ne!(served(rates(1, 1), spend_limit()), Some(true));
    assert_eq!(served(with(dear()), spend_limit()), Some(true));
}

#[test]
fn an_image_that_its_channel_asks_for_is_charged_as_that() {
    let of = |quality, cents: u64| UnitPrice::new(None, Some(quality), cents * 10_000_000_000);
    let units = vec![of("standard", 4), of("hd", 8)];
    let price =
        Price { more: Some(Box::new(PriceParts { units, ..PriceParts::default() })), ..Price::default() };
    for (sent, said, spend) in
        [(None, None, 40_000_000), (Some("hd"), None, 80_000_000), (Some("hd"), Some("standard"), 40_000_000)]
    {
        let mut only = channel_with(|model| model.price = price.clone());
        only.endpoints[0].format = Format::OpenaiImages;
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, spend_limit(), &[]);
        let call = Call { format: Format::OpenaiImages, units: 1, ..call("m", None) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        assert_eq!(attempt.reserved, 80_000_000);
        admission.sends_variant(Variant::of(None, sent));
        let served_variant = Variant::of(None, said).map(Box::new);
        let usage = Usage { units: 1, ..Usage::default() };
        engine.observe(&mut admission, &Outcome { served_variant, ..Outcome::answered(usage) }, NOW);
        assert_eq!(engine.finish(admission, None, NOW).spend, spend, "{sent:?} {said:?}");
    }
}

fn with_search_fee() -> Price {
    let sized = |size: &str, fee_nano_usd| SearchPrice { size: size.into(), fee_nano_usd };
    with(PriceParts {
        per_search_nano_usd: 25_000_000,
        search_sizes: vec![sized("low", 5_000_000), sized("high", 30_000_000)],
        ..PriceParts::default()
    })
}

fn named(group: &str, upstream: &str, price: &Price) -> Engine {
    let mut only = channel_with(|model| {
        model.price = price.clone();
        model.is_deployment = upstream.starts_with("deployment");
    });
    (only.models[0].group, only.models[0].upstream) = (group.into(), upstream.into());
    engine(Declared { channels: vec![only], ..Declared::default() })
}

#[test]
fn searches_that_nobody_asks_for_are_reserved_and_pass_no_cap() {
    // 16 tokens cost next to nothing; the search that each call makes does not.
    for (group, upstream, asked, is_reserved) in [
        ("gpt-4o-mini-search-preview", "gpt-4o-mini-search-preview", "gpt-4o-mini-search-preview", true),
        ("web", "perplexity/sonar-pro", "web", true),
        ("sonar", "deployment-7", "sonar", true),
        ("relay/*", "*", "relay/sonar", true),
        ("gpt-5", "gpt-5", "gpt-5", false),
        // What a group is called says nothing of the model behind it.
        ("sonar-like", "gpt-5", "sonar-like", false),
    ] {
        let engine = named(group, upstream, &with_search_fee());
        let caller = caller(&engine, vec![Limit::strict(Metric::Spend, Window::Day, 50_000_000)], &[]);
        let reserved = 132_000 + if is_reserved { 30_000_000 } else { 0 };
        let mut under_way = Vec::new();
        for _ in 0..4 {
            let Ok(mut admission) = engine.admit(call(asked, Some(16)), &caller, NOW, 7) else { break };
            let Next::Try(attempt) = engine.next(&mut admission, NOW) else { break };
            assert_eq!(attempt.reserved, reserved, "{asked}");
            under_way.push(admission);
        }
        assert_eq!(under_way.len(), if is_reserved { 1 } else { 4 }, "{asked}");
        for mut admission in under_way {
            let searches = u64::from(is_reserved);
            let usage = Usage { input_uncached: 10, output_visible: 5, searches, ..Usage::default() };
            let served_variant = Variant::of(Some("high"), None).map(Box::new);
            engine.observe(&mut admission, &Outcome { served_variant, ..Outcome::answered(usage) }, NOW);
            let record = engine.finish(admission, None, NOW);
            assert_eq!(record.spend, 20_000 + if is_reserved { 30_000_000 } else { 0 }, "{asked}");
        }
        assert!(engine.ledger().state(&caller.limits()[0], NOW).settled <= 50_000_000);
    }
}

#[test]
fn what_searches_at_will_is_no_candidate_under_a_strict_budget() {
    let free = with(PriceParts::default());
    for (model, upstream, price, limits, goes) in [
        ("research", "sonar-deep-research", with_search_fee(), spend_limit(), false),
        ("sonar-deep-research", "sonar-deep-research", with_search_fee(), Vec::new(), true),
        ("deep-research", "deployment-7", with_search_fee(), spend_limit(), false),
        // Nothing is charged for them.
        ("sonar-deep-research", "sonar-deep-research", free, spend_limit(), true),
        ("sonar", "sonar", with_search_fee(), spend_limit(), true),
        ("deep-research", "gpt-5", with_search_fee(), spend_limit(), true),
    ] {
        let engine = named(model, upstream, &price);
        let caller = caller(&engine, limits, &[]);
        let said = match engine.admit(call(model, Some(10)), &caller, NOW, 7) {
            Err(denied) => Err(denied.denial),
            Ok(mut admission) => match engine.next(&mut admission, NOW) {
                Next::Try(_) => Ok(()),
                Next::Done(Failure::Denied(denial)) => Err(denial),
                _ => panic!("{model}"),
            },
        };
        assert_eq!(said.is_ok(), goes, "{model}");
        if let Err(denial) = said {
            let message = denial.to_error(NOW).to_string();
            assert!(message.contains("it searches as often as it likes"), "{message}");
        }
    }
}

#[test]
fn what_nothing_bounds_goes_to_no_channel_whose_own_spend_is_strict() {
    let strict = Limit::strict(Metric::Spend, Window::Day, 50_000_000);
    let corrected = Limit { mode: Mode::Corrected, ..strict.clone() };
    for (model, open_ended, limit, goes) in [
        ("gpt-5", true, &strict, false),
        ("gpt-5", true, &corrected, true),
        ("gpt-5", false, &strict, true),
        ("sonar-deep-research", false, &strict, false),
        ("sonar-deep-research", false, &corrected, true),
    ] {
        let mut only = channel_with(|served| served.price = with_search_fee());
        (only.models[0].group, only.models[0].upstream) = (model.into(), model.into());
        only.limits = vec![limit.clone()];
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let asked = Call { open_ended, ..call(model, Some(10)) };
        let goes_on = match engine.admit(asked, &caller, NOW, 7) {
            Err(denied) => {
                assert!(matches!(denied.denial, Denial::Unpriced { .. }), "{:?}", denied.denial);
                false
            }
            Ok(mut admission) => matches!(engine.next(&mut admission, NOW), Next::Try(_)),
        };
        assert_eq!(goes_on, goes, "{model} {open_ended} {limit:?}");
    }
}

#[test]
fn the_time_at_which_an_attempt_begins_says_its_price() {
    let minute = minute_of_week(NOW);
    let window = WindowPrice {
        times: vec![crate::price::WeekSpan { from_minute: minute, to_minute: minute + 1 }],
        price: rates(500_000, 1_000_000),
    };
    let parts = PriceParts { windows: vec![window], ..PriceParts::default() };
    // One minute of the week is cheaper: it ends before the attempt does.
    assert_eq!(serve(with(parts.clone()), call("m", Some(10)), None, NOW).1.spend, 60_000);
    assert_eq!(serve(with(parts), call("m", Some(10)), None, NOW.plus_ms(60_000)).1.spend, 120_000);
    let change = DatedPrice { from: NOW.plus_ms(1), price: rates(4_000_000, 8_000_000) };
    let parts = PriceParts { changes: vec![change], ..PriceParts::default() };
    let (reserved, record) = serve(with(parts.clone()), call("m", Some(10)), None, NOW);
    assert_eq!((reserved, record.spend), (120_000, 120_000));
    assert_eq!(serve(with(parts), call("m", Some(10)), None, NOW.plus_ms(1)).0, 480_000);
}

#[test]
fn another_currency_is_booked_in_usd_and_the_record_says_the_rate() {
    let exchange = Exchange { currency: Currency::CNY, per_usd_ppm: 8_000_000 };
    let parts = PriceParts { exchange: Some(exchange), ..PriceParts::default() };
    let (reserved, record) = serve(with(parts), call("m", Some(10)), None, NOW);
    assert_eq!((reserved, record.spend), (15_000, 15_000));
    assert_eq!(record.attempts[0].exchange, Some(exchange));
}

#[test]
fn a_group_pays_its_own_price_and_the_operator_the_channels() {
    for (terms, reserved, spend) in [
        (Terms::Price(rates(10_000_000, 10_000_000)), 1_100_000, 1_100_000),
        (Terms::Ratio(500_000), 60_000, 60_000),
    ] {
        let engine = engine_with(|_| {});
        let mut caller = Caller::operator("default".into(), &[]);
        caller.chain.insert(0, ScopeLimits { scope: Scope::new(ScopeKind::Key, "k"), limits: spend_limit() });
        caller.price_ratio_ppm = 2_000_000;
        caller.prices = [OwnPrice { model: "m*".into(), terms }].into();
        let caller = engine.bind(caller);
        let mut admission = engine.admit(call("m", Some(10)), &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        assert_eq!(attempt.reserved, reserved);
        let usage = Usage { input_uncached: 100, output_visible: 10, ..Usage::default() };
        engine.observe(&mut admission, &Outcome::answered(usage), NOW);
        let record = engine.finish(admission, None, NOW);
        assert_eq!((record.spend, record.attempts[0].cost), (spend, 120_000));
    }
}

#[test]
fn a_call_costs_what_it_costs_in_the_region_that_processed_it() {
    // 100 tokens of input and 10 of output.
    // Until it is known, the dearest is reserved.
    for (region, ratio_ppm, spend, cost) in [
        (None, 1_000_000, 120_000, 120_000),
        (Some("us"), 1_000_000, 132_000, 132_000),
        (Some("us"), 2_000_000, 264_000, 132_000),
        (Some("eu"), 1_000_000, 120_000, 120_000),
        (Some("global"), 1_000_000, 120_000, 120_000),
    ] {
        let engine = engine_with(|model| {
            model.price = rates(1_000_000, 2_000_000);
            model.regions = vec![RegionRatio { region: "us".into(), ratio_ppm: 1_100_000 }];
        });
        let mut caller = Caller::operator("default".into(), &[]);
        caller.price_ratio_ppm = ratio_ppm;
        let caller = engine.bind(caller);
        let mut admission = engine.admit(call("m", Some(10)), &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        assert_eq!(attempt.reserved, 132_000 * i64::from(ratio_ppm) / 1_000_000);
        let usage = Usage { input_uncached: 100, output_visible: 10, ..Usage::default() };
        let served_variant = region.and_then(Variant::in_region).map(Box::new);
        engine.observe(&mut admission, &Outcome { served_variant, ..Outcome::answered(usage) }, NOW);
        let record = engine.finish(admission, None, NOW);
        assert_eq!((record.spend, record.attempts[0].cost), (spend, cost), "{region:?}");
    }
}

#[test]
fn what_is_passed_through_costs_what_its_model_does_at_the_channel_that_serves() {
    use crate::call::{Billed, BilledAt};
    let us = || vec![RegionRatio { region: "us".into(), ratio_ppm: 1_100_000 }];
    let (cheap, dear) = (|| rates(1_000_000, 2_000_000), || rates(10_000_000, 20_000_000));
    let billed = |price, regions, elsewhere| Billed { model: "m".into(), price, regions, elsewhere };
    let at = |channel: &str, price, regions| BilledAt { channel: channel.into(), price, regions };
    for (note, billed, reserved, spend) in [
        ("everywhere alike", billed(cheap(), us(), vec![]), 132_000, 132_000),
        ("no region costs more", billed(cheap(), vec![], vec![]), 120_000, 120_000),
        ("of its own here", billed(dear(), vec![], vec![at("a", cheap(), us())]), 132_000, 132_000),
        ("of its own elsewhere", billed(cheap(), us(), vec![at("b", dear(), vec![])]), 132_000, 132_000),
    ] {
        // The channel's own model says what a call costs that names none.
        let channel = Channel { id: "a".into(), ..channel_with(|model| model.price = rates(0, 0)) };
        let engine = engine(Declared { channels: vec![channel], ..Declared::default() });
        let caller = caller(&engine, spend_limit(), &[]);
        let asked = Call { billed: Some(Box::new(billed)), ..call("m", Some(10)) };
        let mut admission = engine.admit(asked, &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("a try") };
        assert_eq!(attempt.reserved, reserved, "{note}");
        let usage = Usage { input_uncached: 100, output_visible: 10, ..Usage::default() };
        let served_variant = Variant::in_region("us").map(Box::new);
        engine.observe(&mut admission, &Outcome { served_variant, ..Outcome::answered(usage) }, NOW);
        let record = engine.finish(admission, None, NOW);
        assert_eq!((record.spend, record.attempts[0].cost), (spend, spend), "{note}");
    }
}
