//! Ranking: in which order candidates are asked.

use smallvec::SmallVec;

use super::Runtime;
use super::admission::Admission;
use super::candidate::{NOT_PREFERRED, Ranked};
use crate::decision::Reason;
use crate::snapshot::Strategy;

/// Orders candidates: the group's preferences, then priority tiers, then the strategy.
pub(super) fn rank(
    runtime: &Runtime,
    admission: &mut Admission,
    strategy: Strategy,
    ranked: &mut SmallVec<[Ranked; 4]>,
) {
    for r in ranked.iter_mut() {
        let Some((channel, model)) = runtime.snapshot.resolve(r.candidate) else { continue };
        r.score = match strategy {
            Strategy::Weighted => u64::from(channel.weight),
            Strategy::LeastBusy => u64::from(r.health.in_flight),
            Strategy::LowestLatency => r.health.latency_us,
            // An unknown price is no bargain.
            Strategy::LowestCost => model
                .price
                .input
                .zip(model.price.output)
                .map_or(u64::MAX, |(input, output)| input.saturating_add(output)),
        };
    }
    ranked.sort_by_key(|r| (r.preference, std::cmp::Reverse(r.priority)));
    let mut start = 0;
    while let Some(first) = ranked.get(start) {
        let tier = (first.preference, first.priority);
        let len = ranked.iter().skip(start).take_while(|r| (r.preference, r.priority) == tier).count();
        if let Some(tier) = ranked.get_mut(start..start + len) {
            order_tier(admission, strategy, tier);
        }
        start += len;
    }
    for r in ranked.iter() {
        let Some((channel, _)) = runtime.snapshot.resolve(r.candidate) else { continue };
        admission.explanation.push(Reason::Ranked {
            channel: channel.id.clone(),
            priority: r.priority,
            preference: Some(r.preference).filter(|at| *at != NOT_PREFERRED),
            score: r.score,
        });
    }
}

fn order_tier(admission: &mut Admission, strategy: Strategy, tier: &mut [Ranked]) {
    if tier.len() < 2 {
        return;
    }
    if strategy != Strategy::LowestLatency {
        shuffle_weighted(admission, tier);
    }
    if strategy != Strategy::Weighted {
        // A weight of zero serves only when no other can.
        tier.sort_by_key(|r| (r.weight == 0, r.score));
    }
    if strategy == Strategy::LowestLatency {
        // Two random choices: always asking the very fastest would send everybody to the same channel.
        let weighty = tier.iter().filter(|r| r.weight > 0).count();
        let n = if weighty == 0 { tier.len() } else { weighty } as u64;
        let (a, b) = ((admission.random() % n) as usize, (admission.random() % n) as usize);
        if let Some(best) = tier.get_mut(..=a.min(b)) {
            best.rotate_right(1);
        }
    }
}

/// A random order in which each place falls to a candidate in proportion to its weight among those still without one.
/// Integers only, so that a replay on any machine gives the same order.
fn shuffle_weighted(admission: &mut Admission, tier: &mut [Ranked]) {
    // BOUND: no call makes more attempts than this, so no later place needs to be drawn.
    let places = tier.len().min(admission.runtime.snapshot.declared.routing.max_attempts as usize);
    for place in 0..places {
        let Some(rest) = tier.get(place..) else { return };
        let total: u64 = rest.iter().map(|r| u64::from(r.weight)).sum();
        let pick = if total == 0 {
            // Only weights of zero are left: all alike.
            (admission.random() % rest.len() as u64) as usize
        } else {
            let mut ticket = admission.random() % total;
            rest.iter()
                .position(|r| {
                    let hit = ticket < u64::from(r.weight);
                    ticket = ticket.saturating_sub(u64::from(r.weight));
                    hit
                })
                .unwrap_or(0)
        };
        tier.swap(place, place + pick);
    }
}
