//! Who has how much of the work in the background: an owner, an organization, and all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sluicegate_config::ResponseBounds;
use sluicegate_core::Timestamp;

use super::{JobKey, Live};
use crate::store::ResponseOwner;

/// For so long an organization that asked has a claim to its half, whatever it got, in milliseconds: whoever is refused asks again.
const CLAIM_MS: i64 = 60_000;

/// What is worked on, what has ended, and whose it is.
#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<JobKey, Arc<Live>>,
    /// Those that have ended and whose events are held for a while; they are the first to go where room is wanted.
    pub(super) past: HashMap<JobKey, Past>,
    /// They, the oldest first; and some that are gone.
    pub(super) past_order: VecDeque<JobKey>,
    /// What each owner has of them.
    pub(super) shares: HashMap<ResponseOwner, Share>,
    /// What each organization has of them.
    pub(super) organizations: HashMap<Box<str>, Share>,
    /// What all have.
    pub(super) whole: Share,
    /// So many organizations have responses worked on.
    working: u32,
    /// The last two organizations that asked, and when: whichever one looks, the last of the others is among them.
    asked: Vec<(Box<str>, Timestamp)>,
}

/// Whose share.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    Owner(&'a ResponseOwner),
    Organization(&'a str),
    All,
}

impl Whose<'_> {
    fn has(self, key: &JobKey) -> bool {
        match self {
            Self::Owner(owner) => key.0 == *owner,
            Self::Organization(organization) => key.0.organization() == organization,
            Self::All => true,
        }
    }
}

/// As much as there may be.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) jobs: u32,
    pub(super) bytes: u64,
}

/// One that has ended, and the bytes of its events.
pub(super) struct Past {
    pub(super) live: Arc<Live>,
    pub(super) bytes: u64,
    pub(super) ended_at: Timestamp,
}

/// So many responses are worked on, and so many bytes held for them and for those that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) jobs: u32,
    pub(super) bytes: u64,
    /// Of the bytes, those of responses that have ended.
    pub(super) past: u64,
}

impl Share {
    pub(super) fn take(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl State {
    pub(super) fn share(&self, whose: Whose<'_>) -> Share {
        match whose {
            Whose::Owner(owner) => self.shares.get(owner).copied().unwrap_or_default(),
            Whose::Organization(organization) => {
                self.organizations.get(organization).copied().unwrap_or_default()
            }
            Whose::All => self.whole,
        }
    }

    /// As much as a share may be. While another organization has work done, or asks for some, half of all is out of reach.
    pub(super) fn most(&self, whose: Whose<'_>, bounds: &ResponseBounds) -> Most {
        let all = Most { jobs: bounds.background, bytes: bounds.background_bytes };
        match whose {
            Whose::Owner(_) => Most {
                jobs: bounds.background_per_owner,
                bytes: bounds.background_bytes_per_owner.min(all.bytes),
            },
            Whose::Organization(organization) if self.has_others(organization) => {
                Most { jobs: all.jobs.div_ceil(2), bytes: all.bytes.div_ceil(2) }
            }
            Whose::Organization(_) | Whose::All => all,
        }
    }

    /// An organization asks.
    pub(super) fn note(&mut self, organization: &str, now: Timestamp) {
        self.asked.retain(|(asked, _)| **asked != *organization);
        // BOUND: there are two.
        self.asked.truncate(1);
        self.asked.insert(0, (organization.into(), now));
    }

    /// Whoever asked long ago and got nothing doesn't seem to want it any more.
    pub(super) fn forget_claims(&mut self, now: Timestamp) {
        self.asked.retain(|(_, at)| now.since_ms(*at) < CLAIM_MS);
    }

    /// Whether other organizations than this one have work done, or have asked for some of late.
    pub(super) fn has_others(&self, organization: &str) -> bool {
        let is_working = self.share(Whose::Organization(organization)).jobs > 0;
        self.working > u32::from(is_working) || self.asked.iter().any(|(asked, _)| **asked != *organization)
    }

    /// Changes what an owner has, its organization, and all.
    pub(super) fn change(&mut self, owner: &ResponseOwner, change: impl Fn(&mut Share)) {
        change(&mut self.whole);
        let own = self.shares.entry(owner.clone()).or_default();
        change(own);
        if *own == Share::default() {
            self.shares.remove(owner);
        }
        let organization = owner.organization();
        let before = self.share(Whose::Organization(organization));
        let mut its = before;
        change(&mut its);
        match (before.jobs > 0, its.jobs > 0) {
            (false, true) => self.working = self.working.saturating_add(1),
            (true, false) => self.working = self.working.saturating_sub(1),
            _ => {}
        }
        if its == Share::default() {
            self.organizations.remove(organization);
        } else if let Some(kept) = self.organizations.get_mut(organization) {
            *kept = its;
        } else {
            self.organizations.insert(organization.into(), its);
        }
    }

    /// Lets go of the events of a response that has ended, whoever still reads them: what isn't counted isn't held.
    pub(super) fn let_go(&mut self, key: &JobKey) {
        if let Some(past) = self.past.remove(key) {
            if let Some(log) = past.live.log() {
                log.forget();
            }
            self.change(&key.0, |share| {
                share.give_back(past.bytes);
                share.past = share.past.saturating_sub(past.bytes);
            });
        }
        // BOUND: each turn takes one out that is gone.
        while self.past_order.front().is_some_and(|key| !self.past.contains_key(key)) {
            self.past_order.pop_front();
        }
    }

    /// Lets go of the oldest of these that has ended; whether there was one.
    pub(super) fn let_oldest_go(&mut self, whose: Whose<'_>) -> bool {
        if self.share(whose).past == 0 {
            return false;
        }
        let is_one = |key: &&JobKey| whose.has(key) && self.past.contains_key(*key);
        let Some(key) = self.past_order.iter().find(is_one).cloned() else { return false };
        self.let_go(&key);
        true
    }

    /// Makes room for bytes of an owner's, if letting go of what has ended is enough for that.
    pub(super) fn make_room(&mut self, owner: &ResponseOwner, bytes: u64, bounds: &ResponseBounds) -> bool {
        let all = [Whose::Owner(owner), Whose::Organization(owner.organization()), Whose::All];
        // BOUND: each turn lets one go.
        loop {
            let lacks = |whose: &Whose<'_>| {
                self.share(*whose).bytes.saturating_add(bytes) > self.most(*whose, bounds).bytes
            };
            let Some(lack) = all.into_iter().find(lacks) else { return true };
            if !self.let_oldest_go(lack) {
                return false;
            }
        }
    }
}
