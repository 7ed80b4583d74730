//! A stream of server-sent events as a response body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_core::Stream;
use sluicegate::AnswerStream;
use sluicegate::wire::EventArray;
use tokio::time::{Instant, Sleep, sleep};

use crate::respond::Face;

/// After so long a silence something is sent, so that no proxy on the way takes the connection for dead.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Frames that only pass, and a sign of life in between.
pub struct EventBody<S = AnswerStream> {
    events: S,
    face: Face,
    timer: Pin<Box<Sleep>>,
    /// When the last byte was handed over. The timer is only set anew when it fires: once per period, not per frame.
    spoke_at: Instant,
    /// Whether what was sent ends where an event ends: nothing of ours may stand inside one.
    between_events: bool,
}

impl<S> EventBody<S> {
    /// A body of these events.
    pub fn new(events: S, face: Face) -> Self {
        Self {
            events,
            face,
            timer: Box::pin(sleep(KEEP_ALIVE)),
            spoke_at: Instant::now(),
            between_events: true,
        }
    }
}

impl<S, E> MessageBody for EventBody<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    type Error = Broken;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        // BOUND: each turn consumes an item, and an empty one is no sign of life.
        loop {
            match Pin::new(&mut self.events).poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => {
                    self.spoke_at = Instant::now();
                    self.between_events = ends_event(&chunk);
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Broken(error.to_string())))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        // BOUND: a timer that has fired is set into the future before it is asked again.
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.spoke_at + KEEP_ALIVE;
            if due > now || !self.between_events {
                let next = if due > now { due } else { now + KEEP_ALIVE };
                self.timer.as_mut().reset(next);
                continue;
            }
            self.spoke_at = now;
            self.timer.as_mut().reset(now + KEEP_ALIVE);
            return Poll::Ready(Some(Ok(sign_of_life(self.face))));
        }
        Poll::Pending
    }
}

/// The stream broke; the connection is cut, so that nobody takes it for the end.
#[derive(Debug)]
pub struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the stream broke: {}", self.0)
    }
}

impl std::error::Error for Broken {}

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A comment, or Anthropic's own event for this.
fn sign_of_life(face: Face) -> Bytes {
    match face {
        Face::OpenAi | Face::Cohere | Face::LiteLlm => Bytes::from_static(b": keep-alive\n\n"),
        Face::Anthropic => Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        // Google's own libraries take a comment for an event; a blank line is nothing to anybody, in a list as well.
        Face::Gemini => Bytes::from_static(b"\n"),
    }
}

/// A stream of events as one JSON array in pieces.
pub struct ArrayStream<S> {
    events: Option<S>,
    array: EventArray,
}

impl<S> ArrayStream<S> {
    /// The array of these events.
    pub fn new(events: S) -> Self {
        Self { events: Some(events), array: EventArray::default() }
    }
}

impl<S, E> Stream for ArrayStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        match Pin::new(events).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(chunk))) => {
                Poll::Ready(Some(self.array.push(chunk).map_err(|error| Broken(error.to_string()))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Broken(error.to_string())))),
            Poll::Ready(None) => {
                self.events = None;
                Poll::Ready(Some(Ok(self.array.finish())))
            }
        }
    }
}

fn ends_event(chunk: &[u8]) -> bool {
    chunk.ends_with(b"\n\n") || chunk.ends_with(b"\r\n\r\n") || chunk.ends_with(b"\r\r")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;

    use super::*;

    async fn next<S>(body: &mut EventBody<S>) -> Option<Bytes>
    where
        S: Stream<Item = Result<Bytes, Broken>> + Unpin,
    {
        poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await.map(|chunk| chunk.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_is_filled_only_between_events() {
        for (first, face, filled) in [
            ("data: 1\n\n", Face::OpenAi, Some(": keep-alive\n\n")),
            ("data: 1\r\n\r\n", Face::Anthropic, Some("event: ping\ndata: {\"type\": \"ping\"}\n\n")),
            ("[{\"a\":1}\n\n", Face::Gemini, Some("\n")),
            ("data: 1", Face::OpenAi, None),
        ] {
            let late = Box::pin(stream::once(async {
                sleep(KEEP_ALIVE + Duration::from_secs(1)).await;
                Ok::<_, Broken>(Bytes::from_static(b"data: 2\n\n"))
            }));
            let events = stream::iter([Ok(Bytes::from(first)), Ok(Bytes::new())]);
            let mut body = EventBody::new(futures_util::StreamExt::chain(events, late), face);
            assert_eq!(next(&mut body).await.unwrap(), first);
            if let Some(filled) = filled {
                assert_eq!(next(&mut body).await.unwrap(), filled);
            }
            assert_eq!(next(&mut body).await.unwrap(), "data: 2\n\n");
            assert_eq!(next(&mut body).await, None);
        }
    }
}
