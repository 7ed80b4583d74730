//! Upstreams without a proxy: connections of our own over hyper's HTTP/1.1. A connection is driven by the call that uses
//! it, in the caller's own task: what arrives needs no other task to hand it over, and a call that is dropped takes its
//! connection along.

mod idle;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use sluicegate_core::Result;
use tower_service::Service as _;

use self::idle::Idle;
use self::wire::{Unanswered, Wire};
use super::http::{head, root_cause};
use super::target::Address;
use super::{UpstreamBody, UpstreamFault, UpstreamResponse};

/// So many pieces of an answer that nobody wants any more are read to save its connection.
const DRAIN_TURNS: usize = 4;

/// One way to connect, and the connections that wait for their next call.
pub(super) struct Direct {
    connector: HttpsConnector<HttpConnector>,
    idle: Arc<Idle>,
}

impl Direct {
    pub(super) fn build(extra_ca_file: Option<&str>, connect_ms: u64) -> Result<Self> {
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
        Ok(Self { connector, idle: Arc::default() })
    }

    pub(super) async fn send(
        &self,
        address: &Address,
        mut headers: hyper::HeaderMap,
        body: Bytes,
        between_ms: Option<u64>,
    ) -> Result<UpstreamResponse, UpstreamFault> {
        headers.entry(hyper::header::HOST).or_insert_with(|| address.host.clone());
        let mut outgoing = hyper::Request::new(Full::new(body));
        *outgoing.method_mut() = hyper::Method::POST;
        *outgoing.uri_mut() = address.path.clone();
        *outgoing.headers_mut() = headers;
        let (response, wire) = self.exchange(address, outgoing).await?;
        let (parts, incoming) = response.into_parts();
        let body = DirectBody {
            incoming,
            wire: Some(wire),
            idle: Arc::clone(&self.idle),
            origin: Arc::clone(&address.origin),
        };
        Ok(head(parts.status.as_u16(), &parts.headers, body, between_ms))
    }

    /// Sends the request on an idle connection, else on a fresh one.
    async fn exchange(
        &self,
        address: &Address,
        mut outgoing: hyper::Request<Full<Bytes>>,
    ) -> Result<(hyper::Response<Incoming>, Box<Wire>), UpstreamFault> {
        // BOUND: each turn uses up an idle connection.
        while let Some(wire) = self.idle.take(&address.origin) {
            match wire.exchange(outgoing).await {
                Ok(answered) => return Ok(answered),
                // It was closed while it waited, and nothing was written: another may serve.
                Err(Unanswered::Unsent(same, _)) => outgoing = *same,
                Err(Unanswered::Broken(error)) => return Err(broken(&error)),
            }
        }
        let wire = self.connect(address).await?;
        wire.exchange(outgoing).await.map_err(|why| match why {
            Unanswered::Unsent(_, error) | Unanswered::Broken(error) => broken(&error),
        })
    }

    async fn connect(&self, address: &Address) -> Result<Box<Wire>, UpstreamFault> {
        // Only a connection that didn't come about proves that nothing was sent.
        let mut connector = self.connector.clone();
        let stream = connector
            .call(address.uri.clone())
            .await
            .map_err(|error| UpstreamFault::Unreachable(root_cause(&*error)))?;
        Wire::new(stream).await.map_err(|error| UpstreamFault::Unreachable(root_cause(&error)))
    }
}

fn broken(error: &hyper::Error) -> UpstreamFault {
    UpstreamFault::Broken(root_cause(error))
}

/// An answer's body, with the connection that it comes from.
struct DirectBody {
    incoming: Incoming,
    /// `None` when the body is over, one way or the other.
    wire: Option<Box<Wire>>,
    idle: Arc<Idle>,
    origin: Arc<str>,
}

impl DirectBody {
    /// The body has been read to its end: the connection waits for its next call, if the upstream lets it.
    fn end(&mut self) {
        if let Some(wire) = self.wire.take().and_then(Wire::rested) {
            self.idle.give(&self.origin, wire);
        }
    }

    /// What of the body has been taken from the connection already.
    fn poll_taken(&mut self) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        // Only the connection fills it, and whoever asks here drives that as well: there is nobody to be woken.
        let mut nobody = Context::from_waker(Waker::noop());
        loop {
            return match std::pin::Pin::new(&mut self.incoming).poll_frame(&mut nobody) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => {
                    self.end();
                    Poll::Ready(None)
                }
                Poll::Ready(Some(Err(error))) => {
                    self.wire = None;
                    Poll::Ready(Some(Err(broken(&error))))
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

impl UpstreamBody for DirectBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        let taken = self.poll_taken();
        match (&mut self.wire, taken) {
            (Some(wire), Poll::Pending) => wire.poll(cx),
            (_, taken) => return taken,
        }
        self.poll_taken()
    }
}

impl Drop for DirectBody {
    fn drop(&mut self) {
        // Whoever saw an answer's last event doesn't ask for the end of its body, which mostly came along with it. BOUND:
        // so many pieces, and only what is there; else the connection is closed, which tells the upstream to stop.
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..DRAIN_TURNS {
            if self.wire.is_none() || !matches!(self.poll_chunk(&mut nobody), Poll::Ready(Some(Ok(_)))) {
                break;
            }
        }
    }
}
