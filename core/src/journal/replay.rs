//! Reading a journal back.

use std::collections::{BTreeMap, HashMap};

use super::event::{CounterKey, Effect, Event, Hold};
use super::frame::{self, Read};
use super::{JournalId, MAGIC};
use crate::time::Timestamp;

/// Takes the segments of a journal, oldest first, and gives what they say.
///
/// What was settled before the number that the database has is there already and isn't counted again; reservations are
/// followed through all segments, for each begins with those that are open.
#[derive(Debug)]
pub struct Replay {
    /// Effects and records from this number on aren't in the database.
    from: u64,
    /// Whether to read on behind damage.
    salvage: bool,
    journal: Option<JournalId>,
    next: Option<u64>,
    keys: Vec<CounterKey>,
    index: HashMap<CounterKey, usize>,
    /// Which of `keys` a counter's number means in this segment.
    cells: HashMap<u32, usize>,
    settled: HashMap<(usize, i64), i64>,
    open: BTreeMap<u64, Reserved>,
    events: u64,
    missing: u64,
}

#[derive(Debug)]
struct Reserved {
    at: Timestamp,
    held: bool,
    call: String,
    holds: Vec<(usize, Hold)>,
}

/// Why a journal can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The file isn't a segment, or one of another version.
    NotASegment,
    /// It belongs to another journal.
    Foreign(JournalId),
    /// Events are missing between segments, or between the database and the first of them.
    Gap {
        /// The number that was expected.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// What had reached the disk isn't there any more as it was written.
    Damaged {
        /// Where in the file.
        at: usize,
        /// The event that should be there.
        event: u64,
    },
    /// An event of a kind or shape that this version doesn't know.
    Unknown {
        /// Where in the file.
        at: usize,
    },
}

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentEnd {
    /// Everything in it was read.
    Whole,
    /// Its last bytes were being written when the process or the machine ended: so many of them are no event. Nobody
    /// was told that they were written.
    Torn {
        /// How many bytes, up to the last that isn't zero.
        bytes: usize,
    },
    /// It was being made: its head isn't whole, and it counts as not there.
    Unborn,
    /// Only when salvaging: some of it couldn't be read.
    Salvaged {
        /// Bytes that no event could be made of.
        bytes: usize,
    },
}

/// A reservation without a known outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReservation {
    /// When it was made, or became held.
    pub at: Timestamp,
    /// Whether it was held already.
    pub held: bool,
    /// The call.
    pub call: String,
    /// What it has: counter, start of the window, amount, and whether the channel's amounts settle it.
    pub holds: Vec<(CounterKey, Timestamp, i64, bool)>,
}

/// What a journal said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which journal; `None` when there was no segment.
    pub journal: Option<JournalId>,
    /// The number of the next event.
    pub next: u64,
    /// What was settled since the database was last written: counter, start of the window, amount.
    pub settled: Vec<(CounterKey, Timestamp, i64)>,
    /// Reservations without a known outcome, oldest first.
    pub open: Vec<OpenReservation>,
    /// Events read.
    pub events: u64,
    /// Only when salvaging: events that are missing.
    pub missing: u64,
}

impl Replay {
    /// Effects and records from the number `from` on aren't in the database yet.
    pub fn new(from: u64) -> Self {
        Self {
            from,
            salvage: false,
            journal: None,
            next: None,
            keys: Vec::new(),
            index: HashMap::new(),
            cells: HashMap::new(),
            settled: HashMap::new(),
            open: BTreeMap::new(),
            events: 0,
            missing: 0,
        }
    }

    /// Reads on behind damage and over gaps, and counts what is missing: for a repair.
    #[must_use]
    pub fn salvaging(mut self) -> Self {
        self.salvage = true;
        self
    }

    /// Takes the next segment. Usage records that aren't in the database are given to `record`, in order.
    ///
    /// # Errors
    /// A [`Flaw`]; then nothing that was read before should be used.
    pub fn segment(&mut self, bytes: &[u8], record: &mut dyn FnMut(&[u8])) -> Result<SegmentEnd, Flaw> {
        if !has_whole_head(bytes) {
            if self.salvage {
                return Ok(self.salvage_rest(bytes, 0, record));
            }
            // Nothing is written behind a head before that is whole. And one that was never whole leaves no gap.
            return if has_more_than_a_head(bytes) { Err(Flaw::NotASegment) } else { Ok(SegmentEnd::Unborn) };
        }
        let mut at = MAGIC.len();
        loop {
            match frame::read(bytes, at) {
                Read::End => return Ok(SegmentEnd::Whole),
                Read::Frame(payload, next) => {
                    let (seq, event) = Event::read(payload).ok_or(Flaw::Unknown { at })?;
                    self.check_order(seq, &event)?;
                    self.take(seq, event, record);
                    at = next;
                }
                Read::Bad if self.salvage => return Ok(self.salvage_rest(bytes, at, record)),
                Read::Bad => {
                    let expected = self.next.unwrap_or_default();
                    if was_durable(bytes, at, expected) {
                        return Err(Flaw::Damaged { at, event: expected });
                    }
                    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(at, |last| last + 1);
                    return Ok(SegmentEnd::Torn { bytes: used.saturating_sub(at) });
                }
            }
        }
    }

    /// What all segments said.
    pub fn finish(self) -> Recovered {
        let Self { keys, open, events, missing, journal, .. } = self;
        let key = |at: usize| keys.get(at).cloned();
        let mut settled: Vec<_> = self
            .settled
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .filter_map(|((at, start), amount)| Some((key(at)?, Timestamp::from_ms(start), amount)))
            .collect();
        settled.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let open = open
            .into_values()
            .map(|reserved| OpenReservation {
                at: reserved.at,
                held: reserved.held,
                call: reserved.call,
                holds: reserved
                    .holds
                    .iter()
                    .filter_map(|(at, hold)| {
                        Some((key(*at)?, Timestamp::from_ms(hold.start), hold.amount, hold.of_channel))
                    })
                    .collect(),
            })
            .collect();
        // A database that knows more than the journal has its last word: numbers are never used twice.
        let next = self.next.unwrap_or_default().max(self.from);
        Recovered { journal, next, settled, open, events, missing }
    }

    fn check_order(&mut self, seq: u64, event: &Event<'_>) -> Result<(), Flaw> {
        if let Event::Segment { journal, .. } = event {
            match self.journal {
                Some(known) if known != *journal && !self.salvage => return Err(Flaw::Foreign(*journal)),
                _ => self.journal = Some(*journal),
            }
        }
        let expected = self.next.unwrap_or(seq.min(self.from));
        // What is missing may be in the database: then nothing is.
        if seq != expected && !(expected..=self.from).contains(&seq) {
            if !self.salvage {
                return Err(Flaw::Gap { expected, found: seq });
            }
            self.missing = self.missing.saturating_add(seq.saturating_sub(expected));
        }
        self.next = Some(seq.max(expected).saturating_add(1));
        Ok(())
    }

    fn take(&mut self, seq: u64, event: Event<'_>, record: &mut dyn FnMut(&[u8])) {
        self.events += 1;
        let is_new = seq >= self.from;
        match event {
            Event::Segment { .. } => {
                self.cells.clear();
                self.open.clear();
            }
            Event::Counter { cell, key } => {
                let keys = &mut self.keys;
                let at = *self.index.entry(key).or_insert_with_key(|key| {
                    keys.push(key.clone());
                    keys.len() - 1
                });
                self.cells.insert(cell, at);
            }
            Event::Open { id, at, held, call, holds } => self.reserve(id, (at, held), call, &holds),
            Event::Ready | Event::Durable { .. } => {}
            Event::Reserve { id, at, call, holds, settled } => {
                self.reserve(id, (at, false), call, &holds);
                self.settle(is_new, &settled);
            }
            Event::Settle { id, settled } => {
                self.open.remove(&id);
                self.settle(is_new, &settled);
            }
            Event::Shrink { id, kept } => {
                if let Some(reserved) = self.open.get_mut(&id) {
                    reserved.holds.iter_mut().zip(kept).for_each(|((_, hold), kept)| hold.amount = kept);
                }
            }
            Event::Hold { id, at } => {
                if let Some(reserved) = self.open.get_mut(&id) {
                    (reserved.held, reserved.at) = (true, at);
                }
            }
            Event::Adjust { settled } => self.settle(is_new, &settled),
            Event::Record(json) if is_new => record(json),
            Event::Record(_) => {}
        }
    }

    fn reserve(&mut self, id: u64, (at, held): (Timestamp, bool), call: &str, holds: &[Hold]) {
        let cells = &self.cells;
        // A counter that wasn't named is only met when salvaging.
        let holds =
            holds.iter().filter_map(|hold| Some((*cells.get(&hold.cell)?, *hold))).collect::<Vec<_>>();
        self.open.insert(id, Reserved { at, held, call: call.to_owned(), holds });
    }

    fn settle(&mut self, is_new: bool, settled: &[Effect]) {
        if !is_new {
            return;
        }
        for effect in settled {
            if let Some(cell) = self.cells.get(&effect.cell) {
                let sum = self.settled.entry((*cell, effect.start)).or_default();
                *sum = sum.saturating_add(effect.amount);
            }
        }
    }

    /// Takes every event that can be found at or after `at`.
    fn salvage_rest(&mut self, bytes: &[u8], at: usize, record: &mut dyn FnMut(&[u8])) -> SegmentEnd {
        let (mut at, mut lost) = (at, 0usize);
        while let Some((found, payload)) = frame::find(bytes, at) {
            lost += found - at;
            at = found + frame::HEAD + payload.len();
            if let Some((seq, event)) = Event::read(payload) {
                // INVARIANT: while salvaging no order is refused.
                let _ = self.check_order(seq, &event);
                self.take(seq, event, record);
            } else {
                lost += frame::HEAD + payload.len();
            }
        }
        let rest = bytes.get(at..).unwrap_or_default();
        lost += rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        SegmentEnd::Salvaged { bytes: lost }
    }
}

fn has_whole_head(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&MAGIC) {
        return false;
    }
    let mut at = MAGIC.len();
    // BOUND: the segment's frames.
    while let Read::Frame(payload, next) = frame::read(bytes, at) {
        match Event::read(payload) {
            Some((_, Event::Ready)) => return true,
            Some((_, Event::Segment { .. } | Event::Counter { .. } | Event::Open { .. })) => at = next,
            _ => return false,
        }
    }
    false
}

/// Whether there is anything but what a head is made of, wherever it stands.
fn has_more_than_a_head(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some((found, payload)) = frame::find(bytes, at) {
        match Event::read(payload) {
            Some((_, Event::Segment { .. } | Event::Counter { .. } | Event::Open { .. } | Event::Ready)) => {}
            _ => return true,
        }
        at = found + frame::HEAD + payload.len();
    }
    false
}

/// Whether a later event says that the one expected at `at` had reached the disk.
fn was_durable(bytes: &[u8], at: usize, expected: u64) -> bool {
    let mut from = at + 1;
    while let Some((found, payload)) = frame::find(bytes, from) {
        if let Some((_, Event::Durable { before })) = Event::read(payload)
            && before > expected
        {
            return true;
        }
        from = found + frame::HEAD + payload.len();
    }
    false
}

/// Which journal a segment belongs to; `None` when it isn't one, or its first event can't be read.
pub fn segment_journal(bytes: &[u8]) -> Option<JournalId> {
    let Read::Frame(payload, _) = frame::read(bytes.strip_prefix(&MAGIC).map(|_| bytes)?, MAGIC.len()) else {
        return None;
    };
    match Event::read(payload)? {
        (_, Event::Segment { journal, .. }) => Some(journal),
        _ => None,
    }
}
