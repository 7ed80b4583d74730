//! The table of texts that the built-in guardrail finds things in, whole and cut anywhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::Value;
use sluicegate::core::guardrail::{Detector, GuardrailAction, Scanner, TextGuard, TextRules, apply};

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
