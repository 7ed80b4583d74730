//! The tables of texts that the built-in guardrail finds things in, whole and cut anywhere, and of where texts stand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use sluicegate::Format;
use sluicegate::core::guardrail::{Detector, GuardrailAction, Scanner, TextGuard, TextRules, apply};
use sluicegate::wire::{Screen, Side, Texts};

fn masked(guards: &Arc<[Arc<TextGuard>]>, pieces: &[&str]) -> String {
    let mut scanner = Scanner::new(Arc::clone(guards));
    let mut edits = Vec::new();
    for piece in pieces {
        scanner.push(piece);
        edits.extend(scanner.take_edits());
    }
    scanner.finish();
    edits.extend(scanner.take_edits());
    apply(&pieces.concat(), 0, &edits)
}

#[test]
fn texts_come_to_what_the_table_says() {
    let file = sluicegate_tests::data().join("guardrail/texts.yaml");
    let rows: Vec<Value> = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(rows.len() >= 30);
    let mut wrong = Vec::new();
    for row in &rows {
        let texts = |name: &str| -> Vec<String> {
            row[name].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let rules = TextRules {
            keywords: texts("keywords"),
            patterns: texts("patterns"),
            detectors: Detector::ALL.map(|(_, detector)| detector).to_vec(),
            action: GuardrailAction::Mask,
            ..TextRules::default()
        };
        let guards: Arc<[Arc<TextGuard>]> = Arc::new([Arc::new(TextGuard::compile("g", &rules).unwrap())]);
        let (text, want) = (row["text"].as_str().unwrap(), row["want"].as_str().unwrap());
        let mut check = |pieces: &[&str], how: &str| {
            let got = masked(&guards, pieces);
            if got != want {
                wrong.push(format!("{}, {how}: want `{want}`, got `{got}`", row["note"]));
            }
        };
        check(&[text], "whole");
        for (at, _) in text.char_indices() {
            let (one, two) = text.split_at(at);
            check(&[one, two], &format!("cut at {at}"));
        }
        let chars: Vec<String> = text.chars().map(String::from).collect();
        check(&chars.iter().map(String::as_str).collect::<Vec<_>>(), "character by character");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A guardrail that masks these words.
fn guard(keywords: &[&str]) -> Arc<[Arc<TextGuard>]> {
    let rules = TextRules {
        keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
        action: GuardrailAction::Mask,
        ..TextRules::default()
    };
    Arc::new([Arc::new(TextGuard::compile("g", &rules).unwrap())])
}

/// What is left of a body when every bird is masked; and whether each of them was seen as the table says.
fn body(format: Format, side: Side, body: &str) -> (String, Vec<String>) {
    let texts = Texts::of(format, side, body.as_bytes());
    let guards = guard(&["falcon", "heron"]);
    let (mut wrong, mut new) = (Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate() {
        if text.contains("wren") || text.contains("heron") != texts.is_sealed(at) {
            wrong.push(format!("`{text}` is sealed: {}", texts.is_sealed(at)));
        }
        new.extend(Scanner::whole(&guards, text).0.map(|masked| (at, masked)));
    }
    let herons = texts.iter().filter(|text| text.contains("heron")).count();
    if herons != body.matches("heron").count() {
        wrong.push(format!("{herons} herons were seen"));
    }
    (String::from_utf8(texts.replaced(&new).to_vec()).unwrap(), wrong)
}

/// What comes out of a stream whose birds are masked, cut where told.
fn stream(format: Format, frames: &str, cut: bool) -> Result<String, String> {
    let mut screen = Screen::new(format, guard(&["falcon"]));
    let mut out = String::new();
    let mut put = |bytes: Bytes| out.push_str(std::str::from_utf8(&bytes).unwrap());
    let size = if cut { frames.len().div_ceil(2) } else { frames.len() };
    for piece in frames.as_bytes().chunks(size.max(1)) {
        screen.push(Bytes::copy_from_slice(piece), &mut put).map_err(|why| format!("{why:?}"))?;
    }
    screen.finish(&mut put).map_err(|why| format!("{why:?}"))?;
    Ok(out)
}

#[test]
fn texts_are_looked_at_wherever_they_stand() {
    let file = sluicegate_tests::data().join("guardrail/places.yaml");
    let rows: Vec<Value> = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(rows.len() >= 30);
    let mut wrong = Vec::new();
    for row in &rows {
        let format: Format = serde_json::from_value(row["format"].clone()).unwrap();
        let note = format!("{}, {}", row["format"], row["note"]);
        let masked = |text: &str| text.replace("falcon", "[REDACTED]");
        for (name, side) in [("request", Side::Request), ("answer", Side::Answer)] {
            let Some(text) = row[name].as_str() else { continue };
            let (got, seen) = body(format, side, text);
            wrong.extend(seen.iter().map(|seen| format!("{note}: {seen}")));
            if got != masked(text) {
                wrong.push(format!("{note}:\n  {got}"));
            }
        }
        let Some(lines) = row["stream"].as_str() else { continue };
        let frames: Vec<String> = lines.lines().map(|line| format!("data: {line}\n\n")).collect();
        for cut in [false, true] {
            let got = stream(format, &frames.concat(), cut).unwrap_or_else(|why| why);
            if got != masked(&frames.concat()) {
                wrong.push(format!("{note}:\n  {}", left(&got)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The frames in which a bird is left, or all.
fn left(frames: &str) -> String {
    let left: Vec<_> = frames.lines().filter(|line| line.contains("falcon")).collect();
    if left.is_empty() { frames.to_owned() } else { left.join("\n  ") }
}
