//! What callers and channels say about where calls go and as what: `data/e2e/steer.yaml`.
//!
//! A setup has a `note`, a native `config` in which `$UP` stands for the upstream's address, the credentials that the upstream
//! only takes (`takes`; default any) and `rows` like those of the other tables. Besides their fields a row may say `model` (default
//! `m`), and want `sent` (what the last body at the upstream holds), `sent_not` (texts that it doesn't), `sent_headers`, `keys` (the
//! last characters of the credentials of the calls at the upstream, in order), and of the call's record `record`. A row with
//! `manage` asks that path with the master key instead, and sends `with` if it has that.

use serde_json::{Value, json};
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY};

use super::{Rig, Way, judge, list, request, rows};

#[test]
fn steering() {
    let mut failures = Vec::new();
    for (n, setup) in rows("steer.yaml").iter().enumerate() {
        let upstream = FakeUpstream::start();
        let mut config = filled(&setup["config"], &upstream.url());
        config["version"] = json!(1);
        let gateway = Gateway::start(&format!("steer-{n}"), &config.to_string());
        let key = gateway.new_key(&json!({}));
        let limited = gateway.new_key(&json!({"models": ["m"]}));
        if let Some(only) = setup["takes"].as_str() {
            upstream.demand_key(only);
        }
        let rig = Rig { upstream, gateway, key, limited, expired: String::new(), blocked: String::new() };
        for row in setup["rows"].as_array().unwrap() {
            for face in list(&row["faces"], &["openai"]) {
                let streams =
                    if row["stream"] == "both" { &[false, true][..] } else { &[row["stream"] == true] };
                for &stream in streams {
                    let way = Way { face: &face, model: row["model"].as_str().unwrap_or("m"), stream };
                    if let Err(what) = try_row(&rig, row, way) {
                        failures.push(format!(
                            "{}: {} ({face} face, stream {stream}):\n    {what}",
                            setup["note"].as_str().unwrap(),
                            row["note"].as_str().unwrap()
                        ));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

fn filled(value: &Value, url: &str) -> Value {
    match value {
        Value::String(text) => json!(text.replace("$UP", url)),
        Value::Array(all) => all.iter().map(|value| filled(value, url)).collect(),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(name, value)| (name.clone(), filled(value, url))).collect())
        }
        other => other.clone(),
    }
}

fn try_row(rig: &Rig, row: &Value, way: Way<'_>) -> Result<(), String> {
    if let Some(path) = row["manage"].as_str() {
        // With nothing to send it is only looked at.
        let request = if row["with"].is_null() {
            Request::new("GET", path)
        } else {
            Request::post(path, row["with"].to_string())
        };
        let answer = rig.gateway.send(&request.bearer(MASTER_KEY));
        return holds(&row["want"], &json!({"status": answer.status, "body": answer.json()}), "answer");
    }
    rig.upstream.reset();
    for step in row["upstream"].as_array().into_iter().flatten() {
        rig.upstream.push(sluicegate_tests::fake::Step::from_json(step)?);
    }
    let answer = request(rig, row, way).send(rig.gateway.address(), std::time::Duration::from_secs(30));
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    let want = &row["want"];
    judge(rig, want, way, &answer)?;
    let sent = rig.upstream.requests();
    if let Some(last) = sent.last() {
        holds(&want["sent"], &last.json(), "sent")?;
        for (name, value) in want["sent_headers"].as_object().into_iter().flatten() {
            if last.header(name) != value.as_str() {
                return Err(format!("wanted the header {name}: {value}, got {:?}", last.header(name)));
            }
        }
        let body = String::from_utf8_lossy(&last.body);
        if let Some(part) = list(&want["sent_not"], &[]).iter().find(|part| body.contains(part.as_str())) {
            return Err(format!("`{part}` was sent in {body}"));
        }
    }
    if let Some(keys) = want["keys"].as_array() {
        let used: Vec<_> = sent.iter().map(|record| json!(last_of(record.header("authorization")))).collect();
        if used != *keys {
            return Err(format!("wanted calls with the keys {keys:?}, got {used:?}"));
        }
    }
    if want["record"].is_object() {
        let id = answer.head.get("x-sluicegate-call-id").ok_or("no id of the call")?;
        return record(rig, id, &want["record"]);
    }
    Ok(())
}

fn last_of(authorization: Option<&str>) -> &str {
    authorization.and_then(|text| text.rsplit('-').next()).unwrap_or_default()
}

/// Compares the call's record, which is stored a moment later.
fn record(rig: &Rig, id: &str, want: &Value) -> Result<(), String> {
    let started = std::time::Instant::now();
    loop {
        let path = format!("/api/v1/records?call={id}");
        let answer = rig.gateway.send(&Request::new("GET", &path).bearer(MASTER_KEY)).json();
        if let Some(found) = answer["items"].as_array().and_then(|all| all.first()) {
            return holds(want, found, "record");
        }
        if started.elapsed().as_secs() > 10 {
            return Err(format!("no record of {id}: {answer}"));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Whether all that is wanted is there.
fn holds(want: &Value, got: &Value, at: &str) -> Result<(), String> {
    match (want, got) {
        (Value::Null, _) => Ok(()),
        (Value::Array(wanted), Value::Array(all)) if wanted.len() == all.len() => {
            wanted.iter().zip(all).try_for_each(|(want, got)| holds(want, got, at))
        }
        (Value::Object(wanted), _) => {
            wanted.iter().try_for_each(|(name, want)| holds(want, &got[name], &format!("{at}.{name}")))
        }
        (want, got) if want == got => Ok(()),
        _ => Err(format!("{at}: wanted {want}, got {got}")),
    }
}
