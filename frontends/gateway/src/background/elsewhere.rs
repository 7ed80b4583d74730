//! Work that another process does on the same database: whether it does, and how it is asked to end it.

use std::time::Duration;

use sluicegate_core::Result;

use super::jobs::JobKey;
use crate::gateway::Inner;

/// Whoever wasn't seen for so long, in milliseconds, works no more: 30 turns of [`tend`], and what clocks may differ by.
const LOST_MS: i64 = 30_000;
/// How often it is looked whether another process has ended what it was asked to.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So often at most.
const LOOKS: usize = 50;

/// Says that this process still works on what it works on, ends what other processes were asked to end, and lets go of events of what
/// ended long ago. Once a second.
pub(crate) async fn tend(inner: &Inner) {
    inner.jobs.let_old_go(inner.clock.now());
    if inner.jobs.is_idle() {
        return;
    }
    let tended = match inner.store.tend_work(&inner.worker_name, inner.clock.now()).await {
        Ok(tended) => tended,
        Err(error) => {
            tracing::debug!(%error, "other processes can't be told what is worked on in the background");
            return;
        }
    };
    for work in tended {
        let key = (work.owner, work.id);
        if work.cancelled {
            inner.jobs.ask_to_end(&key);
        }
        // A task that broke off told nobody.
        if !inner.jobs.is_live(&key)
            && let Err(error) = inner.store.end_work(&key.0, &key.1).await
        {
            tracing::debug!(%error, "other processes can't be told that a response isn't worked on any more");
        }
    }
}

/// Whether another process works on it.
pub(super) async fn is_worked_on(inner: &Inner, key: &JobKey) -> Result<bool> {
    let seen = inner.store.work_seen(&key.0, &key.1).await?;
    Ok(seen.is_some_and(|seen| inner.clock.now().since_ms(seen) < LOST_MS))
}

/// Ends the work on a response, whoever does it, and waits until what became of it is kept; of another process's, ten seconds at
/// most.
///
/// # Errors
/// `Store`.
pub(crate) async fn end(inner: &Inner, key: &JobKey) -> Result<()> {
    if inner.jobs.cancel(key).await || !is_worked_on(inner, key).await? {
        return Ok(());
    }
    inner.store.cancel_work(&key.0, &key.1).await?;
    // BOUND: so many looks.
    for _ in 0..LOOKS {
        if inner.store.work_seen(&key.0, &key.1).await?.is_none() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
