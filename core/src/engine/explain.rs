//! Why would this call go where? The same decision, without reserving or sending.

use std::sync::Arc;

use super::admission::{Admission, Denied, LazyText};
use super::attempt::{Answer, Fit};
use super::plan::{Failure, Step};
use super::{BoundCaller, Engine};
use crate::call::Call;
use crate::count::Tokenizer;
use crate::decision::{Denial, Explanation, LimitHit};
use crate::ids::ChannelId;
use crate::ledger::{Ask, Ledger};
use crate::limit::Metric;
use crate::ports::{NoText, PolicyHook, TextView};
use crate::time::Timestamp;

/// A decision that was only looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Where the call would go, in order; empty when it would be refused.
    pub order: Vec<ChannelId>,
    /// Why it would be refused.
    pub denial: Option<Denial>,
    /// Every reason, limits that pass among them.
    pub explanation: Explanation,
    /// Whether a strict spend limit of the end customer or of a tag would bind the call.
    pub strict_spend_by_name: bool,
}

impl Engine {
    /// Whether this call would be let in as things stand, scripts and all. Of its limits, those on the number of requests are looked at,
    /// and those on calls under way where nobody waits for others to end: what it would use isn't settled before guardrails have
    /// seen it.
    ///
    /// # Errors
    /// As [`Engine::admit`], and for such a limit that is used up.
    pub fn would_admit(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
        text: &dyn Fn() -> Arc<dyn TextView>,
    ) -> Result<(), Box<Denied>> {
        let text = LazyText::new(text);
        let mut admission = self.decide(self.runtime(), call, caller, (now, seed), &text)?;
        let own = admission.caller.limits.iter().chain(&admission.named.limits);
        let waits = admission.runtime.snapshot.declared.quota.reserve_wait_ms > 0
            || own.into_iter().any(|it| it.limit.reserve_wait_ms.is_some_and(|ms| ms > 0));
        let is_settled = |hit: &LimitHit| match hit.metric {
            Metric::Requests => true,
            Metric::Concurrency => !waits,
            _ => false,
        };
        match self.look(&mut admission, now, None) {
            Some(denial @ Denial::Limit(_)) if matches!(&denial, Denial::Limit(hit) if is_settled(hit)) => {
                Err(Box::new(Denied { denial, explanation: admission.explanation }))
            }
            _ => Ok(()),
        }
    }

    /// Runs the decision on this call without reserving or sending anything.
    pub fn explain(&self, call: Call, caller: &Arc<BoundCaller>, now: Timestamp, seed: u64) -> Explained {
        self.explain_with_text(call, caller, now, seed, &|| Arc::new(NoText))
    }

    /// The same, with the call's text for scripts that look at it; see [`Engine::admit_with_text`].
    pub fn explain_with_text(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
        text: &dyn Fn() -> Arc<dyn TextView>,
    ) -> Explained {
        self.explain_under(None, call, caller, (now, seed), text, None)
    }

    /// The same, and a prompt whose bytes don't fit is counted, as [`Next::Count`](super::Next::Count) has it, by `count`. With
    /// `scripts` the call is decided by them in the place of those in force, and nobody is told of their failures.
    pub fn explain_under(
        &self,
        scripts: Option<&Arc<dyn PolicyHook>>,
        call: Call,
        caller: &Arc<BoundCaller>,
        (now, seed): (Timestamp, u64),
        text: &dyn Fn() -> Arc<dyn TextView>,
        count: Option<&dyn Fn(Tokenizer) -> Option<u64>>,
    ) -> Explained {
        let text = LazyText::new(text);
        let runtime = match scripts {
            Some(scripts) => Arc::new(self.runtime().under(scripts)),
            None => self.runtime(),
        };
        let mut admission = match self.decide(runtime, call, caller, (now, seed), &text) {
            Ok(admission) => admission,
            Err(denied) => {
                return Explained {
                    order: Vec::new(),
                    denial: Some(denied.denial),
                    explanation: denied.explanation,
                    strict_spend_by_name: false,
                };
            }
        };
        if count.is_some() {
            admission.can_count();
        }
        let denial = self.look(&mut admission, now, count);
        let order = if denial.is_some() { Vec::new() } else { admission.order() };
        let strict_spend_by_name = admission.has_strict_spend_by_name();
        Explained { order, denial, explanation: admission.explanation, strict_spend_by_name }
    }

    /// Goes the way of [`Engine::next`] up to the first candidate that would be granted.
    fn look(
        &self,
        admission: &mut Admission,
        now: Timestamp,
        count: Option<&dyn Fn(Tokenizer) -> Option<u64>>,
    ) -> Option<Denial> {
        let look = |ledger: &mut Ledger, ask: &Ask<'_>| match ledger.would_fit(ask, now) {
            Ok(()) => Answer::Fits(()),
            Err(refusal) => Answer::Short(refusal),
        };
        // BOUND: as in `next`.
        loop {
            match admission.step(now) {
                Step::Candidate(at) => match self.fit(admission, at, now, true, look) {
                    Fit::Fits(fitting) => {
                        admission.sent_ceiling(at, fitting.ceiling);
                        return None;
                    }
                    Fit::Count(with) => admission.counted(with, count.and_then(|count| count(with))),
                    _ => {}
                },
                Step::Done(Failure::Denied(denial)) => return Some(denial),
                // INVARIANT: nothing was tried, so nothing failed and nothing is waited for.
                Step::Wait(_) | Step::Done(Failure::Upstream(_)) => {
                    return Some(Denial::NoChannel { retry_at: None });
                }
            }
        }
    }
}
