//! Reports of what was used.

use actix_web::http::Method;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sluicegate::admin::{By, Compare, Granularity, Metrics, Order, UsageQuestion, UsageReport};
use sluicegate::store::ReportFilter;
use sluicegate::{Error, ErrorKind, Result, Timestamp};

use super::usage::record_filter;
use super::{parameter, parameters};
use crate::ask::{self, Ask, Done};
use crate::openapi::Operation;
use crate::routes::Entry;
use crate::table;

/// Which time a report is of, and how it is told apart.
pub(super) const TIME: [(&str, &str); 4] = [
    (
        "from",
        "From the hour, day, week or month that this is in: a date, RFC 3339, or milliseconds. Default: as long ago as the granularity makes sensible.",
    ),
    ("to", "Up to this time; widened like `from`. Default: now."),
    (
        "granularity",
        "`hour`, `day`, `week` (from Monday), `month`, or `total` for sums without a course. Default day.",
    ),
    (
        "time_zone",
        "Whose hours and days they are, and dates in `from` and `to`, such as `Europe/Berlin`. Default: the gateway's.",
    ),
];

/// Whose calls.
pub(super) const WITHIN: [(&str, &str); 2] =
    [("organization", "Of this organization."), ("group", "Of this group, by id or alias.")];

const USAGE: &[(&str, &str)] = &[
    TIME[0],
    TIME[1],
    TIME[2],
    TIME[3],
    (
        "by",
        "What to tell apart, one or two of them, separated by a comma: organization, group, user, key, model, channel, provider, customer, tag.",
    ),
    (
        "order",
        "What comes first: the most `spend`, `requests`, `total_tokens`, `failed`, `denied`, `duration_ms` or `first_token_ms`. Default spend.",
    ),
    (
        "top",
        "How many rows, 1 to 100, or to 10,000 with `granularity=total`; the rest is summed up as `others`. Default 10.",
    ),
    (
        "compare",
        "A time as long as this one: `previous` is the one right before; else when it begins, like `from`. Default none.",
    ),
    WITHIN[0],
    WITHIN[1],
    ("user", "Of this user."),
    ("key", "Of this key, by id, alias, hash or the key itself."),
    ("model", "For this model, as requested."),
    ("channel", "What was used at this channel."),
    ("provider", "What was used at channels of this provider."),
    ("customer", "Of this end customer."),
    ("tag", "With this tag; not together with an end customer."),
    ("format", "`json`, or a table with a line for each row and bucket: `csv` or `jsonl`. Default json."),
];

pub(super) fn table() -> Vec<Entry> {
    vec![Entry {
        method: Method::GET,
        path: "/api/v1/reports/usage",
        make: || ask::route(Method::GET, usage),
        operation: Some(
            Operation::new(
                "getUsageReport",
                "usage",
                "What was used, by whom, where and when, and in the time before.",
            )
            .query(USAGE)
            .answers(200, "UsageReport")
            .or_csv(),
        ),
    }]
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Lines,
}

impl Form {
    pub(super) fn of(ask: &Ask, query: &Map<String, Value>) -> Result<Self> {
        match parameter(query, "format").as_deref() {
            Some("csv") => Ok(Self::Csv),
            None if ask.wants_csv() => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::Lines),
            None | Some("json") => Ok(Self::Json),
            Some(other) => {
                let message = format!("`{other}` is no format of a report; take `json`, `csv` or `jsonl`");
                Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "format"))
            }
        }
    }
}

async fn usage(ask: Ask) -> Result<Done> {
    let known: Vec<&str> = USAGE.iter().map(|(name, _)| *name).collect();
    let query = exactly(&ask, &known)?;
    let form = Form::of(&ask, &query)?;
    let report = ask.admin().usage_report(&ask.actor, &question(&ask, &query).await?).await?;
    match form {
        Form::Json => Done::ok(&report),
        Form::Csv => Ok(Done::csv(csv(&report))),
        Form::Lines => {
            let mut text = String::new();
            for (line, metrics) in lines(&report) {
                let mut value = json!(metrics);
                value["from"] = json!(line.from);
                value["to"] = json!(line.to);
                value["by"] = line.by.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                text.push_str(&value.to_string());
                text.push('\n');
            }
            Ok(Done::lines(text))
        }
    }
}

/// A query of exactly these parameters: reports have no pages.
pub(super) fn exactly(ask: &Ask, known: &[&str]) -> Result<Map<String, Value>> {
    let query = parameters(ask, known)?;
    match query.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("there is no parameter `{name}` here; there are {}", known.join(", ")),
        )
        .with("param", name.as_str())),
        None => Ok(query),
    }
}

pub(super) async fn question(ask: &Ask, query: &Map<String, Value>) -> Result<UsageQuestion> {
    let zone = zone(query)?;
    let found = record_filter(ask, &without_times(query)).await?;
    let filter = ReportFilter {
        organization: found.organization,
        group: found.group,
        user: found.user,
        key: found.key,
        model: found.model,
        channels: found.channel.map(|channel| vec![channel]),
        customer: parameter(query, "customer"),
        tag: parameter(query, "tag"),
    };
    let by = parameter(query, "by").map(|text| text.split(',').map(|by| word("by", by.trim())).collect());
    let usual = UsageQuestion::default();
    Ok(UsageQuestion {
        from: at(query, "from", zone.as_ref(), ask)?,
        to: at(query, "to", zone.as_ref(), ask)?,
        granularity: parameter(query, "granularity")
            .map_or(Ok(Granularity::Day), |text| word("granularity", &text))?,
        filter,
        provider: parameter(query, "provider"),
        by: by.transpose()?.unwrap_or_default(),
        order: parameter(query, "order").map_or(Ok(Order::Spend), |text| word("order", &text))?,
        top: parameter(query, "top").map_or(Ok(usual.top), |text| number("top", &text))?,
        compare: match parameter(query, "compare").as_deref() {
            None | Some("none") => None,
            Some("previous") => Some(Compare::Previous),
            Some(other) => {
                let begins = at(query, "compare", zone.as_ref(), ask).map_err(|_| {
                    let message = format!(
                        "nothing can be compared with `{other}`; write `previous`, `none`, or when the other time begins, like `from`"
                    );
                    Error::new(ErrorKind::InvalidRequest, message).with("param", "compare")
                })?;
                begins.map(Compare::From)
            }
        },
        zone,
    })
}

/// Times of reports are read in their zone.
pub(super) fn without_times(query: &Map<String, Value>) -> Map<String, Value> {
    query
        .iter()
        .filter(|(name, _)| *name != "from" && *name != "to")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

pub(super) fn zone(query: &Map<String, Value>) -> Result<Option<TimeZone>> {
    let Some(name) = parameter(query, "time_zone") else { return Ok(None) };
    TimeZone::get(&name).map(Some).map_err(|_| {
        let message = format!("no time zone is called `{name}`; write one such as `UTC` or `Asia/Shanghai`");
        Error::new(ErrorKind::InvalidRequest, message).with("param", "time_zone")
    })
}

/// A time; a day with or without one is of the zone.
pub(super) fn at(
    query: &Map<String, Value>,
    name: &'static str,
    zone: Option<&TimeZone>,
    ask: &Ask,
) -> Result<Option<Timestamp>> {
    let Some(text) = parameter(query, name) else { return Ok(None) };
    let zone = zone.cloned().unwrap_or_else(|| ask.admin().time_zone());
    let read = super::time_in(name, &text, &zone).map_err(|error| error.with("param", name))?;
    // What no calendar has would be taken for some other time.
    match jiff::Timestamp::from_millisecond(read.as_ms()) {
        Ok(_) => Ok(Some(read)),
        Err(_) => {
            let message = format!("`{name}` is no time that a calendar has");
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", name))
        }
    }
}

fn word<T: DeserializeOwned>(name: &'static str, text: &str) -> Result<T> {
    serde_json::from_value(json!(text)).map_err(|why| {
        let known: Vec<String> = why.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect();
        let message = format!("`{text}` is no {name} of a report; take one of {}", known.join(", "));
        Error::new(ErrorKind::InvalidRequest, message).with("param", name)
    })
}

pub(super) fn number(name: &'static str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| {
        let message = format!("`{name}` must be a whole number, 1 or more");
        Error::new(ErrorKind::InvalidRequest, message).with("param", name)
    })
}

/// What a line of a report's table is of.
struct Line {
    from: Timestamp,
    to: Timestamp,
    by: Named,
}

/// What a row is of: by what, and its name.
type Named = Vec<(String, String)>;

/// A report as a table: a line for each row and bucket, or one for each row.
fn lines(report: &UsageReport) -> Vec<(Line, Metrics)> {
    let mut lines = Vec::new();
    let line = |from, to, by: &[(String, String)]| Line { from, to, by: by.to_vec() };
    let whole = (report.from, report.to);
    let mut rows: Vec<(Named, Metrics, &[Metrics])> = Vec::new();
    for row in &report.rows {
        let named = |by: &By| {
            let value = row.by.get(by.as_str()).cloned().unwrap_or_default();
            (by.as_str().to_owned(), value)
        };
        rows.push((report.by.iter().map(named).collect(), row.total, &row.series));
    }
    if let Some(others) = &report.others {
        let named = |by: &By| (by.as_str().to_owned(), "(others)".to_owned());
        rows.push((report.by.iter().map(named).collect(), others.total, &others.series));
    }
    if report.by.is_empty() && report.buckets.is_empty() {
        lines.push((line(whole.0, whole.1, &[]), report.total));
    }
    for (at, bucket) in report.buckets.iter().enumerate() {
        if report.by.is_empty() {
            lines.push((line(bucket.from, bucket.to, &[]), bucket.metrics));
        }
        for (by, _, series) in &rows {
            lines.push((line(bucket.from, bucket.to, by), series.get(at).copied().unwrap_or_default()));
        }
    }
    if report.buckets.is_empty() {
        lines.extend(rows.iter().map(|(by, total, _)| (line(whole.0, whole.1, by), *total)));
    }
    lines
}

fn csv(report: &UsageReport) -> String {
    let mut text = String::new();
    let zeroes = json!(Metrics::default());
    let names: Vec<&str> =
        zeroes.as_object().into_iter().flat_map(|map| map.keys()).map(|name| name.as_str()).collect();
    let head = ["from", "to"].into_iter().chain(report.by.iter().map(|by| by.as_str()));
    table::row(&mut text, head.chain(names.iter().copied()));
    for (line, metrics) in lines(report) {
        let metrics = json!(metrics);
        let number = |name: &&str| match metrics.get(*name) {
            None | Some(Value::Null) => String::new(),
            Some(number) => number.to_string(),
        };
        let mut cells = vec![line.from.to_string(), line.to.to_string()];
        cells.extend(line.by.iter().map(|(_, value)| value.clone()));
        cells.extend(names.iter().map(number));
        table::row(&mut text, cells.iter().map(|cell| cell.as_str()));
    }
    text
}
