//! Ranking: in which order candidates are asked. Every choice follows from the call's seed, its facts, and what health and
//! ledger show; integers only, so that a replay on any machine gives the same order.

use smallvec::SmallVec;

use super::Runtime;
use super::admission::Admission;
use super::candidate::{NOT_PREFERRED, Ranked};
use crate::channel::{Channel, ChannelModel};
use crate::decision::Reason;
use crate::hash;
use crate::health::HealthView;
use crate::ids::KeyId;
use crate::snapshot::Strategy;
use crate::time::Timestamp;
use crate::usage::Usage;

/// An answer is taken to be no longer than this when prices are compared, in tokens: ceilings are high, and answers
/// rarely reach them.
const TYPICAL_OUTPUT: u64 = 1_024;

/// Orders candidates: the group's preferences, then priority tiers, then the strategy.
pub(super) fn rank(
    runtime: &Runtime,
    admission: &mut Admission,
    strategy: Strategy,
    ranked: &mut SmallVec<[Ranked; 4]>,
    now: Timestamp,
) {
    score(runtime, admission, strategy, ranked, now);
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
            by: strategy,
            score: r.score,
            full: r.full,
        });
    }
}

fn score(
    runtime: &Runtime,
    admission: &Admission,
    strategy: Strategy,
    ranked: &mut [Ranked],
    now: Timestamp,
) {
    let conversation = if strategy == Strategy::Affinity { conversation(admission) } else { 0 };
    // One lock for all of them.
    let mut ledger = (strategy == Strategy::Usage).then(|| runtime.ledger.lock());
    for r in ranked {
        let Some((declared, model)) = runtime.snapshot.resolve(r.candidate) else { continue };
        let observed = admission.observed.as_deref().filter(|_| strategy.is_by_health());
        if let Some(score) = observed.and_then(|observed| observed.score(&declared.id, strategy)) {
            r.score = score;
            continue;
        }
        let Some(channel) = runtime.channels.get(r.candidate.channel as usize) else { continue };
        r.score = match strategy {
            Strategy::Weighted => u64::from(r.weight),
            Strategy::LeastBusy => u64::from(r.health.in_flight),
            Strategy::LowestLatency => latency(&r.health),
            Strategy::LowestCost => cost(admission, declared, model, now),
            Strategy::Usage => ledger.as_mut().map_or(0, |ledger| {
                let asked_as = &admission.call.model;
                let model = admission.models.first().unwrap_or(asked_as);
                ledger.load_ppm(&channel.limits, model.as_str(), asked_as.as_str(), now)
            }),
            Strategy::Affinity => distance(hash::join(conversation, channel.place), r.weight),
        };
    }
}

/// From here on a latency isn't known.
const UNKNOWN: u64 = u64::MAX / 2;

/// Recent latency times the calls under way and this one. One call finds out how fast an unknown channel is, while the others
/// keep to those that are known (Finagle's penalty): else everybody would wait for whoever never answers. One that has only
/// failed so far isn't found out by more calls.
fn latency(health: &HealthView) -> u64 {
    let in_flight = u64::from(health.in_flight);
    match health.latency_us {
        0 if in_flight > 0 || health.failures > 0 => UNKNOWN + in_flight,
        us => us.saturating_mul(in_flight + 1).min(UNKNOWN),
    }
}

/// What the call costs at this candidate, in pico-USD, as far as that is known before.
fn cost(admission: &Admission, channel: &Channel, model: &ChannelModel, now: Timestamp) -> u64 {
    let call = &admission.call;
    let price = call.price(&channel.id, model);
    // An unknown price is no bargain.
    if !price.is_known() {
        return u64::MAX;
    }
    let ceiling = call.max_output.or(admission.default_output).unwrap_or(TYPICAL_OUTPUT);
    let output = ceiling.min(TYPICAL_OUTPUT).saturating_mul(u64::from(call.choices.max(1)));
    let usage = Usage { input_uncached: call.input_estimate, output_visible: output, ..Usage::default() };
    price.on(now).estimate(&usage)
}

/// What a conversation is known by: what the call tells, else who calls and for whom.
fn conversation(admission: &Admission) -> u64 {
    let (call, caller) = (&admission.call, &admission.caller.caller);
    call.conversation.unwrap_or_else(|| {
        let key = caller.key.as_ref().map_or("", KeyId::as_str);
        hash::join(
            hash::stable(key.as_bytes()),
            hash::stable(call.customer.as_deref().unwrap_or_default().as_bytes()),
        )
    })
}

/// Weighted rendezvous (Schindler and Ravishankar 1998): the least -log(h) / weight wins, h being uniform in (0, 1] for each
/// pair of conversation and channel. A channel that comes or goes, or gets another weight, moves only its own share.
fn distance(hash: u64, weight: u32) -> u64 {
    // A weight of zero comes behind all others anyway.
    (minus_log2(hash) << 20) / u64::from(weight.max(1))
}

/// -log2 of `n` / 2⁶⁴ in units of 2⁻²⁴, by squaring: each square doubles the logarithm, and its carry is the next bit.
fn minus_log2(n: u64) -> u64 {
    const BITS: u32 = 24;
    let n = n.max(1);
    let zeros = n.leading_zeros();
    // In [1, 2), as 1.63.
    let mut mantissa = n << zeros;
    let mut fraction = 0_u64;
    for _ in 0..BITS {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = (square >> 127) as u64;
        mantissa = (square >> (63 + carry)) as u64;
        fraction = fraction << 1 | carry;
    }
    // log2(n) is 63 - zeros and the fraction.
    (u64::from(zeros + 1) << BITS) - fraction
}

fn order_tier(admission: &mut Admission, strategy: Strategy, tier: &mut [Ranked]) {
    if tier.len() < 2 {
        return;
    }
    if strategy != Strategy::Affinity {
        shuffle_weighted(admission, tier);
    }
    if strategy != Strategy::Weighted {
        // A weight of zero serves only when no other can.
        tier.sort_by_key(|r| (r.weight == 0, r.score));
    }
    match strategy {
        Strategy::LowestLatency => prefer_better_of_two(admission, tier),
        // What another issued isn't accepted, however busy this one is.
        Strategy::Affinity if admission.call.bound => keep_family(admission, tier),
        Strategy::Affinity => {
            relieve(admission, tier);
        }
        _ => {}
    }
}

/// Next to the conversation's own channel come those of the same provider: they may be of the account that issued its signatures.
fn keep_family(admission: &Admission, tier: &mut [Ranked]) {
    let channels = admission.runtime.snapshot.channels();
    let provider = |r: &Ranked| channels.get(r.candidate.channel as usize).map(|channel| &channel.provider);
    let Some(first) = tier.first().map(provider) else { return };
    tier.sort_by_key(|r| (r.weight == 0, provider(r) != first));
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018): who has more than so many percent of its
/// fair share of the calls under way goes behind the others, so that one busy conversation doesn't drown its channel.
fn relieve(admission: &Admission, tier: &mut [Ranked]) {
    let snapshot = &admission.runtime.snapshot;
    let percent = snapshot.declared.routing.affinity_load_percent;
    if percent == 0 {
        return;
    }
    let sum = |of: fn(&Ranked) -> u32| tier.iter().map(|r| u128::from(of(r))).sum::<u128>();
    // The call itself is one of them.
    let (calls, weights) = (sum(|r| r.health.in_flight) + 1, sum(|r| r.weight));
    if weights == 0 {
        return;
    }
    let is_full = |r: &Ranked| {
        let share = (calls * u128::from(r.weight) * u128::from(percent)).div_ceil(weights * 100);
        u128::from(r.health.in_flight) >= share
    };
    let observed = |r: &Ranked| {
        let (channel, _) = snapshot.resolve(r.candidate)?;
        admission.observed.as_deref()?.was_full(&channel.id)
    };
    for r in tier.iter_mut() {
        r.full = observed(r).unwrap_or_else(|| is_full(r));
    }
    tier.sort_by_key(|r| (r.weight == 0, r.full));
}

/// The better of two random choices goes first (Mitzenmacher 2001): always asking the very fastest would send everybody to the
/// same channel at the same time. The others keep their order.
fn prefer_better_of_two(admission: &mut Admission, tier: &mut [Ranked]) {
    let weighty = tier.iter().filter(|r| r.weight > 0).count();
    // Who is waited for already isn't drawn while others are known.
    let known = tier.iter().filter(|r| r.weight > 0 && r.score < UNKNOWN).count();
    let n = [known, weighty, tier.len()].into_iter().find(|n| *n > 0).unwrap_or(0) as u64;
    if n < 2 {
        return;
    }
    let a = admission.random() % n;
    let b = admission.random() % (n - 1);
    let b = b + u64::from(b >= a);
    if let Some(best) = tier.get_mut(..=a.min(b) as usize) {
        best.rotate_right(1);
    }
}

/// A random order in which each place falls to a candidate in proportion to its weight among those still without one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right() {
        for n in [1, 2, 3, 1 << 40, u64::MAX / 3, u64::MAX / 2 + 1, u64::MAX - 12_345, u64::MAX] {
            let want = 64.0 - (n as f64).log2();
            let got = minus_log2(n) as f64 / f64::from(1 << 24);
            assert!((want - got).abs() < 1e-6, "{n}: {want} {got}");
        }
    }

    #[test]
    fn conversations_go_by_weight_and_an_absent_channel_moves_its_own_only() {
        let channels = [("a", 1), ("b", 2), ("c", 5)].map(|(id, w)| (hash::stable(id.as_bytes()), w));
        let choose = |conversation: u64, without: Option<usize>| {
            let those = channels.iter().enumerate().filter(|(at, _)| Some(*at) != without);
            those.min_by_key(|(_, (place, w))| distance(hash::join(conversation, *place), *w)).unwrap().0
        };
        let mut share = [0_u32; 3];
        for n in 0..80_000 {
            let conversation = hash::mix(n);
            let with = choose(conversation, None);
            share[with] += 1;
            if with != 1 {
                assert_eq!(choose(conversation, Some(1)), with);
            }
        }
        for (got, want) in share.iter().zip([10_000_u32, 20_000, 50_000]) {
            assert!(got.abs_diff(want) < want / 20, "{share:?}");
        }
    }
}
