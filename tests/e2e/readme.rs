//! The README as somebody new follows it: its commands exist, its links lead somewhere, its bodies and files are taken.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use sluicegate_tests::client::Request;
use sluicegate_tests::fake::FakeUpstream;
use sluicegate_tests::gateway::{Gateway, Launch, MASTER_KEY, binary};
use sluicegate_tests::root;

use super::config;

const FILES: &[&str] = &["README.md", "README.zh-CN.md"];

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut parts = text.split("\n```");
    let _ = parts.next();
    while let (Some(block), rest) = (parts.next(), parts.next()) {
        let (head, body) = block.split_once('\n').unwrap();
        if head.trim() == language {
            found.push(body.to_owned());
        }
        if rest.is_none() {
            break;
        }
    }
    found
}

/// The commands of the shell blocks, each on one line, without comments.
fn commands(text: &str) -> Vec<String> {
    let joined = blocks(text, "sh").join("\n").replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// What follows `start` in a command, word by word.
fn after<'a>(command: &'a str, start: &str) -> Option<Vec<&'a str>> {
    command.split_once(start).map(|(_, rest)| rest.split_whitespace().collect())
}

fn run(name: &str, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = Command::new(binary(name)).args(arguments).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn commands_of_the_gateway_and_their_options_exist() {
    for file in FILES {
        let mut tried = 0;
        for command in commands(&read(file)) {
            let words =
                after(&command, "target/release/sluicegate ").or(after(&command, "cargo run --release -- "));
            let Some(words) = words else { continue };
            let (well, help) = run("sluicegate", &[words[0], "--help"]);
            assert!(well, "{file}: `{command}`: {help}");
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(option), "{file}: `{command}`: no option `{option}`");
            }
            tried += 1;
        }
        assert!(tried >= 3, "{file} shows only {tried} commands of the gateway");
    }
}

#[test]
fn commands_for_developers_and_their_options_exist() {
    let (well, help) = run("xtask", &["help"]);
    assert!(well, "{help}");
    for file in FILES.iter().chain(&["CONTRIBUTING.md"]) {
        let text = read(file);
        let tried: BTreeSet<&str> = text
            .match_indices("cargo xtask ")
            .filter_map(|(at, start)| text[at + start.len()..].split(['`', '\n']).next())
            .collect();
        assert!(!tried.is_empty(), "{file} shows no command");
        for command in tried {
            let words: Vec<&str> =
                command.split(" #").next().unwrap_or_default().split_whitespace().collect();
            let listed = help.lines().any(|line| line.trim_start().starts_with(words[0]));
            assert!(listed, "{file}: `cargo xtask {command}` is not in `cargo xtask help`");
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(option), "{file}: `cargo xtask {command}`: no option `{option}`");
            }
        }
    }
}

#[test]
fn links_lead_to_files() {
    for file in FILES {
        let text = read(file);
        let links: Vec<&str> =
            text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split([')', '#']).next()).collect();
        assert!(links.len() > 5, "{file}: {links:?}");
        for link in links.iter().filter(|link| !link.contains("://") && !link.is_empty()) {
            assert!(root().join(link).exists(), "{file}: `{link}` is not there");
        }
    }
}

#[test]
fn the_file_it_shows_is_taken() {
    let mut tried = 0;
    for file in FILES {
        let blocks = blocks(&read(file), "yaml");
        tried += blocks.len();
        for (n, block) in blocks.iter().enumerate() {
            let path =
                std::env::temp_dir().join(format!("sluicegate-readme-{file}-{n}-{}", std::process::id()));
            fs::write(&path, block).unwrap();
            let checked = run("sluicegate", &["check", &path.to_string_lossy()]);
            fs::remove_file(&path).unwrap();
            assert!(checked.0, "{file}: {}", checked.1);
        }
    }
    assert!(tried > 0, "no README shows a configuration");
}

/// The body of a `curl` command.
fn body_of(command: &str) -> &str {
    let (_, body) = command.split_once("-d '").unwrap();
    body.trim_end().strip_suffix('\'').unwrap()
}

#[test]
fn a_first_try_goes_as_it_says() {
    for file in FILES {
        // Nothing but the gateway: no file, no key, no provider.
        let gateway = Gateway::launch(&format!("first-{file}"), Launch::bare());
        let key = super::serve::made_key(&gateway);
        let commands = commands(&read(file));
        let call = commands.iter().find(|command| command.contains("/v1/chat/completions")).unwrap();
        let mut body: Value = serde_json::from_str(body_of(call)).unwrap();
        for stream in [false, true] {
            body["stream"] = stream.into();
            let answer = gateway.send(&Request::post("/v1/chat/completions", body.to_string()).bearer(&key));
            assert_eq!(answer.status, 200, "{file}: {}", answer.text());
            assert_eq!(answer.text().contains("[DONE]"), stream, "{file}: {}", answer.text());
        }
        let explain = commands.iter().find(|command| command.contains("sluicegate explain")).unwrap();
        let url = format!("http://{}", gateway.address());
        let words = after(explain, "target/release/sluicegate ").unwrap();
        let mut words: Vec<&str> =
            words.into_iter().map(|word| if word == "\"$SLUICEGATE_KEY\"" { &key } else { word }).collect();
        words.extend(["--url", &url]);
        let (well, said) = run("sluicegate", &words);
        assert!(well && said.contains("goes to:"), "{file}: `{explain}`: {said}");
    }
}

#[test]
fn the_calls_it_shows_are_taken() {
    let upstream = FakeUpstream::start();
    for file in FILES {
        // The administrator's calls of the README, in its order, on one gateway.
        let gateway = Gateway::start(&format!("readme-{file}"), &config(&[], &upstream));
        let mut tried = 0;
        for command in commands(&read(file)).iter().filter(|command| command.contains("-X POST")) {
            let (_, rest) = command.split_once("http://127.0.0.1:4000").unwrap();
            let path = rest.split_whitespace().next().unwrap();
            let body = body_of(command);
            let _: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{file}: {body}: {e}"));
            let answer = gateway.send(&Request::post(path, body).bearer(MASTER_KEY));
            assert_eq!(answer.status, 200, "{file}: {path} {body}: {}", answer.text());
            tried += 1;
        }
        assert!(tried >= 2, "{file} shows only {tried} calls");
    }
}
