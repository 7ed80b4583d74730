//! Responses that are worked on in the background: their caller is told an id at once, and comes back for what became of it.
//!
//! The work is a call like any other, admitted before its caller is answered and settled as usual. What is kept of it is a response
//! that isn't completed. The process that works on it is the only one that knows it is: after a restart it has failed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{Caller, Error, ErrorKind, Result};
use sluicegate_wire::conversation::begun;
use tokio::sync::{Notify, oneshot, watch};

use crate::answer::{Answer, AnswerBody, Facts, Inbound, Rejection};
use crate::gateway::{Gateway, Inner};
use crate::response::{Keep, bare, missing};
use crate::serve;
use crate::store::{KeptResponse, ResponseOwner};
use crate::upstream::Upstream;

/// So many are worked on at a time.
// BOUND: of tasks that nobody waits for.
const JOBS_MAX: usize = 1_024;

/// The responses that this process works on.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<HashMap<(ResponseOwner, String), Arc<Live>>>);

/// One that is under way.
struct Live {
    cancel: Notify,
    /// Turns true when what became of it is kept.
    ended: watch::Sender<bool>,
}

impl Jobs {
    fn get(&self, owner: &ResponseOwner, id: &str) -> Option<Arc<Live>> {
        self.0.lock().get(&(owner.clone(), id.to_owned())).cloned()
    }

    /// Ends the work on a response, if there is any, and waits until that is kept.
    pub(crate) async fn cancel(&self, owner: &ResponseOwner, id: &str) {
        let Some(live) = self.get(owner, id) else { return };
        live.cancel.notify_one();
        let _ = live.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Ends all work: each response is kept as one that failed.
    pub(crate) fn stop(&self) {
        self.0.lock().values().for_each(|live| live.cancel.notify_one());
    }
}

/// The work on a response, which is over when this goes, whatever ended it.
struct Work {
    inner: Arc<Inner>,
    key: (ResponseOwner, String),
    live: Arc<Live>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.inner.jobs.0.lock().remove(&self.key);
        self.live.ended.send_replace(true);
    }
}

/// A response as its caller is to see it: nobody works any more on one that a former process began. `None` when none is kept.
pub(crate) async fn as_it_stands(inner: &Inner, owner: &ResponseOwner, id: &str) -> Result<Option<String>> {
    // Before the store is asked: work that ends meanwhile has kept its end by then.
    let is_live = inner.jobs.get(owner, id).is_some();
    let Some(kept) = inner.store.response(owner, id, inner.clock.now()).await? else { return Ok(None) };
    if unfinished(&kept.body) == Some("in_progress") && !is_live {
        let message = "the gateway was restarted while it worked on this: ask again";
        return Ok(Some(ended(&kept.body, "failed", Some(("server_error", message)))));
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

/// A response under the id that its caller was told.
pub(crate) fn renamed(response: &mut Value, id: &str) {
    if let Some(fields) = response.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.insert("background".to_owned(), json!(true));
    }
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
    id: String,
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
    /// The call was admitted: its response is kept from here on, and the caller is told.
    ///
    /// # Errors
    /// When it can't be kept.
    pub(crate) async fn admitted(
        &mut self,
        inner: &Inner,
        keep: Option<&mut Keep>,
        request: &Bytes,
        facts: &Facts,
    ) -> Result<()> {
        let keep = keep.ok_or_else(|| {
            let message = "what is worked on in the background is kept, and this call is too large for that";
            Error::new(ErrorKind::PayloadTooLarge, message)
        })?;
        let mut response: Value =
            serde_json::from_str(&begun(&self.id, self.created_s, request)).unwrap_or_default();
        renamed(&mut response, &self.id);
        if let (Some(fields), Some(previous)) = (response.as_object_mut(), keep.previous()) {
            fields.insert("previous_response_id".to_owned(), json!(previous));
        }
        let kept = keep.begin_job(&self.id, response.to_string());
        inner.store.keep_response(&kept, &[]).await?;
        self.kept = Some(kept);
        if let (Some(tell), Some(fields)) = (self.tell.take(), response.as_object_mut()) {
            fields.insert("status".to_owned(), json!("queued"));
            let _ = tell.send(Ok(Told { body: response.to_string(), facts: facts.clone() }));
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
    if asked.stream == Some(Value::Bool(true)) {
        let message = "a response in the background isn't streamed: leave `stream` out and ask for it by its id, or leave `background` out";
        return refuse(ErrorKind::NotSupported, "stream", message);
    }
    if asked.store == Some(Value::Bool(false)) {
        let message = "a response in the background is kept until it is asked for: leave `store` out";
        return refuse(ErrorKind::InvalidRequest, "store", message);
    }
    if inner.host.retention.responses_ms == 0 {
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
    let live = Arc::new(Live { cancel: Notify::new(), ended: watch::Sender::new(false) });
    {
        let mut all = inner.jobs.0.lock();
        if all.len() >= JOBS_MAX {
            let message = "too many responses are worked on in the background; try again later";
            return refuse(ErrorKind::RateLimited, "background", message);
        }
        all.insert(key.clone(), Arc::clone(&live));
    }
    let (tell, told) = oneshot::channel();
    let created_s = inner.clock.now().as_ms().div_euclid(1000);
    let job = Job { id, created_s, tell: Some(tell), kept: None };
    let (inner, upstream) = (Arc::clone(inner), Arc::clone(upstream));
    tokio::spawn(async move {
        let work = Work { inner, key, live };
        run(&work.inner, &*upstream, inbound, job, &work.live).await;
    });
    match told.await {
        Ok(Ok(told)) => {
            let body = AnswerBody::Full(Bytes::from(told.body));
            Ok(Answer { body, content_type: None, facts: told.facts })
        }
        Ok(Err(rejection)) => Err(rejection),
        Err(_) => Err(Box::new(serve::lost())),
    }
}

async fn run(inner: &Arc<Inner>, upstream: &dyn Upstream, inbound: Inbound, mut job: Job, live: &Live) {
    let outcome = tokio::select! {
        biased;
        answered = serve::serve(inner, upstream, inbound, None, Some(&mut job)) => Some(answered.map(drop)),
        // What is under way is dropped with it, and settled as when a caller leaves.
        () = live.cancel.notified() => None,
    };
    let Some(kept) = job.kept else {
        // It wasn't let in.
        if let (Some(tell), Some(Err(rejection))) = (job.tell, outcome) {
            let _ = tell.send(Err(rejection));
        }
        return;
    };
    let body = match &outcome {
        // What was answered is kept by then.
        Some(Ok(())) if is_kept(inner, &kept).await => return,
        Some(Ok(())) => {
            let message = "the response is too large to be kept";
            ended(&kept.body, "failed", Some(("server_error", message)))
        }
        Some(Err(rejection)) => {
            let code = rejection.report.code.as_deref().unwrap_or(rejection.error.kind().as_str());
            ended(&kept.body, "failed", Some((code, &rejection.report.message)))
        }
        None => ended(&kept.body, "cancelled", None),
    };
    let kept = KeptResponse { body: body.into(), ..kept };
    if let Err(error) = inner.store.replace_response(&kept, &[]).await {
        tracing::warn!(%error, "what became of a response in the background couldn't be kept");
    }
}

async fn is_kept(inner: &Inner, begun: &KeptResponse) -> bool {
    let now = inner.store.response(&begun.owner, &begun.id, inner.clock.now()).await;
    !matches!(now, Ok(Some(now)) if now.body == begun.body)
}

impl Gateway {
    /// Ends the work on a response that is worked on in the background: the response, as it stands then.
    ///
    /// # Errors
    /// `NotFound` as [`response`](Self::response); `InvalidRequest` when it isn't of the background.
    pub async fn cancel_response(&self, caller: &Caller, id: &str) -> Result<String> {
        let owner = ResponseOwner::of(caller);
        self.inner.jobs.cancel(&owner, id).await;
        let told = as_it_stands(&self.inner, &owner, id).await?.ok_or_else(|| missing(id))?;
        let response: Value = serde_json::from_str(&told).unwrap_or_default();
        if response.get("background") != Some(&Value::Bool(true)) {
            let message = "only a response that is worked on in the background can be cancelled";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_completed_can_be_gone_on_from() {
        for (body, want) in [
            (r#"{"background":true,"status":"completed"}"#, None),
            (r#"{"background":true,"status":"incomplete"}"#, None),
            (r#"{"background":true,"status":"in_progress"}"#, Some("in_progress")),
            (r#"{"status":"failed","background":true,"output":[]}"#, Some("failed")),
            (r#"{"background":true,"status":"cancelled"}"#, Some("cancelled")),
            (r#"{"background":true,"output":[{"status":"in_progress"}]}"#, None),
            (r#"{"background":false,"status":"failed"}"#, None),
        ] {
            assert_eq!(unfinished(body), want, "{body}");
        }
    }
}
