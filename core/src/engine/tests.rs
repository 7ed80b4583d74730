//! The engine, driven by hand on a time that is an argument.

mod price;

use std::sync::Arc;

use super::*;
use crate::call::{Call, Format, Needs, Translated};
use crate::channel::{Channel, ChannelModel, Endpoint};
use crate::count::{CacheWrites, Counting, IMAGE_TOKENS_MAX, ImageRule, ImageSize, Media, Tokenizer};
use crate::decision::{Denial, OutcomeClass};
use crate::error::ErrorKind;
use crate::limit::{Limit, Metric, Window};
pub(super) use crate::ports::NoPolicy;
use crate::price::Price;
use crate::snapshot::{Declared, Snapshot};
use crate::tenant::{Caller, ModelAccess, Source};
use crate::usage::Usage;

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

pub(super) fn channel(id: &str, model: &str, priority: i32) -> Channel {
    Channel {
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: "http://127.0.0.1:9/".to_owned() }],
        models: vec![ChannelModel {
            group: model.into(),
            upstream: model.into(),
            price: Price { input: Some(1_000_000), output: Some(2_000_000), ..Price::default() },
            context_window: Some(100_000),
            max_output: None,
            extra_input: 0,
            reads_more: false,
            extra_reasoning: None,
            beside: Vec::new(),
            is_deployment: false,
            lacks: Needs::default(),
            counting: Counting::default(),
            tokenizer: None,
            regions: Vec::new(),
        }],
        priority,
        source: Source::File,
        ..Channel::new(id, id, "openai")
    }
}

/// Thoughts that come in every call.
fn beside(most: u64) -> Vec<crate::quirk::Beside> {
    let text = format!(
        r#"{{"beside":[{{"id":"b","most":{most},"source":"https://docs.test","checked":"2026-11-30"}}]}}"#
    );
    serde_json::from_str::<crate::quirk::Quirks>(&text).unwrap().beside_of("m", false, true)
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
fn a_model_that_no_channel_of_the_callers_groups_has_does_not_exist() {
    let mut closed = channel("closed", "m", 0);
    closed.groups = vec!["g1".into()];
    let mut declared = Declared { channels: vec![closed, channel("open", "n", 0)], ..Declared::default() };
    declared.aliases.insert("also".into(), "m".into());
    declared.fallbacks.general.insert("m".into(), vec!["n".into()]);
    let engine = engine(declared);
    let of_group = |label: Option<&str>| {
        let mut caller = Caller::operator("default".into(), &[]);
        caller.labels.extend(label.map(std::sync::Arc::from));
        engine.bind(caller)
    };
    for (label, reaches) in [(Some("g1"), true), (Some("g2"), false), (None, false)] {
        let caller = of_group(label);
        for model in ["m", "also", "nothing"] {
            let denied =
                engine.admit(call(model, None), &caller, NOW, 7).err().map(|it| (it.denial, it.explanation));
            if reaches && model != "nothing" {
                assert_eq!(denied, None, "{model} {label:?}");
                continue;
            }
            let available: &[&str] = if reaches { &["also", "m", "n"] } else { &["n"] };
            let available = available.iter().map(|name| (*name).into()).collect();
            let (denial, explanation) = denied.unwrap();
            assert_eq!(denial, Denial::UnknownModel { model: model.into(), available }, "{label:?}");
            // Operators are told why; what callers see of it is told elsewhere.
            let told = format!("{explanation:?}");
            assert_eq!(told.contains("closed"), model != "nothing", "{told}");
        }
    }
}

#[test]
fn a_model_of_another_format_says_where_it_is_served() {
    let mut other = channel("b", "n", 0);
    other.groups = vec!["g1".into()];
    let channels = vec![channel("a", "m", 0), other];
    let engine = engine(Declared { channels, ..Declared::default() });
    let caller = caller(&engine, Vec::new(), &[]);
    for (format, says) in [
        (Format::OpenaiImages, Some("chat completions (POST /v1/chat/completions)")),
        (Format::OpenaiEmbeddings, Some("chat completions (POST /v1/chat/completions)")),
        (Format::AnthropicMessages, None),
        (Format::OpenaiCompletions, None),
    ] {
        let asked = Call { format, ..call("m", None) };
        let denied = engine.admit(asked, &caller, NOW, 7).err().map(|denied| denied.denial);
        let Some(says) = says else {
            assert_eq!(denied, None);
            continue;
        };
        let error = denied.unwrap().to_error(NOW);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{format:?}");
        assert!(error.to_string().contains(says) && error.to_string().contains("`m`"), "{error}");
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
fn what_we_count_ourselves_passes_no_cap() {
    let counted = Usage { input_uncached: 25, output_visible: 70, ..Usage::default() };
    // Whether the upstream was given a ceiling; what is charged of an answer that came without usage.
    for (max_output, charged) in [(Some(50), 50), (None, 70)] {
        for (class, status) in [(OutcomeClass::Ok, 200), (OutcomeClass::Broken, 200)] {
            let declared = Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() };
            let engine = engine(declared);
            let limits = max_output.map(|_| Limit::strict(Metric::OutputTokens, Window::Day, 50));
            let caller = caller(&engine, limits.into_iter().collect(), &[]);
            let mut admission = engine.admit(call("m", max_output), &caller, NOW, 7).unwrap();
            try_at(engine.next(&mut admission, NOW));
            let outcome = Outcome { counted, ..Outcome::failed(class, Some(status)) };
            engine.observe(&mut admission, &outcome, NOW);
            assert_eq!(engine.finish(admission, None, NOW).usage.output_tokens(), charged, "{class:?}");
        }
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
fn what_is_far_above_the_bound_is_not_believed_and_what_is_above_it_is_a_debt() {
    // The call is bounded by 100 tokens of input and asks for 50 of output: (input, output) reported.
    let bounded = |_: &mut ChannelModel, _: &mut Call| ();
    let reads_more = |model: &mut ChannelModel, _: &mut Call| model.reads_more = true;
    let stored = |_: &mut ChannelModel, call: &mut Call| call.input_bound = None;
    let no_ceiling = |_: &mut ChannelModel, call: &mut Call| call.max_output = None;
    let hosted_tools = |_: &mut ChannelModel, call: &mut Call| call.open_ended = true;
    let thinks_beside = |model: &mut ChannelModel, _: &mut Call| {
        (model.beside, model.context_window) = (beside(400_000), None);
    };
    type Change = fn(&mut ChannelModel, &mut Call);
    let cases: [(Change, (u64, u64), bool); 13] = [
        (bounded, (100, 50), true),
        (bounded, (65_736, 65_636), true), // A debt, of a channel without limits.
        (bounded, (65_737, 50), false),
        (bounded, (100, 65_637), false),
        (bounded, (20_000_000, 50), false),
        (reads_more, (1_000_000, 50), true),
        (stored, (1_000_000, 50), true),
        (hosted_tools, (1_000_000, 50), true),
        (hosted_tools, (20_000_000, 50), false),
        (thinks_beside, (100, 400_050), true),
        (thinks_beside, (100, 2_000_000), false),
        (no_ceiling, (100, 1_000_000), true),
        (no_ceiling, (100, 20_000_000), false),
    ];
    for (change, (input, output), believed) in cases {
        let mut only = channel("a", "m", 0);
        let mut asked = call("m", Some(50));
        change(&mut only.models[0], &mut asked);
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let mut admission = engine.admit(asked, &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        let reported = Usage { input_uncached: input, output_visible: output, ..Usage::default() };
        let counted = Usage { input_uncached: 25, output_visible: 3, ..Usage::default() };
        let outcome = Outcome { counted, ..Outcome::answered(reported) };
        engine.observe(&mut admission, &outcome, NOW);
        let record = engine.finish(admission, None, NOW);
        assert_eq!(record.usage, if believed { reported } else { counted }, "{input} {output}");
        assert_eq!(record.attempts[0].usage_rejected, !believed, "{input} {output}");
        assert_eq!(engine.take_alerts().is_empty(), believed, "{input} {output}");
    }
}

#[test]
fn our_own_count_passes_no_bound() {
    let engine = engine(Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() });
    let caller = caller(&engine, Vec::new(), &[]);
    let mut admission = engine.admit(call("m", Some(50)), &caller, NOW, 7).unwrap();
    try_at(engine.next(&mut admission, NOW));
    let counted = Usage { input_uncached: 5_000, cache_write: 60, output_visible: 5_000, ..Usage::default() };
    engine.observe(&mut admission, &Outcome { reported: None, counted, ..Outcome::answered(counted) }, NOW);
    let want = Usage { input_uncached: 40, cache_write: 60, output_visible: 50, ..Usage::default() };
    assert_eq!(engine.finish(admission, None, NOW).usage, want);
}

#[test]
fn media_that_we_count_pass_no_bound_and_what_was_reported_of_them_stands() {
    let of = |output_visible, image_out| Usage {
        input_uncached: 30,
        output_visible,
        image_out,
        ..Usage::default()
    };
    // Reported, counted, and what is charged of an answer that broke off with a ceiling of 50.
    for (reported, counted, charged) in [
        (None, of(5_000, 20), of(30, 20)),
        (None, of(5_000, 1_290), of(0, 50)),
        (Some(of(1, 40)), of(0, 41), of(1, 40)),
        (Some(of(1, 0)), of(2, 40), of(2, 40)),
    ] {
        let engine = engine(Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let mut admission = engine.admit(call("m", Some(50)), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        let outcome =
            Outcome { reported, counted, sent: true, ..Outcome::failed(OutcomeClass::ClientGone, Some(200)) };
        engine.observe(&mut admission, &outcome, NOW);
        assert_eq!(engine.finish(admission, None, NOW).usage, charged, "{reported:?} {counted:?}");
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
    engine.answers(&mut probe, NOW);
    engine.answers(&mut probe, NOW);
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

/// A channel whose model is changed by `change`.
fn channel_with(change: impl FnOnce(&mut ChannelModel)) -> Channel {
    let mut only = channel("only", "m", 0);
    change(&mut only.models[0]);
    only
}

fn engine_with(change: impl FnOnce(&mut ChannelModel)) -> Engine {
    engine(Declared { channels: vec![channel_with(change)], ..Declared::default() })
}

#[test]
fn text_is_counted_before_a_strict_limit_refuses_or_lowers() {
    let strict = |metric, max| Limit::strict(metric, Window::Day, max);
    let tokens = |max| strict(Metric::TotalTokens, max);
    let corrected = Limit { mode: Mode::Corrected, ..tokens(2_100) };
    let deny = Limit { when_short: Some(crate::limit::WhenShort::Deny), ..tokens(10_000) };
    // A prompt of 4,000 bytes and plausibly 1,000 tokens; the default ceiling is 8,192.
    for (note, limit, max_output, counted, asked, ceiling) in [
        ("there is room for the bytes", tokens(9_000), Some(5_000), None, false, Some(5_000)),
        ("there is room for the tokens", tokens(8_000), Some(5_000), Some(1_100), true, Some(5_000)),
        ("there isn't", tokens(8_000), Some(5_000), Some(3_001), true, None),
        ("nobody could count", tokens(8_000), Some(5_000), None, true, None),
        ("no count would help", tokens(5_400), Some(5_000), None, false, None),
        ("the default is kept", tokens(10_000), None, Some(1_100), true, Some(8_192)),
        ("the default is lowered by less", tokens(5_100), None, Some(1_100), true, Some(1_000)),
        ("what isn't lowered is counted, too", deny, None, Some(1_100), true, Some(8_192)),
        ("the input alone", strict(Metric::InputTokens, 3_000), Some(50), Some(1_100), true, Some(0)),
        ("the output alone", strict(Metric::OutputTokens, 3_000), Some(5_000), None, false, None),
        // 1 µUSD for a token of input and 2 for one of output.
        ("money", strict(Metric::Spend, 12_000_000), Some(5_000), Some(1_100), true, Some(5_000)),
        ("estimates count nothing", corrected, Some(5_000), None, false, Some(5_000)),
    ] {
        let engine = engine_with(|model| model.tokenizer = Some(Tokenizer::O200kBase));
        let caller = caller(&engine, vec![limit], &[]);
        let call = Call { input_bound: Some(4_000), input_estimate: 1_000, ..call("m", max_output) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        admission.can_count();
        let mut next = engine.next(&mut admission, NOW);
        assert_eq!(matches!(next, Next::Count(Tokenizer::O200kBase)), asked, "{note}: {next:?}");
        if asked {
            admission.counted(Tokenizer::O200kBase, counted);
            next = engine.next(&mut admission, NOW);
        }
        match (next, ceiling) {
            (Next::Try(attempt), Some(ceiling)) => {
                assert_eq!(attempt.ceiling.unwrap_or(0), ceiling, "{note}")
            }
            (Next::Done(Failure::Denied(Denial::Limit(_))), None) => {}
            (next, _) => panic!("{note}: {next:?}"),
        }
        let record = engine.finish(admission, None, NOW);
        assert_eq!(record.replay.counted.o200k_base.is_some(), asked, "{note}");
    }
}

#[test]
fn what_a_provider_reads_by_itself_is_reserved_as_far_as_its_window_goes() {
    for (reads_more, window, tokens) in
        [(false, Some(8_000), 4_000), (true, Some(8_000), 8_000), (true, None, 2_097_152)]
    {
        let engine = engine_with(|model| {
            model.context_window = window;
            model.tokenizer = Some(Tokenizer::O200kBase);
            model.reads_more = reads_more;
        });
        let open = caller(&engine, Vec::new(), &[]);
        let call = Call { input_bound: Some(4_000), ..call("m", Some(10)) };
        let mut admission = engine.admit(call, &open, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("{reads_more}") };
        assert_eq!(attempt.reserved, tokens * 1_000 + 10 * 2_000, "{reads_more} {window:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_a_translation_adds_is_reserved_where_there_is_one() {
    let engine =
        engine_with(|model| (model.context_window, model.tokenizer) = (None, Some(Tokenizer::O200kBase)));
    let open = caller(&engine, Vec::new(), &[]);
    let extra_translated = Translated { words: 700, closed: 90_000, written_out: 90_000 };
    for (format, counted, tokens) in [
        (Format::OpenaiChat, None, 4_000),
        (Format::AnthropicMessages, None, 4_700),
        (Format::AnthropicMessages, Some(1_100), 1_800),
    ] {
        let asks = Call { input_bound: Some(4_000), extra_translated, ..call("m", Some(10)) };
        let mut admission = engine.admit(Call { format, ..asks }, &open, NOW, 7).unwrap();
        admission.counted(Tokenizer::O200kBase, counted);
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("{format:?}") };
        assert_eq!(attempt.reserved, tokens * 1_000 + 10 * 2_000, "{format:?} {counted:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_a_channel_changes_is_reserved_by_the_worst_rules_that_there_are() {
    let worst = 2 * IMAGE_TOKENS_MAX;
    let mut call = Call { input_bound: Some(4_000 + worst), ..call("m", Some(10)) };
    (0..2).for_each(|_| call.media.add_image(None, true));
    for (extra_input, tokens) in [(0, 1_100 + 2 * 85), (50, 4_000 + worst + 50)] {
        let engine = engine_with(|model| {
            model.context_window = None;
            model.tokenizer = Some(Tokenizer::O200kBase);
            model.counting = Counting::Openai(ImageRule::Tiles { base: 85, tile: 170 });
            model.extra_input = extra_input;
        });
        let open = caller(&engine, Vec::new(), &[]);
        let mut admission = engine.admit(call.clone(), &open, NOW, 7).unwrap();
        admission.counted(Tokenizer::O200kBase, Some(1_100 + worst));
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("{extra_input}") };
        assert_eq!(attempt.reserved, i64::try_from(tokens * 1_000 + 10 * 2_000).unwrap(), "{extra_input}");
        engine.finish(admission, None, NOW);
        // Nor is anybody asked to count for it.
        let few = caller(&engine, vec![Limit::strict(Metric::InputTokens, Window::Day, 4_000)], &[]);
        let plain = Call { input_bound: Some(4_001), ..self::call("m", Some(10)) };
        let mut admission = engine.admit(plain, &few, NOW, 7).unwrap();
        admission.can_count();
        let next = engine.next(&mut admission, NOW);
        assert_eq!(matches!(next, Next::Count(_)), extra_input == 0, "{next:?}");
    }
}

#[test]
fn who_cannot_count_is_not_asked_to_and_another_models_count_is_not_believed() {
    let cap = Limit::strict(Metric::TotalTokens, Window::Day, 8_000);
    let call = || Call { input_bound: Some(4_000), input_estimate: 1_000, ..call("m", Some(5_000)) };
    for (tokenizer, counts) in [(None, true), (Some(Tokenizer::Cl100kBase), false)] {
        let engine = engine_with(|model| model.tokenizer = tokenizer);
        let caller = caller(&engine, vec![cap.clone()], &[]);
        let mut admission = engine.admit(call(), &caller, NOW, 7).unwrap();
        if counts {
            admission.can_count();
        }
        admission.counted(Tokenizer::O200kBase, Some(10));
        assert!(matches!(engine.next(&mut admission, NOW), Next::Done(_)), "{tokenizer:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_was_reserved_for_too_much_input_is_freed_when_its_size_is_known() {
    let usage = |input_uncached, cache_read| Usage {
        input_uncached,
        cache_read,
        output_visible: 1,
        ..Usage::default()
    };
    let priced = |model: &mut ChannelModel, counting| {
        model.counting = counting;
        model.price.cache_read = Some(100_000);
    };
    for (note, counting, bound, said, tokens, spend) in [
        ("the rest is freed", Counting::Anthropic, Some(4_000), usage(500, 400), 900, 500_000 + 40_000),
        ("to the last token", Counting::Anthropic, Some(4_000), usage(3_999, 0), 3_999, 3_999_000),
        ("more frees nothing", Counting::Anthropic, Some(4_000), usage(4_001, 0), 4_000, 4_000_000),
        ("nothing says nothing", Counting::Anthropic, Some(4_000), usage(0, 0), 4_000, 4_000_000),
        ("it may yet grow", Counting::Anthropic, None, usage(900, 0), 100_000, 100_000_000),
        ("others may correct it", Counting::Anybody, Some(4_000), usage(900, 0), 4_000, 4_000_000),
    ] {
        let engine = engine_with(|model| priced(model, counting));
        let limits = vec![
            Limit::strict(Metric::TotalTokens, Window::Day, 1_000_000),
            Limit::strict(Metric::Spend, Window::Day, 1_000_000_000),
        ];
        let caller = caller(&engine, limits, &[]);
        let call = Call { input_bound: bound, cache_writes: CacheWrites::None, ..call("m", Some(1_000)) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        engine.input_known(&mut admission, &said, NOW);
        try_at(engine.next(&mut admission, NOW));
        engine.input_known(&mut admission, &said, NOW);
        // Said again, whatever it is, it changes nothing.
        engine.input_known(&mut admission, &usage(1, 0), NOW);
        let reserved = |at: usize| engine.ledger().state(&caller.limits()[at], NOW).reserved;
        let again = if tokens == 4_000 && counting == Counting::Anthropic { 1 } else { tokens };
        assert_eq!(reserved(0), again + 1_000, "{note}");
        if again == tokens {
            assert_eq!(reserved(1), spend + 2_000_000, "{note}");
        }
        engine.observe(&mut admission, &Outcome::answered(usage(900, 0)), NOW);
        engine.finish(admission, None, NOW);
        let state = engine.ledger().state(&caller.limits()[0], NOW);
        assert_eq!((state.settled, state.reserved), (901, 0), "{note}");
    }
}

#[test]
fn an_attempt_reserves_what_its_model_and_call_can_reach() {
    let image = |low| {
        let mut media = Media::default();
        media.add_image(Some(ImageSize { width: 1_024, height: 1_024 }), low);
        media
    };
    let tiles = Counting::Openai(ImageRule::Tiles { base: 85, tile: 170 });
    let anybody = Counting::Anybody;
    let worst = image(false).tokens(anybody);
    type Change = fn(&mut ChannelModel, &mut Call);
    type Case = (&'static str, Counting, Media, Change, (i64, i64, i64));
    let nothing: Change = |_, _| {};
    let cases: [Case; 22] = [
        ("text", anybody, Media::default(), nothing, (100, 200, 1_000_000 + 400_000)),
        ("marked, and not", Counting::Marked, Media::default(), nothing, (100, 200, 100_000 + 400_000)),
        (
            "marked",
            Counting::Marked,
            Media::default(),
            |_, call| call.cache_writes = CacheWrites::Short,
            (100, 200, 500_000 + 400_000),
        ),
        (
            "cache writes on request",
            Counting::Anthropic,
            Media::default(),
            nothing,
            (100, 200, 100_000 + 400_000),
        ),
        (
            "short ones",
            Counting::Anthropic,
            Media::default(),
            |_, call| call.cache_writes = CacheWrites::Short,
            (100, 200, 500_000 + 400_000),
        ),
        (
            "a fee",
            Counting::Anthropic,
            Media::default(),
            |model, _| model.price.per_request_nano_usd = 9,
            (100, 200, 100_000 + 400_000 + 9),
        ),
        (
            "sound",
            Counting::Anthropic,
            Media::default(),
            |_, call| call.needs.audio = true,
            (100, 200, 3_000_000 + 1_400_000),
        ),
        (
            "three choices",
            Counting::Anthropic,
            Media::default(),
            |_, call| call.choices = 3,
            (100, 600, 100_000 + 1_200_000),
        ),
        ("a picture of the worst kind", anybody, image(false), nothing, (100 + worst as i64, 200, 0)),
        ("of a known kind", tiles, image(false), nothing, (100 + 85 + 4 * 170, 200, 0)),
        ("of low detail", tiles, image(true), nothing, (100 + 85, 200, 0)),
        (
            "in a small window",
            anybody,
            image(false),
            |model, _| model.context_window = Some(1_000),
            (1_000, 200, 0),
        ),
        (
            "reasoning",
            anybody,
            Media::default(),
            |model, _| model.extra_reasoning = Some(5_000),
            (100, 5_200, 0),
        ),
        (
            "reasoning in its window",
            anybody,
            Media::default(),
            |model, _| {
                (model.extra_reasoning, model.context_window) = (Some(5_000), Some(4_000));
            },
            (100, 4_000, 0),
        ),
        (
            "thoughts beside the ceiling",
            anybody,
            Media::default(),
            |model, _| model.beside = beside(9_000),
            (100, 9_200, 0),
        ),
        (
            "of each choice",
            anybody,
            Media::default(),
            |model, call| (model.beside, call.choices) = (beside(9_000), 2),
            (100, 18_400, 0),
        ),
        (
            "in their window",
            anybody,
            Media::default(),
            |model, _| (model.beside, model.context_window) = (beside(9_000), Some(4_000)),
            (100, 4_000, 0),
        ),
        (
            "none, since the model's owner says that the ceiling covers them",
            anybody,
            Media::default(),
            |model, _| (model.beside, model.extra_reasoning) = (beside(9_000), Some(0)),
            (100, 200, 0),
        ),
        (
            "and a prediction",
            anybody,
            Media::default(),
            |model, call| {
                (model.extra_reasoning, model.context_window) = (Some(5_000), Some(4_000));
                call.extra_output = 30;
            },
            (100, 4_030, 0),
        ),
        (
            "embeddings have no output",
            anybody,
            Media::default(),
            |model, call| {
                (call.format, model.extra_reasoning) = (Format::OpenaiEmbeddings, Some(5_000));
            },
            (100, 0, 0),
        ),
        (
            "images are bounded by their number",
            anybody,
            Media::default(),
            |model, call| {
                (call.format, call.choices) = (Format::OpenaiImages, 3);
                (call.extra_output, call.units) = (16_384, 3);
                model.price = Price { per_unit: Some(40_000_000_000), ..Price::default() };
            },
            (100, 3 * 16_384, 120_000_000),
        ),
        (
            "nothing is reserved to count tokens",
            anybody,
            Media::default(),
            |_, call| call.format = Format::AnthropicCountTokens,
            (0, 0, 0),
        ),
    ];
    for (note, counting, media, change, (input, output, spend)) in cases {
        let mut call = Call {
            input_bound: Some(100 + media.tokens(anybody)),
            media,
            cache_writes: CacheWrites::None,
            ..call("m", Some(200))
        };
        let mut only = channel_with(|model| {
            model.counting = counting;
            model.price.cache_write = Some(5_000_000);
            model.price.cache_write_1h = Some(10_000_000);
            model.price.audio_in = Some(30_000_000);
            model.price.audio_out = Some(7_000_000);
            change(model, &mut call);
        });
        only.endpoints[0].format = call.format;
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let most = |metric| Limit::strict(metric, Window::Day, i64::MAX / 2);
        let limits = vec![most(Metric::InputTokens), most(Metric::OutputTokens), most(Metric::Spend)];
        let caller = caller(&engine, limits, &[]);
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        let reserved = |at: usize| engine.ledger().state(&caller.limits()[at], NOW).reserved;
        assert_eq!((reserved(0), reserved(1)), (input, output), "{note}");
        if spend > 0 {
            assert_eq!(reserved(2), spend, "{note}");
        }
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn the_best_of_several_are_reserved_where_they_are_asked_for() {
    use Format::{AnthropicMessages as Anthropic, OpenaiChat, OpenaiCompletions};
    for (target, translated, output) in [
        (OpenaiCompletions, Some(1), 800),
        (OpenaiChat, Some(1), 200),
        (Anthropic, Some(2), 400),
        (OpenaiChat, None, 800),
    ] {
        let mut only = channel_with(|_| {});
        only.endpoints[0].format = target;
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let most = Limit::strict(Metric::OutputTokens, Window::Day, 10_000);
        let caller = caller(&engine, vec![most], &[]);
        let call = call("m", Some(200));
        let call = Call { format: OpenaiCompletions, choices: 4, translated_choices: translated, ..call };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        let reserved = engine.ledger().state(&caller.limits()[0], NOW).reserved;
        assert_eq!(reserved, output, "{target:?} {translated:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_a_wildcard_stands_for_says_how_long_it_thinks() {
    let text = r#"{"thinking":[{"id":"t","models":["plain*"],"never":true}],
        "beside":[{"id":"b","models":["long*"],"most":9000,"source":"s","checked":"d"},{"id":"c","most":700,"source":"s","checked":"d"}]}"#;
    for (asked, output) in [
        ("at/long-1", 9_200),
        ("at/other", 900),
        ("at/plain", 200),
        // Of these the name says it, wherever they are; a window holds thoughts, too.
        ("at/gemini-9-pro", 100_000),
        ("at/x-ai/grok-9", 100_000),
        // And of these that they don't.
        ("at/gemini-2.0-flash", 900),
        ("at/gemini-2.5-flash-preview-tts", 900),
        ("at/grok-3", 900),
        ("at/x-ai/grok-4-fast-non-reasoning", 900),
    ] {
        let mut only = channel_with(|_| {});
        (only.models[0].group, only.models[0].upstream) = ("at/*".into(), "*".into());
        only.quirks = Arc::new(serde_json::from_str(text).unwrap());
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let limit = Limit::strict(Metric::OutputTokens, Window::Day, 200_000);
        let caller = caller(&engine, vec![limit], &[]);
        let mut admission = engine.admit(call(asked, Some(200)), &caller, NOW, 7).unwrap();
        try_at(engine.next(&mut admission, NOW));
        assert_eq!(engine.ledger().state(&caller.limits()[0], NOW).reserved, output, "{asked}");
    }
}

#[test]
fn fifty_ordinary_chats_at_once_fit_a_usual_group() {
    // 5 and 25 USD per million tokens, twice as much for input that is cached for an hour.
    let engine = engine_with(|model| {
        model.price.input = Some(5_000_000);
        model.price.output = Some(25_000_000);
        model.price.cache_write_1h = Some(10_000_000);
    });
    let rate = |mode| Limit { mode, ..Limit::strict(Metric::TotalTokens, Window::Minute, 500_000) };
    let budget = Limit::strict(Metric::Spend, Window::Lifetime, 100_000_000_000);
    for (mode, now) in [(Mode::Corrected, NOW), (Mode::Strict, NOW.plus_ms(60_000))] {
        let caller = caller(&engine, vec![rate(mode), budget.clone()], &[]);
        let mut open = Vec::new();
        for n in 0..50 {
            let call = Call { input_bound: Some(1_100), input_estimate: 280, ..call("m", None) };
            let mut admission = engine.admit(call, &caller, now, n).unwrap();
            assert_eq!(try_at(engine.next(&mut admission, now)).1, Some(8_192), "call {n}, {mode:?}");
            open.push(admission);
        }
        for mut admission in open {
            let used = Usage { input_uncached: 250, output_visible: 400, ..Usage::default() };
            engine.observe(&mut admission, &Outcome::answered(used), now);
            engine.finish(admission, None, now);
        }
        let state = engine.ledger().state(&caller.limits()[0], now);
        assert_eq!((state.settled, state.reserved), (50 * 650, 0));
    }
}

#[test]
fn a_format_that_needs_a_ceiling_gets_one_that_the_model_can_keep() {
    for (from, to, named, ceiling) in [
        (Format::OpenaiChat, Format::OpenaiChat, None, None),
        (Format::OpenaiChat, Format::AnthropicMessages, None, Some(4_096)),
        (Format::OpenaiChat, Format::AnthropicMessages, Some(300), Some(300)),
        (Format::AnthropicMessages, Format::AnthropicMessages, Some(300), None),
    ] {
        let mut only = channel_with(|model| model.max_output = Some(4_096));
        only.endpoints[0].format = to;
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let call = Call { format: from, ..call("m", named) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        assert_eq!(try_at(engine.next(&mut admission, NOW)).1, ceiling, "{from:?} {to:?} {named:?}");
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_responses_cannot_be_told_goes_to_chat_completions() {
    use Format::{
        AnthropicMessages as Anthropic, GeminiGenerate as Gemini, OpenaiChat, OpenaiCompletions,
        OpenaiResponses,
    };
    let plain: fn(&mut Call) = |_| {};
    let stops: fn(&mut Call) = |call| call.needs.stops = true;
    let stops_thinking: fn(&mut Call) = |call| (call.needs.stops, call.bound) = (true, true);
    let tiny: fn(&mut Call) = |call| call.max_output = Some(1);
    let least: fn(&mut Call) = |call| call.max_output = Some(16);
    let two: fn(&mut Call) = |call| call.choices = 2;
    let both: &[Format] = &[OpenaiResponses, OpenaiChat];
    let chat_first: &[Format] = &[OpenaiChat, OpenaiResponses];
    for (caller_format, model, change, endpoints, want) in [
        (Anthropic, "gpt-4o", plain, both, OpenaiResponses),
        (Anthropic, "gpt-4o", tiny, both, OpenaiChat),
        (Anthropic, "gpt-4o", least, both, OpenaiResponses),
        (Anthropic, "gpt-4o", stops, both, OpenaiChat),
        (Anthropic, "gpt-4o", stops_thinking, both, OpenaiResponses),
        (Anthropic, "gpt-4o", tiny, &[OpenaiResponses], OpenaiResponses),
        (Anthropic, "gpt-4o", tiny, &[Gemini, OpenaiChat], Gemini),
        (Gemini, "gpt-4o", plain, both, OpenaiResponses),
        (Gemini, "gpt-4o", stops, both, OpenaiChat),
        (Gemini, "gpt-4o", two, both, OpenaiChat),
        (OpenaiResponses, "gpt-4o", tiny, both, OpenaiResponses),
        (OpenaiChat, "gpt-4o", plain, both, OpenaiChat),
        (Anthropic, "openai/gpt-5.4", stops, both, OpenaiResponses),
        (Anthropic, "gpt-5-chat-latest", stops, both, OpenaiChat),
        (Anthropic, "gpt-5.4", tiny, both, OpenaiChat),
        (Gemini, "o3", stops, both, OpenaiResponses),
        (Gemini, "gpt-5.4", two, both, OpenaiChat),
        (Gemini, "gpt-5.4", plain, chat_first, OpenaiChat),
        (Gemini, "gpt-5.3-codex", plain, chat_first, OpenaiResponses),
        (Gemini, "gpt-5-pro", two, both, OpenaiResponses),
        (Anthropic, "gpt-5.3-codex", stops, both, OpenaiResponses),
        (Anthropic, "o1-pro", tiny, chat_first, OpenaiResponses),
        (Anthropic, "o3-pro", tiny, &[OpenaiChat], OpenaiChat),
        (OpenaiChat, "gpt-5.3-codex", plain, chat_first, OpenaiResponses),
        (OpenaiChat, "gpt-5-pro", two, both, OpenaiResponses),
        (OpenaiChat, "o1-pro", plain, &[OpenaiChat, Anthropic], OpenaiChat),
        (OpenaiChat, "gpt-5.4", plain, chat_first, OpenaiChat),
        (OpenaiCompletions, "davinci-002", plain, &[OpenaiChat, OpenaiCompletions], OpenaiCompletions),
        (OpenaiCompletions, "gpt-4o", plain, &[OpenaiCompletions, OpenaiChat], OpenaiChat),
        (
            OpenaiCompletions,
            "gpt-4o",
            plain,
            &[OpenaiCompletions, Format::OpenaiEmbeddings],
            OpenaiCompletions,
        ),
        (
            OpenaiCompletions,
            "gpt-5.3-codex",
            plain,
            &[OpenaiCompletions, OpenaiChat, OpenaiResponses],
            OpenaiResponses,
        ),
        (OpenaiCompletions, "claude-sonnet-4-5", plain, &[Anthropic], Anthropic),
        (OpenaiCompletions, "gpt-4o", two, both, OpenaiChat),
    ] {
        let mut only = channel_with(|own| own.upstream = model.into());
        only.at_openai = true;
        let url = "http://127.0.0.1:9/".to_owned();
        only.endpoints =
            endpoints.iter().map(|format| Endpoint { format: *format, url: url.clone() }).collect();
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let mut call = Call { format: caller_format, ..call("m", Some(200)) };
        change(&mut call);
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let Next::Try(attempt) = engine.next(&mut admission, NOW) else { panic!("nobody is tried") };
        assert_eq!(attempt.endpoint().format, want, "{caller_format:?}, {model} to {endpoints:?}");
        engine.observe(&mut admission, &Outcome::answered(Usage::default()), NOW);
        engine.finish(admission, None, NOW);
    }
}

#[test]
fn what_a_format_cannot_say_another_of_the_channel_is_tried_with() {
    use Format::{
        AnthropicMessages as Anthropic, GeminiGenerate as Gemini, OpenaiChat, OpenaiCompletions,
        OpenaiResponses,
    };
    for (caller_format, model, endpoints, want) in [
        (
            Anthropic,
            "gpt-4o",
            &[OpenaiChat, OpenaiResponses, Gemini] as &[Format],
            &[OpenaiResponses, OpenaiChat, Gemini] as &[Format],
        ),
        (Gemini, "gpt-4o", &[Anthropic, OpenaiChat], &[Anthropic, OpenaiChat]),
        // There it would be answered with 404.
        (OpenaiChat, "gpt-5-pro", &[OpenaiChat, OpenaiResponses], &[OpenaiResponses]),
        (Gemini, "gpt-5-pro", &[OpenaiChat, OpenaiResponses], &[OpenaiResponses]),
        // A relay serves it by chat, too.
        (OpenaiChat, "openai/gpt-5-pro", &[OpenaiChat, OpenaiResponses], &[OpenaiChat]),
        (OpenaiCompletions, "openai/gpt-4o", &[OpenaiCompletions, OpenaiChat], &[OpenaiCompletions]),
        (OpenaiCompletions, "gpt-4o", &[OpenaiCompletions, OpenaiChat, Anthropic], &[OpenaiChat, Anthropic]),
        // In the caller's own format nothing is translated.
        (OpenaiChat, "gpt-4o", &[OpenaiChat, OpenaiResponses], &[OpenaiChat]),
        (OpenaiCompletions, "davinci-002", &[OpenaiCompletions, OpenaiChat], &[OpenaiCompletions]),
    ] {
        let mut only = channel_with(|own| own.upstream = model.into());
        only.at_openai = !model.contains('/');
        only.provider = if only.at_openai { "openai".into() } else { "openrouter".into() };
        let url = "http://127.0.0.1:9/".to_owned();
        only.endpoints =
            endpoints.iter().map(|format| Endpoint { format: *format, url: url.clone() }).collect();
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let call = Call { format: caller_format, ..call("m", Some(200)) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let mut tried = Vec::new();
        while let Next::Try(attempt) = engine.next(&mut admission, NOW) {
            tried.push(attempt.endpoint().format);
            engine.observe(&mut admission, &Outcome::failed(OutcomeClass::Inexpressible, None), NOW);
        }
        assert_eq!(tried, want, "{caller_format:?}, {model} to {endpoints:?}");
        engine.finish(admission, Some("not_supported"), NOW);
    }
}

#[test]
fn a_relay_in_openai_s_name_is_asked_as_openai_and_then_as_it_came() {
    use Format::{OpenaiChat, OpenaiCompletions};
    for (provider, want) in
        [("openai", &[OpenaiChat, OpenaiCompletions] as &[Format]), ("vllm", &[OpenaiCompletions])]
    {
        let mut only = channel_with(|own| own.upstream = "gpt-4o".into());
        only.provider = provider.into();
        let url = "http://127.0.0.1:9/".to_owned();
        only.endpoints =
            [OpenaiChat, OpenaiCompletions].map(|format| Endpoint { format, url: url.clone() }).into();
        let engine = engine(Declared { channels: vec![only], ..Declared::default() });
        let caller = caller(&engine, Vec::new(), &[]);
        let call = Call { format: OpenaiCompletions, ..call("m", Some(200)) };
        let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
        let mut tried = Vec::new();
        while let Next::Try(attempt) = engine.next(&mut admission, NOW) {
            tried.push(attempt.endpoint().format);
            engine.observe(&mut admission, &Outcome::failed(OutcomeClass::Inexpressible, None), NOW);
        }
        assert_eq!(tried, want, "{provider}");
        engine.finish(admission, Some("not_supported"), NOW);
    }
}

#[test]
fn what_formats_cannot_say_takes_no_attempt_from_a_channel_that_can() {
    let with = |id: &str, formats: &[Format], priority: i32| {
        let url = "http://127.0.0.1:9/".to_owned();
        let mut it = channel(id, "m", priority);
        it.endpoints = formats.iter().map(|format| Endpoint { format: *format, url: url.clone() }).collect();
        it
    };
    let mute = [Format::OpenaiChat, Format::OpenaiResponses, Format::AnthropicMessages];
    let mut channels: Vec<_> = (0..5).map(|n| with(&format!("mute-{n}"), &mute, 5)).collect();
    channels.push(with("last", &[Format::OpenaiCompletions], 1));
    let engine = engine(Declared { channels, ..Declared::default() });
    let caller = caller(&engine, Vec::new(), &[]);
    let call = Call { format: Format::OpenaiCompletions, ..call("m", Some(200)) };
    let mut admission = engine.admit(call, &caller, NOW, 7).unwrap();
    let mut tried = 0;
    let last = loop {
        let (format, _) = match engine.next(&mut admission, NOW) {
            Next::Try(attempt) => (attempt.endpoint().format, tried += 1),
            other => panic!("{tried}: {other:?}"),
        };
        if format == Format::OpenaiCompletions {
            break tried;
        }
        engine.observe(&mut admission, &Outcome::failed(OutcomeClass::Inexpressible, None), NOW);
    };
    assert_eq!(last, 16);
    engine.finish(admission, Some("not_supported"), NOW);
}

#[test]
fn what_scripts_say_never_pushes_out_what_the_engine_has_to_tell() {
    let engine = engine(Declared::default());
    let own = |n: usize| Alert::AbsurdUsage { channel: format!("c{n}").as_str().into() };
    let say = |n: usize, now: Timestamp| {
        let policy = format!("p{}", n % 100);
        let alert = Alert::Policy { policy: policy.clone(), call: "x".into(), text: n.to_string() };
        engine.alert_of_script(&policy, now, alert);
    };
    (0..1_000).for_each(|n| engine.alert(own(n)));
    (0..10_000).for_each(|n| say(n, NOW));
    let alerts = engine.take_alerts();
    assert_eq!(alerts.len(), MAX_ALERTS);
    assert!((0..1_000).all(|n| alerts[n] == own(n)));
    // With room for all, each script has said so much in a second, and may go on in the next.
    (0..2_000).for_each(|n| say(n * 100, NOW));
    assert_eq!(engine.take_alerts().len(), 0, "it had said enough");
    (0..2_000).for_each(|n| say(n * 100, NOW.plus_ms(1_000)));
    assert_eq!(engine.take_alerts().len(), SCRIPT_ALERTS as usize);
}
