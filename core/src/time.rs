//! Time is an argument. Nothing in the engine reads a clock.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest representable instant: "never".
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From milliseconds since the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// From RFC 3339 (`2026-11-23T10:00:00+08:00`), or from a day with or without a time (`2026-11-23`, `2026-11-23 10:00:00`), which are
    /// those of `zone`. `None` of anything else.
    pub fn read(text: &str, zone: &TimeZone) -> Option<Self> {
        let at = match text.parse::<jiff::Timestamp>() {
            Ok(at) => at,
            // QUIRK(jiff, 0.2, https://docs.rs/jiff/0.2/jiff/civil/struct.DateTime.html): the name of a zone is passed over in what is
            // read as a time of no zone; and what is read as a day, a time with its offset.
            Err(_) if text.contains('[') => return None,
            Err(_) => text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
        };
        Some(Self(at.as_millisecond()))
    }

    /// Milliseconds since the epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This instant `ms` later, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => f.write_str("never"),
        }
    }
}

/// Where a host gets its time from. The engine never calls this: hosts do, once for each step they drive.
pub trait Clock: Send + Sync {
    /// The present. May go backwards; the engine then keeps the windows it has already opened.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whole_and_in_their_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        for (text, want) in [
            ("2027-01-01", Some(1_798_732_800_000)),
            ("2027-01-01 12:00:00", Some(1_798_776_000_000)),
            ("2027-01-01T12:00:00", Some(1_798_776_000_000)),
            ("2027-01-01T12:00:00Z", Some(1_798_804_800_000)),
            ("2027-01-01T12:00:00+08:00", Some(1_798_776_000_000)),
            ("2027-01-01T12:00:00+08:00[Asia/Shanghai]", Some(1_798_776_000_000)),
            ("2027-01-01T12:00[Asia/Shanghai]", None),
            ("2027-02-30", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(Timestamp::read(text, &zone), want.map(Timestamp::from_ms), "{text}");
        }
    }
}
