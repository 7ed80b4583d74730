//! Setting up, signing in, second steps and access tokens.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options, Timestamp};
use sluicegate_server::block_on;

use crate::rig::{Answer, FIRST_PASSWORD, MASTER, PASSWORD, Rig};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A gateway with the super administrator `admin`, whose password is [`PASSWORD`].
async fn set_up() -> Rig {
    let rig = Rig::new().await;
    rig.manage("POST", "/api/v1/setup", json!({"email": "root@example.com", "password": PASSWORD})).await;
    rig
}

impl Rig {
    fn later(&self, ms: i64) {
        self.clock.set(Timestamp::from_ms(self.gateway.clock().now().as_ms() + ms));
    }

    async fn is_in(&self, cookie: &str) -> bool {
        let answer = self.by(cookie, "GET", "/api/v1/me", &Value::Null).await;
        assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
        answer.status == 200
    }

    async fn tries(&self, login: &str, password: &str) -> Answer {
        let body = json!({"login": login, "password": password});
        self.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await
    }
}

#[test]
fn the_first_super_administrator_is_made_once_and_by_the_operator_alone() {
    block_on(async {
        let rig = Rig::new().await;
        let body = json!({"email": "root@example.com", "password": PASSWORD});
        let needed =
            async || rig.send("GET", "/api/v1/setup", &[], &Value::Null).await.json()["needed"].clone();
        assert_eq!(needed().await, true);
        assert_eq!(rig.send("POST", "/api/v1/setup", &[], &body).await.status, 401);
        let key = rig.manage("POST", "/api/v1/keys", json!({})).await["secret"].as_str().unwrap().to_owned();
        assert_eq!(rig.ask("POST", "/api/v1/setup", &key, &body).await.status, 403);
        for weak in ["short", "passwordpassword", "root@example.com"] {
            let answer = rig
                .ask("POST", "/api/v1/setup", MASTER, &json!({"email": "root@example.com", "password": weak}))
                .await;
            assert_eq!(answer.status, 400, "{weak}: {}", answer.text());
        }
        let second = json!({"id": "second", "password": PASSWORD});
        let (one, other) = tokio::join!(
            rig.ask("POST", "/api/v1/setup", MASTER, &body),
            rig.ask("POST", "/api/v1/setup", MASTER, &second)
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", one.text(), other.text());
        assert_eq!(needed().await, false);
        assert_eq!(rig.ask("POST", "/api/v1/setup", MASTER, &body).await.status, 409);
    });
}

#[test]
fn the_environment_makes_the_first_super_administrator() {
    block_on(async {
        let with = async |pairs: &'static [(&str, &str)]| Rig::try_with(Options::default(), pairs).await;
        let rig =
            with(&[("SLUICEGATE_ADMIN_EMAIL", "root@example.com"), ("SLUICEGATE_ADMIN_PASSWORD", PASSWORD)])
                .await
                .unwrap();
        let (cookie, answer) = rig.sign_in("root@example.com", PASSWORD).await;
        assert_eq!(answer["session"]["stage"], "done");
        assert_eq!(rig.by(&cookie, "GET", "/api/v1/me", &Value::Null).await.json()["role"], "super_admin");
        for wrong in [
            &[("SLUICEGATE_ADMIN_EMAIL", "root@example.com")][..],
            &[("SLUICEGATE_ADMIN_PASSWORD", PASSWORD)],
            &[("SLUICEGATE_ADMIN_EMAIL", "root@example.com"), ("SLUICEGATE_ADMIN_PASSWORD", "admin")],
        ] {
            let error = with(wrong).await.err().expect("no start without a good password");
            assert!(error.message().contains("SLUICEGATE_ADMIN_PASSWORD"), "{error}");
        }
    });
}

#[test]
fn a_session_is_kept_by_a_cookie_that_scripts_dont_see_and_ends_in_time() {
    block_on(async {
        let rig = set_up().await;
        let answer = rig.tries("admin", PASSWORD).await;
        let set = answer.headers.get("set-cookie").unwrap().to_str().unwrap().to_owned();
        assert!(set.starts_with("sluicegate_session="), "{set}");
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Secure") && !set.contains("Max-Age") && !set.contains("Domain"), "{set}");
        assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
        let cookie = answer.cookie();
        assert!(
            !answer.text().contains(cookie.split_once('=').unwrap().1),
            "the cookie alone holds the secret"
        );
        assert!(rig.is_in(&cookie).await);
        // Each use keeps it for another hour, twelve in all.
        for _ in 0..14 {
            rig.later(50 * MINUTE);
            assert!(rig.is_in(&cookie).await);
        }
        rig.later(21 * MINUTE);
        assert!(!rig.is_in(&cookie).await, "twelve hours are over");
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        rig.later(HOUR - 1);
        assert!(rig.is_in(&cookie).await);
        rig.later(HOUR);
        assert!(!rig.is_in(&cookie).await, "an hour without use is over");
        // Whoever signs in gets another secret each time, and can sign out.
        let (one, _) = rig.sign_in("admin", PASSWORD).await;
        let (two, _) = rig.sign_in("admin", PASSWORD).await;
        assert_ne!(one, two);
        let out = rig.by(&one, "DELETE", "/api/v1/session", &Value::Null).await;
        assert_eq!(out.status, 204);
        assert!(out.headers.get("set-cookie").unwrap().to_str().unwrap().contains("Max-Age=0"));
        assert!(!rig.is_in(&one).await && rig.is_in(&two).await);
        let again = json!({"login": "admin", "password": PASSWORD});
        let again = rig.by(&two, "POST", "/api/v1/session", &again).await.cookie();
        assert!(!rig.is_in(&two).await && rig.is_in(&again).await, "the one that it replaces is over");
        let two = again;
        let (three, _) = rig.sign_in("admin", PASSWORD).await;
        assert_eq!(rig.by(&two, "DELETE", "/api/v1/users/admin/sessions", &Value::Null).await.status, 204);
        assert!(!rig.is_in(&two).await && !rig.is_in(&three).await);
    });
}

#[test]
fn another_sites_page_can_neither_change_anything_nor_sign_anybody_in() {
    block_on(async {
        let rig = set_up().await;
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        let (new, credentials) = (json!({"id": "g"}), json!({"login": "admin", "password": PASSWORD}));
        let foreign = [
            &[("cookie", cookie.as_str())][..],
            &[("cookie", &cookie), ("x-sluicegate-csrf", "1"), ("origin", "https://evil.example")],
            &[("cookie", &cookie), ("x-sluicegate-csrf", "1"), ("sec-fetch-site", "cross-site")],
            &[("cookie", &cookie), ("x-sluicegate-csrf", "1"), ("sec-fetch-site", "same-site")],
        ];
        for headers in foreign {
            for (method, path, body) in [
                ("POST", "/api/v1/groups", &new),
                ("POST", "/api/v1/session", &credentials),
                ("DELETE", "/api/v1/session", &new),
                ("POST", "/team/new", &new),
            ] {
                let answer = rig.send(method, path, headers, body).await;
                assert_eq!(answer.status, 403, "{path} {headers:?}: {}", answer.text());
            }
        }
        assert!(rig.is_in(&cookie).await);
        assert_eq!(rig.by(&cookie, "POST", "/api/v1/groups", &new).await.status, 201);
        // A key is nothing that a browser sends by itself.
        let bare = [("authorization", &*format!("Bearer {MASTER}")), ("origin", "https://elsewhere.example")];
        assert_eq!(rig.send("POST", "/api/v1/groups", &bare, &json!({"id": "h"})).await.status, 201);
        // Nor does a session open inference.
        let call = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(rig.by(&cookie, "POST", "/v1/chat/completions", &call).await.status, 401);
    });
}

#[test]
fn guessing_is_slowed_down_and_says_nothing_about_who_exists() {
    block_on(async {
        let rig = set_up().await;
        let mut seen = Vec::new();
        for login in ["admin", "nobody"] {
            let mut answers = Vec::new();
            for _ in 0..7 {
                let answer = rig.tries(login, "not the password at all").await;
                let wait = answer.headers.get("retry-after-ms").map(|it| it.to_str().unwrap().to_owned());
                answers.push((answer.status, answer.text(), wait));
            }
            seen.push(answers);
        }
        assert_eq!(seen[0], seen[1], "the same for an account that exists and one that doesn't");
        let statuses: Vec<u16> = seen[0].iter().map(|it| it.0).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
        // The right one has to wait as well, and opens after that.
        assert_eq!(rig.tries("admin", PASSWORD).await.status, 429);
        rig.later(1_000);
        assert_eq!(rig.tries("admin", PASSWORD).await.status, 200);
        // From one address so many accounts, and no more.
        let mut refused = 0;
        for n in 0..60 {
            refused += u32::from(rig.tries(&format!("user-{n}"), "not the password").await.status == 429);
        }
        assert!(refused >= 10, "{refused}");
    });
}

#[test]
fn addresses_in_whatever_case_wait_alike_whether_somebody_has_them_or_not() {
    block_on(async {
        let rig = set_up().await;
        let mut seen = Vec::new();
        for spellings in [["root@example.com", "ROOT@Example.com"], ["none@example.com", "NONE@Example.com"]]
        {
            let mut answers = Vec::new();
            for n in 0..8 {
                let answer = rig.tries(spellings[n % 2], "not the password at all").await;
                answers.push((answer.status, answer.text()));
            }
            seen.push(answers);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].iter().filter(|it| it.0 == 401).count(), 5);
    });
}

#[test]
fn one_stuck_script_shuts_nobody_else_at_its_address_out() {
    block_on(async {
        let rig = set_up().await;
        for _ in 0..100 {
            rig.tries("stuck", "not the password at all").await;
        }
        assert_eq!(rig.tries("stuck", "not the password at all").await.status, 429);
        assert_eq!(rig.tries("admin", PASSWORD).await.status, 200);
    });
}

#[test]
fn a_password_that_is_reset_ends_what_was_begun_under_the_old_one() {
    block_on(async {
        let rig = set_up().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "vic"})).await;
        let (cookie, _) = rig.signed_in("vic").await;
        let new = json!({"name": "t", "scopes": ["read"]});
        let token = rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await.json();
        let token = token["secret"].as_str().unwrap();
        assert_eq!(rig.ask("GET", "/api/v1/me", token, &Value::Null).await.status, 200);
        // Passwords are looked at two at a time: some of these are only when the new one is there.
        let reset = async || rig.manage("POST", "/api/v1/users/vic/password", json!({})).await;
        let tries = async || rig.tries("vic", PASSWORD).await;
        let all = tokio::join!(tries(), tries(), reset(), tries(), tries(), tries());
        let made = all.2["password"].as_str().unwrap().to_owned();
        for answer in [all.0, all.1, all.3, all.4, all.5] {
            match answer.status {
                200 => assert!(!rig.is_in(&answer.cookie()).await),
                status => assert_eq!(status, 401, "{}", answer.text()),
            }
        }
        let sessions = rig.ask("GET", "/api/v1/users/vic/sessions", MASTER, &Value::Null).await;
        assert_eq!(sessions.json()["items"], json!([]), "{}", sessions.text());
        assert!(!rig.is_in(&cookie).await);
        assert_eq!(rig.ask("GET", "/api/v1/me", token, &Value::Null).await.status, 401);
        assert_eq!(rig.tries("vic", &made).await.status, 200);
    });
}

#[test]
fn whoever_is_blocked_lowered_or_deleted_is_so_at_once() {
    block_on(async {
        let rig = set_up().await;
        rig.manage("POST", "/api/v1/organizations", json!({"id": "o"})).await;
        for id in ["a", "b", "c", "d"] {
            let new = json!({"id": id, "organization": "o", "role": "organization_admin"});
            rig.manage("POST", "/api/v1/users", new).await;
        }
        let mut ways = Vec::new();
        for id in ["a", "b", "c", "d"] {
            let (cookie, _) = rig.signed_in(id).await;
            let new = json!({"name": "t", "scopes": ["write"]});
            let token = rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await.json();
            let key = rig.manage("POST", "/api/v1/keys", json!({"user": id})).await;
            let text = |value: &Value| value["secret"].as_str().unwrap().to_owned();
            ways.push((cookie, text(&token), text(&key)));
        }
        let create = async |way: &(String, String, String)| {
            let new = json!({});
            [
                rig.by(&way.0, "POST", "/api/v1/groups", &new).await.status,
                rig.ask("POST", "/api/v1/groups", &way.1, &new).await.status,
                rig.ask("POST", "/api/v1/groups", &way.2, &new).await.status,
            ]
        };
        for way in &ways {
            assert_eq!(create(way).await, [201; 3]);
        }
        rig.manage("PATCH", "/api/v1/users/a", json!({"blocked": true})).await;
        assert_eq!(create(&ways[0]).await, [401, 403, 403], "blocked: the session is over");
        assert_eq!(rig.tries("a", PASSWORD).await.status, 403);
        rig.manage("PATCH", "/api/v1/users/b", json!({"role": "user"})).await;
        assert_eq!(create(&ways[1]).await, [401, 403, 403], "lowered");
        rig.manage("DELETE", "/api/v1/users/c", Value::Null).await;
        assert_eq!(create(&ways[2]).await, [401, 401, 401], "deleted");
        assert_eq!(rig.tries("c", PASSWORD).await.status, 401);
        rig.manage("PATCH", "/api/v1/organizations/o", json!({"blocked": true})).await;
        assert_eq!(create(&ways[3]).await, [403; 3], "the organization is blocked");
        rig.manage("PATCH", "/api/v1/organizations/o", json!({"blocked": false})).await;
        assert_eq!(create(&ways[3]).await, [201; 3]);
        // The last super administrator stays one.
        for (method, body) in
            [("DELETE", Value::Null), ("PATCH", json!({"role": "user"})), ("PATCH", json!({"blocked": true}))]
        {
            let answer = rig.ask(method, "/api/v1/users/admin", MASTER, &body).await;
            assert_eq!(answer.status, 409, "{method} {body}: {}", answer.text());
        }
        // Of two who lower each other at the same time, one is left.
        rig.manage("POST", "/api/v1/users", json!({"id": "admin-2", "role": "super_admin"})).await;
        let lower = json!({"role": "user"});
        let (one, two) = tokio::join!(
            rig.ask("PATCH", "/api/v1/users/admin", MASTER, &lower),
            rig.ask("PATCH", "/api/v1/users/admin-2", MASTER, &lower)
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    });
}

#[test]
fn a_given_password_must_be_changed_before_anything_else() {
    block_on(async {
        let rig = set_up().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "u", "role": "organization_admin"})).await;
        assert_eq!(rig.tries("u", PASSWORD).await.status, 401, "nobody has a password by default");
        let given = rig.manage("POST", "/api/v1/users/u/password", json!({})).await;
        let made = given["password"].as_str().unwrap();
        let (cookie, answer) = rig.sign_in("u", made).await;
        assert_eq!(answer["session"]["stage"], "change_password");
        for (method, path, body) in [
            ("GET", "/api/v1/me", Value::Null),
            ("POST", "/api/v1/keys", json!({})),
            ("POST", "/api/v1/account/tokens", json!({"name": "t", "scopes": ["read"]})),
        ] {
            assert_eq!(rig.by(&cookie, method, path, &body).await.status, 403, "{path}");
        }
        let change = async |current: &str, new: &str| {
            let body = json!({"current": current, "new": new});
            rig.by(&cookie, "PUT", "/api/v1/session/password", &body).await
        };
        assert_eq!(change("not this one at all", PASSWORD).await.status, 401);
        assert_eq!(change(made, made).await.status, 400);
        assert_eq!(change(made, "uuuuuuuuuuuuu").await.status, 400);
        let changed = change(made, PASSWORD).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert!(
            !rig.is_in(&cookie).await && rig.is_in(&changed.cookie()).await,
            "it goes on under another secret"
        );
        assert_eq!(rig.tries("u", made).await.status, 401);
        // A reset ends what was.
        rig.manage("POST", "/api/v1/users/u/password", json!({"password": FIRST_PASSWORD})).await;
        assert!(!rig.is_in(&changed.cookie()).await);
    });
}

/// What an authenticator shows now.
fn code(rig: &Rig, secret: &str) -> String {
    rig.code_of(secret)
}

#[test]
fn a_second_step_is_asked_for_and_each_code_works_once() {
    block_on(async {
        let rig = set_up().await;
        let (first, _) = rig.sign_in("admin", PASSWORD).await;
        let step = "/api/v1/account/second-step";
        let wrong = rig.by(&first, "POST", step, &json!({"password": "not the password"})).await;
        assert_eq!(wrong.status, 401);
        let offer = rig.by(&first, "POST", step, &json!({"password": PASSWORD})).await.json();
        let secret = offer["secret"].as_str().unwrap().to_owned();
        assert!(offer["url"].as_str().unwrap().contains(&secret));
        assert_eq!(
            rig.tries("admin", PASSWORD).await.json()["session"]["stage"],
            "done",
            "an offer alone asks nobody"
        );
        let sure = rig.by(&first, "PUT", step, &json!({"code": code(&rig, &secret)})).await;
        assert_eq!(sure.status, 200, "{}", sure.text());
        assert!(!rig.is_in(&first).await && rig.is_in(&sure.cookie()).await);
        let backup: Vec<String> = sure.json()["backup_codes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(backup.len(), 10);

        let half = async || {
            let (cookie, answer) = rig.sign_in("admin", PASSWORD).await;
            assert_eq!(answer["session"]["stage"], "second_step");
            assert_eq!(rig.by(&cookie, "GET", "/api/v1/me", &Value::Null).await.status, 403);
            cookie
        };
        let give = async |cookie: &str, code: &str| {
            rig.by(cookie, "POST", "/api/v1/session/code", &json!({"code": code})).await
        };
        let cookie = half().await;
        assert_eq!(
            give(&cookie, &code(&rig, &secret)).await.status,
            401,
            "the code of the confirmation is used up"
        );
        rig.later(MINUTE);
        let now = code(&rig, &secret);
        let (one, two) = tokio::join!(give(&cookie, &now), give(&cookie, &now));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200, "of two at the same time one is taken: {statuses:?}");
        assert!(matches!(statuses[1], 401 | 409), "{statuses:?}");
        // Backup codes, once each, however they are written.
        let cookie = half().await;
        let fine = give(&cookie, &backup[0].to_uppercase().replace('-', " ")).await;
        assert_eq!(fine.status, 200, "{}", fine.text());
        assert_eq!(
            rig.by(&fine.cookie(), "GET", "/api/v1/account", &Value::Null).await.json()["backup_codes"],
            9
        );
        let cookie = half().await;
        assert_eq!(give(&cookie, &backup[0]).await.status, 401);
        // Guessing codes is slowed down, too.
        let mut last = 0;
        for _ in 0..6 {
            last = give(&cookie, "000000").await.status;
        }
        assert_eq!(last, 429);
        rig.later(20 * MINUTE);
        assert_eq!(
            give(&cookie, &code(&rig, &secret)).await.status,
            401,
            "a half-open session is over in ten minutes"
        );

        let (cookie, _) = {
            let cookie = half().await;
            let done = give(&cookie, &code(&rig, &secret)).await;
            assert_eq!(done.status, 200, "{}", done.text());
            (done.cookie(), ())
        };
        let remove = "/api/v1/account/second-step/remove";
        assert_eq!(rig.by(&cookie, "POST", remove, &json!({"password": PASSWORD})).await.status, 400);
        let proof = json!({"password": PASSWORD, "code": backup[1]});
        let removed = rig.by(&cookie, "POST", remove, &proof).await;
        assert_eq!(removed.status, 204, "{}", removed.text());
        assert_eq!(rig.tries("admin", PASSWORD).await.json()["session"]["stage"], "done");
    });
}

#[test]
fn a_token_does_what_its_scopes_say_until_it_is_over() {
    block_on(async {
        let rig = set_up().await;
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        let make = async |body: Value| rig.by(&cookie, "POST", "/api/v1/account/tokens", &body).await;
        for wrong in [
            json!({"name": "t", "scopes": []}),
            json!({"name": "t", "scopes": ["admin"]}),
            json!({"name": " ", "scopes": ["read"]}),
            json!({"name": "t", "scopes": ["read"], "ttl": "400d"}),
        ] {
            assert_eq!(make(wrong.clone()).await.status, 400, "{wrong}");
        }
        let issued = make(json!({"name": "reader", "scopes": ["read", "keys:write"], "ttl": "30d"})).await;
        assert_eq!(issued.status, 201, "{}", issued.text());
        let issued = issued.json();
        let (token, id) = (issued["secret"].as_str().unwrap(), issued["token"]["id"].as_str().unwrap());
        assert!(token.starts_with("sgpat_"), "{token}");
        rig.manage("POST", "/api/v1/keys", json!({"alias": "nobodys"})).await;
        rig.manage("POST", "/api/v1/keys", json!({"alias": "admins", "user": "admin"})).await;
        let listed = rig.by(&cookie, "GET", "/api/v1/users/admin/tokens", &Value::Null).await;
        assert!(listed.text().contains(id) && !listed.text().contains(token), "{}", listed.text());
        for (method, path, body, want) in [
            ("GET", "/api/v1/groups", Value::Null, 200),
            ("GET", "/api/v1/audit", Value::Null, 200),
            ("POST", "/api/v1/keys", json!({}), 201),
            ("POST", "/key/generate", json!({}), 200),
            // A key would do what its user may: more than the token.
            ("POST", "/api/v1/keys", json!({"user": "admin"}), 403),
            ("POST", "/key/generate", json!({"user_id": "admin"}), 403),
            ("PATCH", "/api/v1/keys/nobodys", json!({"user": "admin"}), 403),
            ("PATCH", "/api/v1/keys/nobodys", json!({"metadata": {"a": "b"}}), 200),
            ("POST", "/api/v1/keys/admins/regenerate", json!({}), 403),
            ("POST", "/api/v1/groups", json!({}), 403),
            ("POST", "/team/new", json!({}), 403),
            ("POST", "/api/v1/explain", json!({"model": "mock"}), 400),
            ("POST", "/api/v1/account/tokens", json!({"name": "t", "scopes": ["write"]}), 403),
            ("POST", "/api/v1/users/admin/password", json!({}), 403),
            ("DELETE", "/api/v1/users/admin/sessions", Value::Null, 403),
            ("GET", "/api/v1/users/admin/tokens", Value::Null, 403),
            ("POST", "/api/v1/setup", json!({"password": PASSWORD}), 403),
            (
                "POST",
                "/v1/chat/completions",
                json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]}),
                401,
            ),
        ] {
            let answer = rig.ask(method, path, token, &body).await;
            assert_eq!(answer.status, want, "{method} {path}: {}", answer.text());
        }
        // A team is told with the keys and addresses that the token reads, too.
        rig.manage("POST", "/api/v1/users", json!({"id": "ada", "email": "ada@corp.example"})).await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "rd"})).await;
        rig.manage("POST", "/api/v1/groups/rd/members", json!({"user": "ada"})).await;
        rig.manage("POST", "/api/v1/keys", json!({"alias": "rds", "group": "rd"})).await;
        for (scopes, keys, addresses) in [
            (json!(["groups:read"]), false, false),
            (json!(["groups:read", "keys:read"]), true, false),
            (json!(["groups:read", "users:read"]), false, true),
            (json!(["read"]), true, true),
        ] {
            let made = make(json!({"name": "t", "scopes": scopes})).await.json();
            let token = made["secret"].as_str().unwrap();
            for path in ["/team/list", "/team/info?team_id=rd", "/v2/team/list"] {
                let told = rig.ask("GET", path, token, &Value::Null).await;
                assert_eq!(told.status, 200, "{scopes} {path}: {}", told.text());
                let has = (told.text().contains("rds"), told.text().contains("ada@corp.example"));
                let want = (keys && !path.starts_with("/v2"), addresses);
                assert_eq!(has, want, "{scopes} {path}: {}", told.text());
                assert!(told.text().contains("ada"), "{}", told.text());
            }
        }
        // What each member spent, only if it reads usage, too.
        for (scopes, told) in [
            (json!(["groups:read"]), Value::Null),
            (json!(["groups:read", "usage:read"]), json!(0.0)),
            (json!(["read"]), json!(0.0)),
        ] {
            let made = make(json!({"name": "t", "scopes": scopes})).await.json();
            let path = "/team/info?team_id=rd";
            let answer = rig.ask("GET", path, made["secret"].as_str().unwrap(), &Value::Null).await;
            assert_eq!(answer.json()["team_memberships"][0]["spend"], told, "{scopes}: {}", answer.text());
        }
        rig.manage("PATCH", "/api/v1/groups/rd", json!({"alias": "research"})).await;
        rig.manage("POST", "/api/v1/organizations", json!({"id": "default"})).await;
        for (scopes, path, told) in [
            (json!(["users:read"]), "/user/info?user_id=ada", [false, false, true]),
            (json!(["users:read", "groups:read"]), "/user/info?user_id=ada", [true, false, true]),
            (
                json!(["organizations:read"]),
                "/organization/info?organization_id=default",
                [false, false, false],
            ),
            (json!(["organizations:read", "groups:read"]), "/organization/list", [true, false, false]),
            (json!(["organizations:read", "users:read"]), "/organization/list", [false, false, true]),
        ] {
            let made = make(json!({"name": "t", "scopes": scopes})).await.json();
            let answer = rig.ask("GET", path, made["secret"].as_str().unwrap(), &Value::Null).await;
            assert_eq!(answer.status, 200, "{scopes} {path}: {}", answer.text());
            let has = ["research", "rds", "ada@corp.example"].map(|word| answer.text().contains(word));
            assert_eq!(has, told, "{scopes} {path}: {}", answer.text());
        }
        // How many keys somebody has, only if it reads keys.
        for (scopes, told) in [(json!(["users:read"]), Value::Null), (json!(["read"]), json!(0))] {
            let made = make(json!({"name": "t", "scopes": scopes})).await.json();
            let path = "/user/list?user_ids=ada";
            let answer = rig.ask("GET", path, made["secret"].as_str().unwrap(), &Value::Null).await;
            assert_eq!(answer.json()["users"][0]["key_count"], told, "{scopes}: {}", answer.text());
        }
        rig.later(24 * HOUR * 30);
        assert_eq!(rig.ask("GET", "/api/v1/groups", token, &Value::Null).await.status, 401, "it is over");
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        let again = rig
            .by(&cookie, "POST", "/api/v1/account/tokens", &json!({"name": "w", "scopes": ["write"]}))
            .await
            .json();
        let (token, id) = (again["secret"].as_str().unwrap(), again["token"]["id"].as_str().unwrap());
        assert_eq!(rig.ask("POST", "/api/v1/groups", token, &json!({})).await.status, 201);
        let path = format!("/api/v1/users/admin/tokens/{id}");
        assert_eq!(rig.by(&cookie, "DELETE", &path, &Value::Null).await.status, 204);
        assert_eq!(rig.ask("POST", "/api/v1/groups", token, &json!({})).await.status, 401, "it is deleted");
    });
}

#[test]
fn only_a_trusted_proxys_word_counts() {
    block_on(async {
        let rig = set_up().await.connecting_from("10.9.0.1:5000");
        let new = json!({"alias": "k", "allowed_ips": ["203.0.113.0/24"]});
        let key = rig.manage("POST", "/api/v1/keys", new).await["secret"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {key}");
        let from = async |rig: &Rig, forwarded: &str| {
            let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", forwarded)];
            rig.send("GET", "/api/v1/me", &headers, &Value::Null).await.status
        };
        for (forwarded, want) in [
            ("203.0.113.9", 200),
            ("198.51.100.7", 403),
            ("203.0.113.9, 198.51.100.7", 403),
            ("198.51.100.7, 203.0.113.9, 10.9.0.2", 200),
        ] {
            assert_eq!(from(&rig, forwarded).await, want, "{forwarded}");
        }
        // The same is in the audit trail, and decides whether the cookie is for TLS alone.
        let body = json!({"login": "admin", "password": PASSWORD});
        let headers =
            [("x-sluicegate-csrf", "1"), ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
        let signed = rig.send("POST", "/api/v1/session", &headers, &body).await;
        let set = signed.headers.get("set-cookie").unwrap().to_str().unwrap();
        assert!(set.starts_with("__Host-sluicegate_session=") && set.contains("Secure"), "{set}");
        assert_eq!(signed.json()["session"]["address"], "203.0.113.9");
        let events = rig.ask("GET", "/api/v1/audit?address=203.0.113.9", MASTER, &Value::Null).await.json();
        assert_eq!(events["items"][0]["action"], "session.begin");
        // Anybody else may write what they like.
        let rig = rig.connecting_from("192.0.2.1:5000");
        assert_eq!(from(&rig, "203.0.113.9").await, 403);
        let signed = rig.send("POST", "/api/v1/session", &headers, &body).await;
        let set = signed.headers.get("set-cookie").unwrap().to_str().unwrap();
        assert!(set.starts_with("sluicegate_session="), "{set}");
        assert_eq!(signed.json()["session"]["address"], "192.0.2.1");
    });
}

#[test]
fn lifetimes_and_passwords_are_as_configured() {
    block_on(async {
        let config = |auth: &str| Options {
            config: Some(ConfigText {
                path: "sluicegate.yaml".to_owned(),
                text: format!("version: 1\nauth: {auth}\n"),
            }),
            ..Options::default()
        };
        let rig =
            Rig::with(config("{session: {idle: 10m, absolute: 25m}, password: {min_length: 20}}")).await;
        let answer = rig.ask("POST", "/api/v1/setup", MASTER, &json!({"password": "walrus teapot 93"})).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("at least 20 characters"), "{}", answer.text());
        rig.manage("POST", "/api/v1/setup", json!({"password": PASSWORD})).await;
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        for _ in 0..2 {
            rig.later(9 * MINUTE);
            assert!(rig.is_in(&cookie).await);
        }
        rig.later(7 * MINUTE);
        assert!(!rig.is_in(&cookie).await, "25 minutes are over");
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        rig.later(10 * MINUTE);
        assert!(!rig.is_in(&cookie).await, "ten minutes without use are over");
    });
}

#[test]
fn a_token_for_channels_gives_no_group_models() {
    block_on(async {
        let rig = set_up().await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "g", "models": ["none"]})).await;
        let (cookie, _) = rig.sign_in("admin", PASSWORD).await;
        let token = async |scopes: Value| {
            let new = json!({"name": scopes.to_string(), "scopes": scopes});
            let made = rig.by(&cookie, "POST", "/api/v1/account/tokens", &new).await;
            made.json()["secret"].as_str().unwrap().to_owned()
        };
        let confined = token(json!(["read", "channels:write"])).await;
        let wider = token(json!(["read", "channels:write", "groups:write"])).await;
        let new = |name: &str, groups: Value| json!({"access_group_name": name, "access_model_names": ["mock"], "assigned_team_ids": groups});
        for (token, body, want) in [
            (&confined, new("a", json!(["g"])), 403),
            (&confined, new("b", json!([])), 200),
            (&wider, new("c", json!(["g"])), 200),
        ] {
            let answer = rig.ask("POST", "/v1/access_group", token, &body).await;
            assert_eq!(answer.status, want, "{body}: {}", answer.text());
        }
        for (method, body) in [("PUT", json!({"assigned_team_ids": []})), ("DELETE", Value::Null)] {
            let answer = rig.ask(method, "/v1/access_group/c", &confined, &body).await;
            assert_eq!(answer.status, 403, "{method}: {}", answer.text());
        }
    });
}
