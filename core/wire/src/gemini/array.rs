//! A stream of events as one JSON array in pieces, which callers get who don't ask for events.

use bytes::Bytes;

use crate::sse::{FrameTooLarge, Splitter, fields};

/// Turns a stream of server-sent events into one JSON array, an element for each event.
#[derive(Debug, Default)]
pub struct EventArray {
    splitter: Splitter,
    begun: bool,
}

impl EventArray {
    /// The piece of the array for these bytes; empty while an event is incomplete.
    ///
    /// # Errors
    /// An event is larger than the bound.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, FrameTooLarge> {
        let mut out = Vec::with_capacity(chunk.len() + 8);
        let mut begun = self.begun;
        self.splitter.feed(chunk, |data, at| {
            element(data.get(at).unwrap_or_default(), &mut begun, &mut out);
        })?;
        self.begun = begun;
        Ok(out.into())
    }

    /// The end of the array.
    pub fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        let tail = self.splitter.finish();
        element(&tail, &mut self.begun, &mut out);
        out.extend_from_slice(if self.begun { b"]\n" } else { b"[]\n" });
        out.into()
    }
}

fn element(frame: &[u8], begun: &mut bool, out: &mut Vec<u8>) {
    // Comments and signs of life aren't elements.
    let Some(data) = fields(frame).data.filter(|data| !data.trim_ascii().is_empty()) else {
        return;
    };
    out.extend_from_slice(if std::mem::replace(begun, true) { b",\r\n" } else { b"[" });
    out.extend_from_slice(&data);
    // As an event ends: what keeps the connection alive may stand here.
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_elements_however_they_are_cut() {
        let stream = b"data: {\"a\":1}\r\n\r\n: keep-alive\n\ndata: {\"b\":\ndata: 2}\n\n";
        for size in 1..stream.len() + 1 {
            let mut array = EventArray::default();
            let mut text = Vec::new();
            for piece in stream.chunks(size) {
                text.extend_from_slice(&array.push(Bytes::copy_from_slice(piece)).unwrap());
            }
            text.extend_from_slice(&array.finish());
            let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(read, serde_json::json!([{"a": 1}, {"b": 2}]), "{size}");
        }
        assert_eq!(EventArray::default().finish(), "[]\n");
    }
}
