//! Parameters in addresses: each once, and none that is passed over.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

/// What nobody reads there would be passed over, and the change made all the same.
#[test]
fn a_change_takes_nothing_from_the_address() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/tags", json!({"id": "tg"})).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "gus"})).await;
        for (method, path, name) in [
            ("DELETE", "/api/v1/tags/tg?dry_run=true", "dry_run"),
            ("POST", "/api/v1/keys?aliass=x", "aliass"),
            ("PATCH", "/api/v1/users/gus?x=1", "x"),
            ("PUT", "/api/v1/session/password?x=", "x"),
            ("POST", "/key/generate?max_budget=1", "max_budget"),
            ("POST", "/key/regenerate?key=sk-gone&max_budget=1", "max_budget"),
            ("POST", "/key/generate?key=sk-chosen-by-me", "key"),
            ("POST", "/api/v1/session?login=gus", "login"),
        ] {
            let answer = rig.ask(method, path, MASTER, &json!({})).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["param"], name, "{path}");
            assert!(error["message"].as_str().unwrap().contains("nothing was done"), "{path}: {error}");
        }
        rig.manage("GET", "/api/v1/tags/tg", Value::Null).await;
        assert_eq!(rig.manage("GET", "/api/v1/keys", Value::Null).await["total"], 0);
        // Who isn't known learns nothing of it.
        let unknown = rig.ask("DELETE", "/api/v1/tags/tg?dry_run=true", "sk-unknown", &Value::Null).await;
        assert_eq!(unknown.status, 401, "{}", unknown.text());
        rig.manage("DELETE", "/api/v1/tags/tg", Value::Null).await;
    });
}

/// LiteLLM's clients say these there.
#[test]
fn what_is_read_from_the_address_of_a_post_is_taken() {
    block_on(async {
        let rig = Rig::new().await;
        let count = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        rig.manage("POST", "/utils/token_counter?call_endpoint=true", count).await;
        let made = rig.manage("POST", "/key/generate", json!({})).await;
        let old = made["key"].as_str().unwrap();
        let path = format!("/key/regenerate?key={old}");
        let other = rig.ask("POST", &path, MASTER, &json!({"key": "sk-another"})).await;
        assert_eq!(other.status, 400, "{}", other.text());
        let again = rig.manage("POST", &path, json!({})).await;
        assert!(again["key"].is_string() && again["key"] != made["key"], "{again}");
    });
}

#[test]
fn a_parameter_that_is_there_twice_is_refused() {
    block_on(async {
        let rig = Rig::new().await;
        for path in [
            "/tag/dau?tag_filter=a&tag_filter=b",
            "/key/list?page=1&page=1",
            "/api/v1/keys?limit=1&search=a&limit=2",
            "/api/v1/users?search=&search=",
            "/api/v1/reports/usage?by=model&by=key",
        ] {
            let answer = rig.ask("GET", path, MASTER, &Value::Null).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            assert!(answer.text().contains("is there twice; give it once"), "{path}: {}", answer.text());
        }
    });
}

#[test]
fn a_list_of_litellm_s_may_come_item_by_item() {
    block_on(async {
        let rig = Rig::new().await;
        for id in ["gus", "gil", "eve"] {
            rig.manage("POST", "/api/v1/users", json!({"id": id})).await;
        }
        for path in ["/user/list?user_ids=gus,gil", "/user/list?user_ids=gus&user_ids=gil"] {
            let listed = rig.manage("GET", path, Value::Null).await;
            let ids: Vec<_> = listed["users"].as_array().unwrap().iter().map(|it| &it["user_id"]).collect();
            assert_eq!(ids, ["gus", "gil"], "{path}: {listed}");
        }
        for path in
            ["/tag/dau?", "/tag/wau?", "/tag/mau?", "/tag/summary?start_date=2026-01-01&end_date=2026-01-02&"]
        {
            let path = format!("{path}tag_filters=a&tag_filters=b");
            rig.manage("GET", &path, Value::Null).await;
        }
    });
}
