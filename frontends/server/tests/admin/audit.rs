//! The audit trail: what is in it, and what never is; how it is read, exported and verified.

use serde_json::{Value, json};
use sluicegate::Options;
use sluicegate_server::block_on;

use crate::rig::{MASTER, PASSWORD, Rig, SECRET};

/// Whatever a gateway is told or makes that must stay secret, and a trail that tells of each.
async fn everything_secret(rig: &Rig) -> Vec<String> {
    let mut secrets: Vec<String> = [MASTER, PASSWORD, SECRET].map(str::to_owned).to_vec();
    rig.manage("POST", "/api/v1/setup", json!({"email": "root@example.com", "password": PASSWORD})).await;
    let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
    secrets.push(cookie.split_once('=').unwrap().1.to_owned());
    let custom = "sk-3f9c1e77ab04d25866e1904cfa7b2d38";
    rig.manage("POST", "/api/v1/keys", json!({"key": custom, "alias": "mine"})).await;
    let again = rig.manage("POST", "/api/v1/keys/mine/regenerate", json!({"grace": "1h"})).await;
    secrets.extend([custom.to_owned(), again["secret"].as_str().unwrap().to_owned()]);
    let upstream = "sk-upstream-5f1d0c9be27a";
    let channel = |id: &str, secret: Value| {
        json!({"id": id, "name": id, "provider": "openai", "auth": "bearer", "secret": secret, "models": [],
            "endpoints": [{"format": "openai_chat", "url": "https://api.example.com/v1/chat/completions"}]})
    };
    rig.manage(
        "POST",
        "/api/v1/channels",
        json!({"channel": channel("ch", "none".into()), "secret": upstream}),
    )
    .await;
    let other = "sk-upstream-another-77aa";
    rig.manage(
        "PUT",
        "/api/v1/channels/ch",
        json!({"channel": channel("ch", "none".into()), "secret": other}),
    )
    .await;
    secrets.extend([upstream.to_owned(), other.to_owned()]);
    rig.manage("POST", "/api/v1/users", json!({"id": "u"})).await;
    let given = rig.manage("POST", "/api/v1/users/u/password", json!({})).await;
    secrets.push(given["password"].as_str().unwrap().to_owned());
    let token =
        rig.by(&cookie, "POST", "/api/v1/account/tokens", &json!({"name": "t", "scopes": ["read"]})).await;
    secrets.push(token.json()["secret"].as_str().unwrap().to_owned());
    let step = "/api/v1/account/second-step";
    let offer = rig.by(&cookie, "POST", step, &json!({"password": PASSWORD})).await.json();
    let secret = offer["secret"].as_str().unwrap().to_owned();
    let totp = totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::try_from_base32(&secret).unwrap())
        .build_noncompliant();
    let now = u64::try_from(rig.gateway.clock().now().as_ms() / 1_000).unwrap();
    let sure = rig.by(&cookie, "PUT", step, &json!({"code": totp.generate(now).to_string()})).await;
    assert_eq!(sure.status, 200, "{}", sure.text());
    secrets.push(secret);
    secrets.push(sure.cookie().split_once('=').unwrap().1.to_owned());
    let codes = sure.json()["backup_codes"].clone();
    secrets.extend(codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()));
    let wrong = "a wrong password, and somebody's";
    let body = json!({"login": "admin", "password": wrong});
    assert_eq!(rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await.status, 401);
    secrets.push(wrong.to_owned());
    secrets
}

#[test]
fn everything_is_in_the_trail_but_secrets() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let rig =
            Rig::with(Options { data_dir: Some(folder.path().join("data")), ..Options::default() }).await;
        let secrets = everything_secret(&rig).await;
        // The refused sign-in is written down beside its answer.
        let mut actions = Vec::new();
        // BOUND: a test that fails.
        for _ in 0..200 {
            let all = rig.ask("GET", "/api/v1/audit?limit=1000", MASTER, &Value::Null).await.json();
            let items = all["items"].as_array().unwrap();
            actions = items.iter().map(|it| it["action"].as_str().unwrap().to_owned()).collect();
            if actions.iter().any(|it| it == "session.refuse") {
                break;
            }
            tokio::task::yield_now().await;
        }
        for action in [
            "account.set_up",
            "session.begin",
            "key.create",
            "key.regenerate",
            "channel.create",
            "channel.update",
            "user.create",
            "account.reset_password",
            "token.create",
            "account.offer_second_step",
            "account.second_step",
            "session.refuse",
        ] {
            assert!(actions.iter().any(|it| it == action), "{action} isn't in the trail: {actions:?}");
        }
        let listed = rig.ask("GET", "/api/v1/audit?limit=1000", MASTER, &Value::Null).await;
        let session = listed.json()["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["action"] == "token.create")
            .cloned();
        let session = session.unwrap();
        assert_eq!(session["address"], "10.1.1.1");
        assert_eq!(session["actor"], "user admin");
        assert!(session["credential"].as_str().unwrap().starts_with("session "), "{session}");
        let mut places = vec![("the trail", listed.text())];
        for format in ["csv", "jsonl"] {
            let path = format!("/api/v1/audit/export?format={format}");
            places.push(("an export", rig.ask("GET", &path, MASTER, &Value::Null).await.text()));
        }
        for path in [
            "users/admin",
            "users/admin/sessions",
            "users/admin/tokens",
            "users",
            "keys",
            "channels",
            "channels/ch",
        ] {
            let path = format!("/api/v1/{path}");
            places.push(("an answer", rig.ask("GET", &path, MASTER, &Value::Null).await.text()));
        }
        rig.gateway.shutdown().await;
        // Nor is any of them in what is on the disk.
        for file in std::fs::read_dir(folder.path().join("data")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                places.push((
                    "the database",
                    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
                ));
            }
        }
        assert!(places.iter().any(|(what, text)| *what == "the database" && text.contains("session.refuse")));
        for secret in &secrets {
            for (what, text) in &places {
                assert!(!text.contains(secret.as_str()), "{what} holds `{secret}`");
            }
        }
    });
}

#[test]
fn pages_follow_each_other_and_exports_hold_the_same() {
    block_on(async {
        let rig = Rig::new().await;
        for n in 0..25 {
            rig.manage(
                "POST",
                "/api/v1/groups",
                json!({"id": format!("=cmd|' /C calc'!A{n}"), "alias": format!("@{n}")}),
            )
            .await;
        }
        let whole = rig.ask("GET", "/api/v1/audit?action=group.", MASTER, &Value::Null).await.json();
        assert_eq!(
            (whole["total"].as_i64(), whole["items"].as_array().unwrap().len(), &whole["next"]),
            (Some(25), 25, &Value::Null)
        );
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/audit?action=group.&limit=10{cursor}");
            let page = rig.ask("GET", &path, MASTER, &Value::Null).await.json();
            // What is written meanwhile moves no page, and isn't counted again.
            assert_eq!(page["total"], 25, "{cursor}");
            rig.manage("POST", "/api/v1/groups", json!({})).await;
            paged.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(Value::from(paged), whole["items"]);
        let lines = rig.ask("GET", "/api/v1/audit/export?action=group.", MASTER, &Value::Null).await;
        assert_eq!(lines.headers.get("content-type").unwrap(), "application/x-ndjson");
        let read: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(&read[3..], whole["items"].as_array().unwrap().as_slice());
        let csv = rig.ask("GET", "/api/v1/audit/export?action=group.&format=csv", MASTER, &Value::Null).await;
        assert_eq!(csv.headers.get("content-type").unwrap(), "text/csv; charset=utf-8");
        let text = csv.text();
        assert!(text.contains("\"group =cmd|' /C calc'!A3\""), "{text}");
        for cell in text.split("\",\"").flat_map(|cell| cell.split("\r\n\"")) {
            let cell = cell.trim_start_matches('"');
            assert!(!cell.starts_with(['=', '+', '@', '-', '\t']), "a formula: {cell}");
        }
        for wrong in ["cursor=x", "format=xls", "colour=red"] {
            let answer = rig.ask("GET", &format!("/api/v1/audit/export?{wrong}"), MASTER, &Value::Null).await;
            assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        }
    });
}
