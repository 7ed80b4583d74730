//! Hours, days, weeks and months of a time zone.

use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Unit, Zoned};
use serde::{Deserialize, Serialize};
use sluicegate_core::{Error, ErrorKind, Result, Timestamp};

use super::Compare;

/// A report has so many buckets at most: hours of six weeks, days of almost three years.
const BUCKETS_MAX: usize = 1_000;
const HOUR_MS: i64 = 3_600_000;

/// How time is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// By the hour.
    Hour,
    /// By the day.
    #[default]
    Day,
    /// By the week, from Monday.
    Week,
    /// By the month.
    Month,
    /// Not at all.
    Total,
}

impl Granularity {
    /// Whether its buckets are whole days.
    pub(in crate::admin) fn is_of_days(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month)
    }
}

/// The times of so many buckets each, one after the other, and of one where that is none.
pub(super) fn pieces(
    buckets: &[(Timestamp, Timestamp)],
    at_a_time: usize,
) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let ends = |piece: &[(Timestamp, Timestamp)]| Some((piece.first()?.0, piece.last()?.1));
    buckets.chunks(at_a_time.max(1)).filter_map(ends)
}

/// Buckets of time in a zone.
pub(in crate::admin) struct Calendar {
    zone: TimeZone,
    granularity: Granularity,
}

impl Calendar {
    /// Refuses a zone whose hours begin at other minutes than those that sums are kept by.
    pub(in crate::admin) fn new(zone: TimeZone, granularity: Granularity, kept: &TimeZone) -> Result<Self> {
        // 2026: zones have changed their minutes before, and hours then began elsewhere.
        let present = jiff::Timestamp::from_second(1_767_225_600).unwrap_or_default();
        let minutes = |zone: &TimeZone| zone.to_offset(present).seconds().rem_euclid(3_600);
        if minutes(&zone) != minutes(kept) {
            let name = |zone: &TimeZone| zone.iana_name().unwrap_or("UTC").to_owned();
            let message = format!(
                "the hours of `{}` begin at other minutes than those of `{}`, which sums are kept by; ask for a time zone \
                 whose hours do, or set `time_zone` in the configuration",
                name(&zone),
                name(kept)
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "time_zone"));
        }
        Ok(Self { zone, granularity })
    }

    pub(in crate::admin) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether its days are those of another zone.
    pub(in crate::admin) fn has_days_of(&self, other: &TimeZone) -> bool {
        let name = self.zone.iana_name();
        self.zone == *other || (name.is_some() && name == other.iana_name())
    }

    pub(in crate::admin) fn zone_name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    /// The time that is asked for, widened to whole buckets.
    pub(in crate::admin) fn range(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp)> {
        let to = self.ceil(to.unwrap_or(now.plus_ms(1)));
        let from = match from {
            Some(from) => self.floor(from),
            None => self.usual_start(to),
        };
        if from >= to {
            let message = "`to` must be later than `from`";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "to"));
        }
        Ok((from, to))
    }

    /// A day of hours, thirty days, twelve weeks, twelve months.
    fn usual_start(&self, to: Timestamp) -> Timestamp {
        let back = match self.granularity {
            Granularity::Hour => 24.hours(),
            Granularity::Day | Granularity::Total => 30.days(),
            Granularity::Week => 12.weeks(),
            Granularity::Month => 12.months(),
        };
        let start = self.zoned(to).checked_sub(back);
        self.floor(start.map_or(to, |start| of(&start)))
    }

    /// The spans from one instant to another; none with `total`.
    pub(in crate::admin) fn buckets(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>> {
        let mut buckets = Vec::new();
        let mut at = from;
        while at < to && self.granularity != Granularity::Total {
            if buckets.len() == BUCKETS_MAX {
                let message = format!(
                    "that would be more than {BUCKETS_MAX} buckets; ask for a shorter time or a coarser `granularity`"
                );
                return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "granularity"));
            }
            let next = self.after(at);
            buckets.push((at, next));
            at = next;
        }
        Ok(buckets)
    }

    /// The time that another is compared with, as long as that: in hours, days or months, as it is told apart, and in days where it is
    /// from one midnight to another.
    pub(in crate::admin) fn compared(
        &self,
        with: Compare,
        from: Timestamp,
        to: Timestamp,
    ) -> (Timestamp, Timestamp) {
        let (start, end) = (self.zoned(from), self.zoned(to));
        let is_midnight = |at: &Zoned| at.start_of_day().is_ok_and(|it| it == *at);
        let unit = match self.granularity {
            Granularity::Hour => Some(Unit::Hour),
            Granularity::Month => Some(Unit::Month),
            Granularity::Day | Granularity::Week => Some(Unit::Day),
            Granularity::Total => (is_midnight(&start) && is_midnight(&end)).then_some(Unit::Day),
        };
        let length = unit.and_then(|unit| start.until((unit, &end)).ok());
        let ms = to.since_ms(from);
        match with {
            Compare::Previous => {
                let before = length.and_then(|length| start.checked_sub(length).ok());
                (before.map_or(from.plus_ms(ms.saturating_neg()), |it| self.floor(of(&it))), from)
            }
            Compare::From(at) => {
                let begin = self.floor(at);
                let end = length.and_then(|length| self.zoned(begin).checked_add(length).ok());
                (begin, end.map_or(begin.plus_ms(ms), |it| self.floor(of(&it))))
            }
        }
    }

    /// The start of the bucket that an instant is in.
    pub(in crate::admin) fn floor(&self, at: Timestamp) -> Timestamp {
        let zoned = self.zoned(at);
        let day = |zoned: &Zoned| zoned.start_of_day();
        let start = match self.granularity {
            Granularity::Hour | Granularity::Total => {
                let offset = i64::from(zoned.offset().seconds()) * 1_000;
                let ms = zoned.timestamp().as_millisecond() + offset;
                return Timestamp::from_ms(ms.div_euclid(HOUR_MS) * HOUR_MS - offset);
            }
            Granularity::Day => day(&zoned),
            Granularity::Week => {
                let back = i64::from(zoned.weekday().to_monday_zero_offset());
                zoned.checked_sub(back.days()).and_then(|monday| day(&monday))
            }
            Granularity::Month => zoned.first_of_month().and_then(|first| day(&first)),
        };
        start.map_or(at, |start| of(&start))
    }

    pub(in crate::admin) fn ceil(&self, at: Timestamp) -> Timestamp {
        let start = self.floor(at);
        if start == at { at } else { self.after(start) }
    }

    /// The start of the bucket after the one that begins here.
    fn after(&self, start: Timestamp) -> Timestamp {
        let zoned = self.zoned(start);
        let next = match self.granularity {
            Granularity::Hour | Granularity::Total => return start.plus_ms(HOUR_MS),
            Granularity::Day => zoned.checked_add(1.day()),
            Granularity::Week => zoned.checked_add(1.week()),
            Granularity::Month => zoned.checked_add(1.month()),
        };
        // Not midnight where clocks skip it.
        let next = next.and_then(|next| next.start_of_day());
        next.map_or(start.plus_ms(HOUR_MS), |next| of(&next))
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default().to_zoned(self.zone.clone())
    }
}

fn of(zoned: &Zoned) -> Timestamp {
    Timestamp::from_ms(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Timestamp {
        Timestamp::from_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn calendar(zone: &str, granularity: Granularity) -> Calendar {
        Calendar::new(TimeZone::get(zone).unwrap(), granularity, &TimeZone::UTC).unwrap()
    }

    #[test]
    fn buckets_are_the_zones() {
        for (zone, granularity, from, to, first, count) in [
            (
                "UTC",
                Granularity::Hour,
                "2026-01-01T10:20:00Z",
                "2026-01-01T12:00:00Z",
                "2026-01-01T10:00:00Z",
                2,
            ),
            (
                "Asia/Shanghai",
                Granularity::Day,
                "2026-01-01T17:00:00Z",
                "2026-01-03T15:59:00Z",
                "2026-01-01T16:00:00Z",
                2,
            ),
            (
                "UTC",
                Granularity::Week,
                "2026-01-01T00:00:00Z",
                "2026-01-12T00:00:00Z",
                "2025-12-29T00:00:00Z",
                2,
            ),
            (
                "UTC",
                Granularity::Month,
                "2026-01-31T00:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
                2,
            ),
            // Clocks go forward on the 8th: that day has 23 hours.
            (
                "America/New_York",
                Granularity::Day,
                "2026-03-08T05:00:00Z",
                "2026-03-09T04:00:00Z",
                "2026-03-08T05:00:00Z",
                1,
            ),
            (
                "America/New_York",
                Granularity::Hour,
                "2026-03-08T05:00:00Z",
                "2026-03-09T04:00:00Z",
                "2026-03-08T05:00:00Z",
                23,
            ),
            (
                "UTC",
                Granularity::Total,
                "2026-01-01T10:20:00Z",
                "2026-01-01T12:00:00Z",
                "2026-01-01T10:00:00Z",
                0,
            ),
        ] {
            let calendar = calendar(zone, granularity);
            let (from, to) =
                calendar.range(Some(ms(from)), Some(ms(to)), ms("2027-01-01T00:00:00Z")).unwrap();
            assert_eq!(from, ms(first), "{zone} {granularity:?}");
            assert_eq!(calendar.buckets(from, to).unwrap().len(), count, "{zone} {granularity:?}");
        }
    }

    #[test]
    fn what_is_compared_is_as_long() {
        let (hour, day, month, total) =
            (Granularity::Hour, Granularity::Day, Granularity::Month, Granularity::Total);
        for (zone, granularity, from, to, begins, want) in [
            (
                "UTC",
                hour,
                "2026-01-01T10:00Z",
                "2026-01-01T12:00Z",
                "",
                ["2026-01-01T08:00Z", "2026-01-01T10:00Z"],
            ),
            (
                "UTC",
                day,
                "2026-01-08T00:00Z",
                "2026-01-15T00:00Z",
                "",
                ["2026-01-01T00:00Z", "2026-01-08T00:00Z"],
            ),
            (
                "UTC",
                month,
                "2026-03-01T00:00Z",
                "2026-04-01T00:00Z",
                "",
                ["2026-02-01T00:00Z", "2026-03-01T00:00Z"],
            ),
            (
                "UTC",
                total,
                "2026-01-01T10:00Z",
                "2026-01-01T12:00Z",
                "",
                ["2026-01-01T08:00Z", "2026-01-01T10:00Z"],
            ),
            // From its own first day on, or hour, or month.
            (
                "UTC",
                hour,
                "2026-01-01T10:00Z",
                "2026-01-01T12:00Z",
                "2025-12-01T07:45Z",
                ["2025-12-01T07:00Z", "2025-12-01T09:00Z"],
            ),
            (
                "UTC",
                day,
                "2026-01-08T00:00Z",
                "2026-01-15T00:00Z",
                "2025-01-08T09:00Z",
                ["2025-01-08T00:00Z", "2025-01-15T00:00Z"],
            ),
            (
                "UTC",
                month,
                "2026-02-01T00:00Z",
                "2026-04-01T00:00Z",
                "2025-02-14T00:00Z",
                ["2025-02-01T00:00Z", "2025-04-01T00:00Z"],
            ),
            // Clocks go forward on the 8th of March 2026: a week has an hour less, told apart by days or not at all.
            (
                "America/New_York",
                day,
                "2026-03-02T05:00Z",
                "2026-03-09T04:00Z",
                "",
                ["2026-02-23T05:00Z", "2026-03-02T05:00Z"],
            ),
            (
                "America/New_York",
                total,
                "2026-03-02T05:00Z",
                "2026-03-09T04:00Z",
                "",
                ["2026-02-23T05:00Z", "2026-03-02T05:00Z"],
            ),
            (
                "America/New_York",
                total,
                "2026-01-05T05:00Z",
                "2026-01-12T05:00Z",
                "2026-03-02T05:00Z",
                ["2026-03-02T05:00Z", "2026-03-09T04:00Z"],
            ),
        ] {
            let with = if begins.is_empty() { Compare::Previous } else { Compare::From(ms(begins)) };
            let found = calendar(zone, granularity).compared(with, ms(from), ms(to));
            assert_eq!(found, (ms(want[0]), ms(want[1])), "{zone} {granularity:?} {from} {begins}");
        }
        // What no calendar has ends somewhere.
        let far = Timestamp::from_ms(i64::MAX);
        let _ = calendar("UTC", day).compared(Compare::From(far), far, far);
    }

    #[test]
    fn pieces_follow_each_other_without_a_gap() {
        let (from, to) = (ms("2026-01-01T00:00:00Z"), ms("2026-01-08T00:00:00Z"));
        let days = calendar("UTC", Granularity::Day).buckets(from, to).unwrap();
        for (at_a_time, count) in [(0, 7), (1, 7), (3, 3), (7, 1), (100, 1)] {
            let pieces: Vec<_> = pieces(&days, at_a_time).collect();
            assert_eq!(pieces.len(), count, "{at_a_time}");
            assert_eq!((pieces[0].0, pieces[count - 1].1), (from, to));
            assert!(pieces.windows(2).all(|two| two[0].1 == two[1].0));
        }
        assert_eq!(pieces(&[], 3).count(), 0);
    }

    #[test]
    fn too_much_time_and_none_is_refused() {
        let hours = calendar("UTC", Granularity::Hour);
        let (from, to) = (ms("2026-01-01T00:00:00Z"), ms("2026-06-01T00:00:00Z"));
        assert!(hours.buckets(from, to).unwrap_err().message().contains("coarser"));
        assert!(hours.range(Some(to), Some(from), to).is_err());
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        let refused = Calendar::new(kolkata.clone(), Granularity::Day, &TimeZone::UTC).err().unwrap();
        assert!(refused.message().contains("`Asia/Kolkata`"), "{refused}");
        assert!(Calendar::new(kolkata.clone(), Granularity::Day, &kolkata).is_ok());
        let (from, to) = hours.range(None, None, ms("2026-01-02T10:20:00Z")).unwrap();
        assert_eq!((from, to), (ms("2026-01-01T11:00:00Z"), ms("2026-01-02T11:00:00Z")));
    }
}
