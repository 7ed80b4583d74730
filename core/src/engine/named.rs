//! End customers and tags: scopes that callers name. Anybody can make names up, so that how many are counted one by one is
//! bounded: beyond that undeclared ones share one counter, which can only be too strict. It costs nothing while no such
//! limit is declared; a call with one costs a look-up under a lock of its own.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use smallvec::SmallVec;

use super::admission::Admission;
use super::{Engine, FIRST_NAMED_LINK, bounds_output};
use crate::ledger::{BoundLimit, CellId, Ledger};
use crate::limit::{Limit, Scope, ScopeKind, ScopeLimits};
use crate::ports::Alert;
use crate::snapshot::NamedScopes;
use crate::time::Timestamp;

/// After a look in vain nobody looks again for so long, in milliseconds: a flood of names must not cost a look each.
const LOOK_AGAIN_MS: i64 = 100;
/// That there are too many names is told once in this time, in milliseconds.
const TELL_AGAIN_MS: i64 = 3_600_000;

/// What the names in one call bind it to.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) limits: Vec<BoundLimit>,
    pub(super) bounds_output: bool,
    /// Whose they are. As long as somebody has these, their counters are not given up.
    scopes: SmallVec<[Arc<NamedLimits>; 1]>,
}

impl Named {
    fn add(&mut self, scope: Arc<NamedLimits>) {
        // Two names may share one counter.
        if self.scopes.iter().any(|known| Arc::ptr_eq(known, &scope)) {
            return;
        }
        // BOUND: callers and scripts name fewer than 64; behind that links repeat, and only explanations read them.
        let link = FIRST_NAMED_LINK.saturating_add(u8::try_from(self.scopes.len()).unwrap_or(63).min(63));
        self.limits.extend(scope.limits.iter().map(|bound| BoundLimit { link, ..bound.clone() }));
        self.bounds_output |= scope.bounds_output;
        self.scopes.push(scope);
    }

    /// Whose counter this is.
    pub(super) fn scope_of(&self, cell: CellId) -> Option<&Scope> {
        let is_of = |scope: &&Arc<NamedLimits>| scope.limits.iter().any(|bound| bound.cell == cell);
        self.scopes.iter().find(is_of).map(|scope| &scope.scope)
    }
}

/// One name's limits, tied to their counters.
#[derive(Debug)]
struct NamedLimits {
    scope: Scope,
    limits: SmallVec<[BoundLimit; 4]>,
    bounds_output: bool,
    /// Whoever has this, by whatever snapshot, may still name the counters.
    pin: Arc<()>,
}

/// Who is counted one by one.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By organization, as scopes name it: none can use up the places of another, nor make it look for one.
    // BOUND: organizations; those whose names are all idle go when there are twice as many as after the last look.
    rooms: HashMap<String, Room>,
    /// With so many, idle ones are looked for.
    look_at: usize,
    /// Whether the counters that were restored at the start have their places.
    is_adopted: bool,
}

/// An organization's places.
#[derive(Debug, Default)]
struct Room {
    // BOUND: declared names, an overflow of each kind, and `max_counted` others of each kind.
    places: IndexMap<Scope, Place>,
    /// How many of them are bounded: customers, tags.
    counted: [usize; 2],
    /// Where the next look for an idle place begins.
    hand: usize,
    look_at: Timestamp,
    tell_at: [Timestamp; 2],
}

/// So many organizations' places are kept without a look for idle ones.
const ROOMS_MIN: usize = 64;

#[derive(Debug)]
struct Place {
    /// The snapshot by which it is bound; `None` when it isn't.
    version: Option<u64>,
    /// Whether it is one of those whose number is bounded.
    is_counted: bool,
    /// Every counter of the scope, those of former limits too.
    cells: SmallVec<[CellId; 2]>,
    bound: Arc<NamedLimits>,
}

/// One name that a call says, with its limits.
struct Request<'a> {
    kind: ScopeKind,
    organization: &'a str,
    name: &'a str,
    limits: &'a [Limit],
    is_declared: bool,
    max: usize,
    version: u64,
}

impl Engine {
    /// Finds the limits of the end customer and the tags that the call names.
    pub(super) fn bind_named(&self, admission: &mut Admission, now: Timestamp) {
        let runtime = Arc::clone(&admission.runtime);
        let declared = &runtime.snapshot.declared;
        if declared.customers.is_empty() && declared.tags.is_empty() {
            return;
        }
        let caller = Arc::clone(&admission.caller);
        let mut named = Named::default();
        let customer = admission.call.customer.iter().map(|name| (ScopeKind::Customer, name));
        let tags = admission.call.tags.iter().chain(&caller.caller.tags).map(|tag| (ScopeKind::Tag, tag));
        for (kind, name) in customer.chain(tags) {
            let scopes = if kind == ScopeKind::Customer { &declared.customers } else { &declared.tags };
            let (limits, is_declared) = scopes.of(name);
            if limits.is_empty() || name.is_empty() {
                continue;
            }
            // What says which client calls chooses channels. Nobody has named it, so that the limits of any name aren't its.
            if kind == ScopeKind::Tag && !is_declared && runtime.snapshot.is_tag_of_client(name) {
                continue;
            }
            let NamedScopes { max_counted: max, .. } = *scopes;
            let version = runtime.snapshot.version;
            let organization = caller.caller.organization.as_str();
            let request = Request { kind, organization, name, limits, is_declared, max, version };
            named.add(self.limits_of(&request, now));
        }
        admission.named = named;
    }

    fn limits_of(&self, request: &Request<'_>, now: Timestamp) -> Arc<NamedLimits> {
        let scope = request.scope(request.name);
        let mut names = self.names.lock();
        let organization = scope.organization().unwrap_or_default();
        let known = names.rooms.get(organization).and_then(|room| room.places.get(&scope));
        if let Some(place) = known.filter(|place| place.version >= Some(request.version)) {
            return Arc::clone(&place.bound);
        }
        let mut ledger = self.ledger.lock();
        names.adopt(&ledger);
        let mut given_up = Vec::new();
        let room = names.room(&mut ledger, organization, now, &mut given_up);
        let is_full = !room.places.contains_key(&scope)
            && !request.is_declared
            && !room.has_place(&mut ledger, request, now, &mut given_up);
        let tell_at = &mut room.tell_at[at(request.kind)];
        let tell = is_full && now >= *tell_at;
        if tell {
            *tell_at = now.plus_ms(TELL_AGAIN_MS);
        }
        let bound = match is_full {
            // The empty name is nobody's own.
            true => room.bind(&mut ledger, request.scope(""), request, false),
            false => room.bind(&mut ledger, scope, request, !request.is_declared),
        };
        drop(ledger);
        drop(names);
        if tell {
            let organization = request.organization.to_owned();
            self.alert(Alert::TooManyNames { kind: request.kind, organization, max: request.max });
        }
        if !given_up.is_empty() {
            let mut told = self.told.lock();
            given_up.iter().for_each(|limit| {
                told.remove(limit);
            });
        }
        bound
    }
}

impl Request<'_> {
    fn scope(&self, name: &str) -> Scope {
        Scope::named(self.kind, self.organization, name)
    }
}

impl Names {
    /// Gives the counters that were restored at the start their places: they count, and can be given up, like others.
    fn adopt(&mut self, ledger: &Ledger) {
        if std::mem::replace(&mut self.is_adopted, true) {
            return;
        }
        for (cell, scope) in ledger.named_cells() {
            let room = self.rooms.entry(scope.organization().unwrap_or_default().to_owned()).or_default();
            let is_counted = !scope.is_shared();
            let counted = &mut room.counted[at(scope.kind)];
            let place = room.places.entry(scope.clone()).or_insert_with(|| {
                *counted += usize::from(is_counted);
                Place::empty(scope.clone(), is_counted)
            });
            place.cells.push(cell);
        }
    }

    /// An organization's places. When it has none yet, those of organizations that are idle, or gone, may be given up.
    fn room(
        &mut self,
        ledger: &mut Ledger,
        organization: &str,
        now: Timestamp,
        given_up: &mut Vec<(CellId, i64)>,
    ) -> &mut Room {
        if !self.rooms.contains_key(organization) && self.rooms.len() >= self.look_at.max(ROOMS_MIN) {
            self.rooms.retain(|_, room| {
                let is_idle = room.places.values().all(|place| place.is_idle(ledger, now));
                if is_idle {
                    room.places.values().for_each(|place| place.give_up(ledger, now, given_up));
                }
                !is_idle
            });
            self.look_at = 2 * self.rooms.len();
        }
        self.rooms.entry(organization.to_owned()).or_default()
    }
}

impl Room {
    /// Whether one more name may be counted by itself; gives an idle one's place up for it if need be.
    fn has_place(
        &mut self,
        ledger: &mut Ledger,
        request: &Request<'_>,
        now: Timestamp,
        given_up: &mut Vec<(CellId, i64)>,
    ) -> bool {
        // Who has used the shared counter must not begin anew beside it: everybody new shares it until it is idle.
        if let Some(shared) = self.places.get(&request.scope(""))
            && !shared.cells.iter().all(|cell| ledger.is_idle(*cell, now))
        {
            return false;
        }
        if self.counted[at(request.kind)] < request.max {
            return true;
        }
        if now < self.look_at {
            return false;
        }
        // BOUND: every place once, and not again for a while when it is in vain: one that isn't found shares its counter for
        // as long as that is in use.
        for _ in 0..self.places.len() {
            self.hand = if self.hand + 1 < self.places.len() { self.hand + 1 } else { 0 };
            let Some((scope, place)) = self.places.get_index(self.hand) else { continue };
            if !(place.is_counted && scope.kind == request.kind && place.is_idle(ledger, now)) {
                continue;
            }
            place.give_up(ledger, now, given_up);
            self.places.swap_remove_index(self.hand);
            let counted = &mut self.counted[at(request.kind)];
            *counted -= 1;
            // There may be too many of them since the start, or since the number was lowered.
            if *counted < request.max {
                return true;
            }
        }
        self.look_at = now.plus_ms(LOOK_AGAIN_MS);
        false
    }

    /// The place of this scope, bound to the limits in force.
    fn bind(
        &mut self,
        ledger: &mut Ledger,
        scope: Scope,
        request: &Request<'_>,
        is_counted: bool,
    ) -> Arc<NamedLimits> {
        let counted = &mut self.counted[at(request.kind)];
        let place = self.places.entry(scope.clone()).or_insert_with(|| Place::empty(scope.clone(), false));
        if place.version >= Some(request.version) {
            return Arc::clone(&place.bound);
        }
        *counted = *counted + usize::from(is_counted) - usize::from(place.is_counted);
        let scope = ScopeLimits { scope, limits: request.limits.to_vec() };
        let limits = ledger.bind(FIRST_NAMED_LINK, &scope);
        for bound in &limits {
            if !place.cells.contains(&bound.cell) {
                place.cells.push(bound.cell);
            }
        }
        let bounds_output = bounds_output(&limits);
        let pin = Arc::clone(&place.bound.pin);
        place.bound = Arc::new(NamedLimits { scope: scope.scope, limits, bounds_output, pin });
        (place.version, place.is_counted) = (Some(request.version), is_counted);
        Arc::clone(&place.bound)
    }
}

impl Place {
    fn empty(scope: Scope, is_counted: bool) -> Self {
        let bound = NamedLimits { scope, limits: SmallVec::new(), bounds_output: false, pin: Arc::new(()) };
        Self { version: None, is_counted, cells: SmallVec::new(), bound: Arc::new(bound) }
    }

    /// Whether no call has its limits any more, and nothing in them is in use.
    fn is_idle(&self, ledger: &mut Ledger, now: Timestamp) -> bool {
        Arc::strong_count(&self.bound) == 1
            && Arc::strong_count(&self.bound.pin) == 1
            && self.cells.iter().all(|cell| ledger.is_idle(*cell, now))
    }

    fn give_up(&self, ledger: &mut Ledger, now: Timestamp, given_up: &mut Vec<(CellId, i64)>) {
        for cell in &self.cells {
            ledger.forget(*cell, now);
        }
        given_up.extend(self.bound.limits.iter().map(|bound| (bound.cell, bound.limit.max)));
    }
}

/// Where a kind's places are counted.
fn at(kind: ScopeKind) -> usize {
    usize::from(kind == ScopeKind::Tag)
}

#[cfg(test)]
mod tests;
