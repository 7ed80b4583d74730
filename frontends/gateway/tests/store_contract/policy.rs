//! Versions of policies: numbered, unchanged but for their state, one active and one in shadow for each policy.

use std::sync::Arc;

use sluicegate::core::snapshot::PolicySource;
use sluicegate::core::{ErrorKind, Retry};
use sluicegate::store::{
    Change, Expect, Narrow, PolicyDraft, PolicyFilter, PolicyStanding, PolicyState, PolicyTestFailure,
    PolicyTests, PolicyVersion, Reach, Store,
};

use super::{apply, at, open, schema};

contract! {
    versions_are_kept_as_they_were_put,
    only_the_state_of_a_version_changes,
    a_version_that_somebody_else_changed_is_left_alone,
    one_version_is_active_and_one_in_shadow,
    reach_hides_foreign_policies,
    a_removed_policy_leaves_nothing,
    policies_of_older_databases_stay_readable,
}

pub(super) fn version(name: &str, number: i64, state: PolicyState) -> PolicyVersion {
    let source =
        serde_json::json!({"name": name, "text": format!("fn route(call) {{ tag(\"{number}\"); }}")});
    PolicyVersion {
        number,
        draft: PolicyDraft {
            source: serde_json::from_value::<PolicySource>(source).unwrap(),
            organization: None,
            group: None,
            note: "研发部, as asked".to_owned(),
            digest: format!("{number:064}"),
            tests: PolicyTests {
                passed: 2,
                failures: vec![PolicyTestFailure {
                    name: "test_a".to_owned(),
                    line: 3,
                    ..Default::default()
                }],
            },
        },
        state,
        standing: PolicyStanding::default(),
    }
}

fn owned(name: &str, organization: &str, group: Option<&str>) -> PolicyVersion {
    let mut it = version(name, 1, PolicyState::Draft);
    it.draft.organization = Some(organization.into());
    it.draft.group = group.map(Into::into);
    it
}

async fn all(store: &dyn Store) -> Vec<PolicyVersion> {
    let all = store.policy_versions(&PolicyFilter::default(), &Reach::ALL).await.unwrap();
    all.into_iter().map(|it| it.value).collect()
}

async fn versions_are_kept_as_they_were_put(store: Arc<dyn Store>) {
    let (a1, a2) = (version("a", 1, PolicyState::Draft), version("a", 2, PolicyState::Draft));
    let b1 = version("b", 1, PolicyState::Active);
    let put = [&b1, &a1, &a2].map(|it| Change::AddPolicyVersion(it.clone()));
    apply(&*store, &put).await.unwrap();
    assert_eq!(all(&*store).await, [a1.clone(), a2.clone(), b1.clone()]);
    let of = |name| PolicyFilter { name: Some(name), in_use: false };
    let stored = store.policy_versions(&of("a"), &Reach::ALL).await.unwrap();
    assert_eq!(stored.iter().map(|it| it.value.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((stored[0].version, stored[0].created_at, &*stored[0].created_by), (1, at(1_000), "tester"));
    assert!(store.policy_versions(&of("c"), &Reach::ALL).await.unwrap().is_empty());
    let in_use = PolicyFilter { name: None, in_use: true };
    let running = store.policy_versions(&in_use, &Reach::ALL).await.unwrap();
    assert_eq!(running.into_iter().map(|it| it.value).collect::<Vec<_>>(), [b1]);
    // A number is given once.
    let again = apply(&*store, &[Change::AddPolicyVersion(version("a", 2, PolicyState::Draft))]).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn only_the_state_of_a_version_changes(store: Arc<dyn Store>) {
    let put = version("a", 1, PolicyState::Draft);
    apply(&*store, &[Change::AddPolicyVersion(put.clone())]).await.unwrap();
    let mut other = version("a", 1, PolicyState::RolledBack);
    other.draft.source.text = "fn route(call) { deny(\"no\"); }".to_owned();
    other.standing = PolicyStanding {
        before: Some(7),
        denied_before_ppm: Some(1),
        activated_at: Some(sluicegate_core::Timestamp::from_ms(9)),
        watched: true,
        reason: Some("errors".to_owned()),
    };
    apply(&*store, &[Change::SetPolicyState(other.clone(), 1)]).await.unwrap();
    let stored = store.policy_versions(&PolicyFilter::default(), &Reach::ALL).await.unwrap();
    assert_eq!(stored[0].version, 2);
    assert_eq!(stored[0].value, PolicyVersion { draft: put.draft, ..other });
}

async fn a_version_that_somebody_else_changed_is_left_alone(store: Arc<dyn Store>) {
    let put = version("a", 1, PolicyState::Draft);
    apply(&*store, &[Change::AddPolicyVersion(put)]).await.unwrap();
    let set = |state, expected| Change::SetPolicyState(version("a", 1, state), expected);
    apply(&*store, &[set(PolicyState::Active, 1)]).await.unwrap();
    let second = apply(&*store, &[set(PolicyState::Shadow, 1)]).await.unwrap_err();
    assert_eq!((second.kind(), second.retry()), (ErrorKind::Conflict, Retry::Now));
    assert_eq!(all(&*store).await[0].state, PolicyState::Active);
}

async fn one_version_is_active_and_one_in_shadow(store: Arc<dyn Store>) {
    for state in [PolicyState::Active, PolicyState::Shadow] {
        let name = state.as_str();
        let both = [1, 2].map(|number| Change::AddPolicyVersion(version(name, number, state)));
        let refused = apply(&*store, &both).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{name}");
        assert!(all(&*store).await.is_empty());
    }
    // One goes and the other comes in one step; any number may be of the other states.
    let first = [
        version("a", 1, PolicyState::Active),
        version("a", 2, PolicyState::Shadow),
        version("a", 3, PolicyState::Draft),
        version("a", 4, PolicyState::Draft),
    ];
    apply(&*store, &first.map(Change::AddPolicyVersion)).await.unwrap();
    let swap = [(1, PolicyState::Retired), (2, PolicyState::Active)]
        .map(|(number, state)| Change::SetPolicyState(version("a", number, state), 1));
    apply(&*store, &swap).await.unwrap();
    let states: Vec<_> = all(&*store).await.iter().map(|it| it.state).collect();
    use PolicyState::{Active, Draft, Retired};
    assert_eq!(states, [Retired, Active, Draft, Draft]);
}

async fn reach_hides_foreign_policies(store: Arc<dyn Store>) {
    let put = [
        version("global", 1, PolicyState::Draft),
        owned("of-o1", "o1", None),
        owned("of-g1", "o1", Some("g1")),
        owned("of-g2", "o1", Some("g2")),
        owned("of-o2", "o2", None),
    ];
    apply(&*store, &put.map(Change::AddPolicyVersion)).await.unwrap();
    let names = async |reach: &Reach| {
        let seen = store.policy_versions(&PolicyFilter::default(), reach).await.unwrap();
        seen.iter().map(|it| it.value.name().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let narrow = |groups: &[&str]| Narrow {
        groups: groups.iter().map(|id| (*id).into()).collect(),
        user: Some("u".into()),
        key: Some("k".into()),
    };
    let of = |narrow| Reach { organization: Some("o1".into()), narrow };
    assert_eq!(names(&Reach::ALL).await, "global of-g1 of-g2 of-o1 of-o2");
    assert_eq!(names(&of(None)).await, "of-g1 of-g2 of-o1");
    assert_eq!(names(&of(Some(narrow(&["g1"])))).await, "of-g1");
    assert_eq!(names(&of(Some(narrow(&[])))).await, "");
}

async fn a_removed_policy_leaves_nothing(store: Arc<dyn Store>) {
    let put = [("a", 1), ("a", 2), ("b", 1)].map(|(name, n)| version(name, n, PolicyState::Draft));
    apply(&*store, &put.map(Change::AddPolicyVersion)).await.unwrap();
    apply(&*store, &[Change::DeletePolicyVersions("a".to_owned())]).await.unwrap();
    assert_eq!(all(&*store).await.iter().map(PolicyVersion::name).collect::<Vec<_>>(), ["b"]);
    let missing = apply(&*store, &[Change::DeletePolicyVersions("a".to_owned())]).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

async fn policies_of_older_databases_stay_readable(store: Arc<dyn Store>) {
    let old = serde_json::json!({"source": {"name": "p", "text": "fn route(call) {}"}, "enabled": true});
    let old: sluicegate::store::StoredPolicy = serde_json::from_value(old).unwrap();
    apply(&*store, &[Change::PutPolicy(old.clone(), Expect::New)]).await.unwrap();
    assert_eq!(store.policies().await.unwrap()[0].value, old);
    assert!(all(&*store).await.is_empty());
}
