//! What gateways before this one got wrong, and what shows that it doesn't happen here: `tests/data/wire/traps.json`.
//!
//! A fixture shows it by what its snapshot says, which `golden.rs` keeps true; a test by its name.
#![expect(clippy::disallowed_methods, reason = "tests read their fixtures from files")]

use std::path::{Path, PathBuf};

use serde_json::Value;

const TRAPS: u64 = 70;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(path)).map_err(|why| format!("{path}: {why}"))
}

/// Whether a fixture's snapshot says what it should.
fn golden(fixture: &str, shows: &str) -> Result<(), String> {
    read(&format!("tests/data/wire/{fixture}.json"))?;
    let snapshot = read(&format!("tests/data/wire/snapshots/{}.snap", fixture.replace('/', "__")))?;
    if snapshot.contains(shows) { Ok(()) } else { Err(format!("{fixture} doesn't show `{shows}`")) }
}

/// Whether there is such a test, or such a row of a table.
fn test(named: &str) -> Result<(), String> {
    let (path, name) = named.split_once("::").ok_or_else(|| format!("{named} names no test"))?;
    let text = read(path)?;
    let there = match path.rsplit_once('.') {
        Some((_, "yaml")) => text.contains(&format!("note: {name}")),
        Some((_, "py")) => text.contains(&format!("\ndef {name}(")),
        _ => text.contains(&format!("fn {name}(")),
    };
    if there { Ok(()) } else { Err(format!("{path} has no `{name}`")) }
}

#[test]
fn every_trap_is_shown_to_be_avoided() {
    let traps: Vec<Value> = serde_json::from_str(&read("tests/data/wire/traps.json").unwrap()).unwrap();
    let numbers: Vec<u64> = traps.iter().filter_map(|trap| trap["trap"].as_u64()).collect();
    assert_eq!(numbers, (1..=TRAPS).collect::<Vec<_>>(), "each trap once, in order");
    let mut wrong = Vec::new();
    for trap in &traps {
        let fixtures = trap["golden"].as_object().into_iter().flatten();
        let shown = fixtures.map(|(name, shows)| golden(name, shows.as_str().unwrap_or_default()));
        let tests = trap["tests"].as_array().into_iter().flatten();
        let named = tests.map(|name| test(name.as_str().unwrap_or_default()));
        let all: Vec<_> = shown.chain(named).collect();
        if all.is_empty() {
            wrong.push(format!("T{}: nothing shows it", trap["trap"]));
        }
        wrong.extend(all.into_iter().filter_map(Result::err).map(|why| format!("T{}: {why}", trap["trap"])));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
