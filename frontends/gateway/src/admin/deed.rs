//! What somebody did, as the audit trail tells it.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sluicegate_core::{GroupId, OrganizationId, UserId};

use crate::store::{Change, Expect};

/// What stands in the place of what isn't told.
const HIDDEN: &str = "…";

/// Names of free data with such a word in them may hold what opens something.
const SECRET: [&str; 7] = ["key", "secret", "token", "password", "passwd", "credential", "authorization"];

/// Everything that the trail tells of, each by the name that its events have.
pub const ACTIONS: &[&str] = &[
    "access_group.create",
    "access_group.delete",
    "access_group.update",
    "account.accept_invitation",
    "account.backup_codes",
    "account.end_second_step",
    "account.invite",
    "account.offer_second_step",
    "account.password",
    "account.register",
    "account.reset_password",
    "account.reset_second_step",
    "account.revoke_invitation",
    "account.second_step",
    "account.set_up",
    "account.sign_in",
    "budget.create",
    "budget.delete",
    "budget.update",
    "channel.create",
    "channel.credential",
    "channel.delete",
    "channel.keys.add",
    "channel.keys.enable",
    "channel.keys.remove",
    "channel.test",
    "channel.update",
    "customer.create",
    "customer.delete",
    "customer.update",
    "group.create",
    "group.delete",
    "group.set_back",
    "group.update",
    "key.create",
    "key.delete",
    "key.leave",
    "key.regenerate",
    "key.set_back",
    "key.update",
    "ledger.reconcile",
    "master_key.create",
    "member.add",
    "member.remove",
    "member.set_back",
    "member.update",
    "model.create",
    "model.delete",
    "model.update",
    "organization.create",
    "organization.delete",
    "organization.update",
    "policy.activate",
    "policy.delete",
    "policy.end_shadow",
    "policy.put",
    "policy.rollback",
    "policy.shadow",
    "secret.rotate",
    "session.begin",
    "session.end",
    "session.end_all",
    "session.refuse",
    "settings.update",
    "tag.create",
    "tag.delete",
    "tag.update",
    "token.create",
    "token.delete",
    "user.create",
    "user.delete",
    "user.update",
];

/// What somebody did, for the audit trail.
pub(super) struct Deed {
    /// One of [`ACTIONS`].
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) organization: Option<OrganizationId>,
    pub(super) group: Option<GroupId>,
    pub(super) user: Option<UserId>,
    pub(super) detail: Value,
    /// What else is told of it, to others whom it touches.
    pub(super) also: Vec<Deed>,
}

impl Deed {
    pub(super) fn new(action: &'static str, target: String) -> Self {
        Self {
            action,
            target,
            organization: None,
            group: None,
            user: None,
            detail: Value::Null,
            also: Vec::new(),
        }
    }

    pub(super) fn of(
        mut self,
        organization: &OrganizationId,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Self {
        self.organization = Some(organization.clone());
        self.group = group.cloned();
        self.user = user.cloned();
        self
    }

    /// What it was before and is now: only what differs.
    pub(super) fn changed(mut self, before: &impl Serialize, after: &impl Serialize) -> Self {
        let value = |it: Result<Value, _>| it.unwrap_or(Value::Null);
        let (before, after) = (value(serde_json::to_value(before)), value(serde_json::to_value(after)));
        let mut changes = Map::new();
        if let (Value::Object(before), Value::Object(after)) = (&before, &after) {
            for (name, now) in after {
                let was = before.get(name).unwrap_or(&Value::Null);
                if was != now {
                    changes.insert(name.clone(), json!({"from": was, "to": now}));
                }
            }
        }
        self.detail = Value::Object(changes);
        self
    }

    /// What was made or removed.
    pub(super) fn whole(mut self, it: &impl Serialize) -> Self {
        self.detail = serde_json::to_value(it).unwrap_or(Value::Null);
        self
    }

    /// One thing more about it.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(detail) = &mut self.detail {
            detail.insert(name.to_owned(), value.into());
        }
        self
    }

    /// What is told besides of what these changes make: users and places in groups that come and go along with something else are
    /// found by what was done to them, and by whom they touch.
    pub(super) fn besides(&mut self, changes: &[Change]) -> Vec<Deed> {
        let family = self.action.split('.').next().unwrap_or_default();
        let mut all = std::mem::take(&mut self.also);
        for change in changes {
            let deed = match change {
                // These tell the whole user themselves.
                Change::PutUser(..)
                    if ["user.create", "account.register", "account.set_up"].contains(&self.action) =>
                {
                    None
                }
                Change::PutUser(it, Expect::New) => {
                    Some(Deed::new("user.create", format!("user {}", it.id)).whole(it).of(
                        &it.organization,
                        None,
                        Some(&it.id),
                    ))
                }
                Change::PutMembership(it, expect) if family != "member" => {
                    let action = if *expect == Expect::New { "member.add" } else { "member.update" };
                    Some(self.of_member(action, &it.group, &it.user).whole(it))
                }
                Change::DeleteMembership(group, user) if family != "member" => {
                    let detail = json!({"group": group, "user": user});
                    Some(Deed { detail, ..self.of_member("member.remove", group, user) })
                }
                _ => None,
            };
            all.extend(deed);
        }
        all
    }

    fn of_member(&self, action: &'static str, group: &GroupId, user: &UserId) -> Deed {
        Deed {
            organization: self.organization.clone(),
            group: Some(group.clone()),
            user: Some(user.clone()),
            ..Deed::new(action, format!("group {group}"))
        }
    }
}

/// A detail without what free data says under names of secrets.
pub(super) fn told(mut detail: Value) -> Value {
    hide(&mut detail, false);
    detail
}

fn hide(it: &mut Value, is_free: bool) {
    match it {
        Value::Object(members) => {
            for (name, value) in members {
                let is_free = is_free || name == "metadata";
                match is_free && is_secret(name) {
                    true => cover(value),
                    false => hide(value, is_free),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_free)),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    // The name of a credential is none.
    !name.ends_with("_name") && SECRET.iter().any(|word| name.contains(word))
}

/// Texts are covered, however deep; a number such as `max_tokens` is none that opens anything.
fn cover(it: &mut Value) {
    match it {
        Value::String(text) => HIDDEN.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(cover),
        Value::Object(members) => members.values_mut().for_each(cover),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The texts of the sources that look like an action's name.
    fn written(at: &Path, found: &mut BTreeSet<String>) {
        if at.is_dir() {
            let is_source = |name: &str| name != "tests" && name != "tests.rs" && name != "deed.rs";
            for entry in std::fs::read_dir(at).unwrap() {
                let entry = entry.unwrap();
                if is_source(&entry.file_name().to_string_lossy()) {
                    written(&entry.path(), found);
                }
            }
            return;
        }
        let text = std::fs::read_to_string(at).unwrap();
        let is_action = |it: &&str| {
            let word =
                |word: &str| !word.is_empty() && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
            it.contains('.') && it.split('.').all(word)
        };
        found.extend(text.split('"').filter(is_action).map(str::to_owned));
    }

    #[test]
    fn the_list_has_every_action_that_is_written_and_no_other() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = BTreeSet::new();
        written(&source.join("admin"), &mut found);
        written(&source.join("master.rs"), &mut found);
        let listed: BTreeSet<String> = ACTIONS.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn free_data_is_told_without_what_may_be_a_secret() {
        for (detail, want) in [
            (json!({"hint": "sk-…1", "max_tokens": "9"}), json!({"hint": "sk-…1", "max_tokens": "9"})),
            (
                json!({"metadata": {"note": "n", "API-Key": "s", "max_tokens": 9, "tokens": ["s", {"a": "s"}]}}),
                json!({"metadata": {"note": "n", "API-Key": "…", "max_tokens": 9, "tokens": ["…", {"a": "…"}]}}),
            ),
            (
                json!({"metadata": {"from": {}, "to": {"logging": [
                    {"callback_name": "langfuse", "callback_vars": {"langfuse_secret_key": "s", "langfuse_host": "h"}},
                ]}}}),
                json!({"metadata": {"from": {}, "to": {"logging": [
                    {"callback_name": "langfuse", "callback_vars": {"langfuse_secret_key": "…", "langfuse_host": "h"}},
                ]}}}),
            ),
            (
                json!([{"metadata": {"db": {"Password": "s"}}}]),
                json!([{"metadata": {"db": {"Password": "…"}}}]),
            ),
        ] {
            assert_eq!(told(detail.clone()), want, "{detail}");
        }
    }
}
