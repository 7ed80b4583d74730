//! What was used: calls, spend, and how limits stand.

use serde::{Deserialize, Serialize};
use sluicegate_core::ledger::LimitState;
use sluicegate_core::limit::{Metric, Mode, Window};
use sluicegate_core::{Error, ErrorKind, ModelName, Result, ScopeKind, Timestamp};

use super::{Actor, Admin};
use crate::store::{DailyRow, Dimension, LabelQuery, LabelUse, Listing, Page, RecordFilter, SharedUse};

/// Rows of an answer without pages.
// BOUND: memory of an answer.
const SPEND_ROWS_MAX: u32 = 200_000;

/// How a limit stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitUse {
    /// Whose limit it is.
    pub scope: ScopeKind,
    /// What is counted.
    pub metric: Metric,
    /// Over which time.
    pub window: Window,
    /// For which model; `None` for all.
    pub model: Option<ModelName>,
    /// How firm it is.
    pub mode: Mode,
    /// How much may be used: requests, tokens, calls at a time, or nano-USD.
    pub max: i64,
    /// Settled in the present window.
    pub settled: i64,
    /// Reserved by attempts under way.
    pub reserved: i64,
    /// Held: outcome unknown.
    pub held: i64,
    /// What is left.
    pub remaining: i64,
    /// When the window ends; `None` for a lifetime.
    pub resets_at: Option<Timestamp>,
}

impl From<&LimitState> for LimitUse {
    fn from(state: &LimitState) -> Self {
        Self {
            scope: state.kind,
            metric: state.limit.metric,
            window: state.limit.window,
            model: state.limit.model.clone(),
            mode: state.limit.mode,
            max: state.limit.max,
            settled: state.settled,
            reserved: state.reserved,
            held: state.held,
            remaining: state.remaining(),
            resets_at: Some(state.resets_at).filter(|at| *at != Timestamp::MAX),
        }
    }
}

/// What to sum up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpendQuery {
    /// Which calls. Times are widened to whole days.
    pub filter: RecordFilter,
    /// What to tell apart; nothing for one sum.
    pub by: Vec<Dimension>,
    /// Which rows.
    pub page: Page,
}

impl Admin {
    /// Daily sums of what an actor may see. Calls that have ended before are in it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn spend(&self, actor: &Actor, query: &SpendQuery) -> Result<Listing<DailyRow>> {
        self.0.host.flush_records().await?;
        // One more than a page tells whether there is another.
        let page = Page { limit: query.page.limit.clamp(1, Page::MAX + 1), order: None, ..query.page };
        self.store().daily(&query.filter, &actor.reach(), &query.by, page).await
    }

    /// What was used by tags or end customers, as far as an actor may see it. Calls that have ended before are in it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn label_use(&self, actor: &Actor, query: &LabelQuery) -> Result<Vec<LabelUse>> {
        self.0.host.flush_records().await?;
        self.store().label_use(query, &actor.reach()).await
    }

    /// What the sums of several tags have in common, see [`Store::shared_use`](crate::store::Store::shared_use).
    ///
    /// # Errors
    /// `Store`.
    pub async fn shared_use(&self, actor: &Actor, query: &LabelQuery) -> Result<Option<Vec<SharedUse>>> {
        self.store().shared_use(query, &actor.reach()).await
    }

    /// All of the daily sums at once, for answers that have no pages.
    ///
    /// # Errors
    /// `InvalidRequest` when there are too many rows, `Store`.
    pub async fn spend_rows(
        &self,
        actor: &Actor,
        filter: &RecordFilter,
        by: &[Dimension],
    ) -> Result<Vec<DailyRow>> {
        self.0.host.flush_records().await?;
        let page = Page { limit: SPEND_ROWS_MAX, ..Page::default() };
        let found = self.store().daily(filter, &actor.reach(), by, page).await?;
        if found.total > u64::from(SPEND_ROWS_MAX) {
            let message = format!(
                "that would be {} rows, and an answer has {SPEND_ROWS_MAX} at most; ask for a shorter time",
                found.total
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        Ok(found.items)
    }
}
