//! What somebody may not see is answered as what doesn't exist: `tests/data/litellm-sight.yaml`, each row in a world that has the
//! things of others, and in one that has nothing of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use sluicegate_server::block_on;
use sluicegate_server::routes::litellm::registry;

use crate::rig::{Answer, MASTER, Rig};

/// Who asks, and whose things are asked for.
const ASKED: [(&str, &str); 5] =
    [("admin", "far"), ("lead", "near"), ("lead", "far"), ("user", "near"), ("user", "far")];

/// Keys by whose they are: chosen, so that they are called the same in a world that hasn't got them.
const KEYS: [(&str, &str); 3] = [
    ("own", "sk-own-7f3a9c1e5b2d8460f1a7c3e9b5d20846"),
    ("near", "sk-near-41c9e07b6ad2583fe9b1740c8d35a62f"),
    ("far", "sk-far-d80b53e6f19a274cc72e5f0b9148ad36"),
];

type Names = BTreeMap<String, String>;

struct World {
    rig: Rig,
    /// What the askers ask by.
    asks: BTreeMap<&'static str, String>,
    /// By whose it is and what it is.
    names: Names,
}

impl World {
    /// A world with these things, `own` among them; of what `known` names it isn't told anew.
    async fn of(whose: &[&'static str]) -> Self {
        let rig = Rig::new().await;
        let mut it = Self { rig, asks: BTreeMap::new(), names: Names::new() };
        for (user, role) in [("admin", "org_admin"), ("lead", "internal_user"), ("user", "internal_user")] {
            if user == "admin" {
                it.manage(
                    "/organization/new",
                    json!({"organization_id": "own-org", "organization_alias": "own"}),
                )
                .await;
            }
            let new = json!({"user_id": user, "organization_id": "own-org", "user_role": role});
            let made = it.manage("/user/new", new).await;
            it.asks.insert(user, text(&made["key"]));
        }
        for whose in whose {
            it.put(whose).await;
        }
        for (user, role) in [("lead", "admin"), ("user", "user")] {
            let member = json!({"team_id": "own-team", "member": {"role": role, "user_id": user}});
            it.manage("/team/member_add", member).await;
        }
        it
    }

    async fn put(&mut self, whose: &'static str) {
        let organization = if whose == "far" { "far-org" } else { "own-org" };
        if whose == "far" {
            let new = json!({"organization_id": organization, "organization_alias": whose});
            self.manage("/organization/new", new).await;
            self.manage("/budget/new", json!({"budget_id": "a-budget", "max_budget": 1})).await;
            let credential =
                json!({"credential_name": "a-credential", "credential_values": {"api_key": "sk-upstream"}});
            self.manage("/credentials", credential).await;
            self.manage("/access_group/new", json!({"access_group": "an-access", "model_names": ["mock"]}))
                .await;
        }
        self.manage("/customer/new", json!({"user_id": format!("{whose}-customer"), "max_budget": 1})).await;
        self.manage("/tag/new", json!({"name": format!("{whose}-tag"), "max_budget": 1})).await;
        let user = json!({
            "user_id": format!("{whose}-user"), "user_email": format!("{whose}@example.com"),
            "organization_id": organization, "auto_create_key": false,
        });
        self.manage("/user/new", user).await;
        let second = json!({"user_id": format!("{whose}-second"), "organization_id": organization});
        self.manage("/user/new", second).await;
        let team = json!({
            "team_id": format!("{whose}-team"), "team_alias": format!("{whose}-crew"), "max_budget": 100,
            "organization_id": organization,
            "members_with_roles": [{"role": "user", "user_id": format!("{whose}-user")}],
        });
        self.manage("/team/new", team).await;
        let secret = key_of(whose);
        let key = json!({
            "key": secret, "key_alias": format!("{whose}-key"), "team_id": format!("{whose}-team"),
            "user_id": format!("{whose}-user"), "max_budget": 50,
        });
        self.manage("/key/generate", key).await;
        let call = json!({"model": "mock", "max_tokens": 5, "user": format!("{whose}-customer"), "messages": [{"role": "user", "content": "hi"}]});
        let headers =
            [("authorization", &*format!("Bearer {secret}")), ("x-litellm-tags", &*format!("{whose}-tag"))];
        let called = self.rig.send("POST", "/v1/chat/completions", &headers, &call).await;
        assert_eq!(called.status, 200, "{}", called.text());
        let logged =
            self.rig.ask("GET", &format!("/spend/logs?api_key={secret}"), MASTER, &Value::Null).await;
        let listed =
            self.rig.ask("GET", &format!("/api/v1/keys?alias={whose}-key"), MASTER, &Value::Null).await;
        let invited = self.manage("/invitation/new", json!({"user_id": format!("{whose}-user")})).await;
        for (name, value) in [
            ("CALL", text(&logged.json()[0]["request_id"])),
            ("KEYID", text(&listed.json()["items"][0]["id"])),
            ("INVITATION", text(&invited["id"])),
        ] {
            self.names.insert(format!("{whose} {name}"), value);
        }
    }

    async fn manage(&self, path: &str, body: Value) -> Value {
        self.rig.manage("POST", path, body).await
    }

    async fn ask(&self, row: &Value, asker: &str, whose: &str, names: &Names) -> Answer {
        let (call, body) = (row["call"].as_str().unwrap(), filled(&row["body"], whose, names));
        let call = fill(call, whose, names);
        let (method, path) = call.split_once(' ').unwrap();
        self.rig.ask(method, path, &self.asks[asker], &body).await
    }

    async fn head(&self) -> Value {
        json!(format!("{:?}", self.rig.gateway.store().head().await.unwrap()))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn key_of(whose: &str) -> &'static str {
    KEYS.iter().find(|(of, _)| *of == whose).unwrap().1
}

/// A text with what its placeholders stand for.
fn fill(text: &str, whose: &str, names: &Names) -> String {
    let hash = |key: &str| sluicegate::credential::KeyHash::of(key).to_string();
    let of = |name: &str| names.get(&format!("{whose} {name}")).cloned().unwrap_or_default();
    let organization = if whose == "far" { "far-org" } else { "own-org" };
    let mut text = text.to_owned();
    for (name, value) in [
        ("KEY", key_of(whose).to_owned()),
        ("HASH", hash(key_of(whose))),
        ("KEYID", of("KEYID")),
        ("ALIAS", format!("{whose}-key")),
        ("TEAM", format!("{whose}-team")),
        ("TEAMALIAS", format!("{whose}-crew")),
        ("USER", format!("{whose}-user")),
        ("EMAIL", format!("{whose}@example.com")),
        ("ORG", organization.to_owned()),
        ("CALL", of("CALL")),
        ("INVITATION", of("INVITATION")),
        ("OWNKEY", key_of("own").to_owned()),
        ("OWNTEAM", "own-team".to_owned()),
        ("OWNUSER", "own-user".to_owned()),
        ("OWNORG", "own-org".to_owned()),
        ("CUSTOMER", format!("{whose}-customer")),
        ("TAG", format!("{whose}-tag")),
        ("BUDGET", "a-budget".to_owned()),
        ("CREDENTIAL", "a-credential".to_owned()),
        ("ACCESS", "an-access".to_owned()),
    ] {
        text = text.replace(&format!("<{name}>"), &value);
    }
    assert!(!text.contains('<'), "{text} has a placeholder that stands for nothing");
    text
}

fn filled(body: &Value, whose: &str, names: &Names) -> Value {
    match body {
        Value::String(text) => fill(text, whose, names).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, whose, names)).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, item)| (name.clone(), filled(item, whose, names))).collect()
        }
        other => other.clone(),
    }
}

fn data() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/litellm-sight.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows(data: &Value) -> &Vec<Value> {
    let rows = data["rows"].as_array().unwrap();
    for row in rows {
        for name in row.as_object().unwrap().keys() {
            assert!(["call", "body", "own", "foreign", "told"].contains(&name.as_str()), "{row}");
        }
    }
    rows
}

#[test]
fn every_route_that_is_served_is_in_the_table() {
    let data = data();
    let asked: Vec<String> = rows(&data)
        .iter()
        .map(|row| row["call"].as_str().unwrap().split('?').next().unwrap().to_owned())
        .collect();
    let nameless: Vec<&str> =
        data["nameless"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let fits = |pattern: &str, asked: &str| {
        let (mut want, mut got) = (pattern.split('/'), asked.split('/'));
        loop {
            match (want.next(), got.next()) {
                (None, None) => return true,
                (Some(want), Some(got)) if want == got || (want.starts_with('{') && got.starts_with('<')) => {
                }
                _ => return false,
            }
        }
    };
    let served = registry::routes().filter(|route| route.why.is_empty());
    let routes: Vec<String> =
        served.map(|route| format!("{} {}", route.method, route.path.replace(":.*", ""))).collect();
    let missing: Vec<&String> = routes
        .iter()
        .filter(|route| !nameless.contains(&route.as_str()) && !asked.iter().any(|it| fits(route, it)))
        .collect();
    assert!(missing.is_empty(), "tests/data/litellm-sight.yaml lacks {missing:#?}");
    let odd: Vec<&&str> = nameless.iter().filter(|it| !routes.iter().any(|route| route == **it)).collect();
    assert!(odd.is_empty(), "tests/data/litellm-sight.yaml names {odd:?}, which no route serves");
}

#[test]
fn what_somebody_may_not_see_is_answered_like_what_does_not_exist() {
    block_on(async {
        let (data, mut faults) = (data(), Vec::new());
        let (all, alone) = (&["own", "near", "far"][..], &["own"][..]);
        let (mut with, mut without) = (World::of(all).await, World::of(alone).await);
        for row in rows(&data) {
            let call = row.to_string();
            let own = with.ask(row, "admin", "own", &with.names).await;
            let want = row["own"].as_u64().unwrap_or(200);
            if u64::from(own.status) != want {
                faults.push(format!("{call} of one's own: {} instead of {want}: {}", own.status, own.text()));
            }
            if own.status < 300 && !call.contains("GET ") {
                with = World::of(all).await;
            }
            for (asker, whose) in ASKED {
                // What is the organization's is near nobody.
                if whose == "near" && call.contains("<ORG>") {
                    continue;
                }
                let place = format!("{call} {whose} by {asker}");
                let before = with.head().await;
                let theirs = with.ask(row, asker, whose, &with.names).await;
                let none = without.ask(row, asker, whose, &with.names).await;
                let (theirs, none) = ((theirs.status, theirs.text()), (none.status, none.text()));
                let want = row["foreign"].as_u64().unwrap_or(404);
                if asker == "admin" && u64::from(theirs.0) != want {
                    faults.push(format!("{place}: {} instead of {want}: {}", theirs.0, theirs.1));
                }
                let told = &row["told"];
                let is_told = told.get(asker).is_some() || told.get(format!("{whose} {asker}")).is_some();
                match (theirs == none, is_told) {
                    (true, false) | (false, true) => {}
                    (true, true) => faults.push(format!("{place}: nothing is told of it any more")),
                    (false, false) => {
                        faults.push(format!("{place}: {theirs:?} gives away that it isn't {none:?}"))
                    }
                }
                if theirs.0 >= 300 && before != with.head().await {
                    faults.push(format!("{place}: refused, and yet something was changed"));
                }
                if is_told {
                    (with, without) = (World::of(all).await, World::of(alone).await);
                }
            }
        }
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    });
}
