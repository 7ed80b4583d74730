//! How a new version does in its first time, and when it is taken back.

use std::sync::atomic::{AtomicBool, Ordering};

use sluicegate_config::PolicyRollback;
use sluicegate_core::Timestamp;
use sluicegate_core::tally::PolicyCounts;

use crate::store::PolicyStanding;

/// A rate of fewer calls than these says nothing about what to compare with.
const MIN_CALLS_BEFORE: u64 = 20;

/// Refusals of fewer keys than these are no sign of a mistake: whom a rule was made for could else undo it by insisting.
const MIN_DENIED_KEYS: u32 = 3;

/// The watch over a version that was activated.
pub(super) struct Watch {
    from: Timestamp,
    denied_before_ppm: u32,
    /// It has done well for long enough, or nothing more can be done.
    over: AtomicBool,
}

impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        (self.from, self.denied_before_ppm) == (other.from, other.denied_before_ppm)
    }
}

impl Watch {
    /// The watch over a version that stands like this; `None` when it isn't watched.
    pub(super) fn of(standing: &PolicyStanding) -> Option<Self> {
        let from = standing.activated_at.filter(|_| standing.watched)?;
        let denied_before_ppm = standing.denied_before_ppm.unwrap_or(0);
        Some(Self { from, denied_before_ppm, over: AtomicBool::new(false) })
    }

    /// Watches no longer.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Why the version must be taken back, if it must.
    pub(super) fn judge(
        &self,
        counts: PolicyCounts,
        settings: &PolicyRollback,
        now: Timestamp,
    ) -> Option<String> {
        let window = i64::try_from(settings.window_ms).unwrap_or(i64::MAX);
        if self.over.load(Ordering::Relaxed) {
            return None;
        }
        if now >= self.from.plus_ms(window) {
            self.end();
            return None;
        }
        let PolicyCounts { calls, errors, denied, denied_keys } = counts;
        if calls < settings.min_calls.max(1) {
            return None;
        }
        if errors.saturating_mul(100) > calls.saturating_mul(settings.max_error_percent.into()) {
            return Some(format!("it failed {errors} times in {calls} calls"));
        }
        let allowed = u64::from(self.denied_before_ppm) + u64::from(settings.max_denied_percent) * 10_000;
        let too_many = denied.saturating_mul(1_000_000) > calls.saturating_mul(allowed);
        if too_many && denied_keys >= MIN_DENIED_KEYS {
            let before = f64::from(self.denied_before_ppm) / 10_000.0;
            return Some(format!(
                "it refused {denied} of {calls} calls; before it {before:.1} % were refused"
            ));
        }
        if calls >= settings.max_calls {
            self.end();
        }
        None
    }
}

/// Of the calls that a script has steered, so many were refused by it, in millionths; `None` after too few.
pub(super) fn denied_ppm(counts: PolicyCounts) -> Option<u32> {
    let PolicyCounts { calls, denied, .. } = counts;
    (calls >= MIN_CALLS_BEFORE)
        .then(|| u32::try_from(denied.saturating_mul(1_000_000) / calls).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_000;

    fn watch(before: Option<u32>) -> Watch {
        let standing = PolicyStanding {
            denied_before_ppm: before,
            activated_at: Some(Timestamp::from_ms(START)),
            watched: true,
            ..PolicyStanding::default()
        };
        Watch::of(&standing).unwrap()
    }

    /// Calls, errors, denied, milliseconds since the start, refused before in millionths; and what is said.
    type Row = (u64, u64, u64, i64, Option<u32>, &'static str);

    #[test]
    fn a_version_is_taken_back_beyond_its_bounds_and_no_sooner() {
        let rows: &[Row] = &[
            (0, 0, 0, 0, None, ""),
            // Too few to say.
            (19, 19, 19, 0, None, ""),
            (20, 1, 0, 0, None, ""),
            (20, 2, 0, 0, None, "it failed 2 times in 20 calls"),
            (100, 5, 0, 0, None, ""),
            (100, 6, 0, 0, None, "it failed 6 times in 100 calls"),
            (100, 0, 20, 0, None, ""),
            (100, 0, 21, 0, None, "it refused 21 of 100 calls; before it 0.0 % were refused"),
            // What was refused before is no fault of the new one.
            (100, 0, 50, 0, Some(300_000), ""),
            (100, 0, 51, 0, Some(300_000), "it refused 51 of 100 calls; before it 30.0 % were refused"),
            (100, 0, 100, 0, Some(900_000), ""),
            // Too late.
            (100, 100, 100, 599_999, None, "it failed 100 times in 100 calls"),
            (100, 100, 100, 600_000, None, ""),
            (u64::MAX, u64::MAX, u64::MAX, 0, None, "it failed"),
        ];
        for (calls, errors, denied, ms, before, want) in rows {
            let counts = PolicyCounts { calls: *calls, errors: *errors, denied: *denied, denied_keys: 3 };
            let now = Timestamp::from_ms(START + ms);
            let said = watch(*before).judge(counts, &PolicyRollback::default(), now).unwrap_or_default();
            let fits =
                if *calls == u64::MAX { said.is_empty() || said.starts_with(want) } else { said == *want };
            assert!(fits, "{calls} {errors} {denied} {ms} {before:?}: {said}");
        }
    }

    #[test]
    fn after_so_many_calls_nobody_looks_any_more() {
        let (watch, settings, now) = (watch(None), PolicyRollback::default(), Timestamp::from_ms(START));
        let counts = |calls, errors| PolicyCounts { calls, errors, ..PolicyCounts::default() };
        assert_eq!(watch.judge(counts(999, 0), &settings, now), None);
        assert!(watch.judge(counts(999, 999), &settings, now).is_some());
        assert_eq!(watch.judge(counts(1_000, 0), &settings, now), None);
        assert_eq!(watch.judge(counts(2_000, 1_000), &settings, now), None);
    }

    #[test]
    fn those_whom_a_rule_was_made_for_cannot_undo_it_by_insisting() {
        let settings = PolicyRollback::default();
        let of =
            |denied_keys| PolicyCounts { calls: 900, denied: 900, denied_keys, ..PolicyCounts::default() };
        let said = |keys| watch(None).judge(of(keys), &settings, Timestamp::from_ms(START));
        assert_eq!((said(1), said(2)), (None, None));
        assert!(said(3).is_some());
    }

    #[test]
    fn only_what_was_activated_is_watched() {
        let at = Some(Timestamp::from_ms(START));
        let of = |activated_at, watched| {
            Watch::of(&PolicyStanding { activated_at, watched, ..PolicyStanding::default() }).is_some()
        };
        assert!(of(at, true) && !of(at, false) && !of(None, true));
        let never = PolicyRollback { window_ms: 0, ..PolicyRollback::default() };
        let counts = PolicyCounts { calls: 100, errors: 100, denied: 100, denied_keys: 3 };
        assert_eq!(watch(None).judge(counts, &never, Timestamp::from_ms(START)), None);
    }
}
