//! What becomes of a version: tried in the shadow, activated, taken back.

use sluicegate_core::{Error, ErrorKind, Result};
use sluicegate_policy::{Policies, PolicyDiagnostic};

use super::{
    PolicyShadow, PolicyVersionView, cannot_be_used, check_words, deed, place_of, policy_guard, running,
};
use crate::admin::seed::Seeds;
use crate::admin::{Actor, Admin, Then, came_second, retried};
use crate::store::{Change, PolicyFilter, PolicyStanding, PolicyState, PolicyVersion, Reach, Stored};

/// Versions in shadow at the same time, of all policies: a call that they steer is decided once more for each.
const MAX_SHADOWS: usize = 8;

/// A step that a version takes.
#[derive(Clone, Debug)]
enum Turn {
    Shadow(Option<i64>),
    EndShadow,
    Activate { number: Option<i64>, watched: bool },
    Rollback { to: Option<i64>, reason: String },
}

impl Admin {
    /// Tries a version beside the one that runs: calls are decided by both, served by the old, and compared. It takes the
    /// place of another version in shadow. By default the newest.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` when it doesn't compile any more, when its tests fail, when it runs already, or when
    /// too many are in shadow; `Store`.
    pub async fn shadow_policy(
        &self,
        actor: &Actor,
        name: &str,
        number: Option<i64>,
    ) -> Result<PolicyVersionView> {
        self.turn(actor, name, Turn::Shadow(number)).await
    }

    /// Ends the trial of a version in shadow.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, also when none is in shadow; `Conflict` when it is declared in a file; `Store`.
    pub async fn end_policy_shadow(&self, actor: &Actor, name: &str) -> Result<PolicyVersionView> {
        self.turn(actor, name, Turn::EndShadow).await
    }

    /// How the version in shadow compares with what runs, on this node.
    ///
    /// # Errors
    /// `NotFound`, also when none is in shadow; `Store`.
    pub async fn policy_shadow(&self, actor: &Actor, name: &str) -> Result<PolicyShadow> {
        let stored = self.versions_of(actor, name).await?;
        let number = in_shadow(&stored).map(|it| it.value.number).ok_or_else(|| no_shadow(name))?;
        let report = self.0.host.policy_shadow(name, number).unwrap_or_default();
        Ok(PolicyShadow { policy: name.to_owned(), version: number, report })
    }

    /// Takes a version into use in the place of the one that runs: from the next call on, on this node at once and on
    /// others within a second or so. By default the newest. `watched`: it is taken back by itself when it does badly in its
    /// first time.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` when it doesn't compile any more, or when its tests fail; `Store`.
    pub async fn activate_policy(
        &self,
        actor: &Actor,
        name: &str,
        number: Option<i64>,
        watched: bool,
    ) -> Result<PolicyVersionView> {
        self.turn(actor, name, Turn::Activate { number, watched }).await
    }

    /// Takes the version that runs back and puts the one before it into its place, or the one named. Where there was none
    /// before, the policy no longer runs.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` when none runs, or when the other one doesn't compile any more; `Store`.
    pub async fn rollback_policy(
        &self,
        actor: &Actor,
        name: &str,
        to: Option<i64>,
        reason: Option<String>,
    ) -> Result<PolicyVersionView> {
        check_words("reason", reason.as_deref().unwrap_or_default())?;
        let reason = reason.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("by {}", actor.name()));
        self.turn(actor, name, Turn::Rollback { to, reason }).await
    }

    /// Takes a version back because of how it did. Does nothing when it isn't the one that runs any more: somebody else, or
    /// another node, was quicker. Says which one runs now, if it did.
    ///
    /// # Errors
    /// `Store`; `Conflict` when the version before can't be used any more.
    pub(crate) async fn take_policy_back(
        &self,
        name: &str,
        number: i64,
        reason: String,
    ) -> Result<Option<Option<i64>>> {
        let actor = Actor::gateway();
        let stored = self.policy_of(name).await?;
        let runs = running(&stored).and_then(|at| stored.get(at)).filter(|it| it.value.number == number);
        let Some(to) = runs.map(|it| it.value.standing.before) else { return Ok(None) };
        match self.try_turn(&actor, name, stored, &Turn::Rollback { to: None, reason }).await {
            Err(error) if came_second(&error) => Ok(None),
            other => other.map(|_| Some(to)),
        }
    }

    async fn policy_of(&self, name: &str) -> Result<Vec<Stored<PolicyVersion>>> {
        self.store().policy_versions(&PolicyFilter { name: Some(name), in_use: false }, &Reach::ALL).await
    }

    async fn turn(&self, actor: &Actor, name: &str, turn: Turn) -> Result<PolicyVersionView> {
        let number = retried(came_second, || async {
            let stored = self.policy_to_change(actor, name).await?;
            self.try_turn(actor, name, stored, &turn).await
        })
        .await?;
        self.policy_version(actor, name, Some(number)).await
    }

    /// Takes a step from how things stand. Gives the number of the version that it is about.
    async fn try_turn(
        &self,
        actor: &Actor,
        name: &str,
        stored: Vec<Stored<PolicyVersion>>,
        turn: &Turn,
    ) -> Result<i64> {
        let step = match turn {
            Turn::Shadow(number) => self.begin_shadow(name, &stored, *number).await?,
            Turn::EndShadow => out_of_shadow(name, &stored)?,
            Turn::Activate { number, watched } => self.begin_use(name, &stored, *number, *watched).await?,
            Turn::Rollback { to, reason } => self.back(name, &stored, *to, reason).await?,
        };
        if step.changes.is_empty() {
            return Ok(step.number);
        }
        let Some(it) = stored.iter().find(|it| it.value.number == step.number) else {
            return Err(Error::new(ErrorKind::Internal, "a step about no version"));
        };
        let deed = deed(step.action, &it.value.draft).whole(&step.detail);
        let changes = policy_guard(actor, name, &stored).into_iter().chain(step.changes).collect();
        self.write(actor, deed, changes, Seeds::new(), Then::Policies).await?;
        Ok(step.number)
    }

    async fn begin_shadow(
        &self,
        name: &str,
        stored: &[Stored<PolicyVersion>],
        number: Option<i64>,
    ) -> Result<Step> {
        let it = chosen(stored, name, number)?;
        let mut step = Step::of("policy.shadow", it);
        match it.value.state {
            PolicyState::Shadow => return Ok(step),
            PolicyState::Active => return Err(runs_already(it)),
            PolicyState::Draft | PolicyState::Retired | PolicyState::RolledBack => {}
        }
        self.must_work(it).await?;
        let in_use = PolicyFilter { name: None, in_use: true };
        let all = self.store().policy_versions(&in_use, &Reach::ALL).await?;
        let others =
            all.iter().filter(|it| it.value.state == PolicyState::Shadow && it.value.name() != name).count();
        // BOUND: see the constant. Two who start one at the same moment may pass it by one.
        if others >= MAX_SHADOWS {
            let message =
                format!("{others} policies are in shadow, and no more are tried at once; end one first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if let Some(other) = in_shadow(stored) {
            step.set(other, resting(&other.value.standing), other.value.standing.clone());
        }
        step.set(it, PolicyState::Shadow, it.value.standing.clone());
        Ok(step)
    }

    async fn begin_use(
        &self,
        name: &str,
        stored: &[Stored<PolicyVersion>],
        number: Option<i64>,
        watched: bool,
    ) -> Result<Step> {
        let it = chosen(stored, name, number)?;
        let mut step = Step::of("policy.activate", it);
        if it.value.state == PolicyState::Active {
            return Ok(step);
        }
        self.must_work(it).await?;
        let before = running(stored).and_then(|at| stored.get(at));
        let standing = PolicyStanding {
            before: before.map(|it| it.value.number),
            denied_before_ppm: before.and_then(|it| self.0.host.policy_denied_ppm(name, it.value.number)),
            activated_at: Some(self.now()),
            watched,
            reason: None,
        };
        step.detail = serde_json::json!({"number": it.value.number, "before": standing.before});
        if let Some(before) = before {
            step.set(before, PolicyState::Retired, before.value.standing.clone());
        }
        step.set(it, PolicyState::Active, standing);
        Ok(step)
    }

    async fn back(
        &self,
        name: &str,
        stored: &[Stored<PolicyVersion>],
        to: Option<i64>,
        reason: &str,
    ) -> Result<Step> {
        let Some(active) = running(stored).and_then(|at| stored.get(at)) else {
            let message = format!("no version of policy `{name}` runs, so there is nothing to take back");
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let to = to.or(active.value.standing.before);
        let target = match to {
            Some(number) if number == active.value.number => return Err(runs_already(active)),
            Some(number) => stored.get(place_of(stored, name, number)?),
            None => None,
        };
        let mut step = Step::of("policy.rollback", active);
        step.detail = serde_json::json!({"number": active.value.number, "to": to, "reason": reason});
        let standing = PolicyStanding {
            reason: Some(reason.to_owned()),
            watched: false,
            ..active.value.standing.clone()
        };
        step.set(active, PolicyState::RolledBack, standing);
        if let Some(target) = target {
            self.must_compile(target).await?;
            // Not watched: what would it be taken back to?
            let standing = PolicyStanding { reason: None, watched: false, ..target.value.standing.clone() };
            step.set(target, PolicyState::Active, standing);
        }
        Ok(step)
    }

    /// A version that has run may run again as long as it compiles: nobody waits for its tests when the one after it fails.
    async fn must_compile(&self, it: &Stored<PolicyVersion>) -> Result<()> {
        if it.value.standing.activated_at.is_none() {
            return self.must_work(it).await;
        }
        let (source, modules) = (it.value.draft.source.clone(), self.0.host.policy_modules());
        let compile = move || Policies::compile_with(std::slice::from_ref(&source), &modules).map(drop);
        tokio::task::spawn_blocking(compile)
            .await
            .map_err(|why| {
                Error::new(ErrorKind::Internal, "the script's check was cut off").with_source(why)
            })?
            .map_err(|wrong| unusable_now(it, &wrong))
    }

    /// A version can only be used while it compiles and its tests pass.
    async fn must_work(&self, it: &Stored<PolicyVersion>) -> Result<()> {
        let what = format!("version {} of policy `{}`", it.value.number, it.value.name());
        let tests =
            self.inspect(it.value.draft.source.clone()).await?.map_err(|wrong| unusable_now(it, &wrong))?;
        if tests.failures.is_empty() {
            return Ok(());
        }
        let failures: Vec<String> = tests
            .failures
            .iter()
            .map(|it| format!("line {}, column {}: {}: {}", it.line, it.column, it.name, it.message))
            .collect();
        let message = format!("{what} fails its own tests; put one that passes:\n{}", failures.join("\n"));
        Err(Error::new(ErrorKind::Conflict, message))
    }
}

fn unusable_now(it: &Stored<PolicyVersion>, wrong: &[PolicyDiagnostic]) -> Error {
    let (number, name, why) = (it.value.number, it.value.name(), cannot_be_used(wrong));
    let message = format!("version {number} of policy `{name}` can't be used any more: {}", why.message());
    Error::new(ErrorKind::Conflict, message)
}

/// What a turn changes.
struct Step {
    action: &'static str,
    /// The version that it is about.
    number: i64,
    detail: serde_json::Value,
    changes: Vec<Change>,
}

impl Step {
    fn of(action: &'static str, it: &Stored<PolicyVersion>) -> Self {
        let number = it.value.number;
        Self { action, number, detail: serde_json::json!({"number": number}), changes: Vec::new() }
    }

    fn set(&mut self, it: &Stored<PolicyVersion>, state: PolicyState, standing: PolicyStanding) {
        let value = PolicyVersion { state, standing, ..it.value.clone() };
        self.changes.push(Change::SetPolicyState(value, it.version));
    }
}

fn out_of_shadow(name: &str, stored: &[Stored<PolicyVersion>]) -> Result<Step> {
    let it = in_shadow(stored).ok_or_else(|| no_shadow(name))?;
    let mut step = Step::of("policy.end_shadow", it);
    step.set(it, resting(&it.value.standing), it.value.standing.clone());
    Ok(step)
}

fn chosen<'a>(
    stored: &'a [Stored<PolicyVersion>],
    name: &str,
    number: Option<i64>,
) -> Result<&'a Stored<PolicyVersion>> {
    let at = match number {
        Some(number) => place_of(stored, name, number)?,
        None => stored.len().saturating_sub(1),
    };
    stored.get(at).ok_or_else(|| crate::admin::not_found("policy", name))
}

fn in_shadow(stored: &[Stored<PolicyVersion>]) -> Option<&Stored<PolicyVersion>> {
    stored.iter().find(|it| it.value.state == PolicyState::Shadow)
}

/// The state of a version that is in no use.
fn resting(standing: &PolicyStanding) -> PolicyState {
    match (&standing.reason, standing.activated_at) {
        (Some(_), _) => PolicyState::RolledBack,
        (None, Some(_)) => PolicyState::Retired,
        (None, None) => PolicyState::Draft,
    }
}

fn no_shadow(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("no version of policy `{name}` is in shadow"))
}

fn runs_already(it: &Stored<PolicyVersion>) -> Error {
    let (number, name) = (it.value.number, it.value.name());
    Error::new(ErrorKind::Conflict, format!("version {number} of policy `{name}` runs already; name another"))
}
