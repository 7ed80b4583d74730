//! What a response says of itself to its caller where its maker knows otherwise: its id, and what it is of; and the numbers by
//! which the events of its stream are found again.

use std::ops::Range;

use bytes::Bytes;

use crate::json::{Kind, Val};
use crate::sse::{Splitter, fields, write_frame};
use crate::texts::{place, quoted, spliced};

/// Fields that a response is shown with, in place of what its maker says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(Vec<(&'static str, String)>);

impl Shown {
    /// The id that its caller was told of a response that is worked on in the background.
    #[must_use]
    pub fn background(self, id: &str) -> Self {
        self.with("id", quoted(id)).with("background", "true".to_owned())
    }

    /// The response that it goes on from.
    #[must_use]
    pub fn previous(self, id: &str) -> Self {
        self.with("previous_response_id", quoted(id))
    }

    /// The conversation that it is of.
    #[must_use]
    pub fn conversation(self, id: &str) -> Self {
        self.with("conversation", format!(r#"{{"id":{}}}"#, quoted(id)))
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.0.push((name, value));
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A whole response.
    pub fn whole(&self, body: Bytes) -> Bytes {
        let Ok(text) = std::str::from_utf8(&body) else { return body };
        let edits = Val::parse(text).map(|response| self.edits(text, response)).unwrap_or_default();
        if edits.is_empty() { body } else { spliced(text, edits).into() }
    }

    /// Whole events of a stream, some of which hold the response as it stands then.
    pub(crate) fn events(&self, events: Bytes) -> Bytes {
        if memchr::memmem::find(&events, br#""response""#).is_none() {
            return events;
        }
        let Ok(text) = std::str::from_utf8(&events) else { return events };
        let mut edits = Vec::new();
        // BOUND: what comes in is bounded by whoever cut it into events.
        let mut splitter = Splitter::new(usize::MAX);
        let _ = splitter.feed(events.clone(), |data, range| {
            let frame = data.get(range.clone()).unwrap_or_default();
            edits.extend(self.edits_of_frame(text, frame, range));
        });
        if edits.is_empty() { events } else { spliced(text, edits).into() }
    }

    fn edits_of_frame(&self, text: &str, frame: &[u8], at: Range<usize>) -> Vec<(Range<usize>, String)> {
        let fields = fields(frame);
        let Some(data) = fields.data.as_deref().and_then(|data| std::str::from_utf8(data).ok()) else {
            return Vec::new();
        };
        let root = Val::parse(data).ok();
        let Some(response) = root.and_then(|root| root.get("response")) else { return Vec::new() };
        // Data of one line stands in the stream as it is.
        let start = (data.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        if at.contains(&start) {
            return self.edits(text, response);
        }
        let edits = self.edits(data, response);
        if edits.is_empty() {
            return edits;
        }
        let mut one = String::new();
        let kind = fields.event.and_then(|kind| std::str::from_utf8(kind).ok());
        write_frame(&mut one, kind, &spliced(data, edits).replace(['\r', '\n'], " "));
        vec![(at, one)]
    }

    /// Where the response, which stands in `whole`, says something else.
    fn edits(&self, whole: &str, response: Val<'_>) -> Vec<(Range<usize>, String)> {
        if response.kind() != Kind::Object {
            return Vec::new();
        }
        let (mut edits, mut new) = (Vec::new(), String::new());
        for (name, value) in &self.0 {
            // One that is null is said, too.
            match response.members().filter(|(said, _)| said == name).last() {
                Some((_, said)) if said.raw() == value => {}
                Some((_, said)) => edits.push((place(whole, said), value.clone())),
                None => new.push_str(&format!("\"{name}\":{value},")),
            }
        }
        if !new.is_empty() {
            if response.members().next().is_none() {
                new.pop();
            }
            let at = place(whole, response).start + 1;
            edits.push((at..at, new));
        }
        edits
    }
}

/// An event of a stream that can be taken up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Its `sequence_number`.
    pub number: u64,
    /// Its `type`.
    pub kind: String,
    /// What it says, as JSON.
    pub data: String,
}

impl NumberedEvent {
    /// As it goes to callers.
    pub fn frame(&self) -> Bytes {
        let mut frame = String::new();
        write_frame(&mut frame, Some(&self.kind), &self.data);
        frame.into()
    }
}

/// Gives the events of a stream the numbers that follow each other, whatever numbers their maker gave them.
#[derive(Debug, Default)]
pub struct Numbering {
    splitter: Splitter,
    next: u64,
}

impl Numbering {
    /// Goes on behind the event of this number.
    pub fn after(number: Option<u64>) -> Self {
        Self { next: number.map_or(0, |number| number.saturating_add(1)), ..Self::default() }
    }

    /// The number that the next event has.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes bytes of a stream; `on` gets each event that is whole now. That the response was begun has been told before.
    pub fn push(&mut self, bytes: Bytes, mut on: impl FnMut(NumberedEvent)) {
        let next = &mut self.next;
        // BOUND: the splitter's. A larger event is left out.
        self.splitter.feed_within(bytes, |data, range| {
            let fields = fields(data.get(range).unwrap_or_default());
            let Some(event) = fields.data.and_then(|data| numbered(&data, *next)) else { return };
            if !matches!(event.kind.as_str(), "response.created" | "response.queued") {
                *next += 1;
                on(event);
            }
        });
    }

    /// An event of our own, which holds the response as it stands.
    pub fn own(&mut self, kind: &str, response: &str) -> NumberedEvent {
        let number = self.next;
        self.next += 1;
        let data = format!(r#"{{"type":{},"sequence_number":{number},"response":{response}}}"#, quoted(kind));
        NumberedEvent { number, kind: kind.to_owned(), data }
    }
}

fn numbered(data: &[u8], number: u64) -> Option<NumberedEvent> {
    let root = Val::from_bytes(data)?;
    let kind = root.get_str("type")?.into_owned();
    let whole = root.raw();
    let said = root.members().filter(|(name, _)| name == "sequence_number").last();
    let edit = match said.map(|(_, said)| said) {
        Some(said) => (place(whole, said), number.to_string()),
        None => (1..1, format!(r#""sequence_number":{number},"#)),
    };
    let data = spliced(whole, vec![edit]).replace(['\r', '\n'], " ");
    Some(NumberedEvent { number, kind, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Shown {
        Shown::default().background("resp_7").previous("resp_6").conversation("conv_\"1")
    }

    #[test]
    fn a_response_says_what_its_caller_knows() {
        for (body, want) in [
            (
                r#"{"id":"resp_upstream", "background":false,"previous_response_id":null,"x":1.0}"#,
                r#"{"conversation":{"id":"conv_\"1"},"id":"resp_7", "background":true,"previous_response_id":"resp_6","x":1.0}"#,
            ),
            (
                "{}",
                r#"{"id":"resp_7","background":true,"previous_response_id":"resp_6","conversation":{"id":"conv_\"1"}}"#,
            ),
            ("[1]", "[1]"),
            ("no JSON", "no JSON"),
        ] {
            let got = shown().whole(Bytes::from(body));
            assert_eq!(got, want, "{body}");
            // Once more changes nothing.
            assert_eq!(shown().whole(got.clone()), got);
        }
        assert!(Shown::default().is_empty() && !shown().is_empty());
    }

    #[test]
    fn events_say_it_too_and_others_stay_byte_for_byte() {
        let delta = "event: d\ndata: {\"type\":\"d\",\"delta\":\"\\\"response\\\": {}\"}\n\n";
        let open = "event: c\r\ndata: {\"type\":\"c\",\"response\":{\"id\":\"r\"},\"n\":1}\r\n\r\n";
        let split = "event: e\ndata: {\"response\":\ndata: {\"id\":\"r\"}}\n\n";
        let shown = Shown::default().conversation("c");
        let (id, event) =
            (r#""conversation":{"id":"c"},"id":"r""#, format!("{delta}{open}: ping\n\n{split}"));
        let want = format!(
            "{delta}event: c\r\ndata: {{\"type\":\"c\",\"response\":{{{id}}},\"n\":1}}\r\n\r\n: ping\n\nevent: e\ndata: {{\"response\": {{{id}}}}}\n\n"
        );
        assert_eq!(shown.events(Bytes::from(event)), want);
        let same = Bytes::from(delta);
        assert_eq!(shown.events(same.clone()).as_ptr(), same.as_ptr(), "nothing is copied");
    }

    #[test]
    fn events_are_numbered_however_they_are_cut() {
        let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n\
                      : ping\n\nevent: a\ndata: {\"sequence_number\": 17,\"type\":\"a\"}\n\nevent: b\ndata: {\"type\":\"b\"}\n\ndata: [DONE]\n\n";
        for pieces in [1, 7, 1_000] {
            let mut numbering = Numbering::default();
            let first = numbering.own("response.created", r#"{"id":"r"}"#);
            assert_eq!(
                first.frame(),
                "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\"}}\n\n"
            );
            let mut got = Vec::new();
            for piece in stream.as_bytes().chunks(pieces) {
                numbering.push(Bytes::copy_from_slice(piece), |event| got.push(event.data));
            }
            let want = [r#"{"sequence_number": 1,"type":"a"}"#, r#"{"sequence_number":2,"type":"b"}"#];
            assert_eq!((got, numbering.next()), (want.map(str::to_owned).to_vec(), 3), "{pieces}");
        }
    }
}
