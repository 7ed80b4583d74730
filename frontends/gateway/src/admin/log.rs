//! The log of calls: found, shown whole, followed.

use std::sync::Arc;

use serde::Serialize;
use sluicegate_core::journal::amendment_id;
use sluicegate_core::money::NanoUsd;
use sluicegate_core::{CallId, ErrorKind, RecordEntry, Result, UsageRecord};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Actor, Admin, forbidden, not_found};
use crate::directory::Directory;
use crate::store::{
    KeyRef, LogCursor, LogFilter, LogPage, Page, Reach, RecordFilter, TroubleQuery, Troubles,
};

/// A call, whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallView {
    /// Its record.
    pub record: UsageRecord,
    /// What its held attempts came to, when that was known later.
    pub amendments: Vec<UsageRecord>,
    /// What it cost the caller in all, in nano-USD.
    pub spend: NanoUsd,
}

/// What comes to somebody who follows the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Tailed {
    /// A call has ended.
    Record(Arc<RecordEntry>),
    /// So many have ended that they were too slow for.
    Dropped(u64),
    /// Something has changed since it was looked up who follows: nothing more is told until it is said anew, by
    /// [`RecordTail::asked_by`] with this number.
    Changed(u64),
}

/// New records that somebody may see, as calls end.
pub struct RecordTail {
    records: broadcast::Receiver<Arc<RecordEntry>>,
    filter: LogFilter,
    reach: Reach,
    directory: Arc<Directory>,
    /// When it was looked up who follows.
    epoch: u64,
    /// What waits for that to be done anew.
    waiting: Option<Arc<RecordEntry>>,
}

impl RecordTail {
    /// What comes next; `None` when nothing will. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Tailed> {
        // BOUND: as many turns as there are records of others.
        loop {
            let entry = match self.waiting.take() {
                Some(entry) => entry,
                None => match self.records.recv().await {
                    Ok(entry) => entry,
                    Err(RecvError::Lagged(many)) => return Some(Tailed::Dropped(many)),
                    Err(RecvError::Closed) => return None,
                },
            };
            let epoch = self.directory.epoch();
            if epoch != self.epoch {
                self.waiting = Some(entry);
                return Some(Tailed::Changed(epoch));
            }
            let seen = |it: &UsageRecord| self.reach.has_record(it) && self.filter.finds(it);
            if entry.record().is_ok_and(|record| seen(&record)) {
                return Some(Tailed::Record(entry));
            }
        }
    }

    /// Goes on for whoever asks now; `epoch` is that of [`Tailed::Changed`], and they were looked up after it.
    pub fn asked_by(&mut self, actor: &Actor, epoch: u64) {
        (self.reach, self.epoch) = (actor.reach(), epoch);
    }
}

fn is_found<T>(found: Result<T>) -> Result<bool> {
    match found {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Admin {
    /// A page of the log as far as an actor may see it, newest first. Calls that have ended before are in it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn log(
        &self,
        actor: &Actor,
        filter: &LogFilter,
        after: Option<&LogCursor>,
        limit: u32,
    ) -> Result<LogPage> {
        self.0.host.flush_records().await?;
        let (filter, reach) = (self.as_asked_by(actor, filter).await?, actor.reach());
        self.store().log(&filter, &reach, after, limit.clamp(1, Page::MAX)).await
    }

    /// How many calls a filter finds, as [`Store::log_count`](crate::store::Store::log_count).
    ///
    /// # Errors
    /// `Store`.
    pub async fn log_count(&self, actor: &Actor, filter: &LogFilter) -> Result<Option<u64>> {
        self.store().log_count(&self.as_asked_by(actor, filter).await?, &actor.reach()).await
    }

    /// Counts calls that failed or took long, the newest ones, of all of an organization or of all.
    ///
    /// # Errors
    /// `Forbidden` to whoever sees only some calls of an organization. `Store`.
    pub async fn troubles(&self, actor: &Actor, query: &TroubleQuery) -> Result<Troubles> {
        let reach = actor.reach();
        if reach.narrow.is_some() {
            return Err(forbidden("see what failed in the whole organization"));
        }
        self.0.host.flush_records().await?;
        self.store().troubles(query, &reach).await
    }

    /// The filter, which knows whether what it names is the actor's to see: of an organization everything is, or nothing.
    pub(super) async fn as_asked_by(&self, actor: &Actor, filter: &LogFilter) -> Result<LogFilter> {
        let (base, reach) = (&filter.base, actor.reach());
        let is_own = match (&base.key, &base.user, &base.group) {
            _ if reach.narrow.is_some() => false,
            (Some(key), ..) => is_found(self.find_key(actor, &KeyRef::Id(key.clone())).await)?,
            (_, Some(user), _) => self.find_user_within(&reach, user).await?.is_some(),
            (.., Some(group)) => is_found(self.resolve_group(actor, group.as_str()).await)?,
            _ => false,
        };
        Ok(LogFilter { is_own, ..filter.clone() })
    }

    /// One call, whole.
    ///
    /// # Errors
    /// `NotFound`, also of what the actor may not see. `Store`.
    pub async fn call(&self, actor: &Actor, id: &CallId) -> Result<CallView> {
        self.0.host.flush_records().await?;
        let find = async |call: CallId| {
            let base = RecordFilter { call: Some(call), ..RecordFilter::default() };
            let filter = LogFilter { base, ..LogFilter::default() };
            let found = self.store().log(&filter, &actor.reach(), None, 1).await?;
            Ok::<_, sluicegate_core::Error>(found.items.into_iter().next())
        };
        let record = find(id.clone()).await?.ok_or_else(|| not_found("call", id.as_str()))?;
        let mut amendments = Vec::new();
        for (number, attempt) in (1..).zip(&record.attempts) {
            if attempt.held {
                amendments.extend(find(amendment_id(id, number)).await?);
            }
        }
        let later: NanoUsd = amendments.iter().map(|it| it.spend).sum();
        Ok(CallView { spend: record.spend.saturating_add(later), record, amendments })
    }

    /// The call that somebody names by its id, or by that in the body of its answer: the upstream's, or where the answer was
    /// translated our own with a word in front. What nobody has, or what isn't the actor's to see, stays as it is.
    ///
    /// # Errors
    /// `Store`.
    pub async fn call_named(&self, actor: &Actor, name: &str) -> Result<CallId> {
        self.0.host.flush_records().await?;
        let stripped = ["chatcmpl-", "msg_", "resp_"].into_iter().find_map(|word| name.strip_prefix(word));
        for id in [Some(name), stripped].into_iter().flatten().map(CallId::from) {
            let base = RecordFilter { call: Some(id.clone()), ..RecordFilter::default() };
            let filter = LogFilter { base, ..LogFilter::default() };
            if !self.store().log(&filter, &actor.reach(), None, 1).await?.items.is_empty() {
                return Ok(id);
            }
        }
        let found = self.store().call_of_answer(name, &actor.reach()).await?;
        Ok(found.unwrap_or_else(|| CallId::from(name)))
    }

    /// Follows the log from now on: calls of this node that an actor may see, as they end.
    ///
    /// # Errors
    /// `Store` when the gateway is closing, `RateLimited` when as many as are let follow already.
    pub fn tail(&self, actor: &Actor, filter: LogFilter) -> Result<RecordTail> {
        Ok(RecordTail {
            records: self.0.host.follow_records()?,
            filter,
            reach: actor.reach(),
            directory: Arc::clone(&self.0.directory),
            // Before any: they may have been blocked since they were looked up.
            epoch: 0,
            waiting: None,
        })
    }
}
