//! Waiting for open reservations: a call that nothing else is in the way of may stand in line instead of being refused.

use super::Engine;
use super::admission::Admission;
use super::plan::Failure;
use crate::decision::{Denial, Reason};
use crate::ledger::{CellId, Line, Refusal};
use crate::time::Timestamp;

/// Called with the counters that something was freed on.
pub(super) type Heard = Box<dyn Fn(&[CellId]) + Send + Sync>;

/// A call that may wait in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Where.
    pub line: Line,
    /// Until when.
    pub until: Timestamp,
}

/// How far a call has waited.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Whether its host lets it.
    is_patient: bool,
    /// The line at whose head it stands.
    pub(super) turn: Option<CellId>,
    /// Where the last refusals say that waiting may help.
    line: Option<Line>,
    /// Since when.
    since: Option<Timestamp>,
    /// The plan is to be made anew.
    begins_anew: bool,
    /// What the explanation held when the call was let in.
    pub(super) explained: usize,
}

impl Engine {
    /// Who is told, outside every lock, when an attempt's end has freed something on counters that calls wait for. The
    /// first one stays.
    pub fn on_freed(&self, heard: impl Fn(&[CellId]) + Send + Sync + 'static) {
        self.heard.get_or_init(|| Box::new(heard));
    }

    /// Tells of what was freed otherwise, such as by an operator's reset.
    pub fn tell_freed(&self) {
        let freed = self.ledger.lock().take_freed();
        self.tell(&freed);
    }

    #[inline]
    pub(super) fn tell(&self, freed: &[CellId]) {
        if !freed.is_empty()
            && let Some(heard) = self.heard.get()
        {
            heard(freed);
        }
    }
}

impl Admission {
    /// This host can wait: [`Engine::next`] may answer [`Queue`](super::Next::Queue). Without it such calls are refused.
    pub fn be_patient(&mut self) {
        self.waits.is_patient = true;
    }

    /// The call stands at the head of this line; the next [`Engine::next`] is its turn.
    pub fn take_turn(&mut self, cell: CellId) {
        self.waits.turn = Some(cell);
    }

    /// The call has waited since then: its plan is made anew.
    pub(super) fn waited(&mut self, since: Timestamp) {
        (self.waits.since, self.waits.begins_anew) = (Some(since), true);
    }

    /// The call waits no more: no room in the line, or no time.
    pub fn stop_waiting(&mut self) {
        self.waits.is_patient = false;
    }

    /// Notes whether waiting may help against a refusal.
    pub(super) fn note_line(&mut self, refusal: &Refusal) {
        if let Some(line) = refusal.line
            && self.waits.line.is_none()
            && self.last.is_none()
        {
            self.waits.line = Some(line);
        }
    }

    /// Whether the call, at its end without an attempt, waits instead.
    pub(super) fn queue(&mut self, failure: &Failure, now: Timestamp) -> Option<Queued> {
        let line = self.waits.line.filter(|_| self.waits.is_patient)?;
        if !matches!(failure, Failure::Denied(Denial::Limit(_))) || self.last.is_some() {
            return None;
        }
        let wait_ms = line.wait_ms.unwrap_or(self.runtime.snapshot.declared.quota.reserve_wait_ms);
        let since = *self.waits.since.get_or_insert(now);
        let until = since.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)).min(self.deadline());
        if now >= until {
            return None;
        }
        // Who leaves now wasn't refused.
        (self.denial, self.waits.begins_anew) = (None, true);
        Some(Queued { line, until })
    }

    /// Makes the plan anew after a wait: what was refused may fit now. Nothing has been tried yet.
    pub(super) fn begin_anew(&mut self, now: Timestamp) {
        if !std::mem::take(&mut self.waits.begins_anew) {
            return;
        }
        let Some(model) = self.models.first().cloned() else { return };
        // It says the same again, but for the end.
        self.explanation.truncate(self.waits.explained);
        let ms = self.waits.since.map_or(0, |since| now.since_ms(since).max(0));
        self.explanation.push(Reason::Waited { ms: u64::try_from(ms).unwrap_or(0) });
        self.models.clear();
        (self.denial, self.over, self.too_long, self.waiting) = (None, false, false, None);
        (self.downgrades, self.is_downgraded, self.waits.line) = (false, false, None);
        self.enter_model(&model, now);
        self.note_why_nothing(&model);
        self.rehearse();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, call, caller, channel, engine};
    use super::super::{Next, Outcome};
    use super::*;
    use crate::limit::{Limit, Metric, Window};
    use crate::snapshot::Declared;
    use crate::usage::Usage;

    fn world(limit: Limit) -> (Engine, std::sync::Arc<super::super::BoundCaller>) {
        let engine = engine(Declared { channels: vec![channel("c", "m", 0)], ..Declared::default() });
        let caller = caller(&engine, vec![limit], &[]);
        (engine, caller)
    }

    fn denial(next: Next) -> (bool, u64) {
        let Next::Done(Failure::Denied(denial)) = next else { panic!("{next:?}") };
        let error = denial.to_error(NOW);
        let crate::error::Retry::AfterMs(ms) = error.retry() else { panic!("{error:?}") };
        (error.kind() == crate::error::ErrorKind::RateLimited, ms)
    }

    #[test]
    fn only_open_reservations_are_worth_a_wait_and_only_to_the_patient() {
        let (engine, caller) = world(Limit::strict(Metric::OutputTokens, Window::Day, 100));
        let admit = |tokens| engine.admit(call("m", Some(tokens)), &caller, NOW, 7).unwrap();
        let mut first = admit(80);
        assert!(matches!(engine.next(&mut first, NOW), Next::Try(_)));
        let mut hasty = admit(50);
        assert_eq!(denial(engine.next(&mut hasty, NOW)), (true, 1_000), "but it is told to come back soon");
        let mut large = admit(101);
        large.be_patient();
        assert!(!denial(engine.next(&mut large, NOW)).0, "it never fits: that is a quota");
        let mut waits = admit(50);
        waits.be_patient();
        let Next::Queue(queued) = engine.next(&mut waits, NOW) else { panic!("it doesn't wait") };
        assert_eq!(queued.line.cell, caller.limits()[0].cell);
        assert_eq!(queued.until, NOW.plus_ms(2_000));
        let usage = Usage { output_visible: 60, ..Usage::default() };
        engine.observe(&mut first, &Outcome::answered(usage), NOW);
        // What is used doesn't come back.
        assert!(!denial(engine.next(&mut waits, NOW.plus_ms(100))).0);
        engine.finish(waits, None, NOW);
    }

    #[test]
    fn a_turn_gives_an_attempt_and_the_explanation_says_how_long_it_took() {
        let (engine, caller) = world(Limit::strict(Metric::Concurrency, Window::Lifetime, 1));
        let freed = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&freed);
        engine.on_freed(move |cells| {
            count.fetch_add(cells.len(), std::sync::atomic::Ordering::Relaxed);
        });
        let admit = || {
            let mut admission = engine.admit(call("m", Some(10)), &caller, NOW, 7).unwrap();
            admission.be_patient();
            admission
        };
        let (mut first, mut second, mut newcomer) = (admit(), admit(), admit());
        assert!(matches!(engine.next(&mut first, NOW), Next::Try(_)));
        let Next::Queue(queued) = engine.next(&mut second, NOW) else { panic!("it doesn't wait") };
        engine.ledger().join_line(queued.line.cell);
        engine.observe(&mut first, &Outcome::answered(Usage::default()), NOW);
        assert_eq!(freed.load(std::sync::atomic::Ordering::Relaxed), 1, "who waits is told");
        assert!(matches!(engine.next(&mut newcomer, NOW), Next::Queue(_)), "nobody overtakes");
        second.take_turn(queued.line.cell);
        assert!(matches!(engine.next(&mut second, NOW.plus_ms(700)), Next::Try(_)));
        engine.ledger().leave_line(queued.line.cell);
        assert!(second.explanation().reasons().contains(&Reason::Waited { ms: 700 }));
        // Nobody waits any more: nothing is noted.
        engine.observe(&mut second, &Outcome::answered(Usage::default()), NOW);
        assert_eq!(freed.load(std::sync::atomic::Ordering::Relaxed), 1);
        // Its time is over.
        let end = NOW.plus_ms(2_000);
        assert!(matches!(engine.next(&mut newcomer, end), Next::Try(_)), "it looks once more");
        for admission in [first, second, newcomer] {
            engine.finish(admission, None, end);
        }
    }
}
