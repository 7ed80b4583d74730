//! Asks a service of the operator's, which is no upstream: a JSON text out, a JSON text back.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use sluicegate_core::{Error, ErrorKind, Result, Secret};
use tokio::sync::Semaphore;

use super::http::root_cause;

/// No more is asked at once: a service that is slow doesn't gather all calls there are.
const AT_ONCE: usize = 64;
/// Idle connections, at most.
const IDLE_MAX: usize = 8;
/// How long a connection waits for the next question.
const IDLE: Duration = Duration::from_secs(3);

/// Posts to one address. The configuration names it, so that it is trusted; it is never left for another: redirects aren't
/// followed.
pub(crate) struct Poster {
    client: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    timeout: Duration,
    /// Questions under way.
    places: Semaphore,
}

impl Poster {
    /// # Errors
    /// `Config` when the address or the credential can't be used.
    pub(crate) fn new(url: &str, credential: Option<&Secret>, timeout_ms: u64) -> Result<Self> {
        let wrong = |what: &str| Error::new(ErrorKind::Config, what.to_owned());
        let url = reqwest::Url::parse(url)
            .map_err(|_| wrong("a guardrail's address is none; write a whole URL"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secret) = credential {
            let mut value = HeaderValue::try_from(format!("Bearer {}", secret.expose())).map_err(|_| {
                wrong("a guardrail's credential can't be sent in a header; look for a line break in it")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let timeout = Duration::from_millis(timeout_ms);
        let client = reqwest::Client::builder()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            // What is idle for longer, services close by themselves, and a question might be on its way just then.
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE)
            .tls_backend_preconfigured(super::tls::client_config(None)?)
            .build()
            .map_err(|why| wrong("no http client could be built").with_source(why))?;
        Ok(Self { client, url, headers, timeout, places: Semaphore::new(AT_ONCE) })
    }

    /// The body of a successful answer of at most so many bytes.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub(crate) async fn post(&self, body: Vec<u8>, most: usize) -> std::result::Result<Vec<u8>, String> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(format!("{AT_ONCE} calls are waiting for it already"));
        };
        match tokio::time::timeout(self.timeout, self.exchange(body, most)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it didn't answer within {} ms", self.timeout.as_millis())),
        }
    }

    async fn exchange(&self, body: Vec<u8>, most: usize) -> std::result::Result<Vec<u8>, String> {
        let mut request = reqwest::Request::new(reqwest::Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = Some(body.into());
        let mut response = self.client.execute(request).await.map_err(|why| root_cause(&why))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it answered with the status {}", status.as_u16()));
        }
        let mut answer = Vec::new();
        // BOUND: by `most` and the timeout.
        while let Some(chunk) = response.chunk().await.map_err(|why| root_cause(&why))? {
            if answer.len() + chunk.len() > most {
                return Err(format!("it answered with more than {most} bytes"));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}
