//! Of which sums a time is made that nothing tells apart: whole months, thirds of months and days, each added or taken away.
//!
//! A month that a time leaves little out of is the whole month without that, so that at neither end more than half a month is
//! read by the day.

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::rollup::{Period, third_of};

/// A third of a month, or a month, has about as many rows as so many days: what is told apart comes back from day to day.
const COARSE_DAYS: i64 = 2;

/// More days are read at two goes, on two connections.
const TOGETHER_DAYS: i64 = 8;

/// Sums of one kind that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// How long those are that are added.
    pub(super) period: Period,
    /// From the one that begins here.
    pub(super) from: Date,
    /// Up to the one that begins here.
    pub(super) to: Date,
    /// Whether they are taken away instead.
    pub(super) is_less: bool,
}

/// What there is to make times of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Thirds of months.
    pub(super) thirds: bool,
    /// Months.
    pub(super) months: bool,
    /// Months before this one have no days by themselves: each is read at once, or not at all.
    pub(super) whole: Date,
    /// The day after the last that has sums: leaving out what comes later costs nothing.
    pub(super) until: Date,
}

impl Kept {
    /// What a time is made of. What is in one list is read at once, for what is taken away must be in what it is taken from.
    pub(super) fn make(self, from: Date, to: Date) -> Vec<Vec<Span>> {
        let mut all: Vec<Vec<Span>> = Vec::new();
        let mut start = from.first_of_month();
        // BOUND: months between two dates.
        while start < to {
            let end = next_month(start);
            let part = self.month((start, end), (from.max(start), to.min(end)));
            match (all.last_mut().map(Vec::as_mut_slice), part.as_slice()) {
                // Whole months lie together.
                (Some([last]), [next]) if last.continues_with(next) => last.to = next.to,
                (_, []) => {}
                (_, [days])
                    if days.period == Period::Day && start >= self.whole && length(days) > TOGETHER_DAYS =>
                {
                    let middle = days.from.saturating_add((length(days) / 2).days());
                    all.push(vec![Span { to: middle, ..*days }]);
                    all.push(vec![Span { from: middle, ..*days }]);
                }
                _ => all.push(part),
            }
            if end <= start {
                // The end of the calendar.
                break;
            }
            start = end;
        }
        all
    }

    /// A part of a month.
    fn month(self, (start, end): (Date, Date), (from, to): (Date, Date)) -> Vec<Span> {
        if start < self.whole {
            let period = if self.months { Period::Month } else { Period::Day };
            // It counts on its first day.
            let is_in = from <= start;
            return is_in
                .then_some(Span { period, from: start, to: end, is_less: false })
                .into_iter()
                .collect();
        }
        let plain = self.thirds_of(from, to);
        if !self.months {
            return plain;
        }
        let mut whole = vec![Span { period: Period::Month, from: start, to: end, is_less: false }];
        whole.extend(less(self.thirds_of(start, from)));
        whole.extend(less(self.thirds_of(to, end)));
        self.cheaper(plain, whole)
    }

    /// A part of a month by thirds and days.
    fn thirds_of(self, from: Date, to: Date) -> Vec<Span> {
        if !self.thirds {
            return days(from, to);
        }
        let mut all = Vec::new();
        let mut at = from;
        // BOUND: three.
        while at < to {
            let start = at.with().day(third_of(at.day())).build().unwrap_or(at);
            let end = match start.day() {
                1 | 11 => start.saturating_add(10.days()),
                _ => next_month(start),
            };
            let plain = days(at, to.min(end));
            let mut whole = vec![Span { period: Period::Third, from: start, to: end, is_less: false }];
            whole.extend(less(days(start, at)));
            whole.extend(less(days(to.min(end), end)));
            all.extend(self.cheaper(plain, whole));
            if end <= at {
                break;
            }
            at = end;
        }
        all
    }

    fn cheaper(self, plain: Vec<Span>, whole: Vec<Span>) -> Vec<Span> {
        let cost = |spans: &[Span]| spans.iter().map(|span| self.cost(span)).sum::<i64>();
        if cost(&whole) < cost(&plain) { whole } else { plain }
    }

    fn cost(self, span: &Span) -> i64 {
        match span.period {
            Period::Third | Period::Month => COARSE_DAYS,
            _ => length(&Span { to: span.to.min(self.until), ..*span }),
        }
    }
}

impl Span {
    fn continues_with(&self, next: &Self) -> bool {
        self.period == Period::Month
            && next.period == Period::Month
            && !self.is_less
            && !next.is_less
            && self.to == next.from
    }
}

fn days(from: Date, to: Date) -> Vec<Span> {
    let is_any = from < to;
    is_any.then_some(Span { period: Period::Day, from, to, is_less: false }).into_iter().collect()
}

/// How many days it is long.
fn length(span: &Span) -> i64 {
    span.from.until(span.to).map_or(0, |time| i64::from(time.get_days())).max(0)
}

fn less(spans: Vec<Span>) -> impl Iterator<Item = Span> {
    spans.into_iter().map(|span| Span { is_less: !span.is_less, ..span })
}

fn next_month(date: Date) -> Date {
    date.first_of_month().saturating_add(1.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// As `+M09` (a month), `-T21` (a third) or `+16-20` (days).
    fn told(spans: &[Span]) -> String {
        let one = |it: &Span| {
            let sign = if it.is_less { '-' } else { '+' };
            let (from, last) = (it.from, it.to.saturating_sub(1.day()));
            match it.period {
                Period::Month if from.month() == last.month() => format!("{sign}M{:02}", from.month()),
                Period::Month => format!("{sign}M{:02}..{:02}", from.month(), last.month()),
                Period::Third => format!("{sign}T{:02}", from.day()),
                _ => format!("{sign}{:02}..{:02}", from.day(), last.day()),
            }
        };
        spans.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_time_is_made_of_few_sums() {
        for (from, to, until, want) in [
            ("2026-09-01", "2026-10-01", "2026-12-15", "+M09"),
            ("2026-09-01", "2026-12-01", "2026-12-15", "+M09..11"),
            // Up to now: nothing has been used afterwards.
            ("2026-11-01", "2026-12-15", "2026-12-15", "+M11 | +M12 -15..20 -21..31"),
            ("2026-09-03", "2026-12-15", "2026-12-15", "+M09 -01..02 | +M10..11 | +M12 -15..20 -21..31"),
            ("2026-09-19", "2026-11-01", "2026-12-15", "+19..20 +T21 | +M10"),
            ("2026-09-15", "2026-10-01", "2026-12-15", "+15..20 +T21"),
            ("2026-09-12", "2026-09-13", "2026-12-15", "+12..12"),
            ("2026-09-20", "2026-09-22", "2026-12-15", "+20..20 +21..21"),
            ("2026-12-05", "2026-12-06", "2026-12-06", "+05..05"),
            ("2026-09-01", "2026-09-01", "2026-12-15", ""),
        ] {
            let kept = Kept { thirds: true, months: true, whole: Date::MIN, until: date(until) };
            let made: Vec<String> = kept.make(date(from), date(to)).iter().map(|spans| told(spans)).collect();
            assert_eq!(made.join(" | "), want, "{from} to {to}");
        }
    }

    #[test]
    fn months_without_days_are_read_at_once() {
        for (months, from, to, want) in [
            (true, "2026-08-01", "2026-11-16", "+M08..10 | +T01 +11..15"),
            (true, "2026-08-10", "2026-11-16", "+M09..10 | +T01 +11..15"),
            (false, "2026-08-01", "2026-10-06", "+01..31 | +01..30 | +01..05"),
        ] {
            let kept = Kept { thirds: true, months, whole: date("2026-10-01"), until: date("2026-12-15") };
            let made: Vec<String> = kept.make(date(from), date(to)).iter().map(|spans| told(spans)).collect();
            assert_eq!(made.join(" | "), want, "{from} to {to}");
        }
    }

    /// Whatever it is made of, each day is in it once, and no other is.
    #[test]
    fn each_day_is_counted_once() {
        let first = date("2027-12-20");
        for (thirds, months) in [(false, false), (false, true), (true, false), (true, true)] {
            for (from, length) in (0..75).flat_map(|from| (0..140).step_by(3).map(move |to| (from, to))) {
                let (from, until) = (first.saturating_add(from.days()), first.saturating_add(50.days()));
                let to = from.saturating_add(length.days());
                let mut counts = std::collections::BTreeMap::new();
                for span in (Kept { thirds, months, whole: Date::MIN, until }).make(from, to).concat() {
                    assert!(thirds || span.period != Period::Third);
                    assert!(months || span.period != Period::Month);
                    let mut day = span.from;
                    while day < span.to {
                        *counts.entry(day).or_insert(0) += if span.is_less { -1 } else { 1 };
                        day = day.saturating_add(1.day());
                    }
                }
                for (day, count) in counts.iter().filter(|(_, count)| **count != 0) {
                    assert!(*count == 1 && *day >= from && *day < to, "{day} {count} of {from} to {to}");
                }
                let counted = counts.values().filter(|count| **count == 1).count();
                assert_eq!(i64::try_from(counted).unwrap(), i64::from(length), "{from} to {to}");
            }
        }
    }
}
