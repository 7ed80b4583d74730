//! Upstreams over HTTP, through reqwest: its own retries, redirects and decompression are off.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Body as _;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use sluicegate_core::channel::Transport;
use sluicegate_core::{Error, ErrorKind, Result};

use super::{TimedBody, Upstream, UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse};

/// Idle connections kept for each upstream host and worker.
const IDLE_PER_HOST: usize = 64;
/// Idle connections are closed after this long: before most servers close theirs, so that we don't write into one that
/// is being closed.
const IDLE_FOR: Duration = Duration::from_secs(50);

/// Sends over HTTP/1.1, with a pool of its own. Build one on each worker.
#[derive(Default)]
pub struct HttpUpstream {
    /// One client for each way to get there. BOUND: the configuration's distinct transports.
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
    direct: std::sync::OnceLock<(u64, reqwest::Client)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    transport: Transport,
    connect_ms: u64,
}

impl HttpUpstream {
    /// The client for this way. The first plain one is kept where no lock is needed.
    fn client(&self, transport: &Transport, connect_ms: u64) -> Result<reqwest::Client> {
        if *transport == Transport::default() {
            if let Some((_, client)) = self.direct.get().filter(|(ms, _)| *ms == connect_ms) {
                return Ok(client.clone());
            }
            if self.direct.get().is_none() {
                let client = build_client(transport, connect_ms)?;
                return Ok(self.direct.get_or_init(|| (connect_ms, client)).1.clone());
            }
        }
        let key = ClientKey { transport: transport.clone(), connect_ms };
        if let Some(client) = self.clients.lock().get(&key) {
            return Ok(client.clone());
        }
        let client = build_client(transport, connect_ms)?;
        Ok(self.clients.lock().entry(key).or_insert(client).clone())
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
            Error::new(ErrorKind::Config, "the channel's proxy address is wrong; write it as http://host:port or socks5://host:port")
                .with_source(why)
        })?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|why| Error::new(ErrorKind::Config, "no http client could be built").with_source(why))
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault> {
        let UpstreamRequest { target, headers, body, timeouts, .. } = request;
        let unreachable = |why: String| UpstreamFault::Unreachable(why);
        let Some(url) = target.url.clone() else {
            return Err(unreachable("the channel has no address".to_owned()));
        };
        let client = self
            .client(&target.transport, timeouts.connect_ms.unwrap_or(10_000))
            .map_err(|error| unreachable(error.message().to_owned()))?;
        let mut outgoing = reqwest::Request::new(reqwest::Method::POST, url);
        *outgoing.headers_mut() = target.headers.clone();
        for (name, value) in headers {
            // What can't be a header isn't one of ours to send.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                outgoing.headers_mut().insert(name, value);
            }
        }
        *outgoing.body_mut() = Some(body.into());

        let response = match timeouts.first_byte_ms {
            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), client.execute(outgoing))
                .await
                .map_err(|_| UpstreamFault::Timeout { sent: true })?,
            None => client.execute(outgoing).await,
        }
        .map_err(|error| fault(&error))?;
        Ok(head(response, timeouts.between_bytes_ms))
    }
}

fn head(response: reqwest::Response, between_ms: Option<u64>) -> UpstreamResponse {
    let headers = response.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_event_stream = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"));
    let request_id = text("x-request-id").or_else(|| text("request-id")).map(str::to_owned);
    let (status, retry_after_ms) = (response.status().as_u16(), retry_after(headers));
    let body: Box<dyn UpstreamBody> = Box::new(HttpBody(reqwest::Body::from(response)));
    let body = match between_ms {
        Some(ms) => Box::new(TimedBody::new(body, ms)),
        None => body,
    };
    UpstreamResponse { status, is_event_stream, retry_after_ms, request_id, body }
}

/// `retry-after-ms`, else `retry-after` in seconds. Dates are not understood: no model provider sends them.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let number = |value: &HeaderValue| value.to_str().ok()?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let ms = headers.get("retry-after-ms").and_then(number);
    let ms = ms.or_else(|| headers.get(RETRY_AFTER).and_then(number).map(|seconds| seconds * 1000.0));
    // The cast saturates.
    ms.map(|ms| ms.ceil() as u64)
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

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

struct HttpBody(reqwest::Body);

impl UpstreamBody for HttpBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::result::Result<Bytes, UpstreamFault>>> {
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
