//! One admitted call: who calls, what is asked, and what has been tried.

use std::cell::OnceCell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::advice::Advice;
use super::attempt::Open;
use super::candidate::{self, Considered};
use super::line::Waits;
use super::named::Named;
use super::observed::Observed;
use super::plan::{Last, Waiting};
use super::{BoundCaller, Engine, Runtime, has_strict_spend};
use crate::by_class::ByClass;
use crate::call::{Call, Rehearsal};
use crate::count::{Counted, Tokenizer};
use crate::decision::{Denial, Exclusion, Explanation, Reason};
use crate::hash;
use crate::ids::{ChannelId, ModelName};
use crate::ports::{Hook, Hooks, NoText, TextView};
use crate::prompt::{Prompt, Text};
use crate::record::AttemptRecord;
use crate::snapshot::{ModelGroup, Strategy};
use crate::tenant::Caller;
use crate::time::Timestamp;

/// How many names an "unknown model" answer lists at most.
const MAX_NAMES: usize = 32;

/// A call that was let in. The host drives it with [`Engine::next`] and [`Engine::observe`], then ends it with
/// [`Engine::finish`]. If it is dropped instead while an attempt is under way, what that attempt reserved is held:
/// nobody knows what it used. Never drop it while [`Engine::ledger`] is held by the same thread.
pub struct Admission {
    pub(super) runtime: Arc<Runtime>,
    pub(super) call: Call,
    /// The host can count tokens.
    pub(super) can_count: bool,
    pub(super) counted: Counted,
    pub(super) caller: Arc<BoundCaller>,
    /// The limits of the end customer and the tags that the call names.
    pub(super) named: Named,
    pub(super) explanation: Explanation,
    pub(super) advice: Advice,
    /// The hooks that scripts have for this caller.
    pub(super) hooks: Hooks,
    pub(super) seed: u64,
    pub(super) health_digest: u64,
    pub(super) admitted_at: Timestamp,
    pub(super) records: SmallVec<[AttemptRecord; 1]>,
    pub(super) open: Option<Open>,
    pub(super) last: Option<Last>,
    pub(super) first_byte_at: Option<Timestamp>,
    random: u64,
    /// The models tried: the requested one, then fallbacks as they come up. Never twice the same.
    pub(super) models: SmallVec<[ModelName; 2]>,
    /// The candidates of the last of them.
    pub(super) considered: Considered,
    /// The output ceiling of that model's group, where it has one of its own.
    pub(super) default_output: Option<u64>,
    /// Attempts at that model beyond the first, at most.
    pub(super) retries: u32,
    /// Those after failures of single classes.
    pub(super) retries_by: ByClass,
    /// Attempts at that model that count as such.
    pub(super) attempts_of_model: u32,
    /// The prompt is too long: for the requested model's candidates, which are all out, or for an upstream that said so.
    pub(super) too_long: bool,
    /// An upstream's content policy has refused the prompt.
    pub(super) objectionable: bool,
    pub(super) count_request: bool,
    pub(super) waiting: Option<Waiting>,
    pub(super) waits: Waits,
    /// A limit that says so was too small: cheaper models come first.
    pub(super) downgrades: bool,
    /// The model entered last is one of them.
    pub(super) is_downgraded: bool,
    /// A limit refused for good, so that nothing cheaper is looked for; or a script wants no further attempt.
    pub(super) over: bool,
    /// Why nothing could be tried: the most telling reason so far.
    pub(super) denial: Option<Denial>,
    /// What is replayed; none for calls that are made.
    pub(super) observed: Option<Box<Observed>>,
    /// How many tags the caller sent.
    pub(super) sent_tags: usize,
    /// The prompt, where scripts may look at it: before the call is let in, and when another model is put to them.
    pub(super) prompt: Option<Arc<Prompt>>,
}

/// The text of a call that is let in, opened when somebody may look at it, and shared with scripts in the shadow.
pub(super) struct LazyText<'a> {
    open: &'a dyn Fn() -> Arc<dyn TextView>,
    opened: OnceCell<Arc<Text>>,
}

impl<'a> LazyText<'a> {
    pub(super) fn new(open: &'a dyn Fn() -> Arc<dyn TextView>) -> Self {
        Self { open, opened: OnceCell::new() }
    }

    /// Of calls whose host doesn't have it.
    pub(super) fn none() -> Self {
        Self::new(&|| Arc::new(NoText))
    }

    fn opened(&self) -> Arc<Text> {
        Arc::clone(self.opened.get_or_init(|| Arc::new(Text::new((self.open)()))))
    }
}

/// A call that was refused, and every reason why.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    /// Why.
    pub denial: Denial,
    /// What led to it.
    pub explanation: Explanation,
}

impl Engine {
    /// Lets a call in, or refuses it. Nothing is reserved yet.
    ///
    /// `seed` is the call's only source of randomness: the same arguments give the same decision.
    ///
    /// # Errors
    /// [`Denied`] with the denial and every reason behind it.
    pub fn admit(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
    ) -> Result<Box<Admission>, Box<Denied>> {
        self.admit_with_text(call, caller, now, seed, &|| Arc::new(NoText))
    }

    /// The same, with the call's text for scripts that look at it: `text` is asked once at most, and only if one of them
    /// could. Without it they find an empty prompt.
    ///
    /// # Errors
    /// Likewise.
    pub fn admit_with_text(
        &self,
        call: Call,
        caller: &Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
        text: &dyn Fn() -> Arc<dyn TextView>,
    ) -> Result<Box<Admission>, Box<Denied>> {
        let runtime = self.runtime();
        let text = LazyText::new(text);
        if !runtime.trials.iter().any(|trial| trial.applies(caller)) {
            return self.decide(runtime, call, caller, (now, seed), &text);
        }
        let decided = self.decide(Arc::clone(&runtime), call.clone(), caller, (now, seed), &text);
        self.try_shadows(&runtime, &call, caller, (now, seed), &decided, &text);
        decided
    }

    /// Lets a call in, or refuses it; scripts in the shadow aren't asked.
    pub(super) fn decide(
        &self,
        runtime: Arc<Runtime>,
        mut call: Call,
        caller: &Arc<BoundCaller>,
        (now, seed): (Timestamp, u64),
        text: &LazyText<'_>,
    ) -> Result<Box<Admission>, Box<Denied>> {
        // What a credential says of the end customer isn't for the call to choose.
        if let Some(customer) = &caller.caller.customer {
            call.customer = Some(customer.to_string());
        }
        let mut admission = Box::new(Admission::new(runtime, call, Arc::clone(caller), now, seed));
        self.let_in(&mut admission, now, text)?;
        Ok(admission)
    }

    pub(super) fn let_in(
        &self,
        admission: &mut Admission,
        now: Timestamp,
        text: &LazyText<'_>,
    ) -> Result<(), Box<Denied>> {
        match self.choose(admission, now, text) {
            Ok(()) => {
                // Behind the scripts: they may tag the call.
                self.bind_named(admission, now);
                admission.waits.explained = admission.explanation.reasons().len();
                Ok(())
            }
            Err(denial) => {
                Err(Box::new(Denied { denial, explanation: std::mem::take(&mut admission.explanation) }))
            }
        }
    }

    /// Finds the model and the candidates of a call, and what scripts say of them.
    pub(super) fn choose(
        &self,
        admission: &mut Admission,
        now: Timestamp,
        text: &LazyText<'_>,
    ) -> Result<(), Denial> {
        admission.check_caller(now)?;
        admission.hooks = admission.runtime.policy.applies(&admission.caller.caller);
        admission.show_prompt(text);
        self.ask_admit(admission, now)?;
        let considered = match admission.advice.model.take() {
            Some(named) => admission.turn_to(named, now)?,
            None => admission.enter_requested(now)?,
        };
        admission.check_fallbacks()?;
        admission.note_why_nothing(&considered);
        self.ask_route(admission, now)?;
        admission.health_digest = candidate::health_digest(&admission.considered.ranked);
        admission.rehearse();
        let has_nothing = admission.considered.ranked.is_empty() && !admission.next_model(now);
        self.tell_failures(admission, now);
        if has_nothing { Err(admission.why_nothing()) } else { Ok(()) }
    }
}

impl Admission {
    /// How many tokens the input of the attempt under way is taken to be, when nobody reports it: as estimated, and never
    /// more than was reserved.
    pub fn input_estimate(&self) -> u64 {
        self.open.as_ref().map_or(self.call.input_estimate, |open| open.input_estimate(&self.call))
    }

    pub(super) fn new(
        runtime: Arc<Runtime>,
        call: Call,
        caller: Arc<BoundCaller>,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        Self {
            runtime,
            sent_tags: call.tags.len(),
            prompt: None,
            observed: None,
            call,
            can_count: false,
            counted: Counted::default(),
            caller,
            named: Named::default(),
            explanation: Explanation::default(),
            advice: Advice::default(),
            hooks: Hooks::NONE,
            seed,
            health_digest: 0,
            admitted_at: now,
            records: SmallVec::new(),
            open: None,
            last: None,
            first_byte_at: None,
            random: seed,
            models: SmallVec::new(),
            considered: Considered::default(),
            default_output: None,
            retries: 0,
            retries_by: ByClass::NONE,
            attempts_of_model: 0,
            too_long: false,
            objectionable: false,
            count_request: true,
            waiting: None,
            waits: Waits::default(),
            downgrades: false,
            is_downgraded: false,
            over: false,
            denial: None,
        }
    }

    /// In a replay: whether scripts have asked of the prompt what the record doesn't know.
    pub(super) fn is_unheard(&self) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| prompt.is_unheard())
    }

    /// Lets scripts look at the prompt, if any of them may want to.
    fn show_prompt(&mut self, text: &LazyText<'_>) {
        let looks = self.hooks.has(Hook::Admit) || self.hooks.has(Hook::Route);
        if !looks || !self.runtime.policy.reads_prompt(&self.caller.caller) {
            return;
        }
        let prompt = match self.observed.as_deref() {
            Some(observed) => Prompt::recorded(observed.record.replay.explanation.reasons()),
            None => Prompt::shared(text.opened()),
        };
        self.prompt = Some(Arc::new(prompt));
    }

    /// The call.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The host can count tokens: where a strict limit is too small for the bound by bytes and may do for the tokens,
    /// [`Engine::next`] says [`Next::Count`](super::Next::Count) before it refuses the call or lowers its ceiling.
    pub fn can_count(&mut self) {
        self.can_count = true;
    }

    /// What the host counted: no more input tokens than `input_bound` by this tokenizer, media by the worst formula. `None`
    /// if it couldn't count: the bound by bytes stands, and it isn't asked again.
    pub fn counted(&mut self, tokenizer: Tokenizer, input_bound: Option<u64>) {
        self.counted.set(tokenizer, input_bound.unwrap_or(u64::MAX));
    }

    /// Who calls.
    pub fn caller(&self) -> &BoundCaller {
        &self.caller
    }

    /// Who calls, shared.
    pub fn bound_caller(&self) -> &Arc<BoundCaller> {
        &self.caller
    }

    /// Whether a strict spend limit of the end customer or of a tag binds the call; see
    /// [`BoundCaller::has_strict_spend`].
    pub fn has_strict_spend_by_name(&self) -> bool {
        has_strict_spend(&self.named.limits)
    }

    pub(super) fn has_strict_spend(&self) -> bool {
        self.caller.has_strict_spend() || self.has_strict_spend_by_name()
    }

    /// Every reason so far.
    pub fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// How many attempts have been made, one under way included.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX).saturating_add(u32::from(self.open.is_some()))
    }

    /// The attempts that are over.
    pub fn attempt_records(&self) -> &[AttemptRecord] {
        &self.records
    }

    /// When the call was let in.
    pub fn admitted_at(&self) -> Timestamp {
        self.admitted_at
    }

    /// When the call as a whole must be over.
    pub fn deadline(&self) -> Timestamp {
        let ms = self.runtime.snapshot.declared.routing.deadline_ms;
        self.admitted_at.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// The channels of the current model's candidates, best first: what would be asked, in which order.
    pub fn order(&self) -> Vec<ChannelId> {
        let channels = self.runtime.snapshot.channels();
        self.considered
            .ranked
            .iter()
            .filter(|r| !r.out)
            .filter_map(|r| channels.get(r.candidate.channel as usize).map(|c| c.id.clone()))
            .collect()
    }

    /// The next random number of this call.
    pub(super) fn random(&mut self) -> u64 {
        hash::draw(&mut self.random)
    }

    fn check_caller(&self, now: Timestamp) -> Result<(), Denial> {
        Denial::of_caller(&self.caller.caller, self.call.client_ip, now).map_or(Ok(()), Err)
    }

    /// What the caller's word for a model means, the key's aliases and then the file's followed; and whether the caller may
    /// use it.
    pub(super) fn meant(&self, named: &ModelName) -> (ModelName, bool) {
        let caller = &self.caller.caller;
        let via = caller.aliases.get(named).unwrap_or(named);
        let meant = self.runtime.snapshot.unalias(via);
        (meant.clone(), caller.may_call_as(&[named.as_str(), via.as_str(), meant.as_str()]))
    }

    /// A list with a model that the caller may not use is refused as a whole, as a call for that model would be.
    fn check_fallbacks(&self) -> Result<(), Denial> {
        let own = self.call.fallbacks.iter().flatten();
        match own.into_iter().find(|named| !self.meant(named).1) {
            Some(named) => Err(self.unknown_model(Some(named.clone()))),
            None => Ok(()),
        }
    }

    /// Lets the requested model fail as the caller stages it.
    pub(super) fn rehearse(&mut self) {
        let Some(rehearsal) = self.call.rehearse else { return };
        let channels = self.order();
        self.considered = Considered::default();
        for channel in channels {
            self.explanation.push(Reason::Excluded { channel, why: Exclusion::Rehearsed });
        }
        self.too_long |= rehearsal == Rehearsal::ContextWindow;
        self.objectionable |= rehearsal == Rehearsal::ContentPolicy;
        self.note_denial(match rehearsal {
            Rehearsal::ContextWindow => Denial::ContextTooLong { largest: 0 },
            _ => Denial::NoChannel { retry_at: None },
        });
    }

    /// Follows aliases, the key's and then the file's, and considers the model that they lead to.
    fn enter_requested(&mut self, now: Timestamp) -> Result<ModelName, Denial> {
        let (meant, allowed) = self.meant(&self.call.model);
        if meant != self.call.model {
            self.explanation.push(Reason::Alias { from: self.call.model.clone(), to: meant.clone() });
        }
        if allowed && self.enter_model(&meant, now) { Ok(meant) } else { Err(self.unknown_model(None)) }
    }

    /// Considers a model's candidates; false when there is no such model, or none that the caller's groups reach. Whether the caller may use it is for whoever
    /// calls this to have checked.
    pub(super) fn enter_model(&mut self, model: &ModelName, now: Timestamp) -> bool {
        let runtime = Arc::clone(&self.runtime);
        let declared = &runtime.snapshot.declared;
        let Some(group) = runtime.snapshot.model_group(model.as_str()) else { return false };
        if !runtime.snapshot.is_group_open(group, &self.caller.caller) {
            self.note_closed(&runtime, model, group);
            return false;
        }
        // A name that a wildcard serves may have settings of its own.
        let settings = declared.model_groups.get(model).unwrap_or(&group.settings);
        let fallback = u32::try_from(self.models.len()).unwrap_or(u32::MAX);
        self.explanation.push(Reason::Model { model: model.clone(), fallback });
        self.models.push(model.clone());
        // What is drawn for one model doesn't depend on how often was drawn for those before: a replay may wait less often.
        self.random = if fallback == 0 { self.seed } else { hash::join(self.seed, u64::from(fallback)) };
        if let Some(observed) = self.observed.as_deref_mut() {
            observed.enter(model);
        }
        self.retries = settings.retries.unwrap_or(declared.routing.retries);
        self.retries_by = settings.retries_by.or(&declared.routing.retries_by);
        self.advice.forget_fallback();
        self.default_output = settings.default_output;
        self.attempts_of_model = 0;
        let strategy = match self.call.bound {
            true => Strategy::Affinity,
            false => settings.strategy.unwrap_or(declared.routing.strategy),
        };
        self.considered = candidate::consider(&runtime, self, group, strategy, now);
        self.heed();
        true
    }

    /// Says, for operators, why there is no such model for the caller's groups.
    fn note_closed(&mut self, runtime: &Runtime, model: &ModelName, group: &ModelGroup) {
        let fallback = u32::try_from(self.models.len()).unwrap_or(u32::MAX);
        self.explanation.push(Reason::Model { model: model.clone(), fallback });
        for (channel, _) in group.candidates.iter().filter_map(|it| runtime.snapshot.resolve(*it)) {
            self.explanation.push(Reason::Excluded { channel: channel.id.clone(), why: Exclusion::Group });
        }
    }

    /// Remembers why the model just entered has no candidate at all.
    pub(super) fn note_why_nothing(&mut self, model: &ModelName) {
        if !self.considered.ranked.is_empty() {
            return;
        }
        self.too_long |= self.models.len() == 1 && self.considered.too_small.is_some();
        let denial = if let Some(retry_at) = self.considered.back_at {
            Denial::NoChannel { retry_at: Some(retry_at) }
        } else if let Some(largest) = self.considered.too_small {
            Denial::ContextTooLong { largest }
        } else if self.considered.unpriced {
            Denial::Unpriced { model: model.clone() }
        } else if self.considered.lacking.any() {
            Denial::Lacks { model: model.clone(), lacks: self.considered.lacking }
        } else if let Some(speaks) = self.considered.speaks.filter(|_| !self.considered.otherwise) {
            Denial::WrongFormat { model: model.clone(), asked: self.call.format, speaks }
        } else {
            Denial::NoChannel { retry_at: None }
        };
        self.note_denial(denial);
    }

    /// A limit of the caller's own chain says more than anything else, and the last one stands for them all. Otherwise
    /// what is said of the requested model stays; of several times, the first at which something comes back.
    pub(super) fn note_denial(&mut self, denial: Denial) {
        match (&mut self.denial, denial) {
            (known, Denial::Limit(hit)) => *known = Some(Denial::Limit(hit)),
            (known @ None, denial) => *known = Some(denial),
            // One that would take it comes back.
            (known @ Some(Denial::Lacks { .. }), denial @ Denial::NoChannel { retry_at: Some(_) }) => {
                *known = Some(denial);
            }
            (Some(Denial::NoChannel { retry_at: known }), Denial::NoChannel { retry_at: Some(at) }) => {
                *known = Some(known.map_or(at, |known| known.min(at)));
            }
            _ => {}
        }
    }

    pub(super) fn why_nothing(&self) -> Denial {
        self.denial.clone().unwrap_or(Denial::NoChannel { retry_at: None })
    }

    /// The denial of `model`, or of what was asked for, for want of such a model.
    pub(super) fn unknown_model(&self, model: Option<ModelName>) -> Denial {
        let model = model.unwrap_or_else(|| self.call.model.clone());
        self.unknown_to(&self.caller.caller, model)
    }

    /// Why the call can't go on once its caller is this: the model that was asked for, or the one that is tried, is theirs no
    /// more. `None` when it can.
    pub fn lost_model(&self, caller: &Caller) -> Option<Denial> {
        let asked = &self.call.model;
        let may = |caller: &Caller, model: &ModelName| {
            let via = caller.aliases.get(model).unwrap_or(model);
            let meant = self.runtime.snapshot.unalias(via);
            caller.may_call_as(&[model.as_str(), via.as_str(), meant.as_str()])
        };
        // What a script has put in the place of what was asked for wasn't asked for by the caller.
        let lost = |model: &ModelName| may(&self.caller.caller, model) && !may(caller, model);
        let is_lost = lost(asked) || self.models.last().is_some_and(lost);
        is_lost.then(|| self.unknown_to(caller, asked.clone()))
    }

    fn unknown_to(&self, caller: &Caller, model: ModelName) -> Denial {
        let own = caller
            .aliases
            .iter()
            .filter(|(name, meant)| caller.may_call_as(&[name.as_str(), meant.as_str()]));
        let mut available: Vec<ModelName> = own.map(|(name, _)| name.clone()).collect();
        let snapshot = &self.runtime.snapshot;
        for name in snapshot.model_names() {
            let is_known = caller.may_call(name.as_str()) && snapshot.is_open(name, caller);
            if is_known && !available.contains(name) {
                available.push(name.clone());
            }
            // BOUND: all names are for the list of models to tell.
            if available.len() >= MAX_NAMES {
                break;
            }
        }
        available.truncate(MAX_NAMES);
        Denial::UnknownModel { model, available }
    }
}
