//! `explain`: why would this key's call to this model go where?

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::exit;
use crate::args::{Explain, Format};
use crate::client::{Client, Failure};

/// Asks the gateway and prints its reasons.
pub(crate) fn run(args: &Explain) -> ExitCode {
    exit(explain(args))
}

fn explain(args: &Explain) -> Result<(), Failure> {
    let call = json!({
        "model": args.model,
        "key": args.key,
        "format": args.call_format,
        "input_tokens": args.input_tokens,
        "max_output": args.max_output,
        "stream": args.stream,
        "tags": args.tags,
    });
    let answer = Client::new(&args.remote).post("/explain", &call)?;
    match args.remote.format {
        Format::Json => out!("{answer:#}"),
        Format::Text => out_as_is!("{}", text(&answer)),
    }
    Ok(())
}

/// An explanation in words, a line for each reason.
fn text(answer: &Value) -> String {
    let mut out = String::new();
    for reason in list(answer, "explanation") {
        out.push_str(&format!("  {}\n", line(reason)));
    }
    if let Some(denied) = answer.get("denial").filter(|denied| !denied.is_null()) {
        out.push_str(&format!("refused: {}\n", word(denied, "message")));
        out.push_str(&assumed(answer));
        return out;
    }
    out.push_str("goes to:\n");
    for (at, channel) in list(answer, "order").iter().enumerate() {
        out.push_str(&format!("  {}. {} ({})\n", at + 1, word(channel, "name"), word(channel, "id")));
    }
    out.push_str(&assumed(answer));
    out
}

/// What the gateway couldn't know.
fn assumed(answer: &Value) -> String {
    list(answer, "assumed").iter().map(|what| format!("assumed: {}\n", plain(what))).collect()
}

fn line(reason: &Value) -> String {
    let w = |name: &str| word(reason, name);
    match w("step").as_str() {
        "excluded" => format!("excluded  {}: {}", w("channel"), w("why")),
        "ranked" => {
            let preference =
                reason.get("preference").map(|p| format!(", preference {p}")).unwrap_or_default();
            format!(
                "ranked    {}: priority {}{preference}, score {}",
                w("channel"),
                w("priority"),
                w("score")
            )
        }
        "limit" => {
            let (ok, window) =
                (if w("ok") == "true" { "passes" } else { "refuses" }, window(reason.get("window")));
            // Figures of others' limits aren't told.
            if reason.get("max").is_none() {
                return format!("limit     {} {} for each {window}: {ok}", w("scope"), w("metric"));
            }
            let part =
                |name: &str| reason.get(name).map(|n| format!(", {} {name}", plain(n))).unwrap_or_default();
            format!(
                "limit     {} {} for each {window}: {} of {} used{}{}, {} asked: {ok}",
                w("scope"),
                w("metric"),
                w("used"),
                w("max"),
                part("reserved"),
                part("held"),
                w("asked")
            )
        }
        "seen" => format!(
            "seen      {}: latency {} us, {} under way, {} failures",
            w("channel"),
            w("latency_us"),
            w("in_flight"),
            w("failures")
        ),
        "policy" => format!("policy    {}: {} ({} operations)", w("policy"), w("verdict"), w("fuel")),
        "ceiling" => format!("ceiling   {} tokens are sent ({})", w("sent"), w("why")),
        other => format!("{other:<9} {}", rest(reason)),
    }
}

/// What a reason says besides its step, for steps that have no sentence of their own.
fn rest(reason: &Value) -> String {
    let none = Map::new();
    let fields = reason.as_object().unwrap_or(&none).iter().filter(|(name, _)| *name != "step");
    fields.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
}

fn window(value: Option<&Value>) -> String {
    match value {
        Some(Value::Object(map)) => {
            map.values().next().map(|ms| format!("{} ms, rolling", plain(ms))).unwrap_or_default()
        }
        Some(value) => plain(value),
        None => String::new(),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word(value: &Value, name: &str) -> String {
    value.get(name).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_line() {
        let answer = json!({
            "order": [{"id": "c1", "name": "one"}],
            "denial": null,
            "explanation": [
                {"step": "alias", "asked": "a", "meant": "b"},
                {"step": "excluded", "channel": "c2", "why": "cooldown"},
                {"step": "ranked", "channel": "c1", "priority": 3, "score": 10},
                {"step": "limit", "scope": "key", "metric": "spend", "window": {"rolling_ms": 60000}, "max": 9, "used": 1,
                 "asked": 2, "ok": true},
                {"step": "limit", "scope": "group", "metric": "spend", "window": "day", "max": 9, "used": 5, "reserved": 3, "held": 1,
                 "asked": 2, "ok": true},
                {"step": "limit", "scope": "global", "metric": "spend", "window": "day", "ok": false},
            ],
            "assumed": ["no call waits"],
        });
        let text = text(&answer);
        for part in [
            "alias     asked a, meant b",
            "excluded  c2: cooldown",
            "priority 3, score 10",
            "60000 ms, rolling: 1 of 9 used, 2 asked: passes",
            "group spend for each day: 5 of 9 used, 3 reserved, 1 held, 2 asked: passes",
            "global spend for each day: refuses",
            "assumed: no call waits",
            "1. one (c1)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let refused = json!({"denial": {"message": "the limit is reached"}, "explanation": []});
        assert_eq!(super::text(&refused), "refused: the limit is reached\n");
    }
}
