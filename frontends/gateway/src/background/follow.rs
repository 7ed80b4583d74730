//! A stream that follows a response which is worked on in the background, from any of its events on. Whoever drops it ends nothing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sluicegate_core::{Caller, Result};
use sluicegate_wire::Numbering;

use super::jobs::{JobKey, Live};
use super::log::{Log, Place, Read};
use super::{as_it_stands, elsewhere, ended, unfinished};
use crate::gateway::{Gateway, Inner};
use crate::response::{missing, wrong};
use crate::store::ResponseOwner;

/// How often it is looked whether another process has ended its work.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The events of a response, in its format. It never yields an error, and ends with the response.
pub struct FollowStream(Pin<Box<dyn Stream<Item = std::result::Result<Bytes, Infallible>> + Send>>);

impl std::fmt::Debug for FollowStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FollowStream").finish_non_exhaustive()
    }
}

impl Stream for FollowStream {
    type Item = std::result::Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl FollowStream {
    /// Events from this number on, of a log that is held.
    pub(super) fn of_log(log: Arc<Log>, from: u64) -> Self {
        // Before it is read: what is added meanwhile wakes it.
        let reader = log.reader();
        let begin = Some(Place::at(from));
        let events = stream::unfold((log, reader, begin), |(log, mut reader, place)| async move {
            let place = place?;
            // BOUND: each turn waits until something was added.
            loop {
                let told = match log.read(place) {
                    Read::Events(events, next) => return Some((events, (log, reader, Some(next)))),
                    Read::Wait => {
                        reader.changed().await.ok()?;
                        continue;
                    }
                    Read::Over => return None,
                    Read::Gone(first) => gone_event(first),
                    Read::Forgotten => forgotten_event(place.event),
                };
                // Of an event that was begun there is no end: a client passes over what isn't whole, and nothing can follow it.
                return (place.byte == 0).then_some((told, (log, reader, None)));
            }
        });
        Self(Box::pin(events.map(Ok)))
    }

    /// Of a response whose single events aren't held: that it was begun, and what becomes of it.
    fn of_kept(
        inner: Arc<Inner>,
        key: JobKey,
        live: Option<Arc<Live>>,
        kept: &str,
        after: Option<u64>,
    ) -> Self {
        let mut numbering = Numbering::after(after);
        let mut head = Vec::new();
        if after.is_none() {
            let begun = begun(kept);
            for kind in ["response.created", "response.in_progress"] {
                head.extend_from_slice(&numbering.own(kind, &begun).frame());
            }
        }
        let end = async move {
            if let Some(live) = live {
                live.over().await;
            }
            match end_of(&inner, &key, || tokio::time::sleep(LOOK_EVERY)).await {
                Ok(Some(response)) => numbering.own(kind_of(&response), &response).frame(),
                Ok(None) => {
                    error_event(&mut numbering, "response_not_found", "the response isn't kept any more")
                }
                Err(error) => error_event(&mut numbering, error.kind().as_str(), error.message()),
            }
        };
        let head = stream::iter([Bytes::from(head)]);
        Self(Box::pin(head.chain(stream::once(end)).map(Ok)))
    }
}

/// A response when nobody works on it any more, in whatever process. `pause` passes the time between two looks.
pub(super) async fn end_of<F: Future<Output = ()>>(
    inner: &Inner,
    key: &JobKey,
    pause: impl Fn() -> F,
) -> Result<Option<String>> {
    // BOUND: work lasts as long as a call may.
    loop {
        let response = as_it_stands(inner, &key.0, &key.1).await?;
        if response.as_deref().and_then(unfinished) != Some("in_progress") {
            return Ok(response);
        }
        drop(response);
        // Only whether it is worked on is asked meanwhile: the response is as large as its request.
        loop {
            pause().await;
            if !elsewhere::is_worked_on(inner, key).await? {
                break;
            }
        }
    }
}

/// The last event of a response that stands like this.
pub(super) fn kind_of(response: &str) -> &'static str {
    let response: Value = serde_json::from_str(response).unwrap_or_default();
    match response.get("status").and_then(Value::as_str) {
        Some("completed") => "response.completed",
        Some("incomplete") => "response.incomplete",
        _ => "response.failed",
    }
}

/// A response as it was when nothing of it was there.
fn begun(kept: &str) -> String {
    let begun = ended(kept, "in_progress", None);
    let mut begun: Value = serde_json::from_str(&begun).unwrap_or_default();
    if let Some(fields) = begun.as_object_mut() {
        for (name, empty) in
            [("output", json!([])), ("usage", Value::Null), ("incomplete_details", Value::Null)]
        {
            fields.insert(name.to_owned(), empty);
        }
    }
    begun.to_string()
}

fn error_event(numbering: &mut Numbering, code: &str, message: &str) -> Bytes {
    let event = json!({
        "type": "error", "code": code, "message": message, "param": null, "sequence_number": numbering.next(),
    });
    format!("event: error\ndata: {event}\n\n").into()
}

fn gone(first: u64) -> String {
    format!(
        "the events before number {first} aren't held any more: go on with `starting_after={}`, or ask for the response without \
         `stream`",
        first.saturating_sub(1)
    )
}

fn forgotten_event(number: u64) -> Bytes {
    let message = "the events of this response aren't held any more: ask for it without `stream`";
    error_event(&mut Numbering::after(number.checked_sub(1)), "events_gone", message)
}

fn gone_event(first: u64) -> Bytes {
    error_event(&mut Numbering::after(first.checked_sub(2)), "events_gone", &gone(first))
}

impl Gateway {
    /// The events of a response that is kept for this caller, behind the one of number `after`, and as they come while it is worked
    /// on. Where its single events aren't held (any more), there are its beginning and its end.
    ///
    /// # Errors
    /// `NotFound` as [`response`](Self::response); `InvalidRequest` when events are asked for that are gone.
    pub async fn follow_response(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
    ) -> Result<FollowStream> {
        let key = (ResponseOwner::of(caller), id.to_owned());
        let live = self.inner.jobs.held(&key);
        let kept = as_it_stands(&self.inner, &key.0, id).await?.ok_or_else(|| missing(id))?;
        if let Some(log) = live.as_ref().and_then(|live| live.log()) {
            let from = after.map_or(0, |after| after.saturating_add(1));
            match log.read(Place::at(from)) {
                Read::Gone(first) => return Err(wrong("starting_after", gone(first))),
                // Since it was found.
                Read::Forgotten => {}
                _ => return Ok(FollowStream::of_log(log, from)),
            }
        }
        Ok(FollowStream::of_kept(Arc::clone(&self.inner), key, live, &kept, after))
    }
}
