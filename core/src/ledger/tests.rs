//! The rules one by one. Random histories are in `tests/ledger.rs`.

use super::*;
use crate::ids::CallId;
use crate::limit::{Limit, ScopeKind};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn limit(metric: Metric, window: Window, max: i64, mode: Mode) -> Limit {
    Limit { mode, ..Limit::strict(metric, window, max) }
}

fn tokens(input_tokens: i64, output_tokens: i64) -> Amounts {
    Amounts { input_tokens, output_tokens, spend: 0 }
}

fn scope(kind: ScopeKind, limits: Vec<Limit>) -> ScopeLimits {
    ScopeLimits { scope: Scope::new(kind, "x"), limits }
}

/// A ledger with one key and one channel.
struct Fixture {
    ledger: Ledger,
    tenant: Vec<BoundLimit>,
    channel: Vec<BoundLimit>,
}

impl Fixture {
    fn new(tenant: Vec<Limit>, channel: Vec<Limit>) -> Self {
        let mut ledger = Ledger::new(TimeZone::UTC);
        let tenant = ledger.bind(0, &scope(ScopeKind::Key, tenant)).into_vec();
        let channel = ledger.bind(9, &scope(ScopeKind::Channel, channel)).into_vec();
        Self { ledger, tenant, channel }
    }

    fn tenant(limits: Vec<Limit>) -> Self {
        Self::new(limits, Vec::new())
    }

    fn ask_with(&mut self, bound: Amounts, estimate: Amounts, first: bool, now: i64) -> Reserve {
        let ask = Ask {
            call: &CallId::from("call"),
            tenant: &self.tenant,
            named: &[],
            channel: &self.channel,
            model: "m",
            asked_as: "alias",
            bound,
            estimate,
            channel_bound: bound,
            channel_estimate: estimate,
            count_request: first,
            attempt: None,
            turn: None,
        };
        self.ledger.try_reserve(&ask, at(now))
    }

    fn ask(&mut self, bound: Amounts, now: i64) -> Reserve {
        self.ask_with(bound, bound, true, now)
    }

    fn granted(&mut self, bound: Amounts, now: i64) -> ReservationId {
        match self.ask(bound, now) {
            Reserve::Granted(grant) => grant.id,
            other => panic!("{other:?}"),
        }
    }

    fn denied(&mut self, bound: Amounts, now: i64) -> Refusal {
        match self.ask(bound, now) {
            Reserve::Denied(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, id: ReservationId, used: Amounts, now: i64) -> Settlement {
        self.ledger.settle(id, used, used, at(now)).unwrap()
    }

    /// Settled, reserved and held of the tenant's limit number `which`.
    fn stands(&mut self, which: usize, now: i64) -> (i64, i64, i64) {
        let state = self.ledger.state(&self.tenant[which], at(now));
        (state.settled, state.reserved, state.held)
    }
}

#[test]
fn a_settlement_after_midnight_lands_in_the_day_before() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::TotalTokens, Window::Day, 100)]);
    let id = it.granted(tokens(40, 40), DAY_MS - 1);
    assert_eq!(it.stands(0, DAY_MS - 1), (0, 80, 0));
    assert_eq!(it.stands(0, DAY_MS), (0, 0, 0));
    it.granted(tokens(50, 50), DAY_MS);
    it.settle(id, tokens(40, 10), DAY_MS + 5);
    assert_eq!(it.stands(0, DAY_MS + 5), (0, 100, 0));
    let stored = it.ledger.take_dirty(at(DAY_MS + 5));
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].window_start, stored[0].settled), (at(0), 50));
}

#[test]
fn a_reservation_of_nothing_keeps_its_window_too() {
    let mut it = Fixture::tenant(vec![limit(Metric::OutputTokens, Window::Minute, 100, Mode::Corrected)]);
    let id = it.granted(tokens(5, 0), 0);
    assert_eq!(it.stands(0, MINUTE_MS), (0, 0, 0));
    it.settle(id, tokens(5, 130), MINUTE_MS);
    assert_eq!(it.stands(0, MINUTE_MS), (30, 0, 0), "what its minute has over the limit is carried");
}

#[test]
fn what_was_not_stored_before_its_window_ended_still_is() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::Requests, Window::Minute, 100)]);
    for minute in 0..5 {
        it.granted(tokens(0, 0), minute * MINUTE_MS);
    }
    let stored = it.ledger.take_dirty(at(4 * MINUTE_MS));
    let starts: Vec<i64> = stored.iter().map(|balance| balance.window_start.as_ms() / MINUTE_MS).collect();
    // Only the last few are kept for a store that never comes.
    assert_eq!(starts, [2, 3, 4]);
    assert!(it.ledger.take_dirty(at(4 * MINUTE_MS)).is_empty());
}

#[test]
fn a_clock_that_goes_back_leaves_the_window_open() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::Requests, Window::Minute, 1)]);
    it.granted(tokens(0, 0), MINUTE_MS);
    let refusal = it.denied(tokens(0, 0), 1);
    assert_eq!(refusal.state.resets_at, at(2 * MINUTE_MS));
    it.granted(tokens(0, 0), 2 * MINUTE_MS);
}

#[test]
fn an_overshoot_is_carried_until_it_is_worked_off() {
    let mut it = Fixture::tenant(vec![limit(Metric::OutputTokens, Window::Minute, 100, Mode::Corrected)]);
    let Reserve::Granted(grant) = it.ask_with(tokens(0, 90), tokens(0, 20), true, 0) else { panic!() };
    assert_eq!(it.stands(0, 0), (0, 20, 0), "a corrected limit reserves the estimate");
    assert_eq!(it.settle(grant.id, tokens(0, 350), 1), Settlement::default());
    assert_eq!(it.stands(0, 1), (350, 0, 0));
    assert_eq!(it.stands(0, MINUTE_MS), (250, 0, 0));
    assert_eq!(it.denied(tokens(0, 1), MINUTE_MS).state.settled, 250);
    // Two idle minutes work off 100 each.
    assert_eq!(it.stands(0, 3 * MINUTE_MS), (50, 0, 0));
    it.granted(tokens(0, 50), 3 * MINUTE_MS);
}

#[test]
fn a_late_overshoot_reaches_the_present_window() {
    let mut it = Fixture::tenant(vec![limit(Metric::OutputTokens, Window::Minute, 100, Mode::Corrected)]);
    let first = it.granted(tokens(0, 60), 0);
    let second = it.granted(tokens(0, 70), MINUTE_MS);
    it.settle(second, tokens(0, 70), MINUTE_MS);
    assert_eq!(it.stands(0, 2 * MINUTE_MS), (0, 0, 0));
    // 150 in the first minute leave 50 for the second, whose 120 then leave 20 for the third.
    it.settle(first, tokens(0, 150), 2 * MINUTE_MS);
    assert_eq!(it.stands(0, 2 * MINUTE_MS), (20, 0, 0));
}

#[test]
fn a_debt_blocks_a_strict_limit_and_is_reported() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)]);
    let id = it.granted(tokens(0, 10), 0);
    let debts = it.settle(id, tokens(0, 130), 1).debts;
    assert_eq!(debts.len(), 1);
    assert_eq!((debts[0].settled, debts[0].remaining()), (130, 0));
    let refusal = it.denied(tokens(0, 0), 2);
    assert_eq!((refusal.only_reservations, refusal.output_left), (false, 0));
    // Raising the max unblocks, and a debt is not carried.
    it.tenant = it
        .ledger
        .bind(0, &scope(ScopeKind::Key, vec![Limit::strict(Metric::OutputTokens, Window::Day, 140)]))
        .into_vec();
    let id = it.granted(tokens(0, 10), 3);
    assert!(it.settle(id, tokens(0, 10), 4).debts.is_empty());
    assert_eq!(it.stands(0, DAY_MS), (0, 0, 0));
}

#[test]
fn a_debt_of_a_window_that_has_ended_is_reported_too() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)]);
    let id = it.granted(tokens(0, 10), DAY_MS - 1);
    let debts = it.settle(id, tokens(0, 130), DAY_MS + 7).debts;
    assert_eq!((debts[0].settled, debts[0].resets_at), (130, at(DAY_MS + 7)));
    assert_eq!(it.stands(0, DAY_MS + 7), (0, 0, 0));
}

#[test]
fn nothing_fits_a_max_of_zero_or_a_counter_that_is_used_up() {
    for metric in Metric::ALL {
        let mut it = Fixture::tenant(vec![Limit::strict(metric, Window::Day, 0)]);
        assert!(!it.denied(Amounts::default(), 0).only_reservations, "{metric:?}");
    }
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::Spend, Window::Day, 10)]);
    let ten = Amounts { spend: 10, ..Amounts::default() };
    let id = it.granted(ten, 0);
    let refusal = it.denied(Amounts::default(), 0);
    assert_eq!((refusal.only_reservations, refusal.spend_left, refusal.asked), (true, 0, 0));
    it.settle(id, ten, 0);
    assert!(!it.denied(Amounts::default(), 0).only_reservations);
}

#[test]
fn a_lowered_limit_holds_for_who_was_bound_before() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::TotalTokens, Window::Day, 100)]);
    it.granted(tokens(30, 30), 0);
    for (max, fits) in [(70, false), (59, false), (90, true)] {
        it.ledger.bind(0, &scope(ScopeKind::Key, vec![Limit::strict(Metric::TotalTokens, Window::Day, max)]));
        let answer = it.ask(tokens(10, 10), 0);
        assert_eq!(matches!(answer, Reserve::Granted(_)), fits, "{max}: {answer:?}");
    }
}

#[test]
fn a_tenants_request_counts_once_and_a_channels_each_time() {
    let requests = |max| vec![Limit::strict(Metric::Requests, Window::Minute, max)];
    let mut it = Fixture::new(requests(1), requests(2));
    let first = it.granted(tokens(0, 0), 0);
    assert!(it.ledger.release(first, at(0)));
    assert_eq!(it.stands(0, 0), (1, 0, 0), "a request isn't given back");
    let again = it.ask_with(tokens(0, 0), tokens(0, 0), false, 0);
    assert!(matches!(again, Reserve::Granted(_)));
    let Reserve::Denied(refusal) = it.ask_with(tokens(0, 0), tokens(0, 0), false, 0) else { panic!() };
    assert!(refusal.of_channel);
    assert!(!it.denied(tokens(0, 0), 0).of_channel, "the chain's limit says more");
}

#[test]
fn a_slot_is_free_once_the_attempt_is_settled_released_or_held() {
    let mut it = Fixture::tenant(vec![
        Limit::strict(Metric::Concurrency, Window::Minute, 1),
        Limit::strict(Metric::OutputTokens, Window::Day, 100),
    ]);
    assert_eq!(it.ledger.cells[0].key.window, Window::Lifetime);
    let id = it.granted(tokens(0, 10), 5);
    let refusal = it.denied(tokens(0, 10), 5);
    assert!(refusal.only_reservations);
    assert_eq!(refusal.state.resets_at, at(5));
    it.settle(id, tokens(0, 10), 5);
    let id = it.granted(tokens(0, 10), 5);
    assert!(it.ledger.release(id, at(5)));
    let id = it.granted(tokens(0, 10), 5);
    assert!(it.ledger.hold(id, at(5)));
    assert!(!it.ledger.hold(id, at(5)));
    it.granted(tokens(0, 10), 5);
    assert_eq!((it.stands(0, 5), it.stands(1, 5)), ((0, 1, 0), (10, 10, 10)));
    let used = tokens(0, 7);
    assert!(it.ledger.reconcile(id, used, used, at(6)).is_some());
    assert!(it.ledger.reconcile(id, used, used, at(6)).is_none());
    assert_eq!((it.stands(0, 6), it.stands(1, 6)), ((0, 1, 0), (17, 10, 0)));
}

#[test]
fn a_held_reservation_stops_counting_with_its_window_and_stays_listed() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)]);
    let id = it.granted(tokens(0, 100), 0);
    it.ledger.hold(id, at(1));
    assert!(!it.denied(tokens(0, 1), 2).only_reservations);
    it.granted(tokens(0, 100), DAY_MS);
    let held: Vec<Held> = it.ledger.held().collect();
    assert_eq!((held[0].id, held[0].since, held[0].amounts[0].amount), (id, at(1), 100));
    assert_eq!(held[0].amounts[0].window_start, at(0));

    let mut after = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)]);
    let restored = after.ledger.restore_held(&held[0]);
    assert_eq!(after.stands(0, 5), (0, 0, 100));
    after.ledger.reconcile(restored, tokens(0, 30), tokens(0, 30), at(6));
    assert_eq!(after.stands(0, 6), (30, 0, 0));
    // Restored the day after it counts nowhere, and frees nothing when it ends.
    let restored = after.ledger.restore_held(&held[0]);
    after.granted(tokens(0, 100), DAY_MS);
    assert!(after.ledger.release(restored, at(DAY_MS)));
    assert_eq!(after.stands(0, DAY_MS), (0, 100, 0));
}

#[test]
fn a_soft_limit_is_counted_and_reported_and_never_refuses() {
    let mut it = Fixture::tenant(vec![limit(Metric::OutputTokens, Window::Day, 100, Mode::Soft)]);
    let Reserve::Granted(grant) = it.ask(tokens(0, 100), 0) else { panic!() };
    assert!(grant.crossed.is_empty());
    let Reserve::Granted(grant) = it.ask(tokens(0, 1), 0) else { panic!() };
    assert_eq!((grant.crossed.len(), grant.crossed[0].reserved), (1, 101));
}

#[test]
fn several_limits_in_one_counter_are_each_checked_and_counted_once() {
    let mut it = Fixture::tenant(vec![
        limit(Metric::OutputTokens, Window::Day, 55, Mode::Soft),
        limit(Metric::OutputTokens, Window::Day, 100, Mode::Strict),
        limit(Metric::OutputTokens, Window::Day, 60, Mode::Corrected),
    ]);
    assert_eq!(it.ledger.cells.len(), 1);
    let Reserve::Granted(grant) = it.ask_with(tokens(0, 50), tokens(0, 10), true, 0) else { panic!() };
    assert_eq!(it.stands(0, 0), (0, 50, 0), "the strict limit's bound covers the others");
    assert!(grant.crossed.is_empty());
    let Reserve::Denied(refusal) = it.ask_with(tokens(0, 50), tokens(0, 20), true, 0) else { panic!() };
    assert_eq!((refusal.state.limit.max, refusal.asked), (60, 20));
    let Reserve::Granted(grant) = it.ask_with(tokens(0, 50), tokens(0, 10), true, 0) else { panic!() };
    assert_eq!(grant.crossed.len(), 1);
}

#[test]
fn a_refusal_names_the_limit_that_lasts_longest_and_what_is_left_of_all() {
    let mut it = Fixture::new(
        vec![
            Limit::strict(Metric::OutputTokens, Window::Minute, 50),
            Limit::strict(Metric::TotalTokens, Window::Day, 70),
            Limit::strict(Metric::Spend, Window::Month, 1_000),
        ],
        vec![Limit::strict(Metric::Spend, Window::Lifetime, 10)],
    );
    let refusal = it.denied(Amounts { input_tokens: 30, output_tokens: 60, spend: 20 }, 0);
    assert_eq!((refusal.state.limit.metric, refusal.state.limit.window), (Metric::TotalTokens, Window::Day));
    assert_eq!((refusal.asked, refusal.of_channel, refusal.only_reservations), (90, false, false));
    assert_eq!((refusal.output_left, refusal.spend_left), (40, 10));
    let refusal = it.denied(Amounts { input_tokens: 1, output_tokens: 1, spend: 20 }, 0);
    assert!(refusal.of_channel);
    assert_eq!((refusal.state.limit.window, refusal.state.resets_at), (Window::Lifetime, Timestamp::MAX));
}

#[test]
fn a_limit_that_denies_is_heard_whichever_lasts_longest() {
    let denying = |mut limit: Limit| {
        limit.when_short = Some(crate::limit::WhenShort::Deny);
        limit
    };
    let day = || Limit::strict(Metric::OutputTokens, Window::Day, 70);
    let minute = |max| denying(Limit::strict(Metric::OutputTokens, Window::Minute, max));
    for (tenant, channel, denies) in [
        (vec![day(), minute(50)], vec![], true),
        (vec![day(), minute(500)], vec![], false),
        (vec![day()], vec![minute(50)], false),
    ] {
        let refusal = Fixture::new(tenant, channel).denied(tokens(0, 80), 0);
        assert_eq!((refusal.state.limit.window, refusal.denies), (Window::Day, denies));
    }
}

#[test]
fn a_limit_on_another_model_does_not_count() {
    let of =
        |model: &str| Limit { model: Some(model.into()), ..Limit::strict(Metric::Requests, Window::Day, 1) };
    let mut it = Fixture::tenant(vec![of("m"), of("n")]);
    it.granted(tokens(0, 0), 0);
    it.denied(tokens(0, 0), 0);
    assert_eq!((it.stands(0, 0), it.stands(1, 0)), ((1, 0, 0), (0, 0, 0)));
    for (model, counts) in
        [("alias", true), ("al*", true), ("m*", true), ("*", true), ("mm*", false), ("a", false)]
    {
        let mut it = Fixture::tenant(vec![of(model)]);
        it.granted(tokens(0, 0), 0);
        assert_eq!(it.stands(0, 0).0 == 1, counts, "{model}");
    }
}

#[test]
fn shrinking_frees_and_never_raises() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::TotalTokens, Window::Day, 100)]);
    let id = it.granted(tokens(60, 40), 0);
    assert!(it.ledger.shrink(id, tokens(10, 40), tokens(0, 0), at(1)));
    assert!(it.ledger.shrink(id, tokens(90, 90), tokens(0, 0), at(1)));
    assert_eq!(it.stands(0, 1), (0, 50, 0));
    it.settle(id, tokens(10, 5), 2);
    assert!(!it.ledger.shrink(id, tokens(0, 0), tokens(0, 0), at(3)));
    assert_eq!(it.stands(0, 3), (15, 0, 0));
}

#[test]
fn a_rolling_window_forgets_nothing_before_its_time() {
    // Each bucket lasts a second.
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::RollingMs(59_000), 100)]);
    let id = it.granted(tokens(0, 60), 999);
    it.settle(id, tokens(0, 60), 1_500);
    let id = it.granted(tokens(0, 30), 10_000);
    it.settle(id, tokens(0, 30), 10_001);
    assert_eq!(it.denied(tokens(0, 20), 59_998).state.resets_at, at(60_000));
    assert_eq!(it.denied(tokens(0, 80), 59_998).state.resets_at, at(70_000));
    it.granted(tokens(0, 20), 60_000);
    assert_eq!(it.stands(0, 60_000), (30, 20, 0));
    assert_eq!(it.stands(0, 1_000_000), (0, 0, 0));
}

#[test]
fn a_reset_keeps_what_is_open_and_what_is_listed() {
    for window in [Window::Day, Window::RollingMs(59_000)] {
        let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, window, 100)]);
        let used = it.granted(tokens(0, 20), 0);
        it.settle(used, tokens(0, 20), 0);
        let held = it.granted(tokens(0, 30), 0);
        it.ledger.hold(held, at(0));
        it.granted(tokens(0, 40), 0);
        let cell = it.tenant[0].cell;
        let mut stored = it.ledger.balances(at(0)).remove(0);
        stored.held = 10;
        it.ledger.seed(&stored);
        assert_eq!(it.stands(0, 0), (40, 40, 40), "a seed adds");
        it.ledger.reset(cell, at(0));
        assert_eq!(it.stands(0, 0), (0, 40, 30), "{window}");
        assert!(it.ledger.take_dirty(at(0)).iter().any(|balance| (balance.settled, balance.held) == (0, 30)));
    }
}

#[test]
fn what_is_set_back_to_a_part_leaves_room_for_the_rest_and_no_more() {
    for window in [Window::Day, Window::RollingMs(59_000)] {
        let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, window, 100)]);
        for (now, used) in [(0, 40), (5_000, 50)] {
            let id = it.granted(tokens(0, used), now);
            it.settle(id, tokens(0, used), now);
        }
        it.granted(tokens(0, 10), 5_000);
        it.denied(tokens(0, 1), 5_000);
        let cell = it.tenant[0].cell;
        assert_eq!(it.ledger.set_back(cell, 90, at(6_000)), None, "{window}");
        assert_eq!(it.ledger.set_back(cell, 25, at(6_000)), Some(90), "{window}");
        assert_eq!(it.stands(0, 6_000), (25, 10, 0), "{window}");
        it.denied(tokens(0, 66), 6_000);
        it.granted(tokens(0, 65), 6_000);
        let stored: i64 = it.ledger.take_dirty(at(6_000)).iter().map(|balance| balance.settled).sum();
        assert_eq!(stored, 25, "{window}");
    }
}

#[test]
fn a_reset_gives_up_a_window_of_the_future() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::Requests, Window::Day, 1)]);
    it.granted(tokens(0, 0), 400 * DAY_MS);
    it.denied(tokens(0, 0), 0);
    it.ledger.reset(it.tenant[0].cell, at(0));
    it.granted(tokens(0, 0), 0);
    assert_eq!(it.denied(tokens(0, 0), 1).state.resets_at, at(DAY_MS));
}

#[test]
fn seeds_of_the_past_are_ignored_and_of_the_future_believed() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::Requests, Window::Day, 5)]);
    let balance = |window_start: i64, settled| Balance {
        scope: Scope::new(ScopeKind::Key, "x"),
        metric: Metric::Requests,
        window: Window::Day,
        model: None,
        window_start: at(window_start),
        settled,
        held: 0,
        carried: 0,
    };
    it.ledger.seed(&balance(0, 3));
    assert_eq!(it.stands(0, DAY_MS + 1), (0, 0, 0));
    it.ledger.seed(&balance(DAY_MS, 2));
    it.ledger.seed(&balance(DAY_MS, -7));
    assert_eq!(it.stands(0, DAY_MS + 1), (2, 0, 0));
    it.ledger.seed(&balance(2 * DAY_MS, 4));
    assert_eq!(it.stands(0, DAY_MS + 1), (4, 0, 0));
}

#[test]
fn what_was_carried_before_a_restart_is_not_carried_again() {
    // A channel's limits are bound before balances are seeded, a caller's after.
    let mut it = Fixture::tenant(vec![limit(Metric::TotalTokens, Window::Minute, 100, Mode::Corrected)]);
    let balance = |start, settled| Balance {
        scope: Scope::new(ScopeKind::Key, "x"),
        metric: Metric::TotalTokens,
        window: Window::Minute,
        model: None,
        window_start: at(start),
        settled,
        held: 0,
        carried: 0,
    };
    it.ledger.seed(&balance(0, 130));
    it.ledger.seed(&balance(MINUTE_MS, 35));
    assert_eq!(it.stands(0, MINUTE_MS), (35, 0, 0));
    it.ledger.seed(&balance(2 * MINUTE_MS, 110));
    assert_eq!(it.stands(0, 3 * MINUTE_MS), (10, 0, 0), "what a start finds at its end is carried");
}

#[test]
fn a_share_that_is_used_up_asks_for_more() {
    let mut it = Fixture::tenant(vec![Limit::strict(Metric::OutputTokens, Window::Day, 100)]);
    let cell = it.tenant[0].cell;
    it.ledger.set_escrow(cell, Some(30), at(0));
    it.granted(tokens(0, 20), 0);
    assert_eq!(it.ask(tokens(0, 20), 0), Reserve::NeedRefill(SmallVec::from_slice(&[cell])));
    assert_eq!(it.stands(0, 0), (0, 20, 0));
    it.denied(tokens(0, 81), 0);
    it.ledger.set_escrow(cell, Some(40), at(0));
    it.granted(tokens(0, 20), 0);
    assert!(matches!(it.ask(tokens(0, 1), DAY_MS), Reserve::NeedRefill(_)), "a new day, a new share");
    it.ledger.set_escrow(cell, None, at(DAY_MS));
    it.granted(tokens(0, 100), DAY_MS);
}

#[test]
fn ids_name_one_reservation_for_ever() {
    let mut it = Fixture::tenant(Vec::new());
    let first = it.granted(tokens(0, 0), 0);
    it.settle(first, tokens(0, 0), 0);
    let second = it.granted(tokens(0, 0), 0);
    assert_ne!(first, second);
    assert!(!it.ledger.release(first, at(0)));
    assert!(!it.ledger.release(ReservationId(u64::MAX), at(0)));
    assert!(it.ledger.release(second, at(0)));
}

#[test]
fn no_amount_overflows() {
    let most = Amounts { input_tokens: i64::MAX, output_tokens: i64::MAX, spend: i64::MAX };
    let least = Amounts { input_tokens: i64::MIN, output_tokens: i64::MIN, spend: i64::MIN };
    let mut it = Fixture::tenant(
        Metric::ALL
            .into_iter()
            .flat_map(|metric| {
                [Window::Minute, Window::RollingMs(60_000)].map(|window| limit(metric, window, 9, Mode::Soft))
            })
            .collect(),
    );
    let ids: Vec<ReservationId> = [most, least, most, tokens(1, 1)].map(|ask| it.granted(ask, 0)).into();
    it.settle(ids[0], least, 1);
    it.settle(ids[1], most, 1);
    it.ledger.hold(ids[2], at(1));
    it.settle(ids[2], most, i64::MAX);
    it.settle(ids[3], tokens(1, 1), i64::MIN);
    it.ledger.reset(it.tenant[0].cell, at(i64::MIN));
    let foreign = BoundLimit { cell: CellId(999), ..it.tenant[0].clone() };
    it.tenant.push(BoundLimit { limit: Limit::strict(Metric::Requests, Window::Day, 5), ..foreign });
    assert_eq!(it.denied(tokens(0, 0), 0).state.remaining(), 0, "another ledger's counter has no room");
}

#[test]
fn a_changed_max_holds_at_once_and_what_was_used_stays() {
    let day = |max| vec![limit(Metric::OutputTokens, Window::Day, max, Mode::Strict)];
    let mut f = Fixture::tenant(day(100));
    let settled = f.granted(tokens(0, 70), 0);
    f.settle(settled, tokens(0, 60), 0);
    f.granted(tokens(0, 30), 0);
    // Ten more are asked.
    for (max, fits) in [(100, true), (99, false), (59, false), (0, false), (101, true), (i64::MAX, true)] {
        f.tenant = f.ledger.bind(0, &scope(ScopeKind::Key, day(max))).into_vec();
        match f.ask(tokens(0, 10), 0) {
            Reserve::Granted(grant) => assert!(fits && f.ledger.release(grant.id, at(0)), "{max}"),
            Reserve::Denied(refusal) => {
                assert!(!fits, "{max}");
                assert_eq!(refusal.only_reservations, max >= 70, "{max}");
            }
            Reserve::NeedRefill(_) => panic!("this node owns everything"),
        }
        assert_eq!(f.stands(0, 0), (60, 30, 0), "{max}");
    }
    let cell = f.tenant[0].cell;
    f.ledger.reset(cell, at(0));
    assert_eq!(f.stands(0, 0), (0, 30, 0));
    f.tenant = f.ledger.bind(0, &scope(ScopeKind::Key, day(39))).into_vec();
    f.denied(tokens(0, 10), 0);
    f.granted(tokens(0, 10), DAY_MS);
}

#[test]
fn nobody_overtakes_those_who_wait_and_what_is_short_is_named() {
    let day = |max| limit(Metric::OutputTokens, Window::Day, max, Mode::Strict);
    let month = limit(Metric::OutputTokens, Window::Month, 1_000, Mode::Strict);
    let mut f = Fixture::tenant(vec![month, day(100)]);
    let cell = f.tenant[0].cell;
    f.ledger.join_line(cell);
    let refusal = f.denied(tokens(0, 10), 0);
    assert!(refusal.only_reservations);
    assert_eq!(refusal.line.map(|line| line.cell), Some(cell));
    // The month would fit, were nobody there before: it is the day that doesn't.
    let refusal = f.denied(tokens(0, 101), 0);
    assert_eq!((refusal.state.limit.window, refusal.line), (Window::Day, None));
    f.ledger.leave_line(cell);
    let id = f.granted(tokens(0, 10), 0);
    assert!(f.ledger.take_freed().is_empty());
    f.ledger.join_line(cell);
    f.settle(id, tokens(0, 10), 0);
    assert_eq!(f.ledger.take_freed().as_slice(), [cell], "what is freed is told where somebody waits");
    f.ledger.leave_line(cell);
    f.ledger.leave_line(cell);
    f.granted(tokens(0, 10), 0);
}

#[test]
fn a_counter_is_idle_once_what_was_made_in_it_has_ended() {
    const FIVE_HOURS: u64 = 18_000_000;
    let rolling = Limit::strict(Metric::Requests, Window::RollingMs(FIVE_HOURS), 10);
    let slots = Limit::strict(Metric::Concurrency, Window::Lifetime, 10);
    // What becomes of a call that ends in another bucket than it began in, and when nothing of it is left.
    for (what, limit, held) in [("a rolling window", rolling, false), ("a slot", slots, true)] {
        let mut it = Fixture::tenant(vec![limit]);
        let cell = it.tenant[0].cell;
        let id = it.granted(tokens(0, 0), 0);
        let (ends, later) = (DAY_MS / 2, 2 * DAY_MS);
        assert!(!it.ledger.is_idle(cell, at(ends)), "{what}");
        if held {
            assert!(it.ledger.hold(id, at(ends)));
        } else {
            it.settle(id, tokens(0, 0), ends);
        }
        it.ledger.take_dirty(at(later));
        assert!(it.ledger.is_idle(cell, at(later)), "{what}");
    }
}
