//! `replay`: what recorded calls would have come to under another policy or configuration.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use sluicegate::core::money::format_usd;
use sluicegate::core::replay::{Dimension, Report, Row, Side};
use sluicegate::{ReplayDone, ReplayOptions};

use super::{exit, serve};
use crate::args::{Replay, ReplayFormat};
use crate::client::Failure;

/// Rows of a dimension that the table shows; the other formats have them all.
const TABLE_ROWS: usize = 20;

/// Replays and prints what came of it.
pub(crate) fn run(args: &Replay) -> ExitCode {
    crate::log::start();
    exit(replay(args))
}

fn replay(args: &Replay) -> Result<(), Failure> {
    let config = serve::configuration(args.config.as_deref())?;
    let variables = sluicegate::process_variables();
    let loaded = sluicegate::load(config.as_ref(), &variables);
    let options = ReplayOptions {
        config,
        variables,
        database: args.database.clone(),
        data_dir: Some(serve::data_dir(args.data.as_deref(), &loaded.host)),
        policies: args.policy.iter().map(|path| script(path)).collect::<Result<_, _>>()?,
        only_these_policies: args.policy_only,
        from: args.from.clone(),
        to: args.to.clone(),
    };
    let done = sluicegate_server::block_on(async { sluicegate::replay(options).await });
    let done = done.map_err(|error| error.to_string())?;
    match args.format {
        ReplayFormat::Table => print!("{}", table(&done)),
        ReplayFormat::Json => println!("{:#}", to_json(&done)),
        ReplayFormat::Csv => print!("{}", csv(&done.report)),
    }
    Ok(())
}

/// A script and its name, which is the file's without `.rhai`.
fn script(path: &Path) -> Result<(String, String), Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| {
        format!("`{}` can't be read: {why}; check the path given as --policy", path.display())
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, text))
}

/// What is told of one side, in the order of columns.
fn figures(side: &Side) -> [(&'static str, Value); 10] {
    let percentile = |percent| json!(side.latency_ms.percentile(percent));
    [
        ("calls", json!(side.calls)),
        ("denied", json!(side.denied)),
        ("errors", json!(side.errors)),
        ("attempts", json!(side.attempts)),
        ("input_tokens", json!(side.input_tokens)),
        ("output_tokens", json!(side.output_tokens)),
        ("spend_usd", json!(format_usd(side.spend))),
        ("cost_usd", json!(format_usd(side.cost))),
        ("latency_p50_ms", percentile(50)),
        ("latency_p95_ms", percentile(95)),
    ]
}

fn to_json(done: &ReplayDone) -> Value {
    let side = |side: &Side| {
        Value::Object(figures(side).map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    };
    let row = |row: &Row| {
        json!({
            "recorded": side(&row.recorded),
            "replayed": side(&row.replayed),
            "spend_difference_usd": format_usd(row.replayed.spend - row.recorded.spend),
        })
    };
    let by: Map<String, Value> = Dimension::ALL
        .into_iter()
        .map(|dimension| {
            let rows = done.report.rows(dimension).map(|(value, sums)| {
                let mut row = row(sums);
                row["value"] = json!(value);
                row
            });
            (dimension.as_str().to_owned(), rows.collect())
        })
        .collect();
    let counts = done.report.counts;
    json!({
        "from": done.from.to_string(),
        "to": done.to.to_string(),
        "counted_from": done.counted_from.to_string(),
        "records": {
            "calls": counts.calls,
            "changed": counts.changed,
            "estimated_attempts": counts.estimated,
            "other_configuration": counts.other_configuration,
            "other_policy": counts.other_policy,
            "cut": counts.cut,
            "unheard_prompts": counts.unheard,
            "unknown_callers": counts.unknown_callers,
            "amendments": counts.amendments,
        },
        "total": row(&done.report.total),
        "by": by,
    })
}

/// A row for everything, then one for each value of each dimension; each figure as it was and as it would have been.
fn csv(report: &Report) -> String {
    let names = figures(&Side::default()).map(|(name, _)| name);
    let mut out = "dimension,value".to_owned();
    for name in names {
        let _ = write!(out, ",recorded_{name},replayed_{name}");
    }
    out.push('\n');
    let mut line = |dimension: &str, value: &str, row: &Row| {
        let _ = write!(out, "{dimension},{}", quoted(value));
        for ((_, recorded), (_, replayed)) in figures(&row.recorded).iter().zip(&figures(&row.replayed)) {
            let _ = write!(out, ",{},{}", bare(recorded), bare(replayed));
        }
        out.push('\n');
    };
    line("total", "", &report.total);
    for dimension in Dimension::ALL {
        report.rows(dimension).for_each(|(value, row)| line(dimension.as_str(), value, row));
    }
    out
}

fn bare(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A field of CSV (RFC 4180). What a spreadsheet would take for a formula is a text.
fn quoted(value: &str) -> String {
    let value = if value.starts_with(['=', '+', '-', '@']) { format!("'{value}") } else { value.to_owned() };
    match value.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value,
    }
}

fn table(done: &ReplayDone) -> String {
    let report = &done.report;
    let counts = report.counts;
    let mut out = format!("{} calls from {} to {}\n", counts.calls, done.from, done.to);
    let notes = [
        (counts.changed, "would have been decided otherwise"),
        (counts.estimated, "attempts were never made: their use and time are estimates"),
        (
            counts.other_configuration,
            "were decided under another configuration, or by a caller who has changed since",
        ),
        (counts.other_policy, "were decided by other scripts"),
        (
            counts.unheard,
            "have scripts ask of the prompt what no record knows: they were told that it isn't there",
        ),
        (counts.cut, "have no whole explanation: what is missing was simulated"),
        (counts.unknown_callers, "more weren't replayed, since their keys are gone"),
        (counts.amendments, "records only say what held attempts came to"),
    ];
    for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
        let _ = writeln!(out, "  {count} {what}");
    }
    let _ = writeln!(out, "\n{:<16}{:>16}{:>16}{:>16}", "", "recorded", "replayed", "difference");
    let total = &report.total;
    for ((name, recorded), (_, replayed)) in figures(&total.recorded).iter().zip(&figures(&total.replayed)) {
        let difference = match (recorded.as_i64(), replayed.as_i64(), *name) {
            (Some(a), Some(b), _) => format!("{:+}", b - a),
            (_, _, "spend_usd") => signed_usd(total.replayed.spend - total.recorded.spend),
            (_, _, "cost_usd") => signed_usd(total.replayed.cost - total.recorded.cost),
            _ => String::new(),
        };
        let _ = writeln!(out, "{:<16}{:>16}{:>16}{difference:>16}", name, shown(recorded), shown(replayed));
    }
    for dimension in Dimension::ALL {
        let mut rows: Vec<_> = report.rows(dimension).collect();
        if rows.iter().all(|(value, _)| value.is_empty()) {
            continue;
        }
        // What differs most comes first.
        let moved = |row: &Row| {
            ((row.replayed.spend - row.recorded.spend).abs(), row.replayed.calls.abs_diff(row.recorded.calls))
        };
        rows.sort_by_key(|(value, row)| (std::cmp::Reverse(moved(row)), *value));
        let what = if dimension <= Dimension::Model { "attempts" } else { "calls" };
        let _ = writeln!(
            out,
            "\n{:<28}{:>20}{:>16}{:>32}{:>18}",
            dimension.as_str(),
            what,
            if dimension <= Dimension::Model { "errors" } else { "denied" },
            "spend in USD",
            "p95 in ms"
        );
        for (value, row) in rows.iter().take(TABLE_ROWS) {
            let (a, b) = (&row.recorded, &row.replayed);
            let refused = |side: &Side| if dimension <= Dimension::Model { side.errors } else { side.denied };
            let p95 =
                |side: &Side| side.latency_ms.percentile(95).map_or("-".to_owned(), |ms| ms.to_string());
            let _ = writeln!(
                out,
                "{:<28}{:>20}{:>16}{:>32}{:>18}",
                if value.is_empty() { "(none)" } else { value },
                arrow(a.calls, b.calls),
                arrow(refused(a), refused(b)),
                arrow(format_usd(a.spend), format_usd(b.spend)),
                arrow(p95(a), p95(b))
            );
        }
        if rows.len() > TABLE_ROWS {
            let _ = writeln!(out, "and {} more: see --format csv", rows.len() - TABLE_ROWS);
        }
    }
    out
}

/// `before → after`, or one of them when they are the same.
fn arrow<T: PartialEq + std::fmt::Display>(before: T, after: T) -> String {
    if before == after { after.to_string() } else { format!("{before} → {after}") }
}

fn shown(value: &Value) -> String {
    if value.is_null() { "-".to_owned() } else { bare(value) }
}

fn signed_usd(nano: i64) -> String {
    format!("{}{}", if nano > 0 { "+" } else { "" }, format_usd(nano))
}

#[cfg(test)]
mod tests {
    use sluicegate::Timestamp;

    use super::*;

    fn done() -> ReplayDone {
        let mut report = Report::default();
        report.counts.calls = 2;
        report.counts.other_configuration = 1;
        report.total.recorded.calls = 2;
        report.total.recorded.spend = 1_500_000_000;
        report.total.replayed.calls = 2;
        report.total.replayed.spend = 500_000_000;
        report.total.recorded.latency_ms.add(100);
        let at = Timestamp::from_ms(1_795_000_000_000);
        ReplayDone { from: at, to: at.plus_ms(1), counted_from: at, report }
    }

    #[test]
    fn each_format_has_both_sides() {
        let table = table(&done());
        for part in ["2 calls from 2026-", "1 were decided under another configuration", "spend_usd", "-1"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        let json = to_json(&done());
        assert_eq!(json["total"]["recorded"]["spend_usd"], "1.5");
        assert_eq!(json["total"]["spend_difference_usd"], "-1");
        assert_eq!(json["total"]["replayed"]["latency_p50_ms"], Value::Null);
        assert_eq!(json["records"]["other_configuration"], 1);
        let csv = csv(&done().report);
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[0].starts_with("dimension,value,recorded_calls,replayed_calls,"), "{csv}");
        assert_eq!(lines[1].split(',').count(), lines[0].split(',').count());
        assert!(lines[1].starts_with("total,,2,2,"), "{csv}");
    }

    #[test]
    fn fields_of_csv_are_quoted_and_are_no_formulas() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("gpt-4o"), "gpt-4o");
    }
}
