//! What browsers let pages of other origins call: whatever is called with a key. Paths that cookies open are never among it.

use std::rc::Rc;
use std::task::{Context, Poll};

use actix_cors::Cors;
use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::ORIGIN;
use futures_util::future::{Either, LocalBoxFuture, MapOk, TryFutureExt as _};
use sluicegate::config::ANY_ORIGIN;

use crate::routes;

/// Browsers need not ask again for so long: none of them heeds more than a day.
const MAX_AGE_S: usize = 86_400;

/// Answers browsers that ask what a page may call, and tells them with each answer. A request without an `Origin` passes as if
/// this weren't there.
pub struct CrossOrigin {
    cors: Option<Cors>,
}

impl CrossOrigin {
    /// For pages of these origins: [`ANY_ORIGIN`] for all, none for none.
    pub fn new(origins: &[String]) -> Self {
        if origins.is_empty() {
            return Self { cors: None };
        }
        // Which headers an answer has depends on the call: its own are named, whatever they are.
        let cors =
            Cors::default().allow_any_method().allow_any_header().expose_any_header().max_age(MAX_AGE_S);
        let cors = if origins.iter().any(|origin| origin == ANY_ORIGIN) {
            // What is said to all doesn't vary.
            cors.allow_any_origin().send_wildcard().disable_vary_header()
        } else {
            origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
        };
        Self { cors: Some(cors) }
    }
}

type Told<S> = <Cors as Transform<Shared<S>, ServiceRequest>>::Transform;

impl<S, B> Transform<S, ServiceRequest> for CrossOrigin
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Watched<S, Told<S>>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let service = Rc::new(service);
        let told = self.cors.as_ref().map(|cors| cors.new_transform(Shared(Rc::clone(&service))));
        Box::pin(async move {
            let told = match told {
                Some(told) => Some(told.await?),
                None => None,
            };
            Ok(Watched { service, told })
        })
    }
}

/// The routes, and the same behind what is said to browsers.
pub struct Watched<S, T> {
    service: Rc<S>,
    told: Option<T>,
}

type Left<B> = fn(ServiceResponse<B>) -> ServiceResponse<EitherBody<B>>;

impl<S, T, B> Service<ServiceRequest> for Watched<S, T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    T: Service<ServiceRequest, Response = ServiceResponse<EitherBody<B>>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Either<MapOk<S::Future, Left<B>>, T::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(context)
    }

    fn call(&self, req: ServiceRequest) -> Self::Future {
        match &self.told {
            Some(told) if req.headers().contains_key(ORIGIN) && routes::is_callers(path(&req)) => {
                Either::Right(told.call(req))
            }
            _ => {
                let plain: Left<B> = ServiceResponse::map_into_left_body;
                Either::Left(self.service.call(req).map_ok(plain))
            }
        }
    }
}

/// The path as routes are found by it: decoded.
fn path(req: &ServiceRequest) -> &str {
    req.match_info().unprocessed()
}

/// A service that two ways lead to.
pub struct Shared<S>(Rc<S>);

impl<S: Service<ServiceRequest>> Service<ServiceRequest> for Shared<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, req: ServiceRequest) -> Self::Future {
        self.0.call(req)
    }
}
