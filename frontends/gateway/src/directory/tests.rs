use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::Source;
use sluicegate_core::{Group, Limit, Metric, Snapshot, Timestamp, Window};

use super::*;
use crate::ManualClock;
use crate::store::{AuditChain, Change, Expect, NewEvent};

struct Chain;

impl AuditChain for Chain {
    fn link(&self, _: &str, seq: i64, _: &NewEvent, _: &str) -> String {
        seq.to_string()
    }
}

struct World {
    store: Arc<dyn Store>,
    directory: Directory,
    clock: Arc<ManualClock>,
}

async fn world() -> World {
    let store = crate::store::open("memory", jiff::tz::TimeZone::UTC).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(1_000)));
    let policies = Arc::new(sluicegate_policy::Policies::default());
    let engine = Arc::new(Engine::new(Snapshot::build(1, Declared::default()), policies));
    let directory = Directory::new(engine, Arc::clone(&store), clock.clone());
    let w = World { store, directory, clock };
    let organization = serde_json::from_value(serde_json::json!({"id": "o"})).unwrap();
    w.apply(Change::PutOrganization(organization, Expect::New)).await;
    w.directory.saw(1);
    w
}

impl World {
    async fn apply(&self, change: Change) {
        let event = NewEvent {
            at: Timestamp::from_ms(0),
            actor: String::new(),
            action: String::new(),
            target: String::new(),
            organization: None,
            group: None,
            user: None,
            detail: serde_json::Value::Null,
            address: None,
            credential: None,
        };
        self.store.apply(&[change], &event, &Chain).await.unwrap();
    }

    async fn find(&self, credential: &str) -> Option<Arc<BoundCaller>> {
        self.directory.find(&KeyHash::of(credential)).await.unwrap()
    }
}

fn group(id: &str, max: i64) -> Group {
    let value = serde_json::json!({"id": id, "organization": "o"});
    Group {
        limits: vec![Limit::strict(Metric::Requests, Window::Day, max)],
        ..serde_json::from_value(value).unwrap()
    }
}

fn key(id: &str, group: Option<&str>, user: Option<&str>) -> ApiKey {
    serde_json::from_value(serde_json::json!({"id": id, "organization": "o", "group": group, "user": user}))
        .unwrap()
}

fn put(key: ApiKey) -> Change {
    let hash = KeyHash::of(key.id.as_str());
    Change::PutKey { key, hash, old_hash_until: None, issuers: None, expect: Expect::Any }
}

#[tokio::test]
async fn a_known_key_is_at_hand_and_a_change_shows_after_the_call_that_says_so() {
    let w = world().await;
    w.apply(Change::PutGroup(group("g", 5), Expect::New)).await;
    w.apply(put(key("k", Some("g"), None))).await;
    let hash = KeyHash::of("k");
    assert!(w.directory.cached(&hash).is_none());
    let first = w.find("k").await.unwrap();
    assert!(Arc::ptr_eq(&w.directory.cached(&hash).unwrap(), &first));

    w.apply(put(ApiKey { blocked: true, ..key("k", Some("g"), None) })).await;
    assert!(w.find("k").await.unwrap().caller.blocked.is_none(), "nobody has said so yet");
    w.directory.invalidate_key(&hash);
    assert!(w.find("k").await.unwrap().caller.blocked.is_some());

    w.apply(Change::PutGroup(group("g", 7), Expect::Any)).await;
    w.directory.invalidate();
    assert!(w.directory.cached(&hash).is_none());
    assert_eq!(w.find("k").await.unwrap().limits()[0].limit.max, 7);
}

#[tokio::test]
async fn an_unknown_key_is_remembered_until_something_changes() {
    let w = world().await;
    assert!(w.find("k").await.is_none());
    w.apply(put(key("k", None, None))).await;
    assert!(w.find("k").await.is_none(), "remembered as unknown");
    w.directory.invalidate_key(&KeyHash::of("other"));
    assert!(w.find("k").await.is_some());
}

#[tokio::test]
async fn a_key_without_its_group_or_user_doesnt_work() {
    let w = world().await;
    w.apply(put(key("k1", Some("gone"), None))).await;
    w.apply(put(key("k2", None, Some("gone")))).await;
    w.apply(put(key("k3", None, None))).await;
    assert!(w.find("k1").await.is_none() && w.find("k2").await.is_none() && w.find("k3").await.is_some());
}

#[tokio::test]
async fn an_organization_that_a_file_names_is_there_without_being_made() {
    let w = world().await;
    let in_unmade = |id: &str| ApiKey { organization: "unmade".into(), ..key(id, Some("g"), None) };
    let of_unmade = |source| Group { organization: "unmade".into(), source, ..group("g", 5) };
    w.apply(Change::PutGroup(of_unmade(Source::Database), Expect::New)).await;
    w.apply(put(in_unmade("k"))).await;
    assert!(w.find("k").await.is_none());
    for declared in [
        Declared { groups: vec![of_unmade(Source::File)], ..Declared::default() },
        Declared {
            users: vec![
                serde_json::from_value(serde_json::json!({"id": "u", "organization": "unmade"})).unwrap(),
            ],
            ..Declared::default()
        },
    ] {
        w.directory.declare(&declared, []);
        assert!(w.find("k").await.is_some());
        w.directory.declare(&Declared::default(), []);
        assert!(w.find("k").await.is_none());
    }
    w.directory.declare(&Declared::default(), [(KeyHash::of("file key"), in_unmade("fk"))]);
    assert!(w.find("k").await.is_some());
}

#[tokio::test]
async fn what_a_file_declares_wins_over_what_is_stored() {
    let w = world().await;
    w.apply(Change::PutGroup(group("g", 5), Expect::New)).await;
    w.apply(Change::PutGroup(group("only stored", 6), Expect::New)).await;
    w.apply(put(key("k", Some("g"), None))).await;
    let declared = Declared {
        groups: vec![Group { source: Source::File, ..group("g", 3) }],
        quota: sluicegate_core::snapshot::QuotaSettings {
            global: vec![Limit::strict(Metric::Requests, Window::Minute, 9)],
            ..Default::default()
        },
        ..Declared::default()
    };
    let keys = [
        (KeyHash::of("file key"), key("fk", Some("g"), None)),
        (KeyHash::of("mixed key"), key("mk", Some("only stored"), None)),
    ];
    w.directory.declare(&declared, keys);
    for (credential, want) in [("k", vec![3, 9]), ("file key", vec![3, 9]), ("mixed key", vec![6, 9])] {
        let found = w.find(credential).await.unwrap();
        assert_eq!(
            found.limits().iter().map(|bound| bound.limit.max).collect::<Vec<_>>(),
            want,
            "{credential}"
        );
    }
    w.directory.declare(&Declared::default(), []);
    assert!(w.find("file key").await.is_none());
    assert_eq!(w.find("k").await.unwrap().limits()[0].limit.max, 5);
}

#[tokio::test]
async fn a_change_elsewhere_is_seen_by_asking_the_store() {
    let w = world().await;
    w.apply(put(key("k", None, None))).await;
    assert!(w.directory.poll().await.unwrap());
    assert!(w.find("k").await.is_some());
    assert!(!w.directory.poll().await.unwrap());
    w.apply(Change::DeleteKey("k".into())).await;
    assert!(w.directory.poll().await.unwrap());
    assert!(w.find("k").await.is_none());
}

#[tokio::test]
async fn a_retired_hash_expires() {
    let w = world().await;
    w.apply(put(key("k", None, None))).await;
    let until = Some(Timestamp::from_ms(5_000));
    let hash = KeyHash::of("new");
    w.apply(Change::PutKey {
        key: key("k", None, None),
        hash,
        old_hash_until: until,
        issuers: None,
        expect: Expect::Any,
    })
    .await;
    assert_eq!(w.find("k").await.unwrap().caller.expires_at, until);
    assert_eq!(w.find("new").await.unwrap().caller.expires_at, None);
    w.clock.set(Timestamp::from_ms(5_000));
    w.directory.invalidate();
    assert!(w.find("k").await.is_none() && w.find("new").await.is_some());
}
