//! Upstreams: where attempts are sent. Nothing here translates, retries or decides.

mod coded;
mod direct;
mod fetch;
mod head;
mod http;
pub(crate) mod mock;
mod post;
mod rest;
mod special;
mod target;
mod tls;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use sluicegate_core::ServiceTier;
use sluicegate_core::channel::Timeouts;

pub(crate) use fetch::{FetchFault, Fetcher, encoded};
pub use http::HttpUpstream;
pub(crate) use mock::MockUpstream;
pub(crate) use post::Poster;
pub use rest::Rest;
pub use special::{Method, Special, Url};
pub use target::{Target, Targets};

/// One request to send.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// Where to, with every header that doesn't change from call to call.
    pub target: Arc<Target>,
    /// Headers of this call alone, lower case.
    pub headers: Vec<(String, String)>,
    /// The body, in the target's format.
    pub body: Bytes,
    /// Time limits, all set. Those for connecting and between bytes are the upstream's to keep; who sends keeps the others,
    /// and drops the request when they are over.
    pub timeouts: Timeouts,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// What few requests have.
    pub special: Option<Arc<Special>>,
}

/// The head of an answer, and its body to come.
pub struct UpstreamResponse {
    /// The status.
    pub status: u16,
    /// Whether the body is an event stream by its content type.
    pub is_event_stream: bool,
    /// The pause that it asks for before another try, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Its own id for the request.
    pub request_id: Option<String>,
    /// The tier that its head says it serves the request at.
    pub served_tier: Option<ServiceTier>,
    /// What the body is, where it is neither JSON nor events.
    pub content_type: Option<String>,
    /// The headers that concern the caller, of a request with a [method or an address](Special) of its own.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Box<dyn UpstreamBody>,
}

impl UpstreamResponse {
    /// An answer whose head says no more than this.
    pub fn new(status: u16, is_event_stream: bool, body: Box<dyn UpstreamBody>) -> Self {
        Self {
            status,
            is_event_stream,
            retry_after_ms: None,
            request_id: None,
            served_tier: None,
            content_type: None,
            headers: Vec::new(),
            body,
        }
    }
}

/// A body that arrives in pieces. Dropping it cancels the request.
pub trait UpstreamBody: Send {
    /// The next piece; `None` at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>>;
}

impl dyn UpstreamBody {
    /// The next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, UpstreamFault>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }
}

/// Why no answer, or no whole answer, came. The messages are for operators: they name addresses, never secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// Nothing was sent: no connection came about.
    #[error("could not connect: {0}")]
    Unreachable(String),
    /// No answer in time. The flag says whether the request may have been sent.
    #[error("no answer in time")]
    Timeout {
        /// Whether the upstream may have seen the request.
        sent: bool,
    },
    /// The connection broke after the request was sent.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Sends requests. One per worker: connections belong to the worker that made them.
///
/// An implementation sends a request at most once, and never follows a redirect: an address that we did not configure
/// would get the channel's credential. Dropping the future cancels the request.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Sends the request and waits for the answer's head.
    ///
    /// # Errors
    /// [`UpstreamFault`], telling apart what was never sent.
    async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamFault>;
}

/// A body that is there already.
pub(crate) struct WholeBody(pub(crate) Option<Bytes>);

impl UpstreamBody for WholeBody {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// A body whose reads must each come in time.
pub(crate) struct TimedBody<B> {
    body: B,
    between: std::time::Duration,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<B> TimedBody<B> {
    pub(crate) fn new(body: B, between_ms: u64) -> Self {
        Self { body, between: std::time::Duration::from_millis(between_ms), timer: None }
    }
}

impl<B: UpstreamBody> UpstreamBody for TimedBody<B> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        if let Poll::Ready(chunk) = self.body.poll_chunk(cx) {
            // The timer is set again only when there is something to wait for: a burst costs none.
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(tokio::time::Instant::now() + self.between);
            }
            return Poll::Ready(chunk);
        }
        let between = self.between;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(between)));
        match std::future::Future::poll(timer.as_mut(), cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(UpstreamFault::Timeout { sent: true }))),
            Poll::Pending => Poll::Pending,
        }
    }
}
