//! Upstreams without a proxy: hyper's client by itself. What reqwest does on top for every request (parsing the address
//! anew, copying headers) costs as much as all of our own decisions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;
use sluicegate_core::Result;

use super::http::{IDLE_FOR, IDLE_PER_HOST, head, root_cause};
use super::{UpstreamBody, UpstreamFault, UpstreamRequest, UpstreamResponse};

/// Where the tasks of connections run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tasks {
    /// The thread whose `LocalSet` they belong to; `None`: anywhere on the runtime.
    beside: Option<ThreadId>,
}

impl Tasks {
    /// In the `LocalSet` that this thread runs: beside the calls that they serve, so that a call which lets others go
    /// first lets its own connection go first.
    pub(super) fn local() -> Self {
        Self { beside: Some(std::thread::current().id()) }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        if self.beside == Some(std::thread::current().id()) {
            tokio::task::spawn_local(task);
        } else {
            tokio::spawn(task);
        }
    }
}

/// One client with its own pool.
pub(super) struct Direct(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Direct {
    pub(super) fn build(tasks: Tasks, extra_ca_file: Option<&str>, connect_ms: u64) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(Duration::from_millis(connect_ms)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(super::tls::client_config(extra_ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(tasks)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(connector);
        Ok(Self(client))
    }

    pub(super) async fn send(
        &self,
        uri: hyper::Uri,
        headers: hyper::HeaderMap,
        request: UpstreamRequest,
    ) -> Result<UpstreamResponse, UpstreamFault> {
        let mut outgoing = hyper::Request::new(Full::new(request.body));
        *outgoing.method_mut() = hyper::Method::POST;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;
        let response = self.0.request(outgoing);
        let response = match request.timeouts.first_byte_ms {
            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), response)
                .await
                .map_err(|_| UpstreamFault::Timeout { sent: true })?,
            None => response.await,
        }
        .map_err(|error| fault(&error))?;
        let (parts, body) = response.into_parts();
        Ok(head(
            parts.status.as_u16(),
            &parts.headers,
            Box::new(DirectBody(body)),
            request.timeouts.between_bytes_ms,
        ))
    }
}

fn fault(error: &hyper_util::client::legacy::Error) -> UpstreamFault {
    let why = root_cause(error);
    // Only a failed connection proves that nothing was sent.
    if error.is_connect() { UpstreamFault::Unreachable(why) } else { UpstreamFault::Broken(why) }
}

struct DirectBody(Incoming);

impl UpstreamBody for DirectBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        loop {
            return match Pin::new(&mut self.0).poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    Poll::Ready(Some(Err(UpstreamFault::Broken(root_cause(&error)))))
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    // Trailers: nothing of them matters.
                    Err(_) => continue,
                },
            };
        }
    }
}
