//! Limits over time: how each was used up so far, and where that leads.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sluicegate_core::ledger::window_start;
use sluicegate_core::limit::Metric;
use sluicegate_core::{KeyId, Result, ScopeKind, Timestamp, Window};

use super::report::{Calendar, Granularity};
use super::seed::counted;
use super::{Actor, Admin, LimitFilter, LimitOrder, LimitView};
use crate::store::{Dimension, Listing, Narrow, Page, Reach, ReportFilter, ReportQuery, Split, Sums};

/// So many budgets are told at once: each is a series over time.
// BOUND: of an answer, and of the rows that are read for it.
pub const BUDGETS_MAX: u32 = 100;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Windows up to this length are told by the hour, longer ones by the day.
const BY_HOUR_MS: i64 = 2 * DAY_MS;
/// So much of a limit without an end is told.
const LIFETIME_TOLD_MS: i64 = 30 * DAY_MS;
/// And so much of one that rolls.
// BOUND: of the days of an answer.
const ROLLING_TOLD_MS: i64 = 366 * DAY_MS;
/// The pace of months and of lifetimes is that of a whole week, so that no weekday counts more than another.
const WEEK_MS: i64 = 7 * DAY_MS;
/// What runs out later than this doesn't run out: a hundred years.
const FORETOLD_MS: i128 = 100 * 365 * 86_400_000;

/// A limit, how it was used up, and where that leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetView {
    /// The limit, and how it stands.
    #[serde(flatten)]
    pub limit: LimitView,
    /// When its window began; `None` for a lifetime.
    pub starts_at: Option<Timestamp>,
    /// How it was used up: by the hour in windows of up to two days, else by the day; the last 30 days of a lifetime. Nothing for
    /// windows shorter than a day, for calls at a time, and to whoever doesn't see all calls that it counts.
    pub burned: Vec<Burned>,
    /// Where that leads; `None` where there is nothing to go by, as for `burned`.
    pub forecast: Option<Forecast>,
}

/// What was used in an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Burned {
    /// Its start.
    pub from: Timestamp,
    /// Its end, which is no longer in it.
    pub to: Timestamp,
    /// What was used in it.
    pub used: i64,
    /// What was used since the window began, up to its end; of a lifetime, since ever.
    pub total: i64,
}

/// Where a limit's use leads if it goes on at the present pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Since when the pace is measured.
    pub since: Timestamp,
    /// How much a day is used at that pace.
    pub per_day: i64,
    /// What will be used when the window ends; of a rolling window, what it will hold; `None` for a lifetime.
    pub used_at_end: Option<i64>,
    /// How much of the limit that is, in millionths.
    pub used_at_end_ppm: Option<u64>,
    /// When nothing will be left; `None` if that isn't before the window ends.
    pub runs_out_at: Option<Timestamp>,
}

/// Limits whose course is read at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Course {
    kind: ScopeKind,
    by_model: bool,
    is_hourly: bool,
    days: i64,
}

/// A window as it is told.
struct Told {
    /// When it began.
    start: Timestamp,
    /// When it ends; `None` when it doesn't, or goes on all the time.
    end: Option<Timestamp>,
    /// How long it is; `None` for a lifetime.
    length_ms: Option<i64>,
    /// The pace is that of the time since then.
    pace_from: Timestamp,
    is_hourly: bool,
}

impl Admin {
    /// Limits that the actor may see, as [`limits`](Self::limits), with the course and where it leads of those whose every call
    /// they may see: a member sees how their group's budget stands, not who used it when. [`BUDGETS_MAX`] at a time.
    ///
    /// # Errors
    /// `Store`.
    pub async fn budgets(
        &self,
        actor: &Actor,
        filter: &LimitFilter,
        order: LimitOrder,
        page: Page,
    ) -> Result<Listing<BudgetView>> {
        let page = Page::new(page.limit.min(BUDGETS_MAX), page.offset);
        let found = self.limits(actor, filter, order, page).await?;
        Ok(Listing { items: self.budgets_of(actor, found.items).await?, total: found.total })
    }

    /// The same of limits that somebody was shown.
    ///
    /// # Errors
    /// `Store`.
    pub async fn budgets_of(&self, actor: &Actor, found: Vec<LimitView>) -> Result<Vec<BudgetView>> {
        self.0.host.flush_records().await?;
        let now = self.now();
        let reach = actor.reach();
        let told = |limit| sees_all_of(&reach, limit).then(|| self.told(limit, now)).flatten();
        let told: Vec<Option<Told>> = found.iter().map(told).collect();
        let mut asked: HashMap<Course, Vec<Vec<String>>> = HashMap::new();
        for (limit, told) in found.iter().zip(&told) {
            if let Some((course, place)) = told.as_ref().and_then(|told| course(limit, told, now)) {
                asked.entry(course).or_default().push(place);
            }
        }
        let mut read = HashMap::new();
        for (course, places) in asked {
            read.insert(course, self.read_course(course, places, now).await?);
        }
        let mut items = Vec::with_capacity(found.len());
        for (limit, told) in found.into_iter().zip(told) {
            let Some(told) = told else {
                items.push(BudgetView { limit, starts_at: None, burned: Vec::new(), forecast: None });
                continue;
            };
            let used = course(&limit, &told, now)
                .and_then(|(course, place)| read.get(&course)?.get(&place))
                .map(|slots| slots.iter().map(|(at, sums)| (*at, counted(&limit.state, sums))).collect());
            items.push(self.budget(limit, &told, &used.unwrap_or_default(), now)?);
        }
        Ok(items)
    }

    /// How a limit's window is told; `None` for rates, which begin anew too soon for it, and for calls at a time.
    fn told(&self, limit: &LimitView, now: Timestamp) -> Option<Told> {
        let state = &limit.state;
        if state.metric == Metric::Concurrency || state.window.is_rate() {
            return None;
        }
        let zone = self.store().time_zone();
        let start = match state.window {
            Window::Lifetime => now.plus_ms(-LIFETIME_TOLD_MS),
            Window::RollingMs(ms) => now.plus_ms(-i64::try_from(ms).unwrap_or(i64::MAX).min(ROLLING_TOLD_MS)),
            window => window_start(window, now, zone),
        };
        let is_rolling = matches!(state.window, Window::RollingMs(_));
        let end = state.resets_at.filter(|_| !is_rolling);
        let length_ms = match state.window {
            Window::Lifetime => None,
            Window::RollingMs(ms) => Some(i64::try_from(ms).unwrap_or(i64::MAX)),
            _ => Some(end.unwrap_or(now).since_ms(start).max(1)),
        };
        let is_hourly = length_ms.is_some_and(|ms| ms <= BY_HOUR_MS);
        // A quarter of the window, in whole hours or days.
        let pace_ms = length_ms.map_or(WEEK_MS, |ms| (ms / 4).min(WEEK_MS));
        let granularity = if is_hourly { Granularity::Hour } else { Granularity::Day };
        let calendar = Calendar::new(zone.clone(), granularity, zone).ok()?;
        let start = calendar.floor(start);
        Some(Told { start, end, length_ms, pace_from: calendar.floor(now.plus_ms(-pace_ms)), is_hourly })
    }

    /// What was used in each hour or day, by whose it is.
    async fn read_course(
        &self,
        course: Course,
        mut places: Vec<Vec<String>>,
        now: Timestamp,
    ) -> Result<HashMap<Vec<String>, BTreeMap<Timestamp, Sums>>> {
        let mut by = match course.kind {
            ScopeKind::Key => vec![Dimension::Key],
            ScopeKind::Membership => vec![Dimension::Group, Dimension::User],
            ScopeKind::Group => vec![Dimension::Group],
            ScopeKind::User => vec![Dimension::User],
            ScopeKind::Organization => vec![Dimension::Organization],
            ScopeKind::Channel => vec![Dimension::Channel],
            ScopeKind::Global | ScopeKind::Customer | ScopeKind::Tag => Vec::new(),
        };
        if course.by_model {
            by.push(Dimension::Model);
        }
        places.sort();
        places.dedup();
        let ungrouped = course.kind == ScopeKind::User && !self.declared().apply_user_limits_to_group_keys;
        let zone = self.store().time_zone().clone();
        let granularity = if course.is_hourly { Granularity::Hour } else { Granularity::Day };
        let from = Calendar::new(zone.clone(), granularity, &zone)?.floor(now.plus_ms(-course.days * DAY_MS));
        let query = ReportQuery {
            from,
            to: Calendar::new(zone.clone(), Granularity::Hour, &zone)?.floor(now).plus_ms(HOUR_MS),
            filter: ReportFilter { group: ungrouped.then(|| "".into()), ..ReportFilter::default() },
            by,
            labelled: None,
            split: if course.is_hourly { Split::Hour } else { Split::Day },
            only: Some(places),
            sums: None,
            zone,
        };
        let mut read: HashMap<Vec<String>, BTreeMap<Timestamp, Sums>> = HashMap::new();
        for ((at, place), sums) in self.store().report(&query, &Reach::ALL).await? {
            read.entry(place).or_default().insert(at, sums);
        }
        Ok(read)
    }

    /// A limit with its course.
    fn budget(
        &self,
        limit: LimitView,
        told: &Told,
        used: &BTreeMap<Timestamp, i64>,
        now: Timestamp,
    ) -> Result<BudgetView> {
        let zone = self.store().time_zone();
        let granularity = if told.is_hourly { Granularity::Hour } else { Granularity::Day };
        let calendar = Calendar::new(zone.clone(), granularity, zone)?;
        let until = calendar.ceil(now.plus_ms(1));
        let shown: i64 = used.range(told.start..).map(|(_, used)| used).sum();
        let is_lifetime = limit.state.window == Window::Lifetime;
        let before = if is_lifetime { limit.state.settled.saturating_sub(shown).max(0) } else { 0 };
        let mut total = before;
        let burned = calendar.buckets(told.start, until)?.into_iter().map(|(from, to)| {
            let used = used.get(&from).copied().unwrap_or_default();
            total = total.saturating_add(used);
            Burned { from, to, used, total }
        });
        let burned = burned.collect();
        let forecast = Some(forecast(&limit, told, used, now));
        let starts_at = Some(told.start).filter(|_| !is_lifetime);
        Ok(BudgetView { limit, starts_at, burned, forecast })
    }
}

/// Whether who reaches so far may see every call that a limit counts.
fn sees_all_of(reach: &Reach, limit: &LimitView) -> bool {
    let (group, user) = (limit.group.as_ref(), limit.user.as_ref());
    let within = |narrow: &Narrow| match limit.state.scope {
        ScopeKind::Key => narrow.has(group, user, Some(&KeyId::from(limit.id.as_str()))),
        ScopeKind::Membership | ScopeKind::Group | ScopeKind::User => narrow.has(group, user, None),
        _ => false,
    };
    reach.organization.as_ref().is_none_or(|mine| limit.organization.as_ref() == Some(mine))
        && reach.narrow.as_ref().is_none_or(within)
}

/// What a limit's course is read with, and as what it is found in it; `None` for what no sums are kept of.
fn course(limit: &LimitView, told: &Told, now: Timestamp) -> Option<(Course, Vec<String>)> {
    let kind = limit.state.scope;
    let mut place = match kind {
        ScopeKind::Global => Vec::new(),
        ScopeKind::Membership => vec![limit.group.as_ref()?.to_string(), limit.user.as_ref()?.to_string()],
        ScopeKind::Customer | ScopeKind::Tag => return None,
        _ => vec![limit.id.clone()],
    };
    place.extend(limit.state.model.iter().map(ToString::to_string));
    let by_model = limit.state.model.is_some();
    let days = told_days(told.start.min(told.pace_from), now);
    Some((Course { kind, by_model, is_hourly: told.is_hourly, days }, place))
}

/// How many days back a course is read: a power of two, so that windows of a hundred lengths are read at a few goes.
fn told_days(from: Timestamp, now: Timestamp) -> i64 {
    let days = u64::try_from(now.since_ms(from).max(1)).unwrap_or(1).div_ceil(DAY_MS.unsigned_abs());
    i64::try_from(days.next_power_of_two()).unwrap_or(ROLLING_TOLD_MS / DAY_MS)
}

/// The mean of the recent past, carried on: "mean method" of Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd
/// ed., §5.2 (https://otexts.com/fpp3/simple-methods.html, read 2026-11-29), over a quarter of the window.
fn forecast(limit: &LimitView, told: &Told, used: &BTreeMap<Timestamp, i64>, now: Timestamp) -> Forecast {
    let state = &limit.state;
    // What began lately isn't thinned out by the time before, nor is one busy hour taken for the rule.
    let least = now.plus_ms(-(now.since_ms(told.pace_from) / 7).max(HOUR_MS));
    let first = used.range(told.pace_from..).find(|(_, used)| **used > 0).map_or(now, |(at, _)| *at);
    let since = told.pace_from.max(first.min(least));
    let recent = used.range(told.pace_from..).map(|(_, used)| i128::from(*used)).sum::<i128>().max(0);
    let span = i128::from(now.since_ms(since).max(1));
    let spent = i128::from(state.settled) + i128::from(state.reserved) + i128::from(state.held);
    let left = i128::from(state.max) - spent;
    let is_rolling = told.end.is_none() && told.length_ms.is_some();
    let at_end = match (told.end, told.length_ms) {
        (Some(end), _) => Some(spent + recent * i128::from(end.since_ms(now).max(0)) / span),
        (None, Some(length)) => Some(recent * i128::from(length) / span),
        (None, None) => None,
    };
    // Of a rolling window what is used goes out again: at the pace at which it came in.
    let (gain, gain_span) = match told.length_ms.filter(|_| is_rolling) {
        Some(length) => (recent * i128::from(length) - spent * span, span * i128::from(length)),
        None => (recent, span),
    };
    let runs_out_ms = match (left <= 0, gain > 0) {
        (true, _) => Some(0),
        (false, true) => Some(left.saturating_mul(gain_span) / gain),
        (false, false) => None,
    };
    let ends_in = told.end.map_or(FORETOLD_MS, |end| i128::from(end.since_ms(now)));
    let runs_out_at = runs_out_ms
        .filter(|ms| *ms == 0 || *ms < ends_in)
        .map(|ms| now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
    let whole = |n: i128| i64::try_from(n).unwrap_or(i64::MAX);
    let share = |used: i128| match i128::from(state.max) {
        0 => 1_000_000,
        max => u64::try_from(used.max(0) * 1_000_000 / max.max(1)).unwrap_or(u64::MAX),
    };
    Forecast {
        since,
        per_day: whole(recent * i128::from(DAY_MS) / span),
        used_at_end: at_end.map(whole),
        used_at_end_ppm: at_end.map(share),
        runs_out_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_ms(1_800_000_000_000 / DAY_MS * DAY_MS + hours * HOUR_MS)
    }

    fn limit(window: Window, max: i64, settled: i64) -> LimitView {
        let state = serde_json::json!({
            "scope": "key", "metric": "spend", "window": window, "model": null, "mode": "strict", "max": max,
            "settled": settled, "reserved": 0, "held": 0, "remaining": 0, "resets_at": null,
        });
        LimitView {
            id: "k".to_owned(),
            name: None,
            organization: None,
            group: None,
            user: None,
            state: serde_json::from_value(state).unwrap(),
            used_ppm: 0,
        }
    }

    #[test]
    fn windows_of_many_lengths_are_read_at_a_few_goes() {
        let mut goes = std::collections::BTreeSet::new();
        for hours in 1..=366 * 24 {
            let days = told_days(at(-hours), at(0));
            assert!(days * 24 >= hours && days * 12 <= hours.max(12), "{days} days for {hours} hours");
            goes.insert(days);
        }
        assert_eq!(goes.len(), 10);
    }

    #[test]
    fn a_course_is_told_to_whoever_sees_all_of_it() {
        let narrow = |groups: &[&str], user: Option<&str>| Reach {
            organization: Some("o".into()),
            narrow: Some(Narrow {
                groups: groups.iter().map(|id| (*id).into()).collect(),
                user: user.map(Into::into),
                key: None,
            }),
        };
        let of = |scope: &str, organization: Option<&str>, group: Option<&str>, user: Option<&str>| {
            let mut limit = limit(Window::Day, 1, 0);
            limit.state.scope = serde_json::from_value(scope.into()).unwrap();
            (limit.organization, limit.group, limit.user) =
                (organization.map(Into::into), group.map(Into::into), user.map(Into::into));
            limit
        };
        let all = [
            of("key", Some("o"), Some("g"), Some("u")),
            of("key", Some("o"), None, Some("u")),
            of("membership", Some("o"), Some("g"), Some("u")),
            of("group", Some("o"), Some("g"), None),
            of("user", Some("o"), None, Some("u")),
            of("organization", Some("o"), None, None),
            of("global", None, None, None),
            of("key", Some("p"), Some("g"), Some("u")),
        ];
        for (who, reach, want) in [
            ("super administrator", Reach::ALL, "11111111"),
            ("organization's", Reach { organization: Some("o".into()), narrow: None }, "11111100"),
            ("the group's, whose member's own calls are elsewhere", narrow(&["g"], None), "10110000"),
            ("a member", narrow(&[], Some("u")), "11101000"),
            ("another member", narrow(&[], Some("v")), "00000000"),
        ] {
            let found: String =
                all.iter().map(|it| if sees_all_of(&reach, it) { '1' } else { '0' }).collect();
            assert_eq!(found, want, "{who}");
        }
    }

    /// A day that is half over, its last six hours being its pace; what was used by the hour.
    #[test]
    fn a_days_pace_is_that_of_its_last_hours() {
        let told = Told {
            start: at(0),
            end: Some(at(24)),
            length_ms: Some(DAY_MS),
            pace_from: at(6),
            is_hourly: true,
        };
        // What was used, at which hours → a day, at the end, when it runs out.
        for (settled, used, per_day, end, out) in [
            (0, &[][..], 0, 0, None),
            // Ten an hour: 120 are used, 120 more come, and 180 are there in six hours.
            (120, &[(6, 10), (7, 10), (8, 10), (9, 10), (10, 10), (11, 10)], 240, 240, Some(at(18))),
            // What was used before the pace counts as used only.
            (120, &[(1, 119), (7, 1)], 4, 122, None),
            // Half of the time of the pace: no thinner than it was.
            (30, &[(9, 10), (10, 10), (11, 10)], 240, 150, None),
            // One hour that was busy.
            (60, &[(11, 60)], 1_440, 780, Some(at(14))),
            (180, &[], 0, 180, Some(at(12))),
            (400, &[], 0, 400, Some(at(12))),
        ] {
            let used: BTreeMap<_, _> = used.iter().map(|(hour, n)| (at(*hour), *n)).collect();
            let found = forecast(&limit(Window::Day, 180, settled), &told, &used, at(12));
            assert_eq!(
                (found.per_day, found.used_at_end, found.runs_out_at),
                (per_day, Some(end), out),
                "{settled} {used:?}"
            );
        }
    }

    #[test]
    fn what_rolls_forgets_and_what_lasts_doesnt() {
        let told =
            |end, length_ms| Told { start: at(-48), end, length_ms, pace_from: at(-12), is_hourly: true };
        let used: BTreeMap<_, _> = (-12..0).map(|hour| (at(hour), 10)).collect();
        let rolling = Window::RollingMs(48 * 3_600_000);
        // 480 at that pace; of 240 that are used now, five an hour go out again.
        let found = forecast(&limit(rolling, 400, 240), &told(None, Some(2 * DAY_MS)), &used, at(0));
        assert_eq!((found.used_at_end, found.used_at_end_ppm), (Some(480), Some(1_200_000)));
        assert_eq!(found.runs_out_at, Some(at(32)));
        let found = forecast(&limit(rolling, 600, 480), &told(None, Some(2 * DAY_MS)), &used, at(0));
        assert_eq!(found.runs_out_at, None, "as much goes out as comes in");
        let found = forecast(&limit(Window::Lifetime, 1_000, 760), &told(None, None), &used, at(0));
        assert_eq!((found.per_day, found.used_at_end, found.runs_out_at), (240, None, Some(at(24))));
        let found = forecast(&limit(Window::Lifetime, i64::MAX, 760), &told(None, None), &used, at(0));
        assert_eq!(found.runs_out_at, None, "no time that anybody lives to see");
        let nothing = forecast(&limit(Window::Lifetime, 0, 0), &told(None, None), &used, at(0));
        assert_eq!(nothing.runs_out_at, Some(at(0)));
    }
}
