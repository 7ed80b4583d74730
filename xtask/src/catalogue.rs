//! `cargo xtask catalogue`: what is made from the facts about providers.

use std::path::PathBuf;

use crate::tool::{Done, cargo, root};

/// What is printed, and where it belongs; in this order, for the manual reads what the others compile in.
const MADE: [(&str, &str); 3] = [
    ("providers", "core/config/catalogue/providers.csv"),
    ("quirks", "core/config/catalogue/quirks.jsonl"),
    ("manual", "docs/providers.md"),
];

pub(crate) fn run(args: &[String]) -> Done {
    let check = match args {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err("the catalogue takes nothing but `--check`".into()),
    };
    for (what, path) in MADE {
        let made = cargo(["run", "-q", "-p", "sluicegate-config", "--example", "catalogue", "--", what])
            .output()?
            + "\n";
        let file: PathBuf = root().join(path);
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        if there == made {
            continue;
        }
        if check {
            return Err(format!("`{path}` is not in step with the facts: run `cargo xtask catalogue`"));
        }
        std::fs::write(&file, made).map_err(|why| format!("cannot write `{path}`: {why}"))?;
        println!("{path} is new");
    }
    Ok(())
}
