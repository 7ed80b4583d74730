//! The calls under way in one host, by id and by the time at which they must be over.

use std::collections::{BTreeSet, HashMap};

use sluicegate_core::engine::{Admission, Attempt};
use sluicegate_core::guardrail::GuardrailMarks;
use sluicegate_core::{CallId, Error, ErrorKind, Result, Timestamp};
use sluicegate_wire::Scanned;

use crate::guardrail::Looked;

/// Calls under way in one host, at most.
const CALLS_MAX: usize = 100_000;

/// A call between two requests.
pub(super) struct OpenCall {
    pub(super) admission: Box<Admission>,
    /// The request's body, when the decision was asked with one.
    pub(super) scanned: Option<Scanned>,
    /// What was handed out and isn't reported yet.
    pub(super) attempt: Option<Box<Attempt>>,
    /// The last upstream's error.
    pub(super) last: Option<Error>,
    /// When the call must be over.
    pub(super) deadline: Timestamp,
    /// What guardrails made of it, when there are any.
    pub(super) watched: Option<OpenWatch>,
    /// What the translation for the attempt lost.
    pub(super) losses: Vec<String>,
}

/// What guardrails made of a request.
pub(super) struct OpenWatch {
    pub(super) looked: Box<Looked>,
    pub(super) marks: GuardrailMarks,
}

#[derive(Default)]
pub(super) struct Calls {
    by_id: HashMap<CallId, OpenCall>,
    by_deadline: BTreeSet<(Timestamp, CallId)>,
}

impl Calls {
    /// Keeps a call; gives it back when there are too many.
    pub(super) fn keep(&mut self, id: CallId, call: OpenCall) -> std::result::Result<(), Box<OpenCall>> {
        // BOUND: hosts that never report.
        if self.by_id.len() >= CALLS_MAX {
            return Err(Box::new(call));
        }
        self.by_deadline.insert((call.deadline, id.clone()));
        self.by_id.insert(id, call);
        Ok(())
    }

    /// Takes a call out.
    pub(super) fn take(&mut self, call: &str) -> Result<(CallId, OpenCall)> {
        let Some((id, open)) = self.by_id.remove_entry(call) else {
            let message =
                format!("no call `{call}` is under way here: it is over, or past its deadline, or never was");
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        self.by_deadline.remove(&(open.deadline, id.clone()));
        Ok((id, open))
    }

    /// Takes out what is past its deadline.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Vec<OpenCall> {
        let mut overdue = Vec::new();
        while let Some((_, id)) = self.by_deadline.first().filter(|(deadline, _)| now > *deadline).cloned() {
            self.by_deadline.pop_first();
            overdue.extend(self.by_id.remove(&id));
        }
        overdue
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<OpenCall> {
        self.by_deadline.clear();
        self.by_id.drain().map(|(_, call)| call).collect()
    }
}
