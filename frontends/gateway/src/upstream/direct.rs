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
use tower_service::Service;

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
pub(super) struct Direct(Client<Prompt<HttpsConnector<HttpConnector>>, Full<Bytes>>);

impl Direct {
    pub(super) fn build(tasks: Tasks, extra_ca_file: Option<&str>, connect_ms: u64) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        // Of several addresses, one that doesn't answer leaves time for the next.
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
            .build(Prompt { connector, within: Duration::from_millis(connect_ms) });
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

/// A connector that gives up in time, however far it has come: with the name, the socket, or the TLS handshake.
#[derive(Clone)]
struct Prompt<C> {
    connector: C,
    within: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<hyper::Uri> for Prompt<C>
where
    C: Service<hyper::Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: hyper::Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.within, self.connector.call(uri));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err("no connection in time".into()),
            }
        })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sluicegate_core::Format;
    use sluicegate_core::channel::{Timeouts, Transport};

    use super::*;
    use crate::upstream::Target;

    #[tokio::test]
    async fn a_handshake_that_is_never_answered_ends_with_the_time_to_connect() {
        // It takes connections, by its queue alone, and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}/v1", silent.local_addr().unwrap());
        let direct = Direct::build(Tasks::default(), None, 200).unwrap();
        let request = UpstreamRequest {
            target: Arc::new(Target {
                address: None,
                headers: hyper::HeaderMap::new(),
                transport: Transport::default(),
                format: Format::OpenaiChat,
            }),
            headers: Vec::new(),
            body: Bytes::new(),
            timeouts: Timeouts { first_byte_ms: Some(20_000), ..Timeouts::default() },
            stream: false,
        };
        let fault =
            direct.send(address.parse().unwrap(), hyper::HeaderMap::new(), request).await.err().unwrap();
        assert!(matches!(fault, UpstreamFault::Unreachable(_)), "{fault:?}");
    }
}
