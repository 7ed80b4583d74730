//! How often somebody may guess.

use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;
use sluicegate_core::{Error, ErrorKind, Result, Retry, Timestamp};

/// Counters. Names that fall together share one, so that however many are tried, memory is the same: 1 MiB.
// BOUND: the size of the table; nothing that callers send makes it grow.
const ROWS: usize = 1 << 16;
/// What failed is forgotten after so long without another failure, in milliseconds.
const FORGET_MS: i64 = 3_600_000;
/// Nobody waits longer for their next try, in milliseconds.
const WAIT_MAX_MS: i64 = 15 * 60_000;

/// Counts tries that failed. After those that are free, the wait for the next one doubles.
///
/// One node's: of several, each counts for itself.
pub(super) struct Throttle {
    seed: RandomState,
    /// None before the first try: a gateway that nobody signs in to has no need of them.
    rows: Mutex<Box<[Row]>>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    failures: u32,
    last_ms: i64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { seed: RandomState::new(), rows: Mutex::default() }
    }
}

impl Throttle {
    /// Begins a try, which counts as failed until it is said to have succeeded: many at the same time are as many tries.
    ///
    /// # Errors
    /// `RateLimited` with the time to wait.
    pub(super) fn begin(&self, name: &str, free: u32, now: Timestamp) -> Result<()> {
        self.begin_all(&[(name, free)], now)
    }

    /// The same for a try that is several's, each with how many are free: where one of them has to wait it counts for none. A
    /// script that goes on against one account mustn't shut its whole address out.
    ///
    /// # Errors
    /// `RateLimited` with the longest time to wait.
    pub(super) fn begin_all(&self, names: &[(&str, u32)], now: Timestamp) -> Result<()> {
        let now = now.as_ms();
        let mut rows = self.rows.lock();
        if rows.is_empty() {
            *rows = vec![Row::default(); ROWS].into();
        }
        let mut left = 0;
        for (name, free) in names {
            let Some(row) = rows.get_mut(self.place(name)) else { continue };
            // A clock that was set back must not lock anybody out.
            row.last_ms = row.last_ms.min(now);
            if now - row.last_ms >= FORGET_MS {
                row.failures = 0;
            }
            let over = row.failures.saturating_sub(*free);
            let wait = match over {
                0 if row.failures < *free => 0,
                over => (1_000_i64 << over.min(20)).min(WAIT_MAX_MS),
            };
            left = left.max(row.last_ms + wait - now);
        }
        if left > 0 {
            let message = "too many attempts failed; wait before you try again";
            let retry = Retry::AfterMs(left.unsigned_abs());
            return Err(Error::new(ErrorKind::RateLimited, message).with_retry(retry));
        }
        for (name, _) in names {
            if let Some(row) = rows.get_mut(self.place(name)) {
                *row = Row { failures: row.failures.saturating_add(1), last_ms: now };
            }
        }
        Ok(())
    }

    /// Takes a try back that succeeded.
    pub(super) fn forgive(&self, name: &str) {
        if let Some(row) = self.rows.lock().get_mut(self.place(name)) {
            row.failures = row.failures.saturating_sub(1);
        }
    }

    /// Takes a try back that nobody could look at: it was no wrong one.
    pub(super) fn judged<T>(&self, names: &[&str], judgement: Result<T>) -> Result<T> {
        if judgement.is_err() {
            names.iter().for_each(|name| self.forgive(name));
        }
        judgement
    }

    /// Forgets what failed: the right one has come.
    pub(super) fn clear(&self, name: &str) {
        if let Some(row) = self.rows.lock().get_mut(self.place(name)) {
            *row = Row::default();
        }
    }

    fn place(&self, name: &str) -> usize {
        usize::try_from(self.seed.hash_one(name)).unwrap_or_default() % ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_000_000_000 + ms)
    }

    #[test]
    fn the_wait_doubles_after_the_free_tries() {
        let it = Throttle::default();
        let wait = |now: i64| match it.begin("a", 3, at(now)) {
            Ok(()) => 0,
            Err(error) => match error.retry() {
                Retry::AfterMs(ms) => ms,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!([wait(0), wait(0), wait(0)], [0; 3]);
        assert_eq!(wait(0), 1_000);
        assert_eq!(wait(999), 1);
        assert_eq!(wait(1_000), 0);
        assert_eq!(wait(1_000), 2_000);
        let mut now = 1_000;
        for _ in 0..30 {
            now += i64::try_from(wait(now)).unwrap();
            assert_eq!(wait(now), 0);
        }
        assert_eq!(wait(now), WAIT_MAX_MS.unsigned_abs(), "nobody waits longer");
        assert_eq!(wait(now + FORGET_MS), 0, "what failed is forgotten");
        assert_eq!(wait(now + FORGET_MS), 0);
    }

    #[test]
    fn names_are_apart_and_who_succeeds_begins_anew() {
        let it = Throttle::default();
        assert!(it.begin("a", 1, at(0)).is_ok() && it.begin("a", 1, at(0)).is_err());
        assert!(it.begin("b", 1, at(0)).is_ok());
        it.clear("a");
        assert!(it.begin("a", 1, at(0)).is_ok());
        it.forgive("a");
        assert!(it.begin("a", 1, at(0)).is_ok());
    }

    #[test]
    fn what_one_has_to_wait_for_counts_for_nobody_else() {
        let it = Throttle::default();
        for _ in 0..99 {
            let _ = it.begin_all(&[("account", 2), ("address", 4)], at(0));
        }
        let tries: Vec<bool> = (0..3).map(|_| it.begin("address", 4, at(0)).is_ok()).collect();
        assert_eq!(tries, [true, true, false]);
        assert!(it.begin_all(&[("another", 2), ("address", 4)], at(0)).is_err());
        let tries: Vec<bool> = (0..3).map(|_| it.begin("another", 2, at(0)).is_ok()).collect();
        assert_eq!(tries, [true, true, false]);
    }

    #[test]
    fn what_nobody_looked_at_was_no_wrong_one() {
        let it = Throttle::default();
        let busy = || Err::<bool, _>(Error::new(ErrorKind::RateLimited, "busy"));
        for _ in 0..9 {
            it.begin("a", 1, at(0)).unwrap();
            it.begin("b", 1, at(0)).unwrap();
            assert!(it.judged(&["a", "b"], busy()).is_err());
        }
        it.begin("a", 1, at(0)).unwrap();
        assert!(!it.judged(&["a", "b"], Ok(false)).unwrap());
        assert!(it.begin("a", 1, at(0)).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let it = Throttle::default();
        assert!(it.begin("a", 1, at(10_000_000)).is_ok());
        assert!(it.begin("a", 1, at(0)).is_err());
        assert!(it.begin("a", 1, at(1_000)).is_ok());
    }
}
