//! Aliases and fallbacks: the references between models, checked once all models are known.

use indexmap::IndexMap;
use sluicegate_core::ids::ModelName;
use sluicegate_core::snapshot::{Declared, Fallbacks};
use sluicegate_core::tenant::matches_pattern;

use crate::catalogue::maker_of;
use crate::diagnostic::{Severity, Unless};
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::yaml::Value;

/// A reference to a model, to be checked.
pub(crate) struct Reference<'n> {
    pub(crate) model: String,
    pub(crate) item: Item<'n>,
    /// What happens without it.
    pub(crate) meaning: String,
}

/// Reads all fallbacks of a section. What they are called there: those after any failure, those for prompts that don't fit, those for what
/// a policy refuses, and those of every model.
pub(crate) fn read_all_fallbacks<'n>(
    load: &mut Load<'_>,
    fields: &Fields<'n>,
    [general, context_window, content_policy, default]: [&str; 4],
    into: &mut Fallbacks,
    references: &mut Vec<Reference<'n>>,
) {
    if let Some(item) = fields.get(general) {
        read_fallbacks(load, &item, &mut into.general, Some(&mut into.default), references);
    }
    if let Some(item) = fields.get(context_window) {
        read_fallbacks(load, &item, &mut into.context_window, None, references);
    }
    if let Some(item) = fields.get(content_policy) {
        read_fallbacks(load, &item, &mut into.content_policy, None, references);
    }
    if let Some(item) = fields.get(default) {
        into.default.extend(read_targets(load, &item, "", references));
    }
}

/// Reads fallbacks: a list of one-key mappings, or one mapping, of a model to one model or a list of them. The model `*`
/// stands for every one, and adds to `default`.
fn read_fallbacks<'n>(
    load: &mut Load<'_>,
    item: &Item<'n>,
    into: &mut IndexMap<ModelName, Vec<ModelName>>,
    default: Option<&mut Vec<ModelName>>,
    references: &mut Vec<Reference<'n>>,
) {
    let mut pairs = Vec::new();
    match &item.node.value {
        Value::List(_) => {
            for entry in item.list(load) {
                if entry.is_map(load) {
                    pairs.extend(entry.children().map(|(key, child)| (key.to_owned(), child)));
                }
            }
        }
        Value::Map(_) => pairs.extend(item.children().map(|(key, child)| (key.to_owned(), child))),
        _ => item.wrong(load, "a list such as `- model-a: [model-b]`"),
    }
    let mut everywhere = Vec::new();
    for (model, targets) in pairs {
        let names = read_targets(load, &targets, &model, references);
        if model == "*" {
            everywhere.extend(names);
        } else {
            let meaning = "this fallback is never used".to_owned();
            references.push(Reference { model: model.clone(), item: targets.clone(), meaning });
            into.entry(model.into()).or_default().extend(names);
        }
    }
    match default {
        Some(default) => default.extend(everywhere),
        None if everywhere.is_empty() => {}
        None => item.say(
            load,
            Severity::Warning,
            "unsupported_key",
            "a fallback for every model is only supported among the general fallbacks: it has no effect here",
            "move it to `fallbacks` or `default_fallbacks`",
        ),
    }
}

/// Reads the targets of one model: a name or a list of names.
pub(crate) fn read_targets<'n>(
    load: &mut Load<'_>,
    targets: &Item<'n>,
    model: &str,
    references: &mut Vec<Reference<'n>>,
) -> Vec<ModelName> {
    let items = match &targets.node.value {
        Value::Scalar { .. } => vec![targets.clone()],
        _ => targets.list(load),
    };
    let mut names = Vec::new();
    for item in items {
        if matches!(item.node.value, Value::Map(_)) {
            let message =
                "a fallback with settings of its own is not supported yet: only its `model` is used";
            item.say(load, Severity::Warning, "unsupported_key", message, "write the model's name alone");
            let inner = item.node.get("model").map(|node| Item {
                node,
                at: format!("{}.model", item.at),
                place: node.place,
            });
            if let Some(name) = inner.as_ref().and_then(|inner| inner.filled(load)) {
                names.push(name.into());
            }
            continue;
        }
        let Some(name) = item.filled(load) else { continue };
        let meaning = match model {
            "" => "nothing falls back to it".to_owned(),
            model => format!("`{model}` has nothing to fall back to there"),
        };
        references.push(Reference { model: name.clone(), item, meaning });
        names.push(name.into());
    }
    names
}

/// Whether a requested name is served: by its exact name, an alias or a wildcard.
pub(crate) fn is_known(declared: &Declared, model: &str) -> bool {
    declared.aliases.contains_key(model)
        || declared
            .channels
            .iter()
            .flat_map(|channel| &channel.models)
            .any(|served| matches_pattern(served.group.as_str(), model))
}

/// Warns of references to models that nothing declares. `entry` writes a declaration of a model, ready to paste.
pub(crate) fn check(
    load: &mut Load<'_>,
    declared: &Declared,
    references: &[Reference<'_>],
    entry: fn(&str) -> String,
) {
    for reference in references {
        if is_known(declared, &reference.model) {
            continue;
        }
        let names =
            declared.channels.iter().flat_map(|channel| &channel.models).map(|model| model.group.as_str());
        let near = nearest(&reference.model, names.chain(declared.aliases.keys().map(ModelName::as_str)));
        let remedy = match near {
            Some(name) => {
                format!("did you mean `{name}`? otherwise declare the model, or create it over the API")
            }
            None => "declare the model as below, create it over the API, or remove the fallback".to_owned(),
        };
        let shown: String = reference.model.chars().take(120).collect();
        let message = format!("no channel of this file serves `{shown}`: {}", reference.meaning);
        let place = (reference.item.place, reference.item.at.as_str());
        load.report_unless(Unless::Served(reference.model.clone()), |load| {
            load.report_with((Severity::Warning, "unknown_model"), place, message, remedy, entry(&shown));
        });
    }
}

/// The provider, variable and address that a declaration of `model` would have, as far as its name tells.
pub(crate) fn guess(model: &str) -> (String, String, Option<&'static str>) {
    match maker_of(model) {
        Some(provider) if provider.is_served() => {
            (provider.id.to_owned(), provider.key_variable.to_owned(), None)
        }
        _ => ("openai".to_owned(), "UPSTREAM_API_KEY".to_owned(), Some("https://UPSTREAM/v1")),
    }
}

/// Makes every alias point at what serves: aliases of aliases are followed, circles refused.
pub(crate) fn flatten_aliases(load: &mut Load<'_>, declared: &mut Declared, item: &Item<'_>) {
    let written = declared.aliases.clone();
    let mut flat = IndexMap::with_capacity(written.len());
    for (alias, first) in &written {
        let mut target = first;
        let mut steps = 0;
        // BOUND: a chain can't be longer than there are aliases.
        while let Some(next) = written.get(target) {
            target = next;
            steps += 1;
            if steps > written.len() {
                break;
            }
        }
        if steps > written.len() {
            let message = format!("the alias `{alias}` leads back to itself");
            item.say(
                load,
                Severity::Error,
                "alias_cycle",
                message,
                "let it name a model that a channel serves",
            );
        } else {
            flat.insert(alias.clone(), target.clone());
        }
    }
    declared.aliases = flat;
}
