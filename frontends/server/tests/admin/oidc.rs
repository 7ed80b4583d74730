//! Signing in through a provider: the whole way, and every way to misuse it.

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options, Timestamp};
use sluicegate_server::block_on;

use crate::provider::{CLIENT, CLIENT_SECRET, NOW, Provider};
use crate::rig::{Answer, PASSWORD, Rig};

const TENANTS: &str = "
organizations: [{id: acme}, {id: other}]
groups: [{id: research, organization: acme}, {id: theirs, organization: other}]
";
const PUBLIC: &str = "https://gateway.example";

async fn gateway(provider: &Provider, settings: &str) -> Rig {
    let text = format!(
        "version: 1\n{TENANTS}auth:\n  public_url: {PUBLIC}\n  oidc:\n    - id: corp\n      name: Corporate\n      issuer: {}\n      client_id: {CLIENT}\n      client_secret: {CLIENT_SECRET}\n      organization: acme\n{settings}",
        provider.issuer
    );
    let config = ConfigText { path: "sluicegate.yaml".to_owned(), text };
    Rig::with(Options { config: Some(config), ..Options::default() }).await
}

/// A browser on its way.
struct Trip {
    cookie: String,
    back: String,
}

fn location(answer: &Answer) -> String {
    answer.headers.get("location").expect("it leads on").to_str().unwrap().to_owned()
}

impl Rig {
    async fn sets_out(&self, provider: &Provider, query: &str) -> Trip {
        let answer = self.send("GET", &format!("/api/v1/session/oidc/corp{query}"), &[], &Value::Null).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        let to = location(&answer);
        assert!(to.starts_with(&format!("{}/authorize?", provider.issuer)), "{to}");
        let back = provider.approve(&to).await;
        let back = back.strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{back}")).to_owned();
        Trip { cookie: answer.cookie(), back }
    }

    async fn comes_back(&self, trip: &Trip) -> Answer {
        self.send("GET", &trip.back, &[("cookie", &trip.cookie)], &Value::Null).await
    }

    /// Signs somebody in: the session's cookie.
    async fn arrives(&self, provider: &Provider, person: Value) -> String {
        provider.person(person.clone());
        let trip = self.sets_out(provider, "").await;
        let answer = self.comes_back(&trip).await;
        assert_eq!(answer.status, 302, "{person}: {}", answer.text());
        answer.cookie()
    }

    /// Who somebody is refused for whom the provider lets in.
    async fn is_refused(&self, provider: &Provider, person: Value) -> Answer {
        provider.person(person);
        let trip = self.sets_out(provider, "").await;
        let answer = self.comes_back(&trip).await;
        assert!(answer.headers.get("set-cookie").is_none(), "{}", answer.text());
        answer
    }

    async fn me(&self, cookie: &str) -> Value {
        let answer = self.by(cookie, "GET", "/api/v1/me", &Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

fn person(more: Value) -> Value {
    let mut claims =
        json!({"sub": "s-1", "email": "ada@corp.example", "email_verified": true, "name": "Ada"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_browser_goes_to_the_provider_and_comes_back_signed_in() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      sign_up: true\n").await;
        let ways = rig.send("GET", "/api/v1/session/oidc", &[], &Value::Null).await.json();
        assert_eq!(
            ways,
            json!({"password": true, "registration": false, "providers": [{"id": "corp", "name": "Corporate"}]})
        );
        provider.person(person(json!({})));
        let trip = rig.sets_out(&provider, "?return_to=/keys%3Fa%3Db").await;
        let answer = rig.comes_back(&trip).await;
        assert_eq!((answer.status, location(&answer)), (302, "/keys?a=b".to_owned()), "{}", answer.text());
        let me = rig.me(&answer.cookie()).await;
        assert_eq!((&me["role"], &me["organization"]), (&json!("user"), &json!("acme")), "{me}");
        // The next time it is the same user, whatever their address is by then.
        let again =
            rig.me(&rig.arrives(&provider, json!({"sub": "s-1", "email": "new@corp.example"})).await).await;
        assert_eq!(again["user"], me["user"], "{again}");
        let out = rig.send("GET", "/api/v1/session/oidc/corp/sign-out", &[], &Value::Null).await;
        assert!(
            location(&out).starts_with(&format!("{}/end?client_id=", provider.issuer)),
            "{}",
            location(&out)
        );
        for path in ["/api/v1/session/oidc/nope", "/api/v1/session/oidc/nope/callback?code=a&state=b"] {
            assert_eq!(rig.send("GET", path, &[], &Value::Null).await.status, 404);
        }
        // It ends nowhere else.
        for to in ["//evil.example", "https://evil.example", "/%5Cevil.example"] {
            let trip = rig.sets_out(&provider, &format!("?return_to={to}")).await;
            assert_eq!(location(&rig.comes_back(&trip).await), "/", "{to}");
        }
    });
}

#[test]
fn a_sign_in_is_finished_once_and_in_the_browser_that_began_it() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      sign_up: true\n").await;
        provider.person(person(json!({})));
        // Even of a provider that takes a code twice.
        provider.only_fault("code_twice");
        let trip = rig.sets_out(&provider, "").await;
        assert_eq!(rig.comes_back(&trip).await.status, 302);
        assert_eq!(rig.comes_back(&trip).await.status, 401, "a second time");
        provider.be_right();
        let (mine, theirs) = (rig.sets_out(&provider, "").await, rig.sets_out(&provider, "").await);
        let crossed = Trip { cookie: mine.cookie.clone(), back: theirs.back.clone() };
        assert_eq!(rig.comes_back(&crossed).await.status, 401, "another browser's state");
        let bare = rig.send("GET", &theirs.back, &[], &Value::Null).await;
        assert_eq!(bare.status, 401, "no cookie");
        let forged = Trip { cookie: "sluicegate_sign_in=v1:AAAA".to_owned(), back: theirs.back.clone() };
        assert_eq!(rig.comes_back(&forged).await.status, 401);
        rig.clock.set(Timestamp::from_ms((NOW + 600) * 1_000));
        assert_eq!(rig.comes_back(&mine).await.status, 401, "ten minutes are over");
    });
}

#[test]
fn a_provider_that_is_wrong_lets_nobody_in() {
    block_on(async {
        for (fault, status) in [
            ("state", 401),
            ("denied", 401),
            ("mix_up", 401),
            ("nonce", 401),
            ("no_nonce", 401),
            ("aud", 401),
            ("two_auds", 401),
            ("iss", 401),
            ("expired", 401),
            ("future", 401),
            ("alg_none", 401),
            ("client_secret_signs", 401),
            ("forged", 401),
            ("no_id_token", 503),
        ] {
            let provider = Provider::start().await;
            let rig = gateway(&provider, "      sign_up: true\n").await;
            provider.only_fault(fault);
            let answer = rig.is_refused(&provider, person(json!({}))).await;
            assert_eq!(answer.status, status, "{fault}: {}", answer.text());
            assert!(!answer.text().contains('<'), "{}", answer.text());
        }
        for fault in
            ["down", "redirect", "another_issuer", "token_inside", "token_elsewhere", "authorize_script"]
        {
            let provider = Provider::start().await;
            let rig = gateway(&provider, "      sign_up: true\n").await;
            provider.only_fault(fault);
            let answer = rig.send("GET", "/api/v1/session/oidc/corp", &[], &Value::Null).await;
            assert_eq!(answer.status, 503, "{fault}: {}", answer.text());
            assert!(answer.headers.get("location").is_none(), "{fault}");
        }
    });
}

#[test]
fn a_browser_is_led_to_the_sign_in_page_with_what_went_wrong() {
    block_on(async {
        let browser = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let provider = Provider::start().await;
        let rig = gateway(&provider, "").await;
        // Nobody knows them here.
        provider.person(person(json!({})));
        let trip = rig.sets_out(&provider, "").await;
        let stranger = rig.send("GET", &trip.back, &[browser, ("cookie", &trip.cookie)], &Value::Null).await;
        assert_eq!((stranger.status, &*location(&stranger)), (302, "/login?error=forbidden"));
        assert!(stranger.headers.get("set-cookie").is_none());
        for (path, kind) in [
            ("/api/v1/session/oidc/nope", "not_found"),
            ("/api/v1/session/oidc/corp/callback?code=a&state=b", "unauthenticated"),
            ("/api/v1/session/oidc/nope/sign-out", "not_found"),
        ] {
            let answer = rig.send("GET", path, &[browser], &Value::Null).await;
            assert_eq!((answer.status, location(&answer)), (302, format!("/login?error={kind}")), "{path}");
            let program = rig.send("GET", path, &[("accept", "application/json")], &Value::Null).await;
            assert!(matches!(program.status, 401 | 404), "{path}: {}", program.text());
        }
        provider.only_fault("down");
        let rig = gateway(&provider, "").await;
        let answer = rig.send("GET", "/api/v1/session/oidc/corp", &[browser], &Value::Null).await;
        assert_eq!((answer.status, &*location(&answer)), (302, "/login?error=upstream_unavailable"));
    });
}

#[test]
fn nobody_is_taken_for_somebody_else() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      link: email\n      email_domains: [corp.example]\n      claims: {user: preferred_username}\n",
        )
        .await;
        for user in [
            json!({"id": "ada", "email": "ada@corp.example", "organization": "acme"}),
            json!({"id": "boss", "email": "boss@corp.example", "organization": "acme", "role": "organization_admin"}),
            json!({"id": "eve", "email": "eve@corp.example", "organization": "other"}),
            json!({"id": "max", "email": "max@corp.example", "organization": "acme", "blocked": true}),
        ] {
            rig.manage("POST", "/api/v1/users", user).await;
        }
        let unknown = rig.is_refused(&provider, person(json!({"sub": "x", "email": "x@corp.example"}))).await;
        assert_eq!(unknown.status, 403, "{}", unknown.text());
        for claims in [
            person(json!({"email_verified": false})),
            json!({"sub": "s-1", "email": "ada@corp.example"}),
            person(json!({"email_verified": "true"})),
            person(json!({"email": "ada@evil.example"})),
            person(json!({"email": "eve@corp.example"})),
            // Their address is verified, and they would be more than the provider gives.
            person(json!({"email": "boss@corp.example"})),
            person(json!({"email": "nobody@corp.example", "preferred_username": "boss"})),
        ] {
            let answer = rig.is_refused(&provider, claims.clone()).await;
            assert_eq!((answer.status, answer.text()), (403, unknown.text()), "{claims}");
        }
        assert_eq!(rig.is_refused(&provider, person(json!({"email": "max@corp.example"}))).await.status, 403);
        let me = rig.me(&rig.arrives(&provider, person(json!({}))).await).await;
        assert_eq!(me["user"], "ada", "{me}");
        // Another subject with the address is another person, and the user is taken only by the first if they say so.
        rig.manage("DELETE", "/api/v1/users/ada", Value::Null).await;
        assert_eq!(rig.is_refused(&provider, person(json!({}))).await.status, 403, "they are gone");
    });
}

#[test]
fn groups_and_roles_follow_each_sign_in() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      sign_up: true\n      claims: {user: preferred_username, groups: realm.groups}\n      groups: [{value: g-research, group: research, role: group_admin}, {value: g-sales, group: sales}, {value: g-theirs, group: theirs}]\n      roles: [{value: g-audit, role: auditor}]\n",
        )
        .await;
        let ada =
            |groups: &[&str]| json!({"sub": "s-1", "preferred_username": "ada", "realm": {"groups": groups}});
        let member_of = async || {
            let user = rig.manage("GET", "/api/v1/users/ada", Value::Null).await;
            let memberships = user["memberships"].as_array().expect("memberships").clone();
            let mut all: Vec<_> = memberships
                .iter()
                .map(|it| format!("{} {}", it["group"].as_str().unwrap(), it["role"].as_str().unwrap()))
                .collect();
            all.sort();
            (all, user["role"].as_str().unwrap().to_owned())
        };
        let groups = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let first = rig.arrives(&provider, ada(&["g-research", "g-theirs", "g-audit"])).await;
        assert_eq!(member_of().await, (groups(&["research group_admin"]), "auditor".to_owned()));
        // By hand, in a group that no file declares.
        rig.manage("POST", "/api/v1/groups", json!({"id": "sales", "organization": "acme"})).await;
        rig.manage("POST", "/api/v1/groups/sales/members", json!({"user": "ada"})).await;
        rig.arrives(&provider, ada(&["g-research", "g-sales"])).await;
        assert_eq!(member_of().await, (groups(&["research group_admin", "sales user"]), "user".to_owned()));
        let old = rig.by(&first, "GET", "/api/v1/me", &Value::Null).await;
        assert_eq!(old.status, 401, "who is another by then signs in again");
        let new = json!({"alias": "ours", "user": "ada", "group": "research"});
        let key = rig.manage("POST", "/api/v1/keys", new).await["key"]["id"].clone();
        rig.arrives(&provider, ada(&[])).await;
        assert_eq!(
            member_of().await,
            (groups(&["sales user"]), "user".to_owned()),
            "what was given by hand stays"
        );
        let events = rig.manage("GET", "/api/v1/audit?actor=issuer%20corp", Value::Null).await;
        let items = events["items"].as_array().unwrap().iter().rev();
        let keys: Vec<_> = items.clone().map(|it| it["detail"]["removed"]["keys"]["ids"].clone()).collect();
        let none = Value::Null;
        assert_eq!(
            keys,
            [&none, &none, &none, &none, &none, &json!([key])].map(Clone::clone),
            "with its place"
        );
        let told: Vec<_> = items
            .map(|it| {
                let (group, detail) = (it["group"].as_str().unwrap_or_default(), &it["detail"]);
                let action = it["action"].as_str().unwrap();
                (action, group, json!([detail["made"], detail["role"], detail["taken"]]))
            })
            .collect();
        let (nothing, was) = (Value::Null, json!({"from": "auditor", "to": "user"}));
        assert_eq!(
            told,
            [
                ("account.sign_in", "", json!([true, "auditor", nothing])),
                ("user.create", "", json!([nothing, "auditor", nothing])),
                ("member.add", "research", json!([nothing, "group_admin", nothing])),
                ("account.sign_in", "", json!([nothing, was, nothing])),
                ("account.sign_in", "", json!([nothing, "user", ["research"]])),
                ("member.remove", "research", json!([nothing, nothing, nothing])),
            ]
        );
    });
}

#[test]
fn of_two_sign_ins_at_once_neither_leaves_a_group_that_isn_t_taken_back() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(
            &provider,
            "      sign_up: true\n      claims: {user: preferred_username, groups: groups}\n      groups: [{value: g-research, group: research}, {value: g-sales, group: sales}]\n",
        )
        .await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "sales", "organization": "acme"})).await;
        let ada = |groups: &[&str]| json!({"sub": "s-1", "preferred_username": "ada", "groups": groups});
        for round in 0..3 {
            let mut trips = Vec::new();
            for groups in [&["g-research"][..], &["g-sales"]] {
                provider.person(ada(groups));
                trips.push(rig.sets_out(&provider, "").await);
            }
            let (one, other) = tokio::join!(rig.comes_back(&trips[0]), rig.comes_back(&trips[1]));
            assert_eq!((one.status, other.status), (302, 302), "{} {}", one.text(), other.text());
            rig.arrives(&provider, ada(&[])).await;
            let user = rig.manage("GET", "/api/v1/users/ada", Value::Null).await;
            assert_eq!(user["memberships"], json!([]), "round {round}");
        }
    });
}

#[test]
fn a_session_s_cookie_goes_over_tls_alone_where_the_public_address_is_one_of_tls() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      sign_up: true\n").await;
        // By plain HTTP, from a proxy that nobody has said to trust.
        provider.person(person(json!({})));
        let trip = rig.sets_out(&provider, "").await;
        assert!(trip.cookie.starts_with("__Host-sluicegate_sign_in="), "{}", trip.cookie);
        let answer = rig.comes_back(&trip).await;
        let set = answer.headers.get("set-cookie").unwrap().to_str().unwrap();
        assert!(set.starts_with("__Host-sluicegate_session=") && set.contains("Secure"), "{set}");
        assert_eq!(rig.me(&answer.cookie()).await["organization"], "acme");
        // By password from a page of plain HTTP there would be a session that the browser throws away: it is told where to go.
        rig.manage("POST", "/api/v1/users", json!({"id": "bob", "organization": "acme"})).await;
        rig.manage("POST", "/api/v1/users/bob/password", json!({ "password": PASSWORD })).await;
        let body = json!({"login": "bob", "password": PASSWORD});
        for (origin, status) in
            [("http://10.0.0.5:4000", 403), ("https://10.0.0.5:4000", 200), ("http://localhost:4000", 200)]
        {
            let host = origin.split_once("://").unwrap().1;
            let headers = [("x-sluicegate-csrf", "1"), ("origin", origin), ("host", host)];
            let answer = rig.send("POST", "/api/v1/session", &headers, &body).await;
            assert_eq!(answer.status, status, "{origin}: {}", answer.text());
            assert_eq!(answer.headers.contains_key("set-cookie"), status == 200, "{origin}");
            if status == 403 {
                assert!(answer.text().contains(PUBLIC), "{}", answer.text());
            }
        }
    });
}

#[test]
fn whoever_rises_leaves_other_ways_in_behind() {
    block_on(async {
        let provider = Provider::start().await;
        let settings = "      sign_up: true\n      claims: {user: preferred_username, groups: groups}\n      roles: [{value: g-audit, role: auditor}]\n";
        let rig = gateway(&provider, settings).await;
        let ada = |groups: &[&str]| json!({"sub": "s-1", "preferred_username": "ada", "groups": groups});
        rig.arrives(&provider, ada(&[])).await;
        // Somebody who administers them has given them a password, and knows it.
        let password = json!({"password": "walrus teapot octave 93"});
        rig.manage("POST", "/api/v1/users/ada/password", password).await;
        let sign_in = async || {
            let body = json!({"login": "ada", "password": "walrus teapot octave 93"});
            rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await.status
        };
        assert_eq!(sign_in().await, 200);
        // And, signed in by it, a second step of their own: it neither goes with them nor stands in their way.
        let cookie = second_step_of_somebody_else(&rig).await;
        let new = json!({"alias": "theirs"});
        let issued = rig.by(&cookie, "POST", "/api/v1/keys", &new).await.json();
        let key = issued["secret"].as_str().unwrap();
        let role_of =
            async |key: &str| rig.ask("GET", "/api/v1/me", key, &Value::Null).await.json()["role"].clone();
        let risen = rig.arrives(&provider, ada(&["g-audit"])).await;
        assert_eq!(role_of(key).await, "user", "the key that the other one has reads no more than before");
        assert_eq!(
            rig.me(&risen).await["role"],
            "auditor",
            "no code is asked for that only the other one has"
        );
        assert_eq!(rig.by(&cookie, "GET", "/api/v1/me", &Value::Null).await.status, 401);
        let account = rig.by(&risen, "GET", "/api/v1/account", &Value::Null).await;
        assert_ne!(account.json()["second_step"], true, "{}", account.text());
        assert_eq!(sign_in().await, 401, "the password opens no auditor's account");
        rig.arrives(&provider, ada(&["g-audit"])).await;
    });
}

/// Signs in by the password that was given, changes it, and sets a second step: the session's cookie.
async fn second_step_of_somebody_else(rig: &Rig) -> String {
    let body = json!({"login": "ada", "password": PASSWORD});
    let cookie = rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await.cookie();
    let theirs = "gondola ermine quartz 17";
    let change = json!({"current": PASSWORD, "new": theirs});
    let changed = rig.by(&cookie, "PUT", "/api/v1/session/password", &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let cookie = changed.cookie();
    let offer = rig.by(&cookie, "POST", "/api/v1/account/second-step", &json!({"password": theirs})).await;
    let code = rig.code_of(offer.json()["secret"].as_str().unwrap());
    let set = rig.by(&cookie, "PUT", "/api/v1/account/second-step", &json!({ "code": code })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    set.cookie()
}

#[test]
fn whoever_reads_more_by_another_role_leaves_them_behind_too() {
    block_on(async {
        let provider = Provider::start().await;
        let settings = "      sign_up: true\n      claims: {user: preferred_username, groups: groups}\n      groups: [{value: g-sales, group: sales}]\n      roles: [{value: g-audit, role: auditor}, {value: g-lead, role: group_admin}]\n";
        let rig = gateway(&provider, settings).await;
        rig.manage("POST", "/api/v1/groups", json!({"id": "sales", "organization": "acme"})).await;
        let ada = |groups: &[&str]| json!({"sub": "s-1", "preferred_username": "ada", "groups": groups});
        let password = json!({"password": "walrus teapot octave 93"});
        let sign_in = async || {
            let body = json!({"login": "ada", "password": "walrus teapot octave 93"});
            rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await.status
        };
        rig.arrives(&provider, ada(&["g-lead"])).await;
        for (now, then) in [
            // A group's administrator becomes an auditor, who reads of all groups.
            (&["g-lead"][..], &["g-audit"][..]),
            // Who administers groups by role comes into one.
            (&["g-lead"], &["g-lead", "g-sales"]),
        ] {
            rig.arrives(&provider, ada(now)).await;
            rig.manage("POST", "/api/v1/users/ada/password", password.clone()).await;
            assert_eq!(sign_in().await, 200, "{now:?}");
            rig.arrives(&provider, ada(then)).await;
            assert_eq!(sign_in().await, 401, "{then:?}");
        }
    });
}

#[test]
fn an_issuers_token_is_the_user_who_signed_in_there() {
    block_on(async {
        let provider = Provider::start().await;
        let settings = format!(
            "      sign_up: true\n  jwt: [{{id: corp, issuer: \"{0}\", audience: llm, organization: acme, jwks_url: \"{0}/keys\"}}]\n",
            provider.issuer
        );
        let rig = gateway(&provider, &settings).await;
        let token = provider.token(json!({"sub": "s-1", "aud": "llm"}));
        let body = json!({"model": "mock", "messages": [{"role": "user", "content": "hello"}]});
        assert_eq!(rig.ask("POST", "/v1/chat/completions", &token, &body).await.status, 403);
        rig.arrives(&provider, person(json!({}))).await;
        let token = provider.token(json!({"sub": "s-1", "aud": "llm", "jti": "2"}));
        let answer = rig.ask("POST", "/v1/chat/completions", &token, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // What is for signing in opens no call.
        let wrong = provider.token(json!({"sub": "s-1", "aud": CLIENT}));
        assert_eq!(rig.ask("POST", "/v1/chat/completions", &wrong, &body).await.status, 401);
    });
}

#[test]
fn passwords_can_be_left_to_the_provider() {
    block_on(async {
        let provider = Provider::start().await;
        let rig = gateway(&provider, "      sign_up: true\n  password: {sign_in: false}\n").await;
        rig.manage("POST", "/api/v1/setup", json!({"password": PASSWORD})).await;
        let body = json!({"login": "admin", "password": PASSWORD});
        let answer = rig.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        rig.arrives(&provider, person(json!({}))).await;
    });
}
