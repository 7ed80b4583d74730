//! Replays that are asked for over the API: beside the calls, bounded, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sluicegate_core::snapshot::PolicySource;
use sluicegate_core::{Error, ErrorKind, Result, Retry};
use tokio::runtime::Handle;

use super::{Actor, Admin, forbidden, invalid};
use crate::history::{Beside, Bounds, ReplayDone, Tried, time_of};

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
    /// The policy's name. A text takes the place of the script in force of that name, with what it is attached to; one of another
    /// name runs for everybody.
    pub name: String,
    /// The script. Without it a stored version is meant.
    pub text: Option<String>,
    /// The stored version's number. Default: the newest.
    pub version: Option<i64>,
}

impl Admin {
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
        let declared = self.0.host.file();
        let time = |param, text: &str| {
            time_of(text, &declared.quota.time_zone, self.now()).map_err(|error| error.with("param", param))
        };
        let span = (time("from", &question.from)?, time("to", question.to.as_deref().unwrap_or("now"))?);
        let tried = self.tried(actor, question.policies).await?;
        // BOUND: one at a time; who has gone doesn't free the turn before the work has stopped.
        let turn = Arc::clone(&self.0.replaying).try_lock_owned().map_err(|_| {
            let message = "another replay is running; try again when it is done";
            Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(5_000))
        })?;
        self.0.host.flush_records().await?;
        let beside = Beside {
            declared,
            store: Arc::clone(&self.0.store),
            clock: Arc::clone(&self.0.clock),
            tried,
            only_these: question.only_these,
            span,
        };
        let (_leaves, bounds) = bounds(limit);
        let runtime = Handle::current();
        let run = move || {
            let _turn = turn;
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
            tried.push(match it {
                ReplayPolicy { text: Some(_), version: Some(_), .. } => {
                    let message = format!("`{}` has both a text and a version; give one of them", it.name);
                    return Err(invalid("policies", message));
                }
                ReplayPolicy { name, text: Some(text), .. } => Tried::Text(PolicySource::new(name, text)),
                ReplayPolicy { name, version, .. } => {
                    Tried::Version(self.stored_source(actor, &name, version).await?)
                }
            });
        }
        Ok(tried)
    }
}

/// Ends a replay when whoever asked for it has gone.
struct Leaves(Arc<AtomicBool>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn bounds(calls: u64) -> (Leaves, Bounds) {
    let gone = Arc::new(AtomicBool::new(false));
    let (leaves, until) = (Leaves(Arc::clone(&gone)), Instant::now() + REPLAY_TIME);
    let go_on = move || {
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
    (leaves, Bounds { calls, go_on: Box::new(go_on) })
}
