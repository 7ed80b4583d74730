//! What scripts advise, and how far it is heeded: it steers, and never widens access.

use std::sync::Arc;

use smallvec::SmallVec;

use super::admission::Admission;
use super::candidate::{self, Ranked};
use super::standing::Limits;
use super::{Engine, Runtime};
use crate::channel::Channel;
use crate::decision::{Denial, Exclusion, OutcomeClass, Reason};
use crate::ids::ModelName;
use crate::ports::{Alert, Asked, AttemptView, CallView, Hook, PolicyRun, UsageView, Verdict};
use crate::snapshot::Reach;
use crate::tenant::Preference;
use crate::time::Timestamp;

/// How many tags a call may have for scripts to give it more after it was let in.
const MAX_LATE_TAGS: usize = 64;
/// How far scripts reach, in the order of [`Advice`]'s fallbacks.
const REACHES: [Reach; 4] = [Reach::Everybody, Reach::Organization, Reach::Group, Reach::Key];

/// What all scripts together advise. It holds for the call as a whole: for fallback models too.
#[derive(Debug, Default)]
pub(super) struct Advice {
    exclude: Vec<Preference>,
    /// One list for each script that prefers something, in the order in which they ran.
    prefer: Vec<Vec<Preference>>,
    /// The fallbacks that scripts of each reach said last.
    fallbacks: [Option<Vec<ModelName>>; 4],
    /// What is left of them: of a wider scope's list, what narrower ones keep.
    pub(super) fallback: Option<Vec<ModelName>>,
    /// Whether one of them was said of a failure: they then stand for every kind of fallback.
    pub(super) answers_failure: bool,
    /// Another model that a script asks for before any is considered.
    pub(super) model: Option<ModelName>,
    /// Whose script has asked for another model.
    model_of: Option<Reach>,
    pub(super) max_output: Option<u64>,
    /// What they said of the fallback model that is being considered, and holds for it alone.
    of_fallback: OfFallback,
    /// Scripts that failed, and how, of which the host hasn't been told.
    failures: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct OfFallback {
    exclude: Vec<Preference>,
    max_output: Option<u64>,
}

/// What is asked of scripts about a model.
#[derive(Clone, Copy)]
struct Question<'a> {
    model: &'a ModelName,
    /// How far who brought it in reaches; `None` for the caller.
    by: Option<Reach>,
    hooks: &'a [Hook],
    /// Whether it is a fallback, so that what they say holds for it alone: a call that has waited begins anew without it.
    is_fallback: bool,
}

impl Engine {
    /// Runs the scripts that want to know of the call before anything is looked for.
    pub(super) fn ask_admit(&self, admission: &mut Admission, now: Timestamp) -> Result<(), Denial> {
        if !admission.hooks.has(Hook::Admit) {
            return Ok(());
        }
        let (model, _) = admission.meant(&admission.call.model);
        let runs = admission.consult(Hook::Admit, &model, Asked::Advice, now);
        self.follow(admission, Hook::Admit, runs, now)
    }

    /// Runs the scripts that say where the call goes.
    pub(super) fn ask_route(&self, admission: &mut Admission, now: Timestamp) -> Result<(), Denial> {
        if !admission.hooks.has(Hook::Route) {
            return Ok(());
        }
        let model = admission.considered_model().clone();
        let runs = admission.consult(Hook::Route, &model, Asked::Advice, now);
        self.follow(admission, Hook::Route, runs, now)
    }

    /// Tells the host of scripts that failed while they were asked of a model.
    pub(super) fn tell_failures(&self, admission: &mut Admission, now: Timestamp) {
        let is_quiet = admission.runtime.is_quiet;
        for (policy, error) in admission.advice.failures.drain(..).filter(|_| !is_quiet) {
            self.alert_of_script(&policy.clone(), now, Alert::PolicyFailed { policy, error });
        }
    }

    /// Runs the scripts that say what becomes of a call whose attempt has failed before any content.
    pub(super) fn ask_on_error(&self, admission: &mut Admission, class: OutcomeClass, now: Timestamp) {
        if !admission.hooks.has(Hook::OnError) || class.is_final() || admission.first_byte_at.is_some() {
            return;
        }
        let known = admission.observed_standing(Hook::OnError);
        let runtime = Arc::clone(&admission.runtime);
        let (Some(last), Some(record)) = (admission.last, admission.records.last()) else { return };
        let Some(channel) = runtime.snapshot.channels().get(last.channel as usize) else { return };
        let attempt = AttemptView {
            channel,
            model: &record.model,
            outcome: class,
            status: record.status,
            number: u32::try_from(admission.records.len()).unwrap_or(u32::MAX),
            elapsed_ms: u64::from(record.duration_ms),
            key_fault: record.key_fault,
        };
        let limits = Limits::of(admission, known, now);
        let runs = runtime.policy.on_error(&admission.view(admission.considered_model(), &limits), &attempt);
        let noted = limits.noted(Hook::OnError);
        admission.explanation.extend(noted);
        // A refusal is none of this hook's affair, so there is none.
        let _ = self.follow(admission, Hook::OnError, runs, now);
    }

    /// Tells the scripts that want to know of a call that is over.
    pub(super) fn ask_finish(&self, admission: &mut Admission, now: Timestamp) {
        if !admission.hooks.has(Hook::Finish) {
            return;
        }
        let known = admission.observed_standing(Hook::Finish);
        let runtime = Arc::clone(&admission.runtime);
        let (usage, spend) = crate::record::totals(&admission.records);
        let since = |at: Timestamp| u64::try_from(at.since_ms(admission.admitted_at)).unwrap_or(0);
        let last = admission.last.and_then(|last| runtime.snapshot.channels().get(last.channel as usize));
        let view = UsageView {
            usage: &usage,
            spend,
            attempts: u32::try_from(admission.records.len()).unwrap_or(u32::MAX),
            outcome: admission.outcome(),
            latency_ms: since(now),
            first_byte_ms: admission.first_byte_at.map(since),
            channel: last,
            model: admission.records.last().map_or(&admission.call.model, |record| &record.model),
        };
        let limits = Limits::of(admission, known, now);
        let runs = runtime.policy.finish(&admission.view(admission.considered_model(), &limits), &view);
        let noted = limits.noted(Hook::Finish);
        admission.explanation.extend(noted);
        let _ = self.follow(admission, Hook::Finish, runs, now);
    }

    /// Notes what scripts said and keeps to what they may do.
    fn follow(
        &self,
        admission: &mut Admission,
        hook: Hook,
        runs: Vec<PolicyRun>,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let mut is_turned = false;
        for run in runs {
            admission.note_run(hook, &run);
            let policy = run.policy.to_string();
            match hook {
                Hook::Admit | Hook::Route => {
                    if let Some(message) = run.verdict.deny {
                        return Err(Denial::Policy { policy, message });
                    }
                    let model = admission.advise(run.reach, run.verdict);
                    is_turned |= model.is_some();
                    match (hook, model) {
                        (Hook::Admit, Some(named)) => admission.advice.model = Some(named),
                        (_, Some(named)) => drop(admission.turn_to(named, now)?),
                        (_, None) => {}
                    }
                    if let Some(model) = admission.models.last().cloned() {
                        admission.note_why_nothing(&model);
                    }
                }
                Hook::OnError => admission.advise_after_failure(run.reach, run.verdict),
                Hook::Finish => {
                    admission.tag_late(run.verdict.tags);
                    for text in run.verdict.alerts {
                        let call = admission.call.id.clone();
                        self.alert_of_script(
                            &policy,
                            now,
                            Alert::Policy { policy: policy.clone(), call, text },
                        );
                    }
                }
            }
        }
        self.tell_failures(admission, now);
        if is_turned { admission.put_to_wider(hook, now) } else { Ok(()) }
    }
}

/// Notes how candidates are doing as scripts see it: nothing else tells afterwards.
fn note_seen(admission: &mut Admission) {
    let Admission { runtime, considered, explanation, .. } = admission;
    for r in &considered.ranked {
        let Some(channel) = runtime.snapshot.channels().get(r.candidate.channel as usize) else { continue };
        let crate::health::HealthView { latency_us, in_flight, failures, .. } = r.health;
        explanation.push(Reason::Seen { channel: channel.id.clone(), latency_us, in_flight, failures });
    }
}

impl Advice {
    /// Another model is considered: what was said of the one before holds no longer.
    pub(super) fn forget_fallback(&mut self) {
        self.of_fallback = OfFallback::default();
    }

    /// The ceiling in force, in tokens.
    pub(super) fn ceiling(&self) -> Option<u64> {
        self.max_output.into_iter().chain(self.of_fallback.max_output).min()
    }

    /// Takes the fallbacks that a script of this reach wants. A narrower one chooses among what a wider one left, and
    /// of one reach the last word stands.
    fn set_fallback(&mut self, reach: Reach, models: Vec<ModelName>, runtime: &Runtime) {
        if let Some(said) = self.fallbacks.get_mut(reach as usize) {
            *said = Some(models);
        }
        let meant = |name: &ModelName| runtime.snapshot.unalias(name).clone();
        self.fallback = self.fallbacks.iter().flatten().fold(None, |left: Option<Vec<ModelName>>, said| {
            Some(match left {
                None => said.clone(),
                Some(left) => {
                    let left: Vec<ModelName> = left.iter().map(meant).collect();
                    said.iter().filter(|model| left.contains(&meant(model))).cloned().collect()
                }
            })
        });
    }
}

impl Admission {
    /// What every hook sees.
    fn view<'a>(&'a self, model: &'a ModelName, limits: &'a Limits<'a>) -> CallView<'a> {
        let (call, caller) = (&self.call, &self.caller.caller);
        let (asked, prompt) = (Asked::Advice, None);
        CallView { call, model, asked, caller, now: limits.now(), seed: self.seed, limits, prompt }
    }

    /// Notes what scripts were told of the prompt in this hook.
    fn note_prompt(&mut self, hook: Hook) {
        let noted = self.prompt.as_ref().and_then(|prompt| prompt.noted(hook));
        self.explanation.extend(noted);
    }

    /// The model that is being considered.
    fn considered_model(&self) -> &ModelName {
        self.models.last().unwrap_or(&self.call.model)
    }

    /// Runs the scripts of a hook before an attempt.
    fn consult(&mut self, hook: Hook, model: &ModelName, asked: Asked, now: Timestamp) -> Vec<PolicyRun> {
        let runtime = Arc::clone(&self.runtime);
        let is_route = hook == Hook::Route;
        if is_route && runtime.policy.reads_health(&self.caller.caller) {
            note_seen(self);
        }
        let known = self.observed_standing(hook);
        let limits = Limits::of(self, known, now);
        let mut view = CallView { asked, prompt: self.prompt.as_ref(), ..self.view(model, &limits) };
        if asked != Asked::Advice {
            // As if the caller had named it: and a record tells that time exactly.
            view.now = self.admitted_at;
        }
        let runs = match is_route {
            true => runtime
                .policy
                .route(&view, &candidate::views(&runtime, &self.call, &self.considered.ranked, view.now)),
            false => runtime.policy.admit(&view),
        };
        let noted = limits.noted(hook);
        self.explanation.extend(noted);
        self.note_prompt(hook);
        runs
    }

    /// Notes what a script said, or how it failed.
    fn note_run(&mut self, hook: Hook, run: &PolicyRun) {
        let verdict = run.error.clone().unwrap_or_else(|| describe(&run.verdict));
        let policy = run.policy.to_string();
        if let Some(error) = run.error.clone() {
            // BOUND: those that apply to one caller, for each model once; told with the next step.
            self.advice.failures.push((policy.clone(), error));
        }
        self.explanation.push(Reason::Policy { policy, hook, verdict, fuel: run.fuel });
    }

    /// Puts the model that a narrower script asks for to the wider ones: what they say of it stands, as if the caller had
    /// named it.
    fn put_to_wider(&mut self, hook: Hook, now: Timestamp) -> Result<(), Denial> {
        let hooks = if hook == Hook::Admit { &[Hook::Admit][..] } else { &[Hook::Admit, Hook::Route] };
        // BOUND: each turn's script reaches wider than the one before.
        while let Some(reach) = self.advice.model_of.filter(|reach| *reach > Reach::Everybody) {
            let model = match &self.advice.model {
                Some(named) => self.runtime.snapshot.unalias(named).clone(),
                None => self.considered_model().clone(),
            };
            let question = Question { model: &model, by: Some(reach), hooks, is_fallback: false };
            let Some((wider, named)) = self.ask_about(question, now)? else { break };
            self.advice.model_of = Some(wider);
            match hook {
                Hook::Admit => self.advice.model = Some(named),
                _ => drop(self.turn_to(named, now)?),
            }
        }
        Ok(())
    }

    /// Whether scripts keep a call from a fallback that the caller, or a script that reaches less far than they, has brought in.
    pub(super) fn is_barred(&mut self, model: &ModelName, now: Timestamp) -> bool {
        let by = match self.advice.fallbacks.iter().position(Option::is_some) {
            None if self.call.fallbacks.is_some() => None,
            // Configured.
            None | Some(0) => return false,
            Some(at) => {
                let runtime = Arc::clone(&self.runtime);
                let is = |named: &ModelName| runtime.snapshot.unalias(named) == model;
                if !self.advice.fallback.iter().flatten().any(is) {
                    return false;
                }
                REACHES.get(at).copied()
            }
        };
        // Whoever asks for another model doesn't want this one.
        let hooks = &[Hook::Admit, Hook::Route];
        !matches!(self.ask_about(Question { model, by, hooks, is_fallback: true }, now), Ok(None))
    }

    /// Asks the scripts that reach wider than who brought a model in whether the call may have this model. What they exclude and
    /// the ceilings that they set hold; gives the model that one of them asks for instead, and how far it reaches.
    fn ask_about(
        &mut self,
        question: Question<'_>,
        now: Timestamp,
    ) -> Result<Option<(Reach, ModelName)>, Denial> {
        let Question { model, by, hooks, is_fallback } = question;
        let mut instead: Option<(Reach, ModelName)> = None;
        for hook in
            hooks.iter().filter(|hook| self.hooks.has(**hook)).copied().collect::<SmallVec<[Hook; 2]>>()
        {
            for run in self.consult(hook, model, Asked::Model(by), now) {
                self.note_run(hook, &run);
                let Verdict { deny, exclude, model: other, max_output, .. } = run.verdict;
                if let Some(message) = deny {
                    return Err(Denial::Policy { policy: run.policy.to_string(), message });
                }
                if is_fallback {
                    let of = &mut self.advice.of_fallback;
                    of.max_output = of.max_output.into_iter().chain(max_output).min();
                    // BOUND: scripts are, and so is what one run may say.
                    of.exclude.extend(exclude);
                    self.heed();
                } else {
                    self.lower_ceiling(max_output);
                    self.steer(run.reach, Vec::new(), exclude, None);
                }
                let other = other.filter(|_| instead.as_ref().is_none_or(|(said, _)| run.reach <= *said));
                instead = other.map(|other| (run.reach, other)).or(instead);
            }
        }
        Ok(instead.filter(|(_, other)| self.runtime.snapshot.unalias(other) != model))
    }

    fn lower_ceiling(&mut self, max_output: Option<u64>) {
        if let Some(max) = max_output {
            self.advice.max_output = Some(self.advice.max_output.map_or(max, |known| known.min(max)));
        }
    }

    fn tag(&mut self, tags: impl IntoIterator<Item = String>) {
        for tag in tags {
            if !self.call.tags.contains(&tag) {
                self.call.tags.push(tag);
            }
        }
    }

    /// Tags that come after limits were bound: they are for the record, and nothing counts them.
    fn tag_late(&mut self, tags: Vec<String>) {
        // BOUND: see the constant.
        let room = MAX_LATE_TAGS.saturating_sub(self.call.tags.len());
        self.tag(tags.into_iter().take(room));
    }

    /// Keeps to a script's advice, as far as it doesn't widen access. Gives the other model that is to be asked for, if any.
    fn advise(&mut self, reach: Reach, verdict: Verdict) -> Option<ModelName> {
        let Verdict { prefer, exclude, model, fallback, max_output, tags, .. } = verdict;
        self.lower_ceiling(max_output);
        self.tag(tags);
        self.steer(reach, prefer, exclude, fallback);
        // What a wider scope asks for stands.
        let model = model.filter(|_| self.advice.model_of.is_none_or(|said| reach <= said));
        if model.is_some() {
            self.advice.model_of = Some(reach);
        }
        model
    }

    /// Asks for another model, which passes access as if the caller had named it.
    pub(super) fn turn_to(&mut self, named: ModelName, now: Timestamp) -> Result<ModelName, Denial> {
        let model = self.runtime.snapshot.unalias(&named).clone();
        (self.denial, self.too_long) = (None, false);
        self.models.clear();
        if self.caller.caller.may_call(model.as_str()) && self.enter_model(&model, now) {
            Ok(model)
        } else {
            Err(self.unknown_model(Some(named)))
        }
    }

    fn steer(
        &mut self,
        reach: Reach,
        prefer: Vec<Preference>,
        exclude: Vec<Preference>,
        fallback: Option<Vec<ModelName>>,
    ) {
        if let Some(models) = fallback {
            let runtime = Arc::clone(&self.runtime);
            self.advice.set_fallback(reach, models, &runtime);
        }
        if prefer.is_empty() && exclude.is_empty() {
            return;
        }
        // BOUND: scripts and attempts are, and so is what one run may say.
        self.advice.exclude.extend(exclude);
        if !prefer.is_empty() {
            self.advice.prefer.push(prefer);
        }
        self.heed();
    }

    /// Keeps to what a script advises after a failure. How often and how long a call is tried stays bounded as it was.
    fn advise_after_failure(&mut self, reach: Reach, verdict: Verdict) {
        let Verdict { prefer, exclude, fallback, tags, stop, .. } = verdict;
        self.tag_late(tags);
        // No more is tried: what the last attempt ended as is what the call ends as.
        self.over |= stop;
        self.advice.answers_failure |= fallback.is_some();
        self.steer(reach, prefer, exclude, fallback);
    }

    /// Applies what scripts have advised so far to the candidates. Doing it again changes nothing.
    pub(super) fn heed(&mut self) {
        let Self { runtime, advice, considered, explanation, .. } = self;
        let channel = |r: &Ranked| runtime.snapshot.channels().get(r.candidate.channel as usize);
        let of_fallback = &advice.of_fallback.exclude;
        if !advice.exclude.is_empty() || !of_fallback.is_empty() {
            considered.ranked.retain(|r| {
                let Some(c) = channel(r) else { return false };
                let excluded = excludes(&advice.exclude, c) || excludes(of_fallback, c);
                if excluded {
                    explanation.push(Reason::Excluded { channel: c.id.clone(), why: Exclusion::Policy });
                }
                !excluded
            });
        }
        for prefer in &advice.prefer {
            considered.ranked.sort_by_key(|r| channel(r).map_or(usize::MAX, |c| place(prefer, c)));
        }
    }
}

/// Whether a script's exclusions take this channel out.
pub fn excludes(exclude: &[Preference], channel: &Channel) -> bool {
    exclude.iter().any(|what| candidate::matches(channel, what))
}

/// Where a script's preferences put this channel: the least goes first, and equals stay as they were ranked.
pub fn place(prefer: &[Preference], channel: &Channel) -> usize {
    prefer.iter().position(|what| candidate::matches(channel, what)).unwrap_or(usize::MAX)
}

/// A verdict in one line, a part for each kind of advice: its name, and what it says.
fn describe(verdict: &Verdict) -> String {
    let Verdict { deny, prefer, exclude, model, fallback, max_output, tags, stop, alerts } = verdict;
    let mut parts = Vec::new();
    parts.extend(deny.as_ref().map(|message| format!("deny {}", quoted(message))));
    for (name, list) in [("prefer", prefer), ("exclude", exclude)] {
        if !list.is_empty() {
            parts.push(format!("{name} {}", listed(list.iter().map(wanted))));
        }
    }
    parts.extend(model.as_ref().map(|model| format!("model {}", quoted(model.as_str()))));
    parts.extend(fallback.as_ref().map(|models| {
        let names = models.iter().map(|model| quoted(model.as_str()));
        format!("fallback {}", listed(names))
    }));
    parts.extend(max_output.map(|tokens| format!("max_output {tokens}")));
    if !tags.is_empty() {
        parts.push(format!("tags {}", listed(tags.iter().map(|tag| quoted(tag)))));
    }
    if *stop {
        parts.push("stop true".to_owned());
    }
    if !alerts.is_empty() {
        parts.push(format!("alerts {}", listed(alerts.iter().map(|text| quoted(text)))));
    }
    if parts.is_empty() { "no opinion".to_owned() } else { parts.join("; ") }
}

/// Which channels a step of a preference is for.
fn wanted(step: &Preference) -> String {
    match step {
        Preference::Channel(name) => format!("channel {}", quoted(name)),
        Preference::Provider(name) => format!("provider {}", quoted(name)),
        Preference::Tag(name) => format!("tag {}", quoted(name)),
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A script's own text between backticks, in one line.
fn quoted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decision::told::messages_of;

    #[test]
    fn every_kind_of_advice_stands_in_the_table_of_messages() {
        let all = Verdict {
            deny: Some("no; never\nask them".to_owned()),
            prefer: vec![Preference::Tag("overseas".to_owned()), Preference::Channel("a".to_owned())],
            exclude: vec![Preference::Provider("p".to_owned())],
            model: Some("m".into()),
            fallback: Some(vec!["b".into(), "c".into()]),
            max_output: Some(5),
            tags: vec!["x".to_owned(), "y".to_owned()],
            stop: true,
            alerts: vec!["it was slow".to_owned()],
        };
        let told: BTreeSet<String> = [describe(&all), describe(&Verdict::default())].into();
        assert_eq!(told, messages_of("core/src/engine/advice.rs"));
    }
}
