//! Where a list goes on: behind the last item of a page, whatever is added or removed meanwhile. A client sends back what it was
//! given and makes nothing of it.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicegate::store::After;
use sluicegate::{Error, ErrorKind, Result};

/// A place in a list, and the order that it is a place of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    #[serde(rename = "s")]
    sort: String,
    #[serde(flatten)]
    pub(crate) at: At,
    /// How many there were in all when the list began, of those that the database counts.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum At {
    /// Behind so many that a file declares: they stay while the gateway runs.
    #[serde(rename = "o")]
    Declared(u64),
    /// Behind something that the database has.
    #[serde(rename = "a")]
    After(After),
    /// Behind something of a list that is made as a whole.
    #[serde(rename = "m")]
    Behind(Mark),
}

/// What an item is sorted by: by a field, then by what tells it from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Whether it lacks the field: then it comes last, in either direction.
    #[serde(rename = "l", default)]
    lacks: bool,
    /// Numbers and yes or no in front of texts.
    #[serde(rename = "k", default)]
    is_text: bool,
    /// A number, as bits that are in the order of the numbers.
    #[serde(rename = "n", default)]
    number: u64,
    #[serde(rename = "t", default)]
    text: String,
    #[serde(rename = "i", default)]
    id: Vec<String>,
    /// Which one of several that can't be told apart.
    #[serde(rename = "c", default)]
    count: u32,
}

impl Cursor {
    /// A place in a list of this order, as clients see it.
    pub(crate) fn write(sort: &str, at: At, total: Option<u64>) -> Option<String> {
        let text = serde_json::to_vec(&Self { sort: sort.to_owned(), at, total }).ok()?;
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    /// Reads a place in a list of this order.
    ///
    /// # Errors
    /// `InvalidRequest` for what no page has given, or one of another order.
    pub(crate) fn read(text: &str, sort: &str) -> Result<(At, Option<u64>)> {
        let wrong = |message: &str| Error::new(ErrorKind::InvalidRequest, message).with("param", "cursor");
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let read = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let cursor = read.ok_or_else(|| {
            wrong("`cursor` must be what the last page gave as `next`; leave it out to begin anew")
        })?;
        match cursor.sort == sort {
            true => Ok((cursor.at, cursor.total)),
            false => {
                Err(wrong("the list that `cursor` is of is sorted otherwise; sort as before, or begin anew"))
            }
        }
    }
}

impl Mark {
    /// That of a row which is nothing but these values.
    pub(crate) fn of_texts(values: &[String]) -> Self {
        Self { id: values.to_vec(), ..Self::default() }
    }

    /// Those values.
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.id
    }

    /// That of an item: by this field, if by any, then by these.
    pub(crate) fn of(item: &Value, field: Option<&str>, id: &[&str]) -> Self {
        let word = |value: Option<&Value>| match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let by = match field {
            None => Self::default(),
            Some(field) => match item.get(field) {
                None | Some(Value::Null) => Self { lacks: true, ..Self::default() },
                Some(Value::String(text)) => {
                    Self { is_text: true, text: text.to_lowercase(), ..Self::default() }
                }
                Some(Value::Bool(yes)) => {
                    Self { number: in_order(f64::from(u8::from(*yes))), ..Self::default() }
                }
                Some(other) => Self {
                    number: in_order(other.as_f64().unwrap_or_default()),
                    text: other.to_string(),
                    ..Self::default()
                },
            },
        };
        Self { id: id.iter().map(|name| word(item.get(name))).collect(), ..by }
    }

    /// Which comes first in a list that goes up, or down.
    pub(crate) fn compare(&self, other: &Self, is_down: bool) -> Ordering {
        let by = self.is_text.cmp(&other.is_text).then(self.number.cmp(&other.number));
        let by = by.then_with(|| self.text.cmp(&other.text));
        let by = if is_down { by.reverse() } else { by };
        self.lacks
            .cmp(&other.lacks)
            .then(by)
            .then_with(|| self.id.cmp(&other.id))
            .then(self.count.cmp(&other.count))
    }

    /// Tells those apart that are equal, of a list in its order.
    pub(crate) fn count(marked: &mut [(Self, Value)]) {
        for at in 1..marked.len() {
            let (before, rest) = marked.split_at_mut(at);
            let (Some((last, _)), Some((mark, _))) = (before.last(), rest.first_mut()) else { continue };
            let is_same = Self { count: mark.count, ..last.clone() } == *mark;
            mark.count = if is_same { last.count + 1 } else { 0 };
        }
    }
}

/// A number as bits that are in the order of the numbers.
fn in_order(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_in_its_order_alone() {
        let after = After { at: 7, alias: Some("é".to_owned()), id: "k".to_owned() };
        for at in [
            At::Declared(3),
            At::After(after),
            At::Behind(Mark::of(&json!({"n": -1.5, "id": "a"}), Some("n"), &["id"])),
        ] {
            for total in [None, Some(5)] {
                let text = Cursor::write("-n", at.clone(), total).unwrap();
                assert_eq!(Cursor::read(&text, "-n").unwrap(), (at.clone(), total));
            }
            let text = Cursor::write("-n", at, None).unwrap();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert!(Cursor::read(&text, "n").is_err());
        }
        for text in ["", "p2", "e30", "a b"] {
            assert!(Cursor::read(text, "").is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_in_their_order() {
        let all = [f64::MIN, -2.0, -0.5, 0.0, 0.25, 1.0, 10.0, f64::MAX];
        assert!(all.windows(2).all(|pair| in_order(pair[0]) < in_order(pair[1])));
    }
}
