//! A management request: who asks, for what; and its answer. One adapter turns a plain async function into a route, so
//! that handlers hold nothing but translation.

mod once;

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Route, web};
use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::LocalBoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sluicegate::admin::{Access, Actor, Admin, Origin, Seen, Signed, TOKEN_PREFIX};
use sluicegate::engine::BoundCaller;
use sluicegate::{Error, ErrorKind, Facts, Gateway, Result, Secret};

use crate::respond::{self, Face};
use crate::routes::litellm::registry;
use crate::state::State;
use crate::{body, console, extract, facts, unread};

/// Names settings of the request that had no effect.
const WARNINGS: HeaderName = HeaderName::from_static("x-sluicegate-warnings");
const JSON: &str = "application/json";
/// Names where a list goes on.
const NEXT: HeaderName = HeaderName::from_static("x-sluicegate-next");
const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";
const CSV: &str = "text/csv; charset=utf-8";
/// That header is cut here, in bytes.
const WARNINGS_MAX: usize = 1024;

/// A request whose sender is known.
pub struct Ask {
    /// Who asks, as an administrator.
    pub actor: Actor,
    /// Who asks, as a caller; `None` by a session or an access token, which call nothing.
    pub caller: Option<Arc<BoundCaller>>,
    /// The body.
    pub body: Bytes,
    req: HttpRequest,
    state: Arc<State>,
}

/// Looks up again who asks: they may have been blocked, lowered or signed out since.
pub struct Asker {
    req: HttpRequest,
    state: Arc<State>,
}

impl Asker {
    /// Who asks now.
    ///
    /// # Errors
    /// As of a new request.
    pub async fn actor(&self) -> Result<Actor> {
        Ask::who(&self.req, &self.state).await.map(|(_, actor)| actor)
    }
}

impl Ask {
    /// Whether what the asker acts by reads what is of this area, too: a token for another needn't.
    pub fn may_read(&self, area: &str) -> bool {
        self.actor.may(area, Access::Read).is_ok()
    }

    async fn take(
        req: &HttpRequest,
        payload: web::Payload,
        state: Arc<State>,
        parameters: Parameters,
    ) -> Result<Self> {
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
        if parameters == Parameters::Checked {
            refuse_parameters(req)?;
        }
        let actor = match req.headers().get(IF_MATCH) {
            None => actor,
            Some(value) => actor.having_seen(Some(Seen::parse(value.to_str().unwrap_or_default())?)),
        };
        Ok(Self { actor, caller, body, req: req.clone(), state })
    }

    async fn who(req: &HttpRequest, state: &State) -> Result<(Option<Arc<BoundCaller>>, Actor)> {
        let (admin, client_ip) = (state.gateway.admin(), extract::client_ip(req, &state.trusted_proxies));
        let credential = extract::credential(req.headers());
        // A credential that is named wins over a cookie, which comes along by itself.
        match credential {
            Some(token) if token.expose().starts_with(TOKEN_PREFIX) => {
                let actor = admin.token_actor(&token, client_ip).await?.ok_or_else(no_token)?;
                // By the route that answers, so that no way of writing a path is another area.
                let route = req.match_pattern().unwrap_or_default();
                actor.may(area_of(&route), access_of(req.method(), &route))?;
                Ok((None, actor))
            }
            None if console::session(req, state).is_some() => {
                console::refuse_foreign(req, &state.trusted_proxies)?;
                let signed = signed(req, state).await?;
                match signed.actor.session() {
                    Some(_) => Ok((None, signed.actor)),
                    None => Err(unfinished()),
                }
            }
            credential => {
                if let Some(token) = &credential
                    && let Some(actor) = state.gateway.issuer_admin(token, client_ip).await?
                {
                    return Ok((None, actor));
                }
                let caller = state.caller(req, credential.as_ref()).await?;
                if sluicegate::is_by_token(&caller.caller) {
                    return Err(only_calls());
                }
                let actor = admin.actor(&caller.caller, client_ip).await?;
                Ok((Some(caller), actor))
            }
        }
    }

    /// What looks up again who asks, while an answer is under way.
    pub fn asker(&self) -> Asker {
        Asker { req: self.req.clone(), state: Arc::clone(&self.state) }
    }

    /// Where the asker is.
    pub fn origin(&self) -> Origin {
        console::origin(&self.req, &self.state)
    }

    /// The cookie of a session that has begun.
    pub fn cookie(&self, secret: Option<&Secret>) -> Cookie<'static> {
        console::cookie(&self.req, &self.state, secret)
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
        read_query(self.req.query_string())
    }

    /// The query's parameters. Of `lists` each may be there several times, an item or several at a time: they are one list, separated
    /// by commas.
    ///
    /// # Errors
    /// `InvalidRequest` for any other that is there twice.
    pub fn parameters(&self, lists: &[&str]) -> Result<Map<String, Value>> {
        let mut all = Map::new();
        for (name, text) in pairs(self.req.query_string())? {
            let text = match all.get(&name).and_then(Value::as_str) {
                None => text,
                Some(before) if lists.contains(&name.as_str()) => format!("{before},{text}"),
                Some(_) => return Err(twice(name)),
            };
            all.insert(name, text.into());
        }
        Ok(all)
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

    /// The route that answers: its method, and its path with the names of its parameters.
    pub fn route(&self) -> (&Method, String) {
        (self.req.method(), self.req.match_pattern().unwrap_or_default())
    }

    /// The path that was asked.
    pub fn path(&self) -> &str {
        self.req.path()
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

/// A request whose sender need not be known yet: to set up, to sign in.
pub struct Visit {
    body: Bytes,
    req: HttpRequest,
    state: Arc<State>,
}

/// A visit's body is a name and a password: more isn't taken from just anybody, in bytes.
const VISIT_MAX: usize = 16 * 1024;

impl Visit {
    async fn take(req: &HttpRequest, payload: web::Payload, state: Arc<State>) -> Result<Self> {
        let body = body::read(req, &mut payload.into_inner(), VISIT_MAX.min(state.body_limit)).await?;
        refuse_parameters(req)?;
        Ok(Self { body, req: req.clone(), state })
    }

    /// The service that every management request goes through.
    pub fn admin(&self) -> &Admin {
        self.state.gateway.admin()
    }

    /// The body as what it should be.
    ///
    /// # Errors
    /// `InvalidRequest` saying where it isn't.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&self.body)
    }

    /// The body as the form that it should be.
    ///
    /// # Errors
    /// `InvalidRequest` naming what is missing.
    pub fn form<T: DeserializeOwned>(&self) -> Result<T> {
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        web::Query::<T>::from_query(text)
            .map(web::Query::into_inner)
            .map_err(|why| Error::new(ErrorKind::InvalidRequest, format!("the form can't be read: {why}")))
    }

    /// Refuses what another site's page had the browser ask for, as far as the browser says so: for forms, which can send no
    /// header of ours.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn refuse_other_origin(&self) -> Result<()> {
        console::refuse_other_origin(&self.req, &self.state.trusted_proxies)
    }

    /// Who is signed in, however far.
    ///
    /// # Errors
    /// `Unauthenticated` when nobody is, `Forbidden`, `Store`.
    pub async fn signed(&self) -> Result<Signed> {
        signed(&self.req, &self.state).await
    }

    /// Refuses what another site's page had the browser ask for.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn refuse_foreign(&self) -> Result<()> {
        console::refuse_foreign(&self.req, &self.state.trusted_proxies)
    }

    /// Refuses a sign-in whose session the browser wouldn't keep.
    ///
    /// # Errors
    /// `Forbidden`, naming where to sign in.
    pub fn refuse_plain(&self) -> Result<()> {
        console::refuse_plain(&self.req, &self.state)
    }

    /// The query as what it should be; what isn't asked for is left out.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        read_query(self.req.query_string())
    }

    /// A parameter of the path.
    pub fn param(&self, name: &str) -> &str {
        self.req.match_info().query(name)
    }

    /// The cookie that a sign-in through a provider is finished by; without a secret, the one that removes it.
    pub fn under_way(&self, secret: Option<&Secret>) -> Cookie<'static> {
        console::under_way(&self.req, &self.state, secret)
    }

    /// What that cookie holds.
    pub fn under_way_of(&self) -> Option<Secret> {
        console::under_way_of(&self.req, &self.state)
    }

    /// Whether whoever visits sees what a page says, and not what an answer holds.
    pub fn sees_pages(&self) -> bool {
        console::page::is_shown(&self.req)
    }

    /// Where the visitor is.
    pub fn origin(&self) -> Origin {
        console::origin(&self.req, &self.state)
    }

    /// The cookie of a session that has begun; without a secret, the one that removes it.
    pub fn cookie(&self, secret: Option<&Secret>) -> Cookie<'static> {
        console::cookie(&self.req, &self.state, secret)
    }
}

/// A query as what it should be.
fn read_query<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut seen = HashSet::new();
    for (name, _) in pairs(text)? {
        if !seen.insert(name.clone()) {
            return Err(twice(name));
        }
    }
    let read = web::Query::<T>::from_query(text);
    read.map(web::Query::into_inner).map_err(|error| unread::query(&error))
}

/// One would win, in silence.
fn twice(name: String) -> Error {
    let message = format!("the parameter `{name}` is there twice; give it once");
    Error::new(ErrorKind::InvalidRequest, message).with("param", name)
}

fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let read = web::Query::<Vec<(String, String)>>::from_query(text);
    read.map(web::Query::into_inner).map_err(|error| unread::query(&error))
}

/// What LiteLLM's clients put into the address of a change.
const OF_ADDRESS: (&str, &str) = ("/key/regenerate", "key");

/// A change is all in its body: what stands in the address would be passed over, and the change made all the same.
fn refuse_parameters(req: &HttpRequest) -> Result<()> {
    let route = req.match_pattern().unwrap_or_default();
    if only_looks(req.method(), &route) {
        return Ok(());
    }
    let is_read = |name: &str| (route.as_str(), name) == OF_ADDRESS;
    let Some((name, _)) = pairs(req.query_string())?.into_iter().find(|(name, _)| !is_read(name)) else {
        return Ok(());
    };
    let message = format!(
        "{} takes no parameters in the address, and nothing was done; put `{name}` into the body if it belongs there, or leave it out",
        req.method()
    );
    Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name))
}

async fn signed(req: &HttpRequest, state: &State) -> Result<Signed> {
    let nobody = || {
        let message = "nobody is signed in here, or the session is over; sign in at /api/v1/session";
        Error::new(ErrorKind::Unauthenticated, message)
    };
    let secret = console::session(req, state).ok_or_else(nobody)?;
    let address = extract::client_ip(req, &state.trusted_proxies);
    state.gateway.admin().signed(&secret, address).await?.ok_or_else(nobody)
}

fn no_token() -> Error {
    let message = "this access token isn't known, or it is over; make a new one";
    Error::new(ErrorKind::Unauthenticated, message)
}

fn only_calls() -> Error {
    let message = "an issuer's token opens calls alone; sign in, or take an access token, to administer";
    Error::new(ErrorKind::Forbidden, message)
}

fn unfinished() -> Error {
    let message = "signing in isn't finished; GET /api/v1/session says what is missing";
    Error::new(ErrorKind::Forbidden, message)
}

/// What an access token needs a scope of for what a route answers.
fn area_of(route: &str) -> &'static str {
    let native = route.strip_prefix("/api/v1/");
    let mut parts = native.unwrap_or(route).split('/').filter(|part| !part.is_empty());
    match (native.is_some(), parts.next().unwrap_or_default(), parts.nth(1)) {
        (true, "users", Some("password" | "second-step" | "sessions" | "tokens")) => "account",
        (true, "keys", _) => "keys",
        (true, "groups" | "memberships", _) => "groups",
        (true, "users", _) => "users",
        (true, "organizations" | "budgets" | "customers" | "tags", _) => "organizations",
        (true, "channels" | "access-groups" | "credentials", _) => "channels",
        (true, "policies", _) => "policies",
        (true, "records" | "spend" | "reports" | "limits", _) => "usage",
        (true, "audit", _) => "audit",
        (true, "ledger", _) => "ledger",
        (true, "explain" | "replay" | "diagnostics" | "me", _) => "routing",
        (true, "providers" | "models" | "prices" | "system" | "settings", _) => "routing",
        (false, ..) => registry::scope(route),
        _ => "account",
    }
}

/// Whether a route only lets look at something.
pub fn only_looks(method: &Method, route: &str) -> bool {
    access_of(method, route) == Access::Read
}

/// Posted questions.
const ASKING: [&str; 8] = [
    "/api/v1/explain",
    "/api/v1/replay",
    "/key/health",
    "/spend/calculate",
    "/cost/estimate",
    "/utils/token_counter",
    "/utils/transform_request",
    "/global/spend/end_users",
];

/// Whether something is only looked at. Questions that are too long for an address are posted.
fn access_of(method: &Method, route: &str) -> Access {
    let asks = ASKING.contains(&route) || (!route.starts_with("/api/") && route.ends_with("/info"));
    match *method {
        Method::GET | Method::HEAD => Access::Read,
        _ if asks => Access::Read,
        _ => Access::Write,
    }
}

/// A body as what it should be: an object. An empty body is an empty object.
///
/// # Errors
/// `InvalidRequest` saying where it isn't.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    // A list would be read as the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        let message = "the body can't be read: it must be a JSON object";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    serde_json::from_slice(body).map_err(|error| unread::body(body, &error))
}

/// The answer to a management request.
pub struct Done {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    warnings: Vec<String>,
    cookies: Vec<Cookie<'static>>,
    location: Option<String>,
    next: Option<String>,
    etag: Option<String>,
    /// Whether it is the answer to a request that was sent before.
    replayed: bool,
    /// Whether nothing was done, as the answer tells.
    undone: bool,
    events: Option<Events>,
}

/// Server-sent events, as they come.
type Events = Pin<Box<dyn Stream<Item = std::result::Result<Bytes, Infallible>>>>;

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
        Self { content_type: CSV, ..Self::new(StatusCode::OK, text.into_bytes()) }
    }

    /// 200 with values of JSON, a line each.
    pub fn lines(text: String) -> Self {
        Self { content_type: LINES, ..Self::new(StatusCode::OK, text.into_bytes()) }
    }

    /// 200 with events, as they come.
    pub fn events(events: impl Stream<Item = std::result::Result<Bytes, Infallible>> + 'static) -> Self {
        Self { content_type: EVENTS, events: Some(Box::pin(events)), ..Self::new(StatusCode::OK, Vec::new()) }
    }

    fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: JSON,
            body,
            warnings: Vec::new(),
            cookies: Vec::new(),
            location: None,
            next: None,
            etag: None,
            replayed: false,
            undone: false,
            events: None,
        }
    }

    /// Says that nothing was done: sent again, the request is tried again.
    #[must_use]
    pub fn undone(self, undone: bool) -> Self {
        Self { undone, ..self }
    }

    /// Sets a cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: Cookie<'static>) -> Self {
        // BOUND: a handful, by whoever answers.
        self.cookies.push(cookie);
        self
    }

    /// 302 to there.
    pub fn redirect(to: String) -> Self {
        Self { location: Some(to), ..Self::new(StatusCode::FOUND, Vec::new()) }
    }

    /// Names where a list goes on, for answers that have no place for it.
    #[must_use]
    pub fn next(self, cursor: Option<String>) -> Self {
        Self { next: cursor, ..self }
    }

    /// Names the state of the thing that it shows: its `etag`.
    #[must_use]
    pub fn tagged(self) -> Self {
        #[derive(serde::Deserialize)]
        struct Tagged {
            etag: String,
        }
        let etag = serde_json::from_slice::<Tagged>(&self.body).ok().map(|it| format!("\"{}\"", it.etag));
        Self { etag, ..self }
    }

    /// 204.
    pub fn nothing() -> Result<Self> {
        Ok(Self::new(StatusCode::NO_CONTENT, Vec::new()))
    }

    /// 303: what was asked is done, and shown elsewhere.
    ///
    /// # Errors
    /// `Internal` when it can't be written as JSON.
    pub fn see_other(to: &'static str) -> Result<Self> {
        let done = Self::with(StatusCode::SEE_OTHER, &serde_json::json!({"redirect_url": to}))?;
        Ok(Self { location: Some(to.to_owned()), ..done })
    }

    fn with<T: Serialize>(status: StatusCode, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::Internal, "an answer couldn't be written").with_source(error)
        })?;
        Ok(Self::new(status, body))
    }

    /// Names settings of the request that had no effect.
    #[must_use]
    pub fn warning(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    fn respond(self, req: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if !self.body.is_empty() || self.events.is_some() {
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
        for cookie in self.cookies {
            response.cookie(cookie);
        }
        if let Some(location) = self.location {
            response.insert_header((actix_web::http::header::LOCATION, location));
        }
        if let Some(etag) = self.etag {
            response.insert_header((ETAG, etag));
        }
        if self.replayed {
            response.insert_header(("idempotent-replayed", "true"));
        }
        if let Some(next) = self.next {
            response.insert_header((NEXT, next));
        }
        // What is told to one asker is no other's.
        response.insert_header((actix_web::http::header::CACHE_CONTROL, "no-store"));
        let mut response = match self.events {
            Some(events) => {
                // A proxy that gathers an answer would show nothing.
                response.insert_header(("x-accel-buffering", "no"));
                response.streaming(events)
            }
            None => response.body(self.body),
        };
        facts::write(response.headers_mut(), req, Face::OpenAi, &Facts::default());
        response
    }
}

/// What answers requests of one kind. All routes share this type, so that what stands around them is compiled once.
pub(crate) type Handler<T> = Rc<dyn Fn(T) -> LocalBoxFuture<'static, Result<Done>>>;

fn erased<T, F, Fut>(handler: F) -> Handler<T>
where
    F: Fn(T) -> Fut + 'static,
    Fut: Future<Output = Result<Done>> + 'static,
{
    Rc::new(move |asked| Box::pin(handler(asked)))
}

/// A route that asks `handler`, of whoever is known.
pub fn route<F, Fut>(method: Method, handler: F) -> Route
where
    F: Fn(Ask) -> Fut + 'static,
    Fut: Future<Output = Result<Done>> + 'static,
{
    known(method, erased(handler), Parameters::Checked)
}

/// A route that isn't served, and says so whatever its address holds.
pub fn unserved<F, Fut>(method: Method, handler: F) -> Route
where
    F: Fn(Ask) -> Fut + 'static,
    Fut: Future<Output = Result<Done>> + 'static,
{
    known(method, erased(handler), Parameters::Ignored)
}

/// Whether what stands behind a path's `?` is looked at before the handler is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameters {
    Checked,
    Ignored,
}

fn known(method: Method, handler: Handler<Ask>, parameters: Parameters) -> Route {
    web::method(method).to(move |req: HttpRequest, payload: web::Payload, state: web::Data<State>| {
        let handler = Rc::clone(&handler);
        async move {
            let done = match Ask::take(&req, payload, state.into_inner(), parameters).await {
                Ok(ask) => once::done(ask, handler).await,
                Err(error) => Err(error),
            };
            respond(&req, done)
        }
    })
}

/// A route that asks `handler`, of whoever comes.
pub fn visit<F, Fut>(method: Method, handler: F) -> Route
where
    F: Fn(Visit) -> Fut + 'static,
    Fut: Future<Output = Result<Done>> + 'static,
{
    unknown(method, erased(handler))
}

fn unknown(method: Method, handler: Handler<Visit>) -> Route {
    web::method(method).to(move |req: HttpRequest, payload: web::Payload, state: web::Data<State>| {
        let handler = Rc::clone(&handler);
        async move {
            let done = match Visit::take(&req, payload, state.into_inner()).await {
                Ok(visit) => handler(visit).await,
                Err(error) => Err(error),
            };
            respond(&req, done)
        }
    })
}

fn respond(req: &HttpRequest, done: Result<Done>) -> HttpResponse {
    match done {
        Ok(done) => done.respond(req),
        Err(error) => respond::error(req, Face::of_path(req.path()), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_needs_the_scope_of_what_it_asks_for() {
        for (path, area) in [
            ("/api/v1/keys", "keys"),
            ("/api/v1/keys/{key}/regenerate", "keys"),
            ("/api/v1/users/{user}", "users"),
            ("/api/v1/users/{user}/password", "account"),
            ("/api/v1/users/{user}/tokens/{token}", "account"),
            ("/api/v1/users/tokens", "users"),
            ("/api/v1/groups/{group}/members/{user}", "groups"),
            ("/api/v1/memberships/bulk", "groups"),
            ("/api/v1/users/bulk", "users"),
            ("/api/v1/budgets/{budget}", "organizations"),
            ("/api/v1/access-groups", "channels"),
            ("/api/v1/account/tokens", "account"),
            ("/api/v1/setup", "account"),
            ("/key/generate", "keys"),
            ("/team/info", "groups"),
            ("/api/v1/audit/verify", "audit"),
            ("/customer/info", "organizations"),
            ("/v2/key/info", "keys"),
            ("/global/spend", "usage"),
            ("/audit", "audit"),
            ("/audit/{id}", "audit"),
            ("/config/update", "account"),
            ("/v1/chat/completions", "account"),
        ] {
            assert_eq!(area_of(path), area, "{path}");
        }
    }

    #[test]
    fn what_only_asks_is_read_whatever_its_method() {
        for (method, path, want) in [
            (Method::GET, "/audit", Access::Read),
            (Method::POST, "/spend/calculate", Access::Read),
            (Method::POST, "/cost/estimate", Access::Read),
            (Method::POST, "/utils/token_counter", Access::Read),
            (Method::POST, "/utils/transform_request", Access::Read),
            (Method::POST, "/global/spend/end_users", Access::Read),
            (Method::POST, "/budget/info", Access::Read),
            (Method::POST, "/api/v1/explain", Access::Read),
            (Method::POST, "/global/spend/reset", Access::Write),
            (Method::POST, "/key/generate", Access::Write),
        ] {
            assert_eq!(access_of(&method, path), want, "{method} {path}");
        }
    }
}
