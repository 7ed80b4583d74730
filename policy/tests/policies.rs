//! Which scripts run for whom, in which order, and what identifies them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sluicegate_core::call::{Call, Format};
use sluicegate_core::ids::{GroupId, KeyId, OrganizationId};
use sluicegate_core::limit::{Metric, ScopeKind, Window};
use sluicegate_core::ports::{
    Asked, CallView, Hook, Hooks, LimitStanding, LimitsView, NoLimits, PolicyHook, PolicyRun, Verdict,
};
use sluicegate_core::snapshot::{Attachment, OnPolicyError, PolicySource};
use sluicegate_core::tenant::Caller;
use sluicegate_core::time::Timestamp;
use sluicegate_policy::{FUEL, Policies};

fn source(name: &str, text: &str, group: Option<&str>) -> PolicySource {
    let attached = group.map_or(Attachment::Everybody, |group| Attachment::Group(group.into()));
    PolicySource { attached, ..PolicySource::new(name, text) }
}

fn caller(labels: &[&str]) -> Caller {
    let mut caller = Caller::operator(OrganizationId::from("default"), &[]);
    caller.group = labels.first().map(|id| GroupId::from(*id));
    caller.labels = labels.iter().map(|label| (*label).into()).collect();
    caller
}

fn view<'a>(call: &'a Call, caller: &'a Caller, seed: u64, limits: &'a dyn LimitsView) -> CallView<'a> {
    let (model, asked, now) = (&call.model, Asked::Advice, Timestamp::from_ms(0));
    CallView { call, model, asked, caller, now, seed, limits, prompt: None }
}

fn route(policies: &Policies, caller: &Caller, seed: u64) -> Vec<PolicyRun> {
    let call = Call::new("call-1", Format::OpenaiChat, "m");
    policies.route(&view(&call, caller, seed, &NoLimits), &[])
}

fn names(runs: &[PolicyRun]) -> Vec<&str> {
    runs.iter().map(|run| &*run.policy).collect()
}

#[test]
fn no_scripts_apply_to_nobody() {
    let none = Policies::none();
    assert!(none.applies(&caller(&["g1"])).is_empty());
    assert!(route(&none, &caller(&["g1"]), 0).is_empty());
    assert_eq!(none.digest(), 0);
    assert_eq!(Policies::compile(&[]).unwrap().digest(), 0);
}

#[test]
fn scripts_for_everybody_run_before_those_of_the_callers_group() {
    let idle = "fn route(call) { }";
    let policies = Policies::compile(&[
        source("research", idle, Some("g1")),
        source("first", idle, None),
        source("finance", idle, Some("g2")),
        source("second", idle, None),
        source("by name", idle, Some("研发部")),
    ])
    .unwrap();
    assert_eq!(
        names(&route(&policies, &caller(&["g1", "研发部"]), 0)),
        ["first", "second", "research", "by name"]
    );
    assert_eq!(names(&route(&policies, &caller(&["g2"]), 0)), ["first", "second", "finance"]);
    assert_eq!(names(&route(&policies, &caller(&[]), 0)), ["first", "second"]);
}

#[test]
fn a_script_of_a_group_leaves_others_alone() {
    let policies =
        Policies::compile(&[source("research", "fn route(call) { deny(\"no\"); }", Some("g1"))]).unwrap();
    assert_eq!(policies.applies(&caller(&["g1"])), Hooks::NONE.with(Hook::Route));
    assert!(policies.applies(&caller(&["g2"])).is_empty());
    assert!(policies.applies(&caller(&[])).is_empty());
    assert!(route(&policies, &caller(&["g2"]), 0).is_empty());
}

#[test]
fn the_wider_run_before_the_narrower() {
    let idle = "fn route(call) { }";
    let attached =
        |name: &str, attached: Attachment| PolicySource { attached, ..PolicySource::new(name, idle) };
    let policies = Policies::compile(&[
        attached("key", Attachment::Key("k1".into())),
        attached("group", Attachment::Group("g1".into())),
        attached("organization", Attachment::Organization("acme".into())),
        attached("everybody", Attachment::Everybody),
        attached("other key", Attachment::Key("k2".into())),
        attached("other organization", Attachment::Organization("default".into())),
    ])
    .unwrap();
    let mut member = caller(&["g1"]);
    member.organization = OrganizationId::from("acme");
    member.key = Some(KeyId::from("k1"));
    let runs = route(&policies, &member, 0);
    assert_eq!(names(&runs), ["everybody", "organization", "group", "key"]);
    assert!(runs.is_sorted_by_key(|run| run.reach));
    assert_eq!(names(&route(&policies, &caller(&[]), 0)), ["everybody", "other organization"]);
}

#[test]
fn a_script_is_written_with_whom_it_is_attached_to_and_old_ones_are_read() {
    let read = |text: &str| serde_json::from_str::<PolicySource>(text);
    for (text, attached) in [
        (r#"{"name":"p","text":""}"#, Attachment::Everybody),
        (r#"{"name":"p","text":"","group":null,"on_error":"fail_open"}"#, Attachment::Everybody),
        (r#"{"name":"p","text":"","group":"g"}"#, Attachment::Group("g".into())),
        (r#"{"name":"p","text":"","organization":"o"}"#, Attachment::Organization("o".into())),
        (r#"{"name":"p","text":"","key":"k"}"#, Attachment::Key("k".into())),
    ] {
        let source = read(text).unwrap();
        assert_eq!(source.attached, attached);
        assert_eq!(read(&serde_json::to_string(&source).unwrap()).unwrap(), source);
    }
    let wrong = read(r#"{"name":"p","text":"","group":"g","key":"k"}"#).unwrap_err().to_string();
    assert!(wrong.starts_with("the policy `p` is attached to several"), "{wrong}");
}

/// Counts how often it is asked.
#[derive(Default)]
struct Looked(std::cell::Cell<[u32; 2]>);

impl LimitsView for Looked {
    fn of_caller(&self) -> Vec<LimitStanding> {
        let [caller, candidates] = self.0.get();
        self.0.set([caller + 1, candidates]);
        let of = |scope, used| LimitStanding {
            scope,
            metric: Metric::Requests,
            window: Window::Day,
            max: 100,
            used,
        };
        vec![
            of(ScopeKind::Key, 10),
            of(ScopeKind::Group, 20),
            of(ScopeKind::User, 35),
            of(ScopeKind::Organization, 30),
            of(ScopeKind::Global, 40),
        ]
    }

    fn of_candidates(&self) -> Vec<Option<u64>> {
        let [caller, candidates] = self.0.get();
        self.0.set([caller, candidates + 1]);
        Vec::new()
    }
}

#[test]
fn limits_are_looked_up_only_for_who_reads_them_and_seen_no_wider_than_the_script_reaches() {
    let member = {
        let mut member = caller(&["g1"]);
        member.key = Some(KeyId::from("k1"));
        member
    };
    let ask = |text: &str, attached: Attachment| {
        let policies =
            Policies::compile(&[PolicySource { attached, ..PolicySource::new("p", text) }]).unwrap();
        let (call, asked) = (Call::new("call-1", Format::OpenaiChat, "m"), Looked::default());
        let runs = policies.route(&view(&call, &member, 0, &asked), &[]);
        (runs[0].verdict.tags.clone(), asked.0.get())
    };
    assert_eq!(
        ask("fn route(call, candidates) { call.tags; candidates.len; }", Attachment::Everybody).1,
        [0, 0]
    );
    assert_eq!(
        ask("fn route(call, candidates) { for c in candidates { c.limit_used; } }", Attachment::Everybody).1,
        [0, 1]
    );
    let reads = "fn route(call) { tag(`${call.quota_used(\"requests\", \"day\")} ${call.quota_left(\"requests\")}`); }";
    for (attached, seen) in [
        (Attachment::Everybody, "0.4 60"),
        (Attachment::Organization("default".into()), "0.3 70"),
        (Attachment::Group("g1".into()), "0.2 80"),
        (Attachment::Key("k1".into()), "0.1 90"),
    ] {
        assert_eq!(ask(reads, attached), (vec![seen.to_owned()], [1, 0]));
    }
}

#[test]
fn what_users_do_in_all_their_groups_is_no_single_groups_affair() {
    let seen = |labels: &[&str], attached: Attachment| {
        let mut member = caller(labels);
        member.key = Some(KeyId::from("k1"));
        let text = "fn route(call) { tag(`${call.quota_left(\"spend\")}`); }";
        let source = PolicySource { attached, ..PolicySource::new("p", text) };
        let call = Call::new("call-1", Format::OpenaiChat, "m");
        let runs = Policies::compile(&[source]).unwrap().route(&view(&call, &member, 0, &OfUser), &[]);
        runs[0].verdict.tags != [""]
    };
    for (labels, attached, sees) in [
        (&["g1"][..], Attachment::Everybody, true),
        (&["g1"], Attachment::Organization("default".into()), false),
        (&["g1"], Attachment::Group("g1".into()), false),
        (&["g1"], Attachment::Key("k1".into()), false),
        (&[], Attachment::Key("k1".into()), true),
        (&[], Attachment::Organization("default".into()), false),
    ] {
        assert_eq!(seen(labels, attached.clone()), sees, "{labels:?} {attached:?}");
    }
}

/// A limit of the user's own.
struct OfUser;

impl LimitsView for OfUser {
    fn of_caller(&self) -> Vec<LimitStanding> {
        let (scope, metric, window) = (ScopeKind::User, Metric::Spend, Window::Day);
        vec![LimitStanding { scope, metric, window, max: 5_000_000_000, used: 0 }]
    }

    fn of_candidates(&self) -> Vec<Option<u64>> {
        Vec::new()
    }
}

#[test]
fn asked_of_a_model_only_those_run_that_reach_wider_than_whoever_brought_it_in() {
    use sluicegate_core::snapshot::Reach;
    let at = |name: &str, attached| PolicySource {
        attached,
        ..PolicySource::new(name, "fn admit(call) { tag(call.model); }")
    };
    // Of a group two, by its id and by what it is called, as they are declared.
    let policies = Policies::compile(&[
        at("k", Attachment::Key("k1".into())),
        at("g-alias", Attachment::Group("research".into())),
        at("g-id", Attachment::GroupById("g1".into())),
        at("other", Attachment::Group("g2".into())),
        at("o", Attachment::Organization("default".into())),
        at("e", Attachment::Everybody),
    ])
    .unwrap();
    let mut member = caller(&["g1", "research"]);
    member.key = Some(KeyId::from("k1"));
    let call = Call::new("call-1", Format::OpenaiChat, "m");
    let other = "n".into();
    for (asked, want) in [
        (Asked::Advice, &["e", "o", "g-alias", "g-id", "k"][..]),
        (Asked::Model(None), &["e", "o", "g-alias", "g-id", "k"]),
        (Asked::Model(Some(Reach::Key)), &["e", "o", "g-alias", "g-id"]),
        (Asked::Model(Some(Reach::Group)), &["e", "o"]),
        (Asked::Model(Some(Reach::Everybody)), &[]),
    ] {
        let runs = policies.admit(&CallView { asked, model: &other, ..view(&call, &member, 0, &NoLimits) });
        assert_eq!(names(&runs), want, "{asked:?}");
        assert!(runs.iter().all(|run| run.verdict.tags == ["n"]));
    }
    assert_eq!(policies.hooks_of("o"), Hooks::NONE.with(Hook::Admit));
    assert_eq!(policies.hooks_of("nobody"), Hooks::NONE);
}

#[test]
fn only_hooks_that_a_script_has_apply() {
    let policies = Policies::compile(&[
        source("door", "fn admit(call) { } fn finish(call, usage) { }", None),
        source("research", "fn on_error(call, attempt) { }", Some("g1")),
    ])
    .unwrap();
    let door = Hooks::NONE.with(Hook::Admit).with(Hook::Finish);
    assert_eq!(policies.applies(&caller(&[])), door);
    assert_eq!(policies.applies(&caller(&["g1"])), door.with(Hook::OnError));
    assert!(route(&policies, &caller(&["g1"]), 0).is_empty());
}

#[test]
fn each_script_starts_with_an_empty_verdict_and_a_full_tank() {
    let policies = Policies::compile(&[
        source("spender", "fn route(call) { tag(\"a\"); loop { } }", None),
        source("modest", "fn route(call) { tag(\"b\"); }", None),
    ])
    .unwrap();
    let runs = route(&policies, &caller(&[]), 0);
    assert!(runs[0].error.is_some() && runs[0].fuel >= FUEL, "{:?}", runs[0]);
    assert_eq!(runs[0].verdict, Verdict::default());
    assert_eq!(runs[1].verdict, Verdict { tags: vec!["b".into()], ..Verdict::default() });
    assert!(runs[1].fuel > 0 && runs[1].fuel < 10, "{:?}", runs[1]);
}

#[test]
fn fuel_counts_the_bytes_of_native_work() {
    let fuel =
        |text: &str| route(&Policies::compile(&[source("p", text, None)]).unwrap(), &caller(&[]), 0)[0].fuel;
    let short = fuel("fn route(call) { let s = \"x\"; s.contains(\"y\"); }");
    let long = fuel(&format!("fn route(call) {{ let s = \"{}\"; s.contains(\"y\"); }}", "x".repeat(1_600)));
    assert_eq!(long - short, 100);
}

#[test]
fn every_wrong_script_is_reported() {
    let wrong = Policies::compile(&[
        source("fine", "fn route(call) { }", None),
        source("empty", "", None),
        source("slip", "fn route(call) {\n  if }", None),
        source("large", &"  \n".repeat(25_000), None),
    ])
    .unwrap_err();
    let said: Vec<(&str, usize, usize)> =
        wrong.iter().map(|d| (d.policy.as_str(), d.line, d.column)).collect();
    assert_eq!(said, [("empty", 0, 0), ("slip", 2, 6), ("large", 0, 0)]);
    assert!(wrong[1].to_string().starts_with("policy `slip`, line 2, column 6: "), "{}", wrong[1]);
}

#[test]
fn the_digest_tells_every_change() {
    let digest = |sources: &[PolicySource]| Policies::compile(sources).unwrap().digest();
    let base = source("a", "fn route(call) { }", None);
    let mut closed = base.clone();
    closed.on_error = OnPolicyError::FailClosed;
    let digests = [
        digest(std::slice::from_ref(&base)),
        digest(&[source("b", "fn route(call) { }", None)]),
        digest(&[source("a", "fn route(call) {  }", None)]),
        digest(&[source("a", "fn route(call) { }", Some("g"))]),
        digest(&[closed]),
        digest(&[PolicySource { attached: Attachment::Organization("g".into()), ..base.clone() }]),
        digest(&[PolicySource { attached: Attachment::Key("g".into()), ..base.clone() }]),
        digest(&[base.clone(), base.clone()]),
    ];
    let distinct: std::collections::HashSet<u64> = digests.into_iter().collect();
    assert_eq!(distinct.len(), digests.len());
    assert!(!distinct.contains(&0));
    assert_eq!(digest(std::slice::from_ref(&base)), digests[0]);
}

#[test]
fn scripts_draw_apart_from_one_seed_and_alike_from_the_same() {
    let text = "fn route(call) { for i in 0..40 { if chance(50) { tag(`${i}`); } } }";
    let policies = Policies::compile(&[source("a", text, None), source("b", text, None)]).unwrap();
    let drawn = |seed| -> Vec<Verdict> {
        route(&policies, &caller(&[]), seed).into_iter().map(|run| run.verdict).collect()
    };
    let first = drawn(1);
    assert_ne!(first[0], first[1]);
    assert_ne!(first, drawn(2));
    assert_eq!(first, drawn(1));
}

#[test]
fn threads_share_scripts_and_keep_their_calls_apart() {
    let policies = Policies::compile(&[source("p", "fn route(call) { tag(call.group); }", None)]).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let policies = &policies;
            scope.spawn(move || {
                let group = format!("g{thread}");
                let caller = caller(&[&group]);
                for _ in 0..500 {
                    assert_eq!(route(policies, &caller, 0)[0].verdict.tags, [group.as_str()]);
                }
            });
        }
    });
}

/// Runs `body` on a thread with the stack that servers' threads have.
fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
}

#[test]
fn the_deepest_recursion_fits_the_stack() {
    on_a_small_stack(|| {
        let nest = |depth: usize, core: &str| format!("{}{core}{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = (1..64)
            .rev()
            .map(|depth| {
                format!("fn down(n) {{ {} }} fn route(call) {{ down(0); }}", nest(depth, "down(n + 1)"))
            })
            .find_map(|text| Policies::compile(&[source("p", &text, None)]).ok())
            .unwrap();
        let run = &route(&deepest, &caller(&[]), 0)[0];
        assert!(run.error.as_ref().is_some_and(|error| error.contains("16 deep")), "{run:?}");
    });
}

#[test]
fn nesting_without_end_is_refused_when_loaded() {
    on_a_small_stack(|| {
        for (open, close) in
            [("{", "}"), ("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("if true {", "}"), ("|x| ", "")]
        {
            let text = format!("fn route(call) {{ {}1{} }}", open.repeat(5_000), close.repeat(5_000));
            let wrong = Policies::compile(&[source("p", &text, None)]).unwrap_err();
            assert!(wrong[0].line == 1, "{open}: {wrong:?}");
        }
    });
}
