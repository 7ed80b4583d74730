//! Responses that are worked on in the background: their caller is told an id at once, and comes back for what became of it.
//!
//! The work is a call like any other, admitted before its caller is answered and settled as usual. What is kept of it is a response
//! that isn't completed, and that somebody works on it; after a restart it has failed.

mod elsewhere;
mod follow;
mod jobs;
mod log;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{Caller, Error, ErrorKind, Result};
use sluicegate_wire::Shown;
use sluicegate_wire::conversation::begun;
use tokio::sync::oneshot;

use crate::answer::{Answer, AnswerBody, Facts, Inbound, Rejection};
use crate::gateway::{Gateway, Inner};
use crate::response::{Keep, bare, missing};
use crate::serve;
use crate::store::{KeptResponse, ResponseOwner};
use crate::upstream::Upstream;
pub(crate) use elsewhere::{end, tend};
pub use follow::FollowStream;
use jobs::JobKey;
pub(crate) use jobs::{End, Jobs, Live};

/// What is told of a response whose process ended.
const STOPPED: &str = "the gateway was restarted while it worked on this: ask again";

/// The work on a response, which is over when this goes, whatever ended it.
struct Work {
    inner: Arc<Inner>,
    key: JobKey,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.inner.jobs.ended(&self.key, self.inner.clock.now());
    }
}

/// A response as its caller is to see it: nobody works any more on one whose process is gone. `None` when none is kept.
pub(crate) async fn as_it_stands(inner: &Inner, owner: &ResponseOwner, id: &str) -> Result<Option<String>> {
    let key = (owner.clone(), id.to_owned());
    let is_under_way = |body: &str| unfinished(body) == Some("in_progress");
    // Before the store is asked: work that ends meanwhile has kept its end by then.
    let is_live = inner.jobs.is_live(&key);
    let Some(kept) = inner.store.response(owner, id, inner.clock.now()).await? else { return Ok(None) };
    if !is_under_way(&kept.body) || is_live || elsewhere::is_worked_on(inner, &key).await? {
        return Ok(Some(kept.body.to_string()));
    }
    // Whoever worked on it elsewhere may have kept its end since it was read.
    let Some(kept) = inner.store.response(owner, id, inner.clock.now()).await? else { return Ok(None) };
    if is_under_way(&kept.body) {
        return Ok(Some(ended(&kept.body, "failed", Some(("server_error", STOPPED)))));
    }
    Ok(Some(kept.body.to_string()))
}

/// How a response stands that nobody can go on from.
pub(crate) fn unfinished(body: &str) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Standing {
        status: Option<String>,
    }
    // Written by us, without spaces; whatever else is kept has ended, and needn't be read for this.
    if !body.contains(r#""background":true"#) {
        return None;
    }
    let standing: Standing = serde_json::from_str(body).ok()?;
    ["in_progress", "failed", "cancelled"].into_iter().find(|word| standing.status.as_deref() == Some(word))
}

fn ended(body: &str, status: &str, error: Option<(&str, &str)>) -> String {
    let mut response: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(fields) = response.as_object_mut() {
        fields.insert("status".to_owned(), json!(status));
        let error = error.map(|(code, message)| json!({"code": code, "message": message}));
        fields.insert("error".to_owned(), json!(error));
    }
    response.to_string()
}

/// The work on one response, for the call that does it.
pub(crate) struct Job {
    live: Arc<Live>,
    owner: ResponseOwner,
    created_s: i64,
    tell: Option<oneshot::Sender<std::result::Result<Told, Box<Rejection>>>>,
    kept: Option<KeptResponse>,
}

/// What the caller is told at once.
struct Told {
    body: String,
    facts: Facts,
}

impl Job {
    /// The id that its caller is told.
    pub(crate) fn id(&self) -> &str {
        self.live.id()
    }

    /// The call was admitted: its response is kept from here on, and the caller is told.
    ///
    /// # Errors
    /// When it can't be kept, or there is no room for all that it goes on from.
    pub(crate) async fn admitted(
        &mut self,
        inner: &Inner,
        keep: Option<&mut Keep>,
        request: &Bytes,
        shown: &Shown,
        facts: &Facts,
    ) -> Result<()> {
        let too_large = || {
            let message = "what is worked on in the background is kept, and this call is too large for that";
            Error::new(ErrorKind::PayloadTooLarge, message)
        };
        let keep = keep.ok_or_else(too_large)?;
        let begun = shown.whole(begun(self.id(), self.created_s, request).into());
        let begun = String::from_utf8_lossy(&begun).into_owned();
        // A short request may go on from much. What is sent of it is held beside it, and about as long.
        let asked = request.len() as u64;
        let held = [keep.held(), asked, begun.len() as u64].into_iter().fold(0, u64::saturating_add);
        inner.jobs.holds(&self.owner, &self.live, held.saturating_add(asked))?;
        let queued = ended(&begun, "queued", None);
        let kept = keep.begin_job(&self.live, held, begun).ok_or_else(too_large)?;
        // First that somebody works on it: nobody is to find it without.
        inner.store.begin_work(&kept.owner, &kept.id, &inner.worker_name, inner.clock.now()).await?;
        inner.store.keep_response(&kept, &[]).await?;
        self.kept = Some(kept);
        if let Some(log) = self.live.log() {
            let room = inner.jobs.room(&self.owner);
            log.say("response.created", &queued, &room);
            log.say("response.queued", &queued, &room);
        }
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(Ok(Told { body: queued, facts: facts.clone() }));
        }
        Ok(())
    }
}

/// What decides how it is done, besides the call itself.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    stream: Option<Value>,
    #[serde(default)]
    store: Option<Value>,
}

/// Begins the work on a response, and answers with its id once it is admitted. `body` is the request as one that is waited for.
///
/// # Errors
/// As for a call that is waited for, until it is admitted.
pub(crate) async fn start(
    inner: &Arc<Inner>,
    upstream: &Arc<dyn Upstream>,
    mut inbound: Inbound,
    body: Bytes,
) -> std::result::Result<Answer, Box<Rejection>> {
    let asked: Asked = serde_json::from_slice(&body).unwrap_or_default();
    let refuse = |kind, param: &'static str, message: &str| {
        Err(Box::new(Rejection::new(Error::new(kind, message.to_owned()).with("param", param))))
    };
    if asked.store == Some(Value::Bool(false)) {
        let message = "a response in the background is kept until it is asked for: leave `store` out";
        return refuse(ErrorKind::InvalidRequest, "store", message);
    }
    if inner.host.load().retention.responses_ms == 0 {
        let message = "nothing is kept here (`server.retention.responses` is 0): leave `background` out";
        return refuse(ErrorKind::NotSupported, "background", message);
    }
    let caller = inner.caller(inbound.credential.as_ref()).await.map_err(Rejection::new)?;
    let path = inbound.path.as_deref().unwrap_or_default();
    caller.caller.routes.check(path, &[RouteUse::Inference]).map_err(Rejection::new)?;
    let call = inbound.id.clone().unwrap_or_else(|| inner.call_id());
    let id = format!("resp_{}", bare(&call));
    (inbound.id, inbound.body) = (Some(call), body);
    let key = (ResponseOwner::of(&caller.caller), id.clone());
    let streams = asked.stream == Some(Value::Bool(true));
    let now = inner.clock.now();
    let held = inbound.body.len() as u64;
    let live = inner.jobs.begin(key.clone(), held, streams, now).map_err(Rejection::new)?;
    let log = live.log();
    let (tell, told) = oneshot::channel();
    let created_s = now.as_ms().div_euclid(1000);
    let job = Job { live, owner: key.0.clone(), created_s, tell: Some(tell), kept: None };
    let work = Work { inner: Arc::clone(inner), key };
    let upstream = Arc::clone(upstream);
    tokio::spawn(async move { run(&work.inner, &*upstream, inbound, job).await });
    match (told.await, log) {
        (Ok(Ok(told)), None) => {
            let body = AnswerBody::Full(Bytes::from(told.body));
            Ok(Answer { body, content_type: None, facts: told.facts })
        }
        (Ok(Ok(told)), Some(log)) => {
            let body = AnswerBody::Follow(Box::new(FollowStream::of_log(log, 0)));
            Ok(Answer { body, content_type: None, facts: told.facts })
        }
        (Ok(Err(rejection)), _) => Err(rejection),
        (Err(_), _) => Err(Box::new(serve::lost())),
    }
}

async fn run(inner: &Arc<Inner>, upstream: &dyn Upstream, inbound: Inbound, mut job: Job) {
    let (live, owner) = (Arc::clone(&job.live), job.owner.clone());
    let work = async {
        let answer = serve::serve(inner, upstream, inbound, None, Some(&mut job)).await?;
        if let (AnswerBody::Stream(mut events), Some(log)) = (answer.body, live.log()) {
            while let Some(Ok(bytes)) = events.next().await {
                log.push(bytes, &inner.jobs.room(&owner));
            }
        }
        Ok::<(), Box<Rejection>>(())
    };
    let answered = live.until_ended(work).await;
    let Some(kept) = job.kept else {
        // It wasn't let in.
        if let (Some(tell), Ok(Err(rejection))) = (job.tell, answered) {
            let _ = tell.send(Err(rejection));
        }
        return;
    };
    if let Some(body) = what_became(&kept, &live, answered) {
        let kept = KeptResponse { body: body.into(), ..kept.clone() };
        if let Err(error) = inner.store.replace_response(&kept, &[]).await {
            tracing::warn!(%error, "what became of a response in the background couldn't be kept");
        }
    }
    if let Some(log) = live.log().filter(|log| !log.has_ended()) {
        // Whoever reads along is told how it stands. Of one that was forgotten that is all there is to tell.
        let now = inner.store.response(&owner, live.id(), inner.clock.now()).await.ok().flatten();
        let body = now.map_or_else(|| ended(&kept.body, "cancelled", None), |now| now.body.to_string());
        log.say(follow::kind_of(&body), &body, &inner.jobs.room(&owner));
    }
    if let Err(error) = inner.store.end_work(&owner, live.id()).await {
        tracing::warn!(%error, "other processes can't be told that a response isn't worked on any more");
    }
}

/// What is to be kept of a response whose answer isn't kept.
fn what_became(
    begun: &KeptResponse,
    live: &Live,
    answered: std::result::Result<std::result::Result<(), Box<Rejection>>, End>,
) -> Option<String> {
    let failed = |code: &str, message: &str| Some(ended(&begun.body, "failed", Some((code, message))));
    match answered {
        Ok(Ok(())) if live.is_kept() => None,
        Ok(Ok(())) => match live.log().and_then(|log| log.error()) {
            Some((code, message)) => failed(&code, &message),
            None => failed("server_error", "the response couldn't be kept: it is too large, or no response"),
        },
        Ok(Err(rejection)) => {
            let code = rejection.report.code.as_deref().unwrap_or(rejection.error.kind().as_str());
            failed(code, &rejection.report.message)
        }
        Err(End::Cancelled) => Some(ended(&begun.body, "cancelled", None)),
        Err(End::Stopped) => failed("server_error", STOPPED),
    }
}

impl Gateway {
    /// Ends the work on a response that is worked on in the background: the response, as it stands then.
    ///
    /// # Errors
    /// `NotFound` as [`response`](Self::response); `InvalidRequest` when it isn't of the background.
    pub async fn cancel_response(&self, caller: &Caller, id: &str) -> Result<String> {
        let key = (ResponseOwner::of(caller), id.to_owned());
        end(&self.inner, &key).await?;
        let told = as_it_stands(&self.inner, &key.0, id).await?.ok_or_else(|| missing(id))?;
        let response: Value = serde_json::from_str(&told).unwrap_or_default();
        if response.get("background") != Some(&Value::Bool(true)) {
            let message = "only a response that is worked on in the background can be cancelled";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        Ok(told)
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
