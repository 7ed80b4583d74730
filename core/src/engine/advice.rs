//! What scripts advise, and how far it is heeded: it steers, and never widens access.

use std::sync::Arc;

use super::Engine;
use super::admission::Admission;
use super::candidate::{self, Ranked};
use crate::channel::Channel;
use crate::decision::{Denial, Exclusion, Reason};
use crate::ids::ModelName;
use crate::ports::{Alert, RouteView, Verdict};
use crate::tenant::Preference;
use crate::time::Timestamp;

/// What all scripts together advise. It holds for the call as a whole: for fallback models too.
#[derive(Debug, Default)]
pub(super) struct Advice {
    exclude: Vec<Preference>,
    /// One list for each script that prefers something, in the order in which they ran.
    prefer: Vec<Vec<Preference>>,
    pub(super) fallback: Option<Vec<ModelName>>,
    pub(super) max_output: Option<u64>,
}

impl Engine {
    /// Runs the scripts and keeps to what they may do.
    pub(super) fn apply_policy(&self, admission: &mut Admission, now: Timestamp) -> Result<(), Denial> {
        let runtime = Arc::clone(&admission.runtime);
        if !runtime.policy.applies(&admission.caller.caller) {
            return Ok(());
        }
        if runtime.policy.reads_health(&admission.caller.caller) {
            note_seen(admission);
        }
        let runs = runtime.policy.route(&RouteView {
            call: &admission.call,
            caller: &admission.caller.caller,
            candidates: &candidate::views(&runtime, &admission.considered.ranked),
            now,
            seed: admission.seed,
        });
        for run in runs {
            let verdict = run.error.clone().unwrap_or_else(|| describe(&run.verdict));
            let policy = run.policy.to_string();
            admission.explanation.push(Reason::Policy { policy: policy.clone(), verdict, fuel: run.fuel });
            if let Some(error) = run.error {
                self.alert(Alert::PolicyFailed { policy: policy.clone(), error });
            }
            if let Some(message) = run.verdict.deny {
                return Err(Denial::Policy { policy, message });
            }
            admission.advise(run.verdict, now)?;
        }
        Ok(())
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

impl Admission {
    /// Keeps to a script's advice, as far as it doesn't widen access.
    fn advise(&mut self, verdict: Verdict, now: Timestamp) -> Result<(), Denial> {
        let Verdict { deny: _, prefer, exclude, model, fallback, max_output, tags } = verdict;
        if let Some(max) = max_output {
            self.advice.max_output = Some(self.advice.max_output.map_or(max, |known| known.min(max)));
        }
        for tag in tags {
            if !self.call.tags.contains(&tag) {
                self.call.tags.push(tag);
            }
        }
        if fallback.is_some() {
            self.advice.fallback = fallback;
        }
        if model.is_none() && prefer.is_empty() && exclude.is_empty() {
            return Ok(());
        }
        self.advice.exclude.extend(exclude);
        if !prefer.is_empty() {
            self.advice.prefer.push(prefer);
        }
        if let Some(named) = model {
            let model = self.runtime.snapshot.unalias(&named).clone();
            (self.denial, self.too_long) = (None, false);
            self.models.clear();
            if !self.caller.caller.may_call(model.as_str()) || !self.enter_model(&model, now) {
                return Err(self.unknown_model(Some(named)));
            }
        } else {
            self.heed();
        }
        if let Some(model) = self.models.last().cloned() {
            self.note_why_nothing(&model);
        }
        Ok(())
    }

    /// Applies what scripts have advised so far to the candidates. Doing it again changes nothing.
    pub(super) fn heed(&mut self) {
        let Self { runtime, advice, considered, explanation, .. } = self;
        let channel = |r: &Ranked| runtime.snapshot.channels().get(r.candidate.channel as usize);
        if !advice.exclude.is_empty() {
            considered.ranked.retain(|r| {
                let Some(c) = channel(r) else { return false };
                let excluded = excludes(&advice.exclude, c);
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

/// A verdict in one line.
fn describe(verdict: &Verdict) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut part = |name: &str, value: &dyn std::fmt::Debug| {
        let _ = write!(text, "{}{name} {value:?}", if text.is_empty() { "" } else { "; " });
    };
    if let Some(deny) = &verdict.deny {
        part("deny", deny);
    }
    for (name, list) in [("prefer", &verdict.prefer), ("exclude", &verdict.exclude)] {
        if !list.is_empty() {
            part(name, list);
        }
    }
    if let Some(model) = &verdict.model {
        part("model", model);
    }
    if let Some(fallback) = &verdict.fallback {
        part("fallback", fallback);
    }
    if let Some(max) = &verdict.max_output {
        part("max_output", max);
    }
    if !verdict.tags.is_empty() {
        part("tags", &verdict.tags);
    }
    if text.is_empty() { "no opinion".to_owned() } else { text }
}
