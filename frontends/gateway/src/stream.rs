//! A streamed answer on its way to the caller.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sluicegate_core::OutcomeClass;
use sluicegate_wire::{Bridge, End};
use tokio::time::{Instant, Sleep};

use crate::guardrail::{self, Checked, Checking, Refusal, Screening};
use crate::running::{Running, class_of_fault};
use crate::upstream::{UpstreamBody, UpstreamFault};

/// No more than this is gathered before it is handed on.
const GATHER_BYTES: usize = 32 * 1024;

/// The events of an answer, in the caller's format. It never yields an error: what goes wrong after the first event is
/// said in the caller's format, as the stream's last event. Dropping it cancels the upstream and settles what was
/// delivered.
pub struct AnswerStream {
    running: Box<Running>,
    bridge: Box<Bridge>,
    body: Option<Box<dyn UpstreamBody>>,
    pending: VecDeque<Bytes>,
    pending_bytes: usize,
    /// When the call as a whole must be over; `None` when it is.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The call is over: settled and recorded.
    settled: bool,
    /// The answer is over, and its end is on its way out.
    ended: bool,
    /// The guardrails that look at it.
    screening: Option<Box<Screening>>,
    /// Services look at the whole answer, which ended like this.
    checking: Option<(Checking, OutcomeClass)>,
    /// The settlement is being written: the last frames wait for it.
    settling: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Handing on has begun: everything pending goes out before more is read.
    flushing: bool,
    /// The upstream had nothing more when it was last asked in this gathering.
    idle_turns: u8,
}

impl std::fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerStream").field("running", &self.running).finish_non_exhaustive()
    }
}

impl AnswerStream {
    pub(crate) fn new(
        running: Box<Running>,
        bridge: Box<Bridge>,
        body: Box<dyn UpstreamBody>,
        pending: VecDeque<Bytes>,
        deadline: Sleep,
        screening: Option<Box<Screening>>,
    ) -> Self {
        let pending_bytes = pending.iter().map(Bytes::len).sum();
        let mut stream = Self {
            running,
            bridge,
            body: Some(body),
            pending,
            pending_bytes,
            deadline: Some(Box::pin(deadline)),
            settled: false,
            ended: false,
            screening,
            checking: None,
            settling: None,
            flushing: true,
            idle_turns: 0,
        };
        if stream.bridge.observed().closed {
            stream.end(None);
        }
        stream
    }

    /// A stream whose call is over and settled: only what is left goes out.
    pub(crate) fn done(mut running: Box<Running>, bridge: Box<Bridge>, pending: VecDeque<Bytes>) -> Self {
        Self {
            settling: Some(Box::pin(running.settled())),
            running,
            bridge,
            body: None,
            pending,
            pending_bytes: 0,
            deadline: None,
            settled: true,
            ended: true,
            screening: None,
            checking: None,
            flushing: true,
            idle_turns: 0,
        }
    }

    fn take(&mut self, chunk: Bytes) {
        let (pending, bytes) = (&mut self.pending, &mut self.pending_bytes);
        let screening = &mut self.screening;
        self.bridge.push(chunk, &mut |out| {
            *bytes += out.len();
            match screening {
                None => pending.push_back(out),
                Some(screening) => screening.pass(out, pending),
            }
        });
        if let Some(refusal) = self.screening.as_deref().and_then(Screening::stopped).cloned() {
            self.refuse(&refusal);
        } else if self.bridge.ended() {
            self.end(None);
            self.body = None;
        } else if self.bridge.observed().closed {
            // The last frame is among what goes out next: the call is settled before it does. What is left of the body
            // is only read so that its connection can be used again.
            self.end(None);
        }
    }

    /// The upstream's body is over: closes the answer, settles, and records. Before the last bytes go out.
    fn end(&mut self, fault: Option<&UpstreamFault>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (pending, screening) = (&mut self.pending, &mut self.screening);
        let end = match fault.map(class_of_fault) {
            None => (End::Eof, None),
            // Content has been delivered: whatever the connection did, the answer broke off.
            Some((class, report)) => (
                End::Failed(report),
                Some(if class == OutcomeClass::Timeout {
                    OutcomeClass::Timeout
                } else {
                    OutcomeClass::Broken
                }),
            ),
        };
        self.bridge.finish(end.0, &mut |out| match screening {
            None => pending.push_back(out),
            Some(screening) => screening.pass(out, pending),
        });
        let observed = self.bridge.observed();
        let class = end.1.unwrap_or(match &observed.error {
            None => OutcomeClass::Ok,
            // The answer had begun and is charged for what was delivered.
            Some(_) => OutcomeClass::Broken,
        });
        match self.screening.take() {
            None => self.settle(class),
            Some(screening) => self.look_at_end(screening, class),
        }
    }

    /// The guardrails see the end of the answer.
    fn look_at_end(&mut self, mut screening: Box<Screening>, class: OutcomeClass) {
        screening.finish(&mut self.pending);
        if let Some(refusal) = screening.stopped().cloned() {
            self.screening = Some(screening);
            return self.refuse(&refusal);
        }
        self.note(&screening);
        if screening.gathers() {
            self.checking = Some((screening.check(), class));
        } else {
            self.settle(class);
        }
    }

    fn note(&mut self, screening: &Screening) {
        if let Some(marks) = screening.marks() {
            guardrail::add(&mut self.running.facts.guardrails, marks);
        }
    }

    /// The services have looked at the answer.
    fn checked(&mut self, checked: Checked, class: OutcomeClass) {
        let (mut screening, marks, new) = checked;
        guardrail::add(&mut self.running.facts.guardrails, &marks);
        match new {
            Ok(new) => {
                screening.put(&new, &mut self.pending);
                self.settle(class);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// A guardrail ends the answer: what it said until then is charged, and the caller is told why.
    fn refuse(&mut self, refusal: &Refusal) {
        if let Some(screening) = self.screening.take() {
            self.note(&screening);
        }
        (self.ended, self.settled, self.body) = (true, true, None);
        let rejection = self.running.refuse(refusal, &mut self.bridge);
        self.pending.push_back(self.bridge.error_event(&rejection.report));
        self.settling = Some(Box::pin(self.running.settled()));
    }

    fn settle(&mut self, class: OutcomeClass) {
        self.settled = true;
        let error = (class != OutcomeClass::Ok).then_some(match class {
            OutcomeClass::Timeout => "upstream_timeout",
            _ => "upstream_unavailable",
        });
        self.running.observe(class, Some(self.bridge.observed()), None);
        self.pending.iter().for_each(|bytes| self.running.keep_bytes(bytes));
        // They come too late for the headers; the record has them.
        self.running.note_losses(&self.bridge);
        self.running.finish(error);
        self.settling = Some(Box::pin(self.running.settled()));
    }
}

impl Stream for AnswerStream {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some((checking, class)) = &mut this.checking {
                let class = *class;
                match checking.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(checked) => {
                        this.checking = None;
                        this.checked(checked, class);
                    }
                }
            }
            if let Some(settling) = &mut this.settling {
                if settling.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.settling = None;
            }
            if this.flushing || this.body.is_none() {
                match this.pending.pop_front() {
                    Some(bytes) => {
                        if !this.settled {
                            this.running.keep_bytes(&bytes);
                        }
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None if this.body.is_none() => return Poll::Ready(None),
                    None => (this.flushing, this.idle_turns, this.pending_bytes) = (false, 0, 0),
                }
            }
            // A body that always has more is never waited for, and yet has an end: looked at once for each handing on.
            if this.pending.is_empty()
                && this.deadline.as_ref().is_some_and(|deadline| deadline.deadline() <= Instant::now())
            {
                this.end(Some(&UpstreamFault::Timeout { sent: true }));
                this.body = None;
                continue;
            }
            let Some(body) = this.body.as_mut() else { continue };
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    this.idle_turns = 0;
                    this.take(chunk);
                    this.flushing = this.pending_bytes >= GATHER_BYTES;
                }
                Poll::Ready(Some(Err(fault))) => {
                    this.end(Some(&fault));
                    this.body = None;
                }
                Poll::Ready(None) => {
                    this.end(None);
                    this.body = None;
                }
                Poll::Pending if this.pending.is_empty() => {
                    if this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
                        this.end(Some(&UpstreamFault::Timeout { sent: true }));
                        this.body = None;
                        continue;
                    }
                    return Poll::Pending;
                }
                // Through a proxy, the connection's own task hands pieces over one by one. Letting it run once more costs
                // far less than a write for each piece: what arrived in one read then leaves in one write.
                Poll::Pending if this.idle_turns == 0 => {
                    this.idle_turns = 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => this.flushing = true,
            }
        }
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if !self.settled {
            self.bridge.finish(End::ClientGone, &mut |_| {});
            self.running.observe(OutcomeClass::ClientGone, Some(self.bridge.observed()), None);
            self.running.note_losses(&self.bridge);
            self.running.finish(Some("cancelled"));
        }
    }
}
