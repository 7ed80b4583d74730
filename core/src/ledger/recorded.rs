//! What was granted or refused once, again: for replays, in which the answer is known.

use smallvec::SmallVec;

use super::refusal::room;
use super::{Amounts, Ask, BoundLimit, Grant, Ledger, Line, Refusal, Wanted, asked};
use crate::decision::Reason;
use crate::limit::WhenShort;
use crate::time::Timestamp;

impl Ledger {
    /// Reserves what `ask` wants of every limit, whether there is room or not: it was granted.
    pub(crate) fn reserve_as_recorded(&mut self, ask: &Ask<'_>, now: Timestamp) -> Grant {
        let Self { zone, cells, wanted, .. } = self;
        wanted.clear();
        for (of_channel, bound) in ask.limits() {
            let Some(amount) = asked(ask, bound, of_channel) else { continue };
            let Some(cell) = cells.get_mut(bound.cell.0 as usize) else { continue };
            cell.roll(now, zone);
            match wanted.iter_mut().find(|wanted| wanted.cell == bound.cell) {
                Some(wanted) => wanted.amount = wanted.amount.max(amount),
                None => {
                    wanted.push(Wanted { cell: bound.cell, of_channel, metric: bound.limit.metric, amount });
                }
            }
        }
        Grant { id: self.take(ask, now), crossed: SmallVec::new() }
    }

    /// Counts what an attempt used, of the caller's limits and the channel's, at once.
    pub(crate) fn count_recorded(&mut self, ask: &Ask<'_>, used: (Amounts, Amounts), now: Timestamp) {
        let Grant { id, .. } = self.reserve_as_recorded(ask, now);
        self.settle(id, used.0, used.1, now);
    }

    /// The refusal that was recorded like this. `None` when no limit of the ask's is the one that refused.
    pub(crate) fn refuse_as_recorded(
        &mut self,
        ask: &Ask<'_>,
        reason: &Reason,
        is_channel: bool,
        now: Timestamp,
    ) -> Option<Refusal> {
        let Reason::Limit {
            scope, metric, window, max, used, reserved, held, asked: wanted, busy, then, ..
        } = reason
        else {
            return None;
        };
        let same = |(of_channel, bound): &(bool, &BoundLimit)| {
            *of_channel == is_channel
                && (bound.kind, bound.limit.metric, bound.limit.window) == (*scope, *metric, *window)
                && asked(ask, bound, *of_channel).is_some()
        };
        // A limit that was lowered since is still that limit.
        let exactly = ask.limits().filter(same).find(|(_, bound)| bound.limit.max == *max);
        let (of_channel, bound) = exactly.or_else(|| ask.limits().find(same))?;
        let mut refusal = self.refusal(ask, (of_channel, bound, *wanted), now);
        refusal.state = self.stands(bound, *wanted, now);
        refusal.state.settled = used.saturating_sub(*reserved).saturating_sub(*held);
        (refusal.state.reserved, refusal.state.held) = (*reserved, *held);
        (refusal.asked, refusal.of_channel) = (*wanted, of_channel);
        refusal.denies = *then == Some(WhenShort::Deny);
        refusal.downgrades = *then == Some(WhenShort::Downgrade);
        refusal.only_reservations = *busy;
        refusal.line = busy.then(|| {
            let wait_ms = bound.limit.reserve_wait_ms;
            refusal.line.unwrap_or(Line { cell: bound.cell, wait_ms })
        });
        // A ceiling was lowered, if it was, before this was said: none is looked for again.
        refusal.output_left = refusal.output_left.min(room(&refusal.state).max(0));
        Some(refusal)
    }
}
