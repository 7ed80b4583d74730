//! Many users and many memberships at once: all of it, or nothing; each by what its sender may do to it alone.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

const USERS: &str = "/api/v1/users/bulk";
const MEMBERS: &str = "/api/v1/memberships/bulk";

/// Two organizations: in the first the groups `mine`, which gina administers, and `other`; olga administers it all.
async fn world() -> (Rig, String, String) {
    let rig = Rig::new().await;
    for organization in ["acme", "rival"] {
        rig.manage("POST", "/api/v1/organizations", json!({"id": organization})).await;
    }
    for (group, organization) in [("mine", "acme"), ("other", "acme"), ("theirs", "rival")] {
        rig.manage("POST", "/api/v1/groups", json!({"id": group, "organization": organization})).await;
    }
    for (user, organization, role) in [
        ("olga", "acme", "organization_admin"),
        ("gina", "acme", "user"),
        ("ann", "acme", "user"),
        ("bob", "acme", "user"),
        ("rita", "rival", "user"),
    ] {
        let body = json!({"id": user, "organization": organization, "role": role});
        rig.manage("POST", "/api/v1/users", body).await;
    }
    rig.manage("POST", "/api/v1/groups/mine/members", json!({"user": "gina", "role": "group_admin"})).await;
    let mut secrets = Vec::new();
    for (user, group) in [("olga", Value::Null), ("gina", json!("mine"))] {
        let body = json!({"alias": user, "user": user, "group": group, "organization": "acme"});
        let key = rig.manage("POST", "/api/v1/keys", body).await;
        secrets.push(key["secret"].as_str().unwrap().to_owned());
    }
    let gina = secrets.pop().unwrap();
    (rig, secrets.pop().unwrap(), gina)
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect()
}

async fn ids(rig: &Rig, path: &str) -> Vec<String> {
    let all = rig.manage("GET", path, Value::Null).await;
    let mut ids: Vec<String> =
        all["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn many_users_are_made_changed_and_removed_in_one_step() {
    block_on(async {
        let (rig, olga, _) = world().await;
        let body = json!({"items": [
            {"create": {"id": "carl", "email": "carl@acme.test", "groups": ["mine"]}},
            {"user": "ann", "set": {"alias": "Ann", "limits": {"requests": {"day": 5}}}},
            {"user": "bob", "delete": true},
            {"user": "gina", "set": {"blocked": false}},
        ]});
        let answer = rig.ask("POST", USERS, &olga, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(
            (&answer["done"], outcomes(&answer)),
            (&json!(true), vec!["created", "changed", "deleted", "same"])
        );
        assert_eq!(ids(&rig, "/api/v1/users?organization=acme").await, ["ann", "carl", "gina", "olga"]);
        let carl = rig.manage("GET", "/api/v1/users/carl", Value::Null).await;
        assert_eq!(carl["memberships"][0]["group"], "mine", "{carl}");
        let ann = rig.manage("GET", "/api/v1/users/ann", Value::Null).await;
        assert_eq!((&ann["alias"], &ann["limits"]["requests"]["day"]), (&json!("Ann"), &json!(5)), "{ann}");
        // Each has its own event.
        let events = rig.ask("GET", "/api/v1/audit", &olga, &Value::Null).await.json();
        let actions: Vec<&str> =
            events["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
        let want = ["member.add", "user.delete", "user.update", "user.create"];
        assert_eq!(actions[..4], want, "{events}");
        assert_eq!(rig.manage("GET", "/api/v1/audit/verify", Value::Null).await["sound"], true);
        // All the same with several.
        let body = json!({"users": ["ann", "carl"], "set": {"blocked": true}});
        assert_eq!(outcomes(&rig.ask("POST", USERS, &olga, &body).await.json()), ["changed", "changed"]);
    });
}

#[test]
fn when_one_user_is_refused_nothing_is_done_to_any() {
    block_on(async {
        let (rig, olga, gina) = world().await;
        rig.manage("PATCH", "/api/v1/users/ann", json!({"email": "ann@acme.test"})).await;
        let before = rig.manage("GET", "/api/v1/audit", Value::Null).await["total"].clone();
        let block = json!({"blocked": true});
        for (by, second, message) in [
            // Another organization's user, and one who isn't there: the same words.
            (&olga, json!({"user": "rita", "delete": true}), "user `rita` doesn't exist"),
            (&olga, json!({"user": "nope", "delete": true}), "user `nope` doesn't exist"),
            (&olga, json!({"create": {"organization": "rival"}}), "organization `rival` doesn't exist"),
            (&olga, json!({"create": {"role": "super_admin"}}), "your role doesn't allow"),
            (&olga, json!({"user": "gina", "set": {"role": "super_admin"}}), "your role doesn't allow"),
            (&olga, json!({"user": "bob", "delete": true}), "is named twice"),
            (&olga, json!({"user": "gina", "set": block, "etag": "1-0"}), "changed meanwhile"),
            (&olga, json!({"user": "gina"}), "an item is either"),
            (&olga, json!({"user": "gina", "set": block, "delete": true}), "an item is either"),
            // Found by the database alone.
            (&olga, json!({"create": {"id": "dora", "email": "ann@acme.test"}}), "already"),
            (&olga, json!({"create": {"id": "ann"}}), "already"),
            (&gina, json!({"user": "gina", "set": {"alias": "G"}}), ""),
        ] {
            let body = json!({"items": [{"user": "bob", "set": block}, second]});
            let answer = rig.ask("POST", USERS, by, &body).await;
            assert_eq!(answer.status, 200, "{body}: {}", answer.text());
            let answer = answer.json();
            assert_eq!(answer["done"], false, "{answer}");
            let refused = if message.is_empty() { 0 } else { 1 };
            assert_eq!(outcomes(&answer)[refused], "refused", "{answer}");
            let said = answer["items"][refused]["message"].as_str().unwrap();
            assert!(said.contains(message), "{answer}");
        }
        assert_eq!(rig.manage("GET", "/api/v1/users/bob", Value::Null).await["blocked"], false);
        assert_eq!(rig.manage("GET", "/api/v1/audit", Value::Null).await["total"], before);
        let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
        for body in [
            json!({}),
            json!({"users": ["ann"]}),
            json!({"set": block}),
            json!({"users": ["ann"], "set": block, "delete": true}),
            json!({"users": many, "delete": true}),
            json!({"users": ["ann"], "remove": true}),
            json!({"items": [{"user": "ann", "set": {"blokced": true}}]}),
        ] {
            assert_eq!(rig.ask("POST", USERS, &olga, &body).await.status, 400, "{body}");
        }
    });
}

#[test]
fn the_last_super_administrators_arent_removed_together() {
    block_on(async {
        let (rig, ..) = world().await;
        for id in ["first", "second"] {
            rig.manage("POST", "/api/v1/users", json!({"id": id, "role": "super_admin"})).await;
        }
        for body in [
            json!({"users": ["first", "second"], "delete": true}),
            json!({"users": ["first", "second"], "set": {"role": "user"}}),
        ] {
            let answer = rig.ask("POST", USERS, MASTER, &body).await.json();
            assert_eq!((&answer["done"], outcomes(&answer)[1]), (&json!(false), "refused"), "{answer}");
        }
        assert_eq!(rig.manage("GET", "/api/v1/users/first", Value::Null).await["role"], "super_admin");
    });
}

#[test]
fn many_memberships_are_changed_in_one_step_or_none_is() {
    block_on(async {
        let (rig, olga, gina) = world().await;
        let item = |group: &str, user: &str, what: Value| {
            let mut item = json!({"group": group, "user": user});
            item.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
            item
        };
        let add = || json!({"add": {}});
        let body = json!({"items": [
            item("mine", "ann", json!({"add": {"role": "group_admin", "limits": {"requests": {"day": 5}}}})),
            item("mine", "bob", add()),
            item("mine", "gina", json!({"set": {"role": "group_admin"}})),
        ]});
        let answer = rig.ask("POST", MEMBERS, &gina, &body).await.json();
        assert_eq!(outcomes(&answer), ["created", "created", "same"], "{answer}");
        assert_eq!(answer["items"][0]["id"], "mine/ann", "{answer}");
        let body = json!({"items": [
            item("mine", "ann", json!({"set": {"role": "user"}})),
            item("mine", "bob", json!({"remove": true})),
            item("other", "bob", add()),
        ]});
        // Of a group that isn't hers: nothing is done.
        let answer = rig.ask("POST", MEMBERS, &gina, &body).await.json();
        assert_eq!((&answer["done"], outcomes(&answer)[2]), (&json!(false), "refused"), "{answer}");
        let answer = rig.ask("POST", MEMBERS, &olga, &body).await.json();
        assert_eq!(outcomes(&answer), ["changed", "deleted", "created"], "{answer}");
        let before = rig.manage("GET", "/api/v1/audit", Value::Null).await["total"].clone();
        for (by, second, message) in [
            (&gina, item("theirs", "rita", json!({"remove": true})), "group `theirs` doesn't exist"),
            (&gina, item("nope", "rita", json!({"remove": true})), "group `nope` doesn't exist"),
            (&olga, item("other", "rita", add()), "user `rita` doesn't exist"),
            (&olga, item("other", "nope", add()), "user `nope` doesn't exist"),
            (&olga, item("other", "bob", add()), "is in group `other` already"),
            (&olga, item("mine", "ann", json!({"remove": true})), "is named twice"),
            (&olga, item("other", "gina", json!({"remove": true})), "doesn't exist"),
            (
                &olga,
                item("other", "gina", json!({"add": {"role": "super_admin"}})),
                "`user` or `group_admin`",
            ),
            (&olga, item("other", "bob", json!({"remove": true, "etag": "1-0"})), "changed meanwhile"),
            (&olga, item("other", "bob", json!({})), "an item is a `group`"),
        ] {
            let body =
                json!({"items": [item("mine", "ann", json!({"set": {"role": "group_admin"}})), second]});
            let answer = rig.ask("POST", MEMBERS, by, &body).await.json();
            assert_eq!((&answer["done"], outcomes(&answer)[1]), (&json!(false), "refused"), "{answer}");
            assert!(answer["items"][1]["message"].as_str().unwrap().contains(message), "{answer}");
        }
        assert_eq!(rig.manage("GET", "/api/v1/audit", Value::Null).await["total"], before);
        for body in [
            json!({}),
            json!({"items": [{"group": "mine"}]}),
            json!({"items": [item("a", "b", json!({"ad": {}}))]}),
        ] {
            assert_eq!(rig.ask("POST", MEMBERS, &olga, &body).await.status, 400, "{body}");
        }
    });
}
