//! Calls that are passed through: a provider's own operations, with the channel's credential in place of the caller's key. Who may,
//! how often and at what fee is decided as for any call; what is said is nobody's affair.

mod metered;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::call::PASS_THROUGH_PREFIX;
use sluicegate_core::decision::{Denial, Explanation};
use sluicegate_core::engine::{Attempt, BoundCaller, Denied};
use sluicegate_core::snapshot::Snapshot;
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{Call, CallId, Channel, Error, ErrorKind, Format, Next, OutcomeClass, Secret};
use sluicegate_wire::{Bridge, BridgeOptions, Reply};
use tokio::time::{sleep_until, timeout_at};

use self::metered::Metered;
use crate::answer::{Answer, AnswerBody, Rejection};
use crate::gateway::Inner;
use crate::raw::RawStream;
use crate::running::{Running, class_of_fault};
use crate::serve::standing::{self, Standing};
use crate::serve::{
    Due, deny, end_without_answer, ended, lost, rejection, stand_in_line, until_duration, unwritten,
};
use crate::upload::Upload;
use crate::upstream::{Method, Rest, Special, Target, Upstream, UpstreamFault, UpstreamRequest, Url};

/// Longer paths and queries are refused, in bytes.
const PATH_MAX: usize = 4 * 1024;
/// The methods that are passed on.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Parameters of a query that carry keys.
const KEY_PARAMETERS: [&str; 3] = ["key", "api_key", "api-key"];
/// Headers of a target's that a caller may say otherwise.
const CALLERS_HEADERS: [&str; 3] = ["content-type", "anthropic-version", "user-agent"];

/// A request to pass through.
#[derive(Debug)]
pub struct PassThrough {
    /// The key that the caller presented.
    pub credential: Option<Secret>,
    /// Where the caller connects from.
    pub client_ip: Option<IpAddr>,
    /// The channel, or the provider of channels, by name.
    pub name: String,
    /// The path below its address, as it came: encoded, with a slash first.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// The method.
    pub method: String,
    /// Headers that go on, lower case: none of the connection's, and no key of the caller's.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Upload>,
    /// Tags from headers.
    pub tags: Vec<String>,
    /// Whether to say why it went where it went.
    pub explain: bool,
}

/// Where an answer says what it used.
#[derive(Clone, Copy)]
enum Look {
    /// As its format has it.
    In(Format),
    /// Wherever any format has it.
    Anywhere,
    /// It uses nothing.
    Away,
}

/// A call of which nobody knows what it uses: as much as any model takes and gives.
fn unmetered(id: CallId, name: &str) -> Call {
    let mut call = Call::new(id, Format::PassThrough, format!("{PASS_THROUGH_PREFIX}{name}").as_str());
    (call.input_bound, call.extra_output) = (None, u64::from(u32::MAX) >> 11);
    call
}

/// A request that may go on, as far as that says it itself.
struct Passed {
    request: PassThrough,
    method: Method,
    /// The path as a server sees it.
    path: String,
    /// What it is, where that is known.
    metered: Option<Metered>,
}

impl Passed {
    /// The name and the path by which channels are found.
    fn place(&self) -> (&str, &str) {
        (&self.request.name, &self.path)
    }

    /// Whether it is only looked at or removed: that costs nothing.
    fn is_free(&self) -> bool {
        self.method.is_safe() || self.method == Method::DELETE
    }

    fn look(&self) -> Look {
        match &self.metered {
            Some(metered) => Look::In(metered.format),
            // What is only asked for has been charged before.
            None if self.is_free() => Look::Away,
            None => Look::Anywhere,
        }
    }

    /// What an attempt sends.
    fn prepare(
        &self,
        inner: &Inner,
        attempt: &Attempt,
        rest: Option<&Rest>,
    ) -> Result<UpstreamRequest, Error> {
        let target = inner.targets.load().get(attempt.channel(), attempt.endpoint(), attempt.key());
        let target = target.ok_or_else(|| {
            let message = "the channel isn't set up properly: tell the operator";
            Error::new(ErrorKind::UpstreamUnavailable, message)
        })?;
        let url = address(attempt.channel(), &target, &self.request, &self.path)?;
        let special = Special { method: Some(self.method.clone()), url: Some(url), rest: rest.cloned() };
        Ok(UpstreamRequest {
            headers: callers_headers(&self.request.headers, &target),
            target: target.with_templates(&self.request.headers),
            body: Bytes::new(),
            timeouts: attempt.timeouts,
            stream: false,
            special: Some(Arc::new(special)),
        })
    }
}

/// Where a request stands among our own paths.
fn own_path(request: &PassThrough) -> String {
    format!("/providers/{}{}", request.name, request.path)
}

/// Serves one request.
pub(crate) async fn serve(
    inner: &Arc<Inner>,
    upstream: &dyn Upstream,
    mut request: PassThrough,
) -> Result<Answer, Box<Rejection>> {
    inner.records.check_room().map_err(Rejection::new)?;
    let standing = Standing::of(inner);
    let caller = inner.caller(request.credential.as_ref()).await.map_err(Rejection::new)?;
    if !caller.caller.routes.is_all() {
        caller.caller.routes.check(&own_path(&request), &[RouteUse::Inference]).map_err(Rejection::new)?;
    }
    let (method, path) = checked(&request).map_err(Rejection::new)?;
    let (snapshot, mut body) = (inner.engine.snapshot(), request.body.take());
    let metered = match method {
        Method::POST => Metered::read(&snapshot, &caller, (&request.name, &path), &mut body).await?,
        _ => None,
    };
    let rest = match &metered {
        Some(metered) => Some(metered::again(metered.body.clone())),
        None => body.map(|upload| Rest::new(upload.pieces, upload.length, |_: &Bytes| Ok(()))),
    };
    let passed = Passed { request, method, path, metered };
    let running = admitted(inner, &snapshot, &caller, &passed).await?;
    attempts(inner, upstream, (running, standing), &passed, rest.as_ref()).await
}

/// The method and the path, as a server sees it, of a request that may be passed on.
fn checked(request: &PassThrough) -> Result<(Method, String), Error> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidRequest, message);
    let method =
        Method::from_bytes(request.method.as_bytes()).map_err(|_| wrong("that is no method".to_owned()))?;
    // Others echo what they are sent, or aren't for this.
    if !METHODS.contains(&method.as_str()) {
        return Err(wrong(format!("that method isn't passed on; there are {}", METHODS.join(", "))));
    }
    let path =
        safe_path(&request.path).map_err(|why| wrong(format!("the path can't be passed on: {why}")))?;
    if request.name.is_empty() || request.name.contains('%') || request.query.len() > PATH_MAX {
        let message =
            "write /providers/NAME/PATH, with the name of a channel or provider as it is configured";
        return Err(wrong(message.to_owned()));
    }
    Ok((method, path))
}

/// Lets a request in, unless it is refused for who sends it, for what it asks or for a budget that it has no bound for.
async fn admitted(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    caller: &Arc<BoundCaller>,
    passed: &Passed,
) -> Result<Box<Running>, Box<Rejection>> {
    let (request, metered, id) = (&passed.request, passed.metered.as_ref(), inner.call_id());
    let (mut call, denial) = match metered {
        Some(metered) => metered.call(snapshot, caller, passed.place(), id),
        None => (unmetered(id, &request.name), None),
    };
    // A fee is all that a call costs, by the operator's word.
    let (name, path) = passed.place();
    let is_unpriced = metered.is_none()
        && !passed.is_free()
        && metered::channels(snapshot, caller, name, path).any(|(_, model)| !model.price.is_known());
    call.open_ended |= is_unpriced;
    call.client_ip = request.client_ip;
    call.tags.extend(request.tags.iter().cloned());
    let call = crate::serve::keepable(call).map_err(Rejection::new)?;
    let at = (inner.clock.now(), inner.seed());
    if let (Some(denial), Some(metered)) = (denial, metered) {
        let unknown = matches!(denial, Denial::UnknownModel { .. }).then(|| metered.unknown(name));
        let denied = Denied { denial, explanation: Explanation::default() };
        let refused = deny(inner, caller, call, &denied, at, request.explain, None);
        return Err(match unknown {
            Some(error) => Box::new(Rejection { facts: refused.facts, ..Rejection::new(error) }),
            None => refused,
        });
    }
    let admission = match inner.engine.admit(call.clone(), caller, at.0, at.1) {
        Ok(admission) => admission,
        Err(denied) => return Err(deny(inner, caller, call, &denied, at, request.explain, None)),
    };
    let by_name = admission.has_strict_spend_by_name();
    let mut running = Box::new(Running::new(Arc::clone(inner), admission));
    running.explain = request.explain;
    if let Some(Err(rejection)) = metered.map(|metered| metered.check(by_name)) {
        return Err(ended(running, rejection).await);
    }
    if is_unpriced && (caller.has_strict_spend() || by_name) {
        let message = format!(
            "nobody knows what `{path}` costs, and this call has a strict budget: ask the operator to give the channel's `pass_through` a `fee`"
        );
        let rejection = Rejection::new(Error::new(ErrorKind::InvalidRequest, message));
        return Err(ended(running, Box::new(rejection)).await);
    }
    if let Some(admission) = running.admission() {
        admission.be_patient();
    }
    Ok(running)
}

/// Sends it, to one channel after another as long as none was reached.
async fn attempts(
    inner: &Inner,
    upstream: &dyn Upstream,
    (mut running, mut standing): (Box<Running>, Standing),
    passed: &Passed,
    rest: Option<&Rest>,
) -> Result<Answer, Box<Rejection>> {
    let mut last: Option<Box<Rejection>> = None;
    let mut place = None;
    // BOUND: the engine bounds attempts and time.
    loop {
        if standing.has_changed(inner) {
            let request = &passed.request;
            let found = standing::caller(inner, request.credential.as_ref(), &own_path(request)).await;
            if let Some(refused) = standing::refused(inner, &running, found) {
                drop(place.take());
                return Err(ended(running, Box::new(Rejection::new(refused))).await);
            }
        }
        let Some(admission) = running.admission() else { return Err(Box::new(lost())) };
        match inner.engine.next(admission, inner.clock.now()) {
            Next::Try(attempt) => {
                place = None;
                running.begin(&attempt);
                if let Err(error) = inner.records.commit(inner.in_company()).await {
                    return Err(unwritten(running, error));
                }
                let request = match passed.prepare(inner, &attempt, rest) {
                    Ok(request) => request,
                    Err(error) => {
                        running.observe(OutcomeClass::Inexpressible, None, None);
                        last = Some(Box::new(Rejection::new(error)));
                        continue;
                    }
                };
                match send(inner, upstream, running, &attempt, request, rest, passed.look()).await {
                    Ok(answer) => return Ok(answer),
                    Err((same, failed, true)) => {
                        running = same;
                        last = Some(failed);
                    }
                    Err((same, failed, false)) => return Err(ended(same, failed).await),
                }
            }
            Next::Queue(queued) => place = stand_in_line(inner, &mut running, place, queued).await,
            Next::Wait(until) => tokio::time::sleep(until_duration(until, inner.clock.now())).await,
            Next::Count(with) => {
                if let Some(admission) = running.admission() {
                    admission.counted(with, None);
                }
            }
            Next::Refill(_) => return Err(Box::new(lost())),
            Next::Done(failure) => {
                drop(place.take());
                return Err(end_without_answer(inner, running, &failure, last).await);
            }
        }
    }
}

/// Sends it once. What failed before anything was sent may be tried elsewhere.
async fn send(
    inner: &Inner,
    upstream: &dyn Upstream,
    mut running: Box<Running>,
    attempt: &Attempt,
    request: UpstreamRequest,
    rest: Option<&Rest>,
    look: Look,
) -> Result<Answer, (Box<Running>, Box<Rejection>, bool)> {
    let due = Due::of(attempt, inner.clock.now());
    running.mark_sent();
    let sent = timeout_at(if rest.is_some() { due.total } else { due.first }, upstream.send(request)).await;
    let response = match sent.unwrap_or(Err(UpstreamFault::Timeout { sent: true })) {
        Ok(response) => response,
        Err(fault) => {
            if let Some(error) = rest.and_then(Rest::broken) {
                running.observe(OutcomeClass::BadRequest, None, None);
                return Err((running, Box::new(Rejection::new(error)), false));
            }
            let (class, report) = class_of_fault(&fault);
            let class = if class == OutcomeClass::Broken { OutcomeClass::ServerError } else { class };
            running.observe(class, None, None);
            let kind = report.kind;
            let again = class == OutcomeClass::Unreachable && !rest.is_some_and(Rest::is_taken);
            return Err((running, rejection(report, kind), again));
        }
    };
    running.mark_status(response.status);
    running.mark_tier(response.served_tier);
    running.facts.upstream_request_id.clone_from(&response.request_id);
    running.note_remaining();
    running.note_told();
    // What a caller's own request makes a provider say tells little of the channel.
    let class = match response.status {
        0..=399 => OutcomeClass::Ok,
        429 => OutcomeClass::RateLimited,
        400..=499 => OutcomeClass::BadRequest,
        _ => OutcomeClass::ServerError,
    };
    let facts = running.facts.clone();
    let reader = match look {
        Look::In(format) => {
            let reply = Reply::at(&attempt.channel().quirks, attempt.upstream_model.as_str());
            let streams = response.is_event_stream;
            let options = BridgeOptions::new(format, format);
            Some(Bridge::new(BridgeOptions {
                reply,
                caller_streams: streams,
                upstream_streams: streams,
                ..options
            }))
        }
        Look::Anywhere | Look::Away => None,
    };
    let looks = matches!(look, Look::Anywhere);
    let raw = RawStream::new(running, response, VecDeque::new(), class, sleep_until(due.total), looks);
    let raw = raw.read_by(reader);
    Ok(Answer { body: AnswerBody::Raw(Box::new(raw)), content_type: None, facts })
}

/// Whether a channel passes calls to that path.
fn allows(channel: &Channel, decoded: &str) -> bool {
    let below = |prefix: &String| {
        decoded.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    channel.pass_through.is_empty() || channel.pass_through.iter().any(below)
}

/// Where it goes, if the channel lets it.
fn address(channel: &Channel, target: &Target, request: &PassThrough, decoded: &str) -> Result<Url, Error> {
    if !allows(channel, decoded) {
        let message = format!(
            "the path `{decoded}` isn't passed through to `{}`: ask the operator to add it to the channel's `pass_through`",
            request.name
        );
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let outside = || Error::new(ErrorKind::InvalidRequest, "the path leads out of the channel's address");
    let base = target.address.as_ref().map(|address| &address.url).ok_or_else(outside)?;
    let mut url = base.clone();
    let root = base.path().trim_end_matches('/');
    url.set_path(&format!("{root}{}", request.path));
    // INVARIANT: the path was found safe; whatever is made of it stays below the base.
    let below = url.path().strip_prefix(root).is_some_and(|rest| rest.starts_with('/') || rest.is_empty());
    if url.origin() != base.origin() || !below {
        return Err(outside());
    }
    // However it is written; what can't be read is none that goes on.
    let is_key = |pair: &&str| {
        let name = decode(pair.split('=').next().unwrap_or_default());
        name.is_none_or(|name| KEY_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()))
    };
    let own = request.query.split('&').filter(|pair| !pair.is_empty() && !is_key(pair));
    let query: Vec<&str> = base.query().into_iter().chain(own).collect();
    url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    Ok(url)
}

/// The path as a server sees it; else why it may not go on. Nothing in it may lead up, out or elsewhere, and no server may see another
/// operation in it than we do: some drop what follows a `;`, or decode what has been decoded.
fn safe_path(path: &str) -> Result<String, &'static str> {
    if path.len() > PATH_MAX {
        return Err("it is too long");
    }
    if !path.starts_with('/') {
        return Err("it must go on behind the name, with a slash first");
    }
    let seen = decode(path).ok_or("it isn't encoded properly")?;
    if seen.contains('%') {
        return Err("it is encoded twice, or has a `%` in it");
    }
    if seen.matches('/').count() != path.matches('/').count() {
        return Err("it has a slash that is encoded");
    }
    if seen.contains(';') {
        return Err("it has a `;`, which servers understand differently");
    }
    if seen.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#' | ' ')) {
        return Err("it has characters that no path has");
    }
    let segments: Vec<&str> = seen.split('/').skip(1).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err("`.` and `..` lead elsewhere");
    }
    let inner = segments.len().saturating_sub(1);
    if segments.iter().take(inner).any(|segment| segment.is_empty()) {
        return Err("it has an empty segment");
    }
    Ok(seen)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        rest = after.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

/// The caller's headers but for those that the channel sets, or would set: its credential among them. What an answer used must be legible,
/// so nobody asks for a coding, whatever a host hands on.
fn callers_headers(headers: &[(String, String)], target: &Target) -> Vec<(String, String)> {
    let is_free = |name: &str| {
        name != "accept-encoding"
            && !target.is_template(name)
            && (CALLERS_HEADERS.contains(&name) || !target.headers.contains_key(name))
    };
    headers.iter().filter(|(name, _)| is_free(name)).cloned().collect()
}

#[cfg(test)]
mod tests;
