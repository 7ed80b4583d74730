//! LiteLLM's management routes: `tests/data/litellm/*.yaml`, step by step, and the table in `docs/litellm.md`, which is made
//! from the registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options};
use sluicegate_server::block_on;
use sluicegate_server::routes::litellm::registry;

use crate::rig::{Answer, FIRST_PASSWORD, MASTER, Rig};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of steps: each asks, and says what must come of it.
struct Story {
    file: String,
    config: Option<String>,
    steps: Vec<Value>,
}

fn stories() -> Vec<Story> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("tests/data/litellm"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    let story = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        Story {
            file: path.file_name().unwrap().to_string_lossy().into_owned(),
            config: value["config"].as_str().map(str::to_owned),
            steps: value["steps"].as_array().unwrap_or_else(|| panic!("{path:?} has no steps")).clone(),
        }
    };
    files.into_iter().map(story).collect()
}

/// What earlier steps kept, by name.
type Kept = BTreeMap<String, String>;

/// `${NAME}` within texts, and names of members, becomes what was kept under it.
fn filled(value: &Value, kept: &Kept) -> Value {
    match value {
        Value::String(text) => {
            let fill = |text: String, (name, value): (&String, &String)| {
                text.replace(&format!("${{{name}}}"), value)
            };
            kept.iter().fold(text.clone(), fill).into()
        }
        Value::Array(items) => items.iter().map(|item| filled(item, kept)).collect(),
        Value::Object(map) => {
            let name = |name: &String| match filled(&Value::from(name.as_str()), kept) {
                Value::String(name) => name,
                _ => name.clone(),
            };
            map.iter().map(|(key, item)| (name(key), filled(item, kept))).collect()
        }
        other => other.clone(),
    }
}

/// What of `want` isn't in `got`: members of objects must be there, lists be as long. `"*"` is anything but null, `"?"` anything
/// that is there, `"!"` what mustn't be.
fn missing(at: &str, want: &Value, got: Option<&Value>, faults: &mut Vec<String>) {
    match (want, got) {
        (Value::String(word), got) if word == "!" => {
            if got.is_some() {
                faults.push(format!("{at} is there"));
            }
        }
        (_, None) => faults.push(format!("{at} isn't there")),
        (Value::String(word), Some(got)) if word == "*" => {
            if got.is_null() {
                faults.push(format!("{at} is null"));
            }
        }
        (Value::String(word), Some(_)) if word == "?" => {}
        (Value::String(word), Some(Value::String(got))) if word.starts_with('~') => {
            if !got.contains(&word[1..]) {
                faults.push(format!("{at} is {got:?}, without {:?}", &word[1..]));
            }
        }
        (Value::Object(want), Some(got)) => {
            for (name, want) in want {
                missing(&format!("{at}.{name}"), want, got.get(name), faults);
            }
        }
        (Value::Array(want), Some(Value::Array(got))) => {
            if want.len() != got.len() {
                faults.push(format!("{at} has {} items, not {}", got.len(), want.len()));
            }
            for (n, (want, got)) in want.iter().zip(got).enumerate() {
                missing(&format!("{at}[{n}]"), want, Some(got), faults);
            }
        }
        // What an earlier answer said is kept as text.
        (Value::String(want), Some(Value::Number(got))) if *want == got.to_string() => {}
        (Value::Number(want), Some(Value::Number(got))) if want.as_f64() == got.as_f64() => {}
        (want, Some(got)) if want == got => {}
        (want, Some(got)) => faults.push(format!("{at} is {got}, not {want}")),
    }
}

/// The member of this path, such as `info.spend` or `keys.0`.
fn member<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |value, part| {
        match part.parse::<usize>() {
            Ok(at) => value.get(at),
            Err(_) => value.get(part),
        }
    })
}

const FIELDS: [&str; 10] =
    ["call", "by", "body", "form", "headers", "status", "has", "keep", "same_as", "has_headers"];

async fn step(
    rig: &Rig,
    step: &Value,
    kept: &mut Kept,
    answers: &mut BTreeMap<String, Answer>,
) -> Vec<String> {
    // `same_as`: the step whose answer this one must be, byte for byte, once its name is replaced by this one's.
    for name in step.as_object().unwrap().keys() {
        assert!(FIELDS.contains(&name.as_str()) || name == "name", "a step has no `{name}`: {step}");
    }
    let asked = filled(step, kept);
    let (method, path) = asked["call"].as_str().unwrap().split_once(' ').unwrap();
    let by = asked["by"].as_str().unwrap_or(MASTER);
    let bearer = format!("Bearer {by}");
    let mut headers: Vec<(&str, &str)> = Vec::new();
    if !by.is_empty() {
        headers.push(("authorization", &bearer));
    }
    for (name, value) in asked["headers"].as_object().into_iter().flatten() {
        headers.push((name, value.as_str().unwrap()));
    }
    let answer = match asked["form"].as_str() {
        Some(form) => rig.send_form(path, &headers, form).await,
        None => rig.send(method, path, &headers, &asked["body"]).await,
    };
    let mut faults = Vec::new();
    let want = asked["status"].as_u64().unwrap_or(200);
    if u64::from(answer.status) != want {
        faults.push(format!("the status is {}, not {want}", answer.status));
    }
    let got = answer.json();
    if let Some(has) = asked.get("has") {
        missing("", has, Some(&got), &mut faults);
    }
    for (name, want) in asked["has_headers"].as_object().into_iter().flatten() {
        let got = answer.headers.get(name).map(|value| Value::from(value.to_str().unwrap_or_default()));
        missing(&format!("header {name}"), want, got.as_ref(), &mut faults);
    }
    for (name, path) in asked["keep"].as_object().into_iter().flatten() {
        match member(&got, path.as_str().unwrap()) {
            Some(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                kept.insert(name.clone(), text);
            }
            None => faults.push(format!("there is no {path} to keep")),
        }
    }
    if let Some([other, theirs, mine]) = asked["same_as"].as_array().map(Vec::as_slice) {
        let [other, theirs, mine] = [other, theirs, mine].map(|it| it.as_str().unwrap());
        let other = answers.get(other).unwrap_or_else(|| panic!("no step is called `{other}`"));
        // But for what was asked by.
        if (other.status, other.text().replace(theirs, mine)) != (answer.status, answer.text()) {
            faults.push(format!("it isn't the answer to `{theirs}`: {}", other.text()));
        }
    }
    if !faults.is_empty() {
        faults.push(answer.text());
    }
    if let Some(name) = step["name"].as_str() {
        answers.insert(name.to_owned(), answer);
    }
    faults
}

#[test]
fn every_story_goes_as_it_is_told() {
    block_on(async {
        let mut faults = Vec::new();
        for story in stories() {
            let config = story.config.map(|text| ConfigText { path: "config.yaml".to_owned(), text });
            let rig = Rig::with(Options { config, ..Options::default() }).await;
            let (mut kept, mut answers) =
                (Kept::from([("MASTER".to_owned(), MASTER.to_owned())]), BTreeMap::new());
            for (n, it) in story.steps.iter().enumerate() {
                for fault in step(&rig, it, &mut kept, &mut answers).await {
                    faults.push(format!("{} step {} ({}): {fault}", story.file, n + 1, it["call"]));
                }
            }
            rig.gateway.shutdown().await;
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    });
}

#[test]
fn lists_of_names_are_bounded_before_anybody_is_looked_up() {
    block_on(async {
        let rig = Rig::new().await;
        rig.ask("POST", "/team/new", MASTER, &json!({"team_id": "t"})).await;
        let names: Vec<String> = (0..501).map(|n| format!("name-{n}")).collect();
        let people: Vec<Value> = names.iter().map(|name| json!({"user_email": name})).collect();
        for (call, body) in [
            ("/team/member_add", json!({"team_id": "t", "member": people})),
            ("/team/new", json!({"members_with_roles": people})),
            ("/team/new", json!({"members": names})),
            (
                "/api/v1/groups",
                json!({"id": "g", "members": names.iter().map(|name| json!({"user": name})).collect::<Vec<_>>()}),
            ),
            ("/api/v1/users", json!({"id": "u", "role": "user", "groups": names})),
            ("/team/new", json!({"admins": names})),
            ("/user/new", json!({"teams": names})),
            ("/key/delete", json!({"keys": names})),
            ("/key/delete", json!({"key_aliases": names})),
            ("/v2/key/info", json!({"keys": names})),
            ("/organization/info", json!({"organizations": names})),
            ("/tag/info", json!({"names": names})),
            ("/budget/info", json!({"budgets": names})),
            ("/v1/access_group", json!({"access_group_name": "a", "assigned_key_ids": names})),
            ("/v1/access_group", json!({"access_group_name": "a", "assigned_team_ids": names})),
            (
                "/team/key/bulk_update",
                json!({"team_id": "t", "key_ids": names, "update_fields": {"max_budget": 1}}),
            ),
        ] {
            let answer = rig.ask("POST", call, MASTER, &body).await;
            assert_eq!(answer.status, 400, "{call}: {}", answer.text());
            assert!(answer.text().contains("names 501, and 500 at most"), "{call}: {}", answer.text());
        }
    });
}

#[test]
fn rights_are_asked_for_before_anything_is_looked_up() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/organizations", json!({"id": "o"})).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "known"})).await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "known"})).await;
        rig.manage("POST", "/api/v1/keys", json!({"alias": "known"})).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "root", "role": "super_admin"})).await;
        let (cookie, _) = rig.signed_in("root").await;
        let everything_but = |area: &str| -> Vec<String> {
            let areas = ["keys", "groups", "users", "organizations", "channels"].into_iter();
            areas.filter(|it| *it != area).map(|it| format!("{it}:write")).collect()
        };
        let group = |what: &'static str| move |name: &str| json!({"access_group_name": "a", "access_model_names": ["m"], what: [name]});
        let team = |name: &str| json!({"organization_id": "o", "members_with_roles": [{"user_id": name}]});
        type Body<'a> = &'a dyn Fn(&str) -> Value;
        let calls: [(&str, &str, Body<'_>); 6] = [
            ("groups", "POST /team/new", &team),
            ("channels", "POST /v1/access_group", &group("assigned_team_ids")),
            ("channels", "POST /v1/access_group", &group("assigned_key_ids")),
            ("groups", "POST /v1/access_group", &group("assigned_team_ids")),
            ("keys", "POST /v1/access_group", &group("assigned_key_ids")),
            ("channels", "PUT /v1/access_group/none", &group("assigned_team_ids")),
        ];
        for (lacks, call, body) in calls {
            let new = json!({"name": format!("{lacks} {call}"), "scopes": everything_but(lacks)});
            let token = rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await.json();
            let token = token["secret"].as_str().expect("a token");
            let (method, path) = call.split_once(' ').unwrap();
            let known = rig.ask(method, path, token, &body("known")).await;
            let unknown = rig.ask(method, path, token, &body("unknown")).await;
            assert_eq!((known.status, known.text()), (403, unknown.text()), "{call} without {lacks}");
            assert!(known.text().contains(&format!("{lacks}:write")), "{call}: {}", known.text());
        }
    });
}

#[test]
fn a_password_of_a_new_user_is_their_first_one() {
    block_on(async {
        let rig = Rig::new().await;
        let new = |id: &str, password: &str, with_key: bool| json!({"user_id": id, "user_email": format!("{id}@example.com"), "password": password, "auto_create_key": with_key});
        for (password, rule) in [
            ("short", "at least 12 characters"),
            ("passwordpassword", "too easy to guess"),
            ("hilda@example.com", "too easy"),
        ] {
            let answer = rig.ask("POST", "/user/new", MASTER, &new("hilda", password, true)).await;
            assert_eq!(answer.status, 400, "{password}: {}", answer.text());
            let error = answer.json()["error"].clone();
            assert_eq!(error["param"], "password", "{error}");
            assert!(error["message"].as_str().unwrap().contains(rule), "{error}");
            assert_eq!(rig.ask("GET", "/user/info?user_id=hilda", MASTER, &Value::Null).await.status, 404);
        }
        for (id, with_key) in [("hilda", true), ("ivan", false)] {
            let made = rig.manage("POST", "/user/new", new(id, FIRST_PASSWORD, with_key)).await;
            assert_eq!(made["warnings"], Value::Null, "{made}");
            assert_eq!(made["key"].is_string(), with_key, "{made}");
            let (_, signed) = rig.sign_in(id, FIRST_PASSWORD).await;
            assert_eq!(signed["session"]["stage"], "change_password", "{signed}");
        }
        let made = rig.manage("POST", "/user/new", new("judy", "", false)).await;
        assert_eq!(made["user_id"], "judy");
    });
}

#[test]
fn what_isnt_served_names_itself_to_whoever_is_known() {
    block_on(async {
        let rig = Rig::new().await;
        for route in registry::routes().filter(|route| !is_served(route)) {
            let path = route.path.replace(['{', '}'], "");
            let (method, name) = (route.method.as_str(), format!("{} {}", route.method, route.path));
            let unknown = rig.send(method, &path, &[], &Value::Null).await;
            assert_eq!(unknown.status, 401, "{name}: {}", unknown.text());
            assert_eq!(unknown.json()["error"]["code"], "401", "{name}");
            let answer = rig.ask(method, &path, MASTER, &json!({})).await;
            assert_eq!(answer.status, 501, "{name}: {}", answer.text());
            let error = answer.json()["error"].clone();
            assert_eq!(error["code"], "501", "{name}");
            let message = error["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&format!("`{method} {path}`")), "{message}");
            assert!(message.contains(route.why) && !route.why.is_empty(), "{name} doesn't say why");
            let addressed = rig.ask(method, &format!("{path}?page=2&nonsense=1"), MASTER, &json!({})).await;
            assert_eq!((addressed.status, addressed.text()), (501, answer.text()), "{name} with parameters");
        }
    });
}

#[test]
fn what_is_served_doesnt_answer_that_it_isnt() {
    block_on(async {
        let rig = Rig::new().await;
        for route in registry::routes().filter(is_served) {
            let path = route.path.replace(":.*", "").replace(['{', '}'], "");
            let answer = rig.ask(route.method.as_str(), &path, MASTER, &Value::Null).await;
            assert_ne!(answer.status, 501, "{} {}", route.method, route.path);
            assert_ne!(answer.status, 405, "{} {}", route.method, route.path);
        }
    });
}

/// Whether something else than the registry's own refusal is behind it.
fn is_served(route: &registry::Route) -> bool {
    route.why.is_empty()
}

#[test]
fn the_published_table_is_the_registrys() {
    let path = root().join("docs/litellm.md");
    let before = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = before.split_once(BEGIN).expect("docs/litellm.md has a place for the table");
    let (_, tail) = rest.split_once(END).expect("and an end of it");
    let text = format!("{head}{BEGIN}\n{}{END}{tail}", rendered());
    if std::env::var_os("SLUICEGATE_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    assert!(
        published == text,
        "docs/litellm.md isn't what the registry says; run this test with SLUICEGATE_UPDATE=1"
    );
}

const BEGIN: &str = "<!-- routes: made by a test, see CONTRIBUTING.md -->";
const END: &str = "<!-- end of routes -->";

fn rendered() -> String {
    let mut text = String::new();
    for area in registry::AREAS {
        writeln!(text, "\n### {}\n\n| route | |\n|---|---|", area.name).unwrap();
        for (methods, path, why) in area.rows {
            let path = path.replace(":.*", "");
            let word = if why.is_empty() { "✓".to_owned() } else { format!("501: {why}") };
            writeln!(text, "| `{methods} {path}` | {word} |").unwrap();
        }
    }
    text.push('\n');
    text
}

/// What is shown of limits can be sent back as it is, in either dialect.
#[test]
fn two_limits_in_one_window_survive_what_is_sent_back() {
    block_on(async {
        let rig = Rig::new().await;
        let budgets = json!({"key_alias": "hs", "max_budget": 10, "soft_budget": 5,
            "budget_limits": [{"budget_duration": "1d", "max_budget": 2}]});
        rig.manage("POST", "/key/generate", budgets).await;
        let shown = rig.manage("GET", "/api/v1/keys/hs", Value::Null).await;
        let spend = json!({"lifetime": ["10 USD", "5 USD soft"], "day": "2 USD"});
        assert_eq!(shown["limits"]["spend"], spend);
        rig.manage("PATCH", "/api/v1/keys/hs", json!({"limits": shown["limits"]})).await;
        let found = rig.manage("GET", "/key/info?key=hs", Value::Null).await;
        assert_eq!(
            (&found["info"]["max_budget"], &found["info"]["soft_budget"]),
            (&json!(10.0), &json!(5.0))
        );

        let both = json!({"id": "c", "limits": {"spend": {"day": ["1 USD", "3 USD soft"]}}});
        rig.manage("POST", "/api/v1/customers", both.clone()).await;
        let shown = rig.manage("GET", "/api/v1/customers/c", Value::Null).await;
        assert_eq!(shown["limits"], both["limits"]);
    });
}
