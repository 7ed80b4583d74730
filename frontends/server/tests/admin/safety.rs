//! What whoever isn't signed in sends reaches no statement, and what is secret reaches no file.

use serde_json::{Value, json};
use sluicegate::Options;
use sluicegate_server::block_on;

use crate::rig::{PASSWORD, Rig};

const FORGED: [&str; 8] = [
    "' OR '1'='1",
    "admin' --",
    "admin'/*",
    "x' UNION SELECT hash FROM sg_key --",
    "'; DROP TABLE sg_user; --",
    "%",
    "$1",
    "\\' OR 1=1 --",
];

#[test]
fn what_looks_like_sql_is_nobodys_name_password_or_credential() {
    block_on(async {
        let rig = Rig::new().await;
        rig.manage("POST", "/api/v1/setup", json!({"email": "root@example.com", "password": PASSWORD})).await;
        rig.manage("POST", "/api/v1/keys", json!({"alias": "k"})).await;
        let sign_in = async |login: &str, password: &str| {
            let body = json!({"login": login, "password": password});
            rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await
        };
        let nobody = sign_in("nobody", "nothing").await;
        assert_eq!(nobody.status, 401);
        for (n, forged) in FORGED.into_iter().enumerate() {
            let answer = sign_in(forged, forged).await;
            assert_eq!((answer.status, answer.text()), (401, nobody.text()), "{forged}");
            if n < 4 {
                let answer = sign_in("admin", forged).await;
                assert_eq!((answer.status, answer.text()), (401, nobody.text()), "{forged}");
            }
            let call = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
            for credential in [forged.to_owned(), format!("sk-{forged}"), format!("sgpat_{forged}")] {
                for (method, path, body) in [
                    ("GET", "/api/v1/me", &Value::Null),
                    ("POST", "/v1/chat/completions", &call),
                    ("GET", "/key/info", &Value::Null),
                ] {
                    let answer = rig.ask(method, path, &credential, body).await;
                    assert_eq!(answer.status, 401, "{path} {credential}: {}", answer.text());
                }
            }
            let cookie = format!("sluicegate_session={}", forged.replace(';', "%3B"));
            assert_eq!(rig.by(&cookie, "GET", "/api/v1/me", &Value::Null).await.status, 401, "{forged}");
            let invited = json!({"invitation": forged, "password": PASSWORD});
            let answer =
                rig.send("POST", "/api/v1/session/invitation", &[("x-sluicegate-csrf", "1")], &invited).await;
            assert!((400..500).contains(&answer.status), "{forged}: {}", answer.text());
        }
        assert_eq!(rig.manage("GET", "/api/v1/users/admin", Value::Null).await["id"], "admin");
        assert_eq!(rig.manage("GET", "/api/v1/keys", Value::Null).await["total"], 1);
    });
}

#[test]
fn no_secret_is_in_the_data_directory_as_it_is() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let rig = Rig::with(Options { data_dir: Some(data.clone()), ..Options::default() }).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "told-apart"})).await;
        let (cookie, _) = rig.signed_in("told-apart").await;
        let mut secrets = vec![PASSWORD.to_owned(), cookie.split_once('=').unwrap().1.to_owned()];
        let mut keep = |value: &Value| secrets.push(value.as_str().unwrap().to_owned());
        let token = json!({"name": "t", "scopes": ["read"]});
        keep(&rig.by(&cookie, "POST", "/api/v1/account/tokens", &token).await.json()["secret"]);
        let proof = json!({"password": PASSWORD});
        keep(&rig.by(&cookie, "POST", "/api/v1/account/second-step", &proof).await.json()["secret"]);
        keep(&rig.manage("POST", "/api/v1/keys", json!({})).await["secret"]);
        let once = [
            ("authorization", &*format!("Bearer {}", crate::rig::MASTER)),
            ("idempotency-key", "once-and-no-more"),
        ];
        keep(&rig.send("POST", "/api/v1/keys", &once, &json!({})).await.json()["secret"]);
        keep(&json!(crate::rig::MASTER));
        keep(&json!("upstream-credential-0123456789"));
        let declared = json!({"id": "c", "name": "c", "provider": "openai", "models": ["gpt-5.4"]});
        let new = json!({"declared": declared, "secret": "upstream-credential-0123456789"});
        rig.manage("POST", "/api/v1/channels", new).await;
        let call = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
        let key = secrets[4].clone();
        assert_eq!(rig.ask("POST", "/v1/chat/completions", &key, &call).await.status, 200);
        rig.gateway.shutdown().await;

        let (mut folders, mut text) = (vec![data], String::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap())),
                }
            }
        }
        assert!(text.contains("told-apart"), "what isn't secret is found");
        for secret in secrets {
            assert!(!text.contains(&secret), "`{secret}` is in the data directory");
        }
    });
}
