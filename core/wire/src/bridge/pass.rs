//! Same format in and out: bytes pass untouched but for the model's name and a usage chunk that nobody asked for.

use bytes::{Bytes, BytesMut};
use sluicegate_core::Format;

use super::{BridgeOptions, End, cut_off, fault_of};
use crate::fault::{Fault, FaultClass};
use crate::json::{Val, escape_into};
use crate::report::Report;
use crate::sse::Splitter;
use crate::tap::Tap;

/// A stream that passes.
#[derive(Debug)]
pub(super) struct PassStream {
    pub(super) tap: Tap,
    splitter: Splitter,
    format: Format,
    hide_usage: bool,
    /// The model's name to show, as JSON.
    model: Option<String>,
    /// What may be the end of a stream whose format doesn't say so: nobody gets it before the end is certain.
    last: Bytes,
}

fn quoted(model: Option<String>) -> Option<String> {
    model.map(|model| {
        let mut out = String::new();
        escape_into(&mut out, &model);
        out
    })
}

impl PassStream {
    pub(super) fn new(options: BridgeOptions) -> Self {
        Self {
            tap: Tap::new(options.upstream, options.reply.quirks),
            splitter: Splitter::new(options.max_frame_bytes),
            format: options.caller,
            hide_usage: options.reply.hide_usage,
            model: quoted(options.present_model),
            last: Bytes::new(),
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), Fault> {
        let whole = self.pass(chunk)?;
        if whole.is_empty() {
            return Ok(());
        }
        if self.format == Format::GeminiGenerate && self.tap.observed.finished {
            // Reasons may come early: only what follows tells that this wasn't the end.
            let before = std::mem::replace(&mut self.last, whole);
            if !before.is_empty() {
                out(before);
            }
        } else {
            out(whole);
        }
        Ok(())
    }

    /// The frames that are complete now, edited.
    fn pass(&mut self, chunk: Bytes) -> Result<Bytes, Fault> {
        let Self { tap, splitter, hide_usage, model, .. } = self;
        // One copy for all edits of a chunk; none when there are none.
        let mut edited: Option<BytesMut> = None;
        let mut copied = 0;
        let whole = splitter.feed(chunk, |data, range| {
            let Some(frame) = data.get(range.clone()) else {
                return;
            };
            let seen = tap.frame(frame);
            let (from, to, new) = match (seen.model, &*model) {
                _ if *hide_usage && seen.usage_only => (range.start, range.end, ""),
                (Some(at), Some(model)) if frame.get(at.clone()) != Some(model.as_bytes()) => {
                    (range.start + at.start, range.start + at.end, model.as_str())
                }
                _ => return,
            };
            let buffer = edited.get_or_insert_with(|| BytesMut::with_capacity(data.len() + 64));
            buffer.extend_from_slice(data.get(copied..from).unwrap_or_default());
            buffer.extend_from_slice(new.as_bytes());
            copied = to;
        });
        let whole = whole.map_err(|e| Fault::new(FaultClass::Server, e.to_string()))?;
        Ok(match edited {
            None => whole,
            Some(mut buffer) => {
                buffer.extend_from_slice(whole.get(copied..).unwrap_or_default());
                buffer.freeze()
            }
        })
    }

    pub(super) fn finish(&mut self, end: End, out: &mut impl FnMut(Bytes)) {
        let report = match end {
            End::ClientGone => return,
            End::Failed(report) => Some(report),
            End::Eof => {
                self.flush(out);
                None
            }
        };
        let last = std::mem::take(&mut self.last);
        if !last.is_empty() {
            out(last);
        }
        if let Some(report) = report {
            // What is held back of a broken frame is dropped: half an event is none.
            let told = self.tap.observed.error.is_some();
            self.tap.observed.error.get_or_insert_with(|| fault_of(&report));
            // After the stream's own last frame there is nothing left that could fail for the caller, and a failure that
            // the upstream has told of itself isn't told twice.
            if !self.tap.observed.closed && !told {
                out(self.tap.told(&report));
            }
        } else if self.tap.observed.closed || self.tap.observed.error.is_some() {
            if !self.tap.observed.finished && !self.tap.observed.first_content {
                // An end without any answer is a failure, not an empty success.
                self.tap.observed.error.get_or_insert_with(cut_off);
            }
            // QUIRK(vllm, 2026-05): some servers send `[DONE]` without any finish reason; the end is the end.
            self.tap.observed.finished |= self.tap.observed.error.is_none();
        } else if self.tap.observed.finished {
            // The answer is complete, only its last frame is missing.
            self.tap.observed.closed = true;
            match self.format {
                Format::AnthropicMessages => {
                    out(Bytes::from_static(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))
                }
                // Its streams have no last frame: they end.
                Format::GeminiGenerate => {}
                // Events of single operations say by themselves that they are the last.
                single if single.is_single() && single != Format::OpenaiCompletions => {}
                _ => out(Bytes::from_static(b"data: [DONE]\n\n")),
            }
        } else {
            let fault = cut_off();
            out(self.tap.told(&Report::from(&fault)));
            self.tap.observed.error = Some(fault);
        }
    }

    /// A last frame without its blank line still counts, unless it is only half there.
    fn flush(&mut self, out: &mut impl FnMut(Bytes)) {
        let tail = self.splitter.finish();
        if tail.is_empty() {
            return;
        }
        let whole = crate::sse::fields(&tail)
            .data
            .is_some_and(|data| data.trim_ascii() == b"[DONE]" || Val::from_bytes(&data).is_some());
        if !whole {
            return;
        }
        let mut frame = BytesMut::from(&tail[..]);
        while !frame.ends_with(b"\n\n") {
            frame.extend_from_slice(b"\n");
        }
        // A whole frame can't exceed the bound here: it was held back within it.
        let _ = self.push(frame.freeze(), out);
    }
}

/// A whole body that passes. It is kept until it is complete: usage must be read before its last byte leaves.
#[derive(Debug)]
pub(super) struct PassBody {
    pub(super) tap: Tap,
    body: Body,
    model: Option<String>,
}

/// Collects a body; a single chunk is kept as it is.
#[derive(Debug)]
pub(crate) struct Body {
    first: Bytes,
    rest: BytesMut,
    max: usize,
}

impl Body {
    pub(crate) fn new(max: usize) -> Self {
        Self { first: Bytes::new(), rest: BytesMut::new(), max }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if self.first.len() + self.rest.len() + chunk.len() > self.max {
            return Err(Fault::new(
                FaultClass::Server,
                format!("the upstream's answer is larger than {} bytes", self.max),
            ));
        }
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = chunk;
            return Ok(());
        }
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        self.rest.extend_from_slice(&chunk);
        Ok(())
    }

    /// What has come so far.
    fn bytes(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    pub(crate) fn take(&mut self) -> Bytes {
        let first = std::mem::take(&mut self.first);
        if self.rest.is_empty() { first } else { self.rest.split().freeze() }
    }
}

impl PassBody {
    pub(super) fn new(options: BridgeOptions) -> Self {
        Self {
            tap: Tap::new(options.upstream, options.reply.quirks),
            body: Body::new(options.max_body_bytes),
            model: quoted(options.present_model),
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), Fault> {
        self.body.push(chunk)
    }

    pub(super) fn is_whole(&self) -> bool {
        Val::from_bytes(self.body.bytes()).is_some()
    }

    pub(super) fn finish(&mut self, end: End, out: &mut impl FnMut(Bytes)) {
        match end {
            End::ClientGone => {
                // Read what there is: the settlement may still profit from it.
                let body = self.body.take();
                self.tap.body(&body);
            }
            End::Failed(report) => self.tap.observed.error = Some(fault_of(&report)),
            End::Eof => {
                let body = self.body.take();
                let at = self.tap.body(&body);
                if self.tap.observed.error.is_some() {
                    return;
                }
                match (at, &self.model) {
                    (Some(at), Some(model)) if body.get(at.clone()) != Some(model.as_bytes()) => {
                        let mut patched = BytesMut::with_capacity(body.len() + model.len());
                        patched.extend_from_slice(body.get(..at.start).unwrap_or_default());
                        patched.extend_from_slice(model.as_bytes());
                        patched.extend_from_slice(body.get(at.end..).unwrap_or_default());
                        out(patched.freeze());
                    }
                    _ => out(body),
                }
            }
        }
    }
}
