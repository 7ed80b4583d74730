//! Lists: a page of JSON, or the whole as a file.

use serde_json::{Map, Value, json};
use sluicegate::store::{Listing, Order, Page};
use sluicegate::{Error, ErrorKind, Result};

use super::{page, parameter};
use crate::ask::{Ask, Done};
use crate::{openapi, table};

/// Query parameters of every list of this kind.
pub(super) const PARAMETERS: [(&str, &str); 5] = [
    super::PAGE[0],
    super::PAGE[1],
    ("cursor", "Where the last page said, as `next`, that the list goes on; instead of `offset`."),
    ("sort", "The field to sort by; `-` before it turns the order round. What lacks it comes last."),
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
const FILE_MAX: u64 = 10_000;

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
    fetch: impl AsyncFn(Page) -> Result<Listing<Value>>,
) -> Result<Done> {
    let (form, first) = (form(ask, query)?, begin(query)?);
    if form == Form::Json {
        let found = fetch(first).await?;
        let next = next(first.offset, &found);
        return Done::ok(&json!({"items": found.items, "total": found.total, "next": next}));
    }
    let columns = openapi::fields(schema);
    let (mut text, mut offset, mut on) = (String::new(), first.offset, None);
    if form == Form::Csv {
        table::row(&mut text, columns.iter().map(String::as_str));
    }
    while offset - first.offset < FILE_MAX {
        let found = fetch(Page::new(Page::MAX, offset)).await?;
        for item in &found.items {
            write(&mut text, form, &columns, item);
        }
        on = next(offset, &found);
        offset += u64::from(Page::MAX);
        if on.is_none() {
            break;
        }
    }
    let done = if form == Form::Csv { Done::csv(text) } else { Done::lines(text) };
    Ok(done.next(on))
}

/// A list that is there as a whole: sorted as the query says, and a page of it.
pub(super) fn page_of(
    query: &Map<String, Value>,
    mut items: Vec<Value>,
    page: Page,
) -> Result<Listing<Value>> {
    if let Some(order) = parameter(query, "sort") {
        sort(&mut items, &order)?;
    }
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    Ok(Listing { items: items.into_iter().skip(offset).take(page.limit as usize).collect(), total })
}

/// Sorts by a field; items without it come last.
pub(super) fn sort(items: &mut [Value], order: &str) -> Result<()> {
    let (name, is_down) = order.strip_prefix('-').map_or((order, false), |name| (name, true));
    if !items.is_empty() && !items.iter().any(|item| item.get(name).is_some()) {
        let message = format!("`{name}` is no field to sort by; take one that the items have");
        return Err(Error::new(ErrorKind::InvalidRequest, message).with("param", "sort"));
    }
    let place = |item: &Value| match item.get(name) {
        None | Some(Value::Null) => (2, 0.0, String::new()),
        Some(Value::String(text)) => (1, 0.0, text.to_lowercase()),
        Some(Value::Bool(yes)) => (0, f64::from(u8::from(*yes)), String::new()),
        Some(other) => (0, other.as_f64().unwrap_or_default(), other.to_string()),
    };
    items.sort_by(|a, b| {
        let (a, b) = (place(a), place(b));
        let first = (a.0 == 2).cmp(&(b.0 == 2));
        let by = a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then_with(|| a.2.cmp(&b.2));
        first.then(if is_down { by.reverse() } else { by })
    });
    Ok(())
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

/// Where the list begins.
fn begin(query: &Map<String, Value>) -> Result<Page> {
    let mut page = page(query)?;
    if let Some(cursor) = parameter(query, "cursor") {
        let offset = cursor.strip_prefix('p').and_then(|text| text.parse::<u64>().ok());
        page.offset = offset.ok_or_else(|| {
            let message = "`cursor` must be what the last page gave as `next`; leave it out to begin anew";
            Error::new(ErrorKind::InvalidRequest, message).with("param", "cursor")
        })?;
    }
    Ok(page)
}

fn next(offset: u64, found: &Listing<Value>) -> Option<String> {
    let end = offset.saturating_add(u64::try_from(found.items.len()).unwrap_or(u64::MAX));
    (!found.items.is_empty() && end < found.total).then(|| format!("p{end}"))
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

    #[test]
    fn lists_are_sorted_by_any_field_and_what_lacks_it_comes_last() {
        let all = || vec![json!({"n": 2, "t": "b"}), json!({"n": 10, "t": null}), json!({"n": 1, "t": "A"})];
        let sorted = |order: &str| {
            let mut items = all();
            sort(&mut items, order).unwrap();
            items.iter().map(|item| item["n"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(sorted("n"), [1, 2, 10]);
        assert_eq!(sorted("-n"), [10, 2, 1]);
        assert_eq!(sorted("t"), [1, 2, 10]);
        assert_eq!(sorted("-t"), [2, 1, 10]);
        assert!(sort(&mut all(), "nothing").is_err());
    }

    #[test]
    fn a_list_says_where_it_goes_on_until_it_ends() {
        let listing = |len: usize, total| Listing { items: vec![Value::Null; len], total };
        assert_eq!(next(0, &listing(2, 5)).as_deref(), Some("p2"));
        assert_eq!(next(4, &listing(1, 5)), None);
        assert_eq!(next(9, &listing(0, 5)), None);
        let query = |cursor: &str| Map::from_iter([("cursor".to_owned(), json!(cursor))]);
        assert_eq!(begin(&query("p2")).unwrap().offset, 2);
        assert!(begin(&query("2")).is_err());
    }

    #[test]
    fn a_cell_is_no_formula_and_no_object() {
        let mut text = String::new();
        let columns = ["a", "b", "c", "d"].map(str::to_owned);
        write(&mut text, Form::Csv, &columns, &json!({"a": "=1+1", "b": {"c": [1]}, "c": null}));
        assert_eq!(text, "\"'=1+1\",\"{\"\"c\"\":[1]}\",\"\",\"\"\r\n");
    }
}
