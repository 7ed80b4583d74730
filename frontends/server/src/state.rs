//! What each worker has at hand.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use bytes::Bytes;
use sluicegate::tenant::IpNetwork;
use sluicegate::{Gateway, Result, Worker};

use crate::body;

/// The gateway, and this worker's own way to the upstreams.
pub struct State {
    /// The gateway.
    pub gateway: Gateway,
    /// Its upstream clients on this worker.
    pub worker: Worker,
    /// A larger request body is refused, in bytes.
    pub body_limit: usize,
    /// Whose forwarded client address counts.
    pub trusted_proxies: Arc<[IpNetwork]>,
}

impl State {
    /// The request's body.
    ///
    /// # Errors
    /// See [`body::read`].
    pub async fn body(&self, req: &HttpRequest, payload: &mut Payload) -> Result<Bytes> {
        body::read(req, payload, self.body_limit).await
    }
}
