//! The prompt of a call, for scripts that look at it.

use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::ports::{NoText, TextView};
use sluicegate_wire::{Scanned, Side, Texts};

/// The body of a call as it goes on to the upstream, masks of guardrails included. Its texts are found when they are asked for.
pub(crate) struct BodyText {
    format: Format,
    body: Bytes,
}

impl BodyText {
    /// The texts of a body.
    pub(crate) fn of(scanned: &Scanned) -> Arc<dyn TextView> {
        Arc::new(Self { format: scanned.format(), body: scanned.body().clone() })
    }

    /// The same, if there is a body.
    pub(crate) fn of_any(scanned: Option<&Scanned>) -> Arc<dyn TextView> {
        scanned.map_or_else(|| Arc::new(NoText) as Arc<dyn TextView>, Self::of)
    }
}

impl TextView for BodyText {
    fn each(&self, take: &mut dyn FnMut(&str)) {
        Texts::of(self.format, Side::Request, &self.body).iter().for_each(take);
    }
}
