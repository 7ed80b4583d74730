//! The script boundary under scripts that nobody would write: whatever they say, a run ends within its fuel, its verdict
//! is bounded, and the engine asks no channel that the caller couldn't have reached.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use sluicegate_core::call::{Call, Format};
use sluicegate_core::channel::Channel;
use sluicegate_core::decision::OutcomeClass;
use sluicegate_core::engine::{Engine, Next, Outcome};
use sluicegate_core::ids::{GroupId, UserId};
use sluicegate_core::ports::{
    Asked, AttemptView, CallView, CandidateView, Hook, NoLimits, PolicyHook, PolicyRun, UsageView, Verdict,
};
use sluicegate_core::snapshot::{Declared, PolicySource, Snapshot};
use sluicegate_core::tenant::{Caller, ModelAccess};
use sluicegate_core::time::Timestamp;
use sluicegate_core::usage::Usage;
use sluicegate_policy::{FUEL, MAX_VERDICT_ENTRIES, MAX_VERDICT_TEXT_BYTES, Policies};

const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

/// What callers name as their output ceiling.
const CEILING: u64 = 500;

/// What candidates are named by, as a text: some are there, some aren't.
fn targets() -> impl Strategy<Value = String> {
    const TARGETS: &[&str] = &[
        "channel:a",
        "channel:b",
        "channel:d",
        "channel:f",
        "provider:openai",
        "provider:wanqing",
        "tag:overseas",
    ];
    select(TARGETS).prop_map(|target| format!("\"{target}\""))
}

/// Models, and what is none: those that the caller may call, and those that it may not.
fn models() -> impl Strategy<Value = String> {
    const MODELS: &[&str] = &["open", "cheap", "secret", "vip", "a", "*", "研发部"];
    select(MODELS).prop_map(|model| format!("\"{model}\""))
}

// In the forms below § stands for an expression, ¶ for statements.

fn expressions() -> impl Strategy<Value = String> {
    const VALUES: &[&str] = &[
        "call",
        "call.model",
        "call.group",
        "call.tags",
        "call.input_tokens",
        "call.max_output",
        "call.now",
        "call.now.at(\"Asia/Shanghai\").hour",
        "call.seed",
        "call.quota_used(\"spend\")",
        "call.quota_left(\"requests\", \"day\")",
        "candidates",
        "candidates[0]",
        "candidates[-1]",
        "candidates[9]",
        "candidates.cheapest()",
        "candidates.fastest()",
        "candidates.len",
        "x",
        "()",
        "0",
        "-1",
        "9223372036854775807",
        "1.5",
        "true",
        "[]",
        "#{ a: 1 }",
        "hash_percent(call.user)",
        "chance(50)",
    ];
    const FORMS: &[&str] = &[
        "[§, §]",
        "(0 - §)",
        "(§ == 1 && chance(9))",
        "§.len",
        "§.to_upper()",
        "§.split(\"\")",
        "§.replace(\"a\", \"aaaaaaaa\")",
        "§.name",
        "§.latency_ms",
        "§.has_tag(\"overseas\")",
        "§.matches(\"tag:overseas\")",
        "`${§} and ${§}`",
        "§.map(|y| y)",
        "§.filter(|y| y == 1)",
        "#{ a: §, b: § }",
        "§[\"a\"]",
        "§[0]",
        "§.to_int()",
        "§.keys()",
        "down(§, call, candidates)",
        "§.sub_string(0, 3)",
        "type_of(§)",
    ];
    const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "==", "<", "in", "??", "<<"];
    let values = select(VALUES).prop_map(str::to_owned);
    prop_oneof![3 => values, 1 => targets(), 1 => models()].prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (select(FORMS), inner.clone()).prop_map(|(form, e)| form.replace('§', &e)),
            (inner.clone(), select(OPERATORS), inner)
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
        ]
    })
}

fn statements() -> impl Strategy<Value = String> {
    const TO_CANDIDATES: &[&str] = &["prefer(§);", "exclude(§);", "prefer([§, candidates[0]]);"];
    const TO_MODELS: &[&str] = &["use_model(§);", "fallback(§);", "fallback([§, \"cheap\"]);", "tag(§);"];
    const ANY: &[&str] = &[
        "prefer(`${§}`);",
        "exclude([`${§}`]);",
        "use_model(`${§}`);",
        "fallback([§, §]);",
        "deny(§);",
        "max_output(§);",
        "tag(`${§}`);",
        "x = §;",
        "x += §;",
        "x.push(§);",
        "throw §;",
        "down(§, call, candidates);",
        "if chance(9) { return; }",
    ];
    const BLOCKS: &[&str] = &[
        "if § == § { ¶ }",
        "while true { ¶ }",
        "loop { ¶ break; }",
        "for y in § { ¶ }",
        "for y in 0..1000000 { ¶ }",
        "try { ¶ } catch { }",
        "try { ¶ } catch(why) { tag(`${why}`); }",
        "{ let z = §; ¶ }",
    ];
    let fill = |(form, e): (&str, String)| form.replace('§', &e);
    let plain = prop_oneof![
        2 => (select(TO_CANDIDATES), targets()).prop_map(fill),
        2 => (select(TO_MODELS), models()).prop_map(fill),
        3 => (select(ANY), expressions()).prop_map(fill),
    ];
    plain.prop_recursive(3, 24, 4, |inner| {
        (select(BLOCKS), expressions(), inner.clone(), inner)
            .prop_map(|(form, e, one, two)| form.replace('§', &e).replace('¶', &format!("{one} {two}")))
    })
}

/// The statements of a function. Most of them stand alone, so that the rest runs when they fail.
fn bodies() -> impl Strategy<Value = String> {
    let statement = (proptest::bool::weighted(0.95), statements())
        .prop_map(|(alone, text)| if alone { format!("try {{ {text} }} catch {{ }}") } else { text });
    proptest::collection::vec(statement, 1..5).prop_map(|lines| lines.join("\n    "))
}

/// What a hook says, and from there on is sure to be said: what is tried may fail, and what a hook has no right to say is
/// reached by a name that only a run knows.
fn hooks() -> impl Strategy<Value = String> {
    // Each script reaches for a model, allowed or not, whatever else it does.
    const REACHES: &[&str] = &["use_model(§);", "fallback(§);", "fallback([§, \"cheap\"]);"];
    const SAYS: &[&str] =
        &["stop", "alert", "prefer", "exclude", "use_model", "fallback", "deny", "max_output", "tag"];
    const HOOKS: &[&str] = &["admit(call)", "on_error(call, candidates)", "finish(call, candidates)"];
    let reach = (select(REACHES), models()).prop_map(|(form, model)| form.replace('§', &model));
    let told = prop_oneof![targets(), models()];
    let other = (select(HOOKS), select(SAYS), told, proptest::bool::ANY).prop_map(|(hook, says, told, whether)| {
        // A closure's name is known when the script is loaded, a text's isn't.
        let what = if whether { format!("Fn(\"\" + \"{says}\").call({told});") } else { format!("try {{ fallback({told}); }} catch {{ }}") };
        let what = if hook.starts_with("finish") { what.replace("fallback", "tag") } else { what };
        let candidates = if hook.starts_with("admit") { "let candidates = 0; " } else { "" };
        format!("fn {hook} {{ {candidates}try {{ {what} }} catch {{ }} try {{ tag(`${{candidates.outcome}} ${{candidates.spend}} ${{candidates.model}}`); }} catch {{ }} }}\n")
    });
    let others = proptest::collection::vec(other, 0..3);
    (expressions(), reach, bodies(), others).prop_map(|(start, reach, route, others)| {
        let mut text = format!(
            "fn route(call, candidates) {{\n    {reach}\n    let x = 0;\n    try {{ x = {start}; }} catch {{ }}\n    {route}\n}}\n"
        );
        for (at, other) in others.iter().enumerate() {
            let hook = other.split('(').next();
            if others.iter().take(at).all(|before| before.split('(').next() != hook) {
                text.push_str(other);
            }
        }
        text
    })
}

fn scripts() -> impl Strategy<Value = String> {
    (bodies(), expressions(), hooks()).prop_map(|(down, result, hooks)| {
        format!("fn down(x, call, candidates) {{\n    {down}\n    {result}\n}}\n{hooks}")
    })
}

fn channel(id: &str, model: &str, rest: serde_json::Value) -> Channel {
    let mut channel = serde_json::json!({
        "id": id, "name": id, "provider": "openai", "auth": "none", "secret": "none",
        "endpoints": [{ "format": "openai_chat", "url": "http://127.0.0.1:9/" }],
        "models": [{ "group": model, "upstream": model, "price": {}, "context_window": null, "max_output": null }],
    });
    for (key, value) in rest.as_object().unwrap() {
        channel[key] = value.clone();
    }
    serde_json::from_value(channel).unwrap()
}

fn channels() -> Vec<Channel> {
    use serde_json::json;
    vec![
        channel("a", "open", json!({ "tags": ["overseas"] })),
        channel("b", "open", json!({ "groups": ["vip"] })),
        channel("c", "cheap", json!({ "provider": "wanqing" })),
        channel("d", "secret", json!({})),
        channel("e", "open", json!({ "enabled": false })),
        channel("f", "open", json!({})),
    ]
}

/// A caller that may call `open` and `cheap`, and belongs to no group that channel `b` is for.
fn caller() -> Caller {
    let mut caller = Caller::operator("default".into(), &[]);
    caller.access.push(ModelAccess::only(vec!["open".into(), "cheap".into()]));
    caller.user = Some(UserId::from("u"));
    caller.group = Some(GroupId::from("g"));
    caller.labels = ["g".into(), "研发部".into()].into_iter().collect();
    caller
}

fn call() -> Call {
    let mut call = Call::new("c", Format::OpenaiChat, "open");
    call.max_output = Some(CEILING);
    call
}

/// Drives a call whose every attempt fails, and gives the channels that were asked.
fn asked(policies: Arc<Policies>, seed: u64) -> BTreeSet<String> {
    let engine =
        Engine::new(Snapshot::build(1, Declared { channels: channels(), ..Declared::default() }), policies);
    let caller = engine.bind(caller());
    let (mut now, mut asked) = (NOW, BTreeSet::new());
    let Ok(mut admission) = engine.admit(call(), &caller, now, seed) else { return asked };
    // BOUND: the engine bounds its attempts; this is far above.
    for _ in 0..200 {
        match engine.next(&mut admission, now) {
            Next::Try(attempt) => {
                asked.insert(attempt.channel().id.to_string());
                assert!(attempt.ceiling.is_none_or(|ceiling| ceiling <= CEILING), "{:?}", attempt.ceiling);
                engine.observe(&mut admission, &Outcome::failed(OutcomeClass::ServerError, Some(500)), now);
            }
            Next::Wait(until) => now = until,
            Next::Done(_) => {
                engine.finish(admission, None, now);
                return asked;
            }
            other => panic!("no limit asks for this: {other:?}"),
        }
    }
    panic!("a call without end");
}

/// What one run says, within its bounds; and whether it got to its end.
fn check_run(policies: &Policies, seed: u64) -> bool {
    let (channels, call, caller, model) = (channels(), call(), caller(), "open".into());
    let candidates: Vec<CandidateView<'_>> = channels
        .iter()
        .filter(|channel| ["a", "f"].contains(&channel.id.as_str()))
        .map(|channel| CandidateView {
            channel,
            upstream_model: &model,
            input_price: Some(1_000_000),
            output_price: None,
            context_window: Some(100_000),
            latency_us: 1_000,
            in_flight: 1,
            failures: 0,
        })
        .collect();
    let view = CallView {
        call: &call,
        model: &call.model,
        asked: Asked::Advice,
        caller: &caller,
        now: NOW,
        seed,
        limits: &NoLimits,
        prompt: None,
    };
    let attempt = AttemptView {
        channel: &channels[0],
        model: &model,
        outcome: OutcomeClass::ServerError,
        status: Some(500),
        number: 1,
        elapsed_ms: 20,
        key_fault: false,
    };
    let usage = UsageView {
        usage: &Usage::default(),
        spend: 5,
        attempts: 1,
        outcome: OutcomeClass::Ok,
        latency_ms: 20,
        first_byte_ms: None,
        channel: Some(&channels[0]),
        model: &model,
    };
    let ask = |hook| match hook {
        Hook::Admit => policies.admit(&view),
        Hook::Route => policies.route(&view, &candidates),
        Hook::OnError => policies.on_error(&view, &attempt),
        Hook::Finish => policies.finish(&view, &usage),
    };
    let hooks = policies.applies(&caller);
    for hook in Hook::ALL.into_iter().filter(|hook| hooks.has(*hook)) {
        let runs = ask(hook);
        assert_eq!(format!("{runs:?}"), format!("{:?}", ask(hook)), "it isn't deterministic");
        check_bounds(hook, &runs[0]);
    }
    ask(Hook::Route)[0].error.is_none()
}

/// What one run may use and say.
fn check_bounds(hook: Hook, run: &PolicyRun) {
    // Fuel and no clock is what bounds a run, on a slow machine too. The last step may go beyond by the bytes of one text.
    assert!(run.fuel <= FUEL + 1_024, "{}", run.fuel);
    let verdict = &run.verdict;
    let lists = [
        verdict.prefer.len(),
        verdict.exclude.len(),
        verdict.tags.len(),
        verdict.fallback.as_ref().map_or(0, Vec::len),
    ];
    assert!(lists.iter().all(|len| *len <= MAX_VERDICT_ENTRIES), "{lists:?}");
    let texts = verdict.tags.iter().chain(&verdict.deny);
    assert!(texts.into_iter().all(|text| text.len() <= MAX_VERDICT_TEXT_BYTES));
    // Nothing but what is this hook's to say.
    let Verdict { deny, prefer, exclude, model, fallback, max_output, tags: _, stop, alerts } = verdict;
    let decides = deny.is_some() || model.is_some() || max_output.is_some();
    let steers = !prefer.is_empty() || !exclude.is_empty();
    assert!(!decides || matches!(hook, Hook::Admit | Hook::Route), "{hook:?}: {verdict:?}");
    assert!(!steers || matches!(hook, Hook::Route | Hook::OnError), "{hook:?}: {verdict:?}");
    assert!(fallback.is_none() || hook != Hook::Finish, "{hook:?}: {verdict:?}");
    assert!(!stop || hook == Hook::OnError, "{hook:?}: {verdict:?}");
    assert!(alerts.is_empty() || hook == Hook::Finish, "{hook:?}: {verdict:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_script_runs_away_or_widens_access(text in scripts(), seed: u64) {
        let source = PolicySource::new("p", text);
        // What is refused when it is loaded never runs.
        if let Ok(policies) = Policies::compile(&[source]) {
            check_run(&policies, seed);
            let asked = asked(Arc::new(policies), seed);
            let reachable = BTreeSet::from(["a", "c", "f"].map(str::to_owned));
            prop_assert!(asked.is_subset(&reachable), "{asked:?}");
        }
    }
}

/// The property says something only when scripts are accepted, come to an end and reach the engine.
#[test]
fn the_scripts_above_are_worth_their_while() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut accepted, mut ended, mut others, mut widest) = (0, 0, 0, BTreeSet::new());
    for seed in 0..60 {
        let text = scripts().new_tree(&mut runner).unwrap().current();
        let source = PolicySource::new("p", text);
        let Ok(policies) = Policies::compile(&[source]) else { continue };
        accepted += 1;
        ended += usize::from(check_run(&policies, seed));
        let hooks = policies.applies(&caller());
        others += Hook::ALL.into_iter().filter(|hook| !hook.is_route() && hooks.has(*hook)).count();
        widest.append(&mut asked(Arc::new(policies), seed));
    }
    assert!(accepted >= 40 && ended >= 12, "{accepted} accepted, {ended} came to an end");
    assert!(others >= 20, "{others} other hooks");
    assert_eq!(widest.into_iter().collect::<Vec<_>>(), ["a", "c", "f"]);
}
