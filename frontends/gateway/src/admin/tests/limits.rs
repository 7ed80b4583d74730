//! Limits that come, go and change while calls are made.

use sluicegate_core::record::{AttemptRecord, ReplayFacts};
use sluicegate_core::{OutcomeClass, RecordEntry, Scope, ScopeKind, Usage, UsageRecord, UsageSource};

use super::*;
use crate::store::{AuditedChange, LogFilter, NewEvent};

fn record(call: &str, started_at: i64, key: &str, group: Option<&str>, user: Option<&str>) -> RecordEntry {
    RecordEntry::from(usage_record(call, started_at, key, group, user))
}

/// A call that cost 100.
pub(super) fn usage_record(
    call: &str,
    started_at: i64,
    key: &str,
    group: Option<&str>,
    user: Option<&str>,
) -> UsageRecord {
    let usage = Usage { input_uncached: 10, output_visible: 5, ..Usage::default() };
    let attempt = AttemptRecord {
        channel: "c".into(),
        model: "m".into(),
        upstream_model: "m".into(),
        outcome: OutcomeClass::Ok,
        status: Some(200),
        started_at: Timestamp::from_ms(started_at),
        duration_ms: 1,
        ceiling: None,
        reserved: 0,
        spend: 100,
        cost: 100,
        priced: true,
        service_tier: None,
        variant: None,
        exchange: None,
        rates: Default::default(),
        usage,
        usage_source: UsageSource::Reported,
        held: false,
        retry_after_ms: None,
        key: None,
        key_fault: false,
        usage_rejected: false,
    };
    UsageRecord {
        call: call.into(),
        amends: None,
        started_at: Timestamp::from_ms(started_at),
        ended_at: Timestamp::from_ms(started_at),
        first_byte_at: None,
        key: Some(key.into()),
        user: user.map(Into::into),
        group: group.map(Into::into),
        organization: "o1".into(),
        customer: None,
        tags: Default::default(),
        format: Format::OpenaiChat,
        model: "m".into(),
        stream: false,
        outcome: OutcomeClass::Ok,
        error: None,
        guardrails: Default::default(),
        losses: Vec::new(),
        answer: None,
        attempts: [attempt].into_iter().collect(),
        spend: 100,
        usage,
        replay: ReplayFacts::default(),
    }
}

/// Calls of `k1` (group `g1`, user `u1`) last month, yesterday, an hour ago, and in this minute; one of `k2` now; one of
/// `u1` without a group now. The clock shows the 15th of January, 12:00:30.
async fn used() -> World {
    let w = world().await;
    let now = NOW + 14 * 86_400_000 + 12 * 3_600_000 + 30_000;
    w.clock.set(Timestamp::from_ms(now));
    let (g, u) = (Some("g1"), Some("u1"));
    let records = [
        record("a", NOW - 86_400_000, "k1", g, u),
        record("b", now - 86_400_000, "k1", g, u),
        record("c", now - 3_600_000, "k1", g, u),
        record("d", now - 1_000, "k1", g, u),
        record("e", now - 1_000, "k2", g, None),
        record("f", now - 1_000, "k9", None, u),
    ];
    w.store.append(&records, &[], None).await.unwrap();
    w
}

fn every_window() -> Vec<Limit> {
    [Window::Lifetime, Window::Month, Window::Day, Window::RollingMs(7_200_000), Window::Hour, Window::Minute]
        .map(|window| Limit::strict(Metric::Requests, window, 100))
        .to_vec()
}

fn settled(states: &[LimitUse]) -> Vec<i64> {
    states.iter().map(|state| state.settled).collect()
}

#[tokio::test]
async fn a_limit_put_where_there_was_none_begins_with_what_was_used() {
    let w = used().await;
    let operator = Actor::operator();
    let limits = || Patch::Set(Limits(every_window()));
    let key = w
        .admin
        .update_key(&operator, &by_id("k1"), KeyPatch { limits: limits(), ..KeyPatch::default() })
        .await
        .unwrap();
    assert_eq!(settled(&key.limit_states), [4, 3, 2, 2, 1, 1]);
    let group = w
        .admin
        .update_group(&operator, "g1", GroupPatch { limits: limits(), ..GroupPatch::default() })
        .await
        .unwrap();
    assert_eq!(settled(&group.limit_states), [5, 4, 3, 3, 2, 2]);
    let patch = MemberPatch { limits: limits(), ..MemberPatch::default() };
    let member = w.admin.update_member(&operator, "g1", &"u1".into(), patch).await.unwrap();
    assert_eq!(settled(&member.limit_states), [4, 3, 2, 2, 1, 1]);
    let patch = UserPatch { limits: limits(), ..UserPatch::default() };
    let user = w.admin.update_user(&operator, &"u1".into(), patch).await.unwrap();
    assert_eq!(settled(&user.limit_states), [1; 6], "what is used for a group is the group's");
    let patch = OrganizationPatch { limits: limits(), ..OrganizationPatch::default() };
    let organization = w.admin.update_organization(&operator, &"o1".into(), patch).await.unwrap();
    assert_eq!(settled(&organization.limit_states), [6, 5, 4, 4, 3, 3]);

    let tokens = [
        Limit::strict(Metric::InputTokens, Window::Day, 100),
        Limit::strict(Metric::OutputTokens, Window::Day, 100),
        Limit { mode: Mode::Soft, ..Limit::strict(Metric::TotalTokens, Window::Day, 100) },
        Limit::strict(Metric::Spend, Window::Day, 100),
        Limit { model: Some("other".into()), ..Limit::strict(Metric::Spend, Window::Day, 100) },
        Limit::strict(Metric::Concurrency, Window::Lifetime, 1),
    ];
    let patch = KeyPatch { limits: Patch::Set(Limits(tokens.to_vec())), ..KeyPatch::default() };
    let key = w.admin.update_key(&operator, &by_id("k1"), patch).await.unwrap();
    assert_eq!(settled(&key.limit_states), [20, 10, 30, 200, 0, 0]);
    // What was seeded is stored with the next balances: a restart doesn't lose it.
    let stored = w.engine.ledger().take_dirty(w.clock.now());
    let spend =
        |it: &&Balance| it.metric == Metric::Spend && it.model.is_none() && it.scope.id.as_ref() == "k1";
    assert_eq!(stored.iter().find(spend).unwrap().settled, 200);
}

/// Somebody who was there before, and a group that was, have used something of what they are given now.
#[tokio::test]
async fn the_limits_of_who_comes_back_begin_with_what_was_used() {
    let w = used().await;
    let operator = Actor::operator();
    let limits = || Limits(every_window());
    w.admin.delete_user(&operator, &"u1".into()).await.unwrap();
    let place = Place { limits: limits(), ..Place::default() };
    let new = NewUser {
        id: Some("u1".into()),
        organization: Some("o1".into()),
        limits: limits(),
        places: vec![("g1".to_owned(), place)],
        ..NewUser::default()
    };
    let user = w.admin.create_user(&operator, new).await.unwrap();
    assert_eq!(settled(&user.limit_states), [1; 6]);
    assert_eq!(settled(&user.memberships[0].limit_states), [4, 3, 2, 2, 1, 1]);

    w.admin.delete_group(&operator, "g1").await.unwrap();
    let new = NewGroup {
        id: Some("g1".into()),
        organization: Some("o1".into()),
        limits: limits(),
        members: vec![NewMember { limits: limits(), ..NewMember::new("u1") }],
        ..NewGroup::default()
    };
    let group = w.admin.create_group(&operator, new).await.unwrap();
    assert_eq!(settled(&group.limit_states), [5, 4, 3, 3, 2, 2]);
    assert_eq!(settled(&group.members[0].limit_states), [4, 3, 2, 2, 1, 1]);

    let channel = Channel { limits: every_window(), ..channel("c") };
    let new = NewChannel { channel, secret: None, entry: None };
    let channel = w.admin.create_channel(&operator, new).await.unwrap();
    assert_eq!(settled(&channel.limit_states), [6, 5, 4, 4, 3, 3]);
}

#[tokio::test]
async fn raising_lowering_and_restoring_a_limit_loses_nothing() {
    let w = used().await;
    let operator = Actor::operator();
    let day = |max| Patch::Set(Limits(vec![Limit::strict(Metric::Requests, Window::Day, max)]));
    let set = async |limits: Patch<Limits>| {
        let patch = KeyPatch { limits, ..KeyPatch::default() };
        let view = w.admin.update_key(&operator, &by_id("k1"), patch).await.unwrap();
        view.limit_states.first().map(|state| (state.max, state.settled, state.remaining))
    };
    assert_eq!(set(day(10)).await, Some((10, 2, 8)));
    assert_eq!(set(day(1)).await, Some((1, 2, 0)));
    assert_eq!(set(day(5)).await, Some((5, 2, 3)));
    assert_eq!(set(Patch::Clear).await, None);
    w.store.append(&[record("g", w.clock.now().as_ms(), "k1", None, None)], &[], None).await.unwrap();
    assert_eq!(set(day(10)).await, Some((10, 3, 7)), "what was used without the limit counts too, and once");
    assert_eq!(set(day(10)).await, Some((10, 3, 7)));
    let negative = Patch::Set(Limits(vec![Limit::strict(Metric::Requests, Window::Day, -1)]));
    let patch = KeyPatch { limits: negative, ..KeyPatch::default() };
    assert_eq!(
        w.admin.update_key(&operator, &by_id("k1"), patch).await.unwrap_err().kind(),
        ErrorKind::InvalidRequest
    );
}

#[tokio::test]
async fn a_changed_limit_binds_the_next_call() {
    let w = used().await;
    let hash = KeyHash::of("k1");
    let bound = async || w.directory.find(&hash).await.unwrap().unwrap().limits().len();
    assert_eq!(bound().await, 0);
    let patch = GroupPatch { limits: Patch::Set(Limits(every_window())), ..GroupPatch::default() };
    w.admin.update_group(&Actor::operator(), "g1", patch).await.unwrap();
    assert_eq!(bound().await, 6);
    w.admin.delete_group(&Actor::operator(), "g1").await.unwrap();
    assert!(w.directory.find(&hash).await.unwrap().is_none());
}

#[tokio::test]
async fn records_and_sums_are_seen_as_far_as_one_may() {
    let w = used().await;
    for (name, want) in
        [("operator", 6), ("oa", 6), ("au", 6), ("ga", 5), ("u1", 5), ("u2", 0), ("key", 1), ("xa", 0)]
    {
        let actor = w.actor(name).await;
        let page = w.admin.log(&actor, &LogFilter::default(), None, 100).await.unwrap();
        assert_eq!(page.items.len() as u64, want, "{name}");
        let sums = w.admin.spend(&actor, &SpendQuery::default()).await.unwrap().items[0].sums;
        assert_eq!(u64::try_from(sums.requests).unwrap(), want, "{name}");
    }
}

#[test]
fn rolling_windows_are_cut_as_the_ledger_cuts_them() {
    assert_eq!(bucket_ms(7_200_000), 122_034, "a 59th, rounded up");
}

/// Everybody's limits are found by whose they are, however many others there are, and as far as one may see.
#[tokio::test]
async fn limits_are_found_by_whose_they_are() {
    let w = used().await;
    let boss = Actor::operator();
    let few = |max| Patch::Set(Limits(vec![Limit::strict(Metric::Requests, Window::Lifetime, max)]));
    for id in ["k1", "k2", "kg2", "k4"] {
        w.admin
            .update_key(&boss, &by_id(id), KeyPatch { limits: few(10), ..KeyPatch::default() })
            .await
            .unwrap();
    }
    for id in ["g1", "g2", "g3"] {
        let patch = GroupPatch { limits: few(20), ..GroupPatch::default() };
        w.admin.update_group(&boss, id, patch).await.unwrap();
    }
    for id in ["u1", "u3"] {
        w.admin
            .update_user(&boss, &id.into(), UserPatch { limits: few(30), ..UserPatch::default() })
            .await
            .unwrap();
    }
    let patch = MemberPatch { limits: few(40), ..MemberPatch::default() };
    w.admin.update_member(&boss, "g1", &"u1".into(), patch).await.unwrap();
    let filter = LimitFilter::default;
    let one = |kind, id: &str| LimitFilter { kind, id: Some(id.to_owned()), ..LimitFilter::default() };
    for (name, filter, want) in [
        (
            "operator",
            filter(),
            "group:g1 group:g2 group:g3 key:k1 key:k2 key:k4 key:kg2 membership:g1/u1 user:u1 user:u3",
        ),
        ("oa", filter(), "group:g1 group:g2 key:k1 key:k2 key:kg2 membership:g1/u1 user:u1"),
        ("ga", filter(), "group:g1 key:k1 key:k2 membership:g1/u1 user:u1"),
        ("u1", filter(), "group:g1 key:k1 membership:g1/u1 user:u1"),
        ("u2", filter(), ""),
        ("xa", filter(), "group:g3 key:k4 user:u3"),
        ("operator", one(Some(ScopeKind::Key), "k1"), "key:k1"),
        ("operator", one(None, "k1"), "key:k1"),
        ("operator", one(None, "g1"), "group:g1"),
        ("operator", one(None, "g1/u1"), "membership:g1/u1"),
        ("xa", one(None, "g1/u1"), ""),
        ("u2", one(Some(ScopeKind::Key), "k1"), ""),
        (
            "operator",
            LimitFilter { group: Some("g1".into()), ..filter() },
            "group:g1 key:k1 key:k2 membership:g1/u1",
        ),
        ("operator", LimitFilter { user: Some("u1".into()), ..filter() }, "key:k1 membership:g1/u1 user:u1"),
        ("operator", LimitFilter { organization: Some("o2".into()), ..filter() }, "group:g3 key:k4 user:u3"),
        ("operator", LimitFilter { group: Some("g1".into()), ..one(None, "g2") }, ""),
    ] {
        let actor = w.actor(name).await;
        let found = w.admin.all_limits(&actor, &filter).await.unwrap();
        let whose = |it: &LimitView| format!("{}:{}", it.state.scope.as_str(), it.id);
        let mut found: Vec<String> = found.iter().map(whose).collect();
        found.sort();
        assert_eq!(found.join(" "), want, "{name} {filter:?}");
    }
    // Those that something was counted of come first, others as far as there is room.
    let balances = w.engine.ledger().balances(w.clock.now());
    w.store.append(&[], &balances, None).await.unwrap();
    for (most, want) in [(2, "k1 g1"), (4, "k1 g1 k2 g1/u1"), (100, "k1 g1 k2 g1/u1 u1 k4 kg2 g2 g3 u3")] {
        let found = w.admin.fullest_limits(&boss, &filter(), most).await.unwrap();
        let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids.join(" "), want, "{most}");
    }
    // Those that don't last are no reason to show fewer of those that do, however new.
    for _ in 0..6 {
        let limits = Limits(vec![Limit::strict(Metric::Requests, Window::Minute, 10)]);
        w.admin.create_key(&boss, NewKey { limits, ..NewKey::default() }).await.unwrap();
    }
    let lasting = LimitFilter { lasting: true, kind: Some(ScopeKind::Key), ..filter() };
    let found = w.admin.fullest_limits(&boss, &lasting, 4).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.join(" "), "k1 k2 k4 kg2");
}

#[tokio::test]
async fn the_ledgers_audit_tells_calls_that_a_new_limit_never_counts_from_what_is_wrong() {
    for (put_at, ended_at, by_budget, others, want) in [
        // Under way when the limit was put, and recorded after it.
        (500, 900, false, 0, (1, 0)),
        (500, 900, true, 0, (1, 0)),
        // However much is done to other budgets afterwards.
        (500, 900, true, 1_001, (1, 0)),
        // Over before; it should have been counted.
        (500, 400, false, 0, (0, 1)),
        (500, 400, true, 0, (0, 1)),
    ] {
        let w = used().await;
        let (operator, now) = (Actor::operator(), w.clock.now());
        w.clock.set(now.plus_ms(put_at));
        let limits = Limits(vec![Limit::strict(Metric::Requests, Window::Day, 100)]);
        if by_budget {
            // Another key's, and then this one's, too.
            for holder in ["k2", "k1"] {
                let budget = NamedScope { holders: vec![holder.into()], ..NamedScope::default() };
                w.admin.create_named(&operator, NamedKind::Budget, holder, budget).await.unwrap();
                let edit = |it: &mut NamedScope| {
                    it.limits.clone_from(&limits.0);
                    Ok(())
                };
                w.admin.update_named(&operator, NamedKind::Budget, holder, &edit).await.unwrap();
            }
        } else {
            let patch = KeyPatch { limits: Patch::Set(limits), ..KeyPatch::default() };
            w.admin.update_key(&operator, &by_id("k1"), patch).await.unwrap();
        }
        assert_eq!(w.admin.audit_ledger(&operator).await.unwrap().differing, 0);
        let mut late = usage_record("late", now.as_ms(), "k1", Some("g1"), Some("u1"));
        late.ended_at = now.plus_ms(ended_at);
        w.store.append(&[RecordEntry::from(late)], &[], None).await.unwrap();
        w.clock.set(now.plus_ms(10_000));
        // Whatever is changed since, it is when its limits were that counts.
        let patch = KeyPatch { blocked: Some(true), ..KeyPatch::default() };
        w.admin.update_key(&operator, &by_id("k1"), patch).await.unwrap();
        let event = NewEvent {
            at: w.clock.now(),
            actor: "master key".to_owned(),
            action: "budget.update".to_owned(),
            target: "budget other".to_owned(),
            organization: None,
            group: None,
            user: None,
            detail: serde_json::json!({"keys": ["k4"]}),
            address: None,
            credential: None,
        };
        let further = AuditedChange { changes: Vec::new(), event };
        w.store.apply_all(&vec![further; others], &master().audit_chain()).await.unwrap();
        let audit = w.admin.audit_ledger(&operator).await.unwrap();
        assert_eq!((audit.under_way, audit.differing), want, "{ended_at} {by_budget} {others} {audit:?}");
    }
}

/// Nobody writes down when a file's limit was put: it was when the gateway was started, or before.
#[tokio::test]
async fn the_ledgers_audit_finds_a_files_limit_short_of_what_came_after_the_start_alone() {
    let limit = Limit::strict(Metric::Requests, Window::Day, 100);
    for (of_file, started_at, want) in [
        // No start is known: just now.
        (true, None, (1, 0)),
        // The calls were before it.
        (true, Some(0), (1, 0)),
        // And after it.
        (true, Some(-2_000), (0, 1)),
        (false, Some(0), (0, 1)),
    ] {
        let w = used().await;
        let (operator, now) = (Actor::operator(), w.clock.now());
        started_at.inspect(|at| w.host.started_at.store(now.plus_ms(*at).as_ms(), Ordering::SeqCst));
        let scope = if of_file {
            let (mut declared, keys) = declared();
            declared.groups[0].limits = vec![limit.clone()];
            w.directory.declare(&declared, keys);
            Scope::new(ScopeKind::Group, "gf")
        } else {
            let changes = vec![Change::PutGroup(
                Group { limits: vec![limit.clone()], ..group("gs", "o1") },
                Expect::New,
            )];
            w.admin.commit(&operator, Deed::new("test", String::new()), changes).await.unwrap();
            Scope::new(ScopeKind::Group, "gs")
        };
        w.engine.ledger().cell(&scope, limit.metric, limit.window, None);
        let call = record("late", now.as_ms() - 1_000, "kf", Some(&scope.id), None);
        w.store.append(&[call], &[], None).await.unwrap();
        let audit = w.admin.audit_ledger(&operator).await.unwrap();
        assert_eq!((audit.under_way, audit.differing), want, "{of_file} {started_at:?} {audit:?}");
    }
}
