//! The engine, driven by hand on a time that is an argument.

use std::sync::Arc;

use super::*;
use crate::call::{Call, Format, Needs};
use crate::channel::{Auth, Channel, ChannelModel, Endpoint, SecretRef, Timeouts, Transport, UnknownFields};
use crate::decision::{Denial, OutcomeClass};
use crate::limit::{Limit, Metric, Window};
use crate::ports::{PolicyRun, RouteView};
use crate::price::Price;
use crate::snapshot::{Declared, Snapshot};
use crate::tenant::{Caller, ModelAccess, Source};
use crate::usage::Usage;

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

pub(super) struct NoPolicy;

impl PolicyHook for NoPolicy {
    fn applies(&self, _: &Caller) -> bool {
        false
    }

    fn route(&self, _: &RouteView<'_>) -> Vec<PolicyRun> {
        Vec::new()
    }

    fn digest(&self) -> u64 {
        0
    }
}

pub(super) fn channel(id: &str, model: &str, priority: i32) -> Channel {
    Channel {
        id: id.into(),
        name: id.to_owned(),
        provider: "openai".into(),
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/".to_owned() }],
        auth: Auth::None,
        secret: SecretRef::None,
        models: vec![ChannelModel {
            group: model.into(),
            upstream: model.into(),
            price: Price { input: Some(1_000_000), output: Some(2_000_000), ..Price::default() },
            context_window: Some(100_000),
            max_output: None,
            extra_reasoning: None,
            lacks: Needs::default(),
        }],
        groups: Vec::new(),
        priority,
        weight: 1,
        limits: Vec::new(),
        tags: Vec::new(),
        headers: indexmap::IndexMap::new(),
        timeouts: Timeouts::default(),
        transport: Transport::default(),
        allowed_fails: None,
        cooldown_ms: None,
        unknown_fields: UnknownFields::default(),
        client_overrides: Vec::new(),
        enabled: true,
        source: Source::File,
    }
}

pub(super) fn engine(declared: Declared) -> Engine {
    Engine::new(Snapshot::build(1, declared), Arc::new(NoPolicy))
}

pub(super) fn caller(engine: &Engine, limits: Vec<Limit>, models: &[&str]) -> Arc<BoundCaller> {
    let mut caller = Caller::operator("default".into(), &[]);
    caller.chain.insert(0, ScopeLimits { scope: Scope::new(ScopeKind::Key, "k"), limits });
    if !models.is_empty() {
        caller.access.push(ModelAccess::only(models.iter().map(|m| (*m).into()).collect()));
    }
    engine.bind(caller)
}

pub(super) fn call(model: &str, max_output: Option<u64>) -> Call {
    let mut call = Call::new("c", Format::OpenaiChat, model);
    call.input_bound = Some(100);
    call.input_estimate = 25;
    call.max_output = max_output;
    call
}

fn try_at(next: Next) -> (String, Option<u64>) {
    match next {
        Next::Try(attempt) => (attempt.channel().id.to_string(), attempt.ceiling),
        other => panic!("wanted a try, got {other:?}"),
    }
}

#[test]
fn a_failed_channel_is_left_for_the_next_one_and_its_priority_counts() {
    let declared =
        Declared { channels: vec![channel("low", "m", 0), channel("high", "m", 5)], ..Declared::default() };
    let engine = engine(declared);
    let caller = caller(&engine, Vec::new(), &[]);
    let mut admission = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
    assert_eq!(try_at(engine.next(&mut admission, NOW)).0, "high");
    engine.observe(&mut admission, &Outcome::failed(OutcomeClass::ServerError, Some(500)), NOW);
    assert_eq!(try_at(engine.next(&mut admission, NOW)), ("low".to_owned(), None), "and no ceiling is sent");
    let usage = Usage { input_uncached: 10, output_visible: 5, ..Usage::default() };
    engine.observe(&mut admission, &Outcome::answered(usage), NOW);
    engine.observe(&mut admission, &Outcome::answered(usage), NOW);
    let record = engine.finish(admission, None, NOW);
    assert_eq!(
        (record.attempts.len(), record.spend),
        (2, 20_000),
        "a failed try costs nothing, none is charged twice"
    );
}

#[test]
fn a_single_channel_is_asked_again_after_a_pause_and_no_more_often_than_configured() {
    let mut declared = Declared { channels: vec![channel("only", "m", 0)], ..Declared::default() };
    declared.routing.retries = 1;
    let engine = engine(declared);
    let caller = caller(&engine, Vec::new(), &[]);
    let mut admission = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
    try_at(engine.next(&mut admission, NOW));
    engine.observe(&mut admission, &Outcome::failed(OutcomeClass::Overloaded, Some(503)), NOW);
    let Next::Wait(until) = engine.next(&mut admission, NOW) else { panic!("wanted a pause") };
    assert!(until > NOW && until <= NOW.plus_ms(200));
    try_at(engine.next(&mut admission, until));
    engine.observe(&mut admission, &Outcome::failed(OutcomeClass::Overloaded, Some(503)), until);
    let over = engine.next(&mut admission, until);
    assert!(matches!(over, Next::Done(Failure::Upstream(OutcomeClass::Overloaded))), "{over:?}");
}

#[test]
fn a_fallback_serves_only_who_may_use_it() {
    let mut declared = Declared {
        channels: vec![channel("a", "first", 0), channel("b", "second", 0)],
        ..Declared::default()
    };
    declared.routing.retries = 0;
    declared.fallbacks.general.insert("first".into(), vec!["second".into()]);
    let engine = engine(declared);
    for (models, serves) in [(&["first", "second"][..], true), (&["first"][..], false)] {
        let caller = caller(&engine, Vec::new(), models);
        let mut admission = engine.admit(call("first", None), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        engine.observe(&mut admission, &Outcome::failed(OutcomeClass::NotFound, Some(404)), NOW);
        let next = engine.next(&mut admission, NOW);
        assert_eq!(matches!(next, Next::Try(_)), serves, "{models:?}: {next:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn an_unknown_model_and_one_of_somebody_else_are_answered_alike() {
    let declared =
        Declared { channels: vec![channel("a", "m", 0), channel("b", "n", 0)], ..Declared::default() };
    let engine = engine(declared);
    let caller = caller(&engine, Vec::new(), &["m"]);
    for model in ["n", "nothing"] {
        let Err(denied) = engine.admit(call(model, None), &caller, NOW, 7) else { panic!("let in") };
        let available = vec!["m".into()];
        assert_eq!(denied.denial, Denial::UnknownModel { model: model.into(), available });
    }
}

#[test]
fn a_strict_cap_clamps_who_named_no_ceiling_refuses_who_did_and_is_never_passed() {
    let declared = Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() };
    let engine = engine(declared);
    let cap = Limit::strict(Metric::TotalTokens, Window::Day, 2_000);
    let caller = caller(&engine, vec![cap], &[]);
    let explained = engine.explain(call("m", None), &caller, NOW, 7);
    assert_eq!(explained.denial, None);

    let mut admission = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
    let (_, ceiling) = try_at(engine.next(&mut admission, NOW));
    assert_eq!(ceiling, Some((2_000 - 100) / 4), "a quarter of what is left once the input is counted");
    let mut greedy = engine.admit(call("m", Some(5_000)), &caller, NOW, 8).unwrap();
    let refused = engine.next(&mut greedy, NOW);
    assert!(
        matches!(&refused, Next::Done(Failure::Denied(Denial::Limit(hit))) if hit.metric == Metric::TotalTokens)
    );
    engine.finish(greedy, None, NOW);

    let used = Usage { input_uncached: 90, output_visible: 400, ..Usage::default() };
    engine.observe(&mut admission, &Outcome::answered(used), NOW);
    engine.finish(admission, None, NOW);
    let state = engine.ledger().state(&caller.limits()[0], NOW);
    assert_eq!((state.settled, state.reserved, state.held), (490, 0, 0));
}

#[test]
fn an_attempt_that_nobody_reports_is_held() {
    let declared = Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() };
    let engine = engine(declared);
    let caller = caller(&engine, vec![Limit::strict(Metric::TotalTokens, Window::Day, 1_000)], &[]);
    let mut admission = engine.admit(call("m", Some(300)), &caller, NOW, 7).unwrap();
    try_at(engine.next(&mut admission, NOW));
    let record = engine.abandon(admission, NOW);
    assert!(record.attempts[0].held);
    let state = engine.ledger().state(&caller.limits()[0], NOW);
    assert_eq!((state.settled, state.reserved, state.held), (0, 0, 400));
}

#[test]
fn a_caller_who_leaves_before_the_content_of_a_success_is_charged_the_input() {
    let declared = Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() };
    let engine = engine(declared);
    let caller = caller(&engine, vec![Limit::strict(Metric::TotalTokens, Window::Day, 1_000)], &[]);
    for (status, settled) in [(Some(200), 25), (Some(500), 25)] {
        let mut admission = engine.admit(call("m", Some(300)), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        engine.observe(&mut admission, &Outcome::failed(OutcomeClass::ClientGone, status), NOW);
        engine.finish(admission, Some("cancelled"), NOW);
        let state = engine.ledger().state(&caller.limits()[0], NOW);
        assert_eq!((state.settled, state.reserved, state.held), (settled, 0, 0), "{status:?}");
    }
}

#[test]
fn a_predicted_output_is_reserved_beside_the_ceiling() {
    let declared = Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() };
    let engine = engine(declared);
    let caller = caller(&engine, vec![Limit::strict(Metric::TotalTokens, Window::Day, 2_000)], &[]);
    let predicting = |max_output, extra_output| Call { extra_output, ..call("m", max_output) };

    let mut admission = engine.admit(predicting(Some(300), 500), &caller, NOW, 7).unwrap();
    assert_eq!(try_at(engine.next(&mut admission, NOW)).1, Some(300), "what is sent is the caller's ceiling");
    assert_eq!(engine.ledger().state(&caller.limits()[0], NOW).reserved, 100 + 300 + 500);
    let all = Usage { input_uncached: 100, output_visible: 800, ..Usage::default() };
    engine.observe(&mut admission, &Outcome::answered(all), NOW);
    let record = engine.finish(admission, None, NOW);
    assert_eq!(record.replay.extra_output, 500);
    assert!(engine.take_alerts().is_empty(), "no debt");

    // 1,100 are left: beside prompt and prediction, 500 for the answer.
    let mut clamped = engine.admit(predicting(None, 500), &caller, NOW, 7).unwrap();
    assert_eq!(try_at(engine.next(&mut clamped, NOW)).1, Some(256));
    assert_eq!(engine.ledger().state(&caller.limits()[0], NOW).remaining(), 1_100 - 100 - 500 - 256);
    engine.finish(clamped, None, NOW);
}

#[test]
fn usage_that_cannot_be_right_is_told_of() {
    let engine = engine(Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() });
    let caller = caller(&engine, Vec::new(), &[]);
    let counted = Usage { input_uncached: 25, output_visible: 3, ..Usage::default() };
    let impossible = Usage { output_visible: u64::MAX, ..Usage::default() };
    for (reported, usage_rejected) in [(None, true), (Some(impossible), false)] {
        let mut admission = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        let outcome = Outcome { reported, usage_rejected, counted, ..Outcome::answered(counted) };
        engine.observe(&mut admission, &outcome, NOW);
        assert_eq!(engine.finish(admission, None, NOW).usage, counted);
        assert_eq!(engine.take_alerts(), [Alert::AbsurdUsage { channel: "a".into() }]);
    }
}

#[test]
fn a_probe_that_streams_lets_others_in_with_its_first_content() {
    let mut only = channel("only", "m", 0);
    (only.allowed_fails, only.cooldown_ms) = (Some(0), Some(30_000));
    let engine = engine(Declared { channels: vec![only], ..Declared::default() });
    let caller = caller(&engine, Vec::new(), &[]);
    let mut failing = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
    try_at(engine.next(&mut failing, NOW));
    engine.observe(&mut failing, &Outcome::failed(OutcomeClass::ServerError, Some(500)), NOW);
    engine.finish(failing, None, NOW);

    let back = NOW.plus_ms(30_000);
    let mut probe = engine.admit(call("m", None), &caller, back, 7).unwrap();
    try_at(engine.next(&mut probe, back));
    assert!(engine.admit(call("m", None), &caller, back, 7).is_err());
    engine.answers(&mut probe);
    engine.answers(&mut probe);
    assert!(engine.admit(call("m", None), &caller, back, 7).is_ok());
    engine.finish(probe, None, back);
}

#[test]
fn a_made_up_model_name_takes_no_wildcard_channel_from_the_others() {
    for (serves, benches) in [("m-*", false), ("m-x", true)] {
        let mut only = channel("only", serves, 0);
        only.allowed_fails = Some(0);
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let mut admission = engine.admit(call("m-x", None), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        engine.observe(&mut admission, &Outcome::failed(OutcomeClass::NotFound, Some(404)), NOW);
        engine.finish(admission, None, NOW);
        assert_eq!(engine.admit(call("m-x", None), &caller, NOW, 7).is_err(), benches, "{serves}");
    }
}

#[test]
fn a_record_has_each_tag_once() {
    let engine = engine(Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() });
    let mut tagged = Caller::operator("default".into(), &[]);
    tagged.tags = vec!["a".to_owned(), "b".to_owned()];
    let call = Call { tags: ["b".to_owned(), "c".to_owned()].into_iter().collect(), ..call("m", None) };
    let admission = engine.admit(call, &engine.bind(tagged), NOW, 7).unwrap();
    assert_eq!(engine.finish(admission, None, NOW).tags.as_slice(), ["b", "c", "a"]);
}
