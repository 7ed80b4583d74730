//! Modules: what scripts share.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sluicegate_core::call::{Call, Format};
use sluicegate_core::ids::OrganizationId;
use sluicegate_core::ports::{Asked, CallView, NoLimits, PolicyHook, PolicyRun};
use sluicegate_core::snapshot::{ModuleSource, PolicySource};
use sluicegate_core::tenant::Caller;
use sluicegate_core::time::Timestamp;
use sluicegate_policy::{FUEL, Policies, Tests};

const PLACES: &str = r#"
    const ABROAD = ["tag:us", "tag:overseas"];
    const HOME = "tag:eu";
    private fn secret() { 7 }
    fn stay(call) { exclude(ABROAD); prefer(HOME); inner() }
    fn inner() { secret() }
    fn spin() { loop { } }
    fn fails(x) { 1 / x }
    fn deep(n) { deep(n + 1) }
    fn test_what_calls_never_see() { nonsense(); }
"#;

fn modules(list: &[(&str, &str)]) -> Vec<ModuleSource> {
    list.iter().map(|(name, text)| ModuleSource { name: (*name).into(), text: (*text).into() }).collect()
}

fn wrong(script: &str, list: &[(&str, &str)]) -> Vec<String> {
    let found = Policies::compile_with(&[PolicySource::new("p", script)], &modules(list)).unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

fn route(script: &str, list: &[(&str, &str)]) -> PolicyRun {
    let policies = Policies::compile_with(&[PolicySource::new("p", script)], &modules(list)).unwrap();
    let (call, caller) = (
        Call::new("call-1", Format::OpenaiChat, "m"),
        Caller::operator(OrganizationId::from("default"), &[]),
    );
    let view = CallView {
        call: &call,
        model: &call.model,
        asked: Asked::Advice,
        caller: &caller,
        now: Timestamp::from_ms(0),
        seed: 0,
        limits: &NoLimits,
        prompt: None,
    };
    policies.route(&view, &[]).pop().unwrap()
}

#[test]
fn a_script_calls_functions_and_reads_constants_of_a_module() {
    let script = r#"
        import "places" as here;
        const BOTH = here::ABROAD;
        fn route(call) { let n = here::stay(call); tag(`${n} ${here::HOME} ${BOTH.len()}`); }
    "#;
    let run = route(script, &[("places", PLACES)]);
    assert_eq!(run.error, None);
    assert_eq!((run.verdict.exclude.len(), run.verdict.prefer.len()), (2, 1));
    assert_eq!(run.verdict.tags, ["7 tag:eu 2"]);
}

#[test]
fn modules_import_modules_whatever_their_order_is() {
    let list = [
        ("top", "import \"middle\" as m; fn top() { m::twice(4) + m::BASE }"),
        ("middle", "import \"bottom\" as b; const BASE = 100; fn twice(x) { b::add(x, x) }"),
        ("bottom", "const NONE = [0]; fn add(a, b) { a + b + NONE[0] }"),
    ];
    let run = route("import \"top\" as t; fn route(call) { tag(`${t::top()}`); }", &list);
    assert_eq!((run.error, run.verdict.tags), (None, vec!["108".to_owned()]));
    let circle =
        [("a", "import \"b\" as b; fn x() { b::y() }"), ("b", "import \"a\" as a; fn y() { a::x() }")];
    assert_eq!(
        wrong("fn route(call) { }", &circle),
        [
            "policy module `a`: modules import each other in a circle: `a`, `b`; put what they share into a module of its own"
        ]
    );
}

#[test]
fn fuel_and_depth_are_the_same_in_modules() {
    let run = route("import \"places\" as p; fn route(call) { p::spin(); }", &[("places", PLACES)]);
    assert!(run.fuel >= FUEL && run.error.unwrap().contains("used up its fuel"));
    let run = route("import \"places\" as p; fn route(call) { p::deep(0); }", &[("places", PLACES)]);
    assert!(run.error.as_ref().unwrap().contains("16 deep"), "{run:?}");
    let run = route("import \"places\" as p; fn route(call) { p::fails(0); }", &[("places", PLACES)]);
    assert!(run.error.as_ref().unwrap().starts_with("line 8, column "), "{run:?}");
    assert!(run.error.as_ref().unwrap().contains("in the module `places`"), "{run:?}");
}

#[test]
fn only_what_is_declared_resolves_and_only_at_the_top() {
    let list = [("places", PLACES)];
    for (script, said) in [
        (
            "import \"place\" as p; fn route(call) { }",
            "policy `p`, line 1, column 1: there is no module `place`; did you mean `places`?",
        ),
        (
            "import \"/etc/passwd\" as p; fn route(call) { }",
            "policy `p`, line 1, column 1: there is no module `/etc/passwd`; declare it under `policy_modules`",
        ),
        (
            "import \"pl\" + \"aces\" as p; fn route(call) { }",
            "policy `p`, line 1, column 1: only a plain text names a module; write `import \"name\" as name;`",
        ),
        (
            "import \"places\"; fn route(call) { }",
            "policy `p`, line 1, column 1: the module is imported without a name to call it by; write `import \"name\" as name;`",
        ),
        (
            "fn route(call) { import \"places\" as p; p::stay(call); }",
            "policy `p`, line 1, column 18: a module is imported inside of a function; import it at the top of the file",
        ),
        (
            "import \"places\" as p; fn route(call) { p::sty(call); }",
            "policy `p`, line 1, column 43: the module `places` has no function `sty`; did you mean `stay`?",
        ),
        (
            "import \"places\" as p; fn route(call) { p::secret(); }",
            "policy `p`, line 1, column 43: the module `places` has no function `secret`; see the manual for what there is",
        ),
        (
            "import \"places\" as p; fn route(call) { p::stay(); }",
            "policy `p`, line 1, column 43: `p::stay` doesn't take 0 arguments; see the module `places` for what it takes",
        ),
        (
            "import \"places\" as p; fn route(call) { tag(p::HOM); }",
            "policy `p`, line 1, column 47: the module `places` has no constant `HOM`; did you mean `HOME`?",
        ),
        (
            "import \"places\" as p; fn admit(call) { p::stay(call); }",
            "policy `p`: `admit` can't say `exclude`: no candidates are known yet, as line 5 of the module `places` does; say it in `route` or `on_error`",
        ),
        (
            "import \"places\" as p; const HOME = 1; fn route(call) { }",
            "policy `p`, line 1, column 1: `HOME` is a constant of the module `places` already; give one of the two another name",
        ),
    ] {
        assert!(wrong(script, &list).contains(&said.to_owned()), "{script}: {:#?}", wrong(script, &list));
    }
    assert_eq!(
        wrong("fn route(call) { }", &[("m", "fn f() { prefr(1); }\nfn route(call) { }")]),
        [
            "policy module `m`: a module has no hooks, and `route` is one; give it another name, and call it from the scripts' hooks",
            "policy module `m`, line 1, column 10: there is no function `prefr`; did you mean `prefer`?",
        ]
    );
}

#[test]
fn what_a_module_reads_is_prepared_and_the_digest_covers_it() {
    let reads = [("m", "fn first(list) { list[0].name } fn tagged(call) { call.has_tag(\"x\") }")];
    let run = route("import \"m\" as m; fn route(call) { tag(`${m::tagged(call)}`); }", &reads);
    assert_eq!(run.verdict.tags, ["false"]);
    let digest = |text: &str| {
        let script = PolicySource::new("p", "import \"m\" as m; fn route(call) { m::f(); }");
        Policies::compile_with(&[script], &modules(&[("m", text)])).unwrap().digest()
    };
    assert_ne!(digest("fn f() { 1 }"), digest("fn f() { 2 }"));
}

#[test]
fn tests_in_scripts_run_with_their_modules() {
    let text = r#"
        import "places" as here;
        fn route(call) { here::stay(call); }
        fn test_stays() { given().candidates([#{ name: "a", tags: ["us"] }, "b"]).route().assert_order(["b"]); }
    "#;
    let tests = Tests::compile_with(&PolicySource::new("p", text), &modules(&[("places", PLACES)])).unwrap();
    let results = tests.run(None);
    assert!(results.len() == 1 && results.iter().all(|test| test.failure.is_none()), "{results:#?}");
}
