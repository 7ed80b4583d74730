//! `apply`: makes a running gateway what files say, over its API.

mod document;
mod plan;
mod settle;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::exit;
use crate::args::Format;
use crate::args::apply::Apply;
use crate::client::{Client, Failure};
use plan::{Deed, Step};

/// Does what was asked.
pub(crate) fn run(args: &Apply) -> ExitCode {
    exit(apply(args))
}

fn apply(args: &Apply) -> Result<(), Failure> {
    let mut document = document::read(&args.file)?;
    let client = Client::new(&args.remote);
    let plan = plan::of(&client, &mut document, args.prune)?;
    let mut failed = 0;
    let mut told = Vec::new();
    for step in &plan.steps {
        let (outcome, secret) = match args.dry_run {
            true => (Ok(()), None),
            false => match plan::take(&client, step) {
                Ok(secret) => (Ok(()), secret),
                Err(why) => (Err(why), None),
            },
        };
        let mut secret = secret;
        if let (Some(path), Some(text)) = (&args.secrets_to, &secret) {
            keep(path, &step.name, text)?;
            secret = None;
        }
        failed += usize::from(outcome.is_err());
        match args.remote.format {
            Format::Text => out_as_is!("{}", text(step, outcome.as_ref().err(), secret.as_deref())),
            Format::Json => told.push(json!({
                "kind": step.kind.word(), "name": step.name, "deed": step.deed.word(), "changes": step.changes,
                "error": outcome.err(), "secret": secret,
            })),
        }
    }
    match args.remote.format {
        Format::Text => out!("{}", sum(&plan, args.dry_run, failed)),
        Format::Json => {
            let sum = json!({"steps": told, "same": plan.same, "dry_run": args.dry_run, "failed": failed});
            out!("{sum:#}");
        }
    }
    match failed {
        0 => Ok(()),
        n => Err(format!(
            "{n} of {} changes were refused; what is above was done, and applying again goes on",
            plan.steps.len()
        )),
    }
}

/// One change, for people. What is secret isn't part of a step.
fn text(step: &Step, error: Option<&Failure>, secret: Option<&str>) -> String {
    let sign = match step.deed {
        Deed::Make => '+',
        Deed::Change => '~',
        Deed::Remove => '-',
    };
    let mut out = format!("{sign} {} {}\n", step.kind.word(), step.name);
    for (field, before, after) in &step.changes {
        let _ = match before {
            Value::Null => writeln!(out, "    {field}: {after}"),
            _ => writeln!(out, "    {field}: {before} -> {after}"),
        };
    }
    if let Some(secret) = secret {
        let _ = writeln!(out, "    its secret, shown this once: {secret}");
    }
    if let Some(error) = error {
        let _ = writeln!(out, "    refused: {error}");
    }
    out
}

fn sum(plan: &plan::Plan, dry_run: bool, failed: usize) -> String {
    let count = |deed| plan.steps.iter().filter(|step| step.deed == deed).count();
    let (made, changed, removed) = (count(Deed::Make), count(Deed::Change), count(Deed::Remove));
    let verb = if dry_run { "would be " } else { "" };
    let refused = if failed > 0 { format!(", {failed} refused") } else { String::new() };
    format!(
        "{made} {verb}made, {changed} {verb}changed, {removed} {verb}removed, {} the same{refused}",
        plan.same
    )
}

/// Puts a secret into a file that only its owner reads.
fn keep(path: &std::path::Path, name: &str, secret: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        // One that was there keeps its mode otherwise.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        writeln!(file, "{name} {secret}")
    });
    written.map_err(|why| {
        format!("the secret of `{name}` can't be kept in `{}`: {why}; it is {secret}", path.display())
    })
}
