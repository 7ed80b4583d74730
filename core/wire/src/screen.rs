//! A stream on its way to its caller, under watch: its frames wait until what they say is decided, and pass as they were
//! written unless a part of it is replaced.

mod frame;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::guardrail::{Edit, GuardrailMarks, Scanner, TextGuard, apply, mark};
use smallvec::SmallVec;

use crate::json::unescape;
use crate::sse::Splitter;
use crate::texts::{quoted, spliced};
use frame::{Key, Part, Read, read};

/// No more of a stream waits, in bytes: what is looked for is far shorter.
const HELD_MAX: usize = 8 << 20;
/// A stream says no more things side by side.
const TEXTS_MAX: usize = 256;

/// Why a stream can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// This guardrail refuses it.
    Denied(Arc<str>),
    /// More of it would have to wait than may, or it isn't a stream of this format.
    Unreadable,
}

/// Watches a stream in the caller's format. What comes out may be sent.
#[derive(Debug)]
pub struct Screen {
    format: Format,
    /// What looks at the texts as they come; without any, the stream is gathered and looked at whole.
    guards: Arc<[Arc<TextGuard>]>,
    splitter: Splitter,
    held: VecDeque<Held>,
    held_bytes: usize,
    texts: Vec<Text>,
    marks: GuardrailMarks,
}

#[derive(Debug)]
struct Held {
    frame: Bytes,
    parts: SmallVec<[Piece; 1]>,
}

/// A part of a text in a frame.
#[derive(Debug)]
struct Piece {
    text: usize,
    from: u64,
    to: u64,
    at: Range<usize>,
}

#[derive(Debug)]
struct Text {
    key: Key,
    scanner: Scanner,
    /// Replacements that still concern frames that are held.
    edits: Vec<Edit>,
    /// All of it, if the stream is gathered; else empty.
    whole: String,
    over: bool,
    /// Whether the part of a tool call's arguments that was sent ends inside a string.
    in_string: bool,
}

impl Screen {
    /// A screen for a stream in this format. Without guards it only gathers: see [`Screen::gathered`].
    pub fn new(format: Format, guards: Arc<[Arc<TextGuard>]>) -> Self {
        Self {
            format,
            guards,
            splitter: Splitter::default(),
            held: VecDeque::new(),
            held_bytes: 0,
            texts: Vec::new(),
            marks: GuardrailMarks::new(),
        }
    }

    /// Takes bytes of the stream; `out` gets what may go on.
    ///
    /// # Errors
    /// The stream must end here; what was put out stands before what is refused.
    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), Stopped> {
        let mut splitter = std::mem::take(&mut self.splitter);
        let mut frames: SmallVec<[Bytes; 4]> = SmallVec::new();
        let fed = splitter.feed(chunk, |data, at| frames.push(data.slice(at)));
        self.splitter = splitter;
        fed.map_err(|_| Stopped::Unreadable)?;
        for frame in frames {
            self.take(frame)?;
            self.release(out)?;
        }
        if self.held_bytes > HELD_MAX { Err(Stopped::Unreadable) } else { Ok(()) }
    }

    /// The stream is over: everything is decided.
    ///
    /// # Errors
    /// As [`Screen::push`].
    pub fn finish(&mut self, out: &mut impl FnMut(Bytes)) -> Result<(), Stopped> {
        let tail = self.splitter.finish();
        if !tail.is_empty() {
            self.hold(tail, SmallVec::new());
        }
        self.end(|_| true);
        self.release(out)
    }

    /// The texts of a stream that was gathered.
    pub fn gathered(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(|text| &*text.whole)
    }

    /// Puts a gathered stream out, with these texts in place of those of the same index: each stands where its first part
    /// stood.
    pub fn put_gathered(&mut self, new: &[(usize, String)], out: &mut impl FnMut(Bytes)) {
        for (at, new) in new {
            if let Some(text) = self.texts.get_mut(*at) {
                let end = text.whole.len() as u64;
                text.edits = vec![Edit { start: 0, end, with: new.as_str().into() }];
            }
        }
        while let Some(held) = self.held.pop_front() {
            out(self.edited(held));
        }
        self.held_bytes = 0;
    }

    /// What the guardrails did so far.
    pub fn marks(&self) -> &GuardrailMarks {
        &self.marks
    }

    fn gathers(&self) -> bool {
        self.guards.is_empty()
    }

    fn take(&mut self, frame: Bytes) -> Result<(), Stopped> {
        let Read { frame, parts, over, all_over } = read(self.format, frame);
        let mut pieces = SmallVec::new();
        for Part { key, at, text } in parts {
            // What a choice says next ends what it said before, but for tool calls, which come side by side.
            self.end(|other| other.is_followed_by(key));
            let index = self.text(key)?;
            let Some(known) = self.texts.get_mut(index) else { continue };
            let from = known.scanner.len();
            known.scanner.push(&text);
            if self.guards.is_empty() {
                known.whole.push_str(&text);
            }
            pieces.push(Piece { text: index, from, to: known.scanner.len(), at });
        }
        if all_over {
            self.end(|_| true);
        } else if let Some(over) = over {
            self.end(|key| key.choice == over);
        }
        self.hold(frame, pieces);
        Ok(())
    }

    fn hold(&mut self, frame: Bytes, parts: SmallVec<[Piece; 1]>) {
        self.held_bytes += frame.len();
        self.held.push_back(Held { frame, parts });
    }

    fn text(&mut self, key: Key) -> Result<usize, Stopped> {
        if let Some(at) = self.texts.iter().position(|text| text.key == key && !text.over) {
            return Ok(at);
        }
        if self.texts.len() >= TEXTS_MAX {
            // What is over and has no frame waiting is forgotten, as far as no index moves.
            if !self.held.is_empty() || self.gathers() || !self.texts.iter().all(|text| text.over) {
                return Err(Stopped::Unreadable);
            }
            self.texts.clear();
        }
        self.texts.push(Text {
            key,
            scanner: Scanner::new(Arc::clone(&self.guards)),
            edits: Vec::new(),
            whole: String::new(),
            over: false,
            in_string: false,
        });
        Ok(self.texts.len() - 1)
    }

    fn end(&mut self, which: impl Fn(Key) -> bool) {
        for text in self.texts.iter_mut().filter(|text| !text.over && which(text.key)) {
            text.over = true;
            text.scanner.finish();
        }
    }

    /// Puts out the frames at the front whose texts are decided.
    fn release(&mut self, out: &mut impl FnMut(Bytes)) -> Result<(), Stopped> {
        if self.gathers() {
            return Ok(());
        }
        let mut denied = None;
        for text in &mut self.texts {
            text.edits.append(&mut text.scanner.take_edits());
            for one in text.scanner.take_marks() {
                mark(&mut self.marks, &one.name, &one.did, one.times);
            }
            denied = denied.or_else(|| text.scanner.denied().cloned());
        }
        while let Some(held) = self.held.front() {
            let decided = held
                .parts
                .iter()
                .all(|part| self.texts.get(part.text).is_some_and(|text| part.to <= text.scanner.decided()));
            if !decided {
                break;
            }
            if let Some(held) = self.held.pop_front() {
                self.held_bytes = self.held_bytes.saturating_sub(held.frame.len());
                out(self.edited(held));
            }
        }
        denied.map_or(Ok(()), |name| Err(Stopped::Denied(name)))
    }

    /// The frame with its part of the replacements; the very same bytes when there are none.
    fn edited(&mut self, held: Held) -> Bytes {
        let Held { frame, parts } = held;
        let mut edits = Vec::new();
        let whole = std::str::from_utf8(&frame).unwrap_or_default();
        for part in &parts {
            let Some(text) = self.texts.get_mut(part.text) else { continue };
            // Frames go out in order: what ends before this one concerns none that follows.
            text.edits.retain(|edit| edit.end > part.from);
            let raw = whole.get(part.at.clone()).unwrap_or_default();
            let touched = text.edits.iter().any(|edit| edit.start < part.to && edit.end > part.from);
            if !touched && !text.key.is_json() {
                continue;
            }
            let said = unescape(raw);
            let new = if text.key.is_json() {
                apply_json(&said, part.from, &text.edits, &mut text.in_string)
            } else {
                apply(&said, part.from, &text.edits)
            };
            if touched {
                edits.push((part.at.clone(), quoted(&new)));
            }
        }
        if edits.is_empty() { frame } else { spliced(whole, edits).into() }
    }
}

/// As [`apply`], for a piece of JSON: what stands for a number is made a string.
fn apply_json(piece: &str, at: u64, edits: &[Edit], in_string: &mut bool) -> String {
    let mut out = String::with_capacity(piece.len());
    let mut escaped = false;
    let (mut offset, mut edits) = (at, edits.iter().peekable());
    for c in piece.chars() {
        while edits.peek().is_some_and(|edit| edit.end <= offset) {
            edits.next();
        }
        let edit = edits.peek().filter(|edit| edit.start <= offset);
        match edit {
            Some(edit) if edit.start < offset => {}
            Some(edit) if *in_string => out.push_str(&edit.with),
            // The continuation of a mask has nothing to stand for it.
            Some(edit) if edit.with.is_empty() => {}
            Some(edit) => out.push_str(&quoted(&edit.with)),
            None => out.push(c),
        }
        if edit.is_none() {
            match c {
                _ if escaped => escaped = false,
                '\\' if *in_string => escaped = true,
                '"' => *in_string = !*in_string,
                _ => {}
            }
        }
        offset += c.len_utf8() as u64;
    }
    out
}

#[cfg(test)]
mod tests;
