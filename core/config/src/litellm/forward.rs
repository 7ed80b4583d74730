//! `forward_client_headers_to_llm_api`: which deployments are sent their callers' headers.

use sluicegate_core::Channel;
use sluicegate_core::edit::Passed;
use sluicegate_core::pattern::Pattern;
use sluicegate_core::snapshot::Declared;
use sluicegate_core::tenant::matches_pattern;

use super::known;
use crate::diagnostic::Severity;
use crate::overlay::passing;
use crate::reader::{Fields, Item, Load};

/// The headers that LiteLLM sends on: those that begin with `x-`, without `x-stainless…`, and `anthropic-beta`. What proves who a
/// caller is, or is for a gateway, never leaves (see `sluicegate_core::header`); `x-api-key` does with LiteLLM.
const FORWARDED: &str = "^(anthropic-beta|x-([^s]|s[^t]|st[^a]|sta[^i]|stai[^n]|stain[^l]|stainl[^e]).*)$";

/// Whose headers go on.
pub(super) enum Forwarded<'n> {
    /// Of every call.
    All(Item<'n>),
    /// Of calls for these model groups.
    Groups(Vec<Item<'n>>),
}

impl<'n> Forwarded<'n> {
    /// `general_settings.forward_client_headers_to_llm_api`: a switch.
    pub(super) fn of_all(load: &mut Load<'_>, fields: &Fields<'n>) -> Option<Self> {
        let item = fields.get("forward_client_headers_to_llm_api")?;
        (item.boolean(load) == Some(true)).then_some(Self::All(item))
    }

    /// `litellm_settings.model_group_settings.forward_client_headers_to_llm_api`: a list of model groups.
    pub(super) fn of_groups(load: &mut Load<'_>, fields: &Fields<'n>) -> Option<Self> {
        let item = fields.get("model_group_settings")?;
        let settings = Fields::open(load, &item, &known::MODEL_GROUP_SETTINGS)?;
        let list = settings.get("forward_client_headers_to_llm_api")?;
        Some(Self::Groups(list.list(load)))
    }

    /// Lets the deployments that it means pass headers on. Aliases are known by then.
    pub(super) fn apply(self, load: &mut Load<'_>, declared: &mut Declared) {
        match self {
            Self::All(item) => {
                declared.channels.iter_mut().for_each(|channel| pass(load, &item, channel));
            }
            Self::Groups(items) => items.iter().for_each(|item| of_group(load, item, declared)),
        }
    }
}

fn of_group(load: &mut Load<'_>, item: &Item<'_>, declared: &mut Declared) {
    let Some(name) = item.filled(load) else { return };
    let group = declared.aliases.get(name.as_str()).map_or(name.clone(), |target| target.as_str().to_owned());
    let mut found = false;
    for channel in &mut declared.channels {
        if channel.models.iter().any(|model| matches_pattern(&group, model.group.as_str())) {
            pass(load, item, channel);
            found = true;
        }
    }
    if !found {
        let shown: String = name.chars().take(60).collect();
        let message =
            format!("no deployment has the `model_name` `{shown}`: nobody's headers are sent on for it");
        item.say(
            load,
            Severity::Warning,
            "unknown_model",
            message,
            "write a `model_name` of the `model_list`",
        );
    }
}

fn pass(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    match Pattern::try_from(FORWARDED.to_owned()) {
        Ok(pattern) => {
            let edit = passing(Passed::Matching(pattern));
            if !channel.body_edits.contains(&edit) {
                channel.body_edits.push(edit);
            }
        }
        // INVARIANT: a test reads it.
        Err(why) => item.say(load, Severity::Error, "internal", why.to_string(), ""),
    }
}
