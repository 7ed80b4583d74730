//! Why nothing was reserved: made only once an ask has been found not to fit.

use super::{Ask, BoundLimit, Ledger, LimitState, Line, Refusal, asked};
use crate::limit::{Metric, Mode, WhenShort};
use crate::time::Timestamp;

impl Ledger {
    /// The refusal that says most: a limit of the chain before one of the channel's, and among those the one that is
    /// short for longest, then by most. `first` is a limit that was found short.
    pub(super) fn refusal(
        &mut self,
        ask: &Ask<'_>,
        first: (bool, &BoundLimit, i64),
        now: Timestamp,
    ) -> Refusal {
        let (of_channel, bound, wanted) = first;
        let mut worst = Refusal {
            state: self.stands(bound, wanted, now),
            asked: wanted,
            of_channel,
            denies: false,
            downgrades: false,
            only_reservations: true,
            line: None,
            output_left: i64::MAX,
            spend_left: i64::MAX,
        };
        let mut rank = rank_of(of_channel, &worst.state, wanted);
        for (of_channel, bound) in ask.limits().filter(|(_, bound)| bound.limit.mode != Mode::Soft) {
            let Some(wanted) = asked(ask, bound, of_channel) else { continue };
            let state = self.stands(bound, wanted, now);
            leave(&mut worst, &state, input(ask, bound, of_channel));
            let fits = wanted.max(1) <= room(&state);
            if fits && !self.is_before_its_turn(ask, bound, of_channel) {
                continue;
            }
            if !of_channel {
                // The chain goes outwards.
                worst.line = Some(Line { cell: bound.cell, wait_ms: bound.limit.reserve_wait_ms });
            }
            if !fits && !of_channel {
                worst.denies |= bound.limit.when_short == Some(WhenShort::Deny);
                worst.downgrades |= bound.limit.when_short == Some(WhenShort::Downgrade);
            }
            let lasting = state.settled.saturating_add(state.held);
            worst.only_reservations &= wanted.max(1) <= state.limit.max.saturating_sub(lasting);
            let this = rank_of(of_channel, &state, wanted);
            if this > rank {
                rank = this;
                (worst.state, worst.asked, worst.of_channel) = (state, wanted, of_channel);
            }
        }
        worst.line = worst.line.filter(|_| worst.only_reservations);
        worst
    }

    /// Whether others wait for this counter, and the call's turn hasn't come.
    fn is_before_its_turn(&self, ask: &Ask<'_>, bound: &BoundLimit, of_channel: bool) -> bool {
        let cell = self.cells.get(bound.cell.0 as usize);
        !of_channel && ask.turn != Some(bound.cell) && cell.is_some_and(|cell| cell.awaited > 0)
    }

    /// How a limit stands towards `wanted`. The check that found the first one short may not have come as far as this
    /// one, so its window may still have to be opened.
    pub(super) fn stands(&mut self, bound: &BoundLimit, wanted: i64, now: Timestamp) -> LimitState {
        let Self { zone, cells, changes, .. } = self;
        let Some(cell) = cells.get_mut(bound.cell.0 as usize) else { return unknown(bound) };
        cell.roll(now, zone);
        changes.note(cell, bound.cell);
        cell.state(bound, wanted, now)
    }
}

/// How a limit stands whose counter isn't one of this ledger's: used up for good.
fn unknown(bound: &BoundLimit) -> LimitState {
    LimitState {
        cell: bound.cell,
        link: bound.link,
        kind: bound.kind,
        limit: bound.limit.clone(),
        settled: bound.limit.max,
        reserved: 0,
        held: 0,
        resets_at: Timestamp::MAX,
    }
}

/// The input tokens that this limit would count.
fn input(ask: &Ask<'_>, bound: &BoundLimit, of_channel: bool) -> i64 {
    let (most, estimate) =
        if of_channel { (ask.channel_bound, ask.channel_estimate) } else { (ask.bound, ask.estimate) };
    let strict = bound.limit.mode == Mode::Strict;
    if strict { most.input_tokens } else { estimate.input_tokens.min(most.input_tokens) }.max(0)
}

/// Lowers what is left of output and spend to what this limit leaves.
fn leave(refusal: &mut Refusal, state: &LimitState, input: i64) {
    let left = state.remaining();
    let output = match state.limit.metric {
        Metric::OutputTokens => left,
        Metric::TotalTokens => left.saturating_sub(input).max(0),
        Metric::InputTokens if input.max(1) > left => 0,
        Metric::InputTokens | Metric::Requests | Metric::Concurrency => i64::MAX,
        Metric::Spend => {
            refusal.spend_left = refusal.spend_left.min(left);
            return;
        }
    };
    refusal.output_left = refusal.output_left.min(output);
}

/// What is left; negative in debt.
pub(super) fn room(state: &LimitState) -> i64 {
    let used = state.settled.saturating_add(state.reserved).saturating_add(state.held);
    state.limit.max.saturating_sub(used)
}

/// What says most: what is really short before what others only wait for, then the chain before the channel.
fn rank_of(of_channel: bool, state: &LimitState, wanted: i64) -> (bool, bool, Timestamp, i64) {
    (wanted.max(1) > room(state), !of_channel, state.resets_at, short_by(state, wanted))
}

fn short_by(state: &LimitState, wanted: i64) -> i64 {
    wanted.max(1).saturating_sub(room(state))
}
