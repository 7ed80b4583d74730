//! Refusals as callers are told them. A table has each, whole, and the console's own test reads it, too: there each must come out in the
//! reader's language.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The messages of the table that are composed in this file of the repository.
pub(crate) fn messages_of(file: &str) -> BTreeSet<String> {
    let table = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/console/messages.json"));
    let mut all: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(table).unwrap();
    all.remove(file).unwrap()
}

const SCOPES: [ScopeKind; 9] = [
    ScopeKind::Key,
    ScopeKind::Membership,
    ScopeKind::Group,
    ScopeKind::User,
    ScopeKind::Organization,
    ScopeKind::Global,
    ScopeKind::Customer,
    ScopeKind::Tag,
    ScopeKind::Channel,
];

const WINDOWS: [Window; 10] = [
    Window::Minute,
    Window::Hour,
    Window::Day,
    Window::Week,
    Window::Month,
    Window::RollingMs(172_800_000),
    Window::RollingMs(18_000_000),
    Window::RollingMs(600_000),
    Window::RollingMs(30_000),
    Window::RollingMs(1_500),
];

/// 2026-01-02.
const AT: Timestamp = Timestamp::from_ms(1_767_312_000_000);

/// Each scope, window, metric and remedy, with and without figures.
fn limits() -> Vec<LimitHit> {
    let shown = LimitHit {
        scope: ScopeKind::Key,
        metric: Metric::TotalTokens,
        window: Window::Day,
        max: Some(2_000_000_000),
        used: Some(1_500_000_000),
        asked: Some(600_000_000),
        resets_at: Some(AT),
        busy: false,
    };
    let hidden = LimitHit { max: None, used: None, asked: None, ..shown.clone() };
    let mut hits = Vec::new();
    for base in [shown, hidden] {
        hits.extend(SCOPES.map(|scope| LimitHit { scope, ..base.clone() }));
        hits.extend(WINDOWS.map(|window| LimitHit { window, ..base.clone() }));
        let counted = Metric::ALL.into_iter().filter(|metric| *metric != Metric::Concurrency);
        hits.extend(counted.map(|metric| LimitHit { metric, ..base.clone() }));
        hits.push(LimitHit { busy: true, ..base.clone() });
        let lifetime = LimitHit { window: Window::Lifetime, resets_at: None, ..base };
        hits.push(LimitHit { metric: Metric::Concurrency, ..lifetime.clone() });
        hits.push(lifetime);
    }
    hits
}

fn others() -> Vec<Denial> {
    let model = || ModelName::from("m");
    let mut denials = vec![
        Denial::Expired { at: AT },
        Denial::AddressNotAllowed,
        Denial::UnknownModel { model: model(), available: Vec::new() },
        Denial::UnknownModel { model: model(), available: vec!["a".into(), "b".into()] },
        Denial::Guardrail { guardrail: "g".to_owned(), message: None },
        Denial::ContextTooLong { largest: 128_000 },
        Denial::Unpriced { model: model() },
        Denial::NoChannel { retry_at: None },
        Denial::WrongFormat { model: model(), asked: Format::OpenaiCompact, speaks: Format::OpenaiChat },
    ];
    let blocked =
        [ScopeKind::Key, ScopeKind::Membership, ScopeKind::Group, ScopeKind::User, ScopeKind::Organization];
    denials.extend(blocked.map(|scope| Denial::Blocked { scope }));
    let speaks = [Format::OpenaiChat, Format::OpenaiEmbeddings].into_iter().chain(Format::SINGLE);
    denials.extend(speaks.map(|speaks| Denial::WrongFormat {
        model: model(),
        asked: Format::OpenaiSpeech,
        speaks,
    }));
    let none = Needs::default();
    let lacks = [
        Needs { tools: true, ..none },
        Needs { images: true, ..none },
        Needs { audio: true, ..none },
        Needs { json_schema: true, ..none },
        Needs { stops: true, ..none },
        Needs { tools: true, images: true, ..none },
        Needs { tools: true, images: true, audio: true, json_schema: true, stops: true },
    ];
    denials.extend(lacks.map(|lacks| Denial::Lacks { model: model(), lacks }));
    denials
}

#[test]
fn every_refusal_stands_in_the_table_of_messages() {
    let denials = limits().into_iter().map(Denial::Limit).chain(others());
    let told: BTreeSet<String> =
        denials.map(|it| it.to_error(Timestamp::from_ms(0)).message().to_owned()).collect();
    assert_eq!(told, messages_of("core/src/decision.rs"));
}
