//! Lists: a page of JSON, or the whole as a file.

mod cursor;

use serde_json::{Map, Value, json};
use sluicegate::store::{After, Listing, Order, Page};
use sluicegate::tenant::Source;
use sluicegate::{Error, ErrorKind, Result};

pub(super) use cursor::Mark;
use cursor::{At, Cursor};

use super::{page, parameter};
use crate::ask::{Ask, Done};
use crate::{openapi, table};

/// Query parameters of every list of this kind.
pub(super) const PARAMETERS: [(&str, &str); 5] = [
    super::PAGE[0],
    super::PAGE[1],
    (
        "cursor",
        "Where the last page said, as `next`, that the list goes on: behind its last item, whatever comes or goes meanwhile. Of the same order; instead of `offset`.",
    ),
    (
        "sort",
        "The field to sort by; `-` before it turns the order round. What lacks it comes last. By what it is called where nothing is said.",
    ),
    (
        "format",
        "`json`, a page; `jsonl`, a JSON object a line; or `csv`. Files hold 10,000 items at most, and the header `x-sluicegate-next` says where they go on.",
    ),
];

/// The same, of lists that the database sorts.
pub(super) const STORED: [(&str, &str); 5] = [
    PARAMETERS[0],
    PARAMETERS[1],
    PARAMETERS[2],
    (
        "sort",
        "`created_at`, `updated_at`, `alias` or `id`; `-` before it turns the order round. Default `-created_at`. What a file declares comes first in any order.",
    ),
    PARAMETERS[4],
];

/// The order that a query asks of the database.
pub(super) fn order(query: &Map<String, Value>) -> Result<Option<Order>> {
    let read = |text: String| {
        Order::parse(&text).ok_or_else(|| {
            let message =
                format!("`{text}` is no field to sort by; take created_at, updated_at, alias or id");
            Error::new(ErrorKind::InvalidRequest, message).with("param", "sort")
        })
    };
    parameter(query, "sort").map(read).transpose()
}

/// Items of one file; where it goes on is in a header.
// BOUND: memory of an answer.
const FILE_MAX: usize = 10_000;

/// How a list is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    Csv,
}

/// A list as the query asks for it. `schema` is that of its items; `fetch` gets a page of it.
///
/// # Errors
/// `InvalidRequest` for a form or a place that there isn't; those of `fetch`.
pub(super) async fn answer(
    ask: &Ask,
    query: &Map<String, Value>,
    schema: &str,
    fetch: impl AsyncFn(&Spot) -> Result<Part>,
) -> Result<Done> {
    answer_with((Page::MAX, FILE_MAX), ask, query, schema, fetch).await
}

/// The same of items that are dear: so many are fetched at a time, and so many are in a file.
///
/// # Errors
/// As [`answer`].
pub(super) async fn answer_with(
    (page_max, file_max): (u32, usize),
    ask: &Ask,
    query: &Map<String, Value>,
    schema: &str,
    fetch: impl AsyncFn(&Spot) -> Result<Part>,
) -> Result<Done> {
    let (form, mut spot) = (form(ask, query)?, Spot::of(query)?);
    spot.page.limit = spot.page.limit.min(page_max);
    if form == Form::Json {
        let found = fetch(&spot).await?;
        let next = found.next.and_then(|at| Cursor::write(&spot.sort, at, found.told));
        return Done::ok(&json!({"items": found.items, "total": found.total, "next": next}));
    }
    let columns = openapi::fields(schema);
    let (mut text, mut written) = (String::new(), 0);
    if form == Form::Csv {
        table::row(&mut text, columns.iter().map(String::as_str));
    }
    spot.page.limit = page_max;
    loop {
        let found = fetch(&spot).await?;
        for item in &found.items {
            write(&mut text, form, &columns, item);
        }
        written += found.items.len();
        (spot.at, spot.total) = (found.next, found.told);
        if spot.at.is_none() || written >= file_max {
            break;
        }
    }
    let done = if form == Form::Csv { Done::csv(text) } else { Done::lines(text) };
    Ok(done.next(spot.at.and_then(|at| Cursor::write(&spot.sort, at, spot.total))))
}

/// Where a page begins, and how long it is.
pub(super) struct Spot {
    page: Page,
    sort: String,
    at: Option<At>,
    /// How many there were in all when the list began.
    total: Option<u64>,
}

/// A page of a list.
pub(super) struct Part {
    pub(super) items: Vec<Value>,
    total: u64,
    next: Option<At>,
    /// What the next page is told of the total, so that it isn't counted again.
    told: Option<u64>,
}

impl Part {
    /// The same page of other items.
    pub(super) fn of(self, items: Vec<Value>) -> Self {
        Self { items, ..self }
    }
}

impl Spot {
    /// # Errors
    /// `InvalidRequest`.
    fn of(query: &Map<String, Value>) -> Result<Self> {
        let sort = parameter(query, "sort").unwrap_or_default();
        let place = parameter(query, "cursor").map(|text| Cursor::read(&text, &sort)).transpose()?;
        let (at, total) = place.map_or((None, None), |(at, total)| (Some(at), total));
        Ok(Self { page: page(query)?, sort, at, total })
    }

    /// What the database is asked for: behind which one, and one more than the page, to learn whether there is another.
    pub(super) fn asked(&self, order: Option<Order>) -> (Page, Option<After>) {
        let (offset, after) = match &self.at {
            None | Some(At::Behind(_)) => (self.page.offset, None),
            Some(At::Declared(count)) => (*count, None),
            Some(At::After(after)) => (0, Some(after.clone())),
        };
        (Page { limit: self.page.limit + 1, offset, order, uncounted: self.total.is_some() }, after)
    }

    /// The page of what came of it. `whose` says where an item comes from, and what the list goes on behind.
    ///
    /// # Errors
    /// Those of `shown`.
    pub(super) fn part<T>(
        &self,
        found: Listing<T>,
        shown: impl Fn(&T) -> Result<Value>,
        whose: impl Fn(&T) -> (Source, After),
    ) -> Result<Part> {
        let limit = self.page.limit as usize;
        let is_more = found.items.len() > limit;
        let items = || found.items.iter().take(limit);
        let next = items().last().filter(|_| is_more).map(|last| match whose(last) {
            (Source::File, _) => At::Declared(self.asked(None).0.offset + u64::from(self.page.limit)),
            (Source::Database, after) => At::After(after),
        });
        let total = self.total.unwrap_or(found.total);
        Ok(Part { items: items().map(shown).collect::<Result<_>>()?, total, next, told: Some(total) })
    }

    /// A page of a list that is there as a whole, sorted by these marks.
    pub(super) fn of_marked(&self, mut marked: Vec<(Mark, Value)>, is_down: bool) -> Part {
        marked.sort_by(|(a, _), (b, _)| a.compare(b, is_down));
        Mark::count(&mut marked);
        let total = marked.len();
        let begin = match &self.at {
            Some(At::Behind(mark)) => marked.partition_point(|(it, _)| it.compare(mark, is_down).is_le()),
            _ => usize::try_from(self.page.offset).unwrap_or(usize::MAX).min(total),
        };
        let end = begin.saturating_add(self.page.limit as usize).min(total);
        let page = marked.get(begin..end).unwrap_or_default();
        let next = page.last().filter(|_| end < total).map(|(mark, _)| At::Behind(mark.clone()));
        let items = page.iter().map(|(_, item)| item.clone()).collect();
        Part { items, total: u64::try_from(total).unwrap_or(u64::MAX), next, told: None }
    }

    /// The same, sorted as the query says; `id` are the fields that tell items apart, by which the list is sorted otherwise.
    ///
    /// # Errors
    /// `InvalidRequest` for a field that the items haven't got.
    pub(super) fn of_whole(&self, items: &[Value], id: &[&str]) -> Result<Part> {
        let (field, is_down) =
            self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |name| (name, true));
        let field = Some(field).filter(|name| !name.is_empty());
        if let Some(name) = field
            && !items.is_empty()
            && !items.iter().any(|item| item.get(name).is_some())
        {
            let message = format!("`{name}` is no field to sort by; take one that the items have");
            return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "sort"));
        }
        let marked = items.iter().map(|item| (Mark::of(item, field, id), item.clone())).collect();
        Ok(self.of_marked(marked, is_down))
    }
}

/// Where a list of sums goes on, that is told apart by these words: the values of the last row.
pub(super) fn next_behind(words: &[String], values: &[String]) -> Option<String> {
    Cursor::write(&words.join(","), At::Behind(Mark::of_texts(values)), None)
}

/// The same as the query says it; nothing at the beginning.
///
/// # Errors
/// `InvalidRequest` for what no page has given, or one of other sums.
pub(super) fn behind(query: &Map<String, Value>, words: &[String]) -> Result<Vec<String>> {
    let at = parameter(query, "cursor").map(|text| Cursor::read(&text, &words.join(","))).transpose()?;
    Ok(match at {
        Some((At::Behind(mark), _)) => mark.into_texts(),
        _ => Vec::new(),
    })
}

fn form(ask: &Ask, query: &Map<String, Value>) -> Result<Form> {
    match parameter(query, "format").as_deref() {
        None if ask.wants_csv() => Ok(Form::Csv),
        None | Some("json") => Ok(Form::Json),
        Some("jsonl") => Ok(Form::Lines),
        Some("csv") => Ok(Form::Csv),
        Some(other) => {
            let message = format!("`{other}` is no form of a list; take `json`, `jsonl` or `csv`");
            Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "format"))
        }
    }
}

fn write(text: &mut String, form: Form, columns: &[String], item: &Value) {
    if form == Form::Lines {
        text.push_str(&item.to_string());
        text.push('\n');
        return;
    }
    let cell = |name: &String| match item.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let cells: Vec<String> = columns.iter().map(cell).collect();
    table::row(text, cells.iter().map(String::as_str));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(sort: &str, limit: u32, at: Option<At>) -> Spot {
        Spot { page: Page::new(limit, 0), sort: sort.to_owned(), at, total: None }
    }

    fn numbers(part: &Part) -> Vec<i64> {
        part.items.iter().map(|item| item["n"].as_i64().unwrap()).collect()
    }

    #[test]
    fn lists_are_sorted_by_any_field_and_what_lacks_it_comes_last() {
        let all = [json!({"n": 2, "t": "b"}), json!({"n": 10, "t": null}), json!({"n": 1, "t": "A"})];
        for (sort, want) in
            [("n", [1, 2, 10]), ("-n", [10, 2, 1]), ("t", [1, 2, 10]), ("-t", [2, 1, 10]), ("", [1, 10, 2])]
        {
            assert_eq!(numbers(&spot(sort, 9, None).of_whole(&all, &["n"]).unwrap()), want, "{sort}");
        }
        assert!(spot("nothing", 9, None).of_whole(&all, &["n"]).is_err());
    }

    #[test]
    fn a_list_goes_on_behind_its_last_item_while_others_come_and_go() {
        let item = |n: i64| json!({"n": n, "t": "same"});
        let all: Vec<Value> = (1..=6).map(item).collect();
        for (sort, want) in [("n", vec![3, 4, 6]), ("-n", vec![4, 3, 0]), ("t", vec![3, 4, 6])] {
            let first = spot(sort, 2, None).of_whole(&all, &["n"]).unwrap();
            let last = numbers(&first)[1];
            // The last of the page goes, and so does one further on; one comes in front.
            let now: Vec<Value> =
                (0..=6).filter(|n| *n != last && !(*n == 2 && last == 5)).map(item).collect();
            let now: Vec<Value> = now.into_iter().filter(|it| it["n"] != 5 && it["n"] != 1).collect();
            let second = spot(sort, 3, first.next.clone()).of_whole(&now, &["n"]).unwrap();
            assert_eq!(numbers(&second), want, "{sort}");
        }
    }

    #[test]
    fn nothing_is_left_out_of_items_that_cant_be_told_apart() {
        let all: Vec<Value> = (0..5).map(|n| json!({"n": n, "t": "same"})).collect();
        let (mut at, mut seen) = (None, Vec::new());
        loop {
            let part = spot("t", 2, at).of_whole(&all, &["t"]).unwrap();
            seen.extend(numbers(&part));
            at = part.next;
            if at.is_none() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_cell_is_no_formula_and_no_object() {
        let mut text = String::new();
        let columns = ["a", "b", "c", "d"].map(str::to_owned);
        write(&mut text, Form::Csv, &columns, &json!({"a": "=1+1", "b": {"c": [1]}, "c": null}));
        assert_eq!(text, "\"'=1+1\",\"{\"\"c\"\":[1]}\",\"\",\"\"\r\n");
    }
}
