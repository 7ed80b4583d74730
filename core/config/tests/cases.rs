//! Every file in `tests/data/config/` is a list of cases: a configuration, an environment, and what it must come to.
//!
//! `want` is an excerpt: its mappings may leave keys out, its lists are whole. `diagnostics` is the whole list; of each
//! finding the keys that are named must agree, and texts must be contained.

mod routing;

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use sluicegate_config::{CODES, Environment, Loaded, Severity, Source, load};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    note: String,
    #[serde(default)]
    config: String,
    /// A file to read instead, seen from `tests/data/`.
    #[serde(default)]
    config_file: Option<String>,
    #[serde(default)]
    env: HashMap<String, String>,
    #[serde(default)]
    files: HashMap<String, String>,
    #[serde(default)]
    want: Value,
    #[serde(default)]
    diagnostics: Vec<Value>,
}

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

#[expect(clippy::disallowed_methods, clippy::panic, reason = "tests read their cases")]
fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn run(case: &Case) -> Loaded {
    let text = match &case.config_file {
        Some(name) => read(&data().join(name)),
        None => case.config.clone(),
    };
    let variable = |name: &str| case.env.get(name).cloned();
    let file = |path: &str| case.files.get(path).cloned().ok_or_else(|| "no such file".to_owned());
    load(Source { path: "etc/config.yaml", text: &text }, &Environment::new(&variable).with_files(&file))
}

fn json_of(loaded: &Loaded) -> Value {
    let declared = &loaded.declared;
    let keys: Vec<_> =
        declared.keys.iter().map(|(key, secret)| json!({"key": key, "credential": secret})).collect();
    json!({
        "dialect": loaded.dialect,
        "channels": declared.channels.iter().map(channel).collect::<Vec<_>>(),
        "aliases": declared.aliases,
        "fallbacks": declared.fallbacks,
        "model_groups": declared.model_groups,
        "routing": declared.routing,
        "quota": {
            "global": declared.quota.global,
            "time_zone": declared.quota.time_zone.iana_name(),
            "default_output": declared.quota.default_output,
            "min_output": declared.quota.min_output,
            "on_unknown": declared.quota.on_unknown,
            "unpriced": declared.quota.unpriced,
            "rate_token_mode": declared.quota.rate_token_mode,
            "apply_user_limits_to_group_keys": declared.quota.apply_user_limits_to_group_keys,
            "reserve_wait_ms": declared.quota.reserve_wait_ms,
        },
        "access_groups": declared.access_groups,
        "customers": named(&declared.customers),
        "tags": named(&declared.tags),
        "organizations": declared.organizations,
        "groups": declared.groups,
        "users": declared.users,
        "memberships": declared.memberships,
        "keys": keys,
        "policies": declared.policies,
        "guardrails": declared.guardrails.iter().map(guardrail).collect::<Vec<_>>(),
        "host": loaded.host,
    })
}

/// A channel with its endpoints for single operations apart: `operations`.
fn channel(channel: &sluicegate_core::Channel) -> Value {
    let (single, main): (Vec<_>, Vec<_>) =
        channel.endpoints.iter().partition(|endpoint| endpoint.format.is_single());
    let mut all = json!(channel);
    all["endpoints"] = json!(main);
    all["operations"] = json!(single);
    all
}

/// Where `got` lacks what `want` says, if anywhere.
fn difference(at: &str, want: &Value, got: &Value, contain: bool) -> Option<String> {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => want.iter().find_map(|(key, want)| {
            difference(&format!("{at}.{key}"), want, got.get(key).unwrap_or(&Value::Null), contain)
        }),
        (Value::Array(want), Value::Array(items)) if want.len() == items.len() => want
            .iter()
            .zip(items)
            .enumerate()
            .find_map(|(i, (want, got))| difference(&format!("{at}[{i}]"), want, got, contain)),
        (Value::String(want), Value::String(got)) if contain && got.contains(want.as_str()) => None,
        (Value::Number(want), Value::Number(got)) if want.as_f64() == got.as_f64() => None,
        _ if want == got => None,
        _ => Some(format!("{at}: want {want}, got {got}")),
    }
}

fn guardrail(source: &sluicegate_core::guardrail::GuardrailSource) -> Value {
    use sluicegate_core::guardrail::GuardrailKind;
    let mut all = json!({
        "name": source.name, "asked_as": source.asked_as, "default_on": source.default_on, "input": source.input, "output": source.output,
        "groups": source.of.groups, "models": source.of.models,
    });
    let kind = match &source.kind {
        GuardrailKind::Text(rules) => json!({
            "keywords": rules.keywords, "case_sensitive": rules.case_sensitive, "patterns": rules.patterns,
            "detectors": rules.detectors, "action": rules.action, "replacement": rules.replacement,
        }),
        GuardrailKind::Http(rules) => {
            json!({"url": rules.url, "timeout_ms": rules.timeout_ms, "fail_open": rules.fail_open})
        }
    };
    for (key, value) in kind.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    all
}

fn named(scopes: &sluicegate_core::snapshot::NamedScopes) -> serde_json::Value {
    json!({"declared": scopes.declared, "default": scopes.default, "max_counted": scopes.max_counted})
}

/// Every case, with its file's name.
#[expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
fn cases() -> Vec<(String, Case)> {
    let mut files: Vec<_> =
        std::fs::read_dir(data().join("config")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let mut all = Vec::new();
    for path in &files {
        let cases: Vec<Case> =
            serde_saphyr::from_str(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.extend(cases.into_iter().map(|case| (file.clone(), case)));
    }
    all
}

#[test]
fn every_case_comes_to_what_it_says() {
    let cases = cases();
    let (count, mut wrong) = (cases.len(), Vec::new());
    for (file, case) in cases {
        let loaded = run(&case);
        let told = json!(loaded.diagnostics);
        let said = difference("diagnostics", &json!(case.diagnostics), &told, true);
        let is =
            if case.want.is_null() { None } else { difference("want", &case.want, &json_of(&loaded), false) };
        for difference in [said, is].into_iter().flatten() {
            let all: String = loaded.diagnostics.iter().map(|found| format!("\n    {found}")).collect();
            wrong.push(format!("{file}: {}\n  {difference}\n  findings:{all}", case.note));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(count >= 40, "only {count} cases were found");
}

/// Whether a sentence is this text, whose places `{}` stand for anything.
fn is_sentence(text: &str, sentence: &str) -> bool {
    let mut parts = sentence.split("{}");
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn whatever_is_found_in_a_file_can_be_said_in_chinese() {
    let words = data().join("../../frontends/console/src/word/server.zh.json");
    let words: Value = serde_json::from_str(&read(&words)).unwrap();
    let says: Vec<&String> = words["says"].as_object().unwrap().keys().collect();
    // A value that must be one of several is said as it is written.
    let is_said = |text: &str| text.is_empty() || says.iter().any(|it| it.len() > 4 && is_sentence(text, it));
    let (mut codes, mut unsaid) = (std::collections::BTreeSet::new(), Vec::new());
    for (_, case) in cases() {
        for found in run(&case).diagnostics {
            codes.insert(found.code);
            // What the reader of YAML complains of is said in its own words.
            let message = if found.code == "syntax" { String::new() } else { found.message };
            let texts = [message, found.remedy];
            unsaid.extend(
                texts.into_iter().filter(|it| !is_said(it)).map(|it| format!("{}: {it}", found.code)),
            );
        }
    }
    unsaid.sort();
    unsaid.dedup();
    assert!(unsaid.is_empty(), "server.zh.json lacks\n{}", unsaid.join("\n"));
    let untold: Vec<_> = CODES.iter().filter(|code| !codes.contains(**code)).collect();
    assert!(untold.len() < 10, "no case comes to {untold:?}");
}

#[test]
fn the_examples_have_nothing_to_complain_about() {
    let directory = data().join("../../examples/config");
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let text = read(&path);
        let variable = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://u@h/d".to_owned()),
            name if name.ends_with("_KEY") || name.ends_with("_SECRET") || name == "REDIS" => {
                Some("value".to_owned())
            }
            _ => None,
        };
        let file = |path: &str| Ok(read(std::path::Path::new(path)));
        let environment = Environment::new(&variable).with_files(&file);
        let loaded = load(Source { path: &path.display().to_string(), text: &text }, &environment);
        let told: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|found| found.severity != Severity::Note)
            .map(ToString::to_string)
            .collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
        assert!(loaded.declared.channels.iter().all(|channel| channel.enabled), "{}", path.display());
        count += 1;
    }
    assert!(count >= 5);
}
