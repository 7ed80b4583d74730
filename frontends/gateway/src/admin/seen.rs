//! What somebody who changes a thing has seen of it: whether somebody else came between.

use sluicegate_core::{
    ChannelId, Error, ErrorKind, GroupId, KeyId, OrganizationId, Result, Timestamp, UserId,
};

use super::Actor;
use crate::store::{Change, Stored, Thing};

/// What a change is made on, as `If-Match` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Whatever is there.
    Any,
    /// A thing in one of these states.
    Tags(Vec<String>),
}

impl Seen {
    /// Reads `If-Match`: `*`, or tags in quotes, separated by commas. A weak tag matches nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!(
                "`{text}` is no `if-match`; send the `etag` of what you have seen, in its quotes, or *"
            );
            Error::new(ErrorKind::InvalidRequest, message).with("param", "if-match")
        };
        if text.trim() == "*" {
            return Ok(Seen::Any);
        }
        let mut tags = Vec::new();
        // BOUND: the length of a header.
        for part in text.split(',').map(str::trim) {
            let (weak, quoted) = part.strip_prefix("W/").map_or((false, part), |rest| (true, rest));
            let tag = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
            if !weak {
                tags.push(tag.to_owned());
            }
        }
        Ok(Seen::Tags(tags))
    }

    fn fits(&self, tag: &str) -> bool {
        match self {
            Seen::Any => true,
            Seen::Tags(tags) => tags.iter().any(|known| known == tag),
        }
    }
}

/// The tag of a thing's present state: another one after each change, the same on every node. It says nothing of what was
/// used, or of members. A thing that was removed and made again has another, too.
pub fn etag<T>(stored: &Stored<T>) -> String {
    tag_of(stored.version, stored.created_at)
}

pub(super) fn tag_of(version: i64, created_at: Timestamp) -> String {
    format!("{version:x}-{:x}", created_at.as_ms())
}

impl Actor {
    /// Refuses a change to what isn't as the actor has seen it.
    pub(super) fn expects<T>(&self, stored: &Stored<T>) -> Result<()> {
        self.expects_tag(etag(stored))
    }

    /// The same by its tag.
    pub(super) fn expects_tag(&self, now: String) -> Result<()> {
        match &self.seen {
            Some(seen) if !seen.fits(&now) => {
                let message = "it was changed meanwhile; read it again, and decide anew what to change";
                Err(Error::new(ErrorKind::Conflict, message).with("etag", now))
            }
            _ => Ok(()),
        }
    }

    /// What keeps a removal from hitting what was changed since the actor has seen it.
    pub(super) fn guard<T>(&self, thing: Thing, stored: &Stored<T>) -> Option<Change> {
        self.guard_version(thing, stored.version)
    }

    /// The same by its version.
    pub(super) fn guard_version(&self, thing: Thing, version: i64) -> Option<Change> {
        self.seen.as_ref().map(|_| Change::ExpectVersion(thing, version))
    }
}

impl From<&KeyId> for Thing {
    fn from(id: &KeyId) -> Self {
        Thing::Key(id.clone())
    }
}

impl From<&GroupId> for Thing {
    fn from(id: &GroupId) -> Self {
        Thing::Group(id.clone())
    }
}

impl From<&UserId> for Thing {
    fn from(id: &UserId) -> Self {
        Thing::User(id.clone())
    }
}

impl From<&OrganizationId> for Thing {
    fn from(id: &OrganizationId) -> Self {
        Thing::Organization(id.clone())
    }
}

impl From<&ChannelId> for Thing {
    fn from(id: &ChannelId) -> Self {
        Thing::Channel(id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_whole_and_weak_ones_match_nothing() {
        for (text, fits) in [
            ("*", true),
            ("\"1-a\"", true),
            ("\"0-a\", \"1-a\"", true),
            ("W/\"1-a\"", false),
            ("\"1-A\"", false),
            ("\"1-ab\"", false),
        ] {
            assert_eq!(Seen::parse(text).unwrap().fits("1-a"), fits, "{text}");
        }
        for text in ["", "1-a", "\"1-a", "\"a\" \"b"] {
            assert!(Seen::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_is_another_after_a_change_and_for_what_was_made_again() {
        let at = |ms| Timestamp::from_ms(ms);
        assert_ne!(tag_of(1, at(5)), tag_of(2, at(5)));
        assert_ne!(tag_of(1, at(5)), tag_of(1, at(6)));
        assert_eq!(tag_of(26, at(255)), "1a-ff");
    }
}
