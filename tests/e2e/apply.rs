//! `sluicegate apply`: files are made so, once; what differs is changed, what is gone is pruned when that is asked for.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY, binary};

const CONFIG: &str = r#"
version: 1
channels:
  - {name: of-the-file, provider: mock, models: [m]}
"#;

const TENANTS: &str = r#"
organizations:
- {id: acme, limits: {spend: {month: 1000 USD}}}
groups:
- id: rd
  alias: research
  organization: acme
  limits: {total_tokens: {day: 2M}}
  members:
  - {user: wang, role: group_admin}
  - {user: li, limits: {requests: {minute: 20}}}
users:
- {id: wang, organization: acme}
- {id: li, organization: acme, groups: [research]}
keys:
- {alias: ci, group: research, user: wang, limits: {requests: {day: 5}}, allowed_ips: [127.0.0.1, "::1", 10.0.0.0/8]}
- {alias: chosen, group: rd, key: "${CHOSEN_KEY}"}
"#;

const ROUTES: &str = r#"
channels:
- {name: applied, provider: openai, credential: "${UPSTREAM_KEY}", models: [gpt-5.4], tags: [pool]}
policies:
- {name: steer, file: steer.rhai, group: rd}
"#;

const UPSTREAM_KEY: &str = "sk-upstream-3f9c1e77ab04";
const CHOSEN_KEY: &str = "sk-5d0c8e2b7a914f36b1e9d7c4a2f80613";

/// Runs `sluicegate apply` over a folder: whether it ended well, and everything it said.
fn apply(gateway: &Gateway, folder: &Path, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(binary("sluicegate"));
    command.arg("apply").arg("-f").arg(folder).args(words);
    command.args(["--url", &format!("http://{}", gateway.address()), "--admin-key", MASTER_KEY]);
    command.env_clear().env("UPSTREAM_KEY", UPSTREAM_KEY).env("CHOSEN_KEY", CHOSEN_KEY);
    let output = command.current_dir(gateway.folder()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn get(gateway: &Gateway, path: &str) -> Value {
    gateway.send(&Request::new("GET", &format!("/api/v1{path}")).bearer(MASTER_KEY)).json()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn files_are_made_so_once_and_what_is_gone_is_pruned() {
    let gateway = Gateway::start("apply", CONFIG);
    let folder = gateway.folder().join("tenants");
    std::fs::create_dir(&folder).unwrap();
    write(&folder, "a-tenants.yaml", TENANTS);
    write(&folder, "b-routes.yaml", ROUTES);
    write(&folder, "steer.rhai", "fn route(call) { tag(\"steered\"); }\n");

    let (ok, said) = apply(&gateway, &folder, &["--dry-run"]);
    assert!(ok && said.contains("+ group rd") && said.contains("10 would be made"), "{said}");
    assert_eq!(get(&gateway, "/keys")["total"], 0, "a dry run makes nothing");

    let secrets = gateway.folder().join("secrets.txt");
    let (ok, said) = apply(&gateway, &folder, &["--secrets-to", secrets.to_str().unwrap()]);
    assert!(ok && said.contains("10 made, 0 changed, 0 removed, 0 the same"), "{said}");
    assert!(!said.contains(UPSTREAM_KEY) && !said.contains(CHOSEN_KEY), "{said}");
    let kept = std::fs::read_to_string(&secrets).unwrap();
    let ci = kept.lines().find_map(|line| line.strip_prefix("ci ")).unwrap().to_owned();
    let call =
        json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    for key in [ci.as_str(), CHOSEN_KEY] {
        let answer = gateway.send(&Request::post("/v1/chat/completions", call.clone()).bearer(key));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(get(&gateway, "/groups/rd")["members"].as_array().unwrap().len(), 2);
    assert_eq!(get(&gateway, "/policies/steer")["active"], 1);

    let (ok, said) = apply(&gateway, &folder, &[]);
    assert!(ok && said.contains("0 made, 0 changed, 0 removed, 10 the same"), "{said}");

    // What an operator made by hand stays; what the files change is changed, and what they drop goes when it is asked for.
    let by_hand = gateway.send(
        &Request::post("/api/v1/keys", json!({"alias": "by-hand", "group": "rd"}).to_string())
            .bearer(MASTER_KEY),
    );
    assert_eq!(by_hand.status, 201);
    let fewer = TENANTS
        .replace("requests: {day: 5}", "requests: {day: 6}")
        .replace("- {alias: chosen, group: rd, key: \"${CHOSEN_KEY}\"}\n", "");
    write(&folder, "a-tenants.yaml", &fewer);
    write(&folder, "b-routes.yaml", &ROUTES.replace("tags: [pool]", "tags: [pool, eu]"));
    let (ok, said) = apply(&gateway, &folder, &[]);
    assert!(ok && said.contains("0 made, 2 changed, 0 removed"), "{said}");
    assert!(said.contains("~ key ci") && said.contains("{\"requests\":{\"day\":6}}"), "{said}");
    let (ok, said) = apply(&gateway, &folder, &["--prune"]);
    assert!(ok && said.contains("- key chosen") && said.contains("1 removed"), "{said}");
    let aliases: Vec<Value> = get(&gateway, "/keys?sort=alias")["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["alias"].clone())
        .collect();
    assert_eq!(aliases, ["by-hand", "ci"]);

    // Everything is read before anything is changed.
    write(&folder, "c-wrong.yaml", "groups:\n- {id: new, limit: {}}\n");
    let (ok, said) = apply(&gateway, &folder, &[]);
    assert!(!ok && said.contains("c-wrong.yaml") && said.contains("did you mean `limits`?"), "{said}");
    std::fs::remove_file(folder.join("c-wrong.yaml")).unwrap();

    // What the configuration file declares is refused by name, and the rest is done.
    write(&folder, "c-file.yaml", "channels:\n- {name: of-the-file, provider: mock, models: [other]}\n");
    let (ok, said) = apply(&gateway, &folder, &[]);
    assert!(!ok && said.contains("is declared in"), "{said}");
}
