//! Prices as other systems write them.

use std::collections::BTreeMap;

use super::{ListedPrice, inside};
use crate::catalogue::{provider, providers};
use crate::diagnostic::Severity;
use crate::litellm::costs;
use crate::newapi::ratio;
use crate::reader::{Fields, Item, Load};

/// LiteLLM's map: a model, with its provider before it or not, to its costs.
pub(super) fn litellm(load: &mut Load<'_>, root: &Item<'_>) -> Vec<ListedPrice> {
    let mut prices: Vec<ListedPrice> = Vec::new();
    let mut skipped = Skipped::default();
    if !root.is_map(load) {
        return prices;
    }
    for (name, item) in root.children().filter(|(name, _)| *name != "sample_spec") {
        if !item.is_map(load) {
            continue;
        }
        let fields = Fields { item: item.clone() };
        let mode = fields.text(load, "mode").unwrap_or_else(|| "chat".to_owned());
        let is_text = matches!(mode.as_str(), "chat" | "completion" | "embedding" | "responses");
        if !is_text && crate::operation::formats_of_mode(&mode).is_none() {
            skipped.add(format!("models of mode `{}` are not served", short(&mode)), name);
            continue;
        }
        let said = fields.text(load, "litellm_provider");
        let whose = said.as_deref().or_else(|| name.split_once('/').map(|(prefix, _)| prefix));
        let Some(id) = whose.and_then(provider_id) else {
            let whose = short(whose.unwrap_or("none"));
            skipped.add(format!("the catalogue has no provider `{whose}`"), name);
            continue;
        };
        // What a text model asks for besides tokens isn't counted in its calls.
        let is_read = |key: &str| costs::is_cost(key) && !(is_text && costs::is_unit(key));
        let Some(own) = costs::read(load, item.children().filter(|(key, _)| is_read(key))) else {
            skipped.add("they have no costs that are read".to_owned(), name);
            continue;
        };
        for (key, _) in item.children().filter(|(key, _)| key.contains("cost") && !is_read(key)) {
            skipped.add(format!("`{}` has no counterpart: the rest of the price is taken", short(key)), name);
        }
        let model = match name.split_once('/') {
            Some((prefix, model)) if said.as_deref() == Some(prefix) || provider_id(prefix) == Some(id) => {
                model
            }
            _ => name,
        };
        let mut price = own.price();
        if mode == "embedding" && price.input.is_some() {
            price.output = price.output.or(Some(0));
        }
        let listed = ListedPrice { provider: Some(id.to_owned()), model: model.to_owned(), price };
        // Names that differ only by a prefix are one model: the first one stands.
        if !prices.iter().rev().take(64).any(|it| it.provider == listed.provider && it.model == listed.model)
        {
            prices.push(listed);
        }
    }
    skipped.say(load, root);
    prices
}

/// The catalogue's id of whom LiteLLM means; it calls parts of one provider by names of their own.
fn provider_id(name: &str) -> Option<&'static str> {
    let listed = || providers().find(|it| it.prices().any(|list| list == name));
    let known = provider(name).or_else(listed);
    let known = known.or_else(|| {
        let (stem, _) = name.split_once('-')?;
        provider(stem).filter(|it| matches!(it.id, "vertex_ai" | "bedrock" | "azure"))
    });
    known.map(|it| it.id)
}

/// New API's options, or what `/api/ratio_config` or `/api/pricing` answers.
pub(super) fn newapi(load: &mut Load<'_>, root: &Item<'_>) -> Vec<ListedPrice> {
    let Some(item) = inside(load, root, "options") else { return Vec::new() };
    let Some(item) = inside(load, &item, "data") else { return Vec::new() };
    for (name, child) in item.children() {
        let moot = matches!(name, "success" | "message" | "AutoGroups");
        if ratio::is_ratio(name)
            || moot
            || !(name.contains("Ratio") || name.contains("ratio") || name.contains("rice"))
        {
            continue;
        }
        let message = format!("`{}` is no price of a model: it is left out", short(name));
        child.say(load, Severity::Note, "no_effect", message, "");
    }
    let listed = |(model, price)| ListedPrice { provider: None, model, price };
    ratio::read(load, &item).into_iter().map(listed).collect()
}

fn short(name: &str) -> String {
    name.chars().take(60).collect()
}

/// What was left out, by why: a map of thousands of models isn't worth a line for each.
#[derive(Default)]
struct Skipped(BTreeMap<String, (String, usize)>);

impl Skipped {
    fn add(&mut self, why: String, model: &str) {
        // BOUND: reasons hold names of providers, modes and costs, of which maps have some hundreds.
        self.0.entry(why).or_insert_with(|| (model.to_owned(), 0)).1 += 1;
    }

    fn say(self, load: &mut Load<'_>, root: &Item<'_>) {
        for (why, (model, count)) in self.0 {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            let message = format!("`{}`{more}: {why}", short(&model));
            root.say(load, Severity::Warning, "not_imported", message, "add to `prices` what you need of it");
        }
    }
}
