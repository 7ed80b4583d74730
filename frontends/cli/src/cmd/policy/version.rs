//! Versions of policies on a running gateway, over its API.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::policy::{At, Diff, Put, Rollback, Running, Shadow, Show};
use crate::args::{Format, Remote};
use crate::client::{Client, Failure, segment};

/// Does what was asked.
pub(super) fn run(command: &Running) -> Result<(), Failure> {
    match command {
        Running::List(at) => {
            let answer = Client::new(&at.remote).get("/policies")?;
            show(&at.remote, &answer, |answer| lines(answer, policy));
        }
        Running::Put(at) => put(at)?,
        Running::Versions(at) => {
            let answer = Client::new(&at.remote).get(&path(&at.what.name, "/versions"))?;
            show(&at.remote, &answer, |answer| lines(answer, version));
        }
        Running::Show(at) => script(at)?,
        Running::Shadow(at) => shadow(at)?,
        Running::Activate(at) => {
            let body = json!({"version": at.what.number, "watched": !at.what.unwatched});
            let answer = Client::new(&at.remote).post(&path(&at.what.name, "/activate"), &body)?;
            show(&at.remote, &answer, version);
        }
        Running::Rollback(at) => rollback(at)?,
        Running::Diff(at) => diff(at)?,
        Running::Remove(at) => {
            Client::new(&at.remote).delete(&path(&at.what.name, ""))?;
            out!("removed {}", at.what.name);
        }
    }
    Ok(())
}

fn put(at: &At<Put>) -> Result<(), Failure> {
    let put = &at.what;
    let text = std::fs::read_to_string(&put.file)
        .map_err(|why| format!("`{}` can't be read: {why}", put.file.display()))?;
    let name = match &put.name {
        Some(name) => name.clone(),
        None => stem(&put.file)?,
    };
    let body = json!({
        "text": text,
        "group": put.group,
        "key": put.key,
        "organization": put.organization,
        "on_error": if put.fail_closed { "fail_closed" } else { "fail_open" },
        "note": put.note,
    });
    let client = Client::new(&at.remote);
    let mut answer = client.put(&path(&name, ""), &body)?;
    if put.activate {
        answer = client.post(&path(&name, "/activate"), &json!({"version": answer["number"]}))?;
    }
    show(&at.remote, &answer, version);
    Ok(())
}

/// A policy is called like its file unless it is named.
fn stem(file: &Path) -> Result<String, Failure> {
    let stem = file.file_stem().and_then(std::ffi::OsStr::to_str);
    stem.map(str::to_owned)
        .ok_or_else(|| format!("`{}` has no name for a policy; give one with --name", file.display()))
}

fn script(at: &At<Show>) -> Result<(), Failure> {
    let client = Client::new(&at.remote);
    let number = match at.what.number {
        Some(number) => number.into(),
        None => {
            let policy = client.get(&path(&at.what.name, ""))?;
            let chosen = [&policy["active"], &policy["newest"]].into_iter().find(|number| number.is_i64());
            chosen.cloned().ok_or_else(|| {
                format!("policy `{}` is declared in the configuration file; read it there", at.what.name)
            })?
        }
    };
    let answer = client.get(&path(&at.what.name, &format!("/versions/{number}")))?;
    show(&at.remote, &answer, |answer| text(answer, "text").trim_end().to_owned());
    Ok(())
}

fn shadow(at: &At<Shadow>) -> Result<(), Failure> {
    let (client, path) = (Client::new(&at.remote), path(&at.what.name, "/shadow"));
    if at.what.report {
        show(&at.remote, &client.get(&path)?, report);
    } else if at.what.end {
        show(&at.remote, &client.delete(&path)?, version);
    } else {
        show(&at.remote, &client.post(&path, &json!({"version": at.what.number}))?, version);
    }
    Ok(())
}

fn rollback(at: &At<Rollback>) -> Result<(), Failure> {
    let body = json!({"version": at.what.to, "reason": at.what.reason});
    let answer = Client::new(&at.remote).post(&path(&at.what.name, "/rollback"), &body)?;
    show(&at.remote, &answer, version);
    Ok(())
}

fn diff(at: &At<Diff>) -> Result<(), Failure> {
    let sides = [("from", at.what.from), ("to", at.what.to)];
    let query: Vec<String> =
        sides.iter().filter_map(|(name, number)| Some(format!("{name}={}", (*number)?))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let answer = Client::new(&at.remote).get(&path(&at.what.name, &format!("/diff{query}")))?;
    show(&at.remote, &answer, |answer| match text(answer, "diff") {
        "" => format!("versions {} and {} are the same", answer["from"], answer["to"]),
        diff => diff.trim_end().to_owned(),
    });
    Ok(())
}

fn path(name: &str, rest: &str) -> String {
    format!("/policies/{}{rest}", segment(name))
}

fn show(remote: &Remote, answer: &Value, words: impl Fn(&Value) -> String) {
    match remote.format {
        Format::Json => out!("{answer:#}"),
        Format::Text => out!("{}", words(answer)),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn lines(answer: &Value, line: impl Fn(&Value) -> String) -> String {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    match items.is_empty() {
        true => "there is none".to_owned(),
        false => items.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// Whose calls something steers.
fn attached(value: &Value) -> String {
    let named =
        ["key", "group", "organization"].into_iter().find_map(|name| Some((name, value[name].as_str()?)));
    named.map_or_else(|| "everybody".to_owned(), |(name, id)| format!("{name} {id}"))
}

/// One policy on one line.
fn policy(value: &Value) -> String {
    let mut out = format!("{}  {}", text(value, "name"), attached(value));
    if text(value, "source") == "file" {
        out.push_str("  of the configuration file");
    }
    for (name, word) in [("active", "runs"), ("shadow", "in shadow"), ("newest", "newest")] {
        if let Some(number) = value[name].as_i64() {
            out.push_str(&format!("  {word} {number}"));
        }
    }
    out
}

/// One version on one line, and what is wrong with it below.
fn version(value: &Value) -> String {
    let tests = &value["tests"];
    let failures = tests["failures"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = format!(
        "{} version {}  {}  {}  by {}",
        text(value, "policy"),
        value["number"],
        text(value, "state"),
        attached(value),
        text(value, "created_by")
    );
    out.push_str(&match (tests["passed"].as_u64().unwrap_or_default(), failures.len()) {
        (0, 0) => "  no tests".to_owned(),
        (1, 0) => "  its test passed".to_owned(),
        (passed, 0) => format!("  {passed} tests passed"),
        (passed, failed) => format!("  {failed} of {} tests failed", passed + failed as u64),
    });
    for name in ["note", "reason"] {
        match text(value, name) {
            "" => {}
            said => out.push_str(&format!("  {name}: {said}")),
        }
    }
    for failure in failures {
        let (line, column) = (&failure["line"], &failure["column"]);
        out.push_str(&format!(
            "\n  {line}:{column}: {}: {}",
            text(failure, "name"),
            text(failure, "message")
        ));
    }
    out
}

/// How a version in shadow compares: a line for each count, and the examples.
fn report(value: &Value) -> String {
    let mut out = format!("{} version {} in shadow, on this node", text(value, "policy"), value["version"]);
    for (name, words) in [
        ("calls", "calls decided twice"),
        ("same", "decided alike"),
        ("denied_more", "would be refused now"),
        ("denied_less", "wouldn't be refused any more"),
        ("other_model", "another model"),
        ("other_channel", "another channel first"),
        ("other_terms", "another ceiling, fallbacks or tags"),
        ("errors", "failed in shadow"),
        ("fuel_before", "operations of what runs"),
        ("fuel_after", "operations in shadow"),
    ] {
        out.push_str(&format!("\n{:>12}  {words}", value[name].as_u64().unwrap_or_default()));
    }
    for example in value["examples"].as_array().map_or(&[][..], Vec::as_slice) {
        let (before, after) = (decision(&example["before"]), decision(&example["after"]));
        out.push_str(&format!("\n{}: {before} -> {after}", text(example, "call")));
    }
    out
}

fn decision(value: &Value) -> String {
    if let Some(denied) = value["denied"].as_str() {
        return format!("refused ({denied})");
    }
    let mut out =
        format!("{} at {}", text(value, "model"), value["channel"].as_str().unwrap_or("no channel"));
    if let Some(max) = value["max_output"].as_u64() {
        out.push_str(&format!(", at most {max} tokens"));
    }
    for (name, word) in [("fallback", "fallbacks"), ("tags", "tags")] {
        let list: Vec<&str> =
            value[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !list.is_empty() {
            out.push_str(&format!(", {word} {}", list.join(" ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_line_and_its_failures_below() {
        let value = json!({
            "policy": "night", "number": 3, "state": "rolled_back", "group": null, "organization": "o", "note": "",
            "reason": "it failed 2 times in 20 calls", "created_by": "user u",
            "tests": {"passed": 1, "failures": [{"name": "test_a", "line": 4, "column": 5, "message": "no"}]},
        });
        assert_eq!(
            version(&value),
            "night version 3  rolled_back  organization o  by user u  1 of 2 tests failed  \
             reason: it failed 2 times in 20 calls\n  4:5: test_a: no"
        );
    }

    #[test]
    fn a_policy_says_which_version_runs() {
        let value = json!({"name": "night", "source": "database", "group": "g1", "organization": "o", "active": 2, "newest": 3});
        assert_eq!(policy(&value), "night  group g1  runs 2  newest 3");
        let value = json!({"name": "day", "source": "file", "active": null});
        assert_eq!(policy(&value), "day  everybody  of the configuration file");
    }

    #[test]
    fn a_report_tells_what_would_become_of_a_call() {
        let value = json!({
            "policy": "p", "version": 2, "calls": 3, "same": 2, "denied_more": 1,
            "examples": [{"call": "call-1", "before": {"model": "m", "channel": "a", "tags": ["x"]},
                "after": {"denied": "not now", "tags": []}}],
        });
        let said = report(&value);
        assert!(
            said.contains("\n           3  calls decided twice\n           2  decided alike\n"),
            "{said}"
        );
        assert!(said.ends_with("\ncall-1: m at a, tags x -> refused (not now)"), "{said}");
    }

    #[test]
    fn a_file_names_its_policy() {
        assert_eq!(stem(Path::new("/x/night.rhai")), Ok("night".to_owned()));
        assert!(stem(Path::new("/")).is_err());
    }
}
