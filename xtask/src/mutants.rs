//! `cargo xtask mutants`: whether the simulation finds the faults that it is there to find.
//!
//! The faults of `tests/data/mutants.toml` are built into a copy of the workspace, each behind a switch, so that one build
//! serves all of them; then the simulation runs once without and once with each.

mod copy;
mod data;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::tool::{Done, cargo, root, scratch};
use data::Mutant;

/// Histories that a mutant has to be caught in; and that must all hold without one.
const HISTORIES: u64 = 10_000;
const SOUND_HISTORIES: u64 = 1_000;

/// A run of the simulation.
enum Ran {
    /// Every history held.
    Held,
    /// One didn't: which, and what it says.
    Violated { history: String, what: String },
}

pub(crate) fn run(names: &[String]) -> Done {
    let path = root().join("tests/data/mutants.toml");
    let text =
        std::fs::read_to_string(&path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
    let mutants = data::parse(&text)?;
    if let Some(name) = names.iter().find(|name| !mutants.iter().any(|mutant| mutant.name == **name)) {
        return Err(format!("there is no mutant `{name}`; see tests/data/mutants.toml"));
    }
    let place = scratch("mutants")?;
    copy::workspace(&root(), &place.join("workspace"), &mutants)?;
    let program = build(&place)?;
    match simulate(&program, None, SOUND_HISTORIES)? {
        Ran::Held => println!("{:<28} {SOUND_HISTORIES} histories hold", "no mutant"),
        Ran::Violated { history, what } => {
            return Err(format!(
                "without a mutant history {history} fails: {what}; `cargo xtask simulate` says more"
            ));
        }
    }
    let mut missed = Vec::new();
    let wanted = |(_, mutant): &(usize, &Mutant)| names.is_empty() || names.contains(&mutant.name);
    for (number, mutant) in mutants.iter().enumerate().filter(wanted) {
        let began = Instant::now();
        let ran = simulate(&program, Some(number), HISTORIES)?;
        let seconds = began.elapsed().as_secs_f64();
        match ran {
            Ran::Violated { history, what } => {
                let what: String = what.chars().take(90).collect();
                println!("{:<28} caught in history {history:>5} ({seconds:>4.1} s): {what}", mutant.name);
            }
            Ran::Held => {
                println!("{:<28} NOT CAUGHT in {HISTORIES} histories: {}", mutant.name, mutant.why);
                missed.push(mutant.name.as_str());
            }
        }
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("the simulation doesn't catch {}", missed.join(", ")))
    }
}

/// Builds the simulation in the copy, and says where it is.
fn build(place: &Path) -> Result<PathBuf, String> {
    let mut build = cargo(["test", "--locked", "--no-run", "-p", "sluicegate-tests", "--test", "simulation"])
        .args(["--message-format", "json-render-diagnostics", "--quiet", "--target-dir"])
        .args([place.join("build")]);
    build.0.current_dir(place.join("workspace"));
    // A fault in parentheses is warned of, and would hide what is wrong.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    build.0.env("RUSTFLAGS", format!("{flags} -Awarnings").trim());
    let messages = build.output()?;
    // The test comes with the binaries of its package.
    let mut tests = messages.lines().filter(|line| line.contains("\"name\":\"simulation\""));
    let program = tests.next_back().and_then(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        rest.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    program.ok_or_else(|| "cargo built no simulation".to_owned())
}

fn simulate(program: &Path, mutant: Option<usize>, histories: u64) -> Result<Ran, String> {
    let mut command = std::process::Command::new(program);
    command.arg("--nocapture").env("SLUICEGATE_SIM_HISTORIES", histories.to_string());
    if let Some(number) = mutant {
        command.env(copy::SWITCH, number.to_string());
    }
    let out = command.output().map_err(|e| format!("cannot run `{}`: {e}", program.display()))?;
    let said = String::from_utf8_lossy(&out.stdout);
    let violation =
        said.lines().find_map(|line| line.strip_prefix("violation in history ")?.split_once(": "));
    match violation {
        Some((history, what)) => Ok(Ran::Violated { history: history.to_owned(), what: what.to_owned() }),
        None if out.status.success() => Ok(Ran::Held),
        None => Err(format!("the simulation ended with {} and no violation", out.status)),
    }
}
