//! Whether who calls may still, when a call has waited, or is about to be tried again.

use std::sync::Arc;

use sluicegate_core::decision::Denial;
use sluicegate_core::engine::BoundCaller;
use sluicegate_core::tenant::RouteUse;
use sluicegate_core::{Error, Secret};

use crate::gateway::Inner;
use crate::running::Running;

/// When it was looked up who calls. As long as nothing has changed since, that stands.
pub(crate) struct Standing(u64);

impl Standing {
    /// To be taken before the caller is looked up.
    pub(crate) fn of(inner: &Inner) -> Self {
        Self(inner.directory.epoch())
    }

    /// Whether anything has changed; and takes note of it.
    pub(crate) fn has_changed(&mut self, inner: &Inner) -> bool {
        let epoch = inner.directory.epoch();
        let changed = epoch != self.0;
        self.0 = epoch;
        changed
    }
}

/// Who calls by this credential now.
///
/// # Errors
/// As of a new call.
pub(crate) async fn caller(
    inner: &Inner,
    credential: Option<&Secret>,
    path: &str,
) -> Result<Arc<BoundCaller>, Error> {
    let caller = Box::pin(inner.caller(credential)).await?;
    caller.caller.routes.check(path, &[RouteUse::Inference])?;
    Ok(caller)
}

/// Why the call would be refused as a new one by this caller; `None` when it wouldn't. Limits are asked by each attempt's
/// reservation.
pub(crate) fn refused(
    inner: &Inner,
    running: &Running,
    found: Result<Arc<BoundCaller>, Error>,
) -> Option<Error> {
    let caller = match found {
        Ok(caller) => caller,
        Err(error) => return Some(error),
    };
    let (admission, now) = (running.admitted()?, inner.clock.now());
    let denial = Denial::of_caller(&caller.caller, admission.call().client_ip, now);
    denial.or_else(|| admission.lost_model(&caller.caller)).map(|denial| denial.to_error(now))
}
