//! Budgets that several share, end customers, tags, access groups and credentials, natively.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

fn call(model: &str, user: &str) -> Value {
    json!({"model": model, "max_tokens": 5, "user": user, "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn a_budget_reaches_whoever_has_it_and_an_end_customer_is_held_to_it() {
    block_on(async {
        let rig = Rig::new().await;
        let limits = json!({"requests": {"day": 1}});
        let budget = json!({"id": "small", "alias": "Small", "limits": limits});
        let made = rig.ask("POST", "/api/v1/budgets", MASTER, &budget).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        assert_eq!(
            (&made["id"], &made["limits"], &made["keys"]),
            (&json!("small"), &limits, &json!([])),
            "{made}"
        );
        assert_eq!(rig.ask("POST", "/api/v1/budgets", MASTER, &budget).await.status, 409);
        rig.manage("POST", "/api/v1/customers", json!({"id": "shop", "budget": "small"})).await;
        let asked = async |user: &str| {
            rig.ask("POST", "/v1/chat/completions", MASTER, &call("mock", user)).await.status
        };
        assert_eq!((asked("shop").await, asked("shop").await, asked("other").await), (200, 429, 200));
        // What the budget becomes, they are held to.
        let etag = format!("\"{}\"", made["etag"].as_str().unwrap());
        let bearer = format!("Bearer {MASTER}");
        let more = json!({"limits": {"requests": {"day": 2}}});
        let change = async |etag: &str| {
            let headers = [("authorization", bearer.as_str()), ("if-match", etag)];
            rig.send("PATCH", "/api/v1/budgets/small", &headers, &more).await.status
        };
        assert_eq!(
            (change(&etag).await, change(&etag).await),
            (200, 412),
            "the second has seen another state"
        );
        assert_eq!((asked("shop").await, asked("shop").await), (200, 429));
        let shop = rig.manage("GET", "/api/v1/customers/shop", Value::Null).await;
        assert_eq!(
            (&shop["budget"], &shop["limits"], &shop["blocked"]),
            (&json!("small"), &json!({}), &json!(false))
        );
        let held = rig.ask("DELETE", "/api/v1/budgets/small", MASTER, &Value::Null).await;
        assert_eq!((held.status, held.text().contains("customer `shop`")), (409, true), "{}", held.text());
        // Blocked, and free again.
        for (blocked, status) in [(true, 429), (false, 200)] {
            let patch = json!({"blocked": blocked, "budget": null});
            rig.manage("PATCH", "/api/v1/customers/shop", patch).await;
            assert_eq!(asked("shop").await, status, "{blocked}");
        }
        assert_eq!(rig.ask("DELETE", "/api/v1/budgets/small", MASTER, &Value::Null).await.status, 204);
        let all = rig.manage("GET", "/api/v1/customers", Value::Null).await;
        assert_eq!((&all["total"], &all["items"][0]["id"]), (&json!(1), &json!("shop")), "{all}");
        assert_eq!(rig.ask("GET", "/api/v1/budgets/small", MASTER, &Value::Null).await.status, 404);
    });
}

#[test]
fn an_access_group_holds_models_and_is_forgotten_with_its_name() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/access-groups", json!({"id": "beta", "models": ["mock"]})).await;
        let key = rig.manage("POST", "/api/v1/keys", json!({"models": ["beta"]})).await;
        let secret = key["secret"].as_str().unwrap();
        let asked = async || rig.ask("POST", "/v1/chat/completions", secret, &call("mock", "a")).await.status;
        assert_eq!(asked().await, 200);
        rig.manage("PATCH", "/api/v1/access-groups/beta", json!({"models": ["another"]})).await;
        assert_eq!(asked().await, 404);
        rig.manage("PATCH", "/api/v1/access-groups/beta", json!({"models": ["mock"]})).await;
        assert_eq!(asked().await, 200);
        assert_eq!(rig.ask("DELETE", "/api/v1/access-groups/beta", MASTER, &Value::Null).await.status, 204);
        assert_eq!(asked().await, 404, "a list without its last group allows nothing");
    });
}

#[test]
fn what_a_kind_hasn_t_got_is_refused_by_name() {
    block_on(async {
        let rig = Rig::new().await;
        for (path, body, word) in [
            ("/api/v1/budgets", json!({"id": "a", "models": ["mock"]}), "`models`"),
            ("/api/v1/budgets", json!({"id": "a", "blocked": true}), "`blocked`"),
            ("/api/v1/access-groups", json!({"id": "a", "limits": {}}), "`limits`"),
            ("/api/v1/tags", json!({"id": "a", "limit": {}}), "`limit`"),
            ("/api/v1/tags", json!({"alias": "a"}), "`id`"),
            ("/api/v1/tags", json!({"id": "a", "budget": "none-such"}), "none-such"),
            ("/api/v1/credentials", json!({"id": "a"}), "`values`"),
        ] {
            let answer = rig.ask("POST", path, MASTER, &body).await;
            assert!(matches!(answer.status, 400 | 404), "{path} {body}: {}", answer.text());
            assert!(answer.text().contains(word), "{}", answer.text());
        }
        rig.manage("POST", "/api/v1/tags", json!({"id": "nightly"})).await;
        let renamed = rig.ask("PATCH", "/api/v1/tags/nightly", MASTER, &json!({"id": "daily"})).await;
        assert_eq!(renamed.status, 400, "{}", renamed.text());
    });
}

#[test]
fn a_credential_is_kept_and_its_secret_is_shown_to_nobody() {
    block_on(async {
        let rig = Rig::new().await;
        let body = json!({"id": "corp", "values": {"api_key": "sk-very-secret", "api_base": "https://up.example/v1"}});
        let made = rig.ask("POST", "/api/v1/credentials", MASTER, &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.json()["secrets"], json!(["api_key"]), "{}", made.text());
        assert_eq!(rig.ask("POST", "/api/v1/credentials", MASTER, &body).await.status, 409);
        rig.manage("POST", "/model/new", json!({
            "model_name": "shared", "litellm_params": {"model": "openai/gpt-4o", "litellm_credential_name": "corp"}, "model_info": {"id": "m-1"},
        }))
        .await;
        // With another address the secret is entered again.
        let moved = json!({"values": {"api_base": "https://elsewhere.example/v1"}});
        let refused = rig.ask("PATCH", "/api/v1/credentials/corp", MASTER, &moved).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        let moved = json!({"values": {"api_base": "https://elsewhere.example/v1", "api_key": "sk-another"}});
        let changed = rig.manage("PATCH", "/api/v1/credentials/corp", moved).await;
        assert_eq!(changed["values"]["api_base"], "https://elsewhere.example/v1", "{changed}");
        let channel = rig.manage("GET", "/api/v1/channels/m-1", Value::Null).await;
        assert!(channel.to_string().contains("elsewhere.example"), "{channel}");
        let held = rig.ask("DELETE", "/api/v1/credentials/corp", MASTER, &Value::Null).await;
        assert_eq!(held.status, 409, "{}", held.text());
        rig.manage("POST", "/model/delete", json!({"id": "m-1"})).await;
        assert_eq!(rig.ask("DELETE", "/api/v1/credentials/corp", MASTER, &Value::Null).await.status, 204);
        for path in ["/api/v1/credentials", "/api/v1/audit", "/credentials"] {
            let told = rig.manage("GET", path, Value::Null).await.to_string();
            assert!(!told.contains("very-secret") && !told.contains("sk-another"), "{path}");
        }
    });
}

#[test]
fn what_was_changed_since_it_was_seen_isnt_removed() {
    block_on(async {
        let rig = Rig::new().await;
        let bearer = format!("Bearer {MASTER}");
        let removed = async |path: &str, tag: &str| {
            let headers = [("authorization", bearer.as_str()), ("if-match", tag)];
            rig.send("DELETE", path, &headers, &Value::Null).await.status
        };
        for (kind, new, change) in [
            ("budgets", json!({"limits": {}}), json!({"alias": "B"})),
            ("customers", json!({}), json!({"alias": "B"})),
            ("tags", json!({}), json!({"alias": "B"})),
            ("access-groups", json!({"models": ["mock"]}), json!({"alias": "B"})),
            ("credentials", json!({"values": {"api_key": "sk-1"}}), json!({"info": {"b": 1}})),
        ] {
            let mut new = new;
            new["id"] = "a".into();
            let made = rig.manage("POST", &format!("/api/v1/{kind}"), new).await;
            let path = format!("/api/v1/{kind}/a");
            let changed = rig.manage("PATCH", &path, change).await;
            let tag = |it: &Value| format!("\"{}\"", it["etag"].as_str().unwrap());
            assert_eq!(removed(&path, &tag(&made)).await, 412, "{kind}");
            assert_eq!(removed(&path, &tag(&changed)).await, 204, "{kind}");
            assert_eq!(removed(&path, "*").await, 404, "{kind}");
        }
    });
}
