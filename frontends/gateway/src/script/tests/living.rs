//! Versions in a gateway: taken into use, tried, taken back, and taken up by another node.

use std::sync::Arc;

use sluicegate_core::engine::BoundCaller;
use sluicegate_core::{Call, Caller, Format, OrganizationId, Timestamp};

use crate::admin::{Actor, NewPolicyVersion};
use crate::store::PolicyState;
use crate::{ConfigText, Gateway, ManualClock, Options};

const CHANNELS: &str = "channels: [{name: c, provider: mock, models: [m]}]";
const START: Timestamp = Timestamp::from_ms(1_795_000_000_000);

async fn node(dir: &std::path::Path, name: &str, clock: &Arc<ManualClock>, more: &str) -> Gateway {
    let text = format!("version: 1\n{CHANNELS}\n{more}\n");
    let options = Options {
        config: Some(ConfigText { path: "test.yaml".to_owned(), text }),
        data_dir: Some(dir.join(name)),
        database: Some(dir.join("shared.db").display().to_string()),
        clock: clock.clone(),
        ..Options::default()
    };
    let node = Gateway::open(options).await.unwrap();
    // Only what the test itself asks for.
    node.inner.maintenance.abort();
    node
}

async fn put(node: &Gateway, text: &str) {
    let new = NewPolicyVersion { text: text.to_owned(), ..NewPolicyVersion::default() };
    node.admin().put_policy(&Actor::operator(), "p", new).await.unwrap();
}

async fn activate(node: &Gateway) {
    node.admin().activate_policy(&Actor::operator(), "p", None, true).await.unwrap();
}

fn operator(node: &Gateway) -> Arc<BoundCaller> {
    node.engine().bind(Caller::operator(OrganizationId::from("default"), &[]))
}

/// The tags that scripts give a call, or the refusal's message.
fn decide(node: &Gateway) -> String {
    decide_for(node, &operator(node))
}

fn decide_for(node: &Gateway, caller: &Arc<BoundCaller>) -> String {
    let call = Call::new("c", Format::OpenaiChat, "m");
    match node.engine().admit(call, caller, node.clock().now(), 1) {
        Ok(admission) => admission.call().tags.join(" "),
        Err(denied) => denied.denial.to_error(START).message().to_owned(),
    }
}

async fn states(node: &Gateway) -> Vec<PolicyState> {
    let all = node.admin().policy_versions(&Actor::operator(), "p").await.unwrap();
    all.iter().rev().map(|it| it.state).collect()
}

fn alerts(node: &Gateway) -> String {
    let all: Vec<String> = node.engine().take_alerts().iter().map(|it| format!("{it:?}")).collect();
    all.join("; ")
}

#[tokio::test]
async fn a_version_runs_from_the_next_call_on_here_and_on_other_nodes() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let (a, b) = (node(dir.path(), "a", &clock, "").await, node(dir.path(), "b", &clock, "").await);
    put(&a, "fn route(call) { tag(\"one\"); }").await;
    assert_eq!((decide(&a), a.engine().snapshot().version), (String::new(), 1), "a draft changes nothing");
    activate(&a).await;
    assert_eq!((decide(&a), decide(&b)), ("one".to_owned(), String::new()));
    b.inner.follow().await.unwrap();
    assert_eq!(decide(&b), "one");
    let before = b.engine().snapshot().version;
    put(&a, "fn route(call) { tag(\"two\"); }").await;
    b.inner.follow().await.unwrap();
    assert_eq!(b.engine().snapshot().version, before, "a draft is nobody's business");
    // A start finds what runs.
    let c = node(dir.path(), "c", &clock, "").await;
    assert_eq!(decide(&c), "one");
}

#[tokio::test]
async fn a_version_in_shadow_is_compared_and_not_heeded() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let a = node(dir.path(), "a", &clock, "").await;
    put(&a, "fn route(call) { tag(\"one\"); }").await;
    activate(&a).await;
    put(&a, "fn route(call) { if call.model == \"m\" { deny(\"not now\"); } }").await;
    let operator = Actor::operator();
    a.admin().shadow_policy(&operator, "p", None).await.unwrap();
    assert_eq!((decide(&a), decide(&a)), ("one".to_owned(), "one".to_owned()));
    let shadow = a.admin().policy_shadow(&operator, "p").await.unwrap();
    assert_eq!((shadow.version, shadow.report.calls, shadow.report.denied_more), (2, 2, 2));
    assert!(shadow.report.fuel_after > shadow.report.fuel_before);
    assert_eq!(shadow.report.examples[0].after.denied.as_deref(), Some("not now"));
    // A change of something else doesn't end the trial.
    a.reload_channels().await.unwrap();
    decide(&a);
    assert_eq!(a.admin().policy_shadow(&operator, "p").await.unwrap().report.calls, 3);
    activate(&a).await;
    assert_eq!(decide(&a), "not now");
    assert!(a.admin().policy_shadow(&operator, "p").await.is_err(), "it is in the shadow no longer");
}

#[tokio::test]
async fn a_version_that_fails_or_refuses_too_often_is_taken_back_by_itself() {
    let bad = [
        ("fn route(call) { throw \"broken\"; }", "it failed 20 times in 20 calls"),
        ("fn route(call) { deny(\"everything\"); }", "it refused 20 of 20 calls"),
    ];
    for (text, reason) in bad {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
        let a = node(dir.path(), "a", &clock, "").await;
        put(&a, "fn route(call) { tag(\"one\"); }").await;
        activate(&a).await;
        put(&a, text).await;
        activate(&a).await;
        // Of three keys: one alone can't undo what was made for it.
        let keys = ["k1", "k2", "k3"].map(|key| {
            let caller = Caller { key: Some(key.into()), ..operator(&a).caller.clone() };
            a.engine().bind(caller)
        });
        for n in 0..19 {
            decide_for(&a, &keys[n % 3]);
        }
        a.inner.watch_policies().await;
        assert_eq!(states(&a).await, [PolicyState::Retired, PolicyState::Active], "too few to say");
        decide(&a);
        alerts(&a);
        a.inner.watch_policies().await;
        assert_eq!(states(&a).await, [PolicyState::Active, PolicyState::RolledBack], "{text}");
        assert_eq!(decide(&a), "one");
        let told = alerts(&a);
        assert!(told.contains("PolicyRolledBack") && told.contains(reason), "{told}");
        let version = a.admin().policy_version(&Actor::operator(), "p", Some(2)).await.unwrap();
        assert!(version.standing.reason.unwrap().starts_with(reason));
        assert_eq!(version.updated_by, "gateway");
        a.inner.watch_policies().await;
        assert_eq!(alerts(&a), "");
    }
}

#[tokio::test]
async fn what_was_refused_before_is_no_fault_of_a_new_version() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let a = node(dir.path(), "a", &clock, "").await;
    let settings = "server: {policy_rollback: {window: 1m, max_denied_percent: 50}}";
    let strict = node(dir.path(), "b", &clock, settings).await;
    assert_eq!(strict.host().policy_rollback.window_ms, 60_000);
    for text in ["fn route(call) { deny(\"a\"); }", "fn route(call) { deny(\"b\"); }"] {
        put(&a, text).await;
        activate(&a).await;
        // The first is past its time before anything is said of it.
        clock.set(START.plus_ms(3_600_000));
        for _ in 0..30 {
            decide(&a);
        }
        a.inner.watch_policies().await;
    }
    assert_eq!(states(&a).await, [PolicyState::Retired, PolicyState::Active]);
    let second = a.admin().policy_version(&Actor::operator(), "p", Some(2)).await.unwrap();
    assert_eq!(second.standing.denied_before_ppm, Some(1_000_000));
    // Another node, with other bounds, looks by the same comparison.
    strict.inner.follow().await.unwrap();
    for _ in 0..30 {
        decide(&strict);
    }
    strict.inner.watch_policies().await;
    assert_eq!(states(&strict).await, [PolicyState::Retired, PolicyState::Active]);
}

#[tokio::test]
async fn a_policy_of_the_file_is_changed_there() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
    let plain = node(dir.path(), "a", &clock, "").await;
    put(&plain, "fn route(call) { tag(\"stored\"); }").await;
    activate(&plain).await;
    let file = "policies: [{name: p, script: 'fn route(call) { tag(\"file\"); }'}]";
    let declared = node(dir.path(), "b", &clock, file).await;
    assert_eq!(decide(&declared), "file", "the file wins by name");
    let refused = declared.admin().activate_policy(&Actor::operator(), "p", Some(1), true).await.unwrap_err();
    assert!(refused.message().contains("declared in `test.yaml`"), "{refused}");
    let listed = declared.admin().policies(&Actor::operator()).await.unwrap();
    assert_eq!(listed.len(), 2);
}
