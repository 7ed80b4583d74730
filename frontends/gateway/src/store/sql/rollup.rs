//! Sums of records by hour and by day, derived in the transaction that appends them: all told apart, and smaller ones that
//! leave out what most reports don't ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use sluicegate_core::{OutcomeClass, RecordRow, Result, Timestamp, Usage};

use super::record::{Append, chunk, count, sums_args};
use super::row::Value;
use super::{Dialect, Session};
use crate::store::{Latencies, Sums};

pub(super) const HOUR_MS: i64 = 3_600_000;

/// When something counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// The start of its hour.
    pub(super) hour: i64,
    /// Its day, as `YYYY-MM-DD`.
    pub(super) day: Arc<str>,
    /// The start of that day.
    pub(super) day_start: i64,
    /// The first day of its third of a month: the 1st, the 11th or the 21st.
    pub(super) third: Arc<str>,
    /// The first day of its month.
    pub(super) month: Arc<str>,
}

/// What is told apart besides the time: organization, group, user, key, model and channel.
pub(super) type Place<'a> = [&'a str; 6];

/// Sums as they are derived.
pub(super) type Derived<'a> = BTreeMap<(Slot, Place<'a>), Sums>;

/// How long the spans are that a table has sums of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Period {
    /// Hours, named by their start.
    Hour,
    /// Days, named by their date.
    Day,
    /// Thirds of a month, named by their first day's.
    Third,
    /// Months, named by their first day's.
    Month,
}

/// A table of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Table {
    /// By the hour, everything told apart.
    Hour,
    /// By the hour alone.
    HourAll,
    /// By the hour and model alone.
    HourOneModel,
    /// By the hour and channel alone.
    HourChannel,
    /// By the hour, user and group.
    HourUser,
    /// By the hour and group alone.
    HourGroup,
    /// By the hour, model and channel.
    HourModel,
    /// By the day, everything told apart.
    Daily,
    /// By the day and group alone.
    DayGroup,
    /// By the day, without models and channels.
    DayOwner,
    /// By the day, model and channel.
    DayModel,
    /// By the third of a month, everything told apart.
    Third,
    /// By the third of a month, without models and channels.
    ThirdOwner,
    /// By the month, everything told apart.
    Month,
}

impl Table {
    /// All of them; of those that suit, the first has the fewest rows.
    pub(super) const ALL: [Self; 14] = [
        Self::DayGroup,
        Self::DayModel,
        Self::DayOwner,
        Self::Daily,
        Self::HourAll,
        Self::HourOneModel,
        Self::HourChannel,
        Self::HourUser,
        Self::HourGroup,
        Self::HourModel,
        Self::Hour,
        Self::ThirdOwner,
        Self::Third,
        Self::Month,
    ];

    /// What it tells apart besides the time, by the places in [`Place`].
    const fn parts(self) -> &'static [usize] {
        match self {
            Self::Hour | Self::Daily | Self::Third | Self::Month => &[0, 1, 2, 3, 4, 5],
            Self::HourGroup | Self::DayGroup => &[0, 1],
            Self::DayOwner | Self::ThirdOwner => &[0, 1, 2, 3],
            Self::HourAll => &[0],
            Self::HourOneModel => &[0, 4],
            Self::HourChannel => &[0, 5],
            Self::HourUser => &[0, 1, 2],
            Self::HourModel | Self::DayModel => &[0, 4, 5],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "sg_hour",
            Self::HourAll => "sg_organization_hour",
            Self::HourOneModel => "sg_hour_by_model",
            Self::HourChannel => "sg_hour_by_channel",
            Self::HourUser => "sg_hour_by_user",
            Self::HourGroup => "sg_group_hour",
            Self::HourModel => "sg_model_hour",
            Self::Daily => "sg_daily",
            Self::DayGroup => "sg_group_day",
            Self::DayOwner => "sg_day_owner",
            Self::DayModel => "sg_model_day",
            Self::Third => "sg_third",
            Self::ThirdOwner => "sg_owner_third",
            Self::Month => "sg_month",
        }
    }

    pub(super) fn period(self) -> Period {
        match self {
            Self::Hour
            | Self::HourAll
            | Self::HourOneModel
            | Self::HourChannel
            | Self::HourUser
            | Self::HourGroup
            | Self::HourModel => Period::Hour,
            Self::Daily | Self::DayGroup | Self::DayOwner | Self::DayModel => Period::Day,
            Self::Third | Self::ThirdOwner => Period::Third,
            Self::Month => Period::Month,
        }
    }

    /// The columns that tell its rows apart, the time first.
    pub(super) fn key(self) -> &'static [&'static str] {
        match self {
            Self::Hour => {
                &["hour", "organization_id", "group_id", "user_id", "key_id", "model", "channel_id"]
            }
            Self::HourAll => &["hour", "organization_id"],
            Self::HourOneModel => &["hour", "organization_id", "model"],
            Self::HourChannel => &["hour", "organization_id", "channel_id"],
            Self::HourUser => &["hour", "organization_id", "group_id", "user_id"],
            Self::HourGroup => &["hour", "organization_id", "group_id"],
            Self::HourModel => &["hour", "organization_id", "model", "channel_id"],
            Self::Daily | Self::Third => {
                &["day", "organization_id", "group_id", "user_id", "key_id", "model", "channel_id"]
            }
            Self::DayGroup => &["day", "organization_id", "group_id"],
            Self::DayOwner | Self::ThirdOwner => &["day", "organization_id", "group_id", "user_id", "key_id"],
            Self::DayModel => &["day", "organization_id", "model", "channel_id"],
            Self::Month => {
                &["month", "organization_id", "group_id", "user_id", "key_id", "model", "channel_id"]
            }
        }
    }
}

/// Finds slots; remembers the last one, for calls that are written together are of the same minute, and no hour or day begins
/// within one.
pub(super) struct Slots<'z> {
    zone: &'z TimeZone,
    known: Option<(i64, Slot)>,
}

impl<'z> Slots<'z> {
    pub(super) fn new(zone: &'z TimeZone) -> Self {
        Self { zone, known: None }
    }

    pub(super) fn of(&mut self, at: Timestamp) -> Slot {
        let minute = at.as_ms().div_euclid(60_000);
        if let Some((same, slot)) = &self.known
            && *same == minute
        {
            return slot.clone();
        }
        // A time that no calendar has is that of the epoch, as for days.
        let instant = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
        let zoned = instant.to_zoned(self.zone.clone());
        let start = zoned.start_of_day().map_or(instant, |start| start.timestamp());
        let date = zoned.date();
        let third = date.with().day(third_of(date.day())).build().unwrap_or(date);
        let slot = Slot {
            hour: hour_of(instant.as_millisecond(), zoned.offset().seconds()),
            day: date.to_string().into(),
            day_start: start.as_millisecond(),
            third: third.to_string().into(),
            month: date.first_of_month().to_string().into(),
        };
        self.known = Some((minute, slot.clone()));
        slot
    }
}

/// The day of the month with which the third of it begins that a day is in.
pub(super) fn third_of(day: i8) -> i8 {
    match day {
        ..=10 => 1,
        11..=20 => 11,
        _ => 21,
    }
}

/// The start of the hour that an instant is in, where clocks are so many seconds ahead of UTC.
pub(super) fn hour_of(ms: i64, offset_s: i32) -> i64 {
    let offset = i64::from(offset_s).saturating_mul(1_000);
    ms.saturating_add(offset).div_euclid(HOUR_MS).saturating_mul(HOUR_MS).saturating_sub(offset)
}

/// Sums of these records: tokens and money in the hour and at the channel of each attempt, the call itself in the hour that
/// it came in, at the channel that was tried last.
pub(super) fn derive<'a>(records: impl Iterator<Item = &'a RecordRow>, zone: &TimeZone) -> Derived<'a> {
    let mut sums = Derived::new();
    let mut slots = Slots::new(zone);
    for record in records {
        let place = |channel: &'a str| -> Place<'a> {
            [
                record.organization.as_str(),
                record.group.as_ref().map_or("", |id| id.as_str()),
                record.user.as_ref().map_or("", |id| id.as_str()),
                record.key.as_ref().map_or("", |id| id.as_str()),
                record.model.as_str(),
                channel,
            ]
        };
        let last = record.attempts.last().map_or("", |attempt| attempt.channel.as_str());
        sums.entry((slots.of(record.started_at), place(last))).or_default().add(&of_call(record));
        for attempt in &record.attempts {
            let used = Sums {
                attempts: i64::from(record.amends.is_none()),
                spend: attempt.spend,
                cost: attempt.cost,
                ..tokens(&attempt.usage)
            };
            let at = (slots.of(attempt.started_at), place(attempt.channel.as_str()));
            sums.entry(at).or_default().add(&used);
        }
    }
    sums
}

/// What counts once for a call. An amendment is no call.
fn of_call(record: &RecordRow) -> Sums {
    if record.amends.is_some() {
        return Sums::default();
    }
    let is_ok = record.outcome == OutcomeClass::Ok;
    let first = first_ms(record);
    Sums {
        requests: i64::from(!record.attempts.is_empty()),
        failures: i64::from(!is_ok),
        calls: 1,
        denials: i64::from(record.outcome == OutcomeClass::Denied),
        duration_ms: if is_ok { duration_ms(record) } else { 0 },
        firsts: i64::from(first.is_some()),
        first_ms: first.unwrap_or_default(),
        ..Sums::default()
    }
}

/// How long a call took, in milliseconds.
pub(super) fn duration_ms(record: &RecordRow) -> i64 {
    record.ended_at.as_ms().saturating_sub(record.started_at.as_ms()).max(0)
}

/// How long a stream's first content took, in milliseconds.
pub(super) fn first_ms(record: &RecordRow) -> Option<i64> {
    let at = record.first_byte_at.filter(|_| record.stream)?;
    Some(at.as_ms().saturating_sub(record.started_at.as_ms()).max(0))
}

fn tokens(usage: &Usage) -> Sums {
    Sums {
        input_tokens: count(usage.input_tokens()),
        output_tokens: count(usage.output_tokens()),
        cache_read_tokens: count(usage.cached_tokens()),
        cache_write_tokens: count(usage.cache_write.saturating_add(usage.cache_write_1h)),
        reasoning_tokens: count(usage.output_reasoning),
        ..Sums::default()
    }
}

/// Adds sums to a table's.
pub(super) async fn insert(
    dialect: Dialect,
    session: &mut dyn Session,
    table: Table,
    sums: &Derived<'_>,
) -> Result<()> {
    // In the order of the key, so that two nodes that write at once wait for each other instead of dead-locking.
    let mut folded: BTreeMap<((i64, &str), Place<'_>), Sums> = BTreeMap::new();
    for ((slot, place), added) in sums {
        let at = match table.period() {
            Period::Hour => (slot.hour, ""),
            Period::Day => (0, &*slot.day),
            Period::Third => (0, &*slot.third),
            Period::Month => (0, &*slot.month),
        };
        let mut kept: Place<'_> = [""; 6];
        for part in table.parts() {
            if let (Some(to), Some(from)) = (kept.get_mut(*part), place.get(*part)) {
                *to = from;
            }
        }
        folded.entry((at, kept)).or_default().add(added);
    }
    let rows: Vec<_> = folded.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args = Vec::with_capacity(now.len() * (table.key().len() + Sums::COUNT));
        for (((hour, date), place), s) in now {
            args.push(if table.period() == Period::Hour { Value::from(*hour) } else { Value::from(*date) });
            args.extend(
                table.parts().iter().filter_map(|part| place.get(*part)).map(|text| Value::from(*text)),
            );
            args.extend(sums_args(s));
        }
        session.execute(Append::Sums(table).sql(dialect, now.len()), args).await?;
        rest = after;
    }
    Ok(())
}

/// Counts how long calls took and streams waited.
pub(super) async fn insert_latency<'a>(
    dialect: Dialect,
    session: &mut dyn Session,
    records: impl Iterator<Item = &'a RecordRow>,
    zone: &TimeZone,
) -> Result<()> {
    let mut counted: BTreeMap<(&str, i64, [&str; 2], i64), [i64; 2]> = BTreeMap::new();
    let mut slots = Slots::new(zone);
    for record in records.filter(|it| it.outcome == OutcomeClass::Ok && it.amends.is_none()) {
        let slot = slots.of(record.started_at);
        let group = record.group.as_ref().map_or("", |id| id.as_str());
        let organization = record.organization.as_str();
        for (span, start, whose) in [
            ("day", slot.day_start, [organization, group]),
            ("day_all", slot.day_start, [organization, ""]),
            ("hour", slot.hour, [organization, group]),
            ("hour_all", slot.hour, [organization, ""]),
        ] {
            for (which, ms) in [(0, Some(duration_ms(record))), (1, first_ms(record))] {
                let Some(ms) = ms else { continue };
                let counts = counted.entry((span, start, whose, Latencies::bucket(ms))).or_default();
                if let Some(count) = counts.get_mut(which) {
                    *count += 1;
                }
            }
        }
    }
    let rows: Vec<_> = counted.into_iter().collect();
    let mut rest = rows.as_slice();
    while let Some((now, after)) = chunk(rest) {
        let mut args = Vec::with_capacity(now.len() * 7);
        for ((span, slot, whose, bucket), [calls, firsts]) in now {
            args.extend([Value::from(*span), Value::from(*slot)]);
            args.extend(whose.iter().map(|text| Value::from(*text)));
            args.extend([*bucket, *calls, *firsts].map(Value::from));
        }
        session.execute(Append::Latency.sql(dialect, now.len()), args).await?;
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_where_the_zones_do() {
        for (zone, at, hour) in [
            ("UTC", "2026-01-01T10:45:10Z", "2026-01-01T10:00:00Z"),
            ("Asia/Shanghai", "2026-01-01T10:45:10Z", "2026-01-01T10:00:00Z"),
            ("Asia/Kolkata", "2026-01-01T10:45:10Z", "2026-01-01T10:30:00Z"),
            ("Asia/Kathmandu", "2026-01-01T10:05:00Z", "2026-01-01T09:15:00Z"),
            ("America/New_York", "1969-12-31T23:59:59.999Z", "1969-12-31T23:00:00Z"),
        ] {
            let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let zone = TimeZone::get(zone).unwrap();
            let slot = Slots::new(&zone).of(Timestamp::from_ms(ms(at)));
            assert_eq!(slot.hour, ms(hour), "{zone:?} {at}");
        }
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let slot = Slots::new(&zone).of(Timestamp::from_ms(1_767_205_800_000)); // 2025-12-31T18:30:00Z
        assert_eq!((&*slot.day, slot.day_start), ("2026-01-01", 1_767_205_800_000));
        // What no calendar has is nobody's error.
        Slots::new(&zone).of(Timestamp::from_ms(i64::MAX));
        Slots::new(&zone).of(Timestamp::from_ms(i64::MIN));
    }
}
