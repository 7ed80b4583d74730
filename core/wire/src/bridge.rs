//! An answer on its way from the upstream to the caller: passed through or translated, watched all the while.

mod pass;

use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::quirk::{Quirks, ThinkTags};
use sluicegate_core::{ErrorKind, Format};

use crate::fault::{Fault, FaultClass};
use crate::loss::Losses;
use crate::names::Names;
use crate::observed::Observed;
use crate::present::Shown;
use crate::report::Report;
use crate::sse::MAX_FRAME_BYTES;
use crate::translate::Translator;
pub(crate) use pass::Body;
use pass::{PassBody, PassStream};

/// The largest whole answer by default: 64 MiB.
pub const MAX_BODY_BYTES: usize = 64 << 20;

/// What a prepared request means for its answer. Comes from [`crate::Prepared`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The usage chunk was our wish, not the caller's: hide it.
    pub hide_usage: bool,
    /// Tool names that were shortened on the way out.
    pub(crate) names: Arc<Names>,
    /// The caller wants the usage chunk of OpenAI's streams.
    pub(crate) usage_wanted: bool,
    /// What an answer in the format of responses repeats of its request, as a JSON object.
    pub(crate) echo: Option<Arc<str>>,
    /// Where answers of the provider differ from their format.
    pub(crate) quirks: Option<Arc<Quirks>>,
    /// How the model's reasoning stands in its text, if it does.
    pub(crate) think_tags: Option<ThinkTags>,
    /// What is spoken is put into a WAV file.
    pub(crate) wav: bool,
    /// The model that was asked, where answers don't say it.
    pub(crate) model: Option<Arc<str>>,
}

/// How an answer is to be delivered.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// The caller's format.
    pub caller: Format,
    /// The upstream's format.
    pub upstream: Format,
    /// Whether the caller wants a stream.
    pub caller_streams: bool,
    /// Whether the upstream sends one: look at its content type, some do the opposite of what was asked.
    pub upstream_streams: bool,
    /// From the prepared request.
    pub reply: Reply,
    /// The model's name to show in the answer; `None` leaves what the upstream wrote.
    pub present_model: Option<String>,
    /// What a response says of itself in the format of responses, whatever its maker says; `None` leaves it as it is.
    pub shown: Option<Arc<Shown>>,
    /// Our id of the call: ids that the caller's format wants are made of it, where the upstream gives none.
    pub id: String,
    /// Now, in seconds since 1970: OpenAI's `created`, where the upstream gives none.
    pub created_s: i64,
    /// An estimate of the input tokens, for formats that report it before the upstream does.
    pub input_estimate: u64,
    /// The largest frame of a stream, in bytes; default [`MAX_FRAME_BYTES`].
    pub max_frame_bytes: usize,
    /// The largest whole answer, in bytes; default [`MAX_BODY_BYTES`].
    pub max_body_bytes: usize,
}

impl BridgeOptions {
    /// A plain delivery from `upstream` to `caller`.
    pub fn new(caller: Format, upstream: Format) -> Self {
        Self {
            caller,
            upstream,
            caller_streams: false,
            upstream_streams: false,
            reply: Reply::default(),
            present_model: None,
            shown: None,
            id: String::new(),
            created_s: 0,
            input_estimate: 0,
            max_frame_bytes: MAX_FRAME_BYTES,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The upstream closed the body properly. Whether the answer itself was complete is for the bridge to find out.
    Eof,
    /// The connection broke, timed out or was given up; the caller is told this.
    Failed(Report),
    /// The caller went away: nothing more is sent.
    ClientGone,
}

/// Carries one answer. The same type serves passing through and translating, streams and whole bodies.
///
/// Feed it with [`Bridge::push`] and always end it with [`Bridge::finish`], on every path: it closes what is open in the
/// caller's format. What comes out is for the caller, in order. Don't commit to a status before
/// [`Observed::first_content`] or the end: until then an [`Observed::error`] can still be answered otherwise.
///
/// A whole body comes out at `finish`. If it held an error (status 200 or not an answer at all), nothing comes out and
/// [`Observed::error`] says why.
#[derive(Debug)]
pub struct Bridge {
    way: Way,
    caller: Format,
    presenter: Presenter,
    ended: bool,
}

/// Has answers say what their callers know of them.
#[derive(Debug)]
struct Presenter {
    shown: Option<Arc<Shown>>,
    streams: bool,
}

impl Presenter {
    fn present(&self, bytes: Bytes) -> Bytes {
        match &self.shown {
            None => bytes,
            Some(shown) if self.streams => shown.events(bytes),
            Some(shown) => shown.whole(bytes),
        }
    }
}

#[derive(Debug)]
enum Way {
    Stream(PassStream),
    Body(PassBody),
    Translate(Box<Translator>),
}

impl Bridge {
    /// A bridge for one answer with a success status.
    pub fn new(options: BridgeOptions) -> Self {
        let caller = options.caller;
        let same = options.caller == options.upstream && options.caller_streams == options.upstream_streams;
        let passes = same || options.upstream == Format::OpenaiEmbeddings || options.upstream.is_single();
        let shown = options.shown.clone().filter(|_| caller == Format::OpenaiResponses);
        let presenter = Presenter { shown, streams: options.caller_streams };
        let way = match (passes, options.upstream_streams) {
            (true, true) => Way::Stream(PassStream::new(options)),
            (true, false) => Way::Body(PassBody::new(options)),
            (false, _) => Way::Translate(Box::new(Translator::new(options))),
        };
        Self { way, caller, presenter, ended: false }
    }

    /// Takes bytes from the upstream; `out` gets what goes to the caller now.
    pub fn push(&mut self, chunk: Bytes, out: &mut impl FnMut(Bytes)) {
        if self.ended || chunk.is_empty() {
            return;
        }
        let presenter = &self.presenter;
        let mut present = |bytes: Bytes| out(presenter.present(bytes));
        let fault = match &mut self.way {
            Way::Stream(pass) => pass.push(chunk, &mut present),
            Way::Body(pass) => pass.push(chunk),
            Way::Translate(translator) => translator.push(chunk, &mut present),
        };
        if let Err(fault) = fault {
            self.finish(End::Failed(Report::from(&fault)), out);
        }
    }

    /// Ends the answer; further calls do nothing.
    pub fn finish(&mut self, end: End, out: &mut impl FnMut(Bytes)) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let presenter = &self.presenter;
        let mut present = |bytes: Bytes| out(presenter.present(bytes));
        match &mut self.way {
            Way::Stream(pass) => pass.finish(end, &mut present),
            Way::Body(pass) => pass.finish(end, &mut present),
            Way::Translate(translator) => translator.finish(end, &mut present),
        }
    }

    /// Whether the bridge was ended, by the host or by a fault of the upstream such as an endless frame.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether what has come of a body that passes is a whole JSON value. The end of a body takes it: ask before.
    pub fn is_whole(&self) -> bool {
        matches!(&self.way, Way::Body(pass) if pass.is_whole())
    }

    /// What was seen so far.
    pub fn observed(&self) -> &Observed {
        match &self.way {
            Way::Stream(pass) => &pass.tap.observed,
            Way::Body(pass) => &pass.tap.observed,
            Way::Translate(translator) => translator.observed(),
        }
    }

    /// What the answer held that the caller's format has no place for. `None` when nothing is translated.
    pub fn losses(&self) -> Option<Losses> {
        match &self.way {
            Way::Translate(translator) => Some(translator.losses()),
            Way::Stream(_) | Way::Body(_) => None,
        }
    }

    /// An error of the host's own, as the next and last event of the stream.
    pub fn error_event(&self, report: &Report) -> Bytes {
        self.presenter.present(match &self.way {
            Way::Stream(pass) => pass.tap.told(report),
            Way::Translate(translator) => translator.told(report),
            Way::Body(_) => report.event(self.caller),
        })
    }

    /// The caller's format.
    pub fn caller(&self) -> Format {
        self.caller
    }
}

/// The fault of a failed end, as the observer keeps it.
pub(crate) fn fault_of(report: &Report) -> Fault {
    let class = match report.kind {
        ErrorKind::UpstreamTimeout => FaultClass::Timeout,
        ErrorKind::UpstreamOverloaded => FaultClass::Overloaded,
        _ => FaultClass::Server,
    };
    Fault::new(class, &report.message)
}

/// The fault of a stream that closed before its end.
pub(crate) fn cut_off() -> Fault {
    Fault::new(FaultClass::Server, "the upstream closed the stream before the answer was complete")
}

#[cfg(test)]
mod tests;
