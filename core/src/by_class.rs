//! Counts by how attempts end: retries and tolerated failures of single outcome classes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decision::OutcomeClass;

/// A count for some outcome classes; the others have none of their own. Small and copied, so that whoever asks needs neither a
/// lock nor an allocation.
///
/// Written as a mapping of classes to counts, such as `{"timeout": 1, "rate_limited": 4}`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ByClass {
    counts: [Option<u32>; OutcomeClass::ALL.len()],
}

impl ByClass {
    /// No class has a count of its own.
    pub const NONE: Self = Self { counts: [None; OutcomeClass::ALL.len()] };

    /// The count of this class, if it has one.
    pub fn of(&self, class: OutcomeClass) -> Option<u32> {
        self.counts.get(class as usize).copied().flatten()
    }

    /// Gives the class a count of its own.
    pub fn set(&mut self, class: OutcomeClass, count: u32) {
        if let Some(own) = self.counts.get_mut(class as usize) {
            *own = Some(count);
        }
    }

    /// One more of this class.
    pub(crate) fn add(&mut self, class: OutcomeClass) {
        self.set(class, self.of(class).unwrap_or(0).saturating_add(1));
    }

    /// Whether no class has a count.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(Option::is_none)
    }

    /// Those that have one, in the classes' order.
    pub fn iter(&self) -> impl Iterator<Item = (OutcomeClass, u32)> + '_ {
        OutcomeClass::ALL.iter().filter_map(|class| Some((*class, self.of(*class)?)))
    }

    /// These counts, and for classes without one those of `other`.
    pub fn or(mut self, other: &Self) -> Self {
        for (own, other) in self.counts.iter_mut().zip(other.counts) {
            *own = own.or(other);
        }
        self
    }
}

impl fmt::Debug for ByClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(class, count)| (class.as_str(), count))).finish()
    }
}

impl Serialize for ByClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for ByClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // BOUND: as many as there are classes.
        let written = BTreeMap::<String, u32>::deserialize(deserializer)?;
        let mut counts = Self::NONE;
        for (name, count) in written {
            let class = OutcomeClass::ALL.iter().find(|class| class.as_str() == name);
            let unknown = || serde::de::Error::custom(format!("`{name}` is no class of failures"));
            counts.set(*class.ok_or_else(unknown)?, count);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_place() {
        for (at, class) in OutcomeClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, at, "{class:?}");
            let mut counts = ByClass::NONE;
            counts.set(*class, 7);
            assert_eq!(counts.iter().collect::<Vec<_>>(), [(*class, 7)]);
            let text = serde_json::to_string(&counts).unwrap();
            assert_eq!(text, format!(r#"{{"{}":7}}"#, class.as_str()));
            assert_eq!(serde_json::from_str::<ByClass>(&text).unwrap(), counts);
        }
        assert!(serde_json::from_str::<ByClass>(r#"{"nothing": 1}"#).is_err());
    }
}
