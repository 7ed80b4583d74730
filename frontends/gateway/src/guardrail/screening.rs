//! A streamed answer under watch: built-in guardrails look at it as it comes; for services it is gathered first.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use sluicegate_core::Format;
use sluicegate_core::guardrail::{GuardrailMarks, mark};
use sluicegate_wire::{Screen, Side, Stopped};

use super::{Chosen, Refusal, Watch};

/// What watches one stream.
pub(crate) struct Screening {
    watch: Arc<Watch>,
    as_it_comes: Option<Screen>,
    gathered: Option<Screen>,
    stopped: Option<Refusal>,
}

/// What a gathered stream comes to.
pub(crate) type Checked = (Box<Screening>, GuardrailMarks, Result<Vec<(usize, String)>, Refusal>);

/// The services' look at a gathered stream, under way.
pub(crate) type Checking = Pin<Box<dyn Future<Output = Checked> + Send>>;

impl Screening {
    /// Watches a stream in this format.
    pub(crate) fn new(watch: &Arc<Watch>, format: Format) -> Box<Self> {
        let chosen = &watch.chosen;
        let built_in = (!chosen.texts.is_empty()).then(|| Screen::new(format, Arc::clone(&chosen.texts)));
        let gathered = (!chosen.asked.is_empty()).then(|| Screen::new(format, Arc::new([])));
        Box::new(Self { watch: Arc::clone(watch), as_it_comes: built_in, gathered, stopped: None })
    }

    /// Takes a part of the stream; `out` gets what may be handed on. Nothing more, once it is stopped.
    pub(crate) fn pass(&mut self, bytes: Bytes, out: &mut VecDeque<Bytes>) {
        self.run(Some(bytes), out);
    }

    /// The stream is over.
    pub(crate) fn finish(&mut self, out: &mut VecDeque<Bytes>) {
        self.run(None, out);
        if self.stopped.is_none()
            && let Some(gathered) = &mut self.gathered
            && gathered.finish(&mut |_| {}).is_err()
        {
            self.stopped = Some(self.unreadable());
        }
    }

    /// Who stopped the stream, if anybody did.
    pub(crate) fn stopped(&self) -> Option<&Refusal> {
        self.stopped.as_ref()
    }

    /// Whether nothing that the stream says may be handed on yet: if it is refused now, it never began.
    pub(crate) fn waits_at_start(&self) -> bool {
        self.gathers() || self.as_it_comes.as_ref().is_some_and(Screen::waits_at_start)
    }

    /// Whether it waits to be looked at whole: then nothing comes out before [`Screening::check`].
    pub(crate) fn gathers(&self) -> bool {
        self.gathered.is_some()
    }

    /// What the built-in guardrails did.
    pub(crate) fn marks(&self) -> Option<&GuardrailMarks> {
        self.as_it_comes.as_ref().map(Screen::marks).filter(|marks| !marks.is_empty())
    }

    /// Asks the services about the stream that was gathered.
    pub(crate) fn check(self: Box<Self>) -> Checking {
        let watch = Watch {
            chosen: Chosen {
                names: self.watch.chosen.names.clone(),
                texts: Arc::new([]),
                asked: self.watch.chosen.asked.clone(),
            },
            call: self.watch.call.clone(),
            model: self.watch.model.clone(),
            caller: Arc::clone(&self.watch.caller),
        };
        Box::pin(async move {
            let mut marks = GuardrailMarks::new();
            let texts: Vec<String> = self.gathered.iter().flat_map(Screen::gathered).collect();
            let texts = texts.iter().map(String::as_str).collect();
            let new = watch.check(Side::Answer, texts, &[], &mut marks).await;
            (self, marks, new)
        })
    }

    /// Puts a gathered stream out, with these texts in place of its own.
    pub(crate) fn put(&mut self, new: &[(usize, String)], out: &mut VecDeque<Bytes>) {
        if let Some(gathered) = &mut self.gathered {
            gathered.put_gathered(new, &mut |bytes| out.push_back(bytes));
        }
    }

    fn run(&mut self, bytes: Option<Bytes>, out: &mut VecDeque<Bytes>) {
        if self.stopped.is_some() {
            return;
        }
        let Self { as_it_comes, gathered, .. } = self;
        let mut late = Ok(());
        let mut put = |bytes: Bytes| match gathered {
            None => out.push_back(bytes),
            Some(gathered) if late.is_ok() => late = gathered.push(bytes, &mut |_| {}),
            Some(_) => {}
        };
        let looked = match (as_it_comes, bytes) {
            (Some(screen), Some(bytes)) => screen.push(bytes, &mut put),
            (Some(screen), None) => screen.finish(&mut put),
            (None, Some(bytes)) => {
                put(bytes);
                Ok(())
            }
            (None, None) => Ok(()),
        };
        match looked.and(late) {
            Ok(()) => {}
            Err(Stopped::Denied(guardrail)) => self.stopped = Some(Refusal { guardrail, message: None }),
            Err(Stopped::Unreadable) => self.stopped = Some(self.unreadable()),
        }
    }

    fn unreadable(&self) -> Refusal {
        self.watch.unreadable("the answer can't be read, or more of it would have to wait than may")
    }
}

/// Adds marks to others.
pub(crate) fn add(to: &mut GuardrailMarks, marks: &GuardrailMarks) {
    for one in marks {
        mark(to, &one.name, &one.did, one.times);
    }
}
