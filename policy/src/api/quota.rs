//! `call.quota_used(…)`, `call.quota_left(…)`: how the caller's limits stand, as far as the script may see.

use rhai::{Dynamic, Engine, ImmutableString};
use sluicegate_core::limit::{Metric, ScopeKind};
use sluicegate_core::ports::LimitStanding;
use sluicegate_core::snapshot::Reach;

use super::call::CallHandle;
use super::optional;
use crate::run::{Outcome, Run, charge_operations, with};

const WINDOWS: [&str; 7] = ["minute", "hour", "day", "week", "month", "rolling", "lifetime"];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("quota_used", |_: &mut CallHandle, metric: ImmutableString| used(&metric, None));
    engine
        .register_fn("quota_used", |_: &mut CallHandle, metric: ImmutableString, window: ImmutableString| {
            used(&metric, Some(&window))
        });
    engine.register_fn("quota_left", |_: &mut CallHandle, metric: ImmutableString| left(&metric, None));
    engine
        .register_fn("quota_left", |_: &mut CallHandle, metric: ImmutableString, window: ImmutableString| {
            left(&metric, Some(&window))
        });
}

/// The used share of the fullest of these limits.
fn used(metric: &str, window: Option<&str>) -> Outcome<Dynamic> {
    let metric = read(metric, window)?;
    with(|run| {
        let shares = seen(run, metric, window)?.map(LimitStanding::used_ppm);
        optional(shares.max().map(|ppm| ppm as f64 / 1e6))
    })
}

/// What the one of these limits leaves that leaves least: USD of spend, else a whole number.
fn left(metric: &str, window: Option<&str>) -> Outcome<Dynamic> {
    let metric = read(metric, window)?;
    with(|run| {
        let left = seen(run, metric, window)?.map(|it| it.max.saturating_sub(it.used).max(0)).min();
        match metric {
            Metric::Spend => optional(left.map(|nano_usd| nano_usd as f64 / 1e9)),
            _ => optional(left),
        }
    })
}

fn read(metric: &str, window: Option<&str>) -> Outcome<Metric> {
    let Some(found) = Metric::ALL.into_iter().find(|known| known.as_str() == metric) else {
        let names = Metric::ALL.map(Metric::as_str).join(", ");
        return Err(format!("`{metric}` is no metric; there are {names}").into());
    };
    match window.filter(|window| !WINDOWS.contains(window)) {
        Some(window) => Err(format!("`{window}` is no window; there are {}", WINDOWS.join(", ")).into()),
        None => Ok(found),
    }
}

/// The limits that are meant and that a script of this reach may see: none of scopes around its own.
fn seen<'r>(
    run: &'r Run,
    metric: Metric,
    window: Option<&'r str>,
) -> Outcome<impl Iterator<Item = &'r LimitStanding>> {
    charge_operations(run.call.limits.len() as u64)?;
    let (reach, is_grouped) = (run.reach, !run.call.labels.is_empty());
    let meant = move |it: &&LimitStanding| {
        it.metric == metric && window.is_none_or(|window| it.window.to_string().starts_with(window))
    };
    Ok(run.call.limits.iter().filter(move |it| sees(reach, it.scope, is_grouped)).filter(meant))
}

/// Whether a script that reaches so far sees a limit of this scope. A user's own counts what they do in all their groups, which
/// is no single group's affair.
fn sees(reach: Reach, scope: ScopeKind, is_grouped: bool) -> bool {
    match scope {
        ScopeKind::User => reach == Reach::Everybody || reach == Reach::Key && !is_grouped,
        ScopeKind::Key | ScopeKind::Membership => true,
        ScopeKind::Group => reach <= Reach::Group,
        ScopeKind::Organization => reach <= Reach::Organization,
        _ => reach == Reach::Everybody,
    }
}
