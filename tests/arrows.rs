//! The dependency rule as a test: which package may know which, which foreign
//! crates a room may use, and which names may appear where in the sources.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sluicegate_tests::root;

/// Package → the packages of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("sluicegate-core", &[]),
    ("sluicegate-wire", &["sluicegate-core"]),
    ("sluicegate-config", &["sluicegate-core"]),
    ("sluicegate-policy", &["sluicegate-core"]),
    ("sluicegate", &["sluicegate-core", "sluicegate-wire", "sluicegate-config", "sluicegate-policy"]),
    ("sluicegate-server", &["sluicegate"]),
    ("sluicegate-cli", &["sluicegate", "sluicegate-server"]),
    ("sluicegate-c", &["sluicegate"]),
    ("sluicegate-python", &["sluicegate"]),
];

/// Packages that may know everything, and that nothing may know.
const FREE: &[&str] = &["sluicegate-tests", "sluicegate-benches", "sluicegate-examples", "xtask"];

/// Crate (a name, or a prefix with `*`) → the packages that may depend on it.
const CRATES: &[(&str, &[&str])] = &[
    ("tokio", &["sluicegate", "sluicegate-server", "sluicegate-cli", "sluicegate-c", "sluicegate-python"]),
    ("reqwest", &["sluicegate"]),
    ("hyper*", &["sluicegate"]),
    ("sqlx*", &["sluicegate"]),
    ("redis", &["sluicegate"]),
    ("rhai", &["sluicegate-policy"]),
    ("actix*", &["sluicegate-server"]),
    ("axum*", &[]),
    ("http", &["sluicegate", "sluicegate-server"]),
    ("pyo3*", &["sluicegate-python"]),
];

/// A name in code → the folders (a path, or a word for folders of that name anywhere) in which it may appear.
const NAMES: &[(&str, &[&str])] = &[
    ("StatusCode", &["frontends/server", "tests"]),
    ("reqwest::", &["frontends/gateway/src/upstream"]),
    (
        "sqlx::",
        &[
            "frontends/gateway/tests/store_contract.rs",
            "frontends/gateway/tests/store_contract",
            // Tampers with what the store has written.
            "frontends/gateway/tests/audit_trail.rs",
            // Fills tables by the million.
            "frontends/gateway/benches/report/history.rs",
            "frontends/gateway/src/store",
        ],
    ),
    ("redis::", &["frontends/gateway/src/store"]),
    ("rhai::", &["policy"]),
    ("actix_web::", &["frontends/server", "tests"]),
    ("pyo3::", &["bindings/python"]),
    ("Instant::now", &["frontends", "bindings", "examples", "benches", "tests", "xtask"]),
    ("SystemTime::now", &["frontends", "bindings", "examples", "benches", "tests", "xtask"]),
    ("unsafe ", &["bindings/c"]),
    ("unsafe{", &["bindings/c"]),
    ("unsafe(", &["bindings/c"]),
];

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

/// Package → what it depends on outside its tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|p| {
            let all = p["dependencies"].as_array().unwrap().iter();
            let names = all.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap().to_owned());
            (p["name"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn every_package_has_its_place() {
    let mut placed: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).chain(FREE.iter().copied()).collect();
    placed.sort_unstable();
    let found = dependencies();
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        placed,
        "a new package needs its arrows here"
    );
}

#[test]
fn arrows_point_inwards() {
    let found = dependencies();
    for (package, allowed) in ARROWS {
        for dependency in &found[*package] {
            let ours =
                ARROWS.iter().any(|(name, _)| name == dependency) || FREE.contains(&dependency.as_str());
            assert!(
                !ours || allowed.contains(&dependency.as_str()),
                "`{package}` must not depend on `{dependency}`"
            );
        }
    }
}

#[test]
fn foreign_crates_keep_to_their_rooms() {
    for (package, names) in dependencies() {
        for name in names.iter().filter(|_| !FREE.contains(&package.as_str())) {
            for (_, rooms) in CRATES.iter().filter(|(pattern, _)| matches(pattern, name)) {
                assert!(rooms.contains(&package.as_str()), "`{package}` must not depend on `{name}`");
            }
        }
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            let name = name.to_string_lossy();
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                sources(&path, into);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The lines of `text` in which `name` stands in code, from 1.
fn lines_with(name: &str, text: &str) -> Vec<usize> {
    let code = |line: &str| !line.trim_start().starts_with("//");
    let hits = text.lines().enumerate().filter(|(_, line)| code(line) && has_name(line, name));
    hits.map(|(n, _)| n + 1).collect()
}

/// Whether `name` stands in `line` as a word of its own, outside a text.
fn has_name(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && before.matches('"').count().is_multiple_of(2)
    })
}

#[test]
fn names_keep_to_their_rooms() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    assert!(files.len() > 20, "found only {} sources", files.len());
    let mut offences = Vec::new();
    for file in &files {
        let path = file.strip_prefix(root()).unwrap();
        let text = fs::read_to_string(file).unwrap();
        for (name, rooms) in NAMES {
            let inside = |room: &&str| path.starts_with(room) || path.iter().any(|folder| folder == *room);
            if !rooms.iter().any(inside) {
                let lines = lines_with(name, &text).into_iter();
                offences.extend(lines.map(|line| format!("{}:{line}: `{name}`", path.display())));
            }
        }
    }
    assert!(offences.is_empty(), "names outside their rooms:\n{}", offences.join("\n"));
}

#[test]
fn the_search_finds_code_and_only_code() {
    let text = "// NAME::a\nlet a = 'NAME::b';\n    NAME::c();\nmy_NAME::d();\n"
        .replace('\'', "\"")
        .replace("NAME", "room");
    assert_eq!(lines_with("room::", &text), [3]);
}
