//! Building blocks of requests.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sluicegate_core::tenant::{STEERING, STEERING_WANTED, misfit};
use sluicegate_core::{Limit, Mode, ModelAccess, ModelName};

use super::invalid;

/// A field of a change: left out, it stays; `null` clears it; a value sets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It becomes empty, or the default.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Patch<T> {
    /// Changes an optional field.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *to = None,
            Patch::Set(value) => *to = Some(value),
        }
    }

    /// Changes a field that has a default.
    pub fn apply_or_default<U: Default + From<T>>(self, to: &mut U) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *to = U::default(),
            Patch::Set(value) => *to = value.into(),
        }
    }

    /// Whether it changes anything.
    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }
}

impl<T> From<Option<T>> for Patch<T> {
    /// A value sets; none keeps.
    fn from(value: Option<T>) -> Self {
        value.map_or(Patch::Keep, Patch::Set)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    /// Only called for a field that is there; one left out is the default.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(d)?.map_or(Patch::Clear, Patch::Set))
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Patch::Keep | Patch::Clear => s.serialize_none(),
            Patch::Set(value) => value.serialize(s),
        }
    }
}

/// Limits, in JSON in the one-line syntax of configuration files:
/// `{"total_tokens": {"day": "2M"}, "spend": {"month": ["100 USD", "80 USD soft"]}, "requests": {"minute": 20}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub Vec<Limit>);

impl From<Vec<Limit>> for Limits {
    fn from(limits: Vec<Limit>) -> Self {
        Self(limits)
    }
}

impl From<Limits> for Vec<Limit> {
    fn from(limits: Limits) -> Self {
        limits.0
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(d)?;
        sluicegate_config::parse_limits(&value, Mode::Strict).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Limits {
    /// Writes what [`Deserialize`] reads.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        sluicegate_config::write_limits(&self.0).serialize(s)
    }
}

/// Changes limits as they stand when the change is made: for dialects whose requests name single limits.
#[derive(Clone)]
pub struct LimitEditor(Arc<EditLimits>);

type EditLimits = dyn Fn(&mut Vec<Limit>) + Send + Sync;

impl LimitEditor {
    /// An editor that does this.
    pub fn new(edit: impl Fn(&mut Vec<Limit>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(edit))
    }

    /// Changes the limits.
    pub fn edit(&self, limits: &mut Vec<Limit>) {
        (self.0)(limits);
    }
}

impl fmt::Debug for LimitEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitEditor")
    }
}

/// Changes limits by a patch, then by an editor.
pub(super) fn edit_limits(limits: &mut Vec<Limit>, patch: Patch<Limits>, editor: Option<&LimitEditor>) {
    patch.apply_or_default(limits);
    if let Some(editor) = editor {
        editor.edit(limits);
    }
}

/// Changes free data: all of it by a patch, then single members, of which null removes one. Whether something of it that
/// steers calls has changed: that is for whoever may say what they may do.
///
/// # Errors
/// As [`check_metadata`], of what has changed.
pub(super) fn edit_metadata(
    data: &mut Map<String, Value>,
    patch: Patch<Map<String, Value>>,
    edits: Map<String, Value>,
) -> sluicegate_core::Result<bool> {
    let steering = |data: &Map<String, Value>| STEERING.map(|name| data.get(name).cloned());
    let before = steering(data);
    patch.apply_or_default(data);
    for (name, value) in edits {
        match value {
            Value::Null => data.remove(&name),
            value => data.insert(name, value),
        };
    }
    let steers = steering(data) != before;
    if steers {
        check_metadata(data)?;
    }
    Ok(steers)
}

/// Refuses what is to steer calls and can't: a guardrail that nobody is asked for looks at nothing.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn check_metadata(data: &Map<String, Value>) -> sluicegate_core::Result<()> {
    match misfit(data) {
        None => Ok(()),
        Some(name) => Err(invalid("metadata", format!("`{name}` in `metadata` must be {STEERING_WANTED}"))),
    }
}

/// Changes which models may be called; no list, or an empty one, is every model.
pub(super) fn patch_access(patch: Patch<Vec<ModelName>>, access: &mut ModelAccess) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *access = ModelAccess::ALL,
        Patch::Set(models) => *access = ModelAccess::only(models),
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_core::{Metric, Window};

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Request {
        alias: Patch<String>,
        limits: Patch<Limits>,
    }

    #[test]
    fn a_field_can_stay_be_cleared_or_be_set() {
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap().alias;
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"alias": null}"#), Patch::Clear);
        assert_eq!(read(r#"{"alias": "x"}"#), Patch::Set("x".to_owned()));
        assert!(serde_json::from_str::<Request>(r#"{"alia": "x"}"#).is_err());
    }

    #[test]
    fn limits_are_written_as_they_are_read() {
        let text = r#"{"total_tokens":{"day":2000000,"5h":100},"spend":{"month":"100 USD","lifetime":"0.5 USD soft"},
            "requests":{"minute":"20 corrected"},"concurrency":3,
            "models":{"m":{"output_tokens":{"day":"10 clamp"}}}}"#;
        let limits: Limits = serde_json::from_str(text).unwrap();
        assert_eq!(limits.0.len(), 7);
        let written = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&written).unwrap(), limits, "{written}");
        let strict = |max| Limit::strict(Metric::Spend, Window::Lifetime, max);
        let soft = Limit { mode: Mode::Soft, ..strict(5) };
        let calls = [Limit::strict(Metric::Concurrency, Window::Lifetime, 3), strict(10), soft, strict(7)];
        let of_model = Limit { model: Some("m".into()), ..strict(2) };
        let beside = Limits(calls.into_iter().chain([of_model.clone(), of_model]).collect());
        let written = serde_json::to_string(&beside).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&written).unwrap(), beside, "{written}");
        let short: Limits = serde_json::from_str(r#"{"total_tokens": {"day": "2M"}}"#).unwrap();
        assert_eq!(serde_json::to_string(&short).unwrap(), r#"{"total_tokens":{"day":2000000}}"#);
        let wrong = serde_json::from_str::<Limits>(r#"{"tokens": {"day": 1}}"#).unwrap_err();
        assert!(wrong.to_string().contains("tokens"), "{wrong}");
    }
}
