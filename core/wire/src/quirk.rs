//! Where a provider differs from the format that it speaks: changes of requests on their way out, and what its answers mean.
//!
//! What an operator writes goes before: a channel's own changes of bodies ([`crate::overlay`]) are made after these.

mod answer;
mod request;
mod think;

use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::quirk::{Quirks, RequestChange, RequestQuirk, ThinkTags};

use crate::bridge::Reply;
use crate::prepare::Prepared;
use crate::scan::Scanned;

pub(crate) use answer::{Ended, asked_cache_ppm, counted, ended};
pub(crate) use think::Think;

impl Scanned {
    /// Lets a request that was [prepared](Scanned::prepare) for an upstream of format `target` heed what is different at its
    /// provider: the body is changed in its bytes, and the answer will be read accordingly. `model` is the upstream's name.
    ///
    /// Nothing that the call reserved can be passed by it: [`Quirks::unfit`] keeps such changes out of the catalogue. What
    /// is dropped or clamped is added to the losses.
    pub fn heed(&self, prepared: &mut Prepared, quirks: &Arc<Quirks>, target: Format, model: &str) {
        let mut rules: smallvec::SmallVec<[&RequestQuirk; 8]> = smallvec::SmallVec::new();
        rules.extend(quirks.request.iter().filter(|rule| rule.concerns(target, model)));
        // A body that only passes has been read: what it can't hold needs no second look. Its ceiling may be ours.
        let passes = self.format() == target;
        rules.retain(|rule| !passes || request::may_change(self, &prepared.body, rule));
        if !rules.is_empty() {
            // INVARIANT: the body is one that we wrote or scanned, so it is UTF-8.
            let text = std::str::from_utf8(&prepared.body).unwrap_or_default();
            let changed = request::change(text, &rules, &mut prepared.losses);
            prepared.streams |= changed.streams;
            if let Some(text) = changed.text {
                prepared.body = Bytes::from(text);
            }
        }
        prepared.reply.heed(quirks, model);
    }

    /// The output ceiling that a provider with these quirks heeds in the body as it came: one by a name that it doesn't read is none.
    pub fn heeded_ceiling(&self, quirks: &Quirks, model: &str) -> Option<u64> {
        let renames = |rule: &&RequestQuirk| {
            matches!(&rule.change, RequestChange::Rename { from, .. } if from.starts_with("max_"))
                && rule.concerns(self.format(), model)
        };
        let rules: smallvec::SmallVec<[&RequestQuirk; 4]> = quirks.request.iter().filter(renames).collect();
        if rules.is_empty() { self.facts().max_output } else { request::ceiling(self.text(), &rules) }
    }
}

impl Reply {
    /// What an answer of this model's means at a provider with these quirks, where no request was prepared here.
    pub fn at(quirks: &Arc<Quirks>, model: &str) -> Self {
        let mut reply = Self::default();
        reply.heed(quirks, model);
        reply
    }

    fn heed(&mut self, quirks: &Arc<Quirks>, model: &str) {
        if quirks.concern_answers() {
            self.think_tags = Some(quirks.think_tags_of(model)).filter(|tags| *tags != ThinkTags::None);
            self.quirks = Some(Arc::clone(quirks));
        }
    }
}

#[cfg(test)]
mod tests;
