//! The two types of value that the schema has, and rows of them.

use std::sync::Arc;

use sluicegate_core::{Error, ErrorKind, Result};

/// An argument or a column.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Value {
    /// A number.
    Int(Option<i64>),
    /// A text.
    Text(Option<String>),
    /// A text that others hold, too: only an argument.
    Shared(Arc<str>),
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Value::Shared(text)
    }
}

impl From<Option<Arc<str>>> for Value {
    fn from(text: Option<Arc<str>>) -> Self {
        text.map_or(Value::Text(None), Value::Shared)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(Some(n))
    }
}

impl From<Option<i64>> for Value {
    fn from(n: Option<i64>) -> Self {
        Value::Int(n)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Value::Text(text.map(str::to_owned))
    }
}

/// A row, read from its first column to its last.
#[derive(Debug)]
pub(in crate::store) struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    /// A row of these columns.
    pub(in crate::store) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter() }
    }

    /// The next column, a number.
    pub(in crate::store) fn int(&mut self) -> Result<i64> {
        match self.values.next() {
            Some(Value::Int(Some(n))) => Ok(n),
            other => Err(unexpected("a number", other.as_ref())),
        }
    }

    /// The next column, a text.
    pub(in crate::store) fn text(&mut self) -> Result<String> {
        self.maybe_text()?.ok_or_else(|| unexpected("a text", None))
    }

    /// The next column, a text or nothing. SQLite knows no column type when a value is missing.
    pub(in crate::store) fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.values.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Int(None)) => Ok(None),
            other => Err(unexpected("a text", other.as_ref())),
        }
    }

    /// The next column, JSON.
    pub(in crate::store) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        from_json(&self.text()?)
    }

    /// The next column, JSON or nothing.
    pub(in crate::store) fn maybe_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>> {
        self.maybe_text()?.as_deref().map(from_json).transpose()
    }
}

fn unexpected(wanted: &str, found: Option<&Value>) -> Error {
    let found = match found {
        Some(Value::Int(Some(_))) => "a number",
        Some(Value::Text(Some(_))) => "a text",
        _ => "nothing",
    };
    Error::new(ErrorKind::Store, format!("the database gave {found} where {wanted} was expected"))
}

/// Reads what [`to_json`] wrote.
pub(in crate::store) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Store, format!("a stored value can't be read: {error}")).with_source(error)
    })
}

/// Writes a value for a `body` column.
pub(in crate::store) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("a value can't be written as JSON: {error}"))
            .with_source(error)
    })
}
