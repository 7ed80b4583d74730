use sluicegate_core::{Caller, OrganizationId};
use tokio::sync::oneshot;

use super::*;

fn key(owner: &str, id: &str) -> JobKey {
    let mut caller = Caller::operator(OrganizationId::from("o"), &[]);
    caller.user = Some(owner.into());
    (ResponseOwner::of(&caller), id.to_owned())
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
        (&[][..], 61, Some((PayloadTooLarge, "with 60 bytes"))),
    ] {
        let jobs = Jobs::new(bounds());
        for (at, (owner, bytes)) in there.iter().enumerate() {
            jobs.begin(key(owner, &at.to_string()), *bytes).unwrap();
        }
        let told = jobs.begin(key("a", "new"), bytes).err();
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
        jobs.begin(one.clone(), 30).unwrap();
        jobs.begin(two.clone(), 30).unwrap();
        assert!(jobs.begin(key("a", "z"), 0).is_err() && jobs.is_live(&one));
        jobs.ended(&one);
        // Once more is nothing.
        jobs.ended(&one);
        jobs.ended(&two);
        assert!(jobs.is_idle() && !jobs.is_live(&one));
    }
    let state = jobs.state.lock();
    assert!(state.shares.is_empty() && state.whole == Share::default(), "{:?}", state.whole);
}

#[tokio::test]
async fn an_answer_that_is_charged_stands_whoever_cancels() {
    for (answered, want) in [(true, Ok(7)), (false, Err(End::Cancelled))] {
        let jobs = Jobs::new(bounds());
        let key = key("a", "1");
        let live = jobs.begin(key.clone(), 1).unwrap();
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
                () = cancelled => {}
                () = release => {}
            }
        };
        let run = async {
            let got = live.until_ended(work).await;
            jobs.ended(&key);
            got
        };
        let (got, ()) = tokio::join!(run, cancel);
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn whoever_ends_it_first_is_heeded() {
    let jobs = Jobs::new(bounds());
    let live = jobs.begin(key("a", "1"), 1).unwrap();
    jobs.end_all(End::Stopped);
    live.end(End::Cancelled);
    assert_eq!(live.until_ended(std::future::pending::<()>()).await, Err(End::Stopped));
}
