//! `keys`: what an operator does with keys, over the API of a running gateway.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::exit;
use crate::args::{Format, KeyCreate, Keys, KeysCommand};
use crate::client::{Client, Failure, segment};

/// Does what was asked.
pub(crate) fn run(args: &Keys) -> ExitCode {
    exit(keys(args))
}

fn keys(args: &Keys) -> Result<(), Failure> {
    let client = Client::new(&args.remote);
    let json = args.remote.format == Format::Json;
    let path = |key: &str| format!("/keys/{}", segment(key));
    match &args.command {
        KeysCommand::Create(create) => {
            let answer = client.post("/keys", &new_key(create)?)?;
            show(json, &answer, issued);
        }
        KeysCommand::List { group, user } => {
            let answer =
                client.get(&format!("/keys?limit=1000{}{}", filter("group", group), filter("user", user)))?;
            show(json, &answer, table);
        }
        KeysCommand::Info { key } => show(json, &client.get(&path(key))?, |key| format!("{key:#}")),
        KeysCommand::Delete { keys } => {
            for key in keys {
                client.delete(&path(key))?;
                out!("deleted {key}");
            }
        }
        KeysCommand::Block { key } => show(json, &client.patch(&path(key), &json!({"blocked": true}))?, row),
        KeysCommand::Unblock { key } => {
            show(json, &client.patch(&path(key), &json!({"blocked": false}))?, row)
        }
        KeysCommand::Regenerate { key } => {
            let answer = client.post(&format!("{}/regenerate", path(key)), &json!({}))?;
            show(json, &answer, issued);
        }
    }
    Ok(())
}

fn filter(name: &str, value: &Option<String>) -> String {
    value.as_deref().map(|value| format!("&{name}={}", segment(value))).unwrap_or_default()
}

fn new_key(create: &KeyCreate) -> Result<Value, Failure> {
    let mut key = Map::new();
    let texts =
        [("alias", &create.alias), ("group", &create.group), ("user", &create.user), ("ttl", &create.ttl)];
    for (name, value) in texts {
        if let Some(value) = value {
            key.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !create.models.is_empty() {
        key.insert("models".to_owned(), create.models.clone().into());
    }
    if !create.limits.is_empty() {
        key.insert("limits".to_owned(), limits(&create.limits)?);
    }
    Ok(key.into())
}

/// `total_tokens/day=2M` and the like as the API takes them.
fn limits(lines: &[String]) -> Result<Value, Failure> {
    let mut limits = Map::new();
    for line in lines {
        let wrong = || {
            format!("`{line}` is no limit such as total_tokens/day=2M, spend/month=100USD or concurrency=5")
        };
        let (what, max) = line.split_once('=').ok_or_else(wrong)?;
        match what.split_once('/') {
            None => {
                limits.insert(what.to_owned(), max.into());
            }
            Some((metric, window)) => match limits.entry(metric).or_insert_with(|| json!({})) {
                Value::Object(windows) => {
                    windows.insert(window.to_owned(), max.into());
                }
                _ => return Err(wrong()),
            },
        }
    }
    Ok(limits.into())
}

fn show(json: bool, answer: &Value, text: impl Fn(&Value) -> String) {
    if json { out!("{answer:#}") } else { out!("{}", text(answer)) }
}

/// A new secret and whose it is. The secret stands alone on the first line, for scripts.
fn issued(answer: &Value) -> String {
    let secret = answer.get("secret").and_then(Value::as_str).unwrap_or_default();
    format!(
        "{secret}\n{}\nThis is shown once; only its hash is kept.",
        answer.get("key").map(row).unwrap_or_default()
    )
}

fn table(answer: &Value) -> String {
    let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut lines: Vec<String> = items.iter().map(row).collect();
    let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
    lines.push(format!("{} of {total} keys", items.len()));
    lines.join("\n")
}

/// One key on one line: id, hint, and whatever it has of alias, group and user.
fn row(key: &Value) -> String {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let mut out = format!("{}  {}", text("id").unwrap_or_default(), text("hint").unwrap_or_default());
    for name in ["alias", "group", "user"] {
        if let Some(value) = text(name) {
            out.push_str(&format!("  {name} {value}"));
        }
    }
    if key.get("blocked").and_then(Value::as_bool) == Some(true) {
        out.push_str("  blocked");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_on_one_line_each() {
        let lines = ["total_tokens/day=2M", "total_tokens/month=40M", "spend/month=100USD", "concurrency=5"];
        let lines = lines.map(str::to_owned);
        assert_eq!(
            limits(&lines).unwrap(),
            json!({"total_tokens": {"day": "2M", "month": "40M"}, "spend": {"month": "100USD"}, "concurrency": "5"})
        );
        assert!(limits(&["spend".to_owned()]).is_err());
        assert!(limits(&["spend=1".to_owned(), "spend/day=1".to_owned()]).is_err());
    }

    #[test]
    fn a_key_is_one_line() {
        let key = json!({"id": "k1", "hint": "sk-…abcd", "alias": "wang", "group": "rd", "user": null, "blocked": true});
        assert_eq!(row(&key), "k1  sk-…abcd  alias wang  group rd  blocked");
    }
}
