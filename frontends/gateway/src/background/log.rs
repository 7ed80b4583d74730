//! The events of a response that is worked on in the background: whoever lost its stream takes it up again behind a number.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sluicegate_wire::{NumberedEvent, Numbering};
use tokio::sync::watch;

/// No more bytes of events are held for one response: the oldest go.
// BOUND: memory of a response, whoever reads along.
const LOG_MAX: u64 = 8 << 20;
/// So many bytes are handed on at a time.
const GATHER_BYTES: usize = 32 * 1024;

/// Asks for room for so many bytes more, or gives so many back.
pub(super) trait Room {
    fn take(&self, bytes: u64) -> bool;
    fn give_back(&self, bytes: u64);
}

/// Where a reader is: at an event, and so many bytes into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) event: u64,
    pub(crate) byte: usize,
}

impl Place {
    /// At the beginning of an event.
    pub(crate) fn at(event: u64) -> Self {
        Self { event, byte: 0 }
    }
}

/// The events so far, the oldest of which may be gone.
pub(crate) struct Log {
    state: Mutex<State>,
    /// Wakes whoever reads along.
    told: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    numbering: Numbering,
    /// The number of the oldest that is held.
    first: u64,
    held: VecDeque<Bytes>,
    bytes: u64,
    /// It has had its last event, such as `response.completed`.
    ended: bool,
    /// Nothing will come any more.
    over: bool,
    /// None of them is held any more.
    forgotten: bool,
    /// What an `error` event said, as its code and message.
    error: Option<(String, String)>,
}

/// What there is from a place on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Of events so much, and where it goes on. A copy: whoever doesn't read on holds no event.
    Events(Bytes, Place),
    /// Nothing yet.
    Wait,
    /// Nothing, for ever.
    Over,
    /// The events before this number are gone.
    Gone(u64),
    /// All are gone, those that come before the end too.
    Forgotten,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), told: watch::Sender::new(()) }
    }

    /// Takes bytes of the stream.
    pub(super) fn push(&self, bytes: Bytes, room: &dyn Room) {
        self.unless_over(|state| {
            let mut numbering = std::mem::take(&mut state.numbering);
            numbering.push(bytes, |event| state.add(&event, room));
            state.numbering = numbering;
        });
    }

    /// Adds an event of our own, which holds the response as it stands.
    pub(super) fn say(&self, kind: &str, response: &str, room: &dyn Room) {
        self.unless_over(|state| {
            let event = state.numbering.own(kind, response);
            state.add(&event, room);
        });
    }

    /// Adds something and tells readers, unless nothing may come any more.
    fn unless_over(&self, add: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        if state.over {
            return;
        }
        add(&mut state);
        drop(state);
        self.told.send_replace(());
    }

    /// Nothing will come any more; how many bytes are held.
    pub(super) fn close(&self) -> u64 {
        let mut state = self.state.lock();
        state.over = true;
        let bytes = state.bytes;
        drop(state);
        self.told.send_replace(());
        bytes
    }

    /// Lets go of all events, whoever still reads them: readers are told, and end.
    // INVARIANT: the lock of a log that is over is held by nobody who waits for room, since nothing is added to it. So this may be
    // called by whoever holds the lock that room is taken under.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        let held = std::mem::take(&mut state.held);
        state.first += held.len() as u64;
        (state.bytes, state.over, state.forgotten) = (0, true, true);
        drop(state);
        self.told.send_replace(());
    }

    /// Whether its last event is there.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// What went wrong with the stream, as code and message.
    pub(super) fn error(&self) -> Option<(String, String)> {
        self.state.lock().error.clone()
    }

    /// What there is from this place on.
    pub(crate) fn read(&self, from: Place) -> Read {
        let state = self.state.lock();
        if from.event < state.first {
            return if state.forgotten { Read::Forgotten } else { Read::Gone(state.first) };
        }
        let at = usize::try_from(from.event - state.first).unwrap_or(usize::MAX);
        let (mut events, mut next) = (BytesMut::new(), from);
        for event in state.held.iter().skip(at) {
            let rest = event.get(next.byte..).unwrap_or_default();
            let piece = rest.get(..GATHER_BYTES - events.len()).unwrap_or(rest);
            events.extend_from_slice(piece);
            if piece.len() < rest.len() {
                next.byte += piece.len();
                break;
            }
            next = Place::at(next.event + 1);
        }
        match (next == from, state.over) {
            (false, _) => Read::Events(events.freeze(), next),
            (true, true) => Read::Over,
            (true, false) => Read::Wait,
        }
    }

    /// Whoever reads along, to be told when there is more.
    pub(crate) fn reader(&self) -> watch::Receiver<()> {
        self.told.subscribe()
    }
}

impl State {
    fn add(&mut self, event: &NumberedEvent, room: &dyn Room) {
        match event.kind.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" => self.ended = true,
            "error" => self.error = Some(told(&event.data)),
            _ => {}
        }
        let frame = event.frame();
        let size = frame.len() as u64;
        // BOUND: each turn lets go of an event.
        while self.bytes.saturating_add(size) > LOG_MAX || !room.take(size) {
            let Some(oldest) = self.held.pop_front() else {
                // There is no room even for this alone.
                self.first = event.number + 1;
                return;
            };
            self.first += 1;
            self.bytes -= oldest.len() as u64;
            room.give_back(oldest.len() as u64);
        }
        self.bytes += size;
        self.held.push_back(frame);
    }
}

fn told(event: &str) -> (String, String) {
    let said: serde_json::Value = serde_json::from_str(event).unwrap_or_default();
    let said = said.get("error").filter(|error| error.is_object()).unwrap_or(&said);
    let text = |name| said.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "server_error".to_owned());
    (code, text("message").unwrap_or_else(|| "the upstream broke the answer off".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Room for so many bytes.
    struct Bytes64(Cell<u64>);

    impl Room for Bytes64 {
        fn take(&self, bytes: u64) -> bool {
            let left = self.0.get().checked_sub(bytes);
            left.inspect(|left| self.0.set(*left)).is_some()
        }

        fn give_back(&self, bytes: u64) {
            self.0.set(self.0.get() + bytes);
        }
    }

    fn delta(text: &str) -> Bytes {
        Bytes::from(format!("data: {{\"type\":\"d\",\"delta\":\"{text}\"}}\n\n"))
    }

    fn texts(read: Read) -> String {
        match read {
            Read::Events(events, next) => {
                let events = String::from_utf8(events.to_vec()).unwrap();
                let numbers = events.matches("\"sequence_number\":").count();
                format!("{numbers} to {}", next.event)
            }
            other => format!("{other:?}"),
        }
    }

    fn read(log: &Log, from: u64) -> Read {
        log.read(Place::at(from))
    }

    #[test]
    fn a_stream_is_taken_up_again_behind_a_number() {
        let (log, room) = (Log::new(), Bytes64(Cell::new(100_000)));
        log.say("response.created", "{}", &room);
        assert_eq!((texts(read(&log, 0)), texts(read(&log, 1))), ("1 to 1".to_owned(), "Wait".to_owned()));
        for text in ["a", "b", "c"] {
            log.push(delta(text), &room);
        }
        assert!(!log.has_ended());
        log.say("response.completed", "{}", &room);
        let held = log.close();
        assert!(log.has_ended() && held == 100_000 - room.0.get(), "{held}");
        for (from, want) in [(0, "5 to 5"), (2, "3 to 5"), (4, "1 to 5"), (5, "Over"), (u64::MAX, "Over")] {
            assert_eq!(texts(read(&log, from)), want, "{from}");
        }
    }

    #[test]
    fn the_oldest_events_go_when_there_is_no_room() {
        let one = delta("x").len() as u64;
        let frame = "event: d\ndata: {\"sequence_number\":0,\"type\":\"d\",\"delta\":\"x\"}\n\n".len() as u64;
        assert!(frame > one);
        for (room, want) in [(10 * frame, "Gone(0)"), (3 * frame, "Gone(2)"), (frame - 1, "Gone(5)")] {
            let (log, left) = (Log::new(), Bytes64(Cell::new(room)));
            (0..5).for_each(|_| log.push(delta("x"), &left));
            let gone = match read(&log, 0) {
                Read::Events(..) => Read::Gone(0),
                other => other,
            };
            assert_eq!(format!("{gone:?}"), want, "{room}");
            assert_eq!(left.0.get(), room - log.close(), "what is held is what was taken");
        }
        // One response has an end, whatever room there is.
        let (log, room) = (Log::new(), Bytes64(Cell::new(u64::MAX)));
        let large = "x".repeat(1 << 20);
        (0..10).for_each(|_| log.push(delta(&large), &room));
        assert_eq!(read(&log, 0), Read::Gone(3));
        assert!(log.close() <= LOG_MAX);
    }

    #[test]
    fn a_reader_holds_no_more_than_a_piece() {
        let (log, room) = (Log::new(), Bytes64(Cell::new(u64::MAX)));
        let large = "x".repeat(3 * GATHER_BYTES);
        ["a", &large, "b"].iter().for_each(|text| log.push(delta(text), &room));
        let held = log.close();
        let (mut place, mut whole) = (Place::default(), Vec::new());
        while let Read::Events(piece, next) = log.read(place) {
            assert!(!piece.is_empty() && piece.len() <= GATHER_BYTES, "{}", piece.len());
            whole.extend_from_slice(&piece);
            place = next;
        }
        assert_eq!((whole.len() as u64, place, log.read(place)), (held, Place::at(3), Read::Over));
        let whole = String::from_utf8(whole).unwrap();
        assert!(whole.contains(&large) && whole.matches("sequence_number").count() == 3);
    }

    #[test]
    fn what_is_forgotten_is_held_for_no_reader() {
        let (log, room) = (Log::new(), Bytes64(Cell::new(100_000)));
        ["a", "b"].iter().for_each(|text| log.push(delta(text), &room));
        let reader = log.reader();
        log.close();
        log.forget();
        assert!(reader.has_changed().unwrap() && log.close() == 0);
        for (from, want) in [(0, Read::Forgotten), (1, Read::Forgotten), (2, Read::Over), (9, Read::Over)] {
            assert_eq!(read(&log, from), want, "{from}");
        }
        // Whatever comes late isn't held, and takes no room.
        let left = room.0.get();
        log.say("response.completed", "{}", &room);
        log.push(delta("c"), &room);
        assert_eq!((read(&log, 2), room.0.get()), (Read::Over, left));
    }

    #[test]
    fn what_went_wrong_is_told() {
        for (event, want) in [
            (r#"{"type":"error","code":"c","message":"m"}"#, ("c", "m")),
            (r#"{"type":"error","error":{"code":"c","message":"m"}}"#, ("c", "m")),
            (r#"{"type":"error"}"#, ("server_error", "the upstream broke the answer off")),
        ] {
            let log = Log::new();
            log.push(Bytes::from(format!("data: {event}\n\n")), &Bytes64(Cell::new(1_000)));
            let (code, message) = log.error().unwrap();
            assert_eq!((code.as_str(), message.as_str()), want, "{event}");
        }
    }
}
