//! One counter: what is settled, reserved and held in its open window.

use jiff::tz::TimeZone;
use smallvec::SmallVec;

use super::ask::{BoundLimit, LimitState};
use super::ring::Ring;
use super::window::Span;
use crate::journal::CounterKey;
use crate::limit::{Metric, Mode, Window};
use crate::time::Timestamp;

/// Past windows that one counter remembers for late settlements.
const PAST_MAX: usize = 64;

/// Past windows that it remembers only because nobody has stored them yet.
const UNSTORED_MAX: usize = 2;

/// What is counted in one window. None but `carried` is ever negative, and the others together fit an `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) settled: i64,
    pub(super) reserved: i64,
    pub(super) held: i64,
    /// Of what is settled, what no usage record says: carried in from the window before; below zero when it was set back.
    pub(super) carried: i64,
}

impl Tally {
    /// All three: what counts against a limit.
    pub(super) fn used(&self) -> i64 {
        self.settled.saturating_add(self.reserved).saturating_add(self.held)
    }

    /// Whether somebody may still settle into it.
    pub(super) fn is_open(&self) -> bool {
        self.reserved > 0 || self.held > 0
    }

    /// Makes a change and returns what was really changed: no part falls below zero, and of an addition only as much is
    /// counted as the three can hold without overflow.
    #[inline]
    pub(super) fn apply(&mut self, change: Change) -> Change {
        let part = |now: i64, change: i64| now.checked_add(change).filter(|after| *after >= 0);
        let whole = || {
            let after = Tally {
                settled: part(self.settled, change.settled)?,
                reserved: part(self.reserved, change.reserved)?,
                held: part(self.held, change.held)?,
                carried: self.carried.checked_add(change.carried)?,
            };
            after.settled.checked_add(after.reserved)?.checked_add(after.held)?;
            Some(after)
        };
        match whole() {
            Some(after) => {
                *self = after;
                change
            }
            None => self.apply_cut(change),
        }
    }

    #[cold]
    fn apply_cut(&mut self, change: Change) -> Change {
        let before = *self;
        self.reserved = self.reserved.saturating_add(change.reserved.min(0)).max(0);
        self.held = self.held.saturating_add(change.held.min(0)).max(0);
        self.settled = self.settled.saturating_add(change.settled.min(0)).max(0);
        let mut free = i64::MAX - self.used();
        for (part, more) in [
            (&mut self.reserved, change.reserved),
            (&mut self.held, change.held),
            (&mut self.settled, change.settled),
        ] {
            let more = more.clamp(0, free);
            *part += more;
            free -= more;
        }
        let settled = self.settled - before.settled;
        let carried = if change.carried == 0 { 0 } else { settled };
        self.carried = self.carried.saturating_add(carried);
        Change { settled, reserved: self.reserved - before.reserved, held: self.held - before.held, carried }
    }
}

/// What is added to a tally.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) settled: i64,
    pub(super) reserved: i64,
    pub(super) held: i64,
    /// What is settled, if it is carried; else 0.
    pub(super) carried: i64,
}

impl Change {
    pub(super) fn carry(amount: i64) -> Self {
        Self { settled: amount, carried: amount, ..Self::default() }
    }

    pub(super) fn settle(amount: i64) -> Self {
        Self { settled: amount, ..Self::default() }
    }

    pub(super) fn reserve(amount: i64) -> Self {
        Self { reserved: amount, ..Self::default() }
    }

    /// Whether a stored balance must change too: what is reserved isn't stored.
    fn is_stored(&self) -> bool {
        self.settled != 0 || self.held != 0
    }
}

/// A window that has ended, kept while reservations made in it are open or until its balance is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) span: Span,
    pub(super) tally: Tally,
    /// Reservations made in it that haven't ended, of nothing too.
    claims: u32,
    pub(super) dirty: bool,
}

/// One counter.
#[derive(Debug)]
pub(super) struct Cell {
    /// The open window; of a rolling one, the bucket under way.
    pub(super) span: Span,
    /// What is in it; of a rolling one, in all its buckets.
    pub(super) open: Tally,
    /// Reservations made in the open window that haven't ended: one of nothing may settle something; of a
    /// rolling one, in any bucket.
    claims: u32,
    /// The least max of its strict limits; `i64::MAX` without one.
    pub(super) strict_max: i64,
    /// The least max of its corrected limits: what is settled above it is carried over. `i64::MAX` without one.
    carry_above: i64,
    /// How much of the open window this node may use; `i64::MAX` when it owns all of it.
    pub(super) escrow: i64,
    pub(super) metric: Metric,
    /// Whether settled or held of the open window have changed since they were last stored.
    pub(super) dirty: bool,
    /// Whether those of any window have.
    pub(super) unstored: bool,
    /// Whether the ledger's list of what is to be stored names this counter.
    pub(super) listed: bool,
    /// The buckets of a rolling window.
    pub(super) ring: Option<Box<Ring>>,
    /// Oldest first.
    // BOUND: PAST_MAX.
    pub(super) past: Vec<Past>,
    /// The limits last bound to it.
    pub(super) limits: SmallVec<[Box<BoundLimit>; 1]>,
    pub(super) key: Box<CounterKey>,
    /// What was settled since the log was told: start of the window or bucket, and how much.
    pub(super) effects: SmallVec<[(i64, i64); 1]>,
    /// The same of what was carried in or set back.
    pub(super) carries: Vec<(i64, i64)>,
    /// The segment of the log that names this counter.
    pub(super) named_in: u32,
    /// How many calls wait in line for it.
    pub(super) awaited: u32,
    /// Something that is listed as held names it that its windows don't count any more: it is never forgotten.
    pub(super) is_kept: bool,
}

impl Cell {
    pub(super) fn new(key: CounterKey) -> Self {
        let ring = match key.window {
            Window::RollingMs(length_ms) => Some(Box::new(Ring::new(length_ms))),
            _ => None,
        };
        Self {
            span: Span::NEVER,
            open: Tally::default(),
            claims: 0,
            strict_max: i64::MAX,
            carry_above: i64::MAX,
            escrow: i64::MAX,
            metric: key.metric,
            dirty: false,
            unstored: false,
            listed: false,
            ring,
            past: Vec::new(),
            limits: SmallVec::new(),
            key: Box::new(key),
            effects: SmallVec::new(),
            carries: Vec::new(),
            named_in: 0,
            awaited: 0,
            is_kept: false,
        }
    }

    /// Forgets which limits count here, before they are bound anew.
    pub(super) fn unbind(&mut self) {
        self.limits.clear();
        self.strict_max = i64::MAX;
        self.carry_above = i64::MAX;
    }

    /// Notes a limit that counts here.
    pub(super) fn bind(&mut self, bound: &BoundLimit) {
        let max = bound.limit.max.max(0);
        match bound.limit.mode {
            Mode::Strict => self.strict_max = self.strict_max.min(max),
            Mode::Corrected => self.carry_above = self.carry_above.min(max),
            Mode::Soft => {}
        }
        self.limits.push(Box::new(bound.clone()));
    }

    /// Opens the window that `now` falls into, if it is later than the open one. A clock that goes back opens nothing:
    /// what has been used in the open window would be free again.
    #[inline]
    pub(super) fn roll(&mut self, now: Timestamp, zone: &TimeZone) {
        if now.as_ms() >= self.span.end {
            self.open_window(now, zone);
        }
    }

    /// The same for a window that is restored: what was carried into it is already in its balance, whether or not its
    /// limits are bound yet.
    pub(super) fn roll_restored(&mut self, start: Timestamp, zone: &TimeZone) {
        let carry_above = std::mem::replace(&mut self.carry_above, i64::MAX);
        self.roll(start, zone);
        self.carry_above = carry_above;
    }

    #[cold]
    fn open_window(&mut self, now: Timestamp, zone: &TimeZone) {
        let next = Span::of(self.key.window, now, zone);
        let last = self.span;
        if next.ordinal <= last.ordinal {
            return;
        }
        self.span = next;
        if last == Span::NEVER {
            return;
        }
        if let Some(ring) = &mut self.ring {
            ring.advance(last.ordinal, next.ordinal, &mut self.open);
            return;
        }
        let (over, claims) = (self.open, std::mem::take(&mut self.claims));
        if over.is_open() || claims > 0 || self.dirty || !self.past.is_empty() {
            self.past.push(Past { span: last, tally: over, claims, dirty: self.dirty });
            self.prune();
        }
        let carried = carried(over.settled, self.carry_above, next.ordinal.saturating_sub(last.ordinal));
        self.open = Tally::default();
        self.open.apply(Change::carry(carried));
        self.note_carried(next.start, carried);
        if self.escrow != i64::MAX {
            self.escrow = 0;
        }
        self.dirty = carried > 0;
        self.unstored |= self.dirty;
    }

    /// Whether nothing at all would be lost with it: nothing is counted, under way or still to be stored.
    pub(super) fn is_idle(&self) -> bool {
        let counts = self.open.used() > 0 || self.claims > 0 || self.awaited > 0 || !self.past.is_empty();
        let unsaid = self.unstored || self.listed || !self.effects.is_empty();
        !counts && !unsaid && !self.is_kept && self.escrow == i64::MAX
    }

    /// Forgets past windows that nobody needs.
    pub(super) fn prune(&mut self) {
        let spare = |at: usize, past: &Past, len: usize| {
            let is_open = past.tally.is_open() || past.claims > 0;
            len - at > PAST_MAX || !is_open && (!past.dirty || len - at > UNSTORED_MAX)
        };
        let len = self.past.len();
        let gone = self.past.iter().enumerate().take_while(|(at, past)| spare(*at, past, len)).count();
        self.past.drain(..gone);
    }

    /// How much is left below `max`; negative in debt.
    #[inline]
    pub(super) fn room(&self, max: i64) -> i64 {
        max.saturating_sub(self.open.used())
    }

    /// Changes the open window; returns what was really changed.
    #[inline]
    pub(super) fn add(&mut self, change: Change) -> Change {
        self.add_to(self.span.ordinal, change)
    }

    /// Changes the open window, or the live bucket `ordinal` of a rolling one.
    #[inline]
    fn add_to(&mut self, ordinal: i64, change: Change) -> Change {
        let done = self.open.apply(change);
        let mut start = self.span.start;
        if let Some(ring) = &mut self.ring {
            ring.apply(ordinal, done);
            start = ring.start(ordinal);
        }
        self.note(start, done);
        if change.is_stored() {
            self.dirty = true;
            self.unstored = true;
            if let Some(ring) = &mut self.ring {
                ring.mark(ordinal);
            }
        }
        done
    }

    /// Adds what was stored, which needn't be stored again. Returns the start of the window it was added to and what was
    /// added; `None` if its window has passed.
    pub(super) fn restore(&mut self, start: i64, change: Change) -> Option<(i64, Change)> {
        if let Some(ring) = &mut self.ring {
            let ordinal = ring.live(start, self.span.ordinal)?;
            let done = self.open.apply(change);
            ring.apply(ordinal, done);
            return Some((ring.start(ordinal), done));
        }
        let is_open = self.span.end == i64::MAX || (self.span.start..self.span.end).contains(&start);
        is_open.then(|| (self.span.start, self.open.apply(change)))
    }

    #[inline]
    fn note(&mut self, start: i64, done: Change) {
        if done.carried != 0 {
            self.note_carried(start, done.settled);
        } else if done.settled != 0 {
            self.effects.push((start, done.settled));
        }
    }

    fn note_carried(&mut self, start: i64, settled: i64) {
        if settled != 0 {
            self.carries.push((start, settled));
        }
    }

    /// Sets what is settled in the open window to nothing; `held` says what stays held in each window or bucket.
    pub(super) fn reset(&mut self, held: impl Fn(i64) -> i64) {
        let (open, start) = (self.open, self.span.start);
        match &self.ring {
            Some(ring) => {
                let buckets = ring.live_buckets(self.span.ordinal).filter(|(_, tally, _)| tally.settled != 0);
                self.carries.extend(buckets.map(|(start, tally, _)| (start, -tally.settled)));
            }
            None => self.note_carried(start, -open.settled),
        }
        self.clear(held, |tally| tally.carried.saturating_sub(tally.settled));
    }

    /// The same before it is counted anew from usage records: then nothing in it is carried.
    pub(super) fn restate(&mut self, held: impl Fn(i64) -> i64) {
        let tallies: Vec<(i64, Tally)> = match &self.ring {
            Some(ring) => {
                ring.live_buckets(self.span.ordinal).map(|(start, tally, _)| (start, tally)).collect()
            }
            None => vec![(self.span.start, self.open)],
        };
        for (start, tally) in tallies {
            self.note_carried(start, -tally.carried);
            self.note(start, Change::settle(tally.carried.saturating_sub(tally.settled)));
        }
        self.clear(held, |_| 0);
    }

    fn clear(&mut self, held: impl Fn(i64) -> i64, carried: impl Fn(&Tally) -> i64) {
        self.open = match &mut self.ring {
            Some(ring) => ring.reset(self.span.ordinal, held, carried),
            None => {
                Tally { settled: 0, held: held(self.span.start), carried: carried(&self.open), ..self.open }
            }
        };
        self.dirty = true;
        self.unstored = true;
    }

    /// Gives up the open window, in which nothing is open, for that of `now`.
    pub(super) fn reopen(&mut self, now: Timestamp, zone: &TimeZone) {
        self.span = Span::of(self.key.window, now, zone);
        self.open = Tally::default();
        if let Window::RollingMs(length_ms) = self.key.window {
            self.ring = Some(Box::new(Ring::new(length_ms)));
        }
    }

    /// Notes that everything is stored. Whether it stays listed, since the end of its window will change it: what it has
    /// over a corrected limit is carried.
    pub(super) fn stored(&mut self) -> bool {
        self.listed = self.ring.is_none() && self.open.settled > self.carry_above;
        (self.dirty, self.unstored) = (false, false);
        self.past.iter_mut().for_each(|past| past.dirty = false);
        if let Some(ring) = &mut self.ring {
            ring.clean();
        }
        self.prune();
        self.listed
    }

    /// Changes the window that began at `start`. One that has ended and is forgotten doesn't count any more.
    pub(super) fn change(&mut self, start: i64, change: Change) {
        if let Some(ring) = &self.ring {
            if let Some(ordinal) = ring.live(start, self.span.ordinal) {
                self.add_to(ordinal, change);
            }
        } else if start == self.span.start {
            self.add(change);
        } else if let Some(at) = self.past.iter().position(|past| past.span.start == start) {
            self.change_past(at, change);
            self.prune();
        }
    }

    /// A reservation is made in the open window.
    #[inline]
    pub(super) fn claim(&mut self) {
        self.claims = self.claims.saturating_add(1);
    }

    /// A reservation made in the window that began at `start` has ended.
    #[inline]
    pub(super) fn unclaim(&mut self, start: i64) {
        // Of a ring all buckets are counted together.
        if self.ring.is_some() || start == self.span.start {
            self.claims = self.claims.saturating_sub(1);
        } else if let Some(past) = self.past.iter_mut().find(|past| past.span.start == start) {
            past.claims = past.claims.saturating_sub(1);
            self.prune();
        }
    }

    /// A late settlement may put its window over a corrected limit: the windows since then inherit it.
    fn change_past(&mut self, first: usize, change: Change) {
        let mut change = change;
        for at in first..self.past.len() {
            let next = self.past.get(at + 1).map_or(self.span, |next| next.span);
            let Some(past) = self.past.get_mut(at) else { return };
            let before = past.tally.settled;
            let done = past.tally.apply(change);
            past.dirty |= change.is_stored();
            self.unstored |= change.is_stored();
            let windows = next.ordinal.saturating_sub(past.span.ordinal);
            let more = carried(past.tally.settled, self.carry_above, windows)
                - carried(before, self.carry_above, windows);
            let start = past.span.start;
            self.note(start, done);
            if more <= 0 {
                return;
            }
            change = Change::carry(more);
        }
        self.add(change);
    }

    /// Adds the strict limits that the window that began at `start` has settled more than.
    #[inline]
    pub(super) fn debts(&self, start: i64, now: Timestamp, debts: &mut SmallVec<[LimitState; 1]>) {
        let (tally, is_past) = if self.ring.is_some() || start == self.span.start {
            (self.open, false)
        } else {
            match self.past.iter().find(|past| past.span.start == start) {
                Some(past) => (past.tally, true),
                None => return,
            }
        };
        if tally.settled <= self.strict_max {
            return;
        }
        for bound in &self.limits {
            if bound.limit.mode == Mode::Strict && tally.settled > bound.limit.max {
                let mut state = self.state(bound, 0, now);
                (state.settled, state.reserved, state.held) = (tally.settled, tally.reserved, tally.held);
                if is_past {
                    state.resets_at = now;
                }
                debts.push(state);
            }
        }
    }

    /// How `bound` stands, when `asked` more is wanted.
    pub(super) fn state(&self, bound: &BoundLimit, asked: i64, now: Timestamp) -> LimitState {
        let mut limit = bound.limit.clone();
        if limit.mode == Mode::Strict {
            // It was lowered since the call was bound.
            limit.max = limit.max.min(self.strict_max);
        }
        LimitState {
            cell: bound.cell,
            link: bound.link,
            kind: bound.kind,
            settled: self.open.settled,
            reserved: self.open.reserved,
            held: self.open.held,
            resets_at: self.resets_at(limit.max, asked, now),
            limit,
        }
    }

    /// When waiting helps. A slot of a concurrency limit may be free at any moment.
    fn resets_at(&self, max: i64, asked: i64, now: Timestamp) -> Timestamp {
        match &self.ring {
            _ if self.metric == Metric::Concurrency => now,
            Some(ring) => Timestamp::from_ms(ring.frees_at(self.span.ordinal, &self.open, max, asked)),
            None => Timestamp::from_ms(self.span.end),
        }
    }
}

/// What of `settled` is still over `max` after so many windows, each of which may use `max`.
fn carried(settled: i64, max: i64, windows: i64) -> i64 {
    settled.saturating_sub(max.saturating_mul(windows)).max(0)
}
