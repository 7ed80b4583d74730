//! `sluicegate secret rotate`: a gateway goes on with what was sealed, and with its audit trail, under another master secret.

use std::fs;
use std::process::Command;

use serde_json::json;
use sluicegate_tests::client::Request;
use sluicegate_tests::gateway::{Gateway, MASTER_KEY, binary};

/// Runs `sluicegate` on the data of a gateway that is stopped: whether it succeeded, and what it printed.
fn on_the_data(gateway: &Gateway, words: &[&str]) -> (bool, String) {
    let folder = gateway.folder();
    let mut command = Command::new(binary("sluicegate"));
    command
        .args(words)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--config")
        .arg(folder.join("config.yaml"));
    let output = command.env_clear().env("HOME", folder).current_dir(folder).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_gateway_goes_on_under_another_master_secret() {
    let mut gateway = Gateway::start("secret", &json!({"version": 1}).to_string());
    let declared = json!({"id": "c", "name": "c", "provider": "openai", "models": ["gpt-5.4"]});
    let made = json!({"declared": declared, "secret": "sk-upstream-1234567890"});
    let made = Request::post("/api/v1/channels", made.to_string()).bearer(MASTER_KEY);
    assert_eq!(gateway.send(&made).status, 201);
    gateway.ask_to_stop();
    gateway.stopped();

    let (done, said) = on_the_data(&gateway, &["secret", "rotate"]);
    assert!(!done && said.contains("--to FILE"), "{said}");
    let (done, said) = on_the_data(&gateway, &["secret", "rotate", "--to", "data/new.secret"]);
    assert!(!done && said.contains("lies in the data directory"), "{said}");
    let (done, said) = on_the_data(&gateway, &["secret", "rotate", "--to", "new.secret"]);
    assert!(done && said.contains("the credentials of 1 channels"), "{said}");
    // The present one doesn't fit any more.
    let (done, said) = on_the_data(&gateway, &["secret", "rotate", "--to", "newer.secret"]);
    assert!(!done && said.contains("isn't the one that the audit trail goes on under"), "{said}");
    let (done, said) = on_the_data(&gateway, &["audit", "verify"]);
    assert!(!done && said.contains("the master secret isn't"), "{said}");

    let (old, new) =
        (gateway.folder().join(".config/sluicegate/master.secret"), gateway.folder().join("new.secret"));
    fs::rename(new, old).unwrap();
    let (done, said) = on_the_data(&gateway, &["audit", "verify"]);
    assert!(done && said.starts_with("sound: ") && !said.contains("master secret"), "{said}");
    gateway.start_again();
    // Its keys are told by what is opened.
    let keys = gateway.look_up("/api/v1/channels/c/keys");
    assert_eq!(keys["items"].as_array().map(Vec::len), Some(1), "{keys}");
    assert!(!gateway.log().contains("can't be opened"), "{}", gateway.log());
}
