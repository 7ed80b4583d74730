//! Replays that are asked for over the API: beside the calls, bounded, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sluicegate_config::Loaded;
use sluicegate_core::snapshot::OnPolicyError;
use sluicegate_core::{Error, ErrorKind, KeyId, OrganizationId, Result, Retry, Timestamp};
use tokio::runtime::Handle;

use super::{Actor, Admin, forbidden, invalid};
use crate::history::{Beside, Bounds, Course, ReplayDone, Tried, time_of};

/// A replay over the API takes no longer.
const REPLAY_TIME: Duration = Duration::from_secs(60);
/// It replays no more calls, and by default so many.
const MAX_REPLAYED: u64 = 1_000_000;
const DEFAULT_REPLAYED: u64 = 100_000;
/// It tries no more scripts.
const MAX_TRIED: usize = 16;

/// What to replay, and under what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayQuestion {
    /// From when on, as [`time_of`] reads it.
    pub from: String,
    /// Until when, excluded, likewise. Default: now.
    pub to: Option<String>,
    /// So many calls at most, the oldest of the span. Default 100,000, at most 1,000,000.
    pub limit: Option<u64>,
    /// Scripts to try, at most 16.
    pub policies: Vec<ReplayPolicy>,
    /// Leaves the other scripts out.
    pub only_these: bool,
}

/// A script to try: a text, or a version that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayPolicy {
    /// The policy's name. A text takes the place of the script in force of that name.
    pub name: String,
    /// The script. Without it a stored version is meant, with what it is attached to and does on an error.
    pub text: Option<String>,
    /// The stored version's number. Default: the newest.
    pub version: Option<i64>,
    /// The organization whose calls a text steers. With none of organization, group and key it steers those that the policy of
    /// its name does, and every call where there is none.
    pub organization: Option<OrganizationId>,
    /// The group whose calls a text steers, by id or alias.
    pub group: Option<String>,
    /// The key whose calls a text steers, by id.
    pub key: Option<KeyId>,
    /// What happens to a call when a text fails. Default: as with the policy of its name, else fail_open.
    pub on_error: Option<OnPolicyError>,
}

impl ReplayPolicy {
    /// Whether it says whose calls it steers.
    pub(super) fn is_placed(&self) -> bool {
        self.organization.is_some() || self.group.is_some() || self.key.is_some()
    }
}

/// A replay that is running.
#[derive(Clone, Debug)]
pub struct ReplayUnderWay {
    /// Since when.
    pub began_at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// How far it is; `None` before the first calls are read.
    pub course: Option<Course>,
}

/// Whose turn it is, how far they are, and whether they are to stop.
#[derive(Default)]
pub(super) struct Replaying {
    turn: Arc<tokio::sync::Mutex<()>>,
    now: Mutex<Option<ReplayUnderWay>>,
    stopped: AtomicBool,
}

impl Admin {
    /// The replay that is running. For super administrators.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn replay_under_way(&self, actor: &Actor) -> Result<Option<ReplayUnderWay>> {
        if !actor.is_super() {
            return Err(forbidden("replay calls"));
        }
        Ok(self.0.replaying.now.lock().clone())
    }

    /// Stops the replay that is running, whoever asked for it: they are told that it was stopped. For super administrators.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` when none is running.
    pub fn stop_replay(&self, actor: &Actor) -> Result<()> {
        self.replay_under_way(actor)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "no replay is running"))?;
        self.0.replaying.stopped.store(true, Ordering::Release);
        Ok(())
    }

    /// Replays recorded calls. For super administrators: the report has everybody's use and what channels cost. One replay at a time,
    /// for at most a minute, on a thread of its own; it ends when the future is dropped.
    ///
    /// # Errors
    /// `Forbidden`; `InvalidRequest` for times that make no sense, too much at once and scripts that can't be used;
    /// `NotFound` when no call came then, or there is no such version; `RateLimited` while another replay runs; `Store`.
    pub async fn replay(&self, actor: &Actor, question: ReplayQuestion) -> Result<ReplayDone> {
        if !actor.is_super() {
            return Err(forbidden("replay calls"));
        }
        let limit = question.limit.unwrap_or(DEFAULT_REPLAYED);
        if !(1..=MAX_REPLAYED).contains(&limit) {
            return Err(invalid("limit", format!("`limit` must be between 1 and {MAX_REPLAYED}")));
        }
        let file = self.0.host.file();
        let time = |param, text: &str| {
            time_of(text, &file.declared.quota.time_zone, self.now())
                .map_err(|error| error.with("param", param))
        };
        let span = (time("from", &question.from)?, time("to", question.to.as_deref().unwrap_or("now"))?);
        let tried = self.tried(actor, question.policies).await?;
        // BOUND: one at a time; who has gone doesn't free the turn before the work has stopped.
        let turn = Arc::clone(&self.0.replaying.turn).try_lock_owned().map_err(|_| {
            let message = "another replay is running; try again when it is done";
            Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(5_000))
        })?;
        let shown = Shown::begin(Arc::clone(&self.0.replaying), actor.name(), self.now());
        self.0.host.flush_records().await?;
        let beside = Beside {
            file: Loaded::clone(&file),
            store: Arc::clone(&self.0.store),
            clock: Arc::clone(&self.0.clock),
            tried,
            only_these: question.only_these,
            span,
        };
        let (_leaves, bounds) = bounds(limit, &self.0.replaying);
        let runtime = Handle::current();
        let run = move || {
            // The next one's turn begins when this one isn't shown any more.
            let (_turn, _shown) = (turn, shown);
            runtime.block_on(beside.replay(&bounds))
        };
        let done = tokio::task::spawn_blocking(run)
            .await
            .map_err(|why| Error::new(ErrorKind::Internal, "the replay was cut off").with_source(why))?;
        // The configuration in force is usable: it is the scripts that aren't.
        done.map_err(|error| match error.kind() {
            ErrorKind::Config => invalid("policies", error.message()),
            _ => error,
        })
    }

    async fn tried(&self, actor: &Actor, policies: Vec<ReplayPolicy>) -> Result<Vec<Tried>> {
        if policies.len() > MAX_TRIED {
            return Err(invalid(
                "policies",
                format!("a replay tries {MAX_TRIED} scripts at most; name fewer"),
            ));
        }
        let mut tried = Vec::with_capacity(policies.len());
        for it in policies {
            tried.push(self.try_one(actor, it).await?);
        }
        Ok(tried)
    }

    async fn try_one(&self, actor: &Actor, it: ReplayPolicy) -> Result<Tried> {
        let name = &it.name;
        if it.text.is_some() && it.version.is_some() {
            let message = format!("`{name}` has both a text and a version; give one of them");
            return Err(invalid("policies", message));
        }
        if it.text.is_none() && (it.is_placed() || it.on_error.is_some()) {
            let message = format!(
                "`{name}` has no text, and a stored version keeps whose calls it steers and what it does on an error; leave out \
                 organization, group, key and on_error, or give a text"
            );
            return Err(invalid("policies", message));
        }
        let source = match it.text {
            Some(_) => self.drafted_source(actor, it).await?,
            None => self.stored_source(actor, name, it.version).await?,
        };
        Ok(Tried::Whole(source))
    }
}

/// Ends a replay when whoever asked for it has gone.
struct Leaves(Arc<AtomicBool>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A replay is shown from its turn's begin to its end.
struct Shown(Arc<Replaying>);

impl Shown {
    fn begin(replaying: Arc<Replaying>, by: &str, began_at: Timestamp) -> Self {
        replaying.stopped.store(false, Ordering::Release);
        *replaying.now.lock() = Some(ReplayUnderWay { began_at, by: by.to_owned(), course: None });
        Self(replaying)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *self.0.now.lock() = None;
    }
}

fn bounds(calls: u64, replaying: &Arc<Replaying>) -> (Leaves, Bounds) {
    let gone = Arc::new(AtomicBool::new(false));
    let (leaves, until) = (Leaves(Arc::clone(&gone)), Instant::now() + REPLAY_TIME);
    let (watched, shown) = (Arc::clone(replaying), Arc::clone(replaying));
    let go_on = move || {
        if watched.stopped.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Conflict, "the replay was stopped; ask for it again"));
        }
        if gone.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Cancelled, "whoever asked for the replay has gone"));
        }
        if Instant::now() > until {
            let message = format!(
                "the replay would take more than {} seconds; name a shorter span or a lower `limit`, or run `sluicegate replay` \
                 beside the gateway",
                REPLAY_TIME.as_secs()
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        Ok(())
    };
    let told = move |course| {
        if let Some(now) = shown.now.lock().as_mut() {
            now.course = Some(course);
        }
    };
    (leaves, Bounds { calls, go_on: Box::new(go_on), told: Box::new(told) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Phase;

    #[test]
    fn a_replay_is_shown_while_it_runs_and_stopped_once() {
        let replaying = Arc::new(Replaying::default());
        let shown = || replaying.now.lock().clone();
        let begin = || Shown::begin(Arc::clone(&replaying), "root", Timestamp::from_ms(7));
        let first = begin();
        let (leaves, bounds) = bounds(10, &replaying);
        assert!((bounds.go_on)().is_ok());
        assert!(shown().is_some_and(|it| it.by == "root" && it.course.is_none()));
        let course = Course {
            phase: Phase::Reading,
            done: 3,
            of: None,
            at: Timestamp::from_ms(9),
            share_ppm: 500_000,
        };
        (bounds.told)(course);
        assert_eq!(shown().and_then(|it| it.course), Some(course));
        replaying.stopped.store(true, Ordering::Release);
        assert!((bounds.go_on)().is_err_and(|error| error.kind() == ErrorKind::Conflict));
        drop(first);
        assert!(shown().is_none());
        // What is told too late isn't shown as another's, and another isn't stopped by what stopped this one.
        (bounds.told)(course);
        assert!(shown().is_none());
        let _second = begin();
        assert!((bounds.go_on)().is_ok());
        drop(leaves);
        assert!((bounds.go_on)().is_err_and(|error| error.kind() == ErrorKind::Cancelled));
    }
}
