//! `check`: everything that is wrong with a file, at once.

use std::process::ExitCode;

use serde_json::json;
use sluicegate::config::{DatabaseUrl, Diagnostic, Loaded, Severity};
use sluicegate::{ConfigText, Variables, store};

use super::Report;
use crate::args::{Check, Format};

/// Prints the findings; fails when there are errors.
pub(crate) fn run(args: &Check) -> ExitCode {
    sluicegate_server::block_on(report(args, &sluicegate::process_variables())).tell()
}

async fn report(args: &Check, variables: &Variables) -> Report {
    let config = match ConfigText::read(&args.file) {
        Ok(config) => config,
        Err(error) => {
            let nothing = json!({"ok": false, "dialect": null, "diagnostics": [], "policies": [], "error": error.message()});
            let text = if args.format == Format::Json { format!("{nothing:#}") } else { String::new() };
            return Report { text, verdict: Err(error.to_string()) };
        }
    };
    let mut loaded = sluicegate::load(Some(&config), variables);
    if !args.offline {
        let found = unreachable_database(&loaded, &config, variables).await;
        loaded.diagnostics.extend(found);
    }
    // Scripts are part of the configuration: they must compile too.
    let scripts: Vec<String> = match sluicegate::policy::Policies::compile_with(
        &loaded.declared.policies,
        &loaded.declared.policy_modules,
    ) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    let usable = !loaded.has_errors() && scripts.is_empty();
    let text = match args.format {
        Format::Json => {
            let findings = json!({
                "ok": usable,
                "dialect": loaded.dialect,
                "diagnostics": loaded.diagnostics,
                "policies": scripts,
            });
            format!("{findings:#}")
        }
        Format::Text => in_words(args, loaded, &scripts),
    };
    let verdict =
        if usable { Ok(()) } else { Err(format!("`{}` can't be used as it is", args.file.display())) };
    Report { text, verdict }
}

fn in_words(args: &Check, loaded: Loaded, scripts: &[String]) -> String {
    let mut lines: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    lines.extend_from_slice(scripts);
    let channels = loaded.declared.channels.len();
    let dialect = loaded.dialect;
    let models = sluicegate::Snapshot::build(0, loaded.declared).model_names().len();
    lines.push(format!(
        "{}: {} file, {channels} channels, {models} models",
        args.file.display(),
        dialect.as_str()
    ));
    lines.join("\n")
}

/// Tries the database server that would serve. `serve` fails where this finds something.
async fn unreachable_database(
    loaded: &Loaded,
    config: &ConfigText,
    variables: &Variables,
) -> Option<Diagnostic> {
    let Some(DatabaseUrl::Postgres(url)) = &loaded.host.database else { return None };
    let error = store::reach(url.expose()).await.err()?;
    let names = ["SLUICEGATE_DATABASE", "DATABASE_URL", "SQL_DSN"];
    let variable = names.into_iter().find(|name| variables(name).as_deref() == Some(url.expose()));
    let key = config.text.lines().enumerate().find_map(|(number, line)| {
        let start = line.trim_start_matches([' ', '"', '{']);
        let key = ["database_url", "database"].into_iter().find(|key| start.starts_with(key))?;
        Some((number + 1, line.len() - start.len() + 1, key))
    });
    let (line, column, at) = match (variable, key) {
        (None, Some(place)) => place,
        _ => (1, 1, ""),
    };
    Some(Diagnostic {
        severity: Severity::Error,
        code: "unreachable_database",
        path: config.path.clone(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
        at: variable.unwrap_or(at).to_owned(),
        message: error.message().to_owned(),
        remedy: "mend the address or start the server; --offline leaves this out".to_owned(),
        paste: None,
        unless: None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;

    /// Checks this text, whatever the process's own environment says.
    fn check(name: &str, text: &str, format: Format, variables: &'static [(&str, &str)]) -> Report {
        let file: PathBuf =
            std::env::temp_dir().join(format!("sluicegate-check-{name}-{}", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned());
        let args = Check { file: file.clone(), format, offline: false };
        let report = sluicegate_server::block_on(report(&args, &(Arc::new(find) as Variables)));
        std::fs::remove_file(file).unwrap();
        report
    }

    const GOOD: &str = "version: 1\nchannels: [{name: c, provider: mock, models: [m]}]\n";

    #[test]
    fn a_good_file_passes_in_both_formats() {
        let text = check("good", GOOD, Format::Text, &[]);
        assert_eq!(text.verdict, Ok(()), "{}", text.text);
        assert!(text.text.ends_with("native file, 1 channels, 1 models"), "{}", text.text);
        let found: Value = serde_json::from_str(&check("good-json", GOOD, Format::Json, &[]).text).unwrap();
        assert_eq!((&found["ok"], &found["dialect"]), (&json!(true), &json!("native")), "{found}");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_fails() {
        let bad = "version: 1\nchanels: []\nchannels: [{name: c, provider: mock, models: [m], wieght: 3, priority: high}]\n";
        let text = check("bad", bad, Format::Text, &[]);
        assert!(text.verdict.is_err(), "{}", text.text);
        let json = check("bad-json", bad, Format::Json, &[]);
        assert!(json.verdict.is_err(), "{}", json.text);
        let found: Value = serde_json::from_str(&json.text).unwrap();
        assert_eq!(found["ok"], false);
        for name in ["chanels", "wieght", "priority"] {
            assert!(text.text.contains(name), "{name}: {}", text.text);
            assert!(json.text.contains(name), "{name}: {}", json.text);
        }
    }

    #[test]
    fn a_file_that_is_not_there_fails_in_both_formats() {
        for format in [Format::Text, Format::Json] {
            let args = Check { file: "/no/such/file.yaml".into(), format, offline: true };
            let report = sluicegate_server::block_on(report(&args, &sluicegate::process_variables()));
            assert!(report.verdict.unwrap_err().contains("/no/such/file.yaml"));
            if format == Format::Json {
                let found: Value = serde_json::from_str(&report.text).unwrap();
                assert_eq!(found["ok"], false);
            }
        }
    }

    #[test]
    fn a_database_out_of_reach_is_an_error_with_its_place() {
        // Port 9 discards, and nothing listens there.
        let file = format!("{GOOD}server:\n  database: postgres://gate:hunter2@127.0.0.1:9/gate\n");
        let report = check("database", &file, Format::Text, &[]);
        assert!(report.verdict.is_err(), "{}", report.text);
        assert!(report.text.contains(":4:3: error[unreachable_database]: database: "), "{}", report.text);
        let report =
            check("variable", GOOD, Format::Text, &[("SQL_DSN", "postgres://gate:hunter2@127.0.0.1:9/gate")]);
        assert!(report.text.contains("error[unreachable_database]: SQL_DSN: "), "{}", report.text);
        assert!(!report.text.contains("hunter2"), "{}", report.text);
    }
}
