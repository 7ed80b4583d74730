//! Names that are taken, changes at once, the default organization, and what is seen of members.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

#[test]
fn a_name_that_is_taken_is_told_with_who_has_it_to_who_may_see_them() {
    block_on(async {
        let rig = Rig::new().await;
        for group in ["mine", "theirs"] {
            rig.manage("POST", "/api/v1/groups", json!({"id": group, "alias": format!("{group} alias")}))
                .await;
        }
        rig.manage("POST", "/api/v1/users", json!({"id": "gina", "email": "gina@example.com"})).await;
        rig.manage("POST", "/api/v1/groups/mine/members", json!({"user": "gina", "role": "group_admin"}))
            .await;
        let key = rig.manage("POST", "/api/v1/keys", json!({"user": "gina", "group": "mine"})).await;
        let gina = key["secret"].as_str().unwrap();
        let taken = rig.manage("POST", "/api/v1/keys", json!({"alias": "same", "group": "theirs"})).await;
        let taken = taken["key"]["id"].as_str().unwrap();
        for (who, path, body, param, holder, is_told) in [
            (MASTER, "/api/v1/keys", json!({"alias": "same"}), "alias", taken, true),
            (gina, "/api/v1/keys", json!({"alias": "same", "group": "mine"}), "alias", taken, false),
            (MASTER, "/api/v1/groups", json!({"alias": "mine alias"}), "alias", "mine", true),
            (MASTER, "/api/v1/users", json!({"email": "GINA@example.com"}), "email", "gina", true),
        ] {
            let answer = rig.ask("POST", path, who, &body).await;
            let (status, error) = (answer.status, answer.json()["error"].clone());
            assert_eq!((status, &error["param"]), (409, &json!(param)), "{body}: {}", answer.text());
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("is already taken by"), "{message}");
            assert_eq!(message.contains(&format!("`{holder}` has it")), is_told, "{body}: {message}");
            assert_eq!(
                answer.text().contains(holder),
                is_told || holder == "gina",
                "{body}: {}",
                answer.text()
            );
            for inner in ["step", "holder"] {
                assert!(error.get(inner).is_none(), "{}", answer.text());
            }
        }
    });
}

#[test]
fn changes_at_once_that_name_no_state_are_all_made() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "g"})).await;
        let change = async |n: i64| {
            let body = json!({"limits": {"requests": {"day": n}}});
            rig.ask("PATCH", "/api/v1/groups/g", MASTER, &body).await.status
        };
        let four = async |n: i64| tokio::join!(change(n), change(n + 1), change(n + 2), change(n + 3));
        let (a, b, c, d) = tokio::join!(four(1), four(5), four(9), four(13));
        for statuses in [a, b, c, d] {
            assert_eq!(statuses, (200, 200, 200, 200));
        }
        let trail = rig.manage("GET", "/api/v1/audit?action=group.update", Value::Null).await;
        assert_eq!(trail["total"], 16);
    });
}

#[test]
fn the_default_organization_is_there_and_made_by_what_is_said_of_it() {
    block_on(async {
        let rig = Rig::new().await;
        let path = "/api/v1/organizations/default";
        let unmade = rig.manage("GET", path, Value::Null).await;
        assert_eq!((&unmade["id"], &unmade["alias"]), (&json!("default"), &Value::Null));
        assert_eq!(rig.ask("DELETE", path, MASTER, &Value::Null).await.status, 409);
        rig.manage("POST", "/api/v1/users", json!({"id": "u"})).await;
        let key = rig.manage("POST", "/api/v1/keys", json!({"user": "u"})).await;
        let user = key["secret"].as_str().unwrap();
        let (known, unknown) = tokio::join!(
            rig.ask("GET", path, user, &Value::Null),
            rig.ask("GET", "/api/v1/organizations/nowhere", user, &Value::Null)
        );
        assert_eq!((known.status, known.text().replace("default", "nowhere")), (404, unknown.text()));
        let change = async |body: Value| rig.ask("PATCH", path, MASTER, &body).await.status;
        let both =
            tokio::join!(change(json!({"alias": "Everybody"})), change(json!({"metadata": {"a": "b"}})));
        assert_eq!(both, (200, 200));
        let made = rig.manage("GET", path, Value::Null).await;
        assert_eq!((&made["alias"], &made["metadata"]["a"]), (&json!("Everybody"), &json!("b")));
    });
}

#[test]
fn a_groups_administrator_sees_what_members_used_in_that_group_alone() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "zoe"})).await;
        let call = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
        for (group, calls) in [("ga", 1), ("gb", 2)] {
            rig.manage("POST", "/api/v1/groups", json!({"id": group})).await;
            let boss = format!("boss-{group}");
            rig.manage("POST", "/api/v1/users", json!({"id": boss})).await;
            let members = format!("/api/v1/groups/{group}/members");
            rig.manage("POST", &members, json!({"user": boss, "role": "group_admin"})).await;
            rig.manage("POST", &members, json!({"user": "zoe"})).await;
            let key = rig.manage("POST", "/api/v1/keys", json!({"user": "zoe", "group": group})).await;
            for _ in 0..calls {
                let answer =
                    rig.ask("POST", "/v1/chat/completions", key["secret"].as_str().unwrap(), &call).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        let key_of = async |user: &str, group: &str| {
            let key = rig.manage("POST", "/api/v1/keys", json!({"user": user, "group": group})).await;
            key["secret"].as_str().unwrap().to_owned()
        };
        let (a, b) = (key_of("boss-ga", "ga").await, key_of("boss-gb", "gb").await);
        let zoe = key_of("zoe", "ga").await;
        for (who, want) in [(&*a, 1), (&*b, 2), (&*zoe, 3), (MASTER, 3)] {
            let one = rig.ask("GET", "/api/v1/users/zoe", who, &Value::Null).await.json();
            assert_eq!(one["used"]["requests"], want, "{one}");
            let all = rig.ask("GET", "/api/v1/users", who, &Value::Null).await.json();
            let listed = all["items"].as_array().unwrap().iter().find(|it| it["id"] == "zoe").unwrap();
            assert_eq!(listed["used"]["requests"], want, "{listed}");
        }
    });
}

#[test]
fn whoever_belongs_to_an_organization_is_told_what_it_is_called() {
    block_on(async {
        let rig = Rig::new().await;
        for organization in [json!({"id": "acme", "alias": "Acme"}), json!({"id": "plain"})] {
            rig.manage("POST", "/api/v1/organizations", organization).await;
        }
        for (user, organization, alias) in
            [("ann", "acme", json!("Acme")), ("pia", "plain", Value::Null), ("dan", "default", Value::Null)]
        {
            let new =
                json!({"id": user, "email": format!("{user}@example.com"), "organization": organization});
            rig.manage("POST", "/api/v1/users", new).await;
            let (cookie, _) = rig.signed_in(user).await;
            let me = rig.by(&cookie, "GET", "/api/v1/me", &Value::Null).await.json();
            assert_eq!(
                (&me["organization"], &me["organization_alias"]),
                (&json!(organization), &alias),
                "{me}"
            );
            let session = rig.by(&cookie, "GET", "/api/v1/session", &Value::Null).await.json();
            assert_eq!(session["me"], me);
            // What else there is of it stays untold.
            let path = format!("/api/v1/organizations/{organization}");
            assert_eq!(rig.by(&cookie, "GET", &path, &Value::Null).await.status, 404);
        }
        let operator = rig.manage("GET", "/api/v1/me", Value::Null).await;
        assert_eq!(operator["organization_alias"], Value::Null, "{operator}");
        assert_eq!(operator.get("organization_alias"), Some(&Value::Null));
    });
}

/// An alias that two organizations have is no one's that can be acted on.
#[test]
fn an_alias_of_several_organizations_is_told_with_their_ids() {
    block_on(async {
        let rig = Rig::new().await;
        let mut ids = Vec::new();
        for organization in ["aa", "bb"] {
            rig.manage("POST", "/api/v1/organizations", json!({"id": organization})).await;
            let key = json!({"alias": "ci", "organization": organization});
            ids.push(rig.manage("POST", "/api/v1/keys", key).await["key"]["id"].as_str().unwrap().to_owned());
            let group =
                json!({"id": format!("eng-{organization}"), "alias": "eng", "organization": organization});
            rig.manage("POST", "/api/v1/groups", group).await;
        }
        let groups = ["eng-aa", "eng-bb"].map(str::to_owned).to_vec();
        for (method, path, body, told) in [
            ("POST", "/key/block", json!({"key": "ci"}), &ids),
            ("POST", "/key/delete", json!({"key_aliases": ["ci"]}), &ids),
            ("GET", "/key/info?key=ci", Value::Null, &ids),
            ("GET", "/api/v1/keys/ci", Value::Null, &ids),
            ("DELETE", "/api/v1/keys/ci", Value::Null, &ids),
            ("POST", "/team/delete", json!({"team_ids": ["eng"]}), &groups),
            ("GET", "/team/info?team_id=eng", Value::Null, &groups),
            ("PATCH", "/api/v1/groups/eng", json!({"blocked": true}), &groups),
            ("POST", "/api/v1/keys", json!({"group": "eng"}), &groups),
        ] {
            let answer = rig.ask(method, path, MASTER, &body).await;
            assert_eq!(answer.status, 409, "{method} {path}: {}", answer.text());
            assert!(told.iter().all(|id| answer.text().contains(id.as_str())), "{}", answer.text());
        }
        rig.manage("PATCH", "/api/v1/groups/eng-aa", json!({"blocked": true})).await;
    });
}
