//! People who make users of themselves.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options, Timestamp};
use sluicegate_server::block_on;

use crate::provider::{CLIENT, CLIENT_SECRET, Provider};
use crate::rig::{Answer, NOW_MS, PASSWORD, Rig};

const REGISTER: &str = "/api/v1/session/registration";

async fn gateway(auth: &str) -> Rig {
    let text = format!(
        "version: 1\norganizations: [{{id: acme}}]\ngroups: [{{id: research, organization: acme}}]\nauth:\n{auth}"
    );
    let config = ConfigText { path: "sluicegate.yaml".to_owned(), text };
    Rig::with(Options { config: Some(config), ..Options::default() }).await
}

const OPEN: &str =
    "  registration: {email_domains: [corp.example], organization: acme, group: research, role: user}\n";

impl Rig {
    async fn registers(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password, "alias": " Ada "});
        self.send("POST", REGISTER, &[("x-sluicegate-csrf", "1")], &body).await
    }

    /// Issues a key to whoever is signed in: its secret.
    async fn issues(&self, cookie: &str, alias: &str) -> String {
        let new = json!({"alias": alias, "group": "research"});
        let issued = self.by(cookie, "POST", "/api/v1/keys", &new).await;
        assert_eq!(issued.status, 201, "{}", issued.text());
        issued.json()["secret"].as_str().unwrap().to_owned()
    }

    /// Signs in through the provider: the cookie.
    async fn comes_by(&self, provider: &Provider) -> String {
        let out = self.send("GET", "/api/v1/session/oidc/corp", &[], &Value::Null).await;
        let to = out.headers.get("location").unwrap().to_str().unwrap().to_owned();
        let back = provider.approve(&to).await;
        let back = back.strip_prefix("https://gateway.example").unwrap().to_owned();
        let home = self.send("GET", &back, &[("cookie", &out.cookie())], &Value::Null).await;
        assert_eq!(home.status, 302, "{}", home.text());
        home.cookie()
    }
}

#[test]
fn nobody_registers_unless_it_is_said_who_may() {
    block_on(async {
        let rig = gateway("  session: {idle: 1h}\n").await;
        let answer = rig.registers("ada@corp.example", PASSWORD).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        let ways = rig.send("GET", "/api/v1/session/oidc", &[], &Value::Null).await.json();
        assert_eq!(ways["registration"], false, "{ways}");
    });
}

#[test]
fn who_registers_is_what_the_configuration_says_and_signed_in() {
    block_on(async {
        let rig = gateway(OPEN).await;
        let ways = rig.send("GET", "/api/v1/session/oidc", &[], &Value::Null).await.json();
        assert_eq!(ways["registration"], true, "{ways}");
        let answer = rig.registers("ada@corp.example", PASSWORD).await;
        assert_eq!(
            (answer.status, &answer.json()["session"]["stage"]),
            (201, &json!("done")),
            "{}",
            answer.text()
        );
        let me = rig.by(&answer.cookie(), "GET", "/api/v1/me", &Value::Null).await.json();
        assert_eq!(
            (&me["role"], &me["organization"], &me["groups"], &me["administers"]),
            (&json!("user"), &json!("acme"), &json!(["research"]), &json!([])),
            "{me}"
        );
        let user =
            rig.manage("GET", &format!("/api/v1/users/{}", me["user"].as_str().unwrap()), Value::Null).await;
        assert_eq!((&user["alias"], &user["created_by"]), (&json!("Ada"), &json!("registration")), "{user}");
        rig.sign_in("ada@corp.example", PASSWORD).await;
        let events = rig.manage("GET", "/api/v1/audit?action=account.register", Value::Null).await;
        assert_eq!(events["total"], 1, "{events}");
        assert!(!events.to_string().contains(PASSWORD));
    });
}

#[test]
fn what_isn_t_let_in_leaves_nothing() {
    block_on(async {
        let rig = gateway(OPEN).await;
        rig.manage(
            "POST",
            "/api/v1/users",
            json!({"id": "bob", "email": "bob@corp.example", "organization": "acme"}),
        )
        .await;
        for (email, password, status) in [
            ("ada@evil.example", PASSWORD, 403),
            ("ada@corp.example.evil.example", PASSWORD, 403),
            ("ada@evil.example@corp.example", PASSWORD, 403),
            ("bob@corp.example", PASSWORD, 409),
            ("ada@corp.example", "short", 400),
        ] {
            let answer = rig.registers(email, password).await;
            assert_eq!(answer.status, status, "{email}: {}", answer.text());
            assert!(answer.headers.get("set-cookie").is_none(), "{email}");
        }
        // One address makes no crowd: the next one waits, whatever it says.
        let answer = rig.registers("ada@corp.example", PASSWORD).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(rig.manage("GET", "/api/v1/users?organization=acme", Value::Null).await["total"], 1);
        rig.clock.set(Timestamp::from_ms(NOW_MS + 3_600_000));
        assert_eq!(rig.registers("ada@corp.example", PASSWORD).await.status, 201);
        // Another site's page makes nobody.
        let body = json!({"email": "eve@corp.example", "password": PASSWORD});
        for headers in [&[][..], &[("x-sluicegate-csrf", "1"), ("origin", "https://evil.example")]] {
            assert_eq!(rig.send("POST", REGISTER, headers, &body).await.status, 403, "{headers:?}");
        }
    });
}

#[test]
fn whose_the_address_is_takes_the_user_without_what_another_has_set() {
    block_on(async {
        let provider = Provider::start().await;
        let oidc = format!(
            "  public_url: https://gateway.example\n  oidc: [{{id: corp, issuer: \"{}\", client_id: {CLIENT}, client_secret: {CLIENT_SECRET}, organization: acme, link: email, email_domains: [corp.example]}}]\n",
            provider.issuer
        );
        let rig = gateway(&format!("{OPEN}{oidc}")).await;
        let squatter = rig.registers("ada@corp.example", PASSWORD).await;
        assert_eq!(squatter.status, 201, "{}", squatter.text());
        let key = rig.issues(&squatter.cookie(), "before").await;
        assert_eq!(rig.ask("GET", "/api/v1/me", &key, &Value::Null).await.status, 200);
        provider.person(json!({"sub": "s-1", "email": "ada@corp.example", "email_verified": true}));
        let owner = rig.comes_by(&provider).await;
        assert_eq!(rig.by(&owner, "GET", "/api/v1/me", &Value::Null).await.status, 200);
        assert_eq!(rig.by(&squatter.cookie(), "GET", "/api/v1/me", &Value::Null).await.status, 401);
        let body = json!({"login": "ada@corp.example", "password": PASSWORD});
        let again = rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await;
        assert_eq!(again.status, 401, "{}", again.text());
        // Nor does their key spend for whose the user is now, or read what is theirs.
        assert_eq!(rig.ask("GET", "/api/v1/me", &key, &Value::Null).await.status, 401);
        assert_eq!(rig.by(&owner, "GET", "/api/v1/keys", &Value::Null).await.json()["total"], 0);
        // What they have made by themselves stays when they come again.
        let own = rig.issues(&owner, "after").await;
        let owner = rig.comes_by(&provider).await;
        assert_eq!(rig.ask("GET", "/api/v1/me", &own, &Value::Null).await.status, 200);
        assert_eq!(rig.by(&owner, "GET", "/api/v1/keys", &Value::Null).await.json()["total"], 1);
        let events = rig.manage("GET", "/api/v1/audit?action=account.sign_in", Value::Null).await;
        let told = |it: &&Value| it["detail"]["forgotten"] == "what was registered";
        assert_eq!(events["items"].as_array().unwrap().iter().filter(told).count(), 1, "{events}");
    });
}
