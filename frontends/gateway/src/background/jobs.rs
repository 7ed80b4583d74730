//! The responses that this process works on: how many there may be, of all and of one owner, and how each of them ends.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sluicegate_config::ResponseBounds;
use sluicegate_core::{Error, ErrorKind, Result, Retry};
use tokio::sync::watch;

use crate::store::ResponseOwner;

/// When whoever is refused for want of room may try again.
const RETRY_MS: u64 = 2_000;

/// Whose response, and which.
pub(crate) type JobKey = (ResponseOwner, String);

/// The responses that this process works on.
pub(crate) struct Jobs {
    bounds: ResponseBounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: HashMap<JobKey, Arc<Live>>,
    /// What each owner has of them.
    shares: HashMap<ResponseOwner, Share>,
    /// What all have.
    whole: Share,
}

/// So many responses are worked on, and so many bytes held for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    jobs: u32,
    bytes: u64,
}

impl Share {
    fn take(&mut self, bytes: u64) {
        self.jobs += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn give_back(&mut self, bytes: u64) {
        self.jobs = self.jobs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Why work is ended before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its owner says so.
    Cancelled,
    /// The process ends.
    Stopped,
}

/// One that is under way.
pub(crate) struct Live {
    id: String,
    /// Bytes that are held for it from its beginning.
    bytes: u64,
    asked: watch::Sender<Option<End>>,
    /// Its answer is there and charged: nothing ends it any more.
    answered: AtomicBool,
    /// Its answer took the place of what was kept of it, or nobody wants it any more.
    kept: AtomicBool,
    /// Turns true when what became of it is kept.
    over: watch::Sender<bool>,
}

impl Live {
    fn new(id: &str, bytes: u64) -> Self {
        Self {
            id: id.to_owned(),
            bytes,
            asked: watch::Sender::new(None),
            answered: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            over: watch::Sender::new(false),
        }
    }

    /// The id that its caller was told.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Its answer is there and charged: from here on it stands, whoever cancels.
    pub(crate) fn note_answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Its answer took the place of what was kept of it.
    pub(crate) fn note_kept(&self) {
        self.kept.store(true, Ordering::Release);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    fn end(&self, why: End) {
        // Whoever came first is heeded.
        self.asked.send_if_modified(|asked| {
            let is_first = asked.is_none();
            asked.get_or_insert(why);
            is_first
        });
    }

    /// Does the work, unless it is ended before its answer is there. What is dropped then is settled as when a caller leaves.
    ///
    /// # Errors
    /// Why it was ended.
    pub(crate) async fn until_ended<T>(&self, work: impl Future<Output = T>) -> std::result::Result<T, End> {
        let mut work = pin!(work);
        let mut asked = self.asked.subscribe();
        let ended = async {
            match asked.wait_for(Option::is_some).await {
                Ok(why) => (*why).unwrap_or(End::Stopped),
                Err(_) => End::Stopped,
            }
        };
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            why = ended => {
                if !self.answered.load(Ordering::Acquire) {
                    return Err(why);
                }
            }
        }
        // INVARIANT: what was charged as an answer is never told as cancelled.
        Ok(work.await)
    }
}

impl Jobs {
    pub(crate) fn new(bounds: ResponseBounds) -> Self {
        Self { bounds, state: Mutex::default() }
    }

    /// Whether this process works on it.
    pub(crate) fn is_live(&self, key: &JobKey) -> bool {
        self.state.lock().live.contains_key(key)
    }

    /// Whether there is no work at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().live.is_empty()
    }

    /// Begins the work on a response for which so many bytes are held.
    ///
    /// # Errors
    /// `RateLimited` when there is too much already, of this owner or of all; `PayloadTooLarge` when it never fits.
    // BOUND: of tasks that nobody waits for, and of the memory that they hold.
    pub(crate) fn begin(&self, key: JobKey, bytes: u64) -> Result<Arc<Live>> {
        let mut state = self.state.lock();
        let own = state.shares.get(&key.0).copied().unwrap_or_default();
        self.refuse(own, state.whole, bytes)?;
        let live = Arc::new(Live::new(&key.1, bytes));
        state.shares.entry(key.0.clone()).or_default().take(bytes);
        state.whole.take(bytes);
        state.live.insert(key, Arc::clone(&live));
        Ok(live)
    }

    fn refuse(&self, own: Share, whole: Share, bytes: u64) -> Result<()> {
        let ResponseBounds { background, background_per_owner, background_bytes, .. } = self.bounds;
        let most = self.bounds.background_bytes_per_owner.min(background_bytes);
        if bytes > most {
            let message = format!(
                "a response that is worked on in the background may be asked for with {most} bytes \
                 (`server.responses.background_bytes_per_owner`): send less, or leave `background` out"
            );
            return Err(Error::new(ErrorKind::PayloadTooLarge, message).with("param", "background"));
        }
        let message = if own.jobs >= background_per_owner {
            format!(
                "{background_per_owner} responses are worked on in the background for this key's owner, as many as may be at a time \
                 (`server.responses.background_per_owner`): cancel one, or wait until one has ended"
            )
        } else if own.bytes.saturating_add(bytes) > most {
            format!(
                "{} bytes are held for the responses that are worked on in the background for this key's owner, of {most} \
                 (`server.responses.background_bytes_per_owner`): cancel one, or wait until one has ended",
                own.bytes
            )
        } else if whole.jobs >= background || whole.bytes.saturating_add(bytes) > background_bytes {
            "this gateway works on as many responses in the background as it may (`server.responses`): try again later, \
             or leave `background` out"
                .to_owned()
        } else {
            return Ok(());
        };
        let error = Error::new(ErrorKind::RateLimited, message).with("param", "background");
        Err(error.with_retry(Retry::AfterMs(RETRY_MS)))
    }

    /// What became of it is kept: it is worked on no longer.
    pub(crate) fn ended(&self, key: &JobKey) {
        let mut state = self.state.lock();
        let Some(live) = state.live.remove(key) else { return };
        state.whole.give_back(live.bytes);
        if let Some(own) = state.shares.get_mut(&key.0) {
            own.give_back(live.bytes);
            if own.jobs == 0 {
                state.shares.remove(&key.0);
            }
        }
        live.over.send_replace(true);
    }

    /// Ends the work on a response, if there is any, and waits until that is kept.
    pub(crate) async fn cancel(&self, key: &JobKey) {
        let Some(live) = self.state.lock().live.get(key).cloned() else { return };
        live.end(End::Cancelled);
        let _ = live.over.subscribe().wait_for(|over| *over).await;
    }

    /// Ends all work.
    pub(crate) fn end_all(&self, why: End) {
        self.state.lock().live.values().for_each(|live| live.end(why));
    }
}

#[cfg(test)]
mod tests;
