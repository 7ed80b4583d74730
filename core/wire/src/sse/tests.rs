use super::*;
use proptest::prelude::*;

type Event = (Option<Vec<u8>>, Vec<u8>);

fn events(chunks: &[&[u8]]) -> (Vec<Event>, Vec<u8>) {
    let mut splitter = Splitter::default();
    let (mut events, mut raw) = (Vec::new(), Vec::new());
    let mut read = |frame: &[u8]| {
        let fields = fields(frame);
        if let Some(data) = fields.data {
            events.push((fields.event.map(<[u8]>::to_vec), data.into_owned()));
        }
    };
    for chunk in chunks {
        raw.extend_from_slice(
            &splitter.feed(Bytes::copy_from_slice(chunk), |data, range| read(&data[range])).unwrap(),
        );
    }
    let last = splitter.finish();
    read(&last);
    raw.extend_from_slice(&last);
    (events, raw)
}

fn event(name: Option<&str>, data: &str) -> Event {
    (name.map(|n| n.as_bytes().to_vec()), data.as_bytes().to_vec())
}

#[test]
fn all_line_ends_comments_joins_and_a_missing_last_blank_line() {
    for eol in ["\n", "\r\n", "\r"] {
        let text = [
            "\u{feff}data: first",
            "",
            ": comment",
            "",
            "event: x",
            "data:no space",
            "data: second line",
            "id: 7",
            "",
            "",
            "data",
            "",
            "datum: ignored",
            "",
            "data: tail",
        ]
        .join(eol);
        let want = vec![
            event(None, "first"),
            event(Some("x"), "no space\nsecond line"),
            event(None, ""),
            event(None, "tail"),
        ];
        assert_eq!(events(&[text.as_bytes()]).0, want, "{eol:?}");
    }
}

#[test]
fn a_chunk_of_whole_frames_passes_without_a_copy() {
    let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
    let mut splitter = Splitter::default();
    let mut count = 0;
    let whole = splitter.feed(chunk.clone(), |_, _| count += 1).unwrap();
    assert_eq!((count, whole.as_ptr(), whole.len()), (2, chunk.as_ptr(), chunk.len()));
}

#[test]
fn a_frame_beyond_the_bound_is_refused() {
    let mut splitter = Splitter::new(10);
    assert!(splitter.feed(Bytes::from_static(b"data: 12"), |_, _| ()).is_ok());
    assert_eq!(splitter.feed(Bytes::from_static(b"345"), |_, _| ()), Err(FrameTooLarge { max: 10 }));
}

#[test]
fn a_frame_that_is_left_out_is_held_no_longer_and_those_behind_it_are_seen() {
    let long = "x".repeat(40);
    for eol in ["\n", "\r\n", "\r"] {
        let text = format!(
            "data: 1{eol}{eol}data: {long}{eol}data: {long}{eol}{eol}data: 2{eol}{eol}data: 3{eol}{eol}"
        );
        for size in 1..12 {
            let mut splitter = Splitter::new(20);
            let mut seen = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                splitter.feed_within(Bytes::copy_from_slice(chunk), |data, range| {
                    let data = fields(data.get(range).unwrap()).data.map(|data| data.into_owned());
                    seen.extend(data);
                });
                assert!(splitter.carry.len() <= 20 && splitter.carry.capacity() < 80, "{eol:?} {size}");
            }
            assert_eq!(seen, [b"1", b"2", b"3"], "{eol:?} {size}");
        }
    }
    // One that never ends is nothing.
    let mut splitter = Splitter::new(4);
    splitter.feed_within(Bytes::from_static(b"data: 12"), |_, _| ());
    assert_eq!(splitter.finish(), "");
}

#[test]
fn a_written_frame_reads_back() {
    let mut out = String::new();
    write_frame(&mut out, Some("e"), "a\nb");
    assert_eq!(out, "event: e\ndata: a\ndata: b\n\n");
    assert_eq!(events(&[out.as_bytes()]).0, vec![event(Some("e"), "a\nb")]);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events_and_bytes(
        lines in proptest::collection::vec("(data: ?[a-zé]{0,4}|event: [a-z]{1,3}|: c|)", 0..12),
        eols in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 12),
        cuts in proptest::collection::vec(0usize..80, 0..6),
    ) {
        let text: String = lines.iter().zip(&eols).map(|(line, eol)| format!("{line}{eol}")).collect();
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&bytes[from..cut]);
            from = cut;
        }
        chunks.push(&bytes[from..]);
        let (split, raw) = events(&chunks);
        prop_assert_eq!(&split, &events(&[bytes]).0);
        prop_assert_eq!(raw, bytes);
    }
}
