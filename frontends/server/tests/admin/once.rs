//! Requests that are to be done once; and the page that shows the API.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{Answer, MASTER, Rig};

async fn send(rig: &Rig, key: &str, once: &str, path: &str, body: &Value) -> Answer {
    let by = format!("Bearer {key}");
    rig.send("POST", path, &[("authorization", &by), ("idempotency-key", once)], body).await
}

#[test]
fn a_request_is_done_once_and_answered_again_with_its_secret() {
    block_on(async {
        let rig = Rig::new().await;
        let new = json!({"alias": "ci"});
        let first = send(&rig, MASTER, "k-1", "/api/v1/keys", &new).await;
        assert_eq!((first.status, first.headers.get("idempotent-replayed")), (201, None));
        let again = send(&rig, MASTER, "k-1", "/api/v1/keys", &new).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.headers.get("idempotent-replayed").unwrap(), "true");
        let keys = async || rig.manage("GET", "/api/v1/keys", Value::Null).await["total"].clone();
        assert_eq!(keys().await, 1);
        // Another thing under the same key, another place, and what is no key.
        for (once, path, body, status) in [
            ("k-1", "/api/v1/keys", json!({"alias": "other"}), 422),
            ("k-1", "/api/v1/groups", new.clone(), 422),
            ("", "/api/v1/keys", new.clone(), 400),
            ("with space", "/api/v1/keys", new.clone(), 400),
        ] {
            assert_eq!(send(&rig, MASTER, once, path, &body).await.status, status, "{once} {path}");
        }
        // It is each asker's own.
        let secret = first.json()["secret"].as_str().unwrap().to_owned();
        assert_eq!(
            send(&rig, &secret, "k-1", "/api/v1/explain", &json!({"model": "mock"})).await.status,
            200
        );
        // What was refused may be tried again; what was done long ago is forgotten.
        let taken = json!({"id": "g"});
        rig.manage("POST", "/api/v1/groups", taken.clone()).await;
        assert_eq!(send(&rig, MASTER, "k-2", "/api/v1/groups", &taken).await.status, 409);
        rig.manage("DELETE", "/api/v1/groups/g", Value::Null).await;
        assert_eq!(send(&rig, MASTER, "k-2", "/api/v1/groups", &taken).await.status, 201);
        let now = rig.gateway.clock().now();
        rig.clock.set(now.plus_ms(24 * 3_600_000));
        assert_eq!(send(&rig, MASTER, "k-1", "/api/v1/keys", &json!({"alias": "new"})).await.status, 201);
        assert_eq!(keys().await, 2);
    });
}

#[test]
fn nothing_is_kept_of_what_changes_nothing() {
    block_on(async {
        let rig = Rig::new().await;
        let script = json!({"text": "fn route(call) { }"});
        rig.manage("PUT", "/api/v1/policies/p", script.clone()).await;
        let channel = rig.manage("GET", "/api/v1/channels", Value::Null).await["items"][0]["id"].clone();
        let of_channel = |what: &str| format!("/api/v1/channels/{}/{what}", channel.as_str().unwrap());
        for (path, one, other) in [
            (
                "/api/v1/explain".to_owned(),
                json!({"model": "mock"}),
                json!({"model": "mock", "stream": true}),
            ),
            ("/api/v1/policies/p/check".to_owned(), script.clone(), json!({"text": "fn admit(call) { }"})),
            (of_channel("test"), json!({}), json!({"model": "mock"})),
        ] {
            // The same key with another request would be refused, had the first been kept.
            assert_eq!(send(&rig, MASTER, "k-1", &path, &one).await.status, 200, "{path}");
            let second = send(&rig, MASTER, "k-1", &path, &other).await;
            assert_eq!((second.status, second.headers.get("idempotent-replayed")), (200, None), "{path}");
        }
        assert_eq!(send(&rig, MASTER, "k-1", "/api/v1/keys", &json!({})).await.status, 201);
    });
}

#[test]
fn whoever_may_do_less_by_now_is_told_nothing_again() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/organizations", json!({"id": "ours"})).await;
        let olga = json!({"id": "olga", "organization": "ours", "role": "organization_admin"});
        rig.manage("POST", "/api/v1/users", olga).await;
        let key = json!({"alias": "olga", "organization": "ours", "user": "olga"});
        let key = rig.manage("POST", "/api/v1/keys", key).await["secret"].as_str().unwrap().to_owned();
        let new = json!({"alias": "ci", "organization": "ours"});
        assert_eq!(send(&rig, &key, "k-1", "/api/v1/keys", &new).await.status, 201);
        assert_eq!(send(&rig, &key, "k-1", "/api/v1/keys", &new).await.status, 201);
        rig.manage("PATCH", "/api/v1/users/olga", json!({"role": "user"})).await;
        let lowered = send(&rig, &key, "k-1", "/api/v1/keys", &new).await;
        assert_eq!(lowered.status, 422, "{}", lowered.text());
        assert!(!lowered.text().contains("sk-"), "{}", lowered.text());
    });
}

#[test]
fn what_is_under_way_isnt_done_a_second_time() {
    block_on(async {
        let rig = Rig::new().await;
        let (one, two) = (json!({"alias": "a"}), json!({"alias": "a"}));
        let both = tokio::join!(
            send(&rig, MASTER, "k-1", "/api/v1/keys", &one),
            send(&rig, MASTER, "k-1", "/api/v1/keys", &two)
        );
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert!(statuses == [201, 201] || statuses == [201, 409], "{statuses:?}");
        assert_eq!(rig.manage("GET", "/api/v1/keys", Value::Null).await["total"], 1);
        let store = rig.gateway.store();
        let now = rig.gateway.clock().now();
        // A process that died in it leaves it so.
        assert_eq!(
            store.begin_once("x", "r", now, now.plus_ms(10)).await.unwrap(),
            sluicegate::store::Once::New
        );
        let known = store.begin_once("x", "r", now, now.plus_ms(10)).await.unwrap();
        assert_eq!(known, sluicegate::store::Once::Known { request: "r".to_owned(), answer: None });
    });
}

#[test]
fn the_api_is_shown_by_a_page_that_asks_nothing_of_elsewhere() {
    block_on(async {
        let rig = Rig::new().await;
        for (path, kind) in [
            ("/api/v1/docs", "text/html"),
            ("/api/v1/docs/page.css", "text/css"),
            ("/api/v1/docs/page.js", "text/javascript"),
        ] {
            let answer = rig.send("GET", path, &[], &Value::Null).await;
            assert_eq!(answer.status, 200, "{path}");
            let header = |name: &str| answer.headers.get(name).unwrap().to_str().unwrap().to_owned();
            assert!(header("content-type").starts_with(kind), "{path}");
            assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
            let text = answer.text();
            for outside in ["http://", "https://", "innerHTML", "onclick=", "<style"] {
                assert!(!text.contains(outside), "{path} holds {outside}");
            }
        }
    });
}
