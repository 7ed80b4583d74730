mod living;

use super::*;
use crate::store::{PolicyDraft, PolicyStanding, PolicyTests};

const GOOD: &str = "fn route(call) { tag(\"good\"); }";
const OLD_SYNTAX: &str = "fun route(call) { }";

fn source(name: &str, text: &str, on_error: OnPolicyError) -> PolicySource {
    serde_json::from_value(serde_json::json!({"name": name, "text": text, "on_error": on_error})).unwrap()
}

fn stored(name: &str, number: i64, state: PolicyState, text: &str) -> Stored<PolicyVersion> {
    let draft = PolicyDraft {
        source: source(name, text, OnPolicyError::FailOpen),
        organization: None,
        group: None,
        note: String::new(),
        digest: String::new(),
        tests: PolicyTests::default(),
    };
    Stored {
        value: PolicyVersion { number, draft, state, standing: PolicyStanding::default() },
        version: 1,
        created_at: Timestamp::default(),
        created_by: String::new(),
        updated_at: Timestamp::default(),
        updated_by: String::new(),
    }
}

/// A file of scripts, without modules.
fn alone(policies: &[PolicySource]) -> File<'_> {
    File { policies, modules: &[] }
}

fn names(scripts: &Scripts) -> Vec<&str> {
    scripts.sources().iter().map(|it| it.name.as_str()).collect()
}

#[test]
fn the_files_scripts_come_first_and_win_by_name() {
    let file = [source("z", GOOD, OnPolicyError::FailOpen), source("m", GOOD, OnPolicyError::FailOpen)];
    let all = [
        stored("m", 1, PolicyState::Active, "fn route(call) { deny(\"stored\"); }"),
        stored("b", 1, PolicyState::Active, GOOD),
        stored("a", 2, PolicyState::Active, GOOD),
        stored("c", 1, PolicyState::Draft, GOOD),
    ];
    let (scripts, alerts) = Scripts::first(alone(&file), &all).unwrap();
    assert_eq!(names(&scripts), ["z", "m", "a", "b"]);
    assert_eq!(scripts.sources()[1].text, GOOD);
    assert!(alerts.is_empty() && scripts.shadows().is_empty());
}

#[test]
fn a_version_that_compiles_no_more_leaves_the_last_good_set() {
    let good = [stored("a", 1, PolicyState::Active, GOOD)];
    let (first, _) = Scripts::first(alone(&[]), &good).unwrap();
    let first = Arc::new(first);
    let broken = [stored("a", 2, PolicyState::Active, OLD_SYNTAX), stored("b", 1, PolicyState::Active, GOOD)];
    let (next, alerts) = Scripts::next(alone(&[]), &broken, &first);
    assert!(Arc::ptr_eq(&next, &first));
    assert_eq!(alerts.len(), 1);
    assert!(matches!(&alerts[0], Alert::PolicyUnusable { policy, version: 2, .. } if policy == "a"));
}

#[test]
fn a_start_leaves_out_what_compiles_no_more_and_keeps_closed_what_must_not_fail_open() {
    let mut closed = stored("closed", 1, PolicyState::Active, OLD_SYNTAX);
    closed.value.draft.source.on_error = OnPolicyError::FailClosed;
    let all = [
        stored("a", 1, PolicyState::Active, GOOD),
        stored("open", 1, PolicyState::Active, OLD_SYNTAX),
        closed,
    ];
    let (scripts, alerts) = Scripts::first(alone(&[]), &all).unwrap();
    assert_eq!(names(&scripts), ["a", "closed"]);
    assert!(scripts.sources()[1].text.contains("throw"));
    assert_eq!(alerts.len(), 2);
    // A file that can't be used is another matter: nothing starts with it.
    assert!(Scripts::first(alone(&[source("f", OLD_SYNTAX, OnPolicyError::FailOpen)]), &[]).is_err());
}

#[test]
fn a_shadow_that_compiles_no_more_is_left_out_alone() {
    let all = [
        stored("a", 1, PolicyState::Active, GOOD),
        stored("a", 2, PolicyState::Shadow, OLD_SYNTAX),
        stored("b", 1, PolicyState::Shadow, GOOD),
    ];
    let (scripts, alerts) = Scripts::first(alone(&[]), &all).unwrap();
    assert_eq!((names(&scripts), scripts.shadows().len(), alerts.len()), (vec!["a"], 1, 1));
    assert!(scripts.report("b", 1).is_some() && scripts.report("a", 2).is_none());
}

#[test]
fn counts_go_on_while_a_version_stays_and_begin_anew_when_it_is_activated_anew() {
    let mut one = stored("a", 1, PolicyState::Active, GOOD);
    one.value.standing.activated_at = Some(Timestamp::from_ms(5));
    one.value.standing.watched = true;
    let (first, _) = Scripts::first(alone(&[]), std::slice::from_ref(&one)).unwrap();
    let first = Arc::new(first);
    let other = stored("b", 1, PolicyState::Active, GOOD);
    let (next, _) = Scripts::next(alone(&[]), &[one.clone(), other.clone()], &first);
    assert!(Arc::ptr_eq(&next.running[0].tally, &first.running[0].tally));
    one.value.standing.activated_at = Some(Timestamp::from_ms(6));
    let (anew, _) = Scripts::next(alone(&[]), &[one, other], &next);
    assert!(!Arc::ptr_eq(&anew.running[0].tally, &first.running[0].tally));
    assert!(Arc::ptr_eq(&anew.running[1].tally, &next.running[1].tally));
}

#[test]
fn a_new_policy_in_shadow_takes_the_place_that_it_would_have() {
    let file = [source("z", GOOD, OnPolicyError::FailOpen)];
    let sources = |names: &[&str]| -> Vec<PolicySource> {
        names.iter().map(|name| source(name, GOOD, OnPolicyError::FailOpen)).collect()
    };
    for (stored_names, new, want) in [
        (&[][..], "m", "z m"),
        (&["a", "n"][..], "m", "z a m n"),
        (&["a", "n"][..], "n", "z a n"),
        (&["a", "b"][..], "m", "z a b m"),
        (&["n", "o"][..], "m", "z m n o"),
    ] {
        let mut all = file.to_vec();
        all.extend(sources(stored_names));
        let order = with(&all, file.len(), &source(new, GOOD, OnPolicyError::FailOpen));
        let order: Vec<&str> = order.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(order.join(" "), want);
    }
}
