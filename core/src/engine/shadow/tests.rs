use super::super::tests::{NOW, call, caller, channel};
use super::*;
use crate::ports::{Alert, AttemptView, CallView, CandidateView, Hooks, PolicyRun, UsageView, Verdict};
use crate::snapshot::{Declared, Reach, Snapshot};
use crate::tenant::{Caller, Preference};

/// A script that says the same to every call, and fails if `error` says how.
#[derive(Clone, Default)]
struct Says {
    verdict: Verdict,
    error: Option<&'static str>,
}

impl PolicyHook for Says {
    fn applies(&self, _: &Caller) -> Hooks {
        Hooks::NONE.with(Hook::Route)
    }

    fn admit(&self, _: &CallView<'_>) -> Vec<PolicyRun> {
        Vec::new()
    }

    fn route(&self, _: &CallView<'_>, _: &[CandidateView<'_>]) -> Vec<PolicyRun> {
        let (verdict, error) = (self.verdict.clone(), self.error.map(str::to_owned));
        vec![PolicyRun { policy: "p".into(), reach: Reach::Everybody, verdict, error, fuel: 7 }]
    }

    fn on_error(&self, _: &CallView<'_>, _: &AttemptView<'_>) -> Vec<PolicyRun> {
        Vec::new()
    }

    fn finish(&self, _: &CallView<'_>, _: &UsageView<'_>) -> Vec<PolicyRun> {
        Vec::new()
    }

    fn digest(&self) -> u64 {
        1
    }
}

fn says(verdict: Verdict) -> Says {
    Says { verdict, error: None }
}

fn deny() -> Says {
    says(Verdict { deny: Some("no".to_owned()), ..Verdict::default() })
}

/// An engine in which `before` runs and `after` is in the shadow, with two channels for the model `m` and one for `n`.
fn engine(before: Says, after: Says) -> (Engine, Arc<ShadowTally>) {
    let channels = vec![channel("a", "m", 5), channel("b", "m", 0), channel("c", "n", 0)];
    let declared = Declared { channels, ..Declared::default() };
    let engine = Engine::new(Snapshot::build(1, declared), Arc::new(before));
    let tally = Arc::<ShadowTally>::default();
    let after = Arc::new(after);
    engine.try_beside(vec![Shadow::new("p".into(), after.clone(), after, Arc::clone(&tally))]);
    (engine, tally)
}

#[test]
fn each_call_is_counted_once_by_what_would_become_of_it() {
    let nothing = || says(Verdict::default());
    let model = || says(Verdict { model: Some("n".into()), ..Verdict::default() });
    let other = || says(Verdict { prefer: vec![Preference::Channel("b".into())], ..Verdict::default() });
    let tagged = || says(Verdict { tags: vec!["t".to_owned()], ..Verdict::default() });
    // What runs, what is tried, and where it is counted: same, denied more, less, model, channel, terms.
    let rows: Vec<(Says, Says, [u64; 6])> = vec![
        (nothing(), nothing(), [1, 0, 0, 0, 0, 0]),
        (nothing(), deny(), [0, 1, 0, 0, 0, 0]),
        (deny(), nothing(), [0, 0, 1, 0, 0, 0]),
        (deny(), deny(), [1, 0, 0, 0, 0, 0]),
        (nothing(), model(), [0, 0, 0, 1, 0, 0]),
        (nothing(), other(), [0, 0, 0, 0, 1, 0]),
        (nothing(), tagged(), [0, 0, 0, 0, 0, 1]),
    ];
    for (at, (before, after, want)) in rows.into_iter().enumerate() {
        let (engine, tally) = engine(before, after);
        let caller = caller(&engine, Vec::new(), &[]);
        let _ = engine.admit(call("m", None), &caller, NOW, 7);
        let it = tally.report();
        let found =
            [it.same, it.denied_more, it.denied_less, it.other_model, it.other_channel, it.other_terms];
        assert_eq!((found, it.calls), (want, 1), "row {at}");
        assert_eq!((it.fuel_before, it.fuel_after), (7, 7));
        assert_eq!(it.examples.len() as u64, 1 - it.same, "row {at}");
    }
}

#[test]
fn the_old_decision_is_served_and_nothing_of_the_other_is_left() {
    let failing = Says { error: Some("line 1: it broke"), ..deny() };
    let (engine, tally) = engine(says(Verdict::default()), failing);
    let caller = caller(&engine, Vec::new(), &[]);
    let admission = engine.admit(call("m", None), &caller, NOW, 7).unwrap();
    assert_eq!(admission.order(), ["a".into(), "b".into()]);
    assert!(engine.take_alerts().is_empty(), "a failure in the shadow is nobody's alarm");
    let report = tally.report();
    assert_eq!((report.errors, report.denied_more), (1, 1));
    assert_eq!(report.examples[0].call, "c".into());
    assert_eq!(report.examples[0].after.denied.as_deref(), Some("no"));
    // The same failure in what runs is.
    engine.swap(
        Snapshot::build(2, Declared { channels: vec![channel("a", "m", 0)], ..Declared::default() }),
        Arc::new(Says { error: Some("line 1: it broke"), ..Says::default() }),
    );
    drop(engine.admit(call("m", None), &caller, NOW, 7));
    assert!(matches!(engine.take_alerts().as_slice(), [Alert::PolicyFailed { .. }]));
    assert_eq!(tally.report().calls, 1, "a swap without it ends the trial");
}

#[test]
fn a_decision_that_is_only_looked_at_is_not_compared() {
    let (engine, tally) = engine(says(Verdict::default()), deny());
    let caller = caller(&engine, Vec::new(), &[]);
    assert_eq!(engine.explain(call("m", None), &caller, NOW, 7).denial, None);
    assert_eq!(tally.report(), ShadowReport::default());
}

#[test]
fn scripts_that_are_only_looked_at_decide_nothing_else_and_alarm_nobody() {
    let (engine, _) = engine(says(Verdict::default()), says(Verdict::default()));
    let caller = caller(&engine, Vec::new(), &[]);
    let looked = |scripts: Says| {
        let scripts: Arc<dyn PolicyHook> = Arc::new(scripts);
        let text = || Arc::new(crate::ports::NoText) as Arc<dyn crate::ports::TextView>;
        engine.explain_under(Some(&scripts), call("m", None), &caller, (NOW, 7), &text, None)
    };
    let denied = looked(deny()).denial;
    assert!(matches!(denied, Some(crate::decision::Denial::Policy { .. })), "{denied:?}");
    let failed = looked(Says { error: Some("line 1: it broke"), ..Says::default() });
    let said = |it: &Reason| matches!(it, Reason::Policy { verdict, .. } if verdict == "line 1: it broke");
    assert!(failed.explanation.reasons().iter().any(said), "{:?}", failed.explanation);
    assert!(engine.take_alerts().is_empty(), "nobody has put it into use");
    assert!(engine.admit(call("m", None), &caller, NOW, 7).is_ok(), "what runs decides");
}

#[test]
fn examples_are_few_and_the_newest() {
    let (engine, tally) = engine(says(Verdict::default()), deny());
    let caller = caller(&engine, Vec::new(), &[]);
    for at in 0..100 {
        drop(engine.admit(call("m", None), &caller, NOW.plus_ms(at), 7));
    }
    let report = tally.report();
    assert_eq!((report.calls, report.examples.len()), (100, MAX_EXAMPLES));
    assert_eq!(report.examples[0].at, NOW.plus_ms(99));
}
