//! An answer that passes as it is, piece by piece: sound, and what a provider's own operations answer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sluicegate_core::{ErrorKind, OutcomeClass};
use sluicegate_wire::{Bridge, End, Observed, said_in};
use tokio::time::Sleep;

use crate::running::{Running, class_of_fault};
use crate::upstream::{UpstreamBody, UpstreamFault, UpstreamResponse};

/// So much of an answer's end is kept to find what it used.
// BOUND: of each answer under way.
const TAIL_BYTES: usize = 64 * 1024;
/// And of its beginning, once that isn't part of the kept end: some say there what went in.
// BOUND: of each answer under way.
const BEGINNING_BYTES: usize = 8 * 1024;

/// The pieces of an answer. It is settled before it ends; dropping it cancels the upstream and settles what was delivered.
pub struct RawStream {
    /// The upstream's status.
    pub status: u16,
    /// What the body is, where the upstream says so.
    pub content_type: Option<String>,
    /// Further headers of the upstream's for the caller.
    pub headers: Vec<(String, String)>,
    running: Box<Running>,
    body: Option<Box<dyn UpstreamBody>>,
    pending: VecDeque<Bytes>,
    observed: Observed,
    /// So many bytes of it have passed, from the first that says anything.
    passed: u64,
    streams: bool,
    /// How the answer counts when it comes to its end.
    class: OutcomeClass,
    /// The end of what passed, where what it used may be found in it.
    tail: Option<Vec<u8>>,
    beginning: Vec<u8>,
    /// What reads it, where its format is known.
    reader: Option<Box<Bridge>>,
    deadline: Pin<Box<Sleep>>,
    settled: bool,
    settling: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    broken: bool,
}

impl std::fmt::Debug for RawStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawStream").field("status", &self.status).finish_non_exhaustive()
    }
}

impl RawStream {
    pub(crate) fn new(
        running: Box<Running>,
        response: UpstreamResponse,
        pending: VecDeque<Bytes>,
        class: OutcomeClass,
        deadline: Sleep,
        looks: bool,
    ) -> Self {
        let mut raw = Self {
            status: response.status,
            content_type: response.content_type,
            headers: response.headers,
            running,
            body: Some(response.body),
            pending: VecDeque::new(),
            observed: Observed::default(),
            passed: 0,
            streams: response.is_event_stream,
            class,
            tail: looks.then(Vec::new),
            beginning: Vec::new(),
            reader: None,
            deadline: Box::pin(deadline),
            settled: false,
            settling: None,
            broken: false,
        };
        pending.into_iter().for_each(|piece| raw.take(piece));
        raw
    }

    /// The same, read by this as it passes.
    pub(crate) fn read_by(mut self, reader: Option<Bridge>) -> Self {
        self.reader = reader.map(Box::new);
        self
    }

    fn take(&mut self, piece: Bytes) {
        self.observed.first_content |= !piece.is_empty();
        // Who thinks for long keeps the connection open with blanks.
        if self.passed > 0 || !piece.trim_ascii().is_empty() {
            self.passed = self.passed.saturating_add(piece.len() as u64);
        }
        if let Some(reader) = &mut self.reader {
            reader.push(piece.clone(), &mut |_| {});
        }
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(&piece);
            if tail.len() > 2 * TAIL_BYTES {
                if self.beginning.is_empty() {
                    self.beginning.extend(tail.iter().take(BEGINNING_BYTES));
                }
                tail.drain(..tail.len() - TAIL_BYTES);
            }
        }
        self.pending.push_back(piece);
    }

    fn end(&mut self, mut class: OutcomeClass) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.body = None;
        let failed =
            !matches!(class, OutcomeClass::Ok | OutcomeClass::ClientGone) && !self.observed.first_content;
        if let Some(mut reader) = self.reader.take() {
            let end = if class == OutcomeClass::ClientGone { End::ClientGone } else { End::Eof };
            // It broke off within its text, or is longer than can be read: a body, or an event. Where all of it came it says itself what it
            // is: an error has delivered nothing.
            let is_too_long = reader.ended();
            let is_short = class != OutcomeClass::Ok || is_too_long;
            let is_whole = is_short && reader.is_whole();
            let is_part = is_short && !is_whole;
            // Who leaves then leaves with all of it.
            if is_whole && class == OutcomeClass::ClientGone {
                class = self.class;
            }
            reader.finish(end, &mut |_| {});
            self.observed = reader.observed().clone();
            // Of a stream it has counted what was delivered, up to an event that it couldn't read; of a body nothing is known until its end.
            if is_part && self.passed > 0 && (is_too_long || !self.streams) {
                self.observed.first_content = true;
                if self.observed.output_bytes == 0 || is_too_long {
                    self.observed.output_bytes = self.passed;
                }
            }
        } else {
            self.observed.finished = class == OutcomeClass::Ok;
            self.observed.usage = self.tail.take().and_then(|tail| said_in(&self.beginning, &tail));
        }
        // What a provider refuses, it doesn't bill.
        let observed = (!failed && (200..300).contains(&self.status)).then_some(&self.observed);
        self.running.observe(class, observed, None);
        let error = match class {
            OutcomeClass::Ok => None,
            OutcomeClass::ClientGone => Some(ErrorKind::Cancelled.as_str()),
            OutcomeClass::Timeout => Some(ErrorKind::UpstreamTimeout.as_str()),
            OutcomeClass::Broken => Some(ErrorKind::UpstreamUnavailable.as_str()),
            _ => Some(ErrorKind::UpstreamRejected.as_str()),
        };
        self.running.finish(error);
        self.settling = Some(Box::pin(self.running.settled()));
    }

    fn fail(&mut self, fault: &UpstreamFault) {
        let class = match class_of_fault(fault).0 {
            OutcomeClass::Timeout => OutcomeClass::Timeout,
            _ => OutcomeClass::Broken,
        };
        self.broken = true;
        self.end(class);
    }
}

impl Stream for RawStream {
    /// An error stands for an answer that broke off: whoever hands it on must not let it look complete.
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.pending.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(settling) = &mut this.settling {
                std::task::ready!(settling.as_mut().poll(cx));
                this.settling = None;
                if this.broken {
                    let error = std::io::Error::other("the upstream broke the answer off");
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            if this.deadline.as_mut().poll(cx).is_ready() {
                this.fail(&UpstreamFault::Timeout { sent: true });
                continue;
            }
            match std::task::ready!(body.poll_chunk(cx)) {
                Some(Ok(piece)) => {
                    this.running.mark_content();
                    this.take(piece);
                }
                Some(Err(fault)) => this.fail(&fault),
                None => this.end(this.class),
            }
        }
    }
}

impl Drop for RawStream {
    fn drop(&mut self) {
        self.end(OutcomeClass::ClientGone);
    }
}
