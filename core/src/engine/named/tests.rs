//! Names that callers make up: bounded in number, and never a way past a limit.

use std::sync::Arc;

use super::super::tests::{NOW, NoPolicy, call, caller, channel, engine};
use super::super::{BoundCaller, Next};
use super::*;
use crate::ids::OrganizationId;
use crate::ledger::Balance;
use crate::limit::{Metric, Mode, Window};
use crate::snapshot::{Declared, Snapshot};
use crate::tenant::Caller;

const DAY_MS: i64 = 86_400_000;

fn declared(limits: Vec<Limit>, max_counted: usize) -> Declared {
    let customers = NamedScopes { default: limits, max_counted, ..NamedScopes::default() };
    Declared { channels: vec![channel("c", "m", 0)], customers, ..Declared::default() }
}

fn requests(max: i64) -> Vec<Limit> {
    vec![Limit::strict(Metric::Requests, Window::Day, max)]
}

struct World {
    engine: Engine,
    caller: Arc<BoundCaller>,
}

impl World {
    fn new(declared: Declared) -> Self {
        let engine = engine(declared);
        let caller = caller(&engine, Vec::new(), &[]);
        Self { engine, caller }
    }

    fn admit(&self, customer: &str, now: Timestamp) -> Box<Admission> {
        let mut call = call("m", Some(10));
        call.customer = Some(customer.to_owned());
        self.engine.admit(call, &self.caller, now, 7).unwrap()
    }

    /// Whether one more call of this customer passes. What is counted is stored at once.
    fn passes(&self, customer: &str, now: Timestamp) -> bool {
        let mut admission = self.admit(customer, now);
        let passes = matches!(self.engine.next(&mut admission, now), Next::Try(_));
        self.engine.finish(admission, None, now);
        self.engine.ledger().take_dirty(now);
        passes
    }

    fn counters(&self) -> Vec<String> {
        let mut ids: Vec<_> =
            self.engine.ledger().named_cells().map(|(_, scope)| scope.id.to_string()).collect();
        ids.sort();
        ids
    }

    fn alerts(&self) -> usize {
        let many = |alert: &Alert| matches!(alert, Alert::TooManyNames { kind: ScopeKind::Customer, .. });
        self.engine.take_alerts().iter().filter(|alert| many(alert)).count()
    }
}

#[test]
fn a_flood_of_names_gets_no_more_than_its_places_and_one_shared_one() {
    let world = World::new(declared(requests(2), 10));
    let passed = (0..1_000).filter(|n| world.passes(&format!("made up {n}"), NOW)).count();
    assert_eq!(passed, 10 + 2, "one call each of ten, and two of all the others together");
    assert_eq!(world.counters().len(), 11);
    assert_eq!(world.alerts(), 1, "it is told of, and once");
    assert!(world.passes("made up 3", NOW), "who has a place of their own keeps it");
    assert!(!world.passes("made up 3", NOW));
}

#[test]
fn one_organizations_flood_takes_no_place_of_anothers() {
    for (mine, other) in [("default", "other"), ("a/b", "a")] {
        let mut world = World::new(declared(requests(1), 10));
        let of =
            |organization: &str| world.engine.bind(Caller::operator(OrganizationId::from(organization), &[]));
        let (mine, other) = (of(mine), of(other));
        world.caller = mine;
        assert_eq!((0..100).filter(|n| world.passes(&format!("made up {n}"), NOW)).count(), 11);
        assert_eq!((world.counters().len(), world.alerts()), (11, 1));
        world.caller = other;
        assert_eq!((0..10).filter(|n| world.passes(&format!("made up {n}"), NOW)).count(), 10);
        assert_eq!((world.counters().len(), world.alerts()), (20 + 1, 0));
        (0..100).for_each(|n| assert_eq!(world.passes(&format!("more {n}"), NOW), n == 0));
        assert_eq!((world.counters().len(), world.alerts()), (22, 1), "each is told of by itself");
    }
}

#[test]
fn organizations_whose_names_are_idle_leave_nothing_behind() {
    let mut world = World::new(declared(requests(1), 10));
    let mut at = NOW;
    for n in 0..10 * ROOMS_MIN {
        world.caller = world.engine.bind(Caller::operator(OrganizationId::from(format!("o{n}")), &[]));
        assert!(world.passes("c", at));
        at = at.plus_ms(DAY_MS);
        world.engine.ledger().take_dirty(at);
    }
    assert!(world.counters().len() <= ROOMS_MIN, "{}", world.counters().len());
    assert!(world.engine.names.lock().rooms.len() <= ROOMS_MIN);
}

#[test]
fn only_idle_counters_are_given_up() {
    let day = Limit::strict(Metric::TotalTokens, Window::Day, 1_000);
    let minute = Limit::strict(Metric::Requests, Window::Minute, 5);
    let world = World::new(declared(vec![day, minute], 2));
    // `a` was refused before anything was counted, `b` has used something.
    let mut held = world.admit("b", NOW);
    assert!(matches!(world.engine.next(&mut held, NOW), Next::Try(_)));
    world.admit("a", NOW);
    let tomorrow = NOW.plus_ms(DAY_MS);
    for (who, now, counted) in [
        ("c", NOW, ["b", "c"]),
        // Their windows have ended, and `b` is still under way.
        ("d", tomorrow, ["b", "d"]),
    ] {
        assert!(world.passes(who, now), "{who}");
        let mut ids: Vec<_> = counted.iter().flat_map(|name| vec![format!("default/{name}"); 2]).collect();
        ids.sort();
        let own: Vec<_> = world.counters().into_iter().filter(|id| !id.ends_with('/')).collect();
        assert_eq!(own, ids, "after {who}");
    }
    world.engine.abandon(held, tomorrow);
}

#[test]
fn who_shared_a_counter_gets_none_of_their_own_before_it_is_idle() {
    let world = World::new(declared(requests(2), 1));
    assert!(world.passes("a", NOW));
    assert!(world.passes("b", NOW), "shared");
    assert!(world.passes("b", NOW), "shared");
    // Room comes up, but `b` has had its two.
    let engine = &world.engine;
    engine.swap(Snapshot::build(2, declared(requests(2), 50)), Arc::new(NoPolicy));
    assert!(!world.passes("b", NOW));
    assert!(!world.passes("c", NOW));
    assert!(world.passes("a", NOW));
    let tomorrow = NOW.plus_ms(DAY_MS);
    for name in ["b", "c", "d"] {
        assert!(world.passes(name, tomorrow) && world.passes(name, tomorrow), "{name}");
        assert!(!world.passes(name, tomorrow), "{name}");
    }
}

#[test]
fn a_call_that_is_let_in_keeps_its_counter() {
    let world = World::new(declared(requests(1), 1));
    let mut early = world.admit("early", NOW);
    world.engine.swap(Snapshot::build(2, declared(requests(1), 1)), Arc::new(NoPolicy));
    for n in 0..5 {
        world.passes(&format!("n{n}"), NOW.plus_ms(1_000 * n));
    }
    assert!(matches!(world.engine.next(&mut early, NOW.plus_ms(9_000)), Next::Try(_)));
    let used: Vec<_> =
        world.engine.ledger().balances(NOW).into_iter().map(|b| (b.scope.id, b.settled)).collect();
    assert!(used.contains(&("default/early".into(), 1)), "{used:?}");
    world.engine.abandon(early, NOW);
    assert!(!world.passes("early", NOW.plus_ms(10_000)));
}

#[test]
fn what_was_restored_counts_and_can_be_given_up() {
    let world = World::new(declared(requests(1), 1));
    let balance = |id: &str, day: i64| Balance {
        scope: Scope::new(ScopeKind::Customer, format!("default/{id}")),
        metric: Metric::Requests,
        window: Window::Day,
        model: None,
        window_start: Timestamp::from_ms((NOW.as_ms() / DAY_MS + day) * DAY_MS),
        settled: 1,
        held: 0,
        carried: 0,
    };
    for stored in [balance("old", -1), balance("today", 0)] {
        world.engine.ledger().seed(&stored);
    }
    assert!(!world.passes("today", NOW));
    // Two were restored and one is allowed: the idle one goes, and there is still no place for another.
    assert!(world.passes("b", NOW));
    assert!(!world.passes("c", NOW), "it shares with `b`");
    assert!(!world.counters().contains(&"default/c".to_owned()));
}

#[test]
fn a_changed_limit_holds_at_once_and_what_was_used_stays() {
    let world = World::new(declared(requests(2), 10));
    assert!(world.passes("a", NOW) && world.passes("a", NOW) && !world.passes("a", NOW));
    for (version, max, passes) in [(2, 3, true), (3, 3, false), (4, 1, false), (5, 4, true)] {
        world.engine.swap(Snapshot::build(version, declared(requests(max), 10)), Arc::new(NoPolicy));
        assert_eq!(world.passes("a", NOW), passes, "version {version}");
    }
    // Whoever is declared doesn't take a place from the others.
    let mut own = declared(requests(4), 1);
    own.customers.declared.insert("a".to_owned(), requests(5));
    world.engine.swap(Snapshot::build(6, own), Arc::new(NoPolicy));
    assert!(world.passes("a", NOW) && !world.passes("a", NOW));
    assert!(world.passes("b", NOW) && world.passes("c", NOW));
    assert_eq!(world.counters(), ["default/", "default/a", "default/b"]);
}

#[test]
fn no_organizations_name_runs_into_anothers_customer() {
    let scope = |organization, name| {
        let limits: &[Limit] = &[];
        let request = Request {
            kind: ScopeKind::Customer,
            organization,
            name,
            limits,
            is_declared: false,
            max: 1,
            version: 1,
        };
        request.scope(name).id.to_string()
    };
    assert_ne!(scope("a", "b/c"), scope("a/b", "c"));
    assert_eq!(scope("a", "x\0y"), "a/x\u{fffd}y");
}

#[test]
fn a_debt_and_a_soft_limit_say_whose_they_are() {
    let soft = Limit { mode: Mode::Soft, ..Limit::strict(Metric::Requests, Window::Day, 0) };
    let tight = Limit::strict(Metric::OutputTokens, Window::Day, 10);
    let world = World::new(declared(vec![soft, tight], 10));
    let mut admission = world.admit("acme", NOW);
    assert!(matches!(world.engine.next(&mut admission, NOW), Next::Try(_)));
    let usage = crate::usage::Usage { output_visible: 15, ..Default::default() };
    world.engine.observe(&mut admission, &super::super::Outcome::answered(usage), NOW);
    let said: Vec<_> = world.engine.take_alerts();
    let soft = "requests of customer `default/acme`, day: 1 of 0";
    let debt = "output_tokens of customer `default/acme`, day: 15 of 10";
    assert_eq!(
        said,
        [Alert::SoftLimit { limit: soft.to_owned() }, Alert::Debt { limit: debt.to_owned(), over: 5 }]
    );
}

#[test]
fn the_tag_of_a_client_has_the_limits_of_its_own_only() {
    let tag = "matches ^User-Agent: cli/";
    for own in [None, Some(requests(1))] {
        let mut served = channel("c", "m", 0);
        served.tag_patterns =
            vec![crate::pattern::Pattern::try_from("^User-Agent: cli/".to_owned()).unwrap()];
        let named = own.iter().map(|limits| (tag.to_owned(), limits.clone())).collect();
        let tags = NamedScopes { declared: named, default: requests(2), ..NamedScopes::default() };
        let mut declared = Declared { channels: vec![served], tags, ..Declared::default() };
        declared.routing.tag_filter = Some(crate::snapshot::TagFilter::Any);
        let world = World::new(declared);
        let passes = |tags: &[&str]| {
            let mut call = call("m", Some(10));
            call.tags.extend(tags.iter().map(|tag| (*tag).to_owned()));
            let Ok(mut admission) = world.engine.admit(call, &world.caller, NOW, 7) else { return false };
            let passes = matches!(world.engine.next(&mut admission, NOW), Next::Try(_));
            world.engine.finish(admission, None, NOW);
            passes
        };
        let passed = |tags: &[&str]| (0..5).filter(|_| passes(tags)).count();
        assert_eq!(passed(&[tag]), if own.is_some() { 1 } else { 5 });
        // A name that looks like it, and is nobody's pattern, is a name.
        assert_eq!(passed(&[tag, "matches me"]), if own.is_some() { 0 } else { 2 });
    }
}
