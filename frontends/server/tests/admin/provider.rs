//! An identity provider in a few hundred lines: discovery, keys that are exchanged, authorization with PKCE, tokens, sign-out;
//! and everything that one may do wrong, by request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rig::NOW_MS;

pub(crate) const CLIENT: &str = "sluicegate";
pub(crate) const CLIENT_SECRET: &str = "client-secret-of-the-gateway";
/// A key that signs nothing but what these tests make.
const RSA: &str = include_str!("provider/rsa.pk8.base64");

/// The time of the tests' clock, in seconds.
pub(crate) const NOW: i64 = NOW_MS / 1_000;

struct State {
    issuer: String,
    ec: Vec<(String, EcdsaKeyPair)>,
    rsa: RsaKeyPair,
    /// Keys that aren't published.
    hidden: BTreeSet<String>,
    /// Who signs in next.
    person: Value,
    faults: BTreeSet<&'static str>,
    codes: BTreeMap<String, Value>,
    fetched: BTreeMap<String, usize>,
}

/// A provider that listens on this machine.
#[derive(Clone)]
pub(crate) struct Provider {
    state: Arc<Mutex<State>>,
    pub(crate) issuer: String,
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn fresh_key() -> EcdsaKeyPair {
    let (kind, random) = (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap()
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let rsa = STANDARD.decode(RSA.replace('\n', "")).unwrap();
        let state = State {
            issuer: String::new(),
            ec: vec![("ec-1".to_owned(), fresh_key())],
            rsa: RsaKeyPair::from_pkcs8(&rsa).unwrap(),
            hidden: BTreeSet::new(),
            person: json!({"sub": "s-1"}),
            faults: BTreeSet::new(),
            codes: BTreeMap::new(),
            fetched: BTreeMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = web::Data::new(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .route("/.well-known/openid-configuration", web::get().to(discovery))
                .route("/keys", web::get().to(keys))
                .route("/authorize", web::get().to(authorize))
                .route("/token", web::post().to(token))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let issuer = format!("http://{}", server.addrs()[0]);
        state.lock().unwrap().issuer.clone_from(&issuer);
        actix_web::rt::spawn(server.run());
        Self { state, issuer }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Does this wrong from now on, and nothing else.
    pub(crate) fn only_fault(&self, fault: &'static str) {
        self.state().faults = BTreeSet::from([fault]);
    }

    pub(crate) fn be_right(&self) {
        self.state().faults.clear();
    }

    /// Who signs in next.
    pub(crate) fn person(&self, claims: Value) {
        self.state().person = claims;
    }

    /// Signs with another key from now on, and publishes it alone.
    pub(crate) fn rotate(&self, kid: &str) {
        self.state().ec = vec![(kid.to_owned(), fresh_key())];
    }

    /// Signs with another key that isn't published.
    pub(crate) fn rotate_in_secret(&self, kid: &str) {
        self.rotate(kid);
        self.state().hidden.insert(kid.to_owned());
    }

    pub(crate) fn publish(&self) {
        self.state().hidden.clear();
    }

    /// How often this was asked for.
    pub(crate) fn fetched(&self, path: &str) -> usize {
        self.state().fetched.get(path).copied().unwrap_or_default()
    }

    /// A token of these claims, with `iss`, `iat` and `exp` unless they say otherwise.
    pub(crate) fn token(&self, claims: Value) -> String {
        self.state().token(claims)
    }

    /// A token that another algorithm has signed.
    pub(crate) fn token_by(&self, algorithm: &str, claims: Value) -> String {
        let state = self.state();
        let claims = state.whole(claims);
        let kid = if algorithm.starts_with("RS") { "rsa" } else { "ec-1" };
        let signed = format!("{}.{}", encoded(&json!({"alg": algorithm, "kid": kid})), encoded(&claims));
        let signature = match algorithm {
            "RS256" => state.sign_rsa(signed.as_bytes()),
            // What is public, as a secret that both sides share.
            "HS256" => {
                let secret = state.rsa.public().as_ref().to_vec();
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
                ring::hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            _ => Vec::new(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Lets the person sign in where the browser was sent, and gives where it is sent back to.
    pub(crate) async fn approve(&self, url: &str) -> String {
        let query = url.split_once('?').unwrap().1.to_owned();
        self.state().authorize(&query)
    }
}

impl State {
    fn whole(&self, mut claims: Value) -> Value {
        for (name, value) in [("iss", json!(self.issuer)), ("iat", json!(NOW)), ("exp", json!(NOW + 300))] {
            if claims.get(name).is_none() {
                claims[name] = value;
            }
        }
        claims
    }

    fn sign_rsa(&self, text: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    }

    fn token(&self, claims: Value) -> String {
        let (kid, key) = &self.ec[0];
        let head = json!({"alg": "ES256", "kid": kid, "typ": "JWT"});
        let signed = format!("{}.{}", encoded(&head), encoded(&self.whole(claims)));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn key_set(&self) -> Value {
        let mut keys: Vec<Value> = Vec::new();
        for (kid, key) in self.ec.iter().filter(|(kid, _)| !self.hidden.contains(kid)) {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(32);
            let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
            keys.push(json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y}));
        }
        let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let [n, e] = [public.n, public.e].map(|part| URL_SAFE_NO_PAD.encode(part));
        keys.push(json!({"kty": "RSA", "use": "sig", "kid": "rsa", "n": n, "e": e}));
        // A kind that nobody knows mustn't spoil the rest.
        keys.push(json!({"kty": "future", "kid": "f-1"}));
        json!({ "keys": keys })
    }

    fn has(&self, fault: &str) -> bool {
        self.faults.contains(fault)
    }

    fn count(&mut self, path: &str) {
        *self.fetched.entry(path.to_owned()).or_default() += 1;
    }

    /// Where the browser is sent back to.
    fn authorize(&mut self, query: &str) -> String {
        let asked: BTreeMap<String, String> =
            web::Query::<BTreeMap<String, String>>::from_query(query).unwrap().into_inner();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{}", asked["scope"]);
        assert!(asked["nonce"].len() >= 20 && asked["state"].len() >= 20);
        let back = &asked["redirect_uri"];
        let state = if self.has("state") { "another-state-than-the-one-given" } else { &asked["state"] };
        if self.has("denied") {
            return format!("{back}?error=access_denied&error_description=%3Cb%3Eno%3C/b%3E&state={state}");
        }
        let code = format!("code-{}", self.codes.len() + 1);
        let grant = json!({
            "challenge": asked["code_challenge"], "redirect_uri": back, "nonce": asked["nonce"],
            "person": self.person, "used": false,
        });
        self.codes.insert(code.clone(), grant);
        let iss = if self.has("mix_up") { "https://another.example".to_owned() } else { self.issuer.clone() };
        format!("{back}?code={code}&state={state}&iss={}", iss.replace(':', "%3A").replace('/', "%2F"))
    }

    /// What a code is exchanged for.
    fn exchange(
        &mut self,
        form: &BTreeMap<String, String>,
        basic: Option<&str>,
    ) -> Result<Value, &'static str> {
        let repeats = self.has("code_twice");
        let grant = self.codes.get_mut(&form["code"]).ok_or("invalid_grant")?;
        if grant["used"] == true && !repeats {
            return Err("invalid_grant");
        }
        grant["used"] = json!(true);
        let grant = grant.clone();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
        if grant["challenge"] != challenge.as_str() || grant["redirect_uri"] != form["redirect_uri"].as_str()
        {
            return Err("invalid_grant");
        }
        let proof = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}")));
        if basic != Some(&proof) {
            return Err("invalid_client");
        }
        let mut claims = grant["person"].clone();
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = grant["nonce"].clone();
        for (fault, name, value) in [
            ("nonce", "nonce", json!("of-another-sign-in")),
            ("aud", "aud", json!("another-client")),
            ("two_auds", "aud", json!([CLIENT, "another-client"])),
            ("iss", "iss", json!("https://another.example")),
            ("expired", "exp", json!(NOW - 600)),
            ("future", "iat", json!(NOW + 600)),
        ] {
            if self.has(fault) {
                claims[name] = value;
            }
        }
        if self.has("no_nonce") {
            claims.as_object_mut().unwrap().remove("nonce");
        }
        let token = if self.has("alg_none") {
            let claims = encoded(&self.whole(claims));
            format!("{}.{claims}.", encoded(&json!({"alg": "none"})))
        } else if self.has("client_secret_signs") {
            let head = encoded(&json!({"alg": "HS256"}));
            let signed = format!("{head}.{}", encoded(&self.whole(claims)));
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
            let signature = ring::hmac::sign(&key, signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        } else if self.has("forged") {
            let ours = std::mem::replace(&mut self.ec[0].1, fresh_key());
            let token = self.token(claims);
            self.ec[0].1 = ours;
            token
        } else {
            self.token(claims)
        };
        let mut answer =
            json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token});
        if self.has("no_id_token") {
            answer.as_object_mut().unwrap().remove("id_token");
        }
        Ok(answer)
    }
}

type Shared = web::Data<Arc<Mutex<State>>>;

async fn discovery(state: Shared) -> HttpResponse {
    let mut state = state.lock().unwrap();
    state.count("discovery");
    if state.has("down") {
        return HttpResponse::InternalServerError().finish();
    }
    if state.has("redirect") {
        return HttpResponse::Found().insert_header(("location", format!("{}/keys", state.issuer))).finish();
    }
    let issuer = &state.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/end"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    });
    for (fault, name, value) in [
        ("another_issuer", "issuer", "https://another.example"),
        ("token_inside", "token_endpoint", "http://169.254.169.254/latest/meta-data"),
        ("token_elsewhere", "token_endpoint", "http://127.0.0.1:9/token"),
        ("keys_inside", "jwks_uri", "https://10.0.0.1/keys"),
        ("authorize_script", "authorization_endpoint", "javascript:alert(1)"),
    ] {
        if state.has(fault) {
            document[name] = json!(value);
        }
    }
    HttpResponse::Ok().json(document)
}

async fn keys(state: Shared) -> HttpResponse {
    let mut state = state.lock().unwrap();
    state.count("keys");
    if state.has("down") {
        return HttpResponse::InternalServerError().finish();
    }
    if state.has("endless") {
        return HttpResponse::Ok().content_type("application/json").body(" ".repeat(2 << 20));
    }
    HttpResponse::Ok().json(state.key_set())
}

async fn authorize(state: Shared, request: HttpRequest) -> HttpResponse {
    let back = state.lock().unwrap().authorize(request.query_string());
    HttpResponse::Found().insert_header(("location", back)).finish()
}

async fn token(
    state: Shared,
    request: HttpRequest,
    form: web::Form<BTreeMap<String, String>>,
) -> HttpResponse {
    let mut state = state.lock().unwrap();
    state.count("token");
    let basic = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    match state.exchange(&form, basic) {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(error) => HttpResponse::BadRequest().json(json!({"error": error})),
    }
}
