//! Why would this call go where? The same decision, without reserving or sending.

use std::sync::Arc;

use super::admission::Admission;
use super::{BoundCaller, Engine, ceiling};
use crate::call::Call;
use crate::decision::{Denial, Exclusion, Explanation, LimitHit, Reason};
use crate::ids::ChannelId;
use crate::ledger::LimitState;
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
}

impl Engine {
    /// Runs the decision on this call without reserving or sending anything.
    pub fn explain(&self, call: Call, caller: &Arc<BoundCaller>, now: Timestamp, seed: u64) -> Explained {
        let mut admission = match self.admit(call, caller, now, seed) {
            Ok(admission) => admission,
            Err(denied) => {
                return Explained {
                    order: Vec::new(),
                    denial: Some(denied.denial),
                    explanation: denied.explanation,
                };
            }
        };
        let denial = self.probe(&mut admission, now);
        let order = if denial.is_some() { Vec::new() } else { admission.order() };
        Explained { order, denial, explanation: admission.explanation }
    }

    /// Asks every limit for each candidate in turn, as an attempt would, until one would be granted.
    fn probe(&self, admission: &mut Admission, now: Timestamp) -> Option<Denial> {
        let runtime = Arc::clone(&admission.runtime);
        let mut denial = None;
        for at in 0..admission.ranked().len() {
            let Some(candidate) = admission.ranked().get(at).map(|r| r.candidate) else { continue };
            let Some((channel, model)) = runtime.snapshot.resolve(candidate) else { continue };
            let Some(channel_runtime) = runtime.channels.get(candidate.channel as usize) else { continue };
            let first = ceiling::initial(&runtime, admission, model);
            let sizes = admission.sizes(model, first);
            let answer = self.ledger.lock().would_fit(&admission.ask(&sizes, &channel_runtime.limits), now);
            let (sizes, answer) = match answer {
                Ok(()) => (sizes, Ok(())),
                Err(refusal) => {
                    match first.and_then(|c| ceiling::clamp(&runtime, admission, model, c, &refusal)) {
                        Some(lower) => {
                            let sizes = admission.sizes(model, Some(lower));
                            admission.explanation.push(Reason::Ceiling {
                                asked: admission.call.max_output,
                                sent: lower.tokens,
                                why: lower.why,
                            });
                            (
                                sizes,
                                self.ledger
                                    .lock()
                                    .would_fit(&admission.ask(&sizes, &channel_runtime.limits), now),
                            )
                        }
                        None => (sizes, Err(refusal)),
                    }
                }
            };
            let caller = Arc::clone(&admission.caller);
            for bound in caller.limits.iter().chain(&channel_runtime.limits) {
                let state = self.ledger.lock().state(bound, now);
                let amounts =
                    if bound.link == super::CHANNEL_LINK { sizes.channel_bound } else { sizes.bound };
                let asked = amounts.of(state.limit.metric);
                admission.explanation.push(limit_reason(&state, asked));
            }
            match answer {
                Ok(()) => return None,
                Err(refusal) => {
                    let why =
                        if refusal.of_channel { Exclusion::ChannelLimit } else { Exclusion::Unaffordable };
                    admission.explanation.push(Reason::Excluded { channel: channel.id.clone(), why });
                    admission.take_out(at);
                    denial = Some(if refusal.of_channel {
                        Denial::NoChannel { retry_at: None }
                    } else {
                        Denial::Limit(LimitHit::of(&refusal.state, refusal.asked))
                    });
                }
            }
        }
        denial
    }
}

fn limit_reason(state: &LimitState, asked: i64) -> Reason {
    Reason::Limit {
        scope: state.kind,
        metric: state.limit.metric,
        window: state.limit.window,
        max: state.limit.max,
        used: state.settled.saturating_add(state.reserved).saturating_add(state.held),
        asked,
        ok: asked <= state.remaining(),
    }
}
