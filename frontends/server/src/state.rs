//! What each worker has at hand.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use bytes::Bytes;
use sluicegate::engine::BoundCaller;
use sluicegate::tenant::IpNetwork;
use sluicegate::{Gateway, Result, Secret, Worker};

use crate::{body, extract, routes};

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
    /// Who sends a request, if they may do anything at all from where they are.
    ///
    /// # Errors
    /// `Unauthenticated`, `Forbidden`, `Store`.
    pub async fn caller(&self, req: &HttpRequest, credential: Option<&Secret>) -> Result<Arc<BoundCaller>> {
        let caller = self.gateway.caller(credential).await?;
        self.gateway.check_caller(&caller.caller, extract::client_ip(req, &self.trusted_proxies))?;
        routes::check_use(req, &caller.caller.routes)?;
        Ok(caller)
    }

    /// The request's body.
    ///
    /// # Errors
    /// See [`body::read`].
    pub async fn body(&self, req: &HttpRequest, payload: &mut Payload) -> Result<Bytes> {
        body::read(req, payload, self.body_limit).await
    }
}
