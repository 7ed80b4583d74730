//! The one-line limit syntax:
//! `{total_tokens: {day: 2M, month: 40M}, spend: {month: 100 USD}, requests: {minute: 20}, concurrency: 5}`.

use sluicegate_core::limit::{Limit, Metric, Mode, WhenShort, Window};
use sluicegate_core::money;

use crate::diagnostic::Severity;
use crate::environment::Environment;
use crate::quantity::{parse_count, parse_duration_ms, parse_usd, parse_window};
use crate::reader::{Item, Load};
use crate::yaml::{Entry, Node, Place, Value};

type Json = serde_json::Map<String, serde_json::Value>;

/// Parses limits in the one-line syntax from JSON, as an API takes them.
///
/// An object of metrics (`requests`, `input_tokens`, `output_tokens`, `total_tokens`, `spend`, `concurrency`), each an
/// object of windows (`minute`, `hour`, `day`, `week`, `month`, `lifetime`, or a length such as `5h`) with what may be used in
/// it: a number, or a text such as `2M` or `100 USD`, followed by a mode (`strict`, `corrected`, `soft`) and by what to do when
/// it runs short (`deny`, `clamp`, `downgrade`) if need be, and by how long calls may wait for others to end (`wait=5s`); or a
/// list of these, such as a hard and a soft one. `concurrency` has no window. Under `models`, the same again for single models.
/// `rate_token_mode` is the mode of per-minute and per-hour token limits that name none.
///
/// # Errors
/// Everything that is wrong, one finding a line.
pub fn parse_limits(limits: &serde_json::Value, rate_token_mode: Mode) -> Result<Vec<Limit>, String> {
    let lookup = |_: &str| None;
    let environment = Environment::new(&lookup);
    let mut load = Load::new("", &environment);
    // BOUND: serde_json refuses to nest deeper than 128.
    let node = from_json(limits);
    let item = Item { node: &node, at: "limits".to_owned(), place: Place::default() };
    let limits = read_limits(&mut load, &item, rate_token_mode);
    let wrong: Vec<_> = load
        .finish()
        .iter()
        .map(|found| format!("{}: {} ({})", found.at, found.message, found.remedy))
        .collect();
    if wrong.is_empty() { Ok(limits) } else { Err(wrong.join("\n")) }
}

/// Writes limits as [`parse_limits`] reads them with [`Mode::Strict`]: modes that aren't the default, and what to do when a limit runs
/// short, follow the amount.
pub fn write_limits(limits: &[Limit]) -> serde_json::Map<String, serde_json::Value> {
    fn inner<'a>(map: &'a mut Json, key: &str) -> Option<&'a mut Json> {
        map.entry(key).or_insert_with(|| Json::new().into()).as_object_mut()
    }
    let mut all = Json::new();
    for limit in limits {
        let metrics = match &limit.model {
            Some(model) => inner(&mut all, "models").and_then(|models| inner(models, model.as_str())),
            None => Some(&mut all),
        };
        let Some(metrics) = metrics else { continue };
        if limit.metric == Metric::Concurrency {
            beside(metrics, limit.metric.as_str().to_owned(), written_amount(limit));
        } else if let Some(windows) = inner(metrics, limit.metric.as_str()) {
            beside(windows, written_window(limit.window), written_amount(limit));
        }
    }
    all
}

/// One amount by itself; several in a list, such as a hard and a soft budget over the same time.
fn beside(amounts: &mut Json, name: String, more: serde_json::Value) {
    match amounts.get_mut(&name) {
        Some(serde_json::Value::Array(all)) => all.push(more),
        Some(one) => *one = serde_json::Value::Array(vec![one.take(), more]),
        None => drop(amounts.insert(name, more)),
    }
}

fn written_amount(limit: &Limit) -> serde_json::Value {
    let mut text = match limit.metric {
        Metric::Spend => format!("{} USD", money::format_usd(limit.max)),
        _ => limit.max.to_string(),
    };
    let default = default_mode(limit.metric, limit.window, Mode::Strict);
    let mut plain = limit.metric != Metric::Spend;
    for word in [
        (limit.mode != default).then(|| serde_json::to_value(limit.mode)),
        limit.when_short.map(serde_json::to_value),
    ]
    .into_iter()
    .flatten()
    .flatten()
    {
        text.push(' ');
        text.push_str(word.as_str().unwrap_or_default());
        plain = false;
    }
    if let Some(ms) = limit.reserve_wait_ms {
        text.push_str(&format!(" wait={ms}ms"));
        plain = false;
    }
    if plain { limit.max.into() } else { text.into() }
}

fn written_window(window: Window) -> String {
    match window {
        Window::RollingMs(ms) if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        Window::RollingMs(ms) if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        Window::RollingMs(ms) if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        Window::RollingMs(ms) => format!("{ms}ms"),
        named => named.to_string(),
    }
}

fn from_json(value: &serde_json::Value) -> Node {
    let place = Place::default();
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Scalar { text: value.to_string(), plain: true },
        serde_json::Value::Number(number) => Value::Scalar { text: number.to_string(), plain: true },
        serde_json::Value::String(text) => Value::Scalar { text: text.replace('$', "$$"), plain: false },
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), place, value: from_json(value) })
                .collect(),
        ),
    };
    Node { value, place }
}

/// The mode of a limit that names none.
pub fn default_mode(metric: Metric, window: Window, rate_token_mode: Mode) -> Mode {
    match metric {
        Metric::InputTokens | Metric::OutputTokens | Metric::TotalTokens if window.is_rate() => {
            rate_token_mode
        }
        _ => Mode::Strict,
    }
}

/// Reads limits from a mapping.
pub(crate) fn read_limits(load: &mut Load<'_>, item: &Item<'_>, rate_token_mode: Mode) -> Vec<Limit> {
    let mut limits = Vec::new();
    read_metrics(load, item, rate_token_mode, None, &mut limits);
    limits
}

fn read_metrics(
    load: &mut Load<'_>,
    item: &Item<'_>,
    rate_token_mode: Mode,
    model: Option<&str>,
    limits: &mut Vec<Limit>,
) {
    if !item.is_map(load) {
        return;
    }
    for (key, child) in item.children() {
        if key == "models" && model.is_none() {
            if child.is_map(load) {
                for (model, inner) in child.children() {
                    read_metrics(load, &inner, rate_token_mode, Some(model), limits);
                }
            }
            continue;
        }
        let Some(metric) = Metric::ALL.into_iter().find(|metric| metric.as_str() == key) else {
            let names = Metric::ALL.map(Metric::as_str);
            let remedy = match crate::suggest::nearest(key, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("count one of {}", names.join(", ")),
            };
            let shown: String = key.chars().take(80).collect();
            child.say(
                load,
                Severity::Error,
                "unknown_key",
                format!("`{shown}` is nothing that limits count"),
                remedy,
            );
            continue;
        };
        if metric == Metric::Concurrency && !matches!(child.node.value, Value::Map(_)) {
            read_amounts(load, &child, (metric, Window::Lifetime), rate_token_mode, model, limits);
            continue;
        }
        if !child.is_map(load) {
            continue;
        }
        for (window, value) in child.children() {
            match parse_window(window) {
                Ok(window) if metric == Metric::Concurrency && window != Window::Lifetime => {
                    let message = "calls under way have no window";
                    value.say(load, Severity::Error, "invalid_value", message, "write `concurrency: 5`");
                }
                Ok(window) => {
                    read_amounts(load, &value, (metric, window), rate_token_mode, model, limits);
                }
                Err(message) => value.say(load, Severity::Error, "invalid_value", message, "name a window"),
            }
        }
    }
}

/// One amount, or a list of them.
fn read_amounts(
    load: &mut Load<'_>,
    item: &Item<'_>,
    (metric, window): (Metric, Window),
    rate_token_mode: Mode,
    model: Option<&str>,
    limits: &mut Vec<Limit>,
) {
    let one = |load: &mut Load<'_>, item: &Item<'_>| {
        read_limit(load, item, (metric, window), rate_token_mode, model)
    };
    match item.node.value {
        Value::List(_) => limits.extend(item.list(load).iter().filter_map(|item| one(load, item))),
        _ => limits.extend(one(load, item)),
    }
}

fn read_limit(
    load: &mut Load<'_>,
    item: &Item<'_>,
    (metric, window): (Metric, Window),
    rate_token_mode: Mode,
    model: Option<&str>,
) -> Option<Limit> {
    if matches!(item.node.value, Value::Null) {
        return None;
    }
    if !matches!(item.node.value, Value::Scalar { .. }) {
        item.wrong(load, "an amount such as 2M or 100 USD, or a list of them");
        return None;
    }
    let text = item.text(load)?;
    match parse_amount(&text, metric) {
        Ok(Amount { max, mode, when_short, reserve_wait_ms }) => Some(Limit {
            metric,
            window,
            max,
            model: model.map(Into::into),
            mode: mode.unwrap_or_else(|| default_mode(metric, window, rate_token_mode)),
            when_short,
            reserve_wait_ms,
        }),
        Err(message) => {
            item.say(
                load,
                Severity::Error,
                "invalid_value",
                message,
                "write an amount such as 20, 2M or 100 USD",
            );
            None
        }
    }
}

struct Amount {
    max: i64,
    mode: Option<Mode>,
    when_short: Option<WhenShort>,
    reserve_wait_ms: Option<u64>,
}

/// `2M`, `100 USD soft`, `40M strict clamp wait=5s`.
fn parse_amount(text: &str, metric: Metric) -> Result<Amount, String> {
    let (mut mode, mut when_short, mut reserve_wait_ms) = (None, None, None);
    let mut words: Vec<&str> = text.split_whitespace().collect();
    while let Some(word) = words.last() {
        match *word {
            "strict" => mode = Some(Mode::Strict),
            "corrected" => mode = Some(Mode::Corrected),
            "soft" => mode = Some(Mode::Soft),
            "deny" => when_short = Some(WhenShort::Deny),
            "clamp" => when_short = Some(WhenShort::Clamp),
            "downgrade" => when_short = Some(WhenShort::Downgrade),
            word => match word.strip_prefix("wait=") {
                Some(length) => reserve_wait_ms = Some(parse_duration_ms(length)?),
                None => break,
            },
        }
        words.pop();
    }
    let amount = words.join(" ");
    let max = match metric {
        Metric::Spend => parse_usd(&amount)?,
        Metric::InputTokens | Metric::OutputTokens | Metric::TotalTokens => {
            let count = amount.trim_end_matches("tokens").trim_end();
            i64::try_from(parse_count(count)?).map_err(|_| format!("`{amount}` is too large"))?
        }
        Metric::Requests | Metric::Concurrency => {
            i64::try_from(parse_count(&amount)?).map_err(|_| format!("`{amount}` is too large"))?
        }
    };
    Ok(Amount { max, mode, when_short, reserve_wait_ms })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_one_line_syntax() {
        let limits = parse_limits(
            &json!({"total_tokens": {"day": "2M", "minute": 1000}, "spend": {"month": "100 USD soft"},
                "requests": {"5h": 20}, "concurrency": 3, "models": {"gpt-x": {"output_tokens": {"day": "1K clamp"}}}}),
            Mode::Corrected,
        )
        .unwrap();
        let limit = |metric, window, max, mode| Limit { mode, ..Limit::strict(metric, window, max) };
        assert_eq!(
            limits,
            [
                limit(Metric::TotalTokens, Window::Day, 2_000_000, Mode::Strict),
                limit(Metric::TotalTokens, Window::Minute, 1000, Mode::Corrected),
                limit(Metric::Spend, Window::Month, 100_000_000_000, Mode::Soft),
                limit(Metric::Requests, Window::RollingMs(18_000_000), 20, Mode::Strict),
                limit(Metric::Concurrency, Window::Lifetime, 3, Mode::Strict),
                Limit {
                    model: Some("gpt-x".into()),
                    when_short: Some(WhenShort::Clamp),
                    ..Limit::strict(Metric::OutputTokens, Window::Day, 1000)
                },
            ]
        );
    }

    #[test]
    fn one_window_may_have_several_limits() {
        let limits = parse_limits(
            &json!({"spend": {"day": ["10 USD", "5 USD soft"]}, "concurrency": [3, "2 soft"], "requests": {"day": []},
                "models": {"m": {"requests": {"day": [7]}}}}),
            Mode::Strict,
        )
        .unwrap();
        let limit = |metric, window, max, mode| Limit { mode, ..Limit::strict(metric, window, max) };
        assert_eq!(
            limits,
            [
                limit(Metric::Spend, Window::Day, 10_000_000_000, Mode::Strict),
                limit(Metric::Spend, Window::Day, 5_000_000_000, Mode::Soft),
                limit(Metric::Concurrency, Window::Lifetime, 3, Mode::Strict),
                limit(Metric::Concurrency, Window::Lifetime, 2, Mode::Soft),
                Limit { model: Some("m".into()), ..Limit::strict(Metric::Requests, Window::Day, 7) },
            ]
        );
        for wrong in [json!([[1]]), json!([{"max": 1}]), json!(["many"])] {
            parse_limits(&json!({"requests": {"day": wrong}}), Mode::Strict).unwrap_err();
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let said = parse_limits(
            &json!({"tokens": {"day": 1}, "spend": {"fortnight": 1, "day": "1 EUR"}, "requests": 5}),
            Mode::Strict,
        )
        .unwrap_err();
        for part in ["limits.tokens", "fortnight", "1 EUR", "limits.requests"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
