//! Budgets that are set back: what counts against them becomes less, what was used stays in the records.

use sluicegate_core::{
    Error, ErrorKind, GroupId, Limit, Membership, Metric, Result, Scope, ScopeKind, UserId, Window,
};

use super::{Actor, Admin, Deed, forbidden, invalid, not_found};
use crate::store::KeyRef;

/// A budget that was set back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// Whose it is.
    pub scope: Scope,
    /// What counted against it before, in nano-USD: of several, where most did. `None` when there is no budget, and nothing has
    /// changed.
    pub before: Option<i64>,
    /// What counts against it now.
    pub after: i64,
}

impl Admin {
    /// Sets a key's budgets back to `to` nano-USD. For whoever may raise them.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `InvalidRequest` when less than that counts against them, `Store`.
    pub async fn set_key_back(&self, actor: &Actor, key: &KeyRef, to: i64) -> Result<SetBack> {
        let (stored, _) = self.find_key(actor, key).await?;
        let it = stored.value;
        let runs_group = it.group.as_ref().is_some_and(|group| actor.runs_group(&it.organization, group));
        if !runs_group && !actor.runs(&it.organization) {
            return Err(forbidden("set back the budget of this key"));
        }
        let deed = Deed::new("key.set_back", format!("key {}", it.id)).of(
            &it.organization,
            it.group.as_ref(),
            it.user.as_ref(),
        );
        self.set_back(actor, deed, Scope::new(ScopeKind::Key, it.id.as_str()), &it.limits, to).await
    }

    /// Sets a group's budgets back.
    ///
    /// # Errors
    /// As [`set_key_back`](Self::set_key_back).
    pub async fn set_group_back(&self, actor: &Actor, id_or_alias: &str, to: i64) -> Result<SetBack> {
        let group = self.resolve_group(actor, id_or_alias).await?.value;
        if !actor.runs(&group.organization) {
            return Err(forbidden("set back the budget of this group"));
        }
        let deed = Deed::new("group.set_back", format!("group {}", group.id)).of(
            &group.organization,
            Some(&group.id),
            None,
        );
        let scope = Scope::new(ScopeKind::Group, group.id.as_str());
        self.set_back(actor, deed, scope, &group.limits, to).await
    }

    /// Sets the budgets of one user within a group back.
    ///
    /// # Errors
    /// As [`set_key_back`](Self::set_key_back).
    pub async fn set_member_back(
        &self,
        actor: &Actor,
        id_or_alias: &str,
        user: &UserId,
        to: i64,
    ) -> Result<SetBack> {
        let group = self.resolve_group(actor, id_or_alias).await?.value;
        if !actor.runs_group(&group.organization, &group.id) {
            return Err(forbidden("set back budgets in this group"));
        }
        let membership = self.membership(&group.id, user).await?;
        let deed = Deed::new("member.set_back", format!("group {}", group.id)).of(
            &group.organization,
            Some(&group.id),
            Some(user),
        );
        self.set_back(actor, deed, membership.scope(), &membership.limits, to).await
    }

    async fn membership(&self, group: &GroupId, user: &UserId) -> Result<Membership> {
        let found = self.memberships(Some(group), Some(user)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| not_found(&format!("a member of group `{group}`,"), user.as_str()))
    }

    /// Sets every budget of a scope back that isn't for one model. The audit trail tells of it before it is done: a crash
    /// between the two leaves the budget as it was.
    async fn set_back(
        &self,
        actor: &Actor,
        mut deed: Deed,
        scope: Scope,
        limits: &[Limit],
        to: i64,
    ) -> Result<SetBack> {
        if to < 0 {
            return Err(invalid("to", "a budget is set back to 0 or more"));
        }
        let is_budget = |limit: &&Limit| limit.metric == Metric::Spend && limit.model.is_none();
        let budgets: Vec<Limit> = limits.iter().filter(is_budget).cloned().collect();
        let windows: Vec<(Window, i64)> = self
            .limit_states(scope.clone(), &budgets)
            .iter()
            .map(|state| (state.window, state.settled))
            .collect();
        let Some(most) = windows.iter().map(|(_, settled)| *settled).max() else {
            return Ok(SetBack { scope, before: None, after: 0 });
        };
        if most < to {
            let message = format!(
                "{} USD count against the budget; it is set back to less than that",
                sluicegate_core::money::format_usd(most)
            );
            return Err(invalid("to", message));
        }
        let said = |(window, settled): &(Window, i64)| serde_json::json!({"window": window.to_string(), "from": settled, "to": to.min(*settled)});
        deed.detail = serde_json::json!({"spend": windows.iter().map(said).collect::<Vec<_>>()});
        let (this, actor, counted) = (self.clone(), actor.clone(), scope.clone());
        // Once it has begun, both happen: the event, and what it tells of.
        let done = tokio::spawn(async move {
            this.commit(&actor, deed, Vec::new()).await?;
            let now = this.now();
            {
                let mut ledger = this.0.engine.ledger();
                for limit in &budgets {
                    let cell = ledger.cell(&counted, limit.metric, limit.window, limit.model.as_ref());
                    ledger.set_back(cell, to, now);
                }
            }
            this.0.engine.tell_freed();
            if let Some(journal) = this.0.host.journal() {
                journal.durable(journal.commit()?).await?;
            }
            Ok(())
        });
        done.await.unwrap_or_else(|why| {
            let message = "setting back was cut off; look how the budget stands";
            Err(Error::new(ErrorKind::Internal, message).with_source(why))
        })?;
        Ok(SetBack { scope, before: Some(most), after: to })
    }
}
