//! A limit that is put where there was none begins with what its window has already seen.

use sluicegate_core::ledger::{Balance, bucket_ms, window_start};
use sluicegate_core::{Limit, Metric, Result, Scope, ScopeKind, Timestamp, UserId, Window};

use super::{Admin, LimitUse};
use crate::store::{Change, Expect, Owner, Since, Sums};

/// What the counters of new limits begin with: each limit's scope, and its balances.
pub(super) type Seeds = Vec<(Scope, Limit, Vec<Balance>)>;

impl Admin {
    /// What the counters of those limits in `after` begin with that count something which none in `before` counted.
    ///
    /// Calls under way are in no record yet and aren't bound to the new limits: what they use isn't counted there.
    pub(super) async fn seeds(&self, owner: &Owner, before: &[Limit], after: &[Limit]) -> Result<Seeds> {
        let counts =
            |a: &Limit, b: &Limit| a.metric == b.metric && a.window == b.window && a.model == b.model;
        let new = |limit: &&Limit| {
            limit.metric != Metric::Concurrency && !before.iter().any(|old| counts(old, limit))
        };
        let limits: Vec<&Limit> = after.iter().filter(new).collect();
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        self.0.host.flush_records().await?;
        let mut seeds = Seeds::new();
        for limit in limits {
            if !seeds.iter().any(|(_, seeded, _)| counts(seeded, limit)) {
                seeds.push((owner.scope(), limit.clone(), self.used_so_far(owner, limit).await?));
            }
        }
        Ok(seeds)
    }

    /// What the counters of users, groups and memberships begin with that these changes make: one of the same id may have been
    /// there before, and have used something.
    pub(super) async fn seeds_of_new(&self, changes: &[Change]) -> Result<Seeds> {
        let mut seeds = Seeds::new();
        for change in changes {
            let (owner, limits) = match change {
                Change::PutUser(it, Expect::New) => (self.user_as_owner(&it.id), &it.limits),
                Change::PutGroup(it, Expect::New) => (Owner::Group(it.id.clone()), &it.limits),
                Change::PutMembership(it, Expect::New) => {
                    (Owner::Membership(it.group.clone(), it.user.clone()), &it.limits)
                }
                _ => continue,
            };
            seeds.extend(self.seeds(&owner, &[], limits).await?);
        }
        Ok(seeds)
    }

    /// A user as whose use their own limits count.
    pub(super) fn user_as_owner(&self, user: &UserId) -> Owner {
        let grouped = self.0.engine.snapshot().declared.quota.apply_user_limits_to_group_keys;
        Owner::User { user: user.clone(), ungrouped: !grouped }
    }

    /// Sets the counters to where they begin.
    pub(super) fn plant(&self, seeds: &Seeds) {
        let now = self.now();
        let mut ledger = self.0.engine.ledger();
        for (scope, limit, balances) in seeds {
            let cell = ledger.cell(scope, limit.metric, limit.window, limit.model.as_ref());
            // The counter may be left over from a limit that was removed: then it has missed what came since.
            ledger.restate(cell, now);
            balances.iter().for_each(|balance| ledger.plant(balance, now));
        }
    }

    /// What an owner has used in a limit's present window.
    pub(super) async fn used_so_far(&self, owner: &Owner, limit: &Limit) -> Result<Vec<Balance>> {
        let now = self.now();
        let snapshot = self.0.engine.snapshot();
        let zone = &snapshot.declared.quota.time_zone;
        let start = window_start(limit.window, now, zone);
        let model = limit.model.as_ref();
        let balance = |start: Timestamp, sums: &Sums| balance(owner.scope(), limit, start, sums);
        let since = match limit.window {
            Window::Lifetime => Since::Ever,
            Window::Minute | Window::Hour => Since::Instant(start),
            Window::RollingMs(ms) => {
                let length = i64::try_from(ms).unwrap_or(i64::MAX);
                let bucket = bucket_ms(ms);
                // A whole bucket more: the ledger leaves out what is too old.
                let from = now.plus_ms(length.saturating_add(bucket).saturating_neg());
                let bucket = bucket.unsigned_abs();
                let buckets = self.store().usage_buckets(owner, model, from, bucket).await?;
                return Ok(buckets.iter().map(|(start, sums)| balance(*start, sums)).collect());
            }
            // Noon is in the same day whatever the clocks do at midnight.
            Window::Day | Window::Week | Window::Month => {
                let noon = jiff::Timestamp::from_millisecond(start.plus_ms(12 * 3_600_000).as_ms())
                    .unwrap_or_default();
                Since::Day(zone.to_datetime(noon).date())
            }
        };
        let sums = self.store().usage(owner, model, since).await?;
        Ok(vec![balance(start, &sums)])
    }
}

fn balance(scope: Scope, limit: &Limit, window_start: Timestamp, sums: &Sums) -> Balance {
    let settled = of_metric(limit.metric, sums);
    Balance {
        scope,
        metric: limit.metric,
        window: limit.window,
        model: limit.model.clone(),
        window_start,
        settled,
        held: 0,
        carried: 0,
    }
}

/// What sums say that a metric has counted.
fn of_metric(metric: Metric, sums: &Sums) -> i64 {
    match metric {
        Metric::Requests => sums.requests,
        Metric::InputTokens => sums.input_tokens,
        Metric::OutputTokens => sums.output_tokens,
        Metric::TotalTokens => sums.total_tokens(),
        Metric::Spend => sums.spend,
        Metric::Concurrency => 0,
    }
}

/// What sums say that a limit has counted: of a channel, attempts and list prices.
pub(super) fn counted(limit: &LimitUse, sums: &Sums) -> i64 {
    match limit.scope {
        ScopeKind::Channel => {
            of_metric(limit.metric, &Sums { requests: sums.attempts, spend: sums.cost, ..*sums })
        }
        _ => of_metric(limit.metric, sums),
    }
}
