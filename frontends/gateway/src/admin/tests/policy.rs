//! Policies as versions: what becomes of them, and what is refused.

use sluicegate_core::replay::Dimension;
use sluicegate_core::{RecordEntry, UsageRecord};

use super::*;
use crate::store::PolicyState;

const ONE: &str =
    "fn route(call) { tag(\"one\"); }\nfn test_one() { given().route().assert_tag(\"one\"); }\n";
const TWO: &str =
    "fn route(call) { tag(\"two\"); }\nfn test_two() { given().route().assert_tag(\"two\"); }\n";
const FAILS: &str = "fn route(call) {}\nfn test_it() {\n    given().route().assert_denied();\n}\n";

fn new(text: &str) -> NewPolicyVersion {
    NewPolicyVersion { text: text.to_owned(), ..NewPolicyVersion::default() }
}

async fn states(w: &World) -> String {
    let all = w.admin.policy_versions(&Actor::operator(), "p").await.unwrap();
    let word = |it: &PolicyVersionView| format!("{} {}", it.number, it.state.as_str());
    all.iter().rev().map(word).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_version_goes_from_draft_through_shadow_into_use_and_back() {
    let (w, it) = (world().await, Actor::operator());
    let reloads = || w.host.reloads.load(Ordering::SeqCst);
    let first = w.admin.put_policy(&it, "p", new(ONE)).await.unwrap();
    assert_eq!((first.number, first.state, first.tests.passed), (1, PolicyState::Draft, 1));
    assert_eq!(
        (first.text.as_deref(), first.digest.len(), reloads()),
        (Some(ONE), 64, 0),
        "nothing runs yet"
    );
    let active = w.admin.activate_policy(&it, "p", None, true).await.unwrap();
    assert_eq!((active.state, active.standing.before, reloads()), (PolicyState::Active, None, 1));
    w.admin.put_policy(&it, "p", new(TWO)).await.unwrap();
    assert_eq!(w.admin.shadow_policy(&it, "p", None).await.unwrap().number, 2);
    assert_eq!(states(&w).await, "1 active, 2 shadow");
    w.admin.put_policy(&it, "p", new(ONE)).await.unwrap();
    w.admin.shadow_policy(&it, "p", Some(3)).await.unwrap();
    assert_eq!(states(&w).await, "1 active, 2 draft, 3 shadow");
    w.admin.end_policy_shadow(&it, "p").await.unwrap();
    let second = w.admin.activate_policy(&it, "p", Some(2), true).await.unwrap();
    assert_eq!((second.standing.before, second.standing.denied_before_ppm), (Some(1), Some(1)));
    assert!(second.standing.watched && second.standing.activated_at == Some(Timestamp::from_ms(NOW)));
    assert_eq!(states(&w).await, "1 retired, 2 active, 3 draft");
    let diff = w.admin.policy_diff(&it, "p", Some(1), Some(2)).await.unwrap().diff;
    assert!(diff.starts_with("--- p version 1\n+++ p version 2\n@@"), "{diff}");
    for line in ["\n-fn route(call) { tag(\"one\"); }\n", "\n+fn route(call) { tag(\"two\"); }\n"] {
        assert!(diff.contains(line), "{diff}");
    }
    assert_eq!(w.admin.policy_diff(&it, "p", Some(1), Some(3)).await.unwrap().diff, "");
    let back = w.admin.rollback_policy(&it, "p", None, Some("slow".to_owned())).await.unwrap();
    assert_eq!((back.number, back.standing.reason.as_deref()), (2, Some("slow")));
    assert_eq!(states(&w).await, "1 active, 2 rolled_back, 3 draft");
    // What a rollback has brought back isn't watched, and behind the first version there is none.
    assert!(!w.admin.policy_version(&it, "p", Some(1)).await.unwrap().standing.watched);
    w.admin.rollback_policy(&it, "p", None, None).await.unwrap();
    assert_eq!(states(&w).await, "1 rolled_back, 2 rolled_back, 3 draft");
    assert_eq!(w.admin.policy(&it, "p").await.unwrap().active, None);
    w.admin.delete_policy(&it, "p").await.unwrap();
    assert_eq!(w.admin.policy(&it, "p").await.unwrap_err().kind(), ErrorKind::NotFound);
    let events = w.admin.events(&it, &AuditFilter::default(), Page::default()).await.unwrap();
    let actions: Vec<&str> = events.items.iter().take(4).map(|it| it.event.action.as_str()).collect();
    assert_eq!(actions, ["policy.delete", "policy.rollback", "policy.rollback", "policy.activate"]);
    assert!(w.admin.verify_audit(&it, &[]).await.unwrap().sound);
}

#[tokio::test]
async fn what_does_not_work_is_not_taken_into_use() {
    let (w, it) = (world().await, Actor::operator());
    let wrong = w.admin.put_policy(&it, "p", new("fn route(call) {\n  prefr(1);\n}")).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidRequest);
    assert!(wrong.message().contains("line 2, column 3"), "{wrong}");
    let draft = w.admin.put_policy(&it, "p", new(FAILS)).await.unwrap();
    assert_eq!((draft.tests.failures[0].line, &*draft.tests.failures[0].name), (3, "test_it"));
    for refused in
        [w.admin.activate_policy(&it, "p", None, true).await, w.admin.shadow_policy(&it, "p", None).await]
    {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.message().contains("line 3, column"), "{refused}");
    }
    assert_eq!(states(&w).await, "1 draft");
    let check = w.admin.check_policy(&it, "p", new("fn route(call) {\n  prefr(1);\n}")).await.unwrap();
    assert_eq!((check.ok, check.diagnostics[0].line, check.diagnostics[0].column), (false, 2, 3));
    let check = w.admin.check_policy(&it, "p", new(FAILS)).await.unwrap();
    assert_eq!((check.ok, check.tests.failures.len()), (false, 1));
    assert!(w.admin.check_policy(&it, "p", new(ONE)).await.unwrap().ok);
    for (number, kind) in [(7, ErrorKind::NotFound), (1, ErrorKind::Conflict)] {
        assert_eq!(w.admin.activate_policy(&it, "p", Some(number), true).await.unwrap_err().kind(), kind);
    }
    assert_eq!(w.admin.rollback_policy(&it, "p", None, None).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_policy_stays_where_it_was_attached() {
    let w = world().await;
    let group = |id: &str| NewPolicyVersion { group: Some(id.to_owned()), ..new(ONE) };
    let (ga, oa, xa) = (w.actor("ga").await, w.actor("oa").await, w.actor("xa").await);
    let first = w.admin.put_policy(&ga, "p", group("g1 alias")).await.unwrap();
    assert_eq!((first.group, first.organization), (Some("g1".into()), Some("o1".into())));
    let moved = w.admin.put_policy(&oa, "p", group("g2")).await.unwrap_err();
    assert_eq!(moved.kind(), ErrorKind::Conflict);
    assert!(moved.message().contains("attached to group `g1`"), "{moved}");
    // Who may know nothing of it learns no more than that the name is taken.
    let taken = w.admin.put_policy(&xa, "p", group("g3")).await.unwrap_err();
    assert_eq!(
        (taken.kind(), taken.message()),
        (ErrorKind::Conflict, "the name `p` is taken; choose another")
    );
    let key = NewPolicyVersion { key: Some("k1".into()), ..new(ONE) };
    assert_eq!(w.admin.put_policy(&ga, "k", key.clone()).await.unwrap_err().kind(), ErrorKind::Forbidden);
    let put = w.admin.put_policy(&oa, "k", key).await.unwrap();
    assert_eq!((put.key, put.group, put.organization), (Some("k1".into()), None, Some("o1".into())));
}

#[tokio::test]
async fn the_gateway_takes_back_only_what_runs() {
    let (w, it) = (world().await, Actor::operator());
    for text in [ONE, TWO] {
        w.admin.put_policy(&it, "p", new(text)).await.unwrap();
        w.admin.activate_policy(&it, "p", None, true).await.unwrap();
    }
    let back = async |number| w.admin.take_policy_back("p", number, "it failed".to_owned()).await.unwrap();
    assert_eq!(back(1).await, None, "another runs");
    assert_eq!(back(2).await, Some(Some(1)));
    assert_eq!(back(2).await, None, "another node was quicker");
    assert_eq!(states(&w).await, "1 active, 2 rolled_back");
    let events = w.admin.events(&it, &AuditFilter::default(), Page::default()).await.unwrap();
    assert_eq!(
        (&*events.items[0].event.actor, &*events.items[0].event.action),
        ("gateway", "policy.rollback")
    );
    assert_eq!(back(1).await, Some(None), "behind the first there is none");
}

const SHUT: &str = "fn admit(call) { deny(\"shut\"); }";
const BREAKS: &str = "fn admit(call) { throw \"broken\"; }";

/// Of recorded calls of two groups of `o1`, one group of `o2` and nobody's, whose keys a replay of this draft denies.
async fn denied_by(w: &World, draft: serde_json::Value) -> Result<Vec<String>> {
    let question = ReplayQuestion {
        from: "2020-01-01".to_owned(),
        policies: vec![from_json(draft)],
        ..ReplayQuestion::default()
    };
    let report = w.admin.replay(&Actor::operator(), question).await?.report;
    let denied = report.rows(Dimension::Key).filter(|(_, row)| row.replayed.denied > 0);
    let mut keys: Vec<String> = denied.map(|(key, _)| key.to_owned()).collect();
    keys.sort();
    Ok(keys)
}

async fn called() -> World {
    let w = world().await;
    let calls =
        [("k1", Some("g1"), "o1"), ("k3", None, "o1"), ("kg2", Some("g2"), "o1"), ("k4", Some("g3"), "o2")];
    let records: Vec<_> = calls
        .iter()
        .map(|(key, group, organization)| {
            let call = limits::usage_record(&format!("call of {key}"), NOW - 1_000, key, *group, None);
            // What a gateway without channels serves.
            RecordEntry::from(UsageRecord {
                organization: (*organization).into(),
                model: "mock".into(),
                ..call
            })
        })
        .collect();
    w.store.append(&records, &[], None).await.unwrap();
    w
}

#[tokio::test]
async fn a_draft_is_replayed_for_those_alone_whose_calls_it_would_steer() {
    use serde_json::json;
    let (w, it) = (called().await, Actor::operator());
    let of_group = NewPolicyVersion { group: Some("g1".to_owned()), ..new(ONE) };
    w.admin.put_policy(&it, "stored", of_group).await.unwrap();
    for (draft, want) in [
        (json!({"name": "n", "text": SHUT}), ["k1", "k3", "k4", "kg2"].as_slice()),
        (json!({"name": "n", "text": SHUT, "group": "g1 alias"}), &["k1"]),
        (json!({"name": "n", "text": SHUT, "organization": "o1"}), &["k1", "k3", "kg2"]),
        (json!({"name": "n", "text": SHUT, "key": "kg2"}), &["kg2"]),
        // One that was put already, and isn't in force, stays where it is.
        (json!({"name": "stored", "text": SHUT}), &["k1"]),
        (json!({"name": "stored", "text": SHUT, "group": "g1"}), &["k1"]),
        // What fails is passed over, unless it is to hold calls back.
        (json!({"name": "n", "text": BREAKS, "group": "g2"}), &[]),
        (json!({"name": "n", "text": BREAKS, "group": "g2", "on_error": "fail_closed"}), &["kg2"]),
        // The file's.
        (json!({"name": "pf", "text": SHUT}), &["k1", "k3", "k4", "kg2"]),
    ] {
        assert_eq!(denied_by(&w, draft.clone()).await.unwrap(), want, "{draft}");
    }
}

#[tokio::test]
async fn a_draft_that_can_stand_nowhere_is_not_replayed() {
    use serde_json::json;
    let (w, it) = (called().await, Actor::operator());
    let of_group = NewPolicyVersion { group: Some("g1".to_owned()), ..new(ONE) };
    w.admin.put_policy(&it, "stored", of_group).await.unwrap();
    for (draft, kind, part) in [
        (json!({"name": "n", "text": SHUT, "group": "g9"}), ErrorKind::NotFound, "g9"),
        (
            json!({"name": "n", "text": SHUT, "group": "g1", "key": "k1"}),
            ErrorKind::InvalidRequest,
            "name one of them",
        ),
        (
            json!({"name": "n", "text": SHUT, "group": "g1", "organization": "o2"}),
            ErrorKind::InvalidRequest,
            "`o1`",
        ),
        (
            json!({"name": "stored", "text": SHUT, "group": "g2"}),
            ErrorKind::Conflict,
            "group `g1`, and stays there",
        ),
        (json!({"name": "stored", "group": "g1"}), ErrorKind::InvalidRequest, "has no text"),
        (json!({"name": "stored", "on_error": "fail_open"}), ErrorKind::InvalidRequest, "has no text"),
        (json!({"name": "pf", "text": SHUT, "group": "g1"}), ErrorKind::InvalidRequest, "configuration file"),
    ] {
        let refused = denied_by(&w, draft.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{draft}: {refused}");
        assert!(refused.message().contains(part), "{draft}: {refused}");
    }
}
