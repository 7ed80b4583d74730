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
    // Any other loss would show that, too.
    if ["dropped", "refused", "approximated", ""].contains(&shows.trim()) {
        return Err(format!("{fixture}: `{shows}` doesn't say of what"));
    }
    read(&format!("tests/data/wire/{fixture}.json"))?;
    let snapshot = read(&format!("tests/data/wire/snapshots/{}.snap", fixture.replace('/', "__")))?;
    if snapshot.contains(shows) { Ok(()) } else { Err(format!("{fixture} doesn't show `{shows}`")) }
}

/// Whether there is such a test, or such a row of a table.
fn test(named: &str) -> Result<(), String> {
    let (path, name) = named.split_once("::").ok_or_else(|| format!("{named} names no test"))?;
    let text = read(path)?;
    // At the beginning of a line, so that one behind `//` or `#` is none.
    let begins = |with: &str| text.lines().any(|line| line.trim_start().starts_with(with));
    let there = match path.rsplit_once('.') {
        Some((_, "yaml")) => text.lines().filter_map(row).any(|note| note.starts_with(name)),
        Some((_, "py")) => begins(&format!("def {name}(")),
        _ => ["fn", "async fn"].iter().any(|word| begins(&format!("{word} {name}("))),
    };
    if there { Ok(()) } else { Err(format!("{path} has no `{name}`")) }
}

/// The note of a row of a table, or the quirk of a provider that it shows.
fn row(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches(['-', '{', ' ']);
    let rest = line.strip_prefix("note: ").or_else(|| line.strip_prefix("quirk: "))?;
    Some(rest.trim().trim_matches(['"', '\'']))
}

#[test]
fn what_shows_nothing_is_no_test() {
    assert!(golden("request/c2r_n2", "refused").is_err());
    let here = "core/wire/tests/trap.rs";
    // fn commented_out() {}
    assert!(test(&format!("{here}::commented_out")).is_err());
    assert_eq!(test(&format!("{here}::what_shows_nothing_is_no_test")), Ok(()));
    assert_eq!(row("  - quirk: a"), Some("a"));
    assert_eq!((row("  # note: a"), row("- note: \"a\""), row("  note: a")), (None, Some("a"), Some("a")));
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
