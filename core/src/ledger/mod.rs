//! The ledger: what has been used, what is reserved, and whether an attempt still fits.
//!
//! A [`Ledger`] is a synchronous state machine over integers. It reads no clock, awaits nothing and never panics; the
//! host calls it under one short lock. Its rules:
//!
//! - **A counter** (cell) is one (scope, metric, window, model). Several limits may count in the same one; each is
//!   checked, and an attempt is counted there once.
//! - **All or nothing.** [`Ledger::try_reserve`] takes from every counter of the chain and of the channel, or from none.
//! - **Strict limits** reserve the bound: settled + reserved + held ≤ max at every instant. Only a settlement above its
//!   reservation passes the max; it is reported in [`Settlement::debts`], and the counter admits nothing until its
//!   window ends or the max is raised. **Corrected limits** reserve the estimate (never more than the bound); what is
//!   settled over the max when the window ends is carried into the next, and so on until it is worked off. **Soft
//!   limits** are counted and never refuse; they are reported in [`Grant::crossed`] as long as they are crossed.
//!   A limit that is lowered is lowered for the calls that were bound before, too.
//! - **Enough room** means room for what is asked, and for at least 1: a counter that is used up refuses calls that ask
//!   for nothing too, and a max of 0 refuses all.
//! - **Requests** are settled when they are reserved and never given back; the tenant's only if the ask says so.
//!   **Concurrency** is a slot while the attempt is under way: settling, releasing and holding free it.
//! - **The window is captured when something is reserved.** A settlement after midnight lands in the day before. What
//!   was reserved or held in a window doesn't count in the next. A clock that goes back leaves the open windows open.
//! - **Windows.** Minutes and hours are those of UTC; days, weeks (from Monday) and months those of the time zone, so
//!   a day may have 23 or 25 hours. A rolling window has 60 buckets, each a 59th of its length, so that nothing falls
//!   out before its time.
//! - **Each reservation ends once.** To settle or release one that has ended changes nothing.

mod ask;
mod audit;
mod balance;
mod cell;
mod changes;
mod held;
mod idle;
mod line;
mod recorded;
mod refusal;
mod reservation;
mod ring;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;

use jiff::tz::TimeZone;
use smallvec::SmallVec;

pub use ask::{
    Amounts, Ask, Balance, BoundLimit, CellId, Grant, LimitState, Line, Refusal, ReservationId, Reserve,
    Settlement,
};
pub use audit::{Audit, Book, Difference};
pub use held::{Held, HeldAmount};
pub use window::{bucket_ms, window_start};

use crate::ids::ModelName;
use crate::journal::{CounterKey, Ending};
use crate::limit::{Metric, Mode, Scope, ScopeLimits, Window};
use crate::time::Timestamp;
use cell::{Cell, Change};
use changes::Changes;
use reservation::{Entry, Phase, Reservations};

/// All counters and open reservations of one engine. See the module's rules.
#[derive(Debug)]
pub struct Ledger {
    zone: TimeZone,
    // BOUND: one for each (scope, metric, window, model) that has ever been bound, but for end customers and tags, whose
    // counters are forgotten when they are idle; how many of those there are is the engine's to bound.
    cells: Vec<Cell>,
    /// Places of counters that were forgotten, to be used again.
    free: Vec<u32>,
    index: HashMap<CounterKey, CellId>,
    reservations: Reservations,
    changes: Changes,
    /// Counters that calls wait for and that something was freed on since somebody last asked.
    freed: SmallVec<[CellId; 4]>,
    /// What the ask under way takes, one for each counter: kept to be used again.
    wanted: Vec<Wanted>,
}

/// What an ask takes from one counter.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    cell: CellId,
    of_channel: bool,
    metric: Metric,
    amount: i64,
}

/// How an ask stands with all its limits.
enum Fit<'a> {
    Fits {
        crosses_soft: bool,
    },
    /// The first limit that is too small, and what it was asked.
    Short {
        of_channel: bool,
        bound: &'a BoundLimit,
        asked: i64,
    },
    /// Every limit has room, but not this node's share of it.
    ShortOfEscrow,
}

impl Ledger {
    /// An empty ledger whose days, weeks and months are those of `time_zone`.
    pub fn new(time_zone: TimeZone) -> Self {
        Self {
            zone: time_zone,
            cells: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            reservations: Reservations::default(),
            changes: Changes::default(),
            freed: SmallVec::new(),
            wanted: Vec::new(),
        }
    }

    /// Changes the time zone. Windows that are open stay as they are; the next ones are those of the new zone.
    pub fn set_time_zone(&mut self, time_zone: TimeZone) {
        self.zone = time_zone;
    }

    /// The counter of this, made if there is none. The window of [`Metric::Concurrency`] is always the lifetime.
    pub fn cell(
        &mut self,
        scope: &Scope,
        metric: Metric,
        window: Window,
        model: Option<&ModelName>,
    ) -> CellId {
        let window = if metric == Metric::Concurrency { Window::Lifetime } else { window };
        let key = CounterKey { scope: scope.clone(), metric, window, model: model.cloned() };
        if let Some(id) = self.index.get(&key) {
            return *id;
        }
        let cell = Cell::new(key.clone());
        let place = self.free.pop().and_then(|at| Some((at, self.cells.get_mut(at as usize)?)));
        let id = match place {
            Some((at, place)) => {
                *place = cell;
                CellId(at)
            }
            None => {
                self.cells.push(cell);
                // INVARIANT: fewer than 2³² counters: they would fill a terabyte.
                CellId(u32::try_from(self.cells.len() - 1).unwrap_or(u32::MAX))
            }
        };
        self.index.insert(key, id);
        id
    }

    /// Ties the limits of one scope to their counters; asks must name limits that come from here. What was bound to the
    /// same counters before is forgotten: debts and carried overshoots go by the limits bound last.
    pub fn bind(&mut self, link: u8, scope: &ScopeLimits) -> SmallVec<[BoundLimit; 4]> {
        let bound: SmallVec<[BoundLimit; 4]> = scope
            .limits
            .iter()
            .map(|limit| {
                let cell = self.cell(&scope.scope, limit.metric, limit.window, limit.model.as_ref());
                BoundLimit::new(cell, link, scope.scope.kind, limit)
            })
            .collect();
        for bound in &bound {
            if let Some(cell) = self.cell_mut(bound.cell) {
                cell.unbind();
            }
        }
        for bound in &bound {
            if let Some(cell) = self.cell_mut(bound.cell) {
                cell.bind(bound);
            }
        }
        bound
    }

    /// Reserves what `ask` wants of every limit, or nothing at all.
    pub fn try_reserve(&mut self, ask: &Ask<'_>, now: Timestamp) -> Reserve {
        let crosses_soft = match self.fit(ask, now) {
            Fit::Fits { crosses_soft } => crosses_soft,
            Fit::Short { of_channel, bound, asked } => {
                return Reserve::Denied(self.refusal(ask, (of_channel, bound, asked), now));
            }
            Fit::ShortOfEscrow => return Reserve::NeedRefill(self.short_of_escrow()),
        };
        let id = self.take(ask, now);
        let crossed = if crosses_soft { self.crossed(ask, now) } else { SmallVec::new() };
        Reserve::Granted(Grant { id, crossed })
    }

    /// Takes what is noted in `wanted`.
    fn take(&mut self, ask: &Ask<'_>, now: Timestamp) -> ReservationId {
        let Self { cells, reservations, changes, wanted, .. } = self;
        let (id, made) = reservations.make(Phase::Open, now, Some(ask.call.clone()));
        if let Some(attempt) = &ask.attempt {
            attempt.put(now, &mut made.attempt);
        }
        for wanted in wanted.iter() {
            let Some(cell) = cells.get_mut(wanted.cell.0 as usize) else { continue };
            if wanted.metric == Metric::Requests {
                cell.add(Change::settle(wanted.amount));
                changes.note(cell, wanted.cell);
                continue;
            }
            let amount = cell.add(Change::reserve(wanted.amount)).reserved;
            cell.claim();
            let entry = Entry {
                cell: wanted.cell.0,
                of_channel: wanted.of_channel,
                is_slot: wanted.metric == Metric::Concurrency,
                start: cell.span.start,
                amount,
            };
            changes.hold(cell, &entry);
            made.entries.push(entry);
        }
        if let Some(log) = &mut changes.log {
            log.reserve(id.0, now, ask.call.as_str(), &made.attempt);
        }
        id
    }

    /// Whether `ask` would be granted now, by the same rules; reserves nothing. This node's share of a limit doesn't
    /// matter here.
    ///
    /// # Errors
    /// The refusal that it would meet.
    pub fn would_fit(&mut self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Box<Refusal>> {
        match self.fit(ask, now) {
            Fit::Fits { .. } | Fit::ShortOfEscrow => Ok(()),
            Fit::Short { of_channel, bound, asked } => {
                Err(Box::new(self.refusal(ask, (of_channel, bound, asked), now)))
            }
        }
    }

    /// Checks every limit and notes in `wanted` what each counter would give.
    fn fit<'a>(&mut self, ask: &Ask<'a>, now: Timestamp) -> Fit<'a> {
        let Self { zone, cells, changes, wanted, .. } = self;
        wanted.clear();
        let (mut crosses_soft, mut short_of_escrow) = (false, false);
        for (of_channel, limits) in [(false, ask.tenant), (false, ask.named), (true, ask.channel)] {
            for bound in limits {
                let Some(asked) = asked(ask, bound, of_channel) else { continue };
                let Some(cell) = cells.get_mut(bound.cell.0 as usize) else {
                    // A counter of another ledger has no room here.
                    return Fit::Short { of_channel, bound, asked };
                };
                cell.roll(now, zone);
                changes.note(cell, bound.cell);
                // A call that was bound before a limit was lowered obeys the new one all the same.
                let max = match bound.limit.mode {
                    Mode::Strict => bound.limit.max.min(cell.strict_max),
                    Mode::Corrected | Mode::Soft => bound.limit.max,
                };
                if bound.limit.mode == Mode::Soft {
                    crosses_soft |= asked > cell.room(max);
                } else if asked.max(1) > cell.room(max)
                    || cell.awaited > 0 && !of_channel && ask.turn != Some(bound.cell)
                {
                    return Fit::Short { of_channel, bound, asked };
                } else {
                    short_of_escrow |= asked.max(1) > cell.room(cell.escrow);
                }
                match wanted.iter_mut().find(|wanted| wanted.cell == bound.cell) {
                    Some(wanted) => wanted.amount = wanted.amount.max(asked),
                    None => {
                        wanted.push(Wanted {
                            cell: bound.cell,
                            of_channel,
                            metric: bound.limit.metric,
                            amount: asked,
                        });
                    }
                }
            }
        }
        if short_of_escrow { Fit::ShortOfEscrow } else { Fit::Fits { crosses_soft } }
    }

    /// The soft limits that are crossed now that `ask` is reserved.
    fn crossed(&self, ask: &Ask<'_>, now: Timestamp) -> SmallVec<[LimitState; 1]> {
        ask.limits()
            .filter(|(of_channel, bound)| {
                bound.limit.mode == Mode::Soft && asked(ask, bound, *of_channel).is_some()
            })
            .filter_map(|(_, bound)| {
                let cell = self.cells.get(bound.cell.0 as usize)?;
                (cell.room(bound.limit.max) < 0).then(|| cell.state(bound, 0, now))
            })
            .collect()
    }

    /// Ends a reservation, open or held, with what was really used: the tenant's amounts at the caller's prices, the
    /// channel's at list price. `None` if it has already ended: then nothing changes.
    ///
    /// For hosts that write no usage records; see [`Self::end`].
    pub fn settle(
        &mut self,
        id: ReservationId,
        tenant: Amounts,
        channel: Amounts,
        now: Timestamp,
    ) -> Option<Settlement> {
        self.close(id, (tenant, channel), None, now)
    }

    /// Ends a reservation, open or held, as its attempt ended, which the log tells: whoever reads it can write the call's
    /// usage record, until [`Self::log_record`] says that it is written. `None` if it has already ended.
    pub fn end(&mut self, id: ReservationId, ending: &Ending, now: Timestamp) -> Option<Settlement> {
        let amounts = |spend| Amounts {
            input_tokens: i64::try_from(ending.usage.input_tokens()).unwrap_or(i64::MAX),
            output_tokens: i64::try_from(ending.usage.output_tokens()).unwrap_or(i64::MAX),
            spend,
        };
        self.close(id, (amounts(ending.spend), amounts(ending.cost)), Some(ending), now)
    }

    fn close(
        &mut self,
        id: ReservationId,
        (tenant, channel): (Amounts, Amounts),
        ending: Option<&Ending>,
        now: Timestamp,
    ) -> Option<Settlement> {
        let Self { zone, cells, reservations, changes, freed, .. } = self;
        let reservation = reservations.get_mut(id)?;
        let mut settlement = Settlement::default();
        for entry in &reservation.entries {
            let Some(cell) = cells.get_mut(entry.cell as usize) else { continue };
            cell.roll(now, zone);
            let used = if entry.is_slot {
                0
            } else {
                (if entry.of_channel { channel } else { tenant }).of(cell.metric).max(0)
            };
            cell.change(entry.start, end_of(reservation.phase, entry.amount, used));
            line::note(cell, CellId(entry.cell), freed);
            changes.note(cell, CellId(entry.cell));
            if used > 0 {
                cell.debts(entry.start, now, &mut settlement.debts);
            }
            cell.unclaim(entry.start);
        }
        match (&mut changes.log, ending) {
            (Some(log), ending) => {
                log.settle(id.0, ending);
                match ending {
                    Some(ending) => reservations.end_unrecorded(id, *ending),
                    None => reservations.end(id),
                }
            }
            (None, _) => reservations.end(id),
        }
        Some(settlement)
    }

    /// Ends a reservation, open or held, of which nothing was used. Requests stay counted. `false` if it has already
    /// ended.
    pub fn release(&mut self, id: ReservationId, now: Timestamp) -> bool {
        self.settle(id, Amounts::default(), Amounts::default(), now).is_some()
    }

    /// Lowers what an open or held reservation has to these amounts, where they are lower; for instance when the input
    /// turns out smaller than its bound. It never raises anything. `false` if the reservation has ended.
    pub fn shrink(&mut self, id: ReservationId, tenant: Amounts, channel: Amounts, now: Timestamp) -> bool {
        let Self { zone, cells, reservations, changes, freed, .. } = self;
        let Some(reservation) = reservations.get_mut(id) else { return false };
        let phase = reservation.phase;
        for entry in reservation.entries.iter_mut().filter(|entry| !entry.is_slot) {
            let Some(cell) = cells.get_mut(entry.cell as usize) else { continue };
            cell.roll(now, zone);
            let kept =
                (if entry.of_channel { channel } else { tenant }).of(cell.metric).clamp(0, entry.amount);
            cell.change(entry.start, end_of(phase, entry.amount - kept, 0));
            line::note(cell, CellId(entry.cell), freed);
            changes.note(cell, CellId(entry.cell));
            entry.amount = kept;
        }
        if let Some(log) = &mut changes.log {
            let kept = reservation.entries.iter().filter(|entry| !entry.is_slot).map(|entry| entry.amount);
            log.shrink(id.0, kept.collect());
        }
        true
    }

    /// The fullest of these limits that are for `model` or `asked_as`, in parts per million: of those on concurrency and those
    /// whose window is [shorter than a day](Window::is_rate), since a budget that is used up slowly is no load. Zero without
    /// any.
    pub(crate) fn load_ppm(
        &mut self,
        limits: &[BoundLimit],
        model: &str,
        asked_as: &str,
        now: Timestamp,
    ) -> u64 {
        let Self { zone, cells, changes, .. } = self;
        let mut fullest = 0;
        for bound in limits {
            let limit = &bound.limit;
            let is_load = limit.metric == Metric::Concurrency || limit.window.is_rate();
            if !is_load || limit.metric == Metric::Spend || !bound.is_for(model, asked_as) {
                continue;
            }
            let Some(cell) = cells.get_mut(bound.cell.0 as usize) else { continue };
            cell.roll(now, zone);
            changes.note(cell, bound.cell);
            let used = i128::from(cell.open.used().max(0)) * 1_000_000;
            // A max of zero is full.
            let share = used.checked_div(i128::from(limit.max.max(0))).unwrap_or(1_000_000);
            fullest = fullest.max(u64::try_from(share).unwrap_or(u64::MAX));
        }
        fullest
    }

    /// How a limit stands: for headers and explanations.
    pub fn state(&mut self, bound: &BoundLimit, now: Timestamp) -> LimitState {
        self.stands(bound, 0, now)
    }

    /// Sets how much of a counter's open window this node may use in all, what it has used included; `None`: all of it,
    /// which is the default. When the window ends the share is nothing until it is set again, but for rolling windows
    /// and lifetimes, where it stays. Asks that fit the limits but not the shares answer [`Reserve::NeedRefill`].
    pub fn set_escrow(&mut self, cell: CellId, share: Option<i64>, now: Timestamp) {
        let Self { zone, cells, .. } = self;
        if let Some(cell) = cells.get_mut(cell.0 as usize) {
            cell.roll(now, zone);
            cell.escrow = share.map_or(i64::MAX, |share| share.clamp(0, i64::MAX - 1));
        }
    }

    /// The counters whose share is too small for the ask that was just checked.
    fn short_of_escrow(&self) -> SmallVec<[CellId; 4]> {
        let short = |wanted: &&Wanted| {
            let cell = self.cells.get(wanted.cell.0 as usize);
            cell.is_some_and(|cell| wanted.amount.max(1) > cell.room(cell.escrow))
        };
        self.wanted.iter().filter(short).map(|wanted| wanted.cell).collect()
    }

    fn cell_mut(&mut self, id: CellId) -> Option<&mut Cell> {
        self.cells.get_mut(id.0 as usize)
    }
}

/// What `ask` wants of a limit; `None` if the limit doesn't count it.
#[inline]
pub(crate) fn asked(ask: &Ask<'_>, bound: &BoundLimit, of_channel: bool) -> Option<i64> {
    let limit = &bound.limit;
    if !bound.is_for(ask.model, ask.asked_as) {
        return None;
    }
    let metric = limit.metric;
    if metric == Metric::Requests && !of_channel && !ask.count_request {
        return None;
    }
    let (bound, estimate) =
        if of_channel { (&ask.channel_bound, &ask.channel_estimate) } else { (&ask.bound, &ask.estimate) };
    let most = bound.of(metric);
    Some(if limit.mode == Mode::Strict { most } else { estimate.of(metric).min(most) }.max(0))
}

/// What ends `amount` of a reservation and settles `used`.
fn end_of(phase: Phase, amount: i64, used: i64) -> Change {
    match phase {
        Phase::Held => Change { settled: used, held: -amount, ..Change::default() },
        Phase::Open | Phase::Free | Phase::Ended => {
            Change { settled: used, reserved: -amount, ..Change::default() }
        }
    }
}
