//! What a translation couldn't carry over, said aloud.

use std::fmt;

use crate::ir::Block;
use crate::json::Val;
use crate::names::cut;

/// What happened to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// The target has no place for it: it wasn't sent.
    Dropped,
    /// Something close was sent in its place.
    Approximated,
}

impl LossKind {
    /// The kind as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            LossKind::Dropped => "dropped",
            LossKind::Approximated => "approximated",
        }
    }
}

/// One thing that a translation dropped or approximated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stood in the source, such as `messages[1].name`.
    pub path: String,
    /// What happened to it.
    pub kind: LossKind,
    /// Why, in words for people.
    pub why: &'static str,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind.as_str(), self.path, self.why)
    }
}

/// At most this many losses are listed; the rest are only counted.
// BOUND: a body with a million odd fields must not become a million lines of report.
const LISTED_MAX: usize = 64;
/// So much is told of a name that the caller made up, in characters.
const NAME_MAX: usize = 64;

/// Everything that one translation dropped or approximated, in the order it was met. Strict callers refuse unless it
/// is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
    more: usize,
}

impl Losses {
    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many things were lost, listed or not.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// The first 64, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Loss> {
        self.list.iter()
    }

    /// What a document is called, at a target that has no place for it.
    pub(crate) fn note_title(&mut self, block: &Block, path: &str) {
        if matches!(block, Block::Document { name: Some(_), .. }) {
            self.dropped(format!("{path}.title"), "the target has no names of documents");
        }
    }

    /// The members of an object that nobody reads, but for those that say nothing.
    pub(crate) fn unread(&mut self, object: Val<'_>, path: &str, known: &[&str]) {
        self.unread_but(object, path, |name| known.contains(&name));
    }

    /// Likewise, where names are known in another way.
    pub(crate) fn unread_but(&mut self, object: Val<'_>, path: &str, is_known: impl Fn(&str) -> bool) {
        for (name, value) in object.members() {
            let is_empty = value.is_null() || matches!(value.raw(), "[]" | "{}");
            if !is_empty && !is_known(&name) {
                self.dropped(format!("{path}.{}", cut(&name, NAME_MAX)), "the target has no place for it");
            }
        }
    }

    /// A field without a place in the target.
    pub(crate) fn dropped(&mut self, path: impl Into<String>, why: &'static str) {
        self.add(path.into(), LossKind::Dropped, why);
    }

    /// A field for which something close is sent.
    pub(crate) fn approximated(&mut self, path: impl Into<String>, why: &'static str) {
        self.add(path.into(), LossKind::Approximated, why);
    }

    /// Takes over what another list has and this one hasn't.
    pub(crate) fn join(&mut self, other: &Losses) {
        for loss in &other.list {
            self.add(loss.path.clone(), loss.kind, loss.why);
        }
        self.more += other.more;
    }

    fn add(&mut self, path: String, kind: LossKind, why: &'static str) {
        let loss = Loss { path, kind, why };
        if self.list.contains(&loss) {
            return;
        }
        if self.list.len() < LISTED_MAX {
            self.list.push(loss);
        } else {
            self.more += 1;
        }
    }
}

impl<'a> IntoIterator for &'a Losses {
    type Item = &'a Loss;
    type IntoIter = std::slice::Iter<'a, Loss>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Losses {
    /// One line, fit for a header: `dropped seed; approximated tools[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, loss) in self.list.iter().enumerate() {
            let sep = if at > 0 { "; " } else { "" };
            let path: String =
                loss.path.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
            write!(f, "{sep}{} {path}", loss.kind.as_str())?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_line_is_bounded_and_ascii() {
        let mut losses = Losses::default();
        losses.dropped("é\n", "why");
        losses.dropped("é\n", "why");
        assert_eq!(losses.count(), 1);
        assert_eq!(losses.to_string(), "dropped ??");
        for at in 0..100 {
            losses.approximated(format!("f{at}"), "why");
        }
        assert_eq!((losses.count(), losses.iter().count()), (101, 64));
        assert!(losses.to_string().ends_with("; and 37 more"));
        let mut joined = Losses::default();
        joined.dropped("é\n", "why");
        joined.dropped("own", "why");
        joined.join(&losses);
        assert_eq!((joined.count(), joined.iter().count()), (102, 64));
    }
}
