use proptest::prelude::*;

use super::frame::{self, Read};
use super::varint::{Reader, put, put_signed};
use super::*;
use crate::call::Format;
use crate::decision::OutcomeClass;
use crate::ledger::Amounts;
use crate::limit::{Metric, Scope, ScopeKind, Window};
use crate::price::{Currency, Exchange, ServiceTier};
use crate::time::Timestamp;
use crate::usage::{Usage, UsageSource};

fn key(id: &str) -> CounterKey {
    CounterKey {
        scope: Scope::new(ScopeKind::Key, id),
        metric: Metric::TotalTokens,
        window: Window::Day,
        model: None,
    }
}

fn hold(cell: u32, amount: i64) -> Hold {
    Hold { cell, start: 900, amount, of_channel: cell == 1 }
}

fn effect(cell: u32, amount: i64) -> Effect {
    Effect { cell, start: 900, amount }
}

/// A segment of these events, numbered from `first`.
fn segment(first: u64, events: &[Event<'_>]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (event, seq) in events.iter().zip(first..) {
        event.put(seq, &mut out);
    }
    out
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// Head, two reservations, one of which is settled, a record, a mark, and a last reservation.
fn events() -> Vec<Event<'static>> {
    vec![
        Event::Segment { journal: JournalId(3), at: at(1_000) },
        Event::Ready,
        Event::Counter { cell: 0, key: key("a") },
        Event::Counter { cell: 1, key: key("b") },
        Event::Reserve {
            id: 1,
            at: at(1_001),
            call: "one",
            holds: vec![hold(0, 10), hold(1, 20)],
            settled: vec![],
            attempt: &[],
        },
        Event::Reserve {
            id: 2,
            at: at(1_002),
            call: "two",
            holds: vec![hold(0, 5)],
            settled: vec![effect(1, 1)],
            attempt: &[],
        },
        Event::Settle { id: 1, settled: vec![effect(0, 7), effect(1, 14)], ending: None },
        Event::Record { call: "one", json: b"{\"call\":\"one\"}" },
        Event::Durable { before: 8 },
        Event::Reserve {
            id: 3,
            at: at(1_003),
            call: "three",
            holds: vec![hold(1, 2)],
            settled: vec![],
            attempt: &[],
        },
    ]
}

fn read(segments: &[Vec<u8>], from: u64) -> Result<(Recovered, Vec<SegmentEnd>, Vec<String>), Flaw> {
    let (mut replay, mut ends, mut records) = (Replay::new(from), Vec::new(), Vec::new());
    for bytes in segments {
        let record = &mut |json: &[u8]| records.push(String::from_utf8_lossy(json).into_owned());
        ends.push(replay.segment(bytes, record)?);
    }
    Ok((replay.finish(), ends, records))
}

fn settled(recovered: &Recovered) -> Vec<(&str, i64)> {
    recovered.settled.iter().map(|(key, _, amount)| (&*key.scope.id, *amount)).collect()
}

fn calls(recovered: &Recovered) -> Vec<&str> {
    recovered.open.iter().map(|open| open.call.as_str()).collect()
}

#[test]
fn what_was_written_is_read() {
    let (recovered, ends, records) = read(&[segment(40, &events())], 40).unwrap();
    assert_eq!(ends, [SegmentEnd::Whole]);
    assert_eq!(recovered.next, 50);
    assert_eq!(settled(&recovered), [("a", 7), ("b", 15)]);
    assert_eq!(calls(&recovered), ["two", "three"]);
    assert_eq!(records, ["{\"call\":\"one\"}"]);
}

#[test]
fn what_the_database_has_is_not_counted_again() {
    let (recovered, _, records) = read(&[segment(40, &events())], 46).unwrap();
    assert_eq!(settled(&recovered), [("a", 7), ("b", 14)]);
    assert_eq!(calls(&recovered), ["two", "three"], "reservations are followed all the same");
    assert_eq!(records.len(), 1);
    let (recovered, _, records) = read(&[segment(40, &events())], 50).unwrap();
    assert_eq!((settled(&recovered), records.len()), (vec![], 0));
    let (recovered, ..) = read(&[segment(40, &events())], 99).unwrap();
    assert_eq!(recovered.next, 99, "numbers are never used twice");
}

#[test]
fn zeros_behind_the_last_event_are_its_end() {
    let mut bytes = segment(40, &events());
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(read(&[bytes], 40).unwrap().1, [SegmentEnd::Whole]);
}

#[test]
fn a_head_that_is_not_whole_counts_as_not_there() {
    let whole = segment(40, &events());
    let head = [
        Event::Segment { journal: JournalId(3), at: at(2_000) },
        Event::Counter { cell: 0, key: key("a") },
        Event::Open {
            id: 2,
            at: at(1_002),
            held: false,
            call: "two",
            holds: vec![hold(0, 5)],
            attempt: &[],
            class: None,
            recorded: false,
        },
        Event::Ready,
    ];
    let new = segment(50, &head);
    let (recovered, ends, _) = read(&[whole.clone(), new.clone()], 40).unwrap();
    assert_eq!((calls(&recovered), ends[1]), (vec!["two"], SegmentEnd::Whole), "the head says what is open");
    for cut in 0..new.len() - 1 {
        let (recovered, ends, _) = read(&[whole.clone(), new[..cut].to_vec()], 40).unwrap();
        assert_eq!((calls(&recovered), ends[1]), (vec!["two", "three"], SegmentEnd::Unborn), "{cut}");
    }
}

#[test]
fn a_torn_end_is_cut_wherever_it_tears() {
    let whole = segment(40, &events());
    for cut in segment(40, &events()[..2]).len()..whole.len() {
        let (recovered, ends, _) = read(&[whole[..cut].to_vec()], 40).unwrap();
        assert!(matches!(ends[0], SegmentEnd::Whole | SegmentEnd::Torn { .. }), "{cut}: {ends:?}");
        assert!(recovered.next < 50, "{cut}");
        // What comes next goes on with the number that was torn.
        let next =
            segment(recovered.next, &[Event::Segment { journal: JournalId(3), at: at(5) }, Event::Ready]);
        assert!(read(&[whole[..cut].to_vec(), next], 40).is_ok(), "{cut}");
    }
}

#[test]
fn damage_below_a_durable_mark_is_refused_and_above_it_is_a_torn_end() {
    let whole = segment(40, &events());
    let place = |n: usize| segment(40, &events()[..n]).len();
    // The mark, event 48, says that everything before 48 - that is 40 to 47 - had reached the disk... here before 8.
    let mut marked = events();
    marked[8] = Event::Durable { before: 47 };
    let bytes = segment(40, &marked);
    for at in place(4)..place(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(read(&[damaged], 40), Err(Flaw::Damaged { .. } | Flaw::Unknown { .. })), "{at}");
    }
    for at in place(7)..place(8) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(read(&[damaged], 40).unwrap().1[0], SegmentEnd::Torn { .. }), "{at}");
    }
    let mut damaged = whole.clone();
    damaged[place(5)] ^= 1;
    assert!(read(&[damaged], 40).is_ok(), "its mark only covers numbers below 8");
}

#[test]
fn salvaging_reads_on_and_counts_what_is_missing() {
    let mut bytes = segment(40, &events());
    let place = |n: usize| segment(40, &events()[..n]).len();
    bytes[place(5) + 9] ^= 1;
    let mut replay = Replay::new(40).salvaging();
    let end = replay.segment(&bytes, &mut |_| {}).unwrap();
    assert_eq!(end, SegmentEnd::Salvaged { bytes: place(6) - place(5) });
    let recovered = replay.finish();
    assert_eq!((recovered.missing, recovered.next), (1, 50));
    assert_eq!(settled(&recovered), [("a", 7), ("b", 14)]);
    assert_eq!(calls(&recovered), ["three"], "the second reservation is the one that is missing");
}

#[test]
fn a_frame_is_found_behind_zeros_whatever_its_length() {
    for len in [1, 255, 256, 4_096, 65_536] {
        let mut bytes = vec![0; 100];
        frame::put(&mut bytes, |out| out.resize(out.len() + len, 7));
        let found = frame::find(&bytes, 3).map(|(at, payload)| (at, payload.len()));
        assert_eq!(found, Some((100, len)));
    }
    assert_eq!(frame::find(&[0; 50], 0), None);
}

#[test]
fn gaps_and_foreign_segments_are_refused() {
    let head =
        |journal| segment(60, &[Event::Segment { journal: JournalId(journal), at: at(5) }, Event::Ready]);
    let whole = segment(40, &events());
    let gap = |expected, found| Err(Flaw::Gap { expected, found });
    assert_eq!(read(&[whole.clone(), head(3)], 40).map(|_| ()), gap(50, 60));
    assert_eq!(read(&[whole.clone(), head(3)], 60).unwrap().0.next, 62, "the database has what is missing");
    assert_eq!(read(&[whole.clone(), head(4)], 40).map(|_| ()), Err(Flaw::Foreign(JournalId(4))));
    assert_eq!(read(&[head(3)], 40).map(|_| ()), gap(40, 60), "older than the database");
    // A damaged head in front of what came after it is no segment in the making.
    let mut damaged = whole.clone();
    damaged[MAGIC.len() + 3] ^= 1;
    assert_eq!(read(&[damaged], 40).map(|_| ()), Err(Flaw::NotASegment));
    let mut foreign = vec![7; 10_000];
    assert_eq!(read(&[foreign.clone()], 40).map(|_| ()), Err(Flaw::NotASegment), "nobody began this");
    foreign.fill(0);
    assert!(read(&[foreign], 40).is_ok(), "nothing of it was written yet");
    let unborn = head(3)[..MAGIC.len() + 5].to_vec();
    assert_eq!(
        read(&[whole.clone(), unborn.clone(), unborn], 40).unwrap().0.next,
        50,
        "two starts ended early"
    );
}

/// An attempt of a key's, at 1,001 ms.
fn facts(number: u32) -> AttemptFacts<'static> {
    AttemptFacts {
        number,
        admitted_at: at(990),
        format: Format::AnthropicMessages,
        stream: true,
        requested: "m",
        organization: "o",
        key: Some("k"),
        user: None,
        group: Some(""),
        customer: Some("café"),
        tags: [&[], &[]],
        seed: u64::MAX,
        snapshot: 3,
        input_bound: None,
        input_estimate: 9,
        max_output: Some(0),
        choices: 2,
        price_ratio_ppm: 500_000,
        channel: "ch",
        model: "m",
        upstream_model: "m-1",
        ceiling: Some(50),
        bound: Amounts { input_tokens: 10, output_tokens: 100, spend: 1_000 },
        bound_cost: 2_000,
        priced: true,
    }
}

fn ending(spend: i64) -> Ending {
    Ending {
        class: OutcomeClass::Ok,
        status: Some(200),
        usage: Usage { input_uncached: 7, output_visible: 300, audio_out: 1, ..Usage::default() },
        service_tier: None,
        exchange: None,
        source: UsageSource::Reported,
        spend,
        cost: spend * 2,
        at: at(1_500),
    }
}

fn attempt(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    facts(number).put(at(1_001), &mut out);
    out
}

#[test]
fn an_attempt_is_read_as_it_was_written() {
    let (own, keys) = (["a".to_owned(), "b".to_owned()], ["b".to_owned(), "c".to_owned()]);
    let mut out = Vec::new();
    AttemptFacts { tags: [&own, &keys], ..facts(2) }.put(at(1_001), &mut out);
    let tried = Tried::read(&out).unwrap();
    assert_eq!(tried.tags.as_slice(), ["a", "b", "c"], "a tag in both is one");
    let names = [tried.requested.as_str(), tried.model.as_str(), tried.upstream_model.as_str()];
    assert_eq!(names, ["m", "m", "m-1"]);
    assert_eq!((tried.started_at, tried.admitted_at), (at(1_001), at(990)));
    assert_eq!((tried.user.is_none(), tried.group, tried.max_output), (true, Some("".into()), Some(0)));
    let mut again = Vec::new();
    let tried = Tried::read(&out).unwrap();
    tried.facts().put(tried.started_at, &mut again);
    assert_eq!(out, again);
    for cut in 0..out.len() {
        assert_eq!(Tried::read(&out[..cut]), None, "{cut}");
    }
}

/// What is written down of calls whose process ended at any moment of theirs.
#[test]
fn a_call_that_was_charged_is_recorded_whenever_its_process_ends() {
    let (first, second) = (attempt(1), attempt(2));
    let reserve = |id, attempt| Event::Reserve {
        id,
        at: at(1_001),
        call: "c",
        holds: vec![hold(0, 10)],
        settled: vec![],
        attempt,
    };
    let settle = |id, spend| Event::Settle { id, settled: vec![effect(0, 5)], ending: Some(ending(spend)) };
    let held = |id| Event::Hold { id, at: at(1_400), class: Some(OutcomeClass::Broken) };
    let recorded = |call| Event::Record { call, json: b"{}" };
    let again = Event::Ended { call: "c", attempt: &first, ending: ending(40), amends: false };
    let open = |recorded| Event::Open {
        id: 7,
        at: at(1_400),
        held: true,
        call: "c",
        holds: vec![hold(0, 10)],
        attempt: &second,
        class: None,
        recorded,
    };
    let head = Event::Segment { journal: JournalId(3), at: at(1_000) };
    let counter = Event::Counter { cell: 0, key: key("a") };
    /// Whose record it is; what it cost, and how many of its attempts are held.
    type Told = Option<(&'static str, i64, usize)>;
    let cases: Vec<(&str, Vec<Event<'_>>, Told)> = vec![
        ("under way", vec![reserve(1, &first)], Some(("c", 0, 1))),
        ("settled", vec![reserve(1, &first), settle(1, 40)], Some(("c", 40, 0))),
        ("recorded", vec![reserve(1, &first), settle(1, 40), recorded("c")], None),
        ("held", vec![reserve(1, &first), held(1)], Some(("c", 0, 1))),
        ("held and recorded", vec![reserve(1, &first), held(1), recorded("c")], None),
        (
            "tried again",
            vec![reserve(1, &first), settle(1, 40), reserve(2, &second), settle(2, 2)],
            Some(("c", 42, 0)),
        ),
        (
            "being tried again",
            vec![reserve(1, &first), settle(1, 40), reserve(2, &second)],
            Some(("c", 40, 1)),
        ),
        ("reconciled", vec![reserve(2, &second), held(2), recorded("c"), settle(2, 9)], Some(("c~2", 9, 0))),
        (
            "reconciled and amended",
            vec![reserve(2, &second), held(2), recorded("c"), settle(2, 9), recorded("c~2")],
            None,
        ),
    ];
    for (what, events, want) in &cases {
        let mut all = vec![head.clone(), Event::Ready, counter.clone()];
        all.extend(events.iter().cloned());
        let (recovered, ..) = read(&[segment(40, &all)], 40).unwrap();
        let got: Vec<_> = recovered
            .unrecorded
            .iter()
            .map(|it| {
                let held = it.attempts.iter().filter(|attempt| attempt.held).count();
                (it.call.as_str(), it.spend, held)
            })
            .collect();
        assert_eq!(got, want.iter().copied().collect::<Vec<_>>(), "{what}");
        for record in &recovered.unrecorded {
            let is_amendment = record.amends.as_ref().is_some_and(|call| call.as_str() == "c");
            assert_eq!(is_amendment, record.call.as_str() == "c~2", "{what}");
            assert_eq!(record.error.as_deref(), (!is_amendment).then_some(INTERRUPTED), "{what}");
        }
        // What the database already counts is recorded all the same.
        let (known, ..) = read(&[segment(40, &all)], 60).unwrap();
        assert_eq!(known.unrecorded, recovered.unrecorded, "{what}");
    }
    // A new segment tells them anew, and the one before isn't needed.
    for (events, want) in [
        (vec![again.clone(), open(false)], vec![("c", 40, 2)]),
        (vec![again, open(true)], vec![("c", 40, 1)]),
        (vec![open(true)], vec![]),
    ] {
        let mut all = vec![head.clone(), counter.clone()];
        all.extend(events);
        all.push(Event::Ready);
        let (recovered, ..) = read(&[segment(40, &all)], 40).unwrap();
        let got: Vec<_> =
            recovered.unrecorded.iter().map(|it| (it.call.as_str(), it.spend, it.attempts.len())).collect();
        assert_eq!(got, want);
    }
    // Salvaged, a call whose record is damaged is still told, though no head lists it any more.
    let all = [head.clone(), Event::Ready, counter, reserve(1, &first), settle(1, 40), recorded("c")];
    let mut bytes = segment(40, &all);
    *bytes.last_mut().unwrap() ^= 1;
    for (records, want) in [(vec![], vec![("c", 40)]), (vec![recorded("c")], vec![])] {
        let mut next = vec![head.clone(), Event::Ready];
        next.extend(records);
        let mut replay = Replay::new(40).salvaging();
        for segment in [&bytes, &segment(46, &next)] {
            replay.segment(segment, &mut |_| {}).unwrap();
        }
        let recovered = replay.finish();
        let got: Vec<_> = recovered.unrecorded.iter().map(|it| (it.call.as_str(), it.spend)).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn what_few_endings_have_comes_back() {
    let usage = Usage { input_uncached: 7, image_in: 300, image_out: 2, searches: 1, ..Usage::default() };
    let exchange = Some(Exchange { currency: Currency::CNY, per_usd_ppm: 7_120_000 });
    let plain = ending(5);
    let tiers = [None, Some(ServiceTier::Flex), Some(ServiceTier::Ultrafast)];
    let rare = tiers.into_iter().map(|service_tier| Ending { usage, service_tier, exchange, ..plain });
    for ending in rare.chain([Ending { service_tier: Some(ServiceTier::Priority), ..plain }, plain]) {
        let event = Event::Settle { id: 3, settled: vec![], ending: Some(ending) };
        let mut out = Vec::new();
        event.put(1, &mut out);
        let Read::Frame(payload, _) = frame::read(&out, 0) else { panic!("a frame") };
        assert_eq!(Event::read(payload), Some((1, event)));
    }
}

#[test]
fn what_the_version_before_wrote_is_read() {
    let whole = segment(40, &events());
    // Its events lacked what they now have at their end, and a record its call's id.
    let mut old = frame::MAGIC_1.to_vec();
    for (event, seq) in events().iter().zip(40..) {
        let mut framed = Vec::new();
        event.put(seq, &mut framed);
        let Read::Frame(payload, _) = frame::read(&framed, 0) else { panic!("a frame") };
        frame::put(&mut old, |out| match event {
            Event::Reserve { .. } => out.extend_from_slice(&payload[..payload.len() - 1]),
            Event::Record { json, .. } => {
                out.push(10);
                put(out, seq);
                out.extend_from_slice(json);
            }
            _ => out.extend_from_slice(payload),
        });
    }
    assert_eq!(read(&[old], 40).unwrap(), read(std::slice::from_ref(&whole), 40).unwrap());
    let mut newer = whole;
    newer[7] = b'9';
    assert_eq!(read(&[newer], 40).map(|_| ()), Err(Flaw::OtherVersion));
}

proptest! {
    #[test]
    fn numbers_come_back(n in any::<u64>(), signed in any::<i64>()) {
        let mut out = Vec::new();
        put(&mut out, n);
        put_signed(&mut out, signed);
        let mut from = Reader(&out);
        prop_assert_eq!((from.number(), from.signed()), (Some(n), Some(signed)));
        prop_assert!(from.is_empty());
    }

    #[test]
    fn holds_come_back_whatever_their_windows(start in any::<i64>(), now in any::<i64>(), amount in any::<i64>(), cell in any::<u32>()) {
        let holds = vec![Hold { cell, start, amount, of_channel: true }];
        let event = Event::Reserve { id: u64::MAX, at: at(now), call: "c", holds, settled: vec![], attempt: b"a" };
        let mut out = Vec::new();
        event.put(1, &mut out);
        let Read::Frame(payload, end) = frame::read(&out, 0) else { panic!("a frame") };
        prop_assert_eq!(end, out.len());
        prop_assert_eq!(Event::read(payload), Some((1, event)));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400usize, salvage in any::<bool>()) {
        let mut whole = segment(40, &events());
        whole.truncate(cut);
        whole.append(&mut bytes);
        let replay = Replay::new(40);
        let mut replay = if salvage { replay.salvaging() } else { replay };
        let end = replay.segment(&whole, &mut |_| {});
        prop_assert!(!salvage || end.is_ok());
        replay.finish();
    }
}
