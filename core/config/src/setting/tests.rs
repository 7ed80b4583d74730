use serde_json::json;

use super::*;
use crate::{Environment, Source, load};

fn fixed(text: &str) -> Vec<(String, String, u32)> {
    let loaded = load(Source { path: "f.yaml", text }, &Environment::new(&|_| None));
    let said = |setting: Setting| {
        let by = loaded.fixed.get(setting)?;
        assert_eq!(by.path, "f.yaml");
        Some((setting.name().to_owned(), by.key.clone(), by.line))
    };
    SETTINGS.into_iter().filter_map(said).collect()
}

#[test]
fn what_a_file_says_is_known_by_its_own_key() {
    for (text, want) in [
        ("version: 1\n", vec![]),
        ("version: 1\nrouting: {cooldown: 9s}\n", vec![("routing.cooldown_ms", "routing.cooldown", 2)]),
        ("version: 1\nrouting:\n  cooldown:\n", vec![]),
        ("version: 1\ncurrencies: {EUR: 0.9}\n", vec![]),
        ("version: 1\ncurrencies: {rmb: 7}\n", vec![("currencies.cny_per_usd_ppm", "currencies.rmb", 2)]),
        (
            "version: 1\nserver:\n  retention:\n    records: 9d\n",
            vec![("retention.records_ms", "server.retention.records", 4)],
        ),
        (
            "version: 1\nauth: {session: {idle: 1h}, registration: {email_domains: [a.example]}}\n",
            vec![
                ("auth.registration", "auth.registration", 2),
                ("auth.session.idle_ms", "auth.session.idle", 2),
            ],
        ),
        // The number is by itself then, and the share is no matter.
        (
            "version: 1\nrouting: {allowed_fails: 5}\n",
            vec![
                ("routing.allowed_fails", "routing.allowed_fails", 2),
                ("routing.failure_min_percent", "routing.allowed_fails", 2),
            ],
        ),
        (
            "model_list: []\nlitellm_settings: {num_retries: 1}\nrouter_settings: {num_retries: 2, disable_cooldowns: true}\n",
            vec![
                ("routing.retries", "router_settings.num_retries", 3),
                ("routing.max_attempts", "router_settings.num_retries", 3),
                ("routing.cooldown_ms", "router_settings.disable_cooldowns", 3),
            ],
        ),
        // Another dialect's key says nothing.
        ("model_list: []\nrouting: {cooldown: 9s}\n", vec![]),
        ("channels: [{type: 1, name: c, key: k, models: gpt-5.4}]\n", vec![]),
    ] {
        let want: Vec<_> =
            want.iter().map(|(name, key, line)| ((*name).into(), (*key).into(), *line)).collect();
        assert_eq!(fixed(text), want, "{text}");
    }
}

#[test]
fn the_keys_of_our_own_file_are_those_of_its_sections() {
    let schema = crate::json_schema();
    for setting in SETTINGS {
        let Some((_, key)) = setting.file_key().rsplit_once('.') else { panic!("{setting:?}") };
        let known = key == "CNY" || schema.to_string().contains(&format!("\"{key}\""));
        assert!(known, "{}", setting.file_key());
    }
}

#[test]
fn a_value_is_taken_within_its_range_and_nothing_else_is() {
    let registration =
        json!({"email_domains": ["corp.example"], "organization": "default", "group": null, "role": "user"});
    let mut whole = registration.clone();
    whole["role"] = json!("group_admin");
    for (setting, good, bad) in [
        (Setting::Retries, vec![json!(0), json!(63)], vec![json!(64), json!(-1), json!(1.5), json!("2")]),
        (Setting::MaxAttempts, vec![json!(1), json!(64)], vec![json!(0), json!(65)]),
        (Setting::AllowedFails, vec![json!(0)], vec![json!(1_000_001)]),
        (Setting::FailureMinPercent, vec![json!(100)], vec![json!(101)]),
        (Setting::Cooldown, vec![json!(0), json!(86_400_000)], vec![json!(86_400_001), json!("30s")]),
        (Setting::Unpriced, vec![json!("allow"), json!("deny")], vec![json!("Deny"), json!(true)]),
        (Setting::CnyPerUsd, vec![json!(7_120_000)], vec![json!(0), json!(9_999), json!(7.12)]),
        (Setting::Records, vec![json!(86_400_000)], vec![json!(86_399_999)]),
        (Setting::Responses, vec![json!(0)], vec![json!(u64::MAX)]),
        (Setting::KeysPerUser, vec![json!(1), json!(100_000)], vec![json!(0), json!(100_001)]),
        (Setting::PasswordLength, vec![json!(8), json!(128)], vec![json!(7), json!(129)]),
        (Setting::SessionIdle, vec![json!(300_000)], vec![json!(299_999)]),
        (Setting::SessionAbsolute, vec![json!(7_776_000_000_u64)], vec![json!(7_776_000_001_u64)]),
        (Setting::Litellm, vec![json!("1.80"), json!("1.106")], vec![json!("1.8"), json!(1.80)]),
        (
            Setting::Registration,
            vec![registration],
            vec![
                json!({}),
                json!({"email_domains": []}),
                json!({"email_domains": ["@a.example"]}),
                whole,
                json!(true),
            ],
        ),
    ] {
        for value in good {
            let (mut declared, mut host) = Default::default();
            setting.take(&value, &mut declared, &mut host).unwrap();
            assert_eq!(setting.value(&declared, &host), value, "{setting:?}");
        }
        for value in bad {
            let (mut declared, mut host) = Default::default();
            let why = setting.take(&value, &mut declared, &mut host).unwrap_err();
            assert!(why.starts_with("must") || why.starts_with("makes"), "{setting:?} {value}: {why}");
            assert_eq!(host, HostSettings::default(), "{setting:?} {value}");
        }
    }
}

#[test]
fn what_is_kept_gives_way_to_the_file_and_what_cannot_be_taken_is_told() {
    const DAY: u64 = 86_400_000;
    let kept = |value: Value| value.as_object().cloned().unwrap_or_default();
    for (text, values, in_force, unused) in [
        ("version: 1\n", json!({"routing.retries": 5}), json!(5), vec![]),
        ("version: 1\n", json!({"routing.retries": null}), json!(2), vec![]),
        ("version: 1\nrouting: {retries: 3}\n", json!({"routing.retries": 5}), json!(3), vec![]),
        ("version: 1\n", json!({"routing.retries": 500}), json!(2), vec![Setting::Retries]),
        // One that a later version knows.
        ("version: 1\n", json!({"routing.unheard_of": 5}), json!(2), vec![]),
        (
            "version: 1\n",
            json!({"retention.daily_sums_ms": 90 * DAY, "retention.records_ms": 91 * DAY}),
            json!(2),
            vec![Setting::Records, Setting::DailySums],
        ),
        (
            "version: 1\nserver: {retention: {daily_sums: 90d, records: 9d}}\n",
            json!({"retention.records_ms": 91 * DAY}),
            json!(2),
            vec![],
        ),
        ("version: 1\n", json!({"retention.daily_sums_ms": 90 * DAY}), json!(2), vec![Setting::DailySums]),
    ] {
        let mut loaded = load(Source { path: "f.yaml", text }, &Environment::new(&|_| None));
        let (declared, host) = (&mut loaded.declared, &mut loaded.host);
        let told = overlay(&kept(values.clone()), &loaded.fixed, declared, host);
        let told: Vec<_> = told.into_iter().map(|(setting, _)| setting).collect();
        assert_eq!(told, unused, "{values}");
        assert_eq!(Setting::Retries.value(declared, host), in_force, "{values}");
        let sound = host
            .retention
            .daily_sums_ms
            .is_none_or(|sums| host.retention.records_ms.is_some_and(|it| it <= sums));
        assert!(sound, "{values}");
    }
}

#[test]
fn one_rate_holds_for_every_price_in_its_currency() {
    use sluicegate_core::price::{Price, PriceParts};
    let in_currency = |currency, per_usd_ppm| {
        let exchange = Some(Exchange { currency, per_usd_ppm });
        Price { more: Some(Box::new(PriceParts { exchange, ..PriceParts::default() })), ..Price::default() }
    };
    let rates = [Exchange { currency: Currency::CNY, per_usd_ppm: 7_300_000 }];
    let euro = Currency::of_code("EUR").unwrap();
    for (mut price, want) in [
        (in_currency(Currency::CNY, 7_000_000), Some(7_300_000)),
        (in_currency(euro, 900_000), Some(900_000)),
        (Price::default(), None),
    ] {
        price.value_at(&rates);
        assert_eq!(price.more.and_then(|more| more.exchange).map(|it| it.per_usd_ppm), want);
    }
}
