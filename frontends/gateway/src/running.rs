//! A call under way: it is finished exactly once, whatever happens to whoever drives it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sluicegate_core::call::Unit;
use sluicegate_core::engine::{Admission, Attempt, BoundCaller};
use sluicegate_core::record::told_losses;
use sluicegate_core::{
    Call, ErrorKind, Explanation, Format, Outcome, OutcomeClass, ScopeKind, ServiceTier, Timestamp, Usage,
    UsageRecord, UsageSource,
};
use sluicegate_wire::{Bridge, End, FaultClass, Observed, Prepared, Report, Shown};

use crate::answer::{Facts, Rejection, Remaining, Told};
use crate::gateway::Inner;
use crate::guardrail::{self, Refusal, Watch};
use crate::prepare::Ready;
use crate::response::Keep;
use crate::upstream::UpstreamFault;

/// Callers are told of so many limits of theirs, those of which the smallest share is left.
// BOUND: of headers, which proxies refuse when they are many.
const REMAINING_MAX: usize = 8;

/// An admitted call. Dropping it ends the call as one whose caller went away.
pub(crate) struct Running {
    pub(crate) inner: Arc<Inner>,
    admission: Option<Box<Admission>>,
    pub(crate) facts: Facts,
    /// The caller wants to know why it goes where it goes.
    pub(crate) explain: bool,
    /// The format of the endpoint of the attempt under way.
    target: Option<Format>,
    /// The attempt under way has been sent.
    sent: bool,
    /// The status that the attempt under way got.
    status: Option<u16>,
    /// The tier that the head of its answer says.
    told_tier: Option<ServiceTier>,
    first_byte_at: Option<Timestamp>,
    /// Something of a whole body has come, and its end hasn't.
    within_body: bool,
    /// The guardrails that look at the answer.
    pub(crate) watch: Option<Arc<Watch>>,
    /// The guardrail that refused the answer.
    refused: Option<Refusal>,
    /// What has come of an answer that is held back: all of it while services look at it.
    arrived: Option<Box<Observed>>,
    /// The id that the answer has at the upstream.
    answer: Option<Box<str>>,
    /// The caller wants the response kept.
    pub(crate) keep: Option<Box<Keep>>,
    /// What a response says of itself.
    pub(crate) shown: Option<Arc<Shown>>,
    /// What an answer that reports nothing is taken to have used, besides its input and what is counted of it.
    pub(crate) expected: Usage,
}

/// An answer whose id is longer, in bytes, isn't found by it.
const ANSWER_ID_MAX: usize = 128;

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) fn new(inner: Arc<Inner>, admission: Box<Admission>) -> Self {
        let facts = Facts { id: Some(admission.call().id.clone()), ..Facts::default() };
        inner.under_way.fetch_add(1, Ordering::AcqRel);
        Self {
            inner,
            admission: Some(admission),
            facts,
            explain: false,
            target: None,
            sent: false,
            status: None,
            told_tier: None,
            first_byte_at: None,
            within_body: false,
            watch: None,
            refused: None,
            arrived: None,
            answer: None,
            expected: Usage::default(),
            keep: None,
            shown: None,
        }
    }

    /// Bytes go to the caller that may be of a response that is to be kept.
    pub(crate) fn keep_bytes(&mut self, bytes: &Bytes) {
        if let Some(keep) = &mut self.keep {
            keep.push(bytes);
        }
    }

    pub(crate) fn admission(&mut self) -> Option<&mut Admission> {
        self.admission.as_deref_mut()
    }

    pub(crate) fn admitted(&self) -> Option<&Admission> {
        self.admission.as_deref()
    }

    pub(crate) fn call(&self) -> Option<&Call> {
        self.admission.as_deref().map(Admission::call)
    }

    /// An attempt begins: what the answer will say about it.
    pub(crate) fn begin(&mut self, attempt: &Attempt) {
        (self.sent, self.status, self.first_byte_at, self.arrived) = (false, None, None, None);
        (self.told_tier, self.within_body) = (None, false);
        self.target = Some(attempt.endpoint().format);
        self.facts.losses.clear();
        self.facts.attempts = attempt.number;
        self.facts.channel = Some(attempt.channel().name.clone());
        self.facts.upstream_model = Some(attempt.upstream_model.as_str().to_owned());
        self.facts.downgraded = attempt.downgraded.then(|| attempt.model.to_string());
        self.facts.unpriced = !attempt.priced;
        let asked = self.call().and_then(|call| call.max_output);
        self.facts.ceiling = attempt.ceiling.filter(|sent| Some(*sent) != asked);
    }

    /// Takes what the attempt under way sends, and notes what of the call it doesn't. What is sent is held beside what was asked for as
    /// long as the attempt takes, unless it is the very same.
    ///
    /// # Errors
    /// When work in the background would hold more than it may.
    pub(crate) fn take_ready(
        &mut self,
        ready: Ready,
        asked: &Bytes,
    ) -> Result<Prepared, (OutcomeClass, Box<Rejection>)> {
        self.facts.losses = ready.losses().collect();
        let sent = &ready.prepared.body;
        if let Some(keep) = self.keep.as_deref().filter(|_| sent.as_ptr() != asked.as_ptr()) {
            keep.sends(&self.inner, sent.len() as u64)
                .map_err(|error| (OutcomeClass::Inexpressible, Box::new(Rejection::new(error))))?;
        }
        Ok(ready.prepared)
    }

    /// From here on the upstream may have seen the request.
    pub(crate) fn mark_sent(&mut self) {
        self.sent = true;
    }

    pub(crate) fn mark_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// The head of the answer says at which tier it is served.
    pub(crate) fn mark_tier(&mut self, tier: Option<ServiceTier>) {
        self.told_tier = tier;
    }

    pub(crate) fn mark_content(&mut self) {
        if self.first_byte_at.is_none() {
            let now = self.inner.clock.now();
            self.first_byte_at = Some(now);
            if let Some(admission) = self.admission.as_deref_mut() {
                self.inner.engine.answers(admission, now);
            }
        }
    }

    /// Something of a whole body came, or its end. Blanks that keep a connection open are nothing of it.
    pub(crate) fn note_body(&mut self, chunk: Option<&[u8]>) {
        self.within_body =
            chunk.is_some_and(|chunk| self.within_body || !chunk.trim_ascii_start().is_empty());
    }

    /// A stream has said how much input it was: the rest of what was reserved for that is freed.
    pub(crate) fn note_input(&mut self, observed: &Observed) {
        if let Some(usage) = observed.usage.filter(|_| !observed.input_missing && !observed.usage_rejected)
            && let Some(admission) = self.admission.as_deref_mut()
        {
            self.inner.engine.input_known(admission, &usage, self.inner.clock.now());
        }
    }

    /// Whether a body with images has begun and not ended: they are made before it has anything of them, and a part of one can't
    /// be read.
    pub(crate) fn is_within_images(&self) -> bool {
        self.within_body && self.call().is_some_and(|call| call.format.unit() == Some(Unit::Image))
    }

    /// An answer, or its beginning, is held back until guardrails have seen it: should nobody wait for that, it is charged for what
    /// has come.
    pub(crate) fn note_arrived(&mut self, observed: &Observed) {
        self.arrived = Some(Box::new(observed.clone()));
    }

    /// Reports how the attempt under way ended.
    pub(crate) fn observe(
        &mut self,
        class: OutcomeClass,
        observed: Option<&Observed>,
        retry_after_ms: Option<u64>,
    ) {
        let left_images = self.is_within_images();
        let Some(admission) = self.admission.as_deref_mut() else { return };
        let observed = observed.filter(|it| !left_images || it.finished || it.first_content);
        if observed.is_some_and(|observed| observed.usage_rejected) {
            tracing::warn!(
                channel = self.facts.channel.as_deref().unwrap_or_default(),
                "an upstream reported usage that can't be right: what it sent was counted instead"
            );
        }
        // BOUND: of a record, whatever an upstream calls its answers.
        let id = observed.and_then(|observed| observed.response_id.as_deref());
        self.answer = id.filter(|id| (1..=ANSWER_ID_MAX).contains(&id.len())).map(Box::from);
        let (usage, source) = match observed {
            Some(observed) => observed.settlement(admission.input_estimate()),
            // An answer had begun that nobody read to its end: what it was asked is used up.
            None if self.status.is_some_and(|status| (200..300).contains(&status)) => {
                let input = admission.input_estimate();
                (Usage { input_uncached: input, ..Usage::default() }, UsageSource::Counted)
            }
            None => (Usage::default(), UsageSource::None),
        };
        let came = observed.map_or(left_images, |observed| observed.first_content);
        let expected = expected_of(&self.expected, admission.call(), came);
        let usage = with_expected(usage, source, &expected);
        // What is charged should the engine not believe the report.
        let counted = match observed.filter(|_| source == UsageSource::Reported) {
            Some(observed) => {
                let own = observed.counted(admission.input_estimate());
                let own = no_more_than(own, usage.output_tokens());
                with_expected(own, UsageSource::Counted, &expected)
            }
            None => usage,
        };
        // What was made up has used nothing.
        let (usage, source, counted) = match admission.call().mock {
            true => (Usage::default(), UsageSource::None, Usage::default()),
            false => (usage, source, counted),
        };
        let outcome = Outcome {
            class,
            status: self.status,
            sent: self.sent,
            retry_after_ms,
            reported: (source == UsageSource::Reported).then_some(usage),
            usage_rejected: observed.is_some_and(|o| o.usage_rejected),
            counted,
            first_byte_at: self.first_byte_at,
            served_variant: observed.and_then(|observed| observed.served_variant.clone()),
            served_tier: observed
                .and_then(|observed| observed.served_tier.as_deref())
                .and_then(ServiceTier::of_answer)
                .or(self.told_tier),
        };
        self.inner.engine.observe(admission, &outcome, self.inner.clock.now());
    }

    /// What the translation of the answer has lost so far, behind what that of the request did.
    pub(crate) fn note_losses(&mut self, bridge: &Bridge) {
        for loss in bridge.losses().iter().flatten().map(ToString::to_string) {
            if !self.facts.losses.contains(&loss) {
                self.facts.losses.push(loss);
            }
        }
    }

    /// Ends the call: what it cost goes into the facts, its record to the writer.
    pub(crate) fn finish(&mut self, error: Option<&str>) {
        let Some(admission) = self.admission.take() else { return };
        let now = self.inner.clock.now();
        self.facts.remaining = remaining(&self.inner, &admission, now);
        if self.explain {
            let told = told(&self.inner, admission.bound_caller(), admission.explanation(), now);
            self.facts.told = Some(told);
        }
        let mut record = self.inner.engine.finish(admission, error, now);
        record.guardrails.clone_from(&self.facts.guardrails);
        record.answer = self.answer.take();
        record.losses = told_losses(&self.facts.losses);
        log_losses(&record, self.target);
        if self.refused.is_some() {
            record.outcome = OutcomeClass::Denied;
        }
        self.facts.spend = (!self.facts.unpriced).then_some(record.spend);
        self.inner.records.push(record);
        self.inner.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// Ends the call because a guardrail refuses its answer, which is charged as far as it came: what the caller is told.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, bridge: &mut Bridge) -> Box<Rejection> {
        bridge.finish(End::ClientGone, &mut |_| {});
        let observed = bridge.observed();
        let whole = observed.finished && observed.error.is_none();
        // The channel did nothing wrong.
        self.observe(if whole { OutcomeClass::Ok } else { OutcomeClass::ClientGone }, Some(observed), None);
        self.note_losses(bridge);
        guardrail::note_refusal(&mut self.facts.guardrails, refusal);
        self.refused = Some(refusal.clone());
        self.finish(Some(ErrorKind::GuardrailDenied.as_str()));
        let mut rejection = refusal.rejection();
        rejection.facts = self.facts.clone();
        rejection
    }

    /// What the end of the answer to a finished call waits for: that what it settled is written, and a response that is to be
    /// kept.
    pub(crate) fn settled(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let settled = self.inner.records.settled(self.inner.in_company());
        let kept = self.keep.take().and_then(|keep| (*keep).done(&self.inner));
        async move {
            settled.await;
            // Whoever has the answer may go on from it at once.
            if let Some(kept) = kept {
                kept.await;
            }
        }
    }

    /// What is left of the caller's own limits, as of now.
    pub(crate) fn note_remaining(&mut self) {
        if let Some(admission) = self.admission.as_deref() {
            self.facts.remaining = remaining(&self.inner, admission, self.inner.clock.now());
        }
    }
}

impl Running {
    /// Why the call goes where it goes, as of now, if that was asked.
    pub(crate) fn note_told(&mut self) {
        if let Some(admission) = self.admission.as_deref().filter(|_| self.explain) {
            let now = self.inner.clock.now();
            self.facts.told = Some(told(&self.inner, admission.bound_caller(), admission.explanation(), now));
        }
    }
}

/// Tells the log what a call has lost on its way: where it stood, never what it said.
fn log_losses(record: &UsageRecord, target: Option<Format>) {
    if record.losses.is_empty() {
        return;
    }
    tracing::debug!(
        call = %record.call, from = record.format.as_str(), to = target.map(Format::as_str),
        lost = record.losses.join("; "), "a call lost something on its way"
    );
}

/// Why a call went where it went, with how the caller's limits stand.
pub(crate) fn told(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    explanation: &Explanation,
    now: Timestamp,
) -> Box<Told> {
    let mut ledger = inner.engine.ledger();
    let limits = caller.limits().iter().map(|bound| ledger.state(bound, now)).collect();
    Box::new(Told { caller: Arc::clone(caller), explanation: explanation.clone(), limits })
}

/// What an answer is taken to have used where it doesn't say: no images, where none came.
fn expected_of(expected: &Usage, call: &Call, came: bool) -> Usage {
    if call.format.unit() == Some(Unit::Image) && !came { Usage::default() } else { *expected }
}

/// What was counted, with what is billed of such a call besides. Units are billed by what was asked, and few say them.
fn with_expected(mut usage: Usage, source: UsageSource, expected: &Usage) -> Usage {
    if source != UsageSource::None && usage.units == 0 {
        usage.units = expected.units;
    }
    if source == UsageSource::Counted && usage.output_tokens() == 0 {
        usage.audio_out = expected.audio_out;
    }
    usage
}

/// A count of ours with no more output than was reported: media stay before text.
fn no_more_than(own: Usage, most: u64) -> Usage {
    let image_out = own.image_out.min(most);
    let audio_out = own.audio_out.min(most - image_out);
    Usage {
        image_out,
        audio_out,
        output_visible: own.output_visible.min(most - image_out - audio_out),
        ..own
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.admission.is_some() {
            let arrived = self.arrived.take();
            self.observe(OutcomeClass::ClientGone, arrived.as_deref(), None);
            self.finish(Some("cancelled"));
        }
    }
}

fn remaining(inner: &Inner, admission: &Admission, now: Timestamp) -> Vec<Remaining> {
    let own = |kind| matches!(kind, ScopeKind::Key | ScopeKind::Membership | ScopeKind::User);
    let limits = admission.caller().limits();
    if !limits.iter().any(|bound| own(bound.kind)) {
        return Vec::new();
    }
    let mut ledger = inner.engine.ledger();
    let mut all: Vec<Remaining> = limits
        .iter()
        .filter(|bound| own(bound.kind))
        .map(|bound| {
            let state = ledger.state(bound, now);
            Remaining {
                name: Arc::clone(&bound.name),
                max: bound.limit.max,
                remaining: state.remaining(),
                resets_at_ms: Some(state.resets_at).filter(|at| *at != Timestamp::MAX).map(Timestamp::as_ms),
            }
        })
        .collect();
    drop(ledger);
    tightest(&mut all);
    all
}

/// Leaves the limits of which the smallest share is left, in their order.
fn tightest(all: &mut Vec<Remaining>) {
    if all.len() <= REMAINING_MAX {
        return;
    }
    let share = |it: &Remaining| i128::from(it.remaining.max(0)) * 1_000_000 / i128::from(it.max.max(1));
    let mut shares: Vec<(i128, usize)> = all.iter().map(share).zip(0..).collect();
    shares.sort_unstable();
    shares.truncate(REMAINING_MAX);
    let mut at = 0;
    all.retain(|_| {
        at += 1;
        shares.iter().any(|(_, kept)| *kept == at - 1)
    });
}

/// What an upstream's error means for routing.
pub(crate) fn class_of(class: FaultClass) -> OutcomeClass {
    match class {
        FaultClass::BadRequest | FaultClass::TooLarge => OutcomeClass::BadRequest,
        FaultClass::ContextLength => OutcomeClass::ContextTooLong,
        FaultClass::ContentPolicy => OutcomeClass::ContentPolicy,
        FaultClass::Auth => OutcomeClass::Auth,
        FaultClass::Quota => OutcomeClass::NoBalance,
        FaultClass::RateLimit => OutcomeClass::RateLimited,
        FaultClass::Overloaded => OutcomeClass::Overloaded,
        FaultClass::NotFound => OutcomeClass::NotFound,
        FaultClass::Timeout => OutcomeClass::Timeout,
        FaultClass::Server => OutcomeClass::ServerError,
    }
}

/// What a fault of the connection means for routing, and what the caller is told.
pub(crate) fn class_of_fault(fault: &UpstreamFault) -> (OutcomeClass, Report) {
    use sluicegate_core::ErrorKind::{UpstreamTimeout, UpstreamUnavailable};
    match fault {
        UpstreamFault::Unreachable(_) => (
            OutcomeClass::Unreachable,
            Report::new(UpstreamUnavailable, "the upstream can't be reached; try again in a moment"),
        ),
        UpstreamFault::Timeout { sent } => (
            if *sent { OutcomeClass::Timeout } else { OutcomeClass::Unreachable },
            Report::new(UpstreamTimeout, "the upstream didn't answer in time; try again, or ask for less"),
        ),
        UpstreamFault::Broken(_) => (
            OutcomeClass::Broken,
            Report::new(UpstreamUnavailable, "the upstream broke the connection off; try again"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_of_the_limits_that_are_closest() {
        let limit = |n: i64| Remaining {
            name: format!("key-requests-{n}").into(),
            max: 100,
            remaining: n,
            resets_at_ms: None,
        };
        let told = |left: &[i64]| {
            let mut all: Vec<_> = left.iter().copied().map(limit).collect();
            tightest(&mut all);
            all.iter().map(|it| it.remaining).collect::<Vec<_>>()
        };
        assert_eq!(told(&[9, 1, 5]), [9, 1, 5]);
        assert_eq!(
            told(&[90, 10, 80, 20, 70, 30, 60, 40, 50, -3]),
            [10, 80, 20, 70, 30, 60, 40, 50, -3][..].iter().copied().filter(|n| *n != 80).collect::<Vec<_>>()
        );
    }
}
