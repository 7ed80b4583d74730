//! `audit`: whether the audit trail is what was written; of a running gateway over its API, of a stopped one from its data
//! directory.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use sluicegate::admin::{Actor, AuditAnchor, AuditCheck};
use sluicegate::{Gateway, Options};

use crate::args::Format;
use crate::args::audit::{Audit, AuditCommand};
use crate::client::{Client, Failure, segment};
use crate::cmd::ledger::options;

/// The audit trail isn't what was written.
const TAMPERED: u8 = 1;
/// It couldn't be checked.
const FAILED: u8 = 2;

/// So many anchors go into one address, which servers and proxies take up to 8 KiB of.
const ANCHORS_AT_ONCE: usize = 64;

/// Does what was asked.
pub(crate) fn run(args: &Audit) -> ExitCode {
    let done = match &args.command {
        AuditCommand::Anchor { to } => anchor(args, to.as_deref()).map(|()| true),
        AuditCommand::Verify { anchors } => verify(args, anchors.as_deref()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(TAMPERED),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

fn anchor(args: &Audit, to: Option<&Path>) -> Result<(), Failure> {
    let anchor = match options(&args.stopped)? {
        Some(options) => offline(options, async |gateway| {
            gateway.admin().audit_anchor(&Actor::operator()).await.map(|anchor| json!(anchor))
        })?,
        None => Client::new(&args.remote).get("/audit/anchor")?,
    };
    let Some(path) = to else {
        out!("{anchor}");
        return Ok(());
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| writeln!(file, "{anchor}"))
        .map_err(|why| format!("`{}` can't be written: {why}", path.display()))
}

/// Whether all is well.
fn verify(args: &Audit, path: Option<&Path>) -> Result<bool, Failure> {
    let anchors = path.map_or(Ok(Vec::new()), read_anchors)?;
    let check = match options(&args.stopped)? {
        Some(options) => offline(options, async |gateway| {
            let check: AuditCheck = gateway.admin().verify_audit(&Actor::operator(), &anchors).await?;
            Ok(json!(check))
        })?,
        None => online(&Client::patient(&args.remote), &anchors)?,
    };
    if args.remote.format == Format::Json {
        out!("{check:#}");
    } else {
        out_as_is!("{}", text(&check, anchors.len()));
    }
    Ok(check["sound"] == true)
}

/// Asks once for all, or for as many as an address holds: each time the whole trail is read.
fn online(client: &Client, anchors: &[AuditAnchor]) -> Result<Value, Failure> {
    let mut paths = paths(anchors).into_iter();
    let mut whole = client.get(&paths.next().unwrap_or_else(|| "/audit/verify".to_owned()))?;
    for path in paths {
        let one = client.get(&path)?;
        let found = one["faults"].as_array().into_iter().flatten().filter(|fault| fault["what"] == "anchor");
        for fault in found {
            whole["sound"] = false.into();
            whole["faulty"] = (whole["faulty"].as_u64().unwrap_or_default() + 1).into();
            if let Some(faults) = whole["faults"].as_array_mut() {
                faults.push(fault.clone());
            }
        }
    }
    Ok(whole)
}

/// What to ask for, with so many anchors each.
fn paths(anchors: &[AuditAnchor]) -> Vec<String> {
    let one = |anchor: &AuditAnchor| format!("{}:{}", anchor.seq, segment(&anchor.mac));
    let list = |some: &[AuditAnchor]| some.iter().map(one).collect::<Vec<_>>().join(",");
    anchors.chunks(ANCHORS_AT_ONCE).map(|some| format!("/audit/verify?anchors={}", list(some))).collect()
}

fn read_anchors(path: &Path) -> Result<Vec<AuditAnchor>, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|why| format!("`{}` can't be read: {why}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let anchors: Vec<AuditAnchor> = lines
        .map(|(at, line)| {
            serde_json::from_str(line)
                .map_err(|why| format!("`{}`, line {}: this is no anchor: {why}", path.display(), at + 1))
        })
        .collect::<Result<_, _>>()?;
    match anchors.is_empty() {
        true => {
            Err(format!("`{}` holds no anchor; take one with `sluicegate audit anchor --to`", path.display()))
        }
        false => Ok(anchors),
    }
}

fn text(check: &Value, anchors: usize) -> String {
    let number = |name: &str| check[name].as_i64().unwrap_or_default();
    if check["sound"] == true {
        let kept = if anchors == 0 { "; take anchors to notice when the newest are removed" } else { "" };
        return format!("sound: {} events, {anchors} anchors{kept}\n", number("events"));
    }
    let mut text = format!("NOT SOUND: {} faults in {} events\n", number("faulty"), number("events"));
    for fault in check["faults"].as_array().into_iter().flatten() {
        let what = match fault["what"].as_str().unwrap_or_default() {
            "changed" => "isn't what was written, or doesn't stand where it was written",
            "missing" => "is missing, and perhaps some after it",
            "end" => "isn't the end that the trail had: the newest were removed, or some were put in",
            "anchor" => "isn't what an anchor says of it",
            other => other,
        };
        text.push_str(&format!("  event {} {what}\n", fault["seq"]));
    }
    text
}

fn offline(
    options: Options,
    ask: impl AsyncFnOnce(&Gateway) -> sluicegate::Result<Value>,
) -> Result<Value, Failure> {
    sluicegate_server::block_on(async {
        let gateway = Gateway::open(options).await.map_err(|error| error.to_string())?;
        let answer = ask(&gateway).await;
        gateway.shutdown().await;
        answer.map_err(|error| error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_asked_for_together() {
        let anchors: Vec<_> = (1..=100)
            .map(|seq| AuditAnchor { seq, mac: "ab".repeat(32), ..AuditAnchor::default() })
            .collect();
        let paths = paths(&anchors);
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().all(|path| path.len() < 8_000));
        assert_eq!(paths.iter().map(|path| path.matches(&"ab".repeat(32)).count()).sum::<usize>(), 100);
        assert!(paths[0].starts_with("/audit/verify?anchors=1:abab"), "{}", paths[0]);
    }

    #[test]
    fn faults_are_told_in_words() {
        let sound = json!({"sound": true, "events": 3, "faulty": 0, "faults": []});
        assert!(text(&sound, 1).starts_with("sound: 3 events, 1 anchors"));
        let faults = ["changed", "missing", "end", "anchor"].map(|what| json!({"seq": 7, "what": what}));
        let said = text(&json!({"sound": false, "events": 3, "faulty": 4, "faults": faults}), 0);
        assert_eq!(said.matches("event 7 is").count(), 4, "{said}");
    }
}
