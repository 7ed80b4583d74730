//! The log of calls: listed, exported, followed, and one of them whole.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::Method;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value, json};
use sluicegate::admin::{RecordTail, Tailed};
use sluicegate::store::{LogCursor, LogFilter, Page, RecordFilter};
use sluicegate::{CallId, Error, ErrorKind, OutcomeClass, Result, Timestamp, UsageRecord};
use tokio::time::{Instant, timeout_at};

use super::reports::Form;
use super::usage::record_filter;
use super::{page, parameter, parameters};
use crate::ask::{self, Ask, Asker, Done};
use crate::openapi::Operation;
use crate::routes::Entry;
use crate::table;

/// Calls of one export; where it goes on is in a header.
// BOUND: memory of an answer.
const EXPORT_MAX: usize = 10_000;
/// The log is read piece by piece for one answer, so many times at most: what finds little goes on with the next cursor.
// BOUND: time of an answer.
const TURNS_MAX: u32 = 64;
/// Whoever follows the log asks again after this time: what they may see is looked up then.
const FOLLOW_SECONDS: u64 = 60;
/// So often something is said, so that nobody in between takes the connection for dead.
const BEAT: Duration = Duration::from_secs(15);

const FILTER: [(&str, &str); 17] = [
    ("from", "That began at this time or later: a date, RFC 3339, or milliseconds."),
    ("to", "That began before this time."),
    ("organization", "Of this organization."),
    ("group", "Of this group, by id or alias."),
    ("user", "Of this user."),
    ("key", "Of this key, by id, alias, hash or the key itself."),
    ("model", "For this model, as requested."),
    ("channel", "Tried at this channel, last or before."),
    ("call", "This call, by its id."),
    (
        "status",
        "How they ended: `ok`, `failed` for all that didn't end well, or an outcome such as `denied`, `timeout`, `rate_limited`.",
    ),
    ("error", "With this error, by its code."),
    ("customer", "Of this end customer."),
    ("tag", "With this tag."),
    ("cost_over", "That cost so much at least, in nano-USD."),
    ("duration_over", "That took so long at least, in milliseconds."),
    ("search", "With this text in their id, whatever its case."),
    ("cursor", "Where the last page said that the list goes on."),
];

const LIST: &[(&str, &str)] = &[
    FILTER[0],
    FILTER[1],
    FILTER[2],
    FILTER[3],
    FILTER[4],
    FILTER[5],
    FILTER[6],
    FILTER[7],
    FILTER[8],
    FILTER[9],
    FILTER[10],
    FILTER[11],
    FILTER[12],
    FILTER[13],
    FILTER[14],
    FILTER[15],
    FILTER[16],
    (
        "format",
        "`json`, or 10,000 calls at a time as `csv` or `jsonl`; the header `x-sluicegate-next` is the next `cursor`. Default json.",
    ),
    super::PAGE[0],
    (
        "offset",
        "How many to leave out at the start; `cursor` goes on where a page ended, and costs no more further down. Default 0.",
    ),
];

const TAIL: &[(&str, &str)] = &[
    FILTER[2],
    FILTER[3],
    FILTER[4],
    FILTER[5],
    FILTER[6],
    FILTER[7],
    FILTER[9],
    FILTER[10],
    FILTER[11],
    FILTER[12],
    FILTER[13],
    FILTER[14],
    ("seconds", "How long to follow, 60 at most; then ask again. Default 60."),
];

pub(super) fn table() -> Vec<Entry> {
    let get = |path, make, operation| Entry { method: Method::GET, path, make, operation: Some(operation) };
    vec![
        get(
            "/api/v1/records",
            || ask::route(Method::GET, list),
            Operation::new("listRecords", "usage", "Calls, newest first.")
                .query(LIST)
                .answers(200, "RecordList")
                .or_csv(),
        ),
        get(
            "/api/v1/records/tail",
            || ask::route(Method::GET, tail),
            Operation::new(
                "tailRecords",
                "usage",
                "Calls as they end on this node, as server-sent events: `record`, `dropped` with how many came too fast, `end`.",
            )
            .query(TAIL),
        ),
        get(
            "/api/v1/records/{record}",
            || ask::route(Method::GET, one),
            Operation::new(
                "getRecord",
                "usage",
                "One call, whole: attempts, tokens, cost, why it went where it went, and what was known later.",
            )
            .answers(200, "CallView"),
        ),
    ]
}

async fn filter(ask: &Ask, query: &Map<String, Value>) -> Result<LogFilter> {
    let base = record_filter(ask, query).await?;
    let (failed, outcome) = match parameter(query, "status").as_deref() {
        None => (None, None),
        Some("ok") => (Some(false), None),
        Some("failed") => (Some(true), None),
        Some(word) => {
            let outcome = OutcomeClass::ALL.into_iter().find(|it| it.as_str() == word).ok_or_else(|| {
                let known = OutcomeClass::ALL.map(OutcomeClass::as_str).join(", ");
                let message = format!("`{word}` is no status of a call; take `failed` or one of {known}");
                Error::new(ErrorKind::InvalidRequest, message).with("param", "status")
            })?;
            (None, Some(outcome))
        }
    };
    Ok(LogFilter {
        base: RecordFilter {
            outcome,
            customer: parameter(query, "customer"),
            tag: parameter(query, "tag"),
            ..base
        },
        failed,
        error: parameter(query, "error"),
        cost_over: number(query, "cost_over")?,
        duration_over_ms: number(query, "duration_over")?,
        search: parameter(query, "search"),
        ..LogFilter::default()
    })
}

fn number(query: &Map<String, Value>, name: &'static str) -> Result<Option<i64>> {
    let Some(text) = parameter(query, name) else { return Ok(None) };
    text.parse().ok().filter(|number| *number >= 0).map(Some).ok_or_else(|| {
        let message = format!("`{name}` must be a whole number, 0 or more");
        Error::new(ErrorKind::InvalidRequest, message).with("param", name)
    })
}

/// What a cursor is written as: nothing that a client reads.
fn written(cursor: &LogCursor) -> String {
    let text = format!("{} {}", cursor.at.as_ms(), cursor.call);
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read(text: &str) -> Option<LogCursor> {
    let digits = text.as_bytes().chunks_exact(2);
    let bytes: Option<Vec<u8>> =
        digits.clone().map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
    let text = String::from_utf8(bytes.filter(|_| digits.remainder().is_empty())?).ok()?;
    let (at, call) = text.split_once(' ')?;
    Some(LogCursor { at: Timestamp::from_ms(at.parse().ok()?), call: CallId::from(call) })
}

fn cursor(query: &Map<String, Value>) -> Result<Option<LogCursor>> {
    let Some(text) = parameter(query, "cursor") else { return Ok(None) };
    read(&text).map(Some).ok_or_else(|| {
        let message =
            "`cursor` must be what the last page gave as `next`; leave it out to begin at the newest";
        Error::new(ErrorKind::InvalidRequest, message).with("param", "cursor")
    })
}

async fn list(ask: Ask) -> Result<Done> {
    let known: Vec<&str> = LIST.iter().map(|(name, _)| *name).collect();
    let query = parameters(&ask, &known)?;
    let (filter, mut after) = (filter(&ask, &query).await?, cursor(&query)?);
    match Form::of(&ask, &query)? {
        Form::Json => {}
        form => return export(&ask, form, &filter, after).await,
    }
    let page = page(&query)?;
    let total = match after {
        None => ask.admin().log_count(&ask.actor, &filter).await?,
        Some(_) => None,
    };
    // BOUND: `TURNS_MAX`.
    let mut left_out = page.offset;
    for turn in 0.. {
        if left_out == 0 {
            break;
        }
        if turn == TURNS_MAX {
            let message = "`offset` leaves out more than is read for one answer; go on from the `next` of a page as `cursor`";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "offset"));
        }
        let step = u32::try_from(left_out).unwrap_or(Page::MAX).min(Page::MAX);
        let found = ask.admin().log(&ask.actor, &filter, after.as_ref(), step).await?;
        left_out = left_out.saturating_sub(found.items.len() as u64);
        after = found.next;
        if after.is_none() {
            return Done::ok(&json!({"items": [], "total": total, "next": null}));
        }
    }
    let found = ask.admin().log(&ask.actor, &filter, after.as_ref(), page.limit).await?;
    let next = found.next.as_ref().map(written);
    Done::ok(&json!({"items": found.items, "total": total, "next": next}))
}

async fn export(ask: &Ask, form: Form, filter: &LogFilter, mut after: Option<LogCursor>) -> Result<Done> {
    let (mut text, mut count) = (String::new(), 0);
    if form == Form::Csv {
        table::row(&mut text, COLUMNS);
    }
    for _ in 0..TURNS_MAX {
        if count >= EXPORT_MAX {
            break;
        }
        let found = ask.admin().log(&ask.actor, filter, after.as_ref(), Page::MAX).await?;
        count += found.items.len();
        for record in &found.items {
            match form {
                Form::Csv => csv(&mut text, record),
                _ => {
                    text.push_str(&json!(record).to_string());
                    text.push('\n');
                }
            }
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    let done = if form == Form::Csv { Done::csv(text) } else { Done::lines(text) };
    Ok(done.next(after.as_ref().map(written)))
}

const COLUMNS: [&str; 22] = [
    "call",
    "amends",
    "started_at",
    "duration_ms",
    "first_byte_ms",
    "organization",
    "group",
    "user",
    "key",
    "customer",
    "tags",
    "model",
    "channel",
    "attempts",
    "stream",
    "outcome",
    "error",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "reasoning_tokens",
    "spend",
];

fn csv(text: &mut String, it: &UsageRecord) {
    let maybe = |id: Option<&dyn ToString>| id.map(ToString::to_string).unwrap_or_default();
    let since = |at: Timestamp| at.since_ms(it.started_at).to_string();
    let cells = [
        it.call.to_string(),
        maybe(it.amends.as_ref().map(|id| id as &dyn ToString)),
        it.started_at.to_string(),
        since(it.ended_at),
        it.first_byte_at.map(since).unwrap_or_default(),
        it.organization.to_string(),
        maybe(it.group.as_ref().map(|id| id as &dyn ToString)),
        maybe(it.user.as_ref().map(|id| id as &dyn ToString)),
        maybe(it.key.as_ref().map(|id| id as &dyn ToString)),
        it.customer.clone().unwrap_or_default(),
        it.tags.join(" "),
        it.model.to_string(),
        it.attempts.last().map(|last| last.channel.to_string()).unwrap_or_default(),
        it.attempts.len().to_string(),
        it.stream.to_string(),
        it.outcome.as_str().to_owned(),
        it.error.clone().unwrap_or_default(),
        it.usage.input_tokens().to_string(),
        it.usage.output_tokens().to_string(),
        it.usage.cached_tokens().to_string(),
        it.usage.output_reasoning.to_string(),
        it.spend.to_string(),
    ];
    table::row(text, cells.iter().map(|cell| cell.as_str()));
}

async fn one(ask: Ask) -> Result<Done> {
    Done::ok(&ask.admin().call(&ask.actor, &CallId::from(ask.param("record"))).await?)
}

async fn tail(ask: Ask) -> Result<Done> {
    let known: Vec<&str> = TAIL.iter().map(|(name, _)| *name).collect();
    let query = super::reports::exactly(&ask, &known)?;
    let seconds = match number(&query, "seconds")? {
        None => FOLLOW_SECONDS,
        Some(seconds) => u64::try_from(seconds).unwrap_or_default().min(FOLLOW_SECONDS),
    };
    let follow =
        Following { tail: ask.admin().tail(&ask.actor, filter(&ask, &query).await?)?, asker: ask.asker() };
    let until = Instant::now() + Duration::from_secs(seconds);
    // The first event goes out at once, so that a client knows that it follows.
    let start = Bytes::from_static(b"retry: 500\n\n");
    let events = stream::unfold((Some(start), Some(follow)), move |(first, follow)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, follow)));
        }
        let (event, follow) = next(follow?, until).await;
        Some((Ok(event), (None, follow)))
    });
    Ok(Done::events(events))
}

/// Who follows, and what.
struct Following {
    tail: RecordTail,
    asker: Asker,
}

/// The next event, and who goes on following: nobody after the last one.
async fn next(mut follow: Following, until: Instant) -> (Bytes, Option<Following>) {
    let beat = until.min(Instant::now() + BEAT);
    // BOUND: as many turns as there are changes.
    let told = loop {
        match timeout_at(beat, follow.tail.next()).await {
            Ok(Some(Tailed::Changed(epoch))) => match follow.asker.actor().await {
                Ok(actor) => follow.tail.asked_by(&actor, epoch),
                Err(_) => break Ok(None),
            },
            other => break other,
        }
    };
    match told {
        Ok(Some(Tailed::Record(entry))) => (event("record", entry.json()), Some(follow)),
        Ok(Some(Tailed::Dropped(many))) => {
            (event("dropped", &json!({ "records": many }).to_string()), Some(follow))
        }
        // INVARIANT: that one was answered above.
        Ok(Some(Tailed::Changed(_))) => (event("end", "{}"), None),
        Err(_) if Instant::now() < until => (Bytes::from_static(b": still here\n\n"), Some(follow)),
        Ok(None) | Err(_) => (event("end", "{}"), None),
    }
}

/// An event of one line: JSON holds no line breaks.
fn event(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_written() {
        let cursor = LogCursor { at: Timestamp::from_ms(-5), call: CallId::from("a b\u{e9}~1") };
        assert_eq!(read(&written(&cursor)), Some(cursor));
        for wrong in ["", "0", "zz", "é", "2d35", "78 79"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
