//! How the limits of a call stand, for scripts that ask; what they were told is noted, so that a replay tells them the same.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::admission::Admission;
use super::candidate::Ranked;
use crate::decision::Reason;
use crate::ledger::{BoundLimit, Ledger};
use crate::ports::{Hook, LimitStanding, LimitsView};
use crate::time::Timestamp;

/// What scripts were told of limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Of the caller's.
    pub(super) caller: Option<Vec<LimitStanding>>,
    /// Of each candidate's fullest, in parts per million.
    pub(super) candidates: Option<Vec<Option<u64>>>,
}

/// How limits stand. Looked up when the first script asks, and the same for those after it.
pub(super) struct Limits<'a> {
    admission: &'a Admission,
    now: Timestamp,
    told: RefCell<Told>,
}

impl<'a> Limits<'a> {
    /// Of this call; `known` is what a record says of them.
    pub(super) fn of(admission: &'a Admission, known: Told, now: Timestamp) -> Self {
        Self { admission, now, told: RefCell::new(known) }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// What scripts were told, to be noted; `None` when none of them asked.
    pub(super) fn noted(self, hook: Hook) -> Option<Reason> {
        let Told { caller, candidates } = self.told.into_inner();
        let asked = caller.is_some() || candidates.is_some();
        asked.then_some(Reason::Standing { hook, caller, candidates })
    }

    /// Those of these limits that are for the call's model. The lock is the caller's to take, once for all.
    fn stand(&self, ledger: &mut Ledger, limits: &[BoundLimit]) -> SmallVec<[LimitStanding; 4]> {
        let asked_as = &self.admission.call.model;
        let model = self.admission.models.first().unwrap_or(asked_as);
        let of_model = limits.iter().filter(|bound| bound.is_for(model.as_str(), asked_as.as_str()));
        of_model
            .map(|bound| {
                let state = ledger.state(bound, self.now);
                LimitStanding {
                    scope: state.kind,
                    metric: state.limit.metric,
                    window: state.limit.window,
                    max: state.limit.max,
                    used: state.settled.saturating_add(state.reserved).saturating_add(state.held),
                }
            })
            .collect()
    }
}

impl LimitsView for Limits<'_> {
    fn of_caller(&self) -> Vec<LimitStanding> {
        let Admission { runtime, caller, .. } = self.admission;
        let look = || self.stand(&mut runtime.ledger.lock(), &caller.limits).into_vec();
        self.told.borrow_mut().caller.get_or_insert_with(look).clone()
    }

    fn of_candidates(&self) -> Vec<Option<u64>> {
        let Admission { runtime, considered, .. } = self.admission;
        let look = || {
            let mut ledger = runtime.ledger.lock();
            let mut fullest = |r: &Ranked| {
                let limits = &runtime.channels.get(r.candidate.channel as usize)?.limits;
                self.stand(&mut ledger, limits).iter().map(LimitStanding::used_ppm).max()
            };
            considered.ranked.iter().map(&mut fullest).collect()
        };
        self.told.borrow_mut().candidates.get_or_insert_with(look).clone()
    }
}

impl Admission {
    /// What scripts were told of limits the next time that this hook was asked, if the record that is replayed tells, and
    /// nothing has changed on the counters since.
    pub(super) fn observed_standing(&mut self, hook: Hook) -> Told {
        let Some(observed) = self.observed.as_deref_mut() else { return Told::default() };
        let Some(Told { caller, candidates }) = observed.take_standing(hook) else { return Told::default() };
        let moved = observed.moved.lock();
        let stands = |limits: &[BoundLimit]| !limits.iter().any(|bound| moved.contains(&bound.cell));
        let channels = || {
            let of = |r: &Ranked| self.runtime.channels.get(r.candidate.channel as usize);
            self.considered.ranked.iter().filter_map(of)
        };
        let ranked = self.considered.ranked.len();
        Told {
            caller: caller.filter(|_| moved.is_empty() || stands(&self.caller.limits)),
            candidates: candidates.filter(|seen| {
                seen.len() == ranked && (moved.is_empty() || channels().all(|it| stands(&it.limits)))
            }),
        }
    }
}
