//! The open reservations.

use smallvec::SmallVec;

use super::ask::ReservationId;
use crate::ids::CallId;
use crate::time::Timestamp;

/// What a reservation has in one counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) cell: u32,
    /// Whether the channel's amounts settle it, or the tenant's.
    pub(super) of_channel: bool,
    /// Whether it is a slot of a concurrency limit: those are freed, never settled or held.
    pub(super) is_slot: bool,
    /// When the window began in which it was reserved.
    pub(super) start: i64,
    pub(super) amount: i64,
}

/// A chain of three scopes with three limits each and a channel with two fit without allocation.
pub(super) type Entries = SmallVec<[Entry; 12]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    /// An attempt is under way.
    Open,
    /// Nobody knows the outcome.
    Held,
}

#[derive(Debug)]
pub(super) struct Reservation {
    generation: u32,
    pub(super) phase: Phase,
    /// When it was made; once it is held, when it became so.
    pub(super) since: Timestamp,
    pub(super) entries: Entries,
    /// The call that it is for, for those who must find out what became of it.
    pub(super) call: Option<CallId>,
}

/// A slab: places are used again, ids are not.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    places: Vec<Reservation>,
    free: Vec<u32>,
}

impl Reservations {
    /// Makes one without entries.
    pub(super) fn make(
        &mut self,
        phase: Phase,
        since: Timestamp,
        call: Option<CallId>,
    ) -> (ReservationId, &mut Entries) {
        let at = self.free.pop().map_or(self.places.len(), |at| at as usize);
        if at >= self.places.len() {
            self.places.push(Reservation {
                generation: 0,
                phase,
                since,
                entries: Entries::new(),
                call: None,
            });
        }
        // INVARIANT: a free place is one of `places`, and so is the one just added.
        let place = &mut self.places[at];
        place.phase = phase;
        place.since = since;
        place.call = call;
        (id(at, place.generation), &mut place.entries)
    }

    /// The reservation, while it is open or held.
    pub(super) fn get_mut(&mut self, id: ReservationId) -> Option<&mut Reservation> {
        let (at, generation) = parts(id);
        self.places.get_mut(at).filter(|place| place.generation == generation && place.phase != Phase::Free)
    }

    /// Ends it: from now on its id names nothing.
    pub(super) fn end(&mut self, id: ReservationId) {
        let Some(place) = self.get_mut(id) else { return };
        place.phase = Phase::Free;
        place.entries.clear();
        place.call = None;
        // A place whose generations are used up stays empty for good.
        let Some(next) = place.generation.checked_add(1) else { return };
        place.generation = next;
        if let Ok(at) = u32::try_from(parts(id).0) {
            self.free.push(at);
        }
    }

    /// Those in a phase, with their ids.
    pub(super) fn iter(&self, phase: Phase) -> impl Iterator<Item = (ReservationId, &Reservation)> {
        self.places
            .iter()
            .enumerate()
            .filter(move |(_, place)| place.phase == phase)
            .map(|(at, place)| (id(at, place.generation), place))
    }
}

fn id(at: usize, generation: u32) -> ReservationId {
    // INVARIANT: fewer than 2³² reservations are open: they would fill a terabyte.
    ReservationId((u64::from(generation) << 32) | (at as u64 & u64::from(u32::MAX)))
}

fn parts(id: ReservationId) -> (usize, u32) {
    ((id.0 & u64::from(u32::MAX)) as usize, (id.0 >> 32) as u32)
}
