//! `/cost/estimate`, `/spend/calculate`, the map of list prices, and whose models there are.

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::config::{self, Provider};
use sluicegate::core::money::Rounding;
use sluicegate::core::price::RATIO_ONE_PPM;
use sluicegate::{Error, ErrorKind, Result, ServiceTier, Usage};

use super::budget::usd_json;
use super::fields::Fields;
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

/// What usage costs the asker at a channel now, in nano-USD.
fn cost(ask: &Ask, served: &Served, usage: &Usage) -> Result<i64> {
    if !served.price.is_known() {
        let message = format!("model `{}` has no price; give it one in the configuration", served.name);
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "model"));
    }
    let ratio = ask.caller.as_ref().map_or(RATIO_ONE_PPM, |caller| caller.caller.price_ratio_ppm);
    let now = ask.gateway().clock().now();
    Ok(served.price.on(now).cost(usage, ServiceTier::Standard, ratio, Rounding::HalfEven))
}

async fn estimate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let name = fields.required("model")?;
    let mut count = |name: &str| fields.count(name).map(|sent| sent.value());
    let (input, output) = (count("input_tokens")?.unwrap_or(0), count("output_tokens")?.unwrap_or(0));
    let (daily, monthly) = (count("num_requests_per_day")?, count("num_requests_per_month")?);
    let served = models::must_be_served(&ask, &name).await?;
    let of = |input: i64, output: i64| {
        let usage = Usage {
            input_uncached: u64::try_from(input).unwrap_or_default(),
            output_visible: u64::try_from(output).unwrap_or_default(),
            ..Usage::default()
        };
        cost(&ask, &served, &usage)
    };
    // Both together are rounded once, as a call is.
    let (whole, read, written) = (of(input, output)?, of(input, 0)?, of(0, output)?);
    let times =
        |nano: i64, calls: Option<i64>| json!(calls.map(|calls| usd_json(nano.saturating_mul(calls))));
    let now = ask.gateway().clock().now();
    let price = served.price.on(now);
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
        "input_cost_per_token": per_token(price.input()),
        "output_cost_per_token": per_token(price.output()),
        "provider": served.provider,
    }) else {
        // INVARIANT: what is written above is an object.
        return Err(Error::new(ErrorKind::Internal, "an estimate couldn't be written"));
    };
    warned(row, fields)
}

/// `completion_response`: what its usage costs. `model` and `messages`: what reading the prompt does.
async fn calculate(ask: Ask) -> Result<Done> {
    let mut fields = body(&ask)?;
    let answer = fields.object("completion_response")?.value();
    let named = fields.text("model")?.value().filter(|name| !name.is_empty());
    let (name, usage) = match &answer {
        Some(answer) => {
            let within = answer.get("model").and_then(Value::as_str).map(str::to_owned);
            let name = named.or(within).ok_or_else(|| super::fields::missing("model"))?;
            (name, usage_of(answer)?)
        }
        None => {
            let name = named.ok_or_else(|| super::fields::missing("model"))?;
            let counted = utility::count(&ask, &name, Asked::take(&mut fields)?).await?;
            (name, Usage { input_uncached: counted.tokens, ..Usage::default() })
        }
    };
    let served = models::must_be_served(&ask, &name).await?;
    let nano = cost(&ask, &served, &usage)?;
    warned(Map::from_iter([("cost".to_owned(), usd_json(nano))]), fields)
}

/// The tokens that an answer of OpenAI's says it used.
fn usage_of(answer: &Map<String, Value>) -> Result<Usage> {
    let mut usage =
        Fields::new(answer.clone()).object("usage")?.value().map(Fields::new).ok_or_else(|| {
            let message = "`completion_response` has no `usage`; give one that says its tokens";
            Error::new(ErrorKind::InvalidRequest, message).with("param", "completion_response")
        })?;
    let tokens = |of: &mut Fields, name: &str| -> Result<u64> {
        let count = of.count(name)?.value().unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    };
    let (input, output) = (tokens(&mut usage, "prompt_tokens")?, tokens(&mut usage, "completion_tokens")?);
    let part = |of: &mut Fields, within: &str, name: &str| -> Result<u64> {
        of.object(within)?.value().map_or(Ok(0), |map| tokens(&mut Fields::new(map), name))
    };
    let cached = part(&mut usage, "prompt_tokens_details", "cached_tokens")?.min(input);
    let reasoning = part(&mut usage, "completion_tokens_details", "reasoning_tokens")?.min(output);
    Ok(Usage {
        input_uncached: input - cached,
        cache_read: cached,
        output_visible: output - reasoning,
        output_reasoning: reasoning,
        ..Usage::default()
    })
}

/// LiteLLM's names of these two's models have no provider before them.
const BARE: [&str; 2] = ["openai", "anthropic"];

/// What is known of every model of the built-in price list.
async fn cost_map(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish();
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
    fn an_answers_usage_is_told_apart() {
        let answer = |usage: Value| json!({ "usage": usage }).as_object().cloned().unwrap();
        let usage = usage_of(&answer(json!({
            "prompt_tokens": 10, "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3},
        })));
        let want = Usage {
            input_uncached: 6,
            cache_read: 4,
            output_visible: 4,
            output_reasoning: 3,
            ..Usage::default()
        };
        assert_eq!(usage.unwrap(), want);
        // More of a part than of the whole isn't less than nothing of the rest.
        let odd =
            usage_of(&answer(json!({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}})));
        assert_eq!(odd.unwrap(), Usage { cache_read: 1, ..Usage::default() });
        for wrong in [json!(null), json!({"prompt_tokens": -1}), json!({"completion_tokens": "many"})] {
            assert_eq!(
                usage_of(&answer(wrong.clone())).unwrap_err().kind(),
                ErrorKind::InvalidRequest,
                "{wrong}"
            );
        }
    }
}
