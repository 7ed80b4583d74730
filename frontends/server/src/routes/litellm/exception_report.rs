//! `/global/activity/exceptions…`, `/model/metrics/exceptions` and `/model/metrics/slow_responses`: calls that failed or took long.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Map, Value, json};
use sluicegate::admin::{By, Granularity, Order, UsageQuestion};
use sluicegate::store::{RecordFilter, ReportFilter, Trouble, TroubleQuery};
use sluicegate::{ModelName, Result};

use super::fields::Query;
use super::model_report::{CHANNELS_MAX, day_of};
use super::query;
use super::spend::{must_be_dated, sums_filter, time_of};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

pub(super) fn table() -> Vec<Entry> {
    let get = |path, make| Entry::plain(Method::GET, path, make);
    vec![
        get("/global/activity/exceptions", || ask::route(Method::GET, by_day)),
        get("/global/activity/exceptions/deployment", || ask::route(Method::GET, by_deployment)),
        get("/model/metrics/exceptions", || ask::route(Method::GET, by_kind)),
        get("/model/metrics/slow_responses", || ask::route(Method::GET, slow)),
    ]
}

/// What a call's trouble is called in LiteLLM; `None` of what is no upstream's.
fn exception(outcome: &str) -> Option<&'static str> {
    Some(match outcome {
        "bad_request" => "BadRequestError",
        "context_too_long" => "ContextWindowExceededError",
        "content_policy" => "ContentPolicyViolationError",
        "auth" => "AuthenticationError",
        "rate_limited" | "no_balance" => "RateLimitError",
        "overloaded" => "ServiceUnavailableError",
        "not_found" => "NotFoundError",
        "inexpressible" => "UnsupportedParamsError",
        "server_error" => "InternalServerError",
        "unreachable" | "broken" => "APIConnectionError",
        "timeout" => "Timeout",
        "nonsense" => "APIResponseValidationError",
        _ => return None,
    })
}

/// Whether it was a limit on a rate: an upstream's, or ours.
fn is_of_rate(it: &Trouble) -> bool {
    it.outcome == "rate_limited" || it.error == "rate_limited"
}

/// What was found, and what there is to say where it isn't all.
async fn troubles(ask: &Ask, filter: RecordFilter, slow: bool) -> Result<(Vec<Trouble>, Option<String>)> {
    let found = ask.admin().troubles(&ask.actor, &TroubleQuery { filter, slow }).await?;
    let warning =
        "these are the newest calls only: there were too many to look at all; ask for a shorter time";
    Ok((found.rows, (!found.is_all).then(|| warning.to_owned())))
}

/// `model_group`, `start_date` and `end_date`, which must be there.
async fn rate_limited(ask: &Ask, query: &Query) -> Result<(Vec<Trouble>, Option<String>)> {
    let model = Some(ModelName::from(query.required("model_group")?));
    must_be_dated(query)?;
    let (mut rows, cut) =
        troubles(ask, RecordFilter { model, ..sums_filter(ask, query).await? }, false).await?;
    rows.retain(is_of_rate);
    Ok((rows, cut))
}

/// Days with so many of them, and all of them.
fn activity<'a>(ask: &Ask, rows: impl Iterator<Item = &'a Trouble>) -> Map<String, Value> {
    let (mut days, mut sum): (BTreeMap<String, i64>, i64) = (BTreeMap::new(), 0);
    for it in rows {
        let day = days.entry(day_of(ask, it.at)).or_default();
        *day = day.saturating_add(it.calls);
        sum = sum.saturating_add(it.calls);
    }
    let row = |(date, calls): (String, i64)| json!({"date": date, "num_rate_limit_exceptions": calls});
    Map::from_iter([
        ("daily_data".to_owned(), days.into_iter().map(row).collect::<Vec<_>>().into()),
        ("sum_num_rate_limit_exceptions".to_owned(), sum.into()),
    ])
}

async fn by_day(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (rows, cut) = rate_limited(&ask, &query).await?;
    Done::ok(&activity(&ask, rows.iter()))
        .and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
}

/// Deployments are told by their channels' ids; what was refused before anything was sent is none's.
async fn by_deployment(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (rows, cut) = rate_limited(&ask, &query).await?;
    let channels: BTreeSet<&str> =
        rows.iter().map(|it| it.channel.as_str()).filter(|it| !it.is_empty()).collect();
    let row = |channel: &str| {
        let mut row = activity(&ask, rows.iter().filter(|it| it.channel == channel));
        row.insert("api_base".to_owned(), channel.into());
        row
    };
    let all: Vec<_> = channels.into_iter().map(row).collect();
    Done::ok(&all).and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
}

/// What `/model/metrics/…` take: the last seven days where no time is said.
async fn of_model(ask: &Ask, query: &Query) -> Result<RecordFilter> {
    let at = |name: &'static str, is_end| {
        query.text(name).map(|text| time_of(ask, name, text, is_end)).transpose()
    };
    let filter = RecordFilter {
        model: query.text("_selected_model_group").map(ModelName::from),
        customer: query.text("customer").map(str::to_owned),
        ..sums_filter(ask, query).await?
    };
    let week = ask.gateway().clock().now().plus_ms(-WEEK_MS);
    let (from, to) = (at("startTime", false)?.or(filter.from), at("endTime", true)?.or(filter.to));
    Ok(RecordFilter { from: from.or(Some(week)), to, ..filter })
}

const WEEK_MS: i64 = 7 * 86_400_000;

async fn by_kind(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let (rows, cut) = troubles(&ask, of_model(&ask, &query).await?, false).await?;
    let mut channels: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    let mut kinds = BTreeSet::new();
    for it in rows.iter().filter(|it| !it.channel.is_empty()) {
        let Some(kind) = exception(&it.outcome) else { continue };
        kinds.insert(kind);
        let calls = channels.entry(&it.channel).or_default().entry(kind).or_default();
        *calls = calls.saturating_add(it.calls);
    }
    let row = |(channel, kinds): (&str, BTreeMap<&str, i64>)| {
        let total: i64 = kinds.values().sum();
        let mut row: Map<String, Value> =
            kinds.into_iter().map(|(kind, calls)| (kind.to_owned(), calls.into())).collect();
        row.insert("model".to_owned(), channel.into());
        row.insert("total_exceptions".to_owned(), total.into());
        row
    };
    let data: Vec<_> = channels.into_iter().map(row).collect();
    Done::ok(&json!({"data": data, "exception_types": kinds}))
        .and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
}

/// Of the calls at each channel those that took five minutes or longer, LiteLLM's own threshold.
async fn slow(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    let filter = of_model(&ask, &query).await?;
    let question = UsageQuestion {
        from: filter.from,
        to: filter.to,
        granularity: Granularity::Total,
        filter: ReportFilter {
            organization: filter.organization.clone(),
            group: filter.group.clone(),
            user: filter.user.clone(),
            key: filter.key.clone(),
            model: filter.model.clone(),
            customer: filter.customer.clone(),
            ..ReportFilter::default()
        },
        by: vec![By::Channel],
        order: Order::Requests,
        top: CHANNELS_MAX,
        ..UsageQuestion::default()
    };
    let (rows, cut) = troubles(&ask, filter, true).await?;
    let report = ask.admin().usage_report(&ask.actor, &question).await?;
    let all = report.rows.iter().filter_map(|row| {
        let channel = row.by.get(By::Channel.as_str()).filter(|name| !name.is_empty())?;
        let slow: i64 = rows.iter().filter(|it| it.channel == *channel).map(|it| it.calls).sum();
        Some(json!({"api_base": channel, "total_count": row.total.requests, "slow_count": slow}))
    });
    let all: Vec<Value> = all.collect();
    Done::ok(&all).and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
}

#[cfg(test)]
mod tests {
    use sluicegate::OutcomeClass;

    use super::*;

    #[test]
    fn each_trouble_of_an_upstream_has_a_name() {
        for class in OutcomeClass::ALL {
            let is_theirs =
                !matches!(class, OutcomeClass::Ok | OutcomeClass::ClientGone | OutcomeClass::Denied);
            assert_eq!(exception(class.as_str()).is_some(), is_theirs, "{}", class.as_str());
        }
    }
}
