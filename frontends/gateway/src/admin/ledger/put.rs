//! When limits were put on counters: calls that were under way then were let in without them, and are never counted there.

use std::collections::{HashMap, HashSet};

use serde::Deserialize as _;
use serde_json::Value;
use sluicegate_core::journal::CounterKey;
use sluicegate_core::ledger::Difference;
use sluicegate_core::tenant::Source;
use sluicegate_core::{Limit, Result, Scope, ScopeKind, Timestamp};

use super::{Admin, CALL_MAX_MS};
use crate::store::{AuditEvent, AuditFilter, Page, Reach};

/// So many pages of events are read of one thing, or of one action: 100,000 events, the newest.
// BOUND: of an audit that goes back to a window's beginning.
const EVENT_PAGES_MAX: usize = 100;
/// What is done to channels, many of which may be changed at once.
const CHANNEL_CHANGED: &str = "channel.update";
/// What is done to a budget, whose keys have its limits and are named in the event.
const BUDGET_CHANGED: &str = "budget.update";

/// That a limit was put on a counter.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) counter: CounterKey,
    pub(super) when: When,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Then, as the audit trail says.
    At(Timestamp),
    /// At the latest then, when the file that it stands in was read.
    Before(Timestamp),
}

/// What is short, by whose it is.
type Short<'a> = HashMap<&'a Scope, Vec<&'a Difference>>;

impl Admin {
    /// When limits were put, by a file, by hand or by a budget, on the counters that have less than records say.
    pub(super) async fn limits_put(&self, differences: &[Difference]) -> Result<Vec<Put>> {
        let of_file = self.limits_of_file();
        // Of a gateway that doesn't run, only just.
        let started = self.0.host.about().map_or_else(|| self.now(), |about| about.started_at);
        let (mut put, mut short) = (Vec::new(), Short::new());
        for it in differences.iter().filter(|it| !it.of_held && it.balance < it.expected) {
            match of_file.contains(&it.counter) {
                true => put.push(Put { counter: it.counter.clone(), when: When::Before(started) }),
                false => short.entry(&it.counter.scope).or_default().push(it),
            }
        }
        for (scope, all) in short.iter().filter(|(scope, _)| scope.kind != ScopeKind::Channel) {
            let filter = AuditFilter { from: Some(since(all)), ..named(scope) };
            self.each_event(filter, |it| note(&mut put, all, &it.event.detail, it.event.at)).await?;
        }
        for (kind, action) in [(ScopeKind::Channel, CHANNEL_CHANGED), (ScopeKind::Key, BUDGET_CHANGED)] {
            let of_kind = short.iter().filter(|(scope, _)| scope.kind == kind);
            let of_kind: HashMap<&str, &Vec<&Difference>> =
                of_kind.map(|(scope, all)| (&*scope.id, all)).collect();
            let Some(from) = of_kind.values().map(|all| since(all)).min() else { continue };
            let filter =
                AuditFilter { from: Some(from), action: Some(action.to_owned()), ..AuditFilter::default() };
            let each = |it: &AuditEvent| {
                for (id, detail) in changed(it) {
                    if let Some(all) = of_kind.get(id) {
                        note(&mut put, all, detail, it.event.at);
                    }
                }
            };
            self.each_event(filter, each).await?;
        }
        Ok(put)
    }

    /// The counters on which a limit of the file stands.
    pub(super) fn limits_of_file(&self) -> HashSet<CounterKey> {
        let mut standing = HashSet::new();
        let mut note = |scope: Scope, limits: &[Limit]| standing.extend(counters(&scope, limits));
        let declared = self.declared();
        note(Scope::new(ScopeKind::Global, ""), &declared.global);
        declared.keys().for_each(|(_, it)| note(Scope::new(ScopeKind::Key, it.id.as_str()), &it.limits));
        declared.groups().for_each(|it| note(Scope::new(ScopeKind::Group, it.id.as_str()), &it.limits));
        declared.users().for_each(|it| note(Scope::new(ScopeKind::User, it.id.as_str()), &it.limits));
        declared
            .organizations()
            .for_each(|it| note(Scope::new(ScopeKind::Organization, it.id.as_str()), &it.limits));
        declared.memberships().for_each(|it| note(it.scope(), &it.limits));
        let snapshot = self.0.engine.snapshot();
        for channel in snapshot.channels().iter().filter(|channel| channel.source == Source::File) {
            note(Scope::new(ScopeKind::Channel, channel.id.as_str()), &channel.limits);
        }
        standing
    }

    /// Looks at the events that a filter finds, the newest first.
    async fn each_event(&self, mut filter: AuditFilter, mut look: impl FnMut(&AuditEvent)) -> Result<()> {
        let page = Page { uncounted: true, ..Page::new(Page::MAX, 0) };
        for _ in 0..EVENT_PAGES_MAX {
            let found = self.store().events(&filter, &Reach::ALL, page).await?.items;
            found.iter().for_each(&mut look);
            filter.before = found.last().map(|it| it.seq);
            if found.len() < page.limit as usize {
                break;
            }
        }
        Ok(())
    }
}

/// The counters that limits count on.
pub(super) fn counters(scope: &Scope, limits: &[Limit]) -> impl Iterator<Item = CounterKey> {
    limits.iter().map(|limit| CounterKey {
        scope: scope.clone(),
        metric: limit.metric,
        window: limit.window,
        model: limit.model.clone(),
    })
}

/// From when on events are of interest: a call that began before the window may use something in it.
fn since(all: &[&Difference]) -> Timestamp {
    all.iter().map(|it| it.window_start).min().unwrap_or(Timestamp::MAX).plus_ms(-CALL_MAX_MS)
}

/// The events of one scope.
fn named(scope: &Scope) -> AuditFilter {
    let (id, word) = (&*scope.id, scope.kind.as_str());
    match (scope.kind, id.split_once('/')) {
        (ScopeKind::Membership, Some((group, user))) => AuditFilter {
            target: Some(format!("group {group}")),
            user: Some(user.into()),
            ..AuditFilter::default()
        },
        _ => AuditFilter { target: Some(format!("{word} {id}")), ..AuditFilter::default() },
    }
}

/// Which channels or keys an event changed, and what of each.
fn changed(AuditEvent { event, .. }: &AuditEvent) -> Vec<(&str, &Value)> {
    if event.action == BUDGET_CHANGED {
        let keys = event.detail["keys"].as_array().into_iter().flatten();
        return keys.filter_map(Value::as_str).map(|key| (key, &event.detail)).collect();
    }
    match event.target.strip_prefix("channel ") {
        Some(id) => vec![(id, &event.detail)],
        None => event.detail.as_object().into_iter().flatten().map(|(id, it)| (id.as_str(), it)).collect(),
    }
}

/// Notes on which of these counters a change put a limit where none was.
fn note(put: &mut Vec<Put>, all: &[&Difference], detail: &Value, at: Timestamp) {
    let limits = |which| Vec::<Limit>::deserialize(&detail["limits"][which]).unwrap_or_default();
    let (before, after) = (limits("from"), limits("to"));
    for it in all.iter().filter(|it| at >= since(&[it])) {
        let counts = |limits: &[Limit]| counters(&it.counter.scope, limits).any(|key| key == it.counter);
        if counts(&after) && !counts(&before) {
            put.push(Put { counter: it.counter.clone(), when: When::At(at) });
        }
    }
}
