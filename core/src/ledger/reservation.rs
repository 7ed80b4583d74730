//! The open reservations.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use super::ask::ReservationId;
use crate::decision::OutcomeClass;
use crate::ids::CallId;
use crate::journal::{Ending, Tried, amendment_id};
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
    /// It is over, but its call has no usage record yet: kept for the journal, and no reservation any more.
    Ended,
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
    /// The attempt, as a journal has it; empty when that isn't known. Its room is used again.
    pub(super) attempt: Vec<u8>,
    /// How the host of a held attempt saw it end, if it did.
    pub(super) class: Option<OutcomeClass>,
    /// How it ended.
    pub(super) ending: Option<Ending>,
    /// Whether the call has its usage record: an attempt that ends after that waits for an amendment.
    pub(super) recorded: bool,
}

/// A slab: places are used again, ids are not.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    places: Vec<Reservation>,
    free: Vec<u32>,
    /// The attempts, ended or held, of calls that have no usage record yet.
    // BOUND: the calls under way, and those that a host has dropped instead of finishing them.
    unrecorded: HashMap<CallId, SmallVec<[ReservationId; 2]>, BuildHasherDefault<IdHasher>>,
}

/// Hashes calls' ids, which are ours and random: twice for each call, under the ledger's lock.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            // Fibonacci's multiplier: the high bits, which tables use, depend on all of the word's.
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Reservations {
    /// Makes one without entries.
    pub(super) fn make(
        &mut self,
        phase: Phase,
        since: Timestamp,
        call: Option<CallId>,
    ) -> (ReservationId, &mut Reservation) {
        let at = self.free.pop().map_or(self.places.len(), |at| at as usize);
        if at >= self.places.len() {
            self.places.push(Reservation {
                generation: 0,
                phase,
                since,
                entries: Entries::new(),
                call: None,
                attempt: Vec::new(),
                class: None,
                ending: None,
                recorded: false,
            });
        }
        // INVARIANT: a free place is one of `places`, and so is the one just added.
        let place = &mut self.places[at];
        place.phase = phase;
        place.since = since;
        place.call = call;
        (id(at, place.generation), place)
    }

    /// The reservation, while it is open or held.
    pub(super) fn get_mut(&mut self, id: ReservationId) -> Option<&mut Reservation> {
        let (at, generation) = parts(id);
        self.places.get_mut(at).filter(|place| {
            place.generation == generation && matches!(place.phase, Phase::Open | Phase::Held)
        })
    }

    /// Ends it: from now on its id names nothing.
    pub(super) fn end(&mut self, id: ReservationId) {
        let (at, generation) = parts(id);
        let place = self.places.get_mut(at).filter(|place| place.generation == generation);
        let Some(place) = place.filter(|place| place.phase != Phase::Free) else { return };
        place.phase = Phase::Free;
        place.entries.clear();
        place.call = None;
        place.attempt.clear();
        (place.class, place.ending, place.recorded) = (None, None, false);
        // A place whose generations are used up stays empty for good.
        let Some(next) = place.generation.checked_add(1) else { return };
        place.generation = next;
        if let Ok(at) = u32::try_from(parts(id).0) {
            self.free.push(at);
        }
    }

    /// Ends it as a reservation, and keeps how its attempt ended until the call's usage record is logged: of one whose
    /// call has it already, until the amendment is.
    pub(super) fn end_unrecorded(&mut self, id: ReservationId, ending: Ending) {
        let Some(place) = self.get_mut(id) else { return };
        let known = place.call.take().filter(|_| !place.attempt.is_empty());
        let call = match known {
            Some(call) if place.recorded => {
                Tried::read(&place.attempt).map(|tried| amendment_id(&call, tried.number))
            }
            known => known,
        };
        let Some(call) = call else { return self.end(id) };
        place.entries.clear();
        (place.phase, place.ending) = (Phase::Ended, Some(ending));
        place.call = Some(call.clone());
        self.wait_for_record(call, id);
    }

    /// Notes that an attempt is over, ended or held, and its call has no usage record yet.
    pub(super) fn wait_for_record(&mut self, call: CallId, id: ReservationId) {
        let ids = self.unrecorded.entry(call).or_default();
        // A held one that is reconciled is there already.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    /// The call has its usage record, or the amendment to one is written.
    pub(super) fn recorded(&mut self, call: &CallId) {
        for id in self.unrecorded.remove(call).into_iter().flatten() {
            match self.get_mut(id) {
                Some(held) => held.recorded = true,
                None => self.end(id),
            }
        }
    }

    /// The attempts of a call that has no usage record yet, as far as they are over.
    pub(super) fn unrecorded(&self, call: &CallId) -> impl Iterator<Item = &Reservation> {
        let ids = self.unrecorded.get(call).map_or(&[][..], SmallVec::as_slice);
        ids.iter().filter_map(|id| {
            let (at, generation) = parts(*id);
            self.places.get(at).filter(|place| place.generation == generation)
        })
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
