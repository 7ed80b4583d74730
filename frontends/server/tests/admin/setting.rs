//! Settings that are changed while the gateway runs.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options};
use sluicegate_server::block_on;

use crate::rig::{MASTER, PASSWORD, Rig};

const SETTINGS: &str = "/api/v1/settings";
const DAY_MS: u64 = 86_400_000;

async fn gateway(text: &str) -> Rig {
    let config = ConfigText { path: "sluicegate.yaml".to_owned(), text: text.to_owned() };
    Rig::with(Options { config: Some(config), ..Options::default() }).await
}

/// A setting as it is shown.
fn shown<'a>(settings: &'a Value, name: &str) -> &'a Value {
    let all = settings["changeable"].as_array().unwrap();
    all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} in {settings}"))
}

#[test]
fn a_change_is_taken_whole_or_refused_with_what_is_wrong() {
    block_on(async {
        let file = "version: 1\nserver: {retention: {records: 9d}}\norganizations: [{id: acme}]\ngroups: [{id: research, organization: acme}]\nrouting:\n  cooldown: 9s\n";
        let rig = gateway(file).await;
        let before = rig.manage("GET", SETTINGS, Value::Null).await;
        let registration = |organization: &str, group: &str| json!({"email_domains": ["a.example"], "organization": organization, "group": group});
        for (patch, status, said) in [
            (
                json!({"routing.retry": 1}),
                400,
                "there is no setting `routing.retry`; did you mean `routing.retries`?",
            ),
            (json!({"port": 1}), 400, "GET /api/v1/settings lists"),
            (json!({"auth.keys_per_user": 0}), 400, "must be a whole number from 1 to 100000"),
            (json!({"auth.keys_per_user": 100_001}), 400, "must be a whole number from 1 to 100000"),
            (
                json!({"routing.retries": 64}),
                400,
                "the setting `routing.retries` must be a whole number from 0 to 63",
            ),
            (json!({"routing.retries": 3, "routing.max_attempts": 0}), 400, "routing.max_attempts"),
            (json!({"quotas.unpriced": "maybe"}), 400, "must be one of allow, deny"),
            (json!({"retention.daily_sums_ms": 61 * DAY_MS}), 400, "of ms from 5356800000"),
            (json!({"auth.registration": {"email_domains": []}}), 400, "email_domains"),
            (
                json!({"auth.registration": registration("nobody", "research")}),
                400,
                "organization `nobody` doesn't exist",
            ),
            (
                json!({"auth.registration": registration("default", "research")}),
                400,
                "group `research` isn't one of organization `default`",
            ),
            (
                json!({"routing.cooldown_ms": 1, "routing.retries": 3}),
                409,
                "`routing.cooldown` in `sluicegate.yaml`, line 6",
            ),
            (json!({"retention.records_ms": null}), 409, "`server.retention.records`"),
            (json!([1]), 400, "JSON object"),
        ] {
            let answer = rig.ask("PATCH", SETTINGS, MASTER, &patch).await;
            assert_eq!(answer.status, status, "{patch}: {}", answer.text());
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(said), "{patch}: {message}");
        }
        assert_eq!(rig.manage("GET", SETTINGS, Value::Null).await, before);
        let fixed = shown(&before, "routing.cooldown_ms");
        assert_eq!(
            (&fixed["source"], &fixed["value"], &fixed["default"]),
            (&json!("file"), &json!(9_000), &json!(30_000))
        );
        assert_eq!(
            fixed["fixed_by"],
            json!({"key": "routing.cooldown", "file": "sluicegate.yaml", "line": 6})
        );
    });
}

#[test]
fn a_change_holds_at_once_is_in_the_trail_and_can_be_taken_back() {
    block_on(async {
        let rig = gateway("version: 1\n").await;
        let first = rig.ask("GET", SETTINGS, MASTER, &Value::Null).await;
        let tag = first.headers.get("etag").unwrap().to_str().unwrap().to_owned();
        let patch =
            json!({"routing.retries": 5, "compat.litellm": "1.80", "retention.records_ms": 9 * DAY_MS});
        let made = rig.manage("PATCH", SETTINGS, patch).await;
        let retries = shown(&made, "routing.retries");
        assert_eq!(
            (&retries["value"], &retries["source"], &retries["default"], &made["updated_by"]),
            (&json!(5), &json!("database"), &json!(2), &json!("master key"))
        );
        // What is in force by its parts says the same.
        assert_eq!(made["routing"]["retries"], 5);
        assert_eq!(made["server"]["retention"]["records_ms"], 9 * DAY_MS);
        assert_eq!(rig.gateway.engine().snapshot().declared.routing.retries, 5);
        assert_eq!(rig.gateway.host_in_force().retention.records_ms, Some(9 * DAY_MS));
        assert!(rig.gateway.compat().litellm.is_some());
        // Decided on what is no more.
        let headers = [("authorization", &*format!("Bearer {MASTER}")), ("if-match", &*tag)];
        let stale = rig.send("PATCH", SETTINGS, &headers, &json!({"routing.retries": 6})).await;
        assert_eq!(stale.status, 412, "{}", stale.text());
        let back = rig.manage("PATCH", SETTINGS, json!({"routing.retries": null})).await;
        assert_eq!(
            (&shown(&back, "routing.retries")["value"], &shown(&back, "routing.retries")["source"]),
            (&json!(2), &json!("default"))
        );
        assert_eq!(shown(&back, "compat.litellm")["value"], "1.80");
        let events = rig.manage("GET", "/api/v1/audit?action=settings.update", Value::Null).await;
        let told: Vec<_> =
            events["items"].as_array().unwrap().iter().map(|it| it["detail"].clone()).collect();
        let change = |from: Value, to: Value| json!({"from": from, "to": to});
        assert_eq!(
            told,
            [
                json!({"routing.retries": change(json!(5), json!(2))}),
                json!({
                    "routing.retries": change(json!(2), json!(5)),
                    "compat.litellm": change(Value::Null, json!("1.80")),
                    "retention.records_ms": change(Value::Null, json!(9 * DAY_MS)),
                }),
            ]
        );
        // Nothing to do leaves nothing behind.
        let same = rig.manage("PATCH", SETTINGS, json!({"compat.litellm": "1.80"})).await;
        assert_eq!(same["etag"], back["etag"]);
    });
}

#[test]
fn a_rate_that_is_changed_is_in_the_next_call_s_record() {
    block_on(async {
        let rig = Rig::new().await;
        let price = json!({"input": 7, "output": 7, "currency": "CNY"});
        let declared = json!({"name": "yuan", "provider": "mock", "models": [{"name": "m", "price": price}]});
        let refused = rig.ask("POST", "/api/v1/channels", MASTER, &json!({"declared": declared})).await;
        assert_eq!(refused.status, 400, "nobody says what a yuan is worth: {}", refused.text());
        let call = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        let mut booked = Vec::new();
        for rate in [7_000_000, 14_000_000] {
            rig.manage("PATCH", SETTINGS, json!({"currencies.cny_per_usd_ppm": rate})).await;
            if booked.is_empty() {
                rig.manage("POST", "/api/v1/channels", json!({"declared": declared})).await;
            }
            rig.clock.set(rig.gateway.clock().now().plus_ms(1_000));
            let answer = rig.ask("POST", "/v1/chat/completions", MASTER, &call).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let all = rig.manage("GET", "/api/v1/records?model=m", Value::Null).await;
            let id = all["items"][0]["call"].as_str().unwrap().to_owned();
            let record = rig.manage("GET", &format!("/api/v1/records/{id}"), Value::Null).await;
            let attempt = &record["record"]["attempts"][0];
            assert_eq!(attempt["exchange"], json!({"currency": "CNY", "per_usd_ppm": rate}), "{record}");
            booked.push(attempt["cost"].as_i64().unwrap());
        }
        assert!(booked[0] > 0 && booked[0] == 2 * booked[1], "{booked:?}");
    });
}

#[test]
fn people_register_as_soon_as_they_may_and_no_longer() {
    block_on(async {
        let rig = Rig::new().await;
        let register = async |email: &str| {
            let body = json!({"email": email, "password": PASSWORD});
            rig.send("POST", "/api/v1/session/registration", &[("x-sluicegate-csrf", "1")], &body)
                .await
                .status
        };
        assert_eq!(register("ada@a.example").await, 403);
        let may =
            json!({"auth.registration": {"email_domains": ["a.example"]}, "auth.password.min_length": 30});
        rig.manage("PATCH", SETTINGS, may).await;
        assert_eq!(register("ada@a.example").await, 400, "too short");
        rig.manage("PATCH", SETTINGS, json!({"auth.password.min_length": null})).await;
        assert_eq!(register("ada@a.example").await, 201);
        assert_eq!(register("eve@b.example").await, 403);
        rig.manage("PATCH", SETTINGS, json!({"auth.registration": null})).await;
        assert_eq!(register("bob@a.example").await, 403);
    });
}

#[test]
fn a_token_changes_settings_but_not_how_people_sign_in() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "boss", "role": "super_admin"})).await;
        let (cookie, _) = rig.signed_in("boss").await;
        for (scopes, patch, status) in [
            (json!(["write"]), json!({"routing.retries": 3}), 200),
            (json!(["routing:write", "keys:write"]), json!({"auth.keys_per_user": 3}), 200),
            (json!(["routing:write"]), json!({"auth.keys_per_user": 4}), 403),
            (json!(["routing:write"]), json!({"retention.records_ms": 86_400_000}), 403),
            (
                json!(["routing:write", "ledger:write"]),
                json!({"retention.records_ms": 8_640_000_000_u64}),
                200,
            ),
            (json!(["routing:write"]), json!({"quotas.unpriced": "deny"}), 403),
            (json!(["write"]), json!({"auth.session.idle_ms": 600_000}), 403),
            (
                json!(["write"]),
                json!({"auth.registration": {"email_domains": ["a.example"]}, "routing.retries": 4}),
                403,
            ),
            (json!(["read"]), json!({"routing.retries": 4}), 403),
            (json!(["keys:write"]), json!({"routing.retries": 4}), 403),
        ] {
            let new = json!({"name": "t", "scopes": scopes});
            let token = rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await.json();
            let token = token["secret"].as_str().unwrap().to_owned();
            let answer = rig.ask("PATCH", SETTINGS, &token, &patch).await;
            assert_eq!(answer.status, status, "{scopes} {patch}: {}", answer.text());
        }
        let now = rig.manage("GET", SETTINGS, Value::Null).await;
        assert_eq!(shown(&now, "routing.retries")["value"], 3);
        assert_eq!(shown(&now, "auth.registration")["value"], Value::Null);
    });
}
