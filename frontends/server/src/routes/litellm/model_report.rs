//! `/model/metrics` and `/model/streaming_metrics`: how fast channels are, day by day; `/provider/budgets`: what they may spend.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{By, Granularity, LimitFilter, LimitUse, Metrics, UsageQuestion};
use sluicegate::store::ReportFilter;
use sluicegate::{Error, ErrorKind, Metric, ModelName, Result, ScopeKind};

use super::budget::usd_json;
use super::spend::{provider_of, time_of};
use super::{find_key, query};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// So many channels are told of: the ones with the most calls.
pub(super) const CHANNELS_MAX: usize = 100;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::GET, "/model/metrics", || {
            ask::route(Method::GET, |ask| metrics(ask, seconds_a_token))
        }),
        Entry::plain(Method::GET, "/model/streaming_metrics", || {
            ask::route(Method::GET, |ask| metrics(ask, seconds_to_first))
        }),
        Entry::plain(Method::GET, "/provider/budgets", || ask::route(Method::GET, provider_budgets)),
    ]
}

/// How long a token of output took, on average.
fn seconds_a_token(metrics: &Metrics) -> Option<f64> {
    let tokens = Some(metrics.output_tokens).filter(|tokens| *tokens > 0)?;
    let ms = metrics.duration_ms?.saturating_mul(metrics.successful);
    #[expect(clippy::cast_precision_loss, reason = "shown to people, never computed with")]
    let seconds = ms as f64 / 1_000.0 / tokens as f64;
    Some(seconds)
}

/// How long streams waited for their first content, on average.
fn seconds_to_first(metrics: &Metrics) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "shown to people, never computed with")]
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    metrics.first_token_ms.map(seconds)
}

/// A row for each day with a number for each channel that had calls. LiteLLM tells them apart by their addresses, which are for
/// super administrators; these are told apart by their ids.
async fn metrics(ask: Ask, of: fn(&Metrics) -> Option<f64>) -> Result<Done> {
    let query = query(&ask)?;
    let at = |name: &'static str, is_end| {
        query.text(name).map(|text| time_of(&ask, name, text, is_end)).transpose()
    };
    let key = match query.text("api_key") {
        Some(name) => Some(ask.admin().key(&ask.actor, &find_key(&ask, name).await?).await?.key.id),
        None => None,
    };
    let filter = ReportFilter {
        key,
        model: query.text("_selected_model_group").map(ModelName::from),
        customer: query.text("customer").map(str::to_owned),
        ..ReportFilter::default()
    };
    let question = UsageQuestion {
        from: at("startTime", false)?,
        to: at("endTime", true)?,
        granularity: Granularity::Day,
        filter,
        by: vec![By::Channel],
        order: sluicegate::admin::Order::Requests,
        top: CHANNELS_MAX,
        ..UsageQuestion::default()
    };
    let report = ask.admin().usage_report(&ask.actor, &question).await?;
    let (mut data, mut all) = (Vec::new(), BTreeSet::new());
    for (n, bucket) in report.buckets.iter().enumerate() {
        let mut row = Map::new();
        for channel in &report.rows {
            let name = channel.by.get(By::Channel.as_str()).filter(|name| !name.is_empty());
            let number = channel.series.get(n).and_then(of);
            if let (Some(name), Some(number)) = (name, number) {
                all.insert(name.clone());
                row.insert(name.clone(), json!(number));
            }
        }
        if !row.is_empty() {
            row.insert("date".to_owned(), day_of(&ask, bucket.from).into());
            data.push(row);
        }
    }
    Done::ok(&json!({"data": data, "all_api_bases": all})).and_then(|done| Ok(done.warning(query.finish()?)))
}

/// The day that begins then, where the gateway's days are.
pub(super) fn day_of(ask: &Ask, at: sluicegate::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_ms())
        .map_or_else(|_| at.to_string(), |at| at.to_zoned(ask.admin().time_zone()).date().to_string())
}

/// What the channels of a provider may spend together, where each of them has a budget over the same time: with one that has
/// none, the provider has none.
async fn provider_budgets(ask: Ask) -> Result<Done> {
    if !ask.actor.is_super() {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "only super administrators may see budgets of providers",
        ));
    }
    let sent = query(&ask)?.finish()?;
    let filter = LimitFilter {
        kind: Some(ScopeKind::Channel),
        metric: Some(Metric::Spend),
        lasting: true,
        ..LimitFilter::default()
    };
    let mut budgets: BTreeMap<String, LimitUse> = BTreeMap::new();
    for view in ask.admin().all_limits(&ask.actor, &filter).await? {
        if view.state.model.is_none() {
            budgets.entry(view.id).or_insert(view.state);
        }
    }
    let mut providers: BTreeMap<String, Option<LimitUse>> = BTreeMap::new();
    for channel in ask.gateway().engine().snapshot().channels().iter().filter(|channel| channel.enabled) {
        let own = budgets.get(channel.id.as_str());
        let provider = provider_of(&ask, channel.id.as_str());
        let sum = match (providers.remove(&provider), own) {
            (None, own) => own.cloned(),
            (Some(Some(sum)), Some(own)) if sum.window == own.window => Some(LimitUse {
                max: sum.max.saturating_add(own.max),
                settled: sum.settled.saturating_add(own.settled),
                ..sum
            }),
            _ => None,
        };
        providers.insert(provider, sum);
    }
    let row = |(provider, sum): (String, Option<LimitUse>)| {
        let sum = sum?;
        let row = json!({
            "budget_limit": usd_json(sum.max),
            "time_period": sum.window.to_string(),
            "spend": usd_json(sum.settled),
            "budget_reset_at": sum.resets_at.map(|at| at.to_string()),
        });
        Some((provider, row))
    };
    let providers: Map<String, Value> = providers.into_iter().filter_map(row).collect();
    Done::ok(&json!({ "providers": providers })).map(|done| done.warning(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_by_token_and_nothing_of_nothing() {
        let some = Metrics {
            successful: 4,
            duration_ms: Some(500),
            output_tokens: 100,
            first_token_ms: Some(250),
            ..Metrics::default()
        };
        assert_eq!(seconds_a_token(&some), Some(0.02));
        assert_eq!(seconds_to_first(&some), Some(0.25));
        assert_eq!(seconds_a_token(&Metrics { output_tokens: 0, ..some }), None);
        assert_eq!(seconds_a_token(&Metrics { duration_ms: None, ..some }), None);
        assert_eq!(seconds_to_first(&Metrics::default()), None);
    }
}
