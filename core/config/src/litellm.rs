//! LiteLLM's `config.yaml`.

mod by_class;
pub(crate) mod costs;
mod credential;
mod forward;
mod guardrail;
mod jwt;
mod known;
mod model_list;
mod settings;

pub(crate) use settings::take_time_zone;

use sluicegate_core::limit::Mode;
use sluicegate_core::snapshot::Declared;

use crate::diagnostic::{Severity, Unless};
use crate::host::HostSettings;
use crate::reader::{Fields, Item, Load};
use crate::routes;

/// Top-level keys that no other dialect has.
pub(crate) const TOP_KEYS: [&str; 5] =
    ["model_list", "litellm_settings", "general_settings", "router_settings", "environment_variables"];

/// Lowers a file.
pub(crate) fn lower(load: &mut Load<'_>, root: &Item<'_>, declared: &mut Declared, host: &mut HostSettings) {
    // What this dialect's users expect where the file says nothing.
    host.present_as_requested = true;
    declared.quota.rate_token_mode = Mode::Corrected;
    declared.routing.cooldown_ms = 5_000;

    let Some(fields) = Fields::open(load, root, &known::TOP) else { return };
    if let Some(variables) = fields.get("environment_variables")
        && variables.is_map(load)
    {
        for (name, item) in variables.children() {
            match item.text(load) {
                Some(value) => drop(load.overlay.0.insert(name.to_owned(), value)),
                None => continue,
            }
        }
    }
    // What a model needs to be reached may stand in a credential that several share.
    let spread = credential::spread(load, root);
    let filled = spread.as_ref().map(Item::root);
    let models = filled.as_ref().unwrap_or(root).children().find(|(key, _)| *key == "model_list");
    match models.map(|(_, list)| list) {
        Some(list) => model_list::lower(load, &list, declared),
        None => load.report_unless(Unless::AnyServed, |load| {
            let message =
                "the file declares no models: calls have nowhere to go until some are created over the API";
            load.report(Severity::Warning, "no_models", root.place, "", message, "add a `model_list`");
        }),
    }
    let (mut references, mut forwarded) = (Vec::new(), Vec::new());
    settings::general(load, &fields, declared, host, &mut forwarded);
    settings::litellm(load, &fields, declared, host, &mut references, &mut forwarded);
    settings::router(load, &fields, declared, &mut references);
    forwarded.into_iter().for_each(|it| it.apply(load, declared));
    if host.health_checks.is_none() {
        // How an entry would be checked asks for no checks.
        declared.channels.iter_mut().for_each(|channel| channel.health_check = None);
    }
    if let Some(list) = fields.get("guardrails") {
        guardrail::lower(load, &list, declared);
    }
    routes::check(load, declared, &references, entry);
}

/// A `model_list` entry for a model, ready to paste.
fn entry(model: &str) -> String {
    let (provider, variable, base) = routes::guess(model);
    let base = base.map(|base| format!("\n      api_base: {base}")).unwrap_or_default();
    format!(
        "  - model_name: {model}\n    litellm_params:\n      model: {provider}/{model}{base}\n      api_key: os.environ/{variable}"
    )
}
