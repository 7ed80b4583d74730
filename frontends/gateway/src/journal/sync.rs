//! One thread that brings writes to the disk, many at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};
use sluicegate_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use super::write::Shared;

/// How far everything has reached the disk, and who waits for more.
#[derive(Debug, Default)]
pub(super) struct Progress {
    durable: AtomicU64,
    failed: AtomicBool,
    reached: Notify,
    /// Whether there is something to sync, or nobody to sync for any more.
    wanted: Mutex<Wanted>,
    wake: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Nothing,
    Sync,
    End,
}

impl Progress {
    /// The number before which everything has reached the disk.
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Everything before this number has reached the disk.
    pub(super) fn reach(&self, before: u64) {
        self.durable.fetch_max(before, Ordering::AcqRel);
        self.reached.notify_waiters();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.reached.notify_waiters();
    }

    /// Asks for a sync.
    pub(super) fn want(&self) {
        self.set(Wanted::Sync);
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.set(Wanted::End);
    }

    fn set(&self, what: Wanted) {
        let mut wanted = self.wanted.lock();
        if *wanted != Wanted::End {
            *wanted = what;
        }
        self.wake.notify_one();
    }

    /// Waits until something is wanted; false when nothing will be any more.
    fn wait(&self) -> bool {
        let mut wanted = self.wanted.lock();
        while *wanted == Wanted::Nothing {
            self.wake.wait(&mut wanted);
        }
        let go_on = *wanted == Wanted::Sync;
        if go_on {
            *wanted = Wanted::Nothing;
        }
        go_on
    }

    /// Waits until everything before this number has reached the disk.
    ///
    /// # Errors
    /// `Store` when the disk failed: then nobody knows what has reached it.
    pub(super) async fn wait_for(&self, before: u64) -> Result<()> {
        loop {
            let mut reached = std::pin::pin!(self.reached.notified());
            // Registered before the look, so that no news falls between the two.
            reached.as_mut().enable();
            if self.durable() >= before {
                return Ok(());
            }
            if self.has_failed() {
                return Err(lost_disk());
            }
            reached.await;
        }
    }
}

pub(super) fn lost_disk() -> Error {
    Error::new(
        ErrorKind::Store,
        "the journal's disk failed; no call is admitted until the gateway is started anew on a sound one",
    )
}

/// Starts the thread. It ends with the journal.
pub(super) fn start(progress: Arc<Progress>, journal: Weak<Shared>) -> std::io::Result<()> {
    std::thread::Builder::new().name("journal-sync".to_owned()).spawn(move || {
        while progress.wait() {
            let Some(journal) = journal.upgrade() else { return };
            journal.sync();
        }
    })?;
    Ok(())
}
