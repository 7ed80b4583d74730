//! `sluicegate audit`: what it says to people, and to the shell.

use std::process::Command;

use serde_json::json;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY, binary};

/// Runs `sluicegate audit` with these words: its exit status, and what it printed.
fn audit(gateway: &Gateway, words: &[&str], running: bool) -> (Option<i32>, String) {
    let mut command = Command::new(binary("sluicegate"));
    command.arg("audit").args(words).env_clear().env("HOME", gateway.folder()).current_dir(gateway.folder());
    if running {
        command.args(["--url", &format!("http://{}", gateway.address()), "--admin-key", MASTER_KEY]);
    } else {
        command.arg("--data").arg(gateway.folder().join("data"));
        command.arg("--config").arg(gateway.folder().join("config.yaml"));
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_audit_trail_is_verified_against_anchors() {
    let mut gateway = Gateway::start("audit", &json!({"version": 1}).to_string());
    let _ = gateway.new_key(&json!({}));
    let (code, said) = audit(&gateway, &["anchor", "--to", "anchors.jsonl"], true);
    assert_eq!(code, Some(0), "{said}");
    let _ = gateway.new_key(&json!({}));
    let (code, said) = audit(&gateway, &["verify", "--anchors", "anchors.jsonl"], true);
    assert_eq!((code, said.starts_with("sound: ")), (Some(0), true), "{said}");
    let anchors = std::fs::read_to_string(gateway.folder().join("anchors.jsonl")).unwrap();
    let mut forged: serde_json::Value = serde_json::from_str(&anchors).unwrap();
    forged["mac"] = "0".repeat(64).into();
    std::fs::write(gateway.folder().join("forged.jsonl"), format!("{anchors}{forged}\n")).unwrap();
    let (code, said) = audit(&gateway, &["verify", "--anchors", "forged.jsonl"], true);
    assert_eq!((code, said.contains("NOT SOUND: 1 faults")), (Some(1), true), "{said}");
    std::fs::write(gateway.folder().join("nonsense.jsonl"), "{}\n").unwrap();
    for words in [&["verify", "--anchors", "nonsense.jsonl"][..], &["verify", "--anchors", "missing.jsonl"]] {
        let (code, said) = audit(&gateway, words, true);
        assert_eq!((code, said.starts_with("error: ")), (Some(2), true), "{said}");
    }
    gateway.ask_to_stop();
    gateway.stopped();
    let (code, said) = audit(&gateway, &["verify"], true);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = audit(&gateway, &["verify", "--anchors", "anchors.jsonl"], false);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = audit(&gateway, &["verify", "--anchors", "forged.jsonl"], false);
    assert_eq!(code, Some(1), "{said}");
}
