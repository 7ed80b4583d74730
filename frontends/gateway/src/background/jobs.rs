//! The responses that this process works on: how many there may be, of all, of one organization and of one owner, and how each of them
//! ends.

mod share;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use sluicegate_config::ResponseBounds;
use sluicegate_core::{Error, ErrorKind, Result, Retry, Timestamp};
use tokio::sync::watch;

use self::share::{Past, Share, State, Whose};
use super::log::{Log, Room};
use crate::store::ResponseOwner;

/// When whoever is refused for want of room may try again.
const RETRY_MS: u64 = 2_000;

/// How long the events of a response are held when it is over, in milliseconds.
const LINGER_MS: i64 = 300_000;
/// Of so many at most.
// BOUND: of what is held beside the bytes of events.
const PAST_MAX: usize = 4_096;

/// Whose response, and which.
pub(crate) type JobKey = (ResponseOwner, String);

/// The responses that this process works on.
pub(crate) struct Jobs {
    bounds: ResponseBounds,
    state: Mutex<State>,
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
    /// Bytes that are held for it, beside its events.
    bytes: AtomicU64,
    asked: watch::Sender<Option<End>>,
    /// Its answer is there and charged: nothing ends it any more.
    answered: AtomicBool,
    /// Its answer took the place of what was kept of it, or nobody wants it any more.
    kept: AtomicBool,
    /// Turns true when what became of it is kept.
    over: watch::Sender<bool>,
    /// Its events, where it is streamed.
    log: Option<Arc<Log>>,
}

impl Live {
    fn new(id: &str, bytes: u64, streams: bool) -> Self {
        Self {
            id: id.to_owned(),
            bytes: AtomicU64::new(bytes),
            log: streams.then(|| Arc::new(Log::new())),
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

    /// Its events, where it is streamed.
    pub(crate) fn log(&self) -> Option<Arc<Log>> {
        self.log.clone()
    }

    /// Waits until what became of it is kept.
    pub(crate) async fn over(&self) {
        let _ = self.over.subscribe().wait_for(|over| *over).await;
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

    /// One that this process works on, or that has ended and whose events are still held.
    pub(crate) fn held(&self, key: &JobKey) -> Option<Arc<Live>> {
        let state = self.state.lock();
        state.live.get(key).or_else(|| state.past.get(key).map(|past| &past.live)).cloned()
    }

    /// Begins the work on a response for which so many bytes are held, and its events if it is streamed.
    ///
    /// # Errors
    /// `RateLimited` when there is too much already, of this owner, of its organization or of all; `PayloadTooLarge` when it never
    /// fits.
    // BOUND: of tasks that nobody waits for, and of the memory that they hold.
    pub(crate) fn begin(&self, key: JobKey, bytes: u64, streams: bool, now: Timestamp) -> Result<Arc<Live>> {
        let mut state = self.state.lock();
        state.note(key.0.organization(), now);
        state.make_room(&key.0, bytes, &self.bounds);
        self.refuse(&state, &key.0, Share { jobs: 1, bytes, past: 0 }, bytes)?;
        let live = Arc::new(Live::new(&key.1, bytes, streams));
        state.change(&key.0, |share| {
            share.jobs += 1;
            share.take(bytes);
        });
        state.live.insert(key, Arc::clone(&live));
        Ok(live)
    }

    /// So many bytes are held for it, now that it is known what it goes on from.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    // BOUND: of memory, whatever short requests refer to.
    pub(crate) fn holds(&self, owner: &ResponseOwner, live: &Live, bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        let more = bytes.saturating_sub(live.bytes.load(Ordering::Relaxed));
        state.make_room(owner, more, &self.bounds);
        self.refuse(&state, owner, Share { jobs: 0, bytes: more, past: 0 }, bytes)?;
        state.change(owner, |share| share.take(more));
        live.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses what is beyond a share: `more` than there is, for a response that has `whole` bytes.
    fn refuse(&self, state: &State, owner: &ResponseOwner, more: Share, whole: u64) -> Result<()> {
        let organization = Whose::Organization(owner.organization());
        let most = |whose| state.most(whose, &self.bounds);
        let is_beyond = |whose| {
            // What there is already stays, even where there may be less by now.
            let (has, most) = (state.share(whose), most(whose));
            let jobs = more.jobs > 0 && has.jobs.saturating_add(more.jobs) > most.jobs;
            (jobs, more.bytes > 0 && has.bytes.saturating_add(more.bytes) > most.bytes)
        };
        let largest = most(Whose::Owner(owner)).bytes.min(most(organization).bytes);
        if whole > largest {
            let message = format!(
                "{largest} bytes may be held for a response that is worked on in the background, of its request and everything that it \
                 goes on from (`server.responses.background_bytes_per_owner`): send less, or leave `background` out"
            );
            return Err(Error::new(ErrorKind::PayloadTooLarge, message).with("param", "background"));
        }
        let own = most(Whose::Owner(owner));
        let message = match (is_beyond(Whose::Owner(owner)), is_beyond(organization), is_beyond(Whose::All)) {
            ((true, _), ..) => format!(
                "{} responses are worked on in the background for this key's owner, as many as may be at a time \
                 (`server.responses.background_per_owner`): cancel one, or wait until one has ended",
                own.jobs
            ),
            ((_, true), ..) => format!(
                "{} bytes are held for the responses that are worked on in the background for this key's owner, of {} \
                 (`server.responses.background_bytes_per_owner`): cancel one, or wait until one has ended",
                state.share(Whose::Owner(owner)).bytes,
                own.bytes
            ),
            (_, (true, _) | (_, true), _) if state.has_others(owner.organization()) => {
                "this key's organization has as much worked on in the background as one may, half of what this gateway does \
                 (`server.responses`): cancel one, or wait until one has ended"
                    .to_owned()
            }
            (.., (true, _) | (_, true)) => {
                "this gateway works on as many responses in the background as it may (`server.responses`): try again later, \
                 or leave `background` out"
                    .to_owned()
            }
            _ => return Ok(()),
        };
        let error = Error::new(ErrorKind::RateLimited, message).with("param", "background");
        Err(error.with_retry(Retry::AfterMs(RETRY_MS)))
    }

    /// What became of it is kept: it is worked on no longer. Its events are held for a while.
    pub(crate) fn ended(&self, key: &JobKey, now: Timestamp) {
        let Some(live) = self.state.lock().live.get(key).cloned() else { return };
        let held = live.log.as_ref().map_or(0, |log| log.close());
        let mut state = self.state.lock();
        state.live.remove(key);
        let bytes = live.bytes.load(Ordering::Relaxed);
        state.change(&key.0, |share| {
            share.jobs = share.jobs.saturating_sub(1);
            share.give_back(bytes);
            share.past = share.past.saturating_add(held);
        });
        if held > 0 {
            state.past.insert(key.clone(), Past { live: Arc::clone(&live), bytes: held, ended_at: now });
            state.past_order.push_back(key.clone());
        }
        if state.past.len() > PAST_MAX {
            state.let_oldest_go(Whose::All);
        }
        drop(state);
        live.over.send_replace(true);
    }

    /// Lets go of the events of a response that has ended.
    pub(crate) fn let_go(&self, key: &JobKey) {
        self.state.lock().let_go(key);
    }

    /// Lets go of the events of what ended long ago, and of claims that nobody made use of.
    pub(crate) fn let_old_go(&self, now: Timestamp) {
        let mut state = self.state.lock();
        state.forget_claims(now);
        // BOUND: each turn lets one go.
        while let Some(key) = state.past_order.front().cloned() {
            let ended_at = state.past.get(&key).map(|past| past.ended_at);
            if ended_at.is_some_and(|ended_at| now.since_ms(ended_at) < LINGER_MS) {
                return;
            }
            state.let_go(&key);
        }
    }

    /// Room for the events of an owner's responses.
    pub(super) fn room<'a>(&'a self, owner: &'a ResponseOwner) -> impl Room + 'a {
        OwnerRoom { jobs: self, owner }
    }

    /// Has the work on a response end, if there is any.
    pub(crate) fn ask_to_end(&self, key: &JobKey) -> Option<Arc<Live>> {
        let live = self.state.lock().live.get(key).cloned()?;
        live.end(End::Cancelled);
        Some(live)
    }

    /// Ends the work on a response and waits until that is kept; whether there was any.
    pub(crate) async fn cancel(&self, key: &JobKey) -> bool {
        let Some(live) = self.ask_to_end(key) else { return false };
        live.over().await;
        true
    }

    /// Ends all work.
    pub(crate) fn end_all(&self, why: End) {
        self.state.lock().live.values().for_each(|live| live.end(why));
    }
}

struct OwnerRoom<'a> {
    jobs: &'a Jobs,
    owner: &'a ResponseOwner,
}

impl Room for OwnerRoom<'_> {
    fn take(&self, bytes: u64) -> bool {
        let mut state = self.jobs.state.lock();
        let is_there = state.make_room(self.owner, bytes, &self.jobs.bounds);
        if is_there {
            state.change(self.owner, |share| share.take(bytes));
        }
        is_there
    }

    fn give_back(&self, bytes: u64) {
        self.jobs.state.lock().change(self.owner, |share| share.give_back(bytes));
    }
}

#[cfg(test)]
mod tests;
