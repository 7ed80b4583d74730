//! Tokens of another issuer on calls.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options, Timestamp};
use sluicegate_server::block_on;

use crate::provider::{NOW, Provider};
use crate::rig::{Answer, Rig};

const TENANTS: &str = "
organizations: [{id: acme}, {id: other}]
groups:
  - {id: research, organization: acme, limits: {requests: {day: 2}}}
  - {id: sales, organization: acme}
  - {id: theirs, organization: other}
users:
  - {id: ada, organization: acme, limits: {requests: {day: 3}}}
  - {id: max, organization: acme, blocked: true}
  - {id: eve, organization: other}
";

/// A gateway that takes this issuer's tokens, with settings beside those that all share.
async fn gateway(provider: &Provider, settings: &str) -> Rig {
    let text = format!(
        "version: 1\n{TENANTS}auth:\n  jwt:\n    - id: corp\n      issuer: {0}\n      audience: llm\n      organization: acme\n      jwks_url: {0}/keys\n{settings}",
        provider.issuer
    );
    let config = ConfigText { path: "sluicegate.yaml".to_owned(), text };
    Rig::with(Options { config: Some(config), ..Options::default() }).await
}

impl Rig {
    async fn calls(&self, token: &str) -> Answer {
        let body = json!({"model": "mock", "messages": [{"role": "user", "content": "hello"}]});
        self.ask("POST", "/v1/chat/completions", token, &body).await
    }

    fn at(&self, seconds: i64) {
        self.clock.set(Timestamp::from_ms(seconds * 1_000));
    }
}

fn ada(more: Value) -> Value {
    let mut claims = json!({"sub": "ada", "aud": "llm"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_token_opens_calls_and_charges_whom_it_names() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      claims: {group: team, customer: end_user}\n").await;
        let token = provider.token(ada(json!({"end_user": "c-1"})));
        for _ in 0..3 {
            let answer = rig.calls(&token).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(rig.calls(&token).await.status, 429, "the user's limit");
        // Another token of the same person is no way around it.
        assert_eq!(rig.calls(&provider.token(ada(json!({"jti": "2"})))).await.status, 429);
        // By a group the group's limit counts.
        let token = provider.token(ada(json!({"team": "research"})));
        assert_eq!([rig.calls(&token).await.status, rig.calls(&token).await.status], [200, 200]);
        let over = rig.calls(&token).await;
        assert_eq!(over.status, 429, "{}", over.text());
        rig.gateway.flush().await.unwrap();
        let records = rig.manage("GET", "/api/v1/records", Value::Null).await;
        let rows = records["records"].as_array().or(records["items"].as_array()).expect("rows").clone();
        let first = rows.iter().find(|row| row["customer"] == "c-1").unwrap_or_else(|| panic!("{records}"));
        assert_eq!((&first["user"], &first["organization"]), (&json!("ada"), &json!("acme")), "{first}");
        assert_eq!(first["key"], "jwt:corp/ada", "{first}");
        // It administers nothing, not even what is its user's own.
        for path in ["/api/v1/me", "/api/v1/keys", "/key/info", "/api/v1/records"] {
            assert_eq!(rig.ask("GET", path, &token, &Value::Null).await.status, 403, "{path}");
        }
        assert_eq!(rig.ask("GET", "/v1/models", &token, &Value::Null).await.status, 200);
    });
}

#[test]
fn a_token_that_cant_be_trusted_opens_nothing() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "").await;
        let good = provider.token(ada(json!({})));
        assert_eq!(rig.calls(&good).await.status, 200);
        assert_eq!(rig.calls(&provider.token_by("RS256", ada(json!({})))).await.status, 200);
        let other = Provider::start().await;
        let [head, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let forged_body = provider.token(ada(json!({"sub": "root"})));
        let forged_body = forged_body.split('.').nth(1).unwrap();
        let cases = [
            ("no algorithm", provider.token_by("none", ada(json!({})))),
            ("the public key as a secret", provider.token_by("HS256", ada(json!({})))),
            ("another algorithm's name", provider.token_by("ES384", ada(json!({})))),
            ("another body", format!("{head}.{forged_body}.{signature}")),
            ("no signature", format!("{head}.{body}.")),
            ("a key of somebody else's", other.token(ada(json!({"iss": provider.issuer})))),
            ("another issuer", other.token(ada(json!({})))),
            ("no issuer", provider.token(ada(json!({"iss": null})))),
            ("for somebody else", provider.token(ada(json!({"aud": "chat"})))),
            ("for nobody", provider.token(json!({"sub": "ada"}))),
            ("expired", provider.token(ada(json!({"exp": NOW - 61})))),
            ("without an end", provider.token(ada(json!({"exp": null})))),
            ("an end that is no time", provider.token(ada(json!({"exp": "tomorrow"})))),
            ("an end beyond all time", provider.token(ada(json!({"exp": 1e300})))),
            ("not yet", provider.token(ada(json!({"nbf": NOW + 61})))),
            ("issued in the future", provider.token(ada(json!({"iat": NOW + 61})))),
            ("too long", provider.token(ada(json!({"pad": "x".repeat(20_000)})))),
            ("garbage", "eyJhbGciOiJFUzI1NiJ9.eyJ9.AAAA".to_owned()),
        ];
        for (what, token) in cases {
            let answer = rig.calls(&token).await;
            assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        }
        // A minute is how far clocks may differ.
        for claims in [json!({"exp": NOW - 59}), json!({"nbf": NOW + 59, "iat": NOW + 59})] {
            assert_ne!(rig.calls(&provider.token(ada(claims.clone()))).await.status, 401, "{claims}");
        }
    });
}

#[test]
fn a_checked_token_ends_in_time() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "").await;
        let token = provider.token(ada(json!({"exp": NOW + 100})));
        assert_eq!(rig.calls(&token).await.status, 200);
        rig.at(NOW + 159);
        assert_eq!(rig.calls(&token).await.status, 200);
        rig.at(NOW + 160);
        let answer = rig.calls(&token).await;
        assert!(matches!(answer.status, 401 | 403), "{} {}", answer.status, answer.text());
    });
}

#[test]
fn an_issuer_speaks_for_its_own_organization_alone() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      claims: {group: team, groups: teams}\n").await;
        let calls = async |claims: Value| rig.calls(&provider.token(claims)).await;
        let unknown = calls(json!({"sub": "nobody", "aud": "llm"})).await;
        assert_eq!(unknown.status, 403, "{}", unknown.text());
        for claims in [
            json!({"sub": "eve", "aud": "llm"}),
            ada(json!({"team": "theirs"})),
            ada(json!({"team": "nowhere"})),
            ada(json!({"teams": ["theirs", "nowhere"]})),
            json!({"aud": "llm", "sub": "eve", "team": "research"}),
        ] {
            let answer = calls(claims.clone()).await;
            assert_eq!((answer.status, answer.text()), (403, unknown.text()), "{claims}");
        }
        assert_eq!(calls(json!({"aud": "llm"})).await.status, 401, "it names nobody");
        assert_eq!(calls(json!({"sub": "max", "aud": "llm"})).await.status, 403, "blocked");
        assert_eq!(calls(ada(json!({"teams": ["theirs", "nowhere", "sales"]}))).await.status, 200);
    });
}

#[test]
fn unknown_callers_become_users_where_that_is_said() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      unknown_users: create\n      claims: {email: email}\n      email_domains: [corp.example]\n",
        )
        .await;
        let calls = async |claims: Value| rig.calls(&provider.token(claims)).await;
        let new = json!({"sub": "new", "aud": "llm", "email": "new@corp.example"});
        for _ in 0..2 {
            let answer = calls(new.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let user = rig.manage("GET", "/api/v1/users/new", Value::Null).await;
        assert_eq!((&user["organization"], &user["role"]), (&json!("acme"), &json!("user")), "{user}");
        assert_eq!(user["email"], "new@corp.example");
        // An address that is taken says nothing about who somebody is.
        assert_eq!(calls(json!({"sub": "two", "aud": "llm", "email": "new@corp.example"})).await.status, 200);
        let second = rig.manage("GET", "/api/v1/users/two", Value::Null).await;
        assert_eq!(second["email"], Value::Null, "{second}");
        for claims in [
            json!({"sub": "eve", "aud": "llm", "email": "eve@corp.example"}),
            json!({"sub": "x", "aud": "llm", "email": "x@evil.example"}),
            json!({"sub": "x", "aud": "llm", "email": "x@corp.example.evil.example"}),
            json!({"sub": "x", "aud": "llm", "email": "x@corp.example", "email_verified": false}),
            json!({"sub": "x", "aud": "llm"}),
            json!({"sub": " x", "aud": "llm", "email": "x@corp.example"}),
            json!({"sub": "x\u{0}", "aud": "llm", "email": "x@corp.example"}),
        ] {
            assert_eq!(calls(claims.clone()).await.status, 403, "{claims}");
        }
        // Whoever is blocked is so for the next call.
        rig.manage("PATCH", "/api/v1/users/new", json!({"blocked": true})).await;
        assert_eq!(calls(new).await.status, 403);
        let events = rig.manage("GET", "/api/v1/audit", Value::Null).await.to_string();
        assert!(events.contains("issuer corp"), "{events}");
    });
}

#[test]
fn scopes_and_claims_narrow_what_a_token_reaches() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      claims: {models: models}\n      require: {realm.roles: [llm]}\n      models: {llm.mock: [mock], llm.more: ['gpt-*']}\n",
        )
        .await;
        for (claims, status) in [
            (json!({"scope": "openid llm.mock", "realm": {"roles": ["x", "llm"]}}), 200),
            (json!({"scope": ["llm.mock"], "realm": {"roles": "llm"}}), 200),
            (json!({"scope": "llm.mock", "realm": {"roles": ["llm"]}, "models": ["mock"]}), 200),
            (json!({"scope": "llm.mock", "realm": {"roles": ["llm"]}, "models": ["gpt-x"]}), 403),
            (json!({"scope": "llm.more", "realm": {"roles": ["llm"]}}), 404),
            (json!({"scope": "openid", "realm": {"roles": ["llm"]}}), 403),
            (json!({"realm": {"roles": ["llm"]}}), 403),
            (json!({"scope": "llm.mock", "realm": {"roles": ["llm-admin"]}}), 403),
            (json!({"scope": "llm.mock"}), 403),
        ] {
            let answer = rig.calls(&provider.token(ada(claims.clone()))).await;
            let fine = answer.status == status || (status == 404 && answer.status == 403);
            assert!(fine, "{claims}: {} {}", answer.status, answer.text());
        }
    });
}

#[test]
fn an_access_group_is_measured_by_what_it_holds() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      claims: {models: models}\n      models: {llm.gpt: ['gpt-*'], llm.all: [gpt-both]}\naccess_groups: {gpt-beta: {models: [mock]}, gpt-both: {models: [mock]}}\n",
        )
        .await;
        for (claims, fine) in [
            // Its name begins as the scope says, what it holds doesn't.
            (json!({"scope": "llm.gpt", "models": ["gpt-beta"]}), false),
            (json!({"scope": "llm.gpt", "models": ["gpt-beta", "gpt-x"]}), false),
            (json!({"scope": "llm.all", "models": ["gpt-beta"]}), true),
            (json!({"scope": "llm.all", "models": ["access_group:gpt-beta"]}), true),
        ] {
            let answer = rig.calls(&provider.token(ada(claims.clone()))).await;
            assert_eq!(answer.status == 200, fine, "{claims}: {} {}", answer.status, answer.text());
        }
    });
}

#[test]
fn keys_are_exchanged_fetched_seldom_and_outlive_an_outage() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      keys_ttl: 10m\n").await;
        let mut number = 0;
        let mut calls = async || {
            number += 1;
            let now = rig.gateway.clock().now().as_ms() / 1_000;
            let times = json!({"jti": number, "iat": now, "exp": now + 60});
            rig.calls(&provider.token(ada(times))).await.status
        };
        // The user's limit is three calls: another answer than 401 is what counts here.
        assert_eq!(calls().await, 200);
        assert_eq!(provider.fetched("keys"), 1);
        assert_ne!(calls().await, 401);
        assert_eq!(provider.fetched("keys"), 1, "they are kept");
        // A key that nobody knows yet is looked for once, not with every token that names one.
        provider.rotate_in_secret("ec-2");
        for _ in 0..5 {
            assert_eq!(calls().await, 401);
        }
        assert_eq!(provider.fetched("keys"), 1, "within half a minute they aren't asked for again");
        rig.at(NOW + 31);
        for _ in 0..5 {
            assert_eq!(calls().await, 401);
        }
        assert_eq!(provider.fetched("keys"), 2);
        provider.publish();
        rig.at(NOW + 62);
        assert_ne!(calls().await, 401, "the new key is found");
        assert_eq!(provider.fetched("keys"), 3);
        // They are over, and can't be had: those there were count on, and aren't asked for with every call.
        provider.only_fault("down");
        rig.at(NOW + 62 + 601);
        for _ in 0..5 {
            assert_ne!(calls().await, 401);
        }
        assert_eq!(provider.fetched("keys"), 4);
        rig.at(NOW + 62 + 86_400);
        assert_eq!(calls().await, 503, "not for ever");
        provider.only_fault("endless");
        rig.at(NOW + 62 + 86_440);
        assert_eq!(calls().await, 503);
        provider.be_right();
        rig.at(NOW + 62 + 86_480);
        assert_ne!(calls().await, 503);
    });
}

#[test]
fn an_issuer_is_found_by_its_discovery_and_led_nowhere_else() {
    block_on(async {
        for (fault, status) in
            [("none", 200), ("another_issuer", 503), ("keys_inside", 503), ("redirect", 503)]
        {
            let provider = Provider::start().await;
            provider.only_fault(fault);
            let text = format!(
                "version: 1\n{TENANTS}auth:\n  jwt: [{{id: corp, issuer: \"{}\", audience: llm, organization: acme}}]\n",
                provider.issuer
            );
            let config = ConfigText { path: "sluicegate.yaml".to_owned(), text };
            let rig = Rig::with(Options { config: Some(config), ..Options::default() }).await;
            let answer = rig.calls(&provider.token(ada(json!({})))).await;
            assert_eq!(answer.status, status, "{fault}: {}", answer.text());
            assert!(!answer.text().contains("10.0.0.1"), "{}", answer.text());
        }
    });
}

#[test]
fn without_an_issuer_a_token_is_a_key_that_nobody_knows() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = Rig::new().await;
        let token = rig.calls(&provider.token(ada(json!({})))).await;
        let key = rig.calls("sk-unknown-0123456789").await;
        assert_eq!((token.status, token.text()), (401, key.text()));
    });
}

#[test]
fn tokens_of_the_scope_that_a_litellm_file_names_administer_and_no_others() {
    block_on(async {
        let provider = Provider::start().await;
        let keys = format!("{}/keys", provider.issuer);
        let all = [
            ("JWT_PUBLIC_KEY_URL", keys.as_str()),
            ("JWT_ISSUER", &provider.issuer),
            ("JWT_AUDIENCE", "llm"),
        ];
        let gateway = async |known: &[(&str, &str)]| {
            // Variables are asked for as long as the gateway lives.
            let known: Vec<(&'static str, &'static str)> = known
                .iter()
                .map(|(name, value)| (&*name.to_string().leak(), &*value.to_string().leak()))
                .collect();
            let text = "model_list: [{model_name: m, litellm_params: {model: openai/gpt-5-mini, api_key: k}}]\n\
                general_settings: {enable_jwt_auth: true, litellm_jwtauth: {admin_jwt_scope: boss}}\n";
            let config = ConfigText { path: "config.yaml".to_owned(), text: text.to_owned() };
            Rig::try_with(Options { config: Some(config), ..Options::default() }, known.leak()).await.unwrap()
        };
        let boss = |more: Value| {
            ada(json!({"sub": "root-at-idp", "scope": "openid boss"}))
                .as_object()
                .map(|claims| {
                    let mut claims = claims.clone();
                    claims.extend(more.as_object().unwrap().clone());
                    Value::Object(claims)
                })
                .unwrap()
        };
        let rig = gateway(&all).await;
        let token = provider.token(boss(json!({})));
        let made = rig.ask("POST", "/team/new", &token, &json!({"team_id": "eng"})).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let events = rig.manage("GET", "/api/v1/audit?action=group.create", Value::Null).await;
        let event = &events["items"][0];
        assert_eq!(
            (&event["actor"], &event["credential"]),
            (&json!("issuer litellm"), &json!("token of root-at-idp")),
            "{events}"
        );
        // Whoever administers everything gives keys to administrators, which are these administrators' own.
        let second = json!({"user_id": "second", "user_role": "proxy_admin"});
        let made = rig.ask("POST", "/user/new", &token, &second).await;
        let key = made.json()["key"].as_str().unwrap_or_default().to_owned();
        let seen = rig.ask("GET", "/api/v1/audit", &key, &Value::Null).await;
        assert_eq!((made.status, seen.status), (200, 200), "{} {}", made.text(), seen.text());
        for (why, token, status) in [
            ("another scope", provider.token(boss(json!({"scope": "openid bossy"}))), 403),
            ("no scope", provider.token(ada(json!({}))), 403),
            ("another audience", provider.token(boss(json!({"aud": "other"}))), 401),
            ("over", provider.token(boss(json!({"exp": NOW - 3_600}))), 401),
            ("unsigned", provider.token_by("none", boss(json!({}))), 401),
            ("another's", Provider::start().await.token(boss(json!({}))), 401),
        ] {
            let answer = rig.ask("GET", "/team/info?team_id=eng", &token, &Value::Null).await;
            assert!(
                answer.status == status || (status == 403 && answer.status == 401),
                "{why}: {}",
                answer.text()
            );
            assert_ne!(answer.status, 200, "{why}");
        }
        // Of anybody whom the keys' address speaks for, none administers.
        for left_out in ["JWT_ISSUER", "JWT_AUDIENCE"] {
            let some: Vec<_> = all.iter().filter(|(name, _)| *name != left_out).copied().collect();
            let rig = gateway(&some).await;
            let answer = rig.ask("GET", "/team/list", &token, &Value::Null).await;
            assert!(matches!(answer.status, 401 | 403), "{left_out}: {}", answer.text());
        }
    });
}
