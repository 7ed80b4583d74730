//! Scenarios of routing, `tests/data/routing/*.yaml`: what upstreams do over time, and where calls go. Each configuration is
//! read as a file would be, and the engine is driven in virtual time as the gateway drives it. `README.md` beside the files
//! says what they hold.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenarios: Vec<Scenario>,
}

/// One configuration and its calls.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    note: String,
    /// A native configuration without `version`; its channels and keys are mappings by id that leave out what doesn't
    /// matter.
    #[serde(default)]
    config: Map<String, Value>,
    /// A whole file instead, in any dialect.
    #[serde(default)]
    file: Option<String>,
    /// What each channel answers, in turn; the last answer goes on. Without any it answers.
    #[serde(default)]
    upstreams: BTreeMap<String, Vec<String>>,
    calls: Vec<Call>,
    /// Alerts, all of them in order; left out: not looked at.
    #[serde(default)]
    alerts: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// When it comes, in milliseconds after the start.
    #[serde(default)]
    at: i64,
    /// So many calls with seeds that count up.
    #[serde(default = "one")]
    times: u64,
    /// Left out: its place in the list, from 1.
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default = "model")]
    model: String,
    /// Left out: on the operator's authority.
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    stream: bool,
    /// Tokens of input, and the ceiling.
    #[serde(default = "hundred")]
    tokens: u64,
    #[serde(default)]
    max: Option<u64>,
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// Its `user-agent`.
    #[serde(default)]
    client: Option<String>,
    /// Several: one call for each, as with `times`.
    #[serde(default)]
    conversations: Option<u64>,
    #[serde(default)]
    conversation: Option<u64>,
    /// Whether signatures bind it to its channel.
    #[serde(default)]
    bound: bool,
    #[serde(default)]
    format: Option<sluicegate_core::Format>,
    #[serde(default)]
    needs: sluicegate_core::Needs,
    /// The caller's own fallbacks.
    #[serde(default)]
    fallbacks: Option<Vec<sluicegate_core::ModelName>>,
    /// The failure that the caller stages.
    #[serde(default)]
    rehearse: Option<sluicegate_core::Rehearsal>,
    /// Its answer is made up.
    #[serde(default)]
    mock: bool,
    /// Somebody mends this channel; no call is made.
    #[serde(default)]
    mend: Option<String>,
    /// What happens, whole and in order: `CHANNEL CLASS`, `wait MS`, `failed CLASS`, `denied REASON`.
    #[serde(default)]
    want: Option<Vec<String>>,
    /// How many of the calls ask a channel first: `N` or `FROM-TO`.
    #[serde(default)]
    share: BTreeMap<String, String>,
    /// In which order channels would be asked.
    #[serde(default)]
    order: Option<Vec<String>>,
    /// Why channels are out.
    #[serde(default)]
    out: BTreeMap<String, String>,
    /// What channels were ranked by.
    #[serde(default)]
    scores: BTreeMap<String, u64>,
    /// How long it takes in all, in milliseconds: `N` or `FROM-TO`.
    #[serde(default)]
    took: Option<String>,
    /// The model sent upstream at last.
    #[serde(default)]
    upstream_model: Option<String>,
}

fn one() -> u64 {
    1
}

fn hundred() -> u64 {
    100
}

fn model() -> String {
    "m".to_owned()
}

#[test]
fn every_scenario_goes_as_it_says() {
    let mut files: Vec<_> = std::fs::read_dir(super::data().join("routing"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file: File = serde_saphyr::from_str(&super::read(path)).unwrap_or_else(|e| panic!("{name}: {e}"));
        for scenario in &file.scenarios {
            count += 1;
            let differences = world::run(scenario);
            if !differences.is_empty() {
                wrong.push(format!("{name}: {}\n  {}", scenario.note, differences.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} scenarios:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(count >= 155, "only {count} scenarios were found");
}
