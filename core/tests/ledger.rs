//! The ledger against a plain model of its rules, under random histories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests aren't tests to the lint")]

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use sluicegate_core::ids::{CallId, ModelName};
use sluicegate_core::journal::{JournalId, Replay, SegmentEnd};
use sluicegate_core::ledger::{Amounts, Ask, Balance, BoundLimit, Ledger, ReservationId, Reserve};
use sluicegate_core::limit::{Limit, Metric, Mode, Scope, ScopeKind, ScopeLimits, Window};
use sluicegate_core::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// 2026-03-02 in Shanghai, which has no daylight saving: a Monday.
const START_MS: i64 = 1_772_380_800_000;
const SHANGHAI_MS: i64 = 8 * 60 * MINUTE_MS;
const ROLLING_MS: u64 = 59_000;

/// Which counter, as the model names it.
type CellKey = (Scope, Metric, Window, Option<ModelName>);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    settled: i64,
    reserved: i64,
    held: i64,
}

impl Tally {
    fn used(self) -> i64 {
        self.settled + self.reserved + self.held
    }
}

/// The number of the window, or of the rolling bucket, that an instant falls into.
fn window_number(window: Window, ms: i64) -> i64 {
    match window {
        Window::Minute => ms.div_euclid(MINUTE_MS),
        Window::Hour => ms.div_euclid(60 * MINUTE_MS),
        Window::Day => (ms + SHANGHAI_MS).div_euclid(DAY_MS),
        Window::Week => (ms + SHANGHAI_MS - 4 * DAY_MS).div_euclid(7 * DAY_MS),
        Window::RollingMs(_) => ms.div_euclid(1_000),
        Window::Month | Window::Lifetime => 0,
    }
}

/// One open or held reservation, as the model sees it.
#[derive(Clone, Debug)]
struct Open {
    /// Counter, its window's number, whether it is the channel's, and how much.
    parts: Vec<(CellKey, i64, bool, i64)>,
    is_held: bool,
}

/// What every counter has in each window, and nothing cached.
#[derive(Default)]
struct Model {
    tallies: HashMap<CellKey, BTreeMap<i64, Tally>>,
    carry_above: HashMap<CellKey, i64>,
    open: HashMap<ReservationId, Open>,
    /// The latest instant so far: windows never go back.
    now: i64,
}

impl Model {
    fn in_window(&mut self, key: &CellKey, number: i64) -> &mut Tally {
        self.tallies.entry(key.clone()).or_default().entry(number).or_default()
    }

    fn current(&self, key: &CellKey) -> Tally {
        let now = window_number(key.2, self.now);
        let Some(windows) = self.tallies.get(key) else { return Tally::default() };
        if matches!(key.2, Window::RollingMs(_)) {
            return windows.range(now - 59..=now).fold(Tally::default(), |sum, (_, tally)| Tally {
                settled: sum.settled + tally.settled,
                reserved: sum.reserved + tally.reserved,
                held: sum.held + tally.held,
            });
        }
        let mut tally = windows.get(&now).copied().unwrap_or_default();
        if let Some(max) = self.carry_above.get(key) {
            let (mut over, mut at) = (0, i64::MIN);
            for (number, past) in windows.range(..now) {
                over = drain(over, *max, number.saturating_sub(at).saturating_sub(1));
                (over, at) = ((over + past.settled - max).max(0), *number);
            }
            tally.settled += drain(over, *max, now.saturating_sub(at).saturating_sub(1));
        }
        tally
    }

    fn apply(&mut self, part: &(CellKey, i64, bool, i64), change: impl FnOnce(&mut Tally)) {
        change(self.in_window(&part.0, part.1));
    }

    fn end(&mut self, id: ReservationId, tenant: Amounts, channel: Amounts) -> bool {
        let Some(open) = self.open.remove(&id) else { return false };
        for part in &open.parts {
            let metric = part.0.1;
            let slot = metric == Metric::Concurrency;
            let used = if slot { 0 } else { (if part.2 { channel } else { tenant }).of(metric) };
            self.apply(part, |tally| {
                *(if open.is_held { &mut tally.held } else { &mut tally.reserved }) -= part.3;
                tally.settled += used;
            });
        }
        true
    }
}

/// What is left of an overshoot after so many windows without any use.
fn drain(over: i64, max: i64, windows: i64) -> i64 {
    over.saturating_sub(max.saturating_mul(windows)).max(0)
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { bound: Amounts, estimate: Amounts, model: bool, count_request: bool, channel: bool },
    Settle { which: usize, tenant: Amounts, channel: Amounts },
    Release { which: usize },
    Hold { which: usize },
    Reconcile { which: usize, tenant: Amounts, channel: Amounts },
    Shrink { which: usize, tenant: Amounts, channel: Amounts },
    Wait { ms: i64 },
}

fn amounts() -> impl Strategy<Value = Amounts> {
    (0..40i64, 0..40i64, 0..60i64).prop_map(|(input_tokens, output_tokens, spend)| Amounts {
        input_tokens,
        output_tokens,
        spend,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64usize;
    prop_oneof![
        6 => (amounts(), amounts(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(bound, estimate, model, count_request, channel)| Step::Reserve { bound, estimate, model, count_request, channel }
        ),
        4 => (which.clone(), amounts(), amounts())
            .prop_map(|(which, tenant, channel)| Step::Settle { which, tenant, channel }),
        1 => which.clone().prop_map(|which| Step::Release { which }),
        1 => which.clone().prop_map(|which| Step::Hold { which }),
        1 => (which.clone(), amounts(), amounts())
            .prop_map(|(which, tenant, channel)| Step::Reconcile { which, tenant, channel }),
        1 => (which, amounts(), amounts())
            .prop_map(|(which, tenant, channel)| Step::Shrink { which, tenant, channel }),
        2 => prop_oneof![
            3 => 0..90_000i64,
            1 => 0..3 * DAY_MS,
            1 => -2 * DAY_MS..0i64,
        ].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn limit() -> impl Strategy<Value = Limit> {
    let window = prop_oneof![
        Just(Window::Minute),
        Just(Window::Hour),
        Just(Window::Day),
        Just(Window::Week),
        Just(Window::RollingMs(ROLLING_MS)),
        Just(Window::Lifetime),
    ];
    let mode = prop_oneof![3 => Just(Mode::Strict), 2 => Just(Mode::Corrected), 1 => Just(Mode::Soft)];
    (0..Metric::ALL.len(), window, 0..200i64, mode, prop::bool::weighted(0.2)).prop_map(
        |(metric, window, max, mode, of_model)| {
            let metric = Metric::ALL[metric];
            let window = if metric == Metric::Concurrency { Window::Lifetime } else { window };
            // Few calls at a time, so that slots run out too.
            let max = if matches!(metric, Metric::Requests | Metric::Concurrency) { max / 20 } else { max };
            let model = of_model.then(|| ModelName::from("m"));
            Limit { metric, window, max, model, mode, when_short: None, reserve_wait_ms: None }
        },
    )
}

fn chain() -> impl Strategy<Value = Vec<Vec<Limit>>> {
    prop::collection::vec(prop::collection::vec(limit(), 0..4), 4)
}

fn scopes(limits: &[Vec<Limit>]) -> Vec<ScopeLimits> {
    let kinds = [ScopeKind::Channel, ScopeKind::Key, ScopeKind::Group, ScopeKind::Global];
    kinds
        .into_iter()
        .zip(limits)
        .map(|(kind, limits)| ScopeLimits { scope: Scope::new(kind, "x"), limits: limits.clone() })
        .collect()
}

/// The chain's limits and the channel's, each with its counter's key.
struct Bound {
    tenant: Vec<BoundLimit>,
    channel: Vec<BoundLimit>,
    keys: Vec<(bool, CellKey, BoundLimit)>,
}

fn bind(ledger: &mut Ledger, scopes: &[ScopeLimits]) -> Bound {
    let mut bound = Bound { tenant: Vec::new(), channel: Vec::new(), keys: Vec::new() };
    for (at, scope) in scopes.iter().enumerate() {
        let of_channel = scope.scope.kind == ScopeKind::Channel;
        for limit in ledger.bind(at as u8, scope) {
            let one = &limit.limit;
            let key = (scope.scope.clone(), one.metric, one.window, one.model.clone());
            bound.keys.push((of_channel, key, limit.clone()));
            (if of_channel { &mut bound.channel } else { &mut bound.tenant }).push(limit);
        }
    }
    bound.keys.sort_by_key(|(of_channel, ..)| *of_channel);
    bound
}

fn tallies(ledger: &mut Ledger, bound: &Bound, now: Timestamp) -> Vec<Tally> {
    bound
        .keys
        .iter()
        .map(|(_, _, limit)| {
            let state = ledger.state(limit, now);
            Tally { settled: state.settled, reserved: state.reserved, held: state.held }
        })
        .collect()
}

/// One history on a ledger and on the model.
struct World {
    ledger: Ledger,
    bound: Bound,
    model: Model,
    ids: Vec<ReservationId>,
    clock: i64,
}

impl World {
    fn new(limits: &[Vec<Limit>]) -> Self {
        let mut ledger = Ledger::new(TimeZone::get("Asia/Shanghai").unwrap());
        let bound = bind(&mut ledger, &scopes(limits));
        // Opens the windows of the present, as the model's are.
        tallies(&mut ledger, &bound, Timestamp::from_ms(START_MS));
        let mut model = Model { now: START_MS, ..Model::default() };
        for (_, key, limit) in &bound.keys {
            if limit.limit.mode == Mode::Corrected && !matches!(key.2, Window::RollingMs(_)) {
                let least = model.carry_above.entry(key.clone()).or_insert(i64::MAX);
                *least = limit.limit.max.min(*least);
            }
        }
        Self { ledger, bound, model, ids: Vec::new(), clock: START_MS }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.clock)
    }

    /// The `which`-th reservation ever made, ended ones too.
    fn id(&self, which: usize) -> Option<ReservationId> {
        (!self.ids.is_empty()).then(|| self.ids[which % self.ids.len()])
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait { ms } => self.clock += ms,
            Step::Reserve { bound, estimate, model, count_request, channel } => {
                let channel: &[BoundLimit] = if *channel { &self.bound.channel } else { &[] };
                let ask = Ask {
                    call: &CallId::from("call"),
                    tenant: &self.bound.tenant,
                    named: &[],
                    channel,
                    model: if *model { "m" } else { "other" },
                    asked_as: "alias",
                    bound: *bound,
                    estimate: *estimate,
                    channel_bound: *bound,
                    channel_estimate: *estimate,
                    count_request: *count_request,
                    attempt: None,
                    turn: None,
                };
                let now = self.now();
                let before = tallies(&mut self.ledger, &self.bound, now);
                let wanted = self.wanted(&ask);
                let short = wanted.iter().find(|(at, amount)| {
                    let limit = &self.bound.keys[*at].2.limit;
                    limit.mode != Mode::Soft && before[*at].used() + (*amount).max(1) > limit.max
                });
                let would = self.ledger.would_fit(&ask, now);
                assert_eq!(would.is_ok(), short.is_none(), "{ask:?}");
                match self.ledger.try_reserve(&ask, now) {
                    Reserve::Granted(grant) => {
                        assert!(short.is_none());
                        self.grant(grant.id, &wanted);
                    }
                    Reserve::Denied(refusal) => {
                        assert_eq!(would, Err(Box::new(refusal.clone())));
                        assert!(refusal.asked.max(1) > refusal.state.remaining());
                        assert_eq!(tallies(&mut self.ledger, &self.bound, now), before, "all or nothing");
                    }
                    Reserve::NeedRefill(_) => panic!("this node owns everything"),
                }
            }
            Step::Settle { which, tenant, channel } => {
                let Some(id) = self.id(*which) else { return };
                let settled = self.ledger.settle(id, *tenant, *channel, self.now());
                assert_eq!(settled.is_some(), self.model.end(id, *tenant, *channel));
                assert_eq!(self.ledger.settle(id, *tenant, *channel, self.now()), None, "once");
            }
            Step::Release { which } => {
                let Some(id) = self.id(*which) else { return };
                let released = self.ledger.release(id, self.now());
                assert_eq!(released, self.model.end(id, Amounts::default(), Amounts::default()));
            }
            Step::Hold { which } => self.hold(*which),
            Step::Reconcile { which, tenant, channel } => {
                let Some(id) = self.id(*which) else { return };
                let is_held = self.model.open.get(&id).is_some_and(|open| open.is_held);
                let settled = self.ledger.reconcile(id, *tenant, *channel, self.now());
                assert_eq!(settled.is_some(), is_held);
                if is_held {
                    self.model.end(id, *tenant, *channel);
                }
            }
            Step::Shrink { which, tenant, channel } => self.shrink(*which, *tenant, *channel),
        }
        self.model.now = self.model.now.max(self.clock);
    }

    /// What each limit that counts this ask is asked for.
    fn wanted(&self, ask: &Ask<'_>) -> Vec<(usize, i64)> {
        let counts = |of_channel: bool, limit: &Limit| {
            limit.model.as_ref().is_none_or(|model| model.as_str() == ask.model)
                && (of_channel || limit.metric != Metric::Requests || ask.count_request)
                && (!of_channel || !ask.channel.is_empty())
        };
        let amount = |limit: &Limit| match limit.mode {
            Mode::Strict => ask.bound.of(limit.metric),
            _ => ask.estimate.of(limit.metric).min(ask.bound.of(limit.metric)),
        };
        let keys = self.bound.keys.iter().enumerate();
        keys.filter(|(_, (of_channel, _, bound))| counts(*of_channel, &bound.limit))
            .map(|(at, (_, _, bound))| (at, amount(&bound.limit)))
            .collect()
    }

    fn grant(&mut self, id: ReservationId, wanted: &[(usize, i64)]) {
        assert!(!self.ids.contains(&id), "ids are never used again");
        self.ids.push(id);
        self.model.now = self.model.now.max(self.clock);
        let mut most: Vec<(CellKey, i64, bool, i64)> = Vec::new();
        for (at, amount) in wanted {
            let (of_channel, key, _) = &self.bound.keys[*at];
            match most.iter_mut().find(|part| part.0 == *key) {
                Some(part) => part.3 = part.3.max(*amount),
                None => most.push((key.clone(), window_number(key.2, self.model.now), *of_channel, *amount)),
            }
        }
        for part in &most {
            let requests = part.0.1 == Metric::Requests;
            self.model.apply(part, |tally| {
                *(if requests { &mut tally.settled } else { &mut tally.reserved }) += part.3
            });
        }
        most.retain(|part| part.0.1 != Metric::Requests);
        self.model.open.insert(id, Open { parts: most, is_held: false });
        // The promise: no strict limit is ever passed by a grant.
        let now = self.now();
        for (at, _) in wanted {
            let bound = &self.bound.keys[*at].2;
            let state = self.ledger.state(bound, now);
            if bound.limit.mode == Mode::Strict {
                assert!(state.settled + state.reserved + state.held <= bound.limit.max, "{state:?}");
            }
        }
    }

    fn hold(&mut self, which: usize) {
        let Some(id) = self.id(which) else { return };
        let held = self.ledger.hold(id, self.now());
        let Some(mut open) = self.model.open.remove(&id) else { return assert!(!held) };
        assert_eq!(held, !open.is_held);
        if held {
            for part in &open.parts {
                let slot = part.0.1 == Metric::Concurrency;
                self.model.apply(part, |tally| {
                    tally.reserved -= part.3;
                    tally.held += if slot { 0 } else { part.3 };
                });
            }
            open.parts.retain(|part| part.0.1 != Metric::Concurrency);
            open.is_held = true;
        }
        self.model.open.insert(id, open);
    }

    fn shrink(&mut self, which: usize, tenant: Amounts, channel: Amounts) {
        let Some(id) = self.id(which) else { return };
        let shrunk = self.ledger.shrink(id, tenant, channel, self.now());
        let Some(mut open) = self.model.open.remove(&id) else { return assert!(!shrunk) };
        assert!(shrunk);
        for part in open.parts.iter_mut().filter(|part| part.0.1 != Metric::Concurrency) {
            let kept = (if part.2 { channel } else { tenant }).of(part.0.1).min(part.3);
            let freed = part.3 - kept;
            self.model.apply(part, |tally| {
                *(if open.is_held { &mut tally.held } else { &mut tally.reserved }) -= freed;
            });
            part.3 = kept;
        }
        self.model.open.insert(id, open);
    }

    /// Every limit stands as the model says.
    fn check(&mut self) {
        let now = self.now();
        let states = tallies(&mut self.ledger, &self.bound, now);
        for ((_, key, limit), state) in self.bound.keys.iter().zip(states) {
            assert_eq!(state, self.model.current(key), "{limit:?}");
        }
    }
}

/// The balances of a ledger in an order of their own.
fn sorted(mut balances: Vec<Balance>) -> Vec<Balance> {
    balances.sort_by(|a, b| {
        (&a.scope, a.metric, a.window, &a.model, a.window_start).cmp(&(
            &b.scope,
            b.metric,
            b.window,
            &b.model,
            b.window_start,
        ))
    });
    balances
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn histories_go_as_the_rules_say(limits in chain(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(&limits);
        for step in &steps {
            world.step(step);
            world.check();
        }
        let held = world.ledger.held().count();
        prop_assert_eq!(held, world.model.open.values().filter(|open| open.is_held).count());
    }

    #[test]
    fn what_is_released_is_as_if_it_had_never_been(limits in chain(), steps in prop::collection::vec(step(), 1..30), bound in amounts()) {
        let mut world = World::new(&limits);
        steps.iter().for_each(|step| world.step(step));
        let now = world.now();
        let before = tallies(&mut world.ledger, &world.bound, now);
        let ask = Ask {
            call: &CallId::from("call"),
            tenant: &world.bound.tenant,
            named: &[],
            channel: &[],
            model: "m",
            asked_as: "m",
            bound,
            estimate: bound,
            channel_bound: bound,
            channel_estimate: bound,
            count_request: false,
            attempt: None,
            turn: None,
        };
        if let Reserve::Granted(grant) = world.ledger.try_reserve(&ask, now) {
            prop_assert!(world.ledger.release(grant.id, now));
        }
        prop_assert_eq!(tallies(&mut world.ledger, &world.bound, now), before);
    }

    #[test]
    fn balances_survive_a_restart(limits in chain(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(&limits);
        let (mut stored, mut restarted) = (HashMap::new(), Ledger::new(TimeZone::get("Asia/Shanghai").unwrap()));
        for (at, step) in steps.iter().enumerate() {
            world.step(step);
            if at % 3 == 0 {
                for balance in world.ledger.take_dirty(world.now()) {
                    let key = (balance.scope.clone(), balance.metric, balance.window, balance.model.clone(), balance.window_start);
                    stored.insert(key, balance);
                }
            }
        }
        // The clock may have gone back; windows haven't.
        let now = Timestamp::from_ms(world.model.now);
        for balance in world.ledger.take_dirty(now) {
            let key = (balance.scope.clone(), balance.metric, balance.window, balance.model.clone(), balance.window_start);
            stored.insert(key, balance);
        }
        prop_assert_eq!(world.ledger.take_dirty(now), vec![]);
        let balances = sorted(world.ledger.balances(now));
        for balance in &balances {
            restarted.seed(balance);
        }
        prop_assert_eq!(sorted(restarted.balances(now)), balances.clone(), "from a dump");
        prop_assert_eq!(restarted.take_dirty(now), vec![], "what was stored needn't be stored again");
        // What a store has after all changes says the same, together with windows that have passed.
        let mut restarted = Ledger::new(TimeZone::get("Asia/Shanghai").unwrap());
        for balance in stored.values() {
            restarted.seed(balance);
        }
        prop_assert_eq!(sorted(restarted.balances(now)), balances, "from changes");
    }

    #[test]
    fn a_journal_gives_back_what_was_settled_and_what_is_open(
        limits in chain(),
        steps in prop::collection::vec(step(), 1..60),
        stored_at in 0..60usize,
        rotated_at in 0..60usize,
    ) {
        let mut world = World::new(&limits);
        let now = world.now();
        world.ledger.start_log(JournalId(7), 40, now);
        let (mut segments, mut position, mut stored) = (Vec::new(), 40, Vec::new());
        for (at, step) in steps.iter().enumerate() {
            if at == stored_at {
                position = world.ledger.log_position();
                stored = world.ledger.balances(world.now());
                // Balances open windows, too; what was carried into them comes after the position only if it was told then.
                let told = world.ledger.log_position();
                prop_assert!(told >= position);
                position = told;
            }
            if at == rotated_at {
                let mut segment = Vec::new();
                world.ledger.take_log(&mut segment, 0);
                segments.push(segment);
                world.ledger.begin_segment(world.now());
            }
            world.step(step);
        }
        let now = Timestamp::from_ms(world.model.now);
        let balances = world.ledger.balances(now);
        let mut segment = Vec::new();
        let next = world.ledger.take_log(&mut segment, 0);
        segments.push(segment);
        let mut replay = Replay::new(position);
        for segment in &segments {
            let end = replay.segment(segment, &mut |_| {});
            prop_assert_eq!(end, Ok(SegmentEnd::Whole));
        }
        let recovered = replay.finish();
        prop_assert_eq!(recovered.next, next);
        let mut settled: HashMap<_, i64> = HashMap::new();
        for balance in &stored {
            let key = (balance.scope.clone(), balance.metric, balance.window, balance.model.clone(), balance.window_start);
            *settled.entry(key).or_default() += balance.settled;
        }
        for (key, start, amount) in &recovered.settled {
            let key = (key.scope.clone(), key.metric, key.window, key.model.clone(), *start);
            *settled.entry(key).or_default() += amount;
        }
        for balance in &balances {
            let key = (balance.scope.clone(), balance.metric, balance.window, balance.model.clone(), balance.window_start);
            prop_assert_eq!(settled.get(&key).copied().unwrap_or_default(), balance.settled, "{:?}", key);
        }
        let open: Vec<_> = world.model.open.values().collect();
        prop_assert_eq!(recovered.open.len(), open.len());
        let listed = |held: bool| recovered.open.iter().filter(|open| open.held == held).count();
        prop_assert_eq!(listed(true), open.iter().filter(|open| open.is_held).count());
        let amounts: i64 = recovered.open.iter().flat_map(|open| &open.holds).map(|(_, _, amount, _)| amount).sum();
        let reserved: i64 = open.iter().flat_map(|open| &open.parts)
            .filter(|(key, ..)| !matches!(key.1, Metric::Concurrency | Metric::Requests))
            .map(|(_, _, _, amount)| amount)
            .sum();
        prop_assert_eq!(amounts, reserved);
    }
}
