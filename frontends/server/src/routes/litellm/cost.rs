//! `/cost/estimate`, `/spend/calculate`, the map of list prices, and whose models there are.

use std::sync::Arc;

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::config::{self, Provider};
use sluicegate::core::engine::Charges;
use sluicegate::core::price::Variant;
use sluicegate::core::quirk::Quirks;
use sluicegate::wire::{Observed, charged_by};
use sluicegate::{Error, ErrorKind, Result, ServiceTier, Usage};

use super::budget::usd_json;
use super::models::{self, Served, per_token};
use super::utility::{self, Asked};
use super::{body, query, warned};
use crate::ask::{self, Ask, Done, Visit};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::POST, "/cost/estimate", || ask::route(Method::POST, estimate)),
        Entry::plain(Method::POST, "/spend/calculate", || ask::route(Method::POST, calculate)),
        Entry::plain(Method::GET, "/get/litellm_model_cost_map", || ask::route(Method::GET, cost_map)),
        Entry::plain(Method::GET, "/public/providers", || ask::visit(Method::GET, providers)),
    ]
}

/// What a call of the asker's would be charged by now, of that variant. By a session or an access token, which call nothing: as
/// listed.
fn charges<'a>(ask: &'a Ask, served: &'a Served, variant: Option<&'a Variant>) -> Charges<'a> {
    let now = ask.gateway().clock().now();
    match &ask.caller {
        Some(caller) => Charges::of(&caller.caller, &served.group, &served.model, now, variant),
        None => Charges::listed(&served.model, now, variant),
    }
}

/// What usage costs by these, in nano-USD.
fn cost(charges: &Charges<'_>, served: &Served, usage: &Usage, tier: ServiceTier) -> Result<i64> {
    charges.cost(usage, tier).ok_or_else(|| {
        let message = format!("model `{}` has no price; give it one in the configuration", served.name);
        Error::new(ErrorKind::InvalidRequest, message).with("param", "model")
    })
}

async fn estimate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("model")?;
    let mut count = |name: &str| fields.count(name).map(|sent| sent.value());
    let (input, output) = (count("input_tokens")?.unwrap_or(0), count("output_tokens")?.unwrap_or(0));
    let (daily, monthly) = (count("num_requests_per_day")?, count("num_requests_per_month")?);
    let warnings = fields.finish()?;
    let served = models::must_be_served(&ask, &name).await?;
    let charges = charges(&ask, &served, None);
    let of = |input: i64, output: i64| {
        let usage = Usage {
            input_uncached: u64::try_from(input).unwrap_or_default(),
            output_visible: u64::try_from(output).unwrap_or_default(),
            ..Usage::default()
        };
        cost(&charges, &served, &usage, ServiceTier::Standard)
    };
    // Both together are rounded once, as a call is.
    let (whole, read, written) = (of(input, output)?, of(input, 0)?, of(0, output)?);
    let times =
        |nano: i64, calls: Option<i64>| json!(calls.map(|calls| usd_json(nano.saturating_mul(calls))));
    let (per_input, per_output) = charges.per_token();
    let Value::Object(row) = json!({
        "model": name,
        "input_tokens": input,
        "output_tokens": output,
        "num_requests_per_day": daily,
        "num_requests_per_month": monthly,
        "cost_per_request": usd_json(whole),
        "input_cost_per_request": usd_json(read),
        "output_cost_per_request": usd_json(written),
        "margin_cost_per_request": 0.0,
        "daily_cost": times(whole, daily),
        "daily_input_cost": times(read, daily),
        "daily_output_cost": times(written, daily),
        "daily_margin_cost": daily.map(|_| 0.0),
        "monthly_cost": times(whole, monthly),
        "monthly_input_cost": times(read, monthly),
        "monthly_output_cost": times(written, monthly),
        "monthly_margin_cost": monthly.map(|_| 0.0),
        "input_cost_per_token": per_token(per_input),
        "output_cost_per_token": per_token(per_output),
        "provider": served.provider,
    }) else {
        // INVARIANT: what is written above is an object.
        return Err(Error::new(ErrorKind::Internal, "an estimate couldn't be written"));
    };
    warned(row, warnings)
}

/// `completion_response`: what its usage costs. `model` and `messages`: what reading the prompt does.
async fn calculate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let answer = fields.object("completion_response")?.value();
    let named = fields.text("model")?.value().filter(|name| !name.is_empty());
    let within = || answer.as_ref()?.get("model")?.as_str().map(str::to_owned);
    let name = named.or_else(within).ok_or_else(|| super::fields::missing("model"))?;
    let asked = match answer {
        Some(_) => None,
        None => Some(Asked::take(&mut fields)?),
    };
    let warnings = fields.finish()?;
    let served = models::must_be_served(&ask, &name).await?;
    let mut said = Observed::default();
    let usage = match (asked, answer) {
        (Some(asked), _) => {
            let counted = utility::count(&ask, &name, asked).await?;
            Usage { input_uncached: counted.tokens, ..Usage::default() }
        }
        (None, answer) => {
            said = read(answer.unwrap_or_default(), &served.channel.quirks);
            said.usage.ok_or_else(unreadable)?
        }
    };
    let tier = said.served_tier.as_deref().and_then(ServiceTier::of_answer).unwrap_or_default();
    let nano = cost(&charges(&ask, &served, said.served_variant.as_deref()), &served, &usage, tier)?;
    warned(Map::from_iter([("cost".to_owned(), usd_json(nano))]), warnings)
}

/// What an answer, of whatever format, says that it is charged by: read as where calls are charged.
fn read(answer: Map<String, Value>, quirks: &Arc<Quirks>) -> Observed {
    charged_by(Value::Object(answer).to_string().as_bytes(), quirks)
}

fn unreadable() -> Error {
    let message = "`completion_response` says no `usage` that can be read; give one that counts its tokens";
    Error::new(ErrorKind::InvalidRequest, message).with("param", "completion_response")
}

/// LiteLLM's names of these two's models have no provider before them.
const BARE: [&str; 2] = ["openai", "anthropic"];

/// What is known of every model of the built-in price list.
async fn cost_map(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let now = ask.gateway().clock().now();
    let mut map = Map::new();
    for provider in config::providers() {
        for model in provider.models() {
            let Some(facts) = config::model_facts(&provider, model) else { continue };
            let name = if BARE.contains(&provider.id) {
                model.to_owned()
            } else {
                format!("{}/{model}", provider.id)
            };
            let price = facts.price.on(now);
            let mut row = json!({
                "litellm_provider": provider.id,
                "mode": if facts.embedding { "embedding" } else { "chat" },
                "max_tokens": facts.max_output,
                "max_input_tokens": facts.context_window,
                "max_output_tokens": facts.max_output,
                "input_cost_per_token": per_token(price.input()),
                "output_cost_per_token": per_token(price.output()),
                "cache_read_input_token_cost": per_token(price.cache_read()),
            });
            let lacks = [
                ("supports_function_calling", facts.lacks.tools),
                ("supports_vision", facts.lacks.images),
                ("supports_audio_input", facts.lacks.audio),
                ("supports_response_schema", facts.lacks.json_schema),
            ];
            // What isn't known to lack something needn't have it.
            for (name, _) in lacks.into_iter().filter(|(_, lacks)| *lacks) {
                row[name] = false.into();
            }
            map.insert(name, row);
        }
    }
    Done::ok(&map).map(|done| done.warning(sent))
}

/// Providers that are called, for whoever asks: it is no secret.
async fn providers(_: Visit) -> Result<Done> {
    let served = |provider: &Provider| provider.card().served;
    let mut names: Vec<&str> = config::providers().filter(served).map(|provider| provider.id).collect();
    names.sort_unstable();
    Done::ok(&names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_usage_is_what_a_call_is_charged_by() {
        let of = |answer: Value| read(answer.as_object().cloned().unwrap(), &Arc::default()).usage;
        for (answer, want) in [
            (
                json!({"usage": {
                    "prompt_tokens": 10, "completion_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 2},
                }}),
                Usage {
                    input_uncached: 5,
                    cache_read: 4,
                    audio_in: 1,
                    output_visible: 2,
                    output_reasoning: 3,
                    audio_out: 2,
                    ..Usage::default()
                },
            ),
            (
                json!({"model": "gpt-5-search-api", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
                Usage { input_uncached: 1, output_visible: 1, searches: 1, ..Usage::default() },
            ),
            (
                json!({"type": "message", "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 2}}),
                Usage { input_uncached: 5, cache_read: 3, output_visible: 2, ..Usage::default() },
            ),
        ] {
            assert_eq!(of(answer.clone()), Some(want), "{answer}");
        }
        for wrong in [json!(null), json!({"prompt_tokens": -1}), json!({"prompt_tokens": "many"})] {
            assert_eq!(of(json!({ "usage": wrong.clone() })), None, "{wrong}");
        }
    }
}
