//! Lists: pages, order, files; models, prices and limits as each role sees them.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options, Timestamp};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

async fn key(rig: &Rig, body: Value) -> (String, Value) {
    let issued = rig.manage("POST", "/api/v1/keys", body).await;
    (issued["secret"].as_str().unwrap().to_owned(), issued["key"].clone())
}

#[test]
fn lists_are_paged_sorted_and_written_as_files_without_formulas() {
    block_on(async {
        let rig = Rig::new().await;
        for alias in ["b", "=1+1", "a"] {
            key(&rig, json!({"alias": alias})).await;
        }
        let aliases = |answer: &Value| -> Vec<String> {
            let items = answer["items"].as_array().unwrap();
            items.iter().map(|it| it["alias"].as_str().unwrap().to_owned()).collect()
        };
        let first = rig.manage("GET", "/api/v1/keys?limit=2&sort=alias", Value::Null).await;
        assert_eq!(aliases(&first), ["=1+1", "a"]);
        let on = first["next"].as_str().unwrap();
        let rest =
            rig.manage("GET", &format!("/api/v1/keys?limit=2&sort=alias&cursor={on}"), Value::Null).await;
        assert_eq!((aliases(&rest), &rest["next"]), (vec!["b".to_owned()], &Value::Null));
        let down = rig.manage("GET", "/api/v1/keys?sort=-alias", Value::Null).await;
        assert_eq!(aliases(&down), ["b", "a", "=1+1"]);
        assert_eq!(rig.ask("GET", "/api/v1/keys?sort=secret", MASTER, &Value::Null).await.status, 400);
        let csv = rig.ask("GET", "/api/v1/keys?format=csv&sort=alias", MASTER, &Value::Null).await;
        assert!(csv.headers.get("content-type").unwrap().to_str().unwrap().starts_with("text/csv"));
        let text = csv.text();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("\"'=1+1\"") && !text.contains("\"=1+1\""), "{text}");
        let lines = rig.ask("GET", "/api/v1/keys?format=jsonl", MASTER, &Value::Null).await.text();
        assert_eq!(lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 3);
    });
}

#[test]
fn no_list_repeats_or_leaves_out_anything_while_others_come_and_go() {
    block_on(async {
        let config = ConfigText {
            path: "sluicegate.yaml".to_owned(),
            text: "version: 1\nusers: [{id: f1}, {id: f2}, {id: f3}]\n".to_owned(),
        };
        let rig = Rig::with(Options { config: Some(config), ..Options::default() }).await;
        for (n, alias) in ["d", "A", "b", "e", "C"].into_iter().enumerate() {
            rig.clock.set(Timestamp::from_ms(rig.gateway.clock().now().as_ms() + 5));
            rig.manage("POST", "/api/v1/users", json!({"id": format!("u{n}"), "alias": alias})).await;
            rig.manage("POST", "/api/v1/organizations", json!({"id": format!("u{n}"), "alias": alias})).await;
        }
        for (path, sort, want) in [
            ("users", "", vec!["f1", "f2", "f3", "u4", "u3", "u2", "u1", "u0"]),
            ("users", "created_at", vec!["f1", "f2", "f3", "u0", "u1", "u2", "u3", "u4"]),
            ("users", "-updated_at", vec!["f1", "f2", "f3", "u4", "u3", "u2", "u1", "u0"]),
            ("users", "alias", vec!["f1", "f2", "f3", "u1", "u2", "u4", "u0", "u3"]),
            ("users", "-alias", vec!["f1", "f2", "f3", "u3", "u0", "u4", "u2", "u1"]),
            ("users", "-id", vec!["f1", "f2", "f3", "u4", "u3", "u2", "u1", "u0"]),
            ("organizations", "alias", vec!["u1", "u2", "u4", "u0", "u3"]),
            ("organizations", "", vec!["u0", "u1", "u2", "u3", "u4"]),
        ] {
            let (mut cursor, mut seen, mut pages) = (String::new(), Vec::new(), 0);
            loop {
                let page = format!("/api/v1/{path}?limit=2&sort={sort}{cursor}");
                let page = rig.manage("GET", &page, Value::Null).await;
                for item in page["items"].as_array().unwrap() {
                    let id = item["id"].as_str().unwrap().to_owned();
                    seen.push(id);
                }
                pages += 1;
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            let seen: Vec<&str> = seen.iter().map(String::as_str).filter(|id| *id != "default").collect();
            assert_eq!(seen, want, "{path} {sort}");
            assert_eq!(pages, want.len().div_ceil(2), "{path} {sort}: no page is empty");
        }
        // What was shown goes meanwhile: nothing is left out for that.
        let first = rig.manage("GET", "/api/v1/users?limit=5&sort=id", Value::Null).await;
        for id in ["u0", "u1"] {
            rig.ask("DELETE", &format!("/api/v1/users/{id}"), MASTER, &Value::Null).await;
        }
        rig.manage("POST", "/api/v1/users", json!({"id": "a-new-one"})).await;
        let next = first["next"].as_str().unwrap();
        let rest = rig.manage("GET", &format!("/api/v1/users?sort=id&cursor={next}"), Value::Null).await;
        let ids: Vec<&str> =
            rest["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["u2", "u3", "u4"]);
        for odd in [format!("sort=-id&cursor={next}"), "cursor=p2".to_owned(), "cursor=e30".to_owned()] {
            assert_eq!(
                rig.ask("GET", &format!("/api/v1/users?{odd}"), MASTER, &Value::Null).await.status,
                400,
                "{odd}"
            );
        }
        let lines = rig.ask("GET", "/api/v1/users?format=jsonl&sort=alias", MASTER, &Value::Null).await;
        assert_eq!(lines.text().lines().count(), 7);
        assert!(lines.headers.get("x-sluicegate-next").is_none());
    });
}

#[test]
fn the_longest_page_and_a_file_go_on_past_a_thousand() {
    block_on(async {
        let rig = Rig::new().await;
        for _ in 0..3 {
            let items: Vec<Value> = (0..335).map(|_| json!({"create": {}})).collect();
            rig.manage("POST", "/api/v1/keys/bulk", json!({"items": items})).await;
        }
        let first = rig.manage("GET", "/api/v1/keys?limit=1000", Value::Null).await;
        assert_eq!((first["items"].as_array().unwrap().len(), &first["total"]), (1_000, &json!(1_005)));
        let next = first["next"].as_str().unwrap();
        let rest = rig.manage("GET", &format!("/api/v1/keys?limit=1000&cursor={next}"), Value::Null).await;
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (5, &Value::Null));
        let lines = rig.ask("GET", "/api/v1/keys?format=jsonl", MASTER, &Value::Null).await.text();
        assert_eq!(lines.lines().count(), 1_005);
    });
}

#[test]
fn models_and_prices_are_those_that_the_asker_could_call() {
    block_on(async {
        let rig = Rig::new().await;
        for (name, groups) in [("open", json!([])), ("closed", json!(["g-2"]))] {
            let declared = json!({"id": name, "name": name, "provider": "openai", "groups": groups,
                "models": [{"name": format!("m-{name}"), "upstream": "gpt-5.4"}]});
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        }
        for group in ["g-1", "g-2"] {
            rig.manage(
                "POST",
                "/api/v1/groups",
                json!({"id": group, "models": if group == "g-1" { json!(["m-*"]) } else { json!([]) }}),
            )
            .await;
            rig.manage("POST", "/api/v1/users", json!({"id": format!("u-{group}"), "groups": [group]})).await;
        }
        let (first, _) = key(&rig, json!({"group": "g-1", "user": "u-g-1"})).await;
        let (second, _) = key(&rig, json!({"group": "g-2", "user": "u-g-2"})).await;
        let names = async |path: &str, key: &str, field: &str| {
            let answer = rig.ask("GET", path, key, &Value::Null).await.json();
            let items = answer["items"].as_array().unwrap();
            items.iter().map(|it| it[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("/api/v1/models", &first, "name").await, ["m-open"]);
        assert_eq!(names("/api/v1/models", &second, "name").await, ["m-closed", "m-open", "mock"]);
        assert_eq!(names("/api/v1/prices", &first, "model").await, ["m-open"]);
        assert_eq!(names("/api/v1/models?search=closed", MASTER, "name").await, ["m-closed"]);
        let hidden = rig.ask("GET", "/api/v1/models/m-closed", &first, &Value::Null).await;
        let none = rig.ask("GET", "/api/v1/models/m-nowhere", &first, &Value::Null).await;
        assert_eq!(
            (hidden.status, hidden.text().replace("m-closed", "X")),
            (none.status, none.text().replace("m-nowhere", "X"))
        );
        let seen = rig.ask("GET", "/api/v1/models/m-open", &first, &Value::Null).await.json();
        assert!(seen.get("channels").is_none(), "{seen}");
        let whole = rig.manage("GET", "/api/v1/models/m-open", Value::Null).await;
        assert_eq!((&whole["channels"][0]["id"], &whole["priced"]), (&json!("open"), &json!(true)));
        let price = rig.manage("GET", "/api/v1/prices?model=m-open", Value::Null).await;
        assert_eq!(
            (&price["items"][0]["source"], &price["items"][0]["currency"]),
            (&json!("list"), &json!("USD"))
        );
    });
}

#[test]
fn an_organization_sees_no_model_that_is_kept_to_another_s_groups() {
    block_on(async {
        let rig = Rig::new().await;
        for organization in ["acme", "umbra"] {
            rig.manage("POST", "/api/v1/organizations", json!({"id": organization})).await;
            let group = json!({"id": format!("g-{organization}"), "organization": organization});
            rig.manage("POST", "/api/v1/groups", group).await;
            let declared = json!({"id": organization, "name": organization, "provider": "openai",
                "groups": [format!("g-{organization}")],
                "models": [{"name": format!("m-{organization}"), "upstream": "gpt-5.4"}]});
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        }
        for (role, user) in [("organization_admin", "admin"), ("auditor", "auditor")] {
            rig.manage("POST", "/api/v1/users", json!({"id": user, "organization": "acme", "role": role}))
                .await;
            let (key, _) = key(&rig, json!({"user": user})).await;
            for path in ["/api/v1/models", "/api/v1/prices"] {
                let answer = rig.ask("GET", path, &key, &Value::Null).await;
                assert_eq!(answer.status, 200, "{role} {path}");
                let text = answer.text();
                assert!(text.contains("m-acme") && !text.contains("umbra"), "{role} {path}: {text}");
            }
            let hidden = rig.ask("GET", "/api/v1/models/m-umbra", &key, &Value::Null).await;
            assert_eq!(hidden.status, 404, "{role}");
            let (cookie, _) = rig.signed_in(user).await;
            for path in ["/v1/model/info", "/v2/model/info", "/model_group/info"] {
                for answer in [
                    rig.ask("GET", path, &key, &Value::Null).await,
                    rig.by(&cookie, "GET", path, &Value::Null).await,
                ] {
                    let text = answer.text();
                    assert!(text.contains("m-acme") && !text.contains("umbra"), "{role} {path}: {text}");
                }
            }
            let seen = rig.ask("GET", "/api/v1/models/m-acme", &key, &Value::Null).await.json();
            assert_eq!(seen["groups"], json!(["g-acme"]), "{role}");
        }
    });
}

#[test]
fn limits_tell_what_is_used_the_fullest_first() {
    block_on(async {
        let rig = Rig::new().await;
        let (first, made) = key(&rig, json!({"alias": "a", "limits": {"requests": {"day": 2}}})).await;
        key(&rig, json!({"alias": "b", "limits": {"requests": {"day": 2}}})).await;
        rig.manage(
            "POST",
            "/api/v1/groups",
            json!({"id": "g", "limits": {"total_tokens": {"month": "40M"}}}),
        )
        .await;
        let call = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(rig.ask("POST", "/v1/chat/completions", &first, &call).await.status, 200);
        let all = rig.manage("GET", "/api/v1/limits", Value::Null).await;
        assert_eq!(all["total"], 3, "{all}");
        let top = &all["items"][0];
        assert_eq!(
            (&top["id"], &top["settled"], &top["remaining"], &top["used_ppm"]),
            (&made["id"], &json!(1), &json!(1), &json!(500_000))
        );
        assert!(top["resets_at"].is_i64());
        let of_keys = rig.manage("GET", "/api/v1/limits?scope=key&min_used_percent=50", Value::Null).await;
        assert_eq!(of_keys["total"], 1);
        let mine = rig.ask("GET", "/api/v1/limits", &first, &Value::Null).await.json();
        assert_eq!(mine["total"], 1, "{mine}");
        assert_eq!(rig.ask("GET", "/api/v1/limits?scope=team", MASTER, &Value::Null).await.status, 400);
    });
}

#[test]
fn the_system_tells_how_it_stands_and_the_settings_no_secret() {
    block_on(async {
        let rig = Rig::new().await;
        let system = rig.manage("GET", "/api/v1/system", Value::Null).await;
        assert_eq!(
            (&system["database"]["kind"], &system["database"]["answers"]),
            (&json!("memory"), &json!(true))
        );
        assert_eq!((&system["channels"]["total"], &system["uptime_ms"]), (&json!(1), &json!(0)));
        let settings = rig.ask("GET", "/api/v1/settings", MASTER, &Value::Null).await.text();
        assert!(settings.contains("\"time_zone\"") && !settings.contains("\"master_key\""), "{settings}");
        assert!(!settings.contains(MASTER));
        let one = rig.manage("GET", "/api/v1/providers/deepseek", Value::Null).await;
        assert_eq!(
            (&one["form"]["credential"], &one["form"]["address_required"]),
            (&json!("required"), &json!(false))
        );
        assert!(one["models"].as_array().is_some_and(|models| !models.is_empty()));
    });
}
