//! Tests inside script files: what they see, what they assert, and how a failure reads.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sluicegate_core::snapshot::{Attachment, PolicySource};
use sluicegate_policy::{MAX_SCRIPT_BYTES, Policies, PolicyDiagnostic, TestResult, Tests, Whose};

const SCRIPT: &str = r#"
const IN_HOUSE = "provider:wanqing";

fn route(call, candidates) {
    switch call.group {
        "研发部" => { prefer(IN_HOUSE); exclude("tag:overseas"); }
        "broken" => { throw "no way"; }
        "banned" => deny("ask the administrator"),
        "long" => { prefer(IN_HOUSE); use_model("qwen-long"); fallback(["a", "b"]); }
        "short" => { max_output(100); tag("x"); tag("y"); }
        "echo" => { tag(`${call.model} ${call.seed} ${call.now.at("Asia/Shanghai").hour} ${call.user ?? "nobody"}`); }
        _ => ()
    }
}
"#;

fn source(text: &str) -> PolicySource {
    PolicySource::new("p", text)
}

/// Runs the body of a test against `SCRIPT`.
fn run(body: &str) -> TestResult {
    let text = format!("{SCRIPT}fn test_it() {{\n{body}\n}}\n");
    let tests = Tests::compile(&source(&text)).map_err(|wrong| format!("{body}\n{wrong:?}")).unwrap();
    tests.run(None).pop().unwrap()
}

/// Why a test fails: the line within its body, and all that is said.
fn fails(body: &str) -> String {
    let failure = run(body).failure.ok_or_else(|| format!("passes: {body}")).unwrap();
    let first = SCRIPT.lines().count() + 1;
    let line = failure.line.checked_sub(first).unwrap_or(failure.line);
    match (failure.expected, failure.came) {
        (Some(expected), Some(came)) => format!("{line}: expected {expected}, came {came}"),
        _ => format!("{line}: {}", failure.message),
    }
}

fn wrong(text: &str) -> Vec<String> {
    let wrong: Vec<PolicyDiagnostic> = Tests::compile(&source(text)).err().unwrap_or_default();
    wrong.iter().map(|d| format!("{}:{} {}; {}", d.line, d.column, d.message, d.remedy)).collect()
}

const CANDIDATES: &str = r#"[
    "us", #{ name: "w1", provider: "wanqing", tags: ["in-house"] }, #{ id: "c3", name: "hk", tags: ["overseas"] }
]"#;

#[test]
fn what_holds_passes() {
    for body in [
        r#"given(#{ group: "研发部" }).candidates(LIST).route()
            .assert_first("w1").assert_order(["w1", "us"]).assert_excluded("hk").assert_excluded("c3")
            .assert_not_excluded("us").assert_not_denied();"#,
        r#"let v = given(#{ group: "研发部" }).candidates(LIST).route();
           assert_first(v, "w1"); assert_eq(v.first, "w1"); assert_eq(v.order, ["w1", "us"]); assert_eq(v.excluded, ["hk"]);"#,
        r#"let v = given(#{ group: "banned" }).route(); assert_denied(v); v.assert_denied("administrator");
           assert_eq(v.denied, "ask the administrator");"#,
        r#"let v = given(#{ group: "long", group_id: "g1" }).candidates_of("qwen-long", LIST).route();
           v.assert_model("qwen-long").assert_fallback(["a", "b"]).assert_first("w1"); assert_eq(v.fallback.len, 2);"#,
        r#"let v = given(#{ group: "short" }).route().assert_max_output(100).assert_tag("y").assert_tags(["x", "y"]);
           assert_eq(v.max_output, 100.0); assert_ne(v.tags, []); assert(v.model == ());"#,
        r#"given().candidates(LIST).route().assert_no_opinion().assert_order(["us", "w1", "hk"]);"#,
        r#"given(#{ group: "broken" }).route().assert_error("no way");"#,
        r#"let v = given(#{ group: "echo", model: "m", seed: 7, now: "2026-03-02T09:30:00+08:00", user: "ann" }).route();
           v.assert_tags(["m 7 9 ann"]);"#,
        r#"given(#{ group: "echo", now: "2026-03-02T23:30[Asia/Shanghai]" }).route().assert_tags(["model 0 23 nobody"]);"#,
        r#"assert_eq(#{ a: [1, "b"] }, #{ a: [1.0, "b"] }); assert_ne((), 0); assert(IN_HOUSE.starts_with("provider"));"#,
    ] {
        let result = run(&body.replace("LIST", CANDIDATES));
        assert_eq!(result.failure, None, "{body}");
        assert!(result.assertions > 0);
    }
}

#[test]
fn patterns_are_looked_for_in_the_prompt_and_paid_for() {
    let text = r#"
fn admit(call) {
    if call.text_matches(`(?i)\\bticket-\\d+`) { tag("ticket"); }
    if call.text_matches(call.group ?? "^$") { tag("mine"); }
}
fn route(call) {
    for n in 0..200 { call.text_matches("a" + n); }
}
fn test_patterns() {
    given(#{ text: "about TICKET-12", group: "^about" }).admit().assert_tags(["ticket", "mine"]);
    given(#{ text: "about tickets", group: "^tickets" }).admit().assert_no_opinion();
}
fn test_a_slip() {
    given(#{ text: "a", group: "(" }).admit().assert_error("the pattern `(` can't be used: unclosed group");
}
fn test_fuel() {
    given(#{ text: "a" }).route().assert_error("used up its fuel");
}
"#
    .replace("\\\\", "\\");
    let tests = Tests::compile(&source(&text)).unwrap();
    for result in tests.run(None) {
        assert!(result.failure.is_none(), "{result:?}");
    }
}

#[test]
fn a_bound_may_be_unknown() {
    let text = "fn route(call) { tag(`${call.input_bound}`); }\nfn test_it() {\n\
        given(#{ input_tokens: 3 }).route().assert_tag(\"3\");\n\
        given(#{ input_tokens: 3, input_bound: () }).route().assert_tag(\"\");\n}";
    assert_eq!(Tests::compile(&source(text)).unwrap().run(None)[0].failure, None);
}

#[test]
fn the_deepest_script_in_the_deepest_test_fits_the_stack() {
    // The stack that servers' threads have.
    let body = || {
        let nest = |depth: usize, core: &str| format!("{}{core}{}", "[".repeat(depth), "]".repeat(depth));
        let text = |depth| {
            let (script, test) = (nest(depth, "down(n + 1)"), nest(depth, "test_down(n + 1)"));
            format!(
                "fn down(n) {{ {script} }} fn route(call) {{ down(0); }}\n\
                 fn test_down(n) {{ if n == 13 {{ {} }} else {{ {test} }} }}\n\
                 fn test_deep() {{ test_down(0); }}",
                nest(depth, "given().route().assert_error(\"16 deep\")")
            )
        };
        let deepest = (1..64).rev().find_map(|depth| Tests::compile(&source(&text(depth))).ok()).unwrap();
        let result = deepest.run(None).pop().unwrap();
        assert_eq!((result.failure, result.assertions), (None, 1));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

#[test]
fn a_failure_says_where_what_was_expected_and_what_came() {
    for (body, want) in [
        (
            r#"let v = given(#{ group: "研发部" }).candidates(LIST).route();
v.assert_first("us");"#,
            "2: expected `us` first, came [w1, us], excluded [hk]",
        ),
        (
            r#"given(#{ group: "研发部" }).candidates(LIST).route().assert_not_excluded("hk");"#,
            "1: expected `hk` not excluded, came [w1, us], excluded [hk]",
        ),
        (
            r#"given(#{ group: "研发部" }).candidates([#{ id: "c1", name: "x" }, #{ id: "c2", name: "x", tags: ["overseas"] }]).route().assert_not_excluded("c1").assert_excluded("c2").assert_not_excluded("x");"#,
            "1: several candidates are called `x`, with the ids [c1, c2]; name the one that is meant by an id that no other is called by",
        ),
        (
            r#"given().candidates(["x", #{ id: "c2", name: "x" }]).route().assert_excluded("x");"#,
            "1: several candidates are called `x`, with the ids [c2, x]; name the one that is meant by an id that no other is called by",
        ),
        (
            r#"given().candidates(LIST).route().assert_excluded("nobody");"#,
            "1: the test gives no candidate `nobody`",
        ),
        (
            r#"given(#{ group: "short" }).route().assert_denied();"#,
            "1: expected denied, came output of 100 tokens at most; tags [x, y]",
        ),
        (
            r#"given(#{ group: "banned" }).route().assert_denied("later");"#,
            "1: expected denied with a message that has `later` in it, came denied: `ask the administrator`",
        ),
        (
            r#"given(#{ group: "banned" }).route().assert_first("us");"#,
            "1: the call is denied, so no channel is asked: `ask the administrator`",
        ),
        (
            r#"given(#{ group: "long" }).candidates(LIST).route().assert_first("us");"#,
            "1: the script asks for `qwen-long`, whose candidates aren't known; give them with `.candidates_of(\"qwen-long\", […])`",
        ),
        (
            r#"given(#{ group: "long" }).route().assert_fallback("a");"#,
            "1: expected fallback [a], came model `qwen-long`; fallback [a, b]",
        ),
        (
            r#"given(#{ group: "broken" }).route().assert_not_denied();"#,
            "1: expected not denied, came the script failed: line 7, column 23: no way",
        ),
        (r#"assert_eq(1 + 1, 3);"#, "1: expected 3, came 2"),
        (r#"assert_eq("a", ());"#, "1: expected (), came \"a\""),
        (r#"assert(1 > 2, "one is more");"#, "1: expected one is more, came false"),
        (r#"try { assert(false); } catch { } assert(true);"#, "1: expected true, came false"),
        (
            r#"given().route();"#,
            "0: the test asserts nothing; end it with what must hold, such as `assert_first(v, \"name\")`",
        ),
        (r#"let x = 1 / 0;"#, "1: division by zero: 1 / 0"),
        (
            r#"prefer("tag:a");"#,
            "1: this works inside hooks only: constants are worked out before there is a call",
        ),
        ("loop { }", "0: the test used up its 1000000 operations"),
        (
            "let list = []; for n in 0..200 { list.push(`c${n}`); }\nlet g = given().candidates(list);\nloop { g.route(); }",
            "0: the test used up its 1000000 operations",
        ),
        (
            "let list = []; for n in 0..200 { list.push(`c${n}`); }\nloop { given().candidates(list); }",
            "0: the test used up its 1000000 operations",
        ),
        ("loop { given().route(); }", "1: a test can't route more than 1000 calls"),
    ] {
        assert_eq!(fails(&body.replace("LIST", &CANDIDATES.replace('\n', ""))), want, "{body}");
    }
}

#[test]
fn all_tests_of_a_run_have_one_budget() {
    let body = "for n in 0..990 { given().route(); } assert(true);";
    let tests: String = (0..5).map(|n| format!("fn test_{n}() {{ {body} }}\n")).collect();
    let text = format!("fn route(call) {{ loop {{ }} }}\n{tests}");
    let results = Tests::compile(&source(&text)).unwrap().run(None);
    let passed: Vec<bool> = results.iter().map(|result| result.failure.is_none()).collect();
    assert_eq!(passed, [true, true, true, false, false]);
    let message = &results[4].failure.as_ref().unwrap().message;
    assert!(message.starts_with("the tests of this file used up their 50000000 operations"), "{message}");
}

#[test]
fn a_slip_in_a_field_is_said() {
    for (body, want) in [
        (r#"given(#{ gruop: "a" });"#, "given has no field `gruop`; did you mean `group`?"),
        (
            r#"given().candidates([#{ name: "a", latncy_ms: 3 }]);"#,
            "a candidate has no field `latncy_ms`; did you mean `latency_ms`?",
        ),
        (
            r#"given(#{ input_tokens: "many" });"#,
            "`input_tokens` of given is a whole number from 0, not `many`",
        ),
        (
            r#"given(#{ now: "noon" });"#,
            "`now` of given is a time such as \"2026-03-02T09:30:00+08:00\", not `noon`",
        ),
        (
            r#"given(#{ format: "gemini" });"#,
            "`format` of given is \"openai_chat\", \"openai_embeddings\", \"anthropic_messages\", \"openai_responses\", \"gemini_generate\" or that of a single operation, not `gemini`",
        ),
        (r#"given().candidates([#{ provider: "a" }]);"#, "a candidate of `candidates` has no `name`"),
        (
            r#"given().candidates([3]);"#,
            "`candidates` takes an array of maps such as #{ name: \"a\", provider: \"b\" }, not a i64",
        ),
        (r#"given().candidates(["a", "a"]);"#, "`candidates` names the channel `a` twice"),
        (
            r#"given().candidates([#{ name: "a", input_price: -1 }]);"#,
            "`input_price` of a candidate is USD for a million tokens, such as 2.5, not `-1`",
        ),
    ] {
        assert_eq!(fails(body), format!("1: {want}"), "{body}");
    }
    assert!(
        fails("given(#{ zzz: 1 });").contains("there are: id, model, requested_model, fallbacks, format")
    );
}

#[test]
fn candidates_are_what_scripts_read() {
    let text = r#"
fn route(call, candidates) {
    for c in candidates {
        tag(`${c.id} ${c.name} ${c.provider} ${c.tags.len} ${c.upstream_model} ${c.priority} ${c.weight} ${c.input_price} ${c.output_price} ${c.context_window} ${c.latency_ms} ${c.in_flight} ${c.failures}`);
    }
}
fn test_all() {
    let all = #{ id: "i", name: "n", provider: "p", tags: ["t"], upstream_model: "u", priority: -2, weight: 3, input_price: 2.5,
        output_price: 10, context_window: 8000, latency_ms: 1.5, in_flight: 4, failures: 5 };
    given(#{ model: "m" }).candidates([all, "x"]).route()
        .assert_tags(["i n p 1 u -2 3 2.5 10.0 8000 1.5 4 5", "x x  0 m 0 1     0 0"]);
}"#;
    assert_eq!(Tests::compile(&source(text)).unwrap().run(None)[0].failure, None);
}

#[test]
fn tests_run_in_the_files_order_and_helpers_are_none() {
    let text = format!(
        "{SCRIPT}\nfn test_b() {{ test_of(\"研发部\"); }}\nfn test_of(group) {{ given(#{{ group: group }}).route().assert_denied(); }}\nfn test_a() {{ assert(true); }}"
    );
    let tests = Tests::compile(&source(&text)).unwrap();
    assert_eq!(tests.names().collect::<Vec<_>>(), ["test_b", "test_a"]);
    let results = tests.run(None);
    assert_eq!(results.iter().map(|r| r.failure.is_none()).collect::<Vec<_>>(), [false, true]);
    let lines = SCRIPT.lines().count();
    assert_eq!((results[0].line, results[0].failure.as_ref().unwrap().line), (lines + 2, lines + 3));
    assert_eq!(tests.run(Some("_a")).len(), 1);
    assert!(Tests::compile(&source(SCRIPT)).unwrap().is_empty());
}

#[test]
fn what_is_wrong_in_script_and_tests_is_said_at_once() {
    let text = "fn route(call) { if call.gruop == 1 { prefr(\"tag:a\"); } }\nfn test_a() {\n    asert(true);\n    given(#{ zone: 1 }).zone;\n}";
    assert_eq!(
        wrong(text),
        [
            "1:26 nothing has a property `gruop`; did you mean `group`?",
            "1:39 there is no function `prefr`; did you mean `prefer`?",
            "3:5 there is no function `asert`; did you mean `assert`?",
        ]
    );
    // What is for tests isn't there for the script, and the tests aren't either.
    assert_eq!(
        wrong("fn route(call) { given(); test_a(); }\nfn test_a() { assert(true); }"),
        [
            "1:18 there is no function `given`; see the manual for what there is",
            "1:27 `test_a` is a test, and tests aren't there when a call comes; give it another name",
        ]
    );
    assert_eq!(wrong("fn route(call) { }\nfn test_a() {\n    let = 3;\n}").len(), 1);
}

#[test]
fn tests_cost_nothing_when_calls_come() {
    let tests: String = (0..500)
        .map(|n| {
            format!(
                "fn test_{n}() {{ given(#{{ tags: [\"研\"] }}).route().assert_denied(\"{}\"); }}\n",
                "x".repeat(200)
            )
        })
        .collect();
    assert!(tests.len() > MAX_SCRIPT_BYTES);
    let text = format!("fn route(call) {{ }}\n{tests}");
    assert_eq!(Policies::compile(&[source(&text)]).unwrap().names().count(), 1);
    assert_eq!(Tests::compile(&source(&text)).unwrap().names().count(), 500);
    // A slip in a test keeps no gateway from starting.
    Policies::compile(&[source("fn route(call) { }\nfn test_a() { nothing(; }")]).unwrap();
    let large =
        Policies::compile(&[source(&format!("fn route(call) {{ }}{}", " ".repeat(MAX_SCRIPT_BYTES)))]);
    assert_eq!(large.unwrap_err().len(), 1);
}

#[test]
fn a_test_that_does_not_say_who_calls_is_of_the_scope_that_the_script_is_attached_to() {
    let by_id = Attachment::GroupById("g-1".into());
    let tests: [(Attachment, &str, Option<&str>); 10] = [
        (by_id.clone(), "given()", None),
        (by_id.clone(), "given(#{ group: \"g-1\" })", None),
        (by_id.clone(), "given(#{ group: \"Research\" })", None),
        (by_id.clone(), "given(#{ group_id: \"g-1\", group: \"other\" })", None),
        (by_id.clone(), "given(#{ group: \"other\" })", Some("isn't of the test's group")),
        (by_id, "given(#{ group_id: \"g-2\", group: \"Research\" })", Some("isn't of the test's group")),
        (Attachment::Organization("acme".into()), "given(#{ group: \"any\" })", None),
        (
            Attachment::Organization("acme".into()),
            "given(#{ organization: \"default\" })",
            Some("isn't of the test's organization"),
        ),
        (Attachment::Key("k-1".into()), "given()", None),
        (Attachment::Key("k-1".into()), "given(#{ key: \"k-2\" })", Some("isn't of the test's key")),
    ];
    for (attached, given, wrong) in tests {
        let text = format!(
            "fn route(call) {{ deny(\"no\"); }}\nfn test_it() {{ {given}.candidates([\"a\"]).route().assert_denied(\"no\"); }}"
        );
        let source = PolicySource { attached, ..source(&text) };
        let whose = Whose { organization: None, names: vec!["Research".to_owned()] };
        let failure = Tests::compile_for(&source, &[], &whose).unwrap().run(None).pop().unwrap().failure;
        let said = failure.map(|it| it.message);
        match wrong {
            None => assert_eq!(said, None, "{given}"),
            Some(part) => assert!(said.as_ref().is_some_and(|said| said.contains(part)), "{given}: {said:?}"),
        }
    }
}

#[test]
fn a_test_of_a_group_sees_its_organization_and_what_it_is_called() {
    let text = r#"
        fn route(call) { if call.organization == "acme" && call.group_id == "g-1" { deny("no"); } }
        fn test_it() { given().candidates(["a"]).route().assert_denied("no"); }
        fn test_named() { given(#{ group_id: "g-1" }).candidates(["a"]).route().assert_denied("no"); }
    "#;
    let source = PolicySource { attached: Attachment::GroupById("g-1".into()), ..source(text) };
    let whose = Whose { organization: Some("acme".into()), names: Vec::new() };
    for result in Tests::compile_for(&source, &[], &whose).unwrap().run(None) {
        assert_eq!(result.failure, None, "{}", result.name);
    }
}
