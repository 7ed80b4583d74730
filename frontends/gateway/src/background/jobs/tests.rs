use sluicegate_core::{Caller, OrganizationId};
use tokio::sync::oneshot;

use super::super::log::{Place, Read};
use super::*;

fn key(owner: &str, id: &str) -> JobKey {
    key_of("o", owner, id)
}

fn key_of(organization: &str, owner: &str, id: &str) -> JobKey {
    let mut caller = Caller::operator(OrganizationId::from(organization), &[]);
    caller.user = Some(owner.into());
    (ResponseOwner::of(&caller), id.to_owned())
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn bounds() -> ResponseBounds {
    ResponseBounds {
        background: 4,
        background_per_owner: 2,
        background_bytes: 100,
        background_bytes_per_owner: 60,
        ..ResponseBounds::default()
    }
}

#[test]
fn each_owner_has_a_share_and_all_have_an_end() {
    use ErrorKind::{PayloadTooLarge, RateLimited};
    // What there is already, of owners and in bytes, and what one more of `a`'s is told.
    for (there, bytes, want) in [
        (&[][..], 60, None),
        (&[("a", 1)][..], 1, None),
        (&[("a", 1), ("a", 1)][..], 1, Some((RateLimited, "background_per_owner"))),
        (&[("b", 1), ("b", 1)][..], 1, None),
        (&[("b", 1), ("b", 1), ("c", 1), ("c", 1)][..], 1, Some((RateLimited, "this gateway works on"))),
        (&[("a", 50)][..], 10, None),
        (&[("a", 50)][..], 11, Some((RateLimited, "50 bytes are held"))),
        (&[("b", 60)][..], 41, Some((RateLimited, "this gateway works on"))),
        (&[][..], 61, Some((PayloadTooLarge, "60 bytes may be held"))),
    ] {
        let jobs = Jobs::new(bounds());
        for (number, (owner, bytes)) in there.iter().enumerate() {
            jobs.begin(key(owner, &number.to_string()), *bytes, false, at(0)).unwrap();
        }
        let told = jobs.begin(key("a", "new"), bytes, false, at(0)).err();
        assert_eq!(told.as_ref().map(Error::kind), want.map(|(kind, _)| kind), "{there:?} {bytes}");
        if let (Some(told), Some((_, why))) = (told, want) {
            assert!(told.message().contains(why), "{there:?} {bytes}: {}", told.message());
        }
    }
}

#[test]
fn what_has_ended_makes_room() {
    let jobs = Jobs::new(bounds());
    for round in 0..10 {
        let (one, two) = (key("a", &format!("{round}x")), key("a", &format!("{round}y")));
        jobs.begin(one.clone(), 30, false, at(0)).unwrap();
        jobs.begin(two.clone(), 30, false, at(0)).unwrap();
        assert!(jobs.begin(key("a", "z"), 0, false, at(0)).is_err() && jobs.is_live(&one));
        jobs.ended(&one, at(0));
        // Once more is nothing.
        jobs.ended(&one, at(0));
        jobs.ended(&two, at(0));
        assert!(jobs.is_idle() && !jobs.is_live(&one));
    }
    jobs.let_old_go(at(60_000));
    let state = jobs.state.lock();
    assert!(
        state.shares.is_empty()
            && state.organizations.is_empty()
            && state.past.is_empty()
            && !state.has_others("")
            && state.whole == Share::default(),
        "{:?}",
        state.whole
    );
}

#[tokio::test]
async fn an_answer_that_is_charged_stands_whoever_cancels() {
    for (answered, want) in [(true, Ok(7)), (false, Err(End::Cancelled))] {
        let jobs = Jobs::new(bounds());
        let key = key("a", "1");
        let live = jobs.begin(key.clone(), 1, false, at(0)).unwrap();
        let (settle, settled) = oneshot::channel::<()>();
        let work = async {
            if answered {
                live.note_answered();
            }
            // Its settlement is being written.
            let _ = settled.await;
            7
        };
        let cancel = async {
            let cancelled = jobs.cancel(&key);
            let release = async {
                tokio::task::yield_now().await;
                // What isn't answered would never be.
                if answered {
                    let _ = settle.send(());
                } else {
                    std::future::pending().await
                }
            };
            tokio::select! {
                _ = cancelled => {}
                () = release => {}
            }
        };
        let run = async {
            let got = live.until_ended(work).await;
            jobs.ended(&key, at(0));
            got
        };
        let (got, ()) = tokio::join!(run, cancel);
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn whoever_ends_it_first_is_heeded() {
    let jobs = Jobs::new(bounds());
    let live = jobs.begin(key("a", "1"), 1, false, at(0)).unwrap();
    jobs.end_all(End::Stopped);
    live.end(End::Cancelled);
    assert_eq!(live.until_ended(std::future::pending::<()>()).await, Err(End::Stopped));
}

#[test]
fn events_of_what_has_ended_are_the_first_to_go() {
    // An event has 62 bytes.
    let bounds = ResponseBounds { background_bytes: 1_000, background_bytes_per_owner: 150, ..bounds() };
    let jobs = Jobs::new(bounds);
    let past = |id: &str, bytes: usize| {
        let key = key("a", id);
        let live = jobs.begin(key.clone(), 1, true, at(0)).unwrap();
        live.log().unwrap().say(&"x".repeat(bytes), "1", &jobs.room(&key.0));
        jobs.ended(&key, at(0));
        jobs.held(&key).is_some()
    };
    let is_held = |id: &str| jobs.held(&key("a", id)).is_some();
    assert!(past("1", 1) && past("2", 1) && is_held("1"));
    // Another makes the oldest go, and so does work on a new one.
    assert!(past("3", 1) && !is_held("1") && is_held("2"));
    let new = jobs.begin(key("a", "4"), 100, false, at(0)).unwrap();
    assert!(!is_held("2") && !is_held("3"));
    jobs.ended(&key("a", new.id()), at(0));
    // There never was room for this one's.
    assert!(!past("5", 100));
    assert!(past("6", 1));
    jobs.let_go(&key("a", "6"));
    assert!(!is_held("6") && past("7", 1));
    jobs.let_old_go(at(LINGER_MS - 1));
    assert!(is_held("7"));
    jobs.let_old_go(at(LINGER_MS));
    assert!(!is_held("7"));
    let state = jobs.state.lock();
    assert!(state.shares.is_empty() && state.past_order.is_empty() && state.whole == Share::default());
}

#[test]
fn no_organization_has_all_where_there_are_several() {
    use ErrorKind::{PayloadTooLarge, RateLimited};
    let begin = |jobs: &Jobs, key: JobKey, bytes| jobs.begin(key, bytes, false, at(0)).map(drop);
    let refused =
        |told: Result<()>| told.err().map(|told| (told.kind(), told.message().contains("organization")));
    let jobs = Jobs::new(bounds());
    // Alone it has all, whoever its users are.
    let all = [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")].map(|(owner, id)| key(owner, id));
    for key in &all {
        begin(&jobs, key.clone(), 1).unwrap();
    }
    let other = |id: &str| key_of("p", "a", id);
    assert_eq!(refused(begin(&jobs, other("5"), 1)), Some((RateLimited, false)));
    // What it has stays, and what ends is the other's until each has half.
    jobs.holds(&all[0].0, &jobs.held(&all[0]).unwrap(), 1).unwrap();
    jobs.ended(&all[0], at(0));
    assert_eq!(refused(begin(&jobs, key("c", "6"), 1)), Some((RateLimited, true)));
    begin(&jobs, other("5"), 1).unwrap();
    jobs.ended(&all[1], at(0));
    assert_eq!(refused(begin(&jobs, key("c", "6"), 1)), Some((RateLimited, true)));
    begin(&jobs, key_of("p", "b", "7"), 1).unwrap();
    jobs.ended(&all[2], at(0));
    begin(&jobs, key("c", "6"), 1).unwrap();
    // The same of bytes, of 100.
    let jobs = Jobs::new(bounds());
    begin(&jobs, other("1"), 30).unwrap();
    begin(&jobs, key("a", "2"), 30).unwrap();
    assert_eq!(refused(begin(&jobs, key("b", "3"), 21)), Some((RateLimited, true)));
    assert_eq!(refused(begin(&jobs, key("b", "3"), 51)), Some((PayloadTooLarge, false)));
    begin(&jobs, key("b", "3"), 20).unwrap();
}

#[test]
fn the_whole_is_given_back_when_the_others_want_no_more() {
    let begin = |jobs: &Jobs, key: JobKey, now| jobs.begin(key, 1, false, at(now)).is_ok();
    let theirs = |id: &str| key_of("p", "a", id);
    let jobs = Jobs::new(bounds());
    assert!(begin(&jobs, theirs("1"), 0));
    // While another works, however long ago it asked, there are halves, of four.
    jobs.let_old_go(at(3_600_000));
    assert!(begin(&jobs, key("a", "1"), 3_600_000) && begin(&jobs, key("b", "2"), 3_600_000));
    assert!(!begin(&jobs, key("c", "3"), 3_600_000));
    // When it has nothing any more its last claim holds for a minute.
    assert!(begin(&jobs, theirs("2"), 3_610_000));
    jobs.ended(&theirs("1"), at(3_620_000));
    jobs.ended(&theirs("2"), at(3_620_000));
    for (now, want) in [(3_620_000, false), (3_669_999, false), (3_670_000, true)] {
        jobs.let_old_go(at(now));
        assert_eq!(begin(&jobs, key("c", "3"), now), want, "{now}");
    }
    // Whoever was refused has one, too.
    assert!(begin(&jobs, key("d", "4"), 3_670_000) && !begin(&jobs, theirs("3"), 3_680_000));
    jobs.ended(&key("d", "4"), at(3_680_000));
    assert!(!begin(&jobs, key("e", "5"), 3_680_000) && begin(&jobs, theirs("3"), 3_680_000));
}

#[test]
fn events_that_are_let_go_are_held_for_no_reader() {
    let bounds = ResponseBounds { background_bytes: 1_000, background_bytes_per_owner: 150, ..bounds() };
    let jobs = Jobs::new(bounds);
    let mut logs = Vec::new();
    for id in 0..4 {
        let key = key("a", &id.to_string());
        let live = jobs.begin(key.clone(), 1, true, at(0)).unwrap();
        let log = live.log().unwrap();
        log.say("x", "1", &jobs.room(&key.0));
        jobs.ended(&key, at(0));
        logs.push(log);
    }
    // Whoever reads on, what is held is what is counted.
    let held: u64 = logs.iter().map(|log| log.close()).sum();
    assert_eq!((held, jobs.state.lock().whole.bytes), (held, held));
    assert!(held > 0 && held <= 150, "{held}");
    let read = |which: usize| logs[which].read(Place::default());
    assert!(matches!((read(0), read(3)), (Read::Forgotten, Read::Events(..))));
}

#[test]
fn organizations_are_told_apart_whatever_their_names() {
    let organization = |name: &str, user| key_of(name, user, "1").0.organization().to_owned();
    assert_eq!(organization("o", "a"), organization("o", "b"));
    let names = ["o", "p", "o\"", "o\",null", "[\"o\"]", "\\", ""];
    let all: std::collections::HashSet<_> = names.iter().map(|name| organization(name, "a")).collect();
    assert_eq!(all.len(), names.len(), "{all:?}");
}

#[test]
fn what_a_response_turns_out_to_hold_is_of_its_owners_share() {
    use ErrorKind::{PayloadTooLarge, RateLimited};
    let jobs = Jobs::new(bounds());
    let (one, two) = (key("a", "1"), key("a", "2"));
    let live = [&one, &two].map(|key| jobs.begin(key.clone(), 5, false, at(0)).unwrap());
    let holds = |which: usize, bytes| jobs.holds(&one.0, &live[which], bytes).err().map(|told| told.kind());
    assert_eq!((holds(0, 61), holds(0, 40)), (Some(PayloadTooLarge), None));
    // What is said once more isn't more, and less isn't given back before its end.
    assert_eq!((holds(0, 40), holds(0, 3)), (None, None));
    assert_eq!((holds(1, 21), holds(1, 20)), (Some(RateLimited), None));
    jobs.ended(&one, at(0));
    assert_eq!(holds(1, 60), None);
    jobs.ended(&two, at(0));
    let state = jobs.state.lock();
    assert!(state.shares.is_empty() && state.whole == Share::default(), "{:?}", state.whole);
}
