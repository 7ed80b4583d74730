//! `call.now`: the time of the decision. There is no other clock.

use jiff::Zoned;
use jiff::tz::TimeZone;
use rhai::{Engine, INT};
use sluicegate_core::time::Timestamp;

use crate::run::{Outcome, charge};

/// An instant, and the zone that its hours are read in.
#[derive(Clone)]
pub(crate) struct Moment(Zoned);

impl Moment {
    pub(super) fn utc(at: Timestamp) -> Outcome<Self> {
        let at = jiff::Timestamp::from_millisecond(at.as_ms())
            .map_err(|_| "the time of the call is out of range")?;
        Ok(Self(at.to_zoned(TimeZone::UTC)))
    }

    fn at(&mut self, zone: &str) -> Outcome<Self> {
        // Reading a zone's rules is worth as much as reading a page of text.
        charge(1_024)?;
        let zone = TimeZone::get(zone)
            .map_err(|_| format!("`{zone}` is no time zone; write one such as `Asia/Shanghai` or `UTC`"))?;
        Ok(Self(self.0.with_time_zone(zone)))
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Moment>("Moment");
    engine.register_fn("at", |moment: &mut Moment, zone: &str| moment.at(zone));
    engine.register_get("unix_ms", |moment: &mut Moment| -> INT { moment.0.timestamp().as_millisecond() });
    engine.register_get("year", |moment: &mut Moment| INT::from(moment.0.year()));
    engine.register_get("month", |moment: &mut Moment| INT::from(moment.0.month()));
    engine.register_get("day", |moment: &mut Moment| INT::from(moment.0.day()));
    engine.register_get("hour", |moment: &mut Moment| INT::from(moment.0.hour()));
    engine.register_get("minute", |moment: &mut Moment| INT::from(moment.0.minute()));
    engine
        .register_get("weekday", |moment: &mut Moment| INT::from(moment.0.weekday().to_monday_one_offset()));
}
