use proptest::prelude::*;

use super::frame::{self, Read};
use super::varint::{Reader, put, put_signed};
use super::*;
use crate::limit::{Metric, Scope, ScopeKind, Window};
use crate::time::Timestamp;

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
        },
        Event::Reserve {
            id: 2,
            at: at(1_002),
            call: "two",
            holds: vec![hold(0, 5)],
            settled: vec![effect(1, 1)],
        },
        Event::Settle { id: 1, settled: vec![effect(0, 7), effect(1, 14)] },
        Event::Record(b"{\"call\":\"one\"}"),
        Event::Durable { before: 8 },
        Event::Reserve { id: 3, at: at(1_003), call: "three", holds: vec![hold(1, 2)], settled: vec![] },
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
        Event::Open { id: 2, at: at(1_002), held: false, call: "two", holds: vec![hold(0, 5)] },
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
    let unborn = head(3)[..MAGIC.len() + 5].to_vec();
    assert_eq!(
        read(&[whole.clone(), unborn.clone(), unborn], 40).unwrap().0.next,
        50,
        "two starts ended early"
    );
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
        let event = Event::Reserve { id: u64::MAX, at: at(now), call: "c", holds, settled: vec![] };
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
