//! A management request: who asks, for what; and its answer. One adapter turns a plain async function into a route, so
//! that handlers hold nothing but translation.

use std::future::Future;
use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Route, web};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluicegate::admin::{Actor, Admin};
use sluicegate::engine::BoundCaller;
use sluicegate::{Error, ErrorKind, Facts, Gateway, Result};

use crate::respond::{self, Face};
use crate::state::State;
use crate::{body, extract, facts};

/// Names settings of the request that had no effect.
const WARNINGS: HeaderName = HeaderName::from_static("x-sluicegate-warnings");
const JSON: &str = "application/json";
const CSV: &str = "text/csv; charset=utf-8";
/// That header is cut here, in bytes.
const WARNINGS_MAX: usize = 1024;

/// A request whose sender is known.
pub struct Ask {
    /// Who asks, as an administrator.
    pub actor: Actor,
    /// Who asks, as a caller.
    pub caller: Arc<BoundCaller>,
    /// The body.
    pub body: Bytes,
    req: HttpRequest,
    state: Arc<State>,
}

impl Ask {
    async fn take(req: &HttpRequest, payload: web::Payload, state: Arc<State>) -> Result<Self> {
        let mut payload = payload.into_inner();
        // Who isn't known has nothing of theirs taken.
        let (caller, actor) = match Self::who(req, &state).await {
            Ok(known) => known,
            Err(error) => {
                body::discard(&mut payload, state.body_limit).await;
                return Err(error);
            }
        };
        let body = state.body(req, &mut payload).await?;
        Ok(Self { actor, caller, body, req: req.clone(), state })
    }

    async fn who(req: &HttpRequest, state: &State) -> Result<(Arc<BoundCaller>, Actor)> {
        let caller = state.caller(req, extract::credential(req.headers()).as_ref()).await?;
        let client_ip = extract::client_ip(req, &state.trusted_proxies);
        let actor = state.gateway.admin().actor(&caller.caller, client_ip).await?;
        Ok((caller, actor))
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.state.gateway
    }

    /// The service that every management request goes through.
    pub fn admin(&self) -> &Admin {
        self.state.gateway.admin()
    }

    /// The body as what it should be. An empty one is an empty object.
    ///
    /// # Errors
    /// `InvalidRequest` saying where it isn't.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&self.body)
    }

    /// The query as what it should be.
    ///
    /// # Errors
    /// `InvalidRequest` saying which parameter is wrong.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        web::Query::<T>::from_query(self.req.query_string()).map(web::Query::into_inner).map_err(|error| {
            Error::new(
                ErrorKind::InvalidRequest,
                format!("the query can't be read: {error}; see /api/v1/openapi.json"),
            )
        })
    }

    /// Whether a table is asked for (`accept: text/csv`) rather than JSON.
    pub fn wants_csv(&self) -> bool {
        let accept = self.req.headers().get(actix_web::http::header::ACCEPT);
        accept.and_then(|value| value.to_str().ok()).is_some_and(|text| {
            let kinds = text.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
            kinds
                .filter(|kind| matches!(*kind, "text/csv" | "application/json"))
                .take(1)
                .any(|it| it == "text/csv")
        })
    }

    /// A parameter of the path, decoded.
    pub fn param(&self, name: &str) -> String {
        // The router leaves these three as they are, since they mean something to it.
        let raw = self.req.match_info().query(name);
        raw.replace("%2F", "/")
            .replace("%2f", "/")
            .replace("%2B", "+")
            .replace("%2b", "+")
            .replace("%25", "%")
    }
}

/// A body as what it should be: an object. An empty body is an empty object.
///
/// # Errors
/// `InvalidRequest` saying where it isn't.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let unread = |why: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidRequest, format!("the body can't be read: {why}"))
    };
    match body.trim_ascii() {
        b"" => serde_json::from_slice(b"{}"),
        // A list would be read as the fields in their order.
        body if body.starts_with(b"{") => serde_json::from_slice(body),
        _ => return Err(unread(&"it must be a JSON object")),
    }
    .map_err(|error| unread(&error))
}

/// The answer to a management request.
pub struct Done {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    warnings: Vec<String>,
}

impl Done {
    /// 200 with this.
    ///
    /// # Errors
    /// `Internal` when it can't be written as JSON.
    pub fn ok<T: Serialize>(value: &T) -> Result<Self> {
        Self::with(StatusCode::OK, value)
    }

    /// 201 with this.
    ///
    /// # Errors
    /// `Internal` when it can't be written as JSON.
    pub fn created<T: Serialize>(value: &T) -> Result<Self> {
        Self::with(StatusCode::CREATED, value)
    }

    /// 200 with a table.
    pub fn csv(text: String) -> Self {
        let body = text.into_bytes();
        Self { status: StatusCode::OK, content_type: CSV, body, warnings: Vec::new() }
    }

    /// 204.
    pub fn nothing() -> Result<Self> {
        Ok(Self {
            status: StatusCode::NO_CONTENT,
            content_type: JSON,
            body: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn with<T: Serialize>(status: StatusCode, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error)
        })?;
        Ok(Self { status, content_type: JSON, body, warnings: Vec::new() })
    }

    /// Names settings of the request that had no effect.
    #[must_use]
    pub fn warning(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    fn respond(self, req: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if !self.body.is_empty() {
            response.insert_header((actix_web::http::header::CONTENT_TYPE, self.content_type));
        }
        if !self.warnings.is_empty() {
            let mut text = self.warnings.join("; ");
            text.retain(|c| matches!(c, ' '..='~'));
            text.truncate(WARNINGS_MAX);
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.insert_header((WARNINGS, value));
            }
        }
        let mut response = response.body(self.body);
        facts::write(response.headers_mut(), req, Face::OpenAi, &Facts::default());
        response
    }
}

/// A route that asks `handler`.
pub fn route<F, Fut>(method: Method, handler: F) -> Route
where
    F: Fn(Ask) -> Fut + Clone + 'static,
    Fut: Future<Output = Result<Done>> + 'static,
{
    web::method(method).to(move |req: HttpRequest, payload: web::Payload, state: web::Data<State>| {
        let handler = handler.clone();
        async move {
            let done = match Ask::take(&req, payload, state.into_inner()).await {
                Ok(ask) => handler(ask).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(done) => done.respond(&req),
                Err(error) => respond::error(&req, Face::OpenAi, error),
            }
        }
    })
}
