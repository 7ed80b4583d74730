//! Reading a journal back.

use std::collections::{BTreeMap, HashMap};

use super::attempt::{Ending, Fate, Tried, amendment_id, record_of};
use super::event::{CounterKey, Effect, Event, Hold};
use super::frame::{self, Read};
use super::{JournalId, MAGIC};
use crate::decision::OutcomeClass;
use crate::ids::CallId;
use crate::record::UsageRecord;
use crate::time::Timestamp;

/// So many gaps are told one by one.
const GAPS_MAX: usize = 1_000;

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
    carried: HashMap<(usize, i64), i64>,
    open: BTreeMap<u64, Reserved>,
    /// Open reservations whose numbers came again: only when salvaging.
    orphans: Vec<Reserved>,
    /// The attempts that have ended of calls, and amendments, that have no record yet.
    ended: HashMap<String, Ended>,
    /// Those of them that a later head didn't list any more, though no record had been met: only when salvaging.
    unlisted: HashMap<String, Ended>,
    /// Which reservations of a call became held before it had its record.
    held: HashMap<String, Vec<u64>>,
    events: u64,
    missing: u64,
    gaps: Vec<(u64, u64)>,
    nameless: u64,
    unnamed: u64,
}

/// The attempts of one record that is missing, and whether it is an amendment.
#[derive(Debug, Default)]
struct Ended {
    attempts: Vec<(Vec<u8>, Ending)>,
    amends: bool,
}

#[derive(Debug)]
struct Reserved {
    at: Timestamp,
    held: bool,
    call: String,
    holds: Vec<(Option<usize>, Hold)>,
    attempt: Vec<u8>,
    class: Option<OutcomeClass>,
    recorded: bool,
}

/// Why a journal can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The file isn't a segment.
    NotASegment,
    /// It is one of another version.
    OtherVersion,
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
    /// The attempt, if it is known.
    pub attempt: Option<Tried>,
    /// How its host saw it end, if it did.
    pub class: Option<OutcomeClass>,
}

/// What a journal said.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// Which journal; `None` when there was no segment.
    pub journal: Option<JournalId>,
    /// The number of the next event.
    pub next: u64,
    /// What was settled since the database was last written: counter, start of the window, amount.
    pub settled: Vec<(CounterKey, Timestamp, i64)>,
    /// Of that, what no usage record says: carried into a window, or set back.
    pub carried: Vec<(CounterKey, Timestamp, i64)>,
    /// The usage records of calls that were charged, or whose outcome nobody knows, and that have none: the process that
    /// made them ended first. Some of them may be stored, if an earlier start came that far. Marked
    /// [`INTERRUPTED`](super::INTERRUPTED), but for amendments.
    pub unrecorded: Vec<UsageRecord>,
    /// Reservations without a known outcome, oldest first.
    pub open: Vec<OpenReservation>,
    /// Events read.
    pub events: u64,
    /// Only when salvaging: events that are missing.
    pub missing: u64,
    /// Only when salvaging: from which number to which, both included; the first 1,000 such gaps.
    pub gaps: Vec<(u64, u64)>,
    /// Only when salvaging: amounts that were settled in a counter whose name is missing, and count nowhere.
    pub unnamed: u64,
    /// Only when salvaging: attempts that were charged and of which nothing else is known, so that their calls can't be
    /// recorded.
    pub nameless: u64,
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
            carried: HashMap::new(),
            ended: HashMap::new(),
            unlisted: HashMap::new(),
            held: HashMap::new(),
            orphans: Vec::new(),
            nameless: 0,
            gaps: Vec::new(),
            unnamed: 0,
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
        if self.salvage
            && let (Some(known), Some(found)) = (self.journal, segment_journal(bytes))
            && known != found
        {
            // What another journal settled is in another database.
            return Ok(SegmentEnd::Salvaged { bytes: used(bytes, 0) });
        }
        if self.salvage {
            // A number means what this segment says, also when its beginning is gone.
            self.cells.clear();
        }
        if !has_whole_head(bytes) {
            if self.salvage {
                let from = if frame::is_segment(bytes) { MAGIC.len() } else { 0 };
                return Ok(self.salvage_rest(bytes, from, record));
            }
            // Nothing is written behind a head before that is whole. And one that was never whole leaves no gap.
            return match has_more_than_a_head(bytes) {
                true if bytes.starts_with(&MAGIC[..6]) && !frame::is_segment(bytes) => {
                    Err(Flaw::OtherVersion)
                }
                true => Err(Flaw::NotASegment),
                false if could_become_a_segment(bytes) => Ok(SegmentEnd::Unborn),
                false => Err(Flaw::NotASegment),
            };
        }
        let mut at = MAGIC.len();
        loop {
            match frame::read(bytes, at) {
                Read::End => return Ok(SegmentEnd::Whole),
                Read::Frame(payload, next) => {
                    let Some((seq, event)) = Event::read(payload) else {
                        if self.salvage {
                            return Ok(self.salvage_rest(bytes, at, record));
                        }
                        return Err(Flaw::Unknown { at });
                    };
                    if self.check_order(seq, &event)? {
                        self.take(seq, event, record);
                    }
                    at = next;
                }
                Read::Bad if self.salvage => return Ok(self.salvage_rest(bytes, at, record)),
                Read::Bad => {
                    let expected = self.next.unwrap_or_default();
                    if was_durable(bytes, at, expected) {
                        return Err(Flaw::Damaged { at, event: expected });
                    }
                    return Ok(SegmentEnd::Torn { bytes: used(bytes, at) });
                }
            }
        }
    }

    /// What all segments said.
    pub fn finish(self) -> Recovered {
        let Self {
            keys,
            open,
            orphans,
            mut ended,
            unlisted,
            events,
            missing,
            gaps,
            nameless,
            unnamed,
            journal,
            ..
        } = self;
        let key = |at: usize| keys.get(at).cloned();
        let sums = |sums: HashMap<(usize, i64), i64>| {
            let mut sums: Vec<_> = sums
                .into_iter()
                .filter(|(_, amount)| *amount != 0)
                .filter_map(|((at, start), amount)| Some((key(at)?, Timestamp::from_ms(start), amount)))
                .collect();
            sums.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            sums
        };
        let mut unheard: HashMap<String, (bool, Vec<(Tried, Fate)>)> = HashMap::new();
        ended.extend(unlisted);
        for (call, Ended { attempts, amends }) in ended {
            let read = |(bytes, ending): (Vec<u8>, _)| Some((Tried::read(&bytes)?, Fate::Ended(ending)));
            unheard.insert(call, (amends, attempts.into_iter().filter_map(read).collect()));
        }
        let mut still_open = Vec::with_capacity(open.len());
        for reserved in orphans.into_iter().chain(open.into_values()) {
            let attempt = Tried::read(&reserved.attempt);
            if let Some(tried) = attempt.as_ref().filter(|_| !reserved.recorded) {
                let fate = Fate::Held(reserved.at, reserved.class);
                unheard.entry(reserved.call.clone()).or_default().1.push((tried.clone(), fate));
            }
            let holds = reserved.holds.iter().filter_map(|(at, hold)| {
                Some((key((*at)?)?, Timestamp::from_ms(hold.start), hold.amount, hold.of_channel))
            });
            still_open.push(OpenReservation {
                at: reserved.at,
                held: reserved.held,
                holds: holds.collect(),
                call: reserved.call,
                attempt,
                class: reserved.class,
            });
        }
        // A database that knows more than the journal has its last word: numbers are never used twice.
        let next = self.next.unwrap_or_default().max(self.from);
        Recovered {
            journal,
            next,
            settled: sums(self.settled),
            carried: sums(self.carried),
            unrecorded: records(unheard),
            open: still_open,
            events,
            missing,
            gaps,
            unnamed,
            nameless,
        }
    }

    /// Whether it is the next event; while salvaging, at least no earlier one.
    fn check_order(&mut self, seq: u64, event: &Event<'_>) -> Result<bool, Flaw> {
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
            if seq < expected {
                // It is in two places, and was taken at the first.
                return Ok(false);
            }
            self.missing = self.missing.saturating_add(seq - expected);
            // BOUND: what an operator can still read.
            if self.gaps.len() < GAPS_MAX {
                self.gaps.push((expected, seq - 1));
            }
        }
        self.next = Some(seq.max(expected).saturating_add(1));
        Ok(true)
    }

    fn take(&mut self, seq: u64, event: Event<'_>, record: &mut dyn FnMut(&[u8])) {
        self.events += 1;
        let is_new = seq >= self.from;
        match event {
            Event::Segment { .. } => {
                self.cells.clear();
                self.open.clear();
                // The head lists those again that are still without; a lost record is why another is not among them.
                let ended = self.ended.drain();
                if self.salvage {
                    self.unlisted.extend(ended);
                }
                self.held.clear();
            }
            Event::Counter { cell, key } => {
                let keys = &mut self.keys;
                let at = *self.index.entry(key).or_insert_with_key(|key| {
                    keys.push(key.clone());
                    keys.len() - 1
                });
                self.cells.insert(cell, at);
            }
            Event::Open { id, at, held, call, holds, attempt, class, recorded } => {
                self.reserve(id, at, (call, attempt), &holds);
                if let Some(reserved) = self.open.get_mut(&id) {
                    (reserved.held, reserved.class, reserved.recorded) = (held, class, recorded);
                }
                if held && !recorded {
                    self.held.entry(call.to_owned()).or_default().push(id);
                }
            }
            Event::Ended { call, attempt, ending, amends } => {
                self.unlisted.remove(call);
                self.wait_for_record(call.to_owned(), attempt.to_vec(), ending, amends);
            }
            Event::Ready | Event::Durable { .. } => {}
            Event::Reserve { id, at, call, holds, settled, attempt } => {
                self.reserve(id, at, (call, attempt), &holds);
                self.settle(is_new, &settled);
            }
            Event::Settle { id, settled, ending } => {
                self.end(id, ending);
                self.settle(is_new, &settled);
            }
            Event::Shrink { id, kept } => {
                if let Some(reserved) = self.open.get_mut(&id) {
                    reserved.holds.iter_mut().zip(kept).for_each(|((_, hold), kept)| hold.amount = kept);
                }
            }
            Event::Hold { id, at, class } => {
                if let Some(reserved) = self.open.get_mut(&id) {
                    (reserved.held, reserved.at, reserved.class) = (true, at, class);
                    self.held.entry(reserved.call.clone()).or_default().push(id);
                }
            }
            Event::Adjust { settled } => self.settle(is_new, &settled),
            Event::Carry { settled } => {
                self.settle(is_new, &settled);
                self.sum(is_new, &settled, |this| &mut this.carried);
            }
            Event::Record { call, json } => {
                match call {
                    "" => self.recorded(&call_of(json)),
                    call => self.recorded(call),
                }
                if is_new {
                    record(json);
                }
            }
        }
    }

    fn reserve(&mut self, id: u64, at: Timestamp, (call, attempt): (&str, &[u8]), holds: &[Hold]) {
        let cells = &self.cells;
        // A counter that wasn't named is only met when salvaging; its place stays, for what shrinks goes by places.
        let holds = holds.iter().map(|hold| (cells.get(&hold.cell).copied(), *hold)).collect::<Vec<_>>();
        let attempt = attempt.to_vec();
        let reserved =
            Reserved { at, held: false, call: call.to_owned(), holds, attempt, class: None, recorded: false };
        let replaced = self.open.insert(id, reserved);
        // Numbers are used again by another process, whose first event is missing then.
        if let Some(other) = replaced.filter(|it| self.salvage && it.call != call) {
            self.orphans.push(other);
        }
    }

    /// A reservation ended: its attempt waits for its call's record; of a call that has it, for the amendment.
    fn end(&mut self, id: u64, ending: Option<Ending>) {
        let reserved = self.open.remove(&id);
        let Some(ending) = ending else { return };
        match reserved.filter(|it| !it.attempt.is_empty()) {
            Some(it) if it.recorded => {
                if let Some(tried) = Tried::read(&it.attempt) {
                    let amendment = amendment_id(&CallId::from(it.call), tried.number).to_string();
                    self.wait_for_record(amendment, it.attempt, ending, true);
                }
            }
            Some(it) => self.wait_for_record(it.call, it.attempt, ending, false),
            None => self.nameless += u64::from(ending.spend != 0 || ending.usage.total_tokens() > 0),
        }
    }

    fn wait_for_record(&mut self, id: String, attempt: Vec<u8>, ending: Ending, amends: bool) {
        let ended = self.ended.entry(id).or_default();
        ended.attempts.push((attempt, ending));
        ended.amends = amends;
    }

    /// A call, or an amendment, has its record.
    fn recorded(&mut self, call: &str) {
        self.ended.remove(call);
        self.unlisted.remove(call);
        for id in self.held.remove(call).into_iter().flatten() {
            if let Some(reserved) = self.open.get_mut(&id) {
                reserved.recorded = true;
            }
        }
    }

    fn settle(&mut self, is_new: bool, settled: &[Effect]) {
        self.sum(is_new, settled, |this| &mut this.settled);
    }

    fn sum(
        &mut self,
        is_new: bool,
        settled: &[Effect],
        sums: fn(&mut Self) -> &mut HashMap<(usize, i64), i64>,
    ) {
        if !is_new {
            return;
        }
        for effect in settled {
            let Some(cell) = self.cells.get(&effect.cell).copied() else {
                self.unnamed += 1;
                continue;
            };
            let sum = sums(self).entry((cell, effect.start)).or_default();
            *sum = sum.saturating_add(effect.amount);
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
                if self.check_order(seq, &event).unwrap_or_default() {
                    self.take(seq, event, record);
                }
            } else {
                lost += frame::HEAD + payload.len();
            }
        }
        SegmentEnd::Salvaged { bytes: lost + used(bytes, at) }
    }
}

/// The records of calls, by their ids, and of amendments, whose ids say what they amend.
fn records(unheard: HashMap<String, (bool, Vec<(Tried, Fate)>)>) -> Vec<UsageRecord> {
    let mut records: Vec<UsageRecord> = unheard
        .into_iter()
        .filter_map(|(id, (is_amendment, attempts))| {
            let amends = id.rsplit_once('~').filter(|_| is_amendment).map(|(call, _)| CallId::from(call));
            record_of(CallId::from(id.as_str()), amends, attempts)
        })
        .collect();
    records.sort_by(|a, b| (a.started_at, &a.call).cmp(&(b.started_at, &b.call)));
    records
}

/// Which call a record is of that doesn't say so beside it.
fn call_of(json: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        call: String,
    }
    serde_json::from_slice::<Named>(json).map(|named| named.call).unwrap_or_default()
}

/// How many bytes there are from `at` on, up to the last that isn't zero.
fn used(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn has_whole_head(bytes: &[u8]) -> bool {
    if !frame::is_segment(bytes) {
        return false;
    }
    let mut at = MAGIC.len();
    // BOUND: the segment's frames.
    while let Read::Frame(payload, next) = frame::read(bytes, at) {
        match Event::read(payload) {
            Some((_, Event::Ready)) => return true,
            Some((
                _,
                Event::Segment { .. } | Event::Counter { .. } | Event::Open { .. } | Event::Ended { .. },
            )) => at = next,
            _ => return false,
        }
    }
    false
}

/// Whether it begins as one whose making was cut off: what wasn't written is zero.
fn could_become_a_segment(bytes: &[u8]) -> bool {
    bytes.iter().zip(&MAGIC[..6]).all(|(found, meant)| *found == 0 || found == meant)
}

/// Whether there is anything but what a head is made of, wherever it stands.
fn has_more_than_a_head(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some((found, payload)) = frame::find(bytes, at) {
        match Event::read(payload) {
            Some((
                _,
                Event::Segment { .. }
                | Event::Counter { .. }
                | Event::Open { .. }
                | Event::Ended { .. }
                | Event::Ready,
            )) => {}
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
    let Read::Frame(payload, _) =
        frame::read(Some(bytes).filter(|bytes| frame::is_segment(bytes))?, MAGIC.len())
    else {
        return None;
    };
    match Event::read(payload)? {
        (_, Event::Segment { journal, .. }) => Some(journal),
        _ => None,
    }
}
