//! How the keys of a channel are doing that has several.

use super::KeyView;
use crate::time::Timestamp;

/// The key that an attempt was sent with, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Which one, as [`Channel::key_digests`](crate::channel::Channel::key_digests) has it: its place may be another's by now.
    pub digest: u64,
    /// When the attempt began.
    pub since: Timestamp,
}

/// What is known of each key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    // BOUND: as many as the channel declares.
    all: Vec<Key>,
    /// Where the next look begins when they take turns.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Key {
    digest: u64,
    out: Option<Out>,
    broken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    since: Timestamp,
    until: Timestamp,
}

impl Key {
    fn new(digest: u64) -> Self {
        Self { digest, out: None, broken: false }
    }

    fn is_out(&self, now: Timestamp) -> bool {
        self.out.is_some_and(|out| now < out.until)
    }
}

impl Keys {
    /// Takes over what the channel now declares; whether one is new among others that were known. What is known of a key goes
    /// with it to another place, and what was known of one that is gone goes as well.
    pub(super) fn set(&mut self, digests: &[u64]) -> bool {
        let known = |digest: &u64| self.all.iter().find(|key| key.digest == *digest).copied();
        let is_new = !self.all.is_empty() && digests.iter().any(|digest| known(digest).is_none());
        let all = digests.iter().map(|digest| known(digest).unwrap_or_else(|| Key::new(*digest))).collect();
        self.all = all;
        is_new
    }

    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// A key among those that the caller's own configuration has, by its place there: by `draw`, or the next in turn. The first
    /// when all are out.
    pub(super) fn pick(&mut self, digests: &[u64], draw: Option<u64>, now: Timestamp) -> usize {
        let is_well = |at: usize, digest: u64| {
            let same_place = self.all.get(at).filter(|key| key.digest == digest);
            let key = same_place.or_else(|| self.find(digest));
            key.is_none_or(|key| !key.is_out(now))
        };
        let well =
            || digests.iter().enumerate().filter(|(at, digest)| is_well(*at, **digest)).map(|(at, _)| at);
        let picked = match draw {
            Some(draw) => {
                let count = well().count().max(1);
                // INVARIANT: a length fits 64 bits, and a remainder below it fits again.
                well().nth((draw % count as u64) as usize)
            }
            None => well().find(|at| *at >= self.next).or_else(|| well().next()),
        };
        let picked = picked.unwrap_or(0);
        self.next = (picked + 1) % digests.len().max(1);
        picked
    }

    fn find(&self, digest: u64) -> Option<&Key> {
        self.all.iter().find(|key| key.digest == digest)
    }

    pub(super) fn knows(&self, digest: u64) -> bool {
        self.find(digest).is_some()
    }

    /// Whether another than this one may be used.
    pub(super) fn has_other(&self, digest: u64, now: Timestamp) -> bool {
        self.all.iter().any(|key| key.digest != digest && !key.is_out(now))
    }

    pub(super) fn are_all_broken(&self) -> bool {
        self.all.iter().all(|key| key.broken)
    }

    /// Takes a key out until then, or for longer if it was; whether it was known to be broken.
    pub(super) fn take_out(&mut self, digest: u64, broken: bool, until: Timestamp, now: Timestamp) -> bool {
        let Some(key) = self.all.iter_mut().find(|key| key.digest == digest) else { return false };
        let until = key.out.map_or(until, |out| out.until.max(until));
        key.out = Some(Out { since: now, until });
        let was_broken = key.broken;
        key.broken |= broken;
        was_broken
    }

    /// A key has answered: it is well, unless it was taken out since the attempt began.
    pub(super) fn answered(&mut self, used: KeyUse) {
        let key = self.all.iter_mut().find(|key| key.digest == used.digest);
        if let Some(key) = key.filter(|key| key.out.is_some_and(|out| used.since > out.since)) {
            *key = Key::new(key.digest);
        }
    }

    /// How many the channel has: one where it has no several.
    pub(super) fn count(&self) -> usize {
        if self.are_several() { self.all.len() } else { 1 }
    }

    /// The places of those that aren't used, where there are several.
    pub(super) fn out(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        let several = self.are_several();
        let out = self.all.iter().map(move |key| several && (key.broken || key.is_out(now)));
        (0..).zip(out).filter(|(_, out)| *out).map(|(at, _)| at)
    }

    /// The digest of the key at this place, where there are several.
    pub(super) fn digest_of(&self, at: u32) -> Option<u64> {
        self.all.get(at as usize).filter(|_| self.are_several()).map(|key| key.digest)
    }

    /// This one is well again.
    pub(super) fn mend_one(&mut self, digest: u64) {
        if let Some(key) = self.all.iter_mut().find(|key| key.digest == digest) {
            *key = Key::new(digest);
        }
    }

    /// When the first of them comes back, if all are out.
    pub(super) fn back_at(&self, now: Timestamp) -> Option<Timestamp> {
        let all_out = self.are_several() && self.all.iter().all(|key| key.is_out(now));
        self.all.iter().filter_map(|key| key.out).map(|out| out.until).min().filter(|_| all_out)
    }

    pub(super) fn views(&self, now: Timestamp) -> Vec<KeyView> {
        let view = |(at, key): (usize, &Key)| KeyView {
            key: u32::try_from(at).unwrap_or(u32::MAX),
            out_until: key.out.map(|out| out.until).filter(|until| now < *until),
            disabled: key.broken,
        };
        self.all.iter().enumerate().filter(|_| self.are_several()).map(view).collect()
    }

    /// All are well again.
    pub(super) fn mend(&mut self) {
        self.all.iter_mut().for_each(|key| *key = Key::new(key.digest));
    }
}
