//! Where windows begin and end.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::limit::Window;
use crate::time::Timestamp;

/// Buckets of a rolling window.
pub(super) const BUCKETS: i64 = 60;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// One window (of a rolling one: one bucket), `start` ≤ t < `end`, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Counts the windows of one kind: consecutive windows have consecutive numbers.
    pub(super) ordinal: i64,
    /// The first instant; also the window's name in reservations and balances.
    pub(super) start: i64,
    /// The first instant after it; `i64::MAX` for a lifetime.
    pub(super) end: i64,
}

impl Span {
    /// Before everything: what a counter has before its first use.
    pub(super) const NEVER: Span = Span { ordinal: i64::MIN, start: i64::MIN, end: i64::MIN };

    /// The window that `at` falls into.
    pub(super) fn of(window: Window, at: Timestamp, zone: &TimeZone) -> Span {
        let ms = at.as_ms();
        match window {
            Window::Minute => fixed(ms, MINUTE_MS),
            Window::Hour => fixed(ms, HOUR_MS),
            Window::RollingMs(length_ms) => fixed(ms, bucket_ms(length_ms)),
            Window::Lifetime => Span { ordinal: 0, start: 0, end: i64::MAX },
            // Beyond the calendar's range (the years -9999 to 9999) days are those of UTC.
            Window::Day => calendar(Unit::Day, ms, zone).unwrap_or_else(|| fixed(ms, 24 * HOUR_MS)),
            Window::Week => calendar(Unit::Week, ms, zone).unwrap_or_else(|| fixed(ms, 7 * 24 * HOUR_MS)),
            Window::Month => calendar(Unit::Month, ms, zone).unwrap_or_else(|| fixed(ms, 30 * 24 * HOUR_MS)),
        }
    }
}

/// When the window that `at` falls into began; of a rolling one, the bucket.
pub fn window_start(window: Window, at: Timestamp, zone: &TimeZone) -> Timestamp {
    Timestamp::from_ms(Span::of(window, at, zone).start)
}

/// How long one bucket of a rolling window lasts. Of the 60 buckets one is under way, so the other 59 must cover the
/// whole window: nothing falls out before it is as old as the window is long.
pub fn bucket_ms(length_ms: u64) -> i64 {
    i64::try_from(length_ms.max(60).div_ceil(BUCKETS.unsigned_abs() - 1)).unwrap_or(i64::MAX)
}

fn fixed(ms: i64, length_ms: i64) -> Span {
    let ordinal = ms.div_euclid(length_ms);
    let start = ordinal.saturating_mul(length_ms);
    Span { ordinal, start, end: start.saturating_add(length_ms) }
}

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
}

impl Unit {
    /// The first day of the unit that holds `date`.
    fn first(self, date: Date) -> Option<Date> {
        match self {
            Unit::Day => Some(date),
            Unit::Week => {
                let days = i64::from(date.weekday().to_monday_zero_offset());
                date.checked_sub(jiff::SignedDuration::from_hours(24 * days)).ok()
            }
            Unit::Month => Some(date.first_of_month()),
        }
    }

    /// The first day of the unit `by` (1 or -1) units after the one that begins with `first`.
    fn neighbour(self, first: Date, by: i64) -> Option<Date> {
        let span = jiff::Span::new();
        let span = match self {
            Unit::Day => span.try_days(by),
            Unit::Week => span.try_weeks(by),
            Unit::Month => span.try_months(by),
        };
        first.checked_add(span.ok()?).ok()
    }

    fn ordinal(self, first: Date) -> i64 {
        let days = first.duration_since(Date::constant(1970, 1, 1)).as_hours().div_euclid(24);
        match self {
            Unit::Day => days,
            // 1970-01-05 was a Monday.
            Unit::Week => (days - 4).div_euclid(7),
            Unit::Month => i64::from(first.year()) * 12 + i64::from(first.month()) - 1,
        }
    }
}

/// A calendar window is what lies between two beginnings, and not the instants that show its date: where clocks are set
/// back across midnight, a date comes twice.
fn calendar(unit: Unit, ms: i64, zone: &TimeZone) -> Option<Span> {
    let shown = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone()).date();
    let mut first = unit.first(shown)?;
    let mut start = begins(first, zone)?;
    if ms < start {
        first = unit.neighbour(first, -1)?;
        start = begins(first, zone)?;
    }
    let mut next = unit.neighbour(first, 1)?;
    let mut end = begins(next, zone)?;
    if ms >= end {
        (first, start) = (next, end);
        next = unit.neighbour(first, 1)?;
        end = begins(next, zone)?;
    }
    (start <= ms && ms < end).then(|| Span { ordinal: unit.ordinal(first), start, end })
}

/// The first instant of a date; for a date that a zone skips, of the next one.
fn begins(date: Date, zone: &TimeZone) -> Option<i64> {
    let noted = date.to_zoned(zone.clone()).ok()?;
    Some(noted.start_of_day().ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn windows_begin_and_end_where_the_calendar_says() {
        for (window, zone, at, start, end) in [
            (
                Window::Minute,
                "Asia/Shanghai",
                "2026-03-01T10:11:59.999Z",
                "2026-03-01T10:11:00Z",
                "2026-03-01T10:12:00Z",
            ),
            (
                Window::Hour,
                "Asia/Kolkata",
                "2026-03-01T10:00:00Z",
                "2026-03-01T10:00:00Z",
                "2026-03-01T11:00:00Z",
            ),
            (Window::Day, "UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            (
                Window::Day,
                "Asia/Shanghai",
                "2026-03-01T15:59:59Z",
                "2026-02-28T16:00:00Z",
                "2026-03-01T16:00:00Z",
            ),
            // 23 and 25 hours.
            (
                Window::Day,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                Window::Day,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // No midnight: the day begins at one.
            (
                Window::Day,
                "America/Sao_Paulo",
                "2018-11-04T12:00:00Z",
                "2018-11-04T03:00:00Z",
                "2018-11-05T02:00:00Z",
            ),
            // A minute past midnight the clock goes back to 23:01: the day has already begun.
            (
                Window::Day,
                "America/St_Johns",
                "2010-11-07T03:00:00Z",
                "2010-11-07T02:30:00Z",
                "2010-11-08T03:30:00Z",
            ),
            // 2011-12-30 didn't happen.
            (
                Window::Day,
                "Pacific/Apia",
                "2011-12-30T09:00:00Z",
                "2011-12-29T10:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
            (Window::Week, "UTC", "2026-03-01T23:59:59Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
            (
                Window::Week,
                "America/New_York",
                "2026-03-09T03:59:59Z",
                "2026-03-02T05:00:00Z",
                "2026-03-09T04:00:00Z",
            ),
            (Window::Month, "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            (
                Window::Month,
                "Asia/Tokyo",
                "2025-12-31T15:00:00Z",
                "2025-12-31T15:00:00Z",
                "2026-01-31T15:00:00Z",
            ),
        ] {
            let zone_of = TimeZone::get(zone).unwrap();
            let span = Span::of(window, Timestamp::from_ms(ms(at)), &zone_of);
            assert_eq!((span.start, span.end), (ms(start), ms(end)), "{window} of {at} in {zone}");
        }
    }

    #[test]
    fn windows_follow_each_other_without_gap() {
        for zone in ["UTC", "Europe/London", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"] {
            let zone = TimeZone::get(zone).unwrap();
            for window in [
                Window::Minute,
                Window::Hour,
                Window::Day,
                Window::Week,
                Window::Month,
                Window::RollingMs(90_000),
            ] {
                let mut span = Span::of(window, Timestamp::from_ms(ms("2009-12-31T12:00:00Z")), &zone);
                for _ in 0..800 {
                    let last = Span::of(window, Timestamp::from_ms(span.end - 1), &zone);
                    assert_eq!(last, span);
                    let next = Span::of(window, Timestamp::from_ms(span.end), &zone);
                    assert_eq!(next.start, span.end);
                    // A skipped day leaves its number out.
                    assert!((1..=2).contains(&(next.ordinal - span.ordinal)), "{span:?} {next:?}");
                    span = next;
                }
            }
        }
    }

    #[test]
    fn no_instant_is_too_far() {
        for window in [
            Window::Minute,
            Window::Day,
            Window::Week,
            Window::Month,
            Window::RollingMs(u64::MAX),
            Window::RollingMs(0),
        ] {
            for at in [i64::MIN, i64::MIN + 1, -377_705_116_800_000, 253_402_300_799_999, i64::MAX] {
                let span = Span::of(window, Timestamp::from_ms(at), &TimeZone::UTC);
                assert!(span.start <= at || at < i64::MIN + 86_400_000 * 31, "{window} {at} {span:?}");
                assert!(span.start <= span.end);
            }
        }
    }
}
