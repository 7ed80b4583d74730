//! Reads the maps that tests write: a slip in a field's name or value is said, never passed over.

use rhai::{Array, Dynamic, INT, Map};

use crate::lint::closest;
use crate::run::Outcome;

/// A map whose keys are all known.
pub(super) struct Fields {
    of: &'static str,
    map: Map,
}

impl Fields {
    pub(super) fn new(of: &'static str, map: Map, known: &[&str]) -> Outcome<Self> {
        if let Some(slip) = map.keys().find(|key| !known.contains(&key.as_str())) {
            let remedy = match closest(slip, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(format!("{of} has no field `{slip}`; {remedy}").into());
        }
        Ok(Self { of, map })
    }

    /// Whether a field says that there is no value.
    pub(super) fn is_unit(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Dynamic::is_unit)
    }

    /// Takes a field; `None` when it isn't there or is `()`.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        kind: &str,
        read: impl FnOnce(Dynamic) -> Option<T>,
    ) -> Outcome<Option<T>> {
        let Some(value) = self.map.remove(name).filter(|value| !value.is_unit()) else { return Ok(None) };
        let said = value.to_string();
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("`{name}` of {} is {kind}, not `{said}`", self.of).into()),
        }
    }
}

pub(super) fn name(value: Dynamic) -> Option<String> {
    value.into_string().ok()
}

pub(super) fn flag(value: Dynamic) -> Option<bool> {
    value.as_bool().ok()
}

pub(super) fn count(value: Dynamic) -> Option<u64> {
    u64::try_from(value.as_int().ok()?).ok()
}

pub(super) fn texts(value: Dynamic) -> Option<Vec<String>> {
    value.try_cast::<Array>()?.into_iter().map(name).collect()
}

/// A number that isn't negative, with or without a fraction.
pub(super) fn ratio(value: Dynamic) -> Option<f64> {
    let number = value.as_float().or_else(|_| value.as_int().map(|number: INT| number as f64)).ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// USD for a million tokens as pico-USD for one.
pub(super) fn usd(value: Dynamic) -> Option<u64> {
    ratio(value).map(|usd| (usd * 1e6).round() as u64)
}

/// An instant, in milliseconds: with an offset from UTC, or with a time zone's name in brackets.
pub(super) fn moment(value: Dynamic) -> Option<i64> {
    let text = value.into_immutable_string().ok()?;
    let instant =
        text.parse::<jiff::Timestamp>().or_else(|_| text.parse::<jiff::Zoned>().map(|at| at.timestamp()));
    Some(instant.ok()?.as_millisecond())
}
