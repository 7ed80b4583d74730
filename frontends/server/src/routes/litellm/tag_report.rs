//! `/tag/distinct`, `/tag/summary` and `/tag/dau|wau|mau`: who calls with which tag.

use std::collections::{BTreeMap, HashSet};

use actix_web::http::Method;
use jiff::Span;
use jiff::civil::Date;
use serde_json::{Value, json};
use sluicegate::store::{Dimension, RecordFilter, Sums};
use sluicegate::{Error, ErrorKind, Result};

use super::budget::usd_json;
use super::fields::Query;
use super::query;
use super::spend::{self, sums_filter, time_of};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// So many days, weeks or months are told of, the present one included.
const SPANS: i64 = 7;

pub(super) fn table() -> Vec<Entry> {
    vec![
        Entry::plain(Method::GET, "/tag/distinct", || ask::route(Method::GET, distinct)),
        Entry::plain(Method::GET, "/tag/summary", || ask::route(Method::GET, summary)),
        Entry::plain(Method::GET, "/tag/dau", || ask::route(Method::GET, |ask| active(ask, Length::Day))),
        Entry::plain(Method::GET, "/tag/wau", || ask::route(Method::GET, |ask| active(ask, Length::Week))),
        Entry::plain(Method::GET, "/tag/mau", || ask::route(Method::GET, |ask| active(ask, Length::Month))),
    ]
}

/// `tag_filters`, else `tag_filter`: nothing picks all.
fn is_wanted(query: &Query) -> impl Fn(&str) -> bool + use<> {
    let text = query.text("tag_filters").or_else(|| query.text("tag_filter")).unwrap_or_default();
    let wanted: HashSet<String> =
        text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    move |tag| wanted.is_empty() || wanted.contains(tag)
}

async fn distinct(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish();
    let rows = ask.admin().spend_rows(&ask.actor, &RecordFilter::default(), &[Dimension::Tag]).await?;
    let mut tags: Vec<(i64, String)> = rows
        .into_iter()
        .filter_map(|row| Some((spend::calls(&row.sums), row.by.into_iter().next()?)))
        .collect();
    // The most used first.
    tags.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let results: Vec<Value> = tags.iter().map(|(_, tag)| json!({"tag": tag})).collect();
    Done::ok(&json!({"results": results})).map(|done| done.warning(sent))
}

async fn summary(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let (filter, is_wanted) = (sums_filter(&ask, &query).await?, is_wanted(&query));
    let mut tags: BTreeMap<String, (Sums, HashSet<String>)> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &filter, &[Dimension::Tag, Dimension::User]).await? {
        let Ok([tag, user]) = <[String; 2]>::try_from(row.by) else { continue };
        if is_wanted(&tag) {
            let (sums, users) = tags.entry(tag).or_default();
            sums.add(&row.sums);
            users.extend(Some(user).filter(|user| !user.is_empty()));
        }
    }
    let row = |(tag, (sums, users)): (&String, &(Sums, HashSet<String>))| {
        json!({
            "tag": tag,
            "unique_users": users.len(),
            "total_requests": spend::calls(sums),
            "successful_requests": spend::successes(sums),
            "failed_requests": sums.failures,
            "total_tokens": sums.total_tokens(),
            "total_spend": usd_json(sums.spend),
        })
    };
    let results: Vec<Value> = tags.iter().map(row).collect();
    Done::ok(&json!({"results": results})).map(|done| done.warning(query.finish()))
}

/// How long somebody counts once.
#[derive(Clone, Copy)]
enum Length {
    Day,
    Week,
    Month,
}

impl Length {
    /// The first day of the span that a day is in; weeks begin on Mondays.
    fn start(self, day: Date) -> Date {
        match self {
            Length::Day => day,
            Length::Week => {
                let since = i64::from(day.weekday().to_monday_zero_offset());
                day.saturating_sub(Span::new().days(since))
            }
            Length::Month => day.first_of_month(),
        }
    }

    /// The first day of the span so many before.
    fn back(self, start: Date, spans: i64) -> Date {
        match self {
            Length::Day => start.saturating_sub(Span::new().days(spans)),
            Length::Week => start.saturating_sub(Span::new().days(spans.saturating_mul(7))),
            Length::Month => start.saturating_sub(Span::new().months(spans)),
        }
    }

    /// Its last day.
    fn end(self, start: Date) -> Date {
        match self {
            Length::Day => start,
            Length::Week => start.saturating_add(Span::new().days(6)),
            Length::Month => start.last_of_month(),
        }
    }
}

async fn active(ask: Ask, length: Length) -> Result<Done> {
    let query = query(&ask)?;
    let is_wanted = is_wanted(&query);
    let now = jiff::Timestamp::from_millisecond(ask.gateway().clock().now().as_ms())
        .map_err(|_| Error::new(ErrorKind::Internal, "the clock tells no time that a calendar has"))?;
    let today = now.to_zoned(ask.admin().time_zone()).date();
    let first = length.back(length.start(today), SPANS - 1);
    let from = time_of(&ask, "start_date", &first.to_string(), false)?;
    let filter = RecordFilter { from: Some(from), ..RecordFilter::default() };
    let by = [Dimension::Day, Dimension::Tag, Dimension::User];
    let mut spans: BTreeMap<(Date, String), HashSet<String>> = BTreeMap::new();
    for row in ask.admin().spend_rows(&ask.actor, &filter, &by).await? {
        let Ok([day, tag, user]) = <[String; 3]>::try_from(row.by) else { continue };
        let Ok(day) = day.parse::<Date>() else { continue };
        if is_wanted(&tag) && !user.is_empty() {
            spans.entry((length.start(day), tag)).or_default().insert(user);
        }
    }
    let row = |((start, tag), users): (&(Date, String), &HashSet<String>)| {
        let end = length.end(*start);
        json!({
            "tag": tag,
            "active_users": users.len(),
            "date": start.to_string(),
            "period_start": start.to_string(),
            "period_end": end.to_string(),
        })
    };
    let results: Vec<Value> = spans.iter().rev().map(row).collect();
    Done::ok(&json!({"results": results})).map(|done| done.warning(query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays_and_months_on_the_first() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        for (length, on, start, before, end) in [
            (Length::Day, "2026-03-01", "2026-03-01", "2026-02-28", "2026-03-01"),
            (Length::Week, "2026-03-01", "2026-02-23", "2026-02-16", "2026-03-01"),
            (Length::Month, "2026-03-31", "2026-03-01", "2026-02-01", "2026-03-31"),
        ] {
            let began = length.start(day(on));
            assert_eq!((began, length.back(began, 1)), (day(start), day(before)), "{on}");
            assert_eq!(length.end(began), day(end), "{on}");
        }
    }
}
