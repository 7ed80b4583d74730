//! Many keys at once: all of it, or nothing; each by what its sender may do to it alone.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

const BULK: &str = "/api/v1/keys/bulk";

async fn world() -> (Rig, String) {
    let rig = Rig::new().await;
    for group in ["mine", "theirs"] {
        rig.manage("POST", "/api/v1/groups", json!({"id": group})).await;
    }
    rig.manage("POST", "/api/v1/users", json!({"id": "gina"})).await;
    rig.manage("POST", "/api/v1/groups/mine/members", json!({"user": "gina", "role": "group_admin"})).await;
    let key =
        rig.manage("POST", "/api/v1/keys", json!({"alias": "gina", "user": "gina", "group": "mine"})).await;
    for (alias, group) in [("a", "mine"), ("b", "mine"), ("x", "theirs")] {
        rig.manage("POST", "/api/v1/keys", json!({"alias": alias, "group": group})).await;
    }
    (rig, key["secret"].as_str().unwrap().to_owned())
}

async fn aliases(rig: &Rig) -> Vec<String> {
    let all = rig.manage("GET", "/api/v1/keys?sort=alias", Value::Null).await;
    all["items"].as_array().unwrap().iter().map(|it| it["alias"].as_str().unwrap().to_owned()).collect()
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect()
}

#[test]
fn many_keys_are_made_changed_and_removed_in_one_step() {
    block_on(async {
        let (rig, gina) = world().await;
        let body = json!({"items": [
            {"create": {"alias": "new", "group": "mine", "limits": {"requests": {"day": 5}}}},
            {"key": "a", "set": {"blocked": true, "alias": "a2"}},
            {"key": "b", "delete": true},
            {"key": "gina", "set": {"metadata": {}}},
        ]});
        let answer = rig.ask("POST", BULK, &gina, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["done"], true, "{answer}");
        assert_eq!(outcomes(&answer), ["created", "changed", "deleted", "same"], "{answer}");
        assert_eq!(aliases(&rig).await, ["a2", "gina", "new", "x"]);
        let issued = &answer["items"][0]["issued"];
        assert_eq!((&issued["key"]["alias"], &issued["key"]["group"]), (&json!("new"), &json!("mine")));
        let call = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        let secret = issued["secret"].as_str().unwrap();
        assert_eq!(rig.ask("POST", "/v1/chat/completions", secret, &call).await.status, 200);
        assert!(answer["items"][1].get("issued").is_none(), "{answer}");
        // Each has its own event, which whoever may read of the key reads.
        let events = rig.ask("GET", "/api/v1/audit", &gina, &Value::Null).await.json();
        let actions: Vec<&str> =
            events["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
        assert_eq!(actions[..3], ["key.delete", "key.update", "key.create"], "{events}");
        let verified = rig.manage("GET", "/api/v1/audit/verify", Value::Null).await;
        assert_eq!(verified["sound"], true, "{verified}");
        // All the same with several.
        let body = json!({"keys": ["a2", "new"], "set": {"blocked": false}});
        let answer = rig.ask("POST", BULK, &gina, &body).await.json();
        assert_eq!(outcomes(&answer), ["changed", "same"], "{answer}");
        let answer =
            rig.ask("POST", BULK, &gina, &json!({"items": [{"key": "new", "regenerate": {}}]})).await;
        let again = answer.json();
        assert_ne!(again["items"][0]["issued"]["secret"], json!(secret), "{again}");
        assert_eq!(rig.ask("POST", "/v1/chat/completions", secret, &call).await.status, 401);
    });
}

#[test]
fn when_one_is_refused_nothing_is_done_to_any() {
    block_on(async {
        let (rig, gina) = world().await;
        let before = rig.manage("GET", "/api/v1/audit", Value::Null).await["total"].clone();
        let etag = rig.manage("GET", "/api/v1/keys/b", Value::Null).await["etag"].clone();
        let block = json!({"blocked": true});
        for (items, message) in [
            // Another group's key, and one that isn't there: the same words.
            (json!([{"key": "a", "set": block}, {"key": "x", "delete": true}]), "key `x` doesn't exist"),
            (
                json!([{"key": "a", "set": block}, {"key": "nope", "delete": true}]),
                "key `nope` doesn't exist",
            ),
            (
                json!([{"key": "a", "delete": true}, {"create": {"group": "theirs"}}]),
                "group `theirs` doesn't exist",
            ),
            (json!([{"key": "a", "delete": true}, {"key": "a", "set": block}]), "is named twice"),
            (
                json!([{"key": "a", "delete": true}, {"key": "b", "set": block, "etag": "1-0"}]),
                "changed meanwhile",
            ),
            (json!([{"key": "a", "delete": true}, {"key": "b"}]), "an item is either"),
            (
                json!([{"key": "a", "delete": true}, {"key": "b", "delete": true, "set": block}]),
                "an item is either",
            ),
            (json!([{"key": "a", "delete": true}, {"create": {"ttl": "soon", "group": "mine"}}]), "soon"),
            // Found by the database alone: the alias is taken, here by another item.
            (
                json!([{"create": {"alias": "c", "group": "mine"}}, {"create": {"alias": "c", "group": "mine"}}]),
                "already taken",
            ),
            (
                json!([{"key": "b", "set": block, "etag": etag}, {"key": "a", "set": {"alias": "b"}}]),
                "already taken",
            ),
        ] {
            let answer = rig.ask("POST", BULK, &gina, &json!({"items": items})).await;
            assert_eq!(answer.status, 200, "{items}: {}", answer.text());
            let answer = answer.json();
            assert_eq!((&answer["done"], outcomes(&answer)[1]), (&json!(false), "refused"), "{answer}");
            assert!(answer["items"][1]["message"].as_str().unwrap().contains(message), "{answer}");
            assert!(answer["items"][0].get("issued").is_none(), "{answer}");
        }
        assert_eq!(aliases(&rig).await, ["a", "b", "gina", "x"]);
        assert_eq!(rig.manage("GET", "/api/v1/audit", Value::Null).await["total"], before);
        let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        for body in [
            json!({}),
            json!({"keys": ["a"]}),
            json!({"set": block}),
            json!({"keys": ["a"], "set": block, "delete": true}),
            json!({"keys": many, "delete": true}),
            json!({"keys": ["a"], "remove": true}),
            json!({"items": [{"key": "a", "set": {"blokced": true}}]}),
        ] {
            assert_eq!(rig.ask("POST", BULK, &gina, &body).await.status, 400, "{body}");
        }
    });
}

#[test]
fn a_retry_is_answered_again_and_what_was_not_done_may_be_tried_again() {
    block_on(async {
        let (rig, _) = world().await;
        let bearer = format!("Bearer {MASTER}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k-1")];
        let body = json!({"items": [{"create": {"alias": "new"}}, {"key": "later", "delete": true}]});
        assert_eq!(rig.send("POST", BULK, &headers, &body).await.json()["done"], false);
        rig.manage("POST", "/api/v1/keys", json!({"alias": "later"})).await;
        let done = rig.send("POST", BULK, &headers, &body).await;
        assert_eq!(done.json()["done"], true, "{}", done.text());
        let again = rig.send("POST", BULK, &headers, &body).await;
        assert_eq!(
            (again.body.clone(), again.headers.contains_key("idempotent-replayed")),
            (done.body, true)
        );
        assert_eq!(aliases(&rig).await, ["a", "b", "gina", "new", "x"]);
    });
}

#[test]
fn a_key_of_many_is_for_what_its_routes_say() {
    block_on(async {
        let (rig, _) = world().await;
        let body = json!({"items": [
            {"create": {"alias": "calls", "group": "mine", "routes": ["inference"]}},
            {"create": {"alias": "any", "group": "mine"}},
        ]});
        let answer = rig.manage("POST", BULK, body).await;
        let secret = |at: usize| answer["items"][at]["issued"]["secret"].as_str().unwrap().to_owned();
        let status = async |secret: &str| rig.ask("GET", "/key/info", secret, &Value::Null).await.status;
        assert_eq!((status(&secret(0)).await, status(&secret(1)).await), (403, 200), "{answer}");
        // So is one that many are changed by.
        rig.manage("POST", BULK, json!({"keys": ["any"], "set": {"routes": ["inference"]}})).await;
        assert_eq!(status(&secret(1)).await, 403);
    });
}
