//! Providers of OpenID Connect that people sign in through: where a browser is sent, and what the code that it comes back with is
//! exchanged for. An ID token is checked like any other token, and for the sign-in that it answers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sluicegate_config::{JwtIssuer, OidcProvider};
use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp};
use tokio::sync::Mutex;

use super::key::Keys;
use super::token::{Claims, Token, refused, text, texts};
use crate::secret::Secrets;
use crate::upstream::{FetchFault, Fetcher, encoded};

/// A provider's document is read anew after so long, in milliseconds.
const DOCUMENT_MS: i64 = 3_600_000;
/// After a failure it is asked for no sooner, in milliseconds.
const AGAIN_MS: i64 = 30_000;

/// What a provider's discovery document says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    end_session_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// What is known of a provider's document.
#[derive(Default)]
struct Kept {
    document: Option<(Timestamp, Arc<Document>)>,
    failed_at: Option<Timestamp>,
}

/// A provider.
pub(crate) struct Provider {
    pub(crate) settings: OidcProvider,
    secret: Option<Secret>,
    /// How its ID tokens are checked.
    tokens: JwtIssuer,
    keys: Keys,
    fetcher: Fetcher,
    document: Mutex<Kept>,
}

/// The providers, in the order of the configuration.
#[derive(Default)]
pub struct Providers(pub(crate) Vec<Provider>);

fn failed(provider: &OidcProvider, why: &FetchFault) -> Error {
    tracing::warn!(provider = %provider.id, %why, "nobody can sign in through a provider");
    let message = format!("`{}` doesn't answer as it should; try again, or sign in otherwise", provider.id);
    Error::new(ErrorKind::UpstreamUnavailable, message)
}

/// One text, encoded likewise.
fn encoded_one(text: &str) -> String {
    encoded(&[("", text)]).trim_start_matches('=').to_owned()
}

impl Providers {
    /// # Errors
    /// `Config` when a secret isn't there.
    pub(crate) fn new(settings: &[OidcProvider], secrets: &Secrets) -> Result<Self> {
        settings.iter().map(|settings| Provider::new(settings, secrets)).collect::<Result<_>>().map(Self)
    }
}

impl Provider {
    fn new(settings: &OidcProvider, secrets: &Secrets) -> Result<Self> {
        let tokens = JwtIssuer {
            issuer: Some(settings.issuer.clone()),
            audience: vec![settings.client_id.clone()],
            algorithms: JwtIssuer::ALGORITHMS.map(str::to_owned).to_vec(),
            ..JwtIssuer::new(&settings.id, settings.organization.clone())
        };
        Ok(Self {
            settings: settings.clone(),
            secret: secrets.resolve(&settings.client_secret)?,
            keys: Keys::new(&tokens)?,
            tokens,
            fetcher: Fetcher::new([settings.issuer.as_str()])?,
            document: Mutex::default(),
        })
    }

    /// Its document. One that was read within the hour is kept.
    ///
    /// # Errors
    /// `UpstreamUnavailable`.
    pub(crate) async fn document(&self, now: Timestamp) -> Result<Arc<Document>> {
        let mut kept = self.document.lock().await;
        if let Some((at, document)) = &kept.document
            && now >= *at
            && now < at.plus_ms(DOCUMENT_MS)
        {
            return Ok(Arc::clone(document));
        }
        // Who comes meanwhile waits for the first only, and a provider that fails isn't asked by everybody.
        if kept.failed_at.is_some_and(|at| now >= at && now < at.plus_ms(AGAIN_MS)) {
            return Err(failed(&self.settings, &FetchFault("it didn't answer a moment ago".to_owned())));
        }
        match self.read_document().await {
            Ok(document) => {
                let document = Arc::new(document);
                *kept = Kept { document: Some((now, Arc::clone(&document))), failed_at: None };
                Ok(document)
            }
            Err(why) => {
                kept.failed_at = Some(now);
                Err(failed(&self.settings, &why))
            }
        }
    }

    async fn read_document(&self) -> std::result::Result<Document, FetchFault> {
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let text = self.fetcher.document(&url).await?;
        let document: Document = serde_json::from_slice(&text)
            .map_err(|why| FetchFault(format!("its discovery document can't be read: {why}")))?;
        if document.issuer != *issuer {
            return Err(FetchFault("its discovery document is another issuer's".to_owned()));
        }
        let ends = [&document.authorization_endpoint, &document.token_endpoint];
        for url in ends.into_iter().chain(&document.end_session_endpoint) {
            self.fetcher.may_reach(url)?;
        }
        Ok(document)
    }

    /// Where a browser is sent to sign in.
    ///
    /// # Errors
    /// `UpstreamUnavailable`.
    pub(crate) async fn address(
        &self,
        back: &str,
        (state, nonce, verifier): (&str, &str, &str),
        now: Timestamp,
    ) -> Result<String> {
        let document = self.document(now).await?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let mut scopes = vec!["openid"];
        scopes.extend(self.settings.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let query = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", back),
            ("scope", &scopes.join(" ")),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        self.with_query(&document.authorization_endpoint, &query)
    }

    /// Where a browser is sent to sign out there, too; `None` where there is no such place.
    ///
    /// # Errors
    /// `UpstreamUnavailable`.
    pub(crate) async fn way_out(&self, back: &str, now: Timestamp) -> Result<Option<String>> {
        let document = self.document(now).await?;
        let query = [("client_id", self.settings.client_id.as_str()), ("post_logout_redirect_uri", back)];
        document.end_session_endpoint.as_ref().map(|url| self.with_query(url, &query)).transpose()
    }

    fn with_query(&self, url: &str, query: &[(&str, &str)]) -> Result<String> {
        let mut url = self.fetcher.may_reach(url).map_err(|why| failed(&self.settings, &why))?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url.into())
    }

    /// What the provider says of whoever has signed in.
    ///
    /// # Errors
    /// `Unauthenticated` when the code is none of ours or what it gives isn't to be trusted, `UpstreamUnavailable`.
    pub(crate) async fn exchange(
        &self,
        code: &str,
        back: &str,
        (nonce, verifier): (&str, &str),
        now: Timestamp,
    ) -> Result<Claims> {
        #[derive(Deserialize)]
        struct Answer {
            id_token: Option<String>,
        }
        let document = self.document(now).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
        ];
        let mut request = http::Request::post(&document.token_endpoint)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        match &self.secret {
            Some(secret) => {
                let pair = [self.settings.client_id.as_str(), secret.expose()].map(encoded_one).join(":");
                request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
            }
            None => form.push(("client_id", &self.settings.client_id)),
        }
        let request = request
            .body(encoded(&form).into_bytes())
            .map_err(|why| failed(&self.settings, &FetchFault(why.to_string())))?;
        let answer = self.fetcher.fetch(request).await.map_err(|why| failed(&self.settings, &why))?;
        if answer.status().is_client_error() {
            tracing::warn!(provider = %self.settings.id, status = %answer.status(), "a provider refuses a code");
            return Err(refused("the provider doesn't take its code; begin again"));
        }
        let token = serde_json::from_slice::<Answer>(answer.body()).ok().and_then(|answer| answer.id_token);
        let Some(token) = token.filter(|_| answer.status().is_success()) else {
            return Err(failed(&self.settings, &FetchFault("it gives no ID token".to_owned())));
        };
        self.claims(&token, nonce, now).await
    }

    async fn claims(&self, token: &str, nonce: &str, now: Timestamp) -> Result<Claims> {
        let token = Token::read(token)?;
        token.check_algorithm(&self.tokens)?;
        let keys = self.keys.of(token.kid.as_deref(), &token.algorithm, now).await?;
        let (claims, _) = token.checked(&self.tokens, &keys, now)?;
        // Whom else it is for could show it here as theirs.
        if texts(claims.get("aud")).len() != 1
            || claims.get("azp").is_some_and(|it| it.as_str() != Some(&self.settings.client_id))
        {
            return Err(refused("it is for others, too"));
        }
        if claims.get("nonce").and_then(|it| it.as_str()) != Some(nonce) {
            return Err(refused("it is of another sign-in"));
        }
        if text(claims.get("sub")).is_none_or(|subject| subject.len() > 255) {
            return Err(refused("it says of nobody who they are"));
        }
        Ok(claims)
    }
}
