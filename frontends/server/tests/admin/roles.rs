//! Who may do what: `tests/data/roles.yaml`, cell by cell, and `docs/roles.md`, which is made from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};
use sluicegate_server::block_on;

use crate::rig::{Answer, Rig};

/// In the order of each row's words.
const ROLES: [&str; 5] = ["super_admin", "organization_admin", "group_admin", "user", "auditor"];

/// Whose a thing is, seen from who asks, in the order of the published table.
const WHOSE: [&str; 6] = ["own", "same_group", "other_group", "organization", "other_organization", "any"];

struct Row {
    operation: String,
    note: String,
    query: String,
    /// What a list must show to count as showing it.
    shows: Option<String>,
    body: Value,
    /// Other bodies, by whose the thing is.
    bodies: Value,
    /// What an operator does after a cell that was done, so that the next one finds the same: method, path, body. Without it,
    /// what deletes something leaves a new world to the next.
    undo: Value,
    /// A new world after each cell that was done.
    upsets: bool,
    cells: BTreeMap<String, Vec<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("tests/data/roles.yaml")).unwrap();
    let rows: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
    let row = |row: Value| {
        let fields = ["operation", "note", "query", "shows", "body", "bodies", "undo", "upsets", "may"];
        for name in row.as_object().unwrap().keys() {
            assert!(fields.contains(&name.as_str()), "a row has no `{name}`: {row}");
        }
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let cells = row["may"].as_object().unwrap_or_else(|| panic!("{row} says of nobody what they may"));
        let cells = cells.iter().map(|(whose, words)| {
            assert!(WHOSE.contains(&whose.as_str()), "{row}");
            let words: Vec<String> = words.as_str().unwrap().split_whitespace().map(str::to_owned).collect();
            assert_eq!(words.len(), ROLES.len(), "{row}");
            (whose.clone(), words)
        });
        Row {
            operation: text("operation"),
            note: text("note"),
            query: text("query"),
            shows: row["shows"].as_str().map(str::to_owned),
            body: row["body"].clone(),
            bodies: row["bodies"].clone(),
            undo: row["undo"].clone(),
            upsets: row["upsets"] == true,
            cells: cells.collect(),
        }
    };
    rows.into_iter().map(row).collect()
}

/// Every operation of the document: its method and path.
fn operations() -> BTreeMap<String, (String, String)> {
    let document: Value = serde_json::from_str(sluicegate_server::openapi::document()).unwrap();
    let mut found = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            found.insert(id, (method.to_ascii_uppercase(), path.clone()));
        }
    }
    found
}

/// Two organizations, three groups, and somebody of each role in group `g-1` of `o-1`.
struct World {
    rig: Rig,
    /// By role: the key that they ask with.
    keys: BTreeMap<&'static str, String>,
    /// Keys' ids, by alias; tokens' and sessions' by `token` or `session` and whose they are.
    ids: BTreeMap<String, String>,
    /// Keys that nothing was called by yet.
    secrets: Vec<String>,
    has_policies: bool,
}

impl World {
    async fn new() -> Self {
        let rig = Rig::new().await;
        for id in ["o-1", "o-2"] {
            rig.manage("POST", "/api/v1/organizations", json!({"id": id})).await;
        }
        for (id, organization) in [("g-1", "o-1"), ("g-2", "o-1"), ("g-3", "o-2")] {
            rig.manage("POST", "/api/v1/groups", json!({"id": id, "organization": organization})).await;
        }
        let (keys, ids) = (BTreeMap::new(), BTreeMap::new());
        let mut it = Self { rig, keys, ids, secrets: Vec::new(), has_policies: false };
        for role in ROLES {
            let (mine, inner) = match role {
                "group_admin" => ("user", "group_admin"),
                role => (role, "user"),
            };
            it.person(role, "o-1", mine, "g-1", inner).await;
            let key = it.key(&format!("asks-{role}"), "g-1", role).await;
            it.keys.insert(role, key);
            it.key(&format!("k-{role}"), "g-1", role).await;
        }
        for (user, organization, group, key) in [
            ("u-mate", "o-1", "g-1", "k-mate"),
            ("u-oth", "o-1", "g-2", "k-oth"),
            ("u-for", "o-2", "g-3", "k-for"),
        ] {
            it.person(user, organization, "user", group, "user").await;
            let secret = it.key(key, group, user).await;
            it.secrets.push(secret);
        }
        // Who is in two groups is in each no more than there.
        it.rig.manage("POST", "/api/v1/groups/g-2/members", json!({"user": "u-mate"})).await;
        // Somebody else may do everything, too; and a newcomer in each organization.
        it.rig.manage("POST", "/api/v1/users", json!({"id": "u-other-super", "role": "super_admin"})).await;
        for (id, organization) in [("u-new", "o-1"), ("u-far", "o-2")] {
            it.rig.manage("POST", "/api/v1/users", json!({"id": id, "organization": organization})).await;
        }
        it.rig
            .manage("POST", "/api/v1/channels", json!({"channel": channel("ch-1"), "secret": "sk-upstream"}))
            .await;
        it
    }

    /// What only some rows need, when one does.
    async fn ready(&mut self, path: &str, whose: &str, role: &str) {
        if path.contains("/policies") && !std::mem::replace(&mut self.has_policies, true) {
            for (name, of) in [
                ("p-g-1", json!({"group": "g-1"})),
                ("p-g-2", json!({"group": "g-2"})),
                ("p-g-3", json!({"group": "g-3"})),
                ("p-o-1", json!({"organization": "o-1"})),
                ("p-o-2", json!({"organization": "o-2"})),
                ("p-all", json!({})),
            ] {
                self.policy(name, of).await;
            }
        }
        if ["/records", "/spend", "/reports"].iter().any(|it| path.contains(it)) {
            for secret in std::mem::take(&mut self.secrets) {
                self.call(&secret).await;
            }
            let known: Vec<(String, String)> = self
                .ids
                .iter()
                .filter(|(name, _)| name.starts_with("k-"))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            for (key, id) in known {
                let path = format!("/api/v1/records?key={id}&limit=1");
                let found = self.rig.manage("GET", &path, Value::Null).await;
                if let Some(call) = found["items"][0]["call"].as_str() {
                    self.ids.insert(format!("call of {key}"), call.to_owned());
                }
            }
        }
        let enters = ["/{token}", "/{session}", "/{user}/second-step"].iter().any(|part| path.contains(part));
        let user = self.stands_for("USER", whose, role);
        if let Some(user) = user.filter(|user| enters && !self.ids.contains_key(&format!("session {user}"))) {
            self.enter(&user).await;
        }
    }

    async fn person(&self, id: &str, organization: &str, role: &str, group: &str, inner: &str) {
        let user = json!({"id": id, "organization": organization, "role": role});
        self.rig.manage("POST", "/api/v1/users", user).await;
        let member = json!({"user": id, "role": inner});
        self.rig.manage("POST", &format!("/api/v1/groups/{group}/members"), member).await;
    }

    async fn key(&mut self, alias: &str, group: &str, user: &str) -> String {
        // A key with bounds makes no other: those that are asked by have none.
        let limits =
            if alias.starts_with("asks-") { json!({}) } else { json!({"requests": {"day": 1_000_000}}) };
        let new = json!({"alias": alias, "group": group, "user": user, "limits": limits});
        let issued = self.rig.manage("POST", "/api/v1/keys", new).await;
        self.ids.insert(alias.to_owned(), issued["key"]["id"].as_str().unwrap().to_owned());
        issued["secret"].as_str().unwrap().to_owned()
    }

    /// Somebody signs in, and makes a token.
    async fn enter(&mut self, user: &str) {
        let (cookie, session) = self.rig.signed_in(user).await;
        let new = json!({"name": "mine", "scopes": ["read"]});
        let issued = self.rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await.json();
        self.ids.insert(format!("token {user}"), issued["token"]["id"].as_str().unwrap().to_owned());
        self.ids.insert(format!("session {user}"), session);
    }

    async fn call(&self, key: &str) {
        let body = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(self.rig.ask("POST", "/v1/chat/completions", key, &body).await.status, 200);
    }

    /// One version that ran, one that runs, and one that is tried beside it.
    async fn policy(&self, name: &str, of: Value) {
        let path = format!("/api/v1/policies/{name}");
        for (number, then) in [(1, "activate"), (2, "activate"), (3, "shadow")] {
            let mut new = of.clone();
            new["text"] = format!("fn route(call) {{}} // {number}").into();
            self.rig.manage("PUT", &path, new).await;
            self.rig.manage("POST", &format!("{path}/{then}"), json!({"version": number})).await;
        }
    }

    /// What a placeholder stands for.
    fn stands_for(&self, name: &str, whose: &str, role: &str) -> Option<String> {
        let (key, group, user, organization, policy) = match whose {
            "own" => (&*format!("k-{role}"), "g-1", role, "o-1", ""),
            "same_group" => ("k-mate", "g-1", "u-mate", "o-1", "p-g-1"),
            "other_group" => ("k-oth", "g-2", "u-oth", "o-1", "p-g-2"),
            "organization" => ("", "", "", "o-1", "p-o-1"),
            "other_organization" => ("k-for", "g-3", "u-for", "o-2", "p-o-2"),
            _ => ("", "", "", "", "p-all"),
        };
        let value = match name {
            "KEYID" => self.ids.get(key).map_or("", String::as_str),
            "KEY" => key,
            "GROUP" => group,
            "USER" => user,
            // Somebody of the same organization who isn't in the group.
            "NEWCOMER" if whose == "other_organization" => "u-far",
            "NEWCOMER" => "u-new",
            "ORGANIZATION" => organization,
            "POLICY" => policy,
            "CHANNEL" => "ch-1",
            "PROVIDER" => "openai",
            "FINGERPRINT" => "0123456789abcdef",
            "MODEL" => "mock",
            "TOKEN" | "SESSION" => {
                let name = format!("{} {user}", name.to_ascii_lowercase());
                self.ids.get(&name).map_or("", String::as_str)
            }
            "VERSION" => "2",
            "CALL" => "no-such-call",
            "BUDGET" | "CUSTOMER" | "TAG" | "ACCESS_GROUP" | "CREDENTIAL" => "no-such-name",
            "RECORD" => self.ids.get(&format!("call of {key}")).map_or("", String::as_str),
            other => panic!("nothing stands for {other}"),
        };
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A body with its placeholders filled; what is `unknown` with a name that nothing has.
    fn fill(&self, body: &Value, whose: &str, role: &str, unknown: &str) -> Value {
        match body {
            Value::String(text) if is_placeholder(text) => match self.stands_for(text, whose, role) {
                Some(_) if text == unknown => NOWHERE.into(),
                Some(value) => value.into(),
                None => panic!("{text} stands for nothing of {whose}"),
            },
            Value::Object(map) => {
                let fields =
                    map.iter().map(|(name, value)| (name.clone(), self.fill(value, whose, role, unknown)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    async fn ask(
        &self,
        row: &Row,
        (method, path): &(String, String),
        (whose, role): (&str, &str),
        unknown: &str,
    ) -> Answer {
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        for part in &mut parts {
            if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                let name = name.to_ascii_uppercase();
                let value =
                    self.stands_for(&name, whose, role).unwrap_or_else(|| panic!("{name} of {whose}"));
                *part = if name == unknown { NOWHERE.to_owned() } else { value };
            }
        }
        let mut path = parts.join("/");
        if !row.query.is_empty() {
            let mut query = row.query.clone();
            for name in ["KEYID", "GROUP", "USER"] {
                if query.contains(name) {
                    let value = if name == unknown {
                        NOWHERE.to_owned()
                    } else {
                        self.stands_for(name, whose, role).unwrap()
                    };
                    query = query.replace(name, &value);
                }
            }
            write!(path, "?{query}").unwrap();
        }
        let body = row.bodies.get(whose).unwrap_or(&row.body);
        self.rig.ask(method, &path, &self.keys[role], &self.fill(body, whose, role, unknown)).await
    }
}

impl World {
    /// What is out of sight answers as what doesn't exist, byte for byte but for the names that the asker gave.
    async fn gives_away(
        &self,
        row: &Row,
        route: &(String, String),
        (whose, role): (&str, &str),
        foreign: &Answer,
    ) -> Option<String> {
        let names = [
            "KEY",
            "GROUP",
            "USER",
            "ORGANIZATION",
            "POLICY",
            "TOKEN",
            "SESSION",
            "CHANNEL",
            "KEYID",
            "RECORD",
        ];
        let named = |name: &&&str| {
            let inside =
                |text: &str| text.split(|c: char| !c.is_ascii_uppercase()).any(|word| word == **name);
            route.1.contains(&format!("{{{}}}", name.to_ascii_lowercase()))
                || inside(&row.query)
                || inside(&row.bodies.get(whose).unwrap_or(&row.body).to_string())
        };
        let masked = |answer: &Answer, name: &str| {
            let mine = self.stands_for(name, whose, role).unwrap_or_default();
            let text =
                answer.text().replace(&format!("`{NOWHERE}`"), "`ID`").replace(&format!("`{mine}`"), "`ID`");
            format!("{} {text}", answer.status)
        };
        let mut last = None;
        for name in names.iter().filter(named) {
            let unknown = self.ask(row, route, (whose, role), name).await;
            let (theirs, none) = (masked(foreign, name), masked(&unknown, name));
            if theirs == none {
                return None;
            }
            last = Some(format!(
                "{} {whose} by {role}: `{theirs}` gives away that it isn't `{none}`",
                row.operation
            ));
        }
        // Where nothing is named there is nothing to give away.
        last
    }
}

/// What nothing is called.
const NOWHERE: &str = "nowhere";

fn is_placeholder(text: &str) -> bool {
    text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn channel(id: &str) -> Value {
    json!({
        "id": id, "name": id, "provider": "openai", "auth": "bearer", "secret": "none", "models": [],
        "endpoints": [{"format": "openai_chat", "url": "http://127.0.0.1:9/v1/chat/completions"}],
    })
}

/// The word of a cell that an answer deserves.
fn word(row: &Row, world: &World, whose: &str, role: &str, answer: &Answer) -> String {
    let shown = row.shows.as_ref().is_none_or(|name| {
        let value = world.stands_for(name, whose, role).unwrap();
        answer.text().contains(&format!("\"{value}\""))
    });
    match answer.status {
        200..=299 if shown => "yes".to_owned(),
        // A list leaves out what it may not show.
        200..=299 => "404".to_owned(),
        status => status.to_string(),
    }
}

#[test]
fn every_operation_has_a_row() {
    let rows = rows();
    let known: Vec<&str> = rows.iter().map(|row| row.operation.as_str()).collect();
    let operations = operations();
    let missing: Vec<_> = operations.keys().filter(|id| !known.contains(&id.as_str())).collect();
    assert!(missing.is_empty(), "tests/data/roles.yaml lacks {missing:?}");
    let odd: Vec<_> = known.iter().filter(|id| !operations.contains_key(**id)).collect();
    assert!(odd.is_empty(), "tests/data/roles.yaml has {odd:?}, which no route serves");
}

#[test]
fn everybody_may_do_what_the_table_says_and_nothing_else() {
    block_on(async {
        let (operations, mut wrong, started) = (operations(), Vec::new(), Instant::now());
        let (mut world, mut worlds, mut cells) = (World::new().await, 1, 0);
        for row in rows() {
            let route = &operations[&row.operation];
            for (whose, words) in &row.cells {
                for (role, wanted) in ROLES.iter().zip(words) {
                    world.ready(&route.1, whose, role).await;
                    let (whose, place) = (whose.as_str(), format!("{} {whose} by {role}", row.operation));
                    let before = world.rig.gateway.store().head().await.unwrap();
                    let answer = world.ask(&row, route, (whose, role), "").await;
                    cells += 1;
                    let got = word(&row, &world, whose, role, &answer);
                    // `none`: they may, and there is nothing of the kind.
                    if got != *wanted && !(wanted == "none" && got == "404") {
                        wrong.push(format!("{place}: {got} instead of {wanted}: {}", answer.text()));
                    }
                    let after = world.rig.gateway.store().head().await.unwrap();
                    if answer.status >= 300 && before != after {
                        wrong.push(format!("{place}: refused, and yet something was changed"));
                    }
                    if answer.status == 404 && wanted == "404" {
                        wrong.extend(world.gives_away(&row, route, (whose, role), &answer).await);
                    }
                    if before != after && route.1.contains("/users/") {
                        // Whoever was signed in may be out.
                        world.ids.retain(|name, _| !name.starts_with("session "));
                    }
                    if before != after && row.upsets {
                        (world, worlds) = (World::new().await, worlds + 1);
                    } else if let (true, Some(undo)) = (before != after, row.undo.as_array()) {
                        let fill = |value: &Value| world.fill(value, whose, role, "");
                        let path: Vec<String> = undo[1]
                            .as_str()
                            .unwrap()
                            .split('/')
                            .map(|part| fill(&part.into()).as_str().unwrap().to_owned())
                            .collect();
                        world.rig.manage(undo[0].as_str().unwrap(), &path.join("/"), fill(&undo[2])).await;
                    }
                }
            }
        }
        println!("{cells} cells in {worlds} worlds, {:?}", started.elapsed());
        assert!(wrong.is_empty(), "{} cells\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn the_published_table_is_current() {
    let path = root().join("docs/roles.md");
    let text = rendered();
    if std::env::var_os("SLUICEGATE_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "docs/roles.md isn't what tests/data/roles.yaml says; run this test with SLUICEGATE_UPDATE=1"
    );
}

const INTRODUCTION: &str = "# Who may do what

Made from `tests/data/roles.yaml`, every cell of which is a test over the API; a route without a row fails it. Run
`SLUICEGATE_UPDATE=1 cargo test -p sluicegate-server --test admin` after a change.

- **super admin**: everything. **organization admin**: everything of one organization. **group admin**: members, keys, policies and use
  of the groups that they administer. **user**: what is their own. **auditor**: reads everything of one organization, changes nothing.
- The administrator's (master) key may do what a super admin may. The last super admin who isn't blocked can't be removed, demoted or blocked.
- ✓ may. `403` may not, and may know that it exists. `404` may not even know: the answer is that for what doesn't exist, byte for byte; a list
  leaves it out. `409` the role would allow it, and something else forbids it.
- *Group admin* here is one of the group in \\\"same group\\\", and of no other. Whose: the asker's *own*, somebody else's in the *same group*, in an *other
  group* of the same organization, the *organization* itself, one of an *other organization*; or *any*, where it belongs to nobody.
- Nobody makes, takes over or regenerates a key of somebody who may do more than they: `403`, whatever the table says of the key.
- Blocking, deleting and lowering hold for the next request.
";

fn rendered() -> String {
    let operations = operations();
    let mut text = INTRODUCTION.replace("\\\"", "\"");
    let mut area = String::new();
    for row in rows() {
        let (method, path) = &operations[&row.operation];
        let mine = path.split('/').nth(3).unwrap_or_default().to_owned();
        if mine != area {
            let heads: Vec<String> = ROLES.iter().map(|role| role.replace('_', " ")).collect();
            write!(
                text,
                "\n## {mine}\n\n| | whose | {} |\n|---|---|{}\n",
                heads.join(" | "),
                ":-:|".repeat(ROLES.len())
            )
            .unwrap();
            area = mine;
        }
        let mut what = format!("`{method} {}`", path.trim_start_matches("/api/v1"));
        if !row.note.is_empty() {
            write!(what, " {}", row.note).unwrap();
        }
        for whose in WHOSE.iter().filter(|whose| row.cells.contains_key(**whose)) {
            let cells: Vec<&str> = row.cells[*whose]
                .iter()
                .map(|word| if matches!(word.as_str(), "yes" | "none") { "✓" } else { word.as_str() })
                .collect();
            writeln!(text, "| {what} | {} | {} |", whose.replace('_', " "), cells.join(" | ")).unwrap();
            what.clear();
        }
    }
    text
}
