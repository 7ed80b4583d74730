use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn guards(rules: &[TextRules]) -> Arc<[Arc<TextGuard>]> {
    rules
        .iter()
        .enumerate()
        .map(|(at, rules)| Arc::new(TextGuard::compile(&format!("g{at}"), rules).unwrap()))
        .collect()
}

/// What is delivered of a text that comes in these pieces, and who refused it.
fn streamed(guards: &Arc<[Arc<TextGuard>]>, pieces: &[&str]) -> (String, Option<Arc<str>>, GuardrailMarks) {
    let mut scanner = Scanner::new(Arc::clone(guards));
    let (mut edits, mut marks) = (Vec::new(), GuardrailMarks::new());
    let mut take = |scanner: &mut Scanner| {
        edits.extend(scanner.take_edits());
        for one in scanner.take_marks() {
            mark(&mut marks, &one.name, &one.did, one.times);
        }
    };
    for piece in pieces {
        let before = scanner.decided();
        scanner.push(piece);
        assert!(scanner.decided() >= before, "what is decided stays decided");
        take(&mut scanner);
    }
    scanner.finish();
    take(&mut scanner);
    let text = apply(&pieces.concat(), 0, &edits);
    (text, scanner.denied().cloned(), marks)
}

fn everything() -> Arc<[Arc<TextGuard>]> {
    let mask = GuardrailAction::Mask;
    guards(&[
        TextRules {
            detectors: Detector::ALL.iter().map(|(_, detector)| *detector).collect(),
            action: mask,
            ..TextRules::default()
        },
        TextRules {
            keywords: ["falcon", "falcon nine", "绝密"].map(str::to_owned).to_vec(),
            patterns: [r"\bab+c?\b", r"[0-9]+", r"x.*y", r"q+$"].map(str::to_owned).to_vec(),
            action: mask,
            ..TextRules::default()
        },
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_split_finds_the_same(
        parts in proptest::collection::vec(prop_oneof![
            Just("falcon ".to_owned()), Just("nine".to_owned()), Just("绝密".to_owned()), Just("4111 1111 1111 1111".to_owned()),
            Just("a@b.example".to_owned()), Just("DE89 3704 0044 0532 0130 00".to_owned()), Just("+86 138 0013 8000".to_owned()),
            Just("abbbc".to_owned()), Just("x".to_owned()), Just("y".to_owned()), Just("qq".to_owned()), Just("\n".to_owned()),
            Just("sk-0123456789abcdefghij".to_owned()), "[a-z0-9@. \u{4e00}-\u{4e05}]{0,12}", "[0-9]{100,400}", "[a-w]{200,300}",
        ], 0..24),
        cuts in proptest::collection::vec(0usize..4_000, 0..40),
    ) {
        let text = parts.concat();
        let guards = everything();
        let whole = streamed(&guards, &[&text]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut from = 0;
        let pieces: Vec<&str> = cuts.into_iter().map(|cut| {
            let piece = &text[from..cut];
            from = cut;
            piece
        }).collect();
        prop_assert_eq!(streamed(&guards, &pieces), whole.clone());
        let chars: Vec<String> = text.chars().map(String::from).collect();
        let chars: Vec<&str> = chars.iter().map(String::as_str).collect();
        prop_assert_eq!(streamed(&guards, &chars), whole);
    }
}

#[test]
fn no_more_is_held_back_than_may_still_be_a_match() {
    let held = |rules: TextRules, text: &str| {
        let mut scanner = Scanner::new(guards(&[rules]));
        scanner.push(text);
        scanner.len() - scanner.decided()
    };
    let keywords =
        TextRules { keywords: vec!["绝密文件".to_owned()], case_sensitive: true, ..TextRules::default() };
    assert_eq!(held(keywords, &"字".repeat(100)), 18);
    let pii = |detector| TextRules { detectors: vec![detector], ..TextRules::default() };
    assert_eq!(held(pii(Detector::Email), "words that end with a space "), 0);
    assert_eq!(held(pii(Detector::Email), "my name is bob"), 3);
    assert_eq!(held(pii(Detector::CreditCard), "it costs 12 "), 4);
    let pattern = TextRules { patterns: vec!["a.b".to_owned()], ..TextRules::default() };
    assert_eq!(held(pattern, &"z".repeat(1000)), REACH_MAX as u64 + 4);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let refused = |rules: TextRules, says: &str| {
        let why = TextGuard::compile("g", &rules).unwrap_err();
        assert!(why.contains(says), "{why}");
    };
    refused(TextRules::default(), "looks for nothing");
    refused(TextRules { patterns: vec!["(".to_owned()], ..TextRules::default() }, "`(` can't be used");
    refused(TextRules { patterns: vec!["a*".to_owned()], ..TextRules::default() }, "the empty text");
    refused(
        TextRules { patterns: vec![r"\w{1000}{100}".to_owned()], ..TextRules::default() },
        "can't be used",
    );
    refused(TextRules { keywords: vec!["w".repeat(300)], ..TextRules::default() }, "longer than");
}

#[test]
fn a_hostile_text_costs_no_more_than_its_length() {
    let rules = TextRules {
        patterns: vec!["a.*b".to_owned()],
        action: GuardrailAction::Mask,
        ..TextRules::default()
    };
    let text = "a".repeat(200_000);
    let (masked, _) = Scanner::whole(&guards(&[rules]), &(text + "b"));
    assert!(masked.is_some_and(|masked| masked.contains("[REDACTED]")));
}
