//! A stream on its way to its caller, under watch: its frames wait until what they say is decided, and pass as they were
//! written unless a part of it is replaced.

mod frame;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::guardrail::{Edit, GuardrailMarks, Scanner, TextGuard, apply, mark};
use smallvec::SmallVec;

use crate::json::unescape;
use crate::sse::Splitter;
use crate::texts::{Texts, quoted, spliced};
use frame::{Key, Part, Read, What, read};

/// No more of a stream waits, in bytes: what is looked for is far shorter.
const HELD_MAX: usize = 8 << 20;
/// A stream says no more things side by side, and no more things that wait.
const TEXTS_MAX: usize = 4_096;
/// So many bytes of texts that stand whole in their frames are known again, and so many texts.
// QUIRK(perplexity, 2026-11): each frame of a stream has all its sources.
const KNOWN_BYTES_MAX: usize = 1 << 20;
const KNOWN_MAX: usize = TEXTS_MAX / 2;
/// What a thing has said last waits for more of it while no more of the stream than this goes by, in bytes: reasoning isn't
/// always said to be over.
const ASIDE_MAX: u64 = 16 << 10;

/// Why a stream can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// This guardrail refuses it.
    Denied(Arc<str>),
    /// More of it would have to wait than may, or it says something that can't be read.
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
    /// Texts that stood whole in a frame, by what they are: one that comes again was looked at.
    known: HashMap<(What, String), usize>,
    known_bytes: usize,
    /// How much of the stream came so far, in bytes.
    seen: u64,
    /// Whether a part of a text came out.
    said: bool,
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
    /// All of it, if it is looked at whole: a tool call's arguments, and everything of a stream that is gathered.
    whole: String,
    /// How much of it came so far, in bytes.
    len: u64,
    over: bool,
    /// It is known again when it comes again.
    kept: bool,
    /// Pieces of it that are held.
    held: usize,
    /// Where the stream was when it last came up.
    last: u64,
    /// What guardrails found in arguments.
    marks: GuardrailMarks,
    denied: Option<Arc<str>>,
}

impl Text {
    fn new(key: Key, guards: Arc<[Arc<TextGuard>]>) -> Self {
        Self {
            key,
            scanner: Scanner::new(guards),
            edits: Vec::new(),
            whole: String::new(),
            len: 0,
            over: false,
            kept: false,
            held: 0,
            last: 0,
            marks: GuardrailMarks::new(),
            denied: None,
        }
    }

    /// Nothing of it is needed any more.
    fn is_done(&self) -> bool {
        self.over && !self.kept && self.held == 0 && self.denied.is_none() && self.scanner.denied().is_none()
    }

    /// Up to where it may be handed on.
    fn decided(&self) -> u64 {
        match self.key.is_json() {
            false => self.scanner.decided(),
            true if self.over && self.denied.is_none() => self.len,
            true => 0,
        }
    }

    fn finish(&mut self, guards: &Arc<[Arc<TextGuard>]>) {
        self.over = true;
        match self.key.is_json() {
            true if !guards.is_empty() => self.look_at_arguments(guards),
            _ => self.scanner.finish(),
        }
    }

    /// Arguments are JSON: what stands in them is looked at decoded, each string by itself.
    fn look_at_arguments(&mut self, guards: &Arc<[Arc<TextGuard>]>) {
        let texts = Texts::arguments(&self.whole);
        let mut new = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            let (masked, mut scanner) = Scanner::whole(guards, text);
            for one in scanner.take_marks() {
                mark(&mut self.marks, &one.name, &one.did, one.times);
            }
            if let Some(name) = scanner.denied() {
                self.denied = Some(Arc::clone(name));
                return;
            }
            new.extend(masked.map(|masked| (at, masked)));
        }
        if !new.is_empty() {
            let with = String::from_utf8_lossy(&texts.replaced(&new)).as_ref().into();
            self.edits = vec![Edit { start: 0, end: self.len, with }];
        }
    }
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
            known: HashMap::new(),
            known_bytes: 0,
            seen: 0,
            said: false,
            marks: GuardrailMarks::new(),
        }
    }

    /// Whether what the stream says first still waits for what follows: it could yet be refused as if it had never begun.
    pub fn waits_at_start(&self) -> bool {
        !self.said && !self.held.is_empty()
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
            self.take(tail)?;
        }
        self.end(|_| true);
        self.release(out)
    }

    /// The texts of a stream that was gathered, as those of a whole answer.
    pub fn gathered(&self) -> Vec<String> {
        let of = |text: &Text| -> Vec<String> {
            match text.key.is_json() {
                true => Texts::arguments(&text.whole).iter().map(str::to_owned).collect(),
                false => vec![text.whole.clone()],
            }
        };
        self.texts.iter().filter(|text| !text.key.is_again()).flat_map(of).collect()
    }

    /// Puts a gathered stream out, with these texts in place of those of the same index: each stands where its first part
    /// stood.
    pub fn put_gathered(&mut self, new: &[(usize, String)], out: &mut impl FnMut(Bytes)) {
        let mut from = 0;
        // What was replaced is replaced wherever it is said again.
        let mut replaced: Vec<(String, Arc<str>)> = Vec::new();
        for text in self.texts.iter_mut().filter(|text| !text.key.is_again()) {
            let arguments = text.key.is_json().then(|| Texts::arguments(&text.whole));
            let count = arguments.as_ref().map_or(1, |arguments| arguments.iter().len());
            let of_this = new.iter().filter(|(at, _)| (from..from + count).contains(at));
            let of_this: Vec<_> = of_this.map(|(at, new)| (at - from, new.clone())).collect();
            from += count;
            let Some((_, first)) = of_this.first() else { continue };
            let with: Arc<str> = match arguments {
                Some(arguments) => String::from_utf8_lossy(&arguments.replaced(&of_this)).as_ref().into(),
                None => first.as_str().into(),
            };
            replaced.push((text.whole.clone(), Arc::clone(&with)));
            text.edits = vec![Edit { start: 0, end: text.len, with }];
        }
        for text in self.texts.iter_mut().filter(|text| text.key.is_again()) {
            if let Some((_, with)) = replaced.iter().find(|(whole, _)| *whole == text.whole) {
                text.edits = vec![Edit { start: 0, end: text.len, with: Arc::clone(with) }];
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
        let Read { frame, parts, over, all_over, unreadable, .. } = read(self.format, frame);
        if unreadable {
            return Err(Stopped::Unreadable);
        }
        self.seen += frame.len() as u64;
        let mut pieces = SmallVec::new();
        for Part { key, at, text } in parts {
            let said = (key.what, text);
            let index = if key.is_whole() { self.known.get(&said).copied() } else { None };
            if let Some((index, known)) = index.and_then(|at| Some((at, self.texts.get_mut(at)?))) {
                known.held += 1;
                pieces.push(Piece { text: index, from: 0, to: known.len, at });
                continue;
            }
            let index = self.text(key)?;
            let Some(known) = self.texts.get_mut(index) else { continue };
            let text = &said.1;
            let from = known.len;
            known.len += text.len() as u64;
            (known.held, known.last) = (known.held + 1, self.seen);
            if self.guards.is_empty() || key.is_json() {
                // BOUND: its frames are held, and these are bounded.
                known.whole.push_str(text);
            } else {
                known.scanner.push(text);
            }
            pieces.push(Piece { text: index, from, to: known.len, at });
            if key.is_whole() {
                known.finish(&self.guards);
                let bytes = self.known_bytes + text.len();
                if bytes <= KNOWN_BYTES_MAX && self.known.len() < KNOWN_MAX {
                    (known.kept, self.known_bytes) = (true, bytes);
                    self.known.insert(said, index);
                }
            }
        }
        if all_over {
            self.end(|_| true);
        } else if let Some(over) = over {
            self.end(|key| key.choice == over);
        }
        if !self.gathers() {
            let long_ago = self.seen.saturating_sub(ASIDE_MAX);
            let aside = |text: &&mut Text| !text.over && !text.key.is_json() && text.last < long_ago;
            for text in self.texts.iter_mut().filter(aside) {
                text.finish(&self.guards);
            }
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
        let text = Text::new(key, Arc::clone(&self.guards));
        // What is over and has no frame waiting is forgotten.
        if let Some(at) = self.texts.iter().position(Text::is_done) {
            if let Some(done) = self.texts.get_mut(at) {
                *done = text;
            }
            return Ok(at);
        }
        if self.texts.len() >= TEXTS_MAX {
            return Err(Stopped::Unreadable);
        }
        self.texts.push(text);
        Ok(self.texts.len() - 1)
    }

    fn end(&mut self, which: impl Fn(Key) -> bool) {
        for text in self.texts.iter_mut().filter(|text| !text.over && which(text.key)) {
            text.finish(&self.guards);
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
            for one in text.scanner.take_marks().into_iter().chain(std::mem::take(&mut text.marks)) {
                // What is said again was counted before.
                if text.key.is_again() {
                    continue;
                }
                mark(&mut self.marks, &one.name, &one.did, one.times);
            }
            denied = denied.or_else(|| text.denied.as_ref().or(text.scanner.denied()).cloned());
        }
        while let Some(held) = self.held.front() {
            let decided = held
                .parts
                .iter()
                .all(|part| self.texts.get(part.text).is_some_and(|text| part.to <= text.decided()));
            if !decided {
                break;
            }
            if let Some(held) = self.held.pop_front() {
                self.said |= !held.parts.is_empty();
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
            text.held = text.held.saturating_sub(1);
            if text.edits.iter().any(|edit| edit.start < part.to) {
                let said = unescape(whole.get(part.at.clone()).unwrap_or_default());
                edits.push((part.at.clone(), quoted(&apply(&said, part.from, &text.edits))));
            }
        }
        if edits.is_empty() { frame } else { spliced(whole, edits).into() }
    }
}

#[cfg(test)]
mod tests;
