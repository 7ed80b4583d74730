//! The ledger's own log: events as they happen, gathered until the host takes them.

use super::attempt::Ending;
use super::event::{Effect, Event, Hold, put_reserve_event, put_settle_event};
use super::{CounterKey, JournalId, MAGIC};
use crate::decision::OutcomeClass;
use crate::time::Timestamp;

/// Events that wait to be written, and the number of the next.
#[derive(Debug)]
pub struct Log {
    journal: JournalId,
    // BOUND: the host takes it with every reservation and settlement, and admits nothing while it can't.
    out: Vec<u8>,
    next: u64,
    /// Counts segments, so that a counter knows whether it has been named in this one. Never 0.
    segment: u32,
    /// The last `Durable` mark that was written.
    marked: u64,
    /// Of the event that is being made.
    effects: Vec<Effect>,
    holds: Vec<Hold>,
}

impl Log {
    /// A log whose first event has the number `next`. A head must be written first.
    pub(crate) fn new(journal: JournalId, next: u64) -> Self {
        Self { journal, out: Vec::new(), next, segment: 0, marked: 0, effects: Vec::new(), holds: Vec::new() }
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Begins a segment: every counter must be named anew. The head is whole after [`Self::ready`].
    pub(crate) fn begin(&mut self, at: Timestamp) {
        self.segment = self.segment.wrapping_add(1).max(1);
        self.out.extend_from_slice(&MAGIC);
        self.push(&Event::Segment { journal: self.journal, at });
    }

    /// The head is whole.
    pub(crate) fn ready(&mut self) {
        self.push(&Event::Ready);
    }

    /// Names a counter if this segment doesn't know it. `named_in` is the counter's own note of that.
    #[inline]
    pub(crate) fn name(&mut self, cell: u32, named_in: &mut u32, key: impl FnOnce() -> CounterKey) {
        if *named_in != self.segment {
            *named_in = self.segment;
            self.push(&Event::Counter { cell, key: key() });
        }
    }

    /// Notes an effect of the event that is being made, or of the next.
    #[inline]
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Notes what the reservation that is being made has.
    #[inline]
    pub(crate) fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// Writes a reservation, with the holds and effects noted.
    pub(crate) fn reserve(&mut self, id: u64, at: Timestamp, call: &str, attempt: &[u8]) {
        put_reserve_event(&mut self.out, self.next, (id, at, call), &self.holds, &self.effects, attempt);
        self.next += 1;
        self.holds.clear();
        self.effects.clear();
    }

    /// Writes the end of a reservation, with the effects noted.
    pub(crate) fn settle(&mut self, id: u64, ending: Option<&Ending>) {
        put_settle_event(&mut self.out, self.next, id, &self.effects, ending);
        self.next += 1;
        self.effects.clear();
    }

    /// Writes a reservation into a head, with the holds noted.
    pub(crate) fn open(
        &mut self,
        (id, at): (u64, Timestamp),
        held: bool,
        (call, attempt): (&str, &[u8]),
        class: Option<OutcomeClass>,
        recorded: bool,
    ) {
        let holds = std::mem::take(&mut self.holds);
        self.push(&Event::Open { id, at, held, call, holds, attempt, class, recorded });
    }

    /// Writes an attempt that has ended into a head.
    pub(crate) fn ended(&mut self, call: &str, attempt: &[u8], ending: Ending, amends: bool) {
        self.push(&Event::Ended { call, attempt, ending, amends });
    }

    /// Writes that a reservation has less.
    pub(crate) fn shrink(&mut self, id: u64, kept: Vec<i64>) {
        self.push(&Event::Shrink { id, kept });
    }

    /// Writes that a reservation is held.
    pub(crate) fn held(&mut self, id: u64, at: Timestamp, class: Option<OutcomeClass>) {
        self.push(&Event::Hold { id, at, class });
    }

    /// Writes a usage record.
    pub(crate) fn record(&mut self, call: &str, json: &[u8]) {
        self.push(&Event::Record { call, json });
    }

    /// Writes what was settled in a counter and no usage record says.
    pub(crate) fn carry(&mut self, settled: Vec<Effect>) {
        self.push(&Event::Carry { settled });
    }

    /// Writes the effects that belong to no reservation, if there are any.
    pub(crate) fn adjust(&mut self) {
        if !self.effects.is_empty() {
            let settled = std::mem::take(&mut self.effects);
            self.push(&Event::Adjust { settled });
        }
    }

    /// Appends what waits to `out`, and says the number of the next event. `durable` is the number before which
    /// everything is known to have reached the disk; it is noted once in a while, for those who judge damage later.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>, durable: u64) -> u64 {
        self.adjust();
        if durable > self.marked && !self.out.is_empty() {
            self.marked = durable;
            self.push(&Event::Durable { before: durable });
        }
        if out.is_empty() {
            std::mem::swap(out, &mut self.out);
        } else {
            out.append(&mut self.out);
        }
        self.next
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len()
    }

    fn push(&mut self, event: &Event<'_>) {
        event.put(self.next, &mut self.out);
        self.next += 1;
    }
}
