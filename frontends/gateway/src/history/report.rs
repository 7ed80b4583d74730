//! What a replay came to, as JSON and CSV.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sluicegate_core::money::format_usd;
use sluicegate_core::replay::{Dimension, Row, Side};

use super::ReplayDone;

/// What is told of one side of a replay, in the order of columns.
pub fn figures(side: &Side) -> [(&'static str, Value); 10] {
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

impl ReplayDone {
    /// All of it.
    pub fn to_json(&self) -> Value {
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
                let rows = self.report.rows(dimension).map(|(value, sums)| {
                    let mut row = row(sums);
                    row["value"] = json!(value);
                    row
                });
                (dimension.as_str().to_owned(), rows.collect())
            })
            .collect();
        let counts = self.report.counts;
        json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "counted_from": self.counted_from.to_string(),
            "limited": self.is_limited,
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
            "total": row(&self.report.total),
            "by": by,
        })
    }

    /// A row for everything, then one for each value of each dimension; each figure as it was and as it would have been.
    pub fn to_csv(&self) -> String {
        let report = &self.report;
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

#[cfg(test)]
mod tests {
    use sluicegate_core::Timestamp;
    use sluicegate_core::replay::Report;

    use super::*;

    fn done() -> ReplayDone {
        let mut report = Report::default();
        report.counts.other_configuration = 1;
        report.total.recorded.calls = 2;
        report.total.recorded.spend = 1_500_000_000;
        report.total.replayed.calls = 2;
        report.total.replayed.spend = 500_000_000;
        report.total.recorded.latency_ms.add(100);
        let at = Timestamp::from_ms(1_795_000_000_000);
        ReplayDone { from: at, to: at.plus_ms(1), counted_from: at, is_limited: false, report }
    }

    #[test]
    fn each_format_has_both_sides() {
        let json = done().to_json();
        assert_eq!(json["total"]["recorded"]["spend_usd"], "1.5");
        assert_eq!(json["total"]["spend_difference_usd"], "-1");
        assert_eq!(json["total"]["replayed"]["latency_p50_ms"], Value::Null);
        assert_eq!(json["records"]["other_configuration"], 1);
        let csv = done().to_csv();
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
