//! `replay`: what recorded calls would have come to under another policy or configuration.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use sluicegate::core::money::format_usd;
use sluicegate::core::replay::{Dimension, Row, Side};
use sluicegate::{ReplayDone, ReplayOptions, figures};

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
        ReplayFormat::Table => out_as_is!("{}", table(&done)),
        ReplayFormat::Json => out!("{:#}", done.to_json()),
        ReplayFormat::Csv => out_as_is!("{}", done.to_csv()),
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
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn signed_usd(nano: i64) -> String {
    format!("{}{}", if nano > 0 { "+" } else { "" }, format_usd(nano))
}

#[cfg(test)]
mod tests {
    use sluicegate::Timestamp;
    use sluicegate::core::replay::Report;

    use super::*;

    #[test]
    fn a_table_has_both_sides() {
        let mut report = Report::default();
        report.counts.calls = 2;
        report.counts.other_configuration = 1;
        report.total.recorded.spend = 1_500_000_000;
        report.total.replayed.spend = 500_000_000;
        let at = Timestamp::from_ms(1_795_000_000_000);
        let done = ReplayDone { from: at, to: at.plus_ms(1), counted_from: at, is_limited: false, report };
        let table = table(&done);
        for part in ["2 calls from 2026-", "1 were decided under another configuration", "spend_usd", "-1"] {
            assert!(table.contains(part), "{part} in {table}");
        }
    }
}
