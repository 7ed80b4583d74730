//! Upstreams over HTTP/1.1: on connections of our own, or through reqwest where a proxy stands between. Retries,
//! redirects and decompression of their own are off: what is compressed unasked is read here.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body as _;
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sluicegate_core::channel::Transport;
use sluicegate_core::{Error, ErrorKind, Result};

use super::direct::Direct;
use super::head::Head;
use super::{Special, Upstream, UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse};

/// Idle connections kept for each upstream host and worker.
pub(super) const IDLE_PER_HOST: usize = 64;
/// Idle connections are closed after this long: before most servers close theirs, so that we don't write into one that
/// is being closed.
pub(super) const IDLE_FOR: Duration = Duration::from_secs(50);

/// Sends over HTTP/1.1, with pools of its own. Build one on each worker.
#[derive(Default)]
pub struct HttpUpstream {
    /// The client for the plain way, where no lock is needed, with the connection timeout that it was built for.
    plain: OnceLock<(u64, Direct)>,
    /// One client for each other way to get there. BOUND: the configuration's distinct transports.
    others: Mutex<HashMap<ClientKey, Arc<Other>>>,
    /// And for requests that aren't a `POST` of a whole body. BOUND: likewise.
    special: Mutex<HashMap<ClientKey, reqwest::Client>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    transport: Transport,
    connect_ms: u64,
}

enum Other {
    Direct(Direct),
    Proxied(reqwest::Client),
}

impl HttpUpstream {
    /// The plain client, if this is the plain way.
    fn plain(&self, transport: &Transport, connect_ms: u64) -> Result<Option<&Direct>> {
        if *transport != Transport::default() {
            return Ok(None);
        }
        if self.plain.get().is_none() {
            let built = Direct::build(None, connect_ms)?;
            // Another call may have been quicker: its client serves.
            let _ = self.plain.set((connect_ms, built));
        }
        Ok(self.plain.get().filter(|(ms, _)| *ms == connect_ms).map(|(_, client)| client))
    }

    fn special(&self, transport: &Transport, connect_ms: u64) -> Result<reqwest::Client> {
        let key = ClientKey { transport: transport.clone(), connect_ms };
        if let Some(client) = self.special.lock().get(&key) {
            return Ok(client.clone());
        }
        let client = build_client(transport, connect_ms)?;
        Ok(self.special.lock().entry(key).or_insert(client).clone())
    }

    fn other(&self, transport: &Transport, connect_ms: u64) -> Result<Arc<Other>> {
        let key = ClientKey { transport: transport.clone(), connect_ms };
        if let Some(client) = self.others.lock().get(&key) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(match transport.proxy {
            None => Other::Direct(Direct::build(transport.extra_ca_file.as_deref(), connect_ms)?),
            Some(_) => Other::Proxied(build_client(transport, connect_ms)?),
        });
        Ok(Arc::clone(self.others.lock().entry(key).or_insert(client)))
    }
}

fn build_client(transport: &Transport, connect_ms: u64) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_millis(connect_ms))
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_FOR)
        .tcp_keepalive(Duration::from_secs(60))
        .no_proxy()
        .tls_backend_preconfigured(super::tls::client_config(transport.extra_ca_file.as_deref())?);
    if let Some(proxy) = &transport.proxy {
        let proxy = reqwest::Proxy::all(proxy.as_str()).map_err(|why| {
            Error::new(
                ErrorKind::Config,
                "the channel's proxy address is wrong; write it as http://host:port or socks5://host:port",
            )
            .with_source(why)
        })?;
        builder = builder.proxy(proxy);
    }
    builder
        .build()
        .map_err(|why| Error::new(ErrorKind::Config, "no http client could be built").with_source(why))
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let unreachable = |error: Error| UpstreamFault::Unreachable(error.message().to_owned());
        let UpstreamRequest { target, headers: own, body, timeouts, special, .. } = request;
        let Some(address) = &target.address else {
            return Err(UpstreamFault::Unreachable("the channel has no address".to_owned()));
        };
        let with_own = (!own.is_empty()).then(|| {
            let mut headers = target.headers.clone();
            for (name, value) in &own {
                // What can't be a header isn't one of ours to send.
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    headers.insert(name, value);
                }
            }
            headers
        });
        if let Some(special) = special {
            let connect_ms = timeouts.connect_ms.unwrap_or(10_000);
            let client = self.special(&target.transport, connect_ms).map_err(unreachable)?;
            let url = special.url.clone().unwrap_or_else(|| address.url.clone());
            let headers = with_own.unwrap_or_else(|| target.headers.clone());
            return send_special(&client, url, headers, body, &special, timeouts.between_bytes_ms).await;
        }
        let head = with_own.as_ref().map_or_else(|| target.written.clone(), |headers| address.head(headers));
        let connect_ms = timeouts.connect_ms.unwrap_or(10_000);
        let between_ms = timeouts.between_bytes_ms;
        if let Some(client) = self.plain(&target.transport, connect_ms).map_err(unreachable)? {
            return client.send(address, &head, body, between_ms).await;
        }
        match &*self.other(&target.transport, connect_ms).map_err(unreachable)? {
            Other::Direct(client) => client.send(address, &head, body, between_ms).await,
            Other::Proxied(client) => {
                let headers = with_own.unwrap_or_else(|| target.headers.clone());
                send_proxied(client, address.url.clone(), headers, body, between_ms).await
            }
        }
    }
}

async fn send_proxied(
    client: &reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Bytes,
    between_ms: Option<u64>,
) -> Result<UpstreamResponse, UpstreamFault> {
    let mut outgoing = reqwest::Request::new(reqwest::Method::POST, url);
    *outgoing.headers_mut() = headers;
    *outgoing.body_mut() = Some(body.into());
    let response = client.execute(outgoing).await.map_err(|error| fault(&error))?;
    let head = Head::read(response.status().as_u16(), |name| {
        response.headers().get(name).map(HeaderValue::as_bytes)
    });
    Ok(head.with(HttpBody(reqwest::Body::from(response)), between_ms))
}

/// Headers of an answer that don't concern who asked: they are of this connection, or ours to say.
const KEPT_BACK: [&str; 19] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "set-cookie",
    // Whose account the gateway calls with is the operator's business.
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "alt-svc",
    "date",
    "server",
    "strict-transport-security",
    "www-authenticate",
    "via",
];

async fn send_special(
    client: &reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Bytes,
    special: &Special,
    between_ms: Option<u64>,
) -> Result<UpstreamResponse, UpstreamFault> {
    let own = special.method.is_some() || special.url.is_some();
    let method = special.method.clone().unwrap_or(reqwest::Method::POST);
    let mut outgoing = reqwest::Request::new(method, url);
    *outgoing.headers_mut() = headers;
    *outgoing.body_mut() = match &special.rest {
        Some(rest) => Some(reqwest::Body::wrap(rest.after(body))),
        None if body.is_empty() => None,
        None => Some(body.into()),
    };
    let response = client.execute(outgoing).await.map_err(|error| fault(&error))?;
    let head = Head::read(response.status().as_u16(), |name| {
        response.headers().get(name).map(HeaderValue::as_bytes)
    });
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    // What can't be undone is for the caller to read: a file may be stored so.
    let is_coded = own && head.is_beyond_us();
    let head = if is_coded { head.left_coded() } else { head };
    let named: Vec<String> = response
        .headers()
        .get_all("connection")
        .iter()
        .filter_map(text)
        .flat_map(|names| names.split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>())
        .collect();
    let passed = response.headers().iter().filter(|(name, _)| {
        let is_undone = name.as_str() == "content-encoding" && !is_coded;
        let is_kept = is_undone || KEPT_BACK.contains(&name.as_str());
        own && !is_kept && !named.iter().any(|kept| kept == name.as_str())
    });
    let headers = passed.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
    let answer = head.with(HttpBody(reqwest::Body::from(response)), between_ms);
    Ok(UpstreamResponse { headers, ..answer })
}

/// Which of our faults a client error is. Only a failed connection proves that nothing was sent.
fn fault(error: &reqwest::Error) -> UpstreamFault {
    let why = root_cause(error);
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => UpstreamFault::Timeout { sent: false },
        (true, false) => UpstreamFault::Unreachable(why),
        (false, true) => UpstreamFault::Timeout { sent: true },
        (false, false) if error.is_builder() => UpstreamFault::Unreachable(why),
        (false, false) => UpstreamFault::Broken(why),
    }
}

pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

struct HttpBody(reqwest::Body);

impl UpstreamBody for HttpBody {
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Bytes, UpstreamFault>>> {
        loop {
            return match Pin::new(&mut self.0).poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(fault(&error)))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    // Trailers: nothing of them matters.
                    Err(_) => continue,
                },
            };
        }
    }
}
