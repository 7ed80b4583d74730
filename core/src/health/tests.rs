use super::*;

const T0: Timestamp = Timestamp::from_ms(1_000_000);
const TOLERANCE: Tolerance = Tolerance {
    allowed_fails: 3,
    failure_min_percent: 0,
    allowed_fails_by: ByClass::NONE,
    failure_percent: None,
    failure_min_calls: 10,
    cooldown_ms: 30_000,
};

impl ChannelHealth {
    /// An attempt of a channel with one key ended.
    fn end(
        &self,
        class: OutcomeClass,
        took: Option<Took>,
        retry_after_ms: Option<u64>,
        is_probe: bool,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Verdict {
        let key = KeyUse { digest: 0, since: now };
        self.end_with_key(key, class, took, retry_after_ms, is_probe, tolerance, now)
    }
}

fn end(h: &ChannelHealth, class: OutcomeClass, probe: bool, now: Timestamp) -> Verdict {
    h.end(class, None, None, probe, TOLERANCE, now)
}

fn fail(h: &ChannelHealth, now: Timestamp) -> Verdict {
    end(h, OutcomeClass::ServerError, h.begin(now), now)
}

#[test]
fn more_than_the_allowed_failures_bench_and_each_bench_in_a_row_is_twice_as_long() {
    let h = ChannelHealth::default();
    for _ in 0..3 {
        assert_eq!(fail(&h, T0), Verdict::Counted);
    }
    assert_eq!(fail(&h, T0), Verdict::Benched(T0.plus_ms(30_000)));
    assert_eq!(h.available(T0.plus_ms(29_999), true).unwrap_err().0, Exclusion::Cooldown);
    let later = T0.plus_ms(30_000);
    assert!(h.available(later, true).is_ok());
    let probe = h.begin(later);
    assert!(h.available(later, true).is_err(), "one probe at a time");
    assert_eq!(end(&h, OutcomeClass::Timeout, probe, later), Verdict::Benched(later.plus_ms(60_000)));
    let well = later.plus_ms(60_000);
    let probe = h.begin(well);
    h.end(OutcomeClass::Ok, Some(Took::Whole(80)), None, probe, TOLERANCE, well);
    assert!(h.available(well, true).is_ok());
    assert_eq!(h.view(well).latency_us, 80);
}

#[test]
fn failures_are_forgotten_after_a_minute() {
    let h = ChannelHealth::default();
    for at in 0..20 {
        assert_eq!(fail(&h, T0.plus_ms(at * 20_000)), Verdict::Counted, "at most three a minute");
    }
}

#[test]
fn a_refused_credential_takes_the_channel_out_until_it_is_mended_or_rechecked() {
    let h = ChannelHealth::default();
    let (one, two) = (h.begin(T0), h.begin(T0));
    assert_eq!(end(&h, OutcomeClass::Auth, one, T0), Verdict::Broken);
    assert_eq!(end(&h, OutcomeClass::Auth, two, T0), Verdict::Counted, "said once");
    assert_eq!(h.available(T0.plus_ms(599_999), true).unwrap_err().0, Exclusion::Broken);
    assert!(h.available(T0.plus_ms(600_000), true).is_ok());
    h.mend();
    assert!(h.available(T0, true).is_ok());
}

#[test]
fn a_named_time_is_kept() {
    let h = ChannelHealth::default();
    let probe = h.begin(T0);
    let verdict = h.end(OutcomeClass::RateLimited, None, Some(5_000), probe, TOLERANCE, T0);
    assert_eq!(verdict, Verdict::Benched(T0.plus_ms(5_000)));
}

#[test]
fn a_high_latency_counts_at_once_and_fades() {
    let h = ChannelHealth::default();
    let took = |us, now| {
        let probe = h.begin(now);
        h.end(OutcomeClass::Ok, Some(Took::Whole(us)), None, probe, TOLERANCE, now);
    };
    took(1_000, T0);
    took(8_000, T0);
    assert_eq!(h.look(T0, false).latency_us, 8_000);
    assert_eq!(h.available(T0, true).unwrap().latency_us, 0, "nothing is known of streams");
    let half = T0.plus_ms(30_000);
    assert_eq!(h.look(half, false).latency_us, 4_000);
    assert_eq!(h.look(T0.plus_ms(45_000), false).latency_us, 3_000);
    took(2_000, half);
    assert_eq!(h.look(half, false).latency_us, 5_000, "half of the old, half of the new");
    assert_eq!(h.look(half.plus_ms(-60_000), false).latency_us, 5_000);
    assert_eq!(h.look(T0.plus_ms(i64::MAX / 2), false).latency_us, 1, "known stays known");
}

#[test]
fn people_are_told_a_latency_as_it_was_learnt_and_when() {
    let h = ChannelHealth::default();
    let took = |took, now| {
        let probe = h.begin(now);
        h.end(OutcomeClass::Ok, Some(took), None, probe, TOLERANCE, now);
    };
    assert_eq!((h.view(T0).latency_us, h.latency()), (0, LatencyView::default()));
    took(Took::FirstContent(700), T0);
    took(Took::Whole(9_000), T0.plus_ms(1_000));
    let later = T0.plus_ms(600_000);
    let told = |us, at| Some(LearntLatency { us, at });
    let both = LatencyView { first_content: told(700, T0), whole: told(9_000, T0.plus_ms(1_000)) };
    assert_eq!(h.latency(), both);
    assert_eq!(h.view(later).latency_us, 9_000, "of whichever answered last, and it doesn't fall by itself");
    assert!(h.look(later, false).latency_us < 10, "decisions forget");
    took(Took::FirstContent(800), later);
    assert_eq!(h.view(later).latency_us, 800);
}

fn benched() -> (ChannelHealth, Timestamp) {
    let h = ChannelHealth::default();
    for _ in 0..4 {
        fail(&h, T0);
    }
    (h, T0.plus_ms(30_000))
}

#[test]
fn only_the_probe_ends_a_bench() {
    let h = ChannelHealth::default();
    let old = h.begin(T0);
    for _ in 0..4 {
        fail(&h, T0);
    }
    end(&h, OutcomeClass::Ok, old, T0.plus_ms(10));
    assert!(h.available(T0.plus_ms(10), true).is_err(), "it was sent before the bench");
    let late = h.begin(T0.plus_ms(20));
    assert!(!late, "the bench isn't over");

    let over = T0.plus_ms(30_000);
    let probe = h.begin(over);
    assert!(probe);
    let second = h.begin(over);
    assert!(!second, "two that were admitted together: one probes");
    assert_eq!(end(&h, OutcomeClass::ServerError, late, over), Verdict::Counted);
    assert!(h.available(over, true).is_err(), "the probe is still under way");
    end(&h, OutcomeClass::BadRequest, probe, over);
    assert!(h.available(over, true).is_ok(), "it answered");
    end(&h, OutcomeClass::ServerError, second, over);
    assert_eq!(h.view(over).in_flight, 0);
}

#[test]
fn a_probe_that_begins_to_answer_lets_the_others_in() {
    let (h, over) = benched();
    assert!(h.begin(over));
    assert!(h.available(over, true).is_err());
    h.answers(true, None, over);
    assert!(h.available(over, true).is_ok());
    assert!(!h.begin(over), "nothing is left to find out");
    let later = over.plus_ms(1_000);
    assert_eq!(end(&h, OutcomeClass::Broken, false, later), Verdict::Counted, "the first failure since");
}

#[test]
fn a_channel_that_came_back_has_its_tolerance_back() {
    let (h, over) = benched();
    let probe = h.begin(over);
    end(&h, OutcomeClass::Ok, probe, over);
    for _ in 0..3 {
        assert_eq!(fail(&h, over), Verdict::Counted);
    }
    assert_eq!(fail(&h, over), Verdict::Benched(over.plus_ms(30_000)));
}

#[test]
fn a_clock_that_goes_back_counts_no_failures_for_ever() {
    let h = ChannelHealth::default();
    fail(&h, T0);
    assert_eq!(fail(&h, T0.plus_ms(-5)), Verdict::Counted);
    assert_eq!(h.view(T0).failures, 2, "a few milliseconds are nothing");
    for at in 1..20 {
        assert_eq!(fail(&h, T0.plus_ms(-100_000 + at * 20_000)), Verdict::Counted, "at most three a minute");
    }
}

#[test]
fn a_probe_that_tells_nothing_lets_the_next_one_try() {
    for class in [OutcomeClass::ClientGone, OutcomeClass::Inexpressible, OutcomeClass::Denied] {
        let (h, over) = benched();
        let probe = h.begin(over);
        end(&h, class, probe, over);
        assert!(h.available(over, true).is_ok(), "{class:?}");
        assert!(h.begin(over), "{class:?}: still to be found out");
    }
    let (h, over) = benched();
    let probe = h.begin(over);
    h.cancel(probe);
    assert!(h.begin(over));
    assert!(h.available(over.plus_ms(59_999), true).is_err());
    assert!(h.available(over.plus_ms(60_000), true).is_ok(), "a probe that is lost blocks nobody for good");
}

fn with_keys(digests: &[u64]) -> ChannelHealth {
    let h = ChannelHealth::default();
    h.set_keys(digests);
    h
}

fn end_key(h: &ChannelHealth, digest: u64, class: OutcomeClass, since: Timestamp, now: Timestamp) -> Verdict {
    let after = (class == OutcomeClass::RateLimited).then_some(1);
    h.end_with_key(KeyUse { digest, since }, class, None, after, h.begin(now), TOLERANCE, now)
}

#[test]
fn a_refused_key_stays_out_whatever_ends_that_was_begun_before() {
    let h = with_keys(&[7, 8]);
    let news = |is_news| Verdict::KeyBroken { is_news, others_left: true };
    assert_eq!(end_key(&h, 7, OutcomeClass::Auth, T0, T0), news(true));
    assert_eq!(end_key(&h, 7, OutcomeClass::Auth, T0, T0.plus_ms(1)), news(false), "said once");
    assert_eq!(end_key(&h, 7, OutcomeClass::RateLimited, T0, T0.plus_ms(2)), Verdict::KeyRests);
    assert_eq!(end_key(&h, 7, OutcomeClass::Ok, T0, T0.plus_ms(3)), Verdict::Counted);
    let out_until = Some(T0.plus_ms(600_001));
    assert_eq!(h.keys(T0)[0], KeyView { key: 0, out_until, disabled: true });
    let back = T0.plus_ms(600_001);
    assert_eq!(end_key(&h, 7, OutcomeClass::Ok, back, back), Verdict::Counted);
    assert!(!h.keys(back)[0].disabled, "it was asked again and is well");
}

#[test]
fn what_is_known_of_a_key_goes_with_it_and_not_with_its_place() {
    let h = with_keys(&[7, 8]);
    end_key(&h, 7, OutcomeClass::Auth, T0, T0);
    h.set_keys(&[9, 7]);
    assert_eq!(h.keys(T0).iter().map(|key| key.disabled).collect::<Vec<_>>(), [false, true]);
    // An attempt that was planned when there were others.
    for draw in 0..8 {
        assert_eq!(h.pick_key(&[7, 8], Some(draw), T0), 1, "that one is out wherever it stands");
        assert!(h.pick_key(&[9], Some(draw), T0) < 1 && h.pick_key(&[9], None, T0) < 1);
        assert!(h.pick_key(&[1, 2, 3], None, T0) < 3);
    }
    let gone = end_key(&h, 8, OutcomeClass::Auth, T0, T0.plus_ms(1));
    assert_eq!(gone, Verdict::KeyBroken { is_news: false, others_left: true }, "it was replaced");
    assert_eq!(h.pick_key(&[9, 7], None, T0), 0);
    assert_eq!(end_key(&h, 9, OutcomeClass::Auth, T0, T0.plus_ms(2)), Verdict::Broken);
    h.set_keys(&[9, 7]);
    assert!(h.available(T0.plus_ms(3), true).is_err(), "a reload mends nothing");
    h.set_keys(&[10, 7]);
    assert!(h.available(T0.plus_ms(3), true).is_ok(), "another credential does");
}

#[test]
fn a_cooldown_of_zero_is_none() {
    let h = ChannelHealth::default();
    let never = Tolerance { allowed_fails: 0, cooldown_ms: 0, ..TOLERANCE };
    for retry_after in [None, Some(5_000)] {
        let probe = h.begin(T0);
        let verdict = h.end(OutcomeClass::RateLimited, None, retry_after, probe, never, T0);
        assert_eq!(verdict, Verdict::Counted);
    }
}

#[test]
fn an_answered_check_ends_a_bench_at_once_and_a_failed_one_only_what_is_half_open() {
    let health = ChannelHealth::default();
    assert!(health.to_check(false, T0).is_empty(), "it is well");
    assert_eq!(*health.to_check(true, T0), [0]);
    for _ in 0..4 {
        health.begin(T0);
        health.end(OutcomeClass::ServerError, None, None, false, TOLERANCE, T0);
    }
    assert_eq!(*health.to_check(false, T0), [0]);
    let until = health.available(T0, false).unwrap_err().1;
    let check = |class, at| health.checked(0, class, None, TOLERANCE, at);
    // While it is benched a failure is no news.
    assert_eq!(check(OutcomeClass::Timeout, T0), (Checked::Same, Verdict::Counted));
    assert_eq!(health.available(T0, false).unwrap_err().1, until);
    // Half open it benches again, for twice as long, and no call had to find out.
    assert_eq!(*health.to_check(false, until), [0]);
    let again = until.plus_ms(60_000);
    assert_eq!(check(OutcomeClass::Timeout, until), (Checked::Out, Verdict::Benched(again)));
    // An answer, even a refusal of the request, ends it before its time, and nothing counts any more.
    assert_eq!(check(OutcomeClass::BadRequest, until.plus_ms(1)), (Checked::Back, Verdict::Counted));
    let view = health.available(until.plus_ms(1), false).unwrap();
    assert_eq!((view.failures, view.in_flight), (0, 0));
    assert!(health.to_check(false, until.plus_ms(1)).is_empty());
}

#[test]
fn a_check_of_a_well_channel_counts_like_a_call_and_leaves_a_calls_probe_alone() {
    let health = ChannelHealth::default();
    for _ in 0..3 {
        assert_eq!(health.checked(0, OutcomeClass::Timeout, None, TOLERANCE, T0).0, Checked::Same);
    }
    let until = T0.plus_ms(30_000);
    let out = health.checked(0, OutcomeClass::Timeout, None, TOLERANCE, T0);
    assert_eq!(out, (Checked::Out, Verdict::Benched(until)));
    assert!(health.begin(until), "a call finds out");
    let meanwhile = health.checked(0, OutcomeClass::Timeout, None, TOLERANCE, until);
    assert_eq!(meanwhile, (Checked::Same, Verdict::Counted));
    assert!(health.available(until, false).is_err(), "others wait for the call");
}

#[test]
fn keys_that_are_out_are_checked_alone() {
    let health = ChannelHealth::default();
    health.set_keys(&[5, 6, 7]);
    let used = |digest| KeyUse { digest, since: T0 };
    health.end_with_key(used(6), OutcomeClass::Auth, None, None, false, TOLERANCE, T0);
    health.end_with_key(used(7), OutcomeClass::RateLimited, None, None, false, TOLERANCE, T0);
    assert_eq!(*health.to_check(false, T0), [1, 2]);
    assert_eq!(*health.to_check(true, T0), [1, 2, 0]);
    let check = |key, class| health.checked(key, class, None, TOLERANCE, T0);
    assert_eq!(check(1, OutcomeClass::Auth), (Checked::Same, Verdict::Counted));
    assert_eq!(check(1, OutcomeClass::Ok), (Checked::KeyBack, Verdict::Counted));
    assert_eq!(check(2, OutcomeClass::RateLimited), (Checked::Out, Verdict::KeyRests));
    assert_eq!(*health.to_check(false, T0), [2]);
    // A refused credential is mended by whoever mends it upstream: a check finds out.
    let alone = ChannelHealth::default();
    alone.begin(T0);
    assert_eq!(alone.end(OutcomeClass::Auth, None, None, false, TOLERANCE, T0), Verdict::Broken);
    assert_eq!(alone.checked(0, OutcomeClass::Ok, None, TOLERANCE, T0).0, Checked::Back);
    assert!(alone.available(T0, false).is_ok());
}

#[test]
fn a_busy_channel_bears_a_small_share_of_failures() {
    let busy = Tolerance { failure_min_percent: 10, ..TOLERANCE };
    let health = ChannelHealth::default();
    let end = |class| health.end(class, None, None, false, busy, T0);
    for _ in 0..90 {
        end(OutcomeClass::Ok);
    }
    for _ in 0..10 {
        assert_eq!(end(OutcomeClass::ServerError), Verdict::Counted);
    }
    assert!(matches!(end(OutcomeClass::ServerError), Verdict::Benched(_)), "11 of 101");
    // One that nobody else asked is out by the number alone.
    let quiet = ChannelHealth::default();
    let end = |class| quiet.end(class, None, None, false, busy, T0);
    for _ in 0..3 {
        assert_eq!(end(OutcomeClass::ServerError), Verdict::Counted);
    }
    assert!(matches!(end(OutcomeClass::ServerError), Verdict::Benched(_)));
}
