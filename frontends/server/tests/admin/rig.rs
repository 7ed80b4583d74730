//! The routes over a gateway of their own.

use std::borrow::Cow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Service;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, web};
use bytes::Bytes;
use serde_json::{Value, json};
use sluicegate::tenant::IpNetwork;
use sluicegate::{Gateway, ManualClock, Options, Result, Secret, Timestamp};
use sluicegate_server::console::asset::File;
use sluicegate_server::routes;
use sluicegate_server::state::State;

pub(crate) const MASTER: &str = "sk-master-0123456789abcdef0123456789abcdef";
/// Whose word on where a caller is counts.
pub(crate) const PROXIES: &str = "10.9.0.0/16";
/// The master secret.
pub(crate) const SECRET: &str = "master-secret-0123456789abcdef-0123";
pub(crate) const FIRST_PASSWORD: &str = "given-by-somebody-else-42";
pub(crate) const PASSWORD: &str = "walrus teapot octave 93";
pub(crate) const NOW_MS: i64 = 1_795_392_000_000;
/// Where callers are.
pub(crate) const HOME: &str = "10.1.1.1:5000";

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The cookie that it sets, as a browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers.get("set-cookie").expect("a cookie is set").to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Asked = Pin<Box<dyn Future<Output = Answer>>>;

/// The routes over a gateway of their own.
pub(crate) struct Rig {
    send: Box<dyn Fn(TestRequest) -> Asked>,
    peer: &'static str,
    pub(crate) gateway: Gateway,
    pub(crate) clock: Arc<ManualClock>,
}

/// A console that is its page, whether or not one was built.
fn console(path: &str) -> Option<File> {
    (path == "index.html").then_some(File { bytes: Cow::Borrowed(b"<!doctype html>"), hash: [1; 32] })
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::try_with(options, &[]).await.unwrap()
    }

    /// A gateway of these options and environment, with a clock and an administrator's key of the test's.
    pub(crate) async fn try_with(options: Options, variables: &'static [(&str, &str)]) -> Result<Self> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(NOW_MS)));
        let options = Options {
            variables: Arc::new(move |name| {
                let known = variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
                known.or((name == "SLUICEGATE_MASTER_SECRET").then_some(SECRET)).map(str::to_owned)
            }),
            master_key: Some(Secret::new(MASTER)),
            demo: true,
            clock: clock.clone(),
            ..options
        };
        let gateway = Gateway::open(options).await?;
        let state = State {
            worker: gateway.worker(),
            gateway: gateway.clone(),
            body_limit: 1 << 20,
            trusted_proxies: Arc::from([IpNetwork::try_from(PROXIES.to_owned()).unwrap()]),
        };
        let app = App::new()
            .app_data(web::Data::new(state))
            .configure(|config| routes::configure_with(config, console));
        let app = Rc::new(init_service(app).await);
        let send = move |request: TestRequest| {
            let app = Rc::clone(&app);
            Box::pin(async move {
                let response = app.call(request.to_request()).await.unwrap();
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Answer { status, headers, body: read_body(response).await }
            }) as Asked
        };
        Ok(Self { send: Box::new(send), peer: HOME, gateway, clock })
    }

    /// The same, for who connects from elsewhere.
    pub(crate) fn connecting_from(self, peer: &'static str) -> Self {
        Self { peer, ..self }
    }

    /// Asks with these headers; a body that is null is none.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = TestRequest::default()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .peer_addr(self.peer.parse().unwrap());
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        if !body.is_null() {
            request = request.set_payload(body.to_string());
        }
        (self.send)(request).await
    }

    /// Sends a form.
    pub(crate) async fn send_form(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = TestRequest::post().uri(path).peer_addr(self.peer.parse().unwrap());
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let kind = ("content-type", "application/x-www-form-urlencoded");
        (self.send)(request.insert_header(kind).set_payload(form.to_owned())).await
    }

    /// Asks with a key.
    pub(crate) async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {key}"))], body).await
    }

    /// What a management call of the operator's gives.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, MASTER, &body).await;
        assert!((200..300).contains(&answer.status), "{method} {path} {body}: {}", answer.text());
        answer.json()
    }

    /// Signs a user in by a password of their own: the cookie, and the session's id.
    pub(crate) async fn signed_in(&self, user: &str) -> (String, String) {
        self.manage("POST", &format!("/api/v1/users/{user}/password"), json!({"password": FIRST_PASSWORD}))
            .await;
        let (cookie, _) = self.sign_in(user, FIRST_PASSWORD).await;
        let change = json!({"current": FIRST_PASSWORD, "new": PASSWORD});
        let headers = [("cookie", cookie.as_str()), ("x-sluicegate-csrf", "1")];
        let changed = self.send("PUT", "/api/v1/session/password", &headers, &change).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        (changed.cookie(), changed.json()["session"]["id"].as_str().unwrap().to_owned())
    }

    /// Signs in by password: the cookie, and what is answered.
    pub(crate) async fn sign_in(&self, login: &str, password: &str) -> (String, Value) {
        let body = json!({"login": login, "password": password});
        let answer = self.send("POST", "/api/v1/session", &[("x-sluicegate-csrf", "1")], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        (answer.cookie(), answer.json())
    }

    /// The code of this half minute that an authenticator makes of a secret.
    pub(crate) fn code_of(&self, secret: &str) -> String {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
        totp.generate(u64::try_from(self.gateway.clock().now().as_ms() / 1_000).unwrap()).to_string()
    }

    /// Asks by a session, as a page of ours does.
    pub(crate) async fn by(&self, cookie: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("cookie", cookie), ("x-sluicegate-csrf", "1")], body).await
    }
}
