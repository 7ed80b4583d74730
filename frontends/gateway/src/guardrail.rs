//! Guardrails around a call: asked before it is sent and before its answer is handed on.
//!
//! A call that none is attached to pays for one look at an empty list. The built-in ones look first, all of them together,
//! then the operator's services in the order of the configuration, each at what the one before has left.

mod http;
mod screening;
mod way;

use std::sync::Arc;

pub use async_trait::async_trait;
use bytes::Bytes;
use sluicegate_core::engine::{BoundCaller, Denied};
use sluicegate_core::guardrail::{
    Attachment, GuardrailAction, GuardrailKind, GuardrailMarks, GuardrailSource, Scanner, TextGuard, mark,
};
use sluicegate_core::tenant::Caller;
use sluicegate_core::{CallId, Denial, Error, ErrorKind, Explanation, Format, ModelName, Result, decision};
use sluicegate_wire::{Scanned, Texts, without_logprobs};

use crate::answer::{Inbound, Rejection};
use crate::body_text::BodyText;
use crate::gateway::Inner;
use crate::running::told;
use crate::secret::Secrets;
use http::HttpGuardrail;
pub(crate) use screening::{Checked, Checking, Screening, add};
pub use sluicegate_wire::Side;
use way::Ways;

/// What is said of something found that can't be masked where it stands.
const LEFT: &str = "left";

/// Looks at the texts of calls and answers.
#[async_trait]
pub trait Guardrail: Send + Sync {
    /// Looks at the texts. What it can't find out it decides by itself, as its operator wants: this never fails.
    async fn check(&self, look: &Look<'_>) -> Ruling;
}

/// A guardrail of the host's own, in Rust. It is asked behind those that the configuration declares, of every call.
#[derive(Clone)]
pub struct OwnGuardrail {
    /// Its name, for messages, headers and records.
    pub name: Arc<str>,
    /// Whether it looks at what callers send.
    pub input: bool,
    /// Whether it looks at what models answer. Streams are gathered for it, up to 8 MiB.
    pub output: bool,
    /// What looks.
    pub guardrail: Arc<dyn Guardrail>,
}

/// What a guardrail sees.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Whether it is a request or an answer.
    pub side: Side,
    /// The call's id.
    pub call: &'a CallId,
    /// The model, as requested.
    pub model: &'a str,
    /// Who calls.
    pub caller: &'a BoundCaller,
    /// The texts, decoded.
    pub texts: &'a [&'a str],
    /// Those of them, by index and in order, that stay as they are, whatever is put in their place: reasoning that an earlier answer has signed.
    pub sealed: &'a [usize],
}

/// What a guardrail has found.
#[derive(Clone, Debug, Default)]
pub struct Ruling {
    /// It refuses.
    pub refused: Option<Refusal>,
    /// Texts to put in place of those of the same index.
    pub texts: Vec<(usize, String)>,
    /// What it did.
    pub marks: GuardrailMarks,
}

/// A guardrail's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The guardrail's name.
    pub guardrail: Arc<str>,
    /// What a service says, or why it couldn't be asked.
    pub message: Option<String>,
}

impl Refusal {
    /// The refusal for the caller.
    pub(crate) fn rejection(&self) -> Box<Rejection> {
        let error = decision::guardrail_error(&self.guardrail, self.message.as_deref());
        let mut rejection = Rejection::new(error);
        // Anthropic's format has no usual code.
        rejection.report.code = Some(ErrorKind::GuardrailDenied.as_str().to_owned());
        Box::new(rejection)
    }
}

/// The guardrails of a configuration.
#[derive(Default)]
pub(crate) struct Guardrails {
    list: Vec<Attached>,
}

struct Attached {
    name: Arc<str>,
    asked_as: Arc<str>,
    default_on: bool,
    input: bool,
    output: bool,
    of: Attachment,
    does: Does,
}

#[derive(Clone)]
enum Does {
    Text(Arc<TextGuard>),
    Ask(Arc<dyn Guardrail>),
}

impl Guardrails {
    /// Builds what is declared.
    ///
    /// # Errors
    /// `Config` when one can't work.
    pub(crate) fn build(sources: &[GuardrailSource], secrets: &Secrets) -> Result<Self> {
        let wrong = |name: &str, why: &str| {
            Error::new(ErrorKind::Config, format!("the guardrail `{name}` can't be used: {why}"))
        };
        let build = |source: &GuardrailSource| {
            let does = match &source.kind {
                GuardrailKind::Text(rules) => Does::Text(Arc::new(
                    TextGuard::compile(&source.name, rules).map_err(|why| wrong(&source.name, &why))?,
                )),
                GuardrailKind::Http(rules) => {
                    let credential = secrets
                        .resolve(&rules.credential)
                        .map_err(|why| wrong(&source.name, why.message()))?;
                    Does::Ask(Arc::new(HttpGuardrail::new(&source.name, rules, credential)?))
                }
            };
            Ok(Attached {
                name: Arc::clone(&source.name),
                asked_as: Arc::clone(&source.asked_as),
                default_on: source.default_on,
                input: source.input,
                output: source.output,
                of: source.of.clone(),
                does,
            })
        };
        Ok(Self { list: sources.iter().map(build).collect::<Result<_>>()? })
    }

    /// With the host's own behind them.
    pub(crate) fn and(mut self, own: Vec<OwnGuardrail>) -> Self {
        let attached = |OwnGuardrail { name, input, output, guardrail }| Attached {
            asked_as: Arc::clone(&name),
            default_on: true,
            name,
            input,
            output,
            of: Attachment::default(),
            does: Does::Ask(guardrail),
        };
        self.list.extend(own.into_iter().map(attached));
        self
    }

    /// Whether a call needn't be looked at: there are none, and none is asked for.
    pub(crate) fn is_idle(&self, caller: &BoundCaller, asked: &[String]) -> bool {
        self.is_empty() && caller.caller.guardrails.is_empty() && asked.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that look at this side of a call that may end at these models.
    fn of<'a>(
        &self,
        side: Side,
        caller: &Caller,
        asked: &[String],
        models: impl Iterator<Item = &'a str> + Clone,
    ) -> Chosen {
        let chosen = self.list.iter().filter(|it| {
            it.looks(side) && it.is_for(caller, asked) && it.covers(caller, asked, models.clone())
        });
        let (mut names, mut texts, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for attached in chosen {
            names.push(Arc::clone(&attached.name));
            match &attached.does {
                Does::Text(guard) => texts.push(Arc::clone(guard)),
                Does::Ask(port) => asked.push(Arc::clone(port)),
            }
        }
        Chosen { names, texts: texts.into(), asked }
    }
}

impl Guardrails {
    /// Refuses names that mean nothing: of a call, and of its key or group. Whoever asks for a look doesn't go without.
    pub(crate) fn check_names(&self, caller: &Caller, asked: &[String]) -> Result<()> {
        let is_known = |name: &str| self.list.iter().any(|it| *it.asked_as == *name);
        if let Some(name) = caller.guardrails.iter().find(|name| !is_known(name)) {
            let message = format!(
                "calls of this key are to be looked at by the guardrail `{name}`, and there is none of this name: tell the operator"
            );
            return Err(Error::new(ErrorKind::GuardrailDenied, message));
        }
        let theirs = || self.list.iter().filter(|it| it.is_theirs(caller));
        let Some(name) = asked.iter().find(|name| !theirs().any(|it| *it.asked_as == ***name)) else {
            return Ok(());
        };
        let mut names: Vec<_> = theirs().map(|it| format!("`{}`", it.asked_as)).collect();
        names.dedup();
        let remedy = match names.is_empty() {
            true => "leave it out: there is none to be asked for".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        // BOUND: a name is as long as a label may be.
        let message = format!("there is no guardrail `{name}` for this key: {remedy}");
        Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "guardrails"))
    }
}

impl Attached {
    /// Whether the caller may ask for it: it is attached to them, or their key or group asks for it already.
    fn is_theirs(&self, caller: &Caller) -> bool {
        self.of.covers_caller(caller) || caller.guardrails.contains(&self.asked_as)
    }

    /// Whether it looks at calls of this caller who asks for these.
    fn is_for(&self, caller: &Caller, asked: &[String]) -> bool {
        let is_on = || self.default_on || self.is_named(asked);
        caller.guardrails.contains(&self.asked_as) || is_on() && self.of.covers_caller(caller)
    }

    /// Whether it looks at these models' calls. Whoever asks for a look gets it whatever the model: nobody asks for nothing.
    fn covers<'a>(&self, caller: &Caller, asked: &[String], models: impl Iterator<Item = &'a str>) -> bool {
        self.of.covers_any(models) || self.is_named(asked) || caller.guardrails.contains(&self.asked_as)
    }

    fn is_named(&self, asked: &[String]) -> bool {
        asked.iter().any(|name| **name == *self.asked_as)
    }

    fn looks(&self, side: Side) -> bool {
        match side {
            Side::Request => self.input,
            Side::Answer => self.output,
        }
    }
}

/// The guardrails that look at one side of a call.
#[derive(Clone)]
pub(crate) struct Chosen {
    names: Vec<Arc<str>>,
    texts: Arc<[Arc<TextGuard>]>,
    asked: Vec<Arc<dyn Guardrail>>,
}

/// The guardrails that look at a call's answer.
pub(crate) struct Watch {
    chosen: Chosen,
    call: CallId,
    model: ModelName,
    caller: Arc<BoundCaller>,
}

impl Watch {
    /// Looks at a whole answer: what is left of it.
    pub(crate) async fn answer(
        &self,
        format: Format,
        body: Bytes,
        marks: &mut GuardrailMarks,
    ) -> Result<Bytes, Refusal> {
        let body = without_logprobs(body);
        let texts = Texts::of(format, Side::Answer, &body);
        if !texts.is_readable() {
            return Err(self.unreadable("the answer can't be read"));
        }
        let new = self.check(Side::Answer, texts.iter().collect(), &[], marks).await?;
        Ok(if new.is_empty() { body } else { texts.replaced(&new) })
    }

    /// What can't be looked at isn't handed on. In the name of the first that would have looked.
    fn unreadable(&self, why: &str) -> Refusal {
        let name = self.chosen.names.first().cloned().unwrap_or_else(|| "guardrail".into());
        Refusal { guardrail: name, message: Some(why.to_owned()) }
    }

    /// Asks everybody: the texts that are to be replaced.
    async fn check(
        &self,
        side: Side,
        texts: Vec<&str>,
        sealed: &[usize],
        marks: &mut GuardrailMarks,
    ) -> Result<Vec<(usize, String)>, Refusal> {
        let mut new: Vec<Option<String>> = vec![None; texts.len()];
        let built_in: Option<&dyn Guardrail> =
            (!self.chosen.texts.is_empty()).then_some(&self.chosen.texts as &dyn Guardrail);
        for port in built_in.into_iter().chain(self.chosen.asked.iter().map(|port| &**port)) {
            let seen: Vec<&str> =
                texts.iter().zip(&new).map(|(old, new)| new.as_deref().unwrap_or(old)).collect();
            let look = Look {
                side,
                call: &self.call,
                model: self.model.as_str(),
                caller: &self.caller,
                texts: &seen,
                sealed,
            };
            let ruling = port.check(&look).await;
            for one in &ruling.marks {
                mark(marks, &one.name, &one.did, one.times);
            }
            if let Some(refusal) = ruling.refused {
                return Err(refusal);
            }
            for (at, text) in ruling.texts.into_iter().filter(|(at, _)| sealed.binary_search(at).is_err()) {
                if let Some(place) = new.get_mut(at) {
                    *place = Some(text);
                }
            }
        }
        Ok(new.into_iter().enumerate().filter_map(|(at, text)| Some((at, text?))).collect())
    }
}

/// The built-in guardrails of a call.
#[async_trait]
impl Guardrail for Arc<[Arc<TextGuard>]> {
    async fn check(&self, look: &Look<'_>) -> Ruling {
        let mut ruling = Ruling::default();
        for (at, text) in look.texts.iter().enumerate() {
            let (masked, mut scanner) = Scanner::whole(self, text);
            let is_sealed = look.sealed.binary_search(&at).is_ok();
            for one in scanner.take_marks() {
                let did =
                    if is_sealed && *one.did == *GuardrailAction::Mask.done() { LEFT } else { &one.did };
                mark(&mut ruling.marks, &one.name, did, one.times);
            }
            if let Some(name) = scanner.denied() {
                ruling.refused = Some(Refusal { guardrail: Arc::clone(name), message: None });
                return ruling;
            }
            ruling.texts.extend(masked.filter(|_| !is_sealed).map(|masked| (at, masked)));
        }
        ruling
    }
}

/// What guardrails leave of a request.
pub(crate) struct Watched {
    pub(crate) scanned: Box<Scanned>,
    /// What is known of the call for those that look at its answer.
    pub(crate) looked: Option<Box<Looked>>,
    pub(crate) marks: GuardrailMarks,
}

/// A request that guardrails have looked at.
pub(crate) struct Looked {
    ways: Ways,
    /// Whom the call asks for.
    asked: Vec<String>,
    call: CallId,
    model: ModelName,
    caller: Arc<BoundCaller>,
}

impl Looked {
    /// What guardrails go by: the model asked for, and those that the caller would take for it.
    pub(crate) fn new<'a>(
        inner: &Inner,
        caller: &Arc<BoundCaller>,
        call: CallId,
        asked: &[String],
        first: &'a str,
        others: impl Iterator<Item = &'a str>,
    ) -> Self {
        let ways = Ways::of(&inner.engine.snapshot().declared, &caller.caller, first, others);
        Self { ways, asked: asked.to_vec(), call, model: first.into(), caller: Arc::clone(caller) }
    }

    /// The first guardrail that would look at this side of the call.
    pub(crate) fn first(&self, inner: &Inner, side: Side) -> Option<Arc<str>> {
        self.chosen(inner, side, self.ways.all()).names.into_iter().next()
    }

    /// Who looks at this model's answer, if anybody does.
    pub(crate) fn watch(&self, inner: &Inner, model: &str) -> Option<Arc<Watch>> {
        let chosen = self.chosen(inner, Side::Answer, self.ways.to(model));
        (!chosen.is_empty()).then(|| Arc::new(self.by(chosen)))
    }

    fn chosen<'a>(&self, inner: &Inner, side: Side, models: impl Iterator<Item = &'a str> + Clone) -> Chosen {
        inner.guardrails.of(side, &self.caller.caller, &self.asked, models)
    }

    /// A guardrail that looks at requests to this model and hasn't seen this one, for nothing said that it might end there.
    pub(crate) fn unseen(&self, inner: &Inner, model: &str) -> Option<Refusal> {
        let guards = &inner.guardrails.list;
        if self.ways.all().any(|known| known == model) {
            return None;
        }
        let (caller, model) = (&self.caller.caller, std::iter::once(model));
        let unseen = guards.iter().find(|it| {
            it.input
                && it.is_for(caller, &self.asked)
                && it.covers(caller, &self.asked, model.clone())
                && !it.covers(caller, &self.asked, self.ways.all())
        })?;
        let message = "a script led this call to a model whose requests it looks at; attach it to the requested model, too";
        Some(Refusal { guardrail: Arc::clone(&unseen.name), message: Some(message.to_owned()) })
    }

    fn by(&self, chosen: Chosen) -> Watch {
        Watch { chosen, call: self.call.clone(), model: self.model.clone(), caller: Arc::clone(&self.caller) }
    }
}

/// Looks at a request before anything is decided about it, as long as its caller may make it at all. What is masked is read
/// anew, so that every bound is that of what is sent.
pub(crate) async fn request(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    scanned: Box<Scanned>,
    inbound: &mut Inbound,
) -> std::result::Result<Watched, Box<Rejection>> {
    let mut watched = Watched { scanned, looked: None, marks: GuardrailMarks::new() };
    let now = inner.clock.now();
    if Denial::of_caller(&caller.caller, inbound.client_ip, now).is_some() {
        // Whoever may do nothing isn't worth a look; the engine tells them.
        return Ok(watched);
    }
    let call = inbound.id.get_or_insert_with(|| inner.call_id()).clone();
    let facts = watched.scanned.facts();
    let (first, others) = facts.models();
    let others = others.chain(facts.fallbacks.iter().map(String::as_str));
    inner.guardrails.check_names(&caller.caller, &facts.guardrails).map_err(Rejection::new)?;
    let looked = Box::new(Looked::new(inner, caller, call, &facts.guardrails, first, others));
    let input = looked.by(looked.chosen(inner, Side::Request, looked.ways.all()));
    if !input.chosen.asked.is_empty() {
        let call = crate::serve::read_call(inner, &watched.scanned, inbound).map_err(Rejection::new)?;
        // A service isn't bothered with what goes nowhere.
        let seed = inner.seed();
        let text = || BodyText::of(&watched.scanned);
        if let Err(denied) = inner.engine.would_admit(call.clone(), caller, now, seed, &text) {
            return Err(crate::serve::deny(inner, caller, call, &denied, (now, seed), inbound.explain, None));
        }
    }
    if !input.chosen.is_empty() {
        let body = watched.scanned.body().clone();
        let texts = Texts::of(inbound.format, Side::Request, &body);
        let all: Vec<&str> = texts.iter().collect();
        let sealed: Vec<usize> = (0..all.len()).filter(|at| texts.is_sealed(*at)).collect();
        match input.check(Side::Request, all, &sealed, &mut watched.marks).await {
            Ok(new) if new.is_empty() => {}
            Ok(new) => {
                watched.scanned =
                    watched.scanned.rescan(&texts.replaced(&new)).map(Box::new).map_err(|why| {
                        Box::new(Rejection::new(Error::new(why.kind(), why.message().to_owned())))
                    })?;
            }
            Err(refusal) => return Err(refuse(inner, caller, &watched, inbound, refusal)),
        }
    }
    watched.looked = Some(looked);
    Ok(watched)
}

impl Chosen {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.asked.is_empty()
    }
}

/// Refuses a request: nothing was reserved, and its record says who refused it.
fn refuse(
    inner: &Inner,
    caller: &Arc<BoundCaller>,
    watched: &Watched,
    inbound: &Inbound,
    refusal: Refusal,
) -> Box<Rejection> {
    let call = match crate::serve::read_call(inner, &watched.scanned, inbound) {
        Ok(call) => call,
        Err(error) => return Box::new(Rejection::new(error)),
    };
    let mut rejection = refusal.rejection();
    rejection.facts.id = Some(call.id.clone());
    let denial =
        Denial::Guardrail { guardrail: refusal.guardrail.to_string(), message: refusal.message.clone() };
    let denied = Denied { denial, explanation: Explanation::default() };
    let now = inner.clock.now();
    if inbound.explain {
        rejection.facts.told = Some(told(inner, caller, &denied.explanation, now));
    }
    let mut record = inner.engine.refuse(call, caller, &denied, now, inner.seed());
    record.guardrails.clone_from(&watched.marks);
    note_refusal(&mut record.guardrails, &refusal);
    rejection.facts.guardrails.clone_from(&record.guardrails);
    inner.records.push(record);
    rejection
}

/// A refusal is counted once.
pub(crate) fn note_refusal(marks: &mut GuardrailMarks, refusal: &Refusal) {
    if !marks.iter().any(|mark| mark.name == refusal.guardrail && &*mark.did == "denied") {
        mark(marks, &refusal.guardrail, "denied", 1);
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
