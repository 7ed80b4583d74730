//! `/tag/distinct`, `/tag/summary` and `/tag/dau|wau|mau`: who calls with which tag.

use actix_web::http::Method;
use jiff::Span;
use jiff::civil::Date;
use serde_json::{Value, json};
use sluicegate::store::{Dimension, LabelQuery, LabelUse, RecordFilter};
use sluicegate::{Error, ErrorKind, Result};

use super::budget::usd_json;
use super::fields::Query;
use super::spend::{self, sums_filter, time_of};
use super::{once, query};
use crate::ask::{self, Ask, Done};
use crate::routes::Entry;

/// So many days, weeks or months are told of, the present one included.
const SPANS: i64 = 7;
/// So many tags of each are told of.
// BOUND: length of an answer.
const TAGS_MAX: u32 = 1_000;

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
fn wanted(query: &Query) -> Vec<String> {
    let text = query.text("tag_filters").or_else(|| query.text("tag_filter")).unwrap_or_default();
    let names = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned);
    once(names.collect())
}

/// What was used by tags, the first ones, and what there is to say of those that are left out.
async fn used(ask: &Ask, query: LabelQuery) -> Result<(Vec<LabelUse>, Option<String>)> {
    // One more tells whether there are more.
    let query = LabelQuery { limit: TAGS_MAX + 1, ..query };
    let mut found = ask.admin().label_use(&ask.actor, &query).await?;
    let max = usize::try_from(TAGS_MAX).unwrap_or(usize::MAX);
    let is_cut = found.len() > max;
    found.truncate(max);
    let by = if query.users { "users" } else { "calls" };
    let warning =
        || format!("these are the {TAGS_MAX} tags with the most {by}; name others in `tag_filters`");
    Ok((found, is_cut.then(warning)))
}

fn of_tags(labels: Vec<String>, filter: RecordFilter, users: bool) -> LabelQuery {
    LabelQuery { of: Dimension::Tag, filter, labels, users, limit: 0 }
}

async fn distinct(ask: Ask) -> Result<Done> {
    let sent = query(&ask)?.finish()?;
    let (tags, cut) = used(&ask, of_tags(Vec::new(), RecordFilter::default(), false)).await?;
    let results: Vec<Value> = tags.iter().map(|it| json!({"tag": it.label})).collect();
    Done::ok(&json!({"results": results})).map(|done| done.warning(sent.into_iter().chain(cut).collect()))
}

async fn summary(ask: Ask) -> Result<Done> {
    let query = query(&ask)?;
    spend::must_be_dated(&query)?;
    let filter = sums_filter(&ask, &query).await?;
    let (mut tags, cut) = used(&ask, of_tags(wanted(&query), filter, true)).await?;
    tags.sort_by(|a, b| a.label.cmp(&b.label));
    let row = |LabelUse { label, users, sums }: &LabelUse| {
        json!({
            "tag": label,
            "unique_users": users,
            "total_requests": spend::calls(sums),
            "successful_requests": spend::successes(sums),
            "failed_requests": sums.failures,
            "total_tokens": sums.total_tokens(),
            "total_spend": usd_json(sums.spend),
        })
    };
    let results: Vec<Value> = tags.iter().map(row).collect();
    Done::ok(&json!({"results": results}))
        .and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
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
    let wanted = wanted(&query);
    let now = jiff::Timestamp::from_millisecond(ask.gateway().clock().now().as_ms())
        .map_err(|_| Error::new(ErrorKind::Internal, "the clock tells no time that a calendar has"))?;
    let today = now.to_zoned(ask.admin().time_zone()).date();
    let (mut results, mut cut) = (Vec::new(), None);
    // The newest first.
    for back in 0..SPANS {
        let start = length.back(length.start(today), back);
        let end = length.end(start);
        let filter = RecordFilter {
            from: Some(time_of(&ask, "start_date", &start.to_string(), false)?),
            to: Some(time_of(&ask, "end_date", &end.to_string(), true)?),
            ..RecordFilter::default()
        };
        let (tags, more) = used(&ask, of_tags(wanted.clone(), filter, true)).await?;
        cut = cut.or(more);
        results.extend(tags.iter().filter(|it| it.users > 0).map(|it| {
            json!({
                "tag": it.label,
                "active_users": it.users,
                "date": start.to_string(),
                "period_start": start.to_string(),
                "period_end": end.to_string(),
            })
        }));
    }
    Done::ok(&json!({"results": results}))
        .and_then(|done| Ok(done.warning(query.finish()?.into_iter().chain(cut).collect())))
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
