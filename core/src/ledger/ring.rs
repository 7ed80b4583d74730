//! The buckets of a rolling window.

use super::cell::{Change, Tally};
use super::window::{BUCKETS, bucket_ms};

/// The last 60 buckets, the one under way included. Their sum is kept beside them.
#[derive(Debug)]
pub(super) struct Ring {
    width_ms: i64,
    buckets: [Tally; BUCKETS as usize],
    /// A bit for each bucket whose settled or held has changed since it was last stored.
    dirty: u64,
}

impl Ring {
    pub(super) fn new(length_ms: u64) -> Self {
        Self { width_ms: bucket_ms(length_ms), buckets: [Tally::default(); BUCKETS as usize], dirty: 0 }
    }

    /// The time is now in bucket `to`: what is too old falls out of `sum`.
    pub(super) fn advance(&mut self, from: i64, to: i64, sum: &mut Tally) {
        let steps = to.saturating_sub(from).clamp(0, BUCKETS);
        for step in 0..steps {
            let at = slot(to.saturating_sub(step));
            if let Some(bucket) = self.buckets.get_mut(at) {
                sum.apply(Change {
                    settled: -bucket.settled,
                    reserved: -bucket.reserved,
                    held: -bucket.held,
                    carried: -bucket.carried,
                });
                *bucket = Tally::default();
            }
            self.dirty &= !(1 << at);
        }
    }

    /// The bucket that began at `start`, if it hasn't fallen out.
    pub(super) fn live(&self, start: i64, current: i64) -> Option<i64> {
        let ordinal = start.div_euclid(self.width_ms);
        (ordinal <= current && current.saturating_sub(ordinal) < BUCKETS).then_some(ordinal)
    }

    /// Changes a live bucket.
    #[inline]
    pub(super) fn apply(&mut self, ordinal: i64, change: Change) {
        let at = slot(ordinal);
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.apply(change);
        }
    }

    /// Marks a live bucket as to be stored.
    #[inline]
    pub(super) fn mark(&mut self, ordinal: i64) {
        self.dirty |= 1 << slot(ordinal);
    }

    /// Marks all buckets as stored.
    pub(super) fn clean(&mut self) {
        self.dirty = 0;
    }

    /// The live buckets, oldest first: when each began, what is in it, and whether it is to be stored.
    pub(super) fn live_buckets(&self, current: i64) -> impl Iterator<Item = (i64, Tally, bool)> + '_ {
        (0..BUCKETS).rev().filter_map(move |back| {
            let ordinal = current.checked_sub(back)?;
            let at = slot(ordinal);
            let bucket = self.buckets.get(at)?;
            Some((self.start(ordinal), *bucket, self.dirty & (1 << at) != 0))
        })
    }

    /// Sets what is settled to nothing and keeps what is reserved; `held` says what stays held in each bucket, `carried`
    /// what was carried once it is done. Returns the new sum. What was stored of a bucket must be stored again, so all
    /// are marked.
    pub(super) fn reset(
        &mut self,
        current: i64,
        held: impl Fn(i64) -> i64,
        carried: impl Fn(&Tally) -> i64,
    ) -> Tally {
        let mut sum = Tally::default();
        for back in 0..BUCKETS {
            let Some(ordinal) = current.checked_sub(back) else { continue };
            let held = held(self.start(ordinal));
            if let Some(bucket) = self.buckets.get_mut(slot(ordinal)) {
                *bucket = Tally { settled: 0, reserved: bucket.reserved, held, carried: carried(bucket) };
                sum.apply(Change { settled: 0, reserved: bucket.reserved, held, carried: bucket.carried });
            }
        }
        self.dirty = (1 << BUCKETS) - 1;
        sum
    }

    /// When a bucket began.
    pub(super) fn start(&self, ordinal: i64) -> i64 {
        ordinal.saturating_mul(self.width_ms)
    }

    /// When so much has fallen out that `asked` (at least 1) fits below `max`; if it fits already, when something falls
    /// out next. With nothing in any bucket: when the window has passed.
    pub(super) fn frees_at(&self, current: i64, sum: &Tally, max: i64, asked: i64) -> i64 {
        let falls_out = |start: i64| start.saturating_add(self.width_ms.saturating_mul(BUCKETS));
        let mut left = sum.used();
        let mut last = falls_out(self.start(current));
        for (start, bucket, _) in self.live_buckets(current).filter(|(_, bucket, _)| bucket.used() > 0) {
            left = left.saturating_sub(bucket.used());
            last = falls_out(start);
            if max.saturating_sub(left) >= asked.max(1) {
                break;
            }
        }
        last
    }
}

fn slot(ordinal: i64) -> usize {
    usize::try_from(ordinal.rem_euclid(BUCKETS)).unwrap_or(0)
}
