//! Where calls wait that only open reservations are in the way of: one line for each counter, fair between keys.
//!
//! Whoever waits has a place. Only the head of a line gets a turn, when something was freed on its counter or when the one
//! before it has gone: it asks the engine again, and either leaves the line with its reservation, so that the next one gets
//! a turn, or keeps its place. So as many go on as fit, in order, and nobody is woken in vain but one. Heads come from each
//! key in turn. While a line stands the ledger refuses newcomers on its counter, who then stand in it, too.
//!
//! INVARIANT: no turn is lost. A line's first place gets one at once, for something may have been freed since it was
//! refused; what is freed while a turn is out is remembered and gives another.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sluicegate_core::engine::Line;
use sluicegate_core::ledger::CellId;
use sluicegate_core::{Engine, KeyId};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Places in one line.
const LINE_MAX: usize = 256;
/// Places in all lines.
const ALL_MAX: usize = 4_096;

/// All lines.
pub(crate) struct Queue {
    engine: Arc<Engine>,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    // BOUND: ALL_MAX, for a line without places is gone.
    lines: HashMap<CellId, Standing>,
    len: usize,
}

/// One line.
#[derive(Debug, Default)]
struct Standing {
    /// Each key with its places; the first key's first place is the head.
    // BOUND: LINE_MAX places.
    keys: VecDeque<(Option<KeyId>, VecDeque<Arc<Seat>>)>,
    len: usize,
    /// The head has its turn.
    has_turn: bool,
    /// Something was freed since then.
    rung: bool,
}

#[derive(Debug, Default)]
struct Seat {
    wake: Notify,
    /// Somebody of a key with fewer places has this one now.
    is_lost: AtomicBool,
}

/// A place in a line. Dropping it leaves the line.
pub(crate) struct Place {
    queue: Arc<Queue>,
    cell: CellId,
    seat: Arc<Seat>,
}

impl Queue {
    /// Lines in front of this engine's counters.
    pub(crate) fn new(engine: Arc<Engine>) -> Arc<Self> {
        let queue = Arc::new(Self { engine, lines: Mutex::default() });
        let heard: Weak<Self> = Arc::downgrade(&queue);
        queue.engine.on_freed(move |cells| {
            if let Some(queue) = heard.upgrade() {
                queue.ring(cells);
            }
        });
        queue
    }

    /// Waits for a turn in `line`, at most `within`, at `place` if the call had its turn there and didn't fit. `None` when
    /// there is no room in the line, or the time is over: the call has then left it.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        place: Option<Place>,
        line: Line,
        key: Option<&KeyId>,
        within: Duration,
    ) -> Option<Place> {
        let place = match place.filter(|place| place.cell == line.cell) {
            Some(place) => {
                place.missed();
                place
            }
            None => self.enter(line.cell, key)?,
        };
        match timeout(within, place.seat.wake.notified()).await {
            Ok(()) if !place.seat.is_lost.load(Ordering::Acquire) => Some(place),
            _ => None,
        }
    }

    /// Takes the last place of the line; `None` when there is none.
    fn enter(self: &Arc<Self>, cell: CellId, key: Option<&KeyId>) -> Option<Place> {
        let seat = Arc::new(Seat::default());
        // Before the place is there: nobody overtakes it, and what is freed from here on is heard of.
        self.engine.ledger().join_line(cell);
        let is_in = self.lines.lock().enter(cell, key, &seat);
        if !is_in {
            self.engine.ledger().leave_line(cell);
            return None;
        }
        Some(Place { queue: Arc::clone(self), cell, seat })
    }

    /// Something was freed on these counters.
    fn ring(&self, cells: &[CellId]) {
        let mut lines = self.lines.lock();
        for cell in cells {
            if let Some(line) = lines.lines.get_mut(cell) {
                line.rung |= line.has_turn;
                line.give_turn();
            }
        }
    }
}

impl Place {
    /// The turn was no use: somebody else may need less time than we, but nobody is asked before us.
    fn missed(&self) {
        let mut lines = self.queue.lines.lock();
        let Some(line) = lines.lines.get_mut(&self.cell).filter(|line| line.is_head(&self.seat)) else {
            return;
        };
        line.has_turn = false;
        if std::mem::take(&mut line.rung) {
            line.give_turn();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.lines.lock().leave(self.cell, &self.seat);
        self.queue.engine.ledger().leave_line(self.cell);
    }
}

impl Lines {
    fn enter(&mut self, cell: CellId, key: Option<&KeyId>, seat: &Arc<Seat>) -> bool {
        let line = self.lines.entry(cell).or_default();
        if line.len >= LINE_MAX && line.make_room(key) {
            self.len -= 1;
        }
        // BOUND: LINE_MAX and ALL_MAX.
        if line.len >= LINE_MAX || self.len >= ALL_MAX {
            if line.len == 0 {
                self.lines.remove(&cell);
            }
            return false;
        }
        self.len += 1;
        line.len += 1;
        match line.keys.iter_mut().find(|(known, _)| known.as_ref() == key) {
            Some((_, seats)) => seats.push_back(Arc::clone(seat)),
            None => line.keys.push_back((key.cloned(), VecDeque::from([Arc::clone(seat)]))),
        }
        if line.len == 1 {
            line.give_turn();
        }
        true
    }

    fn leave(&mut self, cell: CellId, seat: &Arc<Seat>) {
        let Some(line) = self.lines.get_mut(&cell) else { return };
        let was_head = line.is_head(seat);
        if !line.remove(seat) {
            return;
        }
        self.len -= 1;
        if line.len == 0 {
            self.lines.remove(&cell);
        } else if was_head {
            (line.has_turn, line.rung) = (false, false);
            line.give_turn();
        }
    }
}

impl Standing {
    fn head(&self) -> Option<&Arc<Seat>> {
        self.keys.front().and_then(|(_, seats)| seats.front())
    }

    fn is_head(&self, seat: &Arc<Seat>) -> bool {
        self.head().is_some_and(|head| Arc::ptr_eq(head, seat))
    }

    /// The head's turn, unless it has it already.
    fn give_turn(&mut self) {
        if self.has_turn {
            return;
        }
        if let Some(head) = self.head() {
            head.wake.notify_one();
            self.has_turn = true;
        }
    }

    /// Takes a place out; `false` when it isn't there any more. The next head comes from another key if one waits.
    fn remove(&mut self, seat: &Arc<Seat>) -> bool {
        let is_it = |other: &Arc<Seat>| Arc::ptr_eq(other, seat);
        let found = self
            .keys
            .iter()
            .enumerate()
            .find_map(|(of, (_, seats))| Some((of, seats.iter().position(is_it)?)));
        let Some((of, at)) = found else { return false };
        let was_head = (of, at) == (0, 0);
        if let Some((_, seats)) = self.keys.get_mut(of) {
            seats.remove(at);
            if seats.is_empty() {
                self.keys.remove(of);
            } else if was_head {
                self.keys.rotate_left(1);
            }
        }
        self.len -= 1;
        true
    }

    /// A line that is full of one key's places has one for another key: the last of those who have most.
    fn make_room(&mut self, key: Option<&KeyId>) -> bool {
        let own =
            self.keys.iter().find(|(known, _)| known.as_ref() == key).map_or(0, |(_, seats)| seats.len());
        let Some((_, most)) = self.keys.iter_mut().max_by_key(|(_, seats)| seats.len()) else { return false };
        // Not the last of a key, which may be the head, and not for one who then has more.
        if most.len() < own + 2 {
            return false;
        }
        let Some(seat) = most.pop_back() else { return false };
        seat.is_lost.store(true, Ordering::Release);
        seat.wake.notify_one();
        self.len -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
