//! Where a call may end: guardrails that are attached to models look at each call that may get to one of these.

use sluicegate_core::tenant::Caller;
use sluicegate_core::{Declared, ModelName};
use smallvec::SmallVec;

/// The names under which a call may end somewhere.
pub(super) struct Ways {
    /// For each model that may come up: the word for it, and what that means in turn. The requested one is first.
    ways: Vec<SmallVec<[ModelName; 3]>>,
}

impl Ways {
    /// The requested model, those behind it in a list, the caller's own fallbacks, and what is configured for these.
    // BOUND: the request's fallbacks and the configuration's.
    pub(super) fn of<'a>(
        declared: &Declared,
        caller: &Caller,
        first: &'a str,
        others: impl Iterator<Item = &'a str>,
    ) -> Self {
        let meant = |named: ModelName| -> SmallVec<[ModelName; 3]> {
            let via = caller.aliases.get(&named).cloned();
            let alias = |name: &ModelName| declared.aliases.get(name).cloned();
            let mut way: SmallVec<[ModelName; 3]> = alias(&named).into_iter().collect();
            way.extend(via.as_ref().and_then(alias));
            way.extend(via);
            way.insert(0, named);
            way
        };
        let mut ways: Vec<_> = std::iter::once(first).chain(others).map(|name| meant(name.into())).collect();
        // Scripts and limits turn to these even where the caller wants no fallbacks.
        let fallbacks = &declared.fallbacks;
        let of_first = |name: &ModelName| {
            let kinds = [&fallbacks.general, &fallbacks.context_window, &fallbacks.content_policy];
            let listed = kinds.into_iter().filter_map(|kind| kind.get(name));
            let cheaper = declared.model_groups.get(name).map(|group| &group.downgrade_to);
            listed.chain(cheaper).flatten().cloned().collect::<Vec<_>>()
        };
        let configured: Vec<_> = ways.first().into_iter().flatten().flat_map(of_first).collect();
        ways.extend(configured.into_iter().chain(fallbacks.default.iter().cloned()).map(meant));
        Self { ways }
    }

    /// Every name of every model.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> + Clone {
        self.ways.iter().flatten().map(ModelName::as_str)
    }

    /// The names under which the call got to this model: those it was asked for, this one's own, and the words for it.
    pub(super) fn to<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        let asked = self.ways.first().into_iter().flatten();
        let words = self.ways.iter().skip(1).filter(move |way| way.iter().any(|name| name.as_str() == model));
        std::iter::once(model).chain(asked.chain(words.flatten()).map(ModelName::as_str))
    }
}
