//! Upstreams without a proxy: connections of our own, HTTP/1.1. A connection is driven by the call that uses
//! it, in the caller's own task: what arrives needs no other task to hand it over, and a call that is dropped takes its
//! connection along.

mod idle;
mod message;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use sluicegate_core::Result;
use tower_service::Service as _;

use self::idle::Idle;
use self::wire::{Outgoing, Unanswered, Wire};
use super::head::Head;
use super::http::root_cause;
use super::target::Address;
use super::{UpstreamBody, UpstreamFault, UpstreamResponse};

/// So many pieces of an answer that nobody wants any more are read to save its connection.
const DRAIN_TURNS: usize = 4;
/// A body up to this size, in bytes, is written along with its head: copying it costs less than a second piece to write.
const COPY_MAX: usize = 16 * 1024;

/// One way to connect, and the connections that wait for their next call.
pub(super) struct Direct {
    connector: HttpsConnector<HttpConnector>,
    /// How long that may take, however far it comes: with the name, the socket, or the TLS handshake.
    within: Duration,
    idle: Arc<Idle>,
}

impl Direct {
    pub(super) fn build(extra_ca_file: Option<&str>, connect_ms: u64) -> Result<Self> {
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
        Ok(Self { connector, within: Duration::from_millis(connect_ms), idle: Arc::default() })
    }

    pub(super) async fn send(
        &self,
        address: &Address,
        head: &[u8],
        body: Bytes,
        between_ms: Option<u64>,
    ) -> Result<UpstreamResponse, UpstreamFault> {
        let (head, wire) = self.exchange(address, &outgoing(head, body)).await?;
        let body = DirectBody {
            wire: Some(wire),
            idle: Arc::clone(&self.idle),
            origin: Arc::clone(&address.origin),
        };
        Ok(head.with(body, between_ms))
    }

    /// Sends the request on an idle connection, else on a fresh one.
    async fn exchange(
        &self,
        address: &Address,
        request: &Outgoing,
    ) -> Result<(Head, Box<Wire>), UpstreamFault> {
        // BOUND: each turn uses up an idle connection.
        while let Some(mut wire) = self.idle.take(&address.origin) {
            if !wire.is_quiet() {
                continue;
            }
            match wire.exchange(request).await {
                Ok(answered) => return Ok(answered),
                // It was closed while it waited, and nothing was written: another may serve.
                Err(Unanswered::Unsent(_)) => {}
                Err(Unanswered::Broken(why)) => return Err(UpstreamFault::Broken(why)),
            }
        }
        let wire = self.connect(address).await?;
        wire.exchange(request).await.map_err(|why| match why {
            Unanswered::Unsent(error) => UpstreamFault::Broken(error.to_string()),
            Unanswered::Broken(why) => UpstreamFault::Broken(why),
        })
    }

    async fn connect(&self, address: &Address) -> Result<Box<Wire>, UpstreamFault> {
        // Only a connection that didn't come about proves that nothing was sent.
        let mut connector = self.connector.clone();
        let stream = tokio::time::timeout(self.within, connector.call(address.uri.clone()))
            .await
            .map_err(|_| UpstreamFault::Unreachable("no connection in time".to_owned()))?
            .map_err(|error| UpstreamFault::Unreachable(root_cause(&*error)))?;
        Ok(Wire::new(stream))
    }
}

/// The request as it goes over the wire, behind what the target makes of its head.
fn outgoing(head: &[u8], body: Bytes) -> Outgoing {
    let is_copied = body.len() <= COPY_MAX;
    // Besides: the line with the length.
    let mut out = BytesMut::with_capacity(head.len() + 64 + if is_copied { body.len() } else { 0 });
    out.put_slice(head);
    out.put_slice(b"content-length: ");
    out.put_slice(itoa::Buffer::new().format(body.len()).as_bytes());
    out.put_slice(b"\r\n\r\n");
    if !is_copied {
        return Outgoing { head: out.freeze(), body };
    }
    out.put_slice(&body);
    Outgoing { head: out.freeze(), body: Bytes::new() }
}

/// An answer's body, with the connection that it comes from.
struct DirectBody {
    /// `None` when the body is over, one way or the other.
    wire: Option<Box<Wire>>,
    idle: Arc<Idle>,
    origin: Arc<str>,
}

impl UpstreamBody for DirectBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(None) };
        let piece = std::task::ready!(wire.poll_body(cx));
        match &piece {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.wire = None,
            // It has been read to its end: the connection waits for its next call, if the upstream lets it.
            None => {
                if let Some(wire) = self.wire.take().and_then(Wire::rested) {
                    self.idle.give(&self.origin, wire);
                }
            }
        }
        Poll::Ready(piece)
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
