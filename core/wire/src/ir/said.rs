//! What an answer has said, to tell places in it: some formats count characters, others bytes.

/// So many bytes are kept.
// BOUND: of an answer that is longer, later places aren't known.
const KEPT_MAX: usize = 64 << 10;

/// The text of one choice so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    text: String,
    /// Not all of it was kept.
    is_cut: bool,
}

impl Said {
    pub(crate) fn push(&mut self, more: &str) {
        if self.is_cut || self.text.len() + more.len() > KEPT_MAX {
            self.is_cut = true;
        } else {
            self.text.push_str(more);
        }
    }

    /// How long it is, in bytes, if all of it is kept.
    pub(crate) fn bytes(&self) -> Option<usize> {
        (!self.is_cut).then_some(self.text.len())
    }

    /// The place of some bytes, and what stands there.
    pub(crate) fn place_of(&self, from: usize, to: usize) -> Option<((u64, u64), &str)> {
        let text = self.text.get(from..to).filter(|text| !text.is_empty())?;
        let before = self.text.get(..from)?.chars().count() as u64;
        Some(((before, before + text.chars().count() as u64), text))
    }

    /// From which byte on a place stands, and what stands there.
    pub(crate) fn bytes_of(&self, (from, to): (u64, u64)) -> Option<(usize, &str)> {
        let chars = to.checked_sub(from).filter(|chars| *chars > 0)?;
        let start = self.byte_of(&self.text, from)?;
        let rest = self.text.get(start..)?;
        Some((start, rest.get(..self.byte_of(rest, chars)?)?))
    }

    /// The byte at which so many characters end.
    fn byte_of(&self, text: &str, chars: u64) -> Option<usize> {
        let chars = usize::try_from(chars).ok()?;
        let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.nth(chars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_characters_and_in_bytes() {
        let mut said = Said::default();
        said.push("Zürich ");
        said.push("liegt höher");
        assert_eq!(said.bytes(), Some(20));
        for (place, bytes, text) in [
            ((0, 6), (0, 7), "Zürich"),
            ((7, 12), (8, 13), "liegt"),
            ((13, 18), (14, 20), "höher"),
            ((0, 18), (0, 20), "Zürich liegt höher"),
        ] {
            assert_eq!(said.place_of(bytes.0, bytes.1), Some((place, text)));
            assert_eq!(said.bytes_of(place), Some((bytes.0, text)));
        }
        for (from, to) in [(0, 0), (2, 5), (0, 21), (9, 8)] {
            assert_eq!(said.place_of(from, to), None, "{from}..{to}");
        }
        for place in [(3, 3), (4, 3), (0, 19), (19, 20)] {
            assert_eq!(said.bytes_of(place), None, "{place:?}");
        }
    }

    #[test]
    fn what_is_too_long_to_keep_has_places_as_far_as_it_is_kept() {
        let mut said = Said::default();
        said.push("ab");
        said.push(&"x".repeat(KEPT_MAX));
        said.push("c");
        assert_eq!(said.bytes(), None);
        assert_eq!(said.bytes_of((0, 2)), Some((0, "ab")));
        assert_eq!(said.bytes_of((0, 3)), None);
        assert!(said.text.len() <= KEPT_MAX);
    }
}
