//! Whom an access group is given to, while keys come and go.

use sluicegate_core::tenant::ACCESS_GROUP;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_skipped_while_others_go() {
    let w = world().await;
    let put = |n: u32| {
        let id = format!("many{n:05}");
        let key: ApiKey = from_json(serde_json::json!({
            "id": id, "organization": "o1", "group": "g1", "access": [format!("{ACCESS_GROUP}beta")],
        }));
        Change::PutKey {
            key,
            hash: KeyHash::of(&id),
            old_hash_until: None,
            issuers: None,
            expect: Expect::New,
        }
    };
    let many: Vec<Change> = (0..Page::MAX + 20).map(put).collect();
    w.admin.commit(&Actor::operator(), Deed::new("test.many", String::new()), many).await.unwrap();
    // While the first page is looked at, some of it goes.
    let mut seen = Vec::new();
    let admin = w.admin.clone();
    w.admin
        .each_group_and_key(|change| {
            let Change::PutKey { key, .. } = change else { return };
            if seen.is_empty() {
                let remove = |n: u32| Change::DeleteKey(format!("many{n:05}").as_str().into());
                let gone = (0..10).map(remove).collect();
                let deed = Deed::new("test.gone", String::new());
                let operator = Actor::operator();
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(admin.commit(&operator, deed, gone))
                })
                .unwrap();
            }
            seen.push(key.id);
        })
        .await
        .unwrap();
    let stayed = |n: &u32| seen.contains(&format!("many{n:05}").as_str().into());
    let skipped: Vec<u32> = (10..Page::MAX + 20).filter(|n| !stayed(n)).collect();
    assert_eq!(skipped, [0; 0], "those that stayed are all seen");
}
