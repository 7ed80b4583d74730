//! `check`: everything that is wrong with a file, at once.

use std::process::ExitCode;

use serde_json::json;
use sluicegate::ConfigText;

use super::exit;
use crate::args::{Check, Format};
use crate::client::Failure;

/// Prints the findings; fails when there are errors.
pub(crate) fn run(args: &Check) -> ExitCode {
    exit(check(args))
}

fn check(args: &Check) -> Result<(), Failure> {
    let config = ConfigText::read(&args.file).map_err(|error| error.to_string())?;
    let loaded = sluicegate::load(Some(&config), &sluicegate::process_variables());
    // Scripts are part of the configuration: they must compile too.
    let scripts: Vec<String> = match sluicegate::policy::Policies::compile(&loaded.declared.policies) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    let usable = !loaded.has_errors() && scripts.is_empty();
    match args.format {
        Format::Json => {
            let findings = json!({
                "ok": usable,
                "dialect": loaded.dialect,
                "diagnostics": loaded.diagnostics,
                "policies": scripts,
            });
            println!("{findings:#}");
        }
        Format::Text => {
            for diagnostic in &loaded.diagnostics {
                println!("{diagnostic}");
            }
            for fault in &scripts {
                println!("{fault}");
            }
            let channels = loaded.declared.channels.len();
            let models = sluicegate::Snapshot::build(0, loaded.declared).model_names().len();
            println!(
                "{}: {} file, {channels} channels, {models} models",
                args.file.display(),
                loaded.dialect.as_str()
            );
        }
    }
    if usable { Ok(()) } else { Err(format!("`{}` can't be used as it is", args.file.display())) }
}
