//! The scripts in force: the file's first, then those of the database by name. Made anew as a whole when any of them changes,
//! and swapped together with the snapshot.

mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate_config::PolicyRollback;
use sluicegate_core::Timestamp;
use sluicegate_core::engine::{Shadow, ShadowReport, ShadowTally};
use sluicegate_core::ports::{Alert, PolicyHook};
use sluicegate_core::snapshot::{Declared, ModuleSource, OnPolicyError, PolicySource};
use sluicegate_core::tally::{PolicyTally, Tallied};
use sluicegate_policy::{Policies, PolicyDiagnostic};

use crate::store::{PolicyState, PolicyVersion, Stored};
use watch::Watch;

/// What tells whether the stored versions in use are still the same: name, number, and how often its state was changed.
pub(crate) type PolicyMark = (String, i64, i64);

/// The marks of stored versions, in their order.
pub(crate) fn marks_of(stored: &[Stored<PolicyVersion>]) -> Vec<PolicyMark> {
    stored.iter().map(|it| (it.value.name().to_owned(), it.value.number, it.version)).collect()
}

/// What the configuration file declares.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) policies: &'a [PolicySource],
    /// What its scripts and those of the database may import.
    pub(crate) modules: &'a [ModuleSource],
}

impl<'a> From<&'a Declared> for File<'a> {
    fn from(declared: &'a Declared) -> Self {
        Self { policies: &declared.policies, modules: &declared.policy_modules }
    }
}

impl File<'_> {
    fn compile(self, sources: &[PolicySource]) -> Result<Policies, Vec<PolicyDiagnostic>> {
        Policies::compile_with(sources, self.modules)
    }
}

/// The scripts in force.
pub(crate) struct Scripts {
    /// In the order in which they are declared.
    sources: Vec<PolicySource>,
    hook: Arc<dyn PolicyHook>,
    running: Vec<Arc<Running>>,
    tried: Vec<Tried>,
}

/// A stored version that runs.
struct Running {
    name: Arc<str>,
    number: i64,
    tally: Arc<PolicyTally>,
    watch: Option<Watch>,
}

/// A stored version in shadow.
struct Tried {
    name: Arc<str>,
    number: i64,
    tally: Arc<ShadowTally>,
    shadow: Shadow,
}

/// A version that does badly in its first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) name: Arc<str>,
    pub(crate) number: i64,
    pub(crate) reason: String,
}

impl Scripts {
    /// Those that a start finds: `file` are the file's, which compile. A stored version that doesn't, since the language has
    /// changed, doesn't keep the gateway from starting: what becomes of its calls is what its `on_error` says.
    pub(crate) fn first(
        file: File<'_>,
        stored: &[Stored<PolicyVersion>],
    ) -> Result<(Self, Vec<Alert>), Vec<PolicyDiagnostic>> {
        let mut alerts = Vec::new();
        let (all, policies) = usable(file, stored, joined(file.policies, stored), &mut alerts)?;
        let made = Self::made(file, stored, all, policies, None, &mut alerts);
        Ok((made, alerts))
    }

    /// Those that follow `before` when the stored ones have changed. When one of them doesn't compile here, all stay as they
    /// were.
    pub(crate) fn next(
        file: File<'_>,
        stored: &[Stored<PolicyVersion>],
        before: &Arc<Self>,
    ) -> (Arc<Self>, Vec<Alert>) {
        let all = joined(file.policies, stored);
        match file.compile(&all) {
            Ok(policies) => {
                let mut alerts = Vec::new();
                let made = Self::made(file, stored, all, policies, Some(before), &mut alerts);
                (Arc::new(made), alerts)
            }
            Err(wrong) => {
                let broken = active(file.policies, stored)
                    .filter(|it| wrong.iter().any(|wrong| wrong.policy == it.value.name()))
                    .map(|it| unusable(&it.value, &wrong));
                (Arc::clone(before), broken.collect())
            }
        }
    }

    fn made(
        file: File<'_>,
        stored: &[Stored<PolicyVersion>],
        sources: Vec<PolicySource>,
        policies: Policies,
        before: Option<&Self>,
        alerts: &mut Vec<Alert>,
    ) -> Self {
        let running: Vec<Arc<Running>> = active(file.policies, stored)
            .map(|it| before.and_then(|b| b.same(it)).unwrap_or_else(|| run(it)))
            .collect();
        let hook: Arc<dyn PolicyHook> = match running.is_empty() {
            true => Arc::new(policies),
            false => {
                let tallies = running.iter().map(|it| (Arc::clone(&it.name), Arc::clone(&it.tally)));
                Arc::new(Tallied::new(Arc::new(policies), tallies.collect()))
            }
        };
        let shadows = of_state(file.policies, stored, PolicyState::Shadow);
        let mut tried = Vec::new();
        for it in shadows {
            match shadow(file, &sources, it, before) {
                Ok(made) => tried.push(made),
                Err(wrong) => alerts.push(unusable(&it.value, &wrong)),
            }
        }
        Self { sources, hook, running, tried }
    }

    /// The same version's entry, with what was counted so far, unless it was activated anew meanwhile.
    fn same(&self, it: &Stored<PolicyVersion>) -> Option<Arc<Running>> {
        let watch = Watch::of(&it.value.standing);
        let same = |known: &&Arc<Running>| {
            *known.name == *it.value.name() && known.number == it.value.number && known.watch == watch
        };
        self.running.iter().find(same).cloned()
    }

    /// Every script that runs, in order.
    pub(crate) fn sources(&self) -> &[PolicySource] {
        &self.sources
    }

    /// What calls are decided by.
    pub(crate) fn hook(&self) -> Arc<dyn PolicyHook> {
        Arc::clone(&self.hook)
    }

    /// What is tried beside it.
    pub(crate) fn shadows(&self) -> Vec<Shadow> {
        self.tried.iter().map(|it| it.shadow.clone()).collect()
    }

    /// What was counted of a version in shadow.
    pub(crate) fn report(&self, name: &str, number: i64) -> Option<ShadowReport> {
        let it = self.tried.iter().find(|it| *it.name == *name && it.number == number)?;
        Some(it.tally.report())
    }

    /// Of the calls that a version has steered, so many were refused by it, in millionths.
    pub(crate) fn denied_ppm(&self, name: &str, number: i64) -> Option<u32> {
        let it = self.running.iter().find(|it| *it.name == *name && it.number == number)?;
        watch::denied_ppm(it.tally.counts())
    }

    /// The versions that do badly in their first time.
    pub(crate) fn failing(&self, settings: &PolicyRollback, now: Timestamp) -> Vec<Failing> {
        let failing = |it: &Arc<Running>| {
            let reason = it.watch.as_ref()?.judge(it.tally.counts(), settings, now)?;
            Some(Failing { name: Arc::clone(&it.name), number: it.number, reason })
        };
        self.running.iter().filter_map(failing).collect()
    }

    /// Looks at a version no more.
    pub(crate) fn give_up(&self, failing: &Failing) {
        for it in self.running.iter().filter(|it| it.name == failing.name && it.number == failing.number) {
            it.watch.iter().for_each(Watch::end);
        }
    }
}

/// The stored versions of a state, by name. The file wins.
fn of_state<'a>(
    file: &[PolicySource],
    stored: &'a [Stored<PolicyVersion>],
    state: PolicyState,
) -> Vec<&'a Stored<PolicyVersion>> {
    let is_ours = |it: &&Stored<PolicyVersion>| {
        it.value.state == state && !file.iter().any(|declared| declared.name == it.value.name())
    };
    let mut all: Vec<_> = stored.iter().filter(is_ours).collect();
    // Not as the database sorts: every node must have the same order.
    all.sort_by(|a, b| a.value.name().cmp(b.value.name()));
    all
}

fn active<'a>(
    file: &[PolicySource],
    stored: &'a [Stored<PolicyVersion>],
) -> impl Iterator<Item = &'a Stored<PolicyVersion>> {
    of_state(file, stored, PolicyState::Active).into_iter()
}

/// Compiles scripts, without the stored ones that can't be used any more: of those that are `fail_closed` one stays that fails.
pub(crate) fn usable(
    file: File<'_>,
    stored: &[Stored<PolicyVersion>],
    mut all: Vec<PolicySource>,
    alerts: &mut Vec<Alert>,
) -> Result<(Vec<PolicySource>, Policies), Vec<PolicyDiagnostic>> {
    let wrong = match file.compile(&all) {
        Ok(policies) => return Ok((all, policies)),
        Err(wrong) => wrong,
    };
    let broken: BTreeSet<&str> = wrong.iter().map(|it| it.policy.as_str()).collect();
    for it in active(file.policies, stored).filter(|it| broken.contains(it.value.name())) {
        alerts.push(unusable(&it.value, &wrong));
    }
    let is_file = |it: &PolicySource| file.policies.iter().any(|known| known.name == it.name);
    let stays = |it: &PolicySource| {
        is_file(it) || !broken.contains(it.name.as_str()) || it.on_error == OnPolicyError::FailClosed
    };
    all.retain(stays);
    for it in all.iter_mut().filter(|it| broken.contains(it.name.as_str()) && !is_file(it)) {
        // It fails each time, as it would if it could be run.
        "fn route(call) { throw \"this version can't be used any more\"; }".clone_into(&mut it.text);
    }
    let policies = file.compile(&all)?;
    Ok((all, policies))
}

/// The file's scripts, then the stored ones that run.
pub(crate) fn joined(file: &[PolicySource], stored: &[Stored<PolicyVersion>]) -> Vec<PolicySource> {
    file.iter().cloned().chain(active(file, stored).map(|it| it.value.draft.source.clone())).collect()
}

fn run(it: &Stored<PolicyVersion>) -> Arc<Running> {
    Arc::new(Running {
        name: it.value.name().into(),
        number: it.value.number,
        tally: Arc::default(),
        watch: Watch::of(&it.value.standing),
    })
}

/// What a version in shadow is tried by: itself alone, to tell whose calls it steers, and all scripts as they would run.
fn shadow(
    file: File<'_>,
    sources: &[PolicySource],
    it: &Stored<PolicyVersion>,
    before: Option<&Scripts>,
) -> Result<Tried, Vec<PolicyDiagnostic>> {
    let source = &it.value.draft.source;
    let own = file.compile(std::slice::from_ref(source))?;
    let all = file.compile(&with(sources, file.policies.len(), source))?;
    let same = |known: &&Tried| *known.name == source.name && known.number == it.value.number;
    let known = before.and_then(|before| before.tried.iter().find(same));
    let tally = known.map_or_else(Arc::default, |known| Arc::clone(&known.tally));
    let name: Arc<str> = source.name.as_str().into();
    let shadow = Shadow::new(Arc::clone(&name), Arc::new(own), Arc::new(all), Arc::clone(&tally));
    Ok(Tried { name, number: it.value.number, tally, shadow })
}

/// Scripts with this one in the place that it has, or would have: behind the file's, by name.
pub(crate) fn with(sources: &[PolicySource], files: usize, source: &PolicySource) -> Vec<PolicySource> {
    let mut all = sources.to_vec();
    match all.iter_mut().find(|known| known.name == source.name) {
        Some(known) => known.clone_from(source),
        None => {
            let smaller = sources.iter().skip(files).take_while(|known| known.name < source.name).count();
            all.insert(files.saturating_add(smaller).min(all.len()), source.clone());
        }
    }
    all
}

fn unusable(it: &PolicyVersion, wrong: &[PolicyDiagnostic]) -> Alert {
    let first = wrong.iter().find(|wrong| wrong.policy == it.name());
    Alert::PolicyUnusable {
        policy: it.name().to_owned(),
        version: it.number,
        error: first.map_or_else(String::new, ToString::to_string),
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
